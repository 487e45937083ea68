/* What a reader of GGUF files makes of each metadata key: used, without influence, known with one
 * value only. Anything else under a reader's prefix is refused by name, as in a folder's config. */
#ifndef KD_BASE_GGUF_KEYS_H
#define KD_BASE_GGUF_KEYS_H

#include "formats/gguf.h"

enum {
    KD__GGUF_NUMBER,
    KD__GGUF_LAYERS, /* a number, or a list of one for each layer, all of them equal */
    KD__GGUF_TEXT,
    KD__GGUF_LIST,
    KD__GGUF_HARMLESS,
    KD__GGUF_FIXED /* a number, and only `value` */
};

typedef struct kd__gguf_key {
    const char *name; /* after the prefix */
    int32_t kind;
    double value;
} kd__gguf_key;

typedef struct kd__gguf_table {
    const kd__gguf_key *keys;
    size_t count;
    double layers;
} kd__gguf_table;

/* Every key that begins with `prefix` ("llama."), and its type. */
kd_status kd__gguf_check(const kd__gguf *file, const char *prefix, const kd__gguf_table *table);

#endif
