/* Matrix products: the only place that calls CBLAS. */
#ifndef KD_MATH_GEMM_H
#define KD_MATH_GEMM_H

#include <kdistill/context.h>
#include "math/ahead.h"

/* One matrix product, row-major: C (m x n) = alpha op(A) op(B) + beta C. `a_t` 1: A is stored (k x
 * m). C is not read when beta = 0. Cut into tiles by shape alone. Errors: a host's callback failed,
 * or no memory for the packed side. */
typedef struct kd__gemm {
    int32_t a_t, b_t;
    int64_t m, n, k;
    float alpha;
    const float *a;
    int64_t lda;
    const float *b;
    int64_t ldb;
    float beta;
    float *c;
    int64_t ldc;
} kd__gemm;

kd_status kd__gemm_run(kd_context *context, const kd__gemm *product);
/* The same in float32 whatever the context's products are. */
kd_status kd__gemm_float32(kd_context *context, const kd__gemm *product);

/* How the library's own product packs its sides and multiplies what it packed: tiles of rows x
 * columns, a step of depth `unit` numbers. */
typedef struct kd__tiles {
    int32_t rows, columns, unit;
    /* `count` lines `depth` numbers deep, x[i * row + p * column], one of the two steps 1: to[step
     * * width + line], missing ones 0 */
    void (*pack)(const float *x, int64_t row, int64_t column, int64_t count, int64_t depth,
                 int64_t width, float *to);
    void (*tile)(int64_t steps, float alpha, const float *a, const float *b, float beta, float *c,
                 int64_t ldc, int32_t rows, int32_t columns, const kd__ahead *ahead);
} kd__tiles;
kd_status kd__gemm_tiles(kd_context *context, const kd__gemm *product, const kd__tiles *tiles);

/* Floats of scratch that kd__gemm_run takes for a product of this shape. */
int64_t kd__gemm_scratch(const kd_context *context, int64_t m, int64_t n, int64_t k);

#define KD__DEPTH 576 /* of a piece of the sums */
/* that a thread packs at once, at most: a multiple of every tile's rows */
#define KD__LINES 96
#define KD__MOST_DEPTH (7 * KD__DEPTH) /* packed at once */
/* Up to so many lines the library's own product packs no more than its lines and a panel a thread,
 * whatever n. */
#define KD__THIN_LINES 384
/* Floats of scratch that such a product takes. */
int64_t kd__gemm_thin_scratch(int64_t lines, int64_t depth, int32_t threads);

/* The same for blocks of a head: many columns, few lines. The library's own kernels, which are
 * faster there, unless the host asked for BLAS by name or gave a product of its own. */
kd_status kd__gemm_block(kd_context *context, const kd__gemm *product);
int kd__gemm_block_is_own(const kd_context *context);

/* Always the library's own kernels, in the context's precision: a line's bits do not depend on the
 * number of lines. */
kd_status kd__gemm_own(kd_context *context, const kd__gemm *product);

/* C += alpha op(A) op(B) over the cells of op(A) that are on: KD__CELL lines x KD__CELL deep,
 * active[line cell * line_step + depth cell * depth_step]; and C += the whole product `rest`, of
 * the same C, m and n. Always the library's own kernels; C must hold numbers. */
#define KD__CELL 48
kd_status kd__gemm_cells(kd_context *context, const kd__gemm *product, const uint8_t *active,
                         int64_t line_step, int64_t depth_step, const kd__gemm *rest);

#endif
