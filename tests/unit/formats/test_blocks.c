/* Numbers in blocks: what comes back, how far away it is, what is refused. tests/property has ggml
 * beside it. */
#include "unit.h"

enum { WIDTH = 512, ROWS = 64, COUNT = WIDTH * ROWS };

static kd_context *ctx;
static void setup(void) { ctx = make_context(1); }
static void teardown(void) { kd_context_free(ctx); }

static float numbers[COUNT], made[COUNT], again[COUNT];
static uint8_t bytes[COUNT * 2], second[COUNT * 2];

/* Normal numbers, by Box and Muller on a counter. */
static void fill(float *to, int64_t count, uint32_t seed)
{
    for (int64_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        const double u = ((seed >> 8) + 1) / 16777217.0;
        seed = seed * 1664525u + 1013904223u;
        to[i] = (float)(0.05 * sqrt(-2 * log(u)) * cos(6.283185307179586 * (seed >> 8) / 16777216));
    }
}

static int64_t encode(int32_t format, const float *x, const float *importance, uint8_t *to)
{
    kd_array values = KD_ARRAY_2D(x, KD_FLOAT32, ROWS, WIDTH),
             weights = KD_ARRAY_1D(importance, KD_FLOAT32, WIDTH);
    const int64_t size = kd_block_bytes(format, COUNT);
    OK(kd_block_encode(ctx, format, &values, importance ? &weights : NULL, to, size));
    return size;
}

static void decode(int32_t format, const uint8_t *from, float *to)
{
    kd_array values = KD_ARRAY_2D(to, KD_FLOAT32, ROWS, WIDTH);
    OK(kd_block_decode(ctx, format, from, kd_block_bytes(format, COUNT), &values));
}

static double error_of(const float *weight)
{
    double error = 0, square = 0;
    for (int i = 0; i < COUNT; i++) {
        const double w = weight ? weight[i % WIDTH] : 1, left = numbers[i] - made[i];
        error += w * left * left;
        square += w * numbers[i] * numbers[i];
    }
    return sqrt(error / square);
}

/* Root mean square of what is lost of normal numbers: the formats' known figures. */
static const struct {
    int32_t format;
    double error;
    int comes_back; /* what was read is written as the same bytes */
} known[] = { { KD_BLOCK_Q8_0, .0054, 1 },   { KD_BLOCK_Q6_K, .0176, 0 },
              { KD_BLOCK_Q5_K, .0358, 0 },   { KD_BLOCK_Q5_0, .0428, 1 },
              { KD_BLOCK_Q5_1, .0384, 1 },   { KD_BLOCK_Q4_K, .0723, 1 },
              { KD_BLOCK_IQ4_NL, .0762, 0 }, { KD_BLOCK_Q4_1, .0783, 1 },
              { KD_BLOCK_Q4_0, .0862, 1 } };
enum { KNOWN = sizeof known / sizeof *known };

START_TEST(errors_are_those_of_the_formats)
{
    fill(numbers, COUNT, 3);
    for (int i = 0; i < KNOWN; i++) {
        encode(known[i].format, numbers, NULL, bytes);
        decode(known[i].format, bytes, made);
        NEAR(error_of(NULL), known[i].error, .03 * known[i].error);
    }
}
END_TEST

START_TEST(what_was_read_is_written_as_the_same_bytes)
{
    fill(numbers, COUNT, 4);
    for (int i = 0; i < KNOWN; i++) {
        const int64_t size = encode(known[i].format, numbers, NULL, bytes);
        decode(known[i].format, bytes, made);
        encode(known[i].format, made, NULL, second);
        if (known[i].comes_back)
            ck_assert_msg(!memcmp(bytes, second, (size_t)size), "format %d", known[i].format);
        decode(known[i].format, second, again);
        for (int j = 0; j < COUNT; j++) NEAR(again[j], made[j], .02);
    }
}
END_TEST

START_TEST(importance_lowers_the_error_that_it_weighs)
{
    static float importance[WIDTH];
    static const int32_t searched[] = { KD_BLOCK_Q4_0, KD_BLOCK_Q4_1, KD_BLOCK_Q5_0,  KD_BLOCK_Q5_1,
                                        KD_BLOCK_Q4_K, KD_BLOCK_Q5_K, KD_BLOCK_IQ4_NL };
    fill(numbers, COUNT, 5);
    for (int i = 0; i < WIDTH; i++) importance[i] = i % 7 ? .1f : 10;
    for (size_t i = 0; i < sizeof searched / sizeof *searched; i++) {
        encode(searched[i], numbers, NULL, bytes);
        decode(searched[i], bytes, made);
        const double plain = error_of(importance);
        encode(searched[i], numbers, importance, bytes);
        decode(searched[i], bytes, made);
        ck_assert_msg(error_of(importance) < .97 * plain, "format %d: %g, plainly %g", searched[i],
                      error_of(importance), plain);
    }
}
END_TEST

/* 8 .. -7 and their halves: d = -1, codes 8 - x, halves cut upwards. */
START_TEST(a_block_of_q4_0_is_what_its_formula_says)
{
    float x[32];
    uint8_t block[18];
    kd_array values = KD_ARRAY_1D(x, KD_FLOAT32, 32);
    for (int i = 0; i < 16; i++) x[i] = (float)(8 - i), x[i + 16] = (float)(8 - i) / 2;
    OK(kd_block_encode(ctx, KD_BLOCK_Q4_0, &values, NULL, block, 18));
    ck_assert(block[0] == 0x00 && block[1] == 0xbc); /* float16 of -1 */
    for (int i = 0; i < 16; i++) {
        ck_assert_int_eq(block[2 + i] & 15, i);
        ck_assert_int_eq(block[2 + i] >> 4, (int)(8 - x[i + 16] + .5f));
    }
}
END_TEST

START_TEST(zeros_stay_zeros)
{
    memset(numbers, 0, sizeof numbers);
    for (int i = 0; i < KNOWN; i++) {
        encode(known[i].format, numbers, NULL, bytes);
        decode(known[i].format, bytes, made);
        for (int j = 0; j < COUNT; j++) ck_assert(made[j] == 0);
    }
}
END_TEST

/* Blocks whose scales no float16 holds become 0, without a trap on the way. */
START_TEST(tiny_numbers_become_zeros)
{
    static const float sizes[] = { 1e-10f, 1e-30f, 1e-38f, 1e-44f };
    for (int s = 0; s < 4; s++)
        for (int i = 0; i < KNOWN; i++) {
            for (int j = 0; j < COUNT; j++) numbers[j] = (float)(j % 13 - 6) * sizes[s];
            encode(known[i].format, numbers, NULL, bytes);
            decode(known[i].format, bytes, made);
            for (int j = 0; j < COUNT; j++) ck_assert(made[j] == 0);
        }
}
END_TEST

START_TEST(what_has_no_blocks_is_refused)
{
    float x[256] = { 0 };
    uint8_t to[1024] = { 7 };
    kd_array values = KD_ARRAY_1D(x, KD_FLOAT32, 256), few = KD_ARRAY_1D(x, KD_FLOAT32, 40),
             negative = KD_ARRAY_1D(x, KD_FLOAT32, 256);
    FAILS(kd_block_encode(ctx, 7, &values, NULL, to, 144), KD_ERR_UNSUPPORTED, "KD_BLOCK_Q4_0");
    FAILS(kd_block_encode(ctx, KD_BLOCK_Q3_K, &values, NULL, to, 110), KD_ERR_UNSUPPORTED,
          "Q3_K is only read");
    FAILS(kd_block_encode(ctx, KD_BLOCK_Q4_0, &few, NULL, to, 18), KD_ERR_SHAPE,
          "multiple of 32 numbers, got 40");
    FAILS(kd_block_encode(ctx, KD_BLOCK_Q4_0, &values, NULL, to, 143), KD_ERR_SHAPE,
          "256 numbers are 144 bytes of Q4_0, got 143");
    FAILS(kd_block_decode(ctx, KD_BLOCK_Q4_K, to, 18, &values), KD_ERR_SHAPE, "144 bytes");
    FAILS(kd_block_encode(ctx, KD_BLOCK_Q4_0, &values, &few, to, 144), KD_ERR_SHAPE,
          "one for each column");
    x[3] = NAN;
    FAILS(kd_block_encode(ctx, KD_BLOCK_Q4_0, &values, NULL, to, 144), KD_ERR_RANGE, "not finite");
    x[3] = 1e7f;
    FAILS(kd_block_encode(ctx, KD_BLOCK_Q4_0, &values, NULL, to, 144), KD_ERR_RANGE,
          "too large for a float16 scale");
    x[3] = -1;
    FAILS(kd_block_encode(ctx, KD_BLOCK_Q4_0, &values, &negative, to, 144), KD_ERR_RANGE,
          "importance: number 3: expected 0 or more");
    ck_assert_int_eq(to[0], 7); /* nothing was written */
    ck_assert_int_eq(kd_block_bytes(KD_BLOCK_Q4_K, 255), 0);
    ck_assert_int_eq(kd_block_bytes(KD_BLOCK_Q4_K, -256), 0);
    ck_assert_int_eq(kd_block_bytes(KD_BLOCK_Q6_K, INT64_MAX - 255), 0);
    ck_assert_int_eq(kd_block_bytes(1, 256), 0);
}
END_TEST

Suite *blocks_suite(void)
{
    Suite *suite = suite_create("blocks");
    TCase *tests = tcase_create("blocks");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, errors_are_those_of_the_formats);
    tcase_add_test(tests, importance_lowers_the_error_that_it_weighs);
    tcase_add_test(tests, a_block_of_q4_0_is_what_its_formula_says);
    tcase_add_test(tests, zeros_stay_zeros);
    tcase_add_test(tests, what_has_no_blocks_is_refused);
    suite_add_tcase(suite, tests);
    TCase *slow = tcase_create("slow");
    tcase_set_tags(slow, "slow search");
    tcase_add_checked_fixture(slow, setup, teardown);
    tcase_set_timeout(slow, 60);
    tcase_add_test(slow, tiny_numbers_become_zeros);
    tcase_add_test(slow, what_was_read_is_written_as_the_same_bytes);
    suite_add_tcase(suite, slow);
    return suite;
}
