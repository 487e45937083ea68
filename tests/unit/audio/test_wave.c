/* WAV files: every kind of sample, chunks in between, what is refused and how it is named. */
#include "wavekit.h"

static kd_context *ctx;
static void setup(void) { ctx = make_context(2); }
static void teardown(void) { kd_context_free(ctx); }

static void expect(const wave_file *f, int channels, const double *values, int64_t count)
{
    kd_audio *audio = NULL;
    kd_audio_info info = { .struct_size = sizeof info };
    kd_array x;
    OK(wave_read(&audio, ctx, f));
    OK(kd_audio_get_info(audio, &info));
    ck_assert_int_eq(info.sample_rate, 8000);
    ck_assert_int_eq(info.channels, channels);
    ck_assert_int_eq(info.samples, count / channels);
    OK(kd_audio_samples(audio, &x));
    ck_assert_int_eq(x.rank, channels);
    for (int64_t i = 0; i < count; i++) NEAR(((float *)x.data)[i], values[i], 1e-12);
    kd_audio_free(audio);
}

/* The least, the largest and the middle of each. */
START_TEST(integers_are_shares_of_their_largest)
{
    static const struct {
        int bits;
        uint64_t low, high, zero;
    } kinds[] = { { 8, 0, 255, 128 },
                  { 16, 0x8000, 0x7fff, 0 },
                  { 24, 0x800000, 0x7fffff, 0 },
                  { 32, 0x80000000, 0x7fffffff, 0 } };
    for (int i = 0; i < 4; i++) {
        const int bytes = kinds[i].bits / 8;
        const double step = pow(2, 1 - kinds[i].bits),
                     values[] = { -1, (double)(float)(1 - step), 0 };
        wave_file f = wave_begin(1, 1, 8000, kinds[i].bits);
        put_chunk(&f, "data", (uint32_t)(3 * bytes));
        put_number(&f, bytes, kinds[i].low);
        put_number(&f, bytes, kinds[i].high);
        put_number(&f, bytes, kinds[i].zero);
        expect(&f, 1, values, 3);
    }
}
END_TEST

START_TEST(floats_are_taken_as_they_are)
{
    const float single[] = { 0.5f, -2.25f };
    const double wide[] = { 0.5, -2.25 };
    for (int bits = 32; bits <= 64; bits += 32) {
        wave_file f = wave_begin(3, 2, 8000, bits);
        put_chunk(&f, "data", (uint32_t)(2 * bits / 8));
        for (int i = 0; i < 2; i++) {
            uint64_t word = 0;
            memcpy(&word, bits == 32 ? (const void *)&single[i] : &wide[i], (size_t)bits / 8);
            put_number(&f, bits / 8, word);
        }
        expect(&f, 2, wide, 2);
    }
}
END_TEST

/* An extensible format whose GUID begins with `format`. */
static wave_file extensible(int format, int valid)
{
    wave_file f = { .size = 0 };
    put_chunk(&f, "RIFF", 0);
    put_text(&f, "WAVE");
    put_chunk(&f, "fmt ", 40);
    put_format(&f, 0xFFFE, 1, 8000, 16);
    put_number(&f, 2, 22);
    put_number(&f, 2, (uint64_t)valid);
    put_number(&f, 4, 4);
    put_number(&f, 2, (uint64_t)format);
    put_number(&f, 6, 0x001000000000);
    put_number(&f, 8, 0x719b3800aa000080);
    return f;
}

static void put_one(wave_file *f)
{
    put_chunk(f, "data", 2);
    put_number(f, 2, 0x4000);
}

START_TEST(extensible_formats_are_what_their_guid_says)
{
    const double half = 0.5;
    kd_audio *audio = NULL;
    wave_file f = extensible(1, 16);
    put_one(&f);
    expect(&f, 1, &half, 1);
    f = extensible(7, 16);
    put_one(&f);
    FAILS(wave_read(&audio, ctx, &f), KD_ERR_FORMAT, "mu-law");
    f = extensible(1, 17);
    put_one(&f);
    FAILS(wave_read(&audio, ctx, &f), KD_ERR_FORMAT, "17 valid bits");
    f = extensible(1, 16);
    f.bytes[f.size - 1] ^= 1;
    put_one(&f);
    FAILS(wave_read(&audio, ctx, &f), KD_ERR_FORMAT, "unknown format");
}
END_TEST

/* A list with an odd size before the data, and something after it. */
START_TEST(other_chunks_are_passed_over)
{
    const double values[] = { 0.5, -1 };
    wave_file f = wave_begin(1, 1, 8000, 16);
    put_chunk(&f, "LIST", 5);
    put_text(&f, "INFOx");
    put_number(&f, 1, 0);
    put_chunk(&f, "data", 4);
    put_number(&f, 2, 0x4000);
    put_number(&f, 2, 0x8000);
    put_chunk(&f, "id3 ", 100);
    expect(&f, 1, values, 2);
}
END_TEST

START_TEST(sizes_of_streams_reach_to_the_end)
{
    const double values[] = { 0.5, -1 };
    static const uint32_t sizes[] = { 0xFFFFFFFF, 0x7FFFF000 };
    for (int i = 0; i < 2; i++) {
        wave_file f = wave_begin(1, 1, 8000, 16);
        put_chunk(&f, "data", sizes[i]);
        put_number(&f, 2, 0x4000);
        put_number(&f, 2, 0x8000);
        put_number(&f, 1, 9); /* half a sample: whoever wrote it was stopped */
        expect(&f, 1, values, 2);
    }
}
END_TEST

START_TEST(rf64_has_its_size_in_a_chunk_of_its_own)
{
    const double half = 0.5;
    kd_audio *audio = NULL;
    for (int bytes = 2; bytes <= 4; bytes += 2) {
        wave_file f = { .size = 0 };
        put_chunk(&f, "RF64", 0xFFFFFFFF);
        put_text(&f, "WAVE");
        put_chunk(&f, "ds64", 28);
        put_number(&f, 8, 0);
        put_number(&f, 8, (uint64_t)bytes);
        put_number(&f, 8, 1);
        put_number(&f, 4, 0);
        put_chunk(&f, "fmt ", 16);
        put_format(&f, 1, 1, 8000, 16);
        put_chunk(&f, "data", 0xFFFFFFFF);
        put_number(&f, 2, 0x4000);
        if (bytes == 2) expect(&f, 1, &half, 1);
        else FAILS(wave_read(&audio, ctx, &f), KD_ERR_FORMAT, "cut off");
    }
}
END_TEST

START_TEST(what_it_is_instead_is_named)
{
    static const struct {
        int format, channels, bits;
        const char *said;
    } kinds[] = { { 1, 5, 16, "1 or 2 channels, got 5" },
                  { 1, 0, 16, "1 or 2 channels, got 0" },
                  { 2, 1, 8, "Microsoft ADPCM" },
                  { 6, 1, 8, "A-law" },
                  { 7, 1, 8, "mu-law" },
                  { 17, 1, 8, "IMA ADPCM" },
                  { 85, 1, 8, "MP3" },
                  { 999, 1, 8, "format 999" },
                  { 1, 1, 12, "got 12 bits" },
                  { 3, 1, 16, "got 16 bits" } };
    static const char *const files[][2] = { { "fLaC0123456789", "FLAC" },
                                            { "OggS0123456789", "Ogg" },
                                            { "ID3.0123456789", "MP3" },
                                            { "FORM....AIFF..", "AIFF" },
                                            { "RIFX....WAVE..", "big-endian" },
                                            { "RIFF....AVI ..", "another kind" },
                                            { "hello, world..", "begins with RIFF" },
                                            { "RIFF", "4 bytes: cut off" } };
    kd_audio *audio = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        wave_file f = wave_begin(kinds[i].format, kinds[i].channels, 8000, kinds[i].bits);
        put_chunk(&f, "data", 0);
        FAILS(wave_read(&audio, ctx, &f), KD_ERR_FORMAT, kinds[i].said);
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        FAILS(kd_audio_from_bytes(&audio, ctx, files[i][0], (int64_t)strlen(files[i][0]), NULL),
              KD_ERR_FORMAT, files[i][1]);
    ck_assert(!audio);
}
END_TEST

START_TEST(a_file_that_is_cut_off_is_refused_at_every_byte)
{
    kd_audio *audio = NULL;
    wave_file f = wave_begin(1, 1, 8000, 16);
    put_chunk(&f, "LIST", 4);
    put_text(&f, "INFO");
    put_chunk(&f, "data", 4);
    put_number(&f, 4, 0);
    for (int64_t size = 0; size < f.size; size++) {
        const wave_file part = { .size = size };
        memcpy((void *)part.bytes, f.bytes, (size_t)size);
        FAILS(wave_read(&audio, ctx, &part), KD_ERR_FORMAT, "");
    }
    OK(wave_read(&audio, ctx, &f));
    kd_audio_free(audio);
}
END_TEST

START_TEST(fields_that_disagree_are_refused)
{
    kd_audio *audio = NULL;
    wave_file f = wave_begin(1, 1, 0, 16);
    put_chunk(&f, "data", 0);
    FAILS(wave_read(&audio, ctx, &f), KD_ERR_FORMAT, "sample rate");
    f = wave_begin(1, 1, 8000, 16);
    f.bytes[32] = 7;
    put_chunk(&f, "data", 0);
    FAILS(wave_read(&audio, ctx, &f), KD_ERR_FORMAT, "got 7");
    f = wave_begin(1, 2, 8000, 16);
    put_chunk(&f, "data", 6);
    put_number(&f, 6, 0);
    FAILS(wave_read(&audio, ctx, &f), KD_ERR_FORMAT, "no whole samples");
    f = (wave_file){ .size = 0 };
    put_chunk(&f, "RIFF", 0);
    put_text(&f, "WAVE");
    put_chunk(&f, "data", 0);
    FAILS(wave_read(&audio, ctx, &f), KD_ERR_FORMAT, "without a chunk fmt");
}
END_TEST

/* Written, read, the same numbers; integers again the same file. */
START_TEST(what_is_written_is_read_again)
{
    float x[] = { 0, 0.5f, -0.25f, 1.5f, -1.5f, 1.0f / 3 };
    static const double near[] = { 0, 0.5, -0.25, 32767.0 / 32768, -1, 10923.0 / 32768 };
    const kd_array samples = KD_ARRAY_2D(x, KD_FLOAT32, 3, 2);
    const char *path = scratch_path("written.wav"), *other = scratch_path("again.wav");
    static const int32_t dtypes[] = { KD_INT16, KD_FLOAT32 };
    kd_audio *audio = NULL;
    OK(kd_audio_from_array(&audio, ctx, &samples, 8000));
    for (int i = 0; i < 2; i++) {
        kd_audio *again = NULL;
        kd_array y;
        size_t size, other_size;
        OK(kd_audio_save(audio, path, dtypes[i]));
        OK(kd_audio_load(&again, ctx, path, NULL));
        OK(kd_audio_samples(again, &y));
        ck_assert_int_eq(y.dims[0], 3);
        ck_assert_int_eq(y.dims[1], 2);
        for (int k = 0; k < 6; k++) NEAR(((float *)y.data)[k], i ? x[k] : near[k], 1e-9);
        OK(kd_audio_save(again, other, dtypes[i]));
        char *a = read_whole(path, &size), *b = read_whole(other, &other_size);
        ck_assert_uint_eq(size, other_size);
        ck_assert_uint_eq(size, i ? 58 + 24 : 44 + 12);
        ck_assert(!memcmp(a, b, size));
        free(a);
        free(b);
        kd_audio_free(again);
    }
    FAILS(kd_audio_save(audio, path, KD_INT8), KD_ERR_INVALID, "KD_INT16 or KD_FLOAT32");
    kd_audio_free(audio);
    x[3] = NAN;
    OK(kd_audio_from_array(&audio, ctx, &samples, 8000));
    FAILS(kd_audio_save(audio, path, KD_INT16), KD_ERR_NONFINITE, "sample 1");
    kd_audio_free(audio);
    FAILS(kd_audio_load(&audio, ctx, scratch_path("no.wav"), NULL), KD_ERR_NOT_FOUND, "no.wav");
    write_file(path, "fLaC01234567", 12);
    FAILS(kd_audio_load(&audio, ctx, path, NULL), KD_ERR_FORMAT, "written.wav");
}
END_TEST

START_TEST(channels_are_mixed_down_and_arrays_checked)
{
    kd_audio_options o = KD_AUDIO_OPTIONS_INIT;
    float x[6] = { 0 };
    const kd_array five = KD_ARRAY_2D(x, KD_FLOAT32, 1, 5), one = KD_ARRAY_1D(x, KD_FLOAT32, 6);
    kd_audio *audio = NULL;
    kd_array y;
    wave_file f = wave_begin(1, 2, 8000, 16);
    put_chunk(&f, "data", 4);
    put_number(&f, 2, 0x4000);
    put_number(&f, 2, 0xC000);
    o.mono = 1;
    o.sample_rate = 16000;
    OK(kd_audio_from_bytes(&audio, ctx, f.bytes, f.size, &o));
    OK(kd_audio_samples(audio, &y));
    ck_assert_int_eq(y.rank, 1);
    ck_assert_int_eq(y.dims[0], 2); /* of twice the rate */
    ck_assert(((float *)y.data)[0] == 0);
    kd_audio_free(audio);
    o.mono = 2;
    FAILS(kd_audio_from_bytes(&audio, ctx, f.bytes, f.size, &o), KD_ERR_RANGE, "mono");
    o.mono = 0;
    o.sample_rate = -1;
    FAILS(kd_audio_from_bytes(&audio, ctx, f.bytes, f.size, &o), KD_ERR_RANGE, "sample_rate");
    FAILS(kd_audio_from_array(&audio, ctx, &five, 8000), KD_ERR_RANGE, "channels, got 5");
    FAILS(kd_audio_from_array(&audio, ctx, &one, 0), KD_ERR_RANGE, "sample_rate");
}
END_TEST

Suite *wave_suite(void)
{
    Suite *suite = suite_create("wave");
    TCase *tests = tcase_create("wave");
    tcase_add_checked_fixture(tests, setup, teardown);
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, integers_are_shares_of_their_largest);
    tcase_add_test(tests, floats_are_taken_as_they_are);
    tcase_add_test(tests, extensible_formats_are_what_their_guid_says);
    tcase_add_test(tests, other_chunks_are_passed_over);
    tcase_add_test(tests, sizes_of_streams_reach_to_the_end);
    tcase_add_test(tests, rf64_has_its_size_in_a_chunk_of_its_own);
    tcase_add_test(tests, what_it_is_instead_is_named);
    tcase_add_test(tests, a_file_that_is_cut_off_is_refused_at_every_byte);
    tcase_add_test(tests, fields_that_disagree_are_refused);
    tcase_add_test(tests, what_is_written_is_read_again);
    tcase_add_test(tests, channels_are_mixed_down_and_arrays_checked);
    return suite;
}
