/* Stores of many writers: shards that come while a reader is open, parts for ranks, shards that are
 * named later. */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

static kd_context *ctx;
static kd_batch *batch;
static kd_targets *targets;
enum { V = 8, ROWS = 3 };

static void setup(void)
{
    ctx = make_context(2);
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_targets_create(&targets, ctx, NULL));
}

static void teardown(void)
{
    kd_targets_free(targets);
    kd_batch_free(batch);
    kd_context_free(ctx);
}

static const char *new_folder(const char *name)
{
    static char folder[512];
    char path[1024];
    snprintf(folder, sizeof folder, "%s", scratch_path(name));
    mkdir(folder, 0777);
    DIR *directory = opendir(folder);
    for (struct dirent *e; (e = readdir(directory));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        unlink(path);
    }
    closedir(directory);
    return folder;
}

static kd_store_writer *writer_of(const char *folder, int32_t shard)
{
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field f = KD_STORE_FIELD_INIT;
    kd_store_writer *w;
    o.vocabulary = V;
    o.shard = shard;
    f.kind = KD_STORE_HIDDEN;
    f.name = "hidden";
    f.width = V;
    OK(kd_store_writer_create(&w, ctx, folder, &o, &f, 1));
    return w;
}

static void add_record(kd_store_writer *w, uint64_t number)
{
    float values[ROWS * V];
    int64_t offsets[2] = { 0, ROWS };
    uint64_t key[2] = { number, 7 };
    const kd_array rows = KD_ARRAY_2D(values, KD_FLOAT32, ROWS, V),
                   bounds = KD_ARRAY_1D(offsets, KD_INT64, 2),
                   keys = KD_ARRAY_2D(key, KD_UINT64, 1, 2);
    for (int i = 0; i < ROWS * V; i++) values[i] = (float)((i + (int)number) % 5);
    OK(kd_batch_begin_packed(batch, &bounds));
    OK(kd_batch_set_samples(batch, NULL, &keys, NULL));
    OK(kd_targets_begin(targets, ROWS));
    OK(kd_targets_set(targets, "hidden", &rows, NULL));
    OK(kd_store_writer_add(w, batch, targets));
}

static void write_shard(const char *folder, int32_t shard, int with_head)
{
    float head[V * V];
    kd_store_writer *w = writer_of(folder, shard);
    const kd_array weight = KD_ARRAY_2D(head, KD_FLOAT32, V, V);
    for (int i = 0; i < V * V; i++) head[i] = i % 9 == 0;
    if (with_head) OK(kd_store_writer_set_head(w, &weight, KD_FLOAT32));
    for (uint64_t i = 0; i < 4; i++) add_record(w, 100 * (uint64_t)shard + i + 1);
    OK(kd_store_writer_close(w));
    kd_store_writer_free(w);
}

static kd_store *opened(const char *folder, int32_t part, int32_t parts)
{
    kd_store_open_options o = KD_STORE_OPEN_OPTIONS_INIT;
    kd_store *s;
    o.part = part;
    o.parts = parts;
    OK(kd_store_open(&s, ctx, &folder, 1, &o));
    return s;
}

static kd_store_info info_of(kd_store *s)
{
    kd_store_info info = { .struct_size = sizeof info };
    OK(kd_store_get_info(s, &info));
    return info;
}

START_TEST(a_reader_finds_shards_that_come_later)
{
    const char *folder = new_folder("later.kdt");
    int64_t added, record;
    write_shard(folder, 3, 0);
    kd_store *s = opened(folder, 0, 1);
    ck_assert_int_eq(info_of(s).records, 4);
    kd_store_writer *w = writer_of(folder, 1);
    OK(kd_store_refresh(s, &added)); /* it is there, without records */
    ck_assert_int_eq(added, 0);
    ck_assert_int_eq(info_of(s).shards, 2);
    add_record(w, 101);
    add_record(w, 102);
    OK(kd_store_refresh(s, &added));
    ck_assert_int_eq(added, 2);
    OK(kd_store_find(s, 102, 7, 0, &record));
    OK(kd_store_read(s, record, targets));
    OK(kd_store_find(s, 301, 7, 0, &record)); /* what was there is where it was */
    OK(kd_store_writer_close(w));
    kd_store_writer_free(w);
    OK(kd_store_refresh(s, &added));
    ck_assert_int_eq(added, 0);
    kd_store_free(s);
}
END_TEST

START_TEST(ranks_read_their_shards_and_the_head_of_any)
{
    const char *folder = new_folder("parts.kdt");
    kd_array head;
    int64_t record, sum = 0;
    kd_store *s;
    kd_store_open_options o = KD_STORE_OPEN_OPTIONS_INIT;
    for (int32_t shard = 0; shard < 5; shard++) write_shard(folder, shard, shard == 2);
    for (int32_t part = 0; part < 3; part++) {
        s = opened(folder, part, 3);
        ck_assert_int_eq(info_of(s).shards, part < 2 ? 2 : 1);
        sum += info_of(s).records;
        OK(kd_store_find(s, 100 * (uint64_t)part + 1, 7, 0, &record));
        FAILS(kd_store_find(s, 100 * (uint64_t)((part + 1) % 3) + 1, 7, 0, &record),
              KD_ERR_NOT_FOUND, "no record");
        OK(kd_store_head(s, 0, &head));
        ck_assert_float_eq(((const float *)head.data)[9], 1);
        kd_store_free(s);
    }
    ck_assert_int_eq(sum, 20);
    o.part = 3, o.parts = 3;
    FAILS(kd_store_open(&s, ctx, &folder, 1, &o), KD_ERR_RANGE, "part: expected 0 to parts - 1");
}
END_TEST

START_TEST(shards_that_were_copied_in_are_named)
{
    char from[600], to[600];
    const char *folder = new_folder("adopt.kdt");
    int64_t added;
    kd_store *s;
    write_shard(folder, 0, 0);
    write_shard(folder, 1, 0);
    snprintf(from, sizeof from, "%s/shard-00001.kdt", folder);
    snprintf(to, sizeof to, "%s/shard-00009.kdt", folder);
    ck_assert_int_eq(link(from, to), 0);
    FAILS(kd_store_open(&s, ctx, &folder, 1, NULL), KD_ERR_FORMAT, "adopt names it");
    snprintf(to, sizeof to, "%s/shard-00010.kdt", folder);
    write_file(to, "KDSTORE\nbegun", 13); /* a writer that was killed in its first moment */
    OK(kd_store_adopt(ctx, folder, &added));
    ck_assert_int_eq(added, 1);
    OK(kd_store_adopt(ctx, folder, &added));
    ck_assert_int_eq(added, 0);
    s = opened(folder, 0, 1);
    ck_assert_int_eq(info_of(s).shards, 3);
    ck_assert_int_eq(info_of(s).replaced, 4);
    kd_store_free(s);
    FAILS(kd_store_adopt(ctx, "/no/such/folder", NULL), KD_ERR_NOT_FOUND, "/no/such/folder");
}
END_TEST

START_TEST(a_shard_without_records_hinders_nobody)
{
    char path[600];
    const char *folder = new_folder("begun.kdt");
    kd_store *s;
    write_shard(folder, 0, 0);
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    size_t size;
    char *manifest = read_whole(path, &size);
    kd_store_writer *w = writer_of(folder, 1);
    write_file(path, manifest, size); /* as a writer that was killed before it was named */
    s = opened(folder, 0, 1);
    ck_assert_int_eq(info_of(s).shards, 1);
    kd_store_free(s);
    add_record(w, 101);
    OK(kd_store_writer_close(w)); /* it looks for its name once more */
    kd_store_writer_free(w);
    s = opened(folder, 0, 1);
    ck_assert_int_eq(info_of(s).records, 5);
    kd_store_free(s);
    free(manifest);
}
END_TEST

Suite *store_writers_suite(void)
{
    Suite *suite = suite_create("store_writers");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_reader_finds_shards_that_come_later);
    tcase_add_test(tests, ranks_read_their_shards_and_the_head_of_any);
    tcase_add_test(tests, shards_that_were_copied_in_are_named);
    tcase_add_test(tests, a_shard_without_records_hinders_nobody);
    suite_add_tcase(suite, tests);
    return suite;
}
