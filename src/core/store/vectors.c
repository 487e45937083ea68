/* Hidden states: rotated so that no coordinate stands out, then quantized with one scale a row.
 * Codes of b bits are -L .. L, L = 2^(b-1) - 1, in two's complement, packed one after the other.
 * The scale is the one of a few that leaves the least squared error: below 8 bits cutting the rare
 * largest numbers off is worth the finer steps. */
#include <math.h>

#include "math/hadamard.h"
#include "math/random.h"
#include "core/store/codec.h"

static int64_t power_of_two(int64_t d)
{
    int64_t n = 1;
    while (2 * n <= d) n *= 2;
    return n;
}

/* Orthonormal Walsh-Hadamard transform of n = 2^m numbers, its own inverse. */
static void hadamard(float *x, int64_t n)
{
    kd__hadamard(x, n, n);
    const float scale = (float)(1 / sqrt((double)n));
    for (int64_t i = 0; i < n; i++) x[i] *= scale;
}

static void flip(float *x, int64_t d, uint64_t seed, uint64_t which)
{
    const uint64_t stream = kd__stream(seed, 0x726f7461, which);
    for (int64_t i = 0; i < d; i++)
        if (kd__random(stream, (uint64_t)i) & 1) x[i] = -x[i];
}

void kd__rotate(float *x, int64_t d, uint64_t seed)
{
    const int64_t n = power_of_two(d);
    flip(x, d, seed, 0);
    hadamard(x, n);
    if (n == d) return;
    flip(x, d, seed, 1);
    hadamard(x + d - n, n);
}

void kd__unrotate(float *x, int64_t d, uint64_t seed)
{
    const int64_t n = power_of_two(d);
    if (n != d) {
        hadamard(x + d - n, n);
        flip(x, d, seed, 1);
    }
    hadamard(x, n);
    flip(x, d, seed, 0);
}

int64_t kd__quantized_bytes(int64_t d, int32_t bits) { return 4 + kd__ceil_div(d * bits, 8); }

static double squared_error(const float *x, int64_t d, float scale, float limit)
{
    double error = 0;
    const float inverse = 1 / scale;
    for (int64_t i = 0; i < d; i++) {
        float q = rintf(x[i] * inverse);
        q = q > limit ? limit : q < -limit ? -limit : q;
        error += (x[i] - q * scale) * (x[i] - q * scale);
    }
    return error;
}

static float best_scale(const float *x, int64_t d, float limit)
{
    float most = 0, best = 0;
    double least = INFINITY;
    for (int64_t i = 0; i < d; i++) most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    if (!(most > KD__LEAST_QUANTIZED)) return 0;
    for (int step = 0; step < 16; step++) {
        const float scale = most / limit * (1 - 0.045f * (float)step);
        const double error = squared_error(x, d, scale, limit);
        if (error < least) least = error, best = scale;
        else if (step > 2) break;
    }
    return best;
}

void kd__quantize(const float *x, int64_t d, int32_t bits, uint8_t *to)
{
    const float limit = (float)((1 << (bits - 1)) - 1), scale = best_scale(x, d, limit),
                inverse = scale > 0 ? 1 / scale : 0;
    kd__bits_out out = { .bytes = to };
    uint32_t raw;
    memcpy(&raw, &scale, 4);
    kd__bits_put(&out, raw, 32);
    for (int64_t i = 0; i < d; i++) {
        float q = rintf(x[i] * inverse);
        q = q > limit ? limit : q < -limit ? -limit : q;
        kd__bits_put(&out, (uint32_t)(int32_t)q & ((1U << bits) - 1), bits);
    }
    kd__bits_flush(&out);
}

void kd__dequantize(const uint8_t *from, int64_t d, int32_t bits, float *x)
{
    kd__bits_in in = { .bytes = from, .end = from + kd__quantized_bytes(d, bits) };
    const uint32_t raw = kd__bits_get(&in, 32);
    const int32_t shift = 32 - bits;
    float scale;
    memcpy(&scale, &raw, 4);
    if (!(fabsf(scale) <= KD__MOST_QUANTIZED)) scale = 0; /* no writer's */
    if (bits == 8) {
        for (int64_t i = 0; i < d; i++) x[i] = scale * (float)(int8_t)from[4 + i];
        return;
    }
    int64_t i = 0;
    for (; i + 8 <= d; i += 8) { /* eight codes are `bits` whole bytes */
        const uint8_t *at = from + 4 + i / 8 * bits;
        uint64_t word = 0;
        memcpy(&word, at, (size_t)bits);
        word = kd__little64(word);
        for (int j = 0; j < 8; j++)
            x[i + j] = scale * (float)((int32_t)((uint32_t)(word >> j * bits) << shift) >> shift);
    }
    in = (kd__bits_in){ .bytes = from + 4 + i / 8 * bits,
                        .end = from + kd__quantized_bytes(d, bits) };
    for (; i < d; i++) x[i] = scale * (float)((int32_t)(kd__bits_get(&in, bits) << shift) >> shift);
}

uint16_t kd__bfloat16_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (x != x) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

uint16_t kd__half_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    const uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (size > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (size >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* rounds beyond 65504 */
    if (size < 0x38800000) {                                  /* subnormal: in steps of 2^-24 */
        float small;
        memcpy(&small, &size, 4);
        return (uint16_t)(sign | (uint32_t)rintf(small * 0x1p24f));
    }
    const uint32_t rebiased = size - 0x38000000;
    return (uint16_t)(sign | (rebiased + 0xfff + (rebiased >> 13 & 1)) >> 13);
}

void kd__project(const float *x, int64_t from, float *y, int64_t to, uint64_t seed)
{
    const uint64_t stream = kd__stream(seed, 0x70726f6a, (uint64_t)to);
    const double scale = 1 / sqrt((double)to);
    const int64_t words = kd__ceil_div(from, 64);
    for (int64_t j = 0; j < to; j++) {
        double sum = 0;
        for (int64_t w = 0; w < words; w++) {
            const uint64_t signs = kd__random(stream, (uint64_t)(j * words + w));
            for (int64_t i = 64 * w; i < from && i < 64 * w + 64; i++)
                sum += signs >> (i & 63) & 1 ? -x[i] : x[i];
        }
        y[j] = (float)(sum * scale);
    }
}
