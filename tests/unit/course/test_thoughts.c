/* Thoughts under the marks of every model: verdicts, the reward for a form, filters and records
 * know the same ones. */
#include "textkit.h"
#include "unit.h"

/* Marks that chat templates write (Qwen, Magistral, EXAONE, Reka, Seed-OSS, LongCat, Command A,
 * OpenThinker, Apertus, gpt-oss, Gemma 4, Kimi-VL). */
static const struct {
    const char *open, *close;
} marks[] = { { "<think>", "</think>" },
              { "[THINK]", "[/THINK]" },
              { "<thinking>", "</thinking>" },
              { "<thought>", "</thought>" },
              { "<reasoning>", "</reasoning>" },
              { "<seed:think>", "</seed:think>" },
              { "<longcat_think>", "</longcat_think>" },
              { "<|START_THINKING|>", "<|END_THINKING|>" },
              { "<|begin_of_thought|>", "<|end_of_thought|>" },
              { "<|inner_prefix|>", "<|inner_suffix|>" },
              { "<|channel|>analysis<|message|>", "<|channel|>final<|message|>" },
              { "<|channel>thought\n", "<channel|>" },
              { "\xe2\x97\x81think\xe2\x96\xb7", "\xe2\x97\x81/think\xe2\x96\xb7" } };
enum { KINDS = sizeof marks / sizeof *marks };

static void check_verdict(const char *text, int32_t format, int32_t expected)
{
    kd_verify_options o = KD_VERIFY_OPTIONS_INIT;
    int32_t right;
    o.verifiers = KD_VERIFY_LATEX;
    o.format = format;
    OK(kd_verify_answer(text, "8", &o, &right, NULL));
    ck_assert_msg(right == expected, "%s", text);
}

START_TEST(an_open_thought_earns_nothing)
{
    char text[200];
    for (int i = 0; i < KINDS; i++) {
        snprintf(text, sizeof text, "%sso it is \\boxed{8}", marks[i].open);
        check_verdict(text, 0, 0);
        snprintf(text, sizeof text, "%sis it \\boxed{9}?%sit is \\boxed{8}", marks[i].open,
                 marks[i].close);
        check_verdict(text, 0, 1);
        snprintf(text, sizeof text, "%sit is \\boxed{8}%s", marks[i].open, marks[i].close);
        check_verdict(text, 0, 0);
        snprintf(text, sizeof text, "it was \\boxed{9}%s8", marks[i].close);
        check_verdict(text, 0, 1);
    }
}
END_TEST

START_TEST(a_mark_inside_a_thought_of_another_kind_is_text)
{
    check_verdict("<think>they write [THINK] there</think>\\boxed{8}", 0, 1);
    check_verdict("[THINK]they write </think> there \\boxed{8}", 0, 0);
    check_verdict("[THINK]they write <think> there[/THINK]\\boxed{8}", 0, 1);
    check_verdict("<think>a</think>b[THINK]\\boxed{8}", 0, 0);
    check_verdict("in [THIN] air \\boxed{8}", 0, 1);
    check_verdict(
        "<|channel|>analysis<|message|>Is it \\boxed{9}?<|end|><|start|>assistant<|channel|>"
        "final<|message|>\\boxed{8}<|return|>",
        0, 1);
}
END_TEST

START_TEST(a_form_is_kept_with_every_kind_of_marks)
{
    char text[200];
    for (int i = 0; i < KINDS; i++) {
        snprintf(text, sizeof text, "%swell%s\\boxed{8}", marks[i].open, marks[i].close);
        check_verdict(text, KD_FORMAT_THINK, 1);
        snprintf(text, sizeof text, "%s %s\\boxed{8}", marks[i].open, marks[i].close);
        check_verdict(text, KD_FORMAT_THINK, 0);
        snprintf(text, sizeof text, "%swell%s%swell%s\\boxed{8}", marks[i].open, marks[i].close,
                 marks[i].open, marks[i].close);
        check_verdict(text, KD_FORMAT_THINK, 0);
    }
}
END_TEST

/* A record's thought beside a content that holds it already. */
START_TEST(a_thought_that_the_content_holds_is_not_put_in_front_again)
{
    kd_context *ctx = make_context(1);
    for (int i = 0; i < 2; i++) {
        const char *line = i ? "{\"prompt\":\"q\",\"completion\":\"[THINK]z[/THINK]a\","
                               "\"reasoning\":\"t\"}"
                             : "{\"prompt\":\"q\",\"completion\":\"[THINK] t[/THINK]a\","
                               "\"reasoning\":\"t\"}";
        kd_record_reader *r;
        kd_record record = KD_RECORD_INIT;
        OK(kd_record_reader_open_text(&r, ctx, line, -1, NULL));
        if (i) FAILS(kd_record_reader_next(r, &record), KD_ERR_FORMAT, "two different thoughts");
        else {
            OK(kd_record_reader_next(r, &record));
            ck_assert_str_eq(record.completion, "[THINK] t[/THINK]a");
        }
        kd_record_reader_free(r);
    }
    kd_context_free(ctx);
}
END_TEST

Suite *thoughts_suite(void)
{
    Suite *suite = suite_create("thoughts");
    TCase *tests = tcase_create("thoughts");
    tcase_add_test(tests, an_open_thought_earns_nothing);
    tcase_add_test(tests, a_mark_inside_a_thought_of_another_kind_is_text);
    tcase_add_test(tests, a_form_is_kept_with_every_kind_of_marks);
    tcase_add_test(tests, a_thought_that_the_content_holds_is_not_put_in_front_again);
    suite_add_tcase(suite, tests);
    return suite;
}
