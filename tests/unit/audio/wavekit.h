/* WAV files in memory, written by hand. */
#ifndef WAVEKIT_H
#define WAVEKIT_H

#include "../unit.h"

typedef struct {
    unsigned char bytes[512];
    int64_t size;
} wave_file;

static inline void put_text(wave_file *f, const char *text)
{
    memcpy(f->bytes + f->size, text, strlen(text));
    f->size += (int64_t)strlen(text);
}

/* The low `bytes` bytes of a number. */
static inline void put_number(wave_file *f, int bytes, uint64_t x)
{
    for (int i = 0; i < bytes; i++) f->bytes[f->size++] = (unsigned char)(x >> (8 * i));
}

static inline void put_chunk(wave_file *f, const char *name, uint32_t size)
{
    put_text(f, name);
    put_number(f, 4, size);
}

static inline void put_format(wave_file *f, int format, int channels, int rate, int bits)
{
    const int unit = channels * bits / 8;
    put_number(f, 2, (uint64_t)format);
    put_number(f, 2, (uint64_t)channels);
    put_number(f, 4, (uint64_t)rate);
    put_number(f, 4, (uint64_t)rate * (uint64_t)unit);
    put_number(f, 2, (uint64_t)unit);
    put_number(f, 2, (uint64_t)bits);
}

/* RIFF, WAVE and fmt; the data's chunk follows. */
static inline wave_file wave_begin(int format, int channels, int rate, int bits)
{
    wave_file f = { .size = 0 };
    put_chunk(&f, "RIFF", 0);
    put_text(&f, "WAVE");
    put_chunk(&f, "fmt ", 16);
    put_format(&f, format, channels, rate, bits);
    return f;
}

static inline kd_status wave_read(kd_audio **out, kd_context *ctx, const wave_file *f)
{
    return kd_audio_from_bytes(out, ctx, f->bytes, f->size, NULL);
}

#endif
