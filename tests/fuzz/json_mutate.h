/* Mutations that know how JSON is built: a value is another one, a member or an element goes,
 * stands twice or has another name, a new one comes in; of a safetensors file, in its header, whose
 * length is set right. The code after the parsers is reached. */
#ifndef JSON_MUTATE_H
#define JSON_MUTATE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

static const char *const json_keys[] = {
    /* configs of encoders and of static embeddings */
    "model_type", "architectures", "vocab_size", "hidden_size", "dim", "num_hidden_layers",
    "n_layers", "num_attention_heads", "n_heads", "intermediate_size", "hidden_dim", "hidden_act",
    "activation", "max_position_embeddings", "type_vocab_size", "pad_token_id", "layer_norm_eps",
    "position_embedding_type", "is_decoder", "num_labels", "id2label", "torch_dtype", "kd_pooling",
    "kd_dense", "kd_normalize", "kd_max_length", "kd_pooler", "normalize", "embedding_dtype",
    "ignored_token", "embedding_rows", "token_weights", "layout",
    /* towers */
    "towers", "text", "word", "input", "output", "pooling", "frozen", "rows_per_sample",
    "projection_dim", "fusion", "missing", "drop", "logit_scale_init_value",
    "logit_bias_init_value",
    /* images */
    "image_size", "patch_size", "num_channels", "kd_patch_dropout", "image_processor_type", "size",
    "height", "width", "shortest_edge", "crop_size", "do_resize", "do_center_crop", "do_rescale",
    "do_normalize", "rescale_factor", "image_mean", "image_std", "resample", "default_to_square",
    /* modules, pooling, dense layers, lengths */
    "type", "path", "idx", "name", "word_embedding_dimension", "pooling_mode",
    "pooling_mode_cls_token", "pooling_mode_mean_tokens", "pooling_mode_max_tokens",
    "pooling_mode_lasttoken", "include_prompt", "in_features", "out_features", "bias",
    "activation_function", "module_input_name", "max_seq_length", "do_lower_case",
    "model_max_length", "folder",
    /* tokenizers of words */
    "model", "vocab", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word",
    "normalizer", "pre_tokenizer", "post_processor", "decoder", "added_tokens", "truncation",
    "padding", "single", "pair", "special_tokens", "Sequence", "SpecialToken", "id", "ids",
    "type_id", "content", "special", "normalized", "clean_text", "handle_chinese_chars",
    "strip_accents", "lowercase", "prefix", "cleanup", "sep", "cls",
    /* tensors */
    "dtype", "shape", "data_offsets", "embeddings", "embedding.weight", "weights", "mapping",
    "linear.weight", "linear.bias", "pooler.dense.weight", "__metadata__"
};

static const char *const json_values[] = { "0",
                                           "1",
                                           "2",
                                           "3",
                                           "4",
                                           "7",
                                           "8",
                                           "16",
                                           "-1",
                                           "0.5",
                                           "1e9",
                                           "1e308",
                                           "9007199254740993",
                                           "4294967296",
                                           "true",
                                           "false",
                                           "null",
                                           "[]",
                                           "{}",
                                           "\"\"",
                                           "[0,0]",
                                           "[1,1]",
                                           "[0,8]",
                                           "[[]]",
                                           "\"bert\"",
                                           "\"distilbert\"",
                                           "\"roberta\"",
                                           "\"xlm-roberta\"",
                                           "\"model2vec\"",
                                           "\"static_embedding\"",
                                           "\"llama\"",
                                           "\"gelu\"",
                                           "\"gelu_new\"",
                                           "\"cls\"",
                                           "\"mean\"",
                                           "\"max\"",
                                           "\"last\"",
                                           "\"lasttoken\"",
                                           "\"F32\"",
                                           "\"F16\"",
                                           "\"BF16\"",
                                           "\"F64\"",
                                           "\"I64\"",
                                           "\"I32\"",
                                           "\"I8\"",
                                           "\"A\"",
                                           "\"B\"",
                                           "\"[UNK]\"",
                                           "\"##\"",
                                           "\"WordPiece\"",
                                           "\"BertNormalizer\"",
                                           "\"BertPreTokenizer\"",
                                           "\"BertProcessing\"",
                                           "\"TemplateProcessing\"",
                                           "\"Lowercase\"",
                                           "\"1_Pooling\"",
                                           "\"2_Dense\"",
                                           "\"..\"",
                                           "\".\"",
                                           "\"torch.nn.modules.activation.ReLU\"",
                                           "\"torch.nn.modules.linear.Identity\"",
                                           "\"sentence_transformers.models.Dense\"",
                                           "\"sentence_transformers.models.Pooling\"",
                                           "\"sentence_transformers.models.Normalize\"",
                                           "\"sentence_transformers.models.Transformer\"",
                                           "\"sentence_transformers.models.StaticEmbedding\"",
                                           "\"BertForSequenceClassification\"",
                                           "{\"out_features\":2}" };

enum { JSON_ITEMS = 4096, JSON_DEPTH = 64, JSON_ROOM = 1 << 16 };

/* A member or an element: from `begin` to `end`, its value from `value` on. */
typedef struct {
    size_t begin, value, end;
} json_item;

typedef struct {
    json_item items[JSON_ITEMS];
    size_t count, made;
    unsigned state;
    char text[JSON_ROOM];
} json_change;

static unsigned json_any(json_change *c, size_t count)
{
    c->state = c->state * 1664525u + 1013904223u;
    return (unsigned)((c->state >> 8) % count);
}

#define JSON_ANY(list) ((list)[json_any(c, sizeof(list) / sizeof *(list))])

static size_t json_string_end(const char *text, size_t size, size_t at)
{
    for (at++; at < size && text[at] != '"'; at++) at += text[at] == '\\';
    return at;
}

/* Members and elements of all depths. */
static void json_scan(json_change *c, const char *text, size_t size)
{
    json_item open[JSON_DEPTH];
    int depth = 0;
    c->count = 0;
    for (size_t at = 0; at < size && depth < JSON_DEPTH; at++) {
        const char letter = text[at];
        if (letter == '"') at = json_string_end(text, size, at);
        else if (letter == ':' && depth) open[depth - 1].value = at + 1;
        else if (letter == '{' || letter == '[') open[depth++] = (json_item){ at + 1, at + 1, 0 };
        else if (depth && (letter == ',' || letter == '}' || letter == ']')) {
            json_item *item = &open[depth - 1];
            item->end = at;
            if (item->end > item->begin && c->count < JSON_ITEMS) c->items[c->count++] = *item;
            *item = (json_item){ at + 1, at + 1, 0 };
            depth -= letter != ',';
        }
    }
}

static void json_put(json_change *c, const char *text, size_t size)
{
    if (size > JSON_ROOM - c->made) return;
    memcpy(c->text + c->made, text, size);
    c->made += size;
}

static void json_put_text(json_change *c, const char *text) { json_put(c, text, strlen(text)); }

static void json_put_key(json_change *c)
{
    json_put_text(c, "\"");
    json_put_text(c, JSON_ANY(json_keys));
    json_put_text(c, "\":");
}

/* A known value, or one of the text's own. */
static void json_put_value(json_change *c, const char *text)
{
    const json_item *other = &c->items[json_any(c, c->count)];
    if (json_any(c, 3)) json_put_text(c, JSON_ANY(json_values));
    else json_put(c, text + other->value, other->end - other->value);
}

/* What stands in place of an item. */
static void json_put_item(json_change *c, const char *text, const json_item *item)
{
    const int is_member = item->value > item->begin;
    const unsigned choice = json_any(c, 8);
    if (choice < 4) {
        json_put(c, text + item->begin, item->value - item->begin);
        json_put_value(c, text);
    } else if (choice == 4) {
        if (is_member) json_put_key(c);
        json_put(c, text + item->value, item->end - item->value);
    } else {
        json_put(c, text + item->begin, item->end - item->begin);
        json_put_text(c, ",");
        if (choice == 5) json_put(c, text + item->begin, item->end - item->begin);
        if (choice > 5 && is_member) json_put_key(c);
        if (choice > 5) json_put_value(c, text);
    }
}

/* The changed text in c->text; its size, 0 where there is nothing to change. */
static size_t json_mutate(json_change *c, const char *text, size_t size, unsigned seed)
{
    c->state = seed, c->made = 0;
    json_scan(c, text, size);
    if (!c->count || size >= JSON_ROOM) return 0;
    const json_item *item = &c->items[json_any(c, c->count)];
    const int goes = !json_any(c, 6), comma = item->end < size && text[item->end] == ',';
    const int before = item->begin > 0 && text[item->begin - 1] == ',';
    json_put(c, text, item->begin - (goes && !comma && before));
    if (!goes) json_put_item(c, text, item);
    json_put(c, text + item->end + (goes && comma), size - item->end - (goes && comma));
    return c->made;
}

/* A text of `size` bytes at `at` of `whole` bytes is replaced; the new size of all, or 0. */
static size_t json_replace(const json_change *c, uint8_t *data, size_t whole, size_t at,
                           size_t size, size_t room)
{
    const size_t rest = whole - at - size;
    if (!c->made || at + c->made + rest > room) return 0;
    memmove(data + at + c->made, data + at + size, rest);
    memcpy(data + at, c->text, c->made);
    return at + c->made + rest;
}

/* A safetensors file: eight bytes of its header's length, then the header. */
static size_t tensors_mutate(json_change *c, uint8_t *data, size_t size, size_t room, unsigned seed)
{
    if (size < 8) return 0;
    const uint64_t header = kd__get64(data);
    if (header > size - 8 || !json_mutate(c, (const char *)data + 8, (size_t)header, seed))
        return 0;
    const size_t made = json_replace(c, data, size, 8, (size_t)header, room);
    if (made) kd__put64(data, c->made);
    return made;
}

#endif
