/* Folders of transformers over patches: the names that transformers has used, what a trunk was
 * trained with, and saving. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "core/model/weights.h"
#include "language/image/image.h"
#include "language/trunk/config_keys.h"

/* ---- the config ---- */

static int has_head(const kd__json *root)
{
    const kd__json *list = kd__json_member(root, "architectures");
    const kd__json *first = list && list->type == KD__JSON_ARRAY ? list->first : NULL;
    return first && first->type == KD__JSON_STRING && strstr(first->text, "For") != NULL;
}

/* Some folders have no pooler where the family has one; it is read when it is there. */
static int lacks_pooler(const kd__json *root, const kd__weights *weights)
{
    static const char *const names[] = { "pooler.dense.weight", "vit.pooler.dense.weight",
                                         "deit.pooler.dense.weight" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (kd__weights_find(weights, names[i])) return 0;
    const char *type = kd__json_member(root, "model_type")->text;
    return strcmp(type, "audio-spectrogram-transformer") && !has_head(root) &&
           !kd__json_member(root, "kd_pooler");
}

kd_status kd__image_complete(kd_context *context, const kd__json *root, const char *folder,
                             struct kd__weights *weights, kd__text *to)
{
    kd__text found = { .context = context };
    kd_status status = KD_OK;
    (void)folder;
    if (!lacks_pooler(root, weights)) return KD_OK;
    status = kd__text_format(&found, ",\"kd_pooler\":false");
    if (status == KD_OK) status = kd__sentence_join(root, &found, to);
    kd__text_free(&found);
    return status;
}

/* ---- names ---- */

static const char *without(const char *name, const char *prefix)
{
    const size_t length = strlen(prefix);
    return strncmp(name, prefix, length) ? NULL : name + length;
}

/* The rest of a trunk's name after "deit.", where it has that; NULL: it is of no trunk. */
static const char *trunk_name(const kd__image *m, const char *name)
{
    static const char *const begins[] = { "embeddings.", "encoder.", "layers.", "layernorm.",
                                          "pooler." };
    const char *rest = without(name, kd__image_prefix(m));
    if (!rest) rest = name;
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (without(rest, begins[i])) return rest;
    return NULL;
}

/* Parts of a layer: as files have them, and as the modules of transformers 5 are called. */
static const char *const parts[][2] = { { "attention.attention.query.", "attention.q_proj." },
                                        { "attention.attention.key.", "attention.k_proj." },
                                        { "attention.attention.value.", "attention.v_proj." },
                                        { "attention.output.dense.", "attention.o_proj." },
                                        { "intermediate.dense.", "mlp.fc1." },
                                        { "output.dense.", "mlp.fc2." } };

/* "encoder.layer.3.output.dense.bias": "layers.3.mlp.fc2.bias"; 0: it is no layer's. */
static int module_name(const char *rest, char *to)
{
    const char *layer = without(rest, "encoder.layer."), *part = layer ? strchr(layer, '.') : NULL;
    if (!part) return 0;
    const int digits = (int)(part++ - layer);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *end = without(part, parts[i][0]);
        if (!end) continue;
        snprintf(to, KD_NAME_BYTES, "layers.%.*s.%s%s", digits, layer, parts[i][1], end);
        return 1;
    }
    snprintf(to, KD_NAME_BYTES, "layers.%.*s.%s", digits, layer, part);
    return 1;
}

/* With the prefix of folders that have a head, and without; layers as modules, in both ways. */
static const char *other_name(const kd__image *m, const char *name, int32_t n, kd__long_name to)
{
    const char *rest = trunk_name(m, name), *prefix = kd__image_prefix(m);
    char module[KD_NAME_BYTES];
    if (!rest || n > 2) return NULL;
    const int has_prefix = rest != name, wants_prefix = n == 1 ? has_prefix : !has_prefix;
    if (n && !module_name(rest, module)) return NULL;
    snprintf(to, sizeof(kd__long_name), "%s%s", wants_prefix ? prefix : "", n ? module : rest);
    return to;
}

const char *kd__image_other_name(const kd_model *model, int32_t tensor, int32_t n)
{
    kd__image *m = kd__image_of(model);
    return other_name(m, model->net.tensors[tensor].name, n, m->other);
}

/* ---- tensors of the file that are none of the model's ---- */

/* What a trunk was trained with, or what another head uses: nothing that is given out here goes
 * through it. */
static int is_other_head(const kd__image *m, const char *name)
{
    const char *rest = trunk_name(m, name);
    if (rest && !strcmp(rest, "embeddings.mask_token")) return 1;
    if (rest && without(rest, "pooler.")) return !m->has_pooler;
    return without(name, "decoder.") != NULL;
}

static int is_other_name(const kd_model *model, const char *name)
{
    kd__long_name to;
    const kd__image *m = kd__image_of(model);
    for (int64_t i = 0; i < model->net.tensor_count; i++)
        for (int32_t n = 0; n < 3; n++) {
            const char *other = other_name(m, model->net.tensors[i].name, n, to);
            if (other && !strcmp(name, other)) return 1;
        }
    return 0;
}

kd_status kd__image_check_extra(const kd_model *model, const char *name, const kd_array *values,
                                const char *folder)
{
    (void)values;
    if (is_other_head(kd__image_of(model), name) || is_other_name(model, name)) return KD_OK;
    return kd__fail(KD_ERR_MISMATCH,
                    "%s: tensor '%.120s' of the weights has no place in the model of the config",
                    folder, name);
}

/* ---- writing ---- */

/* As a folder of this architecture has it. */
static const char *folder_name(kd__image *m, const char *name, kd__long_name to)
{
    const int is_bare = m->head != KD__NO_HEAD && !kd__image_has_prefix(m) && trunk_name(m, name);
    return is_bare ? other_name(m, name, 0, to) : name;
}

kd_status kd__image_list_entries(kd_model *model, const kd_model_save_options *o, kd__entries *to)
{
    kd_context *context = model->object.context;
    kd__image *m = kd__image_of(model);
    (void)o;
    kd__release(context, m->folder);
    m->folder = NULL;
    KD_TRY(KD_NEW(context, &m->folder, model->net.tensor_count));
    KD_TRY(kd__entries_create(to, context, model->net.tensor_count));
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        const kd__tensor *t = &model->net.tensors[i];
        if (strstr(t->name, ".lora_")) continue;
        kd__entries_add(to, folder_name(m, t->name, m->folder[i]), t, kd__parameters_seen(model));
    }
    return KD_OK;
}

static int edit_config(const kd_model *model, const kd_model_save_options *o, kd__json *node)
{
    (void)model;
    (void)o;
    (void)node;
    return 1;
}

kd_status kd__image_write_config(kd_model *model, const kd_model_save_options *o, kd__text *to)
{
    return kd__config_write(model, o, edit_config, to);
}
