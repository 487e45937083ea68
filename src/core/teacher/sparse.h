/* Sparse rows of targets: entries of all rows behind each other, ids rising within a row. Legend: R
 * rows, N entries. */
#ifndef KD_TEACHER_SPARSE_H
#define KD_TEACHER_SPARSE_H

#include <kdistill/teacher.h>

#include "math/kernels.h"

#define KD__MAX_TEMPERATURES 8

typedef struct kd__sparse {
    char name[KD_NAME_BYTES];
    int32_t active, kind;
    int64_t vocabulary;
    double temperature;
    int64_t rows, entries, most; /* most: of one row */
    int64_t *offsets;            /* (R + 1) */
    uint32_t *ids;               /* (N) */
    float *values;               /* (N): log-probabilities or counts */
    float *tail;                 /* (R): log of the mass outside; top-k */
    int32_t temperature_count;
    double temperatures[KD__MAX_TEMPERATURES];
    float *tails;   /* (R, temperature_count) */
    float *entropy; /* (R); counts */
    int32_t has_entropy;
    const uint8_t *present; /* NULL: every row */
    uint8_t *present_buffer;
    int32_t *borrowed; /* (R): entries that an ensemble filled from a tail; NULL: none */
    int32_t is_view;   /* 1: the arrays are those of other targets */
    int64_t offsets_room, ids_room, values_room, tail_room, tails_room, entropy_room, present_room,
        borrowed_room;
} kd__sparse;

/* A dense field that is hidden states times a head. */
typedef struct kd__virtual {
    char name[KD_NAME_BYTES], hidden[KD_NAME_BYTES];
    int32_t active;
    kd_head head;
    kd_array weight, bias;
} kd__virtual;

/* Begins a sparse field with R rows and no entries; kd__sparse_row then adds the rows in order. */
kd_status kd__sparse_open(kd_targets *targets, const char *name, int32_t kind, int64_t vocabulary,
                          double temperature, kd__sparse **out);
kd_status kd__sparse_temperatures(kd_targets *targets, kd__sparse *sparse, int32_t count,
                                  const double *temperatures);
/* Room for `count` more entries of row `row`; the caller fills ids (rising) and values, then closes
 * the row. */
kd_status kd__sparse_room(kd_targets *targets, kd__sparse *sparse, int64_t row, int64_t count,
                          uint32_t **ids, float **values);
void kd__sparse_close_row(kd__sparse *sparse, int64_t row, int64_t count);
/* Another name for other targets' sparse field, until it is filled again. */
kd_status kd__sparse_borrow(kd_targets *targets, const char *name, const kd__sparse *from);
kd_status kd__sparse_open_present(kd_targets *targets, kd__sparse *sparse);

const kd__sparse *kd__sparse_find(const kd_targets *targets, const char *name);
const kd__virtual *kd__virtual_find(const kd_targets *targets, const char *name);
void kd__sparse_free(kd_targets *targets);

/* The k largest of a row of n numbers, in order of their places. Arrays are the caller's: ids,
 * values, e (n), maxima (n + 256). What is left out is below `least`, or one of `equal` numbers
 * that equal it. */
typedef struct kd__largest {
    uint32_t *ids;
    float *values, *maxima, *e;
    int64_t count, equal;
    float least;
} kd__largest;
/* The k largest, as often as wanted, once kd__kernels.scan_groups has filled `maxima` and told the
 * largest: fewer where there are not so many above -infinity, the first of equal ones. */
void kd__largest_take(kd__largest *largest, const kd__kernels *kernels, const float *x, int64_t n,
                      int64_t k, float max);
/* Then only the largest of those, as few as hold `mass` of `e`, which the caller filled with their
 * exponentials: returns the sum of those that left, -1 when all of them do not hold it, and all
 * stay. */
double kd__largest_of_mass(kd__largest *largest, const kd__kernels *kernels, double mass,
                           float max);

/* Sorts a row by id; returns 0 when an id is there twice (counts: they are added, and *count
 * falls). */
int kd__sparse_sort(uint32_t *ids, float *values, int64_t *count, int add);
/* A head's struct and arrays, checked; classes and width come out. */
kd_status kd__head_read(kd_head *to, const kd_head *from, int64_t *classes, int64_t *width);
/* x (rows, V) = cap(scale (h W^T + b)), rows x_step apart. */
kd_status kd__head_logits(kd_context *context, const kd_head *head, const float *h, int64_t h_step,
                          int64_t rows, float *x, int64_t x_step);
/* Classes of one product of a head, KD__HEAD_CHUNK or all: few rows pack nothing of it. */
#define KD__HEAD_CHUNK 2048
int64_t kd__head_chunk(const kd_context *context, int64_t rows, int64_t classes);

/* Rows of logits to choose from: an array's, or hidden states' with a head, which go through it a
 * block of rows at a time. */
typedef struct kd__logits {
    const char *data;
    int32_t dtype;
    /* bytes from row to row; the classes that count, the first ones of a row or head */
    int64_t step, classes;
    const kd_head *head; /* NULL: none */
} kd__logits;
/* The targets' dense field of rows or head of that name, all its classes; 0: there is neither.
 * *present is its own. */
int kd__logits_find(const kd_targets *targets, const char *name, kd__logits *logits,
                    const uint8_t **present);
/* Makes the logits of a head of that name a dense field of the targets as well; without such a head
 * nothing happens. */
kd_status kd__logits_open(kd_targets *targets, const char *name);
/* Rows of a head's logits that are held at once. */
int64_t kd__logits_block(const kd__logits *logits);
/* Rows first .. first + count - 1 of a head's logits: x (count, classes). */
kd_status kd__logits_compute(kd_context *context, const kd__logits *logits, int64_t first,
                             int64_t count, float *x);
/* kd_targets_select and kd_targets_sample of such rows. */
kd_status kd__targets_select(kd_targets *targets, const char *field, const kd__logits *logits,
                             int64_t k, double mass, double temperature, int32_t count,
                             const double *further);
kd_status kd__targets_sample(kd_targets *targets, const char *field, const kd__logits *logits,
                             int64_t draws, double temperature, uint64_t seed);

#endif
