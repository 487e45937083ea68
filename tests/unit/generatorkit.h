/* A small language model and its generator. */
#ifndef UNIT_GENERATORKIT_H
#define UNIT_GENERATORKIT_H

#include "textkit.h"
#include "unit.h"

static const char config[] =
    "{\"model_type\":\"llama\",\"vocab_size\":61,\"hidden_size\":32,\"intermediate_size\":40,\"num_"
    "hidden_layers\":2,\"num_attention_heads\":4,"
    "\"num_key_value_heads\":2,\"max_position_embeddings\":256,\"initializer_range\":0.3}";

static inline kd_model *make_model(kd_context *ctx, const char *json)
{
    kd_model *model;
    OK(kd_model_create(&model, ctx, json, NULL));
    return model;
}

static int32_t cache_of = KD_FLOAT32; /* generators of make_generator keep keys and values so */

static inline kd_generator *make_generator(kd_model *model, int32_t sequences, int32_t rows,
                                           int32_t weights)
{
    kd_generator *g;
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    o.max_sequences = sequences;
    o.prefill_tokens = rows;
    o.weights = weights;
    o.cache_tokens = (int64_t)sequences * 160;
    o.cache = cache_of;
    OK(kd_generator_create(&g, model, &o));
    return g;
}

static inline void fill_prompt(int32_t *prompt, int64_t count, int32_t seed)
{
    for (int64_t i = 0; i < count; i++)
        prompt[i] = (int32_t)((i * i * 7 + i * 13 + seed * 31) % 61);
}

/* The last row's logits of the whole text so far, by the model's own pass. */
static inline const float *last_logits(kd_model *model, kd_batch *batch, const int32_t *tokens,
                                       int64_t count)
{
    int64_t wide[256], offsets[2] = { 0, count };
    kd_array o = KD_ARRAY_1D(offsets, KD_INT64, 2), t = KD_ARRAY_1D(wide, KD_INT64, count), logits;
    for (int64_t i = 0; i < count; i++) wide[i] = tokens[i];
    OK(kd_batch_begin_packed(batch, &o));
    OK(kd_batch_set(batch, "tokens", &t, NULL));
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "logits", &logits));
    return (const float *)logits.data + (count - 1) * logits.dims[1];
}

#endif
