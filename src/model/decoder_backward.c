/* A decoder's backward pass. Legend in decoder.h; dx is the gradient of the residual stream. What is cheap is computed again: norms,
 * silu(gate) up.                                                                                                              */
#include <string.h>

#include "base/thread.h"
#include "math/gemm.h"
#include "math/kernels.h"
#include "model/decoder.h"

#define TILE 8
#define COLUMNS 64 /* of a piece of a sum over rows */

typedef struct {
    kd_model *model;
    kd__decoder *d;
    const kd__decoder_layer *layer;
    const kd__kernels *kernels;
    float *block, *at, *in; /* the layer's values, and its x */
    int64_t rows;
    int32_t add; /* gradients are added to what is there */
    const float *x, *dy, *weight, *r;
    float *dx, *y, *to;
    int64_t width, step;
} work;

static void for_rows(work *w, kd__work *each) { kd__parallel(w->model->object.context, (w->rows + TILE - 1) / TILE, each, w); }
#define ROWS_OF(w, tile) (int64_t r = (tile)*TILE; r < (w)->rows && r < (tile)*TILE + TILE; r++)

/* ---- sums over rows: each column is one thread's, in the order of the rows ---- */

static void sum_columns(void *argument, int64_t piece, int32_t worker)
{
    const work *w = argument;
    const int64_t first = piece * COLUMNS, n = w->width - first < COLUMNS ? w->width - first : COLUMNS;
    float *to = w->to + first;
    (void)worker;
    if (!w->add) memset(to, 0, (size_t)n * sizeof *to);
    for (int64_t r = 0; r < w->rows; r++) w->kernels->add_bias(to, to, w->dy + r * w->step + first, n);
}

static void bias_gradient(work *w, int32_t bias, const float *dy, int64_t step, int64_t width)
{
    if (bias < 0) return;
    w->to = kd__tensor_gradient(w->model, bias), w->dy = dy, w->step = step, w->width = width;
    kd__parallel(w->model->object.context, (width + COLUMNS - 1) / COLUMNS, sum_columns, w);
}

/* dw += sum over rows of dy x r */
static void sum_norm(void *argument, int64_t piece, int32_t worker)
{
    const work *w = argument;
    const int64_t first = piece * COLUMNS, n = w->width - first < COLUMNS ? w->width - first : COLUMNS;
    float sums[COLUMNS] = { 0 };
    (void)worker;
    for (int64_t r = 0; r < w->rows; r++) {
        const float *dy = w->dy + r * w->width + first, *x = w->x + r * w->width + first, by = w->r[r];
        for (int64_t i = 0; i < n; i++) sums[i] += dy[i] * x[i] * by;
    }
    for (int64_t i = 0; i < n; i++) w->to[first + i] = w->add ? w->to[first + i] + sums[i] : sums[i];
}

static void norm_rows(void *argument, int64_t tile, int32_t worker)
{
    const work *w = argument;
    const int64_t n = w->width;
    (void)worker;
    for
        ROWS_OF(w, tile) w->kernels->rms_norm_gradient(w->dx + r * n, w->dy + r * n, w->x + r * n, w->weight, n, w->r[r], 1);
}

/* dx += the gradient through a norm of the residual stream, and its weight's. */
static void norm_gradient(work *w, int32_t weight, const float *x, const float *r, const float *dy, float *dx)
{
    w->x = x, w->r = r, w->dy = dy, w->dx = dx, w->width = w->d->hidden;
    w->weight = kd__tensor_values(w->model, weight), w->to = kd__tensor_gradient(w->model, weight);
    kd__parallel(w->model->object.context, (w->width + COLUMNS - 1) / COLUMNS, sum_norm, w);
    for_rows(w, norm_rows);
}

/* y = w r x, from what the forward pass kept */
static void norm_again(void *argument, int64_t tile, int32_t worker)
{
    const work *w = argument;
    const int64_t n = w->d->hidden;
    (void)worker;
    for
        ROWS_OF(w, tile) w->kernels->rms_norm(w->y + r * n, w->x + r * n, w->weight, n, (float)w->d->epsilon);
}

static float *normed(work *w, int32_t weight, const float *x)
{
    w->x = x, w->y = w->block + w->d->plan.normed, w->weight = kd__tensor_values(w->model, weight);
    for_rows(w, norm_again);
    return w->y;
}

/* ---- products ---- */

/* The rows of W may be several tensors'.      dx (R, inputs) = dy W */
static kd_status input_gradient(work *w, int32_t weight, const float *dy, int64_t inputs, int64_t outputs, float *dx)
{
    kd__gemm g = { 0, 0, w->rows, inputs, outputs, 1, dy, outputs, kd__tensor_values(w->model, weight), inputs, 0, dx, inputs };
    return kd__gemm_run(w->model->object.context, &g);
}

/* Frozen matrices get no gradient, unless an adapter hangs on it; a product of several tensors is made when one of them wants its part. */
static int is_wanted(const kd_model *model, int32_t weight, int64_t count)
{
    int wanted = 0;
    for (int32_t i = weight; count > 0; count -= model->net.tensors[i++].count) {
        wanted |= !model->net.tensors[i].frozen;
        for (int64_t a = 0; model->lora && a < model->lora->count; a++) wanted |= model->lora->adapters[a].matrix == i;
    }
    return wanted;
}

/* dW (+)= dy' x */
static kd_status weight_gradient(work *w, int32_t weight, const float *x, const float *dy, int64_t inputs, int64_t outputs)
{
    if (!is_wanted(w->model, weight, inputs * outputs)) {
        if (!w->add) memset(kd__tensor_gradient(w->model, weight), 0, (size_t)(inputs * outputs) * sizeof(float));
        return KD_OK;
    }
    kd__gemm g = { 1, 0, outputs, inputs, w->rows, 1, dy, outputs, x, inputs, w->add ? 1 : 0, kd__tensor_gradient(w->model, weight), inputs };
    return kd__gemm_run(w->model->object.context, &g);
}

static kd_status linear_gradient(work *w, int32_t weight, const float *x, const float *dy, int64_t inputs, int64_t outputs, float *dx)
{
    KD_TRY(weight_gradient(w, weight, x, dy, inputs, outputs));
    return input_gradient(w, weight, dy, inputs, outputs, dx);
}

/* ---- attention's input ---- */

/* Turns back; through the q and k norms dqkv becomes the gradient of what the products gave. */
static void undo_qkv(void *argument, int64_t tile, int32_t worker)
{
    const work *w = argument;
    const kd__decoder *d = w->d;
    const int64_t turned = d->heads + d->kv_heads, all = (turned + d->kv_heads) * d->width, half = d->width / 2;
    (void)worker;
    for
        ROWS_OF(w, tile)
        {
            float *row = w->block + d->plan.dqkv + r * all;
            for (int64_t h = 0; h < turned; h++)
                w->kernels->rotate(row + h * d->width, w->block + d->plan.cosine + r * half, w->block + d->plan.sine + r * half, half, -1);
        }
}

static void undo_norms(void *argument, int64_t tile, int32_t worker)
{
    const work *w = argument;
    const kd__decoder *d = w->d;
    const int64_t turned = d->heads + d->kv_heads, all = (turned + d->kv_heads) * d->width;
    const float *qn = kd__tensor_values(w->model, w->layer->qn), *kn = kd__tensor_values(w->model, w->layer->kn);
    (void)worker;
    for
        ROWS_OF(w, tile)
    for (int64_t h = 0; h < turned; h++) {
        float *dy = w->block + d->plan.dqkv + r * all + h * d->width;
        const float *x = w->at + d->plan.raw + (r * turned + h) * d->width;
        w->kernels->rms_norm_gradient(dy, dy, x, h < d->heads ? qn : kn, d->width, w->at[d->plan.rq + r * turned + h], 0);
    }
}

/* The q norm's weight is shared by all heads, the k norm's by all key heads: one thread adds up a few numbers of each. */
static void sum_head_norm(void *argument, int64_t i, int32_t worker)
{
    const work *w = argument;
    const kd__decoder *d = w->d;
    const int64_t turned = d->heads + d->kv_heads, all = (turned + d->kv_heads) * d->width;
    const int64_t first = i ? d->heads : 0, last = i ? turned : d->heads;
    float *to = kd__tensor_gradient(w->model, i ? w->layer->kn : w->layer->qn);
    (void)worker;
    if (!w->add) memset(to, 0, (size_t)d->width * sizeof *to);
    for (int64_t r = 0; r < w->rows; r++)
        for (int64_t h = first; h < last; h++) {
            const float *dy = w->block + d->plan.dqkv + r * all + h * d->width, *x = w->at + d->plan.raw + (r * turned + h) * d->width;
            const float by = w->at[d->plan.rq + r * turned + h];
            for (int64_t p = 0; p < d->width; p++) to[p] += dy[p] * x[p] * by;
        }
}

/* ---- feed-forward ---- */

static void gated_gradient(void *argument, int64_t tile, int32_t worker)
{
    const work *w = argument;
    const int64_t n = w->d->inner;
    (void)worker;
    for
        ROWS_OF(w, tile)
        {
            const float *gu = w->at + w->d->plan.gu + r * 2 * n;
            float *dgu = w->block + w->d->plan.dgu + r * 2 * n;
            w->kernels->swiglu_gradient(w->block + w->d->plan.act + r * n, dgu, dgu + n, w->block + w->d->plan.wide + r * n, gu, gu + n, n);
        }
}

static kd_status backward_layer(work *w)
{
    kd__decoder *d = w->d;
    const kd__decoder_plan *p = &d->plan;
    const kd__decoder_layer *l = w->layer;
    const int64_t q = d->heads * d->width, all = q + 2 * d->kv_heads * d->width;
    float *dx = w->block + p->dx, *dy = w->block + p->dy, *wide = w->block + p->wide, *dqkv = w->block + p->dqkv, *dgu = w->block + p->dgu;
    const kd__attention a = kd__decoder_attention(d, l);
    bias_gradient(w, l->downb, dx, d->hidden, d->hidden);
    KD_TRY(input_gradient(w, l->down, dx, d->inner, d->hidden, wide));
    for_rows(w, gated_gradient); /* makes silu(gate) up again as well */
    KD_TRY(weight_gradient(w, l->down, w->block + p->act, dx, d->inner, d->hidden));
    bias_gradient(w, l->gateb, dgu, 2 * d->inner, 2 * d->inner);
    KD_TRY(linear_gradient(w, l->gate, normed(w, l->norm2, w->at + p->mid), dgu, d->hidden, 2 * d->inner, dy));
    norm_gradient(w, l->norm2, w->at + p->mid, w->at + p->r2, dy, dx);
    bias_gradient(w, l->ob, dx, d->hidden, d->hidden);
    KD_TRY(linear_gradient(w, l->o, w->at + p->att, dx, q, d->hidden, wide));
    KD_TRY(kd__attention_backward(w->model->object.context, &a, w->at + p->qkv, w->at + p->att, w->at + p->lse, wide, dqkv));
    for_rows(w, undo_qkv);
    if (l->qn >= 0) {
        kd__parallel(w->model->object.context, 2, sum_head_norm, w);
        for_rows(w, undo_norms);
    }
    bias_gradient(w, l->qb, dqkv, all, all);
    KD_TRY(linear_gradient(w, l->q, normed(w, l->norm1, w->in), dqkv, d->hidden, all, dy));
    norm_gradient(w, l->norm1, w->in, w->at + p->r1, dy, dx);
    return KD_OK;
}

/* A layer's gradients are whole when no layer before it has the same tensors. */
static kd_status finish_layer(kd_model *model, int64_t layer)
{
    const kd__decoder *d = model->net.decoder;
    int64_t first, end;
    if (d->whole_stack ? layer >= d->layers / d->repeats : layer % d->repeats != 0) return KD_OK;
    kd__decoder_tensors(&d->layer[layer], &first, &end);
    KD_TRY(kd__lora_gradients(model, first, end));
    if (model->on_gradients) model->on_gradients(model->on_gradients_user, model, first, end);
    return KD_OK;
}

/* ---- the ends ---- */

/* Gradients of whole logits: dhidden += dlogits W,  dW += dlogits' hidden. */
static kd_status logits_gradient(work *w)
{
    kd__decoder *d = w->d;
    kd_context *context = w->model->object.context;
    kd_head head = KD_HEAD_INIT;
    float *hidden = w->block + d->plan.hidden;
    kd__decoder_head(w->model, &head, 1);
    if (head.weight_gradient) {
        kd__gemm g = { 1, 0, d->classes, d->outer, w->rows, 1, d->dlogits, d->classes, hidden, d->outer, 1, head.weight_gradient->data, d->outer };
        KD_TRY(kd__gemm_run(context, &g));
    }
    KD_TRY(KD_RESERVE(context, &d->dhidden, &d->dhidden_room, d->plan.rows * d->outer));
    kd__gemm h = { 0,          0,       w->rows, d->outer, d->classes, 1, d->dlogits, d->classes, head.weight->data, d->outer, d->has_dhidden ? 1 : 0,
                   d->dhidden, d->outer };
    d->has_dhidden = 1;
    return kd__gemm_run(context, &h);
}

static void embedding_columns(void *argument, int64_t piece, int32_t worker)
{
    const work *w = argument;
    const int64_t width = w->d->embedded, first = piece * COLUMNS, n = width - first < COLUMNS ? width - first : COLUMNS;
    (void)worker;
    for (int64_t r = 0; r < w->rows; r++) {
        float *to = w->to + (int64_t)w->d->tokens[r] * width + first;
        w->kernels->add_bias(to, to, w->dy + r * width + first, n);
    }
}

static void embedding_gradient(work *w, const float *dx)
{
    kd__decoder *d = w->d;
    const int written = d->tied && d->head_written;
    w->to = kd__tensor_gradient(w->model, d->embedding), w->dy = dx;
    if (!w->add && !written) memset(w->to, 0, (size_t)w->model->net.tensors[d->embedding].count * sizeof *w->to);
    kd__parallel(w->model->object.context, (d->embedded + COLUMNS - 1) / COLUMNS, embedding_columns, w);
}

/* Through the projection out of the residual stream: the gradient of the last norm's values; the projection's own. */
static kd_status push_out(work *w, const float *dhidden, float **dlast)
{
    const kd__decoder *d = w->d;
    const float *last = normed(w, d->norm, w->block + d->plan.x + d->layers * d->plan.x_step);
    *dlast = w->block + d->plan.dy;
    KD_TRY(weight_gradient(w, d->projection, dhidden, last, d->embedded, d->hidden)); /* dP = last' dhidden */
    const kd__gemm g = kd__decoder_projection(w->model, 1, w->rows, dhidden, *dlast);
    return kd__gemm_run(w->model->object.context, &g);
}

/* And into it: dP (+)= dx' e, de = dx P. */
static kd_status push_in(work *w, const float *dx)
{
    const kd__decoder *d = w->d;
    float *de = w->block + d->plan.dgathered;
    w->add = !w->model->gradients_fresh || (d->outer < d->hidden && d->has_dhidden); /* push_out has written */
    KD_TRY(linear_gradient(w, d->projection, w->block + d->plan.gathered, dx, d->embedded, d->hidden, de));
    w->add = !w->model->gradients_fresh;
    embedding_gradient(w, de);
    return KD_OK;
}

static int has_any(const kd__decoder *d)
{
    int any = d->has_dhidden || d->has_dlogits;
    for (int64_t l = 0; l < d->layers; l++) any |= d->has_dlayer[l];
    return any;
}

kd_status kd__decoder_backward(kd_model *model)
{
    kd__decoder *d = model->net.decoder;
    const kd__decoder_plan *p = &d->plan;
    KD_FAIL_IF(!has_any(d), KD_ERR_STATE, "backward: no output got a gradient");
    work w = {
        .model = model, .d = d, .kernels = model->object.context->kernels, .block = model->block, .rows = model->rows, .add = !model->gradients_fresh
    };
    float *dx = w.block + p->dx;
    const int64_t n = w.rows * d->hidden;
    if (d->has_dlogits) KD_TRY(logits_gradient(&w));
    if (!d->tied && !d->head_written && !w.add)
        memset(kd__tensor_gradient(model, d->head), 0, (size_t)model->net.tensors[d->head].count * sizeof(float));
    memset(dx, 0, (size_t)n * sizeof *dx);
    float *dlast = d->dhidden;
    if (d->has_dhidden && d->outer < d->hidden) KD_TRY(push_out(&w, d->dhidden, &dlast));
    if (d->has_dhidden) norm_gradient(&w, d->norm, w.block + p->x + d->layers * p->x_step, w.block + p->last_r, dlast, dx);
    else if (!w.add) memset(kd__tensor_gradient(model, d->norm), 0, (size_t)d->hidden * sizeof(float));
    for (int64_t l = d->layers; l-- > 0;) {
        KD_TRY(kd__progress(model->object.context, "backward", d->layers - 1 - l, d->layers));
        if (d->has_dlayer[l]) w.kernels->axpby(dx, 1, d->dlayers[l], 1, n);
        w.layer = &d->layer[l];
        w.at = w.block + kd__decoder_at(d, l);
        w.in = w.block + p->x + l * p->x_step;
        w.add = !model->gradients_fresh || w.layer->again;
        KD_TRY(kd__decoder_layer_again(model, l));
        KD_TRY(backward_layer(&w));
        KD_TRY(finish_layer(model, l));
    }
    w.add = !model->gradients_fresh;
    if (d->projection >= 0) KD_TRY(push_in(&w, dx));
    else embedding_gradient(&w, dx);
    KD_TRY(kd__lora_gradients(model, 0, d->layer[0].norm1));
    return kd__lora_gradients(model, d->norm, model->net.tensor_count);
}
