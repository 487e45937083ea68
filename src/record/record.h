/* Records: a pile of memory that goes with one record, and the JSON shapes. */
#ifndef KD_RECORD_RECORD_H
#define KD_RECORD_RECORD_H

#include <kdistill/record.h>

#include "base/json.h"
#include "base/text.h"
#include "tokenizer/unicode.h"

#define KD__MOST_USED 40

/* Blocks that live until the pile is emptied. */
typedef struct kd__pile {
    kd_context *context;
    struct kd__pile_block *first;
} kd__pile;
kd_status kd__pile_take(kd__pile *pile, int64_t bytes, void **out);
kd_status kd__pile_text(kd__pile *pile, const char *text, int64_t bytes, const char **out);
void kd__pile_empty(kd__pile *pile);

/* A line that was parsed, and which of its answers is next. */
typedef struct kd__shape {
    kd__pile pile;
    kd__json_document document;
    const kd_record_options *options;
    const kd__json *answers;             /* list of completions or choices; NULL: the record has one answer at most */
    const kd__json *next;                /* of them                                                                */
    const kd__json *used[KD__MOST_USED]; /* members of the line's object that were read */
    int32_t used_count;
    int32_t sample;
    kd_record record; /* what all answers share */
} kd__shape;

/* Begins with a line; then records until KD_END. Errors are KD_ERR_FORMAT, with the reason only, or KD_ERR_MEMORY. */
kd_status kd__shape_begin(kd__shape *shape, const char *line, int64_t bytes);
kd_status kd__shape_next(kd__shape *shape, kd_record *record);
void kd__shape_end(kd__shape *shape);

/* A copy whose texts lie in the pile; ids and log-probabilities stay behind. */
kd_status kd__record_copy(kd__pile *pile, const kd_record *from, kd_record *to);

/* 1 for text that is whole UTF-8. */
static inline int kd__is_utf8(const char *text, int64_t bytes) { return kd__utf8_valid(text, bytes, NULL) == bytes; }

#endif
