/* Options of mel spectrograms: their bounds, and those that published models were trained with. */
#include <math.h>
#include <string.h>

#include "audio/mel.h"
#include "audio/sound.h"

#define MAX_LENGTH ((int64_t)1 << 40)

static const kd_mel_options defaults = KD_MEL_OPTIONS_INIT;
void kd_mel_options_init(kd_mel_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

/* ---- bounds ---- */

static kd_status check_whole(const char *name, int64_t value, int64_t low, int64_t high)
{
    KD_FAIL_IF(value < low || value > high, KD_ERR_RANGE, "%s: expected %lld to %lld, got %lld",
               name, (long long)low, (long long)high, (long long)value);
    return KD_OK;
}

static kd_status check_number(const char *name, double value, double low, double high)
{
    KD_FAIL_IF(!(value >= low && value <= high), KD_ERR_RANGE, "%s: expected %g to %g, got %g",
               name, low, high, value);
    return KD_OK;
}

static kd_status check_choices(const kd_mel_options *o)
{
    const struct {
        const char *name;
        int32_t value, low, high;
    } choices[] = {
        { "framing", o->framing, KD_FRAMES_WINDOWS, KD_FRAMES_MIRROR },
        { "window", o->window, KD_WINDOW_HANN, KD_WINDOW_RECTANGULAR },
        { "scale", o->scale, KD_MEL_SCALE_SLANEY, KD_MEL_SCALE_HTK },
        { "log", o->log, KD_MEL_LOG_NONE, KD_MEL_LOG_DECIBEL },
        { "normalize", o->normalize, KD_MEL_NORMALIZE_NONE, KD_MEL_NORMALIZE_BANDS },
        { "remove_mean", o->remove_mean, 0, 1 },
        { "symmetric", o->symmetric, 0, 1 },
        { "mel_triangles", o->mel_triangles, 0, 1 },
        { "equal_area", o->equal_area, 0, 1 },
        { "drop_last", o->drop_last, 0, 1 },
        { "power", o->power, 1, 2 },
    };
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
        KD_TRY(check_whole(choices[i].name, choices[i].value, choices[i].low, choices[i].high));
    return KD_OK;
}

static int next_size(int size)
{
    while (size < KD__FOURIER_MAX && !kd__fourier_fits(size)) size++;
    return size;
}

static kd_status check_sizes(const kd_mel_options *o)
{
    KD_TRY(check_whole("sample_rate", o->sample_rate, 1, KD_AUDIO_MAX_RATE));
    KD_TRY(check_whole("sound_length", o->sound_length, 0, MAX_LENGTH));
    KD_TRY(check_whole("frames", o->frames, 0, MAX_LENGTH));
    KD_TRY(check_whole("hop", o->hop, 1, 1 << 20));
    KD_TRY(check_whole("mels", o->mels, 1, 1024));
    KD_TRY(check_whole("fft_size", o->fft_size, 2, KD__FOURIER_MAX));
    KD_FAIL_IF(!kd__fourier_fits(o->fft_size), KD_ERR_RANGE,
               "fft_size: expected an even product of 2, 3, 5 and 7, got %d: the next one is %d",
               o->fft_size, next_size(o->fft_size));
    return check_whole("window_length (of fft_size)", o->window_length, 1, o->fft_size);
}

static kd_status check_numbers(const kd_mel_options *o)
{
    const double half = 0.5 * o->sample_rate, high = o->high == 0 ? half : o->high;
    KD_TRY(check_number("gain", o->gain, 1e-9, 1e9));
    KD_TRY(check_number("preemphasis", o->preemphasis, 0, 1));
    KD_TRY(check_number("low", o->low, 0, half));
    KD_TRY(check_number("high", o->high, 0, half));
    KD_FAIL_IF(high < o->low + 1, KD_ERR_RANGE,
               "high: expected at least 1 Hz more than low, got %g and %g", high, o->low);
    KD_TRY(check_number("floor", o->floor, 0, 1e30));
    KD_TRY(check_number("offset", o->offset, 0, 1e30));
    KD_FAIL_IF(o->log && !(o->floor + o->offset > 0), KD_ERR_RANGE,
               "floor: expected more than 0 with a logarithm and without an offset, got %g",
               o->floor);
    KD_TRY(check_number("range", o->range, 0, 1e30));
    if (o->normalize != KD_MEL_NORMALIZE_FIXED) return KD_OK;
    KD_TRY(check_number("mean", o->mean, -1e30, 1e30));
    return check_number("std", o->std, 1e-30, 1e30);
}

kd_status kd__mel_check(const kd_mel_options *o)
{
    KD_TRY(check_choices(o));
    KD_TRY(check_sizes(o));
    return check_numbers(o);
}

/* ---- presets ---- */

/* openai/whisper, audio.py; the value (x + 4) / 4 */
static void whisper(kd_mel_options *o)
{
    o->sound_length = 480000;
    o->framing = KD_FRAMES_REFLECT;
    o->log = KD_MEL_LOG_BASE10;
    o->drop_last = 1;
    o->range = 8;
    o->normalize = KD_MEL_NORMALIZE_FIXED;
    o->mean = -4;
    o->std = 4;
}

static void whisper_v3(kd_mel_options *o)
{
    whisper(o);
    o->mels = 128;
}

/* kaldi's compute-fbank-feats as torchaudio.compliance.kaldi.fbank calls it, without dither */
static void kaldi(kd_mel_options *o)
{
    o->framing = KD_FRAMES_WINDOWS;
    o->fft_size = 512;
    o->remove_mean = 1;
    o->window = KD_WINDOW_POVEY;
    o->symmetric = 1;
    o->preemphasis = 0.97;
    o->mels = 128;
    o->scale = KD_MEL_SCALE_HTK;
    o->mel_triangles = 1;
    o->equal_area = 0;
    o->low = 20;
    o->floor = 1.1920928955078125e-07;
}

/* YuanGongND/ast; mean and spread of AudioSet, of which the spread is taken twice */
static void ast(kd_mel_options *o)
{
    kaldi(o);
    o->window = KD_WINDOW_HANN;
    o->frames = 1024;
    o->normalize = KD_MEL_NORMALIZE_FIXED;
    o->mean = -4.2677393;
    o->std = 2 * 4.5689974;
}

/* openWakeWord's melspectrogram model, and the (x + 20) / 10 that its embedding reads */
static void google_speech_embedding(kd_mel_options *o)
{
    o->gain = 32768;
    o->framing = KD_FRAMES_WHOLE;
    o->fft_size = 512;
    o->mels = 32;
    o->low = 60;
    o->high = 3800;
    o->log = KD_MEL_LOG_DECIBEL;
    o->range = 80;
    o->normalize = KD_MEL_NORMALIZE_FIXED;
    o->mean = -20;
    o->std = 10;
}

/* librosa.power_to_db(librosa.feature.melspectrogram(y)) */
static void librosa(kd_mel_options *o)
{
    o->sample_rate = 22050;
    o->hop = 512;
    o->window_length = o->fft_size = 2048;
    o->mels = 128;
    o->log = KD_MEL_LOG_DECIBEL;
    o->range = 80;
}

kd_status kd_mel_get_preset(const char *name, kd_mel_options *options)
{
    static const struct {
        const char *name;
        void (*fill)(kd_mel_options *o);
    } presets[] = {
        { "whisper", whisper },
        { "whisper-v3", whisper_v3 },
        { "ast", ast },
        { "kaldi", kaldi },
        { "google-speech-embedding", google_speech_embedding },
        { "librosa", librosa },
    };
    KD_NEED(name);
    KD_NEED(options);
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        if (strcmp(name, presets[i].name)) continue;
        kd_mel_options o = defaults;
        presets[i].fill(&o);
        return kd__info_write(options, &o, sizeof o, "kd_mel_options");
    }
    return kd__fail(KD_ERR_NOT_FOUND,
                    "preset '%s': expected whisper, whisper-v3, ast, kaldi, "
                    "google-speech-embedding or librosa",
                    name);
}
