#include "unit.h"

#include "run.h"

static kd_context *ctx;
static void setup(void) { ctx = make_context(2); }
static void teardown(void) { kd_context_free(ctx); }

static void parameters(run_parts *r, float *to, int64_t *count)
{
    kd_array p;
    OK(kd_optimizer_swap_average(r->optimizer)); /* the averages first, then the weights */
    OK(kd_model_parameters(r->model, &p));
    memcpy(to, p.data, (size_t)p.dims[0] * 4);
    OK(kd_optimizer_swap_average(r->optimizer));
    memcpy(to + p.dims[0], p.data, (size_t)p.dims[0] * 4);
    OK(kd_monitor_restore(r->monitor));
    memcpy(to + 2 * p.dims[0], p.data, (size_t)p.dims[0] * 4);
    *count = 3 * p.dims[0];
}

START_TEST(resuming_at_every_step_gives_the_same_bits)
{
    static run_parts whole;
    static float expected[4096], got[4096];
    int64_t count, again;
    const char *path = scratch_path("run.kdc");
    const char *config = _i ? RUN_IMAGES : NULL; /* running statistics are part of it */
    memset(&whole, 0, sizeof whole);
    whole.config = config;
    OK(run_make(&whole, ctx));
    OK(run_steps(&whole, RUN_STEPS));
    parameters(&whole, expected, &count);
    ck_assert_int_lt(count, 4096);
    run_free(&whole);
    for (int64_t stop = 0; stop < RUN_STEPS; stop++) {
        static run_parts first, second;
        memset(&first, 0, sizeof first);
        memset(&second, 0, sizeof second);
        first.config = second.config = config;
        OK(run_make(&first, ctx));
        OK(run_steps(&first, stop));
        OK(kd_checkpoint_save(first.checkpoint, path));
        run_free(&first);
        OK(run_make(&second, ctx));
        OK(run_steps(&second, stop % 3)); /* also into a run that was going on */
        OK(kd_checkpoint_load(second.checkpoint, path));
        ck_assert_int_eq(second.step, stop);
        OK(run_steps(&second, RUN_STEPS));
        parameters(&second, got, &again);
        ck_assert_int_eq(memcmp(expected, got, (size_t)count * 4), 0);
        run_free(&second);
    }
}
END_TEST

START_TEST(damage_is_found_and_changes_nothing)
{
    static run_parts r;
    static float before[4096];
    size_t size;
    const char *path = scratch_path("torn.kdc");
    memset(&r, 0, sizeof r);
    OK(run_make(&r, ctx));
    OK(run_steps(&r, 2));
    OK(kd_checkpoint_save(r.checkpoint, path));
    char *bytes = read_whole(path, &size);
    OK(run_steps(&r, 3));
    kd_array p;
    OK(kd_model_parameters(r.model, &p));
    memcpy(before, p.data, (size_t)p.dims[0] * 4);
    const size_t step = getenv("KD_TEST_FEW") ? 7 : 1;
    for (size_t cut = 0; cut < size; cut += (cut < 64 ? 1 : 257) * step) {
        write_file(path, bytes, cut);
        ck_assert_int_eq(kd_checkpoint_load(r.checkpoint, path), KD_ERR_FORMAT);
    }
    for (size_t bit = 0; bit < 8 * size; bit += (bit < 8 * 200 ? 1 : 8 * 61 + 3) * step) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        write_file(path, bytes, size);
        ck_assert_msg(kd_checkpoint_load(r.checkpoint, path) < 0,
                      "the flip of bit %zu was not seen", bit);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    ck_assert_int_eq(memcmp(before, p.data, (size_t)p.dims[0] * 4), 0);
    ck_assert_int_eq(r.step, 3);
    write_file(path, bytes, size);
    OK(kd_checkpoint_load(r.checkpoint, path));
    bytes[8] = 9; /* a newer version */
    write_file(path, bytes, size);
    FAILS(kd_checkpoint_load(r.checkpoint, path), KD_ERR_VERSION, "got 9");
    free(bytes);
    FAILS(kd_checkpoint_load(r.checkpoint, scratch_path("no.kdc")), KD_ERR_NOT_FOUND, "no.kdc");
    FAILS(kd_checkpoint_save(r.checkpoint, scratch_path("nowhere/x.kdc")), KD_ERR_NOT_FOUND,
          "nowhere");
    run_free(&r);
}
END_TEST

START_TEST(another_run_is_not_loaded)
{
    kd_model *model;
    kd_checkpoint *a, *b;
    const char *path = scratch_path("other.kdc");
    int64_t number = 1;
    OK(kd_model_create(&model, ctx, "{\"model_type\":\"mlp\",\"input_size\":2,\"num_labels\":2}",
                       NULL));
    OK(kd_checkpoint_create(&a, ctx, NULL));
    FAILS(kd_checkpoint_save(a, path), KD_ERR_STATE, "no parts");
    OK(kd_checkpoint_add_model(a, "m", model));
    FAILS(kd_checkpoint_borrow_bytes(a, "m", &number, 8), KD_ERR_INVALID, "already");
    OK(kd_checkpoint_save(a, path));
    kd_model_free(model);
    OK(kd_model_create(&model, ctx, "{\"model_type\":\"mlp\",\"input_size\":3,\"num_labels\":2}",
                       NULL));
    OK(kd_checkpoint_create(&b, ctx, NULL));
    OK(kd_checkpoint_add_model(b, "m", model));
    FAILS(kd_checkpoint_load(b, path), KD_ERR_MISMATCH, "expected 8, the file has 6");
    OK(kd_checkpoint_borrow_bytes(b, "number", &number, sizeof number));
    FAILS(kd_checkpoint_load(b, path), KD_ERR_MISMATCH, "expected 2 parts, the file has 1");
    kd_checkpoint_free(a);
    kd_checkpoint_free(b);
    kd_model_free(model);
}
END_TEST

START_TEST(checkpoints_of_version_1_open_for_ever)
{
    static run_parts r;
    const char *folder = getenv("KD_OLD_FILES");
    char path[600];
    ck_assert_ptr_nonnull(folder);
    snprintf(path, sizeof path, "%s/run-v1.kdc", folder);
    memset(&r, 0, sizeof r);
    OK(run_make(&r, ctx));
    OK(kd_checkpoint_load(r.checkpoint, path));
    ck_assert_int_eq(r.step, 5);
    OK(run_steps(&r, RUN_STEPS));
    run_free(&r);
}
END_TEST

Suite *checkpoint_suite(void)
{
    Suite *suite = suite_create("checkpoint");
    TCase *tests = tcase_create("checkpoint");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, resuming_at_every_step_gives_the_same_bits, 0, 2);
    tcase_add_test(tests, damage_is_found_and_changes_nothing);
    tcase_add_test(tests, another_run_is_not_loaded);
    tcase_add_test(tests, checkpoints_of_version_1_open_for_ever);
    suite_add_tcase(suite, tests);
    return suite;
}
