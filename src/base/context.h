/* The context as every floor sees it: memory, threads, log, numbers in text. Creation is in src/context. */
#ifndef KD_BASE_CONTEXT_H
#define KD_BASE_CONTEXT_H

#include <kdistill/context.h>
#include <locale.h>
#include <stdatomic.h>

#include "base/status.h"

struct kd__pool;
struct kd__kernels;
struct kd__tiles;

struct kd_context {
    atomic_int references;
    atomic_int cancelled;
    int32_t threads;
    int32_t gemm;       /* KD_GEMM_BLAS or KD_GEMM_OWN */
    int32_t gemm_asked; /* as in the options */
    uint64_t seed;
    kd_allocator allocator;
    kd_logger logger;
    kd_progress progress;
    kd_matmul matmul;
    const struct kd__kernels *kernels;
    const struct kd__tiles *bfloat16; /* of products; NULL: float32 */
    struct kd__pool *pool;
    locale_t locale; /* "C": numbers in files do not depend on the host's locale */
    atomic_uint_fast64_t allocations;
    atomic_uint_fast64_t bytes;
    atomic_uint_fast64_t peak_bytes;
    atomic_uint_fast64_t temporary; /* numbers of temporary files */
    _Atomic(float *) scratch;       /* NULL while it is taken */
    char blas[160];
    char blas_kernels[48];
    char blas_remedy[160];
    int32_t blas_is_slow;
};

kd_context *kd__context_hold(kd_context *context);

/* ---- memory: zeroed blocks aligned to 64 bytes; *out is untouched when the call fails ---- */
kd_status kd__allocate(kd_context *context, void **out, int64_t count, size_t size);
/* Makes room for `count` elements; *block keeps its content; *room is the number of elements that fit. */
kd_status kd__reserve(kd_context *context, void **block, int64_t *room, int64_t count, size_t size);
void kd__release(kd_context *context, void *block);
/* Scratch of `count` floats that is kept for the next taker: no allocation once the largest was taken. A second taker at the same
 * time gets a block of its own.                                                                                                 */
kd_status kd__scratch_take(kd_context *context, int64_t count, float **out);
void kd__scratch_give(kd_context *context, float *block);
kd_status kd__copy_text(kd_context *context, char **out, const char *text);

#define KD_NEW(context, pointer, count) kd__allocate((context), (void **)(pointer), (count), sizeof **(pointer))
#define KD_RESERVE(context, pointer, room, count) kd__reserve((context), (void **)(pointer), (room), (count), sizeof **(pointer))

/* a * b and a + b of non-negative numbers; KD_ERR_RANGE when it does not fit in int64. */
kd_status kd__multiply(int64_t a, int64_t b, int64_t *product);

void kd__log(kd_context *context, int32_t level, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* KD_ERR_CANCELLED when the host asked for it, here or in its progress callback. */
kd_status kd__progress(kd_context *context, const char *stage, int64_t done, int64_t total);

double kd__parse_double(kd_context *context, const char *text, char **end);
/* The shortest of %.15g and %.17g that reads back as the same number. */
void kd__format_double(kd_context *context, char text[32], double value);

/* A child object's base: its first member. */
typedef struct kd__object {
    atomic_int references;
    kd_context *context;
} kd__object;

/* Allocates an object (first member kd__object) and takes a reference to the context. */
kd_status kd__object_create(void **out, kd_context *context, size_t size);
void *kd__object_hold(void *object);
/* 1: this was the last reference: free the members, then call kd__object_destroy. */
int kd__object_drop(void *object);
void kd__object_destroy(void *object);

#endif
