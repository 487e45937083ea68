#include "model/model.h"

#include <math.h>
#include <string.h>

#include "base/array.h"
#include "model/decoder.h"
#include "model/int8.h"

static const kd_model_options defaults = KD_MODEL_OPTIONS_INIT;
static const kd_model_save_options save_defaults = KD_MODEL_SAVE_OPTIONS_INIT;
void kd_model_options_init(kd_model_options *o, size_t size) { kd__options_init(o, size, &defaults, sizeof defaults); }
void kd_model_save_options_init(kd_model_save_options *o, size_t size) { kd__options_init(o, size, &save_defaults, sizeof save_defaults); }

/* What a training pass keeps of a language model's layers. */
static kd_status choose_kept(kd__network *net, const kd_model_options *o)
{
    kd__decoder *d = net->decoder;
    KD_FAIL_IF(o->activations != KD_FLOAT32 && (o->activations != KD_BFLOAT16 || !d), KD_ERR_UNSUPPORTED,
               "activations: expected KD_FLOAT32 (%d), or KD_BFLOAT16 (%d) for a language model, got %d", KD_FLOAT32, KD_BFLOAT16, o->activations);
    KD_FAIL_IF(o->recompute_layers < 0 || (o->recompute_layers && !o->recompute) || (d && o->recompute_layers > d->layers), KD_ERR_RANGE,
               "recompute_layers: expected 0, or with recompute up to %lld layers, got %d", d ? (long long)d->layers : 0, o->recompute_layers);
    if (!d) return KD_OK;
    d->again = !o->recompute ? 0 : o->recompute_layers ? o->recompute_layers : d->layers;
    d->kept = o->activations;
    return KD_OK;
}

/* Floats of gradients, and where they lie. */
static kd_status place_gradients(kd__network *net, const kd_model_options *o, int64_t *floats)
{
    *floats = o->frozen ? 0 : net->parameters;
    if (!o->shared_gradients) return KD_OK;
    KD_FAIL_IF(!net->decoder, KD_ERR_UNSUPPORTED, "shared_gradients: only layers of language models share a place");
    return o->frozen ? KD_OK : kd__decoder_share_gradients(net, floats);
}

static kd_status fill_model(kd_model *model, const char *config, const kd_model_options *o)
{
    kd_context *context = model->object.context;
    KD_TRY(kd__network_read(&model->net, context, config));
    KD_TRY(choose_kept(&model->net, o));
    model->engine = model->net.decoder ? &kd__decoder_engine : &kd__layers_engine;
    model->frozen = o->frozen != 0;
    model->seed = o->seed ? o->seed : context->seed;
    model->gradients_fresh = 1;
    KD_TRY(KD_NEW(context, &model->parameters, model->net.parameters));
    KD_TRY(place_gradients(&model->net, o, &model->gradient_count));
    model->gradients_shared = o->shared_gradients != 0;
    if (!model->frozen) KD_TRY(KD_NEW(context, &model->gradients, model->gradient_count));
    if (!o->max_rows) return KD_OK;
    if (!model->net.decoder) return kd__model_prepare(model, o->max_rows);
    int64_t floats;
    KD_TRY(kd__decoder_memory(model->net.decoder, context, o->max_rows, !model->frozen, o->weights, &floats)); /* it fits in 64 bits */
    return kd__decoder_reserve(model, o->max_rows, !model->frozen);
}

kd_status kd__model_make(kd_model **out, kd_context *context, const char *config, const kd_model_options *options)
{
    kd_model_options o = defaults;
    kd_model *model = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_model_options"));
    KD_FAIL_IF(o.max_rows < 0, KD_ERR_RANGE, "max_rows: %lld", (long long)o.max_rows);
    KD_FAIL_IF(o.weights != KD_FLOAT32 && (o.weights != KD_INT8 || !o.frozen), KD_ERR_UNSUPPORTED,
               "weights: expected KD_FLOAT32 (%d), or KD_INT8 (%d) for a frozen model, got %d", KD_FLOAT32, KD_INT8, o.weights);
    KD_TRY(kd__object_create((void **)&model, context, sizeof *model));
    model->weights = o.weights;
    kd_status status = fill_model(model, config, &o);
    if (status != KD_OK) {
        kd_model_free(model);
        return status;
    }
    *out = model;
    return KD_OK;
}

kd_status kd_model_create(kd_model **out, kd_context *context, const char *config, const kd_model_options *options)
{
    kd_model *model = NULL;
    KD_TRY(kd__model_make(out ? &model : NULL, context, config, options));
    model->engine->initialise(model);
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
    if (model->weights == KD_FLOAT32) return KD_OK;
    KD_FAIL_IF(!model->net.decoder, KD_ERR_UNSUPPORTED, "weights: only language models have 8-bit ones");
    return kd__int8_model_make(&model->int8, model);
}

void kd__model_swap(kd_model *a, kd_model *b)
{
    const kd_model before = *a;
    char *folder = a->folder;
    memcpy((char *)a + sizeof(kd__object), (const char *)b + sizeof(kd__object), sizeof *a - sizeof(kd__object));
    memcpy((char *)b + sizeof(kd__object), (const char *)&before + sizeof(kd__object), sizeof *a - sizeof(kd__object));
    b->folder = a->folder;
    a->folder = folder;
}

void kd_model_free(kd_model *model)
{
    if (!kd__object_drop(model)) return;
    kd_context *context = model->object.context;
    kd__network_free(&model->net, context);
    kd__int8_model_free(model->int8);
    kd__lora_free(model);
    kd__release(context, model->parameters);
    kd__release(context, model->gradients);
    kd__release(context, model->block);
    kd__release(context, model->input_copy);
    kd__release(context, model->folder);
    kd__object_destroy(model);
}

static kd_status plan_of(kd__network *net, const kd_context *context, const kd_model_options *o, int64_t *a, int64_t *b, int64_t *c, int64_t *floats,
                         int64_t *gradients)
{
    KD_TRY(place_gradients(net, o, gradients));
    if (!net->decoder) return kd__plan(net, o->max_rows, o->frozen, a, b, c, floats);
    KD_TRY(choose_kept(net, o));
    return kd__decoder_memory(net->decoder, context, o->max_rows, !o->frozen, o->weights, floats);
}

kd_status kd_model_memory(kd_context *context, const char *config, const kd_model_options *options, kd_model_memory_info *info)
{
    kd_model_options o = defaults;
    kd__network net;
    int64_t a, b, c, floats, gradients, bytes;
    KD_NEED(context);
    KD_NEED(info);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_model_options"));
    KD_FAIL_IF(o.max_rows < 0, KD_ERR_RANGE, "max_rows: %lld", (long long)o.max_rows);
    KD_TRY(kd__network_read(&net, context, config));
    kd_status status = plan_of(&net, context, &o, &a, &b, &c, &floats, &gradients);
    kd_model_memory_info now = { .parameters = net.parameters, .parameter_bytes = net.parameters * 4 };
    int64_t last =
        o.frozen || net.decoder ? 0 : o.max_rows * (net.layers[net.layer_count - 1].outputs + net.input_size); /* its gradient, the kept input */
    kd__network_free(&net, context);
    KD_TRY(status);
    KD_TRY(kd__multiply(floats + last, 4, &bytes));
    now.gradient_bytes = gradients * 4;
    now.activation_bytes = bytes;
    now.total_bytes = now.parameter_bytes + now.gradient_bytes + bytes;
    return kd__info_write(info, &now, sizeof now, "kd_model_memory_info");
}

kd_status kd_model_parameters(kd_model *model, kd_array *values)
{
    KD_NEED(model);
    KD_NEED(values);
    kd__array_view(values, model->parameters, KD_FLOAT32, 1, &model->net.parameters);
    return KD_OK;
}

static kd_status check_readable(const kd_model *model)
{
    KD_FAIL_IF(model->frozen, KD_ERR_STATE, "a frozen model has no gradients");
    KD_FAIL_IF(model->gradients_shared, KD_ERR_STATE, "the layers share one place for their gradients: they cannot be read");
    return KD_OK;
}

kd_status kd_model_gradients(kd_model *model, kd_array *values)
{
    KD_NEED(model);
    KD_NEED(values);
    KD_TRY(check_readable(model));
    kd__array_view(values, model->gradients, KD_FLOAT32, 1, &model->net.parameters);
    return KD_OK;
}

kd_status kd_model_tensors(kd_model *model, int32_t *count)
{
    KD_NEED(model);
    KD_NEED(count);
    *count = (int32_t)model->net.tensor_count;
    return KD_OK;
}

static kd_status tensor_view(kd_model *model, int32_t index, float *block, const char **name, kd_array *values)
{
    KD_FAIL_IF(index < 0 || index >= model->net.tensor_count, KD_ERR_RANGE, "tensor %d of %lld", index, (long long)model->net.tensor_count);
    const kd__tensor *tensor = &model->net.tensors[index];
    if (name) *name = tensor->name;
    if (values) kd__array_view(values, block + tensor->offset, KD_FLOAT32, tensor->rank, tensor->dims);
    return KD_OK;
}

kd_status kd_model_tensor(kd_model *model, int32_t index, const char **name, kd_array *values)
{
    KD_NEED(model);
    return tensor_view(model, index, model->parameters, name, values);
}

kd_status kd_model_tensor_gradient(kd_model *model, int32_t index, kd_array *values)
{
    KD_NEED(model);
    KD_NEED(values);
    KD_TRY(check_readable(model));
    return tensor_view(model, index, model->gradients, NULL, values);
}

kd_status kd_model_freeze(kd_model *model, const char *pattern, int32_t on)
{
    int64_t matched = 0;
    KD_NEED(model);
    KD_NEED(pattern);
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        if (!kd__matches(pattern, model->net.tensors[i].name)) continue;
        model->net.tensors[i].frozen = on != 0;
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

static int same_tensors(const kd__network *a, const kd__network *b)
{
    if (a->tensor_count != b->tensor_count || a->parameters != b->parameters) return 0;
    for (int64_t i = 0; i < a->tensor_count; i++)
        if (a->tensors[i].rank != b->tensors[i].rank || memcmp(a->tensors[i].dims, b->tensors[i].dims, sizeof a->tensors[i].dims)) return 0;
    return 1;
}

kd_status kd_model_nonfinite(kd_model *model, int64_t *count, const char **tensor)
{
    KD_NEED(model);
    KD_NEED(count);
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
    KD_FAIL_IF(!same_tensors(&model->net, &from->net), KD_ERR_MISMATCH, "the two models have other tensors (%lld and %lld parameters)",
               (long long)model->net.parameters, (long long)from->net.parameters);
    memmove(model->parameters, from->parameters, (size_t)model->net.parameters * sizeof *model->parameters);
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

/* Parameters, the dropout counter, and gradients that wait for the next step. */
kd_status kd__model_save_state(kd_model *model, kd__text *state)
{
    size_t bytes = (size_t)model->net.parameters * sizeof(float);
    int64_t pending = !model->frozen && !model->gradients_fresh;
    KD_FAIL_IF(pending && model->gradients_shared, KD_ERR_STATE, "checkpoint: a step was begun: kd_optimizer_step ends it");
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
    int64_t numbers[3], bytes = model->net.parameters * 4; /* seed, passes, pending */
    KD_TRY(kd__state_expect(reader, model->net.parameters, "parameters of the model"));
    KD_TRY(kd__state_expect(reader, model->net.tensor_count, "tensors of the model"));
    KD_TRY(kd__state_get(reader, numbers, sizeof numbers));
    KD_FAIL_IF(numbers[2] && model->frozen, KD_ERR_MISMATCH, "checkpoint part '%s': the model was not frozen", reader->name);
    KD_FAIL_IF(numbers[2] && model->gradients_shared, KD_ERR_MISMATCH, "checkpoint part '%s': it holds gradients, which this model's layers share",
               reader->name);
    KD_TRY(kd__state_get(reader, apply ? model->parameters : NULL, bytes));
    if (numbers[2]) KD_TRY(kd__state_get(reader, apply ? model->gradients : NULL, bytes));
    if (!apply) return KD_OK;
    model->seed = (uint64_t)numbers[0];
    model->passes = numbers[1];
    model->gradients_fresh = !numbers[2];
    model->rows = 0;
    return KD_OK;
}
