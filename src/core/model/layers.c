/* Networks of layers: memory, forward and backward passes. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "core/data/data.h"
#include "math/kernels.h"
#include "math/random.h"
#include "core/model/layers.h"
#include "nn/activation.h"
#include "nn/linear.h"
#include "nn/dropout.h"

static int knows(const char *model_type)
{
    return !strcmp(model_type, "mlp") || !strcmp(model_type, "sequential");
}

static void free_state(kd__network *net, kd_context *context)
{
    kd__layers *s = kd__layers_of(net);
    for (int64_t i = 0; i < s->count; i++) kd__release(context, s->layer[i].external);
    kd__release(context, s->layer);
    kd__release(context, s->block);
    kd__release(context, s->input_copy);
}

static kd_status configure(kd__network *net, const kd_model_options *o)
{
    (void)net;
    KD_FAIL_IF(
        o->activations != KD_FLOAT32, KD_ERR_UNSUPPORTED,
        "activations: expected KD_FLOAT32 (%d), or KD_BFLOAT16 (%d) for a language model, got %d",
        KD_FLOAT32, KD_BFLOAT16, o->activations);
    KD_FAIL_IF(o->recompute_layers < 0 || (o->recompute_layers && !o->recompute), KD_ERR_RANGE,
               "recompute_layers: expected 0, got %d", o->recompute_layers);
    KD_FAIL_IF(o->weights != KD_FLOAT32, KD_ERR_UNSUPPORTED,
               "weights: only language models have 8-bit ones");
    return KD_OK;
}

/* Activations, and for a backward pass the last layer's gradient and the kept input. */
static kd_status memory(kd__network *net, const kd_context *context, const kd_model_options *o,
                        int64_t *floats)
{
    kd__layers *s = kd__layers_of(net);
    (void)context;
    KD_TRY(kd__layers_plan(s, o->max_rows, o->frozen, floats));
    if (!o->frozen) *floats += o->max_rows * (s->layer[s->count - 1].outputs + net->input_size);
    return KD_OK;
}

static kd_status reserve(kd_model *model, int64_t rows, int32_t train)
{
    kd_context *context = model->object.context;
    kd__layers *s = kd__layers_of(&model->net);
    int64_t floats;
    (void)train; /* the model is frozen or not */
    if (rows <= s->max_rows) return KD_OK;
    model->rows = 0;
    s->max_rows = 0;
    kd__release(context, s->block);
    s->block = NULL;
    KD_TRY(kd__layers_plan(s, rows, model->frozen, &floats));
    KD_TRY(KD_NEW(context, &s->block, floats));
    s->max_rows = rows;
    return KD_OK;
}

static const float *tensor(const kd_model *model, int32_t index)
{
    return model->parameters + model->net.tensors[index].offset;
}

static uint64_t dropout_stream(const kd_model *model, int64_t layer)
{
    const uint64_t pass = (uint64_t)model->draws.pass + 1;
    return kd__dropout_from(kd__stream(model->seed ^ 0x64726f70, pass, (uint64_t)layer),
                            model->draws.first_row);
}

static kd_status forward_layer(kd_model *model, int64_t number, const float *x)
{
    kd__layers *s = kd__layers_of(&model->net);
    kd_context *context = model->object.context;
    const kd__layer *layer = &s->layer[number];
    const int64_t rows = model->rows;
    const kd__rows all = { context, rows };
    float *y = s->block + layer->y, *pre = layer->pre >= 0 ? s->block + layer->pre : NULL;
    switch (layer->type) {
    case KD__DENSE:
        KD_TRY(kd__linear(&all, x, layer->inputs, tensor(model, layer->weight), layer->outputs, y));
        kd__activation_forward(context, layer->activation, y, tensor(model, layer->bias), pre, rows,
                               layer->outputs);
        return KD_OK;
    case KD__CONV:
        return kd__conv_forward(context, &layer->window, layer->activation, y, pre, x,
                                tensor(model, layer->weight), tensor(model, layer->bias), rows,
                                s->block + s->scratch);
    case KD__MAX_POOL:
        kd__max_pool_forward(context, &layer->window, y,
                             (int32_t *)(void *)(s->block + layer->places), x, rows);
        return KD_OK;
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

static kd_status find_input(kd_model *model, kd_batch *batch, const float **input, int64_t *rows)
{
    kd_array values;
    KD_TRY(kd__batch_input(batch, model->net.input, &values));
    KD_FAIL_IF(values.dtype != KD_FLOAT32, KD_ERR_DTYPE, "field '%s': expected float32, got %s",
               model->net.input, kd__dtype_name(values.dtype));
    KD_FAIL_IF(kd__array_row(&values) != model->net.input_size, KD_ERR_SHAPE,
               "field '%s': expected %lld numbers a row, got %lld", model->net.input,
               (long long)model->net.input_size, (long long)kd__array_row(&values));
    *input = values.data;
    *rows = values.dims[0];
    return KD_OK;
}

/* A training pass keeps a copy of its input: the batch may be filled again before the backward
 * pass. */
static kd_status keep_input(kd_model *model, const float *input, int64_t rows)
{
    kd__layers *s = kd__layers_of(&model->net);
    s->input = input;
    if (model->mode != KD_MODE_TRAIN) return KD_OK;
    KD_TRY(KD_RESERVE(model->object.context, &s->input_copy, &s->input_room,
                      rows * model->net.input_size));
    memcpy(s->input_copy, input, (size_t)(rows * model->net.input_size) * sizeof *input);
    s->input = s->input_copy;
    return KD_OK;
}

static int64_t highest_kept(const kd__network *net)
{
    int64_t slot = net->slots - 1;
    while (slot >= 0 && !net->kept[slot]) slot--;
    return slot;
}

static kd_status forward(kd_model *model, kd_batch *batch, int32_t mode)
{
    kd__layers *s = kd__layers_of(&model->net);
    const float *input;
    int64_t rows;
    KD_TRY(find_input(model, batch, &input, &rows));
    KD_TRY(reserve(model, rows, mode == KD_MODE_TRAIN));
    model->rows = rows;
    model->mode = mode;
    kd_status status = keep_input(model, input, rows);
    const float *x = s->input;
    const int64_t end = mode == KD_MODE_TRAIN ? s->count : highest_kept(&model->net) + 1;
    for (int64_t i = 0; i < end && status == KD_OK; i++) {
        s->layer[i].has_external = 0;
        status = forward_layer(model, i, x);
        x = s->block + s->layer[i].y;
    }
    return status;
}

/* ---- outputs: a slot is a layer ---- */

static int describe(const kd__network *net, int32_t slot, kd__output_facts *facts)
{
    const kd__layers *s = kd__layers_of(net);
    memset(facts, 0, sizeof *facts);
    if (slot >= s->count) return 0;
    memcpy(facts->name, s->layer[slot].output, sizeof facts->name);
    facts->width = s->layer[slot].outputs;
    facts->is_kept = *facts->name != 0;
    return 1;
}

static kd_status output(kd_model *model, int32_t index, kd_array *values)
{
    int64_t dims[4];
    const kd__layers *s = kd__layers_of(&model->net);
    const kd__layer *layer = &s->layer[index];
    dims[0] = model->rows;
    memcpy(dims + 1, layer->shape, sizeof layer->shape);
    kd__array_view(values, s->block + layer->y, KD_FLOAT32, 1 + layer->shape_rank, dims);
    return KD_OK;
}

/* ---- backward ---- */

static kd_status gradient(kd_model *model, int32_t index, float **to, int32_t *add)
{
    kd__layers *s = kd__layers_of(&model->net);
    kd__layer *layer = &s->layer[index];
    KD_TRY(KD_RESERVE(model->object.context, &layer->external, &layer->external_room,
                      s->max_rows * layer->outputs));
    *to = layer->external;
    *add = layer->has_external;
    layer->has_external = 1;
    return KD_OK;
}

static void forget_gradients(kd_model *model)
{
    kd__layers *s = kd__layers_of(&model->net);
    for (int64_t i = 0; i < s->count; i++) s->layer[i].has_external = 0;
}

/* dy (rows, outputs) is consumed; dx NULL: not wanted. */
static kd_status backward_layer(kd_model *model, int64_t number, float *dy, const float *x,
                                float *dx)
{
    kd__layers *s = kd__layers_of(&model->net);
    kd_context *context = model->object.context;
    const kd__layer *layer = &s->layer[number];
    const int64_t rows = model->rows;
    const kd__rows all = { context, rows };
    const float *y = s->block + layer->y, *pre = layer->pre >= 0 ? s->block + layer->pre : NULL;
    const int add = !model->gradients_fresh;
    switch (layer->type) {
    case KD__DENSE:
        kd__activation_backward(context, layer->activation, dy, y, pre, rows, layer->outputs);
        kd__bias_gradient(&all, dy, layer->outputs, kd__tensor_gradient(model, layer->bias), add);
        KD_TRY(kd__linear_weight_gradient(&all, x, layer->inputs, dy, layer->outputs,
                                          kd__tensor_gradient(model, layer->weight), add));
        return dx ? kd__linear_input_gradient(&all, dy, layer->outputs,
                                              tensor(model, layer->weight), layer->inputs, dx)
                  : KD_OK;
    case KD__CONV:
        kd__activation_backward(context, layer->activation, dy, y, pre, rows, layer->outputs);
        return kd__conv_backward(context, &layer->window, dx,
                                 kd__tensor_gradient(model, layer->weight),
                                 kd__tensor_gradient(model, layer->bias), dy, x,
                                 tensor(model, layer->weight), rows, add, s->block + s->scratch);
    case KD__MAX_POOL:
        if (dx)
            kd__max_pool_backward(context, &layer->window, dx, dy,
                                  (const int32_t *)(const void *)(s->block + layer->places), rows);
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
    if (dx) memcpy(dx, dy, (size_t)(rows * layer->outputs) * sizeof *dx);
    return KD_OK;
}

/* The highest layer whose output got a gradient; -1 when none did. */
static int64_t top_layer(const kd_model *model)
{
    const kd__layers *s = kd__layers_of(&model->net);
    int64_t top = s->count - 1;
    while (top >= 0 && !s->layer[top].has_external) top--;
    return top;
}

/* Layers above the top one got no gradient: theirs is zero. */
static void clear_above(kd_model *model, int64_t top)
{
    kd__layers *s = kd__layers_of(&model->net);
    for (int64_t i = top + 1; i < s->count && model->gradients_fresh; i++) {
        const kd__layer *layer = &s->layer[i];
        if (layer->weight < 0) continue;
        memset(kd__tensor_gradient(model, layer->weight), 0,
               (size_t)model->net.tensors[layer->weight].count * sizeof(float));
        memset(kd__tensor_gradient(model, layer->bias), 0,
               (size_t)model->net.tensors[layer->bias].count * sizeof(float));
    }
}

static int64_t lowest_with_weights(const kd_model *model)
{
    const kd__layers *s = kd__layers_of(&model->net);
    int64_t i = 0;
    while (i < s->count && s->layer[i].weight < 0) i++;
    return i;
}

static kd_status push_back(kd_model *model, int64_t top)
{
    kd__layers *s = kd__layers_of(&model->net);
    float *buffers[2] = { s->block + s->gradient_a, s->block + s->gradient_b };
    float *dy = NULL;
    const int64_t lowest = lowest_with_weights(model);
    for (int64_t i = top; i >= lowest; i--) {
        kd__layer *layer = &s->layer[i];
        if (layer->has_external) {
            if (dy)
                model->object.context->kernels->axpby(dy, 1, layer->external, 1,
                                                      model->rows * layer->outputs);
            else dy = layer->external;
        }
        const float *x = i ? s->block + s->layer[i - 1].y : s->input;
        float *dx = i > lowest ? (dy == buffers[0] ? buffers[1] : buffers[0]) : NULL;
        KD_TRY(backward_layer(model, i, dy, x, dx));
        dy = dx;
    }
    return KD_OK;
}

static kd_status backward(kd_model *model)
{
    int64_t top = top_layer(model);
    KD_FAIL_IF(top < 0, KD_ERR_STATE,
               "backward: expected a gradient for at least one output, got none");
    clear_above(model, top);
    return push_back(model, top);
}

/* U(-a, a), a = 1/sqrt(fan-in) for weight and bias of a layer: what torch.nn.Linear and Conv2d
 * do. */
static void initialize(kd_model *model)
{
    kd__layers *s = kd__layers_of(&model->net);
    for (int64_t i = 0; i < s->count; i++) {
        const kd__layer *layer = &s->layer[i];
        if (layer->weight < 0) continue;
        const kd__tensor *weight = &model->net.tensors[layer->weight],
                         *bias = &model->net.tensors[layer->bias];
        double bound = 1 / sqrt((double)(weight->count / weight->dims[0]));
        uint64_t stream = kd__stream(model->seed, 0x696e6974, (uint64_t)i);
        for (int64_t j = 0; j < weight->count; j++)
            model->parameters[weight->offset + j] =
                (float)((2 * kd__uniform(stream, (uint64_t)j) - 1) * bound);
        for (int64_t j = 0; j < bias->count; j++)
            model->parameters[bias->offset + j] =
                (float)((2 * kd__uniform(stream, (uint64_t)(weight->count + j)) - 1) * bound);
    }
}

const kd__engine kd__layers_engine = {
    .model_types = "mlp, sequential",
    .knows = knows,
    .read = kd__layers_read,
    .free = free_state,
    .configure = configure,
    .memory = memory,
    .reserve = reserve,
    .initialize = initialize,
    .forward = forward,
    .backward = backward,
    .describe = describe,
    .output = output,
    .gradient = gradient,
    .forget_gradients = forget_gradients,
};
