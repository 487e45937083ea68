/* The public tokenizer: loading, encoding, decoding, text as it comes. */
#include <string.h>

#include "base/file.h"
#include "tokenizer/chat.h"
#include "tokenizer/gguf_tokenizer.h"
#include "tokenizer/tokenizer.h"

#define MOST_BYTES ((int64_t)1 << 28)

/* ---- loading ---- */

static void free_steps(kd_context *context, kd__steps *steps)
{
    for (int64_t i = 0; i < steps->count; i++) kd__regex_free(steps->step[i].regex);
    kd__release(context, steps->step);
}

void kd_tokenizer_free(kd_tokenizer *t)
{
    if (!kd__object_drop(t)) return;
    kd_context *context = t->object.context;
    for (int64_t i = 0; i < t->own_count; i++) kd__release(context, t->own[i]);
    for (int64_t i = 0; i < t->size; i++) kd__release(context, t->tokens[i].normal);
    free_steps(context, &t->normalizers);
    free_steps(context, &t->cuts);
    free_steps(context, &t->decoders);
    kd__json_free(&t->document);
    kd__unicode_free(t->unicode);
    void *blocks[] = {
        t->source, t->chat_template, t->default_system,         t->own,       t->keys, t->tokens, t->by_text, t->by_key, t->merges, t->added.nodes,
        t->before, t->behind,        t->added_normalized.nodes, t->neighbours
    };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(context, blocks[i]);
    kd__object_destroy(t);
}

kd_status kd__tokenizer_parse(kd_tokenizer **out, kd_context *context, char *source, int64_t bytes, const char *what)
{
    kd_tokenizer *t = NULL;
    kd_status status = kd__object_create((void **)&t, context, sizeof *t);
    if (status != KD_OK) {
        kd__release(context, source);
        return status;
    }
    t->source = source;
    t->source_bytes = bytes;
    t->unknown = -1;
    const int64_t valid = kd__utf8_valid(source, bytes, NULL); /* texts of every part are walked a character at a time */
    if (valid != bytes) KD_TRY_GOTO(status, kd__fail(KD_ERR_FORMAT, "%s: byte %lld is not UTF-8", what, (long long)valid), failed);
    KD_TRY_GOTO(status, kd__unicode_make(&t->unicode, context), failed);
    KD_TRY_GOTO(status, kd__json_parse(&t->document, context, source, (size_t)bytes, what), failed);
    KD_TRY_GOTO(status, kd__tokenizer_read(t, what), failed);
    kd__release(context, t->document.nodes); /* texts lie in the document's strings, which stay */
    t->document.nodes = NULL;
    *out = t;
    return KD_OK;
failed:
    kd_tokenizer_free(t);
    return status;
}

/* The file itself; or tokenizer.json, or tokenizer.json.gz, in a folder. */
static kd_status read_source(kd_context *context, const char *path, char **source, int64_t *bytes, int *is_folder)
{
    static const char *const names[] = { "tokenizer.json", "tokenizer.json.gz" };
    *is_folder = kd__is_folder(path);
    if (!*is_folder) return kd__file_read(context, path, MOST_BYTES, source, bytes);
    kd_status status = KD_OK;
    for (int i = 0; i < 2; i++) {
        char *whole = NULL;
        KD_TRY(kd__path_join(context, &whole, path, names[i]));
        status = kd__file_read(context, whole, MOST_BYTES, source, bytes);
        kd__release(context, whole);
        if (status != KD_ERR_NOT_FOUND) return status;
    }
    return kd__fail(KD_ERR_NOT_FOUND, "%s: no tokenizer.json", path);
}

/* A GGUF file has its tokenizer, and its chat template, in its metadata. */
static kd_status load_gguf(kd_tokenizer **out, kd_context *context, const char *path)
{
    kd__gguf file;
    kd__text source = { .context = context };
    kd_tokenizer *t = NULL;
    KD_TRY(kd__gguf_open(&file, context, path));
    kd_status status = kd__gguf_tokenizer_text(&file, &source);
    if (status == KD_OK) {
        status = kd__tokenizer_parse(&t, context, source.bytes, source.size, path); /* takes the text over */
        source.bytes = NULL;
    }
    const kd__gguf_string chat = kd__gguf_text(&file, "tokenizer.chat_template");
    if (status == KD_OK && chat.bytes) status = kd__chat_template_take(t, chat.text, chat.bytes);
    kd__text_free(&source);
    kd__gguf_close(&file);
    if (status != KD_OK) {
        kd_tokenizer_free(t);
        return status;
    }
    *out = t;
    return KD_OK;
}

kd_status kd_tokenizer_load(kd_tokenizer **out, kd_context *context, const char *path)
{
    char *source = NULL;
    int64_t bytes;
    int is_folder;
    kd_tokenizer *t = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_NEED(path);
    if (!kd__is_folder(path) && kd__gguf_is(path)) return load_gguf(out, context, path);
    KD_TRY(read_source(context, path, &source, &bytes, &is_folder));
    KD_TRY(kd__tokenizer_parse(&t, context, source, bytes, path));
    const kd_status status = is_folder ? kd__chat_template_read(t, path) : KD_OK;
    if (status != KD_OK) {
        kd_tokenizer_free(t);
        return status;
    }
    *out = t;
    return KD_OK;
}

/* ---- encoding and decoding ---- */

kd_status kd__give_ids(const kd__ids *found, int32_t *ids, int64_t room, int64_t *count)
{
    *count = found->count;
    if (!ids) return KD_OK;
    KD_FAIL_IF(room < found->count, KD_ERR_RANGE, "ids: %lld are needed, there is room for %lld", (long long)found->count, (long long)room);
    if (found->count) memcpy(ids, found->at, (size_t)found->count * sizeof *ids);
    return KD_OK;
}

kd_status kd_tokenizer_encode(kd_tokenizer *t, const char *text, int64_t bytes, int32_t flags, int32_t *ids, int64_t room, int64_t *count)
{
    kd__ids found = { 0 };
    int64_t counted;
    KD_NEED(t);
    KD_NEED(text);
    KD_FAIL_IF(bytes < -1, KD_ERR_RANGE, "bytes: expected -1 or more, got %lld", (long long)bytes);
    KD_FAIL_IF(flags & ~KD_ADD_SPECIAL, KD_ERR_INVALID, "flags: unknown bits in %d", flags);
    kd_status status = kd__encode(t, text, bytes < 0 ? (int64_t)strlen(text) : bytes, flags, &found);
    if (status == KD_OK) status = kd__give_ids(&found, ids, room, count ? count : &counted);
    kd__release(t->object.context, found.at);
    return status;
}

kd_status kd_tokenizer_decode(kd_tokenizer *t, const int32_t *ids, int64_t count, int32_t flags, char *text, int64_t room, int64_t *bytes)
{
    KD_NEED(t);
    KD_FAIL_IF(count < 0 || (count && !ids), KD_ERR_INVALID, "ids: %lld of them at %s", (long long)count, ids ? "an address" : "NULL");
    KD_FAIL_IF(flags & ~KD_SKIP_SPECIAL, KD_ERR_INVALID, "flags: unknown bits in %d", flags);
    kd__text made = { .context = t->object.context };
    kd_status status = kd__decode(t, ids, count, flags, &made);
    if (status == KD_OK && bytes) *bytes = made.size;
    if (status == KD_OK && text && room <= made.size)
        status = kd__fail(KD_ERR_RANGE, "text: %lld bytes and a 0 are needed, there is room for %lld", (long long)made.size, (long long)room);
    else if (status == KD_OK && text) memcpy(text, made.bytes, (size_t)made.size + 1);
    kd__text_free(&made);
    return status;
}

kd_status kd_tokenizer_size(kd_tokenizer *t, int64_t *size)
{
    KD_NEED(t);
    KD_NEED(size);
    *size = t->size;
    return KD_OK;
}

kd_status kd_tokenizer_token(kd_tokenizer *t, int32_t id, const char **token, int32_t *flags)
{
    KD_NEED(t);
    KD_NEED(token);
    KD_FAIL_IF(id < 0 || id >= t->size || !t->tokens[id].text, KD_ERR_NOT_FOUND, "no token has the id %d", id);
    *token = t->tokens[id].text;
    if (flags) *flags = t->tokens[id].flags & (KD_TOKEN_SPECIAL | KD_TOKEN_ADDED);
    return KD_OK;
}

kd_status kd_tokenizer_id(kd_tokenizer *t, const char *token, int32_t *id)
{
    KD_NEED(t);
    KD_NEED(token);
    KD_NEED(id);
    const int32_t found = kd__find_token(t, token, (int64_t)strlen(token));
    KD_FAIL_IF(found < 0, KD_ERR_NOT_FOUND, "the tokenizer has no token '%.60s'", token);
    *id = found;
    return KD_OK;
}

void kd_text_free(kd_context *context, char *text)
{
    if (context) kd__release(context, text);
}

/* ---- text as it comes ----
 * The ids since the last whole text are decoded again with the new one; what is more than before is given out, unless it ends in a
 * character that is not whole. One round of ids before them stays as context: decoders treat a text's beginning in their own way.   */

struct kd_detokenizer {
    kd__object object;
    kd_tokenizer *tokenizer;
    int32_t flags;
    kd__ids ids;
    int64_t context_count; /* ids whose text was given out already */
    int64_t given;         /* bytes of their text */
    kd__text text, out;
};

kd_status kd_detokenizer_create(kd_detokenizer **out, kd_tokenizer *t, int32_t flags)
{
    kd_detokenizer *d = NULL;
    KD_NEED(out);
    KD_NEED(t);
    KD_FAIL_IF(flags & ~KD_SKIP_SPECIAL, KD_ERR_INVALID, "flags: unknown bits in %d", flags);
    KD_TRY(kd__object_create((void **)&d, t->object.context, sizeof *d));
    d->tokenizer = kd__object_hold(t);
    d->flags = flags;
    d->ids.context = d->text.context = d->out.context = t->object.context;
    *out = d;
    return KD_OK;
}

void kd_detokenizer_free(kd_detokenizer *d)
{
    if (!kd__object_drop(d)) return;
    kd__release(d->ids.context, d->ids.at);
    kd__text_free(&d->text);
    kd__text_free(&d->out);
    kd_tokenizer_free(d->tokenizer);
    kd__object_destroy(d);
}

static kd_status give_rest(kd_detokenizer *d)
{
    d->out.size = 0;
    return kd__text_append(&d->out, d->text.bytes + d->given, (size_t)(d->text.size > d->given ? d->text.size - d->given : 0));
}

kd_status kd_detokenizer_push(kd_detokenizer *d, int32_t id, const char **text, int64_t *bytes)
{
    KD_NEED(d);
    KD_NEED(text);
    KD_FAIL_IF(id < 0, KD_ERR_RANGE, "id: expected 0 or more, got %d", id);
    KD_TRY(kd__ids_push(&d->ids, id));
    *text = "";
    if (bytes) *bytes = 0;
    if (kd__leaves_bytes_open(d->tokenizer, id)) return KD_OK;
    d->text.size = 0;
    KD_TRY(kd__decode(d->tokenizer, d->ids.at, d->ids.count, d->flags, &d->text));
    const int whole = d->text.size < 3 || memcmp(d->text.bytes + d->text.size - 3, "\xef\xbf\xbd", 3) != 0;
    if (!whole || d->text.size <= d->given) return KD_OK;
    KD_TRY(give_rest(d));
    *text = d->out.bytes;
    if (bytes) *bytes = d->out.size;
    const int64_t fresh = d->ids.count - d->context_count;
    memmove(d->ids.at, d->ids.at + d->context_count, (size_t)fresh * sizeof *d->ids.at);
    d->ids.count = d->context_count = fresh;
    d->text.size = 0;
    KD_TRY(kd__decode(d->tokenizer, d->ids.at, fresh, d->flags, &d->text));
    d->given = d->text.size;
    return KD_OK;
}

kd_status kd_detokenizer_finish(kd_detokenizer *d, const char **text, int64_t *bytes)
{
    KD_NEED(d);
    KD_NEED(text);
    d->text.size = 0;
    KD_TRY(kd__decode(d->tokenizer, d->ids.at, d->ids.count, d->flags, &d->text));
    KD_TRY(give_rest(d));
    *text = d->out.bytes;
    if (bytes) *bytes = d->out.size;
    d->ids.count = d->context_count = d->given = 0;
    return KD_OK;
}
