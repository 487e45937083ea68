/* Towers with what some samples lack: fused, pushed back through pairs in chunks, saved and loaded,
 * taken apart and put together, for the test that runs out of memory. */
#ifndef USE_TOWERS_H
#define USE_TOWERS_H

#include <kdistill.h>
#include <stdio.h>
#include <string.h>

#define USED_TOWERS                                                                                \
    "{\"model_type\":\"towers\",\"projection_dim\":3,\"normalize\":true,"                          \
    "\"logit_scale_init_value\":2,\"logit_bias_init_value\":-1,\"towers\":{"                       \
    "\"image\":{\"model_type\":\"mlp\",\"input_size\":4,\"num_labels\":3,\"input\":\"pixels\"},"   \
    "\"text\":{\"model_type\":\"static_embedding\",\"vocab_size\":7,\"hidden_size\":2}},"          \
    "\"fusion\":{\"type\":\"%s\",\"drop\":{\"text\":0.5}}}"

enum { USED_TOWER_CHUNKS = 2, USED_TOWER_SAMPLES = 3 };

typedef struct towers_kit {
    kd_model *model, *loaded, *image, *joined;
    kd_loss *loss;
    kd_batch *batch[USED_TOWER_CHUNKS];
} towers_kit;

static inline kd_status towers_batch(towers_kit *k, kd_context *ctx, int chunk)
{
    static float pixels[USED_TOWER_SAMPLES * 4] = { 1, 2, 3, 4, 5, 6, 1, 3, 2, 7, 1, 1 };
    static int64_t tokens[USED_TOWER_SAMPLES * 2] = { 1, 2, -1, -1, 3, -1 };
    static uint8_t there[USED_TOWER_CHUNKS][USED_TOWER_SAMPLES] = { { 1, 1, 1 }, { 1, 1, 0 } };
    const kd_array x = KD_ARRAY_2D(pixels, KD_FLOAT32, USED_TOWER_SAMPLES, 4),
                   t = KD_ARRAY_2D(tokens, KD_INT64, USED_TOWER_SAMPLES, 2),
                   p = KD_ARRAY_1D(there[chunk], KD_UINT8, USED_TOWER_SAMPLES);
    kd_status status = kd_batch_create(&k->batch[chunk], ctx, NULL);
    if (status == KD_OK) status = kd_batch_begin(k->batch[chunk], USED_TOWER_SAMPLES);
    if (status == KD_OK) status = kd_batch_set(k->batch[chunk], "pixels", &x, &p);
    return status == KD_OK ? kd_batch_set(k->batch[chunk], "tokens", &t, NULL) : status;
}

static inline kd_status towers_loss(towers_kit *k, kd_context *ctx)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_pair_options pairs = KD_PAIR_OPTIONS_INIT;
    o.student_output = "embedding.image";
    pairs.other_output = "embedding.text";
    pairs.scale_output = "logit_scale";
    pairs.bias_output = "logit_bias";
    kd_status status = kd_loss_create(&k->loss, ctx, NULL);
    if (status == KD_OK) status = kd_loss_add(k->loss, KD_LOSS_SIGMOID_CONTRASTIVE, 1, &o, NULL);
    return status == KD_OK ? kd_loss_set_pairs(k->loss, 0, &pairs) : status;
}

/* Rehearsed and trained in chunks; then a pass of one of them by what it is fused to. */
static inline kd_status towers_train(towers_kit *k)
{
    static float ones[USED_TOWER_SAMPLES * 3] = { 1, 1, 1 };
    kd_array v, present;
    kd_status status =
        kd_loss_backward_chunks(k->loss, k->model, k->batch, NULL, USED_TOWER_CHUNKS, NULL, NULL);
    if (status == KD_OK) status = kd_model_forward(k->model, k->batch[1], KD_MODE_TRAIN);
    if (status == KD_OK) status = kd_model_output_present(k->model, "image.logits", &present);
    if (status == KD_OK) status = kd_model_output(k->model, "fused", &v);
    v.data = ones;
    if (status == KD_OK) status = kd_model_add_output_gradient(k->model, "fused", &v);
    if (status == KD_OK) status = kd_model_add_output_gradient(k->model, "image.logits", &v);
    return status == KD_OK ? kd_model_backward(k->model) : status;
}

static inline kd_status towers_again(towers_kit *k, kd_context *ctx, const char *folder)
{
    static const char *const names[] = { "image" };
    char path[600];
    kd_array v;
    snprintf(path, sizeof path, "%s/oom-towers", folder);
    kd_status status = kd_model_save(k->model, path, NULL);
    if (status == KD_OK) status = kd_model_load(&k->loaded, ctx, path, NULL);
    if (status == KD_OK) status = kd_model_forward(k->loaded, k->batch[0], KD_MODE_EVALUATE);
    if (status == KD_OK) status = kd_model_output(k->loaded, "fused", &v);
    snprintf(path, sizeof path, "%s/oom-tower", folder);
    if (status == KD_OK) status = kd_towers_save(k->model, "image", path, NULL);
    if (status == KD_OK) status = kd_model_load(&k->image, ctx, path, NULL);
    if (status == KD_OK)
        status = kd_towers_create(&k->joined, ctx,
                                  "{\"model_type\":\"towers\",\"towers\":{\"image\":{}}}", names,
                                  &k->image, 1, NULL);
    return status;
}

static inline kd_status use_towers(kd_context *ctx, const char *folder)
{
    static const char *const fusions[] = { "concat", "gated" };
    char config[800];
    kd_status status = KD_OK;
    for (int i = 0; i < 2 && status == KD_OK; i++) {
        towers_kit k = { 0 };
        snprintf(config, sizeof config, USED_TOWERS, fusions[i]);
        status = kd_model_create(&k.model, ctx, config, NULL);
        for (int c = 0; c < USED_TOWER_CHUNKS && status == KD_OK; c++)
            status = towers_batch(&k, ctx, c);
        if (status == KD_OK) status = towers_loss(&k, ctx);
        if (status == KD_OK) status = towers_train(&k);
        if (status == KD_OK) status = towers_again(&k, ctx, folder);
        for (int c = 0; c < USED_TOWER_CHUNKS; c++) kd_batch_free(k.batch[c]);
        kd_loss_free(k.loss);
        kd_model_free(k.joined);
        kd_model_free(k.image);
        kd_model_free(k.loaded);
        kd_model_free(k.model);
    }
    return status;
}

#endif
