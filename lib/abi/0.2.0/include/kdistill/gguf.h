/* kdistill/gguf.h - language models as GGUF files, for llama.cpp. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_gguf_options options = KD_GGUF_OPTIONS_INIT;            Q4_K, llama.cpp's mixture _M
 *   2.  options.format = KD_BLOCK_Q4_0;
 *   3.  kd_model_plan_gguf(model, &options, &info);                how large, how far away
 *   4.  kd_model_write_gguf(model, tokenizer, "student.gguf", &options, &info);
 *   5.  kd_model_load(&again, context, "student.gguf", NULL);
 *   6.  kd_tokenizer_load(&its_tokenizer, context, "student.gguf"); */
#ifndef KDISTILL_GGUF_H
#define KDISTILL_GGUF_H

#include <kdistill/block.h>
#include <kdistill/importance.h>
#include <kdistill/model.h>
#include <kdistill/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which matrices get more bits than the format says. */
#define KD_MIX_PURE 0   /* none: every matrix is in the format */
#define KD_MIX_SMALL 1  /* as llama-quantize does for Q4_K_S, Q5_K_S and Q4_0 */
#define KD_MIX_MEDIUM 2 /* as it does for Q4_K_M, Q5_K_M; other formats have one mixture */

/* Matrices whose name matches (* and ?), under the model's name for them or the file's
 * ("blk.0.ffn_down.weight"), get this format: KD_FLOAT32, KD_FLOAT16, KD_BFLOAT16 or a block
 * format. */
typedef struct kd_gguf_rule {
    const char *pattern;
    int32_t format;
    int32_t reserved;
} kd_gguf_rule;

typedef struct kd_gguf_options {
    uint32_t struct_size;
    /* KD_FLOAT32, KD_FLOAT16, KD_BFLOAT16 or a block format; 0: for a model on a lattice
     * (lattice.h), its blocks unchanged, and the other matrices, embeddings and head, in Q8_0 */
    int32_t format;
    int32_t mixture; /* KD_MIX_PURE .. */
    /* of embeddings and head; 0: what the mixture says (Q6_K, or Q8_0 where rows do not fit) */
    int32_t head;
    int32_t end_token; /* as in kd_model_save_gguf */
    int32_t rule_count;
    const kd_gguf_rule *rules; /* the first that matches counts, before the mixture */
    const char *name;          /* general.name; NULL: none */
    /* what errors weigh in searches for scales; of this model, or one of its shape. NULL: none */
    kd_importance *importance;
} kd_gguf_options;
#define KD_GGUF_OPTIONS_INIT                                                                       \
    {                                                                                              \
        (uint32_t)sizeof(kd_gguf_options), KD_BLOCK_Q4_K, KD_MIX_MEDIUM, 0, KD_END_TOKEN_DEFAULT,  \
            0, NULL, NULL, NULL                                                                    \
    }
KD_API void kd_gguf_options_init(kd_gguf_options *options, size_t size);

typedef struct kd_gguf_info {
    uint32_t struct_size;
    /* matrices that got another format because their rows are no multiple of 256, or of 32 */
    int32_t fallbacks;
    /* the model's name of the first of them, as long as the model lives; NULL: there is none */
    const char *fallback;
    int32_t wanted, used; /* its formats: what it should have got, and what it got */
    int64_t bytes;        /* of all tensors in the file */
    double bits;          /* for each number of a matrix */
    double error;         /* root of the mean squared error of the matrices, over their own */
    int64_t vanished;     /* blocks so small that their float16 scale is 0, and all became 0 */
} kd_gguf_info;

/* Writes a model and its tokenizer as one GGUF file (version 3), to a temporary name that is then
 * renamed. Shared layers are written out, vectors are float32. options NULL: the defaults; info
 * NULL: not wanted.
 * - A matrix whose rows do not fit a format gets llama.cpp's own substitute: Q4_K becomes Q5_0,
 *   Q5_K Q5_1, Q6_K Q8_0; where rows are not a multiple of 32 it is float16. info counts them, the
 *   context's logger gets a warning for each. With KD_MIX_PURE that is KD_ERR_SHAPE, except for
 *   float16.
 * - KD_ERR_RANGE: a number that is not finite, or scales beyond float16; the message has the
 *   tensor's name, and no file is left.
 * - Matrices on a lattice are written as passes see them, nothing is rounded again;
 *   KD_ERR_MISMATCH: another format is asked for.
 * - KD_ERR_NOT_FOUND: a rule that matches nothing.
 * - KD_ERR_UNSUPPORTED: sliding windows, dynamic rope scaling, or a tokenizer whose pre-tokenizer
 *   has no name in GGUF (known: GPT-2, Llama 3, Qwen2, SmolLM and character models); a format that
 *   is only read. */
KD_API kd_status kd_model_write_gguf(kd_model *model, kd_tokenizer *tokenizer, const char *path,
                                     const kd_gguf_options *options, kd_gguf_info *info);

/* The same info, and the same errors of the model, but nothing is written. */
KD_API kd_status kd_model_plan_gguf(kd_model *model, const kd_gguf_options *options,
                                    kd_gguf_info *info);

/* Writes every matrix in one format, without options.
 * - dtype: KD_FLOAT32, KD_FLOAT16, or KD_INT8: Q8_0, 8 bits with one scale per 32 numbers (matrices
 *   whose rows are not a multiple of 32 stay float16). Vectors are float32.
 * - end_token: the id that ends a text. KD_END_TOKEN_DEFAULT: the tokenizer's own, and the token
 *   that ends a chat turn if it is a different one. KD_END_TOKEN_NONE: none is written.
 * Errors: those of kd_model_write_gguf. */
KD_API kd_status kd_model_save_gguf(kd_model *model, kd_tokenizer *tokenizer, const char *path,
                                    int32_t dtype, int32_t end_token);

#ifdef __cplusplus
}
#endif
#endif
