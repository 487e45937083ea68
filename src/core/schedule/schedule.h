/* Insides of schedules. */
#ifndef KD_SCHEDULE_SCHEDULE_H
#define KD_SCHEDULE_SCHEDULE_H

#include <kdistill/schedule.h>

#include "base/object.h"
#include "base/state.h"

typedef struct kd__plateau {
    kd_plateau_options options;
    double best;
    int64_t reports, bad, good, cooldown, reductions; /* reports 0: no best yet */
} kd__plateau;

typedef struct kd__taid {
    kd_taid_options options;
    double t, momentum, before;
    int64_t reports;
} kd__taid;

struct kd_schedule {
    kd__object object;
    int32_t kind;
    double from, to, power;
    int64_t steps, warmup, stable;
    int64_t *points; /* piecewise: steps; sequence: starts */
    double *values;
    kd_schedule **parts;
    int32_t count;
    kd__plateau plateau;
    kd__taid taid;
};

kd_status kd__schedule_save(kd_schedule *schedule, kd__text *state);
kd_status kd__schedule_restore(kd_schedule *schedule, kd__state_reader *reader, int apply);

#endif
