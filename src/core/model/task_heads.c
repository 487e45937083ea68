/* Heads for tasks, forward and backward. Legend in task_heads.h. */
#include "core/model/task_heads.h"

#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "math/random.h"
#include "nn/activation.h"
#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/residual.h"
#include "nn/sequence_pool.h"

static kd__task_head *head_of(const kd_model *model, int32_t number)
{
    return &model->net.heads->head[number];
}

int kd__task_heads_describe(const kd__task_heads *heads, int32_t number, kd__output_facts *facts)
{
    memset(facts, 0, sizeof *facts);
    if (!heads || number >= heads->count) return 0;
    const kd__task_head *h = &heads->head[number];
    memcpy(facts->name, h->output, sizeof facts->name);
    facts->width = h->labels;
    facts->unit = h->unit;
    return 1;
}

int32_t kd__task_head_entries_of(const kd_model *model, int32_t slot)
{
    if (slot < model->net.engine_slots) return slot;
    const kd__task_head *h = head_of(model, slot - model->net.engine_slots);
    return h->pooling < 0 ? h->source : -1;
}

/* ---- before and after the engine's pass ---- */

/* Of an engine that has none of its own: the batch may be filled again before they are used. */
static kd_status take_sequences(kd_model *model, kd_batch *batch)
{
    kd__task_heads *heads = model->net.heads;
    kd_array offsets;
    KD_TRY(kd_batch_offsets(batch, &offsets));
    KD_TRY(
        KD_RESERVE(model->object.context, &heads->offsets, &heads->offsets_room, offsets.dims[0]));
    memcpy(heads->offsets, offsets.data, (size_t)offsets.dims[0] * sizeof *heads->offsets);
    heads->sequences = offsets.dims[0] - 1;
    return KD_OK;
}

kd_status kd__task_heads_begin(kd_model *model, kd_batch *batch)
{
    kd__task_heads *heads = model->net.heads;
    int pools = 0;
    for (int64_t i = 0; heads && i < heads->count; i++) {
        kd__task_head *h = &heads->head[i];
        uint8_t *kept = &model->net.kept[model->net.engine_slots + i];
        h->is_made = h->has_gradient = 0;
        pools |= h->pooling >= 0;
        if (*kept) model->net.kept[h->source] = 1;
        *kept = 0; /* the engine's pass goes no further than its own outputs need */
    }
    return pools && !model->net.engine->sequences ? take_sequences(model, batch) : KD_OK;
}

void kd__task_heads_end(kd_model *model)
{
    const kd__network *net = &model->net;
    for (int32_t s = net->engine_slots; s < net->slots; s++) net->kept[s] = net->asked[s];
}

/* ---- memory: one block, of places that a pass needs ---- */

typedef struct {
    float *pooled, *hidden, *entered, *logits, *dlogits;
    float *dropped, *dmiddle, *dx; /* scratch; dx (n, d) */
    int64_t floats;
} places;

static void take(places *p, float *block, float **place, int64_t floats)
{
    *place = floats ? block + p->floats : NULL;
    p->floats += kd__round_up(floats, 16);
}

/* Numbers that the last matrix takes. */
static int64_t inputs_of(const kd__task_head *h) { return h->hidden ? h->hidden : h->width; }

static places places_in(const kd__task_head *h, int64_t n, int32_t mode)
{
    const int train = mode == KD_MODE_TRAIN, drops = mode != KD_MODE_EVALUATE;
    const int keeps = train && h->hidden && kd__activation_keeps_input(h->activation);
    places p = { 0 };
    take(&p, h->block, &p.pooled, h->pooling < 0 ? 0 : n * h->width);
    take(&p, h->block, &p.hidden, n * h->hidden);
    take(&p, h->block, &p.entered, keeps ? n * h->hidden : 0);
    take(&p, h->block, &p.logits, n * h->labels);
    take(&p, h->block, &p.dropped, drops && h->dropout > 0 ? n * inputs_of(h) : 0);
    take(&p, h->block, &p.dlogits, train ? n * h->labels : 0);
    take(&p, h->block, &p.dmiddle, train ? n * h->hidden : 0);
    take(&p, h->block, &p.dx, train ? n * h->width : 0);
    return p;
}

static places places_of(const kd_model *model, const kd__task_head *h, int64_t n)
{
    return places_in(h, n, model->mode);
}

static int is_asked(const kd__network *net, int64_t number)
{
    return net->asked[net->engine_slots + number];
}

void kd__task_heads_ask(kd__network *net)
{
    for (int64_t i = 0; net->heads && i < net->heads->count; i++)
        if (is_asked(net, i)) net->asked[net->heads->head[i].source] = 1;
}

kd_status kd__task_heads_memory(const kd__network *net, int64_t entries, int32_t mode,
                                int64_t *floats)
{
    for (int64_t i = 0; net->heads && i < net->heads->count; i++) {
        const kd__task_head *h = &net->heads->head[i];
        kd__output_facts facts;
        int64_t rows, most;
        if (!is_asked(net, i)) continue;
        net->engine->describe(net, h->source, &facts);
        KD_TRY(kd__multiply(entries, h->pooling < 0 ? kd__max(facts.entry_rows, 1) : 1, &rows));
        KD_TRY(kd__multiply(rows, places_in(h, 1, mode).floats, &most));
        KD_FAIL_IF(*floats > INT64_MAX - most, KD_ERR_RANGE, "max_rows: expected fewer, got %lld",
                   (long long)entries);
        *floats += places_in(h, rows, mode).floats;
    }
    return KD_OK;
}

/* ---- what a head reads ---- */

/* Rows of an output of the engine, (R, d), and where sequences lie among them. */
typedef struct {
    float *x;
    int64_t rows;
    kd__sequences sequences;
} reading;

static kd_status find_sequences(kd_model *model, const kd__task_head *h, reading *r)
{
    const kd__engine *engine = model->net.engine;
    const kd__task_heads *heads = model->net.heads;
    r->sequences = (kd__sequences){ .context = model->object.context,
                                    .count = heads->sequences,
                                    .offsets = heads->offsets };
    if (engine->sequences)
        KD_TRY(engine->sequences(model, h->source, &r->sequences.count, &r->sequences.offsets));
    KD_FAIL_IF(r->sequences.offsets[r->sequences.count] != r->rows, KD_ERR_SHAPE,
               "output '%.60s': what it pools has %lld rows, the batch's samples have %lld",
               h->output, (long long)r->rows, (long long)r->sequences.offsets[r->sequences.count]);
    return KD_OK;
}

static kd_status read_source(kd_model *model, const kd__task_head *h, reading *r)
{
    kd_array values;
    KD_TRY(model->net.engine->output(model, h->source, &values));
    r->x = values.data;
    r->rows = kd_array_count(&values) / h->width;
    return h->pooling < 0 ? KD_OK : find_sequences(model, h, r);
}

static int64_t entries_of(const kd__task_head *h, const reading *r)
{
    return h->pooling < 0 ? r->rows : r->sequences.count;
}

/* ---- forward ---- */

static float *values_of(const kd_model *model, int32_t tensor)
{
    return tensor < 0 ? NULL : model->parameters + model->net.tensors[tensor].offset;
}

/* y (n, width) = dropout(x); x itself where nothing is dropped. The same turns dy into dx. */
static const float *dropped(const kd_model *model, const kd__task_head *h, const kd__rows *rows,
                            const float *x, float *y)
{
    const kd__draws *d = &model->draws;
    const uint64_t stream = kd__stream(model->seed ^ 0x68656164, (uint64_t)d->pass, h->stream);
    if (model->mode == KD_MODE_EVALUATE || !(h->dropout > 0)) return x;
    kd__dropout(
        rows->context, y, x, h->dropout,
        kd__dropout_from(stream, h->unit == KD_UNIT_OF_SAMPLE ? d->first_sample : d->first_row),
        rows->count, inputs_of(h));
    return y;
}

/* u (n, h), or what was read. */
static kd_status middle(kd_model *model, const kd__task_head *h, const places *p,
                        const kd__rows *rows, const float *x, const float **u)
{
    *u = x;
    if (!h->hidden) return KD_OK;
    *u = p->hidden;
    KD_TRY(kd__linear(rows, x, h->width, values_of(model, h->dense), h->hidden, p->hidden));
    kd__activation_forward(rows->context, h->activation, p->hidden, values_of(model, h->dense_bias),
                           p->entered, rows->count, h->hidden);
    return KD_OK;
}

static kd_status make(kd_model *model, kd__task_head *h)
{
    reading r;
    const float *u;
    if (h->is_made) return KD_OK;
    KD_TRY(read_source(model, h, &r));
    const kd__rows rows = { model->object.context, entries_of(h, &r) };
    KD_TRY(KD_RESERVE(rows.context, &h->block, &h->room, places_of(model, h, rows.count).floats));
    const places p = places_of(model, h, rows.count);
    if (h->pooling >= 0) kd__pool(&r.sequences, h->pooling, r.x, h->width, p.pooled);
    KD_TRY(middle(model, h, &p, &rows, h->pooling < 0 ? r.x : p.pooled, &u));
    KD_TRY(kd__linear(&rows, dropped(model, h, &rows, u, p.dropped), inputs_of(h),
                      values_of(model, h->weight), h->labels, p.logits));
    kd__bias(&rows, p.logits, values_of(model, h->bias), h->labels);
    h->entries = rows.count;
    h->is_made = 1;
    return KD_OK;
}

kd_status kd__task_head_output(kd_model *model, int32_t number, kd_array *values)
{
    kd__task_head *h = head_of(model, number);
    KD_TRY(make(model, h));
    const int64_t dims[2] = { h->entries, h->labels };
    kd__array_view(values, places_of(model, h, h->entries).logits, KD_FLOAT32, 2, dims);
    return KD_OK;
}

/* ---- backward ---- */

kd_status kd__task_head_gradient(kd_model *model, int32_t number, float **to, int32_t *add)
{
    kd__task_head *h = head_of(model, number);
    KD_TRY(make(model, h));
    *to = places_of(model, h, h->entries).dlogits;
    *add = h->has_gradient;
    h->has_gradient = 1;
    return KD_OK;
}

void kd__task_heads_forget(kd__task_heads *heads)
{
    for (int64_t i = 0; heads && i < heads->count; i++) heads->head[i].has_gradient = 0;
}

/* dW += dy' x, db += sums of dy, which are 0 before the first pass that adds. */
static kd_status add_gradients(kd_model *model, const kd__rows *rows, int32_t weight, int32_t bias,
                               const float *x, int64_t inputs, const float *dy, int64_t outputs)
{
    float *dw = kd__tensor_wanted(model, weight);
    kd__bias_gradient(rows, dy, outputs, kd__tensor_wanted(model, bias), 1);
    return dw ? kd__linear_weight_gradient(rows, x, inputs, dy, outputs, dw, 1) : KD_OK;
}

/* dx (n, d) into the gradient of what the head reads. */
static kd_status push(kd_model *model, const kd__task_head *h, const reading *r, const float *dx)
{
    float *to;
    int32_t add;
    const int64_t count = r->rows * h->width;
    KD_TRY(model->net.engine->gradient(model, h->source, &to, &add));
    model->engine_has_gradient = 1;
    if (h->pooling < 0) {
        model->object.context->kernels->axpby(to, 1, dx, add ? 1 : 0, count);
        return KD_OK;
    }
    if (!add) memset(to, 0, (size_t)count * sizeof *to);
    kd__pool_gradient(&r->sequences, h->pooling, r->x, dx, h->width, to);
    return KD_OK;
}

/* dx (n, d), or dmiddle (n, h) where there is a hidden layer, from dy (n, N). */
static kd_status push_logits(kd_model *model, const kd__task_head *h, const places *p,
                             const kd__rows *rows, const float *dy)
{
    float *du = h->hidden ? p->dmiddle : p->dx;
    KD_TRY(kd__linear_input_gradient(rows, dy, h->labels, values_of(model, h->weight), inputs_of(h),
                                     du));
    dropped(model, h, rows, du, du);
    if (h->hidden)
        kd__activation_backward(rows->context, h->activation, p->dmiddle, p->hidden, p->entered,
                                rows->count, h->hidden);
    return KD_OK;
}

static kd_status push_middle(kd_model *model, const kd__task_head *h, const places *p,
                             const kd__rows *rows)
{
    if (!h->hidden) return KD_OK;
    return kd__linear_input_gradient(rows, p->dmiddle, h->hidden, values_of(model, h->dense),
                                     h->width, p->dx);
}

/* reaches 0: nothing before the head is trained. */
static kd_status push_head(kd_model *model, const kd__task_head *h, int reaches)
{
    const places p = places_of(model, h, h->entries);
    const kd__rows rows = { model->object.context, h->entries };
    reading r;
    KD_TRY(read_source(model, h, &r));
    const float *x = h->pooling < 0 ? r.x : p.pooled, *u = h->hidden ? p.hidden : x;
    KD_TRY(add_gradients(model, &rows, h->weight, h->bias, dropped(model, h, &rows, u, p.dropped),
                         inputs_of(h), p.dlogits, h->labels));
    if (!reaches && !h->hidden) return KD_OK;
    KD_TRY(push_logits(model, h, &p, &rows, p.dlogits));
    if (h->hidden)
        KD_TRY(add_gradients(model, &rows, h->dense, h->dense_bias, x, h->width, p.dmiddle,
                             h->hidden));
    if (!reaches) return KD_OK;
    KD_TRY(push_middle(model, h, &p, &rows));
    return push(model, h, &r, p.dx);
}

kd_status kd__task_head_pull(kd_model *model, int32_t number, const float *dy, int32_t *source,
                             float *dx)
{
    kd__task_head *h = head_of(model, number);
    reading r;
    *source = h->source;
    if (!dx) return KD_OK;
    KD_TRY(make(model, h));
    const places p = places_of(model, h, h->entries);
    const kd__rows rows = { model->object.context, h->entries };
    KD_TRY(read_source(model, h, &r));
    KD_TRY(push_logits(model, h, &p, &rows, dy));
    KD_TRY(push_middle(model, h, &p, &rows));
    if (h->pooling >= 0) kd__pool_gradient(&r.sequences, h->pooling, r.x, p.dx, h->width, dx);
    else rows.context->kernels->axpby(dx, 1, p.dx, 1, rows.count * h->width);
    return KD_OK;
}

static void clear(kd_model *model, int32_t tensor)
{
    float *gradient = kd__tensor_wanted(model, tensor);
    if (gradient) memset(gradient, 0, (size_t)model->net.tensors[tensor].count * sizeof *gradient);
}

static void clear_head(kd_model *model, const kd__task_head *h)
{
    clear(model, h->dense);
    clear(model, h->dense_bias);
    clear(model, h->weight);
    clear(model, h->bias);
}

static int is_heads(const kd__task_heads *heads, int32_t tensor)
{
    for (int64_t i = 0; i < heads->count; i++) {
        const kd__task_head *h = &heads->head[i];
        if (tensor == h->dense || tensor == h->dense_bias || tensor == h->weight ||
            tensor == h->bias)
            return 1;
    }
    return 0;
}

/* Is anything trained but heads? */
static int trains_engine(const kd_model *model)
{
    for (int32_t i = 0; i < model->net.tensor_count; i++) {
        const kd__tensor *t = &model->net.tensors[i];
        if (!t->frozen && !t->is_statistic && !is_heads(model->net.heads, i)) return 1;
    }
    return 0;
}

static void clear_engine(kd_model *model)
{
    for (int32_t i = 0; i < model->net.tensor_count; i++)
        if (!is_heads(model->net.heads, i)) clear(model, i);
}

kd_status kd__task_heads_backward(kd_model *model, int *done)
{
    const kd__task_heads *heads = model->net.heads;
    int any = 0;
    *done = 0;
    if (!heads) return KD_OK;
    for (int64_t i = 0; i < heads->count; i++) any |= heads->head[i].has_gradient;
    if (!any && !model->engine_has_gradient) return KD_OK; /* the engine says so */
    const int reaches = trains_engine(model);
    for (int64_t i = 0; i < heads->count; i++) {
        const kd__task_head *h = &heads->head[i];
        if (model->gradients_fresh) clear_head(model, h);
        if (h->has_gradient) KD_TRY(push_head(model, h, reaches));
    }
    *done = !model->engine_has_gradient;
    if (*done && model->gradients_fresh) clear_engine(model);
    return KD_OK;
}
