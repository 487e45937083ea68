#include "unit.h"

enum { MOST = 6000 };

typedef struct {
    float value;
    uint32_t id;
} entry;

/* The largest first; of equal ones the first. */
static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? 1 : -1;
    return x->id < y->id ? -1 : 1;
}

static int compare_ids(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* A row with or without ties, with or without -infinity. */
static uint64_t drawn;

/* The same numbers with every C library. */
static int draw(void)
{
    drawn = drawn * 6364136223846793005u + 1;
    return (int)(drawn >> 33);
}

static void fill_row(float *x, int64_t n, int kind)
{
    for (int64_t i = 0; i < n; i++) {
        x[i] = (float)(draw() % 100000) / 5000 - 10;
        if (kind == 1) x[i] = (float)(draw() % 7) - 3;
        if (kind == 2 && draw() % 3) x[i] = -INFINITY;
        if (kind == 3) x[i] = i % 2 ? 0.0f : -0.0f;
        if (kind == 4) x[i] = -1e30f * (float)(draw() % 4);
    }
    x[draw() % n] = kind == 4 ? 0 : 12;
}

static void check_row(kd_targets *targets, const float *x, int64_t n, int64_t k, double mass)
{
    static entry all[MOST];
    static uint32_t wanted[MOST];
    double sum = 0, reached = 0, rest = 0;
    int64_t count = 0;
    kd_array xs = KD_ARRAY_2D((void *)(uintptr_t)x, KD_FLOAT32, 1, n), ids, values, tail;
    for (int64_t i = 0; i < n; i++) all[i] = (entry){ x[i], (uint32_t)i };
    qsort(all, (size_t)n, sizeof *all, compare_entries);
    for (int64_t i = 0; i < n; i++) sum += exp((double)x[i] - all[0].value);
    while (count < k && count < n && all[count].value > -INFINITY &&
           !(mass > 0 && reached >= mass * (1 - 1e-9))) {
        reached += exp((double)all[count].value - all[0].value) / sum;
        wanted[count] = all[count].id;
        count++;
    }
    for (int64_t i = count; i < n; i++) rest += exp((double)all[i].value - all[0].value);
    qsort(wanted, (size_t)count, sizeof *wanted, compare_ids);
    OK(kd_targets_begin(targets, 1));
    OK(kd_targets_select(targets, "topk", &xs, k, mass, 1, NULL));
    OK(kd_targets_sparse(targets, "topk", NULL, &ids, &values, &tail, NULL));
    ck_assert_int_eq(ids.dims[0], count);
    ck_assert(count == 0 || !memcmp(ids.data, wanted, (size_t)count * sizeof *wanted));
    if (rest > 0)
        ck_assert_double_eq_tol(((float *)tail.data)[0], log(rest / sum),
                                1e-5 * (1 + fabs(log(rest / sum))));
    else ck_assert(((float *)tail.data)[0] == -INFINITY);
    for (int64_t i = 0; i < count; i++)
        ck_assert_double_eq_tol(((float *)values.data)[i],
                                (double)x[wanted[i]] - all[0].value - log(sum),
                                1e-5 * (1 + fabs((double)x[wanted[i]] - all[0].value)));
}

/* Against sorting: any length, any k, equal numbers, -infinity, by mass; the same for every set of
 * instructions. */
START_TEST(the_largest_are_those_of_a_sort)
{
    static float x[MOST];
    for (int32_t isa = KD_ISA_PORTABLE; isa <= KD_ISA_AVX512; isa++) {
        kd_context_options o = KD_CONTEXT_OPTIONS_INIT;
        kd_context *ctx;
        kd_targets *targets;
        o.isa = isa;
        o.threads = 1;
        if (kd_context_create(&ctx, &o) != KD_OK) continue; /* not this processor's */
        OK(kd_targets_create(&targets, ctx, NULL));
        drawn = 4;
        for (int i = 0; i < (getenv("KD_TEST_FEW") ? 60 : 400); i++) {
            const int64_t n = i < 40 ? i + 1 : 1 + draw() % MOST;
            const int64_t k = i % 3 == 0   ? 1 + draw() % n
                              : i % 3 == 1 ? 1 + draw() % 64
                                           : 1 + draw() % 400;
            fill_row(x, n, i % 5);
            check_row(targets, x, n, k, 0);
            /* not a whole number of equal parts */
            check_row(targets, x, n, k, (double)(draw() % 999 + 1) / 1001);
        }
        kd_targets_free(targets);
        kd_context_free(ctx);
    }
}
END_TEST

Suite *select_suite(void)
{
    Suite *suite = suite_create("select");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, the_largest_are_those_of_a_sort);
    suite_add_tcase(suite, tests);
    return suite;
}
