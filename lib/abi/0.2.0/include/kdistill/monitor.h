/* kdistill/monitor.h - early stopping, and keeping the best parameters.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_monitor_create(&monitor, student, &options);         options.patience = 5
 *   2.  kd_monitor_report(monitor, accuracy, &verdict);         once per epoch
 *   3.  if (verdict & KD_MONITOR_STOP) break;
 *   4.  kd_monitor_restore(monitor);                            the best parameters */
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
    int32_t better;    /* KD_BETTER_LOWER or KD_BETTER_HIGHER */
    int32_t patience;  /* reports without improvement before it says stop; 0: never */
    int32_t keep_best; /* 1: keeps a copy of the best parameters */
    double min_change; /* an improvement is larger than this (absolute) */
} kd_monitor_options;
#define KD_MONITOR_OPTIONS_INIT                                                                    \
    {                                                                                              \
        (uint32_t)sizeof(kd_monitor_options), KD_BETTER_HIGHER, 0, 1, 0.0                          \
    }
KD_API void kd_monitor_options_init(kd_monitor_options *options, size_t size);

/* Watches one metric of one model. */
KD_API kd_status kd_monitor_create(kd_monitor **out, kd_model *model,
                                   const kd_monitor_options *options);
KD_API void kd_monitor_free(kd_monitor *monitor);

/* Bits of a verdict. */
#define KD_MONITOR_IMPROVED 1
#define KD_MONITOR_STOP 2

/* Takes a metric; NaN and infinity never improve. *verdict (may be NULL): bits. */
KD_API kd_status kd_monitor_report(kd_monitor *monitor, double metric, int32_t *verdict);

/* The best metric and the report (from 0) that had it. KD_ERR_STATE before the first
 * improvement. */
KD_API kd_status kd_monitor_best(kd_monitor *monitor, double *metric, int64_t *report);

/* Copies the best parameters back into the model. KD_ERR_STATE without keep_best, or before the
 * first improvement. */
KD_API kd_status kd_monitor_restore(kd_monitor *monitor);

#ifdef __cplusplus
}
#endif
#endif
