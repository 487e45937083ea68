/* Patterns of KD_VERIFY_PATTERN: what they mean, what is refused, and the C library's verdicts on
 * random ones. */
#include <regex.h>

#include "unit.h"

static int32_t matches(const char *pattern, const char *text)
{
    kd_verify_options o = KD_VERIFY_OPTIONS_INIT;
    int32_t right;
    o.verifiers = KD_VERIFY_PATTERN;
    o.pattern = pattern;
    OK(kd_verify_answer(text, "", &o, &right, NULL));
    return right;
}

static const struct {
    const char *pattern, *text;
    int32_t right;
} patterns[] = {
    { "[0-9]+", "123", 1 },
    { "[0-9]+", "12a", 0 },
    { "", "", 1 },
    { "", "a", 0 },
    { "a*", "", 1 },
    { "a|b|", "b", 1 },
    { "(ab|a)(c|bcd)(d*)", "abcd", 1 },
    { "a{2,3}", "a", 0 },
    { "a{2,3}", "aaa", 1 },
    { "a{2,3}", "aaaa", 0 },
    { "a{2,}", "aaaaaaa", 1 },
    { "a{0}", "", 1 },
    { "(a{2}){2}", "aaaa", 1 },
    { "(a|b)*c?", "abbabc", 1 },
    { "[^,]+,[^,]+", "x,y", 1 },
    { "[^,]+,[^,]+", "x,y,z", 0 },
    { "[]a-]+", "a-]", 1 },
    { "[[:digit:][:upper:]]+", "A1B2", 1 },
    { "[[:digit:][:upper:]]+", "A1b2", 0 },
    { "^a$", "a", 1 },
    { "(^a|b)c$", "bc", 1 },
    { "a^b", "ab", 0 },
    { "\\(\\.\\$", "(.$", 1 },
    { ".", "\xc3\xa9", 1 }, /* a character, not a byte */
    { "[\xce\xb1-\xcf\x89]+", "\xce\xb2\xce\xb3", 1 },
    { "x+y+|x+z+", "xxxzz", 1 },
    { "(a*)*", "aaaa", 1 },
    { "(a*)+b", "aaab", 1 },
    { "((a?){3}b?){2}", "aabaa", 1 },
    { "a|b|c|d", "c", 1 },
    { "a|b|c|d", "e", 0 },
    { "(|a)b", "b", 1 },
    { "a{0,2}b", "aab", 1 },
    { "a{0,2}b", "aaab", 0 },
    { "(ab){2,3}", "ababab", 1 },
    { "(ab){2,3}", "ab", 0 },
    { "(a|b{2}){3}", "abba", 1 },
    { "[+-]?[0-9]{1,3}(,[0-9]{3})*", "-1,234,567", 1 },
    { "[+-]?[0-9]{1,3}(,[0-9]{3})*", "-1,234,56", 0 },
    { "[^[:space:]]+", "\xe4\xb8\xad", 1 },
    { "[^\xc3\xa9]", "\xc3\xa8", 1 },
    { "[^\xc3\xa9]", "\xc3\xa9", 0 },
    { "\xc3\xa9{2}", "\xc3\xa9\xc3\xa9", 1 },
    { "[a-]", "-", 1 },
    { "[[:punct:]]", "]", 1 },
    { "[]]", "]", 1 },
    { "[.]", "a", 0 },
    { "$", "", 1 },
    { "a$b", "a$b", 0 },
    { "a\\$b", "a$b", 1 },
};

START_TEST(patterns_match_as_posix_says)
{
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        const int32_t right = matches(patterns[i].pattern, patterns[i].text);
        ck_assert_msg(right == patterns[i].right, "%s on '%s': %d", patterns[i].pattern,
                      patterns[i].text, right);
    }
}
END_TEST
static const struct {
    const char *pattern, *message;
} wrong[] = {
    { "(a", "pattern '(a': expected ')'" },
    { "a)", "expected '(' before ')'" },
    { "a|b)c", "expected '(' before ')'" },
    { "[a", "expected ']'" },
    { "[[:digit:]", "expected ']'" },
    { "*a", "before a repetition" },
    { "(|+)", "before a repetition" },
    { "a{", "expected a number in {}" },
    { "a{,3}", "expected a number in {}" },
    { "a{3", "expected {low}, {low,} or {low,high}" },
    { "a{3,2}", "expected {low}, {low,} or {low,high}" },
    { "a{300}", "at most 255" },
    { "[b-a]", "rising range" },
    { "[[:word:]]", "class of POSIX" },
    { "[[.a.]]", "class of POSIX" },
    { "\\d", "expected punctuation after \\" },
    { "(a)\\1", "expected punctuation after \\" },
    { "a\\", "expected a character after \\" },
    { "((a{99}){99}){99}", "at most 1000 states" },
    { "(((((((((((((((((((((a)))))))))))))))))))))", "at most 20 groups" },
};

START_TEST(wrong_patterns_say_why)
{
    kd_verify_options o = KD_VERIFY_OPTIONS_INIT;
    int32_t right;
    char longest[1100];
    o.verifiers = KD_VERIFY_PATTERN;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        o.pattern = wrong[i].pattern;
        FAILS(kd_verify_answer("a", "", &o, &right, NULL), KD_ERR_INVALID, wrong[i].message);
    }
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    o.pattern = longest;
    FAILS(kd_verify_answer("a", "", &o, &right, NULL), KD_ERR_RANGE,
          "expected at most 1024 bytes, got 1099");
}
END_TEST

/* ---- random patterns ---- */

static uint32_t dice_state = 7;
static int dice(int sides)
{
    dice_state = dice_state * 1664525u + 1013904223u;
    return (int)((dice_state >> 8) % (uint32_t)sides);
}

/* A random pattern over a, b and c, of which every part is one that POSIX defines. */
static char *write_pattern(char *to, int depth)
{
    static const char *const atoms[] = {
        "a", "b", "c", ".", "[ab]", "[^a]", "[b-c]", "[[:lower:]]"
    };
    static const char *const counts[] = {
        "", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,1}", "{2,}"
    };
    for (int parts = 1 + dice(3); parts; parts--) {
        if (depth && !dice(2)) {
            *to++ = '(';
            to = write_pattern(to, depth - 1);
            *to++ = ')';
        } else to += sprintf(to, "%s", atoms[dice(8)]);
        to += sprintf(to, "%s", counts[dice(10)]);
        if (parts > 1 && !dice(4)) *to++ = '|';
    }
    *to = 0;
    return to;
}

START_TEST(random_patterns_match_as_the_c_library_says)
{
    const int cases = getenv("KD_TEST_FEW") ? 200 : 20000;
    int32_t yes = 0;
    for (int i = 0; i < cases; i++) {
        char pattern[400], whole[404], text[8];
        regex_t compiled;
        const int bytes = dice(8);
        write_pattern(pattern, 2);
        for (int k = 0; k < bytes; k++) text[k] = (char)('a' + dice(3));
        text[bytes] = 0;
        sprintf(whole, "^(%s)$", pattern);
        ck_assert_int_eq(regcomp(&compiled, whole, REG_EXTENDED | REG_NOSUB), 0);
        const int32_t right = regexec(&compiled, text, 0, NULL, 0) == 0;
        regfree(&compiled);
        ck_assert_msg(matches(pattern, text) == right, "%s on '%s': expected %d", pattern, text,
                      right);
        yes += right;
    }
    ck_assert_int_gt(yes, cases / 10);
}
END_TEST

Suite *patterns_suite(void)
{
    Suite *suite = suite_create("patterns");
    TCase *tests = tcase_create("patterns");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, patterns_match_as_posix_says);
    tcase_add_test(tests, wrong_patterns_say_why);
    tcase_add_test(tests, random_patterns_match_as_the_c_library_says);
    suite_add_tcase(suite, tests);
    return suite;
}
