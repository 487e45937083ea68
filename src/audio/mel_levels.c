/* Levels: logarithms, the range of a sound, mean and spread, frames that are cut or added. */
#include <math.h>
#include <string.h>

#include "audio/mel.h"
#include "base/numbers.h"

float kd__mel_log(const kd_mel_options *o, double x)
{
    if (o->log == KD_MEL_LOG_NONE) return (float)x;
    const double above = (x < o->floor ? o->floor : x) + o->offset;
    const double natural = log(above); /* log10 takes three times as long */
    switch (o->log) {
    case KD_MEL_LOG_NATURAL: return (float)natural;
    case KD_MEL_LOG_BASE10: return (float)(natural * M_LOG10E);
    default: return (float)(20.0 / o->power * M_LOG10E * natural);
    }
}

static void cut_range(float *x, int64_t count, double range)
{
    float largest = -INFINITY;
    for (int64_t i = 0; i < count; i++) largest = x[i] > largest ? x[i] : largest;
    const float least = (float)(largest - range);
    for (int64_t i = 0; i < count; i++) x[i] = x[i] < least ? least : x[i];
}

/* Mean 0 and variance 1 of x[i step], i < count; what does not vary becomes 0. */
static void standardize(float *x, int64_t count, int64_t step)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) sum += x[i * step];
    const double mean = sum / (double)count;
    for (int64_t i = 0; i < count; i++)
        squares += ((double)x[i * step] - mean) * ((double)x[i * step] - mean);
    const double spread = sqrt(squares / (double)count),
                 scale = 1 / (spread > 1e-5 ? spread : 1e-5);
    for (int64_t i = 0; i < count; i++) x[i * step] = (float)(((double)x[i * step] - mean) * scale);
}

static void normalize(const kd_mel_options *o, float *x, int64_t frames)
{
    if (o->normalize == KD_MEL_NORMALIZE_SOUND) standardize(x, frames * o->mels, 1);
    if (o->normalize == KD_MEL_NORMALIZE_BANDS)
        for (int32_t b = 0; b < o->mels; b++) standardize(x + b, frames, o->mels);
}

void kd__mel_finish(const kd_mel_options *o, float *values, int64_t made, int64_t frames)
{
    const int64_t count = made * o->mels, all = frames * o->mels;
    if (made && o->range > 0) cut_range(values, count, o->range);
    if (made) normalize(o, values, made);
    for (int64_t i = count; i < all; i++) values[i] = 0;
    if (o->normalize == KD_MEL_NORMALIZE_FIXED)
        for (int64_t i = 0; i < all; i++)
            values[i] = (float)(((double)values[i] - o->mean) / o->std);
}
