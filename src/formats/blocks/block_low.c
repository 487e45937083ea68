/* Q2_K, Q3_K, which are only read: 256 numbers in sixteen groups of 16.
 *
 *   Q2_K  16 bytes (scale s, minimum n: 4 bits each), 64 bytes, d, e (f16)    x ~ d s q - e n
 *   Q3_K  32 bytes of third bits, 64 bytes, 12 bytes of scales, d (f16)       x ~ d (s - 32) q
 *
 * Each half of 128 numbers has 32 bytes, whose four pairs of bits are four times 32 numbers. */
#include "formats/blocks/blocks.h"

enum { GROUPS = 16, GROUP = 16 };

/* Two bits of number `at` of 256. */
static int two_bits(const uint8_t *q, int at)
{
    const int half = at / 128, turn = at % 128 / 32;
    return q[32 * half + at % 32] >> (2 * turn) & 3;
}

void kd__q2_k_decode(const uint8_t *b, float *y)
{
    const float d = kd__block_half(b + 80), e = kd__block_half(b + 82);
    for (int j = 0; j < GROUPS; j++) {
        const float scale = d * (float)(b[j] & 15), minimum = e * (float)(b[j] >> 4);
        for (int l = j * GROUP; l < (j + 1) * GROUP; l++)
            y[l] = scale * (float)two_bits(b + 16, l) - minimum;
    }
}

/* Four bits of scale j lie in bytes 0 to 7, eight low ones, then eight high ones; two more in bytes
 * 8 to 11. */
static int scale_of(const uint8_t *s, int j)
{
    const int low = j < 8 ? s[j] & 15 : s[j - 8] >> 4, high = s[8 + j % 4] >> (2 * (j / 4)) & 3;
    return (low | high << 4) - 32;
}

/* The third bit, where it is missing, takes four away; bit k of its bytes is of the k-th 32. */
void kd__q3_k_decode(const uint8_t *b, float *y)
{
    const float d = kd__block_half(b + 108);
    for (int j = 0; j < GROUPS; j++) {
        const float scale = d * (float)scale_of(b + 96, j);
        for (int l = j * GROUP; l < (j + 1) * GROUP; l++) {
            const int third = b[l % 32] >> (l / 32) & 1;
            y[l] = scale * (float)(two_bits(b + 32, l) - (third ? 0 : 4));
        }
    }
}
