/* Answers whose thought the template opens: what a generator goes on with is written in front of
 * its text, whatever the marks are. */
#include "textkit.h"
#include "unit.h"

static const char config[] =
    "{\"model_type\":\"llama\",\"vocab_size\":265,\"hidden_size\":32,\"intermediate_size\":40,"
    "\"num_hidden_layers\":1,\"num_attention_heads\":4,"
    "\"num_key_value_heads\":2,\"max_position_embeddings\":512,\"initializer_range\":0.3}";

/* A chat whose finished turns are `answer` and whose question ends with `asks`. */
#define CHAT(answer, asks)                                                                         \
    "{% for m in messages %}{% if m.role == 'assistant' %}" answer                                 \
    "{% else %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}"                   \
    "{% endfor %}{% if add_generation_prompt %}" asks "{% endif %}"
#define PLAIN "<|im_start|>assistant\n{{ m.content }}<|im_end|>\n"
#define ASK "<|im_start|>assistant\n"
#define SAID(open, close)                                                                          \
    "<|im_start|>assistant\n{% if m.thinking %}" open "{{ m.thinking }}" close                     \
    "{% endif %}{{ m.content }}<|im_end|>\n"

static const struct {
    const char *about, *template, *opening;
} cases[] = {
    { "no thought", CHAT(PLAIN, ASK), "" },
    { "with a line's end", CHAT(PLAIN, ASK "<think>\n"), "<think>\n" },
    { "without", CHAT(PLAIN, ASK "<think>"), "<think>" },
    { "a line's end before", CHAT(PLAIN, ASK "\n<think>\n\n"), "<think>\n\n" },
    { "Mistral's", CHAT("{{ m.content }}</s>", "[THINK]"), "[THINK]" },
    { "Mistral's, which writes thoughts",
      CHAT("{% if m.thinking %}[THINK]{{ m.thinking }}[/THINK]{% endif %}{{ m.content }}</s>",
           "[THINK]"),
      "[THINK]" },
    { "a channel",
      CHAT("<|start|>assistant<|channel|>final<|message|>{{ m.content }}<|end|>",
           "<|start|>assistant<|channel|>analysis<|message|>"),
      "<|channel|>analysis<|message|>" },
    { "the answer's channel",
      CHAT("<|start|>assistant<|channel|>final<|message|>{{ m.content }}<|end|>",
           "<|start|>assistant<|channel|>final<|message|>"),
      "" },
    { "a channel that the model chooses",
      CHAT("<|start|>assistant<|channel|>final<|message|>{{ m.content }}<|end|>",
           "<|start|>assistant"),
      "" },
    { "finished turns have an empty thought",
      CHAT("<|im_start|>assistant\n<think>\n\n</think>\n\n{{ m.content }}<|im_end|>\n",
           ASK "<think>\n"),
      "<think>\n" },
    { "finished turns close a thought",
      CHAT("<|Assistant|></think>{{ m.content }}<|end|>", "<|Assistant|><think>"), "<think>" },
    { "a finished turn's thought is empty, a question has none",
      CHAT("\n<|im_start|>assistant\n<think>\n\n</think>\n\n{{ m.content }}", "\n" ASK), "" },
    { "headers that differ",
      CHAT("\n<|im_start|>assistant: {{ m.content }}", "\n<|im_start|>assistant (thinks)\n"), "" },
    { "an empty thought in all",
      CHAT("<|im_start|>assistant\n<think>\n\n</think>\n\n{{ m.content }}<|im_end|>\n",
           ASK "<think>\n\n</think>\n\n"),
      "" },
    { "an empty thought in the question", CHAT(PLAIN, ASK "<think>\n\n</think>\n\n"), "" },
    { "the same in one word", CHAT(PLAIN, ASK "<think></think>"), "" },
    { "Cohere's", CHAT(PLAIN, ASK "<|START_THINKING|>"), "<|START_THINKING|>" },
    { "Cohere's, closed", CHAT(PLAIN, ASK "<|START_THINKING|><|END_THINKING|>"), "" },
    { "marks of other alphabets", CHAT(PLAIN, ASK "\xe2\x97\x81think\xe2\x96\xb7"),
      "\xe2\x97\x81think\xe2\x96\xb7" },
    { "those, closed",
      CHAT(PLAIN, ASK "\xe2\x97\x81think\xe2\x96\xb7\xe2\x97\x81/think\xe2\x96\xb7"), "" },
    { "marks that the template alone knows", CHAT(SAID("<|inner|>", "<|outer|>"), ASK "<|inner|>"),
      "<|inner|>" },
    { "those, closed", CHAT(SAID("<|inner|>", "<|outer|>"), ASK "<|inner|><|outer|>"), "" },
    { "a thought that is begun", CHAT(PLAIN, ASK "<think>\nOkay, "), "<think>\nOkay, " },
    { "no mark", CHAT("Assistant: {{ m.content }}\n", "Assistant (thinks): "), "" },
    { "finished turns are refused", CHAT("{{ raise_exception('no') }}", ASK "<think>\n"), "" },
    { "the content is not written", CHAT("<|im_start|>assistant\n<|im_end|>\n", ASK "<think>\n"),
      "" },
};

static kd_context *ctx;
static void setup(void) { ctx = make_context(1); }
static void teardown(void) { kd_context_free(ctx); }

static kd_tokenizer *load(const char *template)
{
    char path[600], command[600];
    const char *folder = scratch_path("opening");
    kd_tokenizer *t;
    snprintf(command, sizeof command, "mkdir -p %s", folder);
    ck_assert_int_eq(system(command), 0);
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    ck_assert_int_eq(bytes_tokenizer(path, TEXT_CUT, TEXT_ADDED), 0);
    snprintf(path, sizeof path, "%s/chat_template.jinja", folder);
    write_file(path, template, strlen(template));
    OK(kd_tokenizer_load(&t, ctx, folder));
    return t;
}

/* The first answer, of a few tokens, as it stands in the file. */
static void collect(kd_tokenizer *t, int32_t format, char answer[512])
{
    const char *path = scratch_path("opening.jsonl");
    kd_generator_options go = KD_GENERATOR_OPTIONS_INIT;
    kd_answers_options o;
    kd_sampling s = KD_SAMPLING_INIT;
    kd_record record = KD_RECORD_INIT;
    kd_model *model;
    kd_generator *generator;
    kd_record_reader *prompts, *made;
    OK(kd_model_create(&model, ctx, config, NULL));
    go.tokenizer = t;
    OK(kd_generator_create(&generator, model, &go));
    OK(kd_record_reader_open_text(
        &prompts, ctx, "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}\n", -1, NULL));
    kd_answers_options_init(&o, sizeof o);
    o.samples = 1;
    o.chat = format;
    o.sampling = &s;
    s.max_tokens = 3;
    remove(path);
    OK(kd_answers_collect(ctx, generator, prompts, path, &o, NULL));
    OK(kd_record_reader_open(&made, ctx, &path, 1, NULL));
    OK(kd_record_reader_next(made, &record));
    snprintf(answer, 512, "%s", record.completion);
    kd_record_reader_free(made);
    kd_record_reader_free(prompts);
    kd_generator_free(generator);
    kd_model_free(model);
}

/* What three tokens without a thought before them are: at most 6 bytes each. */
static void expect_opening(const char *about, const char *answer, const char *opening)
{
    const size_t length = strlen(opening);
    ck_assert_msg(!strncmp(answer, opening, length), "%s: expected \"%s\", got \"%s\"", about,
                  opening, answer);
    ck_assert_msg(strlen(answer) <= length + 18 && !strstr(answer + length, "hink"),
                  "%s: expected \"%s\" and 3 tokens, got \"%s\"", about, opening, answer);
}

START_TEST(thoughts_that_the_template_opens_belong_to_the_answer)
{
    char answer[512];
    kd_tokenizer *t = load(cases[_i].template);
    collect(t, KD_CHAT_AUTO, answer);
    expect_opening(cases[_i].about, answer, cases[_i].opening);
    kd_tokenizer_free(t);
}
END_TEST

START_TEST(named_formats_open_what_they_write)
{
    char answer[512];
    kd_tokenizer *t = load(cases[0].template);
    for (int32_t format = KD_CHAT_CHATML; format <= KD_CHAT_DEEPSEEK; format++) {
        collect(t, format, answer);
        expect_opening("a named format", answer, format == KD_CHAT_DEEPSEEK ? "<think>\n" : "");
    }
    kd_tokenizer_free(t);
}
END_TEST

Suite *opening_suite(void)
{
    Suite *suite = suite_create("opening");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, thoughts_that_the_template_opens_belong_to_the_answer, 0,
                        sizeof cases / sizeof *cases);
    tcase_add_test(tests, named_formats_open_what_they_write);
    suite_add_tcase(suite, tests);
    return suite;
}
