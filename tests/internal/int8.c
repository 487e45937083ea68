/* Products of 8-bit numbers against those of double, with and without smoothed inputs; the numbers
 * that smooth against their formula. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "base/context.h"
#include "language/trunk/smooth.h"
#include "math/int8.h"
#include "suites.h"

enum { ROWS = 13, OUT = 70, IN = 200 };
static float x[ROWS * IN], w[OUT * IN], y[ROWS * OUT], again[ROWS * OUT];

static float wave(int64_t i, double step)
{
    return (float)sin(step * (double)i * (1 + 1e-3 * (double)i));
}

/* Every 50th input is sixty times as loud as the others. */
static void fill(void)
{
    for (int64_t i = 0; i < ROWS * IN; i++) x[i] = wave(i, 0.7) * (i % IN % 50 == 7 ? 60.0f : 1.0f);
    for (int64_t i = 0; i < OUT * IN; i++) w[i] = wave(i, 0.31);
}

/* Relative error of the product; s NULL: not smoothed. */
static double error_of(kd_context *ctx, const float *s)
{
    kd__int8 q;
    double off = 0, size = 0;
    ck_assert_int_eq(kd__int8_make(&q, ctx, w, OUT, IN, s), KD_OK);
    ck_assert_int_eq(kd__int8_product(ctx, &q, x, ROWS, y), KD_OK);
    for (int r = 0; r < ROWS; r++)
        for (int o = 0; o < OUT; o++) {
            double sum = 0;
            for (int i = 0; i < IN; i++) sum += (double)x[r * IN + i] * w[o * IN + i];
            off += (y[r * OUT + o] - sum) * (y[r * OUT + o] - sum);
            size += sum * sum;
        }
    /* a row is the same alone */
    for (int r = 0; r < ROWS; r += 5) {
        ck_assert_int_eq(kd__int8_product(ctx, &q, x + r * IN, 1, again), KD_OK);
        ck_assert_mem_eq(again, y + r * OUT, OUT * sizeof *y);
    }
    kd__int8_free(&q, ctx);
    return sqrt(off / size);
}

static void smoothing_of(float *s)
{
    double squares[IN] = { 0 }, columns[IN];
    for (int64_t i = 0; i < ROWS * IN; i++) squares[i % IN] += (double)x[i] * x[i];
    kd__smooth_numbers(squares, w, OUT, IN, columns, s);
}

START_TEST(smoothed_products_are_nearer)
{
    static const int32_t sets[] = { KD_ISA_PORTABLE, KD_ISA_AVX2, KD_ISA_AVX512 };
    float s[IN];
    fill();
    smoothing_of(s);
    for (int i = 0; i < 3; i++) {
        kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
        kd_context *ctx;
        o.isa = sets[i];
        if (kd_context_create(&ctx, &o) == KD_ERR_UNSUPPORTED) continue;
        const double plain = error_of(ctx, NULL), smoothed = error_of(ctx, s);
        ck_assert_msg(plain < 0.02 && smoothed < plain / 2, "set %d: %g, smoothed %g", sets[i],
                      plain, smoothed);
        kd_context_free(ctx);
    }
}
END_TEST

/* Inputs of a group that are all 0, in rows or in weights. */
START_TEST(empty_groups_are_0)
{
    kd_context *ctx;
    float s[IN];
    fill();
    for (int i = 0; i < 128; i++) x[3 * IN + i] = 0;
    for (int i = 128; i < IN; i++) w[2 * IN + i] = 0;
    smoothing_of(s);
    ck_assert_int_eq(kd_context_create(&ctx, NULL), KD_OK);
    ck_assert(error_of(ctx, s) < 0.02);
    ck_assert(fabsf(y[3 * OUT + 2]) < 1e-6f);
    kd_context_free(ctx);
}
END_TEST

START_TEST(the_numbers_are_their_formula)
{
    enum { N = 6 };
    const float weights[2 * N] = { 1, 2, 0, 3, 1, 1, /**/ -1, 2, 0, 0, 1, 1 };
    const double squares[N] = { 4, 9, 5, 0, 1e30, NAN };
    double columns[N], mean = 0, expected[N] = { 0 };
    float s[N];
    for (int j = 0; j < N; j++) {
        const double column = weights[j] * weights[j] + weights[N + j] * weights[N + j];
        expected[j] = squares[j] > 0 && column > 0 ? sqrt(sqrt(squares[j]) / sqrt(column)) : 0;
        mean += expected[j] > 0 ? log(expected[j]) / 3 : 0;
    }
    kd__smooth_numbers(squares, weights, 2, N, columns, s);
    for (int j = 0; j < 2; j++) {
        const double want = fmax(expected[j] / exp(mean), 0.01);
        ck_assert_msg(fabs(s[j] - want) < 1e-6 * want, "%d: %g, expected %g", j, s[j], want);
    }
    ck_assert(s[2] == 1 && s[3] == 1 && s[5] == 1); /* silent columns, silent inputs, NaN */
    ck_assert(s[4] == 100);                         /* clipped */
}
END_TEST

Suite *int8_suite(void)
{
    Suite *suite = suite_create("int8");
    TCase *tests = tcase_create("int8");
    tcase_add_test(tests, smoothed_products_are_nearer);
    tcase_add_test(tests, empty_groups_are_0);
    tcase_add_test(tests, the_numbers_are_their_formula);
    suite_add_tcase(suite, tests);
    return suite;
}
