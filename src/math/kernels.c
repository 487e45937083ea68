#include "math/kernels.h"

#include <kdistill/context.h>

#ifdef __x86_64__
/* The compiler's test looks at CPUID and at XGETBV: the system must save the wide registers too. */
static int has(int32_t isa)
{
    __builtin_cpu_init();
    if (isa == KD_ISA_AVX2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (isa == KD_ISA_AVX512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
    return isa == KD_ISA_PORTABLE;
}

static const kd__kernels *table(int32_t isa)
{
    return isa == KD_ISA_AVX512 ? &kd__kernels_avx512 : isa == KD_ISA_AVX2 ? &kd__kernels_avx2 : &kd__kernels_portable;
}
#else
static int has(int32_t isa) { return isa == KD_ISA_PORTABLE; }
static const kd__kernels *table(int32_t isa)
{
    (void)isa;
    return &kd__kernels_portable;
}
#endif

kd_status kd__kernels_choose(int32_t isa, const kd__kernels **out)
{
    KD_FAIL_IF(isa < KD_ISA_AUTO || isa > KD_ISA_AVX512, KD_ERR_RANGE, "isa: expected 0 to %d, got %d", KD_ISA_AVX512, isa);
    if (isa == KD_ISA_AUTO)
        for (isa = KD_ISA_AVX512; !has(isa); isa--) {}
    KD_FAIL_IF(!has(isa), KD_ERR_UNSUPPORTED, "this processor or system has no %s",
               isa == KD_ISA_AVX2 ? "AVX2 with FMA" : "AVX-512 F, BW, DQ and VL");
    *out = table(isa);
    return KD_OK;
}
