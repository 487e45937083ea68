/* Creating a context: options, processors, BLAS, kernels, threads. */
#include "base/context.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/thread.h"
#include "math/cpu.h"
#include "math/bfloat16.h"
#include "math/blas.h"
#include "math/gemm.h"
#include "math/kernels.h"

#define LARGE ((size_t)8 << 20)

/* Large blocks ask for huge pages: products walk down columns that lie pages apart. */
static void *plain_allocate(void *user, size_t bytes)
{
    (void)user;
    char *block = malloc(bytes);
    if (block && bytes >= LARGE) kd__os_advise_huge(block, bytes);
    return block;
}

static void *plain_reallocate(void *user, void *block, size_t old_bytes, size_t new_bytes)
{
    (void)user, (void)old_bytes;
    return realloc(block, new_bytes);
}

static void plain_release(void *user, void *block, size_t bytes)
{
    (void)user, (void)bytes;
    free(block);
}

static const kd_context_options defaults = KD_CONTEXT_OPTIONS_INIT;

void kd_context_options_init(kd_context_options *options, size_t size)
{
    kd__options_init(options, size, &defaults, sizeof defaults);
}

static kd_status read_callbacks(kd_context *made, const kd_context_options *o)
{
    made->allocator =
        (kd_allocator){ sizeof(kd_allocator), 0, NULL, plain_allocate, plain_reallocate,
                        plain_release };
    KD_TRY(
        kd__options_read(&made->allocator, sizeof made->allocator, o->allocator, "kd_allocator"));
    KD_TRY(kd__options_read(&made->logger, sizeof made->logger, o->logger, "kd_logger"));
    KD_TRY(kd__options_read(&made->progress, sizeof made->progress, o->progress, "kd_progress"));
    KD_TRY(kd__options_read(&made->matmul, sizeof made->matmul, o->matmul, "kd_matmul"));
    KD_FAIL_IF(!made->allocator.allocate || !made->allocator.release, KD_ERR_INVALID,
               "kd_allocator: expected both allocate and release (reallocate may be NULL), or no "
               "allocator");
    return KD_OK;
}

static void choose_gemm(kd_context *context, int32_t wanted)
{
#ifdef KD_BLAS_NONE
    context->gemm_asked = context->gemm = KD_GEMM_OWN;
    (void)wanted;
#else
    context->gemm_asked = wanted;
    context->gemm = wanted == KD_GEMM_AUTO ? (context->blas_is_slow ? KD_GEMM_OWN : KD_GEMM_BLAS)
                                           : wanted;
    if (context->blas_is_slow)
        kd__log(context, KD_LOG_WARNING, "BLAS (%s) runs kernels for an older processor (%s): %s%s",
                context->blas, context->blas_kernels, context->blas_remedy,
                context->gemm == KD_GEMM_OWN ? "; the library uses its own products instead" : "");
#endif
}

/* Measured: a fifth faster at least. */
static kd_status choose_products(kd_context *context, int32_t wanted)
{
    double float32 = 0, bfloat16 = 0;
    if (wanted == KD_PRECISION_MEASURED) KD_TRY(kd__measure_products(context, &float32, &bfloat16));
    if (wanted == KD_PRECISION_BFLOAT16 || bfloat16 > 1.2 * float32)
        context->bfloat16 = kd__bfloat16_tiles(context);
    return KD_OK;
}

static kd_status set_up(kd_context *context, const kd_context_options *o)
{
    KD_TRY(kd__kernels_choose(o->isa, &context->kernels));
    context->cpu = kd__cpu_features();
    context->threads = o->threads ? o->threads : kd__processors("");
    context->seed = o->seed;
    context->locale = kd__os_locale_create();
    KD_FAIL_IF(!context->locale, KD_ERR_MEMORY, "no memory for the C locale");
    kd__blas_facts(context);
#ifdef KD_BLAS_NONE
    KD_FAIL_IF(o->gemm == KD_GEMM_BLAS, KD_ERR_UNSUPPORTED,
               "gemm: KD_GEMM_BLAS needs a build with BLAS: use KD_GEMM_OWN");
#endif
    KD_TRY(kd__pool_create(context));
    choose_gemm(context, o->gemm);
    return choose_products(context, o->matmul_precision);
}

kd_status kd_context_create(kd_context **out, const kd_context_options *options)
{
    kd_context_options o = defaults;
    kd_context made = { .threads = 1 }, *context = NULL;
    KD_NEED(out);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_context_options"));
    KD_FAIL_IF(o.threads < 0 || o.threads > 1024, KD_ERR_RANGE,
               "threads: expected 0 to 1024, got %d", o.threads);
    KD_FAIL_IF(o.gemm < KD_GEMM_AUTO || o.gemm > KD_GEMM_OWN, KD_ERR_RANGE,
               "gemm: expected 0 to %d, got %d", KD_GEMM_OWN, o.gemm);
    KD_FAIL_IF(o.matmul_precision < KD_PRECISION_FLOAT32 ||
                   o.matmul_precision > KD_PRECISION_MEASURED,
               KD_ERR_RANGE, "matmul_precision: expected 0 to %d, got %d", KD_PRECISION_MEASURED,
               o.matmul_precision);
    KD_TRY(read_callbacks(&made, &o));
    KD_FAIL_IF(o.matmul_precision && made.matmul.matmul, KD_ERR_INVALID,
               "matmul_precision: the host's matmul computes float32; give one or the other");
    context = made.allocator.allocate(made.allocator.user, sizeof *context);
    KD_FAIL_IF(!context, KD_ERR_MEMORY, "out of memory for a context");
    memset(context, 0, sizeof *context);
    context->allocator = made.allocator;
    context->logger = made.logger;
    context->progress = made.progress;
    context->matmul = made.matmul;
    context->free = kd_context_free;
    atomic_init(&context->references, 1);
    kd_status status = set_up(context, &o);
    if (status != KD_OK) {
        kd_context_free(context);
        return status;
    }
    *out = context;
    return KD_OK;
}

void kd_context_free(kd_context *context)
{
    if (!context || atomic_fetch_sub(&context->references, 1) != 1) return;
    kd__pool_free(context);
    kd__release(context, atomic_load(&context->scratch));
    kd__os_locale_free(context->locale);
    context->allocator.release(context->allocator.user, context, sizeof *context);
}

kd_status kd_context_get_info(kd_context *context, kd_context_info *info)
{
    KD_NEED(context);
    kd_context_info now = { .threads = context->threads,
                            .isa = context->kernels->isa,
                            .gemm = context->gemm,
                            .blas_threads = kd__blas_threads(),
                            .blas_is_slow = context->blas_is_slow,
                            .seed = context->seed,
                            .allocations = atomic_load(&context->allocations),
                            .bytes = atomic_load(&context->bytes),
                            .peak_bytes = atomic_load(&context->peak_bytes),
                            .blas = context->blas,
                            .blas_kernels = context->blas_kernels,
                            .blas_remedy = context->blas_remedy,
                            .matmul_precision = context->bfloat16 ? KD_PRECISION_BFLOAT16
                                                                  : KD_PRECISION_FLOAT32 };
    now.deterministic = !context->matmul.matmul && (context->gemm == KD_GEMM_OWN ||
                                                    context->bfloat16 || now.blas_threads == 1);
    return kd__info_write(info, &now, sizeof now, "kd_context_info");
}

kd_status kd_context_set_blas_threads(kd_context *context, int32_t threads)
{
    KD_NEED(context);
    KD_FAIL_IF(threads < 1 || threads > 1024, KD_ERR_RANGE, "threads: expected 1 to 1024, got %d",
               threads);
    return kd__blas_set_threads(threads);
}

kd_status kd_context_measure_matmul(kd_context *context, double *float32, double *bfloat16)
{
    KD_NEED(context);
    KD_NEED(float32);
    KD_NEED(bfloat16);
    return kd__measure_products(context, float32, bfloat16);
}

kd_status kd_context_cancel(kd_context *context, int32_t on)
{
    KD_NEED(context);
    atomic_store(&context->canceled, on != 0);
    return KD_OK;
}

kd_status kd_context_matmul(kd_context *context, int32_t ta, int32_t tb, int64_t m, int64_t n,
                            int64_t k, float alpha, const float *a, int64_t lda, const float *b,
                            int64_t ldb, float beta, float *c, int64_t ldc)
{
    KD_NEED(context);
    KD_FAIL_IF(
        m < 0 || n < 0 || k < 1 || m > INT32_MAX || n > INT32_MAX || k > INT32_MAX, KD_ERR_SHAPE,
        "matmul: expected m and n of 0 to 2^31 - 1 and k of 1 to 2^31 - 1, got %lld, %lld and %lld",
        (long long)m, (long long)n, (long long)k);
    KD_FAIL_IF(lda < (ta ? m : k) || ldb < (tb ? k : n) || ldc < n, KD_ERR_SHAPE,
               "matmul: expected lda, ldb and ldc of at least %lld, %lld and %lld, got %lld, %lld "
               "and %lld",
               (long long)(ta ? m : k), (long long)(tb ? k : n), (long long)n, (long long)lda,
               (long long)ldb, (long long)ldc);
    KD_FAIL_IF(!a || !b || !c, KD_ERR_INVALID, "matmul: expected an array for %s, got NULL",
               !a   ? "a"
               : !b ? "b"
                    : "c");
    const kd__gemm product = { .a_t = ta != 0,
                               .b_t = tb != 0,
                               .m = m,
                               .n = n,
                               .k = k,
                               .alpha = alpha,
                               .a = a,
                               .lda = lda,
                               .b = b,
                               .ldb = ldb,
                               .beta = beta,
                               .c = c,
                               .ldc = ldc };
    return kd__gemm_run(context, &product);
}

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#ifdef KD_WITH_ZLIB
#define ZLIB "yes"
#else
#define ZLIB "no"
#endif
#ifdef KD_BLAS_BLIS
#define BLAS "blis"
#elif defined(KD_BLAS_NONE)
#define BLAS "none"
#else
#define BLAS "openblas"
#endif

const char *kd_build_info(void)
{
    return "kdistill " TEXT(KD_VERSION_MAJOR) "." TEXT(KD_VERSION_MINOR) "." TEXT(
        KD_VERSION_PATCH) "; blas " BLAS "; zlib " ZLIB "; compiler " __VERSION__;
}

void kd_context_free_text(kd_context *context, char *text)
{
    if (context) kd__release(context, text);
}
