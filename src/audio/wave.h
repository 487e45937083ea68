/* WAV files: what their chunks say, and their samples as float32. */
#ifndef KD_AUDIO_WAVE_H
#define KD_AUDIO_WAVE_H

#include <stdint.h>

#include "base/status.h"

enum { KD__WAVE_PCM = 1, KD__WAVE_FLOAT = 3, KD__WAVE_EXTENSIBLE = 0xFFFE };

typedef struct kd__wave {
    int32_t format; /* KD__WAVE_PCM, KD__WAVE_FLOAT */
    int32_t channels, sample_rate, bits;
    int64_t samples; /* of each channel */
    const unsigned char *data;
} kd__wave;

/* KD_ERR_FORMAT: not such a file, with what it is. `wave` points into the bytes. */
kd_status kd__wave_parse(kd__wave *wave, const void *bytes, int64_t size);
/* (samples, channels) */
void kd__wave_decode(const kd__wave *wave, float *to);

#endif
