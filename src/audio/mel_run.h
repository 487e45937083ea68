/* Spectrograms in the memory of what makes them. */
#ifndef KD_AUDIO_MEL_RUN_H
#define KD_AUDIO_MEL_RUN_H

#include "audio/mel.h"

typedef struct kd__spectrograms {
    kd_array values; /* (sounds, frames, mels) where the options give `frames`, else (rows, mels) */
    kd_array offsets; /* (sounds + 1): the first frame of each */
} kd__spectrograms;

/* As kd_mel_run; views until the next call. */
kd_status kd__mel_run_kept(kd_mel *mel, const kd_array *samples, const kd_array *offsets,
                           kd__spectrograms *made_of);

#endif
