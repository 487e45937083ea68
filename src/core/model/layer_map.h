/* Which layer of a larger model belongs to a layer of a smaller one: KD_LAYERS_UNIFORM .. of
 * <kdistill/model.h>. */
#ifndef KD_MODEL_LAYER_MAP_H
#define KD_MODEL_LAYER_MAP_H

#include <kdistill/model.h>

/* Of layer i of l among L layers, 1 <= l. */
static inline int64_t kd__mapped_layer(int32_t map, int64_t i, int64_t l, int64_t L)
{
    switch (map) {
    case KD_LAYERS_FIRST: return i;
    case KD_LAYERS_LAST: return L - l + i;
    case KD_LAYERS_BLOCKS: return (i + 1) * L / l - 1;
    default: return l > 1 ? (2 * i * (L - 1) + l - 1) / (2 * (l - 1)) : 0;
    }
}

#endif
