/* What a chat template is given, and its text. */
#include <stdio.h>
#include <string.h>

#include "language/text/thoughts.h"
#include "language/tokenizer/chat.h"

/* ---- values ---- */

/* A JSON text as a value; `type` must be its root's. */
static kd_status parse_json(kd__chat *c, const char *text, int32_t type, const char *what,
                            kd__value *out)
{
    kd__json_document document = { 0 };
    KD_TRY(kd__json_parse(&document, c->t->object.context, text, strlen(text), what));
    kd_status status = KD_OK;
    if (document.root->type != type)
        status = kd__fail(KD_ERR_INVALID, "%s: expected a JSON %s", what,
                          type == KD__JSON_ARRAY ? "array" : "object");
    if (status == KD_OK) status = kd__value_from_json(&c->room, document.root, out);
    kd__json_free(&document);
    return status;
}

static kd_status set_text(kd__chat *c, kd__value *dict, const char *name, const char *text)
{
    const kd__value value = kd__string_of(text);
    KD_FAIL_IF(kd__utf8_valid(text, value.bytes, NULL) != value.bytes, KD_ERR_FORMAT,
               "%s: not UTF-8", name);
    return kd__dict_set_text(&c->room, dict, name, &value);
}

/* The thought is told under the names that templates read it by, as transformers does. */
static kd_status alias_reasoning(kd__chat *c, kd__value *turn)
{
    static const char *const names[] = { "reasoning_content", "thinking", "reasoning" };
    const kd__value *found = NULL;
    for (int i = 0; i < 3 && !found; i++)
        found = kd__dict_text(turn->dict, names[i], (int64_t)strlen(names[i]));
    if (!found) return KD_OK;
    const kd__value thought = *found;
    if (!kd__dict_text(turn->dict, "thinking", 8))
        KD_TRY(kd__dict_set_text(&c->room, turn, "thinking", &thought));
    return kd__dict_set_text(&c->room, turn, "reasoning_content", &thought);
}

/* Role, content, then the members of `extra`, which stand before them when they are called the
 * same; null is as if not there. */
static kd_status make_turn(kd__chat *c, int32_t i)
{
    const kd_message *m = &c->messages[i];
    kd__value *turn = &c->turns[i], extra, given;
    char what[40];
    KD_FAIL_IF(!m->role || !m->content, KD_ERR_INVALID, "message %d has no role or no content", i);
    snprintf(what, sizeof what, "message %d: extra", i);
    KD_TRY(kd__dict_new(&c->room, &given));
    KD_TRY(kd__dict_new(&c->room, turn));
    KD_TRY(set_text(c, &given, "role", m->role));
    KD_TRY(set_text(c, &given, "content", m->content));
    if (m->extra) KD_TRY(parse_json(c, m->extra, KD__JSON_OBJECT, what, &extra));
    for (int64_t k = 0; m->extra && k < extra.dict->count; k++)
        KD_TRY(kd__dict_set(&c->room, &given, &extra.dict->entries[k].key,
                            &extra.dict->entries[k].value));
    for (int64_t k = 0; k < given.dict->count; k++)
        if (given.dict->entries[k].value.type != KD__V_NONE)
            KD_TRY(kd__dict_set(&c->room, turn, &given.dict->entries[k].key,
                                &given.dict->entries[k].value));
    return alias_reasoning(c, turn);
}

static int is_reasoning(const kd__value *key)
{
    return kd__is_string(key, "reasoning_content") || kd__is_string(key, "thinking") ||
           kd__is_string(key, "reasoning");
}

kd_status kd__chat_turn_with(kd__chat *c, const kd__value *turn, const kd__value *content,
                             kd__value *out)
{
    const kd__dict *from = turn->dict;
    KD_TRY(kd__dict_new(&c->room, out));
    for (int64_t i = 0; i < from->count; i++)
        if (!is_reasoning(&from->entries[i].key))
            KD_TRY(kd__dict_set(&c->room, out, &from->entries[i].key, &from->entries[i].value));
    return kd__dict_set_text(&c->room, out, "content", content);
}

/* Where the content after the last thought begins; NULL: it has none. */
static const char *after_thought(const kd__value *content)
{
    return kd__thoughts_of(content->text, content->text + content->bytes).last.end;
}

kd__value kd__chat_thought(const kd__value *turn, int32_t *in_content)
{
    const kd__value *member = kd__dict_text(turn->dict, "reasoning_content", 17),
                    *content = kd__dict_text(turn->dict, "content", 7);
    *in_content = 0;
    if (member && member->type == KD__V_STRING && member->bytes) return *member;
    if (!content || content->type != KD__V_STRING) return kd__string("", 0);
    const kd__thoughts t = kd__thoughts_of(content->text, content->text + content->bytes);
    if (!t.closed) return kd__string("", 0);
    *in_content = 1;
    const char *end = t.last.at, *from = content->text;
    if (t.opened && t.opening.end <= end) from = t.opening.end;
    while (from < end && (*from == '\n' || *from == ' ')) from++;
    while (end > from && (end[-1] == '\n' || end[-1] == ' ')) end--;
    return kd__string(from, end - from);
}

static int is_answer(const kd_message *m) { return !strcmp(m->role, "assistant"); }

static kd_status drop_thought(kd__chat *c, int32_t i)
{
    const kd__value *found = kd__dict_text(c->turns[i].dict, "content", 7);
    kd__value content = found ? *found : kd__string("", 0), turn;
    const char *rest = content.type == KD__V_STRING ? after_thought(&content) : NULL;
    if (rest) {
        const char *end = content.text + content.bytes;
        while (rest < end && *rest == '\n') rest++;
        content = kd__string(rest, end - rest);
    }
    KD_TRY(kd__chat_turn_with(c, &c->turns[i], &content, &turn));
    c->turns[i] = turn;
    return KD_OK;
}

static kd_status make_turns(kd__chat *c)
{
    KD_TRY(KD_TAKE(&c->room, &c->turns, c->count + 1));
    for (int32_t i = 0; i < c->count; i++) {
        KD_TRY(make_turn(c, i));
        if (c->o.keep_reasoning == 0 && is_answer(&c->messages[i])) KD_TRY(drop_thought(c, i));
    }
    return KD_OK;
}

/* Special tokens, tools, then the host's variables, which stand before both. */
static kd_status make_variables(kd__chat *c)
{
    const kd__dict *special = c->t->chats->special.dict;
    kd__value tools = kd__none(), given;
    const kd__value none = kd__none(), keeps = kd__bool(c->o.keep_reasoning == 1);
    KD_TRY(kd__dict_new(&c->room, &c->variables));
    for (int64_t i = 0; i < special->count; i++)
        KD_TRY(kd__dict_set(&c->room, &c->variables, &special->entries[i].key,
                            &special->entries[i].value));
    if (c->o.tools && *c->o.tools)
        KD_TRY(parse_json(c, c->o.tools, KD__JSON_ARRAY, "tools", &tools));
    KD_TRY(kd__dict_set_text(&c->room, &c->variables, "tools", &tools));
    KD_TRY(kd__dict_set_text(&c->room, &c->variables, "documents", &none));
    if (c->o.format != KD_CHAT_AUTO)
        KD_TRY(kd__dict_set_text(&c->room, &c->variables, "keep_reasoning", &keeps));
    if (!c->o.variables || !*c->o.variables) return KD_OK;
    KD_TRY(parse_json(c, c->o.variables, KD__JSON_OBJECT, "variables", &given));
    for (int64_t i = 0; i < given.dict->count; i++)
        KD_TRY(kd__dict_set(&c->room, &c->variables, &given.dict->entries[i].key,
                            &given.dict->entries[i].value));
    return KD_OK;
}

/* ---- which template ---- */

static kd_status own_template(kd__chat *c)
{
    const kd__chats *chats = c->t->chats;
    const int tools = c->o.tools && *c->o.tools;
    const kd__chat_template *own =
        tools && (chats->with_tools.parsed || chats->with_tools.status != KD_OK)
            ? &chats->with_tools
            : &chats->own;
    KD_FAIL_IF(own->status != KD_OK, own->status, "%s", own->refusal);
    KD_FAIL_IF(!own->parsed, KD_ERR_UNSUPPORTED,
               "chat: the folder has no chat template: choose a format (KD_CHAT_CHATML, "
               "KD_CHAT_LLAMA3, KD_CHAT_LLAMA2, KD_CHAT_DEEPSEEK), or "
               "use KD_CHAT_PLAIN where there is no chat");
    c->template = own->parsed;
    return KD_OK;
}

static kd_status choose_template(kd__chat *c)
{
    KD_FAIL_IF(c->o.format < KD_CHAT_AUTO || c->o.format > KD_CHAT_DEEPSEEK, KD_ERR_RANGE,
               "format: expected 0 to %d, got %d", KD_CHAT_DEEPSEEK, c->o.format);
    KD_FAIL_IF(c->o.generation_prompt < KD_CHAT_PROMPT_NONE ||
                   c->o.generation_prompt > KD_CHAT_PROMPT_CONTINUE_THOUGHT,
               KD_ERR_RANGE, "ask: expected 0 to %d, got %d", KD_CHAT_PROMPT_CONTINUE_THOUGHT,
               c->o.generation_prompt);
    KD_FAIL_IF(c->o.keep_reasoning < -1 || c->o.keep_reasoning > 1, KD_ERR_RANGE,
               "keep_reasoning: expected -1, 0 or 1, got %d", c->o.keep_reasoning);
    if (c->o.format == KD_CHAT_AUTO) return own_template(c);
    c->template = c->t->chats->formats[c->o.format - KD_CHAT_CHATML];
    return KD_OK;
}

/* ---- rendering ---- */

kd_status kd__chat_begin(kd__chat *c, kd_tokenizer *t, const kd_message *messages, int32_t count,
                         const kd_chat_options *options)
{
    kd_context *context = t->object.context;
    *c = (kd__chat){ .t = t, .messages = messages, .count = count, .o = KD_CHAT_OPTIONS_INIT };
    c->room.context = c->work.context = context;
    KD_TRY(kd__options_read(&c->o, sizeof c->o, options, "kd_chat_options"));
    KD_FAIL_IF(count < 0 || (count && !messages), KD_ERR_INVALID, "messages: %d of them at %s",
               count, messages ? "an address" : "NULL");
    KD_TRY(choose_template(c));
    KD_TRY(make_turns(c));
    KD_TRY(make_variables(c));
    c->asks = c->o.generation_prompt == KD_CHAT_PROMPT_ANSWER;
    return c->o.generation_prompt > KD_CHAT_PROMPT_ANSWER ? kd__chat_open(c) : KD_OK;
}

void kd__chat_end(kd__chat *c)
{
    kd__room_free(&c->work);
    kd__room_free(&c->room);
}

/* The text moves into the room that stays. */
static kd_status keep(kd__chat *c, kd__template_output *out)
{
    kd__value text;
    int64_t *generated = NULL;
    KD_TRY(kd__string_copy(&c->room, out->text, out->bytes, &text));
    if (out->generated_count > 0) {
        KD_TRY(KD_TAKE(&c->room, &generated, 2 * out->generated_count));
        memcpy(generated, out->generated, 2 * (size_t)out->generated_count * sizeof *generated);
    }
    out->text = text.text;
    out->generated = generated;
    return KD_OK;
}

kd_status kd__chat_render(kd__chat *c, const kd__value *turns, int32_t count, int32_t ask,
                          kd__template_output *out)
{
    const kd__template_options options = { .now = c->o.now };
    const kd__value asks = kd__bool(ask);
    kd__list list = { .items = (kd__value *)(uintptr_t)turns, .count = count };
    const kd__value messages = { .type = KD__V_LIST, .list = &list };
    kd__value variables;
    kd__room_clear(&c->work);
    c->work.most_work = KD__TEMPLATE_WORK + 64 * c->room.work;
    KD_TRY(kd__dict_new(&c->work, &variables));
    KD_TRY(kd__dict_set_text(&c->work, &variables, "messages", &messages));
    KD_TRY(kd__dict_set_text(&c->work, &variables, "add_generation_prompt", &asks));
    for (int64_t i = 0; i < c->variables.dict->count; i++)
        KD_TRY(kd__dict_set(&c->work, &variables, &c->variables.dict->entries[i].key,
                            &c->variables.dict->entries[i].value));
    KD_TRY(kd__template_render(c->template, &c->work, &variables, &options, out));
    return keep(c, out);
}
