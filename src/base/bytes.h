/* Numbers as bytes in little-endian order, on any host and at any address. */
#ifndef KD_BASE_BYTES_H
#define KD_BASE_BYTES_H

#include <stdint.h>
#include <string.h>

#define KD__LITTLE_HOST (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

/* The host's order to little endian, and back. */
static inline uint16_t kd__little16(uint16_t x)
{
    return KD__LITTLE_HOST ? x : __builtin_bswap16(x);
}
static inline uint32_t kd__little32(uint32_t x)
{
    return KD__LITTLE_HOST ? x : __builtin_bswap32(x);
}
static inline uint64_t kd__little64(uint64_t x)
{
    return KD__LITTLE_HOST ? x : __builtin_bswap64(x);
}

static inline void kd__put16(void *to, uint16_t x)
{
    x = kd__little16(x);
    memcpy(to, &x, sizeof x);
}
static inline void kd__put32(void *to, uint32_t x)
{
    x = kd__little32(x);
    memcpy(to, &x, sizeof x);
}
static inline void kd__put64(void *to, uint64_t x)
{
    x = kd__little64(x);
    memcpy(to, &x, sizeof x);
}

static inline uint16_t kd__get16(const void *from)
{
    uint16_t x;
    memcpy(&x, from, sizeof x);
    return kd__little16(x);
}
static inline uint32_t kd__get32(const void *from)
{
    uint32_t x;
    memcpy(&x, from, sizeof x);
    return kd__little32(x);
}
static inline uint64_t kd__get64(const void *from)
{
    uint64_t x;
    memcpy(&x, from, sizeof x);
    return kd__little64(x);
}

static inline void kd__put_float(void *to, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    kd__put32(to, bits);
}
static inline float kd__get_float(const void *from)
{
    const uint32_t bits = kd__get32(from);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static inline double kd__get_double(const void *from)
{
    const uint64_t bits = kd__get64(from);
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Turns the bytes of `count` numbers of `size` bytes around in place. */
static inline void kd__swap_bytes(void *numbers, int64_t count, size_t size)
{
    unsigned char *bytes = numbers;
    for (int64_t i = 0; i < count && size > 1; i++, bytes += size)
        for (size_t j = 0; j < size / 2; j++) {
            const unsigned char b = bytes[j];
            bytes[j] = bytes[size - 1 - j];
            bytes[size - 1 - j] = b;
        }
}
/* The host's order to little endian in place, and back: nothing on most hosts. */
static inline void kd__little_bytes(void *numbers, int64_t count, size_t size)
{
    if (!KD__LITTLE_HOST) kd__swap_bytes(numbers, count, size);
}

#endif
