/* kdistill/context.h - memory, threads, log, seed, BLAS.   SPDX-License-Identifier: Apache-2.0
 *
 * A context holds what would otherwise be global state. It may be used from several threads at once;
 * every other handle is used by one thread at a time. A child handle keeps its context alive, so handles
 * may be freed in any order.                                                                            */
#ifndef KDISTILL_CONTEXT_H
#define KDISTILL_CONTEXT_H

#include <kdistill/array.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_context kd_context;

/* ---- the host's own parts: callbacks are copied at creation; unset members are NULL ---- */

/* Memory. All three are given or none. `allocate` returns NULL when there is no memory; blocks are aligned
 * to at least 16 bytes. `reallocate` gets the old and the new size; this version does not call it.                             */
typedef struct kd_allocator {
    uint32_t struct_size;
    int32_t reserved;
    void *user;
    void *(*allocate)(void *user, size_t bytes);
    void *(*reallocate)(void *user, void *block, size_t old_bytes, size_t new_bytes);
    void (*release)(void *user, void *block, size_t bytes);
} kd_allocator;

#define KD_LOG_ERROR 1
#define KD_LOG_WARNING 2
#define KD_LOG_INFO 3

/* Log lines (no line end). May come from any thread that calls the library. Without it nothing is logged:
 * the library never prints.                                                                            */
typedef struct kd_logger {
    uint32_t struct_size;
    int32_t level; /* lines above this level are not sent */
    void *user;
    void (*log)(void *user, int32_t level, const char *line);
} kd_logger;

/* Progress of long calls (loading, predicting, collecting): `done` of `total` units of `stage`. Returns 0
 * to go on, anything else to end the call with KD_ERR_CANCELLED.                                         */
typedef struct kd_progress {
    uint32_t struct_size;
    int32_t reserved;
    void *user;
    int32_t (*progress)(void *user, const char *stage, int64_t done, int64_t total);
} kd_progress;

/* The host's own matrix product instead of CBLAS, float32, row-major:
 *   C (m x n, ldc) = alpha op(A) op(B) + beta C,   op(A) is m x k, op(B) is k x n; transposed when ta / tb is 1.
 * C is not read when beta is 0. Called from one thread at a time for each context call. Returns a status.    */
typedef struct kd_matmul {
    uint32_t struct_size;
    int32_t reserved;
    void *user;
    kd_status (*matmul)(void *user, int32_t ta, int32_t tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                        int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);
} kd_matmul;

/* Instruction sets of the library's own kernels. */
#define KD_ISA_AUTO 0
#define KD_ISA_PORTABLE 1 /* C for the compiler's base processor (SSE2, NEON) */
#define KD_ISA_AVX2 2     /* AVX2 and FMA                                     */
#define KD_ISA_AVX512 3   /* AVX-512 F, BW, DQ, VL                            */

/* Who computes matrix products. */
#define KD_GEMM_AUTO 0 /* the library's kernels where BLAS runs slower ones than this processor has, else CBLAS */
#define KD_GEMM_BLAS 1 /* CBLAS always                                                                         */
#define KD_GEMM_OWN 2  /* the library's kernels always                                                         */

/* In what numbers. bfloat16: both sides of every product are rounded to it as they are packed (8 bits of fraction), sums are
 * float32; parameters, activations, gradients and optimiser stay float32 (mixed precision with float32 masters), and so does attention.
 * Processors without bfloat16 instructions compute the same in float32, slower.                                                  */
#define KD_PRODUCTS_FLOAT32 0
#define KD_PRODUCTS_BFLOAT16 1
#define KD_PRODUCTS_MEASURED 2 /* bfloat16 where a measurement at creation finds it 1.2 times as fast as float32, else float32 */

typedef struct kd_context_options {
    uint32_t struct_size;
    int32_t threads; /* threads of the library's pool, the caller included; 0: one a processor, at most 64 */
    uint64_t seed;   /* of everything random                                                         */
    int32_t isa;     /* KD_ISA_AUTO, or a set that the processor has (KD_ERR_UNSUPPORTED otherwise)   */
    int32_t gemm;    /* KD_GEMM_AUTO ... */
    const kd_allocator *allocator; /* NULL: malloc   */
    const kd_logger *logger;       /* NULL: silence  */
    const kd_progress *progress;   /* NULL: none     */
    const kd_matmul *matmul;       /* NULL: see gemm */
    int32_t products;              /* KD_PRODUCTS_FLOAT32 ...; with a matmul of the host's only float32 */
    int32_t reserved;
} kd_context_options;

#define KD_CONTEXT_OPTIONS_INIT \
    { (uint32_t)sizeof(kd_context_options), 0, 0, KD_ISA_AUTO, KD_GEMM_AUTO, NULL, NULL, NULL, NULL, KD_PRODUCTS_FLOAT32, 0 }
KD_API void kd_context_options_init(kd_context_options *options, size_t size);

/* Creates a context. NULL options: defaults. Threads start at the first parallel work.
 * Errors: KD_ERR_MEMORY, KD_ERR_RANGE (threads outside 0 to 1024, gemm, products), KD_ERR_UNSUPPORTED (isa),
 * KD_ERR_INVALID (products beside a matmul).                                                                    */
KD_API kd_status kd_context_create(kd_context **out, const kd_context_options *options);
KD_API void kd_context_free(kd_context *context);

/* Facts about a context: filled up to info->struct_size, which the caller sets. Texts live as long as the context. */
typedef struct kd_context_info {
    uint32_t struct_size;
    int32_t threads;
    int32_t isa;                 /* the set in use                                            */
    int32_t gemm;                /* KD_GEMM_BLAS or KD_GEMM_OWN: who computes products          */
    int32_t blas_threads;        /* what BLAS uses now; 0 where it does not tell               */
    int32_t blas_is_slow;        /* 1: BLAS runs kernels for an older processor than this one  */
    int32_t deterministic;       /* 1: same bits for any number of the library's threads       */
    int32_t reserved;
    uint64_t seed;
    uint64_t allocations;        /* calls of the allocator so far                             */
    uint64_t bytes;              /* held now through the context's allocator                  */
    uint64_t peak_bytes;
    const char *blas;            /* "OpenBLAS 0.3.21 ..."                                     */
    const char *blas_kernels;    /* "SkylakeX", "Prescott", "unknown"                         */
    const char *blas_remedy;     /* what to do when blas_is_slow, else ""                     */
    int32_t products;            /* KD_PRODUCTS_FLOAT32 or KD_PRODUCTS_BFLOAT16: in use         */
    int32_t reserved2;
} kd_context_info;
KD_API kd_status kd_context_get_info(kd_context *context, kd_context_info *info);

/* Sets the number of threads of the BLAS library: for the whole process, every other user of BLAS included. With 1
 * the library cuts products into tiles and runs them on its own pool: fast, and the same bits for any number of
 * threads. KD_ERR_UNSUPPORTED where this BLAS has no such call. threads: 1 to 1024.                                */
KD_API kd_status kd_context_set_blas_threads(kd_context *context, int32_t threads);

/* Operations a second (a multiplication and an addition are two) of a product 192 x 768 x 768 on the context's threads, in float32 as
 * this context computes it and in bfloat16, the best of six each: some tens of milliseconds.                                          */
KD_API kd_status kd_context_measure_products(kd_context *context, double *float32, double *bfloat16);

/* Asks every running and future call that checks for it to end with KD_ERR_CANCELLED (on = 1), or not any more
 * (on = 0). May be called from any thread, and from a signal handler.                                          */
KD_API kd_status kd_context_cancel(kd_context *context, int32_t on);

/* One matrix product as the library computes it; arguments as in kd_matmul. For measuring, and for hosts that want
 * the same bits. Needs k >= 1; lda, ldb, ldc at least the row length.                                            */
KD_API kd_status kd_context_matmul(kd_context *context, int32_t ta, int32_t tb, int64_t m, int64_t n, int64_t k, float alpha,
                                   const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

#ifdef __cplusplus
}
#endif
#endif
