/* A GGUF file of few bits: planned, written and read again, blocks alone: for the test that runs out
 * of memory. */
#ifndef USE_GGUF_H
#define USE_GGUF_H

#include <kdistill.h>

static inline kd_status gguf_blocks(kd_context *ctx)
{
    float x[64] = { 1, -2, 3 }, heavy[32] = { 1, 2 };
    uint8_t bytes[36];
    kd_array values = KD_ARRAY_2D(x, KD_FLOAT32, 2, 32),
             importance = KD_ARRAY_1D(heavy, KD_FLOAT32, 32);
    kd_status status =
        kd_block_encode(ctx, KD_BLOCK_IQ4_NL, &values, &importance, bytes, sizeof bytes);
    if (status != KD_OK) return status;
    return kd_block_decode(ctx, KD_BLOCK_IQ4_NL, bytes, sizeof bytes, &values);
}

static inline kd_status gguf_batch(kd_batch **out, kd_context *ctx)
{
    int64_t tokens[6] = { 1, 2, 3, 4, 5, 6 }, offsets[2] = { 0, 6 };
    kd_array o = KD_ARRAY_1D(offsets, KD_INT64, 2), t = KD_ARRAY_1D(tokens, KD_INT64, 6);
    kd_status status = kd_batch_create(out, ctx, NULL);
    if (status == KD_OK) status = kd_batch_begin_packed(*out, &o);
    return status == KD_OK ? kd_batch_set(*out, "tokens", &t, NULL) : status;
}

static inline kd_status gguf_importance(kd_context *ctx, kd_model *model, const char *path,
                                        const kd_gguf_options *options)
{
    kd_gguf_options o = *options;
    kd_gguf_info info = { .struct_size = sizeof info };
    kd_importance *importance = NULL, *again = NULL;
    kd_batch *batch = NULL;
    kd_status status = gguf_batch(&batch, ctx);
    if (status == KD_OK) status = kd_importance_create(&importance, model);
    if (status == KD_OK) status = kd_importance_add(importance, batch);
    if (status == KD_OK) status = kd_importance_save(importance, path);
    if (status == KD_OK) status = kd_importance_load(&again, model, path);
    o.importance = again;
    if (status == KD_OK) status = kd_model_plan_gguf(model, &o, &info);
    kd_importance_free(again);
    kd_importance_free(importance);
    kd_batch_free(batch);
    return status;
}

/* A failed call leaves the model as it was: the pass afterwards tells. */
static inline kd_status gguf_lattice(kd_context *ctx, kd_model *model)
{
    kd_lattice_options o = KD_LATTICE_OPTIONS_INIT;
    kd_lattice_info info = { .struct_size = sizeof info };
    kd_batch *batch = NULL;
    kd_status status = gguf_batch(&batch, ctx);
    if (status == KD_OK) status = kd_model_set_lattice(model, "*down_proj*", &o);
    o.format = KD_BLOCK_IQ4_NL;
    if (status == KD_OK) status = kd_model_set_lattice(model, "*up_proj*", &o);
    if (status == KD_OK) status = kd_model_forward(model, batch, KD_MODE_TRAIN);
    if (status == KD_OK) status = kd_model_get_lattice_info(model, &info);
    o.format = 0;
    if (status == KD_OK) status = kd_model_set_lattice(model, "*_proj*", &o);
    kd_batch_free(batch);
    return status;
}

/* t: of at most 265 tokens. */
static inline kd_status use_gguf(kd_context *ctx, kd_tokenizer *t, const char *path)
{
    const kd_gguf_rule rule = { "*down_proj*", KD_BLOCK_Q5_1, 0 };
    kd_gguf_options o = KD_GGUF_OPTIONS_INIT;
    kd_gguf_info info = { .struct_size = sizeof info };
    kd_model *model = NULL;
    kd_status status = gguf_blocks(ctx);
    if (status == KD_OK)
        status = kd_model_create(&model, ctx,
                                 "{\"model_type\":\"llama\",\"vocab_size\":265,\"hidden_size\":32,"
                                 "\"intermediate_size\":64,\"num_hidden_layers\":1,"
                                 "\"num_attention_heads\":2,\"max_position_embeddings\":64}",
                                 NULL);
    o.rules = &rule;
    o.rule_count = 1;
    o.name = "small";
    if (status == KD_OK) status = kd_model_plan_gguf(model, &o, &info);
    if (status == KD_OK) status = gguf_importance(ctx, model, path, &o);
    if (status == KD_OK) status = gguf_lattice(ctx, model);
    if (status == KD_OK) status = kd_model_write_gguf(model, t, path, &o, &info);
    kd_model_free(model);
    model = NULL;
    if (status == KD_OK) status = kd_model_load(&model, ctx, path, NULL);
    kd_model_free(model);
    return status;
}

#endif
