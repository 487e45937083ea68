#include "unit.h"

START_TEST(mcnemar_is_the_exact_sign_test)
{
    kd_difference d = { .struct_size = sizeof d };
    int32_t a[20] = { 0 }, b[20] = { 0 };
    for (int i = 0; i < 20; i++) {
        a[i] = i < 10;           /* 0 .. 9 */
        b[i] = i >= 1 && i < 17; /* 1 .. 16: only a has 0, only b has 10 .. 16 */
    }
    OK(kd_compare_mcnemar(a, b, 20, &d));
    ck_assert(d.only_a == 1 && d.only_b == 7);
    NEAR(d.difference, 0.3, 1e-12);
    NEAR(d.p_value, 2 * (1 + 8) / 256.0, 1e-12);
    NEAR(d.standard_error, sqrt(8 - 36 / 20.0) / 20, 1e-12);
    OK(kd_compare_mcnemar(a, a, 20, &d));
    ck_assert(d.p_value == 1 && d.difference == 0);
    b[3] = 2;
    FAILS(kd_compare_mcnemar(a, b, 20, &d), KD_ERR_RANGE, "b[3]");
}
END_TEST

/* Against the formula of the paired difference's error; equal models are not told apart, clearly
 * different ones are. */
START_TEST(the_bootstrap_has_the_right_error)
{
    kd_context *ctx = make_context(1);
    enum { Q = 400, N = 4 };
    static int32_t a[Q * N], b[Q * N];
    kd_difference d = { .struct_size = sizeof d };
    double mean = 0, variance = 0, of[Q];
    for (int i = 0; i < Q * N; i++) {
        a[i] = (i * 7919 + 13) % 100 < 50;
        b[i] = (i * 6007 + 29) % 100 < 60;
    }
    for (int q = 0; q < Q; q++) {
        of[q] = 0;
        for (int k = 0; k < N; k++) of[q] += (b[q * N + k] - a[q * N + k]) / (double)N;
        mean += of[q] / Q;
    }
    for (int q = 0; q < Q; q++) variance += (of[q] - mean) * (of[q] - mean) / (Q - 1);
    OK(kd_compare_bootstrap(ctx, a, b, 1, Q, N, 4000, 3, &d));
    NEAR(d.difference, mean, 1e-12);
    NEAR(d.standard_error, sqrt(variance / Q), 0.05 * sqrt(variance / Q));
    ck_assert(d.low < mean && d.high > mean && d.p_value < 0.01);
    OK(kd_compare_bootstrap(ctx, a, a, 2, Q / 2, N, 1000, 3, &d));
    ck_assert(d.p_value == 1 && d.difference == 0);
    NEAR(kd_compare_recovery(0.9, 0.5, 0.8), 4.0 / 3, 1e-12);
    ck_assert(isnan(kd_compare_recovery(1, 0.5, 0.5)));
    FAILS(kd_compare_bootstrap(ctx, a, b, 1, Q, N, 1, 3, &d), KD_ERR_RANGE, "resamples");
    kd_context_free(ctx);
}
END_TEST

/* By hand, and by sacrebleu 2.5 (BLEU, chrF) where a number has four places. */
START_TEST(text_metrics_are_those_of_the_papers)
{
    kd_context *ctx = make_context(1);
    const char *const texts[] = { "the cat sat on the mat", "a quick brown dog" },
                      *const references[] = { "the cat sat on a mat", "the quick brown fox" };
    const char *const one[] = { "The cats, sat!" }, *const other[] = { "cats sat" };
    double v;
    OK(kd_compare_texts(ctx, KD_TEXT_BLEU, references, references, 2, &v));
    NEAR(v, 100, 1e-9);
    OK(kd_compare_texts(ctx, KD_TEXT_CHRF, references, references, 2, &v));
    NEAR(v, 100, 1e-9);
    OK(kd_compare_texts(ctx, KD_TEXT_BLEU, texts, references, 2, &v)); /* 7/10, 4/8, 2/6, 1/4 */
    NEAR(v, 100 * pow(7.0 / 10 * 4 / 8 * 2 / 6 * 1 / 4, 0.25), 1e-9);
    /* 5 of 6 and 6, 2 of 4 and 4 */
    OK(kd_compare_texts(ctx, KD_TEXT_ROUGE_L, texts, references, 2, &v));
    NEAR(v, (5.0 / 6 + 0.5) / 2, 1e-12);
    OK(kd_compare_texts(ctx, KD_TEXT_F1, one, other, 1, &v));
    NEAR(v, 1, 1e-12);
    OK(kd_compare_texts(ctx, KD_TEXT_EXACT, one, other, 1, &v));
    NEAR(v, 0, 1e-12);
    const char *const labels[] = { " a", "b", "c", "x" }, *const wanted[] = { "a", "b\n", "a",
                                                                              "b" };
    /* both: 1 said, 2 wanted, 1 right */
    OK(kd_compare_texts(ctx, KD_TEXT_MACRO_F1, labels, wanted, 4, &v));
    ck_assert_double_eq_tol(v, 2 / 3., 1e-12);
    OK(kd_compare_texts(ctx, KD_TEXT_MACRO_F1, wanted, wanted, 4, &v));
    ck_assert_double_eq_tol(v, 1, 1e-12);
    FAILS(kd_compare_texts(ctx, 9, one, other, 1, &v), KD_ERR_RANGE, "metric");
    kd_context_free(ctx);
}
END_TEST

START_TEST(speed_and_facts_of_a_model)
{
    kd_context *ctx = make_context(1);
    kd_model *model;
    kd_model_info f = { .struct_size = sizeof f };
    kd_speed s = { .struct_size = sizeof s };
    kd_speed_options o = KD_SPEED_OPTIONS_INIT;
    OK(kd_model_create(&model, ctx,
                       "{\"model_type\":\"llama\",\"vocab_size\":50,\"hidden_size\":32,"
                       "\"intermediate_size\":48,\"num_hidden_layers\":4,\"kd_layer_repeats\":2,"
                       "\"num_attention_heads\":4,\"num_key_value_heads\":4,\"max_position_"
                       "embeddings\":64,\"tie_word_embeddings\":true}",
                       NULL));
    OK(kd_model_get_info(model, &f));
    const int64_t layer = 4 * 32 * 32 + 3 * 32 * 48 + 2 * 32;
    ck_assert_int_eq(f.parameters, 50 * 32 + 2 * layer + 32);
    ck_assert_int_eq(f.active_parameters, 32 + 50 * 32 + 4 * layer + 32);
    ck_assert(f.float32_bytes == 4 * f.parameters && f.memory_bytes == 8 * f.parameters &&
              f.int8_bytes < f.float16_bytes + f.parameters);
    o.sequences = 3;
    o.prompt_tokens = o.new_tokens = 10;
    o.repeats = 3;
    OK(kd_model_measure_speed(model, &o, &s));
    ck_assert(s.tokens_per_second > 0 && s.prompt_tokens_per_second > 0 &&
              s.time_to_first_token > 0 && s.token_p99 >= s.token_p50 &&
              s.peak_bytes > 4 * f.parameters);
    const int64_t cache_bytes = s.cache_bytes;
    o.cache = KD_INT8;
    OK(kd_model_measure_speed(model, &o, &s));
    ck_assert(s.cache_bytes > cache_bytes / 4 && s.cache_bytes < cache_bytes / 2);
    o.cache = KD_INT32;
    FAILS(kd_model_measure_speed(model, &o, &s), KD_ERR_UNSUPPORTED, "cache");
    o.cache = KD_FLOAT32;
    o.repeats = 1;
    /* one run of few tokens has a speed too */
    for (o.new_tokens = 1; o.new_tokens < 5; o.new_tokens++) {
        OK(kd_model_measure_speed(model, &o, &s));
        ck_assert(o.new_tokens == 1 ? isnan(s.tokens_per_second) && isnan(s.token_p50)
                                    : s.tokens_per_second > 0 && s.token_p50 > 0);
    }
    o.new_tokens = 60;
    FAILS(kd_model_measure_speed(model, &o, &s), KD_ERR_RANGE, "64 positions");
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

START_TEST(reports_have_tables_and_pictures)
{
    kd_context *ctx = make_context(1);
    kd_report *r;
    const char *text, *path = scratch_path("report.html");
    const double x[] = { 1e5, 2e6, NAN }, y[] = { 0.5, 0.75, 1 };
    size_t size;
    OK(kd_report_create(&r, ctx));
    OK(kd_report_set_text(r, "machine", "a <fast> one"));
    OK(kd_report_set_cell(r, "scores.all", "student", "pass@1", 0.8125, 0.0112));
    OK(kd_report_set_cell(r, "scores.all", "student", "parameters", 102720, NAN));
    OK(kd_report_set_cell(r, "scores.all", "student", "points", 84.85,
                          0.3586)); /* three digits of the error */
    OK(kd_report_set_cell(r, "scores.all", "student", "bytes", 812.5, 22.25));
    OK(kd_report_set_cell(r, "scores.all", "teacher", "parameters", 446304, NAN));
    OK(kd_report_add_series(r, "size", "student", KD_PICTURE_POINTS, x, y, 3));
    OK(kd_report_set_axes(r, "size", "parameters", "pass@1", 1));
    OK(kd_report_add_series(r, "loss", "a", KD_PICTURE_LINES, x, y, 3));
    OK(kd_report_add_series(r, "bars", "a", KD_PICTURE_BARS, x, y, 2));
    OK(kd_report_add_series(r, "bars", "below 0", KD_PICTURE_BARS, x, (double[]){ -0.5, 0.25 }, 2));
    OK(kd_report_add_series(r, "rows", "student <1>", KD_PICTURE_INTERVALS,
                            (double[]){ -0.25, 0.5, 1 }, NULL, 3));
    OK(kd_report_add_series(r, "rows", "a student whose name is longer than its place",
                            KD_PICTURE_INTERVALS, (double[]){ NAN, 0.5, NAN }, NULL, 3));
    OK(kd_report_text(r, &text));
    ck_assert(strstr(text, "0.8125 +- 0.0112") && strstr(text, "84.850 +- 0.359") &&
              strstr(text, "812.5 +- 22.2") && strstr(text, "machine: a <fast> one") &&
              strstr(text, "446304"));
    OK(kd_report_json(r, &text));
    ck_assert(strstr(text, "\"scores.all\"") && strstr(text, "null"));
    OK(kd_report_write_html(r, path, "A & B"));
    char *page = read_whole(path, &size);
    page[size] = 0;
    ck_assert(strstr(page, "a &lt;fast&gt; one") && strstr(page, "A &amp; B") &&
              strstr(page, "<circle") && strstr(page, "<path") && strstr(page, "<rect") &&
              !strstr(page, "nan") && !strstr(page, "inf"));
    ck_assert(strstr(page, "student &lt;1&gt;") && strstr(page, "textLength=") &&
              !strstr(page, "height=\"-"));
    free(page);
    FAILS(kd_report_add_series(r, "rows", "s", KD_PICTURE_INTERVALS, x, NULL, 2), KD_ERR_RANGE,
          "3 numbers");
    FAILS(kd_report_add_series(r, "loss", "b", KD_PICTURE_LINES, x, NULL, 2), KD_ERR_INVALID, "y");
    FAILS(kd_report_set_cell(r, "scores.all", "student", "", 1, NAN), KD_ERR_INVALID, "empty");
    FAILS(kd_report_add_series(r, "size", "s", 7, x, y, 1), KD_ERR_RANGE, "kind");
    kd_report_free(r);
    kd_context_free(ctx);
}
END_TEST

Suite *compare_suite(void)
{
    Suite *suite = suite_create("compare");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, mcnemar_is_the_exact_sign_test);
    tcase_add_test(tests, the_bootstrap_has_the_right_error);
    tcase_add_test(tests, text_metrics_are_those_of_the_papers);
    tcase_add_test(tests, speed_and_facts_of_a_model);
    tcase_add_test(tests, reports_have_tables_and_pictures);
    suite_add_tcase(suite, tests);
    return suite;
}
