/* Answers by many workers of one folder; ranges of prompts; records read by several parts. */
#include <dirent.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

static kd_context *ctx;
static kd_record_reader *prompts;
enum { PROMPTS = 11 };

static kd_record_reader *reader_of(int count, int part, int parts)
{
    char lines[4000], *at = lines;
    kd_record_options o = KD_RECORD_OPTIONS_INIT;
    kd_record_reader *reader;
    *lines = 0;
    for (int i = 0; i < count; i++)
        at += sprintf(at, "{\"prompt\":\"%d\",\"completions\":[\"a%d\",\"b%d\"]}\n", i, i, i);
    o.part = part, o.parts = parts;
    OK(kd_record_reader_open_text(&reader, ctx, lines, -1, &o));
    return reader;
}

static void setup(void)
{
    char lines[2000], *at = lines;
    ctx = make_context(1);
    for (int i = 0; i < PROMPTS; i++)
        at += sprintf(at, "{\"prompt\":\"%d\",\"expected\":\"%d\"}\n", i, i);
    OK(kd_record_reader_open_text(&prompts, ctx, lines, -1, NULL));
}

static void teardown(void)
{
    kd_record_reader_free(prompts);
    kd_context_free(ctx);
}

/* Says what it was asked; fails at a prompt when user is that prompt. */
static kd_status answer(void *user, const kd_record *prompt, int32_t sample, uint64_t seed,
                        char *text, int64_t capacity, int64_t *bytes)
{
    if (user && !strcmp(user, prompt->prompt)) return kd_set_error(KD_ERR_CALLBACK, "no answer");
    *bytes = snprintf(text, (size_t)capacity, "%s.%d.%llu", prompt->prompt, sample,
                      (unsigned long long)seed);
    return KD_OK;
}

static kd_answers_options options(void)
{
    kd_answers_options o;
    kd_answers_options_init(&o, sizeof o);
    o.samples = 2;
    o.function = answer;
    o.chunk_prompts = 4;
    return o;
}

static const char *new_folder(const char *name)
{
    char path[1024];
    const char *folder = scratch_path(name);
    mkdir(folder, 0777);
    DIR *directory = opendir(folder);
    for (struct dirent *e; (e = readdir(directory));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        unlink(path);
    }
    closedir(directory);
    return folder;
}

static char *whole_file(const kd_answers_options *o, const char *name)
{
    size_t size;
    const char *path = scratch_path(name);
    unlink(path);
    OK(kd_answers_collect(ctx, NULL, prompts, path, o, NULL));
    return read_whole(path, &size);
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[700];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    write_file(path, text, strlen(text));
}

START_TEST(chunks_joined_are_the_file_of_one_worker)
{
    kd_answers_options o = options();
    kd_answers_progress p = { .struct_size = sizeof p };
    const char *folder = new_folder("chunks"), *joined = scratch_path("joined.jsonl");
    char *expected = whole_file(&o, "whole.jsonl");
    char now[32];
    size_t size;
    /* somebody else holds the second chunk */
    snprintf(now, sizeof now, "%lld\n", (long long)time(NULL));
    put(folder, "chunk-00001.claim", now);
    OK(kd_answers_collect_chunks(ctx, NULL, prompts, folder, &o, &p));
    ck_assert_int_eq(p.done, 14);
    ck_assert_int_eq(p.total, 22);
    FAILS(kd_answers_concat(ctx, folder, joined), KD_ERR_STATE, "1 of 3 chunks are missing");
    /* it was not heard of for longer than the lease */
    put(folder, "chunk-00001.claim", "1000\n");
    OK(kd_answers_collect_chunks(ctx, NULL, prompts, folder, &o, &p));
    ck_assert_int_eq(p.done, 22);
    OK(kd_answers_concat(ctx, folder, joined));
    char *found = read_whole(joined, &size);
    ck_assert_str_eq(found, expected);
    free(found), free(expected);
}
END_TEST

START_TEST(a_worker_that_fails_leaves_its_chunk_to_others)
{
    kd_answers_options o = options();
    kd_answers_progress p = { .struct_size = sizeof p };
    const char *folder = new_folder("failing"), *joined = scratch_path("joined.jsonl");
    char *expected = whole_file(&o, "whole.jsonl"), wrong[] = "6";
    size_t size;
    o.user = wrong;
    FAILS(kd_answers_collect_chunks(ctx, NULL, prompts, folder, &o, &p), KD_ERR_CALLBACK,
          "no answer");
    o.user = NULL;
    put(folder, "chunk-00002.claim", ""); /* killed when it had just made the claim */
    OK(kd_answers_collect_chunks(ctx, NULL, prompts, folder, &o, &p));
    ck_assert_int_eq(p.done, 22);
    OK(kd_answers_concat(ctx, folder, joined));
    char *found = read_whole(joined, &size);
    ck_assert_str_eq(found, expected);
    free(found), free(expected);
}
END_TEST

START_TEST(workers_agree_on_what_they_answer)
{
    kd_answers_options o = options();
    kd_sampling s = KD_SAMPLING_INIT;
    const char *folder = new_folder("agree");
    kd_record_reader *others = reader_of(3, 0, 1);
    OK(kd_answers_collect_chunks(ctx, NULL, prompts, folder, &o, NULL));
    FAILS(kd_answers_collect_chunks(ctx, NULL, others, folder, &o, NULL), KD_ERR_MISMATCH,
          "plan.json");
    o.samples = 3;
    FAILS(kd_answers_collect_chunks(ctx, NULL, prompts, folder, &o, NULL), KD_ERR_MISMATCH,
          "\"samples\": 3");
    o = options();
    s.seed = 9;
    o.sampling = &s;
    FAILS(kd_answers_collect_chunks(ctx, NULL, prompts, folder, &o, NULL), KD_ERR_MISMATCH, "seed");
    o = options();
    o.first = 1;
    FAILS(kd_answers_collect_chunks(ctx, NULL, prompts, folder, &o, NULL), KD_ERR_INVALID, "first");
    o.first = 0, o.chunk_prompts = 0;
    FAILS(kd_answers_collect_chunks(ctx, NULL, prompts, folder, &o, NULL), KD_ERR_RANGE,
          "chunk_prompts");
    ck_assert_int_lt(kd_answers_concat(ctx, "/no/such/folder", scratch_path("x")), 0);
    kd_record_reader_free(others);
}
END_TEST

/* Ranges of prompts, each into its own file, resumed: the parts of one. */
START_TEST(ranges_are_parts_of_one_file)
{
    kd_answers_options o = options();
    char *expected = whole_file(&o, "whole.jsonl"), *joined = calloc(strlen(expected) + 1, 1);
    for (o.first = 0; o.first < PROMPTS; o.first += 4) {
        o.max_prompts = 4;
        char *part = whole_file(&o, "part.jsonl");
        strcat(joined, part);
        /* what is there is compared with the same prompts, and nothing is added */
        OK(kd_answers_collect(ctx, NULL, prompts, scratch_path("part.jsonl"), &o, NULL));
        size_t size;
        char *again = read_whole(scratch_path("part.jsonl"), &size);
        ck_assert_str_eq(again, part);
        free(part), free(again);
    }
    ck_assert_str_eq(joined, expected);
    o.first = 1;
    FAILS(kd_answers_collect(ctx, NULL, prompts, scratch_path("part.jsonl"), &o, NULL),
          KD_ERR_MISMATCH, "another prompt");
    o.first = -1;
    FAILS(kd_answers_collect(ctx, NULL, prompts, scratch_path("part.jsonl"), &o, NULL),
          KD_ERR_RANGE, "first");
    free(joined), free(expected);
}
END_TEST

START_TEST(parts_of_records_are_all_of_them_once)
{
    int seen[40] = { 0 };
    kd_record r = KD_RECORD_INIT;
    kd_record_counts c = { .struct_size = sizeof c };
    kd_record_reader *reader;
    kd_record_options o = KD_RECORD_OPTIONS_INIT;
    for (int part = 0; part < 3; part++) {
        int here = 0;
        reader = reader_of(40, part, 3);
        for (; kd_record_reader_next(reader, &r) == KD_OK; here++) {
            ck_assert_int_eq((int)(r.prompt_key[0] % 3), part);
            seen[atoi(r.prompt)]++;
        }
        ck_assert_int_eq(here % 2, 0); /* a prompt's answers stay together */
        OK(kd_record_reader_get_counts(reader, &c));
        ck_assert_int_eq(c.records, here);
        ck_assert_int_eq(c.other_parts, 80 - here);
        kd_record_reader_free(reader);
    }
    for (int i = 0; i < 40; i++) ck_assert_int_eq(seen[i], 2);
    o.part = 2, o.parts = 2;
    FAILS(kd_record_reader_open_text(&reader, ctx, "", 0, &o), KD_ERR_RANGE, "part: expected 0");
}
END_TEST

Suite *answer_chunks_suite(void)
{
    Suite *suite = suite_create("answer_chunks");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, chunks_joined_are_the_file_of_one_worker);
    tcase_add_test(tests, a_worker_that_fails_leaves_its_chunk_to_others);
    tcase_add_test(tests, workers_agree_on_what_they_answer);
    tcase_add_test(tests, ranges_are_parts_of_one_file);
    tcase_add_test(tests, parts_of_records_are_all_of_them_once);
    suite_add_tcase(suite, tests);
    return suite;
}
