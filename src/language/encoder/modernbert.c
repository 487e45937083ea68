/* ModernBERT's configs, with the keys of transformers 4 and 5, and its tensors. */
#include "language/encoder/modernbert.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

/* ---- keys ---- */

static const char *const used[] = {
    "model_type", "architectures", "input", "vocab_size", "hidden_size", "num_hidden_layers",
    "num_attention_heads", "intermediate_size", "hidden_activation", "max_position_embeddings",
    "initializer_range", "norm_eps", "norm_bias", "attention_bias", "mlp_bias", "local_attention",
    "layer_types", "global_attn_every_n_layers", "rope_parameters", "global_rope_theta",
    "local_rope_theta", "classifier_pooling", "classifier_dropout", "classifier_bias",
    "classifier_activation", "decoder_bias", "tie_word_embeddings", "num_labels", "id2label",
    "position_embedding_type", "kd_pooling", "kd_dense", "kd_normalize", "kd_max_length",
    "kd_include_prompt",
    /* They change nothing of what is computed here. */
    "pad_token_id", "layer_norm_eps", "initializer_cutoff_factor", "deterministic_flash_attn",
    "sparse_prediction", "sparse_pred_ignore_index", "reference_compile", "repad_logits_with_grad",
    "gradient_checkpointing"
};
static const kd__config_fixed fixed[] = { { "embedding_dropout", 0 },
                                          { "mlp_dropout", 0 },
                                          { "attention_dropout", 0 } };
const kd__config_keys kd__modernbert_keys = { used, sizeof used / sizeof *used, fixed,
                                              sizeof fixed / sizeof *fixed };

/* ---- layers ---- */

/* A window counts from a row, itself included, to either side. */
static int64_t window_of(int full, int64_t local) { return full ? 0 : local / 2 + 1; }

static kd_status read_types(kd__trunk_config *d, const kd__json *list, int64_t local)
{
    const kd__json *n = list->first;
    KD_FAIL_IF(list->type != KD__JSON_ARRAY || list->children != d->layers, KD_ERR_CONFIG,
               "config: layer_types: expected a list of %lld names", (long long)d->layers);
    for (int64_t i = 0; i < d->layers; i++, n = n->next) {
        const char *name = n->type == KD__JSON_STRING ? n->text : "?";
        const int full = !strcmp(name, "full_attention");
        KD_FAIL_IF(!full && strcmp(name, "sliding_attention"), KD_ERR_CONFIG,
                   "config: layer_types: expected full_attention or sliding_attention, got "
                   "\"%.40s\"",
                   name);
        d->windows[i] = window_of(full, local);
    }
    return KD_OK;
}

static kd_status read_windows(kd__trunk_config *d, kd_context *context, const kd__json *root)
{
    const kd__json *types = kd__json_member(root, "layer_types");
    int64_t local, every;
    KD_TRY(kd__config_integer(root, "local_attention", 1, 128, &local));
    KD_TRY(kd__config_integer(root, "global_attn_every_n_layers", 1, 3, &every));
    KD_TRY(KD_NEW(context, &d->windows, d->layers));
    if (!kd__config_is_null(types)) return read_types(d, types, local);
    for (int64_t i = 0; i < d->layers; i++) d->windows[i] = window_of(i % every == 0, local);
    return KD_OK;
}

/* ---- rotary positions ---- */

/* The base of one kind of layers: transformers 5 has an object for each kind, 4 a key. */
static kd_status read_base(kd__rope *rope, const kd__json *root, const char *kind, const char *key,
                           double fallback)
{
    const kd__json *all = kd__json_member(root, "rope_parameters");
    const kd__json *own = kd__config_is_null(all) ? NULL : kd__json_member(all, kind);
    const kd__json *type = own ? kd__json_member(own, "rope_type") : NULL;
    rope->kind = KD__ROPE_DEFAULT;
    rope->factor = 1;
    KD_TRY(kd__config_number(root, key, 1, 1e12, fallback, &rope->theta));
    KD_FAIL_IF(all && !kd__config_is_null(all) &&
                   (all->type != KD__JSON_OBJECT || !own || own->type != KD__JSON_OBJECT),
               KD_ERR_CONFIG, "config: rope_parameters: expected an object with an object \"%s\"",
               kind);
    KD_FAIL_IF(!kd__config_is_null(type) &&
                   (type->type != KD__JSON_STRING || strcmp(type->text, "default")),
               KD_ERR_UNSUPPORTED,
               "config: rope_parameters: %s: only rope_type default is "
               "supported",
               kind);
    return own ? kd__config_number(own, "rope_theta", 1, 1e12, rope->theta, &rope->theta) : KD_OK;
}

static kd_status read_ropes(kd__trunk_config *d, const kd__json *root)
{
    d->two_ropes = 1;
    KD_TRY(read_base(&d->rope, root, "full_attention", "global_rope_theta", 160000));
    const kd__json *local = kd__json_member(root, "local_rope_theta");
    const int as_global = local && kd__config_is_null(local);
    return read_base(&d->local_rope, root, "sliding_attention", "local_rope_theta",
                     as_global ? d->rope.theta : 10000);
}

/* ---- sizes ---- */

static kd_status check_gelu(const kd__json *root, const char *key)
{
    const kd__json *node = kd__json_member(root, key);
    const char *name = kd__config_is_null(node)        ? "gelu"
                       : node->type == KD__JSON_STRING ? node->text
                                                       : "?";
    KD_FAIL_IF(strcmp(name, "gelu"), KD_ERR_UNSUPPORTED,
               "config: %s: only gelu is supported, got \"%.40s\"", key, name);
    return KD_OK;
}

static kd_status read_sizes(kd__trunk_config *d, const kd__json *root)
{
    int32_t norm_bias;
    KD_TRY(kd__config_integer(root, "vocab_size", 1, 0, &d->vocabulary));
    KD_TRY(kd__config_integer(root, "hidden_size", 1, 0, &d->hidden));
    KD_TRY(kd__config_integer(root, "num_hidden_layers", 1, 0, &d->layers));
    KD_TRY(kd__config_integer(root, "num_attention_heads", 1, 0, &d->heads));
    KD_TRY(kd__config_integer(root, "intermediate_size", 1, 0, &d->inner));
    KD_TRY(kd__config_integer(root, "max_position_embeddings", 1, 8192, &d->positions));
    KD_TRY(kd__config_number(root, "norm_eps", 0, 1, 1e-5, &d->epsilon));
    KD_TRY(kd__config_number(root, "initializer_range", 0, 1e3, 0.02, &d->range));
    KD_TRY(kd__config_flag(root, "norm_bias", 0, &norm_bias));
    KD_TRY(kd__config_flag(root, "attention_bias", 0, &d->qkv_bias));
    KD_TRY(kd__config_flag(root, "mlp_bias", 0, &d->mlp_bias));
    d->o_bias = d->qkv_bias;
    d->plain_norm = !norm_bias;
    d->kv_heads = d->heads;
    d->width = d->hidden / d->heads;
    d->padding = -1;
    return check_gelu(root, "hidden_activation");
}

static const kd__trunk_kind kind = { .layers = "num_hidden_layers",
                                     .hidden = "hidden_size",
                                     .inner = "intermediate_size",
                                     .heads = "num_attention_heads",
                                     .slice = kd__encoder_slice };

kd_status kd__modernbert_read(kd__encoder *e, kd_context *context, const kd__json *root)
{
    kd__trunk_config *d = &e->trunk.config;
    KD_TRY(read_sizes(d, root));
    KD_TRY(kd__encoder_check_sizes(d));
    KD_FAIL_IF(d->width % 2, KD_ERR_CONFIG,
               "config: hidden_size / num_attention_heads: expected an even number, got %lld",
               (long long)d->width);
    d->kind = &kind;
    d->layer_norm = d->both_sides = d->gelu_gate = 1;
    KD_TRY(read_windows(d, context, root));
    return read_ropes(d, root);
}

/* ---- heads ---- */

static kd_status read_pooling(kd__chain *c, const kd__json *root)
{
    const kd__json *node = kd__json_member(root, "classifier_pooling");
    const char *name = kd__config_is_null(node)        ? "cls"
                       : node->type == KD__JSON_STRING ? node->text
                                                       : "?";
    c->pooling = kd__pooling_kind(name);
    KD_FAIL_IF(strcmp(name, "cls") && strcmp(name, "mean"), KD_ERR_CONFIG,
               "config: classifier_pooling: expected cls or mean, got \"%.40s\"", name);
    return KD_OK;
}

kd_status kd__modernbert_read_head(kd__encoder *e, const kd__json *root, int64_t labels)
{
    kd__chain *c = &e->trunk.samples->chain[KD__CHAIN_LOGITS];
    const int64_t hidden = e->trunk.config.hidden;
    KD_TRY(check_gelu(root, "classifier_activation"));
    KD_TRY(kd__config_number(root, "classifier_dropout", 0, 0.99, 0, &e->head_dropout));
    KD_TRY(kd__config_flag(root, "classifier_bias", 0, &e->masked.has_dense_bias));
    KD_TRY(kd__config_flag(root, "decoder_bias", 1, &e->masked.has_bias));
    if (!e->classifier) return KD_OK;
    e->trunk.samples->chains = KD__CHAINS;
    *c = (kd__chain){ .count = 1, .width = hidden, .has_transform = 1 };
    c->stage[0] = (kd__stage){ .inputs = hidden, .outputs = labels, .dropout = e->head_dropout };
    return read_pooling(c, root);
}

/* ---- tensors ---- */

typedef struct {
    kd__network *net;
    kd_context *context;
    const char *prefix;
    int64_t layer; /* -1: none */
} maker;

/* columns 0: one number a row. */
static kd_status tensor(const maker *m, const char *name, int64_t rows, int64_t columns,
                        int32_t *index)
{
    char layer[32] = "", whole[KD_NAME_BYTES];
    const int64_t dims[2] = { rows, columns };
    if (m->layer >= 0) snprintf(layer, sizeof layer, "layers.%d.", (int)m->layer);
    snprintf(whole, sizeof whole, "%s%s%s", m->prefix, layer, name);
    return kd__network_tensor(m->net, m->context, whole, columns ? 2 : 1, dims, index);
}

static kd_status norm(const maker *m, const kd__trunk_config *d, const char *name, int32_t *index)
{
    char whole[KD_NAME_BYTES];
    int32_t bias;
    snprintf(whole, sizeof whole, "%s.weight", name);
    KD_TRY(tensor(m, whole, d->hidden, 0, index));
    if (d->plain_norm) return KD_OK;
    snprintf(whole, sizeof whole, "%s.bias", name);
    return tensor(m, whole, d->hidden, 0, &bias);
}

/* The embedding's norm is layer 0's first. */
static kd_status layer_tensors(const maker *m, const kd__trunk_config *d, kd__trunk_layer *l)
{
    const int64_t units = kd__trunk_units(d);
    if (m->layer) KD_TRY(norm(m, d, "attn_norm", &l->norm1));
    KD_TRY(tensor(m, "attn.Wqkv.weight", 3 * d->hidden, d->hidden, &l->q));
    if (d->qkv_bias) KD_TRY(tensor(m, "attn.Wqkv.bias", 3 * d->hidden, 0, &l->qb));
    KD_TRY(tensor(m, "attn.Wo.weight", d->hidden, d->hidden, &l->o));
    if (d->o_bias) KD_TRY(tensor(m, "attn.Wo.bias", d->hidden, 0, &l->ob));
    KD_TRY(norm(m, d, "mlp_norm", &l->norm2));
    KD_TRY(tensor(m, "mlp.Wi.weight", units, d->hidden, &l->gate));
    if (d->mlp_bias) KD_TRY(tensor(m, "mlp.Wi.bias", units, 0, &l->gateb));
    KD_TRY(tensor(m, "mlp.Wo.weight", d->hidden, d->inner, &l->down));
    return d->mlp_bias ? tensor(m, "mlp.Wo.bias", d->hidden, 0, &l->downb) : KD_OK;
}

kd_status kd__modernbert_tensors(kd__network *net, kd_context *context, kd__trunk_config *d,
                                 const char *prefix)
{
    maker m = { net, context, prefix, -1 };
    KD_TRY(tensor(&m, "embeddings.tok_embeddings.weight", d->vocabulary, d->hidden, &d->embedding));
    KD_TRY(norm(&m, d, "embeddings.norm", &d->embedding_norm));
    for (int64_t i = 0; i < d->layers; i++) {
        kd__trunk_layer *l = &d->layer[i];
        memset(l, -1, sizeof *l);
        m.layer = i;
        l->window = d->windows[i];
        l->shared_later = 0;
        l->first = (int32_t)net->tensor_count;
        KD_TRY(layer_tensors(&m, d, l));
        l->end = (int32_t)net->tensor_count;
    }
    m.layer = -1;
    return norm(&m, d, "final_norm", &d->norm);
}
