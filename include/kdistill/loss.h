/* kdistill/loss.h - weighted sums of loss terms with exact gradients.   SPDX-License-Identifier: Apache-2.0
 *
 * One row: student logits z, teacher logits v, V classes, q = softmax(z / T), p = softmax(v / T), y the label.
 * A term compares one student output (default "logits") with labels of the batch or one field of the teacher.
 * Values are sums over valid rows and come back with their counts. Gradients are of
 *     sum over terms of  weight * sum over rows / denominator
 * and the denominators are what kd_loss_count gave, added up by the host over micro-batches and ranks: nobody divides
 * twice. A row is valid for a term when its mask, label and teacher are present; invalid rows are skipped, never
 * multiplied by zero. docs/mathematics.md derives every gradient.                                                    */
#ifndef KDISTILL_LOSS_H
#define KDISTILL_LOSS_H

#include <kdistill/head.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_loss kd_loss;

/* Kinds of terms. The last column: is the term multiplied by T^2 by default? */
#define KD_LOSS_CROSS_ENTROPY 1        /* -log q_y at T = 1; smoothing e: target (1-e) y + e/V            no  */
#define KD_LOSS_FORWARD_KL 2           /* sum p log(p/q)                                 [Hinton 2015]     yes */
#define KD_LOSS_REVERSE_KL 3           /* sum q log(q/p)                                 [MiniLLM 2023]    yes */
#define KD_LOSS_JSD 4                  /* b KL(p,M) + (1-b) KL(q,M), M = b p + (1-b) q   [GKD 2023]        yes */
#define KD_LOSS_LOGIT_MSE 5            /* 1/(2V) sum (z - v)^2, both centred (T is not used)              no  */
#define KD_LOSS_DKD 6                  /* alpha TCKD + beta NCKD, needs labels           [Zhao 2022]       yes */
#define KD_LOSS_BINARY_CROSS_ENTROPY 7 /* sum over outputs of -[t log s(z) + (1-t) log s(-z)], targets t
                                          in 0..1 from the label field, s the logistic function          no  */
#define KD_LOSS_BINARY_KL 8            /* sum over outputs of KL(Bernoulli(s(v/T)), Bernoulli(s(z/T)))    yes */
#define KD_LOSS_MEAN_SQUARED_ERROR 9   /* 1/width sum (z - t)^2; t from the teacher's field, or from the
                                          label field when teacher_field is NULL                         no  */
#define KD_LOSS_HUBER 10               /* 1/width sum of Huber(z - t) with delta; t as above             no  */
#define KD_LOSS_SKEWED_FORWARD_KL 11   /* KL(p, M), M = skew p + (1 - skew) q            [DistiLLM 2024]   yes */
#define KD_LOSS_SKEWED_REVERSE_KL 12   /* KL(q, M), M = skew q + (1 - skew) p            [DistiLLM 2024]   yes */
#define KD_LOSS_TOTAL_VARIATION 13     /* 1/2 sum |p - q|                                                  no  */
#define KD_LOSS_ALPHA_BETA 14          /* -1/(ab) sum p^a q^b - a/(a+b) p^(a+b) - b/(a+b) q^(a+b), and its
                                          limits; a = ab_alpha, b = ab_beta          [Cichocki 2011]       yes */
#define KD_LOSS_ADAPTIVE_KL 15         /* w_h KL(p,q) + w_t KL(q,p), w = share of |p - q| in the teacher's head
                                          (mass head_mass) and tail, detached           [Wu 2024, AKL]     yes */
#define KD_LOSS_TAID 16                /* KL(softmax(((1-t) z + t v)/T), q), target detached, t = progress
                                                                                        [Shing 2025]      yes */
#define KD_LOSS_STANDARDISED_KL 17     /* forward KL of logits with mean 0, deviation 1 a row [Sun 2024]   yes */
#define KD_LOSS_DIST 18                /* 1 - Pearson(p, q) over each row, plus the mean over columns of the batch
                                          of 1 - Pearson; a sum over rows, so that /rows is the paper's [Huang 2022] no */
#define KD_LOSS_ULD 19                 /* sum |sort q - sort p|, the shorter side padded with 0: a teacher with
                                          another tokenizer                             [Boizard 2024]    no  */
#define KD_LOSS_POLICY_GRADIENT 20     /* log q_y - log p_y, gradient -a (onehot - q), a = log p_y - log q_y
                                          detached, T = 1; the teacher's field "log_probability" holds log p_y of the
                                          sampled token, one number a row                                 no  */

/* T^2 scaling. */
#define KD_T2_DEFAULT 0 /* as the table above says */
#define KD_T2_ON 1
#define KD_T2_OFF 2

/* What is assumed of the mass outside a sparse teacher's ids (docs/mathematics.md). Pairs that make no sense are refused
 * by kd_loss_add with the reason. A dense teacher needs none of them.                                                    */
#define KD_TAIL_BUCKET 0         /* one more class holds it                                                */
#define KD_TAIL_UNIFORM 1        /* spread evenly over the student's real classes outside the ids          */
#define KD_TAIL_RENORM_TEACHER 2 /* none: p/m on the ids, 0 elsewhere                                      */
#define KD_TAIL_RENORM_BOTH 3    /* ratios inside the ids only, both sides renormalised there              */
#define KD_TAIL_TRUNCATE 4       /* nothing: the sum runs over the ids only (forward KL and skewed forward) */

/* A sparse teacher read at another temperature than it was stored at, when its tail there is not stored. */
#define KD_RETEMPER_EXACT 0   /* KD_ERR_MISMATCH, unless the policy needs no tail (RENORM) */
#define KD_RETEMPER_UNIFORM 1 /* the tail is taken as spread evenly                        */

/* When the teacher's largest class is not the label (the term then needs labels). Counted in the diagnostics. */
#define KD_CORRECT_NONE 0
#define KD_CORRECT_DROP 1 /* the row contributes 0; denominators still count it   */
#define KD_CORRECT_SWAP 2 /* p of the largest class and p of the label change places */
#define KD_CORRECT_MIX 3  /* p' = b onehot + (1 - b) p with the smallest b that makes the label win */

/* A row whose inputs are NaN or +infinity (-infinity is probability 0). */
#define KD_NONFINITE_REFUSE 0 /* KD_ERR_NONFINITE with the row's number; nothing is accumulated */
#define KD_NONFINITE_SKIP 1   /* skipped and counted                                           */
/* What the denominators count. */
#define KD_COUNT_ROWS 0    /* valid rows                 */
#define KD_COUNT_WEIGHTS 1 /* the sum of their weights   */

typedef struct kd_loss_options {
    uint32_t struct_size;
    int32_t reserved;
    int64_t memory_limit; /* bytes for logits that the loss computes itself (heads); kd_loss_memory tells what is used */
    double skip_bound;    /* of the heads of language models, as in kd_head; 0: exact */
} kd_loss_options;
#define KD_LOSS_OPTIONS_INIT { (uint32_t)sizeof(kd_loss_options), 0, 64 << 20, 0.0 }
KD_API void kd_loss_options_init(kd_loss_options *options, size_t size);

typedef struct kd_term_options {
    uint32_t struct_size;
    int32_t t2;                 /* KD_T2_DEFAULT ...                                                     */
    const char *student_output; /* NULL: "logits"                                                        */
    const char *teacher_field;  /* NULL: "logits" for terms that need a teacher, none for the others      */
    const char *label_field;    /* NULL: "label". "teacher:label" takes the teacher's field of that name  */
    const char *mask_field;     /* uint8 or float field of the batch, 0: skip the row; NULL: none          */
    const char *weight_field;   /* float field, multiplies value and gradient of its row; NULL: none       */
    int32_t align;              /* KD_ALIGN_SAME ...                                                      */
    int32_t nonfinite;          /* KD_NONFINITE_REFUSE ...                                                */
    int32_t count;              /* KD_COUNT_ROWS ...                                                      */
    int32_t classes;            /* real classes when both sides are padded; 0: the width, which must agree. Padded
                                   columns count as -infinity and get gradient 0                          */
    double temperature;         /* T, also in KD_TEMPERATURE                                              */
    double label_smoothing;     /* cross-entropy, 0 to 1                                                  */
    double teacher_share;       /* JSD's b, 0 to 1                                                        */
    double dkd_alpha;           /* target-class part  */
    double dkd_beta;            /* other-classes part */
    double huber_delta;
    double log_floor;           /* reverse KL where p = 0 and q > 0: log p is taken as at least this (below 0) and counted as a
                                   guard hit. 0: no floor, the row is refused as non-finite                */
    int64_t ignore_label;       /* rows with this label are skipped (default -100)                        */
    int32_t tail;               /* KD_TAIL_BUCKET ...: sparse teachers                                    */
    int32_t retemper;           /* KD_RETEMPER_EXACT ...                                                  */
    int32_t normalised;         /* JSD: 1 divides by b (1 - b); b = 0 is then forward, b = 1 reverse KL   */
    int32_t detach_mixture;     /* skewed reverse KL: 1 takes M as a constant (as DistiLLM's code does)   */
    int32_t correction;         /* KD_CORRECT_NONE ...                                                    */
    int32_t reserved;
    double skew;                /* share of the weighing side in the mixture, 0 to 1: the teacher's in forward, the
                                   student's in reverse                                                   */
    double ab_alpha;            /* -2 to 2 */
    double ab_beta;
    double head_mass;           /* adaptive KL's head */
    double progress;            /* TAID's t           */
    double confidence_power;    /* gamma: value and gradient of a row times max(p)^gamma, p at T; denominators stay */
} kd_term_options;
#define KD_TERM_OPTIONS_INIT                                                                                                     \
    { (uint32_t)sizeof(kd_term_options), KD_T2_DEFAULT, NULL, NULL, NULL, NULL, NULL, KD_ALIGN_SAME, KD_NONFINITE_REFUSE,        \
      KD_COUNT_ROWS, 0, 1.0, 0.0, 0.5, 1.0, 8.0, 1.0, 0.0, -100, KD_TAIL_BUCKET, KD_RETEMPER_EXACT, 0, 0, KD_CORRECT_NONE, 0,    \
      0.1, 0.2, 0.7, 0.5, 0.4, 0.0 }
KD_API void kd_term_options_init(kd_term_options *options, size_t size);

#define KD_LOSS_MAX_TERMS 64

KD_API kd_status kd_loss_create(kd_loss **out, kd_context *context, const kd_loss_options *options);
KD_API void kd_loss_free(kd_loss *loss);

/* Adds a term; *term (may be NULL) is its number from 0. Names in the options are copied. */
KD_API kd_status kd_loss_add(kd_loss *loss, int32_t kind, double weight, const kd_term_options *options, int32_t *term);

/* Numbers of a term that may change between calls. Out of bounds: KD_ERR_RANGE with the bounds in the message. */
#define KD_TEMPERATURE 1     /* 0.01 .. 1000            */
#define KD_WEIGHT 2          /* -1e6 .. 1e6             */
#define KD_LABEL_SMOOTHING 3 /* 0 .. 1                  */
#define KD_TEACHER_SHARE 4   /* 0 .. 1                  */
#define KD_DKD_ALPHA 5       /* 0 .. 1e6                */
#define KD_DKD_BETA 6        /* 0 .. 1e6                */
#define KD_HUBER_DELTA 7     /* 1e-6 .. 1e6             */
#define KD_SKEW 8            /* 0 .. 1                  */
#define KD_AB_ALPHA 9        /* -2 .. 2                 */
#define KD_AB_BETA 10        /* -2 .. 2                 */
#define KD_HEAD_MASS 11      /* 0 .. 1                  */
#define KD_PROGRESS 12       /* 0 .. 1                  */
#define KD_CONFIDENCE_POWER 13 /* 0 .. 100              */
KD_API kd_status kd_loss_set(kd_loss *loss, int32_t term, int32_t number, double value);
KD_API kd_status kd_loss_get(kd_loss *loss, int32_t term, int32_t number, double *value);
KD_API kd_status kd_loss_bounds(int32_t number, double *low, double *high);
/* The options of a term as they are now; names live as long as the loss. options->struct_size is set by the caller. */
KD_API kd_status kd_loss_term(kd_loss *loss, int32_t term, int32_t *kind, kd_term_options *options);

/* ULD with classes that both tokenizers share: teacher_of ((student classes) integers, copied; NULL: plain ULD again) holds the teacher's
 * class of each student class, -1 for none. The term is KL over the shared classes and one bucket of all others, plus the sum of sorted
 * differences of those that only one side has. KD_ERR_INVALID: no ULD; KD_ERR_RANGE: classes outside or twice.                 */
KD_API kd_status kd_loss_set_shared(kd_loss *loss, int32_t term, const kd_array *teacher_of, int64_t teacher_classes);

/* Counts of valid rows, and sums of their weights, per term: what denominators are made of. */
typedef struct kd_loss_counts {
    uint32_t struct_size;
    int32_t terms;
    int64_t rows[KD_LOSS_MAX_TERMS];
    double weights[KD_LOSS_MAX_TERMS];
} kd_loss_counts;

typedef struct kd_loss_result {
    uint32_t struct_size;
    int32_t terms;
    double value;                        /* sum over terms of weight * sum / denominator                       */
    double sum[KD_LOSS_MAX_TERMS];       /* sum over valid rows, T^2 and row weights in, the term's weight not */
    int64_t rows[KD_LOSS_MAX_TERMS];     /* rows that were summed                                              */
    int64_t skipped[KD_LOSS_MAX_TERMS];  /* rows left out as non-finite (KD_NONFINITE_SKIP)                     */
    double skipped_share;                /* heads: share of the blocks of logit gradients that were not multiplied  */
    double dw_error_bound;               /* the head's gradient is at most this Frobenius norm off by that          */
    double dh_error_bound;               /* the same for the hidden states' gradient                               */
} kd_loss_result;

/* Counts of one batch. counts->struct_size and result->struct_size are set by the caller. targets may be NULL when no
 * term needs a teacher. Errors: KD_ERR_NOT_FOUND (field), KD_ERR_SHAPE (rows), KD_ERR_RANGE (label, with its row).      */
KD_API kd_status kd_loss_count(kd_loss *loss, kd_batch *batch, kd_targets *targets, kd_loss_counts *counts);

/* counts = counts + more, term by term. */
KD_API kd_status kd_loss_counts_add(kd_loss_counts *counts, const kd_loss_counts *more);

/* Value and gradients on a model after its forward pass, pushed back into its parameter gradients (accumulated).
 * counts NULL: this batch's own. When the call fails nothing is accumulated.                                     */
KD_API kd_status kd_loss_backward(kd_loss *loss, kd_model *model, kd_batch *batch, kd_targets *targets, const kd_loss_counts *counts,
                                  kd_loss_result *result);
/* Value only, on a model after a forward pass. */
KD_API kd_status kd_loss_value(kd_loss *loss, kd_model *model, kd_batch *batch, kd_targets *targets, const kd_loss_counts *counts,
                               kd_loss_result *result);

/* A host's own student: its outputs as arrays. */
typedef struct kd_loss_output {
    uint32_t struct_size;     /* of the first entry: the stride of an array of entries                         */
    int32_t accumulate;       /* 1: gradients are added to what is there, 0: they overwrite it                 */
    const char *name;         /* "logits", "hidden.3", ...; NULL: "logits"                                     */
    const kd_array *value;    /* (rows, width) float32, float16 or bfloat16, contiguous rows (a row stride is allowed) */
    const kd_array *gradient; /* the same shape, float32; NULL: not wanted. May be the same memory as a float32 value */
    const kd_head *head;      /* not NULL: value are hidden states (rows, d), gradient theirs, and the terms see the
                                 head's (rows, V) logits under `name`; tokens x V numbers are never held       */
} kd_loss_output;

/* Bytes that a call with these sides takes beyond the caller's arrays, and the rows that go through the head at once. Widths: of a side's hidden
 * states where its logits are computed from them, else 0. A head that skips without the loss's skip_bound takes fewer rows at once than told.  */
KD_API kd_status kd_loss_memory(kd_loss *loss, int64_t rows, int64_t classes, int64_t student_width, int64_t teacher_width,
                                int64_t *bytes, int64_t *block_rows);

/* The loss alone, on plain arrays: labels, masks and weights are fields of the batch, the teacher's side is in the targets.
 * When the call fails the gradients are undefined.                                                                          */
KD_API kd_status kd_loss_eval(kd_loss *loss, const kd_loss_output *outputs, int32_t count, kd_batch *batch, kd_targets *targets,
                              const kd_loss_counts *counts, kd_loss_result *result);

/* What the last value, backward or eval call saw in one term; means over the rows summed, NaN where it means nothing. */
typedef struct kd_loss_diagnostics {
    uint32_t struct_size;
    int32_t reserved;
    int64_t rows;
    int64_t masked;               /* rows skipped: mask, absent label, absent teacher, ignored label            */
    int64_t skipped;              /* rows skipped as non-finite                                                */
    int64_t guards;               /* times a numeric guard (log_floor) was hit                                 */
    double teacher_log_likelihood; /* mean log p_y at T = 1, rows with a label: an off-by-one shows here at once */
    double teacher_accuracy;      /* share of them whose argmax is the label                                   */
    double agreement;             /* share of rows where student and teacher have the same argmax              */
    double teacher_entropy;       /* mean entropy of p at the term's temperature                               */
    double student_entropy;       /* mean entropy of q                                                         */
    double captured_mass;         /* mean teacher mass m of the stored ids; 1 for dense teachers               */
    double student_mass;          /* mean student mass on them; 1 for dense teachers                           */
    double head_loss;             /* mean loss on stored ids                                                   */
    double tail_loss;             /* mean loss outside                                                         */
    int64_t corrected;            /* rows whose teacher was corrected or dropped by the label                  */
    int64_t borrowed;             /* entries that an ensemble filled from a record's tail                      */
    double confidence;            /* mean of the gate max(p)^gamma; 1 without                                  */
} kd_loss_diagnostics;
/* Diagnostics cost a pass over the arrays: they are computed only after this was switched on (default off). */
KD_API kd_status kd_loss_set_diagnostics(kd_loss *loss, int32_t on);
KD_API kd_status kd_loss_get_diagnostics(kd_loss *loss, int32_t term, kd_loss_diagnostics *diagnostics);

#ifdef __cplusplus
}
#endif
#endif
