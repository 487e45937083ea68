/* kdistill/head.h - logits computed inside a loss: hidden states times a head. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_head head = KD_HEAD_INIT;
 *   2.  head.weight = &weight;  head.weight_gradient = &gradient;
 *   3.  output.value = &hidden;  output.head = &head;                  the student: kd_loss_output
 *   4.  kd_targets_borrow_head(targets, "logits", "hidden", &head);    the teacher
 *
 * logits = cap(scale * (h W^T + b)), cap(x) = soft_cap * tanh(x / soft_cap), or x if soft_cap is 0.
 * The loss goes through the rows in blocks and never holds tokens x vocabulary numbers. Rows that
 * every term has masked are left out of the products, unless gathering the others would take more
 * memory than kd_loss_estimate_memory tells. */
#ifndef KDISTILL_HEAD_H
#define KDISTILL_HEAD_H

#include <kdistill/array.h>
#include <kdistill/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_head {
    uint32_t struct_size;
    int32_t reserved;
    /* (V, d) float32, contiguous; a tied embedding is passed the same way */
    const kd_array *weight;
    const kd_array *bias; /* (V) float32; NULL: none */
    /* (V, d) float32, added to; NULL: not wanted. A teacher has none */
    const kd_array *weight_gradient;
    const kd_array *bias_gradient; /* (V) float32, added to; NULL: not wanted */
    double scale;                  /* not 0 */
    double soft_cap;               /* 0: none */
    /* 0: exact. Otherwise a block of 48 rows x 48 ids of the gradient, of one row's loss sum
     * (before the denominator and the term's weight), is not multiplied if no entry exceeds the
     * bound. Instead each row's sum over the block multiplies the mean of the ids' head rows, and
     * each id's weighted sum over the 48 rows the same sum of hidden states (weights: what the rows
     * leave out).
     *
     * - The result has a bound on the error.
     * - Sort the ids by probability for the most effect.
     * - Needs extra memory: 1/24 of the logits and 1/48 of the head. */
    double skip_bound;
} kd_head;
#define KD_HEAD_INIT                                                                               \
    {                                                                                              \
        (uint32_t)sizeof(kd_head), 0, NULL, NULL, NULL, NULL, 1.0, 0.0, 0.0                        \
    }
KD_API void kd_head_init(kd_head *head, size_t size);

#ifdef __cplusplus
}
#endif
#endif
