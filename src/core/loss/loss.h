/* Insides of losses. Legend: R rows, V classes (n in code); z student logits, v teacher logits, y
 * label. */
#ifndef KD_LOSS_LOSS_H
#define KD_LOSS_LOSS_H

#include <kdistill/loss.h>
#include <math.h>

#include "base/object.h"
#include "core/data/data.h"
#include "core/loss/parameters.h"
#include "math/kernels.h"
#include "core/teacher/sparse.h"
#include "core/teacher/teacher.h"

/* A kind of term: all that the rest of the loss knows of it, in the table of kinds.c. What is left
 * out is 0 or NULL. */
typedef struct kd__row kd__row;
typedef struct kd__term kd__term;
typedef struct kd__problem kd__problem;
struct kd__compared;
struct kd__relation;
typedef struct kd__kind {
    const char *name;
    void (*row)(kd__row *row); /* value and gradient of a row */
    /* of a sparse teacher: the ids, and a bucket of the others */
    double (*divergence)(const kd__problem *p);
    /* Of a sparse teacher, instead of a divergence: k ids, log p of each and of all others. */
    void (*sparse)(kd__row *row, int64_t k, const uint32_t *ids, const double *log_p,
                   double log_tail);
    /* of the targets, where the options name none; NULL: it has no teacher */
    const char *teacher_field;
    int32_t label;       /* one class a row is needed                                       */
    int32_t values;      /* a row of numbers as targets                                     */
    int32_t t2;          /* T^2 by default                                                  */
    int32_t least_width; /* classes                                                         */
    /* element by element: a first call for the value, a second for the gradient of a finite row */
    int32_t twice;
    /* a row takes scratch of doubles */
    int32_t doubles;
    /* sums over the rows of a batch come first */
    int32_t columns;
    /* columns of the teacher's field: KD__AS_STUDENT, KD__OWN_CLASSES, KD__ONE_NUMBER */
    int32_t teacher_width;
    /* the teacher is a distribution over the student's classes: corrections and gates make sense */
    int32_t corrected;
    /* and its likelihood of the text says whether it was made from this batch (likelihood.c) */
    int32_t watched;
    /* sampled counts give an unbiased gradient */
    int32_t counts;
    /* bits 1 << KD_TERM_...: what it reads beside those that every kind has */
    int32_t numbers;
    /* bits 1 << KD_TAIL_...: policies that make sense with a sparse teacher */
    int32_t tails;
    const char *reason; /* why the others do not */
    const char *remedy; /* of an infinite value; NULL: none */
    /* Further conditions of a sparse teacher; NULL: none. */
    kd_status (*check_sparse)(const kd__term *term);
    /* of features (features.c): it is nothing else; value and gradient of a projected row */
    int32_t feature;
    void (*compare)(struct kd__compared *row);
    int32_t variance; /* the loss has a variance of each number */
    int32_t maps;     /* rows are (channels, height, width) */
    /* of all rows together */
    kd_status (*relate)(struct kd__relation *relation);
    /* of the rows of each sample (feature_tokens.c): queries and keys, or one output alone */
    int32_t tokens, keys;
    int32_t squares; /* of differences of scores, instead of a divergence */
    int32_t sided;   /* of two sides (pair_sides.c): KD__SIDED_... */
} kd__kind;
enum {
    KD__NOT_SIDED,
    KD__SIDED_CONTRAST,
    KD__SIDED_SIGMOID,
    KD__SIDED_AFFINITY,
    KD__SIDED_MARGIN,
    KD__SIDED_LIST
};
enum { KD__AS_STUDENT, KD__OWN_CLASSES, KD__ONE_NUMBER };

/* Numbers of one row that diagnostics average. */
enum {
    KD__SEEN_AGREEMENT,
    KD__SEEN_LIKELIHOOD,
    KD__SEEN_HIT,
    KD__SEEN_LABELED,
    KD__SEEN_TEACHER_ENTROPY,
    KD__SEEN_STUDENT_ENTROPY,
    KD__SEEN_MASS,
    KD__SEEN_STUDENT_MASS,
    KD__SEEN_TAIL,
    KD__SEEN_CONFIDENCE,
    KD__SEEN_STUDENT_NORM,
    KD__SEEN_TEACHER_NORM,
    KD__SEEN_COSINE,
    KD__SEEN_RANKED, /* of two sides: 1 if it has a positive; is that first; its place from 1 */
    KD__SEEN_FIRST,
    KD__SEEN_RANK,
    KD__SEEN_POSITIVES, /* of an anchor: how many, and the sum of their squared distances */
    KD__SEEN_APART,
    KD__SEEN_COUNT
};

/* Classes that a teacher with another tokenizer shares with the student: pairs, and those that only
 * one side has. */
typedef struct kd__shared {
    int64_t classes, teacher_classes, pairs, only_student, only_teacher;
    /* (classes), (teacher_classes): the pairs first, then the others */
    uint32_t *student, *teacher;
} kd__shared;

/* What a few rows of the first batches said of the teacher and the labels (likelihood.c). */
#define KD__GLANCES 16
typedef struct kd__glance {
    double likelihood, entropy, top; /* log p of the label, of p, its largest */
    int64_t label;
    int32_t hit, seen;
} kd__glance;
typedef struct kd__watch {
    int64_t batches, rows, hits;
    double likelihood, entropy, top; /* sums */
    int32_t odd;
} kd__watch;

/* What one kind or a few need, and kd_loss_set sets; the switches are 0 or 1. */
typedef struct kd__numbers {
    double label_smoothing, teacher_share, dkd_alpha, dkd_beta, huber_delta, skew, ab_alpha,
        ab_beta;
    double head_mass, progress, confidence_power, log_floor, normalized, detach_mixture;
    double first, normalize, relation_heads, unbiased, teacher_temperature, causal;
    double scale, teacher_scale, bias;
} kd__numbers;

/* What kd_loss_set_pairs says of a term (pair_options.c); "": not named. */
typedef struct kd__pair_names {
    /* the other side: an output, or a field of the targets; the teacher's other side */
    char output[KD_NAME_BYTES], constant[KD_NAME_BYTES], taught[KD_NAME_BYTES];
    char group[KD_NAME_BYTES], side[KD_NAME_BYTES], scalar[2][KD_NAME_BYTES];
} kd__pair_names;
enum { KD__PAIR_SCALE, KD__PAIR_BIAS, KD__PAIR_SCALARS };
typedef struct kd__pairs_of {
    int32_t is_set, directions, is_masked;
    /* 1 + the outputs of the loss's that are the scale's logarithm and the bias; 0: none */
    int32_t scalar[KD__PAIR_SCALARS];
    double last_scale;
    kd__pair_names names;
} kd__pairs_of;

/* Do a student's rows fall onto one line, where the teacher's do not? (collapse.c) And how the rows
 * of both sides spread (spread.c). */
typedef struct kd__collapse {
    int32_t in_a_row, told;
    /* what the last call saw: kd_loss_diagnostics */
    double student, teacher, explained;
    double student_rank, teacher_rank, uniformity, gap;
} kd__collapse;

struct kd__term {
    int32_t kind;
    double weight;
    kd_term_options o; /* names point into `names` */
    kd__numbers numbers;
    char names[5][KD_NAME_BYTES];
    int32_t output; /* of the loss's: what it compares */
    /* of a kind with keys: their outputs' names, at the student and at the teacher */
    char key_output_name[KD_NAME_BYTES], key_field[KD_NAME_BYTES];
    int32_t key_output; /* of the loss's; or `output` */
    kd_loss_diagnostics seen;
    kd__shared shared; /* ULD; student NULL: none */
    kd__watch watch;
    int32_t projection; /* 1 + its number in the loss; 0: none */
    int32_t variance;   /* 1 + its tensor's; 0: none, or no width yet */
    int64_t degenerate; /* calls with too few rows for a relation */
    kd__collapse collapse;
    kd__pairs_of pairs;
};

/* What happened in a row of a term. */
enum { KD__ROW_MASKED, KD__ROW_VALID, KD__ROW_NONFINITE, KD__ROW_RANGE };

/* Where a sparse teacher's tail at the term's temperature comes from, when it is not one of the
 * further ones. */
enum { KD__TAIL_OWN = -1, KD__TAIL_BETWEEN = -2, KD__TAIL_UNIFORM = -3 };

/* Where a term's sides lie for one call. */
/* DIST's sums over the batch (dist.c): of columns (V), then what a row's gradient needs of them in
 * the same places; of rows (R). */
typedef struct kd__dist_side {
    double max, sum; /* of a row's exponentials; sum NaN: not finite */
} kd__dist_side;
typedef struct kd__dist {
    double *q, *p, *qq, *pp, *qp;     /* sums over the rows */
    double *x, *y, *constant, *apart; /* afterwards, over them; apart: 1 - rho */
    struct kd__dist_row {
        kd__dist_side side[2]; /* student, teacher */
    } * rows;
    double share; /* each row's of R / V sum (1 - rho) */
} kd__dist;

typedef struct kd__sources {
    /* (R, width) of teacher_dtype: logits or numbers; NULL: none of this form */
    const char *teacher;
    int32_t teacher_dtype;
    const kd__sparse *sparse;
    const kd__virtual *head; /* logits are this head times `teacher` (R, head width) */
    int32_t tail_index;      /* of a sparse teacher's further temperatures; or KD__TAIL_... */
    const uint8_t *teacher_present;
    const uint8_t *student_present, *other_present; /* of both outputs; NULL: all rows */
    int64_t teacher_width;
    int64_t teacher_shape[3]; /* of maps: channels, height, width; 0: none */
    /* rows inside each sample of the teacher's side, 0: none; and those that are compared one with
     * one, of both sides: 1 where entries are whole */
    int64_t teacher_grid, grid;
    /* of relations of tokens: the teacher's queries and keys, and where the samples lie */
    const kd__field *teacher_query, *teacher_key;
    /* of two sides: a constant, the teacher's, what belongs together, which side a row is of */
    const kd__field *constant, *taught, *group, *side;
    const int64_t *offsets;
    int64_t samples;
    const int64_t *labels; /* (R) classes */
    const uint8_t *label_present;
    int32_t labels_optional; /* rows without one are valid: row_label -1 */
    const float *numbers;    /* (R, width) targets of the label field as floats; or */
    const int64_t *integers;
    const kd__field *mask;
    const float *weights;
    /* 1: of samples, for an output of rows */
    int32_t mask_is_spread, weights_are_spread;
    int64_t *row_label;  /* (R): class of each row, after alignment */
    float *row_weight;   /* (R) */
    int64_t *row_target; /* (R): the row of the label side, after alignment */
    uint8_t *state;      /* (R): KD__ROW_... */
    double *value;       /* (R) */
    int32_t *guards;     /* (R) */
    int32_t *corrected;  /* (R) */
    double *seen;        /* (R, KD__SEEN_COUNT) when diagnostics are on */
    int32_t unit;        /* KD__OF_ROWS; or KD__OF_SAMPLES: R is how many samples there are */
    int64_t rows, classes, width; /* width: of the student output; 0 until it is known */
    int64_t teacher_classes;      /* differs from classes for ULD only */
    int64_t count;
    double weight_sum;
    /* (block rows, teacher classes) of the block at hand, kd__row_step apart */
    float *virtual_logits;
    kd__dist dist;
    /* (R): place + 1 of a row in `glances`, 0: none; NULL: no row is looked at */
    uint8_t *slots;
    kd__glance glances[KD__GLANCES];
} kd__sources;

/* A student output that terms compare, and where the last model has it. */
typedef struct kd__bound_output {
    const char *name;
    uint64_t model; /* its serial; 0: none yet */
    int32_t slot;
} kd__bound_output;

/* Some terms compare two outputs, by a scale and a bias that are others. */
#define KD__MOST_OUTPUTS (4 * KD_LOSS_MAX_TERMS)

struct kd_loss {
    kd__object object;
    int64_t memory_limit;
    double skip_bound;
    kd__term terms[KD_LOSS_MAX_TERMS];
    int32_t count;
    int32_t diagnostics;
    uint64_t left_out; /* terms that a call leaves out, a bit each (loss_chunks.c) */
    kd__bound_output outputs[KD__MOST_OUTPUTS]; /* each once */
    int32_t output_count;
    kd__sources sources[KD_LOSS_MAX_TERMS];
    char *block; /* the sources' arrays */
    int64_t block_room;
    float *scratch;
    int64_t scratch_room;
    float *logits; /* blocks of logits computed from heads */
    int64_t logits_room;
    int64_t *chosen; /* rows that a head is multiplied with (head_rows.c) */
    int64_t chosen_room;
    double *columns;
    int64_t columns_room;
    kd__projection projections[KD_LOSS_MAX_TERMS];
    int32_t projection_count;
    int32_t optimizers; /* that know where the parameters lie */
    kd__parameters parameters;
    float *features; /* sides of feature terms (features.c) */
    int64_t features_room;
    float *pulls; /* gradients of tasks (gradients.c) */
    int64_t pulls_room;
    double *spread; /* of diagnostics (spread.c) */
    int64_t spread_room;
};

/* One row of one term: what its mathematics sees. */
struct kd__row {
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
    float *copy, *apart;    /* and of values that are nearly 0: see close.c */
    /* (n) z - v - constant, where v is rounded; NULL: v is what the teacher said */
    const float *differences;
    double constant;
    double *wide; /* scratch of doubles: 4 arrays of wide_room */
    int64_t wide_room;
    double *seen; /* NULL: no diagnostics */
    int32_t state;
    int32_t guards;
    int32_t corrected;
    double gate; /* confidence, multiplies the value; `scale` has it already */
    double loss; /* without T^2, weights and gate */
};

/* Sets row->loss or a state; writes or adds the gradient only when the loss is finite (or when
 * asked again: `twice`). */
void kd__row_cross_entropy(kd__row *row);
void kd__row_forward_kl(kd__row *row);
void kd__row_reverse_kl(kd__row *row);
void kd__row_jsd(kd__row *row);
void kd__row_logit_mse(kd__row *row);
void kd__row_dkd(kd__row *row);
void kd__row_binary_cross_entropy(kd__row *row);
void kd__row_binary_kl(kd__row *row);
void kd__row_mean_squared_error(kd__row *row);
void kd__row_huber(kd__row *row);
void kd__row_skewed_forward(kd__row *row);
void kd__row_skewed_reverse(kd__row *row);
void kd__row_total_variation(kd__row *row);
void kd__row_acceptance(kd__row *row);
/* Of an accepted share below it gradients are bounded. */
#define KD__LEAST_ACCEPTED 1e-9
void kd__row_alpha_beta(kd__row *row);
void kd__row_adaptive_kl(kd__row *row);
void kd__row_taid(kd__row *row);
void kd__row_standardized(kd__row *row);
void kd__row_dist(kd__row *row);
void kd__row_uld(kd__row *row);
void kd__row_policy_gradient(kd__row *row);

/* ULD of a record's k entries, whose log-probabilities and log of the mass outside are at the
 * term's temperature. ids must lie behind the first three arrays of row->wide. */
void kd__row_uld_sparse(kd__row *row, int64_t k, const uint32_t *ids, const double *log_p,
                        double log_tail);
/* A row whose teacher is sparse: entries of record row->r. */
void kd__row_sparse(kd__row *row);
/* log of the tail of row r at a temperature, as the sum of exp(log p * own temperature /
 * temperature) outside the ids; others: the classes there (src/core/loss/tails.c). */
double kd__tail_between(const kd__sparse *sparse, int64_t r, double temperature, double others);
/* Do the temperatures whose tails are kept reach to this one? */
int kd__tails_reach(const kd__sparse *sparse, double temperature);
/* The first row without a tail at the further temperatures from .. from + count - 1, -1: none. A
 * higher temperature has one wherever the record's own has: -infinity there says that it is not
 * known. */
int64_t kd__tail_unknown(const kd__sparse *sparse, int32_t from, int32_t count);
/* Corrects and gates a dense teacher's row (`copy`: room for its logits). 0: the row is dropped. */
int kd__correct_dense(kd__row *row, float *copy);

/* A divergence of n classes from log-probabilities lp of the teacher and lq of the student, in
 * double: its value, and h = q dL/dq. */
struct kd__problem {
    const kd__numbers *numbers;
    int64_t n, tail; /* tail: the class that is the bucket; -1: none */
    int whole;       /* both sides add up to 1 */
    const double *lp, *lq;
    double *h, *tail_part; /* tail_part (NULL: not wanted): the bucket's part of the value */
    int32_t *guards;
};
double kd__forward_divergence(const kd__problem *p);
double kd__reverse_divergence(const kd__problem *p);
double kd__jensen_divergence(const kd__problem *p);
double kd__skewed_forward_divergence(const kd__problem *p);
double kd__skewed_reverse_divergence(const kd__problem *p);
double kd__variation_divergence(const kd__problem *p);
double kd__acceptance_divergence(const kd__problem *p);
double kd__alpha_beta_divergence(const kd__problem *p);
double kd__adaptive_divergence(const kd__problem *p);
/* That of the term's kind. */
double kd__divergence(const kd__term *term, int64_t n, const double *lp, const double *lq,
                      double *h, int whole, int64_t tail, double *tail_part, int32_t *guards);

/* Maxima of both sides; a row with NaN, +infinity or nothing but -infinity is not finite: 0. */
int kd__scan_sides(kd__row *row, kd__side *z, kd__side *v);
int kd__is_finite(kd__row *row);

/* ---- values of sides that are nearly the same (src/core/loss/close.c) ---- */

/* Below it (before T^2 and weights) a sum of terms of both signs has lost digits that the value
 * needs. */
#define KD__CLOSE 0.15
/* Below it the sums of exponentials are not exact enough for a mixture either. */
#define KD__TINY 1e-6
/* Both sides of a row, v.e and z.e their exponentials; slope is d log(q/p) / d (z - v): 1 / T. */
typedef struct kd__close {
    kd__row *row;
    kd__side z, v;
    double slope, shift;
} kd__close;
double kd__close_forward(kd__close *c); /* KL(p, q); afterwards c->shift is exact */
double kd__close_reverse(kd__close *c); /* KL(q, p) */
/* sum p (t - log(1 + t)), t = share (q/p - 1): KL(p, (1 - share) p + share q); `other` 1: p and q
 * exchanged */
double kd__close_mixed(const kd__close *c, double share, int other);
double kd__close_variation(const kd__close *c);
/* as forward, over all classes but the label */
double kd__close_others(kd__close *c, int64_t label);
kd__close kd__close_of(kd__row *row, const kd__side *z, const kd__side *v);
kd__close kd__close_again(kd__row *row, const kd__side *z, const kd__side *v, double least);
/* KL((p, 1 - p), (q, 1 - q)) with gap = logit q - logit p; other_p = 1 - p */
double kd__close_binary(double p, double other_p, double gap);
/* e^x - 1 - x, and x - log(1 + x) */
double kd__above_exp(double x);
double kd__above_log(double x);

void kd__loss_free_shared(kd_loss *loss);
const kd__kind *kd__kind_of(int32_t kind);
const char *kd__policy_name(int32_t tail); /* KD_TAIL_... */
kd_status kd__kind_check(int32_t kind);    /* is it known? */
double kd__term_t2(const kd__term *term);  /* T^2 where it is on, else 1 */

/* ---- rows or samples (src/core/loss/units.c) ---- */

/* How many of them the batch has. */
int64_t kd__unit_entries(const kd_batch *batch, int32_t unit);
/* Of a term whose output is not known yet, as its teacher's or its label's field says. */
int32_t kd__unit_of_fields(const kd__term *term, const kd_batch *batch, const kd_targets *targets);
/* The field of a term's labels; NULL: it is not there. */
const kd__field *kd__label_field(const kd__term *term, const kd_batch *batch,
                                 const kd_targets *targets);
/* What to do about targets whose rows are not the batch's. */
#define KD__ANOTHER_BATCH                                                                          \
    ": kd_teacher_read fills them for this batch, kd_targets_align_batch from another tokenizer's"
/* A field of the batch or of the targets (`side`: "batch", "targets") has one entry for each of the
 * sources' rows; KD_ERR_SHAPE. */
kd_status kd__unit_check(const kd__term *term, const kd__sources *sources, const kd_batch *batch,
                         const kd__field *field, const char *side);
/* The same of a mask or of weights, where samples' also serve rows: *spread is 1. */
kd_status kd__unit_spread(const kd__term *term, const kd__sources *sources, const kd_batch *batch,
                          const kd__field *field, int32_t *spread);
/* What relates rows, or projects whole samples, does not look inside them; KD_ERR_UNSUPPORTED. */
kd_status kd__grid_check(const kd__term *term, int64_t grid);
/* How many rows of each sample a term compares one with one, from what both sides have inside (0:
 * none): 1 where it takes entries whole. KD_ERR_SHAPE names both sides; KD_ERR_UNSUPPORTED. */
kd_status kd__grid_settle(const kd__term *term, int64_t student, int64_t teacher,
                          int64_t teacher_width, int64_t *grid);

/* What is known of the student's side of a term. */
typedef struct kd__student_side {
    int64_t width, grid; /* rows inside each sample; 0: none */
    int32_t unit;        /* KD__OF_ROWS .. */
    /* which of its entries are there, and of a second output; NULL: all */
    const uint8_t *present, *other_present;
} kd__student_side;

/* Finds every term's fields and decides which rows are valid. sides: of each term's student output,
 * NULL when not known. */
kd_status kd__loss_resolve(kd_loss *loss, kd_batch *batch, kd_targets *targets,
                           const kd__student_side *sides);

/* (channels, height, width) of an array of maps; 0 of others. */
static inline void kd__map_shape(const kd_array *values, int64_t shape[3])
{
    for (int i = 0; i < 3; i++) shape[i] = values->rank == 4 ? values->dims[i + 1] : 0;
}

/* Rows inside samples, (samples, rows, ..); 0: none, or entries that are not samples. */
static inline int64_t kd__grid_of(const kd_array *values, int32_t unit, const kd__fields *fields)
{
    const int of_samples = unit == KD__OF_SAMPLES || (unit == KD__OF_ROWS && fields->one_row);
    return values->rank == 3 && of_samples ? values->dims[1] : 0;
}

/* A student output: rows of `width` numbers, `step` apart; or hidden states with a head. */
typedef struct kd__student {
    const char *name;
    int32_t output;         /* of the loss's; -1: no term compares it */
    int32_t unit;           /* KD__OF_ROWS .. */
    int64_t rows;           /* or samples */
    const uint8_t *present; /* (rows): which of them are there; NULL: all */
    int64_t grid;           /* rows inside each sample; 0: none */
    int32_t is_given;       /* by the host, as an array */
    const char *z;
    int32_t dtype;
    int64_t z_step;
    float *dz;
    int64_t dz_step, width;
    int32_t add, alias; /* alias: dz is z */
    int32_t has_head;
    kd_head head; /* then z, dz are hidden states and width the head's classes */
    int64_t hidden_width;
    int64_t shape[3]; /* of maps: channels, height, width; 0: none */
    kd__attention_facts attention;
} kd__student;

/* The terms of one output over a range of rows (src/core/loss/rows.c). */
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
    const int64_t *chosen; /* rows first .. last - 1 stand for these; NULL: for themselves */
    int32_t by_row;        /* z and dz are those of row 0: chosen rows are where they lie */
    float *scratch;        /* (threads, KD__ROWS_OF_SCRATCH, room), then doubles */
    int64_t room, wide_room, stride;
} kd__pass;

#define KD__ROWS_OF_SCRATCH 8

/* Rows first .. last - 1, in tiles cut by the shape alone. */
void kd__run_rows(kd__pass *work);
/* Scratch of one thread in floats. */
int64_t kd__scratch_of(kd__pass *work);

/* A student with a head, or teachers with one: blocks of rows (src/core/loss/blocks.c). */
kd_status kd__run_blocks(kd__pass *work, kd_loss_result *made);
int kd__needs_blocks(const kd__pass *work);
/* From a row of a block's logits to the next: an odd number of cache lines, so that rows do not
 * meet in a few sets of a cache. */
static inline int64_t kd__row_step(int64_t classes) { return ((classes + 15) / 16 | 1) * 16; }
/* DIST's sums over columns, before the rows, in room of kd__dist_room doubles. */
int64_t kd__dist_room(const kd__sources *sources);
void kd__dist_columns(kd__pass *work, int32_t term, double *room);

/* Values and gradients of all terms on these outputs, after kd__loss_resolve. */
kd_status kd__loss_run(kd_loss *loss, const kd__student *students, int32_t count,
                       const kd_loss_counts *counts, kd_loss_result *result);
/* The model's outputs that terms compare, after a pass; where each sample has one row, a sample's
 * output is a row's. */
kd_status kd__students_of(kd_loss *loss, kd_model *model, kd_batch *batch, kd__student *students);
void kd__student_set_unit(kd__student *student, const kd_batch *batch, int32_t unit);
/* kd__loss_resolve with these; places for the gradients of all of them. */
kd_status kd__students_resolve(kd_loss *loss, const kd__student *students, int32_t count,
                               kd_batch *batch, kd_targets *targets);
kd_status kd__students_gradients(kd_loss *loss, kd_model *model, kd__student *students);
kd_status kd__output_bind(kd__bound_output *output, const kd_model *model);
/* Chooses rows whose teacher is compared with their label; looks at one, before its term changes
 * anything; adds them up, and warns once. */
void kd__watch_begin(const kd__term *term, kd__sources *sources, const kd_batch *batch,
                     uint8_t *slots);
void kd__watch_row(const kd__row *row);
void kd__watch_end(kd_loss *loss);
/* Averages what the rows saw into the terms. */
void kd__loss_diagnose(kd_loss *loss, const kd_loss_result *made);
/* The loss's output of this name; -1: no term compares it. */
int32_t kd__output_named(const kd_loss *loss, const char *name);
/* The same; a new one is the loss's from now on, and so is `name`. */
int32_t kd__output_of(kd_loss *loss, const char *name);
/* 1: it is the scale or the bias of a term, one number for the batch. */
int kd__output_is_scale(const kd_loss *loss, int32_t output);
static inline int kd__term_runs(const kd_loss *loss, int32_t term)
{
    return !(loss->left_out >> term & 1);
}

kd_status kd__term_check(const kd_loss *loss, int32_t term); /* is it there? */
/* Gives a term's own numbers their defaults; checks bounds (src/core/loss/term_numbers.c). */
void kd__numbers_init(kd__term *term);
kd_status kd__number_check(int32_t number, double value);

kd_status kd__loss_save(kd_loss *loss, kd__text *state);
kd_status kd__loss_restore(kd_loss *loss, kd__state_reader *reader, int apply);

/* log(e^a + e^b) */
static inline double kd__log_add(double a, double b)
{
    const double high = a > b ? a : b, low = a > b ? b : a;
    return low == -INFINITY ? high : high + log1p(exp(low - high));
}

static inline float kd__inverse_temperature(const kd__row *row)
{
    return (float)(1 / row->term->o.temperature);
}

#endif
