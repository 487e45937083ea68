/* Parameters of a loss: named tensors over one flat block, gradients beside it; projections. */
#ifndef KD_LOSS_PARAMETERS_H
#define KD_LOSS_PARAMETERS_H

#include <kdistill/feature.h>

#include "base/state.h"
#include "core/model/model.h"

typedef struct kd__parameters {
    kd__tensor *tensors;
    int64_t count, room, total;
    float *values, *gradients;
    float *fresh; /* gradients of the call at hand: they count when it has succeeded */
} kd__parameters;

/* Places of a projection's tensors; those that its kind has not are -1. */
enum { KD__WEIGHT, KD__BIAS, KD__SECOND_WEIGHT, KD__SECOND_BIAS, KD__PROJECTION_TENSORS };

typedef struct kd__projection {
    char name[KD_NAME_BYTES];
    int32_t kind, start;
    int32_t term;     /* the first that has it */
    int64_t from, to; /* 0: open */
    int32_t made;     /* 1: its tensors are there */
    int32_t tensor[KD__PROJECTION_TENSORS];
} kd__projection;

/* A tensor that is asked for. */
typedef struct kd__tensor_form {
    char name[KD_NAME_BYTES];
    int32_t rank;
    int64_t dims[2];
} kd__tensor_form;

/* Numbers between the layers of an MLP. */
static inline int64_t kd__projection_hidden(const kd__projection *p)
{
    return p->kind == KD_PROJECTION_MLP ? 2 * p->from : 0;
}

/* All of these tensors, zero, or none; *first is the number of the first one. */
kd_status kd__parameters_add(kd_loss *loss, const kd__tensor_form *forms, int32_t count,
                             int32_t *first);
/* Tensors from number `first` on, which were just added, are gone again. */
void kd__parameters_drop(kd_loss *loss, int32_t first);
void kd__parameters_free(kd_loss *loss);
/* KD_ERR_STATE: not all are there yet. */
kd_status kd__parameters_check(const kd_loss *loss);
/* Before a call's rows, and when all of it has succeeded. */
void kd__parameters_begin(kd_loss *loss);
void kd__parameters_commit(kd_loss *loss);

kd_status kd__parameters_save(const kd_loss *loss, kd__text *state);
kd_status kd__parameters_restore(kd_loss *loss, kd__state_reader *reader, int apply);

/* The projection of a term, or NULL. */
kd__projection *kd__projection_of(kd_loss *loss, int32_t term);
/* Open widths take these, and its tensors are made; `to` 0: not told, its own holds. A width that
 * is fixed must agree. */
kd_status kd__projection_fix(kd_loss *loss, int32_t term, int64_t from, int64_t to);
/* Open widths take those of tensors that a file has; `shape` 0: it has none of this name. */
typedef int kd__shape_of(const void *file, const char *name, int64_t dims[2]);
kd_status kd__projections_adopt(kd_loss *loss, kd__shape_of *shape, const void *file);
/* Makes the variance of a term, `width` numbers. */
kd_status kd__variance_fix(kd_loss *loss, int32_t term, int64_t width);
/* Rows (columns) of W orthonormal, by Newton and Schulz's iteration. */
kd_status kd__make_orthogonal(kd_context *context, float *w, int64_t to, int64_t from);
/* All ORTHOGONAL ones, when a pass begins. */
kd_status kd__projections_retract(kd_loss *loss);

#endif
