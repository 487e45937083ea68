#include "nn/rope.h"

#include <math.h>

#define TWO_PI 6.283185307179586

static double limited(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

/* Wavelengths above original/low are stretched by the factor, those below original/high are left, between them a mixture. */
static double llama3(const kd__rope *r, double f)
{
    const double length = TWO_PI / f, turns = r->original / length;
    if (length > r->original / r->low) return f / r->factor;
    if (length < r->original / r->high) return f;
    const double smooth = (turns - r->low) / (r->high - r->low);
    return (1 - smooth) * f / r->factor + smooth * f;
}

/* The pair (as a real number) that turns `turns` times within the original length. */
static double pair_of(const kd__rope *r, double turns, double width) { return width * log(r->original / (turns * TWO_PI)) / (2 * log(r->theta)); }

/* Fast pairs are left, slow ones stretched, a ramp between them.                                            [Peng et al. 2023] */
static double yarn(const kd__rope *r, double f, int64_t pair, int64_t width)
{
    double low = pair_of(r, r->fast, (double)width), high = pair_of(r, r->slow, (double)width);
    if (r->truncate) low = floor(low), high = ceil(high);
    low = low < 0 ? 0 : low;
    high = high > (double)width - 1 ? (double)width - 1 : high;
    if (low == high) high += 0.001;
    const double stretched = limited(((double)pair - low) / (high - low), 0, 1);
    return f / r->factor * stretched + f * (1 - stretched);
}

void kd__rope_frequencies(const kd__rope *r, int64_t width, int64_t length, float *inverse)
{
    double theta = r->theta;
    if (r->kind == KD__ROPE_DYNAMIC && (double)length > r->original)
        theta *= pow(r->factor * (double)length / r->original - (r->factor - 1), (double)width / (double)(width - 2));
    for (int64_t i = 0; i < width / 2; i++) {
        const double f = 1.0f / (float)pow(theta, (float)(2 * i) / (float)width);
        inverse[i] = (float)(r->kind == KD__ROPE_LINEAR   ? f / r->factor
                             : r->kind == KD__ROPE_LLAMA3 ? llama3(r, f)
                             : r->kind == KD__ROPE_YARN   ? yarn(r, f, i, width)
                                                          : f);
    }
}

void kd__rope_angles(const kd__rope *r, int64_t width, const float *inverse, int64_t position, float *cosine, float *sine)
{
    const double times = r->kind == KD__ROPE_YARN ? r->attention : 1;
    for (int64_t i = 0; i < width / 2; i++) {
        const float angle = (float)position * inverse[i];
        cosine[i] = (float)(times * cos((double)angle));
        sine[i] = (float)(times * sin((double)angle));
    }
}
