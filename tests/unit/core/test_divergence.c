/* Every divergence, dense and sparse: published vectors, identities, and gradients against central
 * differences of a reference in double. */
#include "divergencekit.h"

START_TEST(published_vectors_are_met_by_every_policy)
{
    for (size_t i = 0; i < sizeof golden_vectors / sizeof *golden_vectors; i++) {
        kd_term_options o = plain(golden_vectors[i].t);
        float dz[8];
        double value;
        numbers.teacher_share = numbers.skew = golden_vectors[i].share;
        if (golden_vectors[i].tail >= 0) {
            o.teacher_field = "topk";
            o.tail = golden_vectors[i].tail;
            o.retemper = KD_RETEMPER_UNIFORM;
            top(golden_v, 8, 3, 1);
        } else dense(golden_v, 8);
        restart(golden_vectors[i].kind, &o);
        OK(row(golden_z, 8, dz, &value));
        NEAR(value, golden_vectors[i].value, 3e-7);
        for (int j = 0; j < 8; j++) NEAR(dz[j], golden_vectors[i].gradient[j], 1.5e-7);
    }
}
END_TEST

typedef struct {
    int32_t kind, tail; /* tail -1: dense */
    int64_t n, k;
    const uint32_t *ids; /* (k) */
    const double *lp;    /* (n), or (k) and lt */
    double lt, t;
    kd_term_options o;
} problem;

static double log_add(double a, double b)
{
    double high = a > b ? a : b, low = a > b ? b : a;
    return low == -INFINITY ? high : high + log1p(exp(low - high));
}

static double mass(double l, double ratio) { return l == -INFINITY ? 0 : exp(l) * ratio; }

static double class_value(const problem *p, double lp, double lq)
{
    const double b = numbers.teacher_share, a = numbers.skew, x = numbers.ab_alpha,
                 y = numbers.ab_beta;
    double lm;
    switch (p->kind) {
    case KD_LOSS_REVERSE_KL: return mass(lq, lq - lp);
    case KD_LOSS_JSD:
        lm = log_add(log(b) + lp, log1p(-b) + lq);
        return b * mass(lp, lp - lm) + (1 - b) * mass(lq, lq - lm);
    case KD_LOSS_SKEWED_FORWARD_KL: return mass(lp, lp - log_add(log(a) + lp, log1p(-a) + lq));
    case KD_LOSS_SKEWED_REVERSE_KL: return mass(lq, lq - log_add(log(a) + lq, log1p(-a) + lp));
    case KD_LOSS_ACCEPTANCE:
    case KD_LOSS_TOTAL_VARIATION: return 0.5 * fabs(exp(lp) - exp(lq));
    case KD_LOSS_ALPHA_BETA:
        return -(exp(x * lp + y * lq) - x / (x + y) * exp((x + y) * lp) -
                 y / (x + y) * exp((x + y) * lq)) /
               (x * y);
    default: return mass(lp, lp - lq);
    }
}

static double sum_of_classes(const problem *p, const double *z)
{
    double max = -INFINITY, sum = 0, value = 0, inside = 0, s_lse = -INFINITY, p_lse = -INFINITY,
           off = -INFINITY;
    for (int64_t i = 0; i < p->n; i++) max = z[i] > max ? z[i] : max;
    for (int64_t i = 0; i < p->n; i++) sum += exp((z[i] - max) / p->t);
    const double norm = log(sum);
    if (p->tail < 0) {
        for (int64_t i = 0; i < p->n; i++)
            if (z[i] > -INFINITY || p->lp[i] > -INFINITY)
                value += class_value(p, p->lp[i], (z[i] - max) / p->t - norm);
        return value;
    }
    int64_t real = 0;
    for (int64_t i = 0, at = 0; i < p->n; i++) {
        const double lq = (z[i] - max) / p->t - norm;
        real += z[i] > -INFINITY;
        if (at < p->k && p->ids[at] == i) {
            s_lse = log_add(s_lse, lq);
            p_lse = log_add(p_lse, p->lp[at++]);
        } else off = log_add(off, lq);
    }
    (void)inside;
    const int both = p->tail == KD_TAIL_RENORM_BOTH, teacher = p->tail == KD_TAIL_RENORM_TEACHER;
    for (int64_t i = 0, at = 0; i < p->n; i++) {
        const double lq = (z[i] - max) / p->t - norm;
        if (at < p->k && p->ids[at] == i) {
            value +=
                class_value(p, p->lp[at] - (both || teacher ? p_lse : 0), lq - (both ? s_lse : 0));
            at++;
        } else if (p->tail == KD_TAIL_UNIFORM && z[i] > -INFINITY)
            value += class_value(p, p->lt - log((double)(real - p->k)), lq);
    }
    if (p->tail == KD_TAIL_BUCKET || teacher) {
        const double lp = teacher ? -INFINITY : p->lt;
        if (lp > -INFINITY || off > -INFINITY) value += class_value(p, lp, off);
    }
    return value;
}

static double reference(const problem *p, const double *z)
{
    const double sum = sum_of_classes(p, z);
    return p->kind == KD_LOSS_ACCEPTANCE ? -log1p(-sum) : sum;
}

/* Their gradients jump where p = q. */
static int has_corners(int32_t kind)
{
    return kind == KD_LOSS_TOTAL_VARIATION || kind == KD_LOSS_ACCEPTANCE;
}

/* The gradient at a few places against central differences, and the value. */
static void check_gradient(problem *p, const float *z, const char *what)
{
    double *wide = malloc((size_t)p->n * sizeof *wide), value, largest = 0;
    float *dz = malloc((size_t)p->n * sizeof *dz);
    kd_term_options o = p->o;
    o.temperature = p->t;
    o.t2 = KD_T2_OFF;
    o.teacher_field = p->tail >= 0 ? "topk" : NULL;
    o.tail = p->tail >= 0 ? p->tail : 0;
    restart(p->kind, &o);
    OK(row(z, p->n, dz, &value));
    for (int64_t i = 0; i < p->n; i++)
        wide[i] = z[i], largest = fabs((double)dz[i]) > largest ? fabs((double)dz[i]) : largest;
    const double expected = reference(p, wide);
    ck_assert_msg(fabs(value - expected) <= 4e-6 * (1 + fabs(expected)),
                  "%s: kind %d tail %d n %lld k %lld T %g: value %.9g, expected %.9g", what,
                  p->kind, p->tail, (long long)p->n, (long long)p->k, p->t, value, expected);
    for (int probe = 0; probe < 6; probe++) {
        int64_t i = probe < 2 && p->k ? p->ids[probe % p->k] : (int64_t)(uniform() * (double)p->n);
        if (z[i] == -INFINITY) {
            ck_assert_float_eq(dz[i], 0);
            continue;
        }
        const double h = 1e-4 * p->t, at = wide[i];
        wide[i] = at + h;
        const double up = reference(p, wide);
        wide[i] = at - h;
        const double slope = (up - reference(p, wide)) / (2 * h),
                     room = 1e-6 * (1 / p->t + largest) + 1e-9 * (1 + fabs(expected)) / h;
        wide[i] = at;
        ck_assert_msg(
            fabs(slope - (double)dz[i]) <= room,
            "%s: kind %d tail %d n %lld k %lld T %g place %lld: %.9g, central difference %.9g",
            what, p->kind, p->tail, (long long)p->n, (long long)p->k, p->t, (long long)i,
            (double)dz[i], slope);
    }
    free(wide);
    free(dz);
}

static const int32_t kinds[] = {
    KD_LOSS_FORWARD_KL,        KD_LOSS_REVERSE_KL,        KD_LOSS_JSD,
    KD_LOSS_SKEWED_FORWARD_KL, KD_LOSS_SKEWED_REVERSE_KL, KD_LOSS_TOTAL_VARIATION,
    KD_LOSS_ALPHA_BETA,        KD_LOSS_ACCEPTANCE
};

static void log_softmax(const float *v, int64_t n, double t, double *lp)
{
    double max = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) max = v[i] > max ? v[i] : max;
    for (int64_t i = 0; i < n; i++) sum += exp((v[i] - max) / t);
    for (int64_t i = 0; i < n; i++) lp[i] = (v[i] - max) / t - log(sum);
}

static void dense_case(int32_t kind, const float *z, const float *v, int64_t n, double t,
                       const char *what)
{
    double *lp = malloc((size_t)n * sizeof *lp);
    problem p = { kind, -1, n, 0, NULL, lp, 0, t, KD_TERM_OPTIONS_INIT };
    numbers.teacher_share = 0.3;
    numbers.skew = 0.2;
    numbers.ab_alpha = 0.6;
    numbers.ab_beta = 0.5;
    log_softmax(v, n, t, lp);
    dense(v, n);
    check_gradient(&p, z, what);
    free(lp);
}

START_TEST(gradients_of_dense_teachers_are_central_differences)
{
    const int64_t sizes[] = { 2, 3, 17, 1000, getenv("KD_TEST_FEW") ? 2003 : 100003 };
    static const double temperatures[] = { 0.25, 1, 4, 20 };
    stream = 11;
    for (size_t s = 0; s < 5; s++)
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            const int64_t n = sizes[s];
            if (n > 1000 && kinds[k] == KD_LOSS_ALPHA_BETA && s != 4) continue;
            float *z = malloc((size_t)n * sizeof *z), *v = malloc((size_t)n * sizeof *v);
            fill(z, v, n, 2);
            dense_case(kinds[k], z, v, n, temperatures[(s + k) % 4], "dense");
            free(z);
            free(v);
        }
}
END_TEST

START_TEST(gradients_hold_at_the_edges)
{
    enum { N = 40 };
    float z[N], v[N];
    stream = 12;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const int reverse = kinds[k] == KD_LOSS_REVERSE_KL;
        fill(z, v, N, 2);
        for (int i = 30; i < N; i++) z[i] = v[i] = -INFINITY; /* padding on both sides */
        dense_case(kinds[k], z, v, N, 2, "padding");
        /* ties, q = p */
        for (int i = 0; i < 30 && !has_corners(kinds[k]); i++) z[i] = v[i] = (float)(i % 3);
        if (!has_corners(kinds[k])) dense_case(kinds[k], z, v, N, 1, "ties");
        fill(z, v, N, 2);
        if (!reverse) { /* a one-hot teacher; one with zero probabilities */
            for (int i = 0; i < N; i++) v[i] = i == 7 ? 3 : -INFINITY;
            dense_case(kinds[k], z, v, N, 1, "one-hot");
            fill(z, v, N, 2);
            for (int i = 0; i < N; i += 3) v[i] = -INFINITY;
            dense_case(kinds[k], z, v, N, 2, "zeros");
        }
        if (kinds[k] == KD_LOSS_ALPHA_BETA) continue;
        fill(z, v, N, 2);
        /* to +-1e4 */
        for (int i = 0; i < N; i++)
            z[i] = (float)(1e4 * (i % 2 ? 1 : -1) + 3 * normal()), v[i] = (float)(z[i] + normal());
        dense_case(kinds[k], z, v, N, 3, "large");
    }
}
END_TEST

START_TEST(gradients_of_sparse_teachers_are_central_differences)
{
    const int64_t sizes[] = { 2, 9, 300, getenv("KD_TEST_FEW") ? 2003 : 100003 };
    static const double temperatures[] = { 0.25, 1, 4, 20 };
    stream = 13;
    int turn = 0;
    for (size_t s = 0; s < 4; s++)
        for (size_t c = 0; c < sizeof kinds / sizeof *kinds; c++)
            for (int32_t tail = KD_TAIL_BUCKET; tail <= KD_TAIL_TRUNCATE; tail++) {
                const int64_t n = sizes[s], ks[] = { 1, n / 2 + (n == 2), n - 1 },
                              k = ks[turn++ % 3];
                const double t = temperatures[turn / 3 % 4];
                const int32_t kind = kinds[c];
                if (tail == KD_TAIL_TRUNCATE && kind != KD_LOSS_FORWARD_KL &&
                    kind != KD_LOSS_SKEWED_FORWARD_KL)
                    continue;
                /* infinite */
                if (tail == KD_TAIL_RENORM_TEACHER && kind == KD_LOSS_REVERSE_KL) continue;
                float *z = malloc((size_t)n * sizeof *z), *v = malloc((size_t)n * sizeof *v);
                double *lp = malloc((size_t)n * sizeof *lp);
                kd_array ids, values, tails;
                fill(z, v, n, 2);
                top(v, n, k, t);
                OK(kd_targets_sparse(targets, "topk", NULL, &ids, &values, &tails, NULL));
                problem p = { kind,
                              tail,
                              n,
                              k,
                              ids.data,
                              lp,
                              ((float *)tails.data)[0],
                              t,
                              KD_TERM_OPTIONS_INIT };
                numbers.teacher_share = 0.3;
                numbers.skew = 0.2;
                numbers.ab_alpha = 0.6;
                numbers.ab_beta = 0.4;
                double total = p.lt;
                for (int64_t i = 0; i < k; i++) total = log_add(total, ((float *)values.data)[i]);
                for (int64_t i = 0; i < k; i++) lp[i] = ((float *)values.data)[i] - total;
                p.lt -= total;
                check_gradient(&p, z, "sparse");
                free(z);
                free(v);
                free(lp);
            }
}
END_TEST

START_TEST(limits_of_the_families_meet)
{
    float a[8], b[8];
    kd_term_options o = plain(1), p = plain(1);
    dense(golden_v, 8);
    const double forward = value_of(KD_LOSS_FORWARD_KL, &o, golden_z, 8, a),
                 reverse = value_of(KD_LOSS_REVERSE_KL, &o, golden_z, 8, b);
    numbers.normalized = 1;
    numbers.teacher_share = 0;
    NEAR(value_of(KD_LOSS_JSD, &p, golden_z, 8, NULL), forward, 1e-6);
    numbers.teacher_share = 1;
    NEAR(value_of(KD_LOSS_JSD, &p, golden_z, 8, NULL), reverse, 1e-6);
    numbers.teacher_share = 1e-4;
    NEAR(value_of(KD_LOSS_JSD, &p, golden_z, 8, NULL), forward, 2e-3);
    numbers.skew = 0;
    NEAR(value_of(KD_LOSS_SKEWED_FORWARD_KL, &p, golden_z, 8, NULL), forward, 1e-6);
    NEAR(value_of(KD_LOSS_SKEWED_REVERSE_KL, &p, golden_z, 8, NULL), reverse, 1e-6);
    /* alpha-beta at its limits against nearby numbers; (1, 0) is forward, (0, 1) reverse KL of
     * distributions */
    static const double limits[][2] = { { 1, 0 }, { 0, 1 },    { 0.7, -0.7 },
                                        { 0, 0 }, { -0.3, 0 }, { 0, 0.5 } };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        numbers.ab_alpha = limits[i][0];
        numbers.ab_beta = limits[i][1];
        const double at = value_of(KD_LOSS_ALPHA_BETA, &p, golden_z, 8, a);
        numbers.ab_alpha += 1e-4;
        numbers.ab_beta += 2e-4;
        NEAR(value_of(KD_LOSS_ALPHA_BETA, &p, golden_z, 8, b), at, 4e-3 * (1 + fabs(at)));
        for (int j = 0; j < 8; j++) NEAR(a[j], b[j], 4e-3 * (1 + fabs(a[j])));
    }
    numbers.ab_alpha = 1;
    numbers.ab_beta = 0;
    NEAR(value_of(KD_LOSS_ALPHA_BETA, &p, golden_z, 8, NULL), forward, 1e-6);
    numbers.ab_alpha = 0;
    numbers.ab_beta = 1;
    NEAR(value_of(KD_LOSS_ALPHA_BETA, &p, golden_z, 8, NULL), reverse, 1e-6);
}
END_TEST

START_TEST(shifts_and_permutations_change_nothing)
{
    static const int order[8] = { 3, 1, 7, 0, 5, 6, 2, 4 };
    float z2[8], v2[8], a[8], b[8];
    for (int i = 0; i < 8; i++) z2[i] = golden_z[order[i]] + 2, v2[i] = golden_v[order[i]] - 3;
    static const int32_t all[] = { KD_LOSS_FORWARD_KL,
                                   KD_LOSS_REVERSE_KL,
                                   KD_LOSS_JSD,
                                   KD_LOSS_SKEWED_FORWARD_KL,
                                   KD_LOSS_SKEWED_REVERSE_KL,
                                   KD_LOSS_TOTAL_VARIATION,
                                   KD_LOSS_ACCEPTANCE,
                                   KD_LOSS_ALPHA_BETA,
                                   KD_LOSS_ADAPTIVE_KL,
                                   KD_LOSS_STANDARDIZED_KL,
                                   KD_LOSS_TAID,
                                   KD_LOSS_ULD,
                                   KD_LOSS_LOGIT_MSE };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        kd_term_options o = plain(2);
        dense(golden_v, 8);
        const double x = value_of(all[i], &o, golden_z, 8, a);
        dense(v2, 8);
        NEAR(value_of(all[i], &o, z2, 8, b), x, 1e-6);
        for (int j = 0; j < 8; j++) NEAR(b[j], a[order[j]], 1e-6);
        dense(golden_z, 8); /* q = p */
        NEAR(value_of(all[i], &o, golden_z, 8, a), 0, 1e-7);
        for (int j = 0; j < 8 && !has_corners(all[i]); j++) NEAR(a[j], 0, 1e-7);
    }
}
END_TEST

/* Sides that have nothing in common: a bounded loss and gradient, counted. */
START_TEST(acceptance_is_bounded)
{
    static const float z[3] = { 60, 0, 0 }, v[3] = { 0, 60, 0 };
    float dz[3];
    kd_term_options o = plain(1);
    dense(v, 3);
    NEAR(value_of(KD_LOSS_ACCEPTANCE, &o, z, 3, dz), -log(1e-9), 1e-6);
    for (int i = 0; i < 3; i++) ck_assert(isfinite(dz[i]));
    dense(z, 3);
    NEAR(value_of(KD_LOSS_ACCEPTANCE, &o, z, 3, dz), 0, 1e-7);
    static const float near[3] = { 9, 0, -50 }, far[3] = { 0, 9, -50 };
    dense(far, 3); /* a is small, and exact: 2 q of the other class, but for the last */
    const double a = 2 / (1 + exp(9.0));
    NEAR(value_of(KD_LOSS_ACCEPTANCE, &o, near, 3, dz), -log(a), 1e-6);
}
END_TEST

START_TEST(a_sparse_teacher_of_all_classes_is_dense)
{
    float a[8], b[8];
    static const int32_t tails[] = { KD_TAIL_RENORM_TEACHER, KD_TAIL_BUCKET, KD_TAIL_TRUNCATE };
    dense(golden_v, 8);
    kd_term_options o = plain(1);
    const double x = value_of(KD_LOSS_FORWARD_KL, &o, golden_z, 8, a);
    o.teacher_field = "topk";
    for (int i = 0; i < 3; i++) {
        top(golden_v, 8, 8, 1);
        o.tail = tails[i];
        NEAR(value_of(KD_LOSS_FORWARD_KL, &o, golden_z, 8, b), x, 1e-6);
        for (int j = 0; j < 8; j++) NEAR(a[j], b[j], 1e-6);
    }
}
END_TEST

START_TEST(the_mean_gradient_of_many_draws_is_the_dense_one)
{
    float a[8], b[8];
    double mean[8] = { 0 };
    kd_array vs = KD_ARRAY_2D(golden_v, KD_FLOAT32, 1, 8);
    dense(golden_v, 8);
    kd_term_options o = plain(2);
    value_of(KD_LOSS_FORWARD_KL, &o, golden_z, 8, a);
    o.teacher_field = "draws";
    restart(KD_LOSS_FORWARD_KL, &o);
    enum { TIMES = 3000 };
    double sum = 0;
    for (int i = 0; i < TIMES; i++) {
        double value;
        OK(kd_targets_begin(targets, 1));
        OK(kd_targets_sample(targets, "draws", &vs, 20, 2, (uint64_t)i));
        OK(row(golden_z, 8, b, &value));
        sum += value;
        for (int j = 0; j < 8; j++) mean[j] += b[j] / (double)TIMES;
    }
    for (int j = 0; j < 8; j++) NEAR(mean[j], a[j], 2e-3);
    NEAR(sum / TIMES, 0.140251312914, 1e-2); /* the entropy comes off: no bias of the plug-in */
}
END_TEST

START_TEST(tails_at_further_temperatures_are_exact)
{
    float further[2] = { 2, 8 }, a[8], b[8];
    kd_array vs = KD_ARRAY_2D(golden_v, KD_FLOAT32, 1, 8), ts = KD_ARRAY_1D(further, KD_FLOAT32, 2);
    kd_term_options o = plain(8);
    OK(kd_batch_begin(batch, 1));
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_select(targets, "topk", &vs, 3, 0, 8, NULL));
    o.teacher_field = "topk";
    const double x = value_of(KD_LOSS_FORWARD_KL, &o, golden_z, 8, a);
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_select(targets, "topk", &vs, 3, 0, 1, &ts));
    NEAR(value_of(KD_LOSS_FORWARD_KL, &o, golden_z, 8, b), x, 1e-6);
    for (int j = 0; j < 8; j++) NEAR(a[j], b[j], 1e-6);
    double value;
    o.temperature = 3; /* not kept */
    o.retemper = KD_RETEMPER_EXACT;
    restart(KD_LOSS_FORWARD_KL, &o);
    FAILS(row(golden_z, 8, b, &value), KD_ERR_MISMATCH, "at temperature 3");
    o.tail = KD_TAIL_TRUNCATE;
    restart(KD_LOSS_FORWARD_KL, &o);
    FAILS(row(golden_z, 8, b, &value), KD_ERR_MISMATCH, "TRUNCATE");
    o.tail = KD_TAIL_RENORM_TEACHER; /* powers, normalized: needs no tail */
    restart(KD_LOSS_FORWARD_KL, &o);
    OK(row(golden_z, 8, b, &value));
}
END_TEST

Suite *divergence_suite(void)
{
    Suite *suite = suite_create("divergence");
    TCase *tests = tcase_create("divergence");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, published_vectors_are_met_by_every_policy);
    tcase_add_test(tests, gradients_of_dense_teachers_are_central_differences);
    tcase_add_test(tests, gradients_hold_at_the_edges);
    tcase_add_test(tests, gradients_of_sparse_teachers_are_central_differences);
    tcase_add_test(tests, limits_of_the_families_meet);
    tcase_add_test(tests, shifts_and_permutations_change_nothing);
    tcase_add_test(tests, acceptance_is_bounded);
    tcase_add_test(tests, a_sparse_teacher_of_all_classes_is_dense);
    tcase_add_test(tests, the_mean_gradient_of_many_draws_is_the_dense_one);
    tcase_add_test(tests, tails_at_further_temperatures_are_exact);
    suite_add_tcase(suite, tests);
    return suite;
}
