/* Memory through the context's allocator, counted; scratch. */
#include "base/memory.h"

#include <string.h>

#include "base/context.h"
#include "base/numbers.h"

#define ALIGNMENT 64
#define LEAST_MORE 8 /* elements that a block grows by */

/* Before every block: where the allocator's block begins, and its size. */
typedef struct {
    void *start;
    size_t bytes;
} header;

static void count_bytes(kd_context *context, size_t bytes)
{
    uint_fast64_t now = atomic_fetch_add(&context->bytes, bytes) + bytes;
    uint_fast64_t peak = atomic_load(&context->peak_bytes);
    while (now > peak && !atomic_compare_exchange_weak(&context->peak_bytes, &peak, now)) {}
    atomic_fetch_add(&context->allocations, 1);
}

kd_status kd__allocate(kd_context *context, void **out, int64_t count, size_t size)
{
    int64_t bytes, whole;
    KD_TRY(kd__multiply(count, (int64_t)size, &bytes));
    KD_FAIL_IF(__builtin_add_overflow(bytes, (int64_t)(ALIGNMENT + sizeof(header)), &whole),
               KD_ERR_RANGE, "expected an allocation whose size fits in 64 bits, got %lld bytes",
               (long long)bytes);
    char *start = context->allocator.allocate(context->allocator.user, (size_t)whole);
    KD_FAIL_IF(!start, KD_ERR_MEMORY, "out of memory: %lld bytes were asked for", (long long)bytes);
    char *block = start + sizeof(header);
    block += -(uintptr_t)block % ALIGNMENT;
    memset(block, 0, (size_t)bytes);
    ((header *)block)[-1] = (header){ start, (size_t)whole };
    count_bytes(context, (size_t)whole);
    *out = block;
    return KD_OK;
}

void kd__release(kd_context *context, void *block)
{
    if (!block) return;
    header h = ((header *)block)[-1];
    atomic_fetch_sub(&context->bytes, h.bytes);
    context->allocator.release(context->allocator.user, h.start, h.bytes);
}

kd_status kd__grow(kd_context *context, void **block, int64_t *room, int64_t count, size_t size)
{
    void *larger = NULL;
    if (*room) count = kd__max(count, *room + *room / 2 + LEAST_MORE);
    KD_TRY(kd__allocate(context, &larger, count, size));
    if (*block) memcpy(larger, *block, (size_t)*room * size);
    kd__release(context, *block);
    *block = larger;
    *room = count;
    return KD_OK;
}

kd_status kd__renew(kd_context *context, void **block, int64_t *room, int64_t count, size_t size)
{
    if (count <= *room) return KD_OK;
    kd__release(context, *block);
    *block = NULL;
    *room = 0;
    KD_TRY(kd__allocate(context, block, count, size));
    *room = count;
    return KD_OK;
}

static int64_t block_room(const float *block)
{
    return (int64_t)((((const header *)block)[-1].bytes - ALIGNMENT - sizeof(header)) / 4);
}

kd_status kd__scratch_take(kd_context *context, int64_t count, float **out)
{
    float *block = atomic_exchange(&context->scratch, NULL);
    if (block && block_room(block) < count) {
        kd__release(context, block);
        block = NULL;
    }
    if (!block) KD_TRY(kd__allocate(context, (void **)&block, count, sizeof *block));
    *out = block;
    return KD_OK;
}

void kd__scratch_give(kd_context *context, float *block)
{
    float *none = NULL;
    if (!atomic_compare_exchange_strong(&context->scratch, &none, block))
        kd__release(context, block);
}

kd_status kd__copy_text(kd_context *context, char **out, const char *text)
{
    char *copy = NULL;
    if (text) {
        size_t length = strlen(text);
        KD_TRY(kd__allocate(context, (void **)&copy, (int64_t)length + 1, 1));
        memcpy(copy, text, length);
    }
    *out = copy;
    return KD_OK;
}
