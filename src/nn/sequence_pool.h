/* One row for each sequence. Legend: S sequences, R rows of n numbers; y (S, n) is the first row of
 * a sequence, the mean of its rows, the largest of each column, the last row, or the mean in which
 * the sequence's row r counts r + 1 times; of a sequence without rows 0. */
#ifndef KD_NN_SEQUENCE_POOL_H
#define KD_NN_SEQUENCE_POOL_H

#include "nn/ranges.h"

enum {
    KD__POOL_FIRST,
    KD__POOL_MEAN,
    KD__POOL_MAX,
    KD__POOL_LAST,
    KD__POOL_WEIGHTED,
    KD__POOLINGS
};
/* Kinds that no config names: a sequence's second row, the mean of its first two. */
enum { KD__POOL_SECOND = KD__POOLINGS, KD__POOL_FIRST_TWO };

/* The kind by its name in a config; -1: unknown. */
#define KD__POOLING_NAMES "cls, mean, max, last or weightedmean"
int32_t kd__pooling_kind(const char *name);
const char *kd__pooling_name(int32_t kind);

typedef struct kd__sequences {
    kd_context *context;
    int64_t count;          /* S */
    const int64_t *offsets; /* (S + 1) */
    const int64_t *skipped; /* (S): first rows of a sequence that do not count; NULL: none */
} kd__sequences;

void kd__pool(const kd__sequences *sequences, int32_t kind, const float *x, int64_t n, float *y);
/* dx (R, n) += the gradient of x; of equal largest numbers the first gets it. */
void kd__pool_gradient(const kd__sequences *sequences, int32_t kind, const float *x,
                       const float *dy, int64_t n, float *dx);

#endif
