/* Model handles: creation, parameters, gradients, names, memory. The passes are in forward.c. */
#include "core/model/task_heads.h"

#include <kdistill/block.h>

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"

static atomic_uint_fast64_t serials;
static const kd_model_options defaults = KD_MODEL_OPTIONS_INIT;
static const kd_model_save_options save_defaults = KD_MODEL_SAVE_OPTIONS_INIT;
void kd_model_options_init(kd_model_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}
void kd_model_save_options_init(kd_model_save_options *o, size_t size)
{
    kd__options_init(o, size, &save_defaults, sizeof save_defaults);
}

/* Floats of gradients, and where they lie. */
static kd_status place_gradients(kd__network *net, const kd_model_options *o, int64_t *floats)
{
    *floats = o->frozen ? 0 : kd__network_held(net);
    if (!o->shared_gradients) return KD_OK;
    KD_FAIL_IF(net->packed, KD_ERR_UNSUPPORTED,
               "shared_gradients: expected 0 with packed_only, whose matrices have no gradients");
    KD_FAIL_IF(!net->engine->share_gradients, KD_ERR_UNSUPPORTED,
               "shared_gradients: only language models have them");
    return o->frozen ? KD_OK : net->engine->share_gradients(net, floats);
}

/* Activations of max_rows rows now: the first pass allocates nothing then. */
static kd_status reserve(kd_model *model, const kd_model_options *o)
{
    const kd__engine *engine = model->net.engine;
    int64_t floats;
    if (!o->max_rows) return KD_OK;
    KD_TRY(engine->memory(&model->net, model->object.context, o, &floats)); /* it fits in 64 bits */
    return engine->reserve(model, o->max_rows, !model->frozen);
}

static kd_status fill_model(kd_model *model, const char *config, const kd_model_options *o)
{
    kd_context *context = model->object.context;
    KD_TRY(kd__network_read(&model->net, context, config));
    KD_TRY(kd__network_keep_all(&model->net, o->keep));
    KD_TRY(model->net.engine->configure(&model->net, o));
    model->frozen = o->frozen != 0;
    model->weights = o->weights;
    model->seed = o->seed ? o->seed : context->seed;
    model->gradients_fresh = 1;
    model->packed_only = o->packed_only != 0;
    if (model->packed_only) KD_TRY(kd__network_pack(&model->net, o->weights, &model->packed_bytes));
    KD_TRY(KD_NEW(context, &model->parameters, kd__network_held(&model->net)));
    KD_TRY(place_gradients(&model->net, o, &model->gradient_count));
    model->gradients_shared = o->shared_gradients != 0;
    if (!model->frozen) KD_TRY(KD_NEW(context, &model->gradients, model->gradient_count));
    return reserve(model, o);
}

static kd_status check_weights(const kd_model_options *o)
{
    const int32_t w = o->weights;
    const int few = w == KD_INT8 || w == KD_BLOCK_Q4_0 || w == KD_BLOCK_IQ4_NL;
    KD_FAIL_IF(w != KD_FLOAT32 && (!few || (!o->frozen && !o->packed_only)), KD_ERR_UNSUPPORTED,
               "weights: expected KD_FLOAT32 (%d), or KD_INT8 (%d), KD_BLOCK_Q4_0 (%d) or "
               "KD_BLOCK_IQ4_NL (%d) for a frozen model, got %d%s",
               KD_FLOAT32, KD_INT8, KD_BLOCK_Q4_0, KD_BLOCK_IQ4_NL, w,
               few ? " for one that trains: with packed_only 1 its adapters do "
                     "(kd_model_add_lora)"
                   : "");
    KD_FAIL_IF(o->packed_only && !few, KD_ERR_INVALID,
               "packed_only: expected weights KD_INT8 (%d), KD_BLOCK_Q4_0 (%d) or KD_BLOCK_IQ4_NL "
               "(%d), which matrices are kept in, got %d",
               KD_INT8, KD_BLOCK_Q4_0, KD_BLOCK_IQ4_NL, w);
    return KD_OK;
}

kd_status kd__model_make(kd_model **out, kd_context *context, const char *config,
                         const kd_model_options *options)
{
    kd_model_options o = defaults;
    kd_model *model = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_model_options"));
    KD_FAIL_IF(o.max_rows < 0, KD_ERR_RANGE, "max_rows: expected 0 or more, got %lld",
               (long long)o.max_rows);
    KD_TRY(check_weights(&o));
    KD_TRY(kd__object_create((void **)&model, context, sizeof *model));
    model->serial = atomic_fetch_add(&serials, 1) + 1;
    kd_status status = fill_model(model, config, &o);
    if (status != KD_OK) {
        kd_model_free(model);
        return status;
    }
    *out = model;
    return KD_OK;
}

kd_status kd_model_create(kd_model **out, kd_context *context, const char *config,
                          const kd_model_options *options)
{
    kd_model *model = NULL;
    KD_TRY(kd__model_make(out ? &model : NULL, context, config, options));
    model->net.engine->initialize(model);
    kd__task_heads_initialize(model, 0);
    const kd_status status = kd__model_finish(model);
    if (status != KD_OK) {
        kd_model_free(model);
        return status;
    }
    *out = model;
    return KD_OK;
}

kd_status kd__model_finish(kd_model *model)
{
    const kd_status status = model->net.engine->finish ? model->net.engine->finish(model) : KD_OK;
    model->source = NULL;
    return status;
}

kd_status kd__model_check_whole(const kd_model *model, const char *what)
{
    KD_FAIL_IF(model->packed_only, KD_ERR_STATE,
               "%s: expected a model with all its parameters in float32, got one of packed_only, "
               "which keeps its matrices in few bits: load it with packed_only 0",
               what);
    return KD_OK;
}

kd_status kd__model_refresh(kd_model *model)
{
    return model->net.engine->refresh ? model->net.engine->refresh(model) : KD_OK;
}

/* Room for all parameters, with the first `before` numbers of a block. */
static kd_status larger(const kd_model *model, const float *values, int64_t before, float **made)
{
    KD_TRY(KD_NEW(model->object.context, made, model->net.parameters));
    memcpy(*made, values, (size_t)before * sizeof **made);
    return KD_OK;
}

static kd_status grow_blocks(kd_model *model, int64_t before)
{
    kd_context *context = model->object.context;
    float *parameters = NULL, *gradients = NULL;
    KD_TRY(larger(model, model->parameters, before, &parameters));
    const kd_status status = KD_NEW(context, &gradients, model->net.parameters);
    if (status != KD_OK) {
        kd__release(context, parameters);
        return status;
    }
    kd__release(context, model->parameters);
    kd__release(context, model->gradients);
    model->parameters = parameters;
    model->gradients = gradients;
    model->gradient_count = model->net.parameters;
    model->gradients_fresh = 1;
    model->gradients_foreign = KD__FOREIGN_NONE;
    model->rows = 0;
    return KD_OK;
}

kd_status kd__model_grow(kd_model *model, int64_t count, int64_t before)
{
    const kd__engine *engine = model->net.engine;
    kd_status status = kd__model_check_whole(model, "tensors are added");
    if (status == KD_OK)
        status = engine->grow ? engine->grow(model, count, before) : grow_blocks(model, before);
    if (status == KD_OK) return KD_OK;
    model->net.tensor_count = count;
    model->net.parameters = before;
    return status;
}

void kd__model_swap(kd_model *a, kd_model *b)
{
    const kd_model before = *a;
    char *folder = a->folder;
    uint8_t *asked = a->net.asked;
    memcpy((char *)a + sizeof(kd__object), (const char *)b + sizeof(kd__object),
           sizeof *a - sizeof(kd__object));
    memcpy((char *)b + sizeof(kd__object), (const char *)&before + sizeof(kd__object),
           sizeof *a - sizeof(kd__object));
    b->folder = a->folder;
    a->folder = folder;
    b->net.asked = a->net.asked;
    a->net.asked = asked;
}

void kd_model_free(kd_model *model)
{
    if (!kd__object_drop(model)) return;
    kd_context *context = model->object.context;
    kd__network_free(&model->net, context);
    kd__release(context, model->parameters);
    kd__release(context, model->gradients);
    kd__release(context, model->folder);
    kd__object_destroy(model);
}

static kd_status size_of(kd__network *net, const kd_context *context, const kd_model_options *o,
                         int64_t *floats, int64_t *gradients)
{
    const int32_t mode = o->frozen ? KD_MODE_EVALUATE : KD_MODE_TRAIN;
    KD_TRY(kd__network_keep_all(net, o->keep));
    kd__task_heads_ask(net);
    KD_TRY(place_gradients(net, o, gradients));
    KD_TRY(net->engine->configure(net, o));
    KD_TRY(net->engine->memory(net, context, o, floats));
    return kd__task_heads_memory(net, o->max_rows, mode, floats);
}

kd_status kd_model_estimate_memory(kd_context *context, const char *config,
                                   const kd_model_options *options, kd_model_memory_info *info)
{
    kd_model_options o = defaults;
    kd__network net;
    int64_t floats, gradients, bytes, packed = 0;
    KD_NEED(context);
    KD_NEED(info);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_model_options"));
    KD_FAIL_IF(o.max_rows < 0, KD_ERR_RANGE, "max_rows: expected 0 or more, got %lld",
               (long long)o.max_rows);
    if (o.packed_only) KD_TRY(check_weights(&o));
    KD_TRY(kd__network_read(&net, context, config));
    kd_status status = o.packed_only ? kd__network_pack(&net, o.weights, &packed) : KD_OK;
    if (status == KD_OK) status = size_of(&net, context, &o, &floats, &gradients);
    kd_model_memory_info now = { .parameters = net.parameters,
                                 .parameter_bytes = kd__network_held(&net) * 4 + packed };
    kd__network_free(&net, context);
    KD_TRY(status);
    KD_TRY(kd__multiply(floats, 4, &bytes));
    now.gradient_bytes = gradients * 4;
    now.activation_bytes = bytes;
    now.total_bytes = now.parameter_bytes + now.gradient_bytes + bytes;
    return kd__info_write(info, &now, sizeof now, "kd_model_memory_info");
}

/* ---- facts ---- */

kd_status kd_model_get_info(kd_model *model, kd_model_info *facts)
{
    KD_NEED(model);
    KD_NEED(facts);
    const kd__engine *e = model->net.engine;
    const int64_t n = model->net.parameters,
                  int8_bytes = e->int8_bytes ? e->int8_bytes(&model->net) : 0;
    kd_model_info f = {
        .layers = e->layers ? (int32_t)e->layers(&model->net) : 0,
        .parameters = n,
        .active_parameters = e->active_parameters ? e->active_parameters(&model->net) : n,
        .memory_bytes = 4 * kd__network_held(&model->net) * (model->frozen ? 1 : 2) +
                        model->packed_bytes,
        .float32_bytes = 4 * n,
        .float16_bytes = 2 * n,
        .int8_bytes = int8_bytes ? int8_bytes : n
    };
    return kd__info_write(facts, &f, sizeof f, "kd_model_info");
}

kd_status kd_model_parameters(kd_model *model, kd_array *values)
{
    KD_NEED(model);
    KD_NEED(values);
    KD_TRY(kd__model_check_whole(model, "parameters"));
    kd__array_view(values, model->parameters, KD_FLOAT32, 1, &model->net.parameters);
    return KD_OK;
}

static kd_status check_readable(const kd_model *model)
{
    KD_FAIL_IF(model->frozen, KD_ERR_STATE, "a frozen model has no gradients");
    KD_FAIL_IF(model->gradients_shared, KD_ERR_STATE,
               "the layers share gradients: they cannot be read");
    return KD_OK;
}

kd_status kd_model_gradients(kd_model *model, kd_array *values)
{
    KD_NEED(model);
    KD_NEED(values);
    KD_TRY(check_readable(model));
    KD_TRY(kd__model_check_whole(model, "gradients"));
    model->gradients_foreign = KD__FOREIGN_VIEWED;
    kd__array_view(values, model->gradients, KD_FLOAT32, 1, &model->net.parameters);
    return KD_OK;
}

kd_status kd_model_tensor_count(kd_model *model, int32_t *count)
{
    KD_NEED(model);
    KD_NEED(count);
    *count = (int32_t)model->net.tensor_count;
    return KD_OK;
}

kd_status kd__tensor_view(const kd__tensor *tensors, int64_t count, int32_t index, float *block,
                          const char **name, kd_array *values)
{
    KD_TRY(kd__check_index(index, count, "tensor"));
    const kd__tensor *tensor = &tensors[index];
    if (name) *name = tensor->name;
    if (values)
        kd__array_view(values, block + tensor->offset, KD_FLOAT32, tensor->rank, tensor->dims);
    return KD_OK;
}

static kd_status tensor_view(kd_model *model, int32_t index, float *block, const char **name,
                             kd_array *values)
{
    return kd__tensor_view(model->net.tensors, model->net.tensor_count, index, block, name, values);
}

kd_status kd_model_tensor(kd_model *model, int32_t index, const char **name, kd_array *values)
{
    KD_NEED(model);
    KD_TRY(kd__check_index(index, model->net.tensor_count, "tensor"));
    const kd__tensor *t = &model->net.tensors[index];
    if (values && t->is_packed) KD_TRY(kd__model_check_whole(model, t->name));
    return tensor_view(model, index, model->parameters, name, values);
}

kd_status kd_model_tensor_gradient(kd_model *model, int32_t index, kd_array *values)
{
    KD_NEED(model);
    KD_NEED(values);
    KD_TRY(check_readable(model));
    KD_TRY(kd__check_index(index, model->net.tensor_count, "tensor"));
    const kd__tensor *t = &model->net.tensors[index];
    KD_FAIL_IF(t->is_packed, KD_ERR_STATE,
               "%s is kept in few bits alone and has no gradient: an adapter has ("
               "kd_model_add_lora)",
               t->name);
    model->gradients_foreign = KD__FOREIGN_VIEWED;
    return tensor_view(model, index, model->gradients, NULL, values);
}

/* Passes leave the gradient of a frozen tensor as it is: it becomes 0 once. */
static void freeze_tensor(kd_model *model, int32_t index, int32_t on)
{
    kd__tensor *t = &model->net.tensors[index];
    if (on && !t->frozen && model->gradients)
        memset(kd__tensor_gradient(model, index), 0, (size_t)t->count * sizeof(float));
    t->frozen = on;
}

kd_status kd_model_freeze(kd_model *model, const char *pattern, int32_t on)
{
    int64_t matched = 0;
    KD_NEED(model);
    KD_NEED(pattern);
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        const kd__tensor *t = &model->net.tensors[i];
        if (!kd__matches(pattern, t->name)) continue;
        KD_FAIL_IF(t->is_packed && !on, KD_ERR_STATE,
                   "%s is kept in few bits alone and stays frozen: give it an adapter "
                   "(kd_model_add_lora), or load the model with packed_only 0",
                   t->name);
        if (!t->is_packed) freeze_tensor(model, (int32_t)i, on != 0);
        matched++;
    }
    KD_FAIL_IF(!matched, KD_ERR_NOT_FOUND, "no parameter matches '%.60s'", pattern);
    return KD_OK;
}

kd_status kd_model_config(kd_model *model, const char **json)
{
    KD_NEED(model);
    KD_NEED(json);
    *json = model->net.config;
    return KD_OK;
}

const uint64_t *kd__model_touched(const kd_model *model, int32_t tensor)
{
    const kd__engine *engine = model->net.engine;
    return engine->touched && !model->gradients_foreign ? engine->touched(model, tensor) : NULL;
}

static int same_tensors(const kd__network *a, const kd__network *b)
{
    if (a->tensor_count != b->tensor_count || a->parameters != b->parameters) return 0;
    for (int64_t i = 0; i < a->tensor_count; i++)
        if (a->tensors[i].rank != b->tensors[i].rank ||
            memcmp(a->tensors[i].dims, b->tensors[i].dims, sizeof a->tensors[i].dims))
            return 0;
    return 1;
}

kd_status kd_model_count_nonfinite(kd_model *model, int64_t *count, const char **tensor)
{
    KD_NEED(model);
    KD_NEED(count);
    KD_TRY(kd__model_check_whole(model, "nonfinite parameters"));
    *count = 0;
    if (tensor) *tensor = NULL;
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        const kd__tensor *t = &model->net.tensors[i];
        int64_t bad = 0;
        for (int64_t j = 0; j < t->count; j++) bad += !isfinite(model->parameters[t->offset + j]);
        if (bad && !*count && tensor) *tensor = t->name;
        *count += bad;
    }
    return KD_OK;
}

kd_status kd_model_copy_parameters(kd_model *model, kd_model *from)
{
    KD_NEED(model);
    KD_NEED(from);
    KD_FAIL_IF(!same_tensors(&model->net, &from->net), KD_ERR_MISMATCH,
               "expected two models of the same tensors, got others (%lld and %lld parameters)",
               (long long)model->net.parameters, (long long)from->net.parameters);
    KD_TRY(kd__model_check_whole(model, "copied parameters"));
    KD_TRY(kd__model_check_whole(from, "copied parameters"));
    model->parameters_replaced = 1;
    memmove(model->parameters, from->parameters,
            (size_t)model->net.parameters * sizeof *model->parameters);
    return KD_OK;
}

kd_status kd_model_zero_gradients(kd_model *model)
{
    KD_NEED(model);
    KD_FAIL_IF(model->frozen, KD_ERR_STATE, "a frozen model has no gradients");
    memset(model->gradients, 0, (size_t)model->gradient_count * sizeof *model->gradients);
    model->gradients_fresh = model->gradients_shared;
    return KD_OK;
}

/* Parameters (of a packed_only model what is not packed, with its adapters), the dropout counter,
 * and gradients that wait for the next step. */
kd_status kd__model_save_state(kd_model *model, kd__text *state)
{
    size_t bytes = (size_t)kd__network_held(&model->net) * sizeof(float);
    int64_t pending = !model->frozen && !model->gradients_fresh;
    if (model->frozen) KD_TRY(kd__model_check_whole(model, "checkpoint"));
    KD_FAIL_IF(pending && model->gradients_shared, KD_ERR_STATE,
               "checkpoint: a step is open: call kd_optimizer_step first");
    kd__model_end_rehearsal(model); /* as in the model that is read */
    model->parameters_replaced = 1; /* there, too */
    KD_TRY(kd__state_put_number(state, model->net.parameters));
    KD_TRY(kd__state_put_number(state, model->net.tensor_count));
    KD_TRY(kd__state_put_number(state, (int64_t)model->seed));
    KD_TRY(kd__state_put_number(state, model->passes));
    KD_TRY(kd__state_put_number(state, pending));
    KD_TRY(kd__text_append(state, model->parameters, bytes));
    return pending ? kd__text_append(state, model->gradients, bytes) : KD_OK;
}

kd_status kd__model_restore_state(kd_model *model, kd__state_reader *reader, int apply)
{
    int64_t numbers[3], bytes = kd__network_held(&model->net) * 4; /* seed, passes, pending */
    if (model->frozen) KD_TRY(kd__model_check_whole(model, "checkpoint"));
    KD_TRY(kd__state_expect(reader, model->net.parameters, "parameters of the model"));
    KD_TRY(kd__state_expect(reader, model->net.tensor_count, "tensors of the model"));
    KD_TRY(kd__state_get(reader, numbers, sizeof numbers));
    KD_FAIL_IF(numbers[2] && model->frozen, KD_ERR_MISMATCH,
               "checkpoint part '%s': the model was not frozen", reader->name);
    KD_FAIL_IF(numbers[2] && model->gradients_shared, KD_ERR_MISMATCH,
               "checkpoint part '%s': it holds gradients, which this model's layers share",
               reader->name);
    KD_TRY(kd__state_get(reader, apply ? model->parameters : NULL, bytes));
    if (numbers[2]) KD_TRY(kd__state_get(reader, apply ? model->gradients : NULL, bytes));
    if (!apply) return KD_OK;
    model->seed = (uint64_t)numbers[0];
    model->passes = numbers[1];
    model->parameters_replaced = 1;
    memset(&model->rehearsal, 0, sizeof model->rehearsal);
    model->gradients_fresh = !numbers[2];
    if (numbers[2] && !model->gradients_foreign) model->gradients_foreign = KD__FOREIGN_RESTORED;
    model->rows = 0;
    return KD_OK;
}
