/* Networks of layers: memory, forward and backward passes; layers_run.c has one layer's. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "core/data/data.h"
#include "math/kernels.h"
#include "math/random.h"
#include "core/model/layers.h"

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
    KD_TRY(kd__layers_plan(net, o->max_rows, context->threads, o->frozen, floats));
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
    KD_TRY(kd__layers_plan(&model->net, rows, context->threads, model->frozen, &floats));
    KD_TRY(KD_NEW(context, &s->block, floats));
    s->max_rows = rows;
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

/* The variance of one number is none, and that of a part of a batch is not the whole batch's. */
static kd_status check_norms(const kd_model *model, int32_t mode, int64_t rows)
{
    const kd__layers *s = kd__layers_of(&model->net);
    const int is_part = mode == KD_MODE_REHEARSE || model->rehearsal.rows > rows;
    for (int64_t i = 0; i < s->count; i++) {
        const kd__layer *layer = &s->layer[i];
        if (layer->type != KD__BATCH_NORM) continue;
        KD_FAIL_IF(is_part, KD_ERR_UNSUPPORTED,
                   "batch norm of layer '%.60s': a batch cannot be passed in parts (chunks, "
                   "rehearsals), its mean and variance are those of the whole",
                   layer->output);
        KD_FAIL_IF(rows * layer->outputs == layer->shape[0], KD_ERR_SHAPE,
                   "batch norm of layer '%.60s': a KD_MODE_TRAIN pass expects at least 2 numbers a "
                   "channel, got 1 (one row, one place)",
                   layer->output);
    }
    return KD_OK;
}

static kd_status forward(kd_model *model, kd_batch *batch, int32_t mode)
{
    kd__layers *s = kd__layers_of(&model->net);
    const float *input;
    int64_t rows;
    KD_TRY(find_input(model, batch, &input, &rows));
    if (mode != KD_MODE_EVALUATE) KD_TRY(check_norms(model, mode, rows));
    KD_TRY(reserve(model, rows, mode == KD_MODE_TRAIN));
    model->rows = rows;
    model->mode = mode;
    kd_status status = keep_input(model, input, rows);
    const int64_t end = mode == KD_MODE_TRAIN ? s->count : highest_kept(&model->net) + 1;
    for (int64_t i = 0; i < end && status == KD_OK; i++) {
        const kd__layer *layer = &s->layer[i];
        s->layer[i].has_external = 0;
        const int is_in_next = layer->readers == 1 && layer->reader < end &&
                               kd__layer_is_folded(model, layer->reader);
        if (!is_in_next) status = kd__layer_forward(model, i);
    }
    return status;
}

/* ---- outputs: a slot is a layer ---- */

static int is_before_norm(const kd__layers *s, int32_t slot)
{
    const kd__layer *layer = &s->layer[slot];
    return layer->readers == 1 && s->layer[layer->reader].type == KD__BATCH_NORM &&
           (layer->type == KD__CONV || layer->type == KD__DENSE) && !layer->activation;
}

static int describe(const kd__network *net, int32_t slot, kd__output_facts *facts)
{
    const kd__layers *s = kd__layers_of(net);
    memset(facts, 0, sizeof *facts);
    if (slot >= s->count) return 0;
    memcpy(facts->name, s->layer[slot].output, sizeof facts->name);
    facts->width = s->layer[slot].outputs;
    /* what a batch norm is folded into is there when somebody asks for it */
    facts->is_kept = *facts->name && !is_before_norm(s, slot);
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

/* The highest layer whose output got a gradient; -1 when none did. */
static int64_t top_layer(const kd_model *model)
{
    const kd__layers *s = kd__layers_of(&model->net);
    int64_t top = s->count - 1;
    while (top >= 0 && !s->layer[top].has_external) top--;
    return top;
}

/* Tensors that no gradient came to, and running statistics, have one of zero. */
static void clear_tensor(kd_model *model, int32_t tensor)
{
    float *gradient = kd__tensor_wanted(model, tensor);
    if (gradient && model->gradients_fresh)
        memset(gradient, 0, (size_t)model->net.tensors[tensor].count * sizeof *gradient);
}

static void clear_layer(kd_model *model, const kd__layer *layer)
{
    clear_tensor(model, layer->weight);
    clear_tensor(model, layer->bias);
}

/* The lowest layer that is trained: no gradient goes further. */
static int64_t lowest_trained(const kd_model *model)
{
    const kd__layers *s = kd__layers_of(&model->net);
    int64_t i = 0;
    while (i < s->count && !kd__tensor_wanted(model, s->layer[i].weight) &&
           !kd__tensor_wanted(model, s->layer[i].bias))
        i++;
    return i;
}

/* A backward pass on its way down: `dy` (one of the buffers, or NULL) is what came to layer `of`
 * from the layer after it, its only reader. */
typedef struct {
    float *buffers[2], *dy;
    int64_t of, lowest;
} flow;

/* Where layer `source` has the gradient that its reader `number` is about to make; *add 1: it is
 * added to what is there, by add_gradient. NULL: not wanted. */
static float *place_of(kd__layers *s, const flow *f, int64_t source, const float *dy, int *add)
{
    *add = 0;
    if (source < f->lowest) return NULL;
    const kd__layer *layer = &s->layer[source];
    float *other = dy == f->buffers[0] ? f->buffers[1] : f->buffers[0];
    if (layer->gradient < 0) return other;
    *add = layer->has_gradient;
    return *add ? other : s->block + layer->gradient;
}

typedef struct {
    const kd__kernels *kernels;
    float *to;
    const float *from;
    float keep;
    int64_t count;
} adding;

#define NUMBERS_A_TILE 16384

static void add_tile(void *argument, int64_t tile, int32_t worker)
{
    const adding *a = argument;
    const int64_t first = tile * NUMBERS_A_TILE;
    (void)worker;
    a->kernels->axpby(a->to + first, 1, a->from + first, a->keep,
                      kd__min(a->count - first, NUMBERS_A_TILE));
}

/* to = from, or with add += from, of all rows of a layer. */
static void add_gradient(const kd_model *model, const kd__layer *layer, float *to,
                         const float *from, int add)
{
    adding a = { model->object.context->kernels, to, from, add ? 1 : 0,
                 model->rows * layer->outputs };
    kd__parallel(model->object.context, kd__ceil_div(a.count, NUMBERS_A_TILE), add_tile, &a);
}

static void gradient_made(kd_model *model, flow *f, int64_t source, float *dx, int add)
{
    kd__layers *s = kd__layers_of(&model->net);
    kd__layer *layer = &s->layer[source];
    if (layer->gradient < 0) {
        f->dy = dx;
        f->of = source;
        return;
    }
    if (add) add_gradient(model, layer, s->block + layer->gradient, dx, 1);
    layer->has_gradient = 1;
}

/* All that came to a layer; NULL: nothing. */
static float *gradient_of(kd_model *model, flow *f, int64_t number)
{
    kd__layers *s = kd__layers_of(&model->net);
    kd__layer *layer = &s->layer[number];
    float *dy = f->of == number ? f->dy : NULL;
    if (layer->has_gradient) dy = s->block + layer->gradient;
    if (!layer->has_external) return dy;
    if (!dy) return layer->external;
    add_gradient(model, layer, dy, layer->external, 1);
    return dy;
}

/* The same gradient for the second of two that are added. */
static void pass_to_other(kd_model *model, flow *f, const kd__layer *layer, float *dy)
{
    kd__layers *s = kd__layers_of(&model->net);
    if (layer->other < f->lowest) return;
    kd__layer *other = &s->layer[layer->other];
    add_gradient(model, layer, s->block + other->gradient, dy, other->has_gradient);
    other->has_gradient = 1;
}

static kd_status push_back(kd_model *model, int64_t top)
{
    kd__layers *s = kd__layers_of(&model->net);
    flow f = {
        { s->block + s->gradient_a, s->block + s->gradient_b }, NULL, -1, lowest_trained(model)
    };
    for (int64_t i = 0; i <= top; i++) s->layer[i].has_gradient = 0;
    for (int64_t i = top; i >= f.lowest; i--) {
        const kd__layer *layer = &s->layer[i];
        float *dy = gradient_of(model, &f, i);
        int add;
        if (!dy) {
            clear_layer(model, layer);
            continue;
        }
        float *dx = place_of(s, &f, layer->source, dy, &add);
        /* a sum's gradient is that of what it adds: it goes on as it is */
        if (layer->type == KD__ADD && dx && s->layer[layer->source].gradient < 0) dx = dy;
        KD_TRY(kd__layer_backward(model, i, dy, dx));
        if (dx) gradient_made(model, &f, layer->source, dx, add);
        if (layer->type == KD__ADD) pass_to_other(model, &f, layer, dy);
    }
    return KD_OK;
}

static kd_status backward(kd_model *model)
{
    int64_t top = top_layer(model);
    KD_FAIL_IF(top < 0, KD_ERR_STATE,
               "backward: expected a gradient for at least one output, got none");
    const kd__layers *s = kd__layers_of(&model->net);
    for (int64_t i = 0; i < s->count; i++) {
        if (i > top) clear_layer(model, &s->layer[i]);
        clear_tensor(model, s->layer[i].mean);
        clear_tensor(model, s->layer[i].variance);
    }
    return push_back(model, top);
}

static void fill(const kd_model *model, int32_t index, float value)
{
    const kd__tensor *t = &model->net.tensors[index];
    for (int64_t j = 0; j < t->count; j++) model->parameters[t->offset + j] = value;
}

static void draw(const kd_model *model, int32_t index, uint64_t stream, int64_t first, double bound)
{
    if (index < 0) return;
    const kd__tensor *t = &model->net.tensors[index];
    for (int64_t j = 0; j < t->count; j++)
        model->parameters[t->offset + j] =
            (float)((2 * kd__uniform(stream, (uint64_t)(first + j)) - 1) * bound);
}

/* U(-a, a), a = 1/sqrt(fan-in) for weight and bias of a layer: what torch.nn.Linear and Conv2d
 * do. Norms begin with 1 and 0, and their statistics with a mean of 0 and a variance of 1. */
static void initialize(kd_model *model)
{
    kd__layers *s = kd__layers_of(&model->net);
    for (int64_t i = 0; i < s->count; i++) {
        const kd__layer *layer = &s->layer[i];
        if (layer->weight < 0) continue;
        if (layer->type == KD__BATCH_NORM) {
            fill(model, layer->weight, 1);
            fill(model, layer->variance, 1);
            continue;
        }
        const kd__tensor *weight = &model->net.tensors[layer->weight];
        const double bound = 1 / sqrt((double)(weight->count / weight->dims[0]));
        const uint64_t stream = kd__stream(model->seed, 0x696e6974, (uint64_t)i);
        draw(model, layer->weight, stream, 0, bound);
        draw(model, layer->bias, stream, weight->count, bound);
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
