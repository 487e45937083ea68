/* A model's weights in 8 bits, made once and looked up by tensor. The products are in
 * math/int8.c. */
#include "language/trunk/int8_weights.h"

#include "base/memory.h"

struct kd__int8_weights {
    kd_context *context;
    int64_t count;
    kd__int8 *matrices; /* by tensor; empty where a tensor begins none */
};

static int64_t rows_of(const kd__trunk_config *d, const kd__trunk_layer *l, int32_t tensor)
{
    return tensor == l->q      ? (d->heads + 2 * d->kv_heads) * d->width
           : tensor == l->gate ? kd__trunk_units(d)
                               : d->hidden;
}

static int64_t inputs_of(const kd__trunk_config *d, const kd__trunk_layer *l, int32_t tensor)
{
    return tensor == l->o ? d->heads * d->width : tensor == l->down ? d->inner : d->hidden;
}

int64_t kd__int8_weights_bytes(const kd__trunk_config *d)
{
    int64_t bytes = d->head < 0 ? 0 : kd__int8_bytes(d->classes, d->outer);
    for (int64_t i = 0; i < d->layers; i++) {
        if (d->layer[i].shared_later) continue;
        const int32_t each[] = { d->layer[i].q, d->layer[i].o, d->layer[i].gate, d->layer[i].down };
        for (int k = 0; k < 4; k++)
            bytes += kd__int8_bytes(rows_of(d, &d->layer[i], each[k]),
                                    inputs_of(d, &d->layer[i], each[k]));
    }
    return bytes;
}

void kd__int8_weights_free(kd__int8_weights *m)
{
    if (!m) return;
    for (int64_t i = 0; i < m->count && m->matrices; i++)
        kd__int8_free(&m->matrices[i], m->context);
    kd__release(m->context, m->matrices);
    kd__release(m->context, m);
}

static kd_status fill(kd__int8_weights *m, const kd_model *model)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    for (int64_t i = 0; i < d->layers; i++) {
        const kd__trunk_layer *l = &d->layer[i];
        if (l->shared_later) continue; /* its matrices are made for the last layer that has them */
        const int32_t each[] = { l->q, l->o, l->gate, l->down };
        for (int k = 0; k < 4; k++)
            KD_TRY(kd__int8_make(&m->matrices[each[k]], m->context,
                                 kd__tensor_values(model, each[k]), rows_of(d, l, each[k]),
                                 inputs_of(d, l, each[k])));
    }
    if (d->head < 0) return KD_OK;
    return kd__int8_make(&m->matrices[d->head], m->context, kd__tensor_values(model, d->head),
                         d->classes, d->outer);
}

kd_status kd__int8_weights_make(kd__int8_weights **out, kd_model *model)
{
    kd_context *context = model->object.context;
    kd__int8_weights *m = NULL;
    KD_TRY(KD_NEW(context, &m, 1));
    m->context = context;
    m->count = model->net.tensor_count;
    kd_status status = KD_NEW(context, &m->matrices, m->count);
    if (status == KD_OK) status = fill(m, model);
    if (status != KD_OK) {
        kd__int8_weights_free(m);
        return status;
    }
    *out = m;
    return KD_OK;
}

const kd__int8 *kd__int8_weights_find(const kd__int8_weights *m, int32_t tensor)
{
    return &m->matrices[tensor];
}
