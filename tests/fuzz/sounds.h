/* WAV files, read, resampled and written again; options of spectrograms from bytes. */
#ifndef FUZZ_SOUNDS_H
#define FUZZ_SOUNDS_H

#include <kdistill.h>
#include <stdlib.h>
#include <string.h>

/* A file as it is, and as one channel at another rate. */
static void use_wave(kd_context *ctx, const uint8_t *data, size_t size)
{
    kd_audio_options o = KD_AUDIO_OPTIONS_INIT;
    for (int i = 0; i < 2; i++, o.mono = 1, o.sample_rate = 1 + (int32_t)(size * 997 % 50000)) {
        kd_audio *audio = NULL;
        kd_audio_info info = { .struct_size = sizeof info };
        kd_array samples;
        double sum = 0;
        if (kd_audio_from_bytes(&audio, ctx, data, (int64_t)size, &o) != KD_OK) continue;
        if (kd_audio_get_info(audio, &info) != KD_OK || kd_audio_samples(audio, &samples) != KD_OK)
            abort();
        for (int64_t k = 0; k < info.samples * info.channels; k++)
            sum += ((const float *)samples.data)[k];
        if (sum == 12345) abort(); /* all of it is looked at */
        kd_audio_free(audio);
    }
}

/* Options as they lie in memory, half of them one member of a preset changed, and a short sound. */
static void use_mel(kd_context *ctx, const uint8_t *data, size_t size)
{
    static const char *const names[] = { "whisper", "ast", "kaldi", "google-speech-embedding",
                                         "librosa" };
    float x[2000] = { 0 }, *values;
    kd_mel_options o = KD_MEL_OPTIONS_INIT;
    kd_mel *mel = NULL;
    int64_t count = 0;
    if (size < 4) return;
    const size_t at = data[1] * 4u % (sizeof o - 8) + 4, n = size - 2;
    if (kd_mel_get_preset(names[data[0] % 5], &o) != KD_OK) abort();
    if (n <= sizeof o - at) memcpy((char *)&o + at, data + 2, n);
    else memcpy((char *)&o + 4, data + 2, n < sizeof o - 4 ? n : sizeof o - 4);
    for (int i = 0; i < 2000; i++) x[i] = (float)(data[i % size] - 128) / 128;
    if (kd_mel_create(&mel, ctx, &o) != KD_OK) return;
    if (kd_mel_frame_count(mel, 2000, &count) == KD_OK && count && count < (1 << 14)) {
        const kd_array samples = KD_ARRAY_1D(x, KD_FLOAT32, 2000);
        values = malloc((size_t)count * (size_t)o.mels * sizeof *values);
        const kd_array v = KD_ARRAY_2D(values, KD_FLOAT32, count, o.mels);
        kd_mel_run(mel, &samples, NULL, &v);
        free(values);
    }
    kd_mel_free(mel);
}

#endif
