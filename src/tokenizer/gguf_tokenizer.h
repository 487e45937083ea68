#ifndef KD_TOKENIZER_GGUF_TOKENIZER_H
#define KD_TOKENIZER_GGUF_TOKENIZER_H

#include "base/gguf.h"
#include "tokenizer/tokenizer.h"

/* The tokenizer of a file's metadata, as the text of a tokenizer.json. */
kd_status kd__gguf_tokenizer_text(const kd__gguf *file, kd__text *to);
/* How a family's tokenizer.json cuts text, by its name in GGUF. */
typedef struct kd__gguf_cut {
    const char *name, *pattern;              /* the expression of its Split */
    int32_t digits, composed, ignore_merges; /* each digit alone; NFC before; of the model */
} kd__gguf_cut;
extern const char kd__gpt2_pattern[]; /* which ByteLevel has too when use_regex is on */
/* NULL: not known; the tokenizer's has no name. */
const kd__gguf_cut *kd__gguf_cut_named(const char *name);
const kd__gguf_cut *kd__gguf_cut_of(const kd_tokenizer *tokenizer);

#endif
