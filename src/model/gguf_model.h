#ifndef KD_MODEL_GGUF_MODEL_H
#define KD_MODEL_GGUF_MODEL_H

#include "base/gguf.h"
#include "base/text.h"
#include "model/decoder.h"

/* A config of transformers' keys from the metadata. */
kd_status kd__gguf_config(const kd__gguf *file, kd__text *to);
kd_status kd__gguf_load(kd_model **out, kd_context *context, const char *path, const kd_model_options *options);
/* The name of a tensor there; 0: it has none. */
int kd__gguf_name(const char *ours, char theirs[KD_MAX_NAME]);
/* Where row `row` of our tensor lies in theirs. */
int64_t kd__gguf_row(const kd__decoder *decoder, const char *name, int64_t row);
/* Which of our rows lies at row `row` of theirs. */
int64_t kd__gguf_row_back(const kd__decoder *decoder, const char *name, int64_t row);

#endif
