/* Chats whose ends are not plain: a turn that goes on, and templates in which an end, or a begin,
 * is not what it seems. */
#include "chatkit.h"

#define PLAIN                                                                                      \
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"                                            \
    "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}"              \
    "{{ m.content }}<|im_end|>\n{% endfor %}"                                                      \
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

static const kd_message asked[] = { KD_MESSAGE("user", "2+2?"), KD_MESSAGE("assistant", "It is ") };

START_TEST(a_turn_goes_on_after_what_it_says)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = load(ctx, PLAIN, NULL);
    kd_chat_options o = options(KD_CHAT_AUTO, KD_CHAT_PROMPT_CONTINUE, -1);
    says(ctx, t, asked, 2, &o, "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\nIt is ");
    says(ctx, t, asked, 1, &o, "<|im_start|>user\n2+2?");
    learns(t, asked, 2, &o, "It is |");
    kd_tokenizer_free(t);
    /* a template that trims: the space is gone, also where it stood in the text */
    t = load(ctx, "{% for m in messages %}{{ m.role }}: {{ m.content | trim }};{% endfor %}", NULL);
    says(ctx, t, asked, 2, &o, "user: 2+2?;assistant: It is");
    learns(t, asked, 2, &o, "assistant: It is|");
    kd_tokenizer_free(t);
    /* what is learned ends with the text */
    t = load(
        ctx,
        "{% for m in messages %}{{ m.role }}:{% generation %}{{ m.content }}{% endgeneration %}"
        "{% endfor %}{% generation %}end{% endgeneration %}",
        NULL);
    says(ctx, t, asked, 2, &o, "user:2+2?assistant:It is ");
    learns(t, asked, 2, &o, "2+2?|It is |");
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

START_TEST(a_thought_goes_on)
{
    static const kd_message thinks[] = {
        KD_MESSAGE("user", "2+2?"),
        { "assistant", "", "{\"reasoning\": \"two and\"}", 0, 0 },
    };
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = load(ctx, PLAIN, NULL);
    kd_chat_options o = options(KD_CHAT_AUTO, KD_CHAT_PROMPT_CONTINUE_THOUGHT, -1);
    const char *const text =
        "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n<think>two and";
    says(ctx, t, thinks, 2, &o, text);
    FAILS(kd_chat_render(t, asked, 2, &o, &(char *){ NULL }), KD_ERR_INVALID,
          "message 1 has no reasoning_content");
    kd_tokenizer_free(t);
    t = load(ctx, "{% for m in messages %}{{ m.thinking or m.content }};{% endfor %}", NULL);
    says(ctx, t, thinks, 2, &o, "2+2?;two and");
    kd_tokenizer_free(t);
    /* a thought that is not written cannot go on */
    t = load(ctx, "{% for m in messages %}{{ m.content }};{% endfor %}", NULL);
    FAILS(kd_chat_render(t, thinks, 2, &o, &(char *){ NULL }), KD_ERR_UNSUPPORTED, "message 1");
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

START_TEST(the_last_text_among_parts_goes_on)
{
    static const kd_message parts[] = {
        { "user", "",
          "{\"content\": [{\"type\": \"text\", \"text\": \"a\"}, {\"type\": \"text\", \"text\": "
          "\"b\"},"
          " {\"type\": \"image\"}]}",
          0, 0 },
        { "user", "", "{\"content\": [{\"type\": \"image\"}]}", 0, 0 },
        { "user", "", "{\"content\": [{\"text\": 3}]}", 0, 0 },
        { "user", "", "{\"content\": null}", 0, 0 },
    };
    char *text = NULL;
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = load(ctx,
                           "{% for m in messages %}{% for p in m.content %}[{{ p.type }}:"
                           "{{ p.text }}]{% endfor %}{% endfor %}",
                           NULL);
    kd_chat_options o = options(KD_CHAT_AUTO, KD_CHAT_PROMPT_CONTINUE, -1);
    says(ctx, t, parts, 1, &o, "[text:a][text:b");
    FAILS(kd_chat_render(t, parts + 1, 1, &o, &text), KD_ERR_INVALID,
          "none of its parts has a text");
    FAILS(kd_chat_render(t, parts + 2, 1, &o, &text), KD_ERR_INVALID,
          "expected a text to continue");
    FAILS(kd_chat_render(t, parts + 3, 1, &o, &text), KD_ERR_INVALID, "message 0 has no content");
    FAILS(kd_chat_render(t, parts, 0, &o, &text), KD_ERR_INVALID, "no message to continue");
    o.generation_prompt = 4;
    FAILS(kd_chat_render(t, parts, 1, &o, &text), KD_ERR_RANGE, "ask: expected 0 to 3, got 4");
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

START_TEST(what_a_template_alters_does_not_go_on)
{
    static const kd_message thinks[] = { KD_MESSAGE("assistant", "<think>a</think>b") };
    static const char *const templates[] = {
        "{% for m in messages %}{{ m.role }}{% endfor %}",
        "{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}",
        "{% for m in messages %}{{ m.content | upper }}{% endfor %}",
        "{% for m in messages %}{{ m.content.split('</think>')[-1] }}{% endfor %}",
    };
    char *text = NULL;
    kd_context *ctx = make_context(1);
    kd_chat_options o = options(KD_CHAT_AUTO, KD_CHAT_PROMPT_CONTINUE, -1);
    for (int i = 0; i < 4; i++) {
        kd_tokenizer *t = load(ctx, templates[i], NULL);
        FAILS(kd_chat_render(t, thinks, 1, &o, &text), KD_ERR_UNSUPPORTED, "cannot be continued");
        kd_tokenizer_free(t);
    }
    ck_assert_ptr_null(text);
    /* without its thought it is written as it is */
    kd_tokenizer *t = load(ctx, templates[3], NULL);
    o.keep_reasoning = 0;
    says(ctx, t, thinks, 1, &o, "b");
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

static void not_found(kd_context *ctx, const char *jinja, const kd_message *m, int32_t count,
                      const char *why)
{
    int64_t tokens;
    int32_t ids[256];
    uint8_t answer[256];
    kd_tokenizer *t = load(ctx, jinja, NULL);
    FAILS(kd_chat_encode(t, m, count, NULL, ids, answer, 256, &tokens), KD_ERR_UNSUPPORTED, why);
    kd_tokenizer_free(t);
}

/* The templates of Hammer 2.1, Command A and DeepSeek Coder end every text with an answer's
 * header. */
START_TEST(a_question_that_is_always_there_is_not_learned)
{
    static const kd_message m[] = { KD_MESSAGE("user", "Hi"), KD_MESSAGE("assistant", "hello"),
                                    KD_MESSAGE("user", "So"), KD_MESSAGE("assistant", "well"),
                                    KD_MESSAGE("user", "") };
    kd_context *ctx = make_context(1);
    const char *const lines = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
                              "<|im_end|>\n{% endfor %}<|im_start|>assistant\n";
    const char *const why = "asks for an answer after every chat";
    not_found(ctx, lines, m, 2, why);
    not_found(ctx, lines, m, 4, why);
    /* nothing to ask with, and an end that questions have too, is no such template */
    kd_tokenizer *t =
        load(ctx, "{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}", NULL);
    learns(t, m, 4, NULL, "hello<|im_end|>|well<|im_end|>|");
    kd_tokenizer_free(t);
    /* where a question may not follow, it is not known */
    not_found(
        ctx,
        "{% for m in messages %}{% if m.content == '?' %}{{ raise_exception('no') }}{% endif %}"
        "{{ m.content }}<|im_end|>{% endfor %}",
        m, 2, "a part of the chat is refused");
    kd_context_free(ctx);
}
END_TEST

/* As the template of CodeLlama 70B: every text ends with what stands before a question too, and
 * that was taken for the header of the answer. */
#define SOURCE                                                                                     \
    "{% for m in messages %}Source: {{ m.role }}\n\n {{ m.content | trim }} <step> {% endfor %}"   \
    "Source: assistant\nDestination: user\n\n "

START_TEST(a_turn_does_not_begin_in_the_question)
{
    static const kd_message hi[] = { KD_MESSAGE("user", "Hi"), KD_MESSAGE("assistant", "hello") },
                            none[] = { KD_MESSAGE("user", ""), KD_MESSAGE("assistant", "hello") };
    kd_context *ctx = make_context(1);
    not_found(ctx, SOURCE, hi, 2, "the text before it changes with it");
    not_found(ctx, SOURCE, none, 2, "the text before it changes with it");
    /* where the answer has a header of its own it is found */
    kd_tokenizer *t = load(ctx,
                           "{{ messages | length }}{% for m in messages %}{% if m.role == 'user' %}"
                           "[INST]{{ m.content }}[/INST]{% else %}{{ m.content }}<|im_end|>"
                           "{% endif %}{% endfor %}",
                           NULL);
    learns(t, hi, 2, NULL, "hello<|im_end|>|");
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

Suite *chat_ends_suite(void)
{
    Suite *suite = suite_create("chat_ends");
    TCase *tests = tcase_create("chat_ends");
    tcase_add_test(tests, a_turn_goes_on_after_what_it_says);
    tcase_add_test(tests, a_thought_goes_on);
    tcase_add_test(tests, the_last_text_among_parts_goes_on);
    tcase_add_test(tests, what_a_template_alters_does_not_go_on);
    tcase_add_test(tests, a_question_that_is_always_there_is_not_learned);
    tcase_add_test(tests, a_turn_does_not_begin_in_the_question);
    suite_add_tcase(suite, tests);
    return suite;
}
