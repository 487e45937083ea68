/* A decoder's tensors, activations and outputs. The passes are in decoder_forward.c and decoder_backward.c. */
#include "model/decoder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"
#include "math/gemm.h"
#include "math/random.h"
#include "model/int8.h"

/* ---- tensors: q, k, v behind each other, as are gate and up: each group is one product ---- */

typedef struct {
    kd__network *net;
    kd_context *context;
    int64_t layer; /* -1: none */
} maker;

static kd_status tensor(const maker *m, const char *name, int64_t rows, int64_t columns, int32_t *index)
{
    char whole[KD_MAX_NAME];
    const int64_t dims[2] = { rows, columns };
    if (m->layer < 0) snprintf(whole, sizeof whole, "%s", name);
    else snprintf(whole, sizeof whole, "model.layers.%d.%.40s", (int)m->layer, name);
    return kd__network_tensor(m->net, m->context, whole, columns ? 2 : 1, dims, index);
}

static kd_status attention_tensors(const maker *m, const kd__decoder *d, kd__decoder_layer *l)
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

static kd_status layer_tensors(const maker *m, const kd__decoder *d, kd__decoder_layer *l)
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

static kd_status make_tensors(kd__network *net, kd_context *context, kd__decoder *d)
{
    maker m = { net, context, -1 };
    KD_TRY(tensor(&m, "model.embed_tokens.weight", d->vocabulary, d->embedded, &d->embedding));
    if (d->embedded < d->hidden) KD_TRY(tensor(&m, "model.embed_projection.weight", d->hidden, d->embedded, &d->projection));
    const int64_t own = d->layers / d->repeats;
    for (int64_t l = 0; l < own; l++) {
        kd__decoder_layer made;
        memset(&made, -1, sizeof made);
        m.layer = l;
        KD_TRY(layer_tensors(&m, d, &made));
        for (int64_t i = 0; i < d->repeats; i++) d->layer[d->whole_stack ? i * own + l : l * d->repeats + i] = made;
    }
    for (int64_t l = 0; l < d->layers; l++) {
        d->layer[l].window = d->windows[l];
        d->layer[l].again = d->whole_stack ? l + own < d->layers : (l + 1) % d->repeats != 0;
    }
    m.layer = -1;
    KD_TRY(tensor(&m, "model.norm.weight", d->hidden, 0, &d->norm));
    d->head = d->embedding;
    return d->tied ? KD_OK : tensor(&m, d->classifier ? "score.weight" : "lm_head.weight", d->classes, d->hidden, &d->head);
}

kd_status kd__decoder_read(kd__network *net, kd_context *context, const kd__json *root)
{
    const kd__json *input = kd__json_member(root, "input");
    KD_TRY(KD_NEW(context, &net->decoder, 1));
    kd__decoder *d = net->decoder;
    KD_TRY(kd__name_copy(net->input, input && input->type == KD__JSON_STRING ? input->text : "tokens", "config: input"));
    KD_TRY(kd__decoder_config(d, context, root));
    KD_TRY(KD_NEW(context, &d->layer, d->layers));
    KD_TRY(KD_NEW(context, &d->dlayers, d->layers));
    KD_TRY(KD_NEW(context, &d->dlayers_room, d->layers));
    KD_TRY(KD_NEW(context, &d->has_dlayer, d->layers));
    net->input_size = 1;
    return make_tensors(net, context, d);
}

void kd__decoder_free(kd__decoder *d, kd_context *context)
{
    if (!d) return;
    for (int64_t l = 0; l < d->layers && d->dlayers; l++) kd__release(context, d->dlayers[l]);
    void *blocks[] = {
        d->layer, d->windows, d->tokens, d->offsets, d->dhidden, d->dlayers, d->dlayers_room, d->has_dlayer, d->logits, d->dlogits, d
    };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(context, blocks[i]);
}

/* Matrices N(0, initializer_range), norms 1, biases 0: transformers' rule for these families. Box and Muller's method on counters. */
static void initialise(kd_model *model)
{
    const kd__decoder *d = model->net.decoder;
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        const kd__tensor *t = &model->net.tensors[i];
        float *to = model->parameters + t->offset;
        const uint64_t stream = kd__stream(model->seed, 0x696e6974, (uint64_t)i);
        if (t->rank == 1) {
            const int norm = strstr(t->name, "norm") != NULL;
            for (int64_t j = 0; j < t->count; j++) to[j] = norm ? 1 : 0;
            continue;
        }
        const double range = i == d->projection ? 1 / sqrt((double)d->embedded) : d->range; /* keeps the size of an embedding */
        for (int64_t j = 0; j < t->count; j++) {
            const double u = 1 - kd__uniform(stream, (uint64_t)(j / 2 * 2)), v = 6.283185307179586 * kd__uniform(stream, (uint64_t)(j / 2 * 2 + 1));
            to[j] = (float)(range * sqrt(-2 * log(u)) * (j % 2 ? sin(v) : cos(v)));
        }
    }
}

/* ---- gradients ---- */

/* The layers' tensors lie behind each other, other tensors before and behind them. */
kd_status kd__decoder_share_gradients(kd__network *net, int64_t *floats)
{
    const kd__decoder *d = net->decoder;
    int64_t begin, end, first, most = 0;
    KD_FAIL_IF(d->repeats > 1 && d->whole_stack, KD_ERR_UNSUPPORTED, "shared_gradients: layers that are shared as a stack keep theirs to the end");
    kd__decoder_tensors(&d->layer[0], &begin, &end);
    kd__decoder_tensors(&d->layer[d->layers - 1], &first, &end);
    *floats = 0;
    for (int64_t i = 0; i < net->tensor_count; i++) {
        if (i >= begin && i < end) continue;
        net->tensors[i].gradient = *floats;
        *floats += net->tensors[i].count;
    }
    for (int64_t l = 0; l < d->layers; l++) {
        int64_t last, at = 0;
        kd__decoder_tensors(&d->layer[l], &first, &last);
        for (int64_t i = first; i < last; at += net->tensors[i++].count) net->tensors[i].gradient = *floats + at;
        if (at > most) most = at;
    }
    *floats += most;
    return KD_OK;
}

/* ---- activations ---- */

static int64_t place(int64_t *floats, int64_t rows, int64_t width)
{
    const int64_t at = *floats;
    *floats += (rows * width + 15) / 16 * 16;
    return at;
}

/* Places for the values of layers that are kept, behind the first: as they are, or in 16 bits. */
static void keep_layers(kd__decoder *d, int32_t train, int64_t place)
{
    kd__decoder_plan *p = &d->plan;
    const int64_t kept = d->layers - d->again;
    if (!train || !kept) return;
    if (d->kept == KD_FLOAT32) {
        p->step = place;
        p->floats += p->step * (kept - 1);
        return;
    }
    p->stored = p->floats;
    p->stored_step = p->halved / 2 + p->whole;
    p->floats += p->stored_step * kept;
}

/* A pass that is not pushed back keeps one layer's values, and the next layer writes over them. */
void kd__decoder_lay_out(kd__decoder *d, int64_t rows, int32_t train)
{
    kd__decoder_plan *p = &d->plan;
    const int64_t q = d->heads * d->width, all = q + 2 * d->kv_heads * d->width;
    memset(p, 0, sizeof *p);
    p->rows = rows;
    p->x = place(&p->floats, rows, d->hidden);
    p->x_step = train ? p->floats : 0;
    p->floats += p->x_step * d->layers;
    const int64_t first = p->floats;
    p->qkv = place(&p->floats, rows, all);
    if (d->qk_norm) p->raw = place(&p->floats, rows, q + d->kv_heads * d->width);
    p->att = place(&p->floats, rows, q);
    p->gu = place(&p->floats, rows, 2 * d->inner);
    p->mid = place(&p->floats, rows, d->hidden);
    p->halved = p->floats - first;
    p->lse = place(&p->floats, rows, d->heads);
    p->r1 = place(&p->floats, rows, 1);
    p->r2 = place(&p->floats, rows, 1);
    if (d->qk_norm) p->rq = place(&p->floats, rows, d->heads + d->kv_heads);
    p->whole = p->floats - first - p->halved;
    keep_layers(d, train, p->floats - first);
    p->hidden = place(&p->floats, rows, d->outer);
    if (d->projection >= 0) p->gathered = place(&p->floats, rows, d->embedded);
    p->last_r = place(&p->floats, rows, 1);
    p->cosine = place(&p->floats, rows, d->width / 2);
    p->sine = place(&p->floats, rows, d->width / 2);
    p->normed = place(&p->floats, rows, d->hidden);
    p->act = place(&p->floats, rows, d->inner);
    if (!train) return;
    p->dx = place(&p->floats, rows, d->hidden);
    p->dy = place(&p->floats, rows, d->hidden);
    p->wide = place(&p->floats, rows, d->inner > q ? d->inner : q);
    if (d->projection >= 0) p->dgathered = place(&p->floats, rows, d->embedded);
    p->dqkv = place(&p->floats, rows, all);
    p->dgu = place(&p->floats, rows, 2 * d->inner);
}

/* The most that one of a layer's products takes: y (rows, outputs) = x W', and backwards dx and dW. */
static int64_t product_scratch(const kd_context *context, int64_t rows, int64_t inputs, int64_t outputs, int32_t train, int32_t weights)
{
    if (weights == KD_INT8) return kd__int8_scratch(rows, inputs);
    const int64_t y = kd__gemm_scratch(context, rows, outputs, inputs), dx = train ? kd__gemm_scratch(context, rows, inputs, outputs) : 0,
                  dw = train ? kd__gemm_scratch(context, outputs, inputs, rows) : 0;
    return y > dx ? (y > dw ? y : dw) : (dx > dw ? dx : dw);
}

static int64_t most_scratch(const kd__decoder *d, const kd_context *context, int64_t rows, int32_t train, int32_t weights)
{
    const int64_t q = d->heads * d->width, all = q + 2 * d->kv_heads * d->width;
    const int64_t shapes[][2] = {
        { d->hidden, all }, { q, d->hidden }, { d->hidden, 2 * d->inner }, { d->inner, d->hidden }, { d->embedded, d->hidden }
    };
    kd__attention a = kd__decoder_attention(d, &d->layer[0]);
    a.sequences = rows; /* at most */
    int64_t most = kd__attention_scratch(context, &a);
    for (int i = 0; i < (d->projection < 0 ? 4 : 5); i++) {
        const int64_t one = product_scratch(context, rows, shapes[i][0], shapes[i][1], train, i == 4 ? KD_FLOAT32 : weights);
        if (one > most) most = one;
    }
    return most;
}

kd_status kd__decoder_memory(const kd__decoder *d, const kd_context *context, int64_t rows, int32_t train, int32_t weights, int64_t *floats)
{
    kd__decoder copy = *d;
    int64_t a_row, whole;
    kd__decoder_lay_out(&copy, 1, train);
    KD_TRY(kd__multiply(copy.plan.floats, rows, &a_row));
    KD_TRY(kd__multiply(a_row, 8, &whole)); /* fits in bytes */
    kd__decoder_lay_out(&copy, rows, train);
    *floats = copy.plan.floats + rows + (train ? rows * d->outer : 0) + (rows ? most_scratch(d, context, rows, train, weights) : 0);
    if (weights == KD_INT8) *floats += kd__int8_model_bytes(d) / 4;
    return KD_OK;
}

/* ---- outputs ---- */

static void view(const kd_model *model, kd_array *values, float *data, int64_t width)
{
    const int64_t dims[2] = { model->rows, width };
    kd__array_view(values, data, KD_FLOAT32, 2, dims);
}

/* "hidden.i" is what layer i leaves; -1: no such name. */
static int64_t layer_of(const kd_model *model, const char *name)
{
    const kd__decoder *d = model->net.decoder;
    char expected[KD_MAX_NAME];
    long long l = -1;
    if (sscanf(name, "hidden.%lld", &l) != 1 || l < 0 || l >= d->layers) return -1;
    snprintf(expected, sizeof expected, "hidden.%lld", l);
    return strcmp(name, expected) ? -1 : l;
}

/* The whole logits: (R, V) numbers, made when asked for. Losses never ask: they go through the head in blocks. */
static kd_status make_logits(kd_model *model)
{
    kd__decoder *d = model->net.decoder;
    kd_context *context = model->object.context;
    if (d->logits_known) return KD_OK;
    KD_TRY(KD_RESERVE(context, &d->logits, &d->logits_room, model->rows * d->classes));
    kd__gemm g = { 0,        1, model->rows, d->classes, d->outer, 1, model->block + d->plan.hidden, d->outer, kd__tensor_values(model, d->head),
                   d->outer, 0, d->logits,   d->classes };
    KD_TRY(model->int8 ? kd__int8_product(context, kd__int8_find(model->int8, d->head), g.a, model->rows, d->logits) : kd__gemm_run(context, &g));
    d->logits_known = 1;
    return KD_OK;
}

static kd_status output(kd_model *model, const char *name, kd_array *values)
{
    const kd__decoder *d = model->net.decoder;
    if (!strcmp(name, "hidden")) view(model, values, model->block + d->plan.hidden, d->outer);
    else if (!strcmp(name, "logits")) {
        KD_TRY(make_logits(model));
        view(model, values, d->logits, d->classes);
    } else {
        const int64_t l = layer_of(model, name);
        KD_FAIL_IF(l < 0, KD_ERR_NOT_FOUND, "the model has no output '%.60s'", name);
        KD_FAIL_IF(!d->plan.x_step, KD_ERR_STATE, "output '%.60s': only a KD_TRAIN pass keeps the layers of a language model", name);
        view(model, values, model->block + d->plan.x + (l + 1) * d->plan.x_step, d->hidden);
    }
    return KD_OK;
}

static const char *output_name(kd_model *model, int64_t n)
{
    (void)model;
    return n == 0 ? "hidden" : NULL;
}

static kd_status gradient_slot(kd_model *model, const char *name, float **to, int32_t *add)
{
    kd__decoder *d = model->net.decoder;
    kd_context *context = model->object.context;
    const int64_t l = layer_of(model, name);
    int32_t *has = &d->has_dhidden;
    if (!strcmp(name, "hidden")) {
        KD_TRY(KD_RESERVE(context, &d->dhidden, &d->dhidden_room, d->plan.rows * d->outer));
        *to = d->dhidden;
    } else if (!strcmp(name, "logits")) {
        KD_TRY(KD_RESERVE(context, &d->dlogits, &d->dlogits_room, d->plan.rows * d->classes));
        *to = d->dlogits;
        has = &d->has_dlogits;
    } else {
        KD_FAIL_IF(l < 0, KD_ERR_NOT_FOUND, "the model has no output '%.60s'", name);
        KD_TRY(KD_RESERVE(context, &d->dlayers[l], &d->dlayers_room[l], d->plan.rows * d->hidden));
        *to = d->dlayers[l];
        has = &d->has_dlayer[l];
    }
    *add = *has;
    *has = 1;
    return KD_OK;
}

static void forget_gradients(kd_model *model)
{
    kd__decoder *d = model->net.decoder;
    d->has_dhidden = d->has_dlogits = d->head_written = 0;
    memset(d->has_dlayer, 0, (size_t)d->layers * sizeof *d->has_dlayer);
}

void kd__decoder_head(kd_model *model, kd_head *head, int gradient)
{
    kd__decoder *d = model->net.decoder;
    const kd__tensor *t = &model->net.tensors[d->head];
    kd__array_view(&d->head_view, kd__tensor_values(model, d->head), KD_FLOAT32, 2, t->dims);
    head->weight = &d->head_view;
    if (!gradient || t->frozen) return;
    if (model->gradients_fresh && !d->head_written) memset(kd__tensor_gradient(model, d->head), 0, (size_t)t->count * sizeof(float));
    d->head_written = 1;
    kd__array_view(&d->head_gradient, kd__tensor_gradient(model, d->head), KD_FLOAT32, 2, t->dims);
    head->weight_gradient = &d->head_gradient;
}

static kd_status forward(kd_model *model, kd_batch *batch, int32_t mode)
{
    model->mode = mode;
    forget_gradients(model);
    model->net.decoder->logits_known = 0;
    KD_TRY(kd__decoder_forward(model, batch));
    model->passes += mode == KD_TRAIN;
    return KD_OK;
}

const kd__engine kd__decoder_engine = { forward, kd__decoder_backward, output, output_name, gradient_slot, forget_gradients, initialise };
