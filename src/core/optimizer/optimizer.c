/* Optimizer handles: groups, state, averaging, checkpoints. The steps are in step.c. */
#include "core/optimizer/optimizer.h"

#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "math/kernels.h"

static const kd_optimizer_options defaults = KD_OPTIMIZER_OPTIONS_INIT;
static const kd_group_options group_defaults = KD_GROUP_OPTIONS_INIT;
void kd_optimizer_options_init(kd_optimizer_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}
void kd_group_options_init(kd_group_options *o, size_t size)
{
    kd__options_init(o, size, &group_defaults, sizeof group_defaults);
}

/* ---- numbers ---- */

static const struct {
    const char *name;
    double low, high;
} bounds[] = { { "", 0, 0 },
               { "gradient_scale", 0, 1e30 },
               { "weight_decay", 0, 1e6 },
               { "clip_norm", 0, 1e30 },
               { "clip_value", 0, 1e30 },
               { "max_norm", 0, 1e30 },
               { "momentum", 0, 1 },
               { "average_decay", 0, 1 } };

#define NUMBERS ((int32_t)(sizeof bounds / sizeof *bounds))

static double *number_place(kd_optimizer *optimizer, int32_t number)
{
    kd_optimizer_options *o = &optimizer->o;
    double *const places[] = { NULL,
                               &optimizer->gradient_scale,
                               &o->weight_decay,
                               &o->clip_norm,
                               &o->clip_value,
                               &o->max_norm,
                               &o->momentum,
                               &o->average_decay };
    return places[number];
}

static kd_status check_number(int32_t number, double value)
{
    KD_FAIL_IF(number < 1 || number >= NUMBERS, KD_ERR_INVALID,
               "number of an optimizer: expected 1 to %d, got %d", NUMBERS - 1, number);
    KD_FAIL_IF(!(value >= bounds[number].low && value <= bounds[number].high), KD_ERR_RANGE,
               "%s: expected %g to %g, got %g", bounds[number].name, bounds[number].low,
               bounds[number].high, value);
    return KD_OK;
}

kd_status kd_optimizer_bounds(int32_t number, double *low, double *high)
{
    KD_FAIL_IF(number < 1 || number >= NUMBERS, KD_ERR_INVALID,
               "number of an optimizer: expected 1 to %d, got %d", NUMBERS - 1, number);
    if (low) *low = bounds[number].low;
    if (high) *high = bounds[number].high;
    return KD_OK;
}

kd_status kd_optimizer_set(kd_optimizer *optimizer, int32_t number, double value)
{
    KD_NEED(optimizer);
    KD_TRY(check_number(number, value));
    KD_FAIL_IF(optimizer->begun, KD_ERR_STATE, "%s: a step is open: call kd_optimizer_step first",
               bounds[number].name);
    KD_FAIL_IF(number == KD_STEP_AVERAGE_DECAY && optimizer->o.average_decay == 0 && value > 0,
               KD_ERR_STATE, "average_decay was 0 at creation: there are no averaged weights");
    KD_FAIL_IF(number == KD_STEP_MOMENTUM && optimizer->o.momentum == 0 && value > 0 &&
                   optimizer->ready,
               KD_ERR_STATE, "momentum was 0 at the first step: there is no buffer for it");
    KD_FAIL_IF(number == KD_STEP_MAX_NORM && optimizer->is_shared && optimizer->o.max_norm == 0 &&
                   value > 0,
               KD_ERR_STATE,
               "max_norm was 0 when the optimizer was added to its exchange: rows are cut");
    *number_place(optimizer, number) = value;
    return KD_OK;
}

kd_status kd_optimizer_get(kd_optimizer *optimizer, int32_t number, double *value)
{
    KD_NEED(optimizer);
    KD_NEED(value);
    KD_FAIL_IF(number < 1 || number >= NUMBERS, KD_ERR_INVALID,
               "number of an optimizer: expected 1 to %d, got %d", NUMBERS - 1, number);
    *value = *number_place(optimizer, number);
    return KD_OK;
}

/* ---- making ---- */

static kd_status check_options(int32_t kind, const kd_optimizer_options *o)
{
    KD_FAIL_IF(kind < KD_OPTIMIZER_SGD || kind > KD_OPTIMIZER_MUON, KD_ERR_INVALID,
               "optimizer: kind: expected %d to %d, got %d", KD_OPTIMIZER_SGD, KD_OPTIMIZER_MUON,
               kind);
    KD_FAIL_IF(!(o->momentum >= 0 && o->momentum < 1), KD_ERR_RANGE,
               "momentum: expected 0 to below 1, got %g", o->momentum);
    KD_FAIL_IF(o->nesterov && o->momentum == 0, KD_ERR_INVALID,
               "nesterov: expected a momentum above 0, got 0");
    KD_FAIL_IF(!(o->beta1 >= 0 && o->beta1 < 1) || !(o->beta2 >= 0 && o->beta2 < 1), KD_ERR_RANGE,
               "betas: expected 0 to below 1, got %g and %g", o->beta1, o->beta2);
    KD_FAIL_IF(o->moments != KD_FLOAT32 && o->moments != KD_BFLOAT16, KD_ERR_INVALID,
               "moments: expected KD_FLOAT32 (%d) or KD_BFLOAT16 (%d), got %d", KD_FLOAT32,
               KD_BFLOAT16, o->moments);
    KD_FAIL_IF(!(o->epsilon > 0) || !isfinite(o->epsilon), KD_ERR_RANGE,
               "epsilon: expected above 0, got %g", o->epsilon);
    KD_TRY(check_number(KD_STEP_WEIGHT_DECAY, o->weight_decay));
    KD_TRY(check_number(KD_STEP_CLIP_NORM, o->clip_norm));
    KD_TRY(check_number(KD_STEP_CLIP_VALUE, o->clip_value));
    KD_TRY(check_number(KD_STEP_MAX_NORM, o->max_norm));
    return check_number(KD_STEP_AVERAGE_DECAY, o->average_decay);
}

kd_status kd_optimizer_create(kd_optimizer **out, kd_context *context, int32_t kind,
                              const kd_optimizer_options *options)
{
    kd_optimizer_options o = defaults;
    kd_optimizer *optimizer = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_optimizer_options"));
    KD_TRY(check_options(kind, &o));
    KD_TRY(kd__object_create((void **)&optimizer, context, sizeof *optimizer));
    if (kind == KD_OPTIMIZER_MUON && o.momentum == 0) o.momentum = 0.95, o.nesterov = 1;
    optimizer->kind = kind;
    optimizer->o = o;
    optimizer->gradient_scale = 1;
    *out = optimizer;
    return KD_OK;
}

void kd_optimizer_free(kd_optimizer *optimizer)
{
    if (!kd__object_drop(optimizer)) return;
    kd_context *context = optimizer->object.context;
    kd__optimizer_let_go(optimizer);
    for (int64_t i = 0; i < optimizer->model_count; i++) kd_model_free(optimizer->models[i]);
    for (int64_t i = 0; i < optimizer->loss_count; i++) {
        optimizer->losses[i]->optimizers--;
        kd_loss_free(optimizer->losses[i]);
    }
    void *blocks[] = { optimizer->parameters, optimizer->models,  optimizer->losses,
                       optimizer->pieces,     optimizer->partial, optimizer->first,
                       optimizer->second,     optimizer->average, optimizer->half[0],
                       optimizer->half[1],    optimizer->muon,    optimizer->muon_sums };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(context, blocks[i]);
    kd__object_destroy(optimizer);
}

static kd_status reserve_parameters(kd_optimizer *optimizer, int64_t more)
{
    KD_FAIL_IF(optimizer->ready, KD_ERR_STATE,
               "models and arrays must be added before the first step%s",
               optimizer->is_shared ? " and kd_exchange_add_optimizer" : "");
    return KD_RESERVE(optimizer->object.context, &optimizer->parameters, &optimizer->room,
                      optimizer->count + more);
}

static kd__parameter *next_parameter(kd_optimizer *optimizer, const char *name, int64_t count)
{
    kd__parameter *p = &optimizer->parameters[optimizer->count++];
    memset(p, 0, sizeof *p);
    memcpy(p->name, name, strlen(name));
    p->count = count;
    p->offset = optimizer->total;
    optimizer->total += kd__round_up(count, 16);
    return p;
}

static void set_shape(kd__parameter *p, int32_t rank, const int64_t *dims)
{
    p->rank = rank;
    p->rows = rank >= 2 ? dims[0] : 0;
    p->width = p->rows ? p->count / p->rows : 1;
}

kd_status kd_optimizer_add_model(kd_optimizer *optimizer, kd_model *model)
{
    KD_NEED(optimizer);
    KD_NEED(model);
    KD_FAIL_IF(model->frozen, KD_ERR_STATE, "a frozen model has no gradients to follow");
    for (int64_t i = 0; i < optimizer->model_count; i++)
        KD_FAIL_IF(optimizer->models[i] == model, KD_ERR_INVALID,
                   "the model is a source of this optimizer already");
    KD_TRY(reserve_parameters(optimizer, model->net.tensor_count));
    KD_TRY(KD_RESERVE(optimizer->object.context, &optimizer->models, &optimizer->model_room,
                      optimizer->model_count + 1));
    optimizer->models[optimizer->model_count++] = kd__object_hold(model);
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        const kd__tensor *tensor = &model->net.tensors[i];
        /* what adapters hang on takes no moments */
        if (model->has_adapters && tensor->frozen) continue;
        if (tensor->is_statistic || tensor->is_packed) continue;
        kd__parameter *p = next_parameter(optimizer, tensor->name, tensor->count);
        p->values = model->parameters + tensor->offset;
        p->gradients = kd__tensor_gradient(model, (int32_t)i);
        set_shape(p, tensor->rank, tensor->dims);
        p->model = model;
        p->tensor = (int32_t)i;
    }
    return KD_OK;
}

kd_status kd_optimizer_add_loss(kd_optimizer *optimizer, kd_loss *loss)
{
    KD_NEED(optimizer);
    KD_NEED(loss);
    const kd__parameters *of = &loss->parameters;
    for (int64_t i = 0; i < optimizer->loss_count; i++)
        KD_FAIL_IF(optimizer->losses[i] == loss, KD_ERR_INVALID,
                   "the loss is a source of this optimizer already");
    KD_TRY(kd__parameters_check(loss));
    KD_TRY(reserve_parameters(optimizer, of->count));
    KD_TRY(KD_RESERVE(optimizer->object.context, &optimizer->losses, &optimizer->loss_room,
                      optimizer->loss_count + 1));
    optimizer->losses[optimizer->loss_count++] = kd__object_hold(loss);
    loss->optimizers++;
    for (int64_t i = 0; i < of->count; i++) {
        const kd__tensor *tensor = &of->tensors[i];
        kd__parameter *p = next_parameter(optimizer, tensor->name, tensor->count);
        p->values = of->values + tensor->offset;
        p->gradients = of->gradients + tensor->offset;
        set_shape(p, tensor->rank, tensor->dims);
    }
    return KD_OK;
}

kd_status kd_optimizer_borrow_array(kd_optimizer *optimizer, const char *name,
                                    const kd_array *values, const kd_array *gradients)
{
    char copy[KD_NAME_BYTES];
    KD_NEED(optimizer);
    KD_TRY(kd__name_copy(copy, name, "parameter"));
    const kd_array *both[] = { values, gradients };
    for (int i = 0; i < 2; i++) {
        KD_TRY(kd__array_check_float32(both[i], copy));
        KD_FAIL_IF(kd_array_count(both[i]) != kd_array_count(values), KD_ERR_SHAPE,
                   "parameter '%s': expected %lld gradients, one for each value, got %lld", copy,
                   (long long)kd_array_count(values), (long long)kd_array_count(gradients));
    }
    KD_TRY(reserve_parameters(optimizer, 1));
    kd__parameter *p = next_parameter(optimizer, copy, kd_array_count(values));
    p->values = values->data;
    p->gradients = gradients->data;
    set_shape(p, values->rank, values->dims);
    return KD_OK;
}

kd_status kd_optimizer_add_group(kd_optimizer *optimizer, const char *pattern,
                                 const kd_group_options *options)
{
    kd_group_options o = group_defaults;
    int64_t matched = 0;
    KD_NEED(optimizer);
    KD_NEED(pattern);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_group_options"));
    KD_FAIL_IF(optimizer->is_shared, KD_ERR_STATE,
               "groups must be added before kd_exchange_add_optimizer");
    KD_FAIL_IF(!(o.learning_rate >= 0) || !isfinite(o.learning_rate), KD_ERR_RANGE,
               "group: learning_rate: expected a finite number from 0, got %g", o.learning_rate);
    KD_TRY(check_number(KD_STEP_WEIGHT_DECAY, o.weight_decay));
    KD_TRY(check_number(KD_STEP_MAX_NORM, o.max_norm));
    KD_FAIL_IF(o.rule < KD_RULE_DEFAULT || o.rule > KD_RULE_MUON, KD_ERR_INVALID,
               "group: rule: expected %d to %d, got %d", KD_RULE_DEFAULT, KD_RULE_MUON, o.rule);
    KD_FAIL_IF(o.rule && optimizer->kind != KD_OPTIMIZER_MUON, KD_ERR_INVALID,
               "group: rule: expected KD_RULE_DEFAULT (0) but for KD_OPTIMIZER_MUON, got %d",
               o.rule);
    for (int64_t i = 0; i < optimizer->count; i++)
        if (kd__matches(pattern, optimizer->parameters[i].name))
            KD_TRY(kd__muon_check(optimizer, &optimizer->parameters[i], &o));
    for (int64_t i = 0; i < optimizer->count; i++) {
        if (!kd__matches(pattern, optimizer->parameters[i].name)) continue;
        optimizer->parameters[i].group = o;
        optimizer->parameters[i].grouped = 1;
        matched++;
    }
    KD_FAIL_IF(!matched, KD_ERR_NOT_FOUND, "no parameter matches '%.60s'", pattern);
    return KD_OK;
}

kd_status kd_optimizer_get_info(kd_optimizer *optimizer, kd_optimizer_info *info)
{
    KD_NEED(optimizer);
    kd_optimizer_info now = { .last_skipped = optimizer->last_skipped,
                              .steps = optimizer->steps,
                              .skipped = optimizer->skipped,
                              .clipped = optimizer->clipped,
                              .gradient_norm = optimizer->norm };
    return kd__info_write(info, &now, sizeof now, "kd_optimizer_info");
}

/* ---- state ---- */

/* May the state go into one file, or come out of it? */
static kd_status check_whole(const kd_optimizer *optimizer)
{
    KD_FAIL_IF(optimizer->ready && optimizer->state_count != optimizer->total, KD_ERR_STATE,
               "checkpoint: this rank has a part of the optimizer's state: call "
               "kd_checkpoint_add_exchange, not kd_checkpoint_add_optimizer");
    return KD_OK;
}

static kd_status put_block(const float *block, int64_t count, kd__text *state)
{
    KD_TRY(kd__state_put_number(state, block ? count : 0));
    return block ? kd__text_append(state, block, (size_t)count * sizeof *block) : KD_OK;
}

/* Numbers of the first or second moments. */
static int64_t moments_of(const kd_optimizer *optimizer, int number)
{
    return number ? optimizer->second_total : optimizer->total;
}

/* As many numbers below 0: in 16 bits. */
static kd_status put_moments(kd_optimizer *optimizer, int number, kd__text *state)
{
    const uint16_t *half = optimizer->half[number];
    const int64_t count = moments_of(optimizer, number);
    if (!half) return put_block(number ? optimizer->second : optimizer->first, count, state);
    KD_TRY(kd__state_put_number(state, -count));
    return kd__text_append(state, half, (size_t)count * sizeof *half);
}

kd_status kd__optimizer_save_numbers(kd_optimizer *optimizer, kd__text *state)
{
    /* a step whose pass did not come, or failed, is none yet */
    for (int64_t i = 0; i < optimizer->model_count; i++)
        KD_FAIL_IF(optimizer->begun && !optimizer->models[i]->gradients_fresh, KD_ERR_STATE,
                   "checkpoint: a step is open: call kd_optimizer_step first");
    const int64_t numbers[] = { optimizer->steps, optimizer->skipped, optimizer->clipped,
                                optimizer->swapped, optimizer->ready };
    KD_TRY(kd__state_put_number(state, optimizer->kind));
    KD_TRY(kd__state_put_number(state, optimizer->total));
    KD_TRY(kd__text_append(state, numbers, sizeof numbers));
    for (int32_t i = 1; i < NUMBERS; i++)
        KD_TRY(kd__text_append(state, number_place(optimizer, i), sizeof(double)));
    return KD_OK;
}

kd_status kd__optimizer_save(kd_optimizer *optimizer, kd__text *state)
{
    KD_TRY(check_whole(optimizer));
    KD_TRY(kd__optimizer_save_numbers(optimizer, state));
    KD_TRY(put_moments(optimizer, 0, state));
    KD_TRY(put_moments(optimizer, 1, state));
    return put_block(optimizer->average, optimizer->total, state);
}

static kd_status get_block(float *block, uint16_t *half, int64_t expected, kd__state_reader *reader,
                           int apply)
{
    int64_t count;
    KD_TRY(kd__state_get(reader, &count, sizeof count));
    if (!count) return KD_OK;
    KD_FAIL_IF(
        (block && count < 0) || (half && count > 0), KD_ERR_MISMATCH,
        "checkpoint part '%s': the optimizer's moments were %s (kd_optimizer_options.moments)",
        reader->name, count < 0 ? "KD_BFLOAT16" : "KD_FLOAT32");
    KD_FAIL_IF((!block && !half) || count != (half ? -expected : expected), KD_ERR_MISMATCH,
               "checkpoint part '%s': the optimizer had other state (%lld numbers)", reader->name,
               (long long)count);
    if (half) return kd__state_get(reader, apply ? half : NULL, -count * (int64_t)sizeof *half);
    return kd__state_get(reader, apply ? block : NULL, count * (int64_t)sizeof *block);
}

/* Back to before the first step. */
static void forget_state(kd_optimizer *optimizer)
{
    float **blocks[] = { &optimizer->first, &optimizer->second, &optimizer->average };
    for (int i = 0; i < 3; i++) {
        kd__release(optimizer->object.context, *blocks[i]);
        *blocks[i] = NULL;
    }
    for (int i = 0; i < 2; i++) {
        kd__release(optimizer->object.context, optimizer->half[i]);
        optimizer->half[i] = NULL;
    }
    optimizer->ready = 0;
}

kd_status kd__optimizer_restore_numbers(kd_optimizer *optimizer, kd__state_reader *reader,
                                        int64_t *is_ready, int apply)
{
    int64_t numbers[5];
    KD_TRY(kd__state_expect(reader, optimizer->kind, "kind of optimizer"));
    KD_TRY(kd__state_expect(reader, optimizer->total, "parameters of the optimizer"));
    KD_TRY(kd__state_get(reader, numbers, sizeof numbers));
    for (int32_t i = 1; i < NUMBERS; i++) {
        double value;
        KD_TRY(kd__state_get(reader, &value, sizeof value));
        KD_TRY(check_number(i, value));
        if (apply) *number_place(optimizer, i) = value;
    }
    *is_ready = numbers[4];
    if (!apply) return KD_OK;
    optimizer->steps = numbers[0];
    optimizer->skipped = numbers[1];
    optimizer->clipped = numbers[2];
    optimizer->swapped = numbers[3] != 0;
    return KD_OK;
}

kd_status kd__optimizer_restore(kd_optimizer *optimizer, kd__state_reader *reader, int apply)
{
    int64_t is_ready;
    KD_TRY(check_whole(optimizer));
    KD_TRY(kd__optimizer_restore_numbers(optimizer, reader, &is_ready, apply));
    if (is_ready) KD_TRY(kd__optimizer_prepare(optimizer));
    KD_TRY(
        get_block(optimizer->first, optimizer->half[0], moments_of(optimizer, 0), reader, apply));
    KD_TRY(
        get_block(optimizer->second, optimizer->half[1], moments_of(optimizer, 1), reader, apply));
    KD_TRY(get_block(optimizer->average, NULL, optimizer->total, reader, apply));
    if (!apply) return KD_OK;
    kd__optimizer_let_go(optimizer);
    if (!is_ready) forget_state(optimizer);
    return KD_OK;
}
