/* MurmurHash3 for content keys, CRC-32 for checksums. */
#include "base/hash.h"

#include <string.h>

#include "base/bytes.h"

static uint64_t rotate(uint64_t x, int r) { return x << r | x >> (64 - r); }

static uint64_t finish(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdULL;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ULL;
    return x ^ x >> 33;
}

/* The last bytes, fewer than 8, as a number. */
static uint64_t rest_of(const unsigned char *bytes, size_t count)
{
    unsigned char word[8] = { 0 };
    memcpy(word, bytes, count);
    return kd__get64(word);
}

#define C1 0x87c37b91114253d5ULL
#define C2 0x4cf5ad432745937fULL

void kd__hash128(const void *data, size_t size, uint64_t key[2])
{
    const unsigned char *bytes = data;
    uint64_t h1 = 0, h2 = 0;
    size_t blocks = size / 16, tail = size % 16;
    for (size_t i = 0; i < blocks; i++) {
        uint64_t k1 = kd__get64(bytes + 16 * i), k2 = kd__get64(bytes + 16 * i + 8);
        h1 ^= rotate(k1 * C1, 31) * C2;
        h1 = (rotate(h1, 27) + h2) * 5 + 0x52dce729;
        h2 ^= rotate(k2 * C2, 33) * C1;
        h2 = (rotate(h2, 31) + h1) * 5 + 0x38495ab5;
    }
    bytes += 16 * blocks;
    if (tail > 8) h2 ^= rotate(rest_of(bytes + 8, tail - 8) * C2, 33) * C1;
    if (tail > 0) h1 ^= rotate(rest_of(bytes, tail < 8 ? tail : 8) * C1, 31) * C2;
    h1 ^= size;
    h2 ^= size;
    h1 += h2;
    h2 += h1;
    h1 = finish(h1);
    h2 = finish(h2);
    key[0] = h1 + h2;
    key[1] = h2 + key[0];
}

#include "base/crc_tables.h"

uint32_t kd__crc32(uint32_t crc, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    crc = ~crc;
    for (; size >= 8; size -= 8, bytes += 8) {
        const uint64_t x = kd__get64(bytes) ^ crc;
        crc = 0;
        for (int i = 0; i < 8; i++) crc ^= crc_tables[7 - i][x >> 8 * i & 255];
    }
    for (; size; size--, bytes++) crc = crc >> 8 ^ crc_tables[0][(crc ^ *bytes) & 255];
    return ~crc;
}
