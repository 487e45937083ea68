/* Teachers of another vocabulary: tokens aligned at common bytes, classes shared. */
#include "divergencekit.h"

START_TEST(tokens_are_aligned_at_common_bytes)
{
    /* "the cat sat": the| cat| sat  against  th|e| c|at| sat */
    int64_t a[3] = { 3, 7, 11 }, b[5] = { 2, 3, 5, 7, 11 }, chunks[3][4], count, absent;
    kd_array as = KD_ARRAY_1D(a, KD_INT64, 3), bs = KD_ARRAY_1D(b, KD_INT64, 5),
             cs = KD_ARRAY_2D(chunks, KD_INT64, 3, 4);
    OK(kd_align_find_chunks(&as, &bs, &cs, &count));
    ck_assert_int_eq(count, 3);
    static const int64_t expected[3][4] = { { 0, 1, 0, 2 }, { 1, 2, 2, 4 }, { 2, 3, 4, 5 } };
    ck_assert_mem_eq(chunks, expected, sizeof chunks);
    float logs[5] = { -1, -2, -3, -4, -5 };
    double sums[3];
    kd_array ls = KD_ARRAY_1D(logs, KD_FLOAT32, 5), ss = KD_ARRAY_1D(sums, KD_FLOAT64, 3);
    OK(kd_align_sum_chunks(&ls, &cs, 3, 2, &ss));
    ck_assert_double_eq(sums[0], -3);
    ck_assert_double_eq(sums[1], -7);
    /* rows move where both sides have one token */
    float v[10] = { 0, 0, 1, 1, 2, 2, 3, 3, 4, 4 };
    kd_array vs = KD_ARRAY_2D(v, KD_FLOAT32, 5, 2), got, present;
    kd_targets *from;
    OK(kd_targets_create(&from, ctx, NULL));
    OK(kd_targets_begin(from, 5));
    OK(kd_targets_set(from, "logits", &vs, NULL));
    OK(kd_targets_begin(targets, 3));
    OK(kd_targets_align(targets, from, "logits", &cs, 3, 0, 0, &absent));
    ck_assert_int_eq(absent, 2);
    OK(kd_targets_field(targets, "logits", &got, &present));
    ck_assert_int_eq(((uint8_t *)present.data)[0], 0);
    ck_assert_int_eq(((uint8_t *)present.data)[2], 1);
    ck_assert_float_eq(((float *)got.data)[4], 4);
    b[1] = 1;
    FAILS(kd_align_find_chunks(&as, &bs, &cs, &count), KD_ERR_RANGE, "token 1");
    kd_targets_free(from);
}
END_TEST

START_TEST(uld_takes_a_teacher_of_another_vocabulary)
{
    float v[5] = { 1, -1, 0.5f, 2, 0 }, a[8];
    kd_array vs = KD_ARRAY_2D(v, KD_FLOAT32, 1, 5);
    double value, q[8], p[8] = { 0 }, sq = 0, sp = 0, expected = 0;
    OK(kd_batch_begin(batch, 1));
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_set(targets, "logits", &vs, NULL));
    kd_term_options o = plain(1);
    restart(KD_LOSS_ULD, &o);
    OK(row(golden_z, 8, a, &value));
    for (int i = 0; i < 8; i++) sq += q[i] = exp((double)golden_z[i]);
    for (int i = 0; i < 5; i++) sp += p[i] = exp((double)v[i]);
    for (int i = 0; i < 8; i++) q[i] /= sq, p[i] /= sp;
    for (int i = 0; i < 8; i++)
        for (int j = i + 1; j < 8; j++) {
            double swap;
            if (q[j] > q[i]) swap = q[i], q[i] = q[j], q[j] = swap;
            if (p[j] > p[i]) swap = p[i], p[i] = p[j], p[j] = swap;
        }
    for (int i = 0; i < 8; i++) expected += fabs(q[i] - p[i]);
    NEAR(value, expected, 1e-6);
}
END_TEST

/* The definition in double: KL over the shared classes and a bucket, then the others sorted. */
static double shared_value(const double *z, const float *v, const int64_t *teacher_of)
{
    double q[8], p[5], only_q[8] = { 0 }, only_p[8] = { 0 }, sq = 0, sp = 0, s = 0, t = 0, sum = 0;
    int nq = 0, np = 0, taken[5] = { 0 };
    for (int i = 0; i < 8; i++) sq += q[i] = exp(z[i]);
    for (int i = 0; i < 5; i++) sp += p[i] = exp((double)v[i]);
    for (int i = 0; i < 8; i++) q[i] /= sq;
    for (int i = 0; i < 5; i++) p[i] /= sp;
    for (int i = 0; i < 8; i++) {
        if (teacher_of[i] < 0) {
            s += only_q[nq++] = q[i];
            continue;
        }
        taken[teacher_of[i]] = 1;
        sum += p[teacher_of[i]] * log(p[teacher_of[i]] / q[i]);
    }
    for (int i = 0; i < 5; i++)
        if (!taken[i]) t += only_p[np++] = p[i];
    sum += t * log(t / s);
    for (int i = 0; i < 8; i++)
        for (int j = i + 1; j < 8; j++) {
            double swap;
            if (only_q[j] > only_q[i]) swap = only_q[i], only_q[i] = only_q[j], only_q[j] = swap;
            if (only_p[j] > only_p[i]) swap = only_p[i], only_p[i] = only_p[j], only_p[j] = swap;
        }
    for (int i = 0; i < 8; i++) sum += fabs(only_q[i] - only_p[i]);
    return sum;
}

START_TEST(uld_compares_shared_classes_by_divergence)
{
    const float v[5] = { 1, -1, 0.5f, 2, 0 };
    int64_t teacher_of[8] = { -1, 3, -1, 0, 2, -1, -1, -1 };
    kd_array vs = KD_ARRAY_2D(v, KD_FLOAT32, 1, 5), map = KD_ARRAY_1D(teacher_of, KD_INT64, 8);
    kd_term_options o = plain(1);
    double value, z[8];
    float dz[8];
    OK(kd_batch_begin(batch, 1));
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_set(targets, "logits", &vs, NULL));
    restart(KD_LOSS_ULD, &o);
    OK(kd_loss_set_shared_classes(loss, 0, &map, 5));
    OK(row(golden_z, 8, dz, &value));
    for (int i = 0; i < 8; i++) z[i] = golden_z[i];
    NEAR(value, shared_value(z, v, teacher_of), 1e-6);
    for (int i = 0; i < 8; i++) {
        const double h = 1e-6;
        z[i] = golden_z[i] + h;
        const double up = shared_value(z, v, teacher_of);
        z[i] = golden_z[i] - h;
        NEAR(dz[i], (up - shared_value(z, v, teacher_of)) / (2 * h), 1e-6);
        z[i] = golden_z[i];
    }
    FAILS(kd_loss_set_shared_classes(loss, 0, &map, 3), KD_ERR_RANGE, "expected -1 to 2, got 3");
    OK(row(golden_z, 8, dz, &value)); /* a refused map leaves the old one */
    NEAR(value, shared_value(z, v, teacher_of), 1e-6);
    OK(kd_loss_set_shared_classes(loss, 0, &map, 6));
    FAILS(row(golden_z, 8, dz, &value), KD_ERR_SHAPE, "shared classes");
    teacher_of[0] = 3;
    FAILS(kd_loss_set_shared_classes(loss, 0, &map, 5), KD_ERR_RANGE, "twice");
    OK(kd_loss_set_shared_classes(loss, 0, NULL, 0));
    OK(row(golden_z, 8, dz, &value));
    restart(KD_LOSS_FORWARD_KL, &o);
    FAILS(kd_loss_set_shared_classes(loss, 0, &map, 5), KD_ERR_INVALID, "not ULD");
}
END_TEST

Suite *vocabularies_suite(void)
{
    Suite *suite = suite_create("vocabularies");
    TCase *tests = tcase_create("vocabularies");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, tokens_are_aligned_at_common_bytes);
    tcase_add_test(tests, uld_takes_a_teacher_of_another_vocabulary);
    tcase_add_test(tests, uld_compares_shared_classes_by_divergence);
    suite_add_tcase(suite, tests);
    return suite;
}
