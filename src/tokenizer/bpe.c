/* Byte pair encoding of one piece [Sennrich et al. 2016]: of all neighbours, the pair of lowest rank is merged, the leftmost first, until no
 * pair has a rank. Short pieces look at every pair a time; long ones keep a heap, n log n.                                    */
#include <string.h>

#include "tokenizer/tokenizer.h"

#define SHORT 48

typedef struct kd__bpe_symbol {
    int32_t id, previous, next; /* previous: -1 at the beginning, next: -1 at the end */
    int32_t rank, merged;       /* of the pair with the next: rank INT32_MAX: none */
} symbol;

typedef struct kd__bpe_entry {
    int32_t rank, at, left, right;
} entry;

kd_status kd__ids_push(kd__ids *ids, int32_t id)
{
    if (ids->count == ids->room) KD_TRY(KD_RESERVE(ids->context, &ids->at, &ids->room, 2 * ids->room + 256));
    ids->at[ids->count++] = id;
    return KD_OK;
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

static void add(symbol *symbols, int64_t *count, int32_t id) { symbols[(*count)++].id = id; }

/* Symbols of a piece before merging: bytes, or characters with their bytes where the vocabulary lacks them. */
static int64_t begin(const kd_tokenizer *t, const char *piece, int64_t bytes, symbol *symbols)
{
    int64_t count = 0;
    int unknown_before = 0;
    for (const char *at = piece, *end = piece + bytes; at < end;) {
        const char *next = at + 1;
        int32_t id;
        if (t->byte_level) id = t->bytes[(unsigned char)*at];
        else {
            kd__utf8_next((next = at, &next));
            id = kd__find_key(t, at, next - at);
        }
        int fallback = id < 0 && t->byte_fallback && !t->byte_level;
        for (const char *b = at; fallback && b < next; b++) fallback = t->bytes[(unsigned char)*b] >= 0;
        if (id >= 0) add(symbols, &count, id);
        else if (fallback)
            for (const char *b = at; b < next; b++) add(symbols, &count, t->bytes[(unsigned char)*b]);
        else if (t->unknown >= 0 && !(t->fuse_unknown && unknown_before)) add(symbols, &count, t->unknown);
        unknown_before = id < 0 && !fallback;
        at = next;
    }
    return count;
}

static kd_status merge_short(const kd_tokenizer *t, symbol *s, int64_t count, kd__ids *ids)
{
    for (int64_t i = 0; i + 1 < count; i++) look_up(t, s[i].id, s[i + 1].id, &s[i]);
    if (count) s[count - 1].rank = INT32_MAX;
    for (;;) {
        int64_t best = 0;
        for (int64_t i = 1; i + 1 < count; i++)
            if (s[i].rank < s[best].rank) best = i;
        if (count < 2 || s[best].rank == INT32_MAX) break;
        s[best].id = s[best].merged;
        memmove(s + best + 1, s + best + 2, (size_t)(count - best - 2) * sizeof *s);
        count--;
        if (best + 1 < count) look_up(t, s[best].id, s[best + 1].id, &s[best]);
        else s[best].rank = INT32_MAX;
        if (best) look_up(t, s[best - 1].id, s[best].id, &s[best - 1]);
    }
    for (int64_t i = 0; i < count; i++) KD_TRY(kd__ids_push(ids, s[i].id));
    return KD_OK;
}

/* ---- the heap: by rank, then by place ---- */

static int before(const entry *a, const entry *b) { return a->rank != b->rank ? a->rank < b->rank : a->at < b->at; }

static kd_status heap_push(kd__bpe *w, entry e)
{
    if (w->heap_count == w->heap_room) KD_TRY(KD_RESERVE(w->tokenizer->object.context, &w->heap, &w->heap_room, 2 * w->heap_room + 256));
    int64_t i = w->heap_count++;
    for (; i && before(&e, &w->heap[(i - 1) / 2]); i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
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
    return s->rank == INT32_MAX ? KD_OK : heap_push(w, (entry){ s->rank, at, s->id, symbols[s->next].id });
}

static kd_status merge_long(kd__bpe *w, symbol *s, int64_t count, kd__ids *ids)
{
    w->heap_count = 0;
    for (int64_t i = 0; i < count; i++) s[i].previous = (int32_t)i - 1, s[i].next = i + 1 < count ? (int32_t)i + 1 : -1;
    for (int64_t i = 0; i < count; i++) KD_TRY(push_pair(w, s, (int32_t)i));
    while (w->heap_count) {
        const entry e = heap_pop(w);
        symbol *left = s + e.at;
        if (left->id != e.left || left->next < 0 || s[left->next].id != e.right) continue; /* one of the two was merged meanwhile */
        symbol *right = s + left->next;
        symbol found;
        look_up(w->tokenizer, e.left, e.right, &found);
        left->id = found.merged;
        right->id = -1;
        left->next = right->next;
        if (left->next >= 0) s[left->next].previous = e.at;
        KD_TRY(push_pair(w, s, left->previous));
        KD_TRY(push_pair(w, s, e.at));
    }
    for (int32_t i = 0; i >= 0 && count; i = s[i].next) KD_TRY(kd__ids_push(ids, s[i].id));
    return KD_OK;
}

kd_status kd__bpe_piece(kd__bpe *w, const char *piece, int64_t bytes, kd__ids *ids)
{
    const kd_tokenizer *t = w->tokenizer;
    const int32_t whole = kd__find_key(t, piece, bytes);
    if (whole >= 0 && t->tokens[whole].whole) return kd__ids_push(ids, whole);
    KD_FAIL_IF(bytes > INT32_MAX / 2, KD_ERR_RANGE, "tokenizer: a piece of %lld bytes: expected at most 2^30", (long long)bytes);
    if (bytes > w->room) KD_TRY(KD_RESERVE(t->object.context, &w->symbols, &w->room, bytes < 256 ? 256 : bytes));
    const int64_t count = begin(t, piece, bytes, w->symbols);
    for (int64_t at = 0, end; at < count; at = end) { /* stretches that no merge leaves */
        for (end = at + 1; end < count && (!t->neighbours_size || kd__may_join(t, w->symbols[end - 1].id, w->symbols[end].id));) end++;
        KD_TRY(end - at <= SHORT ? merge_short(t, w->symbols + at, end - at, ids) : merge_long(w, w->symbols + at, end - at, ids));
    }
    return KD_OK;
}

void kd__bpe_free(kd__bpe *w)
{
    kd__release(w->tokenizer->object.context, w->symbols);
    kd__release(w->tokenizer->object.context, w->heap);
}
