/* Networks of layers: dense, convolution, pooling, dropout. */
#ifndef KD_MODEL_LAYERS_H
#define KD_MODEL_LAYERS_H

#include "core/model/model.h"
#include "nn/conv.h"

enum { KD__DENSE, KD__CONV, KD__MAX_POOL, KD__DROPOUT, KD__FLATTEN };

typedef struct kd__layer {
    int32_t type, activation;
    char output[KD_NAME_BYTES]; /* "hidden.2", "logits", "" */
    int32_t shape_rank;         /* of the output without rows: 1 or 3 */
    int64_t shape[3];
    int64_t inputs, outputs; /* numbers a row */
    kd__window window;
    double dropout;
    int32_t weight, bias;   /* tensors, -1: none */
    int64_t y, pre, places; /* offsets (floats) in the activation block; -1: none */
    /* gradient of a named output, (max_rows, outputs); made when first asked for */
    float *external;
    int64_t external_room;
    int32_t has_external;
} kd__layer;

typedef struct kd__layers {
    kd__layer *layer;
    int64_t count, room;
    int32_t input_rank;
    int64_t input_shape[3];
    float *block; /* activations of max_rows rows */
    int64_t max_rows;
    int64_t gradient_a, gradient_b, scratch; /* offsets in the block */
    const float *input;
    float *input_copy;
    int64_t input_room;
} kd__layers;

static inline kd__layers *kd__layers_of(const kd__network *net) { return net->state; }

/* Reads a config of model_type "mlp" or "sequential". */
kd_status kd__layers_read(kd__network *net, kd_context *context, const kd__json *root);
/* Lays out activations for `rows`; the floats needed. */
kd_status kd__layers_plan(kd__layers *layers, int64_t rows, int32_t frozen, int64_t *floats);

extern const kd__engine kd__layers_engine;

#endif
