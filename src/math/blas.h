/* The BLAS library: one call, and facts about it. */
#ifndef KD_MATH_BLAS_H
#define KD_MATH_BLAS_H

#include "math/gemm.h"

void kd__blas_call(const kd__gemm *product);

/* Facts about the BLAS library: fills context->blas, blas_kernels, blas_remedy, blas_is_slow. */
void kd__blas_facts(kd_context *context);
/* Threads that BLAS uses now; 0 where it does not tell. */
int32_t kd__blas_threads(void);
kd_status kd__blas_set_threads(int32_t threads);

#endif
