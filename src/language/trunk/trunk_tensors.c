/* A trunk's tensors: as passes see them, first values, tied heads, places of gradients. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "language/trunk/lattice.h"
#include "language/trunk/lora.h"
#include "math/random.h"

kd_status kd__trunk_begin(kd__trunk *s, kd_context *context)
{
    const int64_t outputs = kd__trunk_slots(&s->config) - KD__SLOT_STREAM;
    KD_TRY(KD_NEW(context, &s->config.layer, s->config.layers));
    KD_TRY(KD_NEW(context, &s->outside.dlayers, outputs));
    KD_TRY(KD_NEW(context, &s->outside.dlayers_room, outputs));
    return KD_NEW(context, &s->outside.has_dlayer, outputs);
}

/* The block that passes see in place of the parameters; NULL: the parameters themselves. */
static float **effective_of(const kd_model *model)
{
    kd__trunk *trunk = kd__trunk_of(model);
    return model->packed_only ? NULL /* made when they are needed */
           : trunk->lora      ? &trunk->lora->effective
           : trunk->lattice   ? &trunk->lattice->effective
                              : NULL;
}

const float *kd__parameters_seen(const kd_model *model)
{
    float **effective = effective_of(model);
    return effective ? *effective : model->parameters;
}

kd_status kd__trunk_refresh(kd_model *model)
{
    KD_TRY(kd__lattice_refresh(model));
    return kd__lora_refresh(model);
}

kd__gemm kd__trunk_projection(const kd_model *model, int into, int64_t rows, const float *x,
                              float *y)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const int64_t inputs = into ? d->embedded : d->hidden, outputs = into ? d->hidden : d->embedded;
    return (kd__gemm){ .b_t = into,
                       .m = rows,
                       .n = outputs,
                       .k = inputs,
                       .alpha = 1,
                       .a = x,
                       .lda = inputs,
                       .b = kd__tensor_values(model, d->projection),
                       .ldb = d->embedded,
                       .c = y,
                       .ldc = outputs };
}

kd__heads kd__trunk_heads(const kd_model *model, const kd__trunk_layer *layer, const float *cosine,
                          const float *sine)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    return (kd__heads){ .heads = d->heads,
                        .kv_heads = d->kv_heads,
                        .head_dim = d->width,
                        .bias = kd__tensor_values(model, layer->qb),
                        .q_norm = kd__tensor_values(model, layer->qn),
                        .k_norm = kd__tensor_values(model, layer->kn),
                        .epsilon = d->epsilon,
                        .cosine = d->no_rotation ? NULL : cosine,
                        .sine = sine };
}

/* Numbers first .. end - 1 of a tensor. Matrices N(0, initializer_range), norms 1, biases 0:
 * transformers' rule for these families. Box and Muller's method on counters. */
static void initialize(const kd_model *model, int64_t tensor, int64_t first, int64_t end, float *to)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const kd__tensor *t = &model->net.tensors[tensor];
    const uint64_t stream = kd__stream(model->seed, 0x696e6974, (uint64_t)tensor);
    if (t->rank == 1) {
        const int norm = (strstr(t->name, "norm") || strstr(t->name, "Norm")) &&
                         !strstr(t->name, ".bias");
        for (int64_t j = first; j < end; j++) *to++ = norm ? 1 : 0;
        return;
    }
    /* keeps the size of an embedding */
    const double range =
        tensor == d->projection && d->embedding >= 0 ? 1 / sqrt((double)d->embedded) : d->range;
    for (int64_t j = first; j < end; j++) {
        const double u = 1 - kd__uniform(stream, (uint64_t)(j / 2 * 2)),
                     v = 6.283185307179586 * kd__uniform(stream, (uint64_t)(j / 2 * 2 + 1));
        *to++ = (float)(range * sqrt(-2 * log(u)) * (j % 2 ? sin(v) : cos(v)));
    }
}

static kd_status first_rows(const kd__model_source *source, const kd_model *model, int64_t tensor,
                            int64_t first, int64_t rows, float *to)
{
    const kd__tensor *t = &model->net.tensors[tensor];
    const int64_t width = t->count / t->dims[0];
    (void)source;
    initialize(model, tensor, first * width, (first + rows) * width, to);
    return KD_OK;
}

void kd__trunk_initialize(kd_model *model)
{
    static const kd__model_source source = { first_rows, NULL };
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        const kd__tensor *t = &model->net.tensors[i];
        if (!t->is_packed) initialize(model, i, 0, t->count, model->parameters + t->offset);
    }
    if (model->packed_only) model->source = &source;
}

/* ---- folders ---- */

/* A row of the embedding, while a folder is read. */
static const float *embedding_row(const kd_model *model, int64_t row, float *room)
{
    const int32_t tensor = kd__trunk_config_of(model)->embedding;
    const kd__tensor *t = &model->net.tensors[tensor];
    if (!t->is_packed) return model->parameters + t->offset + row * t->dims[1];
    /* folders are mapped: reading does not fail */
    (void)model->source->read(model->source, model, tensor, row, 1, room);
    return room;
}

/* A head of its own where the config ties it to the embedding: transformers 5 takes the file's head
 * then, transformers 4 the embedding (vllm-project/vllm#6758). Only where both hold the same
 * numbers is the answer clear. */
kd_status kd__trunk_check_tied(const kd_model *model, const char *name, const kd_array *head,
                               const char *folder)
{
    const kd__tensor *embedding = &model->net.tensors[kd__trunk_config_of(model)->embedding];
    const int64_t width = embedding->dims[1];
    int same = head->rank == 2 && head->dims[0] == embedding->dims[0] && head->dims[1] == width &&
               !kd__dtype_is_integer(head->dtype);
    float *row = NULL;
    KD_TRY(KD_NEW(model->object.context, &row, 2 * width));
    for (int64_t i = 0; same && i < embedding->dims[0]; i++) {
        const char *from = (const char *)head->data +
                           i * width * (int64_t)kd_dtype_bytes(head->dtype);
        kd__convert_float32(row, from, head->dtype, width, 1, 0);
        same = !memcmp(row, embedding_row(model, i, row + width), (size_t)width * sizeof *row);
    }
    kd__release(model->object.context, row);
    KD_FAIL_IF(
        !same, KD_ERR_MISMATCH,
        "%s: tensor '%s' differs from '%s', and the config says "
        "tie_word_embeddings: with false the file's head counts, without the tensor the embedding",
        folder, name, embedding->name);
    return KD_OK;
}

/* ---- gradients ---- */

/* The layers' tensors are stored one after another, other tensors before and after them. */
kd_status kd__trunk_share_gradients(kd__network *net, int64_t *floats)
{
    const kd__trunk_config *d = &((kd__trunk *)net->state)->config;
    const int64_t begin = d->layer[0].first, end = d->layer[d->layers - 1].end;
    int64_t most = 0;
    KD_FAIL_IF(d->repeats > 1 && d->whole_stack, KD_ERR_UNSUPPORTED,
               "shared_gradients: layers that are shared as a stack keep theirs to the end");
    *floats = 0;
    for (int64_t i = 0; i < net->tensor_count; i++) {
        if (i >= begin && i < end) continue;
        net->tensors[i].gradient = *floats;
        *floats += net->tensors[i].count;
    }
    for (int64_t l = 0; l < d->layers; l++) {
        int64_t at = 0;
        for (int64_t i = d->layer[l].first; i < d->layer[l].end; at += net->tensors[i++].count)
            net->tensors[i].gradient = *floats + at;
        if (at > most) most = at;
    }
    *floats += most;
    return KD_OK;
}

/* ---- what is trained ---- */

static int is_trained(const kd_model *model, int32_t tensor)
{
    return tensor >= 0 && kd__lora_wants(model, tensor, model->net.tensors[tensor].count);
}

static int is_trained_norm(const kd_model *model, int32_t weight)
{
    return weight >= 0 &&
           (is_trained(model, weight) ||
            (kd__trunk_config_of(model)->layer_norm &&
             is_trained(model, kd__trunk_norm_bias(kd__trunk_config_of(model), weight))));
}

/* Of what enters layer 0. */
static int trains_entry(const kd_model *model)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const int64_t tokens = d->patches.channels ? d->patches.before : 0;
    int any = is_trained(model, d->embedding) || is_trained(model, d->position_table) ||
              is_trained(model, d->type_table) || is_trained(model, d->projection) ||
              is_trained_norm(model, d->embedding_norm);
    if (d->patches.channels) any |= is_trained(model, d->patch_bias);
    for (int64_t e = 0; e < tokens; e++) any |= is_trained(model, d->image_token[e]);
    return any;
}

static int is_of_feed_forward(const kd__trunk_config *d, const kd__trunk_layer *l, int32_t tensor)
{
    const int32_t its[] = { l->norm2, l->gate, l->up, l->gateb, l->upb, l->down, l->downb };
    for (size_t i = 0; i < sizeof its / sizeof *its; i++)
        if (its[i] == tensor) return 1;
    return d->layer_norm && kd__trunk_norm_bias(d, l->norm2) == tensor;
}

/* A layer's lowest trained part; the next layer's attention: it has none. */
static int64_t lowest_of_layer(const kd_model *model, int64_t layer)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    int64_t lowest = kd__trunk_part(layer + 1, KD__SITE_ATTENTION);
    for (int32_t i = d->layer[layer].first; i < d->layer[layer].end; i++) {
        if (!is_trained(model, i)) continue;
        if (!is_of_feed_forward(d, &d->layer[layer], i))
            return kd__trunk_part(layer, KD__SITE_ATTENTION);
        lowest = kd__trunk_part(layer, KD__SITE_FEED_FORWARD);
    }
    return lowest;
}

int64_t kd__trunk_lowest(const kd_model *model)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    if (trains_entry(model)) return 0;
    for (int64_t l = 0; l < d->layers; l++) {
        const int64_t lowest = lowest_of_layer(model, l);
        if (lowest < kd__trunk_part(l + 1, KD__SITE_ATTENTION)) return lowest;
    }
    return kd__trunk_part(d->layers, KD__SITE_ATTENTION) + !is_trained_norm(model, d->norm);
}

/* ---- tensors that are added to a model ---- */

static kd_status larger(const kd_model *model, const float *values, int64_t before, float **made)
{
    KD_TRY(KD_NEW(model->object.context, made, kd__network_held(&model->net)));
    if (values) memcpy(*made, values, (size_t)(before - model->net.packed) * sizeof **made);
    return KD_OK;
}

static kd_status make_blocks(kd_model *model, int64_t before, float *made[3], int64_t *gradients)
{
    float **effective = effective_of(model);
    *gradients = kd__network_held(&model->net);
    KD_TRY(larger(model, model->parameters, before, &made[0]));
    if (effective) KD_TRY(larger(model, *effective, before, &made[1]));
    if (model->frozen) return KD_OK;
    if (model->gradients_shared) KD_TRY(kd__trunk_share_gradients(&model->net, gradients));
    return KD_NEW(model->object.context, &made[2], *gradients);
}

static void replace(const kd_model *model, float **block, float *made)
{
    kd__release(model->object.context, *block);
    *block = made;
}

kd_status kd__trunk_grow(kd_model *model, int64_t count, int64_t before)
{
    float **effective = effective_of(model), *made[3] = { NULL };
    int64_t gradients;
    const kd_status status = make_blocks(model, before, made, &gradients);
    if (status != KD_OK) {
        for (int i = 0; i < 3; i++) kd__release(model->object.context, made[i]);
        kd__trunk_shrink(model, count, before);
        return status;
    }
    replace(model, &model->parameters, made[0]);
    if (effective) replace(model, effective, made[1]);
    if (!model->frozen) replace(model, &model->gradients, made[2]);
    model->gradient_count = gradients;
    model->gradients_fresh = 1;
    model->gradients_foreign = KD__FOREIGN_NONE;
    model->rows = 0;
    return KD_OK;
}

void kd__trunk_shrink(kd_model *model, int64_t count, int64_t before)
{
    int64_t gradients;
    model->net.tensor_count = count;
    model->net.parameters = before;
    /* as when it was made: it cannot fail */
    if (model->gradients_shared && !model->frozen)
        (void)kd__trunk_share_gradients(&model->net, &gradients);
}

void kd__trunk_clear(kd_model *model, int32_t tensor)
{
    if (tensor < 0) return;
    memset(kd__tensor_gradient(model, tensor), 0,
           (size_t)model->net.tensors[tensor].count * sizeof(float));
}
