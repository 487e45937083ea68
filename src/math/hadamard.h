/* The Walsh-Hadamard transform, not normalized. The same bits wherever it is compiled: every number
 * is a sum or a difference of two. */
#ifndef KD_MATH_HADAMARD_H
#define KD_MATH_HADAMARD_H

#include <stdint.h>

/* Every `width` of n numbers, a power of two that divides n: (a, b) to (a + b, a - b), pairs 1, 2,
 * 4 .. apart. */
static inline void kd__hadamard(float *x, int64_t n, int64_t width)
{
    for (int64_t half = 1; half < width; half *= 2)
        for (int64_t start = 0; start < n; start += 2 * half)
            for (int64_t i = start; i < start + half; i++) {
                const float a = x[i], b = x[i + half];
                x[i] = a + b;
                x[i + half] = a - b;
            }
}

#endif
