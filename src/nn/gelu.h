/* The middle of a feed-forward layer without a gate: a = gelu(g + bg), gelu(x) = x Phi(x) with the
 * normal distribution Phi. [Hendrycks and Gimpel 2016] Legend: R rows; g (R, F); bias (F); a (R,
 * F). */
#ifndef KD_NN_GELU_H
#define KD_NN_GELU_H

#include "nn/ranges.h"

/* The bias is added to g in place, as the backward pass needs it; NULL: none. */
void kd__gelu(const kd__rows *rows, float *g, const float *bias, int64_t n, float *a);
/* dg (R, F), which may be g, from da (R, F); a is made again. */
void kd__gelu_gradient(const kd__rows *rows, const float *g, const float *da, int64_t n, float *a,
                       float *dg);

#endif
