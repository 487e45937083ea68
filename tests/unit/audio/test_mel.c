/* Mel spectrograms: those of the packages that presets are named after, bounds, ends of sounds,
 * fields of batches and datasets. */
#include "../unit.h"

#include "../../goldens/audio_goldens.h"

enum { SAMPLES = 24000 };

static kd_context *ctx;
static float x[SAMPLES];
static const kd_array whole = KD_ARRAY_1D(x, KD_FLOAT32, SAMPLES);

static void setup(void)
{
    ctx = make_context(3);
    for (int i = 0; i < SAMPLES; i++)
        x[i] = (float)(0.4 * sin(0.03 * i) + 0.3 * sin(1e-5 * i * i) + 0.05 * sin(1.7 * i));
}
static void teardown(void) { kd_context_free(ctx); }

static kd_mel_options preset(const char *name)
{
    kd_mel_options o = KD_MEL_OPTIONS_INIT;
    OK(kd_mel_get_preset(name, &o));
    return o;
}

/* Spectrograms of sounds by these options; the caller frees them. */
static float *run(kd_context *in, const kd_mel_options *o, const kd_array *samples,
                  const kd_array *offsets, int64_t frames)
{
    kd_mel *mel = NULL;
    float *values = malloc((size_t)(frames * o->mels) * sizeof *values);
    const kd_array v = KD_ARRAY_2D(values, KD_FLOAT32, frames, o->mels);
    OK(kd_mel_create(&mel, in, o));
    OK(kd_mel_run(mel, samples, offsets, &v));
    kd_mel_free(mel);
    return values;
}

/* Of float32 packages 1e-4 of a logarithm; whose values are in decibels, 1e-3. */
START_TEST(presets_are_those_of_the_packages)
{
    static const int64_t rows[] = { 0, 7, 40 };
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
        const kd_mel_options o = preset(goldens[i].preset);
        const double tolerance = o.log == KD_MEL_LOG_DECIBEL && o.std == 1 ? 1e-3 : 1e-4;
        kd_mel *mel = NULL;
        int64_t frames;
        OK(kd_mel_create(&mel, ctx, &o));
        OK(kd_mel_frame_count(mel, SAMPLES, &frames));
        kd_mel_free(mel);
        ck_assert_int_eq(frames, goldens[i].frames);
        ck_assert_int_eq(o.mels, goldens[i].mels);
        float *values = run(ctx, &o, &whole, NULL, frames);
        const float *wanted = goldens[i].values;
        for (int r = 0; r < 4; r++) {
            const float *row = values + (r < 3 ? rows[r] : frames - 1) * o.mels;
            for (int b = 0; b < o.mels; b += 5, wanted++)
                ck_assert_msg(fabs(row[b] - *wanted) <= tolerance,
                              "%s, row %d, band %d: %.7g, expected %.7g", goldens[i].preset, r, b,
                              row[b], *wanted);
        }
        free(values);
    }
}
END_TEST

/* ---- against the definition ---- */

static double hertz_of(double mel)
{
    return mel < 15 ? mel * 200 / 3 : 1000 * pow(6.4, (mel - 15) / 27);
}

/* Zeros beyond the ends, Hann, squares, Slaney's bands of equal area, no logarithm. */
static double wanted_at(const kd_mel_options *o, int64_t frame, int band)
{
    double corner[3], sum = 0;
    const double high = 15 + 27 * log(0.5 * o->sample_rate / 1000) / log(6.4);
    for (int i = 0; i < 3; i++) corner[i] = hertz_of(high * (band + i) / (o->mels + 1));
    for (int k = 0; k <= o->fft_size / 2; k++) {
        const double f = (double)k * o->sample_rate / o->fft_size,
                     up = (f - corner[0]) / (corner[1] - corner[0]),
                     down = (corner[2] - f) / (corner[2] - corner[1]), w = fmin(up, down);
        double re = 0, im = 0;
        if (w <= 0) continue;
        for (int i = 0; i < o->window_length; i++) {
            const int64_t at = frame * o->hop - o->fft_size / 2 +
                               (o->fft_size - o->window_length) / 2 + i;
            if (at < 0 || at >= SAMPLES) continue;
            const double y = x[at] * (0.5 - 0.5 * cos(2 * M_PI * i / o->window_length)),
                         angle = 2 * M_PI * k * i / o->fft_size;
            re += y * cos(angle);
            im += y * sin(angle);
        }
        sum += w * (re * re + im * im) * 2 / (corner[2] - corner[0]);
    }
    return sum;
}

START_TEST(every_size_is_the_definition)
{
    static const int32_t sizes[][2] = { { 400, 400 }, { 512, 400 },   { 630, 500 }, { 336, 335 },
                                        { 98, 98 },   { 250, 1 + 2 }, { 2, 1 } };
    for (int i = 0; i < 7; i++) {
        kd_mel_options o = KD_MEL_OPTIONS_INIT;
        o.fft_size = sizes[i][0];
        o.window_length = sizes[i][1];
        o.log = KD_MEL_LOG_NONE;
        o.mels = 10;
        o.hop = 3000;
        float *values = run(ctx, &o, &whole, NULL, 9);
        for (int f = 0; f < 9; f++)
            for (int b = 0; b < 10; b++) {
                const double wanted = wanted_at(&o, f, b);
                NEAR(values[f * 10 + b], wanted, 1e-6 * wanted + 1e-12);
            }
        free(values);
    }
}
END_TEST

/* ---- ends, cuts, levels ---- */

START_TEST(frames_are_counted_as_documented)
{
    static const int64_t samples[] = { 0, 1, 399, 400, 511, 512, 671, 672, 16000 };
    static const int64_t wanted[][9] = { { 0, 0, 0, 1, 1, 1, 2, 2, 98 },
                                         { 0, 0, 0, 0, 0, 1, 1, 2, 97 },
                                         { 0, 1, 3, 3, 4, 4, 5, 5, 101 },
                                         { 0, 1, 3, 3, 4, 4, 5, 5, 101 },
                                         { 0, 0, 2, 3, 3, 3, 4, 4, 100 } };
    kd_mel_options o = KD_MEL_OPTIONS_INIT;
    o.fft_size = 512;
    for (o.framing = 0; o.framing <= KD_FRAMES_MIRROR; o.framing++) {
        kd_mel *mel = NULL;
        int64_t count;
        OK(kd_mel_create(&mel, ctx, &o));
        for (int i = 0; i < 9; i++) {
            OK(kd_mel_frame_count(mel, samples[i], &count));
            ck_assert_msg(count == wanted[o.framing][i], "framing %d of %lld: %lld", o.framing,
                          (long long)samples[i], (long long)count);
        }
        FAILS(kd_mel_frame_count(mel, -1, &count), KD_ERR_RANGE, "got -1");
        kd_mel_free(mel);
    }
}
END_TEST

/* The mirrored sound, written down and cut without padding, has the same frames. */
START_TEST(ends_are_mirrored)
{
    enum { N = 300, PAD = 1000, ALL = N + 2 * PAD };
    static float padded[ALL];
    for (int framing = KD_FRAMES_REFLECT; framing <= KD_FRAMES_MIRROR; framing++) {
        const int once = framing == KD_FRAMES_REFLECT;
        kd_mel_options o = KD_MEL_OPTIONS_INIT;
        o.framing = framing;
        for (int i = 0; i < ALL; i++) {
            int at = i - PAD;
            while (at < 0 || at >= N)
                at = at < 0 ? (once ? -at : -1 - at) : (once ? 2 * (N - 1) - at : 2 * N - 1 - at);
            padded[i] = x[at];
        }
        const int64_t frames = once ? 2 : (N + 80) / 160, first = once ? -200 : 80 - 200;
        const kd_array a = KD_ARRAY_1D(x, KD_FLOAT32, N),
                       b = KD_ARRAY_1D(padded + PAD + first, KD_FLOAT32, 400 + 160 * (frames - 1));
        float *here = run(ctx, &o, &a, NULL, frames);
        o.framing = KD_FRAMES_WINDOWS;
        float *there = run(ctx, &o, &b, NULL, frames);
        for (int i = 0; i < frames * o.mels; i++) NEAR(here[i], there[i], 1e-5);
        free(here);
        free(there);
    }
}
END_TEST

START_TEST(levels_are_cut_and_normalized)
{
    kd_mel_options o = KD_MEL_OPTIONS_INIT;
    o.mels = 8;
    o.range = 3;
    float *values = run(ctx, &o, &whole, NULL, 151), least = 1e9f, most = -1e9f;
    for (int i = 0; i < 151 * 8; i++)
        least = fminf(least, values[i]), most = fmaxf(most, values[i]);
    NEAR(most - least, 3, 1e-5);
    free(values);
    o.range = 0;
    o.frames = 160; /* nine of them are added */
    for (o.normalize = KD_MEL_NORMALIZE_SOUND; o.normalize <= KD_MEL_NORMALIZE_BANDS;
         o.normalize++) {
        values = run(ctx, &o, &whole, NULL, 160);
        for (int b = 0; b < 8; b++) {
            double sum = 0, squares = 0, all = 0;
            for (int f = 0; f < 151; f++) {
                const double v = values[f * 8 + b];
                sum += v;
                squares += v * v;
                for (int c = 0; c < 8; c++) all += values[f * 8 + c];
            }
            if (o.normalize == KD_MEL_NORMALIZE_BANDS) {
                NEAR(sum / 151, 0, 1e-5);
                NEAR(squares / 151, 1, 1e-4);
            } else NEAR(all / (151 * 8), 0, 1e-5);
            for (int f = 151; f < 160; f++) ck_assert(values[f * 8 + b] == 0);
        }
        free(values);
    }
    o.normalize = KD_MEL_NORMALIZE_FIXED;
    o.mean = 2;
    o.std = 4;
    values = run(ctx, &o, &whole, NULL, 160);
    NEAR(values[159 * 8], -0.5, 1e-7); /* (0 - 2) / 4 */
    free(values);
}
END_TEST

/* Alone, among others, on one thread or three. */
START_TEST(bits_depend_on_the_sound_alone)
{
    static int64_t ends[] = { 0, 5000, 5000, 5001, 17000, SAMPLES };
    const kd_array offsets = KD_ARRAY_1D(ends, KD_INT64, 6);
    kd_context *alone = make_context(1);
    kd_mel_options o = preset("whisper");
    int64_t at = 0, all = 0;
    o.sound_length = 0;
    o.drop_last = 0;
    for (int i = 0; i < 5; i++)
        all += ends[i + 1] > ends[i] ? 1 + (ends[i + 1] - ends[i]) / o.hop : 0;
    float *together = run(ctx, &o, &whole, &offsets, all);
    for (int i = 0; i < 5; i++) {
        const int64_t n = ends[i + 1] - ends[i], frames = n ? 1 + n / o.hop : 0;
        const kd_array part = KD_ARRAY_1D(x + ends[i], KD_FLOAT32, n);
        if (!n) continue;
        float *here = run(alone, &o, &part, NULL, frames);
        ck_assert(!memcmp(here, together + at * o.mels, (size_t)(frames * o.mels) * 4));
        at += frames;
        free(here);
    }
    free(together);
    kd_context_free(alone);
}
END_TEST

START_TEST(a_second_call_allocates_nothing)
{
    kd_mel_options o = preset("ast");
    kd_mel *mel = NULL;
    kd_batch *batch = NULL;
    kd_context_info info = { .struct_size = sizeof info };
    uint64_t before = 0;
    OK(kd_mel_create(&mel, ctx, &o));
    OK(kd_batch_create(&batch, ctx, NULL));
    for (int i = 0; i < 3; i++) {
        OK(kd_batch_begin(batch, 1));
        OK(kd_batch_set_mel(batch, "mel", mel, &whole, NULL, NULL));
        OK(kd_context_get_info(ctx, &info));
        if (i == 1) before = info.allocations;
    }
    ck_assert_uint_eq(info.allocations, before);
    kd_batch_free(batch);
    kd_mel_free(mel);
}
END_TEST

/* ---- refusals ---- */

START_TEST(options_out_of_bounds_are_named)
{
#define BAD(member, value, said)                                                                   \
    do {                                                                                           \
        kd_mel_options o = KD_MEL_OPTIONS_INIT;                                                    \
        kd_mel *mel = NULL;                                                                        \
        o.member = value;                                                                          \
        FAILS(kd_mel_create(&mel, ctx, &o), KD_ERR_RANGE, said);                                   \
        ck_assert(!mel);                                                                           \
    } while (0)
    BAD(sample_rate, 0, "sample_rate");
    BAD(sample_rate, -16000, "sample_rate");
    BAD(sample_rate, INT32_MAX, "sample_rate");
    BAD(sound_length, -1, "sound_length");
    BAD(sound_length, INT64_MAX, "sound_length");
    BAD(frames, INT64_MAX, "frames");
    BAD(hop, 0, "hop");
    BAD(hop, -160, "hop");
    BAD(hop, INT32_MAX, "hop");
    BAD(fft_size, 0, "fft_size");
    BAD(fft_size, INT32_MAX, "fft_size");
    BAD(fft_size, 16386, "fft_size");
    BAD(fft_size, 401, "the next one is 420");
    BAD(fft_size, 4 * 101, "the next one is 420");
    BAD(window_length, 0, "window_length");
    BAD(window_length, 401, "window_length");
    BAD(mels, 0, "mels");
    BAD(mels, 1025, "mels");
    BAD(window, 4, "window");
    BAD(framing, -1, "framing");
    BAD(scale, 2, "scale");
    BAD(log, 4, "log");
    BAD(normalize, 4, "normalize");
    BAD(power, 0, "power");
    BAD(power, 3, "power");
    BAD(symmetric, 2, "symmetric");
    BAD(preemphasis, 1.5, "preemphasis");
    BAD(preemphasis, NAN, "preemphasis");
    BAD(gain, 0, "gain");
    BAD(gain, INFINITY, "gain");
    BAD(low, -1, "low");
    BAD(low, 8000, "high");
    BAD(high, 8001, "high");
    BAD(high, NAN, "high");
    BAD(floor, -1, "floor");
    BAD(floor, 0, "floor");
    BAD(offset, NAN, "offset");
    BAD(range, -1, "range");
    kd_mel_options o = KD_MEL_OPTIONS_INIT;
    kd_mel *mel = NULL;
    o.normalize = KD_MEL_NORMALIZE_FIXED;
    o.std = 0;
    FAILS(kd_mel_create(&mel, ctx, &o), KD_ERR_RANGE, "std");
    FAILS(kd_mel_get_preset("wisper", &o), KD_ERR_NOT_FOUND, "expected whisper");
}
END_TEST

START_TEST(inputs_that_do_not_fit_are_refused)
{
    static float values[200 * 80], bad[4000];
    const kd_mel_options o = KD_MEL_OPTIONS_INIT;
    int64_t ends[] = { 0, 2000, 4000 };
    kd_mel *mel = NULL;
    kd_array samples = KD_ARRAY_1D(bad, KD_FLOAT32, 4000), offsets = KD_ARRAY_1D(ends, KD_INT64, 3),
             v = KD_ARRAY_2D(values, KD_FLOAT32, 26, 80),
             few = KD_ARRAY_2D(values, KD_FLOAT32, 25, 80),
             flat = KD_ARRAY_1D(values, KD_FLOAT32, 26 * 80),
             two = KD_ARRAY_2D(bad, KD_FLOAT32, 2000, 2),
             doubles = KD_ARRAY_1D(bad, KD_FLOAT64, 100);
    OK(kd_mel_create(&mel, ctx, &o));
    OK(kd_mel_run(mel, &samples, &offsets, &v));
    FAILS(kd_mel_run(mel, &samples, &offsets, &few), KD_ERR_SHAPE, "expected (26, 80)");
    FAILS(kd_mel_run(mel, &samples, &offsets, &flat), KD_ERR_SHAPE, "rank 1");
    FAILS(kd_mel_run(mel, &two, NULL, &v), KD_ERR_SHAPE, "one channel");
    FAILS(kd_mel_run(mel, &doubles, NULL, &v), KD_ERR_DTYPE, "float32");
    ends[2] = 3999;
    FAILS(kd_mel_run(mel, &samples, &offsets, &v), KD_ERR_RANGE, "end with 4000");
    ends[2] = 4000, ends[1] = 5000;
    FAILS(kd_mel_run(mel, &samples, &offsets, &v), KD_ERR_RANGE, "offsets[2]");
    ends[1] = 2000;
    bad[3000] = NAN;
    FAILS(kd_mel_run(mel, &samples, &offsets, &v), KD_ERR_NONFINITE, "sound 1");
    bad[3000] = INFINITY;
    FAILS(kd_mel_run(mel, &samples, &offsets, &v), KD_ERR_NONFINITE, "sound 1");
    bad[100] = -INFINITY;
    FAILS(kd_mel_run(mel, &samples, &offsets, &v), KD_ERR_NONFINITE, "sound 0");
    bad[3000] = bad[100] = 3e38f; /* log(1e77) is a number */
    OK(kd_mel_run(mel, &samples, &offsets, &v));
    kd_mel_free(mel);
}
END_TEST

/* ---- fields ---- */

START_TEST(fields_are_ragged_or_of_one_length)
{
    static int64_t ends[] = { 0, 8000, SAMPLES };
    const kd_array offsets = KD_ARRAY_1D(ends, KD_INT32, 0), good = KD_ARRAY_1D(ends, KD_INT64, 3);
    kd_mel_options o = KD_MEL_OPTIONS_INIT;
    kd_mel *mel = NULL;
    kd_batch *batch = NULL;
    kd_dataset *dataset = NULL;
    kd_array v, at;
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_dataset_create(&dataset, ctx, NULL));
    OK(kd_mel_create(&mel, ctx, &o));
    OK(kd_batch_begin(batch, 2));
    OK(kd_batch_set_mel(batch, "mel", mel, &whole, &good, NULL));
    OK(kd_batch_field(batch, "mel", &v, NULL));
    OK(kd_batch_field_offsets(batch, "mel", &at));
    ck_assert_int_eq(v.rank, 2);
    ck_assert_int_eq(v.dims[0], 51 + 101);
    ck_assert_int_eq(((int64_t *)at.data)[1], 51);
    FAILS(kd_batch_set_mel(batch, "mel", mel, &whole, &offsets, NULL), KD_ERR_SHAPE, "offsets");
    FAILS(kd_dataset_add_mel(dataset, "mel", mel, &whole, &good), KD_ERR_INVALID, "frames");
    float *ragged = malloc((size_t)(v.dims[0] * 80) * sizeof *ragged);
    memcpy(ragged, v.data, (size_t)(v.dims[0] * 80) * sizeof *ragged);
    kd_mel_free(mel);
    o.frames = 60;
    OK(kd_mel_create(&mel, ctx, &o));
    OK(kd_batch_set_mel(batch, "fixed", mel, &whole, &good, NULL));
    OK(kd_dataset_add_mel(dataset, "mel", mel, &whole, &good));
    for (int i = 0; i < 2; i++) {
        if (i) OK(kd_dataset_field(dataset, "mel", &v, NULL));
        else OK(kd_batch_field(batch, "fixed", &v, NULL));
        const float *y = v.data;
        ck_assert_int_eq(v.rank, 3);
        ck_assert_int_eq(v.dims[0], 2);
        ck_assert_int_eq(v.dims[1], 60);
        ck_assert(!memcmp(y, ragged, 51 * 80 * 4)); /* zeros follow */
        ck_assert(y[59 * 80] == 0);
        ck_assert(!memcmp(y + 60 * 80, ragged + 51 * 80, 60 * 80 * 4)); /* cut */
    }
    free(ragged);
    kd_mel_free(mel);
    kd_batch_free(batch);
    kd_dataset_free(dataset);
}
END_TEST

/* ---- a transformer learns which tone it hears ---- */

enum { TONES = 16, TONE = 4000 };
static float tones[TONES * TONE];
static int64_t heard[TONES];

static void make_tones(void)
{
    for (int s = 0; s < TONES; s++) {
        heard[s] = s % 2;
        for (int i = 0; i < TONE; i++)
            tones[s * TONE + i] =
                (float)(0.3 * sin(2 * M_PI * (s % 2 ? 900 : 500) * i / 16000.0 + s) +
                        0.02 * sin((double)i * i * (s + 1)));
    }
}

static double train_one(kd_loader *loader, kd_batch *batch, kd_model *model, kd_loss *loss,
                        kd_optimizer *optimizer)
{
    kd_loss_result result = { .struct_size = sizeof result };
    OK(kd_loader_next(loader, batch));
    OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
    OK(kd_loss_backward(loss, model, batch, NULL, NULL, &result));
    OK(kd_optimizer_step(optimizer, 3e-3));
    return result.value;
}

START_TEST(spectrogram_transformers_train_on_them)
{
    static int64_t ends[TONES + 1];
    for (int i = 0; i <= TONES; i++) ends[i] = (int64_t)i * TONE;
    const kd_array samples = KD_ARRAY_1D(tones, KD_FLOAT32, TONES * TONE),
                   offsets = KD_ARRAY_1D(ends, KD_INT64, TONES + 1),
                   labels = KD_ARRAY_1D(heard, KD_INT64, TONES);
    kd_mel_options o = preset("ast");
    kd_dataset *dataset = NULL;
    kd_loader *loader = NULL;
    kd_loader_options lo = KD_LOADER_OPTIONS_INIT;
    kd_batch *batch = NULL;
    kd_model *model = NULL;
    kd_loss *loss = NULL;
    kd_optimizer *optimizer = NULL;
    kd_mel *mel = NULL;
    make_tones();
    o.frames = 24;
    o.mels = 32;
    OK(kd_mel_create(&mel, ctx, &o));
    OK(kd_dataset_create(&dataset, ctx, NULL));
    OK(kd_dataset_add_mel(dataset, "mel", mel, &samples, &offsets));
    OK(kd_dataset_add(dataset, "label", &labels, NULL));
    lo.batch_size = TONES;
    lo.epochs = 1000;
    OK(kd_loader_create(&loader, dataset, &lo));
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_model_create(&model, ctx,
                       "{\"model_type\":\"audio-spectrogram-transformer\",\"num_mel_bins\":32,"
                       "\"max_length\":24,\"patch_size\":8,\"frequency_stride\":8,"
                       "\"time_stride\":8,\"hidden_size\":16,\"num_hidden_layers\":1,"
                       "\"num_attention_heads\":2,\"intermediate_size\":32,\"num_labels\":2,"
                       "\"architectures\":[\"ASTForAudioClassification\"]}",
                       NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, NULL, NULL));
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    const double first = train_one(loader, batch, model, loss, optimizer);
    double last = first;
    for (int i = 0; i < 60; i++) last = train_one(loader, batch, model, loss, optimizer);
    ck_assert_msg(last < 0.1 && last < first / 4, "from %g to %g", first, last);
    kd_optimizer_free(optimizer);
    kd_loss_free(loss);
    kd_model_free(model);
    kd_batch_free(batch);
    kd_loader_free(loader);
    kd_dataset_free(dataset);
    kd_mel_free(mel);
}
END_TEST

/* ---- real speech ---- */

/* A number of a tar header in octal. */
static long octal(const char *text) { return strtol(text, NULL, 8); }

/* All recordings of the digits: 8 kHz, resampled, and none is silent. */
START_TEST(spoken_digits_are_read)
{
    const char *folder = real_data("spoken digits");
    char path[600];
    size_t size, at = 0;
    int files = 0;
    if (!folder) return;
    snprintf(path, sizeof path, "%s/speech/fsdd-recordings.tar", folder);
    char *bytes = read_whole(path, &size);
    kd_mel_options o = preset("google-speech-embedding");
    kd_audio_options ao = KD_AUDIO_OPTIONS_INIT;
    kd_mel *mel = NULL;
    o.frames = 96;
    o.sound_length = 16000;
    ao.sample_rate = 16000;
    OK(kd_mel_create(&mel, ctx, &o));
    float *values = malloc(96 * 32 * sizeof *values);
    const kd_array v = KD_ARRAY_2D(values, KD_FLOAT32, 96, 32);
    while (at + 512 <= size && bytes[at]) {
        const char *name = bytes + at;
        const long length = octal(name + 124);
        if (strstr(name, ".wav")) {
            kd_audio *audio = NULL;
            kd_audio_info info = { .struct_size = sizeof info };
            kd_array samples;
            OK(kd_audio_from_bytes(&audio, ctx, name + 512, length, &ao));
            OK(kd_audio_get_info(audio, &info));
            ck_assert_int_eq(info.sample_rate, 16000);
            ck_assert_int_eq(info.channels, 1);
            ck_assert(info.samples > 2000 && info.samples < 40000);
            OK(kd_audio_samples(audio, &samples));
            OK(kd_mel_run(mel, &samples, NULL, &v));
            float most = -1e9f;
            for (int i = 0; i < 96 * 32; i++) most = fmaxf(most, values[i]);
            ck_assert_msg(most > 4, "%s: %g", name, most); /* 20 dB */
            kd_audio_free(audio);
            files++;
        }
        at += 512 + (size_t)(length + 511) / 512 * 512;
    }
    ck_assert_int_eq(files, 3000);
    free(values);
    free(bytes);
    kd_mel_free(mel);
}
END_TEST

Suite *mel_suite(void)
{
    Suite *suite = suite_create("mel");
    TCase *tests = tcase_create("mel");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    TCase *slow = tcase_create("slow");
    tcase_set_tags(slow, "slow");
    tcase_add_checked_fixture(slow, setup, teardown);
    tcase_set_timeout(slow, 60);
    tcase_add_test(slow, every_size_is_the_definition);
    suite_add_tcase(suite, slow);
    tcase_add_test(tests, presets_are_those_of_the_packages);
    tcase_add_test(tests, frames_are_counted_as_documented);
    tcase_add_test(tests, ends_are_mirrored);
    tcase_add_test(tests, levels_are_cut_and_normalized);
    tcase_add_test(tests, bits_depend_on_the_sound_alone);
    tcase_add_test(tests, a_second_call_allocates_nothing);
    tcase_add_test(tests, options_out_of_bounds_are_named);
    tcase_add_test(tests, inputs_that_do_not_fit_are_refused);
    tcase_add_test(tests, fields_are_ragged_or_of_one_length);
    tcase_add_test(tests, spectrogram_transformers_train_on_them);
    tcase_add_test(tests, spoken_digits_are_read);
    return suite;
}
