/* Mutations that know how a GGUF file is built: one key of its metadata is changed, dropped, put
 * twice or added, and counts and padding are set right, so that what lies behind the parser is
 * reached. */
#ifndef GGUF_MUTATE_H
#define GGUF_MUTATE_H

#include <stdlib.h>
#include <string.h>

#include "formats/gguf.h"

static const char *const gguf_keys[] = {
    "general.architecture",
    "general.alignment",
    "general.type",
    "split.count",
    "llama.block_count",
    "llama.vocab_size",
    "llama.context_length",
    "llama.embedding_length",
    "llama.feed_forward_length",
    "llama.attention.head_count",
    "llama.attention.head_count_kv",
    "llama.attention.key_length",
    "llama.attention.value_length",
    "llama.attention.layer_norm_rms_epsilon",
    "llama.attention.sliding_window",
    "llama.rope.dimension_count",
    "llama.rope.freq_base",
    "llama.rope.scale_linear",
    "llama.rope.scaling.type",
    "llama.rope.scaling.factor",
    "llama.rope.scaling.attn_factor",
    "llama.rope.scaling.original_context_length",
    "llama.rope.scaling.yarn_beta_fast",
    "llama.rope.scaling.yarn_beta_slow",
    "llama.rope.scaling.yarn_log_multiplier",
    "llama.rope.scaling.yarn_ext_factor",
    "qwen2.block_count",
    "qwen2.attention.head_count_kv",
    "qwen2.rope.scaling.type",
    "qwen2.rope.scaling.factor",
    "tokenizer.ggml.model",
    "tokenizer.ggml.pre",
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.token_type",
    "tokenizer.ggml.scores",
    "tokenizer.ggml.merges",
    "tokenizer.ggml.bos_token_id",
    "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.eot_token_id",
    "tokenizer.ggml.unknown_token_id",
    "tokenizer.ggml.add_bos_token",
    "tokenizer.ggml.add_eos_token",
    "tokenizer.ggml.add_space_prefix",
    "tokenizer.chat_template",
};

static const char *const gguf_texts[] = { "llama",  "qwen2",     "qwen3",  "gpt2",          "none",
                                          "linear", "yarn",      "",       "model",         "a b",
                                          "gpt-2",  "llama-bpe", "smollm", "{{ messages }}" };

static const double gguf_numbers[] = { 0,   1,    2,     3,      4,    8,   16,
                                       32,  64,   255,   65536,  1e9,  -1,  -2.5,
                                       0.5, 1e-6, 1e300, 1e-300, 1e38, 3e9, 1e12 };

typedef struct {
    uint8_t bytes[1 << 16];
    size_t size;
    unsigned state;
} gguf_text;

static unsigned gguf_any(gguf_text *to, unsigned count)
{
    to->state = to->state * 1664525u + 1013904223u;
    return (to->state >> 8) % count;
}

static void gguf_put(gguf_text *to, const void *bytes, size_t size)
{
    if (size > sizeof to->bytes - to->size) return;
    memcpy(to->bytes + to->size, bytes, size);
    to->size += size;
}

static void gguf_put_text(gguf_text *to, const char *text, uint64_t bytes)
{
    gguf_put(to, &bytes, 8);
    gguf_put(to, text, bytes);
}

#define GGUF_ANY(list) ((list)[gguf_any(to, (unsigned)(sizeof(list) / sizeof *(list)))])

static void gguf_put_number(gguf_text *to, int32_t type)
{
    const double number = GGUF_ANY(gguf_numbers);
    const float single = (float)number;
    /* its low bytes are narrower ones */
    const int64_t whole = number > 9e18 ? INT64_MAX : (int64_t)number;
    static const uint8_t sizes[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };
    if (type == KD__GGUF_F32) gguf_put(to, &single, 4);
    else if (type == KD__GGUF_F64) gguf_put(to, &number, 8);
    else gguf_put(to, &whole, sizes[type]);
}

static void gguf_put_value(gguf_text *to, int32_t type)
{
    const char *text = GGUF_ANY(gguf_texts);
    if (type == KD__GGUF_STRING) gguf_put_text(to, text, strlen(text));
    else gguf_put_number(to, type);
}

/* A key with a value: a list one time in four. */
static void gguf_put_new(gguf_text *to, const char *key, uint64_t key_bytes)
{
    static const int32_t types[] = { KD__GGUF_U8,     KD__GGUF_I16, KD__GGUF_U32,  KD__GGUF_I32,
                                     KD__GGUF_F32,    KD__GGUF_F32, KD__GGUF_BOOL, KD__GGUF_STRING,
                                     KD__GGUF_STRING, KD__GGUF_U64, KD__GGUF_I64,  KD__GGUF_F64 };
    const int32_t type = GGUF_ANY(types), list = KD__GGUF_ARRAY;
    const uint64_t count = gguf_any(to, 6);
    gguf_put_text(to, key, key_bytes);
    if (gguf_any(to, 4)) {
        gguf_put(to, &type, 4);
        gguf_put_value(to, type);
        return;
    }
    gguf_put(to, &list, 4);
    gguf_put(to, &type, 4);
    gguf_put(to, &count, 8);
    for (uint64_t i = 0; i < count; i++) gguf_put_value(to, type);
}

/* What stands in place of a pair that was `old`; returns how many pairs that are. */
static uint64_t gguf_put_pairs(gguf_text *to, const kd__gguf_pair *pair, const char *end)
{
    const char *begin = pair->key.text - 8, *key = GGUF_ANY(gguf_keys);
    const unsigned choice = gguf_any(to, 8);
    if (choice < 4) gguf_put_new(to, pair->key.text, (uint64_t)pair->key.bytes); /* another value */
    else if (choice == 4) { /* under another name */ gguf_put_text(to, key, strlen(key));
        gguf_put(to, pair->key.text + pair->key.bytes,
                 (size_t)(end - pair->key.text - pair->key.bytes));
    } else if (choice < 7) { /* one more, or the same twice */
        gguf_put(to, begin, (size_t)(end - begin));
        gguf_put_new(to, choice == 5 ? key : pair->key.text,
                     choice == 5 ? strlen(key) : (uint64_t)pair->key.bytes);
        return 2;
    }
    return choice < 7;
}

static size_t gguf_rebuilt(const kd__gguf *file, uint8_t *data, size_t size, size_t room,
                           gguf_text *to)
{
    /* not the last, whose end is not known */
    const int64_t which = gguf_any(to, (unsigned)file->pair_count - 1);
    const kd__gguf_pair *pair = &file->pairs[which];
    const kd__gguf_tensor *last = &file->tensors[file->tensor_count - 1];
    const char *begin = pair->key.text - 8, *end = pair[1].key.text - 8;
    const char *infos_end = last->name.text + last->name.bytes + 4 + 8 * last->rank + 12;
    const size_t before = (size_t)(begin - (const char *)data), behind = (size_t)(infos_end - end);
    const uint64_t pairs = (uint64_t)file->pair_count - 1 + gguf_put_pairs(to, pair, end);
    static const uint8_t zeros[32];
    const size_t old = (size_t)(infos_end - (const char *)data + 31) / 32 * 32,
                 head = before + to->size + behind;
    gguf_put(to, end, behind);
    gguf_put(to, zeros, (32 - head % 32) % 32);
    if (old > size || before + to->size + size - old > room) return 0;
    memmove(data + before + to->size, data + old, size - old);
    memcpy(data + before, to->bytes, to->size);
    memcpy(data + 16, &pairs, 8);
    return before + to->size + size - old;
}

static const int32_t gguf_types[] = { 0, 1, 2, 3, 6, 7, 8, 10, 11, 12, 13, 14, 20, 23, 30, 39, 40 };

/* Another type of one tensor, whose bytes stay. */
static void gguf_retype(const kd__gguf *file, uint8_t *data, gguf_text *to)
{
    const kd__gguf_tensor *t = &file->tensors[gguf_any(to, (unsigned)file->tensor_count)];
    const char *type = t->name.text + t->name.bytes + 4 + 8 * t->rank;
    const int32_t other = GGUF_ANY(gguf_types);
    memcpy(data + (type - (const char *)data), &other, 4);
}

/* The changed file's size; 0 where it is none, or too large. */
static size_t gguf_mutate(kd_context *context, uint8_t *data, size_t size, size_t room,
                          unsigned seed)
{
    static gguf_text to;
    kd__gguf file;
    size_t made = 0;
    if (kd__gguf_parse(&file, context, (const char *)data, (int64_t)size, "fuzz") != KD_OK)
        return 0;
    to.size = 0, to.state = seed;
    if (file.tensor_count && gguf_any(&to, 4) == 0) {
        gguf_retype(&file, data, &to);
        made = size;
    } else if (file.pair_count > 1 && file.tensor_count)
        made = gguf_rebuilt(&file, data, size, room, &to);
    kd__gguf_close(&file);
    return made;
}

#endif
