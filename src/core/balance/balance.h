/* Insides of balances. */
#ifndef KD_BALANCE_BALANCE_H
#define KD_BALANCE_BALANCE_H

#include <kdistill/balance.h>

#include "base/object.h"
#include "base/state.h"

/* What was reported of a task; in checkpoints as it stands here. */
typedef struct kd__task {
    double sum, count;             /* of reports, each times decay^(how many came after it) */
    double epoch_sum, epoch_count; /* since the last end of an epoch */
    double last, before;           /* means of two epochs; -1: none yet */
} kd__task;

struct kd_balance {
    kd__object object;
    int32_t kind, tasks;
    double decay, temperature, max_ratio;
    double *importance; /* (tasks) */
    kd__task *task;     /* (tasks) */
};

kd_status kd__balance_save(kd_balance *balance, kd__text *state);
kd_status kd__balance_restore(kd_balance *balance, kd__state_reader *reader, int apply);

#endif
