/* Outputs of samples, forward and backward. Legend in chain.h. */
#include "language/sentence/samples.h"

#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "language/trunk/lora.h"
#include "nn/activation.h"
#include "nn/dropout.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/unit_rows.h"

/* ---- memory: v_0 .. v_n, the output of length 1, lengths, its gradient, scratch ---- */

static int64_t widest(const kd__chain *c)
{
    int64_t most = c->width;
    for (int64_t i = 0; i < c->count; i++) most = kd__max(most, c->stage[i].outputs);
    return most;
}

/* Where v_i begins, for one sample; i = stages + 1: what comes after them. */
static int64_t value_at(const kd__chain *c, int64_t i)
{
    int64_t at = i ? c->width : 0;
    for (int64_t k = 0; k + 1 < i; k++) at += c->stage[k].outputs;
    return at;
}

static float *value(const kd__chain *c, int64_t i)
{
    return c->block + value_at(c, i) * c->samples;
}
static float *unit_of(const kd__chain *c) { return value(c, c->count + 1); }
static float *lengths_of(const kd__chain *c)
{
    return unit_of(c) + kd__chain_outputs(c) * c->samples;
}
float *kd__chain_gradient(const kd__chain *c) { return lengths_of(c) + c->samples; }
static float *scratch(const kd__chain *c, int64_t i)
{
    return kd__chain_gradient(c) + (kd__chain_outputs(c) + i * widest(c)) * c->samples;
}

/* What enters a stage. */
static const float *input(const kd_model *model, const kd__chain *c, int64_t stage)
{
    return !stage && c->has_transform ? kd__transform_output(model, &c->transform)
                                      : value(c, stage);
}

static kd_status reserve(kd_context *context, kd__chain *c, int64_t samples)
{
    const int64_t a_sample = value_at(c, c->count + 1) + 2 * kd__chain_outputs(c) + 1 +
                             3 * widest(c) + 2;
    int64_t floats;
    KD_TRY(kd__multiply(samples, a_sample, &floats));
    KD_TRY(KD_RESERVE(context, &c->block, &c->room, floats));
    c->samples = samples;
    return KD_OK;
}

/* ---- passes ---- */

static kd__sequences sequences_of(const kd_model *model, const kd__chain *c)
{
    const kd__trunk *trunk = kd__trunk_of(model);
    return (kd__sequences){ model->object.context, trunk->pass.sequences, trunk->pass.offsets,
                            c->skips_prompt ? trunk->samples->prompts : NULL };
}

static const float *hidden_of(const kd_model *model)
{
    const kd__trunk_pass *pass = &kd__trunk_of(model)->pass;
    return pass->block + pass->plan.hidden;
}

/* What a norm of a stage's inputs keeps, (S, 2). */
static float *kept_of(const kd__chain *c) { return scratch(c, 3); }

/* y (S, inputs) = dropout(x); x itself where nothing is dropped. */
static const float *dropped(const kd_model *model, const kd__stage *s, int64_t site,
                            const kd__rows *rows, const float *x, float *y)
{
    const kd__trunk_pass *pass = &kd__trunk_of(model)->pass;
    if (model->mode == KD_MODE_EVALUATE || !(s->dropout > 0)) return x;
    kd__dropout(rows->context, y, x, s->dropout,
                kd__dropout_from(kd__trunk_stream(model, pass, site), pass->draws.first_sample),
                rows->count, s->inputs);
    return y;
}

/* What a stage multiplies, of v_i: normed, then dropped; y (S, inputs) is room for it. */
static const float *entered(const kd_model *model, const kd__chain *c, int64_t i, int64_t site,
                            const kd__rows *rows, float *y)
{
    const kd__stage *s = &c->stage[i];
    const float *x = input(model, c, i);
    if (s->is_normed) kd__trunk_norm(model, rows, s->norm, x, y, kept_of(c));
    return dropped(model, s, site + i, rows, s->is_normed ? y : x, y);
}

kd_status kd__chain_forward(kd_model *model, kd__chain *c, int64_t site)
{
    const kd__sequences sequences = sequences_of(model, c);
    const kd__rows rows = { sequences.context, sequences.count };
    if (c->is_made) return KD_OK;
    KD_TRY(reserve(rows.context, c, rows.count));
    kd__pool(&sequences, c->pooling, hidden_of(model), c->width, value(c, 0));
    if (c->has_transform)
        KD_TRY(kd__transform_forward(model, &c->transform, value(c, 0), rows.count));
    for (int64_t i = 0; i < c->count; i++) {
        const kd__stage *s = &c->stage[i];
        const float *x = entered(model, c, i, site, &rows, scratch(c, 0));
        KD_TRY(kd__linear(&rows, x, s->inputs, kd__tensor_values(model, s->weight), s->outputs,
                          value(c, i + 1)));
        kd__activation_forward(rows.context, s->activation, value(c, i + 1),
                               kd__tensor_values(model, s->bias), NULL, rows.count, s->outputs);
    }
    if (c->normalize)
        kd__unit_rows(&rows, value(c, c->count), kd__chain_outputs(c), unit_of(c), lengths_of(c));
    c->is_made = 1;
    return KD_OK;
}

const float *kd__chain_output(const kd__chain *c)
{
    return c->normalize ? unit_of(c) : value(c, c->count);
}

/* On the way back: 0: gradients of tensors stay as they are. */
typedef struct {
    kd_model *model;
    const kd__chain *c;
    int64_t site;
    int trains;
} way;

static float *gradient_of(const way *w, int32_t tensor)
{
    return w->trains ? kd__tensor_gradient(w->model, tensor) : NULL;
}

/* dx (S, inputs) of the normed inputs becomes that of v_i. */
static void norm_gradient(const way *w, int64_t i, const kd__rows *rows, float *dx)
{
    const kd__stage *s = &w->c->stage[i];
    kd__layer_norm_gradient(rows, value(w->c, i), kd__tensor_values(w->model, s->norm),
                            kept_of(w->c), dx, s->inputs, dx, 0, gradient_of(w, s->norm),
                            gradient_of(w, s->norm + 1), 1);
}

/* dx (S, inputs) from dy (S, outputs), which becomes the gradient before the activation. */
static kd_status stage_gradient(const way *w, int64_t i, const kd__rows *rows, float *dy, float *dx)
{
    kd_model *model = w->model;
    const kd__chain *c = w->c;
    const kd__stage *s = &c->stage[i];
    const float *x = entered(model, c, i, w->site, rows, scratch(c, 2));
    kd__activation_backward(rows->context, s->activation, dy, value(c, i + 1), NULL, rows->count,
                            s->outputs);
    kd__bias_gradient(rows, dy, s->outputs, gradient_of(w, s->bias), 1);
    if (w->trains && kd__lora_wants(model, s->weight, model->net.tensors[s->weight].count))
        KD_TRY(kd__linear_weight_gradient(rows, x, s->inputs, dy, s->outputs,
                                          kd__tensor_gradient(model, s->weight), 1));
    KD_TRY(kd__linear_input_gradient(rows, dy, s->outputs, kd__tensor_values(model, s->weight),
                                     s->inputs, dx));
    dropped(model, s, w->site + i, rows, dx, dx);
    if (s->is_normed) norm_gradient(w, i, rows, dx);
    return KD_OK;
}

static kd_status go_back(kd_model *model, kd__chain *c, int64_t site, const float *given,
                         int trains, float *dhidden)
{
    const way w = { model, c, site, trains };
    const kd__sequences sequences = sequences_of(model, c);
    const kd__rows rows = { sequences.context, sequences.count };
    const int64_t outputs = kd__chain_outputs(c);
    float *dy = scratch(c, 0), *dx = scratch(c, 1);
    if (c->normalize) kd__unit_rows_gradient(&rows, unit_of(c), lengths_of(c), given, outputs, dy);
    else memcpy(dy, given, (size_t)(rows.count * outputs) * sizeof *dy);
    for (int64_t i = c->count; i-- > 0;) {
        float *done = dy;
        KD_TRY(stage_gradient(&w, i, &rows, dy, dx));
        dy = dx;
        dx = done;
    }
    if (c->has_transform) KD_TRY(kd__transform_backward(model, &c->transform, value(c, 0), dy));
    kd__pool_gradient(&sequences, c->pooling, hidden_of(model), dy, c->width, dhidden);
    return KD_OK;
}

/* The block, and with it the place of the gradient, is there once the values are. */
kd_status kd__chain_backward(kd_model *model, kd__chain *c, int64_t site, float *dhidden)
{
    KD_TRY(kd__chain_forward(model, c, site));
    return go_back(model, c, site, kd__chain_gradient(c), 1, dhidden);
}

kd_status kd__chain_pull(kd_model *model, kd__chain *c, int64_t site, const float *dy,
                         float *dhidden)
{
    KD_TRY(kd__chain_forward(model, c, site));
    return go_back(model, c, site, dy, 0, dhidden);
}
