/* How much of a distribution a store keeps. */
#include "samplekit.h"

START_TEST(budgets_in_mass_and_bytes_are_kept)
{
    for (int rule = 0; rule < 2; rule++) {
        const char *path = scratch_path("rule.kdt");
        kd_store_options o = options();
        kd_store_field f = KD_STORE_FIELD_INIT;
        kd_store_writer *w;
        kd_array offs, values, tails;
        int64_t bytes;
        unlink(path);
        f.kind = KD_STORE_TOPK;
        f.name = "topk";
        f.k = V;
        if (rule) f.bytes = 24;
        else f.mass = 0.9;
        OK(kd_store_writer_create(&w, ctx, path, &o, &f, 1));
        OK(kd_store_writer_add(w, batch, targets));
        OK(kd_store_writer_close(w));
        kd_store_writer_free(w);
        kd_store *s = opened(path, 0);
        OK(kd_store_read(s, 0, got));
        OK(kd_targets_sparse(got, "topk", &offs, NULL, &values, &tails, NULL));
        for (int r = 0; r < 20 && !rule; r++)
            NEAR(exp(((float *)tails.data)[r]) <= 0.1 + 1e-3, 1, 0);
        OK(kd_store_field_bytes(s, 0, "topk", &bytes));
        if (rule) ck_assert_int_le(bytes, 20 * 24 + 8);
        if (rule) ck_assert_int_ge(((int64_t *)offs.data)[20], 20 * 6);
        kd_store_free(s);
    }
}
END_TEST

/* What a reader would refuse is refused before a file is there. */
START_TEST(fields_beyond_what_readers_take_are_refused)
{
    const char *path = scratch_path("beyond.kdt");
    const struct {
        int32_t kind;
        int64_t width, bytes;
        const char *says;
    } cases[] = { { KD_STORE_TOPK, 0, (1LL << 40) + 1, "bytes" },
                  { KD_STORE_TOPK, (1 << 24) + 1, 0, "width" },
                  { KD_STORE_TOPK, -1, 0, "width" },
                  { KD_STORE_HIDDEN, 0, 0, "width" } };
    unlink(path);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kd_store_options o = options();
        kd_store_field f = KD_STORE_FIELD_INIT;
        kd_store_writer *w;
        f.kind = cases[i].kind;
        f.name = "field";
        f.width = cases[i].width;
        f.bytes = cases[i].bytes;
        FAILS(kd_store_writer_create(&w, ctx, path, &o, &f, 1), KD_ERR_RANGE, cases[i].says);
        ck_assert_int_ne(access(path, F_OK), 0);
    }
}
END_TEST

/* Flat rows of which every entry is asked for: the budget decides, entries are the most likely
 * ones, and no mass is lost. */
START_TEST(a_budget_holds_for_thousands_of_entries)
{
    enum { MANY = 6000, FEW = 3, BYTES = 400 };
    static float flat[FEW * MANY], log_p[FEW * MANY];
    const char *path = scratch_path("many.kdt");
    const int64_t ends[2] = { 0, FEW };
    kd_array os = KD_ARRAY_1D(ends, KD_INT64, 2), ks = KD_ARRAY_2D(keys, KD_UINT64, 1, 2),
             ls = KD_ARRAY_2D(flat, KD_FLOAT32, FEW, MANY);
    kd_array offs, ids, values, tails;
    kd_store_options o = options();
    kd_store_field f = KD_STORE_FIELD_INIT;
    kd_store_writer *w;
    int64_t bytes;
    for (int r = 0; r < FEW; r++) {
        double sum = 0;
        for (int j = 0; j < MANY; j++) sum += exp(flat[r * MANY + j] = 2 * noise());
        for (int j = 0; j < MANY; j++) log_p[r * MANY + j] = (float)(flat[r * MANY + j] - log(sum));
    }
    unlink(path);
    o.vocabulary = MANY;
    f.kind = KD_STORE_TOPK;
    f.name = "topk";
    f.source = "logits";
    f.k = MANY;
    f.bytes = BYTES;
    OK(kd_batch_begin_packed(batch, &os));
    OK(kd_batch_set_samples(batch, NULL, &ks, NULL));
    OK(kd_targets_begin(targets, FEW));
    OK(kd_targets_set(targets, "logits", &ls, NULL));
    OK(kd_store_writer_create(&w, ctx, path, &o, &f, 1));
    OK(kd_store_writer_add(w, batch, targets));
    OK(kd_store_writer_close(w));
    kd_store_writer_free(w);
    kd_store *s = opened(path, 0);
    OK(kd_store_field_bytes(s, 0, "topk", &bytes));
    ck_assert_int_le(bytes, FEW * BYTES + 8);
    ck_assert_int_ge(bytes, FEW * (BYTES - 3));
    OK(kd_store_read(s, 0, got));
    OK(kd_targets_sparse(got, "topk", &offs, &ids, &values, &tails, NULL));
    const int64_t *at = offs.data;
    for (int r = 0; r < FEW; r++) {
        float least = 0, most = -INFINITY;
        double inside = 0;
        int8_t kept[MANY] = { 0 };
        for (int64_t i = at[r]; i < at[r + 1]; i++) {
            const float x = log_p[r * MANY + ((int32_t *)ids.data)[i]];
            kept[((int32_t *)ids.data)[i]] = 1;
            inside += exp(x);
            least = x < least ? x : least;
        }
        for (int j = 0; j < MANY; j++)
            most = !kept[j] && log_p[r * MANY + j] > most ? log_p[r * MANY + j] : most;
        ck_assert_msg(most <= least + 0.11, "an entry of %g was left out for one of %g", most,
                      least); /* steps of the codes */
        NEAR(((float *)tails.data)[r], log(1 - inside), 0.006);
    }
    kd_store_free(s);
}
END_TEST

Suite *store_budget_suite(void)
{
    Suite *suite = suite_create("store_budget");
    TCase *tests = tcase_create("store_budget");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, budgets_in_mass_and_bytes_are_kept);
    tcase_add_test(tests, fields_beyond_what_readers_take_are_refused);
    tcase_add_test(tests, a_budget_holds_for_thousands_of_entries);
    suite_add_tcase(suite, tests);
    return suite;
}
