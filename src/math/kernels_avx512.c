/* The kernels for AVX-512. */
#include "math/kernels_body.h"

const kd__kernels kd__kernels_avx512 = {
    .isa = KD_ISA_AVX512,
    .name = "avx512",
#include "math/kernels_fill.inc"
};
