/* Networks of layers: one layer's forward and backward pass. */
#include <string.h>

#include "base/context.h"
#include "base/thread.h"
#include "math/kernels.h"
#include "math/random.h"
#include "core/model/layers.h"
#include "nn/activation.h"
#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/planes.h"
#include "nn/pool.h"

static float *tensor(const kd_model *model, int32_t index)
{
    return index < 0 ? NULL : model->parameters + model->net.tensors[index].offset;
}

static const float *output_of(const kd__layers *s, int64_t number)
{
    return number < 0 ? s->input : s->block + s->layer[number].y;
}

static uint64_t dropout_stream(const kd_model *model, int64_t layer)
{
    const uint64_t pass = (uint64_t)model->draws.pass + 1;
    return kd__dropout_from(kd__stream(model->seed ^ 0x64726f70, pass, (uint64_t)layer),
                            model->draws.first_row);
}

/* ---- batch norm ---- */

static kd__batch_norm norm_of(const kd_model *model, const kd__layer *layer)
{
    return (kd__batch_norm){ .rows = model->rows,
                             .channels = layer->shape[0],
                             .places = layer->outputs / layer->shape[0],
                             .epsilon = layer->epsilon,
                             .momentum = layer->momentum,
                             .activation = layer->activation,
                             .weight = tensor(model, layer->weight),
                             .bias = tensor(model, layer->bias) };
}

static kd_status forward_norm(kd_model *model, int64_t number, const float *x, float *y, float *pre)
{
    kd__layers *s = kd__layers_of(&model->net);
    const kd__layer *layer = &s->layer[number];
    const kd__batch_norm n = norm_of(model, layer);
    float *mean = tensor(model, layer->mean), *variance = tensor(model, layer->variance);
    if (model->mode == KD_MODE_TRAIN)
        kd__batch_norm_train(model->object.context, &n, y, pre, x, mean, variance,
                             s->block + layer->stats);
    else kd__batch_norm_evaluate(model->object.context, &n, y, x, mean, variance);
    return KD_OK;
}

int kd__layer_is_folded(const kd_model *model, int64_t number)
{
    const kd__layers *s = kd__layers_of(&model->net);
    const kd__layer *layer = &s->layer[number];
    if (layer->type != KD__BATCH_NORM || model->mode != KD_MODE_EVALUATE || layer->source < 0)
        return 0;
    const kd__layer *before = &s->layer[layer->source];
    return (before->type == KD__CONV || before->type == KD__DENSE) && !before->activation &&
           before->readers == 1 && !model->net.kept[layer->source];
}

/* ---- products ---- */

typedef struct {
    const float *weight, *bias;
    int32_t activation;
    float *y, *pre;
} product;

static kd_status forward_product(kd_model *model, const kd__layer *layer, const float *x,
                                 const product *p)
{
    kd__layers *s = kd__layers_of(&model->net);
    kd_context *context = model->object.context;
    const kd__rows all = { context, model->rows };
    float *scratch = s->block + s->scratch;
    if (layer->type == KD__DENSE) {
        KD_TRY(kd__linear(&all, x, layer->inputs, p->weight, layer->outputs, p->y));
        kd__activation_forward(context, p->activation, p->y, p->bias, p->pre, model->rows,
                               layer->outputs);
        return KD_OK;
    }
    if (!s->by_planes)
        return kd__conv_forward(context, &layer->window, p->activation, p->y, p->pre, x, p->weight,
                                p->bias, model->rows, scratch);
    kd__planes_forward(context, &layer->window, p->activation, p->y, p->pre, x, p->weight, p->bias,
                       model->rows, scratch);
    return KD_OK;
}

/* A batch norm and the layer before it in one. */
static kd_status forward_folded(kd_model *model, const kd__layer *norm, float *y)
{
    kd__layers *s = kd__layers_of(&model->net);
    const kd__layer *layer = &s->layer[norm->source];
    const kd__batch_norm n = norm_of(model, norm);
    const int64_t weights = model->net.tensors[layer->weight].count;
    float *weight = s->block + s->folded, *bias = weight + weights;
    kd__batch_norm_fold(&n, tensor(model, norm->mean), tensor(model, norm->variance),
                        tensor(model, layer->weight), tensor(model, layer->bias),
                        weights / n.channels, weight, bias);
    const product p = { weight, bias, norm->activation, y, NULL };
    return forward_product(model, layer, output_of(s, layer->source), &p);
}

/* ---- forward ---- */

typedef struct {
    kd_context *context;
    const float *x, *other;
    float *y, *pre;
    int64_t n;
    int32_t activation;
} sums;

/* y = f(x + other) of one sample. */
static void sum_sample(void *argument, int64_t sample, int32_t worker)
{
    const sums *s = argument;
    const int64_t at = sample * s->n;
    (void)worker;
    s->context->kernels->add_bias(s->y + at, s->x + at, s->other + at, s->n);
    if (s->activation)
        kd__activate_row(s->context, s->activation, s->y + at, s->y + at, NULL,
                         s->pre ? s->pre + at : NULL, s->n);
}

static void forward_sum(kd_model *model, const kd__layer *layer, const float *x, float *y,
                        float *pre)
{
    sums s = { .context = model->object.context,
               .x = x,
               .other = output_of(kd__layers_of(&model->net), layer->other),
               .y = y,
               .pre = pre,
               .n = layer->outputs,
               .activation = layer->activation };
    kd__parallel(s.context, model->rows, sum_sample, &s);
}

kd_status kd__layer_forward(kd_model *model, int64_t number)
{
    kd__layers *s = kd__layers_of(&model->net);
    kd_context *context = model->object.context;
    const kd__layer *layer = &s->layer[number];
    const int64_t rows = model->rows;
    const float *x = output_of(s, layer->source);
    float *y = s->block + layer->y, *pre = layer->pre >= 0 ? s->block + layer->pre : NULL;
    const product p = { tensor(model, layer->weight), tensor(model, layer->bias), layer->activation,
                        y, pre };
    switch (layer->type) {
    case KD__DENSE:
    case KD__CONV: return forward_product(model, layer, x, &p);
    case KD__BATCH_NORM:
        return kd__layer_is_folded(model, number) ? forward_folded(model, layer, y)
                                                  : forward_norm(model, number, x, y, pre);
    case KD__MAX_POOL:
        kd__max_pool_forward(context, &layer->window, y,
                             (int32_t *)(void *)(s->block + layer->places), x, rows);
        return KD_OK;
    case KD__MEAN_POOL:
        kd__mean_pool_forward(context, &layer->window, layer->counts_padding, y, x, rows);
        return KD_OK;
    case KD__ADD: forward_sum(model, layer, x, y, pre); return KD_OK;
    case KD__DROPOUT:
        if (model->mode != KD_MODE_EVALUATE && layer->dropout > 0) {
            kd__dropout(context, y, x, layer->dropout, dropout_stream(model, number), rows,
                        layer->outputs);
            return KD_OK;
        }
        break;
    default: break;
    }
    memcpy(y, x, (size_t)(rows * layer->outputs) * sizeof *y);
    return KD_OK;
}

/* ---- backward ---- */

static kd_status backward_dense(kd_model *model, const kd__layer *layer, const float *dy,
                                const float *x, float *dx)
{
    const kd__rows all = { model->object.context, model->rows };
    const int add = !model->gradients_fresh;
    float *dweight = kd__tensor_wanted(model, layer->weight);
    kd__bias_gradient(&all, dy, layer->outputs, kd__tensor_wanted(model, layer->bias), add);
    if (dweight)
        KD_TRY(
            kd__linear_weight_gradient(&all, x, layer->inputs, dy, layer->outputs, dweight, add));
    return dx ? kd__linear_input_gradient(&all, dy, layer->outputs, tensor(model, layer->weight),
                                          layer->inputs, dx)
              : KD_OK;
}

static kd_status backward_conv(kd_model *model, const kd__layer *layer, const float *dy,
                               const float *x, float *dx)
{
    kd__layers *s = kd__layers_of(&model->net);
    kd_context *context = model->object.context;
    float *dweight = kd__tensor_wanted(model, layer->weight),
          *dbias = kd__tensor_wanted(model, layer->bias), *scratch = s->block + s->scratch;
    const float *weight = tensor(model, layer->weight);
    const int add = !model->gradients_fresh;
    if (!s->by_planes)
        return kd__conv_backward(context, &layer->window, dx, dweight, dbias, dy, x, weight,
                                 model->rows, add, scratch);
    kd__planes_backward(context, &layer->window, dx, dweight, dbias, dy, x, weight, model->rows,
                        add, scratch);
    return KD_OK;
}

static void backward_norm(kd_model *model, const kd__layer *layer, float *dy, const float *x,
                          float *dx)
{
    kd__layers *s = kd__layers_of(&model->net);
    const kd__batch_norm n = norm_of(model, layer);
    kd__batch_norm_backward(model->object.context, &n, dx, kd__tensor_wanted(model, layer->weight),
                            kd__tensor_wanted(model, layer->bias), dy, s->block + layer->y,
                            layer->pre >= 0 ? s->block + layer->pre : NULL, x,
                            s->block + layer->stats, !model->gradients_fresh);
}

kd_status kd__layer_backward(kd_model *model, int64_t number, float *dy, float *dx)
{
    kd__layers *s = kd__layers_of(&model->net);
    kd_context *context = model->object.context;
    const kd__layer *layer = &s->layer[number];
    const int64_t rows = model->rows;
    const float *y = s->block + layer->y, *pre = layer->pre >= 0 ? s->block + layer->pre : NULL,
                *x = output_of(s, layer->source);
    if (layer->type != KD__BATCH_NORM)
        kd__activation_backward(context, layer->activation, dy, y, pre, rows, layer->outputs);
    switch (layer->type) {
    case KD__DENSE: return backward_dense(model, layer, dy, x, dx);
    case KD__CONV: return backward_conv(model, layer, dy, x, dx);
    case KD__BATCH_NORM: backward_norm(model, layer, dy, x, dx); return KD_OK;
    case KD__MAX_POOL:
        if (dx)
            kd__max_pool_backward(context, &layer->window, dx, dy,
                                  (const int32_t *)(const void *)(s->block + layer->places), rows);
        return KD_OK;
    case KD__MEAN_POOL:
        if (dx)
            kd__mean_pool_backward(context, &layer->window, layer->counts_padding, dx, dy, rows);
        return KD_OK;
    case KD__DROPOUT:
        if (dx && layer->dropout > 0) {
            kd__dropout(context, dx, dy, layer->dropout, dropout_stream(model, number), rows,
                        layer->outputs);
            return KD_OK;
        }
        break;
    default: break;
    }
    if (dx && dx != dy) memcpy(dx, dy, (size_t)(rows * layer->outputs) * sizeof *dx);
    return KD_OK;
}
