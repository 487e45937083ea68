/* Language models in GGUF files: tensors and config under the names of a Hugging Face folder. */
#ifndef KD_GGUF_GGUF_MODEL_H
#define KD_GGUF_GGUF_MODEL_H

#include "formats/gguf.h"
#include "base/text.h"
#include "language/decoder/decoder.h"

/* The ends of yarn's ramp, in turns within the original length: llama.cpp reads other ones for
 * other architectures only. */
enum { KD__GGUF_BETA_FAST = 32, KD__GGUF_BETA_SLOW = 1 };

/* A config of transformers' keys from the metadata. */
kd_status kd__gguf_config(const kd__gguf *file, kd__text *to);
extern const kd__model_format kd__gguf_format;
/* The name of a tensor there; 0: it has none. */
int kd__gguf_name(const char *ours, char theirs[KD_NAME_BYTES]);
/* Where row `row` of our tensor lies in theirs. */
int64_t kd__gguf_row(const kd__trunk_config *decoder, const char *name, int64_t row);
/* Which of our rows lies at row `row` of theirs. */
int64_t kd__gguf_row_back(const kd__trunk_config *decoder, const char *name, int64_t row);

#endif
