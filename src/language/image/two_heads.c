/* DeiT's two heads: one on the class token, which learns from labels, one on the distillation
 * token, which learns from a teacher [Touvron et al. 2021]; "logits" is their mean. A model with
 * one head has the outputs of its samples alone. */
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "language/image/image.h"
#include "math/kernels.h"

/* Outputs of two heads, after those of samples. */
enum { MEAN, HEADS, OUTPUTS = HEADS + KD__HEADS };
static const char *const output_names[OUTPUTS] = { "logits", "logits.class",
                                                   "logits.distillation" };

static int32_t first_slot(const kd__image *m)
{
    return kd__trunk_slots(&m->trunk.config) + m->trunk.samples->chains;
}

/* Of two heads: MEAN, HEADS ..; below 0: of samples or rows. */
static int32_t output_of(const kd__image *m, int32_t slot)
{
    return m->head == KD__TWO_HEADS ? slot - first_slot(m) : -1;
}

int kd__image_describe(const kd__network *net, int32_t slot, kd__output_facts *facts)
{
    const kd__image *m = net->state;
    const int32_t n = output_of(m, slot);
    if (n < 0) return kd__samples_describe(net, slot, facts);
    memset(facts, 0, sizeof *facts);
    if (n >= OUTPUTS) return 0;
    snprintf(facts->name, sizeof facts->name, "%s", output_names[n]);
    facts->width = kd__chain_outputs(&m->heads[0]);
    facts->unit = KD_UNIT_OF_SAMPLE;
    facts->is_kept = 1;
    return 1;
}

/* ---- forward ---- */

static void forget(kd__image *m)
{
    m->has_mean = m->has_dmean = 0;
    for (int i = 0; i < KD__HEADS; i++) m->heads[i].is_made = m->heads[i].has_gradient = 0;
}

kd_status kd__image_forward(kd_model *model, kd_batch *batch, int32_t mode)
{
    forget(kd__image_of(model));
    return kd__samples_forward(model, batch, mode);
}

/* to (S, labels) = to a + b from */
static void blend(const kd_model *model, float *to, float a, const float *from, float b)
{
    const kd__chain *c = &kd__image_of(model)->heads[0];
    model->object.context->kernels->axpby(to, b, from, a, c->samples * kd__chain_outputs(c));
}

static kd_status make_heads(kd_model *model)
{
    kd__image *m = kd__image_of(model);
    for (int i = 0; i < KD__HEADS; i++) KD_TRY(kd__chain_forward(model, &m->heads[i], 0));
    return KD_OK;
}

static kd_status make_mean(kd_model *model)
{
    kd__image *m = kd__image_of(model);
    if (m->has_mean) return KD_OK;
    KD_TRY(make_heads(model));
    const int64_t numbers = m->heads[0].samples * kd__chain_outputs(&m->heads[0]);
    KD_TRY(KD_RESERVE(model->object.context, &m->mean, &m->mean_room, numbers));
    for (int i = 0; i < KD__HEADS; i++)
        blend(model, m->mean, i ? 1 : 0, kd__chain_output(&m->heads[i]), 0.5f);
    m->has_mean = 1;
    return KD_OK;
}

kd_status kd__image_output(kd_model *model, int32_t slot, kd_array *values)
{
    kd__image *m = kd__image_of(model);
    const int32_t n = output_of(m, slot);
    if (n < 0) return kd__samples_output(model, slot, values);
    KD_TRY(n == MEAN ? make_mean(model) : make_heads(model));
    const float *found = n == MEAN ? m->mean : kd__chain_output(&m->heads[n - HEADS]);
    const int64_t dims[2] = { m->heads[0].samples, kd__chain_outputs(&m->heads[0]) };
    kd__array_view(values, (float *)(uintptr_t)found, KD_FLOAT32, 2, dims);
    return KD_OK;
}

/* ---- backward ---- */

kd_status kd__image_gradient(kd_model *model, int32_t slot, float **to, int32_t *add)
{
    kd__image *m = kd__image_of(model);
    const int32_t n = output_of(m, slot);
    if (n < 0) return kd__samples_gradient(model, slot, to, add);
    KD_TRY(make_heads(model));
    const int64_t numbers = m->heads[0].samples * kd__chain_outputs(&m->heads[0]);
    if (n == MEAN) KD_TRY(KD_RESERVE(model->object.context, &m->dmean, &m->dmean_room, numbers));
    int32_t *has = n == MEAN ? &m->has_dmean : &m->heads[n - HEADS].has_gradient;
    *to = n == MEAN ? m->dmean : kd__chain_gradient(&m->heads[n - HEADS]);
    *add = *has;
    *has = 1;
    return KD_OK;
}

void kd__image_forget_gradients(kd_model *model)
{
    kd__image *m = kd__image_of(model);
    m->has_dmean = 0;
    for (int i = 0; i < KD__HEADS; i++) m->heads[i].has_gradient = 0;
    kd__samples_forget_gradients(model);
}

/* Half of the mean's gradient is each head's. */
static void share_mean(kd_model *model)
{
    kd__image *m = kd__image_of(model);
    for (int i = 0; i < KD__HEADS && m->has_dmean; i++) {
        kd__chain *c = &m->heads[i];
        blend(model, kd__chain_gradient(c), c->has_gradient ? 1 : 0, m->dmean, 0.5f);
        c->has_gradient = 1;
    }
}

static kd_status push_heads(kd_model *model)
{
    kd__image *m = kd__image_of(model);
    float *dhidden;
    int32_t add;
    share_mean(model);
    if (!m->heads[KD__HEAD_CLASS].has_gradient && !m->heads[KD__HEAD_DISTILLATION].has_gradient)
        return KD_OK;
    KD_TRY(kd__trunk_gradient(model, KD__SLOT_HIDDEN, &dhidden, &add));
    if (!add) memset(dhidden, 0, (size_t)(model->rows * m->trunk.config.hidden) * sizeof *dhidden);
    for (int i = 0; i < KD__HEADS; i++)
        if (m->heads[i].has_gradient) KD_TRY(kd__chain_backward(model, &m->heads[i], 0, dhidden));
    return KD_OK;
}

static void clear(kd_model *model, int32_t tensor)
{
    if (tensor < 0) return;
    memset(kd__tensor_gradient(model, tensor), 0,
           (size_t)model->net.tensors[tensor].count * sizeof(float));
}

/* A pooler, which no output goes through, is kept along with gradients of 0. */
kd_status kd__image_backward(kd_model *model)
{
    const kd__image *m = kd__image_of(model);
    if (model->gradients_fresh) {
        clear(model, m->pooler);
        clear(model, m->pooler_bias);
        for (int i = 0; i < KD__HEADS && m->head == KD__TWO_HEADS; i++) {
            clear(model, m->heads[i].stage[0].weight);
            clear(model, m->heads[i].stage[0].bias);
        }
    }
    KD_TRY(push_heads(model));
    return kd__samples_backward(model);
}
