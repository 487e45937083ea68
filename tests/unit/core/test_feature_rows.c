/* What terms of features share with all terms: masks, presence, weights, counts, rows that are not
 * finite, places of gradients; and what they refuse. */
#include "featurekit.h"

enum { ROWS = 6, WIDTH = 5, MOST = 4096 };

static const int32_t kinds[] = { KD_LOSS_MEAN_SQUARED_ERROR,
                                 KD_LOSS_HIDDEN_COSINE,
                                 KD_LOSS_HIDDEN_DISTANCE,
                                 KD_LOSS_VARIATIONAL,
                                 KD_LOSS_SIMILARITY,
                                 KD_LOSS_GRAM,
                                 KD_LOSS_RKD_DISTANCE,
                                 KD_LOSS_RKD_ANGLE,
                                 KD_LOSS_PKT,
                                 KD_LOSS_CKA,
                                 KD_LOSS_RELATION_KL };
enum { KINDS = sizeof kinds / sizeof *kinds };

static int is_relation(int32_t kind) { return kind >= KD_LOSS_SIMILARITY; }

static void restart(int32_t kind, const kd_term_options *options)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    if (options) o = *options;
    o.student_output = o.teacher_field = "hidden";
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, kind, 0.7, &o, NULL));
    add_projection(0, KD_PROJECTION_LINEAR_BIAS, 0, NULL);
}

static void begin_sides(int64_t rows)
{
    fill(side_s, rows * WIDTH, 1.3);
    fill(side_t, rows * WIDTH, 2.1);
    begin_rows(rows, WIDTH);
}

/* Rows `odd` of the sides alone, in a call of their own. */
static kd_loss_result only(const int *rows, int count, int32_t kind, float *ds, float *dw)
{
    static float s[MOST], t[MOST];
    kd_loss_result result;
    kd_array gradient;
    memcpy(s, side_s, sizeof s);
    memcpy(t, side_t, sizeof t);
    for (int i = 0; i < count; i++) {
        memcpy(side_s + i * WIDTH, s + rows[i] * WIDTH, WIDTH * sizeof *s);
        memcpy(side_t + i * WIDTH, t + rows[i] * WIDTH, WIDTH * sizeof *t);
    }
    restart(kind, NULL);
    begin_rows(count, WIDTH);
    OK(run_rows(count, WIDTH, ds, &result));
    OK(kd_loss_tensor_gradient(loss, 0, &gradient));
    memcpy(dw, gradient.data, (size_t)kd_array_count(&gradient) * sizeof *dw);
    memcpy(side_s, s, sizeof s);
    memcpy(side_t, t, sizeof t);
    return result;
}

static void same_rows(const int *rows, int count, const float *ds, const kd_loss_result *result,
                      const kd_loss_result *alone, const float *alone_ds, const float *alone_dw)
{
    kd_array gradient;
    ck_assert_int_eq(result->rows[0], count);
    NEAR(result->sum[0], alone->sum[0], 1e-12);
    int at = 0;
    for (int r = 0; r < ROWS; r++) {
        const int is_in = at < count && rows[at] == r;
        for (int k = 0; k < WIDTH; k++)
            ck_assert_float_eq(ds[r * WIDTH + k], is_in ? alone_ds[at * WIDTH + k] : 0);
        at += is_in;
    }
    OK(kd_loss_tensor_gradient(loss, 0, &gradient));
    /* a row of zeros may stand in another place of a product's sum, by the BLAS */
    for (int i = 0; i < WIDTH * WIDTH; i++)
        NEAR(((const float *)gradient.data)[i], alone_dw[i], 1e-6);
}

/* Masked and absent rows are as if they were not there, of relations too. */
START_TEST(rows_that_are_left_out_leave_no_trace)
{
    static const int in[] = { 0, 2, 3, 5 };
    float alone_ds[ROWS * WIDTH], alone_dw[WIDTH * WIDTH];
    uint8_t mask[ROWS] = { 1, 0, 1, 1, 1, 1 }, present[ROWS] = { 1, 1, 1, 1, 0, 1 };
    kd_array masks = KD_ARRAY_1D(mask, KD_UINT8, ROWS),
             there = KD_ARRAY_1D(present, KD_UINT8, ROWS),
             ts = KD_ARRAY_2D(side_t, KD_FLOAT32, ROWS, WIDTH);
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_result result;
    begin_sides(ROWS);
    const kd_loss_result alone = only(in, 4, kinds[_i], alone_ds, alone_dw);
    o.mask_field = "mask";
    restart(kinds[_i], &o);
    begin_rows(ROWS, WIDTH);
    OK(kd_batch_set(batch, "mask", &masks, NULL));
    OK(kd_targets_set(targets, "hidden", &ts, &there));
    OK(run_rows(ROWS, WIDTH, side_ds, &result));
    same_rows(in, 4, side_ds, &result, &alone, alone_ds, alone_dw);
}
END_TEST

START_TEST(rows_that_are_not_finite_are_refused_or_skipped)
{
    static const float wrong[] = { NAN, INFINITY, -INFINITY };
    static const int in[] = { 0, 1, 2, 4 };
    float alone_ds[ROWS * WIDTH], alone_dw[WIDTH * WIDTH];
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_counts counts = { .struct_size = sizeof counts, .terms = 1, .rows = { 4 } };
    kd_loss_result result = { .struct_size = sizeof result };
    for (int i = 0; i < 3; i++) {
        begin_sides(ROWS);
        const kd_loss_result alone = only(in, 4, kinds[_i], alone_ds, alone_dw);
        side_s[3 * WIDTH + 2] = wrong[i];
        side_t[5 * WIDTH] = wrong[i];
        begin_rows(ROWS, WIDTH);
        o.nonfinite = KD_NONFINITE_REFUSE;
        restart(kinds[_i], &o);
        FAILS(run_rows(ROWS, WIDTH, side_ds, &result), KD_ERR_NONFINITE, "row 3");
        o.nonfinite = KD_NONFINITE_SKIP;
        restart(kinds[_i], &o);
        kd_array ss = KD_ARRAY_2D(side_s, KD_FLOAT32, ROWS, WIDTH),
                 dss = KD_ARRAY_2D(side_ds, KD_FLOAT32, ROWS, WIDTH);
        kd_loss_output output = { sizeof output, 0, "hidden", &ss, &dss, NULL };
        OK(kd_loss_evaluate(loss, &output, 1, batch, targets, &counts, &result));
        ck_assert_int_eq(result.skipped[0], 2);
        NEAR(result.value, alone.value, 1e-12);
        /* a relation's gradient is over the rows it has; a row's over the counts */
        same_rows(in, 4, side_ds, &result, &alone, alone_ds, alone_dw);
    }
}
END_TEST

START_TEST(a_call_that_fails_adds_nothing_to_the_gradients)
{
    kd_loss_result result;
    kd_array gradient;
    float before[WIDTH * WIDTH];
    begin_sides(ROWS);
    restart(KD_LOSS_HIDDEN_COSINE, NULL);
    OK(run_rows(ROWS, WIDTH, side_ds, &result));
    OK(kd_loss_tensor_gradient(loss, 0, &gradient));
    memcpy(before, gradient.data, sizeof before);
    side_s[7] = NAN;
    FAILS(run_rows(ROWS, WIDTH, side_ds, &result), KD_ERR_NONFINITE, "row 1");
    ck_assert(!memcmp(before, gradient.data, sizeof before));
}
END_TEST

START_TEST(a_row_of_zeros_has_no_direction)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_result result;
    for (int teacher = 0; teacher < 2; teacher++) {
        begin_sides(ROWS);
        memset((teacher ? side_t : side_s) + 2 * WIDTH, 0, WIDTH * sizeof(float));
        begin_rows(ROWS, WIDTH);
        kd_loss_free(loss);
        OK(kd_loss_create(&loss, ctx, NULL));
        add_feature(KD_LOSS_HIDDEN_COSINE);
        FAILS(run_rows(ROWS, WIDTH, side_ds, &result), KD_ERR_NONFINITE,
              "hidden cosine (term 0): row 2: a side has NaN, infinity, or nothing but zeros");
        o.student_output = o.teacher_field = "hidden";
        o.nonfinite = KD_NONFINITE_SKIP;
        kd_loss_free(loss);
        OK(kd_loss_create(&loss, ctx, NULL));
        OK(kd_loss_add(loss, KD_LOSS_HIDDEN_DISTANCE, 1, &o, NULL));
        OK(kd_loss_set(loss, 0, KD_TERM_NORMALIZE, KD_NORMALIZE_ROWS));
        OK(run_rows(ROWS, WIDTH, side_ds, &result));
        ck_assert_int_eq(result.skipped[0], 1);
        for (int k = 0; k < WIDTH; k++) ck_assert_float_eq(side_ds[2 * WIDTH + k], 0);
    }
}
END_TEST

START_TEST(weights_multiply_rows_and_are_refused_for_relations)
{
    float weight[ROWS] = { 2, 0, 1, 0.5f, -1, 3 }, plain[ROWS * WIDTH];
    kd_array weights = KD_ARRAY_1D(weight, KD_FLOAT32, ROWS);
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_result result;
    int32_t term;
    o.weight_field = "weight";
    for (int i = 0; i < KINDS; i++) {
        if (is_relation(kinds[i])) {
            FAILS(kd_loss_add(loss, kinds[i], 1, &o, &term), KD_ERR_UNSUPPORTED,
                  "with weight_field: a row has no weight in its relations to others");
            continue;
        }
        begin_sides(ROWS);
        restart(kinds[i], NULL);
        OK(run_rows(ROWS, WIDTH, plain, &result));
        restart(kinds[i], &o);
        begin_rows(ROWS, WIDTH);
        OK(kd_batch_set(batch, "weight", &weights, NULL));
        OK(run_rows(ROWS, WIDTH, side_ds, &result));
        for (int k = 0; k < ROWS * WIDTH; k++) NEAR(side_ds[k], weight[k / WIDTH] * plain[k], 1e-6);
    }
}
END_TEST

/* Two calls with common counts are one call, for kinds that compare rows. */
START_TEST(counts_of_several_batches_are_denominators)
{
    float whole[ROWS * WIDTH];
    kd_loss_counts counts = { .struct_size = sizeof counts };
    kd_loss_result result, part = { .struct_size = sizeof part };
    begin_sides(ROWS);
    restart(KD_LOSS_HIDDEN_COSINE, NULL);
    OK(kd_loss_count(loss, batch, targets, &counts));
    ck_assert_int_eq(counts.rows[0], ROWS);
    OK(run_rows(ROWS, WIDTH, whole, &result));
    double value = 0;
    for (int half = 0; half < 2; half++) {
        kd_array ss = KD_ARRAY_2D(side_s + half * 3 * WIDTH, KD_FLOAT32, 3, WIDTH),
                 dss = KD_ARRAY_2D(side_ds + half * 3 * WIDTH, KD_FLOAT32, 3, WIDTH),
                 ts = KD_ARRAY_2D(side_t + half * 3 * WIDTH, KD_FLOAT32, 3, WIDTH);
        kd_loss_output output = { sizeof output, 0, "hidden", &ss, &dss, NULL };
        OK(kd_batch_begin(batch, 3));
        OK(kd_targets_begin(targets, 3));
        OK(kd_targets_set(targets, "hidden", &ts, NULL));
        OK(kd_loss_evaluate(loss, &output, 1, batch, targets, &counts, &part));
        value += part.value;
    }
    NEAR(value, result.value, 1e-12);
    for (int k = 0; k < ROWS * WIDTH; k++) ck_assert_float_eq(side_ds[k], whole[k]);
}
END_TEST

/* ---- places ---- */

START_TEST(a_gradient_may_lie_over_its_values_or_be_added)
{
    float apart[ROWS * WIDTH], over[ROWS * WIDTH];
    kd_loss_result result;
    begin_sides(ROWS);
    restart(KD_LOSS_HIDDEN_COSINE, NULL);
    OK(run_rows(ROWS, WIDTH, apart, &result));
    memcpy(over, side_s, sizeof over);
    kd_array both = KD_ARRAY_2D(over, KD_FLOAT32, ROWS, WIDTH);
    kd_loss_output output = { sizeof output, 0, "hidden", &both, &both, NULL };
    OK(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, NULL));
    for (int i = 0; i < ROWS * WIDTH; i++) ck_assert_float_eq(over[i], apart[i]);
    kd_array ss = KD_ARRAY_2D(side_s, KD_FLOAT32, ROWS, WIDTH);
    for (int i = 0; i < ROWS * WIDTH; i++) over[i] = 1;
    output = (kd_loss_output){ sizeof output, 1, "hidden", &ss, &both, NULL };
    OK(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, NULL));
    for (int i = 0; i < ROWS * WIDTH; i++) ck_assert_float_eq(over[i], 1 + apart[i]);
}
END_TEST

START_TEST(sides_of_16_bits_and_strided_rows_are_read)
{
    static float wide[ROWS * 9];
    uint16_t half_s[ROWS * WIDTH], half_t[ROWS * WIDTH];
    kd_loss_result plain, other = { .struct_size = sizeof other };
    /* numbers that bfloat16 holds */
    for (int i = 0; i < ROWS * WIDTH; i++) {
        side_s[i] = (float)(i % 7) - 2.5f;
        side_t[i] = (float)(i % 5) - 1.5f;
        uint32_t bits[2];
        memcpy(&bits[0], &side_s[i], 4);
        memcpy(&bits[1], &side_t[i], 4);
        half_s[i] = (uint16_t)(bits[0] >> 16);
        half_t[i] = (uint16_t)(bits[1] >> 16);
        wide[i / WIDTH * 9 + i % WIDTH] = side_s[i];
    }
    for (int i = 0; i < KINDS; i++) {
        begin_rows(ROWS, WIDTH);
        restart(kinds[i], NULL);
        OK(run_rows(ROWS, WIDTH, NULL, &plain));
        kd_array ts = KD_ARRAY_2D(half_t, KD_BFLOAT16, ROWS, WIDTH);
        kd_array ss = KD_ARRAY_2D(half_s, KD_BFLOAT16, ROWS, WIDTH);
        kd_array steps = KD_ARRAY_2D(wide, KD_FLOAT32, ROWS, WIDTH);
        steps.strides[0] = 9;
        OK(kd_targets_set(targets, "hidden", &ts, NULL));
        kd_loss_output output = { sizeof output, 0, "hidden", &ss, NULL, NULL };
        OK(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, &other));
        ck_assert_double_eq(plain.value, other.value);
        output.value = &steps;
        OK(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, &other));
        ck_assert_double_eq(plain.value, other.value);
    }
}
END_TEST

/* Terms of logits and of features on one output add up. */
START_TEST(terms_of_both_ways_share_an_output)
{
    float alone[2][ROWS * WIDTH];
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_result result;
    begin_sides(ROWS);
    o.student_output = o.teacher_field = "hidden";
    OK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, &o, NULL));
    OK(kd_loss_add(loss, KD_LOSS_GRAM, 1, &o, NULL));
    for (int i = 0; i < 2; i++) {
        OK(kd_loss_set(loss, i, KD_TERM_WEIGHT, 1));
        OK(kd_loss_set(loss, 1 - i, KD_TERM_WEIGHT, 0));
        OK(run_rows(ROWS, WIDTH, alone[i], &result));
    }
    OK(kd_loss_set(loss, 0, KD_TERM_WEIGHT, 1));
    OK(run_rows(ROWS, WIDTH, side_ds, &result));
    for (int i = 0; i < ROWS * WIDTH; i++) NEAR(side_ds[i], alone[0][i] + alone[1][i], 1e-7);
}
END_TEST

/* ---- numbers ---- */

START_TEST(the_first_numbers_alone_are_compared)
{
    static float s[ROWS * 3], t[ROWS * 3];
    kd_loss_result cut, whole;
    for (int i = 0; i < KINDS; i++) {
        begin_sides(ROWS);
        kd_loss_free(loss);
        OK(kd_loss_create(&loss, ctx, NULL));
        OK(kd_loss_set(loss, add_feature(kinds[i]), KD_TERM_FIRST, 3));
        if (kinds[i] == KD_LOSS_MEAN_SQUARED_ERROR) continue; /* its names are others by default */
        OK(run_rows(ROWS, WIDTH, side_ds, &cut));
        for (int r = 0; r < ROWS; r++)
            for (int k = 3; k < WIDTH; k++) ck_assert_float_eq(side_ds[r * WIDTH + k], 0);
        for (int r = 0; r < ROWS; r++)
            for (int k = 0; k < 3; k++)
                s[r * 3 + k] = side_s[r * WIDTH + k], t[r * 3 + k] = side_t[r * WIDTH + k];
        memcpy(side_s, s, sizeof s);
        memcpy(side_t, t, sizeof t);
        begin_rows(ROWS, 3);
        OK(kd_loss_set(loss, 0, KD_TERM_FIRST, 0));
        OK(run_rows(ROWS, 3, NULL, &whole));
        ck_assert_double_eq(cut.value, whole.value);
    }
}
END_TEST

START_TEST(numbers_are_checked)
{
    kd_loss_result result;
    begin_sides(ROWS);
    add_feature(KD_LOSS_HIDDEN_COSINE);
    FAILS(kd_loss_set(loss, 0, KD_TERM_FIRST, 2.5), KD_ERR_RANGE,
          "first: expected a whole number, got 2.5");
    FAILS(kd_loss_set(loss, 0, KD_TERM_FIRST, -1), KD_ERR_RANGE, "first: expected 0 to");
    FAILS(kd_loss_set(loss, 0, KD_TERM_NORMALIZE, 4), KD_ERR_RANGE, "normalize: expected 0 to 3");
    FAILS(kd_loss_set(loss, 0, KD_TERM_UNBIASED, 1), KD_ERR_INVALID,
          "hidden cosine has no number unbiased: expected one of temperature, weight, first, "
          "normalize");
    FAILS(kd_loss_set(loss, 0, KD_TERM_CONFIDENCE_POWER, 1), KD_ERR_INVALID, "confidence_power");
    OK(kd_loss_set(loss, 0, KD_TERM_FIRST, 6));
    FAILS(run_rows(ROWS, WIDTH, NULL, &result), KD_ERR_SHAPE,
          "first is 6, the student's 'hidden' has 5 numbers");
}
END_TEST

/* Numbers of the batch, of another width than the student's rows. */
START_TEST(labels_of_another_width_are_met_through_a_projection)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_result teacher, label = { .struct_size = sizeof label };
    fill(side_s, ROWS * WIDTH, 1.3);
    fill(side_t, ROWS * 3, 2.1);
    kd_array ss = KD_ARRAY_2D(side_s, KD_FLOAT32, ROWS, WIDTH),
             ts = KD_ARRAY_2D(side_t, KD_FLOAT32, ROWS, 3);
    kd_loss_output output = { sizeof output, 0, "hidden", &ss, NULL, NULL };
    begin_rows(ROWS, 3);
    restart(KD_LOSS_MEAN_SQUARED_ERROR, NULL);
    OK(run_rows(ROWS, WIDTH, NULL, &teacher));
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    o.student_output = "hidden";
    OK(kd_loss_add(loss, KD_LOSS_MEAN_SQUARED_ERROR, 0.7, &o, NULL));
    add_projection(0, KD_PROJECTION_LINEAR_BIAS, 0, NULL);
    OK(kd_batch_set(batch, "label", &ts, NULL));
    OK(kd_loss_evaluate(loss, &output, 1, batch, NULL, NULL, &label));
    ck_assert_double_eq(label.value, teacher.value);
}
END_TEST

/* ---- refused ---- */

START_TEST(what_makes_no_sense_is_refused)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    int32_t term;
    o.correction = KD_CORRECT_DROP;
    FAILS(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &o, &term), KD_ERR_INVALID,
          "hidden cosine: label correction");
    o.correction = KD_CORRECT_NONE;
    o.tail = KD_TAIL_UNIFORM;
    FAILS(kd_loss_add(loss, KD_LOSS_CKA, 1, &o, &term), KD_ERR_UNSUPPORTED, "it compares features");
    o.tail = KD_TAIL_BUCKET;
    o.classes = 4;
    FAILS(kd_loss_add(loss, KD_LOSS_HIDDEN_COSINE, 1, &o, &term), KD_ERR_INVALID,
          "hidden cosine: classes is for logits");
    FAILS(kd_loss_add(loss, 41, 1, NULL, &term), KD_ERR_INVALID,
          "loss kind: expected 1 to 40, got 41");
}
END_TEST

START_TEST(a_sparse_teacher_and_heads_are_refused)
{
    static float weight[WIDTH * WIDTH];
    kd_array vs = KD_ARRAY_2D(side_t, KD_FLOAT32, ROWS, WIDTH),
             ws = KD_ARRAY_2D(weight, KD_FLOAT32, WIDTH, WIDTH),
             ss = KD_ARRAY_2D(side_s, KD_FLOAT32, ROWS, WIDTH);
    kd_head head = KD_HEAD_INIT;
    kd_loss_output output = { sizeof output, 0, "hidden", &ss, NULL, &head };
    kd_loss_result result;
    begin_sides(ROWS);
    add_feature(KD_LOSS_HIDDEN_COSINE);
    head.weight = &ws;
    FAILS(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, NULL), KD_ERR_UNSUPPORTED,
          "'hidden' is computed by a head, in blocks");
    OK(kd_targets_begin(targets, ROWS));
    OK(kd_targets_select(targets, "hidden", &vs, 2, 0, 1, NULL));
    FAILS(run_rows(ROWS, WIDTH, NULL, &result), KD_ERR_UNSUPPORTED,
          "hidden cosine of the sparse field 'hidden': it compares features");
}
END_TEST

Suite *feature_rows_suite(void)
{
    Suite *suite = suite_create("feature_rows");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, rows_that_are_left_out_leave_no_trace, 0, KINDS);
    tcase_add_loop_test(tests, rows_that_are_not_finite_are_refused_or_skipped, 0, KINDS);
    tcase_add_test(tests, a_call_that_fails_adds_nothing_to_the_gradients);
    tcase_add_test(tests, a_row_of_zeros_has_no_direction);
    tcase_add_test(tests, weights_multiply_rows_and_are_refused_for_relations);
    tcase_add_test(tests, counts_of_several_batches_are_denominators);
    tcase_add_test(tests, a_gradient_may_lie_over_its_values_or_be_added);
    tcase_add_test(tests, sides_of_16_bits_and_strided_rows_are_read);
    tcase_add_test(tests, terms_of_both_ways_share_an_output);
    tcase_add_test(tests, the_first_numbers_alone_are_compared);
    tcase_add_test(tests, labels_of_another_width_are_met_through_a_projection);
    tcase_add_test(tests, numbers_are_checked);
    tcase_add_test(tests, what_makes_no_sense_is_refused);
    tcase_add_test(tests, a_sparse_teacher_and_heads_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
