/* Masked language models, forward and backward. Legend in masked_head.h. */
#include "language/encoder/masked_head.h"

#include <stdio.h>
#include <string.h>

#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "language/encoder/encoder.h"
#include "language/trunk/lora.h"
#include "nn/gelu.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"

/* ---- tensors ---- */

/* What transformers calls them. The head's bias has two names: of a matrix that is tied, and of one
 * that is its own. */
typedef struct {
    const char *dense, *norm, *decoder, *bias;
} names;

static const names *names_of(const kd__trunk_config *d)
{
    static const names bert = { "cls.predictions.transform.dense",
                                "cls.predictions.transform.LayerNorm", "cls.predictions.decoder",
                                "cls.predictions.bias" },
                       distilbert = { "vocab_transform", "vocab_layer_norm", "vocab_projector",
                                      "vocab_projector.bias" },
                       roberta = { "lm_head.dense", "lm_head.layer_norm", "lm_head.decoder",
                                   "lm_head.bias" };
    return d->family == KD__BERT ? &bert : d->family == KD__DISTILBERT ? &distilbert : &roberta;
}

static void join(char *to, const char *name, const char *end)
{
    snprintf(to, KD_NAME_BYTES, "%s%s", name, end);
}

int kd__masked_other_name(const kd__trunk_config *d, const char *name, char *to)
{
    const names *n = names_of(d);
    char own[KD_NAME_BYTES];
    join(own, n->decoder, ".bias");
    if (strcmp(name, n->bias) && strcmp(name, own)) return 0;
    join(to, strcmp(name, n->bias) ? n->bias : own, "");
    return strcmp(name, to) != 0;
}

int kd__masked_is_tied(const kd__trunk_config *d, const char *name)
{
    char weight[KD_NAME_BYTES];
    join(weight, names_of(d)->decoder, ".weight");
    return d->tied && !strcmp(name, weight);
}

/* columns 0: one number a row. */
static kd_status tensor(kd__network *net, kd_context *context, const char *name, const char *end,
                        int64_t rows, int64_t columns, int32_t *index)
{
    char whole[KD_NAME_BYTES];
    const int64_t dims[2] = { rows, columns };
    join(whole, name, end);
    return kd__network_tensor(net, context, whole, columns ? 2 : 1, dims, index);
}

kd_status kd__masked_tensors(kd__masked_head *h, kd__network *net, kd_context *context,
                             kd__trunk_config *d)
{
    const names *n = names_of(d);
    int32_t norm_bias;
    if (!h->is_there) return KD_OK;
    d->classes = d->vocabulary;
    KD_TRY(tensor(net, context, n->dense, ".weight", d->hidden, d->hidden, &h->dense));
    KD_TRY(tensor(net, context, n->dense, ".bias", d->hidden, 0, &h->dense_bias));
    KD_TRY(tensor(net, context, n->norm, ".weight", d->hidden, 0, &h->norm));
    KD_TRY(tensor(net, context, n->norm, ".bias", d->hidden, 0, &norm_bias));
    if (d->tied) {
        d->head = d->embedding;
        return tensor(net, context, n->bias, "", d->classes, 0, &d->head_bias);
    }
    KD_TRY(tensor(net, context, n->decoder, ".weight", d->classes, d->hidden, &d->head));
    return tensor(net, context, n->decoder, ".bias", d->classes, 0, &d->head_bias);
}

/* ---- memory ---- */

enum { BEFORE, AFTER, STATES, DSTATES, SCRATCH, PARTS };

int64_t kd__masked_floats(const kd__masked_head *h, const kd__trunk_config *d, int64_t rows)
{
    return h->is_there ? rows * (PARTS * d->hidden + kd__trunk_stats(d)) : 0;
}

static float *part(const kd_model *model, const kd__masked_head *h, int which)
{
    return h->block + which * model->rows * kd__trunk_config_of(model)->hidden;
}

const float *kd__masked_states(const kd_model *model, const kd__masked_head *h)
{
    return part(model, h, STATES);
}

float *kd__masked_gradient(const kd_model *model, const kd__masked_head *h)
{
    return part(model, h, DSTATES);
}

/* ---- passes ---- */

kd_status kd__masked_forward(kd_model *model, kd__masked_head *h)
{
    const kd__trunk *trunk = kd__trunk_of(model);
    const kd__trunk_config *d = &trunk->config;
    const kd__rows rows = { model->object.context, model->rows };
    const float *hidden = trunk->pass.block + trunk->pass.plan.hidden;
    if (h->is_made) return KD_OK;
    KD_TRY(KD_RESERVE(rows.context, &h->block, &h->room, kd__masked_floats(h, d, rows.count)));
    float *g = part(model, h, BEFORE), *a = part(model, h, AFTER);
    KD_TRY(kd__linear(&rows, hidden, d->hidden, kd__tensor_values(model, h->dense), d->hidden, g));
    kd__gelu(&rows, g, kd__tensor_values(model, h->dense_bias), d->hidden, a);
    kd__trunk_norm(model, &rows, h->norm, a, part(model, h, STATES), part(model, h, PARTS));
    h->is_made = 1;
    return KD_OK;
}

/* Whole logits: into the gradient of the states. */
static kd_status push_logits(kd_model *model, kd__masked_head *h)
{
    kd__outside *o = &kd__trunk_of(model)->outside;
    const int add = h->has_gradient;
    if (!o->has_dlogits) return KD_OK;
    h->has_gradient = 1;
    o->has_dlogits = 0;
    return kd__trunk_logits_gradient(model, part(model, h, STATES), part(model, h, DSTATES), add);
}

/* dhidden += dg W */
static kd_status push_hidden(kd_model *model, const kd__masked_head *h, const kd__rows *rows,
                             const float *dg, float *scratch)
{
    const int64_t d = kd__trunk_config_of(model)->hidden;
    float *dhidden;
    int32_t add;
    KD_TRY(kd__trunk_gradient(model, KD__SLOT_HIDDEN, &dhidden, &add));
    KD_TRY(kd__linear_input_gradient(rows, dg, d, kd__tensor_values(model, h->dense), d, scratch));
    rows->context->kernels->axpby(dhidden, 1, scratch, add ? 1 : 0, rows->count * d);
    return KD_OK;
}

kd_status kd__masked_backward(kd_model *model, kd__masked_head *h)
{
    const kd__trunk *trunk = kd__trunk_of(model);
    const int64_t d = trunk->config.hidden;
    const kd__rows rows = { model->object.context, model->rows };
    const float *hidden = trunk->pass.block + trunk->pass.plan.hidden;
    KD_TRY(push_logits(model, h));
    if (!h->has_gradient) return KD_OK;
    float *a = part(model, h, AFTER), *dy = part(model, h, DSTATES), *dg = part(model, h, SCRATCH);
    kd__layer_norm_gradient(&rows, a, kd__tensor_values(model, h->norm), part(model, h, PARTS), dy,
                            d, dy, 0, kd__tensor_gradient(model, h->norm),
                            kd__tensor_gradient(model, h->norm + 1), 1);
    kd__gelu_gradient(&rows, part(model, h, BEFORE), dy, d, a, dg);
    kd__bias_gradient(&rows, dg, d, kd__tensor_gradient(model, h->dense_bias), 1);
    if (kd__lora_wants(model, h->dense, d * d))
        KD_TRY(kd__linear_weight_gradient(&rows, hidden, d, dg, d,
                                          kd__tensor_gradient(model, h->dense), 1));
    return push_hidden(model, h, &rows, dg, dy);
}
