/* The only file that includes CBLAS. Which BLAS it is was decided when the library was built
 * (KD_BLAS_OPENBLAS, KD_BLAS_BLIS). */
#include "math/blas.h"

#include <stdio.h>
#include <string.h>

#include "base/context.h"
#include "math/kernels.h"

#if defined(KD_BLAS_NONE)

/* A build without BLAS: the library's own products only (KD_GEMM_BLAS is refused when a context is
 * created). */
void kd__blas_call(const kd__gemm *g) { (void)g; }
int32_t kd__blas_threads(void) { return 0; }
kd_status kd__blas_set_threads(int32_t threads)
{
    (void)threads;
    return KD_OK;
}
void kd__blas_facts(kd_context *context)
{
    snprintf(context->blas, sizeof context->blas, "none");
    snprintf(context->blas_kernels, sizeof context->blas_kernels, "%s", context->kernels->name);
}

#else

#if defined(KD_BLAS_BLIS)
#include <blis.h>
#include <cblas.h>
#else
#include <cblas.h>
#endif

void kd__blas_call(const kd__gemm *g)
{
    cblas_sgemm(CblasRowMajor, g->a_t ? CblasTrans : CblasNoTrans,
                g->b_t ? CblasTrans : CblasNoTrans, (int)g->m, (int)g->n, (int)g->k, g->alpha, g->a,
                (int)g->lda, g->b, (int)g->ldb, g->beta, g->c, (int)g->ldc);
}

#if defined(KD_BLAS_BLIS)
int32_t kd__blas_threads(void)
{
    int64_t threads = (int64_t)bli_thread_get_num_threads();
    return threads < 1 ? 1 : (int32_t)threads; /* -1: not set, which means one */
}

kd_status kd__blas_set_threads(int32_t threads)
{
    bli_thread_set_num_threads(threads);
    return KD_OK;
}

static void name_blas(kd_context *context)
{
    snprintf(context->blas, sizeof context->blas, "BLIS %s", bli_info_get_version_str());
    snprintf(context->blas_kernels, sizeof context->blas_kernels, "%s",
             bli_arch_string(bli_arch_query_id()));
    snprintf(context->blas_remedy, sizeof context->blas_remedy,
             "set BLIS_ARCH_TYPE in the environment of the process, or gemm = KD_GEMM_OWN");
}
#else
int32_t kd__blas_threads(void) { return (int32_t)openblas_get_num_threads(); }

kd_status kd__blas_set_threads(int32_t threads)
{
    openblas_set_num_threads(threads);
    return KD_OK;
}

static void name_blas(kd_context *context)
{
    snprintf(context->blas, sizeof context->blas, "%.150s", openblas_get_config());
    snprintf(context->blas_kernels, sizeof context->blas_kernels, "%s", openblas_get_corename());
    snprintf(context->blas_remedy, sizeof context->blas_remedy,
             "set OPENBLAS_CORETYPE=%s in the environment of the process, or gemm = KD_GEMM_OWN",
             context->kernels->isa == KD_ISA_AVX512 ? "SkylakeX" : "Haswell");
}
#endif

/* Kernels' instruction set by the name that BLAS gives them; unknown names are taken as up to
 * date. */
static int32_t kernels_isa(const char *name)
{
    static const char *const old[] = { "Prescott",   "Core2",     "Penryn",      "Dunnington",
                                       "Nehalem",    "Atom",      "Sandybridge", "Katmai",
                                       "Coppermine", "Northwood", "Banias",      "Opteron",
                                       "Barcelona",  "Bobcat",    "penryn",      "sandybridge",
                                       "generic",    "Generic" };
    static const char *const middle[] = { "Haswell",     "Zen",        "Excavator",
                                          "Steamroller", "Piledriver", "Bulldozer",
                                          "haswell",     "zen",        "zen2" };
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        if (!strcmp(name, old[i])) return KD_ISA_PORTABLE;
    for (size_t i = 0; i < sizeof middle / sizeof *middle; i++)
        if (!strcmp(name, middle[i])) return KD_ISA_AVX2;
    return KD_ISA_AVX512;
}

void kd__blas_facts(kd_context *context)
{
    name_blas(context);
    const kd__kernels *best = NULL;
    int32_t have = kd__kernels_choose(KD_ISA_AUTO, &best) == KD_OK ? best->isa : KD_ISA_PORTABLE;
    context->blas_is_slow = kernels_isa(context->blas_kernels) < have;
    if (!context->blas_is_slow) context->blas_remedy[0] = 0;
}

#endif
