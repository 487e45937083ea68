/* Terms that rank a query's candidates as a teacher does: values of the definition, gradients, what
 * the teacher's scores are, few candidates, other forms of sides, bits, what is refused. Values
 * beside PyTorch: tests/property/pair_terms.py. */
#include <kdistill/contrast.h>

#include "featurekit.h"

/* Queries 0, 1, 2 have 4, 1 and 3 candidates; one candidate is of no query. */
enum { ROWS = 12, WIDTH = 5 };
static int64_t sides[ROWS] = { 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1 };
static int64_t groups[ROWS] = { 0, 0, 0, 1, 1, 0, 0, 2, 2, 2, 2, 9 };
static float scores[ROWS];
static const int32_t kinds[] = { KD_LOSS_MARGIN_MSE, KD_LOSS_LISTWISE_KL };

static kd_pair_options one_output(void)
{
    kd_pair_options o = KD_PAIR_OPTIONS_INIT;
    o.side_field = "side";
    o.group_field = "group";
    return o;
}

static void restart(int32_t kind, const kd_pair_options *pairs)
{
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    add_feature(kind);
    OK(kd_loss_set_pairs(loss, 0, pairs));
    OK(kd_loss_set(loss, 0, KD_TERM_SCALE, 3));
}

static void begin_queries(int64_t rows)
{
    kd_array s = KD_ARRAY_2D(scores, KD_FLOAT32, rows, 1);
    OK(kd_batch_begin(batch, rows));
    OK(kd_targets_begin(targets, rows));
    OK(kd_targets_set(targets, "score", &s, NULL));
    set_integers("side", sides, rows);
    set_integers("group", groups, rows);
}

static void fill_queries(void)
{
    fill(side_s, ROWS * WIDTH, 1.3);
    for (int i = 0; i < ROWS; i++) scores[i] = (float)(4 * sin(2.2 + i * 1.7));
}

/* ---- the definition, in double ---- */

static double score(int64_t i, int64_t j)
{
    double ab = 0, aa = 0, bb = 0;
    for (int k = 0; k < WIDTH; k++) {
        const double a = side_s[i * WIDTH + k], b = side_s[j * WIDTH + k];
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    return 3 * ab / sqrt(aa * bb);
}

static int is_candidate(int64_t i, int64_t j) { return sides[j] == 1 && groups[j] == groups[i]; }

static double margins(int64_t i, double teacher_scale)
{
    double sum = 0;
    int pairs = 0;
    for (int64_t j = 0; j < ROWS; j++)
        for (int64_t k = 0; k < j; k++) {
            if (!is_candidate(i, j) || !is_candidate(i, k)) continue;
            const double taught = teacher_scale * ((double)scores[j] - scores[k]);
            sum += pow(score(i, j) - score(i, k) - taught, 2);
            pairs++;
        }
    return sum / pairs;
}

static double divergence(int64_t i, double teacher_scale)
{
    double all_p = 0, all_q = 0, sum = 0;
    for (int64_t j = 0; j < ROWS; j++)
        if (is_candidate(i, j)) {
            all_p += exp(teacher_scale * scores[j]);
            all_q += exp(score(i, j));
        }
    for (int64_t j = 0; j < ROWS; j++)
        if (is_candidate(i, j)) {
            const double log_p = teacher_scale * scores[j] - log(all_p);
            sum += exp(log_p) * (log_p - score(i, j) + log(all_q));
        }
    return sum;
}

START_TEST(values_are_those_of_the_definition)
{
    const int32_t kind = kinds[_i];
    double (*of)(int64_t, double) = kind == KD_LOSS_MARGIN_MSE ? margins : divergence;
    const kd_pair_options o = one_output();
    kd_loss_result result;
    fill_queries();
    restart(kind, &o);
    begin_queries(ROWS);
    OK(run_rows(ROWS, WIDTH, side_ds, &result));
    NEAR(result.value, (of(0, 1) + of(7, 1)) / 2, 1e-5); /* query 1 has one candidate */
    NEAR(result.sum[0] / (double)result.rows[0], result.value, 1e-9);
    OK(kd_loss_set(loss, 0, KD_TERM_TEACHER_SCALE, 0.25));
    OK(run_rows(ROWS, WIDTH, side_ds, &result));
    NEAR(result.value, (of(0, 0.25) + of(7, 0.25)) / 2, 1e-5);
}
END_TEST

static double slope(float *x)
{
    const float kept = *x;
    kd_loss_result above, below;
    volatile float up = kept + 0.001f, down = kept - 0.001f;
    *x = up;
    OK(run_rows(ROWS, WIDTH, NULL, &above));
    *x = down;
    OK(run_rows(ROWS, WIDTH, NULL, &below));
    *x = kept;
    return (above.value - below.value) / ((double)up - down);
}

START_TEST(gradients_are_those_of_differences)
{
    const kd_pair_options o = one_output();
    kd_loss_result result;
    for (int normalize = KD_NORMALIZE_NONE; normalize <= KD_NORMALIZE_ROWS; normalize++) {
        fill_queries();
        restart(kinds[_i], &o);
        OK(kd_loss_set(loss, 0, KD_TERM_NORMALIZE, normalize));
        begin_queries(ROWS);
        OK(run_rows(ROWS, WIDTH, side_ds, &result));
        for (int i = 0; i < ROWS * WIDTH; i++) NEAR(side_ds[i], slope(&side_s[i]), 4e-3);
    }
    for (int k = 0; k < WIDTH; k++) ck_assert_float_eq(side_ds[3 * WIDTH + k], 0); /* query 1 */
}
END_TEST

/* Only differences of scores count, and a student that has them all is done. */
START_TEST(a_student_with_the_teachers_margins_costs_nothing)
{
    const kd_pair_options o = one_output();
    kd_loss_result result;
    fill_queries();
    for (int i = 0; i < ROWS; i++) scores[i] = 0;
    for (int j = 0; j < ROWS; j++)
        for (int i = 0; i < ROWS; i++)
            if (sides[i] == 0 && is_candidate(i, j)) scores[j] = (float)(score(i, j) + 50);
    restart(kinds[_i], &o);
    begin_queries(ROWS);
    OK(run_rows(ROWS, WIDTH, side_ds, &result));
    NEAR(result.value, 0, 1e-6);
    for (int i = 0; i < ROWS * WIDTH; i++) NEAR(side_ds[i], 0, 1e-4);
}
END_TEST

/* A query beside each of its candidates: two outputs, and a teacher's vectors for the second. */
START_TEST(two_outputs_are_the_mean_over_their_rows)
{
    static float candidates[ROWS * WIDTH];
    static int64_t queries[ROWS] = { 0, 0, 0, 0, 2, 2, 2, 5 };
    enum { PAIRS = 8 };
    static const int from[PAIRS] = { 1, 2, 5, 6, 8, 9, 10, 4 },
                     of[PAIRS] = { 0, 0, 0, 0, 7, 7, 7, 3 };
    double (*value)(int64_t, double) = kinds[_i] == KD_LOSS_MARGIN_MSE ? margins : divergence;
    kd_pair_options o = KD_PAIR_OPTIONS_INIT;
    kd_loss_result result = { .struct_size = sizeof result };
    fill_queries();
    const double expected = (4 * value(0, 1) + 3 * value(7, 1)) / 7;
    float kept[ROWS * WIDTH], own[PAIRS];
    memcpy(kept, side_s, sizeof kept);
    for (int i = 0; i < PAIRS; i++) {
        memcpy(side_s + i * WIDTH, kept + of[i] * WIDTH, WIDTH * sizeof *kept);
        memcpy(candidates + i * WIDTH, kept + from[i] * WIDTH, WIDTH * sizeof *kept);
        own[i] = scores[from[i]];
    }
    memcpy(scores, own, sizeof own);
    kd_array x = KD_ARRAY_2D(side_s, KD_FLOAT32, PAIRS, WIDTH),
             dx = KD_ARRAY_2D(side_ds, KD_FLOAT32, PAIRS, WIDTH),
             y = KD_ARRAY_2D(candidates, KD_FLOAT32, PAIRS, WIDTH);
    kd_loss_output outputs[] = { { sizeof *outputs, 0, "hidden", &x, &dx, NULL },
                                 { sizeof *outputs, 0, "other", &y, NULL, NULL } };
    o.group_field = "group";
    for (int constant = 0; constant < 2; constant++) {
        o.other_output = constant ? "teacher:passage" : "other";
        restart(kinds[_i], &o);
        begin_queries(PAIRS);
        set_integers("group", queries, PAIRS);
        OK(kd_targets_set(targets, "passage", &y, NULL));
        OK(kd_loss_evaluate(loss, outputs, 2 - constant, batch, targets, NULL, &result));
        NEAR(result.value, expected, 1e-5);
    }
}
END_TEST

START_TEST(queries_without_two_candidates_add_nothing_and_are_counted)
{
    const kd_pair_options o = one_output();
    kd_loss_diagnostics seen = { .struct_size = sizeof seen };
    kd_loss_result result;
    fill_queries();
    restart(kinds[_i], &o);
    OK(kd_loss_set_diagnostics(loss, 1));
    begin_queries(ROWS);
    for (int i = 0; i < ROWS; i++) groups[i] += 20 * sides[i];
    set_integers("group", groups, ROWS);
    for (int i = 0; i < ROWS; i++) groups[i] -= 20 * sides[i];
    OK(run_rows(ROWS, WIDTH, side_ds, &result));
    ck_assert_double_eq(result.value, 0);
    ck_assert_int_eq(result.rows[0], 0);
    for (int i = 0; i < ROWS * WIDTH; i++) ck_assert_float_eq(side_ds[i], 0);
    OK(kd_loss_get_diagnostics(loss, 0, &seen));
    ck_assert_int_eq(seen.degenerate, 1);
}
END_TEST

/* One query and its candidates are a batch: nothing else is asked of groups. */
START_TEST(diagnostics_tell_the_place_of_the_teachers_favorite)
{
    const kd_pair_options o = one_output();
    kd_loss_diagnostics seen = { .struct_size = sizeof seen };
    kd_loss_result result;
    int64_t rank = 1;
    fill_queries();
    restart(kinds[_i], &o);
    OK(kd_loss_set_diagnostics(loss, 1));
    begin_queries(3);
    rank += score(0, scores[1] > scores[2] ? 2 : 1) > score(0, scores[1] > scores[2] ? 1 : 2);
    OK(run_rows(3, WIDTH, side_ds, &result));
    ck_assert(result.value > 0);
    OK(kd_loss_get_diagnostics(loss, 0, &seen));
    ck_assert_double_eq(seen.positive_rank, (double)rank);
    ck_assert_double_eq(seen.in_batch_accuracy, rank == 1);
}
END_TEST

static void run_with(int threads, int64_t limit, float *ds, double *value)
{
    const kd_pair_options o = one_output();
    kd_loss_options options = KD_LOSS_OPTIONS_INIT;
    kd_loss_result result;
    teardown();
    ctx = make_context(threads);
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    options.memory_limit = limit;
    OK(kd_loss_create(&loss, ctx, &options));
    add_feature(kinds[0]);
    add_feature(kinds[1]);
    OK(kd_loss_set_pairs(loss, 0, &o));
    OK(kd_loss_set_pairs(loss, 1, &o));
    begin_queries(ROWS);
    OK(run_rows(ROWS, WIDTH, ds, &result));
    *value = result.value;
}

START_TEST(any_threads_and_any_limit_give_the_same_bits)
{
    static float one[ROWS * WIDTH], other[ROWS * WIDTH];
    double first, value;
    fill_queries();
    run_with(1, 1 << 20, one, &first);
    for (int threads = 1; threads < 4; threads++) {
        run_with(threads, 256, other, &value);
        ck_assert_double_eq(value, first);
        ck_assert(!memcmp(one, other, sizeof one));
    }
}
END_TEST

START_TEST(what_a_ranking_has_not_is_refused)
{
    const int32_t term = add_feature(kinds[_i]);
    kd_pair_options o = one_output();
    kd_loss_result result;
    o.group_field = NULL;
    FAILS(kd_loss_set_pairs(loss, term, &o), KD_ERR_INVALID, "needs group_field");
    o.side_field = NULL;
    o.other_output = "other";
    FAILS(kd_loss_set_pairs(loss, term, &o), KD_ERR_INVALID, "needs group_field");
    o = one_output();
    o.directions = KD_DIRECTION_TO_OTHER;
    FAILS(kd_loss_set_pairs(loss, term, &o), KD_ERR_INVALID, "has no directions");
    o = one_output();
    o.positives = KD_POSITIVES_MASK;
    FAILS(kd_loss_set_pairs(loss, term, &o), KD_ERR_INVALID, "has no positives");
    o = one_output();
    o.other_teacher_field = "other";
    FAILS(kd_loss_set_pairs(loss, term, &o), KD_ERR_INVALID, "candidates' scores: 'score'");
    o = one_output();
    OK(kd_loss_set_pairs(loss, term, &o));
    fill_queries();
    fill(side_t, ROWS * 2, 0.3);
    begin_queries(ROWS);
    kd_array two = KD_ARRAY_2D(side_t, KD_FLOAT32, ROWS, 2);
    OK(kd_targets_set(targets, "score", &two, NULL));
    FAILS(run_rows(ROWS, WIDTH, side_ds, &result), KD_ERR_SHAPE, "expected one number a row");
    scores[4] = NAN;
    begin_queries(ROWS);
    FAILS(run_rows(ROWS, WIDTH, side_ds, &result), KD_ERR_NONFINITE, "row 4");
}
END_TEST

Suite *rankings_suite(void)
{
    Suite *suite = suite_create("rankings");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, values_are_those_of_the_definition, 0, 2);
    tcase_add_loop_test(tests, gradients_are_those_of_differences, 0, 2);
    tcase_add_loop_test(tests, a_student_with_the_teachers_margins_costs_nothing, 0, 2);
    tcase_add_loop_test(tests, two_outputs_are_the_mean_over_their_rows, 0, 2);
    tcase_add_loop_test(tests, queries_without_two_candidates_add_nothing_and_are_counted, 0, 2);
    tcase_add_loop_test(tests, diagnostics_tell_the_place_of_the_teachers_favorite, 0, 2);
    tcase_add_test(tests, any_threads_and_any_limit_give_the_same_bits);
    tcase_add_loop_test(tests, what_a_ranking_has_not_is_refused, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}
