/* Similarity-preserving distillation and cosine relations: two Gram matrices compared entry by
 * entry. */
#include <math.h>

#include "core/relation/pairs.h"

/* ---- similarity: 1/b^2 |A^ - C^|^2, where A^ is A = S S^T with rows of length 1
 *      [Tung and Mori 2019, eq. 2-4]
 * With e_ij = A^_ij - C^_ij and along_i = sum_j e_ij A^_ij,
 *   E_ij = 2/b^2 (e_ij - along_i A^_ij) / |A_i|,   dS = (E + E^T) S.
 * A and C are symmetric: E_ji needs row i of both, and what is kept of row j.            ---- */

enum { INVERSE, TEACHER_INVERSE, ALONG };

static double inverse_length(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++) sum += (double)x[j] * x[j];
    return sum > 0 ? 1 / sqrt(sum) : 0;
}

static void measure_similarity(kd__pairs *p, int64_t i, float *a, float *c)
{
    const double student = inverse_length(a, p->b), teacher = inverse_length(c, p->b);
    double apart = 0, along = 0;
    for (int64_t j = 0; j < p->b; j++) {
        const double unit = student * a[j], e = unit - teacher * c[j];
        apart += e * e;
        along += e * unit;
    }
    p->of[INVERSE][i] = student;
    p->of[TEACHER_INVERSE][i] = teacher;
    p->of[ALONG][i] = along;
    p->r->shares[i] = apart / (double)p->b;
}

static void similarity_gradient(kd__pairs *p, int64_t i, float *a, float *c)
{
    const double *student = p->of[INVERSE], *teacher = p->of[TEACHER_INVERSE],
                 *along = p->of[ALONG];
    const double b = (double)p->b, scale = 2 / (b * b) * p->r->scale;
    for (int64_t j = 0; j < p->b; j++) {
        const double here = student[i] * a[j], there = student[j] * a[j];
        const double e = here - teacher[i] * c[j] - along[i] * here,
                     back = there - teacher[j] * c[j] - along[j] * there;
        a[j] = (float)(scale * (student[i] * e + student[j] * back));
    }
}

kd_status kd__relation_similarity(kd__relation *r)
{
    kd__pairs p;
    if (!kd__pairs_begin_scaled(&p, r, 2)) return KD_OK;
    KD_TRY(kd__pairs_pass(&p, measure_similarity));
    return r->ds ? kd__pairs_gradient(&p, similarity_gradient, 0) : KD_OK;
}

/* ---- gram: 1/b^2 |U U^T - W W^T|^2,   dU = 4/b^2 (U U^T - W W^T) U
 * Entry by entry and not by |U^T U|^2 + |W^T W|^2 - 2 |U^T W|^2, which takes fewer operations where
 * b is larger than the widths: the three large numbers of that form leave nothing but rounding
 * when the sides are close.                                                                ---- */

static void measure_gram(kd__pairs *p, int64_t i, float *a, float *c)
{
    const double b = (double)p->b, scale = 4 / (b * b) * p->r->scale;
    double apart = 0;
    for (int64_t j = 0; j < p->b; j++) {
        const double e = (double)a[j] - c[j];
        apart += e * e;
        a[j] = (float)(scale * e);
    }
    p->r->shares[i] = apart / b;
}

kd_status kd__relation_gram(kd__relation *r)
{
    kd__pairs p;
    if (!kd__pairs_begin_units(&p, r, 2)) return KD_OK;
    if (!r->ds) return kd__pairs_pass(&p, measure_gram);
    KD_TRY(kd__pairs_gradient(&p, measure_gram, 0));
    kd__pairs_through_length(&p);
    return KD_OK;
}
