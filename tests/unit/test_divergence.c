/* Every divergence, dense and sparse: published vectors, identities, and gradients against central differences of a reference in double. */
#include "unit.h"

#include "../goldens/vectors.h"

static kd_context *ctx;
static kd_batch *batch;
static kd_targets *targets;
static kd_loss *loss;

static void setup(void)
{
    ctx = make_context(2);
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
}

static void teardown(void)
{
    kd_loss_free(loss);
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_context_free(ctx);
}

static kd_term_options plain(double t)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    o.temperature = t;
    o.t2 = KD_T2_OFF;
    return o;
}

static void restart(int32_t kind, const kd_term_options *o)
{
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, kind, 1, o, NULL));
}

/* One row on what the targets hold. */
static kd_status row(const float *z, int64_t n, float *dz, double *value)
{
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, 1, n), dzs = KD_ARRAY_2D(dz, KD_FLOAT32, 1, n);
    kd_loss_output output = { sizeof output, 0, "logits", &zs, dz ? &dzs : NULL, NULL };
    kd_loss_result result = { .struct_size = sizeof result };
    kd_status status = kd_loss_eval(loss, &output, 1, batch, targets, NULL, &result);
    *value = result.sum[0];
    return status;
}

static void dense(const float *v, int64_t n)
{
    kd_array vs = KD_ARRAY_2D(v, KD_FLOAT32, 1, n);
    OK(kd_batch_begin(batch, 1));
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_set(targets, "logits", &vs, NULL));
}

static void top(const float *v, int64_t n, int64_t k, double t)
{
    kd_array vs = KD_ARRAY_2D(v, KD_FLOAT32, 1, n);
    OK(kd_batch_begin(batch, 1));
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_select(targets, "topk", &vs, k, 0, t, NULL));
}

static const float golden_z[8] = { 1.5f, -0.25f, 0.75f, 2, -1, 0, 0.5f, -2 }, golden_v[8] = { 0.5f, 1, -0.5f, 3, 0.25f, -1.5f, 2, -0.75f };

START_TEST(published_vectors_are_met_by_every_policy)
{
    for (size_t i = 0; i < sizeof golden_vectors / sizeof *golden_vectors; i++) {
        kd_term_options o = plain(golden_vectors[i].t);
        float dz[8];
        double value;
        o.teacher_share = o.skew = golden_vectors[i].share;
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

/* ---- the reference, in double ---- */

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
    const double b = p->o.teacher_share, a = p->o.skew, x = p->o.ab_alpha, y = p->o.ab_beta;
    double lm;
    switch (p->kind) {
    case KD_LOSS_REVERSE_KL: return mass(lq, lq - lp);
    case KD_LOSS_JSD: lm = log_add(log(b) + lp, log1p(-b) + lq); return b * mass(lp, lp - lm) + (1 - b) * mass(lq, lq - lm);
    case KD_LOSS_SKEWED_FORWARD_KL: return mass(lp, lp - log_add(log(a) + lp, log1p(-a) + lq));
    case KD_LOSS_SKEWED_REVERSE_KL: return mass(lq, lq - log_add(log(a) + lq, log1p(-a) + lp));
    case KD_LOSS_TOTAL_VARIATION: return 0.5 * fabs(exp(lp) - exp(lq));
    case KD_LOSS_ALPHA_BETA: return -(exp(x * lp + y * lq) - x / (x + y) * exp((x + y) * lp) - y / (x + y) * exp((x + y) * lq)) / (x * y);
    default: return mass(lp, lp - lq);
    }
}

static double reference(const problem *p, const double *z)
{
    double max = -INFINITY, sum = 0, value = 0, inside = 0, s_lse = -INFINITY, p_lse = -INFINITY, off = -INFINITY;
    for (int64_t i = 0; i < p->n; i++) max = z[i] > max ? z[i] : max;
    for (int64_t i = 0; i < p->n; i++) sum += exp((z[i] - max) / p->t);
    const double norm = log(sum);
    if (p->tail < 0) {
        for (int64_t i = 0; i < p->n; i++)
            if (z[i] > -INFINITY || p->lp[i] > -INFINITY) value += class_value(p, p->lp[i], (z[i] - max) / p->t - norm);
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
            value += class_value(p, p->lp[at] - (both || teacher ? p_lse : 0), lq - (both ? s_lse : 0));
            at++;
        } else if (p->tail == KD_TAIL_UNIFORM && z[i] > -INFINITY) value += class_value(p, p->lt - log((double)(real - p->k)), lq);
    }
    if (p->tail == KD_TAIL_BUCKET || teacher) {
        const double lp = teacher ? -INFINITY : p->lt;
        if (lp > -INFINITY || off > -INFINITY) value += class_value(p, lp, off);
    }
    return value;
}

static uint64_t stream;
static double uniform(void)
{
    stream = stream * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(stream >> 11) * 0x1p-53;
}
static double normal(void) { return sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform()); }

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
    for (int64_t i = 0; i < p->n; i++) wide[i] = z[i], largest = fabs((double)dz[i]) > largest ? fabs((double)dz[i]) : largest;
    const double expected = reference(p, wide);
    ck_assert_msg(fabs(value - expected) <= 4e-6 * (1 + fabs(expected)), "%s: kind %d tail %d n %lld k %lld T %g: value %.9g, expected %.9g", what,
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
        const double slope = (up - reference(p, wide)) / (2 * h), room = 1e-6 * (1 / p->t + largest) + 1e-9 * (1 + fabs(expected)) / h;
        wide[i] = at;
        ck_assert_msg(fabs(slope - (double)dz[i]) <= room, "%s: kind %d tail %d n %lld k %lld T %g place %lld: %.9g, central difference %.9g", what,
                      p->kind, p->tail, (long long)p->n, (long long)p->k, p->t, (long long)i, (double)dz[i], slope);
    }
    free(wide);
    free(dz);
}

static const int32_t kinds[] = { KD_LOSS_FORWARD_KL,        KD_LOSS_REVERSE_KL,      KD_LOSS_JSD,       KD_LOSS_SKEWED_FORWARD_KL,
                                 KD_LOSS_SKEWED_REVERSE_KL, KD_LOSS_TOTAL_VARIATION, KD_LOSS_ALPHA_BETA };

static void fill(float *z, float *v, int64_t n, double spread)
{
    for (int64_t i = 0; i < n; i++) z[i] = (float)(spread * normal()), v[i] = (float)(spread * normal());
}

static void log_softmax(const float *v, int64_t n, double t, double *lp)
{
    double max = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) max = v[i] > max ? v[i] : max;
    for (int64_t i = 0; i < n; i++) sum += exp((v[i] - max) / t);
    for (int64_t i = 0; i < n; i++) lp[i] = (v[i] - max) / t - log(sum);
}

static void dense_case(int32_t kind, const float *z, const float *v, int64_t n, double t, const char *what)
{
    double *lp = malloc((size_t)n * sizeof *lp);
    problem p = { kind, -1, n, 0, NULL, lp, 0, t, KD_TERM_OPTIONS_INIT };
    p.o.teacher_share = 0.3;
    p.o.skew = 0.2;
    p.o.ab_alpha = 0.6;
    p.o.ab_beta = 0.5;
    log_softmax(v, n, t, lp);
    dense(v, n);
    check_gradient(&p, z, what);
    free(lp);
}

START_TEST(gradients_of_dense_teachers_are_central_differences)
{
    static const int64_t sizes[] = { 2, 3, 17, 1000, 100003 };
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
        for (int i = 0; i < 30 && kinds[k] != KD_LOSS_TOTAL_VARIATION; i++) z[i] = v[i] = (float)(i % 3); /* ties, q = p */
        if (kinds[k] != KD_LOSS_TOTAL_VARIATION) dense_case(kinds[k], z, v, N, 1, "ties");
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
        for (int i = 0; i < N; i++) z[i] = (float)(1e4 * (i % 2 ? 1 : -1) + 3 * normal()), v[i] = (float)(z[i] + normal()); /* to +-1e4 */
        dense_case(kinds[k], z, v, N, 3, "large");
    }
}
END_TEST

START_TEST(gradients_of_sparse_teachers_are_central_differences)
{
    static const int64_t sizes[] = { 2, 9, 300, 100003 };
    static const double temperatures[] = { 0.25, 1, 4, 20 };
    stream = 13;
    int turn = 0;
    for (size_t s = 0; s < 4; s++)
        for (size_t c = 0; c < sizeof kinds / sizeof *kinds; c++)
            for (int32_t tail = KD_TAIL_BUCKET; tail <= KD_TAIL_TRUNCATE; tail++) {
                const int64_t n = sizes[s], ks[] = { 1, n / 2 + (n == 2), n - 1 }, k = ks[turn++ % 3];
                const double t = temperatures[turn / 3 % 4];
                const int32_t kind = kinds[c];
                if (tail == KD_TAIL_TRUNCATE && kind != KD_LOSS_FORWARD_KL && kind != KD_LOSS_SKEWED_FORWARD_KL) continue;
                if (tail == KD_TAIL_RENORM_TEACHER && kind == KD_LOSS_REVERSE_KL) continue; /* infinite */
                float *z = malloc((size_t)n * sizeof *z), *v = malloc((size_t)n * sizeof *v);
                double *lp = malloc((size_t)n * sizeof *lp);
                kd_array ids, values, tails;
                fill(z, v, n, 2);
                top(v, n, k, t);
                OK(kd_targets_sparse(targets, "topk", NULL, &ids, &values, &tails, NULL));
                problem p = { kind, tail, n, k, ids.data, lp, ((float *)tails.data)[0], t, KD_TERM_OPTIONS_INIT };
                p.o.teacher_share = 0.3;
                p.o.skew = 0.2;
                p.o.ab_alpha = 0.6;
                p.o.ab_beta = 0.4;
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

/* ---- identities ---- */

static double value_of(int32_t kind, const kd_term_options *o, const float *z, int64_t n, float *dz)
{
    double value;
    restart(kind, o);
    OK(row(z, n, dz, &value));
    return value;
}

START_TEST(limits_of_the_families_meet)
{
    float a[8], b[8];
    kd_term_options o = plain(1), p = plain(1);
    dense(golden_v, 8);
    const double forward = value_of(KD_LOSS_FORWARD_KL, &o, golden_z, 8, a), reverse = value_of(KD_LOSS_REVERSE_KL, &o, golden_z, 8, b);
    p.normalised = 1;
    p.teacher_share = 0;
    NEAR(value_of(KD_LOSS_JSD, &p, golden_z, 8, NULL), forward, 1e-6);
    p.teacher_share = 1;
    NEAR(value_of(KD_LOSS_JSD, &p, golden_z, 8, NULL), reverse, 1e-6);
    p.teacher_share = 1e-4;
    NEAR(value_of(KD_LOSS_JSD, &p, golden_z, 8, NULL), forward, 2e-3);
    p.skew = 0;
    NEAR(value_of(KD_LOSS_SKEWED_FORWARD_KL, &p, golden_z, 8, NULL), forward, 1e-6);
    NEAR(value_of(KD_LOSS_SKEWED_REVERSE_KL, &p, golden_z, 8, NULL), reverse, 1e-6);
    /* alpha-beta at its limits against nearby numbers; (1, 0) is forward, (0, 1) reverse KL of distributions */
    static const double limits[][2] = { { 1, 0 }, { 0, 1 }, { 0.7, -0.7 }, { 0, 0 }, { -0.3, 0 }, { 0, 0.5 } };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        p.ab_alpha = limits[i][0];
        p.ab_beta = limits[i][1];
        const double at = value_of(KD_LOSS_ALPHA_BETA, &p, golden_z, 8, a);
        p.ab_alpha += 1e-4;
        p.ab_beta += 2e-4;
        NEAR(value_of(KD_LOSS_ALPHA_BETA, &p, golden_z, 8, b), at, 4e-3 * (1 + fabs(at)));
        for (int j = 0; j < 8; j++) NEAR(a[j], b[j], 4e-3 * (1 + fabs(a[j])));
    }
    p.ab_alpha = 1;
    p.ab_beta = 0;
    NEAR(value_of(KD_LOSS_ALPHA_BETA, &p, golden_z, 8, NULL), forward, 1e-6);
    p.ab_alpha = 0;
    p.ab_beta = 1;
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
                                   KD_LOSS_ALPHA_BETA,
                                   KD_LOSS_ADAPTIVE_KL,
                                   KD_LOSS_STANDARDISED_KL,
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
        for (int j = 0; j < 8 && all[i] != KD_LOSS_TOTAL_VARIATION; j++) NEAR(a[j], 0, 1e-7);
    }
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
    restart(KD_LOSS_FORWARD_KL, &o);
    FAILS(row(golden_z, 8, b, &value), KD_ERR_MISMATCH, "at temperature 3");
    o.tail = KD_TAIL_TRUNCATE;
    restart(KD_LOSS_FORWARD_KL, &o);
    FAILS(row(golden_z, 8, b, &value), KD_ERR_MISMATCH, "TRUNCATE");
    o.tail = KD_TAIL_RENORM_TEACHER; /* powers, normalised: needs no tail */
    restart(KD_LOSS_FORWARD_KL, &o);
    OK(row(golden_z, 8, b, &value));
}
END_TEST

START_TEST(pairs_that_make_no_sense_are_refused_with_the_reason)
{
    static const struct {
        int32_t kind, tail;
        const char *why;
    } pairs[] = {
        { KD_LOSS_REVERSE_KL, KD_TAIL_TRUNCATE, "minimum" },
        { KD_LOSS_TAID, KD_TAIL_BUCKET, "mixes the logits" },
        { KD_LOSS_DKD, KD_TAIL_BUCKET, "label's probability" },
        { KD_LOSS_LOGIT_MSE, KD_TAIL_BUCKET, "logit of every class" },
        { KD_LOSS_DIST, KD_TAIL_UNIFORM, "columns" },
        { KD_LOSS_ULD, KD_TAIL_BUCKET, "every class" },
        { KD_LOSS_ALPHA_BETA, KD_TAIL_BUCKET, "alpha + beta = 1" },
    };
    int64_t label = 3;
    kd_array labels = KD_ARRAY_1D(&label, KD_INT64, 1), vs = KD_ARRAY_2D(golden_v, KD_FLOAT32, 1, 8);
    double value;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        kd_term_options o = plain(1);
        o.teacher_field = "topk";
        o.tail = pairs[i].tail;
        top(golden_v, 8, 3, 1);
        OK(kd_batch_set(batch, "label", &labels, NULL));
        restart(pairs[i].kind, &o);
        FAILS(row(golden_z, 8, NULL, &value), KD_ERR_UNSUPPORTED, pairs[i].why);
    }
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_sample(targets, "topk", &vs, 20, 1, 1));
    kd_term_options o = plain(1);
    o.teacher_field = "topk";
    restart(KD_LOSS_REVERSE_KL, &o);
    FAILS(row(golden_z, 8, NULL, &value), KD_ERR_UNSUPPORTED, "sampled counts");
    o.temperature = 2;
    restart(KD_LOSS_FORWARD_KL, &o);
    FAILS(row(golden_z, 8, NULL, &value), KD_ERR_MISMATCH, "no other");
}
END_TEST

START_TEST(bad_sparse_input_is_refused_with_its_row)
{
    int64_t ids[4] = { 1, 3, 1, 9 };
    float values[4] = { -1, -2, -1.5f, -3 }, tail[2] = { -2, -2 };
    kd_sparse s = KD_SPARSE_INIT;
    kd_array is = KD_ARRAY_2D(ids, KD_INT64, 2, 2), vs = KD_ARRAY_2D(values, KD_FLOAT32, 2, 2), ts = KD_ARRAY_1D(tail, KD_FLOAT32, 2);
    s.ids = &is;
    s.values = &vs;
    s.vocabulary = 10;
    OK(kd_targets_begin(targets, 2));
    OK(kd_targets_set_sparse(targets, "topk", &s, NULL));
    ids[0] = 3;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_RANGE, "row 0 holds an id twice");
    ids[0] = 1, ids[3] = 10;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_RANGE, "row 1: id 10");
    ids[3] = -1;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_RANGE, "id -1");
    ids[3] = 9, values[1] = 0.1f;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_RANGE, "row 0");
    values[1] = NAN;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_NONFINITE, "row 0");
    values[0] = values[1] = -0.5f;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_RANGE, "more than 1");
    values[0] = -1, values[1] = -2;
    s.tail = &ts;
    tail[1] = -0.1f;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_RANGE, "row 1");
    tail[1] = 1;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_RANGE, "tail");
    s.tail = NULL;
    s.kind = KD_SPARSE_COUNTS;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_RANGE, "a count is -1");
    s.kind = KD_SPARSE_TOPK;
    s.temperature = 0;
    FAILS(kd_targets_set_sparse(targets, "topk", &s, NULL), KD_ERR_RANGE, "temperature");
    double value;
    float z[16] = { 0 }; /* ids at or above the student's classes */
    kd_term_options o = plain(1);
    o.teacher_field = "topk";
    s.temperature = 1;
    ids[3] = 9, s.vocabulary = 0;
    OK(kd_batch_begin(batch, 2));
    OK(kd_targets_set_sparse(targets, "topk", &s, NULL));
    restart(KD_LOSS_FORWARD_KL, &o);
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, 2, 8);
    kd_loss_output output = { sizeof output, 0, NULL, &zs, NULL, NULL };
    kd_loss_result result = { .struct_size = sizeof result };
    FAILS(kd_loss_eval(loss, &output, 1, batch, targets, NULL, &result), KD_ERR_RANGE, "id 9");
    (void)value;
}
END_TEST

/* ---- what a wrong teacher gets ---- */

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
    o.confidence_power = 2;
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
    kd_array zs = KD_ARRAY_2D(zb, KD_BFLOAT16, 1, N), vs = KD_ARRAY_2D(vb, KD_BFLOAT16, 1, N), bs = KD_ARRAY_2D(b, KD_FLOAT32, 1, N);
    kd_loss_output output = { sizeof output, 0, NULL, &zs, &bs, NULL };
    kd_loss_result result = { .struct_size = sizeof result };
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_borrow(targets, "logits", &vs, NULL));
    OK(kd_loss_eval(loss, &output, 1, batch, targets, NULL, &result));
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

START_TEST(tokens_are_aligned_at_common_bytes)
{
    /* "the cat sat": the| cat| sat  against  th|e| c|at| sat */
    int64_t a[3] = { 3, 7, 11 }, b[5] = { 2, 3, 5, 7, 11 }, chunks[3][4], count, absent;
    kd_array as = KD_ARRAY_1D(a, KD_INT64, 3), bs = KD_ARRAY_1D(b, KD_INT64, 5), cs = KD_ARRAY_2D(chunks, KD_INT64, 3, 4);
    OK(kd_align_bytes(&as, &bs, &cs, &count));
    ck_assert_int_eq(count, 3);
    static const int64_t expected[3][4] = { { 0, 1, 0, 2 }, { 1, 2, 2, 4 }, { 2, 3, 4, 5 } };
    ck_assert_mem_eq(chunks, expected, sizeof chunks);
    float logs[5] = { -1, -2, -3, -4, -5 };
    double sums[3];
    kd_array ls = KD_ARRAY_1D(logs, KD_FLOAT32, 5), ss = KD_ARRAY_1D(sums, KD_FLOAT64, 3);
    OK(kd_chunk_sums(&ls, &cs, 3, 2, &ss));
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
    FAILS(kd_align_bytes(&as, &bs, &cs, &count), KD_ERR_RANGE, "token 1");
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
    OK(kd_loss_set_shared(loss, 0, &map, 5));
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
    FAILS(kd_loss_set_shared(loss, 0, &map, 3), KD_ERR_RANGE, "expected -1 to 2, got 3");
    OK(row(golden_z, 8, dz, &value)); /* a refused map leaves the old one */
    NEAR(value, shared_value(z, v, teacher_of), 1e-6);
    OK(kd_loss_set_shared(loss, 0, &map, 6));
    FAILS(row(golden_z, 8, dz, &value), KD_ERR_SHAPE, "shared classes");
    teacher_of[0] = 3;
    FAILS(kd_loss_set_shared(loss, 0, &map, 5), KD_ERR_RANGE, "twice");
    OK(kd_loss_set_shared(loss, 0, NULL, 0));
    OK(row(golden_z, 8, dz, &value));
    restart(KD_LOSS_FORWARD_KL, &o);
    FAILS(kd_loss_set_shared(loss, 0, &map, 5), KD_ERR_INVALID, "no ULD");
}
END_TEST

Suite *divergence_suite(void)
{
    Suite *suite = suite_create("divergence");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 240);
    tcase_add_test(tests, published_vectors_are_met_by_every_policy);
    tcase_add_test(tests, gradients_of_dense_teachers_are_central_differences);
    tcase_add_test(tests, gradients_hold_at_the_edges);
    tcase_add_test(tests, gradients_of_sparse_teachers_are_central_differences);
    tcase_add_test(tests, limits_of_the_families_meet);
    tcase_add_test(tests, shifts_and_permutations_change_nothing);
    tcase_add_test(tests, a_sparse_teacher_of_all_classes_is_dense);
    tcase_add_test(tests, the_mean_gradient_of_many_draws_is_the_dense_one);
    tcase_add_test(tests, tails_at_further_temperatures_are_exact);
    tcase_add_test(tests, pairs_that_make_no_sense_are_refused_with_the_reason);
    tcase_add_test(tests, bad_sparse_input_is_refused_with_its_row);
    tcase_add_test(tests, labels_correct_the_teacher_and_gates_weigh_it);
    tcase_add_test(tests, sixteen_bit_logits_are_their_float_values);
    tcase_add_test(tests, policy_gradients_follow_their_definition);
    tcase_add_test(tests, tokens_are_aligned_at_common_bytes);
    tcase_add_test(tests, uld_takes_a_teacher_of_another_vocabulary);
    tcase_add_test(tests, uld_compares_shared_classes_by_divergence);
    suite_add_tcase(suite, tests);
    return suite;
}
