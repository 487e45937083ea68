#ifndef KD_TOKENIZER_GGUF_TOKENIZER_H
#define KD_TOKENIZER_GGUF_TOKENIZER_H

#include "base/gguf.h"
#include "tokenizer/tokenizer.h"

/* The tokenizer of a file's metadata, as the text of a tokenizer.json. */
kd_status kd__gguf_tokenizer_text(const kd__gguf *file, kd__text *to);
/* The pre-tokenizer of a name in GGUF as JSON (what tokenizer.json has there), with its normalizer; 0: not known. */
int kd__gguf_cut(const char *name, const char **normalizer, const char **pre_tokenizer);

/* Regular expressions of the families: 0 GPT-2, 1 Llama 3, 2 Qwen2. */
const char *kd__gguf_pattern(int family);

#endif
