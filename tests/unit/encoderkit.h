/* Small encoders, a batch of two texts for them, and one number made of an output. */
#ifndef UNIT_ENCODERKIT_H
#define UNIT_ENCODERKIT_H

#include "unit.h"

enum { ENCODER_ROWS = 11, ENCODER_TEXTS = 2 };

#define BERT(more)                                                                                 \
    "{\"model_type\":\"bert\",\"vocab_size\":17,\"hidden_size\":12,\"num_hidden_layers\":2,"       \
    "\"num_attention_heads\":3,\"intermediate_size\":20,\"max_position_embeddings\":12,"           \
    "\"initializer_range\":0.3" more "}"
#define NO_DROPOUT ",\"hidden_dropout_prob\":0.0,\"attention_probs_dropout_prob\":0.0"
#define CLASSES ",\"architectures\":[\"BertForSequenceClassification\"],\"num_labels\":3"
#define SENTENCE                                                                                   \
    ",\"kd_pooling\":\"mean\",\"kd_normalize\":true,\"kd_dense\":[{\"out_features\":5}]"

static inline kd_batch *encoder_batch(kd_context *ctx)
{
    static int64_t tokens[ENCODER_ROWS] = { 2, 7, 16, 4, 11, 3, 9, 5, 12, 8, 14 },
                   types[ENCODER_ROWS] = { 0, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1 },
                   offsets[] = { 0, 7, ENCODER_ROWS };
    kd_array o = KD_ARRAY_1D(offsets, KD_INT64, 3), t = KD_ARRAY_1D(tokens, KD_INT64, ENCODER_ROWS),
             k = KD_ARRAY_1D(types, KD_INT64, ENCODER_ROWS);
    kd_batch *batch;
    OK(kd_batch_create(&batch, ctx, NULL));
    OK(kd_batch_begin_packed(batch, &o));
    OK(kd_batch_set(batch, "tokens", &t, NULL));
    OK(kd_batch_set(batch, "token_types", &k, NULL));
    return batch;
}

static inline kd_model *encoder_made(kd_context *ctx, const char *config, const kd_model_options *o)
{
    kd_model *model;
    OK(kd_model_create(&model, ctx, config, o));
    return model;
}

static inline float weight_at(int64_t i) { return (float)sin(0.9 * (double)i + 0.4); }

/* sum of output times weights, of the pass that was run last */
static inline double output_sum(kd_model *model, const char *name)
{
    kd_array v;
    double sum = 0;
    OK(kd_model_output(model, name, &v));
    for (int64_t i = 0; i < kd_array_count(&v); i++)
        sum += (double)((float *)v.data)[i] * (double)weight_at(i);
    return sum;
}

static inline void push_back(kd_model *model, const char *name)
{
    kd_array v;
    OK(kd_model_output(model, name, &v));
    const int64_t count = kd_array_count(&v);
    float *g = malloc((size_t)count * sizeof *g);
    for (int64_t i = 0; i < count; i++) g[i] = weight_at(i);
    v.data = g;
    OK(kd_model_add_output_gradient(model, name, &v));
    free(g);
}

/* Weights that the scripts of the goldens compute as well. */
static inline void encoder_fill(kd_model *model)
{
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *name;
        kd_array v;
        int sum = 0;
        OK(kd_model_tensor(model, i, &name, &v));
        for (const char *c = name; *c; c++) sum += *c;
        const int norm = strlen(name) > 10 && !strcmp(name + strlen(name) - 10, "orm.weight");
        for (int64_t j = 0; j < kd_array_count(&v); j++)
            ((float *)v.data)[j] = (float)(0.5 * sin(0.37 * (double)j + sum % 100 / 10.0)) +
                                   (float)norm;
    }
}

/* One sum over each tensor's gradient. */
static inline void encoder_compare_gradients(kd_model *model, const char *const *names,
                                             const double *sums)
{
    int32_t count;
    OK(kd_model_tensor_count(model, &count));
    for (int32_t i = 0; i < count; i++) {
        const char *name;
        kd_array g;
        double sum = 0;
        int32_t k = 0;
        OK(kd_model_tensor(model, i, &name, NULL));
        while (strcmp(names[k], name)) k++;
        OK(kd_model_tensor_gradient(model, i, &g));
        for (int64_t j = 0; j < kd_array_count(&g); j++)
            sum += (double)((float *)g.data)[j] * cos((double)j);
        ck_assert_msg(fabs(sum - sums[k]) <= 2e-4 * (1 + fabs(sums[k])), "%s: %g, expected %g",
                      name, sum, sums[k]);
    }
}

/* Every name of a safetensors header, replaced where it stands, at the same length or with spaces
 * after the header's values. */
static inline void encoder_rename(const char *folder, const char *from, const char *to)
{
    char path[700];
    size_t size;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    char *bytes = read_whole(path, &size), *made = malloc(2 * size + 4096);
    uint64_t header;
    memcpy(&header, bytes, 8);
    char *text = malloc(header + 1), *at = made + 8;
    memcpy(text, bytes + 8, header);
    text[header] = 0;
    for (char *c = text; *c;) {
        if (strncmp(c, from, strlen(from))) {
            *at++ = *c++;
            continue;
        }
        memcpy(at, to, strlen(to));
        at += strlen(to);
        c += strlen(from);
    }
    while ((at - made) % 8) *at++ = ' ';
    const uint64_t length = (uint64_t)(at - made - 8);
    memcpy(made, &length, 8);
    memcpy(at, bytes + 8 + header, size - 8 - header);
    write_file(path, made, 8 + length + size - 8 - header);
    free(bytes), free(made), free(text);
}

#endif
