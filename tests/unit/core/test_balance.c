/* Weights of tasks beside the formulas written out again, over reports that need not come from all
 * tasks at once. */
#include "unit.h"

static kd_context *ctx;
static void setup(void) { ctx = make_context(1); }
static void teardown(void) { kd_context_free(ctx); }

enum { TASKS = 3, REPORTS = 40, EPOCHS = 5 };

static double loss_of(int epoch, int report, int task)
{
    return 0.2 + fabs(sin(1.7 * epoch + 0.9 * report * report + 2.3 * task)) * (1 + task);
}

static int is_reported(int epoch, int report, int task) { return (epoch + report + task) % 4 != 0; }

/* Every report so far: which task, which epoch, its loss. */
typedef struct {
    int task[TASKS * REPORTS * EPOCHS], epoch[TASKS * REPORTS * EPOCHS], count;
    double loss[TASKS * REPORTS * EPOCHS];
} history;

static void weights_of_means(const history *h, const double *c, double decay, double *w)
{
    double sum = 0, whole = 0;
    for (int t = 0; t < TASKS; t++) {
        double top = 0, bottom = 0, factor = 1;
        for (int i = h->count; i-- > 0;) { /* the last one counts whole */
            if (h->task[i] != t) continue;
            top += factor * h->loss[i];
            bottom += factor;
            factor *= decay;
        }
        w[t] = c[t] * bottom / top;
        sum += w[t];
        whole += c[t];
    }
    for (int t = 0; t < TASKS; t++) w[t] *= whole / sum;
}

static double epoch_mean(const history *h, int task, int epoch)
{
    double sum = 0, count = 0;
    for (int i = 0; i < h->count; i++)
        if (h->task[i] == task && h->epoch[i] == epoch) sum += h->loss[i], count++;
    return sum / count;
}

static void weights_of_rates(const history *h, const double *c, double temperature, int epoch,
                             double *w)
{
    double sum = 0, whole = 0;
    for (int t = 0; t < TASKS; t++) {
        w[t] = c[t] * exp(epoch_mean(h, t, epoch) / epoch_mean(h, t, epoch - 1) / temperature);
        sum += w[t];
        whole += c[t];
    }
    for (int t = 0; t < TASKS; t++) w[t] *= whole / sum;
}

static void report(kd_balance *balance, history *h, int epoch, int i, int task)
{
    const double loss = loss_of(epoch, i, task);
    if (!is_reported(epoch, i, task)) return;
    OK(kd_balance_report(balance, task, loss));
    h->task[h->count] = task;
    h->epoch[h->count] = epoch;
    h->loss[h->count++] = loss;
}

START_TEST(weights_are_those_of_the_formulas)
{
    static const double importance[TASKS] = { 1, 0.5, 2 };
    static const double plain[TASKS] = { 1, 1, 1 };
    for (int run = 0; run < 4; run++) {
        const int kind = run % 2 ? KD_BALANCE_DWA : KD_BALANCE_MEAN;
        const double *c = run / 2 ? importance : plain;
        kd_balance_options o = KD_BALANCE_OPTIONS_INIT;
        kd_balance *balance;
        static history h;
        double want[TASKS];
        h.count = 0;
        o.weights = run / 2 ? importance : NULL;
        o.decay = run / 2 ? 0.9 : 1;
        OK(kd_balance_create(&balance, ctx, kind, TASKS, &o));
        for (int e = 0; e < EPOCHS; e++) {
            for (int i = 0; i < REPORTS; i++) {
                for (int t = 0; t < TASKS; t++) report(balance, &h, e, i, t);
                if (kind != KD_BALANCE_MEAN || i < 2) continue;
                weights_of_means(&h, c, o.decay, want);
                for (int t = 0; t < TASKS; t++) NEAR(kd_balance_value(balance, t), want[t], 1e-12);
            }
            OK(kd_balance_end_epoch(balance));
            for (int t = 0; t < TASKS; t++) want[t] = c[t];
            if (kind == KD_BALANCE_MEAN) weights_of_means(&h, c, o.decay, want);
            else if (e) weights_of_rates(&h, c, 2, e, want);
            double sum = 0, whole = 0;
            for (int t = 0; t < TASKS; t++) {
                NEAR(kd_balance_value(balance, t), want[t], 1e-12);
                sum += kd_balance_value(balance, t);
                whole += c[t];
            }
            NEAR(sum, whole, 1e-12);
        }
        kd_balance_free(balance);
    }
}
END_TEST

START_TEST(weights_are_the_importance_until_every_task_has_spoken)
{
    kd_balance_options o = KD_BALANCE_OPTIONS_INIT;
    const double importance[] = { 2, 0, 1 };
    kd_balance *balance;
    o.weights = importance;
    OK(kd_balance_create(&balance, ctx, KD_BALANCE_MEAN, 3, &o));
    OK(kd_balance_report(balance, 0, 5));
    for (int t = 0; t < 3; t++) ck_assert(kd_balance_value(balance, t) == importance[t]);
    OK(kd_balance_report(balance, 2, 5)); /* task 1 weighs nothing: nobody waits for it */
    ck_assert(kd_balance_value(balance, 0) == 2 && kd_balance_value(balance, 2) == 1);
    OK(kd_balance_report(balance, 2, 1)); /* its mean falls to about 3 */
    ck_assert(kd_balance_value(balance, 2) > 1.2 && kd_balance_value(balance, 1) == 0);
    kd_balance_free(balance);
}
END_TEST

START_TEST(a_task_that_is_done_takes_no_more_than_the_ratio_allows)
{
    kd_balance_options o = KD_BALANCE_OPTIONS_INIT;
    o.max_ratio = 10;
    for (int kind = KD_BALANCE_MEAN; kind <= KD_BALANCE_DWA; kind++) {
        kd_balance *balance;
        OK(kd_balance_create(&balance, ctx, kind, 2, &o));
        for (int e = 0; e < 3; e++) {
            OK(kd_balance_report(balance, 0, kind == KD_BALANCE_DWA && e == 2 ? 1 : 0));
            OK(kd_balance_report(balance, 1, 1));
            OK(kd_balance_end_epoch(balance));
            if (kind == KD_BALANCE_DWA && e == 1) /* 0 / 0 stays where it is */
                NEAR(kd_balance_value(balance, 0), 1, 1e-15);
        }
        NEAR(kd_balance_value(balance, 0), 20. / 11, 1e-14);
        NEAR(kd_balance_value(balance, 1), 2. / 11, 1e-14);
        kd_balance_free(balance);
    }
    kd_balance *balance;
    OK(kd_balance_create(&balance, ctx, KD_BALANCE_MEAN, 2, NULL));
    for (int t = 0; t < 2; t++) OK(kd_balance_report(balance, t, 0));
    ck_assert(kd_balance_value(balance, 0) == 1 && kd_balance_value(balance, 1) == 1);
    kd_balance_free(balance);
}
END_TEST

static void run_on(kd_balance *balance, int from, int to)
{
    static history unused;
    for (int i = from; i < to; i++) {
        unused.count = 0;
        for (int t = 0; t < TASKS; t++) report(balance, &unused, i / 7, i, t);
        if (i % 7 == 6) OK(kd_balance_end_epoch(balance));
    }
}

START_TEST(a_run_that_was_resumed_has_the_same_bits)
{
    const char *path = scratch_path("balance.kdc");
    for (int kind = KD_BALANCE_STATIC; kind <= KD_BALANCE_DWA; kind++)
        for (int stop = 0; stop < 30; stop++) {
            kd_balance *whole, *parts[2];
            kd_checkpoint *c[2];
            OK(kd_balance_create(&whole, ctx, kind, TASKS, NULL));
            run_on(whole, 0, 40);
            for (int i = 0; i < 2; i++) {
                OK(kd_balance_create(&parts[i], ctx, kind, TASKS, NULL));
                OK(kd_checkpoint_create(&c[i], ctx, NULL));
                OK(kd_checkpoint_add_balance(c[i], "balance", parts[i]));
            }
            run_on(parts[0], 0, stop);
            OK(kd_checkpoint_save(c[0], path));
            run_on(parts[1], 0, 3); /* also into a run that was going on */
            OK(kd_checkpoint_load(c[1], path));
            run_on(parts[1], stop, 40);
            for (int t = 0; t < TASKS; t++)
                ck_assert(kd_balance_value(parts[1], t) == kd_balance_value(whole, t));
            kd_balance_free(whole);
            for (int i = 0; i < 2; i++) {
                kd_balance_free(parts[i]);
                kd_checkpoint_free(c[i]);
            }
        }
}
END_TEST

START_TEST(another_balance_is_not_loaded)
{
    const char *path = scratch_path("other-balance.kdc");
    kd_balance *balance[3];
    kd_checkpoint *c[3];
    OK(kd_balance_create(&balance[0], ctx, KD_BALANCE_MEAN, 2, NULL));
    OK(kd_balance_create(&balance[1], ctx, KD_BALANCE_MEAN, 3, NULL));
    OK(kd_balance_create(&balance[2], ctx, KD_BALANCE_DWA, 2, NULL));
    for (int i = 0; i < 3; i++) {
        OK(kd_checkpoint_create(&c[i], ctx, NULL));
        OK(kd_checkpoint_add_balance(c[i], "balance", balance[i]));
    }
    OK(kd_checkpoint_save(c[0], path));
    FAILS(kd_checkpoint_load(c[1], path), KD_ERR_MISMATCH, "tasks of the balance: expected 3");
    FAILS(kd_checkpoint_load(c[2], path), KD_ERR_MISMATCH, "kind of the balance: expected 2");
    for (int i = 0; i < 3; i++) {
        kd_checkpoint_free(c[i]);
        kd_balance_free(balance[i]);
    }
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
    kd_balance_options o = KD_BALANCE_OPTIONS_INIT;
    const double zeros[2] = { 0, 0 }, negative[2] = { 1, -1 };
    kd_balance *b = NULL, *fixed;
    FAILS(kd_balance_create(&b, ctx, 3, 2, NULL), KD_ERR_RANGE, "got 3");
    FAILS(kd_balance_create(&b, ctx, KD_BALANCE_DWA, 0, NULL), KD_ERR_RANGE, "1 to 1024, got 0");
    o.weights = zeros;
    FAILS(kd_balance_create(&b, ctx, KD_BALANCE_DWA, 2, &o), KD_ERR_RANGE, "only zeros");
    o.weights = negative;
    FAILS(kd_balance_create(&b, ctx, KD_BALANCE_DWA, 2, &o), KD_ERR_RANGE, "weight of task 1");
    o = (kd_balance_options)KD_BALANCE_OPTIONS_INIT;
    o.decay = 1.5;
    FAILS(kd_balance_create(&b, ctx, KD_BALANCE_MEAN, 2, &o), KD_ERR_RANGE, "decay");
    o.decay = 1;
    o.temperature = 0;
    FAILS(kd_balance_create(&b, ctx, KD_BALANCE_DWA, 2, &o), KD_ERR_RANGE, "temperature");
    o.temperature = 1;
    o.max_ratio = NAN;
    FAILS(kd_balance_create(&b, ctx, KD_BALANCE_DWA, 2, &o), KD_ERR_RANGE, "max_ratio");
    ck_assert_ptr_null(b);
    OK(kd_balance_create(&b, ctx, KD_BALANCE_MEAN, 2, NULL));
    OK(kd_balance_create(&fixed, ctx, KD_BALANCE_STATIC, 2, NULL));
    OK(kd_balance_report(b, 0, 3));
    FAILS(kd_balance_report(b, 2, 1), KD_ERR_RANGE, "task from 0 to 1, got 2");
    FAILS(kd_balance_report(b, -1, 1), KD_ERR_RANGE, "got -1");
    FAILS(kd_balance_report(b, 0, NAN), KD_ERR_NONFINITE, "without rows of a task");
    FAILS(kd_balance_report(b, 0, -0.5), KD_ERR_RANGE, "0 or more, got -0.5");
    FAILS(kd_balance_report(b, 0, 1e101), KD_ERR_RANGE, "at most 1e100");
    OK(kd_balance_report(fixed, 0, -0.5));
    OK(kd_balance_report(b, 1, 3));
    ck_assert(kd_balance_value(b, 0) == 1); /* what was refused left nothing */
    ck_assert(isnan(kd_balance_value(b, 2)) && isnan(kd_balance_value(NULL, 0)));
    kd_balance_free(b);
    kd_balance_free(fixed);
    kd_balance_free(NULL);
}
END_TEST

Suite *balance_suite(void)
{
    Suite *suite = suite_create("balance");
    TCase *tests = tcase_create("balance");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, weights_are_those_of_the_formulas);
    tcase_add_test(tests, weights_are_the_importance_until_every_task_has_spoken);
    tcase_add_test(tests, a_task_that_is_done_takes_no_more_than_the_ratio_allows);
    tcase_add_test(tests, a_run_that_was_resumed_has_the_same_bits);
    tcase_add_test(tests, another_balance_is_not_loaded);
    tcase_add_test(tests, what_makes_no_sense_is_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
