/* Relations between samples: values and gradients beside plain formulas in double, their
 * invariances, and bits that depend on neither threads nor blocks. */
#include <stdlib.h>

#include "base/memory.h"
#include "math/random.h"
#include "relationkit.h"
#include "internal/suites.h"

#define LARGE 1000000000

static kd_context *ctx;
static void setup(void) { ck_assert_int_eq(kd_context_create(&ctx, NULL), KD_OK); }
static void teardown(void) { kd_context_free(ctx); }

static const struct {
    relation_case of;
    int64_t least;
    double tolerance; /* of gradients: products are float32 */
    kd_status (*run)(kd__relation *r);
} kinds[] = {
    { { .kind = KD__RELATION_SIMILARITY }, 2, 3e-6, kd__relation_similarity },
    { { .kind = KD__RELATION_GRAM }, 2, 3e-6, kd__relation_gram },
    { { .kind = KD__RELATION_DISTANCE }, 2, 3e-6, kd__relation_rkd_distance },
    { { .kind = KD__RELATION_ANGLE }, 3, 3e-6, kd__relation_rkd_angle },
    { { .kind = KD__RELATION_PKT }, 2, 3e-6, kd__relation_pkt },
    { { .kind = KD__RELATION_CKA }, 2, 3e-6, kd__relation_cka },
    { { .kind = KD__RELATION_CKA, .unbiased = 1 }, 4, 3e-6, kd__relation_cka },
    { { .kind = KD__RELATION_KL, .temperature = 0.25, .teacher_temperature = 0.2 },
      2,
      3e-6,
      kd__relation_kl },
    { { .kind = KD__RELATION_KL, .temperature = 0.5, .teacher_temperature = 0.5 },
      2,
      3e-6,
      kd__relation_kl },
};
#define KINDS ((int)(sizeof kinds / sizeof *kinds))

/* ---- running one kind ---- */

typedef struct {
    double value;
    int32_t degenerate;
    float *ds;      /* (b, ws) */
    double *shares; /* (b) */
} outcome;

static outcome run(int kind, const float *s, int64_t ws, const float *t, int64_t wt, int64_t b,
                   double scale, int64_t limit)
{
    outcome made = { 0 };
    const relation_case *of = &kinds[kind].of;
    const int64_t room = kd__relation_room(of->kind, b, ws, wt, limit);
    float *scratch;
    made.ds = calloc((size_t)(b * ws), sizeof *made.ds);
    made.shares = calloc((size_t)b, sizeof *made.shares);
    ck_assert_int_eq(kd__scratch_take(ctx, room, &scratch), KD_OK);
    memset(scratch, 0x7f, (size_t)room * sizeof *scratch); /* what is there does not matter */
    kd__relation r = { ctx,
                       s,
                       t,
                       made.ds,
                       b,
                       ws,
                       wt,
                       scale,
                       made.shares,
                       of->temperature,
                       of->teacher_temperature,
                       of->unbiased,
                       limit,
                       scratch,
                       0 };
    ck_assert_int_eq(kinds[kind].run(&r), KD_OK);
    kd__scratch_give(ctx, scratch);
    for (int64_t i = 0; i < b; i++) made.value += made.shares[i] / (double)b;
    made.degenerate = r.degenerate;
    return made;
}

static void drop(outcome *o)
{
    free(o->ds);
    free(o->shares);
}

static float draw(uint64_t seed, int64_t i)
{
    return (float)(4 * kd__uniform(seed, (uint64_t)i) - 2);
}

/* ---- beside the formulas ---- */

static rows draw_rows(uint64_t seed, int64_t b, int64_t width)
{
    rows r = { .b = b, .width = width };
    for (int64_t i = 0; i < b * width; i++) r.x[i] = draw(seed, i);
    return r;
}

static void narrow(const rows *r, float *to)
{
    for (int64_t i = 0; i < r->b * r->width; i++) to[i] = (float)r->x[i];
}

/* Richardson's central differences: the error falls with the fourth power of the step. */
static double slope(const relation_case *of, rows *s, const rows *t, int64_t i, double step)
{
    const double at = s->x[i];
    double by[2];
    for (int half = 0; half < 2; half++) {
        const double h = half ? step / 2 : step;
        s->x[i] = at + h;
        by[half] = relation_of(of, s, t);
        s->x[i] = at - h;
        by[half] = (by[half] - relation_of(of, s, t)) / (2 * h);
    }
    s->x[i] = at;
    return (4 * by[1] - by[0]) / 3;
}

static void compare(int kind, rows *s, const rows *t, double step)
{
    float student[MOST_ROWS * MOST_WIDTH], teacher[MOST_ROWS * MOST_WIDTH];
    const double scale = 0.7, value = relation_of(&kinds[kind].of, s, t);
    double slopes[MOST_ROWS * MOST_WIDTH], most = 0;
    const int64_t n = s->b * s->width;
    narrow(s, student);
    narrow(t, teacher);
    outcome o = run(kind, student, s->width, teacher, t->width, s->b, scale, LARGE);
    ck_assert_int_eq(o.degenerate, 0);
    ck_assert_double_eq_tol(o.value, value, 1e-6 * fabs(value) + 1e-7);
    for (int64_t i = 0; i < n; i++) {
        slopes[i] = scale * slope(&kinds[kind].of, s, t, i, step);
        most = fmax(most, fabs(slopes[i]));
    }
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(
            fabs(o.ds[i] - slopes[i]) <= kinds[kind].tolerance * most + 3e-7,
            "kind %d, b %d, widths %d and %d: gradient %.9g, by differences %.9g, most %g",
            kinds[kind].of.kind, (int)s->b, (int)s->width, (int)t->width, o.ds[i], slopes[i], most);
    drop(&o);
}

START_TEST(values_and_gradients_are_those_of_the_formulas)
{
    const int64_t step = getenv("KD_TEST_FEW") ? 4 : 1;
    for (int64_t b = kinds[_i].least; b <= MOST_ROWS; b += step)
        for (int64_t width = 1; width <= MOST_WIDTH; width += step) {
            const int64_t other = 1 + (5 * width + b) % MOST_WIDTH;
            rows s = draw_rows((uint64_t)(100 * b + width), b, width);
            const rows t = draw_rows((uint64_t)(7000 + 100 * b + width), b, other);
            compare(_i, &s, &t, 1e-3);
        }
}
END_TEST

/* ---- invariances ---- */

#define ROWS 12
#define STUDENT 7
#define TEACHER 10

static void fill(float *x, uint64_t seed, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = draw(seed, i);
}

typedef struct {
    float s[ROWS * STUDENT], t[ROWS * TEACHER];
} sample;

static sample draw_sample(void)
{
    sample made;
    fill(made.s, 11, ROWS * STUDENT);
    fill(made.t, 12, ROWS * TEACHER);
    return made;
}

static outcome run_sample(int kind, const sample *x)
{
    return run(kind, x->s, STUDENT, x->t, TEACHER, ROWS, 1, LARGE);
}

/* Turns the plane of columns k and k + 1 of every row. */
static void turn(float *x, int64_t rows_count, int64_t width, double angle)
{
    for (int64_t i = 0; i < rows_count; i++)
        for (int64_t k = 0; k + 1 < width; k++) {
            float *at = x + i * width + k;
            const double a = at[0], b = at[1];
            at[0] = (float)(cos(angle) * a - sin(angle) * b);
            at[1] = (float)(sin(angle) * a + cos(angle) * b);
        }
}

START_TEST(a_rotation_of_a_side_changes_nothing)
{
    sample x = draw_sample();
    outcome before = run_sample(_i, &x);
    turn(x.s, ROWS, STUDENT, 0.7);
    turn(x.t, ROWS, TEACHER, -1.1);
    turn(before.ds, ROWS, STUDENT, 0.7);
    outcome after = run_sample(_i, &x);
    ck_assert_double_eq_tol(after.value, before.value, 1e-6 * before.value + 1e-9);
    for (int64_t i = 0; i < ROWS * STUDENT; i++)
        ck_assert_double_eq_tol(after.ds[i], before.ds[i], 1e-6);
    drop(&before);
    drop(&after);
}
END_TEST

START_TEST(the_scale_of_a_side_changes_nothing)
{
    sample x = draw_sample();
    outcome before = run_sample(_i, &x);
    for (int64_t i = 0; i < ROWS * STUDENT; i++) x.s[i] *= 3;
    for (int64_t i = 0; i < ROWS * TEACHER; i++) x.t[i] *= 0.2f;
    outcome after = run_sample(_i, &x);
    ck_assert_double_eq_tol(after.value, before.value, 1e-6 * before.value + 1e-9);
    for (int64_t i = 0; i < ROWS * STUDENT; i++)
        ck_assert_double_eq_tol(3 * after.ds[i], before.ds[i], 1e-6);
    drop(&before);
    drop(&after);
}
END_TEST

START_TEST(the_order_of_rows_changes_nothing)
{
    const sample x = draw_sample();
    sample y;
    outcome before = run_sample(_i, &x);
    for (int64_t i = 0; i < ROWS; i++) {
        const int64_t from = (5 * i + 3) % ROWS;
        memcpy(y.s + i * STUDENT, x.s + from * STUDENT, STUDENT * sizeof(float));
        memcpy(y.t + i * TEACHER, x.t + from * TEACHER, TEACHER * sizeof(float));
    }
    outcome after = run_sample(_i, &y);
    ck_assert_double_eq_tol(after.value, before.value, 1e-6 * before.value + 1e-9);
    for (int64_t i = 0; i < ROWS; i++) {
        const int64_t from = (5 * i + 3) % ROWS;
        ck_assert_double_eq_tol(after.shares[i], before.shares[from], 1e-6);
        for (int64_t k = 0; k < STUDENT; k++)
            ck_assert_double_eq_tol(after.ds[i * STUDENT + k], before.ds[from * STUDENT + k], 1e-6);
    }
    drop(&before);
    drop(&after);
}
END_TEST

START_TEST(equal_sides_are_zero_apart)
{
    const sample x = draw_sample();
    outcome o = run(_i, x.t, TEACHER, x.t, TEACHER, ROWS, 1, LARGE);
    const relation_case *of = &kinds[_i].of;
    if (of->temperature == of->teacher_temperature) {
        ck_assert_double_eq_tol(o.value, 0, 1e-9);
        for (int64_t i = 0; i < ROWS * TEACHER; i++) ck_assert_double_eq_tol(o.ds[i], 0, 1e-7);
    }
    drop(&o);
}
END_TEST

/* ---- CKA of independent data ---- */

static int find_kind(int32_t number, int32_t unbiased)
{
    for (int k = 0; k < KINDS; k++)
        if (kinds[k].of.kind == number && kinds[k].of.unbiased == unbiased) return k;
    ck_abort_msg("no kind %d", number);
    return 0;
}

/* The mean of 1 - value over draws. */
static double alignment_of_noise(int32_t unbiased, int64_t b)
{
    const int draws = 50, kind = find_kind(KD__RELATION_CKA, unbiased);
    const int64_t width = 8;
    float s[64 * 8], t[64 * 8];
    double sum = 0;
    for (int i = 0; i < draws; i++) {
        fill(s, (uint64_t)(2 * i + 1), b * width);
        fill(t, (uint64_t)(2 * i + 2), b * width);
        outcome o = run(kind, s, width, t, width, b, 1, LARGE);
        sum += (1 - o.value) / draws;
        drop(&o);
    }
    return sum;
}

START_TEST(unbiased_cka_of_independent_data_is_near_zero)
{
    ck_assert_double_eq_tol(alignment_of_noise(1, 32), 0, 0.02);
    ck_assert_double_eq_tol(alignment_of_noise(1, 64), 0, 0.01);
    ck_assert_double_gt(alignment_of_noise(0, 32), 0.15); /* what the biased one makes of it */
}
END_TEST

/* ---- bits ---- */

#define MANY 83
#define WIDE_STUDENT 70
#define WIDE_TEACHER 33

static void same_bits(const outcome *x, const outcome *y)
{
    ck_assert_mem_eq(x->shares, y->shares, MANY * sizeof *x->shares);
    ck_assert_mem_eq(x->ds, y->ds, MANY * WIDE_STUDENT * sizeof *x->ds);
}

START_TEST(threads_blocks_and_products_change_no_bit)
{
    static const int32_t threads[] = { 1, 2, 3, 8 };
    static const int64_t limits[] = { 1, 4000, 8 * 16 * MANY, 8 * 50 * MANY, LARGE };
    float s[MANY * WIDE_STUDENT], t[MANY * WIDE_TEACHER];
    fill(s, 5, MANY * WIDE_STUDENT);
    fill(t, 6, MANY * WIDE_TEACHER);
    outcome first = run(_i, s, WIDE_STUDENT, t, WIDE_TEACHER, MANY, 1, LARGE);
    for (int i = 0; i < 4; i++) {
        kd_context_options options = KD_CONTEXT_OPTIONS_INIT;
        options.threads = threads[i];
        options.gemm = i % 2 ? KD_GEMM_OWN : KD_GEMM_AUTO;
        teardown();
        ck_assert_int_eq(kd_context_create(&ctx, &options), KD_OK);
        for (int l = 0; l < 5; l++) {
            outcome o = run(_i, s, WIDE_STUDENT, t, WIDE_TEACHER, MANY, 1, limits[l]);
            same_bits(&first, &o);
            drop(&o);
        }
    }
    drop(&first);
}
END_TEST

START_TEST(the_value_alone_has_the_same_bits)
{
    const sample x = draw_sample();
    double shares[ROWS];
    float *scratch;
    outcome o = run_sample(_i, &x);
    const relation_case *of = &kinds[_i].of;
    ck_assert_int_eq(
        kd__scratch_take(ctx, kd__relation_room(of->kind, ROWS, STUDENT, TEACHER, LARGE), &scratch),
        KD_OK);
    kd__relation r = { .context = ctx,
                       .s = x.s,
                       .t = x.t,
                       .b = ROWS,
                       .ws = STUDENT,
                       .wt = TEACHER,
                       .shares = shares,
                       .temperature = of->temperature,
                       .teacher_temperature = of->teacher_temperature,
                       .unbiased = of->unbiased,
                       .limit = LARGE,
                       .scratch = scratch };
    ck_assert_int_eq(kinds[_i].run(&r), KD_OK);
    ck_assert_mem_eq(shares, o.shares, sizeof shares);
    kd__scratch_give(ctx, scratch);
    drop(&o);
}
END_TEST

START_TEST(the_limit_bounds_what_grows_with_pairs)
{
    const int64_t limit = 1 << 20, width = 16, few = 1000, many = 100000;
    const int64_t at_few = kd__relation_room(KD__RELATION_GRAM, few, width, width, limit);
    const int64_t at_many = kd__relation_room(KD__RELATION_GRAM, many, width, width, limit);
    ck_assert_int_le(at_few, few * 2 * (width + 10) + limit / 4 + 1000);
    ck_assert_int_le(at_many, many * 2 * (width + 10) + limit / 4 + 2 * many);
    ck_assert_int_le(kd__relation_room(KD__RELATION_ANGLE, few, width, width, limit),
                     2 * (6 * few * few + few * width));
}
END_TEST

/* ---- what has no relation ---- */

static void is_finite(const outcome *o, int64_t b, int64_t width)
{
    ck_assert(isfinite(o->value));
    for (int64_t i = 0; i < b * width; i++) ck_assert(isfinite(o->ds[i]));
}

static void is_nothing(const outcome *o, int64_t b, int64_t width)
{
    ck_assert_int_eq(o->degenerate, 1);
    for (int64_t i = 0; i < b; i++) ck_assert(o->shares[i] == 0);
    for (int64_t i = 0; i < b * width; i++) ck_assert(o->ds[i] == 0);
}

START_TEST(too_few_rows_are_no_relation)
{
    const sample x = draw_sample();
    for (int64_t b = 0; b < kinds[_i].least; b++) {
        outcome o = run(_i, x.s, STUDENT, x.t, TEACHER, b, 1, LARGE);
        is_nothing(&o, b, STUDENT);
        drop(&o);
    }
}
END_TEST

START_TEST(sides_of_zeros_are_no_relation)
{
    sample x = draw_sample();
    for (int side = 0; side < 2; side++) {
        x = draw_sample();
        if (side) memset(x.t, 0, sizeof x.t);
        else memset(x.s, 0, sizeof x.s);
        outcome o = run_sample(_i, &x);
        is_nothing(&o, ROWS, STUDENT);
        drop(&o);
    }
}
END_TEST

static int counts_distances(int kind)
{
    const int32_t number = kinds[kind].of.kind;
    return number == KD__RELATION_DISTANCE || number == KD__RELATION_ANGLE ||
           number == KD__RELATION_CKA;
}

START_TEST(equal_rows_are_no_distance)
{
    sample x = draw_sample();
    for (int64_t i = 1; i < ROWS; i++) memcpy(x.s + i * STUDENT, x.s, STUDENT * sizeof(float));
    outcome o = run_sample(_i, &x);
    if (counts_distances(_i)) is_nothing(&o, ROWS, STUDENT);
    else is_finite(&o, ROWS, STUDENT);
    drop(&o);
    x = draw_sample();
    for (int64_t i = 1; i < ROWS; i++) memcpy(x.t + i * TEACHER, x.t, TEACHER * sizeof(float));
    o = run_sample(_i, &x);
    if (counts_distances(_i)) is_nothing(&o, ROWS, STUDENT);
    else is_finite(&o, ROWS, STUDENT);
    drop(&o);
}
END_TEST

static rows rows_of(const float *x, int64_t b, int64_t width)
{
    rows r = { .b = b, .width = width };
    for (int64_t i = 0; i < b * width; i++) r.x[i] = x[i];
    return r;
}

/* Two equal rows, and a row of zeros, among others: values as the formulas have them. */
START_TEST(some_equal_rows_and_a_row_of_zeros_are_as_the_formula_says)
{
    const int64_t b = 8;
    sample x = draw_sample();
    memcpy(x.s + 3 * STUDENT, x.s, STUDENT * sizeof(float));
    memcpy(x.t + 5 * TEACHER, x.t + TEACHER, TEACHER * sizeof(float));
    memset(x.s + 6 * STUDENT, 0, STUDENT * sizeof(float));
    memset(x.t + 7 * TEACHER, 0, TEACHER * sizeof(float));
    const rows s = rows_of(x.s, b, STUDENT), t = rows_of(x.t, b, TEACHER);
    outcome o = run(_i, x.s, STUDENT, x.t, TEACHER, b, 1, LARGE);
    is_finite(&o, b, STUDENT);
    ck_assert_double_eq_tol(o.value, relation_of(&kinds[_i].of, &s, &t), 1e-6);
    drop(&o);
}
END_TEST

START_TEST(very_large_and_very_small_numbers_stay_finite)
{
    static const float sizes[] = { 1e30f, 1e-30f, 1e37f, 1e-37f };
    const sample x = draw_sample();
    outcome plain = run_sample(_i, &x);
    for (int k = 0; k < 4; k++) {
        sample y = x;
        for (int64_t i = 0; i < ROWS * STUDENT; i++) y.s[i] *= sizes[k];
        for (int64_t i = 0; i < ROWS * TEACHER; i++) y.t[i] *= sizes[(k + 1) % 4];
        outcome o = run_sample(_i, &y);
        is_finite(&o, ROWS, STUDENT);
        ck_assert_double_eq_tol(o.value, plain.value, 1e-5 * plain.value + 1e-9);
        drop(&o);
    }
    drop(&plain);
}
END_TEST

/* Rows far from the origin and close to each other: distances and cosines near the end of
 * float32's digits, still as the formulas have them. */
START_TEST(close_rows_keep_their_digits)
{
    const int64_t b = 8;
    sample x = draw_sample();
    for (int64_t i = 0; i < b * STUDENT; i++) x.s[i] = 50 + 0.25f * x.s[i];
    for (int64_t k = 0; k < STUDENT; k++) x.s[STUDENT + k] = x.s[k] + 0x1p-8f * (float)(k + 1);
    rows s = rows_of(x.s, b, STUDENT);
    const rows t = rows_of(x.t, b, TEACHER);
    if (counts_distances(_i)) compare(_i, &s, &t, 1e-4);
}
END_TEST

static outcome run_kl(const sample *x, double temperature)
{
    const int64_t room = kd__relation_room(KD__RELATION_KL, ROWS, STUDENT, TEACHER, LARGE);
    outcome made = { 0 };
    float *scratch;
    made.ds = calloc(ROWS * STUDENT, sizeof *made.ds);
    made.shares = calloc(ROWS, sizeof *made.shares);
    ck_assert_int_eq(kd__scratch_take(ctx, room, &scratch), KD_OK);
    kd__relation r = { .context = ctx,
                       .s = x->s,
                       .t = x->t,
                       .ds = made.ds,
                       .b = ROWS,
                       .ws = STUDENT,
                       .wt = TEACHER,
                       .scale = 1,
                       .shares = made.shares,
                       .temperature = temperature,
                       .teacher_temperature = temperature,
                       .limit = LARGE,
                       .scratch = scratch };
    ck_assert_int_eq(kd__relation_kl(&r), KD_OK);
    kd__scratch_give(ctx, scratch);
    for (int64_t i = 0; i < ROWS; i++) made.value += made.shares[i] / ROWS;
    return made;
}

START_TEST(a_sharp_softmax_stays_finite)
{
    const sample x = draw_sample();
    outcome o = run_kl(&x, 1e-4);
    is_finite(&o, ROWS, STUDENT);
    ck_assert_double_gt(o.value, 0);
    drop(&o);
}
END_TEST

/* From a temperature of 1/300 on, exponentials are taken another way. */
START_TEST(a_sharp_softmax_goes_on_from_a_mild_one)
{
    const sample x = draw_sample();
    outcome mild = run_kl(&x, 1 / 299.99), sharp = run_kl(&x, 1 / 300.01);
    ck_assert_double_eq_tol(mild.value, sharp.value, 1e-3 * mild.value);
    for (int64_t i = 0; i < ROWS * STUDENT; i++)
        ck_assert_double_eq_tol(mild.ds[i], sharp.ds[i], 1e-3 * fabs(mild.ds[i]) + 1e-2);
    drop(&mild);
    drop(&sharp);
}
END_TEST

/* ---- no memory ---- */

static int fails;
static void *allocate(void *user, size_t bytes)
{
    (void)user;
    return fails ? NULL : malloc(bytes);
}
static void *reallocate(void *user, void *block, size_t old_bytes, size_t new_bytes)
{
    (void)user;
    (void)old_bytes;
    return fails ? NULL : realloc(block, new_bytes);
}
static void release(void *user, void *block, size_t bytes)
{
    (void)user;
    (void)bytes;
    free(block);
}

START_TEST(no_memory_for_a_product_is_an_error)
{
    const kd_allocator allocator = { .struct_size = sizeof allocator,
                                     .allocate = allocate,
                                     .reallocate = reallocate,
                                     .release = release };
    kd_context_options options = KD_CONTEXT_OPTIONS_INIT;
    const sample x = draw_sample();
    double shares[ROWS];
    float *scratch;
    options.allocator = &allocator;
    teardown();
    ck_assert_int_eq(kd_context_create(&ctx, &options), KD_OK);
    const relation_case *of = &kinds[_i].of;
    const int64_t room = kd__relation_room(of->kind, ROWS, STUDENT, TEACHER, LARGE);
    scratch = aligned_alloc(64, ((size_t)room * sizeof *scratch + 63) / 64 * 64);
    kd__relation r = { .context = ctx,
                       .s = x.s,
                       .t = x.t,
                       .b = ROWS,
                       .ws = STUDENT,
                       .wt = TEACHER,
                       .shares = shares,
                       .temperature = 1,
                       .teacher_temperature = 1,
                       .limit = LARGE,
                       .scratch = scratch };
    fails = 1;
    const kd_status status = kinds[_i].run(&r);
    fails = 0;
    /* the angles take no product */
    ck_assert_int_eq(status, of->kind == KD__RELATION_ANGLE ? KD_OK : KD_ERR_MEMORY);
    free(scratch);
}
END_TEST

START_TEST(rows_equally_far_apart_have_no_unbiased_cka)
{
    float s[5 * 5] = { 0 }, t[5 * 5];
    fill(t, 3, 25);
    for (int i = 0; i < 5; i++) s[6 * i] = 2;
    const int kind = find_kind(KD__RELATION_CKA, 1);
    outcome o = run(kind, s, 5, t, 5, 5, 1, LARGE);
    is_nothing(&o, 5, 5);
    drop(&o);
    o = run(kind, t, 5, s, 5, 5, 1, LARGE);
    is_nothing(&o, 5, 5);
    drop(&o);
}
END_TEST

Suite *relation_suite(void)
{
    Suite *suite = suite_create("relation");
    TCase *all = tcase_create("relation");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, values_and_gradients_are_those_of_the_formulas, 0, KINDS);
    tcase_add_loop_test(all, a_rotation_of_a_side_changes_nothing, 0, KINDS);
    tcase_add_loop_test(all, the_scale_of_a_side_changes_nothing, 0, KINDS);
    tcase_add_loop_test(all, the_order_of_rows_changes_nothing, 0, KINDS);
    tcase_add_loop_test(all, equal_sides_are_zero_apart, 0, KINDS);
    tcase_add_test(all, unbiased_cka_of_independent_data_is_near_zero);
    tcase_add_loop_test(all, threads_blocks_and_products_change_no_bit, 0, KINDS);
    tcase_add_loop_test(all, the_value_alone_has_the_same_bits, 0, KINDS);
    tcase_add_test(all, the_limit_bounds_what_grows_with_pairs);
    tcase_add_loop_test(all, too_few_rows_are_no_relation, 0, KINDS);
    tcase_add_loop_test(all, sides_of_zeros_are_no_relation, 0, KINDS);
    tcase_add_loop_test(all, equal_rows_are_no_distance, 0, KINDS);
    tcase_add_loop_test(all, some_equal_rows_and_a_row_of_zeros_are_as_the_formula_says, 0, KINDS);
    tcase_add_loop_test(all, very_large_and_very_small_numbers_stay_finite, 0, KINDS);
    tcase_add_loop_test(all, close_rows_keep_their_digits, 0, KINDS);
    tcase_add_test(all, a_sharp_softmax_stays_finite);
    tcase_add_test(all, a_sharp_softmax_goes_on_from_a_mild_one);
    tcase_add_test(all, rows_equally_far_apart_have_no_unbiased_cka);
    tcase_add_loop_test(all, no_memory_for_a_product_is_an_error, 0, KINDS);
    suite_add_tcase(suite, all);
    return suite;
}
