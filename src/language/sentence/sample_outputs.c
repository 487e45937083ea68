/* What an encoder gives out beside its trunk's rows: outputs of samples, and their way back. */
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "language/encoder/encoder.h"

static const char *const chain_names[KD__CHAINS] = { "pooled", "embedding", "logits" };

static int32_t first_slot(const kd_model *model)
{
    return kd__trunk_slots(kd__trunk_config_of(model));
}

/* The chain of a slot; NULL: the trunk's rows. */
static kd__chain *chain_of(const kd_model *model, int32_t slot)
{
    const int32_t n = slot - first_slot(model);
    return n < 0 ? NULL : &kd__encoder_of(model)->chain[n];
}

/* Dropout's sites come after the trunk's. */
static int64_t site_of(const kd_model *model, int32_t n)
{
    return kd__trunk_site(kd__trunk_config_of(model)->layers, 0) + n * KD__MOST_STAGES;
}

int kd__encoder_describe(const kd__network *net, int32_t slot, kd__output_facts *facts)
{
    const kd__encoder *e = net->state;
    const int32_t n = slot - kd__trunk_slots(&e->trunk.config);
    if (n < 0) return kd__trunk_describe(net, slot, facts);
    memset(facts, 0, sizeof *facts);
    if (n >= (e->classifier ? KD__CHAINS : KD__CHAIN_LOGITS)) return 0;
    snprintf(facts->name, sizeof facts->name, "%s", chain_names[n]);
    facts->width = kd__chain_outputs(&e->chain[n]);
    facts->unit = KD_UNIT_OF_SAMPLE;
    facts->is_kept = 1;
    return 1;
}

static kd_status make(kd_model *model, int32_t slot)
{
    return kd__chain_forward(model, chain_of(model, slot),
                             site_of(model, slot - first_slot(model)));
}

kd_status kd__encoder_output(kd_model *model, int32_t slot, kd_array *values)
{
    const kd__chain *c = chain_of(model, slot);
    if (!c) return kd__trunk_output(model, slot, values);
    KD_TRY(make(model, slot));
    const int64_t dims[2] = { c->samples, kd__chain_outputs(c) };
    kd__array_view(values, (float *)(uintptr_t)kd__chain_output(c), KD_FLOAT32, 2, dims);
    return KD_OK;
}

kd_status kd__encoder_gradient(kd_model *model, int32_t slot, float **to, int32_t *add)
{
    kd__chain *c = chain_of(model, slot);
    if (!c) return kd__trunk_gradient(model, slot, to, add);
    KD_TRY(make(model, slot));
    *to = kd__chain_gradient(c);
    *add = c->has_gradient;
    c->has_gradient = 1;
    return KD_OK;
}

void kd__encoder_forget(kd__encoder *e)
{
    for (int32_t n = 0; n < KD__CHAINS; n++) e->chain[n].is_made = e->chain[n].has_gradient = 0;
}

void kd__encoder_forget_gradients(kd_model *model)
{
    kd__encoder *e = kd__encoder_of(model);
    for (int32_t n = 0; n < KD__CHAINS; n++) e->chain[n].has_gradient = 0;
    kd__trunk_forget_gradients(model);
}

/* ---- the way back ---- */

/* Gradients of the tensors after the layers are added to by chains, and 0 where none uses them. */
static void clear_heads(kd_model *model)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    for (int64_t i = d->layer[d->layers - 1].end; i < model->net.tensor_count; i++)
        memset(kd__tensor_gradient(model, (int32_t)i), 0,
               (size_t)model->net.tensors[i].count * sizeof(float));
}

static int has_samples(const kd__encoder *e)
{
    int any = 0;
    for (int32_t n = 0; n < KD__CHAINS; n++) any |= e->chain[n].has_gradient;
    return any;
}

/* dhidden (R, d) += what the outputs of samples say. */
static kd_status backward_samples(kd_model *model)
{
    kd__encoder *e = kd__encoder_of(model);
    float *dhidden;
    int32_t add;
    KD_TRY(kd__trunk_gradient(model, KD__SLOT_HIDDEN, &dhidden, &add));
    if (!add) memset(dhidden, 0, (size_t)(model->rows * e->trunk.config.hidden) * sizeof *dhidden);
    for (int32_t n = 0; n < KD__CHAINS; n++)
        if (e->chain[n].has_gradient)
            KD_TRY(kd__chain_backward(model, &e->chain[n], site_of(model, n), dhidden));
    return KD_OK;
}

kd_status kd__encoder_backward(kd_model *model)
{
    if (model->gradients_fresh) clear_heads(model);
    if (has_samples(kd__encoder_of(model))) KD_TRY(backward_samples(model));
    return kd__trunk_backward(model);
}
