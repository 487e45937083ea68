/* Networks of layers: dense, convolution, batch norm, pooling, dropout, sums of branches. */
#ifndef KD_MODEL_LAYERS_H
#define KD_MODEL_LAYERS_H

#include "core/model/model.h"
#include "nn/batch_norm.h"
#include "nn/conv.h"

enum {
    KD__DENSE,
    KD__CONV,
    KD__MAX_POOL,
    KD__MEAN_POOL,
    KD__BATCH_NORM,
    KD__ADD,
    KD__DROPOUT,
    KD__FLATTEN
};

typedef struct kd__layer {
    int32_t type, activation;
    char output[KD_NAME_BYTES]; /* "hidden.2", "logits", "" */
    char name[KD_NAME_BYTES];   /* by which a later layer finds it; "": none */
    int32_t shape_rank;         /* of the output without rows: 1 or 3 */
    int64_t shape[3];
    int64_t inputs, outputs; /* numbers a row */
    /* layers that it reads, -1: the network's input; `other` of KD__ADD alone */
    int64_t source, other;
    int64_t readers, reader; /* how many layers read it, and the last of these */
    /* 1: others than the next layer read it, so that its gradient has a place of its own */
    int32_t has_branches;
    kd__window window;
    int32_t counts_padding;  /* KD__MEAN_POOL */
    double dropout;          /* KD__DROPOUT */
    float epsilon, momentum; /* KD__BATCH_NORM */
    int32_t weight, bias;    /* tensors, -1: none */
    int32_t mean, variance;  /* running statistics, KD__BATCH_NORM */
    int64_t y, pre, places;  /* offsets (floats) in the activation block; -1: none */
    int64_t stats, gradient; /* of a batch norm's pass; of y, where several layers read it */
    int32_t has_gradient;    /* something is in there, in this backward pass */
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
    int32_t by_planes; /* 1: convolutions go by planes (nn/planes.h), 0: over patches (nn/conv.h) */
    float *block;      /* activations of max_rows rows */
    int64_t max_rows;
    /* offsets in the block; folded: weights and bias with a batch norm in them */
    int64_t gradient_a, gradient_b, scratch, folded;
    const float *input;
    float *input_copy;
    int64_t input_room;
} kd__layers;

static inline kd__layers *kd__layers_of(const kd__network *net) { return net->state; }

/* Reads a config of model_type "mlp" or "sequential". */
kd_status kd__layers_read(kd__network *net, kd_context *context, const kd__json *root);
/* Lays out activations for `rows`; the floats needed. */
kd_status kd__layers_plan(kd__network *net, int64_t rows, int32_t threads, int32_t frozen,
                          int64_t *floats);

/* ---- one layer's pass ---- */

/* Is this batch norm, in the coming evaluating pass, part of the weights of the layer before? */
int kd__layer_is_folded(const kd_model *model, int64_t number);
kd_status kd__layer_forward(kd_model *model, int64_t number);
/* dy (rows, outputs) is consumed; dx NULL: not wanted. */
kd_status kd__layer_backward(kd_model *model, int64_t number, float *dy, float *dx);

extern const kd__engine kd__layers_engine;

#endif
