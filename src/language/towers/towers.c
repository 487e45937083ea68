/* The engine of towers: memory, first weights, the tables of others seen as one model. */
#include "language/towers/towers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "math/random.h"

static int knows(const char *model_type) { return !strcmp(model_type, "towers"); }

/* Of a call on a tower: its name stands before the message. */
static kd_status told(const kd__tower *tower, kd_status status)
{
    char where[64];
    snprintf(where, sizeof where, "tower '%s'", tower->name);
    return status == KD_OK ? KD_OK : kd__fail_in(status, where);
}

/* ---- options ---- */

static kd_model_options options_of(const kd__tower *tower, const kd_model_options *o)
{
    kd_model_options its = *o;
    its.frozen = o->frozen || tower->always_frozen;
    its.keep = NULL;
    return its;
}

static kd_status configure(kd__network *net, const kd_model_options *o)
{
    const kd__towers *t = kd__towers_of(net);
    KD_FAIL_IF(o->weights != KD_FLOAT32, KD_ERR_UNSUPPORTED,
               "weights: towers have them in float32 only (%d), got %d", KD_FLOAT32, o->weights);
    for (int64_t n = 0; n < t->count; n++) {
        const kd_model_options its = options_of(&t->tower[n], o);
        kd__network *of = &t->tower[n].model.net;
        KD_TRY(told(&t->tower[n], of->engine->configure(of, &its)));
    }
    return KD_OK;
}

/* What the towers' networks are asked to keep: what the whole is asked for, and what is projected.
 */
static void ask(kd__network *net)
{
    const kd__towers *t = kd__towers_of(net);
    for (int64_t n = 0; n < t->count; n++) {
        const kd__tower *tower = &t->tower[n];
        for (int32_t s = 0; s < tower->slots; s++)
            tower->model.net.asked[s] = net->asked[tower->first_slot + s];
        tower->model.net.asked[tower->output] = 1;
    }
}

/* ---- memory ---- */

static int64_t widest(const kd__towers *t)
{
    int64_t most = kd__max(t->width, t->fusion.width);
    for (int64_t n = 0; n < t->count; n++) most = kd__max(most, t->tower[n].width);
    return most;
}

/* Places of arrays for so many samples, one after another; `at` NULL: how many floats they take. */
typedef struct {
    float *block;
    int64_t samples, floats;
} placing;

static float *place(placing *p, int64_t width)
{
    float *at = p->block ? p->block + p->floats : NULL;
    p->floats += kd__round_up(p->samples * width, 16);
    return at;
}

static int64_t lay_out(kd__towers *t, float *block, int64_t samples, int32_t train)
{
    placing p = { block, samples, 0 };
    kd__fusion *f = &t->fusion;
    for (int64_t n = 0; n < t->count; n++) {
        kd__tower *tower = &t->tower[n];
        tower->pooled = place(&p, tower->pools ? tower->width : 0);
        tower->projected = place(&p, t->projected ? t->width : 0);
        tower->unit = place(&p, t->normalize ? t->width : 0);
        tower->length = place(&p, t->normalize ? 1 : 0);
        tower->embedding = place(&p, t->width);
        tower->dembedding = place(&p, train ? t->width : 0);
    }
    const int64_t all = f->type ? t->count * t->width : 0;
    f->input = place(&p, all);
    f->gate = place(&p, f->type ? t->count : 0);
    f->value = place(&p, f->type ? f->width : 0);
    f->dinput = place(&p, train ? all : 0);
    f->gradient = place(&p, train && f->type ? f->width : 0);
    for (int i = 0; i < 2; i++) t->scratch[i] = place(&p, train ? widest(t) : 0);
    return p.floats;
}

static kd_status check_size(const kd__towers *t, int64_t samples)
{
    int64_t floats;
    KD_TRY(kd__multiply(samples, (8 + 8 * t->count) * (widest(t) + 1), &floats));
    KD_FAIL_IF(floats > (int64_t)1 << 44, KD_ERR_RANGE,
               "the towers' embeddings need more than 2^46 bytes");
    return KD_OK;
}

static int64_t scratch_of(const kd__network *net, const kd_context *context,
                          const kd_model_options *o)
{
    return net->engine->scratch ? net->engine->scratch(net, context, o) : 0;
}

kd_status kd__towers_memory(kd__network *net, const kd_context *context, const kd_model_options *o,
                            int64_t *floats)
{
    kd__towers *t = kd__towers_of(net);
    ask(net);
    KD_TRY(check_size(t, o->max_rows));
    int64_t scratch = 0;
    *floats = lay_out(t, NULL, o->max_rows, !o->frozen);
    for (int64_t n = 0; n < t->count; n++) {
        kd__tower *tower = &t->tower[n];
        kd_model_options its = options_of(tower, o);
        int64_t its_floats;
        KD_TRY(kd__multiply(o->max_rows, tower->rows_each, &its.max_rows));
        KD_TRY(told(
            tower, tower->model.net.engine->memory(&tower->model.net, context, &its, &its_floats)));
        const int64_t its_scratch = scratch_of(&tower->model.net, context, &its);
        *floats += its_floats - its_scratch;
        scratch = kd__max(scratch, its_scratch);
    }
    *floats += scratch; /* of the context's */
    return KD_OK;
}

kd_status kd__towers_block(kd_model *model, int64_t samples, int32_t train)
{
    kd__towers *t = kd__towers_of(&model->net);
    kd_context *context = model->object.context;
    const int32_t with = train || t->has_train_room;
    if (samples <= t->max_samples && with == t->has_train_room) return KD_OK;
    samples = kd__max(samples, t->max_samples);
    model->rows = t->max_samples = 0;
    kd__release(context, t->block);
    t->block = NULL;
    KD_TRY(check_size(t, samples));
    KD_TRY(KD_NEW(context, &t->block, lay_out(t, NULL, samples, with)));
    lay_out(t, t->block, samples, with);
    t->max_samples = samples;
    t->has_train_room = with;
    return KD_RESERVE(context, &t->fusion.used, &t->fusion.used_room, samples * t->count);
}

kd_status kd__towers_reserve(kd_model *model, int64_t samples, int32_t train)
{
    kd__towers *t = kd__towers_of(&model->net);
    KD_TRY(kd__towers_block(model, samples, train));
    kd__towers_bind(model);
    ask(&model->net);
    for (int64_t n = 0; n < t->count; n++) {
        kd_model *its = &t->tower[n].model;
        int64_t rows;
        KD_TRY(kd__multiply(samples, t->tower[n].rows_each, &rows));
        KD_TRY(told(&t->tower[n], its->net.engine->reserve(its, rows, train && !its->frozen)));
    }
    return KD_OK;
}

/* ---- one model ---- */

void kd__towers_bind(kd_model *model)
{
    kd__towers *t = kd__towers_of(&model->net);
    for (int64_t n = 0; n < t->count; n++) {
        kd__tower *tower = &t->tower[n];
        kd_model *its = &tower->model;
        its->parameters = model->parameters + tower->place;
        its->gradients = model->gradients ? model->gradients + tower->place : NULL;
        its->gradient_count = its->net.parameters;
        its->frozen = model->frozen || tower->always_frozen;
        its->weights = model->weights;
        /* towers of one config begin with different weights, and drop different numbers */
        its->seed = kd__stream(model->seed, 0x746f7765, (uint64_t)n);
    }
}

static void fill(const kd_model *model, int32_t tensor, double value)
{
    if (tensor < 0) return;
    const kd__tensor *t = &model->net.tensors[tensor];
    for (int64_t j = 0; j < t->count; j++) model->parameters[t->offset + j] = (float)value;
}

/* U(-a, a) with a = 1 / sqrt(inputs). */
static void draw(const kd_model *model, int32_t tensor, int64_t inputs)
{
    if (tensor < 0) return;
    const kd__tensor *t = &model->net.tensors[tensor];
    const uint64_t stream = kd__stream(model->seed, 0x696e6974, (uint64_t)tensor);
    const double bound = 1 / sqrt((double)inputs);
    for (int64_t j = 0; j < t->count; j++)
        model->parameters[t->offset + j] =
            (float)((2 * kd__uniform(stream, (uint64_t)j) - 1) * bound);
}

/* Gates begin as equal shares. */
static void initialize(kd_model *model)
{
    const kd__towers *t = kd__towers_of(&model->net);
    kd__towers_bind(model);
    for (int i = 0; i < 2; i++) fill(model, t->scalar[i], t->initial[i]);
    if (t->fusion.type == KD__FUSE_CONCAT) {
        draw(model, t->fusion.weight, t->count * t->width);
        draw(model, t->fusion.bias, t->count * t->width);
    }
    for (int64_t n = 0; n < t->count; n++) {
        kd_model *its = &t->tower[n].model;
        draw(model, t->tower[n].projection, t->tower[n].width);
        draw(model, t->tower[n].missing, t->width);
        its->net.engine->initialize(its);
    }
}

static kd_status finish(kd_model *model)
{
    kd__towers *t = kd__towers_of(&model->net);
    kd__towers_bind(model);
    for (int64_t n = 0; n < t->count; n++) {
        kd_model *its = &t->tower[n].model;
        if (its->net.engine->finish) KD_TRY(told(&t->tower[n], its->net.engine->finish(its)));
    }
    return KD_OK;
}

static int64_t active_parameters(const kd__network *net)
{
    const kd__towers *t = kd__towers_of(net);
    int64_t sum = t->own;
    for (int64_t n = 0; n < t->count; n++) {
        const kd__network *of = &t->tower[n].model.net;
        sum += of->engine->active_parameters ? of->engine->active_parameters(of) : of->parameters;
    }
    return sum;
}

static const uint64_t *touched(const kd_model *model, int32_t tensor)
{
    const kd__towers *t = kd__towers_of(&model->net);
    for (int64_t n = 0; n < t->count; n++) {
        const kd__tower *tower = &t->tower[n];
        const int64_t i = tensor - tower->first;
        if (i < 0 || i >= tower->model.net.tensor_count) continue;
        const kd__engine *engine = tower->model.net.engine;
        return engine->touched ? engine->touched(&tower->model, (int32_t)i) : NULL;
    }
    return NULL;
}

const kd__engine kd__towers_engine = {
    .model_types = "towers",
    .by_samples = 1,
    .knows = knows,
    .read = kd__towers_read,
    .free = kd__towers_free,
    .configure = configure,
    .memory = kd__towers_memory,
    .active_parameters = active_parameters,
    .reserve = kd__towers_reserve,
    .initialize = initialize,
    .finish = finish,
    .forward = kd__towers_forward,
    .backward = kd__towers_backward,
    .describe = kd__towers_describe,
    .output = kd__towers_output,
    .present = kd__towers_present,
    .gradient = kd__towers_gradient,
    .forget_gradients = kd__towers_forget_gradients,
    .touched = touched,
    .head = kd__towers_head,
};
