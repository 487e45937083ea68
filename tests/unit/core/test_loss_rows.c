/* Rows of a loss: masks, counts, padding, what is not finite, diagnostics. */
#include "losskit.h"

enum { ROWS = 5, N = 4 };

static void fill(float *z, float *v, int rows, int n)
{
    for (int i = 0; i < rows * n; i++) {
        z[i] = (float)sin(i);
        v[i] = (float)cos(2 * i);
    }
}

START_TEST(masked_rows_are_skipped_not_multiplied)
{
    float z[ROWS * N], v[ROWS * N], dz[ROWS * N];
    int64_t labels[ROWS] = { 0, 1, -100, 3, 2 };
    uint8_t mask[ROWS] = { 1, 0, 1, 1, 1 }, present[ROWS] = { 1, 1, 1, 1, 0 };
    float weights[ROWS] = { 2, 1, 1, 0.5f, 1 };
    int32_t soft, hard;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_counts counts = { .struct_size = sizeof counts };
    kd_loss_result result = { .struct_size = sizeof result };
    fill(z, v, ROWS, N);
    for (int i = 0; i < N; i++) z[N + i] = NAN; /* row 1 is masked: it must not leak */
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, ROWS, N), dzs = KD_ARRAY_2D(dz, KD_FLOAT32, ROWS, N),
             vs = KD_ARRAY_2D(v, KD_FLOAT32, ROWS, N);
    kd_array ys = KD_ARRAY_1D(labels, KD_INT64, ROWS), ms = KD_ARRAY_1D(mask, KD_UINT8, ROWS),
             ws = KD_ARRAY_1D(weights, KD_FLOAT32, ROWS);
    kd_array ps = KD_ARRAY_1D(present, KD_UINT8, ROWS);
    kd_loss_output output = { sizeof output, 0, NULL, &zs, &dzs, NULL };
    o.mask_field = "mask";
    o.weight_field = "weight";
    OK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 0.9, &o, &soft));
    o.count = KD_COUNT_WEIGHTS;
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 0.1, &o, &hard));
    OK(kd_batch_begin(batch, ROWS));
    OK(kd_batch_set(batch, "label", &ys, NULL));
    OK(kd_batch_set(batch, "mask", &ms, NULL));
    OK(kd_batch_set(batch, "weight", &ws, NULL));
    OK(kd_targets_begin(targets, ROWS));
    OK(kd_targets_set(targets, "logits", &vs, &ps));
    OK(kd_loss_count(loss, batch, targets, &counts));
    ck_assert_int_eq(counts.rows[soft], 3); /* 0, 2, 3 */
    ck_assert_int_eq(counts.rows[hard], 3); /* 0, 3, 4 */
    NEAR(counts.weights[hard], 3.5, 1e-12);
    OK(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, &result));
    NEAR(result.value, 0.9 * result.sum[soft] / 3 + 0.1 * result.sum[hard] / 3.5, 1e-9);
    ck_assert_int_eq(result.rows[soft], 3);
    for (int i = 0; i < N; i++) ck_assert_float_eq(dz[N + i], 0);
    for (int i = 0; i < ROWS * N; i++) ck_assert(isfinite(dz[i]));
    memset(mask, 0, sizeof mask); /* no valid row: value 0, gradient 0 */
    OK(kd_batch_set(batch, "mask", &ms, NULL));
    OK(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, &result));
    NEAR(result.value, 0, 0);
    for (int i = 0; i < ROWS * N; i++) ck_assert_float_eq(dz[i], 0);
}
END_TEST

START_TEST(micro_batches_add_up_to_the_batch)
{
    float z[ROWS * N], v[ROWS * N], whole[ROWS * N], parts[ROWS * N];
    int64_t labels[ROWS] = { 0, 1, 2, 3, 0 };
    kd_loss_counts counts = { .struct_size = sizeof counts }, more = { .struct_size = sizeof more };
    kd_loss_result result = { .struct_size = sizeof result };
    double value = 0;
    fill(z, v, ROWS, N);
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, NULL, NULL));
    for (int pass = 0; pass < 3; pass++) { /* count both parts, run both parts, run the whole */
        int cuts[4] = { 0, 2, ROWS, ROWS }, start = pass == 2 ? 1 : 0;
        for (int part = start; part < 2; part++) {
            int first = pass == 2 ? 0 : cuts[part], rows = cuts[part + 1] - first;
            kd_array zs = KD_ARRAY_2D(z + first * N, KD_FLOAT32, rows, N),
                     ys = KD_ARRAY_1D(labels + first, KD_INT64, rows);
            kd_array dzs =
                KD_ARRAY_2D((pass == 2 ? whole : parts) + first * N, KD_FLOAT32, rows, N);
            kd_loss_output output = { sizeof output, 0, NULL, &zs, &dzs, NULL };
            OK(kd_batch_begin(batch, rows));
            OK(kd_batch_set(batch, "label", &ys, NULL));
            if (pass == 0) {
                OK(kd_loss_count(loss, batch, NULL, &more));
                OK(kd_loss_counts_add(&counts, &more));
                continue;
            }
            OK(kd_loss_evaluate(loss, &output, 1, batch, NULL, &counts, &result));
            if (pass == 1) value += result.value;
        }
    }
    ck_assert_int_eq(counts.rows[0], ROWS);
    NEAR(value, result.value, 1e-12);
    for (int i = 0; i < ROWS * N; i++) ck_assert_float_eq(parts[i], whole[i]);
}
END_TEST

START_TEST(language_models_predict_the_next_row)
{
    float z[ROWS * N], v[ROWS * N], dz[ROWS * N], plain[ROWS * N];
    int64_t labels[ROWS] = { 3, 1, 2, 3, 0 }, shifted[ROWS] = { 1, 2, -100, 0, -100 },
            offsets[3] = { 0, 3, 5 };
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_result next = { .struct_size = sizeof next }, same;
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, ROWS, N), dzs = KD_ARRAY_2D(dz, KD_FLOAT32, ROWS, N),
             ys = KD_ARRAY_1D(labels, KD_INT64, ROWS);
    kd_array os = KD_ARRAY_1D(offsets, KD_INT64, 3);
    kd_loss_output output = { sizeof output, 0, NULL, &zs, &dzs, NULL };
    fill(z, v, ROWS, N);
    o.align = KD_ALIGN_NEXT;
    restart(KD_LOSS_CROSS_ENTROPY, &o);
    OK(kd_batch_begin_packed(batch, &os));
    OK(kd_batch_set(batch, "label", &ys, NULL));
    kd_loss_counts ones = { .struct_size = sizeof ones, .terms = 1, .rows = { 1 } };
    OK(kd_loss_evaluate(loss, &output, 1, batch, NULL, &ones, &next));
    ck_assert_int_eq(next.rows[0], 3); /* the last row of each sample has no next */
    restart(KD_LOSS_CROSS_ENTROPY, NULL);
    OK(evaluate(z, NULL, shifted, ROWS, N, plain, &same));
    NEAR(next.sum[0], same.sum[0], 0);
    for (int i = 0; i < ROWS * N; i++) ck_assert_float_eq(dz[i], plain[i]);
    offsets[1] = 9;
    FAILS(kd_batch_begin_packed(batch, &os), KD_ERR_RANGE, "offsets[2]");
}
END_TEST

START_TEST(non_finite_rows_are_refused_or_skipped)
{
    float z[ROWS * N], v[ROWS * N], dz[ROWS * N];
    int64_t labels[ROWS] = { 0, 1, 2, 3, 0 };
    const int32_t kinds[] = { KD_LOSS_CROSS_ENTROPY, KD_LOSS_FORWARD_KL,         KD_LOSS_REVERSE_KL,
                              KD_LOSS_JSD,           KD_LOSS_LOGIT_MSE,          KD_LOSS_DKD,
                              KD_LOSS_BINARY_KL,     KD_LOSS_MEAN_SQUARED_ERROR, KD_LOSS_HUBER };
    const float bad[] = { NAN, INFINITY };
    kd_loss_result result;
    for (int k = 0; k < 9; k++)
        for (int b = 0; b < 2; b++) {
            kd_term_options o = KD_TERM_OPTIONS_INIT;
            o.teacher_field = k ? "logits" : NULL;
            fill(z, v, ROWS, N);
            z[2 * N + 1] = bad[b];
            restart(kinds[k], &o);
            FAILS(evaluate(z, v, labels, ROWS, N, dz, &result), KD_ERR_NONFINITE, "row 2");
            o.nonfinite = KD_NONFINITE_SKIP;
            restart(kinds[k], &o);
            OK(evaluate(z, v, labels, ROWS, N, dz, &result));
            ck_assert_int_eq(result.skipped[0], 1);
            ck_assert_int_eq(result.rows[0], ROWS - 1);
            for (int i = 0; i < ROWS * N; i++) ck_assert(isfinite(dz[i]));
            for (int i = 0; i < N; i++) ck_assert_float_eq(dz[2 * N + i], 0);
        }
}
END_TEST

START_TEST(bad_input_gets_a_status_and_a_reason)
{
    float z[ROWS * N], v[ROWS * N], dz[ROWS * N];
    int64_t labels[ROWS] = { 0, 1, 4, 3, 0 };
    kd_loss_result result;
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, ROWS, N),
             wide = KD_ARRAY_2D(v, KD_FLOAT32, ROWS, N - 1), few = KD_ARRAY_2D(v, KD_FLOAT32, 2, N);
    kd_loss_output output = { sizeof output, 0, NULL, &zs, NULL, NULL },
                   other = { sizeof other, 0, "hidden.1", &zs, NULL, NULL };
    double value;
    fill(z, v, ROWS, N);
    FAILS(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, NULL), KD_ERR_SHAPE,
          "expected 0 rows");
    OK(kd_batch_begin(batch, ROWS));
    FAILS(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, NULL), KD_ERR_STATE, "no terms");
    restart(KD_LOSS_CROSS_ENTROPY, NULL);
    FAILS(evaluate(z, v, labels, ROWS, N, dz, &result), KD_ERR_RANGE,
          "row 2: label 4 is not in 0 to 3");
    FAILS(kd_loss_set(loss, 0, KD_TERM_TEMPERATURE, 0), KD_ERR_RANGE,
          "temperature: expected 0.01 to 1000, got 0");
    FAILS(kd_loss_set(loss, 0, KD_TERM_TEMPERATURE, -1), KD_ERR_RANGE, "got -1");
    FAILS(kd_loss_set(loss, 0, KD_TERM_TEMPERATURE, NAN), KD_ERR_RANGE, "temperature");
    FAILS(kd_loss_set(loss, 1, KD_TERM_TEMPERATURE, 1), KD_ERR_RANGE,
          "term: got 1, but the loss has 1 terms");
    FAILS(kd_loss_get(loss, 0, 77, &value), KD_ERR_INVALID, "77");
    FAILS(kd_loss_bounds(999, KD_TERM_SKEW, NULL, NULL, NULL), KD_ERR_INVALID, "999");
    restart(KD_LOSS_FORWARD_KL, NULL);
    OK(kd_batch_begin(batch, ROWS));
    OK(kd_targets_begin(targets, ROWS));
    FAILS(kd_loss_evaluate(loss, &output, 1, batch, NULL, NULL, NULL), KD_ERR_INVALID,
          "targets is NULL");
    FAILS(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, NULL), KD_ERR_NOT_FOUND,
          "no field 'logits'");
    FAILS(kd_loss_evaluate(loss, &other, 1, batch, targets, NULL, NULL), KD_ERR_NOT_FOUND,
          "'logits', which is not given");
    OK(kd_targets_set(targets, "logits", &wide, NULL));
    FAILS(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, NULL), KD_ERR_SHAPE,
          "has 4 columns, the teacher's 'logits' has 3");
    OK(kd_targets_begin(targets, 2));
    OK(kd_targets_set(targets, "logits", &few, NULL));
    FAILS(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, NULL), KD_ERR_SHAPE,
          "5 rows, the targets 2");
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    o.temperature = 0;
    FAILS(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, &o, NULL), KD_ERR_RANGE, "temperature");
    FAILS(kd_loss_add(loss, 999, 1, NULL, NULL), KD_ERR_INVALID, "999");
    restart(KD_LOSS_BINARY_CROSS_ENTROPY, &(kd_term_options)KD_TERM_OPTIONS_INIT);
    kd_array soft_labels = KD_ARRAY_2D(z, KD_FLOAT32, ROWS, N);
    z[6] = 1.5f;
    OK(kd_batch_begin(batch, ROWS));
    OK(kd_batch_set(batch, "label", &soft_labels, NULL));
    FAILS(kd_loss_evaluate(loss, &output, 1, batch, NULL, NULL, NULL), KD_ERR_RANGE,
          "not in 0 to 1");
}
END_TEST

START_TEST(padded_vocabularies_join_by_their_real_classes)
{
    float z[6] = { 1, 2, 3, 0.5f, 99, 99 }, v[5] = { 3, 1, 0, 2, 77 }, dz[6], small[4];
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_result result = { .struct_size = sizeof result }, plain;
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, 1, 6), dzs = KD_ARRAY_2D(dz, KD_FLOAT32, 1, 6),
             vs = KD_ARRAY_2D(v, KD_FLOAT32, 1, 5);
    kd_loss_output output = { sizeof output, 0, NULL, &zs, &dzs, NULL };
    o.classes = 4;
    restart(KD_LOSS_FORWARD_KL, &o);
    OK(kd_batch_begin(batch, 1));
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_set(targets, "logits", &vs, NULL));
    OK(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, &result));
    restart(KD_LOSS_FORWARD_KL, NULL);
    OK(evaluate(z, v, NULL, 1, 4, small, &plain));
    NEAR(result.value, plain.value, 0);
    for (int i = 0; i < 6; i++) ck_assert_float_eq(dz[i], i < 4 ? small[i] : 0);
}
END_TEST

START_TEST(a_gradient_may_lie_over_its_logits_or_be_added)
{
    float z[ROWS * N], v[ROWS * N], dz[ROWS * N], twice[ROWS * N];
    int64_t labels[ROWS] = { 0, 1, 2, 3, 0 };
    kd_loss_result result = { .struct_size = sizeof result };
    fill(z, v, ROWS, N);
    OK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 0.9, NULL, NULL));
    OK(kd_loss_add(loss, KD_LOSS_REVERSE_KL, 0.5, NULL, NULL));
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 0.1, NULL, NULL));
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, ROWS, N), dzs = KD_ARRAY_2D(dz, KD_FLOAT32, ROWS, N),
             vs = KD_ARRAY_2D(v, KD_FLOAT32, ROWS, N);
    kd_array ys = KD_ARRAY_1D(labels, KD_INT64, ROWS), ts = KD_ARRAY_2D(twice, KD_FLOAT32, ROWS, N);
    OK(kd_batch_begin(batch, ROWS));
    OK(kd_batch_set(batch, "label", &ys, NULL));
    OK(kd_targets_begin(targets, ROWS));
    OK(kd_targets_set(targets, "logits", &vs, NULL));
    kd_loss_output apart = { sizeof apart, 0, NULL, &zs, &dzs, NULL },
                   added = { sizeof added, 1, NULL, &zs, &ts, NULL },
                   over = { sizeof over, 0, NULL, &zs, &zs, NULL };
    OK(kd_loss_evaluate(loss, &apart, 1, batch, targets, NULL, &result));
    memcpy(twice, dz, sizeof dz);
    OK(kd_loss_evaluate(loss, &added, 1, batch, targets, NULL, &result));
    for (int i = 0; i < ROWS * N; i++) NEAR(twice[i], 2 * dz[i], 1e-6);
    OK(kd_loss_evaluate(loss, &over, 1, batch, targets, NULL, &result));
    for (int i = 0; i < ROWS * N; i++) ck_assert_float_eq(z[i], dz[i]);
    over.accumulate = 1;
    FAILS(kd_loss_evaluate(loss, &over, 1, batch, targets, NULL, &result), KD_ERR_INVALID,
          "lies over");
}
END_TEST

START_TEST(diagnostics_tell_what_a_call_saw)
{
    float z[ROWS * N], v[ROWS * N];
    int64_t labels[ROWS];
    kd_loss_diagnostics seen = { .struct_size = sizeof seen };
    kd_loss_result result;
    fill(z, v, ROWS, N);
    for (int r = 0; r < ROWS; r++) {
        labels[r] = 0;
        for (int i = 1; i < N; i++)
            if (v[r * N + i] > v[r * N + labels[r]]) labels[r] = i;
    }
    labels[0] = (labels[0] + 1) % N;
    restart(KD_LOSS_DKD, NULL);
    FAILS(kd_loss_get_diagnostics(loss, 0, &seen), KD_ERR_STATE, "off");
    OK(kd_loss_set_diagnostics(loss, 1));
    OK(evaluate(z, v, labels, ROWS, N, NULL, &result));
    OK(kd_loss_get_diagnostics(loss, 0, &seen));
    ck_assert_int_eq(seen.rows, ROWS);
    NEAR(seen.teacher_accuracy, 0.8, 1e-12);
    ck_assert(seen.teacher_entropy > 0 && seen.teacher_entropy < log(N) &&
              seen.student_entropy < log(N));
    NEAR(seen.captured_mass, 1, 0);
    ck_assert(seen.teacher_log_likelihood < 0 && seen.agreement >= 0 && seen.agreement <= 1);
}
END_TEST

START_TEST(every_instruction_set_and_thread_count_agrees)
{
    enum { R = 37, V = 1003 };
    static float z[R * V], v[R * V], first[R * V], dz[R * V];
    double value = 0;
    int seen = 0;
    for (int i = 0; i < R * V; i++)
        z[i] = (float)(4 * sin(1.3 * i)), v[i] = (float)(5 * cos(0.7 * i));
    for (int32_t isa = KD_ISA_PORTABLE; isa <= KD_ISA_AVX512; isa++)
        for (int32_t threads = 1; threads <= 3; threads += getenv("KD_TEST_FEW") ? 2 : 1) {
            kd_context *other = NULL;
            kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
            kd_loss_result result;
            o.isa = isa;
            o.threads = threads;
            if (kd_context_create(&other, &o) == KD_ERR_UNSUPPORTED) continue;
            teardown();
            ctx = other;
            OK(kd_batch_create(&batch, ctx, NULL));
            OK(kd_targets_create(&targets, ctx, NULL));
            OK(kd_loss_create(&loss, ctx, NULL));
            restart(KD_LOSS_JSD, NULL);
            OK(evaluate(z, v, NULL, R, V, dz, &result));
            if (!seen++) {
                value = result.value;
                memcpy(first, dz, sizeof dz);
            }
            NEAR(result.value, value, threads == 1 ? 1e-5 * value : 1e-5 * value);
            for (int i = 0; i < R * V; i++) NEAR(dz[i], first[i], 2e-8);
        }
    ck_assert_int_ge(seen, 2);
}
END_TEST

/* Two terms that sum over columns first keep their sums apart. */
START_TEST(several_dist_terms_add_up)
{
    float z[ROWS * N], v[ROWS * N], dz[3][ROWS * N];
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_result result;
    fill(z, v, ROWS, N);
    restart(KD_LOSS_DIST, NULL);
    o.temperature = 4;
    for (int i = 0; i < 3; i++) {
        if (i) restart(KD_LOSS_DIST, i == 1 ? &o : NULL);
        if (i == 2) OK(kd_loss_add(loss, KD_LOSS_DIST, 1, &o, NULL));
        kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, ROWS, N), vs = KD_ARRAY_2D(v, KD_FLOAT32, ROWS, N),
                 dzs = KD_ARRAY_2D(dz[i], KD_FLOAT32, ROWS, N);
        kd_loss_output output = { sizeof output, 0, "logits", &zs, &dzs, NULL };
        result = (kd_loss_result){ .struct_size = sizeof result };
        OK(kd_batch_begin(batch, ROWS));
        OK(kd_targets_begin(targets, ROWS));
        OK(kd_targets_set(targets, "logits", &vs, NULL));
        OK(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, &result));
    }
    for (int i = 0; i < ROWS * N; i++) NEAR(dz[2][i], dz[0][i] + dz[1][i], 1e-6);
}
END_TEST

Suite *loss_rows_suite(void)
{
    Suite *suite = suite_create("loss_rows");
    TCase *tests = tcase_create("loss_rows");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, masked_rows_are_skipped_not_multiplied);
    tcase_add_test(tests, micro_batches_add_up_to_the_batch);
    tcase_add_test(tests, language_models_predict_the_next_row);
    tcase_add_test(tests, non_finite_rows_are_refused_or_skipped);
    tcase_add_test(tests, bad_input_gets_a_status_and_a_reason);
    tcase_add_test(tests, padded_vocabularies_join_by_their_real_classes);
    tcase_add_test(tests, a_gradient_may_lie_over_its_logits_or_be_added);
    tcase_add_test(tests, diagnostics_tell_what_a_call_saw);
    tcase_add_test(tests, several_dist_terms_add_up);
    tcase_add_test(tests, every_instruction_set_and_thread_count_agrees);
    suite_add_tcase(suite, tests);
    return suite;
}
