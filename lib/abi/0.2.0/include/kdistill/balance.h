/* kdistill/balance.h - weights of several tasks from how their losses go.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_balance_create(&balance, context, KD_BALANCE_MEAN, 2, NULL);
 *   2.  kd_loss_set(loss, term, KD_TERM_WEIGHT, kd_balance_value(balance, task));  before a step
 *   3.  kd_balance_report(balance, task, result.sum[term] / result.rows[term]);    after it
 *   4.  kd_balance_end_epoch(balance);                                             DWA needs it
 *
 * A task is one term of a loss, or several that the host adds up. Fixed weights that were tuned do
 * as well as any balance [Kurin et al. 2022, 2201.04122]: begin with KD_BALANCE_STATIC.
 * Methods that turn gradients (PCGrad, GradNorm, Nash-MTL) are left out: they need a gradient over
 * all parameters for each task. kd_loss_measure_gradients (gradient.h) shows conflicts at a shared
 * output. */
#ifndef KDISTILL_BALANCE_H
#define KDISTILL_BALANCE_H

#include <kdistill/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_balance kd_balance;

/* Task i of K has the importance c_i (options.weights), C = sum c. Weights of MEAN and DWA add up
 * to C, which is K unless the importance says otherwise: the learning rate keeps its meaning. */
#define KD_BALANCE_STATIC 0 /* c_i */
/* C (c_i / m_i) / sum_j (c_j / m_j), m the running mean of what was reported: every task's part of
 * the loss is as large. 1 / (2 m) is the optimum of the learned weights 1 / (2 s^2) of
 * L / (2 s^2) + log s, whose s^2 = L [Kendall et al. 2018, eq. 5] */
#define KD_BALANCE_MEAN 1
/* C c_i exp(r_i / T) / sum_j c_j exp(r_j / T), r = mean of the last epoch over that of the one
 * before it; what falls slower weighs more [Liu et al. 2019, 1803.10704, eq. 7] */
#define KD_BALANCE_DWA 2

typedef struct kd_balance_options {
    uint32_t struct_size;
    int32_t reserved;
    /* (tasks): finite, from 0, not all 0; a task of weight 0 keeps it. NULL: each 1. Copied */
    const double *weights;
    /* MEAN: what a report leaves of the reports before it, 0 to 1; 1: all count the same */
    double decay;
    double temperature; /* DWA's T, .01 to 1000 */
    /* largest of w_i / c_i over the smallest, at least 1: a task whose loss is 0 takes no more */
    double max_ratio;
} kd_balance_options;
#define KD_BALANCE_OPTIONS_INIT                                                                    \
    {                                                                                              \
        (uint32_t)sizeof(kd_balance_options), 0, NULL, 0.99, 2.0, 100.0                            \
    }
KD_API void kd_balance_options_init(kd_balance_options *options, size_t size);

/* For `tasks` tasks, 1 to 1024. Nothing is allocated later. KD_ERR_RANGE: kind, tasks or a number
 * of the options is out of bounds. */
KD_API kd_status kd_balance_create(kd_balance **out, kd_context *context, int32_t kind,
                                   int32_t tasks, const kd_balance_options *options);
KD_API void kd_balance_free(kd_balance *balance);

/* A task's loss, the mean over its rows; a batch without rows of the task is not reported.
 * KD_ERR_RANGE: no such task, above 1e100, or below 0 (STATIC takes any sign).
 * KD_ERR_NONFINITE: NaN or infinity. */
KD_API kd_status kd_balance_report(kd_balance *balance, int32_t task, double loss);

/* The reports since the last call were one epoch: its means are DWA's. A task without any keeps
 * the two means that it has. */
KD_API kd_status kd_balance_end_epoch(kd_balance *balance);

/* The weight of a task; NaN for a NULL handle or no such task. It is c_i until every task of a
 * weight above 0 has a report (MEAN) or two epochs (DWA). */
KD_API double kd_balance_value(const kd_balance *balance, int32_t task);

#ifdef __cplusplus
}
#endif
#endif
