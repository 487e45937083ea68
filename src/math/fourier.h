/* Power spectra of real numbers, KD__LANES of them at once. */
#ifndef KD_MATH_FOURIER_H
#define KD_MATH_FOURIER_H

#include <kdistill/context.h>

#include "math/kernels.h"

enum { KD__FOURIER_PASSES = 16, KD__FOURIER_MAX = 16384 };

/* What a size needs; `turns` holds all factors. */
typedef struct kd__fourier {
    int64_t size, half;
    int32_t passes;
    kd__fourier_pass pass[KD__FOURIER_PASSES];
    double *turns;       /* one block */
    const double *split; /* in it: (half + 1, 2) */
} kd__fourier;

/* Even, a product of 2, 3, 5 and 7, at most KD__FOURIER_MAX. */
int kd__fourier_fits(int64_t size);
kd_status kd__fourier_create(kd__fourier *f, kd_context *context, int64_t size);
void kd__fourier_free(kd__fourier *f, kd_context *context);
/* Doubles of scratch for a call. */
int64_t kd__fourier_scratch(const kd__fourier *f);
/* The scratch begins with the numbers: number 2j of lane l at j KD__LANES + l, number 2j + 1 half
 * KD__LANES after it. */
/* |X_k|^2 for k <= half, (half + 1, lanes). */
void kd__fourier_power(const kd__fourier *f, const kd_context *context, double *scratch,
                       double *power);

#endif
