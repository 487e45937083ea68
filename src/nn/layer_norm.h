/* Layer norm: y = w (x - m) r + b, m = mean x, r = 1 / sqrt(mean (x - m)^2 + epsilon).
 * [Ba et al. 2016] Legend: R rows of n numbers, w and b (n), kept (R, 2): m and r of each row. */
#ifndef KD_NN_LAYER_NORM_H
#define KD_NN_LAYER_NORM_H

#include "nn/ranges.h"

/* b NULL: none. kept NULL: not kept. y may be x. */
void kd__layer_norm(const kd__rows *rows, const float *x, const float *w, const float *b, int64_t n,
                    double epsilon, float *y, float *kept);
/* dx (R, n) = or, with add_dx, += the gradient through the norm; dw, db = or += sums over rows of
 * dy (x - m) r and of dy. x and kept as in the forward pass. dx may be dy; dw, db NULL: not
 * wanted. */
void kd__layer_norm_gradient(const kd__rows *rows, const float *x, const float *w,
                             const float *kept, const float *dy, int64_t n, float *dx, int add_dx,
                             float *dw, float *db, int add);

#endif
