/* An exchange whose other rank is a mirror, and a run of one rank that is saved and loaded: what
 * oom.c does while allocations fail. */
#ifndef USE_EXCHANGE_H
#define USE_EXCHANGE_H

#include <kdistill.h>
#include <stdio.h>
#include <string.h>

/* Rank 1 says what rank 0 says. */
static inline kd_status mirror_gather(void *user, const void *mine, void *all, int64_t bytes)
{
    const int32_t other = 1;
    (void)user;
    memcpy(all, mine, (size_t)bytes);
    memcpy((char *)all + bytes, mine, (size_t)bytes);
    if (bytes == 2048) memcpy((char *)all + bytes + 20, &other, sizeof other);
    return KD_OK;
}

static inline kd_status mirror_pieces(void *user, int32_t request, const void *send,
                                      const int64_t *offsets, void *received, int64_t stride)
{
    (void)user, (void)request, (void)send, (void)offsets;
    memset((char *)received + stride, 0, (size_t)stride);
    return KD_OK;
}

static inline kd_status mirror_share(void *user, int32_t request, void *values,
                                     const int64_t *offsets)
{
    (void)user, (void)request;
    memset((char *)values + offsets[1], 0, (size_t)(offsets[2] - offsets[1]));
    return KD_OK;
}

static inline kd_status mirror_complete(void *user, int32_t request, int32_t wait, int32_t *done)
{
    (void)user, (void)request, (void)wait;
    *done = 1;
    return KD_OK;
}

typedef struct exchange_used {
    kd_model *model;
    kd_loss *loss;
    kd_batch *batch;
    kd_optimizer *optimizer;
    kd_exchange *exchange;
    kd_checkpoint *checkpoint;
} exchange_used;

static inline kd_status exchange_make(exchange_used *u, kd_context *ctx, int ranks)
{
    static float x[6 * 4] = { 1, 2, -1, 0.5f, 3 };
    static int64_t y[6] = { 0, 1, 2, 0, 1, 2 };
    const kd_array inputs = KD_ARRAY_2D(x, KD_FLOAT32, 6, 4), labels = KD_ARRAY_1D(y, KD_INT64, 6);
    const kd_transport mirror = { .struct_size = sizeof mirror,
                                  .ranks = 2,
                                  .gather = mirror_gather,
                                  .start_pieces = mirror_pieces,
                                  .start_share = mirror_share,
                                  .complete = mirror_complete };
    kd_optimizer_options o = KD_OPTIMIZER_OPTIONS_INIT;
    kd_exchange_options eo = KD_EXCHANGE_OPTIONS_INIT;
    o.average_decay = 0.5;
    eo.wire = ranks > 1 ? KD_BFLOAT16 : KD_FLOAT32;
    RUN_TRY(kd_batch_create(&u->batch, ctx, NULL));
    RUN_TRY(kd_batch_begin(u->batch, 6));
    RUN_TRY(kd_batch_set(u->batch, "inputs", &inputs, NULL));
    RUN_TRY(kd_batch_set(u->batch, "label", &labels, NULL));
    RUN_TRY(kd_model_create(&u->model, ctx,
                            "{\"model_type\":\"mlp\",\"input_size\":4,\"hidden_sizes\":[9],"
                            "\"num_labels\":3}",
                            NULL));
    RUN_TRY(kd_loss_create(&u->loss, ctx, NULL));
    RUN_TRY(kd_loss_add(u->loss, KD_LOSS_CROSS_ENTROPY, 1, NULL, NULL));
    RUN_TRY(kd_optimizer_create(&u->optimizer, ctx, KD_OPTIMIZER_ADAM, &o));
    RUN_TRY(kd_optimizer_add_model(u->optimizer, u->model));
    RUN_TRY(kd_exchange_create(&u->exchange, ctx, ranks > 1 ? &mirror : NULL, &eo));
    return kd_exchange_add_optimizer(u->exchange, u->optimizer);
}

static inline kd_status exchange_steps(exchange_used *u)
{
    for (int i = 0; i < 2; i++) {
        kd_loss_counts counts = { .struct_size = sizeof counts };
        RUN_TRY(kd_loss_count(u->loss, u->batch, NULL, &counts));
        RUN_TRY(kd_exchange_set_learning_rate(u->exchange, 0.1));
        RUN_TRY(kd_exchange_sum_counts(u->exchange, u->batch, &counts, NULL));
        RUN_TRY(kd_exchange_begin(u->exchange));
        RUN_TRY(kd_model_forward(u->model, u->batch, KD_MODE_TRAIN));
        RUN_TRY(kd_loss_backward(u->loss, u->model, u->batch, NULL, &counts, NULL));
        RUN_TRY(kd_exchange_step(u->exchange, 0.1));
        RUN_TRY(kd_exchange_swap_average(u->exchange));
        RUN_TRY(kd_exchange_swap_average(u->exchange));
    }
    return KD_OK;
}

static inline kd_status exchange_saves(exchange_used *u, kd_context *ctx, const char *folder)
{
    char path[600];
    snprintf(path, sizeof path, "%s/oom-saves", folder);
    RUN_TRY(kd_checkpoint_create(&u->checkpoint, ctx, NULL));
    RUN_TRY(kd_checkpoint_add_model(u->checkpoint, "student", u->model));
    RUN_TRY(kd_checkpoint_add_exchange(u->checkpoint, "optimizer", u->exchange));
    for (int i = 0; i < 3; i++) RUN_TRY(kd_checkpoint_save(u->checkpoint, path));
    return kd_checkpoint_load(u->checkpoint, path);
}

static inline void exchange_free(exchange_used *u)
{
    kd_checkpoint_free(u->checkpoint);
    kd_exchange_free(u->exchange);
    kd_optimizer_free(u->optimizer);
    kd_loss_free(u->loss);
    kd_model_free(u->model);
    kd_batch_free(u->batch);
    memset(u, 0, sizeof *u);
}

static inline kd_status use_exchange(kd_context *ctx, const char *folder)
{
    exchange_used u = { 0 };
    kd_status status = exchange_make(&u, ctx, 2);
    if (status == KD_OK) status = exchange_steps(&u);
    exchange_free(&u);
    if (status == KD_OK) status = exchange_make(&u, ctx, 1);
    if (status == KD_OK) status = exchange_steps(&u);
    if (status == KD_OK) status = exchange_saves(&u, ctx, folder);
    exchange_free(&u);
    return status;
}

#endif
