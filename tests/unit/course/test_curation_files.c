/* Curation of more than memory holds: the same records, the same funnel, within what was stated. */
#include <dirent.h>
#include <sys/stat.h>

#include "unit.h"

static kd_context *ctx;
static void setup(void) { ctx = make_context(2); }
static void teardown(void) { kd_context_free(ctx); }

/* Families of texts: most members differ from the first in a few words, some families are large,
 * some texts are the same; every third text is like no other. */
static char *lines_of(int records, int families, unsigned seed)
{
    char *lines = malloc((size_t)records * 700), *at = lines;
    srand(seed);
    for (int i = 0; i < records; i++) {
        const int family = i % 3 ? rand() % families : families + i;
        const int change = rand() % 40;
        at += sprintf(at, "{\"id\":\"%d\",\"prompt\":\"p%d\",\"completion\":\"", i, i % 7);
        for (int w = 0; w < 40; w++) {
            const int other = w == change && rand() % 4 ? rand() % 50 : 0;
            at += sprintf(at, "w%d_%d_%d ", family, w, other);
        }
        at += sprintf(at, "\"}\n");
    }
    return lines;
}

typedef struct {
    char *kept; /* the file */
    int64_t dropped, late;
    uint64_t peak;
} outcome;

/* Near duplicates between two other filters. folder NULL: in memory. */
static outcome run(const char *lines, const char *folder, int64_t memory, double threshold)
{
    const char *path = scratch_path("curated.jsonl");
    kd_context *own = make_context(2);
    kd_context_info info = { .struct_size = sizeof info };
    kd_curation_options o = KD_CURATION_OPTIONS_INIT;
    kd_funnel f = { .struct_size = sizeof f };
    kd_curation *c;
    kd_record_reader *in;
    kd_record_writer *out;
    int32_t step, late;
    size_t size;
    outcome found;
    o.folder = folder;
    o.memory = memory;
    OK(kd_record_reader_open_text(&in, own, lines, -1, NULL));
    OK(kd_curation_create(&c, own, &o));
    OK(kd_curation_add(c, KD_FILTER_DUPLICATES, NULL, NULL));
    OK(kd_curation_add(c, KD_FILTER_NEAR_DUPLICATES, NULL, &step));
    OK(kd_curation_set(c, step, KD_CURATION_MAX_SIMILARITY, threshold));
    OK(kd_curation_add(c, KD_FILTER_BEST, NULL, &late));
    OK(kd_curation_set(c, late, KD_CURATION_MAX_PER_PROMPT, 100));
    OK(kd_record_writer_open(&out, own, path, NULL));
    OK(kd_curation_run(c, in, out, NULL));
    OK(kd_record_writer_close(out));
    OK(kd_curation_get_step(c, step, &f));
    found.dropped = f.dropped;
    OK(kd_curation_get_step(c, late, &f));
    found.late = f.dropped;
    OK(kd_context_get_info(own, &info));
    found.peak = info.peak_bytes;
    kd_record_writer_free(out), kd_record_reader_free(in), kd_curation_free(c);
    kd_context_free(own);
    found.kept = read_whole(path, &size);
    return found;
}

/* libcheck's messages do not hold a whole file. */
static void same_files(const outcome *a, const outcome *b)
{
    size_t at = 0;
    while (a->kept[at] && a->kept[at] == b->kept[at]) at++;
    ck_assert_msg(a->kept[at] == b->kept[at], "from byte %zu on: %.60s, and %.60s", at,
                  a->kept + at, b->kept + at);
}

static const char *folder_of_files(void)
{
    static char folder[512];
    snprintf(folder, sizeof folder, "%s", scratch_path("near"));
    mkdir(folder, 0777);
    return folder;
}

static int files_in(const char *folder)
{
    DIR *directory = opendir(folder);
    int count = 0;
    for (struct dirent *e; (e = readdir(directory));) count += *e->d_name != '.';
    closedir(directory);
    return count;
}

START_TEST(near_duplicates_beyond_memory_are_the_same)
{
    static const struct {
        int records, families;
        double threshold;
    } tries[] = {
        { 3000, 400, 0.8 }, { 4000, 9, 0.8 }, { 2500, 60, 0.5 }, { 700, 3, 0.95 }, { 1, 1, 0.8 }
    };
    const char *folder = folder_of_files();
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        char *lines = lines_of(tries[i].records, tries[i].families, 5 + (unsigned)i);
        const outcome inside = run(lines, NULL, 0, tries[i].threshold),
                      outside = run(lines, folder, 1 << 20, tries[i].threshold);
        same_files(&inside, &outside);
        ck_assert_int_eq(inside.dropped, outside.dropped);
        ck_assert_int_eq(inside.late, outside.late);
        if (tries[i].records > 1000) ck_assert_int_gt(inside.dropped, tries[i].records / 20);
        ck_assert_int_eq(files_in(folder), 0);
        free(inside.kept), free(outside.kept), free(lines);
    }
}
END_TEST

/* In memory: 512 bytes of signatures and 24 a band for each record that is kept. */
START_TEST(memory_stays_within_what_was_stated)
{
    char *lines = lines_of(9000, 9000, 3);
    const outcome inside = run(lines, NULL, 0, 0.8),
                  outside = run(lines, folder_of_files(), 1 << 20, 0.8);
    same_files(&inside, &outside);
    ck_assert_msg(outside.peak + 4000000 < inside.peak, "%llu and %llu bytes",
                  (unsigned long long)outside.peak, (unsigned long long)inside.peak);
    free(inside.kept), free(outside.kept), free(lines);
}
END_TEST

START_TEST(what_does_not_go_is_refused)
{
    kd_curation_options o = KD_CURATION_OPTIONS_INIT;
    kd_curation *c;
    kd_record_reader *in;
    o.folder = scratch_path("no such folder");
    FAILS(kd_curation_create(&c, ctx, &o), KD_ERR_NOT_FOUND, "folder: expected one");
    o.folder = folder_of_files();
    o.memory = 1000;
    OK(kd_curation_create(&c, ctx, &o));
    OK(kd_curation_add(c, KD_FILTER_NEAR_DUPLICATES, NULL, NULL));
    OK(kd_record_reader_open_text(&in, ctx, "{\"prompt\":\"a\",\"completion\":\"b\"}\n", -1, NULL));
    FAILS(kd_curation_run(c, in, NULL, NULL), KD_ERR_RANGE, "memory: expected at least 1048576");
    kd_curation_free(c);
    kd_record_reader_free(in);
}
END_TEST

Suite *curation_files_suite(void)
{
    Suite *suite = suite_create("curation_files");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, what_does_not_go_is_refused);
    suite_add_tcase(suite, tests);
    TCase *slow = tcase_create("slow");
    tcase_set_tags(slow, "slow");
    tcase_add_checked_fixture(slow, setup, teardown);
    tcase_set_timeout(slow, 120);
    tcase_add_test(slow, near_duplicates_beyond_memory_are_the_same);
    tcase_add_test(slow, memory_stays_within_what_was_stated);
    suite_add_tcase(suite, slow);
    return suite;
}
