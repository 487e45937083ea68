/* Sounds: read, resampled, written, and their spectrograms in a batch and a dataset, for the test
 * that runs out of memory. */
#ifndef USE_AUDIO_H
#define USE_AUDIO_H

#include <kdistill.h>
#include <stdio.h>

enum { USED_SAMPLES = 600 };

typedef struct audio_kit {
    kd_audio *made, *read;
    kd_mel *mel;
    kd_batch *batch;
    kd_dataset *dataset;
} audio_kit;

static inline kd_status audio_files(audio_kit *k, kd_context *ctx, const char *path)
{
    static float x[USED_SAMPLES] = { 0.5f, -0.5f, 0.25f };
    const kd_array samples = KD_ARRAY_2D(x, KD_FLOAT32, USED_SAMPLES / 2, 2);
    kd_audio_options o = KD_AUDIO_OPTIONS_INIT;
    o.mono = 1;
    o.sample_rate = 16000;
    kd_status status = kd_audio_from_array(&k->made, ctx, &samples, 8000);
    if (status == KD_OK) status = kd_audio_save(k->made, path, KD_INT16);
    return status == KD_OK ? kd_audio_load(&k->read, ctx, path, &o) : status;
}

static inline kd_status audio_fields(audio_kit *k, kd_context *ctx)
{
    kd_mel_options o = KD_MEL_OPTIONS_INIT;
    kd_array samples;
    o.frames = 5;
    kd_status status = kd_audio_samples(k->read, &samples);
    if (status == KD_OK) status = kd_mel_create(&k->mel, ctx, &o);
    if (status == KD_OK) status = kd_batch_create(&k->batch, ctx, NULL);
    if (status == KD_OK) status = kd_dataset_create(&k->dataset, ctx, NULL);
    if (status == KD_OK) status = kd_batch_begin(k->batch, 1);
    if (status == KD_OK) status = kd_batch_set_mel(k->batch, "mel", k->mel, &samples, NULL, NULL);
    return status == KD_OK ? kd_dataset_add_mel(k->dataset, "mel", k->mel, &samples, NULL) : status;
}

static inline kd_status use_audio(kd_context *ctx, const char *folder)
{
    char path[600];
    audio_kit k = { 0 };
    snprintf(path, sizeof path, "%s/oom.wav", folder);
    kd_status status = audio_files(&k, ctx, path);
    if (status == KD_OK) status = audio_fields(&k, ctx);
    kd_dataset_free(k.dataset);
    kd_batch_free(k.batch);
    kd_mel_free(k.mel);
    kd_audio_free(k.read);
    kd_audio_free(k.made);
    return status;
}

#endif
