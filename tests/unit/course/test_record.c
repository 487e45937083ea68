#include "unit.h"

static kd_record_reader *reader_of(kd_context *ctx, const char *lines, int32_t bad_lines)
{
    kd_record_reader *r;
    kd_record_options o = KD_RECORD_OPTIONS_INIT;
    o.bad_lines = bad_lines;
    OK(kd_record_reader_open_text(&r, ctx, lines, -1, &o));
    return r;
}

/* One line; its last record's prompt, completion, expected. */
static const struct {
    const char *line, *prompt, *completion, *expected;
} shapes[] = {
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
      "\"a\"}]}",
      "q", "a", "" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
      "\"a\",\"reasoning_content\":\"r\"}],\"expected\":7}",
      "q", "<think>\nr\n</think>\n\na", "7" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"q\"},{\"type\":"
      "\"text\",\"text\":\"2\"}]}]}",
      "q2", "", "" },
    { "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":\"gpt\",\"value\":\"<"
      "think>r</think>a\"}]}",
      "q", "<think>r</think>a", "" },
    { "{\"prompt\":\"q\",\"completion\":\"a\"}", "q", "a", "" },
    { "{\"prompt\":[{\"role\":\"user\",\"content\":\"q\"}],\"completion\":[{\"role\":\"assistant\","
      "\"content\":\"a\"}]}",
      "q", "a", "" },
    { "{\"instruction\":\"q\",\"input\":\"i\",\"output\":\"a\"}", "q\n\ni", "a", "" },
    { "{\"prompt\":\"q\",\"reasoning\":\"r\",\"answer\":\"a\"}", "q", "<think>\nr\n</think>\n\na",
      "" },
    { "{\"question\":\"q\",\"answer\":\"so #### 4\"}", "q", "so #### 4", "so #### 4" },
    { "{\"problem\":\"q\",\"solution\":\"s\",\"answer\":\"4\"}", "q", "s", "4" },
    { "{\"problem\":\"q\",\"answer\":204}", "q", "204", "204" },
    { "{\"prompt\":\"q\",\"completions\":[\"a\",\"b\"],\"expected\":\"b\"}", "q", "b", "b" },
    { "{\"request\":{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]},\"response\":{\"body\":{"
      "\"model\":\"m\",\"choices\":[{\"finish_reason\":"
      "\"length\","
      "\"message\":{\"role\":\"assistant\",\"content\":\"ab\"},\"logprobs\":{\"content\":[{"
      "\"token\":\"a\",\"bytes\":[97],\"logprob\":-0.5},{"
      "\"token\":"
      "\"b\",\"logprob\":-0.25}]}}]}}}",
      "q", "ab", "" },
    { "{\"messages\":null,\"prompt\":\"q\",\"completion\":\"a\",\"answer\":null}", "q", "a", "" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
      "\"so 4\"}],\"answer\":\"4\"}",
      "q", "so 4", "4" },
    { "{\"prompt\":\"\\ud83d\\ude00 \xc3\xa9\",\"completion\":\"\"}", "\xf0\x9f\x98\x80 \xc3\xa9",
      "", "" },
};

START_TEST(the_usual_shapes_are_read)
{
    kd_context *ctx = make_context(1);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        kd_record_reader *r = reader_of(ctx, shapes[i].line, KD_BAD_LINES_REFUSE);
        kd_record record = KD_RECORD_INIT;
        char prompt[64] = "", completion[64] = "", expected[64] = "";
        int count = 0;
        kd_status status;
        while ((status = kd_record_reader_next(r, &record)) == KD_OK) {
            snprintf(prompt, sizeof prompt, "%s", record.prompt);
            snprintf(completion, sizeof completion, "%s", record.completion);
            snprintf(expected, sizeof expected, "%s", record.expected);
            ck_assert_int_eq(record.sample, count++);
        }
        ck_assert_msg(status == KD_END, "line %zu: %s", i, kd_last_error());
        ck_assert_str_eq(prompt, shapes[i].prompt);
        ck_assert_str_eq(completion, shapes[i].completion);
        ck_assert_str_eq(expected, shapes[i].expected);
        kd_record_reader_free(r);
    }
    kd_context_free(ctx);
}
END_TEST

START_TEST(what_servers_and_files_of_ids_say_is_kept)
{
    kd_context *ctx = make_context(1);
    kd_record_reader *r = reader_of(ctx, shapes[12].line, KD_BAD_LINES_REFUSE);
    kd_record record = KD_RECORD_INIT;
    OK(kd_record_reader_next(r, &record));
    ck_assert(record.logprob_count == 2 && record.logprobs[1] == -0.25 &&
              record.logprob_ends[0] == 1 && record.logprob_ends[1] == 2);
    ck_assert_str_eq(record.teacher, "m");
    ck_assert_str_eq(record.finish, "length");
    kd_record_reader_free(r);
    r = reader_of(ctx, "{\"input_ids\":[5,6,7],\"labels\":[-100,6,7]}\n{\"ids\":[1]}",
                  KD_BAD_LINES_REFUSE);
    OK(kd_record_reader_next(r, &record));
    ck_assert(record.tokens == 3 && record.ids[2] == 7 && !record.mask[0] && record.mask[2]);
    OK(kd_record_reader_next(r, &record));
    ck_assert(record.tokens == 1 && !record.mask && record.line == 2);
    kd_record_reader_free(r);
    kd_context_free(ctx);
}
END_TEST

/* Every line is broken in its own way; the good ones between them are read. */
START_TEST(bad_lines_are_named_skipped_and_counted)
{
    kd_context *ctx = make_context(1);
    const char *lines = "{\"prompt\":\"1\"}\n\n  "
                        "\t\r\n{\"prompt\":\n{\"prompt\":\"2\",\"prompt\":\"2\"}\n{\"prompt\":"
                        "\"\xff\"}\n[1]\n{}\n{\"prompt\":\"a\\u0000b\"}\n"
                        "{\"messages\":[{\"role\":\"user\"}]}\n{\"input_ids\":[1],\"mask\":[1,0]}"
                        "\n{\"prompt\":\"9\"}";
    static const struct {
        int64_t line;
        const char *why;
    } bad[] = { { 4, "line 4" },
                { 5, "line 5" },
                { 6, "not UTF-8" },
                { 7, "an object" },
                { 8, "none of the shapes" },
                { 9, "zero byte" },
                { 10, "content" },
                { 11, "mask" } };
    kd_record_reader *r = reader_of(ctx, lines, KD_BAD_LINES_REFUSE);
    kd_record record = KD_RECORD_INIT;
    kd_record_counts counts = { .struct_size = sizeof counts };
    OK(kd_record_reader_next(r, &record));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        FAILS(kd_record_reader_next(r, &record), KD_ERR_FORMAT, bad[i].why);
    OK(kd_record_reader_next(r, &record));
    ck_assert_str_eq(record.prompt, "9");
    ck_assert_int_eq(record.line, 12);
    ck_assert_int_eq(kd_record_reader_next(r, &record), KD_END);
    kd_record_reader_free(r);
    r = reader_of(ctx, lines, KD_BAD_LINES_SKIP);
    for (int pass = 0; pass < 2; pass++) {
        OK(kd_record_reader_next(r, &record));
        OK(kd_record_reader_next(r, &record));
        ck_assert_str_eq(record.prompt, "9");
        ck_assert_int_eq(kd_record_reader_next(r, &record), KD_END);
        OK(kd_record_reader_get_counts(r, &counts));
        ck_assert(counts.lines == 12 && counts.records == 2 && counts.empty == 2 &&
                  counts.bad == 8 && counts.first_bad_line == 4);
        OK(kd_record_reader_rewind(r));
    }
    kd_record_reader_free(r);
    kd_context_free(ctx);
}
END_TEST

/* A line of 100 MB, over a limit and under it. */
START_TEST(long_lines_are_read_over_or_read)
{
    kd_context *ctx = make_context(1);
    const char *path = scratch_path("long.jsonl");
    const int64_t size = getenv("KD_TEST_FEW") ? 1 << 20 : 100 << 20;
    FILE *file = fopen(path, "wb");
    char *block = malloc(1 << 20);
    memset(block, 'x', 1 << 20);
    fputs("{\"prompt\":\"", file);
    for (int64_t i = 0; i < size >> 20; i++) fwrite(block, 1, 1 << 20, file);
    fputs("\"}\n{\"prompt\":\"q\"}\n", file);
    fclose(file);
    free(block);
    kd_record_reader *r;
    kd_record record = KD_RECORD_INIT;
    kd_record_options o = KD_RECORD_OPTIONS_INIT;
    kd_context_info info = { .struct_size = sizeof info };
    o.line_bytes = 1000;
    OK(kd_record_reader_open(&r, ctx, &path, 1, &o));
    FAILS(kd_record_reader_next(r, &record), KD_ERR_FORMAT, "line 1: longer than 1000 bytes");
    OK(kd_context_get_info(ctx, &info));
    ck_assert_uint_lt(info.peak_bytes, 2 << 20);
    OK(kd_record_reader_next(r, &record));
    ck_assert_str_eq(record.prompt, "q");
    kd_record_reader_free(r);
    o.line_bytes = size + 100;
    OK(kd_record_reader_open(&r, ctx, &path, 1, &o));
    OK(kd_record_reader_next(r, &record));
    ck_assert_int_eq((int64_t)strlen(record.prompt), size);
    kd_record_reader_free(r);
    remove(path);
    kd_context_free(ctx);
}
END_TEST

START_TEST(what_is_written_is_read_again_whole)
{
    kd_context *ctx = make_context(1);
    const char *line =
        "{\"id\":\"x\",\"system\":\"s\",\"question\":\"q\\n\\\"\",\"solution\":\"a "
        "\xe2\x82\xac\",\"answer\":\"1\",\"domain\":\"math\",\"teacher\":\"t\","
        "\"seed\":\"18446744073709551615\",\"temperature\":0.6,\"score\":1,\"sample\":3,\"finish\":"
        "\"stop\",\"passed\":[\"length\",\"verify\"],"
        "\"logprobs\":[-1,-0.5],\"logprob_ends\":[1,3],\"more\":{\"deep\":[1,null,\"\\u20ac\"]}}";
    const char *path = scratch_path("written.jsonl");
    kd_record_reader *r = reader_of(ctx, line, KD_BAD_LINES_REFUSE), *again;
    kd_record_writer *w;
    kd_record a = KD_RECORD_INIT, b = KD_RECORD_INIT;
    char *json, *twice;
    OK(kd_record_reader_next(r, &a));
    OK(kd_record_writer_open(&w, ctx, path, NULL));
    OK(kd_record_writer_add(w, &a));
    OK(kd_record_writer_close(w));
    FAILS(kd_record_writer_add(w, &a), KD_ERR_STATE, "closed");
    kd_record_writer_free(w);
    OK(kd_record_reader_open(&again, ctx, &path, 1, NULL));
    OK(kd_record_reader_next(again, &b));
    ck_assert(b.seed == UINT64_MAX && b.temperature == 0.6 && b.score == 1 && b.sample == 3 &&
              b.logprob_ends[1] == 3);
    ck_assert_str_eq(b.passed, "length,verify");
    ck_assert_str_eq(b.finish, "stop");
    ck_assert_str_eq(b.messages[0].content, "s");
    ck_assert(strstr(b.extra, "deep") != NULL);
    ck_assert(!memcmp(a.key, b.key, sizeof a.key) &&
              !memcmp(a.prompt_key, b.prompt_key, sizeof a.key) &&
              memcmp(a.key, a.prompt_key, sizeof a.key));
    OK(kd_record_to_json(ctx, &a, &json));
    OK(kd_record_to_json(ctx, &b, &twice));
    ck_assert_str_eq(json, twice);
    kd_context_free_text(ctx, json);
    kd_context_free_text(ctx, twice);
    kd_record_reader_free(again);
    kd_record_reader_free(r);
    kd_context_free(ctx);
}
END_TEST

/* What one shape does not read is kept; names that the writer uses are never doubled; long names
 * are whole. */
START_TEST(other_members_stay_and_lines_are_read_again)
{
    kd_context *ctx = make_context(1);
    static const char *const lines[] = {
        "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"prompt\":\"p\",\"system\":\"s\","
        "\"logprobs\":{\"other\":1},\"deep\":{\"a\":null}}",
        "{\"q\":\"asked\",\"prompt\":\"p\",\"d\":\"mine\",\"domain\":\"theirs\",\"deep\":1}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"choices\":[{\"message\":{\"role\":"
        "\"assistant\",\"content\":\"a\"},\"logprobs\":{"
        "\"content\":[{"
        "\"token\":\"a\",\"logprob\":-1}]}}],\"logprobs\":[1],\"deep\":1}",
        "{\"prompt\":\"q\",\"deep\":1,\"passed\":["
        "\"\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
        "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
        "\u00e9"
        "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9 x\"]}",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        kd_record_reader *r, *again;
        kd_record a = KD_RECORD_INIT, b = KD_RECORD_INIT;
        kd_record_options o = KD_RECORD_OPTIONS_INIT;
        char *json;
        if (i == 1) o.prompt_field = "q", o.domain_field = "d";
        OK(kd_record_reader_open_text(&r, ctx, lines[i], -1, &o));
        OK(kd_record_reader_next(r, &a));
        ck_assert(strstr(a.extra, "deep") != NULL);
        if (i == 0)
            ck_assert(strstr(a.extra, "\"prompt\"") && a.message_count == 2 &&
                      !strcmp(a.messages[0].role, "system"));
        if (i == 1) ck_assert_str_eq(a.domain, "mine");
        OK(kd_record_to_json(ctx, &a, &json));
        OK(kd_record_reader_open_text(&again, ctx, json, -1, NULL));
        OK(kd_record_reader_next(again, &b));
        ck_assert_str_eq(b.passed, a.passed);
        ck_assert(strstr(b.extra, "deep") && !memcmp(a.key, b.key, sizeof a.key));
        kd_context_free_text(ctx, json);
        kd_record_reader_free(again);
        kd_record_reader_free(r);
    }
    kd_context_free(ctx);
}
END_TEST

START_TEST(what_no_reader_would_take_is_not_written)
{
    kd_context *ctx = make_context(1);
    kd_record r = KD_RECORD_INIT;
    const kd_message half = KD_MESSAGE("user", NULL);
    char *json = NULL;
    r.prompt = "q\xff";
    FAILS(kd_record_to_json(ctx, &r, &json), KD_ERR_INVALID, "UTF-8");
    r.prompt = "q";
    static const char *const extras[] = { "nonsense", "[1]", "{\"a\":}", "{\"messages\":1}",
                                          "{\"a\":1" };
    for (size_t i = 0; i < sizeof extras / sizeof *extras; i++) {
        r.extra = extras[i];
        FAILS(kd_record_to_json(ctx, &r, &json), KD_ERR_INVALID, "extra");
    }
    r.extra = "{}";
    OK(kd_record_to_json(ctx, &r, &json));
    kd_context_free_text(ctx, json);
    r.messages = &half;
    r.message_count = 1;
    FAILS(kd_record_to_json(ctx, &r, &json), KD_ERR_INVALID, "no role or no content");
    FAILS(kd_record_set_keys(&r), KD_ERR_INVALID, "no role or no content");
    r.message_count = -1;
    FAILS(kd_record_set_keys(&r), KD_ERR_RANGE, "negative");
    kd_context_free(ctx);
}
END_TEST

START_TEST(appending_cuts_off_what_a_killed_writer_left)
{
    kd_context *ctx = make_context(1);
    const char *path = scratch_path("torn.jsonl"), *torn = "{\"prompt\":\"1\"}\n{\"prompt\":\"2";
    kd_record_writer *w;
    kd_record_writer_options o = { .struct_size = sizeof o, .append = 1 };
    kd_record record = KD_RECORD_INIT;
    size_t size;
    write_file(path, torn, strlen(torn));
    record.prompt = "3";
    OK(kd_record_writer_open(&w, ctx, path, &o));
    OK(kd_record_writer_add(w, &record));
    kd_record_writer_free(w); /* not closed: what came is there */
    char *text = read_whole(path, &size);
    text[size] = 0;
    ck_assert_str_eq(
        text, "{\"prompt\":\"1\"}\n{\"messages\": [{\"role\": \"user\", \"content\": \"3\"}]}\n");
    free(text);
    kd_record_writer *fresh;
    OK(kd_record_writer_open(&fresh, ctx, path, NULL));
    OK(kd_record_writer_add(fresh, &record));
    kd_record_writer_free(fresh); /* not closed: the old file stands */
    text = read_whole(path, &size);
    ck_assert(size > 20 && text[2] == 'p');
    free(text);
    kd_context_free(ctx);
}
END_TEST

Suite *record_suite(void)
{
    Suite *suite = suite_create("record");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, the_usual_shapes_are_read);
    tcase_add_test(tests, what_servers_and_files_of_ids_say_is_kept);
    tcase_add_test(tests, bad_lines_are_named_skipped_and_counted);
    tcase_add_test(tests, long_lines_are_read_over_or_read);
    tcase_add_test(tests, what_is_written_is_read_again_whole);
    tcase_add_test(tests, other_members_stay_and_lines_are_read_again);
    tcase_add_test(tests, what_no_reader_would_take_is_not_written);
    tcase_add_test(tests, appending_cuts_off_what_a_killed_writer_left);
    suite_add_tcase(suite, tests);
    return suite;
}
