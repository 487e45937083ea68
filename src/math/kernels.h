/* The kernels, one table an instruction set. Pure functions on plain arrays; shapes are already checked.
 * Legend: n numbers of one row; z student logits, v teacher logits; ez, ev their exponentials. Every kernel sums in an order that
 * depends on n alone.                                                                                                          */
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
    float learning_rate, beta1, beta2, epsilon, decay, correction1, correction2; /* corrections: 1 / (1 - beta^t) */
    int32_t decoupled;
} kd__adam_step;

#define KD__GROUP 16 /* vectors */
static inline int64_t kd__groups(int64_t n, int32_t lanes) { return (n + KD__GROUP * lanes - 1) / (KD__GROUP * lanes) * lanes; }

typedef struct kd__kernels {
    int32_t isa;
    const char *name;
    int32_t lanes; /* floats of a vector */
    /* ---- rows ---- */
    /* Largest number; *bad = 1 when there is NaN or +infinity. -infinity when all are. */
    float (*scan)(const float *x, int64_t n, int32_t *bad);
    /* As scan, with the maxima of groups: number l of group g (l < lanes) is the largest of x[(g KD__GROUP + v) lanes + l], v < KD__GROUP. Room for
     * kd__groups(n, lanes) numbers.                                                                                            */
    float (*scan_groups)(const float *x, int64_t n, int32_t *bad, float *maxima);
    int64_t (*count_from)(const float *x, int64_t n, float least); /* how many are at least `least`        */
    /* Those that are at least `least`, in order: values, and first + their places as ids; room for n of each, values may be x. Returns how many. */
    int64_t (*collect_from)(const float *x, int64_t n, float least, uint32_t first, uint32_t *ids, float *values);
    double (*sum_from)(const float *x, const float *e, int64_t n, float least);   /* sum of e where x is at least `least` */
    double (*weighted_sum)(const float *x, const float *e, int64_t n, float max); /* sum e (x - max), where e is above 0 */
    int64_t (*argmax)(const float *x, int64_t n);                                 /* the first of the largest */
    double (*sum)(const float *x, int64_t n);
    double (*sum_squares)(const float *x, int64_t n); /* not finite when some x is not finite */
    /* e = exp((x - max) / T); returns the sum. */
    double (*exponentials)(const float *x, int64_t n, float max, float inverse_t, float *e);
    /* The sum of those of the x that are below `least`. */
    double (*exponentials_below)(const float *x, int64_t n, float max, float inverse_t, float least);
    /* Both sides' exponentials and sums; returns sum e_b (a_b - a_a), a = (x - max) / T; b is the weighing side. A place with
     * e_b = 0 contributes 0. `floor` is the least a_a (-infinity: none); *hits counts the places below it.                  */
    double (*relative)(kd__side *a, kd__side *b, int64_t n, float inverse_t, float floor, int64_t *hits);
    /* out = x ea - y eb, or out += when add is 1. eb may be NULL. out may be ea. */
    void (*combine)(float *out, const float *ea, float x, const float *eb, float y, int64_t n, int32_t add);
    /* Gradient of reverse KL: out (+)= c q (d - mean), d = (z - zmax)/T - max((v - vmax)/T, floor) + shift, q = ez * inverse. */
    void (*reverse_gradient)(float *out, const kd__side *z, const kd__side *v, int64_t n, float inverse_t, float floor, float shift, float c,
                             float mean, int32_t add);
    /* Jensen-Shannon with teacher share b: q = ez/sz, p = ev/sv, M = b p + (1 - b) q. Writes g = (1 - b) log(q/M) over ev, *mean =
     * sum q g; returns b KL(p,M) + (1-b) KL(q,M).                                                                            */
    double (*jensen)(const kd__side *z, const kd__side *v, int64_t n, float inverse_t, float b, double *mean);
    /* As jensen, but h = q dL/dq is written over ev and *mean = sum h; M mixes with the share a.
     *   KD__SKEWED_FORWARD  sum p log(p/M), M = a p + (1-a) q      h = -(1-a) p q / M
     *   KD__SKEWED_REVERSE  sum q log(q/M), M = a q + (1-a) p      h = q (log(q/M) - a q/M)
     *   KD__SKEWED_DETACHED the same, M a constant                 h = q log(q/M)
     *   KD__VARIATION       1/2 sum |p - q|                        h = q/2 sign(q - p)                                */
    double (*mixture)(int32_t kind, const kd__side *z, const kd__side *v, int64_t n, float inverse_t, float a, double *mean);
    /* float16 (KD_FLOAT16) or bfloat16 numbers to float32 */
    void (*widen)(int32_t dtype, const void *from, int64_t n, float *to);
    void (*narrow)(int32_t dtype, const float *from, int64_t n, void *to); /* and back, to the nearest */
    /* out (+)= c ez (g - mean) */
    void (*softmax_gradient)(float *out, const float *ez, const float *g, int64_t n, float c, float mean, int32_t add);
    /* y = cap tanh(x / cap) in place; dy *= 1 - (y / cap)^2 */
    void (*soft_cap)(float *x, int64_t n, float cap);
    void (*soft_cap_gradient)(float *dy, const float *y, int64_t n, float cap);
    float (*largest_size)(const float *x, int64_t n); /* max |x|, 0 for none */
    /* signature[i] = min(signature[i], min over h of (h ^ x[i]) m[i] mod 2^32), i < n; m odd: orders of the 2^32 hashes. n is a multiple of 16. */
    void (*minhash)(uint32_t *signature, const uint32_t *x, const uint32_t *m, int64_t n, const uint32_t *hashes, int64_t count);
    /* ---- element-wise ---- */
    void (*axpby)(float *y, float a, const float *x, float b, int64_t n); /* y = a x + b y */
    void (*relu)(float *y, const float *x, const float *bias, int64_t n); /* y = max(x + bias, 0); bias may be NULL */
    void (*add_bias)(float *y, const float *x, const float *bias, int64_t n);
    void (*relu_gradient)(float *dx, const float *y, const float *dy, int64_t n); /* dx = dy where y > 0 */
    void (*sgd)(float *p, const float *g, int64_t n, float scale, float learning_rate, float decay, float clip);
    void (*momentum)(float *p, const float *g, float *m, int64_t n, float scale, float learning_rate, float decay, float clip, float momentum,
                     int32_t nesterov);
    void (*adam)(float *p, const float *g, float *m, float *v, int64_t n, float scale, float clip, const kd__adam_step *step);
    /* ---- decoder layers (src/math/kernels_decoder.h) ---- */
    float (*rms_norm)(float *y, const float *x, const float *w, int64_t n, float eps); /* returns r */
    void (*rms_norm_gradient)(float *dx, const float *dy, const float *x, const float *w, int64_t n, float r, int32_t add);
    void (*swiglu)(float *a, const float *g, const float *u, int64_t n);
    void (*swiglu_gradient)(float *a, float *dg, float *du, const float *da, const float *g, const float *u, int64_t n);
    void (*rotate)(float *x, const float *cosine, const float *sine, int64_t half, float turn);
    /* ---- matrix product (src/math/gemm.c) ---- */
    int32_t tile_rows, tile_columns;
    /* `count` lines `depth` deep, x[i * row + p * column], as to[p * width + i]; missing lines are zero. One of the two steps is 1. */
    void (*pack)(const float *x, int64_t row, int64_t column, int64_t count, int64_t depth, int64_t width, float *to);
    /* c[i * ldc + j] = alpha sum_k a[k * tile_rows + i] b[k * tile_columns + j] + beta c[..] for the first rows x columns of a tile;
     * a and b are packed; k is at least 1. ahead, or NULL: fetched meanwhile.                              */
    void (*tile)(int64_t k, float alpha, const float *a, const float *b, float beta, float *c, int64_t ldc, int32_t rows, int32_t columns,
                 const kd__ahead *ahead);
} kd__kernels;

extern const kd__kernels kd__kernels_portable;
#ifdef __x86_64__
extern const kd__kernels kd__kernels_avx2;
extern const kd__kernels kd__kernels_avx512;
#endif

/* The table for KD_ISA_AUTO or a set by number; KD_ERR_UNSUPPORTED when the processor lacks it. */
kd_status kd__kernels_choose(int32_t isa, const kd__kernels **out);

#endif
