/* kdistill/recipe.h - settings of training runs that are known to work. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_recipe recipe = { .struct_size = sizeof recipe };
 *   2.  kd_recipe_fill(&recipe, KD_RECIPE_R1, 1.5e9);
 *   3.  kd_recipe_create_learning_rate(&rate, context, &recipe, steps);
 *   4.  kd_recipe_create_temperature(&temperature, context, &recipe, steps); */
#ifndef KDISTILL_RECIPE_H
#define KDISTILL_RECIPE_H

#include <kdistill/schedule.h>

#ifdef __cplusplus
extern "C" {
#endif

/* DeepSeek-R1's distillation: texts only, 2 epochs, warm-up, cosine to a tenth, 64 texts per batch,
 * up to 32,768 tokens each */
#define KD_RECIPE_R1 1
/* the same plus a teacher's distributions: share .9, temperature falling from 2 to 1 */
#define KD_RECIPE_MIXED 2
/* models of 100 k to 10 M parameters trained from scratch: rates of 1e-3 and more */
#define KD_RECIPE_SMALL 3

/* The settings of a training run. A recipe fills them in; the host may change each one. The library
 * reads them only in the last two calls below. */
typedef struct kd_recipe {
    uint32_t struct_size;
    int32_t optimizer; /* KD_OPTIMIZER_ADAMW */
    double epochs;
    double learning_rate; /* the peak */
    double floor;         /* the final rate, as a share of the peak */
    double warmup;        /* as a share of the steps */
    double weight_decay, beta1, beta2, clip_norm;
    int32_t batch_texts;
    int32_t patience; /* reports without improvement before the rate is halved; 0: no plateau */
    int64_t max_tokens;
    double soft_weight; /* of the teacher's distributions; the rest is the hard tokens' */
    double temperature, last_temperature;
    double sampling_temperature, top_p; /* for the teacher's texts, and for evaluation */
    int32_t samples;                    /* answers per prompt */
    int32_t max_new_tokens;
} kd_recipe;

/* Fills in a recipe. parameters: the student's, which the R1 rates depend on: 1.5e9: 1e-4, 7e9:
 * 8e-5, 14e9: 7e-5, 32e9: 6e-5, 70e9: 2e-5; log-linear in between; smaller models like the
 * smallest. [DeepSeek-AI 2025] */
KD_API kd_status kd_recipe_fill(kd_recipe *recipe, int32_t kind, double parameters);
/* The recipe's learning rate: warm-up, then cosine to the floor, times a plateau if patience asks
 * for one. Report validation losses, or minus pass@1. */
KD_API kd_status kd_recipe_create_learning_rate(kd_schedule **out, kd_context *context,
                                                const kd_recipe *recipe, int64_t steps);
/* The recipe's temperature, decreasing linearly. */
KD_API kd_status kd_recipe_create_temperature(kd_schedule **out, kd_context *context,
                                              const kd_recipe *recipe, int64_t steps);

#ifdef __cplusplus
}
#endif
#endif
