/* Products of numbers rounded to bfloat16, sums in float32: sides are rounded as they are packed,
 * so that everything in memory stays float32. */
#ifndef KD_MATH_BFLOAT16_H
#define KD_MATH_BFLOAT16_H

#include "math/gemm.h"

/* How this processor does it: its own bfloat16 instructions, or float32 arithmetic on rounded
 * numbers (no gain, the same results but for the order of sums and numbers below 2^-126, which the
 * instructions take as 0). */
const kd__tiles *kd__bfloat16_tiles(const kd_context *context);

/* Operations a second (two a multiplication and addition) of a product of middle size, the best of
 * a few, by the context's threads. */
kd_status kd__measure_products(kd_context *context, double *float32, double *bfloat16);

#endif
