/* kdistill/towers.h - several networks in one model, one for each modality: images, texts, sounds.
 * Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_model_create(&model, context, "{\"model_type\":\"towers\",..}", NULL);  docs/configs.md
 *   2.  kd_model_freeze(model, "towers.text.*", 1);          a tower that does not train
 *   3.  kd_batch_set(batch, "pixels", &images, &has_image);  a sample may lack a modality
 *   4.  kd_model_forward(model, batch, KD_MODE_TRAIN);
 *   5.  kd_loss_backward(loss, model, batch, targets, NULL, &result);   terms of contrast.h
 *
 * A model of towers is a model like others: one optimizer, one checkpoint, one folder. Outputs are
 * "embedding.NAME" of each tower, "fused", "logit_scale", "logit_bias", and what the tower's
 * network gives out, as "NAME.hidden.0".
 * - A sample lacks a modality where the tower's field is not in the batch, is marked absent, or has
 *   no rows for the sample (tokens of a field (samples, L) below 0 are none). Its "embedding.NAME"
 *   is then absent: no term counts the row, and nothing goes through the tower for it.
 * - A tower of which all tensors are frozen goes through every pass as in KD_MODE_EVALUATE, keeps
 *   nothing and has no backward pass; its outputs are there as kd_model_keep says. */
#ifndef KDISTILL_TOWERS_H
#define KDISTILL_TOWERS_H

#include <kdistill/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Towers out of models that exist. `config` is one of model_type "towers"; a tower that `names`
 * (count) lists gets the network of the model of the same place, and a copy of its weights: its
 * object in the config may have the keys "input", "output", "pooling", "frozen" and
 * "rows_per_sample" alone. Other towers are made as kd_model_create makes them. The models are not
 * kept. Errors: KD_ERR_NOT_FOUND (no tower of that name), KD_ERR_CONFIG (a key that the network
 * has already), KD_ERR_UNSUPPORTED (a model with adapters; a static embedding whose rows are
 * shared by a mapping; a model of another context). */
KD_API kd_status kd_towers_create(kd_model **out, kd_context *context, const char *config,
                                  const char *const *names, kd_model *const *models, int32_t count,
                                  const kd_model_options *options);

/* Writes one tower as the folder of a model by itself, as kd_model_save writes it, without what
 * joins it to the others (projection, fusion). The tokenizer's files go along where
 * kd_towers_create was given a model that was loaded from a folder. KD_ERR_NOT_FOUND: there is no
 * tower of that name. */
KD_API kd_status kd_towers_save(kd_model *model, const char *name, const char *folder,
                                const kd_model_save_options *options);

/* Which rows or samples of an output the last pass had something to look at for: (entries) uint8,
 * valid until the next pass; NULL data: all of them, as with every model but towers. */
KD_API kd_status kd_model_output_present(kd_model *model, const char *name, kd_array *present);

#ifdef __cplusplus
}
#endif
#endif
