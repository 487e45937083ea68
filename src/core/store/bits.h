/* Bits in little-endian order: the first bit is the lowest of the first byte. Readers give 0 behind
 * the end. */
#ifndef KD_STORE_BITS_H
#define KD_STORE_BITS_H

#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/numbers.h"

typedef struct kd__bits_out {
    uint8_t *bytes; /* room for what is written and 8 more */
    int64_t size;   /* whole bytes so far */
    uint64_t word;
    int32_t count;
} kd__bits_out;

static inline void kd__bits_put(kd__bits_out *b, uint64_t value, int32_t count) /* count <= 32 */
{
    b->word |= value << b->count;
    b->count += count;
    kd__put64(b->bytes + b->size, b->word); /* fewer than 8 bits stay, and are written again */
    b->size += b->count >> 3;
    b->word >>= b->count & ~7;
    b->count &= 7;
}

static inline void kd__bits_flush(kd__bits_out *b)
{
    if (b->count) b->bytes[b->size++] = (uint8_t)b->word;
    b->word = 0;
    b->count = 0;
}

typedef struct kd__bits_in {
    const uint8_t *bytes, *end;
    uint64_t word;
    int32_t count;
} kd__bits_in;

static inline void kd__bits_fill(kd__bits_in *b)
{
    if (b->end - b->bytes >= 8) {
        b->word |= kd__get64(b->bytes) << b->count;
        const int32_t taken = (63 - b->count) >> 3;
        b->bytes += taken;
        b->count += 8 * taken;
        return;
    }
    while (b->count <= 56) {
        b->word |= (uint64_t)(b->bytes < b->end ? *b->bytes++ : 0) << b->count;
        b->count += 8;
    }
}

/* Bits that are left. */
static inline int64_t kd__bits_left(const kd__bits_in *b)
{
    return 8 * (int64_t)(b->end - b->bytes) + b->count;
}

static inline uint32_t kd__bits_get(kd__bits_in *b, int32_t count) /* count <= 32 */
{
    if (b->count < count) kd__bits_fill(b);
    const uint32_t value = (uint32_t)(b->word & ((1ULL << count) - 1));
    b->word >>= count;
    b->count -= count;
    return value;
}

/* Zeros before the next 1, at most `limit`; the 1 is taken (none at the limit). */
static inline uint32_t kd__bits_unary(kd__bits_in *b, uint32_t limit)
{
    if (b->count < 32) kd__bits_fill(b);
    const uint32_t zeros = b->word ? (uint32_t)__builtin_ctzll(b->word) : 64;
    const uint32_t value = kd__min(zeros, limit), taken = value < limit ? value + 1 : limit;
    b->word >>= taken;
    b->count -= (int32_t)taken;
    return value;
}

#endif
