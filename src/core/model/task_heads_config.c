/* The key kd_heads of a config: heads by name, their tensors, their first values. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/model/layers_config.h"
#include "core/model/task_heads.h"
#include "math/random.h"
#include "nn/activation.h"
#include "nn/sequence_pool.h"

#define MOST_NUMBERS (1 << 24) /* labels, hidden units */

static const char *const known[] = { "num_labels", "level",      "pooling",
                                     "from",       "bias",       "hidden_size",
                                     "dropout",    "activation", "initializer_range",
                                     NULL };

/* ---- names ---- */

/* Tensors and outputs are named after it, and patterns and lists of names must not read it
 * otherwise. */
static kd_status check_name(const char *name)
{
    const size_t length = strlen(name), most = KD_NAME_BYTES - sizeof "heads..dense.weight";
    const size_t plain = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789_-");
    KD_FAIL_IF(!length || length > most || plain != length, KD_ERR_CONFIG,
               "config: kd_heads: a head's name: expected 1 to %zu letters, digits, '-' and '_', "
               "got \"%.60s\"",
               most, name);
    return KD_OK;
}

/* "logits.NAME" is free. */
static kd_status name_output(const kd__network *net, const char *name, kd__task_head *h)
{
    kd__output_facts facts;
    snprintf(h->output, sizeof h->output, "logits.%s", name);
    for (int32_t s = 0; kd__network_describe(net, s, &facts); s++)
        KD_FAIL_IF(!strcmp(facts.name, h->output), KD_ERR_CONFIG,
                   "config: kd_heads: the model has an output '%s' already: give the head another "
                   "name",
                   h->output);
    return KD_OK;
}

/* ---- keys ---- */

/* NULL: the key is missing. */
static kd_status read_text(const kd__json *node, const char *key, const char **text)
{
    const kd__json *member = kd__json_member(node, key);
    const int is_missing = !member || member->type == KD__JSON_NULL;
    KD_FAIL_IF(!is_missing && member->type != KD__JSON_STRING, KD_ERR_CONFIG,
               "config: %s: expected a text", key);
    *text = is_missing ? NULL : member->text;
    return KD_OK;
}

static kd_status read_bias(const kd__json *node, int32_t *bias)
{
    const kd__json *member = kd__json_member(node, "bias");
    KD_FAIL_IF(member && member->type != KD__JSON_BOOL, KD_ERR_CONFIG,
               "config: bias: expected true or false");
    *bias = !member || member->number != 0;
    return KD_OK;
}

/* The head's own, or the trunk's. */
static kd_status read_range(const kd__json *root, const kd__json *node, double *range)
{
    const kd__json *own = kd__json_member(node, "initializer_range");
    if (!own) own = kd__json_member(root, "initializer_range");
    *range = 0.02;
    if (!own || own->type == KD__JSON_NULL) return KD_OK;
    KD_FAIL_IF(own->type != KD__JSON_NUMBER || !(own->number >= 0 && own->number <= 1e3),
               KD_ERR_CONFIG, "config: initializer_range: expected 0 to 1000");
    *range = own->number;
    return KD_OK;
}

static kd_status read_sizes(const kd__json *root, const kd__json *node, kd__task_head *h)
{
    KD_TRY(kd__layer_integer(node, "num_labels", 1, 0, &h->labels));
    KD_TRY(kd__layer_integer(node, "hidden_size", 0, 0, &h->hidden));
    KD_FAIL_IF(h->labels > MOST_NUMBERS || h->hidden > MOST_NUMBERS, KD_ERR_CONFIG,
               "config: num_labels, hidden_size: expected at most 2^24, got %lld and %lld",
               (long long)h->labels, (long long)h->hidden);
    KD_TRY(kd__layer_probability(node, "dropout", &h->dropout));
    KD_TRY(kd__layer_activation(node, "activation", KD__TANH, &h->activation));
    KD_TRY(read_bias(node, &h->bias));
    return read_range(root, node, &h->range);
}

/* ---- what it reads ---- */

/* What most heads read: the last rows before logits, or an embedding. */
static const char *default_source(const kd__network *net, kd__output_facts *facts)
{
    int32_t last = -1, embedding = -1;
    for (int32_t s = 0; s < net->engine_slots; s++) {
        net->engine->describe(net, s, facts);
        if (!strcmp(facts->name, "hidden")) return facts->name;
        if (!strcmp(facts->name, "embedding")) embedding = s;
        if (!strncmp(facts->name, "hidden.", 7)) last = s;
    }
    if (embedding >= 0) last = embedding;
    if (last >= 0) net->engine->describe(net, last, facts);
    return last < 0 ? NULL : facts->name;
}

static int is_readable(const kd__output_facts *facts)
{
    return !facts->attention.heads && facts->unit != KD_UNIT_OF_BATCH &&
           strncmp(facts->name, "logits", 6) != 0;
}

static kd_status find_source(const kd__network *net, const kd__json *node, kd__task_head *h,
                             kd__output_facts *facts)
{
    const char *from;
    KD_TRY(read_text(node, "from", &from));
    if (!from) from = default_source(net, facts);
    KD_FAIL_IF(!from, KD_ERR_CONFIG,
               "config: from: the model has no hidden output that a head could read");
    if (kd__network_slot(net, net->engine_slots, from, &h->source) != KD_OK) {
        kd__fail_in(KD_ERR_CONFIG, "config: from");
        return KD_ERR_CONFIG;
    }
    net->engine->describe(net, h->source, facts);
    KD_FAIL_IF(!is_readable(facts), KD_ERR_CONFIG,
               "config: from: a head reads rows or samples of hidden numbers, not '%s'",
               facts->name);
    h->width = facts->entry_rows ? facts->width / facts->entry_rows : facts->width;
    return KD_OK;
}

static kd_status read_pooling(const char *name, int pools, kd__task_head *h)
{
    h->pooling = !pools ? -1 : name ? kd__pooling_kind(name) : KD__POOL_MEAN;
    KD_FAIL_IF(pools && h->pooling < 0, KD_ERR_CONFIG,
               "config: pooling: expected " KD__POOLING_NAMES ", got \"%.40s\"", name);
    KD_FAIL_IF(!pools && name, KD_ERR_CONFIG,
               "config: pooling: %s: leave the key out, got \"%.40s\"",
               h->unit == KD_UNIT_OF_ROW ? "a head of level row pools nothing"
                                         : "what the head reads is one row a sample already",
               name);
    return KD_OK;
}

/* Without a level: what the output has, or samples where a pooling is named. */
static kd_status read_level(const kd__json *node, const kd__output_facts *facts, kd__task_head *h)
{
    const char *level, *pooling;
    const int of_samples = facts->unit == KD_UNIT_OF_SAMPLE;
    KD_TRY(read_text(node, "level", &level));
    KD_TRY(read_text(node, "pooling", &pooling));
    KD_FAIL_IF(level && strcmp(level, "row") && strcmp(level, "sample"), KD_ERR_CONFIG,
               "config: level: expected row or sample, got \"%.40s\"", level);
    h->unit = level ? !strcmp(level, "sample") : of_samples || pooling;
    KD_FAIL_IF(!h->unit && of_samples, KD_ERR_CONFIG,
               "config: level: '%s' has one entry a sample: expected sample, got row", facts->name);
    return read_pooling(pooling, h->unit && (!of_samples || facts->entry_rows), h);
}

/* ---- tensors ---- */

static kd_status add_tensor(kd__network *net, kd_context *context, const char *name,
                            const char *end, int64_t rows, int64_t columns, int32_t *index)
{
    char whole[KD_NAME_BYTES];
    const int64_t dims[2] = { rows, columns };
    snprintf(whole, sizeof whole, "heads.%s.%s", name, end);
    return kd__network_tensor(net, context, whole, columns ? 2 : 1, dims, index);
}

static kd_status add_tensors(kd__network *net, kd_context *context, const char *name,
                             kd__task_head *h)
{
    const int has_bias = h->bias;
    h->dense = h->dense_bias = h->bias = -1;
    if (h->hidden) {
        KD_TRY(add_tensor(net, context, name, "dense.weight", h->hidden, h->width, &h->dense));
        KD_TRY(add_tensor(net, context, name, "dense.bias", h->hidden, 0, &h->dense_bias));
    }
    KD_TRY(add_tensor(net, context, name, "weight", h->labels, h->hidden ? h->hidden : h->width,
                      &h->weight));
    return has_bias ? add_tensor(net, context, name, "bias", h->labels, 0, &h->bias) : KD_OK;
}

/* ---- heads ---- */

static kd_status read_head(kd__network *net, kd_context *context, const kd__json *root,
                           const kd__json *node, kd__task_head *h)
{
    kd__output_facts facts;
    KD_FAIL_IF(node->type != KD__JSON_OBJECT, KD_ERR_CONFIG, "config: expected an object");
    KD_TRY(kd__layer_keys(node, known, "a head"));
    KD_TRY(read_sizes(root, node, h));
    KD_TRY(find_source(net, node, h, &facts));
    KD_TRY(read_level(node, &facts, h));
    return add_tensors(net, context, node->key, h);
}

static uint64_t stream_of(const char *name)
{
    uint64_t key[2];
    kd__hash128(name, strlen(name), key);
    return key[0];
}

kd_status kd__task_head_read(kd__network *net, kd_context *context, const kd__json *root,
                             const kd__json *node)
{
    kd__task_head h = { .stream = stream_of(node->key) };
    char where[KD_NAME_BYTES + 16];
    KD_TRY(check_name(node->key));
    KD_TRY(name_output(net, node->key, &h));
    if (!net->heads) KD_TRY(KD_NEW(context, &net->heads, 1));
    KD_FAIL_IF(net->heads->count == KD__MOST_HEADS, KD_ERR_CONFIG,
               "config: kd_heads: expected at most %d heads", KD__MOST_HEADS);
    KD_TRY(KD_RESERVE(context, &net->heads->head, &net->heads->room, net->heads->count + 1));
    snprintf(where, sizeof where, "kd_heads: %s", node->key);
    const kd_status status = read_head(net, context, root, node, &h);
    if (status != KD_OK) return kd__fail_in(status, where);
    net->heads->head[net->heads->count++] = h;
    return KD_OK;
}

kd_status kd__task_heads_read(kd__network *net, kd_context *context, const kd__json *root)
{
    const kd__json *all = kd__json_member(root, "kd_heads");
    if (!all || all->type == KD__JSON_NULL) return KD_OK;
    KD_FAIL_IF(all->type != KD__JSON_OBJECT, KD_ERR_CONFIG,
               "config: kd_heads: expected an object of heads by name");
    KD_FAIL_IF(all->first && net->engine->refuses_heads, KD_ERR_UNSUPPORTED,
               "config: kd_heads: a model of type %s takes no heads", net->engine->model_types);
    for (const kd__json *node = all->first; node; node = node->next)
        KD_TRY(kd__task_head_read(net, context, root, node));
    return KD_OK;
}

void kd__task_heads_free(kd__task_heads *heads, kd_context *context)
{
    if (!heads) return;
    for (int64_t i = 0; i < heads->count; i++) kd__release(context, heads->head[i].block);
    kd__release(context, heads->head);
    kd__release(context, heads->offsets);
    kd__release(context, heads);
}

/* ---- first values ---- */

/* N(0, range) by Box and Muller's method on counters. */
static void draw(const kd_model *model, int32_t tensor, uint64_t stream, double range)
{
    if (tensor < 0) return;
    const kd__tensor *t = &model->net.tensors[tensor];
    float *to = model->parameters + t->offset;
    for (int64_t j = 0; j < t->count; j++) {
        const double u = 1 - kd__uniform(stream, (uint64_t)(j / 2 * 2)),
                     v = 6.283185307179586 * kd__uniform(stream, (uint64_t)(j / 2 * 2 + 1));
        to[j] = (float)(range * sqrt(-2 * log(u)) * (j % 2 ? sin(v) : cos(v)));
    }
}

static void zero(const kd_model *model, int32_t tensor)
{
    if (tensor < 0) return;
    const kd__tensor *t = &model->net.tensors[tensor];
    memset(model->parameters + t->offset, 0, (size_t)t->count * sizeof *model->parameters);
}

/* By the head's name, so that a head begins alike whatever others there are. */
void kd__task_heads_initialize(kd_model *model, int64_t first)
{
    const kd__task_heads *heads = model->net.heads;
    for (int64_t i = first; heads && i < heads->count; i++) {
        const kd__task_head *h = &heads->head[i];
        draw(model, h->dense, kd__stream(model->seed, h->stream, 0), h->range);
        draw(model, h->weight, kd__stream(model->seed, h->stream, 1), h->range);
        zero(model, h->dense_bias);
        zero(model, h->bias);
    }
}
