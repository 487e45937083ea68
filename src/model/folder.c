/* Models as folders: config.json and weights, and the files beside them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/text.h"
#include "model/decoder.h"
#include "model/gguf_model.h"
#include "model/model.h"
#include "model/weights.h"

/* ---- reading ---- */

static kd_status read_tensor(kd_model *model, const kd__tensor *tensor, const kd__weights *weights)
{
    const kd_array *found = kd__weights_find(weights, tensor->name);
    if (!found && model->net.decoder && model->net.decoder->tied && tensor == &model->net.tensors[model->net.decoder->embedding])
        found = kd__weights_find(weights, "lm_head.weight"); /* some folders keep the tied matrix under this name */
    KD_FAIL_IF(!found, KD_ERR_MISMATCH, "the weights have no tensor '%s'", tensor->name);
    int same = found->rank == tensor->rank;
    for (int32_t i = 0; same && i < tensor->rank; i++) same = found->dims[i] == tensor->dims[i];
    KD_FAIL_IF(!same, KD_ERR_SHAPE, "tensor '%s': the config needs %lld numbers in rank %d, the file has another shape (rank %d)", tensor->name,
               (long long)tensor->count, tensor->rank, found->rank);
    KD_FAIL_IF(kd__dtype_is_integer(found->dtype), KD_ERR_DTYPE, "tensor '%s': expected floats, got %s", tensor->name, kd__dtype_name(found->dtype));
    kd__convert_float32(model->parameters + tensor->offset, found->data, found->dtype, tensor->count, 1, 0);
    return KD_OK;
}

/* Tensors that a folder may have beside the model's: the tied matrix under both names, and tables of old versions of transformers. */
static int64_t harmless(const kd_model *model, const kd__weights *weights)
{
    const kd__decoder *d = model->net.decoder;
    int64_t count = d && d->tied && kd__weights_find(weights, "lm_head.weight") && kd__weights_find(weights, "model.embed_tokens.weight");
    for (int64_t l = 0; d && l < d->layers; l++) {
        char name[KD_MAX_NAME];
        snprintf(name, sizeof name, "model.layers.%d.self_attn.rotary_emb.inv_freq", (int)l);
        count += kd__weights_find(weights, name) != NULL;
    }
    return count;
}

static kd_status read_weights(kd_model *model, const kd__weights *weights, const char *folder)
{
    for (int64_t i = 0; i < model->net.tensor_count; i++) KD_TRY(read_tensor(model, &model->net.tensors[i], weights));
    KD_FAIL_IF(weights->tensors != model->net.tensor_count + harmless(model, weights), KD_ERR_MISMATCH,
               "%s: the config knows %lld tensors, the weights have %lld", folder, (long long)model->net.tensor_count, (long long)weights->tensors);
    return KD_OK;
}

/* A config may claim any size: nothing is allocated for it before the weights are known to be large enough. */
static kd_status check_claim(kd_context *context, const char *config, const kd__weights *weights, const char *folder)
{
    kd__network net;
    KD_TRY(kd__network_read(&net, context, config));
    const int64_t parameters = net.parameters;
    kd__network_free(&net, context);
    KD_FAIL_IF(weights->bytes < 2 * parameters, KD_ERR_FORMAT, "%s: the config needs %lld parameters, the weights have %lld bytes", folder,
               (long long)parameters, (long long)weights->bytes);
    return KD_OK;
}

kd_status kd_model_load(kd_model **out, kd_context *context, const char *folder, const kd_model_options *options)
{
    char *path = NULL, *config = NULL;
    kd__weights weights = { 0 };
    kd_model *model = NULL;
    int64_t size;
    kd_status status;
    KD_NEED(out);
    KD_NEED(context);
    KD_NEED(folder);
    if (!kd__is_folder(folder) && kd__gguf_is(folder)) return kd__gguf_load(out, context, folder, options);
    KD_TRY(kd__path_join(context, &path, folder, "config.json"));
    KD_TRY_GOTO(status, kd__file_read(context, path, 1 << 20, &config, &size), done);
    KD_TRY_GOTO(status, kd__weights_open(&weights, context, folder), done);
    KD_TRY_GOTO(status, check_claim(context, config, &weights, folder), done);
    KD_TRY_GOTO(status, kd__model_make(&model, context, config, options), done);
    KD_TRY_GOTO(status, read_weights(model, &weights, folder), done);
    KD_TRY_GOTO(status, kd__model_finish(model), done);
    status = kd__copy_text(context, &model->folder, folder);
done:
    kd__weights_close(&weights);
    kd__release(context, path);
    kd__release(context, config);
    if (status != KD_OK) {
        kd_model_free(model);
        return status;
    }
    *out = model;
    return KD_OK;
}

/* ---- writing ---- */

static void add_entry(const kd_model *model, const kd__tensor *tensor, const char *name, kd__tensor_entry *entry)
{
    entry->name = name;
    const float *values = model->lora ? model->lora->effective : model->parameters;
    kd__array_view(&entry->array, (float *)(uintptr_t)values + tensor->offset, KD_FLOAT32, tensor->rank, tensor->dims);
}

/* A factorised embedding as the matrix that it stands for: (V, d) = E P'. */
static kd_status expand_embedding(kd_model *model, kd__tensor_entry *entry, float **values)
{
    const kd__decoder *d = model->net.decoder;
    kd_context *context = model->object.context;
    const int64_t dims[2] = { d->vocabulary, d->hidden };
    KD_TRY(KD_NEW(context, values, d->vocabulary * d->hidden));
    const kd__gemm g = kd__decoder_projection(model, 1, d->vocabulary, kd__tensor_values(model, d->embedding), *values);
    entry->name = model->net.tensors[d->embedding].name;
    kd__array_view(&entry->array, *values, KD_FLOAT32, 2, dims);
    return kd__gemm_float32(context, &g);
}

/* A shared tensor under the name of every layer that has it. */
static int64_t add_copies(const kd_model *model, const kd__tensor *tensor, kd__tensor_entry *entries, char (*names)[KD_MAX_NAME])
{
    const kd__decoder *d = model->net.decoder;
    const int64_t own = d->layers / d->repeats;
    int64_t layer = -1, count = 0;
    int rest = 0;
    if (sscanf(tensor->name, "model.layers.%" SCNd64 ".%n", &layer, &rest) != 1 || !rest) return 0;
    for (int64_t i = 0; i < d->repeats; i++, count++) {
        snprintf(names[count], KD_MAX_NAME, "model.layers.%d.%.40s", (int)(d->whole_stack ? i * own + layer : layer * d->repeats + i),
                 tensor->name + rest);
        add_entry(model, tensor, names[count], &entries[count]);
    }
    return count;
}

static kd_status write_weights(kd_model *model, const char *folder, const kd_model_save_options *o)
{
    kd_context *context = model->object.context;
    const int64_t repeats = o->expand && model->net.decoder ? model->net.decoder->repeats : 1;
    kd__tensor_entry *entries = NULL;
    char(*names)[KD_MAX_NAME] = NULL;
    float *whole = NULL;
    int64_t count = 0;
    const kd__decoder *d = model->net.decoder;
    const int64_t factorised = o->expand && d && d->projection >= 0 ? d->embedding : -1;
    kd_status status = KD_NEW(context, &entries, model->net.tensor_count * repeats + 1);
    if (status == KD_OK) status = KD_NEW(context, &names, model->net.tensor_count * repeats + 1);
    for (int64_t i = 0; i < model->net.tensor_count && status == KD_OK; i++) {
        const kd__tensor *tensor = &model->net.tensors[i];
        if (strstr(tensor->name, ".lora_")) continue; /* merged */
        if (factorised >= 0 && i == d->projection) continue;
        if (i == factorised) {
            status = expand_embedding(model, &entries[count++], &whole);
            continue;
        }
        const int64_t copies = repeats > 1 ? add_copies(model, tensor, entries + count, names + count) : 0;
        if (!copies) add_entry(model, tensor, tensor->name, &entries[count]);
        count += copies ? copies : 1;
    }
    if (status == KD_OK) status = kd__weights_write(context, folder, entries, count, o->dtype, o->shard_bytes);
    kd__release(context, whole);
    kd__release(context, entries);
    kd__release(context, names);
    return status;
}

/* The config with the weights' type, which transformers loads them as. */
static kd_status config_text(kd_model *model, const kd_model_save_options *o, kd__text *to)
{
    const int32_t dtype = o->dtype;
    kd__json_document document;
    const char *name = dtype == KD_FLOAT16 ? "float16" : dtype == KD_BFLOAT16 ? "bfloat16" : "float32";
    if (!model->net.decoder) return kd__text_append(to, model->net.config, strlen(model->net.config));
    KD_TRY(kd__json_parse(&document, to->context, model->net.config, strlen(model->net.config), "config"));
    int named = 0;
    for (kd__json *n = document.root->first; n; n = n->next) {
        if (o->expand && !strcmp(n->key, "kd_layer_repeats")) n->number = 1;
        if (o->expand && !strcmp(n->key, "kd_embedding_size")) n->number = (double)model->net.decoder->hidden;
        if (strcmp(n->key, "dtype") && strcmp(n->key, "torch_dtype")) continue;
        n->type = KD__JSON_STRING;
        n->text = name;
        named = 1;
    }
    kd__json dtype_node = { .type = KD__JSON_STRING, .key = "dtype", .text = name, .next = document.root->first };
    if (!named) document.root->first = &dtype_node;
    const kd_status status = kd__json_write(to, document.root);
    kd__json_free(&document);
    return status;
}

/* What a loaded model's folder has beside the model, a tokenizer first of all, goes with it. */
static kd_status carry_files(kd_model *model, const char *folder)
{
    static const char *const names[] = { "generation_config.json",
                                         "tokenizer.json",
                                         "tokenizer_config.json",
                                         "special_tokens_map.json",
                                         "added_tokens.json",
                                         "tokenizer.model",
                                         "vocab.json",
                                         "merges.txt",
                                         "chat_template.jinja" };
    kd_context *context = model->object.context;
    kd_status status = KD_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && model->folder && status == KD_OK; i++) {
        char *from = NULL, *to = NULL;
        int there;
        status = kd__path_join(context, &from, model->folder, names[i]);
        if (status == KD_OK) status = kd__path_join(context, &to, folder, names[i]);
        if (status == KD_OK && !kd__same_file(from, to)) status = kd__file_copy(context, from, to, &there);
        kd__release(context, from);
        kd__release(context, to);
    }
    return status;
}

kd_status kd_model_save(kd_model *model, const char *folder, const kd_model_save_options *options)
{
    kd_model_save_options o = KD_MODEL_SAVE_OPTIONS_INIT;
    char *path = NULL;
    KD_NEED(model);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_model_save_options"));
    KD_FAIL_IF(o.dtype != KD_FLOAT32 && o.dtype != KD_FLOAT16 && o.dtype != KD_BFLOAT16, KD_ERR_UNSUPPORTED,
               "models are saved as float32 (%d), float16 (%d) or bfloat16 (%d), not %d", KD_FLOAT32, KD_FLOAT16, KD_BFLOAT16, o.dtype);
    KD_FAIL_IF(o.shard_bytes < 0, KD_ERR_RANGE, "shard_bytes: expected 0 or more, got %lld", (long long)o.shard_bytes);
    kd_context *context = model->object.context;
    kd__text config = { .context = context };
    KD_TRY(kd__lora_refresh(model));
    KD_TRY(kd__folder_make(folder));
    KD_TRY(write_weights(model, folder, &o));
    KD_TRY(kd__path_join(context, &path, folder, "config.json"));
    kd_status status = config_text(model, &o, &config);
    if (status == KD_OK) status = kd__file_replace(context, path, config.bytes, config.size);
    kd__release(context, path);
    kd__text_free(&config);
    return status == KD_OK ? carry_files(model, folder) : status;
}
