/* Values of sides that are nearly the same: right to 2e-6 of themselves, however small they are.
 * The reference adds the definitions up in long double, whose digits outlast the cancellation. */
#include "termskit.h"

enum { MOST = 3000 };

typedef struct {
    int32_t kind;
    kd_term_options o;
    term_numbers numbers;
    int64_t n, label;
    float z[MOST], v[MOST];
    long double lp[MOST], lq[MOST];
} sides;

static void log_softmax(const sides *s, const float *x, double share, long double *to)
{
    long double sum = 0, t = s->o.temperature, most = -INFINITY;
    for (int64_t i = 0; i < s->n; i++) {
        to[i] = ((long double)x[i] * share + (1 - (long double)share) * s->z[i]) / t;
        most = to[i] > most ? to[i] : most;
    }
    for (int64_t i = 0; i < s->n; i++) sum += expl(to[i] - most);
    for (int64_t i = 0; i < s->n; i++) to[i] -= most + logl(sum);
}

static long double ratio(long double l, long double m) { return expl(l) * (l - m); }

static long double class_value(const sides *s, long double lp, long double lq)
{
    const long double b = s->numbers.teacher_share, a = s->numbers.skew, p = expl(lp), q = expl(lq),
                      x = s->numbers.ab_alpha, y = s->numbers.ab_beta;
    switch (s->kind) {
    case KD_LOSS_REVERSE_KL: return ratio(lq, lp);
    case KD_LOSS_JSD:
        return b * ratio(lp, logl(b * p + (1 - b) * q)) +
               (1 - b) * ratio(lq, logl(b * p + (1 - b) * q));
    case KD_LOSS_SKEWED_FORWARD_KL: return ratio(lp, logl(a * p + (1 - a) * q));
    case KD_LOSS_SKEWED_REVERSE_KL: return ratio(lq, logl(a * q + (1 - a) * p));
    case KD_LOSS_TOTAL_VARIATION: return fabsl(p - q) / 2;
    case KD_LOSS_ALPHA_BETA:
        return (x * expl((x + y) * lp) + y * expl((x + y) * lq) - (x + y) * expl(x * lp + y * lq)) /
               (x * y * (x + y));
    default: return ratio(lp, lq);
    }
}

/* alpha KL of (p_y, 1 - p_y), (q_y, 1 - q_y) + beta KL among the others */
static long double decoupled(const sides *s)
{
    const int64_t y = s->label;
    long double rest_p = 0, rest_q = 0, others = 0;
    for (int64_t i = 0; i < s->n; i++)
        if (i != y) rest_p += expl(s->lp[i]), rest_q += expl(s->lq[i]);
    for (int64_t i = 0; i < s->n; i++)
        if (i != y) others += ratio(s->lp[i] - logl(rest_p), s->lq[i] - logl(rest_q));
    return s->numbers.dkd_alpha * (ratio(s->lp[y], s->lq[y]) + ratio(logl(rest_p), logl(rest_q))) +
           s->numbers.dkd_beta * others;
}

static long double expected(sides *s)
{
    long double sum = 0;
    log_softmax(s, s->v, s->kind == KD_LOSS_TAID ? s->numbers.progress : 1, s->lp);
    log_softmax(s, s->z, 1, s->lq);
    if (s->kind == KD_LOSS_DKD) return decoupled(s);
    for (int64_t i = 0; i < s->n; i++) sum += class_value(s, s->lp[i], s->lq[i]);
    return sum;
}

static void make_sides(sides *s, double distance)
{
    static uint64_t stream = 7;
    for (int64_t i = 0; i < s->n; i++) {
        stream = stream * 6364136223846793005ULL + 1442695040888963407ULL;
        s->v[i] = (float)(4 * sin((double)(stream >> 40)));
        s->z[i] = (float)(s->v[i] + distance * cos((double)(stream >> 33)));
    }
}

/* Of long double as it is computed here: valgrind has the precision of double. */
static double epsilon(void)
{
    volatile long double half = 0.5L, above = 1 + half;
    while (above > 1) half /= 2, above = 1 + half;
    return (double)(2 * half);
}

static void check(kd_context *ctx, sides *s, double distance)
{
    kd_batch *batch;
    kd_targets *targets;
    kd_loss *loss;
    kd_loss_result result = { .struct_size = sizeof result };
    const kd_array zs = KD_ARRAY_2D(s->z, KD_FLOAT32, 1, s->n),
                   vs = KD_ARRAY_2D(s->v, KD_FLOAT32, 1, s->n);
    const kd_array label = KD_ARRAY_1D(&s->label, KD_INT64, 1);
    const kd_loss_output output = { sizeof output, 0, "logits", &zs, NULL, NULL };
    make_sides(s, distance);
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_batch_begin(batch, 1));
    OK(kd_batch_set(batch, "label", &label, NULL));
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_set(targets, "logits", &vs, NULL));
    OK(kd_loss_add(loss, s->kind, 1, &s->o, NULL));
    set_numbers(loss, 0, &s->numbers);
    OK(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, &result));
    const double right = (double)expected(s);
    ck_assert_msg(fabs(result.sum[0] - right) <=
                      2e-6 * fabs(right) + (double)(8 + s->n) * epsilon(),
                  "kind %d, %lld classes, T %g, distance %g: %.9g, expected %.9g", s->kind,
                  (long long)s->n, s->o.temperature, distance, result.sum[0], right);
    kd_loss_free(loss);
    kd_targets_free(targets);
    kd_batch_free(batch);
}

START_TEST(values_are_right_to_2e_6_of_themselves_at_every_distance)
{
    static const int32_t kinds[] = { KD_LOSS_FORWARD_KL,
                                     KD_LOSS_REVERSE_KL,
                                     KD_LOSS_JSD,
                                     KD_LOSS_SKEWED_FORWARD_KL,
                                     KD_LOSS_SKEWED_REVERSE_KL,
                                     KD_LOSS_TOTAL_VARIATION,
                                     KD_LOSS_TAID,
                                     KD_LOSS_ALPHA_BETA,
                                     KD_LOSS_DKD };
    static const int64_t widths[] = { 2, 3, 17, MOST };
    static const double distances[] = { 1, 1e-1, 1e-2, 3e-4 };
    static sides s;
    kd_context *ctx = make_context(1);
    for (size_t c = 0; c < 9 * 4 * 4 * 2; c += getenv("KD_TEST_FEW") ? 5 : 1) {
        s.o = (kd_term_options)KD_TERM_OPTIONS_INIT;
        s.o.t2 = KD_T2_OFF;
        s.numbers = (term_numbers)TERM_NUMBERS_INIT;
        s.numbers.teacher_share = 0.3, s.numbers.skew = 0.2, s.numbers.progress = 0.4,
        s.numbers.ab_alpha = 0.4, s.numbers.ab_beta = 0.9;
        s.kind = kinds[c % 9];
        s.n = widths[c / 9 % 4];
        s.label = s.n / 2;
        s.o.temperature = c / 144 ? 12 : 1;
        check(ctx, &s, distances[c / 36 % 4]);
    }
    kd_context_free(ctx);
}
END_TEST

Suite *close_suite(void)
{
    Suite *suite = suite_create("close");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, values_are_right_to_2e_6_of_themselves_at_every_distance);
    suite_add_tcase(suite, tests);
    return suite;
}
