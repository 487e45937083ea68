/* Filters of a resize. Legend: a side of m pixels, of which low .. high become n; f(x) the filter,
 * of support r (f = 0 beyond).
 *
 *   s = (high - low) / n,  t = max(s, 1),  c_i = low + (i + 1/2) s
 *   w_ij = f((j + 1/2 - c_i) / t) / sum over j of the same,  c_i - r t <= j + 1/2 <= c_i + r t
 *
 * j runs over the pixels of the image alone. So does PIL [Pillow, Image.resize]; box and its
 * difference are float32 there. */
#include <math.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "core/pixels/pixels.h"

static double sinc(double x)
{
    const double turn = 3.14159265358979323846 * x;
    return x == 0 ? 1 : sin(turn) / turn;
}

static double lanczos(double x) { return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0; }

static double bilinear(double x) { return fabs(x) < 1 ? 1 - fabs(x) : 0; }

static double bicubic(double x)
{
    const double a = -0.5, z = fabs(x);
    if (z < 1) return ((a + 2) * z - (a + 3)) * z * z + 1;
    return z < 2 ? (((z - 5) * z + 8) * z - 4) * a : 0;
}

static double box(double x) { return x > -0.5 && x <= 0.5 ? 1 : 0; }

static const struct {
    double (*at)(double x);
    double support;
} filters[] = {
    [KD_RESAMPLE_LANCZOS] = { lanczos, 3 },
    [KD_RESAMPLE_BILINEAR] = { bilinear, 1 },
    [KD_RESAMPLE_BICUBIC] = { bicubic, 2 },
    [KD_RESAMPLE_BOX] = { box, 0.5 },
};

static kd_status allocate(kd__filter *f, kd_context *context, int64_t count, int64_t room)
{
    int64_t numbers;
    KD_TRY(kd__multiply(count, room, &numbers));
    KD_TRY(kd__multiply(numbers, (int64_t)(sizeof(double) + sizeof(int32_t)), &numbers));
    KD_TRY(kd__allocate(context, &f->block, numbers + 2 * count * (int64_t)sizeof(int32_t), 1));
    f->context = context;
    f->count = count;
    f->room = room;
    f->weights = f->block;
    f->fixed = (int32_t *)(void *)(f->weights + count * room);
    f->first = f->fixed + count * room;
    f->taps = f->first + count;
    return KD_OK;
}

void kd__filter_free(kd__filter *f)
{
    if (f->block) kd__release(f->context, f->block);
    f->block = NULL;
}

static int32_t to_fixed(double weight)
{
    const double limit = 2147483647, scaled = weight * (1 << KD__FIXED_BITS);
    const double rounded = scaled < 0 ? scaled - 0.5 : scaled + 0.5;
    return (int32_t)(rounded > limit ? limit : rounded < -limit ? -limit : rounded);
}

/* The weights of pixel i, which add up to 1. */
static void weigh(kd__filter *f, int64_t i, double (*at)(double), double center, double stretch)
{
    double *w = f->weights + i * f->room, sum = 0;
    const double shrink = 1 / stretch;
    for (int32_t t = 0; t < f->taps[i]; t++)
        sum += w[t] = at((t + f->first[i] - center + 0.5) * shrink);
    for (int32_t t = 0; t < f->taps[i]; t++) {
        if (sum != 0) w[t] /= sum;
        f->fixed[i * f->room + t] = to_fixed(w[t]);
    }
}

kd_status kd__filter_make(kd__filter *f, kd_context *context, int32_t resample, int64_t from,
                          double low, double high, int64_t count)
{
    const float begin = (float)low, end = (float)high;
    const int as_it_is = from == count && begin == 0 && end == (float)from;
    const double step = as_it_is ? 1 : (double)(end - begin) / (double)count,
                 stretch = step < 1 ? 1 : step;
    const int kind = as_it_is ? KD_RESAMPLE_BOX : resample;
    const double reach = filters[kind].support * stretch;
    KD_TRY(allocate(f, context, count, kd__min((int64_t)ceil(reach) * 2 + 1, from)));
    for (int64_t i = 0; i < count; i++) {
        const double center = begin + ((double)i + 0.5) * step;
        const int64_t first = (int64_t)kd__clamp((int64_t)(center - reach + 0.5), 0, from - 1),
                      last = kd__clamp((int64_t)(center + reach + 0.5), first + 1, from);
        f->first[i] = (int32_t)first;
        f->taps[i] = (int32_t)kd__min(last - first, f->room);
        weigh(f, i, filters[kind].at, center, stretch);
    }
    return KD_OK;
}
