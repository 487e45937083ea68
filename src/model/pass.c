/* Forward and backward passes. */
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
static float *gradient(const kd_model *model, int32_t index) { return model->gradients + model->net.tensors[index].offset; }

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

kd_status kd_model_forward(kd_model *model, kd_batch *batch, int32_t mode)
{
    const float *input;
    int64_t rows;
    KD_NEED(model);
    KD_NEED(batch);
    KD_FAIL_IF(mode != KD_TRAIN && mode != KD_EVALUATE, KD_ERR_INVALID, "mode: expected KD_TRAIN or KD_EVALUATE, got %d", mode);
    KD_FAIL_IF(mode == KD_TRAIN && model->frozen, KD_ERR_STATE, "a frozen model cannot train");
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
    if (status != KD_OK) model->rows = 0;
    return status;
}

kd__layer *kd__model_layer(kd_model *model, const char *output)
{
    for (int64_t i = 0; i < model->net.layer_count; i++)
        if (!strcmp(model->net.layers[i].output, output)) return &model->net.layers[i];
    return NULL;
}

static kd_status find_output(kd_model *model, const char *name, kd__layer **layer)
{
    KD_FAIL_IF(!name || !*name, KD_ERR_INVALID, "the output's name is empty");
    KD_FAIL_IF(!model->rows, KD_ERR_STATE, "output '%.60s': no forward pass yet", name);
    *layer = kd__model_layer(model, name);
    KD_FAIL_IF(!*layer, KD_ERR_NOT_FOUND, "the model has no output '%.60s'", name);
    return KD_OK;
}

kd_status kd_model_output(kd_model *model, const char *name, kd_array *values)
{
    kd__layer *layer;
    int64_t dims[4];
    KD_NEED(model);
    KD_NEED(values);
    KD_TRY(find_output(model, name, &layer));
    dims[0] = model->rows;
    memcpy(dims + 1, layer->shape, sizeof layer->shape);
    kd__array_view(values, model->block + layer->y, KD_FLOAT32, 1 + layer->shape_rank, dims);
    return KD_OK;
}

/* ---- backward ---- */

kd_status kd__model_gradient_slot(kd_model *model, const char *name, float **to, int32_t *add)
{
    kd__layer *layer;
    KD_TRY(find_output(model, name, &layer));
    KD_FAIL_IF(model->mode != KD_TRAIN, KD_ERR_STATE, "the last forward pass was KD_EVALUATE: nothing can be pushed back");
    KD_TRY(KD_RESERVE(model->object.context, &layer->external, &layer->external_room, model->max_rows * layer->outputs));
    *to = layer->external;
    *add = layer->has_external;
    layer->has_external = 1;
    return KD_OK;
}

kd_status kd_model_add_output_gradient(kd_model *model, const char *name, const kd_array *values)
{
    float *to;
    int32_t add;
    kd__layer *layer;
    KD_NEED(model);
    KD_TRY(find_output(model, name, &layer));
    KD_TRY(kd__array_check(values, "gradient"));
    KD_FAIL_IF(values->dtype != KD_FLOAT32 || !kd__array_contiguous(values), KD_ERR_DTYPE, "gradient: expected contiguous float32");
    KD_FAIL_IF(values->rank < 1 || values->dims[0] != model->rows || kd__array_row(values) != layer->outputs, KD_ERR_SHAPE,
               "gradient of '%s': expected %lld rows of %lld numbers", name, (long long)model->rows, (long long)layer->outputs);
    KD_TRY(kd__model_gradient_slot(model, name, &to, &add));
    model->object.context->kernels->axpby(to, 1, values->data, add ? 1 : 0, model->rows * layer->outputs);
    return KD_OK;
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
        kd__bias_gradient(context, gradient(model, layer->bias), dy, rows, layer->outputs, add);
        KD_TRY(kd__dense_weight_gradient(context, gradient(model, layer->weight), dy, x, rows, layer->inputs, layer->outputs, add));
        return dx ? kd__dense_input_gradient(context, dx, dy, tensor(model, layer->weight), rows, layer->inputs, layer->outputs) : KD_OK;
    case KD__CONV:
        kd__activation_backward(context, layer->activation, dy, y, pre, rows, layer->outputs);
        return kd__conv_backward(context, &layer->window, dx, gradient(model, layer->weight), gradient(model, layer->bias), dy, x,
                                 tensor(model, layer->weight), rows, add, model->block + model->scratch);
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
        memset(gradient(model, layer->weight), 0, (size_t)model->net.tensors[layer->weight].count * sizeof(float));
        memset(gradient(model, layer->bias), 0, (size_t)model->net.tensors[layer->bias].count * sizeof(float));
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

kd_status kd_model_backward(kd_model *model)
{
    KD_NEED(model);
    KD_FAIL_IF(!model->rows || model->mode != KD_TRAIN, KD_ERR_STATE, "backward needs a KD_TRAIN forward pass before it");
    int64_t top = top_layer(model);
    KD_FAIL_IF(top < 0, KD_ERR_STATE, "backward: no output got a gradient");
    clear_above(model, top);
    kd_status status = push_back(model, top);
    for (int64_t i = 0; i <= top; i++) model->net.layers[i].has_external = 0;
    model->rows = 0; /* what the pass kept is consumed */
    if (status == KD_OK) model->gradients_fresh = 0;
    return status;
}

/* ---- predict ---- */

static kd_status predict_range(kd_model *model, kd_dataset *dataset, kd_batch *batch, const char *output, int64_t first, int64_t count, float *to)
{
    kd__layer *layer;
    KD_TRY(kd__batch_range(batch, dataset, first, count));
    KD_TRY(kd_model_forward(model, batch, KD_EVALUATE));
    KD_TRY(find_output(model, output, &layer));
    memcpy(to + first * layer->outputs, model->block + layer->y, (size_t)(count * layer->outputs) * sizeof *to);
    return KD_OK;
}

kd_status kd_model_predict(kd_model *model, kd_dataset *dataset, const char *output, int32_t batch_size, const kd_array *values)
{
    kd_batch *batch = NULL;
    kd_status status = KD_OK;
    KD_NEED(model);
    KD_NEED(dataset);
    KD_NEED(output);
    KD_FAIL_IF(batch_size < 1, KD_ERR_RANGE, "batch_size: expected at least 1, got %d", batch_size);
    kd__layer *layer = kd__model_layer(model, output);
    KD_FAIL_IF(!layer, KD_ERR_NOT_FOUND, "the model has no output '%.60s'", output);
    KD_TRY(kd__array_check(values, "values"));
    KD_FAIL_IF(values->dtype != KD_FLOAT32 || !kd__array_contiguous(values), KD_ERR_DTYPE, "values: expected contiguous float32");
    KD_FAIL_IF(values->rank < 1 || values->dims[0] != dataset->samples || kd__array_row(values) != layer->outputs, KD_ERR_SHAPE,
               "values: expected (%lld, %lld)", (long long)dataset->samples, (long long)layer->outputs);
    KD_TRY(kd_batch_create(&batch, model->object.context, NULL));
    for (int64_t i = 0; i < dataset->samples && status == KD_OK; i += batch_size) {
        int64_t count = dataset->samples - i < batch_size ? dataset->samples - i : batch_size;
        status = kd__progress(model->object.context, "predict", i, dataset->samples);
        if (status == KD_OK) status = predict_range(model, dataset, batch, output, i, count, values->data);
    }
    kd_batch_free(batch);
    return status;
}
