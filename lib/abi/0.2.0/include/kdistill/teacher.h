/* kdistill/teacher.h - what a teacher says about a batch.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_teacher_from_model(&teacher, model, NULL);    or kd_teacher_open(.., path, ..)
 *   2.  kd_targets_create(&targets, context, NULL);
 *   3.  kd_teacher_read(teacher, batch, targets);
 *   4.  kd_loss_backward(loss, student, batch, targets, NULL, &result);
 *
 * A teacher answers for samples with named fields: "logits" (rows, classes), "label" (rows),
 * "hidden.3" (rows, width), "embedding" (samples, width), ... Targets are what a teacher said about
 * one batch. A teacher does not change once made, and threads may share it, each with its own
 * targets; a teacher made from a live model or from callbacks is used by one thread at a time. */
#ifndef KDISTILL_TEACHER_H
#define KDISTILL_TEACHER_H

#include <kdistill/head.h>
#include <kdistill/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_targets kd_targets;

/* Which row's label a row predicts. */
#define KD_ALIGN_SAME 0 /* its own */
/* the next row's of the same sample (language models); a sample's last row has none */
#define KD_ALIGN_NEXT 1

#define KD_LOOKUP_INDEX 0 /* row i of an array is sample number i of the loader's dataset */
#define KD_LOOKUP_KEY 1   /* by the sample's 128-bit key (see kdistill/data.h) */

/* a sample without an answer, or longer than the answering record: KD_ERR_NOT_FOUND */
#define KD_MISSING_ERROR 0
#define KD_MISSING_ABSENT 1 /* its rows have no teacher: terms skip and count them */

typedef struct kd_teacher_options {
    uint32_t struct_size;
    int32_t lookup;  /* arrays: KD_LOOKUP_INDEX or KD_LOOKUP_KEY */
    int32_t missing; /* KD_MISSING_ERROR or KD_MISSING_ABSENT */
    /* 1: arrays and stores answer for augmented views with the sample's own answer */
    int32_t any_view;
    const char *name;   /* shown in messages; NULL: "teacher" */
    int32_t any_tokens; /* 1: a store's record answers for its key, whatever the batch's tokens */
    int32_t reserved;
} kd_teacher_options;
#define KD_TEACHER_OPTIONS_INIT                                                                    \
    {                                                                                              \
        (uint32_t)sizeof(kd_teacher_options), KD_LOOKUP_INDEX, KD_MISSING_ERROR, 0, NULL, 0, 0     \
    }
KD_API void kd_teacher_options_init(kd_teacher_options *options, size_t size);

/* A teacher from arrays: create it, then add fields of (samples, ...). It answers for samples, of
 * one row each or of packed tokens.
 * - keys: (samples, 2) uint64, copied; required with KD_LOOKUP_KEY, else NULL.
 * - "probabilities" (float, each row sums to 1 within 1e-3) become "logits" by their logarithms.
 * - "label" is integer.
 * - Fields are copied, or borrowed: contiguous float32 (labels int64), alive and unchanged while
 *   the teacher lives. */
KD_API kd_status kd_teacher_create(kd_teacher **out, kd_context *context, const kd_array *keys,
                                   const kd_teacher_options *options);
KD_API kd_status kd_teacher_add(kd_teacher *teacher, const char *field, const kd_array *values);
KD_API kd_status kd_teacher_borrow(kd_teacher *teacher, const char *field, const kd_array *values);

/* A live teacher: the model's outputs on the batch itself (augmented as the student sees it). Keeps
 * the model alive. */
KD_API kd_status kd_teacher_from_model(kd_teacher **out, kd_model *model,
                                       const kd_teacher_options *options);

/* log of the weighted mean of softmax(logits): right for forward KL */
#define KD_MEAN_OF_PROBABILITIES 0
#define KD_MEAN_OF_LOGITS 1 /* weighted mean of logits */

typedef struct kd_ensemble_options {
    uint32_t struct_size;
    int32_t mean;          /* KD_MEAN_OF_PROBABILITIES or KD_MEAN_OF_LOGITS */
    const double *weights; /* one per teacher, >= 0, not all 0; NULL: equal */
    /* at which the members' probabilities are taken (> 0); the ensemble's logits are temperature *
     * log(mean), so that a loss at this temperature sees the exact mean */
    double temperature;
    const char *field; /* the members' field, also the ensemble's; NULL: "logits" */
} kd_ensemble_options;
#define KD_ENSEMBLE_OPTIONS_INIT                                                                   \
    {                                                                                              \
        (uint32_t)sizeof(kd_ensemble_options), KD_MEAN_OF_PROBABILITIES, NULL, 1.0, NULL           \
    }
KD_API void kd_ensemble_options_init(kd_ensemble_options *options, size_t size);

/* Several teachers as one: their fields are merged. Keeps them alive. A row that one member lacks
 * is absent. Dense logits give dense logits, also where a member gives hidden states and a head, as
 * language models do: (rows, classes) float32 for each. Sparse members (since 0.2):
 * - A sparse member (top-k) makes the result sparse, even beside dense ones: the union of the ids,
 *   with the tail. An id that a record lacks gets its tail's mass / (V - k), counted as borrowed.
 * - Sampled counts are merged only with sampled counts.
 * - They need the ensemble's temperature, the same number of classes and KD_MEAN_OF_PROBABILITIES.
 *   If not, the read fails: KD_ERR_MISMATCH, KD_ERR_SHAPE, KD_ERR_UNSUPPORTED. */
KD_API kd_status kd_teacher_from_ensemble(kd_teacher **out, kd_context *context,
                                          kd_teacher *const *teachers, int32_t count,
                                          const kd_ensemble_options *options);

/* Teachers of several tasks as one: what the teacher of names[i] calls "logits" is "logits.NAME",
 * and so with every field, so that a term's teacher_field tells whose answer it compares. Teachers
 * of any kind, kept alive; nothing is averaged or copied. A sample that one teacher does not know
 * (KD_MISSING_ABSENT) is absent in that teacher's fields alone. names: (count) without '.', copied;
 * NULL or "" where fields keep their names. KD_ERR_INVALID: a name twice; when read, a field twice.
 * kd_loss_keep_outputs asks each live model for its own outputs. Since 0.2. */
KD_API kd_status kd_teacher_from_tasks(kd_teacher **out, kd_context *context,
                                       kd_teacher *const *teachers, const char *const *names,
                                       int32_t count);

/* A teacher implemented by the host. `read` is called once per batch, with no lock held, and fills
 * `targets` with kd_targets_set or kd_targets_borrow. A negative status fails the read. `destroy`
 * (may be NULL) is called at the end. */
typedef struct kd_teacher_callbacks {
    uint32_t struct_size;
    int32_t reserved;
    void *user;
    kd_status (*read)(void *user, kd_batch *batch, kd_targets *targets);
    void (*destroy)(void *user);
} kd_teacher_callbacks;
KD_API kd_status kd_teacher_from_callbacks(kd_teacher **out, kd_context *context,
                                           const kd_teacher_callbacks *callbacks,
                                           const kd_teacher_options *options);

/* Asks a teacher about every sample of a dataset, in order, and keeps the answers in memory: a new
 * teacher, looked up by key, with the fields of the answers. */
KD_API kd_status kd_teacher_collect(kd_teacher **out, kd_teacher *teacher, kd_dataset *dataset,
                                    int32_t batch_size);
KD_API void kd_teacher_free(kd_teacher *teacher);

/* View (samples, ...) of a field of a teacher made from arrays or by kd_teacher_collect; valid
 * while the teacher lives. */
KD_API kd_status kd_teacher_field(kd_teacher *teacher, const char *field, kd_array *values);

/* ---- targets ---- */

typedef struct kd_targets_options {
    uint32_t struct_size;
    int32_t reserved;
} kd_targets_options;
#define KD_TARGETS_OPTIONS_INIT                                                                    \
    {                                                                                              \
        (uint32_t)sizeof(kd_targets_options), 0                                                    \
    }
KD_API void kd_targets_options_init(kd_targets_options *options, size_t size);

KD_API kd_status kd_targets_create(kd_targets **out, kd_context *context,
                                   const kd_targets_options *options);
KD_API void kd_targets_free(kd_targets *targets);

/* Reads what the teacher says about the batch. Buffers are reused: nothing is allocated after the
 * largest batch. */
KD_API kd_status kd_teacher_read(kd_teacher *teacher, kd_batch *batch, kd_targets *targets);

/* The host's own targets: begin, then set fields of (rows, ...), copied as float32 ("label":
 * int64), or borrowed until the next kd_targets_begin. `present` ((rows) uint8) marks the rows that
 * have a teacher; NULL: all. */
KD_API kd_status kd_targets_begin(kd_targets *targets, int64_t rows);
KD_API kd_status kd_targets_set(kd_targets *targets, const char *field, const kd_array *values,
                                const kd_array *present);
KD_API kd_status kd_targets_borrow(kd_targets *targets, const char *field, const kd_array *values,
                                   const kd_array *present);

/* A field (samples, ...): a text's embedding, its class. The first such field tells how many
 * samples there are, unless a teacher is read; `present` is (samples) uint8. Copied as
 * kd_targets_set does. A batch of one row a sample takes it as if it were of rows. Since 0.2. */
KD_API kd_status kd_targets_set_per_sample(kd_targets *targets, const char *field,
                                           const kd_array *values, const kd_array *present);

/* ---- sparse rows: what a teacher kept of its distribution (since 0.2) ---- */

/* the largest classes, their log-probabilities, and the log of the mass outside */
#define KD_SPARSE_TOPK 0
/* classes drawn from p, and how often: forward KL only, at the temperature of the draws */
#define KD_SPARSE_COUNTS 1

/* Row r has the entries offsets[r] .. offsets[r + 1] - 1; without offsets, ids and values are
 * (rows, k). Checked when set, with the row in the message:
 * - ids are 0 to vocabulary - 1, in any order;
 * - KD_SPARSE_TOPK: no id is repeated; repeated ids of KD_SPARSE_COUNTS are added up;
 * - log-probabilities are at most 0 (1e-4 is tolerated), masses at most 1 (1e-3 is tolerated). */
typedef struct kd_sparse {
    uint32_t struct_size;
    int32_t kind;
    int64_t vocabulary; /* ids are below it; 0: the term's classes decide, not the largest id */
    double temperature; /* of p */
    const kd_array *offsets; /* (rows + 1) integers, or NULL */
    const kd_array *ids;     /* integers */
    const kd_array *values;  /* log-probabilities (floats), or counts (integers or floats) */
    /* (rows) floats: log of the mass outside the ids; NULL: log(1 - their sum) */
    const kd_array *tail;
    /* (n <= 8) floats: further temperatures at which the tail is known; NULL: none */
    const kd_array *temperatures;
    /* (rows, n) floats: log of the mass outside the ids at these; unknown: -infinity at a
     * temperature above the row's own, if its own tail is not -infinity */
    const kd_array *tails;
    const kd_array *entropy; /* (rows) floats: entropy of p, for counts; NULL: unknown */
} kd_sparse;
#define KD_SPARSE_INIT                                                                             \
    {                                                                                              \
        (uint32_t)sizeof(kd_sparse), KD_SPARSE_TOPK, 0, 1.0, NULL, NULL, NULL, NULL, NULL, NULL,   \
            NULL                                                                                   \
    }
KD_API void kd_sparse_init(kd_sparse *sparse, size_t size);

/* Sets a sparse field (terms name it in teacher_field), copied: ids sorted, values as float32. */
KD_API kd_status kd_targets_set_sparse(kd_targets *targets, const char *field,
                                       const kd_sparse *sparse, const kd_array *present);
/* Views of a sparse field: offsets (rows + 1) int64, ids uint32, values float32, tail (rows)
 * float32; any may be NULL. */
KD_API kd_status kd_targets_sparse(kd_targets *targets, const char *field, kd_array *offsets,
                                   kd_array *ids, kd_array *values, kd_array *tail,
                                   kd_array *present);

/* The k largest classes of dense logits (rows, V; float32, float16 or bfloat16) at a temperature,
 * with the exact mass outside, also at `further` temperatures: a sparse field. mass in (0, 1): the
 * fewest ids that reach it, at most k; 0: k ids. */
KD_API kd_status kd_targets_select(kd_targets *targets, const char *field, const kd_array *logits,
                                   int64_t k, double mass, double temperature,
                                   const kd_array *further);
/* Draws `draws` times per row from softmax(logits / temperature), using a counter-based stream of
 * (seed, row): a sparse field of counts, with the entropy. */
KD_API kd_status kd_targets_sample(kd_targets *targets, const char *field, const kd_array *logits,
                                   int64_t draws, double temperature, uint64_t seed);

/* View of a field; data of `present` (may be NULL) is NULL if every row has it. Valid until the
 * targets are filled again. */
KD_API kd_status kd_targets_field(kd_targets *targets, const char *field, kd_array *values,
                                  kd_array *present);

/* ---- logits computed by the loss (since 0.2) ---- */

/* Gives the targets a dense field `name` (usually "logits"): the field `hidden` ((rows, d) float32)
 * times a head, computed by the loss in blocks and never stored. The head's arrays stay alive and
 * unchanged until the targets begin again; the struct itself is copied. */
KD_API kd_status kd_targets_borrow_head(kd_targets *targets, const char *name, const char *hidden,
                                        const kd_head *head);

/* ---- teachers with another tokenizer (since 0.2) ---- */

/* Begins `to` again, with all fields of `from` moved from the rows of teacher_batch to those of
 * batch. Sample s of both is the same text, and both have a field "end".
 * - A row predicts the next token (KD_ALIGN_NEXT). A student's row gets the teacher's row that has
 *   seen the same bytes, if the two next tokens end at the same byte, or if both texts end there.
 * - Fields of samples are unchanged.
 * - Other rows are absent. *aligned (may be NULL): how many rows have a teacher.
 * - A head is borrowed from `from`, which must not change while `to` is used. */
KD_API kd_status kd_targets_align_batch(kd_targets *to, kd_batch *batch, kd_targets *from,
                                        kd_batch *teacher_batch, int64_t *aligned);

#ifdef __cplusplus
}
#endif
#endif
