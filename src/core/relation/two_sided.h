/* The mathematics of two sides: which rows of the other side belong to a row, told by scores of all
 * pairs. Pure functions of arrays, as those of relation.h.
 *
 * Legend: A (n, d) anchors and B (m, d) candidates, z_ij = scale a_i . b_j; y_ij = 1 where row i of
 * A and row j of B are of one group, P_i those j. A direction is a sum over the rows of A or of B:
 *
 *   contrast:  L_A = 1/|rows with a positive| sum_i 1/|P_i| sum_(j in P_i) -log softmax_j z_i
 *              [van den Oord et al. 2018; Radford et al. 2021]
 *     masked:  -log (e^z_ij / (e^z_ij + sum_(k not in P_i) e^z_ik)), the mean over j in P_i; of
 *              rows that lie beside each other (is_paired) j = i alone
 *   sigmoid:   1/n sum_ij -log sigmoid(+-(z_ij + bias)), + where y_ij [Zhai et al. 2023];
 *     masked:  without the positives that are not one's own
 *   affinity:  L_A = 1/n sum_i KL(softmax_j z^t_i, softmax_j z_i), z^t = teacher_scale A^t B^t'
 *   margin, list (L_A alone): j in P_i, |P_i| > 1, y_j = teacher_scale t_j, a candidate has one t
 *              mean over j < k of ((z_ij - z_ik) - (y_j - y_k))^2 [Hofstaetter 2020];
 *              KL(softmax_j y, softmax_j z_i) [Ren et al. 2021]
 *
 * and the value is L_A, L_B, or half of both. Each side is swept as rows against all of the other:
 * nothing grows as n m beyond `limit`, and no sum is added to by another row's work. So results
 * have the same bits for any limit and any number of threads, as relation.h says. */
#ifndef KD_CORE_RELATION_TWO_SIDED_H
#define KD_CORE_RELATION_TWO_SIDED_H

#include <kdistill/context.h>

#include "base/status.h"

enum { KD__CONTRAST, KD__SIGMOID_CONTRAST, KD__AFFINITY, KD__MARGIN, KD__LIST };
enum { KD__BOTH_WAYS, KD__TO_OTHER, KD__FROM_OTHER }; /* both; L_A; L_B */

typedef struct kd__two_side {
    const float *x, *taught; /* (n, width), (n, teacher_width): contiguous, finite */
    const int64_t *group;    /* (n) */
    float *dx;               /* (n, width): factor times the gradient, overwritten; or NULL */
    int64_t n;
    double weight;   /* out: of each of the values that there are; 0: none */
    double *values;  /* out, (n): what a row adds to its direction, 0 where it has no positive */
    uint8_t *counts; /* out, (n): 1: the row has a value */
    /* out, (n): place of the row's first positive among all candidates, from 1; 0: none. NULL: not
     * wanted */
    int64_t *ranks;
} kd__two_side;

typedef struct kd__two_sided {
    kd_context *context;
    int32_t kind, directions;
    int32_t is_masked, is_paired;
    int32_t is_unit; /* rows have length 1: no score is beyond the scale */
    int32_t wants_scale;
    kd__two_side side[2];
    int64_t width, teacher_width;
    double scale, teacher_scale, bias, factor;
    int64_t limit;  /* bytes, as kd__two_sided_room was asked with */
    float *scratch; /* kd__two_sided_room floats, aligned to 64 bytes */
    /* Out. d_scale: factor times the gradient by the scale's logarithm, if it is wanted.
     * degenerate: no pair belongs together, or all do (sigmoid: all do, or a side is empty;
     * affinity: there is one pair or none; margin, list: no anchor has two candidates); then value
     * and gradients are 0. */
    double d_scale, d_bias; /* d_bias: of sigmoid, by the bias */
    int32_t degenerate;
} kd__two_sided;

int64_t kd__two_sided_room(int64_t n, int64_t m, int64_t limit);
/* Errors: no memory for the products. */
kd_status kd__two_sided_run(kd__two_sided *c);

/* ---- a row of one side against all of the other (two_sided_rows.c) ---- */

/* What is kept of the rows of a side. */
typedef struct kd__two_stats {
    /* of z; masked: over rows of other groups; margin: the mean of z - y */
    double *log_sum;
    double *share; /* contrast: 1 / |P_i|; masked: mean sigmoid(log_sum - z_ij) */
    /* contrast: e^-log_sum; masked: 1 / how many positives are its own; sigmoid: the sum over j of
     * d value / d z_ij; affinity, list: the teacher's log_sum; margin: 4 / (|P_i| - 1) */
    double *second;
    double *along; /* sum_j z_ij d value / d z_ij */
} kd__two_stats;

typedef struct kd__sweep {
    const kd__two_sided *c;
    const kd__two_side *of, *other;
    kd__two_stats own, others;
    int64_t block, first; /* rows of a block; the first of the one that is there */
    float *z, *t;         /* (block, m): products, of the teacher's rows */
} kd__sweep;

typedef void kd__sweep_row(const kd__sweep *w, int64_t i, float *z, float *t);
/* Value, `counts`, ranks, and what the gradient needs of row i. */
void kd__measure_contrast(const kd__sweep *w, int64_t i, float *z, float *t);
void kd__measure_sigmoid(const kd__sweep *w, int64_t i, float *z, float *t);
void kd__measure_affinity(const kd__sweep *w, int64_t i, float *z, float *t);
void kd__measure_margin(const kd__sweep *w, int64_t i, float *z, float *t); /* ranking_rows.c */
void kd__measure_list(const kd__sweep *w, int64_t i, float *z, float *t);
/* z_ij becomes factor times the gradient by a_i . b_j. */
void kd__gradient_contrast(const kd__sweep *w, int64_t i, float *z, float *t);
void kd__gradient_sigmoid(const kd__sweep *w, int64_t i, float *z, float *t);
void kd__gradient_affinity(const kd__sweep *w, int64_t i, float *z, float *t);
void kd__gradient_margin(const kd__sweep *w, int64_t i, float *z, float *t);
void kd__gradient_list(const kd__sweep *w, int64_t i, float *z, float *t);

#endif
