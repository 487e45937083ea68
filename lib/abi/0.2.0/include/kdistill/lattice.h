/* kdistill/lattice.h - training on the numbers that a file of few bits holds. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_lattice_options options = KD_LATTICE_OPTIONS_INIT;        Q4_0
 *   2.  kd_model_set_lattice(student, NULL, &options);
 *   3.  train it as ever, with its float32 self as the teacher
 *   4.  kd_gguf_options gguf = KD_GGUF_OPTIONS_INIT;  gguf.format = 0;
 *   5.  kd_model_write_gguf(student, tokenizer, path, &gguf, NULL);
 *
 * What the loss saw is what the file holds, bit for bit. The parameters stay float32: passes see of
 * a matrix W its nearest point Q(W) in a block format (block.h), rounded again whenever W changed,
 * and the file gets the blocks that passes saw. A gradient of Q(W) goes straight through to W,
 * except for numbers beyond the ends of their block's codes, by more than half a step, which get 0.
 * [Bengio et al. 2013; Gemma 3's quantization-aware training] */
#ifndef KDISTILL_LATTICE_H
#define KDISTILL_LATTICE_H

#include <kdistill/block.h>
#include <kdistill/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_lattice_options {
    uint32_t struct_size;
    int32_t format; /* a block format that is written; 0: the matrices are float32 again */
    /* of IQ4_NL, Q4_K and Q5_K, whose scales take a search: after how many optimizer steps it is
     * done again; in between only codes are rounded. 0: 16. Other formats have new scales in every
     * pass */
    int32_t every;
    int32_t reserved;
} kd_lattice_options;
#define KD_LATTICE_OPTIONS_INIT                                                                    \
    {                                                                                              \
        (uint32_t)sizeof(kd_lattice_options), KD_BLOCK_Q4_0, 0, 0                                  \
    }
KD_API void kd_lattice_options_init(kd_lattice_options *options, size_t size);

/* Puts the matrices whose name matches the pattern (* and ?; NULL: "*_proj.weight") on a lattice,
 * or with format 0 off it. Another call may put others on another format: "*embed_tokens.weight" in
 * Q8_0. Passes, generators, kd_model_save and kd_model_write_gguf see the lattice's points;
 * kd_model_parameters, optimizers and checkpoints the float32 numbers.
 * - Takes 4 bytes for each parameter, and the blocks.
 * - Optimizers: a weight decay moves numbers over thresholds to no purpose; leave it 0 for these.
 * Errors: KD_ERR_NOT_FOUND (nothing matches), KD_ERR_SHAPE (a matrix whose rows do not fit: the
 * message names it), KD_ERR_UNSUPPORTED (not a language model, a format that is only read, 8-bit
 * weights), KD_ERR_STATE (adapters; a step is open). After an error the model is as before. */
KD_API kd_status kd_model_set_lattice(kd_model *model, const char *pattern,
                                      const kd_lattice_options *options);

typedef struct kd_lattice_info {
    uint32_t struct_size;
    int32_t matrices;
    int64_t numbers; /* of theirs */
    double bits;     /* for each of them */
    double error;    /* root of the mean squared difference to the float32 numbers, over these */
    /* share of numbers with another code than at the last call; 0 at the first: training that
     * swings over thresholds shows here */
    double changed_share;
    double clipped_share; /* of numbers beyond their block's ends, whose gradient is 0 */
} kd_lattice_info;

/* About the lattice of now. KD_ERR_STATE: the model has none. */
KD_API kd_status kd_model_get_lattice_info(kd_model *model, kd_lattice_info *info);

#ifdef __cplusplus
}
#endif
#endif
