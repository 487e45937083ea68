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

#include <kdistill/teacher.h>

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

/* T^2 scaling. */
#define KD_T2_DEFAULT 0 /* as the table above says */
#define KD_T2_ON 1
#define KD_T2_OFF 2

/* Which row's label a row predicts. */
#define KD_ALIGN_SAME 0 /* its own                                               */
#define KD_ALIGN_NEXT 1 /* the next row's of the same sample (language models); the last row of a sample has none */

/* A row whose inputs are NaN or +infinity (-infinity is probability 0). */
#define KD_NONFINITE_REFUSE 0 /* KD_ERR_NONFINITE with the row's number; nothing is accumulated */
#define KD_NONFINITE_SKIP 1   /* skipped and counted                                           */

/* What the denominators count. */
#define KD_COUNT_ROWS 0    /* valid rows                 */
#define KD_COUNT_WEIGHTS 1 /* the sum of their weights   */

typedef struct kd_loss_options {
    uint32_t struct_size;
    int32_t reserved;
} kd_loss_options;
#define KD_LOSS_OPTIONS_INIT { (uint32_t)sizeof(kd_loss_options), 0 }
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
} kd_term_options;
#define KD_TERM_OPTIONS_INIT                                                                                                     \
    { (uint32_t)sizeof(kd_term_options), KD_T2_DEFAULT, NULL, NULL, NULL, NULL, NULL, KD_ALIGN_SAME, KD_NONFINITE_REFUSE,        \
      KD_COUNT_ROWS, 0, 1.0, 0.0, 0.5, 1.0, 8.0, 1.0, 0.0, -100 }
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
KD_API kd_status kd_loss_set(kd_loss *loss, int32_t term, int32_t number, double value);
KD_API kd_status kd_loss_get(kd_loss *loss, int32_t term, int32_t number, double *value);
KD_API kd_status kd_loss_bounds(int32_t number, double *low, double *high);
/* The options of a term as they are now; names live as long as the loss. options->struct_size is set by the caller. */
KD_API kd_status kd_loss_term(kd_loss *loss, int32_t term, int32_t *kind, kd_term_options *options);

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
    const kd_array *value;    /* (rows, width) float32, contiguous rows (a row stride is allowed)              */
    const kd_array *gradient; /* the same shape; NULL: not wanted. May be the same memory as value             */
} kd_loss_output;

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
} kd_loss_diagnostics;
/* Diagnostics cost a pass over the arrays: they are computed only after this was switched on (default off). */
KD_API kd_status kd_loss_set_diagnostics(kd_loss *loss, int32_t on);
KD_API kd_status kd_loss_get_diagnostics(kd_loss *loss, int32_t term, kd_loss_diagnostics *diagnostics);

#ifdef __cplusplus
}
#endif
#endif
