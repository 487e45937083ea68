/* kdistill/contrast.h - terms of two sides: images and texts, sentences and their translations,
 * queries and passages. Which rows of the other side belong to a row, among all of a batch. Since
 * 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  options.student_output = "embedding.image";
 *   2.  kd_loss_add(loss, KD_LOSS_CONTRASTIVE, 1, &options, &term);
 *   3.  pairs.other_output = "embedding.text";   pairs.group_field = "caption";
 *   4.  kd_loss_set_pairs(loss, term, &pairs);
 *   5.  kd_loss_set(loss, term, KD_TERM_SCALE, 20);
 *   6.  kd_loss_backward(loss, student, batch, targets, NULL, &result);   or, of a larger batch
 *       than its memory: kd_loss_backward_chunks
 *
 * The sides of a term are anchors A (n, d) and candidates B (m, d): two outputs of one model, an
 * output and a field of the targets, or rows of one output that a field of the batch tells apart.
 * z_ij = scale a_i . b_j, of rows of length 1 (KD_TERM_NORMALIZE); no n x m numbers are held beyond
 * the loss's memory_limit. Pairs do not cross calls: of micro-batches, the value is the mean over
 * their rows. A batch where no pair belongs together (kind 33 sums it), or all do, adds nothing:
 * rows 0, counted as `degenerate`. The same rows give the same bits on any number of threads.
 * weight_field, sparse teachers and projections are refused. A row that either side lacks
 * (kd_model_output_present) is on neither. */
#ifndef KDISTILL_CONTRAST_H
#define KDISTILL_CONTRAST_H

#include <kdistill/feature.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Diagnostics of a term: in_batch_accuracy is the share of rows whose positive has the highest
 * score of the batch, positive_rank the mean place of the positive, from 1. student_norm,
 * teacher_norm and cosine are of a row's two outputs; of sides of one output the first alone. u_i,
 * w_j: anchors and candidates at length 1, P_i as below.
 * - alignment: the mean of |u_i - w_j|^2 over anchors i and j in P_i; NaN of kinds 38 and 39
 *   [Wang and Isola 2020].
 * - uniformity: log of the mean of exp(-2 |u_i - u_j|^2) over two rows of a side, from 0 down; half
 *   of both sides'. Of the first 64 rows of each, fewer than 8: NaN [Wang and Isola 2020].
 * - modality_gap: |mean of u - mean of w| [Liang et al. 2022].
 * - student_effective_rank, teacher_effective_rank: of anchors and of candidates, normalized as
 *   the term does, by feature.h's formula. */

/* ---- kinds of terms ----
 *
 * P_i: the candidates of the group of anchor i. The sum over rows / rows is the formula. KD_TERM_
 * FIRST and KD_TERM_NORMALIZE (KD_NORMALIZE_DEFAULT: to length 1) as in feature.h. */

/* 1/n sum_i 1/|P_i| sum_(j in P_i) -log softmax_j z_i, the same from the candidates' side, and half
 * of both. Rows whose group the other side has not are candidates alone [Radford et al. 2021] */
#define KD_LOSS_CONTRASTIVE 32
/* -1/n sum_ij log sigmoid(+-(z_ij + KD_TERM_BIAS)), + where they belong together. No directions
 * [Zhai et al. 2023, who begin at scale 10 and bias -10] */
#define KD_LOSS_SIGMOID_CONTRASTIVE 33
/* 1/n sum_i KL(softmax_j z^t_i, softmax_j z_i), the same from the other side, and half of both; z^t
 * of the teacher's two sides, teacher_field and other_teacher_field, whose width may be another.
 * Groups are not asked for [Wu et al. 2023; Vasu et al. 2024] */
#define KD_LOSS_AFFINITY_KL 34

/* Rankings of a cross-encoder. C_i: the candidates of the group of anchor i, a query, c of them;
 * the teacher's field ("score") is one number a row, of which a candidate's is its score: y_j =
 * KD_TERM_TEACHER_SCALE times it (0: 1); an anchor's is not looked at, but finite. Queries with one
 * candidate have no value. The diagnostics' positive is the candidate that the teacher puts first.
 * group_field is needed. */

/* 1/n sum_i 2 / (c (c - 1)) sum_(j<k in C_i) ((z_ij - z_ik) - (y_j - y_k))^2. Scores are compared
 * directly: choose KD_TERM_SCALE so that z may reach as far as y does [Hofstaetter et al.
 * 2020] */
#define KD_LOSS_MARGIN_MSE 38
/* 1/n sum_i KL(softmax_(j in C_i) y_j, softmax_(j in C_i) z_ij) [Ren et al. 2021] */
#define KD_LOSS_LISTWISE_KL 39

/* ---- numbers of terms: kd_loss_set ---- */
#define KD_TERM_SCALE 23         /* 32 to 34, 38, 39: of dot products; 1e-6 .. 1000, 20 */
#define KD_TERM_TEACHER_SCALE 24 /* 34, 38, 39: the teacher's, 0: KD_TERM_SCALE, 1; 0 .. 1000, 0 */
#define KD_TERM_BIAS 25          /* 33; -1000 .. 1000, -10 */

#define KD_DIRECTION_BOTH 0
#define KD_DIRECTION_TO_OTHER 1   /* each anchor finds its candidates */
#define KD_DIRECTION_FROM_OTHER 2 /* each candidate finds its anchors */

#define KD_POSITIVES_MEAN 0 /* all rows of a group are each other's positives, in equal parts */
/* Of two outputs only its own row is a positive, and the others of its group are left out. Of sides
 * of one output, every positive stands against the other groups alone. */
#define KD_POSITIVES_MASK 1

typedef struct kd_pair_options {
    uint32_t struct_size;
    int32_t directions; /* KD_DIRECTION_BOTH ... */
    int32_t positives;  /* KD_POSITIVES_MEAN ... */
    int32_t reserved;
    /* The candidates: another output of the model, of the same rows or samples; "teacher:NAME", a
     * field of the targets, which is a constant; NULL: rows of student_output itself */
    const char *other_output;
    const char *other_teacher_field; /* 34, unless side_field is given: the teacher's candidates */
    /* Integers of the batch: equal ones belong together, and a row without one is left out. NULL:
     * row i with row i. */
    const char *group_field;
    /* Integers of the batch: 0 an anchor, 1 a candidate, -1 neither. Given if and only if
     * other_output is NULL; 32 and 33 then need group_field; 38 and 39 always
     * do. */
    const char *side_field;
    /* An output of one number (KD_UNIT_OF_BATCH), a parameter that is the logarithm of the scale,
     * "logit_scale"; it gets its gradient. A scale above 100 counts as 100 (diagnostics: guards),
     * with the gradient that it has there.
     * NULL: KD_TERM_SCALE. Towers have one (towers.h). */
    const char *scale_output;
    /* 33: an output of one number that takes KD_TERM_BIAS's place and gets its gradient,
     * "logit_bias" of towers. NULL: KD_TERM_BIAS */
    const char *bias_output;
} kd_pair_options;
#define KD_PAIR_OPTIONS_INIT                                                                       \
    {                                                                                              \
        (uint32_t)sizeof(kd_pair_options), KD_DIRECTION_BOTH, KD_POSITIVES_MEAN, 0, NULL, NULL,    \
            NULL, NULL, NULL, NULL                                                                 \
    }
KD_API void kd_pair_options_init(kd_pair_options *options, size_t size);

/* Says what the other side of a term of kinds 32 to 34, 38, 39 is; once, before the first call.
 * KD_ERR_INVALID: another kind, no other side, or options that the kind does not have.
 * KD_ERR_STATE: the term has it already. */
KD_API kd_status kd_loss_set_pairs(kd_loss *loss, int32_t term, const kd_pair_options *options);

/* Value and gradients of a batch that is larger than the memory of its pass: gradient caching [Gao
 * et al. 2021]. `chunks` (count) are batches of their own, `targets` (count) what a teacher says of
 * each, or NULL. Terms that look at a whole batch (kinds 25 to 34, 38, 39, DIST) see all chunks as
 * one; other terms are summed over them. Beside the passes' memory it takes the outputs that those
 * terms compare, of all chunks, twice.
 * - KD_MODE_REHEARSE gives what a KD_MODE_TRAIN pass will give, with the memory of
 *   KD_MODE_EVALUATE. If parts of a batch are rehearsed and then trained in the same order, all
 *   these passes draw dropout's numbers of one pass over the whole batch.
 * - Each chunk is rehearsed, the terms are evaluated, and each chunk is passed again with
 *   KD_MODE_TRAIN: no forward pass stands before the call. Value and gradients are those of one
 *   batch to rounding, dropout included. A chunk of which no sample has a row adds nothing, except
 *   to towers: such samples belong beside others.
 * - counts: the denominators, NULL: the rows of all chunks. Diagnostics of row terms are the last
 *   chunk's.
 * - KD_ERR_STATE: the gradients are shared or a step is open, which one backward pass ends. After
 *   an error in a later pass the gradients of model and loss are those of some chunks:
 *   kd_model_zero_gradients, kd_loss_zero_gradients. KD_ERR_UNSUPPORTED: batch norm, and more than
 *   one chunk. */
KD_API kd_status kd_loss_backward_chunks(kd_loss *loss, kd_model *model, kd_batch *const *chunks,
                                         kd_targets *const *targets, int32_t count,
                                         const kd_loss_counts *counts, kd_loss_result *result);

#ifdef __cplusplus
}
#endif
#endif
