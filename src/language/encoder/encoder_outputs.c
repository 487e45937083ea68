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

/* The chain of a slot; NULL: rows. */
static kd__chain *chain_of(const kd_model *model, int32_t slot)
{
    const int32_t n = slot - first_slot(model);
    return n < 0 || n >= KD__CHAINS ? NULL : &kd__encoder_of(model)->chain[n];
}

/* Rows that enter the head of a masked language model: the slot after the chains'. */
static int is_masked(const kd_model *model, int32_t slot)
{
    return slot == first_slot(model) + KD__CHAINS;
}

/* Dropout's sites come after the trunk's. */
static int64_t site_of(const kd_model *model, int32_t n)
{
    return kd__trunk_site(kd__trunk_config_of(model)->layers, 0) + n * KD__MOST_STAGES;
}

static int describe_states(const kd__encoder *e, kd__output_facts *facts)
{
    snprintf(facts->name, sizeof facts->name, "hidden.head");
    facts->width = e->trunk.config.hidden;
    facts->is_kept = 1;
    return 1;
}

int kd__encoder_describe(const kd__network *net, int32_t slot, kd__output_facts *facts)
{
    const kd__encoder *e = net->state;
    const int32_t n = slot - kd__trunk_slots(&e->trunk.config);
    if (n < 0) return kd__trunk_describe(net, slot, facts);
    memset(facts, 0, sizeof *facts);
    if (n == KD__CHAIN_LOGITS && e->masked.is_there) return 1;
    if (n == KD__CHAINS && e->masked.is_there) return describe_states(e, facts);
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

/* What a masked language model gives for each row beside its trunk. */
static kd_status masked_output(kd_model *model, int32_t slot, kd_array *values)
{
    kd__encoder *e = kd__encoder_of(model);
    const int64_t dims[2] = { model->rows, e->trunk.config.hidden };
    KD_TRY(kd__masked_forward(model, &e->masked));
    const float *states = kd__transform_output(model, &e->masked.transform);
    if (slot == KD__SLOT_LOGITS) return kd__trunk_logits(model, states, values);
    kd__array_view(values, (float *)(uintptr_t)states, KD_FLOAT32, 2, dims);
    return KD_OK;
}

kd_status kd__encoder_output(kd_model *model, int32_t slot, kd_array *values)
{
    const kd__chain *c = chain_of(model, slot);
    if (is_masked(model, slot) || slot == KD__SLOT_LOGITS)
        return masked_output(model, slot, values);
    if (!c) return kd__trunk_output(model, slot, values);
    KD_TRY(make(model, slot));
    const int64_t dims[2] = { c->samples, kd__chain_outputs(c) };
    kd__array_view(values, (float *)(uintptr_t)kd__chain_output(c), KD_FLOAT32, 2, dims);
    return KD_OK;
}

static kd_status masked_gradient(kd_model *model, float **to, int32_t *add)
{
    kd__masked_head *h = &kd__encoder_of(model)->masked;
    KD_TRY(kd__masked_forward(model, h));
    *to = kd__transform_gradient(model, &h->transform);
    *add = h->has_gradient;
    h->has_gradient = 1;
    return KD_OK;
}

kd_status kd__encoder_gradient(kd_model *model, int32_t slot, float **to, int32_t *add)
{
    kd__chain *c = chain_of(model, slot);
    if (is_masked(model, slot)) return masked_gradient(model, to, add);
    if (slot == KD__SLOT_LOGITS) KD_TRY(kd__masked_forward(model, &kd__encoder_of(model)->masked));
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
    e->masked.is_made = e->masked.has_gradient = 0;
}

void kd__encoder_forget_gradients(kd_model *model)
{
    kd__encoder *e = kd__encoder_of(model);
    for (int32_t n = 0; n < KD__CHAINS; n++) e->chain[n].has_gradient = 0;
    e->masked.has_gradient = 0;
    kd__trunk_forget_gradients(model);
}

int32_t kd__encoder_head(kd_model *model, int32_t slot, int gradient, kd_head *head)
{
    if (!kd__encoder_of(model)->masked.is_there || slot != KD__SLOT_LOGITS) return -1;
    kd__trunk_view_head(model, head, gradient);
    return first_slot(model) + KD__CHAINS;
}

/* ---- the way back ---- */

/* Gradients of the tensors after the layers are added to by chains, and 0 where none uses them.
 * The trunk's head is its own matter: a loss may have written there. */
static void clear_heads(kd_model *model)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    for (int32_t i = d->layer[d->layers - 1].end; i < model->net.tensor_count; i++)
        if (i != d->head && i != d->head_bias)
            memset(kd__tensor_gradient(model, i), 0,
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
    kd__encoder *e = kd__encoder_of(model);
    if (model->gradients_fresh) clear_heads(model);
    if (e->masked.is_there) KD_TRY(kd__masked_backward(model, &e->masked));
    if (has_samples(e)) KD_TRY(backward_samples(model));
    return kd__trunk_backward(model);
}
