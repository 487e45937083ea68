/* Added tokens of tokenizer.json, their ids those of the tokenizers package. */
#ifndef KD_TOKENIZER_ADDED_H
#define KD_TOKENIZER_ADDED_H

#include "language/tokenizer/tokenizer.h"

/* After the vocabulary was read and indexed. `most`: the highest id that the file may name. */
kd_status kd__added_read(kd_tokenizer *t, const char *what, const kd__json *list, int64_t most);
/* After the index knows the added tokens too: none is there under two ids. */
kd_status kd__added_check(const kd_tokenizer *t, const char *what);
/* The id that the package gives the next token that is added: a token may have it already, where
 * the vocabulary's ids have gaps. */
int64_t kd__added_next(const kd_tokenizer *t);

#endif
