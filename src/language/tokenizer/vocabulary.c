/* Tokens by id, by text and by key; merges; tries of added tokens. */
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "language/tokenizer/tokenizer.h"

/* ---- hash tables ---- */

uint64_t kd__hash_bytes(const char *text, int64_t bytes)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ (uint64_t)bytes;
    for (; bytes >= 8; text += 8, bytes -= 8) {
        uint64_t word;
        memcpy(&word, text, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    uint64_t rest = 0;
    memcpy(&rest, text, (size_t)bytes);
    h = (h ^ rest) * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 29;
}

typedef struct {
    const kd_tokenizer *tokenizer;
    const char *text;
    int64_t bytes;
} wanted;

static int same(const wanted *w, const char *text, int64_t bytes)
{
    return w->bytes == bytes && !memcmp(w->text, text, (size_t)bytes);
}

static int has_text(const void *key, int64_t id)
{
    const kd__token *token = &((const wanted *)key)->tokenizer->tokens[id];
    return same(key, token->text, token->text_bytes);
}

static int has_key(const void *key, int64_t id)
{
    const kd__token *token = &((const wanted *)key)->tokenizer->tokens[id];
    return same(key, token->key, token->key_bytes);
}

int32_t kd__find_token(const kd_tokenizer *t, const char *text, int64_t bytes)
{
    const wanted w = { t, text, bytes };
    return (int32_t)kd__table_find(&t->by_text, kd__hash_bytes(text, bytes), has_text, &w);
}

int32_t kd__find_key(const kd_tokenizer *t, const char *key, int64_t bytes)
{
    const wanted w = { t, key, bytes };
    return (int32_t)kd__table_find(&t->by_key, kd__hash_bytes(key, bytes), has_key, &w);
}

static kd_status put(kd__table *table, const char *text, int64_t bytes, int64_t id)
{
    return kd__table_add(table, kd__hash_bytes(text, bytes), id);
}

kd_status kd__tokenizer_set(kd_tokenizer *t, int64_t id, const char *text, int64_t bytes,
                            int32_t flags)
{
    KD_FAIL_IF(id < 0 || id >= 1 << 24, KD_ERR_RANGE,
               "tokenizer: id %lld of token %.40s: expected 0 to 16777215", (long long)id, text);
    KD_TRY(KD_RESERVE(t->object.context, &t->tokens, &t->tokens_room, id + 1));
    if (id >= t->size) t->size = id + 1;
    kd__token *token = &t->tokens[id];
    KD_FAIL_IF(token->text &&
                   (token->text_bytes != bytes || memcmp(token->text, text, (size_t)bytes)) &&
                   !(flags & KD_TOKEN_ADDED),
               KD_ERR_FORMAT, "tokenizer: id %lld belongs to %.40s and to %.40s", (long long)id,
               token->text, text);
    token->text = text;
    token->text_bytes = (int32_t)bytes;
    token->flags = flags;
    return KD_OK;
}

/* ---- merges ---- */

kd_status kd__tokenizer_merge(kd_tokenizer *t, int32_t left, int32_t right, int32_t rank,
                              int32_t id)
{
    const uint64_t pair = (uint64_t)left << 32 | (uint32_t)right;
    uint64_t i = kd__pair_hash(pair);
    while (t->merges[i & (uint64_t)(t->merges_size - 1)].pair != UINT64_MAX &&
           t->merges[i & (uint64_t)(t->merges_size - 1)].pair != pair)
        i++;
    t->merges[i & (uint64_t)(t->merges_size - 1)] = (kd__merge){ pair, rank, id };
    return KD_OK;
}

/* ---- the trie ---- */

static kd_status trie_node(kd_context *context, kd__trie *trie, unsigned char byte, int32_t *node)
{
    KD_TRY(KD_RESERVE(context, &trie->nodes, &trie->room, trie->count + 1));
    *node = (int32_t)trie->count;
    trie->nodes[trie->count++] = (kd__trie_node){ -1, -1, -1, byte };
    return KD_OK;
}

static int32_t trie_child(const kd__trie *trie, int32_t node, unsigned char byte)
{
    int32_t child = trie->nodes[node].child;
    while (child >= 0 && trie->nodes[child].byte != byte) child = trie->nodes[child].next;
    return child;
}

static kd_status trie_add(kd_context *context, kd__trie *trie, const char *text, int64_t bytes,
                          int32_t id)
{
    int32_t node = 0, child;
    if (!bytes) return KD_OK;
    if (!trie->count) KD_TRY(trie_node(context, trie, 0, &node));
    trie->first[(unsigned char)text[0]] = 1;
    for (int64_t i = 0; i < bytes; i++, node = child) {
        child = trie_child(trie, node, (unsigned char)text[i]);
        if (child >= 0) continue;
        KD_TRY(trie_node(context, trie, (unsigned char)text[i], &child));
        trie->nodes[child].next = trie->nodes[node].child;
        trie->nodes[node].child = child;
    }
    const int32_t other = trie->nodes[node].id;
    KD_FAIL_IF(other >= 0 && other != id, KD_ERR_UNSUPPORTED,
               "tokenizer: added tokens %d and %d are the same text once normalized: %.*s", other,
               id, (int)kd__min(bytes, 60), text);
    trie->nodes[node].id = id;
    return KD_OK;
}

int32_t kd__trie_match(const kd__trie *trie, const char *at, const char *end, int64_t *bytes)
{
    int32_t node = 0, id = -1;
    if (!trie->count) return -1;
    for (const char *p = at; p < end && (node = trie_child(trie, node, (unsigned char)*p)) >= 0;) {
        p++;
        if (trie->nodes[node].id >= 0) id = trie->nodes[node].id, *bytes = p - at;
    }
    return id;
}

/* ---- the index ---- */

int32_t kd__alphabet_byte(uint32_t c)
{
    if ((c >= 33 && c <= 126) || (c >= 161 && c <= 172) || (c >= 174 && c <= 255))
        return (int32_t)c;
    /* the other bytes, in their order, begin at U+0100: 0 to 32, 127 to 160, 173 */
    if (c < 256 || c > 323) return -1;
    const int32_t n = (int32_t)c - 256;
    return n < 33 ? n : n < 67 ? n - 33 + 127 : 173;
}

uint32_t kd__alphabet_character(unsigned char byte)
{
    if (kd__alphabet_byte(byte) == byte) return byte;
    return 256u + (byte < 33 ? byte : byte < 161 ? byte - 127u + 33u : 67u);
}

/* The bytes that the characters of a byte-level token stand for; 0 bytes: it has others, and no
 * piece can be it. */
static int32_t key_of(const kd__token *token, char *to)
{
    int32_t bytes = 0;
    for (const char *at = token->text, *end = at + token->text_bytes; at < end;) {
        const int32_t byte = kd__alphabet_byte(kd__utf8_next(&at));
        if (byte < 0) return 0;
        to[bytes++] = (char)byte;
    }
    return bytes;
}

static kd_status make_keys(kd_tokenizer *t)
{
    int64_t total = 1, used = 0;
    for (int64_t i = 0; i < t->size; i++) total += t->tokens[i].text_bytes;
    kd__release(t->object.context, t->keys);
    t->keys = NULL;
    KD_TRY(KD_NEW(t->object.context, &t->keys, total));
    for (int64_t i = 0; i < t->size; i++) {
        kd__token *token = &t->tokens[i];
        token->key = NULL;
        token->key_bytes = 0;
        if (!token->text) continue;
        if (!t->byte_level) {
            token->key = token->text;
            token->key_bytes = token->text_bytes;
            continue;
        }
        const int32_t bytes = key_of(token, t->keys + used);
        if (bytes) token->key = t->keys + used, token->key_bytes = bytes, used += bytes;
    }
    return KD_OK;
}

static void find_bytes(kd_tokenizer *t)
{
    for (int b = 0; b < 256; b++) {
        const char digits[] = "0123456789ABCDEF", byte = (char)b,
                   name[7] = { '<', '0', 'x', digits[b / 16], digits[b % 16], '>' };
        t->bytes[b] = t->byte_level ? kd__find_key(t, &byte, 1) : -1;
        t->fallback[b] = t->byte_fallback ? kd__find_key(t, name, 6) : -1;
    }
}

kd_status kd__tokenizer_tries(kd_tokenizer *t)
{
    kd_context *context = t->object.context;
    t->added.count = t->added_normalized.count = 0;
    memset(t->added.first, 0, 256);
    memset(t->added_normalized.first, 0, 256);
    for (int64_t i = 0; i < t->size; i++) {
        kd__token *token = &t->tokens[i];
        kd__release(context, token->normal);
        token->normal = NULL;
        if (!token->text || !(token->flags & KD_TOKEN_ADDED)) continue;
        if (!(token->flags & KD__TOKEN_NORMALIZED)) {
            KD_TRY(trie_add(context, &t->added, token->text, token->text_bytes, (int32_t)i));
            continue;
        }
        const kd__piece text = { .at = token->text, .bytes = token->text_bytes };
        kd__traced normal = { .text.context = context }, spare = { .text.context = context };
        kd_status status = kd__normalize(t, &text, &normal, &spare);
        if (status == KD_OK && !normal.text.size)
            status =
                kd__fail(KD_ERR_UNSUPPORTED,
                         "tokenizer: nothing is left of added token %lld once it is normalized",
                         (long long)i);
        if (status == KD_OK)
            status = trie_add(context, &t->added_normalized, normal.text.bytes, normal.text.size,
                              (int32_t)i);
        kd__traced_free(&spare);
        token->normal = normal.text.bytes;
        token->normal_bytes = (int32_t)normal.text.size;
        KD_TRY(status);
    }
    return KD_OK;
}

/* Most pieces are one token whose own merging gives it: told once, here, they need no merging. */
static kd_status find_wholes(kd_tokenizer *t)
{
    kd__bpe work = { .tokenizer = t };
    kd__ids ids = { .context = t->object.context };
    kd_status status = KD_OK;
    for (int64_t i = 0; i < t->size; i++) t->tokens[i].whole = 0;
    for (int64_t i = 0; i < t->size && status == KD_OK; i++) {
        kd__token *token = &t->tokens[i];
        if (!token->key_bytes) continue;
        ids.count = 0;
        const kd__piece piece = { .at = token->key, .bytes = token->key_bytes };
        status = kd__bpe_piece(&work, &piece, &ids);
        token->whole = t->ignore_merges || (ids.count == 1 && ids.at[0] == i);
    }
    kd__ids_free(&ids);
    kd__bpe_free(&work);
    return status;
}

/* ---- neighbors ---- */

static int has_special_merges(const kd_tokenizer *t)
{
    for (int64_t i = 0; i < t->merges_size; i++) {
        const kd__merge *m = &t->merges[i];
        if (m->pair == UINT64_MAX) continue;
        const int32_t left = (int32_t)(m->pair >> 32), right = (int32_t)m->pair;
        if (left == t->unknown || right == t->unknown) return 1;
        for (int b = 0; b < 256 && t->byte_fallback; b++)
            if (left == t->fallback[b] || right == t->fallback[b]) return 1;
    }
    return 0;
}

static void add_neighbors(kd_tokenizer *t, const kd__token *token)
{
    int32_t last = -1;
    for (const char *at = token->text, *end = at + token->text_bytes; at < end;) {
        const char *begin = at;
        kd__utf8_next(&at);
        const int32_t id = kd__find_key(t, begin, at - begin);
        if (last >= 0 && id >= 0 && !kd__may_join(t, last, id)) {
            uint64_t i = kd__pair_hash((uint64_t)last << 32 | (uint32_t)id);
            while (t->neighbors[i & (uint64_t)(t->neighbors_size - 1)] != UINT64_MAX) i++;
            t->neighbors[i & (uint64_t)(t->neighbors_size - 1)] = (uint64_t)last << 32 |
                                                                  (uint32_t)id;
        }
        last = id;
    }
}

/* Only for models of characters, whose pieces are whole texts. Merges of unknown tokens or bytes
 * would make the table wrong: none then. */
static kd_status find_neighbors(kd_tokenizer *t)
{
    int64_t pairs = 0;
    kd__release(t->object.context, t->neighbors);
    t->neighbors = NULL;
    t->neighbors_size = 0;
    if (t->byte_level || has_special_merges(t)) return KD_OK;
    for (int64_t i = 0; i < t->size; i++) pairs += t->tokens[i].text_bytes;
    int64_t size = 64;
    while (size < 2 * pairs + 2) size *= 2;
    KD_TRY(KD_NEW(t->object.context, &t->neighbors, size));
    memset(t->neighbors, -1, (size_t)size * sizeof *t->neighbors);
    t->neighbors_size = size;
    for (int64_t i = 0; i < t->size; i++)
        if (t->tokens[i].text && !(t->tokens[i].flags & KD__TOKEN_OUTSIDE))
            add_neighbors(t, &t->tokens[i]);
    return KD_OK;
}

kd_status kd__tokenizer_index(kd_tokenizer *t)
{
    kd__table_free(&t->by_text);
    kd__table_free(&t->by_key);
    t->by_text.context = t->by_key.context = t->object.context;
    KD_TRY(make_keys(t));
    for (int64_t i = 0; i < t->size; i++) {
        const kd__token *token = &t->tokens[i];
        if (token->text && kd__find_token(t, token->text, token->text_bytes) < 0)
            KD_TRY(put(&t->by_text, token->text, token->text_bytes, i));
        if (token->key_bytes && !(token->flags & KD__TOKEN_OUTSIDE))
            KD_TRY(put(&t->by_key, token->key, token->key_bytes, i));
    }
    find_bytes(t);
    return KD_OK;
}

/* After the merges are known. */
kd_status kd__tokenizer_finish(kd_tokenizer *t)
{
    KD_TRY(kd__tokenizer_tries(t));
    if (t->wordpiece.is_model) return kd__wordpiece_build(t);
    KD_TRY(find_neighbors(t));
    return find_wholes(t);
}
