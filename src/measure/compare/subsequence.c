/* The longest common subsequence, 64 cells at a time.      a : (n)    b : (m)
 *
 * A row of the usual table rises by 0 or 1 from one word of b to the next. Bit j of V is 0 where
 * row i rises at word j; with M the bits at which b's words are a_i [Hyyro 2004, "Bit-parallel
 * LCS-length computation"]:
 *   V <- (V + (V & M)) | (V & ~M)   at first V is all ones; the length is the number of zeros
 * Words that b has often have a bitmap, at most 64 of them; the bits of the others are set for
 * their row. */
#include "measure/compare/subsequence.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

typedef struct {
    uint64_t word;
    int64_t at;     /* in b */
    int64_t bitmap; /* of the first place of a word that b has often; 0: it has none */
} place;

typedef struct {
    place *places; /* of b's words, sorted by word */
    uint64_t *bitmaps, *scratch, *row;
    int64_t count, blocks; /* words of b; of 64 bits each */
} table;

static int by_word(const void *x, const void *y)
{
    const place *a = x, *b = y;
    return (a->word > b->word) - (a->word < b->word);
}

static void set_bit(uint64_t *bits, int64_t at) { bits[at / 64] |= (uint64_t)1 << (at % 64); }

/* The end of the places of the word at `from`. */
static int64_t run_end(const table *t, int64_t from)
{
    int64_t to = from + 1;
    while (to < t->count && t->places[to].word == t->places[from].word) to++;
    return to;
}

static int is_often(const table *t, int64_t places) { return places >= t->blocks; }

static int64_t count_often(const table *t)
{
    int64_t often = 0;
    for (int64_t from = 0, to; from < t->count; from = to) {
        to = run_end(t, from);
        often += is_often(t, to - from);
    }
    return often;
}

static void fill_bitmaps(table *t)
{
    int64_t often = 0;
    for (int64_t from = 0, to; from < t->count; from = to) {
        to = run_end(t, from);
        if (!is_often(t, to - from)) continue;
        t->places[from].bitmap = ++often;
        for (int64_t i = from; i < to; i++)
            set_bit(t->bitmaps + (often - 1) * t->blocks, t->places[i].at);
    }
}

static kd_status read_words(table *t, kd_context *context, const uint64_t *b, int64_t m)
{
    t->count = m;
    t->blocks = (m + 63) / 64;
    KD_TRY(KD_NEW(context, &t->places, m));
    for (int64_t j = 0; j < m; j++) t->places[j] = (place){ b[j], j, 0 };
    qsort(t->places, (size_t)m, sizeof *t->places, by_word);
    KD_TRY(KD_NEW(context, &t->bitmaps, count_often(t) * t->blocks + 1));
    KD_TRY(KD_NEW(context, &t->scratch, t->blocks));
    KD_TRY(KD_NEW(context, &t->row, t->blocks));
    memset(t->row, 0xff, (size_t)t->blocks * sizeof *t->row);
    fill_bitmaps(t);
    return KD_OK;
}

/* The first place of a word; -1: b has it not. */
static int64_t find(const table *t, uint64_t word)
{
    int64_t low = 0, high = t->count;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (t->places[middle].word < word) low = middle + 1;
        else high = middle;
    }
    return low < t->count && t->places[low].word == word ? low : -1;
}

static void step(uint64_t *row, const uint64_t *bits, int64_t blocks)
{
    uint64_t carry = 0;
    for (int64_t k = 0; k < blocks; k++) {
        const uint64_t v = row[k], sum = v + (v & bits[k]), all = sum + carry;
        carry = (sum < v) | (all < sum);
        row[k] = all | (v & ~bits[k]);
    }
}

static void next_row(table *t, uint64_t word)
{
    const int64_t from = find(t, word);
    if (from < 0) return;
    if (t->places[from].bitmap) {
        step(t->row, t->bitmaps + (t->places[from].bitmap - 1) * t->blocks, t->blocks);
        return;
    }
    const int64_t to = run_end(t, from);
    for (int64_t i = from; i < to; i++) set_bit(t->scratch, t->places[i].at);
    step(t->row, t->scratch, t->blocks);
    for (int64_t i = from; i < to; i++) t->scratch[t->places[i].at / 64] = 0;
}

static int64_t zeros(const table *t)
{
    int64_t count = 0;
    for (int64_t k = 0; k < t->blocks; k++)
        for (uint64_t left = ~t->row[k]; left; left &= left - 1) count++;
    return count;
}

kd_status kd__longest_common(kd_context *context, const uint64_t *a, int64_t n, const uint64_t *b,
                             int64_t m, int64_t *length)
{
    table t = { 0 };
    *length = 0;
    if (!n || !m) return KD_OK;
    const kd_status status = read_words(&t, context, b, m);
    if (status == KD_OK) {
        for (int64_t i = 0; i < n; i++) next_row(&t, a[i]);
        *length = zeros(&t);
    }
    kd__release(context, t.places);
    kd__release(context, t.bitmaps);
    kd__release(context, t.scratch);
    kd__release(context, t.row);
    return status;
}
