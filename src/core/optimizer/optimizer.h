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
    int64_t second;      /* in that of second moments; -1: it has none */
    int32_t rank, is_muon;
    kd_model *model; /* NULL: the host's array, or a loss's */
    int32_t tensor;
    int32_t grouped;
    int32_t passed;          /* the step that was begun has updated it, or left it alone */
    kd_group_options group;  /* when grouped */
    const uint64_t *touched; /* rows that may have gradients, a bit each; NULL: any */
} kd__parameter;

/* A piece of a parameter that one tile of work updates. */
typedef struct kd__piece {
    int32_t parameter;
    int32_t is_others; /* 1: another process has its state and updates it */
    int64_t first, count;
    int64_t state; /* where its numbers begin in the state blocks */
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
    int64_t state_count;  /* numbers of a state block: total, or those of the own pieces */
    int64_t second_total; /* of that of second moments: fewer where Muon takes matrices */
    float *muon;          /* scratch of its largest matrix */
    double *muon_sums;    /* of a matrix's pieces */
    int64_t muon_room, muon_pieces;
    int32_t is_shared; /* 1: an exchange takes its steps; pieces are whole rows where it matters */
    int32_t ready, swapped, last_skipped;
    int32_t begun, begun_bad; /* a step, at begun_rate; some gradients of it were not finite */
    kd_status begun_status;   /* of the updates within the pass */
    double begun_rate;
    int64_t steps, skipped, clipped;
    double norm;
};

kd_status kd__optimizer_prepare(kd_optimizer *optimizer);
/* Cuts the parameters into pieces. */
kd_status kd__optimizer_cut(kd_optimizer *optimizer);
/* Has it the state block: 0 first, 1 second moments, 2 average? */
int kd__optimizer_wants(const kd_optimizer *optimizer, int block);
/* ---- Muon (muon.c) ---- */

typedef struct kd__muon_step {
    float scale, clip, momentum;
    double rate, decay;
    int32_t nesterov;
    uint32_t key; /* of what rounds moments in 16 bits */
} kd__muon_step;

/* Whose step is Muon's: decided before the first one, with the scratch it takes. */
kd_status kd__muon_prepare(kd_optimizer *optimizer);
int kd__muon_takes(const kd_optimizer *optimizer, const kd__parameter *p);
/* May the parameter be put into this group? */
kd_status kd__muon_check(const kd_optimizer *optimizer, const kd__parameter *p,
                         const kd_group_options *group);
/* After an error the matrix is unchanged, its momentum is not. */
kd_status kd__muon_update(kd_optimizer *optimizer, const kd__parameter *p,
                          const kd__muon_step *step);

/* ---- lazy groups ---- */

/* Asks models which rows have gradients: before a step looks at any. */
void kd__optimizer_find_touched(kd_optimizer *optimizer);
/* The numbers *at .. *end - 1 of a piece that a step changes next, from *at on: all of them, or,
 * where the group is lazy, those of one row with a gradient. 0: no more. */
int kd__optimizer_next(const kd__parameter *p, const kd__piece *piece, int64_t *at, int64_t *end);

/* ---- moments in bfloat16 (half_moments.c) ---- */

void kd__half_widen(const uint16_t *from, int64_t n, float *to);
/* Of numbers `number`, `number` + 1, ...: rounded at random, the same for the same key and
 * number. */
void kd__half_narrow(const float *from, int64_t n, uint32_t key, int64_t number, int second,
                     uint16_t *to);
uint32_t kd__half_key(int64_t step);

/* ---- steps that several processes take together (shared_steps.c) ---- */

/* An exchange takes the steps from now on: pieces are made, cut where rows end if a row's numbers
 * belong together, and sources and groups are closed. */
kd_status kd__optimizer_begin_shared(kd_optimizer *optimizer);
void kd__optimizer_end_shared(kd_optimizer *optimizer);
/* State blocks of the pieces that are not another's alone, with what they hold now. After a failure
 * they are as before. */
kd_status kd__optimizer_keep_own(kd_optimizer *optimizer);
kd_status kd__optimizer_check(kd_optimizer *optimizer, double learning_rate);
/* Gradients that no backward pass wrote are 0. */
void kd__optimizer_zero_stale(kd_optimizer *optimizer);
/* Sums of squares of the pieces with owned[i] not 0 into optimizer->partial; 0: a gradient there is
 * not finite. */
int kd__optimizer_measure(kd_optimizer *optimizer, const uint8_t *owned);
/* Ends the step: an update of the own pieces with this sum of squares over all, or none. */
void kd__optimizer_finish(kd_optimizer *optimizer, double learning_rate, int finite, double sum);
/* The values that such a step without clipping by the norm will give a piece with these gradients;
 * nothing is changed. scratch: twice the piece's numbers. */
void kd__optimizer_foresee(kd_optimizer *optimizer, double learning_rate, int64_t piece,
                           float *values, float *scratch);
int kd__optimizer_can_foresee(const kd_optimizer *optimizer);
/* Gradients count as zero, whatever they are. */
void kd__optimizer_forget(kd_optimizer *optimizer);
int kd__parameter_is_frozen(const kd__parameter *p);
/* The same for the average alone of the own pieces. */
void kd__optimizer_swap_own(kd_optimizer *optimizer);

/* Forgets a step that was begun. */
void kd__optimizer_let_go(kd_optimizer *optimizer);
kd_status kd__optimizer_save(kd_optimizer *optimizer, kd__text *state);
/* Kind, steps and numbers alone, without the state's blocks. */
kd_status kd__optimizer_save_numbers(kd_optimizer *optimizer, kd__text *state);
kd_status kd__optimizer_restore_numbers(kd_optimizer *optimizer, kd__state_reader *reader,
                                        int64_t *is_ready, int apply);
kd_status kd__optimizer_restore(kd_optimizer *optimizer, kd__state_reader *reader, int apply);

#endif
