/* Muon's steps against its formula in double, the same for any number of threads, after a
 * checkpoint, and begun before the backward pass. */
#include "unit.h"

enum { WIDE = 40 * 70, TALL = 70 * 40, SMALL = 3 * 2, BIG = 300 * 130, PARTS = 6 };

/* A wide, a tall, a small and a large matrix, which Muon takes; a table and a vector. */
static const struct {
    const char *name;
    int64_t rows, width;
    int muon;
} parts[PARTS] = {
    { "wide", 40, 70, 1 },         { "tall", 70, 40, 1 },  { "small", 3, 2, 1 },
    { "embed_tokens", 20, 12, 0 }, { "vector", 33, 0, 0 }, { "big", 300, 130, 1 },
};

static float values[PARTS][BIG], gradients[PARTS][BIG];

static int64_t count_of(int part)
{
    return parts[part].rows * (parts[part].width + !parts[part].width);
}

static kd_optimizer *make(kd_context *ctx, int32_t kind, const kd_optimizer_options *o)
{
    kd_optimizer *optimizer;
    OK(kd_optimizer_create(&optimizer, ctx, kind, o));
    for (int k = 0; k < PARTS; k++) {
        kd_array v = parts[k].width ? (kd_array)KD_ARRAY_2D(values[k], KD_FLOAT32, parts[k].rows,
                                                            parts[k].width)
                                    : (kd_array)KD_ARRAY_1D(values[k], KD_FLOAT32, parts[k].rows);
        kd_array g = v;
        g.data = gradients[k];
        for (int64_t i = 0; i < count_of(k); i++) values[k][i] = (float)sin(0.3 * (double)i + k);
        OK(kd_optimizer_borrow_array(optimizer, parts[k].name, &v, &g));
    }
    return optimizer;
}

static double gradient_at(int part, int64_t i, int step)
{
    return (float)(sin(1.7 * (double)(i % 97) + 0.9 * (double)(i / 41) + part) *
                   cos(step + 0.01 * (double)i));
}

static void take_steps(kd_optimizer *optimizer, int first, int count)
{
    for (int step = first; step < first + count; step++) {
        for (int k = 0; k < PARTS; k++)
            for (int64_t i = 0; i < count_of(k); i++)
                gradients[k][i] = (float)gradient_at(k, i, step);
        OK(kd_optimizer_step(optimizer, 0.02));
    }
}

/* ---- the formula ---- */

/* X = a X + (b S + c S S) X, S = X X', n x m. */
static void iterate(double *x, int64_t n, int64_t m)
{
    double *s = calloc((size_t)(n * n), sizeof *s), *p = calloc((size_t)(n * n), sizeof *p);
    double *y = calloc((size_t)(n * m), sizeof *y);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            for (int64_t k = 0; k < m; k++) s[i * n + j] += x[i * m + k] * x[j * m + k];
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < n; k++)
            for (int64_t j = 0; j < n; j++) p[i * n + j] += 2.0315 * s[i * n + k] * s[k * n + j];
    for (int64_t i = 0; i < n * n; i++) p[i] -= 4.7750 * s[i];
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < n; k++)
            for (int64_t j = 0; j < m; j++) y[i * m + j] += p[i * n + k] * x[k * m + j];
    for (int64_t i = 0; i < n * m; i++) x[i] = 3.4445 * x[i] + y[i];
    free(s);
    free(p);
    free(y);
}

/* One step of a matrix, rows first; `turned` where it has more rows than columns. */
static void expect_step(int part, int step, double *p, double *m, double decay)
{
    const int64_t n = parts[part].rows, w = parts[part].width, low = n < w ? n : w,
                  high = n < w ? w : n;
    double *x = malloc((size_t)(n * w) * sizeof *x), norm = 0;
    for (int64_t i = 0; i < n * w; i++) {
        const double g = gradient_at(part, i, step);
        m[i] = 0.95 * m[i] + g;
        const double u = g + 0.95 * m[i];
        x[n <= w ? i : i % w * n + i / w] = u;
        norm += u * u;
    }
    for (int64_t i = 0; i < n * w; i++) x[i] /= sqrt(norm);
    for (int k = 0; k < 5; k++) iterate(x, low, high);
    for (int64_t i = 0; i < n * w; i++)
        p[i] -= 0.02 *
                (decay * p[i] + 0.2 * sqrt((double)high) * x[n <= w ? i : i % w * n + i / w]);
    free(x);
}

START_TEST(steps_are_those_of_the_formula)
{
    kd_context *ctx = make_context(2);
    kd_optimizer_options o = KD_OPTIMIZER_OPTIONS_INIT;
    o.weight_decay = 0.1;
    kd_optimizer *optimizer = make(ctx, KD_OPTIMIZER_MUON, &o);
    static double p[WIDE], m[WIDE];
    take_steps(optimizer, 0, 4);
    for (int k = 0; k < 3; k++) {
        for (int64_t i = 0; i < count_of(k); i++) {
            p[i] = (float)sin(0.3 * (double)i + k);
            m[i] = 0;
        }
        for (int step = 0; step < 4; step++) expect_step(k, step, p, m, 0.1);
        for (int64_t i = 0; i < count_of(k); i++) NEAR(values[k][i], p[i], 3e-5);
    }
    static float moved[2][BIG];
    for (int k = 3; k < 5; k++) memcpy(moved[k - 3], values[k], sizeof moved[0]);
    kd_optimizer_free(optimizer);
    optimizer = make(ctx, KD_OPTIMIZER_ADAMW, &o); /* the others are AdamW's */
    take_steps(optimizer, 0, 4);
    for (int k = 3; k < 5; k++)
        ck_assert_mem_eq(moved[k - 3], values[k], (size_t)count_of(k) * sizeof(float));
    kd_optimizer_free(optimizer);
    kd_context_free(ctx);
}
END_TEST

static void keep_all(float to[PARTS][BIG]) { memcpy(to, values, sizeof values); }

static void check_all(float expected[PARTS][BIG])
{
    for (int k = 0; k < PARTS; k++)
        ck_assert_mem_eq(values[k], expected[k], (size_t)count_of(k) * sizeof(float));
}

START_TEST(muon_does_not_depend_on_threads_or_on_a_checkpoint)
{
    static float expected[PARTS][BIG], there[PARTS][BIG];
    const char *path = scratch_path("muon.kdc");
    for (int half = 0; half < 2; half++)
        for (int32_t threads = 1; threads <= 3; threads++) {
            kd_context *ctx = make_context(threads);
            kd_checkpoint *checkpoint;
            kd_optimizer_options o = KD_OPTIMIZER_OPTIONS_INIT;
            o.moments = half ? KD_BFLOAT16 : KD_FLOAT32;
            o.clip_norm = 3;
            o.average_decay = 0.5;
            kd_optimizer *optimizer = make(ctx, KD_OPTIMIZER_MUON, &o);
            take_steps(optimizer, 0, 3);
            OK(kd_checkpoint_create(&checkpoint, ctx, NULL));
            OK(kd_checkpoint_add_optimizer(checkpoint, "optimizer", optimizer));
            OK(kd_checkpoint_save(checkpoint, path));
            keep_all(there);
            take_steps(optimizer, 3, 2);
            OK(kd_optimizer_swap_average(optimizer));
            if (threads == 1) keep_all(expected);
            check_all(expected);
            kd_checkpoint_free(checkpoint);
            kd_optimizer_free(optimizer);
            optimizer = make(ctx, KD_OPTIMIZER_MUON, &o);
            OK(kd_checkpoint_create(&checkpoint, ctx, NULL));
            OK(kd_checkpoint_add_optimizer(checkpoint, "optimizer", optimizer));
            OK(kd_checkpoint_load(checkpoint, path));
            memcpy(values, there, sizeof values);
            take_steps(optimizer, 3, 2);
            OK(kd_optimizer_swap_average(optimizer));
            check_all(expected);
            kd_checkpoint_free(checkpoint);
            kd_optimizer_free(optimizer);
            kd_group_options all = KD_GROUP_OPTIONS_INIT; /* other rules have other state */
            all.rule = KD_RULE_ADAMW;
            optimizer = make(ctx, KD_OPTIMIZER_MUON, &o);
            OK(kd_optimizer_add_group(optimizer, "wide", &all));
            OK(kd_checkpoint_create(&checkpoint, ctx, NULL));
            OK(kd_checkpoint_add_optimizer(checkpoint, "optimizer", optimizer));
            FAILS(kd_checkpoint_load(checkpoint, path), KD_ERR_MISMATCH, "other state");
            kd_checkpoint_free(checkpoint);
            kd_optimizer_free(optimizer);
            kd_context_free(ctx);
        }
}
END_TEST

START_TEST(groups_choose_rules)
{
    kd_context *ctx = make_context(1);
    kd_group_options group = KD_GROUP_OPTIONS_INIT;
    kd_optimizer *optimizer = make(ctx, KD_OPTIMIZER_ADAMW, NULL);
    group.rule = KD_RULE_MUON;
    FAILS(kd_optimizer_add_group(optimizer, "wide", &group), KD_ERR_INVALID, "KD_OPTIMIZER_MUON");
    kd_optimizer_free(optimizer);
    optimizer = make(ctx, KD_OPTIMIZER_MUON, NULL);
    FAILS(kd_optimizer_add_group(optimizer, "vector", &group), KD_ERR_SHAPE, "rank 2");
    group.lazy = 1;
    FAILS(kd_optimizer_add_group(optimizer, "wide", &group), KD_ERR_INVALID, "lazy");
    group.lazy = 0;
    OK(kd_optimizer_add_group(optimizer, "embed*", &group));
    group.rule = 3;
    FAILS(kd_optimizer_add_group(optimizer, "wide", &group), KD_ERR_INVALID, "rule");
    group.rule = KD_RULE_ADAMW;
    OK(kd_optimizer_add_group(optimizer, "wide", &group));
    take_steps(optimizer, 0, 1);
    /* AdamW's first step is the sign of the gradient, Muon's is not */
    for (int64_t i = 1; i < WIDE; i++) /* the first gradient is 0 */
        NEAR(fabs(values[0][i] - (float)sin(0.3 * (double)i)), 0.02, 1e-4);
    ck_assert(fabs(fabs(values[3][0] - (float)sin(3.0)) - 0.02) > 1e-4);
    FAILS(kd_optimizer_add_group(optimizer, "tall", &group), KD_ERR_STATE, "first step");
    group.frozen = 1;
    OK(kd_optimizer_add_group(optimizer, "wide", &group));
    static float before[WIDE];
    memcpy(before, values[0], sizeof before);
    take_steps(optimizer, 1, 1);
    ck_assert_mem_eq(before, values[0], sizeof before);
    kd_optimizer_free(optimizer);
    FAILS(kd_optimizer_create(&optimizer, ctx, 5, NULL), KD_ERR_INVALID, "1 to 4");
    kd_context_free(ctx);
}
END_TEST

START_TEST(an_exchange_refuses_muon)
{
    kd_context *ctx = make_context(1);
    kd_exchange *exchange;
    kd_optimizer *optimizer = make(ctx, KD_OPTIMIZER_MUON, NULL);
    OK(kd_exchange_create(&exchange, ctx, NULL, NULL));
    FAILS(kd_exchange_add_optimizer(exchange, optimizer), KD_ERR_UNSUPPORTED, "whole matrices");
    take_steps(optimizer, 0, 1); /* it still steps alone */
    kd_exchange_free(exchange);
    kd_optimizer_free(optimizer);
    kd_context_free(ctx);
}
END_TEST

/* Second moments of what AdamW takes alone; nothing is allocated in a step. */
START_TEST(matrices_have_one_moment)
{
    int64_t bytes[2], numbers = 0;
    for (int muon = 0; muon < 2; muon++) {
        kd_context *ctx = make_context(1);
        kd_context_info before = { .struct_size = sizeof before }, after = before;
        kd_optimizer *optimizer = make(ctx, muon ? KD_OPTIMIZER_MUON : KD_OPTIMIZER_ADAMW, NULL);
        OK(kd_context_get_info(ctx, &before));
        take_steps(optimizer, 0, 2);
        OK(kd_context_get_info(ctx, &after));
        bytes[muon] = (int64_t)(after.bytes - before.bytes);
        const uint64_t calls = after.allocations;
        take_steps(optimizer, 2, 1);
        OK(kd_context_get_info(ctx, &after));
        ck_assert_uint_eq(after.allocations, calls);
        kd_optimizer_free(optimizer);
        kd_context_free(ctx);
    }
    for (int k = 0; k < PARTS; k++) numbers += parts[k].muon ? count_of(k) : 0;
    /* scratch of the largest, and what a product packs */
    ck_assert_msg(bytes[1] - bytes[0] < 4 * (2 * BIG + 2 * 130 * 130 + 3 * BIG - numbers),
                  "%lld, %lld bytes", (long long)bytes[0], (long long)bytes[1]);
}
END_TEST

Suite *muon_suite(void)
{
    Suite *suite = suite_create("muon");
    TCase *tests = tcase_create("muon");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, steps_are_those_of_the_formula);
    tcase_add_test(tests, groups_choose_rules);
    tcase_add_test(tests, an_exchange_refuses_muon);
    tcase_add_test(tests, matrices_have_one_moment);
    suite_add_tcase(suite, tests);
    TCase *slow = tcase_create("slow");
    tcase_set_tags(slow, "slow");
    tcase_set_timeout(slow, 60);
    tcase_add_test(slow, muon_does_not_depend_on_threads_or_on_a_checkpoint);
    suite_add_tcase(suite, slow);
    return suite;
}
