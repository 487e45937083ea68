/* kdistill/optimizer.h - SGD, AdamW, Adam; clipping, max-norm, averaging.   SPDX-License-Identifier: Apache-2.0
 *
 * An optimiser updates the parameters of one or more sources where they lie. One step:
 *   1. g = gradient * KD_GRADIENT_SCALE; if any g is not finite, the step is skipped and counted
 *   2. g is clipped by value, then by the global norm over all sources
 *   3. the update, with lr times the group's scale
 *   4. max-norm: each row of a weight matrix (a unit's incoming weights) is scaled to at most that L2 norm
 *   5. the average: a = decay a + (1 - decay) p
 * after which the gradients count as zero.                                                                            */
#ifndef KDISTILL_OPTIMIZER_H
#define KDISTILL_OPTIMIZER_H

#include <kdistill/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_optimizer kd_optimizer;

#define KD_SGD 1   /* g += wd p;  m = momentum m + g;  p -= lr m  (Nesterov: p -= lr (g + momentum m))                        */
#define KD_ADAMW 2 /* p -= lr wd p;  p -= lr m^ / (sqrt(v^) + eps)      decoupled decay [Loshchilov and Hutter 2019, alg. 2]     */
#define KD_ADAM 3  /* g += wd p;  p -= lr m^ / (sqrt(v^) + eps)         true L2         [Kingma and Ba 2015, alg. 1]             */

typedef struct kd_optimizer_options {
    uint32_t struct_size;
    int32_t nesterov;        /* SGD: 1 looks ahead                                              */
    double momentum;         /* SGD, 0 to below 1                                               */
    double beta1;            /* Adam, AdamW                                                      */
    double beta2;
    double epsilon;
    double weight_decay;     /* wd; groups may differ                                            */
    double clip_norm;        /* global L2 norm; 0: off                                           */
    double clip_value;       /* each gradient; 0: off                                            */
    double max_norm;         /* rows of parameters of rank 2 and more; 0: off                    */
    double average_decay;    /* 0: no averaged weights                                           */
} kd_optimizer_options;
#define KD_OPTIMIZER_OPTIONS_INIT { (uint32_t)sizeof(kd_optimizer_options), 0, 0.0, 0.9, 0.999, 1e-8, 0.0, 0.0, 0.0, 0.0, 0.0 }
KD_API void kd_optimizer_options_init(kd_optimizer_options *options, size_t size);

KD_API kd_status kd_optimizer_create(kd_optimizer **out, kd_context *context, int32_t kind, const kd_optimizer_options *options);
KD_API void kd_optimizer_free(kd_optimizer *optimizer);

/* Adds a source of parameters: a model (kept alive), or one named array of the host's with its gradient, float32 and contiguous,
 * borrowed until the optimiser is freed. Sources are added before the first step.                                              */
KD_API kd_status kd_optimizer_add_model(kd_optimizer *optimizer, kd_model *model);
KD_API kd_status kd_optimizer_borrow_array(kd_optimizer *optimizer, const char *name, const kd_array *values, const kd_array *gradients);

typedef struct kd_group_options {
    uint32_t struct_size;
    int32_t frozen;       /* 1: left alone               */
    double learning_rate; /* multiplies the step's        */
    double weight_decay;
    double max_norm;
} kd_group_options;
#define KD_GROUP_OPTIONS_INIT { (uint32_t)sizeof(kd_group_options), 0, 1.0, 0.0, 0.0 }
KD_API void kd_group_options_init(kd_group_options *options, size_t size);

/* Parameters whose name matches the pattern (* and ?, for example "*.bias") use these numbers from now on; the last group
 * that matches counts. KD_ERR_NOT_FOUND when nothing matches.                                                             */
KD_API kd_status kd_optimizer_group(kd_optimizer *optimizer, const char *pattern, const kd_group_options *options);

/* One step with this learning rate (>= 0, finite). KD_OK also when it was skipped: see the info. */
KD_API kd_status kd_optimizer_step(kd_optimizer *optimizer, double learning_rate);

/* Begins a step before the backward pass: the pass updates each layer of a language model as soon as its gradient is there, while it is near;
 * kd_optimizer_step, with the same learning rate, does the rest. The same bits as a step behind the pass. What a step takes from all gradients
 * together cannot be had: clip_norm must be 0, one pass makes the gradient (no accumulation), and gradients that are not finite leave their
 * layer and all that is updated later as it was, while layers updated before stay updated; the step counts as skipped. When the pass fails
 * (a host's callback stops it, no memory), the layers behind that place are updated; begin again, or save a checkpoint as it is. Until the
 * step's end the optimiser's numbers stay, and the model takes no adapters and no other vocabulary; behind the pass checkpoints are refused.
 * KD_ERR_STATE: clip_norm, gradients that wait, averaged weights in place, a model whose step another optimiser has begun.              */
KD_API kd_status kd_optimizer_begin_step(kd_optimizer *optimizer, double learning_rate);

#define KD_GRADIENT_SCALE 1 /* 0 .. 1e30, default 1: "divide once at the end" of accumulation */
#define KD_WEIGHT_DECAY 2   /* 0 .. 1e6: of parameters that no group names                    */
#define KD_CLIP_NORM 3      /* 0 .. 1e30 */
#define KD_CLIP_VALUE 4     /* 0 .. 1e30 */
#define KD_MAX_NORM 5       /* 0 .. 1e30: of parameters that no group names                   */
#define KD_MOMENTUM 6       /* 0 .. 1    */
#define KD_AVERAGE_DECAY 7  /* 0 .. 1; only when it was above 0 at creation                   */
KD_API kd_status kd_optimizer_set(kd_optimizer *optimizer, int32_t number, double value);
KD_API kd_status kd_optimizer_get(kd_optimizer *optimizer, int32_t number, double *value);
KD_API kd_status kd_optimizer_bounds(int32_t number, double *low, double *high);

typedef struct kd_optimizer_info {
    uint32_t struct_size;
    int32_t last_skipped;  /* 1: the last step was skipped as non-finite */
    int64_t steps;         /* steps taken, without the skipped ones      */
    int64_t skipped;
    int64_t clipped;       /* steps whose norm was clipped               */
    double gradient_norm;  /* global norm of the last step's gradient after scale, before clipping */
} kd_optimizer_info;
KD_API kd_status kd_optimizer_get_info(kd_optimizer *optimizer, kd_optimizer_info *info);

/* Exchanges parameters and averaged weights (for an evaluation; call it again to go on). KD_ERR_STATE without averaging;
 * a step between the two calls is refused.                                                                              */
KD_API kd_status kd_optimizer_swap_average(kd_optimizer *optimizer);

#ifdef __cplusplus
}
#endif
#endif
