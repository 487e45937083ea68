/* The matrices of a language model in few bits, for frozen models and for generating: all in 8, or
 * those of the layers in blocks of 4 and the head in 8. */
#ifndef KD_TRUNK_PACKED_H
#define KD_TRUNK_PACKED_H

#include "language/trunk/trunk.h"

typedef struct kd__packed kd__packed;

/* Are there products of these weights, as an option names them? */
int kd__packed_has(int32_t weights);
/* Does packing measure inputs first (smooth.h)? */
int kd__packed_measures(const kd__trunk_config *config, int32_t weights);
int64_t kd__packed_bytes(const kd__trunk_config *config, int32_t weights);
/* pass: what measures inputs goes through it; NULL: through one of its own. KD_ERR_RANGE: a matrix
 * has numbers that blocks of 4 bits do not have. */
kd_status kd__packed_make(kd__packed **out, const kd_model *model, int32_t weights,
                          kd__trunk_pass *pass);
void kd__packed_free(kd__packed *packed);
int32_t kd__packed_weights(const kd__packed *packed);
/* Floats of scratch that a product of a layer takes. */
int64_t kd__packed_scratch(const kd_context *context, int32_t weights, int64_t rows,
                           int64_t inputs);
/* y (rows, outputs) = x W' of the matrix whose first tensor this is: q, k and v are one, gate and
 * up another. */
kd_status kd__packed_product(const kd__packed *packed, int32_t tensor, const float *x, int64_t rows,
                             float *y);

#endif
