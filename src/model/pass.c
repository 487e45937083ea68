/* Networks of layers: forward and backward passes. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "data/data.h"
#include "math/kernels.h"
#include "math/random.h"
#include "model/model.h"
#include "nn/dense.h"
#include "nn/dropout.h"

kd_status kd__model_prepare(kd_model *model, int64_t rows)
{
    kd_context *context = model->object.context;
    int64_t floats;
    if (rows <= model->max_rows) return KD_OK;
    model->rows = 0;
    model->max_rows = 0;
    kd__release(context, model->block);
    model->block = NULL;
    KD_TRY(kd__plan(&model->net, rows, model->frozen, &model->gradient_a, &model->gradient_b, &model->scratch, &floats));
    KD_TRY(KD_NEW(context, &model->block, floats));
    model->max_rows = rows;
    return KD_OK;
}

static const float *tensor(const kd_model *model, int32_t index) { return model->parameters + model->net.tensors[index].offset; }

static uint64_t dropout_stream(const kd_model *model, int64_t layer)
{
    return kd__stream(model->seed ^ 0x64726f70, (uint64_t)model->passes, (uint64_t)layer);
}

static kd_status forward_layer(kd_model *model, int64_t number, const float *x)
{
    kd_context *context = model->object.context;
    const kd__layer *layer = &model->net.layers[number];
    const int64_t rows = model->rows;
    float *y = model->block + layer->y, *pre = layer->pre >= 0 ? model->block + layer->pre : NULL;
    switch (layer->type) {
    case KD__DENSE:
        KD_TRY(kd__dense_forward(context, y, x, tensor(model, layer->weight), rows, layer->inputs, layer->outputs));
        kd__activation_forward(context, layer->activation, y, tensor(model, layer->bias), pre, rows, layer->outputs);
        return KD_OK;
    case KD__CONV:
        return kd__conv_forward(context, &layer->window, layer->activation, y, pre, x, tensor(model, layer->weight), tensor(model, layer->bias), rows,
                                model->block + model->scratch);
    case KD__MAX_POOL: kd__max_pool_forward(context, &layer->window, y, (int32_t *)(void *)(model->block + layer->places), x, rows); return KD_OK;
    case KD__DROPOUT:
        if (model->mode == KD_TRAIN && layer->dropout > 0) {
            kd__dropout(context, y, x, layer->dropout, dropout_stream(model, number), rows, layer->outputs);
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
    kd_status status = kd_batch_field(batch, model->net.input, &values, NULL);
    KD_FAIL_IF(status != KD_OK, status, "the batch has no field '%s', which the model reads", model->net.input);
    KD_FAIL_IF(values.dtype != KD_FLOAT32, KD_ERR_DTYPE, "field '%s': expected float32, got %s", model->net.input, kd__dtype_name(values.dtype));
    KD_FAIL_IF(kd__array_row(&values) != model->net.input_size, KD_ERR_SHAPE, "field '%s': expected %lld numbers a row, got %lld", model->net.input,
               (long long)model->net.input_size, (long long)kd__array_row(&values));
    *input = values.data;
    *rows = values.dims[0];
    return KD_OK;
}

/* A training pass keeps a copy of its input: the batch may be filled again before the backward pass. */
static kd_status keep_input(kd_model *model, const float *input, int64_t rows)
{
    model->input = input;
    if (model->mode != KD_TRAIN) return KD_OK;
    KD_TRY(KD_RESERVE(model->object.context, &model->input_copy, &model->input_room, rows * model->net.input_size));
    memcpy(model->input_copy, input, (size_t)(rows * model->net.input_size) * sizeof *input);
    model->input = model->input_copy;
    return KD_OK;
}

static kd_status forward(kd_model *model, kd_batch *batch, int32_t mode)
{
    const float *input;
    int64_t rows;
    KD_TRY(find_input(model, batch, &input, &rows));
    KD_TRY(kd__model_prepare(model, rows));
    model->rows = rows;
    model->mode = mode;
    if (mode == KD_TRAIN) model->passes++;
    kd_status status = keep_input(model, input, rows);
    const float *x = model->input;
    for (int64_t i = 0; i < model->net.layer_count && status == KD_OK; i++) {
        model->net.layers[i].has_external = 0;
        status = forward_layer(model, i, x);
        x = model->block + model->net.layers[i].y;
    }
    return status;
}

static kd__layer *layer_of(kd_model *model, const char *output)
{
    for (int64_t i = 0; i < model->net.layer_count; i++)
        if (!strcmp(model->net.layers[i].output, output)) return &model->net.layers[i];
    return NULL;
}

static kd_status output(kd_model *model, const char *name, kd_array *values)
{
    int64_t dims[4];
    const kd__layer *layer = layer_of(model, name);
    KD_FAIL_IF(!layer, KD_ERR_NOT_FOUND, "the model has no output '%.60s'", name);
    dims[0] = model->rows;
    memcpy(dims + 1, layer->shape, sizeof layer->shape);
    kd__array_view(values, model->block + layer->y, KD_FLOAT32, 1 + layer->shape_rank, dims);
    return KD_OK;
}

static const char *output_name(kd_model *model, int64_t n)
{
    for (int64_t i = 0; i < model->net.layer_count; i++)
        if (*model->net.layers[i].output && n-- == 0) return model->net.layers[i].output;
    return NULL;
}

/* ---- backward ---- */

static kd_status gradient_slot(kd_model *model, const char *name, float **to, int32_t *add)
{
    kd__layer *layer = layer_of(model, name);
    KD_FAIL_IF(!layer, KD_ERR_NOT_FOUND, "the model has no output '%.60s'", name);
    KD_TRY(KD_RESERVE(model->object.context, &layer->external, &layer->external_room, model->max_rows * layer->outputs));
    *to = layer->external;
    *add = layer->has_external;
    layer->has_external = 1;
    return KD_OK;
}

static void forget_gradients(kd_model *model)
{
    for (int64_t i = 0; i < model->net.layer_count; i++) model->net.layers[i].has_external = 0;
}

/* dy (rows, outputs) is consumed; dx NULL: not wanted. */
static kd_status backward_layer(kd_model *model, int64_t number, float *dy, const float *x, float *dx)
{
    kd_context *context = model->object.context;
    const kd__layer *layer = &model->net.layers[number];
    const int64_t rows = model->rows;
    const float *y = model->block + layer->y, *pre = layer->pre >= 0 ? model->block + layer->pre : NULL;
    const int add = !model->gradients_fresh;
    switch (layer->type) {
    case KD__DENSE:
        kd__activation_backward(context, layer->activation, dy, y, pre, rows, layer->outputs);
        kd__bias_gradient(context, kd__tensor_gradient(model, layer->bias), dy, rows, layer->outputs, add);
        KD_TRY(kd__dense_weight_gradient(context, kd__tensor_gradient(model, layer->weight), dy, x, rows, layer->inputs, layer->outputs, add));
        return dx ? kd__dense_input_gradient(context, dx, dy, tensor(model, layer->weight), rows, layer->inputs, layer->outputs) : KD_OK;
    case KD__CONV:
        kd__activation_backward(context, layer->activation, dy, y, pre, rows, layer->outputs);
        return kd__conv_backward(context, &layer->window, dx, kd__tensor_gradient(model, layer->weight), kd__tensor_gradient(model, layer->bias), dy,
                                 x, tensor(model, layer->weight), rows, add, model->block + model->scratch);
    case KD__MAX_POOL:
        if (dx) kd__max_pool_backward(context, &layer->window, dx, dy, (const int32_t *)(const void *)(model->block + layer->places), rows);
        return KD_OK;
    case KD__DROPOUT:
        if (dx && layer->dropout > 0) {
            kd__dropout(context, dx, dy, layer->dropout, dropout_stream(model, number), rows, layer->outputs);
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
    int64_t top = model->net.layer_count - 1;
    while (top >= 0 && !model->net.layers[top].has_external) top--;
    return top;
}

/* Layers above the top one got no gradient: theirs is zero. */
static void clear_above(kd_model *model, int64_t top)
{
    for (int64_t i = top + 1; i < model->net.layer_count && model->gradients_fresh; i++) {
        const kd__layer *layer = &model->net.layers[i];
        if (layer->weight < 0) continue;
        memset(kd__tensor_gradient(model, layer->weight), 0, (size_t)model->net.tensors[layer->weight].count * sizeof(float));
        memset(kd__tensor_gradient(model, layer->bias), 0, (size_t)model->net.tensors[layer->bias].count * sizeof(float));
    }
}

static int64_t lowest_with_weights(const kd_model *model)
{
    int64_t i = 0;
    while (i < model->net.layer_count && model->net.layers[i].weight < 0) i++;
    return i;
}

static kd_status push_back(kd_model *model, int64_t top)
{
    float *buffers[2] = { model->block + model->gradient_a, model->block + model->gradient_b };
    float *dy = NULL;
    const int64_t lowest = lowest_with_weights(model);
    for (int64_t i = top; i >= lowest; i--) {
        kd__layer *layer = &model->net.layers[i];
        if (layer->has_external) {
            if (dy) model->object.context->kernels->axpby(dy, 1, layer->external, 1, model->rows * layer->outputs);
            else dy = layer->external;
        }
        const float *x = i ? model->block + model->net.layers[i - 1].y : model->input;
        float *dx = i > lowest ? (dy == buffers[0] ? buffers[1] : buffers[0]) : NULL;
        KD_TRY(backward_layer(model, i, dy, x, dx));
        dy = dx;
    }
    return KD_OK;
}

static kd_status backward(kd_model *model)
{
    int64_t top = top_layer(model);
    KD_FAIL_IF(top < 0, KD_ERR_STATE, "backward: no output got a gradient");
    clear_above(model, top);
    return push_back(model, top);
}

/* U(-a, a), a = 1/sqrt(fan-in) for weight and bias of a layer: what torch.nn.Linear and Conv2d do. */
static void initialise(kd_model *model)
{
    for (int64_t i = 0; i < model->net.layer_count; i++) {
        const kd__layer *layer = &model->net.layers[i];
        if (layer->weight < 0) continue;
        const kd__tensor *weight = &model->net.tensors[layer->weight], *bias = &model->net.tensors[layer->bias];
        double bound = 1 / sqrt((double)(weight->count / weight->dims[0]));
        uint64_t stream = kd__stream(model->seed, 0x696e6974, (uint64_t)i);
        for (int64_t j = 0; j < weight->count; j++)
            model->parameters[weight->offset + j] = (float)((2 * kd__uniform(stream, (uint64_t)j) - 1) * bound);
        for (int64_t j = 0; j < bias->count; j++)
            model->parameters[bias->offset + j] = (float)((2 * kd__uniform(stream, (uint64_t)(weight->count + j)) - 1) * bound);
    }
}

const kd__engine kd__layers_engine = { forward, backward, output, output_name, gradient_slot, forget_gradients, initialise };
