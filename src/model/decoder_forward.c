/* A decoder's forward pass. Legend in decoder.h. */
#include <string.h>

#include "base/array.h"
#include "base/thread.h"
#include "data/data.h"
#include "math/gemm.h"
#include "math/kernels.h"
#include "model/decoder.h"
#include "model/int8.h"

#define TILE 8 /* rows of a piece of element-wise work */

/* ---- the batch ---- */

static kd_status take_tokens(kd_model *model, const kd_array *values)
{
    kd__decoder *d = model->net.decoder;
    const int64_t *ids = values->data;
    KD_FAIL_IF(values->dtype != KD_INT64 || kd__array_row(values) != 1, KD_ERR_DTYPE, "field '%s': expected one integer a row", model->net.input);
    KD_TRY(KD_RESERVE(model->object.context, &d->tokens, &d->tokens_room, values->dims[0]));
    for (int64_t r = 0; r < values->dims[0]; r++) {
        KD_FAIL_IF(ids[r] < 0 || ids[r] >= d->vocabulary, KD_ERR_RANGE, "field '%s': row %lld: token %lld is not in 0 to %lld", model->net.input,
                   (long long)r, (long long)ids[r], (long long)d->vocabulary - 1);
        d->tokens[r] = (int32_t)ids[r];
    }
    return KD_OK;
}

static kd_status take_batch(kd_model *model, kd_batch *batch, int64_t *rows)
{
    kd__decoder *d = model->net.decoder;
    kd_array values, offsets;
    kd_status status = kd_batch_field(batch, model->net.input, &values, NULL);
    KD_FAIL_IF(status != KD_OK, status, "the batch has no field '%s', which the model reads", model->net.input);
    KD_TRY(take_tokens(model, &values));
    KD_TRY(kd_batch_offsets(batch, &offsets));
    const int64_t *o = offsets.data;
    d->sequences = offsets.dims[0] - 1;
    d->longest = 0;
    KD_TRY(KD_RESERVE(model->object.context, &d->offsets, &d->offsets_room, d->sequences + 1));
    memcpy(d->offsets, o, (size_t)(d->sequences + 1) * sizeof *o);
    for (int64_t s = 0; s < d->sequences; s++) {
        const int64_t length = o[s + 1] - o[s];
        KD_FAIL_IF(length > d->positions, KD_ERR_RANGE, "sequence %lld has %lld tokens, the model has positions for %lld (max_position_embeddings)",
                   (long long)s, (long long)length, (long long)d->positions);
        if (length > d->longest) d->longest = length;
    }
    *rows = values.dims[0];
    KD_FAIL_IF(!*rows, KD_ERR_SHAPE, "the batch has no tokens");
    return KD_OK;
}

kd_status kd__decoder_reserve(kd_model *model, int64_t rows, int32_t train)
{
    kd__decoder *d = model->net.decoder;
    if (rows <= model->max_rows && rows <= d->plan.rows && (d->plan.x_step > 0) == train) return KD_OK;
    const int64_t floats = d->plan.floats;
    kd__decoder_lay_out(d, rows > d->plan.rows ? rows : d->plan.rows, train);
    model->rows = model->max_rows = 0;
    if (!model->block || d->plan.floats > floats) {
        kd__release(model->object.context, model->block);
        model->block = NULL;
        kd_status status = KD_NEW(model->object.context, &model->block, d->plan.floats);
        if (status != KD_OK) {
            memset(&d->plan, 0, sizeof d->plan);
            return status;
        }
    } else d->plan.floats = floats; /* the block stays as large as it was */
    model->max_rows = d->plan.rows;
    return KD_OK;
}

/* ---- element-wise parts, a few rows at a time ---- */

typedef struct {
    const kd_model *model;
    const kd__decoder *d;
    const kd__decoder_layer *layer;
    const kd__kernels *kernels;
    float *block;
    int64_t step, x_step; /* offsets of the layer's values, and of its x */
    int64_t rows;
    const float *x, *weight;
    float *y, *r;
} work;

static void for_rows(work *w, kd__work *each) { kd__parallel(w->model->object.context, (w->rows + TILE - 1) / TILE, each, w); }
#define ROWS_OF(w, tile) (int64_t r = (tile)*TILE; r < (w)->rows && r < (tile)*TILE + TILE; r++)

static void embed(void *argument, int64_t tile, int32_t worker)
{
    const work *w = argument;
    const int64_t n = w->d->embedded;
    (void)worker;
    for
        ROWS_OF(w, tile) memcpy(w->y + r * n, w->x + (int64_t)w->d->tokens[r] * n, (size_t)n * sizeof(float));
}

static void angles(void *argument, int64_t sequence, int32_t worker)
{
    const work *w = argument;
    const kd__decoder *d = w->d;
    const int64_t half = d->width / 2, first = d->offsets[sequence], rows = d->offsets[sequence + 1] - first;
    float inverse[512];
    (void)worker;
    kd__rope_frequencies(&d->rope, d->width, rows, inverse);
    for (int64_t t = 0; t < rows; t++)
        kd__rope_angles(&d->rope, d->width, inverse, t, w->block + d->plan.cosine + (first + t) * half, w->block + d->plan.sine + (first + t) * half);
}

static void norm(void *argument, int64_t tile, int32_t worker)
{
    const work *w = argument;
    const int64_t n = w->d->hidden;
    (void)worker;
    for
        ROWS_OF(w, tile) w->r[r] = w->kernels->rms_norm(w->y + r * n, w->x + r * n, w->weight, n, (float)w->d->epsilon);
}

void kd__decoder_finish_qkv(const kd_model *model, const kd__decoder_layer *layer, float *row, float *raw, float *inverse, const float *cosine,
                            const float *sine)
{
    const kd__decoder *d = model->net.decoder;
    const kd__kernels *kernels = model->object.context->kernels;
    const int64_t turned = d->heads + d->kv_heads;
    const float *bias = kd__tensor_values(model, layer->qb), *qn = kd__tensor_values(model, layer->qn), *kn = kd__tensor_values(model, layer->kn);
    if (bias) kernels->add_bias(row, row, bias, (turned + d->kv_heads) * d->width);
    if (qn && raw) memcpy(raw, row, (size_t)(turned * d->width) * sizeof *raw);
    for (int64_t h = 0; h < turned; h++) {
        float *head = row + h * d->width;
        const float r = qn ? kernels->rms_norm(head, raw ? raw + h * d->width : head, h < d->heads ? qn : kn, d->width, (float)d->epsilon) : 0;
        if (qn && inverse) inverse[h] = r;
        kernels->rotate(head, cosine, sine, d->width / 2, 1);
    }
}

static void finish_qkv(void *argument, int64_t tile, int32_t worker)
{
    const work *w = argument;
    const kd__decoder *d = w->d;
    const int64_t turned = d->heads + d->kv_heads, all = (turned + d->kv_heads) * d->width, half = d->width / 2;
    float *at = w->block + w->step;
    (void)worker;
    for
        ROWS_OF(w, tile)
    kd__decoder_finish_qkv(w->model, w->layer, at + d->plan.qkv + r * all, d->qk_norm ? at + d->plan.raw + r * turned * d->width : NULL,
                           d->qk_norm ? at + d->plan.rq + r * turned : NULL, w->block + d->plan.cosine + r * half,
                           w->block + d->plan.sine + r * half);
}

void kd__decoder_gate(const kd_model *model, const kd__decoder_layer *layer, float *gate_up, float *to)
{
    const kd__kernels *kernels = model->object.context->kernels;
    const float *bias = kd__tensor_values(model, layer->gateb);
    const int64_t n = model->net.decoder->inner;
    if (bias) kernels->add_bias(gate_up, gate_up, bias, 2 * n);
    kernels->swiglu(to, gate_up, gate_up + n, n);
}

static void gated(void *argument, int64_t tile, int32_t worker)
{
    const work *w = argument;
    const int64_t n = w->d->inner;
    (void)worker;
    for
        ROWS_OF(w, tile)
    kd__decoder_gate(w->model, w->layer, w->block + w->step + w->d->plan.gu + r * 2 * n, w->block + w->d->plan.act + r * n);
}

/* y = y + x + bias */
static void add_rows(void *argument, int64_t tile, int32_t worker)
{
    const work *w = argument;
    const int64_t n = w->d->hidden;
    (void)worker;
    for
        ROWS_OF(w, tile)
        {
            w->kernels->add_bias(w->y + r * n, w->y + r * n, w->x + r * n, n);
            if (w->weight) w->kernels->add_bias(w->y + r * n, w->y + r * n, w->weight, n);
        }
}

/* ---- layers ---- */

/* y (R, outputs) = x W'; the rows of W may be those of several tensors that lie behind each other. */
static kd_status linear(const work *w, int32_t weight, const float *x, int64_t inputs, int64_t outputs, float *y)
{
    if (w->model->int8) return kd__int8_product(w->model->object.context, kd__int8_find(w->model->int8, weight), x, w->rows, y);
    kd__gemm g = { 0, 1, w->rows, outputs, inputs, 1, x, inputs, kd__tensor_values(w->model, weight), inputs, 0, y, outputs };
    return kd__gemm_run(w->model->object.context, &g);
}

static kd_status project(const work *w, int into, const float *x, float *y)
{
    const kd__gemm g = kd__decoder_projection(w->model, into, w->rows, x, y);
    return kd__gemm_run(w->model->object.context, &g);
}

static void normalise(work *w, int32_t weight, const float *x, float *y, float *r)
{
    w->x = x, w->y = y, w->r = r, w->weight = kd__tensor_values(w->model, weight);
    for_rows(w, norm);
}

static void add_residual(work *w, float *y, const float *x, int32_t bias)
{
    w->y = y, w->x = x, w->weight = kd__tensor_values(w->model, bias);
    for_rows(w, add_rows);
}

kd__attention kd__decoder_attention(const kd__decoder *d, const kd__decoder_layer *layer)
{
    return (
        kd__attention){ d->heads, d->kv_heads, d->width, layer->window, d->sinks, 1 / __builtin_sqrt((double)d->width), d->sequences, d->offsets };
}

/* Up to the values that a backward pass needs. */
static kd_status first_part(work *w)
{
    const kd__decoder *d = w->d;
    const kd__decoder_plan *p = &d->plan;
    const kd__decoder_layer *l = w->layer;
    const int64_t q = d->heads * d->width, all = q + 2 * d->kv_heads * d->width;
    float *at = w->block + w->step, *x = w->block + w->x_step + p->x, *mid = at + p->mid, *normed = w->block + p->normed;
    const kd__attention a = kd__decoder_attention(d, l);
    normalise(w, l->norm1, x, normed, at + p->r1);
    KD_TRY(linear(w, l->q, normed, d->hidden, all, at + p->qkv));
    for_rows(w, finish_qkv);
    KD_TRY(kd__attention_forward(w->model->object.context, &a, at + p->qkv, at + p->att, p->x_step ? at + p->lse : NULL));
    KD_TRY(linear(w, l->o, at + p->att, q, d->hidden, mid));
    add_residual(w, mid, x, l->ob);
    normalise(w, l->norm2, mid, normed, at + p->r2);
    return linear(w, l->gate, normed, d->hidden, 2 * d->inner, at + p->gu);
}

static kd_status forward_layer(work *w)
{
    const kd__decoder *d = w->d;
    const kd__decoder_plan *p = &d->plan;
    float *next = w->block + w->x_step + p->x + p->x_step;
    KD_TRY(first_part(w));
    for_rows(w, gated);
    KD_TRY(linear(w, w->layer->down, w->block + p->act, d->inner, d->hidden, next));
    add_residual(w, next, w->block + w->step + p->mid, w->layer->downb);
    return KD_OK;
}

/* ---- values that are kept in 16 bits ---- */

#define PIECE 8192 /* numbers */

typedef struct {
    const kd__kernels *kernels;
    float *values, *stored;
    int64_t halved, whole;
    int32_t back;
} keeping;

static void keep_piece(void *argument, int64_t piece, int32_t worker)
{
    const keeping *k = argument;
    const int64_t first = piece * PIECE, n = k->halved - first < PIECE ? k->halved - first : PIECE;
    float *values = k->values + first, *stored = k->stored + first / 2;
    (void)worker;
    if (k->back) k->kernels->widen(KD_BFLOAT16, stored, n, values);
    else k->kernels->narrow(KD_BFLOAT16, values, n, stored);
}

static void keep_layer(kd_model *model, int64_t layer, int32_t back)
{
    const kd__decoder *d = model->net.decoder;
    const kd__decoder_plan *p = &d->plan;
    keeping k = { model->object.context->kernels,
                  model->block + kd__decoder_at(d, layer) + p->qkv,
                  model->block + p->stored + (layer - d->again) * p->stored_step,
                  p->halved,
                  p->whole,
                  back };
    float *values = k.values + k.halved, *stored = k.stored + k.halved / 2;
    kd__parallel(model->object.context, (k.halved + PIECE - 1) / PIECE, keep_piece, &k);
    memcpy(back ? values : stored, back ? stored : values, (size_t)k.whole * sizeof(float));
}

static work layer_work(kd_model *model, int64_t layer, int64_t rows)
{
    kd__decoder *d = model->net.decoder;
    return (work){ .model = model,
                   .d = d,
                   .layer = layer < 0 ? NULL : &d->layer[layer],
                   .kernels = model->object.context->kernels,
                   .block = model->block,
                   .rows = rows,
                   .step = layer < 0 ? 0 : kd__decoder_at(d, layer),
                   .x_step = layer * d->plan.x_step };
}

kd_status kd__decoder_layer_again(kd_model *model, int64_t layer)
{
    const kd__decoder *d = model->net.decoder;
    if (layer < d->again) {
        work w = layer_work(model, layer, model->rows);
        return first_part(&w);
    }
    if (d->plan.stored) keep_layer(model, layer, 1);
    return KD_OK;
}

kd_status kd__decoder_forward(kd_model *model, kd_batch *batch)
{
    kd__decoder *d = model->net.decoder;
    int64_t rows;
    KD_TRY(take_batch(model, batch, &rows));
    KD_TRY(kd__decoder_reserve(model, rows, model->mode == KD_TRAIN));
    work w = layer_work(model, 0, rows);
    kd__parallel(model->object.context, d->sequences, angles, &w);
    w.x = kd__tensor_values(model, d->embedding), w.y = model->block + (d->projection < 0 ? d->plan.x : d->plan.gathered);
    for_rows(&w, embed);
    if (d->projection >= 0) KD_TRY(project(&w, 1, model->block + d->plan.gathered, model->block + d->plan.x));
    for (int64_t l = 0; l < d->layers; l++) {
        KD_TRY(kd__progress(model->object.context, "forward", l, d->layers));
        w = layer_work(model, l, rows);
        KD_TRY(forward_layer(&w));
        if (d->plan.stored && l >= d->again) keep_layer(model, l, 0);
    }
    const int apart = d->outer < d->hidden;
    float *hidden = model->block + d->plan.hidden, *last = apart ? model->block + d->plan.normed : hidden;
    normalise(&w, d->norm, model->block + d->plan.x + d->layers * d->plan.x_step, last, model->block + d->plan.last_r);
    if (apart) KD_TRY(project(&w, 0, last, hidden));
    model->rows = rows;
    return KD_OK;
}
