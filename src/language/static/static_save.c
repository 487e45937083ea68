/* Saving static embeddings: a folder that model2vec and sentence-transformers load, or, where the
 * config says so, one as sentence-transformers saves it. */
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/text.h"
#include "language/static/static.h"

/* ---- tensors ---- */

/* The rows of all tokens with their weights in them, that of the ignored token 0. */
static void fold(const kd_model *model, float *to)
{
    const kd__static *s = kd__static_of(&model->net);
    const kd__tensor *tensors = model->net.tensors;
    const float *table = model->parameters + tensors[s->table].offset;
    const float *weights = s->weights < 0 ? NULL : model->parameters + tensors[s->weights].offset;
    for (int64_t v = 0; v < s->vocabulary; v++) {
        const float *row = table + (s->mapping ? s->mapping[v] : v) * s->hidden;
        const float by = v == s->ignored ? 0 : weights ? weights[v] : 1;
        for (int64_t i = 0; i < s->hidden; i++) to[v * s->hidden + i] = row[i] * by;
    }
}

static kd_status add_folded(kd_model *model, kd__entries *to)
{
    const kd__static *s = kd__static_of(&model->net);
    const kd__tensor whole = { .rank = 2, .dims = { s->vocabulary, s->hidden } };
    int64_t count;
    KD_TRY(kd__multiply(s->vocabulary, s->hidden, &count));
    KD_TRY(KD_NEW(model->object.context, &to->made, count));
    fold(model, to->made);
    kd__entries_add(to, "embedding.weight", &whole, to->made);
    return KD_OK;
}

static void add_table(kd_model *model, kd__entries *to)
{
    const kd__static *s = kd__static_of(&model->net);
    const kd__tensor *tensors = model->net.tensors;
    if (s->mapping) {
        kd__tensor_entry *entry = &to->entry[to->count++];
        entry->name = "mapping";
        kd__array_view(&entry->array, s->mapping, KD_INT32, 1, &s->vocabulary);
    }
    kd__entries_add(to, "embeddings", &tensors[s->table], model->parameters);
    if (s->weights >= 0) kd__entries_add(to, "weights", &tensors[s->weights], model->parameters);
}

kd_status kd__static_list_entries(kd_model *model, const kd_model_save_options *o, kd__entries *to)
{
    const kd__static *s = kd__static_of(&model->net);
    const kd__tensor *tensors = model->net.tensors;
    (void)o;
    KD_TRY(kd__entries_create(to, model->object.context, 5));
    if (s->sentence) KD_TRY(add_folded(model, to));
    else add_table(model, to);
    if (!s->classes) return KD_OK;
    kd__entries_add(to, tensors[s->head].name, &tensors[s->head], model->parameters);
    kd__entries_add(to, tensors[s->bias].name, &tensors[s->bias], model->parameters);
    return KD_OK;
}

/* ---- config.json and modules.json ---- */

static const char *dtype_name(int32_t dtype)
{
    return dtype == KD_FLOAT16 ? "float16" : dtype == KD_BFLOAT16 ? "bfloat16" : "float32";
}

kd_status kd__static_write_config(kd_model *model, const kd_model_save_options *o, kd__text *to)
{
    const kd__static *s = kd__static_of(&model->net);
    KD_TRY(kd__text_format(
        to,
        "{\n  \"model_type\": \"%s\",\n  \"architectures\": [\"StaticModel\"],\n"
        "  \"hidden_dim\": %lld,\n  \"normalize\": %s,\n  \"embedding_dtype\": \"%s\",\n"
        "  \"ignored_token\": %lld",
        s->sentence ? "static_embedding" : "model2vec", (long long)s->hidden,
        s->normalize ? "true" : "false", dtype_name(o->dtype), (long long)s->ignored));
    if (s->mapping && !s->sentence)
        KD_TRY(kd__text_format(to, ",\n  \"vocabulary_quantization\": %lld", (long long)s->rows));
    if (s->max_length < 0) KD_TRY(kd__text_format(to, ",\n  \"max_length\": null"));
    if (s->max_length > 0)
        KD_TRY(kd__text_format(to, ",\n  \"max_length\": %lld", (long long)s->max_length));
    if (strcmp(model->net.input, "tokens")) {
        KD_TRY(kd__text_format(to, ",\n  \"input\": "));
        KD_TRY(kd__text_quoted(to, model->net.input));
    }
    return kd__text_format(to, "\n}\n");
}

static kd_status write_modules(kd_model *model, const char *folder)
{
    static const char first[] = "[\n  {\"idx\": 0, \"name\": \"0\", \"path\": \"\", \"type\": "
                                "\"sentence_transformers.models.StaticEmbedding\"}",
                      second[] = ",\n  {\"idx\": 1, \"name\": \"1\", \"path\": \"1_Normalize\", "
                                 "\"type\": \"sentence_transformers.models.Normalize\"}";
    kd_context *context = model->object.context;
    kd__text text = { .context = context };
    char *path = NULL;
    kd_status status = kd__text_format(&text, "%s%s\n]\n", first,
                                       kd__static_of(&model->net)->normalize ? second : "");
    if (status == KD_OK) status = kd__path_join(context, &path, folder, "modules.json");
    if (status == KD_OK) status = kd__file_replace(context, path, text.bytes, text.size);
    kd__release(context, path);
    kd__text_free(&text);
    return status;
}

kd_status kd__static_write_apart(kd_model *model, const char *folder,
                                 const kd_model_save_options *o)
{
    char *path = NULL;
    (void)o;
    if (kd__static_of(&model->net)->normalize) {
        KD_TRY(kd__path_join(model->object.context, &path, folder, "1_Normalize"));
        const kd_status status = kd__folder_make(path);
        kd__release(model->object.context, path);
        KD_TRY(status);
    }
    return write_modules(model, folder);
}
