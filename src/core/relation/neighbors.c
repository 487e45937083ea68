/* Relation KL: 1/b sum_i KL(p_i || q_i), where q_i is the softmax of a_ij / T over the other rows
 * j != i, p_i that of c_ij / T_t, and a, c are cosines. A row's own cosine is left out: with it the
 * distributions are nearly one-hot, and nothing is learned.   [Fang et al. 2021, Koohpayegani 2020]
 *   D_ij = (q_ij - p_ij) / (b T), 0 for j = i,   dU = (D + D^T) U
 * log q = a / T - log_sum, so that q_ji needs what is kept of row j and row i of a. */
#include <math.h>

#include "core/relation/pairs.h"

/* Up to this inverse temperature e^(a / T) of any cosine stays in double's range, and one
 * exponential serves q_ij and q_ji. */
#define MILD 300

enum { LOG_SUM, TEACHER_LOG_SUM, INVERSE, TEACHER_INVERSE };

static float largest_beside(const float *x, int64_t b, int64_t own)
{
    float most = -INFINITY;
    for (int64_t j = 0; j < b; j++)
        if (j != own && x[j] > most) most = x[j];
    return most;
}

/* log sum_j e^(inverse x_j) over j != own; `apart`: the mean under these weights of inverse x_j -
 * other y_j. */
static double log_sum(const float *x, int64_t b, int64_t own, double inverse, const float *y,
                      double other, double *apart)
{
    const float most = largest_beside(x, b, own);
    double sum = 0, weighted = 0;
    for (int64_t j = 0; j < b; j++) {
        if (j == own) continue;
        const double e = exp(inverse * ((double)x[j] - most));
        sum += e;
        weighted += e * (inverse * x[j] - other * y[j]);
    }
    *apart = weighted / sum;
    return inverse * most + log(sum);
}

static void measure(kd__pairs *p, int64_t i, float *a, float *c)
{
    const double student = 1 / p->r->temperature, teacher = 1 / p->r->teacher_temperature;
    double apart;
    const double q = log_sum(a, p->b, i, student, c, teacher, &apart);
    const double t = log_sum(c, p->b, i, teacher, a, student, &apart);
    p->of[LOG_SUM][i] = q;
    p->of[TEACHER_LOG_SUM][i] = t;
    p->of[INVERSE][i] = exp(-q);
    p->of[TEACHER_INVERSE][i] = exp(-t);
    p->r->shares[i] = fmax(0, apart - t + q); /* below 0 by rounding only */
}

/* The share of pair i, j in both rows, from a cosine over the temperature. */
static double share_of(double z, const double *logs, const double *inverses, int64_t i, int64_t j,
                       int is_mild)
{
    if (is_mild) return exp(z) * (inverses[i] + inverses[j]);
    return exp(z - logs[i]) + exp(z - logs[j]);
}

static void gradient(kd__pairs *p, int64_t i, float *a, float *c)
{
    const double student = 1 / p->r->temperature, teacher = 1 / p->r->teacher_temperature;
    const double scale = p->r->scale * student / (double)p->b;
    for (int64_t j = 0; j < p->b; j++) {
        const double q = share_of(student * a[j], p->of[LOG_SUM], p->of[INVERSE], i, j,
                                  student < MILD),
                     t = share_of(teacher * c[j], p->of[TEACHER_LOG_SUM], p->of[TEACHER_INVERSE], i,
                                  j, teacher < MILD);
        a[j] = j == i ? 0 : (float)(scale * (q - t));
    }
}

kd_status kd__relation_kl(kd__relation *r)
{
    kd__pairs p;
    if (!kd__pairs_begin_units(&p, r, 2)) return KD_OK;
    KD_TRY(kd__pairs_pass(&p, measure));
    if (!r->ds) return KD_OK;
    KD_TRY(kd__pairs_gradient(&p, gradient, 0));
    kd__pairs_through_length(&p);
    return KD_OK;
}
