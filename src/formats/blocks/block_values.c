/* Formats whose codes are places in a table of 16 numbers t.
 *
 *   IQ4_NL  d (f16), 16 bytes                                        x ~ d t(q), 32 numbers
 *   IQ4_XS  d, 8 scales s of 6 bits, 128 bytes                       x ~ d (s - 32) t(q), 256
 *   MXFP4   a power of two (8 bits), 16 bytes                        x ~ 2^(e - 127) t(q) / 2, 32
 *
 * IQ4_NL is searched: the largest number at -127, or at up to seven steps of 1 beside it, each with
 * the scale of least squares. */
#include <math.h>

#include "formats/blocks/blocks.h"

enum { NUMBERS = 32, BYTES = 18, VALUES = 16 };

/* Closer near 0, where most weights lie; none is 0. */
const int8_t kd__block_uneven[VALUES] = { -127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113 };
/* Twice the numbers of a sign, two bits of exponent and one of fraction (OCP microscaling). */
static const int8_t doubled[VALUES] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

/* ---- reading ---- */

static void decode_nibbles(const uint8_t *q, const int8_t *values, float d, float *y)
{
    for (int j = 0; j < 16; j++) {
        y[j] = d * (float)values[q[j] & 15];
        y[j + 16] = d * (float)values[q[j] >> 4];
    }
}

void kd__iq4_nl_decode(const uint8_t *b, float *y)
{
    decode_nibbles(b + 2, kd__block_uneven, kd__block_half(b), y);
}

void kd__iq4_xs_decode(const uint8_t *b, float *y)
{
    const float d = kd__block_half(b);
    const int high = kd__get16(b + 2);
    for (int j = 0; j < 8; j++) {
        const int low = b[4 + j / 2] >> (4 * (j % 2)) & 15, scale = low | (high >> 2 * j & 3) << 4;
        decode_nibbles(b + 8 + 16 * j, kd__block_uneven, d * (float)(scale - 32), y + 32 * j);
    }
}

void kd__mxfp4_decode(const uint8_t *b, float *y)
{
    decode_nibbles(b + 1, doubled, ldexpf(1, b[0] - 128), y);
}

/* Half the distance to the next number is as far as the last one reaches. */
void kd__iq4_nl_ends(const uint8_t *b, int32_t group, float *low, float *high)
{
    const float d = kd__block_half(b), first = -127 - 23.0f / 2, last = 113 + 24.0f / 2;
    (void)group;
    *low = d < 0 ? d * last : d * first;
    *high = d < 0 ? d * first : d * last;
}

/* ---- writing ---- */

/* The nearest number's place; between two, the upper one. */
static void places(const float *x, float inverse, uint8_t *codes)
{
    for (int j = 0; j < NUMBERS; j++) codes[j] = 0;
    for (int v = 1; v < VALUES; v++) {
        const float middle = 0.5f * (float)(kd__block_uneven[v - 1] + kd__block_uneven[v]);
        for (int j = 0; j < NUMBERS; j++) codes[j] += inverse * x[j] >= middle;
    }
}

typedef struct {
    float xq, qq; /* sums of w x q, w q^2 */
} products;

static products try_scale(const float *x, const float *weight, float inverse)
{
    products p = { 0, 0 };
    uint8_t codes[NUMBERS];
    places(x, inverse, codes);
    for (int j = 0; j < NUMBERS; j++) {
        const float q = (float)kd__block_uneven[codes[j]], wq = weight[j] * q;
        p.xq += wq * x[j];
        p.qq += wq * q;
    }
    return p;
}

static float search(const float *x, const float *weight)
{
    float most = 0;
    for (int j = 0; j < NUMBERS; j++) most = fabsf(x[j]) > fabsf(most) ? x[j] : most;
    if (fabsf(most) < 1e-15f) return 0;
    const products first = try_scale(x, weight, 1 / (most / 127));
    float d = first.qq > 0 ? first.xq / first.qq : 0, best = d * first.xq;
    for (int step = -7; step <= 7; step++) {
        const products p = try_scale(x, weight, (float)(step - 127) / most);
        if (!(p.qq > 0 && p.xq * p.xq > best * p.qq)) continue;
        d = p.xq / p.qq;
        best = d * p.xq;
    }
    return d;
}

static void encode_block(const float *x, const float *importance, uint8_t *to)
{
    float weight[NUMBERS];
    uint8_t codes[NUMBERS];
    if (importance)
        kd__block_weights(x, NUMBERS, importance, 2 * kd__block_mean_square(x, NUMBERS), weight);
    else
        for (int j = 0; j < NUMBERS; j++) weight[j] = x[j] * x[j];
    const float d = search(x, weight);
    kd__block_put_half(to, d);
    places(x, d != 0 ? 1 / d : 0, codes);
    kd__block_put_nibbles(to + 2, codes);
}

void kd__iq4_nl_encode(const float *x, int64_t n, const float *importance, uint8_t *to)
{
    for (int64_t i = 0; i < n; i += NUMBERS, to += BYTES)
        encode_block(x + i, importance ? importance + i : NULL, to);
}

void kd__iq4_nl_recode(const float *x, int64_t n, uint8_t *blocks)
{
    uint8_t codes[NUMBERS];
    for (int64_t i = 0; i < n; i += NUMBERS, blocks += BYTES) {
        const float d = kd__block_half(blocks);
        places(x + i, d != 0 ? 1 / d : 0, codes);
        kd__block_put_nibbles(blocks + 2, codes);
    }
}
