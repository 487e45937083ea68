/* A host that owns its model and its optimizer, and takes only the loss from the library:
 * kd_loss_evaluate on plain arrays. The model is one matrix; its gradient is the loss's gradient
 * times the input. */
#include "check.h"

#include <math.h>

enum { ROWS = 256, DIMS = 6, CLASSES = 3, STEPS = 200 };

static float x[ROWS][DIMS], teacher_logits[ROWS][CLASSES], logits[ROWS][CLASSES],
    gradient[ROWS][CLASSES], weights[CLASSES][DIMS];

static void forward(void)
{
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < CLASSES; c++) {
            logits[r][c] = 0;
            for (int d = 0; d < DIMS; d++) logits[r][c] += weights[c][d] * x[r][d];
        }
}

static void descend(float learning_rate)
{
    for (int c = 0; c < CLASSES; c++)
        for (int d = 0; d < DIMS; d++)
            for (int r = 0; r < ROWS; r++)
                weights[c][d] -= learning_rate * gradient[r][c] * x[r][d];
}

int main(void)
{
    for (int r = 0; r < ROWS; r++) {
        for (int d = 0; d < DIMS; d++) x[r][d] = sinf((float)(r * DIMS + d) * 1.7f);
        for (int c = 0; c < CLASSES; c++) teacher_logits[r][c] = 2 * x[r][c] - x[r][c + 3];
    }
    kd_context *ctx;
    kd_batch *batch;
    kd_targets *targets;
    kd_loss *loss;
    kd_term_options term = KD_TERM_OPTIONS_INIT;
    term.temperature = 2;
    CHECK(kd_context_create(&ctx, NULL));
    CHECK(kd_loss_create(&loss, ctx, NULL));
    CHECK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, &term, NULL));

    kd_array v = KD_ARRAY_2D(teacher_logits, KD_FLOAT32, ROWS, CLASSES);
    kd_array z = KD_ARRAY_2D(logits, KD_FLOAT32, ROWS, CLASSES),
             dz = KD_ARRAY_2D(gradient, KD_FLOAT32, ROWS, CLASSES);
    kd_loss_output output = { sizeof output, 0, "logits", &z, &dz, NULL };
    kd_loss_result result = { .struct_size = sizeof result };
    double first = 0;
    CHECK(kd_batch_create(&batch, ctx, NULL));
    CHECK(kd_batch_begin(batch, ROWS)); /* labels, masks and weights would be fields of the batch */
    CHECK(kd_targets_create(&targets, ctx, NULL));
    CHECK(kd_targets_begin(targets, ROWS));
    CHECK(kd_targets_borrow(targets, "logits", &v, NULL));
    for (int step = 0; step < STEPS; step++) {
        forward();
        CHECK(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, &result));
        if (!step) first = result.value;
        descend(1.0f);
    }
    printf("KL to the teacher: %.6f at first, %.6f after %d steps\n", first, result.value, STEPS);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_loss_free(loss);
    kd_context_free(ctx);
    return result.value < 0.01 * first ? 0 : 1;
}
