/* Terms of two sides over a batch in chunks, and retrieval: what oom.c does while allocations
 * fail. */
#ifndef USE_PAIRS_H
#define USE_PAIRS_H

#include <kdistill.h>
#include <math.h>

#include "../unit/run.h"

enum { PAIR_ROWS = 6, PAIR_WIDTH = 4, PAIR_CHUNKS = 2 };

#define PAIR_STUDENT                                                                               \
    "{\"model_type\":\"mlp\",\"input_size\":4,\"hidden_sizes\":[4],\"num_labels\":4,"              \
    "\"hidden_dropout_prob\":0.2}"

typedef struct {
    kd_model *model;
    kd_loss *loss;
    kd_batch *batch[PAIR_CHUNKS];
    kd_targets *targets[PAIR_CHUNKS];
    float x[PAIR_ROWS * PAIR_WIDTH];
    int64_t side[PAIR_ROWS], group[PAIR_ROWS];
} pairs_used;

static inline kd_status add_pairs(kd_loss *loss)
{
    static const int32_t kinds[] = { KD_LOSS_CONTRASTIVE, KD_LOSS_SIGMOID_CONTRASTIVE,
                                     KD_LOSS_AFFINITY_KL, KD_LOSS_MARGIN_MSE, KD_LOSS_LISTWISE_KL };
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    o.student_output = "hidden.0";
    for (int32_t i = 0; i < 5; i++) {
        kd_pair_options pairs = KD_PAIR_OPTIONS_INIT;
        int32_t term;
        pairs.side_field = "side";
        pairs.group_field = i != 2 ? "group" : NULL;
        o.teacher_field = i < 2 ? NULL : i == 2 ? "taught" : "score";
        RUN_TRY(kd_loss_add(loss, kinds[i], 1, &o, &term));
        RUN_TRY(kd_loss_set_pairs(loss, term, &pairs));
    }
    o.teacher_field = "taught";
    return kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &o, NULL);
}

static inline kd_status fill_chunk(pairs_used *u, kd_context *ctx, int chunk)
{
    kd_array x = KD_ARRAY_2D(u->x, KD_FLOAT32, PAIR_ROWS, PAIR_WIDTH),
             score = KD_ARRAY_2D(u->x, KD_FLOAT32, PAIR_ROWS, 1),
             side = KD_ARRAY_1D(u->side, KD_INT64, PAIR_ROWS),
             group = KD_ARRAY_1D(u->group, KD_INT64, PAIR_ROWS);
    RUN_TRY(kd_batch_create(&u->batch[chunk], ctx, NULL));
    RUN_TRY(kd_targets_create(&u->targets[chunk], ctx, NULL));
    RUN_TRY(kd_batch_begin(u->batch[chunk], PAIR_ROWS));
    RUN_TRY(kd_batch_set(u->batch[chunk], "inputs", &x, NULL));
    RUN_TRY(kd_batch_set(u->batch[chunk], "side", &side, NULL));
    RUN_TRY(kd_batch_set(u->batch[chunk], "group", &group, NULL));
    RUN_TRY(kd_targets_begin(u->targets[chunk], PAIR_ROWS));
    RUN_TRY(kd_targets_set(u->targets[chunk], "score", &score, NULL));
    return kd_targets_set(u->targets[chunk], "taught", &x, NULL);
}

static inline kd_status run_chunks(pairs_used *u, kd_context *ctx)
{
    kd_array x = KD_ARRAY_2D(u->x, KD_FLOAT32, PAIR_ROWS - 1, PAIR_WIDTH),
             y = KD_ARRAY_2D(u->x + PAIR_WIDTH, KD_FLOAT32, PAIR_ROWS - 1, PAIR_WIDTH);
    kd_metric metric = { .struct_size = sizeof metric };
    RUN_TRY(kd_model_create(&u->model, ctx, PAIR_STUDENT, NULL));
    RUN_TRY(kd_loss_create(&u->loss, ctx, NULL));
    RUN_TRY(add_pairs(u->loss));
    RUN_TRY(kd_loss_set_diagnostics(u->loss, 1));
    for (int i = 0; i < PAIR_CHUNKS; i++) RUN_TRY(fill_chunk(u, ctx, i));
    for (int i = 0; i < 2; i++)
        RUN_TRY(kd_loss_backward_chunks(u->loss, u->model, u->batch, u->targets, PAIR_CHUNKS, NULL,
                                        NULL));
    return kd_metrics_measure_retrieval(ctx, KD_RETRIEVAL_NDCG, 3, &x, &y, NULL, NULL, &metric);
}

static inline kd_status use_pairs(kd_context *ctx)
{
    pairs_used u = { 0 };
    for (int i = 0; i < PAIR_ROWS * PAIR_WIDTH; i++) u.x[i] = (float)sin(1.3 * i * i + 0.2);
    for (int i = 0; i < PAIR_ROWS; i++) {
        u.side[i] = i % 2;
        u.group[i] = i / 2;
    }
    const kd_status status = run_chunks(&u, ctx);
    for (int i = 0; i < PAIR_CHUNKS; i++) {
        kd_batch_free(u.batch[i]);
        kd_targets_free(u.targets[i]);
    }
    kd_loss_free(u.loss);
    kd_model_free(u.model);
    return status;
}

#endif
