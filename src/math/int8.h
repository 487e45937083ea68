/* Products of 8-bit numbers: weights with a scale an output, activations with a scale a row, sums in 32-bit integers. The integers are the
 * same on every processor.                                                                                                   */
#ifndef KD_MATH_INT8_H
#define KD_MATH_INT8_H

#include "base/context.h"

/* W (outputs, inputs) as q s: s = max |w| / 127 a row. Panels of 32 outputs, four inputs behind each other: q[panel][input / 4][output][4]. */
typedef struct kd__int8 {
    int64_t outputs, inputs;
    int8_t *values;
    float *scales; /* (outputs) */
    int32_t *sums; /* (outputs): of q */
} kd__int8;

int64_t kd__int8_bytes(int64_t outputs, int64_t inputs);
kd_status kd__int8_make(kd__int8 *q, kd_context *context, const float *w, int64_t outputs, int64_t inputs);
void kd__int8_free(kd__int8 *q, kd_context *context);

/* y (rows, outputs) = x W': x is quantised a row, s = max |x| / 127. */
kd_status kd__int8_product(kd_context *context, const kd__int8 *q, const float *x, int64_t rows, float *y);

#endif
