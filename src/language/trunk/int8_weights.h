/* The matrices of a language model as 8-bit numbers, for frozen teachers and for generating. */
#ifndef KD_TRUNK_INT8_WEIGHTS_H
#define KD_TRUNK_INT8_WEIGHTS_H

#include "math/int8.h"
#include "language/trunk/trunk.h"

typedef struct kd__int8_weights kd__int8_weights;

int64_t kd__int8_weights_bytes(const kd__trunk_config *decoder);
/* pass: what measures inputs goes through it; NULL: through one of its own. */
kd_status kd__int8_weights_make(kd__int8_weights **out, const kd_model *model,
                                kd__trunk_pass *pass);
void kd__int8_weights_free(kd__int8_weights *quantized);
/* The matrix whose first tensor this is: q, k and v are one, gate and up another. */
const kd__int8 *kd__int8_weights_find(const kd__int8_weights *quantized, int32_t tensor);

#endif
