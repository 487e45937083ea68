/* 2-D convolution (cross-correlation, as PyTorch) on images (R, C, H, W) as a product over patches:
 * patches (R OH OW, C KH KW), result (R OH OW, N), moved to (R, N, OH, OW); it goes a few samples
 * at a time, so that patches stay small. One group. nn/planes.h is the other way. */
#ifndef KD_NN_CONV_H
#define KD_NN_CONV_H

#include <kdistill/context.h>

#include "base/status.h"
#include "nn/window.h"

/* The scratch (floats) that forward and backward need. */
int64_t kd__conv_scratch(const kd__window *w, int64_t rows);

/* y (R, N, OH, OW) = f(conv(x, weight) + bias); pre as y, NULL unless the activation keeps it. */
kd_status kd__conv_forward(kd_context *context, const kd__window *w, int32_t activation, float *y,
                           float *pre, const float *x, const float *weight, const float *bias,
                           int64_t rows, float *scratch);
/* dy is the gradient before the activation. dweight, dbias: = or +=; NULL: not wanted. dx (NULL:
 * not wanted) is overwritten. */
kd_status kd__conv_backward(kd_context *context, const kd__window *w, float *dx, float *dweight,
                            float *dbias, const float *dy, const float *x, const float *weight,
                            int64_t rows, int add, float *scratch);

#endif
