/* Blocks that live and go together: an arena is filled piece by piece and emptied at once. */
#ifndef KD_BASE_ARENA_H
#define KD_BASE_ARENA_H

#include <kdistill/context.h>

#include "base/status.h"

/* Begins as { .context = context }. */
typedef struct kd__arena {
    kd_context *context;
    struct kd__arena_block *first;
} kd__arena;

/* Zeroed bytes, until the arena is emptied. */
kd_status kd__arena_take(kd__arena *arena, int64_t bytes, void **out);
/* A copy of a text, with a 0 after it. */
kd_status kd__arena_text(kd__arena *arena, const char *text, int64_t bytes, const char **out);
void kd__arena_empty(kd__arena *arena);

#endif
