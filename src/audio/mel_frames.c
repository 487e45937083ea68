/* Which samples a frame sees, at the ends of a sound as well. */
#include "audio/mel.h"
#include "base/numbers.h"

static int64_t length_of(const kd_mel_options *o, int64_t samples)
{
    return o->sound_length ? o->sound_length : samples;
}

/* Whole steps of hop that `size` samples leave room for, the first one included. */
static int64_t count_inside(const kd_mel_options *o, int64_t length, int64_t size)
{
    return length < size ? 0 : 1 + (length - size) / o->hop;
}

int64_t kd__mel_frames(const kd_mel_options *o, int64_t samples)
{
    const int64_t length = length_of(o, samples);
    int64_t frames = 0;
    if (!length) return 0;
    switch (o->framing) {
    case KD_FRAMES_WINDOWS: frames = count_inside(o, length, o->window_length); break;
    case KD_FRAMES_WHOLE: frames = count_inside(o, length, o->fft_size); break;
    case KD_FRAMES_MIRROR: frames = (length + o->hop / 2) / o->hop; break;
    default: frames = 1 + length / o->hop; break;
    }
    return frames && o->drop_last ? frames - 1 : frames;
}

int64_t kd__mel_begin(const kd_mel_options *o, int64_t frame)
{
    const int64_t at = frame * o->hop;
    switch (o->framing) {
    case KD_FRAMES_WINDOWS: return at;
    case KD_FRAMES_WHOLE: return at + (o->fft_size - o->window_length) / 2;
    case KD_FRAMES_MIRROR: return at + o->hop / 2 - o->window_length / 2;
    default: return at - o->fft_size / 2 + (o->fft_size - o->window_length) / 2;
    }
}

/* i folded back between 0 and n - 1; `once`: the ends themselves are not repeated. */
static int64_t fold(int64_t i, int64_t n, int once)
{
    if (n == 1) return 0;
    const int64_t period = once ? 2 * (n - 1) : 2 * n;
    i %= period;
    if (i < 0) i += period;
    return i < n ? i : once ? period - i : period - 1 - i;
}

float kd__mel_sample(const kd_mel_options *o, const kd__sound *sound, int64_t i)
{
    if (i < 0 || i >= sound->length) {
        if (o->framing == KD_FRAMES_REFLECT) i = fold(i, sound->length, 1);
        else if (o->framing == KD_FRAMES_MIRROR) i = fold(i, sound->length, 0);
        else return 0;
    }
    return i < sound->count ? sound->samples[i] : 0;
}
