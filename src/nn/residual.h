/* What a block adds to the residual stream. */
#ifndef KD_NN_RESIDUAL_H
#define KD_NN_RESIDUAL_H

#include "nn/ranges.h"

/* y (R, n) = y + x + bias; bias (n) or NULL. Its backward pass is the identity, and
 * kd__bias_gradient. */
void kd__residual(const kd__rows *rows, float *y, const float *x, const float *bias, int64_t n);

/* y (R, n) = y + bias; bias NULL: nothing is done. */
void kd__bias(const kd__rows *rows, float *y, const float *bias, int64_t n);

#endif
