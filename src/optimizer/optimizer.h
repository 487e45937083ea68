/* Insides of optimisers. */
#ifndef KD_OPTIMIZER_OPTIMIZER_H
#define KD_OPTIMIZER_OPTIMIZER_H

#include <kdistill/optimizer.h>

#include "base/state.h"
#include "model/model.h"

/* One named parameter, wherever it lies. */
typedef struct kd__parameter {
    char name[KD_MAX_NAME];
    float *values, *gradients;
    int64_t count, rows; /* rows: units, for max-norm; 0 for rank below 2 */
    int64_t offset;      /* in the state blocks */
    kd_model *model;     /* NULL: the host's array */
    int32_t tensor;
    int32_t grouped;
    int32_t passed;         /* the step that was begun has updated it, or left it alone */
    kd_group_options group; /* when grouped */
} kd__parameter;

/* A piece of a parameter that one tile of work updates. */
typedef struct kd__piece {
    int32_t parameter;
    int64_t first, count;
} kd__piece;

struct kd_optimizer {
    kd__object object;
    int32_t kind;
    kd_optimizer_options o;
    double gradient_scale;
    kd__parameter *parameters;
    int64_t count, room, total;
    kd_model **models;
    int64_t model_count, model_room;
    kd__piece *pieces; /* made at the first step */
    int64_t piece_count, piece_room;
    double *partial;                 /* one sum of squares a piece */
    float *first, *second, *average; /* state; NULL: not used by the kind */
    int32_t ready, swapped, last_skipped;
    int32_t begun, begun_bad; /* a step, at begun_rate; some gradients of it were not finite */
    double begun_rate;
    int64_t steps, skipped, clipped;
    double norm;
};

kd_status kd__optimizer_prepare(kd_optimizer *optimizer);
/* Forgets a step that was begun. */
void kd__optimizer_let_go(kd_optimizer *optimizer);
kd_status kd__optimizer_save(kd_optimizer *optimizer, kd__text *state);
kd_status kd__optimizer_restore(kd_optimizer *optimizer, kd__state_reader *reader, int apply);

#endif
