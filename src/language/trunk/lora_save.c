/* Adapters as a folder that PEFT loads onto the model they were trained on: adapter_config.json and
 * adapter_model.safetensors. */
#include <kdistill/student.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "language/trunk/lora.h"

#define PREFIX "base_model.model."
enum { NAME = KD_NAME_BYTES + 32 };

static const kd__tensor *tensor_of(const kd_model *model, int32_t tensor)
{
    return &model->net.tensors[tensor];
}

/* A matrix's module: its name without ".weight". */
static int module_bytes(const kd__tensor *matrix)
{
    const size_t n = strlen(matrix->name);
    return (int)(n > 7 && !strcmp(matrix->name + n - 7, ".weight") ? n - 7 : n);
}

/* What is trained besides adapters has no place in such a folder. */
static kd_status check(const kd_model *model)
{
    KD_FAIL_IF(!kd__has_trunk(model) || !kd__trunk_of(model)->lora, KD_ERR_STATE,
               "save: expected adapters (kd_model_add_lora), got none%s",
               model->packed_only ? ", and nothing else is saved of a model of packed_only: load "
                                    "it with packed_only 0 to save it whole"
                                  : "");
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        const kd__tensor *t = &model->net.tensors[i];
        KD_FAIL_IF(!t->frozen && !strstr(t->name, ".lora_"), KD_ERR_UNSUPPORTED,
                   "save: %s is trained besides the adapters, which are all that such a folder "
                   "holds: save it in a checkpoint, or freeze it (kd_model_freeze)",
                   t->name);
    }
    return KD_OK;
}

static void add(kd__entries *to, const kd_model *model, const kd__adapter *a, int32_t tensor,
                const char *side, char *name)
{
    const kd__tensor *matrix = tensor_of(model, a->matrix);
    snprintf(name, NAME, PREFIX "%.*s.%s.weight", module_bytes(matrix), matrix->name, side);
    kd__entries_add(to, name, tensor_of(model, tensor), model->parameters);
}

static kd_status write_numbers(const kd_model *model, const char *folder, int32_t dtype)
{
    const kd__lora *l = kd__trunk_of(model)->lora;
    kd_context *context = model->object.context;
    kd__entries entries = { 0 };
    char *path = NULL, *names = NULL;
    kd_status status = kd__entries_create(&entries, context, 2 * l->count);
    if (status == KD_OK) status = KD_NEW(context, &names, 2 * l->count * NAME);
    for (int64_t i = 0; i < l->count && status == KD_OK; i++) {
        const kd__adapter *a = &l->adapters[i];
        add(&entries, model, a, a->a, "lora_A", names + 2 * i * NAME);
        add(&entries, model, a, a->b, "lora_B", names + (2 * i + 1) * NAME);
    }
    if (status == KD_OK)
        status = kd__path_join(context, &path, folder, "adapter_model.safetensors");
    if (status == KD_OK)
        status = kd__safetensors_write(context, path, entries.entry, entries.count, dtype);
    kd__entries_free(&entries);
    kd__release(context, names);
    kd__release(context, path);
    return status;
}

/* "module": number of each adapter, of its rank or its alpha. */
static kd_status put_pattern(const kd_model *model, const char *key, int alpha, kd__text *to)
{
    const kd__lora *l = kd__trunk_of(model)->lora;
    KD_TRY(kd__text_format(to, ", \"%s\": {", key));
    for (int64_t i = 0; i < l->count; i++) {
        const kd__adapter *a = &l->adapters[i];
        const kd__tensor *matrix = tensor_of(model, a->matrix);
        KD_TRY(
            kd__text_format(to, "%s\"%.*s\": ", i ? ", " : "", module_bytes(matrix), matrix->name));
        KD_TRY(kd__text_number(to, alpha ? a->scale * (double)a->rank : (double)a->rank));
    }
    return kd__text_format(to, "}");
}

static kd_status put_config(const kd_model *model, kd__text *to)
{
    const kd__lora *l = kd__trunk_of(model)->lora;
    KD_TRY(kd__text_format(to, "{\"peft_type\": \"LORA\", \"base_model_name_or_path\": "));
    KD_TRY(model->folder ? kd__text_quoted(to, model->folder) : kd__text_format(to, "null"));
    KD_TRY(kd__text_format(to, ", \"r\": %lld, \"lora_alpha\": ", (long long)l->adapters[0].rank));
    KD_TRY(kd__text_number(to, l->adapters[0].scale * (double)l->adapters[0].rank));
    KD_TRY(put_pattern(model, "rank_pattern", 0, to));
    KD_TRY(put_pattern(model, "alpha_pattern", 1, to));
    KD_TRY(kd__text_format(to, ", \"target_modules\": ["));
    for (int64_t i = 0; i < l->count; i++) {
        const kd__tensor *matrix = tensor_of(model, l->adapters[i].matrix);
        KD_TRY(
            kd__text_format(to, "%s\"%.*s\"", i ? ", " : "", module_bytes(matrix), matrix->name));
    }
    return kd__text_format(to, "], \"lora_dropout\": 0.0, \"bias\": \"none\", "
                               "\"fan_in_fan_out\": false, \"inference_mode\": true}\n");
}

kd_status kd__lora_save(kd_model *model, const char *folder, const kd_model_save_options *o)
{
    kd_context *context = model->object.context;
    kd__text config = { .context = context };
    char *path = NULL;
    KD_TRY(check(model));
    KD_TRY(kd__folder_make(folder));
    KD_TRY(write_numbers(model, folder, o->dtype));
    kd_status status = put_config(model, &config);
    if (status == KD_OK) status = kd__path_join(context, &path, folder, "adapter_config.json");
    if (status == KD_OK) status = kd__file_replace(context, path, config.bytes, config.size);
    kd__release(context, path);
    kd__text_free(&config);
    return status;
}

kd_status kd_model_save_lora(kd_model *model, const char *folder,
                             const kd_model_save_options *options)
{
    kd_model_save_options o;
    KD_NEED(model);
    KD_NEED(folder);
    KD_TRY(kd__model_save_options_read(&o, options));
    return kd__lora_save(model, folder, &o);
}
