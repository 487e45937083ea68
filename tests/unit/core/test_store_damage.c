/* Torn, damaged and old files of stores. */
#include "samplekit.h"

/* Everything readable of a small store: a checksum of it, or -1 where a call failed with a
 * status. */
static int64_t read_all(const char *path, int64_t *records)
{
    kd_store *s;
    kd_store_info info = { .struct_size = sizeof info };
    int64_t sum = 0;
    *records = 0;
    if (kd_store_open(&s, ctx, &path, 1, NULL) != KD_OK) return -1;
    OK(kd_store_get_info(s, &info));
    *records = info.records;
    for (int64_t i = 0; i < info.records && sum >= 0; i++) {
        kd_array ids, values;
        if (kd_store_read(s, i, got) != KD_OK) {
            sum = -1;
            break;
        }
        OK(kd_targets_sparse(got, "topk", NULL, &ids, &values, NULL, NULL));
        for (int64_t j = 0; j < ids.dims[0]; j++)
            sum += (int64_t)((uint32_t *)ids.data)[j] * 31 +
                   (int64_t)(((float *)values.data)[j] * -1000) * (j + 1);
    }
    kd_store_free(s);
    return sum;
}

static size_t small_store(const char *path, char **bytes)
{
    kd_store_options o = options();
    kd_store_field f = KD_STORE_FIELD_INIT;
    kd_store_writer *w;
    size_t size;
    unlink(path);
    f.kind = KD_STORE_TOPK;
    f.name = "topk";
    f.k = 3;
    OK(kd_store_writer_create(&w, ctx, path, &o, &f, 1));
    OK(kd_store_writer_add(w, batch, targets));
    OK(kd_store_writer_close(w));
    kd_store_writer_free(w);
    *bytes = read_whole(path, &size);
    return size;
}

START_TEST(every_flipped_bit_is_found_or_harmless)
{
    const char *path = scratch_path("flip.kdt");
    char *bytes;
    const size_t size = small_store(path, &bytes);
    int64_t records;
    const int64_t good = read_all(path, &records);
    ck_assert_int_eq(records, 3);
    int harmless = 0, found = 0;
    for (size_t bit = 0; bit < 8 * size; bit += getenv("KD_TEST_FEW") ? 11 : 1) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        write_file(path, bytes, size);
        const int64_t now = read_all(path, &records);
        if (now == good) harmless++;
        else {
            ck_assert_msg(now == -1 || records < 3, "bit %zu: a wrong number", bit);
            found++;
        }
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    ck_assert_int_gt(found, harmless / 100);
    free(bytes);
}
END_TEST

START_TEST(a_store_cut_at_any_byte_keeps_what_was_committed)
{
    const char *path = scratch_path("cut.kdt");
    char *bytes;
    const size_t size = small_store(path, &bytes);
    kd_store *s = opened(path, 0);
    kd_store_record r[3];
    int64_t records;
    for (int i = 0; i < 3; i++) {
        r[i].struct_size = sizeof r[i];
        OK(kd_store_get_record(s, i, &r[i]));
    }
    kd_store_free(s);
    for (size_t cut = 0; cut < size; cut += getenv("KD_TEST_FEW") ? 5 : 1) {
        int64_t whole = 0;
        for (int i = 0; i < 3; i++) whole += r[i].offset + r[i].bytes <= (int64_t)cut;
        write_file(path, bytes, cut);
        const int64_t sum = read_all(path, &records);
        if ((int64_t)cut >= r[0].offset) {
            ck_assert_msg(sum >= 0 && records == whole, "cut at %zu: %lld records, %lld were whole",
                          cut, (long long)records, (long long)whole);
            if (cut % 97 == 0) { /* and a writer goes on behind them */
                kd_store_options o = options();
                kd_store_field f = KD_STORE_FIELD_INIT;
                kd_store_writer *w;
                f.kind = KD_STORE_TOPK;
                f.name = "topk";
                f.k = 3;
                o.append = 1;
                OK(kd_store_writer_create(&w, ctx, path, &o, &f, 1));
                OK(kd_store_writer_add(w, batch, targets));
                kd_store_writer_free(w);
                ck_assert(read_all(path, &records) >= 0);
                ck_assert_int_eq(records, 3);
            }
        } else ck_assert_int_eq(sum, -1);
    }
    free(bytes);
}
END_TEST

START_TEST(stores_of_version_1_open_for_ever)
{
    const char *old = getenv("KD_OLD_FILES");
    char path[600];
    kd_store *store;
    kd_array weight, offsets_of, values;
    const char *paths[1] = { path };
    ck_assert_ptr_nonnull(old);
    snprintf(path, sizeof path, "%s/store-v1.kdt", old);
    ck_assert_int_eq(kit_check(ctx, path), 6);
    OK(kd_store_open(&store, ctx, paths, 1, NULL));
    OK(kd_store_read(store, 3, got));
    OK(kd_targets_sparse(got, "topk", &offsets_of, NULL, &values, NULL, NULL));
    ck_assert_int_eq(((int64_t *)offsets_of.data)[KIT_ROWS], 5 * KIT_ROWS);
    OK(kd_targets_field(got, "hidden", &values, NULL));
    ck_assert_int_eq(values.dims[1], KIT_V);
    OK(kd_store_head(store, 0, &weight));
    NEAR(((float *)weight.data)[KIT_V + 1], 1, 0);
    kd_store_free(store);
}
END_TEST

Suite *store_damage_suite(void)
{
    Suite *suite = suite_create("store_damage");
    TCase *tests = tcase_create("store_damage");
    tcase_set_timeout(tests, 240);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, every_flipped_bit_is_found_or_harmless);
    tcase_add_test(tests, a_store_cut_at_any_byte_keeps_what_was_committed);
    tcase_add_test(tests, stores_of_version_1_open_for_ever);
    suite_add_tcase(suite, tests);
    return suite;
}
