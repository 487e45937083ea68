/* What a head begins with: a dense layer of its own width, gelu and a norm. Legend: R rows of d
 * numbers.
 *
 *   g = x W' + b;  y = norm(gelu(g)) */
#ifndef KD_SENTENCE_TRANSFORM_H
#define KD_SENTENCE_TRANSFORM_H

#include "language/trunk/trunk.h"

typedef struct kd__transform {
    int32_t dense, dense_bias, norm; /* tensors; bias -1: none */
    /* of the last pass: g, gelu(g), y, its gradient, scratch, what the norm keeps */
    float *block;
    int64_t room, rows;
} kd__transform;

/* Tensors by what they are called before ".weight" and ".bias". */
kd_status kd__transform_tensors(kd__transform *transform, kd__network *net, kd_context *context,
                                const kd__trunk_config *config, const char *dense, const char *norm,
                                int32_t has_bias);
/* Gradients of 0, where no output uses the tensors. */
void kd__transform_clear(kd_model *model, const kd__transform *transform);
/* Floats of a block for so many rows. */
int64_t kd__transform_floats(const kd__trunk_config *config, int64_t rows);

kd_status kd__transform_forward(kd_model *model, kd__transform *transform, const float *x,
                                int64_t rows);
/* y (R, d), and a place for its gradient. */
float *kd__transform_output(const kd_model *model, const kd__transform *transform);
float *kd__transform_gradient(const kd_model *model, const kd__transform *transform);
/* d (R, d), the gradient of y, becomes that of x. Gradients of the tensors are added to. */
kd_status kd__transform_backward(kd_model *model, kd__transform *transform, const float *x,
                                 float *d);

#endif
