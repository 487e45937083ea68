/* Heads for tasks: of a config and added, on an encoder and on layers; a pass both ways, a student
 * with them, a folder, a head as a class of its own: for the test that runs out of memory. */
#ifndef USE_HEADS_H
#define USE_HEADS_H

#include <kdistill.h>
#include <stdio.h>

enum { HEADS_ROWS = 5, HEADS_LABELS = 3 };

#define USE_HEADS_BERT                                                                             \
    "{\"model_type\":\"bert\",\"vocab_size\":9,\"hidden_size\":8,\"num_hidden_layers\":2,"         \
    "\"num_attention_heads\":2,\"intermediate_size\":6,\"max_position_embeddings\":8,"             \
    "\"kd_heads\":{\"tags\":{\"num_labels\":3,\"level\":\"row\",\"from\":\"hidden.1\"}}}"
#define USE_HEADS_MLP                                                                              \
    "{\"model_type\":\"mlp\",\"input_size\":2,\"hidden_sizes\":[4],\"num_labels\":2,"              \
    "\"kd_heads\":{\"a\":{\"num_labels\":3,\"level\":\"sample\"}}}"

typedef struct heads_kit {
    kd_batch *batch;
    kd_model *model, *layers, *student, *again;
} heads_kit;

static inline kd_status heads_batch(heads_kit *k, kd_context *ctx)
{
    const int64_t tokens[HEADS_ROWS] = { 1, 2, 3, 4, 5 }, offsets[3] = { 0, 3, HEADS_ROWS };
    const float inputs[2 * HEADS_ROWS] = { 1, 2, 3 };
    kd_array t = KD_ARRAY_1D(tokens, KD_INT64, HEADS_ROWS), o = KD_ARRAY_1D(offsets, KD_INT64, 3),
             x = KD_ARRAY_2D(inputs, KD_FLOAT32, HEADS_ROWS, 2);
    kd_status status = kd_batch_create(&k->batch, ctx, NULL);
    if (status == KD_OK) status = kd_batch_begin_packed(k->batch, &o);
    if (status == KD_OK) status = kd_batch_set(k->batch, "tokens", &t, NULL);
    return status == KD_OK ? kd_batch_set(k->batch, "inputs", &x, NULL) : status;
}

static inline kd_status heads_pass(kd_model *model, kd_batch *batch, const char *output)
{
    static float slopes[HEADS_ROWS * HEADS_LABELS] = { 1, 2, 3 };
    kd_array z;
    kd_status status = kd_model_keep(model, output, 1);
    if (status == KD_OK) status = kd_model_forward(model, batch, KD_MODE_EVALUATE);
    if (status == KD_OK) status = kd_model_forward(model, batch, KD_MODE_TRAIN);
    if (status == KD_OK) status = kd_model_output(model, output, &z);
    if (status != KD_OK) return status;
    z.data = slopes;
    status = kd_model_add_output_gradient(model, output, &z);
    return status == KD_OK ? kd_model_backward(model) : status;
}

static inline kd_status heads_folders(heads_kit *k, kd_context *ctx, const char *folder)
{
    char path[600];
    kd_model_save_options alone = KD_MODEL_SAVE_OPTIONS_INIT;
    kd_student_options o = KD_STUDENT_OPTIONS_INIT;
    snprintf(path, sizeof path, "%s/heads", folder);
    o.layers = 1;
    alone.head = "mood";
    kd_status status = kd_model_save(k->model, path, NULL);
    if (status == KD_OK) status = kd_model_load(&k->again, ctx, path, NULL);
    if (status == KD_OK) status = kd_student_create(&k->student, k->model, &o);
    snprintf(path, sizeof path, "%s/one-head", folder);
    return status == KD_OK ? kd_model_save(k->model, path, &alone) : status;
}

static inline kd_status use_heads(kd_context *ctx, const char *folder)
{
    heads_kit k = { 0 };
    kd_status status = heads_batch(&k, ctx);
    if (status == KD_OK) status = kd_model_create(&k.model, ctx, USE_HEADS_BERT, NULL);
    if (status == KD_OK) status = kd_model_create(&k.layers, ctx, USE_HEADS_MLP, NULL);
    if (status == KD_OK)
        status = kd_model_add_head(k.model, "mood",
                                   "{\"num_labels\":3,\"pooling\":\"cls\",\"hidden_size\":8}");
    if (status == KD_OK) status = kd_model_add_head(k.layers, "b", "{\"num_labels\":3}");
    if (status == KD_OK) status = heads_pass(k.model, k.batch, "logits.tags");
    if (status == KD_OK) status = heads_pass(k.model, k.batch, "logits.mood");
    if (status == KD_OK) status = heads_pass(k.layers, k.batch, "logits.a");
    if (status == KD_OK) status = heads_pass(k.layers, k.batch, "logits.b");
    if (status == KD_OK) status = heads_folders(&k, ctx, folder);
    kd_model_free(k.again);
    kd_model_free(k.student);
    kd_model_free(k.layers);
    kd_model_free(k.model);
    kd_batch_free(k.batch);
    return status;
}

#endif
