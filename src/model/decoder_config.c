/* Configs of decoder language models, with the keys of transformers 4 and 5. A key that would change the result and is not supported is
 * refused by name; keys that change nothing here (token ids, generation, bookkeeping) are known.                              */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/decoder.h"

#define MOST ((int64_t)1 << 31)

static const struct {
    const char *model_type, *architecture;
} families[] = {
    { "llama", "LlamaForCausalLM" }, { "qwen2", "Qwen2ForCausalLM" }, { "qwen3", "Qwen3ForCausalLM" }, { "mistral", "MistralForCausalLM" }
};

static int32_t family_of(const char *model_type)
{
    for (int32_t i = 0; i < 4; i++)
        if (!strcmp(model_type, families[i].model_type)) return i;
    return -1;
}

int kd__decoder_knows(const char *model_type) { return family_of(model_type) >= 0; }

/* Read below. */
static const char *const used[] = { "model_type",         "architectures",       "vocab_size",          "hidden_size",     "intermediate_size",
                                    "num_hidden_layers",  "num_attention_heads", "num_key_value_heads", "head_dim",        "max_position_embeddings",
                                    "rms_norm_eps",       "initializer_range",   "tie_word_embeddings", "attention_bias",  "mlp_bias",
                                    "hidden_act",         "rope_theta",          "rope_scaling",        "rope_parameters", "sliding_window",
                                    "use_sliding_window", "max_window_layers",   "layer_types",         "attention_sinks", "input",
                                    "kd_layer_repeats",   "kd_layer_sharing",    "kd_embedding_size",   "num_labels",      "id2label" };
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
/* Known with one value only. */
static const struct {
    const char *key;
    double value;
} fixed[] = { { "attention_dropout", 0 }, { "pretraining_tp", 1 },      { "partial_rotary_factor", 1 },
              { "is_decoder", 0 },        { "add_cross_attention", 0 }, { "hidden_dropout", 0 } };

static int is_null(const kd__json *node) { return !node || node->type == KD__JSON_NULL; }

static kd_status check_key(const kd__json *member)
{
    for (size_t i = 0; i < sizeof used / sizeof *used; i++)
        if (!strcmp(member->key, used[i])) return KD_OK;
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (!strcmp(member->key, harmless[i])) return KD_OK;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        if (strcmp(member->key, fixed[i].key)) continue;
        const int number = member->type == KD__JSON_NUMBER || member->type == KD__JSON_BOOL;
        KD_FAIL_IF(!is_null(member) && (!number || member->number != fixed[i].value), KD_ERR_UNSUPPORTED, "config: %s: only %g is supported",
                   member->key, fixed[i].value);
        return KD_OK;
    }
    return kd__fail(KD_ERR_CONFIG, "config: the key \"%.60s\" is unknown and may change the result", member->key);
}

static kd_status integer(const kd__json *root, const char *key, int64_t low, int64_t fallback, int64_t *value)
{
    const kd__json *node = kd__json_member(root, key);
    char what[96];
    *value = fallback;
    KD_FAIL_IF(is_null(node) && fallback < low, KD_ERR_CONFIG, "config: the key \"%s\" is missing", key);
    snprintf(what, sizeof what, "config: %s", key);
    return is_null(node) ? KD_OK : kd__json_integer(node, low, MOST, value, what);
}

static kd_status number(const kd__json *root, const char *key, double low, double high, double fallback, double *value)
{
    const kd__json *node = kd__json_member(root, key);
    *value = fallback;
    if (is_null(node)) return KD_OK;
    KD_FAIL_IF(node->type != KD__JSON_NUMBER || !(node->number >= low && node->number <= high), KD_ERR_CONFIG, "config: %s: expected %g to %g", key,
               low, high);
    *value = node->number;
    return KD_OK;
}

static kd_status flag(const kd__json *root, const char *key, int32_t fallback, int32_t *value)
{
    const kd__json *node = kd__json_member(root, key);
    *value = fallback;
    if (is_null(node)) return KD_OK;
    KD_FAIL_IF(node->type != KD__JSON_BOOL, KD_ERR_CONFIG, "config: %s: expected true or false", key);
    *value = node->number != 0;
    return KD_OK;
}

static kd_status check_identity(const kd__json *root, int32_t family, int32_t *classifier)
{
    const kd__json *list = kd__json_member(root, "architectures"), *act = kd__json_member(root, "hidden_act");
    KD_FAIL_IF(!is_null(list) && list->type != KD__JSON_ARRAY, KD_ERR_CONFIG, "config: architectures: expected a list of names");
    if (!is_null(list))
        for (const kd__json *name = list->first; name; name = name->next) {
            const char *text = name->type == KD__JSON_STRING ? name->text : "?", *end = strstr(families[family].architecture, "ForCausalLM");
            const size_t stem = (size_t)(end - families[family].architecture);
            *classifier = !strncmp(text, families[family].architecture, stem) && !strcmp(text + stem, "ForSequenceClassification");
            KD_FAIL_IF(!*classifier && strcmp(text, families[family].architecture), KD_ERR_UNSUPPORTED,
                       "config: architecture \"%.60s\" is not supported; %s has %s and ForSequenceClassification", text, families[family].model_type,
                       families[family].architecture);
        }
    KD_FAIL_IF(!is_null(act) && (act->type != KD__JSON_STRING || strcmp(act->text, "silu")), KD_ERR_UNSUPPORTED,
               "config: hidden_act: only silu is supported");
    for (const kd__json *member = root->first; member; member = member->next) KD_TRY(check_key(member));
    return KD_OK;
}

/* ---- positions ---- */

static kd_status check_rope_keys(const kd__json *node)
{
    static const char *const known[] = {
        "rope_type", "type",      "factor",           "rope_theta", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings",
        "beta_fast", "beta_slow", "attention_factor", "mscale",     "mscale_all_dim",  "truncate",         "partial_rotary_factor"
    };
    for (const kd__json *member = node->first; member; member = member->next) {
        int found = 0;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) found |= !strcmp(member->key, known[i]);
        KD_FAIL_IF(!found, KD_ERR_CONFIG, "config: rope: the key \"%.60s\" is unknown", member->key);
        KD_FAIL_IF(!strcmp(member->key, "partial_rotary_factor") && member->number != 1, KD_ERR_UNSUPPORTED,
                   "config: partial_rotary_factor: only 1 is supported");
    }
    return KD_OK;
}

static double mscale(double factor, double by) { return factor <= 1 ? 1 : 0.1 * by * log(factor) + 1; }

static kd_status read_yarn(kd__rope *r, const kd__json *node)
{
    double times, by, by_all;
    KD_TRY(number(node, "beta_fast", 1e-6, 1e6, 32, &r->fast));
    KD_TRY(number(node, "beta_slow", 1e-6, 1e6, 1, &r->slow));
    KD_TRY(number(node, "attention_factor", 1e-6, 1e6, 0, &times));
    KD_TRY(number(node, "mscale", 0, 1e6, 0, &by));
    KD_TRY(number(node, "mscale_all_dim", 0, 1e6, 0, &by_all));
    KD_TRY(flag(node, "truncate", 1, &r->truncate));
    r->attention = times > 0 ? times : by > 0 && by_all > 0 ? mscale(r->factor, by) / mscale(r->factor, by_all) : mscale(r->factor, 1);
    return KD_OK;
}

static kd_status read_rope(kd__decoder *d, const kd__json *root)
{
    static const char *const kinds[] = { "default", "linear", "dynamic", "llama3", "yarn" };
    const kd__json *node = kd__json_member(root, "rope_parameters"), *name;
    kd__rope *r = &d->rope;
    KD_TRY(number(root, "rope_theta", 1, 1e12, 10000, &r->theta));
    if (is_null(node)) node = kd__json_member(root, "rope_scaling");
    if (is_null(node)) return KD_OK;
    KD_FAIL_IF(node->type != KD__JSON_OBJECT, KD_ERR_CONFIG, "config: rope_parameters: expected an object");
    KD_TRY(check_rope_keys(node));
    KD_TRY(number(node, "rope_theta", 1, 1e12, r->theta, &r->theta));
    name = kd__json_member(node, "rope_type");
    if (is_null(name)) name = kd__json_member(node, "type");
    for (r->kind = 0; !is_null(name) && r->kind < 5 && (name->type != KD__JSON_STRING || strcmp(name->text, kinds[r->kind])); r->kind++) {}
    KD_FAIL_IF(r->kind == 5, KD_ERR_UNSUPPORTED, "config: rope_type \"%.40s\" is not default, linear, dynamic, llama3 or yarn",
               name->type == KD__JSON_STRING ? name->text : "?");
    if (r->kind == KD__ROPE_DEFAULT) return KD_OK;
    KD_TRY(number(node, "factor", 1, 1e6, 0, &r->factor));
    KD_FAIL_IF(r->factor < 1, KD_ERR_CONFIG, "config: rope: the key \"factor\" is missing");
    KD_TRY(number(node, "original_max_position_embeddings", 1, 1e9, (double)d->positions, &r->original));
    if (r->kind == KD__ROPE_DYNAMIC) r->original = (double)d->positions;
    KD_TRY(number(node, "low_freq_factor", 1e-6, 1e6, 1, &r->low));
    KD_TRY(number(node, "high_freq_factor", 1e-6, 1e6, 4, &r->high));
    KD_FAIL_IF(r->kind == KD__ROPE_LLAMA3 && r->high <= r->low, KD_ERR_CONFIG, "config: rope: high_freq_factor must be above low_freq_factor");
    return r->kind == KD__ROPE_YARN ? read_yarn(r, node) : KD_OK;
}

/* ---- windows ---- */

static kd_status read_windows(kd__decoder *d, kd_context *context, const kd__json *root)
{
    const kd__json *types = kd__json_member(root, "layer_types"), *type = is_null(types) ? NULL : types->first;
    int64_t window, first = 0;
    int32_t use;
    KD_TRY(integer(root, "sliding_window", 0, 0, &window));
    KD_TRY(integer(root, "attention_sinks", 0, 0, &d->sinks));
    KD_TRY(flag(root, "use_sliding_window", d->family != KD__QWEN2 && d->family != KD__QWEN3, &use));
    if (d->family == KD__QWEN2 || d->family == KD__QWEN3) KD_TRY(integer(root, "max_window_layers", 0, 28, &first));
    KD_FAIL_IF(!is_null(types) && (types->type != KD__JSON_ARRAY || types->children != d->layers), KD_ERR_CONFIG,
               "config: layer_types: expected %lld names", (long long)d->layers);
    KD_TRY(KD_NEW(context, &d->windows, d->layers));
    for (int64_t l = 0; l < d->layers; l++, type = type ? type->next : NULL) {
        int slides = use && window && l >= first;
        if (type) {
            slides = type->type == KD__JSON_STRING && !strcmp(type->text, "sliding_attention");
            KD_FAIL_IF(!slides && (type->type != KD__JSON_STRING || strcmp(type->text, "full_attention")), KD_ERR_UNSUPPORTED,
                       "config: layer_types: only full_attention and sliding_attention are supported");
            KD_FAIL_IF(slides && !window, KD_ERR_CONFIG, "config: layer_types has sliding_attention, but no sliding_window is given");
        }
        d->windows[l] = slides ? window : 0;
    }
    return KD_OK;
}

/* Embeddings of fewer numbers than the residual stream has, and a projection [Lan et al. 2020]. */
static kd_status read_embedding(kd__decoder *d, const kd__json *root)
{
    KD_TRY(integer(root, "kd_embedding_size", 1, d->hidden, &d->embedded));
    KD_FAIL_IF(d->embedded > d->hidden, KD_ERR_CONFIG, "config: kd_embedding_size: expected at most hidden_size, %lld, got %lld",
               (long long)d->hidden, (long long)d->embedded);
    KD_FAIL_IF(d->embedded < d->hidden && !d->tied && !d->classifier, KD_ERR_CONFIG, "config: kd_embedding_size needs tie_word_embeddings");
    d->projection = -1;
    d->outer = d->classifier ? d->hidden : d->embedded;
    return KD_OK;
}

/* num_hidden_layers counts what is computed; so many of them have tensors of their own. */
static kd_status read_sharing(kd__decoder *d, const kd__json *root)
{
    const kd__json *kind = kd__json_member(root, "kd_layer_sharing");
    KD_TRY(integer(root, "kd_layer_repeats", 1, 1, &d->repeats));
    KD_FAIL_IF(d->layers % d->repeats, KD_ERR_CONFIG, "config: kd_layer_repeats: %lld layers are not %lld times a whole number", (long long)d->layers,
               (long long)d->repeats);
    if (is_null(kind)) return KD_OK;
    KD_FAIL_IF(kind->type != KD__JSON_STRING || (strcmp(kind->text, "block") && strcmp(kind->text, "stack")), KD_ERR_CONFIG,
               "config: kd_layer_sharing: expected block or stack");
    d->whole_stack = !strcmp(kind->text, "stack");
    return KD_OK;
}

/* num_labels, or as many as id2label names; transformers' default is 2. */
static kd_status read_classes(kd__decoder *d, const kd__json *root)
{
    const kd__json *names = kd__json_member(root, "id2label");
    d->classes = d->vocabulary;
    if (!d->classifier) return KD_OK;
    d->tied = 0;
    return integer(root, "num_labels", 1, !is_null(names) && names->children ? names->children : 2, &d->classes);
}

static kd_status read_sizes(kd__decoder *d, const kd__json *root)
{
    KD_TRY(integer(root, "vocab_size", 1, 0, &d->vocabulary));
    KD_TRY(integer(root, "hidden_size", 1, 0, &d->hidden));
    KD_TRY(integer(root, "num_hidden_layers", 1, 0, &d->layers));
    KD_TRY(integer(root, "num_attention_heads", 1, 0, &d->heads));
    KD_TRY(integer(root, "num_key_value_heads", 1, d->heads, &d->kv_heads));
    KD_TRY(integer(root, "head_dim", 1, d->family == KD__QWEN3 ? 128 : d->hidden / d->heads, &d->width));
    KD_TRY(integer(root, "intermediate_size", 1, 0, &d->inner));
    KD_TRY(integer(root, "max_position_embeddings", 1, 2048, &d->positions));
    KD_TRY(number(root, "rms_norm_eps", 0, 1, 1e-6, &d->epsilon));
    KD_TRY(number(root, "initializer_range", 0, 1e3, 0.02, &d->range));
    KD_TRY(flag(root, "tie_word_embeddings", 0, &d->tied));
    KD_TRY(read_classes(d, root));
    KD_TRY(flag(root, "attention_bias", 0, &d->o_bias));
    KD_TRY(flag(root, "mlp_bias", 0, &d->mlp_bias));
    d->qkv_bias = d->family == KD__QWEN2 ? 1 : d->o_bias;
    if (d->family == KD__QWEN2) d->o_bias = 0;
    d->qk_norm = d->family == KD__QWEN3;
    KD_TRY(read_sharing(d, root));
    KD_TRY(read_embedding(d, root));
    KD_FAIL_IF(d->layers > 4096, KD_ERR_CONFIG, "config: num_hidden_layers: expected at most 4096, got %lld", (long long)d->layers);
    KD_FAIL_IF(d->heads % d->kv_heads, KD_ERR_CONFIG, "config: %lld heads do not share %lld key-value heads evenly", (long long)d->heads,
               (long long)d->kv_heads);
    KD_FAIL_IF(d->width % 2, KD_ERR_CONFIG, "config: head_dim: expected an even number, got %lld", (long long)d->width);
    KD_FAIL_IF(d->width > 1024 || d->heads > 65536 || d->inner > (1 << 24) || d->hidden > (1 << 24), KD_ERR_CONFIG,
               "config: sizes beyond head_dim 1024, 65536 heads or 2^24 numbers a row");
    return KD_OK;
}

kd_status kd__decoder_config(kd__decoder *d, kd_context *context, const kd__json *root)
{
    d->family = family_of(kd__json_member(root, "model_type")->text);
    KD_TRY(check_identity(root, d->family, &d->classifier));
    KD_TRY(read_sizes(d, root));
    KD_TRY(read_rope(d, root));
    return read_windows(d, context, root);
}
