/* The public tokenizer: loading, encoding, decoding, text as it comes. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "language/tokenizer/chat.h"
#include "language/tokenizer/ends.h"
#include "language/tokenizer/gguf_tokenizer.h"
#include "language/tokenizer/tokenizer.h"

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
    kd__chats_free(t);
    kd__json_free(&t->document);
    kd__unicode_free(t->unicode);
    kd__table_free(&t->by_text);
    kd__table_free(&t->by_key);
    void *blocks[] = { t->source,    t->chat_template, t->own,         t->keys,
                       t->tokens,    t->merges,        t->added.nodes, t->added_normalized.nodes,
                       t->neighbors, t->single.place,  t->pair.place,  t->wordpiece.edges };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(context, blocks[i]);
    kd__object_destroy(t);
}

kd_status kd__tokenizer_parse(kd_tokenizer **out, kd_context *context, char *source, int64_t bytes,
                              const char *what)
{
    kd_tokenizer *t = NULL;
    kd_status status = kd__object_create((void **)&t, context, sizeof *t);
    if (status != KD_OK) {
        kd__release(context, source);
        return status;
    }
    t->source = source;
    t->source_bytes = bytes;
    t->unknown = t->begin = t->turn_end = -1;
    /* texts of every part are walked a character at a time */
    const int64_t valid = kd__utf8_valid(source, bytes, NULL);
    if (valid != bytes)
        KD_TRY_GOTO(status,
                    kd__fail(KD_ERR_FORMAT, "%s: byte %lld is not UTF-8", what, (long long)valid),
                    failed);
    KD_TRY_GOTO(status, kd__chats_new(t), failed);
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
static kd_status read_source(kd_context *context, const char *path, char **source, int64_t *bytes,
                             int *is_folder)
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
        /* takes the text over */
        status = kd__tokenizer_parse(&t, context, source.bytes, source.size, path);
        source.bytes = NULL;
    }
    if (status == KD_OK) status = kd__chats_read_gguf(t, &file);
    if (status == KD_OK) status = kd__chat_recognize(t);
    if (status == KD_OK) kd__ends_read_gguf(t, &file);
    if (status == KD_OK) status = kd__ends_of_turn(t);
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
    kd_status status = is_folder ? kd__chats_read(t, path) : KD_OK;
    if (status == KD_OK) status = kd__chat_recognize(t);
    if (status == KD_OK && is_folder) status = kd__ends_read(t, path);
    if (status == KD_OK) status = kd__ends_of_turn(t);
    if (status != KD_OK) {
        kd_tokenizer_free(t);
        return status;
    }
    *out = t;
    return KD_OK;
}

/* ---- encoding and decoding ---- */

static kd_status give(const char *what, const int32_t *from, int64_t count, int32_t *to,
                      int64_t room)
{
    if (!to) return KD_OK;
    KD_FAIL_IF(room < count, KD_ERR_RANGE, "%s: %lld are needed, there is room for %lld", what,
               (long long)count, (long long)room);
    if (count) memcpy(to, from, (size_t)count * sizeof *to);
    return KD_OK;
}

kd_status kd__give_ids(const kd__ids *found, int32_t *ids, int64_t room, int64_t *count)
{
    *count = found->count;
    return give("ids", found->at, found->count, ids, room);
}

static kd_status check_flags(int32_t flags)
{
    KD_FAIL_IF(flags & ~KD_TOKENIZER_ADD_SPECIAL, KD_ERR_INVALID,
               "flags: expected 0 or KD_TOKENIZER_ADD_SPECIAL, got %d", flags);
    return KD_OK;
}

static kd_status measure(const char *text, int64_t *bytes)
{
    KD_FAIL_IF(*bytes < -1, KD_ERR_RANGE, "bytes: expected -1 or more, got %lld",
               (long long)*bytes);
    if (*bytes < 0) *bytes = (int64_t)strlen(text);
    return KD_OK;
}

static kd_status encode(kd_tokenizer *t, const char *text, int64_t bytes, int32_t flags,
                        kd__ids *found)
{
    KD_NEED(t);
    KD_NEED(text);
    KD_TRY(check_flags(flags));
    KD_TRY(measure(text, &bytes));
    return kd__encode(t, text, bytes, flags, found);
}

kd_status kd_tokenizer_encode(kd_tokenizer *t, const char *text, int64_t bytes, int32_t flags,
                              int32_t *ids, int64_t room, int64_t *count)
{
    return kd_tokenizer_encode_ends(t, text, bytes, flags, ids, NULL, room, count);
}

kd_status kd_tokenizer_encode_ends(kd_tokenizer *t, const char *text, int64_t bytes, int32_t flags,
                                   int32_t *ids, int64_t *ends, int64_t room, int64_t *count)
{
    kd__ids found = { .is_traced = ends != NULL };
    int64_t counted;
    kd_status status = encode(t, text, bytes, flags, &found);
    if (status == KD_OK) status = kd__give_ids(&found, ids, room, count ? count : &counted);
    if (status == KD_OK && ends && ids && found.count)
        memcpy(ends, found.ends, (size_t)found.count * sizeof *ends);
    if (found.context) kd__ids_free(&found);
    return status;
}

kd_status kd_tokenizer_encode_pair(kd_tokenizer *t, const char *first, int64_t first_bytes,
                                   const char *second, int64_t second_bytes, int32_t flags,
                                   int32_t *ids, int32_t *types, int64_t room, int64_t *count)
{
    kd__ids found = { .is_typed = 1 };
    KD_NEED(t);
    KD_NEED(first);
    KD_NEED(count);
    KD_TRY(check_flags(flags));
    KD_TRY(measure(first, &first_bytes));
    if (second) KD_TRY(measure(second, &second_bytes));
    kd_status status = kd__encode_pair(t, first, first_bytes, second, second_bytes, flags, &found);
    if (status == KD_OK) status = kd__give_ids(&found, ids, room, count);
    if (status == KD_OK) status = give("types", found.types, found.count, types, room);
    if (found.context) kd__ids_free(&found);
    return status;
}

kd_status kd_tokenizer_get_info(kd_tokenizer *t, kd_tokenizer_info *info)
{
    KD_NEED(t);
    return kd__info_write(info, &t->told, sizeof t->told, "kd_tokenizer_info");
}

kd_status kd_tokenizer_decode(kd_tokenizer *t, const int32_t *ids, int64_t count, int32_t flags,
                              char *text, int64_t room, int64_t *bytes)
{
    KD_NEED(t);
    KD_FAIL_IF(count < 0 || (count && !ids), KD_ERR_INVALID, "ids: %lld of them at %s",
               (long long)count, ids ? "an address" : "NULL");
    KD_FAIL_IF(flags & ~KD_TOKENIZER_SKIP_SPECIAL, KD_ERR_INVALID,
               "flags: expected 0 or KD_TOKENIZER_SKIP_SPECIAL, got %d", flags);
    kd__text made = { .context = t->object.context };
    kd_status status = kd__decode(t, ids, count, flags, &made);
    if (status == KD_OK && bytes) *bytes = made.size;
    if (status == KD_OK && text && room <= made.size)
        status = kd__fail(KD_ERR_RANGE,
                          "text: %lld bytes and a 0 are needed, there is room for %lld",
                          (long long)made.size, (long long)room);
    else if (status == KD_OK && text) memcpy(text, made.bytes, (size_t)made.size + 1);
    kd__text_free(&made);
    return status;
}

kd_status kd_tokenizer_vocabulary_size(kd_tokenizer *t, int64_t *size)
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
    KD_FAIL_IF(id < 0 || id >= t->size || !t->tokens[id].text, KD_ERR_NOT_FOUND,
               "no token has the id %d", id);
    *token = t->tokens[id].text;
    if (flags) *flags = t->tokens[id].flags & (KD_TOKEN_SPECIAL | KD_TOKEN_ADDED);
    return KD_OK;
}

kd_status kd_tokenizer_token_id(kd_tokenizer *t, const char *token, int32_t *id)
{
    KD_NEED(t);
    KD_NEED(token);
    KD_NEED(id);
    const int32_t found = kd__find_token(t, token, (int64_t)strlen(token));
    KD_FAIL_IF(found < 0, KD_ERR_NOT_FOUND, "the tokenizer has no token '%.60s'", token);
    *id = found;
    return KD_OK;
}

/* ---- text as it comes ---- The ids since the last whole text are decoded again with the new one;
 * what is more than before is given out, unless it ends in a character that is not whole. One round
 * of ids before them stays as context: decoders treat a text's beginning in their own way. */

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
    KD_FAIL_IF(flags & ~KD_TOKENIZER_SKIP_SPECIAL, KD_ERR_INVALID,
               "flags: expected 0 or KD_TOKENIZER_SKIP_SPECIAL, got %d", flags);
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
    kd__ids_free(&d->ids);
    kd__text_free(&d->text);
    kd__text_free(&d->out);
    kd_tokenizer_free(d->tokenizer);
    kd__object_destroy(d);
}

static kd_status give_rest(kd_detokenizer *d)
{
    d->out.size = 0;
    return kd__text_append(&d->out, d->text.bytes + d->given,
                           (size_t)(d->text.size > d->given ? d->text.size - d->given : 0));
}

/* The ids of this round take the place of the context, unless they have no text of their own: a
 * decoder that leaves out what a text begins with may not be through with it then. */
static kd_status renew_context(kd_detokenizer *d)
{
    const int64_t fresh = d->ids.count - d->context_count;
    d->given = d->text.size;
    d->text.size = 0;
    KD_TRY(kd__decode(d->tokenizer, d->ids.at + d->context_count, fresh, d->flags, &d->text));
    if (!d->text.size) return KD_OK;
    memmove(d->ids.at, d->ids.at + d->context_count, (size_t)fresh * sizeof *d->ids.at);
    d->ids.count = d->context_count = fresh;
    d->given = d->text.size;
    return KD_OK;
}

kd_status kd_detokenizer_push(kd_detokenizer *d, int32_t id, const char **text, int64_t *bytes)
{
    KD_NEED(d);
    KD_NEED(text);
    KD_FAIL_IF(id < 0, KD_ERR_RANGE, "id: expected 0 or more, got %d", id);
    KD_TRY(kd__ids_push(&d->ids, id, 0));
    *text = "";
    if (bytes) *bytes = 0;
    if (kd__leaves_bytes_open(d->tokenizer, d->ids.at, d->ids.count, d->flags)) return KD_OK;
    d->text.size = 0;
    KD_TRY(kd__decode(d->tokenizer, d->ids.at, d->ids.count, d->flags, &d->text));
    const int whole = d->text.size < 3 ||
                      memcmp(d->text.bytes + d->text.size - 3, "\xef\xbf\xbd", 3) != 0;
    if (!whole || d->text.size <= d->given) return KD_OK;
    KD_TRY(give_rest(d));
    *text = d->out.bytes;
    if (bytes) *bytes = d->out.size;
    return renew_context(d);
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
