/* A matrix as the product of two thin ones, weighted by what goes into it. */
#include "language/students/factorize.h"

#include <math.h>

#include "base/memory.h"
#include "math/gemm.h"
#include "math/random.h"

#define ROUNDS 40

/* The product of columns j and k of q (d, e). */
static double dot(const float *q, int64_t d, int64_t e, int64_t j, int64_t k)
{
    double sum = 0;
    for (int64_t r = 0; r < d; r++) sum += (double)q[r * e + j] * q[r * e + k];
    return sum;
}

/* Columns of q (d, e) made orthonormal, one after the other, twice each against rounding; one that
 * vanishes becomes 0. */
static void orthonormalize(float *q, int64_t d, int64_t e)
{
    for (int64_t j = 0; j < e; j++) {
        const double before = dot(q, d, e, j, j);
        for (int64_t pass = 0; pass < 2; pass++)
            for (int64_t k = 0; k < j; k++) {
                const float along = (float)dot(q, d, e, j, k);
                for (int64_t r = 0; r < d; r++) q[r * e + j] -= along * q[r * e + k];
            }
        const double length = dot(q, d, e, j, j);
        const double scale = length > 1e-12 * before ? 1 / sqrt(length) : 0;
        for (int64_t r = 0; r < d; r++) q[r * e + j] = (float)(q[r * e + j] * scale);
    }
}

/* c (m, n) = op(a) b, op(a) (m, k), all dense; a_t 1: a is stored (k, m). */
static kd_status multiply(kd_context *context, int32_t a_t, int64_t m, int64_t n, int64_t k,
                          const float *a, const float *b, float *c)
{
    const kd__gemm product = { .a_t = a_t,
                               .m = m,
                               .n = n,
                               .k = k,
                               .alpha = 1,
                               .a = a,
                               .lda = a_t ? m : k,
                               .b = b,
                               .ldb = n,
                               .c = c,
                               .ldc = n };
    return kd__gemm_float32(context, &product);
}

/* columns (d, e): the leading directions of square (d, d), by orthogonal iteration. */
static kd_status iterate(kd_context *context, const float *square, int64_t d, int64_t e,
                         float *next, float *columns)
{
    const uint64_t stream = kd__stream(0, 0x66616374, 0);
    for (int64_t i = 0; i < d * e; i++)
        columns[i] = (float)(kd__uniform(stream, (uint64_t)i) - 0.5);
    for (int32_t round = 0; round < ROUNDS; round++) {
        KD_TRY(multiply(context, 0, d, e, d, square, columns, next));
        for (int64_t i = 0; i < d * e; i++) columns[i] = next[i];
        orthonormalize(columns, d, e);
    }
    return KD_OK;
}

kd_status kd__factorize(kd_context *context, const float *x, int64_t n, int64_t d, int64_t e,
                        float *rows, float *columns)
{
    float *square = NULL, *next = NULL;
    kd_status status;
    KD_TRY_GOTO(status, KD_NEW(context, &square, d * d), done);
    KD_TRY_GOTO(status, KD_NEW(context, &next, d * e), done);
    KD_TRY_GOTO(status, multiply(context, 1, d, d, n, x, x, square), done);
    KD_TRY_GOTO(status, iterate(context, square, d, e, next, columns), done);
    status = multiply(context, 0, n, e, d, x, columns, rows);
done:
    kd__release(context, square);
    kd__release(context, next);
    return status;
}
