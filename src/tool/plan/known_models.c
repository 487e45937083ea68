/* Sizes of published models, from their config.json on huggingface.co. */
#include <string.h>

#include "tool/plan/plan_tool.h"

#define SHAPE(type, vocabulary, hidden, inner, layers, heads, kv_heads, tied)                      \
    "{\"model_type\":\"" type "\",\"vocab_size\":" #vocabulary ",\"hidden_size\":" #hidden         \
    ",\"intermediate_size\":" #inner ",\"num_hidden_layers\":" #layers                             \
    ",\"num_attention_heads\":" #heads ",\"num_key_value_heads\":" #kv_heads                       \
    ",\"max_position_embeddings\":131072,\"tie_word_embeddings\":" #tied "}"

static const struct {
    const char *name, *config;
} shapes[] = {
    { "smollm2-135m", SHAPE("llama", 49152, 576, 1536, 30, 9, 3, true) },
    { "smollm2-360m", SHAPE("llama", 49152, 960, 2560, 32, 15, 5, true) },
    { "qwen2.5-0.5b", SHAPE("qwen2", 151936, 896, 4864, 24, 14, 2, true) },
    { "qwen2.5-1.5b", SHAPE("qwen2", 151936, 1536, 8960, 28, 12, 2, true) },
    { "qwen2.5-3b", SHAPE("qwen2", 151936, 2048, 11008, 36, 16, 2, true) },
    { "qwen2.5-7b", SHAPE("qwen2", 152064, 3584, 18944, 28, 28, 4, false) },
    { "llama-3.1-8b", SHAPE("llama", 128256, 4096, 14336, 32, 32, 8, false) },
    { "qwen2.5-14b", SHAPE("qwen2", 152064, 5120, 13824, 48, 40, 8, false) },
    { "qwen2.5-32b", SHAPE("qwen2", 152064, 5120, 27648, 64, 40, 8, false) },
    { "llama-3.3-70b", SHAPE("llama", 128256, 8192, 28672, 80, 64, 8, false) },
    /* Its experts are no config of this library: the width and the vocabulary of its head alone. */
    { "deepseek-r1-head", SHAPE("llama", 129280, 7168, 7168, 1, 56, 56, false) },
};

const char *shape_config(const char *name)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (!strcmp(shapes[i].name, name)) return shapes[i].config;
    return NULL;
}

const char *shape_name(int index)
{
    return index < (int)(sizeof shapes / sizeof *shapes) ? shapes[index].name : NULL;
}
