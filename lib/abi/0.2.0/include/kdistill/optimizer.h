/* kdistill/optimizer.h - SGD, AdamW, Adam, Muon; clipping, max-norm, averaging.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_optimizer_create(&optimizer, context, KD_OPTIMIZER_ADAMW, &options);
 *   2.  kd_optimizer_add_model(optimizer, model);
 *   3.  kd_loss_backward(loss, model, batch, targets, NULL, &result);
 *   4.  kd_optimizer_step(optimizer, kd_schedule_value(schedule, step));
 *
 * One step:
 * - g = gradient * KD_STEP_GRADIENT_SCALE. If any g is not finite, the step is skipped and counted.
 * - g is clipped by value, then by the global norm over all sources.
 * - The update, with lr times the group's learning rate.
 * - Max-norm: each row of a weight matrix (a unit's incoming weights) is scaled to at most that L2
 *   norm.
 * - The average: a = decay a + (1 - decay) p.
 *
 * After a step the gradients of every source count as zero: the host's arrays and those of a loss
 * are cleared; a model's stay readable until its next backward pass overwrites them.
 * - A step without a backward pass before it is a step with gradients of 0: weight decay and
 *   moments continue, and it counts as a step.
 * - A model belongs to one optimizer: a second one would find gradients of 0 after the first one's
 *   step.
 * - Groups give parts of a model their own numbers. */
#ifndef KDISTILL_OPTIMIZER_H
#define KDISTILL_OPTIMIZER_H

#include <kdistill/loss.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_optimizer kd_optimizer;

/* g += wd p;  m = momentum m + g;  p -= lr m  (Nesterov: p -= lr (g + momentum m)) */
#define KD_OPTIMIZER_SGD 1
/* p -= lr wd p;  p -= lr m^ / (sqrt(v^) + eps): decoupled decay [Loshchilov and Hutter 2019, alg.
 * 2] */
#define KD_OPTIMIZER_ADAMW 2
/* g += wd p;  p -= lr m^ / (sqrt(v^) + eps): true L2 [Kingma and Ba 2015, alg. 1] */
#define KD_OPTIMIZER_ADAM 3
/* Matrices: m = momentum m + g, u = g + momentum m (Nesterov) or m, X = u / |u|, five times X = a X
 * + (b S + c S^2) X with S = X X' and a, b, c = 3.4445, -4.7750, 2.0315; then p -= lr (wd p + .2
 * sqrt(max(rows, columns)) X), about as long as a step of AdamW [Jordan 2024, Liu et al. 2025].
 * All else as KD_OPTIMIZER_ADAMW, with the same learning rate and beta1, beta2, epsilon: what has
 * not two dimensions, and names with "embed", "head", "classifier" or "score" (groups: `rule`).
 * - momentum 0 at creation stands for .95 with nesterov. Matrices have no second moments.
 * - Products are in the context's precision. A step takes 20 k^2 l + 10 k^3 operations a matrix of
 *   k by l >= k, whatever the batch: for SmolLM2 as much as 1,800 tokens.
 * - A product can fail (memory, a host's own): the step's error; matrices may then have been
 *   updated in part, each as a whole.
 * - KD_ERR_UNSUPPORTED from an exchange. Since 0.2. */
#define KD_OPTIMIZER_MUON 4

typedef struct kd_optimizer_options {
    uint32_t struct_size;
    int32_t nesterov; /* SGD, Muon: 1 looks ahead */
    double momentum;  /* SGD and Muon, 0 to below 1 */
    double beta1;     /* Adam, AdamW, Muon's other parameters */
    double beta2;
    double epsilon;
    double weight_decay;  /* wd; groups may differ */
    double clip_norm;     /* global L2 norm; 0: off */
    double clip_value;    /* each gradient; 0: off */
    double max_norm;      /* rows of parameters of rank 2 and more; 0: off */
    double average_decay; /* 0: no averaged weights */
    /* of momentum, first and second moments: KD_FLOAT32, or KD_BFLOAT16 in half the memory, rounded
     * up or down at random with an exact mean. A checkpoint keeps them unchanged. Since 0.2. */
    int32_t moments;
    int32_t reserved;
} kd_optimizer_options;
#define KD_OPTIMIZER_OPTIONS_INIT                                                                  \
    {                                                                                              \
        (uint32_t)sizeof(kd_optimizer_options), 0, 0.0, 0.9, 0.999, 1e-8, 0.0, 0.0, 0.0, 0.0, 0.0, \
            KD_FLOAT32, 0                                                                          \
    }
KD_API void kd_optimizer_options_init(kd_optimizer_options *options, size_t size);

KD_API kd_status kd_optimizer_create(kd_optimizer **out, kd_context *context, int32_t kind,
                                     const kd_optimizer_options *options);
KD_API void kd_optimizer_free(kd_optimizer *optimizer);

/* Adds a source of parameters: a model (kept alive), or one named array of the host with its
 * gradient, float32 and contiguous, borrowed until the optimizer is freed. Add all sources before
 * the first step. */
KD_API kd_status kd_optimizer_add_model(kd_optimizer *optimizer, kd_model *model);
KD_API kd_status kd_optimizer_borrow_array(kd_optimizer *optimizer, const char *name,
                                           const kd_array *values, const kd_array *gradients);
/* The parameters of a loss (kept alive): its projections and variances, which may be none.
 * KD_ERR_STATE: a width is still open. From now on the loss takes no further ones. Since 0.2. */
KD_API kd_status kd_optimizer_add_loss(kd_optimizer *optimizer, kd_loss *loss);

/* Whose step a group takes. */
#define KD_RULE_DEFAULT 0
#define KD_RULE_ADAMW 1
#define KD_RULE_MUON 2

typedef struct kd_group_options {
    uint32_t struct_size;
    int32_t frozen;       /* 1: not updated */
    double learning_rate; /* multiplies the step's */
    double weight_decay;
    double max_norm;
    /* 1: a step changes only rows (entries of the first dimension) whose gradient is not all 0,
     * with their moments and decay. Since 0.2. */
    int32_t lazy;
    /* Of KD_OPTIMIZER_MUON, before the first step. KD_RULE_MUON needs two dimensions. Since 0.2. */
    int32_t rule;
} kd_group_options;
#define KD_GROUP_OPTIONS_INIT                                                                      \
    {                                                                                              \
        (uint32_t)sizeof(kd_group_options), 0, 1.0, 0.0, 0.0, 0, 0                                 \
    }
KD_API void kd_group_options_init(kd_group_options *options, size_t size);

/* From now on, parameters whose name matches the pattern (* and ?, for example "*.bias") use these
 * numbers; the last matching group wins. KD_ERR_NOT_FOUND: nothing matches.
 * - `lazy` is for tables of embeddings, of which a batch touches a few rows: a row that no gradient
 *   reaches stays unchanged, as with torch.optim.SparseAdam. Bias is corrected by the number of
 *   steps. A step where every row has a gradient is that of a group without `lazy`.
 * - A static embedding (model_type "static_embedding") tells which rows its passes reach, and a
 *   step looks at nothing else; of other parameters it reads all gradients. A host that takes views
 *   of the gradients may write anywhere: from then on a step reads all of them.
 * - max_norm and average_decay still go through all rows. */
KD_API kd_status kd_optimizer_add_group(kd_optimizer *optimizer, const char *pattern,
                                        const kd_group_options *options);

/* One step with this learning rate (>= 0, finite). Returns KD_OK even if the step was skipped: see
 * kd_optimizer_info. KD_ERR_STATE: no backward pass before it although one is required: after
 * kd_optimizer_begin_step, and for models with shared_gradients. */
KD_API kd_status kd_optimizer_step(kd_optimizer *optimizer, double learning_rate);

/* Begins a step before the backward pass: the pass then updates each layer of a language model as
 * soon as its gradient is complete, while it is in cache. kd_optimizer_step, with the same learning
 * rate, does the rest. The bits are those of a step after the pass. Since 0.2.
 * - What depends on all gradients together is not available: clip_norm must be 0, and a single pass
 *   makes the gradient (no accumulation).
 * - A non-finite gradient leaves its layer, and all layers updated later, unchanged; layers updated
 *   before it stay updated. The step counts as skipped.
 * - If the pass fails (a callback stops it, out of memory), the layers after that point are already
 *   updated. Begin again, or save a checkpoint of that state.
 * - Until the step ends, the optimizer's numbers cannot change, and the model accepts no adapters
 *   and no other vocabulary. After the pass, checkpoints are refused until the step ends.
 * - KD_ERR_STATE: clip_norm, pending gradients, averaged weights swapped in, or a model whose step
 *   another optimizer has begun. */
KD_API kd_status kd_optimizer_begin_step(kd_optimizer *optimizer, double learning_rate);

/* 0 .. 1e30, default 1: "divide once at the end" of accumulation */
#define KD_STEP_GRADIENT_SCALE 1
#define KD_STEP_WEIGHT_DECAY 2  /* 0 .. 1e6: of parameters that no group names */
#define KD_STEP_CLIP_NORM 3     /* 0 .. 1e30 */
#define KD_STEP_CLIP_VALUE 4    /* 0 .. 1e30 */
#define KD_STEP_MAX_NORM 5      /* 0 .. 1e30: of parameters that no group names */
#define KD_STEP_MOMENTUM 6      /* 0 .. 1 */
#define KD_STEP_AVERAGE_DECAY 7 /* 0 .. 1; only if it was above 0 at creation */
KD_API kd_status kd_optimizer_set(kd_optimizer *optimizer, int32_t number, double value);
KD_API kd_status kd_optimizer_get(kd_optimizer *optimizer, int32_t number, double *value);
KD_API kd_status kd_optimizer_bounds(int32_t number, double *low, double *high);

typedef struct kd_optimizer_info {
    uint32_t struct_size;
    int32_t last_skipped; /* 1: the last step was skipped as non-finite */
    int64_t steps;        /* steps taken, not counting skipped ones */
    int64_t skipped;
    int64_t clipped; /* steps whose norm was clipped */
    /* global norm of the last step's gradient, after scaling, before clipping */
    double gradient_norm;
} kd_optimizer_info;
KD_API kd_status kd_optimizer_get_info(kd_optimizer *optimizer, kd_optimizer_info *info);

/* Swaps parameters and averaged weights, for an evaluation; call it again before training
 * continues. KD_ERR_STATE without averaging; a step between the two calls is refused. */
KD_API kd_status kd_optimizer_swap_average(kd_optimizer *optimizer);

#ifdef __cplusplus
}
#endif
#endif
