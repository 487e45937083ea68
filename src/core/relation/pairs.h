/* All pairs of rows, a block of rows at a time: what the kinds of relations have in common. A kind
 * is one or two functions of a row of pairs: the first ones collect what it needs of each row, the
 * last one turns a row of A into a row of F, where the gradient by X is F X. F is symmetric up to
 * what a row's own numbers add, so that no block has to add to the rows of another. */
#ifndef KD_CORE_RELATION_PAIRS_H
#define KD_CORE_RELATION_PAIRS_H

#include "core/relation/relation.h"
#include "math/gemm.h"

#define KD__PAIR_NUMBERS 8

typedef struct kd__pairs kd__pairs;

/* Row i of pairs: a_j = x_i . x_j and c_j = y_i . y_j for j < b. */
typedef void kd__pair_row(kd__pairs *p, int64_t i, float *a, float *c);

struct kd__pairs {
    kd__relation *r;
    int64_t b;
    float *x, *y;                 /* (b, ws), (b, wt): what is compared                      */
    double *inverse;              /* (b) 1 / |s_i|, of units                                 */
    double factor;                /* x = factor s, of scaled and centered rows; a power of 2 */
    double *of[KD__PAIR_NUMBERS]; /* (b) each: what a kind keeps of its rows, zero at first  */
    double all[4];                /* what it keeps of all                                    */
    int64_t block, first;         /* rows of a block; the first row of the one that is there */
    float *a, *c;                 /* (block, b)                                              */
    int64_t held;                 /* the first row of the block whose pairs are there, or -1 */
    int32_t is_upward;            /* the next pass begins with the last block                */
    int32_t is_new;               /* products of this block were made for this pass          */
    kd__pair_row *prepare;        /* of new products, before `row` sees them; or NULL        */
    kd__pair_row *row;
};

/* Floats of scratch. */
int64_t kd__pairs_room(int64_t b, int64_t ws, int64_t wt, int64_t limit);
int64_t kd__angles_room(int64_t b, int64_t ws, int64_t wt);

/* The pieces of the scratch, nothing in them but zeros of numbers. */
void kd__pairs_lay_out(kd__pairs *p, kd__relation *r);

/* Lays the scratch out and fills x and y. 0: fewer rows than `least`, or a side without relations;
 * then the outputs are filled as relation.h says, and the kind is done. */
int kd__pairs_begin_scaled(kd__pairs *p, kd__relation *r, int64_t least);   /* x = factor s */
int kd__pairs_begin_centered(kd__pairs *p, kd__relation *r, int64_t least); /* minus the mean row */
int kd__pairs_begin_units(kd__pairs *p, kd__relation *r, int64_t least);    /* x_i = s_i / |s_i| */

/* Calls `row` for every row; it writes numbers of row i only. */
kd_status kd__pairs_pass(kd__pairs *p, kd__pair_row *row);
/* The last pass: `row` turns a into F; ds = factor F X, or factor (ds + F X) if `add`. */
kd_status kd__pairs_gradient(kd__pairs *p, kd__pair_row *row, int add);
/* After a gradient by units: ds_i = (du_i - (du_i . u_i) u_i) / |s_i|. */
void kd__pairs_through_length(kd__pairs *p);

/* In float32 by the library's own kernels, whatever the context multiplies with: a row has the same
 * bits in any block, and x_i . x_j those of x_j . x_i. */
kd_status kd__pairs_multiply(kd_context *context, const kd__gemm *product);

/* No relation: value and gradient 0. */
void kd__relation_is_degenerate(kd__relation *r);

/* in the order of x */
static inline double kd__total(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum;
}

static inline double kd__total_float(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum;
}

/* |x + sign y|^2, in four chains. */
static inline double kd__squared_sum(const float *x, double sign, const float *y, int64_t n)
{
    double sum[4] = { 0 };
    for (int64_t k = 0; k < n; k += 4)
        for (int64_t l = 0; l < 4 && k + l < n; l++) {
            const double z = x[k + l] + sign * y[k + l];
            sum[l] += z * z;
        }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* H_1 of RKD: x^2 / 2 within 1, |x| - 1/2 beyond, by its slope. */
static inline double kd__huber_slope(double x) { return x < -1 ? -1 : x > 1 ? 1 : x; }
static inline double kd__huber(double x, double slope) { return slope * (x - slope / 2); }

#endif
