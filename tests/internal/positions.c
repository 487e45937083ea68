/* Frequencies of positions, worked out by hand. */
#include "suites.h"

#include "nn/rope.h"

/* Eight numbers a head, base 10000: the pairs turn at 1, 0.1, 0.01 and 0.001. A pair that turns b
 * times within 64 positions is number 8 ln(64 / (2 pi b)) / (2 ln 10000), which is
 *   -0.50 for b = 32,  0.71 for b = 2,  1.008 for b = 1:
 * the ramp goes from pair 0 to pair 2 with beta_slow 1, and to pair 1 with beta_slow 2. */
START_TEST(the_ramp_of_yarn_ends_where_beta_slow_says)
{
    static const struct {
        double slow;
        float expected[4];
    } cases[] = { { 1, { 1, 0.0625f, 0.0025f, 0.00025f } },
                  { 2, { 1, 0.025f, 0.0025f, 0.00025f } } };
    for (int i = 0; i < 2; i++) {
        float found[4];
        const kd__rope rope = { .kind = KD__ROPE_YARN,
                                .truncate = 1,
                                .theta = 10000,
                                .factor = 4,
                                .original = 64,
                                .fast = 32,
                                .slow = cases[i].slow };
        kd__rope_frequencies(&rope, 8, 64, found);
        for (int pair = 0; pair < 4; pair++)
            ck_assert_float_eq_tol(found[pair] / cases[i].expected[pair], 1, 1e-6);
    }
}
END_TEST

Suite *positions_suite(void)
{
    Suite *suite = suite_create("positions");
    TCase *tests = tcase_create("positions");
    tcase_add_test(tests, the_ramp_of_yarn_ends_where_beta_slow_says);
    suite_add_tcase(suite, tests);
    return suite;
}
