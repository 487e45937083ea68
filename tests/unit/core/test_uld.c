/* ULD of a teacher's top-k: a lower bound of the whole teacher's, equal to it where the record is
 * whole. */
#include "unit.h"

enum { N = 14, M = 11, ROUNDS = 300 };

static kd_context *ctx;
static kd_batch *batch;
static kd_targets *targets;
static kd_loss *loss;
static float z[N], v[M], dz[N];
static int64_t teacher_of[N];

static uint64_t stream = 3;
static double noise(void)
{
    stream = stream * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(stream >> 11) * 0x1p-53;
}

static void draw(void)
{
    int64_t next = 0;
    for (int i = 0; i < N; i++) z[i] = (float)(6 * noise());
    for (int i = 0; i < M; i++) v[i] = (float)(6 * noise());
    for (int i = 0; i < N; i++)
        teacher_of[i] =
            noise() < 0.5 && next < M - 2 ? (noise() < 0.7 ? next++ : (next += 2, next - 1)) : -1;
}

static void setup(void)
{
    ctx = make_context(1);
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_batch_begin(batch, 1));
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

static void term(int32_t tail, int shared, double temperature)
{
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    kd_array map = KD_ARRAY_1D(teacher_of, KD_INT64, N);
    o.tail = tail;
    o.temperature = temperature;
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_ULD, 1, &o, NULL));
    if (shared) OK(kd_loss_set_shared_classes(loss, 0, &map, M));
}

static kd_status evaluate(double *value)
{
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, 1, N), gs = KD_ARRAY_2D(dz, KD_FLOAT32, 1, N);
    kd_loss_output output = { .struct_size = sizeof output, .value = &zs, .gradient = &gs };
    kd_loss_result r = { .struct_size = sizeof r };
    const kd_status status = kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, &r);
    *value = r.value;
    return status;
}

static void whole(const float *x)
{
    kd_array vs = KD_ARRAY_2D((void *)(uintptr_t)x, KD_FLOAT32, 1, M);
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_set(targets, "logits", &vs, NULL));
}

static void top(int64_t k, double temperature)
{
    kd_array vs = KD_ARRAY_2D(v, KD_FLOAT32, 1, M);
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_select(targets, "logits", &vs, k, 0, temperature, NULL));
}

/* ---- the definition, in double ---- */

static int down(const void *a, const void *b)
{
    return (*(const double *)a < *(const double *)b) - (*(const double *)a > *(const double *)b);
}

static void softmax(const double *x, int n, double t, double *p)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += p[i] = exp(x[i] / t);
    for (int i = 0; i < n; i++) p[i] /= sum;
}

/* Ranks down to k, then both masses. */
static double definition(const double *x, int k, double t, double *masses)
{
    double q[N], p[M], wide[M], sum = 0, s = 0, rest = 0;
    for (int i = 0; i < M; i++) wide[i] = v[i];
    softmax(x, N, t, q);
    softmax(wide, M, t, p);
    qsort(q, N, sizeof *q, down);
    qsort(p, M, sizeof *p, down);
    for (int i = 0; i < k; i++) sum += fabs(q[i] - p[i]);
    for (int i = k; i < N; i++) s += q[i];
    for (int i = k; i < M; i++) rest += p[i];
    if (masses) masses[0] = s, masses[1] = rest;
    return sum + fabs(s - rest);
}

START_TEST(a_record_is_compared_by_ranks_and_the_mass_below)
{
    for (int round = 0; round < ROUNDS; round++) {
        const int k = 1 + round % M;
        const double t = round % 3 ? 1 : 1.7;
        double value, other, x[N], masses[2];
        draw();
        term(KD_TAIL_BUCKET, 0, t);
        top(k, t);
        OK(evaluate(&value));
        for (int i = 0; i < N; i++) x[i] = z[i];
        NEAR(value, definition(x, k, t, masses), 2e-6);
        for (int i = 0; i < N; i++) {
            const double h = 1e-6;
            x[i] = z[i] + h;
            const double up = definition(x, k, t, NULL);
            x[i] = z[i] - h;
            NEAR(dz[i], (up - definition(x, k, t, NULL)) / (2 * h), 2e-5);
            x[i] = z[i];
        }
        whole(v);
        OK(evaluate(&other)); /* a lower bound, by at most twice the smaller mass below */
        ck_assert_double_le(value, other + 2e-6);
        ck_assert_double_le(other, value + 2 * fmin(masses[0], masses[1]) + 2e-6);
    }
}
END_TEST

/* Of a record that holds all of the teacher nothing is lost; nor of one whose other classes have no
 * probability. */
START_TEST(a_whole_record_is_the_teacher)
{
    static const int32_t policies[] = { KD_TAIL_BUCKET, KD_TAIL_UNIFORM, KD_TAIL_RENORM_TEACHER };
    for (int round = 0; round < ROUNDS; round++) {
        double value, other;
        float expected[N];
        draw();
        for (int i = 0; round % 2 && i < M; i++)
            if (noise() < 0.4 && i != 3) v[i] = -INFINITY;
        term(policies[round % 3], round % 4 > 1, 1);
        whole(v);
        const kd_status status = evaluate(&other);
        if (status != KD_OK) continue; /* a mass where the student has none: refused in both */
        memcpy(expected, dz, sizeof dz);
        top(M, 1);
        OK(evaluate(&value));
        NEAR(value, other, 3e-6 * (1 + other));
        for (int i = 0; i < N; i++) NEAR(dz[i], expected[i], 3e-6);
    }
}
END_TEST

START_TEST(other_policies_are_teachers_of_their_own)
{
    for (int round = 0; round < ROUNDS; round++) {
        const int64_t k = 2 + round % 5;
        const int shared = round % 2;
        kd_array ids, tails;
        float made[M];
        draw();
        for (int uniform = 0; uniform < 2; uniform++) {
            double value, other;
            term(uniform ? KD_TAIL_UNIFORM : KD_TAIL_RENORM_TEACHER, shared, 1);
            top(k, 1);
            OK(kd_targets_sparse(targets, "logits", NULL, &ids, NULL, &tails, NULL));
            double sum = 0;
            for (int i = 0; i < M; i++) sum += exp((double)v[i]);
            for (int i = 0; i < M; i++)
                made[i] = uniform
                              ? (float)(((float *)tails.data)[0] - log((double)(M - k)) + log(sum))
                              : -INFINITY;
            for (int64_t e = 0; e < k; e++)
                made[((uint32_t *)ids.data)[e]] = v[((uint32_t *)ids.data)[e]];
            OK(evaluate(&value));
            whole(made);
            OK(evaluate(&other));
            NEAR(value, other, 1e-5 * (1 + other));
        }
    }
}
END_TEST

/* The bound holds with shared classes: no teacher with the record's entries and mass has a smaller
 * loss. */
START_TEST(with_shared_classes_it_is_the_least_that_the_record_allows)
{
    int tried = 0;
    for (int round = 0; round < ROUNDS; round++) {
        const int64_t k = 1 + round % (M - 1);
        double value, other, least = INFINITY, up, lower;
        float kept[M], saved[N];
        draw();
        term(KD_TAIL_BUCKET, 1, 1);
        top(k, 1);
        kd_array ids;
        OK(kd_targets_sparse(targets, "logits", NULL, &ids, NULL, NULL, NULL));
        uint32_t in[M];
        memcpy(in, ids.data, (size_t)k * sizeof *in);
        if (evaluate(&value) != KD_OK) continue;
        for (int i = 0; i < N; i++) saved[i] = dz[i];
        for (int i = 0; i < N; i += 3) { /* slopes */
            const float at = z[i], h = 2e-3f;
            z[i] = at + h;
            OK(evaluate(&up));
            z[i] = at - h;
            OK(evaluate(&lower));
            const double ahead = fabs(saved[i] - (up - value) / h),
                         behind = fabs(saved[i] - (value - lower) / h);
            /* where ranks change places within h one side is off */
            ck_assert_double_le(fmin(ahead, behind), 1e-2);
            z[i] = at;
        }
        double rest = 0;
        for (int i = 0; i < M; i++) rest += exp((double)v[i]);
        for (int64_t e = 0; e < k; e++) rest -= exp((double)v[in[e]]);
        /* the same record, the rest shared out in another way */
        for (int other_teacher = 0; other_teacher < 20; other_teacher++) {
            double sum = 0, weights[M];
            for (int i = 0; i < M; i++) weights[i] = pow(noise(), 3);
            for (int64_t e = 0; e < k; e++) weights[in[e]] = 0;
            for (int i = 0; i < M; i++) sum += weights[i];
            for (int i = 0; i < M; i++) kept[i] = (float)log(rest * weights[i] / sum);
            float largest = -INFINITY, smallest = INFINITY;
            for (int i = 0; i < M; i++) largest = fmaxf(largest, kept[i]);
            for (int64_t e = 0; e < k; e++)
                smallest = fminf(smallest, v[in[e]]), kept[in[e]] = v[in[e]];
            if (largest > smallest) continue; /* then these were not its k largest */
            tried++;
            whole(kept);
            if (evaluate(&other) == KD_OK) least = fmin(least, other);
        }
        ck_assert_msg(value <= least + 1e-4, "k %lld: %g, a teacher with %g", (long long)k, value,
                      least);
    }
    ck_assert_int_gt(tried, ROUNDS);
}
END_TEST

/* Each of the student's classes is one of the teacher's: nothing could match the others' mass, and
 * the shared ones are renormalized. */
static double contained(const double *x, const int64_t *map, int n)
{
    double q[N], p[M], wide[M], mass = 0, sum = 0;
    for (int i = 0; i < M; i++) wide[i] = v[i];
    softmax(x, n, 1, q);
    softmax(wide, M, 1, p);
    for (int i = 0; i < n; i++) mass += p[map[i]];
    for (int i = 0; i < n; i++) sum += p[map[i]] / mass * log(p[map[i]] / mass / q[i]);
    return sum + 1 - mass; /* the teacher's own, each against 0 */
}

START_TEST(a_student_without_classes_of_its_own_is_compared_on_the_shared_ones)
{
    enum { FEW = 5 };
    int64_t map[FEW] = { 3, 9, 0, 4, 7 };
    kd_array zs = KD_ARRAY_2D(z, KD_FLOAT32, 1, FEW), gs = KD_ARRAY_2D(dz, KD_FLOAT32, 1, FEW),
             ms = KD_ARRAY_1D(map, KD_INT64, FEW);
    kd_loss_output output = { .struct_size = sizeof output, .value = &zs, .gradient = &gs };
    kd_loss_result r = { .struct_size = sizeof r };
    for (int round = 0; round < ROUNDS; round++) {
        double x[FEW];
        draw();
        term(KD_TAIL_BUCKET, 0, 1);
        OK(kd_loss_set_shared_classes(loss, 0, &ms, M));
        if (round % 2) top(M, 1);
        else whole(v);
        OK(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, &r));
        for (int i = 0; i < FEW; i++) x[i] = z[i];
        NEAR(r.value, contained(x, map, FEW), 1e-5);
        for (int i = 0; i < FEW; i++) {
            x[i] = z[i] + 1e-6;
            const double up = contained(x, map, FEW);
            x[i] = z[i] - 1e-6;
            NEAR(dz[i], (up - contained(x, map, FEW)) / 2e-6, 2e-5);
            x[i] = z[i];
        }
        top(1 + round % (M - 1), 1); /* less known: finite still */
        OK(kd_loss_evaluate(loss, &output, 1, batch, targets, NULL, &r));
    }
}
END_TEST

START_TEST(what_cannot_be_compared_is_refused)
{
    int64_t id = 2;
    float log_p = -0.5f;
    kd_array is = KD_ARRAY_2D(&id, KD_INT64, 1, 1), ls = KD_ARRAY_2D(&log_p, KD_FLOAT32, 1, 1);
    kd_sparse s = KD_SPARSE_INIT;
    kd_term_options o = KD_TERM_OPTIONS_INIT;
    static float wide[900];
    kd_array ws = KD_ARRAY_2D(wide, KD_FLOAT32, 1, 900);
    double value;
    draw();
    term(KD_TAIL_BUCKET, 0, 1);
    s.ids = &is;
    s.values = &ls;
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_set_sparse(targets, "logits", &s, NULL));
    FAILS(evaluate(&value), KD_ERR_INVALID, "does not say its vocabulary");
    o.tail = KD_TAIL_RENORM_BOTH;
    FAILS(kd_loss_add(loss, KD_LOSS_ULD, 1, &o, NULL), KD_ERR_UNSUPPORTED,
          "ranks whole distributions");
    kd_loss_free(loss);
    OK(kd_loss_create(&loss, ctx, NULL));
    OK(kd_loss_add(loss, KD_LOSS_FORWARD_KL, 1, NULL, NULL));
    whole(v);
    FAILS(evaluate(&value), KD_ERR_SHAPE, "option classes"); /* 14 and 11: perhaps padded */
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_set(targets, "logits", &ws, NULL));
    FAILS(evaluate(&value), KD_ERR_SHAPE, "KD_LOSS_ULD");
}
END_TEST

Suite *uld_suite(void)
{
    Suite *suite = suite_create("uld");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_record_is_compared_by_ranks_and_the_mass_below);
    tcase_add_test(tests, a_whole_record_is_the_teacher);
    tcase_add_test(tests, other_policies_are_teachers_of_their_own);
    tcase_add_test(tests, with_shared_classes_it_is_the_least_that_the_record_allows);
    tcase_add_test(tests, a_student_without_classes_of_its_own_is_compared_on_the_shared_ones);
    tcase_add_test(tests, what_cannot_be_compared_is_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
