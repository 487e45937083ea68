/* Verdicts by the kinds of faults that graders have, both ways round, and digits of other
 * scripts. */
#include "unit.h"
#include "verdicts.h"

START_TEST(verdicts_are_right_for_each_kind_of_fault)
{
    kd_verify_options o = KD_VERIFY_OPTIONS_INIT;
    int32_t right, back;
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
        o.verifiers = verdicts[i].verifiers;
        OK(kd_verify_answer(verdicts[i].text, verdicts[i].expected, &o, &right, NULL));
        OK(kd_verify_answer(verdicts[i].expected, verdicts[i].text, &o, &back, NULL));
        ck_assert_msg(right == verdicts[i].right && back == right,
                      "'%s' for '%s' by %d: %d, back %d", verdicts[i].text, verdicts[i].expected,
                      o.verifiers, right, back);
    }
}
END_TEST

/* The digits of all scripts are those of ASCII. */
START_TEST(digits_of_other_scripts_are_digits)
{
    static const uint32_t zeros[] = { 0x660, 0x6f0, 0x966, 0x9e6,  0xa66,  0xae6,  0xbe6,
                                      0xc66, 0xe50, 0xf20, 0x1040, 0xff10, 0x1d7ce };
    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++)
        for (uint32_t digit = 0; digit < 10; digit++) {
            const uint32_t c = zeros[i] + digit;
            char text[8] = "";
            double value;
            if (c < 0x800) sprintf(text, "%c%c", 0xc0 | c >> 6, 0x80 | (c & 63));
            else if (c < 0x10000)
                sprintf(text, "%c%c%c", 0xe0 | c >> 12, 0x80 | (c >> 6 & 63), 0x80 | (c & 63));
            else
                sprintf(text, "%c%c%c%c", 0xf0 | c >> 18, 0x80 | (c >> 12 & 63),
                        0x80 | (c >> 6 & 63), 0x80 | (c & 63));
            OK(kd_verify_find_number(text, &value, NULL));
            ck_assert_double_eq(value, digit);
        }
}
END_TEST

Suite *verdicts_suite(void)
{
    Suite *suite = suite_create("verdicts");
    TCase *tests = tcase_create("verdicts");
    tcase_add_test(tests, verdicts_are_right_for_each_kind_of_fault);
    tcase_add_test(tests, digits_of_other_scripts_are_digits);
    suite_add_tcase(suite, tests);
    return suite;
}
