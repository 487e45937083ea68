/* A packed base with adapters is made, trained, saved, and writes a text: for the test that runs
 * out of memory. */
#ifndef USE_PACKED_H
#define USE_PACKED_H

#include <kdistill.h>
#include <kdistill/generator.h>
#include <kdistill/student.h>
#include <stdio.h>

enum { PACKED_ROWS = 5 };

#define USE_PACKED_LLAMA                                                                           \
    "{\"model_type\":\"llama\",\"vocab_size\":9,\"hidden_size\":32,\"num_hidden_layers\":2,"       \
    "\"num_attention_heads\":2,\"intermediate_size\":32,\"max_position_embeddings\":16}"

typedef struct packed_kit {
    kd_batch *batch;
    kd_model *model;
    kd_loss *loss;
    kd_optimizer *optimizer;
    kd_generator *generator;
} packed_kit;

static inline kd_status packed_batch(packed_kit *k, kd_context *ctx)
{
    const int64_t tokens[PACKED_ROWS] = { 1, 2, 3, 4, 5 }, offsets[2] = { 0, PACKED_ROWS };
    kd_array t = KD_ARRAY_1D(tokens, KD_INT64, PACKED_ROWS), o = KD_ARRAY_1D(offsets, KD_INT64, 2);
    kd_status status = kd_batch_create(&k->batch, ctx, NULL);
    if (status == KD_OK) status = kd_batch_begin_packed(k->batch, &o);
    return status == KD_OK ? kd_batch_set(k->batch, "tokens", &t, NULL) : status;
}

static inline kd_status packed_step(packed_kit *k, kd_context *ctx)
{
    kd_term_options term = KD_TERM_OPTIONS_INIT;
    term.label_field = "tokens";
    term.align = KD_ALIGN_NEXT;
    kd_status status = kd_loss_create(&k->loss, ctx, NULL);
    if (status == KD_OK) status = kd_loss_add(k->loss, KD_LOSS_CROSS_ENTROPY, 1, &term, NULL);
    if (status == KD_OK) status = kd_optimizer_create(&k->optimizer, ctx, KD_OPTIMIZER_ADAMW, NULL);
    if (status == KD_OK) status = kd_optimizer_add_model(k->optimizer, k->model);
    if (status == KD_OK) status = kd_model_forward(k->model, k->batch, KD_MODE_TRAIN);
    if (status == KD_OK) status = kd_loss_backward(k->loss, k->model, k->batch, NULL, NULL, NULL);
    return status == KD_OK ? kd_optimizer_step(k->optimizer, 1e-3) : status;
}

static inline kd_status packed_text(packed_kit *k)
{
    static const int32_t prompt[] = { 3, 5 };
    kd_generator_options o = KD_GENERATOR_OPTIONS_INIT;
    kd_sampling s = KD_SAMPLING_INIT;
    kd_generated text = { .struct_size = sizeof text };
    o.weights = KD_BLOCK_Q4_0;
    o.max_sequences = 1;
    s.max_tokens = 2;
    kd_status status = kd_generator_create(&k->generator, k->model, &o);
    if (status == KD_OK) status = kd_generator_add(k->generator, prompt, 2, &s, NULL);
    return status == KD_OK ? kd_generator_next(k->generator, &text) : status;
}

static inline kd_status packed_again(kd_context *ctx, const char *adapters,
                                     const kd_model_options *o)
{
    kd_model *model;
    kd_status status = kd_model_create(&model, ctx, USE_PACKED_LLAMA, o);
    if (status != KD_OK) return status;
    status = kd_model_load_lora(model, adapters);
    if (status == KD_OK) status = kd_model_save_lora(model, adapters, NULL);
    kd_model_free(model);
    return status;
}

static inline kd_status use_packed(kd_context *ctx, const char *folder)
{
    packed_kit k = { 0 };
    char path[600];
    kd_model_options o = KD_MODEL_OPTIONS_INIT;
    o.weights = KD_BLOCK_Q4_0;
    o.packed_only = 1;
    o.max_rows = PACKED_ROWS;
    snprintf(path, sizeof path, "%s/packed", folder);
    kd_status status = packed_batch(&k, ctx);
    if (status == KD_OK) status = kd_model_create(&k.model, ctx, USE_PACKED_LLAMA, &o);
    if (status == KD_OK) status = kd_model_add_lora(k.model, NULL, NULL);
    if (status == KD_OK) status = packed_step(&k, ctx);
    if (status == KD_OK) status = kd_model_save(k.model, path, NULL);
    if (status == KD_OK) status = packed_text(&k);
    if (status == KD_OK) status = packed_again(ctx, path, &o);
    kd_generator_free(k.generator);
    kd_optimizer_free(k.optimizer);
    kd_loss_free(k.loss);
    kd_model_free(k.model);
    kd_batch_free(k.batch);
    return status;
}

#endif
