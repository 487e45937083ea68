/* Correlations of two arrays. Values are those of scipy 1.17, pearsonr and spearmanr. */
#include "unit.h"

static double correlation(kd_context *ctx, int32_t kind, const double *x, const double *y,
                          int64_t count)
{
    double r;
    OK(kd_metrics_correlation(ctx, kind, x, y, count, &r));
    return r;
}

START_TEST(correlations_are_those_of_scipy)
{
    static const struct {
        double x[8], y[8];
        int64_t count;
        double pearson, spearman;
    } cases[] = {
        { { 1, 2, 3, 4 }, { 2, 4, 6, 8 }, 4, 1, 1 },
        { { 1, 2, 3, 4, 5 }, { 5, 6, 7, 8, 7 }, 5, 0.8320502943378436, 0.8207826816681233 },
        { { 3, 1, 4, 1, 5, 9, 2, 6 },
          { 2, 7, 1, 8, 2, 8, 1, 8 },
          8,
          0.2096553190730121,
          0.19885368120992467 },
        { { 0, 0, 1, 1, 1, 2 }, { 1, 0, 1, 1, 0, 2 }, 6, 0.6470588235294115, 0.5833333333333334 },
        { { -1.5, 2.25, 1e6 }, { 4, -3, -9 }, 3, -0.8429904309246458, -1 },
        { { 1, 2 }, { 2, 1 }, 2, -1, -1 },
        { { .8, .2, .5, .5, .1, .9, .5 },
          { 4.8, 1, 2.5, 3, 0, 5, 2.5 },
          7,
          0.9917516457147049,
          0.9723448696087955 },
    };
    kd_context *ctx = make_context(1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double *x = cases[i].x, *y = cases[i].y;
        const int64_t n = cases[i].count;
        NEAR(correlation(ctx, KD_CORRELATION_PEARSON, x, y, n), cases[i].pearson, 1e-14);
        NEAR(correlation(ctx, KD_CORRELATION_PEARSON, y, x, n), cases[i].pearson, 1e-14);
        NEAR(correlation(ctx, KD_CORRELATION_SPEARMAN, x, y, n), cases[i].spearman, 1e-14);
    }
    kd_context_free(ctx);
}
END_TEST

/* scipy 1.17, pearsonr(x, y).confidence_interval(); Spearman's by the formula of its header. */
START_TEST(intervals_are_those_of_fisher)
{
    const double x[] = { 3, 1, 4, 1, 5, 9, 2, 6 }, y[] = { 2, 7, 1, 8, 2, 8, 1, 8 };
    kd_metric m = { .struct_size = sizeof m };
    kd_context *ctx = make_context(1);
    OK(kd_metrics_measure_correlation(ctx, KD_CORRELATION_PEARSON, x, y, 8, &m));
    NEAR(m.value, 0.2096553190730121, 1e-14);
    NEAR(m.low, -0.5808282637922028, 1e-12);
    NEAR(m.high, 0.7966346908662509, 1e-12);
    NEAR(m.standard_error, (1 - m.value * m.value) / sqrt(5), 1e-14);
    ck_assert_int_eq(m.rows, 8);
    OK(kd_metrics_measure_correlation(ctx, KD_CORRELATION_SPEARMAN, x, y, 8, &m));
    NEAR(m.value, 0.19885368120992467, 1e-14);
    const double error = sqrt((1 + m.value * m.value / 2) / 5);
    NEAR(m.low, tanh(atanh(m.value) - 1.959963984540054 * error), 1e-14);
    NEAR(m.high, tanh(atanh(m.value) + 1.959963984540054 * error), 1e-14);
    NEAR(m.standard_error, (1 - m.value * m.value) * error, 1e-14);
    OK(kd_metrics_measure_correlation(ctx, KD_CORRELATION_PEARSON, x, x, 8, &m));
    ck_assert(m.value == 1 && m.low == 1 && m.high == 1 && m.standard_error == 0);
    OK(kd_metrics_measure_correlation(ctx, KD_CORRELATION_PEARSON, x, y, 3, &m));
    ck_assert(!isnan(m.value) && isnan(m.low) && isnan(m.high) && isnan(m.standard_error));
    FAILS(kd_metrics_measure_correlation(ctx, 3, x, y, 8, &m), KD_ERR_RANGE, "got 3");
    FAILS(kd_metrics_measure_correlation(ctx, 1, x, y, 8, NULL), KD_ERR_INVALID, "metric is NULL");
    kd_context_free(ctx);
}
END_TEST

START_TEST(a_constant_has_no_correlation)
{
    const double x[] = { .1, .1, .1 }, y[] = { 1, 2, 3 };
    kd_context *ctx = make_context(1);
    ck_assert(isnan(correlation(ctx, KD_CORRELATION_PEARSON, x, y, 3)));
    ck_assert(isnan(correlation(ctx, KD_CORRELATION_SPEARMAN, y, x, 3)));
    kd_context_free(ctx);
}
END_TEST

START_TEST(large_and_small_values_keep_their_correlation)
{
    const double huge[] = { -1.5e308, 1e308, 1.7e308 }, tiny[] = { -3e-320, 2e-320, 3.4e-320 },
                 y[] = { -3, 2, 3.4 };
    kd_context *ctx = make_context(1);
    NEAR(correlation(ctx, KD_CORRELATION_PEARSON, huge, y, 3), 1, 1e-12);
    NEAR(correlation(ctx, KD_CORRELATION_PEARSON, tiny, y, 3), 1, 1e-3); /* they have few bits */
    kd_context_free(ctx);
}
END_TEST

START_TEST(what_has_no_correlation_is_refused)
{
    const double x[] = { 1, 2, NAN }, y[] = { 1, INFINITY, 3 };
    double r;
    kd_context *ctx = make_context(1);
    FAILS(kd_metrics_correlation(ctx, KD_CORRELATION_PEARSON, x, y, 1, &r), KD_ERR_RANGE,
          "expected 2 values or more, got 1");
    FAILS(kd_metrics_correlation(ctx, 3, x, y, 2, &r), KD_ERR_RANGE, "got 3");
    FAILS(kd_metrics_correlation(ctx, KD_CORRELATION_PEARSON, x, y, 3, &r), KD_ERR_NONFINITE,
          "x: value 2 is nan");
    FAILS(kd_metrics_correlation(ctx, KD_CORRELATION_SPEARMAN, x, y, 2, &r), KD_ERR_NONFINITE,
          "y: value 1 is inf");
    FAILS(kd_metrics_correlation(ctx, KD_CORRELATION_PEARSON, x, NULL, 2, &r), KD_ERR_INVALID,
          "y is NULL");
    kd_context_free(ctx);
}
END_TEST

Suite *correlation_suite(void);
Suite *correlation_suite(void)
{
    Suite *suite = suite_create("correlation");
    TCase *tests = tcase_create("correlation");
    tcase_add_test(tests, correlations_are_those_of_scipy);
    tcase_add_test(tests, intervals_are_those_of_fisher);
    tcase_add_test(tests, a_constant_has_no_correlation);
    tcase_add_test(tests, large_and_small_values_keep_their_correlation);
    tcase_add_test(tests, what_has_no_correlation_is_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
