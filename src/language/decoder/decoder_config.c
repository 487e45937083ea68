/* Configs of decoder language models, with the keys of transformers 4 and 5. A key that would
 * change the result and is not supported is refused by name; keys that change nothing here (token
 * ids, generation, bookkeeping) are known. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "language/decoder/decoder.h"
#include "language/trunk/config_keys.h"

/* positions: transformers' max_position_embeddings where the key is missing. */
static const struct {
    const char *model_type, *architecture;
    int64_t positions;
} families[] = { { "llama", "LlamaForCausalLM", 2048 },
                 { "qwen2", "Qwen2ForCausalLM", 32768 },
                 { "qwen3", "Qwen3ForCausalLM", 32768 },
                 { "mistral", "MistralForCausalLM", 131072 } };

static int32_t family_of(const char *model_type)
{
    for (int32_t i = 0; i < 4; i++)
        if (!strcmp(model_type, families[i].model_type)) return i;
    return -1;
}

int kd__decoder_knows(const char *model_type) { return family_of(model_type) >= 0; }

/* Read below. */
static const char *const used[] = { "model_type",
                                    "architectures",
                                    "vocab_size",
                                    "hidden_size",
                                    "intermediate_size",
                                    "num_hidden_layers",
                                    "num_attention_heads",
                                    "num_key_value_heads",
                                    "head_dim",
                                    "max_position_embeddings",
                                    "rms_norm_eps",
                                    "initializer_range",
                                    "tie_word_embeddings",
                                    "attention_bias",
                                    "mlp_bias",
                                    "hidden_act",
                                    "rope_theta",
                                    "rope_scaling",
                                    "rope_parameters",
                                    "sliding_window",
                                    "use_sliding_window",
                                    "max_window_layers",
                                    "layer_types",
                                    "attention_sinks",
                                    "input",
                                    "kd_layer_repeats",
                                    "kd_layer_sharing",
                                    "kd_embedding_size",
                                    "kd_pooling",
                                    "kd_dense",
                                    "kd_normalize",
                                    "kd_max_length",
                                    "kd_include_prompt",
                                    "num_labels",
                                    "id2label" };
/* Known with one value only. */
static const kd__config_fixed fixed[] = { { "attention_dropout", 0 },     { "pretraining_tp", 1 },
                                          { "partial_rotary_factor", 1 }, { "is_decoder", 0 },
                                          { "add_cross_attention", 0 },   { "hidden_dropout", 0 } };

static const kd__config_keys keys = { used, sizeof used / sizeof *used, fixed,
                                      sizeof fixed / sizeof *fixed };

/* The family's causal model, its classifier, as Qwen2ForSequenceClassification, or what both stand
 * on, as Qwen2Model. */
static kd_status check_architecture(kd__decoder *decoder, const kd__json *name)
{
    kd__trunk_config *d = &decoder->trunk.config;
    const char *text = name->type == KD__JSON_STRING ? name->text : "?";
    const char *causal = families[d->family].architecture;
    const size_t stem = (size_t)(strstr(causal, "ForCausalLM") - causal);
    const char *rest = strncmp(text, causal, stem) ? "?" : text + stem;
    d->classifier = !strcmp(rest, "ForSequenceClassification");
    decoder->bare = !strcmp(rest, "Model");
    KD_FAIL_IF(!d->classifier && !decoder->bare && strcmp(text, causal), KD_ERR_UNSUPPORTED,
               "config: architectures: \"%.60s\" is not supported; %s has %s, "
               "ForSequenceClassification and Model",
               text, families[d->family].model_type, causal);
    return KD_OK;
}

static kd_status check_identity(kd__decoder *decoder, const kd__json *root)
{
    const kd__json *list = kd__json_member(root, "architectures");
    const kd__json *act = kd__json_member(root, "hidden_act");
    const kd__json *name = kd__config_is_null(list) ? NULL : list->first;
    KD_FAIL_IF(!kd__config_is_null(list) && list->type != KD__JSON_ARRAY, KD_ERR_CONFIG,
               "config: architectures: expected a list of names");
    for (; name; name = name->next) KD_TRY(check_architecture(decoder, name));
    KD_FAIL_IF(!kd__config_is_null(act) &&
                   (act->type != KD__JSON_STRING || strcmp(act->text, "silu")),
               KD_ERR_UNSUPPORTED, "config: hidden_act: only silu is supported");
    return kd__config_check_keys(root, &keys);
}

/* ---- positions ---- */

static kd_status check_rope_keys(const kd__json *node)
{
    static const char *const known[] = { "rope_type",
                                         "type",
                                         "factor",
                                         "rope_theta",
                                         "low_freq_factor",
                                         "high_freq_factor",
                                         "original_max_position_embeddings",
                                         "beta_fast",
                                         "beta_slow",
                                         "attention_factor",
                                         "mscale",
                                         "mscale_all_dim",
                                         "truncate",
                                         "partial_rotary_factor",
                                         "short_factor",
                                         "long_factor" };
    for (const kd__json *member = node->first; member; member = member->next) {
        int found = 0;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found |= !strcmp(member->key, known[i]);
        KD_FAIL_IF(!found, KD_ERR_CONFIG, "config: rope: the key \"%.60s\" is unknown",
                   member->key);
        KD_FAIL_IF(!strcmp(member->key, "partial_rotary_factor") && member->number != 1,
                   KD_ERR_UNSUPPORTED, "config: partial_rotary_factor: only 1 is supported");
    }
    return KD_OK;
}

static double mscale(double factor, double by)
{
    return factor <= 1 ? 1 : 0.1 * by * log(factor) + 1;
}

static kd_status read_yarn(kd__rope *r, const kd__json *node)
{
    double times, by, by_all;
    KD_TRY(kd__config_number(node, "beta_fast", 1e-6, 1e6, 32, &r->fast));
    KD_TRY(kd__config_number(node, "beta_slow", 1e-6, 1e6, 1, &r->slow));
    KD_TRY(kd__config_number(node, "attention_factor", 1e-6, 1e6, 0, &times));
    KD_TRY(kd__config_number(node, "mscale", 0, 1e6, 0, &by));
    KD_TRY(kd__config_number(node, "mscale_all_dim", 0, 1e6, 0, &by_all));
    KD_TRY(kd__config_flag(node, "truncate", 1, &r->truncate));
    r->attention = times > 0              ? times
                   : by > 0 && by_all > 0 ? mscale(r->factor, by) / mscale(r->factor, by_all)
                                          : mscale(r->factor, 1);
    return KD_OK;
}

/* One of longrope's two lists: (D/2) positive numbers. */
static kd_status check_divisors(const kd__trunk_config *d, const kd__json *list, const char *key)
{
    const int64_t pairs = d->width / 2;
    KD_FAIL_IF(kd__config_is_null(list) || list->type != KD__JSON_ARRAY || list->children != pairs,
               KD_ERR_CONFIG, "config: rope: %s: expected a list of %lld numbers", key,
               (long long)pairs);
    for (const kd__json *n = list->first; n; n = n->next) {
        const int fits = n->type == KD__JSON_NUMBER && n->number >= 1e-6 && n->number <= 1e9;
        KD_FAIL_IF(!fits, KD_ERR_CONFIG, "config: rope: %s: expected numbers of 1e-6 to 1e9", key);
    }
    return KD_OK;
}

/* longrope: transformers takes the one list up to the original length and the other beyond it.
 * With one list in both places every length has the same frequencies, which are what is
 * supported here. */
static kd_status read_divisors(kd__trunk_config *d, kd_context *context, const kd__json *node)
{
    kd__rope *r = &d->rope;
    const kd__json *a = kd__json_member(node, "short_factor"),
                   *b = kd__json_member(node, "long_factor");
    double factor, times;
    KD_TRY(kd__config_number(node, "original_max_position_embeddings", 1, 1e9, (double)d->positions,
                             &r->original));
    KD_TRY(
        kd__config_number(node, "factor", 1e-6, 1e6, (double)d->positions / r->original, &factor));
    KD_TRY(kd__config_number(node, "attention_factor", 1e-6, 1e6, 0, &times));
    KD_TRY(check_divisors(d, a, "short_factor"));
    KD_TRY(check_divisors(d, b, "long_factor"));
    r->attention = times > 0 ? times : factor > 1 ? sqrt(1 + log(factor) / log(r->original)) : 1;
    KD_TRY(KD_NEW(context, &r->divisors, d->width / 2));
    a = a->first, b = b->first;
    for (int64_t i = 0; a && b; i++, a = a->next, b = b->next) {
        KD_FAIL_IF(a->number != b->number, KD_ERR_UNSUPPORTED,
                   "config: rope_type longrope: short_factor and long_factor differ in number %lld "
                   "(%g, %g): frequencies that change with the length are not supported",
                   (long long)i, a->number, b->number);
        r->divisors[i] = (float)a->number;
    }
    return KD_OK;
}

/* transformers takes rope_scaling before rope_parameters where it has members. */
static kd_status find_rope(const kd__json *root, const kd__json **node)
{
    const kd__json *old = kd__json_member(root, "rope_scaling");
    *node = kd__json_member(root, "rope_parameters");
    KD_FAIL_IF(!kd__config_is_null(old) && old->type != KD__JSON_OBJECT, KD_ERR_CONFIG,
               "config: rope_scaling: expected an object");
    if (!kd__config_is_null(old) && old->first) *node = old;
    return KD_OK;
}

/* The members `rope_type` or, in older files, `type`. */
static kd_status read_rope_kind(const kd__json *rope, int32_t *kind)
{
    static const char *const kinds[] = { "default", "linear", "dynamic",
                                         "llama3",  "yarn",   "longrope" };
    enum { KINDS = sizeof kinds / sizeof *kinds };
    const kd__json *name = kd__json_member(rope, "rope_type");
    if (kd__config_is_null(name)) name = kd__json_member(rope, "type");
    *kind = KD__ROPE_DEFAULT;
    if (kd__config_is_null(name)) return KD_OK;
    const char *text = name->type == KD__JSON_STRING ? name->text : "?";
    while (*kind < KINDS && strcmp(text, kinds[*kind])) ++*kind;
    KD_FAIL_IF(
        *kind == KINDS, KD_ERR_UNSUPPORTED,
        "config: rope_type \"%.40s\" is not default, linear, dynamic, llama3, yarn or longrope",
        text);
    return KD_OK;
}

/* Kinds with one factor: linear, dynamic, llama3 and yarn. */
static kd_status read_factors(kd__trunk_config *d, const kd__json *rope)
{
    const double positions = (double)d->positions;
    kd__rope *r = &d->rope;
    KD_TRY(kd__config_number(rope, "factor", 1, 1e6, 0, &r->factor));
    KD_FAIL_IF(r->factor < 1, KD_ERR_CONFIG, "config: rope: the key \"factor\" is missing");
    KD_TRY(kd__config_number(rope, "original_max_position_embeddings", 1, 1e9, positions,
                             &r->original));
    if (r->kind == KD__ROPE_DYNAMIC) r->original = positions;
    KD_TRY(kd__config_number(rope, "low_freq_factor", 1e-6, 1e6, 1, &r->low));
    KD_TRY(kd__config_number(rope, "high_freq_factor", 1e-6, 1e6, 4, &r->high));
    KD_FAIL_IF(r->kind == KD__ROPE_LLAMA3 && r->high <= r->low, KD_ERR_CONFIG,
               "config: rope: high_freq_factor: expected above low_freq_factor %g, got %g", r->low,
               r->high);
    return r->kind == KD__ROPE_YARN ? read_yarn(r, rope) : KD_OK;
}

static kd_status read_rope(kd__trunk_config *d, kd_context *context, const kd__json *root)
{
    const kd__json *rope;
    kd__rope *r = &d->rope;
    KD_TRY(kd__config_number(root, "rope_theta", 1, 1e12, 10000, &r->theta));
    KD_TRY(find_rope(root, &rope));
    if (kd__config_is_null(rope)) return KD_OK;
    KD_FAIL_IF(rope->type != KD__JSON_OBJECT, KD_ERR_CONFIG,
               "config: rope_parameters: expected an object");
    KD_TRY(check_rope_keys(rope));
    KD_TRY(kd__config_number(rope, "rope_theta", 1, 1e12, r->theta, &r->theta));
    KD_TRY(read_rope_kind(rope, &r->kind));
    if (r->kind == KD__ROPE_DEFAULT) return KD_OK;
    if (r->kind == KD__ROPE_DIVISORS) return read_divisors(d, context, rope);
    return read_factors(d, rope);
}

/* ---- windows ---- */

static int is_qwen(const kd__trunk_config *d)
{
    return d->family == KD__QWEN2 || d->family == KD__QWEN3;
}

/* What sliding_window means depends on the family, as in transformers: Llama ignores it,
 * Mistral has one of 4096 where the key is missing, Qwen has the same where use_sliding_window
 * is true. A config with attention_sinks is one of this library's own, and its window counts in
 * every family. */
static kd_status read_window(const kd__trunk_config *d, const kd__json *root, int64_t *window,
                             int64_t *first)
{
    const int missing = !kd__json_member(root, "sliding_window"), ours = d->sinks > 0;
    int32_t use;
    *first = 0;
    KD_TRY(kd__config_flag(root, "use_sliding_window", !is_qwen(d), &use));
    KD_TRY(kd__config_integer(root, "sliding_window", 0, 0, window));
    if (is_qwen(d)) KD_TRY(kd__config_integer(root, "max_window_layers", 0, 28, first));
    if (is_qwen(d) && !use) *first = d->layers;
    if (missing && !ours && (d->family == KD__MISTRAL || (is_qwen(d) && use))) *window = 4096;
    if (!ours && (d->family == KD__LLAMA || (is_qwen(d) && !use))) *window = 0;
    return KD_OK;
}

/* Mistral's own code does not look at layer_types (transformers warns): they may only repeat it. */
static kd_status check_type(const kd__trunk_config *d, int slides, int64_t window)
{
    KD_FAIL_IF(slides && !window, KD_ERR_CONFIG,
               "config: layer_types has sliding_attention, but no sliding_window is in use%s",
               is_qwen(d)               ? " (use_sliding_window)"
               : d->family == KD__LLAMA ? " (model_type llama has none without attention_sinks)"
                                        : "");
    KD_FAIL_IF(
        !slides && window && d->family == KD__MISTRAL && !d->sinks, KD_ERR_UNSUPPORTED,
        "config: layer_types has full_attention, but model_type mistral slides in every layer "
        "(sliding_window %lld)",
        (long long)window);
    return KD_OK;
}

static kd_status read_windows(kd__trunk_config *d, kd_context *context, const kd__json *root)
{
    const kd__json *types = kd__json_member(root, "layer_types"),
                   *type = kd__config_is_null(types) ? NULL : types->first;
    int64_t window, first;
    KD_TRY(kd__config_integer(root, "attention_sinks", 0, 0, &d->sinks));
    KD_TRY(read_window(d, root, &window, &first));
    KD_FAIL_IF(!kd__config_is_null(types) &&
                   (types->type != KD__JSON_ARRAY || types->children != d->layers),
               KD_ERR_CONFIG, "config: layer_types: expected %lld names", (long long)d->layers);
    KD_TRY(KD_NEW(context, &d->windows, d->layers));
    for (int64_t l = 0; l < d->layers; l++, type = type ? type->next : NULL) {
        int slides = window && l >= first;
        if (type) {
            slides = type->type == KD__JSON_STRING && !strcmp(type->text, "sliding_attention");
            KD_FAIL_IF(
                !slides && (type->type != KD__JSON_STRING || strcmp(type->text, "full_attention")),
                KD_ERR_UNSUPPORTED,
                "config: layer_types: only full_attention and sliding_attention are supported");
            KD_TRY(check_type(d, slides, window));
        }
        d->windows[l] = slides ? window : 0;
    }
    return KD_OK;
}

/* Embeddings of fewer numbers than the residual stream has, and a projection [Lan et al. 2020]. */
static kd_status read_embedding(kd__trunk_config *d, const kd__json *root)
{
    KD_TRY(kd__config_integer(root, "kd_embedding_size", 1, d->hidden, &d->embedded));
    KD_FAIL_IF(d->embedded > d->hidden, KD_ERR_CONFIG,
               "config: kd_embedding_size: expected at most hidden_size, %lld, got %lld",
               (long long)d->hidden, (long long)d->embedded);
    KD_FAIL_IF(d->embedded < d->hidden && !d->tied && !d->classifier, KD_ERR_CONFIG,
               "config: kd_embedding_size needs tie_word_embeddings");
    const int pools = !kd__config_is_null(kd__json_member(root, "kd_pooling")) ||
                      !kd__config_is_null(kd__json_member(root, "kd_dense"));
    KD_FAIL_IF(d->embedded < d->hidden && pools, KD_ERR_UNSUPPORTED,
               "config: kd_pooling, kd_dense: the rows of a factorized embedding are not pooled: "
               "leave out "
               "kd_embedding_size");
    d->head_bias = d->projection = d->position_table = d->type_table = d->embedding_norm = -1;
    d->outer = d->classifier ? d->hidden : d->embedded;
    return KD_OK;
}

/* num_hidden_layers counts what is computed; so many of them have tensors of their own. */
static kd_status read_sharing(kd__trunk_config *d, const kd__json *root)
{
    const kd__json *kind = kd__json_member(root, "kd_layer_sharing");
    KD_TRY(kd__config_integer(root, "kd_layer_repeats", 1, 1, &d->repeats));
    KD_FAIL_IF(d->layers % d->repeats, KD_ERR_CONFIG,
               "config: kd_layer_repeats: %lld layers are not %lld times a whole number",
               (long long)d->layers, (long long)d->repeats);
    if (kd__config_is_null(kind)) return KD_OK;
    KD_FAIL_IF(kind->type != KD__JSON_STRING ||
                   (strcmp(kind->text, "block") && strcmp(kind->text, "stack")),
               KD_ERR_CONFIG, "config: kd_layer_sharing: expected block or stack");
    d->whole_stack = !strcmp(kind->text, "stack");
    return KD_OK;
}

/* num_labels, or as many as id2label names; transformers' default is 2. */
static kd_status read_classes(kd__decoder *decoder, const kd__json *root)
{
    const kd__json *names = kd__json_member(root, "id2label");
    kd__trunk_config *d = &decoder->trunk.config;
    d->classes = decoder->bare && !d->tied ? 0 : d->vocabulary;
    if (!d->classifier) return KD_OK;
    d->tied = 0;
    return kd__config_integer(root, "num_labels", 1,
                              !kd__config_is_null(names) && names->children ? names->children : 2,
                              &d->classes);
}

static kd_status read_biases(kd__trunk_config *d, const kd__json *root)
{
    KD_TRY(kd__config_flag(root, "attention_bias", 0, &d->o_bias));
    KD_TRY(kd__config_flag(root, "mlp_bias", 0, &d->mlp_bias));
    d->qkv_bias = d->o_bias;
    if (d->family != KD__QWEN2) return KD_OK;
    d->qkv_bias = 1;
    d->o_bias = 0;
    return KD_OK;
}

static kd_status check_sizes(const kd__trunk_config *d)
{
    const int64_t most = 1 << 24;
    KD_FAIL_IF(d->layers > 4096, KD_ERR_CONFIG,
               "config: num_hidden_layers: expected at most 4096, got %lld", (long long)d->layers);
    KD_FAIL_IF(d->heads % d->kv_heads, KD_ERR_CONFIG,
               "config: %lld heads do not share %lld key-value heads evenly", (long long)d->heads,
               (long long)d->kv_heads);
    KD_FAIL_IF(d->width % 2, KD_ERR_CONFIG, "config: head_dim: expected an even number, got %lld",
               (long long)d->width);
    KD_FAIL_IF(d->width > 1024 || d->heads > 65536 || d->inner > most || d->hidden > most,
               KD_ERR_CONFIG,
               "config: sizes beyond head_dim 1024, 65536 heads or 2^24 numbers a row");
    return KD_OK;
}

static kd_status read_sizes(kd__decoder *decoder, const kd__json *root)
{
    kd__trunk_config *d = &decoder->trunk.config;
    const int64_t default_positions = families[d->family].positions;
    KD_TRY(kd__config_integer(root, "vocab_size", 1, 0, &d->vocabulary));
    KD_TRY(kd__config_integer(root, "hidden_size", 1, 0, &d->hidden));
    KD_TRY(kd__config_integer(root, "num_hidden_layers", 1, 0, &d->layers));
    KD_TRY(kd__config_integer(root, "num_attention_heads", 1, 0, &d->heads));
    KD_TRY(kd__config_integer(root, "num_key_value_heads", 1, d->heads, &d->kv_heads));
    const int64_t default_width = d->family == KD__QWEN3 ? 128 : d->hidden / d->heads;
    KD_TRY(kd__config_integer(root, "head_dim", 1, default_width, &d->width));
    KD_TRY(kd__config_integer(root, "intermediate_size", 1, 0, &d->inner));
    KD_TRY(
        kd__config_integer(root, "max_position_embeddings", 1, default_positions, &d->positions));
    KD_TRY(kd__config_number(root, "rms_norm_eps", 0, 1, 1e-6, &d->epsilon));
    KD_TRY(kd__config_number(root, "initializer_range", 0, 1e3, 0.02, &d->range));
    KD_TRY(kd__config_flag(root, "tie_word_embeddings", 0, &d->tied));
    d->qk_norm = d->family == KD__QWEN3;
    KD_TRY(read_classes(decoder, root));
    KD_TRY(read_biases(d, root));
    KD_TRY(read_sharing(d, root));
    KD_TRY(read_embedding(d, root));
    return check_sizes(d);
}

static const kd__trunk_kind kind = { .layers = "num_hidden_layers",
                                     .hidden = "hidden_size",
                                     .inner = "intermediate_size",
                                     .heads = "num_attention_heads",
                                     .kv_heads = "num_key_value_heads",
                                     .width = "head_dim",
                                     .slice = kd__samples_slice };

kd_status kd__decoder_read_config(kd__decoder *decoder, kd_context *context, const kd__json *root)
{
    kd__trunk_config *d = &decoder->trunk.config;
    d->kind = &kind;
    d->family = family_of(kd__json_member(root, "model_type")->text);
    KD_TRY(check_identity(decoder, root));
    KD_TRY(read_sizes(decoder, root));
    KD_TRY(kd__samples_read(&decoder->trunk, context, root, "last"));
    KD_TRY(read_rope(d, context, root));
    return read_windows(d, context, root);
}
