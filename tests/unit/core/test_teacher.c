#include "unit.h"

static kd_context *ctx;
static kd_batch *batch;
static kd_targets *targets;
static void setup(void)
{
    ctx = make_context(2);
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
}
static void teardown(void)
{
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_context_free(ctx);
}

static float x[6 * 2] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };

static kd_dataset *points(void)
{
    kd_dataset *data;
    kd_array xs = KD_ARRAY_2D(x, KD_FLOAT32, 6, 2);
    OK(kd_dataset_create(&data, ctx, NULL));
    OK(kd_dataset_add(data, "inputs", &xs, NULL));
    return data;
}

static void load(kd_dataset *data)
{
    kd_loader *loader;
    kd_loader_options o = KD_LOADER_OPTIONS_INIT;
    o.batch_size = 6;
    OK(kd_loader_create(&loader, data, &o));
    OK(kd_loader_next(loader, batch));
    kd_loader_free(loader);
}

START_TEST(arrays_answer_by_number_and_by_key)
{
    kd_dataset *data = points();
    kd_teacher *by_number, *by_key;
    float v[6 * 3];
    uint64_t keys[12];
    int64_t labels[6] = { 0, 1, 2, 0, 1, 2 };
    kd_array vs = KD_ARRAY_2D(v, KD_FLOAT32, 6, 3), ks, ys = KD_ARRAY_1D(labels, KD_INT64, 6), out,
             label, numbers, present, all;
    kd_teacher_options o = KD_TEACHER_OPTIONS_INIT;
    for (int i = 0; i < 18; i++) v[i] = (float)i;
    for (int64_t i = 0; i < 6; i++) OK(kd_dataset_key(data, i, keys + 2 * i));
    /* the last sample is missing */
    OK(kd_array_init(&ks, keys, KD_UINT64, 2, (const int64_t[]){ 5, 2 }));
    o.lookup = KD_LOOKUP_KEY;
    o.missing = KD_MISSING_ABSENT;
    OK(kd_teacher_create(&by_key, ctx, &ks, &o));
    kd_array five = KD_ARRAY_2D(v, KD_FLOAT32, 5, 3);
    OK(kd_teacher_add(by_key, "logits", &five));
    OK(kd_teacher_create(&by_number, ctx, NULL, NULL));
    OK(kd_teacher_borrow(by_number, "logits", &vs));
    OK(kd_teacher_add(by_number, "label", &ys));
    OK(kd_teacher_field(by_number, "label", &all));
    ck_assert_int_eq(all.dims[0], 6);
    load(data);
    OK(kd_batch_samples(batch, &numbers, NULL, NULL));
    OK(kd_teacher_read(by_number, batch, targets));
    OK(kd_targets_field(targets, "logits", &out, &present));
    OK(kd_targets_field(targets, "label", &label, NULL));
    ck_assert_ptr_null(present.data);
    for (int i = 0; i < 6; i++) {
        int64_t n = ((int64_t *)numbers.data)[i];
        ck_assert_float_eq(((float *)out.data)[3 * i + 1], (float)(3 * n + 1));
        ck_assert_int_eq(((int64_t *)label.data)[i], n % 3);
    }
    OK(kd_teacher_read(by_key, batch, targets));
    OK(kd_targets_field(targets, "logits", &out, &present));
    for (int i = 0; i < 6; i++) {
        int64_t n = ((int64_t *)numbers.data)[i];
        ck_assert_int_eq(((uint8_t *)present.data)[i], n < 5);
        if (n < 5) ck_assert_float_eq(((float *)out.data)[3 * i], (float)(3 * n));
    }
    FAILS(kd_targets_field(targets, "label", &label, NULL), KD_ERR_NOT_FOUND, "label");
    kd_teacher_free(by_key);
    o.missing = KD_MISSING_ERROR;
    OK(kd_teacher_create(&by_key, ctx, &ks, &o));
    OK(kd_teacher_add(by_key, "logits", &five));
    FAILS(kd_teacher_read(by_key, batch, targets), KD_ERR_NOT_FOUND, "sample 5");
    FAILS(kd_teacher_add(by_key, "label", &ys), KD_ERR_SHAPE, "expected 5 rows");
    kd_teacher_free(by_key);
    kd_teacher_free(by_number);
    kd_dataset_free(data);
}
END_TEST

START_TEST(probabilities_become_logits_and_are_checked)
{
    kd_dataset *data = points();
    kd_teacher *teacher;
    float p[12] = { .5f, .5f, 1, 0, .25f, .75f, .1f, .9f, .2f, .8f, .3f, .7f };
    kd_array ps = KD_ARRAY_2D(p, KD_FLOAT32, 6, 2), out, numbers;
    OK(kd_teacher_create(&teacher, ctx, NULL, NULL));
    OK(kd_teacher_add(teacher, "probabilities", &ps));
    load(data);
    OK(kd_teacher_read(teacher, batch, targets));
    OK(kd_targets_field(targets, "logits", &out, NULL));
    OK(kd_batch_samples(batch, &numbers, NULL, NULL));
    for (int i = 0; i < 6; i++)
        NEAR(((float *)out.data)[2 * i], log(p[2 * ((int64_t *)numbers.data)[i]]), 1e-6);
    kd_teacher_free(teacher);
    p[3] = 0.5f;
    OK(kd_teacher_create(&teacher, ctx, NULL, NULL));
    FAILS(kd_teacher_add(teacher, "probabilities", &ps), KD_ERR_RANGE,
          "row 1: expected a sum of 1, got 1.5");
    p[3] = NAN;
    FAILS(kd_teacher_add(teacher, "probabilities", &ps), KD_ERR_RANGE, "row 1");
    FAILS(kd_teacher_read(teacher, batch, targets), KD_ERR_STATE,
          "no fields"); /* what was refused is not kept */
    kd_teacher_free(teacher);
    kd_dataset_free(data);
}
END_TEST

static const char CONFIG[] =
    "{\"model_type\":\"mlp\",\"input_size\":2,\"hidden_sizes\":[4],\"num_labels\":3}";

START_TEST(a_live_model_is_collected_and_ensembles_are_means)
{
    kd_dataset *data = points();
    kd_model *models[2];
    kd_teacher *live[2], *kept, *ensemble;
    kd_array direct, hidden, a, b, mixed;
    float first[18], second[18];
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    o.frozen = 1;
    for (int i = 0; i < 2; i++) {
        o.seed = 10 + (uint64_t)i;
        OK(kd_model_create(&models[i], ctx, CONFIG, &o));
        OK(kd_teacher_from_model(&live[i], models[i], NULL));
        kd_model_free(models[i]); /* the teacher keeps it */
    }
    load(data);
    OK(kd_teacher_read(live[0], batch, targets));
    OK(kd_targets_field(targets, "logits", &direct, NULL));
    OK(kd_targets_field(targets, "hidden.0", &hidden, NULL));
    ck_assert_int_eq(hidden.dims[1], 4);
    memcpy(first, direct.data, sizeof first);
    OK(kd_teacher_collect(&kept, live[0], data, 4));
    OK(kd_teacher_read(kept, batch, targets));
    OK(kd_targets_field(targets, "logits", &a, NULL));
    for (int i = 0; i < 18; i++) NEAR(((float *)a.data)[i], first[i], 1e-6);
    OK(kd_teacher_read(live[1], batch, targets));
    OK(kd_targets_field(targets, "logits", &b, NULL));
    memcpy(second, b.data, sizeof second);
    const double weights[2] = { 3, 1 };
    kd_ensemble_options e = KD_ENSEMBLE_OPTIONS_INIT;
    e.weights = weights;
    e.temperature = 2;
    OK(kd_teacher_from_ensemble(&ensemble, ctx, live, 2, &e));
    OK(kd_teacher_read(ensemble, batch, targets));
    OK(kd_targets_field(targets, "logits", &mixed, NULL));
    for (int r = 0; r < 6; r++) {
        double s1 = 0, s2 = 0, s = 0;
        for (int c = 0; c < 3; c++)
            s1 += exp(first[3 * r + c] / 2), s2 += exp(second[3 * r + c] / 2),
                s += exp(((float *)mixed.data)[3 * r + c] / 2);
        for (int c = 0; c < 3; c++)
            NEAR(exp(((float *)mixed.data)[3 * r + c] / 2) / s,
                 0.75 * exp(first[3 * r + c] / 2) / s1 + 0.25 * exp(second[3 * r + c] / 2) / s2,
                 1e-6);
    }
    kd_teacher_free(ensemble);
    e.mean = KD_MEAN_OF_LOGITS;
    OK(kd_teacher_from_ensemble(&ensemble, ctx, live, 2, &e));
    OK(kd_teacher_read(ensemble, batch, targets));
    OK(kd_targets_field(targets, "logits", &mixed, NULL));
    for (int i = 0; i < 18; i++)
        NEAR(((float *)mixed.data)[i], 0.75 * first[i] + 0.25 * second[i], 1e-6);
    kd_teacher_free(ensemble);
    const double none[2] = { 0, 0 };
    e.weights = none;
    FAILS(kd_teacher_from_ensemble(&ensemble, ctx, live, 2, &e), KD_ERR_RANGE, "only zeros");
    kd_teacher_free(kept);
    kd_teacher_free(live[0]);
    kd_teacher_free(live[1]);
    kd_dataset_free(data);
}
END_TEST

static kd_status answer(void *user, kd_batch *asked, kd_targets *to)
{
    static float v[12];
    int64_t rows;
    if (!user) return kd_set_error(KD_ERR_CALLBACK, "the teacher is ill");
    kd_batch_get_counts(asked, NULL, &rows);
    kd_array vs = KD_ARRAY_2D(v, KD_FLOAT32, rows, 2);
    return kd_targets_borrow(to, "logits", &vs, NULL);
}
static void destroyed(void *user)
{
    if (user) ++*(int *)user;
}

START_TEST(a_host_may_be_the_teacher)
{
    kd_dataset *data = points();
    kd_teacher *teacher;
    int ended = 0;
    kd_array out;
    kd_teacher_callbacks c = { sizeof c, 0, &ended, answer, destroyed };
    OK(kd_teacher_from_callbacks(&teacher, ctx, &c, NULL));
    load(data);
    OK(kd_teacher_read(teacher, batch, targets));
    OK(kd_targets_field(targets, "logits", &out, NULL));
    kd_teacher_free(teacher);
    ck_assert_int_eq(ended, 1);
    c.user = NULL;
    OK(kd_teacher_from_callbacks(&teacher, ctx, &c, NULL));
    FAILS(kd_teacher_read(teacher, batch, targets), KD_ERR_CALLBACK, "ill");
    kd_teacher_free(teacher);
    c.read = NULL;
    FAILS(kd_teacher_from_callbacks(&teacher, ctx, &c, NULL), KD_ERR_INVALID,
          "read: expected a function");
    kd_dataset_free(data);
}
END_TEST

START_TEST(pseudo_labels_are_confident_and_balanced)
{
    kd_dataset *data = points(), *labeled;
    kd_teacher *teacher;
    /* classes 0 0 0 1 1 ?: confidences .9 .8 .7 .95 .6 .5 */
    float p[12] = { .9f, .1f, .8f, .2f, .7f, .3f, .05f, .95f, .4f, .6f, .5f, .5f };
    kd_array ps = KD_ARRAY_2D(p, KD_FLOAT32, 6, 2), y, c, xs;
    kd_pseudo_label_options o = KD_PSEUDO_LABEL_OPTIONS_INIT;
    kd_pseudo_label_counts counts = { .struct_size = sizeof counts };
    OK(kd_teacher_create(&teacher, ctx, NULL, NULL));
    OK(kd_teacher_add(teacher, "probabilities", &ps));
    o.threshold = 0.55;
    o.balance = 1;
    OK(kd_dataset_pseudo_label(&labeled, data, teacher, &o, &counts));
    ck_assert(counts.seen == 6 && counts.below_threshold == 1 && counts.over_balance == 1 &&
              counts.kept == 4 && counts.classes == 2);
    OK(kd_dataset_field(labeled, "label", &y, NULL));
    OK(kd_dataset_field(labeled, "confidence", &c, NULL));
    OK(kd_dataset_field(labeled, "inputs", &xs, NULL));
    const int64_t expected[] = { 0, 0, 1, 1 }, sample[] = { 0, 1, 3, 4 };
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(((int64_t *)y.data)[i], expected[i]);
        ck_assert_float_eq(((float *)xs.data)[2 * i], x[2 * sample[i]]);
    }
    NEAR(((float *)c.data)[2], 0.95, 1e-6);
    kd_dataset_free(labeled);
    labeled = NULL;
    o.threshold = 0.99;
    FAILS(kd_dataset_pseudo_label(&labeled, data, teacher, &o, NULL), KD_ERR_STATE, "none of 6");
    ck_assert_ptr_null(labeled);
    kd_teacher_free(teacher);
    kd_dataset_free(data);
}
END_TEST

/* Answers with one sparse field, the same for every batch of 2 rows. */
static kd_status say_sparse(void *user, kd_batch *b, kd_targets *t)
{
    (void)b;
    return kd_targets_set_sparse(t, "topk", user, NULL);
}

static kd_status say_dense(void *user, kd_batch *b, kd_targets *t)
{
    (void)b;
    return kd_targets_set(t, "topk", user, NULL);
}

static kd_teacher *says(kd_status (*read)(void *, kd_batch *, kd_targets *), void *user)
{
    kd_teacher *made;
    kd_teacher_callbacks c = { .struct_size = sizeof c, .user = user, .read = read };
    OK(kd_teacher_from_callbacks(&made, ctx, &c, NULL));
    return made;
}

START_TEST(sparse_members_are_merged_on_the_union_of_their_ids)
{
    const int64_t ids_a[4] = { 1, 4, 0, 1 }, ids_b[4] = { 4, 5, 2, 3 };
    const float values_a[4] = { logf(0.5f), logf(0.3f), logf(0.25f), logf(0.25f) },
                values_b[4] = { logf(0.4f), logf(0.4f), logf(0.6f), logf(0.1f) };
    const float logits[12] = { 0, 1, 2, 0, -1, 0.5f, 3, 0, 0, 0, 1, 1 }, draws[4] = { 3, 1, 2, 2 };
    kd_array ia = KD_ARRAY_2D(ids_a, KD_INT64, 2, 2), va = KD_ARRAY_2D(values_a, KD_FLOAT32, 2, 2),
             vd = KD_ARRAY_2D(draws, KD_FLOAT32, 2, 2);
    kd_array ib = KD_ARRAY_2D(ids_b, KD_INT64, 2, 2), vb = KD_ARRAY_2D(values_b, KD_FLOAT32, 2, 2),
             full = KD_ARRAY_2D(logits, KD_FLOAT32, 2, 6);
    kd_sparse a = KD_SPARSE_INIT, b = KD_SPARSE_INIT;
    kd_ensemble_options e = KD_ENSEMBLE_OPTIONS_INIT;
    kd_array ids, values, tail, offsets;
    kd_teacher *ensemble;
    a.vocabulary = b.vocabulary = 6;
    a.ids = &ia, a.values = &va, b.ids = &ib, b.values = &vb;
    kd_teacher *members[3] = { says(say_sparse, &a), says(say_sparse, &b), says(say_dense, &full) };
    const double weights[3] = { 2, 1, 1 };
    e.field = "topk";
    e.weights = weights;
    OK(kd_batch_begin(batch, 2));
    OK(kd_teacher_from_ensemble(&ensemble, ctx, members, 3, &e));
    OK(kd_teacher_read(ensemble, batch, targets));
    OK(kd_targets_sparse(targets, "topk", &offsets, &ids, &values, &tail, NULL));
    ck_assert_int_eq(((int64_t *)offsets.data)[1], 3); /* 1 4 5 and 0 1 2 3 */
    ck_assert_int_eq(ids.dims[0], 7);
    for (int r = 0; r < 2; r++) { /* spread every member over its six classes, mix, compare */
        const kd_sparse *sides[2] = { &a, &b };
        double mixed[6] = { 0 }, sum = 0, rest = 1;
        for (int m = 0; m < 2; m++) {
            const int64_t *i = (const int64_t *)sides[m]->ids->data + 2 * r;
            const float *v = (const float *)sides[m]->values->data + 2 * r;
            const double lent = (1 - exp(v[0]) - exp(v[1])) / 4;
            for (int c = 0; c < 6; c++)
                mixed[c] += weights[m] / 4 * (c == i[0] ? exp(v[0]) : c == i[1] ? exp(v[1]) : lent);
        }
        for (int c = 0; c < 6; c++) sum += exp(logits[6 * r + c]);
        for (int c = 0; c < 6; c++) mixed[c] += 0.25 * exp(logits[6 * r + c]) / sum;
        for (int64_t i = ((int64_t *)offsets.data)[r]; i < ((int64_t *)offsets.data)[r + 1]; i++) {
            NEAR(exp(((float *)values.data)[i]), mixed[((uint32_t *)ids.data)[i]], 1e-6);
            rest -= mixed[((uint32_t *)ids.data)[i]];
        }
        NEAR(exp(((float *)tail.data)[r]), rest, 1e-6);
    }
    kd_teacher_free(ensemble);
    e.mean = KD_MEAN_OF_LOGITS;
    OK(kd_teacher_from_ensemble(&ensemble, ctx, members, 3, &e));
    FAILS(kd_teacher_read(ensemble, batch, targets), KD_ERR_UNSUPPORTED, "needs every class");
    kd_teacher_free(ensemble);
    e.mean = KD_MEAN_OF_PROBABILITIES;
    e.temperature = 2;
    OK(kd_teacher_from_ensemble(&ensemble, ctx, members, 3, &e));
    FAILS(kd_teacher_read(ensemble, batch, targets), KD_ERR_MISMATCH, "temperature 1");
    kd_teacher_free(ensemble);
    e.temperature = 1;
    OK(kd_teacher_from_ensemble(&ensemble, ctx, members, 2, &e));
    b.kind = KD_SPARSE_COUNTS;
    b.values = &vd;
    FAILS(kd_teacher_read(ensemble, batch, targets), KD_ERR_MISMATCH, "do not mix");
    a.kind = KD_SPARSE_COUNTS;
    a.values = &vd;
    /* row 0: a 1:3 4:1, b 4:3 5:1; 8 draws, weights 2/3 and 1/3 */
    OK(kd_teacher_read(ensemble, batch, targets));
    OK(kd_targets_sparse(targets, "topk", NULL, &ids, &values, NULL, NULL));
    NEAR(((float *)values.data)[0], 8 * 2 / 3. * 0.75, 1e-6);
    NEAR(((float *)values.data)[1], 8 * (2 / 3. * 0.25 + 1 / 3. * 0.75), 1e-6);
    kd_teacher_free(ensemble);
    for (int m = 0; m < 3; m++) kd_teacher_free(members[m]);
}
END_TEST

Suite *teacher_suite(void)
{
    Suite *suite = suite_create("teacher");
    TCase *tests = tcase_create("teacher");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, arrays_answer_by_number_and_by_key);
    tcase_add_test(tests, probabilities_become_logits_and_are_checked);
    tcase_add_test(tests, a_live_model_is_collected_and_ensembles_are_means);
    tcase_add_test(tests, sparse_members_are_merged_on_the_union_of_their_ids);
    tcase_add_test(tests, a_host_may_be_the_teacher);
    tcase_add_test(tests, pseudo_labels_are_confident_and_balanced);
    suite_add_tcase(suite, tests);
    return suite;
}
