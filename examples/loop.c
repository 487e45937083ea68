/* The loop that a host writes: a student learns from a teacher's logits and from labels, both given
 * as arrays.
 *
 * The task is made here: points in eight dimensions, labeled by which of four directions they lie
 * along most. The teacher's logits are those scores; a few labels are wrong, the teacher is right.
 * The student is a small multi-layer perceptron. */
#include "check.h"

#include <math.h>

enum { SAMPLES = 4000, DIMS = 8, CLASSES = 4, BATCH = 100, EPOCHS = 8 };

static float points[SAMPLES][DIMS], scores[SAMPLES][CLASSES];
static int64_t labels[SAMPLES];

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(*state >> 11) / 9007199254740992.0;
}

static void make_task(void)
{
    uint64_t state = 1;
    float directions[CLASSES][DIMS];
    for (int c = 0; c < CLASSES; c++)
        for (int d = 0; d < DIMS; d++) directions[c][d] = (float)(2 * uniform(&state) - 1);
    for (int i = 0; i < SAMPLES; i++) {
        int best = 0;
        for (int d = 0; d < DIMS; d++) points[i][d] = (float)(2 * uniform(&state) - 1);
        for (int c = 0; c < CLASSES; c++) {
            scores[i][c] = 0;
            for (int d = 0; d < DIMS; d++) scores[i][c] += 4 * directions[c][d] * points[i][d];
            if (scores[i][c] > scores[i][best]) best = c;
        }
        labels[i] = uniform(&state) < 0.1 ? (int64_t)(uniform(&state) * CLASSES) : best;
    }
}

int main(void)
{
    kd_context *ctx;
    kd_dataset *data;
    kd_loader *loader;
    kd_batch *batch;
    kd_teacher *teacher;
    kd_targets *targets;
    kd_model *student;
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_schedule *learning_rate, *temperature;
    int32_t soft, hard;
    make_task();

    CHECK(kd_context_create(&ctx, NULL));
    kd_array x = KD_ARRAY_2D(points, KD_FLOAT32, SAMPLES, DIMS),
             y = KD_ARRAY_1D(labels, KD_INT64, SAMPLES);
    kd_array v = KD_ARRAY_2D(scores, KD_FLOAT32, SAMPLES, CLASSES);
    CHECK(kd_dataset_create(&data, ctx, NULL));
    CHECK(kd_dataset_borrow(data, "inputs", &x, NULL));
    CHECK(kd_dataset_borrow(data, "label", &y, NULL));
    kd_loader_options lo = KD_LOADER_OPTIONS_INIT;
    lo.batch_size = BATCH;
    lo.epochs = EPOCHS;
    CHECK(kd_loader_create(&loader, data, &lo));
    CHECK(kd_batch_create(&batch, ctx, NULL));

    CHECK(kd_teacher_create(&teacher, ctx, NULL, NULL)); /* logits by sample number */
    CHECK(kd_teacher_borrow(teacher, "logits", &v));
    CHECK(kd_targets_create(&targets, ctx, NULL));

    CHECK(kd_model_create(
        &student, ctx,
        "{\"model_type\": \"mlp\", \"input_size\": 8, \"hidden_sizes\": [32], \"num_labels\": 4}",
        NULL));
    CHECK(kd_loss_create(&loss, ctx, NULL));
    CHECK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 0.9, NULL, &soft));    /* soft labels */
    CHECK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 0.1, NULL, &hard)); /* hard labels */

    CHECK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, NULL));
    CHECK(kd_optimizer_add_model(optimizer, student));
    CHECK(kd_schedule_create_cosine(&learning_rate, ctx, 1e-2, 1e-3, EPOCHS * SAMPLES / BATCH));
    CHECK(kd_schedule_create_linear(&temperature, ctx, 4, 1, EPOCHS * SAMPLES / BATCH));

    kd_loss_counts counts = { .struct_size = sizeof counts };
    kd_loss_result result = { .struct_size = sizeof result };
    kd_status status;
    int64_t step = 0;
    while ((status = kd_loader_next(loader, batch)) == KD_OK) {
        CHECK(kd_loss_set(loss, soft, KD_TERM_TEMPERATURE, kd_schedule_value(temperature, step)));
        /* what the teacher said about this batch */
        CHECK(kd_teacher_read(teacher, batch, targets));
        /* denominators: here of one batch */
        CHECK(kd_loss_count(loss, batch, targets, &counts));
        CHECK(kd_model_forward(student, batch, KD_MODE_TRAIN));
        CHECK(kd_loss_backward(loss, student, batch, targets, &counts, &result));
        CHECK(kd_optimizer_step(optimizer, kd_schedule_value(learning_rate, step)));
        if (++step % 80 == 0)
            printf("step %3lld  T %.2f  loss %.4f  soft %.4f  hard %.4f\n", (long long)step,
                   kd_schedule_value(temperature, step), result.value,
                   result.sum[soft] / (double)result.rows[soft],
                   result.sum[hard] / (double)result.rows[hard]);
    }
    CHECK(status);

    static float predictions[SAMPLES][CLASSES];
    kd_array z = KD_ARRAY_2D(predictions, KD_FLOAT32, SAMPLES, CLASSES);
    kd_metrics *metrics;
    kd_metric agreement = { .struct_size = sizeof agreement };
    CHECK(kd_model_predict(student, data, "logits", 1000, &z));
    CHECK(kd_metrics_create(&metrics, ctx, CLASSES, NULL));
    CHECK(kd_metrics_add(metrics, &z, &y, &v));
    CHECK(kd_metrics_get(metrics, KD_METRIC_AGREEMENT, &agreement));
    printf("agreement with the teacher %.3f (standard error %.3f, %lld samples)\n", agreement.value,
           agreement.standard_error, (long long)agreement.rows);

    kd_metrics_free(metrics);
    kd_schedule_free(temperature);
    kd_schedule_free(learning_rate);
    kd_optimizer_free(optimizer);
    kd_loss_free(loss);
    kd_model_free(student);
    kd_targets_free(targets);
    kd_teacher_free(teacher);
    kd_batch_free(batch);
    kd_loader_free(loader);
    kd_dataset_free(data);
    kd_context_free(ctx);
    return agreement.value > 0.95 ? 0 : 1;
}
