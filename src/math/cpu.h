/* What the processor and its operating system can run. */
#ifndef KD_MATH_CPU_H
#define KD_MATH_CPU_H

#include <stdint.h>

#define KD__CPU_AVX2 1   /* with FMA and F16C                                  */
#define KD__CPU_AVX512 2 /* F, BW, DQ, VL                                      */
#define KD__CPU_AVX512_VNNI 4
#define KD__CPU_AVX512_BF16 8
#define KD__CPU_AVX_VNNI 16 /* VNNI of 256 bits, without AVX-512 */

/* All of the bits above that hold here; asked of the processor itself, since some compilers'
 * runtimes answer 0 to everything (ziglang/zig#18074). */
uint32_t kd__cpu_features(void);

/* The same from the registers: leaf 1 (ecx), leaf 7.0 (ebx, ecx), leaf 7.1 (eax), and XCR0, which
 * tells what the system saves. */
typedef struct kd__cpu_registers {
    uint32_t leaf1_ecx, leaf7_ebx, leaf7_ecx, leaf71_eax;
    uint64_t xcr0;
} kd__cpu_registers;
uint32_t kd__cpu_read(const kd__cpu_registers *registers);

#endif
