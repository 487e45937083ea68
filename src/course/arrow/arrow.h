/* Arrow's arrays, in: columns that are checked, then rows as trees of JSON; and out: columns that
 * grow, then arrays and streams. */
#ifndef KD_ARROW_ARROW_H
#define KD_ARROW_ARROW_H

#include <kdistill/arrow.h>

#include "base/object.h"
#include "base/text.h"
#include "course/arrow/interface.h"
#include "formats/json.h"

/* ---- in: what a column is (columns.c) ---- */

enum {
    KD__COLUMN_NULL,
    KD__COLUMN_BOOL,
    KD__COLUMN_SIGNED,
    KD__COLUMN_UNSIGNED,
    KD__COLUMN_FLOAT,
    KD__COLUMN_TEXT,      /* offsets of `width` bytes */
    KD__COLUMN_TEXT_VIEW, /* 16 bytes: a length, and the text or where it is */
    KD__COLUMN_LIST,      /* offsets of `width` bytes */
    KD__COLUMN_LIST_VIEW, /* offsets and sizes of `width` bytes */
    KD__COLUMN_LIST_FIXED,
    KD__COLUMN_STRUCT
};

typedef struct kd__arrow_column {
    int32_t type, width; /* bytes of a number, index or offset */
    int32_t child_count, skipped;
    int64_t list_size; /* of fixed lists */
    char *name;
    struct kd__arrow_column *children;
    struct kd__arrow_column *dictionary; /* not NULL: numbers are indices of these values */
} kd__arrow_column;

/* The columns of a stream's schema; KD_ERR_UNSUPPORTED names what has no place in a record. */
kd_status kd__arrow_columns_read(kd_context *context, kd__arrow_column *column,
                                 const struct ArrowSchema *schema);
void kd__arrow_columns_free(kd_context *context, kd__arrow_column *column);
/* Lengths, offsets and children of an array fit; at least `needed` entries from its offset on. */
kd_status kd__arrow_column_check(const kd__arrow_column *column, const struct ArrowArray *array,
                                 int64_t needed);

/* ---- in: a row as a tree (arrow_rows.c) ---- */

/* What a row's tree lies in: blocks that are kept for the next row. */
typedef struct kd__arrow_room {
    kd_context *context;
    struct kd__arrow_block *first, *now;
    struct kd__arrow_document *documents; /* of columns "extra" */
} kd__arrow_room;

void kd__arrow_room_clear(kd__arrow_room *room);
void kd__arrow_room_free(kd__arrow_room *room);
/* KD_ERR_FORMAT with the reason: the row is no record; its tree is not to be used. */
kd_status kd__arrow_row_read(kd__arrow_room *room, const kd__arrow_column *column,
                             const struct ArrowArray *array, int64_t row, const kd__json **out);

/* ---- out (build.c, export.c) ---- */

typedef struct kd__buffer {
    uint8_t *bytes;
    int64_t size, room;
} kd__buffer;

/* A column that grows; those of a list or struct follow it, each with its own. */
typedef struct kd__built {
    const char *format; /* "U": text, "+L": list, "+s": struct, "b", "i", "l", "I", "L", "f", "g" */
    char name[KD_NAME_BYTES + 8];
    int32_t children;
    int64_t length, nulls;
    kd__buffer valid, offsets, data;
} kd__built;

typedef struct kd__build {
    kd_context *context;
    kd__built *columns; /* the first is the struct of a row */
    int32_t count;
    int64_t bytes; /* of all texts and numbers since the batch began */
} kd__build;

/* Values after the last one of a column. */
kd_status kd__build_null(kd__build *build, int32_t column);
kd_status kd__build_text(kd__build *build, int32_t column, const char *text, int64_t bytes);
kd_status kd__build_number(kd__build *build, int32_t column, const void *number, size_t size);
kd_status kd__build_numbers(kd__build *build, int32_t column, const void *numbers, int64_t count,
                            size_t size);
kd_status kd__build_bool(kd__build *build, int32_t column, int value);
/* An entry of a struct, or a list of what its child has got since the last one. */
kd_status kd__build_entry(kd__build *build, int32_t column);
void kd__build_clear(kd__build *build);
void kd__build_free(kd__build *build);
/* The number of the column after this one and all of its own. */
int32_t kd__build_after(const kd__build *build, int32_t column);

/* Who fills batches. KD_END: there are no more rows. The last call of `free` frees `self`. */
typedef struct kd__source {
    void *self;
    kd_status (*fill)(void *self, kd__build *build);
    void (*free)(void *self);
} kd__source;

/* Takes the source over, also if it fails, and the build. */
kd_status kd__stream_open(kd_arrow_stream *stream, kd_context *context, kd__build *build,
                          const kd__source *source);
/* Key as 32 hexadecimal digits. */
void kd__key_text(char to[33], const uint64_t key[2]);

#define KD__BATCH_ROWS 1024
#define KD__BATCH_BYTES (16 << 20)

#endif
