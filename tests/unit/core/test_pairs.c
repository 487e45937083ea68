/* Terms of two sides: gradients, groups, directions, sides of one output, scales, what is refused,
 * few rows, bits, memory. Values beside PyTorch: tests/property/pair_terms.py. */
#include <kdistill/contrast.h>

#include "featurekit.h"

enum { ROWS = 7, WIDTH = 5, TAUGHT = 3 };

static float side_b[MOST_NUMBERS], side_db[MOST_NUMBERS], taught_b[MOST_NUMBERS];
static float log_scale[1], dlog_scale[1];
static int is_learned; /* the scale is an output */
static int64_t groups[MOST_NUMBERS], sides[MOST_NUMBERS];

static const int32_t kinds[] = { KD_LOSS_CONTRASTIVE, KD_LOSS_SIGMOID_CONTRASTIVE,
                                 KD_LOSS_AFFINITY_KL };

static kd_pair_options pairs_of(int32_t kind)
{
    kd_pair_options o = KD_PAIR_OPTIONS_INIT;
    o.other_output = "other";
    if (kind == KD_LOSS_AFFINITY_KL) o.other_teacher_field = "other";
    return o;
}

/* A loss with one term; both sides and the teacher's filled. */
static void restart(int32_t kind, const kd_pair_options *pairs)
{
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    add_feature(kind);
    OK(kd_loss_set_pairs(loss, 0, pairs));
    is_learned = pairs->scale_output != NULL;
    OK(kd_loss_set(loss, 0, KD_TERM_SCALE, 6));
    if (kind == KD_LOSS_SIGMOID_CONTRASTIVE) OK(kd_loss_set(loss, 0, KD_TERM_BIAS, -1.5));
}

static void fill_sides(int64_t rows, int64_t width)
{
    fill(side_s, rows * width, 1.3);
    fill(side_b, rows * width, 2.7);
    fill(side_t, rows * TAUGHT, 2.1);
    fill(taught_b, rows * TAUGHT, 0.9);
}

static void begin_pairs(int64_t rows)
{
    kd_array other = KD_ARRAY_2D(taught_b, KD_FLOAT32, rows, TAUGHT);
    begin_rows(rows, TAUGHT);
    OK(kd_targets_set(targets, "other", &other, NULL));
}

/* Both outputs and the scale, with gradients or without. */
static kd_status run_pairs(int64_t rows, int64_t width, int gradients, kd_loss_result *result)
{
    kd_array a = KD_ARRAY_2D(side_s, KD_FLOAT32, rows, width),
             b = KD_ARRAY_2D(side_b, KD_FLOAT32, rows, width),
             da = KD_ARRAY_2D(side_ds, KD_FLOAT32, rows, width),
             db = KD_ARRAY_2D(side_db, KD_FLOAT32, rows, width),
             s = KD_ARRAY_1D(log_scale, KD_FLOAT32, 1), ds = KD_ARRAY_1D(dlog_scale, KD_FLOAT32, 1);
    kd_loss_output outputs[] = {
        { sizeof *outputs, 0, "hidden", &a, gradients ? &da : NULL, NULL },
        { sizeof *outputs, 0, "other", &b, gradients ? &db : NULL, NULL },
        { sizeof *outputs, 0, "logit_scale", &s, gradients ? &ds : NULL, NULL },
    };
    memset(result, 0, sizeof *result);
    result->struct_size = sizeof *result;
    return kd_loss_evaluate(loss, outputs, 2 + is_learned, batch, targets, NULL, result);
}

/* d value / d x of one number, by a difference as long as float32 allows. */
static double slope(float *x, int64_t rows, int64_t width)
{
    const float kept = *x;
    kd_loss_result above, below;
    volatile float up = kept + 0.001f, down = kept - 0.001f;
    *x = up;
    OK(run_pairs(rows, width, 0, &above));
    *x = down;
    OK(run_pairs(rows, width, 0, &below));
    *x = kept;
    return (above.value - below.value) / ((double)up - down);
}

static void check_gradients(int64_t rows, int64_t width)
{
    kd_loss_result result;
    OK(run_pairs(rows, width, 1, &result));
    ck_assert(result.value > 0);
    for (int64_t i = 0; i < rows * width; i++) {
        NEAR(side_ds[i], slope(&side_s[i], rows, width), 2e-3);
        NEAR(side_db[i], slope(&side_b[i], rows, width), 2e-3);
    }
}

/* ---- values and gradients ---- */

START_TEST(gradients_are_those_of_differences)
{
    const int32_t kind = kinds[_i];
    kd_pair_options o = pairs_of(kind);
    fill_sides(ROWS, WIDTH);
    for (int i = 0; i < ROWS; i++) groups[i] = i / 2;
    log_scale[0] = 1.4f;
    o.scale_output = "logit_scale";
    for (int directions = 0; directions < (kind == KD_LOSS_SIGMOID_CONTRASTIVE ? 1 : 3);
         directions++)
        for (int grouped = 0; grouped < (kind == KD_LOSS_AFFINITY_KL ? 1 : 3); grouped++)
            for (int normalize = KD_NORMALIZE_NONE; normalize <= KD_NORMALIZE_LAYER; normalize++) {
                o.directions = directions;
                o.group_field = grouped ? "group" : NULL;
                o.positives = grouped == 2;
                restart(kind, &o);
                OK(kd_loss_set(loss, 0, KD_TERM_NORMALIZE, normalize));
                if (kind == KD_LOSS_AFFINITY_KL) OK(kd_loss_set(loss, 0, KD_TERM_TEACHER_SCALE, 4));
                begin_pairs(ROWS);
                set_integers("group", groups, ROWS);
                check_gradients(ROWS, WIDTH);
                NEAR(dlog_scale[0], slope(log_scale, ROWS, WIDTH), 2e-3);
            }
}
END_TEST

/* The definition, of rows of length 1, in double. */
static double unit_dot(int64_t i, int64_t j)
{
    double ab = 0, aa = 0, bb = 0;
    for (int k = 0; k < WIDTH; k++) {
        const double a = side_s[i * WIDTH + k], b = side_b[j * WIDTH + k];
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    return ab / sqrt(aa * bb);
}

static double one_way(int64_t i, int reversed, double scale)
{
    double sum = 0;
    for (int64_t j = 0; j < ROWS; j++)
        sum += exp(scale * (reversed ? unit_dot(j, i) : unit_dot(i, j)));
    return log(sum) - scale * unit_dot(i, i);
}

START_TEST(a_contrast_is_the_mean_of_both_cross_entropies)
{
    kd_pair_options o = pairs_of(KD_LOSS_CONTRASTIVE);
    kd_loss_result result;
    fill_sides(ROWS, WIDTH);
    for (int directions = 0; directions < 3; directions++) {
        double expected = 0;
        for (int64_t i = 0; i < ROWS; i++) {
            if (directions != KD_DIRECTION_FROM_OTHER) expected += one_way(i, 0, 6) / ROWS;
            if (directions != KD_DIRECTION_TO_OTHER) expected += one_way(i, 1, 6) / ROWS;
        }
        o.directions = directions;
        restart(KD_LOSS_CONTRASTIVE, &o);
        begin_pairs(ROWS);
        OK(run_pairs(ROWS, WIDTH, 1, &result));
        NEAR(result.value, directions ? expected : expected / 2, 1e-6);
        NEAR(result.sum[0] / (double)result.rows[0], result.value, 1e-12);
    }
}
END_TEST

START_TEST(a_teacher_that_is_equalled_costs_nothing)
{
    kd_pair_options o = pairs_of(KD_LOSS_AFFINITY_KL);
    kd_loss_result result;
    fill_sides(ROWS, TAUGHT);
    memcpy(side_s, side_t, sizeof side_t);
    memcpy(side_b, taught_b, sizeof taught_b);
    restart(KD_LOSS_AFFINITY_KL, &o);
    begin_pairs(ROWS);
    OK(run_pairs(ROWS, TAUGHT, 1, &result));
    NEAR(result.value, 0, 1e-6);
    for (int i = 0; i < ROWS * TAUGHT; i++) NEAR(side_ds[i], 0, 1e-6);
    OK(kd_loss_set(loss, 0, KD_TERM_TEACHER_SCALE, 12));
    OK(run_pairs(ROWS, TAUGHT, 1, &result));
    ck_assert(result.value > 0.01);
}
END_TEST

/* ---- other forms of sides ---- */

/* Anchors and candidates in one output give what two outputs of the same rows give. */
START_TEST(sides_of_one_output_are_as_two_outputs)
{
    const int32_t kind = kinds[_i];
    static float both[2 * ROWS * WIDTH], dboth[2 * ROWS * WIDTH], taught[2 * ROWS * TAUGHT];
    kd_pair_options o = pairs_of(kind);
    kd_loss_result two, one = { .struct_size = sizeof one };
    fill_sides(ROWS, WIDTH);
    for (int i = 0; i < ROWS; i++) groups[i] = i / 2;
    if (kind != KD_LOSS_AFFINITY_KL) o.group_field = "group";
    restart(kind, &o);
    begin_pairs(ROWS);
    set_integers("group", groups, ROWS);
    OK(run_pairs(ROWS, WIDTH, 1, &two));
    for (int i = 0; i < ROWS; i++) { /* one after the other, and a row of neither side at the end */
        memcpy(both + 2 * i * WIDTH, side_s + i * WIDTH, WIDTH * sizeof *both);
        memcpy(both + (2 * i + 1) * WIDTH, side_b + i * WIDTH, WIDTH * sizeof *both);
        memcpy(taught + 2 * i * TAUGHT, side_t + i * TAUGHT, TAUGHT * sizeof *both);
        memcpy(taught + (2 * i + 1) * TAUGHT, taught_b + i * TAUGHT, TAUGHT * sizeof *both);
    }
    for (int i = 0; i < 2 * ROWS; i++) {
        groups[i] = i / 4;
        sides[i] = i % 2;
    }
    o.other_output = o.other_teacher_field = NULL;
    o.side_field = "side";
    restart(kind, &o);
    kd_array x = KD_ARRAY_2D(both, KD_FLOAT32, 2 * ROWS, WIDTH),
             dx = KD_ARRAY_2D(dboth, KD_FLOAT32, 2 * ROWS, WIDTH),
             t = KD_ARRAY_2D(taught, KD_FLOAT32, 2 * ROWS, TAUGHT);
    kd_loss_output output = { sizeof output, 0, "hidden", &x, &dx, NULL };
    OK(kd_batch_begin(batch, 2 * ROWS));
    OK(kd_targets_begin(targets, 2 * ROWS));
    OK(kd_targets_set(targets, "hidden", &t, NULL));
    set_integers("group", groups, 2 * ROWS);
    set_integers("side", sides, 2 * ROWS);
    OK(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, &one));
    NEAR(one.value, two.value, 1e-6);
    NEAR(one.sum[0] / (double)one.rows[0], one.value, 1e-9);
    ck_assert_int_eq(one.rows[0], 2 * ROWS);
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < WIDTH; k++) {
            NEAR(dboth[2 * i * WIDTH + k], side_ds[i * WIDTH + k], 1e-6);
            NEAR(dboth[(2 * i + 1) * WIDTH + k], side_db[i * WIDTH + k], 1e-6);
        }
}
END_TEST

START_TEST(a_teachers_field_may_be_the_candidates)
{
    kd_pair_options o = pairs_of(KD_LOSS_CONTRASTIVE);
    kd_loss_result live, constant;
    fill_sides(ROWS, TAUGHT);
    memcpy(side_b, taught_b, sizeof taught_b);
    restart(KD_LOSS_CONTRASTIVE, &o);
    begin_pairs(ROWS);
    OK(run_pairs(ROWS, TAUGHT, 1, &live));
    float kept[ROWS * TAUGHT];
    memcpy(kept, side_ds, sizeof kept);
    o.other_output = "teacher:other";
    restart(KD_LOSS_CONTRASTIVE, &o);
    OK(run_pairs(ROWS, TAUGHT, 1, &constant));
    ck_assert_double_eq(constant.value, live.value);
    ck_assert(!memcmp(kept, side_ds, sizeof kept));
    fill_sides(ROWS, WIDTH);
    FAILS(run_pairs(ROWS, WIDTH, 1, &constant), KD_ERR_SHAPE,
          "'hidden' has 5 numbers, 'other' has 3");
}
END_TEST

/* ---- rows that are not there ---- */

START_TEST(rows_without_a_group_or_a_mask_leave_the_batch)
{
    static uint8_t present[ROWS] = { 1, 1, 0, 1, 1, 1, 1 };
    static float on[ROWS] = { 1, 1, 1, 1, 0, 1, 1 };
    kd_pair_options o = pairs_of(KD_LOSS_CONTRASTIVE);
    kd_term_options t = KD_TERM_OPTIONS_INIT;
    kd_loss_result whole, part;
    kd_array g = KD_ARRAY_1D(groups, KD_INT64, ROWS), p = KD_ARRAY_1D(present, KD_UINT8, ROWS),
             m = KD_ARRAY_1D(on, KD_FLOAT32, ROWS);
    fill_sides(ROWS, WIDTH);
    for (int i = 0; i < ROWS; i++) groups[i] = i;
    o.group_field = "group";
    t.mask_field = "mask";
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_CONTRASTIVE, 1, &t, NULL));
    OK(kd_loss_set_pairs(loss, 0, &o));
    begin_pairs(ROWS);
    OK(kd_batch_set(batch, "group", &g, &p));
    OK(kd_batch_set(batch, "mask", &m, NULL));
    OK(run_pairs(ROWS, WIDTH, 1, &part));
    ck_assert_int_eq(part.rows[0], ROWS - 2);
    for (int k = 0; k < WIDTH; k++) {
        ck_assert_float_eq(side_ds[2 * WIDTH + k], 0);
        ck_assert_float_eq(side_db[4 * WIDTH + k], 0);
    }
    int64_t to = 0;
    for (int i = 0; i < ROWS; i++) {
        if (i == 2 || i == 4) continue;
        memmove(side_s + to * WIDTH, side_s + i * WIDTH, WIDTH * sizeof *side_s);
        memmove(side_b + to * WIDTH, side_b + i * WIDTH, WIDTH * sizeof *side_b);
        to++;
    }
    o.group_field = NULL;
    restart(KD_LOSS_CONTRASTIVE, &o);
    OK(kd_loss_set(loss, 0, KD_TERM_SCALE, 20));
    begin_pairs(to);
    OK(run_pairs(to, WIDTH, 1, &whole));
    ck_assert_double_eq(part.value, whole.value);
}
END_TEST

START_TEST(a_row_of_zeros_is_refused_or_skipped)
{
    kd_pair_options o = pairs_of(kinds[_i]);
    kd_term_options t = KD_TERM_OPTIONS_INIT;
    kd_loss_result result;
    for (int skip = 0; skip < 2; skip++) {
        fill_sides(ROWS, WIDTH);
        memset(side_b + 3 * WIDTH, 0, WIDTH * sizeof *side_b);
        t.nonfinite = skip ? KD_NONFINITE_SKIP : KD_NONFINITE_REFUSE;
        kd_loss_free(loss);
        OK(kd_loss_create(&loss, ctx, NULL));
        OK(kd_loss_add(loss, kinds[_i], 1, &t, NULL));
        OK(kd_loss_set_pairs(loss, 0, &o));
        begin_pairs(ROWS);
        if (!skip) FAILS(run_pairs(ROWS, WIDTH, 1, &result), KD_ERR_NONFINITE, "row 3");
        else OK(run_pairs(ROWS, WIDTH, 1, &result));
    }
    ck_assert_int_eq(result.skipped[0], 1);
    ck_assert_int_eq(result.rows[0], ROWS - 1);
    for (int k = 0; k < WIDTH; k++) ck_assert_float_eq(side_ds[3 * WIDTH + k], 0);
}
END_TEST

START_TEST(a_batch_without_pairs_adds_nothing_and_is_counted)
{
    kd_pair_options o = pairs_of(kinds[_i]);
    kd_loss_result result;
    kd_loss_diagnostics seen = { .struct_size = sizeof seen };
    const int grouped = kinds[_i] != KD_LOSS_AFFINITY_KL;
    fill_sides(ROWS, WIDTH);
    o.group_field = grouped ? "group" : NULL;
    restart(kinds[_i], &o);
    OK(kd_loss_set_diagnostics(loss, 1));
    for (int i = 0; i < ROWS; i++) groups[i] = 5;
    for (int turn = 0; turn < 1 + grouped; turn++) {
        const int rows = turn ? ROWS : 1;
        begin_pairs(rows);
        set_integers("group", groups, rows);
        OK(run_pairs(rows, WIDTH, 1, &result));
        ck_assert_double_eq(result.value, 0);
        ck_assert_int_eq(result.rows[0], 0);
        OK(kd_loss_get_diagnostics(loss, 0, &seen));
        ck_assert_int_eq(seen.degenerate, turn + 1);
        for (int i = 0; i < rows * WIDTH; i++)
            ck_assert(side_ds[i] == 0 && side_db[i] == 0); /* NOLINT: exactly */
    }
}
END_TEST

/* ---- scale ---- */

START_TEST(a_scale_above_100_counts_as_100)
{
    kd_pair_options o = pairs_of(KD_LOSS_CONTRASTIVE);
    kd_loss_result learned, fixed;
    kd_loss_diagnostics seen = { .struct_size = sizeof seen };
    fill_sides(ROWS, WIDTH);
    o.scale_output = "logit_scale";
    restart(KD_LOSS_CONTRASTIVE, &o);
    OK(kd_loss_set_diagnostics(loss, 1));
    begin_pairs(ROWS);
    log_scale[0] = 6;
    OK(run_pairs(ROWS, WIDTH, 1, &learned));
    OK(kd_loss_get_diagnostics(loss, 0, &seen));
    ck_assert_int_eq(seen.guards, 1);
    NEAR(seen.scale, 100, 1e-9);
    o.scale_output = NULL;
    restart(KD_LOSS_CONTRASTIVE, &o);
    OK(kd_loss_set(loss, 0, KD_TERM_SCALE, 100));
    OK(run_pairs(ROWS, WIDTH, 1, &fixed));
    NEAR(learned.value, fixed.value, 1e-9);
    FAILS(kd_loss_set(loss, 0, KD_TERM_SCALE, 0), KD_ERR_RANGE, "scale: expected 1e-06 to 1000");
    FAILS(kd_loss_set(loss, 0, KD_TERM_SCALE, 1001), KD_ERR_RANGE, "scale: expected 1e-06 to 1000");
}
END_TEST

/* Of a locked side too, and alone. */
START_TEST(a_learned_scale_gets_its_gradient_whatever_else_does)
{
    const int32_t kind = kinds[_i];
    kd_pair_options o = pairs_of(kind);
    kd_loss_result result;
    float found[4];
    o.scale_output = "logit_scale";
    fill_sides(ROWS, WIDTH);
    log_scale[0] = 1.4f;
    for (int wanted = 0; wanted < 4; wanted++) {
        restart(kind, &o);
        begin_pairs(ROWS);
        kd_array a = KD_ARRAY_2D(side_s, KD_FLOAT32, ROWS, WIDTH),
                 b = KD_ARRAY_2D(side_b, KD_FLOAT32, ROWS, WIDTH),
                 da = KD_ARRAY_2D(side_ds, KD_FLOAT32, ROWS, WIDTH),
                 db = KD_ARRAY_2D(side_db, KD_FLOAT32, ROWS, WIDTH),
                 s = KD_ARRAY_1D(log_scale, KD_FLOAT32, 1),
                 ds = KD_ARRAY_1D(dlog_scale, KD_FLOAT32, 1);
        kd_loss_output outputs[] = {
            { sizeof *outputs, 0, "hidden", &a, wanted & 1 ? &da : NULL, NULL },
            { sizeof *outputs, 0, "other", &b, wanted & 2 ? &db : NULL, NULL },
            { sizeof *outputs, 0, "logit_scale", &s, &ds, NULL },
        };
        result = (kd_loss_result){ .struct_size = sizeof result };
        dlog_scale[0] = 0;
        OK(kd_loss_evaluate(loss, outputs, 3, batch, targets, NULL, &result));
        found[wanted] = dlog_scale[0];
        ck_assert(found[wanted] != 0);
        NEAR(found[wanted], found[0], 1e-5 * fabs(found[0]));
    }
    log_scale[0] = NAN;
    FAILS(run_pairs(ROWS, WIDTH, 1, &result), KD_ERR_NONFINITE, "scale_output 'logit_scale' is");
}
END_TEST

/* Products of finite numbers beyond float32 leave nothing behind. */
START_TEST(scores_beyond_float32_are_refused_or_leave_the_term_out)
{
    kd_pair_options o = pairs_of(KD_LOSS_CONTRASTIVE);
    kd_term_options t = KD_TERM_OPTIONS_INIT;
    kd_loss_result result;
    fill_sides(ROWS, WIDTH);
    for (int k = 0; k < WIDTH; k++) side_s[k] = side_b[k] = 3e19f;
    for (int policy = 0; policy < 2; policy++) {
        kd_loss_free(loss);
        t.student_output = "hidden";
        t.nonfinite = policy ? KD_NONFINITE_SKIP : KD_NONFINITE_REFUSE;
        OK(kd_loss_create(&loss, ctx, NULL));
        OK(kd_loss_add(loss, KD_LOSS_CONTRASTIVE, 1, &t, NULL));
        OK(kd_loss_set_pairs(loss, 0, &o));
        OK(kd_loss_set(loss, 0, KD_TERM_NORMALIZE, KD_NORMALIZE_NONE));
        is_learned = 0;
        begin_pairs(ROWS);
        if (!policy) {
            FAILS(run_pairs(ROWS, WIDTH, 1, &result), KD_ERR_NONFINITE, "");
            continue;
        }
        memset(side_ds, 0, sizeof side_ds);
        OK(run_pairs(ROWS, WIDTH, 1, &result));
        ck_assert_double_eq(result.value, 0);
        ck_assert_int_eq(result.rows[0], 0);
        for (int i = 0; i < ROWS * WIDTH; i++) ck_assert(side_ds[i] == 0);
    }
}
END_TEST

START_TEST(rows_are_counted_in_the_unit_of_their_fields)
{
    int64_t offsets[] = { 0, 4, ROWS };
    const kd_array at = KD_ARRAY_1D(offsets, KD_INT64, 3),
                   taught = KD_ARRAY_2D(taught_b, KD_FLOAT32, ROWS, TAUGHT);
    kd_pair_options o = KD_PAIR_OPTIONS_INIT;
    kd_loss_counts counts = { .struct_size = sizeof counts };
    fill_sides(ROWS, WIDTH);
    o.other_output = "teacher:other";
    restart(KD_LOSS_CONTRASTIVE, &o);
    OK(kd_batch_begin_packed(batch, &at));
    OK(kd_targets_begin(targets, ROWS));
    OK(kd_targets_set(targets, "other", &taught, NULL));
    OK(kd_loss_count(loss, batch, targets, &counts));
    ck_assert_int_eq(counts.rows[0], ROWS);
}
END_TEST

START_TEST(diagnostics_tell_the_place_of_the_positive)
{
    kd_pair_options o = pairs_of(KD_LOSS_CONTRASTIVE);
    kd_loss_result result;
    kd_loss_diagnostics seen = { .struct_size = sizeof seen };
    double first = 0, place = 0;
    fill_sides(ROWS, WIDTH);
    for (int64_t i = 0; i < ROWS; i++) {
        int rank = 1;
        for (int64_t j = 0; j < ROWS; j++) rank += unit_dot(i, j) > unit_dot(i, i);
        first += (double)(rank == 1) / ROWS;
        place += (double)rank / ROWS;
    }
    restart(KD_LOSS_CONTRASTIVE, &o);
    OK(kd_loss_set_diagnostics(loss, 1));
    begin_pairs(ROWS);
    OK(run_pairs(ROWS, WIDTH, 1, &result));
    OK(kd_loss_get_diagnostics(loss, 0, &seen));
    NEAR(seen.in_batch_accuracy, first, 1e-12);
    NEAR(seen.positive_rank, place, 1e-12);
    NEAR(seen.scale, 6, 1e-12);
}
END_TEST

/* Rows 2 i and 2 i + 1 of a side are opposite; the other side is the same, turned by a right angle
 * in each plane of two numbers. */
static void fill_opposite(int64_t rows, int64_t width)
{
    for (int64_t i = 0; i < rows * width; i += 2) {
        const double sign = i / width % 2 ? -1 : 1, angle = acos(-1) / 4 * (double)(i / width / 2);
        side_s[i] = (float)(sign * cos(angle));
        side_s[i + 1] = (float)(sign * sin(angle));
        side_b[i] = -side_s[i + 1];
        side_b[i + 1] = side_s[i];
    }
}

START_TEST(diagnostics_tell_how_both_sides_spread)
{
    enum { N = 8, D = 4 };
    kd_pair_options o = pairs_of(KD_LOSS_CONTRASTIVE);
    kd_loss_result result;
    kd_loss_diagnostics seen = { .struct_size = sizeof seen };
    double uniform = 0;
    fill_opposite(N, D);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < i; j++) {
            double apart = 0;
            for (int k = 0; k < D; k++) apart += pow(side_s[i * D + k] - side_s[j * D + k], 2) / 2;
            uniform += exp(-2 * apart) / (N * (N - 1) / 2);
        }
    restart(KD_LOSS_CONTRASTIVE, &o);
    OK(kd_loss_set_diagnostics(loss, 1));
    begin_pairs(N);
    OK(run_pairs(N, D, 1, &result));
    OK(kd_loss_get_diagnostics(loss, 0, &seen));
    NEAR(seen.alignment, 2, 1e-6); /* right angles */
    NEAR(seen.uniformity, log(uniform), 1e-6);
    NEAR(seen.modality_gap, 0, 1e-6);
    NEAR(seen.student_effective_rank, 2, 1e-4);
    for (int i = 0; i < N * D; i++) side_s[i] = 1; /* one point, beside one that is mean 0 */
    OK(run_pairs(N, D, 1, &result));
    OK(kd_loss_get_diagnostics(loss, 0, &seen));
    NEAR(seen.modality_gap, 1, 1e-6);
    NEAR(seen.uniformity, log(uniform) / 2, 1e-6);
    NEAR(seen.student_effective_rank, 1, 1e-5);
}
END_TEST

/* ---- bits and memory ---- */

enum { MANY = 90, WIDE = 33 };

START_TEST(any_threads_and_any_limit_give_the_same_bits)
{
    static const int32_t threads[] = { 1, 2, 5, 1 };
    static float kept[2][MANY * WIDE];
    double value = 0;
    for (int i = 0; i < 4; i++) {
        kd_loss_options limit = KD_LOSS_OPTIONS_INIT;
        kd_pair_options o = pairs_of(kinds[_i]);
        kd_loss_result result;
        teardown();
        ctx = make_context(threads[i]);
        OK(kd_batch_create(&batch, ctx, NULL));
        OK(kd_targets_create(&targets, ctx, NULL));
        if (i == 3) limit.memory_limit = 8 << 10;
        OK(kd_loss_create(&loss, ctx, &limit));
        add_feature(kinds[_i]);
        OK(kd_loss_set_pairs(loss, 0, &o));
        fill_sides(MANY, WIDE);
        begin_pairs(MANY);
        OK(run_pairs(MANY, WIDE, 1, &result));
        if (!i) {
            value = result.value;
            memcpy(kept[0], side_ds, sizeof kept[0]);
            memcpy(kept[1], side_db, sizeof kept[1]);
        }
        ck_assert_double_eq(result.value, value);
        ck_assert(!memcmp(kept[0], side_ds, sizeof kept[0]));
        ck_assert(!memcmp(kept[1], side_db, sizeof kept[1]));
    }
}
END_TEST

START_TEST(memory_is_what_the_query_says_and_does_not_grow)
{
    kd_context_info before = { .struct_size = sizeof before }, after = before;
    kd_pair_options o = pairs_of(kinds[_i]);
    kd_loss_result result;
    int64_t bytes;
    fill_sides(MANY, WIDE);
    begin_pairs(MANY);
    OK(kd_context_get_info(ctx, &before));
    restart(kinds[_i], &o);
    OK(kd_loss_estimate_memory(loss, MANY, WIDE, 0, 0, &bytes, NULL));
    OK(run_pairs(MANY, WIDE, 1, &result));
    OK(kd_context_get_info(ctx, &after));
    const int64_t taken = (int64_t)(after.peak_bytes - before.bytes);
    ck_assert_msg(taken <= bytes + MANY * 256 + 65536, "%lld bytes taken, %lld told",
                  (long long)taken, (long long)bytes);
    const uint64_t calls = after.allocations;
    for (int i = 0; i < 100; i++) OK(run_pairs(MANY, WIDE, 1, &result));
    OK(kd_context_get_info(ctx, &after));
    ck_assert_uint_eq(after.allocations, calls);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(sides_that_make_no_pairs_are_refused)
{
    kd_pair_options o = KD_PAIR_OPTIONS_INIT;
    kd_term_options t = KD_TERM_OPTIONS_INIT;
    kd_loss_result result;
    add_feature(KD_LOSS_CONTRASTIVE);
    FAILS(kd_loss_set_pairs(loss, 0, &o), KD_ERR_INVALID, "other_output: expected another output");
    o.other_output = "hidden";
    FAILS(kd_loss_set_pairs(loss, 0, &o), KD_ERR_INVALID, "other_output: expected another output");
    o.other_output = "other";
    o.side_field = "side";
    FAILS(kd_loss_set_pairs(loss, 0, &o), KD_ERR_INVALID, "but the other side is 'other'");
    o.other_output = NULL;
    FAILS(kd_loss_set_pairs(loss, 0, &o), KD_ERR_INVALID, "side_field needs group_field");
    o = pairs_of(KD_LOSS_AFFINITY_KL);
    FAILS(kd_loss_set_pairs(loss, 0, &o), KD_ERR_INVALID, "has no teacher");
    o = pairs_of(KD_LOSS_CONTRASTIVE);
    o.directions = 3;
    FAILS(kd_loss_set_pairs(loss, 0, &o), KD_ERR_RANGE, "directions: expected 0 to 2, got 3");
    o.directions = 0;
    fill_sides(ROWS, WIDTH);
    begin_pairs(ROWS);
    FAILS(run_pairs(ROWS, WIDTH, 1, &result), KD_ERR_INVALID, "kd_loss_set_pairs says");
    o.group_field = "caption";
    OK(kd_loss_set_pairs(loss, 0, &o));
    FAILS(kd_loss_set_pairs(loss, 0, &o), KD_ERR_STATE, "has its other side already");
    FAILS(run_pairs(ROWS, WIDTH, 1, &result), KD_ERR_NOT_FOUND, "no field 'caption'");
    t.weight_field = "weight";
    FAILS(kd_loss_add(loss, KD_LOSS_CONTRASTIVE, 1, &t, NULL), KD_ERR_UNSUPPORTED,
          "a row has no weight");
    t.weight_field = NULL;
    t.teacher_field = "embedding";
    FAILS(kd_loss_add(loss, KD_LOSS_CONTRASTIVE, 1, &t, NULL), KD_ERR_INVALID, "has no teacher");
}
END_TEST

START_TEST(options_that_a_kind_has_not_are_refused)
{
    kd_pair_options o = pairs_of(KD_LOSS_SIGMOID_CONTRASTIVE);
    kd_projection_options p = KD_PROJECTION_OPTIONS_INIT;
    int32_t term = add_feature(KD_LOSS_SIGMOID_CONTRASTIVE);
    o.directions = KD_DIRECTION_TO_OTHER;
    FAILS(kd_loss_set_pairs(loss, term, &o), KD_ERR_INVALID, "has no directions");
    FAILS(kd_loss_set_projection(loss, term, &p), KD_ERR_INVALID, "takes no projection");
    term = add_feature(KD_LOSS_AFFINITY_KL);
    o = pairs_of(KD_LOSS_CONTRASTIVE);
    FAILS(kd_loss_set_pairs(loss, term, &o), KD_ERR_INVALID, "other_teacher_field: expected");
    o.other_teacher_field = "other";
    o.group_field = "group";
    FAILS(kd_loss_set_pairs(loss, term, &o), KD_ERR_INVALID, "has no positives");
    term = add_feature(KD_LOSS_GRAM);
    FAILS(kd_loss_set_pairs(loss, term, &o), KD_ERR_INVALID, "has no other side");
}
END_TEST

START_TEST(a_side_is_0_or_1_or_none)
{
    kd_pair_options o = KD_PAIR_OPTIONS_INIT;
    kd_loss_result result;
    o.side_field = "side";
    o.group_field = "group";
    fill_sides(ROWS, WIDTH);
    for (int i = 0; i < ROWS; i++) {
        groups[i] = i / 2;
        sides[i] = i % 2;
    }
    sides[4] = 2;
    restart(KD_LOSS_CONTRASTIVE, &o);
    begin_pairs(ROWS);
    set_integers("group", groups, ROWS);
    set_integers("side", sides, ROWS);
    FAILS(run_pairs(ROWS, WIDTH, 1, &result), KD_ERR_RANGE, "row 4: side_field 'side'");
    sides[4] = -1;
    set_integers("side", sides, ROWS);
    OK(run_pairs(ROWS, WIDTH, 1, &result));
    ck_assert_int_eq(result.rows[0], ROWS - 1);
    check_gradients(ROWS, WIDTH);
}
END_TEST

Suite *pairs_suite(void)
{
    Suite *suite = suite_create("pairs");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, gradients_are_those_of_differences, 0, 3);
    tcase_add_test(tests, a_contrast_is_the_mean_of_both_cross_entropies);
    tcase_add_test(tests, a_teacher_that_is_equalled_costs_nothing);
    tcase_add_loop_test(tests, sides_of_one_output_are_as_two_outputs, 0, 3);
    tcase_add_test(tests, a_teachers_field_may_be_the_candidates);
    tcase_add_test(tests, rows_without_a_group_or_a_mask_leave_the_batch);
    tcase_add_loop_test(tests, a_row_of_zeros_is_refused_or_skipped, 0, 3);
    tcase_add_loop_test(tests, a_batch_without_pairs_adds_nothing_and_is_counted, 0, 3);
    tcase_add_test(tests, a_scale_above_100_counts_as_100);
    tcase_add_loop_test(tests, a_learned_scale_gets_its_gradient_whatever_else_does, 0, 3);
    tcase_add_test(tests, scores_beyond_float32_are_refused_or_leave_the_term_out);
    tcase_add_test(tests, rows_are_counted_in_the_unit_of_their_fields);
    tcase_add_test(tests, diagnostics_tell_the_place_of_the_positive);
    tcase_add_test(tests, diagnostics_tell_how_both_sides_spread);
    tcase_add_loop_test(tests, any_threads_and_any_limit_give_the_same_bits, 0, 3);
    tcase_add_test(tests, sides_that_make_no_pairs_are_refused);
    tcase_add_test(tests, options_that_a_kind_has_not_are_refused);
    tcase_add_test(tests, a_side_is_0_or_1_or_none);
    suite_add_tcase(suite, tests);
    TCase *slow = tcase_create("slow");
    tcase_set_tags(slow, "slow");
    tcase_add_checked_fixture(slow, setup, teardown);
    tcase_set_timeout(slow, 60);
    tcase_add_loop_test(slow, memory_is_what_the_query_says_and_does_not_grow, 0, 3);
    suite_add_tcase(suite, slow);
    return suite;
}
