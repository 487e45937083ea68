#include "mathematics.h"
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
    { "10-4", "4", KD_VERIFY_NUMBER, 0 }, /* an expression has no last number */
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
    { "1000000", "1000000.5", KD_VERIFY_NUMBER, 0 }, /* half a unit is more than its last digit */
    { "0.3333333", "1/3", KD_VERIFY_NUMBER, 1 },
    { "first \\boxed{1}, then \\boxed{2}", "2", KD_VERIFY_NUMBER, 1 },
    { "\\boxed{\\text{about } 7}", "7", KD_VERIFY_NUMBER, 1 },
    { "\\boxed{7", "7", KD_VERIFY_NUMBER, 0 }, /* not closed: no answer */
    { "<think>#### 5</think>#### 6", "6", KD_VERIFY_NUMBER, 1 },
    { "<think>#### 5</think>#### 6", "5", KD_VERIFY_NUMBER, 0 },
    { "The answer is 4, not 5\nreally", "5", KD_VERIFY_NUMBER, 1 },
    { "**Answer:** 12", "12", KD_VERIFY_NUMBER, 1 },
    { "Final answer: 12 apples and 3 pears", "3", KD_VERIFY_NUMBER, 0 },
    { "B", "(B)", KD_VERIFY_CHOICE, 1 },
    { "The answer is (C).", "C", KD_VERIFY_CHOICE, 1 },
    { "option d", "D", KD_VERIFY_CHOICE, 1 },
    { "A or B", "A", KD_VERIFY_CHOICE, 0 },
    { "\\boxed{E}", "e", KD_VERIFY_CHOICE, 1 },
    { "none", "n", KD_VERIFY_CHOICE, 0 },
    { "It's B", "B", KD_VERIFY_CHOICE, 1 },
    { "Paris", " Paris\n", KD_VERIFY_EXACT, 1 },
    { "paris", "Paris", KD_VERIFY_EXACT, 0 },
    { "The  paris.", "Paris", KD_VERIFY_NORMALIZED, 1 },
    { "\"An apple\"", "apple", KD_VERIFY_NORMALIZED, 1 },
    { "new york", "New  York", KD_VERIFY_NORMALIZED, 1 },
    { "newyork", "New York", KD_VERIFY_NORMALIZED, 0 },
    { "answer is: yes!", "yes", KD_VERIFY_NORMALIZED, 1 },
    /* where an answer is */
    { "#### 1\n#### 2", "2", KD_VERIFY_NUMBER, 1 },
    { "\\boxed{3} so #### 4", "3", KD_VERIFY_NUMBER, 1 }, /* a box goes before the mark */
    { "\\boxed{\\boxed{3}}", "3", KD_VERIFY_NUMBER, 1 },
    { "the answer is 7.\nAnswer: 8", "8", KD_VERIFY_NUMBER, 1 },
    { "Answer: 8\nso the answer is 7", "7", KD_VERIFY_NUMBER, 1 },
    { "The final answer is: $12", "12", KD_VERIFY_NUMBER, 1 },
    { "A: 5\nB: 6", "5", KD_VERIFY_NUMBER, 1 },
    { "Plan A: 5", "5", KD_VERIFY_NUMBER,
      1 }, /* no line begins there: the whole text's last number */
    { "<think>\\boxed{1}</think>\nThe answer is 2", "2", KD_VERIFY_NUMBER, 1 },
    { "<think>no end \\boxed{1}", "1", KD_VERIFY_NUMBER, 0 },
    { "</think>9", "9", KD_VERIFY_NUMBER, 1 },
    { "ANSWER: 14", "14", KD_VERIFY_NUMBER, 1 },
    { "  A:   14  ", "14", KD_VERIFY_NUMBER, 1 },
    { "#### \n14", "14", KD_VERIFY_NUMBER, 1 },
    { "####14####15", "15", KD_VERIFY_NUMBER, 1 },
    /* numbers */
    { "$1,234", "1234", KD_VERIFY_NUMBER, 1 },
    { "1234 dollars", "$1,234.00", KD_VERIFY_NUMBER, 1 },
    { "12,345,678.9", "12345678.9", KD_VERIFY_NUMBER, 1 },
    { "0", "-0", KD_VERIFY_NUMBER, 1 },
    { "00018", "18", KD_VERIFY_NUMBER, 1 },
    { "18.", "18", KD_VERIFY_NUMBER, 1 },
    { "18,", "18", KD_VERIFY_NUMBER, 1 },
    { ".75", "3/4", KD_VERIFY_NUMBER, 1 },
    { "-3/4", "-0.75", KD_VERIFY_NUMBER, 1 },
    { "7/2", "3 1/2", KD_VERIFY_NUMBER, 1 },
    { "\\frac{7}{2}", "3.5", KD_VERIFY_NUMBER, 1 },
    { "\\frac{7}{3}", "2.33", KD_VERIFY_NUMBER, 0 },
    { "2.5e3", "2500", KD_VERIFY_NUMBER, 1 },
    { "2.5E+3", "2500", KD_VERIFY_NUMBER, 1 },
    { "100%", "1", KD_VERIFY_NUMBER, 1 },
    { "100%", "100", KD_VERIFY_NUMBER, 1 },
    { "12.5%", "1/8", KD_VERIFY_NUMBER, 1 },
    { "between 3 and 5", "5", KD_VERIFY_NUMBER, 1 },
    { "3 apples", "4", KD_VERIFY_NUMBER, 0 },
    { "5:30", "30", KD_VERIFY_NUMBER, 0 },
    { "999999999999", "999999999998", KD_VERIFY_NUMBER, 0 },
    { "1000001", "1000000", KD_VERIFY_NUMBER, 0 },
    { "1001", "1000", KD_VERIFY_NUMBER, 0 },
    { "one", "1", KD_VERIFY_NUMBER, 0 },
    { "18 19", "18", KD_VERIFY_NUMBER, 0 },
    /* choices */
    { "(A)", "a", KD_VERIFY_CHOICE, 1 },
    { "A.", "(A)", KD_VERIFY_CHOICE, 1 },
    { "The answer is B", "B", KD_VERIFY_CHOICE, 1 },
    { "The answer is (B)", "C", KD_VERIFY_CHOICE, 0 },
    { "#### D", "D", KD_VERIFY_CHOICE, 1 },
    { "\\boxed{\\text{C}}", "C", KD_VERIFY_CHOICE, 1 },
    { "Option C", "C", KD_VERIFY_CHOICE, 1 },
    { "", "A", KD_VERIFY_CHOICE, 0 },
    { "12", "A", KD_VERIFY_CHOICE, 0 },
    /* texts */
    { "Paris", "Paris.", KD_VERIFY_EXACT, 0 },
    { "Paris", "Paris.", KD_VERIFY_NORMALIZED, 1 },
    { "the Eiffel Tower", "Eiffel tower", KD_VERIFY_NORMALIZED, 1 },
    { "A dog", "dog", KD_VERIFY_NORMALIZED, 1 },
    { "dog", "cat", KD_VERIFY_NORMALIZED, 0 },
    { "  dog\n", "dog", KD_VERIFY_NORMALIZED, 1 },
    { "dog!", "dog?", KD_VERIFY_NORMALIZED, 1 },
    { "do g", "dog", KD_VERIFY_NORMALIZED, 0 },
    { "\xc3\x89t\xc3\xa9", "\xc3\x89t\xc3\xa9", KD_VERIFY_NORMALIZED, 1 },
    { "", "", KD_VERIFY_EXACT, 1 },
    { "yes", "no", KD_VERIFY_EXACT, 0 },
    { "answer is yes", "yes", KD_VERIFY_EXACT, 1 },
    /* mathematics in a text */
    { "So \\boxed{\\frac{1}{2}}.", "0.5", KD_VERIFY_LATEX, 1 },
    { "The answer is $x^2 + 1$", "1+x^2", KD_VERIFY_LATEX, 1 },
    { "<think>\\boxed{3}</think> \\boxed{(1, 2]}", "(1,2]", KD_VERIFY_LATEX, 1 },
    { "#### 1,000", "1000", KD_VERIFY_LATEX, 1 },
};

START_TEST(hard_cases_are_told_right)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kd_verify_options o = KD_VERIFY_OPTIONS_INIT;
        int32_t right, passed;
        o.verifiers = cases[i].verifier;
        OK(kd_verify_answer(cases[i].text, cases[i].expected, &o, &right, &passed));
        ck_assert_msg(right == cases[i].right, "'%s' for '%s': %d", cases[i].text,
                      cases[i].expected, right);
        ck_assert_int_eq(passed != 0, right);
    }
}
END_TEST

/* Both ways round: sameness has no direction. */
START_TEST(pairs_of_mathematics_are_told_right)
{
    kd_verify_options o = KD_VERIFY_OPTIONS_INIT;
    int32_t right, back;
    o.verifiers = KD_VERIFY_LATEX;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        OK(kd_verify_answer(pairs[i].a, pairs[i].b, &o, &right, NULL));
        OK(kd_verify_answer(pairs[i].b, pairs[i].a, &o, &back, NULL));
        ck_assert_msg(right == pairs[i].same && back == right, "'%s' and '%s': %d, back %d",
                      pairs[i].a, pairs[i].b, right, back);
    }
}
END_TEST

static int32_t longer(void *user, const char *text, const char *expected)
{
    if (*(int *)user) return *(int *)user;
    return strlen(text) > strlen(expected);
}

START_TEST(patterns_and_hosts_verify)
{
    kd_verify_options o = KD_VERIFY_OPTIONS_INIT;
    int32_t right, passed;
    int say = 0;
    o.verifiers = KD_VERIFY_PATTERN;
    FAILS(kd_verify_answer("a", "", &o, &right, NULL), KD_ERR_INVALID, "pattern");
    o.pattern = "[0-9]+ (cm|mm)";
    OK(kd_verify_answer("the answer is 12 cm", "", &o, &right, &passed));
    ck_assert(right && passed == KD_VERIFY_PATTERN);
    OK(kd_verify_answer("12 cm or so", "", &o, &right, &passed));
    ck_assert(!right);
    o.pattern = "a|b"; /* all of the answer: the bar does not reach over the anchors */
    OK(kd_verify_answer("ac", "", &o, &right, NULL));
    ck_assert(!right);
    o.pattern = "(";
    FAILS(kd_verify_answer("a", "", &o, &right, NULL), KD_ERR_INVALID, "pattern '('");
    o.verifiers = KD_VERIFY_HOST;
    FAILS(kd_verify_answer("a", "", &o, &right, NULL), KD_ERR_INVALID, "function");
    o.function = longer;
    o.user = &say;
    OK(kd_verify_answer("abc", "ab", &o, &right, &passed));
    ck_assert(right && passed == KD_VERIFY_HOST);
    say = 3;
    FAILS(kd_verify_answer("abc", "ab", &o, &right, &passed), KD_ERR_CALLBACK, "returned 3");
    say = KD_ERR_IO;
    ck_assert_int_eq(kd_verify_answer("abc", "ab", &o, &right, &passed), KD_ERR_IO);
}
END_TEST

START_TEST(the_most_frequent_answer_is_found)
{
    const char *const texts[] = { "#### 1", "no", "it is 2", "#### 2.0", "3" };
    int32_t winner, votes;
    OK(kd_verify_majority(texts, 5, NULL, &winner, &votes));
    ck_assert(winner == 2 && votes == 2);
    OK(kd_verify_majority(texts + 1, 1, NULL, &winner, &votes));
    ck_assert(winner == 0 && votes == 0);
    FAILS(kd_verify_majority(texts, 0, NULL, &winner, &votes), KD_ERR_RANGE, "at least 1");
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
    OK(kd_verify_answer("18.0", "18", &o, &right, &passed));
    ck_assert(right && passed == KD_VERIFY_NUMBER);
    o.all = 1;
    OK(kd_verify_answer("18.0", "18", &o, &right, &passed));
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
        OK(kd_verify_answer(formats[i].text, "2", &o, &right, NULL));
        ck_assert_msg(right == formats[i].right, "%s", formats[i].text);
    }
    OK(kd_verify_find_answer("so\n#### 7 \n", &answer, &bytes));
    ck_assert(bytes == 1 && *answer == '7');
    OK(kd_verify_find_number("it is 12.5%", &value, &right));
    ck_assert(value == 12.5 && right == 1);
    FAILS(kd_verify_find_number("none", &value, NULL), KD_ERR_NOT_FOUND, "no number");
    o.verifiers = 0;
    FAILS(kd_verify_answer("", "", &o, &right, NULL), KD_ERR_INVALID, "verifiers");
}
END_TEST

/* Three questions, four samples: 4, 1 and 0 right. By hand: p = 1, 1/4, 0. */
START_TEST(pass_rates_are_those_of_the_formulas)
{
    const int32_t right[12] = { 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0 };
    kd_pass_at_k pass = { .struct_size = sizeof pass };
    OK(kd_verify_pass_at_k(right, 3, 4, 2, &pass));
    const double mean = 1.25 / 3,
                 variance = (pow(1 - mean, 2) + pow(0.25 - mean, 2) + pow(mean, 2)) / 2;
    NEAR(pass.pass_1, mean, 1e-12);
    NEAR(pass.standard_error, sqrt(variance / 3), 1e-12);
    NEAR(pass.within_error, sqrt(0.25 * 0.75 / 3) / 3, 1e-12);
    NEAR(pass.pass_k, (1 + (1 - 3.0 / 6) + 0) / 3, 1e-12); /* C(3, 2) / C(4, 2) */
    FAILS(kd_verify_pass_at_k(right, 3, 4, 5, &pass), KD_ERR_RANGE, "k:");
    FAILS(kd_verify_pass_at_k((const int32_t[]){ 2 }, 1, 1, 1, &pass), KD_ERR_RANGE, "0 or 1");
    FAILS(kd_verify_pass_at_k(right, 0, 4, 1, &pass), KD_ERR_RANGE, "got 0 and 4");
}
END_TEST

Suite *verify_suite(void)
{
    Suite *suite = suite_create("verify");
    TCase *tests = tcase_create("verify");
    tcase_add_test(tests, hard_cases_are_told_right);
    tcase_add_test(tests, pass_rates_are_those_of_the_formulas);
    tcase_add_test(tests, pairs_of_mathematics_are_told_right);
    tcase_add_test(tests, patterns_and_hosts_verify);
    tcase_add_test(tests, the_most_frequent_answer_is_found);
    tcase_add_test(tests, verifiers_are_joined_and_formats_kept);
    suite_add_tcase(suite, tests);
    return suite;
}
