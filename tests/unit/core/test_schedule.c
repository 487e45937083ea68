#include "goldens/goldens.h"
#include "unit.h"

static kd_context *ctx;
static void setup(void) { ctx = make_context(1); }
static void teardown(void) { kd_context_free(ctx); }

static void follows(kd_schedule *s, const double *golden, int count)
{
    for (int t = 0; t < count; t++) NEAR(kd_schedule_value(s, t), golden[t], 1e-8);
    kd_schedule_free(s);
}

START_TEST(schedules_follow_pytorch)
{
    kd_schedule *s;
    OK(kd_schedule_create_cosine(&s, ctx, 2, 0.2, 50));
    follows(s, golden_cosine, 60);
    OK(kd_schedule_create_exponential(&s, ctx, 2, 0.2, 50));
    follows(s, golden_exponential, 51);
    OK(kd_schedule_create_step(&s, ctx, 2, 0.5, 7));
    follows(s, golden_step, 60);
    OK(kd_schedule_create_polynomial(&s, ctx, 2, 0, 50, 2));
    follows(s, golden_polynomial, 60);
    OK(kd_schedule_create_linear(&s, ctx, 2, 0.2, 50));
    follows(s, golden_linear, 60);
}
END_TEST

static void plateau_follows(int32_t better, int32_t cooldown, const double *golden)
{
    kd_schedule *s;
    kd_plateau_options o = KD_PLATEAU_OPTIONS_INIT;
    o.better = better;
    o.cooldown = cooldown;
    o.value = 2;
    o.floor = 0.1;
    o.min_change = 1e-3;
    OK(kd_schedule_create_plateau(&s, ctx, &o));
    for (int t = 0; t < 60; t++) {
        OK(kd_schedule_report(s, 5 + sin(0.9 * t) - (t < 20 ? 0.02 * t : 0.4)));
        NEAR(kd_schedule_value(s, t), golden[t], 1e-8);
    }
    kd_schedule_free(s);
}

START_TEST(plateau_follows_pytorch)
{
    plateau_follows(KD_BETTER_LOWER, 0, golden_plateau_min);
    plateau_follows(KD_BETTER_HIGHER, 3, golden_plateau_max);
}
END_TEST

START_TEST(plateau_recovers_and_keeps_its_floor)
{
    kd_schedule *s;
    kd_plateau_options o = KD_PLATEAU_OPTIONS_INIT;
    o.patience = 0;
    o.recovery = 2;
    o.floor = 0.2;
    OK(kd_schedule_create_plateau(&s, ctx, &o));
    OK(kd_schedule_report(s, 1));
    for (int i = 0; i < 10; i++) OK(kd_schedule_report(s, 1));
    NEAR(kd_schedule_value(s, 0), 0.2, 0); /* 0.125 would be below */
    OK(kd_schedule_report(s, 0.9));
    OK(kd_schedule_report(s, 0.8));
    NEAR(kd_schedule_value(s, 0), 0.25, 1e-12);
    OK(kd_schedule_report(s, 0.7));
    OK(kd_schedule_report(s, 0.6));
    NEAR(kd_schedule_value(s, 0), 0.5, 1e-12);
    FAILS(kd_schedule_report(s, NAN), KD_ERR_NONFINITE, "finite");
    kd_schedule_free(s);
}
END_TEST

START_TEST(shapes_have_their_corners)
{
    kd_schedule *s;
    const int64_t steps[] = { 10, 20, 40 };
    const double values[] = { 1, 3, 2 };
    OK(kd_schedule_create_piecewise(&s, ctx, steps, values, 3));
    NEAR(kd_schedule_value(s, 0), 1, 0);
    NEAR(kd_schedule_value(s, 15), 2, 1e-12);
    NEAR(kd_schedule_value(s, 30), 2.5, 1e-12);
    NEAR(kd_schedule_value(s, 99), 2, 0);
    kd_schedule_free(s);
    OK(kd_schedule_create_wsd(&s, ctx, 4, 1, 10, 20, 30));
    const double wsd[][2] = { { -5, 0 }, { 0, 0 },    { 5, 2 },  { 10, 4 },  { 29, 4 },
                              { 30, 4 }, { 45, 2.5 }, { 60, 1 }, { 1000, 1 } };
    for (int i = 0; i < 9; i++) NEAR(kd_schedule_value(s, (int64_t)wsd[i][0]), wsd[i][1], 1e-12);
    kd_schedule_free(s);
    OK(kd_schedule_create_inverse_sqrt(&s, ctx, 3, 4));
    NEAR(kd_schedule_value(s, 0), 0.75, 1e-12);
    NEAR(kd_schedule_value(s, 3), 3, 1e-12);
    NEAR(kd_schedule_value(s, 15), 1.5, 1e-12);
    kd_schedule_free(s);
    ck_assert(isnan(kd_schedule_value(NULL, 0)));
}
END_TEST

START_TEST(products_and_sequences_compose_and_save_their_state)
{
    kd_schedule *warm, *cosine, *plateau, *sequence, *product, *again;
    kd_plateau_options o = KD_PLATEAU_OPTIONS_INIT;
    o.patience = 0;
    OK(kd_schedule_create_linear(&warm, ctx, 0, 1, 10));
    OK(kd_schedule_create_cosine(&cosine, ctx, 1, 0, 100));
    OK(kd_schedule_create_plateau(&plateau, ctx, &o));
    OK(kd_schedule_create_sequence(&sequence, ctx, (kd_schedule *[]){ warm, cosine },
                                   (const int64_t[]){ 0, 10 }, 2));
    OK(kd_schedule_create_product(&product, ctx, (kd_schedule *[]){ sequence, plateau }, 2));
    kd_schedule_free(warm);
    kd_schedule_free(cosine);
    kd_schedule_free(plateau);
    kd_schedule_free(sequence); /* the product keeps them */
    NEAR(kd_schedule_value(product, 5), 0.5, 1e-12);
    NEAR(kd_schedule_value(product, 60), 0.5, 1e-12);
    for (int i = 0; i < 2; i++) OK(kd_schedule_report(product, 1));
    NEAR(kd_schedule_value(product, 60), 0.25, 1e-12);
    double state[6];
    int32_t count = 0;
    OK(kd_schedule_get_state(product, NULL, &count));
    ck_assert_int_eq(count, 6);
    OK(kd_schedule_get_state(product, state, &count));
    OK(kd_schedule_create_plateau(&again, ctx, &o));
    OK(kd_schedule_set_state(again, state, 6));
    NEAR(kd_schedule_value(again, 0), 0.5, 1e-12);
    FAILS(kd_schedule_set_state(again, state, 5), KD_ERR_MISMATCH, "expected 6");
    state[2] = -1;
    FAILS(kd_schedule_set_state(again, state, 6), KD_ERR_RANGE, "number 2");
    kd_schedule_free(again);
    kd_schedule_free(product);
}
END_TEST

START_TEST(taid_rises_faster_while_the_loss_falls)
{
    kd_schedule *s = NULL, *again = NULL;
    kd_taid_options o = KD_TAID_OPTIONS_INIT;
    double state[4], t = 0.4, m = 0, before = 2;
    int32_t count = 4;
    o.rate = 0.1;
    o.momentum = 0.5;
    o.steps = 100;
    OK(kd_schedule_create_taid(&s, ctx, &o));
    NEAR(kd_schedule_value(s, 0), 0.4, 0);
    NEAR(kd_schedule_value(s, 50), 0.7, 1e-12); /* never below the line */
    OK(kd_schedule_report(s, before));
    for (int i = 1; i < 30; i++) { /* the algorithm of the paper, step by step */
        const double loss = 2. / (1 + i);
        OK(kd_schedule_report(s, loss));
        m = 0.5 * m + 0.5 * (before - loss) / (before + 1e-15);
        t = fmin(1, fmax(0.4 + 0.6 * i / 100, t));
        t = t + 0.1 / (1 + exp(-m)) * (1 - t);
        before = loss;
        NEAR(kd_schedule_value(s, i), t, 1e-12);
    }
    NEAR(kd_schedule_value(s, 100), 1, 0);
    OK(kd_schedule_get_state(s, state, &count));
    ck_assert_int_eq(count, 4);
    OK(kd_schedule_create_taid(&again, ctx, &o));
    OK(kd_schedule_set_state(again, state, 4));
    NEAR(kd_schedule_value(again, 30), kd_schedule_value(s, 30), 0);
    state[3] = 0.5;
    FAILS(kd_schedule_set_state(again, state, 4), KD_ERR_RANGE, "number 3");
    kd_schedule_free(again);
    kd_schedule_free(s);
    s = NULL;
    o.from = 1;
    FAILS(kd_schedule_create_taid(&s, ctx, &o), KD_ERR_RANGE, "from < to");
    ck_assert_ptr_null(s);
}
END_TEST

START_TEST(nonsense_is_refused)
{
    kd_schedule *s = NULL;
    kd_plateau_options o = KD_PLATEAU_OPTIONS_INIT;
    FAILS(kd_schedule_create_cosine(&s, ctx, 1, 0, 0), KD_ERR_RANGE, "at least 1");
    FAILS(kd_schedule_create_constant(&s, ctx, NAN), KD_ERR_NONFINITE, "finite");
    FAILS(kd_schedule_create_exponential(&s, ctx, 1, 0, 5), KD_ERR_RANGE, "above 0");
    FAILS(kd_schedule_create_piecewise(&s, ctx, (const int64_t[]){ 3, 3 }, (const double[]){ 1, 2 },
                                       2),
          KD_ERR_RANGE, "expected a step after");
    FAILS(kd_schedule_create_product(&s, ctx, (kd_schedule *[]){ NULL }, 1), KD_ERR_INVALID,
          "part 0: expected a schedule");
    o.factor = 1;
    FAILS(kd_schedule_create_plateau(&s, ctx, &o), KD_ERR_RANGE, "factor");
    ck_assert_ptr_null(s);
}
END_TEST

Suite *schedule_suite(void)
{
    Suite *suite = suite_create("schedule");
    TCase *tests = tcase_create("schedule");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, schedules_follow_pytorch);
    tcase_add_test(tests, plateau_follows_pytorch);
    tcase_add_test(tests, plateau_recovers_and_keeps_its_floor);
    tcase_add_test(tests, shapes_have_their_corners);
    tcase_add_test(tests, products_and_sequences_compose_and_save_their_state);
    tcase_add_test(tests, taid_rises_faster_while_the_loss_falls);
    tcase_add_test(tests, nonsense_is_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
