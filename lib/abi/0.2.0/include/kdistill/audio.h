/* kdistill/audio.h - sounds: WAV files, sample rates, mel spectrograms. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_audio_options read = KD_AUDIO_OPTIONS_INIT;
 *   2.  read.sample_rate = 16000;  read.mono = 1;
 *   3.  kd_audio_load(&sound, context, "seven.wav", &read);
 *   4.  kd_mel_get_preset("ast", &options);  kd_mel_create(&mel, context, &options);
 *   5.  kd_audio_samples(sound, &samples);
 *   6.  kd_batch_begin(batch, 1);  kd_batch_set_mel(batch, "mel", mel, &samples, NULL, NULL);
 *
 * A sound is float32 samples between -1 and 1. A mel spectrogram is (frames, mels): the frequencies
 * of overlapping windows of it, added up in bands that grow wider as those of the ear.
 * docs/guide-audio.md says which preset belongs to which model. */
#ifndef KDISTILL_AUDIO_H
#define KDISTILL_AUDIO_H

#include <kdistill/data.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_audio kd_audio; /* a sound */
typedef struct kd_mel kd_mel;     /* what makes mel spectrograms of sounds */

/* ---- sounds ---- */

#define KD_AUDIO_MAX_RATE 1000000 /* Hz */

typedef struct kd_audio_options {
    uint32_t struct_size;
    int32_t sample_rate; /* Hz: resampled to it as kd_audio_resample does; 0: as in the file */
    int32_t mono;        /* 1: the mean of the channels */
    int32_t reserved;
} kd_audio_options;
#define KD_AUDIO_OPTIONS_INIT                                                                      \
    {                                                                                              \
        (uint32_t)sizeof(kd_audio_options), 0, 0, 0                                                \
    }
KD_API void kd_audio_options_init(kd_audio_options *options, size_t size);

typedef struct kd_audio_info {
    uint32_t struct_size;
    int32_t sample_rate; /* Hz */
    int32_t channels;
    int32_t reserved;
    int64_t samples; /* of each channel */
} kd_audio_info;

/* Reads a WAV file: PCM of 8, 16, 24 or 32 bits, float of 32 or 64, one or two channels, also as
 * WAVE_FORMAT_EXTENSIBLE and RF64. Integers become value / 2^(bits - 1); other chunks are passed
 * over; data of size 0xFFFFFFFF (written to a pipe) reach to the file's end.
 * - KD_ERR_FORMAT names what it is instead: more channels, mu-law, ADPCM, MP3, FLAC, a file that is
 *   cut off.
 * - KD_ERR_NOT_FOUND, KD_ERR_IO; KD_ERR_RANGE: options; KD_ERR_FORMAT: more than 2^34 bytes. */
KD_API kd_status kd_audio_load(kd_audio **out, kd_context *context, const char *path,
                               const kd_audio_options *options);
/* The same of a file in memory; more than 2^34 bytes are KD_ERR_RANGE. */
KD_API kd_status kd_audio_from_bytes(kd_audio **out, kd_context *context, const void *bytes,
                                     int64_t size, const kd_audio_options *options);
/* A sound of the host's samples, (samples) or (samples, channels), copied as float32: integers are
 * not scaled. KD_ERR_RANGE: the rate, more than two channels. */
KD_API kd_status kd_audio_from_array(kd_audio **out, kd_context *context, const kd_array *samples,
                                     int32_t sample_rate);
KD_API void kd_audio_free(kd_audio *audio);

KD_API kd_status kd_audio_get_info(const kd_audio *audio, kd_audio_info *info);
/* A view, (samples), or (samples, 2) of two channels; valid until the sound is resampled or
 * freed. */
KD_API kd_status kd_audio_samples(const kd_audio *audio, kd_array *samples);

/* Writes a WAV file. dtype: KD_INT16 (to nearest, cut at -1 and 1) or KD_FLOAT32. What was read
 * from such a file is written with the same numbers. KD_ERR_RANGE: 4 GiB and more. */
KD_API kd_status kd_audio_save(const kd_audio *audio, const char *path, int32_t dtype);

#define KD_SINC_KAISER 0
#define KD_SINC_HANN 1

/* The defaults keep frequencies up to 0.89 of the lower rate's half within 0.01 dB, and what would
 * be folded back is at least 100 dB lower from 1.05 of it on. */
typedef struct kd_resample_options {
    uint32_t struct_size;
    int32_t window;         /* KD_SINC_KAISER .. */
    int32_t zero_crossings; /* of the sinc on each side, 1 to 256 */
    int32_t reserved;
    double rolloff; /* cut-off as a share of the lower rate's half, above 0.01, at most 1 */
    double beta;    /* of KAISER, 0 to 40: more: less folded back, a wider passage */
} kd_resample_options;
#define KD_RESAMPLE_OPTIONS_INIT                                                                   \
    {                                                                                              \
        (uint32_t)sizeof(kd_resample_options), KD_SINC_KAISER, 64, 0, 0.9475937167399596,          \
            14.769656459379492                                                                     \
    }
KD_API void kd_resample_options_init(kd_resample_options *options, size_t size);

/* Brings a sound to another rate: ceil(samples rate / old rate) samples, of which number j is the
 * sound at the time j / rate, through a windowed sinc [Smith, Digital Audio Resampling]; zeros
 * before and after the sound. `options` may be NULL.
 * - KD_ERR_RANGE: rates from 1 to KD_AUDIO_MAX_RATE; two rates whose filters need more than 2^24
 *   numbers. The sound is then unchanged. */
KD_API kd_status kd_audio_resample(kd_audio *audio, int32_t sample_rate,
                                   const kd_resample_options *options);

/* ---- mel spectrograms ---- */

#define KD_WINDOW_HANN 0
#define KD_WINDOW_HAMMING 1
#define KD_WINDOW_POVEY 2 /* Kaldi's: Hann to the power of 0.85 */
#define KD_WINDOW_RECTANGULAR 3

/* Which samples a frame sees. The window stands in the middle of the FFT's samples. */
#define KD_FRAMES_WINDOWS 0 /* windows inside the sound: 1 + (samples - window_length) / hop */
#define KD_FRAMES_WHOLE 1   /* FFTs inside the sound: 1 + (samples - fft_size) / hop */
#define KD_FRAMES_ZEROS 2   /* centered on multiples of hop, zeros beyond: 1 + samples / hop */
#define KD_FRAMES_REFLECT 3 /* the same, mirrored beyond, the end itself not repeated */
/* Kaldi's snip_edges=false: (samples + hop / 2) / hop, mirrored with the end repeated */
#define KD_FRAMES_MIRROR 4

#define KD_MEL_SCALE_SLANEY 0 /* straight up to 1000 Hz, then a logarithm [Slaney 1998] */
#define KD_MEL_SCALE_HTK 1    /* 2595 log10(1 + f / 700) */

#define KD_MEL_LOG_NONE 0
#define KD_MEL_LOG_NATURAL 1
#define KD_MEL_LOG_BASE10 2
#define KD_MEL_LOG_DECIBEL 3 /* (20 / power) log10 */

#define KD_MEL_NORMALIZE_NONE 0
#define KD_MEL_NORMALIZE_FIXED 1 /* (x - mean) / std, with those of the options */
#define KD_MEL_NORMALIZE_SOUND 2 /* mean 0 and variance 1 of each sound */
#define KD_MEL_NORMALIZE_BANDS 3 /* of each band of each sound */

/* In the order in which they are applied. */
typedef struct kd_mel_options {
    uint32_t struct_size;
    int32_t sample_rate;   /* Hz */
    int64_t sound_length;  /* samples: sounds are cut to it, or zeros follow them; 0: neither */
    double gain;           /* samples are multiplied by it: 32768 for models of 16-bit integers */
    int32_t framing;       /* KD_FRAMES_WINDOWS .. */
    int32_t hop;           /* samples from one frame to the next */
    int32_t window_length; /* samples, at most fft_size */
    int32_t fft_size;      /* even, a product of 2, 3, 5 and 7, at most 16384 */
    int32_t remove_mean;   /* 1: a frame's mean is subtracted from it */
    int32_t window;        /* KD_WINDOW_HANN .. */
    double preemphasis;    /* x_i - preemphasis x_(i-1) within a frame, 0 to 1 */
    int32_t symmetric;     /* the window is over 0: window_length, 1: window_length - 1 steps */
    int32_t power;         /* 1: magnitudes, 2: their squares */
    int32_t mels;          /* bands, at most 1024 */
    int32_t scale;         /* KD_MEL_SCALE_SLANEY .. */
    int32_t mel_triangles; /* bands are triangles over 0: Hz, 1: mels */
    int32_t equal_area;    /* 1: a band is divided by half its width in Hz (Slaney's norm) */
    double low, high;      /* Hz where bands begin and end; high 0: half the rate */
    double floor, offset;  /* log(max(x, floor) + offset) */
    int32_t log;           /* KD_MEL_LOG_NONE .. */
    int32_t drop_last;     /* 1: without the last frame, as Whisper */
    double range;          /* no value is lower than the sound's largest - range; 0: any */
    /* A spectrogram is cut to this many before `range`, or zeros follow it: before FIXED, after
     * SOUND and BANDS; 0: neither */
    int64_t frames;
    int32_t normalize; /* KD_MEL_NORMALIZE_NONE .. */
    int32_t reserved;
    double mean, std;
} kd_mel_options;
#define KD_MEL_OPTIONS_INIT                                                                        \
    {                                                                                              \
        (uint32_t)sizeof(kd_mel_options), 16000, 0, 1, KD_FRAMES_ZEROS, 160, 400, 400, 0,          \
            KD_WINDOW_HANN, 0, 0, 2, 80, KD_MEL_SCALE_SLANEY, 0, 1, 0, 0, 1e-10, 0,                \
            KD_MEL_LOG_NATURAL, 0, 0, 0, KD_MEL_NORMALIZE_NONE, 0, 0, 1                            \
    }
KD_API void kd_mel_options_init(kd_mel_options *options, size_t size);

/* Fills all options (struct_size set) with what a model was trained on:
 * - "whisper", "whisper-v3": Whisper's log-mel of 30 seconds, 80 and 128 bands (transposed there);
 * - "ast": audio spectrogram transformers, 1024 frames of 128 bands;
 * - "kaldi": the filter banks of Kaldi and torchaudio, 128 bands;
 * - "google-speech-embedding": 32 bands from 60 to 3800 Hz;
 * - "librosa": librosa's melspectrogram and power_to_db, 22050 Hz.
 * KD_ERR_NOT_FOUND lists the names. */
KD_API kd_status kd_mel_get_preset(const char *name, kd_mel_options *options);

/* Windows, bands and FFT of these options. KD_ERR_RANGE names an option out of bounds. */
KD_API kd_status kd_mel_create(kd_mel **out, kd_context *context, const kd_mel_options *options);
KD_API void kd_mel_free(kd_mel *mel);

/* How many frames a sound of `samples` samples has. */
KD_API kd_status kd_mel_frame_count(const kd_mel *mel, int64_t samples, int64_t *count);

/* Spectrograms of sounds, one after the other: `samples` (samples) float32, of which sound i has
 * offsets[i] .. offsets[i + 1] - 1; offsets: (sounds + 1) integers, or NULL for one sound. Writes
 * `values`, the caller's contiguous float32 of (all frames, mels), also as (sounds, frames, mels)
 * where all have as many. The bits depend on neither threads nor the other sounds.
 * - KD_ERR_SHAPE: values of another size. KD_ERR_RANGE: offsets.
 * - KD_ERR_NONFINITE: the first sound whose samples are not finite or too large. */
KD_API kd_status kd_mel_run(kd_mel *mel, const kd_array *samples, const kd_array *offsets,
                            const kd_array *values);

/* Sets a field of a batch to the spectrograms of its samples: (samples, frames, mels) where the
 * options give `frames`, else ragged (kd_batch_set_ragged). offsets as above; NULL: a batch of one
 * sample. `present` as in kd_batch_set_ragged. */
KD_API kd_status kd_batch_set_mel(kd_batch *batch, const char *name, kd_mel *mel,
                                  const kd_array *samples, const kd_array *offsets,
                                  const kd_array *present);
/* Adds a field (samples, frames, mels) to a dataset. KD_ERR_INVALID: the options give no `frames`.
 * Errors of kd_mel_run and kd_dataset_add. */
KD_API kd_status kd_dataset_add_mel(kd_dataset *dataset, const char *name, kd_mel *mel,
                                    const kd_array *samples, const kd_array *offsets);

#ifdef __cplusplus
}
#endif
#endif
