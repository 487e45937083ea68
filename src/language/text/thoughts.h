/* The marks between which models think: one list for chats, records, filters and verifiers. */
#ifndef KD_TEXT_THOUGHTS_H
#define KD_TEXT_THOUGHTS_H

#include <stdint.h>

typedef struct kd__mark {
    const char *at, *end; /* NULL: there is none */
} kd__mark;

/* What a text's marks say. A mark inside a thought of another kind is a part of that thought. */
typedef struct kd__thoughts {
    int64_t opened, closed; /* marks */
    kd__mark opening;       /* the first that opens */
    kd__mark closing, last; /* the first and the last that close */
    int open;               /* a thought begins after `last` and does not end */
} kd__thoughts;

/* One pass over the text, whatever the case of its marks. */
kd__thoughts kd__thoughts_of(const char *text, const char *end);

#endif
