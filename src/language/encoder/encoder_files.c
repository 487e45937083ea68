/* An encoder's folder: the names that transformers has used, heads that belong to other tasks, and
 * saving. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "core/model/weights.h"
#include "language/encoder/encoder.h"
#include "language/trunk/config_keys.h"

/* ---- the config ---- */

/* Some folders have no pooler where the family has one; it is read when it is there. */
static int lacks_pooler(const kd__json *root, const kd__weights *weights)
{
    static const char *const names[] = { "pooler.dense.weight", "bert.pooler.dense.weight",
                                         "roberta.pooler.dense.weight",
                                         "classifier.dense.weight" /* has none */ };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (kd__weights_find(weights, names[i])) return 0;
    const kd__json *type = kd__json_member(root, "model_type");
    return strcmp(type->text, "distilbert") && !kd__json_member(root, "kd_pooler");
}

kd_status kd__encoder_complete(kd_context *context, const kd__json *root, const char *folder,
                               struct kd__weights *weights, kd__text *to)
{
    kd__text found = { .context = context };
    kd_status status = kd__sentence_find(context, folder, weights, &found);
    if (status == KD_OK && lacks_pooler(root, weights))
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

static int is_trunk(const kd__encoder *e, const char *name)
{
    static const char *const begins[] = { "embeddings.", "encoder.", "transformer.", "pooler." };
    const char *rest = without(name, kd__encoder_prefix(e));
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (without(rest ? rest : name, begins[i])) return 1;
    return 0;
}

/* With the prefix of folders that have a head, or without it. */
static void other_prefix(const kd__encoder *e, const char *name, char *to)
{
    const char *prefix = kd__encoder_prefix(e), *rest = without(name, prefix);
    if (rest) snprintf(to, KD_NAME_BYTES, "%s", rest);
    else snprintf(to, KD_NAME_BYTES, "%s%s", prefix, name);
}

/* BERT's first folders call a layer norm's weight gamma and its bias beta; 0: it is none. */
static int first_name(const char *name, char *to)
{
    const char *end = strstr(name, "LayerNorm.");
    if (!end) return 0;
    const int length = (int)(end - name) + 10;
    snprintf(to, KD_NAME_BYTES, "%.*s%s", length, name,
             strcmp(name + length, "bias") ? "gamma" : "beta");
    return 1;
}

static const char *other_name(const kd__encoder *e, const char *name, int32_t n, char *to)
{
    char turned[KD_NAME_BYTES];
    if (!is_trunk(e, name) || n > 2) return NULL;
    other_prefix(e, name, turned);
    if (n == 0) snprintf(to, KD_NAME_BYTES, "%s", turned);
    else if (!first_name(n == 1 ? name : turned, to)) return NULL;
    return to;
}

const char *kd__encoder_other_name(const kd_model *model, int32_t tensor, int32_t n)
{
    kd__encoder *e = kd__encoder_of(model);
    return other_name(e, model->net.tensors[tensor].name, n, e->other);
}

/* ---- tensors of the file that are none of the model's ---- */

/* Tables of old versions of transformers, which follow from the config. */
static int is_table(const kd__encoder *e, const char *name)
{
    const char *rest = without(name, kd__encoder_prefix(e));
    if (!rest) rest = name;
    return !strcmp(rest, "embeddings.position_ids") || !strcmp(rest, "embeddings.token_type_ids");
}

/* Heads that a trunk was trained with: nothing that this model gives out goes through them. */
static int is_other_head(const char *name)
{
    static const char *const begins[] = { "cls.predictions.",  "cls.seq_relationship.",
                                          "lm_head.",          "vocab_transform.",
                                          "vocab_layer_norm.", "vocab_projector." };
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++)
        if (without(name, begins[i])) return 1;
    return 0;
}

static int is_other_name(const kd_model *model, const char *name)
{
    char to[KD_NAME_BYTES];
    const kd__encoder *e = kd__encoder_of(model);
    for (int64_t i = 0; i < model->net.tensor_count; i++)
        for (int32_t n = 0; n < 3; n++) {
            const char *other = other_name(e, model->net.tensors[i].name, n, to);
            if (other && !strcmp(name, other)) return 1;
        }
    return 0;
}

kd_status kd__encoder_check_extra(const kd_model *model, const char *name, const kd_array *values,
                                  const char *folder)
{
    const kd__encoder *e = kd__encoder_of(model);
    (void)values;
    if (is_table(e, name) || is_other_name(model, name)) return KD_OK;
    if (!e->classifier && is_other_head(name)) return KD_OK;
    return kd__fail(KD_ERR_MISMATCH,
                    "%s: tensor '%.120s' of the weights has no place in the model of the config",
                    folder, name);
}

/* ---- writing ---- */

kd_status kd__encoder_list_entries(kd_model *model, const kd_model_save_options *o, kd__entries *to)
{
    (void)o;
    KD_TRY(kd__entries_create(to, model->object.context, model->net.tensor_count));
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        const kd__tensor *t = &model->net.tensors[i];
        if (kd__sentence_is_written_apart(model, (int32_t)i) || strstr(t->name, ".lora_")) continue;
        kd__entries_add(to, t->name, t, kd__parameters_seen(model));
    }
    return KD_OK;
}

/* What the folder's other files say is not said twice. */
static int edit_config(const kd_model *model, const kd_model_save_options *o, kd__json *node)
{
    (void)o;
    return !kd__sentence_is_key(model, node->key);
}

kd_status kd__encoder_write_config(kd_model *model, const kd_model_save_options *o, kd__text *to)
{
    return kd__config_write(model, o, edit_config, to);
}
