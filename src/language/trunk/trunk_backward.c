/* A trunk's backward pass. Legend in trunk.h; dx is the gradient of the residual stream. What
 * is cheap is computed again: norms, silu(gate) up. What is over is written over: a layer's gate
 * and up by their gradient, a norm's values by dy once a weight's gradient has read them, and
 * silu(gate) up by dqkv. */
#include <string.h>

#include "base/context.h"
#include "base/log.h"
#include "base/memory.h"
#include "language/trunk/trunk.h"
#include "language/trunk/lattice.h"
#include "language/trunk/lora.h"
#include "language/trunk/packed.h"
#include "nn/embedding.h"
#include "nn/dropout.h"
#include "nn/gated.h"
#include "nn/gated_gelu.h"
#include "nn/gelu.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/residual.h"

typedef struct {
    kd_model *model;
    const kd__trunk_config *d;
    kd__trunk_pass *pass;
    const kd__trunk_plan *p;
    kd__outside *outside;
    float *block, *dx;
    kd__rows rows;
    int32_t fresh;  /* the model's gradients are overwritten */
    int64_t lowest; /* the lowest part of the trunk that is trained (kd__trunk_part) */
} backward;

/* ---- parts ---- */

static float *values(const backward *w, int32_t tensor)
{
    return kd__tensor_values(w->model, tensor);
}
/* Of tensors that follow one another, `count` numbers in all; NULL: none of them is trained, or
 * they are packed and their adapters alone have gradients. */
static float *gradients(const backward *w, int32_t tensor, int64_t count)
{
    return tensor >= 0 && !w->model->net.tensors[tensor].is_packed &&
                   kd__lora_wants(w->model, tensor, count)
               ? kd__tensor_gradient(w->model, tensor)
               : NULL;
}
static float *gradient(const backward *w, int32_t tensor)
{
    return tensor < 0 ? NULL : gradients(w, tensor, w->model->net.tensors[tensor].count);
}

static void clear(const backward *w, int32_t tensor) { kd__trunk_clear(w->model, tensor); }

/* A norm of the residual stream once more. */
static const float *normed(const backward *w, int32_t weight, const float *x)
{
    float *y = w->block + w->p->normed;
    kd__trunk_norm(w->model, &w->rows, weight, x, y, NULL);
    return y;
}

/* dx += the gradient through a norm of the residual stream, or = where the stream itself is normed:
 * dy is dx then. */
static void norm_gradient(const backward *w, int32_t weight, const float *x, const float *kept,
                          const float *dy, int add)
{
    const float *scale = values(w, weight);
    float *dscale = gradient(w, weight);
    const int64_t n = w->d->hidden;
    if (w->d->layer_norm)
        kd__layer_norm_gradient(&w->rows, x, scale, kept, dy, n, w->dx, dy != w->dx, dscale,
                                gradient(w, kd__trunk_norm_bias(w->d, weight)), add);
    else kd__norm_gradient(&w->rows, x, scale, kept, dy, n, w->dx, dscale, add);
}

/* The gradient of what a part of a block gave: that of the stream, through the part's dropout. */
static const float *part_gradient(const backward *w, int64_t site)
{
    float *to = w->block + w->p->dy;
    if (!(w->pass->dropout > 0)) return w->dx;
    kd__dropout(w->rows.context, to, w->dx, w->pass->dropout,
                kd__trunk_row_stream(w->model, w->pass, site), w->rows.count, w->d->hidden);
    return to;
}

/* What entered a part gets dy, the gradient through the part, as well. */
static void enter_gradient(const backward *w, int32_t norm, const float *x, const float *kept,
                           const float *dy, int add)
{
    if (w->d->post_norm || norm < 0) kd__residual(&w->rows, w->dx, dy, NULL, w->d->hidden);
    else norm_gradient(w, norm, x, kept, dy, add);
}

/* A product makes the gradients of all its tensors: those of frozen ones are 0. */
static void clear_frozen(const backward *w, int32_t tensor, int64_t count)
{
    for (int32_t i = tensor; count > 0; count -= w->model->net.tensors[i++].count)
        if (!gradient(w, i)) clear(w, i);
}

/* Between products: an exchange under way moves its bytes. */
static void tick(const backward *w)
{
    kd_model *model = w->model;
    if (model->on_gradients) model->on_gradients(model->on_gradients_user, model, 0, 0);
}

/* dW (+)= dy' x */
static kd_status weight_gradient(const backward *w, int32_t weight, const float *x, int64_t inputs,
                                 const float *dy, int64_t outputs, int add)
{
    float *dw = gradients(w, weight, inputs * outputs);
    if (kd__trunk_trains_packed(w->model, weight)) {
        KD_TRY(kd__lora_weight_gradient(w->model, &w->rows, weight, x, inputs, dy, outputs, add));
        tick(w);
    }
    if (!dw) return KD_OK;
    KD_TRY(kd__linear_weight_gradient(&w->rows, x, inputs, dy, outputs, dw, add));
    clear_frozen(w, weight, inputs * outputs);
    tick(w);
    return KD_OK;
}

/* db (+)= sums of dy */
static void bias_gradient(const backward *w, int32_t bias, const float *dy, int64_t outputs,
                          int add)
{
    float *db = bias < 0 ? NULL : gradients(w, bias, outputs);
    if (!db) return;
    kd__bias_gradient(&w->rows, dy, outputs, db, add);
    clear_frozen(w, bias, outputs);
}

/* dx (R, inputs) = dy W; the rows of W may be several tensors'. */
static kd_status input_gradient(const backward *w, int32_t weight, const float *dy, int64_t outputs,
                                int64_t inputs, float *dx)
{
    return kd__trunk_trains_packed(w->model, weight)
               ? kd__packed_input_gradient(w->model, &w->rows, weight, dy, outputs, inputs, dx, 0)
               : kd__linear_input_gradient(&w->rows, dy, outputs, values(w, weight), inputs, dx);
}

static kd_status linear_gradient(const backward *w, int32_t weight, const float *x, int64_t inputs,
                                 const float *dy, int64_t outputs, float *dx, int add)
{
    KD_TRY(weight_gradient(w, weight, x, inputs, dy, outputs, add));
    return input_gradient(w, weight, dy, outputs, inputs, dx);
}

/* Is nothing trained that the gradient of what enters this part would reach? A norm at its
 * beginning belongs to the part. */
static int ends_here(const backward *w, int64_t part, int32_t norm)
{
    if (w->lowest < part) return 0;
    return w->d->post_norm || norm < 0 ||
           (!gradient(w, norm) &&
            !(w->d->layer_norm && gradient(w, kd__trunk_norm_bias(w->d, norm))));
}

/* ---- a layer ---- */

/* Over gu its gradient, from that of the middle's output, which is made again. */
static void middle_gradient(const backward *w, float *gu, const float *dact)
{
    float *act = w->block + w->p->act;
    if (w->d->no_gate) kd__gelu_gradient(&w->rows, gu, dact, w->d->inner, act, gu);
    else if (w->d->gelu_gate) kd__gated_gelu_gradient(&w->rows, gu, dact, w->d->inner, act, gu);
    else kd__gated_gradient(&w->rows, gu, dact, w->d->inner, act, gu);
}

static kd_status feed_forward(const backward *w, const kd__trunk_layer *l, int64_t layer, float *at,
                              int add)
{
    const kd__trunk_config *d = w->d;
    const kd__trunk_plan *p = w->p;
    const int64_t units = kd__trunk_units(d);
    float *act = w->block + p->act, *dact = w->block + p->wide, *dgu = at + p->gu,
          *dy = w->block + p->dy;
    if (d->post_norm) norm_gradient(w, l->norm2, at + p->sum, at + p->r2, w->dx, add);
    const float *dpart = part_gradient(w, kd__trunk_site(layer, KD__SITE_FEED_FORWARD));
    bias_gradient(w, l->downb, dpart, d->hidden, add);
    KD_TRY(input_gradient(w, l->down, dpart, d->hidden, d->inner, dact));
    middle_gradient(w, dgu, dact);
    KD_TRY(weight_gradient(w, l->down, act, d->inner, dpart, d->hidden, add));
    bias_gradient(w, l->gateb, dgu, units, add);
    const int32_t entered = d->post_norm ? l->norm1 : l->norm2;
    KD_TRY(
        weight_gradient(w, l->gate, normed(w, entered, at + p->mid), d->hidden, dgu, units, add));
    if (ends_here(w, kd__trunk_part(layer, KD__SITE_FEED_FORWARD), l->norm2)) return KD_OK;
    KD_TRY(input_gradient(w, l->gate, dgu, units, d->hidden, dy));
    enter_gradient(w, l->norm2, at + p->mid, at + p->r2, dy, add);
    return KD_OK;
}

/* What the host or a term gave for queries, keys and values as they are multiplied. */
static void add_to_attention(const backward *w, int64_t layer, float *dqkv)
{
    const kd__trunk_config *d = w->d;
    const int64_t q = d->heads * d->width, all = q + 2 * d->kv_heads * d->width;
    for (int part = 0; part < KD__ATTENTION_PARTS; part++) {
        const int64_t n = kd__attention_width(d, part);
        const float *given = kd__trunk_outside(w->outside, kd__attention_slot(d, layer, part));
        float *to = dqkv + kd__attention_offset(d, part);
        for (int64_t r = 0; given && r < w->rows.count; r++)
            w->rows.context->kernels->axpby(to + r * all, 1, given + r * n, 1, n);
    }
}

static kd_status attention(const backward *w, const kd__trunk_layer *l, int64_t layer,
                           const float *at, const float *x, int add)
{
    const kd__trunk_config *d = w->d;
    const kd__trunk_plan *p = w->p;
    const int64_t q = d->heads * d->width, all = q + 2 * d->kv_heads * d->width;
    float *datt = w->block + p->wide, *dqkv = w->block + p->dqkv, *dy = w->block + p->dy;
    const kd__attention a = kd__trunk_layer_attention(w->model, w->pass, layer);
    const kd__heads heads = kd__trunk_heads(w->model, l, kd__trunk_turn(d, w->pass, l, p->cosine),
                                            kd__trunk_turn(d, w->pass, l, p->sine));
    if (d->post_norm) norm_gradient(w, l->norm1, at + p->mid, at + p->r1, w->dx, add);
    const float *dpart = part_gradient(w, kd__trunk_site(layer, KD__SITE_ATTENTION));
    bias_gradient(w, l->ob, dpart, d->hidden, add);
    KD_TRY(linear_gradient(w, l->o, at + p->att, q, dpart, d->hidden, datt, add));
    KD_TRY(kd__attention_backward(w->rows.context, &a, at + p->qkv, at + p->att, at + p->lse, datt,
                                  dqkv));
    add_to_attention(w, layer, dqkv);
    kd__heads_gradient(&w->rows, &heads, at + p->raw, at + p->rq, dqkv, gradient(w, l->qn),
                       gradient(w, l->kn), add);
    bias_gradient(w, l->qb, dqkv, all, add);
    const float *entered = d->post_norm || l->norm1 < 0 ? x : normed(w, l->norm1, x);
    KD_TRY(weight_gradient(w, l->q, entered, d->hidden, dqkv, all, add));
    if (ends_here(w, kd__trunk_part(layer, KD__SITE_ATTENTION), l->norm1)) return KD_OK;
    KD_TRY(input_gradient(w, l->q, dqkv, all, d->hidden, dy));
    enter_gradient(w, l->norm1, x, at + p->r1, dy, add);
    return KD_OK;
}

/* A layer's gradients are whole when no layer before it has the same tensors. */
static int is_whole(const kd__trunk_config *d, int64_t layer)
{
    return d->whole_stack ? layer < d->layers / d->repeats : layer % d->repeats == 0;
}

int kd__trunk_gradient_run(const kd_model *model, int64_t n, int64_t *first, int64_t *end)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    for (int64_t layer = d->layers; layer-- > 0;) {
        if (!is_whole(d, layer) || n-- > 0) continue;
        *first = d->layer[layer].first;
        *end = d->layer[layer].end;
        return 1;
    }
    return 0;
}

static kd_status finish_layer(const backward *w, int64_t layer)
{
    const kd__trunk_config *d = w->d;
    kd_model *model = w->model;
    const int64_t first = d->layer[layer].first, end = d->layer[layer].end;
    if (!is_whole(d, layer)) return KD_OK;
    KD_TRY(kd__lora_gradients(model, first, end));
    kd__lattice_gradients(model, first, end);
    if (model->on_gradients) model->on_gradients(model->on_gradients_user, model, first, end);
    return KD_OK;
}

/* What the host or a term gave for the stream at this place. */
static void add_outside(const backward *w, int32_t place)
{
    const float *given = kd__trunk_outside(w->outside, KD__SLOT_STREAM + place);
    if (given) w->rows.context->kernels->axpby(w->dx, 1, given, 1, w->rows.count * w->d->hidden);
}

static kd_status backward_layer(const backward *w, int64_t layer)
{
    const kd__trunk_config *d = w->d;
    const kd__trunk_layer *l = &d->layer[layer];
    float *at = w->block + kd__trunk_at(w->p, layer);
    const float *x = w->block + w->p->x + layer * w->p->x_step;
    const int add = !w->fresh || l->shared_later;
    if (w->lowest > kd__trunk_part(layer, KD__SITE_FEED_FORWARD)) return finish_layer(w, layer);
    KD_TRY(kd__progress(w->rows.context, "backward", d->layers - 1 - layer, d->layers));
    add_outside(w, (int32_t)layer + 1);
    KD_TRY(kd__trunk_layer_again(w->model, w->pass, layer));
    KD_TRY(feed_forward(w, l, layer, at, add));
    if (w->lowest <= kd__trunk_part(layer, KD__SITE_ATTENTION))
        KD_TRY(attention(w, l, layer, at, x, add));
    return finish_layer(w, layer);
}

/* ---- the ends ---- */

/* The same through a head that is packed: its adapter's gradients. */
static kd_status packed_logits_gradient(kd_model *model, const kd__rows *rows, const float *states,
                                        float *dstates, int add)
{
    const kd__trunk *s = kd__trunk_of(model);
    const kd__trunk_config *d = &s->config;
    const float *dlogits = s->outside.dlogits;
    KD_TRY(
        kd__lora_weight_gradient(model, rows, d->head, states, d->outer, dlogits, d->classes, 1));
    return kd__packed_input_gradient(model, rows, d->head, dlogits, d->classes, d->outer, dstates,
                                     add);
}

/* dstates = or += dlogits W,  dW += dlogits' states,  db += sums of dlogits */
kd_status kd__trunk_logits_gradient(kd_model *model, const float *states, float *dstates, int add)
{
    const kd__trunk *s = kd__trunk_of(model);
    const kd__trunk_config *d = &s->config;
    const kd__rows rows = { model->object.context, s->pass.rows };
    kd_head head = KD_HEAD_INIT;
    kd__trunk_view_head(model, &head, 1);
    if (head.weight_gradient)
        KD_TRY(kd__linear_weight_gradient(&rows, states, d->outer, s->outside.dlogits, d->classes,
                                          head.weight_gradient->data, 1));
    if (head.bias_gradient)
        kd__bias_gradient(&rows, s->outside.dlogits, d->classes, head.bias_gradient->data, 1);
    if (kd__trunk_trains_packed(model, d->head))
        return packed_logits_gradient(model, &rows, states, dstates, add);
    const kd__gemm g = { .m = rows.count,
                         .n = d->outer,
                         .k = d->classes,
                         .alpha = 1,
                         .a = s->outside.dlogits,
                         .lda = d->classes,
                         .b = head.weight->data,
                         .ldb = d->outer,
                         .beta = add ? 1 : 0,
                         .c = dstates,
                         .ldc = d->outer };
    return kd__gemm_run(rows.context, &g);
}

/* Whole logits: into the gradient of "hidden". */
static kd_status logits_gradient(const backward *w)
{
    kd__outside *o = w->outside;
    const int add = o->has_dhidden;
    KD_TRY(KD_RESERVE(w->rows.context, &o->dhidden, &o->dhidden_room, w->p->rows * w->d->outer));
    o->has_dhidden = 1;
    return kd__trunk_logits_gradient(w->model, w->block + w->p->hidden, o->dhidden, add);
}

/* Through the projection out of the residual stream: the gradient of the last norm's values; the
 * projection's own. */
static kd_status push_out(const backward *w, const float *dhidden, float *dlast)
{
    const kd__trunk_config *d = w->d;
    const float *last = normed(w, d->norm, w->block + w->p->x + d->layers * w->p->x_step);
    /* dP = last' dhidden */
    KD_TRY(weight_gradient(w, d->projection, dhidden, d->embedded, last, d->hidden, !w->fresh));
    const kd__gemm g = kd__trunk_projection(w->model, 1, w->rows.count, dhidden, dlast);
    return kd__gemm_run(w->rows.context, &g);
}

/* "hidden" is what the last layer left: its gradient begins that of the stream. */
static kd_status begin_stream(const backward *w)
{
    const size_t bytes = (size_t)(w->rows.count * w->d->hidden) * sizeof *w->dx;
    if (w->outside->has_dhidden) memcpy(w->dx, w->outside->dhidden, bytes);
    else memset(w->dx, 0, bytes);
    return KD_OK;
}

/* Of a head that this pass did not go through. */
static void clear_head(const backward *w)
{
    const kd__trunk_config *d = w->d;
    if (d->head >= 0 && !d->tied && gradient(w, d->head)) clear(w, d->head);
    kd__lora_clear(w->model, d->head);
    if (gradient(w, d->head_bias)) clear(w, d->head_bias);
}

/* From the gradient of "hidden" to that of what the last layer left. */
static kd_status backward_head(const backward *w)
{
    const kd__trunk_config *d = w->d;
    const kd__outside *o = w->outside;
    const float *dlast = o->dhidden;
    if (o->has_dlogits) KD_TRY(logits_gradient(w));
    if (w->fresh && !o->head_written) clear_head(w);
    if (w->lowest > kd__trunk_part(d->layers, 0)) return KD_OK;
    if (d->norm < 0) return begin_stream(w);
    memset(w->dx, 0, (size_t)(w->rows.count * d->hidden) * sizeof *w->dx);
    if (!o->has_dhidden) {
        if (w->fresh) clear(w, d->norm);
        if (w->fresh && d->layer_norm) clear(w, kd__trunk_norm_bias(d, d->norm));
        return KD_OK;
    }
    dlast = o->dhidden;
    if (d->outer < d->hidden) {
        KD_TRY(push_out(w, o->dhidden, w->block + w->p->dy));
        dlast = w->block + w->p->dy;
    }
    norm_gradient(w, d->norm, w->block + w->p->x + d->layers * w->p->x_step,
                  w->block + w->p->last_r, dlast, !w->fresh);
    return KD_OK;
}

static void embedding_gradient(const backward *w, const float *dx)
{
    const kd__trunk_config *d = w->d;
    const int written = d->tied && w->outside->head_written;
    float *dtable = gradient(w, d->embedding);
    if (!dtable) return;
    if (w->fresh && !written) clear(w, d->embedding);
    kd__embedding_gradient(&w->rows, dx, w->pass->tokens, d->embedded, dtable);
}

static void table_gradient(const backward *w, int32_t table, const int32_t *ids)
{
    float *dtable = gradient(w, table);
    if (!dtable) return;
    if (w->fresh) clear(w, table);
    kd__embedding_gradient(&w->rows, w->dx, ids, w->d->hidden, dtable);
}

/* Through dropout and norm of what enters layer 0, to positions and types. */
static void enter_layers(const backward *w)
{
    const kd__trunk_config *d = w->d;
    add_outside(w, 0);
    if (w->pass->dropout > 0)
        kd__dropout(w->rows.context, w->dx, w->dx, w->pass->dropout,
                    kd__trunk_row_stream(w->model, w->pass, KD__DROP_EMBEDDING), w->rows.count,
                    d->hidden);
    if (d->embedding_norm >= 0)
        norm_gradient(w, d->embedding_norm, w->block + w->p->summed, w->block + w->p->summed_r,
                      w->dx, !w->fresh);
    table_gradient(w, d->position_table, w->pass->positions);
    table_gradient(w, d->type_table, w->pass->types);
}

/* dK (+)= dx' u of the unfolded patches u, whose rows of tokens are 0; nothing is before them. */
static kd_status backward_images(const backward *w)
{
    const kd__trunk_config *d = w->d;
    kd__trunk_tokens_gradient(w->model, w->pass, w->dx, !w->fresh);
    return weight_gradient(w, d->projection, w->block + w->p->gathered, d->embedded, w->dx,
                           d->hidden, !w->fresh);
}

/* Through the projection into the residual stream: dP (+)= dx' e, de = dx P. */
static kd_status backward_embedding(const backward *w)
{
    const kd__trunk_config *d = w->d;
    float *de = w->block + w->p->dgathered;
    /* push_out has written */
    const int add = !w->fresh || (d->outer < d->hidden && w->outside->has_dhidden);
    if (d->patches.channels) return backward_images(w);
    if (d->projection < 0) {
        embedding_gradient(w, w->dx);
        return KD_OK;
    }
    KD_TRY(weight_gradient(w, d->projection, w->block + w->p->gathered, d->embedded, w->dx,
                           d->hidden, add));
    if (!gradient(w, d->embedding)) return KD_OK;
    KD_TRY(input_gradient(w, d->projection, w->dx, d->hidden, d->embedded, de));
    embedding_gradient(w, de);
    return KD_OK;
}

static int has_any(const kd__outside *o, const kd__trunk_config *d)
{
    int any = o->has_dhidden || o->has_dlogits;
    for (int32_t s = KD__SLOT_STREAM; s < kd__trunk_slots(d); s++)
        any |= kd__trunk_outside(o, s) != NULL;
    return any;
}

kd_status kd__trunk_backward(kd_model *model)
{
    kd__trunk *trunk = kd__trunk_of(model);
    const kd__trunk_config *d = &trunk->config;
    kd__trunk_pass *pass = &trunk->pass;
    KD_FAIL_IF(!has_any(&trunk->outside, d), KD_ERR_STATE,
               "backward: expected a gradient for at least one output, got none");
    const backward w = { .model = model,
                         .d = d,
                         .pass = pass,
                         .p = &pass->plan,
                         .outside = &trunk->outside,
                         .block = pass->block,
                         .dx = pass->block + pass->plan.dx,
                         .rows = { model->object.context, pass->rows },
                         .fresh = model->gradients_fresh,
                         .lowest = kd__trunk_lowest(model) };
    KD_TRY(backward_head(&w));
    for (int64_t l = d->layers; l-- > 0;) KD_TRY(backward_layer(&w, l));
    if (!w.lowest) {
        enter_layers(&w);
        KD_TRY(backward_embedding(&w));
    }
    const int64_t last = d->layer[d->layers - 1].end, all = model->net.tensor_count;
    kd__lattice_gradients(model, 0, d->layer[0].first);
    kd__lattice_gradients(model, last, all);
    KD_TRY(kd__lora_gradients(model, 0, d->layer[0].first));
    return kd__lora_gradients(model, last, all);
}
