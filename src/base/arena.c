/* Arenas: each piece is a block of its own, on a list. */
#include "base/arena.h"

#include <string.h>

#include "base/memory.h"

/* Before a piece; padded, so that the piece is aligned to 16 bytes. */
struct kd__arena_block {
    struct kd__arena_block *next;
    int64_t pad;
};

kd_status kd__arena_take(kd__arena *arena, int64_t bytes, void **out)
{
    const int64_t head = (int64_t)sizeof(struct kd__arena_block);
    char *block = NULL;
    KD_FAIL_IF(bytes < 0 || bytes > INT64_MAX - head, KD_ERR_RANGE,
               "expected a size of 0 or more that fits in 64 bits, got %lld bytes",
               (long long)bytes);
    KD_TRY(KD_NEW(arena->context, &block, head + bytes));
    ((struct kd__arena_block *)block)->next = arena->first;
    arena->first = (struct kd__arena_block *)block;
    *out = block + head;
    return KD_OK;
}

kd_status kd__arena_text(kd__arena *arena, const char *text, int64_t bytes, const char **out)
{
    void *copy = NULL;
    KD_TRY(kd__arena_take(arena, bytes + 1, &copy));
    memcpy(copy, text, (size_t)bytes);
    *out = copy;
    return KD_OK;
}

void kd__arena_empty(kd__arena *arena)
{
    while (arena->first) {
        struct kd__arena_block *next = arena->first->next;
        kd__release(arena->context, arena->first);
        arena->first = next;
    }
}
