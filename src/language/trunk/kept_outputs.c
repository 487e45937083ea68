/* Outputs of layers that stay until the next pass: an evaluating pass writes each layer over the
 * one before it, and one that recomputes does so with queries, keys and values. What is asked for
 * is copied to a place of its own. */
#include <string.h>

#include "base/numbers.h"
#include "language/trunk/trunk.h"

/* ---- places ---- */

/* Numbers a row of an output's own place; 0: it has none. */
static int64_t own_width(const kd__trunk_plan *p, const kd__trunk_config *d, int32_t slot)
{
    const int32_t n = slot - kd__attention_slot(d, 0, 0);
    if (!p->kept.outputs || !p->kept.outputs[slot]) return 0;
    if (n < 0) return p->x_step ? 0 : d->hidden;
    /* an image's are one entry, whose rows lie one after the other */
    return kd__trunk_layer_stays(p, n / KD__ATTENTION_PARTS) && !d->patches.channels
               ? 0
               : kd__attention_width(d, n % KD__ATTENTION_PARTS);
}

static int64_t own_floats(const kd__trunk_plan *p, const kd__trunk_config *d, int32_t slot)
{
    return kd__round_up(p->rows * own_width(p, d, slot), 16);
}

void kd__trunk_place_outputs(kd__trunk_plan *p, const kd__trunk_config *d)
{
    p->outputs = p->floats;
    for (int32_t s = KD__SLOT_STREAM; s < kd__trunk_slots(d); s++) p->floats += own_floats(p, d, s);
}

int64_t kd__trunk_kept_at(const kd__trunk_plan *p, const kd__trunk_config *d, int32_t slot)
{
    int64_t at = p->outputs;
    if (!own_width(p, d, slot)) return -1;
    for (int32_t s = KD__SLOT_STREAM; s < slot; s++) at += own_floats(p, d, s);
    return at;
}

/* ---- how far a pass goes ---- */

/* Layers that an output needs. */
static int64_t layers_below(const kd__trunk_config *d, int32_t slot)
{
    const int32_t attention = slot - kd__attention_slot(d, 0, 0);
    if (slot < KD__SLOT_STREAM || slot >= kd__trunk_slots(d)) return d->layers;
    return attention < 0 ? slot - KD__SLOT_STREAM : attention / KD__ATTENTION_PARTS + 1;
}

int64_t kd__trunk_layers_wanted(const kd_model *model, kd__trunk_kept kept, int32_t train)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    int64_t layers = 0;
    if (train || !kept.outputs) return d->layers;
    for (int32_t s = 0; s < model->net.slots; s++)
        if (kept.outputs[s]) layers = kd__max(layers, layers_below(d, s));
    return layers;
}

/* ---- copies ---- */

typedef struct {
    const float *from;
    float *to;
    int64_t step, width; /* numbers from row to row of `from`; numbers of a row */
} copying;

static void copy_rows(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const copying *c = argument;
    (void)kernels;
    for (int64_t r = first; r < end; r++)
        memcpy(c->to + r * c->width, c->from + r * c->step, (size_t)c->width * sizeof *c->to);
}

static void keep(const kd_model *model, kd__trunk_pass *pass, int32_t slot, const float *from,
                 int64_t step, const kd__rows *rows)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const int64_t at = kd__trunk_kept_at(&pass->plan, d, slot);
    if (at < 0) return;
    const copying c = { from, pass->block + at, step, own_width(&pass->plan, d, slot) };
    kd__for_rows(rows, copy_rows, &c);
}

/* Place 0 is what enters layer 0. */
static void keep_stream(const kd_model *model, kd__trunk_pass *pass, int32_t place,
                        const kd__rows *rows)
{
    const int64_t d = kd__trunk_config_of(model)->hidden;
    const float *x = pass->block + pass->plan.x + place * pass->plan.x_step;
    keep(model, pass, KD__SLOT_STREAM + place, x, d, rows);
}

void kd__trunk_keep_embedding(const kd_model *model, kd__trunk_pass *pass, const kd__rows *rows)
{
    keep_stream(model, pass, 0, rows);
}

void kd__trunk_keep_layer(const kd_model *model, kd__trunk_pass *pass, int64_t layer,
                          const kd__rows *rows)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const float *qkv = pass->block + kd__trunk_at(&pass->plan, layer) + pass->plan.qkv;
    const int64_t all = kd__attention_offset(d, KD__VALUE) + kd__attention_width(d, KD__VALUE);
    for (int part = 0; part < KD__ATTENTION_PARTS; part++)
        keep(model, pass, kd__attention_slot(d, layer, part), qkv + kd__attention_offset(d, part),
             all, rows);
    keep_stream(model, pass, (int32_t)layer + 1, rows);
}
