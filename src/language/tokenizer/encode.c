/* Text to ids: added tokens are cut out, what lies between goes through normalizing, cutting and
 * merging. */
#include <string.h>

#include "base/memory.h"
#include "language/tokenizer/tokenizer.h"

typedef struct {
    kd_tokenizer *tokenizer;
    kd__ids *ids;
    kd__bpe bpe;
    kd__pieces pieces, more;
    kd__traced normal, spare;
} work;

static int is_word(const kd_tokenizer *t, const char *at)
{
    return kd__unicode_is_word(t->unicode, kd__utf8_next(&at));
}

static int is_space(const kd_tokenizer *t, const char *at)
{
    return (kd__unicode_value(t->unicode, kd__utf8_next(&at)) & KD__SPACE) != 0;
}

/* A search for added tokens, as the tokenizers package does it: each is the longest one of the
 * leftmost, and the search goes on after the token's own text. White space that a token takes with
 * it is searched once more: where an added token is found in it, the two overlap, and what is
 * between tokens begins again after the later one. */
typedef struct {
    const kd_tokenizer *tokenizer;
    const kd__trie *trie;
    const char *begin, *end;
    const char *at;    /* where the search goes on */
    const char *given; /* what is before was cut off */
    /* the white space that a token took with it last: long runs are walked once */
    const char *spaces, *spaces_end;
    int is_over; /* there are no more tokens */
} search;

static search search_in(const kd_tokenizer *t, const kd__trie *trie, const kd__piece *text)
{
    const char *begin = text->at;
    return (search){ t, trie, begin, begin + text->bytes, begin, begin, begin, begin, 0 };
}

static int is_alone(const search *s, const char *from, const char *to)
{
    const kd_tokenizer *t = s->tokenizer;
    return !(from > s->begin && is_word(t, kd__utf8_back(from))) &&
           !(to < s->end && is_word(t, to));
}

static const char *spaces_before(const search *s, const char *at)
{
    if (at < s->given) return s->given;
    while (at > s->given && is_space(s->tokenizer, kd__utf8_back(at))) at = kd__utf8_back(at);
    return at;
}

static const char *spaces_after(search *s, const char *at)
{
    if (at >= s->spaces && at < s->spaces_end) return s->spaces_end;
    s->spaces = at;
    while (at < s->end && is_space(s->tokenizer, at)) at += kd__utf8_size(*at);
    return s->spaces_end = at;
}

/* The next added token: its bytes are [*from, *to), the white space that it takes with it included;
 * none where a token before took them. -1: the text has no more tokens. */
static int32_t next_added(search *s, const char **from, const char **to)
{
    for (int64_t bytes; s->trie->count && s->at < s->end;) {
        const char *left = s->at++;
        if (!s->trie->first[(unsigned char)*left]) continue;
        const int32_t id = kd__trie_match(s->trie, left, s->end, &bytes);
        if (id < 0) continue;
        const int32_t flags = s->tokenizer->tokens[id].flags;
        s->at = left + bytes;
        if (flags & KD__TOKEN_WORD && !is_alone(s, left, s->at)) continue;
        *from = flags & KD__TOKEN_LEFT ? spaces_before(s, left) : left;
        *to = flags & KD__TOKEN_RIGHT ? spaces_after(s, s->at) : s->at;
        return id;
    }
    return -1;
}

/* A part of the text: what is before the next added token, then that token. 0: the text is over. */
typedef struct {
    kd__piece before; /* no bytes: nothing is */
    int32_t id;       /* -1: no token */
    int64_t end;
} part;

static int cut_off(search *s, const kd__piece *text, part *p)
{
    const char *from = s->end, *to = s->end, *given = s->given;
    if (s->is_over) return 0;
    p->id = next_added(s, &from, &to);
    s->is_over = p->id < 0;
    s->given = to;
    p->before = from > given ? kd__piece_part(text, given - text->at, from - text->at)
                             : (kd__piece){ 0 };
    p->end = kd__piece_end(text, to - text->at);
    if (from >= to) p->id = -1;
    return 1;
}

static kd_status encode_stretch(work *w, const kd__piece *text)
{
    const kd_tokenizer *t = w->tokenizer;
    KD_TRY(kd__cut(t, text, &w->pieces, &w->more));
    for (int64_t i = 0; i < w->pieces.count; i++) {
        const kd__piece *piece = &w->pieces.piece[i];
        KD_TRY(t->wordpiece.is_model ? kd__wordpiece_piece(t, piece, w->ids)
                                     : kd__bpe_piece(&w->bpe, piece, w->ids));
    }
    return KD_OK;
}

static kd_status encode_normal(work *w, const kd__piece *given)
{
    const kd_tokenizer *t = w->tokenizer;
    kd__piece text = *given;
    part p;
    if (t->normalizers.count) {
        KD_TRY(kd__normalize(t, given, &w->normal, &w->spare));
        text = kd__traced_piece(&w->normal, given->start);
    }
    search found = search_in(t, &t->added_normalized, &text);
    while (cut_off(&found, &text, &p)) {
        if (p.before.bytes) KD_TRY(encode_stretch(w, &p.before));
        if (p.id >= 0) KD_TRY(kd__ids_push(w->ids, p.id, p.end));
    }
    return KD_OK;
}

static kd_status encode_text(work *w, const kd__piece *text)
{
    search found = search_in(w->tokenizer, &w->tokenizer->added, text);
    part p;
    while (cut_off(&found, text, &p)) {
        if (p.before.bytes) KD_TRY(encode_normal(w, &p.before));
        if (p.id >= 0) KD_TRY(kd__ids_push(w->ids, p.id, p.end));
    }
    return KD_OK;
}

/* What stands around the texts ends where the text before it does. */
static kd_status encode_all(work *w, const kd__layout *layout, const kd__piece texts[2],
                            int32_t flags)
{
    int64_t end = 0;
    for (int64_t i = 0; i < layout->count; i++) {
        const kd__place *place = &layout->place[i];
        w->ids->type = place->type;
        if (place->id >= 0) {
            if (flags & KD_TOKENIZER_ADD_SPECIAL) KD_TRY(kd__ids_push(w->ids, place->id, end));
            continue;
        }
        const kd__piece *text = &texts[place->id == KD__SECOND_TEXT];
        KD_TRY(encode_text(w, text));
        end = text->bytes;
    }
    return KD_OK;
}

/* Each byte of the given text ends after itself. */
static kd_status trace(kd_context *context, int64_t bytes, int64_t **ends)
{
    KD_TRY(KD_NEW(context, ends, bytes + 1));
    for (int64_t i = 0; i < bytes; i++) (*ends)[i] = i + 1;
    return KD_OK;
}

static void begin_work(work *w, kd_tokenizer *t, kd__ids *ids)
{
    kd_context *context = t->object.context;
    *w = (work){ .tokenizer = t, .ids = ids, .bpe = { .tokenizer = t } };
    w->pieces.context = w->more.context = w->normal.text.context = w->spare.text.context =
        w->pieces.text.text.context = context;
    w->normal.is_traced = w->spare.is_traced = w->pieces.text.is_traced = ids->is_traced;
    ids->context = context;
}

static void end_work(work *w)
{
    kd__bpe_free(&w->bpe);
    kd__release(w->ids->context, w->pieces.piece);
    kd__release(w->ids->context, w->more.piece);
    kd__traced_free(&w->pieces.text);
    kd__traced_free(&w->normal);
    kd__traced_free(&w->spare);
}

static kd_status check(const char *text, int64_t bytes)
{
    const int64_t valid = kd__utf8_valid(text, bytes, NULL);
    KD_FAIL_IF(valid != bytes, KD_ERR_FORMAT, "text: expected UTF-8, byte %lld begins no character",
               (long long)valid);
    return KD_OK;
}

static kd__piece whole(const char *text, int64_t bytes, const int64_t *ends)
{
    return (kd__piece){ text, bytes, ends, 0, bytes ? kd__utf8_size(*text) : 0 };
}

kd_status kd__encode_pair(kd_tokenizer *t, const char *first, int64_t first_bytes,
                          const char *second, int64_t second_bytes, int32_t flags, kd__ids *ids)
{
    const kd__layout *layout = second ? &t->pair : &t->single;
    int64_t *ends = NULL;
    work w;
    KD_FAIL_IF(!layout->count, KD_ERR_UNSUPPORTED,
               "tokenizer: the file's template for pairs: expected both texts once");
    KD_TRY(check(first, first_bytes));
    if (second) KD_TRY(check(second, second_bytes));
    begin_work(&w, t, ids);
    kd_status status = ids->is_traced ? trace(ids->context, first_bytes, &ends) : KD_OK;
    const kd__piece texts[] = { whole(first, first_bytes, ends),
                                second ? whole(second, second_bytes, NULL) : (kd__piece){ 0 } };
    if (status == KD_OK) status = encode_all(&w, layout, texts, flags);
    end_work(&w);
    kd__release(ids->context, ends);
    return status;
}

kd_status kd__encode(kd_tokenizer *t, const char *text, int64_t bytes, int32_t flags, kd__ids *ids)
{
    return kd__encode_pair(t, text, bytes, NULL, 0, flags, ids);
}
