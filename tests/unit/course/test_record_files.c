/* Files of records as they come: gzip of one member or several, cut short or damaged, and arrays in
 * place of lines. What came whole is read, one error tells of the rest, then the file is at its
 * end: PostHog/posthog#90036, lyogavin/airllm#137, huggingface/datasets#8241. */
#include "unit.h"

/* prompts: of the records, a letter each; error: NULL: none */
static const struct {
    const char *about, *bytes;
    int64_t size;
    const char *prompts, *error;
} files[] = {
    { "two members",
      "\037\213\010\000\000\000\000\000\002\003\253\126\052\050\312\317\055\050\121\262\122\052\120"
      "\252\345\002"
      "\000\003\275\010\002\017\000\000\000\037\213\010\000\000\000\000\000\002\003\253\126\052\050"
      "\312\317\055"
      "\050\121\262\122\052\124\252\345\002\000\146\332\264\272\017\000\000\000",
      70, "pq", NULL },
    { "an empty member between them and at the end",
      "\037\213\010\000\000\000\000\000\002\003\253\126\052\050\312\317\055\050\121\262\122\052\120"
      "\252\345\002"
      "\000\003\275\010\002\017\000\000\000\037\213\010\000\000\000\000\000\002\003\003\000\000\000"
      "\000\000\000"
      "\000\000\000\037\213\010\000\000\000\000\000\002\003\253\126\052\050\312\317\055\050\121\262"
      "\122\052\124"
      "\252\345\002\000\146\332\264\272\017\000\000\000\037\213\010\000\000\000\000\000\002\003\003"
      "\000\000\000"
      "\000\000\000\000\000\000",
      110, "pq", NULL },
    { "zeros after the members, and a member after zeros",
      "\037\213\010\000\000\000\000\000\002\003\253\126\052\050\312\317\055\050\121\262\122\052\120"
      "\252\345\002"
      "\000\003\275\010\002\017\000\000\000\000\000\000\000\000\037\213\010\000\000\000\000\000\002"
      "\003\253\126"
      "\052\050\312\317\055\050\121\262\122\052\124\252\345\002\000\146\332\264\272\017\000\000\000"
      "\000\000\000"
      "\000\000\000\000",
      82, "pq", NULL },
    { "a line over two members",
      "\037\213\010\000\000\000\000\000\002\003\253\126\052\050\312\317\055\050\121\262\122\052\120"
      "\252\345\252"
      "\006\163\001\140\024\371\056\025\000\000\000\037\213\010\000\000\000\000\000\002\003\053\050"
      "\121\262\122"
      "\052\124\252\345\002\000\331\203\174\352\011\000\000\000",
      66, "pq", NULL },
    { "a byte order mark in each member",
      "\037\213\010\000\000\000\000\000\002\003\173\277\173\177\265\122\101\121\176\156\101\211\222"
      "\225\122\201"
      "\122\055\027\000\110\100\344\030\022\000\000\000\037\213\010\000\000\000\000\000\002\003\173"
      "\277\173\177"
      "\265\122\101\121\176\156\101\211\222\225\122\241\122\055\027\000\055\047\130\240\022\000\000"
      "\000",
      76, "pq", NULL },
    { "cut in the second member's data",
      "\037\213\010\000\000\000\000\000\002\003\253\126\052\050\312\317\055\050\121\262\122\052\120"
      "\252\345\002"
      "\000\003\275\010\002\017\000\000\000\037\213\010\000\000\000\000\000\002\003\253\126\052"
      "\050",
      49, "p", "cut short" },
    { "cut in the second member's header",
      "\037\213\010\000\000\000\000\000\002\003\253\126\052\050\312\317\055\050\121\262\122\052\120"
      "\252\345\002"
      "\000\003\275\010\002\017\000\000\000\037\213\010\000\000",
      40, "p", "cut short" },
    { "cut in the checksum",
      "\037\213\010\000\000\000\000\000\002\003\253\126\052\050\312\317\055\050\121\262\122\052\120"
      "\252\345\252"
      "\106\160\013\201\134\000\340\046\256\202\036",
      37, "pq", "cut short" },
    { "text after the end",
      "\037\213\010\000\000\000\000\000\002\003\253\126\052\050\312\317\055\050\121\262\122\052\120"
      "\252\345\002"
      "\000\003\275\010\002\017\000\000\000\155\157\162\145",
      39, "p", "after the gzip data" },
    { "a wrong checksum",
      "\037\213\010\000\000\000\000\000\002\003\253\126\052\050\312\317\055\050\121\262\122\052\120"
      "\252\345\002"
      "\000\003\275\010\002\017\000\000\000\037\213\010\000\000\000\000\000\002\003\253\126\052\050"
      "\312\317\055"
      "\050\121\262\122\052\124\252\345\002\000\147\332\264\272\017\000\000\000",
      70, "pq", "incorrect data check" },
    { "a wrong length",
      "\037\213\010\000\000\000\000\000\002\003\253\126\052\050\312\317\055\050\121\262\122\052\120"
      "\252\345\002"
      "\000\003\275\010\002\017\000\000\000\037\213\010\000\000\000\000\000\002\003\253\126\052\050"
      "\312\317\055"
      "\050\121\262\122\052\124\252\345\002\000\146\332\264\272\017\000\000\001",
      70, "pq", "incorrect length check" },
    { "an array that is cut",
      "\037\213\010\000\000\000\000\000\002\003\213\256\126\052\050\312\317\055\050\121\262\122\052"
      "\120\252\325"
      "\341\102\342\027\042\370\000\262\312\172\256",
      37, "pq", "cut short" },
    { "an array with text after it",
      "\037\213\010\000\000\000\000\000\002\003\213\256\126\052\050\312\317\055\050\121\262\122\052"
      "\120\252\215"
      "\125\100\342\027\052\325\002\000\335\303\355\004\037\000\000\000",
      42, "p", "expected the end of the file after the array, got text" },
};

/* All records of a reader from where it stands: their prompts, and the errors' number. */
static int read_all(kd_record_reader *r, char prompts[16], char error[512])
{
    kd_record record = KD_RECORD_INIT;
    int errors = 0;
    *prompts = *error = 0;
    for (;;) {
        const kd_status status = kd_record_reader_next(r, &record);
        if (status == KD_END || errors > 3) return errors;
        if (status == KD_OK) strcat(prompts, record.prompt);
        else snprintf(error, 512, "%s", kd_last_error());
        errors += status != KD_OK;
    }
}

static void check_file(kd_record_reader *r, size_t i)
{
    char prompts[16], error[512];
    const int errors = read_all(r, prompts, error);
    ck_assert_msg(!strcmp(prompts, files[i].prompts), "%s: records %s", files[i].about, prompts);
    ck_assert_msg(errors == (files[i].error != NULL), "%s: %d errors, %s", files[i].about, errors,
                  error);
    if (files[i].error)
        ck_assert_msg(strstr(error, files[i].error) && strstr(error, "file.jsonl"), "%s: %s",
                      files[i].about, error);
}

static int has_no_zlib(const char *test)
{
#ifdef KD_WITH_ZLIB
    (void)test;
    return 0;
#else
    printf("SKIPPED %s: the library is built without zlib\n", test);
    return 1;
#endif
}

START_TEST(members_are_read_and_damage_is_told_once)
{
    if (has_no_zlib("members_are_read_and_damage_is_told_once")) return;
    kd_context *ctx = make_context(1);
    const char *path = scratch_path("file.jsonl");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        kd_record_reader *r;
        kd_record_counts counts = { .struct_size = sizeof counts };
        write_file(path, files[i].bytes, (size_t)files[i].size);
        OK(kd_record_reader_open(&r, ctx, &path, 1, NULL));
        check_file(r, i);
        OK(kd_record_reader_get_counts(r, &counts));
        ck_assert_int_eq(counts.broken_files, files[i].error != NULL);
        OK(kd_record_reader_rewind(r));
        check_file(r, i);
        kd_record_reader_free(r);
    }
    kd_context_free(ctx);
}
END_TEST

START_TEST(the_next_file_is_read_after_a_damaged_one)
{
    if (has_no_zlib("the_next_file_is_read_after_a_damaged_one")) return;
    kd_context *ctx = make_context(1);
    const char *paths[] = { scratch_path("cut.jsonl.gz"), scratch_path("kind.jsonl.zst"),
                            scratch_path("whole.jsonl") };
    kd_record_reader *r;
    char prompts[16], error[512];
    write_file(paths[0], files[5].bytes, (size_t)files[5].size);
    write_file(paths[1], "\x28\xb5\x2f\xfd\x24\x11\x89", 7);
    write_file(paths[2], "\xef\xbb\xbf{\"prompt\":\"r\"}", 17);
    OK(kd_record_reader_open(&r, ctx, paths, 3, NULL));
    ck_assert_int_eq(read_all(r, prompts, error), 2);
    ck_assert_str_eq(prompts, "pr");
    ck_assert(strstr(error, "zstd") && strstr(error, "decompress"));
    kd_record_reader_free(r);
    kd_context_free(ctx);
}
END_TEST

/* An array of any size is read with the memory of its longest element, and a line is told by its
 * number. */
START_TEST(arrays_are_read_an_element_at_a_time)
{
    kd_context *ctx = make_context(1);
    const char *path = scratch_path("array.json");
    kd_record_reader *r;
    kd_record record = KD_RECORD_INIT;
    kd_record_options o = KD_RECORD_OPTIONS_INIT;
    kd_context_info info = { .struct_size = sizeof info };
    FILE *file = fopen(path, "wb");
    fputs("\n[\n", file);
    for (int i = 0; i < 20000; i++)
        fprintf(file, "  {\n    \"prompt\": \"],}\\\"{ %d\",\n    \"more\": [1, {}]\n  }%s\n", i,
                i < 19999 ? "," : "");
    fputs("]\n", file);
    fclose(file);
    o.line_bytes = 200;
    OK(kd_record_reader_open(&r, ctx, &path, 1, &o));
    for (int i = 0; i < 20000; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "],}\"{ %d", i);
        OK(kd_record_reader_next(r, &record));
        ck_assert_str_eq(record.prompt, expected);
        ck_assert_int_eq(record.line, 3 + 4 * i);
    }
    ck_assert_int_eq(kd_record_reader_next(r, &record), KD_END);
    OK(kd_context_get_info(ctx, &info));
    ck_assert_uint_lt(info.peak_bytes, 2 << 20);
    kd_record_reader_free(r);
    o.line_bytes = 30;
    OK(kd_record_reader_open(&r, ctx, &path, 1, &o));
    FAILS(kd_record_reader_next(r, &record), KD_ERR_FORMAT, "line 3: longer than 30 bytes");
    FAILS(kd_record_reader_next(r, &record), KD_ERR_FORMAT, "line 7: longer than 30 bytes");
    kd_record_reader_free(r);
    kd_context_free(ctx);
}
END_TEST

Suite *record_files_suite(void)
{
    Suite *suite = suite_create("record files");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, members_are_read_and_damage_is_told_once);
    tcase_add_test(tests, the_next_file_is_read_after_a_damaged_one);
    tcase_add_test(tests, arrays_are_read_an_element_at_a_time);
    suite_add_tcase(suite, tests);
    return suite;
}
