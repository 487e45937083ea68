/* Sample rates: tones keep their height and size, what cannot be heard there is gone, and the same
 * sums as written down here in double. */
#include "../unit.h"

enum { RATE = 8000, SAMPLES = 4000 };

static kd_context *ctx;
static void setup(void) { ctx = make_context(3); }
static void teardown(void) { kd_context_free(ctx); }

static kd_audio *tone(double hertz, int32_t rate, int64_t samples)
{
    kd_audio *audio = NULL;
    float *x = malloc((size_t)samples * sizeof *x);
    for (int64_t i = 0; i < samples; i++) x[i] = (float)sin(2 * M_PI * hertz * (double)i / rate);
    const kd_array a = KD_ARRAY_1D(x, KD_FLOAT32, samples);
    OK(kd_audio_from_array(&audio, ctx, &a, rate));
    free(x);
    return audio;
}

/* The largest error against the tone itself, and the largest value, away from both ends. */
static void measure(kd_audio *audio, double hertz, double *error, double *largest)
{
    kd_audio_info info = { .struct_size = sizeof info };
    kd_array a;
    OK(kd_audio_get_info(audio, &info));
    OK(kd_audio_samples(audio, &a));
    const float *x = a.data;
    *error = *largest = 0;
    for (int64_t i = info.samples / 4; i < info.samples * 3 / 4; i++) {
        const double wanted = sin(2 * M_PI * hertz * (double)i / info.sample_rate);
        *error = fmax(*error, fabs(x[i] - wanted));
        *largest = fmax(*largest, fabs(x[i]));
    }
}

START_TEST(tones_that_fit_stay_as_they_are)
{
    static const int32_t rates[] = { 16000, 11025, 22050, 44100, 48000, 7919 };
    for (int i = 0; i < 6; i++) {
        const double hertz = 0.89 * 0.5 * (rates[i] < RATE ? rates[i] : RATE);
        double error, largest;
        kd_audio *audio = tone(hertz, RATE, SAMPLES);
        OK(kd_audio_resample(audio, rates[i], NULL));
        measure(audio, hertz, &error, &largest);
        ck_assert_msg(error < 1.2e-3, "%d Hz: %g", rates[i], error); /* 0.01 dB */
        kd_audio_free(audio);
        audio = tone(440, RATE, SAMPLES);
        OK(kd_audio_resample(audio, rates[i], NULL));
        measure(audio, 440, &error, &largest);
        ck_assert_msg(error < 1e-5, "440 Hz at %d Hz: %g", rates[i], error);
        kd_audio_free(audio);
    }
}
END_TEST

START_TEST(tones_that_do_not_fit_are_gone)
{
    double error, largest;
    for (double above = 1.05; above < 1.9; above += 0.1) {
        kd_audio *audio = tone(above * 4000, 16000, SAMPLES);
        OK(kd_audio_resample(audio, 8000, NULL));
        measure(audio, 0, &error, &largest);
        ck_assert_msg(largest < 1e-5, "%g: %g", above, largest); /* 100 dB */
        kd_audio_free(audio);
    }
}
END_TEST

static double bessel(double x)
{
    double term = 1, sum = 1;
    for (int k = 1; k < 60; k++) sum += term *= x * x / (4.0 * k * k);
    return sum;
}

/* The definition, over all samples. */
static double wanted_at(const float *x, int64_t samples, int64_t j, double from, double to,
                        const kd_resample_options *o)
{
    const double b = o->rolloff * fmin(1, to / from), c = (double)j * from / to;
    double sum = 0;
    for (int64_t i = 0; i < samples; i++) {
        const double t = b * ((double)i - c), u = t / o->zero_crossings;
        if (fabs(u) >= 1) continue;
        const double w = o->window == KD_SINC_HANN
                             ? pow(cos(M_PI * u / 2), 2)
                             : bessel(o->beta * sqrt(1 - u * u)) / bessel(o->beta);
        sum += b * x[i] * w * (t == 0 ? 1 : sin(M_PI * t) / (M_PI * t));
    }
    return sum;
}

START_TEST(every_output_is_the_sum_that_is_documented)
{
    enum { N = 150 };
    static const int32_t rates[][2] = {
        { 8000, 16000 }, { 16000, 8000 }, { 44100, 16000 }, { 16000, 22050 }, { 101, 103 }
    };
    float x[N][2];
    for (int i = 0; i < N; i++) x[i][0] = sinf((float)(i * i)), x[i][1] = cosf((float)i * 0.3f);
    for (int i = 0; i < 5; i++)
        for (int32_t window = 0; window <= 1; window++) {
            const kd_array a = KD_ARRAY_2D(x, KD_FLOAT32, N, 2);
            kd_resample_options o = KD_RESAMPLE_OPTIONS_INIT;
            kd_audio *audio = NULL;
            kd_array made;
            o.window = window;
            o.zero_crossings = 6 + 20 * i;
            OK(kd_audio_from_array(&audio, ctx, &a, rates[i][0]));
            OK(kd_audio_resample(audio, rates[i][1], &o));
            OK(kd_audio_samples(audio, &made));
            const int64_t count = ((int64_t)N * rates[i][1] + rates[i][0] - 1) / rates[i][0];
            ck_assert_int_eq(made.dims[0], count);
            for (int64_t j = 0; j < count; j++)
                for (int c = 0; c < 2; c++) {
                    float line[N];
                    for (int k = 0; k < N; k++) line[k] = x[k][c];
                    NEAR(((float *)made.data)[2 * j + c],
                         wanted_at(line, N, j, rates[i][0], rates[i][1], &o), 2e-6);
                }
            kd_audio_free(audio);
        }
}
END_TEST

START_TEST(bounds_are_named_and_leave_the_sound)
{
    kd_audio *audio = tone(440, RATE, SAMPLES);
    kd_audio_info info = { .struct_size = sizeof info };
    kd_resample_options o = KD_RESAMPLE_OPTIONS_INIT;
    FAILS(kd_audio_resample(audio, 0, NULL), KD_ERR_RANGE, "sample_rate");
    FAILS(kd_audio_resample(audio, -8000, NULL), KD_ERR_RANGE, "got -8000");
    FAILS(kd_audio_resample(audio, KD_AUDIO_MAX_RATE + 1, NULL), KD_ERR_RANGE, "1000000");
    o.zero_crossings = 0;
    FAILS(kd_audio_resample(audio, 16000, &o), KD_ERR_RANGE, "zero_crossings");
    o.zero_crossings = 64;
    o.rolloff = 0;
    FAILS(kd_audio_resample(audio, 16000, &o), KD_ERR_RANGE, "rolloff");
    o.rolloff = NAN;
    FAILS(kd_audio_resample(audio, 16000, &o), KD_ERR_RANGE, "rolloff");
    o.rolloff = 1;
    o.beta = 41;
    FAILS(kd_audio_resample(audio, 16000, &o), KD_ERR_RANGE, "beta");
    o.beta = 14;
    o.window = 2;
    FAILS(kd_audio_resample(audio, 16000, &o), KD_ERR_RANGE, "window");
    FAILS(kd_audio_resample(audio, 999983, NULL), KD_ERR_RANGE, "divisors in common");
    OK(kd_audio_resample(audio, RATE, NULL));
    OK(kd_audio_get_info(audio, &info));
    ck_assert_int_eq(info.sample_rate, RATE);
    ck_assert_int_eq(info.samples, SAMPLES);
    kd_audio_free(audio);
    audio = tone(1, 8000, 0);
    OK(kd_audio_resample(audio, 16000, NULL));
    OK(kd_audio_get_info(audio, &info));
    ck_assert_int_eq(info.samples, 0);
    kd_audio_free(audio);
}
END_TEST

Suite *resample_suite(void)
{
    Suite *suite = suite_create("resample");
    TCase *tests = tcase_create("resample");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, tones_that_fit_stay_as_they_are);
    tcase_add_test(tests, tones_that_do_not_fit_are_gone);
    tcase_add_test(tests, every_output_is_the_sum_that_is_documented);
    tcase_add_test(tests, bounds_are_named_and_leave_the_sound);
    return suite;
}
