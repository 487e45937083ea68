/* The context's struct, for the floors that use its threads, kernels and products. What it offers
 * to all is in memory.h, object.h, log.h and numbers.h; core/context creates it. */
#ifndef KD_BASE_CONTEXT_H
#define KD_BASE_CONTEXT_H

#include <kdistill/context.h>
#include <stdatomic.h>

struct kd__pool;
struct kd__kernels;
struct kd__tiles;

struct kd_context {
    atomic_int references;
    void (*free)(kd_context *); /* kd_context_free: drops a reference; set by whoever creates it */
    atomic_int canceled;
    int32_t threads;
    int32_t gemm;       /* KD_GEMM_BLAS or KD_GEMM_OWN */
    int32_t gemm_asked; /* as in the options */
    uint64_t seed;
    kd_allocator allocator;
    kd_logger logger;
    kd_progress progress;
    kd_matmul matmul;
    const struct kd__kernels *kernels;
    /* kd__cpu_features, asked once: CPUID is slow on virtual machines */
    uint32_t cpu;
    const struct kd__tiles *bfloat16; /* of products; NULL: float32 */
    struct kd__pool *pool;
    void *locale; /* "C": numbers in files do not depend on the host's locale */
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

#endif
