/* A decoder's tensors: names and order. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "language/decoder/decoder.h"

/* ---- tensors: q, k, v one after another, as are gate and up: each group is one product ---- */

typedef struct {
    kd__network *net;
    kd_context *context;
    int64_t layer; /* -1: none */
} maker;

static kd_status tensor(const maker *m, const char *name, int64_t rows, int64_t columns,
                        int32_t *index)
{
    char whole[KD_NAME_BYTES];
    const int64_t dims[2] = { rows, columns };
    if (m->layer < 0) snprintf(whole, sizeof whole, "%s", name);
    else snprintf(whole, sizeof whole, "model.layers.%d.%.40s", (int)m->layer, name);
    return kd__network_tensor(m->net, m->context, whole, columns ? 2 : 1, dims, index);
}

static kd_status attention_tensors(const maker *m, const kd__trunk_config *d, kd__trunk_layer *l)
{
    const int64_t q = d->heads * d->width, kv = d->kv_heads * d->width;
    KD_TRY(tensor(m, "self_attn.q_proj.weight", q, d->hidden, &l->q));
    KD_TRY(tensor(m, "self_attn.k_proj.weight", kv, d->hidden, &l->k));
    KD_TRY(tensor(m, "self_attn.v_proj.weight", kv, d->hidden, &l->v));
    if (d->qkv_bias) {
        KD_TRY(tensor(m, "self_attn.q_proj.bias", q, 0, &l->qb));
        KD_TRY(tensor(m, "self_attn.k_proj.bias", kv, 0, &l->kb));
        KD_TRY(tensor(m, "self_attn.v_proj.bias", kv, 0, &l->vb));
    }
    if (d->qk_norm) {
        KD_TRY(tensor(m, "self_attn.q_norm.weight", d->width, 0, &l->qn));
        KD_TRY(tensor(m, "self_attn.k_norm.weight", d->width, 0, &l->kn));
    }
    KD_TRY(tensor(m, "self_attn.o_proj.weight", d->hidden, q, &l->o));
    return d->o_bias ? tensor(m, "self_attn.o_proj.bias", d->hidden, 0, &l->ob) : KD_OK;
}

static kd_status layer_tensors(const maker *m, const kd__trunk_config *d, kd__trunk_layer *l)
{
    KD_TRY(tensor(m, "input_layernorm.weight", d->hidden, 0, &l->norm1));
    KD_TRY(attention_tensors(m, d, l));
    KD_TRY(tensor(m, "post_attention_layernorm.weight", d->hidden, 0, &l->norm2));
    KD_TRY(tensor(m, "mlp.gate_proj.weight", d->inner, d->hidden, &l->gate));
    KD_TRY(tensor(m, "mlp.up_proj.weight", d->inner, d->hidden, &l->up));
    if (d->mlp_bias) {
        KD_TRY(tensor(m, "mlp.gate_proj.bias", d->inner, 0, &l->gateb));
        KD_TRY(tensor(m, "mlp.up_proj.bias", d->inner, 0, &l->upb));
    }
    KD_TRY(tensor(m, "mlp.down_proj.weight", d->hidden, d->inner, &l->down));
    return d->mlp_bias ? tensor(m, "mlp.down_proj.bias", d->hidden, 0, &l->downb) : KD_OK;
}

/* The embedding, or a matrix of its own; a trunk alone has none. */
static kd_status head_tensor(const maker *m, kd__trunk_config *d)
{
    const char *name = d->classifier ? "score.weight" : "lm_head.weight";
    d->head = d->tied ? d->embedding : -1;
    return d->tied || !d->classes ? KD_OK : tensor(m, name, d->classes, d->hidden, &d->head);
}

static kd_status make_tensors(kd__network *net, kd_context *context, kd__trunk_config *d)
{
    maker m = { net, context, -1 };
    KD_TRY(tensor(&m, "model.embed_tokens.weight", d->vocabulary, d->embedded, &d->embedding));
    if (d->embedded < d->hidden)
        KD_TRY(tensor(&m, "model.embed_projection.weight", d->hidden, d->embedded, &d->projection));
    const int64_t own = d->layers / d->repeats;
    for (int64_t l = 0; l < own; l++) {
        kd__trunk_layer made;
        memset(&made, -1, sizeof made);
        m.layer = l;
        made.first = (int32_t)net->tensor_count;
        KD_TRY(layer_tensors(&m, d, &made));
        made.end = (int32_t)net->tensor_count;
        for (int64_t i = 0; i < d->repeats; i++)
            d->layer[d->whole_stack ? i * own + l : l * d->repeats + i] = made;
    }
    for (int64_t l = 0; l < d->layers; l++) {
        d->layer[l].window = d->windows[l];
        d->layer[l].shared_later = d->whole_stack ? l + own < d->layers : (l + 1) % d->repeats != 0;
    }
    m.layer = -1;
    KD_TRY(tensor(&m, "model.norm.weight", d->hidden, 0, &d->norm));
    return head_tensor(&m, d);
}

kd_status kd__decoder_read(kd__network *net, kd_context *context, const kd__json *root)
{
    const kd__json *input = kd__json_member(root, "input");
    KD_TRY(KD_NEW(context, (kd__decoder **)&net->state, 1));
    kd__decoder *decoder = net->state;
    kd__trunk *d = &decoder->trunk;
    KD_TRY(kd__name_copy(net->input, input ? input->text : "tokens", "config: input"));
    KD_TRY(kd__decoder_read_config(decoder, context, root));
    KD_TRY(kd__trunk_begin(d, context));
    net->input_size = 1;
    KD_TRY(make_tensors(net, context, &d->config));
    return kd__samples_tensors(net, context, &d->samples->chain[KD__CHAIN_EMBEDDING]);
}
