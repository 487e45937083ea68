#include "math/kernels_body.h"

const kd__kernels kd__kernels_avx512 = KERNELS(KD_ISA_AVX512, "avx512");
