/* Pooling on images (R, C, H, W): the largest or the mean of each window, (R, C, OH, OW). */
#ifndef KD_NN_POOL_H
#define KD_NN_POOL_H

#include <kdistill/context.h>

#include "nn/window.h"

/* `places` (as y) remembers where the largest was, for the backward pass. */
void kd__max_pool_forward(kd_context *context, const kd__window *w, float *y, int32_t *places,
                          const float *x, int64_t rows);
void kd__max_pool_backward(kd_context *context, const kd__window *w, float *dx, const float *dy,
                           const int32_t *places, int64_t rows);

/* counts_padding 1: the padding's zeros are numbers of the mean. dx is overwritten. */
void kd__mean_pool_forward(kd_context *context, const kd__window *w, int counts_padding, float *y,
                           const float *x, int64_t rows);
void kd__mean_pool_backward(kd_context *context, const kd__window *w, int counts_padding, float *dx,
                            const float *dy, int64_t rows);

#endif
