/* Records: their JSON shapes, copies and files. */
#ifndef KD_RECORD_RECORD_H
#define KD_RECORD_RECORD_H

#include <kdistill/record.h>

#include "formats/json.h"
#include "base/arena.h"
#include "base/text.h"
#include "language/text/unicode.h"

#define KD__MOST_USED 128
#define KD__MOST_NAMED 16

/* A line that was parsed, and which of its answers is next. */
typedef struct kd__shape {
    /* of what all its records share, or (while one answer is read) of that answer's record */
    kd__arena arena;
    /* the other of the two */
    kd__arena shared;
    kd__json_document document;
    const kd_record_options *options;
    /* list of completions or choices; NULL: the record has one answer at most */
    const kd__json *answers;
    /* of them */
    const kd__json *next;
    const kd__json *used[KD__MOST_USED]; /* members of the line's object that were read */
    int32_t used_count;
    int32_t sample;
    kd_record record; /* what all answers share */
    /* the last assistant's turn that was read, its reasoning in tags before it */
    const char *said;
    int64_t unsupported, unknown; /* members of all lines so far */
    kd__arena noted;              /* names that were told */
    const char *named[KD__MOST_NAMED];
    int32_t named_count;
} kd__shape;

/* Begins with a line; then records until KD_END. Errors are KD_ERR_FORMAT, with the reason only, or
 * KD_ERR_MEMORY. */
kd_status kd__shape_begin(kd__shape *shape, const char *line, int64_t bytes);
/* The same with a tree that lives until the shape ends or begins again. */
kd_status kd__shape_begin_row(kd__shape *shape, const kd__json *row);
kd_status kd__shape_next(kd__shape *shape, kd_record *record);
void kd__shape_end(kd__shape *shape);
/* Forgets what it counted and told. */
void kd__shape_reset(kd__shape *shape);

/* A copy whose texts lie in the arena; ids and log-probabilities stay behind. */
kd_status kd__record_copy(kd__arena *arena, const kd_record *from, kd_record *to);

/* NULL, or what of the record has no place in KD_CHAT_PLAIN, which is its prompt and completion
 * alone. */
const char *kd__record_beyond_plain(const kd_record *record);

/* ---- rows that are no lines ---- */

/* Where they come from. `next` gives a tree that lives until the next call, KD_END, or an error;
 * *broken: nothing can be read after it. */
typedef struct kd__record_rows {
    void *self;
    kd_status (*next)(void *self, const kd__json **row, int *broken);
    kd_status (*rewind)(void *self);
    void (*free)(void *self);
} kd__record_rows;

/* A reader of rows, which frees them, also if this fails. */
kd_status kd__record_reader_from_rows(kd_record_reader **out, kd_context *context,
                                      const kd_record_options *options,
                                      const kd__record_rows *rows);

/* ---- files ---- */

/* Looks at a file's first bytes: KD_ERR_UNSUPPORTED names what is no JSON lines; *array: 1 for one
 * array in place of lines. */
kd_status kd__start_look(const char *bytes, int64_t size, int *array);
/* Bytes of a UTF-8 byte order mark that stands here: 3 or 0. */
int64_t kd__order_mark(const char *bytes, int64_t size);
/* Goes over an element of an array: bytes of it that stand here; *ends: the byte after them ends
 * it. */
typedef struct kd__element {
    int64_t depth;
    int quoted, escaped;
} kd__element;
int64_t kd__element_scan(kd__element *element, const char *from, int64_t size, int *ends);

/* 1 for text that is whole UTF-8. */
static inline int kd__is_utf8(const char *text, int64_t bytes)
{
    return kd__utf8_valid(text, bytes, NULL) == bytes;
}

#endif
