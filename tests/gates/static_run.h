/* A small run with static embeddings: a student of an encoder, saved, loaded, trained lazily. */
#ifndef KD_STATIC_RUN_H
#define KD_STATIC_RUN_H

#include <kdistill.h>
#include <stdio.h>

#include "../unit/textkit.h"

static kd_status static_steps(kd_context *ctx, kd_model *model)
{
    static int64_t tokens[6] = { 5, 6, 7, 8, 1, 5 };
    static float wanted[2 * 4];
    const kd_array ts = KD_ARRAY_2D(tokens, KD_INT64, 2, 3),
                   ws = KD_ARRAY_2D(wanted, KD_FLOAT32, 2, 4);
    kd_group_options group = KD_GROUP_OPTIONS_INIT;
    kd_optimizer *optimizer = NULL;
    kd_batch *batch = NULL;
    group.lazy = 1;
    kd_status status = kd_optimizer_create(&optimizer, ctx, KD_OPTIMIZER_ADAMW, NULL);
    if (status == KD_OK) status = kd_optimizer_add_model(optimizer, model);
    if (status == KD_OK) status = kd_optimizer_add_group(optimizer, "*", &group);
    if (status == KD_OK) status = kd_batch_create(&batch, ctx, NULL);
    if (status == KD_OK) status = kd_batch_begin(batch, 2);
    if (status == KD_OK) status = kd_batch_set(batch, "tokens", &ts, NULL);
    for (int step = 0; step < 2 && status == KD_OK; step++) {
        status = kd_model_forward(model, batch, KD_MODE_TRAIN);
        if (status == KD_OK) status = kd_model_add_output_gradient(model, "embedding", &ws);
        if (status == KD_OK) status = kd_model_backward(model);
        if (status == KD_OK) status = kd_optimizer_step(optimizer, .1);
    }
    kd_batch_free(batch);
    kd_optimizer_free(optimizer);
    return status;
}

static kd_status use_static(kd_context *ctx, const char *folder)
{
    char words[600], saved[600], config[400];
    kd_tokenizer *t = NULL;
    kd_model *teacher = NULL, *student = NULL, *loaded = NULL;
    kd_static_options o = KD_STATIC_OPTIONS_INIT;
    int64_t size = 0;
    snprintf(words, sizeof words, "%s/oom-static.json", folder);
    snprintf(saved, sizeof saved, "%s/oom-static", folder);
    o.hidden_size = 4;
    if (words_tokenizer(words)) return KD_ERR_IO;
    kd_status status = kd_tokenizer_load(&t, ctx, words);
    if (status == KD_OK) status = kd_tokenizer_vocabulary_size(t, &size);
    snprintf(config, sizeof config,
             "{\"model_type\":\"bert\",\"vocab_size\":%d,\"hidden_size\":6,"
             "\"num_hidden_layers\":1,\"num_attention_heads\":1,\"intermediate_size\":5,"
             "\"max_position_embeddings\":8,\"type_vocab_size\":1,\"hidden_act\":\"gelu\"}",
             (int)size);
    if (status == KD_OK) status = kd_model_create(&teacher, ctx, config, NULL);
    if (status == KD_OK) status = kd_student_create_static(&student, teacher, t, &o);
    if (status == KD_OK) status = kd_model_save(student, saved, NULL);
    if (status == KD_OK) status = kd_model_load(&loaded, ctx, saved, NULL);
    if (status == KD_OK) status = static_steps(ctx, loaded);
    kd_model_free(loaded);
    kd_model_free(student);
    kd_model_free(teacher);
    kd_tokenizer_free(t);
    return status;
}

#endif
