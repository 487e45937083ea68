/* An encoder's tensors: names and order. Queries, keys and values lie one after another, as do
 * their biases: they are one product. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "language/encoder/encoder.h"

/* What a family calls the parts of a layer. */
typedef struct {
    const char *prefix, *layer;
    const char *q, *k, *v, *o, *norm1, *up, *down, *norm2;
    const char *dense, *labels; /* of the classifier */
} names;

#define BERT_LAYER                                                                                 \
    "encoder.layer.%d.", "attention.self.query", "attention.self.key", "attention.self.value",     \
        "attention.output.dense", "attention.output.LayerNorm", "intermediate.dense",              \
        "output.dense", "output.LayerNorm"

static const names bert = { "bert.", BERT_LAYER, "pooler.dense", "classifier" };
static const names roberta = { "roberta.", BERT_LAYER, "classifier.dense", "classifier.out_proj" };
static const names distilbert = {
    "distilbert.",     "transformer.layer.%d.", "attention.q_lin", "attention.k_lin",
    "attention.v_lin", "attention.out_lin",     "sa_layer_norm",   "ffn.lin1",
    "ffn.lin2",        "output_layer_norm",     "pre_classifier",  "classifier"
};

static const names *names_of(const kd__encoder *e)
{
    const int32_t family = e->trunk.config.family;
    return family == KD__BERT ? &bert : family == KD__DISTILBERT ? &distilbert : &roberta;
}

const char *kd__encoder_prefix(const kd__encoder *e) { return names_of(e)->prefix; }

typedef struct {
    kd__network *net;
    kd_context *context;
    const names *names;
    const char *prefix; /* "" where the folder has no head */
    int64_t layer;      /* -1: none */
} maker;

/* "<prefix><layer><part><end>" */
static kd_status tensor(const maker *m, const char *part, const char *end, int64_t rows,
                        int64_t columns, int32_t *index)
{
    char layer[40] = "", whole[KD_NAME_BYTES];
    const int64_t dims[2] = { rows, columns };
    if (m->layer >= 0) snprintf(layer, sizeof layer, m->names->layer, (int)m->layer);
    snprintf(whole, sizeof whole, "%s%s%s%s", m->prefix, layer, part, end);
    return kd__network_tensor(m->net, m->context, whole, columns ? 2 : 1, dims, index);
}

static kd_status dense(const maker *m, const char *part, int64_t outputs, int64_t inputs,
                       int32_t *weight, int32_t *bias)
{
    KD_TRY(tensor(m, part, ".weight", outputs, inputs, weight));
    return tensor(m, part, ".bias", outputs, 0, bias);
}

static kd_status norm(const maker *m, const char *part, int64_t n, int32_t *weight)
{
    int32_t bias;
    KD_TRY(tensor(m, part, ".weight", n, 0, weight));
    return tensor(m, part, ".bias", n, 0, &bias);
}

static kd_status layer_tensors(const maker *m, const kd__trunk_config *d, kd__trunk_layer *l)
{
    const names *n = m->names;
    KD_TRY(tensor(m, n->q, ".weight", d->hidden, d->hidden, &l->q));
    KD_TRY(tensor(m, n->k, ".weight", d->hidden, d->hidden, &l->k));
    KD_TRY(tensor(m, n->v, ".weight", d->hidden, d->hidden, &l->v));
    KD_TRY(tensor(m, n->q, ".bias", d->hidden, 0, &l->qb));
    KD_TRY(tensor(m, n->k, ".bias", d->hidden, 0, &l->kb));
    KD_TRY(tensor(m, n->v, ".bias", d->hidden, 0, &l->vb));
    KD_TRY(dense(m, n->o, d->hidden, d->hidden, &l->o, &l->ob));
    KD_TRY(norm(m, n->norm1, d->hidden, &l->norm1));
    KD_TRY(dense(m, n->up, d->inner, d->hidden, &l->gate, &l->gateb));
    KD_TRY(dense(m, n->down, d->hidden, d->inner, &l->down, &l->downb));
    return norm(m, n->norm2, d->hidden, &l->norm2);
}

static kd_status embedding_tensors(const maker *m, kd__trunk_config *d)
{
    const int64_t positions = d->positions + d->first_position;
    KD_TRY(tensor(m, "embeddings.word_embeddings", ".weight", d->vocabulary, d->hidden,
                  &d->embedding));
    KD_TRY(tensor(m, "embeddings.position_embeddings", ".weight", positions, d->hidden,
                  &d->position_table));
    if (d->types)
        KD_TRY(tensor(m, "embeddings.token_type_embeddings", ".weight", d->types, d->hidden,
                      &d->type_table));
    return norm(m, "embeddings.LayerNorm", d->hidden, &d->embedding_norm);
}

/* The pooler is the first stage of BERT's classifier; where there is none it is kept along. */
static kd_status head_tensors(maker *m, kd__encoder *e)
{
    const int64_t hidden = e->trunk.config.hidden;
    kd__stage *s = e->trunk.samples->chain[KD__CHAIN_LOGITS].stage;
    e->pooler = e->pooler_bias = -1;
    if (e->has_pooler)
        KD_TRY(dense(m, "pooler.dense", hidden, hidden, &e->pooler, &e->pooler_bias));
    if (!e->classifier) return KD_OK;
    m->prefix = "";
    s[0].weight = e->pooler;
    s[0].bias = e->pooler_bias;
    if (!e->has_pooler) KD_TRY(dense(m, m->names->dense, hidden, hidden, &s[0].weight, &s[0].bias));
    return dense(m, m->names->labels, s[1].outputs, hidden, &s[1].weight, &s[1].bias);
}

static kd_status make_tensors(kd__network *net, kd_context *context, kd__encoder *e)
{
    kd__trunk_config *d = &e->trunk.config;
    maker m = { net, context, names_of(e), e->classifier ? names_of(e)->prefix : "", -1 };
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
    KD_TRY(head_tensors(&m, e));
    return kd__samples_tensors(net, context, &e->trunk.samples->chain[KD__CHAIN_EMBEDDING]);
}

kd_status kd__encoder_read(kd__network *net, kd_context *context, const kd__json *root)
{
    const kd__json *input = kd__json_member(root, "input");
    KD_TRY(KD_NEW(context, (kd__encoder **)&net->state, 1));
    kd__encoder *e = net->state;
    KD_TRY(kd__name_copy(net->input, input ? input->text : "tokens", "config: input"));
    KD_TRY(kd__encoder_read_config(e, context, root));
    KD_TRY(kd__trunk_begin(&e->trunk, context));
    net->input_size = 1;
    return make_tensors(net, context, e);
}
