/* A loss of features with projections, used once: what oom.c does while allocations fail. */
#ifndef USE_FEATURES_H
#define USE_FEATURES_H

#include <kdistill.h>
#include <math.h>
#include <stdio.h>

#include "../unit/run.h"

enum { FEATURE_ROWS = 9, FEATURE_FROM = 4, FEATURE_TO = 6 };

static inline kd_status add_features(kd_loss *loss)
{
    static const int32_t kinds[] = { KD_LOSS_HIDDEN_COSINE, KD_LOSS_VARIATIONAL, KD_LOSS_CKA,
                                     KD_LOSS_RKD_ANGLE, KD_LOSS_GRAM };
    kd_projection_options o = KD_PROJECTION_OPTIONS_INIT;
    for (int32_t i = 0; i < 5; i++) {
        int32_t term;
        RUN_TRY(kd_loss_add(loss, kinds[i], 1, NULL, &term));
        o.kind = i < 4 ? KD_PROJECTION_LINEAR + i : KD_PROJECTION_LINEAR;
        if (i < 4) RUN_TRY(kd_loss_set_projection(loss, term, &o));
    }
    return KD_OK;
}

static inline kd_status step_features(kd_context *ctx, kd_loss *loss, kd_optimizer *optimizer,
                                      const char *folder)
{
    char path[600];
    kd_checkpoint *checkpoint = NULL;
    snprintf(path, sizeof path, "%s/oom-loss.safetensors", folder);
    RUN_TRY(kd_optimizer_add_loss(optimizer, loss));
    RUN_TRY(kd_optimizer_step(optimizer, 0.1));
    RUN_TRY(kd_loss_save_tensors(loss, path));
    RUN_TRY(kd_loss_load_tensors(loss, path));
    RUN_TRY(kd_checkpoint_create(&checkpoint, ctx, NULL));
    snprintf(path, sizeof path, "%s/oom-loss.kdc", folder);
    kd_status status = kd_checkpoint_add_loss(checkpoint, "loss", loss);
    if (status == KD_OK) status = kd_checkpoint_add_optimizer(checkpoint, "steps", optimizer);
    if (status == KD_OK) status = kd_checkpoint_save(checkpoint, path);
    if (status == KD_OK) status = kd_checkpoint_load(checkpoint, path);
    kd_checkpoint_free(checkpoint);
    return status;
}

/* Projections that are made by the first call, a step, files. */
static inline kd_status use_features(kd_context *ctx, const char *folder)
{
    static float s[FEATURE_ROWS * FEATURE_FROM], t[FEATURE_ROWS * FEATURE_TO],
        ds[FEATURE_ROWS * FEATURE_FROM];
    kd_array ss = KD_ARRAY_2D(s, KD_FLOAT32, FEATURE_ROWS, FEATURE_FROM),
             ts = KD_ARRAY_2D(t, KD_FLOAT32, FEATURE_ROWS, FEATURE_TO),
             dss = KD_ARRAY_2D(ds, KD_FLOAT32, FEATURE_ROWS, FEATURE_FROM);
    kd_loss_output output = { sizeof output, 0, "hidden", &ss, &dss, NULL };
    kd_batch *batch = NULL;
    kd_targets *targets = NULL;
    kd_loss *loss = NULL;
    kd_optimizer *optimizer = NULL;
    for (int i = 0; i < FEATURE_ROWS * FEATURE_FROM; i++) s[i] = (float)sin(1.3 * i);
    for (int i = 0; i < FEATURE_ROWS * FEATURE_TO; i++) t[i] = (float)cos(0.7 * i * i);
    kd_status status = kd_batch_create(&batch, ctx, NULL);
    if (status == KD_OK) status = kd_targets_create(&targets, ctx, NULL);
    if (status == KD_OK) status = kd_batch_begin(batch, FEATURE_ROWS);
    if (status == KD_OK) status = kd_targets_begin(targets, FEATURE_ROWS);
    if (status == KD_OK) status = kd_targets_set(targets, "hidden", &ts, NULL);
    if (status == KD_OK) status = kd_loss_create(&loss, ctx, NULL);
    if (status == KD_OK) status = add_features(loss);
    if (status == KD_OK) status = kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, NULL);
    if (status == KD_OK) status = kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, NULL);
    if (status == KD_OK) status = step_features(ctx, loss, optimizer, folder);
    kd_optimizer_free(optimizer);
    kd_loss_free(loss);
    kd_targets_free(targets);
    kd_batch_free(batch);
    return status;
}

#endif
