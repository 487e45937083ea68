/* kdistill/mask.h - tokens hidden for masked language models. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_mask_options mask = KD_MASK_OPTIONS_INIT;
 *   2.  mask.mask_token = 103;  mask.vocabulary_size = 30522;  mask.special_tokens = ..;
 *   3.  mask.epoch = epoch;  kd_batch_mask_tokens(batch, &mask);     after the batch was filled
 *   4.  options.mask_field = "mask";  kd_loss_add(loss, KD_LOSS_CROSS_ENTROPY, 1, &options, NULL);
 *
 * The teacher of a distillation reads the batch after step 3: both see the same hidden tokens. */
#ifndef KDISTILL_MASK_H
#define KDISTILL_MASK_H

#include <kdistill/data.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_mask_options {
    uint32_t struct_size;
    int32_t mask_token;      /* the tokenizer's id of "[MASK]" or "<mask>"; to be set */
    int64_t vocabulary_size; /* tokens are below it; to be set */
    /* (special_count) ids that are neither chosen nor drawn; the mask token is one in any case */
    const int32_t *special_tokens;
    int32_t special_count;
    int32_t reserved;
    double share;        /* of rows that are chosen: BERT's .15; ModernBERT was trained with .30 */
    double mask_share;   /* of the chosen rows that become the mask token */
    double random_share; /* of those that become another token; the others stay */
    uint64_t seed;       /* 0: the context's */
    int64_t epoch;       /* another epoch hides others */
    const char *tokens_field, *label_field, *mask_field; /* NULL: "tokens", "label", "mask" */
} kd_mask_options;
#define KD_MASK_OPTIONS_INIT                                                                       \
    {                                                                                              \
        (uint32_t)sizeof(kd_mask_options), -1, 0, NULL, 0, 0, .15, .8, .1, 0, 0, NULL, NULL, NULL  \
    }
KD_API void kd_mask_options_init(kd_mask_options *options, size_t size);

/* Hides tokens of a batch, to be called once after it was filled: each row that is not special is
 * chosen with probability `share`. [Devlin et al. 2019, 3.1]
 * - Writes the tokens, labels (what a chosen row was, elsewhere -100, which terms ignore) and the
 *   mask (1: chosen), for terms with mask_field.
 * - What is hidden depends on seed, the sample's key, epoch and the place in the sample alone: the
 *   same in any batch, on any rank, with any number of threads. A sample whose key is 0 (a host's,
 *   without kd_batch_set_samples) draws by its tokens instead.
 * - KD_ERR_RANGE: a share outside 0 to 1, ids outside the vocabulary. KD_ERR_NOT_FOUND: no such
 *   field of tokens. The batch is then unchanged. */
KD_API kd_status kd_batch_mask_tokens(kd_batch *batch, const kd_mask_options *options);

#ifdef __cplusplus
}
#endif
#endif
