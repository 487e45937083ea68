/* kdistill/loss.h - weighted sums of loss terms with exact gradients.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_loss_create(&loss, context, NULL);
 *   2.  kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 0.1, NULL, NULL);
 *   3.  kd_loss_add(loss, KD_LOSS_FORWARD_KL, 0.9, &options, &term);    options.temperature = 4
 *   4.  kd_loss_set(loss, term, KD_TERM_TEMPERATURE, t);                between any two calls
 *   5.  kd_loss_backward(loss, student, batch, targets, NULL, &result);
 *
 * One row: student logits z, teacher logits v, V classes, q = softmax(z / T), p = softmax(v / T),
 * label y. A term compares one student output (default "logits") with the batch's labels or with
 * one field of the teacher. docs/mathematics.md derives every gradient, which is that of
 *   sum over terms of  weight * sum over rows / denominator
 * - Denominators come from kd_loss_count; the host first adds up those of micro-batches and ranks.
 * - A row is valid for a term if its mask, label and teacher are present; invalid rows are skipped,
 *   never multiplied by zero.
 * - A term is over rows, or over samples where its output has one entry a sample (an embedding, a
 *   text's class): rows are then samples throughout, also in counts and results. Labels and the
 *   teacher's field must be of the same unit: KD_ERR_SHAPE names both. A mask or weight of samples
 *   (kd_batch_set_per_sample) also serves an output of rows: each row takes its sample's. */
#ifndef KDISTILL_LOSS_H
#define KDISTILL_LOSS_H

#include <kdistill/teacher.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_loss kd_loss;

/* Kinds of terms. [T^2]: the term is multiplied by T^2 by default. Kinds above 9: since 0.2. */
#define KD_LOSS_CROSS_ENTROPY 1 /* -log q_y at T = 1; label smoothing e: target (1-e) y + e/V */
#define KD_LOSS_FORWARD_KL 2    /* [T^2] sum p log(p/q) [Hinton 2015] */
#define KD_LOSS_REVERSE_KL 3    /* [T^2] sum q log(q/p) [MiniLLM 2023] */
#define KD_LOSS_JSD 4           /* [T^2] b KL(p,M) + (1-b) KL(q,M), M = b p + (1-b) q [GKD 2023] */
#define KD_LOSS_LOGIT_MSE 5     /* 1/(2V) sum (z - v)^2, both centered (T is not used) */
#define KD_LOSS_DKD 6           /* [T^2] alpha TCKD + beta NCKD, needs labels [Zhao 2022] */
/* sum over outputs of -[t log s(z) + (1-t) log s(-z)], s logistic, t in 0..1 the label field */
#define KD_LOSS_BINARY_CROSS_ENTROPY 7
#define KD_LOSS_BINARY_KL 8 /* [T^2] sum over outputs of KL(Bernoulli(s(v/T)), Bernoulli(s(z/T))) */
#define KD_LOSS_MEAN_SQUARED_ERROR 9 /* 1/width sum (z - t)^2; t: teacher_field, else labels */
#define KD_LOSS_HUBER 10             /* 1/width sum of Huber(z - t) with delta; t as above */
#define KD_LOSS_SKEWED_FORWARD_KL 11 /* [T^2] KL(p, M), M = skew p + (1-skew) q [DistiLLM 2024] */
#define KD_LOSS_SKEWED_REVERSE_KL 12 /* [T^2] KL(q, M), M = skew q + (1-skew) p [DistiLLM 2024] */
#define KD_LOSS_TOTAL_VARIATION 13   /* 1/2 sum |p - q| */
/* [T^2] -1/(ab) sum p^a q^b - a/(a+b) p^(a+b) - b/(a+b) q^(a+b), its limits [Cichocki 2011] */
#define KD_LOSS_ALPHA_BETA 14
/* [T^2] w_h KL(p,q) + w_t KL(q,p), w: shares of |p - q| in the teacher's head, tail [Wu 2024] */
#define KD_LOSS_ADAPTIVE_KL 15
#define KD_LOSS_TAID 16 /* [T^2] KL(softmax(((1-t) z + t v)/T), q), target detached [Shing 2025] */
#define KD_LOSS_STANDARDIZED_KL 17 /* [T^2] forward KL of standardized logits [Sun 2024] */
#define KD_LOSS_DIST 18 /* 1 - Pearson per row + mean over columns; sums over rows [Huang 2022] */
/* sum |sort q - sort p|, the shorter side padded with 0: a teacher with another tokenizer [Boizard
 * 2024]. For a top-k teacher: by rank down to k, then the masses below (KD_TAIL_BUCKET) */
#define KD_LOSS_ULD 19
/* log q_y - log p_y, gradient -a (onehot - q), a = log p_y - log q_y detached, T = 1; the teacher's
 * field "log_probability" has log p_y of the sampled token, one number per row */
#define KD_LOSS_POLICY_GRADIENT 20
#define KD_LOSS_ACCEPTANCE 40 /* -log sum min(p, q): drafts [arXiv 2602.23881] */

#define KD_T2_DEFAULT 0 /* T^2 scaling as listed above */
#define KD_T2_ON 1
#define KD_T2_OFF 2

/* What is assumed about the mass outside a sparse teacher's ids (docs/mathematics.md). A
 * policy that makes no sense for a kind is rejected with the reason: by kd_loss_add if it is not
 * the default, else when a sparse teacher is first read. */
#define KD_TAIL_BUCKET 0         /* one more class holds it */
#define KD_TAIL_UNIFORM 1        /* spread evenly over the student's real classes outside the ids */
#define KD_TAIL_RENORM_TEACHER 2 /* none: p/m on the ids, 0 elsewhere */
#define KD_TAIL_RENORM_BOTH 3    /* ratios inside the ids only, both sides renormalized there */
#define KD_TAIL_TRUNCATE 4       /* ignored: the sum is over the ids (forward, skewed forward KL) */

/* A sparse teacher used at a temperature other than its own, if no tail is stored for it.
 * KD_ERR_MISMATCH if the tail is not known, unless the policy needs no tail (RENORM). */
#define KD_RETEMPER_EXACT 0   /* never known */
#define KD_RETEMPER_UNIFORM 1 /* the tail is taken as spread evenly */
/* interpolated between stored tails, from the lowest temperature; needs one besides its own */
#define KD_RETEMPER_BETWEEN 2

/* If the teacher's largest class is not the label (the term needs labels). See the diagnostics. */
#define KD_CORRECT_NONE 0
#define KD_CORRECT_DROP 1 /* the row contributes 0; denominators still count it */
#define KD_CORRECT_SWAP 2 /* p of the largest class and p of the label are swapped */
#define KD_CORRECT_MIX 3  /* p' = b onehot + (1 - b) p, smallest b that makes the label win */

/* A row whose inputs are NaN or +infinity (-infinity is probability 0). */
#define KD_NONFINITE_REFUSE 0 /* KD_ERR_NONFINITE with the row; nothing is accumulated */
#define KD_NONFINITE_SKIP 1   /* skipped and counted */
#define KD_COUNT_ROWS 0       /* denominators count valid rows, */
#define KD_COUNT_WEIGHTS 1    /* or sum their weights */

typedef struct kd_loss_options {
    uint32_t struct_size;
    int32_t reserved;
    int64_t memory_limit; /* bytes for logits computed inside the loss (heads) */
    double skip_bound;    /* of language models' heads, as in kd_head; 0: exact */
} kd_loss_options;
#define KD_LOSS_OPTIONS_INIT                                                                       \
    {                                                                                              \
        (uint32_t)sizeof(kd_loss_options), 0, 64 << 20, 0.0                                        \
    }
KD_API void kd_loss_options_init(kd_loss_options *options, size_t size);

/* What every kind of term has. The struct is frozen: what one kind or a few need is a number, set
 * with kd_loss_set after kd_loss_add, or a separate call (kd_loss_set_shared_classes). */
typedef struct kd_term_options {
    uint32_t struct_size;
    /* KD_T2_DEFAULT ... */
    int32_t t2;
    /* NULL: "logits", "hidden" for features (feature.h) */
    const char *student_output;
    /* NULL: likewise for terms that need a teacher, none for the others */
    const char *teacher_field;
    /* NULL: "label". "teacher:label" takes the teacher's field of that name */
    const char *label_field;
    /* uint8 or float field of the batch, 0: skip the row; NULL: none */
    const char *mask_field;
    /* float field, multiplies value and gradient of its row; NULL: none */
    const char *weight_field;
    /* KD_ALIGN_SAME ... */
    int32_t align;
    /* KD_NONFINITE_REFUSE ... */
    int32_t nonfinite;
    /* KD_COUNT_ROWS ... */
    int32_t count;
    /* Real classes when both sides are padded; 0: the width, which must agree. Padded columns count
     * as -infinity and get gradient 0. */
    int32_t classes;
    /* T; it may change later: KD_TERM_TEMPERATURE */
    double temperature;
    /* rows with this label are skipped (default -100) */
    int64_t ignore_label;
    /* KD_TAIL_BUCKET ...: sparse teachers */
    int32_t tail;
    /* KD_RETEMPER_BETWEEN ... */
    int32_t retemper;
    /* KD_CORRECT_NONE ... */
    int32_t correction;
    int32_t reserved;
} kd_term_options;
#define KD_TERM_OPTIONS_INIT                                                                       \
    {                                                                                              \
        (uint32_t)sizeof(kd_term_options), KD_T2_DEFAULT, NULL, NULL, NULL, NULL, NULL,            \
            KD_ALIGN_SAME, KD_NONFINITE_REFUSE, KD_COUNT_ROWS, 0, 1.0, -100, KD_TAIL_BUCKET,       \
            KD_RETEMPER_BETWEEN, KD_CORRECT_NONE, 0                                                \
    }
KD_API void kd_term_options_init(kd_term_options *options, size_t size);

#define KD_LOSS_MAX_TERMS 64
KD_API kd_status kd_loss_create(kd_loss **out, kd_context *context, const kd_loss_options *options);
KD_API void kd_loss_free(kd_loss *loss);

/* Adds a term; *term (may be NULL) is its number, from 0. Names in the options are copied. */
KD_API kd_status kd_loss_add(kd_loss *loss, int32_t kind, double weight,
                             const kd_term_options *options, int32_t *term);

/* Numbers of a term, which may change between calls: bounds, default, the kinds that have it.
 * Confidence power: value and gradient of a row times max(p)^gamma, p at T; denominators stay. Log
 * floor: where p = 0 and q > 0, log p is taken as at least this and counted as a guard hit; 0: no
 * floor, the row is refused as non-finite. Numbers of features, from 17 on, are in feature.h. */
#define KD_TERM_TEMPERATURE 1       /* T; .01 .. 1000, 1; all kinds */
#define KD_TERM_WEIGHT 2            /* that of kd_loss_add; -1e6 .. 1e6; all kinds */
#define KD_TERM_LABEL_SMOOTHING 3   /* e; 0 .. 1, 0; cross-entropy */
#define KD_TERM_TEACHER_SHARE 4     /* b; 0 .. 1, .5; JSD */
#define KD_TERM_DKD_ALPHA 5         /* target's part; 0 .. 1e6, 1; DKD */
#define KD_TERM_DKD_BETA 6          /* other classes; 0 .. 1e6, 8; DKD */
#define KD_TERM_HUBER_DELTA 7       /* 1e-6 .. 1e6, 1; Huber */
#define KD_TERM_SKEW 8              /* 0 .. 1, .1; both skewed KL */
#define KD_TERM_AB_ALPHA 9          /* a; -2 .. 2, .2; alpha-beta */
#define KD_TERM_AB_BETA 10          /* b; -2 .. 2, .7; alpha-beta */
#define KD_TERM_HEAD_MASS 11        /* 0 .. 1, .5; adaptive KL */
#define KD_TERM_PROGRESS 12         /* t; 0 .. 1, .4; TAID */
#define KD_TERM_CONFIDENCE_POWER 13 /* gamma; 0 .. 100, 0; kinds with p */
#define KD_TERM_LOG_FLOOR 14        /* -1e6 .. 0, 0; reverse, adaptive KL */
#define KD_TERM_NORMALIZED 15 /* 1: over b (1 - b), 0 is forward, 1 reverse KL; 0 or 1, 0; JSD */
#define KD_TERM_DETACH_MIXTURE 16 /* 1: M is a constant; 0 or 1, 0; skewed reverse KL */

/* KD_ERR_INVALID: the term's kind has no such number; the message lists those it has.
 * KD_ERR_RANGE: out of bounds (the message names them). */
KD_API kd_status kd_loss_set(kd_loss *loss, int32_t term, int32_t number, double value);
KD_API kd_status kd_loss_get(kd_loss *loss, int32_t term, int32_t number, double *value);
/* Bounds and default of a kind's number; each may be NULL. KD_ERR_INVALID: the kind has none. */
KD_API kd_status kd_loss_bounds(int32_t kind, int32_t number, double *low, double *high,
                                double *standard);
/* A term's current options; names live as long as the loss. The caller sets their struct_size. */
KD_API kd_status kd_loss_get_term(kd_loss *loss, int32_t term, int32_t *kind,
                                  kd_term_options *options);

/* Valid rows and sums of their weights per term: what denominators are made of. */
typedef struct kd_loss_counts {
    uint32_t struct_size;
    int32_t terms;
    int64_t rows[KD_LOSS_MAX_TERMS];
    double weights[KD_LOSS_MAX_TERMS];
} kd_loss_counts;

typedef struct kd_loss_result {
    uint32_t struct_size;
    int32_t terms;
    double value;                       /* sum over terms of weight * sum / denominator */
    double sum[KD_LOSS_MAX_TERMS];      /* with T^2 and row weights, without the term's weight */
    int64_t rows[KD_LOSS_MAX_TERMS];    /* rows in the sum */
    int64_t skipped[KD_LOSS_MAX_TERMS]; /* non-finite rows left out (KD_NONFINITE_SKIP) */
    double skipped_share;  /* heads: share of the logit gradient's blocks that were skipped */
    double dw_error_bound; /* bound on the error of the head's gradient (Frobenius norm) */
    double dh_error_bound; /* the same for the gradient of the hidden states */
} kd_loss_result;

/* Counts one batch. The caller sets counts->struct_size and result->struct_size. targets may be
 * NULL if no term needs a teacher. Errors: KD_ERR_NOT_FOUND (field), KD_ERR_SHAPE (rows),
 * KD_ERR_RANGE (label, with its row). */
KD_API kd_status kd_loss_count(kd_loss *loss, kd_batch *batch, kd_targets *targets,
                               kd_loss_counts *counts);
/* counts = counts + more, term by term. */
KD_API kd_status kd_loss_counts_add(kd_loss_counts *counts, const kd_loss_counts *more);

/* Value and gradients on a model after its forward pass, propagated back and accumulated in its
 * parameter gradients. counts NULL: this batch's own. targets may be NULL if no term needs a
 * teacher, and result always. If the call fails, nothing is accumulated. */
KD_API kd_status kd_loss_backward(kd_loss *loss, kd_model *model, kd_batch *batch,
                                  kd_targets *targets, const kd_loss_counts *counts,
                                  kd_loss_result *result);
/* The value only, on a model after a forward pass. */
KD_API kd_status kd_loss_forward(kd_loss *loss, kd_model *model, kd_batch *batch,
                                 kd_targets *targets, const kd_loss_counts *counts,
                                 kd_loss_result *result);

/* The outputs of a host's own student, as arrays. One with as many entries as the batch has samples
 * is an output of samples; should the batch have as many rows, the fields of its terms tell. */
typedef struct kd_loss_output {
    uint32_t struct_size; /* of the first entry: the stride of an array of entries */
    int32_t accumulate;   /* 1: gradients are added to what is there; 0: they overwrite it */
    const char *name;     /* "logits", "hidden.3", ...; NULL: "logits" */
    /* (rows, width), or (samples, width): float32, float16, bfloat16; a row stride is allowed */
    const kd_array *value;
    const kd_array *gradient; /* same shape, float32; may be the memory of value; NULL: none */
    const kd_head *head;      /* not NULL: value and gradient are hidden states (rows, d) */
} kd_loss_output;

/* Bytes that a call takes beyond the caller's arrays, and the rows per pass through the head.
 * Widths are those of hidden states if a side's logits are computed from them, else 0. A head with
 * its own skip_bound, in a loss without one, takes fewer rows than reported. Features: `classes`
 * is the width of a side that no projection tells; the parameters of projections are counted. */
KD_API kd_status kd_loss_estimate_memory(kd_loss *loss, int64_t rows, int64_t classes,
                                         int64_t student_width, int64_t teacher_width,
                                         int64_t *bytes, int64_t *block_rows);

/* The loss alone, on plain arrays: labels, masks and weights are fields of the batch, the teacher's
 * side comes from the targets. If the call fails, the gradients are undefined. */
KD_API kd_status kd_loss_evaluate(kd_loss *loss, const kd_loss_output *outputs, int32_t count,
                                  kd_batch *batch, kd_targets *targets,
                                  const kd_loss_counts *counts, kd_loss_result *result);

/* What the last call saw in one term: means over the rows in the sum, NaN if undefined. */
typedef struct kd_loss_diagnostics {
    uint32_t struct_size;
    int32_t reserved;
    int64_t rows;
    int64_t masked;                /* skipped rows: mask, absent or ignored label, absent teacher */
    int64_t skipped;               /* rows skipped as non-finite */
    int64_t guards;                /* times a numeric guard (log_floor) was hit */
    double teacher_log_likelihood; /* mean log p_y, T = 1, rows with a label: shows an off-by-one */
    double teacher_accuracy;       /* share of these rows whose argmax is the label */
    double agreement; /* share of rows where student and teacher have the same argmax */
    double teacher_entropy, student_entropy; /* means, of p and q at the term's temperature */
    double captured_mass, student_mass;      /* mean masses on stored ids; 1 for dense teachers */
    double head_loss, tail_loss;             /* mean loss on stored ids, and outside */
    int64_t corrected; /* rows whose teacher was corrected or dropped because of the label */
    int64_t borrowed;  /* entries that an ensemble filled from a record's tail */
    double confidence; /* mean of the gate max(p)^gamma; 1 without a gate */
    int64_t sampled;   /* rows examined by the check that is always on: see docs/losses.md */
    double sampled_log_likelihood, sampled_entropy; /* the teacher's means there */
    int32_t suspect, reserved_end;                  /* 1: it warned */
    /* Features, and terms of two sides: feature.h and contrast.h tell each. NaN of other terms. */
    double student_norm, teacher_norm, cosine;
    int64_t degenerate; /* calls of the term that had too few rows for a relation */
    double in_batch_accuracy, positive_rank, scale; /* of two sides */
    double student_pair_cosine, teacher_pair_cosine, explained;
    double student_effective_rank, teacher_effective_rank;
    double alignment, uniformity, modality_gap; /* of two sides */
} kd_loss_diagnostics;
/* They cost a pass over the arrays and are off by default. */
KD_API kd_status kd_loss_set_diagnostics(kd_loss *loss, int32_t on);
KD_API kd_status kd_loss_get_diagnostics(kd_loss *loss, int32_t term,
                                         kd_loss_diagnostics *diagnostics);

/* ULD with classes that both tokenizers share. teacher_of ((student classes) integers, copied) has
 * the teacher's class of each student class, or -1; NULL: plain ULD again. The term is KL over the
 * shared classes and one bucket for all others, plus the sorted differences of the unshared ones.
 * KD_ERR_INVALID: not a ULD term; KD_ERR_RANGE: classes out of bounds or repeated. */
KD_API kd_status kd_loss_set_shared_classes(kd_loss *loss, int32_t term, const kd_array *teacher_of,
                                            int64_t teacher_classes);

#ifdef __cplusplus
}
#endif
#endif
