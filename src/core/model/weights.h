/* Weights on disk: safetensors, one file or shards. */
#ifndef KD_MODEL_WEIGHTS_H
#define KD_MODEL_WEIGHTS_H

#include "formats/formats.h"

#define KD__MOST_SHARDS 1000

typedef struct kd__weights {
    kd_context *context;
    kd__safetensors *files;
    int64_t count, tensors, bytes; /* files; tensors in all of them; their sizes */
} kd__weights;

/* model.safetensors, or the files that model.safetensors.index.json names. */
kd_status kd__weights_open(kd__weights *weights, kd_context *context, const char *folder);
void kd__weights_close(kd__weights *weights);
const kd_array *kd__weights_find(const kd__weights *weights, const char *name);

/* model.safetensors, or shards of at most `shard_bytes` (0: one file) with their index, which then
 * replace it. */
kd_status kd__weights_write(kd_context *context, const char *folder,
                            const kd__tensor_entry *entries, int64_t count, int32_t dtype,
                            int64_t shard_bytes);

#endif
