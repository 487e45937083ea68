/* 2-D convolution (cross-correlation, as PyTorch) on images (R, C, H, W), plane by plane, without
 * patches: output plane n is the sum of shifted input planes, one for each tap (c, kh, kw), times
 * its weight. Groups, depthwise, 1x1, strides and rectangles are all of this form. Legend: N output
 * channels, T = C / groups KH KW taps. */
#ifndef KD_NN_PLANES_H
#define KD_NN_PLANES_H

#include <kdistill/context.h>

#include "base/status.h"
#include "nn/window.h"

/* The scratch (floats) that the passes need; train 1: the backward pass too. KD_ERR_RANGE: beyond
 * all memory. */
kd_status kd__planes_scratch(const kd__window *w, int64_t rows, int32_t threads, int32_t train,
                             int64_t *floats);

/* y (R, N, OH, OW) = f(conv(x, weight) + bias); bias may be NULL; pre as y, NULL unless the
 * activation keeps it. */
void kd__planes_forward(kd_context *context, const kd__window *w, int32_t activation, float *y,
                        float *pre, const float *x, const float *weight, const float *bias,
                        int64_t rows, float *scratch);
/* dy is the gradient before the activation. dweight, dbias: = or +=; NULL: not wanted. dx (NULL:
 * not wanted) is overwritten. */
void kd__planes_backward(kd_context *context, const kd__window *w, float *dx, float *dweight,
                         float *dbias, const float *dy, const float *x, const float *weight,
                         int64_t rows, int add, float *scratch);

#endif
