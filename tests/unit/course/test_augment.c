#include "unit.h"

static kd_record_reader *reader_of(kd_context *ctx, const char *lines)
{
    kd_record_reader *r;
    OK(kd_record_reader_open_text(&r, ctx, lines, -1, NULL));
    return r;
}

/* What kd_augment_prompts makes of the lines: open it with kd_record_reader_next. */
static kd_record_reader *augmented(kd_context *ctx, const char *lines, const kd_augment_options *o,
                                   kd_augment_counts *counts)
{
    const char *path = scratch_path("more.jsonl");
    kd_record_writer *w;
    kd_record_reader *in = reader_of(ctx, lines), *out;
    OK(kd_record_writer_open(&w, ctx, path, NULL));
    OK(kd_augment_prompts(in, w, o, counts));
    OK(kd_record_writer_close(w));
    kd_record_writer_free(w);
    kd_record_reader_free(in);
    OK(kd_record_reader_open(&out, ctx, &path, 1, NULL));
    return out;
}

/* The sum of the numbers; odd sums are no problems. */
static int32_t sum_of(void *user, const kd_record *original, const double *before,
                      const double *now, int32_t count, kd_record *made)
{
    static char expected[40];
    double sum = 0;
    ck_assert(strstr(original->prompt, "1,250") || user);
    ck_assert_double_eq(before[0], 1250);
    for (int32_t i = 0; i < count; i++) sum += now[i];
    snprintf(expected, sizeof expected, "%.10g", sum);
    made->expected = expected;
    return user ? *(int32_t *)user : fmod(floor(sum), 2) == 0;
}

START_TEST(numbers_are_drawn_anew)
{
    kd_context *ctx = make_context(1);
    kd_augment_options o = KD_AUGMENT_OPTIONS_INIT;
    kd_augment_counts counts = { .struct_size = sizeof counts };
    kd_record r = KD_RECORD_INIT;
    int64_t n = 0;
    const char *line = "{\"messages\":[{\"role\":\"system\",\"content\":\"Add.\"},{\"role\":"
                       "\"user\",\"content\":\"1,250 pens, 3.50 and x2 of 1,250 for the 2nd of "
                       "007, "
                       "0 more: "
                       "12345678901234567\"},{\"role\":\"assistant\",\"content\":\"old\"}],"
                       "\"expected\":\"1\",\"domain\":\"d\",\"score\":1,\"passed\":[\"a\"]}\n"
                       "{\"prompt\":\"no number\"}";
    o.kind = KD_AUGMENT_NUMBERS;
    o.copies = 40;
    o.low = 1;
    o.function = sum_of;
    kd_record_reader *out = augmented(ctx, line, &o, &counts);
    for (; kd_record_reader_next(out, &r) == KD_OK; n++) {
        double a, b;
        int whole, rest;
        char again[200];
        ck_assert_int_eq(sscanf(r.prompt, "%d,%3d pens, %lf", &whole, &rest, &b), 3);
        a = whole * 1000 + rest;
        snprintf(
            again, sizeof again,
            "%d,%03d pens, %.2f and x2 of %d,%03d for the 2nd of 007, 0 more: 12345678901234567",
            whole, rest, b, whole, rest);
        ck_assert_str_eq(r.prompt, again);
        ck_assert(a >= 1250 && a <= 2500 && b >= 3.5 && b <= 7);
        ck_assert_double_eq_tol(strtod(r.expected, NULL), 2 * a + b, 1e-6);
        ck_assert_str_eq(r.passed, "a,numbers");
        ck_assert_str_eq(r.domain, "d");
        ck_assert_int_eq(r.message_count, 2);
        ck_assert_str_eq(r.messages[0].content, "Add.");
        ck_assert(isnan(r.score) && !*r.completion);
    }
    ck_assert_int_eq(counts.read, 2);
    ck_assert_int_eq(counts.written, n);
    ck_assert_int_eq(counts.skipped, 1);
    ck_assert_int_eq(counts.written + counts.refused + counts.known, 40);
    ck_assert(counts.refused > 5 && counts.written > 5);
    kd_record_reader_free(out);
    kd_context_free(ctx);
}
END_TEST

/* 2 can become 1, 2, 3 or 4: three new prompts, the fourth is there. */
START_TEST(prompts_that_are_there_are_not_made_again)
{
    kd_context *ctx = make_context(1);
    kd_augment_options o = KD_AUGMENT_OPTIONS_INIT;
    kd_augment_counts counts = { .struct_size = sizeof counts };
    int32_t keep = 1;
    o.kind = KD_AUGMENT_NUMBERS;
    o.copies = 50;
    o.low = o.high = 1;
    o.function = sum_of;
    o.user = &keep;
    kd_record_reader_free(augmented(ctx, "{\"prompt\":\"1250\"}", &o, &counts));
    ck_assert_int_eq(counts.known, 50);
    o.high = 1.0016;
    kd_record_reader_free(
        augmented(ctx, "{\"prompt\":\"1250\"}\n{\"prompt\":\"1251\",\"id\":\"x\"}\n",
                  &(kd_augment_options){ .struct_size = sizeof o,
                                         .kind = KD_AUGMENT_TEMPLATES,
                                         .copies = 1,
                                         .low = 1,
                                         .high = 1,
                                         .templates = (const char *const[]){ "{prompt}" },
                                         .template_count = 1 },
                  &counts));
    ck_assert_int_eq(counts.known, 2);
    kd_record_reader_free(augmented(ctx, "{\"prompt\":\"1250\"}", &o, &counts));
    ck_assert_int_eq(counts.written, 2); /* 1251 and 1252 */
    ck_assert_int_eq(counts.known, 48);
    o.copies = 4;
    o.low = 0;
    o.high = 1e6; /* no number grows beyond fifteen digits */
    kd_record_reader *out =
        augmented(ctx, "{\"prompt\":\"1250 and 999999999999999\"}", &o, &counts);
    kd_record r = KD_RECORD_INIT;
    ck_assert_int_eq(counts.written, 4);
    while (kd_record_reader_next(out, &r) == KD_OK) {
        ck_assert_int_eq(strspn(strstr(r.prompt, "and ") + 4, "0123456789"),
                         strlen(strstr(r.prompt, "and ") + 4));
        ck_assert(strlen(strstr(r.prompt, "and ") + 4) <= 15);
    }
    kd_record_reader_free(out);
    kd_context_free(ctx);
}
END_TEST

START_TEST(templates_and_answers_make_prompts)
{
    static const char *const templates[] = { "Say it otherwise: {prompt}",
                                             "Write one like {previous} and {prompt}." };
    kd_context *ctx = make_context(1);
    kd_augment_options o = KD_AUGMENT_OPTIONS_INIT;
    kd_augment_counts counts = { .struct_size = sizeof counts };
    kd_record r = KD_RECORD_INIT;
    o.kind = KD_AUGMENT_TEMPLATES;
    o.templates = templates;
    o.template_count = 2;
    kd_record_reader *out = augmented(ctx,
                                      "{\"prompt\":\"one\",\"completion\":\"a\",\"expected\":\"1\"}"
                                      "\n{\"prompt\":\"two\",\"expected\":\"2\"}",
                                      &o, &counts);
    OK(kd_record_reader_next(out, &r));
    ck_assert_str_eq(r.prompt, "Say it otherwise: one");
    ck_assert_str_eq(r.completion, "a");
    OK(kd_record_reader_next(out, &r));
    ck_assert_str_eq(r.prompt, "Say it otherwise: two");
    ck_assert_str_eq(r.expected, "2");
    OK(kd_record_reader_next(out, &r));
    ck_assert_str_eq(r.prompt, "Write one like one and two.");
    ck_assert_int_eq(counts.skipped, 1);
    kd_record_reader_free(out);
    o.kind = KD_AUGMENT_ANSWERS;
    o.name = "rewritten";
    const char *answers = "{\"prompt\":\"q\",\"completion\":\"<think>hm</think> New one? "
                          "\",\"expected\":\"7\"}\n{\"prompt\":\"q\",\"completion\":\"New one?\"}\n"
                          "{\"prompt\":\"q\",\"completion\":\"cut\",\"finish\":\"length\"}\n{"
                          "\"prompt\":\"q\",\"completion\":\"<think>open\"}\n{\"prompt\":\"q\"}\n"
                          "{\"prompt\":\"p\",\"completion\":\"q\"}";
    for (int keep = 0; keep < 2; keep++) {
        o.keep_expected = keep;
        out = augmented(ctx, answers, &o, &counts);
        OK(kd_record_reader_next(out, &r));
        ck_assert_str_eq(r.prompt, "New one?");
        ck_assert_str_eq(r.expected, keep ? "7" : "");
        ck_assert_str_eq(r.passed, "rewritten");
        ck_assert_int_eq(counts.written, 1);
        ck_assert_int_eq(counts.known, 2); /* the same again; q is a prompt already */
        ck_assert_int_eq(counts.skipped, 3);
        kd_record_reader_free(out);
    }
    kd_context_free(ctx);
}
END_TEST

START_TEST(bad_options_are_named)
{
    static const char *const templates[] = { "nothing" };
    kd_context *ctx = make_context(1);
    kd_augment_options o = KD_AUGMENT_OPTIONS_INIT;
    kd_record_reader *in = reader_of(ctx, "{\"prompt\":\"1250\"}");
    kd_record_writer *w;
    int32_t said = 5;
    OK(kd_record_writer_open(&w, ctx, scratch_path("more.jsonl"), NULL));
    FAILS(kd_augment_prompts(in, w, &o, NULL), KD_ERR_RANGE, "kind");
    o.kind = KD_AUGMENT_NUMBERS;
    FAILS(kd_augment_prompts(in, w, &o, NULL), KD_ERR_INVALID, "function");
    o.function = sum_of;
    o.user = &said;
    FAILS(kd_augment_prompts(in, w, &o, NULL), KD_ERR_CALLBACK, "returned 5");
    said = KD_ERR_IO;
    FAILS(kd_augment_prompts(in, w, &o, NULL), KD_ERR_IO, "");
    o.low = 3;
    FAILS(kd_augment_prompts(in, w, &o, NULL), KD_ERR_RANGE, "low");
    o.low = 1;
    o.copies = 0;
    FAILS(kd_augment_prompts(in, w, &o, NULL), KD_ERR_RANGE, "copies");
    o.copies = 1;
    o.kind = KD_AUGMENT_TEMPLATES;
    FAILS(kd_augment_prompts(in, w, &o, NULL), KD_ERR_INVALID, "templates");
    o.templates = templates;
    o.template_count = 1;
    FAILS(kd_augment_prompts(in, w, &o, NULL), KD_ERR_INVALID, "{prompt}");
    o.name = "a,b";
    FAILS(kd_augment_prompts(in, w, &o, NULL), KD_ERR_INVALID, "comma");
    kd_record_writer_free(w);
    kd_record_reader_free(in);
    kd_context_free(ctx);
}
END_TEST

Suite *augment_suite(void)
{
    Suite *suite = suite_create("augment");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, numbers_are_drawn_anew);
    tcase_add_test(tests, prompts_that_are_there_are_not_made_again);
    tcase_add_test(tests, templates_and_answers_make_prompts);
    tcase_add_test(tests, bad_options_are_named);
    suite_add_tcase(suite, tests);
    return suite;
}
