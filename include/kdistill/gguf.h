/* kdistill/gguf.h - language models as GGUF files, for llama.cpp. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_model_save_gguf(model, tokenizer, "student.gguf", KD_INT8, KD_END_TOKEN_DEFAULT);
 *   2.  kd_model_load(&again, context, "student.gguf", NULL);
 *   3.  kd_tokenizer_load(&its_tokenizer, context, "student.gguf"); */
#ifndef KDISTILL_GGUF_H
#define KDISTILL_GGUF_H

#include <kdistill/model.h>
#include <kdistill/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes a model and its tokenizer as one GGUF file (version 3), to a temporary name that is then
 * renamed. Shared layers are written out.
 * - dtype: KD_FLOAT32, KD_FLOAT16, or KD_INT8: Q8_0, 8 bits with one scale per 32 numbers (matrices
 *   whose rows are not a multiple of 32 stay float16). Vectors are float32.
 * - end_token: the id that ends a text. KD_END_TOKEN_DEFAULT: the tokenizer's own, and the token
 *   that ends a chat turn if it is a different one. KD_END_TOKEN_NONE: none is written.
 * - KD_ERR_UNSUPPORTED: sliding windows, dynamic rope scaling, or a tokenizer whose pre-tokenizer
 *   has no name in GGUF (known: GPT-2, Llama 3, Qwen2, SmolLM and character models). */
KD_API kd_status kd_model_save_gguf(kd_model *model, kd_tokenizer *tokenizer, const char *path,
                                    int32_t dtype, int32_t end_token);

#ifdef __cplusplus
}
#endif
#endif
