/* What an encoder gives out beside its trunk's rows: outputs of samples, and a masked language
 * model's logits of rows, whose head's states are one more output after those of samples. */
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "language/encoder/encoder.h"

static kd__masked_head *masked_of(const kd_model *model) { return &kd__encoder_of(model)->masked; }

static int32_t states_slot(const kd__trunk_config *d) { return kd__trunk_slots(d) + KD__CHAINS; }

/* What a masked language model gives for each row beside its trunk. */
static int is_masked(const kd_model *model, int32_t slot)
{
    return masked_of(model)->is_there &&
           (slot == KD__SLOT_LOGITS || slot == states_slot(kd__trunk_config_of(model)));
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
    const int32_t states = states_slot(&e->trunk.config),
                  logits = states - KD__CHAINS + KD__CHAIN_LOGITS;
    if (!e->masked.is_there || (slot != logits && slot < states))
        return kd__samples_describe(net, slot, facts);
    memset(facts, 0, sizeof *facts);
    if (slot == logits) return 1; /* of samples: there are none */
    return slot == states ? describe_states(e, facts) : 0;
}

kd_status kd__encoder_output(kd_model *model, int32_t slot, kd_array *values)
{
    kd__masked_head *h = masked_of(model);
    const int64_t dims[2] = { model->rows, kd__trunk_config_of(model)->hidden };
    if (!is_masked(model, slot)) return kd__samples_output(model, slot, values);
    KD_TRY(kd__masked_forward(model, h));
    float *states = kd__transform_output(model, &h->transform);
    if (slot == KD__SLOT_LOGITS) return kd__trunk_logits(model, states, values);
    kd__array_view(values, states, KD_FLOAT32, 2, dims);
    return KD_OK;
}

kd_status kd__encoder_gradient(kd_model *model, int32_t slot, float **to, int32_t *add)
{
    kd__masked_head *h = masked_of(model);
    if (!is_masked(model, slot)) return kd__samples_gradient(model, slot, to, add);
    KD_TRY(kd__masked_forward(model, h));
    if (slot == KD__SLOT_LOGITS) return kd__trunk_gradient(model, slot, to, add);
    *to = kd__transform_gradient(model, &h->transform);
    *add = h->has_gradient;
    h->has_gradient = 1;
    return KD_OK;
}

int32_t kd__encoder_head(kd_model *model, int32_t slot, int gradient, kd_head *head)
{
    if (!masked_of(model)->is_there || slot != KD__SLOT_LOGITS) return -1;
    if (!kd__trunk_has_head_values(model)) return -1;
    kd__trunk_view_head(model, head, gradient);
    return states_slot(kd__trunk_config_of(model));
}

void kd__encoder_forget_gradients(kd_model *model)
{
    masked_of(model)->has_gradient = 0;
    kd__samples_forget_gradients(model);
}

/* ---- passes ---- */

kd_status kd__encoder_forward(kd_model *model, kd_batch *batch, int32_t mode)
{
    masked_of(model)->is_made = masked_of(model)->has_gradient = 0;
    return kd__samples_forward(model, batch, mode);
}

/* Where no output goes through the pooler it is kept along, with gradients of 0. */
kd_status kd__encoder_backward(kd_model *model)
{
    const kd__encoder *e = kd__encoder_of(model);
    if (model->gradients_fresh) {
        kd__trunk_clear(model, e->pooler);
        kd__trunk_clear(model, e->pooler_bias);
        if (e->masked.is_there) kd__transform_clear(model, &e->masked.transform);
    }
    KD_TRY(kd__masked_backward(model, masked_of(model)));
    return kd__samples_backward(model);
}
