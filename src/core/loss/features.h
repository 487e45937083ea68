/* Terms of features. Legend: E entries of a block, T rows of each (1, but of images), B = E T; f
 * numbers of a student's row, w of the projected one, t of the teacher's. */
#ifndef KD_LOSS_FEATURES_H
#define KD_LOSS_FEATURES_H

#include "core/loss/loss.h"
#include "nn/ranges.h"

/* softplus(rho) and this are a variance */
#define KD__LEAST_VARIANCE 1e-5

/* A pair of rows: what the formula of a kind sees. */
typedef struct kd__compared {
    const kd__kernels *kernels;
    const kd__term *term;
    const float *s, *t; /* (n) */
    int64_t n;
    float *ds;    /* (n), overwritten; NULL: value only */
    double scale; /* of the gradient */
    /* (n) each: 1 / v; NULL where the kind has none */
    const double *precision;
    double log_variance; /* 1/n sum 1/2 log v */
    /* of maps: (channels, height, width) of both sides, and room for three maps of one channel */
    const int64_t *shape, *teacher_shape;
    double *room;
    double value;
    int32_t state; /* KD__ROW_NONFINITE: no value */
} kd__compared;

void kd__compare_squares(kd__compared *row);
void kd__compare_huber(kd__compared *row);
void kd__compare_cosine(kd__compared *row);
void kd__compare_distance(kd__compared *row);
void kd__compare_variational(kd__compared *row);
void kd__compare_maps(kd__compared *row);

/* Rows of a side, normalized in place; `factor` (count): what the way back needs of each. `state`
 * of a row of zeros that is to have length 1: KD__ROW_NONFINITE. */
typedef struct kd__side_rows {
    int32_t normalize; /* KD_NORMALIZE_NONE ... */
    float *x;          /* (count, width) */
    float *factor;     /* (count) */
    uint8_t *bad;      /* (count): set where there is no length */
    int64_t width;
} kd__side_rows;
void kd__normalize_rows(const kd__rows *rows, const kd__side_rows *side);
/* dx (count, width), in place, through the normalization of x. */
void kd__normalize_back(const kd__rows *rows, const kd__side_rows *side, float *dx);

/* A projection's rows, forward and back. */
typedef struct kd__projected {
    kd_loss *loss;
    const kd__projection *projection;
    float *x;                 /* (B, f); afterwards its gradient */
    float *hidden, *d_hidden; /* (B, 2 f) of an MLP */
    float *z, *dz;            /* (B, w) */
} kd__projected;
kd_status kd__projection_forward(const kd__rows *rows, const kd__projected *p);
/* Gradients of the parameters are added to those of the call. */
kd_status kd__projection_backward(const kd__rows *rows, const kd__projected *p);

/* Looks at rows of both sides before they are normalized, and warns once (collapse.c). */
void kd__watch_collapse(kd_loss *loss, int32_t term, int is_training, int64_t rows,
                        const float *student, int64_t student_width, const float *teacher,
                        int64_t teacher_width);
/* Diagnostics look at so many rows of a side at most, and at least. */
enum { KD__WATCHED_ROWS = 64, KD__WATCHED_LEAST = 8 };
/* Rows of a side, and how they spread (spread.c): NaN of too few. */
typedef struct kd__watched {
    const float *x; /* (rows, width) */
    int64_t rows, width;
} kd__watched;
kd_status kd__effective_rank(kd_loss *loss, int64_t rows, const float *x, int64_t width,
                             double *rank);
kd_status kd__watch_two_sides(kd_loss *loss, int32_t term, const kd__watched side[2]);
/* The same rows as the term compares them (rows, width), for diagnostics. */
void kd__watch_explained(kd_loss *loss, int32_t term, int64_t rows, const float *student,
                         const float *teacher, int64_t width);

/* A term in a call. */
typedef struct kd__feature {
    kd_loss *loss;
    kd_context *context;
    int32_t number; /* of the term */
    const kd__term *term;
    const kd__kind *kind;
    kd__sources *s;
    const kd__student *student;
    int32_t variance;                  /* its tensor's number; -1: none */
    double scale;                      /* of an entry of weight 1 */
    int64_t from, width, given, block; /* f, w, t, B */
    int64_t grid;                      /* T */
    int64_t *entries;                  /* (E): their numbers */
    kd__rows entry_count, count;       /* E, B: of those that are valid */
    kd__projected p;
    kd__side_rows z, t;
    double *precision, log_variance; /* of the variance: (w) */
    float *row_scale;                /* (B) */
    double *shares;                  /* of a relation: (B) */
    float *scratch;                  /* of a relation; of maps, map_room doubles a thread */
    int64_t map_room;
} kd__feature;

/* The block's arrays, in the loss's block of features (feature_memory.c). */
kd_status kd__feature_lay_out(kd__feature *f);
/* Both sides of the rows of entries first .. last - 1, projected and normalized; entries that are
 * not finite are zeros, and of a relation they are left out (feature_sides.c). */
kd_status kd__feature_sides(kd__feature *f, int64_t first, int64_t last);
/* The gradients of the sides that were compared, back to the output and to the parameters. */
kd_status kd__feature_back(kd__feature *f);
/* What a variance makes of its numbers; its gradient (feature_pairs.c). */
void kd__variance_read(kd__feature *f);
void kd__variance_back(kd__feature *f);
/* The kind's formula: values of the rows, gradients of z. */
kd_status kd__feature_compare(kd__feature *f);

/* Does the term take the way of features? */
int kd__is_feature(const kd__term *term);
/* Widths of both sides, cut to `first`: they agree, and what was open is made. */
kd_status kd__feature_widths(kd_loss *loss, int32_t term, int64_t student, int64_t teacher);
/* KD_ERR_SHAPE of two widths that no projection joins. */
kd_status kd__need_projection(const kd__term *term, int64_t student, int64_t teacher);
/* A term over all rows of an output: values, and gradients added to the output's. */
kd_status kd__run_feature(kd_loss *loss, int32_t term, const kd__student *student, double scale);
/* Relations of tokens: heads, widths and what rows see agree; then the values, and gradients added
 * to those of both outputs (feature_tokens.c). */
kd_status kd__tokens_check(const kd_loss *loss, int32_t term, const kd__student *query,
                           const kd__student *key);
kd_status kd__run_tokens(kd_loss *loss, int32_t term, const kd__student *query,
                         const kd__student *key, double scale);
/* Floats of a sample of this many rows, at most. */
int64_t kd__tokens_floats(const kd_loss *loss, int32_t term, int64_t rows, int64_t student,
                          int64_t teacher);
/* Terms of two sides: their fields; whether a row is on neither side; a batch's rows or samples,
 * where no output is known; both sides fit; values, and gradients added to those of both outputs
 * and of the scale, which may be NULL (pair_fields.c, pair_sides.c). */
kd_status kd__pairs_find(const kd__term *term, const kd_batch *batch, const kd_targets *targets,
                         kd__sources *sources);
kd_status kd__pairs_row(const kd__term *term, const kd__sources *sources, int64_t row,
                        int *is_left_out);
int32_t kd__pairs_unit(const kd__term *term, const kd_batch *batch, const kd_targets *targets);
/* Does a teacher rank the candidates (kinds 38, 39)? */
int kd__pairs_rank(const kd__term *term);
kd_status kd__pairs_check(const kd_loss *loss, int32_t term, const kd__student *anchors,
                          const kd__student *candidates,
                          const kd__student *const scalars[KD__PAIR_SCALARS]);
kd_status kd__run_pairs(kd_loss *loss, int32_t term, const kd__student *anchors,
                        const kd__student *candidates,
                        const kd__student *const scalars[KD__PAIR_SCALARS], double factor);
/* Floats of both sides of this many rows. */
int64_t kd__pairs_floats(const kd_loss *loss, int32_t term, int64_t rows, int64_t student,
                         int64_t teacher);
/* `count` numbers from place `at` on, as float32 (feature_sides.c). */
void kd__widen_row(const kd__kernels *kernels, const char *from, int64_t at, int32_t dtype,
                   int64_t count, float *to);
int kd__row_is_finite(const kd__kernels *kernels, const float *x, int64_t n);
/* A field of the targets with floats for each of the sources' rows; `half` 1: 16 bits as well
 * (resolve.c). */
kd_status kd__find_floats(const kd__term *term, const kd_batch *batch, const kd_targets *targets,
                          const kd__sources *sources, const char *name, int half,
                          const kd__field **field);
/* Floats that kd__run_feature takes for this many rows, and its products pack beside. */
int64_t kd__feature_floats(const kd_loss *loss, int32_t term, int64_t rows, int64_t student,
                           int64_t teacher);

#endif
