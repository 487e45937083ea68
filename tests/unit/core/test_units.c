/* Fields of samples, and of rows of their own; terms over rows or over samples. */
#include "losskit.h"

enum { S = 3, R = 7, N = 4 };
static const int64_t offsets[S + 1] = { 0, 2, 3, 7 };
static const int64_t sample_of[R] = { 0, 0, 1, 2, 2, 2, 2 };

static float z[R * N], v[R * N];
static const int64_t labels[S] = { 1, 3, 0 };

static void fill(void)
{
    for (int i = 0; i < R * N; i++) {
        z[i] = sinf(1.7f * (float)i);
        v[i] = 2 * cosf(0.9f * (float)i);
    }
}

static void pack(void)
{
    kd_array os = KD_ARRAY_1D(offsets, KD_INT64, S + 1);
    OK(kd_batch_begin_packed(batch, &os));
    OK(kd_targets_begin(targets, R));
}

static void set_labels(kd_status (*set)(kd_batch *, const char *, const kd_array *,
                                        const kd_array *))
{
    kd_array ys = KD_ARRAY_1D(labels, KD_INT64, S);
    OK(set(batch, "label", &ys, NULL));
}

static void teach(kd_status (*set)(kd_targets *, const char *, const kd_array *, const kd_array *),
                  int64_t rows, const uint8_t *present)
{
    kd_array vs = KD_ARRAY_2D(v, KD_FLOAT32, rows, N),
             ps = KD_ARRAY_1D(present, KD_UINT8, present ? rows : 0);
    OK(set(targets, "logits", &vs, present ? &ps : NULL));
}

static kd_status run(int64_t rows, float *dz, kd_loss_result *result)
{
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, rows, N), dzs = KD_ARRAY_2D(dz, KD_FLOAT32, rows, N);
    kd_loss_output output = { sizeof output, 0, NULL, &zs, &dzs, NULL };
    memset(result, 0, sizeof *result);
    result->struct_size = sizeof *result;
    return kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, result);
}

/* ---- fields ---- */

START_TEST(fields_of_samples_are_kept_beside_fields_of_rows)
{
    const float tall[2 * S] = { 1, 2, 3, 4, 5, 6 };
    const uint8_t has[S] = { 1, 0, 1 };
    kd_array got, present, values = KD_ARRAY_2D(tall, KD_FLOAT32, S, 2),
                           there = KD_ARRAY_1D(has, KD_UINT8, S);
    pack();
    OK(kd_batch_set_per_sample(batch, "group", &values, &there));
    OK(kd_batch_field(batch, "group", &got, &present));
    ck_assert_int_eq(got.dims[0], S);
    ck_assert_int_eq(present.dims[0], S);
    ck_assert_mem_eq(got.data, tall, sizeof tall);
    ck_assert_mem_eq(present.data, has, sizeof has);
    FAILS(kd_batch_set(batch, "group", &values, NULL), KD_ERR_SHAPE, "expected 7 rows, got 3");
    values.dims[0] = 2;
    FAILS(kd_batch_set_per_sample(batch, "group", &values, NULL), KD_ERR_SHAPE,
          "expected 3 samples, got 2");
    values.dims[0] = S, there.dims[0] = 2;
    FAILS(kd_batch_set_per_sample(batch, "group", &values, &there), KD_ERR_SHAPE, "(3) uint8");
    FAILS(kd_batch_field_offsets(batch, "group", &got), KD_ERR_INVALID, "is per sample");
    FAILS(kd_batch_field_offsets(batch, "other", &got), KD_ERR_NOT_FOUND, "other");
}
END_TEST

START_TEST(a_field_may_have_rows_of_its_own)
{
    const int64_t own[S + 1] = { 0, 4, 4, 5 }, falls[S + 1] = { 0, 4, 3, 5 },
                          late[S + 1] = { 1, 4, 4, 5 };
    const float frames[10] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
    const uint8_t has[S] = { 1, 0, 1 };
    kd_array got, present, at, values = KD_ARRAY_2D(frames, KD_FLOAT32, 5, 2),
                               os = KD_ARRAY_1D(own, KD_INT64, S + 1),
                               there = KD_ARRAY_1D(has, KD_UINT8, S);
    pack();
    OK(kd_batch_set_ragged(batch, "frames", &values, &os, &there));
    OK(kd_batch_field(batch, "frames", &got, &present));
    ck_assert_int_eq(got.dims[0], 5);
    ck_assert_int_eq(present.dims[0], S);
    ck_assert_mem_eq(got.data, frames, sizeof frames);
    OK(kd_batch_field_offsets(batch, "frames", &at));
    ck_assert_int_eq(at.dims[0], S + 1);
    ck_assert_mem_eq(at.data, own, sizeof own);
    kd_array bad = KD_ARRAY_1D(falls, KD_INT64, S + 1);
    FAILS(kd_batch_set_ragged(batch, "frames", &values, &bad, NULL), KD_ERR_RANGE, "offsets[2]");
    FAILS(kd_batch_field(batch, "frames", &got, NULL), KD_ERR_NOT_FOUND, "frames");
    bad.data = (void *)(uintptr_t)late;
    FAILS(kd_batch_set_ragged(batch, "frames", &values, &bad, NULL), KD_ERR_RANGE, "offsets[0]");
    values.dims[0] = 4;
    FAILS(kd_batch_set_ragged(batch, "frames", &values, &os, NULL), KD_ERR_SHAPE, "end at 5");
    values.dims[0] = 5, os.dims[0] = S;
    FAILS(kd_batch_set_ragged(batch, "frames", &values, &os, NULL), KD_ERR_SHAPE, "4 of them");
    FAILS(kd_batch_set_ragged(batch, "frames", &values, NULL, NULL), KD_ERR_INVALID, "offsets");
}
END_TEST

START_TEST(where_each_sample_is_a_row_both_are_the_same)
{
    kd_array os = KD_ARRAY_1D(((const int64_t[]){ 0, 1, 2, 3 }), KD_INT64, S + 1);
    float by_row[S * N], by_sample[2][S * N];
    kd_loss_result one, other[2];
    fill();
    restart(KD_LOSS_DKD, NULL);
    OK(kd_batch_begin(batch, S));
    OK(kd_targets_begin(targets, S));
    set_labels(kd_batch_set);
    teach(kd_targets_set, S, NULL);
    OK(run(S, by_row, &one));
    for (int packed = 0; packed < 2; packed++) {
        OK(packed ? kd_batch_begin_packed(batch, &os) : kd_batch_begin(batch, S));
        OK(kd_targets_begin(targets, S));
        set_labels(kd_batch_set_per_sample);
        teach(kd_targets_set_per_sample, S, NULL);
        OK(run(S, by_sample[packed], &other[packed]));
        ck_assert_mem_eq(by_row, by_sample[packed], sizeof by_row);
        ck_assert_mem_eq(&one, &other[packed], sizeof one);
    }
}
END_TEST

/* ---- terms over samples ---- */

/* The same bits as if the samples were rows of a batch of their own. */
START_TEST(a_term_of_samples_is_that_of_as_many_rows)
{
    static const int32_t kinds[] = { KD_LOSS_CROSS_ENTROPY, KD_LOSS_FORWARD_KL, KD_LOSS_REVERSE_KL,
                                     KD_LOSS_DKD,           KD_LOSS_LOGIT_MSE,  KD_LOSS_DIST };
    const uint8_t has[S] = { 1, 0, 1 };
    float alone[S * N], packed[S * N];
    kd_loss_result one, other;
    fill();
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (int partly = 0; partly < 2; partly++) {
            kd_term_options o = KD_TERM_OPTIONS_INIT;
            o.mask_field = o.weight_field = "weight";
            restart(kinds[k], &o);
            const float w[S] = { 0.5f, 2, 3 };
            kd_array ws = KD_ARRAY_1D(w, KD_FLOAT32, S);
            OK(kd_batch_begin(batch, S));
            OK(kd_targets_begin(targets, S));
            set_labels(kd_batch_set);
            OK(kd_batch_set(batch, "weight", &ws, NULL));
            teach(kd_targets_set, S, partly ? has : NULL);
            OK(run(S, alone, &one));
            pack();
            set_labels(kd_batch_set_per_sample);
            OK(kd_batch_set_per_sample(batch, "weight", &ws, NULL));
            teach(kd_targets_set_per_sample, S, partly ? has : NULL);
            OK(run(S, packed, &other));
            ck_assert_mem_eq(alone, packed, sizeof alone);
            ck_assert_mem_eq(&one, &other, sizeof one);
        }
}
END_TEST

START_TEST(terms_of_rows_and_of_samples_stand_in_one_loss)
{
    float dz[R * N], ds[S * N];
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, R, N), dzs = KD_ARRAY_2D(dz, KD_FLOAT32, R, N),
             ss = KD_ARRAY_2D(z, KD_FLOAT32, S, N), dss = KD_ARRAY_2D(ds, KD_FLOAT32, S, N),
             ys = KD_ARRAY_1D(sample_of, KD_INT64, R);
    kd_loss_output outputs[2] = { { sizeof *outputs, 0, "tokens", &zs, &dzs, NULL },
                                  { sizeof *outputs, 0, "text", &ss, &dss, NULL } };
    kd_loss_counts counts = { .struct_size = sizeof counts };
    kd_loss_result result = { .struct_size = sizeof result };
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    fill();
    o.student_output = "tokens", o.label_field = "place";
    restart(KD_LOSS_CROSS_ENTROPY, &o);
    o.student_output = "text", o.label_field = NULL;
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, &o, NULL));
    pack();
    OK(kd_batch_set(batch, "place", &ys, NULL));
    set_labels(kd_batch_set_per_sample);
    OK(kd_loss_count(loss, batch, NULL, &counts));
    ck_assert_int_eq(counts.rows[0], R);
    ck_assert_int_eq(counts.rows[1], S);
    OK(kd_loss_evaluate(loss, outputs, 2, batch, NULL, &counts, &result));
    ck_assert_int_eq(result.rows[0], R);
    ck_assert_int_eq(result.rows[1], S);
    NEAR(result.value, result.sum[0] / R + result.sum[1] / S, 1e-12);
}
END_TEST

START_TEST(a_mask_of_samples_is_spread_over_their_rows)
{
    const float w[S] = { 0.5f, 3, 0 };
    float rows[R], spread[R * N], by_row[R * N];
    kd_array ws = KD_ARRAY_1D(w, KD_FLOAT32, S), rs = KD_ARRAY_1D(rows, KD_FLOAT32, R),
             ys = KD_ARRAY_1D(sample_of, KD_INT64, R);
    kd_loss_result one, other;
    fill();
    for (int r = 0; r < R; r++) rows[r] = w[sample_of[r]];
    for (int32_t align = KD_ALIGN_SAME; align <= KD_ALIGN_NEXT; align++) {
        kd_term_options o = KD_TERM_OPTIONS_INIT;
        o.mask_field = o.weight_field = "task";
        o.align = align;
        restart(KD_LOSS_CROSS_ENTROPY, &o);
        pack();
        OK(kd_batch_set(batch, "label", &ys, NULL));
        OK(kd_batch_set(batch, "task", &rs, NULL));
        OK(run(R, by_row, &one));
        OK(kd_batch_set_per_sample(batch, "task", &ws, NULL));
        OK(run(R, spread, &other));
        ck_assert_mem_eq(by_row, spread, sizeof by_row);
        ck_assert_mem_eq(&one, &other, sizeof one);
        ck_assert_int_eq(one.rows[0], align == KD_ALIGN_SAME ? 3 : 1);
    }
}
END_TEST

/* ---- what does not fit ---- */

START_TEST(another_unit_is_told_with_both_counts)
{
    float dz[R * N];
    kd_loss_result result;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_array ys = KD_ARRAY_1D(sample_of, KD_INT64, R), frames = KD_ARRAY_1D(z, KD_FLOAT32, 5),
             own = KD_ARRAY_1D(((const int64_t[]){ 0, 4, 4, 5 }), KD_INT64, S + 1);
    fill();
    restart(KD_LOSS_CROSS_ENTROPY, NULL);
    pack();
    set_labels(kd_batch_set_per_sample);
    FAILS(run(R, dz, &result), KD_ERR_SHAPE,
          "field 'label' of the batch is per sample (3), output 'logits' is per row (7)");
    OK(kd_batch_set(batch, "label", &ys, NULL));
    FAILS(run(S, dz, &result), KD_ERR_SHAPE,
          "field 'label' of the batch is per row (7), output 'logits' is per sample (3)");
    OK(kd_batch_set_ragged(batch, "label", &frames, &own, NULL));
    FAILS(run(R, dz, &result), KD_ERR_SHAPE, "is ragged (5)");

    restart(KD_LOSS_FORWARD_KL, NULL);
    pack();
    teach(kd_targets_set_per_sample, S, NULL);
    FAILS(run(R, dz, &result), KD_ERR_SHAPE, "field 'logits' of the targets is per sample (3)");
    teach(kd_targets_set, R, NULL);
    FAILS(run(S, dz, &result), KD_ERR_SHAPE, "field 'logits' of the targets is per row (7)");
    OK(kd_targets_begin(targets, R));
    teach(kd_targets_set_per_sample, 2, NULL);
    FAILS(run(S, dz, &result), KD_ERR_SHAPE, "the batch has 3 samples, the targets 2");
    FAILS(run(4, dz, &result), KD_ERR_SHAPE, "expected 7 rows, got 4");

    o.mask_field = "mask";
    restart(KD_LOSS_CROSS_ENTROPY, &o);
    pack();
    set_labels(kd_batch_set_per_sample);
    OK(kd_batch_set(batch, "mask", &ys, NULL));
    FAILS(run(S, dz, &result), KD_ERR_SHAPE, "field 'mask' of the batch is per row (7)");
    o.mask_field = NULL, o.align = KD_ALIGN_NEXT;
    restart(KD_LOSS_CROSS_ENTROPY, &o);
    FAILS(run(S, dz, &result), KD_ERR_UNSUPPORTED, "KD_ALIGN_NEXT is of rows");
}
END_TEST

/* Two samples, one of them empty, and two rows: only the fields tell what the output is of. */
START_TEST(as_many_rows_as_samples_are_not_each_others)
{
    const int64_t odd[3] = { 0, 0, 2 };
    kd_array os = KD_ARRAY_1D(odd, KD_INT64, 3), ys = KD_ARRAY_1D(labels, KD_INT64, 2);
    float dz[2 * N];
    kd_loss_result result;
    fill();
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    o.mask_field = "mask";
    restart(KD_LOSS_CROSS_ENTROPY, &o);
    OK(kd_batch_begin_packed(batch, &os));
    kd_array mask = KD_ARRAY_1D(((const int64_t[]){ 0, 1 }), KD_INT64, 2);
    OK(kd_batch_set_per_sample(batch, "mask", &mask, NULL));
    OK(kd_batch_set(batch, "label", &ys, NULL));
    OK(run(2, dz, &result));
    ck_assert_int_eq(result.rows[0], 2); /* both rows are the second sample's */
    OK(kd_batch_set_per_sample(batch, "label", &ys, NULL));
    OK(run(2, dz, &result));
    ck_assert_int_eq(result.rows[0], 1);
}
END_TEST

START_TEST(models_read_fields_of_rows_alone)
{
    static const char MLP[] =
        "{\"model_type\":\"mlp\",\"input_size\":4,\"hidden_sizes\":[4],\"num_labels\":3}";
    kd_model *model;
    kd_array xs = KD_ARRAY_2D(z, KD_FLOAT32, S, N),
             own = KD_ARRAY_1D(((const int64_t[]){ 0, 1, 2, 3 }), KD_INT64, S + 1);
    OK(kd_model_create(&model, ctx, MLP, NULL));
    pack();
    OK(kd_batch_set_per_sample(batch, "inputs", &xs, NULL));
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_SHAPE,
          "'inputs' is per sample (3): expected one entry a row (7)");
    OK(kd_batch_set_ragged(batch, "inputs", &xs, &own, NULL));
    FAILS(kd_model_forward(model, batch, KD_MODE_EVALUATE), KD_ERR_SHAPE, "is ragged (3)");
    OK(kd_batch_begin(batch, S));
    OK(kd_batch_set_per_sample(batch, "inputs", &xs, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    kd_model_free(model);
}
END_TEST

/* ---- teachers ---- */

START_TEST(arrays_and_ensembles_answer_for_packed_samples)
{
    kd_teacher *arrays, *both, *pair[2];
    kd_array vs = KD_ARRAY_2D(v, KD_FLOAT32, S, N), got, all;
    kd_ensemble_options o = KD_ENSEMBLE_OPTIONS_INIT;
    fill();
    OK(kd_teacher_create(&arrays, ctx, NULL, NULL));
    OK(kd_teacher_add(arrays, "logits", &vs));
    pair[0] = pair[1] = arrays;
    o.mean = KD_MEAN_OF_LOGITS;
    OK(kd_teacher_from_ensemble(&both, ctx, pair, 2, &o));
    pack();
    OK(kd_teacher_read(arrays, batch, targets));
    OK(kd_targets_field(targets, "logits", &got, NULL));
    ck_assert_int_eq(got.dims[0], S);
    ck_assert_mem_eq(got.data, v, S * N * sizeof *v);
    OK(kd_teacher_read(both, batch, targets));
    OK(kd_targets_field(targets, "logits", &all, NULL));
    ck_assert_int_eq(all.dims[0], S);
    for (int i = 0; i < S * N; i++) NEAR(((float *)all.data)[i], v[i], 1e-6);
    kd_teacher_free(both);
    kd_teacher_free(arrays);
}
END_TEST

/* Another tokenizer's rows are moved; what is said of a text stays. */
START_TEST(alignment_carries_fields_of_samples)
{
    const int64_t here[4] = { 0, 2, 3, 3 }, there[4] = { 0, 1, 4, 4 };
    const int64_t ends[3] = { 1, 2, 3 }, other_ends[4] = { 2, 1, 2, 3 };
    const uint8_t has[S] = { 1, 0, 1 };
    kd_batch *other;
    kd_targets *moved;
    kd_array h = KD_ARRAY_1D(here, KD_INT64, 4), t = KD_ARRAY_1D(there, KD_INT64, 4),
             e = KD_ARRAY_1D(ends, KD_INT64, 3), f = KD_ARRAY_1D(other_ends, KD_INT64, 4), got,
             present;
    fill();
    OK(kd_batch_create(&other, ctx, NULL));
    OK(kd_targets_create(&moved, ctx, NULL));
    OK(kd_batch_begin_packed(batch, &h));
    OK(kd_batch_set(batch, "end", &e, NULL));
    OK(kd_batch_begin_packed(other, &t));
    OK(kd_batch_set(other, "end", &f, NULL));
    OK(kd_targets_begin(targets, 4));
    teach(kd_targets_set_per_sample, S, has);
    OK(kd_targets_align_batch(moved, batch, targets, other, NULL));
    OK(kd_targets_field(moved, "logits", &got, &present));
    ck_assert_int_eq(got.dims[0], S);
    ck_assert_mem_eq(got.data, v, S * N * sizeof *v);
    ck_assert_mem_eq(present.data, has, sizeof has);
    OK(kd_targets_begin(targets, 4));
    teach(kd_targets_set_per_sample, 2, NULL);
    FAILS(kd_targets_align_batch(moved, batch, targets, other, NULL), KD_ERR_SHAPE, "targets 2");
    kd_targets_free(moved);
    kd_batch_free(other);
}
END_TEST

Suite *units_suite(void)
{
    Suite *suite = suite_create("units");
    TCase *tcase = tcase_create("units");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, fields_of_samples_are_kept_beside_fields_of_rows);
    tcase_add_test(tcase, a_field_may_have_rows_of_its_own);
    tcase_add_test(tcase, where_each_sample_is_a_row_both_are_the_same);
    tcase_add_test(tcase, a_term_of_samples_is_that_of_as_many_rows);
    tcase_add_test(tcase, terms_of_rows_and_of_samples_stand_in_one_loss);
    tcase_add_test(tcase, a_mask_of_samples_is_spread_over_their_rows);
    tcase_add_test(tcase, another_unit_is_told_with_both_counts);
    tcase_add_test(tcase, as_many_rows_as_samples_are_not_each_others);
    tcase_add_test(tcase, models_read_fields_of_rows_alone);
    tcase_add_test(tcase, arrays_and_ensembles_answer_for_packed_samples);
    tcase_add_test(tcase, alignment_carries_fields_of_samples);
    suite_add_tcase(suite, tcase);
    return suite;
}
