/* A small language model, a batch for it, a loss. */
#ifndef UNIT_STUDENTKIT_H
#define UNIT_STUDENTKIT_H

#include "textkit.h"
#include "unit.h"

#include <unistd.h>

#define ROWS 24

#define V 37

static const char base[] =
    "{\"model_type\":\"%s\",\"vocab_size\":37,\"hidden_size\":24,\"intermediate_size\":20,\"num_"
    "hidden_layers\":4,\"num_attention_heads\":4,"
    "\"num_key_value_heads\":2,\"max_position_embeddings\":64,\"initializer_range\":0.2%s}";

static inline kd_model *make_model(kd_context *ctx, const char *type, const char *more,
                                   const kd_model_options *o)
{
    char json[700];
    kd_model *model;
    snprintf(json, sizeof json, base, type, more);
    OK(kd_model_create(&model, ctx, json, o));
    return model;
}

static inline kd_batch *make_batch(kd_context *ctx)
{
    static int64_t tokens[ROWS], offsets[] = { 0, 15, ROWS };
    kd_array o = KD_ARRAY_1D(offsets, KD_INT64, 3), t = KD_ARRAY_1D(tokens, KD_INT64, ROWS);
    kd_batch *batch;
    for (int i = 0; i < ROWS; i++) tokens[i] = (i * i + 3 * i) % V;
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_batch_begin_packed(batch, &o));
    OK(kd_batch_set(batch, "tokens", &t, NULL));
    return batch;
}

static inline void logits_of(kd_model *model, kd_batch *batch, float *to)
{
    kd_array z;
    OK(kd_model_forward(model, batch, KD_MODE_EVALUATE));
    OK(kd_model_output(model, "logits", &z));
    memcpy(to, z.data, sizeof(float) * ROWS * V);
}

static inline double distance(const float *a, const float *b, int n)
{
    double most = 0;
    for (int i = 0; i < n; i++) most = fmax(most, fabs(a[i] - b[i]));
    return most;
}

static inline float *tensor_of(kd_model *model, const char *name, kd_array *values)
{
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *found;
        OK(kd_model_tensor(model, i, &found, values));
        if (!strcmp(found, name)) return values->data;
    }
    ck_abort_msg("no tensor %s", name);
}

/* The model as it comes back from a folder, and its logits. */
static inline kd_model *reloaded(kd_context *ctx, kd_model *model, const char *folder,
                                 const kd_model_save_options *o, kd_batch *batch, float *logits)
{
    kd_model *again;
    OK(kd_model_save(model, folder, o));
    OK(kd_model_load(&again, ctx, folder, NULL));
    logits_of(again, batch, logits);
    return again;
}

#endif
