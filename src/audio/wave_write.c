/* Sounds as WAV files of 16-bit integers or float32. */
#include <math.h>
#include <string.h>

#include "audio/sound.h"
#include "audio/wave.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/numbers.h"

enum { HEADER = 58, PIECE = 4096 }; /* samples of a piece */

static unsigned char *put_name(unsigned char *at, const char *name, uint32_t size)
{
    memcpy(at, name, 4);
    kd__put32(at + 4, size);
    return at + 8;
}

/* RIFF, fmt, for floats fact as the standard asks, and the beginning of data; its bytes. */
static int64_t put_header(unsigned char *header, const kd_audio *a, int is_float, int64_t bytes)
{
    const uint32_t unit = (uint32_t)a->channels * (is_float ? 4 : 2),
                   rate = (uint32_t)a->sample_rate, size = is_float ? HEADER : 44;
    unsigned char *at = put_name(header, "RIFF", size - 8 + (uint32_t)bytes);
    memcpy(at, "WAVE", 4);
    at = put_name(at + 4, "fmt ", is_float ? 18 : 16);
    kd__put16(at, is_float ? KD__WAVE_FLOAT : KD__WAVE_PCM);
    kd__put16(at + 2, (uint16_t)a->channels);
    kd__put32(at + 4, rate);
    kd__put32(at + 8, rate * unit);
    kd__put16(at + 12, (uint16_t)unit);
    kd__put16(at + 14, is_float ? 32 : 16);
    at += 16;
    if (is_float) {
        kd__put16(at, 0);
        at = put_name(at + 2, "fact", 4);
        kd__put32(at, (uint32_t)a->samples);
        at += 4;
    }
    put_name(at, "data", (uint32_t)bytes);
    return size;
}

static int64_t put_samples(unsigned char *to, const float *x, int64_t count, int is_float)
{
    for (int64_t i = 0; i < count; i++) {
        if (is_float) kd__put_float(to + 4 * i, x[i]);
        else {
            const double scaled = rint((double)x[i] * 32768);
            const double cut = scaled < -32768 ? -32768 : scaled > 32767 ? 32767 : scaled;
            kd__put16(to + 2 * i, (uint16_t)(int16_t)cut);
        }
    }
    return count * (is_float ? 4 : 2);
}

static kd_status write_samples(kd__output *output, const kd_audio *a, int is_float)
{
    unsigned char piece[4 * PIECE];
    const int64_t count = a->samples * a->channels;
    for (int64_t i = 0; i < count; i += PIECE) {
        const int64_t size = put_samples(piece, a->values + i, kd__min(PIECE, count - i), is_float);
        KD_TRY(kd__output_write(output, piece, size));
    }
    return KD_OK;
}

static kd_status check_finite(const kd_audio *a)
{
    const int64_t count = a->samples * a->channels;
    for (int64_t i = 0; i < count; i++)
        KD_FAIL_IF(!isfinite(a->values[i]), KD_ERR_NONFINITE,
                   "sample %lld is not finite: such a sound is not written as integers",
                   (long long)(i / a->channels));
    return KD_OK;
}

kd_status kd_audio_save(const kd_audio *audio, const char *path, int32_t dtype)
{
    unsigned char header[HEADER];
    kd__output output;
    KD_NEED(audio);
    KD_NEED(path);
    KD_FAIL_IF(dtype != KD_INT16 && dtype != KD_FLOAT32, KD_ERR_INVALID,
               "dtype: expected KD_INT16 or KD_FLOAT32, got %d", dtype);
    const int is_float = dtype == KD_FLOAT32;
    const int64_t bytes = audio->samples * audio->channels * (is_float ? 4 : 2);
    KD_FAIL_IF(bytes > UINT32_MAX - HEADER, KD_ERR_RANGE,
               "a WAV file holds less than 4 GiB, this sound has %lld bytes: write it in parts",
               (long long)bytes);
    if (!is_float) KD_TRY(check_finite(audio));
    const int64_t size = put_header(header, audio, is_float, bytes);
    kd_status status = kd__output_open(&output, audio->object.context, path, 0);
    if (status == KD_OK) status = kd__output_write(&output, header, size);
    if (status == KD_OK) status = write_samples(&output, audio, is_float);
    if (status == KD_OK) status = kd__output_commit(&output);
    if (status != KD_OK) kd__output_abandon(&output);
    return status;
}
