/* What belongs to a chat goes with it: turns that are not learned, other members, tools, into
 * batches, answers and new prompts (axolotl-ai-cloud/axolotl#1703). */
#include "textkit.h"
#include "unit.h"

static kd_record first_of(kd_record_reader *reader)
{
    kd_record r = KD_RECORD_INIT;
    OK(kd_record_reader_rewind(reader));
    OK(kd_record_reader_next(reader, &r));
    return r;
}

static kd_record_reader *lines_of(kd_context *ctx, const char *lines)
{
    kd_record_reader *reader;
    OK(kd_record_reader_open_text(&reader, ctx, lines, -1, NULL));
    return reader;
}

#define USER(text) "{\"role\":\"user\",\"content\":\"" text "\"}"
#define SAYS(text, more) "{\"role\":\"assistant\",\"content\":\"" text "\"" more "}"
#define CHAT(turns) "{\"messages\":[" turns "]}\n"

/* Tokens that are learned of a record's batch. */
static int64_t learned(kd_context *ctx, kd_tokenizer *t, const char *line, int32_t chat,
                       kd_status *status)
{
    kd_packer *p;
    kd_packer_options o = KD_PACKER_OPTIONS_INIT;
    kd_packer_info info = { .struct_size = sizeof info };
    kd_record_reader *reader = lines_of(ctx, line);
    const kd_record r = first_of(reader);
    o.chat = chat;
    OK(kd_packer_create(&p, ctx, t, &o));
    *status = kd_packer_add(p, &r, 0);
    OK(kd_packer_get_info(p, &info));
    kd_packer_free(p);
    kd_record_reader_free(reader);
    return info.answer_tokens;
}

START_TEST(a_packer_learns_what_is_to_be_learned)
{
    static const struct {
        const char *line;
        int32_t chat;
        int64_t learned; /* -1: refused, and the message says: */
        const char *why;
    } cases[] = {
        { CHAT(USER("a") "," SAYS("bad", "") "," USER("b") "," SAYS("good", "")), KD_CHAT_CHATML, 9,
          NULL },
        { CHAT(USER("a") "," SAYS("bad", ",\"weight\":0") "," USER("b") "," SAYS("good", "")),
          KD_CHAT_CHATML, 5, NULL },
        { CHAT(USER("a") "," SAYS("bad", "") "," USER("b") "," SAYS("good", ",\"train\":false")),
          KD_CHAT_CHATML, 4, NULL },
        { CHAT(USER("a") "," SAYS("bad", ",\"weight\":0")), KD_CHAT_CHATML, -1,
          "expected a turn of the assistant to learn" },
        { CHAT(USER("a")), KD_CHAT_CHATML, -1, "no answer" },
        { CHAT(USER("a") "," SAYS("good", "")), KD_CHAT_PLAIN, 4, NULL },
        { CHAT("{\"role\":\"system\",\"content\":\"s\"}," USER("a") "," SAYS("good", "")),
          KD_CHAT_PLAIN, -1, "a system message" },
        { CHAT(USER("a") "," SAYS("b", "") "," USER("a") "," SAYS("good", "")), KD_CHAT_PLAIN, -1,
          "turns before the prompt" },
        { CHAT(USER("a") "," SAYS("b", ",\"tool_calls\":[{\"id\":\"c\"}]")), KD_CHAT_PLAIN, -1,
          "other members of a turn" },
        { "{\"prompt\":\"a\",\"completion\":\"b\",\"tools\":[{\"name\":\"f\"}]}", KD_CHAT_PLAIN, -1,
          "tools" },
        { "{\"prompt\":\"a\",\"completion\":\"b\",\"enable_thinking\":false}", KD_CHAT_PLAIN, -1,
          "variables" },
    };
    kd_context *ctx = make_context(1);
    const char *path = scratch_path("turns-tokenizer.json");
    kd_tokenizer *t;
    ck_assert_int_eq(bytes_tokenizer(path, TEXT_CUT, TEXT_ADDED), 0);
    OK(kd_tokenizer_load(&t, ctx, path));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kd_status status;
        const int64_t count = learned(ctx, t, cases[i].line, cases[i].chat, &status);
        ck_assert_msg((status != KD_OK) == (cases[i].learned < 0), "%s: %s", cases[i].line,
                      kd_last_error());
        if (status == KD_OK)
            ck_assert_msg(count == cases[i].learned, "%s: %d are learned", cases[i].line,
                          (int)count);
        else
            ck_assert_msg(strstr(kd_last_error(), cases[i].why) != NULL, "%s: %s", cases[i].line,
                          kd_last_error());
    }
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

#define TOOLS "\"tools\":[{\"name\":\"f\"}],\"chat_template_kwargs\":{\"x\":1}"

static kd_status say_yes(void *user, const kd_record *prompt, int32_t sample, uint64_t seed,
                         char *text, int64_t room, int64_t *bytes)
{
    (void)user, (void)prompt, (void)sample, (void)seed;
    ck_assert(strstr(prompt->tools, "\"f\"") && strstr(prompt->variables, "\"x\"") &&
              prompt->messages[1].skip);
    *bytes = 3;
    if (room > 3) memcpy(text, "yes", 3);
    return room > 3 ? KD_OK : KD_ERR_RANGE;
}

START_TEST(answers_keep_what_their_prompt_came_with)
{
    kd_context *ctx = make_context(1);
    kd_record_reader *prompts = lines_of(ctx, "{" TOOLS ",\"messages\":[" USER("q") "," SAYS(
                                                  "", ",\"weight\":0,\"tool_calls\":[{\"id\":\"c\"}"
                                                      "]") ",{\"role\":\"tool\",\"tool_call_id\":"
                                                           "\"c\",\"content\":\"1\"}]}\n"),
                     *answers;
    const char *path = scratch_path("turns-answers.jsonl");
    kd_answers_options o;
    kd_record r = KD_RECORD_INIT;
    remove(path);
    kd_answers_options_init(&o, sizeof o);
    o.function = say_yes;
    o.samples = 1;
    OK(kd_answers_collect(ctx, NULL, prompts, path, &o, NULL));
    const kd_record asked = first_of(prompts);
    OK(kd_record_reader_open(&answers, ctx, &path, 1, NULL));
    OK(kd_record_reader_next(answers, &r));
    ck_assert(r.message_count == 4 && r.messages[1].skip && !r.messages[3].skip &&
              !memcmp(r.prompt_key, asked.prompt_key, sizeof r.prompt_key));
    ck_assert(strstr(r.messages[1].extra, "\"c\"") && strstr(r.messages[2].extra, "tool_call_id"));
    ck_assert_str_eq(r.tools, asked.tools);
    ck_assert_str_eq(r.variables, asked.variables);
    ck_assert_str_eq(r.completion, "yes");
    kd_record_reader_free(answers);
    kd_record_reader_free(prompts);
    kd_context_free(ctx);
}
END_TEST

START_TEST(new_prompts_keep_tools_and_the_answers_own_members)
{
    kd_context *ctx = make_context(1);
    kd_record_reader *
        prompts = lines_of(
           ctx,
           "{" TOOLS
           ",\"messages\":[" USER("q") "," SAYS("", ",\"tool_calls\":[{\"id\":\"c\"}]") "]}\n" CHAT(
               USER("q") "," SAYS(
                   "", ",\"tool_calls\":[{\"id\":\"c\"}]") ",{\"role\":\"tool\",\"content\":\"1\"}"
                                                           "," SAYS("a", ""))),
       *made;
    const char *path = scratch_path("turns-made.jsonl"), *templates[] = { "Again: {prompt}" };
    kd_augment_options o = KD_AUGMENT_OPTIONS_INIT;
    kd_augment_counts counts = { .struct_size = sizeof counts };
    kd_record_writer *w;
    kd_record r = KD_RECORD_INIT;
    o.kind = KD_AUGMENT_TEMPLATES;
    o.templates = templates;
    o.template_count = 1;
    OK(kd_record_writer_open(&w, ctx, path, NULL));
    OK(kd_augment_prompts(prompts, w, &o, &counts));
    OK(kd_record_writer_close(w));
    /* the second one's last question is a tool's answer */
    ck_assert(counts.written == 1 && counts.skipped == 1);
    OK(kd_record_reader_open(&made, ctx, &path, 1, NULL));
    OK(kd_record_reader_next(made, &r));
    ck_assert_str_eq(r.prompt, "Again: q");
    ck_assert(r.message_count == 2 && strstr(r.messages[1].extra, "\"c\"") &&
              strstr(r.tools, "\"f\"") && strstr(r.variables, "\"x\""));
    kd_record_reader_free(made);
    kd_record_writer_free(w);
    kd_record_reader_free(prompts);
    kd_context_free(ctx);
}
END_TEST

Suite *turns_suite(void)
{
    Suite *suite = suite_create("turns");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, a_packer_learns_what_is_to_be_learned);
    tcase_add_test(tests, answers_keep_what_their_prompt_came_with);
    tcase_add_test(tests, new_prompts_keep_tools_and_the_answers_own_members);
    suite_add_tcase(suite, tests);
    return suite;
}
