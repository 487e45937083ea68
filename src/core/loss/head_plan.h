/* How many rows of a head's logits are held at once. */
#ifndef KD_LOSS_HEAD_PLAN_H
#define KD_LOSS_HEAD_PLAN_H

#include "core/loss/loss.h"

typedef struct kd__head_plan {
    int64_t block, bytes;
    int64_t covered; /* bytes with the threads that the limit covers */
} kd__head_plan;

/* What a call has to hold. */
typedef struct kd__head_sizes {
    int64_t rows, floats_a_row; /* logits held for one row */
    int64_t widest, hidden;     /* classes, hidden states: of the wider side */
    int64_t skipped;            /* classes of a head whose small cells are skipped, or 0 */
    int64_t wide;               /* floats of a thread's arrays of doubles */
} kd__head_sizes;

/* Rows of a block depend on the sizes and the limit alone. */
kd__head_plan kd__head_plan_make(int64_t limit, const kd__head_sizes *sizes, int32_t threads);
/* Floats of a thread's arrays of doubles that some kinds keep for all classes. */
int64_t kd__wide_floats(const kd_loss *loss, int64_t classes);

#endif
