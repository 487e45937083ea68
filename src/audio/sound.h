/* A sound in memory. */
#ifndef KD_AUDIO_SOUND_H
#define KD_AUDIO_SOUND_H

#include <kdistill/audio.h>

#include "base/object.h"

enum { KD__MAX_CHANNELS = 2 };
#define KD__MAX_WAVE_BYTES ((int64_t)1 << 34)

struct kd_audio {
    kd__object object;
    float *values; /* (samples, channels) */
    int64_t samples;
    int32_t channels, sample_rate;
};

/* A sound without samples yet: room for (samples, channels), zeros. */
kd_status kd__audio_create(kd_audio **out, kd_context *context, int64_t samples, int32_t channels,
                           int32_t sample_rate);

#endif
