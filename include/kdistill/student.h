/* kdistill/student.h - students made from a language model: fewer layers, narrower ones, other attention.   SPDX-License-Identifier: Apache-2.0 */
#ifndef KDISTILL_STUDENT_H
#define KDISTILL_STUDENT_H

#include <kdistill/model.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KD_LAYERS_UNIFORM 0 /* student's layer i is teacher's round(i (L - 1) / (l - 1)): the first and the last are kept */
#define KD_LAYERS_FIRST 1
#define KD_LAYERS_LAST 2

typedef struct kd_student_options {
    uint32_t struct_size;
    int32_t layers;              /* of the student; 0: all                                                   */
    int32_t choose;              /* KD_LAYERS_UNIFORM ...                                                    */
    int32_t hidden_size;         /* numbers kept of each; 0: all                                             */
    int32_t intermediate_size;
    int32_t key_value_heads;     /* each with its group of query heads                                       */
    const int32_t *layer_map;    /* (layers): the teacher's layer for each; overrides `choose`               */
    kd_batch *calibration;       /* tokens: what is kept has the largest mean absolute activation on them    [Muralidharan et al. 2024] */
    const char *config;          /* JSON object whose keys are put over the teacher's config: windows, sinks, positions, kd_layer_repeats; NULL: none */
    kd_model_options model;      /* of the student                                                           */
} kd_student_options;
#define KD_STUDENT_OPTIONS_INIT { (uint32_t)sizeof(kd_student_options), 0, KD_LAYERS_UNIFORM, 0, 0, 0, NULL, NULL, NULL, KD_MODEL_OPTIONS_INIT }
KD_API void kd_student_options_init(kd_student_options *options, size_t size);

/* A student with the teacher's vocabulary, its embeddings and what is kept of its layers. Widths, feed-forward and heads are cut by
 * importance, feed-forward and heads in each layer by itself, hidden numbers alike everywhere; without `calibration` the first ones are kept.
 * With kd_layer_repeats, shared layers take the weights of the first teacher layer that maps to them. The teacher's folder is kept in mind,
 * so that its tokenizer goes along when the student is saved. Errors: KD_ERR_UNSUPPORTED (no language model), KD_ERR_RANGE (more than the teacher has). */
KD_API kd_status kd_model_student(kd_model **out, kd_model *teacher, const kd_student_options *options);

/* Gives the model's embeddings (and its head) `vocabulary` rows: new ones are the mean of the old [Hewitt 2021], old ones beyond it go. Gradients
 * and optimisers' state are void: make optimisers afterwards.                                                                  */
KD_API kd_status kd_model_resize(kd_model *model, int64_t vocabulary);

typedef struct kd_lora_options {
    uint32_t struct_size;
    int32_t rank;
    double alpha; /* the product is scaled by alpha / rank */
    uint64_t seed; /* of A; 0: the model's                  */
} kd_lora_options;
#define KD_LORA_OPTIONS_INIT { (uint32_t)sizeof(kd_lora_options), 8, 16.0, 0 }
KD_API void kd_lora_options_init(kd_lora_options *options, size_t size);

/* Gives every matrix whose name matches the pattern (NULL: "*_proj.weight") a low-rank adapter: tensors name.lora_A (rank, in), random, and
 * name.lora_B (out, rank), zero. The first call freezes all other tensors (kd_model_freeze may thaw some). Passes, generators and
 * kd_model_save see W + alpha / rank B A: a saved folder has it merged. Views and optimisers made before are void. May be called again
 * for other matrices.                                                                                      [Hu et al. 2022] */
KD_API kd_status kd_model_add_lora(kd_model *model, const char *pattern, const kd_lora_options *options);

/* A ready config as JSON text, static: "llama-100k", "llama-1m", "llama-5m", "llama-15m", "llama-40m", "llama-150m", and the same with "qwen3-". The
 * name is about the number of parameters with 2,048 tokens (100k, 1m), 8,192 (5m, 15m) or 49,152 (40m, 150m). KD_ERR_NOT_FOUND lists the names. */
KD_API kd_status kd_ready_config(const char *name, const char **json);

#ifdef __cplusplus
}
#endif
#endif
