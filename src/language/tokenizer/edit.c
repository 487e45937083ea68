/* Tokens added and renamed, files written, tokenizers compared. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "language/tokenizer/added.h"
#include "language/tokenizer/tokenizer.h"

/* ---- changing ---- */

static kd_status keep_text(kd_tokenizer *t, const char *text, char **copy)
{
    kd_context *context = t->object.context;
    KD_FAIL_IF(!*text || strlen(text) > 1000, KD_ERR_INVALID,
               "token: expected 1 to 1000 bytes, got %zu", strlen(text));
    KD_FAIL_IF(kd__utf8_valid(text, (int64_t)strlen(text), NULL) != (int64_t)strlen(text),
               KD_ERR_FORMAT, "token: it is not UTF-8");
    KD_TRY(KD_RESERVE(context, &t->own, &t->own_room, t->own_count + 1));
    KD_TRY(kd__copy_text(context, copy, text));
    t->own[t->own_count++] = *copy;
    return KD_OK;
}

static void free_index(kd_tokenizer *t)
{
    kd_context *context = t->object.context;
    for (int64_t i = 0; i < t->size; i++) kd__release(context, t->tokens[i].normal);
    kd__table_free(&t->by_text);
    kd__table_free(&t->by_key);
    void *blocks[] = { t->tokens, t->keys, t->added.nodes, t->added_normalized.nodes };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(context, blocks[i]);
}

/* Token `id` gets this text and these flags. Everything that hangs on tokens is made anew before
 * the old is given up: after a failure the tokenizer is as it was. Merges and `whole` do not
 * change: added tokens are outside of them. */
static kd_status set_token(kd_tokenizer *t, int64_t id, const char *text, int32_t flags)
{
    kd_tokenizer before = *t;
    kd__token *tokens = NULL;
    KD_TRY(KD_NEW(t->object.context, &tokens, t->size + 1));
    memcpy(tokens, t->tokens, (size_t)t->size * sizeof *tokens);
    for (int64_t i = 0; i < t->size; i++) tokens[i].normal = NULL;
    t->tokens = tokens;
    t->tokens_room = t->size + 1;
    t->keys = NULL;
    t->by_text = t->by_key = (kd__table){ 0 };
    t->added = t->added_normalized = (kd__trie){ 0 };
    kd_status status = kd__tokenizer_set(t, id, text, (int64_t)strlen(text), flags);
    if (status == KD_OK) status = kd__tokenizer_index(t);
    if (status == KD_OK) status = kd__tokenizer_tries(t);
    free_index(status == KD_OK ? &before : t);
    if (status != KD_OK)
        memcpy((char *)t + sizeof t->object, (const char *)&before + sizeof t->object,
               sizeof *t - sizeof t->object);
    return status;
}

kd_status kd_tokenizer_add(kd_tokenizer *t, const char *token, int32_t special, int32_t *id)
{
    char *copy;
    KD_NEED(t);
    KD_NEED(token);
    int32_t found = kd__find_token(t, token, (int64_t)strlen(token));
    if (found < 0) {
        const int64_t next = kd__added_next(t);
        KD_FAIL_IF(next < t->size && t->tokens[next].text, KD_ERR_UNSUPPORTED,
                   "token '%.60s': the ids of the vocabulary have gaps, and the next one, %lld, is "
                   "that of '%.60s'",
                   token, (long long)next, t->tokens[next].text);
        KD_TRY(keep_text(t, token, &copy));
        found = (int32_t)next;
        KD_TRY(set_token(t, found, copy,
                         KD_TOKEN_ADDED | KD__TOKEN_OUTSIDE | (special ? KD_TOKEN_SPECIAL : 0)));
    }
    if (id) *id = found;
    return KD_OK;
}

kd_status kd_tokenizer_rename(kd_tokenizer *t, const char *token, const char *name)
{
    char *copy;
    KD_NEED(t);
    KD_NEED(token);
    KD_NEED(name);
    const int32_t id = kd__find_token(t, token, (int64_t)strlen(token));
    KD_FAIL_IF(id < 0, KD_ERR_NOT_FOUND, "the tokenizer has no token '%.60s'", token);
    KD_FAIL_IF(!(t->tokens[id].flags & KD__TOKEN_OUTSIDE), KD_ERR_INVALID,
               "token '%.60s' is one of the model's own: only added ones can be renamed", token);
    KD_FAIL_IF(kd__find_token(t, name, (int64_t)strlen(name)) >= 0, KD_ERR_INVALID,
               "the tokenizer has a token '%.60s' already", name);
    KD_TRY(keep_text(t, name, &copy));
    return set_token(t, id, copy, t->tokens[id].flags);
}

/* ---- writing: the file as it was read, with the added tokens of now ---- */

typedef struct {
    kd_tokenizer *t;
    kd__text text;
} writer;

static kd_status put(writer *w, const char *text)
{
    return kd__text_append(&w->text, text, strlen(text));
}
static const char *word(int on) { return on ? "true" : "false"; }

static kd_status write_added(writer *w)
{
    const kd_tokenizer *t = w->t;
    int64_t count = 0;
    KD_TRY(put(w, "["));
    for (int64_t i = 0; i < t->size; i++) {
        const kd__token *token = &t->tokens[i];
        if (!token->text || !(token->flags & KD_TOKEN_ADDED)) continue;
        KD_TRY(kd__text_format(&w->text, "%s{\"id\":%lld,\"content\":", count++ ? "," : "",
                               (long long)i));
        KD_TRY(kd__text_quoted(&w->text, token->text));
        KD_TRY(kd__text_format(
            &w->text,
            ",\"single_word\":%s,\"lstrip\":%s,\"rstrip\":%s,\"normalized\":%s,\"special\":%s}",
            word(token->flags & KD__TOKEN_WORD), word(token->flags & KD__TOKEN_LEFT),
            word(token->flags & KD__TOKEN_RIGHT), word(token->flags & KD__TOKEN_NORMALIZED),
            word(token->flags & KD_TOKEN_SPECIAL)));
    }
    return put(w, "]");
}

/* Strings of the post-processor may be old names of tokens that were renamed: their ids tell the
 * new ones. */
static void rename_strings(kd_tokenizer *t, const kd_tokenizer *old, kd__json *node)
{
    for (kd__json *n = node->first; n; n = n->next) {
        const int32_t by_text = n->type == KD__JSON_STRING ? kd__find_token(old, n->text, n->length)
                                                           : -1;
        const int32_t by_key = n->key ? kd__find_token(old, n->key, (int64_t)strlen(n->key)) : -1;
        if (by_text >= 0 && old->tokens[by_text].flags & KD_TOKEN_ADDED)
            n->text = t->tokens[by_text].text, n->length = t->tokens[by_text].text_bytes;
        if (by_key >= 0 && old->tokens[by_key].flags & KD_TOKEN_ADDED)
            n->key = t->tokens[by_key].text;
        rename_strings(t, old, n);
    }
}

static kd_status write_root(writer *w, kd__json *root, const kd_tokenizer *old)
{
    for (kd__json *n = root->first; n; n = n->next)
        if (!strcmp(n->key, "post_processor")) rename_strings(w->t, old, n);
    KD_TRY(put(w, "{"));
    for (const kd__json *n = root->first; n; n = n->next) {
        if (n != root->first) KD_TRY(put(w, ",\n"));
        KD_TRY(kd__text_quoted(&w->text, n->key));
        KD_TRY(put(w, ":"));
        if (!strcmp(n->key, "added_tokens")) KD_TRY(write_added(w));
        else KD_TRY(kd__json_write(&w->text, n));
    }
    if (!kd__json_member(root, "added_tokens")) {
        KD_TRY(put(w, ",\n\"added_tokens\":"));
        KD_TRY(write_added(w));
    }
    return put(w, "}\n");
}

kd_status kd__tokenizer_text(kd_tokenizer *t, kd__text *to)
{
    writer w = { t, { .context = t->object.context } };
    kd__json_document document = { 0 };
    kd_tokenizer *old = NULL;
    char *copy = NULL;
    if (!t->own_count) return kd__text_append(to, t->source, (size_t)t->source_bytes);
    kd_status status = kd__copy_text(w.text.context, &copy, t->source);
    if (status == KD_OK)
        status = kd__tokenizer_parse(&old, w.text.context, copy, t->source_bytes, "tokenizer.json");
    if (status == KD_OK)
        status = kd__json_parse(&document, w.text.context, t->source, (size_t)t->source_bytes,
                                "tokenizer.json");
    if (status == KD_OK) status = write_root(&w, document.root, old);
    if (status == KD_OK) status = kd__text_append(to, w.text.bytes, (size_t)w.text.size);
    kd__text_free(&w.text);
    kd__json_free(&document);
    kd_tokenizer_free(old);
    return status;
}

kd_status kd_tokenizer_save(kd_tokenizer *t, const char *folder)
{
    char *path = NULL;
    KD_NEED(t);
    KD_NEED(folder);
    kd__text text = { .context = t->object.context };
    KD_TRY(kd__folder_make(folder));
    KD_TRY(kd__path_join(text.context, &path, folder, "tokenizer.json"));
    kd_status status = kd__tokenizer_text(t, &text);
    if (status == KD_OK) status = kd__file_replace(text.context, path, text.bytes, text.size);
    kd__release(text.context, path);
    kd__text_free(&text);
    return status;
}

/* ---- comparing ---- */

static int is_allowed(const kd__token *token, const char *const *allowed, int32_t count)
{
    for (int32_t i = 0; i < count && token; i++)
        if (kd__matches(allowed[i], token->text)) return 1;
    return 0;
}

static const kd__token *token_at(const kd_tokenizer *t, int64_t id)
{
    return id < t->size && t->tokens[id].text ? &t->tokens[id] : NULL;
}

kd_status kd_tokenizer_compare(kd_tokenizer *t, kd_tokenizer *other, const char *const *allowed,
                               int32_t allowed_count, int32_t limit, int64_t *differences,
                               char **text)
{
    KD_NEED(t);
    KD_NEED(other);
    KD_NEED(differences);
    KD_FAIL_IF(allowed_count < 0 || (allowed_count && !allowed), KD_ERR_INVALID,
               "allowed: %d patterns", allowed_count);
    kd__text list = { .context = t->object.context };
    int64_t count = 0;
    kd_status status = kd__text_append(&list, "", 0);
    for (int64_t id = 0; (id < t->size || id < other->size) && status == KD_OK; id++) {
        const kd__token *a = token_at(t, id), *b = token_at(other, id);
        if ((!a && !b) || (a && b && a->text_bytes == b->text_bytes &&
                           !memcmp(a->text, b->text, (size_t)a->text_bytes)))
            continue;
        if (is_allowed(a, allowed, allowed_count) || is_allowed(b, allowed, allowed_count))
            continue;
        if (text && count < limit)
            status = kd__text_format(&list, "%lld: %.200s | %.200s\n", (long long)id,
                                     a ? a->text : "(none)", b ? b->text : "(none)");
        count++;
    }
    if (status != KD_OK || !text) kd__text_free(&list);
    KD_TRY(status);
    *differences = count;
    if (text) *text = list.bytes;
    return KD_OK;
}
