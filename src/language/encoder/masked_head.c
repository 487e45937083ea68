/* Masked language models, forward and backward. Legend in masked_head.h. */
#include "language/encoder/masked_head.h"

#include <stdio.h>
#include <string.h>

#include "base/context.h"
#include "language/encoder/encoder.h"

/* ---- tensors ---- */

/* What transformers calls them. The head's bias has two names: of a matrix that is tied, and of one
 * that is its own. */
typedef struct {
    const char *dense, *norm, *decoder, *bias;
} names;

static const names *names_of(const kd__trunk_config *d)
{
    static const names all[] = {
        [KD__BERT] = { "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm",
                       "cls.predictions.decoder", "cls.predictions.bias" },
        [KD__DISTILBERT] = { "vocab_transform", "vocab_layer_norm", "vocab_projector",
                             "vocab_projector.bias" },
        [KD__ROBERTA] = { "lm_head.dense", "lm_head.layer_norm", "lm_head.decoder",
                          "lm_head.bias" },
        [KD__MODERNBERT] = { "head.dense", "head.norm", "decoder", "decoder.bias" }
    };
    return &all[d->family == KD__XLM_ROBERTA ? KD__ROBERTA : d->family];
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

static kd_status decoder_tensors(kd__network *net, kd_context *context, kd__trunk_config *d,
                                 const kd__masked_head *h)
{
    const int64_t dims[2] = { d->classes, d->hidden };
    char name[KD_NAME_BYTES];
    join(name, names_of(d)->decoder, ".weight");
    if (d->tied) d->head = d->embedding;
    else KD_TRY(kd__network_tensor(net, context, name, 2, dims, &d->head));
    if (!h->has_bias) return KD_OK;
    join(name, names_of(d)->decoder, ".bias");
    return kd__network_tensor(net, context, d->tied ? names_of(d)->bias : name, 1, dims,
                              &d->head_bias);
}

kd_status kd__masked_tensors(kd__masked_head *h, kd__network *net, kd_context *context,
                             kd__trunk_config *d)
{
    const names *n = names_of(d);
    if (!h->is_there) return KD_OK;
    d->classes = d->vocabulary;
    KD_TRY(kd__transform_tensors(&h->transform, net, context, d, n->dense, n->norm,
                                 h->has_dense_bias));
    return decoder_tensors(net, context, d, h);
}

/* ---- passes ---- */

static const float *hidden_of(const kd_model *model)
{
    const kd__trunk_pass *pass = &kd__trunk_of(model)->pass;
    return pass->block + pass->plan.hidden;
}

kd_status kd__masked_forward(kd_model *model, kd__masked_head *h)
{
    if (h->is_made) return KD_OK;
    KD_TRY(kd__transform_forward(model, &h->transform, hidden_of(model), model->rows));
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
    return kd__trunk_logits_gradient(model, kd__transform_output(model, &h->transform),
                                     kd__transform_gradient(model, &h->transform), add);
}

kd_status kd__masked_backward(kd_model *model, kd__masked_head *h)
{
    float *d, *dhidden;
    int32_t add;
    if (!h->is_there || !h->is_made) return KD_OK;
    KD_TRY(push_logits(model, h));
    if (!h->has_gradient) return KD_OK;
    d = kd__transform_gradient(model, &h->transform);
    KD_TRY(kd__transform_backward(model, &h->transform, hidden_of(model), d));
    KD_TRY(kd__trunk_gradient(model, KD__SLOT_HIDDEN, &dhidden, &add));
    model->object.context->kernels->axpby(dhidden, 1, d, add ? 1 : 0,
                                          model->rows * kd__trunk_config_of(model)->hidden);
    return KD_OK;
}
