/* kdistill/gradient.h - how much each task pulls at what tasks share, and whether they agree.
 * SPDX-License-Identifier: Apache-2.0. Since 0.2.
 *
 *   1.  kd_model_forward(student, batch, KD_MODE_TRAIN);
 *   2.  kd_loss_measure_gradients(loss, student, batch, targets, NULL, norms, cosines);
 *   3.  kd_loss_backward(loss, student, batch, targets, NULL, &result);     as always */
#ifndef KDISTILL_GRADIENT_H
#define KDISTILL_GRADIENT_H

#include <kdistill/loss.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_gradient_options {
    uint32_t struct_size;
    int32_t tasks;          /* 1 to 64; read with task_of */
    const int32_t *task_of; /* (terms): the task of each, -1: of none; NULL: each term is a task */
    const char *output;     /* where tasks meet; NULL: the output that all their terms come from */
    const kd_loss_counts *counts; /* denominators; NULL: this batch's own */
} kd_gradient_options;
#define KD_GRADIENT_OPTIONS_INIT                                                                   \
    {                                                                                              \
        (uint32_t)sizeof(kd_gradient_options), 0, NULL, NULL, NULL                                 \
    }
KD_API void kd_gradient_options_init(kd_gradient_options *options, size_t size);

/* g_i = d (sum over terms of task i of weight * sum / denominator) / d output, on a model after a
 * KD_MODE_TRAIN pass, before the backward pass. The output is that of the trunk under the terms'
 * own: a head's hidden states, the rows that "pooled", "embedding" or a class's logits are made of.
 * - norms (tasks): |g_i|, over all rows together; 0 where no row of the batch is the task's; NaN
 *   where no term of the task comes from the output.
 * - cosines (tasks, tasks): g_i . g_j / (|g_i| |g_j|), below 0: what helps one task harms the
 *   other; NaN where a norm is 0 or NaN. NULL: not wanted.
 * Nothing else changes: no gradient, no diagnostics, no state. It costs each term's own part of the
 * loss, a head's or a pooling's way back, and tasks x rows x width numbers: no pass of the trunk.
 * Errors: those of kd_loss_backward; KD_ERR_INVALID: without options.output the terms come from
 * several outputs, which are named; KD_ERR_RANGE: a task is out of bounds. */
KD_API kd_status kd_loss_measure_gradients(kd_loss *loss, kd_model *model, kd_batch *batch,
                                           kd_targets *targets, const kd_gradient_options *options,
                                           double *norms, double *cosines);

#ifdef __cplusplus
}
#endif
#endif
