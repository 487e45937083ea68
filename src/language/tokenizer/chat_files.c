/* Where a tokenizer's chat templates and special tokens come from. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "language/tokenizer/chat.h"

/* ---- templates ---- */

/* Only a lack of memory stops the loading. */
static kd_status take_template(kd_tokenizer *t, kd__chat_template *to, const char *text,
                               int64_t bytes)
{
    kd_context *context = t->object.context;
    if (to->parsed || to->status != KD_OK) return KD_OK; /* the first file counts */
    to->status = kd__template_parse(&to->parsed, context, text, bytes, "chat template");
    if (to->status == KD_ERR_MEMORY) return to->status;
    if (to->status != KD_OK) KD_TRY(kd__copy_text(context, &to->refusal, kd_last_error()));
    if (to != &t->chats->own || t->chat_template) return KD_OK;
    KD_TRY(kd__allocate(context, (void **)&t->chat_template, bytes + 1, 1));
    memcpy(t->chat_template, text, (size_t)bytes);
    return KD_OK;
}

/* A text, or a list of named ones. */
static kd_status take_templates(kd_tokenizer *t, const kd__json *root)
{
    const kd__json *found = kd__json_member(root, "chat_template");
    if (found && found->type == KD__JSON_STRING)
        return take_template(t, &t->chats->own, found->text, found->length);
    for (const kd__json *n = found && found->type == KD__JSON_ARRAY ? found->first : NULL; n;
         n = n->next) {
        const kd__json *name = kd__json_member(n, "name"), *text = kd__json_member(n, "template");
        if (!name || !text || name->type != KD__JSON_STRING || text->type != KD__JSON_STRING)
            continue;
        if (!strcmp(name->text, "default"))
            KD_TRY(take_template(t, &t->chats->own, text->text, text->length));
        if (!strcmp(name->text, "tool_use"))
            KD_TRY(take_template(t, &t->chats->with_tools, text->text, text->length));
    }
    return KD_OK;
}

/* KD_OK with *text NULL when the file is not there. */
static kd_status read_file(kd_context *context, const char *folder, const char *name, char **text,
                           int64_t *bytes)
{
    char *path = NULL;
    KD_TRY(kd__path_join(context, &path, folder, name));
    const kd_status status = kd__file_read(context, path, 1 << 24, text, bytes);
    kd__release(context, path);
    return status == KD_ERR_NOT_FOUND ? KD_OK : status;
}

static kd_status read_template(kd_tokenizer *t, const char *folder, const char *name,
                               kd__chat_template *to)
{
    char *text = NULL;
    int64_t bytes;
    KD_TRY(read_file(t->object.context, folder, name, &text, &bytes));
    const kd_status status = text ? take_template(t, to, text, bytes) : KD_OK;
    kd__release(t->object.context, text);
    return status;
}

/* ---- special tokens ---- */

static const char *const special_names[] = { "bos_token", "eos_token", "unk_token", "sep_token",
                                             "pad_token", "cls_token", "mask_token" };
enum { SPECIAL_NAMES = sizeof special_names / sizeof *special_names };

static kd_status set_special(kd_tokenizer *t, const char *name, const char *text, int64_t bytes)
{
    kd__chats *c = t->chats;
    kd__value token;
    if (kd__dict_text(c->special.dict, name, (int64_t)strlen(name))) return KD_OK;
    KD_TRY(kd__string_copy(&c->room, text, bytes, &token));
    return kd__dict_set_text(&c->room, &c->special, name, &token);
}

/* Each is a text, or an object with "content". */
static kd_status take_special(kd_tokenizer *t, const kd__json *root)
{
    for (int i = 0; i < SPECIAL_NAMES; i++) {
        const kd__json *token = kd__json_member(root, special_names[i]);
        if (token && token->type == KD__JSON_OBJECT) token = kd__json_member(token, "content");
        if (token && token->type == KD__JSON_STRING)
            KD_TRY(set_special(t, special_names[i], token->text, token->length));
    }
    return KD_OK;
}

static kd_status take_config(kd_tokenizer *t, const kd__json *root)
{
    KD_TRY(take_templates(t, root));
    return take_special(t, root);
}

static kd_status read_json(kd_tokenizer *t, const char *folder, const char *name,
                           kd_status (*take)(kd_tokenizer *, const kd__json *))
{
    kd_context *context = t->object.context;
    kd__json_document document = { 0 };
    char *text = NULL;
    int64_t bytes;
    KD_TRY(read_file(context, folder, name, &text, &bytes));
    if (!text) return KD_OK;
    kd_status status = kd__json_parse(&document, context, text, (size_t)bytes, name);
    if (status == KD_OK) status = take(t, document.root);
    kd__json_free(&document);
    kd__release(context, text);
    return status;
}

/* ---- the whole ---- */

kd_status kd__chats_read(kd_tokenizer *t, const char *folder)
{
    kd__chats *c = t->chats;
    KD_TRY(read_template(t, folder, "chat_template.jinja", &c->own));
    KD_TRY(read_template(t, folder, "additional_chat_templates/tool_use.jinja", &c->with_tools));
    KD_TRY(read_json(t, folder, "tokenizer_config.json", take_config));
    KD_TRY(read_json(t, folder, "chat_template.json", take_templates));
    const kd_status status = read_json(t, folder, "special_tokens_map.json", take_special);
    /* a broken one says nothing: kd__ends_read tells the log */
    return status == KD_ERR_MEMORY ? status : KD_OK;
}

kd_status kd__chats_read_gguf(kd_tokenizer *t, const kd__gguf *file)
{
    static const struct {
        const char *key, *name;
    } ids[] = { { "tokenizer.ggml.bos_token_id", "bos_token" },
                { "tokenizer.ggml.eos_token_id", "eos_token" },
                { "tokenizer.ggml.unknown_token_id", "unk_token" },
                { "tokenizer.ggml.padding_token_id", "pad_token" } };
    const kd__gguf_string own = kd__gguf_text(file, "tokenizer.chat_template"),
                          tools = kd__gguf_text(file, "tokenizer.chat_template.tool_use");
    if (own.bytes) KD_TRY(take_template(t, &t->chats->own, own.text, own.bytes));
    if (tools.bytes) KD_TRY(take_template(t, &t->chats->with_tools, tools.text, tools.bytes));
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        const double id = kd__gguf_number(file, ids[i].key, -1);
        if (!(id >= 0 && id < (double)t->size) || !t->tokens[(int64_t)id].text) continue;
        const char *text = t->tokens[(int64_t)id].text;
        KD_TRY(set_special(t, ids[i].name, text, (int64_t)strlen(text)));
    }
    return KD_OK;
}

kd_status kd__chats_new(kd_tokenizer *t)
{
    kd_context *context = t->object.context;
    KD_TRY(KD_NEW(context, &t->chats, 1));
    t->chats->room.context = context;
    for (int32_t i = 0; i < KD__CHAT_FORMATS; i++) {
        const char *text = kd__chat_format_text(KD_CHAT_CHATML + i);
        KD_TRY(kd__template_parse(&t->chats->formats[i], context, text, (int64_t)strlen(text),
                                  "chat format"));
    }
    return kd__dict_new(&t->chats->room, &t->chats->special);
}

void kd__chats_free(kd_tokenizer *t)
{
    kd_context *context = t->object.context;
    kd__chats *c = t->chats;
    if (!c) return;
    kd__template_free(c->own.parsed);
    kd__template_free(c->with_tools.parsed);
    kd__release(context, c->own.refusal);
    kd__release(context, c->with_tools.refusal);
    for (int i = 0; i < KD__CHAT_FORMATS; i++) kd__template_free(c->formats[i]);
    kd__room_free(&c->room);
    kd__release(context, c);
}
