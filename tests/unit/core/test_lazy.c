/* Lazy groups: rows that no gradient reaches stay as they are. */
#include "unit.h"

enum { ROWS = 300, WIDTH = 70, STEPS = 12, COUNT = ROWS * WIDTH };

static float values[COUNT], gradients[COUNT];

static void fill(void)
{
    for (int i = 0; i < COUNT; i++) values[i] = (float)((i * 73) % 101 - 50) / 64;
}

/* Step `step` reaches every `every`-th row, another one each time. */
static void fill_gradients(int step, int every)
{
    memset(gradients, 0, sizeof gradients);
    for (int r = step % every; r < ROWS; r += every)
        for (int i = 0; i < WIDTH; i++)
            gradients[r * WIDTH + i] = (float)((r * 31 + i * 7 + step * 13) % 41 - 20) / 32 + .01f;
}

static kd_optimizer *make(kd_context *ctx, int32_t kind, int32_t lazy)
{
    const kd_array v = KD_ARRAY_2D(values, KD_FLOAT32, ROWS, WIDTH),
                   g = KD_ARRAY_2D(gradients, KD_FLOAT32, ROWS, WIDTH);
    kd_optimizer_options o = KD_OPTIMIZER_OPTIONS_INIT;
    kd_group_options group = KD_GROUP_OPTIONS_INIT;
    kd_optimizer *optimizer;
    o.momentum = kind == KD_OPTIMIZER_SGD ? .9 : 0;
    group.weight_decay = .1;
    group.lazy = lazy;
    fill();
    OK(kd_optimizer_create(&optimizer, ctx, kind, &o));
    OK(kd_optimizer_borrow_array(optimizer, "table", &v, &g));
    OK(kd_optimizer_add_group(optimizer, "table", &group));
    return optimizer;
}

static void train(kd_context *ctx, int32_t kind, int32_t lazy, int every)
{
    kd_optimizer *optimizer = make(ctx, kind, lazy);
    for (int step = 0; step < STEPS; step++) {
        fill_gradients(step, every);
        OK(kd_optimizer_step(optimizer, .05));
    }
    kd_optimizer_free(optimizer);
}

static const int32_t kinds[] = { KD_OPTIMIZER_SGD, KD_OPTIMIZER_ADAM, KD_OPTIMIZER_ADAMW };

START_TEST(where_all_rows_are_reached_it_is_the_dense_step)
{
    static float dense[COUNT];
    kd_context *ctx = make_context(2);
    train(ctx, kinds[_i], 0, 1);
    memcpy(dense, values, sizeof dense);
    train(ctx, kinds[_i], 1, 1);
    ck_assert_mem_eq(values, dense, sizeof dense);
    kd_context_free(ctx);
}
END_TEST

START_TEST(rows_that_no_gradient_reaches_keep_their_bits)
{
    static float before[COUNT];
    kd_context *ctx = make_context(2);
    kd_optimizer *optimizer = make(ctx, kinds[_i], 1);
    for (int step = 0; step < STEPS; step++) {
        memcpy(before, values, sizeof before);
        fill_gradients(step, 5);
        OK(kd_optimizer_step(optimizer, .05));
        for (int r = 0; r < ROWS; r++) {
            const int same = !memcmp(values + r * WIDTH, before + r * WIDTH, WIDTH * sizeof(float));
            ck_assert_int_eq(same, r % 5 != step % 5);
        }
    }
    kd_optimizer_free(optimizer);
    kd_context_free(ctx);
}
END_TEST

/* torch.optim.SparseAdam(lr=.1, betas=(.9, .999), eps=1e-8), torch 2.15.0: a row that is reached in
 * steps 1 and 3 of 3, with gradients 1, 2 and then -1, .5. */
START_TEST(moments_are_those_of_sparse_adam)
{
    float p[3][2] = { { 1, -1 }, { 2, 2 }, { 0, 3 } }, g[3][2];
    const kd_array ps = KD_ARRAY_2D(p, KD_FLOAT32, 3, 2), gs = KD_ARRAY_2D(g, KD_FLOAT32, 3, 2);
    static const float reached[3][3][2] = { { { 1, 2 }, { 0, 0 }, { .5f, -3 } },
                                            { { 0, 0 }, { 0, 0 }, { -2, 1 } },
                                            { { -1, .5f }, { 0, 0 }, { 0, 0 } } };
    static const float expected[3][2] = { { 0.904518247f, -1.17130375f },
                                          { 2, 2 },
                                          { -0.0440495834f, 3.1400218f } };
    kd_group_options group = KD_GROUP_OPTIONS_INIT;
    kd_context *ctx = make_context(1);
    kd_optimizer *optimizer;
    group.lazy = 1;
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAM, NULL));
    OK(kd_optimizer_borrow_array(optimizer, "p", &ps, &gs));
    OK(kd_optimizer_add_group(optimizer, "*", &group));
    for (int step = 0; step < 3; step++) {
        memcpy(g, reached[step], sizeof g);
        OK(kd_optimizer_step(optimizer, .1));
    }
    for (int r = 0; r < 3; r++)
        for (int i = 0; i < 2; i++) NEAR(p[r][i], expected[r][i], 2e-6);
    kd_optimizer_free(optimizer);
    kd_context_free(ctx);
}
END_TEST

START_TEST(clipping_and_refusing_see_only_what_is_reached)
{
    kd_context *ctx = make_context(2);
    kd_optimizer_info info = { .struct_size = sizeof info };
    kd_optimizer *optimizer = make(ctx, KD_OPTIMIZER_ADAMW, 1);
    double sum = 0;
    fill_gradients(0, 7);
    for (int i = 0; i < COUNT; i++) sum += (double)gradients[i] * gradients[i];
    OK(kd_optimizer_set(optimizer, KD_STEP_CLIP_NORM, 1));
    OK(kd_optimizer_step(optimizer, .05));
    OK(kd_optimizer_get_info(optimizer, &info));
    NEAR(info.gradient_norm, sqrt(sum), 1e-4);
    ck_assert_int_eq(info.clipped, 1);
    fill_gradients(1, 7);
    gradients[8 * WIDTH + 3] = NAN;
    OK(kd_optimizer_set(optimizer, KD_STEP_CLIP_VALUE, 1));
    OK(kd_optimizer_step(optimizer, .05));
    OK(kd_optimizer_get_info(optimizer, &info));
    ck_assert_int_eq(info.last_skipped, 1);
    kd_optimizer_free(optimizer);
    kd_context_free(ctx);
}
END_TEST

Suite *lazy_suite(void)
{
    Suite *suite = suite_create("lazy");
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, where_all_rows_are_reached_it_is_the_dense_step, 0, 3);
    tcase_add_loop_test(tests, rows_that_no_gradient_reaches_keep_their_bits, 0, 3);
    tcase_add_test(tests, moments_are_those_of_sparse_adam);
    tcase_add_test(tests, clipping_and_refusing_see_only_what_is_reached);
    suite_add_tcase(suite, tests);
    return suite;
}
