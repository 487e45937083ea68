/* Numbers of a recipe that may change from step to step. */
#ifndef KD_TOOL_TRAIN_SCHEDULE_H
#define KD_TOOL_TRAIN_SCHEDULE_H

#include <kdistill.h>

#include "tool/keys.h"

/* What a recipe says of one: 0.1, or {"kind": "cosine", "from": 1e-3, "to": 1e-4, "warmup": 0.05}.
 * All zeros: it is not there. */
typedef struct schedule_plan {
    int32_t kind; /* 0: it is not there */
    int32_t reserved;
    int64_t steps, every, stable, decay; /* 0: the run's steps, 1, .. */
    double value, from, to, power, factor, floor;
    double warmup;      /* below 1: a share of the run's steps, else steps */
    const node *points; /* [[step, value], ..] */
    const node *plateau;
    kd_plateau_options plateau_options;
    double rate, momentum; /* TAID */
} schedule_plan;

#define SCHEDULE_TAID 10

/* Reads and checks one; values lie between low and high. 0: the problem says why. */
int schedule_read(problem *p, const char *where, const node *n, double low, double high,
                  schedule_plan *to);
/* Makes it for a run of so many steps. better: KD_BETTER_LOWER .., of the metric that a plateau
 * hears. */
kd_status schedule_create(kd_schedule **out, kd_context *context, const schedule_plan *plan,
                          int64_t steps, int32_t better);

#endif
