/* Memory through the context's allocator: zeroed blocks, blocks that grow, scratch. */
#ifndef KD_BASE_MEMORY_H
#define KD_BASE_MEMORY_H

#include <kdistill/context.h>

#include "base/status.h"

/* A zeroed block aligned to 64 bytes; *out is untouched when the call fails. */
kd_status kd__allocate(kd_context *context, void **out, int64_t count, size_t size);
void kd__release(kd_context *context, void *block);

/* A larger block for kd__reserve, at least `count` elements. */
kd_status kd__grow(kd_context *context, void **block, int64_t *room, int64_t count, size_t size);

/* Makes room for `count` elements; *block keeps its content, *room is the number that fit. The one
 * rule of growth: the first block is as large as asked for, because most are asked for once; a
 * block that was too small is followed by one at least half as large again, so that adding one at
 * a time copies each element a few times only. Callers ask for what they need and nothing more. */
static inline kd_status kd__reserve(kd_context *context, void **block, int64_t *room, int64_t count,
                                    size_t size)
{
    return count <= *room ? KD_OK : kd__grow(context, block, room, count, size);
}

/* The same for a block that is filled again from the start: nothing is kept, and a block that is
 * too small is freed before the next one, as large as asked for, is allocated. For buffers whose
 * bytes are bounded by a limit or by what a batch holds.                                        */
kd_status kd__renew(kd_context *context, void **block, int64_t *room, int64_t count, size_t size);

/* Scratch of `count` floats that is kept for the next taker: no allocation once the largest was
 * taken. A second taker at the same time gets a block of its own.                               */
kd_status kd__scratch_take(kd_context *context, int64_t count, float **out);
void kd__scratch_give(kd_context *context, float *block);

/* A copy of a text; NULL stays NULL. */
kd_status kd__copy_text(kd_context *context, char **out, const char *text);

#define KD_NEW(context, pointer, count)                                                            \
    kd__allocate((context), (void **)(pointer), (count), sizeof **(pointer))
#define KD_RESERVE(context, pointer, room, count)                                                  \
    kd__reserve((context), (void **)(pointer), (room), (count), sizeof **(pointer))
#define KD_RENEW(context, pointer, room, count)                                                    \
    kd__renew((context), (void **)(pointer), (room), (count), sizeof **(pointer))

#endif
