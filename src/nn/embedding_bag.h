/* Means of rows of a table, as torch.nn.EmbeddingBag. Legend: S samples, T tokens, table (M, n).
 * Sample s has the tokens offsets[s] .. offsets[s + 1] - 1; token t is the table's row row[t] times
 * factor[t].
 *
 *   y[s] = 1 / |s| sum_t factor[t] table[row[t]];  0 for a sample without tokens */
#ifndef KD_NN_EMBEDDING_BAG_H
#define KD_NN_EMBEDDING_BAG_H

#include "nn/ranges.h"

typedef struct kd__bags {
    kd_context *context;
    int64_t count;          /* S */
    const int64_t *offsets; /* (S + 1) */
    const int32_t *row;     /* (T) */
    const float *factor;    /* (T); NULL: 1 */
} kd__bags;

void kd__embedding_bag(const kd__bags *bags, const float *table, int64_t n, float *y);
/* dtable[row[t]] += factor[t] / |s| dy[s]; in the order of the tokens. */
void kd__embedding_bag_gradient(const kd__bags *bags, const float *dy, int64_t n, float *dtable);
/* dfactor[t] = table[row[t]] dy[s] / |s| */
void kd__embedding_bag_factor_gradient(const kd__bags *bags, const float *table, const float *dy,
                                       int64_t n, float *dfactor);

#endif
