/* A head is multiplied only with rows that some term looks at: those that every term has masked are
 * left out, and the others lie together. Legend: R rows, C of them chosen, d numbers a row. */
#ifndef KD_LOSS_HEAD_ROWS_H
#define KD_LOSS_HEAD_ROWS_H

#include "core/loss/loss.h"

/* rows (R): the chosen ones in order; C is returned. */
int64_t kd__head_rows(const kd__pass *pass, int64_t *rows);
/* to (C, d) = the rows of from, `step` apart */
void kd__head_rows_gather(const int64_t *rows, int64_t count, const float *from, int64_t step,
                          int64_t width, float *to);
/* The rows of to, `step` apart, += from (C, d). */
void kd__head_rows_add(const kd__kernels *kernels, const int64_t *rows, int64_t count,
                       const float *from, int64_t width, float *to, int64_t step);

#endif
