/* Models as folders: config.json and weights, and the files beside them. */
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/model/head_class.h"
#include "core/model/weights.h"

/* ---- reading ---- */

static const kd_array *find_tensor(const kd_model *model, int64_t index, const kd__weights *weights)
{
    const kd__engine *engine = model->net.engine;
    const kd_array *found = kd__weights_find(weights, model->net.tensors[index].name);
    const char *other;
    for (int32_t n = 0; !found && engine->other_name; n++) {
        other = engine->other_name(model, (int32_t)index, n);
        if (!other) break;
        found = kd__weights_find(weights, other);
    }
    return found;
}

kd_status kd__model_read_tensor(kd_model *model, int64_t index, const kd_array *found,
                                const char *folder)
{
    const kd__tensor *tensor = &model->net.tensors[index];
    KD_FAIL_IF(!found, KD_ERR_MISMATCH, "%s: the weights have no tensor '%s'", folder,
               tensor->name);
    int same = found->rank == tensor->rank;
    for (int32_t i = 0; same && i < tensor->rank; i++) same = found->dims[i] == tensor->dims[i];
    KD_FAIL_IF(
        !same, KD_ERR_SHAPE,
        "%s: tensor '%s': the config needs %lld numbers in rank %d, the file has %lld in rank %d",
        folder, tensor->name, (long long)tensor->count, tensor->rank,
        (long long)kd_array_count(found), found->rank);
    KD_FAIL_IF(kd__dtype_is_integer(found->dtype), KD_ERR_DTYPE,
               "%s: tensor '%s': expected floats, got %s", folder, tensor->name,
               kd__dtype_name(found->dtype));
    if (!tensor->is_packed)
        kd__convert_float32(model->parameters + tensor->offset, found->data, found->dtype,
                            tensor->count, 1, 0);
    return KD_OK;
}

void kd__read_rows(const kd_array *found, int64_t first, int64_t rows, float *to)
{
    const int64_t width = kd__array_row(found);
    const char *from = (const char *)found->data +
                       first * width * (int64_t)kd_dtype_bytes(found->dtype);
    kd__convert_float32(to, from, found->dtype, rows * width, 1, 0);
}

/* The folder that a packed_only model is made from. */
typedef struct {
    kd__model_source source;
    const kd__weights *weights;
} folder_source;

static kd_status read_source(const kd__model_source *source, const kd_model *model, int64_t tensor,
                             int64_t first, int64_t rows, float *to)
{
    const kd__weights *weights = ((const folder_source *)source)->weights;
    kd__read_rows(find_tensor(model, tensor, weights), first, rows, to);
    return KD_OK;
}

static int is_apart(const kd_model *model, int64_t index)
{
    return model->net.engine->is_apart && model->net.engine->is_apart(model, (int32_t)index);
}

static int is_of_model(const kd_model *model, const char *name)
{
    for (int64_t i = 0; i < model->net.tensor_count; i++)
        if (!strcmp(model->net.tensors[i].name, name) && !is_apart(model, i)) return 1;
    return 0;
}

static kd_status check_extra(const kd_model *model, const kd__weights *weights,
                             const kd__tensor_entry *entry, const char *folder)
{
    KD_FAIL_IF(kd__weights_find(weights, entry->name) != &entry->array, KD_ERR_FORMAT,
               "%s: tensor '%.120s' is in two shards", folder, entry->name);
    if (is_of_model(model, entry->name)) return KD_OK;
    if (model->net.engine->check_extra)
        return model->net.engine->check_extra(model, entry->name, &entry->array, folder);
    return kd__fail(KD_ERR_MISMATCH,
                    "%s: tensor '%.120s' of the weights has no place in the model of the config",
                    folder, entry->name);
}

static kd_status read_weights(kd_model *model, const kd__weights *weights, const char *folder)
{
    int64_t here = 0;
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        if (is_apart(model, i)) continue;
        KD_TRY(kd__model_read_tensor(model, i, find_tensor(model, i, weights), folder));
        here++;
    }
    if (weights->tensors == here) return KD_OK;
    for (int64_t f = 0; f < weights->count; f++)
        for (int64_t i = 0; i < weights->files[f].count; i++)
            KD_TRY(check_extra(model, weights, &weights->files[f].entries[i], folder));
    return KD_OK;
}

/* A config may claim any size: nothing is allocated for it before the weights are known to be large
 * enough. */
static kd_status check_claim(kd_context *context, const char *config, const kd__weights *weights,
                             const char *folder)
{
    kd__network net;
    const kd_status status = kd__network_read(&net, context, config);
    if (status != KD_OK) return kd__fail_in(status, folder);
    const int64_t parameters = net.parameters;
    kd__network_free(&net, context);
    KD_FAIL_IF(weights->bytes < 2 * parameters, KD_ERR_FORMAT,
               "%s: the config needs %lld parameters, the weights have %lld bytes", folder,
               (long long)parameters, (long long)weights->bytes);
    return KD_OK;
}

static kd_status read_model(kd_model *model, const kd__weights *weights, const char *folder)
{
    const folder_source source = { { read_source, NULL }, weights };
    if (model->packed_only) model->source = &source.source;
    KD_TRY(read_weights(model, weights, folder));
    if (model->net.engine->read_apart) KD_TRY(model->net.engine->read_apart(model, folder));
    KD_TRY(kd__model_finish(model));
    return kd__copy_text(model->object.context, &model->folder, folder);
}

static kd_status find_format(kd_context *context, const char *path, const kd__model_format **found)
{
    int is = 0;
    *found = NULL;
    for (const kd__model_format *const *f = kd__model_formats; *f && !is; f++) {
        KD_TRY((*f)->find(context, path, &is));
        if (is) *found = *f;
    }
    return KD_OK;
}

kd_status kd_model_load(kd_model **out, kd_context *context, const char *folder,
                        const kd_model_options *options)
{
    const kd__model_format *format;
    char *path = NULL, *config = NULL;
    kd__weights weights = { 0 };
    kd_model *model = NULL;
    int64_t size;
    kd_status status;
    KD_NEED(out);
    KD_NEED(context);
    KD_NEED(folder);
    KD_TRY(find_format(context, folder, &format));
    if (format) return format->load(out, context, folder, options);
    KD_TRY(kd__path_join(context, &path, folder, "config.json"));
    KD_TRY_GOTO(status, kd__file_read(context, path, 1 << 20, &config, &size), done);
    KD_TRY_GOTO(status, kd__weights_open(&weights, context, folder), done);
    KD_TRY_GOTO(status, kd__network_complete(context, folder, &weights, &config), done);
    KD_TRY_GOTO(status, check_claim(context, config, &weights, folder), done);
    KD_TRY_GOTO(status, kd__model_make(&model, context, config, options), done);
    status = read_model(model, &weights, folder);
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

kd_status kd__entries_create(kd__entries *e, kd_context *context, int64_t most)
{
    e->context = context;
    KD_TRY(KD_NEW(context, &e->entry, most));
    return KD_NEW(context, &e->names, most);
}

void kd__entries_free(kd__entries *e)
{
    if (!e->context) return;
    kd__release(e->context, e->entry);
    kd__release(e->context, e->names);
    kd__release(e->context, e->made);
}

void kd__entries_add(kd__entries *e, const char *name, const kd__tensor *tensor,
                     const float *parameters)
{
    kd__tensor_entry *entry = &e->entry[e->count++];
    entry->name = name;
    kd__array_view(&entry->array, (float *)(uintptr_t)parameters + tensor->offset, KD_FLOAT32,
                   tensor->rank, tensor->dims);
}

/* Every tensor under its name. */
static kd_status list_all(const kd_model *model, kd__entries *to)
{
    KD_TRY(kd__entries_create(to, model->object.context, model->net.tensor_count));
    for (int64_t i = 0; i < model->net.tensor_count; i++)
        kd__entries_add(to, model->net.tensors[i].name, &model->net.tensors[i], model->parameters);
    return KD_OK;
}

/* A head alone, in a class of transformers; head NULL: the model as it is. */
typedef struct {
    const kd__task_head *head;
    kd__head_class as;
} alone;

static kd_status write_weights(kd_model *model, const char *folder, const kd_model_save_options *o,
                               const alone *a)
{
    const kd__engine *engine = model->net.engine;
    kd__entries entries = { 0 };
    kd_status status = engine->list_entries ? engine->list_entries(model, o, &entries)
                                            : list_all(model, &entries);
    if (status == KD_OK && a->head)
        status = kd__head_class_entries(model, a->head, &a->as, &entries);
    if (status == KD_OK)
        status = kd__weights_write(model->object.context, folder, entries.entry, entries.count,
                                   o->dtype, o->shard_bytes);
    kd__entries_free(&entries);
    return status;
}

static kd_status own_config(kd_model *model, const kd_model_save_options *o, kd__text *to)
{
    if (model->net.engine->write_config) return model->net.engine->write_config(model, o, to);
    return kd__text_append(to, model->net.config, strlen(model->net.config));
}

static kd_status config_text(kd_model *model, const kd_model_save_options *o, const alone *a,
                             kd__text *to)
{
    kd__text own = { .context = to->context };
    if (!a->head) return own_config(model, o, to);
    kd_status status = own_config(model, o, &own);
    if (status == KD_OK) status = kd__head_class_config(a->head, &a->as, &own, to);
    kd__text_free(&own);
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
                                         "sentencepiece.bpe.model",
                                         "config_sentence_transformers.json",
                                         "vocab.txt",
                                         "vocab.json",
                                         "merges.txt",
                                         "chat_template.jinja",
                                         "chat_template.json" };
    kd_context *context = model->object.context;
    kd_status status = KD_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && model->folder && status == KD_OK; i++) {
        char *from = NULL, *to = NULL;
        int there;
        status = kd__path_join(context, &from, model->folder, names[i]);
        if (status == KD_OK) status = kd__path_join(context, &to, folder, names[i]);
        if (status == KD_OK && !kd__same_file(from, to))
            status = kd__file_copy(context, from, to, &there);
        kd__release(context, from);
        kd__release(context, to);
    }
    return status;
}

kd_status kd__model_save_options_read(kd_model_save_options *o,
                                      const kd_model_save_options *options)
{
    *o = (kd_model_save_options)KD_MODEL_SAVE_OPTIONS_INIT;
    KD_TRY(kd__options_read(o, sizeof *o, options, "kd_model_save_options"));
    KD_FAIL_IF(o->dtype != KD_FLOAT32 && o->dtype != KD_FLOAT16 && o->dtype != KD_BFLOAT16,
               KD_ERR_UNSUPPORTED,
               "models are saved as float32 (%d), float16 (%d) or bfloat16 (%d), not %d",
               KD_FLOAT32, KD_FLOAT16, KD_BFLOAT16, o->dtype);
    KD_FAIL_IF(o->shard_bytes < 0, KD_ERR_RANGE, "shard_bytes: expected 0 or more, got %lld",
               (long long)o->shard_bytes);
    return KD_OK;
}

kd_status kd_model_save(kd_model *model, const char *folder, const kd_model_save_options *options)
{
    kd_model_save_options o;
    char *path = NULL;
    KD_NEED(model);
    KD_TRY(kd__model_save_options_read(&o, options));
    if (model->packed_only && !model->frozen && model->net.engine->save_packed)
        return model->net.engine->save_packed(model, folder, &o);
    KD_TRY(kd__model_check_whole(model, "save"));
    kd_context *context = model->object.context;
    kd__text config = { .context = context };
    alone a = { 0 };
    if (o.head) KD_TRY(kd__head_class_find(model, o.head, &a.head, &a.as));
    KD_TRY(kd__model_refresh(model));
    KD_TRY(kd__folder_make(folder));
    KD_TRY(write_weights(model, folder, &o, &a));
    KD_TRY(kd__path_join(context, &path, folder, "config.json"));
    kd_status status = config_text(model, &o, &a, &config);
    if (status == KD_OK) status = kd__file_replace(context, path, config.bytes, config.size);
    kd__release(context, path);
    kd__text_free(&config);
    if (status == KD_OK && !a.head && model->net.engine->write_apart)
        status = model->net.engine->write_apart(model, folder, &o);
    return status == KD_OK ? carry_files(model, folder) : status;
}
