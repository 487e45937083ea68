/* Low-rank adapters of a language model's matrices. */
#ifndef KD_TRUNK_LORA_H
#define KD_TRUNK_LORA_H

#include "language/trunk/trunk.h"

typedef struct kd__adapter {
    int32_t matrix, a, b; /* tensors: W (out, in), A (rank, in), B (out, rank) */
    int64_t rank;
    double scale; /* alpha / rank */
} kd__adapter;

typedef struct kd__lora {
    kd__adapter *adapters;
    int64_t count, room;
    /* the parameters as passes see them: W + scale B A; NULL: packed, made when they are needed */
    float *effective;
    float *low; /* (rows, rank): of packed products' gradients */
    int64_t low_room;
} kd__lora;

/* Of a matrix; NULL: it has none. */
const kd__adapter *kd__lora_of_tensor(const kd__lora *lora, int32_t tensor);
/* Effective weights of the parameters of now: before a pass, a save, a generator. KD_OK without
 * adapters. */
kd_status kd__lora_refresh(kd_model *model);
/* Gradients of A and B from those of the matrices among tensors first .. end - 1. */
kd_status kd__lora_gradients(kd_model *model, int64_t first, int64_t end);
/* Frozen matrices get no gradient, unless an adapter hangs on it; a product of `count` weights of
 * several tensors is made when one of them wants its part. */
int kd__lora_wants(const kd_model *model, int32_t weight, int64_t count);

/* ---- adding: lora_add.c ---- */

/* Can this model be given adapters now? The message says what is in the way. */
kd_status kd__lora_check(const kd_model *model);
/* A matrix that may have an adapter. */
int kd__lora_takes(const kd_model *model, int64_t tensor);
/* Gives adapters `first` .. their numbers. */
typedef void kd__lora_fill(kd_model *model, int64_t first, const void *argument);
/* Adapters of these matrices, ranks and scales. After a failure the model has what it had. */
kd_status kd__lora_add(kd_model *model, const kd__adapter *wanted, int64_t count,
                       kd__lora_fill *fill, const void *argument);

/* ---- of matrices that are packed alone: `matrix` is the first tensor of one ---- */

/* w (rows, in), rows `first` .. of the matrix: += scale B A of its tensors' adapters. */
kd_status kd__lora_add_rows(const kd_model *model, int32_t matrix, int64_t first, int64_t rows,
                            float *w);
/* y (rows, outputs) += scale (x A') B', by the library's own products; low (rows, rank), of
 * kd__lora_rank. */
kd_status kd__lora_add_product(const kd_model *model, const kd__rows *rows, int32_t matrix,
                               const float *x, int64_t inputs, int64_t outputs, float *low,
                               float *y);
/* The largest; 0: no adapters. */
int64_t kd__lora_rank(const kd_model *model);
/* dB = or += scale dy' (x A'),  dA = or += scale (dy B)' x */
kd_status kd__lora_weight_gradient(kd_model *model, const kd__rows *rows, int32_t matrix,
                                   const float *x, int64_t inputs, const float *dy, int64_t outputs,
                                   int add);
/* Its adapter's gradients become 0; without one nothing is done. */
void kd__lora_clear(kd_model *model, int32_t tensor);
/* The engine's save_packed: the adapters as a folder of PEFT. */
kd_status kd__lora_save(kd_model *model, const char *folder, const kd_model_save_options *options);
void kd__lora_free(kd__lora *lora, kd_context *context);

#endif
