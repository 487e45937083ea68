/* A folder of adapters (the parts of model_folder.h) onto a small model: what is loaded runs, and
 * is the same after it was saved. */
#ifndef KD_FUZZ_ADAPTERS_H
#define KD_FUZZ_ADAPTERS_H

#include <kdistill/student.h>

#include "model_folder.h"

static kd_model *model_for_adapters(kd_context *ctx)
{
    static const char config[] =
        "{\"model_type\":\"llama\",\"vocab_size\":5,\"hidden_size\":4,\"num_hidden_layers\":1,"
        "\"num_attention_heads\":2,\"intermediate_size\":3,\"max_position_embeddings\":8}";
    kd_model *model = NULL;
    if (kd_model_create(&model, ctx, config, NULL) != KD_OK) abort();
    return model;
}

static void use_adapters(kd_context *ctx, const uint8_t *data, size_t size)
{
    kd_model *model = model_for_adapters(ctx), *again = model_for_adapters(ctx);
    int64_t count = 0, second = 0;
    make_folders();
    put_parts(data, size);
    if (kd_model_load_lora(model, folder_paths[LOADED]) == KD_OK) {
        empty_folder(SAVED);
        if (kd_model_save_lora(model, folder_paths[SAVED], NULL) != KD_OK) abort();
        if (kd_model_load_lora(again, folder_paths[SAVED]) != KD_OK) {
            fprintf(stderr, "what was saved is not read: %s\n", kd_last_error());
            abort();
        }
        const float *out = run_model(ctx, model, "logits", &count);
        const float *other = run_model(ctx, again, "logits", &second);
        if (!count || count != second || memcmp(out, other, (size_t)count * sizeof *out)) abort();
    }
    kd_model_free(model);
    kd_model_free(again);
    empty_folder(LOADED);
}

#endif
