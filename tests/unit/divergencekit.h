/* One loss on a batch of one row, beside a teacher dense or sparse. */
#ifndef UNIT_DIVERGENCEKIT_H
#define UNIT_DIVERGENCEKIT_H

#include "termskit.h"

#include "goldens/vectors.h"

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

static inline kd_term_options plain(double t)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    o.temperature = t;
    o.t2 = KD_T2_OFF;
    return o;
}

static inline void restart(int32_t kind, const kd_term_options *o)
{
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, kind, 1, o, NULL));
    set_numbers(loss, 0, &numbers);
}

/* One row on what the targets hold. */
static inline kd_status row(const float *z, int64_t n, float *dz, double *value)
{
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, 1, n), dzs = KD_ARRAY_2D(dz, KD_FLOAT32, 1, n);
    kd_loss_output output = { sizeof output, 0, "logits", &zs, dz ? &dzs : NULL, NULL };
    kd_loss_result result = { .struct_size = sizeof result };
    kd_status status = kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, &result);
    *value = result.sum[0];
    return status;
}

static inline void dense(const float *v, int64_t n)
{
    kd_array vs = KD_ARRAY_2D(v, KD_FLOAT32, 1, n);
    OK(kd_batch_begin(batch, 1));
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_set(targets, "logits", &vs, NULL));
}

static inline void top(const float *v, int64_t n, int64_t k, double t)
{
    kd_array vs = KD_ARRAY_2D(v, KD_FLOAT32, 1, n);
    OK(kd_batch_begin(batch, 1));
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_select(targets, "topk", &vs, k, 0, t, NULL));
}

static const float golden_z[8] = { 1.5f, -0.25f, 0.75f, 2, -1, 0, 0.5f, -2 },
                   golden_v[8] = { 0.5f, 1, -0.5f, 3, 0.25f, -1.5f, 2, -0.75f };

static uint64_t stream;

static inline double uniform(void)
{
    stream = stream * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(stream >> 11) * 0x1p-53;
}

static inline double normal(void)
{
    return sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform());
}

static inline void fill(float *z, float *v, int64_t n, double spread)
{
    for (int64_t i = 0; i < n; i++)
        z[i] = (float)(spread * normal()), v[i] = (float)(spread * normal());
}

static inline double value_of(int32_t kind, const kd_term_options *o, const float *z, int64_t n,
                              float *dz)
{
    double value;
    restart(kind, o);
    OK(row(z, n, dz, &value));
    return value;
}

#endif
