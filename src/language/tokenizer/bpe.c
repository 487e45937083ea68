/* Byte pair encoding of one piece [Sennrich et al. 2016]: of all neighbors, the pair of lowest rank
 * is merged, the leftmost first, until no pair has a rank. Short pieces look at every pair a time;
 * long ones keep a heap, n log n. */
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "language/tokenizer/tokenizer.h"

#define SHORT 48

typedef struct kd__bpe_symbol {
    int32_t id, previous, next; /* previous: -1 at the beginning, next: -1 at the end */
    int32_t rank, merged;       /* of the pair with the next: rank INT32_MAX: none */
    int32_t end;                /* in bytes of the piece */
} symbol;

typedef struct kd__bpe_entry {
    int32_t rank, at, left, right;
} entry;

/* Ends never fall: marks that a normal form put in another order end where the last of them
 * does. */
static int64_t not_before(const kd__ids *ids, int64_t end)
{
    const int64_t last = ids->count ? ids->ends[ids->count - 1] : 0;
    return kd__max(end, last);
}

kd_status kd__ids_push(kd__ids *ids, int32_t id, int64_t end)
{
    KD_TRY(KD_RESERVE(ids->context, &ids->at, &ids->room, ids->count + 1));
    if (ids->is_traced) {
        KD_TRY(KD_RESERVE(ids->context, &ids->ends, &ids->ends_room, ids->count + 1));
        ids->ends[ids->count] = not_before(ids, end);
    }
    if (ids->is_typed) {
        KD_TRY(KD_RESERVE(ids->context, &ids->types, &ids->types_room, ids->count + 1));
        ids->types[ids->count] = ids->type;
    }
    ids->at[ids->count++] = id;
    return KD_OK;
}

void kd__ids_free(kd__ids *ids)
{
    kd__release(ids->context, ids->at);
    kd__release(ids->context, ids->ends);
    kd__release(ids->context, ids->types);
}

static kd_status push_symbol(kd__ids *ids, const kd__piece *piece, const symbol *s)
{
    return kd__ids_push(ids, s->id, kd__piece_end(piece, s->end));
}

static void look_up(const kd_tokenizer *t, int32_t left, int32_t right, symbol *s)
{
    const uint64_t pair = (uint64_t)left << 32 | (uint32_t)right;
    s->rank = INT32_MAX;
    if (!t->merges_size) return;
    for (uint64_t i = kd__pair_hash(pair);; i++) {
        const kd__merge *merge = &t->merges[i & (uint64_t)(t->merges_size - 1)];
        if (merge->pair == pair) {
            s->rank = merge->rank;
            s->merged = merge->id;
            return;
        }
        if (merge->pair == UINT64_MAX) return;
    }
}

/* ---- symbols of a piece before merging ---- */

typedef struct {
    kd__bpe *work;
    int64_t count;
    int32_t unknown_end; /* of unknown characters that are not written yet, 0: none */
} builder;

static kd_status add(builder *s, int32_t id, int64_t end)
{
    kd__bpe *w = s->work;
    KD_FAIL_IF(s->count == INT32_MAX, KD_ERR_RANGE,
               "tokenizer: a piece of more than 2^31 - 1 symbols");
    KD_TRY(KD_RESERVE(w->tokenizer->object.context, &w->symbols, &w->room, s->count + 1));
    w->symbols[s->count].id = id;
    w->symbols[s->count++].end = (int32_t)end;
    return KD_OK;
}

static kd_status flush_unknown(builder *s)
{
    const int32_t end = s->unknown_end;
    s->unknown_end = 0;
    return end ? add(s, s->work->tokenizer->unknown, end) : KD_OK;
}

static kd_status add_unknown(builder *s, int64_t end)
{
    const kd_tokenizer *t = s->work->tokenizer;
    if (!t->unknown_name) return KD_OK;
    KD_FAIL_IF(
        t->unknown < 0, KD_ERR_FORMAT,
        "tokenizer: the text has unknown characters: expected unk_token '%.40s' in the vocabulary",
        t->unknown_name);
    if (!t->fuse_unknown) KD_TRY(flush_unknown(s));
    s->unknown_end = (int32_t)end;
    return KD_OK;
}

static int has_all_bytes(const kd_tokenizer *t, const char *text, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i++)
        if (t->fallback[(unsigned char)text[i]] < 0) return 0;
    return 1;
}

/* A character that the vocabulary lacks: its bytes, or the unknown token, which comes when its run
 * is over: after bytes that follow it, as the tokenizers package has it. */
static kd_status add_missing(builder *s, const char *text, int64_t from, int64_t end)
{
    const kd_tokenizer *t = s->work->tokenizer;
    if (!t->byte_fallback || !has_all_bytes(t, text, end - from)) return add_unknown(s, end);
    for (int64_t i = 0; i < end - from; i++)
        KD_TRY(add(s, t->fallback[(unsigned char)text[i]], from + i + 1));
    return KD_OK;
}

/* A byte that the vocabulary lacks: what falls back are the bytes of the character that stands for
 * it. */
static kd_status add_missing_byte(builder *s, unsigned char byte, int64_t end)
{
    const kd_tokenizer *t = s->work->tokenizer;
    char character[4];
    const int64_t bytes = kd__utf8_put(character, kd__alphabet_character(byte));
    if (!t->byte_fallback || !has_all_bytes(t, character, bytes)) return add_unknown(s, end);
    for (int64_t i = 0; i < bytes; i++)
        KD_TRY(add(s, t->fallback[(unsigned char)character[i]], end));
    return KD_OK;
}

static kd_status add_character(builder *s, const kd__piece *piece, int64_t from, int64_t end)
{
    const int32_t id = kd__find_key(s->work->tokenizer, piece->at + from, end - from);
    if (id < 0) return add_missing(s, piece->at + from, from, end);
    KD_TRY(flush_unknown(s));
    return add(s, id, end);
}

static kd_status add_byte(builder *s, const kd__piece *piece, int64_t at)
{
    const unsigned char byte = (unsigned char)piece->at[at];
    const int32_t id = s->work->tokenizer->bytes[byte];
    if (id < 0) return add_missing_byte(s, byte, at + 1);
    KD_TRY(flush_unknown(s));
    return add(s, id, at + 1);
}

static kd_status begin_symbols(kd__bpe *work, const kd__piece *piece, int64_t *count)
{
    builder s = { .work = work };
    for (int64_t at = 0, end; at < piece->bytes; at = end) {
        end = at + (work->tokenizer->byte_level ? 1 : kd__utf8_size(piece->at[at]));
        KD_TRY(work->tokenizer->byte_level ? add_byte(&s, piece, at)
                                           : add_character(&s, piece, at, end));
    }
    KD_TRY(flush_unknown(&s));
    *count = s.count;
    return KD_OK;
}

static kd_status merge_short(const kd_tokenizer *t, const kd__piece *piece, symbol *s,
                             int64_t count, kd__ids *ids)
{
    for (int64_t i = 0; i + 1 < count; i++) look_up(t, s[i].id, s[i + 1].id, &s[i]);
    if (count) s[count - 1].rank = INT32_MAX;
    for (;;) {
        int64_t best = 0;
        for (int64_t i = 1; i + 1 < count; i++)
            if (s[i].rank < s[best].rank) best = i;
        if (count < 2 || s[best].rank == INT32_MAX) break;
        s[best].id = s[best].merged;
        s[best].end = s[best + 1].end;
        memmove(s + best + 1, s + best + 2, (size_t)(count - best - 2) * sizeof *s);
        count--;
        if (best + 1 < count) look_up(t, s[best].id, s[best + 1].id, &s[best]);
        else s[best].rank = INT32_MAX;
        if (best) look_up(t, s[best - 1].id, s[best].id, &s[best - 1]);
    }
    for (int64_t i = 0; i < count; i++) KD_TRY(push_symbol(ids, piece, &s[i]));
    return KD_OK;
}

/* ---- the heap: by rank, then by place ---- */

static int before(const entry *a, const entry *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static kd_status heap_push(kd__bpe *w, entry e)
{
    KD_TRY(KD_RESERVE(w->tokenizer->object.context, &w->heap, &w->heap_room, w->heap_count + 1));
    int64_t i = w->heap_count++;
    for (; i && before(&e, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = e;
    return KD_OK;
}

static entry heap_pop(kd__bpe *w)
{
    const entry top = w->heap[0], last = w->heap[--w->heap_count];
    int64_t i = 0;
    for (int64_t child; (child = 2 * i + 1) < w->heap_count; i = child) {
        if (child + 1 < w->heap_count && before(&w->heap[child + 1], &w->heap[child])) child++;
        if (!before(&w->heap[child], &last)) break;
        w->heap[i] = w->heap[child];
    }
    w->heap[i] = last;
    return top;
}

static kd_status push_pair(kd__bpe *w, symbol *symbols, int32_t at)
{
    symbol *s = symbols + at;
    if (at < 0 || s->next < 0) return KD_OK;
    look_up(w->tokenizer, s->id, symbols[s->next].id, s);
    return s->rank == INT32_MAX ? KD_OK
                                : heap_push(w, (entry){ s->rank, at, s->id, symbols[s->next].id });
}

static kd_status merge_long(kd__bpe *w, const kd__piece *piece, symbol *s, int64_t count,
                            kd__ids *ids)
{
    w->heap_count = 0;
    for (int64_t i = 0; i < count; i++)
        s[i].previous = (int32_t)i - 1, s[i].next = i + 1 < count ? (int32_t)i + 1 : -1;
    for (int64_t i = 0; i < count; i++) KD_TRY(push_pair(w, s, (int32_t)i));
    while (w->heap_count) {
        const entry e = heap_pop(w);
        symbol *left = s + e.at;
        /* one of the two was merged meanwhile */
        if (left->id != e.left || left->next < 0 || s[left->next].id != e.right) continue;
        symbol *right = s + left->next;
        symbol found;
        look_up(w->tokenizer, e.left, e.right, &found);
        left->id = found.merged;
        left->end = right->end;
        right->id = -1;
        left->next = right->next;
        if (left->next >= 0) s[left->next].previous = e.at;
        KD_TRY(push_pair(w, s, left->previous));
        KD_TRY(push_pair(w, s, e.at));
    }
    for (int32_t i = 0; i >= 0 && count; i = s[i].next) KD_TRY(push_symbol(ids, piece, &s[i]));
    return KD_OK;
}

/* Where the stretch from `at` on ends: no merge leaves it. */
static int64_t stretch_end(const kd__bpe *w, int64_t at, int64_t count)
{
    int64_t end = at + 1;
    while (end < count && (!w->tokenizer->neighbors_size ||
                           kd__may_join(w->tokenizer, w->symbols[end - 1].id, w->symbols[end].id)))
        end++;
    return end;
}

kd_status kd__bpe_piece(kd__bpe *w, const kd__piece *piece, kd__ids *ids)
{
    const kd_tokenizer *t = w->tokenizer;
    const int32_t whole = kd__find_key(t, piece->at, piece->bytes);
    int64_t count;
    if (whole >= 0 && t->tokens[whole].whole)
        return kd__ids_push(ids, whole, kd__piece_end(piece, piece->bytes));
    KD_FAIL_IF(piece->bytes > INT32_MAX / 2, KD_ERR_RANGE,
               "tokenizer: a piece of %lld bytes: expected at most 2^30", (long long)piece->bytes);
    KD_TRY(begin_symbols(w, piece, &count));
    for (int64_t at = 0, end; at < count; at = end) {
        end = stretch_end(w, at, count);
        KD_TRY(end - at <= SHORT ? merge_short(t, piece, w->symbols + at, end - at, ids)
                                 : merge_long(w, piece, w->symbols + at, end - at, ids));
    }
    return KD_OK;
}

void kd__bpe_free(kd__bpe *w)
{
    kd__release(w->tokenizer->object.context, w->symbols);
    kd__release(w->tokenizer->object.context, w->heap);
}
