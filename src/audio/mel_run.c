/* A call: frames of all sounds in blocks of KD__LANES, which never hold two sounds, then each
 * sound's levels. */
#include <math.h>
#include <string.h>

#include "audio/mel_run.h"
#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "core/data/fields.h"

typedef struct {
    kd_mel *mel;
    const float *samples;
    int64_t count;                         /* sounds */
    const int64_t *first, *frames, *block; /* of each sound, and the ends */
    float *values;
    atomic_int_fast64_t wrong; /* the first sound that is not finite; count: none */
} call;

static int64_t made(const call *c, int64_t sound)
{
    const kd_mel_options *o = &c->mel->o;
    const int64_t all = kd__mel_frames(o, c->first[sound + 1] - c->first[sound]);
    return o->frames ? kd__min(all, o->frames) : all;
}

/* ---- a block of frames ---- */

/* One frame, before its window. */
static void read_frame(const kd_mel_options *o, const kd__sound *s, int64_t frame, double *line)
{
    const int64_t n = o->window_length, begin = kd__mel_begin(o, frame);
    if (begin >= 0 && begin + n <= s->count)
        for (int64_t i = 0; i < n; i++) line[i] = s->samples[begin + i];
    else
        for (int64_t i = 0; i < n; i++) line[i] = kd__mel_sample(o, s, begin + i);
    if (o->remove_mean) {
        double mean = 0;
        for (int64_t i = 0; i < n; i++) mean += line[i];
        mean /= (double)n;
        for (int64_t i = 0; i < n; i++) line[i] -= mean;
    }
    if (o->preemphasis > 0) { /* as Kaldi: the first sample follows itself */
        for (int64_t i = n - 1; i > 0; i--) line[i] -= o->preemphasis * line[i - 1];
        line[0] -= o->preemphasis * line[0];
    }
}

/* Frames side by side, (KD__LANES, window_length), under the window into the transform: even
 * samples are its real parts, odd ones its imaginary parts, zeros follow. */
static void put_frames(const kd_mel *mel, const double *lines, double *transform)
{
    const int64_t n = mel->o.window_length, half = mel->fourier.half;
    for (int64_t i = 0; i < n; i++) {
        double *to = transform + (i & 1 ? half * KD__LANES : 0) + (i >> 1) * KD__LANES;
        const double w = mel->window[i];
        for (int l = 0; l < KD__LANES; l++) to[l] = lines[l * n + i] * w;
    }
    for (int part = 0; part < 2; part++) {
        const int64_t used = (n + 1 - part) / 2;
        memset(transform + (part * half + used) * KD__LANES, 0,
               (size_t)((half - used) * KD__LANES) * sizeof *transform);
    }
}

static void run_bands(const kd_mel *mel, const double *power, double *bands)
{
    const kd_context *context = mel->object.context;
    for (int32_t b = 0; b < mel->o.mels; b++) {
        const kd__band *band = &mel->bands[b];
        context->kernels->weigh_lanes(bands + b * KD__LANES, band->weights,
                                      power + band->first * KD__LANES, band->count);
    }
}

static void run_block(const kd_mel *mel, const kd__sound *s, int64_t frame, int64_t count,
                      double *scratch, float *values)
{
    const int64_t transform = kd__fourier_scratch(&mel->fourier),
                  powers = (mel->fourier.half + 1) * KD__LANES;
    double *power = scratch + transform, *bands = power + powers,
           *lines = bands + mel->o.mels * KD__LANES;
    const int64_t n = mel->o.window_length;
    for (int64_t l = 0; l < count; l++) read_frame(&mel->o, s, frame + l, lines + l * n);
    memset(lines + count * n, 0, (size_t)((KD__LANES - count) * n) * sizeof *lines);
    put_frames(mel, lines, scratch);
    kd__fourier_power(&mel->fourier, mel->object.context, scratch, power);
    if (mel->o.power == 1)
        for (int64_t i = 0; i < powers; i++) power[i] = sqrt(power[i]);
    run_bands(mel, power, bands);
    for (int64_t l = 0; l < count; l++)
        for (int32_t b = 0; b < mel->o.mels; b++)
            values[l * mel->o.mels + b] = kd__mel_log(&mel->o, bands[b * KD__LANES + l]);
}

/* The sound that a block belongs to. */
static int64_t sound_of(const call *c, int64_t block)
{
    int64_t low = 0, high = c->count - 1;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (c->block[middle + 1] > block) high = middle;
        else low = middle + 1;
    }
    return low;
}

static void work_on_block(void *argument, int64_t index, int32_t worker)
{
    const call *c = argument;
    const kd_mel *mel = c->mel;
    const int64_t i = sound_of(c, index), frame = (index - c->block[i]) * KD__LANES,
                  samples = c->first[i + 1] - c->first[i];
    const int64_t length = mel->o.sound_length ? mel->o.sound_length : samples;
    const kd__sound s = { c->samples + c->first[i], kd__min(samples, length), length, made(c, i) };
    run_block(mel, &s, frame, kd__min(KD__LANES, s.frames - frame),
              mel->scratch + worker * mel->scratch_size,
              c->values + (c->frames[i] + frame) * mel->o.mels);
}

/* ---- a sound's levels ---- */

static void work_on_sound(void *argument, int64_t i, int32_t worker)
{
    call *c = argument;
    const kd_mel_options *o = &c->mel->o;
    const int64_t frames = c->frames[i + 1] - c->frames[i];
    float *values = c->values + c->frames[i] * o->mels;
    (void)worker;
    kd__mel_finish(o, values, made(c, i), frames);
    for (int64_t k = 0; k < frames * o->mels; k++) {
        if (isfinite(values[k])) continue;
        int_fast64_t first = atomic_load(&c->wrong);
        while (i < first && !atomic_compare_exchange_weak(&c->wrong, &first, i)) {}
        return;
    }
}

/* ---- the call ---- */

/* Sounds, their first samples, frames and blocks. */
static kd_status plan(kd_mel *mel, const kd_array *of_all, const kd_array *offsets, call *c)
{
    const int64_t samples = of_all->dims[0];
    c->mel = mel;
    c->samples = of_all->data;
    c->count = offsets ? offsets->dims[0] - 1 : 1;
    KD_TRY(KD_RENEW(mel->object.context, &mel->sounds, &mel->sounds_room, 3 * (c->count + 1)));
    int64_t *first = mel->sounds, *frames = first + c->count + 1, *block = frames + c->count + 1;
    if (offsets) KD_TRY(kd__array_to_int64(offsets, first, "offsets"));
    else first[0] = 0, first[1] = samples;
    KD_TRY(kd__offsets_check(first, c->count + 1, "offsets"));
    KD_FAIL_IF(first[c->count] != samples, KD_ERR_RANGE,
               "offsets: expected to end with %lld, the number of samples, got %lld",
               (long long)samples, (long long)first[c->count]);
    c->first = first;
    c->frames = frames;
    c->block = block;
    frames[0] = block[0] = 0;
    for (int64_t i = 0; i < c->count; i++) {
        const int64_t here = made(c, i), kept = mel->o.frames ? mel->o.frames : here;
        KD_FAIL_IF(__builtin_add_overflow(frames[i], kept, &frames[i + 1]), KD_ERR_RANGE,
                   "frames: %lld sounds have more than fit in 64 bits", (long long)c->count);
        block[i + 1] = block[i] + kd__ceil_div(here, KD__LANES);
    }
    return KD_OK;
}

static kd_status check_inputs(const kd_array *samples, const kd_array *offsets)
{
    KD_TRY(kd__array_check_float32(samples, "samples"));
    KD_FAIL_IF(samples->rank != 1, KD_ERR_SHAPE,
               "samples: expected (samples) of one channel, got rank %d: mix channels down first",
               samples->rank);
    if (!offsets) return KD_OK;
    KD_TRY(kd__array_check(offsets, "offsets"));
    KD_FAIL_IF(offsets->rank != 1 || offsets->dims[0] < 1, KD_ERR_SHAPE,
               "offsets: expected (sounds + 1) integers, got rank %d", offsets->rank);
    return KD_OK;
}

static kd_status run(call *c, float *values)
{
    c->values = values;
    atomic_init(&c->wrong, c->count);
    kd_context *context = c->mel->object.context;
    kd__parallel(context, c->block[c->count], work_on_block, c);
    kd__parallel(context, c->count, work_on_sound, c);
    const int64_t wrong = atomic_load(&c->wrong);
    KD_FAIL_IF(wrong < c->count, KD_ERR_NONFINITE,
               "sound %lld: its samples are not finite, or too large for float32",
               (long long)wrong);
    return KD_OK;
}

kd_status kd_mel_run(kd_mel *mel, const kd_array *samples, const kd_array *offsets,
                     const kd_array *values)
{
    call c;
    int64_t count;
    KD_NEED(mel);
    KD_TRY(check_inputs(samples, offsets));
    KD_TRY(kd__array_check_float32(values, "values"));
    KD_TRY(plan(mel, samples, offsets, &c));
    KD_TRY(kd__multiply(c.frames[c.count], mel->o.mels, &count));
    KD_FAIL_IF(
        kd_array_count(values) != count || values->rank < 2 ||
            values->dims[values->rank - 1] != mel->o.mels,
        KD_ERR_SHAPE, "values: expected (%lld, %d), one row a frame, got %lld numbers of rank %d",
        (long long)c.frames[c.count], mel->o.mels, (long long)kd_array_count(values), values->rank);
    return run(&c, values->data);
}

kd_status kd__mel_run_kept(kd_mel *mel, const kd_array *samples, const kd_array *offsets,
                           kd__spectrograms *made_of)
{
    call c;
    int64_t count;
    KD_NEED(mel);
    KD_TRY(check_inputs(samples, offsets));
    KD_TRY(plan(mel, samples, offsets, &c));
    KD_TRY(kd__multiply(c.frames[c.count], mel->o.mels, &count));
    KD_TRY(KD_RENEW(mel->object.context, &mel->values, &mel->values_room, kd__max(1, count)));
    KD_TRY(run(&c, mel->values));
    const int64_t rows[2] = { c.frames[c.count], mel->o.mels }, ends = c.count + 1,
                  whole[3] = { c.count, mel->o.frames, mel->o.mels };
    if (mel->o.frames) kd__array_view(&made_of->values, mel->values, KD_FLOAT32, 3, whole);
    else kd__array_view(&made_of->values, mel->values, KD_FLOAT32, 2, rows);
    kd__array_view(&made_of->offsets, mel->sounds + c.count + 1, KD_INT64, 1, &ends);
    return KD_OK;
}
