/* Low-rank adapters of a language model's matrices. */
#ifndef KD_MODEL_LORA_H
#define KD_MODEL_LORA_H

#include "model/model.h"

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

/* Effective weights of the parameters of now: before a pass, a save, a generator. KD_OK without adapters. */
kd_status kd__lora_refresh(kd_model *model);
/* Gradients of A and B from those of the matrices among tensors first .. end - 1. */
kd_status kd__lora_gradients(kd_model *model, int64_t first, int64_t end);
void kd__lora_free(kd_model *model);

#endif
