/* Kinds that compare one row with one row, and what rows are normalized to. */
#include <math.h>
#include <string.h>

#include "core/loss/features.h"
#include "core/relation/relation.h"
#include "nn/ranges.h"

static void put(kd__compared *row, int64_t i, double gradient)
{
    row->ds[i] = (float)(row->scale * gradient);
}

/* 1/n sum (s - t)^2          ds = 2 (s - t) / n */
void kd__compare_squares(kd__compared *row)
{
    const double n = (double)row->n;
    for (int64_t i = 0; i < row->n; i++) {
        const double d = (double)row->s[i] - row->t[i];
        row->value += d * d / n;
        if (row->ds) put(row, i, 2 * d / n);
    }
}

/* 1/n sum of d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2)          ds = clamp(d) / n */
void kd__compare_huber(kd__compared *row)
{
    const double delta = row->term->numbers.huber_delta, n = (double)row->n;
    for (int64_t i = 0; i < row->n; i++) {
        const double d = (double)row->s[i] - row->t[i], size = fabs(d);
        row->value += (size <= delta ? 0.5 * d * d : delta * (size - 0.5 * delta)) / n;
        if (row->ds) put(row, i, (size <= delta ? d : d > 0 ? delta : -delta) / n);
    }
}

/* Squares that leave the range of float32 are summed in double. */
static double length(const kd__kernels *kernels, const float *x, int64_t n)
{
    double square = kernels->sum_squares(x, n);
    if (square > 1e-20 && square < 1e30) return sqrt(square);
    square = 0;
    for (int64_t i = 0; i < n; i++) square += (double)x[i] * x[i];
    return sqrt(square);
}

/* 1 - u w of unit rows, as 1/2 |u - w|^2, which keeps its digits near 0
 *     ds = ((u w) u - w) / |s| */
void kd__compare_cosine(kd__compared *row)
{
    const double s = length(row->kernels, row->s, row->n);
    const double t = length(row->kernels, row->t, row->n);
    double apart = 0;
    if (!(s > 0 && t > 0)) {
        row->state = KD__ROW_NONFINITE;
        return;
    }
    for (int64_t i = 0; i < row->n; i++) {
        const double d = row->s[i] / s - row->t[i] / t;
        apart += d * d;
    }
    row->value = 0.5 * apart;
    const double cosine = 1 - row->value;
    for (int64_t i = 0; i < row->n && row->ds; i++)
        put(row, i, (cosine * (row->s[i] / s) - row->t[i] / t) / s);
}

/* |s - t|          ds = (s - t) / |s - t|, 0 at 0 */
void kd__compare_distance(kd__compared *row)
{
    double sum = 0;
    for (int64_t i = 0; i < row->n; i++) {
        const double d = (double)row->s[i] - row->t[i];
        sum += d * d;
    }
    row->value = sqrt(sum);
    const double inverse = sum > 0 ? 1 / row->value : 0;
    for (int64_t i = 0; i < row->n && row->ds; i++)
        put(row, i, ((double)row->s[i] - row->t[i]) * inverse);
}

/* 1/n sum 1/2 log v + (s - t)^2 / (2 v)          ds = (s - t) / (n v) */
void kd__compare_variational(kd__compared *row)
{
    const double n = (double)row->n;
    row->value = row->log_variance;
    for (int64_t i = 0; i < row->n; i++) {
        const double d = (double)row->s[i] - row->t[i];
        row->value += 0.5 * d * d * row->precision[i] / n;
        if (row->ds) put(row, i, d * row->precision[i] / n);
    }
}

/* Attention transfer (core/relation). */
void kd__compare_maps(kd__compared *row)
{
    const int64_t *a = row->shape, *b = row->teacher_shape;
    const kd__maps student = { row->s, a[0], a[1], a[2] }, teacher = { row->t, b[0], b[1], b[2] };
    int32_t degenerate = 0;
    row->value =
        kd__attention_transfer(&student, &teacher, row->scale, row->ds, row->room, &degenerate);
    if (degenerate) row->state = KD__ROW_NONFINITE;
}

/* ---- normalization ---- */

#define LAYER_EPSILON 1e-5

static float to_length(const kd__kernels *kernels, float *x, int64_t n, uint8_t *bad)
{
    const double size = length(kernels, x, n), inverse = size > 0 ? 1 / size : 0;
    *bad = !(size > 0);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(x[i] * inverse);
    return (float)inverse;
}

static float to_deviation(float *x, int64_t n)
{
    double mean = 0, square = 0;
    for (int64_t i = 0; i < n; i++) mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++) square += (x[i] - mean) * (x[i] - mean) / (double)n;
    const double inverse = 1 / sqrt(square + LAYER_EPSILON);
    for (int64_t i = 0; i < n; i++) x[i] = (float)((x[i] - mean) * inverse);
    return (float)inverse;
}

static void normalize_some(const kd__kernels *kernels, const void *argument, int64_t first,
                           int64_t end)
{
    const kd__side_rows *side = argument;
    for (int64_t r = first; r < end; r++) {
        float *x = side->x + r * side->width;
        side->factor[r] = side->normalize == KD_NORMALIZE_ROWS
                              ? to_length(kernels, x, side->width, &side->bad[r])
                              : to_deviation(x, side->width);
    }
}

void kd__normalize_rows(const kd__rows *rows, const kd__side_rows *side)
{
    memset(side->bad, 0, (size_t)rows->count);
    if (side->normalize != KD_NORMALIZE_NONE) kd__for_rows(rows, normalize_some, side);
}

typedef struct {
    const kd__side_rows *side;
    float *dx;
} back;

/* y = x / |x|: dx = (dy - (dy y) y) / |x|; y = (x - mean) / deviation: dx = (dy - mean dy - y mean
 * (dy y)) / deviation */
static void back_some(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const back *b = argument;
    const int64_t n = b->side->width;
    const int rows = b->side->normalize == KD_NORMALIZE_ROWS;
    (void)kernels;
    for (int64_t r = first; r < end; r++) {
        const float *y = b->side->x + r * n;
        float *dx = b->dx + r * n;
        double along = 0, mean = 0;
        for (int64_t i = 0; i < n; i++) along += (double)dx[i] * y[i];
        for (int64_t i = 0; i < n && !rows; i++) mean += dx[i] / (double)n;
        if (!rows) along /= (double)n;
        for (int64_t i = 0; i < n; i++)
            dx[i] = (float)((dx[i] - mean - along * y[i]) * b->side->factor[r]);
    }
}

void kd__normalize_back(const kd__rows *rows, const kd__side_rows *side, float *dx)
{
    const back b = { side, dx };
    if (side->normalize != KD_NORMALIZE_NONE) kd__for_rows(rows, back_some, &b);
}
