/* Text to ids: added tokens are cut out, what lies between goes through normalising, cutting and merging. */
#include <string.h>

#include "tokenizer/tokenizer.h"

typedef struct {
    kd_tokenizer *tokenizer;
    kd__ids *ids;
    kd__bpe bpe;
    kd__pieces pieces, more;
    kd__text normal, spare;
} work;

static int is_word(const kd_tokenizer *t, const char *at) { return (kd__unicode_value(t->unicode, kd__utf8_next(&at)) & KD__WORD) != 0; }

static int is_space(const kd_tokenizer *t, const char *at) { return (kd__unicode_value(t->unicode, kd__utf8_next(&at)) & KD__SPACE) != 0; }

/* The next added token at or behind `at`: its bytes in [*from, *to), stretched over white space where it says so. -1: none. */
static int32_t next_added(const kd_tokenizer *t, const kd__trie *trie, const char *begin, const char *at, const char *end, const char **from,
                          const char **to)
{
    for (const char *p = at; p < end && trie->count; p++) {
        int64_t bytes = 0;
        if (!trie->first[(unsigned char)*p]) continue;
        const int32_t id = kd__trie_match(trie, p, end, &bytes);
        if (id < 0) continue;
        const int32_t flags = t->tokens[id].flags;
        const char *left = p, *right = p + bytes;
        if (flags & KD__TOKEN_WORD && ((left > begin && is_word(t, kd__utf8_back(left))) || (right < end && is_word(t, right)))) {
            p = right - 1; /* the search goes on behind it */
            continue;
        }
        while (flags & KD__TOKEN_LEFT && left > at && is_space(t, kd__utf8_back(left))) left = kd__utf8_back(left);
        while (flags & KD__TOKEN_RIGHT && right < end && is_space(t, right)) right += kd__utf8_size(*right);
        *from = left;
        *to = right;
        return id;
    }
    return -1;
}

static kd_status encode_stretch(work *w, const char *text, int64_t bytes, int first)
{
    const kd_tokenizer *t = w->tokenizer;
    KD_TRY(kd__cut(t, (kd__piece){ text, bytes }, first, &w->pieces, &w->more));
    for (int64_t i = 0; i < w->pieces.count; i++) KD_TRY(kd__bpe_piece(&w->bpe, w->pieces.piece[i].at, w->pieces.piece[i].bytes, w->ids));
    return KD_OK;
}

static kd_status encode_normal(work *w, const char *text, int64_t bytes, int first)
{
    const kd_tokenizer *t = w->tokenizer;
    const char *at = text, *end = text + bytes, *from, *to;
    if (t->normalizers.count) {
        KD_TRY(kd__normalize(t, text, bytes, &w->normal, &w->spare));
        text = at = w->normal.bytes;
        end = at + w->normal.size;
    }
    for (int32_t id; at < end; at = to) {
        id = next_added(t, &t->added_normalized, text, at, end, &from, &to);
        if (id < 0) from = to = end;
        if (from > at) KD_TRY(encode_stretch(w, at, from - at, first && at == text));
        if (id >= 0) KD_TRY(kd__ids_push(w->ids, id));
    }
    return KD_OK;
}

static kd_status encode_text(work *w, const char *text, int64_t bytes)
{
    const char *at = text, *end = text + bytes, *from, *to;
    for (int32_t id; at < end; at = to) {
        id = next_added(w->tokenizer, &w->tokenizer->added, text, at, end, &from, &to);
        if (id < 0) from = to = end;
        if (from > at) KD_TRY(encode_normal(w, at, from - at, at == text));
        if (id >= 0) KD_TRY(kd__ids_push(w->ids, id));
    }
    return KD_OK;
}

kd_status kd__encode(kd_tokenizer *t, const char *text, int64_t bytes, int32_t flags, kd__ids *ids)
{
    kd_context *context = t->object.context;
    const int64_t valid = kd__utf8_valid(text, bytes, NULL);
    KD_FAIL_IF(valid != bytes, KD_ERR_FORMAT, "text: byte %lld begins no UTF-8 character", (long long)valid);
    work w = { .tokenizer = t, .ids = ids, .bpe = { .tokenizer = t } };
    w.pieces.context = w.more.context = w.normal.context = w.spare.context = w.pieces.text.context = ids->context = context;
    kd_status status = KD_OK;
    for (int64_t i = 0; flags & KD_ADD_SPECIAL && i < t->before_count && status == KD_OK; i++) status = kd__ids_push(ids, t->before[i]);
    if (status == KD_OK) status = encode_text(&w, text, bytes);
    for (int64_t i = 0; flags & KD_ADD_SPECIAL && i < t->behind_count && status == KD_OK; i++) status = kd__ids_push(ids, t->behind[i]);
    kd__bpe_free(&w.bpe);
    kd__release(context, w.pieces.piece);
    kd__release(context, w.more.piece);
    kd__text_free(&w.pieces.text);
    kd__text_free(&w.normal);
    kd__text_free(&w.spare);
    return status;
}
