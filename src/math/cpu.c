/* Processor features by CPUID and XGETBV (Intel SDM vol. 2A, CPUID; vol. 1, 14.3 and 15.2). */
#include "math/cpu.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

static int has(uint32_t word, uint32_t mask) { return (word & mask) == mask; }

uint32_t kd__cpu_read(const kd__cpu_registers *r)
{
    const uint32_t fma_xsave_avx_f16c = 1u << 12 | 1u << 27 | 1u << 28 | 1u << 29;
    const uint32_t f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    const uint64_t ymm = 0x6, zmm = 0xe6;
    uint32_t found = 0;
    if (!has(r->leaf1_ecx, fma_xsave_avx_f16c) || (r->xcr0 & ymm) != ymm ||
        !has(r->leaf7_ebx, 1u << 5))
        return 0;
    found |= KD__CPU_AVX2;
    if (has(r->leaf71_eax, 1u << 4)) found |= KD__CPU_AVX_VNNI;
    if (!has(r->leaf7_ebx, f_dq_bw_vl) || (r->xcr0 & zmm) != zmm) return found;
    found |= KD__CPU_AVX512;
    if (has(r->leaf7_ecx, 1u << 11)) found |= KD__CPU_AVX512_VNNI;
    if (has(r->leaf71_eax, 1u << 5)) found |= KD__CPU_AVX512_BF16;
    return found;
}

#ifdef __x86_64__
static uint64_t read_xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

uint32_t kd__cpu_features(void)
{
    kd__cpu_registers r = { 0 };
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &r.leaf1_ecx, &d)) return 0;
    if (has(r.leaf1_ecx, 1u << 27)) r.xcr0 = read_xcr0(); /* OSXSAVE: xgetbv is there */
    if (__get_cpuid_count(7, 0, &a, &r.leaf7_ebx, &r.leaf7_ecx, &d) && a >= 1)
        __get_cpuid_count(7, 1, &r.leaf71_eax, &b, &c, &d);
    return kd__cpu_read(&r);
}
#else
uint32_t kd__cpu_features(void) { return 0; }
#endif
