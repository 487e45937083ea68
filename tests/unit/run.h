/* A whole small run: everything that a checkpoint holds, on made-up images. Used by tests of
 * resume, threads and memory. */
#ifndef RUN_H
#define RUN_H

#include <kdistill.h>
#include <math.h>
#include <string.h>

enum { RUN_SAMPLES = 60, RUN_PIXELS = 36, RUN_CLASSES = 3, RUN_STEPS = 12 };

typedef struct {
    kd_dataset *data;
    kd_loader *loader;
    kd_batch *batch;
    kd_teacher *teacher;
    kd_targets *targets;
    kd_model *model;
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_schedule *rate;
    kd_monitor *monitor;
    kd_checkpoint *checkpoint;
    int64_t step;
    const char *config; /* NULL: a small network of 0.1; or RUN_IMAGES */
    float images[RUN_SAMPLES][RUN_PIXELS], logits[RUN_SAMPLES][RUN_CLASSES];
    uint8_t labels[RUN_SAMPLES];
} run_parts;

#define RUN_TRY(call)                                                                              \
    do {                                                                                           \
        kd_status run_status = (call);                                                             \
        if (run_status < 0) return run_status;                                                     \
    } while (0)

/* Batch norms, groups, a sum of two branches, pooling by means. */
#define RUN_IMAGES                                                                                 \
    "{\"model_type\":\"sequential\",\"input_shape\":[1,6,6],\"layers\":[{\"type\":\"conv2d\","     \
    "\"channels\":4,\"kernel_size\":3,\"padding\":1,\"bias\":false},{\"type\":\"batch_norm2d\","   \
    "\"activation\":\"relu6\",\"name\":\"stem\"},{\"type\":\"conv2d\",\"channels\":4,"             \
    "\"kernel_size\":3,\"stride\":2,\"padding\":1,\"groups\":4,\"bias\":false},"                   \
    "{\"type\":\"batch_norm2d\",\"name\":\"body\"},{\"type\":\"conv2d\",\"from\":\"stem\","        \
    "\"channels\":4,\"kernel_size\":1,\"stride\":2,\"bias\":false},{\"type\":\"batch_norm2d\"},"   \
    "{\"type\":\"add\",\"from\":\"body\",\"activation\":\"hardswish\"},"                           \
    "{\"type\":\"dropout\",\"p\":0.1},{\"type\":\"global_avg_pool2d\"},"                           \
    "{\"type\":\"linear\",\"units\":6},{\"type\":\"batch_norm1d\",\"activation\":\"silu\"},"       \
    "{\"type\":\"linear\",\"units\":3}]}"

static inline kd_status run_make(run_parts *r, kd_context *ctx)
{
    static const char config[] =
        "{\"model_type\":\"sequential\",\"input_shape\":[1,6,6],\"layers\":[{\"type\":\"conv2d\","
        "\"channels\":4,\"kernel_size\":3,"
        "\"activation\":\"relu\"},{\"type\":\"max_pool2d\",\"kernel_size\":2},{\"type\":\"linear\","
        "\"units\":20,"
        "\"activation\":\"gelu\"},{\"type\":\"dropout\",\"p\":0.2},{\"type\":\"linear\",\"units\":"
        "3}]}";
    const int64_t dims[3] = { RUN_SAMPLES, 6, 6 };
    kd_array x, y = KD_ARRAY_1D(r->labels, KD_UINT8, RUN_SAMPLES),
                v = KD_ARRAY_2D(r->logits, KD_FLOAT32, RUN_SAMPLES, RUN_CLASSES);
    kd_loader_options lo = KD_LOADER_OPTIONS_INIT;
    kd_teacher_options to = KD_TEACHER_OPTIONS_INIT;
    kd_optimizer_options oo = KD_OPTIMIZER_OPTIONS_INIT;
    kd_plateau_options po = KD_PLATEAU_OPTIONS_INIT;
    kd_term_options term = KD_TERM_OPTIONS_INIT;
    for (int i = 0; i < RUN_SAMPLES; i++) {
        r->labels[i] = (uint8_t)(i % RUN_CLASSES);
        for (int k = 0; k < RUN_PIXELS; k++)
            r->images[i][k] = (float)sin(0.3 * i * k + i % RUN_CLASSES);
        for (int c = 0; c < RUN_CLASSES; c++)
            r->logits[i][c] = (float)(2 * cos(i + c) + (c == i % RUN_CLASSES));
    }
    RUN_TRY(kd_array_init(&x, r->images, KD_FLOAT32, 3, dims));
    RUN_TRY(kd_dataset_create(&r->data, ctx, NULL));
    RUN_TRY(kd_dataset_add(r->data, "inputs", &x, NULL));
    RUN_TRY(kd_dataset_add(r->data, "label", &y, NULL));
    lo.batch_size = 16;
    lo.shift = 1;
    RUN_TRY(kd_loader_create(&r->loader, r->data, &lo));
    RUN_TRY(kd_batch_create(&r->batch, ctx, NULL));
    to.any_view = 1;
    RUN_TRY(kd_teacher_create(&r->teacher, ctx, NULL, &to));
    RUN_TRY(kd_teacher_add(r->teacher, "logits", &v));
    RUN_TRY(kd_targets_create(&r->targets, ctx, NULL));
    RUN_TRY(kd_model_create(&r->model, ctx, r->config ? r->config : config, NULL));
    RUN_TRY(kd_loss_create(&r->loss, ctx, NULL));
    term.temperature = 3;
    RUN_TRY(kd_loss_add(r->loss, KD_LOSS_FORWARD_KL, 0.5, &term, NULL));
    RUN_TRY(kd_loss_add(r->loss, KD_LOSS_CROSS_ENTROPY, 0.5, NULL, NULL));
    oo.clip_norm = 1;
    oo.average_decay = 0.9;
    oo.weight_decay = 0.01;
    RUN_TRY(kd_optimizer_create(&r->optimizer, ctx, KD_OPTIMIZER_ADAMW, &oo));
    RUN_TRY(kd_optimizer_add_model(r->optimizer, r->model));
    po.value = 0.01;
    po.patience = 1;
    RUN_TRY(kd_schedule_create_plateau(&r->rate, ctx, &po));
    RUN_TRY(kd_monitor_create(&r->monitor, r->model, NULL));
    RUN_TRY(kd_checkpoint_create(&r->checkpoint, ctx, NULL));
    RUN_TRY(kd_checkpoint_add_model(r->checkpoint, "student", r->model));
    RUN_TRY(kd_checkpoint_add_optimizer(r->checkpoint, "optimizer", r->optimizer));
    RUN_TRY(kd_checkpoint_add_loader(r->checkpoint, "loader", r->loader));
    RUN_TRY(kd_checkpoint_add_schedule(r->checkpoint, "rate", r->rate));
    RUN_TRY(kd_checkpoint_add_loss(r->checkpoint, "loss", r->loss));
    RUN_TRY(kd_checkpoint_add_monitor(r->checkpoint, "monitor", r->monitor));
    return kd_checkpoint_borrow_bytes(r->checkpoint, "step", &r->step, sizeof r->step);
}

/* Trains up to step `until`. */
static inline kd_status run_steps(run_parts *r, int64_t until)
{
    kd_loss_result result;
    memset(&result, 0, sizeof result);
    result.struct_size = sizeof result;
    while (r->step < until) {
        kd_status status = kd_loader_next(r->loader, r->batch);
        if (status == KD_END) continue;
        RUN_TRY(status);
        RUN_TRY(kd_loss_set(r->loss, 0, KD_TERM_TEMPERATURE, 3 - 0.1 * (double)r->step));
        RUN_TRY(kd_teacher_read(r->teacher, r->batch, r->targets));
        RUN_TRY(kd_model_forward(r->model, r->batch, KD_MODE_TRAIN));
        RUN_TRY(kd_loss_backward(r->loss, r->model, r->batch, r->targets, NULL, &result));
        RUN_TRY(kd_optimizer_step(r->optimizer, kd_schedule_value(r->rate, r->step)));
        RUN_TRY(kd_schedule_report(r->rate, result.value));
        RUN_TRY(kd_monitor_report(r->monitor, -result.value, NULL));
        r->step++;
    }
    return KD_OK;
}

static inline void run_free(run_parts *r)
{
    kd_dataset_free(r->data); /* in any order */
    kd_model_free(r->model);
    kd_loader_free(r->loader);
    kd_batch_free(r->batch);
    kd_targets_free(r->targets);
    kd_teacher_free(r->teacher);
    kd_loss_free(r->loss);
    kd_schedule_free(r->rate);
    kd_monitor_free(r->monitor);
    kd_checkpoint_free(r->checkpoint);
    kd_optimizer_free(r->optimizer);
}

#endif
