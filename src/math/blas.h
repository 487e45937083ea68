/* The BLAS library: one call, and facts about it. */
#ifndef KD_MATH_BLAS_H
#define KD_MATH_BLAS_H

#include "math/gemm.h"

void kd__blas_call(const kd__gemm *product);

#endif
