/* The dense layer's products. Legend: R rows, I inputs, N outputs; x (R, I), w (N, I) as PyTorch has it, y (R, N). */
#ifndef KD_NN_DENSE_H
#define KD_NN_DENSE_H

#include "base/context.h"

/* y = x w' */
kd_status kd__dense_forward(kd_context *context, float *y, const float *x, const float *w, int64_t rows, int64_t inputs, int64_t outputs);
/* dw = or += dy' x */
kd_status kd__dense_weight_gradient(kd_context *context, float *dw, const float *dy, const float *x, int64_t rows, int64_t inputs, int64_t outputs,
                                    int add);
/* dx = dy w */
kd_status kd__dense_input_gradient(kd_context *context, float *dx, const float *dy, const float *w, int64_t rows, int64_t inputs, int64_t outputs);

#endif
