/* Sounds: made of a host's samples or of a file, looked at, freed. */
#include "audio/sound.h"

#include "audio/wave.h"
#include "base/array.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/numbers.h"

static const kd_audio_options defaults = KD_AUDIO_OPTIONS_INIT;
void kd_audio_options_init(kd_audio_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

kd_status kd__audio_create(kd_audio **out, kd_context *context, int64_t samples, int32_t channels,
                           int32_t sample_rate)
{
    kd_audio *audio = NULL;
    int64_t count;
    KD_TRY(kd__multiply(samples, channels, &count));
    KD_TRY(kd__object_create((void **)&audio, context, sizeof *audio));
    const kd_status status = KD_NEW(context, &audio->values, kd__max(count, 1));
    if (status != KD_OK) {
        kd__object_destroy(audio);
        return status;
    }
    audio->samples = samples;
    audio->channels = channels;
    audio->sample_rate = sample_rate;
    *out = audio;
    return KD_OK;
}

void kd_audio_free(kd_audio *audio)
{
    if (!kd__object_drop(audio)) return;
    kd__release(audio->object.context, audio->values);
    kd__object_destroy(audio);
}

kd_status kd_audio_from_array(kd_audio **out, kd_context *context, const kd_array *samples,
                              int32_t sample_rate)
{
    kd_audio *audio = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__array_check(samples, "samples"));
    KD_FAIL_IF(samples->rank != 1 && samples->rank != 2, KD_ERR_SHAPE,
               "samples: expected (samples) or (samples, channels), got rank %d", samples->rank);
    const int64_t channels = samples->rank == 2 ? samples->dims[1] : 1;
    KD_FAIL_IF(channels < 1 || channels > KD__MAX_CHANNELS, KD_ERR_RANGE,
               "samples: expected 1 or %d channels, got %lld", KD__MAX_CHANNELS,
               (long long)channels);
    KD_FAIL_IF(sample_rate < 1 || sample_rate > KD_AUDIO_MAX_RATE, KD_ERR_RANGE,
               "sample_rate: expected 1 to %d Hz, got %d", KD_AUDIO_MAX_RATE, sample_rate);
    KD_TRY(kd__audio_create(&audio, context, samples->dims[0], (int32_t)channels, sample_rate));
    const kd_status status = kd__array_to_float32(samples, audio->values, "samples");
    if (status == KD_OK) *out = audio;
    else kd_audio_free(audio);
    return status;
}

kd_status kd_audio_get_info(const kd_audio *audio, kd_audio_info *info)
{
    KD_NEED(audio);
    const kd_audio_info found = { .sample_rate = audio->sample_rate,
                                  .channels = audio->channels,
                                  .samples = audio->samples };
    return kd__info_write(info, &found, sizeof found, "kd_audio_info");
}

kd_status kd_audio_samples(const kd_audio *audio, kd_array *samples)
{
    KD_NEED(audio);
    KD_NEED(samples);
    const int64_t dims[2] = { audio->samples, audio->channels };
    kd__array_view(samples, audio->values, KD_FLOAT32, audio->channels == 1 ? 1 : 2, dims);
    return KD_OK;
}

/* ---- files ---- */

static void mix_down(kd_audio *audio)
{
    if (audio->channels == 1) return;
    for (int64_t i = 0; i < audio->samples; i++)
        audio->values[i] = 0.5f * (audio->values[2 * i] + audio->values[2 * i + 1]);
    audio->channels = 1;
}

static kd_status read_wave(kd_audio **out, kd_context *context, const void *bytes, int64_t size,
                           const kd_audio_options *o)
{
    kd__wave wave;
    kd_audio *audio = NULL;
    KD_TRY(kd__wave_parse(&wave, bytes, size));
    KD_TRY(kd__audio_create(&audio, context, wave.samples, wave.channels, wave.sample_rate));
    kd__wave_decode(&wave, audio->values);
    if (o->mono) mix_down(audio);
    const kd_status status = o->sample_rate ? kd_audio_resample(audio, o->sample_rate, NULL)
                                            : KD_OK;
    if (status == KD_OK) *out = audio;
    else kd_audio_free(audio);
    return status;
}

static kd_status read_options(kd_audio_options *o, const kd_audio_options *options)
{
    *o = defaults;
    KD_TRY(kd__options_read(o, sizeof *o, options, "kd_audio_options"));
    KD_FAIL_IF(o->sample_rate < 0 || o->sample_rate > KD_AUDIO_MAX_RATE, KD_ERR_RANGE,
               "sample_rate: expected 0 (as in the file) to %d Hz, got %d", KD_AUDIO_MAX_RATE,
               o->sample_rate);
    KD_FAIL_IF(o->mono != 0 && o->mono != 1, KD_ERR_RANGE, "mono: expected 0 or 1, got %d",
               o->mono);
    return KD_OK;
}

kd_status kd_audio_from_bytes(kd_audio **out, kd_context *context, const void *bytes, int64_t size,
                              const kd_audio_options *options)
{
    kd_audio_options o;
    KD_NEED(out);
    KD_NEED(context);
    KD_NEED(bytes);
    KD_TRY(read_options(&o, options));
    KD_FAIL_IF(size < 0 || size > KD__MAX_WAVE_BYTES, KD_ERR_RANGE,
               "size: expected 0 to 2^34 bytes, got %lld", (long long)size);
    return read_wave(out, context, bytes, size, &o);
}

kd_status kd_audio_load(kd_audio **out, kd_context *context, const char *path,
                        const kd_audio_options *options)
{
    kd_audio_options o;
    char *bytes = NULL;
    int64_t size;
    KD_NEED(out);
    KD_NEED(context);
    KD_NEED(path);
    KD_TRY(read_options(&o, options));
    KD_TRY(kd__file_read(context, path, KD__MAX_WAVE_BYTES, &bytes, &size));
    const kd_status status = read_wave(out, context, bytes, size, &o);
    kd__release(context, bytes);
    return status == KD_OK ? KD_OK : kd__fail_in(status, path);
}
