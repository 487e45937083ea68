/* Memory that is given back all at once: blocks out of the context's allocator, cut into pieces.
 * Everything that a template makes, nodes or values, lies in a room, and the bytes that it takes
 * are counted against a budget of work. */
#ifndef KD_TEMPLATE_ROOM_H
#define KD_TEMPLATE_ROOM_H

#include <kdistill/context.h>

#include "base/status.h"

typedef struct kd__room_block kd__room_block;

typedef struct kd__room {
    kd_context *context;
    kd__room_block *blocks; /* the newest first */
    int64_t work;           /* what was done; see kd__work */
    int64_t most_work;      /* 0: no bound */
} kd__room;

/* `bytes` zeroed bytes, aligned to 8. */
kd_status kd__room_take(kd__room *room, int64_t bytes, void **out);
#define KD_TAKE(room, pointer, count) \
    kd__room_take((room), (int64_t)sizeof **(pointer) * (count), (void **)(pointer))
/* A larger copy of an array: *held elements become at least `need`. */
kd_status kd__room_grow(kd__room *room, void **array, int64_t *held, int64_t need, int64_t size);
#define KD_GROW(room, pointer, held, need) \
    kd__room_grow((room), (void **)(pointer), (held), (need), (int64_t)sizeof **(pointer))
/* Counts steps; KD_ERR_RANGE when they are more than most_work. */
kd_status kd__work(kd__room *room, int64_t steps);
/* Reading or writing so many bytes. */
static inline kd_status kd__work_bytes(kd__room *room, int64_t bytes)
{
    return kd__work(room, bytes >> 3);
}
/* Empties it and keeps one block for the next use. */
void kd__room_clear(kd__room *room);
void kd__room_free(kd__room *room);

#endif
