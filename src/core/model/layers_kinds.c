/* Networks of layers: what a config says about one layer. */
#include <stdio.h>
#include <string.h>

#include "base/numbers.h"
#include "base/text.h"
#include "core/model/layers_config.h"
#include "nn/activation.h"

/* ---- keys ---- */

/* "key": 3 for both sides of a window, or [3, 1]: along the height, along the width. */
static kd_status get_pair(const kd__json *object, const char *key, int64_t low,
                          const int64_t *fallback, int64_t pair[2])
{
    char what[96];
    const kd__json *node = kd__json_member(object, key);
    if (!node || node->type != KD__JSON_ARRAY) {
        KD_TRY(kd__layer_integer(object, key, low, fallback ? fallback[0] : low - 1, &pair[0]));
        pair[1] = node || !fallback ? pair[0] : fallback[1];
        return KD_OK;
    }
    KD_FAIL_IF(node->children != 2, KD_ERR_CONFIG,
               "config: %s: expected a number or [height, width], got a list of %lld", key,
               (long long)node->children);
    snprintf(what, sizeof what, "config: %s", key);
    KD_TRY(kd__json_integer(node->first, low, KD__MAX_WIDTH, &pair[0], what));
    return kd__json_integer(node->first->next, low, KD__MAX_WIDTH, &pair[1], what);
}

static kd_status get_flag(const kd__json *object, const char *key, int32_t fallback, int32_t *value)
{
    const kd__json *node = kd__json_member(object, key);
    *value = fallback;
    if (!node) return KD_OK;
    KD_FAIL_IF(node->type != KD__JSON_BOOL, KD_ERR_CONFIG, "config: %s: expected true or false",
               key);
    *value = node->number != 0;
    return KD_OK;
}

static kd_status get_number(const kd__json *object, const char *key, double low, double high,
                            double fallback, float *value)
{
    const kd__json *node = kd__json_member(object, key);
    *value = (float)fallback;
    if (!node) return KD_OK;
    KD_FAIL_IF(node->type != KD__JSON_NUMBER || !(node->number >= low && node->number <= high),
               KD_ERR_CONFIG, "config: %s: expected a number from %g to %g", key, low, high);
    *value = (float)node->number;
    return KD_OK;
}

/* ---- windows ---- */

/* The image that a window leaves of another, along one side. */
static kd_status shrink(const kd__window *w, int side, int64_t size, int64_t *out)
{
    const int64_t padded = size + 2 * w->padding[side];
    KD_FAIL_IF(w->padding[side] >= w->kernel[side], KD_ERR_CONFIG,
               "config: padding: expected less than kernel_size %lld, got %lld",
               (long long)w->kernel[side], (long long)w->padding[side]);
    KD_FAIL_IF(padded < w->kernel[side], KD_ERR_CONFIG,
               "config: kernel_size %lld does not fit an image of %lld x %lld",
               (long long)w->kernel[side], (long long)w->height, (long long)w->width);
    *out = (padded - w->kernel[side]) / w->stride[side] + 1;
    return KD_OK;
}

static kd_status begin_window(kd__layer *layer)
{
    kd__window *w = &layer->window;
    KD_FAIL_IF(
        layer->shape_rank != 3, KD_ERR_CONFIG,
        "config: a convolution or pooling layer needs images; the layer before gives %lld numbers",
        (long long)layer->outputs);
    w->channels = layer->shape[0];
    w->height = layer->shape[1];
    w->width = layer->shape[2];
    w->groups = 1;
    return KD_OK;
}

/* `channels` 0: as many as the image has. `stride` NULL: the kernel's size. */
static kd_status set_window(kd__layer *layer, const kd__json *node, int64_t channels,
                            const int64_t *stride)
{
    static const int64_t none[2] = { 0, 0 };
    kd__window *w = &layer->window;
    KD_TRY(begin_window(layer));
    w->out_channels = channels ? channels : w->channels;
    KD_TRY(get_pair(node, "kernel_size", 1, NULL, w->kernel));
    KD_TRY(get_pair(node, "stride", 1, stride ? stride : w->kernel, w->stride));
    KD_TRY(get_pair(node, "padding", 0, none, w->padding));
    KD_TRY(shrink(w, 0, w->height, &w->out_height));
    KD_TRY(shrink(w, 1, w->width, &w->out_width));
    layer->shape[0] = w->out_channels;
    layer->shape[1] = w->out_height;
    layer->shape[2] = w->out_width;
    KD_TRY(kd__multiply(w->out_height, w->out_width, &layer->outputs));
    KD_TRY(kd__multiply(layer->outputs, w->out_channels, &layer->outputs));
    KD_FAIL_IF(layer->outputs > KD__MAX_WIDTH, KD_ERR_CONFIG,
               "config: a layer: expected at most %lld numbers a row, got %lld",
               (long long)KD__MAX_WIDTH, (long long)layer->outputs);
    return KD_OK;
}

/* ---- kinds ---- */

typedef struct {
    kd__network *net;
    kd_context *context;
    const kd__json *node;
    int64_t number; /* of the list */
    kd__layer *layer;
} reading;

static kd_status read_linear(reading *r)
{
    int64_t units;
    int32_t activation, bias;
    KD_TRY(kd__layer_integer(r->node, "units", 1, 0, &units));
    KD_TRY(kd__layer_activation(r->node, "activation", KD__NONE, &activation));
    KD_TRY(get_flag(r->node, "bias", 1, &bias));
    return kd__layer_make_dense(r->net, r->context, r->layer, r->number, units, activation, bias);
}

static kd_status read_conv(reading *r)
{
    static const int64_t one[2] = { 1, 1 };
    kd__layer *layer = r->layer;
    kd__window *w = &layer->window;
    int64_t channels, groups;
    int32_t bias;
    KD_TRY(kd__layer_integer(r->node, "channels", 1, 0, &channels));
    KD_TRY(kd__layer_activation(r->node, "activation", KD__NONE, &layer->activation));
    KD_TRY(set_window(layer, r->node, channels, one));
    KD_TRY(kd__layer_integer(r->node, "groups", 1, 1, &groups));
    KD_TRY(get_flag(r->node, "bias", 1, &bias));
    KD_FAIL_IF(w->channels % groups || channels % groups, KD_ERR_CONFIG,
               "config: layer %lld: groups: expected a divisor of %lld channels in and %lld out, "
               "got %lld",
               (long long)r->number, (long long)w->channels, (long long)channels,
               (long long)groups);
    w->groups = groups;
    const int64_t dims[4] = { channels, w->channels / groups, w->kernel[0], w->kernel[1] };
    KD_TRY(kd__layer_tensor(r->net, r->context, r->number, "weight", 4, dims, &layer->weight));
    return bias ? kd__layer_tensor(r->net, r->context, r->number, "bias", 1, dims, &layer->bias)
                : KD_OK;
}

static kd_status read_norm(reading *r, int32_t rank, const char *other)
{
    static const char *const names[] = { "weight", "bias", "running_mean", "running_var" };
    kd__layer *layer = r->layer;
    int32_t *const tensors[] = { &layer->weight, &layer->bias, &layer->mean, &layer->variance };
    KD_FAIL_IF(layer->shape_rank != rank, KD_ERR_CONFIG,
               "config: layer %lld: the layer before gives %s: use %s", (long long)r->number,
               rank == 3 ? "numbers without places" : "images", other);
    KD_TRY(kd__layer_activation(r->node, "activation", KD__NONE, &layer->activation));
    KD_TRY(get_number(r->node, "eps", 1e-12, 1, 1e-5, &layer->epsilon));
    KD_TRY(get_number(r->node, "momentum", 0, 1, 0.1, &layer->momentum));
    for (int i = 0; i < 4; i++)
        KD_TRY(
            kd__layer_tensor(r->net, r->context, r->number, names[i], 1, layer->shape, tensors[i]));
    r->net->tensors[layer->mean].is_statistic = 1;
    r->net->tensors[layer->variance].is_statistic = 1;
    return KD_OK;
}

static kd_status read_norm1d(reading *r) { return read_norm(r, 1, "batch_norm2d"); }
static kd_status read_norm2d(reading *r) { return read_norm(r, 3, "batch_norm1d"); }

static kd_status read_max_pool(reading *r) { return set_window(r->layer, r->node, 0, NULL); }

static kd_status read_mean_pool(reading *r)
{
    KD_TRY(get_flag(r->node, "count_include_pad", 1, &r->layer->counts_padding));
    return set_window(r->layer, r->node, 0, NULL);
}

/* A channel's mean: one window over the whole image. */
static kd_status read_global_pool(reading *r)
{
    kd__layer *layer = r->layer;
    kd__window *w = &layer->window;
    KD_TRY(begin_window(layer));
    w->out_channels = w->channels;
    w->out_height = w->out_width = w->stride[0] = w->stride[1] = 1;
    w->kernel[0] = w->height;
    w->kernel[1] = w->width;
    layer->shape_rank = 1;
    layer->outputs = w->channels;
    return KD_OK;
}

static kd_status read_dropout(reading *r)
{
    return kd__layer_probability(r->node, "p", &r->layer->dropout);
}

static kd_status read_flatten(reading *r)
{
    r->layer->shape_rank = 1;
    r->layer->shape[0] = r->layer->outputs;
    return KD_OK;
}

/* The activation of a sum; find_sources has found what is added. */
static kd_status read_add(reading *r)
{
    return kd__layer_activation(r->node, "activation", KD__NONE, &r->layer->activation);
}

/* ---- what a layer reads ---- */

/* What an earlier layer gives, -1: the network's input. */
typedef struct {
    int32_t rank;
    const int64_t *shape;
    int64_t numbers;
} given;

static given given_by(const kd__network *net, int64_t source)
{
    const kd__layers *s = kd__layers_of(net);
    if (source < 0) return (given){ s->input_rank, s->input_shape, net->input_size };
    const kd__layer *layer = &s->layer[source];
    return (given){ layer->shape_rank, layer->shape, layer->outputs };
}

static void shape_text(const given *g, char *to, size_t room)
{
    if (g->rank == 1) snprintf(to, room, "[%lld]", (long long)g->shape[0]);
    else
        snprintf(to, room, "[%lld, %lld, %lld]", (long long)g->shape[0], (long long)g->shape[1],
                 (long long)g->shape[2]);
}

static kd_status check_same(const reading *r, int64_t before, int64_t other, const char *name)
{
    const given a = given_by(r->net, before), b = given_by(r->net, other);
    char shapes[2][96];
    shape_text(&a, shapes[0], sizeof shapes[0]);
    shape_text(&b, shapes[1], sizeof shapes[1]);
    KD_FAIL_IF(a.rank != b.rank || memcmp(a.shape, b.shape, (size_t)a.rank * sizeof *a.shape),
               KD_ERR_CONFIG,
               "config: layer %lld: add: expected two of one shape, the layer before gives %s and "
               "\"%.60s\" %s",
               (long long)r->number, shapes[0], name, shapes[1]);
    return KD_OK;
}

/* The layer that "from" names: by its "name", as "hidden.2", or "inputs". */
static kd_status find_layer(const reading *r, const kd__json *from, int64_t *found)
{
    const kd__layers *s = kd__layers_of(r->net);
    *found = -1;
    KD_FAIL_IF(from->type != KD__JSON_STRING || !*from->text, KD_ERR_CONFIG,
               "config: layer %lld: from: expected the name of an earlier layer",
               (long long)r->number);
    if (!strcmp(from->text, "inputs")) return KD_OK;
    for (int64_t i = s->count - 2; i >= 0 && *found < 0; i--)
        if (!strcmp(s->layer[i].output, from->text) || !strcmp(s->layer[i].name, from->text))
            *found = i;
    KD_FAIL_IF(*found < 0, KD_ERR_CONFIG,
               "config: layer %lld: from: no earlier layer is named \"%.60s\"",
               (long long)r->number, from->text);
    return KD_OK;
}

/* "from": another layer than the one before; of a sum, what is added to the one before. */
static kd_status find_sources(reading *r)
{
    kd__layer *layer = r->layer;
    const kd__json *from = kd__json_member(r->node, "from");
    int64_t found;
    KD_FAIL_IF(!from && layer->type == KD__ADD, KD_ERR_CONFIG,
               "config: layer %lld: add: the key \"from\" is missing", (long long)r->number);
    if (!from) return KD_OK;
    KD_TRY(find_layer(r, from, &found));
    if (layer->type == KD__ADD) {
        layer->other = found;
        return check_same(r, layer->source, found, from->text);
    }
    const given g = given_by(r->net, found);
    layer->source = found;
    layer->shape_rank = g.rank;
    memcpy(layer->shape, g.shape, sizeof layer->shape);
    layer->inputs = layer->outputs = g.numbers;
    return KD_OK;
}

static kd_status read_name(reading *r)
{
    const kd__layers *s = kd__layers_of(r->net);
    const kd__json *name = kd__json_member(r->node, "name");
    if (!name) return KD_OK;
    KD_FAIL_IF(name->type != KD__JSON_STRING || !*name->text || !strcmp(name->text, "inputs") ||
                   !strncmp(name->text, "hidden.", 7),
               KD_ERR_CONFIG,
               "config: layer %lld: name: expected a text that is not inputs or hidden.N",
               (long long)r->number);
    for (int64_t i = 0; i < s->count - 1; i++)
        KD_FAIL_IF(!strcmp(s->layer[i].name, name->text), KD_ERR_CONFIG,
                   "config: layer %lld: name: \"%.60s\" is layer %lld", (long long)r->number,
                   name->text, (long long)i);
    return kd__name_copy(r->layer->name, name->text, "config: name");
}

/* ---- all kinds ---- */

#define ANY_LAYER "type", "name", "from"

static const struct {
    const char *name;
    int32_t type, is_new; /* since 0.2 */
    kd_status (*read)(reading *r);
    const char *keys[14];
} kinds[] = {
    { "linear", KD__DENSE, 0, read_linear, { ANY_LAYER, "units", "activation", "bias" } },
    { "conv2d",
      KD__CONV,
      0,
      read_conv,
      { ANY_LAYER, "channels", "kernel_size", "stride", "padding", "activation", "groups",
        "bias" } },
    { "max_pool2d",
      KD__MAX_POOL,
      0,
      read_max_pool,
      { ANY_LAYER, "kernel_size", "stride", "padding" } },
    { "dropout", KD__DROPOUT, 0, read_dropout, { ANY_LAYER, "p" } },
    { "flatten", KD__FLATTEN, 0, read_flatten, { ANY_LAYER } },
    { "batch_norm1d",
      KD__BATCH_NORM,
      1,
      read_norm1d,
      { ANY_LAYER, "eps", "momentum", "activation" } },
    { "batch_norm2d",
      KD__BATCH_NORM,
      1,
      read_norm2d,
      { ANY_LAYER, "eps", "momentum", "activation" } },
    { "avg_pool2d",
      KD__MEAN_POOL,
      1,
      read_mean_pool,
      { ANY_LAYER, "kernel_size", "stride", "padding", "count_include_pad" } },
    { "global_avg_pool2d", KD__MEAN_POOL, 1, read_global_pool, { ANY_LAYER } },
    { "add", KD__ADD, 1, read_add, { ANY_LAYER, "activation" } },
};
#define KINDS ((int)(sizeof kinds / sizeof *kinds))

static kd_status find_kind(const kd__json *node, int64_t number, int *kind)
{
    char names[200] = "";
    const kd__json *type = kd__json_member(node, "type");
    const char *name = type && type->type == KD__JSON_STRING ? type->text : "";
    KD_FAIL_IF(node->type != KD__JSON_OBJECT, KD_ERR_CONFIG,
               "config: layer %lld: expected an object", (long long)number);
    for (*kind = 0; *kind < KINDS; ++*kind)
        if (!strcmp(kinds[*kind].name, name)) return KD_OK;
    for (int i = 0; i < KINDS; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s",
                 !i              ? ""
                 : i + 1 < KINDS ? ", "
                                 : " or ",
                 kinds[i].name);
    return kd__fail(KD_ERR_CONFIG, "config: layer %lld: type \"%.40s\" is not %s",
                    (long long)number, name, names);
}

/* Is there anything that a config of 0.1 has not? */
static int is_new(const reading *r, int kind)
{
    static const char *const keys[] = { "name", "from", "groups", "bias" }, *const pairs[] = {
        "kernel_size", "stride", "padding"
    };
    int found = kinds[kind].is_new || r->layer->activation > KD__SIGMOID;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        found |= kd__json_member(r->node, keys[i]) != NULL;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const kd__json *pair = kd__json_member(r->node, pairs[i]);
        found |= pair && pair->type == KD__JSON_ARRAY;
    }
    return found;
}

kd_status kd__layer_read(kd__network *net, kd_context *context, const kd__json *node,
                         int64_t number)
{
    reading r = { net, context, node, number, NULL };
    int kind;
    KD_TRY(find_kind(node, number, &kind));
    KD_TRY(kd__layer_keys(node, kinds[kind].keys, kinds[kind].name));
    KD_TRY(kd__layer_add(net, context, kinds[kind].type, &r.layer));
    KD_TRY(read_name(&r));
    KD_TRY(find_sources(&r));
    KD_TRY(kinds[kind].read(&r));
    if (is_new(&r, kind)) kd__layers_of(net)->by_planes = 1;
    return KD_OK;
}
