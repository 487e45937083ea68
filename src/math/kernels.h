/* The kernels, one table an instruction set. Pure functions on plain arrays; shapes are already
 * checked. Legend: n numbers of one row; z student logits, v teacher logits; ez, ev their
 * exponentials. Every kernel sums in an order that depends on n alone. A kernel's contract stands
 * in the list of its family, kernels_*.inc: the lists declare the kernels, fill the tables, and ask
 * tests/internal/kernels.c for a check of each. */
#ifndef KD_MATH_KERNELS_H
#define KD_MATH_KERNELS_H

#include <stdint.h>

#include "base/status.h"
#include "math/ahead.h"

struct kd_context;

enum { KD__SKEWED_FORWARD, KD__SKEWED_REVERSE, KD__SKEWED_DETACHED, KD__VARIATION };

/* One side of a pair of rows: logits, their maximum, and where the exponentials are written. */
typedef struct kd__side {
    const float *x;
    float max;
    float *e;
    double sum; /* of e */
} kd__side;

typedef struct kd__adam_step {
    /* corrections: 1 / (1 - beta^t) */
    float learning_rate, beta1, beta2, epsilon, decay, correction1, correction2;
    int32_t decoupled;
} kd__adam_step;

#define KD__GROUP 16 /* vectors */
static inline int64_t kd__groups(int64_t n, int32_t lanes)
{
    return (n + KD__GROUP * lanes - 1) / (KD__GROUP * lanes) * lanes;
}

/* Two distributions, p = p/sum p and q = q/sum q, and d = log(q/p) = slope (qx - px - apart) +
 * shift. */
typedef struct kd__gap {
    const float *p, *q;   /* exponentials                                      */
    const float *px, *qx; /* logits; px NULL: qx holds their differences      */
    float ratio;          /* sum p / sum q                                    */
    float slope, apart, shift;
} kd__gap;
enum { KD__GAP_KL, KD__GAP_MIXED, KD__GAP_VARIATION };

/* One leg of the angles at row i, the one to row j: rows of a Gram matrix and of 1 / D, where D are
 * distances; base = G_ii - G_ij, leg = 1 / D_ij. */
typedef struct kd__leg {
    const double *at_j, *at_i, *inverse;
    double base, leg;
} kd__leg;

/* What a plane of a convolution reads: numbers x[offsets[t] + i] for tap t, and its weights. The
 * gradient runs over samples that lie dy_step and x_step apart. */
#define KD__LINES_AT_ONCE 8
typedef struct kd__taps {
    const int64_t *offsets;
    const float *w; /* of `correlate`, packed */
    int64_t taps, rows;
    int64_t samples, dy_step, x_step; /* of `correlate_gradient` */
} kd__taps;

/* One pass of a Fourier transform (math/fourier.h): `stride` transforms, lanes counted, of radix *
 * length numbers. */
#define KD__LANES 8
typedef struct kd__fourier_pass {
    int64_t radix, length, stride;
    const double *turns; /* (length, radix - 1, 2): e^(-2 pi i k p / (radix length)) */
    const double *roots; /* (radix, 2): cos, sin of 2 pi k / radix */
} kd__fourier_pass;

typedef struct kd__kernels {
    int32_t isa;
    const char *name;
    int32_t lanes;                   /* floats of a vector */
    int32_t tile_rows, tile_columns; /* of `tile` */
#define KERNEL(result, name, arguments) result(*name) arguments;
#include "math/kernels.inc"
} kd__kernels;

extern const kd__kernels kd__kernels_portable;
#ifdef __x86_64__
extern const kd__kernels kd__kernels_avx2;
extern const kd__kernels kd__kernels_avx512;
#endif

/* The table for KD_ISA_AUTO or a set by number; KD_ERR_UNSUPPORTED when the processor lacks it. */
kd_status kd__kernels_choose(int32_t isa, const kd__kernels **out);

#endif
