/* Q8_0: d (f16) and 32 bytes. x ~ d q, d = largest / 127, q rounded to nearest, halves away from
 * 0. */
#include <math.h>

#include "formats/blocks/blocks.h"

enum { NUMBERS = 32, BYTES = 34 };

void kd__q8_0_decode(const uint8_t *b, float *y)
{
    const float d = kd__block_half(b);
    for (int j = 0; j < NUMBERS; j++) y[j] = d * (float)(int8_t)b[2 + j];
}

void kd__q8_0_encode(const float *x, int64_t n, const float *importance, uint8_t *to)
{
    (void)importance;
    for (int64_t i = 0; i < n; i += NUMBERS, to += BYTES) {
        float size = 0;
        for (int j = 0; j < NUMBERS; j++) size = fabsf(x[i + j]) > size ? fabsf(x[i + j]) : size;
        const float d = size / 127, inverse = d != 0 ? 1 / d : 0;
        kd__block_put_half(to, d);
        for (int j = 0; j < NUMBERS; j++) { /* a d without an inverse is 0 as a float16 */
            const float code = isfinite(inverse) ? roundf(x[i + j] * inverse) : 0;
            to[2 + j] = (uint8_t)(int8_t)code;
        }
    }
}

void kd__q8_0_ends(const uint8_t *b, int32_t group, float *low, float *high)
{
    (void)group;
    *high = 127.5f * kd__block_half(b);
    *low = -*high;
}
