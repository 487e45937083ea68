/* Weights and temperatures of terms that follow schedules: a teacher that gives way to the labels,
 * and two tasks, each at its own pace. Beside formulas over one row after the other. */
#include "unit.h"

enum { ROWS = 5, V = 4, STEPS = 8 };

static kd_context *ctx;
static kd_batch *batch;
static kd_targets *targets;
static kd_loss *loss;
static float z[2][ROWS * V], v[2][ROWS * V], dz[2][ROWS * V];
static const int64_t labels[ROWS] = { 0, 3, 1, 1, 2 };

static void setup(void)
{
    kd_array ys = KD_ARRAY_1D(labels, KD_INT64, ROWS);
    ctx = make_context(2);
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_batch_begin(batch, ROWS));
    OK(kd_batch_set(batch, "label", &ys, NULL));
    OK(kd_targets_begin(targets, ROWS));
    for (int t = 0; t < 2; t++) {
        kd_array vs = KD_ARRAY_2D(v[t], KD_FLOAT32, ROWS, V);
        for (int i = 0; i < ROWS * V; i++) {
            z[t][i] = 2 * sinf(1.1f * (float)(i + 7 * t));
            v[t][i] = 3 * cosf(0.7f * (float)(i * i + t));
        }
        OK(kd_targets_set(targets, t ? "logits.b" : "logits.a", &vs, NULL));
    }
}

static void teardown(void)
{
    kd_loss_free(loss);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_context_free(ctx);
}

static void probabilities(const float *x, double temperature, double *p)
{
    double sum = 0;
    for (int c = 0; c < V; c++) sum += p[c] = exp(x[c] / temperature);
    for (int c = 0; c < V; c++) p[c] /= sum;
}

static double evaluate(int outputs)
{
    kd_array zs[2] = { KD_ARRAY_2D(z[0], KD_FLOAT32, ROWS, V),
                       KD_ARRAY_2D(z[1], KD_FLOAT32, ROWS, V) },
             ds[2] = { KD_ARRAY_2D(dz[0], KD_FLOAT32, ROWS, V),
                       KD_ARRAY_2D(dz[1], KD_FLOAT32, ROWS, V) };
    const kd_loss_output o[2] = { { sizeof *o, 0, "logits.a", &zs[0], &ds[0], NULL },
                                  { sizeof *o, 0, "logits.b", &zs[1], &ds[1], NULL } };
    kd_loss_result result = { .struct_size = sizeof result };
    OK(kd_loss_evaluate(loss, o, outputs, batch, targets, NULL, &result));
    return result.value;
}

/* Clark et al. 2019 (1907.04829), section 3.2: the target is l y + (1 - l) p, and l goes from 0 to
 * 1. Cross-entropy to it differs from the two terms by the teacher's entropy, which is constant. */
START_TEST(a_teacher_gives_way_to_the_labels)
{
    kd_schedule *share, *rest;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    int32_t hard, soft;
    o.student_output = o.teacher_field = "logits.a";
    OK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, &o, &soft));
    o.teacher_field = NULL;
    OK(kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 0, &o, &hard));
    OK(kd_schedule_create_linear(&share, ctx, 0, 1, STEPS));
    OK(kd_schedule_create_linear(&rest, ctx, 1, 0, STEPS));
    for (int64_t step = 0; step <= STEPS; step++) {
        const double l = (double)step / STEPS;
        double want = 0, q[V], p[V];
        OK(kd_loss_set(loss, hard, KD_TERM_WEIGHT, kd_schedule_value(share, step)));
        OK(kd_loss_set(loss, soft, KD_TERM_WEIGHT, kd_schedule_value(rest, step)));
        const double got = evaluate(1);
        for (int r = 0; r < ROWS; r++) {
            probabilities(z[0] + r * V, 1, q);
            probabilities(v[0] + r * V, 1, p);
            for (int c = 0; c < V; c++) {
                const double target = l * (c == labels[r]) + (1 - l) * p[c];
                want += ((1 - l) * p[c] * log(p[c]) - target * log(q[c])) / ROWS;
                NEAR(dz[0][r * V + c], (q[c] - target) / ROWS, 1e-7);
            }
        }
        NEAR(got, want, 1e-6);
    }
    kd_schedule_free(share);
    kd_schedule_free(rest);
}
END_TEST

START_TEST(each_task_has_its_own_weight_and_temperature)
{
    kd_schedule *weight[2], *temperature[2];
    for (int t = 0; t < 2; t++) {
        kd_term_options o = KD_TERM_OPTIONS_INIT;
        o.student_output = o.teacher_field = t ? "logits.b" : "logits.a";
        OK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, &o, NULL));
        OK(kd_schedule_create_linear(&weight[t], ctx, t ? 2 : 0.5, t ? 1 : 3, STEPS));
        OK(kd_schedule_create_exponential(&temperature[t], ctx, t ? 1 : 8, t ? 4 : 1, STEPS));
    }
    for (int64_t step = 0; step <= STEPS; step++) {
        const double s = (double)step / STEPS;
        const double w[2] = { 0.5 + 2.5 * s, 2 - s }, T[2] = { 8 * pow(1. / 8, s), pow(4, s) };
        double want = 0, q[V], p[V];
        for (int t = 0; t < 2; t++) {
            OK(kd_loss_set(loss, t, KD_TERM_WEIGHT, kd_schedule_value(weight[t], step)));
            OK(kd_loss_set(loss, t, KD_TERM_TEMPERATURE, kd_schedule_value(temperature[t], step)));
        }
        const double got = evaluate(2);
        for (int r = 0; r < 2 * ROWS; r++) {
            const int t = r / ROWS, at = r % ROWS * V;
            probabilities(z[t] + at, T[t], q);
            probabilities(v[t] + at, T[t], p);
            for (int c = 0; c < V; c++) {
                want += w[t] * T[t] * T[t] * p[c] * log(p[c] / q[c]) / ROWS;
                NEAR(dz[t][at + c], w[t] * T[t] * (q[c] - p[c]) / ROWS, 2e-6);
            }
        }
        NEAR(got / want, 1, 1e-5);
    }
    for (int t = 0; t < 2; t++) {
        kd_schedule_free(weight[t]);
        kd_schedule_free(temperature[t]);
    }
}
END_TEST

Suite *annealing_suite(void)
{
    Suite *suite = suite_create("annealing");
    TCase *tests = tcase_create("annealing");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_teacher_gives_way_to_the_labels);
    tcase_add_test(tests, each_task_has_its_own_weight_and_temperature);
    suite_add_tcase(suite, tests);
    return suite;
}
