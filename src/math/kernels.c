/* Which set of kernels this processor runs. */
#include "math/kernels.h"

#include <kdistill/context.h>

#include "math/cpu.h"

#ifdef __x86_64__
static int has(int32_t isa)
{
    const uint32_t features = kd__cpu_features();
    if (isa == KD_ISA_AVX2) return (features & KD__CPU_AVX2) != 0;
    return isa == KD_ISA_PORTABLE || (isa == KD_ISA_AVX512 && features & KD__CPU_AVX512);
}

static const kd__kernels *table(int32_t isa)
{
    return isa == KD_ISA_AVX512 ? &kd__kernels_avx512
           : isa == KD_ISA_AVX2 ? &kd__kernels_avx2
                                : &kd__kernels_portable;
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
    KD_FAIL_IF(isa < KD_ISA_AUTO || isa > KD_ISA_AVX512, KD_ERR_RANGE,
               "isa: expected 0 to %d, got %d", KD_ISA_AVX512, isa);
    if (isa == KD_ISA_AUTO)
        for (isa = KD_ISA_AVX512; !has(isa); isa--) {}
    KD_FAIL_IF(!has(isa), KD_ERR_UNSUPPORTED, "this processor or system has no %s",
               isa == KD_ISA_AVX2 ? "AVX2 with FMA" : "AVX-512 F, BW, DQ and VL");
    *out = table(isa);
    return KD_OK;
}
