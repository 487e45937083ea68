/* Sparse rows of targets: entries of all rows behind each other, ids rising within a row. Legend: R rows, N entries. */
#ifndef KD_TEACHER_SPARSE_H
#define KD_TEACHER_SPARSE_H

#include <kdistill/head.h>

#include "base/context.h"
#include "math/kernels.h"

#define KD__MAX_TEMPERATURES 8

typedef struct kd__sparse {
    char name[KD_MAX_NAME];
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
    int64_t offsets_room, ids_room, values_room, tail_room, tails_room, entropy_room, present_room, borrowed_room;
} kd__sparse;

/* A dense field that is hidden states times a head. */
typedef struct kd__virtual {
    char name[KD_MAX_NAME], hidden[KD_MAX_NAME];
    int32_t active;
    kd_head head;
    kd_array weight, bias;
} kd__virtual;

/* Begins a sparse field with R rows and no entries; kd__sparse_row then adds the rows in order. */
kd_status kd__sparse_open(kd_targets *targets, const char *name, int32_t kind, int64_t vocabulary, double temperature, kd__sparse **out);
kd_status kd__sparse_temperatures(kd_targets *targets, kd__sparse *sparse, int32_t count, const double *temperatures);
/* Room for `count` more entries of row `row`; the caller fills ids (rising) and values, then closes the row. */
kd_status kd__sparse_room(kd_targets *targets, kd__sparse *sparse, int64_t row, int64_t count, uint32_t **ids, float **values);
void kd__sparse_close_row(kd__sparse *sparse, int64_t row, int64_t count);
kd_status kd__sparse_open_present(kd_targets *targets, kd__sparse *sparse);

const kd__sparse *kd__sparse_find(const kd_targets *targets, const char *name);
const kd__virtual *kd__virtual_find(const kd_targets *targets, const char *name);
void kd__sparse_free(kd_targets *targets);

/* The k largest of a row of n numbers, in order of their places. Arrays are the caller's: ids, values, e (n), maxima (n + 256). What is left out is
 * below `least`, or one of `equal` numbers that equal it.                                                                        */
typedef struct kd__largest {
    uint32_t *ids;
    float *values, *maxima, *e;
    int64_t count, equal;
    float least;
} kd__largest;
/* The k largest, as often as wanted, once kd__kernels.scan_groups has filled `maxima` and told the largest: fewer where there are not so many above
 * -infinity, the first of equal ones. */
void kd__largest_take(kd__largest *largest, const kd__kernels *kernels, const float *x, int64_t n, int64_t k, float max);
/* Then only the largest of those, as few as hold `mass` of `e`, which the caller filled with their exponentials: returns the sum of those that left,
 * -1 when all of them do not hold it, and all stay.                                                                              */
double kd__largest_of_mass(kd__largest *largest, const kd__kernels *kernels, double mass, float max);

/* Sorts a row by id; returns 0 when an id is there twice (counts: they are added, and *count falls). */
int kd__sparse_sort(uint32_t *ids, float *values, int64_t *count, int add);
/* A head's struct and arrays, checked; classes and width come out. */
kd_status kd__head_read(kd_head *to, const kd_head *from, int64_t *classes, int64_t *width);

#endif
