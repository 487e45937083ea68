/* Memory of one rendering: taken piece by piece, released at once. */
#include "language/template/room.h"

#include <string.h>

#include "base/memory.h"

enum { FIRST_BYTES = 16 << 10, MOST_BYTES = 1 << 20 };

struct kd__room_block {
    kd__room_block *next;
    int64_t used, bytes;
    char content[];
};

static kd_status add_block(kd__room *room, int64_t need)
{
    kd__room_block *block = NULL;
    int64_t bytes = room->blocks ? 2 * room->blocks->bytes : FIRST_BYTES;
    if (bytes > MOST_BYTES) bytes = MOST_BYTES;
    if (bytes < need) bytes = need;
    KD_TRY(kd__allocate(room->context, (void **)&block, (int64_t)sizeof *block + bytes, 1));
    block->next = room->blocks;
    block->bytes = bytes;
    room->blocks = block;
    return KD_OK;
}

kd_status kd__room_take(kd__room *room, int64_t bytes, void **out)
{
    KD_FAIL_IF(bytes < 0 || bytes > (int64_t)1 << 40, KD_ERR_RANGE,
               "a template: expected a value of at most 2^40 bytes, got %lld", (long long)bytes);
    bytes = (bytes + 7) & ~(int64_t)7;
    KD_TRY(kd__work_bytes(room, bytes));
    if (!room->blocks || room->blocks->bytes - room->blocks->used < bytes)
        KD_TRY(add_block(room, bytes));
    *out = room->blocks->content + room->blocks->used;
    room->blocks->used += bytes;
    return KD_OK;
}

kd_status kd__room_grow(kd__room *room, void **array, int64_t *held, int64_t need, int64_t size)
{
    if (need <= *held) return KD_OK;
    const int64_t more = need > 2 * *held ? need + 4 : 2 * *held;
    void *larger = NULL;
    KD_TRY(kd__room_take(room, more * size, &larger));
    if (*held) memcpy(larger, *array, (size_t)(*held * size));
    *array = larger;
    *held = more;
    return KD_OK;
}

kd_status kd__work(kd__room *room, int64_t steps)
{
    room->work += steps;
    KD_FAIL_IF(room->most_work && room->work > room->most_work, KD_ERR_RANGE,
               "the template asks for more than %lld steps", (long long)room->most_work);
    return KD_OK;
}

void kd__room_clear(kd__room *room)
{
    kd__room_block *last = room->blocks;
    while (last && last->next) {
        room->blocks = last->next;
        kd__release(room->context, last);
        last = room->blocks;
    }
    if (last) {
        memset(last->content, 0, (size_t)last->used);
        last->used = 0;
    }
    room->work = 0;
}

void kd__room_free(kd__room *room)
{
    while (room->blocks) {
        kd__room_block *next = room->blocks->next;
        kd__release(room->context, room->blocks);
        room->blocks = next;
    }
    room->work = 0;
}
