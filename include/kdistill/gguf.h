/* kdistill/gguf.h - language models as GGUF files, for llama.cpp.   SPDX-License-Identifier: Apache-2.0
 *
 * GGUF files are read by kd_model_load and kd_tokenizer_load.                                                       */
#ifndef KDISTILL_GGUF_H
#define KDISTILL_GGUF_H

#include <kdistill/model.h>
#include <kdistill/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes a model and its tokenizer as one GGUF file (version 3), beside its place and moved in. dtype: KD_FLOAT32, KD_FLOAT16, or KD_INT8: Q8_0,
 * 8 bits with a scale for every 32 numbers (matrices whose rows are no multiple of 32 stay float16). Vectors are float32. Shared layers are
 * written out. end_token: the id that ends a text, -1: none is written. Errors: KD_ERR_UNSUPPORTED (windows, dynamic rope scaling, or a tokenizer
 * whose cutting has no name in such files: known are those of GPT-2, Llama 3, Qwen2, SmolLM and character models).                */
KD_API kd_status kd_gguf_save(kd_model *model, kd_tokenizer *tokenizer, const char *path, int32_t dtype, int32_t end_token);

#ifdef __cplusplus
}
#endif
#endif
