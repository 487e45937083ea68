/* Q4_K, Q5_K: 256 numbers in eight groups of 32, whose scales s and minima n have 6 bits each.
 *
 *   d, e (f16), 12 bytes of s and n, of Q5_K 32 bytes of fifth bits, 128 bytes of nibbles
 *   x ~ d s q - e n
 *
 * A group's scale and minimum are searched with weights that grow with a number's size; all eight
 * are rounded against the largest, or, with importance, searched once more; then codes are rounded
 * with the scales as they are read. */
#include <math.h>
#include <string.h>

#include "formats/blocks/blocks.h"

enum { NUMBERS = 256, GROUP = 32, GROUPS = NUMBERS / GROUP, SCALES = 12 };

static int64_t bytes_of(int fifth) { return 4 + SCALES + 32 * fifth + 128; }

/* ---- six bits ---- */

/* The first four scales and minima lie in the low bits of bytes 0 to 7; the last four in bytes 8 to
 * 11, their two high bits above the first four's. */
static void scale_and_minimum(const uint8_t *s, int j, int *scale, int *minimum)
{
    if (j < 4) *scale = s[j] & 63, *minimum = s[j + 4] & 63;
    else {
        *scale = (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
        *minimum = s[j + 4] >> 4 | s[j] >> 6 << 4;
    }
}

static void put_scales(uint8_t *to, const uint8_t *scales, const uint8_t *minima)
{
    for (int j = 0; j < 4; j++) {
        to[j] = (uint8_t)(scales[j] | scales[j + 4] >> 4 << 6);
        to[j + 4] = (uint8_t)(minima[j] | minima[j + 4] >> 4 << 6);
        to[j + 8] = (uint8_t)((scales[j + 4] & 15) | minima[j + 4] << 4);
    }
}

/* What a group's codes are multiplied with, and what is taken away. */
static void group_of(const uint8_t *b, int j, float *scale, float *minimum)
{
    int s, m;
    scale_and_minimum(b + 4, j, &s, &m);
    *scale = kd__block_half(b) * (float)s;
    *minimum = kd__block_half(b + 2) * (float)m;
}

/* ---- reading ---- */

/* One byte a code, of the bytes after the scales. */
static void take_codes(const uint8_t *from, int fifth, uint8_t *codes)
{
    const uint8_t *q = from + (fifth ? 32 : 0);
    for (int j = 0; j < GROUPS; j++)
        for (int l = 0; l < GROUP; l++) {
            const int nibble = j % 2 ? q[j / 2 * 32 + l] >> 4 : q[j / 2 * 32 + l] & 15;
            codes[j * GROUP + l] = (uint8_t)(nibble + (fifth && from[l] >> j & 1 ? 16 : 0));
        }
}

static void decode(const uint8_t *b, int fifth, float *y)
{
    uint8_t codes[NUMBERS];
    take_codes(b + 4 + SCALES, fifth, codes);
    for (int j = 0; j < GROUPS; j++) {
        float scale, minimum;
        group_of(b, j, &scale, &minimum);
        for (int l = j * GROUP; l < (j + 1) * GROUP; l++) y[l] = scale * (float)codes[l] - minimum;
    }
}

static void ends(const uint8_t *b, int fifth, int group, float *low, float *high)
{
    float scale, minimum;
    group_of(b, group, &scale, &minimum);
    *low = -0.5f * scale - minimum;
    *high = (fifth ? 31.5f : 15.5f) * scale - minimum;
}

/* ---- writing ---- */

typedef struct {
    float scale[GROUPS], minimum[GROUPS];
    float heft[GROUPS]; /* sum of a group's weights */
    uint8_t codes[NUMBERS];
} searched;

static void weights_of(const float *x, const float *importance, float spread, float *weight)
{
    if (importance) {
        kd__block_weights(x, GROUP, importance, spread, weight);
        return;
    }
    const float size = sqrtf(kd__block_mean_square(x, GROUP));
    for (int l = 0; l < GROUP; l++) weight[l] = size + fabsf(x[l]);
}

static void search_groups(const float *x, int fifth, const float *importance, searched *to)
{
    static const kd__block_steps plain4 = { -1.0f, 0.1f, 20 }, plain5 = { -0.5f, 0.1f, 15 },
                                 fine = { -0.9f, 0.05f, 36 };
    const kd__block_steps *steps = importance ? &fine : fifth ? &plain5 : &plain4;
    const float spread = importance ? 2 * kd__block_mean_square(x, NUMBERS) : 0;
    for (int j = 0; j < GROUPS; j++) {
        float weight[GROUP];
        weights_of(x + j * GROUP, importance ? importance + j * GROUP : NULL, spread, weight);
        to->heft[j] = 0;
        for (int l = 0; l < GROUP; l++) to->heft[j] += weight[l];
        to->scale[j] = kd__block_fit_shifted(x + j * GROUP, GROUP, fifth ? 31 : 15, weight, steps,
                                             to->codes + j * GROUP, &to->minimum[j]);
    }
}

/* Six bits of eight numbers against the largest; what six bits of 1 are. */
static float round_to_largest(const float *x, uint8_t *codes)
{
    float most = 0;
    for (int j = 0; j < GROUPS; j++) most = x[j] > most ? x[j] : most;
    const float inverse = most > 0 ? 63 / most : 0;
    for (int j = 0; j < GROUPS; j++) codes[j] = (uint8_t)kd__block_code(inverse * x[j], 0, 63);
    return most / 63;
}

static void put_codes(const uint8_t *codes, int fifth, uint8_t *to)
{
    uint8_t *high = to, *q = to + (fifth ? 32 : 0);
    if (fifth) memset(high, 0, 32);
    for (int j = 0; j < GROUPS; j += 2)
        for (int l = 0; l < GROUP; l++) {
            const uint8_t a = codes[j * GROUP + l], b = codes[(j + 1) * GROUP + l];
            q[j / 2 * GROUP + l] = (uint8_t)((a & 15) | b << 4);
            if (fifth) high[l] |= (uint8_t)(a >> 4 << j | b >> 4 << (j + 1));
        }
}

/* Codes with the block's scales; those of a group whose scale is 0 say nothing and stay. */
static void round_codes(const float *x, int fifth, const uint8_t *block, uint8_t *codes)
{
    for (int j = 0; j < GROUPS; j++) {
        float scale, minimum;
        group_of(block, j, &scale, &minimum);
        if (scale == 0) continue;
        for (int l = j * GROUP; l < (j + 1) * GROUP; l++)
            codes[l] = (uint8_t)kd__block_code((x[l] + minimum) / scale, 0, fifth ? 31.0f : 15.0f);
    }
}

static void encode_block(const float *x, int fifth, const float *importance, uint8_t *to)
{
    searched s;
    uint8_t scales[GROUPS], minima[GROUPS];
    search_groups(x, fifth, importance, &s);
    const float d = importance ? kd__block_fit_positive(s.scale, GROUPS, 63, s.heft, scales)
                               : round_to_largest(s.scale, scales);
    const float e = importance ? kd__block_fit_positive(s.minimum, GROUPS, 63, s.heft, minima)
                               : round_to_largest(s.minimum, minima);
    kd__block_put_half(to, d);
    kd__block_put_half(to + 2, e);
    put_scales(to + 4, scales, minima);
    round_codes(x, fifth, to, s.codes);
    put_codes(s.codes, fifth, to + 4 + SCALES);
}

static void recode(const float *x, int64_t n, int fifth, uint8_t *blocks)
{
    uint8_t codes[NUMBERS];
    for (int64_t i = 0; i < n; i += NUMBERS, blocks += bytes_of(fifth)) {
        take_codes(blocks + 4 + SCALES, fifth, codes);
        round_codes(x + i, fifth, blocks, codes);
        put_codes(codes, fifth, blocks + 4 + SCALES);
    }
}

static void encode(const float *x, int64_t n, const float *importance, int fifth, uint8_t *to)
{
    for (int64_t i = 0; i < n; i += NUMBERS, to += bytes_of(fifth))
        encode_block(x + i, fifth, importance ? importance + i : NULL, to);
}

/* ---- the two ---- */

#define FORMAT(name, fifth)                                                                        \
    void kd__##name##_recode(const float *x, int64_t n, uint8_t *blocks)                           \
    {                                                                                              \
        recode(x, n, fifth, blocks);                                                               \
    }                                                                                              \
    void kd__##name##_decode(const uint8_t *block, float *y) { decode(block, fifth, y); }          \
    void kd__##name##_encode(const float *x, int64_t n, const float *importance, uint8_t *to)      \
    {                                                                                              \
        encode(x, n, importance, fifth, to);                                                       \
    }                                                                                              \
    void kd__##name##_ends(const uint8_t *block, int32_t group, float *low, float *high)           \
    {                                                                                              \
        ends(block, fifth, group, low, high);                                                      \
    }
FORMAT(q4_k, 0)
FORMAT(q5_k, 1)
