/* Distances of relational knowledge distillation: 1/b^2 sum_ij H_1(d_ij / m - d^t_ij / m_t), m the
 * mean of the distances above 0, N their number.                   [Park et al. 2019, eq. 4-6]
 * With g_ij = H_1'(..) / b^2 and dd_ij = g_ij / m - sum(g d) / (m^2 N),
 *   dS_i = sum_j w_ij (s_i - s_j),   w_ij = 2 dd_ij / d_ij, 0 where d_ij = 0.
 * d^2 = |x_i|^2 + |x_j|^2 - 2 x_i . x_j of centered rows; rows that are close for their length are
 * subtracted instead, there and in the gradient: equal rows have a distance of 0 to the bit. */
#include <math.h>
#include <string.h>

#include "base/context.h"
#include "core/relation/pairs.h"
#include "nn/ranges.h"

#define CLOSE 0.0625 /* d^2 / (|x_i|^2 + |x_j|^2) */

enum { SQUARE, TEACHER_SQUARE, SUM, TEACHER_SUM, COUNT, TEACHER_COUNT, ALONG };
enum { INVERSE_MEAN, TEACHER_INVERSE_MEAN, SHIFT }; /* in p->all */

/* ---- distances in the place of products ---- */

static void to_distances(float *products, const float *x, int64_t width, const double *squares,
                         int64_t i, int64_t b)
{
    for (int64_t j = 0; j < b; j++) {
        const double sum = squares[i] + squares[j];
        double square = sum - 2 * (double)products[j];
        if (square < CLOSE * sum) square = kd__squared_sum(x + i * width, -1, x + j * width, width);
        products[j] = (float)sqrt(square);
    }
}

static void prepare(kd__pairs *p, int64_t i, float *a, float *c)
{
    to_distances(a, p->x, p->r->ws, p->of[SQUARE], i, p->b);
    to_distances(c, p->y, p->r->wt, p->of[TEACHER_SQUARE], i, p->b);
}

static double square_of(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) sum += (double)x[k] * x[k];
    return sum;
}

static void measure_squares(const kd__kernels *kernels, const void *argument, int64_t first,
                            int64_t end)
{
    kd__pairs *p = *(kd__pairs *const *)argument;
    (void)kernels;
    for (int64_t i = first; i < end; i++) {
        p->of[SQUARE][i] = square_of(p->x + i * p->r->ws, p->r->ws);
        p->of[TEACHER_SQUARE][i] = square_of(p->y + i * p->r->wt, p->r->wt);
    }
}

/* ---- passes ---- */

static void measure_sums(kd__pairs *p, int64_t i, float *a, float *c)
{
    double sum = 0, teacher_sum = 0, count = 0, teacher_count = 0;
    for (int64_t j = 0; j < p->b; j++) {
        sum += a[j];
        teacher_sum += c[j];
        count += a[j] > 0;
        teacher_count += c[j] > 0;
    }
    p->of[SUM][i] = sum;
    p->of[TEACHER_SUM][i] = teacher_sum;
    p->of[COUNT][i] = count;
    p->of[TEACHER_COUNT][i] = teacher_count;
}

static double slope(const kd__pairs *p, double distance, double teacher_distance)
{
    return kd__huber_slope(p->all[INVERSE_MEAN] * distance -
                           p->all[TEACHER_INVERSE_MEAN] * teacher_distance);
}

static void measure_value(kd__pairs *p, int64_t i, float *a, float *c)
{
    double sum = 0, along = 0;
    for (int64_t j = 0; j < p->b; j++) {
        const double apart = p->all[INVERSE_MEAN] * a[j] - p->all[TEACHER_INVERSE_MEAN] * c[j];
        const double g = kd__huber_slope(apart);
        sum += kd__huber(apart, g);
        along += g * a[j];
    }
    p->of[ALONG][i] = along;
    p->r->shares[i] = sum / (double)p->b;
}

static void add_difference(const kd__pairs *p, int64_t i, int64_t j, double weight)
{
    const int64_t width = p->r->ws;
    const float *x = p->x + i * width, *y = p->x + j * width;
    float *ds = p->r->ds + i * width;
    for (int64_t k = 0; k < width; k++) ds[k] += (float)(weight * ((double)x[k] - y[k]));
}

static void gradient(kd__pairs *p, int64_t i, float *a, float *c)
{
    const double *squares = p->of[SQUARE], b = (double)p->b;
    const double scale = 2 * p->r->scale / (b * b);
    double sum = 0;
    memset(p->r->ds + i * p->r->ws, 0, (size_t)p->r->ws * sizeof *p->r->ds);
    for (int64_t j = 0; j < p->b; j++) {
        const double d = a[j];
        const double dd = slope(p, d, c[j]) * p->all[INVERSE_MEAN] - p->all[SHIFT];
        const double weight = d > 0 ? scale * dd / d : 0;
        const int is_close = d * d < CLOSE * (squares[i] + squares[j]);
        if (is_close && weight != 0) add_difference(p, i, j, weight);
        a[j] = is_close ? 0 : (float)-weight;
        sum -= a[j];
    }
    a[i] = (float)sum;
}

kd_status kd__relation_rkd_distance(kd__relation *r)
{
    kd__pairs p, *of = &p;
    const kd__rows rows = { r->context, r->b };
    if (!kd__pairs_begin_centered(&p, r, 2)) return KD_OK;
    kd__for_rows(&rows, measure_squares, &of);
    p.prepare = prepare;
    KD_TRY(kd__pairs_pass(&p, measure_sums));
    const double count = kd__total(p.of[COUNT], p.b);
    p.all[INVERSE_MEAN] = count / kd__total(p.of[SUM], p.b);
    p.all[TEACHER_INVERSE_MEAN] = kd__total(p.of[TEACHER_COUNT], p.b) /
                                  kd__total(p.of[TEACHER_SUM], p.b);
    KD_TRY(kd__pairs_pass(&p, measure_value));
    p.all[SHIFT] = kd__total(p.of[ALONG], p.b) * p.all[INVERSE_MEAN] * p.all[INVERSE_MEAN] / count;
    return r->ds ? kd__pairs_gradient(&p, gradient, 1) : KD_OK;
}
