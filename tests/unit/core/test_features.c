/* Terms that compare rows of features: values and gradients of rows and of parameters, beside
 * central differences and closed forms. */
#include "featurekit.h"

enum { ROWS = 5, FROM = 4, TO = 6 };

/* ---- the formulas in double, and their slopes ---- */

typedef struct {
    int32_t kind, projection, normalize;
    int64_t rows, f, w;          /* w: numbers of the teacher, and of a projected row */
    double s[64], t[64], p[256]; /* p: all tensors one after the other */
} formula;

static void linear(const double *x, int64_t from, const double *w, const double *b, int64_t to,
                   double *y)
{
    for (int64_t i = 0; i < to; i++) {
        y[i] = b ? b[i] : 0;
        for (int64_t k = 0; k < from; k++) y[i] += w[i * from + k] * x[k];
    }
}

static void project(const formula *m, const double *x, double *z)
{
    double h[32];
    const int64_t f = m->f, w = m->w;
    const double *p = m->p;
    switch (m->projection) {
    case 0: memcpy(z, x, (size_t)w * sizeof *z); break;
    case KD_PROJECTION_LINEAR_BIAS: linear(x, f, p, p + w * f, w, z); break;
    case KD_PROJECTION_MLP:
        linear(x, f, p, p + 2 * f * f, 2 * f, h);
        for (int64_t i = 0; i < 2 * f; i++) h[i] = h[i] > 0 ? h[i] : 0;
        p += 2 * f * f + 2 * f;
        linear(h, 2 * f, p, p + w * 2 * f, w, z);
        break;
    default: linear(x, f, p, NULL, w, z);
    }
}

static void normalized(int32_t normalize, double *x, int64_t n)
{
    double mean = 0, square = 0;
    for (int64_t i = 0; i < n && normalize == KD_NORMALIZE_LAYER; i++) mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++) square += (x[i] - mean) * (x[i] - mean);
    const double size = normalize == KD_NORMALIZE_ROWS    ? sqrt(square)
                        : normalize == KD_NORMALIZE_LAYER ? sqrt(square / (double)n + 1e-5)
                                                          : 1;
    for (int64_t i = 0; i < n; i++) x[i] = (x[i] - mean) / size;
}

static double row_value(const formula *m, const double *s, const double *t)
{
    double square = 0, huber = 0, dot = 0, ss = 0, tt = 0, variational = 0;
    const double n = (double)m->w, *rho = m->p + 200;
    for (int64_t i = 0; i < m->w; i++) {
        const double d = s[i] - t[i], v = 1e-5 + log1p(exp(rho[i]));
        square += d * d;
        huber += fabs(d) <= 1 ? d * d / 2 : fabs(d) - 0.5;
        dot += s[i] * t[i];
        ss += s[i] * s[i];
        tt += t[i] * t[i];
        variational += 0.5 * log(v) + d * d / (2 * v);
    }
    switch (m->kind) {
    case KD_LOSS_MEAN_SQUARED_ERROR: return square / n;
    case KD_LOSS_HUBER: return huber / n;
    case KD_LOSS_HIDDEN_COSINE: return 1 - dot / sqrt(ss * tt);
    case KD_LOSS_HIDDEN_DISTANCE: return sqrt(square);
    default: return variational / n;
    }
}

static double formula_value(const formula *m)
{
    double sum = 0;
    for (int64_t r = 0; r < m->rows; r++) {
        double z[32], t[32];
        project(m, m->s + r * m->f, z);
        memcpy(t, m->t + r * m->w, (size_t)m->w * sizeof *t);
        normalized(m->normalize, z, m->w);
        normalized(m->normalize, t, m->w);
        sum += row_value(m, z, t);
    }
    return 0.7 * sum / (double)m->rows;
}

static double slope(formula *m, double *x)
{
    const double kept = *x, step = 1e-5;
    *x = kept + step;
    const double above = formula_value(m);
    *x = kept - step;
    const double below = formula_value(m);
    *x = kept;
    return (above - below) / (2 * step);
}

/* Copies what the loss has: tensors of projections from 0 on, a variance from 200. */
static void read_parameters(formula *m, float *gradients)
{
    int64_t at = 0;
    int32_t count;
    OK(kd_loss_tensor_count(loss, &count));
    for (int32_t t = 0; t < count; t++) {
        const char *name;
        kd_array values, gradient;
        OK(kd_loss_tensor(loss, t, &name, &values));
        OK(kd_loss_tensor_gradient(loss, t, &gradient));
        if (!strncmp(name, "variance", 8)) at = 200;
        for (int64_t i = 0; i < kd_array_count(&values); i++, at++) {
            m->p[at] = ((float *)values.data)[i];
            gradients[at] = ((float *)gradient.data)[i];
        }
    }
}

static void gradients_agree(formula *m)
{
    float gradients[256] = { 0 };
    kd_loss_result result;
    OK(kd_loss_zero_gradients(loss));
    OK(run_rows(m->rows, m->f, side_ds, &result));
    read_parameters(m, gradients);
    for (int64_t i = 0; i < m->rows * m->f; i++) m->s[i] = side_s[i];
    for (int64_t i = 0; i < m->rows * m->w; i++) m->t[i] = side_t[i];
    NEAR(result.value, formula_value(m), 1e-6);
    for (int64_t i = 0; i < m->rows * m->f; i++) NEAR(side_ds[i], slope(m, &m->s[i]), 1e-6);
    for (int64_t i = 0; i < 256; i++) NEAR(gradients[i], slope(m, &m->p[i]), 1e-6);
}

static const int32_t row_kinds[] = { KD_LOSS_MEAN_SQUARED_ERROR, KD_LOSS_HUBER,
                                     KD_LOSS_HIDDEN_COSINE, KD_LOSS_HIDDEN_DISTANCE,
                                     KD_LOSS_VARIATIONAL };
enum { KINDS = sizeof row_kinds / sizeof *row_kinds };

static int32_t add_kind(int32_t kind)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    int32_t term;
    o.student_output = o.teacher_field = "hidden";
    OK(kd_loss_add(loss, kind, 0.7, &o, &term));
    return term;
}

static void restart(int32_t kind, int32_t projection, int32_t normalize)
{
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    const int32_t term = add_kind(kind);
    if (projection) add_projection(term, projection, KD_PROJECTION_START_UNIFORM, NULL);
    OK(kd_loss_set(loss, term, KD_TERM_NORMALIZE, normalize));
}

START_TEST(gradients_of_rows_and_parameters_are_slopes)
{
    const int32_t kind = row_kinds[_i];
    for (int32_t projection = 0; projection <= KD_PROJECTION_MLP; projection++)
        for (int32_t n = KD_NORMALIZE_NONE; n <= KD_NORMALIZE_LAYER; n++) {
            formula m = { .kind = kind, .projection = projection, .normalize = n };
            m.rows = ROWS;
            m.f = FROM;
            m.w = projection ? TO : FROM;
            fill(side_s, ROWS * FROM, 1.3 + n);
            fill(side_t, ROWS * TO, 2.1 + projection);
            begin_rows(ROWS, m.w);
            restart(kind, projection, n);
            gradients_agree(&m);
        }
}
END_TEST

START_TEST(values_are_the_formulas)
{
    const double s[3] = { 1, 2, 2 }, t[3] = { 2, 1, -2 };
    kd_loss_result result;
    for (int i = 0; i < 3; i++) side_s[i] = (float)s[i], side_t[i] = (float)t[i];
    begin_rows(1, 3);
    add_feature(KD_LOSS_HIDDEN_COSINE);
    add_feature(KD_LOSS_HIDDEN_DISTANCE);
    add_feature(KD_LOSS_VARIATIONAL);
    OK(run_rows(1, 3, NULL, &result));
    NEAR(result.sum[0], 1, 1e-6);        /* s t = 0 */
    NEAR(result.sum[1], sqrt(18), 1e-5); /* 1 + 1 + 16 */
    NEAR(result.sum[2], 0.5 * log(5) + 18 / 10.0 / 3, 1e-6);
}
END_TEST

START_TEST(a_distance_of_0_has_no_gradient)
{
    kd_loss_result result;
    fill(side_s, 8, 1.1);
    memcpy(side_t, side_s, sizeof side_s);
    begin_rows(2, 4);
    add_feature(KD_LOSS_HIDDEN_DISTANCE);
    OK(run_rows(2, 4, side_ds, &result));
    ck_assert_double_eq(result.sum[0], 0);
    for (int i = 0; i < 8; i++) ck_assert_float_eq(side_ds[i], 0);
}
END_TEST

START_TEST(a_cosine_does_not_depend_on_lengths)
{
    static const float sizes[] = { 1, 1e-25f, 1e-12f, 1e12f, 1e25f };
    kd_loss_result result;
    double value = 0;
    add_feature(KD_LOSS_HIDDEN_COSINE);
    for (int n = 0; n < 2; n++)
        for (int i = 0; i < 5; i++) {
            fill(side_s, ROWS * FROM, 1.3);
            fill(side_t, ROWS * FROM, 2.1);
            for (int k = 0; k < ROWS * FROM; k++) side_s[k] *= sizes[i], side_t[k] *= sizes[4 - i];
            OK(kd_loss_set(loss, 0, KD_TERM_NORMALIZE, n ? KD_NORMALIZE_ROWS : 0));
            begin_rows(ROWS, FROM);
            OK(run_rows(ROWS, FROM, side_ds, &result));
            if (!n && !i) value = result.value;
            NEAR(result.value, value, 1e-6);
        }
}
END_TEST

Suite *features_suite(void)
{
    Suite *suite = suite_create("features");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, gradients_of_rows_and_parameters_are_slopes, 0, KINDS);
    tcase_add_test(tests, values_are_the_formulas);
    tcase_add_test(tests, a_cosine_does_not_depend_on_lengths);
    tcase_add_test(tests, a_distance_of_0_has_no_gradient);
    suite_add_tcase(suite, tests);
    return suite;
}
