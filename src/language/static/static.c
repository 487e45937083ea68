/* The engine of static embeddings. */
#include "language/static/static.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/numbers.h"
#include "math/random.h"

static const char *const slot_names[KD__STATIC_SLOTS] = { "pooled", "embedding", "logits" };

static int64_t width_of(const kd__static *s, int32_t slot)
{
    return slot == KD__STATIC_LOGITS ? s->classes : s->hidden;
}

static kd_status configure(kd__network *net, const kd_model_options *o)
{
    (void)net;
    KD_FAIL_IF(o->weights != KD_FLOAT32 || o->activations != KD_FLOAT32, KD_ERR_UNSUPPORTED,
               "static embeddings have weights and activations in float32 only");
    KD_FAIL_IF(o->recompute_layers, KD_ERR_RANGE, "recompute_layers: expected 0, got %d",
               o->recompute_layers);
    return KD_OK;
}

/* Tokens that are more than the samples come on top when a batch has them. */
static kd_status memory(kd__network *net, const kd_context *context, const kd_model_options *o,
                        int64_t *floats)
{
    (void)context;
    return kd__multiply(o->max_rows, kd__static_floats(kd__static_of(net)) + 4, floats);
}

/* N(0, 1), the classifier U(-a, a) with a = 1 / sqrt(d): what torch.nn does; weights 1. */
static void initialize(kd_model *model)
{
    const kd__static *s = kd__static_of(&model->net);
    const double bound = 1 / sqrt((double)s->hidden);
    for (int32_t i = 0; i < model->net.tensor_count; i++) {
        const kd__tensor *t = &model->net.tensors[i];
        const uint64_t stream = kd__stream(model->seed, 0x696e6974, (uint64_t)i);
        for (int64_t j = 0; j < t->count; j++) {
            const double u = 1 - kd__uniform(stream, (uint64_t)(2 * j));
            const double v = kd__uniform(stream, (uint64_t)(2 * j + 1));
            const double normal = sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
            model->parameters[t->offset + j] = (float)(i == s->weights ? 1
                                                       : i == s->table ? normal
                                                                       : (2 * v - 1) * bound);
        }
    }
}

static kd_status finish(kd_model *model)
{
    const kd__static *s = kd__static_of(&model->net);
    KD_FAIL_IF(s->rows != s->vocabulary && !s->mapping, KD_ERR_CONFIG,
               "config: embedding_rows: %lld rows for %lld tokens need a mapping, which only a "
               "folder has",
               (long long)s->rows, (long long)s->vocabulary);
    return KD_OK;
}

/* ---- outputs ---- */

static int describe(const kd__network *net, int32_t slot, kd__output_facts *facts)
{
    const kd__static *s = kd__static_of(net);
    memset(facts, 0, sizeof *facts);
    if (slot >= (s->classes ? KD__STATIC_SLOTS : KD__STATIC_LOGITS)) return 0;
    snprintf(facts->name, sizeof facts->name, "%s", slot_names[slot]);
    facts->width = width_of(s, slot);
    facts->unit = KD_UNIT_OF_SAMPLE;
    facts->unit_length = slot == KD__STATIC_EMBEDDING && s->normalize;
    facts->is_kept = 1;
    return 1;
}

static kd_status output(kd_model *model, int32_t index, kd_array *to)
{
    const kd__static *s = kd__static_of(&model->net);
    const int64_t dims[2] = { s->samples, width_of(s, index) };
    kd__array_view(to, s->value[index], KD_FLOAT32, 2, dims);
    return KD_OK;
}

static kd_status gradient(kd_model *model, int32_t index, float **to, int32_t *add)
{
    kd__static *s = kd__static_of(&model->net);
    *to = s->gradient[index];
    *add = s->has[index];
    s->has[index] = 1;
    return KD_OK;
}

static void forget_gradients(kd_model *model)
{
    kd__static *s = kd__static_of(&model->net);
    memset(s->has, 0, sizeof s->has);
}

const kd__engine kd__static_engine = {
    .model_types = "static_embedding",
    .knows = kd__static_knows,
    .read = kd__static_read,
    .free = kd__static_free,
    .configure = configure,
    .memory = memory,
    .reserve = kd__static_reserve,
    .initialize = initialize,
    .finish = finish,
    .forward = kd__static_forward,
    .backward = kd__static_backward,
    .describe = describe,
    .output = output,
    .gradient = gradient,
    .forget_gradients = forget_gradients,
    .refuses_heads = 1,
    .touched = kd__static_touched,
    .append = kd__static_append,
    .list_entries = kd__static_list_entries,
    .write_config = kd__static_write_config,
    .write_apart = kd__static_write_apart,
};
