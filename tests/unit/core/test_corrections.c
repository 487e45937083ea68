/* What a wrong teacher gets, logits of 16 bits, and policy gradients. */
#include "divergencekit.h"

START_TEST(labels_correct_the_teacher_and_gates_weigh_it)
{
    int64_t label = 6; /* the teacher says 3, then 6 */
    kd_array labels = KD_ARRAY_1D(&label, KD_INT64, 1);
    float a[8], b[8], swapped[8], mixed[8];
    kd_loss_diagnostics seen = { .struct_size = sizeof seen };
    memcpy(swapped, golden_v, sizeof swapped);
    memcpy(mixed, golden_v, sizeof mixed);
    swapped[3] = golden_v[6], swapped[6] = golden_v[3];
    mixed[6] = golden_v[3];
    for (int sparse = 0; sparse < 2; sparse++)
        for (int32_t c = KD_CORRECT_DROP; c <= KD_CORRECT_MIX; c++) {
            kd_term_options o = plain(1);
            if (sparse) o.teacher_field = "topk", o.tail = KD_TAIL_RENORM_TEACHER;
            if (sparse) top(c == KD_CORRECT_SWAP ? swapped : mixed, 8, 8, 1);
            else dense(c == KD_CORRECT_SWAP ? swapped : mixed, 8);
            const double x = value_of(KD_LOSS_FORWARD_KL, &o, golden_z, 8, a);
            if (sparse) top(golden_v, 8, 8, 1);
            else dense(golden_v, 8);
            OK(kd_batch_set(batch, "label", &labels, NULL));
            o.correction = c;
            restart(KD_LOSS_FORWARD_KL, &o);
            OK(kd_loss_set_diagnostics(loss, 1));
            double value;
            OK(row(golden_z, 8, b, &value));
            NEAR(value, c == KD_CORRECT_DROP ? 0 : x, 1e-6);
            for (int j = 0; j < 8; j++) NEAR(b[j], c == KD_CORRECT_DROP ? 0 : a[j], 1e-6);
            OK(kd_loss_get_diagnostics(loss, 0, &seen));
            ck_assert_int_eq(seen.corrected > 0, 1);
            label = 3; /* the teacher is right */
            OK(kd_batch_set(batch, "label", &labels, NULL));
            OK(row(golden_z, 8, b, &value));
            NEAR(value, 0.335157623152, 1e-6);
            label = 6;
        }
    dense(golden_v, 8);
    kd_term_options o = plain(1);
    numbers.confidence_power = 2;
    double p = 0.583412994, sum = 0;
    for (int i = 0; i < 8; i++) sum += exp((double)golden_v[i]);
    p = exp(3.0) / sum;
    NEAR(value_of(KD_LOSS_FORWARD_KL, &o, golden_z, 8, a), 0.335157623152 * p * p, 1e-6);
    NEAR(a[0], 0.202225991 * p * p, 1e-6);
}
END_TEST

START_TEST(sixteen_bit_logits_are_their_float_values)
{
    enum { N = 333 };
    float z[N], v[N], a[N], b[N];
    uint16_t zb[N], vb[N];
    stream = 5;
    fill(z, v, N, 3);
    for (int i = 0; i < N; i++) {
        uint32_t bits;
        memcpy(&bits, &z[i], 4);
        zb[i] = (uint16_t)(bits >> 16);
        bits = (uint32_t)zb[i] << 16;
        memcpy(&z[i], &bits, 4);
        memcpy(&bits, &v[i], 4);
        vb[i] = (uint16_t)(bits >> 16);
        bits = (uint32_t)vb[i] << 16;
        memcpy(&v[i], &bits, 4);
    }
    dense(v, N);
    kd_term_options o = plain(2);
    const double x = value_of(KD_LOSS_JSD, &o, z, N, a);
    kd_array zs = KD_ARRAY_2D(zb, KD_BFLOAT16, 1, N), vs = KD_ARRAY_2D(vb, KD_BFLOAT16, 1, N),
             bs = KD_ARRAY_2D(b, KD_FLOAT32, 1, N);
    kd_loss_output output = { sizeof output, 0, NULL, &zs, &bs, NULL };
    kd_loss_result result = { .struct_size = sizeof result };
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_borrow(targets, "logits", &vs, NULL));
    OK(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, &result));
    ck_assert_double_eq(result.sum[0], x);
    ck_assert_mem_eq(a, b, sizeof a);
}
END_TEST

START_TEST(policy_gradients_follow_their_definition)
{
    int64_t label = 2;
    float log_p = -1.25f, a[8];
    kd_array labels = KD_ARRAY_1D(&label, KD_INT64, 1), ps = KD_ARRAY_1D(&log_p, KD_FLOAT32, 1);
    double sum = 0, value;
    for (int i = 0; i < 8; i++) sum += exp((double)golden_z[i]);
    const double lq = golden_z[2] - log(sum), advantage = log_p - lq;
    OK(kd_batch_begin(batch, 1));
    OK(kd_batch_set(batch, "label", &labels, NULL));
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_set(targets, "log_probability", &ps, NULL));
    kd_term_options o = plain(1);
    restart(KD_LOSS_POLICY_GRADIENT, &o);
    OK(row(golden_z, 8, a, &value));
    NEAR(value, lq - log_p, 1e-6);
    for (int j = 0; j < 8; j++) NEAR(a[j], -advantage * ((j == 2) - exp(golden_z[j]) / sum), 1e-6);
}
END_TEST

Suite *corrections_suite(void)
{
    Suite *suite = suite_create("corrections");
    TCase *tests = tcase_create("corrections");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, labels_correct_the_teacher_and_gates_weigh_it);
    tcase_add_test(tests, sixteen_bit_logits_are_their_float_values);
    tcase_add_test(tests, policy_gradients_follow_their_definition);
    suite_add_tcase(suite, tests);
    return suite;
}
