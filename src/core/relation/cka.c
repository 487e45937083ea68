/* Centered kernel alignment of linear kernels: 1 - h(A, C) / sqrt(h(A, A) h(C, C)), where A and C
 * are the Gram matrices of the rows minus the mean row.
 *   biased:    h(A, C) = sum_ij A_ij C_ij                         [Kornblith et al. 2019, eq. 4]
 *   unbiased:  h(A, C) = sum_ij A~_ij C~_ij + a c / ((b - 1) (b - 2)) - 2 / (b - 2) sum_i a_i c_i
 *              up to a factor; A~ has zeros on the diagonal, a_i its row sums, a the sum of them
 *                                                                 [Song et al. 2012, eq. 5]
 * dh(A, C) / dA = C*: C itself, or C~_ij - (c_i + c_j) / (b - 2) + c / ((b - 1) (b - 2)) beside the
 * diagonal. So with X the centered rows
 *   dX = -2 (C* / sqrt(h(A, A) h(C, C)) - h(A, C) A* / (h(A, A) sqrt(h(A, A) h(C, C)))) X.
 * Rows of C* sum to 0, so dX is the gradient by S as well. The unbiased value may leave 0 .. 1. */
#include <math.h>

#include "core/relation/pairs.h"

/* Below this share of what it is a difference of, an unbiased h(A, A) is rounding: all distances
 * are equal, and there is nothing to align. */
#define ROUNDING 1e-11

enum { STUDENT, BOTH, TEACHER, STUDENT_SUM, TEACHER_SUM };
/* in p->all: factors of C* and A*, and the sums of all of A and C */
enum { TO_TEACHER, TO_STUDENT, ALL, TEACHER_ALL };

static void measure(kd__pairs *p, int64_t i, float *a, float *c)
{
    double aa = 0, ac = 0, cc = 0, sum = 0, teacher_sum = 0;
    for (int64_t j = 0; j < p->b; j++) {
        if (j == i && p->r->unbiased) continue;
        const double x = a[j], y = c[j];
        aa += x * x;
        ac += x * y;
        cc += y * y;
        sum += x;
        teacher_sum += y;
    }
    p->of[STUDENT][i] = aa;
    p->of[BOTH][i] = ac;
    p->of[TEACHER][i] = cc;
    p->of[STUDENT_SUM][i] = sum;
    p->of[TEACHER_SUM][i] = teacher_sum;
}

/* Turns the sums of products of each row into its part of h. */
static void finish(const kd__pairs *p, double *products, const double *x, const double *y)
{
    const double b = (double)p->b, all = kd__total(x, p->b) * kd__total(y, p->b);
    if (!p->r->unbiased) return;
    for (int64_t i = 0; i < p->b; i++)
        products[i] += all / ((b - 1) * (b - 2) * b) - 2 / (b - 2) * x[i] * y[i];
}

/* h(A, A), 0 where it is nothing but rounding. */
static double own(const kd__pairs *p, double *products, const double *sums)
{
    const double before = kd__total(products, p->b);
    finish(p, products, sums, sums);
    const double h = kd__total(products, p->b);
    return h > ROUNDING * before ? h : 0;
}

/* x*_j of row i, from what x holds */
static double centered(const kd__pairs *p, double x, const double *sums, double all, int64_t i,
                       int64_t j)
{
    const double b = (double)p->b;
    if (!p->r->unbiased) return x;
    return i == j ? 0 : x - (sums[i] + sums[j]) / (b - 2) + all / ((b - 1) * (b - 2));
}

static void gradient(kd__pairs *p, int64_t i, float *a, float *c)
{
    const double *sums = p->of[STUDENT_SUM], *teacher_sums = p->of[TEACHER_SUM];
    const double scale = -2 * p->r->scale;
    for (int64_t j = 0; j < p->b; j++) {
        const double x = centered(p, a[j], sums, p->all[ALL], i, j),
                     y = centered(p, c[j], teacher_sums, p->all[TEACHER_ALL], i, j);
        a[j] = (float)(scale * (p->all[TO_TEACHER] * y - p->all[TO_STUDENT] * x));
    }
}

kd_status kd__relation_cka(kd__relation *r)
{
    kd__pairs p;
    if (!kd__pairs_begin_centered(&p, r, r->unbiased ? 4 : 2)) return KD_OK;
    KD_TRY(kd__pairs_pass(&p, measure));
    const double aa = own(&p, p.of[STUDENT], p.of[STUDENT_SUM]);
    const double cc = own(&p, p.of[TEACHER], p.of[TEACHER_SUM]);
    if (aa == 0 || cc == 0) {
        kd__relation_is_degenerate(r);
        return KD_OK;
    }
    finish(&p, p.of[BOTH], p.of[STUDENT_SUM], p.of[TEACHER_SUM]);
    p.all[TO_TEACHER] = 1 / sqrt(aa * cc);
    p.all[TO_STUDENT] = kd__total(p.of[BOTH], p.b) * p.all[TO_TEACHER] / aa;
    p.all[ALL] = kd__total(p.of[STUDENT_SUM], p.b);
    p.all[TEACHER_ALL] = kd__total(p.of[TEACHER_SUM], p.b);
    for (int64_t i = 0; i < p.b; i++)
        r->shares[i] = 1 - (double)p.b * p.of[BOTH][i] * p.all[TO_TEACHER];
    return r->ds ? kd__pairs_gradient(&p, gradient, 0) : KD_OK;
}
