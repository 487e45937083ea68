#include "unit.h"

START_TEST(the_best_is_kept_and_the_end_is_said)
{
    kd_context *ctx = make_context(1);
    kd_model *model;
    kd_monitor *monitor;
    kd_array p;
    kd_monitor_options o = KD_MONITOR_OPTIONS_INIT;
    int32_t verdict;
    double best;
    int64_t report;
    o.patience = 2;
    OK(kd_model_create(&model, ctx, "{\"model_type\":\"mlp\",\"input_size\":1,\"num_labels\":2}",
                       NULL));
    OK(kd_model_parameters(model, &p));
    OK(kd_monitor_create(&monitor, model, &o));
    FAILS(kd_monitor_restore(monitor), KD_ERR_STATE, "no finite metric");
    const double metrics[] = { NAN, 0.5, 0.7, 0.6, 0.7 };
    const int32_t verdicts[] = { 0, KD_MONITOR_IMPROVED, KD_MONITOR_IMPROVED, 0, KD_MONITOR_STOP };
    for (int i = 0; i < 5; i++) {
        ((float *)p.data)[0] = (float)i;
        OK(kd_monitor_report(monitor, metrics[i], &verdict));
        ck_assert_int_eq(verdict, verdicts[i]);
    }
    OK(kd_monitor_best(monitor, &best, &report));
    ck_assert(best == 0.7 && report == 2);
    OK(kd_monitor_restore(monitor));
    ck_assert_float_eq(((float *)p.data)[0], 2);
    kd_monitor_free(monitor);
    o.keep_best = 0;
    o.patience = -1;
    FAILS(kd_monitor_create(&monitor, model, &o), KD_ERR_RANGE, "patience");
    kd_model_free(model);
    kd_context_free(ctx);
}
END_TEST

Suite *monitor_suite(void)
{
    Suite *suite = suite_create("monitor");
    TCase *tests = tcase_create("monitor");
    tcase_add_test(tests, the_best_is_kept_and_the_end_is_said);
    suite_add_tcase(suite, tests);
    return suite;
}
