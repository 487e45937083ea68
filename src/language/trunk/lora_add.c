/* Adapters that a model is given: of the matrices that a pattern names, with random numbers, or of
 * those that a folder has (lora_load.c). */
#include <kdistill/student.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "language/trunk/lora.h"
#include "math/random.h"

static const kd_lora_options defaults = KD_LORA_OPTIONS_INIT;
void kd_lora_options_init(kd_lora_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

static kd__lora *lora_of(const kd_model *model) { return kd__trunk_of(model)->lora; }

/* A head's tensors are trained as they are. */
static int is_head(const kd__tensor *t) { return !strncmp(t->name, "heads.", 6); }

kd_status kd__lora_check(const kd_model *model)
{
    KD_FAIL_IF(!kd__has_trunk(model), KD_ERR_UNSUPPORTED,
               "lora: the model is not a language model");
    KD_FAIL_IF(model->frozen, KD_ERR_STATE,
               "lora: a frozen model does not train: load it with frozen 0%s",
               model->packed_only ? ", which packed_only allows" : "");
    KD_FAIL_IF(kd__trunk_of(model)->lattice, KD_ERR_STATE,
               "lora: the model is on a lattice: take it off with kd_model_set_lattice, format 0");
    KD_FAIL_IF(model->on_gradients, KD_ERR_STATE,
               "lora: a step is open: call kd_optimizer_step first");
    return KD_OK;
}

int kd__lora_takes(const kd_model *model, int64_t tensor)
{
    const kd__tensor *t = &model->net.tensors[tensor];
    return t->rank == 2 && tensor != kd__trunk_config_of(model)->embedding && !is_head(t) &&
           !strstr(t->name, ".lora_") && t->is_packed == model->packed_only;
}

/* ---- tensors ---- */

static kd_status add_adapter(kd_model *model, const kd__adapter *wanted)
{
    kd_context *context = model->object.context;
    kd__lora *l = lora_of(model);
    char name[KD_NAME_BYTES + 8];
    const kd__tensor *matrix = &model->net.tensors[wanted->matrix];
    const int64_t a[2] = { wanted->rank, matrix->dims[1] },
                  b[2] = { matrix->dims[0], wanted->rank };
    kd__adapter made = *wanted;
    KD_TRY(KD_RESERVE(context, &l->adapters, &l->room, l->count + 1));
    snprintf(name, sizeof name, "%s.lora_A", matrix->name);
    KD_FAIL_IF(strlen(name) >= KD_NAME_BYTES, KD_ERR_RANGE, "lora: the name %s is too long", name);
    KD_TRY(kd__network_tensor(&model->net, context, name, 2, a, &made.a));
    name[strlen(name) - 1] = 'B';
    KD_TRY(kd__network_tensor(&model->net, context, name, 2, b, &made.b));
    l->adapters[l->count++] = made;
    return KD_OK;
}

static kd_status grow(kd_model *model, const kd__adapter *wanted, int64_t count)
{
    const int64_t tensors = model->net.tensor_count, parameters = model->net.parameters;
    kd__lora *l = lora_of(model);
    for (int64_t i = 0; i < count; i++) KD_TRY(add_adapter(model, &wanted[i]));
    if (model->packed_only) /* for the rows that the model has room for */
        KD_TRY(KD_RESERVE(model->object.context, &l->low, &l->low_room,
                          kd__trunk_of(model)->pass.plan.rows * kd__lora_rank(model)));
    return kd__trunk_grow(model, tensors, parameters);
}

/* All tensors but those of heads: frozen, or as they were before there was an adapter. */
static void freeze(kd_model *model, int64_t count, int on)
{
    for (int64_t i = 0; i < count; i++) {
        kd__tensor *t = &model->net.tensors[i];
        if (!is_head(t)) t->frozen = on || t->is_packed;
    }
}

static kd_status begin(kd_model *model)
{
    if (lora_of(model)) return KD_OK;
    KD_TRY(KD_NEW(model->object.context, &kd__trunk_of(model)->lora, 1));
    model->has_adapters = 1;
    freeze(model, model->net.tensor_count, 1);
    return KD_OK;
}

kd_status kd__lora_add(kd_model *model, const kd__adapter *wanted, int64_t count,
                       kd__lora_fill *fill, const void *argument)
{
    const int64_t tensors = model->net.tensor_count, parameters = model->net.parameters;
    KD_TRY(begin(model));
    const int64_t before = lora_of(model)->count;
    kd_status status = grow(model, wanted, count);
    if (status == KD_OK) {
        fill(model, before, argument);
        status = kd__lora_refresh(model);
    }
    if (status == KD_OK) return KD_OK;
    kd__trunk_shrink(model, tensors, parameters);
    lora_of(model)->count = before;
    if (before) return status;
    kd__lora_free(lora_of(model), model->object.context);
    kd__trunk_of(model)->lora = NULL;
    model->has_adapters = 0;
    freeze(model, tensors, 0);
    return status;
}

/* ---- by a pattern ---- */

/* A: U(-1, 1) / sqrt(in), PEFT's rule; B: 0. */
static void begin_random(kd_model *model, int64_t first, const void *argument)
{
    const kd_lora_options *o = argument;
    for (int64_t i = first; i < lora_of(model)->count; i++) {
        const kd__tensor *t = &model->net.tensors[lora_of(model)->adapters[i].a];
        const uint64_t stream =
            kd__stream(o->seed ? o->seed : model->seed, 0x6c6f7261, (uint64_t)i);
        const double bound = 1 / sqrt((double)t->dims[1]);
        for (int64_t j = 0; j < t->count; j++)
            model->parameters[t->offset + j] =
                (float)((2 * kd__uniform(stream, (uint64_t)j) - 1) * bound);
    }
}

kd_status kd_model_add_lora(kd_model *model, const char *pattern, const kd_lora_options *options)
{
    kd_lora_options o = defaults;
    KD_NEED(model);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_lora_options"));
    KD_TRY(kd__lora_check(model));
    KD_FAIL_IF(o.rank < 1 || o.rank > 65536, KD_ERR_RANGE, "rank: expected 1 to 65536, got %d",
               o.rank);
    KD_FAIL_IF(!(fabs(o.alpha) <= 1e6), KD_ERR_RANGE, "alpha: expected -1e6 to 1e6, got %g",
               o.alpha);
    if (!pattern) pattern = "*_proj.weight";
    kd__adapter *wanted;
    int64_t count = 0;
    KD_TRY(KD_NEW(model->object.context, &wanted, model->net.tensor_count));
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        if (!kd__lora_takes(model, i) || !kd__matches(pattern, model->net.tensors[i].name) ||
            (lora_of(model) && kd__lora_of_tensor(lora_of(model), (int32_t)i)))
            continue;
        wanted[count++] =
            (kd__adapter){ .matrix = (int32_t)i, .rank = o.rank, .scale = o.alpha / o.rank };
    }
    const kd_status status = count ? kd__lora_add(model, wanted, count, begin_random, &o)
                                   : kd__fail(KD_ERR_NOT_FOUND,
                                              "lora: no matrix matches '%.60s' that has no adapter",
                                              pattern);
    kd__release(model->object.context, wanted);
    return status;
}
