/* Probabilistic knowledge transfer: 1/b^2 sum_ij p_ij log((p_ij + e) / (q_ij + e)), where q and p
 * are the rows of k = (1 + cosine) / 2 divided by their sum, e = 1e-7.
 *                                                    [Passalis and Tefas 2018, eq. 4-7]
 * With slope_ij = -p_ij / (q_ij + e) and along_i = sum_j slope_ij q_ij,
 *   dk_ij = (slope_ij - along_i) / (b^2 sum_j k_ij),   dU = (dk + dk^T) / 2 U. */
#include <math.h>

#include "core/relation/pairs.h"

#define EPSILON 1e-7
#define OPPOSITE 0.0625 /* a kernel */

enum { INVERSE, TEACHER_INVERSE, ALONG };

/* ---- kernels in the place of cosines: rows that are nearly opposite are added instead, because
 * 1 + cosine would have no digits left. (1 + x . y) / 2 = |x + y|^2 / 4 at length 1.      ---- */

static void to_kernels(float *cosines, const float *x, int64_t width, int64_t i, int64_t b)
{
    for (int64_t j = 0; j < b; j++) {
        const double k = (1 + (double)cosines[j]) / 2;
        const double exact =
            k < OPPOSITE ? kd__squared_sum(x + i * width, 1, x + j * width, width) / 4 : k;
        cosines[j] = (float)exact;
    }
}

static void prepare(kd__pairs *p, int64_t i, float *a, float *c)
{
    to_kernels(a, p->x, p->r->ws, i, p->b);
    to_kernels(c, p->y, p->r->wt, i, p->b);
}

/* ---- passes ---- */

static void measure(kd__pairs *p, int64_t i, float *a, float *c)
{
    /* sums of at least 1/2 */
    const double student = 1 / kd__total_float(a, p->b), teacher = 1 / kd__total_float(c, p->b);
    double sum = 0, along = 0;
    for (int64_t j = 0; j < p->b; j++) {
        const double q = student * a[j], t = teacher * c[j];
        const double ratio = 1 / (q + EPSILON);
        sum += t * log((t + EPSILON) * ratio);
        along -= t * ratio * q;
    }
    p->of[INVERSE][i] = student;
    p->of[TEACHER_INVERSE][i] = teacher;
    p->of[ALONG][i] = along;
    p->r->shares[i] = sum / (double)p->b;
}

static void gradient(kd__pairs *p, int64_t i, float *a, float *c)
{
    const double *student = p->of[INVERSE], *teacher = p->of[TEACHER_INVERSE],
                 *along = p->of[ALONG];
    const double b = (double)p->b, scale = p->r->scale / (2 * b * b);
    for (int64_t j = 0; j < p->b; j++) {
        const double k = a[j], t = c[j];
        const double here = -teacher[i] * t / (student[i] * k + EPSILON) - along[i],
                     back = -teacher[j] * t / (student[j] * k + EPSILON) - along[j];
        a[j] = (float)(scale * (here * student[i] + back * student[j]));
    }
}

kd_status kd__relation_pkt(kd__relation *r)
{
    kd__pairs p;
    if (!kd__pairs_begin_units(&p, r, 2)) return KD_OK;
    p.prepare = prepare;
    KD_TRY(kd__pairs_pass(&p, measure));
    if (!r->ds) return KD_OK;
    KD_TRY(kd__pairs_gradient(&p, gradient, 0));
    kd__pairs_through_length(&p);
    return KD_OK;
}
