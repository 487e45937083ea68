/* The matrices of a language model as 8-bit numbers, for frozen teachers and for generating. */
#ifndef KD_MODEL_INT8_H
#define KD_MODEL_INT8_H

#include "math/int8.h"
#include "model/decoder.h"

typedef struct kd__int8_model kd__int8_model;

int64_t kd__int8_model_bytes(const kd__decoder *decoder);
kd_status kd__int8_model_make(kd__int8_model **out, kd_model *model);
void kd__int8_model_free(kd__int8_model *quantised);
/* The matrix whose first tensor this is: q, k and v are one, gate and up another. */
const kd__int8 *kd__int8_find(const kd__int8_model *quantised, int32_t tensor);

#endif
