/* Every shape of a record that files of other people have: as the line that is written for it, or
 * the reason of its refusal ("!.."). Shapes: OpenAI's, TRL's, axolotl's
 * (axolotl-ai-cloud/axolotl#1703), LLaMA-Factory's (hiyouga/LlamaFactory#2507) and ShareGPT's
 * files. */
#include "textkit.h"
#include "unit.h"

static const struct {
    const char *line, *right;
} forms[] = {
    { "{\"system\":\"S\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":"
      "\"assistant\",\"content\":\"a\"}]}",
      "{\"messages\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", "
      "\"content\": \"q\"}, {\"role\": \"assistant\", \"content\": "
      "\"a\"}]}" },
    { "{\"system\":\"S\",\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\","
      "\"content\":\"q\"},{\"role\":\"assistant\","
      "\"content\":\"a\"}]}",
      "{\"messages\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", "
      "\"content\": \"q\"}, {\"role\": \"assistant\", \"content\": "
      "\"a\"}]}" },
    { "{\"system\":\"S\",\"messages\":[{\"role\":\"system\",\"content\":\"T\"},{\"role\":\"user\","
      "\"content\":\"q\"}]}",
      "!'system' and the first turn are two different system messages" },
    { "{\"system\":\"S\",\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":\"gpt\","
      "\"value\":\"a\"}]}",
      "{\"messages\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", "
      "\"content\": \"q\"}, {\"role\": \"assistant\", \"content\": "
      "\"a\"}]}" },
    { "{\"instruction\":\"i\",\"input\":\"x\",\"output\":\"o\",\"system\":\"S\",\"history\":[["
      "\"q1\",\"a1\"],[\"q2\",\"a2\"]]}",
      "{\"messages\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", "
      "\"content\": \"q1\"}, {\"role\": \"assistant\", \"content\": "
      "\"a1\"}, {\"role\": \"user\", \"content\": \"q2\"}, {\"role\": \"assistant\", \"content\": "
      "\"a2\"}, {\"role\": \"user\", \"content\": "
      "\"i\\u000a\\u000ax\"}, {\"role\": \"assistant\", \"content\": \"o\"}]}" },
    { "{\"instruction\":\"i\",\"output\":\"o\",\"history\":[[\"q1\"]]}",
      "!'history': expected pairs of a question and an answer" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
      "\"a\",\"weight\":0},{\"role\":\"user\",\"content\":"
      "\"r\"},{\"role\":\"assistant\",\"content\":\"b\",\"weight\":1}]}",
      "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", "
      "\"content\": \"a\", \"weight\": 0}, {\"role\": \"user\", "
      "\"content\": \"r\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
      "\"a\",\"weight\":0.5}]}",
      "!turn 1: 'weight': expected 0 or 1, got 0.5: parts of a weight are not " },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
      "\"a\",\"train\":false}]}",
      "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", "
      "\"content\": \"a\", \"weight\": 0}]}" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
      "\"a\",\"train\":false,\"weight\":1}]}",
      "!turn 1: 'weight' contradicts the member before it on whether the turn " },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"q\",\"train\":true},{\"role\":\"assistant\","
      "\"content\":\"a\"}]}",
      "!turn 0: a turn of role 'user' that is to be learned is not supported" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
      "null,\"tool_calls\":[{\"id\":\"c\",\"type\":"
      "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\","
      "\"tool_call_id\":\"c\",\"content\":\"22\"},{\"role\":"
      "\"assistant\",\"content\":\"a\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":"
      "\"f\"}}]}",
      "{\"tools\": [{\"type\":\"function\",\"function\":{\"name\":\"f\"}}], \"messages\": "
      "[{\"role\": \"user\", \"content\": \"q\"}, {\"role\": "
      "\"assistant\", \"content\": \"\", \"tool_calls\": "
      "[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}, "
      "{\"role\": \"tool\", \"content\": \"22\", \"tool_call_id\": \"c\"}, {\"role\": "
      "\"assistant\", \"content\": \"a\"}]}" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
      "null,\"function_call\":{\"name\":\"f\",\"arguments\":"
      "\"{}\"}}],\"functions\":[{\"name\":\"f\"}]}",
      "{\"tools\": [{\"type\":\"function\",\"function\":{\"name\":\"f\"}}], \"messages\": "
      "[{\"role\": \"user\", \"content\": \"q\"}, {\"role\": "
      "\"assistant\", \"content\": \"\", \"tool_calls\": [{\"type\": \"function\", \"function\": "
      "{\"name\":\"f\",\"arguments\":\"{}\"}}]}]}" },
    { "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":\"function_call\","
      "\"value\":\"{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":{"
      "\\\"x\\\":1}}\"},{\"from\":\"observation\",\"value\":\"22\"},{\"from\":\"gpt\",\"value\":"
      "\"a\"}],\"tools\":\"[{\\\"name\\\":\\\"f\\\"}]\"}",
      "{\"tools\": [{\"name\":\"f\"}], \"messages\": [{\"role\": \"user\", \"content\": \"q\"}, "
      "{\"role\": \"assistant\", \"content\": \"\", "
      "\"tool_calls\": [{\"type\": \"function\", \"function\": "
      "{\"name\":\"f\",\"arguments\":{\"x\":1}}}]}, {\"role\": \"tool\", \"content\": "
      "\"22\"}, "
      "{\"role\": \"assistant\", \"content\": \"a\"}]}" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"q\"},{\"type\":"
      "\"text\",\"text\":\"r\"}]},{\"role\":"
      "\"assistant\",\"content\":\"a\"}]}",
      "{\"messages\": [{\"role\": \"user\", \"content\": \"qr\"}, {\"role\": \"assistant\", "
      "\"content\": \"a\"}]}" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{"
      "\"url\":\"u\"}}]},{\"role\":\"assistant\",\"content\":"
      "\"a\"}]}",
      "!'content': expected parts of text, got one of type 'image_url', which " },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
      "\"a\",\"reasoning_content\":\"t\"}]}",
      "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", "
      "\"content\": "
      "\"<think>\\u000at\\u000a</think>\\u000a\\u000aa\"}]}" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
      "\"a\",\"thinking\":\"t\"}]}",
      "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", "
      "\"content\": "
      "\"<think>\\u000at\\u000a</think>\\u000a\\u000aa\"}]}" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
      "\"a\",\"reasoning\":\"t\",\"thought\":\"u\"}]}",
      "!'reasoning' and 'thought' are two different thoughts" },
    { "{\"prompt\":[{\"role\":\"user\",\"content\":\"q\"}],\"completion\":[{\"role\":\"assistant\","
      "\"content\":\"a\"}]}",
      "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", "
      "\"content\": \"a\"}]}" },
    { "{\"prompt\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
      "\"a\"},{\"role\":\"user\",\"content\":\"r\"}],"
      "\"completion\":\"b\"}",
      "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", "
      "\"content\": \"a\", \"weight\": 0}, {\"role\": \"user\", "
      "\"content\": \"r\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}" },
    { "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}",
      "!'chosen' is not supported: preferences" },
    { "{\"prompt\":\"q\",\"completion\":\"a\",\"images\":[\"x.png\"]}",
      "!'images' is not supported: pictures" },
    { "{\"prompt\":\"q\",\"completion\":\"a\",\"weight\":2}",
      "!'weight' is not supported: the weight of a record" },
    { "{\"prompt\":\"q\",\"completion\":\"a\",\"weight\":1}",
      "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", "
      "\"content\": \"a\"}], \"weight\": 1}" },
    { "{\"prompt\":\"q\",\"completion\":\"a\",\"train\":false}",
      "!'train' is not supported: a record that is not learned" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
      "\"a\"}],\"chat_template_kwargs\":{\"enable_"
      "thinking\":false}}",
      "{\"chat_template_kwargs\": {\"enable_thinking\":false}, \"messages\": [{\"role\": \"user\", "
      "\"content\": \"q\"}, {\"role\": \"assistant\", "
      "\"content\": \"a\"}]}" },
    { "{\"input_ids\":[5,6],\"labels\":[5,7]}",
      "!'labels': expected the ids themselves or -100, got 7 for id 6" },
    { "{\"prompt\":\"q\",\"completion\":12345678901234567890123,\"expected\":9007199254740993,"
      "\"id\":1e400,\"seed\":18446744073709551615}",
      "{\"id\": \"1e400\", \"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": "
      "\"assistant\", \"content\": "
      "\"12345678901234567890123\"}], \"expected\": \"9007199254740993\", \"seed\": "
      "\"18446744073709551615\"}" },
    { "{\"prompt\":\"q\",\"completion\":true,\"score\":-0.0}",
      "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", "
      "\"content\": \"true\"}], \"score\": -0}" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\"}]}",
      "!turn 1, of role 'assistant', has no content" },
    { "{\"messages\":[{\"content\":\"q\"}]}", "!turn 0 of the chat has no role" },
    { "{\"messages\":[]}", "!the chat: expected a list of turns" },
    { "[1]", "!expected an object" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}",
      "!'content': expected a text in its part of type 'text'" },
    { "{\"text\":\"just a text\"}",
      "!none of the shapes that are known: no messages, conversations, prompt " },
    { "{\"prompt\":\"q\",\"completion\":NaN}",
      "!JSON: NaN is no JSON: expected a number or null at byte 27" },
    { "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
      "\"a\",\"label\":false}]}",
      "!turn 1: 'label' is not supported: expected 'weight' 0 or 1" },
    { "{\"system\":\"S\",\"system_prompt\":\"T\",\"prompt\":\"q\"}",
      "!'system_prompt': another system message stands beside it" },
    { "{\"prompt\":\"q\",\"completion\":\"a\",\"functions\":\"[{\\\"name\\\":\\\"f\\\"}]\"}",
      "{\"tools\": [{\"type\":\"function\",\"function\":{\"name\":\"f\"}}], \"messages\": "
      "[{\"role\": \"user\", \"content\": \"q\"}, "
      "{\"role\": \"assistant\", \"content\": \"a\"}]}" },
    { "{\"prompt\":\"q\",\"completion\":\"<think> t </think>a\",\"reasoning\":\"t\"}",
      "{\"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", "
      "\"content\": \"<think> t </think>a\"}]}" },
    { "{\"prompt\":\"q\",\"completion\":\"<think>z</think>a\",\"reasoning\":\"t\"}",
      "!'reasoning' and the content's <think> are two different thoughts" },
    { "{\"question\":\"q\",\"choices\":[\"a\",\"b\"],\"answer\":\"a\"}",
      "!'choices' is not supported: the choices of a question: expected them i" },
};

START_TEST(every_shape_is_read_or_refused_by_name)
{
    kd_context *ctx = make_context(1);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        kd_record_reader *r;
        kd_record record = KD_RECORD_INIT;
        char *json = NULL;
        OK(kd_record_reader_open_text(&r, ctx, forms[i].line, -1, NULL));
        const kd_status status = kd_record_reader_next(r, &record);
        if (*forms[i].right == '!') {
            ck_assert_msg(status == KD_ERR_FORMAT, "%s: status %d", forms[i].line, status);
            ck_assert_msg(strstr(kd_last_error(), forms[i].right + 1) != NULL, "%s: %s",
                          forms[i].line, kd_last_error());
            ck_assert_int_eq(kd_record_reader_next(r, &record), KD_END);
        } else {
            ck_assert_msg(status == KD_OK, "%s: %s", forms[i].line, kd_last_error());
            OK(kd_record_to_json(ctx, &record, &json));
            ck_assert_str_eq(json, forms[i].right);
            kd_context_free_text(ctx, json);
        }
        kd_record_reader_free(r);
    }
    kd_context_free(ctx);
}
END_TEST

START_TEST(what_is_not_learned_and_what_was_offered_count_in_the_keys_as_they_should)
{
    static const char *const lines[] = {
        "{\"prompt\":\"q\",\"completion\":\"a\"}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":"
        "\"a\",\"weight\":0}]}",
        "{\"prompt\":\"q\",\"completion\":\"a\",\"system\":\"s\"}",
        "{\"prompt\":\"q\",\"completion\":\"a\",\"tools\":[{\"name\":\"f\"}]}",
        "{\"prompt\":\"q\",\"completion\":\"a\",\"chat_template_kwargs\":{\"enable_thinking\":"
        "false}}",
        "{\"prompt\":\"q\",\"completion\":\"a\",\"history\":[[\"x\",\"y\"]]}",
    };
    kd_context *ctx = make_context(1);
    uint64_t keys[6][2];
    for (int i = 0; i < 6; i++) {
        kd_record_reader *r;
        kd_record record = KD_RECORD_INIT;
        OK(kd_record_reader_open_text(&r, ctx, lines[i], -1, NULL));
        OK(kd_record_reader_next(r, &record));
        memcpy(keys[i], record.prompt_key, sizeof keys[i]);
        kd_record_reader_free(r);
    }
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < i; k++)
            ck_assert_int_eq(!memcmp(keys[i], keys[k], sizeof keys[i]), i == 1 && k == 0);
    kd_context_free(ctx);
}
END_TEST

START_TEST(files_of_other_kinds_are_named)
{
    static const struct {
        const char *bytes;
        int64_t size;
        const char *name;
    } files[] = {
        { "\x28\xb5\x2f\xfd....", 8, "zstd" },
        { "PAR1....", 8, "Parquet" },
        { "BZh9....", 8, "bzip2" },
        { "\xff\xfe{\0", 4, "UTF-16" },
        { "PK\x03\x04....", 8, "zip" },
    };
    kd_context *ctx = make_context(1);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *path = scratch_path("kind.jsonl");
        FILE *file = fopen(path, "wb");
        kd_record_reader *r;
        kd_record record = KD_RECORD_INIT;
        fwrite(files[i].bytes, 1, (size_t)files[i].size, file);
        fclose(file);
        OK(kd_record_reader_open(&r, ctx, &path, 1, NULL));
        FAILS(kd_record_reader_next(r, &record), KD_ERR_UNSUPPORTED, files[i].name);
        ck_assert_int_eq(kd_record_reader_next(r, &record), KD_END);
        kd_record_reader_free(r);
    }
    kd_context_free(ctx);
}
END_TEST

START_TEST(a_byte_order_mark_and_an_array_of_objects_are_read)
{
    static const char *const texts[] = { "\xef\xbb\xbf{\"prompt\":\"p\"}\n{\"prompt\":\"q\"}\n",
                                         " [ {\"prompt\":\"p\"},\n {\"prompt\":\"q\"} ] " };
    kd_context *ctx = make_context(1);
    for (int i = 0; i < 2; i++) {
        kd_record_reader *r;
        kd_record record = KD_RECORD_INIT;
        OK(kd_record_reader_open_text(&r, ctx, texts[i], -1, NULL));
        OK(kd_record_reader_next(r, &record));
        ck_assert_str_eq(record.prompt, "p");
        OK(kd_record_reader_next(r, &record));
        ck_assert_str_eq(record.prompt, "q");
        ck_assert_int_eq(kd_record_reader_next(r, &record), KD_END);
        kd_record_reader_free(r);
    }
    kd_context_free(ctx);
}
END_TEST

/* Memory grows with the line, whatever stands in it: 20,000 turns, pairs and answers. */
START_TEST(many_turns_and_answers_take_memory_of_their_number)
{
    enum { MANY = 20000 };
    static const char *const parts[][3] = {
        { "{\"system\":\"s\",\"messages\":[", "{\"role\":\"user\",\"content\":\"q\"}", "]}" },
        { "{\"system\":\"s\",\"prompt\":\"q\",\"history\":[", "[\"q\",\"a\"]", "]}" },
        { "{\"prompt\":\"q\",\"history\":[[\"q\",\"a\"],[\"q\",\"a\"],[\"q\",\"a\"]],"
          "\"completions\":[",
          "\"a\"", "]}" },
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        kd_context *ctx = make_context(1);
        kd_record_reader *r;
        kd_record record = KD_RECORD_INIT;
        kd_context_info info = { .struct_size = sizeof info };
        char *line = malloc(MANY * 40 + 100), *at = line + sprintf(line, "%s", parts[i][0]);
        for (int k = 0; k < MANY; k++) at += sprintf(at, "%s%s", k ? "," : "", parts[i][1]);
        strcpy(at, parts[i][2]);
        OK(kd_record_reader_open_text(&r, ctx, line, -1, NULL));
        int records = 0;
        while (kd_record_reader_next(r, &record) == KD_OK) records++;
        ck_assert_int_eq(records, i == 2 ? MANY : 1);
        OK(kd_context_get_info(ctx, &info));
        ck_assert_uint_lt(info.peak_bytes, 16 << 20);
        kd_record_reader_free(r);
        free(line);
        kd_context_free(ctx);
    }
}
END_TEST

Suite *record_forms_suite(void)
{
    Suite *suite = suite_create("record forms");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, every_shape_is_read_or_refused_by_name);
    tcase_add_test(tests,
                   what_is_not_learned_and_what_was_offered_count_in_the_keys_as_they_should);
    tcase_add_test(tests, files_of_other_kinds_are_named);
    tcase_add_test(tests, many_turns_and_answers_take_memory_of_their_number);
    tcase_add_test(tests, a_byte_order_mark_and_an_array_of_objects_are_read);
    suite_add_tcase(suite, tests);
    return suite;
}
