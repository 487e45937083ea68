/* Weights on disk: safetensors, one file or shards. */
#ifndef KD_MODEL_WEIGHTS_H
#define KD_MODEL_WEIGHTS_H

#include "base/formats.h"

typedef struct kd__weights {
    kd_context *context;
    kd__safetensors *files;
    int64_t count, tensors, bytes; /* files; tensors in all of them; their sizes */
} kd__weights;

/* model.safetensors, or the files that model.safetensors.index.json names. */
kd_status kd__weights_open(kd__weights *weights, kd_context *context, const char *folder);
void kd__weights_close(kd__weights *weights);
const kd_array *kd__weights_find(const kd__weights *weights, const char *name);

#endif
