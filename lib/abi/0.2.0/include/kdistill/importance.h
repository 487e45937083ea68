/* kdistill/importance.h - which inputs of a model's matrices matter most. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_importance_create(&importance, model);
 *   2.  kd_importance_add(importance, batch);              texts like those of the model's use
 *   3.  kd_importance_save(importance, "model.imatrix.gguf");
 *   4.  options.importance = importance;                   of kd_model_write_gguf
 *
 * For each matrix W of a language model's layers the sum of squares of each of its inputs x_j. An
 * error in column j of W costs about mean(x_j^2) times its square, which is what a search for
 * scales should weigh. Files are those of llama.cpp's llama-imatrix, in GGUF form, both ways. */
#ifndef KDISTILL_IMPORTANCE_H
#define KDISTILL_IMPORTANCE_H

#include <kdistill/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_importance kd_importance;

/* Nothing known yet. KD_ERR_UNSUPPORTED: the model is not a llama, mistral, qwen2 or qwen3. */
KD_API kd_status kd_importance_create(kd_importance **out, kd_model *model);

/* A file of llama-imatrix (GGUF) for this model.
 * - KD_ERR_MISMATCH: an entry that is none of the model's matrices; KD_ERR_SHAPE: another width.
 * - Matrices without an entry are known as such: kd_importance_get says a count of 0. */
KD_API kd_status kd_importance_load(kd_importance **out, kd_model *model, const char *path);
KD_API void kd_importance_free(kd_importance *importance);

/* Runs the model over a batch, without dropout, in a separate pass that keeps all layers' values,
 * and adds what enters the matrices. What kd_model_output views stays. */
KD_API kd_status kd_importance_add(kd_importance *importance, kd_batch *batch);

/* Writes what was added, to a temporary name that is then renamed. KD_ERR_STATE: nothing was. */
KD_API kd_status kd_importance_save(kd_importance *importance, const char *path);

/* The mean square of each input of a matrix, by the model's name of it, and how many rows were
 * added. *mean_square is a view (inputs) float32 that lives until the next call with this handle;
 * zeros if *count is 0. KD_ERR_NOT_FOUND: it is not a matrix of a layer. */
KD_API kd_status kd_importance_get(kd_importance *importance, const char *tensor,
                                   kd_array *mean_square, int64_t *count);

#ifdef __cplusplus
}
#endif
#endif
