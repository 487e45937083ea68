/* What tokens stand for, and which tokens two tokenizers share. */
#include <string.h>

#include "base/memory.h"
#include "language/tokenizer/tokenizer.h"

/* ---- the bytes of a token: what the file's decoder makes of it in the middle of a text ---- */

typedef struct {
    kd__text text, spare;
    int is_whole; /* bytes already: no decoder of texts is for them */
} token_bytes;

static kd_status set_bytes(token_bytes *b, const char *bytes, int64_t count)
{
    b->text.size = 0;
    return kd__text_append(&b->text, bytes, (size_t)count);
}

/* Characters of GPT-2's alphabet; a token with another character stands for itself. */
static kd_status take_alphabet(token_bytes *b)
{
    b->spare.size = 0;
    for (const char *at = b->text.bytes, *end = at + b->text.size; at < end;) {
        const int32_t byte = kd__alphabet_byte(kd__utf8_next(&at));
        const char c = (char)byte;
        if (byte < 0) return KD_OK;
        KD_TRY(kd__text_append(&b->spare, &c, 1));
    }
    b->is_whole = 1;
    return set_bytes(b, b->spare.bytes, b->spare.size);
}

static kd_status take_byte(token_bytes *b)
{
    const int32_t byte = kd__byte_token(b->text.bytes, b->text.size);
    const char c = (char)byte;
    if (byte < 0) return KD_OK;
    b->is_whole = 1;
    return set_bytes(b, &c, 1);
}

static kd_status take_replaced(const kd_tokenizer *t, const kd__step *step, token_bytes *b)
{
    const kd__piece piece = { .at = b->text.bytes, .bytes = b->text.size };
    kd__traced made = { .text = { .context = b->text.context } };
    kd_status status = kd__text_append(&made.text, "", 0);
    if (status == KD_OK) status = kd__replace(t, step, &piece, &made);
    if (status == KD_OK) status = set_bytes(b, made.text.bytes, made.text.size);
    kd__traced_free(&made);
    return status;
}

/* Marks become spaces, at the beginning too: a token is looked at within a text. */
static kd_status take_marks(const kd__step *step, token_bytes *b)
{
    b->spare.size = 0;
    for (const char *at = b->text.bytes, *end = at + b->text.size; at < end;) {
        const int is_mark = end - at >= step->to_bytes &&
                            !memcmp(at, step->to, (size_t)step->to_bytes);
        const int64_t bytes = is_mark ? step->to_bytes : kd__utf8_size(*at);
        KD_TRY(kd__text_append(&b->spare, is_mark ? " " : at, is_mark ? 1 : (size_t)bytes));
        at += bytes;
    }
    return set_bytes(b, b->spare.bytes, b->spare.size);
}

/* Within a text: a token that does not continue a word has a space before it. */
static kd_status take_word(const kd__step *step, token_bytes *b)
{
    b->spare.size = 0;
    KD_TRY(kd__wordpiece_show(step, b->text.bytes, b->text.size, 0, &b->spare));
    return set_bytes(b, b->spare.bytes, b->spare.size);
}

static kd_status take_step(const kd_tokenizer *t, const kd__step *step, token_bytes *b)
{
    switch (step->type) {
    case KD__STEP_BYTES: return take_alphabet(b);
    case KD__STEP_BYTE_FALLBACK: return take_byte(b);
    case KD__STEP_REPLACE: return take_replaced(t, step, b);
    case KD__STEP_METASPACE: return take_marks(step, b);
    case KD__STEP_WORDPIECE: return take_word(step, b);
    default: return KD_OK; /* what is stripped belongs to the beginning or the end of a text */
    }
}

static kd_status find_bytes(const kd_tokenizer *t, const kd__token *token, token_bytes *b)
{
    b->is_whole = 0;
    if (token->flags & KD_TOKEN_ADDED) return set_bytes(b, token->text, token->text_bytes);
    if (!t->has_decoder && token->key_bytes) return set_bytes(b, token->key, token->key_bytes);
    KD_TRY(set_bytes(b, token->text, token->text_bytes));
    for (int64_t i = 0; i < t->decoders.count && !b->is_whole; i++)
        KD_TRY(take_step(t, &t->decoders.step[i], b));
    return KD_OK;
}

static token_bytes make_bytes(const kd_tokenizer *t)
{
    kd_context *context = t->object.context;
    return (token_bytes){ .text = { .context = context }, .spare = { .context = context } };
}

static void free_bytes(token_bytes *b)
{
    kd__text_free(&b->text);
    kd__text_free(&b->spare);
}

static kd_status give_bytes(const token_bytes *b, char *bytes, int64_t room, int64_t *count)
{
    *count = b->text.size;
    if (!bytes) return KD_OK;
    KD_FAIL_IF(room < b->text.size, KD_ERR_RANGE, "bytes: %lld are needed, there is room for %lld",
               (long long)b->text.size, (long long)room);
    memcpy(bytes, b->text.bytes, (size_t)b->text.size);
    return KD_OK;
}

kd_status kd_tokenizer_token_bytes(kd_tokenizer *t, int32_t id, char *bytes, int64_t room,
                                   int64_t *count, int32_t *flags)
{
    KD_NEED(t);
    KD_NEED(count);
    KD_FAIL_IF(id < 0 || id >= t->size || !t->tokens[id].text, KD_ERR_NOT_FOUND,
               "no token has the id %d", id);
    token_bytes b = make_bytes(t);
    kd_status status = find_bytes(t, &t->tokens[id], &b);
    if (status == KD_OK) status = give_bytes(&b, bytes, room, count);
    if (status == KD_OK && flags)
        *flags = t->tokens[id].flags & (KD_TOKEN_SPECIAL | KD_TOKEN_ADDED);
    free_bytes(&b);
    return status;
}

/* ---- shared tokens: both lists of bytes in one hash table ---- */

/* One token's bytes within a pool; kind keeps special tokens, and those that are a byte by number,
 * apart. */
typedef struct {
    int64_t at;
    int32_t bytes, id;
    int32_t is_special, is_numbered;
} entry;

typedef struct {
    kd__text pool;
    entry *entries;
    int64_t count;
    kd__table table; /* of entries */
} list;

static void free_list(list *l)
{
    kd__text_free(&l->pool);
    kd__release(l->pool.context, l->entries);
    kd__table_free(&l->table);
}

static uint64_t hash_entry(const char *bytes, int32_t count, int32_t is_special)
{
    return kd__hash_bytes(bytes, count) ^ (is_special ? 0x9e3779b97f4a7c15u : 0);
}

typedef struct {
    const list *list;
    const char *bytes;
    int32_t count, is_special;
} wanted;

static int has_bytes(const void *key, int64_t number)
{
    const wanted *w = key;
    const entry *e = &w->list->entries[number];
    return e->bytes == w->count && e->is_special == w->is_special &&
           !memcmp(w->list->pool.bytes + e->at, w->bytes, (size_t)w->count);
}

/* The entry with the same bytes and of the same sort, or -1. */
static int64_t find_entry(const list *l, const char *bytes, int32_t count, int32_t is_special)
{
    const wanted w = { l, bytes, count, is_special };
    return kd__table_find(&l->table, hash_entry(bytes, count, is_special), has_bytes, &w);
}

/* The first of several tokens with the same bytes counts, and one that is a byte by number only
 * where no other is. */
static kd_status add_entry(list *l, entry made)
{
    const char *bytes = l->pool.bytes + made.at;
    const int64_t before = find_entry(l, bytes, made.bytes, made.is_special);
    if (before < 0) {
        l->entries[l->count] = made;
        const uint64_t hash = hash_entry(bytes, made.bytes, made.is_special);
        return kd__table_add(&l->table, hash, l->count++);
    }
    if (l->entries[before].is_numbered && !made.is_numbered) l->entries[before] = made;
    return KD_OK;
}

static kd_status add_token(const kd_tokenizer *t, int32_t id, token_bytes *b, list *l)
{
    const kd__token *token = &t->tokens[id];
    if (!token->text) return KD_OK;
    KD_TRY(find_bytes(t, token, b));
    if (!b->text.size) return KD_OK;
    const entry made = { .at = l->pool.size,
                         .bytes = (int32_t)b->text.size,
                         .id = id,
                         .is_special = (token->flags & KD_TOKEN_SPECIAL) != 0,
                         .is_numbered = b->is_whole &&
                                        kd__byte_token(token->text, token->text_bytes) >= 0 };
    KD_TRY(kd__text_append(&l->pool, b->text.bytes, (size_t)b->text.size));
    return add_entry(l, made);
}

static kd_status make_list(const kd_tokenizer *t, list *l)
{
    kd_context *context = t->object.context;
    token_bytes b = make_bytes(t);
    kd_status status;
    *l = (list){ .pool = { .context = context }, .table = { .context = context } };
    KD_TRY_GOTO(status, KD_NEW(context, &l->entries, t->size + 1), done);
    for (int64_t id = 0; id < t->size && status == KD_OK; id++)
        status = add_token(t, (int32_t)id, &b, l);
done:
    free_bytes(&b);
    return status;
}

static int64_t match_lists(const list *ours, const list *theirs, int32_t *map)
{
    int64_t shared = 0;
    for (int64_t i = 0; i < ours->count; i++) {
        const entry *e = &ours->entries[i];
        const int64_t found = find_entry(theirs, ours->pool.bytes + e->at, e->bytes, e->is_special);
        if (found < 0) continue;
        map[e->id] = theirs->entries[found].id;
        shared++;
    }
    return shared;
}

kd_status kd_tokenizer_map(kd_tokenizer *t, kd_tokenizer *other, int32_t *map, int64_t room,
                           int64_t *shared)
{
    list ours = { 0 }, theirs = { 0 };
    KD_NEED(t);
    KD_NEED(other);
    KD_NEED(map);
    KD_FAIL_IF(room < t->size, KD_ERR_RANGE, "map: %lld ids are needed, there is room for %lld",
               (long long)t->size, (long long)room);
    kd_status status = make_list(t, &ours);
    if (status == KD_OK) status = make_list(other, &theirs);
    if (status == KD_OK) {
        memset(map, -1, (size_t)t->size * sizeof *map);
        const int64_t found = match_lists(&ours, &theirs, map);
        if (shared) *shared = found;
    }
    if (ours.pool.context) free_list(&ours);
    if (theirs.pool.context) free_list(&theirs);
    return status;
}
