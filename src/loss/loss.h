/* Insides of losses. Legend: R rows, V classes (n in code); z student logits, v teacher logits, y label. */
#ifndef KD_LOSS_LOSS_H
#define KD_LOSS_LOSS_H

#include <kdistill/loss.h>

#include "data/data.h"
#include "math/kernels.h"
#include "teacher/teacher.h"

/* What a kind of term needs: the table in kinds.c. */
typedef struct kd__kind {
    const char *name;
    int32_t teacher;     /* logits of the teacher          */
    int32_t label;       /* one class a row                */
    int32_t values;      /* a row of numbers as targets    */
    int32_t t2;          /* T^2 by default                 */
    int32_t least_width; /* classes                        */
    int32_t twice;       /* element by element: a first call for the value, a second for the gradient of a finite row */
} kd__kind;

typedef struct kd__term {
    int32_t kind;
    double weight;
    kd_term_options o; /* names point into `names` */
    char names[5][KD_MAX_NAME];
    kd_loss_diagnostics seen;
} kd__term;

/* What happened in a row of a term. */
enum { KD__ROW_MASKED, KD__ROW_VALID, KD__ROW_NONFINITE, KD__ROW_RANGE };

/* Where a term's sides lie for one call. */
typedef struct kd__sources {
    const float *teacher; /* (R, width) logits or numbers; NULL: none */
    const uint8_t *teacher_present;
    int64_t teacher_width;
    const int64_t *labels; /* (R) classes */
    const uint8_t *label_present;
    const float *numbers; /* (R, width) targets of the label field as floats; or */
    const int64_t *integers;
    const kd__field *mask;
    const float *weights;
    int64_t *row_label;           /* (R): class of each row, after alignment */
    float *row_weight;            /* (R) */
    int64_t *row_target;          /* (R): the row of the label side, after alignment */
    uint8_t *state;               /* (R): KD__ROW_... */
    double *value;                /* (R) */
    int32_t *guards;              /* (R) */
    int64_t rows, classes, width; /* width: of the student output; 0 until it is known */
    int64_t count;
    double weight_sum;
} kd__sources;

struct kd_loss {
    kd__object object;
    kd__term terms[KD_LOSS_MAX_TERMS];
    int32_t count;
    int32_t diagnostics;
    kd__sources sources[KD_LOSS_MAX_TERMS];
    char *block; /* the sources' arrays */
    int64_t block_room;
    float *scratch;
    int64_t scratch_room;
};

/* One row of one term: what its mathematics sees. */
typedef struct kd__row {
    const kd__kernels *kernels;
    const kd__term *term;
    const float *z; /* (width) */
    const float *v; /* (n) teacher's logits or numbers */
    const float *numbers;
    const int64_t *integers;
    int64_t n, label;
    double scale; /* multiplies the gradient: weight / denominator, T^2 and the row's weight in */
    float *dz;    /* NULL: value only */
    int32_t add;
    float *ez, *ev; /* scratch (n) */
    int32_t state;
    int32_t guards;
    double loss; /* without T^2 and weights */
} kd__row;

/* Sets row->loss or a state; writes or adds the gradient only when the loss is finite (or when asked again: `twice`). */
typedef void kd__row_function(kd__row *row);
kd__row_function kd__row_cross_entropy, kd__row_forward_kl, kd__row_reverse_kl, kd__row_jsd, kd__row_logit_mse, kd__row_dkd,
    kd__row_binary_cross_entropy, kd__row_binary_kl, kd__row_mean_squared_error, kd__row_huber;

const kd__kind *kd__kind_of(int32_t kind);
kd__row_function *kd__kind_row(int32_t kind);
double kd__term_t2(const kd__term *term); /* T^2 where it is on, else 1 */

/* Finds every term's fields and decides which rows are valid. widths: of each term's student output, NULL when not known. */
kd_status kd__loss_resolve(kd_loss *loss, kd_batch *batch, kd_targets *targets, const int64_t *widths);

/* A student output: rows of `width` floats, `step` apart. */
typedef struct kd__student {
    const char *name;
    const float *z;
    int64_t z_step;
    float *dz;
    int64_t dz_step, width;
    int32_t add, alias; /* alias: dz is z */
} kd__student;

/* Values and gradients of all terms on these outputs, after kd__loss_resolve. */
kd_status kd__loss_run(kd_loss *loss, const kd__student *students, int32_t count, const kd_loss_counts *counts, kd_loss_result *result);
kd_status kd__loss_diagnose(kd_loss *loss, const kd__student *students, int32_t count);
const kd__student *kd__find_student(const kd__student *students, int32_t count, const char *name);

kd_status kd__loss_save(kd_loss *loss, kd__text *state);
kd_status kd__loss_restore(kd_loss *loss, kd__state_reader *reader, int apply);

#endif
