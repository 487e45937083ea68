#include "goldens/goldens.h"
#include "unit.h"

static kd_context *ctx;
static void setup(void) { ctx = make_context(2); }
static void teardown(void) { kd_context_free(ctx); }

static kd_optimizer_options options(void)
{
    kd_optimizer_options o = KD_OPTIMIZER_OPTIONS_INIT;
    return o;
}

/* 60 steps as tests/goldens/make.py takes them. */
static void follows(int32_t kind, const kd_optimizer_options *o, const double *golden)
{
    float p[7], g[7];
    kd_optimizer *optimizer;
    kd_array values = KD_ARRAY_1D(p, KD_FLOAT32, 7), gradients = KD_ARRAY_1D(g, KD_FLOAT32, 7);
    for (int i = 0; i < 7; i++) p[i] = 0.1f * (float)(i + 1);
    OK(kd_optimizer_create(&optimizer, ctx, kind, o));
    OK(kd_optimizer_borrow_array(optimizer, "p", &values, &gradients));
    for (int t = 0; t < 60; t++) {
        for (int i = 0; i < 7; i++) g[i] = (float)(sin(1.3 * t + 0.7 * i) * (1 + i));
        OK(kd_optimizer_step(optimizer, 0.05));
        /* gradients count as zero afterwards */
        for (int i = 0; i < 7; i++) ck_assert_float_eq(g[i], 0);
        for (int i = 0; i < 7 && t % 10 == 9; i++) NEAR(p[i], golden[t / 10 * 7 + i], 2e-5);
    }
    kd_optimizer_free(optimizer);
}

START_TEST(trajectories_follow_pytorch)
{
    kd_optimizer_options o = options();
    o.weight_decay = 0.1;
    follows(KD_OPTIMIZER_SGD, &o, golden_sgd);
    follows(KD_OPTIMIZER_ADAM, &o, golden_adam);
    o.beta2 = 0.98;
    o.epsilon = 1e-6;
    follows(KD_OPTIMIZER_ADAMW, &o, golden_adamw);
    o = options();
    o.momentum = 0.9;
    o.nesterov = 1;
    follows(KD_OPTIMIZER_SGD, &o, golden_nesterov);
    o.nesterov = 0;
    o.weight_decay = 0.01;
    follows(KD_OPTIMIZER_SGD, &o, golden_momentum);
    o = options();
    o.clip_norm = 1.5;
    follows(KD_OPTIMIZER_SGD, &o, golden_clip_norm);
    o = options();
    o.clip_value = 0.7;
    o.weight_decay = 0.01;
    follows(KD_OPTIMIZER_ADAMW, &o, golden_clip_value);
}
END_TEST

/* One array "w" (2, 3) and a step with gradient 1. */
static kd_optimizer *small(const kd_optimizer_options *o, float w[6], float g[6])
{
    kd_optimizer *optimizer;
    kd_array values = KD_ARRAY_2D(w, KD_FLOAT32, 2, 3),
             gradients = KD_ARRAY_2D(g, KD_FLOAT32, 2, 3);
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, o));
    OK(kd_optimizer_borrow_array(optimizer, "w", &values, &gradients));
    return optimizer;
}

START_TEST(a_step_with_a_nan_is_skipped_and_counted)
{
    float w[6] = { 1, 2, 3, 4, 5, 6 }, g[6] = { 1, 1, NAN, 1, 1, 1 };
    kd_optimizer_options o = options();
    kd_optimizer_info info = { .struct_size = sizeof info };
    o.clip_value = 0.5; /* a clipped infinity must not hide */
    kd_optimizer *optimizer = small(&o, w, g);
    OK(kd_optimizer_step(optimizer, 0.1));
    for (int i = 0; i < 6; i++) g[i] = i ? 1 : INFINITY;
    OK(kd_optimizer_step(optimizer, 0.1));
    OK(kd_optimizer_get_info(optimizer, &info));
    ck_assert_int_eq(info.skipped, 2);
    ck_assert_int_eq(info.steps, 0);
    ck_assert_int_eq(info.last_skipped, 1);
    ck_assert_float_eq(w[0], 1);
    for (int i = 0; i < 6; i++) g[i] = 1;
    OK(kd_optimizer_step(optimizer, 0.1));
    NEAR(w[0], 0.95, 1e-6);
    kd_optimizer_free(optimizer);
}
END_TEST

START_TEST(max_norm_holds_each_unit)
{
    float w[6] = { 3, 4, 0, 0.1f, 0, 0 }, g[6] = { 0 };
    kd_optimizer_options o = options();
    o.max_norm = 1;
    kd_optimizer *optimizer = small(&o, w, g);
    OK(kd_optimizer_step(optimizer, 0.1));
    NEAR(w[0], 0.6, 1e-6);
    NEAR(w[1], 0.8, 1e-6);
    NEAR(w[3], 0.1, 1e-6);
    kd_optimizer_free(optimizer);
}
END_TEST

START_TEST(averaged_weights_swap_in_and_out)
{
    float w[6] = { 0 }, g[6];
    kd_optimizer_options o = options();
    o.average_decay = 0.5;
    kd_optimizer *optimizer = small(&o, w, g);
    for (int t = 0; t < 2; t++) {
        for (int i = 0; i < 6; i++) g[i] = -1;
        OK(kd_optimizer_step(optimizer, 1));
    }
    NEAR(w[0], 2, 1e-6);
    OK(kd_optimizer_swap_average(optimizer));
    NEAR(w[0], 1.25, 1e-6); /* 0 -> 0.5 -> 1.25 */
    FAILS(kd_optimizer_step(optimizer, 1), KD_ERR_STATE, "averaged weights");
    OK(kd_optimizer_swap_average(optimizer));
    NEAR(w[0], 2, 1e-6);
    kd_optimizer_free(optimizer);
}
END_TEST

START_TEST(groups_match_names)
{
    kd_model *model;
    kd_optimizer *optimizer;
    kd_array p, g;
    kd_optimizer_options o = options();
    kd_group_options bias = KD_GROUP_OPTIONS_INIT;
    o.weight_decay = 1;
    OK(kd_model_create(
        &model, ctx,
        "{\"model_type\":\"mlp\",\"input_size\":2,\"hidden_sizes\":[2],\"num_labels\":2}", NULL));
    OK(kd_model_parameters(model, &p));
    OK(kd_model_gradients(model, &g));
    float *values = p.data;
    for (int i = 0; i < 12; i++) values[i] = 1;
    OK(kd_model_zero_gradients(model));
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, &o));
    OK(kd_optimizer_add_model(optimizer, model));
    OK(kd_optimizer_add_group(optimizer, "*.bias", &bias)); /* no decay */
    FAILS(kd_optimizer_add_group(optimizer, "nothing*", &bias), KD_ERR_NOT_FOUND, "nothing*");
    OK(kd_model_freeze(model, "layers.1.*", 1));
    OK(kd_optimizer_step(optimizer, 0.5));
    NEAR(values[0], 0.5, 1e-6); /* layers.0.weight decays   */
    NEAR(values[4], 1, 1e-6);   /* layers.0.bias does not   */
    NEAR(values[6], 1, 1e-6);   /* layers.1.weight is frozen */
    FAILS(kd_optimizer_add_model(optimizer, model), KD_ERR_INVALID, "already");
    FAILS(kd_model_freeze(model, "x", 1), KD_ERR_NOT_FOUND, "x");
    kd_optimizer_free(optimizer);
    kd_model_free(model);
}
END_TEST

START_TEST(numbers_have_bounds)
{
    kd_optimizer *optimizer;
    double low, high, value;
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, NULL));
    OK(kd_optimizer_bounds(KD_STEP_MOMENTUM, &low, &high));
    NEAR(low, 0, 0);
    NEAR(high, 1, 0);
    FAILS(kd_optimizer_set(optimizer, KD_STEP_CLIP_NORM, -1), KD_ERR_RANGE,
          "clip_norm: expected 0");
    OK(kd_optimizer_set(optimizer, KD_STEP_GRADIENT_SCALE, 0.25));
    OK(kd_optimizer_get(optimizer, KD_STEP_GRADIENT_SCALE, &value));
    NEAR(value, 0.25, 0);
    FAILS(kd_optimizer_step(optimizer, 0.1), KD_ERR_STATE, "no parameters");
    FAILS(kd_optimizer_step(optimizer, NAN), KD_ERR_RANGE, "learning rate");
    FAILS(kd_optimizer_set(optimizer, 99, 1), KD_ERR_INVALID, "99");
    FAILS(kd_optimizer_swap_average(optimizer), KD_ERR_STATE, "average_decay");
    kd_optimizer_free(optimizer);
    kd_optimizer_options o = options();
    o.nesterov = 1;
    FAILS(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_SGD, &o), KD_ERR_INVALID, "momentum");
    FAILS(kd_optimizer_create(&optimizer, ctx, 17, NULL), KD_ERR_INVALID, "17");
}
END_TEST

START_TEST(one_division_at_the_end_equals_one_batch)
{
    /* Gradients of two micro-batches, each a sum, scaled once. */
    float w[6] = { 0 }, g[6] = { 3, 3, 3, 3, 3, 3 };
    kd_optimizer *optimizer = small(NULL, w, g);
    OK(kd_optimizer_set(optimizer, KD_STEP_GRADIENT_SCALE, 1.0 / 3));
    OK(kd_optimizer_step(optimizer, 1));
    NEAR(w[0], -1, 1e-6);
    kd_optimizer_free(optimizer);
}
END_TEST

Suite *optimizer_suite(void)
{
    Suite *suite = suite_create("optimizer");
    TCase *tests = tcase_create("optimizer");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, trajectories_follow_pytorch);
    tcase_add_test(tests, a_step_with_a_nan_is_skipped_and_counted);
    tcase_add_test(tests, max_norm_holds_each_unit);
    tcase_add_test(tests, averaged_weights_swap_in_and_out);
    tcase_add_test(tests, groups_match_names);
    tcase_add_test(tests, numbers_have_bounds);
    tcase_add_test(tests, one_division_at_the_end_equals_one_batch);
    suite_add_tcase(suite, tests);
    return suite;
}
