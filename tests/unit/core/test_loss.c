/* Values and gradients of losses: published vectors, PyTorch, central differences, edges. */
#include "losskit.h"

static kd_term_options at_temperature(double t)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    o.temperature = t;
    o.t2 = KD_T2_OFF;
    return o;
}

static const float golden_z[8] = { 1.5f, -0.25f, 0.75f, 2, -1, 0, 0.5f, -2 },
                   golden_v[8] = { 0.5f, 1, -0.5f, 3, 0.25f, -1.5f, 2, -0.75f };

static const struct {
    int32_t kind;
    double share, t, value, gradient[8];
} vectors[] = {
    { KD_LOSS_FORWARD_KL,
      0,
      1,
      0.335157623152,
      { 0.202225991, -0.035492813, 0.100528625, -0.171042318, -0.016765618, 0.049327166,
        -0.122613308, -0.006167726 } },
    { KD_LOSS_REVERSE_KL,
      0,
      1,
      0.494714873704,
      { 0.289711826, -0.047448614, 0.166386719, -0.347087255, -0.022413138, 0.092547596,
        -0.123451800, -0.008245333 } },
    { KD_LOSS_JSD,
      .5,
      1,
      0.093922942203,
      { 0.054972972, -0.009143998, 0.028105480, -0.055018345, -0.004319319, 0.014088775,
        -0.027096577, -0.001588989 } },
    { KD_LOSS_JSD,
      .1,
      1,
      0.030645038943,
      { 0.018331785, -0.003182974, 0.009150414, -0.016149122, -0.001503530, 0.004503757,
        -0.010597211, -0.000553118 } },
    { KD_LOSS_JSD,
      .9,
      1,
      0.040991163477,
      { 0.023963761, -0.003884072, 0.013101213, -0.027211401, -0.001834706, 0.006944978,
        -0.010404822, -0.000674951 } },
    { KD_LOSS_FORWARD_KL,
      0,
      2,
      0.140251312914,
      { 0.052852964, -0.020130309, 0.040251873, -0.039409707, -0.013835345, 0.030046283,
        -0.041384198, -0.008391561 } },
    { KD_LOSS_REVERSE_KL,
      0,
      2,
      0.162418439385,
      { 0.058177686, -0.023336344, 0.048702680, -0.055594041, -0.016038819, 0.039464467,
        -0.041647594, -0.009728035 } },
    { KD_LOSS_JSD,
      .5,
      2,
      0.036985185054,
      { 0.013561360, -0.005242002, 0.010673815, -0.011415592, -0.003602772, 0.008187874,
        -0.009977493, -0.002185191 } },
    { KD_LOSS_JSD,
      .1,
      2,
      0.012726921335,
      { 0.004766202, -0.001819513, 0.003649683, -0.003646987, -0.001250532, 0.002736463,
        -0.003676831, -0.000758486 } },
    { KD_LOSS_JSD,
      .9,
      2,
      0.014283502413,
      { 0.005142710, -0.002039892, 0.004233660, -0.004775517, -0.001401996, 0.003377913,
        -0.003686524, -0.000850354 } },
};

START_TEST(published_vectors_are_met)
{
    float dz[8];
    kd_loss_result result;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        kd_term_options o = at_temperature(vectors[i].t);
        numbers.teacher_share = vectors[i].share;
        restart(vectors[i].kind, &o);
        OK(evaluate(golden_z, golden_v, NULL, 1, 8, dz, &result));
        NEAR(result.sum[0], vectors[i].value, 2e-7);
        for (int j = 0; j < 8; j++) NEAR(dz[j], vectors[i].gradient[j], 1e-7);
        o.t2 = KD_T2_DEFAULT; /* T^2 on value and gradient */
        restart(vectors[i].kind, &o);
        OK(evaluate(golden_z, golden_v, NULL, 1, 8, dz, &result));
        NEAR(result.sum[0], vectors[i].value * vectors[i].t * vectors[i].t, 1e-6);
        for (int j = 0; j < 8; j++)
            NEAR(dz[j], vectors[i].gradient[j] * vectors[i].t * vectors[i].t, 4e-7);
    }
}
END_TEST

static void follows(int32_t kind, const kd_term_options *o, const double *golden)
{
    float z[54], v[54], dz[54];
    int64_t labels[6] = { 0, 1, 2, 3, 4, 5 };
    kd_loss_result result;
    for (int i = 0; i < 54; i++) {
        z[i] = (float)(3 * sin(1.7 * i));
        v[i] = (float)(4 * cos(0.9 * i));
        if (kind == KD_LOSS_BINARY_CROSS_ENTROPY) v[i] = (float)(1 / (1 + exp(-4 * cos(0.9 * i))));
    }
    restart(kind, o);
    OK(evaluate(z, v, labels, 6, 9, dz, &result));
    NEAR(result.sum[0], golden[0], 4e-6 * fabs(golden[0]) + 1e-6);
    for (int i = 0; i < 54; i++) NEAR(dz[i], golden[i + 1], 3e-6);
}

START_TEST(values_and_gradients_follow_pytorch)
{
    kd_term_options o = at_temperature(1);
    follows(KD_LOSS_CROSS_ENTROPY, &o, golden_cross_entropy);
    numbers.label_smoothing = 0.1;
    follows(KD_LOSS_CROSS_ENTROPY, &o, golden_smoothed);
    o = at_temperature(3);
    follows(KD_LOSS_FORWARD_KL, &o, golden_forward_kl);
    follows(KD_LOSS_REVERSE_KL, &o, golden_reverse_kl);
    o = at_temperature(2);
    numbers.teacher_share = 0.3;
    follows(KD_LOSS_JSD, &o, golden_jsd);
    o = at_temperature(4);
    follows(KD_LOSS_DKD, &o, golden_dkd);
    o = at_temperature(1);
    o.teacher_field = "logits";
    follows(KD_LOSS_BINARY_CROSS_ENTROPY, &o, golden_binary);
    follows(KD_LOSS_MEAN_SQUARED_ERROR, &o, golden_mse);
    numbers.huber_delta = 1.5;
    follows(KD_LOSS_HUBER, &o, golden_huber);
}
END_TEST

static double log_sum(const double *x, int n, double t)
{
    double m = -INFINITY, s = 0;
    for (int i = 0; i < n; i++) m = x[i] > m ? x[i] : m;
    for (int i = 0; i < n; i++) s += exp((x[i] - m) / t);
    return m / t + log(s);
}

static double times(double p, double x) { return p > 0 ? p * x : 0; }

static double log_sigmoid(double x) { return x > 0 ? -log1p(exp(-x)) : x - log1p(exp(x)); }

/* The definitions, term by term. */
static double definition(int32_t kind, const kd_term_options *o, const double *z, const double *v,
                         int y, int n)
{
    const double t = kind == KD_LOSS_CROSS_ENTROPY ? 1 : o->temperature, lz = log_sum(z, n, t),
                 lv = log_sum(v, n, t), b = numbers.teacher_share;
    double total = 0, mean = 0, others_p = 0, others_q = 0;
    for (int i = 0; i < n; i++) mean += (z[i] - v[i]) / n;
    for (int i = 0; i < n; i++) {
        double lq = z[i] / t - lz, lp = v[i] / t - lv, q = exp(lq), p = exp(lp),
               m = b * p + (1 - b) * q, d = z[i] - v[i];
        if (i != y) others_p += p, others_q += q;
        switch (kind) {
        case KD_LOSS_CROSS_ENTROPY:
            total -= ((i == y ? 1 - numbers.label_smoothing : 0) + numbers.label_smoothing / n) *
                     lq;
            break;
        case KD_LOSS_FORWARD_KL: total += times(p, lp - lq); break;
        case KD_LOSS_REVERSE_KL: total += times(q, lq - lp); break;
        case KD_LOSS_JSD:
            total += b * times(p, lp - log(m)) + (1 - b) * times(q, lq - log(m));
            break;
        case KD_LOSS_LOGIT_MSE: total += (d - mean) * (d - mean) / (2 * n); break;
        case KD_LOSS_BINARY_KL:
            p = 1 / (1 + exp(-v[i] / t));
            total += times(p, log_sigmoid(v[i] / t) - log_sigmoid(z[i] / t)) +
                     times(1 - p, log_sigmoid(-v[i] / t) - log_sigmoid(-z[i] / t));
            break;
        case KD_LOSS_MEAN_SQUARED_ERROR: total += d * d / n; break;
        case KD_LOSS_HUBER:
            total += (fabs(d) <= numbers.huber_delta
                          ? d * d / 2
                          : numbers.huber_delta * (fabs(d) - numbers.huber_delta / 2)) /
                     n;
            break;
        default: break;
        }
    }
    if (kind != KD_LOSS_DKD) return total;
    double lp = v[y] / t - lv, lq = z[y] / t - lz;
    total = numbers.dkd_alpha *
            (times(exp(lp), lp - lq) + times(others_p, log(others_p) - log(others_q)));
    for (int i = 0; i < n; i++) {
        double p = exp(v[i] / t - lv) / others_p;
        if (i != y)
            total += numbers.dkd_beta *
                     times(p, v[i] / t - lv - log(others_p) - (z[i] / t - lz - log(others_q)));
    }
    return total;
}

static double draw(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(*state >> 11) / 9007199254740992.0;
}

static void check_gradient(int32_t kind, const kd_term_options *o, int n, double size,
                           uint64_t seed)
{
    float *z = malloc(sizeof(float) * (size_t)n), *v = malloc(sizeof(float) * (size_t)n),
          *dz = malloc(sizeof(float) * (size_t)n);
    double *zd = malloc(sizeof(double) * (size_t)n), *vd = malloc(sizeof(double) * (size_t)n);
    int64_t label = (int64_t)(draw(&seed) * n);
    kd_loss_result result;
    for (int i = 0; i < n; i++) {
        zd[i] = z[i] = (float)(size * (2 * draw(&seed) - 1));
        vd[i] = v[i] = (float)(size * (2 * draw(&seed) - 1));
    }
    restart(kind, o);
    OK(evaluate(z, v, &label, 1, n, dz, &result));
    double value = definition(kind, o, zd, vd, (int)label, n), largest = 0;
    NEAR(result.sum[0], value, 3e-6 * (1 + fabs(value)));
    for (int i = 0; i < n; i++) largest = fmax(largest, fabs(dz[i]));
    const int places = getenv("KD_TEST_FEW") ? 4 : 40;
    for (int k = 0; k < places && k < n; k++) {
        int i = n <= places ? k : (int)(draw(&seed) * n);
        double h = 1e-4, keep = zd[i];
        zd[i] = keep + h;
        double up = definition(kind, o, zd, vd, (int)label, n);
        zd[i] = keep - h;
        double down = definition(kind, o, zd, vd, (int)label, n);
        zd[i] = keep;
        NEAR(dz[i], (up - down) / (2 * h), 5e-7 / o->temperature + 3e-6 * largest);
    }
    free(z), free(v), free(dz), free(zd), free(vd);
}

START_TEST(gradients_match_central_differences)
{
    const int32_t kinds[] = { KD_LOSS_CROSS_ENTROPY, KD_LOSS_FORWARD_KL,         KD_LOSS_REVERSE_KL,
                              KD_LOSS_JSD,           KD_LOSS_LOGIT_MSE,          KD_LOSS_DKD,
                              KD_LOSS_BINARY_KL,     KD_LOSS_MEAN_SQUARED_ERROR, KD_LOSS_HUBER };
    const int sizes[] = { 2, 3, 10, 17, 257, 5003 };
    const double temperatures[] = { 0.25, 1, 4, 20 };
    kd_term_options o = at_temperature(temperatures[_i % 4]);
    numbers.label_smoothing = _i % 2 ? 0.1 : 0;
    numbers.teacher_share = 0.1 + 0.2 * (_i % 5);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        o.teacher_field = kinds[k] == KD_LOSS_CROSS_ENTROPY ? NULL : "logits";
        check_gradient(kinds[k], &o, sizes[_i % 6], _i < 12 ? 3 : 0.5,
                       1000 + (uint64_t)_i * 31 + k);
    }
}
END_TEST

START_TEST(large_logits_and_padding_stay_finite)
{
    /* Far apart, near 1e4, and with classes that do not exist. */
    const float z[5] = { 10000, 9999, -10000, 0, -INFINITY },
                v[5] = { 9998, 10000, -10000, 1, -INFINITY };
    const int32_t kinds[] = { KD_LOSS_FORWARD_KL, KD_LOSS_REVERSE_KL, KD_LOSS_JSD, KD_LOSS_DKD };
    int64_t label = 1;
    for (int i = 0; i < 4; i++) {
        float dz[5], shifted[5], dz2[5];
        kd_loss_result result, result2;
        kd_term_options o = at_temperature(3);
        restart(kinds[i], &o);
        OK(evaluate(z, v, &label, 1, 5, dz, &result));
        ck_assert(isfinite(result.value));
        ck_assert_float_eq(dz[4], 0);
        for (int j = 0; j < 5; j++) shifted[j] = z[j] - 9000; /* a constant changes nothing */
        OK(evaluate(shifted, v, &label, 1, 5, dz2, &result2));
        NEAR(result.value, result2.value, 1e-6);
        for (int j = 0; j < 5; j++) NEAR(dz[j], dz2[j], 1e-6);
        OK(evaluate(z, v, &label, 1, 4, dz2, &result2)); /* the padding changes nothing */
        NEAR(result.value, result2.value, 1e-7);
    }
    const float far[3] = { 0, 120, 0 }; /* where probabilities would overflow */
    float dz[3];
    kd_loss_result result;
    label = 0;
    restart(KD_LOSS_CROSS_ENTROPY, NULL);
    OK(evaluate(far, NULL, &label, 1, 3, dz, &result));
    NEAR(result.value, 120, 1e-4);
    NEAR(dz[0], -1, 1e-6);
}
END_TEST

START_TEST(equal_sides_give_zero_and_one_hot_teachers_work)
{
    const int32_t kinds[] = { KD_LOSS_FORWARD_KL, KD_LOSS_REVERSE_KL, KD_LOSS_JSD,
                              KD_LOSS_LOGIT_MSE,  KD_LOSS_DKD,        KD_LOSS_BINARY_KL };
    const float hot[4] = { -INFINITY, 0, -INFINITY, -INFINITY }, z[4] = { 1, 2, 3, 0.5f };
    int64_t label = 1;
    float dz[8];
    kd_loss_result result;
    for (int i = 0; i < 6; i++) {
        restart(kinds[i], NULL);
        OK(evaluate(golden_z, golden_z, &label, 1, 8, dz, &result));
        NEAR(result.value, 0, 1e-6);
        for (int j = 0; j < 8; j++) NEAR(dz[j], 0, 1e-6);
    }
    double cross_entropy = log(exp(1) + exp(2) + exp(3) + exp(0.5)) - 2;
    restart(KD_LOSS_FORWARD_KL, NULL);
    OK(evaluate(z, hot, &label, 1, 4, dz, &result));
    NEAR(result.value, cross_entropy, 1e-6);
    NEAR(dz[1], exp(-cross_entropy) - 1, 1e-6);
    restart(KD_LOSS_DKD, NULL);
    OK(evaluate(z, hot, &label, 1, 4, dz, &result));
    NEAR(result.value, cross_entropy, 1e-6);
    restart(KD_LOSS_REVERSE_KL, NULL);
    FAILS(evaluate(z, hot, &label, 1, 4, dz, &result), KD_ERR_NONFINITE, "row 0");
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_loss_diagnostics seen = { .struct_size = sizeof seen };
    numbers.log_floor = -20;
    restart(KD_LOSS_REVERSE_KL, &o);
    OK(kd_loss_set_diagnostics(loss, 1));
    OK(evaluate(z, hot, &label, 1, 4, dz, &result));
    ck_assert(result.value > 1 && result.value < 20);
    OK(kd_loss_get_diagnostics(loss, 0, &seen));
    ck_assert_int_eq(seen.guards, 3);
}
END_TEST

START_TEST(dkd_is_kd_when_its_weights_say_so)
{
    const int64_t label = 3;
    double p = 0, sum = 0;
    float dkd[8], kl[8];
    kd_loss_result a, b;
    for (int i = 0; i < 8; i++) sum += exp(golden_v[i]);
    p = exp(golden_v[label]) / sum;
    kd_term_options o = at_temperature(1);
    numbers.dkd_alpha = 1;
    numbers.dkd_beta = 1 - p;
    restart(KD_LOSS_DKD, &o);
    OK(evaluate(golden_z, golden_v, &label, 1, 8, dkd, &a));
    restart(KD_LOSS_FORWARD_KL, &o);
    OK(evaluate(golden_z, golden_v, &label, 1, 8, kl, &b));
    NEAR(a.value, b.value, 1e-6);
    for (int i = 0; i < 8; i++) NEAR(dkd[i], kl[i], 1e-6);
}
END_TEST

Suite *loss_suite(void)
{
    Suite *suite = suite_create("loss");
    TCase *tests = tcase_create("loss");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, published_vectors_are_met);
    tcase_add_test(tests, values_and_gradients_follow_pytorch);
    tcase_add_loop_test(tests, gradients_match_central_differences, 0, 24);
    tcase_add_test(tests, large_logits_and_padding_stay_finite);
    tcase_add_test(tests, equal_sides_give_zero_and_one_hot_teachers_work);
    tcase_add_test(tests, dkd_is_kd_when_its_weights_say_so);
    suite_add_tcase(suite, tests);
    return suite;
}
