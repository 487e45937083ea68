/* kdistill/teacher.h - what a teacher says.   SPDX-License-Identifier: Apache-2.0
 *
 * A teacher answers for samples with named fields: "logits" (rows, classes), "label" (rows), "hidden.3" (rows, width), ...
 * Targets are what a teacher said about one batch. A teacher is read-only once made and may be shared by threads, each with
 * its own targets; a teacher made from a live model or from callbacks is used by one thread at a time.                     */
#ifndef KDISTILL_TEACHER_H
#define KDISTILL_TEACHER_H

#include <kdistill/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_targets kd_targets;

/* Which row's label a row predicts. */
#define KD_ALIGN_SAME 0 /* its own                                               */
#define KD_ALIGN_NEXT 1 /* the next row's of the same sample (language models); the last row of a sample has none */

#define KD_BY_INDEX 0 /* row i of an array is sample number i of the loader's dataset */
#define KD_BY_KEY 1   /* by the sample's 128-bit key                                  */

#define KD_MISSING_ERROR 0  /* a sample without an answer ends the read with KD_ERR_NOT_FOUND */
#define KD_MISSING_ABSENT 1 /* its rows have no teacher: terms skip and count them            */

typedef struct kd_teacher_options {
    uint32_t struct_size;
    int32_t lookup;         /* arrays: KD_BY_INDEX or KD_BY_KEY                                            */
    int32_t missing;        /* KD_MISSING_ERROR or KD_MISSING_ABSENT                                       */
    int32_t any_view;       /* 1: arrays and stores answer for augmented views with what they have for the sample */
    const char *name;       /* shown in messages; NULL: "teacher"                                          */
} kd_teacher_options;
#define KD_TEACHER_OPTIONS_INIT { (uint32_t)sizeof(kd_teacher_options), KD_BY_INDEX, KD_MISSING_ERROR, 0, NULL }
KD_API void kd_teacher_options_init(kd_teacher_options *options, size_t size);

/* A teacher from arrays: create, then add fields of (samples, ...). keys ((samples, 2) uint64, copied) are needed with
 * KD_BY_KEY, else NULL. "probabilities" (float, each row sums to 1 within 1e-3) is kept as "logits", the logarithms, and
 * "label" is integer. Copied, or borrowed: contiguous float32 (labels int64), alive and unchanged while the teacher is.  */
KD_API kd_status kd_teacher_create(kd_teacher **out, kd_context *context, const kd_array *keys, const kd_teacher_options *options);
KD_API kd_status kd_teacher_add(kd_teacher *teacher, const char *field, const kd_array *values);
KD_API kd_status kd_teacher_borrow(kd_teacher *teacher, const char *field, const kd_array *values);

/* A live teacher: the model's outputs on the batch itself (augmented as the student sees it). Keeps the model alive. */
KD_API kd_status kd_teacher_from_model(kd_teacher **out, kd_model *model, const kd_teacher_options *options);

#define KD_MEAN_OF_PROBABILITIES 0 /* log of the weighted mean of softmax(logits): right for forward KL */
#define KD_MEAN_OF_LOGITS 1        /* weighted mean of logits                                           */

typedef struct kd_ensemble_options {
    uint32_t struct_size;
    int32_t mean;          /* KD_MEAN_OF_PROBABILITIES or KD_MEAN_OF_LOGITS                 */
    const double *weights; /* one a teacher, >= 0, not all 0; NULL: equal                   */
    double temperature;    /* the members' probabilities are taken at it (> 0); the ensemble's
                              logits are then temperature * log(mean), so that a loss at this
                              temperature sees the mean exactly                                */
    const char *field;     /* the members' field, also the ensemble's; NULL: "logits"          */
} kd_ensemble_options;
#define KD_ENSEMBLE_OPTIONS_INIT { (uint32_t)sizeof(kd_ensemble_options), KD_MEAN_OF_PROBABILITIES, NULL, 1.0, NULL }
KD_API void kd_ensemble_options_init(kd_ensemble_options *options, size_t size);

/* Several teachers as one: their fields merged; keeps them alive. A row that one member lacks is absent. Dense logits give dense
 * logits. Where a member's field is sparse (top-k; dense members may stand beside) the result is sparse: the union of the ids
 * with the tail carried, and an id that a record lacks gets its tail's mass / (V - k), counted as borrowed in the diagnostics.
 * Sampled counts are merged with sampled counts. Sparse members need the ensemble's temperature, the same number of classes and
 * KD_MEAN_OF_PROBABILITIES: KD_ERR_MISMATCH, KD_ERR_SHAPE, KD_ERR_UNSUPPORTED otherwise, when the teacher is read.             */
KD_API kd_status kd_teacher_from_ensemble(kd_teacher **out, kd_context *context, kd_teacher *const *teachers, int32_t count,
                                          const kd_ensemble_options *options);

/* A teacher that the host answers for. `read` is called once a batch, without any lock held, and fills `targets` with
 * kd_targets_set or kd_targets_borrow. A negative status fails the read. `destroy` (may be NULL) is called at the end.   */
typedef struct kd_teacher_callbacks {
    uint32_t struct_size;
    int32_t reserved;
    void *user;
    kd_status (*read)(void *user, kd_batch *batch, kd_targets *targets);
    void (*destroy)(void *user);
} kd_teacher_callbacks;
KD_API kd_status kd_teacher_from_callbacks(kd_teacher **out, kd_context *context, const kd_teacher_callbacks *callbacks,
                                           const kd_teacher_options *options);

/* Asks a teacher about every sample of a dataset, in order, and keeps the answers in memory: a new teacher, looked up by
 * key, with the fields that the answers had.                                                                              */
KD_API kd_status kd_teacher_collect(kd_teacher **out, kd_teacher *teacher, kd_dataset *dataset, int32_t batch_size);
KD_API void kd_teacher_free(kd_teacher *teacher);

/* View (samples, ...) of a field of a teacher made from arrays or by kd_teacher_collect; valid while the teacher is. */
KD_API kd_status kd_teacher_field(kd_teacher *teacher, const char *field, kd_array *values);

/* ---- targets ---- */

typedef struct kd_targets_options {
    uint32_t struct_size;
    int32_t reserved;
} kd_targets_options;
#define KD_TARGETS_OPTIONS_INIT { (uint32_t)sizeof(kd_targets_options), 0 }
KD_API void kd_targets_options_init(kd_targets_options *options, size_t size);

KD_API kd_status kd_targets_create(kd_targets **out, kd_context *context, const kd_targets_options *options);
KD_API void kd_targets_free(kd_targets *targets);

/* Reads what the teacher says about the batch. Buffers are reused: no allocation after the largest batch. */
KD_API kd_status kd_teacher_read(kd_teacher *teacher, kd_batch *batch, kd_targets *targets);

/* The host's own targets: begin, then set fields of (rows, ...): copied as float32 ("label": int64), or borrowed until the
 * targets begin anew. `present` ((rows) uint8) says which rows have a teacher; NULL: all.                              */
KD_API kd_status kd_targets_begin(kd_targets *targets, int64_t rows);
KD_API kd_status kd_targets_set(kd_targets *targets, const char *field, const kd_array *values, const kd_array *present);
KD_API kd_status kd_targets_borrow(kd_targets *targets, const char *field, const kd_array *values, const kd_array *present);

/* ---- sparse rows: what a teacher kept of its distribution ---- */

#define KD_SPARSE_TOPK 0   /* the largest classes and their log-probabilities, and the log of the mass outside */
#define KD_SPARSE_COUNTS 1 /* classes drawn from p, and how often: forward KL only, at the temperature of the draws */

/* Row r has the entries offsets[r] .. offsets[r + 1] - 1; without offsets ids and values are (rows, k). Checked when set, with
 * the row in the message: ids rise from 0 to vocabulary - 1 and are not doubled (KD_SPARSE_TOPK; in any order), log-probabilities
 * are not above 0 (1e-4 is allowed), masses not above 1 (1e-3 is allowed). Doubled ids of KD_SPARSE_COUNTS are added.     */
typedef struct kd_sparse {
    uint32_t struct_size;
    int32_t kind;
    int64_t vocabulary;           /* ids lie below it; 0: the largest id decides nothing, the term's classes do       */
    double temperature;           /* that p was taken at                                                             */
    const kd_array *offsets;      /* (rows + 1) integers, or NULL                                                    */
    const kd_array *ids;          /* integers                                                                        */
    const kd_array *values;       /* log-probabilities (floats), or counts (integers or floats)                      */
    const kd_array *tail;         /* (rows) floats: log of the mass outside the ids; NULL: log(1 - their sum)        */
    const kd_array *temperatures; /* (n <= 8) floats: further temperatures at which the tail is known; NULL: none      */
    const kd_array *tails;        /* (rows, n) floats: log of the mass outside the ids at these                      */
    const kd_array *entropy;      /* (rows) floats: entropy of p, for counts; NULL: unknown                           */
} kd_sparse;
#define KD_SPARSE_INIT { (uint32_t)sizeof(kd_sparse), KD_SPARSE_TOPK, 0, 1.0, NULL, NULL, NULL, NULL, NULL, NULL, NULL }
KD_API void kd_sparse_init(kd_sparse *sparse, size_t size);

/* Sets a sparse field (terms name it in teacher_field), copied: ids sorted, values as float32. */
KD_API kd_status kd_targets_set_sparse(kd_targets *targets, const char *field, const kd_sparse *sparse, const kd_array *present);
/* Views of a sparse field: offsets (rows + 1) int64, ids uint32, values float32, tail (rows) float32; any may be NULL. */
KD_API kd_status kd_targets_sparse(kd_targets *targets, const char *field, kd_array *offsets, kd_array *ids, kd_array *values,
                                   kd_array *tail, kd_array *present);

/* The k largest classes of dense logits (rows, V; float32, float16 or bfloat16) at a temperature, with the exact mass outside,
 * also at `further` temperatures: a sparse field. mass in (0, 1): the fewest ids that reach it, at most k; 0: k ids.      */
KD_API kd_status kd_targets_select(kd_targets *targets, const char *field, const kd_array *logits, int64_t k, double mass,
                                   double temperature, const kd_array *further);
/* `draws` draws a row from softmax(logits / temperature), a counter-based stream of (seed, row): a sparse field of counts,
 * with the entropy.                                                                                                         */
KD_API kd_status kd_targets_sample(kd_targets *targets, const char *field, const kd_array *logits, int64_t draws, double temperature,
                                   uint64_t seed);

/* View of a field; data of `present` (may be NULL) is NULL when every row has it. Valid until the targets are filled again. */
KD_API kd_status kd_targets_field(kd_targets *targets, const char *field, kd_array *values, kd_array *present);

#ifdef __cplusplus
}
#endif
#endif
