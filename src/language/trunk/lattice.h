/* Matrices that passes see as points of a block format. */
#ifndef KD_TRUNK_LATTICE_H
#define KD_TRUNK_LATTICE_H

#include <kdistill/lattice.h>

#include "formats/blocks/blocks.h"
#include "language/trunk/trunk.h"

typedef struct kd__lattice_matrix {
    int32_t tensor;
    const kd__block_format *format;
    int32_t every;      /* optimizer steps from one search for scales to the next */
    int64_t searched;   /* the step of the last one; -1: none yet */
    int64_t codes_from; /* where its blocks begin, row by row as the tensor has them */
} kd__lattice_matrix;

typedef struct kd__lattice {
    kd__lattice_matrix *matrices;
    int64_t count, room;
    uint8_t *codes; /* the blocks that passes see */
    int64_t bytes;
    uint8_t *before;  /* those at the last kd_model_get_lattice_info; NULL: none */
    float *effective; /* the parameters as passes see them */
    int64_t steps;    /* of optimizers, as far as backward passes tell */
    int32_t trained;  /* 1: a backward pass came since the last step */
} kd__lattice;

void kd__lattice_free(kd__lattice *lattice, kd_context *context);
/* Points of the parameters of now: before a pass, a save, a generator. */
kd_status kd__lattice_refresh(kd_model *model);
/* No gradient for numbers that are clipped, of the matrices among tensors first .. end - 1. */
void kd__lattice_gradients(kd_model *model, int64_t first, int64_t end);
/* NULL: the tensor is on no lattice. */
const kd__lattice_matrix *kd__lattice_find(const kd_model *model, int32_t tensor);

#endif
