/* One call of a loss on arrays. */
#ifndef UNIT_LOSSKIT_H
#define UNIT_LOSSKIT_H

#include "termskit.h"

#include "goldens/goldens.h"

static kd_context *ctx;
static kd_batch *batch;
static kd_targets *targets;
static kd_loss *loss;
static term_numbers numbers; /* of the term that restart adds */

static inline void setup(void)
{
    ctx = make_context(2);
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    numbers = (term_numbers)TERM_NUMBERS_INIT;
}

static inline void teardown(void)
{
    kd_loss_free(loss);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_context_free(ctx);
}

/* Sets up one call: z, v (rows, n), labels; v and labels may be NULL. */
static inline kd_status evaluate(const float *z, const float *v, const int64_t *labels,
                                 int64_t rows, int64_t n, float *dz, kd_loss_result *result)
{
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, rows, n), vs = KD_ARRAY_2D(v, KD_FLOAT32, rows, n),
             ys = KD_ARRAY_1D(labels, KD_INT64, rows);
    kd_array dzs = KD_ARRAY_2D(dz, KD_FLOAT32, rows, n);
    kd_loss_output output = { sizeof output, 0, "logits", &zs, dz ? &dzs : NULL, NULL };
    memset(result, 0, sizeof *result);
    result->struct_size = sizeof *result;
    OK(kd_batch_begin(batch, rows));
    if (labels) OK(kd_batch_set(batch, "label", &ys, NULL));
    OK(kd_targets_begin(targets, rows));
    if (v) OK(kd_targets_set(targets, "logits", &vs, NULL));
    kd_loss_counts ones = {
        .struct_size = sizeof ones, .terms = 1, .rows = { 1 }, .weights = { 1 }
    };
    return kd_loss_evaluate(loss, &output, 1, batch, targets, &ones, result);
}

static inline void restart(int32_t kind, const kd_term_options *o)
{
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, kind, 1, o, NULL));
    set_numbers(loss, 0, &numbers);
}

#endif
