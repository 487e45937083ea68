/* Q6_K: 256 numbers in sixteen groups of 16 with 8-bit scales.
 *
 *   128 bytes of low nibbles, 64 bytes of two high bits, 16 scales s (int8), d (f16)
 *   x ~ d s (q - 32)
 *
 * A group's scale is searched with weights x^2 or importance; scales are rounded so that the
 * largest is -128; codes are rounded with the scales as they are read. */
#include <math.h>
#include <string.h>

#include "formats/blocks/blocks.h"

enum { NUMBERS = 256, GROUP = 16, GROUPS = NUMBERS / GROUP, HIGH = 128, SCALES = 192, D = 208 };
enum { BYTES = 210 };

/* ---- reading ---- */

void kd__q6_k_decode(const uint8_t *b, float *y)
{
    const float d = kd__block_half(b + D);
    const int8_t *scales = (const int8_t *)(b + SCALES);
    for (int n = 0; n < 2; n++)
        for (int l = 0; l < 32; l++) {
            const uint8_t *low = b + 64 * n, high = b[HIGH + 32 * n + l];
            const int q[4] = { (low[l] & 15) | (high & 3) << 4,
                               (low[l + 32] & 15) | (high >> 2 & 3) << 4,
                               low[l] >> 4 | (high >> 4 & 3) << 4,
                               low[l + 32] >> 4 | (high >> 6 & 3) << 4 };
            for (int k = 0; k < 4; k++)
                y[128 * n + 32 * k + l] = d * (float)scales[8 * n + 2 * k + l / 16] *
                                          (float)(q[k] - 32);
        }
}

void kd__q6_k_ends(const uint8_t *b, int32_t group, float *low, float *high)
{
    const float scale = kd__block_half(b + D) * (float)(int8_t)b[SCALES + group];
    *low = (scale < 0 ? 31.5f : -32.5f) * scale;
    *high = (scale < 0 ? -32.5f : 31.5f) * scale;
}

/* ---- writing ---- */

static void put_codes(const uint8_t *codes, uint8_t *to)
{
    for (int n = 0; n < 2; n++)
        for (int l = 0; l < 32; l++) {
            const uint8_t *q = codes + 128 * n + l;
            to[64 * n + l] = (uint8_t)((q[0] & 15) | (q[64] & 15) << 4);
            to[64 * n + l + 32] = (uint8_t)((q[32] & 15) | (q[96] & 15) << 4);
            to[HIGH + 32 * n + l] =
                (uint8_t)(q[0] >> 4 | q[32] >> 4 << 2 | q[64] >> 4 << 4 | q[96] >> 4 << 6);
        }
}

static void encode_block(const float *x, const float *importance, uint8_t *to)
{
    float scales[GROUPS], most = 0;
    uint8_t codes[NUMBERS];
    for (int j = 0; j < GROUPS; j++) {
        scales[j] = kd__block_fit_signed(x + j * GROUP, GROUP, 32,
                                         importance ? importance + j * GROUP : NULL,
                                         codes + j * GROUP);
        if (fabsf(scales[j]) > fabsf(most)) most = scales[j];
    }
    memset(to, 0, BYTES);
    if (fabsf(most) < 1e-15f) return;
    const float inverse = -128 / most, d = kd__block_put_half(to + D, 1 / inverse);
    for (int j = 0; j < GROUPS; j++) {
        const int32_t code = kd__block_code(inverse * scales[j], -128, 127);
        const float scale = d * (float)code;
        to[SCALES + j] = (uint8_t)(int8_t)code;
        for (int l = j * GROUP; l < (j + 1) * GROUP && scale != 0; l++)
            codes[l] = (uint8_t)(32 + kd__block_code(x[l] / scale, -32, 31));
    }
    put_codes(codes, to);
}

void kd__q6_k_encode(const float *x, int64_t n, const float *importance, uint8_t *to)
{
    for (int64_t i = 0; i < n; i += NUMBERS, to += BYTES)
        encode_block(x + i, importance ? importance + i : NULL, to);
}
