/* A folder with a small tokenizer and a chat template, and what is asked of it. */
#ifndef CHATKIT_H
#define CHATKIT_H

#include "textkit.h"
#include "unit.h"

static inline void put(const char *folder, const char *name, const char *text)
{
    char path[700];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (text) write_file(path, text, strlen(text));
    else remove(path);
}

/* A folder with a byte-level tokenizer and these files; NULL: not there. */
static inline kd_tokenizer *load(kd_context *ctx, const char *jinja, const char *config)
{
    char path[600];
    const char *folder = scratch_path("chat");
    kd_tokenizer *t;
    snprintf(path, sizeof path, "mkdir -p %s", folder);
    ck_assert_int_eq(system(path), 0);
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    ck_assert(bytes_tokenizer(path, TEXT_CUT, TEXT_ADDED) == 0);
    put(folder, "chat_template.jinja", jinja);
    put(folder, "tokenizer_config.json", config);
    OK(kd_tokenizer_load(&t, ctx, folder));
    return t;
}

static inline void says(kd_context *ctx, kd_tokenizer *t, const kd_message *m, int32_t count,
                        const kd_chat_options *o, const char *expected)
{
    char *text;
    OK(kd_chat_render(t, m, count, o, &text));
    ck_assert_str_eq(text, expected);
    kd_context_free_text(ctx, text);
}

static inline kd_chat_options options(int32_t format, int32_t ask, int32_t keep)
{
    kd_chat_options o = KD_CHAT_OPTIONS_INIT;
    o.format = format;
    o.generation_prompt = ask;
    o.keep_reasoning = keep;
    return o;
}

/* What is learned, a | after each part. */
static inline void learns(kd_tokenizer *t, const kd_message *m, int32_t count,
                          const kd_chat_options *o, const char *expected)
{
    static int32_t ids[4096];
    static uint8_t answer[4096];
    char text[1024], found[2048] = "";
    int64_t n, part = 0;
    OK(kd_chat_encode(t, m, count, o, ids, answer, 4096, &n));
    for (int64_t i = 0; i <= n; i++) {
        if (i < n && answer[i]) {
            part++;
            continue;
        }
        if (part) {
            OK(kd_tokenizer_decode(t, ids + i - part, part, 0, text, sizeof text, NULL));
            strcat(strcat(found, text), "|");
        }
        part = 0;
    }
    ck_assert_str_eq(found, expected);
}

#endif
