/* The longest common subsequence of two lists of words, which ROUGE-L is made of. */
#ifndef KD_MEASURE_SUBSEQUENCE_H
#define KD_MEASURE_SUBSEQUENCE_H

#include <kdistill/context.h>

/* The length of the longest common subsequence of two lists of words, each a number.
 * Time n m / 64, memory 40 bytes a word of b.                                        */
kd_status kd__longest_common(kd_context *context, const uint64_t *a, int64_t n, const uint64_t *b,
                             int64_t m, int64_t *length);

#endif
