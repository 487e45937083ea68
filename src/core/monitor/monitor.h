/* Insides of monitors. */
#ifndef KD_TRAIN_MONITOR_H
#define KD_TRAIN_MONITOR_H

#include <kdistill/monitor.h>

#include "base/object.h"
#include "base/state.h"
#include "core/model/model.h"

struct kd_monitor {
    kd__object object;
    kd_model *model;
    kd_monitor_options options;
    double best;
    int64_t reports, best_report, bad; /* best_report -1: none yet */
    float *kept;                       /* the best parameters */
};

kd_status kd__monitor_save(kd_monitor *monitor, kd__text *state);
kd_status kd__monitor_restore_state(kd_monitor *monitor, kd__state_reader *reader, int apply);

#endif
