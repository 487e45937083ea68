/* The kernels for AVX2. */
#include "math/kernels_body.h"

const kd__kernels kd__kernels_avx2 = {
    .isa = KD_ISA_AVX2,
    .name = "avx2",
#include "math/kernels_fill.inc"
};
