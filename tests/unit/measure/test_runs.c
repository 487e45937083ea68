/* Two ways of training, judged from several runs of each. */
#include "unit.h"

static kd_context *ctx;
static kd_difference d;

static void setup(void)
{
    ctx = make_context(1);
    memset(&d, 0, sizeof d);
    d.struct_size = sizeof d;
}

static void teardown(void) { kd_context_free(ctx); }

/* right answers of SAMPLES, so that a cell can be 0, 1/4 .. 1 */
enum { SAMPLES = 4 };

static void put(int32_t *cell, int right)
{
    for (int k = 0; k < SAMPLES; k++) cell[k] = k < right;
}

/* Seeds differ, questions do not: Student's t over the seeds. With 2 degrees of freedom p = 1 - t /
 * sqrt(2 + t^2). */
START_TEST(seeds_alone_give_students_t)
{
    enum { S = 3, Q = 50 };
    int32_t a[S * Q * SAMPLES] = { 0 }, b[S * Q * SAMPLES];
    for (int i = 0; i < S * Q; i++) put(b + i * SAMPLES, i / Q + 1);
    OK(kd_compare_runs(ctx, a, b, S, Q, SAMPLES, &d));
    const double error = 0.25 / sqrt(3), t = 0.5 / error;
    NEAR(d.difference, 0.5, 1e-12);
    NEAR(d.standard_error, error, 1e-12);
    NEAR(d.p_value, 1 - t / sqrt(2 + t * t), 1e-10);
    NEAR(d.low, 0.5 - 4.3026527 * error, 1e-7);
    NEAR(d.high, 0.5 + 4.3026527 * error, 1e-7);
    ck_assert(d.only_a == 0 && d.only_b == S * Q);
}
END_TEST

/* Runs that are copies of each other add nothing: the error is of the questions, however many
 * copies. */
START_TEST(questions_alone_give_students_t)
{
    enum { S = 4, Q = 11 };
    int32_t a[S * Q * SAMPLES], b[S * Q * SAMPLES];
    double mean = 0, variance = 0;
    for (int i = 0; i < S * Q; i++) {
        put(a + i * SAMPLES, 1);
        put(b + i * SAMPLES, i % Q % 5);
    }
    for (int q = 0; q < Q; q++) mean += (q % 5 - 1) / 4.0 / Q;
    for (int q = 0; q < Q; q++)
        variance += ((q % 5 - 1) / 4.0 - mean) * ((q % 5 - 1) / 4.0 - mean) / (Q - 1);
    OK(kd_compare_runs(ctx, a, b, S, Q, SAMPLES, &d));
    NEAR(d.difference, mean, 1e-12);
    NEAR(d.standard_error, sqrt(variance / Q), 1e-12);
    NEAR(d.high - d.difference, 2.2281389 * sqrt(variance / Q), 1e-7); /* t of 10 degrees */
    NEAR(d.a, 0.25, 1e-12);
}
END_TEST

/* From numpy: the mean squares, and the density of Student's t (2.473 degrees of freedom) summed by
 * Simpson's rule. */
START_TEST(crossed_errors_are_those_of_the_analysis_of_variance)
{
    static const int x[] = {
        3, 1, 4, 1, 0, 2, 3, 0, 2, 1, 0, 3, 1, 2, 2, 0, 1, 4, 3, 0, 2, 1, 1, 3
    };
    static const int y[] = {
        4, 3, 4, 2, 1, 2, 4, 2, 4, 4, 1, 4, 3, 2, 4, 1, 0, 4, 3, 1, 4, 1, 2, 2
    };
    int32_t a[24 * SAMPLES], b[24 * SAMPLES];
    for (int i = 0; i < 24; i++) {
        put(a + i * SAMPLES, x[i]);
        put(b + i * SAMPLES, y[i]);
    }
    OK(kd_compare_runs(ctx, a, b, 3, 8, SAMPLES, &d));
    NEAR(d.difference, 0.229166666667, 1e-9);
    NEAR(d.standard_error, 0.096760525042, 1e-9);
    NEAR(d.low, -0.1194402553, 1e-7);
    NEAR(d.p_value, 0.117068888039, 1e-9);
}
END_TEST

START_TEST(one_run_of_each_has_no_p_value)
{
    int32_t a[6] = { 0, 0, 1, 0, 0, 1 }, b[6] = { 1, 1, 1, 1, 1, 1 };
    OK(kd_compare_runs(ctx, a, b, 1, 6, 1, &d));
    ck_assert(isnan(d.p_value));
    NEAR(d.difference, 2.0 / 3, 1e-12);
    NEAR(d.standard_error, sqrt(4.0 / 15 / 6), 1e-12); /* over questions */
    OK(kd_compare_runs(ctx, a, b, 2, 3, 1, &d));
    ck_assert(d.p_value > 0 && d.p_value < 1);
}
END_TEST

START_TEST(a_mean_alone_has_an_error)
{
    int32_t b[12] = { 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1 }, none[12] = { 0 };
    kd_difference from_none = { .struct_size = sizeof from_none };
    OK(kd_compare_runs(ctx, NULL, b, 3, 4, 1, &d));
    OK(kd_compare_runs(ctx, none, b, 3, 4, 1, &from_none));
    ck_assert(!memcmp(&d, &from_none, sizeof d) && d.a == 0);
    NEAR(d.b, 0.75, 1e-12);
}
END_TEST

START_TEST(equal_and_extreme_runs)
{
    int32_t none[8] = { 0 }, all[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
    OK(kd_compare_runs(ctx, all, all, 2, 4, 1, &d));
    ck_assert(d.difference == 0 && d.p_value == 1 && d.standard_error == 0 && d.low == 0 &&
              d.high == 0);
    OK(kd_compare_runs(ctx, none, all, 2, 4, 1, &d));
    ck_assert(d.difference == 1 && d.p_value == 0 && d.standard_error == 0);
}
END_TEST

START_TEST(wrong_counts_and_verdicts_are_refused)
{
    int32_t a[4] = { 0, 1, 0, 1 }, b[4] = { 0, 1, 2, 1 };
    FAILS(kd_compare_runs(ctx, a, a, 0, 4, 1, &d), KD_ERR_RANGE, "1 seed");
    FAILS(kd_compare_runs(ctx, a, a, 1, 1, 1, &d), KD_ERR_RANGE, "2 questions");
    FAILS(kd_compare_runs(ctx, a, a, 1, 4, 0, &d), KD_ERR_RANGE, "1 sample");
    FAILS(kd_compare_runs(ctx, a, b, 1, 4, 1, &d), KD_ERR_RANGE, "b[2]");
    FAILS(kd_compare_runs(ctx, b, a, 1, 4, 1, &d), KD_ERR_RANGE, "a[2]");
    FAILS(kd_compare_runs(ctx, a, a, INT32_MAX, INT64_MAX, 2, &d), KD_ERR_RANGE, "");
    FAILS(kd_compare_runs(ctx, a, NULL, 1, 4, 1, &d), KD_ERR_INVALID, "b");
    FAILS(kd_compare_runs(NULL, a, a, 1, 4, 1, &d), KD_ERR_INVALID, "context");
}
END_TEST

/* ---- what a p-value promises ---- */

static uint64_t state = 1;

static double uniform(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) / 9007199254740992.0;
}

enum { S = 3, Q = 80, TRIALS = 400 };

/* Runs of one way of training: each has its own skill, each question its own difficulty. */
static void draw(int32_t right[S * Q], const double hard[Q], double better)
{
    for (int s = 0; s < S; s++) {
        const double skill = 0.3 * (uniform() - 0.5);
        for (int q = 0; q < Q; q++) right[s * Q + q] = uniform() < 0.45 + better + skill + hard[q];
    }
}

/* The share of trials in which a difference is found. */
static double found(double better)
{
    int count = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        int32_t a[S * Q], b[S * Q];
        double hard[Q];
        for (int q = 0; q < Q; q++) hard[q] = 0.6 * (uniform() - 0.5);
        draw(a, hard, 0);
        draw(b, hard, better);
        OK(kd_compare_runs(ctx, a, b, S, Q, 1, &d));
        count += d.p_value < 0.05;
        ck_assert((d.low > 0 || d.high < 0) == (d.p_value < 0.05)); /* interval and test agree */
    }
    return (double)count / TRIALS;
}

START_TEST(what_is_not_there_is_found_once_in_twenty)
{
    state = 1;
    const double without = found(0);
    ck_assert_msg(without < 0.08, "%g", without);
    const double with = found(0.4);
    ck_assert_msg(with > 0.7, "%g", with);
}
END_TEST

Suite *runs_suite(void)
{
    Suite *suite = suite_create("runs");
    TCase *c = tcase_create("runs");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, seeds_alone_give_students_t);
    tcase_add_test(c, questions_alone_give_students_t);
    tcase_add_test(c, crossed_errors_are_those_of_the_analysis_of_variance);
    tcase_add_test(c, one_run_of_each_has_no_p_value);
    tcase_add_test(c, a_mean_alone_has_an_error);
    tcase_add_test(c, equal_and_extreme_runs);
    tcase_add_test(c, wrong_counts_and_verdicts_are_refused);
    tcase_add_test(c, what_is_not_there_is_found_once_in_twenty);
    suite_add_tcase(suite, c);
    return suite;
}
