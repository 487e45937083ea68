/* Near duplicates beyond memory, with the answers of near.c. Legend: n texts in the reader's order,
 * numbered s; K keys (bands) each; a bucket is the texts that share a key.
 *
 * 1. Signatures go to a file as they come.
 * 2. (key, s) of all bands, sorted: a bucket's texts stand together. Of each that has a later one in
 *    its bucket: (s, key, that one), sorted by s.
 * 3. Texts in order: what s is compared with are the kept texts before it of its buckets. They come
 *    as messages along the buckets: s tells the next text of each bucket those that it was told, and
 *    itself if it is kept (time-forward processing [Chiang et al. 1995]). Messages wait in files,
 *    one for each of BLOCKS equal ranges of texts; those of the current range in a heap.
 * Whoever is compared with whom is the same as in memory; so is the result. */
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/spill.h"
#include "course/curation/curation.h"

enum {
    BLOCKS = 64,
    STDIO = 4096,
    LEAST_MEMORY = 1 << 20,
    BYTES = KD__PERMUTATIONS * (int)sizeof(uint32_t)
};

struct kd__outside {
    kd_context *context;
    const char *folder;
    int64_t memory;
    kd__near *near;
    kd__spill signatures;
    int64_t count;
};

typedef struct {
    kd__outside *o;
    kd_curation *c;
    int32_t number; /* of the filter */
    kd__sorter next; /* (s, key, the next text of its bucket) */
    kd__triple link;
    int has_link;
    kd__spill blocks[BLOCKS];
    int64_t waiting[BLOCKS]; /* messages in a block's file */
    int64_t block_size, block;
    kd__triple *heap; /* (s, key, kept text before it), the least first */
    int64_t heap_room, heap_count;
    kd__triple *told; /* messages to the current text */
    int64_t told_room, told_count;
    uint32_t mine[KD__PERMUTATIONS], other[KD__PERMUTATIONS];
} walk;

/* ---- signatures ---- */

kd_status kd__outside_create(kd__outside **out, kd_context *context, const char *folder,
                             int64_t memory, double threshold)
{
    kd__outside *o = NULL;
    KD_FAIL_IF(memory < LEAST_MEMORY, KD_ERR_RANGE,
               "memory: expected at least %d bytes for near duplicates, got %lld", LEAST_MEMORY,
               (long long)memory);
    KD_TRY(KD_NEW(context, &o, 1));
    o->context = context;
    o->folder = folder;
    o->memory = memory;
    kd_status status = kd__near_create(&o->near, context, threshold);
    if (status == KD_OK) status = kd__spill_open(&o->signatures, context, folder, STDIO);
    if (status == KD_OK) *out = o;
    else kd__outside_free(o);
    return status;
}

void kd__outside_free(kd__outside *o)
{
    if (!o) return;
    kd__near_free(o->near);
    kd__spill_free(&o->signatures);
    kd__release(o->context, o);
}

kd_status kd__outside_add(kd__outside *o, const uint32_t signature[KD__PERMUTATIONS])
{
    KD_TRY(kd__spill_write(&o->signatures, signature, BYTES));
    o->count++;
    return KD_OK;
}

static kd_status read_signature(kd__outside *o, int64_t text, uint32_t to[KD__PERMUTATIONS])
{
    KD_TRY(kd__spill_seek(&o->signatures, text * BYTES));
    return kd__spill_read(&o->signatures, to, BYTES);
}

/* ---- buckets ---- */

static kd_status add_keys(kd__outside *o, kd__sorter *by_key)
{
    uint32_t signature[KD__PERMUTATIONS];
    if (o->count) KD_TRY(kd__spill_seek(&o->signatures, 0));
    for (int64_t s = 0; s < o->count; s++) {
        KD_TRY(kd__spill_read(&o->signatures, signature, BYTES));
        for (int32_t b = 0; b < kd__near_bands(o->near); b++)
            KD_TRY(kd__sorter_add(by_key, (kd__triple){ kd__near_key(o->near, signature, b),
                                                        (uint64_t)s, 0 }));
    }
    return kd__sorter_begin(by_key);
}

/* Links of texts that follow each other in a bucket. */
static kd_status add_links(kd__sorter *by_key, kd__sorter *next)
{
    kd__triple last = { 0 }, now;
    kd_status status;
    int64_t count = 0;
    for (; (status = kd__sorter_next(by_key, &now)) == KD_OK; last = now, count++)
        if (count && now.a == last.a && now.b != last.b)
            KD_TRY(kd__sorter_add(next, (kd__triple){ last.b, last.a, now.b }));
    return status == KD_END ? kd__sorter_begin(next) : status;
}

static kd_status link_buckets(walk *w)
{
    kd__outside *o = w->o;
    kd__sorter by_key;
    KD_TRY(kd__sorter_create(&w->next, o->context, o->folder, o->memory / 4));
    kd_status status = kd__sorter_create(&by_key, o->context, o->folder, o->memory / 2);
    if (status != KD_OK) return status;
    status = add_keys(o, &by_key);
    if (status == KD_OK) status = add_links(&by_key, &w->next);
    kd__sorter_free(&by_key);
    return status;
}

/* ---- messages ---- */

/* A heap whose first is the least. */
static void rise(kd__triple *h, int64_t at)
{
    for (int64_t up; at && kd__triple_before(&h[at], &h[up = (at - 1) / 2]); at = up) {
        const kd__triple before = h[at];
        h[at] = h[up];
        h[up] = before;
    }
}

static void fall(kd__triple *h, int64_t at, int64_t count)
{
    for (int64_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && kd__triple_before(&h[child + 1], &h[child])) child++;
        if (!kd__triple_before(&h[child], &h[at])) return;
        const kd__triple before = h[at];
        h[at] = h[child];
        h[child] = before;
    }
}

static kd_status push(walk *w, const kd__triple *message)
{
    KD_FAIL_IF(w->heap_count == w->heap_room, KD_ERR_MEMORY,
               "near duplicates: %lld texts that are kept share buckets with those after them: "
               "expected more than %lld bytes of memory",
               (long long)w->heap_count, (long long)w->o->memory);
    w->heap[w->heap_count] = *message;
    rise(w->heap, w->heap_count++);
    return KD_OK;
}

static kd_status send(walk *w, const kd__triple *message)
{
    const int64_t block = (int64_t)message->a / w->block_size;
    if (block == w->block) return push(w, message);
    kd__spill *file = &w->blocks[block];
    if (!file->file) KD_TRY(kd__spill_open(file, w->o->context, w->o->folder, STDIO));
    w->waiting[block]++;
    return kd__spill_write(file, message, (int64_t)sizeof *message);
}

/* The messages of the block that begins. */
static kd_status open_block(walk *w, int64_t block)
{
    kd__spill *file = &w->blocks[block];
    kd__triple message;
    w->block = block;
    if (!w->waiting[block]) return KD_OK;
    KD_TRY(kd__spill_seek(file, 0));
    for (int64_t i = 0; i < w->waiting[block]; i++) {
        KD_TRY(kd__spill_read(file, &message, (int64_t)sizeof message));
        KD_TRY(push(w, &message));
    }
    kd__spill_free(file);
    return KD_OK;
}

static kd_status take_messages(walk *w, int64_t text)
{
    w->told_count = 0;
    while (w->heap_count && w->heap[0].a == (uint64_t)text) {
        KD_TRY(KD_RESERVE(w->o->context, &w->told, &w->told_room, w->told_count + 1));
        w->told[w->told_count++] = w->heap[0];
        w->heap[0] = w->heap[--w->heap_count];
        fall(w->heap, 0, w->heap_count);
    }
    return KD_OK;
}

/* ---- texts in order ---- */

static kd_status compare(walk *w, int64_t text, int *is_near)
{
    *is_near = 0;
    if (!w->told_count) return KD_OK;
    KD_TRY(read_signature(w->o, text, w->mine));
    for (int64_t i = 0; i < w->told_count && !*is_near; i++) {
        if (i && w->told[i].c == w->told[i - 1].c) continue;
        KD_TRY(read_signature(w->o, (int64_t)w->told[i].c, w->other));
        *is_near = kd__near_enough(w->o->near, w->mine, w->other);
    }
    return KD_OK;
}

static kd_status next_link(walk *w)
{
    const kd_status status = kd__sorter_next(&w->next, &w->link);
    w->has_link = status == KD_OK;
    return status == KD_END ? KD_OK : status;
}

/* To the next text of each bucket: what this one was told there, and itself. */
static kd_status tell_next(walk *w, int64_t text, int is_near)
{
    for (; w->has_link && w->link.a == (uint64_t)text;) {
        for (int64_t i = 0; i < w->told_count; i++)
            if (w->told[i].b == w->link.b)
                KD_TRY(send(w, &(kd__triple){ w->link.c, w->link.b, w->told[i].c }));
        if (!is_near)
            KD_TRY(send(w, &(kd__triple){ w->link.c, w->link.b, (uint64_t)text }));
        KD_TRY(next_link(w));
    }
    return KD_OK;
}

static kd_status look_at_texts(walk *w)
{
    kd_curation *c = w->c;
    int64_t record = 0;
    int is_near;
    KD_TRY(next_link(w));
    for (int64_t text = 0; text < w->o->count; text++, record++) {
        while (record < c->records && !c->facts[record].alive) record++;
        KD_FAIL_IF(record >= c->records, KD_ERR_STATE, "near duplicates: more texts than records");
        if (text % w->block_size == 0) KD_TRY(open_block(w, text / w->block_size));
        KD_TRY(take_messages(w, text));
        KD_TRY(compare(w, text, &is_near));
        KD_TRY(tell_next(w, text, is_near));
        if (is_near) kd__drop(c, w->number, record, "like one before");
    }
    return KD_OK;
}

static void free_walk(walk *w)
{
    kd__sorter_free(&w->next);
    for (int i = 0; i < BLOCKS; i++) kd__spill_free(&w->blocks[i]);
    kd__release(w->o->context, w->heap);
    kd__release(w->o->context, w->told);
}

kd_status kd__outside_compare(kd__outside *o, kd_curation *c, int32_t number)
{
    walk w = { .o = o, .c = c, .number = number, .block = -1 };
    const int64_t buffers = BLOCKS * STDIO;
    w.block_size = kd__max(kd__ceil_div(o->count, BLOCKS), 1);
    kd_status status = link_buckets(&w);
    w.heap_room = (o->memory / 2 - buffers) / (int64_t)sizeof *w.heap;
    if (status == KD_OK) status = KD_NEW(o->context, &w.heap, w.heap_room);
    if (status == KD_OK) status = look_at_texts(&w);
    free_walk(&w);
    return status;
}
