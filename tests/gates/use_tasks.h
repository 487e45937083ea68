/* Teachers of several tasks, a balance in a checkpoint, gradients of tasks: what oom.c does while
 * allocations fail. */
#ifndef USE_TASKS_H
#define USE_TASKS_H

#include <kdistill.h>
#include <math.h>
#include <stdio.h>

#include "../unit/run.h"

enum { TASK_ROWS = 5, TASK_WIDTH = 8, TASK_CLASSES = 9 };

#define TASK_STUDENT                                                                               \
    "{\"model_type\":\"llama\",\"vocab_size\":9,\"hidden_size\":8,\"intermediate_size\":6,"        \
    "\"num_hidden_layers\":1,\"num_attention_heads\":2,\"max_position_embeddings\":8}"

typedef struct {
    kd_model *model, *live;
    kd_teacher *member[3], *teacher;
    kd_targets *targets;
    kd_batch *batch;
    kd_loss *loss;
    kd_balance *balance;
    kd_checkpoint *checkpoint;
    float logits[TASK_ROWS * TASK_CLASSES];
} tasks_used;

static inline kd_status say_some(void *user, kd_batch *batch, kd_targets *targets)
{
    const kd_array logits = KD_ARRAY_2D(user, KD_FLOAT32, TASK_ROWS, TASK_CLASSES);
    (void)batch;
    RUN_TRY(kd_targets_set(targets, "full", &logits, NULL));
    return kd_targets_select(targets, "some", &logits, 3, 0, 1, NULL);
}

static inline kd_status make_teachers(tasks_used *u, kd_context *ctx)
{
    static const char *const names[3] = { "live", "own", NULL };
    kd_teacher_callbacks own = { .struct_size = sizeof own, .user = u->logits, .read = say_some };
    kd_array vectors = KD_ARRAY_2D(u->logits, KD_FLOAT32, 2, TASK_WIDTH);
    RUN_TRY(kd_model_create(&u->live, ctx, TASK_STUDENT, NULL));
    RUN_TRY(kd_teacher_from_model(&u->member[0], u->live, NULL));
    RUN_TRY(kd_teacher_from_callbacks(&u->member[1], ctx, &own, NULL));
    RUN_TRY(kd_teacher_create(&u->member[2], ctx, NULL, NULL));
    RUN_TRY(kd_teacher_add(u->member[2], "pooled", &vectors));
    return kd_teacher_from_tasks(&u->teacher, ctx, u->member, names, 3);
}

static inline kd_status add_tasks(tasks_used *u)
{
    static const char *const fields[2] = { "logits.live", "some.own" };
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    for (int i = 0; i < 2; i++) {
        o.teacher_field = fields[i];
        RUN_TRY(kd_loss_add(u->loss, KD_LOSS_FORWARD_KL, 1, &o, NULL));
    }
    o.student_output = o.teacher_field = "pooled";
    return kd_loss_add(u->loss, KD_LOSS_MEAN_SQUARED_ERROR, 1, &o, NULL);
}

static inline kd_status fill_batch(tasks_used *u, kd_context *ctx)
{
    static int64_t tokens[TASK_ROWS] = { 1, 2, 3, 4, 5 }, offsets[3] = { 0, 3, TASK_ROWS },
                   numbers[2] = { 0, 1 };
    kd_array o = KD_ARRAY_1D(offsets, KD_INT64, 3), t = KD_ARRAY_1D(tokens, KD_INT64, TASK_ROWS),
             n = KD_ARRAY_1D(numbers, KD_INT64, 2);
    RUN_TRY(kd_batch_create(&u->batch, ctx, NULL));
    RUN_TRY(kd_batch_begin_packed(u->batch, &o));
    RUN_TRY(kd_batch_set(u->batch, "tokens", &t, NULL));
    return kd_batch_set_samples(u->batch, &n, NULL, NULL);
}

static inline kd_status balance_tasks(tasks_used *u, kd_context *ctx, const char *folder)
{
    char path[600];
    snprintf(path, sizeof path, "%s/oom-balance.kdc", folder);
    RUN_TRY(kd_balance_create(&u->balance, ctx, KD_BALANCE_DWA, 2, NULL));
    RUN_TRY(kd_balance_report(u->balance, 1, 0.5));
    RUN_TRY(kd_checkpoint_create(&u->checkpoint, ctx, NULL));
    RUN_TRY(kd_checkpoint_add_balance(u->checkpoint, "balance", u->balance));
    RUN_TRY(kd_checkpoint_save(u->checkpoint, path));
    return kd_checkpoint_load(u->checkpoint, path);
}

static inline kd_status run_tasks(tasks_used *u, kd_context *ctx, const char *folder)
{
    double norms[3], cosines[9];
    kd_metric metric = { .struct_size = sizeof metric };
    RUN_TRY(make_teachers(u, ctx));
    RUN_TRY(kd_model_create(&u->model, ctx, TASK_STUDENT, NULL));
    RUN_TRY(kd_loss_create(&u->loss, ctx, NULL));
    RUN_TRY(kd_targets_create(&u->targets, ctx, NULL));
    RUN_TRY(add_tasks(u));
    RUN_TRY(fill_batch(u, ctx));
    RUN_TRY(kd_loss_keep_outputs(u->loss, u->model, u->teacher));
    for (int i = 0; i < 2; i++) RUN_TRY(kd_teacher_read(u->teacher, u->batch, u->targets));
    RUN_TRY(kd_model_forward(u->model, u->batch, KD_MODE_TRAIN));
    RUN_TRY(
        kd_loss_measure_gradients(u->loss, u->model, u->batch, u->targets, NULL, norms, cosines));
    RUN_TRY(kd_loss_backward(u->loss, u->model, u->batch, u->targets, NULL, NULL));
    const double x[4] = { 1, 2, 3, 5 }, y[4] = { 1, 3, 2, 4 };
    RUN_TRY(kd_metrics_measure_correlation(ctx, KD_CORRELATION_SPEARMAN, x, y, 4, &metric));
    return balance_tasks(u, ctx, folder);
}

static inline kd_status use_tasks(kd_context *ctx, const char *folder)
{
    tasks_used u = { 0 };
    for (int i = 0; i < TASK_ROWS * TASK_CLASSES; i++) u.logits[i] = (float)sin(1.7 * i * i);
    const kd_status status = run_tasks(&u, ctx, folder);
    kd_checkpoint_free(u.checkpoint);
    kd_balance_free(u.balance);
    kd_targets_free(u.targets);
    kd_batch_free(u.batch);
    kd_loss_free(u.loss);
    kd_teacher_free(u.teacher);
    for (int i = 0; i < 3; i++) kd_teacher_free(u.member[i]);
    kd_model_free(u.live);
    kd_model_free(u.model);
    return status;
}

#endif
