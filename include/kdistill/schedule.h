/* kdistill/schedule.h - a number as a function of the step and of what the host reports.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_schedule_create_cosine(&schedule, context, 1e-3, 1e-5, steps);
 *   2.  kd_optimizer_step(optimizer, kd_schedule_value(schedule, step));
 *
 * The same schedules serve learning rates, temperatures and weights.
 * - Steps count from 0 and may be queried in any order. Before the first step a schedule has its
 *   first value, after the last step its last.
 * - Plateaus and TAID's t have state, which kd_schedule_report changes and checkpoints keep. */
#ifndef KDISTILL_SCHEDULE_H
#define KDISTILL_SCHEDULE_H

#include <kdistill/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_schedule kd_schedule;

/* value */
KD_API kd_status kd_schedule_create_constant(kd_schedule **out, kd_context *context, double value);
/* from + (to - from) s,  s = step / steps, at most 1. Also a warm-up: linear(0, 1, steps). steps >=
 * 1 everywhere. */
KD_API kd_status kd_schedule_create_linear(kd_schedule **out, kd_context *context, double from,
                                           double to, int64_t steps);
/* to + (from - to) (1 + cos(pi s)) / 2 [Loshchilov and Hutter 2017, eq. 5] */
KD_API kd_status kd_schedule_create_cosine(kd_schedule **out, kd_context *context, double from,
                                           double to, int64_t steps);
/* from (to / from)^s; both positive */
KD_API kd_status kd_schedule_create_exponential(kd_schedule **out, kd_context *context, double from,
                                                double to, int64_t steps);
/* to + (from - to) (1 - s)^power; power > 0 */
KD_API kd_status kd_schedule_create_polynomial(kd_schedule **out, kd_context *context, double from,
                                               double to, int64_t steps, double power);
/* value * factor^floor(step / every); every >= 1, factor > 0 */
KD_API kd_status kd_schedule_create_step(kd_schedule **out, kd_context *context, double value,
                                         double factor, int64_t every);
/* value * min((step + 1) / warmup, sqrt(warmup / (step + 1))); warmup >= 1 [Vaswani et al. 2017,
 * 5.3] */
KD_API kd_status kd_schedule_create_inverse_sqrt(kd_schedule **out, kd_context *context,
                                                 double value, int64_t warmup);
/* warm-up, stable, decay: linear from 0 to value in `warmup` steps, value for `stable`, linear to
 * `floor` in `decay` steps [MiniCPM 2024] */
KD_API kd_status kd_schedule_create_wsd(kd_schedule **out, kd_context *context, double value,
                                        double floor, int64_t warmup, int64_t stable,
                                        int64_t decay);
/* Straight lines through the points (steps[i], values[i]), steps increasing; count 1 to 4096.
 * Copied. */
KD_API kd_status kd_schedule_create_piecewise(kd_schedule **out, kd_context *context,
                                              const int64_t *steps, const double *values,
                                              int32_t count);
/* The product of the parts, for example cosine times plateau. Keeps them alive; count 1 to 16. */
KD_API kd_status kd_schedule_create_product(kd_schedule **out, kd_context *context,
                                            kd_schedule *const *parts, int32_t count);
/* parts[i] starting at starts[i], with steps counted from there; starts[0] = 0, increasing. Keeps
 * the parts alive. */
KD_API kd_status kd_schedule_create_sequence(kd_schedule **out, kd_context *context,
                                             kd_schedule *const *parts, const int64_t *starts,
                                             int32_t count);

#define KD_BETTER_LOWER 0
#define KD_BETTER_HIGHER 1

typedef struct kd_plateau_options {
    uint32_t struct_size;
    int32_t better; /* KD_BETTER_LOWER ... */
    /* reports without improvement that are tolerated; one more multiplies by factor */
    int32_t patience;
    int32_t cooldown; /* reports after a change that are not counted */
    int32_t recovery; /* this many improvements in a row undo the last factor; 0: never */
    int32_t reserved;
    double value;      /* the initial value */
    double factor;     /* 0 to 1, both excluded */
    double floor;      /* never below */
    double min_change; /* an improvement is larger than this share of the best (relative) */
} kd_plateau_options;
#define KD_PLATEAU_OPTIONS_INIT                                                                    \
    {                                                                                              \
        (uint32_t)sizeof(kd_plateau_options), KD_BETTER_LOWER, 2, 0, 0, 0, 1.0, 0.5, 0.0, 1e-4     \
    }
KD_API void kd_plateau_options_init(kd_plateau_options *options, size_t size);

/* A value that drops when what the host reports stops improving. */
KD_API kd_status kd_schedule_create_plateau(kd_schedule **out, kd_context *context,
                                            const kd_plateau_options *options);

typedef struct kd_taid_options {
    uint32_t struct_size;
    int32_t reserved;
    double from;     /* t before the first report */
    double to;       /* the largest t, above `from`, at most 1 */
    double rate;     /* alpha; 0: linear only */
    double momentum; /* beta, 0 to below 1 */
    int64_t steps;   /* t is at least from + (to - from) step / steps; at least 1 */
} kd_taid_options;
#define KD_TAID_OPTIONS_INIT                                                                       \
    {                                                                                              \
        (uint32_t)sizeof(kd_taid_options), 0, 0.4, 1.0, 5e-4, 0.99, 1000                           \
    }
KD_API void kd_taid_options_init(kd_taid_options *options, size_t size);

/* TAID's t for kd_loss_set(.., KD_TERM_PROGRESS, ..): it rises faster while the loss falls. Report
 * the term's loss once per step [Shing et al. 2025, alg. 1]. Since 0.2.
 *   d = (before - loss) / (before + 1e-15);   m <- beta m + (1 - beta) d;
 *   t <- min(to, max(linear, t + alpha sigmoid(m) (1 - t)))
 * The first report only sets `before`. State: t, m, the previous loss, and the number of
 * reports. */
KD_API kd_status kd_schedule_create_taid(kd_schedule **out, kd_context *context,
                                         const kd_taid_options *options);
KD_API void kd_schedule_free(kd_schedule *schedule);

/* The value at a step; NaN for a NULL handle. */
KD_API double kd_schedule_value(kd_schedule *schedule, int64_t step);

/* Passes a metric to every plateau and TAID schedule inside; other schedules ignore it.
 * KD_ERR_NONFINITE for NaN and infinity. */
KD_API kd_status kd_schedule_report(kd_schedule *schedule, double metric);

/* The state as numbers, for hosts with their own checkpoints: *count in: capacity, out: numbers
 * needed; values NULL: only ask. */
KD_API kd_status kd_schedule_get_state(kd_schedule *schedule, double *values, int32_t *count);
KD_API kd_status kd_schedule_set_state(kd_schedule *schedule, const double *values, int32_t count);

#ifdef __cplusplus
}
#endif
#endif
