/* Layers by what they change of the stream that goes through them.
 * [Men et al. 2024, ShortGPT, eq. 1]
 *   influence_l = 1 - mean over rows of cos(x_l, x_(l + 1))
 * Legend: R rows, d numbers a row, L layers; x_l (R, d) enters layer l. */
#include <kdistill/student.h>

#include <math.h>

#include "base/memory.h"
#include "language/students/cutter.h"

#define RANDOM_TOKENS 256

kd_status kd__calibration_of(kd_model *teacher, kd_batch *calibration, kd_batch **used,
                             kd_batch **own)
{
    *own = NULL;
    *used = calibration;
    if (calibration) return KD_OK;
    KD_FAIL_IF(kd__trunk_config_of(teacher)->patches.channels, KD_ERR_INVALID,
               "calibration: expected a batch of images, got NULL: random ones stand for none");
    KD_TRY(kd__trunk_random_tokens(own, teacher, 0, RANDOM_TOKENS, RANDOM_TOKENS));
    *used = *own;
    return KD_OK;
}

/* 0 where one of them is. */
static double cosine(const float *x, const float *y, int64_t n)
{
    double xx = 0, yy = 0, xy = 0;
    for (int64_t i = 0; i < n; i++) {
        xx += (double)x[i] * x[i];
        yy += (double)y[i] * y[i];
        xy += (double)x[i] * y[i];
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
}

static void measure(const kd__trunk_config *t, const kd__trunk_pass *pass, double *influence)
{
    for (int64_t l = 0; l < t->layers; l++) {
        const float *x = pass->block + pass->plan.x + l * pass->plan.x_step,
                    *y = x + pass->plan.x_step;
        double sum = 0;
        for (int64_t r = 0; r < pass->rows; r++)
            sum += cosine(x + r * t->hidden, y + r * t->hidden, t->hidden);
        influence[l] = 1 - sum / (double)pass->rows;
    }
}

/* A pass of its own that keeps what enters each layer, and no more of it. */
static kd_status measure_all(kd_model *teacher, kd_batch *batch, double *influence)
{
    const kd__trunk_config *t = kd__trunk_config_of(teacher);
    const kd__trunk_kept streams = { .recompute = t->layers, .dtype = KD_FLOAT32 };
    kd__trunk_pass pass = { 0 };
    const kd_status status = kd__trunk_forward(teacher, &pass, streams, batch, 1);
    if (status == KD_OK) measure(t, &pass, influence);
    kd__trunk_pass_free(&pass, teacher->object.context);
    return status;
}

static kd_status measure_on(kd_model *teacher, kd_batch *calibration, double *influence)
{
    kd_batch *batch, *own;
    KD_TRY(kd__calibration_of(teacher, calibration, &batch, &own));
    const kd_status status = measure_all(teacher, batch, influence);
    kd_batch_free(own);
    return status;
}

kd_status kd_student_measure_influence(kd_model *teacher, kd_batch *calibration, double *influence,
                                       int32_t capacity, int32_t *count)
{
    KD_NEED(teacher);
    KD_NEED(count);
    KD_FAIL_IF(!kd__has_trunk(teacher), KD_ERR_UNSUPPORTED,
               "influence: the model has no layers of attention (model_type: %s)",
               teacher->net.engine->model_types);
    *count = (int32_t)kd__trunk_config_of(teacher)->layers;
    if (!influence) return KD_OK;
    KD_FAIL_IF(capacity < *count, KD_ERR_RANGE,
               "influence: the teacher has %d layers, got room "
               "for %d",
               *count, capacity);
    KD_TRY(kd__model_refresh(teacher));
    return measure_on(teacher, calibration, influence);
}

/* The layer of the largest influence that is not taken yet, the lower of equal ones. */
static int64_t next_of(const double *influence, const uint8_t *taken, int64_t layers)
{
    int64_t best = -1;
    for (int64_t l = 0; l < layers; l++)
        if (!taken[l] && (best < 0 || influence[l] > influence[best])) best = l;
    return best;
}

kd_status kd__influential_layers(kd_model *teacher, kd_batch *calibration, int64_t layers,
                                 int32_t *map)
{
    kd_context *context = teacher->object.context;
    const int64_t whole = kd__trunk_config_of(teacher)->layers;
    double *influence = NULL;
    uint8_t *taken = NULL;
    kd_status status = KD_NEW(context, &influence, whole);
    if (status == KD_OK) status = KD_NEW(context, &taken, whole);
    if (status == KD_OK) status = measure_on(teacher, calibration, influence);
    if (status == KD_OK) taken[whole - 1] = 1;
    for (int64_t i = 1; i < layers && status == KD_OK; i++)
        taken[next_of(influence, taken, whole)] = 1;
    for (int64_t l = 0, i = 0; l < whole && status == KD_OK; l++)
        if (taken[l]) map[i++] = (int32_t)l;
    kd__release(context, influence);
    kd__release(context, taken);
    return status;
}
