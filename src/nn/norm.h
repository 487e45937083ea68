/* Root-mean-square norm: y = w x r, r = 1 / sqrt(mean x^2 + epsilon). [Zhang and Sennrich 2019]
 * Legend: R rows of n numbers, w (n), r (R). */
#ifndef KD_NN_NORM_H
#define KD_NN_NORM_H

#include "nn/ranges.h"

/* r NULL: not kept. y may be x. */
void kd__norm(const kd__rows *rows, const float *x, const float *w, int64_t n, double epsilon,
              float *y, float *r);
/* dx += the gradient through the norm, dw = or += sum over rows of dy x r; x and r as in the
 * forward pass. dw NULL: not wanted. */
void kd__norm_gradient(const kd__rows *rows, const float *x, const float *w, const float *r,
                       const float *dy, int64_t n, float *dx, float *dw, int add);

#endif
