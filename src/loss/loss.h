/* Insides of losses. Legend: R rows, V classes (n in code); z student logits, v teacher logits, y label. */
#ifndef KD_LOSS_LOSS_H
#define KD_LOSS_LOSS_H

#include <kdistill/loss.h>

#include "data/data.h"
#include "math/kernels.h"
#include "teacher/sparse.h"
#include "teacher/teacher.h"

/* What a kind of term needs: the table in loss.c. */
typedef struct kd__kind {
    const char *name;
    int32_t teacher;     /* logits of the teacher          */
    int32_t label;       /* one class a row                */
    int32_t values;      /* a row of numbers as targets    */
    int32_t t2;          /* T^2 by default                 */
    int32_t least_width; /* classes                        */
    int32_t twice;       /* element by element: a first call for the value, a second for the gradient of a finite row */
    int32_t tails;       /* bits 1 << KD_TAIL_...: policies that make sense with a sparse teacher */
    const char *reason;  /* why the others do not */
} kd__kind;

/* Numbers of one row that diagnostics average. */
enum {
    KD__SEEN_AGREEMENT,
    KD__SEEN_LIKELIHOOD,
    KD__SEEN_HIT,
    KD__SEEN_LABELLED,
    KD__SEEN_TEACHER_ENTROPY,
    KD__SEEN_STUDENT_ENTROPY,
    KD__SEEN_MASS,
    KD__SEEN_STUDENT_MASS,
    KD__SEEN_TAIL,
    KD__SEEN_CONFIDENCE,
    KD__SEEN_COUNT
};

/* Classes that a teacher with another tokenizer shares with the student: pairs, and those that only one side has. */
typedef struct kd__shared {
    int64_t classes, teacher_classes, pairs, only_student, only_teacher;
    uint32_t *student, *teacher; /* (classes), (teacher_classes): the pairs first, then the others */
} kd__shared;

typedef struct kd__term {
    int32_t kind;
    double weight;
    kd_term_options o; /* names point into `names` */
    char names[5][KD_MAX_NAME];
    kd_loss_diagnostics seen;
    kd__shared shared; /* ULD; student NULL: none */
} kd__term;

/* What happened in a row of a term. */
enum { KD__ROW_MASKED, KD__ROW_VALID, KD__ROW_NONFINITE, KD__ROW_RANGE };

/* Where a term's sides lie for one call. */
typedef struct kd__sources {
    const char *teacher; /* (R, width) of teacher_dtype: logits or numbers; NULL: none of this form */
    int32_t teacher_dtype;
    const kd__sparse *sparse;
    const kd__virtual *head; /* logits are this head times `teacher` (R, head width) */
    int32_t tail_index;      /* of a sparse teacher's further temperatures; -1: its own, -2: none */
    const uint8_t *teacher_present;
    int64_t teacher_width;
    const int64_t *labels; /* (R) classes */
    const uint8_t *label_present;
    int32_t labels_optional; /* rows without one are valid: row_label -1 */
    const float *numbers;    /* (R, width) targets of the label field as floats; or */
    const int64_t *integers;
    const kd__field *mask;
    const float *weights;
    int64_t *row_label;           /* (R): class of each row, after alignment */
    float *row_weight;            /* (R) */
    int64_t *row_target;          /* (R): the row of the label side, after alignment */
    uint8_t *state;               /* (R): KD__ROW_... */
    double *value;                /* (R) */
    int32_t *guards;              /* (R) */
    int32_t *corrected;           /* (R) */
    double *seen;                 /* (R, KD__SEEN_COUNT) when diagnostics are on */
    int64_t rows, classes, width; /* width: of the student output; 0 until it is known */
    int64_t teacher_classes;      /* differs from classes for ULD only */
    int64_t count;
    double weight_sum;
    float *virtual_logits; /* (block rows, teacher classes) of the block at hand, kd__row_step apart */
    double *columns;       /* DIST's sums over columns */
} kd__sources;

struct kd_loss {
    kd__object object;
    int64_t memory_limit;
    double skip_bound;
    kd__term terms[KD_LOSS_MAX_TERMS];
    int32_t count;
    int32_t diagnostics;
    kd__sources sources[KD_LOSS_MAX_TERMS];
    char *block; /* the sources' arrays */
    int64_t block_room;
    float *scratch;
    int64_t scratch_room;
    float *logits; /* blocks of logits computed from heads */
    int64_t logits_room;
    double *columns;
    int64_t columns_room;
};

/* One row of one term: what its mathematics sees. */
typedef struct kd__row {
    const kd__kernels *kernels;
    const kd__term *term;
    const kd__sources *sources;
    const float *z; /* (n) */
    const float *v; /* (n) teacher's logits or numbers; (vn) for ULD */
    const float *numbers;
    const int64_t *integers;
    int64_t n, vn, label, r;
    double scale; /* multiplies the gradient: weight / denominator, T^2 and the row's weight in */
    float *dz;    /* NULL: value only */
    int32_t add;
    float *ez, *ev, *spare; /* scratch (room each) */
    double *wide;           /* scratch of doubles: 4 arrays of wide_room */
    int64_t wide_room;
    double *seen; /* NULL: no diagnostics */
    int32_t state;
    int32_t guards;
    int32_t corrected;
    double gate; /* confidence, multiplies the value; `scale` has it already */
    double loss; /* without T^2, weights and gate */
} kd__row;

/* Sets row->loss or a state; writes or adds the gradient only when the loss is finite (or when asked again: `twice`). */
typedef void kd__row_function(kd__row *row);
kd__row_function kd__row_cross_entropy, kd__row_forward_kl, kd__row_reverse_kl, kd__row_jsd, kd__row_logit_mse, kd__row_dkd,
    kd__row_binary_cross_entropy, kd__row_binary_kl, kd__row_mean_squared_error, kd__row_huber, kd__row_skewed, kd__row_total_variation,
    kd__row_alpha_beta, kd__row_adaptive_kl, kd__row_taid, kd__row_standardised, kd__row_dist, kd__row_uld, kd__row_policy_gradient;

/* A row whose teacher is sparse: entries of record row->r. */
void kd__row_sparse(kd__row *row);
/* Corrects and gates a dense teacher's row (`copy`: room for its logits). 0: the row is dropped. */
int kd__correct_dense(kd__row *row, float *copy);

/* Divergence of n classes from log-probabilities, in double: returns the value, writes h = q dL/dq. `tail`: the class that is a bucket,
 * -1: none; *tail_part (may be NULL) is its share of the value. */
double kd__divergence(const kd__term *term, int64_t n, const double *lp, const double *lq, double *h, int64_t tail, double *tail_part,
                      int32_t *guards);

/* Maxima of both sides; a row with NaN, +infinity or nothing but -infinity is not finite: 0. */
int kd__scan_sides(kd__row *row, kd__side *z, kd__side *v);
int kd__is_finite(kd__row *row);

void kd__loss_free_shared(kd_loss *loss);
const kd__kind *kd__kind_of(int32_t kind);
kd__row_function *kd__kind_row(int32_t kind);
double kd__term_t2(const kd__term *term); /* T^2 where it is on, else 1 */
/* Doubles that a row of a dense teacher needs in `wide` a class; 0 for most. */
int kd__needs_wide(int32_t kind);

/* Finds every term's fields and decides which rows are valid. widths: of each term's student output, NULL when not known. */
kd_status kd__loss_resolve(kd_loss *loss, kd_batch *batch, kd_targets *targets, const int64_t *widths);

/* A student output: rows of `width` numbers, `step` apart; or hidden states with a head. */
typedef struct kd__student {
    const char *name;
    const char *z;
    int32_t dtype;
    int64_t z_step;
    float *dz;
    int64_t dz_step, width;
    int32_t add, alias; /* alias: dz is z */
    int32_t has_head;
    kd_head head; /* then z, dz are hidden states and width the head's classes */
    int64_t hidden_width;
} kd__student;

/* The terms of one output over a range of rows (src/loss/rows.c). */
typedef struct kd__pass {
    kd_loss *loss;
    const kd__student *student;
    int32_t terms[KD_LOSS_MAX_TERMS], count; /* the terms on this output */
    double scales[KD_LOSS_MAX_TERMS];        /* weight / denominator, by term */
    const char *z;                           /* of row `first` */
    float *dz;
    int64_t z_step, dz_step;
    int32_t z_dtype, add, alias;
    int64_t first, last, tile;
    float *scratch; /* (threads, KD__ROWS_OF_SCRATCH, room), then doubles */
    int64_t room, wide_room, stride;
} kd__pass;

#define KD__ROWS_OF_SCRATCH 6

/* Rows first .. last - 1, in tiles cut by the shape alone. */
void kd__run_rows(kd__pass *work);
/* Scratch of one thread in floats. */
int64_t kd__scratch_of(kd__pass *work);

/* A student with a head, or teachers with one: blocks of rows (src/loss/blocks.c). */
kd_status kd__run_blocks(kd__pass *work, kd_loss_result *made);
int kd__needs_blocks(const kd__pass *work);
/* From a row of a block's logits to the next: an odd number of cache lines, so that rows do not meet in a few sets of a cache. */
static inline int64_t kd__row_step(int64_t classes) { return ((classes + 15) / 16 | 1) * 16; }
/* DIST's sums over columns, before the rows. */
kd_status kd__dist_columns(kd__pass *work, int32_t term);

/* Values and gradients of all terms on these outputs, after kd__loss_resolve. */
kd_status kd__loss_run(kd_loss *loss, const kd__student *students, int32_t count, const kd_loss_counts *counts, kd_loss_result *result);
/* Averages what the rows saw into the terms. */
void kd__loss_diagnose(kd_loss *loss, const kd_loss_result *made);
const kd__student *kd__find_student(const kd__student *students, int32_t count, const char *name);

kd_status kd__loss_save(kd_loss *loss, kd__text *state);
kd_status kd__loss_restore(kd_loss *loss, kd__state_reader *reader, int apply);

#endif
