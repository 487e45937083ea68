/* Rows of a table by token: y[r] = table[ids[r]]. Legend: R rows of n numbers, table (V, n). */
#ifndef KD_NN_EMBEDDING_H
#define KD_NN_EMBEDDING_H

#include "nn/ranges.h"

void kd__embedding(const kd__rows *rows, const float *table, const int32_t *ids, int64_t n,
                   float *y);
/* y[r] += table[ids[r]] */
void kd__embedding_add(const kd__rows *rows, const float *table, const int32_t *ids, int64_t n,
                       float *y);
/* dtable[ids[r]] += dy[r]; in the order of the rows. */
void kd__embedding_gradient(const kd__rows *rows, const float *dy, const int32_t *ids, int64_t n,
                            float *dtable);

#endif
