/* Inverted dropout: y = x / (1 - p) where kept, else 0. Which elements are kept depends on (stream,
 * row, column) alone, so the backward pass makes the same mask again and nothing is stored. */
#ifndef KD_NN_DROPOUT_H
#define KD_NN_DROPOUT_H

#include <kdistill/context.h>

/* Rows of a stream are this far apart. */
#define KD__DROPOUT_STEP 0xd1b54a32d192ed03ULL
/* The stream whose row 0 is row `first` of this one. */
static inline uint64_t kd__dropout_from(uint64_t stream, int64_t first)
{
    return stream + (uint64_t)first * KD__DROPOUT_STEP;
}

/* y (R, N) from x (R, N); the same function turns dy into dx. y may be x. p in 0 .. 1, 1 excluded,
 * to a precision of 2^-16. */
void kd__dropout(kd_context *context, float *y, const float *x, double p, uint64_t stream,
                 int64_t rows, int64_t width);

#endif
