/* Passes of towers: each network over its own batch, then embeddings and what they are fused to. A
 * tower whose tensors are all frozen goes through as in evaluation: it keeps nothing and has no
 * backward pass. */
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/text.h"
#include "language/towers/towers.h"
#include "nn/linear.h"
#include "nn/sequence_pool.h"
#include "nn/unit_rows.h"

static kd_status told(const kd__tower *tower, kd_status status)
{
    char where[64];
    snprintf(where, sizeof where, "tower '%s'", tower->name);
    return status == KD_OK ? KD_OK : kd__fail_in(status, where);
}

static float *tensor(const kd_model *model, int32_t index)
{
    return index < 0 ? NULL : model->parameters + model->net.tensors[index].offset;
}

/* ---- what is asked of a tower ---- */

/* The tower's own tensors are frozen as the whole's are; 1: all of them. */
static int take_frozen(const kd_model *model, kd__tower *tower)
{
    int all = 1;
    for (int64_t i = 0; i < tower->model.net.tensor_count; i++) {
        tower->model.net.tensors[i].frozen = model->net.tensors[tower->first + i].frozen;
        all &= tower->model.net.tensors[i].frozen;
    }
    return all;
}

static kd_status look_at_frozen(const kd_model *model, kd__tower *tower)
{
    tower->is_frozen = take_frozen(model, tower) || model->frozen;
    KD_FAIL_IF(tower->always_frozen && !tower->is_frozen, KD_ERR_STATE,
               "tower '%s': its config says that it is frozen, and its memory is planned so: leave "
               "\"frozen\" out, and freeze it by kd_model_freeze(model, \"towers.%s.*\", 1)",
               tower->name, tower->name);
    return KD_OK;
}

/* What the pass keeps of the tower's network; 0: nothing is asked of it. */
static int choose_kept(const kd_model *model, kd__tower *tower, int64_t number, int32_t mode)
{
    const kd__network *net = &model->net;
    kd__network *its = &tower->model.net;
    kd_head head = KD_HEAD_INIT;
    int any = mode == KD_MODE_TRAIN || net->kept[KD__TOWERS_EMBEDDINGS + number] ||
              net->kept[KD__TOWERS_FUSED];
    for (int32_t s = 0; s < tower->slots; s++) {
        its->kept[s] = net->kept[tower->first_slot + s];
        any |= its->kept[s];
    }
    its->kept[tower->output] = 1;
    for (int32_t s = 0; s < tower->slots && its->engine->head; s++) {
        const int32_t from = its->kept[s] ? its->engine->head(&tower->model, s, 0, &head) : -1;
        if (from >= 0) its->kept[from] = 1;
    }
    return any;
}

/* Parts of one batch draw the numbers of one pass: a tower counts the rows that it has seen. A pass
 * that evaluates draws nothing and counts nothing. */
static kd__draws draws_of(const kd_model *model, kd__tower *tower, int32_t mode)
{
    int64_t *count = mode == KD_MODE_REHEARSE ? tower->rehearsed : tower->trained;
    if (mode == KD_MODE_EVALUATE) return model->draws;
    if (!model->draws.first_sample) count[0] = count[1] = 0;
    const kd__draws draws = { model->draws.pass, count[0], count[1] };
    count[0] += tower->seen.rows;
    count[1] += tower->seen.samples;
    return draws;
}

/* ---- forward ---- */

static kd_status run_tower(kd_model *model, kd__tower *tower, int64_t number, const kd_batch *batch,
                           int32_t mode)
{
    kd_model *its = &tower->model;
    KD_TRY(look_at_frozen(model, tower));
    KD_TRY(kd__tower_take(tower, model->object.context, batch));
    const kd__draws draws = draws_of(model, tower, mode);
    its->rows = 0;
    tower->has_run = 0;
    if (!choose_kept(model, tower, number, mode) || !tower->seen.samples) return KD_OK;
    KD_TRY(kd__tower_fill(tower, model->object.context, batch));
    its->rehearsal.rows = model->rehearsal.rows > tower->seen.all ? INT64_MAX : 0;
    KD_TRY(
        kd__model_pass(its, tower->seen.batch, tower->is_frozen ? KD_MODE_EVALUATE : mode, &draws));
    tower->has_run = 1;
    return KD_OK;
}

/* x (samples, w): the network's output, a row for each sample. */
static kd_status source_of(kd__tower *tower, const float **x)
{
    const kd__tower_batch *seen = &tower->seen;
    kd_model *its = &tower->model;
    kd_array values;
    KD_TRY(its->net.engine->output(its, tower->output, &values));
    *x = values.data;
    const int64_t rows = tower->pools ? seen->rows : seen->samples;
    KD_FAIL_IF(values.dims[0] != rows, KD_ERR_SHAPE, "expected %lld rows of its output, got %lld",
               (long long)rows, (long long)values.dims[0]);
    if (!tower->pools || seen->rows == seen->samples) return KD_OK;
    const kd__sequences s = { its->object.context, seen->samples, seen->offsets, NULL };
    kd__pool(&s, tower->pooling, *x, tower->width, tower->pooled);
    *x = tower->pooled;
    return KD_OK;
}

static kd_status embed(kd_model *model, kd__tower *tower)
{
    const kd__towers *t = kd__towers_of(&model->net);
    const kd__rows rows = { model->object.context, tower->seen.samples };
    const float *x = NULL;
    if (tower->has_run) KD_TRY(told(tower, source_of(tower, &x)));
    if (tower->has_run && tower->projection >= 0) {
        KD_TRY(kd__linear(&rows, x, tower->width, tensor(model, tower->projection), t->width,
                          tower->projected));
        x = tower->projected;
    }
    if (tower->has_run && t->normalize) {
        kd__unit_rows(&rows, x, t->width, tower->unit, tower->length);
        x = tower->unit;
    }
    if (tower->has_run) kd__tower_spread(&tower->seen, x, t->width, tower->embedding);
    else memset(tower->embedding, 0, (size_t)(t->samples * t->width) * sizeof *tower->embedding);
    return KD_OK;
}

/* A batch without any of the fields is not one of samples that lack all modalities. */
static kd_status check_fields(const kd__towers *t, const kd_batch *batch)
{
    char names[200] = "";
    size_t at = 0;
    for (int64_t n = 0; n < t->count && at < sizeof names; n++) {
        const char *input = t->tower[n].model.net.input;
        if (kd__fields_find(&batch->fields, input)) return KD_OK;
        at += (size_t)snprintf(names + at, sizeof names - at, "%s'%s'", n ? ", " : "", input);
    }
    return kd__fail(KD_ERR_NOT_FOUND, "the batch has none of the fields that the towers read: %s",
                    names);
}

kd_status kd__towers_forward(kd_model *model, kd_batch *batch, int32_t mode)
{
    kd__towers *t = kd__towers_of(&model->net);
    model->rows = 0;
    model->mode = mode;
    kd__towers_forget_gradients(model);
    KD_TRY(check_fields(t, batch));
    KD_TRY(kd__towers_block(model, batch->samples, mode == KD_MODE_TRAIN));
    kd__towers_bind(model);
    t->samples = batch->samples;
    for (int64_t n = 0; n < t->count; n++)
        KD_TRY(told(&t->tower[n], run_tower(model, &t->tower[n], n, batch, mode)));
    for (int64_t n = 0; n < t->count; n++) KD_TRY(embed(model, &t->tower[n]));
    if (t->fusion.type && (mode == KD_MODE_TRAIN || model->net.kept[KD__TOWERS_FUSED]))
        KD_TRY(kd__fusion_forward(model, batch));
    model->rows = batch->samples;
    return KD_OK;
}

/* ---- backward ---- */

float *kd__tower_dembedding(const kd__towers *t, kd__tower *tower)
{
    if (!tower->has_gradient)
        memset(tower->dembedding, 0, (size_t)(t->samples * t->width) * sizeof(float));
    tower->has_gradient = 1;
    return tower->dembedding;
}

/* dx (samples, w) of what was projected into the network's gradient. */
static kd_status give(kd_model *model, kd__tower *tower, const float *dx)
{
    const kd__tower_batch *seen = &tower->seen;
    kd_context *context = model->object.context;
    kd_model *its = &tower->model;
    float *to;
    int32_t add;
    KD_TRY(its->net.engine->gradient(its, tower->output, &to, &add));
    const int pools = tower->pools && seen->rows != seen->samples;
    const int64_t numbers = (pools ? seen->rows : seen->samples) * tower->width;
    if (!pools) {
        context->kernels->axpby(to, 1, dx, add ? 1 : 0, numbers);
        return KD_OK;
    }
    kd_array x;
    const kd__sequences s = { context, seen->samples, seen->offsets, NULL };
    KD_TRY(its->net.engine->output(its, tower->output, &x));
    if (!add) memset(to, 0, (size_t)numbers * sizeof *to);
    kd__pool_gradient(&s, tower->pooling, x.data, dx, tower->width, to);
    return KD_OK;
}

/* From the embedding's gradient to that of the network's output. */
static kd_status push_embedding(kd_model *model, kd__tower *tower)
{
    const kd__towers *t = kd__towers_of(&model->net);
    const kd__rows rows = { model->object.context, tower->seen.samples };
    float *dy = t->scratch[0], *dx = t->scratch[1];
    const float *x;
    kd__tower_gather(&tower->seen, tower->dembedding, t->width, dy);
    if (t->normalize) kd__unit_rows_gradient(&rows, tower->unit, tower->length, dy, t->width, dy);
    if (tower->projection < 0) return tower->is_frozen ? KD_OK : give(model, tower, dy);
    KD_TRY(source_of(tower, &x));
    KD_TRY(kd__linear_weight_gradient(&rows, x, tower->width, dy, t->width,
                                      kd__tensor_gradient(model, tower->projection), 1));
    if (tower->is_frozen) return KD_OK;
    KD_TRY(kd__linear_input_gradient(&rows, dy, t->width, tensor(model, tower->projection),
                                     tower->width, dx));
    return give(model, tower, dx);
}

/* Gradients of outputs where samples are absent: those of the others go on. */
static kd_status push_spread(kd__tower *tower, int32_t slot)
{
    const kd__tower_batch *seen = &tower->seen;
    kd_model *its = &tower->model;
    const kd__spread *spread = &tower->spread[slot];
    kd__output_facts facts;
    float *to;
    int32_t add;
    its->net.engine->describe(&its->net, slot, &facts);
    KD_TRY(its->net.engine->gradient(its, slot, &to, &add));
    const int of_rows = facts.unit == KD_UNIT_OF_ROW && seen->is_of_rows;
    const int64_t *from = of_rows ? seen->row : seen->sample;
    const int64_t count = of_rows ? seen->rows : seen->samples;
    for (int64_t i = 0; i < count; i++)
        its->object.context->kernels->axpby(to + i * facts.width, 1,
                                            spread->gradient + from[i] * facts.width, add ? 1 : 0,
                                            facts.width);
    return KD_OK;
}

static int has_spread(const kd__tower *tower)
{
    for (int32_t s = 0; s < tower->slots; s++)
        if (tower->spread[s].has_gradient) return 1;
    return 0;
}

/* Gradients that nobody makes are 0. */
static void clear_tower(kd_model *model, kd__tower *tower)
{
    if (!model->gradients_fresh || (tower->is_clear && !model->gradients_foreign)) return;
    memset(tower->model.gradients, 0, (size_t)tower->model.net.parameters * sizeof(float));
    tower->is_clear = 1;
}

static kd_status backward_tower(kd_model *model, kd__tower *tower)
{
    kd_model *its = &tower->model;
    const int goes_back = tower->has_run && !tower->is_frozen &&
                          (tower->has_gradient || tower->is_given || has_spread(tower));
    if (tower->has_run && tower->has_gradient) KD_TRY(push_embedding(model, tower));
    if (!goes_back) {
        clear_tower(model, tower);
        return KD_OK;
    }
    for (int32_t s = 0; s < tower->slots; s++)
        if (tower->spread[s].has_gradient) KD_TRY(push_spread(tower, s));
    (void)take_frozen(model, tower);
    its->gradients_fresh = model->gradients_fresh;
    its->gradients_foreign = model->gradients_foreign;
    tower->is_clear = 0;
    return kd_model_backward(its);
}

static int has_gradients(const kd__towers *t)
{
    int any = t->fusion.has_gradient || t->has_dscalar[0] || t->has_dscalar[1];
    for (int64_t n = 0; n < t->count; n++)
        any |= t->tower[n].has_gradient || t->tower[n].is_given || has_spread(&t->tower[n]);
    return any;
}

kd_status kd__towers_backward(kd_model *model)
{
    kd__towers *t = kd__towers_of(&model->net);
    KD_FAIL_IF(!has_gradients(t), KD_ERR_STATE,
               "backward: expected a gradient for at least one output, got none");
    if (model->gradients_fresh) memset(model->gradients, 0, (size_t)t->own * sizeof(float));
    for (int i = 0; i < 2; i++)
        if (t->has_dscalar[i] && t->scalar[i] >= 0)
            *kd__tensor_gradient(model, t->scalar[i]) += t->dscalar[i];
    if (t->fusion.has_gradient) KD_TRY(kd__fusion_backward(model));
    for (int64_t n = 0; n < t->count; n++)
        KD_TRY(told(&t->tower[n], backward_tower(model, &t->tower[n])));
    if (model->gradients_fresh && model->gradients_foreign == KD__FOREIGN_RESTORED)
        model->gradients_foreign = KD__FOREIGN_NONE;
    return KD_OK;
}
