/* Feature terms on arrays: rows of a student, rows of a teacher, one loss. */
#ifndef UNIT_FEATUREKIT_H
#define UNIT_FEATUREKIT_H

#include "unit.h"

enum { MOST_NUMBERS = 4096 };

static kd_context *ctx;
static kd_batch *batch;
static kd_targets *targets;
static kd_loss *loss;
/* rows of the student, of the teacher, and the gradient of the first */
static float side_s[MOST_NUMBERS], side_t[MOST_NUMBERS], side_ds[MOST_NUMBERS];

static inline void setup(void)
{
    ctx = make_context(2);
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
}

static inline void teardown(void)
{
    kd_loss_free(loss);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_context_free(ctx);
}

/* Numbers without a pattern in -1 .. 1. */
static inline void fill(float *x, int64_t count, double start)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)sin(start + 12.9898 * (double)(i + 1) * start);
}

static inline int32_t add_feature(int32_t kind)
{
    int32_t term;
    OK(kd_loss_add(loss, kind, 1, NULL, &term));
    return term;
}

static inline void add_projection(int32_t term, int32_t kind, int32_t start, const char *name)
{
    kd_projection_options o = KD_PROJECTION_OPTIONS_INIT;
    o.kind = kind;
    o.start = start;
    o.name = name;
    OK(kd_loss_set_projection(loss, term, &o));
}

/* The rows of side_s (rows, f) beside those of side_t (rows, t). */
static inline void begin_rows(int64_t rows, int64_t t)
{
    kd_array ts = KD_ARRAY_2D(side_t, KD_FLOAT32, rows, t);
    OK(kd_batch_begin(batch, rows));
    OK(kd_targets_begin(targets, rows));
    OK(kd_targets_set(targets, "hidden", &ts, NULL));
}

static inline kd_status run_rows(int64_t rows, int64_t f, float *ds, kd_loss_result *result)
{
    kd_array ss = KD_ARRAY_2D(side_s, KD_FLOAT32, rows, f),
             dss = KD_ARRAY_2D(ds, KD_FLOAT32, rows, f);
    kd_loss_output output = { sizeof output, 0, "hidden", &ss, ds ? &dss : NULL, NULL };
    memset(result, 0, sizeof *result);
    result->struct_size = sizeof *result;
    return kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, result);
}

static inline kd_array tensor_named(const char *name, kd_array *gradient)
{
    int32_t count;
    OK(kd_loss_tensor_count(loss, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *found;
        kd_array values;
        OK(kd_loss_tensor(loss, i, &found, &values));
        if (strcmp(found, name)) continue;
        if (gradient) OK(kd_loss_tensor_gradient(loss, i, gradient));
        return values;
    }
    ck_abort_msg("no tensor '%s'", name);
    return (kd_array){ 0 };
}

static inline void set_integers(const char *name, int64_t *values, int64_t rows)
{
    kd_array array = KD_ARRAY_1D(values, KD_INT64, rows);
    OK(kd_batch_set(batch, name, &array, NULL));
}

#endif
