/* Retrieval: what is found among candidates, beside counts made by hand. */
#include "unit.h"

static kd_context *ctx;
static void setup(void) { ctx = make_context(2); }
static void teardown(void) { kd_context_free(ctx); }

/* Directions by their angle in degrees. */
static void turn(const double *degrees, int count, float *to)
{
    for (int i = 0; i < count; i++) {
        to[2 * i] = (float)(3 * cos(degrees[i] * 3.14159265358979 / 180));
        to[2 * i + 1] = (float)(3 * sin(degrees[i] * 3.14159265358979 / 180));
    }
}

static float q[64], c[64];
static kd_metric metric;

static kd_status judge(int32_t kind, int32_t k, int64_t n, int64_t m, int64_t *query_groups,
                       int64_t *candidate_groups)
{
    kd_array a = KD_ARRAY_2D(q, KD_FLOAT32, n, 2), b = KD_ARRAY_2D(c, KD_FLOAT32, m, 2),
             g = KD_ARRAY_1D(query_groups, KD_INT64, n),
             h = KD_ARRAY_1D(candidate_groups, KD_INT64, m);
    metric = (kd_metric){ .struct_size = sizeof metric };
    return kd_metrics_measure_retrieval(ctx, kind, k, &a, &b, query_groups ? &g : NULL,
                                        candidate_groups ? &h : NULL, &metric);
}

START_TEST(places_are_those_of_the_cosines)
{
    /* places of its own candidate: 1, 2, 2 */
    turn((const double[]){ 0, 40, 120 }, 3, q);
    turn((const double[]){ 5, 85, 210 }, 3, c);
    OK(judge(KD_RETRIEVAL_RECALL, 1, 3, 3, NULL, NULL));
    NEAR(metric.value, 1 / 3., 1e-12);
    NEAR(metric.standard_error, sqrt(2 / 9. / 3), 1e-12);
    ck_assert_int_eq(metric.rows, 3);
    OK(judge(KD_RETRIEVAL_RECALL, 2, 3, 3, NULL, NULL));
    NEAR(metric.value, 1, 1e-12);
    OK(judge(KD_RETRIEVAL_MRR, 0, 3, 3, NULL, NULL));
    NEAR(metric.value, (1 + 0.5 + 0.5) / 3, 1e-12);
    NEAR(metric.standard_error, sqrt(1 / 12. / 3), 1e-12);
    OK(judge(KD_RETRIEVAL_NDCG, 10, 3, 3, NULL, NULL));
    NEAR(metric.value, (1 + 2 / log2(3)) / 3, 1e-12);
}
END_TEST

START_TEST(groups_have_several_candidates)
{
    int64_t of[] = { 7, 8, 9 }, to[] = { 8, 7, 7, 8 };
    turn((const double[]){ 0, 100, 50 }, 3, q);
    turn((const double[]){ 10, 20, 70, 90 }, 4, c);
    OK(judge(KD_RETRIEVAL_NDCG, 3, 3, 4, of, to)); /* places 2, 3 of two; 1, 4 of two */
    const double best = 1 + 1 / log2(3);
    NEAR(metric.value, ((1 / log2(3) + 0.5) / best + 1 / best) / 2, 1e-12);
    ck_assert_int_eq(metric.rows, 2);
    of[0] = of[1] = 9;
    FAILS(judge(KD_RETRIEVAL_RECALL, 1, 3, 4, of, to), KD_ERR_RANGE, "none of the 3 queries");
}
END_TEST

/* Whatever the width: equal rows have equal scores. */
START_TEST(a_wide_collapse_finds_nothing)
{
    enum { MANY = 5, WIDE = 592 };
    static float x[MANY * WIDE], y[MANY * WIDE];
    for (int i = 0; i < MANY * WIDE; i++) x[i] = y[i] = (float)sin(1 + i % WIDE);
    kd_array a = KD_ARRAY_2D(x, KD_FLOAT32, MANY, WIDE), b = KD_ARRAY_2D(y, KD_FLOAT32, MANY, WIDE);
    metric = (kd_metric){ .struct_size = sizeof metric };
    OK(kd_metrics_measure_retrieval(ctx, KD_RETRIEVAL_MRR, 1, &a, &b, NULL, NULL, &metric));
    NEAR(metric.value, 1. / MANY, 1e-12);
}
END_TEST

/* Every second row is another array, although it begins at the same place. */
START_TEST(a_view_is_not_the_array_that_it_looks_into)
{
    int64_t of[] = { 0, 1, 2, 3 }, to[] = { 0, 0, 1, 1, 2, 2, 3, 3 };
    turn((const double[]){ 0, 1, 20, 21, 40, 41, 60, 61 }, 8, c);
    kd_array all = KD_ARRAY_2D(c, KD_FLOAT32, 8, 2), half = all, g = KD_ARRAY_1D(of, KD_INT64, 4),
             h = KD_ARRAY_1D(to, KD_INT64, 8);
    half.dims[0] = 4;
    half.strides[0] *= 2;
    metric = (kd_metric){ .struct_size = sizeof metric };
    OK(kd_metrics_measure_retrieval(ctx, KD_RETRIEVAL_RECALL, 1, &half, &all, &g, &h, &metric));
    NEAR(metric.value, 1, 1e-12);
}
END_TEST

START_TEST(a_collapse_finds_nothing)
{
    for (int i = 0; i < 20; i++) q[i] = c[i] = i % 2 ? 1 : 2;
    OK(judge(KD_RETRIEVAL_RECALL, 3, 10, 10, NULL, NULL));
    NEAR(metric.value, 0, 0);
    OK(judge(KD_RETRIEVAL_MRR, 1, 10, 10, NULL, NULL));
    NEAR(metric.value, 0.1, 1e-12);
}
END_TEST

START_TEST(neighbors_vote_and_a_row_is_not_its_own)
{
    int64_t labels[] = { 1, 1, 1, 2, 2, 2 };
    turn((const double[]){ 0, 10, 95, 90, 100, 19 }, 6, q);
    kd_array a = KD_ARRAY_2D(q, KD_FLOAT32, 6, 2), g = KD_ARRAY_1D(labels, KD_INT64, 6);
    metric = (kd_metric){ .struct_size = sizeof metric };
    OK(kd_metrics_measure_retrieval(ctx, KD_RETRIEVAL_VOTE, 1, &a, &a, &g, &g, &metric));
    /* nearest: 10, 19, 90 or 100, 95, 95, 10 */
    NEAR(metric.value, 1 / 6., 1e-12);
    OK(kd_metrics_measure_retrieval(ctx, KD_RETRIEVAL_VOTE, 3, &a, &a, &g, &g, &metric));
    ck_assert_int_eq(metric.rows, 6);
}
END_TEST

START_TEST(sides_that_do_not_fit_are_refused)
{
    kd_array a = KD_ARRAY_2D(q, KD_FLOAT32, 4, 2), b = KD_ARRAY_2D(c, KD_FLOAT32, 4, 3);
    int64_t groups[4] = { 0 };
    turn((const double[]){ 0, 1, 2, 3 }, 4, q);
    turn((const double[]){ 0, 1, 2, 3, 4, 5 }, 6, c);
    FAILS(kd_metrics_measure_retrieval(ctx, 1, 1, &a, &b, NULL, NULL, &metric), KD_ERR_SHAPE,
          "2 numbers a row and rank 2 with 3");
    FAILS(judge(0, 1, 4, 4, NULL, NULL), KD_ERR_RANGE, "kind: expected 1 to 4");
    FAILS(judge(1, 0, 4, 4, NULL, NULL), KD_ERR_RANGE, "k: expected at least 1");
    FAILS(judge(1, 1, 4, 4, groups, NULL), KD_ERR_INVALID, "groups of both sides");
    q[4] = q[5] = 0;
    FAILS(judge(1, 1, 4, 4, NULL, NULL), KD_ERR_NONFINITE, "queries: row 2");
}
END_TEST

Suite *retrieval_suite(void)
{
    Suite *suite = suite_create("retrieval");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, places_are_those_of_the_cosines);
    tcase_add_test(tests, groups_have_several_candidates);
    tcase_add_test(tests, a_collapse_finds_nothing);
    tcase_add_test(tests, a_wide_collapse_finds_nothing);
    tcase_add_test(tests, a_view_is_not_the_array_that_it_looks_into);
    tcase_add_test(tests, neighbors_vote_and_a_row_is_not_its_own);
    tcase_add_test(tests, sides_that_do_not_fit_are_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
