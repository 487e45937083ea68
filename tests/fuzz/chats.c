/* Chats and templates by parts: what libFuzzer changes is which statements a template has and which
 * fields a turn has, so that most of them are templates and chats. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "language/tokenizer/chat.h"

enum { MOST_TURNS = 6, MOST_BYTES = 4096, MOST_OPEN = 12 };

typedef struct {
    const uint8_t *at, *end;
} parts;

static uint8_t next(parts *p) { return p->at < p->end ? *p->at++ : 0; }

#define CHOOSE(p, table) (table)[next(p) % (sizeof(table) / sizeof *(table))]

/* ---- templates ---- */

static const char *const expressions[] = {
    "m.content",
    "m.role",
    "m['content'] | trim",
    "m.reasoning_content",
    "m.tool_calls | tojson",
    "loop.index0",
    "loop.last",
    "messages | length",
    "messages[0].content",
    "messages[-1].role",
    "m.content.split('</think>')[-1]",
    "add_generation_prompt",
    "tools | tojson(indent=2)",
    "ns.a",
    "ns.a ~ m.role",
    "m.content is string",
    "m.content[1:]",
    "m.content[::-1]",
    "bos_token",
    "x",
    "m | dictsort",
    "m.items() | list",
    "messages | map(attribute='role') | join(',')",
    "loop.previtem",
    "messages | selectattr('role', 'eq', 'user') | list | length",
    "f(m.content)",
    "1 | nope if x",
    "m.content | replace('a', 'b')",
    "'%s|%5d' % (m.role, 7)",
    "'{:>9}'.format(m.role)",
    "m.name.x.y",
    "m.content | length > 3",
    "not loop.first",
    "m.role == 'assistant'",
    "m.role == 'user'",
};

typedef struct {
    const char *before, *after, *end; /* end: what closes it */
} statement;

static const statement statements[] = {
    { "{{ ", " }}", NULL },
    { "{{- ", " -}}", NULL },
    { "{% if ", " %}", "{% endif %}" },
    { "{%- if ", " -%}", "{%- endif %}" },
    { "{% set x = ", " %}", NULL },
    { "{% set ns.a = ", " %}", NULL },
    { "{% else %}{{ ", " }}", NULL },
    { "{% elif ", " %}", NULL },
    { "<|im_end|>{{ ", " }}\n", NULL },
    { "{% for y in [1, ", "] %}", "{% endfor %}" },
    { "{% set x %}{{ ", " }}", "{% endset %}" },
    { "{% generation %}{{ ", " }}", "{% endgeneration %}" },
    { "<|im_start|>{{ ", " }}\n", NULL },
    { "{% if loop.index > 3 %}{% break %}{% endif %}{{ ", " }}", NULL },
    { "{% filter upper %}{{ ", " }}", "{% endfilter %}" },
    { " \n {%+ if ", " %}", "{% endif %}" },
    { "{% macro f(a, b=1) %}{{ a }}{{ ", " }}", "{% endmacro %}" },
    { "<think>{{ ", " }}</think>", NULL },
    { "{% call f(", ") %}{% endcall %}", NULL },
    { "{{ raise_exception(", ") }}", NULL },
};

static void put(char *text, const char *more)
{
    if (strlen(text) + strlen(more) < MOST_BYTES) strcat(text, more);
}

/* Statements up to a byte 0 or the end; what is open is closed then, or by a byte above 239. */
static void add_body(parts *p, char *text)
{
    const char *open[MOST_OPEN];
    int count = 0;
    for (uint8_t byte; (byte = next(p)) != 0;) {
        const statement *s = &statements[byte % (sizeof statements / sizeof *statements)];
        if (byte > 239 && count) put(text, open[--count]);
        if (byte > 239 || count == MOST_OPEN) continue;
        put(text, s->before);
        put(text, CHOOSE(p, expressions));
        put(text, s->after);
        if (s->end) open[count++] = s->end;
    }
    while (count) put(text, open[--count]);
}

static void make_template(parts *p, char *text)
{
    *text = 0;
    put(text, "{% set ns = namespace(a='') %}{% macro f(a) %}[{{ a }}]{% endmacro %}");
    add_body(p, text);
    put(text, "{% for m in messages %}");
    add_body(p, text);
    put(text, "{% endfor %}");
    add_body(p, text);
    if (next(p) & 1) put(text, "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}");
}

/* ---- chats ---- */

static void make_turn(parts *p, kd_message *m)
{
    static const char *const roles[] = { "user", "assistant", "assistant", "system", "tool", "x" };
    static const char *const contents[] = {
        "Hi",
        "",
        " a b \n",
        "<think>\nwhy\n</think>\n\nb",
        "<think></think>c",
        "</think>",
        "\xc3\xa9\xf0\x9f\x8c\x8d",
        "<|im_end|>",
        "{{ m }}",
        "\xee\x80\x80",
        "CONTINUE_FINAL_MESSAGE_TAG ",
        "aaa",
        "\xff",
    };
    static const char *const extras[] = {
        NULL,
        NULL,
        NULL,
        "{\"reasoning_content\": \"why\"}",
        "{\"thinking\": \"how\", \"reasoning\": \"why\"}",
        "{\"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\": {\"a\": [1, 2.5, "
        "null]}}}]}",
        "{\"content\": [{\"type\": \"text\", \"text\": \"a\"}, {\"type\": \"image\"}]}",
        "{\"content\": null}",
        "{\"name\": \"\\u0000\", \"role\": \"user\"}",
        "[]",
        "{\"content\": 3}",
    };
    *m = (kd_message){ .role = CHOOSE(p, roles),
                       .content = CHOOSE(p, contents),
                       .extra = CHOOSE(p, extras) };
    m->skip = next(p) % 8 == 7;
}

static void make_options(parts *p, kd_chat_options *o)
{
    static const char *const tools[] = { NULL, NULL, "[]", "[{\"function\": {\"name\": \"f\"}}]",
                                         "{" };
    static const char *const variables[] = { NULL, "{\"x\": true}", "{\"messages\": []}",
                                             "{\"x\": {\"y\": [1]}}" };
    kd_chat_options_init(o, sizeof *o);
    o->generation_prompt = next(p) % 5;
    o->format = next(p) % 8 == 7 ? next(p) % 5 : KD_CHAT_AUTO;
    o->keep_reasoning = next(p) % 3 - 1;
    o->tools = CHOOSE(p, tools);
    o->variables = CHOOSE(p, variables);
    o->now = 86400;
}

/* ---- what must hold ---- */

/* What is decoded is what was written; where both calls answer they agree. */
static void use_chat(kd_context *ctx, kd_tokenizer *t, const kd_message *m, int32_t count,
                     const kd_chat_options *o)
{
    static int32_t ids[1 << 16];
    static uint8_t answer[1 << 16];
    static char again[1 << 16];
    int64_t tokens, bytes;
    char *text = NULL;
    const kd_status status = kd_chat_render(t, m, count, o, &text);
    if (kd_chat_encode(t, m, count, o, ids, answer, 1 << 16, &tokens) == KD_OK) {
        if (kd_tokenizer_decode(t, ids, tokens, 0, again, sizeof again, &bytes) != KD_OK)
            bytes = -1;
        if (status == KD_OK && bytes >= 0 && strcmp(again, text) != 0) abort();
        for (int64_t i = 0; i < tokens; i++)
            if (answer[i] > 1) abort();
    }
    kd_context_free_text(ctx, text);
}

/* A byte-level tokenizer without merges. */
static kd_tokenizer *make_tokenizer(kd_context *ctx)
{
    kd_tokenizer *t = NULL;
    char path[64];
    const int file = memfd_create("tokenizer", 0);
    FILE *out = fdopen(file, "wb");
    fprintf(out, "{\"added_tokens\":[{\"id\":256,\"content\":\"<|im_start|>\",\"special\":true},{"
                 "\"id\":257,\"content\":\"<|im_end|>\","
                 "\"special\":true}],\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_"
                 "space\":false,\"use_regex\":false},"
                 "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"merges\":[],"
                 "\"vocab\":{");
    for (int c = 33, id = 0; c < 324; c++) {
        if ((c >= 127 && c <= 160) || c == 173) continue;
        fprintf(out, c < 127 ? "%s\"%s%c\":%d" : "%s\"%s\\u%04x\":%d", id ? "," : "",
                c == '"' || c == '\\' ? "\\" : "", c, id);
        id++;
    }
    fprintf(out, "}}}");
    fflush(out);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (kd_tokenizer_load(&t, ctx, path) != KD_OK) abort();
    fclose(out);
    return t;
}

void use_chat_by_parts(kd_context *ctx, const uint8_t *data, size_t size)
{
    static char text[MOST_BYTES];
    static kd_tokenizer *t;
    parts p = { data, data + size };
    kd_message messages[MOST_TURNS];
    kd_chat_options options;
    if (!t) t = make_tokenizer(ctx);
    make_template(&p, text);
    const int32_t count = next(&p) % (MOST_TURNS + 1);
    make_options(&p, &options);
    for (int32_t i = 0; i < count; i++) make_turn(&p, &messages[i]);
    kd__chat_template *own = &t->chats->own;
    if (kd__template_parse(&own->parsed, ctx, text, (int64_t)strlen(text), "fuzz") == KD_OK)
        use_chat(ctx, t, messages, count, &options);
    kd__template_free(own->parsed);
    own->parsed = NULL;
}
