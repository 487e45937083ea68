/* A real transform of size 2h as a complex one of h numbers z_j = x_2j + i x_(2j+1), in passes of
 * radix 4, 2, 3, 5 and 7. */
#include "math/fourier.h"

#include <math.h>

#include "base/context.h"
#include "base/memory.h"

static const int64_t radices[] = { 4, 2, 3, 5, 7 };
enum { RADICES = 5 };

int kd__fourier_fits(int64_t size)
{
    if (size < 2 || size > KD__FOURIER_MAX || size % 2) return 0;
    for (int i = 0; i < RADICES; i++)
        while (size % radices[i] == 0) size /= radices[i];
    return size == 1;
}

/* The passes; how many doubles their factors take: (radix - 1) turns for each group of numbers, and
 * the roots of the radix. */
static int64_t plan(kd__fourier *f)
{
    int64_t left = f->half, stride = KD__LANES, doubles = 2 * (f->half + 1);
    f->passes = 0;
    for (int i = 0; i < RADICES; i++)
        while (left % radices[i] == 0) {
            const int64_t r = radices[i];
            left /= r;
            f->pass[f->passes++] =
                (kd__fourier_pass){ .radix = r, .length = left, .stride = stride };
            doubles += 2 * (r - 1) * left + 2 * r;
            stride *= r;
        }
    return doubles;
}

/* (cos, sign sin)(2 pi part / whole) */
static double *put_turn(double *to, int64_t part, int64_t whole, double sign)
{
    const double angle = 2 * M_PI * (double)(part % whole) / (double)whole;
    to[0] = cos(angle);
    to[1] = sign * sin(angle);
    return to + 2;
}

static double *fill_pass(kd__fourier_pass *p, double *to)
{
    const int64_t r = p->radix;
    p->turns = to;
    for (int64_t i = 0; i < p->length; i++)
        for (int64_t k = 1; k < r; k++) to = put_turn(to, i * k, r * p->length, -1);
    p->roots = to;
    for (int64_t k = 0; k < r; k++) to = put_turn(to, k, r, 1);
    return to;
}

kd_status kd__fourier_create(kd__fourier *f, kd_context *context, int64_t size)
{
    *f = (kd__fourier){ .size = size, .half = size / 2 };
    KD_TRY(KD_NEW(context, &f->turns, plan(f)));
    double *to = f->turns;
    for (int32_t i = 0; i < f->passes; i++) to = fill_pass(&f->pass[i], to);
    f->split = to;
    for (int64_t k = 0; k <= f->half; k++) to = put_turn(to, k, size, -1);
    return KD_OK;
}

void kd__fourier_free(kd__fourier *f, kd_context *context) { kd__release(context, f->turns); }

int64_t kd__fourier_scratch(const kd__fourier *f) { return 4 * f->half * KD__LANES; }

void kd__fourier_power(const kd__fourier *f, const kd_context *context, double *scratch,
                       double *power)
{
    const int64_t part = f->half * KD__LANES;
    double *at[2] = { scratch, scratch + part }, *other[2] = { at[1] + part, at[1] + 2 * part };
    for (int32_t i = 0; i < f->passes; i++) {
        const double *const from[2] = { at[0], at[1] };
        context->kernels->fourier_pass(&f->pass[i], from, other);
        for (int j = 0; j < 2; j++) {
            double *swapped = at[j];
            at[j] = other[j];
            other[j] = swapped;
        }
    }
    const double *const z[2] = { at[0], at[1] };
    context->kernels->fourier_power(power, z, f->split, f->half);
}
