/* Parts of a GGUF file that is written: numbers, texts, keys. */
#ifndef KD_FORMATS_GGUF_PUT_H
#define KD_FORMATS_GGUF_PUT_H

#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "formats/gguf.h"

enum { KD__GGUF_MAGIC = 0x46554747, KD__GGUF_VERSION = 3, KD__GGUF_ALIGNMENT = 32 };

static inline kd_status kd__gguf_put32(kd__text *to, uint32_t x)
{
    uint8_t bytes[4];
    kd__put32(bytes, x);
    return kd__text_append(to, bytes, sizeof bytes);
}

static inline kd_status kd__gguf_put64(kd__text *to, uint64_t x)
{
    uint8_t bytes[8];
    kd__put64(bytes, x);
    return kd__text_append(to, bytes, sizeof bytes);
}

static inline kd_status kd__gguf_put_string(kd__text *to, const char *text, int64_t bytes)
{
    KD_TRY(kd__gguf_put64(to, (uint64_t)bytes));
    return kd__text_append(to, text, (size_t)bytes);
}

/* A key and its value's type. */
static inline kd_status kd__gguf_put_key(kd__text *to, const char *key, int32_t type)
{
    KD_TRY(kd__gguf_put_string(to, key, (int64_t)strlen(key)));
    return kd__gguf_put32(to, (uint32_t)type);
}

/* A tensor's entry; dims as a row-major array has them. */
static inline kd_status kd__gguf_put_tensor(kd__text *to, const char *name, int32_t rank,
                                            const int64_t *dims, int32_t type, int64_t offset)
{
    KD_TRY(kd__gguf_put_string(to, name, (int64_t)strlen(name)));
    KD_TRY(kd__gguf_put32(to, (uint32_t)rank));
    for (int32_t i = rank; i-- > 0;) KD_TRY(kd__gguf_put64(to, (uint64_t)dims[i]));
    KD_TRY(kd__gguf_put32(to, (uint32_t)type));
    return kd__gguf_put64(to, (uint64_t)offset);
}

/* The first 24 bytes. */
static inline void kd__gguf_head(uint8_t to[24], int64_t tensors, int64_t pairs)
{
    kd__put32(to, KD__GGUF_MAGIC);
    kd__put32(to + 4, KD__GGUF_VERSION);
    kd__put64(to + 8, (uint64_t)tensors);
    kd__put64(to + 16, (uint64_t)pairs);
}

#endif
