/* Another sample rate through a windowed sinc. With r = new / old and b = min(1, r) rolloff, output
 * j lies at the time c = j / r of the input, and
 *   y_j = b sum over i of x_i sinc(b (i - c)) w(b (i - c) / Z),
 * w a window over -1 to 1, Z zero crossings a side. In lowest terms the place of c between two
 * samples repeats every `new` outputs: a row of weights for each place (phase), computed once.
 * [Smith, Digital Audio Resampling; torchaudio's sinc_interp_kaiser and _hann are the same sums] */
#include <math.h>
#include <string.h>

#include "audio/sound.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "math/kernels.h"

#define MAX_WEIGHTS ((int64_t)1 << 24)
enum { TILE = 1024, TILE_PHASES = 16 }; /* outputs and rows of a piece of work */

static const kd_resample_options defaults = KD_RESAMPLE_OPTIONS_INIT;
void kd_resample_options_init(kd_resample_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

typedef struct {
    kd_context *context;
    kd_resample_options o;
    int64_t from, to;     /* rates in lowest terms */
    int64_t taps, phases; /* taps: half before, half after */
    int64_t count;        /* outputs of a channel */
    int32_t channels;
    float *weights; /* (phases, taps) */
    float *line;    /* a channel with taps zeros on each side */
    float *out;     /* (count, channels) */
    int32_t channel;
} job;

static kd_status read_options(kd_resample_options *o, const kd_resample_options *options)
{
    *o = defaults;
    KD_TRY(kd__options_read(o, sizeof *o, options, "kd_resample_options"));
    KD_FAIL_IF(o->window != KD_SINC_KAISER && o->window != KD_SINC_HANN, KD_ERR_RANGE,
               "window: expected KD_SINC_KAISER or KD_SINC_HANN, got %d", o->window);
    KD_FAIL_IF(o->zero_crossings < 1 || o->zero_crossings > 256, KD_ERR_RANGE,
               "zero_crossings: expected 1 to 256, got %d", o->zero_crossings);
    KD_FAIL_IF(!(o->rolloff > 0.01 && o->rolloff <= 1), KD_ERR_RANGE,
               "rolloff: expected more than 0.01, at most 1, got %g", o->rolloff);
    KD_FAIL_IF(!(o->beta >= 0 && o->beta <= 40), KD_ERR_RANGE, "beta: expected 0 to 40, got %g",
               o->beta);
    return KD_OK;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* ---- weights ---- */

/* The modified Bessel function I_0: sum over k of (x / 2)^2k / k!^2. */
static double bessel(double x)
{
    double term = 1, sum = 1;
    for (int k = 1; term > 1e-17 * sum; k++) {
        term *= x / (2.0 * k) * (x / (2.0 * k));
        sum += term;
    }
    return sum;
}

/* At u from -1 to 1. */
static double window_at(const kd_resample_options *o, double u)
{
    const double c = cos(0.5 * M_PI * u);
    if (o->window == KD_SINC_HANN) return c * c;
    return bessel(o->beta * sqrt(1 - u * u)) / bessel(o->beta);
}

/* Cycles of the sinc in a sample of the input. */
static double cut_off(const job *j)
{
    return j->o.rolloff * (double)kd__min(j->from, j->to) / (double)j->from;
}

static void fill_phase(const job *j, int64_t phase)
{
    float *row = j->weights + phase * j->taps;
    const double b = cut_off(j), place = (double)(phase * j->from % j->to) / (double)j->to;
    for (int64_t k = 0; k < j->taps; k++) {
        const double t = b * ((double)(k + 1 - j->taps / 2) - place), u = t / j->o.zero_crossings;
        const double sinc = t == 0 ? 1 : sin(M_PI * t) / (M_PI * t);
        row[k] = fabs(u) < 1 ? (float)(b * sinc * window_at(&j->o, u)) : 0;
    }
}

static void fill_phases(void *argument, int64_t index, int32_t worker)
{
    const job *j = argument;
    (void)worker;
    for (int64_t p = index * TILE_PHASES; p < kd__min(j->phases, (index + 1) * TILE_PHASES); p++)
        fill_phase(j, p);
}

/* ---- outputs ---- */

static void run_tile(void *argument, int64_t index, int32_t worker)
{
    const job *j = argument;
    (void)worker;
    for (int64_t i = index * TILE; i < kd__min(j->count, (index + 1) * TILE); i++) {
        const int64_t phase = i % j->to, at = i / j->to * j->from + phase * j->from / j->to;
        const float *x = j->line + at + 1 + j->taps / 2;
        j->out[i * j->channels + j->channel] =
            j->context->kernels->inner_product(j->weights + phase * j->taps, x, j->taps);
    }
}

static void run_channel(job *j, const kd_audio *audio, int32_t channel)
{
    float *x = j->line + j->taps;
    for (int64_t i = 0; i < audio->samples; i++)
        x[i] = audio->values[i * audio->channels + channel];
    j->channel = channel;
    kd__parallel(j->context, kd__ceil_div(j->count, TILE), run_tile, j);
}

/* Sizes, none of which overflows: samples and rates are bounded. */
static kd_status plan(job *j, const kd_audio *audio, int32_t sample_rate)
{
    const int64_t divisor = common_divisor(audio->sample_rate, sample_rate);
    j->from = audio->sample_rate / divisor;
    j->to = sample_rate / divisor;
    j->channels = audio->channels;
    KD_TRY(kd__multiply(audio->samples, j->to, &j->count));
    j->count = kd__ceil_div(j->count, j->from);
    j->taps = 2 * (int64_t)ceil(j->o.zero_crossings / cut_off(j));
    j->phases = kd__min(j->to, j->count);
    KD_FAIL_IF(j->taps > MAX_WEIGHTS / kd__max(j->phases, 1), KD_ERR_RANGE,
               "from %d to %d Hz: %lld filters of %lld numbers are too many: take a rate with more "
               "divisors in common",
               audio->sample_rate, sample_rate, (long long)j->phases, (long long)j->taps);
    return KD_OK;
}

static kd_status run(job *j, const kd_audio *audio)
{
    KD_TRY(KD_NEW(j->context, &j->weights, kd__max(1, j->phases * j->taps)));
    KD_TRY(KD_NEW(j->context, &j->line, audio->samples + 2 * j->taps));
    KD_TRY(KD_NEW(j->context, &j->out, kd__max(1, j->count * j->channels)));
    kd__parallel(j->context, kd__ceil_div(j->phases, TILE_PHASES), fill_phases, j);
    for (int32_t c = 0; c < j->channels; c++) run_channel(j, audio, c);
    return KD_OK;
}

kd_status kd_audio_resample(kd_audio *audio, int32_t sample_rate,
                            const kd_resample_options *options)
{
    job j = { 0 };
    KD_NEED(audio);
    KD_TRY(read_options(&j.o, options));
    KD_FAIL_IF(sample_rate < 1 || sample_rate > KD_AUDIO_MAX_RATE, KD_ERR_RANGE,
               "sample_rate: expected 1 to %d Hz, got %d", KD_AUDIO_MAX_RATE, sample_rate);
    if (sample_rate == audio->sample_rate) return KD_OK;
    j.context = audio->object.context;
    KD_TRY(plan(&j, audio, sample_rate));
    const kd_status status = run(&j, audio);
    kd__release(j.context, j.line);
    kd__release(j.context, j.weights);
    if (status != KD_OK) {
        kd__release(j.context, j.out);
        return status;
    }
    kd__release(j.context, audio->values);
    audio->values = j.out;
    audio->samples = j.count;
    audio->sample_rate = sample_rate;
    return KD_OK;
}
