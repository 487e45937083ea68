/* Numbers that make inputs of 8-bit products even. Legend in smooth.h; n inputs of a product. */
#include "language/trunk/smooth.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"

#define TOKENS (KD__SMOOTH_TEXTS * KD__SMOOTH_ROWS)
#define MOST 100.0

/* ---- what enters products ---- */

static void add_squares(const kd__trunk_pass *pass, const float *x, int64_t n, double *to)
{
    for (int64_t s = 0; s < pass->sequences; s++)
        for (int64_t r = pass->offsets[s] + 1; r < pass->offsets[s + 1]; r++)
            for (int64_t i = 0; i < n; i++) to[i] += (double)x[r * n + i] * x[r * n + i];
}

void kd__smooth_measure(const kd__trunk_config *d, const kd__trunk_pass *pass, int64_t layer,
                        int product, const float *x)
{
    if (pass->squares)
        add_squares(pass, x, d->hidden,
                    pass->squares + (layer * KD__SMOOTHED + product) * d->hidden);
}

static kd_status measure(const kd_model *model, kd__trunk_pass *pass, kd_batch *batch,
                         double *squares)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const kd__trunk_kept nothing = { .dtype = KD_FLOAT32 };
    pass->squares = squares;
    const kd_status status = kd__trunk_forward(model, pass, nothing, batch, 0);
    pass->squares = NULL;
    if (status == KD_OK)
        add_squares(pass, pass->block + pass->plan.hidden, d->outer,
                    squares + d->layers * KD__SMOOTHED * d->hidden);
    return status;
}

kd_status kd__smooth_squares(const kd_model *model, kd__trunk_pass *pass, double **squares)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    kd_status status = KD_NEW(model->object.context, squares,
                              (d->layers * KD__SMOOTHED + 1) * kd__max(d->hidden, d->outer));
    for (uint64_t text = 0; text < KD__SMOOTH_TEXTS && status == KD_OK; text++) {
        kd_batch *batch = NULL;
        status = kd__trunk_random_tokens(&batch, model, text, KD__SMOOTH_ROWS, KD__SMOOTH_ROWS);
        if (status == KD_OK) status = measure(model, pass, batch, *squares);
        kd_batch_free(batch);
    }
    return status;
}

/* ---- layer by layer ---- */

/* What layer `layer` leaves is kept; -1: what enters layer 0. */
static kd_status run_to(const kd_model *model, kd__trunk_pass *pass, kd__smooth_run *run, int text,
                        int64_t layer)
{
    const int32_t slot = (int32_t)(KD__SLOT_STREAM + 1 + layer);
    const kd__trunk_kept kept = { .dtype = KD_FLOAT32, .outputs = run->wanted };
    const kd__trunk_config *d = kd__trunk_config_of(model);
    float *stream = run->streams + text * KD__SMOOTH_ROWS * d->hidden;
    run->wanted[slot] = 1;
    pass->squares = layer < 0 ? NULL : run->squares;
    pass->entered = layer < 0 ? NULL : stream;
    pass->first = layer < 0 ? 0 : layer;
    const kd_status status = kd__trunk_forward(model, pass, kept, run->batches[text], 0);
    run->wanted[slot] = 0;
    pass->squares = NULL;
    pass->entered = NULL;
    pass->first = 0;
    if (status == KD_OK)
        memcpy(stream, pass->block + pass->plan.x,
               (size_t)(pass->rows * d->hidden) * sizeof *stream);
    return status;
}

kd_status kd__smooth_begin(kd__smooth_run *run, const kd_model *model, kd__trunk_pass *pass)
{
    kd_context *context = model->object.context;
    const kd__trunk_config *d = kd__trunk_config_of(model);
    kd_status status = KD_NEW(context, &run->squares,
                              (d->layers * KD__SMOOTHED + 1) * kd__max(d->hidden, d->outer));
    if (status == KD_OK) status = KD_NEW(context, &run->wanted, model->net.slots);
    if (status == KD_OK) status = KD_NEW(context, &run->streams, (int64_t)TOKENS * d->hidden);
    for (int text = 0; text < KD__SMOOTH_TEXTS && status == KD_OK; text++) {
        status = kd__trunk_random_tokens(&run->batches[text], model, (uint64_t)text,
                                         KD__SMOOTH_ROWS, KD__SMOOTH_ROWS);
        if (status == KD_OK) status = run_to(model, pass, run, text, -1);
    }
    return status;
}

kd_status kd__smooth_layer(kd__smooth_run *run, const kd_model *model, kd__trunk_pass *pass,
                           int64_t layer)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    for (int text = 0; text < KD__SMOOTH_TEXTS; text++) {
        KD_TRY(run_to(model, pass, run, text, layer));
        if (layer == d->layers - 1)
            add_squares(pass, pass->block + pass->plan.hidden, d->outer,
                        run->squares + d->layers * KD__SMOOTHED * d->hidden);
    }
    return KD_OK;
}

void kd__smooth_end(kd__smooth_run *run, kd_context *context)
{
    for (int text = 0; text < KD__SMOOTH_TEXTS; text++) kd_batch_free(run->batches[text]);
    kd__release(context, run->squares);
    kd__release(context, run->wanted);
    kd__release(context, run->streams);
}

/* ---- the numbers ---- */

/* sqrt(r / w), or 0 where a side is silent or not finite: such inputs stay as they are. */
static double ratio_of(double r, double w)
{
    const double s = r > 0 && w > 0 ? pow(r / w, 0.25) : 0; /* of squares */
    return isfinite(s) ? s : 0;
}

void kd__smooth_add_columns(const float *w, int64_t rows, int64_t inputs, double *columns)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < inputs; j++)
            columns[j] += (double)w[i * inputs + j] * w[i * inputs + j];
}

void kd__smooth_finish(const double *squares, int64_t inputs, double *columns, float *s)
{
    double logs = 0;
    int64_t live = 0;
    for (int64_t j = 0; j < inputs; j++) {
        columns[j] = ratio_of(squares[j], columns[j]);
        if (columns[j] > 0) logs += log(columns[j]), live++;
    }
    const double mean = live ? exp(logs / (double)live) : 1;
    for (int64_t j = 0; j < inputs; j++)
        s[j] = columns[j] > 0 ? (float)fmin(fmax(columns[j] / mean, 1 / MOST), MOST) : 1;
}

void kd__smooth_numbers(const double *squares, const float *w, int64_t outputs, int64_t inputs,
                        double *columns, float *s)
{
    for (int64_t j = 0; j < inputs; j++) columns[j] = 0;
    kd__smooth_add_columns(w, outputs, inputs, columns);
    kd__smooth_finish(squares, inputs, columns, s);
}
