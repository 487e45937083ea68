/* Named fields over rows: what batches and targets are made of. Buffers are kept by name, so that filling them again allocates
 * nothing.                                                                                                                     */
#ifndef KD_DATA_FIELDS_H
#define KD_DATA_FIELDS_H

#include <kdistill/data.h>

#include "base/context.h"

typedef struct kd__field {
    char name[KD_MAX_NAME];
    int32_t active;         /* filled since the last begin */
    kd_array values;        /* contiguous float32 or int64 (or as borrowed) */
    const uint8_t *present; /* NULL: every row */
    char *buffer;
    int64_t room;
    uint8_t *present_buffer;
    int64_t present_room;
} kd__field;

typedef struct kd__fields {
    kd_context *context;
    int64_t rows;
    kd__field *items;
    int64_t count, room;
} kd__fields;

void kd__fields_begin(kd__fields *fields, int64_t rows);
/* A field's buffer for `rank` dims (dims[0] = rows), made active; content is undefined. */
kd_status kd__fields_open(kd__fields *fields, const char *name, int32_t dtype, int32_t rank, const int64_t *dims, kd__field **out);
/* Its presence bytes, all 1. */
kd_status kd__fields_open_present(kd__fields *fields, kd__field *field);
/* Copies as float32, or int64 for integers; `what` begins messages. */
kd_status kd__fields_set(kd__fields *fields, const char *name, const kd_array *values, const kd_array *present, const char *what);
/* halves: float16 and bfloat16 may be borrowed too. */
kd_status kd__fields_borrow(kd__fields *fields, const char *name, const kd_array *values, const kd_array *present, int halves, const char *what);
/* NULL when it is not there. */
const kd__field *kd__fields_find(const kd__fields *fields, const char *name);
kd_status kd__fields_view(const kd__fields *fields, const char *name, kd_array *values, kd_array *present, const char *what);
void kd__fields_free(kd__fields *fields);

#endif
