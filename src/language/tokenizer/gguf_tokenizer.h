/* Tokenizers in GGUF files. */
#ifndef KD_TOKENIZER_GGUF_TOKENIZER_H
#define KD_TOKENIZER_GGUF_TOKENIZER_H

#include "formats/gguf.h"
#include "language/tokenizer/tokenizer.h"

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

/* The most bytes of a character model's token: the merges of one are found by cutting it
 * everywhere. */
#define KD__GGUF_LONGEST 512
/* The most merges, for each token. Two or three are usual; many more would be a small file that is
 * a huge list. */
#define KD__GGUF_MOST_WAYS 64

/* What a file cannot say of a tokenizer is refused by name. pairs, made: the merges by rank, left
 * << 32 | right and the token that they make, -1 for none. */
kd_status kd__gguf_check_added(const kd_tokenizer *tokenizer);
kd_status kd__gguf_check_bytes(const kd_tokenizer *tokenizer);
kd_status kd__gguf_check_merges(const kd_tokenizer *tokenizer, const uint64_t *pairs,
                                const int32_t *made, int64_t count);

#endif
