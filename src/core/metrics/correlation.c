/* How two arrays of values go together: Pearson's correlation, and Spearman's, which is that of
 * ranks. */
#include <kdistill/metrics.h>

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "core/metrics/spread.h"

static kd_status check_finite(const char *name, const double *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        KD_FAIL_IF(!isfinite(values[i]), KD_ERR_NONFINITE, "%s: value %lld is %g", name,
                   (long long)i, values[i]);
    return KD_OK;
}

/* ---- Pearson ---- */

/* A power of two that brings the largest value to about 1, so that no square overflows. */
static double scale_of(const double *values, int64_t count)
{
    double largest = 0;
    int exponent;
    for (int64_t i = 0; i < count; i++) largest = fmax(largest, fabs(values[i]));
    frexp(largest, &exponent);
    return ldexp(1, kd__min(-exponent, 1000));
}

static double mean_of(const double *values, int64_t count, double scale)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += values[i] * scale;
    return sum / (double)count;
}

static int is_constant(const double *values, int64_t count)
{
    for (int64_t i = 1; i < count; i++)
        if (values[i] != values[0]) return 0;
    return 1;
}

/*   r = sum (x - mx)(y - my) / sqrt(sum (x - mx)^2 sum (y - my)^2) */
static double pearson(const double *x, const double *y, int64_t count)
{
    const double scale_x = scale_of(x, count), scale_y = scale_of(y, count);
    const double mx = mean_of(x, count, scale_x), my = mean_of(y, count, scale_y);
    double xx = 0, yy = 0, xy = 0;
    if (is_constant(x, count) || is_constant(y, count)) return NAN;
    for (int64_t i = 0; i < count; i++) {
        const double dx = x[i] * scale_x - mx, dy = y[i] * scale_y - my;
        xx += dx * dx;
        yy += dy * dy;
        xy += dx * dy;
    }
    return fmax(-1, fmin(1, xy / (sqrt(xx) * sqrt(yy))));
}

/* ---- Spearman ---- */

typedef struct {
    double value;
    int64_t at;
} placed;

static int by_value(const void *a, const void *b)
{
    const double left = ((const placed *)a)->value, right = ((const placed *)b)->value;
    return (left > right) - (left < right);
}

/* Ranks from 1; equal values share the mean of theirs. */
static void rank(const double *values, int64_t count, placed *sorted, double *ranks)
{
    for (int64_t i = 0; i < count; i++) sorted[i] = (placed){ values[i], i };
    qsort(sorted, (size_t)count, sizeof *sorted, by_value);
    for (int64_t first = 0, end; first < count; first = end) {
        for (end = first; end < count && sorted[end].value == sorted[first].value;) end++;
        for (int64_t i = first; i < end; i++) ranks[sorted[i].at] = (double)(first + 1 + end) / 2;
    }
}

static kd_status spearman(kd_context *context, const double *x, const double *y, int64_t count,
                          double *correlation)
{
    placed *sorted = NULL;
    double *ranks = NULL;
    kd_status status;
    KD_TRY_GOTO(status, KD_NEW(context, &sorted, count), done);
    KD_TRY_GOTO(status, KD_NEW(context, &ranks, 2 * count), done);
    rank(x, count, sorted, ranks);
    rank(y, count, sorted, ranks + count);
    *correlation = pearson(ranks, ranks + count, count);
done:
    kd__release(context, sorted);
    kd__release(context, ranks);
    return status;
}

/* ---- errors ---- */

static kd_metric with_error(int32_t kind, double r, int64_t count)
{
    kd_metric m = { .struct_size = sizeof m, .value = r, .rows = count };
    const double spread = kind == KD_CORRELATION_SPEARMAN ? 1 + r * r / 2 : 1;
    const double z = atanh(r), error = count > 3 ? sqrt(spread / (double)(count - 3)) : NAN;
    m.standard_error = (1 - r * r) * error;
    m.low = tanh(z - KD__NORMAL_95 * error);
    m.high = tanh(z + KD__NORMAL_95 * error);
    return m;
}

kd_status kd_metrics_measure_correlation(kd_context *context, int32_t kind, const double *x,
                                         const double *y, int64_t count, kd_metric *metric)
{
    double r;
    KD_NEED(metric);
    KD_TRY(kd_metrics_correlation(context, kind, x, y, count, &r));
    const kd_metric made = with_error(kind, r, count);
    return kd__info_write(metric, &made, sizeof made, "kd_metric");
}

kd_status kd_metrics_correlation(kd_context *context, int32_t kind, const double *x,
                                 const double *y, int64_t count, double *correlation)
{
    KD_NEED(context);
    KD_NEED(x);
    KD_NEED(y);
    KD_NEED(correlation);
    KD_FAIL_IF(count < 2 || count > INT64_MAX / 64, KD_ERR_RANGE,
               "correlation: expected 2 values or more, got %lld", (long long)count);
    KD_FAIL_IF(kind != KD_CORRELATION_PEARSON && kind != KD_CORRELATION_SPEARMAN, KD_ERR_RANGE,
               "correlation: expected KD_CORRELATION_PEARSON or KD_CORRELATION_SPEARMAN, got %d",
               kind);
    KD_TRY(check_finite("x", x, count));
    KD_TRY(check_finite("y", y, count));
    if (kind == KD_CORRELATION_SPEARMAN) return spearman(context, x, y, count, correlation);
    *correlation = pearson(x, y, count);
    return KD_OK;
}
