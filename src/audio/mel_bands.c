/* Windows of frames, and bands: triangles over frequencies, whose corners lie evenly in mels. */
#include <math.h>

#include "audio/mel.h"
#include "base/memory.h"
#include "base/numbers.h"

/* ---- windows ---- */

void kd__mel_window(const kd_mel_options *o, double *window)
{
    const int64_t n = o->window_length;
    const double steps = (double)kd__max(1, o->symmetric ? n - 1 : n);
    for (int64_t i = 0; i < n; i++) {
        const double c = cos(2 * M_PI * (double)i / steps);
        double w = 1;
        if (o->window == KD_WINDOW_HANN) w = 0.5 - 0.5 * c;
        if (o->window == KD_WINDOW_HAMMING) w = 0.54 - 0.46 * c;
        if (o->window == KD_WINDOW_POVEY) w = pow(0.5 - 0.5 * c, 0.85);
        window[i] = o->gain * (n == 1 ? 1 : w);
    }
}

/* ---- scales ---- */

#define SLANEY_STEP (200.0 / 3)           /* Hz a mel, up to 1000 Hz */
#define SLANEY_LOG (0.068751777420949123) /* log(6.4) / 27 */

static double to_mel(int32_t scale, double hertz)
{
    if (scale == KD_MEL_SCALE_HTK) return 2595 * log10(1 + hertz / 700);
    return hertz < 1000 ? hertz / SLANEY_STEP : 15 + log(hertz / 1000) / SLANEY_LOG;
}

static double to_hertz(int32_t scale, double mel)
{
    if (scale == KD_MEL_SCALE_HTK) return 700 * (pow(10, mel / 2595) - 1);
    return mel < 15 ? mel * SLANEY_STEP : 1000 * exp((mel - 15) * SLANEY_LOG);
}

/* ---- bands ---- */

/* A triangle over hertz, or over mels. */
typedef struct {
    double left, center, right, factor;
    int32_t in_mels;
} triangle;

static double weight_at(const kd_mel_options *o, const triangle *t, double hertz)
{
    const double x = t->in_mels ? to_mel(o->scale, hertz) : hertz;
    if (x <= t->left || x >= t->right) return 0;
    const double up = (x - t->left) / (t->center - t->left),
                 down = (t->right - x) / (t->right - t->center);
    return t->factor * (up < down ? up : down);
}

static triangle triangle_of(const kd_mel_options *o, int32_t band)
{
    const double low = to_mel(o->scale, o->low),
                 high = to_mel(o->scale, o->high > 0 ? o->high : 0.5 * o->sample_rate),
                 step = (high - low) / (o->mels + 1);
    double corner[3], hertz[3];
    for (int i = 0; i < 3; i++) {
        corner[i] = low + step * (band + i);
        hertz[i] = to_hertz(o->scale, corner[i]);
    }
    const double *at = o->mel_triangles ? corner : hertz;
    return (triangle){ at[0], at[1], at[2], o->equal_area ? 2 / (hertz[2] - hertz[0]) : 1,
                       o->mel_triangles };
}

kd_status kd__mel_bands(kd_mel *mel, int64_t *empty)
{
    const kd_mel_options *o = &mel->o;
    kd_context *context = mel->object.context;
    const int64_t frequencies = o->fft_size / 2 + 1;
    int64_t used = 0;
    KD_TRY(KD_NEW(context, &mel->bands, o->mels));
    /* a frequency lies in two bands at most */
    KD_TRY(KD_NEW(context, &mel->band_weights, 2 * frequencies));
    *empty = 0;
    for (int32_t b = 0; b < o->mels; b++) {
        const triangle t = triangle_of(o, b);
        kd__band *band = &mel->bands[b];
        band->weights = mel->band_weights + used;
        for (int64_t k = 0; k < frequencies; k++) {
            const double w = weight_at(o, &t, (double)k * o->sample_rate / (double)o->fft_size);
            if (!(w > 0) || used == 2 * frequencies) continue;
            if (!band->count++) band->first = k;
            mel->band_weights[used++] = w;
        }
        *empty += !band->count;
    }
    return KD_OK;
}
