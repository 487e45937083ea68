/* Named fields over rows or samples: what batches and targets are made of. Buffers are kept by
 * name, so that filling them again allocates nothing. */
#ifndef KD_DATA_FIELDS_H
#define KD_DATA_FIELDS_H

#include <kdistill/data.h>

#include "base/status.h"

/* What a field has one entry for: a row, a sample, or a row of its own, which offsets of its own
 * give to the samples. Where each sample has one row, fields of samples are kept as fields of rows.
 * An output may be one of the batch. */
enum { KD__OF_ROWS, KD__OF_SAMPLES, KD__RAGGED, KD__OF_BATCH };

/* What numbers are cut into, and which rows of its sample a row sees. */
enum { KD__SEES_UNKNOWN, KD__SEES_ALL, KD__SEES_EARLIER };
typedef struct kd__attention_facts {
    int32_t heads; /* 0: not known, or none */
    int32_t sees;  /* KD__SEES_UNKNOWN .. */
} kd__attention_facts;

typedef struct kd__field {
    char name[KD_NAME_BYTES];
    int32_t active;         /* filled since the last begin */
    int32_t unit;           /* KD__OF_ROWS .. */
    kd_array values;        /* contiguous float32 or int64 (or as borrowed) */
    const uint8_t *present; /* of rows, else of samples; NULL: every one */
    char *buffer;
    int64_t room;
    uint8_t *present_buffer;
    int64_t present_room;
    int64_t *offsets; /* (samples + 1) of a ragged field */
    int64_t offsets_room;
    kd__attention_facts attention; /* of a live teacher's output */
} kd__field;

typedef struct kd__fields {
    kd_context *context;
    int64_t rows;
    int64_t samples; /* -1: not known yet */
    int32_t one_row; /* it is known that each sample has one row */
    kd__field *items;
    int64_t count, room;
} kd__fields;

/* How many samples there are is not known afterward. */
void kd__fields_begin(kd__fields *fields, int64_t rows);
/* Each sample turns out to have one row: fields of samples become fields of rows. */
void kd__fields_join(kd__fields *fields);
/* A field's buffer for `rank` dims (dims[0] = rows), made active; content is undefined. */
kd_status kd__fields_open(kd__fields *fields, const char *name, int32_t dtype, int32_t rank,
                          const int64_t *dims, kd__field **out);
/* The same of another unit: dims[0] = samples. */
kd_status kd__fields_open_unit(kd__fields *fields, int32_t unit, const char *name, int32_t dtype,
                               int32_t rank, const int64_t *dims, kd__field **out);
/* Its presence bytes, all 1. */
kd_status kd__fields_open_present(kd__fields *fields, kd__field *field);
/* Copies as float32, or int64 for integers; `what` begins messages. unit: KD__OF_ROWS or
 * KD__OF_SAMPLES. */
kd_status kd__fields_set(kd__fields *fields, int32_t unit, const char *name, const kd_array *values,
                         const kd_array *present, const char *what);
kd_status kd__fields_set_ragged(kd__fields *fields, const char *name, const kd_array *values,
                                const kd_array *offsets, const kd_array *present, const char *what);
/* halves: float16 and bfloat16 may be borrowed too. */
kd_status kd__fields_borrow(kd__fields *fields, int32_t unit, const char *name,
                            const kd_array *values, const kd_array *present, int halves,
                            const char *what);
/* Of any unit; NULL when it is not there. */
/* Of a field that is there; it is forgotten when the field is filled again. */
void kd__fields_set_attention(kd__fields *fields, const char *name, kd__attention_facts facts);
const kd__field *kd__fields_find(const kd__fields *fields, const char *name);
/* One of rows; *out NULL: it is not there. KD_ERR_SHAPE: it is of another unit. */
kd_status kd__fields_find_rows(const kd__fields *fields, const char *name, const char *what,
                               const kd__field **out);
/* Integers that begin at 0 and do not fall: (samples + 1). */
kd_status kd__offsets_check(const int64_t *offsets, int64_t count, const char *what);
/* "per row", "per sample", "ragged". */
const char *kd__unit_name(int32_t unit);
kd_status kd__fields_view(const kd__fields *fields, const char *name, kd_array *values,
                          kd_array *present, const char *what);
void kd__fields_free(kd__fields *fields);

#endif
