/* A linear layer's products and sums. Legend: R rows, I inputs, N outputs; x (R, I), w (N, I)
 * as PyTorch has it, y (R, N). The rows of w may be those of several tensors stored one after
 * another. */
#ifndef KD_NN_LINEAR_H
#define KD_NN_LINEAR_H

#include "nn/ranges.h"

/* y = x w' */
kd_status kd__linear(const kd__rows *rows, const float *x, int64_t inputs, const float *w,
                     int64_t outputs, float *y);
/* dx (R, I) = dy w */
kd_status kd__linear_input_gradient(const kd__rows *rows, const float *dy, int64_t outputs,
                                    const float *w, int64_t inputs, float *dx);
/* dw (N, I) = or += dy' x */
kd_status kd__linear_weight_gradient(const kd__rows *rows, const float *x, int64_t inputs,
                                     const float *dy, int64_t outputs, float *dw, int add);
/* db (N) = or += sum over rows of dy (R, N); db NULL: nothing is done. */
void kd__bias_gradient(const kd__rows *rows, const float *dy, int64_t outputs, float *db, int add);

#endif
