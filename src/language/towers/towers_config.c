/* Configs of towers: each tower's own network, projections, fusion, the scale of a contrast. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/text.h"
#include "language/sentence/samples.h"
#include "language/towers/towers.h"
#include "language/trunk/config_keys.h"

#define MOST_WIDTH (1 << 24)

/* ---- keys ---- */

static const char *const tower_keys[] = { "output", "pooling", "frozen", "rows_per_sample" };

int kd__tower_is_key(const char *key)
{
    for (size_t i = 0; i < sizeof tower_keys / sizeof *tower_keys; i++)
        if (!strcmp(key, tower_keys[i])) return 1;
    return 0;
}

static kd_status check_keys(const kd__json *root)
{
    static const char *const used[] = { "model_type",
                                        "projection_dim",
                                        "normalize",
                                        "logit_scale_init_value",
                                        "logit_bias_init_value",
                                        "towers",
                                        "fusion",
                                        "architectures" };
    const kd__config_keys keys = { used, sizeof used / sizeof *used, NULL, 0 };
    return kd__config_check_keys(root, &keys);
}

static kd_status check_fusion_keys(const kd__json *fusion)
{
    static const char *const used[] = { "type", "missing", "drop", "out_features" };
    const kd__config_keys keys = { used, sizeof used / sizeof *used, NULL, 0 };
    KD_FAIL_IF(fusion->type != KD__JSON_OBJECT, KD_ERR_CONFIG,
               "config: fusion: expected an object, {\"type\": \"mean\"}");
    return kd__config_check_keys(fusion, &keys);
}

/* ---- a tower's network ---- */

/* The keys that its network knows. */
static kd_status write_config(const kd__json *node, kd__text *to)
{
    const char *before = "{";
    for (const kd__json *n = node->first; n; n = n->next) {
        if (kd__tower_is_key(n->key)) continue;
        KD_TRY(kd__text_format(to, "%s", before));
        KD_TRY(kd__text_quoted(to, n->key));
        KD_TRY(kd__text_append(to, ":", 1));
        KD_TRY(kd__json_write(to, n));
        before = ",";
    }
    return kd__text_format(to, "%s}", *before == '{' ? "{" : "");
}

static kd_status read_network(kd__tower *tower, kd_context *context, const kd__json *node)
{
    kd__text config = { .context = context };
    const kd__json *type = kd__json_member(node, "model_type");
    KD_FAIL_IF(type && type->type == KD__JSON_STRING && !strcmp(type->text, "towers"),
               KD_ERR_CONFIG, "config: towers stand beside each other: none holds towers");
    KD_FAIL_IF(kd__json_member(node, "kd_heads"), KD_ERR_CONFIG,
               "config: kd_heads: heads are of the whole model: write kd_heads beside \"towers\", "
               "with \"from\": \"NAME.hidden\"");
    kd_status status = write_config(node, &config);
    if (status == KD_OK) status = kd__network_read(&tower->model.net, context, config.bytes);
    kd__text_free(&config);
    return status;
}

/* ---- the output that is projected ---- */

static int32_t slot_of(const kd__network *net, const char *name)
{
    kd__output_facts facts;
    for (int32_t s = 0; net->engine->describe(net, s, &facts); s++)
        if (!strcmp(facts.name, name)) return s;
    return -1;
}

/* Of samples where there is one; else the last of a network of layers, which has no head apart. */
static int32_t usual_output(const kd__network *net)
{
    static const char *const names[] = { "embedding", "pooled", "logits" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (slot_of(net, names[i]) >= 0) return slot_of(net, names[i]);
    return -1;
}

/* A vocabulary's logits are no embedding: nothing is held of them. */
static int is_a_heads(const kd__tower *tower, int32_t slot)
{
    const kd__network *net = &tower->model.net;
    kd__output_facts facts;
    net->engine->describe(net, slot, &facts);
    return net->engine->head && facts.unit == KD_UNIT_OF_ROW && !strcmp(facts.name, "logits");
}

static kd_status choose_output(kd__tower *tower, const kd__json *node)
{
    const kd__network *net = &tower->model.net;
    const char *name, *pooling;
    kd__output_facts facts;
    KD_TRY(kd__config_text(node, "output", NULL, &name));
    KD_TRY(kd__config_text(node, "pooling", "mean", &pooling));
    tower->output = name ? slot_of(net, name) : usual_output(net);
    KD_FAIL_IF(tower->output < 0, KD_ERR_CONFIG,
               "config: output: expected an output of the network, got \"%.40s\"",
               name ? name : "none, and it has no embedding");
    net->engine->describe(net, tower->output, &facts);
    KD_FAIL_IF(is_a_heads(tower, tower->output) || facts.attention.heads, KD_ERR_CONFIG,
               "config: output: \"%.40s\" is not what a tower can be projected from: expected "
               "\"embedding\", \"pooled\" or \"hidden\" (of a decoder with kd_pooling)",
               facts.name);
    tower->pools = facts.unit == KD_UNIT_OF_ROW;
    tower->pooling = kd__pooling_kind(pooling);
    tower->width = facts.width;
    KD_FAIL_IF(tower->pooling < 0, KD_ERR_CONFIG,
               "config: pooling: expected cls, mean, max, last or weightedmean, got \"%.40s\"",
               pooling);
    return KD_OK;
}

static kd_status read_tower(kd__tower *tower, kd_context *context, const kd__json *node)
{
    KD_FAIL_IF(node->type != KD__JSON_OBJECT, KD_ERR_CONFIG, "config: expected an object");
    KD_TRY(read_network(tower, context, node));
    KD_TRY(choose_output(tower, node));
    KD_TRY(kd__config_flag(node, "frozen", 0, &tower->always_frozen));
    KD_TRY(kd__config_integer(node, "rows_per_sample", 1, 1, &tower->rows_each));
    for (tower->slots = 0; tower->slots < tower->model.net.slots;) tower->slots++;
    return KD_NEW(context, &tower->spread, tower->slots);
}

static kd_status check_name(const kd__towers *t, const char *name)
{
    const size_t length = strlen(name);
    KD_FAIL_IF(!length || length >= KD__TOWER_NAME || strpbrk(name, ".*?,/"), KD_ERR_CONFIG,
               "config: towers: \"%.40s\": expected a name of 1 to %d letters without . , * ? /",
               name, KD__TOWER_NAME - 1);
    for (int64_t n = 0; n < t->count; n++)
        KD_FAIL_IF(!strcmp(t->tower[n].name, name), KD_ERR_CONFIG,
                   "config: towers: \"%s\" stands there twice", name);
    return KD_OK;
}

static kd_status read_towers(kd__towers *t, kd_context *context, const kd__json *node)
{
    char where[64];
    KD_FAIL_IF(!node || node->type != KD__JSON_OBJECT || node->children < 1 ||
                   node->children > KD__MOST_TOWERS,
               KD_ERR_CONFIG, "config: towers: expected an object of 1 to %d towers by name",
               KD__MOST_TOWERS);
    KD_TRY(KD_NEW(context, &t->tower, node->children));
    for (const kd__json *n = node->first; n; n = n->next) {
        KD_TRY(check_name(t, n->key));
        kd__tower *tower = &t->tower[t->count++];
        snprintf(tower->name, sizeof tower->name, "%s", n->key);
        tower->model.object.context = context;
        tower->projection = tower->missing = -1;
        snprintf(where, sizeof where, "tower '%s'", tower->name);
        const kd_status status = read_tower(tower, context, n);
        if (status != KD_OK) return kd__fail_in(status, where);
    }
    return KD_OK;
}

/* ---- sizes ---- */

/* Embeddings are compared with each other: of one width. */
static kd_status read_widths(kd__towers *t, const kd__json *root)
{
    if (!kd__config_is_null(kd__json_member(root, "projection_dim")))
        KD_TRY(kd__config_integer(root, "projection_dim", 1, 1, &t->projected));
    KD_FAIL_IF(t->projected > MOST_WIDTH, KD_ERR_CONFIG,
               "config: projection_dim: expected at most %d, got %lld", MOST_WIDTH,
               (long long)t->projected);
    t->width = t->projected ? t->projected : t->tower[0].width;
    for (int64_t n = 1; n < t->count; n++)
        KD_FAIL_IF(!t->projected && t->tower[n].width != t->width, KD_ERR_CONFIG,
                   "config: embedding.%s has %lld numbers, embedding.%s has %lld: set "
                   "projection_dim, which projects all towers to one width",
                   t->tower[0].name, (long long)t->width, t->tower[n].name,
                   (long long)t->tower[n].width);
    return kd__config_flag(root, "normalize", 0, &t->normalize);
}

static kd_status read_drops(kd__towers *t, const kd__json *node)
{
    if (kd__config_is_null(node)) return KD_OK;
    KD_FAIL_IF(node->type != KD__JSON_OBJECT, KD_ERR_CONFIG,
               "config: fusion: drop: expected an object of shares by tower");
    for (const kd__json *m = node->first; m; m = m->next) {
        int64_t n = 0;
        while (n < t->count && strcmp(t->tower[n].name, m->key)) n++;
        KD_FAIL_IF(n == t->count, KD_ERR_CONFIG,
                   "config: fusion: drop: there is no tower \"%.40s\"", m->key);
        const kd_status status = kd__config_number(node, m->key, 0, 1, 0, &t->tower[n].drop);
        if (status != KD_OK) return kd__fail_in(status, "fusion: drop");
    }
    return KD_OK;
}

static kd_status read_fusion(kd__towers *t, const kd__json *node)
{
    static const char *const types[] = { "", "mean", "concat", "gated" };
    kd__fusion *f = &t->fusion;
    const char *type, *missing;
    f->weight = f->bias = -1;
    if (kd__config_is_null(node)) return KD_OK;
    KD_TRY(check_fusion_keys(node));
    KD_TRY(kd__config_text(node, "type", "mean", &type));
    KD_TRY(kd__config_text(node, "missing", "learned", &missing));
    for (int i = KD__FUSE_MEAN; i <= KD__FUSE_GATED; i++)
        if (!strcmp(type, types[i])) f->type = i;
    KD_FAIL_IF(!f->type, KD_ERR_CONFIG,
               "config: fusion: type: expected mean, concat or gated, got \"%.40s\"", type);
    f->learns = !strcmp(missing, "learned");
    KD_FAIL_IF(!f->learns && strcmp(missing, "mean"), KD_ERR_CONFIG,
               "config: fusion: missing: expected learned or mean (of what is there), got "
               "\"%.40s\"",
               missing);
    KD_TRY(kd__config_integer(node, "out_features", 1, t->width, &f->width));
    KD_FAIL_IF(f->width > MOST_WIDTH, KD_ERR_CONFIG, "config: fusion: out_features beyond 2^24");
    KD_FAIL_IF(f->width != t->width && f->type != KD__FUSE_CONCAT, KD_ERR_CONFIG,
               "config: fusion: out_features: a %s has as many numbers as its parts, %lld", type,
               (long long)t->width);
    return read_drops(t, kd__json_member(node, "drop"));
}

static kd_status read_scalars(kd__towers *t, const kd__json *root)
{
    static const char *const keys[] = { "logit_scale_init_value", "logit_bias_init_value" };
    static const double low[] = { -10, -1000 }, high[] = { 4.605170185988092, 1000 };
    for (int i = 0; i < 2; i++) {
        t->scalar[i] = kd__config_is_null(kd__json_member(root, keys[i])) ? -1 : 0;
        KD_TRY(kd__config_number(root, keys[i], low[i], high[i], 0, &t->initial[i]));
    }
    return KD_OK;
}

/* ---- tensors ---- */

static kd_status add(kd__network *net, kd_context *context, const char *name, int32_t rank,
                     int64_t rows, int64_t columns, int32_t *index)
{
    const int64_t dims[2] = { rows, columns };
    return kd__network_tensor(net, context, name, rank, dims, index);
}

static kd_status fusion_tensors(kd__network *net, kd_context *context, kd__towers *t)
{
    kd__fusion *f = &t->fusion;
    char name[KD_NAME_BYTES];
    for (int64_t n = 0; n < t->count && f->type && f->learns; n++) {
        snprintf(name, sizeof name, "fusion.missing.%s", t->tower[n].name);
        KD_TRY(add(net, context, name, 1, t->width, 0, &t->tower[n].missing));
    }
    if (f->type == KD__FUSE_CONCAT) {
        KD_TRY(add(net, context, "fusion.weight", 2, f->width, t->count * t->width, &f->weight));
        return add(net, context, "fusion.bias", 1, f->width, 0, &f->bias);
    }
    if (f->type != KD__FUSE_GATED) return KD_OK;
    KD_TRY(add(net, context, "fusion.gate.weight", 2, t->count, t->width, &f->weight));
    return add(net, context, "fusion.gate.bias", 1, t->count, 0, &f->bias);
}

static kd_status own_tensors(kd__network *net, kd_context *context, kd__towers *t)
{
    static const char *const scalars[] = { "logit_scale", "logit_bias" };
    char name[KD_NAME_BYTES];
    for (int i = 0; i < 2; i++)
        if (!t->scalar[i]) KD_TRY(add(net, context, scalars[i], 1, 1, 0, &t->scalar[i]));
    for (int64_t n = 0; n < t->count && t->projected; n++) {
        kd__tower *tower = &t->tower[n];
        snprintf(name, sizeof name, "projection.%s.weight", tower->name);
        KD_TRY(add(net, context, name, 2, t->projected, tower->width, &tower->projection));
    }
    KD_TRY(fusion_tensors(net, context, t));
    t->own = net->parameters;
    return KD_OK;
}

/* Under its name; a tensor of the tower lies in the whole model's block as it lies in its own. */
static kd_status tower_tensors(kd__network *net, kd_context *context, kd__tower *tower)
{
    const kd__network *of = &tower->model.net;
    char name[2 * KD_NAME_BYTES];
    tower->first = net->tensor_count;
    tower->place = net->parameters;
    for (int64_t i = 0; i < of->tensor_count; i++) {
        const kd__tensor *from = &of->tensors[i];
        int32_t index;
        snprintf(name, sizeof name, "towers.%s.%s", tower->name, from->name);
        KD_FAIL_IF(
            strlen(name) >= KD_NAME_BYTES, KD_ERR_CONFIG,
            "config: towers: \"%s\": the tensor '%.60s' gets a name of more than %d letters: "
            "a shorter name of the tower has room",
            tower->name, from->name, KD_NAME_BYTES - 1);
        KD_TRY(kd__network_tensor(net, context, name, from->rank, from->dims, &index));
        net->tensors[index].is_statistic = from->is_statistic;
        net->tensors[index].frozen = tower->always_frozen;
    }
    return KD_OK;
}

static kd_status check_slots(const kd__towers *t)
{
    kd__output_facts facts;
    for (int64_t n = 0; n < t->count; n++) {
        const kd__network *net = &t->tower[n].model.net;
        for (int32_t s = 0; net->engine->describe(net, s, &facts); s++)
            KD_FAIL_IF(strlen(t->tower[n].name) + strlen(facts.name) + 2 > KD_NAME_BYTES,
                       KD_ERR_CONFIG,
                       "config: towers: \"%s\": its output '%s' gets too long a name",
                       t->tower[n].name, facts.name);
    }
    return KD_OK;
}

static kd_status read_all(kd__network *net, kd_context *context, kd__towers *t,
                          const kd__json *root)
{
    int32_t slot = KD__TOWERS_EMBEDDINGS;
    KD_TRY(check_keys(root));
    KD_TRY(read_towers(t, context, kd__json_member(root, "towers")));
    KD_TRY(read_widths(t, root));
    KD_TRY(read_fusion(t, kd__json_member(root, "fusion")));
    KD_TRY(read_scalars(t, root));
    KD_TRY(check_slots(t));
    KD_TRY(own_tensors(net, context, t));
    slot += (int32_t)t->count;
    for (int64_t n = 0; n < t->count; n++) {
        KD_TRY(tower_tensors(net, context, &t->tower[n]));
        t->tower[n].first_slot = slot;
        slot += t->tower[n].slots;
    }
    return KD_OK;
}

kd_status kd__towers_read(kd__network *net, kd_context *context, const kd__json *root)
{
    KD_TRY(KD_NEW(context, (kd__towers **)&net->state, 1));
    return read_all(net, context, kd__towers_of(net), root);
}

void kd__towers_free(kd__network *net, kd_context *context)
{
    kd__towers *t = kd__towers_of(net);
    for (int64_t n = 0; n < t->count; n++) {
        kd__tower *tower = &t->tower[n];
        kd__tower_batch *seen = &tower->seen;
        for (int32_t s = 0; s < tower->slots && tower->spread; s++) {
            kd__release(context, tower->spread[s].values);
            kd__release(context, tower->spread[s].gradient);
        }
        void *blocks[] = { tower->spread, seen->present, seen->sample, seen->offsets, seen->row };
        for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(context, blocks[i]);
        kd__release(context, tower->model.folder);
        kd_batch_free(seen->batch);
        kd__network_free(&tower->model.net, context);
    }
    for (int i = 0; i <= KD__MOST_TOWERS; i++) kd__release(context, t->present[i]);
    for (int i = 0; i < KD__MOST_TOWERS; i++) kd__release(context, t->present_row[i]);
    kd__release(context, t->tower);
    kd__release(context, t->fusion.used);
    kd__release(context, t->block);
}
