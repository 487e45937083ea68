/* Reading configs of networks of layers: keys of an object, layers one after the other. */
#ifndef KD_MODEL_LAYERS_CONFIG_H
#define KD_MODEL_LAYERS_CONFIG_H

#include "core/model/layers.h"

#define KD__MAX_WIDTH ((int64_t)1 << 31)

/* ---- keys ---- */

/* KD_ERR_CONFIG names a key that is not in `known` (NULL after the last). */
kd_status kd__layer_keys(const kd__json *object, const char *const *known, const char *where);
/* fallback below low: the key must be there. */
kd_status kd__layer_integer(const kd__json *object, const char *key, int64_t low, int64_t fallback,
                            int64_t *value);
/* From 0 to below 1, 0 where the key is missing. */
kd_status kd__layer_probability(const kd__json *object, const char *key, double *value);
kd_status kd__layer_activation(const kd__json *object, const char *key, int32_t fallback,
                               int32_t *kind);

/* ---- layers ---- */

/* A layer on top of the others; it changes nothing yet. */
kd_status kd__layer_add(kd__network *net, kd_context *context, int32_t type, kd__layer **out);
/* The tensor "layers.NUMBER.KIND". */
kd_status kd__layer_tensor(kd__network *net, kd_context *context, int64_t number, const char *kind,
                           int32_t rank, const int64_t *dims, int32_t *index);
/* A layer that was added becomes a dense one. */
kd_status kd__layer_make_dense(kd__network *net, kd_context *context, kd__layer *layer,
                               int64_t number, int64_t units, int32_t activation, int32_t has_bias);
/* One layer of a "sequential" network, `number` of the list. */
kd_status kd__layer_read(kd__network *net, kd_context *context, const kd__json *node,
                         int64_t number);

#endif
