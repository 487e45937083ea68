/* kdistill/schedule.h - a number as a function of the step and of what the host reports.   SPDX-License-Identifier: Apache-2.0
 *
 * The same schedules serve learning rates, temperatures and weights. Steps are counted from 0 and may be asked in any order;
 * before the first step a schedule holds its first value, after the last its last. Plateaus and TAID's t have state, changed
 * by kd_schedule_report and kept in checkpoints.                                                                              */
#ifndef KDISTILL_SCHEDULE_H
#define KDISTILL_SCHEDULE_H

#include <kdistill/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_schedule kd_schedule;

/* value */
KD_API kd_status kd_schedule_constant(kd_schedule **out, kd_context *context, double value);
/* from + (to - from) s,  s = step / steps, at most 1. Also a warm-up: linear(0, 1, steps). steps >= 1 everywhere. */
KD_API kd_status kd_schedule_linear(kd_schedule **out, kd_context *context, double from, double to, int64_t steps);
/* to + (from - to) (1 + cos(pi s)) / 2                                   [Loshchilov and Hutter 2017, eq. 5] */
KD_API kd_status kd_schedule_cosine(kd_schedule **out, kd_context *context, double from, double to, int64_t steps);
/* from (to / from)^s; both above 0 */
KD_API kd_status kd_schedule_exponential(kd_schedule **out, kd_context *context, double from, double to, int64_t steps);
/* to + (from - to) (1 - s)^power; power > 0 */
KD_API kd_status kd_schedule_polynomial(kd_schedule **out, kd_context *context, double from, double to, int64_t steps, double power);
/* value * factor^floor(step / every); every >= 1, factor > 0 */
KD_API kd_status kd_schedule_step(kd_schedule **out, kd_context *context, double value, double factor, int64_t every);
/* value * min((step + 1) / warmup, sqrt(warmup / (step + 1))); warmup >= 1          [Vaswani et al. 2017, 5.3] */
KD_API kd_status kd_schedule_inverse_sqrt(kd_schedule **out, kd_context *context, double value, int64_t warmup);
/* warm-up-stable-decay: linear 0 to value in `warmup`, value for `stable`, linear to `floor` in `decay` steps   [MiniCPM 2024] */
KD_API kd_status kd_schedule_wsd(kd_schedule **out, kd_context *context, double value, double floor, int64_t warmup, int64_t stable,
                                 int64_t decay);
/* Straight lines through the points (steps[i], values[i]), steps rising; count 1 to 4096. Copied. */
KD_API kd_status kd_schedule_piecewise(kd_schedule **out, kd_context *context, const int64_t *steps, const double *values, int32_t count);
/* The product of the parts, for example cosine times plateau. Keeps them alive; count 1 to 16. */
KD_API kd_status kd_schedule_product(kd_schedule **out, kd_context *context, kd_schedule *const *parts, int32_t count);
/* parts[i] from starts[i] on, with steps counted from there; starts[0] = 0, rising. Keeps them alive. */
KD_API kd_status kd_schedule_sequence(kd_schedule **out, kd_context *context, kd_schedule *const *parts, const int64_t *starts, int32_t count);

#define KD_LOWER_IS_BETTER 0
#define KD_HIGHER_IS_BETTER 1

typedef struct kd_plateau_options {
    uint32_t struct_size;
    int32_t better;       /* KD_LOWER_IS_BETTER ...                                                    */
    int32_t patience;     /* reports without improvement that are borne; one more multiplies by factor  */
    int32_t cooldown;     /* reports after a change during which none is counted                       */
    int32_t recovery;     /* after so many improvements in a row the last factor is taken back; 0: never */
    int32_t reserved;
    double value;         /* where it begins                                                           */
    double factor;        /* 0 to 1, both excluded                                                     */
    double floor;         /* never below                                                               */
    double min_change;    /* an improvement is larger than this share of the best (relative)            */
} kd_plateau_options;
#define KD_PLATEAU_OPTIONS_INIT { (uint32_t)sizeof(kd_plateau_options), KD_LOWER_IS_BETTER, 2, 0, 0, 0, 1.0, 0.5, 0.0, 1e-4 }
KD_API void kd_plateau_options_init(kd_plateau_options *options, size_t size);

/* A value that falls when what the host reports stops getting better. */
KD_API kd_status kd_schedule_plateau(kd_schedule **out, kd_context *context, const kd_plateau_options *options);

typedef struct kd_taid_options {
    uint32_t struct_size;
    int32_t reserved;
    double from;      /* t before the first report                */
    double to;        /* its largest value, above `from`, at most 1 */
    double rate;      /* alpha, 0: linear only                    */
    double momentum;  /* beta, 0 to below 1                       */
    int64_t steps;    /* t is at least from + (to - from) step / steps; at least 1 */
} kd_taid_options;
#define KD_TAID_OPTIONS_INIT { (uint32_t)sizeof(kd_taid_options), 0, 0.4, 1.0, 5e-4, 0.99, 1000 }
KD_API void kd_taid_options_init(kd_taid_options *options, size_t size);

/* TAID's t for kd_loss_set(.., KD_PROGRESS, ..): it rises faster while the loss falls. One report of the term's loss a step:
 *   d = (before - loss) / (before + 1e-15);   m <- beta m + (1 - beta) d;   t <- min(to, max(linear, t + alpha sigmoid(m) (1 - t)))
 * The first report is only kept. State: t, m, the loss before, and the number of reports.                                          [Shing et al. 2025, alg. 1] */
KD_API kd_status kd_schedule_taid(kd_schedule **out, kd_context *context, const kd_taid_options *options);
KD_API void kd_schedule_free(kd_schedule *schedule);

/* The value at a step; NaN for a NULL handle. */
KD_API double kd_schedule_value(kd_schedule *schedule, int64_t step);

/* Gives a metric to every plateau and TAID schedule inside. KD_ERR_NONFINITE for NaN and infinity; others ignore it. */
KD_API kd_status kd_schedule_report(kd_schedule *schedule, double metric);

/* State as numbers, for hosts that keep their own checkpoints: *count in: room, out: numbers needed. values NULL: ask. */
KD_API kd_status kd_schedule_get_state(kd_schedule *schedule, double *values, int32_t *count);
KD_API kd_status kd_schedule_set_state(kd_schedule *schedule, const double *values, int32_t count);

#ifdef __cplusplus
}
#endif
#endif
