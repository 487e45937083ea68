/* Moments in bfloat16: as good as those in float32, the same for any number of threads and after a
 * checkpoint, in half the memory. */
#include "unit.h"

enum { N = 5000, ROWS = 50 };

static float values[N], gradients[N];

static kd_optimizer *make(kd_context *ctx, int32_t kind, int32_t moments)
{
    kd_optimizer_options o = KD_OPTIMIZER_OPTIONS_INIT;
    kd_optimizer *optimizer;
    kd_array v = KD_ARRAY_2D(values, KD_FLOAT32, ROWS, N / ROWS),
             g = KD_ARRAY_2D(gradients, KD_FLOAT32, ROWS, N / ROWS);
    o.moments = moments;
    o.momentum = kind == KD_OPTIMIZER_SGD ? 0.9 : 0;
    OK(kd_optimizer_create(&optimizer, ctx, kind, &o));
    OK(kd_optimizer_borrow_array(optimizer, "w", &v, &g));
    for (int i = 0; i < N; i++) values[i] = 0;
    return optimizer;
}

static void take_steps(kd_optimizer *optimizer, int first, int count)
{
    for (int step = first; step < first + count; step++) {
        for (int i = 0; i < N; i++)
            gradients[i] = values[i] - (float)sin(i) + 0.3f * (float)cos(0.7 * i + 1.3 * step);
        OK(kd_optimizer_step(optimizer, 0.01));
    }
}

/* A constant gradient: each step goes on by the learning rate, if both moments follow. To the
 * nearest number of 8 bits the second one would stop at a third of its height. */
START_TEST(changes_of_a_thousandth_are_not_lost)
{
    enum { STEPS = 3000 };
    kd_context *ctx = make_context(2);
    const int32_t kinds[] = { KD_OPTIMIZER_ADAMW, KD_OPTIMIZER_ADAM };
    for (int k = 0; k < 2; k++) {
        kd_optimizer *optimizer = make(ctx, kinds[k], KD_BFLOAT16);
        double mean = 0, square = 0;
        for (int step = 0; step < STEPS; step++) {
            for (int i = 0; i < N; i++) gradients[i] = 3e-3f;
            OK(kd_optimizer_step(optimizer, 1e-3));
        }
        for (int i = 0; i < N; i++) mean += values[i] / N;
        for (int i = 0; i < N; i++) square += (values[i] - mean) * (values[i] - mean) / N;
        ck_assert_msg(fabs(mean + 1e-3 * STEPS) < 0.02 * 1e-3 * STEPS && square > 0, "%g", mean);
        ck_assert(sqrt(square) < 0.02 * 1e-3 * STEPS);
        kd_optimizer_free(optimizer);
    }
    kd_context_free(ctx);
}
END_TEST

START_TEST(steps_are_near_those_of_float32)
{
    static float whole[N];
    const int32_t kinds[] = { KD_OPTIMIZER_SGD, KD_OPTIMIZER_ADAMW, KD_OPTIMIZER_ADAM };
    kd_context *ctx = make_context(2);
    for (int k = 0; k < 3; k++) {
        double off = 0, size = 0;
        kd_optimizer *optimizer = make(ctx, kinds[k], KD_FLOAT32);
        take_steps(optimizer, 0, 100);
        memcpy(whole, values, sizeof whole);
        kd_optimizer_free(optimizer);
        optimizer = make(ctx, kinds[k], KD_BFLOAT16);
        take_steps(optimizer, 0, 100);
        for (int i = 0; i < N; i++) {
            off += (values[i] - whole[i]) * (values[i] - whole[i]);
            size += whole[i] * whole[i];
        }
        ck_assert_msg(off > 0 && sqrt(off / size) < 0.01, "kind %d: %g", kinds[k],
                      sqrt(off / size));
        kd_optimizer_free(optimizer);
    }
    kd_context_free(ctx);
}
END_TEST

START_TEST(bits_do_not_depend_on_threads_or_on_a_checkpoint)
{
    static float expected[N];
    const char *path = scratch_path("moments.kdc");
    const int32_t kinds[] = { KD_OPTIMIZER_SGD, KD_OPTIMIZER_ADAMW };
    for (int k = 0; k < 2; k++)
        for (int32_t threads = 1; threads <= 3; threads++) {
            kd_context *ctx = make_context(threads);
            kd_checkpoint *checkpoint;
            kd_optimizer *optimizer = make(ctx, kinds[k], KD_BFLOAT16), *other;
            take_steps(optimizer, 0, 7);
            OK(kd_checkpoint_create(&checkpoint, ctx, NULL));
            OK(kd_checkpoint_add_optimizer(checkpoint, "optimizer", optimizer));
            OK(kd_checkpoint_save(checkpoint, path));
            static float there[N];
            memcpy(there, values, sizeof there);
            take_steps(optimizer, 7, 5);
            if (threads == 1) memcpy(expected, values, sizeof expected);
            ck_assert_mem_eq(values, expected, sizeof expected);
            kd_checkpoint_free(checkpoint);
            kd_optimizer_free(optimizer);
            optimizer = make(ctx, kinds[k], KD_BFLOAT16);
            OK(kd_checkpoint_create(&checkpoint, ctx, NULL));
            OK(kd_checkpoint_add_optimizer(checkpoint, "optimizer", optimizer));
            OK(kd_checkpoint_load(checkpoint, path));
            memcpy(values, there, sizeof there);
            take_steps(optimizer, 7, 5);
            ck_assert_mem_eq(values, expected, sizeof expected);
            kd_checkpoint_free(checkpoint);
            kd_optimizer_free(optimizer);
            other = make(ctx, kinds[k], KD_FLOAT32);
            OK(kd_checkpoint_create(&checkpoint, ctx, NULL));
            OK(kd_checkpoint_add_optimizer(checkpoint, "optimizer", other));
            FAILS(kd_checkpoint_load(checkpoint, path), KD_ERR_MISMATCH, "KD_BFLOAT16");
            OK(kd_optimizer_step(other, 0.1));
            OK(kd_checkpoint_save(checkpoint, path));
            kd_checkpoint_free(checkpoint);
            kd_optimizer_free(other);
            other = make(ctx, kinds[k], KD_BFLOAT16);
            OK(kd_checkpoint_create(&checkpoint, ctx, NULL));
            OK(kd_checkpoint_add_optimizer(checkpoint, "optimizer", other));
            FAILS(kd_checkpoint_load(checkpoint, path), KD_ERR_MISMATCH, "KD_FLOAT32");
            kd_checkpoint_free(checkpoint);
            kd_optimizer_free(other);
            kd_context_free(ctx);
        }
}
END_TEST

static int64_t bytes_of_steps(int32_t moments)
{
    kd_context_info before = { .struct_size = sizeof before }, after = before;
    kd_context *ctx = make_context(1);
    kd_optimizer *optimizer = make(ctx, KD_OPTIMIZER_ADAMW, moments);
    OK(kd_context_get_info(ctx, &before));
    take_steps(optimizer, 0, 2);
    OK(kd_context_get_info(ctx, &after));
    const uint64_t calls = after.allocations;
    take_steps(optimizer, 2, 1); /* allocates nothing */
    kd_context_info last = after;
    OK(kd_context_get_info(ctx, &last));
    ck_assert_uint_eq(last.allocations, calls);
    kd_optimizer_free(optimizer);
    kd_context_free(ctx);
    return (int64_t)(after.bytes - before.bytes);
}

START_TEST(they_take_half_the_memory)
{
    const int64_t whole = bytes_of_steps(KD_FLOAT32), half = bytes_of_steps(KD_BFLOAT16);
    ck_assert_msg(whole - half >= 4 * N - 64 && whole - half <= 4 * N + 64, "%lld, %lld",
                  (long long)whole, (long long)half);
}
END_TEST

START_TEST(other_types_are_refused)
{
    kd_optimizer_options o = KD_OPTIMIZER_OPTIONS_INIT;
    kd_optimizer *optimizer;
    kd_context *ctx = make_context(1);
    o.moments = KD_FLOAT16;
    FAILS(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, &o), KD_ERR_INVALID, "moments");
    kd_context_free(ctx);
}
END_TEST

Suite *moments_suite(void)
{
    Suite *suite = suite_create("moments");
    TCase *tests = tcase_create("moments");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, changes_of_a_thousandth_are_not_lost);
    tcase_add_test(tests, steps_are_near_those_of_float32);
    tcase_add_test(tests, bits_do_not_depend_on_threads_or_on_a_checkpoint);
    tcase_add_test(tests, they_take_half_the_memory);
    tcase_add_test(tests, other_types_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
