/* Keys of the configs of language models. */
#include "language/trunk/config_keys.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define MOST ((int64_t)1 << 31)

/* They change nothing of what is computed here. */
static const char *const harmless[] = { "_name_or_path",
                                        "_model_name_or_path",
                                        "transformers_version",
                                        "torch_dtype",
                                        "dtype",
                                        "use_cache",
                                        "bos_token_id",
                                        "eos_token_id",
                                        "pad_token_id",
                                        "unk_token_id",
                                        "sep_token_id",
                                        "cls_token_id",
                                        "label2id",
                                        "written_by",
                                        "output_attentions",
                                        "output_hidden_states",
                                        "return_dict",
                                        "chunk_size_feed_forward",
                                        "is_encoder_decoder",
                                        "problem_type",
                                        "keys_to_ignore_at_inference",
                                        "_attn_implementation",
                                        "attn_implementation",
                                        "torchscript",
                                        "use_bfloat16",
                                        "finetuning_task",
                                        "tokenizer_class",
                                        "prefix",
                                        "task_specific_params",
                                        "use_mrope" };

int kd__config_is_null(const kd__json *node) { return !node || node->type == KD__JSON_NULL; }

static kd_status check_key(const kd__json *member, const kd__config_keys *keys)
{
    if (!strcmp(member->key, "kd_heads")) return KD_OK; /* core/model/task_heads.h */
    for (size_t i = 0; i < keys->used_count; i++)
        if (!strcmp(member->key, keys->used[i])) return KD_OK;
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (!strcmp(member->key, harmless[i])) return KD_OK;
    for (size_t i = 0; i < keys->fixed_count; i++) {
        if (strcmp(member->key, keys->fixed[i].key)) continue;
        const int number = member->type == KD__JSON_NUMBER || member->type == KD__JSON_BOOL;
        KD_FAIL_IF(!kd__config_is_null(member) &&
                       (!number || member->number != keys->fixed[i].value),
                   KD_ERR_UNSUPPORTED, "config: %s: only %g is supported", member->key,
                   keys->fixed[i].value);
        return KD_OK;
    }
    return kd__fail(KD_ERR_CONFIG, "config: the key \"%.60s\" is unknown and may change the result",
                    member->key);
}

kd_status kd__config_check_keys(const kd__json *root, const kd__config_keys *keys)
{
    for (const kd__json *member = root->first; member; member = member->next)
        KD_TRY(check_key(member, keys));
    return KD_OK;
}

kd_status kd__config_integer(const kd__json *root, const char *key, int64_t low, int64_t fallback,
                             int64_t *value)
{
    const kd__json *node = kd__json_member(root, key);
    char what[96];
    *value = fallback;
    KD_FAIL_IF(kd__config_is_null(node) && fallback < low, KD_ERR_CONFIG,
               "config: the key \"%s\" is missing", key);
    snprintf(what, sizeof what, "config: %s", key);
    return kd__config_is_null(node) ? KD_OK : kd__json_integer(node, low, MOST, value, what);
}

kd_status kd__config_number(const kd__json *root, const char *key, double low, double high,
                            double fallback, double *value)
{
    const kd__json *node = kd__json_member(root, key);
    *value = fallback;
    if (kd__config_is_null(node)) return KD_OK;
    KD_FAIL_IF(node->type != KD__JSON_NUMBER, KD_ERR_CONFIG,
               "config: %s: expected %g to %g, got no number", key, low, high);
    KD_FAIL_IF(!(node->number >= low && node->number <= high), KD_ERR_CONFIG,
               "config: %s: expected %g to %g, got %g", key, low, high, node->number);
    *value = node->number;
    return KD_OK;
}

kd_status kd__config_flag(const kd__json *root, const char *key, int32_t fallback, int32_t *value)
{
    const kd__json *node = kd__json_member(root, key);
    *value = fallback;
    if (kd__config_is_null(node)) return KD_OK;
    KD_FAIL_IF(node->type != KD__JSON_BOOL, KD_ERR_CONFIG, "config: %s: expected true or false",
               key);
    *value = node->number != 0;
    return KD_OK;
}

kd_status kd__config_text(const kd__json *root, const char *key, const char *fallback,
                          const char **value)
{
    const kd__json *node = kd__json_member(root, key);
    *value = fallback;
    if (kd__config_is_null(node)) return KD_OK;
    KD_FAIL_IF(node->type != KD__JSON_STRING, KD_ERR_CONFIG, "config: %s: expected a name", key);
    *value = node->text;
    return KD_OK;
}

/* ---- writing ---- */

kd_status kd__config_extend(const kd__json *root, const kd__text *members, kd__text *to)
{
    const int64_t comma = !root->first; /* of the first member there is */
    KD_TRY(kd__json_write(to, root));
    while (to->bytes[to->size - 1] != '}') to->size--; /* the object is open again */
    to->size--;
    KD_TRY(kd__text_append(to, members->bytes + comma, (size_t)(members->size - comma)));
    return kd__text_append(to, "}", 1);
}

/* Names the weights' type where there is such a key; 0: there is none. */
static int name_dtype(kd__json *node, const char *dtype)
{
    if (strcmp(node->key, "dtype") && strcmp(node->key, "torch_dtype")) return 0;
    node->type = KD__JSON_STRING;
    node->text = dtype;
    return 1;
}

kd_status kd__config_write(const kd_model *model, const kd_model_save_options *o,
                           kd__config_edit *edit, kd__text *to)
{
    const char *name = o->dtype == KD_FLOAT16    ? "float16"
                       : o->dtype == KD_BFLOAT16 ? "bfloat16"
                                                 : "float32";
    kd__json_document document;
    int named = 0;
    KD_TRY(kd__json_parse(&document, to->context, model->net.config, strlen(model->net.config),
                          "config"));
    for (kd__json **n = &document.root->first; *n;) {
        named |= name_dtype(*n, name);
        if (edit(model, o, *n)) n = &(*n)->next;
        else *n = (*n)->next;
    }
    kd__json dtype = {
        .type = KD__JSON_STRING, .key = "dtype", .text = name, .next = document.root->first
    };
    if (!named) document.root->first = &dtype;
    const kd_status status = kd__json_write(to, document.root);
    kd__json_free(&document);
    return status;
}
