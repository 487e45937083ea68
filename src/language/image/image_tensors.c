/* Tensors of a transformer over patches: names and order. Queries, keys and values lie one after
 * another, as do their biases: they are one product. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "language/image/image.h"

typedef struct {
    kd__network *net;
    kd_context *context;
    const char *prefix; /* "" where the folder has no head */
    int64_t layer;      /* -1: none */
} maker;

/* "<prefix>encoder.layer.<layer>.<name>" */
static kd_status tensor(const maker *m, const char *name, int32_t rank, const int64_t *dims,
                        int32_t *index)
{
    char layer[40] = "", whole[KD_NAME_BYTES];
    if (m->layer >= 0) snprintf(layer, sizeof layer, "encoder.layer.%d.", (int)m->layer);
    snprintf(whole, sizeof whole, "%s%s%s", m->prefix, layer, name);
    return kd__network_tensor(m->net, m->context, whole, rank, dims, index);
}

static kd_status weight(const maker *m, const char *part, int64_t outputs, int64_t inputs,
                        int32_t *index)
{
    const int64_t dims[2] = { outputs, inputs };
    char name[64];
    snprintf(name, sizeof name, "%s.weight", part);
    return tensor(m, name, 2, dims, index);
}

static kd_status bias(const maker *m, const char *part, int64_t outputs, int32_t *index)
{
    char name[64];
    snprintf(name, sizeof name, "%s.bias", part);
    return tensor(m, name, 1, &outputs, index);
}

static kd_status dense(const maker *m, const char *part, int64_t outputs, int64_t inputs,
                       int32_t *weight_index, int32_t *bias_index)
{
    KD_TRY(weight(m, part, outputs, inputs, weight_index));
    return bias(m, part, outputs, bias_index);
}

static kd_status norm(const maker *m, const char *part, int64_t n, int32_t *index)
{
    char name[64];
    int32_t next;
    snprintf(name, sizeof name, "%s.weight", part);
    KD_TRY(tensor(m, name, 1, &n, index));
    return bias(m, part, n, &next);
}

static kd_status embedding_tensors(const maker *m, kd__trunk_config *d)
{
    static const char *const tokens[KD__MOST_IMAGE_TOKENS] = { "embeddings.cls_token",
                                                               "embeddings.distillation_token" };
    const kd__patches *p = &d->patches;
    const int64_t token[3] = { 1, 1, d->hidden }, positions[3] = { 1, d->positions, d->hidden },
                  window[4] = { d->hidden, p->channels, p->patch_height, p->patch_width };
    for (int64_t e = 0; e < p->before; e++)
        KD_TRY(tensor(m, tokens[e], 3, token, &d->image_token[e]));
    KD_TRY(tensor(m, "embeddings.position_embeddings", 3, positions, &d->position_table));
    KD_TRY(tensor(m, "embeddings.patch_embeddings.projection.weight", 4, window, &d->projection));
    return bias(m, "embeddings.patch_embeddings.projection", d->hidden, &d->patch_bias);
}

static kd_status layer_tensors(const maker *m, const kd__trunk_config *d, kd__trunk_layer *l)
{
    const int64_t n = d->hidden;
    KD_TRY(weight(m, "attention.attention.query", n, n, &l->q));
    KD_TRY(weight(m, "attention.attention.key", n, n, &l->k));
    KD_TRY(weight(m, "attention.attention.value", n, n, &l->v));
    if (d->qkv_bias) {
        KD_TRY(bias(m, "attention.attention.query", n, &l->qb));
        KD_TRY(bias(m, "attention.attention.key", n, &l->kb));
        KD_TRY(bias(m, "attention.attention.value", n, &l->vb));
    }
    KD_TRY(dense(m, "attention.output.dense", n, n, &l->o, &l->ob));
    KD_TRY(norm(m, "layernorm_before", n, &l->norm1));
    KD_TRY(dense(m, "intermediate.dense", d->inner, n, &l->gate, &l->gateb));
    KD_TRY(dense(m, "output.dense", n, d->inner, &l->down, &l->downb));
    return norm(m, "layernorm_after", n, &l->norm2);
}

static kd_status stage_tensors(const maker *m, const char *part, kd__stage *s)
{
    return dense(m, part, s->outputs, s->inputs, &s->weight, &s->bias);
}

static kd_status head_tensors(const maker *trunk, kd__image *m)
{
    const maker whole = { trunk->net, trunk->context, "", -1 };
    kd__stage *one = &m->trunk.samples->chain[KD__CHAIN_LOGITS].stage[0];
    m->pooler = m->pooler_bias = -1;
    if (m->has_pooler)
        KD_TRY(dense(trunk, "pooler.dense", m->pooler_size, m->trunk.config.hidden, &m->pooler,
                     &m->pooler_bias));
    if (m->head == KD__TWO_HEADS) {
        KD_TRY(stage_tensors(&whole, "cls_classifier", &m->heads[KD__HEAD_CLASS].stage[0]));
        return stage_tensors(&whole, "distillation_classifier",
                             &m->heads[KD__HEAD_DISTILLATION].stage[0]);
    }
    if (m->head == KD__NO_HEAD) return KD_OK;
    if (!one->is_normed) return stage_tensors(&whole, "classifier", one);
    KD_TRY(norm(&whole, "classifier.layernorm", one->inputs, &one->norm));
    return stage_tensors(&whole, "classifier.dense", one);
}

static kd_status make_tensors(kd__network *net, kd_context *context, kd__image *image)
{
    kd__trunk_config *d = &image->trunk.config;
    maker m = { net, context, kd__image_has_prefix(image) ? kd__image_prefix(image) : "", -1 };
    KD_TRY(embedding_tensors(&m, d));
    for (int64_t l = 0; l < d->layers; l++) {
        kd__trunk_layer *made = &d->layer[l];
        memset(made, -1, sizeof *made);
        m.layer = l;
        made->window = made->shared_later = 0;
        made->first = (int32_t)net->tensor_count;
        KD_TRY(layer_tensors(&m, d, made));
        made->end = (int32_t)net->tensor_count;
    }
    m.layer = -1;
    KD_TRY(norm(&m, "layernorm", d->hidden, &d->norm));
    KD_TRY(head_tensors(&m, image));
    return kd__samples_tensors(net, context, &image->trunk.samples->chain[KD__CHAIN_EMBEDDING]);
}

kd_status kd__image_read(kd__network *net, kd_context *context, const kd__json *root)
{
    const kd__json *input = kd__json_member(root, "input");
    KD_TRY(KD_NEW(context, (kd__image **)&net->state, 1));
    kd__image *m = net->state;
    KD_TRY(kd__image_read_config(m, context, root));
    KD_TRY(kd__name_copy(net->input, input ? input->text : kd__image_field(m), "config: input"));
    KD_TRY(kd__trunk_begin(&m->trunk, context));
    net->input_size = kd__patches_image(&m->trunk.config.patches);
    return make_tensors(net, context, m);
}
