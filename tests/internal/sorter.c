/* Triples sorted within stated memory. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/spill.h"
#include "suites.h"

static uint64_t next_number(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return *state >> 33;
}

static int by_all(const void *x, const void *y)
{
    return kd__triple_before(x, y) ? -1 : kd__triple_before(y, x);
}

/* Random, few different ones, rising, falling, all the same, an organ pipe. */
static void fill(kd__triple *t, int64_t count, int kind)
{
    uint64_t state = 5;
    for (int64_t i = 0; i < count; i++) {
        const uint64_t n = (uint64_t)i, all = (uint64_t)count;
        const uint64_t a[] = { next_number(&state),      next_number(&state) % 3, n, all - n, 7,
                               n < all / 2 ? n : all - n };
        t[i] = (kd__triple){ a[kind], next_number(&state) % 5, n };
    }
}

START_TEST(triples_are_sorted_in_place)
{
    for (int kind = 0; kind < 6; kind++)
        for (int64_t count = 0; count < 3000; count += count < 60 ? 1 : 977) {
            kd__triple *t = malloc((size_t)(count + 1) * sizeof *t),
                       *expected = malloc((size_t)(count + 1) * sizeof *t);
            fill(t, count, kind);
            fill(expected, count, kind);
            qsort(expected, (size_t)count, sizeof *t, by_all);
            kd__sort_triples(t, count);
            int64_t same = 0; /* one assertion: libcheck keeps each of a test without fork */
            while (same < count && !by_all(&t[same], &expected[same])) same++;
            ck_assert_int_eq(same, count);
            free(t), free(expected);
        }
}
END_TEST

START_TEST(runs_are_merged)
{
    kd_context *context;
    const char *folder = getenv("KD_TEST_DIR");
    ck_assert_int_eq(kd_context_create(&context, NULL), KD_OK);
    for (int64_t count = 0; count < 30000; count = 3 * count + 100) {
        kd__sorter sorter;
        kd__triple *expected = malloc((size_t)count * sizeof *expected + 1), got;
        fill(expected, count, 0);
        ck_assert_int_eq(kd__sorter_create(&sorter, context, folder ? folder : "/tmp", 1 << 17),
                         KD_OK);
        int64_t added = 0;
        while (added < count && kd__sorter_add(&sorter, expected[added]) == KD_OK) added++;
        ck_assert_int_eq(added, count);
        qsort(expected, (size_t)count, sizeof *expected, by_all);
        ck_assert_int_eq(kd__sorter_begin(&sorter), KD_OK);
        int64_t same = 0;
        while (same < count && kd__sorter_next(&sorter, &got) == KD_OK &&
               !by_all(&got, &expected[same]))
            same++;
        ck_assert_int_eq(same, count);
        ck_assert_int_eq(kd__sorter_next(&sorter, &got), KD_END);
        if (count > 6000) ck_assert_int_gt(sorter.run_count, 1);
        kd__sorter_free(&sorter);
        free(expected);
    }
    kd_context_free(context);
}
END_TEST

START_TEST(too_little_memory_is_told)
{
    kd_context *context;
    kd__sorter sorter;
    const char *folder = getenv("KD_TEST_DIR");
    ck_assert_int_eq(kd_context_create(&context, NULL), KD_OK);
    ck_assert_int_eq(kd__sorter_create(&sorter, context, folder ? folder : "/tmp", 1), KD_OK);
    for (uint64_t i = 0; i < 2000; i++)
        ck_assert_int_eq(kd__sorter_add(&sorter, (kd__triple){ i, 0, 0 }), KD_OK);
    ck_assert_int_eq(kd__sorter_begin(&sorter), KD_ERR_MEMORY);
    ck_assert(strstr(kd_last_error(), "expected at least"));
    kd__sorter_free(&sorter);
    ck_assert_int_ne(kd__spill_open(&sorter.spill, context, "/no/such/folder", 100), KD_OK);
    kd_context_free(context);
}
END_TEST

Suite *sorter_suite(void)
{
    Suite *suite = suite_create("sorter");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, triples_are_sorted_in_place);
    tcase_add_test(tests, runs_are_merged);
    tcase_add_test(tests, too_little_memory_is_told);
    suite_add_tcase(suite, tests);
    return suite;
}
