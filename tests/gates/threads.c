/* The same bits for 1, 2, 3 and 8 threads, with the library's own products and with CBLAS at one
 * thread; and no allocation in a step after the first pass over the data. And the bits of a golden
 * run: they change between releases only where CHANGELOG.md says so. */
#include <stdio.h>
#include <stdlib.h>

#include "../unit/run.h"

#define STOP(call)                                                                                 \
    do {                                                                                           \
        if ((call) < 0) {                                                                          \
            printf("%s: %s\n", #call, kd_last_error());                                            \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static uint64_t digest(const float *values, int64_t count)
{
    uint64_t hash = 14695981039346656037ULL;
    for (size_t i = 0; i < (size_t)count * 4; i++)
        hash = (hash ^ ((const unsigned char *)values)[i]) * 1099511628211ULL;
    return hash;
}

/* A run of 12 steps with convolution, GELU, dropout, AdamW: recorded with the portable kernels and
 * the library's own products on x86-64 with glibc. */
#define GOLDEN_RUN 0x4efc82bc11228ebfULL

static uint64_t small_run(int32_t threads, int32_t gemm, int32_t isa)
{
    static run_parts r;
    kd_context *ctx;
    kd_array p;
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_context_info before = { .struct_size = sizeof before }, after = before;
    memset(&r, 0, sizeof r);
    o.threads = threads;
    o.gemm = gemm;
    o.isa = isa;
    o.seed = 7;
    STOP(kd_context_create(&ctx, &o));
    STOP(kd_context_set_blas_threads(ctx, 1));
    STOP(run_make(&r, ctx));
    STOP(run_steps(&r, 4));
    STOP(kd_context_get_info(ctx, &before));
    STOP(run_steps(&r, RUN_STEPS));
    STOP(kd_context_get_info(ctx, &after));
    if (after.allocations != before.allocations || !after.deterministic) {
        printf("%d threads: %llu allocations in steps after the first pass; deterministic %d\n",
               threads, (unsigned long long)(after.allocations - before.allocations),
               after.deterministic);
        exit(1);
    }
    STOP(kd_model_parameters(r.model, &p));
    uint64_t hash = digest(p.data, p.dims[0]);
    run_free(&r);
    kd_context_free(ctx);
    return hash;
}

/* A product large enough for many tiles. */
static uint64_t product(int32_t threads, int32_t gemm)
{
    enum { M = 300, N = 257, K = 777 };
    static float a[M * K], b[N * K], c[M * N];
    kd_context *ctx;
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    o.threads = threads;
    o.gemm = gemm;
    for (int i = 0; i < M * K; i++) a[i] = (float)sin(i);
    for (int i = 0; i < N * K; i++) b[i] = (float)cos(i);
    STOP(kd_context_create(&ctx, &o));
    STOP(kd_context_set_blas_threads(ctx, 1));
    STOP(kd_context_matmul(ctx, 0, 1, M, N, K, 1, a, K, b, K, 0, c, N));
    kd_context_free(ctx);
    return digest(c, M * N);
}

int main(void)
{
    const int32_t threads[] = { 1, 2, 3, 8 };
    for (int32_t gemm = KD_GEMM_BLAS; gemm <= KD_GEMM_OWN; gemm++) {
        uint64_t run = small_run(1, gemm, KD_ISA_AUTO), one = product(1, gemm);
        for (int i = 0; i < 4; i++)
            if (small_run(threads[i], gemm, KD_ISA_AUTO) != run ||
                product(threads[i], gemm) != one) {
                printf("other bits with %d threads (gemm %d)\n", threads[i], gemm);
                return 1;
            }
    }
#if defined(__x86_64__) && defined(__GLIBC__)
    uint64_t golden = small_run(2, KD_GEMM_OWN, KD_ISA_PORTABLE);
    if (golden != GOLDEN_RUN) {
        printf(
            "the golden run has other bits: 0x%llxULL; if that is meant, say so in CHANGELOG.md\n",
            (unsigned long long)golden);
        return 1;
    }
#endif
    printf("the same bits with 1, 2, 3 and 8 threads; no allocation in a step\n");
    return 0;
}
