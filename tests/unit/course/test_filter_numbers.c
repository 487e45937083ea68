/* What a filter is told: a number belongs to one kind, with bounds and a default; an option that a
 * kind does not read is refused. */
#include "unit.h"

static kd_context *ctx;
static kd_curation *curation;
static kd_record_reader *reader;

static int32_t keep_all(void *user, kd_record *record, const char **reason)
{
    (void)user, (void)record, (void)reason;
    return 1;
}

static void setup(void)
{
    ctx = make_context(1);
    OK(kd_curation_create(&curation, ctx, NULL));
    OK(kd_record_reader_open_text(&reader, ctx, "{\"prompt\":\"p\",\"completion\":\"one two\"}\n",
                                  -1, NULL));
}

static void teardown(void)
{
    kd_record_reader_free(reader);
    kd_curation_free(curation);
    kd_context_free(ctx);
}

/* A filter with what its kind needs, and nothing else. */
static int32_t add(int32_t kind)
{
    kd_filter_options o = KD_FILTER_OPTIONS_INIT;
    int32_t step;
    if (kind == KD_FILTER_CONTAMINATION) o.tests = reader;
    if (kind == KD_FILTER_HOST) o.function = keep_all;
    OK(kd_curation_add(curation, kind, &o, &step));
    return step;
}

static int64_t kept_by(int32_t step)
{
    kd_funnel funnel = { .struct_size = sizeof funnel };
    OK(kd_curation_run(curation, reader, NULL, NULL));
    OK(kd_curation_get_step(curation, step, &funnel));
    return funnel.kept;
}

START_TEST(every_number_belongs_to_one_kind_and_keeps_to_its_bounds)
{
    for (int32_t number = 1; number <= KD_CURATION_MAX_FOREIGN_SHARE; number++) {
        int owners = 0;
        for (int32_t kind = KD_FILTER_LENGTH; kind <= KD_FILTER_LANGUAGES; kind++) {
            double low, high, standard, value;
            if (kd_curation_bounds(kind, number, &low, &high, &standard) != KD_OK) continue;
            const int32_t step = add(kind);
            owners++;
            OK(kd_curation_get(curation, step, number, &value));
            ck_assert_double_eq(value, standard);
            OK(kd_curation_set(curation, step, number, low));
            OK(kd_curation_set(curation, step, number, high));
            FAILS(kd_curation_set(curation, step, number, nextafter(low, -INFINITY)), KD_ERR_RANGE,
                  "expected");
            FAILS(kd_curation_set(curation, step, number, nextafter(high, INFINITY)), KD_ERR_RANGE,
                  "expected");
            FAILS(kd_curation_set(curation, step, number, NAN), KD_ERR_RANGE, "expected");
            OK(kd_curation_get(curation, step, number, &value));
            ck_assert_double_eq(value, high);
        }
        ck_assert_int_eq(owners, 1);
    }
}
END_TEST

START_TEST(what_a_filter_has_not_is_refused_by_name)
{
    double value;
    const int32_t length = add(KD_FILTER_LENGTH);
    FAILS(kd_curation_set(curation, length, KD_CURATION_MIN_SCORE, 1), KD_ERR_INVALID,
          "length: min_score is a number of the filter score");
    FAILS(kd_curation_get(curation, length, KD_CURATION_MAX_RECORDS, &value), KD_ERR_INVALID,
          "sample");
    FAILS(kd_curation_set(curation, length, 0, 1), KD_ERR_INVALID, "got 0");
    FAILS(kd_curation_set(curation, length, 99, 1), KD_ERR_INVALID, "got 99");
    FAILS(kd_curation_set(curation, length, KD_CURATION_MAX_LENGTH, 1.5), KD_ERR_RANGE,
          "length: max_length: expected a whole number, got 1.5");
    FAILS(kd_curation_set(curation, 0, KD_CURATION_MAX_LENGTH, 1), KD_ERR_RANGE,
          "step: expected 1 to 1, got 0");
    FAILS(kd_curation_set(curation, 2, KD_CURATION_MAX_LENGTH, 1), KD_ERR_RANGE, "got 2");
    FAILS(kd_curation_bounds(99, KD_CURATION_MAX_LENGTH, NULL, NULL, NULL), KD_ERR_RANGE, "99");
}
END_TEST

static void refuse(int32_t kind, const kd_filter_options *o, const char *text)
{
    FAILS(kd_curation_add(curation, kind, o, NULL), KD_ERR_INVALID, text);
}

START_TEST(an_option_that_a_kind_does_not_read_is_refused)
{
    const kd_verify_options verify = KD_VERIFY_OPTIONS_INIT;
    const char *const domains[] = { "x" };
    const double shares[] = { 1 };
    const kd_filter_options none = KD_FILTER_OPTIONS_INIT;
    kd_filter_options o = none;
    o.unit = KD_UNIT_WORDS;
    refuse(KD_FILTER_MARKUP, &o, "markup has no option unit");
    o = none;
    o.ngram = 3;
    refuse(KD_FILTER_LENGTH, &o, "length has no option ngram");
    o = none;
    o.choose = KD_CHOOSE_SHORTEST;
    refuse(KD_FILTER_SAMPLE, &o, "sample has no option choose");
    o = none;
    o.verify = &verify;
    refuse(KD_FILTER_SCORE, &o, "score has no option verify");
    o = none;
    o.tests = reader;
    refuse(KD_FILTER_DUPLICATES, &o, "duplicates has no option tests");
    o = none;
    o.function = keep_all;
    refuse(KD_FILTER_VERIFY, &o, "verify has no option function");
    o = none;
    o.domains = domains;
    o.shares = shares;
    o.domain_count = 1;
    refuse(KD_FILTER_BEST, &o, "best has no option domains");
    refuse(KD_FILTER_HOST, &none, "a function is needed");
    refuse(KD_FILTER_CONTAMINATION, &none, "tests are needed");
}
END_TEST

START_TEST(ranges_of_options_are_checked)
{
    kd_filter_options o = KD_FILTER_OPTIONS_INIT;
    o.ngram = 65;
    FAILS(kd_curation_add(curation, KD_FILTER_REPETITION, &o, NULL), KD_ERR_RANGE,
          "ngram: expected 1 to 64, got 65");
    o.ngram = -1;
    FAILS(kd_curation_add(curation, KD_FILTER_REPETITION, &o, NULL), KD_ERR_RANGE, "got -1");
    o.ngram = 0;
    o.unit = 4;
    FAILS(kd_curation_add(curation, KD_FILTER_LENGTH, &o, NULL), KD_ERR_RANGE, "unit");
    o.unit = -2;
    FAILS(kd_curation_add(curation, KD_FILTER_LENGTH, &o, NULL), KD_ERR_RANGE, "got -2");
    o.unit = -1;
    o.choose = 3;
    FAILS(kd_curation_add(curation, KD_FILTER_BEST, &o, NULL), KD_ERR_RANGE, "choose");
    FAILS(kd_curation_add(curation, 0, NULL, NULL), KD_ERR_RANGE, "filter");
    FAILS(kd_curation_add(curation, KD_FILTER_LANGUAGES + 1, NULL, NULL), KD_ERR_RANGE, "filter");
}
END_TEST

START_TEST(a_number_may_change_between_runs)
{
    char *table;
    const int32_t step = add(KD_FILTER_LENGTH);
    ck_assert_int_eq(kept_by(step), 1);
    OK(kd_curation_set(curation, step, KD_CURATION_MAX_LENGTH, 6));
    FAILS(kd_curation_to_text(curation, &table), KD_ERR_STATE, "run");
    ck_assert_int_eq(kept_by(step), 0);
    OK(kd_curation_set(curation, step, KD_CURATION_MAX_LENGTH, 0)); /* no limit */
    ck_assert_int_eq(kept_by(step), 1);
}
END_TEST

/* 11 of 20 are right: .55 * 20 is above 11 in doubles. */
START_TEST(a_pass_rate_that_is_met_counts_as_met)
{
    char lines[20 * 80] = "", line[80];
    kd_record_reader *answers;
    kd_funnel funnel = { .struct_size = sizeof funnel };
    for (int i = 0; i < 20; i++) {
        snprintf(line, sizeof line,
                 "{\"prompt\":\"p\",\"completion\":\"#### %d\",\"expected\":\"1\"}\n",
                 i < 11 ? 1 : 2);
        strcat(lines, line);
    }
    OK(kd_record_reader_open_text(&answers, ctx, lines, -1, NULL));
    const int32_t step = add(KD_FILTER_PASS_RATE);
    for (int side = 0; side < 2; side++) {
        OK(kd_curation_set(curation, step, KD_CURATION_MIN_PASS_RATE, side ? 0.56 : 0.55));
        OK(kd_curation_run(curation, answers, NULL, NULL));
        OK(kd_curation_get_step(curation, step, &funnel));
        ck_assert_int_eq(funnel.kept, side ? 0 : 20);
    }
    kd_record_reader_free(answers);
}
END_TEST

Suite *filter_numbers_suite(void)
{
    Suite *suite = suite_create("filter_numbers");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, every_number_belongs_to_one_kind_and_keeps_to_its_bounds);
    tcase_add_test(tests, what_a_filter_has_not_is_refused_by_name);
    tcase_add_test(tests, an_option_that_a_kind_does_not_read_is_refused);
    tcase_add_test(tests, ranges_of_options_are_checked);
    tcase_add_test(tests, a_number_may_change_between_runs);
    tcase_add_test(tests, a_pass_rate_that_is_met_counts_as_met);
    suite_add_tcase(suite, tests);
    return suite;
}
