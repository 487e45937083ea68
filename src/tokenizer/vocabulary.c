/* Tokens by id, by text and by key; merges; tries of added tokens. */
#include <string.h>

#include "tokenizer/tokenizer.h"

/* ---- hash tables ---- */

static uint64_t hash_bytes(const char *text, int64_t bytes)
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

static int32_t find(const kd_tokenizer *t, const int32_t *table, int key, const char *text, int64_t bytes)
{
    if (!table) return -1;
    for (uint64_t i = hash_bytes(text, bytes);; i++) {
        const int32_t id = table[i & (uint64_t)(t->hash_size - 1)];
        if (id < 0) return -1;
        const kd__token *token = &t->tokens[id];
        if (key ? token->key_bytes == bytes && !memcmp(token->key, text, (size_t)bytes)
                : token->text_bytes == bytes && !memcmp(token->text, text, (size_t)bytes))
            return id;
    }
}

int32_t kd__find_token(const kd_tokenizer *t, const char *text, int64_t bytes) { return find(t, t->by_text, 0, text, bytes); }
int32_t kd__find_key(const kd_tokenizer *t, const char *key, int64_t bytes) { return find(t, t->by_key, 1, key, bytes); }

static void put(const kd_tokenizer *t, int32_t *table, const char *text, int64_t bytes, int32_t id)
{
    uint64_t i = hash_bytes(text, bytes);
    while (table[i & (uint64_t)(t->hash_size - 1)] >= 0) i++;
    table[i & (uint64_t)(t->hash_size - 1)] = id;
}

kd_status kd__tokenizer_set(kd_tokenizer *t, int64_t id, const char *text, int64_t bytes, int32_t flags)
{
    KD_FAIL_IF(id < 0 || id >= 1 << 24, KD_ERR_RANGE, "tokenizer: id %lld of token %.40s: expected 0 to 16777215", (long long)id, text);
    if (id >= t->tokens_room) KD_TRY(KD_RESERVE(t->object.context, &t->tokens, &t->tokens_room, id + id / 2 + 1024));
    if (id >= t->size) t->size = id + 1;
    kd__token *token = &t->tokens[id];
    KD_FAIL_IF(token->text && (token->text_bytes != bytes || memcmp(token->text, text, (size_t)bytes)) && !(flags & KD_TOKEN_ADDED), KD_ERR_FORMAT,
               "tokenizer: id %lld belongs to %.40s and to %.40s", (long long)id, token->text, text);
    token->text = text;
    token->text_bytes = (int32_t)bytes;
    token->flags = flags;
    return KD_OK;
}

/* ---- merges ---- */

kd_status kd__tokenizer_merge(kd_tokenizer *t, int32_t left, int32_t right, int32_t rank, int32_t id)
{
    const uint64_t pair = (uint64_t)left << 32 | (uint32_t)right;
    uint64_t i = kd__pair_hash(pair);
    while (t->merges[i & (uint64_t)(t->merges_size - 1)].pair != UINT64_MAX && t->merges[i & (uint64_t)(t->merges_size - 1)].pair != pair) i++;
    t->merges[i & (uint64_t)(t->merges_size - 1)] = (kd__merge){ pair, rank, id };
    return KD_OK;
}

/* ---- the trie ---- */

static kd_status trie_node(kd_context *context, kd__trie *trie, unsigned char byte, int32_t *node)
{
    if (trie->count == trie->room) KD_TRY(KD_RESERVE(context, &trie->nodes, &trie->room, 2 * trie->room + 64));
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

static kd_status trie_add(kd_context *context, kd__trie *trie, const char *text, int64_t bytes, int32_t id)
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
    if ((c >= 33 && c <= 126) || (c >= 161 && c <= 172) || (c >= 174 && c <= 255)) return (int32_t)c;
    if (c < 256 || c > 323) return -1; /* the other bytes, in their order, begin at U+0100: 0 to 32, 127 to 160, 173 */
    const int32_t n = (int32_t)c - 256;
    return n < 33 ? n : n < 67 ? n - 33 + 127 : 173;
}

/* The bytes that the characters of a byte-level token stand for; 0 bytes: it has others, and no piece can be it. */
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
        const char digits[] = "0123456789ABCDEF", byte = (char)b, name[7] = { '<', '0', 'x', digits[b / 16], digits[b % 16], '>' };
        t->bytes[b] = t->byte_level ? kd__find_key(t, &byte, 1) : kd__find_token(t, name, 6);
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
        kd__text normal = { .context = context }, spare = { .context = context };
        kd_status status = kd__normalize(t, token->text, token->text_bytes, &normal, &spare);
        if (status == KD_OK) status = trie_add(context, &t->added_normalized, normal.bytes, normal.size, (int32_t)i);
        kd__text_free(&spare);
        token->normal = normal.bytes;
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
        status = kd__bpe_piece(&work, token->key, token->key_bytes, &ids);
        token->whole = t->ignore_merges || (ids.count == 1 && ids.at[0] == i);
    }
    kd__release(ids.context, ids.at);
    kd__bpe_free(&work);
    return status;
}

/* ---- neighbours ---- */

static int has_special_merges(const kd_tokenizer *t)
{
    for (int64_t i = 0; i < t->merges_size; i++) {
        const kd__merge *m = &t->merges[i];
        if (m->pair == UINT64_MAX) continue;
        const int32_t left = (int32_t)(m->pair >> 32), right = (int32_t)m->pair;
        if (left == t->unknown || right == t->unknown) return 1;
        for (int b = 0; b < 256 && t->byte_fallback; b++)
            if (left == t->bytes[b] || right == t->bytes[b]) return 1;
    }
    return 0;
}

static void add_neighbours(kd_tokenizer *t, const kd__token *token)
{
    int32_t last = -1;
    for (const char *at = token->text, *end = at + token->text_bytes; at < end;) {
        const char *begin = at;
        kd__utf8_next(&at);
        const int32_t id = kd__find_key(t, begin, at - begin);
        if (last >= 0 && id >= 0 && !kd__may_join(t, last, id)) {
            uint64_t i = kd__pair_hash((uint64_t)last << 32 | (uint32_t)id);
            while (t->neighbours[i & (uint64_t)(t->neighbours_size - 1)] != UINT64_MAX) i++;
            t->neighbours[i & (uint64_t)(t->neighbours_size - 1)] = (uint64_t)last << 32 | (uint32_t)id;
        }
        last = id;
    }
}

/* Only for models of characters, whose pieces are whole texts. Merges of unknown tokens or bytes would make the table wrong: none then. */
static kd_status find_neighbours(kd_tokenizer *t)
{
    int64_t pairs = 0;
    kd__release(t->object.context, t->neighbours);
    t->neighbours = NULL;
    t->neighbours_size = 0;
    if (t->byte_level || has_special_merges(t)) return KD_OK;
    for (int64_t i = 0; i < t->size; i++) pairs += t->tokens[i].text_bytes;
    int64_t size = 64;
    while (size < 2 * pairs + 2) size *= 2;
    KD_TRY(KD_NEW(t->object.context, &t->neighbours, size));
    memset(t->neighbours, -1, (size_t)size * sizeof *t->neighbours);
    t->neighbours_size = size;
    for (int64_t i = 0; i < t->size; i++)
        if (t->tokens[i].text && !(t->tokens[i].flags & KD__TOKEN_OUTSIDE)) add_neighbours(t, &t->tokens[i]);
    return KD_OK;
}

kd_status kd__tokenizer_index(kd_tokenizer *t)
{
    kd_context *context = t->object.context;
    kd__release(context, t->by_text);
    kd__release(context, t->by_key);
    t->by_text = t->by_key = NULL;
    for (t->hash_size = 1024; t->hash_size < 2 * t->size + 2;) t->hash_size *= 2;
    KD_TRY(KD_NEW(context, &t->by_text, t->hash_size));
    KD_TRY(KD_NEW(context, &t->by_key, t->hash_size));
    memset(t->by_text, -1, (size_t)t->hash_size * sizeof *t->by_text);
    memset(t->by_key, -1, (size_t)t->hash_size * sizeof *t->by_key);
    KD_TRY(make_keys(t));
    for (int64_t i = 0; i < t->size; i++) {
        const kd__token *token = &t->tokens[i];
        if (token->text && kd__find_token(t, token->text, token->text_bytes) < 0) put(t, t->by_text, token->text, token->text_bytes, (int32_t)i);
        if (token->key_bytes && !(token->flags & KD__TOKEN_OUTSIDE)) put(t, t->by_key, token->key, token->key_bytes, (int32_t)i);
    }
    find_bytes(t);
    return KD_OK;
}

/* After the merges are known. */
kd_status kd__tokenizer_finish(kd_tokenizer *t)
{
    KD_TRY(kd__tokenizer_tries(t));
    KD_TRY(find_neighbours(t));
    return find_wholes(t);
}
