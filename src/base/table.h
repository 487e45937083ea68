/* A hash table of numbers of things that lie elsewhere, by open addressing: the caller hashes a
 * key, and says whether the thing of a number has it. Two tables hold their keys in their slots,
 * which is smaller or faster (docs/decisions.md): the sets of course/curation, the merges of a
 * tokenizer. */
#ifndef KD_BASE_TABLE_H
#define KD_BASE_TABLE_H

#include <kdistill/context.h>

#include "base/status.h"

typedef struct kd__slot {
    uint32_t hash;
    uint32_t number; /* + 1; 0: free */
} kd__slot;

/* Begins as { .context = context }. */
typedef struct kd__table {
    kd_context *context;
    kd__slot *slots;
    int64_t size, count; /* size: a power of two, or 0 */
} kd__table;

/* Whether the thing of that number has the key that is looked for. */
typedef int kd__has_key(const void *key, int64_t number);

/* Keys may be a host's numbers in steps of a power of two: all bits count for the low ones. */
static inline uint32_t kd__table_fold(uint64_t hash)
{
    hash = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15ULL;
    return (uint32_t)(hash ^ hash >> 32);
}

/* The number that a key was added with, the first of several; -1: none. */
static inline int64_t kd__table_find(const kd__table *table, uint64_t hash, kd__has_key *has,
                                     const void *key)
{
    const uint32_t folded = kd__table_fold(hash);
    if (!table->size) return -1;
    for (uint64_t i = folded;; i++) {
        const kd__slot slot = table->slots[i & (uint64_t)(table->size - 1)];
        if (!slot.number) return -1;
        if (slot.hash == folded && has(key, (int64_t)slot.number - 1)) return slot.number - 1;
    }
}

/* Adds a number below 2^32 - 1 under its thing's hash, without a look whether the key is there. */
kd_status kd__table_add(kd__table *table, uint64_t hash, int64_t number);
void kd__table_free(kd__table *table);

#endif
