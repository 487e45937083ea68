/* Relations and attention transfer beside PyTorch's formulas (tests/goldens/relations.py), and
 * attention transfer beside differences in double. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "core/relation/relation.h"
#include "goldens/relations.h"
#include "internal/suites.h"

#define ROWS 6
#define STUDENT 5
#define TEACHER 7
#define MOST 400

static kd_context *ctx;
static void setup(void) { ck_assert_int_eq(kd_context_create(&ctx, NULL), KD_OK); }
static void teardown(void) { kd_context_free(ctx); }

/* As the script has them. */
static void fill_side(float *x, int64_t width, double a, double b, double c)
{
    for (int64_t i = 0; i < ROWS; i++)
        for (int64_t k = 0; k < width; k++)
            x[i * width + k] =
                (float)sin(a * (double)i + b * (double)k + c * (double)i * (double)k);
}

static void fill_map(float *x, int64_t count, double a)
{
    for (int64_t n = 0; n < count; n++)
        x[n] = (float)(sin(a * (double)n) + (double)n / (double)count);
}

/* ---- relations ---- */

typedef kd_status relation(kd__relation *r);
static const struct {
    int32_t kind, unbiased;
    relation *run;
    const double *value, *gradient;
} goldens[] = {
    { KD__RELATION_SIMILARITY, 0, kd__relation_similarity, golden_similarity,
      golden_similarity_gradient },
    { KD__RELATION_GRAM, 0, kd__relation_gram, golden_gram, golden_gram_gradient },
    { KD__RELATION_DISTANCE, 0, kd__relation_rkd_distance, golden_rkd_distance,
      golden_rkd_distance_gradient },
    { KD__RELATION_ANGLE, 0, kd__relation_rkd_angle, golden_rkd_angle, golden_rkd_angle_gradient },
    { KD__RELATION_PKT, 0, kd__relation_pkt, golden_pkt, golden_pkt_gradient },
    { KD__RELATION_CKA, 0, kd__relation_cka, golden_cka, golden_cka_gradient },
    { KD__RELATION_CKA, 1, kd__relation_cka, golden_cka_unbiased, golden_cka_unbiased_gradient },
    { KD__RELATION_KL, 0, kd__relation_kl, golden_relation_kl, golden_relation_kl_gradient },
};

static void is_near(const float *made, const double *golden, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(golden[i]));
    for (int64_t i = 0; i < n; i++) ck_assert_double_eq_tol(made[i], golden[i], 3e-6 * most);
}

START_TEST(relations_are_those_of_torch)
{
    float s[ROWS * STUDENT], t[ROWS * TEACHER], ds[ROWS * STUDENT], *scratch;
    double shares[ROWS], value = 0;
    const int32_t kind = goldens[_i].kind;
    fill_side(s, STUDENT, 0.7, 1.3, 0.21);
    fill_side(t, TEACHER, 1.9, 0.4, 0.37);
    ck_assert_int_eq(
        kd__scratch_take(ctx, kd__relation_room(kind, ROWS, STUDENT, TEACHER, 1), &scratch), KD_OK);
    kd__relation r = { .context = ctx,
                       .s = s,
                       .t = t,
                       .ds = ds,
                       .b = ROWS,
                       .ws = STUDENT,
                       .wt = TEACHER,
                       .scale = 1,
                       .shares = shares,
                       .temperature = 0.25,
                       .teacher_temperature = 0.2,
                       .unbiased = goldens[_i].unbiased,
                       .limit = 1,
                       .scratch = scratch };
    ck_assert_int_eq(goldens[_i].run(&r), KD_OK);
    kd__scratch_give(ctx, scratch);
    for (int i = 0; i < ROWS; i++) value += shares[i] / ROWS;
    ck_assert_double_eq_tol(value, *goldens[_i].value, 1e-6 * *goldens[_i].value);
    is_near(ds, goldens[_i].gradient, ROWS * STUDENT);
}
END_TEST

/* ---- attention transfer ---- */

typedef struct {
    int64_t channels, height, width;
} size;

static const struct {
    size s, t;
    const double *value, *gradient;
} pairs_of_maps[] = {
    { { 3, 4, 5 }, { 2, 4, 5 }, golden_attention_transfer, golden_attention_transfer_gradient },
    { { 3, 7, 5 },
      { 2, 4, 3 },
      golden_attention_larger_student,
      golden_attention_larger_student_gradient },
    { { 2, 3, 3 },
      { 4, 8, 6 },
      golden_attention_larger_teacher,
      golden_attention_larger_teacher_gradient },
};

static int64_t numbers_of(size s) { return s.channels * s.height * s.width; }
static kd__maps map_of(const float *x, size s)
{
    return (kd__maps){ x, s.channels, s.height, s.width };
}

static double transfer(const float *s, size of_s, const float *t, size of_t, double scale,
                       float *df, int32_t *degenerate)
{
    double scratch[3 * MOST];
    const kd__maps student = map_of(s, of_s), teacher = map_of(t, of_t);
    return kd__attention_transfer(&student, &teacher, scale, df, scratch, degenerate);
}

START_TEST(attention_transfer_is_that_of_torch)
{
    const size of_s = pairs_of_maps[_i].s, of_t = pairs_of_maps[_i].t;
    float s[MOST], t[MOST], df[MOST];
    int32_t degenerate;
    fill_map(s, numbers_of(of_s), 1.1);
    fill_map(t, numbers_of(of_t), 0.6);
    const double value = transfer(s, of_s, t, of_t, 1, df, &degenerate);
    ck_assert_int_eq(degenerate, 0);
    ck_assert_double_eq_tol(value, *pairs_of_maps[_i].value, 1e-8);
    is_near(df, pairs_of_maps[_i].gradient, numbers_of(of_s));
    ck_assert(transfer(s, of_s, t, of_t, 1, NULL, &degenerate) == value);
}
END_TEST

/* Steps that float32 holds exactly; the value is double. */
START_TEST(gradients_of_maps_are_those_of_differences)
{
    const float step = 0x1p-9f;
    for (int64_t h = 1; h <= 5; h++)
        for (int64_t w = 1; w <= 5; w++) {
            const size of_s = { 2, h, w }, of_t = { 3, 6 - h, 2 };
            float s[MOST], t[MOST], df[MOST];
            int32_t degenerate;
            fill_map(s, numbers_of(of_s), 1.7);
            fill_map(t, numbers_of(of_t), 0.9);
            transfer(s, of_s, t, of_t, 0.5, df, &degenerate);
            for (int64_t i = 0; i < numbers_of(of_s); i++) {
                const float at = s[i];
                s[i] = at + step;
                const double above = transfer(s, of_s, t, of_t, 1, NULL, &degenerate);
                const double high = s[i];
                s[i] = at - step;
                const double below = transfer(s, of_s, t, of_t, 1, NULL, &degenerate);
                ck_assert_double_eq_tol(df[i], 0.5 * (above - below) / (high - s[i]), 1e-5);
                s[i] = at;
            }
        }
}
END_TEST

START_TEST(equal_maps_are_zero_apart_whatever_their_size)
{
    const size of = { 4, 6, 5 };
    float s[MOST], t[MOST], df[MOST];
    int32_t degenerate;
    fill_map(s, numbers_of(of), 1.1);
    for (int64_t i = 0; i < numbers_of(of); i++) t[i] = 3 * s[i];
    ck_assert_double_eq_tol(transfer(s, of, t, of, 1, df, &degenerate), 0, 1e-12);
    for (int64_t i = 0; i < numbers_of(of); i++) ck_assert_double_eq_tol(df[i], 0, 1e-7);
}
END_TEST

START_TEST(a_map_of_zeros_has_no_attention)
{
    const size of = { 2, 3, 3 };
    float full[MOST], empty[MOST] = { 0 }, df[MOST];
    int32_t degenerate;
    fill_map(full, numbers_of(of), 1.1);
    for (int side = 0; side < 2; side++) {
        const float *s = side ? full : empty, *t = side ? empty : full;
        memset(df, 0x7f, sizeof df);
        ck_assert(transfer(s, of, t, of, 1, df, &degenerate) == 0);
        ck_assert_int_eq(degenerate, 1);
        for (int64_t i = 0; i < numbers_of(of); i++) ck_assert(df[i] == 0);
    }
}
END_TEST

Suite *relation_goldens_suite(void)
{
    Suite *suite = suite_create("relation goldens");
    TCase *all = tcase_create("goldens");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_loop_test(all, relations_are_those_of_torch, 0, sizeof goldens / sizeof *goldens);
    tcase_add_loop_test(all, attention_transfer_is_that_of_torch, 0,
                        sizeof pairs_of_maps / sizeof *pairs_of_maps);
    tcase_add_test(all, gradients_of_maps_are_those_of_differences);
    tcase_add_test(all, equal_maps_are_zero_apart_whatever_their_size);
    tcase_add_test(all, a_map_of_zeros_has_no_attention);
    suite_add_tcase(suite, all);
    return suite;
}
