/* Configs of encoder language models, with the keys of transformers 4 and 5, and this library's own
 * for what sentence-transformers keeps in other files: kd_pooling, kd_dense, kd_normalize,
 * kd_max_length. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "language/encoder/encoder.h"
#include "language/trunk/config_keys.h"
#include "nn/activation.h"

/* The same number under the names of BERT and of DistilBERT. */
typedef struct {
    kd__trunk_kind sizes;
    const char *dropout, *attention_dropout, *act;
} names;
static const names common = { { .layers = "num_hidden_layers",
                                .hidden = "hidden_size",
                                .inner = "intermediate_size",
                                .heads = "num_attention_heads",
                                .slice = kd__encoder_slice },
                              "hidden_dropout_prob",
                              "attention_probs_dropout_prob",
                              "hidden_act" };
static const names short_names = { { .layers = "n_layers",
                                     .hidden = "dim",
                                     .inner = "hidden_dim",
                                     .heads = "n_heads",
                                     .slice = kd__encoder_slice },
                                   "dropout",
                                   "attention_dropout",
                                   "activation" };

/* architecture: before Model and ForSequenceClassification; padding: where the key is missing */
static const struct {
    const char *model_type, *architecture;
    int64_t padding;
} families[] = { { "bert", "Bert", 0 },
                 { "distilbert", "DistilBert", 0 },
                 { "roberta", "Roberta", 1 },
                 { "xlm-roberta", "XLMRoberta", 1 } };

static int32_t family_of(const char *model_type)
{
    for (int32_t i = 0; i < 4; i++)
        if (!strcmp(model_type, families[i].model_type)) return i;
    return -1;
}

int kd__encoder_knows(const char *model_type) { return family_of(model_type) >= 0; }

static const char *const used[] = {
    "model_type", "architectures", "input", "vocab_size", "hidden_size", "dim", "num_hidden_layers",
    "n_layers", "num_attention_heads", "n_heads", "intermediate_size", "hidden_dim", "hidden_act",
    "activation", "hidden_dropout_prob", "dropout", "attention_probs_dropout_prob",
    "attention_dropout", "max_position_embeddings", "type_vocab_size", "initializer_range",
    "layer_norm_eps", "pad_token_id", "position_embedding_type", "classifier_dropout",
    "seq_classif_dropout", "num_labels", "id2label", "kd_pooling", "kd_dense", "kd_normalize",
    "kd_max_length", "kd_include_prompt", "kd_pooler",
    /* They change nothing of what is computed here. */
    "tie_word_embeddings", "tie_weights_", "gradient_checkpointing", "sinusoidal_pos_embds",
    "qa_dropout", "output_past", "directionality", "pooler_fc_size", "pooler_num_attention_heads",
    "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type"
};
static const kd__config_fixed fixed[] = { { "is_decoder", 0 }, { "add_cross_attention", 0 } };
static const kd__config_keys keys = { used, sizeof used / sizeof *used, fixed,
                                      sizeof fixed / sizeof *fixed };

static kd_status check_architecture(kd__encoder *e, const char *name)
{
    const char *stem = families[e->trunk.config.family].architecture;
    const size_t length = strlen(stem);
    const char *rest = strncmp(name, stem, length) ? "?" : name + length;
    e->classifier = !strcmp(rest, "ForSequenceClassification");
    KD_FAIL_IF(!e->classifier && strcmp(rest, "Model"), KD_ERR_UNSUPPORTED,
               "config: architectures: \"%.60s\" is not supported; %s has %sModel and "
               "%sForSequenceClassification",
               name, families[e->trunk.config.family].model_type, stem, stem);
    return KD_OK;
}

static kd_status read_identity(kd__encoder *e, const kd__json *root)
{
    const kd__json *list = kd__json_member(root, "architectures");
    const char *positions;
    e->trunk.config.family = family_of(kd__json_member(root, "model_type")->text);
    KD_FAIL_IF(!kd__config_is_null(list) && list->type != KD__JSON_ARRAY, KD_ERR_CONFIG,
               "config: architectures: expected a list of names");
    if (!kd__config_is_null(list))
        for (const kd__json *n = list->first; n; n = n->next)
            KD_TRY(check_architecture(e, n->type == KD__JSON_STRING ? n->text : "?"));
    KD_TRY(kd__config_text(root, "position_embedding_type", "absolute", &positions));
    KD_FAIL_IF(strcmp(positions, "absolute"), KD_ERR_UNSUPPORTED,
               "config: position_embedding_type: only absolute is supported, got \"%.40s\"",
               positions);
    return kd__config_check_keys(root, &keys);
}

/* "gelu" is the exact one; its approximations have other names and give other numbers. */
static kd_status check_activation(const kd__json *root, const char *key)
{
    const char *name;
    KD_TRY(kd__config_text(root, key, "gelu", &name));
    KD_FAIL_IF(strcmp(name, "gelu"), KD_ERR_UNSUPPORTED,
               "config: %s: only gelu is supported, got \"%.40s\"", key, name);
    return KD_OK;
}

static kd_status check_sizes(const kd__trunk_config *d)
{
    KD_FAIL_IF(d->hidden % d->heads, KD_ERR_CONFIG,
               "config: %lld numbers do not divide into %lld heads", (long long)d->hidden,
               (long long)d->heads);
    KD_FAIL_IF(d->layers > 4096, KD_ERR_CONFIG, "config: expected at most 4096 layers, got %lld",
               (long long)d->layers);
    KD_FAIL_IF(d->width > 1024 || d->heads > 65536 || d->inner > (1 << 24) || d->hidden > (1 << 24),
               KD_ERR_CONFIG,
               "config: sizes beyond 1024 numbers a head, 65536 heads or 2^24 numbers a row");
    KD_FAIL_IF(d->positions < 1, KD_ERR_CONFIG,
               "config: max_position_embeddings: expected more than pad_token_id + 1, %lld",
               (long long)d->first_position);
    return KD_OK;
}

/* RoBERTa counts positions from after its padding's, DistilBERT has no types of tokens. */
static kd_status read_tables(kd__trunk_config *d, const kd__json *root)
{
    const int from_padding = d->family == KD__ROBERTA || d->family == KD__XLM_ROBERTA;
    int64_t rows;
    KD_TRY(kd__config_integer(root, "vocab_size", 1, 0, &d->vocabulary));
    KD_TRY(kd__config_integer(root, "max_position_embeddings", 1, 512, &rows));
    KD_TRY(kd__config_integer(root, "pad_token_id", 0, families[d->family].padding, &d->padding));
    d->first_position = from_padding ? d->padding + 1 : 0;
    d->positions = rows - d->first_position;
    if (!from_padding) d->padding = -1;
    if (d->family == KD__DISTILBERT) return KD_OK;
    return kd__config_integer(root, "type_vocab_size", 1, 2, &d->types);
}

static kd_status read_sizes(kd__encoder *e, const kd__json *root)
{
    kd__trunk_config *d = &e->trunk.config;
    const names *n = d->family == KD__DISTILBERT ? &short_names : &common;
    d->kind = &n->sizes;
    KD_TRY(kd__config_integer(root, n->sizes.hidden, 1, 0, &d->hidden));
    KD_TRY(kd__config_integer(root, n->sizes.layers, 1, 0, &d->layers));
    KD_TRY(kd__config_integer(root, n->sizes.heads, 1, 0, &d->heads));
    KD_TRY(kd__config_integer(root, n->sizes.inner, 1, 0, &d->inner));
    KD_TRY(kd__config_number(root, n->dropout, 0, 0.99, 0.1, &d->dropout));
    KD_TRY(kd__config_number(root, n->attention_dropout, 0, 0.99, 0.1, &d->attention_dropout));
    KD_TRY(check_activation(root, n->act));
    KD_TRY(kd__config_number(root, "layer_norm_eps", 0, 1, 1e-12, &d->epsilon));
    KD_TRY(kd__config_number(root, "initializer_range", 0, 1e3, 0.02, &d->range));
    KD_TRY(read_tables(d, root));
    d->kv_heads = d->heads;
    d->width = d->hidden / d->heads;
    return check_sizes(d);
}

/* What all encoders of this kind have in common. */
static void set_forms(kd__trunk_config *d)
{
    d->post_norm = d->layer_norm = d->both_sides = d->no_rotation = d->no_gate = 1;
    d->qkv_bias = d->o_bias = d->mlp_bias = 1;
    d->repeats = 1;
    d->embedded = d->outer = d->hidden;
    d->norm = d->head = d->projection = d->position_table = d->type_table = -1;
}

/* ---- classes of samples ---- */

/* num_labels, or as many as id2label names; transformers' default is 2. */
static kd_status read_labels(const kd__json *root, int64_t *labels)
{
    const kd__json *list = kd__json_member(root, "id2label");
    const int64_t named = kd__config_is_null(list) ? 0 : list->children;
    KD_TRY(kd__config_integer(root, "num_labels", 1, named ? named : 2, labels));
    KD_FAIL_IF(*labels > 1 << 24, KD_ERR_CONFIG, "config: num_labels beyond 2^24");
    return KD_OK;
}

/* transformers' heads: the first row through a dense layer of its own width, then the labels.
 * RoBERTa drops before both, the others before the second only. */
static kd_status read_classifier(kd__encoder *e, const kd__json *root)
{
    const int32_t family = e->trunk.config.family;
    const int64_t hidden = e->trunk.config.hidden;
    const int distil = family == KD__DISTILBERT;
    kd__chain *c = &e->trunk.samples->chain[KD__CHAIN_LOGITS];
    int64_t labels;
    KD_TRY(kd__config_number(root, distil ? "seq_classif_dropout" : "classifier_dropout", 0, 0.99,
                             distil ? 0.2 : e->trunk.config.dropout, &e->head_dropout));
    KD_TRY(kd__config_flag(root, "kd_pooler", 1, &e->has_pooler));
    e->has_pooler &= !distil && !(e->classifier && family != KD__BERT);
    if (!e->classifier) return KD_OK;
    KD_TRY(read_labels(root, &labels));
    KD_FAIL_IF(family == KD__BERT && !e->has_pooler, KD_ERR_CONFIG,
               "config: BertForSequenceClassification needs its pooler: kd_pooler is false");
    e->trunk.samples->chains = KD__CHAINS;
    *c = (kd__chain){ .pooling = KD__POOL_FIRST, .count = 2, .width = hidden };
    c->stage[0] = (kd__stage){ .inputs = hidden,
                               .outputs = hidden,
                               .activation = distil ? KD__RELU : KD__TANH,
                               .dropout = family >= KD__ROBERTA ? e->head_dropout : 0 };
    c->stage[1] = (kd__stage){ .inputs = hidden, .outputs = labels, .dropout = e->head_dropout };
    return KD_OK;
}

kd_status kd__encoder_read_config(kd__encoder *e, kd_context *context, const kd__json *root)
{
    KD_TRY(read_identity(e, root));
    KD_TRY(read_sizes(e, root));
    set_forms(&e->trunk.config);
    KD_TRY(kd__samples_read(&e->trunk, context, root, "mean"));
    e->trunk.samples->is_kept = 1;
    return read_classifier(e, root);
}
