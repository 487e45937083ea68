/* Mel spectrograms: what is made once for some options, and what a call shares. */
#ifndef KD_AUDIO_MEL_H
#define KD_AUDIO_MEL_H

#include <kdistill/audio.h>

#include "base/object.h"
#include "math/fourier.h"

/* A band: weights of neighboring frequencies. */
typedef struct kd__band {
    int64_t first, count;
    const double *weights;
} kd__band;

struct kd_mel {
    kd__object object;
    kd_mel_options o;
    kd__fourier fourier;
    double *window;       /* (window_length), gain included */
    kd__band *bands;      /* (mels) */
    double *band_weights; /* of all bands */
    double *scratch;      /* (threads, scratch_size) */
    int64_t scratch_size;
    int64_t *sounds; /* of a call: sounds + 1 each: first sample, first frame, first block */
    int64_t sounds_room;
    float *values; /* of the fields that are set */
    int64_t values_room;
};

/* KD_ERR_RANGE names an option that cannot be. */
kd_status kd__mel_check(const kd_mel_options *o);
/* The window; `gain` included. */
void kd__mel_window(const kd_mel_options *o, double *window);
/* The bands of mel->o. *empty: those that no frequency of the FFT falls into. */
kd_status kd__mel_bands(kd_mel *mel, int64_t *empty);

/* ---- frames ---- */

/* A sound of a call. */
typedef struct kd__sound {
    const float *samples;
    int64_t count;  /* samples that are there */
    int64_t length; /* with the zeros that sound_length adds */
    int64_t frames; /* computed, before `frames` of the options cuts or adds */
} kd__sound;

/* Frames of a sound of `samples`, after sound_length, without `frames`. */
int64_t kd__mel_frames(const kd_mel_options *o, int64_t samples);
/* Sample number i - which may lie outside - of a sound. */
float kd__mel_sample(const kd_mel_options *o, const kd__sound *sound, int64_t i);
/* The first sample of the window of a frame; may be negative. */
int64_t kd__mel_begin(const kd_mel_options *o, int64_t frame);

/* ---- levels: what is done to a whole spectrogram, (frames, mels) ---- */

float kd__mel_log(const kd_mel_options *o, double x);
void kd__mel_finish(const kd_mel_options *o, float *values, int64_t made, int64_t frames);

#endif
