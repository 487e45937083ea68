/* kdistill/monitor.h - early stopping, and keeping the best.   SPDX-License-Identifier: Apache-2.0 */
#ifndef KDISTILL_MONITOR_H
#define KDISTILL_MONITOR_H

#include <kdistill/model.h>
#include <kdistill/schedule.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_monitor kd_monitor;

typedef struct kd_monitor_options {
    uint32_t struct_size;
    int32_t better;     /* KD_LOWER_IS_BETTER or KD_HIGHER_IS_BETTER                */
    int32_t patience;   /* reports without improvement before stop is said; 0: never */
    int32_t keep_best;  /* 1: a copy of the best parameters is kept                  */
    double min_change;  /* an improvement is larger than this (absolute)             */
} kd_monitor_options;
#define KD_MONITOR_OPTIONS_INIT { (uint32_t)sizeof(kd_monitor_options), KD_HIGHER_IS_BETTER, 0, 1, 0.0 }
KD_API void kd_monitor_options_init(kd_monitor_options *options, size_t size);

/* Watches one metric of one model. */
KD_API kd_status kd_monitor_create(kd_monitor **out, kd_model *model, const kd_monitor_options *options);
KD_API void kd_monitor_free(kd_monitor *monitor);

#define KD_MONITOR_IMPROVED 1 /* bits of a verdict */
#define KD_MONITOR_STOP 2

/* Takes a metric; NaN and infinity never improve. *verdict (may be NULL): bits. */
KD_API kd_status kd_monitor_report(kd_monitor *monitor, double metric, int32_t *verdict);

/* The best metric and the report (from 0) that gave it. KD_ERR_STATE before the first improvement. */
KD_API kd_status kd_monitor_best(kd_monitor *monitor, double *metric, int64_t *report);

/* Puts the best parameters back into the model. KD_ERR_STATE without keep_best or before an improvement. */
KD_API kd_status kd_monitor_restore(kd_monitor *monitor);

#ifdef __cplusplus
}
#endif
#endif
