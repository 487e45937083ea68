/* Moments in bfloat16. A step widens a few numbers, updates them in float32, and rounds each up or
 * down at random, so that the mean is exact: to the nearest, a second moment that changes by a
 * thousandth would never change (bfloat16 has steps of 1/256). Random bits come from a counter of
 * step and number: no thread, cut or resumed run sees others. */
#include <string.h>

#include "base/numbers.h"
#include "core/optimizer/optimizer.h"
#include "math/random.h"

/* A hash of 32 bits; the low half rounds a first moment, the high half a second one. */
static inline uint32_t bits_at(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ x >> 16;
}

void kd__half_widen(const uint16_t *from, int64_t n, float *to)
{
    for (int64_t i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)from[i] << 16;
        memcpy(to + i, &bits, sizeof bits);
    }
}

uint32_t kd__half_key(int64_t step) { return (uint32_t)kd__stream(0x6d6f6d, (uint64_t)step, 0); }

/* Infinity and NaN stay what they are. */
void kd__half_narrow(const float *from, int64_t n, uint32_t key, int64_t number, int second,
                     uint16_t *to)
{
    for (int64_t i = 0; i < n; i++) {
        const uint32_t random = bits_at(key + (uint32_t)(number + i));
        uint32_t bits;
        memcpy(&bits, from + i, sizeof bits);
        const uint32_t finite = (bits & 0x7f800000u) != 0x7f800000u;
        bits += finite * (second ? random >> 16 : random & 0xffff);
        to[i] = (uint16_t)(bits >> 16);
    }
}
