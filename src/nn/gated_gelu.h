/* The middle of a feed-forward layer whose gate is a gelu: a = gelu(g + bg) (u + bu), with gelu as
 * in gelu.h. [Shazeer 2020] Legend: R rows; gu (R, 2 F): F gates, then F values to be gated; bias
 * (2 F) or NULL; a (R, F). */
#ifndef KD_NN_GATED_GELU_H
#define KD_NN_GATED_GELU_H

#include "nn/ranges.h"

/* The bias is added to gu in place, as the backward pass needs it. */
void kd__gated_gelu(const kd__rows *rows, float *gu, const float *bias, int64_t n, float *a);
/* dgu (R, 2 F), which may be gu, from da (R, F); a is made again. */
void kd__gated_gelu_gradient(const kd__rows *rows, const float *gu, const float *da, int64_t n,
                             float *a, float *dgu);

#endif
