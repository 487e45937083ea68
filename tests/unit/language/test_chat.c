/* Chats: rendered by the folder's template, masked, refused; templates that mean harm. */
#include <pthread.h>
#include <time.h>

#include "chatkit.h"
#include "unit.h"

#define THINKS /* reasoning of turns before the last question is left out, as Qwen3 does */        \
    "{%- set ns = namespace(last=-1) %}{% for m in messages if m.role == 'user' %}{% set ns.last " \
    "= ns.last + 1 %}{% endfor %}"                                                                 \
    "{%- set seen = namespace(users=-1) %}"                                                        \
    "{%- for m in messages %}{% if m.role == 'user' %}{% set seen.users = seen.users + 1 %}{% "    \
    "endif %}"                                                                                     \
    "<|im_start|>{{ m.role }}\n"                                                                   \
    "{% if m.role == 'assistant' and m.reasoning_content and seen.users == ns.last %}<think>\n{{ " \
    "m.reasoning_content }}\n</think>\n\n{% endif %}"                                              \
    "{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt "                          \
    "%}<|im_start|>assistant\n{% endif %}"

/* Texts as the families' own templates write them. */
START_TEST(formats_are_written_as_the_families_do)
{
    kd_context *ctx = make_context(1);
    const kd_message m[] = { KD_MESSAGE("system", "Be brief."), KD_MESSAGE("user", " Hi "),
                             KD_MESSAGE("assistant", "<think>\nx\n</think>\n\nYes"),
                             KD_MESSAGE("user", "So?") };
    kd_tokenizer *t = load(ctx, NULL, NULL);
    kd_chat_options o = options(KD_CHAT_CHATML, 1, -1);
    says(ctx, t, m, 4, &o,
         "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n Hi "
         "<|im_end|>\n<|im_start|>assistant\n<think>\nx\n</think>\n\nYes<|im_end|>\n"
         "<|im_start|>user\nSo?<|im_end|>\n<|im_start|>assistant\n");
    o = options(KD_CHAT_LLAMA3, 1, -1);
    says(ctx, t, m, 3, &o,
         "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe "
         "brief.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
         "<|start_header_id|>assistant<|end_header_id|>\n\n<think>\nx\n</"
         "think>\n\nYes<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
    o = options(KD_CHAT_LLAMA2, 1, -1);
    says(ctx, t, m, 4, &o,
         "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n Hi  [/INST] <think>\nx\n</think>\n\nYes "
         "</s><s>[INST] So? [/INST]");
    o = options(KD_CHAT_DEEPSEEK, 1, -1);
    says(ctx, t, m, 4, &o,
         "<\uff5cbegin\u2581of\u2581sentence\uff5c>Be brief.<\uff5cUser\uff5c> Hi <\uff5c"
         "Assistant\uff5c>\n\nYes<\uff5c"
         "end\u2581of\u2581sentence\uff5c>"
         "<\uff5cUser\uff5c>So?<\uff5c"
         "Assistant\uff5c><think>\n");
    o = options(KD_CHAT_DEEPSEEK, 0, 1);
    says(ctx, t, m + 1, 2, &o,
         "<\uff5cbegin\u2581of\u2581sentence\uff5c><\uff5cUser\uff5c> Hi <\uff5c"
         "Assistant\uff5c><think>\nx\n</think>\n\nYes<\uff5c"
         "end\u2581of\u2581sentence\uff5c>");
    o = options(KD_CHAT_CHATML, 0, 0);
    says(ctx, t, m + 1, 2, &o,
         "<|im_start|>user\n Hi <|im_end|>\n<|im_start|>assistant\nYes<|im_end|>\n");
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

/* What a format has no place for is not dropped in silence. */
START_TEST(formats_refuse_what_they_cannot_write)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = load(ctx, NULL, NULL);
    const kd_message call = {
        "assistant", "", "{\"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\": {}}}]}",
        0, 0
    };
    const kd_message user = KD_MESSAGE("user", "x"), tool = KD_MESSAGE("tool", "x");
    kd_chat_options o = options(KD_CHAT_CHATML, 0, -1);
    char *text;
    FAILS(kd_chat_render(t, &call, 1, &o, &text), KD_ERR_INVALID, "no place for calls of tools");
    o.tools = "[{\"name\": \"f\"}]";
    FAILS(kd_chat_render(t, &user, 1, &o, &text), KD_ERR_INVALID, "no place for tools");
    o = options(KD_CHAT_LLAMA2, 0, -1);
    FAILS(kd_chat_render(t, &tool, 1, &o, &text), KD_ERR_INVALID, "got tool");
    FAILS(kd_chat_render(t, &user, 1, NULL, &text), KD_ERR_UNSUPPORTED, "KD_CHAT_PLAIN");
    FAILS(kd_chat_render(t, &user, 1, &o, NULL), KD_ERR_INVALID, "text is NULL");
    o.format = 9;
    FAILS(kd_chat_render(t, &user, 1, &o, &text), KD_ERR_RANGE, "format");
    o = options(KD_CHAT_CHATML, 0, 2);
    FAILS(kd_chat_render(t, &user, 1, &o, &text), KD_ERR_RANGE, "keep_reasoning");
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

/* A mark alone says nothing: utilityai/llama-cpp-rs#1096. */
START_TEST(a_format_is_what_a_template_does)
{
    kd_context *ctx = make_context(1);
    static const struct {
        const char *chat;
        int32_t format;
    } known[] = {
        { "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
          "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
          KD_CHAT_CHATML },
        { "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
          "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}",
          KD_CHAT_AUTO },
        { "<|im_start|> for nothing", KD_CHAT_AUTO },
        { "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = "
          "'<|start_header_id|>' + message['role'] + "
          "'<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 "
          "== 0 %}{% set content = bos_token + content %}"
          "{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ "
          "'<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
          KD_CHAT_LLAMA3 },
        { "### Human:", KD_CHAT_AUTO }
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        int32_t format;
        kd_tokenizer *t =
            load(ctx, known[i].chat, "{\"bos_token\": {\"content\": \"<|begin_of_text|>\"}}");
        OK(kd_tokenizer_chat_format(t, &format));
        ck_assert_int_eq(format, known[i].format);
        kd_tokenizer_free(t);
    }
    kd_context_free(ctx);
}
END_TEST

START_TEST(a_template_sees_what_the_host_gives)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = load(ctx,
                           "{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content }}:{{ "
                           "m.name }}:{{ m.reasoning_content }}:"
                           "{{ m.tool_calls | tojson if m.tool_calls }};{% endfor %}{{ tools | "
                           "tojson }}{{ enable_thinking }}{{ documents }}"
                           "{{ strftime_now('%d %b %Y') }}{{ add_generation_prompt }}",
                           "{\"bos_token\": \"<s>\", \"eos_token\": null}");
    const kd_message m[] = { { "tool", "22", "{\"name\": \"weather\"}", 0, 0 },
                             { "assistant", "",
                               "{\"content\": null, \"reasoning\": \"why\", \"tool_calls\": "
                               "[{\"id\": 12345678901234567890, \"x\": 1.50}]}",
                               0, 0 } };
    kd_chat_options o = KD_CHAT_OPTIONS_INIT;
    o.tools = "[{\"name\": \"f\", \"deep\": [\"\\u00e9\", true]}]";
    o.variables = "{\"enable_thinking\": false}";
    o.now = 86400;
    says(ctx, t, m, 2, &o,
         "<s>tool:22:weather::;assistant:::why:[{\"id\": 12345678901234567890, \"x\": 1.5}];"
         "[{\"name\": \"f\", \"deep\": [\"\u00e9\", true]}]FalseNone02 Jan 1970False");
    char *text;
    o.tools = "{}";
    FAILS(kd_chat_render(t, m, 2, &o, &text), KD_ERR_INVALID, "tools: expected a JSON array");
    o.tools = "[";
    FAILS(kd_chat_render(t, m, 2, &o, &text), KD_ERR_FORMAT, "tools");
    o = options(0, 0, -1);
    const kd_message broken = { "user", "x", "[1]", 0, 0 }, bytes = KD_MESSAGE("user", "\xff");
    FAILS(kd_chat_render(t, &broken, 1, &o, &text), KD_ERR_INVALID, "message 0: extra");
    FAILS(kd_chat_render(t, &bytes, 1, &o, &text), KD_ERR_FORMAT, "UTF-8");
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

START_TEST(templates_of_a_list_are_chosen_by_name)
{
    kd_context *ctx = make_context(1);
    kd_tokenizer *t = load(ctx, NULL,
                           "{\"chat_template\": [{\"name\": \"default\", \"template\": \"plain\"}, "
                           "{\"name\": \"tool_use\", \"template\": \"tools\"}]}");
    const kd_message user = KD_MESSAGE("user", "x");
    kd_chat_options o = KD_CHAT_OPTIONS_INIT;
    says(ctx, t, &user, 1, &o, "plain");
    o.tools = "[]";
    says(ctx, t, &user, 1, &o, "tools");
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

/* A template that cannot be used does not keep the tokenizer from its other work. */
START_TEST(templates_are_refused_with_name_and_line_when_used)
{
    kd_context *ctx = make_context(1);
    static const struct {
        const char *chat;
        kd_status status;
        const char *says;
    } bad[] = { { "a\n\n{% include 'x' %}", KD_ERR_UNSUPPORTED, "line 3: the tag 'include'" },
                { "{{ x | urlize }}", KD_ERR_UNSUPPORTED, "line 1: the filter 'urlize'" },
                { "{{ x is nothing }}", KD_ERR_UNSUPPORTED, "the test 'nothing'" },
                { "{% for x in y recursive %}{% endfor %}", KD_ERR_UNSUPPORTED, "recursive" },
                { "{{ lipsum() }}", KD_ERR_UNSUPPORTED, "lipsum" },
                { "\n{{ 'a }}", KD_ERR_FORMAT, "line 2: a text without its end quote" },
                { "{% if x %}", KD_ERR_FORMAT, "expected elif, got the end" },
                { "{{ (1, }}", KD_ERR_FORMAT, "" },
                { "\n{{ messages[0].nothing.more }}", KD_ERR_INVALID,
                  "line 2: a value of type dict has no nothing" },
                { "{{ raise_exception('no such role') }}", KD_ERR_INVALID, "no such role" },
                { "{{ messages.append(1) }}", KD_ERR_INVALID, "append" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const kd_message user = KD_MESSAGE("user", "x");
        char *text;
        int32_t ids[8];
        int64_t count;
        kd_tokenizer *t = load(ctx, bad[i].chat, NULL);
        FAILS(kd_chat_render(t, &user, 1, NULL, &text), bad[i].status, bad[i].says);
        OK(kd_tokenizer_encode(t, "hello", -1, 0, ids, 8, &count));
        kd_tokenizer_free(t);
    }
    kd_context_free(ctx);
}
END_TEST

START_TEST(the_mask_is_what_the_assistant_says)
{
    kd_context *ctx = make_context(1);
    kd_message m[] = { KD_MESSAGE("user", "hell"), KD_MESSAGE("assistant", "hello"),
                       KD_MESSAGE("user", "x"), KD_MESSAGE("assistant", "\nhello") };
    kd_tokenizer *t = load(ctx, NULL, NULL);
    kd_chat_options o = options(KD_CHAT_CHATML, 0, -1);
    learns(t, m, 4, &o, "hello<|im_end|>|\nhello<|im_end|>|");
    m[1].skip = 1;
    learns(t, m, 4, &o, "\nhello<|im_end|>|");
    kd_tokenizer_free(t);
    o = options(KD_CHAT_AUTO, 0, -1);
    t = load(ctx, THINKS, NULL); /* no generation blocks: found by rendering */
    learns(t, m, 4, &o, "\nhello<|im_end|>|");
    m[1].skip = 0;
    learns(t, m, 4, &o, "hello<|im_end|>|\nhello<|im_end|>|");
    o.generation_prompt = 1;
    learns(t, m, 2, &o, "hello<|im_end|>|");
    kd_tokenizer_free(t);
    t = load(ctx, "{% for m in messages | reverse %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
             NULL);
    FAILS(kd_chat_encode(t, m, 4, &o, (int32_t[256]){ 0 }, (uint8_t[256]){ 0 }, 256, NULL),
          KD_ERR_UNSUPPORTED, "turn 1");
    kd_tokenizer_free(t);
    t = load(ctx,
             "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{{ "
             "messages[0].role }}{{ messages[0].role.x.y }}",
             NULL);
    FAILS(kd_chat_encode(t, m, 4, &o, (int32_t[256]){ 0 }, (uint8_t[256]){ 0 }, 256, NULL),
          KD_ERR_INVALID, "no x");
    kd_tokenizer_free(t);
    t = load(ctx,
             "{{ messages[0].role.upper() }}{% for m in messages %}{{ m.role }}: {{ m.content "
             "}}\n{% endfor %}",
             NULL);
    FAILS(kd_chat_encode(t, m + 1, 1, &o, (int32_t[256]){ 0 }, (uint8_t[256]){ 0 }, 256, NULL),
          KD_ERR_UNSUPPORTED, "a part of the chat is refused");
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

/* Magistral's content has its thought between marks of its own. */
START_TEST(a_thought_in_other_marks_goes_as_asked)
{
    kd_context *ctx = make_context(1);
    const kd_message m[] = { KD_MESSAGE("user", "a"),
                             KD_MESSAGE("assistant", "[THINK]why </think>[/THINK]b") };
    kd_tokenizer *t =
        load(ctx, "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}", NULL);
    kd_chat_options o = options(KD_CHAT_AUTO, 0, -1);
    says(ctx, t, m, 2, &o, "[user]a[assistant][THINK]why </think>[/THINK]b");
    o.keep_reasoning = 0;
    says(ctx, t, m, 2, &o, "[user]a[assistant]b");
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

START_TEST(reasoning_stays_or_goes_as_asked)
{
    kd_context *ctx = make_context(1);
    const kd_message m[] = { KD_MESSAGE("user", "a"),
                             { "assistant", "b", "{\"reasoning_content\": \"why\"}", 0, 0 },
                             KD_MESSAGE("user", "c"),
                             { "assistant", "d", "{\"reasoning_content\": \"how\"}", 0, 0 } };
    kd_tokenizer *t = load(ctx, THINKS, NULL);
    kd_chat_options o = options(KD_CHAT_AUTO, 0, -1);
    learns(t, m, 4, &o, "b<|im_end|>|<think>\nhow\n</think>\n\nd<|im_end|>|");
    o.keep_reasoning = 0;
    learns(t, m, 4, &o, "b<|im_end|>|d<|im_end|>|");
    o.keep_reasoning = 1;
    learns(t, m, 4, &o,
           "<think>\nwhy\n</think>\n\nb<|im_end|>|<think>\nhow\n</think>\n\nd<|im_end|>|");
    says(ctx, t, m, 3, &o,
         "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n<think>\nwhy\n</"
         "think>\n\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n");
    kd_tokenizer_free(t);
    /* a template that drops them always: what stands in the content can stay, a member of its own
     * cannot */
    t = load(ctx,
             "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content.split('</think>')[-1] "
             "}}<|im_end|>\n{% endfor %}"
             "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
             NULL);
    const kd_message inside[] = { KD_MESSAGE("user", "a"),
                                  KD_MESSAGE("assistant", "<think>\nwhy\n</think>\n\nb") };
    learns(t, inside, 2, &o, "<think>\nwhy\n</think>\n\nb<|im_end|>|");
    char *text;
    FAILS(kd_chat_render(t, m, 2, &o, &text), KD_ERR_UNSUPPORTED,
          "no place for the reasoning of turn 1");
    kd_tokenizer_free(t);
    kd_context_free(ctx);
}
END_TEST

/* ---- harm ---- */

typedef struct {
    kd_context *ctx;
    const char *folder;
    kd_status status;
} harm;

static void *render_in_thread(void *user)
{
    harm *h = user;
    kd_tokenizer *t = NULL;
    char *text = NULL;
    const kd_message message = KD_MESSAGE("user", "x");
    h->status = kd_tokenizer_load(&t, h->ctx, h->folder);
    if (h->status == KD_OK) h->status = kd_chat_render(t, &message, 1, NULL, &text);
    kd_context_free_text(h->ctx, text);
    kd_tokenizer_free(t);
    return NULL;
}

static void *do_nothing(void *user) { return user; }

/* What the C library takes of a thread's stack for itself, thread-local variables first of all. */
static size_t least_stack(void)
{
    for (size_t size = 16 << 10;; size += 4 << 10) {
        pthread_attr_t attributes;
        pthread_t thread;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, size);
        const int refused = pthread_create(&thread, &attributes, do_nothing, NULL);
        pthread_attr_destroy(&attributes);
        if (refused) continue;
        pthread_join(thread, NULL);
        return size;
    }
}

static char *repeated(const char *before, const char *unit, int32_t times, const char *after)
{
    char *text = malloc(strlen(before) + strlen(unit) * (size_t)times + strlen(after) + 1),
         *at = text + strlen(before);
    strcpy(text, before);
    for (int32_t i = 0; i < times; i++, at += strlen(unit)) strcpy(at, unit);
    strcpy(at, after);
    return text;
}

/* Each ends with a status, on a stack of 64 kB, in a few seconds. */
START_TEST(templates_that_mean_harm_are_stopped)
{
    static const struct {
        const char *before, *unit, *after;
        int32_t times;
        kd_status status;
    } all[] = {
        { "{{ ", "(", "1", 20000, KD_ERR_RANGE },
        { "{{ ", "[", "", 20000, KD_ERR_RANGE },
        { "{{ ", "not ", "1 }}", 20000, KD_ERR_RANGE },
        { "{{ ", "-", "1 }}", 20000, KD_ERR_RANGE },
        { "{{ x", ".a", " }}", 20000, KD_ERR_RANGE },
        { "{{ 1", "|abs", " }}", 20000, KD_ERR_RANGE },
        { "{{ 1", " if 1 else 1", " }}", 20000, KD_ERR_RANGE },
        { "{{ 1", " + 1", " }}", 20000, KD_OK },
        { "", "{% if 1 %}", "", 20000, KD_ERR_RANGE },
        { "{% if 0 %}", "{% elif 0 %}", "{% endif %}", 20000, KD_OK },
        { "", "{% for x in [1] %}", "", 70, KD_ERR_FORMAT },
        { "{{ ", "(1 or 1 and not 1 == 1 + 1 ~ 1 * 1 ** ", "", 60, KD_ERR_RANGE },
        { "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "", "", 0, KD_ERR_RANGE },
        { "{% macro m() %}{% for a in [1] %}{% if a %}{{ [[m()]] }}{% endif %}{% endfor %}{% "
          "endmacro %}{{ m() }}",
          "", "", 0, KD_ERR_RANGE },
        { "{% macro m(x) %}{% call m(x) %}{{ caller() }}{% endcall %}{% endmacro %}{{ m(1) }}", "",
          "", 0, KD_ERR_RANGE },
        { "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "", "",
          0, KD_ERR_RANGE },
        { "{% set ns = namespace(x='ab') %}{% for a in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% "
          "endfor %}",
          "", "", 0, KD_ERR_RANGE },
        { "{% set ns = namespace(x=[]) %}{% for a in range(9999) %}{% set ns.x = [ns.x] %}{% "
          "endfor %}{{ ns.x }}",
          "", "", 0, KD_ERR_RANGE },
        { "{% set ns = namespace(x=[]) %}{% for a in range(9999) %}{% set ns.x = [ns.x] %}{% "
          "endfor %}{{ ns.x == ns.x }}",
          "", "", 0, KD_ERR_RANGE },
        { "{% set ns = namespace(x=[]) %}{% for a in range(9999) %}{% set ns.x = [ns.x] %}{% "
          "endfor %}{{ ns.x | tojson }}",
          "", "", 0, KD_ERR_RANGE },
        { "{% set s = 'a' * 9999999 %}{% for a in range(99999) %}{{ 'b' in s }}{% endfor %}", "",
          "", 0, KD_ERR_RANGE },
        { "{{ 'a' * 99999999999 }}", "", "", 0, KD_ERR_RANGE },
        { "{{ ''.join(range(99999)|map('string')) * 99999 }}", "", "", 0, KD_ERR_RANGE },
        { "{{ range(99999999999) }}", "", "", 0, KD_ERR_RANGE },
        { "{{ 9223372036854775807 + 1 }}", "", "", 0, KD_ERR_UNSUPPORTED },
        { "{{ '%99999999s' % 1 }}", "", "", 0, KD_ERR_RANGE }
    };
    kd_context *ctx = make_context(1);
    const int is_few = getenv("KD_TEST_FEW") != NULL;
    for (size_t i = is_few; i < sizeof all / sizeof *all; i += is_few ? 3 : 1) {
        char *text = repeated(all[i].before, all[i].unit, all[i].times, all[i].after);
        harm h = { ctx, scratch_path("chat"), KD_OK };
        pthread_attr_t attributes;
        pthread_t thread;
        struct timespec begin, end;
        kd_tokenizer_free(load(ctx, "", NULL));
        put(h.folder, "chat_template.jinja", text);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
        ck_assert_int_eq(pthread_attr_init(&attributes), 0);
        const size_t stack = is_loose() ? (size_t)8 << 20 : ((size_t)64 << 10) + least_stack();
        ck_assert_int_eq(pthread_attr_setstacksize(&attributes, stack), 0);
        ck_assert_int_eq(pthread_create(&thread, &attributes, render_in_thread, &h), 0);
        pthread_join(thread, NULL);
        pthread_attr_destroy(&attributes);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
        ck_assert_msg(h.status == all[i].status, "%zu, %s%s: %s", i, all[i].before, all[i].unit,
                      kd_status_name(h.status));
        ck_assert_msg(end.tv_sec - begin.tv_sec < (is_loose() ? 600 : 20), "%zu took %ld s", i,
                      (long)(end.tv_sec - begin.tv_sec));
        free(text);
    }
    kd_context_free(ctx);
}
END_TEST

Suite *chat_suite(void)
{
    Suite *suite = suite_create("chat");
    TCase *tests = tcase_create("chat");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, formats_are_written_as_the_families_do);
    tcase_add_test(tests, formats_refuse_what_they_cannot_write);
    tcase_add_test(tests, a_format_is_what_a_template_does);
    tcase_add_test(tests, a_template_sees_what_the_host_gives);
    tcase_add_test(tests, templates_of_a_list_are_chosen_by_name);
    tcase_add_test(tests, templates_are_refused_with_name_and_line_when_used);
    tcase_add_test(tests, the_mask_is_what_the_assistant_says);
    tcase_add_test(tests, reasoning_stays_or_goes_as_asked);
    tcase_add_test(tests, a_thought_in_other_marks_goes_as_asked);
    suite_add_tcase(suite, tests);
    TCase *slow = tcase_create("slow");
    tcase_set_tags(slow, "slow");
    tcase_set_timeout(slow, 120);
    tcase_add_test(slow, templates_that_mean_harm_are_stopped);
    suite_add_tcase(suite, slow);
    return suite;
}
