/* From a JSON config to layers. Every key is known or refused by name. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/text.h"
#include "core/model/layers_config.h"
#include "nn/activation.h"

static const char *const harmless[] = { "architectures", "transformers_version",
                                        "torch_dtype",   "dtype",
                                        "id2label",      "label2id",
                                        "_name_or_path", "written_by" };

kd_status kd__layer_keys(const kd__json *object, const char *const *known, const char *where)
{
    for (const kd__json *member = object->first; member; member = member->next) {
        int found = 0;
        for (const char *const *k = known; *k; k++) found |= !strcmp(member->key, *k);
        for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
            found |= !strcmp(member->key, harmless[i]);
        KD_FAIL_IF(!found, KD_ERR_CONFIG, "config: %s: the key \"%.60s\" is unknown", where,
                   member->key);
    }
    return KD_OK;
}

kd_status kd__layer_integer(const kd__json *object, const char *key, int64_t low, int64_t fallback,
                            int64_t *value)
{
    char what[96];
    const kd__json *node = kd__json_member(object, key);
    *value = fallback;
    KD_FAIL_IF(!node && fallback < low, KD_ERR_CONFIG, "config: the key \"%s\" is missing", key);
    snprintf(what, sizeof what, "config: %s", key);
    return node ? kd__json_integer(node, low, KD__MAX_WIDTH, value, what) : KD_OK;
}

kd_status kd__layer_probability(const kd__json *object, const char *key, double *value)
{
    const kd__json *node = kd__json_member(object, key);
    *value = 0;
    if (!node) return KD_OK;
    KD_FAIL_IF(node->type != KD__JSON_NUMBER || !(node->number >= 0 && node->number < 1),
               KD_ERR_CONFIG, "config: %s: expected 0 to below 1", key);
    *value = node->number;
    return KD_OK;
}

kd_status kd__layer_activation(const kd__json *object, const char *key, int32_t fallback,
                               int32_t *kind)
{
    const kd__json *node = kd__json_member(object, key);
    *kind = fallback;
    if (!node) return KD_OK;
    *kind = node->type == KD__JSON_STRING ? kd__activation_kind(node->text) : -1;
    KD_FAIL_IF(*kind < 0, KD_ERR_CONFIG, "config: %s: expected " KD__ACTIVATIONS ", got \"%.40s\"",
               key, node->type == KD__JSON_STRING ? node->text : "something else");
    return KD_OK;
}

kd_status kd__layer_add(kd__network *net, kd_context *context, int32_t type, kd__layer **out)
{
    kd__layers *s = kd__layers_of(net);
    KD_TRY(KD_RESERVE(context, &s->layer, &s->room, s->count + 1));
    kd__layer *layer = &s->layer[s->count];
    memset(layer, 0, sizeof *layer);
    layer->type = type;
    layer->weight = layer->bias = layer->mean = layer->variance = -1;
    layer->pre = layer->places = layer->stats = layer->gradient = -1;
    layer->source = s->count - 1;
    layer->other = layer->reader = -1;
    const kd__layer *before = s->count ? layer - 1 : NULL;
    layer->shape_rank = before ? before->shape_rank : s->input_rank;
    memcpy(layer->shape, before ? before->shape : s->input_shape, sizeof layer->shape);
    layer->inputs = layer->outputs = before ? before->outputs : net->input_size;
    s->count++;
    *out = layer;
    return KD_OK;
}

kd_status kd__layer_tensor(kd__network *net, kd_context *context, int64_t number, const char *kind,
                           int32_t rank, const int64_t *dims, int32_t *index)
{
    char name[KD_NAME_BYTES];
    snprintf(name, sizeof name, "layers.%lld.%s", (long long)number, kind);
    return kd__network_tensor(net, context, name, rank, dims, index);
}

kd_status kd__layer_make_dense(kd__network *net, kd_context *context, kd__layer *layer,
                               int64_t number, int64_t units, int32_t activation, int32_t has_bias)
{
    layer->activation = activation;
    layer->outputs = units;
    layer->shape_rank = 1;
    layer->shape[0] = units;
    const int64_t dims[2] = { units, layer->inputs };
    KD_TRY(kd__layer_tensor(net, context, number, "weight", 2, dims, &layer->weight));
    return has_bias ? kd__layer_tensor(net, context, number, "bias", 1, dims, &layer->bias) : KD_OK;
}

static kd_status add_dense(kd__network *net, kd_context *context, int64_t number, int64_t units,
                           int32_t activation)
{
    kd__layer *layer;
    KD_TRY(kd__layer_add(net, context, KD__DENSE, &layer));
    KD_TRY(kd__layer_make_dense(net, context, layer, number, units, activation, 1));
    snprintf(layer->output, sizeof layer->output, "hidden.%lld", (long long)number);
    return KD_OK;
}

static kd_status add_dropout(kd__network *net, kd_context *context, double p)
{
    kd__layer *layer;
    if (p == 0) return KD_OK;
    KD_TRY(kd__layer_add(net, context, KD__DROPOUT, &layer));
    layer->dropout = p;
    return KD_OK;
}

static kd_status read_mlp(kd__network *net, kd_context *context, const kd__json *root)
{
    static const char *const known[] = { "model_type",         "input",
                                         "input_size",         "hidden_sizes",
                                         "num_labels",         "hidden_act",
                                         "input_dropout_prob", "hidden_dropout_prob",
                                         "kd_heads",           NULL };
    const kd__json *sizes = kd__json_member(root, "hidden_sizes");
    double input_dropout, dropout;
    int32_t activation;
    int64_t labels, number = 0, width;
    KD_TRY(kd__layer_keys(root, known, "mlp"));
    KD_TRY(kd__layer_integer(root, "input_size", 1, 0, &net->input_size));
    KD_TRY(kd__layer_integer(root, "num_labels", 1, 0, &labels));
    KD_TRY(kd__layer_probability(root, "input_dropout_prob", &input_dropout));
    KD_TRY(kd__layer_probability(root, "hidden_dropout_prob", &dropout));
    KD_TRY(kd__layer_activation(root, "hidden_act", KD__RELU, &activation));
    KD_FAIL_IF(sizes && sizes->type != KD__JSON_ARRAY, KD_ERR_CONFIG,
               "config: hidden_sizes: expected a list");
    kd__layers_of(net)->input_rank = 1;
    kd__layers_of(net)->input_shape[0] = net->input_size;
    KD_TRY(add_dropout(net, context, input_dropout));
    for (const kd__json *size = sizes ? sizes->first : NULL; size; size = size->next) {
        KD_TRY(kd__json_integer(size, 1, KD__MAX_WIDTH, &width, "config: hidden_sizes"));
        KD_TRY(add_dense(net, context, number++, width, activation));
        KD_TRY(add_dropout(net, context, dropout));
    }
    return add_dense(net, context, number, labels, KD__NONE);
}

static kd_status read_input_shape(kd__network *net, const kd__json *shape)
{
    kd__layers *s = kd__layers_of(net);
    KD_FAIL_IF(!shape || shape->type != KD__JSON_ARRAY ||
                   (shape->children != 1 && shape->children != 3),
               KD_ERR_CONFIG, "config: input_shape: expected [width] or [channels, height, width]");
    net->input_size = 1;
    for (const kd__json *dim = shape->first; dim; dim = dim->next) {
        int64_t *size = &s->input_shape[s->input_rank++];
        KD_TRY(kd__json_integer(dim, 1, KD__MAX_WIDTH, size, "config: input_shape"));
        KD_TRY(kd__multiply(net->input_size, *size, &net->input_size));
    }
    KD_FAIL_IF(net->input_size > KD__MAX_WIDTH, KD_ERR_CONFIG,
               "config: input_shape: expected at most %lld numbers, got %lld",
               (long long)KD__MAX_WIDTH, (long long)net->input_size);
    return KD_OK;
}

static kd_status read_sequential(kd__network *net, kd_context *context, const kd__json *root)
{
    static const char *const known[] = { "model_type", "input",    "input_shape",
                                         "layers",     "kd_heads", NULL };
    const kd__json *layers = kd__json_member(root, "layers");
    kd__layers *s = kd__layers_of(net);
    int64_t number = 0;
    KD_TRY(kd__layer_keys(root, known, "sequential"));
    KD_TRY(read_input_shape(net, kd__json_member(root, "input_shape")));
    KD_FAIL_IF(!layers || layers->type != KD__JSON_ARRAY || !layers->children, KD_ERR_CONFIG,
               "config: layers: expected a list of at least one layer");
    for (const kd__json *node = layers->first; node; node = node->next) {
        KD_TRY(kd__layer_read(net, context, node, number));
        char *output = s->layer[s->count - 1].output;
        snprintf(output, KD_NAME_BYTES, "hidden.%lld", (long long)number++);
    }
    return KD_OK;
}

static void count_readers(kd__layers *s)
{
    for (int64_t i = 0; i < s->count; i++) {
        const int64_t read[2] = { s->layer[i].source, s->layer[i].other };
        for (int j = 0; j < 2; j++) {
            if (read[j] < 0) continue;
            s->layer[read[j]].readers++;
            s->layer[read[j]].reader = i;
            if (i > read[j] + 1 || j) s->layer[read[j]].has_branches = 1;
        }
    }
}

kd_status kd__layers_read(kd__network *net, kd_context *context, const kd__json *root)
{
    const kd__json *input = kd__json_member(root, "input");
    KD_TRY(KD_NEW(context, (kd__layers **)&net->state, 1));
    KD_TRY(kd__name_copy(net->input, input ? input->text : "inputs", "config: input"));
    if (!strcmp(kd__json_member(root, "model_type")->text, "mlp"))
        KD_TRY(read_mlp(net, context, root));
    else KD_TRY(read_sequential(net, context, root));
    kd__layers *s = kd__layers_of(net);
    snprintf(s->layer[s->count - 1].output, KD_NAME_BYTES, "logits");
    count_readers(s);
    return KD_OK;
}
