/* Files that hold what memory does not: written, read again, removed. */
#ifndef KD_BASE_SPILL_H
#define KD_BASE_SPILL_H

#include <kdistill/context.h>
#include <stdio.h>

#include "base/status.h"

typedef struct kd__spill {
    kd_context *context;
    char *path, *buffer;
    FILE *file;
    int64_t size; /* bytes written */
} kd__spill;

/* A new file in `folder`, with a name that no other process takes; `buffer`: bytes of its buffer, at
 * least 1. After a failure there is nothing to free. */
kd_status kd__spill_open(kd__spill *spill, kd_context *context, const char *folder, int64_t buffer);
/* At the end. A read, or a write after one, begins with a seek. */
kd_status kd__spill_write(kd__spill *spill, const void *bytes, int64_t size);
kd_status kd__spill_seek(kd__spill *spill, int64_t offset);
/* Exactly `size` bytes. */
kd_status kd__spill_read(kd__spill *spill, void *to, int64_t size);
/* Closes and removes it. */
void kd__spill_free(kd__spill *spill);

/* ---- triples of numbers, sorted within stated memory ---- */

typedef struct kd__triple {
    uint64_t a, b, c;
} kd__triple;

/* By a, then b, then c. Triples are collected in memory, sorted there, and go out in runs; reading
 * merges these. */
typedef struct kd__sorter {
    kd_context *context;
    const char *folder;
    kd__triple *held; /* being collected; while merging, the runs' rooms one after another */
    int64_t room, count;
    kd__spill spill;
    int64_t *runs; /* where each ends, in triples */
    int64_t runs_room, run_count;
    /* merging */
    int64_t *at, *loaded, *left, *heap;
    int64_t share, heap_count; /* triples of a run's room */
    int merging;
} kd__sorter;

/* `bytes` of memory, for collecting and for merging. The folder's name is kept, not copied. */
kd_status kd__sorter_create(kd__sorter *sorter, kd_context *context, const char *folder,
                            int64_t bytes);
kd_status kd__sorter_add(kd__sorter *sorter, kd__triple triple);
/* Ends collecting. KD_ERR_MEMORY: too many runs for that memory; the message says what would do. */
kd_status kd__sorter_begin(kd__sorter *sorter);
/* KD_END: there are no more. */
kd_status kd__sorter_next(kd__sorter *sorter, kd__triple *triple);
void kd__sorter_free(kd__sorter *sorter);

/* In place, without memory of its own. */
void kd__sort_triples(kd__triple *triples, int64_t count);
static inline int kd__triple_before(const kd__triple *x, const kd__triple *y)
{
    if (x->a != y->a) return x->a < y->a;
    if (x->b != y->b) return x->b < y->b;
    return x->c < y->c;
}

#endif
