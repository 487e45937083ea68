/* What an engine that stands on a trunk gives to the table of engines. */
#include "language/trunk/trunk.h"

#include "base/memory.h"
#include "base/numbers.h"
#include "language/trunk/lattice.h"
#include "language/trunk/lora.h"
#include "language/trunk/packed.h"

static const kd__trunk *state_of(const kd__network *net) { return net->state; }

void kd__trunk_free(kd__trunk *s, kd_context *context)
{
    kd__outside *o = &s->outside;
    for (int64_t i = 0; i < kd__trunk_slots(&s->config) - KD__SLOT_STREAM && o->dlayers; i++)
        kd__release(context, o->dlayers[i]);
    kd__trunk_pass_free(&s->pass, context);
    kd__lora_free(s->lora, context);
    kd__lattice_free(s->lattice, context);
    kd__packed_free(s->packed);
    void *blocks[] = {
        s->config.rope.divisors, s->config.layer, s->config.windows, o->dhidden, o->dlayers,
        o->dlayers_room,         o->has_dlayer,   o->dlogits,        s->logits
    };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(context, blocks[i]);
}

kd_status kd__trunk_configure(kd__network *net, const kd_model_options *o)
{
    kd__trunk *s = net->state;
    KD_FAIL_IF(o->activations != KD_FLOAT32 && o->activations != KD_BFLOAT16, KD_ERR_UNSUPPORTED,
               "activations: expected KD_FLOAT32 (%d) or KD_BFLOAT16 (%d), got %d", KD_FLOAT32,
               KD_BFLOAT16, o->activations);
    KD_FAIL_IF(o->recompute_layers < 0 || (o->recompute_layers && !o->recompute) ||
                   o->recompute_layers > s->config.layers,
               KD_ERR_RANGE,
               "recompute_layers: expected 0, or with recompute up to %lld layers, got %d",
               (long long)s->config.layers, o->recompute_layers);
    s->kept.recompute = !o->recompute         ? 0
                        : o->recompute_layers ? o->recompute_layers
                                              : s->config.layers;
    s->kept.dtype = o->activations;
    return KD_OK;
}

kd_status kd__trunk_reserve(kd_model *model, int64_t rows, int32_t train)
{
    kd__trunk *s = kd__trunk_of(model);
    kd__trunk_kept kept = s->kept;
    kept.outputs = model->net.asked;
    for (int32_t t = 0; t <= (train != 0); t++) { /* what trains is evaluated, too */
        int64_t all;
        KD_TRY(kd__multiply(rows, kd__trunk_rows_of_pass(&s->config, t), &all));
        if (t == train || s->config.kept_patches)
            KD_TRY(kd__trunk_pass_reserve(&s->pass, model, kept, all, t));
    }
    return KD_OK;
}

kd_status kd__trunk_finish(kd_model *model)
{
    kd__trunk *s = kd__trunk_of(model);
    return kd__packed_has(model->weights)
               ? kd__packed_make(&s->packed, model, model->weights, &s->pass)
               : KD_OK;
}

kd_status kd__trunk_run(kd_model *model, kd_batch *batch, int32_t mode)
{
    kd__trunk *s = kd__trunk_of(model);
    kd__trunk_kept kept = s->kept;
    kept.outputs = model->net.kept;
    model->mode = mode;
    model->rows = 0;
    kd__trunk_forget_gradients(model);
    s->logits_known = 0;
    s->pass.dropout = mode == KD_MODE_EVALUATE ? 0 : s->config.dropout;
    s->pass.attention_dropout = mode == KD_MODE_EVALUATE ? 0 : s->config.attention_dropout;
    s->pass.draws = model->draws;
    s->pass.drops_patches = mode != KD_MODE_EVALUATE;
    const int64_t image = kd__trunk_rows_of_pass(&s->config, s->pass.drops_patches);
    if (s->config.patches.channels) s->pass.draws.first_row = s->pass.draws.first_sample * image;
    KD_TRY(kd__trunk_forward(model, &s->pass, kept, batch, mode == KD_MODE_TRAIN));
    model->rows = s->pass.rows;
    return KD_OK;
}

/* ---- facts ---- */

int64_t kd__trunk_layers(const kd__network *net) { return state_of(net)->config.layers; }

int64_t kd__trunk_int8_bytes(const kd__network *net)
{
    const kd__trunk_config *d = &state_of(net)->config;
    return d->classifier ? 0 : kd__packed_bytes(d, KD_INT8);
}

static int64_t numbers_of(const kd__network *net, int64_t first, int64_t end)
{
    int64_t sum = 0;
    for (int64_t i = first; i < end; i++) sum += net->tensors[i].count;
    return sum;
}

int64_t kd__trunk_active_parameters(const kd__network *net)
{
    const kd__trunk_config *d = &state_of(net)->config;
    int64_t sum = d->embedding < 0 ? 0 : d->embedded; /* of one token's row */
    if (d->norm >= 0) sum += net->tensors[d->norm].count;
    if (d->head >= 0) sum += net->tensors[d->head].count;
    if (d->projection >= 0)
        sum += net->tensors[d->projection].count * (d->outer < d->hidden ? 2 : 1);
    for (int64_t l = 0; l < d->layers; l++)
        sum += numbers_of(net, d->layer[l].first, d->layer[l].end);
    return sum;
}
