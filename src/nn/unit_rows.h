/* Rows of length 1: y = x / max(|x|, 1e-12), as torch.nn.functional.normalize. Legend: R rows of n
 * numbers, length (R). */
#ifndef KD_NN_UNIT_ROWS_H
#define KD_NN_UNIT_ROWS_H

#include "nn/ranges.h"

void kd__unit_rows(const kd__rows *rows, const float *x, int64_t n, float *y, float *length);
/* dx (R, n) = (dy - y (y dy)) / length */
void kd__unit_rows_gradient(const kd__rows *rows, const float *y, const float *length,
                            const float *dy, int64_t n, float *dx);

#endif
