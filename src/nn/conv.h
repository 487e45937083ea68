/* 2-D convolution (cross-correlation, as PyTorch) and pooling on images (R, C, H, W). A convolution
 * is a product over patches: patches (R OH OW, C KH KW), result (R OH OW, N), moved to (R, N, OH,
 * OW); it goes a few samples at a time, so that patches stay small. */
#ifndef KD_NN_CONV_H
#define KD_NN_CONV_H

#include <kdistill/context.h>

#include "base/status.h"

typedef struct kd__window {
    int64_t channels, height, width; /* input  */
    int64_t out_channels, out_height, out_width;
    int64_t kernel, stride, padding;
} kd__window;

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

/* y (R, C, OH, OW) = largest of each window; `places` (as y) remembers where, for the backward
 * pass. */
void kd__max_pool_forward(kd_context *context, const kd__window *w, float *y, int32_t *places,
                          const float *x, int64_t rows);
void kd__max_pool_backward(kd_context *context, const kd__window *w, float *dx, const float *dy,
                           const int32_t *places, int64_t rows);

#endif
