/* Relations of rows and maps through the loss: widths, too few rows, bits, memory, a model's maps,
 * the warning of a collapse. */
#include "featurekit.h"

enum { ROWS = 9, FROM = 6, TO = 11 };

static const int32_t kinds[] = { KD_LOSS_SIMILARITY, KD_LOSS_GRAM, KD_LOSS_RKD_DISTANCE,
                                 KD_LOSS_RKD_ANGLE,  KD_LOSS_PKT,  KD_LOSS_CKA,
                                 KD_LOSS_RELATION_KL };
enum { KINDS = sizeof kinds / sizeof *kinds };

static void restart(int32_t kind)
{
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    add_feature(kind);
}

/* d value / d s of one number, through the loss, by a difference as long as float32 allows. */
static double slope(float *x, int64_t rows, int64_t f)
{
    const float kept = *x;
    kd_loss_result above, below;
    volatile float up = kept + 0.001f, down = kept - 0.001f;
    *x = up;
    OK(run_rows(rows, f, NULL, &above));
    *x = down;
    OK(run_rows(rows, f, NULL, &below));
    *x = kept;
    return (above.value - below.value) / ((double)up - down);
}

START_TEST(sides_of_any_two_widths_are_related)
{
    kd_loss_result result;
    fill(side_s, ROWS * FROM, 1.3);
    fill(side_t, ROWS * TO, 2.1);
    begin_rows(ROWS, TO);
    for (int projected = 0; projected < 2; projected++) {
        restart(kinds[_i]);
        if (projected) add_projection(0, KD_PROJECTION_LINEAR_BIAS, 0, NULL);
        OK(run_rows(ROWS, FROM, side_ds, &result));
        ck_assert_int_eq(result.rows[0], ROWS);
        ck_assert(result.value > 0);
        for (int i = 0; i < ROWS * FROM; i++) NEAR(side_ds[i], slope(&side_s[i], ROWS, FROM), 1e-3);
    }
}
END_TEST

START_TEST(a_projection_of_a_relation_may_keep_its_own_width)
{
    kd_projection_options o = KD_PROJECTION_OPTIONS_INIT;
    kd_loss_result result;
    fill(side_s, ROWS * FROM, 1.3);
    fill(side_t, ROWS * TO, 2.1);
    begin_rows(ROWS, TO);
    restart(kinds[_i]);
    o.from = FROM;
    o.to = 3;
    OK(kd_loss_set_projection(loss, 0, &o));
    OK(run_rows(ROWS, FROM, side_ds, &result));
}
END_TEST

static int64_t degenerate(void)
{
    kd_loss_diagnostics seen = { .struct_size = sizeof seen };
    OK(kd_loss_get_diagnostics(loss, 0, &seen));
    return seen.degenerate;
}

START_TEST(too_few_rows_add_nothing_and_are_counted)
{
    kd_loss_result result;
    fill(side_s, ROWS * FROM, 1.3);
    fill(side_t, ROWS * TO, 2.1);
    const int least = kinds[_i] == KD_LOSS_RKD_ANGLE ? 3 : 2;
    restart(kinds[_i]);
    OK(kd_loss_set_diagnostics(loss, 1));
    for (int rows = 1; rows < 4; rows++) {
        begin_rows(rows, TO);
        OK(run_rows(rows, FROM, side_ds, &result));
        ck_assert_int_eq(result.rows[0], rows < least ? 0 : rows);
        ck_assert_int_eq(degenerate(), rows < least ? rows : least - 1);
        for (int i = 0; i < rows * FROM && rows < least; i++) ck_assert_float_eq(side_ds[i], 0);
        if (rows < least) ck_assert_double_eq(result.value, 0);
    }
}
END_TEST

START_TEST(an_unbiased_cka_needs_four_rows)
{
    kd_loss_result result;
    fill(side_s, ROWS * FROM, 1.3);
    fill(side_t, ROWS * TO, 2.1);
    restart(KD_LOSS_CKA);
    OK(kd_loss_set(loss, 0, KD_TERM_UNBIASED, 1));
    for (int rows = 3; rows < 5; rows++) {
        begin_rows(rows, TO);
        OK(run_rows(rows, FROM, side_ds, &result));
        ck_assert_int_eq(result.rows[0], rows < 4 ? 0 : rows);
    }
}
END_TEST

/* ---- the same bits ---- */

static const int32_t all[] = {
    KD_LOSS_MEAN_SQUARED_ERROR, KD_LOSS_HUBER,      KD_LOSS_HIDDEN_COSINE, KD_LOSS_HIDDEN_DISTANCE,
    KD_LOSS_VARIATIONAL,        KD_LOSS_SIMILARITY, KD_LOSS_GRAM,          KD_LOSS_RKD_DISTANCE,
    KD_LOSS_RKD_ANGLE,          KD_LOSS_PKT,        KD_LOSS_CKA,           KD_LOSS_RELATION_KL
};
enum { ALL = sizeof all / sizeof *all, MANY = 90, WIDE = 33 };

/* Value, gradient of the rows and of the first tensor, of a context with so many threads. */
static void run_threads(int32_t kind, int32_t threads, double *value, float *ds, float *dw)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_result result;
    kd_array gradient;
    teardown();
    ctx = make_context(threads);
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    begin_rows(MANY, WIDE);
    o.student_output = o.teacher_field = "hidden";
    OK(kd_loss_add(loss, kind, 1, &o, NULL));
    OK(kd_loss_set(loss, 0, KD_TERM_NORMALIZE, KD_NORMALIZE_LAYER));
    add_projection(0, KD_PROJECTION_MLP, KD_PROJECTION_START_ORTHOGONAL, NULL);
    OK(run_rows(MANY, FROM, ds, &result));
    *value = result.value;
    OK(kd_loss_tensor_gradient(loss, 0, &gradient));
    memcpy(dw, gradient.data, (size_t)kd_array_count(&gradient) * sizeof *dw);
}

START_TEST(any_number_of_threads_gives_the_same_bits)
{
    static const int32_t threads[] = { 1, 2, 3, 8 };
    float ds[4][MANY * FROM], dw[4][2 * FROM * FROM];
    double values[4];
    fill(side_s, MANY * FROM, 1.3);
    fill(side_t, MANY * WIDE, 2.1);
    for (int i = 0; i < 4; i++) run_threads(all[_i], threads[i], &values[i], ds[i], dw[i]);
    for (int i = 1; i < 4; i++) {
        ck_assert_double_eq(values[0], values[i]);
        ck_assert(!memcmp(ds[0], ds[i], sizeof ds[0]));
        ck_assert(!memcmp(dw[0], dw[i], sizeof dw[0]));
    }
}
END_TEST

/* Products of fewer rows may end in other bits. */
START_TEST(a_small_limit_gives_the_same_gradients)
{
    float plain[MANY * FROM];
    double values[2];
    for (int small = 0; small < 2; small++) {
        kd_loss_options o = KD_LOSS_OPTIONS_INIT;
        kd_loss_result result;
        if (small) o.memory_limit = 16 << 10;
        fill(side_s, MANY * FROM, 1.3);
        fill(side_t, MANY * WIDE, 2.1);
        kd_loss_free(loss);
        OK(kd_loss_create(&loss, ctx, &o));
        begin_rows(MANY, WIDE);
        kd_term_options t = KD_TERM_OPTIONS_INIT;
        t.student_output = t.teacher_field = "hidden";
        OK(kd_loss_add(loss, all[_i], 1, &t, NULL));
        add_projection(0, KD_PROJECTION_LINEAR, 0, NULL);
        OK(run_rows(MANY, FROM, small ? side_ds : plain, &result));
        values[small] = result.value;
    }
    NEAR(values[0], values[1], 1e-7);
    for (int i = 0; i < MANY * FROM; i++) NEAR(side_ds[i], plain[i], 1e-7);
}
END_TEST

START_TEST(memory_is_what_the_query_says_and_does_not_grow)
{
    kd_context_info before = { .struct_size = sizeof before }, after = before;
    kd_loss_result result;
    kd_projection_options p = KD_PROJECTION_OPTIONS_INIT;
    int64_t bytes;
    fill(side_s, MANY * WIDE, 1.3);
    fill(side_t, MANY * WIDE, 2.1);
    OK(kd_context_get_info(ctx, &before));
    restart(all[_i + 2]);
    begin_rows(MANY, WIDE);
    p.kind = KD_PROJECTION_MLP;
    p.from = p.to = WIDE;
    OK(kd_loss_set_projection(loss, 0, &p));
    OK(kd_loss_estimate_memory(loss, MANY, WIDE, 0, 0, &bytes, NULL));
    OK(run_rows(MANY, WIDE, side_ds, &result));
    OK(kd_context_get_info(ctx, &after));
    const int64_t taken = (int64_t)(after.peak_bytes - before.bytes);
    ck_assert_msg(taken <= bytes + MANY * 256 + 65536, "%lld bytes taken, %lld told",
                  (long long)taken, (long long)bytes);
    const uint64_t calls = after.allocations;
    const int again = getenv("KD_TEST_FEW") ? 1 : 100;
    for (int i = 0; i < again; i++) OK(run_rows(MANY, WIDE, side_ds, &result));
    OK(kd_context_get_info(ctx, &after));
    ck_assert_uint_eq(after.allocations, calls);
}
END_TEST

/* ---- maps ---- */

START_TEST(a_models_maps_are_compared_with_a_teachers)
{
    static float images[4 * 36], maps[4 * 7 * 3 * 3];
    const int64_t image_dims[] = { 4, 1, 6, 6 }, map_dims[] = { 4, 7, 3, 3 };
    kd_array xs, ts;
    kd_model *model;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_result first = { .struct_size = sizeof first }, last = first;
    kd_optimizer *optimizer;
    OK(kd_array_init(&xs, images, KD_FLOAT32, 4, image_dims));
    OK(kd_array_init(&ts, maps, KD_FLOAT32, 4, map_dims));
    fill(images, 4 * 36, 0.7);
    fill(maps, 4 * 63, 1.9);
    OK(kd_model_create(
        &model, ctx,
        "{\"model_type\":\"sequential\",\"input_shape\":[1,6,6],\"layers\":[{"
        "\"type\":\"conv2d\",\"channels\":4,\"kernel_size\":3,\"activation\":\"gelu\"},"
        "{\"type\":\"linear\",\"units\":3}]}",
        NULL));
    OK(kd_batch_begin(batch, 4));
    OK(kd_batch_set(batch, "inputs", &xs, NULL));
    OK(kd_targets_begin(targets, 4));
    OK(kd_targets_set(targets, "maps", &ts, NULL));
    o.student_output = "hidden.0";
    o.teacher_field = "maps";
    OK(kd_loss_add(loss, KD_LOSS_ATTENTION_TRANSFER, 1000, &o, NULL));
    OK(kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, NULL));
    OK(kd_optimizer_add_model(optimizer, model));
    for (int i = 0; i < 60; i++) {
        OK(kd_model_forward(model, batch, KD_MODE_TRAIN));
        OK(kd_loss_backward(loss, model, batch, targets, NULL, i ? &last : &first));
        OK(kd_optimizer_step(optimizer, 0.02));
    }
    ck_assert_msg(last.value < 0.7 * first.value, "%g, then %g", first.value, last.value);
    kd_optimizer_free(optimizer);
    kd_model_free(model);
}
END_TEST

START_TEST(rows_that_are_no_maps_are_refused)
{
    static float maps[4 * 8];
    const int64_t dims[] = { 4, 2, 2, 2 };
    kd_array fours, rows = KD_ARRAY_2D(maps, KD_FLOAT32, 4, 8);
    kd_projection_options p = KD_PROJECTION_OPTIONS_INIT;
    OK(kd_array_init(&fours, maps, KD_FLOAT32, 4, dims));
    restart(KD_LOSS_ATTENTION_TRANSFER);
    for (int i = 0; i < 2; i++) {
        kd_loss_output output = { sizeof output, 0, "hidden", i ? &rows : &fours, NULL, NULL };
        OK(kd_batch_begin(batch, 4));
        OK(kd_targets_begin(targets, 4));
        OK(kd_targets_set(targets, "hidden", i ? &fours : &rows, NULL));
        FAILS(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, NULL), KD_ERR_SHAPE,
              i ? "the student's 'hidden' is of no maps" : "the teacher's 'hidden' is of no maps");
    }
    FAILS(kd_loss_set_projection(loss, 0, &p), KD_ERR_INVALID, "takes no projection");
}
END_TEST

/* ---- what a host hears ---- */

static int warnings;
static char said[600];
static void hear(void *user, int32_t level, const char *message)
{
    (void)user;
    if (level != KD_LOG_WARNING) return;
    warnings++;
    snprintf(said, sizeof said, "%s", message);
}

/* Rows of one direction beside rows of many. */
static void collapse(int calls)
{
    kd_loss_result result;
    fill(side_t, 20 * 8, 2.1);
    for (int i = 0; i < 20 * 8; i++) side_s[i] = (float)(i % 8) + 0.01f * side_t[i];
    begin_rows(20, 8);
    for (int i = 0; i < calls; i++) OK(run_rows(20, 8, side_ds, &result));
}

START_TEST(a_collapse_is_told_once)
{
    kd_loss_result result;
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_logger logger = { .struct_size = sizeof logger, .level = KD_LOG_WARNING, .log = hear };
    teardown();
    o.logger = &logger;
    OK(kd_context_create(&ctx, &o));
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    add_feature(KD_LOSS_HIDDEN_DISTANCE);
    warnings = 0;
    collapse(31);
    ck_assert_int_eq(warnings, 0);
    collapse(60);
    ck_assert_int_eq(warnings, 1);
    ck_assert_msg(strstr(said, "all point one way") && strstr(said, "'hidden'"), "%s", said);
    kd_loss_diagnostics seen = { .struct_size = sizeof seen };
    OK(kd_loss_set_diagnostics(loss, 1));
    collapse(1);
    OK(kd_loss_get_diagnostics(loss, 0, &seen));
    double length = 0, cosine = 0;
    for (int r = 0; r < 20; r++) {
        double ss = 0, tt = 0, st = 0;
        for (int k = 8 * r; k < 8 * r + 8; k++) {
            ss += side_s[k] * side_s[k];
            tt += side_t[k] * side_t[k];
            st += side_s[k] * side_t[k];
        }
        length += sqrt(ss) / 20;
        cosine += st / sqrt(ss * tt) / 20;
    }
    double pairs[2] = { 0, 0 }, error = 0, variance = 0;
    const float *sides[2] = { side_s, side_t };
    for (int side = 0; side < 2; side++)
        for (int a = 0; a < 20; a++)
            for (int b = 0; b < 20; b++) {
                double ab = 0, aa = 0, bb = 0;
                for (int k = 0; k < 8; k++) {
                    const double x = sides[side][8 * a + k], y = sides[side][8 * b + k];
                    ab += x * y, aa += x * x, bb += y * y;
                }
                if (a != b) pairs[side] += ab / sqrt(aa * bb) / (20 * 19);
            }
    for (int k = 0; k < 8; k++) {
        double mean = 0;
        for (int r = 0; r < 20; r++) mean += side_t[8 * r + k] / 20;
        for (int i = k; i < 160; i += 8) {
            error += pow(side_t[i] - side_s[i], 2);
            variance += pow(side_t[i] - mean, 2);
        }
    }
    NEAR(seen.student_pair_cosine, pairs[0], 1e-6);
    NEAR(seen.teacher_pair_cosine, pairs[1], 1e-6);
    NEAR(seen.explained, 1 - error / variance, 1e-6);
    NEAR(seen.student_norm, length, 1e-5);
    NEAR(seen.cosine, cosine, 1e-6);
    ck_assert(isnan(seen.student_entropy) && isnan(seen.agreement));
    begin_rows(7, 8); /* too few to say something of */
    OK(run_rows(7, 8, side_ds, &result));
    OK(kd_loss_get_diagnostics(loss, 0, &seen));
    ck_assert(isnan(seen.student_pair_cosine) && isnan(seen.explained));
}
END_TEST

/* k directions of the same size, all others 0: an effective rank of k, of 64 rows at most. */
static void fill_directions(float *x, int rows, int width, int k)
{
    memset(x, 0, (size_t)(rows * width) * sizeof *x);
    for (int r = 0; r < rows; r++) x[r * width + r % k] = 3;
}

START_TEST(an_effective_rank_counts_directions)
{
    kd_loss_result result;
    kd_loss_diagnostics seen = { .struct_size = sizeof seen };
    restart(KD_LOSS_GRAM);
    OK(kd_loss_set_diagnostics(loss, 1));
    for (int rows = 8; rows <= 96; rows += 8) {
        fill_directions(side_s, rows, 8, 4);
        fill_directions(side_t, rows, 32, 8);
        /* what is after the 64th is not looked at */
        for (int i = 64 * 8; i < rows * 8; i++) side_s[i] = (float)sin(i);
        begin_rows(rows, 32);
        OK(run_rows(rows, 8, side_ds, &result));
        OK(kd_loss_get_diagnostics(loss, 0, &seen));
        NEAR(seen.student_effective_rank, 4, 1e-5);
        NEAR(seen.teacher_effective_rank, 8, 1e-5);
        ck_assert(isnan(seen.alignment) && isnan(seen.uniformity) && isnan(seen.modality_gap));
    }
    begin_rows(7, 32);
    OK(run_rows(7, 8, side_ds, &result));
    OK(kd_loss_get_diagnostics(loss, 0, &seen));
    ck_assert(isnan(seen.student_effective_rank) && isnan(seen.teacher_effective_rank));
}
END_TEST

Suite *relations_suite(void)
{
    Suite *suite = suite_create("relations");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, sides_of_any_two_widths_are_related, 0, KINDS);
    tcase_add_loop_test(tests, a_projection_of_a_relation_may_keep_its_own_width, 0, KINDS);
    tcase_add_loop_test(tests, too_few_rows_add_nothing_and_are_counted, 0, KINDS);
    tcase_add_test(tests, an_unbiased_cka_needs_four_rows);
    tcase_add_loop_test(tests, any_number_of_threads_gives_the_same_bits, 0, ALL);
    tcase_add_loop_test(tests, a_small_limit_gives_the_same_gradients, 0, ALL);
    tcase_add_loop_test(tests, memory_is_what_the_query_says_and_does_not_grow, 0, ALL - 2);
    tcase_add_test(tests, a_models_maps_are_compared_with_a_teachers);
    tcase_add_test(tests, rows_that_are_no_maps_are_refused);
    tcase_add_test(tests, a_collapse_is_told_once);
    tcase_add_test(tests, an_effective_rank_counts_directions);
    suite_add_tcase(suite, tests);
    return suite;
}
