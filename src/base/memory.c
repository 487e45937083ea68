#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"

#define ALIGNMENT 64

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

kd_status kd__multiply(int64_t a, int64_t b, int64_t *product)
{
    KD_FAIL_IF(a < 0 || b < 0 || __builtin_mul_overflow(a, b, product), KD_ERR_RANGE, "a size of %lld x %lld does not fit in 64 bits", (long long)a,
               (long long)b);
    return KD_OK;
}

kd_status kd__allocate(kd_context *context, void **out, int64_t count, size_t size)
{
    int64_t bytes, whole;
    KD_TRY(kd__multiply(count, (int64_t)size, &bytes));
    KD_FAIL_IF(__builtin_add_overflow(bytes, (int64_t)(ALIGNMENT + sizeof(header)), &whole), KD_ERR_RANGE, "%lld bytes are too many",
               (long long)bytes);
    char *start = context->allocator.allocate(context->allocator.user, (size_t)whole);
    KD_FAIL_IF(!start, KD_ERR_MEMORY, "out of memory: %lld bytes were asked for", (long long)bytes);
    char *block = (char *)(((uintptr_t)start + sizeof(header) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
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

kd_status kd__reserve(kd_context *context, void **block, int64_t *room, int64_t count, size_t size)
{
    if (count <= *room) return KD_OK;
    void *larger = NULL;
    KD_TRY(kd__allocate(context, &larger, count, size));
    if (*block) memcpy(larger, *block, (size_t)*room * size);
    kd__release(context, *block);
    *block = larger;
    *room = count;
    return KD_OK;
}

static int64_t block_room(const float *block) { return (int64_t)((((const header *)block)[-1].bytes - ALIGNMENT - sizeof(header)) / 4); }

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
    if (!atomic_compare_exchange_strong(&context->scratch, &none, block)) kd__release(context, block);
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

void kd__log(kd_context *context, int32_t level, const char *format, ...)
{
    if (!context->logger.log || level > context->logger.level) return;
    char line[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    context->logger.log(context->logger.user, level, line);
}

kd_status kd__progress(kd_context *context, const char *stage, int64_t done, int64_t total)
{
    KD_FAIL_IF(atomic_load(&context->cancelled), KD_ERR_CANCELLED, "%s: cancelled by kd_context_cancel", stage);
    int32_t stop = context->progress.progress ? context->progress.progress(context->progress.user, stage, done, total) : 0;
    KD_FAIL_IF(stop, KD_ERR_CANCELLED, "%s: the progress callback returned %d at %lld of %lld", stage, stop, (long long)done, (long long)total);
    return KD_OK;
}

double kd__parse_double(kd_context *context, const char *text, char **end)
{
    locale_t before = uselocale(context->locale);
    double value = strtod(text, end);
    uselocale(before);
    return value;
}

void kd__format_double(kd_context *context, char text[32], double value)
{
    locale_t before = uselocale(context->locale);
    snprintf(text, 32, "%.15g", value);
    if (strtod(text, NULL) != value) snprintf(text, 32, "%.17g", value);
    uselocale(before);
}

kd_context *kd__context_hold(kd_context *context)
{
    atomic_fetch_add(&context->references, 1);
    return context;
}

kd_status kd__object_create(void **out, kd_context *context, size_t size)
{
    void *object = NULL;
    KD_TRY(kd__allocate(context, &object, 1, size));
    kd__object *base = object;
    atomic_init(&base->references, 1);
    base->context = kd__context_hold(context);
    *out = object;
    return KD_OK;
}

void *kd__object_hold(void *object)
{
    atomic_fetch_add(&((kd__object *)object)->references, 1);
    return object;
}

int kd__object_drop(void *object) { return object && atomic_fetch_sub(&((kd__object *)object)->references, 1) == 1; }

void kd__object_destroy(void *object)
{
    kd_context *context = ((kd__object *)object)->context;
    kd__release(context, object);
    kd_context_free(context);
}
