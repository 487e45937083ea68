/* WordPiece [Schuster and Nakajima 2012; Devlin et al. 2019]: a word is cut into the longest token
 * that it begins with, then the longest that continues it, and so on; a word that cannot be cut to
 * its end is the unknown token. */
#include <string.h>

#include "base/memory.h"
#include "language/tokenizer/reader.h"

/* The most bytes of a token: cutting a word is linear in the longest. */
#define MOST_BYTES 1000

/* Nodes of the trie: tokens that begin a word hang under one, tokens that continue it, without
 * their prefix, under the other. */
enum { BEGINS, CONTINUES, ROOTS };

/* ---- the trie: a hash table of edges ---- */

/* Where the edge is, or would be. */
static kd__edge *edge_at(const kd__wordpiece *w, int64_t node, unsigned char byte)
{
    const uint64_t key = (uint64_t)node << 8 | byte;
    for (uint64_t i = kd__pair_hash(key);; i++) {
        kd__edge *edge = &w->edges[i & (uint64_t)(w->size - 1)];
        if (edge->key == key || edge->key == UINT64_MAX) return edge;
    }
}

static kd_status grow(kd_context *context, kd__wordpiece *w)
{
    const kd__wordpiece before = *w;
    if (2 * (w->count + 1) <= w->size) return KD_OK;
    w->size = before.size ? 2 * before.size : 1024;
    const kd_status status = KD_NEW(context, &w->edges, w->size);
    if (status != KD_OK) {
        *w = before;
        return status;
    }
    memset(w->edges, -1, (size_t)w->size * sizeof *w->edges);
    for (int64_t i = 0; i < before.size; i++) {
        const kd__edge *edge = &before.edges[i];
        if (edge->key != UINT64_MAX)
            *edge_at(w, (int64_t)(edge->key >> 8), (unsigned char)edge->key) = *edge;
    }
    kd__release(context, before.edges);
    return KD_OK;
}

static kd_status add(kd_context *context, kd__wordpiece *w, int32_t node, const char *text,
                     int64_t bytes, int32_t id)
{
    for (int64_t i = 0; i < bytes; i++) {
        KD_TRY(grow(context, w));
        kd__edge *edge = edge_at(w, node, (unsigned char)text[i]);
        if (edge->key == UINT64_MAX) {
            edge->key = (uint64_t)node << 8 | (unsigned char)text[i];
            edge->node = (int32_t)(ROOTS + w->count++);
            edge->id = -1;
        }
        if (i + 1 == bytes) edge->id = id;
        node = edge->node;
    }
    return KD_OK;
}

kd_status kd__wordpiece_build(kd_tokenizer *t)
{
    kd_context *context = t->object.context;
    kd__wordpiece *w = &t->wordpiece;
    KD_TRY(grow(context, w));
    for (int64_t i = 0; i < t->size; i++) {
        const kd__token *token = &t->tokens[i];
        if (!token->text || token->flags & KD__TOKEN_OUTSIDE) continue;
        KD_FAIL_IF(token->text_bytes > MOST_BYTES, KD_ERR_UNSUPPORTED,
                   "tokenizer: token %lld has %d bytes: expected at most %d", (long long)i,
                   token->text_bytes, MOST_BYTES);
        KD_TRY(add(context, w, BEGINS, token->text, token->text_bytes, (int32_t)i));
        const int64_t rest = token->text_bytes - w->prefix_bytes;
        if (rest > 0 && !memcmp(token->text, w->prefix, (size_t)w->prefix_bytes))
            KD_TRY(add(context, w, CONTINUES, token->text + w->prefix_bytes, rest, (int32_t)i));
    }
    return KD_OK;
}

/* ---- cutting a word ---- */

static int32_t longest(const kd__wordpiece *w, const kd__piece *piece, int64_t from, int64_t *end)
{
    int32_t id = -1, node = from ? CONTINUES : BEGINS;
    for (int64_t at = from; at < piece->bytes; at++) {
        const kd__edge *edge = edge_at(w, node, (unsigned char)piece->at[at]);
        if (edge->key == UINT64_MAX) break;
        node = edge->node;
        if (edge->id >= 0) id = edge->id, *end = at + 1;
    }
    return id;
}

static int is_too_long(const kd__wordpiece *w, const kd__piece *piece)
{
    int64_t characters = 0;
    if (piece->bytes <= w->longest_word) return 0;
    for (int64_t i = 0; i < piece->bytes; i++)
        characters += ((unsigned char)piece->at[i] & 0xc0) != 0x80;
    return characters > w->longest_word;
}

static kd_status push_unknown(const kd_tokenizer *t, const kd__piece *piece, kd__ids *ids)
{
    KD_FAIL_IF(t->unknown < 0, KD_ERR_FORMAT,
               "tokenizer: the text has unknown words, and unk_token '%.40s' is not in the "
               "vocabulary",
               t->unknown_name);
    return kd__ids_push(ids, t->unknown, kd__piece_end(piece, piece->bytes));
}

kd_status kd__wordpiece_piece(const kd_tokenizer *t, const kd__piece *piece, kd__ids *ids)
{
    const kd__wordpiece *w = &t->wordpiece;
    const int64_t before = ids->count;
    if (is_too_long(w, piece)) return push_unknown(t, piece, ids);
    /* most words are one token: found by one look */
    const int32_t whole = kd__find_key(t, piece->at, piece->bytes);
    if (whole >= 0) return kd__ids_push(ids, whole, kd__piece_end(piece, piece->bytes));
    for (int64_t at = 0, end = 0; at < piece->bytes; at = end) {
        const int32_t id = longest(w, piece, at, &end);
        if (id < 0) {
            ids->count = before;
            return push_unknown(t, piece, ids);
        }
        KD_TRY(kd__ids_push(ids, id, kd__piece_end(piece, end)));
    }
    return KD_OK;
}

/* ---- reading ---- */

kd_status kd__wordpiece_read(kd__reader *r, const kd__json *model)
{
    static const char *const needed[] = { "unk_token", "continuing_subword_prefix",
                                          "max_input_chars_per_word" };
    kd__wordpiece *w = &r->t->wordpiece;
    for (int i = 0; i < 3; i++) {
        KD_FAIL_IF(!kd__json_member(model, needed[i]), KD_ERR_FORMAT,
                   "%s: WordPiece: the key %s is missing", r->what, needed[i]);
        KD_FAIL_IF(i < 2 && !kd__text_of(model, needed[i]), KD_ERR_FORMAT,
                   "%s: WordPiece: %s: expected a text", r->what, needed[i]);
    }
    const kd__json *most = kd__json_member(model, needed[2]);
    w->prefix = kd__text_of(model, needed[1]);
    KD_FAIL_IF(r->t->byte_level, KD_ERR_UNSUPPORTED,
               "%s: WordPiece after a ByteLevel pre-tokenizer is not supported", r->what);
    KD_TRY(kd__json_integer(most, 0, (int64_t)1 << 53, &w->longest_word,
                            "tokenizer: max_input_chars_per_word"));
    w->prefix_bytes = (int64_t)strlen(w->prefix);
    w->is_model = 1;
    return KD_OK;
}

/* ---- decoding ---- */

static void replace_all(kd__text *text, int64_t from, const char *what, const char *by)
{
    const size_t bytes = strlen(what), count = strlen(by);
    char *at = text->bytes + from, *to = at, *end = text->bytes + text->size;
    while (at < end) {
        const int is_match = (size_t)(end - at) >= bytes && !memcmp(at, what, bytes);
        if (is_match) memcpy(to, by, count);
        else *to = *at;
        to += is_match ? count : 1;
        at += is_match ? bytes : 1;
    }
    text->size = to - text->bytes;
    *to = 0;
}

/* What English has without a space, in the package's order. */
static void clean_up(kd__text *text, int64_t from)
{
    static const char *const pairs[][2] = {
        { " .", "." },   { " ?", "?" },     { " !", "!" },     { " ,", "," },
        { " ' ", "'" },  { " n't", "n't" }, { " 'm", "'m" },   { " do not", " don't" },
        { " 's", "'s" }, { " 've", "'ve" }, { " 're", "'re" },
    };
    if (!memchr(text->bytes + from, ' ', (size_t)(text->size - from))) return;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        replace_all(text, from, pairs[i][0], pairs[i][1]);
}

kd_status kd__wordpiece_show(const kd__step *step, const char *at, int64_t bytes, int is_first,
                             kd__text *to)
{
    const int64_t from = to->size;
    const int continues = bytes >= step->to_bytes && !memcmp(at, step->to, (size_t)step->to_bytes);
    const int64_t skip = !is_first && continues ? step->to_bytes : 0;
    if (!is_first && !continues) KD_TRY(kd__text_append(to, " ", 1));
    KD_TRY(kd__text_append(to, at + skip, (size_t)(bytes - skip)));
    if (step->option) clean_up(to, from);
    return KD_OK;
}
