/* Rotary position embedding: frequencies of each kind, angles, rotation. */
#include "nn/rope.h"

#include <math.h>

#define TWO_PI 6.283185307179586

static double limited(double x, double low, double high)
{
    if (x < low) return low;
    return x > high ? high : x;
}

/* Wavelengths above original/low are stretched by the factor, those below original/high are left,
 * between them a mixture. */
static double llama3(const kd__rope *r, double f)
{
    const double length = TWO_PI / f, turns = r->original / length;
    if (length > r->original / r->low) return f / (float)r->factor;
    if (length < r->original / r->high) return f;
    const double smooth = (turns - r->low) / (r->high - r->low);
    return (1 - smooth) * f / (float)r->factor + smooth * f;
}

/* The pair (as a real number) that turns `turns` times within the original length. */
static double pair_of(const kd__rope *r, double turns, double width)
{
    return width * log(r->original / (turns * TWO_PI)) / (2 * log(r->theta));
}

void kd__rope_yarn_range(const kd__rope *r, int64_t width, double *low, double *high)
{
    const double last = (double)width - 1;
    *low = pair_of(r, r->fast, (double)width);
    *high = pair_of(r, r->slow, (double)width);
    if (r->truncate) {
        *low = floor(*low);
        *high = ceil(*high);
    }
    if (*low < 0) *low = 0;
    if (*high > last) *high = last;
}

/* Fast pairs are left, slow ones stretched, a ramp between them. [Peng et al. 2023] */
static double yarn(const kd__rope *r, double f, int64_t pair, int64_t width)
{
    double low, high;
    kd__rope_yarn_range(r, width, &low, &high);
    if (low == high) high += 0.001;
    const double stretched = limited(((double)pair - low) / (high - low), 0, 1);
    return f / (float)r->factor * stretched + f * (1 - stretched);
}

/* A frequency as the kind changes it. */
static double changed(const kd__rope *r, double f, int64_t pair, int64_t width)
{
    switch (r->kind) {
    case KD__ROPE_LINEAR: return f / (float)r->factor;
    case KD__ROPE_LLAMA3: return llama3(r, f);
    case KD__ROPE_YARN: return yarn(r, f, pair, width);
    case KD__ROPE_DIVISORS: return f / (double)r->divisors[pair];
    default: return f;
    }
}

/* A text longer than the original length stretches the base. */
static double base_of(const kd__rope *r, int64_t width, int64_t length)
{
    if (r->kind != KD__ROPE_DYNAMIC || (double)length <= r->original) return r->theta;
    const double stretched = r->factor * (double)length / r->original - (r->factor - 1);
    return r->theta * pow(stretched, (double)width / (double)(width - 2));
}

/* The config's numbers meet tensors here, and do so as float32, as in PyTorch. Files that keep them
 * as float32 (GGUF) then give the same bits. */
void kd__rope_frequencies(const kd__rope *r, int64_t width, int64_t length, float *inverse)
{
    const float theta = (float)base_of(r, width, length);
    for (int64_t i = 0; i < width / 2; i++) {
        const float exponent = (float)(2 * i) / (float)width;
        const double f = 1.0f / (float)pow(theta, exponent);
        inverse[i] = (float)changed(r, f, i, width);
    }
}

void kd__rope_angles(const kd__rope *r, int64_t width, const float *inverse, int64_t position,
                     float *cosine, float *sine)
{
    const int scales = r->kind == KD__ROPE_YARN || r->kind == KD__ROPE_DIVISORS;
    const float times = scales ? (float)r->attention : 1;
    for (int64_t i = 0; i < width / 2; i++) {
        const float angle = (float)position * inverse[i];
        cosine[i] = times * (float)cos((double)angle);
        sine[i] = times * (float)sin((double)angle);
    }
}
