/* The beginning of heads, forward and backward. Legend in transform.h. */
#include "language/sentence/transform.h"

#include <stdio.h>

#include "base/memory.h"
#include "language/trunk/lora.h"
#include "nn/gelu.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"

/* ---- tensors ---- */

/* columns 0: one number a row. */
static kd_status tensor(kd__network *net, kd_context *context, const char *name, const char *end,
                        int64_t rows, int64_t columns, int32_t *index)
{
    char whole[KD_NAME_BYTES];
    const int64_t dims[2] = { rows, columns };
    snprintf(whole, sizeof whole, "%s%s", name, end);
    return kd__network_tensor(net, context, whole, columns ? 2 : 1, dims, index);
}

kd_status kd__transform_tensors(kd__transform *t, kd__network *net, kd_context *context,
                                const kd__trunk_config *d, const char *dense, const char *norm,
                                int32_t has_bias)
{
    int32_t norm_bias;
    t->dense_bias = -1;
    KD_TRY(tensor(net, context, dense, ".weight", d->hidden, d->hidden, &t->dense));
    if (has_bias) KD_TRY(tensor(net, context, dense, ".bias", d->hidden, 0, &t->dense_bias));
    KD_TRY(tensor(net, context, norm, ".weight", d->hidden, 0, &t->norm));
    if (d->plain_norm) return KD_OK;
    return tensor(net, context, norm, ".bias", d->hidden, 0, &norm_bias);
}

void kd__transform_clear(kd_model *model, const kd__transform *t)
{
    kd__trunk_clear(model, t->dense);
    kd__trunk_clear(model, t->dense_bias);
    kd__trunk_clear(model, t->norm);
    kd__trunk_clear(model, kd__trunk_norm_bias(kd__trunk_config_of(model), t->norm));
}

/* ---- memory ---- */

enum { BEFORE, AFTER, OUTPUT, GRADIENT, SCRATCH, PARTS };

int64_t kd__transform_floats(const kd__trunk_config *d, int64_t rows)
{
    return rows * (PARTS * d->hidden + kd__trunk_stats(d));
}

static float *part(const kd_model *model, const kd__transform *t, int which)
{
    return t->block + which * t->rows * kd__trunk_config_of(model)->hidden;
}

float *kd__transform_output(const kd_model *model, const kd__transform *t)
{
    return part(model, t, OUTPUT);
}

float *kd__transform_gradient(const kd_model *model, const kd__transform *t)
{
    return part(model, t, GRADIENT);
}

/* ---- passes ---- */

kd_status kd__transform_forward(kd_model *model, kd__transform *t, const float *x, int64_t count)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const kd__rows rows = { model->object.context, count };
    KD_TRY(KD_RESERVE(rows.context, &t->block, &t->room, kd__transform_floats(d, count)));
    t->rows = count;
    float *g = part(model, t, BEFORE), *a = part(model, t, AFTER);
    KD_TRY(kd__linear(&rows, x, d->hidden, kd__tensor_values(model, t->dense), d->hidden, g));
    kd__gelu(&rows, g, kd__tensor_values(model, t->dense_bias), d->hidden, a);
    kd__trunk_norm(model, &rows, t->norm, a, part(model, t, OUTPUT), part(model, t, PARTS));
    return KD_OK;
}

kd_status kd__transform_backward(kd_model *model, kd__transform *t, const float *x, float *d)
{
    const kd__trunk_config *config = kd__trunk_config_of(model);
    const int64_t n = config->hidden;
    const kd__rows rows = { model->object.context, t->rows };
    float *a = part(model, t, AFTER), *dg = part(model, t, SCRATCH);
    kd__layer_norm_gradient(&rows, a, kd__tensor_values(model, t->norm), part(model, t, PARTS), d,
                            n, d, 0, kd__tensor_gradient(model, t->norm),
                            kd__tensor_gradient(model, kd__trunk_norm_bias(config, t->norm)), 1);
    kd__gelu_gradient(&rows, part(model, t, BEFORE), d, n, a, dg);
    kd__bias_gradient(&rows, dg, n, kd__tensor_gradient(model, t->dense_bias), 1);
    if (kd__lora_wants(model, t->dense, n * n))
        KD_TRY(kd__linear_weight_gradient(&rows, x, n, dg, n, kd__tensor_gradient(model, t->dense),
                                          1));
    return kd__linear_input_gradient(&rows, dg, n, kd__tensor_values(model, t->dense), n, d);
}
