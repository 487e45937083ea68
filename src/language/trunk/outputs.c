/* What a trunk gives out, and gradients that come back. */
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "language/trunk/trunk.h"
#include "language/trunk/packed.h"
#include "language/trunk/lora.h"
#include "nn/linear.h"
#include "nn/residual.h"

/* ---- names ---- */

static const char *const parts[KD__ATTENTION_PARTS] = { "query", "key", "value" };

/* The layer and part of an attention's slot; 0: it is none. */
static int is_attention(const kd__trunk_config *d, int32_t slot, int64_t *layer, int *part)
{
    const int32_t n = slot - kd__attention_slot(d, 0, 0);
    *layer = n / KD__ATTENTION_PARTS;
    *part = n % KD__ATTENTION_PARTS;
    return n >= 0;
}

static int64_t width_of(const kd__trunk_config *d, int32_t slot)
{
    int64_t layer;
    int part;
    if (slot == KD__SLOT_HIDDEN) return d->outer;
    if (slot == KD__SLOT_LOGITS) return d->classes;
    return is_attention(d, slot, &layer, &part) ? kd__attention_width(d, part) : d->hidden;
}

static void name_slot(const kd__trunk_config *d, int32_t slot, char *to, size_t room)
{
    const int32_t layer = slot - KD__SLOT_STREAM - 1;
    int64_t at;
    int part;
    if (slot == KD__SLOT_HIDDEN) snprintf(to, room, "hidden");
    else if (slot == KD__SLOT_LOGITS) snprintf(to, room, "%s", d->head < 0 ? "" : "logits");
    else if (layer < 0) snprintf(to, room, "hidden.embedding");
    else if (is_attention(d, slot, &at, &part))
        snprintf(to, room, "attention.%lld.%s", (long long)at, parts[part]);
    else snprintf(to, room, "hidden.%d", layer);
}

/* Of queries, keys and values; of other slots nothing. */
static kd__attention_facts attention_of(const kd__trunk_config *d, int32_t slot)
{
    kd__attention_facts facts = { 0 };
    int64_t layer;
    int part;
    if (!is_attention(d, slot, &layer, &part)) return facts;
    facts.heads = (int32_t)(part == KD__QUERY ? d->heads : d->kv_heads);
    facts.sees = d->both_sides ? KD__SEES_ALL : KD__SEES_EARLIER;
    return facts;
}

int kd__trunk_describe(const kd__network *net, int32_t slot, kd__output_facts *facts)
{
    const kd__trunk_config *d = &((const kd__trunk *)net->state)->config;
    memset(facts, 0, sizeof *facts);
    if (slot >= kd__trunk_slots(d)) return 0;
    name_slot(d, slot, facts->name, sizeof facts->name);
    facts->width = width_of(d, slot);
    facts->is_kept = *facts->name && slot < KD__SLOT_STREAM;
    facts->attention = attention_of(d, slot);
    if (!d->patches.channels) return 1;
    facts->width *= kd__trunk_image_rows(d);
    facts->entry_rows = kd__trunk_image_rows(d);
    facts->unit = KD_UNIT_OF_SAMPLE;
    return 1;
}

/* ---- values ---- */

/* (R, width), or of images (S, T, width). */
static void view(const kd_model *model, kd_array *values, float *data, int64_t width)
{
    const kd__trunk_pass *pass = &kd__trunk_of(model)->pass;
    const int64_t each =
        kd__trunk_image_rows(kd__trunk_config_of(model)) ? kd__patches_rows(&pass->patches) : 0;
    const int64_t rows[2] = { model->rows, width },
                  grid[3] = { each ? model->rows / each : 0, each, width };
    kd__array_view(values, data, KD_FLOAT32, each ? 3 : 2, each ? grid : rows);
}

/* The whole logits: (R, V) numbers, made when asked for. Losses never ask: they go through the head
 * in blocks. */
static kd_status make_logits(kd_model *model, const float *states)
{
    kd__trunk *s = kd__trunk_of(model);
    const kd__trunk_config *d = &s->config;
    const kd__rows rows = { model->object.context, model->rows };
    if (s->logits_known) return KD_OK;
    KD_TRY(KD_RESERVE(rows.context, &s->logits, &s->logits_room, rows.count * d->classes));
    KD_TRY(kd__trunk_trains_packed(model, d->head)
               ? kd__packed_linear(model, &rows, d->head, states, d->outer, d->classes, s->logits)
           : s->packed ? kd__packed_product(s->packed, d->head, states, rows.count, s->logits)
                       : kd__linear(&rows, states, d->outer, kd__tensor_values(model, d->head),
                                    d->classes, s->logits));
    kd__bias(&rows, s->logits, kd__tensor_values(model, d->head_bias), d->classes);
    s->logits_known = 1;
    return KD_OK;
}

kd_status kd__trunk_logits(kd_model *model, const float *states, kd_array *values)
{
    const kd__trunk *s = kd__trunk_of(model);
    KD_TRY(make_logits(model, states));
    view(model, values, s->logits, s->config.classes);
    return KD_OK;
}

/* Queries, keys or values of a layer: where they were made. */
static kd_status attention_output(kd_model *model, int64_t layer, int part, kd_array *values)
{
    const kd__trunk *s = kd__trunk_of(model);
    const kd__trunk_config *d = &s->config;
    const kd__trunk_plan *p = &s->pass.plan;
    KD_FAIL_IF(!kd__trunk_layer_stays(p, layer) || d->patches.channels, KD_ERR_NOT_FOUND,
               "output 'attention.%lld.%s': %s: "
               "kd_model_keep or kd_loss_keep_outputs before the pass keeps them",
               (long long)layer, parts[part],
               d->patches.channels ? "an image's are kept when they are asked for"
                                   : "the backward pass makes the layer's values again");
    float *qkv = s->pass.block + kd__trunk_at(p, layer) + p->qkv;
    view(model, values, qkv + kd__attention_offset(d, part), kd__attention_width(d, part));
    values->strides[0] = kd__attention_offset(d, KD__VALUE) + kd__attention_width(d, KD__VALUE);
    return KD_OK;
}

/* From KD__SLOT_STREAM on: in a place of its own, or where a training pass keeps it anyway. */
static kd_status layer_output(kd_model *model, int32_t slot, kd_array *values)
{
    const kd__trunk *s = kd__trunk_of(model);
    const kd__trunk_plan *p = &s->pass.plan;
    const int64_t at = kd__trunk_kept_at(p, &s->config, slot);
    int64_t layer;
    int part;
    if (at < 0 && is_attention(&s->config, slot, &layer, &part))
        return attention_output(model, layer, part, values);
    const int64_t x = p->x + (slot - KD__SLOT_STREAM) * p->x_step;
    view(model, values, s->pass.block + (at < 0 ? x : at), width_of(&s->config, slot));
    return KD_OK;
}

kd_status kd__trunk_output(kd_model *model, int32_t slot, kd_array *values)
{
    const kd__trunk *s = kd__trunk_of(model);
    if (slot >= KD__SLOT_STREAM) return layer_output(model, slot, values);
    float *hidden = s->pass.block + s->pass.plan.hidden;
    if (slot == KD__SLOT_LOGITS) return kd__trunk_logits(model, hidden, values);
    view(model, values, hidden, s->config.outer);
    return KD_OK;
}

/* ---- gradients ---- */

/* The gradient's block and its flag; width: of a row. */
static void place_of(kd__trunk *s, int32_t slot, float ***block, int64_t **room, int32_t **has,
                     int64_t *width)
{
    kd__outside *o = &s->outside;
    const int32_t l = slot - KD__SLOT_STREAM;
    const int hidden = slot == KD__SLOT_HIDDEN, logits = slot == KD__SLOT_LOGITS;
    *block = hidden ? &o->dhidden : logits ? &o->dlogits : &o->dlayers[l];
    *room = hidden ? &o->dhidden_room : logits ? &o->dlogits_room : &o->dlayers_room[l];
    *has = hidden ? &o->has_dhidden : logits ? &o->has_dlogits : &o->has_dlayer[l];
    *width = width_of(&s->config, slot);
}

kd_status kd__trunk_gradient(kd_model *model, int32_t slot, float **to, int32_t *add)
{
    kd__trunk *s = kd__trunk_of(model);
    float **block;
    int64_t *room, width;
    int32_t *has;
    place_of(s, slot, &block, &room, &has, &width);
    KD_TRY(KD_RESERVE(model->object.context, block, room, s->pass.plan.rows * width));
    *to = *block;
    *add = *has;
    *has = 1;
    return KD_OK;
}

const float *kd__trunk_outside(const kd__outside *outside, int32_t slot)
{
    const int32_t i = slot - KD__SLOT_STREAM;
    return outside->has_dlayer[i] ? outside->dlayers[i] : NULL;
}

void kd__trunk_forget_gradients(kd_model *model)
{
    kd__trunk *s = kd__trunk_of(model);
    kd__outside *o = &s->outside;
    o->has_dhidden = o->has_dlogits = o->head_written = 0;
    memset(o->has_dlayer, 0,
           (size_t)(kd__trunk_slots(&s->config) - KD__SLOT_STREAM) * sizeof *o->has_dlayer);
}

kd_status kd__trunk_sequences(kd_model *model, int32_t slot, int64_t *count,
                              const int64_t **offsets)
{
    const kd__trunk_pass *pass = &kd__trunk_of(model)->pass;
    (void)slot;
    *count = pass->sequences;
    *offsets = pass->offsets;
    return KD_OK;
}

/* ---- the head ---- */

/* One of the head's tensors; *slope NULL: it wants no gradient. */
static void view_part(kd_model *model, int32_t index, int gradient, kd_array *value,
                      kd_array *slope_view, const kd_array **slope)
{
    const kd__tensor *t = &model->net.tensors[index];
    if (t->is_packed) {
        if (gradient && model->gradients_fresh && !kd__trunk_of(model)->outside.head_written)
            kd__lora_clear(model, index);
        return;
    }
    kd__array_view(value, kd__tensor_values(model, index), KD_FLOAT32, t->rank, t->dims);
    if (!gradient || !kd__lora_wants(model, index, t->count)) return;
    if (model->gradients_fresh && !kd__trunk_of(model)->outside.head_written)
        memset(kd__tensor_gradient(model, index), 0, (size_t)t->count * sizeof(float));
    kd__array_view(slope_view, kd__tensor_gradient(model, index), KD_FLOAT32, t->rank, t->dims);
    *slope = slope_view;
}

void kd__trunk_view_head(kd_model *model, kd_head *head, int gradient)
{
    kd__trunk *s = kd__trunk_of(model);
    const kd__trunk_config *d = &s->config;
    view_part(model, d->head, gradient, &s->head_view, &s->head_gradient, &head->weight_gradient);
    head->weight = &s->head_view;
    if (d->head_bias >= 0) {
        view_part(model, d->head_bias, gradient, &s->bias_view, &s->bias_gradient,
                  &head->bias_gradient);
        head->bias = &s->bias_view;
    }
    if (gradient) s->outside.head_written = 1;
}

int kd__trunk_has_head_values(const kd_model *model)
{
    const int32_t head = kd__trunk_config_of(model)->head;
    return head < 0 || !model->net.tensors[head].is_packed;
}

int32_t kd__trunk_head(kd_model *model, int32_t slot, int gradient, kd_head *head)
{
    if (slot != KD__SLOT_LOGITS || !kd__trunk_has_head_values(model)) return -1;
    kd__trunk_view_head(model, head, gradient);
    return KD__SLOT_HIDDEN;
}
