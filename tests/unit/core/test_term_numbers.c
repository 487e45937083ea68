/* What only some kinds of terms need is a number of the term: each kind has its numbers, with
 * bounds and a default, and a checkpoint keeps them. */
#include "unit.h"

static kd_context *ctx;
static kd_loss *loss;

static void setup(void)
{
    ctx = make_context(1);
    OK(kd_loss_create(&loss, ctx, NULL));
}

static void teardown(void)
{
    kd_loss_free(loss);
    kd_context_free(ctx);
}

static double number_of(int32_t term, int32_t number)
{
    double value = NAN;
    OK(kd_loss_get(loss, term, number, &value));
    return value;
}

static const struct {
    int32_t kind, number;
    double standard;
} defaults[] = {
    { KD_LOSS_CROSS_ENTROPY, KD_TERM_LABEL_SMOOTHING, 0 },
    { KD_LOSS_JSD, KD_TERM_TEACHER_SHARE, 0.5 },
    { KD_LOSS_JSD, KD_TERM_NORMALIZED, 0 },
    { KD_LOSS_DKD, KD_TERM_DKD_ALPHA, 1 },
    { KD_LOSS_DKD, KD_TERM_DKD_BETA, 8 },
    { KD_LOSS_HUBER, KD_TERM_HUBER_DELTA, 1 },
    { KD_LOSS_SKEWED_FORWARD_KL, KD_TERM_SKEW, 0.1 },
    { KD_LOSS_SKEWED_REVERSE_KL, KD_TERM_SKEW, 0.1 },
    { KD_LOSS_SKEWED_REVERSE_KL, KD_TERM_DETACH_MIXTURE, 0 },
    { KD_LOSS_ALPHA_BETA, KD_TERM_AB_ALPHA, 0.2 },
    { KD_LOSS_ALPHA_BETA, KD_TERM_AB_BETA, 0.7 },
    { KD_LOSS_ADAPTIVE_KL, KD_TERM_HEAD_MASS, 0.5 },
    { KD_LOSS_ADAPTIVE_KL, KD_TERM_LOG_FLOOR, 0 },
    { KD_LOSS_TAID, KD_TERM_PROGRESS, 0.4 },
    { KD_LOSS_REVERSE_KL, KD_TERM_LOG_FLOOR, 0 },
    { KD_LOSS_FORWARD_KL, KD_TERM_CONFIDENCE_POWER, 0 },
    { KD_LOSS_DIST, KD_TERM_TEMPERATURE, 1 },
};

START_TEST(a_number_begins_at_its_default_and_keeps_to_its_bounds)
{
    for (int32_t i = 0; i < (int32_t)(sizeof defaults / sizeof *defaults); i++) {
        double low, high, standard;
        const int32_t number = defaults[i].number;
        OK(kd_loss_add(loss, defaults[i].kind, 1, NULL, NULL));
        ck_assert_double_eq(number_of(i, number), defaults[i].standard);
        OK(kd_loss_bounds(defaults[i].kind, number, &low, &high, &standard));
        ck_assert_double_eq(standard, defaults[i].standard);
        OK(kd_loss_set(loss, i, number, low));
        OK(kd_loss_set(loss, i, number, high));
        ck_assert_double_eq(number_of(i, number), high);
        FAILS(kd_loss_set(loss, i, number, nextafter(low, -INFINITY)), KD_ERR_RANGE, "expected");
        FAILS(kd_loss_set(loss, i, number, nextafter(high, INFINITY)), KD_ERR_RANGE, "expected");
        FAILS(kd_loss_set(loss, i, number, NAN), KD_ERR_RANGE, "expected");
        ck_assert_double_eq(number_of(i, number), high);
    }
}
END_TEST

START_TEST(a_kind_refuses_a_number_that_it_has_not)
{
    double value;
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, NULL, NULL));
    OK(kd_loss_add(loss, KD_LOSS_JSD, 1, NULL, NULL));
    FAILS(kd_loss_set(loss, 0, KD_TERM_SKEW, 0.2), KD_ERR_INVALID,
          "cross-entropy has no number skew: expected one of temperature, weight, label_smoothing");
    FAILS(kd_loss_get(loss, 0, KD_TERM_CONFIDENCE_POWER, &value), KD_ERR_INVALID,
          "cross-entropy has no number confidence_power");
    FAILS(kd_loss_set(loss, 1, KD_TERM_LABEL_SMOOTHING, 0.1), KD_ERR_INVALID,
          "temperature, weight, teacher_share, confidence_power, normalized");
    FAILS(kd_loss_bounds(KD_LOSS_JSD, KD_TERM_SKEW, NULL, NULL, NULL), KD_ERR_INVALID, "JSD");
    FAILS(kd_loss_bounds(0, KD_TERM_SKEW, NULL, NULL, NULL), KD_ERR_INVALID, "got 0");
    FAILS(kd_loss_set(loss, 1, 0, 1), KD_ERR_INVALID, "got 0");
    FAILS(kd_loss_set(loss, 1, KD_TERM_BIAS + 1, 1), KD_ERR_INVALID, "got 26");
}
END_TEST

START_TEST(a_switch_is_0_or_1)
{
    OK(kd_loss_add(loss, KD_LOSS_JSD, 1, NULL, NULL));
    FAILS(kd_loss_set(loss, 0, KD_TERM_NORMALIZED, 0.5), KD_ERR_RANGE,
          "normalized: expected 0 or 1, got 0.5");
    OK(kd_loss_set(loss, 0, KD_TERM_NORMALIZED, 1));
    ck_assert_double_eq(number_of(0, KD_TERM_NORMALIZED), 1);
}
END_TEST

START_TEST(a_checkpoint_keeps_every_number)
{
    kd_checkpoint *checkpoint;
    const char *path = scratch_path("numbers.kd");
    OK(kd_loss_add(loss, KD_LOSS_JSD, 1, NULL, NULL));
    OK(kd_loss_add(loss, KD_LOSS_REVERSE_KL, 1, NULL, NULL));
    OK(kd_loss_set(loss, 0, KD_TERM_NORMALIZED, 1));
    OK(kd_loss_set(loss, 0, KD_TERM_TEACHER_SHARE, 0.3));
    OK(kd_loss_set(loss, 1, KD_TERM_LOG_FLOOR, -20));
    OK(kd_loss_set(loss, 1, KD_TERM_TEMPERATURE, 3));
    OK(kd_checkpoint_create(&checkpoint, ctx, NULL));
    OK(kd_checkpoint_add_loss(checkpoint, "loss", loss));
    OK(kd_checkpoint_save(checkpoint, path));
    OK(kd_loss_set(loss, 0, KD_TERM_NORMALIZED, 0));
    OK(kd_loss_set(loss, 0, KD_TERM_TEACHER_SHARE, 0.9));
    OK(kd_loss_set(loss, 1, KD_TERM_LOG_FLOOR, 0));
    OK(kd_loss_set(loss, 1, KD_TERM_TEMPERATURE, 1));
    OK(kd_checkpoint_load(checkpoint, path));
    ck_assert_double_eq(number_of(0, KD_TERM_NORMALIZED), 1);
    ck_assert_double_eq(number_of(0, KD_TERM_TEACHER_SHARE), 0.3);
    ck_assert_double_eq(number_of(1, KD_TERM_LOG_FLOOR), -20);
    ck_assert_double_eq(number_of(1, KD_TERM_TEMPERATURE), 3);
    kd_checkpoint_free(checkpoint);
}
END_TEST

Suite *term_numbers_suite(void)
{
    Suite *suite = suite_create("term_numbers");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_number_begins_at_its_default_and_keeps_to_its_bounds);
    tcase_add_test(tests, a_kind_refuses_a_number_that_it_has_not);
    tcase_add_test(tests, a_switch_is_0_or_1);
    tcase_add_test(tests, a_checkpoint_keeps_every_number);
    suite_add_tcase(suite, tests);
    return suite;
}
