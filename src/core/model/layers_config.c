/* From a JSON config to layers, and their places in memory. Every key is known or refused by
 * name. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/text.h"
#include "core/model/layers.h"
#include "nn/activation.h"

#define MAX_WIDTH ((int64_t)1 << 31)

static const char *const harmless[] = { "architectures", "transformers_version",
                                        "torch_dtype",   "dtype",
                                        "id2label",      "label2id",
                                        "_name_or_path", "written_by" };

static kd_status check_keys(const kd__json *object, const char *const *known, const char *where)
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

static kd_status get_integer(const kd__json *object, const char *key, int64_t low, int64_t fallback,
                             int64_t *value)
{
    char what[96];
    const kd__json *node = kd__json_member(object, key);
    *value = fallback;
    KD_FAIL_IF(!node && fallback < low, KD_ERR_CONFIG, "config: the key \"%s\" is missing", key);
    snprintf(what, sizeof what, "config: %s", key);
    return node ? kd__json_integer(node, low, MAX_WIDTH, value, what) : KD_OK;
}

static kd_status get_probability(const kd__json *object, const char *key, double *value)
{
    const kd__json *node = kd__json_member(object, key);
    *value = 0;
    if (!node) return KD_OK;
    KD_FAIL_IF(node->type != KD__JSON_NUMBER || !(node->number >= 0 && node->number < 1),
               KD_ERR_CONFIG, "config: %s: expected 0 to below 1", key);
    *value = node->number;
    return KD_OK;
}

static kd_status get_activation(const kd__json *object, const char *key, int32_t fallback,
                                int32_t *kind)
{
    const kd__json *node = kd__json_member(object, key);
    *kind = fallback;
    if (!node) return KD_OK;
    *kind = node->type == KD__JSON_STRING ? kd__activation_kind(node->text) : -1;
    KD_FAIL_IF(*kind < 0, KD_ERR_CONFIG,
               "config: %s: expected none, relu, gelu, tanh or sigmoid, got \"%.40s\"", key,
               node->type == KD__JSON_STRING ? node->text : "something else");
    return KD_OK;
}

static kd_status add_layer(kd__network *net, kd_context *context, int32_t type, kd__layer **out)
{
    kd__layers *s = kd__layers_of(net);
    KD_TRY(KD_RESERVE(context, &s->layer, &s->room, s->count + 1));
    kd__layer *layer = &s->layer[s->count];
    memset(layer, 0, sizeof *layer);
    layer->type = type;
    layer->weight = layer->bias = -1;
    layer->pre = layer->places = -1;
    const kd__layer *before = s->count ? layer - 1 : NULL;
    layer->shape_rank = before ? before->shape_rank : s->input_rank;
    memcpy(layer->shape, before ? before->shape : s->input_shape, sizeof layer->shape);
    layer->inputs = layer->outputs = before ? before->outputs : net->input_size;
    s->count++;
    *out = layer;
    return KD_OK;
}

static kd_status add_tensor(kd__network *net, kd_context *context, int64_t number, const char *kind,
                            int32_t rank, const int64_t *dims, int32_t *index)
{
    char name[KD_NAME_BYTES];
    snprintf(name, sizeof name, "layers.%lld.%s", (long long)number, kind);
    return kd__network_tensor(net, context, name, rank, dims, index);
}

static kd_status add_dense(kd__network *net, kd_context *context, int64_t number, int64_t units,
                           int32_t activation)
{
    kd__layer *layer;
    KD_TRY(add_layer(net, context, KD__DENSE, &layer));
    layer->activation = activation;
    layer->outputs = units;
    layer->shape_rank = 1;
    layer->shape[0] = units;
    const int64_t dims[2] = { units, layer->inputs };
    KD_TRY(add_tensor(net, context, number, "weight", 2, dims, &layer->weight));
    KD_TRY(add_tensor(net, context, number, "bias", 1, dims, &layer->bias));
    snprintf(layer->output, sizeof layer->output, "hidden.%lld", (long long)number);
    return KD_OK;
}

static kd_status add_dropout(kd__network *net, kd_context *context, double p)
{
    kd__layer *layer;
    if (p == 0) return KD_OK;
    KD_TRY(add_layer(net, context, KD__DROPOUT, &layer));
    layer->dropout = p;
    return KD_OK;
}

static kd_status read_mlp(kd__network *net, kd_context *context, const kd__json *root)
{
    static const char *const known[] = {
        "model_type", "input",      "input_size",         "hidden_sizes",
        "num_labels", "hidden_act", "input_dropout_prob", "hidden_dropout_prob",
        NULL
    };
    const kd__json *sizes = kd__json_member(root, "hidden_sizes");
    double input_dropout, dropout;
    int32_t activation;
    int64_t labels, number = 0, width;
    KD_TRY(check_keys(root, known, "mlp"));
    KD_TRY(get_integer(root, "input_size", 1, 0, &net->input_size));
    KD_TRY(get_integer(root, "num_labels", 1, 0, &labels));
    KD_TRY(get_probability(root, "input_dropout_prob", &input_dropout));
    KD_TRY(get_probability(root, "hidden_dropout_prob", &dropout));
    KD_TRY(get_activation(root, "hidden_act", KD__RELU, &activation));
    KD_FAIL_IF(sizes && sizes->type != KD__JSON_ARRAY, KD_ERR_CONFIG,
               "config: hidden_sizes: expected a list");
    kd__layers_of(net)->input_rank = 1;
    kd__layers_of(net)->input_shape[0] = net->input_size;
    KD_TRY(add_dropout(net, context, input_dropout));
    for (const kd__json *size = sizes ? sizes->first : NULL; size; size = size->next) {
        KD_TRY(kd__json_integer(size, 1, MAX_WIDTH, &width, "config: hidden_sizes"));
        KD_TRY(add_dense(net, context, number++, width, activation));
        KD_TRY(add_dropout(net, context, dropout));
    }
    return add_dense(net, context, number, labels, KD__NONE);
}

/* Kernel, stride and padding, and the image that they leave. `stride` 0: the kernel's size. */
static kd_status read_window(kd__window *w, const kd__json *node, int64_t stride)
{
    KD_TRY(get_integer(node, "kernel_size", 1, 0, &w->kernel));
    KD_TRY(get_integer(node, "stride", 1, stride ? stride : w->kernel, &w->stride));
    KD_TRY(get_integer(node, "padding", 0, 0, &w->padding));
    KD_FAIL_IF(w->padding >= w->kernel, KD_ERR_CONFIG,
               "config: padding: expected less than kernel_size %lld, got %lld",
               (long long)w->kernel, (long long)w->padding);
    const int64_t height = w->height + 2 * w->padding, width = w->width + 2 * w->padding;
    KD_FAIL_IF(height < w->kernel || width < w->kernel, KD_ERR_CONFIG,
               "config: kernel_size %lld does not fit an image of %lld x %lld",
               (long long)w->kernel, (long long)w->height, (long long)w->width);
    w->out_height = (height - w->kernel) / w->stride + 1;
    w->out_width = (width - w->kernel) / w->stride + 1;
    return KD_OK;
}

/* `channels` 0: as many as the image has. */
static kd_status set_window(kd__layer *layer, const kd__json *node, int64_t channels,
                            int64_t default_stride)
{
    kd__window *w = &layer->window;
    KD_FAIL_IF(
        layer->shape_rank != 3, KD_ERR_CONFIG,
        "config: a convolution or pooling layer needs images; the layer before gives %lld numbers",
        (long long)layer->outputs);
    w->channels = layer->shape[0];
    w->height = layer->shape[1];
    w->width = layer->shape[2];
    w->out_channels = channels ? channels : w->channels;
    KD_TRY(read_window(w, node, default_stride));
    layer->shape[0] = w->out_channels;
    layer->shape[1] = w->out_height;
    layer->shape[2] = w->out_width;
    KD_TRY(kd__multiply(w->out_height, w->out_width, &layer->outputs));
    KD_TRY(kd__multiply(layer->outputs, w->out_channels, &layer->outputs));
    KD_FAIL_IF(layer->outputs > MAX_WIDTH, KD_ERR_CONFIG,
               "config: a layer: expected at most %lld numbers a row, got %lld",
               (long long)MAX_WIDTH, (long long)layer->outputs);
    return KD_OK;
}

static kd_status read_conv(kd__network *net, kd_context *context, const kd__json *node,
                           int64_t number)
{
    static const char *const known[] = { "type",    "channels",   "kernel_size", "stride",
                                         "padding", "activation", NULL };
    kd__layer *layer;
    int64_t channels;
    KD_TRY(check_keys(node, known, "conv2d"));
    KD_TRY(get_integer(node, "channels", 1, 0, &channels));
    KD_TRY(add_layer(net, context, KD__CONV, &layer));
    KD_TRY(get_activation(node, "activation", KD__NONE, &layer->activation));
    KD_TRY(set_window(layer, node, channels, 1));
    const int64_t dims[4] = { channels, layer->window.channels, layer->window.kernel,
                              layer->window.kernel };
    KD_TRY(add_tensor(net, context, number, "weight", 4, dims, &layer->weight));
    return add_tensor(net, context, number, "bias", 1, dims, &layer->bias);
}

static kd_status read_layer(kd__network *net, kd_context *context, const kd__json *node,
                            int64_t number)
{
    static const char *const known[] = { "type",        "units",  "activation", "p",
                                         "kernel_size", "stride", "padding",    NULL };
    const kd__json *type = kd__json_member(node, "type");
    const char *name = type && type->type == KD__JSON_STRING ? type->text : "";
    kd__layer *layer;
    int64_t units;
    int32_t activation;
    if (!strcmp(name, "conv2d")) return read_conv(net, context, node, number);
    KD_FAIL_IF(node->type != KD__JSON_OBJECT, KD_ERR_CONFIG,
               "config: layer %lld: expected an object", (long long)number);
    KD_TRY(check_keys(node, known, name));
    if (!strcmp(name, "linear")) {
        KD_TRY(get_integer(node, "units", 1, 0, &units));
        KD_TRY(get_activation(node, "activation", KD__NONE, &activation));
        return add_dense(net, context, number, units, activation);
    }
    if (!strcmp(name, "max_pool2d")) {
        KD_TRY(add_layer(net, context, KD__MAX_POOL, &layer));
        return set_window(layer, node, 0, 0);
    }
    if (!strcmp(name, "dropout")) {
        KD_TRY(add_layer(net, context, KD__DROPOUT, &layer));
        return get_probability(node, "p", &layer->dropout);
    }
    KD_FAIL_IF(
        strcmp(name, "flatten"), KD_ERR_CONFIG,
        "config: layer %lld: type \"%.40s\" is not linear, conv2d, max_pool2d, dropout or flatten",
        (long long)number, name);
    KD_TRY(add_layer(net, context, KD__FLATTEN, &layer));
    layer->shape_rank = 1;
    layer->shape[0] = layer->outputs;
    return KD_OK;
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
        KD_TRY(kd__json_integer(dim, 1, MAX_WIDTH, size, "config: input_shape"));
        KD_TRY(kd__multiply(net->input_size, *size, &net->input_size));
    }
    KD_FAIL_IF(net->input_size > MAX_WIDTH, KD_ERR_CONFIG,
               "config: input_shape: expected at most %lld numbers, got %lld", (long long)MAX_WIDTH,
               (long long)net->input_size);
    return KD_OK;
}

static kd_status read_sequential(kd__network *net, kd_context *context, const kd__json *root)
{
    static const char *const known[] = { "model_type", "input", "input_shape", "layers", NULL };
    const kd__json *layers = kd__json_member(root, "layers");
    kd__layers *s = kd__layers_of(net);
    int64_t number = 0;
    KD_TRY(check_keys(root, known, "sequential"));
    KD_TRY(read_input_shape(net, kd__json_member(root, "input_shape")));
    KD_FAIL_IF(!layers || layers->type != KD__JSON_ARRAY || !layers->children, KD_ERR_CONFIG,
               "config: layers: expected a list of at least one layer");
    for (const kd__json *node = layers->first; node; node = node->next) {
        KD_TRY(read_layer(net, context, node, number));
        char *output = s->layer[s->count - 1].output;
        snprintf(output, KD_NAME_BYTES, "hidden.%lld", (long long)number++);
    }
    return KD_OK;
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
    return KD_OK;
}

/* Places one after the other, each on a 64-byte line. */
static kd_status take(int64_t *floats, int64_t rows, int64_t width, int64_t *offset)
{
    int64_t need;
    KD_TRY(kd__multiply(rows, width, &need));
    *offset = *floats;
    KD_FAIL_IF(need > ((int64_t)1 << 44) || *floats > ((int64_t)1 << 44), KD_ERR_RANGE,
               "the activations need more than 2^46 bytes");
    *floats += kd__round_up(need, 16);
    return KD_OK;
}

kd_status kd__layers_plan(kd__layers *s, int64_t rows, int32_t frozen, int64_t *floats)
{
    int64_t widest = 0, most_scratch = 0;
    *floats = 0;
    for (int64_t i = 0; i < s->count; i++) {
        kd__layer *layer = &s->layer[i];
        const int64_t scratch = layer->type == KD__CONV ? kd__conv_scratch(&layer->window, rows)
                                                        : 0;
        KD_TRY(take(floats, rows, layer->outputs, &layer->y));
        if (!frozen && kd__activation_keeps_input(layer->activation))
            KD_TRY(take(floats, rows, layer->outputs, &layer->pre));
        if (layer->type == KD__MAX_POOL) KD_TRY(take(floats, rows, layer->outputs, &layer->places));
        if (scratch > most_scratch) most_scratch = scratch;
        if (layer->outputs > widest) widest = layer->outputs;
    }
    KD_TRY(take(floats, frozen ? 0 : rows, widest, &s->gradient_a));
    KD_TRY(take(floats, frozen ? 0 : rows, widest, &s->gradient_b));
    return take(floats, 1, most_scratch, &s->scratch);
}
