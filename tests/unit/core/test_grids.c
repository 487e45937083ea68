/* Rows inside samples, (samples, T, width) on both sides, as transformers over patches give them:
 * kinds that compare one row with one look at each of them, and count samples. */
#include "featurekit.h"

enum { S = 4, T = 3, F = 4, W = 6 };

static const int32_t kinds[] = { KD_LOSS_MEAN_SQUARED_ERROR, KD_LOSS_HUBER, KD_LOSS_HIDDEN_COSINE,
                                 KD_LOSS_HIDDEN_DISTANCE, KD_LOSS_VARIATIONAL };
enum { KINDS = sizeof kinds / sizeof *kinds };

static void restart(int32_t kind, const kd_term_options *options, int projected)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    if (options) o = *options;
    o.student_output = "hidden";
    if (!o.label_field) o.teacher_field = "hidden";
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, kind, 0.7, &o, NULL));
    if (projected) add_projection(0, KD_PROJECTION_LINEAR_BIAS, 0, NULL);
}

static kd_array cube(float *x, int64_t samples, int64_t rows, int64_t width)
{
    const int64_t dims[] = { samples, rows, width };
    kd_array made;
    OK(kd_array_init(&made, x, KD_FLOAT32, 3, dims));
    return made;
}

/* Samples of T rows; `rows` 0 at the teacher: as they come out of a store, flat. */
static void begin_grids(int64_t rows, int64_t width, const uint8_t *present)
{
    const kd_array ts = rows ? cube(side_t, S, rows, width)
                             : (kd_array)KD_ARRAY_2D(side_t, KD_FLOAT32, S, width),
                   ps = KD_ARRAY_1D(present, KD_UINT8, S);
    OK(kd_batch_begin(batch, S));
    OK(kd_targets_begin(targets, S));
    OK(kd_targets_set(targets, "hidden", &ts, present ? &ps : NULL));
}

static kd_status run_grids(int64_t rows, int64_t f, float *ds, const kd_loss_counts *counts,
                           kd_loss_result *result)
{
    kd_array ss = cube(side_s, S, rows, f), dss = cube(ds, S, rows, f);
    kd_loss_output output = { sizeof output, 0, "hidden", &ss, ds ? &dss : NULL, NULL };
    memset(result, 0, sizeof *result);
    result->struct_size = sizeof *result;
    return kd_loss_evaluate(loss, &output, 1, batch, targets, counts, result);
}

static void fill_sides(void)
{
    fill(side_s, (int64_t)S * T * F, 1.3);
    fill(side_t, (int64_t)S * T * W, 2.1);
}

/* All gradients of the loss, one after the other. */
static int64_t gradients(float *to)
{
    int64_t at = 0;
    int32_t count;
    OK(kd_loss_tensor_count(loss, &count));
    for (int32_t i = 0; i < count; i++) {
        kd_array g;
        OK(kd_loss_tensor_gradient(loss, i, &g));
        memcpy(to + at, g.data, (size_t)kd_array_count(&g) * sizeof *to);
        at += kd_array_count(&g);
    }
    return at;
}

/* ---- the same rows, given as rows ---- */

static void set_numbers(int32_t normalize, int32_t first)
{
    OK(kd_loss_set(loss, 0, KD_TERM_NORMALIZE, normalize));
    OK(kd_loss_set(loss, 0, KD_TERM_FIRST, first));
}

static void compare_with_rows(int32_t kind, int32_t normalize, int32_t first, int64_t width)
{
    static float ds[S * T * W], dp[256], rows_dp[256];
    const int projected = first ? 0 : width != F;
    const int64_t f = first ? W - 1 : F, w = first ? W : width;
    kd_loss_result result, alone;
    fill(side_s, S * T * f, 1.3);
    fill(side_t, S * T * w, 2.1);
    restart(kind, NULL, projected);
    set_numbers(normalize, first);
    begin_rows((int64_t)S * T, w);
    OK(run_rows((int64_t)S * T, f, side_ds, &alone));
    const int64_t parameters = gradients(rows_dp);
    restart(kind, NULL, projected);
    set_numbers(normalize, first);
    begin_grids(T, w, NULL);
    OK(run_grids(T, f, ds, NULL, &result));
    ck_assert_int_eq(result.rows[0], S);
    NEAR(result.value, alone.value, 1e-12);
    NEAR(result.sum[0] * T, alone.sum[0], 1e-11);
    ck_assert_double_gt(fabs(result.value), 1e-3);
    for (int64_t i = 0; i < S * T * f; i++) NEAR((double)ds[i], (double)side_ds[i], 1e-7);
    ck_assert_int_eq(gradients(dp), parameters);
    for (int64_t i = 0; i < parameters; i++) NEAR((double)dp[i], (double)rows_dp[i], 1e-6);
}

START_TEST(rows_inside_samples_are_compared_one_by_one)
{
    const int32_t kind = kinds[_i], rows = KD_NORMALIZE_ROWS, layer = KD_NORMALIZE_LAYER;
    compare_with_rows(kind, KD_NORMALIZE_DEFAULT, 0, W);
    compare_with_rows(kind, rows, 0, W);
    compare_with_rows(kind, layer, 0, W);
    compare_with_rows(kind, rows, 0, F);
    compare_with_rows(kind, layer, 0, F);
    compare_with_rows(kind, KD_NORMALIZE_DEFAULT, 2, 0); /* of rows of unlike widths */
    compare_with_rows(kind, rows, 3, 0);
}
END_TEST

/* What compares number with number anyhow has the same value, whole or row by row. */
START_TEST(counts_do_not_change_with_the_numbers_of_a_term)
{
    kd_loss_counts counts = { .struct_size = sizeof counts };
    kd_loss_result whole, rows;
    fill_sides();
    for (int normalize = KD_NORMALIZE_DEFAULT; normalize <= KD_NORMALIZE_LAYER; normalize++) {
        restart(KD_LOSS_MEAN_SQUARED_ERROR, NULL, 0);
        OK(kd_loss_set(loss, 0, KD_TERM_NORMALIZE, normalize));
        begin_grids(T, F, NULL);
        OK(kd_loss_count(loss, batch, targets, &counts));
        ck_assert_int_eq(counts.rows[0], S);
        OK(run_grids(T, F, side_ds, &counts, normalize ? &rows : &whole));
    }
    ck_assert_int_eq(rows.rows[0], whole.rows[0]);
    restart(KD_LOSS_MEAN_SQUARED_ERROR, NULL, 0);
    OK(kd_loss_set(loss, 0, KD_TERM_FIRST, F)); /* all numbers of each row */
    OK(run_grids(T, F, side_ds, NULL, &rows));
    NEAR(rows.value, whole.value, 1e-12);
}
END_TEST

/* ---- beside the formula ---- */

typedef struct {
    double s[S * T * F], t[S * T * W], w[W * F], b[W];
    double weight[S]; /* 0: left out */
    double denominator;
} formula;

static double cosine(const formula *m, int64_t row)
{
    double z[W], zz = 0, tt = 0, zt = 0;
    for (int i = 0; i < W; i++) {
        const double t = m->t[row * W + i];
        z[i] = m->b[i];
        for (int k = 0; k < F; k++) z[i] += m->w[i * F + k] * m->s[row * F + k];
        zz += z[i] * z[i];
        tt += t * t;
        zt += z[i] * t;
    }
    return 1 - zt / sqrt(zz * tt);
}

static double formula_value(const formula *m)
{
    double sum = 0;
    for (int64_t s = 0; s < S; s++)
        for (int64_t k = 0; k < T && m->weight[s] != 0; k++)
            sum += m->weight[s] * cosine(m, s * T + k) / T;
    return 0.7 * sum / m->denominator;
}

static double slope(formula *m, double *x)
{
    const double kept = *x, step = 1e-5;
    *x = kept + step;
    const double above = formula_value(m);
    *x = kept - step;
    const double below = formula_value(m);
    *x = kept;
    return (above - below) / (2 * step);
}

static void read_formula(formula *m)
{
    const char *name;
    kd_array w, b;
    OK(kd_loss_tensor(loss, 0, &name, &w));
    OK(kd_loss_tensor(loss, 1, &name, &b));
    for (int i = 0; i < S * T * F; i++) m->s[i] = (double)side_s[i];
    for (int i = 0; i < S * T * W; i++) m->t[i] = (double)side_t[i];
    for (int i = 0; i < W * F; i++) m->w[i] = (double)((float *)w.data)[i];
    for (int i = 0; i < W; i++) m->b[i] = (double)((float *)b.data)[i];
}

/* Mask, weight and presence are a sample's, and hold for all of its rows. */
START_TEST(masks_weights_and_presence_of_samples_hold_for_their_rows)
{
    static formula m = { .weight = { 2, 0, 0, 0.5 }, .denominator = 2.5 };
    const float weight[S] = { 2, 9, 9, 0.5F };
    const uint8_t mask[S] = { 1, 0, 1, 1 }, present[S] = { 1, 1, 0, 1 };
    const kd_array ws = KD_ARRAY_1D(weight, KD_FLOAT32, S), ms = KD_ARRAY_1D(mask, KD_UINT8, S);
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_counts counts = { .struct_size = sizeof counts };
    kd_loss_result result;
    float dp[64];
    o.mask_field = "mask";
    o.weight_field = "weight";
    o.count = KD_COUNT_WEIGHTS;
    fill_sides();
    restart(KD_LOSS_HIDDEN_COSINE, &o, 1);
    begin_grids(T, W, present);
    OK(kd_batch_set(batch, "mask", &ms, NULL));
    OK(kd_batch_set(batch, "weight", &ws, NULL));
    OK(kd_loss_count(loss, batch, targets, &counts));
    ck_assert_int_eq(counts.rows[0], 2);
    ck_assert_double_eq(counts.weights[0], 2.5);
    OK(run_grids(T, F, side_ds, &counts, &result));
    ck_assert_int_eq(result.rows[0], 2);
    read_formula(&m);
    NEAR(result.value, formula_value(&m), 1e-6);
    for (int i = 0; i < S * T * F; i++) NEAR((double)side_ds[i], slope(&m, &m.s[i]), 1e-6);
    ck_assert_int_eq(gradients(dp), W * F + W);
    for (int i = 0; i < W * F; i++) NEAR((double)dp[i], slope(&m, &m.w[i]), 1e-6);
    for (int i = 0; i < W; i++) NEAR((double)dp[W * F + i], slope(&m, &m.b[i]), 1e-6);
}
END_TEST

/* ---- rows that are not finite ---- */

/* A sample is skipped with all its rows: where one of them is not finite, or has no direction. */
START_TEST(a_sample_with_a_row_that_is_not_finite_is_skipped_whole)
{
    static float ds[S * T * F];
    const int places[] = { 0, T - 1 };
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_counts counts = { .struct_size = sizeof counts, .terms = 1, .rows = { S - 1 } };
    kd_loss_result result, without;
    for (int i = 0; i < 6; i++) {
        const int place = 2 * T + places[i % 2], side = i / 2;
        uint8_t present[S] = { 1, 1, 0, 1 };
        float dp[64], alone_dp[64];
        fill_sides();
        restart(KD_LOSS_HIDDEN_COSINE, NULL, 1);
        begin_grids(T, W, present);
        OK(run_grids(T, F, ds, NULL, &without));
        const int64_t parameters = gradients(alone_dp);
        if (side == 0) side_s[place * F + 1] = NAN;
        if (side == 1) side_t[place * W + 1] = INFINITY;
        if (side == 2) memset(side_t + place * W, 0, W * sizeof *side_t);
        begin_grids(T, W, NULL);
        o.nonfinite = KD_NONFINITE_REFUSE;
        restart(KD_LOSS_HIDDEN_COSINE, &o, 1);
        FAILS(run_grids(T, F, side_ds, NULL, &result), KD_ERR_NONFINITE, "row 2");
        o.nonfinite = KD_NONFINITE_SKIP;
        restart(KD_LOSS_HIDDEN_COSINE, &o, 1);
        OK(run_grids(T, F, side_ds, &counts, &result));
        ck_assert_int_eq(result.skipped[0], 1);
        ck_assert_int_eq(result.rows[0], S - 1);
        NEAR(result.value, without.value, 1e-12);
        for (int k = 0; k < S * T * F; k++) NEAR((double)side_ds[k], (double)ds[k], 1e-7);
        gradients(dp);
        for (int64_t k = 0; k < parameters; k++) NEAR((double)dp[k], (double)alone_dp[k], 1e-6);
    }
}
END_TEST

/* ---- blocks, threads, 16 bits ---- */

START_TEST(a_small_limit_of_memory_changes_no_value)
{
    static float ds[S * T * F];
    kd_loss_options o = KD_LOSS_OPTIONS_INIT;
    kd_term_options t = KD_TERM_OPTIONS_INIT;
    kd_loss_result plenty, little;
    float dp[64], little_dp[64];
    fill_sides();
    begin_grids(T, W, NULL);
    restart(KD_LOSS_VARIATIONAL, NULL, 1);
    OK(run_grids(T, F, ds, NULL, &plenty));
    const int64_t parameters = gradients(dp);
    o.memory_limit = 200; /* not even a sample's rows */
    t.student_output = t.teacher_field = "hidden";
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, &o));
    OK(kd_loss_add(loss, KD_LOSS_VARIATIONAL, 0.7, &t, NULL));
    add_projection(0, KD_PROJECTION_LINEAR_BIAS, 0, NULL);
    OK(run_grids(T, F, side_ds, NULL, &little));
    NEAR(little.value, plenty.value, 1e-12);
    for (int i = 0; i < S * T * F; i++) NEAR((double)side_ds[i], (double)ds[i], 1e-7);
    gradients(little_dp);
    for (int64_t i = 0; i < parameters; i++) NEAR((double)little_dp[i], (double)dp[i], 1e-6);
}
END_TEST

START_TEST(threads_change_no_bit)
{
    static float ds[4][S * T * F], dp[4][64];
    double value[4];
    kd_loss_result result;
    for (int i = 0; i < 4; i++) {
        teardown();
        ctx = make_context(1 + i);
        OK(kd_batch_create(&batch, ctx, NULL));
        OK(kd_targets_create(&targets, ctx, NULL));
        OK(kd_loss_create(&loss, ctx, NULL));
        fill_sides();
        restart(KD_LOSS_HIDDEN_COSINE, NULL, 1);
        begin_grids(T, W, NULL);
        OK(run_grids(T, F, ds[i], NULL, &result));
        gradients(dp[i]);
        value[i] = result.value;
        ck_assert(value[i] == value[0]);
        ck_assert_mem_eq(ds[i], ds[0], sizeof ds[0]);
        ck_assert_mem_eq(dp[i], dp[0], sizeof dp[0]);
    }
}
END_TEST

/* The query's rows are samples x T. */
START_TEST(memory_is_what_the_query_says_and_does_not_grow)
{
    kd_context_info before = { .struct_size = sizeof before }, after = before;
    kd_loss_result result;
    int64_t bytes;
    fill_sides();
    restart(KD_LOSS_HIDDEN_COSINE, NULL, 1);
    begin_grids(T, W, NULL);
    OK(kd_context_get_info(ctx, &before));
    OK(run_grids(T, F, side_ds, NULL, &result));
    OK(kd_context_get_info(ctx, &after));
    OK(kd_loss_estimate_memory(loss, S * T, W, 0, 0, &bytes, NULL));
    const int64_t taken = (int64_t)(after.peak_bytes - before.bytes);
    ck_assert_msg(taken <= bytes + S * 256 + 4096, "%lld bytes taken, %lld told", (long long)taken,
                  (long long)bytes);
    before = after;
    begin_grids(T, W, NULL);
    OK(run_grids(T, F, side_ds, NULL, &result));
    OK(kd_context_get_info(ctx, &after));
    ck_assert_uint_eq(after.allocations, before.allocations);
}
END_TEST

/* ---- shapes ---- */

/* A store gives T x W numbers a sample: the student's shape says how they are cut. */
START_TEST(a_teacher_of_flat_rows_is_cut_as_the_student_is)
{
    static float ds[S * T * F];
    kd_loss_result cubes, flat;
    fill_sides();
    restart(KD_LOSS_HIDDEN_COSINE, NULL, 1);
    begin_grids(T, W, NULL);
    OK(run_grids(T, F, ds, NULL, &cubes));
    restart(KD_LOSS_HIDDEN_COSINE, NULL, 1);
    begin_grids(0, (int64_t)T * W, NULL);
    OK(run_grids(T, F, side_ds, NULL, &flat));
    ck_assert(flat.value == cubes.value);
    ck_assert_mem_eq(side_ds, ds, sizeof ds);
    begin_grids(0, (int64_t)T * W - 1, NULL);
    FAILS(run_grids(T, F, side_ds, NULL, &flat), KD_ERR_SHAPE,
          "hidden cosine: each sample's output 'hidden' has 3 rows, the teacher's 'hidden' has 17 "
          "numbers, which are not as many rows");
}
END_TEST

START_TEST(both_sides_need_as_many_rows)
{
    kd_loss_result result;
    fill_sides();
    restart(KD_LOSS_HIDDEN_DISTANCE, NULL, 1);
    begin_grids(T, W, NULL);
    FAILS(
        run_grids(T - 1, F, side_ds, NULL, &result), KD_ERR_SHAPE,
        "hidden distance: each sample's output 'hidden' has 2 rows, the teacher's 'hidden' has 3: "
        "both sides need the same patches and tokens");
    FAILS(run_rows(S, F, side_ds, &result), KD_ERR_SHAPE,
          "each sample's 'hidden' has 3 rows at the teacher, output 'hidden' is one row: expected "
          "(samples, 3, width)");
    restart(KD_LOSS_HIDDEN_COSINE, NULL, 0);
    FAILS(run_grids(T, F, side_ds, NULL, &result), KD_ERR_SHAPE,
          "the student's 'hidden' has 4 numbers, the teacher's 'hidden' has 6: set a projection");
}
END_TEST

/* Labels of the batch may be the other side. */
START_TEST(numbers_of_the_batch_have_rows_as_well)
{
    static float ds[S * T * F];
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_result taught, labeled;
    fill_sides();
    restart(KD_LOSS_MEAN_SQUARED_ERROR, NULL, 1);
    begin_grids(T, W, NULL);
    OK(run_grids(T, F, ds, NULL, &taught));
    const kd_array ts = cube(side_t, S, T, W);
    o.label_field = "patches";
    restart(KD_LOSS_MEAN_SQUARED_ERROR, &o, 1);
    OK(kd_batch_set(batch, "patches", &ts, NULL));
    OK(run_grids(T, F, side_ds, NULL, &labeled));
    ck_assert(labeled.value == taught.value);
    ck_assert_mem_eq(side_ds, ds, sizeof ds);
    const kd_array other = cube(side_t, S, T - 1, W);
    OK(kd_batch_set(batch, "patches", &other, NULL));
    FAILS(run_grids(T, F, side_ds, NULL, &labeled), KD_ERR_SHAPE,
          "output 'hidden' has 3 rows, the teacher's 'patches' has 2");
}
END_TEST

/* Of rows of longer samples nothing is cut: their arrays are what they were. */
START_TEST(entries_that_are_no_samples_stay_whole)
{
    const int64_t ends[] = { 0, 3, S };
    const kd_array os = KD_ARRAY_1D(ends, KD_INT64, 3), ts = cube(side_t, S, T, F);
    static float flat[S * T * F];
    kd_loss_result result, rows;
    fill_sides();
    restart(KD_LOSS_HIDDEN_COSINE, NULL, 0);
    begin_rows(S, (int64_t)T * F);
    OK(run_rows(S, (int64_t)T * F, flat, &rows));
    OK(kd_batch_begin_packed(batch, &os));
    OK(kd_targets_begin(targets, S));
    OK(kd_targets_set(targets, "hidden", &ts, NULL));
    OK(run_grids(T, F, side_ds, NULL, &result));
    ck_assert(result.value == rows.value);
    ck_assert_mem_eq(side_ds, flat, sizeof flat);
}
END_TEST

/* Relations look at samples whole, whatever shape they have. */
START_TEST(relations_take_samples_whole)
{
    static float flat[S * T * F];
    kd_loss_result result, rows;
    fill_sides();
    restart(KD_LOSS_GRAM, NULL, 0);
    begin_rows(S, (int64_t)T * W);
    OK(run_rows(S, (int64_t)T * F, flat, &rows));
    begin_grids(2, (int64_t)T * W / 2, NULL); /* and of another number of rows */
    OK(run_grids(T, F, side_ds, NULL, &result));
    ck_assert(result.value == rows.value);
    ck_assert_mem_eq(side_ds, flat, sizeof flat);
    restart(KD_LOSS_GRAM, NULL, 1);
    FAILS(run_grids(T, F, side_ds, NULL, &result), KD_ERR_UNSUPPORTED,
          "Gram: each sample's 'hidden' has 3 rows of its own: relations of tokens (35 to 37) do "
          "not take them, and relations of samples (25 to 31) take them whole, without a "
          "projection");
}
END_TEST

/* Lengths and cosines are means over all rows. */
START_TEST(diagnostics_are_means_over_rows)
{
    kd_loss_diagnostics seen = { .struct_size = sizeof seen }, rows = seen;
    kd_loss_result result;
    fill_sides();
    restart(KD_LOSS_HIDDEN_COSINE, NULL, 0);
    OK(kd_loss_set_diagnostics(loss, 1));
    begin_rows((int64_t)S * T, F);
    OK(run_rows((int64_t)S * T, F, side_ds, &result));
    OK(kd_loss_get_diagnostics(loss, 0, &rows));
    begin_grids(T, F, NULL);
    OK(run_grids(T, F, side_ds, NULL, &result));
    OK(kd_loss_get_diagnostics(loss, 0, &seen));
    ck_assert_int_eq(seen.rows, S);
    NEAR(seen.student_norm, rows.student_norm, 1e-12);
    NEAR(seen.teacher_norm, rows.teacher_norm, 1e-12);
    NEAR(seen.cosine, rows.cosine, 1e-12);
}
END_TEST

Suite *grids_suite(void)
{
    Suite *suite = suite_create("grids");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, rows_inside_samples_are_compared_one_by_one, 0, KINDS);
    tcase_add_test(tests, counts_do_not_change_with_the_numbers_of_a_term);
    tcase_add_test(tests, masks_weights_and_presence_of_samples_hold_for_their_rows);
    tcase_add_test(tests, a_sample_with_a_row_that_is_not_finite_is_skipped_whole);
    tcase_add_test(tests, a_small_limit_of_memory_changes_no_value);
    tcase_add_test(tests, threads_change_no_bit);
    tcase_add_test(tests, memory_is_what_the_query_says_and_does_not_grow);
    tcase_add_test(tests, a_teacher_of_flat_rows_is_cut_as_the_student_is);
    tcase_add_test(tests, both_sides_need_as_many_rows);
    tcase_add_test(tests, numbers_of_the_batch_have_rows_as_well);
    tcase_add_test(tests, entries_that_are_no_samples_stay_whole);
    tcase_add_test(tests, relations_take_samples_whole);
    tcase_add_test(tests, diagnostics_are_means_over_rows);
    suite_add_tcase(suite, tests);
    return suite;
}
