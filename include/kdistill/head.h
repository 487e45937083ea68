/* kdistill/head.h - logits that are computed inside a loss: hidden states times a head.   SPDX-License-Identifier: Apache-2.0
 *
 * logits = cap(scale * (h W^T + b)), cap(x) = soft_cap * tanh(x / soft_cap), or x when soft_cap is 0. The loss goes through
 * the rows in blocks, so that tokens x vocabulary numbers are never held: with a head in kd_loss_output on the student's
 * side, with kd_targets_borrow_head on the teacher's.                                                                       */
#ifndef KDISTILL_HEAD_H
#define KDISTILL_HEAD_H

#include <kdistill/teacher.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_head {
    uint32_t struct_size;
    int32_t reserved;
    const kd_array *weight;          /* (V, d) float32, contiguous; a tied embedding is given the same way         */
    const kd_array *bias;            /* (V) float32; NULL: none                                                    */
    const kd_array *weight_gradient; /* (V, d) float32, added to; NULL: not wanted. A teacher has none             */
    const kd_array *bias_gradient;   /* (V) float32, added to; NULL: not wanted                                    */
    double scale;                    /* not 0                                                                      */
    double soft_cap;                 /* 0: none                                                                    */
    double skip_bound;               /* blocks of 48 rows x 48 ids of the gradient, as for one row's loss sum (before the
                                        denominator and the term's weight), with no entry above it are not multiplied: each
                                        row's sum over a block meets the mean of its ids' head rows, each id's weighted sum
                                        over the 48 rows the same sum of their hidden states (weights: what the rows leave
                                        out); what that misses is bounded in the result. 0: exact. Sort the ids by
                                        probability for the most effect. Takes 1/24 of the logits and 1/48 of the head beside */
} kd_head;
#define KD_HEAD_INIT { (uint32_t)sizeof(kd_head), 0, NULL, NULL, NULL, NULL, 1.0, 0.0, 0.0 }
KD_API void kd_head_init(kd_head *head, size_t size);

/* Gives the targets a dense field `name` (most often "logits") that is the field `hidden` ((rows, d) float32) through a
 * head: computed by the loss in blocks, never stored. The head's arrays stay alive and unchanged until the targets
 * begin anew; the struct itself is copied.                                                                                */
KD_API kd_status kd_targets_borrow_head(kd_targets *targets, const char *name, const char *hidden, const kd_head *head);

/* ---- teachers with another tokenizer ---- */

/* Cuts two token sequences of the same text at their common byte boundaries. `student_ends` and `teacher_ends` hold the end
 * of each token in bytes, rising ((n) and (m) integers). Chunk c spans student tokens chunks[c][0] .. chunks[c][1] - 1 and
 * teacher tokens chunks[c][2] .. chunks[c][3] - 1; *count is their number (at most min(n, m)); tokens behind the last common
 * boundary belong to none. chunks: (room, 4) int64, may be NULL to count. KD_ERR_RANGE: ends fall, or room is too small.  */
KD_API kd_status kd_align_bytes(const kd_array *student_ends, const kd_array *teacher_ends, const kd_array *chunks, int64_t *count);

/* Moves a teacher's field from its own rows onto the student's, by such chunks: row student_begin + s of `to` gets row
 * teacher_begin + t of `from` where tokens s and t begin at the same byte and begin chunks of one token on both sides; other
 * rows are absent, and *absent (may be NULL) is their number. Dense float fields and sparse ones. A row predicts the token
 * that begins there. Fields of `to` that are there already keep their other rows.                                        */
KD_API kd_status kd_targets_align(kd_targets *to, kd_targets *from, const char *field, const kd_array *chunks, int64_t count,
                                  int64_t student_begin, int64_t teacher_begin, int64_t *absent);

/* Sums log-probabilities over chunks: sums[c] = sum of log_probabilities[chunks[c][side] .. chunks[c][side + 1] - 1]; side 0
 * the student's, 2 the teacher's. log_probabilities: (n) float32; sums: (count) float64.                                  */
KD_API kd_status kd_chunk_sums(const kd_array *log_probabilities, const kd_array *chunks, int64_t count, int32_t side, const kd_array *sums);

#ifdef __cplusplus
}
#endif
#endif
