#include "base/hash.h"

#include <string.h>

static uint64_t rotate(uint64_t x, int r) { return x << r | x >> (64 - r); }

static uint64_t finish(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdULL;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ULL;
    return x ^ x >> 33;
}

static uint64_t little_endian(const unsigned char *bytes, size_t count)
{
    uint64_t word = 0;
    for (size_t i = 0; i < count; i++) word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

static uint64_t word(const unsigned char *bytes)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t value;
    memcpy(&value, bytes, 8);
    return value;
#else
    return little_endian(bytes, 8);
#endif
}

#define C1 0x87c37b91114253d5ULL
#define C2 0x4cf5ad432745937fULL

void kd__hash128(const void *data, size_t size, uint64_t key[2])
{
    const unsigned char *bytes = data;
    uint64_t h1 = 0, h2 = 0;
    size_t blocks = size / 16, tail = size % 16;
    for (size_t i = 0; i < blocks; i++) {
        uint64_t k1 = word(bytes + 16 * i), k2 = word(bytes + 16 * i + 8);
        h1 ^= rotate(k1 * C1, 31) * C2;
        h1 = (rotate(h1, 27) + h2) * 5 + 0x52dce729;
        h2 ^= rotate(k2 * C2, 33) * C1;
        h2 = (rotate(h2, 31) + h1) * 5 + 0x38495ab5;
    }
    bytes += 16 * blocks;
    if (tail > 8) h2 ^= rotate(little_endian(bytes + 8, tail - 8) * C2, 33) * C1;
    if (tail > 0) h1 ^= rotate(little_endian(bytes, tail < 8 ? tail : 8) * C1, 31) * C2;
    h1 ^= size;
    h2 ^= size;
    h1 += h2;
    h2 += h1;
    h1 = finish(h1);
    h2 = finish(h2);
    key[0] = h1 + h2;
    key[1] = h2 + key[0];
}

/* Nibble table: 16 entries fit in a cache line, and files are far slower than this. */
uint32_t kd__crc32(uint32_t crc, const void *data, size_t size)
{
    static const uint32_t table[16] = { 0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };
    const unsigned char *bytes = data;
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc = table[(crc ^ bytes[i]) & 15] ^ crc >> 4;
        crc = table[(crc ^ bytes[i] >> 4) & 15] ^ crc >> 4;
    }
    return ~crc;
}
