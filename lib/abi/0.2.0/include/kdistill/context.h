/* kdistill/context.h - memory, threads, logging, seed, BLAS.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_context_options options = KD_CONTEXT_OPTIONS_INIT;
 *   2.  options.threads = 4;
 *   3.  kd_context_create(&context, &options);
 *   4.  kd_context_get_info(context, &info);   info.blas_is_slow: see info.blas_remedy
 *   5.  kd_context_free(context);
 *
 * A context holds what would otherwise be global state.
 * - Several threads may use one context at once; every other handle is used by one thread at a
 *   time.
 * - Every handle keeps its context alive, so handles may be freed in any order. */
#ifndef KDISTILL_CONTEXT_H
#define KDISTILL_CONTEXT_H

#include <kdistill/array.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_context kd_context;

#define KD_NAME_BYTES 64 /* longest name of a field, output or tensor, terminating 0 included */

/* ---- hooks of the host: callbacks are copied at creation; unset members are NULL ---- */

/* Memory. Set both `allocate` and `release`, or pass no allocator. Every thread that uses the
 * context calls them, several at once. `allocate` returns NULL when out of memory; blocks are
 * aligned to at least 16 bytes. `reallocate` may be NULL: this version does not call it. */
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

/* Log lines, without a line break. They may come from any thread that calls the library. Without a
 * logger nothing is logged: the library never prints. */
typedef struct kd_logger {
    uint32_t struct_size;
    int32_t level; /* lines above this level are not sent */
    void *user;
    void (*log)(void *user, int32_t level, const char *line);
} kd_logger;

/* Progress of long calls (loading, predicting, collecting): `done` of `total` units of `stage`.
 * Returns 0 to continue; anything else ends the call with KD_ERR_CANCELED. */
typedef struct kd_progress {
    uint32_t struct_size;
    int32_t reserved;
    void *user;
    int32_t (*progress)(void *user, const char *stage, int64_t done, int64_t total);
} kd_progress;

/* The host's own matrix product in place of CBLAS, float32, row-major:
 *   C (m x n, ldc) = alpha op(A) op(B) + beta C,
 *   op(A) is m x k, op(B) is k x n; A is transposed when ta is 1, B when tb is 1.
 * C is not read when beta is 0. Each context calls it from one thread at a time. Returns a
 * status. */
typedef struct kd_matmul {
    uint32_t struct_size;
    int32_t reserved;
    void *user;
    kd_status (*matmul)(void *user, int32_t ta, int32_t tb, int64_t m, int64_t n, int64_t k,
                        float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
                        float beta, float *c, int64_t ldc);
} kd_matmul;

/* Instruction sets of the library's own kernels. */
#define KD_ISA_AUTO 0
#define KD_ISA_PORTABLE 1 /* plain C for the compiler's baseline processor (SSE2, NEON) */
#define KD_ISA_AVX2 2     /* AVX2 and FMA */
#define KD_ISA_AVX512 3   /* AVX-512 F, BW, DQ, VL */

/* Who computes matrix products. */
/* the library where BLAS would run kernels for an older processor, else CBLAS */
#define KD_GEMM_AUTO 0
#define KD_GEMM_BLAS 1 /* always CBLAS */
#define KD_GEMM_OWN 2  /* always the library */

/* The precision of matrix products. With bfloat16 both operands are rounded as they are packed (8
 * bits of fraction) and sums stay float32. Parameters, activations, gradients, attention and the
 * optimizer stay float32 (mixed precision with float32 master weights). Processors without bfloat16
 * instructions compute the same result in float32, more slowly. */
#define KD_PRECISION_FLOAT32 0
#define KD_PRECISION_BFLOAT16 1
/* bfloat16 if a measurement at creation finds it 1.2 times as fast as float32, else float32 */
#define KD_PRECISION_MEASURED 2

typedef struct kd_context_options {
    uint32_t struct_size;
    int32_t threads; /* threads of the pool, caller included; 0: one per processor, at most 64 */
    uint64_t seed;   /* of everything random */
    int32_t isa;     /* KD_ISA_AUTO, or a set that the processor has (else KD_ERR_UNSUPPORTED) */
    int32_t gemm;    /* KD_GEMM_AUTO ... */
    const kd_allocator *allocator; /* NULL: malloc */
    const kd_logger *logger;       /* NULL: no log */
    const kd_progress *progress;   /* NULL: none */
    const kd_matmul *matmul;       /* NULL: as `gemm` says */
    /* KD_PRECISION_FLOAT32 ...; only float32 with a matmul of the host */
    int32_t matmul_precision;
    int32_t reserved;
} kd_context_options;

#define KD_CONTEXT_OPTIONS_INIT                                                                    \
    {                                                                                              \
        (uint32_t)sizeof(kd_context_options), 0, 0, KD_ISA_AUTO, KD_GEMM_AUTO, NULL, NULL, NULL,   \
            NULL, KD_PRECISION_FLOAT32, 0                                                          \
    }
KD_API void kd_context_options_init(kd_context_options *options, size_t size);

/* Creates a context. NULL options: defaults. Threads start with the first parallel work. Errors:
 * - KD_ERR_MEMORY
 * - KD_ERR_RANGE: threads outside 0 to 1024, gemm, matmul_precision.
 * - KD_ERR_UNSUPPORTED: isa.
 * - KD_ERR_INVALID: a matmul_precision other than float32 together with a matmul of the host. */
KD_API kd_status kd_context_create(kd_context **out, const kd_context_options *options);
KD_API void kd_context_free(kd_context *context);

/* Facts about a context, filled up to info->struct_size, which the caller sets. Texts live as long
 * as the context. */
typedef struct kd_context_info {
    uint32_t struct_size;
    int32_t threads;
    int32_t isa;           /* the instruction set in use */
    int32_t gemm;          /* KD_GEMM_BLAS or KD_GEMM_OWN: who computes products */
    int32_t blas_threads;  /* what BLAS uses now; 0 if it does not say */
    int32_t blas_is_slow;  /* 1: BLAS runs kernels for an older processor than this one */
    int32_t deterministic; /* 1: the same bits for any number of the library's threads */
    int32_t reserved;
    uint64_t seed;
    uint64_t allocations; /* calls to the allocator so far */
    uint64_t bytes;       /* currently held through the context's allocator */
    uint64_t peak_bytes;
    const char *blas;         /* "OpenBLAS 0.3.21 ..." */
    const char *blas_kernels; /* "SkylakeX", "Prescott", "unknown" */
    const char *blas_remedy;  /* what to do when blas_is_slow, else "" */
    int32_t matmul_precision; /* in use: KD_PRECISION_FLOAT32 or KD_PRECISION_BFLOAT16 */
    int32_t reserved2;
} kd_context_info;
KD_API kd_status kd_context_get_info(kd_context *context, kd_context_info *info);

/* Sets the number of threads of the BLAS library, 1 to 1024.
 * - It applies to the whole process, including every other user of BLAS.
 * - With 1 the library cuts products into tiles and runs them on its own pool: fast, and with the
 *   same bits for any number of threads.
 * - KD_ERR_UNSUPPORTED: this BLAS has no such call. */
KD_API kd_status kd_context_set_blas_threads(kd_context *context, int32_t threads);

/* Measures a product of 192 x 768 x 768 on the context's threads, in float32 as this context
 * computes it and in bfloat16: operations per second (a multiplication and an addition are two),
 * the best of six runs each. Takes some tens of milliseconds. */
KD_API kd_status kd_context_measure_matmul(kd_context *context, double *float32, double *bfloat16);

/* With on = 1, every running and future call that checks for cancellation ends with
 * KD_ERR_CANCELED; on = 0 lifts this. May be called from any thread and from a signal handler. */
KD_API kd_status kd_context_cancel(kd_context *context, int32_t on);

/* One matrix product as the library computes it; arguments as in kd_matmul. For measurements, and
 * for hosts that want the same bits. Requires k >= 1 and lda, ldb, ldc no smaller than the row
 * length. */
KD_API kd_status kd_context_matmul(kd_context *context, int32_t ta, int32_t tb, int64_t m,
                                   int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                                   const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

/* Frees a text that a call of this context made (kd_chat_render, kd_record_to_json, ...); NULL:
 * nothing. */
KD_API void kd_context_free_text(kd_context *context, char *text);

#ifdef __cplusplus
}
#endif
#endif
