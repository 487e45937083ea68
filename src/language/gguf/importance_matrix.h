/* Importance of the inputs of a model's matrices: sums of squares, by tensor. */
#ifndef KD_GGUF_IMPORTANCE_MATRIX_H
#define KD_GGUF_IMPORTANCE_MATRIX_H

#include <kdistill/importance.h>

#include "base/object.h"
#include "language/gguf/gguf_model.h"

enum { KD__LAYER_MATRICES = 7 };

typedef struct kd__importance_entry {
    int32_t tensor; /* of the model; -1: none */
    int64_t width;  /* inputs */
    double *sums;   /* (width) */
    double count;   /* rows */
} kd__importance_entry;

struct kd_importance {
    kd__object object;
    kd_model *model;
    int64_t layers;
    kd__importance_entry *entries; /* (layers, KD__LAYER_MATRICES): q, k, v, o, gate, up, down */
    double *sums;                  /* of all entries */
    float *means;                  /* (the largest width) */
};

/* The entry of a layer's matrix of this model, or of one of the same shape; NULL: it has none. */
const kd__importance_entry *kd__importance_of(const kd_importance *importance,
                                              const kd__trunk_config *d, int32_t tensor);
/* Means of an entry, for the caller's `to` (width). */
void kd__importance_means(const kd__importance_entry *entry, float *to);
/* Whether this importance can be of such a model: KD_ERR_MISMATCH. */
kd_status kd__importance_check(const kd_importance *importance, const kd_model *model);

#endif
