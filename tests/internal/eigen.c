/* Eigenvectors of symmetric matrices. */
#include "math/eigen.h"

#include <check.h>
#include <math.h>
#include <string.h>

#include "suites.h"

enum { MOST = 60 };
static const int64_t sizes[] = { 1, 2, 3, 7, 20, 41, 60 };
static kd_context *ctx;
static double a[MOST * MOST], copy[MOST * MOST], values[MOST], vectors[MOST * MOST];

static void setup(void) { ck_assert_int_eq(kd_context_create(&ctx, NULL), KD_OK); }
static void teardown(void) { kd_context_free(ctx); }

/* a = sum of values[k] v_k v_k', v_k orthonormal, values falling. */
static void check_parts(int64_t n)
{
    memcpy(copy, a, sizeof a);
    ck_assert_int_eq(kd__eigen(ctx, a, n, values, vectors), KD_OK);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0, product = 0;
            for (int64_t k = 0; k < n; k++) {
                sum += values[k] * vectors[k * n + i] * vectors[k * n + j];
                product += vectors[i * n + k] * vectors[j * n + k];
            }
            ck_assert_double_eq_tol(sum, copy[i * n + j], 1e-11);
            ck_assert_double_eq_tol(product, i == j, 1e-12);
        }
    for (int64_t k = 1; k < n; k++) ck_assert(values[k] <= values[k - 1]);
}

START_TEST(a_symmetric_matrix_is_the_sum_of_its_parts)
{
    const int64_t n = sizes[_i];
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++)
            a[i * n + j] = a[j * n + i] = sin(1.3 * (double)(i * i + 7 * j)) + (i == j);
    check_parts(n);
}
END_TEST

/* Zeros, equal values, one value, three diagonals already. */
START_TEST(special_matrices_are_no_special_case)
{
    const int64_t n = 20;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            const double kinds[] = { 0, 3 * (i == j), (double)((i + 1) * (j + 1)) / 100,
                                     i == j ? 2 : -(double)(i - j == 1 || j - i == 1) };
            a[i * n + j] = kinds[_i];
        }
    check_parts(n);
}
END_TEST

/* Products of rows of which few are different: all but `rank` values are 0. */
START_TEST(few_directions_are_found)
{
    for (int64_t n = 8; n <= MOST; n += 4)
        for (int64_t rank = 1; rank <= 8; rank++) {
            for (int64_t i = 0; i < n; i++)
                for (int64_t j = 0; j < n; j++) a[i * n + j] = 9 * (i % rank == j % rank);
            check_parts(n);
            for (int64_t k = rank; k < n; k++) ck_assert_double_eq_tol(values[k], 0, 1e-11);
        }
}
END_TEST

START_TEST(what_is_not_finite_is_refused)
{
    for (int i = 0; i < 25; i++) a[i] = 1;
    a[7] = a[11] = NAN;
    ck_assert_int_eq(kd__eigen(ctx, a, 5, values, vectors), KD_ERR_NONFINITE);
    for (int i = 0; i < 25; i++) a[i] = i ? 1 : INFINITY;
    ck_assert_int_eq(kd__eigen(ctx, a, 5, values, vectors), KD_ERR_NONFINITE);
}
END_TEST

Suite *eigen_suite(void)
{
    Suite *suite = suite_create("eigen");
    TCase *tests = tcase_create("eigen");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, a_symmetric_matrix_is_the_sum_of_its_parts, 0, 7);
    tcase_add_loop_test(tests, special_matrices_are_no_special_case, 0, 4);
    tcase_add_test(tests, few_directions_are_found);
    tcase_add_test(tests, what_is_not_finite_is_refused);
    suite_add_tcase(suite, tests);
    return suite;
}
