/* Triples sorted within stated memory: runs that are sorted in memory go to a file; a heap of the
 * runs' first triples merges them (Knuth, The Art of Computer Programming, volume 3, section
 * 5.4.1). */
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/spill.h"

enum { LEAST_SHARE = 128, STDIO = 4096 };

/* ---- in memory ---- */

static void insert(kd__triple *t, int64_t count)
{
    for (int64_t i = 1; i < count; i++) {
        const kd__triple one = t[i];
        int64_t at = i;
        for (; at && kd__triple_before(&one, &t[at - 1]); at--) t[at] = t[at - 1];
        t[at] = one;
    }
}

static void swap(kd__triple *x, kd__triple *y)
{
    const kd__triple before = *x;
    *x = *y;
    *y = before;
}

static kd__triple middle_of(const kd__triple *t, int64_t count)
{
    const kd__triple *a = t, *b = t + count / 2, *c = t + count - 1;
    if (kd__triple_before(b, a)) a = t + count / 2, b = t;
    if (kd__triple_before(c, b)) b = kd__triple_before(c, a) ? a : c;
    return *b;
}

/* Hoare's partition: numbers of the left part are at most those of the right one. */
static int64_t partition(kd__triple *t, int64_t count)
{
    const kd__triple middle = middle_of(t, count);
    int64_t low = -1, high = count;
    for (;;) {
        do low++;
        while (kd__triple_before(&t[low], &middle));
        do high--;
        while (kd__triple_before(&middle, &t[high]));
        if (low >= high) return high + 1;
        swap(&t[low], &t[high]);
    }
}

static void sink(kd__triple *t, int64_t at, int64_t count)
{
    for (int64_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && kd__triple_before(&t[child], &t[child + 1])) child++;
        if (!kd__triple_before(&t[at], &t[child])) return;
        swap(&t[at], &t[child]);
    }
}

static void sort_by_heap(kd__triple *t, int64_t count)
{
    for (int64_t i = count / 2; i-- > 0;) sink(t, i, count);
    for (int64_t last = count - 1; last > 0; last--) {
        swap(&t[0], &t[last]);
        sink(t, 0, last);
    }
}

/* Quicksort of the larger parts in turn; where it divides badly too often, a heap goes on. */
void kd__sort_triples(kd__triple *t, int64_t count)
{
    struct {
        kd__triple *at;
        int64_t count;
        int depth;
    } parts[128];
    int waiting = 0, depth = 0;
    for (;;) {
        if (count < 24) insert(t, count);
        else if (depth > 96) sort_by_heap(t, count);
        else {
            const int64_t left = partition(t, count), right = count - left;
            depth++;
            parts[waiting].at = left < right ? t + left : t;
            parts[waiting].count = left < right ? right : left;
            parts[waiting++].depth = depth;
            if (left >= right) t += left;
            count = left < right ? left : right;
            continue;
        }
        if (!waiting) return;
        t = parts[--waiting].at;
        count = parts[waiting].count;
        depth = parts[waiting].depth;
    }
}

/* ---- collecting ---- */

kd_status kd__sorter_create(kd__sorter *s, kd_context *context, const char *folder, int64_t bytes)
{
    *s = (kd__sorter){ .context = context, .folder = folder };
    s->room = kd__max(bytes / (int64_t)sizeof *s->held, (int64_t)2 * LEAST_SHARE);
    return KD_NEW(context, &s->held, s->room);
}

static kd_status write_run(kd__sorter *s)
{
    if (!s->spill.file) KD_TRY(kd__spill_open(&s->spill, s->context, s->folder, STDIO));
    KD_TRY(KD_RESERVE(s->context, &s->runs, &s->runs_room, s->run_count + 1));
    kd__sort_triples(s->held, s->count);
    KD_TRY(kd__spill_write(&s->spill, s->held, s->count * (int64_t)sizeof *s->held));
    s->runs[s->run_count++] = s->spill.size / (int64_t)sizeof *s->held;
    s->count = 0;
    return KD_OK;
}

kd_status kd__sorter_add(kd__sorter *s, kd__triple triple)
{
    if (s->count == s->room) KD_TRY(write_run(s));
    s->held[s->count++] = triple;
    return KD_OK;
}

/* ---- merging ---- */

/* Run r's next triples into its room. */
static kd_status load(kd__sorter *s, int64_t r)
{
    const int64_t count = kd__min(s->share, s->left[r]);
    s->at[r] = 0;
    s->loaded[r] = count;
    if (!count) return KD_OK;
    KD_TRY(kd__spill_seek(&s->spill, (s->runs[r] - s->left[r]) * (int64_t)sizeof *s->held));
    KD_TRY(kd__spill_read(&s->spill, s->held + r * s->share, count * (int64_t)sizeof *s->held));
    s->left[r] -= count;
    return KD_OK;
}

static int run_before(const kd__sorter *s, int64_t x, int64_t y)
{
    return kd__triple_before(&s->held[x * s->share + s->at[x]], &s->held[y * s->share + s->at[y]]);
}

static void sink_run(kd__sorter *s, int64_t at)
{
    int64_t *h = s->heap;
    for (int64_t child; (child = 2 * at + 1) < s->heap_count; at = child) {
        if (child + 1 < s->heap_count && run_before(s, h[child + 1], h[child])) child++;
        if (!run_before(s, h[child], h[at])) return;
        const int64_t before = h[at];
        h[at] = h[child];
        h[child] = before;
    }
}

static kd_status begin_merge(kd__sorter *s)
{
    const int64_t runs = s->run_count;
    s->share = s->room / runs;
    KD_FAIL_IF(s->share < LEAST_SHARE, KD_ERR_MEMORY,
               "%lld runs to sort in %lld bytes: expected at least %lld bytes of memory",
               (long long)runs, (long long)(s->room * (int64_t)sizeof *s->held),
               (long long)(2 * runs * LEAST_SHARE * (int64_t)sizeof *s->held));
    KD_TRY(KD_NEW(s->context, &s->at, 4 * runs));
    s->loaded = s->at + runs;
    s->left = s->loaded + runs;
    s->heap = s->left + runs;
    for (int64_t r = 0; r < runs; r++) {
        s->left[r] = s->runs[r] - (r ? s->runs[r - 1] : 0);
        KD_TRY(load(s, r));
        s->heap[s->heap_count++] = r;
    }
    for (int64_t i = s->heap_count / 2; i-- > 0;) sink_run(s, i);
    return KD_OK;
}

kd_status kd__sorter_begin(kd__sorter *s)
{
    s->merging = 1;
    if (!s->run_count) {
        kd__sort_triples(s->held, s->count);
        s->share = 0;
        return KD_OK;
    }
    if (s->count) KD_TRY(write_run(s));
    return begin_merge(s);
}

kd_status kd__sorter_next(kd__sorter *s, kd__triple *triple)
{
    if (!s->run_count) { /* all of them are in memory */
        if (s->share == s->count) return KD_END;
        *triple = s->held[s->share++];
        return KD_OK;
    }
    if (!s->heap_count) return KD_END;
    const int64_t r = s->heap[0];
    *triple = s->held[r * s->share + s->at[r]++];
    if (s->at[r] == s->loaded[r]) KD_TRY(load(s, r));
    if (!s->loaded[r]) s->heap[0] = s->heap[--s->heap_count];
    sink_run(s, 0);
    return KD_OK;
}

void kd__sorter_free(kd__sorter *s)
{
    if (!s->context) return;
    kd__spill_free(&s->spill);
    kd__release(s->context, s->held);
    kd__release(s->context, s->runs);
    kd__release(s->context, s->at);
    *s = (kd__sorter){ 0 };
}
