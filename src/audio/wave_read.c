/* RIFF/WAVE, and RF64 with its 64-bit sizes (EBU Tech 3306): chunks of a name, a size and as many
 * bytes, padded to an even number. Sizes are looked at before they are used. */
#include <string.h>

#include "audio/sound.h"
#include "audio/wave.h"
#include "base/bytes.h"

#define UNKNOWN_SIZE 0xFFFFFFFFu /* written to a pipe; in RF64: stands in its chunk ds64 */
#define SOX_UNKNOWN 0x7FFFF000u  /* what SoX writes to a pipe */

typedef struct {
    const unsigned char *bytes;
    int64_t size;
    int64_t long_size; /* of the data, from ds64; -1: none */
} file;

/* ---- what it is instead ---- */

static int begins(const file *f, const char *mark)
{
    const int64_t length = (int64_t)strlen(mark);
    return f->size >= length && !memcmp(f->bytes, mark, (size_t)length);
}

static kd_status not_wave(const file *f)
{
    static const char *const others[][2] = {
        { "RIFX", "a big-endian WAV file (RIFX)" },
        { "RIFF", "a RIFF file of another kind" },
        { "riff", "a Wave64 file" },
        { "FORM", "an AIFF file" },
        { "fLaC", "a FLAC file" },
        { "OggS", "an Ogg file" },
        { "ID3", "an MP3 file" },
        { "\xff\xfb", "an MP3 file" },
        { ".snd", "an AU file" },
        { "caff", "a Core Audio file" },
        { "NIST", "a NIST Sphere file" },
    };
    KD_FAIL_IF(f->size < 12, KD_ERR_FORMAT, "expected a WAV file, got %lld bytes: cut off",
               (long long)f->size);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        KD_FAIL_IF(begins(f, others[i][0]), KD_ERR_FORMAT,
                   "expected a WAV file, got %s: convert it to WAV (PCM or float)", others[i][1]);
    return kd__fail(KD_ERR_FORMAT, "expected a WAV file, which begins with RIFF and WAVE");
}

static const char *format_name(int32_t format)
{
    switch (format) {
    case 0x02: return "Microsoft ADPCM";
    case 0x06: return "A-law";
    case 0x07: return "mu-law";
    case 0x11: return "IMA ADPCM";
    case 0x31: return "GSM 6.10";
    case 0x40: return "G.721 ADPCM";
    case 0x50: return "MPEG";
    case 0x55: return "MP3";
    case 0x161: return "WMA";
    default: return "of an unknown format";
    }
}

/* ---- fmt ---- */

static int is_known(int32_t format, int32_t bits)
{
    if (format == KD__WAVE_FLOAT) return bits == 32 || bits == 64;
    return bits == 8 || bits == 16 || bits == 24 || bits == 32;
}

/* An extensible format names the real one at the start of a GUID. */
static kd_status read_extensible(kd__wave *w, const unsigned char *body, int64_t size)
{
    static const unsigned char rest[14] = { 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x80,
                                            0x00, 0x00, 0xaa, 0x00, 0x38, 0x9b, 0x71 };
    KD_FAIL_IF(size < 40, KD_ERR_FORMAT,
               "chunk fmt of an extensible WAV file: expected 40 bytes, got %lld", (long long)size);
    KD_FAIL_IF(memcmp(body + 26, rest, sizeof rest) != 0, KD_ERR_FORMAT,
               "expected PCM or float, got an extensible WAV file of an unknown format");
    w->format = kd__get16(body + 24);
    const int32_t valid = kd__get16(body + 18);
    KD_FAIL_IF(valid > w->bits, KD_ERR_FORMAT,
               "chunk fmt: %d valid bits do not fit in samples of %d bits", valid, w->bits);
    return KD_OK;
}

static kd_status read_format(kd__wave *w, const unsigned char *body, int64_t size)
{
    KD_FAIL_IF(size < 16, KD_ERR_FORMAT, "chunk fmt: expected 16 bytes or more, got %lld",
               (long long)size);
    const uint32_t rate = kd__get32(body + 4);
    w->format = kd__get16(body);
    w->channels = kd__get16(body + 2);
    w->bits = kd__get16(body + 14);
    if (w->format == KD__WAVE_EXTENSIBLE) KD_TRY(read_extensible(w, body, size));
    KD_FAIL_IF(w->format != KD__WAVE_PCM && w->format != KD__WAVE_FLOAT, KD_ERR_FORMAT,
               "expected PCM or float samples, got a WAV file that is %s (format %d): convert it "
               "to PCM",
               format_name(w->format), w->format);
    KD_FAIL_IF(!is_known(w->format, w->bits), KD_ERR_FORMAT, "expected %s, got %d bits",
               w->format == KD__WAVE_PCM ? "PCM of 8, 16, 24 or 32 bits" : "float of 32 or 64 bits",
               w->bits);
    KD_FAIL_IF(w->channels < 1 || w->channels > KD__MAX_CHANNELS, KD_ERR_FORMAT,
               "expected a WAV file of 1 or 2 channels, got %d: mix them down first", w->channels);
    KD_FAIL_IF(!rate || rate > KD_AUDIO_MAX_RATE, KD_ERR_FORMAT,
               "sample rate: expected 1 to %d Hz, got %u", KD_AUDIO_MAX_RATE, rate);
    KD_FAIL_IF(kd__get16(body + 12) != w->channels * w->bits / 8, KD_ERR_FORMAT,
               "chunk fmt: expected %d bytes for %d channels of %d bits, got %d",
               w->channels * w->bits / 8, w->channels, w->bits, kd__get16(body + 12));
    w->sample_rate = (int32_t)rate;
    return KD_OK;
}

/* ---- data ---- */

static kd_status read_data(kd__wave *w, const file *f, int64_t at, uint32_t said)
{
    const int64_t left = f->size - at, unit = w->channels * w->bits / 8;
    const int unknown = (said == UNKNOWN_SIZE && f->long_size < 0) ||
                        (said == SOX_UNKNOWN && left < (int64_t)said);
    int64_t bytes = said == UNKNOWN_SIZE && f->long_size >= 0 ? f->long_size : (int64_t)said;
    if (unknown) bytes = left / unit * unit;
    KD_FAIL_IF(bytes > left, KD_ERR_FORMAT,
               "a WAV file that is cut off: its data have %lld bytes, %lld are there",
               (long long)bytes, (long long)left);
    KD_FAIL_IF(bytes % unit, KD_ERR_FORMAT, "chunk data: %lld bytes are no whole samples of %lld",
               (long long)bytes, (long long)unit);
    w->data = f->bytes + at;
    w->samples = bytes / unit;
    return KD_OK;
}

static kd_status read_long_sizes(file *f, const unsigned char *body, int64_t size)
{
    KD_FAIL_IF(size < 24, KD_ERR_FORMAT, "chunk ds64: expected 24 bytes or more, got %lld",
               (long long)size);
    const uint64_t bytes = kd__get64(body + 8);
    KD_FAIL_IF(bytes > INT64_MAX, KD_ERR_FORMAT, "chunk ds64: a size of %llu bytes",
               (unsigned long long)bytes);
    f->long_size = (int64_t)bytes;
    return KD_OK;
}

/* A chunk at `at`, its end in *next; *done: it was the data. */
static kd_status read_chunk(kd__wave *w, file *f, int64_t at, int64_t *next, int *done)
{
    const unsigned char *name = f->bytes + at, *body = name + 8;
    const uint32_t said = kd__get32(name + 4);
    *done = !memcmp(name, "data", 4);
    KD_FAIL_IF(*done && !w->format, KD_ERR_FORMAT,
               "a WAV file without a chunk fmt before its data");
    if (*done) return read_data(w, f, at + 8, said);
    *next = at + 8 + (int64_t)said + (said & 1);
    KD_FAIL_IF(at + 8 + (int64_t)said > f->size, KD_ERR_FORMAT,
               "a WAV file that is cut off: its chunk '%.4s' has %u bytes, %lld are there",
               (const char *)name, said, (long long)(f->size - at - 8));
    if (!memcmp(name, "fmt ", 4)) return read_format(w, body, said);
    return memcmp(name, "ds64", 4) ? KD_OK : read_long_sizes(f, body, said);
}

kd_status kd__wave_parse(kd__wave *wave, const void *bytes, int64_t size)
{
    file f = { bytes, size, -1 };
    int done = 0;
    memset(wave, 0, sizeof *wave);
    const int is_wave = begins(&f, "RIFF") || begins(&f, "RF64") || begins(&f, "BW64");
    if (size < 12 || !is_wave || memcmp(f.bytes + 8, "WAVE", 4)) return not_wave(&f);
    for (int64_t at = 12, next = 0; !done; at = next) {
        KD_FAIL_IF(at > size - 8, KD_ERR_FORMAT, "a WAV file without a chunk of data: cut off");
        KD_TRY(read_chunk(wave, &f, at, &next, &done));
    }
    return KD_OK;
}

/* ---- samples ---- */

static float decode_one(const kd__wave *w, const unsigned char *p)
{
    if (w->format == KD__WAVE_FLOAT)
        return w->bits == 32 ? kd__get_float(p) : (float)kd__get_double(p);
    switch (w->bits) {
    case 8: return (float)(p[0] - 128) * (1.0f / 128);
    case 16: return (float)(int16_t)kd__get16(p) * (1.0f / 32768);
    case 24: {
        const uint32_t high = (uint32_t)p[2] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 8;
        return (float)((int32_t)high >> 8) * (1.0f / 8388608);
    }
    default: return (float)((double)(int32_t)kd__get32(p) * (1.0 / 2147483648.0));
    }
}

void kd__wave_decode(const kd__wave *w, float *to)
{
    const int64_t count = w->samples * w->channels, bytes = w->bits / 8;
    if (w->bits == 16)
        for (int64_t i = 0; i < count; i++)
            to[i] = (float)(int16_t)kd__get16(w->data + 2 * i) * (1.0f / 32768);
    else
        for (int64_t i = 0; i < count; i++) to[i] = decode_one(w, w->data + i * bytes);
}
