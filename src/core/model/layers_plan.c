/* Networks of layers: places of activations and scratch in one block. */
#include "base/numbers.h"
#include "core/model/layers.h"
#include "nn/activation.h"
#include "nn/planes.h"

/* Places one after the other, each on a 64-byte line. */
static kd_status take(int64_t *floats, int64_t rows, int64_t width, int64_t *offset)
{
    int64_t need;
    KD_TRY(kd__multiply(rows, width, &need));
    *offset = *floats;
    KD_FAIL_IF(need > ((int64_t)1 << 44) || *floats > ((int64_t)1 << 44), KD_ERR_RANGE,
               "the activations need more than 2^46 bytes");
    *floats += kd__round_up(need, 16);
    return KD_OK;
}

static kd_status scratch_of(const kd__layers *s, const kd__layer *layer, int64_t rows,
                            int32_t threads, int32_t frozen, int64_t *floats)
{
    *floats = 0;
    if (layer->type != KD__CONV) return KD_OK;
    if (s->by_planes) return kd__planes_scratch(&layer->window, rows, threads, !frozen, floats);
    *floats = kd__conv_scratch(&layer->window, rows);
    return KD_OK;
}

/* What a layer keeps of a pass. */
static kd_status take_layer(kd__layer *layer, int64_t rows, int32_t frozen, int64_t *floats)
{
    KD_TRY(take(floats, rows, layer->outputs, &layer->y));
    if (!frozen && kd__activation_keeps_input(layer->activation))
        KD_TRY(take(floats, rows, layer->outputs, &layer->pre));
    if (layer->type == KD__MAX_POOL) KD_TRY(take(floats, rows, layer->outputs, &layer->places));
    if (frozen) return KD_OK;
    if (layer->type == KD__BATCH_NORM) KD_TRY(take(floats, 2, layer->shape[0], &layer->stats));
    return layer->has_branches ? take(floats, rows, layer->outputs, &layer->gradient) : KD_OK;
}

kd_status kd__layers_plan(kd__network *net, int64_t rows, int32_t threads, int32_t frozen,
                          int64_t *floats)
{
    kd__layers *s = kd__layers_of(net);
    int64_t widest = 0, most_scratch = 0, most_folded = 0;
    *floats = 0;
    for (int64_t i = 0; i < s->count; i++) {
        kd__layer *layer = &s->layer[i];
        const int64_t before = layer->type == KD__BATCH_NORM ? layer->source : -1;
        int64_t scratch;
        KD_TRY(scratch_of(s, layer, rows, threads, frozen, &scratch));
        KD_TRY(take_layer(layer, rows, frozen, floats));
        most_scratch = kd__max(most_scratch, scratch);
        widest = kd__max(widest, layer->outputs);
        if (before >= 0 && s->layer[before].weight >= 0)
            most_folded =
                kd__max(most_folded, net->tensors[s->layer[before].weight].count + layer->shape[0]);
    }
    KD_TRY(take(floats, frozen ? 0 : rows, widest, &s->gradient_a));
    KD_TRY(take(floats, frozen ? 0 : rows, widest, &s->gradient_b));
    KD_TRY(take(floats, 1, most_folded, &s->folded));
    return take(floats, 1, most_scratch, &s->scratch);
}
