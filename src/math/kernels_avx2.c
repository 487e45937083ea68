#include "math/kernels_body.h"

const kd__kernels kd__kernels_avx2 = KERNELS(KD_ISA_AVX2, "avx2");
