/* Numbers that make inputs of 8-bit products even. Legend in smooth.h; n inputs of a product. */
#include "language/trunk/smooth.h"

#include <math.h>

#include "base/memory.h"
#include "base/numbers.h"

#define TOKENS 256
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
    for (uint64_t text = 0; text < TOKENS / KD__SMOOTH_ROWS && status == KD_OK; text++) {
        kd_batch *batch = NULL;
        status = kd__trunk_random_tokens(&batch, model, text, KD__SMOOTH_ROWS, KD__SMOOTH_ROWS);
        if (status == KD_OK) status = measure(model, pass, batch, *squares);
        kd_batch_free(batch);
    }
    return status;
}

/* ---- the numbers ---- */

/* sqrt(r / w), or 0 where a side is silent or not finite: such inputs stay as they are. */
static double ratio_of(double r, double w)
{
    const double s = r > 0 && w > 0 ? pow(r / w, 0.25) : 0; /* of squares */
    return isfinite(s) ? s : 0;
}

void kd__smooth_numbers(const double *squares, const float *w, int64_t outputs, int64_t inputs,
                        double *columns, float *s)
{
    double logs = 0;
    int64_t live = 0;
    for (int64_t j = 0; j < inputs; j++) columns[j] = 0;
    for (int64_t i = 0; i < outputs; i++)
        for (int64_t j = 0; j < inputs; j++)
            columns[j] += (double)w[i * inputs + j] * w[i * inputs + j];
    for (int64_t j = 0; j < inputs; j++) {
        columns[j] = ratio_of(squares[j], columns[j]);
        if (columns[j] > 0) logs += log(columns[j]), live++;
    }
    const double mean = live ? exp(logs / (double)live) : 1;
    for (int64_t j = 0; j < inputs; j++)
        s[j] = columns[j] > 0 ? (float)fmin(fmax(columns[j] / mean, 1 / MOST), MOST) : 1;
}
