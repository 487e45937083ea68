/* A language model's folder: names that transformers has used, tied heads, and saving with
 * everything that is shared or factorized written out. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/text.h"
#include "language/decoder/decoder.h"
#include "language/trunk/config_keys.h"

#define PREFIX "model."

/* ---- reading ---- */

kd_status kd__decoder_complete(kd_context *context, const kd__json *root, const char *folder,
                               struct kd__weights *weights, kd__text *to)
{
    kd__text found = { .context = context };
    kd_status status = kd__sentence_find(context, folder, weights, &found);
    if (status == KD_OK) status = kd__sentence_join(root, &found, to);
    kd__text_free(&found);
    return status;
}

/* A name as the family's Model has it, which stands in no causal model. */
static const char *bare_name(const char *name)
{
    const size_t length = strlen(PREFIX);
    return strncmp(name, PREFIX, length) ? NULL : name + length;
}

/* Folders of the family's Model have no prefix; some keep the tied matrix under the head's name. */
const char *kd__decoder_other_name(const kd_model *model, int32_t tensor, int32_t n)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    if (!n) return bare_name(model->net.tensors[tensor].name);
    return n == 1 && d->tied && tensor == d->embedding ? "lm_head.weight" : NULL;
}

static int is_bare_name(const kd_model *model, const char *name)
{
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        const char *bare = bare_name(model->net.tensors[i].name);
        if (bare && !strcmp(name, bare)) return 1;
    }
    return 0;
}

/* Tables of old versions of transformers, which follow from the config. */
static int is_table(const char *name)
{
    int end = 0;
    return !strcmp(name, "model.rotary_emb.inv_freq") ||
           (sscanf(name, "model.layers.%*d.self_attn.rotary_emb.inv_freq%n", &end) == 0 && end &&
            !name[end]);
}

/* A head of its own where the config ties it to the embedding: transformers 5 takes the file's head
 * then, transformers 4 the embedding (vllm-project/vllm#6758). Only where both hold the same
 * numbers is the answer clear. */
static kd_status check_tied_head(const kd_model *model, const kd_array *head, const char *folder)
{
    const kd__tensor *embedding = &model->net.tensors[kd__trunk_config_of(model)->embedding];
    const float *values = model->parameters + embedding->offset;
    const int64_t width = embedding->dims[1];
    int same = head->rank == 2 && head->dims[0] == embedding->dims[0] && head->dims[1] == width &&
               !kd__dtype_is_integer(head->dtype);
    float *row = NULL;
    KD_TRY(KD_NEW(model->object.context, &row, width));
    for (int64_t i = 0; same && i < embedding->dims[0]; i++) {
        const char *from = (const char *)head->data +
                           i * width * (int64_t)kd_dtype_bytes(head->dtype);
        kd__convert_float32(row, from, head->dtype, width, 1, 0);
        same = !memcmp(row, values + i * width, (size_t)width * sizeof *row);
    }
    kd__release(model->object.context, row);
    KD_FAIL_IF(
        !same, KD_ERR_MISMATCH,
        "%s: tensor 'lm_head.weight' differs from '%s', and the config says "
        "tie_word_embeddings: with false the file's head counts, without the tensor the embedding",
        folder, embedding->name);
    return KD_OK;
}

kd_status kd__decoder_check_extra(const kd_model *model, const char *name, const kd_array *values,
                                  const char *folder)
{
    if (is_table(name) || is_bare_name(model, name)) return KD_OK;
    if (kd__trunk_config_of(model)->tied && !strcmp(name, "lm_head.weight"))
        return check_tied_head(model, values, folder);
    return kd__fail(KD_ERR_MISMATCH,
                    "%s: tensor '%.120s' of the weights has no place in the model of the config",
                    folder, name);
}

/* ---- writing ---- */

/* A factorized embedding as the matrix that it stands for: (V, d) = E P'. */
static kd_status expand_embedding(const kd_model *model, kd__entries *to)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    kd_context *context = model->object.context;
    const char *name = model->net.tensors[d->embedding].name;
    const float *narrow = kd__tensor_values(model, d->embedding);
    const kd__tensor whole = { .rank = 2, .dims = { d->vocabulary, d->hidden } };
    KD_TRY(KD_NEW(context, &to->made, d->vocabulary * d->hidden));
    kd__entries_add(to, name, &whole, to->made);
    const kd__gemm g = kd__trunk_projection(model, 1, d->vocabulary, narrow, to->made);
    return kd__gemm_float32(context, &g);
}

/* A shared tensor under the name of every layer that has it; 0: it is none. */
static int add_copies(const kd_model *model, const kd__tensor *tensor, kd__entries *to)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const int64_t own = d->layers / d->repeats;
    int64_t layer = -1;
    int rest = 0;
    if (sscanf(tensor->name, "model.layers.%" SCNd64 ".%n", &layer, &rest) != 1 || !rest) return 0;
    for (int64_t i = 0; i < d->repeats; i++) {
        char *name = to->names[to->count];
        const int64_t number = d->whole_stack ? i * own + layer : layer * d->repeats + i;
        snprintf(name, KD_NAME_BYTES, "model.layers.%d.%.40s", (int)number, tensor->name + rest);
        kd__entries_add(to, name, tensor, kd__parameters_seen(model));
    }
    return 1;
}

static kd_status add_tensor(const kd_model *model, int64_t index, int expand, kd__entries *to)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const kd__tensor *tensor = &model->net.tensors[index];
    const int factorized = expand && d->projection >= 0;
    if (strstr(tensor->name, ".lora_")) return KD_OK; /* merged */
    if (kd__sentence_is_written_apart(model, (int32_t)index)) return KD_OK;
    if (factorized && index == d->projection) return KD_OK;
    if (factorized && index == d->embedding) return expand_embedding(model, to);
    if (expand && d->repeats > 1 && add_copies(model, tensor, to)) return KD_OK;
    kd__entries_add(to, tensor->name, tensor, kd__parameters_seen(model));
    return KD_OK;
}

kd_status kd__decoder_list_entries(kd_model *model, const kd_model_save_options *o, kd__entries *to)
{
    const int64_t copies = o->expand ? kd__trunk_config_of(model)->repeats : 1;
    KD_TRY(kd__entries_create(to, model->object.context, model->net.tensor_count * copies));
    for (int64_t i = 0; i < model->net.tensor_count; i++)
        KD_TRY(add_tensor(model, i, o->expand, to));
    for (int64_t i = 0; i < to->count && kd__decoder_of(model)->bare; i++) {
        const char *bare = bare_name(to->entry[i].name);
        if (bare) to->entry[i].name = bare;
    }
    return KD_OK;
}

static int edit_config(const kd_model *model, const kd_model_save_options *o, kd__json *node)
{
    if (o->expand && !strcmp(node->key, "kd_layer_repeats")) kd__json_set(node, 1);
    if (o->expand && !strcmp(node->key, "kd_embedding_size"))
        kd__json_set(node, (double)kd__trunk_config_of(model)->hidden);
    return !kd__sentence_is_key(model, node->key);
}

kd_status kd__decoder_write_config(kd_model *model, const kd_model_save_options *o, kd__text *to)
{
    return kd__config_write(model, o, edit_config, to);
}
