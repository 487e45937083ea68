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
    float *effective; /* the parameters as passes see them: W + scale B A */
} kd__lora;

/* Effective weights of the parameters of now: before a pass, a save, a generator. KD_OK without
 * adapters. */
kd_status kd__lora_refresh(kd_model *model);
/* Gradients of A and B from those of the matrices among tensors first .. end - 1. */
kd_status kd__lora_gradients(kd_model *model, int64_t first, int64_t end);
/* Frozen matrices get no gradient, unless an adapter hangs on it; a product of `count` weights of
 * several tensors is made when one of them wants its part. */
int kd__lora_wants(const kd_model *model, int32_t weight, int64_t count);
void kd__lora_free(kd__lora *lora, kd_context *context);

#endif
