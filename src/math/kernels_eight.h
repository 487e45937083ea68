/* Kernels of 8-bit rows, part of kernels_body.h: one source, compiled once an instruction set. Sums
 * and roundings are in one order, so that all sets give the same bits. */
#ifndef KD_MATH_KERNELS_EIGHT_H
#define KD_MATH_KERNELS_EIGHT_H

#include "math/hadamard.h"

static void hadamard(float *x, int64_t n, int64_t width) { kd__hadamard(x, n, width); }

/* The least bfloat16 number not below x >= 0. */
static float round_up_bfloat16(float x)
{
    uint32_t raw;
    memcpy(&raw, &x, sizeof raw);
    raw = (raw + 0xffffu) & 0xffff0000u;
    memcpy(&x, &raw, sizeof x);
    return x;
}

typedef int8_t vb __attribute__((vector_size(W)));

static float round_eight(const float *x, int64_t n, int8_t *codes)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */
    int32_t bad = 0;
    vi wrong = { 0 };
    vf most = splat(0);
    EACH_VECTOR(i, n)
    {
        const vf a = load_at(x + i, left, 0), size = larger(a, -a);
        wrong |= ~(size < splat(INFINITY)); /* NaN and infinities */
        most = larger(size, most);
    }
    for (int k = 0; k < W; k++) bad |= wrong[k];
    const float largest = max_lanes(most);
    if (bad || largest < 0x1p-100f) {
        memset(codes, 0, (size_t)n);
        return bad ? NAN : 0;
    }
    const float scale = round_up_bfloat16(largest / 127), inverse = 1 / scale;
    EACH_VECTOR(i, n)
    {
        vf y = load_at(x + i, left, 0) * inverse;
        ROUNDED(y);
        const vu whole = (vu)bits(y + magic) - (vu)bits(splat(magic));
        const vb code = __builtin_convertvector((vi)whole, vb);
        memcpy(codes + i, &code, left < W ? (size_t)left : W);
    }
    return scale;
}

static void widen_eight(const int8_t *codes, int64_t n, float *to)
{
    for (int64_t i = 0; i < n; i++) to[i] = codes[i];
}

static void scale_eight(float *y, const uint16_t *scales, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const uint32_t raw = (uint32_t)scales[i] << 16;
        float scale;
        memcpy(&scale, &raw, sizeof scale);
        y[i] *= scale;
    }
}

#endif
