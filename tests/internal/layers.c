/* Layers against their formulas in double: layer norms, exact GELU; backward passes against central
 * differences. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "nn/gelu.h"
#include "nn/layer_norm.h"
#include "suites.h"

enum { R = 11, MOST = 150 };
static const int64_t widths[] = { 1, 3, 16, 70, 150 };
static kd_context *ctx;
static kd__rows rows;
static float x[R * MOST], y[R * MOST], dy[R * MOST], dx[R * MOST];
static float w[MOST], b[MOST], dw[MOST], db[MOST], kept[2 * R];

static void setup(void)
{
    ck_assert_int_eq(kd_context_create(&ctx, NULL), KD_OK);
    rows = (kd__rows){ ctx, R };
    for (int i = 0; i < R * MOST; i++) {
        x[i] = (float)(3 * sin(0.37 * i) + 2);
        dy[i] = (float)cos(0.73 * i);
        dx[i] = (float)sin(0.11 * i);
    }
    for (int i = 0; i < MOST; i++) w[i] = (float)(1 + 0.3 * sin(i)), b[i] = (float)cos(1.7 * i);
}
static void teardown(void) { kd_context_free(ctx); }

/* ---- in double ---- */

static void plain_norm(const double *from, int64_t n, double *to)
{
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) mean += from[i] / (double)n;
    for (int64_t i = 0; i < n; i++) squares += (from[i] - mean) * (from[i] - mean) / (double)n;
    for (int64_t i = 0; i < n; i++) to[i] = w[i] * (from[i] - mean) / sqrt(squares + 1e-12) + b[i];
}

/* sum dy y of a row whose number at `place` is moved. */
static double norm_value(const float *from, const float *slope, int64_t n, int64_t place,
                         double moved)
{
    double row[MOST] = { 0 }, to[MOST], sum = 0;
    for (int64_t i = 0; i < n; i++) row[i] = from[i];
    row[place] += moved;
    plain_norm(row, n, to);
    for (int64_t i = 0; i < n; i++) sum += slope[i] * to[i];
    return sum;
}

START_TEST(a_layer_norm_is_its_formula)
{
    for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
        const int64_t n = widths[k];
        kd__layer_norm(&rows, x, w, b, n, 1e-12, y, kept);
        for (int64_t r = 0; r < R; r++) {
            double row[MOST], to[MOST];
            for (int64_t i = 0; i < n; i++) row[i] = x[r * n + i];
            plain_norm(row, n, to);
            for (int64_t i = 0; i < n; i++) ck_assert_double_eq_tol(y[r * n + i], to[i], 2e-5);
        }
    }
}
END_TEST

START_TEST(its_backward_pass_is_that_of_central_differences)
{
    const double h = 1e-5;
    for (size_t k = 1; k < sizeof widths / sizeof *widths; k++) {
        const int64_t n = widths[k];
        float before[R * MOST];
        memcpy(before, dx, sizeof before);
        kd__layer_norm(&rows, x, w, b, n, 1e-12, y, kept);
        kd__layer_norm_gradient(&rows, x, w, kept, dy, n, dx, 1, dw, db, 0);
        for (int64_t r = 0; r < R; r++)
            for (int64_t i = 0; i < n; i += 1 + n / 20) {
                const double slope = (norm_value(x + r * n, dy + r * n, n, i, h) -
                                      norm_value(x + r * n, dy + r * n, n, i, -h)) /
                                     (2 * h);
                ck_assert_double_eq_tol(dx[r * n + i] - before[r * n + i], slope,
                                        1e-4 * (1 + fabs(slope)));
            }
    }
}
END_TEST

/* dw and db are sums over rows, written or added to; the gradient may take its own place. */
START_TEST(its_weights_gradients_are_sums_over_rows)
{
    const int64_t n = 70;
    double expected[2][MOST] = { { 0 } };
    kd__layer_norm(&rows, x, w, b, n, 1e-12, y, kept);
    for (int64_t r = 0; r < R; r++)
        for (int64_t i = 0; i < n; i++) {
            expected[0][i] += dy[r * n + i] * (y[r * n + i] - b[i]) / w[i];
            expected[1][i] += dy[r * n + i];
        }
    kd__layer_norm_gradient(&rows, x, w, kept, dy, n, dx, 0, dw, db, 0);
    memcpy(y, dy, sizeof y);
    kd__layer_norm_gradient(&rows, x, w, kept, y, n, y, 0, dw, db, 1);
    for (int64_t i = 0; i < n; i++) {
        ck_assert_double_eq_tol(dw[i], 2 * expected[0][i], 1e-4);
        ck_assert_double_eq_tol(db[i], 2 * expected[1][i], 1e-4);
    }
    ck_assert_mem_eq(y, dx, (size_t)(R * n) * sizeof *y);
}
END_TEST

static double plain_gelu(double v) { return v * 0.5 * erfc(-v / sqrt(2)); }

START_TEST(gelu_is_exact_and_so_is_its_slope)
{
    enum { N = 4001 };
    static float g[N], a[N], ones[N], again[N], slope[N];
    const kd__rows one = { ctx, 1 };
    const float bias[1] = { 0.25f };
    for (int i = 0; i < N; i++) g[i] = (float)(i - 2000) / 100, ones[i] = 1;
    kd__gelu(&one, g, NULL, N, a);
    kd__gelu_gradient(&one, g, ones, N, again, slope);
    for (int i = 0; i < N; i++) {
        const double v = g[i], h = 1e-5;
        ck_assert_double_eq_tol(a[i], plain_gelu(v), 5e-7 * (1 + fabs(v)));
        ck_assert_double_eq_tol(slope[i], (plain_gelu(v + h) - plain_gelu(v - h)) / (2 * h), 1e-6);
        ck_assert(a[i] == again[i]);
    }
    kd__gelu(&one, g, bias, 1, a);
    ck_assert(g[0] == -19.75f);
    ck_assert_double_eq_tol(a[0], 0, 1e-7);
}
END_TEST

Suite *layers_suite(void)
{
    Suite *suite = suite_create("layers");
    TCase *tests = tcase_create("layers");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_layer_norm_is_its_formula);
    tcase_add_test(tests, its_backward_pass_is_that_of_central_differences);
    tcase_add_test(tests, its_weights_gradients_are_sums_over_rows);
    tcase_add_test(tests, gelu_is_exact_and_so_is_its_slope);
    suite_add_tcase(suite, tests);
    return suite;
}
