#include "model/factorise.h"

#include <math.h>

#include "math/gemm.h"
#include "math/random.h"

#define ROUNDS 40

/* Columns of q (d, e) made orthonormal, one behind the other, twice each against rounding; one that vanishes becomes 0. */
static void orthonormalise(float *q, int64_t d, int64_t e)
{
    for (int64_t j = 0; j < e; j++) {
        double before = 0, length = 0;
        for (int64_t r = 0; r < d; r++) before += (double)q[r * e + j] * q[r * e + j];
        for (int64_t k = 0; k < 2 * j; k++) {
            double dot = 0;
            for (int64_t r = 0; r < d; r++) dot += (double)q[r * e + j] * q[r * e + k % j];
            for (int64_t r = 0; r < d; r++) q[r * e + j] -= (float)dot * q[r * e + k % j];
        }
        for (int64_t r = 0; r < d; r++) length += (double)q[r * e + j] * q[r * e + j];
        const double scale = length > 1e-12 * before ? 1 / sqrt(length) : 0;
        for (int64_t r = 0; r < d; r++) q[r * e + j] = (float)(q[r * e + j] * scale);
    }
}

kd_status kd__factorise(kd_context *context, const float *x, int64_t n, int64_t d, int64_t e, float *rows, float *columns)
{
    const uint64_t stream = kd__stream(0, 0x66616374, 0);
    float *square = NULL, *next = NULL;
    kd_status status = KD_NEW(context, &square, d * d);
    if (status == KD_OK) status = KD_NEW(context, &next, d * e);
    kd__gemm s = { 1, 0, d, d, n, 1, x, d, x, d, 0, square, d };
    if (status == KD_OK) status = kd__gemm_float32(context, &s);
    for (int64_t i = 0; i < d * e && status == KD_OK; i++) columns[i] = (float)(kd__uniform(stream, (uint64_t)i) - 0.5);
    for (int32_t round = 0; round < ROUNDS && status == KD_OK; round++) {
        kd__gemm g = { 0, 0, d, e, d, 1, square, d, columns, e, 0, next, e };
        status = kd__gemm_float32(context, &g);
        for (int64_t i = 0; i < d * e; i++) columns[i] = next[i];
        orthonormalise(columns, d, e);
    }
    kd__gemm r = { 0, 0, n, e, d, 1, x, d, columns, e, 0, rows, e };
    if (status == KD_OK) status = kd__gemm_float32(context, &r);
    kd__release(context, square);
    kd__release(context, next);
    return status;
}
