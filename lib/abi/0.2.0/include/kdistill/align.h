/* kdistill/align.h - a teacher with another tokenizer. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_batch_begin_texts(batch, student_tokenizer, texts, count, KD_END_TOKEN_DEFAULT);
 *   2.  kd_batch_begin_texts(theirs, teacher_tokenizer, texts, count, KD_END_TOKEN_DEFAULT);
 *   3.  kd_teacher_read(teacher, theirs, said);
 *   4.  kd_targets_align_batch(targets, batch, said, theirs, &aligned);
 *   5.  kd_model_forward(student, batch, KD_MODE_TRAIN);
 *   6.  kd_loss_backward(loss, student, batch, targets, NULL, &result);    a KD_LOSS_ULD term
 *
 * The same texts go into two batches, one per tokenizer. The teacher answers for its own batch; its
 * rows then move to the student's rows that begin and end at the same bytes. docs/losses.md works
 * through an example, and examples/language/other_tokenizer.py is the program. */
#ifndef KDISTILL_ALIGN_H
#define KDISTILL_ALIGN_H

#include <kdistill/loss.h>
#include <kdistill/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Begins a packed batch of texts (UTF-8), one sample per text: the text's tokens, what the
 * tokenizer puts around them (KD_TOKENIZER_ADD_SPECIAL), and the end token (an id,
 * KD_END_TOKEN_DEFAULT or KD_END_TOKEN_NONE).
 * - Fields: "tokens" (rows) int64, "end" (rows) int64: where each token ends, in bytes of its text.
 * - A sample's key is the key of its tokens (kd_store_key), so a store filled from such a batch can
 *   answer for it. */
KD_API kd_status kd_batch_begin_texts(kd_batch *batch, kd_tokenizer *tokenizer,
                                      const char *const *texts, int32_t count, int32_t end_token);

/* kd_loss_set_shared_classes with the map from kd_tokenizer_map, plus the two tokenizers' first end
 * tokens as a pair. The numbers of classes are those of the logits, at least as many as the
 * tokenizer has ids. *shared (may be NULL): the number of pairs. */
KD_API kd_status kd_loss_set_shared_tokens(kd_loss *loss, int32_t term, kd_tokenizer *student,
                                           int64_t student_classes, kd_tokenizer *teacher,
                                           int64_t teacher_classes, int64_t *shared);

/* Cuts two token sequences of the same text at their common byte boundaries. `student_ends` and
 * `teacher_ends` hold where each token ends in bytes, increasing ((n) and (m) integers).
 * - Chunk c spans student tokens chunks[c][0] .. chunks[c][1] - 1 and teacher tokens chunks[c][2]
 *   .. chunks[c][3] - 1; *count is the number of chunks (at most min(n, m)).
 * - Tokens after the last common boundary belong to no chunk.
 * - chunks: (capacity, 4) int64; NULL: only count.
 * - KD_ERR_RANGE: ends decrease, or capacity is too small. */
KD_API kd_status kd_align_find_chunks(const kd_array *student_ends, const kd_array *teacher_ends,
                                      const kd_array *chunks, int64_t *count);

/* Moves a teacher's field from its own rows to the student's, using such chunks: row student_begin
 * + s of `to` gets row teacher_begin + t of `from` if tokens s and t begin at the same byte and
 * begin chunks of one token on both sides. Other rows are absent; *absent (may be NULL) counts
 * them. Works for dense float fields and sparse ones. A row predicts the token that begins there.
 * Fields that `to` already has keep their other rows. */
KD_API kd_status kd_targets_align(kd_targets *to, kd_targets *from, const char *field,
                                  const kd_array *chunks, int64_t count, int64_t student_begin,
                                  int64_t teacher_begin, int64_t *absent);

/* Sums log-probabilities over chunks: sums[c] = sum of log_probabilities[chunks[c][side] ..
 * chunks[c][side + 1] - 1]; side 0: the student's, 2: the teacher's. log_probabilities: (n)
 * float32; sums: (count) float64. */
KD_API kd_status kd_align_sum_chunks(const kd_array *log_probabilities, const kd_array *chunks,
                                     int64_t count, int32_t side, const kd_array *sums);

#ifdef __cplusplus
}
#endif
#endif
