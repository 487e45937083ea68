/* What is compared: the rows of a side scaled, minus their mean, or at length 1; and back. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/context.h"
#include "core/relation/pairs.h"
#include "math/kernels.h"
#include "nn/ranges.h"

typedef struct {
    const float *from; /* (b, width) */
    float *to;
    int64_t b, width;
    double factor, *inverse;
} side;

/* A power of two that brings the largest number into 1/2 .. 1: what is compared does not depend on
 * a side's scale, and squares stay in float32's range. 0: all are 0, or
 * below float32's normal range, where a gradient would leave it. */
static double factor_of(const kd_context *context, const float *x, int64_t n)
{
    int exponent;
    const float largest = context->kernels->largest_size(x, n);
    if (largest < FLT_MIN) return 0;
    frexp(largest, &exponent);
    return ldexp(1, -exponent);
}

static void scale_rows(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const side *s = argument;
    (void)kernels;
    for (int64_t i = first * s->width; i < end * s->width; i++)
        s->to[i] = (float)(s->factor * s->from[i]);
}

/* Equal rows become exactly 0: their sum is exact in double. */
static void center_columns(const kd__kernels *kernels, const void *argument, int64_t first,
                           int64_t end)
{
    const side *s = argument;
    double mean[KD__COLUMNS] = { 0 };
    (void)kernels;
    for (int64_t r = 0; r < s->b; r++)
        for (int64_t k = first; k < end; k++) mean[k - first] += s->from[r * s->width + k];
    for (int64_t k = first; k < end; k++) mean[k - first] /= (double)s->b;
    for (int64_t r = 0; r < s->b; r++)
        for (int64_t k = first; k < end; k++) {
            const double x = s->from[r * s->width + k] - mean[k - first];
            s->to[r * s->width + k] = (float)(s->factor * x);
        }
}

static double length_of(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) sum += (double)x[k] * x[k];
    return sqrt(sum);
}

static void unit_rows(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const side *s = argument;
    (void)kernels;
    for (int64_t i = first; i < end; i++) {
        const float *from = s->from + i * s->width;
        const double length = length_of(from, s->width),
                     inverse = length >= FLT_MIN ? 1 / length : 0;
        for (int64_t k = 0; k < s->width; k++) s->to[i * s->width + k] = (float)(inverse * from[k]);
        if (s->inverse) s->inverse[i] = inverse;
    }
}

static int is_zero(const kd_context *context, const float *x, int64_t n)
{
    return context->kernels->largest_size(x, n) == 0;
}

/* Both sides are not 0, and there are rows enough. */
static int begin(kd__pairs *p, kd__relation *r, int64_t least, side *s, side *t)
{
    r->degenerate = 0;
    if (r->b < least) return 0;
    kd__pairs_lay_out(p, r);
    *s = (side){ r->s, p->x, r->b, r->ws, factor_of(r->context, r->s, r->b * r->ws), p->inverse };
    *t = (side){ r->t, p->y, r->b, r->wt, factor_of(r->context, r->t, r->b * r->wt), NULL };
    p->factor = s->factor;
    return s->factor > 0 && t->factor > 0;
}

static int refuse(kd__relation *r)
{
    kd__relation_is_degenerate(r);
    return 0;
}

int kd__pairs_begin_scaled(kd__pairs *p, kd__relation *r, int64_t least)
{
    side s, t;
    const kd__rows rows = { r->context, r->b };
    if (!begin(p, r, least, &s, &t)) return refuse(r);
    kd__for_rows(&rows, scale_rows, &s);
    kd__for_rows(&rows, scale_rows, &t);
    return 1;
}

int kd__pairs_begin_centered(kd__pairs *p, kd__relation *r, int64_t least)
{
    side s, t;
    if (!begin(p, r, least, &s, &t)) return refuse(r);
    kd__for_columns(r->context, r->ws, center_columns, &s);
    kd__for_columns(r->context, r->wt, center_columns, &t);
    if (is_zero(r->context, p->x, r->b * r->ws) || is_zero(r->context, p->y, r->b * r->wt))
        return refuse(r);
    return 1;
}

int kd__pairs_begin_units(kd__pairs *p, kd__relation *r, int64_t least)
{
    side s, t;
    const kd__rows rows = { r->context, r->b };
    if (!begin(p, r, least, &s, &t)) return refuse(r);
    p->factor = 1;
    kd__for_rows(&rows, unit_rows, &s);
    kd__for_rows(&rows, unit_rows, &t);
    return 1;
}

/* ---- back through the length ---- */

static void through_length(const kd__kernels *kernels, const void *argument, int64_t first,
                           int64_t end)
{
    const kd__pairs *p = *(kd__pairs *const *)argument;
    const int64_t width = p->r->ws;
    (void)kernels;
    for (int64_t i = first; i < end; i++) {
        const float *u = p->x + i * width;
        float *du = p->r->ds + i * width;
        double along = 0;
        for (int64_t k = 0; k < width; k++) along += (double)du[k] * u[k];
        for (int64_t k = 0; k < width; k++) du[k] = (float)(p->inverse[i] * (du[k] - along * u[k]));
    }
}

void kd__pairs_through_length(kd__pairs *p)
{
    const kd__rows rows = { p->r->context, p->b };
    kd__for_rows(&rows, through_length, &p);
}
