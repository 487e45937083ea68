#include "unit.h"

/* text, expected, verifier, verdict */
static const struct {
    const char *text, *expected;
    int32_t verifier, right;
} cases[] = {
    { "#### 18", "18", KD_VERIFY_NUMBER, 1 },
    { "so it is 3 * 6 = 18\n#### 18", "#### 18", KD_VERIFY_NUMBER, 1 },
    { "The answer is 19.", "18", KD_VERIFY_NUMBER, 0 },
    { "A: 18", "#### 18.0", KD_VERIFY_NUMBER, 1 },
    { "Answer: 1,234,567", "1234567", KD_VERIFY_NUMBER, 1 },
    { "1,23", "123", KD_VERIFY_NUMBER, 0 },
    { "$1,000.50", "1000.5", KD_VERIFY_NUMBER, 1 },
    { "18 eggs a day", "18", KD_VERIFY_NUMBER, 1 },
    { "-5", "5", KD_VERIFY_NUMBER, 0 },
    { "-$5", "-5", KD_VERIFY_NUMBER, 1 },
    { "10-4", "4", KD_VERIFY_NUMBER, 1 }, /* the last number, not minus four */
    { "50%", "50", KD_VERIFY_NUMBER, 1 },
    { "50\\%", "0.5", KD_VERIFY_NUMBER, 1 },
    { "5%", "0.5", KD_VERIFY_NUMBER, 0 },
    { "3/4", "0.75", KD_VERIFY_NUMBER, 1 },
    { "\\boxed{\\frac{3}{4}}", ".75", KD_VERIFY_NUMBER, 1 },
    { "\\boxed{\\dfrac34}", "0.75", KD_VERIFY_NUMBER, 1 },
    { "\\boxed{-\\frac{1}{2}}", "-0.5", KD_VERIFY_NUMBER, 1 },
    { "1 1/2", "1.5", KD_VERIFY_NUMBER, 1 },
    { "2\\frac{1}{2}", "2.5", KD_VERIFY_NUMBER, 1 },
    { "1e3", "1000", KD_VERIFY_NUMBER, 1 },
    { "1.5e-2", "0.015", KD_VERIFY_NUMBER, 1 },
    { "3/0", "3", KD_VERIFY_NUMBER, 0 },
    { "no number", "1", KD_VERIFY_NUMBER, 0 },
    { "", "1", KD_VERIFY_NUMBER, 0 },
    { "1000000", "1000000.5", KD_VERIFY_NUMBER, 1 }, /* within the tolerance */
    { "0.3333333", "1/3", KD_VERIFY_NUMBER, 1 },
    { "first \\boxed{1}, then \\boxed{2}", "2", KD_VERIFY_NUMBER, 1 },
    { "\\boxed{\\text{about } 7}", "7", KD_VERIFY_NUMBER, 1 },
    { "\\boxed{7", "7", KD_VERIFY_NUMBER, 1 }, /* unclosed: the text's last number */
    { "<think>#### 5</think>#### 6", "6", KD_VERIFY_NUMBER, 1 },
    { "<think>#### 5</think>#### 6", "5", KD_VERIFY_NUMBER, 0 },
    { "The answer is 4, not 5\nreally", "5", KD_VERIFY_NUMBER, 1 },
    { "**Answer:** 12", "12", KD_VERIFY_NUMBER, 1 },
    { "Final answer: 12 apples and 3 pears", "3", KD_VERIFY_NUMBER, 1 },
    { "B", "(B)", KD_VERIFY_CHOICE, 1 },
    { "The answer is (C).", "C", KD_VERIFY_CHOICE, 1 },
    { "option d", "D", KD_VERIFY_CHOICE, 1 },
    { "A or B", "A", KD_VERIFY_CHOICE, 0 },
    { "\\boxed{E}", "e", KD_VERIFY_CHOICE, 1 },
    { "none", "n", KD_VERIFY_CHOICE, 0 },
    { "It's B", "B", KD_VERIFY_CHOICE, 1 },
    { "Paris", " Paris\n", KD_VERIFY_EXACT, 1 },
    { "paris", "Paris", KD_VERIFY_EXACT, 0 },
    { "The  paris.", "Paris", KD_VERIFY_NORMALISED, 1 },
    { "\"An apple\"", "apple", KD_VERIFY_NORMALISED, 1 },
    { "new york", "New  York", KD_VERIFY_NORMALISED, 1 },
    { "newyork", "New York", KD_VERIFY_NORMALISED, 0 },
    { "answer is: yes!", "yes", KD_VERIFY_NORMALISED, 1 },
};

START_TEST(hard_cases_are_told_right)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kd_verify_options o = KD_VERIFY_OPTIONS_INIT;
        int32_t right, passed;
        o.verifiers = cases[i].verifier;
        OK(kd_verify(cases[i].text, cases[i].expected, &o, &right, &passed));
        ck_assert_msg(right == cases[i].right, "'%s' for '%s': %d", cases[i].text, cases[i].expected, right);
        ck_assert_int_eq(passed != 0, right);
    }
}
END_TEST

START_TEST(verifiers_are_joined_and_formats_kept)
{
    kd_verify_options o = KD_VERIFY_OPTIONS_INIT;
    int32_t right, passed;
    double value;
    const char *answer;
    int64_t bytes;
    o.verifiers = KD_VERIFY_EXACT | KD_VERIFY_NUMBER;
    OK(kd_verify("18.0", "18", &o, &right, &passed));
    ck_assert(right && passed == KD_VERIFY_NUMBER);
    o.all = 1;
    OK(kd_verify("18.0", "18", &o, &right, &passed));
    ck_assert(!right && passed == KD_VERIFY_NUMBER);
    o.verifiers = KD_VERIFY_NUMBER;
    o.format = KD_FORMAT_THINK | KD_FORMAT_BOXED;
    static const struct {
        const char *text;
        int32_t right;
    } formats[] = { { "<think>x</think>\\boxed{2}", 1 },
                    { "<think> </think>\\boxed{2}", 0 },
                    { "<think>x\\boxed{2}", 0 },
                    { "x</think><think>\\boxed{2}", 0 },
                    { "\\boxed{2}", 0 },
                    { "<think>x</think>\\boxed{1} \\boxed{2}", 0 },
                    { "<think>x</think>2", 0 } };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        OK(kd_verify(formats[i].text, "2", &o, &right, NULL));
        ck_assert_msg(right == formats[i].right, "%s", formats[i].text);
    }
    OK(kd_answer_find("so\n#### 7 \n", &answer, &bytes));
    ck_assert(bytes == 1 && *answer == '7');
    OK(kd_answer_number("it is 12.5%", &value, &right));
    ck_assert(value == 12.5 && right == 1);
    FAILS(kd_answer_number("none", &value, NULL), KD_ERR_NOT_FOUND, "no number");
    o.verifiers = 0;
    FAILS(kd_verify("", "", &o, &right, NULL), KD_ERR_INVALID, "verifiers");
}
END_TEST

/* Three questions, four samples: 4, 1 and 0 right. By hand: p = 1, 1/4, 0. */
START_TEST(pass_rates_are_those_of_the_formulas)
{
    const int32_t right[12] = { 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0 };
    kd_pass pass = { .struct_size = sizeof pass };
    OK(kd_pass_rates(right, 3, 4, 2, &pass));
    const double mean = 1.25 / 3, variance = (pow(1 - mean, 2) + pow(0.25 - mean, 2) + pow(mean, 2)) / 2;
    NEAR(pass.pass_1, mean, 1e-12);
    NEAR(pass.standard_error, sqrt(variance / 3), 1e-12);
    NEAR(pass.within_error, sqrt(0.25 * 0.75 / 3) / 3, 1e-12);
    NEAR(pass.pass_k, (1 + (1 - 3.0 / 6) + 0) / 3, 1e-12); /* C(3, 2) / C(4, 2) */
    FAILS(kd_pass_rates(right, 3, 4, 5, &pass), KD_ERR_RANGE, "k:");
    FAILS(kd_pass_rates((const int32_t[]){ 2 }, 1, 1, 1, &pass), KD_ERR_RANGE, "0 or 1");
    FAILS(kd_pass_rates(right, 0, 4, 1, &pass), KD_ERR_RANGE, "0 questions");
}
END_TEST

Suite *verify_suite(void)
{
    Suite *suite = suite_create("verify");
    TCase *tests = tcase_create("verify");
    tcase_add_test(tests, hard_cases_are_told_right);
    tcase_add_test(tests, pass_rates_are_those_of_the_formulas);
    tcase_add_test(tests, verifiers_are_joined_and_formats_kept);
    suite_add_tcase(suite, tests);
    return suite;
}
