/* ModernBERT [Warner et al. 2024]: norms before a layer's parts, gates of gelu, rotary positions,
 * most layers with a window on both sides and a base of their own. */
#ifndef KD_ENCODER_MODERNBERT_H
#define KD_ENCODER_MODERNBERT_H

#include "language/encoder/encoder.h"

extern const kd__config_keys kd__modernbert_keys;
/* Sizes and forms of the trunk; heads. */
kd_status kd__modernbert_read(kd__encoder *encoder, kd_context *context, const kd__json *root);
kd_status kd__modernbert_read_head(kd__encoder *encoder, const kd__json *root, int64_t labels);
/* Tensors of the trunk; prefix: before their names. */
kd_status kd__modernbert_tensors(kd__network *net, kd_context *context, kd__trunk_config *config,
                                 const char *prefix);

#endif
