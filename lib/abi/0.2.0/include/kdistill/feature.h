/* kdistill/feature.h - terms that compare features: hidden states, maps, relations of samples; and
 * projections, which belong to the loss. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  options.student_output = "hidden.2";  options.teacher_field = "hidden.5";
 *   2.  kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &options, &term);
 *   3.  kd_loss_set_projection(loss, term, &projection);   where the two widths differ
 *   4.  kd_loss_keep_outputs(loss, student, teacher);      of a teacher that runs beside it
 *   5.  kd_loss_prepare(loss, student, targets);           fixes widths that were left open
 *   6.  kd_optimizer_add_loss(optimizer, loss);
 *   7.  kd_loss_backward(loss, student, batch, targets, NULL, &result);
 *
 * One call of a term, over the rows that are valid (mask, presence):
 * - S: the student's rows, the first KD_TERM_FIRST numbers of each; T: the teacher's, likewise.
 * - S is projected, if the term has a projection. Both sides are normalized (KD_TERM_NORMALIZE).
 * - The term compares the rows. The teacher's side is a constant.
 *
 * Labels of a batch, sparse teachers, logits that a head computes, label correction and confidence
 * gates are none of a feature's: refused. The same rows give the same bits on any number of
 * threads. */
#ifndef KDISTILL_FEATURE_H
#define KDISTILL_FEATURE_H

#include <kdistill/loss.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- kinds of terms ----
 *
 * Both names of the options are "hidden" where they are NULL. s: the student's row, t: the
 * teacher's, d: their width. Each adds one number a row, so that sum / rows is the formula; in
 * brackets, what it is divided by beside the rows. KD_LOSS_MEAN_SQUARED_ERROR and KD_LOSS_HUBER
 * take projections, first and normalize too. */
#define KD_LOSS_HIDDEN_COSINE 21   /* 1 - cos(s, t) [row] */
#define KD_LOSS_HIDDEN_DISTANCE 22 /* |s - t|, gradient 0 at 0 [row] */
/* 1/d sum 1/2 log v_k + (s_k - t_k)^2 / (2 v_k), v_k = 1e-5 + softplus(rho_k): rho (d) is a
 * parameter of the loss, v is 5 at first. May be negative [width; Ahn et al. 2019] */
#define KD_LOSS_VARIATIONAL 23
/* Maps (rows, channels, height, width): 1/P sum_p (q_p - q^t_p)^2, q the mean square over channels
 * at length 1 over the P places; of unlike sizes the larger map is averaged to the smaller, and
 * channels may differ. No projection, first or normalize [row; Zagoruyko and Komodakis 2017] */
#define KD_LOSS_ATTENTION_TRANSFER 24

/* Rows inside samples: where the output is (samples, T, width) on both sides, as hidden states of
 * images are, these kinds (9 and 10 with a projection, first or normalize) compare the T rows of a
 * sample one by one. Projection, first, normalize and the formula are of width numbers; a sample's
 * value is the mean over its rows.
 * - What is counted stays the sample, in counts, results and micro-batches; mask, weight, presence
 *   are a sample's. One with a row that is not finite is skipped whole.
 * - T of both sides must agree: KD_ERR_SHAPE names both. A teacher's flat rows of T x width numbers
 *   (a store's, an ensemble's) are cut as the student's are.
 * - Kinds 9 and 10 without these numbers have the same value either way. Relations (25 to 31) and
 *   kinds of two sides take a sample whole, T x width numbers, and no projection of it.
 * - kd_loss_estimate_memory: rows are samples x T. The T rows of a sample lie in memory at once:
 *   where T is above 1024, or memory_limit is too small for them, that is more than reported. */

/* Relations of the b valid rows of a call: how they lie to each other at the student and at the
 * teacher. The two widths may differ. Relations do not cross calls: of micro-batches, the value is
 * the mean over their rows. With too few rows a call adds nothing: rows 0, counted as `degenerate`.
 * weight_field is refused: a row has no weight in a pair. U, W: rows of S, T at length 1. */
#define KD_LOSS_SIMILARITY 25 /* 1/b^2 |G_s - G_t|^2, G = S S', rows at length 1 [Tung 2019] */
#define KD_LOSS_GRAM 26       /* 1/b^2 |U U' - W W'|^2 [pairs] */
/* 1/b^2 sum of Huber(1) of distances over their mean, both sides' [pairs; Park et al. 2019] */
#define KD_LOSS_RKD_DISTANCE 27
/* 1/b^3 sum of Huber(1) of cosines of the angles of three rows; b >= 3; holds 6 b^2 doubles
 * [triples; Park et al. 2019] */
#define KD_LOSS_RKD_ANGLE 28
/* 1/b^2 sum p log(p / q), p and q rows of (1 + cosine) / 2 over their sum [Passalis 2018] */
#define KD_LOSS_PKT 29
/* 1 - |S'T|^2 / (|S'S| |T'T|), columns centered; KD_TERM_UNBIASED: b >= 4, may leave 0 .. 1
 * [Kornblith et al. 2019] */
#define KD_LOSS_CKA 30
/* 1/b sum KL(p_i, q_i), p_i the softmax over the other rows of cosines over a temperature, the
 * term's and KD_TERM_TEACHER_TEMPERATURE [Fang et al. 2021] */
#define KD_LOSS_RELATION_KL 31

/* Relations of the n rows of each sample of a batch, at the student and at the teacher: attention.
 * student_output and teacher_field are "attention.5.query" and the like; the two widths may differ.
 * Rows that a mask or presence leaves out are neither queries nor keys. If a row of the student's
 * model sees earlier rows only, its relations here are to those and itself, and the teacher must
 * be the same: else KD_ERR_MISMATCH. Of a host's arrays KD_TERM_CAUSAL says it (else a row sees
 * all), and for kinds 36 and 37 KD_TERM_RELATION_HEADS the heads of both sides. A layer's window
 * does not count. weight_field is refused. For kd_loss_estimate_memory rows are the longest
 * sample's: a batch's other samples take no more. */
/* 1/A sum_a KL(R^t_a, R_a), R_a = softmax(X_a X_a' / sqrt(d / A)), X_a the a-th of A equal parts of
 * the row: of queries, keys or values. A: KD_TERM_RELATION_HEADS, else 48 if it divides both
 * widths, else the greatest common divisor of both models' heads [head; Wang et al. 2021] */
#define KD_LOSS_ATTENTION_RELATION 35
/* Both names end in .query; the keys are found beside them, as .key. The heads of both sides must
 * be as many (KD_ERR_MISMATCH); D: numbers of a head; key heads may be fewer.
 * 1/A sum_a KL(P^t_a, P_a), P_a = softmax(Q_a K_a' / sqrt(D)) [head; Wang et al. 2020] */
#define KD_LOSS_ATTENTION_KL 36
/* 1/A sum_a 1/n |Z_a - Z^t_a|^2, Z_a = Q_a K_a' / sqrt(D), n the rows that a row sees [head; Jiao
 * et al. 2020] */
#define KD_LOSS_ATTENTION_MSE 37

/* ---- diagnostics of these terms (kd_loss_set_diagnostics) ----
 *
 * student_norm, teacher_norm, cosine: mean lengths of both sides and mean cosine of their pairs,
 * after the projection, before they are normalized; the cosine is NaN of two widths. Of the first
 * 64 rows of a call (fewer than 8: NaN; kinds 35 to 37 have none):
 * - student_pair_cosine, teacher_pair_cosine: the mean cosine of two rows of a side; 1: all point
 *   one way, a collapse.
 * - student_effective_rank, teacher_effective_rank: exp(-sum p_k log p_k), p = sigma / sum sigma,
 *   sigma the singular values of the side's rows, after the projection, before they are normalized
 *   [Roy and Vetterli 2007]: from 1 to the lesser of 64 and the width. What a side has of
 *   directions to tell rows apart.
 * - explained: 1 - sum |t - s|^2 / sum |t - mean t|^2, normalized as the term does; NaN of two
 *   widths. */

/* ---- numbers of terms: kd_loss_set ---- */
#define KD_TERM_FIRST 17     /* the first n numbers of both sides, 0: all; 0 .. 2^31, 0 */
#define KD_TERM_NORMALIZE 18 /* KD_NORMALIZE_DEFAULT ...; 0 .. 3, 0 */
/* 35 to 37: heads of a row, 0: as the kind says; 0 .. 2^16, 0 */
#define KD_TERM_RELATION_HEADS 19
#define KD_TERM_UNBIASED 20 /* CKA, 1: unbiased HSIC [Song et al. 2012]; 0 or 1, 0 */
/* relation KL: the teacher's, 0: the term's; 0 .. 1000, 0 */
#define KD_TERM_TEACHER_TEMPERATURE 21
/* 35 to 37: 1: a row sees no later row, 0: as the student's model; 0 or 1, 0 */
#define KD_TERM_CAUSAL 22

#define KD_NORMALIZE_DEFAULT 0 /* as the kind says: none, unless its formula does */
#define KD_NORMALIZE_NONE 1
#define KD_NORMALIZE_ROWS 2 /* each row to length 1; a row of zeros is not finite */
/* each row to mean 0 and deviation 1, as a layer norm without weights (epsilon 1e-5) */
#define KD_NORMALIZE_LAYER 3

/* ---- projections: from the student's width to the teacher's ---- */
#define KD_PROJECTION_LINEAR 1      /* s W' */
#define KD_PROJECTION_LINEAR_BIAS 2 /* s W' + b */
#define KD_PROJECTION_MLP 3         /* ReLU(s W0' + b0) W2' + b2, 2 from numbers between */
/* s W', with rows (columns, where it widens) of W orthonormal: made so again when a pass begins */
#define KD_PROJECTION_ORTHOGONAL 4

/* Uniform in +- 1 / sqrt(inputs), as PyTorch's Linear; ORTHOGONAL begins orthogonal instead. */
#define KD_PROJECTION_START_UNIFORM 0
/* Ones on the diagonal, the rest 0: of equal widths no projection. MLP: W0 = [I; -I], W2 = [I, -I],
 * which is the identity as well. */
#define KD_PROJECTION_START_IDENTITY 1
#define KD_PROJECTION_START_ORTHOGONAL 2 /* rows or columns orthonormal; biases 0 */

typedef struct kd_projection_options {
    uint32_t struct_size;
    int32_t kind;  /* KD_PROJECTION_LINEAR ... */
    int32_t start; /* KD_PROJECTION_START_UNIFORM ... */
    int32_t reserved;
    const char *name; /* terms of one name share the parameters; NULL: "term.N" */
    int64_t from, to; /* widths; 0: the sides', fixed by kd_loss_prepare or the first call */
} kd_projection_options;
#define KD_PROJECTION_OPTIONS_INIT                                                                 \
    {                                                                                              \
        (uint32_t)sizeof(kd_projection_options), KD_PROJECTION_LINEAR,                             \
            KD_PROJECTION_START_UNIFORM, 0, NULL, 0, 0                                             \
    }
KD_API void kd_projection_options_init(kd_projection_options *options, size_t size);

/* Gives a feature term a projection; the first term of a name makes it, with random numbers of the
 * context's seed and the name. KD_ERR_STATE: the term has one, or an optimizer has the loss.
 * KD_ERR_MISMATCH: a term has the name with another kind or other widths. */
KD_API kd_status kd_loss_set_projection(kd_loss *loss, int32_t term,
                                        const kd_projection_options *options);

/* Fixes widths that are open, from the outputs of a model after a forward pass and from fields of
 * the targets, so that all parameters are there. Either may be NULL where nothing is taken from
 * it. */
KD_API kd_status kd_loss_prepare(kd_loss *loss, kd_model *student, kd_targets *targets);

/* ---- parameters of a loss ----
 *
 * Tensors "projection.NAME.weight" (to, from) and ".bias" (to); of an MLP, after "projection.NAME",
 * ".0.weight" (2 from, from), ".0.bias", ".2.weight" (to, 2 from), ".2.bias"; "variance.N" (d) of
 * term N: rho. A width that is open has none yet. Pointers are valid until a term gets parameters.
 * Gradients add up over calls that give an output's gradient, until a step of the loss's optimizer
 * or kd_loss_zero_gradients. A checkpoint keeps them all (kd_checkpoint_add_loss). */
KD_API kd_status kd_loss_tensor_count(kd_loss *loss, int32_t *count);
KD_API kd_status kd_loss_tensor(kd_loss *loss, int32_t index, const char **name, kd_array *values);
KD_API kd_status kd_loss_tensor_gradient(kd_loss *loss, int32_t index, kd_array *values);
KD_API kd_status kd_loss_zero_gradients(kd_loss *loss);

/* All tensors as a safetensors file. KD_ERR_STATE: there are none. */
KD_API kd_status kd_loss_save_tensors(kd_loss *loss, const char *path);
/* The tensors that the loss has, from such a file; others in the file are left alone. Widths that
 * are open take the file's. KD_ERR_NOT_FOUND: one is missing; KD_ERR_SHAPE: of another shape. Then
 * nothing has changed. */
KD_API kd_status kd_loss_load_tensors(kd_loss *loss, const char *path);

/* ---- layers ---- */

/* A teacher's layer for each of a student's: KD_LAYERS_UNIFORM, _FIRST, _LAST or _BLOCKS of
 * model.h, into teacher_of (student_layers). KD_ERR_RANGE: fewer than one, or more than the
 * teacher's. */
KD_API kd_status kd_loss_map_layers(int32_t map, int32_t student_layers, int32_t teacher_layers,
                                    int32_t *teacher_of);

/* A term for each layer i of the student with a layer of the teacher (teacher_of[i]; -1: none), of
 * weight / the number of such layers. In the options student_output and teacher_field are names
 * with one %d, which becomes i and teacher_of[i]: "hidden.%d". The terms' numbers begin at
 * *first_term (may be NULL), in the order of layers. After an error none was added. */
KD_API kd_status kd_loss_add_mapped(kd_loss *loss, int32_t kind, double weight,
                                    const kd_term_options *options, const int32_t *teacher_of,
                                    int32_t student_layers, int32_t *first_term);

/* Asks for the outputs that the terms name (kd_model_keep); either may be NULL.
 * - The student keeps them in evaluating passes as well.
 * - A teacher from a model, or such members of an ensemble, keep those and no others: if no term
 *   wants logits or "hidden", its passes stop at the highest layer named. For more, call
 *   kd_model_keep after it.
 * - Other teachers give what they have.
 * KD_ERR_NOT_FOUND lists the outputs of the model that lacks one. */
KD_API kd_status kd_loss_keep_outputs(kd_loss *loss, kd_model *student, kd_teacher *teacher);

#ifdef __cplusplus
}
#endif
#endif
