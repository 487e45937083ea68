/* Chats as text, in the formats of four families; the template file tells which by the marks that it writes. */
#include "tokenizer/chat.h"

#include <string.h>

#include "base/file.h"

#define THINK_END "</think>"
/* DeepSeek's marks are written with U+FF5C and U+2581. */
#define DEEPSEEK_BEGIN                                                                                                                               \
    "<\xef\xbd\x9c"                                                                                                                                  \
    "begin\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>"
#define DEEPSEEK_END                                                                                                                                 \
    "<\xef\xbd\x9c"                                                                                                                                  \
    "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>"
#define DEEPSEEK_USER "<\xef\xbd\x9cUser\xef\xbd\x9c>"
#define DEEPSEEK_ASSISTANT                                                                                                                           \
    "<\xef\xbd\x9c"                                                                                                                                  \
    "Assistant\xef\xbd\x9c>"

/* ---- which format ---- */

/* ChatML's default system message stands in the template as one text: <|im_start|>system, a new line, the message, <|im_end|>. */
static kd_status find_default_system(kd_tokenizer *t)
{
    static const char begin[] = "<|im_start|>system";
    for (const char *at = strstr(t->chat_template, begin); at; at = strstr(at + 1, begin)) {
        const char *from = at + sizeof begin - 1, *end = strstr(from, "<|im_end|>");
        if (from[0] == '\\' && from[1] == 'n') from += 2;
        else if (from[0] == '\n') from++;
        else continue;
        if (!end || end == from || memchr(from, '\'', (size_t)(end - from)) || memchr(from, '"', (size_t)(end - from)) ||
            memchr(from, '\\', (size_t)(end - from)))
            continue;
        kd__text message = { .context = t->object.context };
        KD_TRY(kd__text_append(&message, from, (size_t)(end - from)));
        kd__release(t->object.context, t->default_system);
        t->default_system = message.bytes;
        return KD_OK;
    }
    return KD_OK;
}

static kd_status recognise(kd_tokenizer *t)
{
    const char *text = t->chat_template;
    if (strstr(text, "<|im_start|>")) {
        t->chat_format = KD_CHAT_CHATML;
        t->chat_thinks = strstr(text, "reasoning_content") != NULL;
        return find_default_system(t);
    }
    if (strstr(text, DEEPSEEK_USER) && strstr(text, DEEPSEEK_ASSISTANT)) {
        t->chat_format = KD_CHAT_DEEPSEEK;
        t->chat_thinks = strstr(text, "<think>") != NULL;
    } else if (strstr(text, "<|start_header_id|>") && !strstr(text, "Cutting Knowledge")) t->chat_format = KD_CHAT_LLAMA3;
    else if (strstr(text, "[INST]") && strstr(text, "<<SYS>>")) t->chat_format = KD_CHAT_LLAMA2;
    return KD_OK;
}

/* KD_OK with *text NULL when the file is not there. */
static kd_status read_file(kd_context *context, const char *folder, const char *name, char **text, int64_t *bytes)
{
    char *path = NULL;
    KD_TRY(kd__path_join(context, &path, folder, name));
    const kd_status status = kd__file_read(context, path, 1 << 24, text, bytes);
    kd__release(context, path);
    return status == KD_ERR_NOT_FOUND ? KD_OK : status;
}

/* "chat_template" of the config: a text, or a list of named ones of which "default" counts. */
static kd_status template_of_config(kd_tokenizer *t, const char *folder)
{
    kd_context *context = t->object.context;
    kd__json_document document = { 0 };
    char *config = NULL;
    int64_t bytes;
    KD_TRY(read_file(context, folder, "tokenizer_config.json", &config, &bytes));
    if (!config) return KD_OK;
    kd_status status = kd__json_parse(&document, context, config, (size_t)bytes, "tokenizer_config.json");
    if (status == KD_OK) {
        const kd__json *found = kd__json_member(document.root, "chat_template");
        for (const kd__json *n = found && found->type == KD__JSON_ARRAY ? found->first : NULL; n; n = n->next) {
            const kd__json *name = kd__json_member(n, "name");
            if (name && name->type == KD__JSON_STRING && !strcmp(name->text, "default")) found = kd__json_member(n, "template");
        }
        if (found && found->type == KD__JSON_STRING) status = kd__copy_text(context, &t->chat_template, found->text);
    }
    kd__json_free(&document);
    kd__release(context, config);
    return status;
}

kd_status kd__chat_template_read(kd_tokenizer *t, const char *folder)
{
    int64_t bytes;
    KD_TRY(read_file(t->object.context, folder, "chat_template.jinja", &t->chat_template, &bytes));
    if (!t->chat_template) KD_TRY(template_of_config(t, folder));
    return t->chat_template ? recognise(t) : KD_OK;
}

kd_status kd__chat_template_take(kd_tokenizer *t, const char *text, int64_t bytes)
{
    kd__text copy = { .context = t->object.context };
    KD_TRY(kd__text_append(&copy, text, (size_t)bytes));
    t->chat_template = copy.bytes;
    return recognise(t);
}

kd_status kd_tokenizer_chat_format(kd_tokenizer *t, int32_t *format)
{
    KD_NEED(t);
    KD_NEED(format);
    *format = t->chat_format;
    return KD_OK;
}

/* ---- rendering ---- */

typedef struct {
    const kd_tokenizer *t;
    const kd_message *messages;
    int32_t count;
    kd_chat_options o;
    kd__text text;
    int64_t *answers; /* begin and end of each of the assistant's parts */
    int64_t answer_count;
} chat;

static kd_status put(chat *c, const char *text) { return kd__text_append(&c->text, text, strlen(text)); }
static kd_status put_part(chat *c, const char *from, const char *end) { return kd__text_append(&c->text, from, (size_t)(end - from)); }
static int is_role(const kd_message *m, const char *role) { return !strcmp(m->role, role); }

static void open_answer(chat *c) { c->answers[2 * c->answer_count] = c->text.size; }
static void close_answer(chat *c) { c->answers[2 * c->answer_count++ + 1] = c->text.size; }

static int is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static kd_status put_trimmed(chat *c, const char *text)
{
    const char *end = text + strlen(text);
    while (text < end && is_blank(*text)) text++;
    while (end > text && is_blank(end[-1])) end--;
    return put_part(c, text, end);
}

static const char *last_think_end(const char *text)
{
    const char *found = NULL;
    for (const char *at = strstr(text, THINK_END); at; at = strstr(at + 1, THINK_END)) found = at;
    return found;
}

static const char *skip_lines(const char *at, const char *end)
{
    while (at < end && *at == '\n') at++;
    return at;
}

/* Qwen3: reasoning stays in the answers behind the last question, the last answer has a place for it even when it is empty, and
 * earlier answers lose theirs.                                                                                                  */
static kd_status put_thinking(chat *c, int32_t index)
{
    const char *content = c->messages[index].content, *close = strstr(content, THINK_END), *last = last_think_end(content);
    const char *answer = last ? last + strlen(THINK_END) : content, *end = content + strlen(content);
    int32_t question = c->count - 1;
    for (int32_t i = c->count - 1; i >= 0; i--)
        if (is_role(&c->messages[i], "user")) {
            question = i;
            break;
        }
    const char *from = content, *to = close ? close : content;
    while (close && to > from && to[-1] == '\n') to--;
    for (const char *at = strstr(content, "<think>"); at && close && at < close; at = strstr(at + 1, "<think>")) from = at + strlen("<think>");
    if (from > to) from = to;
    from = skip_lines(from, to);
    if (last) answer = skip_lines(answer, end);
    if ((index > question && (index == c->count - 1 || from < to)) || (c->o.keep_reasoning && from < to)) {
        KD_TRY(put(c, "<think>\n"));
        KD_TRY(put_part(c, from, to));
        KD_TRY(put(c, "\n</think>\n\n"));
        answer = skip_lines(answer, end);
    }
    return put_part(c, answer, end);
}

static kd_status chatml(chat *c)
{
    if (c->t->default_system && c->t->chat_format == KD_CHAT_CHATML && (!c->count || !is_role(c->messages, "system"))) {
        KD_TRY(put(c, "<|im_start|>system\n"));
        KD_TRY(put(c, c->t->default_system));
        KD_TRY(put(c, "<|im_end|>\n"));
    }
    for (int32_t i = 0; i < c->count; i++) {
        const int answer = is_role(&c->messages[i], "assistant");
        KD_TRY(put(c, "<|im_start|>"));
        KD_TRY(put(c, c->messages[i].role));
        KD_TRY(put(c, "\n"));
        if (answer) open_answer(c);
        KD_TRY(answer && c->t->chat_thinks ? put_thinking(c, i) : put(c, c->messages[i].content));
        KD_TRY(put(c, "<|im_end|>"));
        if (answer) close_answer(c);
        KD_TRY(put(c, "\n"));
    }
    return c->o.ask ? put(c, "<|im_start|>assistant\n") : KD_OK;
}

static kd_status llama3(chat *c)
{
    KD_TRY(put(c, "<|begin_of_text|>"));
    for (int32_t i = 0; i < c->count; i++) {
        const int answer = is_role(&c->messages[i], "assistant");
        KD_TRY(put(c, "<|start_header_id|>"));
        KD_TRY(put(c, c->messages[i].role));
        KD_TRY(put(c, "<|end_header_id|>\n\n"));
        if (answer) open_answer(c);
        KD_TRY(put_trimmed(c, c->messages[i].content));
        KD_TRY(put(c, "<|eot_id|>"));
        if (answer) close_answer(c);
    }
    return c->o.ask ? put(c, "<|start_header_id|>assistant<|end_header_id|>\n\n") : KD_OK;
}

static kd_status llama2(chat *c)
{
    const int32_t first = c->count && is_role(c->messages, "system");
    for (int32_t i = first; i < c->count; i++) {
        const int answer = (i - first) % 2;
        KD_FAIL_IF(!is_role(&c->messages[i], answer ? "assistant" : "user"), KD_ERR_INVALID,
                   "message %d: Llama 2's chats alternate user and assistant behind one system message, got %.20s", i, c->messages[i].role);
        if (answer) {
            open_answer(c);
            KD_TRY(put(c, " "));
            KD_TRY(put_trimmed(c, c->messages[i].content));
            KD_TRY(put(c, " </s>"));
            close_answer(c);
            continue;
        }
        KD_TRY(put(c, "<s>[INST] "));
        if (first && i == first) {
            KD_TRY(put(c, "<<SYS>>\n"));
            KD_TRY(put(c, c->messages[0].content));
            KD_TRY(put(c, "\n<</SYS>>\n\n"));
            KD_TRY(put(c, c->messages[i].content));
        } else KD_TRY(put_trimmed(c, c->messages[i].content));
        KD_TRY(put(c, " [/INST]"));
    }
    return KD_OK;
}

static kd_status deepseek(chat *c)
{
    KD_TRY(put(c, DEEPSEEK_BEGIN));
    for (int32_t i = 0; i < c->count; i++)
        if (is_role(&c->messages[i], "system")) KD_TRY(put(c, c->messages[i].content));
    for (int32_t i = 0; i < c->count; i++) {
        const char *content = c->messages[i].content, *close = c->o.keep_reasoning ? NULL : last_think_end(content);
        if (is_role(&c->messages[i], "system")) continue;
        const int answer = is_role(&c->messages[i], "assistant");
        KD_TRY(put(c, answer ? DEEPSEEK_ASSISTANT : DEEPSEEK_USER));
        if (answer) open_answer(c);
        KD_TRY(put(c, close ? close + strlen(THINK_END) : content));
        if (!answer) continue;
        KD_TRY(put(c, DEEPSEEK_END));
        close_answer(c);
    }
    if (!c->o.ask) return KD_OK;
    KD_TRY(put(c, DEEPSEEK_ASSISTANT));
    return c->t->chat_thinks || c->t->chat_format != KD_CHAT_DEEPSEEK ? put(c, "<think>\n") : KD_OK;
}

static kd_status check_messages(const kd_message *messages, int32_t count)
{
    KD_FAIL_IF(count < 0 || (count && !messages), KD_ERR_INVALID, "messages: %d of them at %s", count, messages ? "an address" : "NULL");
    for (int32_t i = 0; i < count; i++) {
        KD_FAIL_IF(!messages[i].role || !messages[i].content, KD_ERR_INVALID, "message %d has no role or no content", i);
        KD_FAIL_IF(strcmp(messages[i].role, "system") && strcmp(messages[i].role, "user") && strcmp(messages[i].role, "assistant"), KD_ERR_INVALID,
                   "message %d: expected the role system, user or assistant, got %.20s", i, messages[i].role);
    }
    return KD_OK;
}

static kd_status render(chat *c, kd_tokenizer *t, const kd_message *messages, int32_t count, const kd_chat_options *options)
{
    *c = (chat){ .t = t, .messages = messages, .count = count, .o = KD_CHAT_OPTIONS_INIT, .text = { .context = t->object.context } };
    KD_TRY(kd__options_read(&c->o, sizeof c->o, options, "kd_chat_options"));
    KD_TRY(check_messages(messages, count));
    const int32_t format = c->o.format ? c->o.format : t->chat_format;
    KD_FAIL_IF(format < KD_CHAT_AUTO || format > KD_CHAT_DEEPSEEK, KD_ERR_RANGE, "format: expected 0 to %d, got %d", KD_CHAT_DEEPSEEK, format);
    KD_FAIL_IF(format == KD_CHAT_AUTO, KD_ERR_UNSUPPORTED, "chat: %s: name a format, or render the text in the host",
               t->chat_template ? "the folder's template is none that is known" : "the folder has no template");
    KD_TRY(KD_NEW(t->object.context, &c->answers, 2 * count + 2));
    KD_TRY(kd__text_append(&c->text, "", 0));
    return format == KD_CHAT_CHATML ? chatml(c) : format == KD_CHAT_LLAMA3 ? llama3(c) : format == KD_CHAT_LLAMA2 ? llama2(c) : deepseek(c);
}

static void free_chat(chat *c)
{
    kd__text_free(&c->text);
    kd__release(c->t->object.context, c->answers);
}

kd_status kd_chat_text(kd_tokenizer *t, const kd_message *messages, int32_t count, const kd_chat_options *options, char **text)
{
    chat c;
    KD_NEED(t);
    KD_NEED(text);
    const kd_status status = render(&c, t, messages, count, options);
    if (status == KD_OK) {
        *text = c.text.bytes;
        c.text.bytes = NULL;
    }
    free_chat(&c);
    return status;
}

/* Tokens before byte `end` of the text: those that its beginning alone is encoded to, as far as they are the whole text's. */
static kd_status tokens_before(kd_tokenizer *t, const char *text, int64_t end, const kd__ids *whole, int64_t *count)
{
    kd__ids part = { 0 };
    const kd_status status = kd__encode(t, text, end, 0, &part);
    *count = 0;
    while (status == KD_OK && *count < part.count && *count < whole->count && part.at[*count] == whole->at[*count]) ++*count;
    kd__release(t->object.context, part.at);
    return status;
}

static kd_status mark_answers(chat *c, kd_tokenizer *t, const kd__ids *ids, uint8_t *answer)
{
    memset(answer, 0, (size_t)ids->count);
    for (int64_t i = 0; i < c->answer_count; i++) {
        int64_t from, to;
        KD_TRY(tokens_before(t, c->text.bytes, c->answers[2 * i], ids, &from));
        KD_TRY(tokens_before(t, c->text.bytes, c->answers[2 * i + 1], ids, &to));
        if (to > from) memset(answer + from, 1, (size_t)(to - from));
    }
    return KD_OK;
}

kd_status kd_chat_encode(kd_tokenizer *t, const kd_message *messages, int32_t count, const kd_chat_options *options, int32_t *ids, uint8_t *answer,
                         int64_t room, int64_t *tokens)
{
    chat c;
    kd__ids found = { 0 };
    int64_t counted;
    KD_NEED(t);
    kd_status status = render(&c, t, messages, count, options);
    if (status == KD_OK) status = kd__encode(t, c.text.bytes, c.text.size, 0, &found);
    if (status == KD_OK) status = kd__give_ids(&found, ids, room, tokens ? tokens : &counted);
    if (status == KD_OK && answer && ids) status = mark_answers(&c, t, &found, answer);
    kd__release(t->object.context, found.at);
    free_chat(&c);
    return status;
}

void kd_chat_options_init(kd_chat_options *options, size_t size)
{
    const kd_chat_options defaults = KD_CHAT_OPTIONS_INIT;
    kd__options_init(options, size, &defaults, sizeof defaults);
}
