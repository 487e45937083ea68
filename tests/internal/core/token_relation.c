/* Relations between tokens: values and gradients beside plain formulas in double, shared key heads,
 * causal rows, and bits that do not depend on threads. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "core/relation/token_relation.h"
#include "internal/suites.h"

enum { MOST = 40, WIDE = 24 };

typedef struct {
    int64_t rows, heads, key_heads, width, teacher_key_heads, teacher_width;
    int32_t is_causal, is_squares, is_same; /* q and k are one array */
} shape;

static const shape shapes[] = { { 7, 2, 2, 3, 2, 5, 0, 0, 1 },  { 7, 2, 2, 3, 2, 5, 1, 0, 1 },
                                { 40, 3, 3, 8, 3, 4, 1, 0, 1 }, { 1, 4, 4, 1, 4, 2, 1, 0, 1 },
                                { 9, 4, 2, 6, 4, 3, 1, 0, 0 },  { 33, 4, 1, 2, 2, 6, 0, 0, 0 },
                                { 17, 6, 3, 4, 2, 4, 1, 1, 0 }, { 8, 2, 2, 12, 2, 7, 0, 1, 0 },
                                { 40, 6, 6, 4, 6, 4, 0, 0, 1 }, { 16, 2, 1, 12, 1, 12, 0, 1, 0 } };
enum { SHAPES = sizeof shapes / sizeof *shapes };

static float q[MOST * WIDE], k[MOST * WIDE], qt[MOST * 48], kt[MOST * 48];

static void fill(float *x, int64_t count, double start)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)(1.2 * sin(start + 12.9898 * (double)i * start));
}

/* ---- plainly ---- */

static double scores(const float *a, const float *b, int64_t heads, int64_t key_heads,
                     int64_t width, int64_t i, int64_t head, int64_t n, double *z)
{
    const int64_t key = head / (heads / key_heads);
    double sum = 0;
    for (int64_t j = 0; j < n; j++) {
        z[j] = 0;
        for (int64_t c = 0; c < width; c++)
            z[j] += (double)a[(i * heads + head) * width + c] *
                    b[(j * key_heads + key) * width + c] / sqrt((double)width);
        sum += exp(z[j]);
    }
    return log(sum);
}

static double row_value(const shape *s, int64_t i)
{
    double z[MOST], t[MOST], value = 0;
    const int64_t n = s->is_causal ? i + 1 : s->rows;
    for (int64_t a = 0; a < s->heads; a++) {
        const double log_z = scores(q, s->is_same ? q : k, s->heads, s->key_heads, s->width, i, a,
                                    n, z),
                     log_t = scores(qt, s->is_same ? qt : kt, s->heads, s->teacher_key_heads,
                                    s->teacher_width, i, a, n, t);
        for (int64_t j = 0; j < n; j++)
            value += s->is_squares ? (z[j] - t[j]) * (z[j] - t[j]) / (double)n
                                   : exp(t[j] - log_t) * ((t[j] - log_t) - (z[j] - log_z));
    }
    return value / (double)s->heads;
}

static double whole_value(const shape *s)
{
    double sum = 0;
    for (int64_t i = 0; i < s->rows; i++) sum += row_value(s, i);
    return sum;
}

/* ---- the library's ---- */

static void run(const shape *s, int32_t threads, double scale, double *shares, float *dq, float *dk)
{
    kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
    kd_context *ctx;
    float *scratch;
    o.threads = threads;
    ck_assert_int_eq(kd_context_create(&ctx, &o), KD_OK);
    kd__token_relation r = { .context = ctx,
                             .s = { q, s->is_same ? q : k, s->heads * s->width,
                                    s->key_heads * s->width, s->key_heads, s->width },
                             .t = { qt, s->is_same ? qt : kt, s->heads * s->teacher_width,
                                    s->teacher_key_heads * s->teacher_width, s->teacher_key_heads,
                                    s->teacher_width },
                             .rows = s->rows,
                             .heads = s->heads,
                             .is_causal = s->is_causal,
                             .is_squares = s->is_squares,
                             .dq = dq,
                             .dk = s->is_same ? dq : dk,
                             .scale = scale,
                             .shares = shares };
    const int64_t room = kd__token_relation_room(&r);
    ck_assert_int_eq(kd__scratch_take(ctx, room, &scratch), KD_OK);
    memset(scratch, 0xff, (size_t)room * sizeof *scratch); /* what is there does not matter */
    r.scratch = scratch;
    kd__token_relation_run(&r);
    kd__scratch_give(ctx, scratch);
    kd_context_free(ctx);
}

static void fill_all(const shape *s)
{
    fill(q, s->rows * s->heads * s->width, 0.7);
    fill(k, s->rows * s->key_heads * s->width, 0.9);
    fill(qt, s->rows * s->heads * s->teacher_width, 1.1);
    fill(kt, s->rows * s->teacher_key_heads * s->teacher_width, 1.3);
}

static void check_slopes(const shape *s, float *x, const float *dx, int64_t count, double scale)
{
    for (int64_t i = 0; i < count; i += 1 + count / 40) {
        const float was = x[i], h = 1e-3f;
        x[i] = was + h;
        const double up = whole_value(s), wide = (double)x[i];
        x[i] = was - h;
        const double slope = (up - whole_value(s)) / (wide - (double)x[i]);
        x[i] = was;
        ck_assert_double_eq_tol(dx[i] - 1, scale * slope, 1e-4 * (1 + fabs(slope)));
    }
}

START_TEST(values_and_gradients_are_those_of_plain_formulas)
{
    const double scale = 0.5;
    for (int n = 0; n < SHAPES; n++) {
        const shape *s = &shapes[n];
        double shares[MOST];
        float dq[MOST * WIDE], dk[MOST * WIDE];
        fill_all(s);
        for (int i = 0; i < MOST * WIDE; i++) dq[i] = dk[i] = 1; /* gradients are added */
        run(s, 2, scale, shares, dq, dk);
        for (int64_t i = 0; i < s->rows; i++)
            ck_assert_double_eq_tol(shares[i], row_value(s, i), 3e-6 * (1 + row_value(s, i)));
        check_slopes(s, q, dq, s->rows * s->heads * s->width, scale);
        if (!s->is_same) check_slopes(s, k, dk, s->rows * s->key_heads * s->width, scale);
    }
}
END_TEST

START_TEST(threads_do_not_change_a_bit)
{
    for (int n = 0; n < SHAPES; n++) {
        const shape *s = &shapes[n];
        double shares[2][MOST];
        float dq[2][MOST * WIDE] = { { 0 } }, dk[2][MOST * WIDE] = { { 0 } };
        fill_all(s);
        for (int t = 0; t < 2; t++) run(s, t ? 4 : 1, 1, shares[t], dq[t], dk[t]);
        ck_assert_mem_eq(shares[0], shares[1], (size_t)s->rows * sizeof **shares);
        ck_assert_mem_eq(dq[0], dq[1], sizeof dq[0]);
        ck_assert_mem_eq(dk[0], dk[1], sizeof dk[0]);
    }
}
END_TEST

START_TEST(equal_sides_are_0_whatever_their_heads_are_shared_by)
{
    for (int squares = 0; squares < 2; squares++) {
        const shape s = { 12, 4, 2, 3, 2, 3, 1, squares, 0 };
        double shares[MOST];
        float dq[MOST * WIDE] = { 0 }, dk[MOST * WIDE] = { 0 };
        fill_all(&s);
        memcpy(qt, q, sizeof q);
        memcpy(kt, k, sizeof k);
        run(&s, 2, 1, shares, dq, dk);
        for (int64_t i = 0; i < s.rows; i++) ck_assert_double_eq_tol(shares[i], 0, 1e-6);
        for (int i = 0; i < MOST * WIDE; i++) ck_assert_double_eq_tol(dq[i], 0, 1e-6);
        run(&s, 2, 1, shares, NULL, NULL); /* values alone */
        ck_assert_double_eq_tol(shares[11], 0, 1e-6);
    }
}
END_TEST

Suite *token_relation_suite(void)
{
    Suite *suite = suite_create("token relation");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, values_and_gradients_are_those_of_plain_formulas);
    tcase_add_test(tests, threads_do_not_change_a_bit);
    tcase_add_test(tests, equal_sides_are_0_whatever_their_heads_are_shared_by);
    suite_add_tcase(suite, tests);
    return suite;
}
