/* How long a generator keeps to drafts that do not pay, by steps of given times. */
#include "suites.h"

#include "language/generator/generate.h"

#define PLAIN 1.0 /* seconds of a step without proposals */

static kd_generator generator;

static void setup(void)
{
    generator = (kd_generator){ 0 };
    generator.options.draft_tokens = 4;
}

/* `steps` steps, those with four proposals of which each makes `made` tokens and takes `seconds`.
 * Returns all that was made over what plain steps make in the same time. */
static double speed(int64_t steps, double seconds, int64_t made, int64_t *drafted)
{
    double tokens = 0, took = 0;
    *drafted = 0;
    for (int64_t i = 0; i < steps; i++) {
        const int plain = kd__draft_rests(&generator, 1);
        generator.info.steps++;
        kd__draft_time(&generator, plain ? PLAIN : seconds, 1, plain ? 0 : 4, plain ? 1 : made);
        tokens += plain ? 1 : (double)made;
        took += plain ? PLAIN : seconds;
        *drafted += !plain;
    }
    return tokens / took * PLAIN;
}

START_TEST(drafts_that_never_pay_cost_little)
{
    int64_t drafted;
    ck_assert_double_ge(speed(256, 2, 1, &drafted), .96);
    ck_assert_double_ge(speed(4096, 2, 1, &drafted), .98);
    ck_assert_int_gt(drafted, 0); /* they are tried again */
    ck_assert_int_le(drafted, 40);
}
END_TEST

START_TEST(small_losses_are_given_up_too)
{
    int64_t drafted;
    ck_assert_double_ge(speed(4096, 1.1, 1, &drafted), .99);
    ck_assert_int_le(drafted, 160);
}
END_TEST

START_TEST(drafts_that_pay_go_on)
{
    int64_t drafted;
    ck_assert_double_ge(speed(4096, 1.5, 3, &drafted), 1.9);
    ck_assert_int_ge(drafted, 4000);
}
END_TEST

START_TEST(what_pays_again_is_kept_again)
{
    int64_t drafted;
    speed(600, 2, 1, &drafted);
    ck_assert_int_gt(generator.times.pause, 256);
    speed(2000, 1.5, 3, &drafted);
    ck_assert_int_ge(drafted, 1000);
    ck_assert_int_eq(generator.times.pause, 0);
}
END_TEST

START_TEST(a_sequence_waits_twice_as_long_each_time)
{
    kd__sequence sequence = { .limit = 100000, .count = 10 };
    generator.times.plain[1] = PLAIN;
    generator.times.row = 2; /* a row costs more than it may save */
    for (int64_t pause = 256; pause <= 16384; pause *= 2) {
        ck_assert_int_eq(kd__draft_length(&generator, &sequence, 1, 1), 0);
        const int64_t expected = pause < 8192 ? pause : 8192;
        ck_assert_int_eq(sequence.draft.paused_until[1], sequence.count + expected);
        sequence.count += expected;
    }
    generator.times.row = .1;
    ck_assert_int_gt(kd__draft_length(&generator, &sequence, 1, 1), 0);
    ck_assert_int_gt(kd__draft_length(&generator, &sequence, 0, 1), 0);
}
END_TEST

Suite *draft_length_suite(void)
{
    Suite *suite = suite_create("draft_length");
    TCase *tests = tcase_create("draft_length");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, drafts_that_never_pay_cost_little);
    tcase_add_test(tests, small_losses_are_given_up_too);
    tcase_add_test(tests, drafts_that_pay_go_on);
    tcase_add_test(tests, what_pays_again_is_kept_again);
    tcase_add_test(tests, a_sequence_waits_twice_as_long_each_time);
    suite_add_tcase(suite, tests);
    return suite;
}
