#include "unit.h"

static kd_context *ctx;
static void setup(void) { ctx = make_context(1); }
static void teardown(void) { kd_context_free(ctx); }

static double metric(kd_metrics *m, int32_t kind, kd_metric *whole)
{
    kd_metric one = { .struct_size = sizeof one };
    OK(kd_metrics_get(m, kind, &one));
    if (whole) *whole = one;
    return one.value;
}

START_TEST(values_by_hand)
{
    /* Log-probabilities: rows predict 0 (.7), 1 (.6), 0 (.5), 2 (.8) against labels 0, 1, 2, 1. */
    const double p[4][3] = { { .7, .2, .1 }, { .3, .6, .1 }, { .5, .2, .3 }, { .1, .1, .8 } },
                 t[4][3] = { { .6, .3, .1 }, { .2, .7, .1 }, { .1, .2, .7 }, { .2, .5, .3 } };
    float z[12], v[12];
    int64_t y[4] = { 0, 1, 2, 1 };
    double kl = 0;
    kd_metrics *m;
    kd_metric a;
    kd_metrics_options o = KD_METRICS_OPTIONS_INIT;
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, 4, 3), vs = KD_ARRAY_2D(v, KD_FLOAT32, 4, 3),
             ys = KD_ARRAY_1D(y, KD_INT64, 4), counts;
    for (int i = 0; i < 12; i++) {
        z[i] = (float)log(p[i / 3][i % 3]);
        v[i] = (float)log(t[i / 3][i % 3]);
        kl += t[i / 3][i % 3] * log(t[i / 3][i % 3] / p[i / 3][i % 3]) / 4;
    }
    o.top_k = 2;
    o.calibration_bins = 7; /* no confidence lies on an edge */
    o.bootstrap = 200;
    OK(kd_metrics_create(&m, ctx, 3, &o));
    FAILS(kd_metrics_get(m, KD_METRIC_ACCURACY, &(kd_metric){ .struct_size = sizeof(kd_metric) }),
          KD_ERR_STATE, "nothing was added");
    OK(kd_metrics_add(m, &zs, &ys, &vs));
    NEAR(metric(m, KD_METRIC_ACCURACY, &a), 0.5, 0);
    NEAR(a.standard_error, 0.25, 1e-12);
    NEAR(a.low, 0.15003898915214947, 1e-9); /* Wilson, 2 of 4 */
    NEAR(a.high, 0.8499610108478506, 1e-9);
    NEAR(metric(m, KD_METRIC_TOP_K, NULL), 0.75, 0);
    NEAR(metric(m, KD_METRIC_NLL, NULL), -(log(.7) + log(.6) + log(.3) + log(.1)) / 4, 1e-6);
    NEAR(metric(m, KD_METRIC_MACRO_F1, &a), (2 * 1 / 3. + 2 * 1 / 3. + 0) / 3, 1e-9);
    ck_assert(a.low <= a.value && a.value <= a.high && a.standard_error > 0);
    NEAR(metric(m, KD_METRIC_ECE, NULL), (.3 + .4 + .5 + .8) / 4, 1e-6);
    NEAR(metric(m, KD_METRIC_AGREEMENT, NULL), 0.5, 0);
    NEAR(metric(m, KD_METRIC_TEACHER_KL, NULL), kl, 1e-6);
    NEAR(metric(m, KD_METRIC_ROWS, NULL), 4, 0);
    OK(kd_metrics_confusion(m, &counts));
    const int64_t expected[9] = { 1, 0, 0, 0, 1, 1, 1, 0, 0 };
    ck_assert_int_eq(memcmp(counts.data, expected, sizeof expected), 0);
    y[2] = 3;
    FAILS(kd_metrics_add(m, &zs, &ys, NULL), KD_ERR_RANGE, "row 2: 3 is not in 0 to 2");
    y[2] = 2;
    z[5] = NAN;
    FAILS(kd_metrics_add(m, &zs, &ys, NULL), KD_ERR_NONFINITE, "row 1");
    NEAR(metric(m, KD_METRIC_ROWS, NULL), 4, 0); /* a refused call adds nothing */
    OK(kd_metrics_reset(m));
    z[5] = 0;
    OK(kd_metrics_add(m, &zs, &ys, NULL));
    FAILS(kd_metrics_get(m, KD_METRIC_AGREEMENT, &a), KD_ERR_STATE, "teacher");
    kd_metrics_free(m);
}
END_TEST

START_TEST(means_have_errors)
{
    const double values[3] = { 1, 2, 6 };
    double mean, error;
    OK(kd_metrics_mean(values, 3, &mean, &error));
    NEAR(mean, 3, 1e-12);
    NEAR(error, sqrt(7. / 3), 1e-12);
    OK(kd_metrics_mean(values, 1, &mean, &error));
    ck_assert(isnan(error));
    FAILS(kd_metrics_mean(values, 0, &mean, &error), KD_ERR_RANGE, "got 0");
}
END_TEST

START_TEST(latency_is_measured)
{
    kd_model *model;
    kd_latency l = { .struct_size = sizeof l };
    OK(kd_model_create(&model, ctx, "{\"model_type\":\"mlp\",\"input_size\":20,\"num_labels\":2}",
                       NULL));
    OK(kd_model_measure_latency(model, 3, 0.01, &l));
    ck_assert(l.runs >= 5 && l.min > 0 && l.min <= l.p50 && l.p50 <= l.p90 && l.p90 <= l.p99 &&
              l.samples_per_second > 0);
    FAILS(kd_model_measure_latency(model, 0, 0.01, &l), KD_ERR_RANGE, "batch_size");
    kd_model_free(model);
}
END_TEST

START_TEST(reports_are_json)
{
    kd_report *report;
    const char *json;
    size_t size;
    const double curve[2] = { 0.5, INFINITY };
    OK(kd_report_create(&report, ctx));
    OK(kd_report_set_number(report, "student.accuracy.mean", 0.25));
    OK(kd_report_set_text(report, "student.name", "a \"quoted\"\n name"));
    OK(kd_report_set_numbers(report, "curve", curve, 2));
    OK(kd_report_set_number(report, "student.accuracy.mean", NAN));
    OK(kd_report_json(report, &json));
    ck_assert_str_eq(json, "{\n  \"student\": {\n    \"accuracy\": {\n      \"mean\": null\n    "
                           "},\n    \"name\": \"a \\\"quoted\\\"\\u000a name\"\n  },\n"
                           "  \"curve\": [0.5, null]\n}\n");
    FAILS(kd_report_set_number(report, "student", 1), KD_ERR_INVALID, "object already");
    FAILS(kd_report_set_number(report, "curve.first", 1), KD_ERR_INVALID, "holds a value");
    FAILS(kd_report_set_number(report, "a..b", 1), KD_ERR_INVALID, "empty");
    const char *path = scratch_path("report.json");
    OK(kd_report_write(report, path));
    char *bytes = read_whole(path, &size);
    ck_assert_uint_eq(size, strlen(json));
    free(bytes);
    FAILS(kd_report_write(report, scratch_path("nowhere/report.json")), KD_ERR_NOT_FOUND,
          "nowhere");
    kd_report_free(report);
}
END_TEST

Suite *metrics_suite(void)
{
    Suite *suite = suite_create("metrics");
    TCase *tests = tcase_create("metrics");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, values_by_hand);
    tcase_add_test(tests, means_have_errors);
    tcase_add_test(tests, latency_is_measured);
    tcase_add_test(tests, reports_are_json);
    suite_add_tcase(suite, tests);
    return suite;
}
