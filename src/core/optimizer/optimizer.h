/* Insides of optimizers. */
#ifndef KD_OPTIMIZER_OPTIMIZER_H
#define KD_OPTIMIZER_OPTIMIZER_H

#include <kdistill/optimizer.h>

#include "base/object.h"
#include "base/state.h"
#include "core/loss/loss.h"
#include "core/model/model.h"

/* One named parameter, wherever it lies. */
typedef struct kd__parameter {
    char name[KD_NAME_BYTES];
    float *values, *gradients;
    int64_t count, rows; /* rows: units, for max-norm; 0 for rank below 2 */
    int64_t width;       /* numbers of a row; 1 for rank below 2 */
    int64_t offset;      /* in the state blocks */
    kd_model *model;     /* NULL: the host's array, or a loss's */
    int32_t tensor;
    int32_t grouped;
    int32_t passed;          /* the step that was begun has updated it, or left it alone */
    kd_group_options group;  /* when grouped */
    const uint64_t *touched; /* rows that may have gradients, a bit each; NULL: any */
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
    kd_loss **losses;
    int64_t loss_count, loss_room;
    kd__piece *pieces; /* made at the first step */
    int64_t piece_count, piece_room;
    double *partial;                 /* one sum of squares a piece */
    float *first, *second, *average; /* state; NULL: not used by the kind */
    uint16_t *half[2];               /* moments in bfloat16, in place of first and second */
    int32_t ready, swapped, last_skipped;
    int32_t begun, begun_bad; /* a step, at begun_rate; some gradients of it were not finite */
    double begun_rate;
    int64_t steps, skipped, clipped;
    double norm;
};

kd_status kd__optimizer_prepare(kd_optimizer *optimizer);
/* ---- lazy groups ---- */

/* Asks models which rows have gradients: before a step looks at any. */
void kd__optimizer_find_touched(kd_optimizer *optimizer);
/* The numbers *at .. *end - 1 of a piece that a step changes next, from *at on: all of them, or,
 * where the group is lazy, those of one row with a gradient. 0: no more. */
int kd__optimizer_next(const kd__parameter *p, const kd__piece *piece, int64_t *at, int64_t *end);

/* ---- moments in bfloat16 (half_moments.c) ---- */

void kd__half_widen(const uint16_t *from, int64_t n, float *to);
/* Of numbers `number`, `number` + 1, ...: rounded at random, the same for the same key and number. */
void kd__half_narrow(const float *from, int64_t n, uint32_t key, int64_t number, int second,
                     uint16_t *to);
uint32_t kd__half_key(int64_t step);

/* Forgets a step that was begun. */
void kd__optimizer_let_go(kd_optimizer *optimizer);
kd_status kd__optimizer_save(kd_optimizer *optimizer, kd__text *state);
kd_status kd__optimizer_restore(kd_optimizer *optimizer, kd__state_reader *reader, int apply);

#endif
