#include "math/kernels_body.h"

const kd__kernels kd__kernels_portable = KERNELS(KD_ISA_PORTABLE, "portable");
