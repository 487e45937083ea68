/* kdistill/task.h - several tasks in one model. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_model_load(&student, context, folder, NULL);
 *   2.  kd_model_add_head(student, "topic", "{\"level\":\"sample\",\"num_labels\":6}");
 *   3.  options.student_output = "logits.topic";  options.label_field = "label.topic";
 *       kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, &options, &term);   one term a task
 *   4.  kd_loss_backward(loss, student, batch, targets, NULL, &result);
 *
 * docs/guide-tasks.md has whole programs. */
#ifndef KDISTILL_TASK_H
#define KDISTILL_TASK_H

#include <kdistill/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- heads ---- */

/* Gives a model one more head: logits of a task, made from one of the model's outputs.
 * - name: letters, digits, '-' and '_'. The output is "logits.NAME"; the tensors are
 *   "heads.NAME.weight" (num_labels, inputs) and ".bias" (num_labels); before them, where the head
 *   has a hidden layer, "heads.NAME.dense.weight" (hidden_size, width) and ".bias".
 * - json: an object with the keys of one head of the config's kd_heads (docs/configs.md), as
 *   {"num_labels": 6, "level": "sample", "pooling": "cls", "dropout": 0.1}.
 * - The logits are entries of rows (level "row") or samples ("sample"): labels, masks and a
 *   teacher's logits of the task are of the same unit.
 * - A head is computed when something asks for its logits: a term, kd_model_output,
 *   kd_model_keep. Without that its gradient is 0.
 * - First values: N(0, initializer_range), biases 0, from the model's seed and the head's name
 *   alone.
 * - Where all tensors but those of heads are frozen, a backward pass stops at the heads.
 * - Adapters (kd_model_add_lora) are not put on heads, which are trained in full.
 * - The model's config says so from then on: kd_model_save and kd_model_load keep heads, and other
 *   programs load the folder without them.
 * - Views and optimizers made before become invalid; so do passes.
 * Errors: KD_ERR_CONFIG names what is wrong with the object (an unknown key, a name that is taken,
 * an output that the model does not have). KD_ERR_STATE: the model is frozen, or a step is open.
 * KD_ERR_UNSUPPORTED: static embeddings. After an error the model is as it was. */
KD_API kd_status kd_model_add_head(kd_model *model, const char *name, const char *json);

#ifdef __cplusplus
}
#endif
#endif
