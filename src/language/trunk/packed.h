/* The matrices of a language model in few bits, for frozen models and for generating: all in 8, or
 * those of the layers in blocks of 4 and the head in 8. */
#ifndef KD_TRUNK_PACKED_H
#define KD_TRUNK_PACKED_H

#include "formats/blocks/blocks.h"
#include "language/trunk/trunk.h"
#include "math/int4.h"
#include "math/int8.h"

/* A matrix is one of both. */
typedef struct kd__packed_matrix {
    kd__int8 eight;
    kd__int4 four;
} kd__packed_matrix;

typedef struct kd__packed {
    kd_context *context;
    int32_t weights; /* KD_INT8, or the format of 4 bits */
    int64_t count;
    kd__packed_matrix *matrices; /* by tensor; empty where a tensor begins none */
    float *made; /* rows of a matrix as float32, of a model that trains (packed_train.c) */
    /* of packed_only: rows of an embedding that is not the head, else NULL */
    uint8_t *rows;
    int64_t row_bytes;
    const kd__block_format *format; /* of the rows */
    int32_t embedding;              /* its tensor */
} kd__packed;

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

/* Of the matrix that this tensor of a layer begins. */
int64_t kd__packed_outputs(const kd__trunk_config *config, const kd__trunk_layer *layer,
                           int32_t tensor);
int64_t kd__packed_inputs(const kd__trunk_config *config, const kd__trunk_layer *layer,
                          int32_t tensor);
/* Which product's inputs it is smoothed for; -1: for none. What enters o and down is loud where the
 * text says so. */
int kd__packed_smoothed_for(const kd__trunk_config *config, const kd__trunk_layer *layer,
                            int32_t tensor);

/* ---- packed_only ---- */

/* What rows of an embedding that is not the head are kept in. */
const kd__block_format *kd__packed_row_format(int32_t weights);
int64_t kd__packed_row_bytes(const kd__trunk_config *config, int32_t weights);

/* ---- packed_only that trains: its matrices with their adapters as float32, some rows at a time */

/* Numbers that are made at once, at most; floats of scratch of a product and its gradient. */
int64_t kd__packed_made_floats(const kd__trunk_config *config);
int64_t kd__packed_train_scratch(const kd_context *context, int64_t rows, int64_t inputs,
                                 int64_t outputs);
/* y (rows, outputs) = x W' of the matrix whose first tensor this is. */
kd_status kd__packed_linear(const kd_model *model, const kd__rows *rows, int32_t weight,
                            const float *x, int64_t inputs, int64_t outputs, float *y);
/* dx (rows, inputs) = dy W, or += */
kd_status kd__packed_input_gradient(const kd_model *model, const kd__rows *rows, int32_t weight,
                                    const float *dy, int64_t outputs, int64_t inputs, float *dx,
                                    int add);

#endif
