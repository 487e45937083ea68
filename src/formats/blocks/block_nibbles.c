/* Q4_0, Q4_1, Q5_0, Q5_1: 32 codes of 4 or 5 bits around 0 or above a minimum.
 *
 *   Q4_0  d (f16), 16 bytes             x ~ d (q - 8)      d = largest / -8
 *   Q4_1  d, m (f16), 16 bytes          x ~ d q + m        d = (max - min) / 15, m = min
 *   Q5_0  d, 32 fifth bits, 16 bytes    x ~ d (q - 16)     d = largest / -16
 *   Q5_1  d, m, 32 fifth bits, 16 bytes x ~ d q + m        d = (max - min) / 31
 *
 * With importance the scale is searched (blocks.h). */
#include <math.h>
#include <string.h>

#include "formats/blocks/blocks.h"

enum { NUMBERS = 32 };

typedef struct {
    int fifth, minimum; /* bits beyond four; m beside d */
} form;

static int half_of(form f) { return f.fifth ? 16 : 8; }
static int most_of(form f) { return f.fifth ? 31 : 15; }
static int64_t bytes_of(form f) { return 2 + 2 * f.minimum + 4 * f.fifth + 16; }

/* ---- reading ---- */

static void decode(const uint8_t *b, form f, float *y)
{
    const float d = kd__block_half(b), m = f.minimum ? kd__block_half(b + 2) : 0;
    const int middle = f.minimum ? 0 : half_of(f);
    uint32_t high = 0;
    b += 2 + 2 * f.minimum;
    if (f.fifth) high = kd__get32(b), b += 4;
    for (int j = 0; j < 16; j++) {
        const int low = (b[j] & 15) | (int)(high >> j & 1) << 4;
        const int up = b[j] >> 4 | (int)(high >> (j + 16) & 1) << 4;
        y[j] = d * (float)(low - middle) + m;
        y[j + 16] = d * (float)(up - middle) + m;
    }
}

static void ends(const uint8_t *b, form f, float *low, float *high)
{
    const float d = kd__block_half(b), m = f.minimum ? kd__block_half(b + 2) : 0;
    const float first = f.minimum ? -0.5f : -0.5f - (float)half_of(f);
    const float last = first + (float)most_of(f) + 1;
    *low = (d < 0 ? d * last : d * first) + m;
    *high = (d < 0 ? d * first : d * last) + m;
}

/* ---- writing ---- */

static void put(uint8_t *to, form f, float d, float m, const uint8_t *codes)
{
    uint32_t high = 0;
    kd__block_put_half(to, d);
    if (f.minimum) kd__block_put_half(to + 2, m);
    to += 2 + 2 * f.minimum;
    for (int j = 0; f.fifth && j < NUMBERS; j++) high |= (uint32_t)(codes[j] >> 4) << j;
    if (f.fifth) kd__put32(to, high), to += 4;
    kd__block_put_nibbles(to, codes);
}

/* x times the inverse of d, plus `shift`, without its fraction. A d so small that it has no inverse
 * is 0 as a float16, and all codes are 0. */
static void cut(const float *x, float from, float d, float shift, int most, uint8_t *codes)
{
    const float inverse = d != 0 ? 1 / d : 0;
    for (int j = 0; j < NUMBERS; j++) {
        const float at = (x[j] - from) * inverse + shift;
        codes[j] = isfinite(inverse) ? (uint8_t)(at < (float)most ? at : (float)most) : 0;
    }
}

static void encode_signed(const float *x, form f, uint8_t *to)
{
    const int half = half_of(f);
    float most = 0, size = 0;
    uint8_t codes[NUMBERS];
    for (int j = 0; j < NUMBERS; j++)
        if (fabsf(x[j]) > size) size = fabsf(x[j]), most = x[j];
    const float d = most / (float)-half;
    cut(x, 0, d, (float)half + 0.5f, most_of(f), codes);
    put(to, f, d, 0, codes);
}

static void encode_shifted(const float *x, form f, uint8_t *to)
{
    float low = x[0], high = x[0];
    uint8_t codes[NUMBERS];
    for (int j = 1; j < NUMBERS; j++) {
        low = x[j] < low ? x[j] : low;
        high = x[j] > high ? x[j] : high;
    }
    const float d = (high - low) / (float)most_of(f);
    cut(x, low, d, 0.5f, most_of(f), codes);
    put(to, f, d, low, codes);
}

static void encode_weighted(const float *x, form f, const float *weight, uint8_t *to)
{
    static const kd__block_steps steps = { -0.9f, 0.05f, 36 };
    uint8_t codes[NUMBERS];
    float minimum = 0;
    const float d =
        f.minimum ? kd__block_fit_shifted(x, NUMBERS, most_of(f), weight, &steps, codes, &minimum)
                  : kd__block_fit_signed(x, NUMBERS, half_of(f), weight, codes);
    put(to, f, d, -minimum, codes);
}

static void encode(const float *x, int64_t n, const float *importance, form f, uint8_t *to)
{
    float weight[NUMBERS];
    const float spread = importance ? kd__block_mean_square(x, n) : 0;
    for (int64_t i = 0; i < n; i += NUMBERS, to += bytes_of(f)) {
        if (importance) {
            kd__block_weights(x + i, NUMBERS, importance + i, spread, weight);
            encode_weighted(x + i, f, weight, to);
        } else if (f.minimum) encode_shifted(x + i, f, to);
        else encode_signed(x + i, f, to);
    }
}

/* ---- the four ---- */

#define FORMAT(name, fifth, minimum)                                                               \
    void kd__##name##_decode(const uint8_t *block, float *y)                                       \
    {                                                                                              \
        decode(block, (form){ fifth, minimum }, y);                                                \
    }                                                                                              \
    void kd__##name##_encode(const float *x, int64_t n, const float *importance, uint8_t *to)      \
    {                                                                                              \
        encode(x, n, importance, (form){ fifth, minimum }, to);                                    \
    }                                                                                              \
    void kd__##name##_ends(const uint8_t *block, int32_t group, float *low, float *high)           \
    {                                                                                              \
        (void)group;                                                                               \
        ends(block, (form){ fifth, minimum }, low, high);                                          \
    }
FORMAT(q4_0, 0, 0)
FORMAT(q4_1, 0, 1)
FORMAT(q5_0, 1, 0)
FORMAT(q5_1, 1, 1)
