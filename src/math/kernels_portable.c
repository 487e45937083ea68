/* The kernels for any processor. */
#include "math/kernels_body.h"

const kd__kernels kd__kernels_portable = {
    .isa = KD_ISA_PORTABLE,
    .name = "portable",
#include "math/kernels_fill.inc"
};
