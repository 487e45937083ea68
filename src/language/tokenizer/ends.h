/* What begins and ends a text, out of the files beside a tokenizer. */
#ifndef KD_TOKENIZER_ENDS_H
#define KD_TOKENIZER_ENDS_H

#include "formats/gguf.h"
#include "language/tokenizer/tokenizer.h"

kd_status kd__ends_read(kd_tokenizer *tokenizer, const char *folder);
void kd__ends_read_gguf(kd_tokenizer *tokenizer, const kd__gguf *file);
/* The end of an assistant's turn in the folder's chats, after the template was read. */
kd_status kd__ends_of_turn(kd_tokenizer *tokenizer);
/* KD_END_TOKEN_DEFAULT, KD_END_TOKEN_NONE or an id that a host gave: the id, KD_END_TOKEN_NONE for
 * none. tokenizer may be NULL. */
kd_status kd__end_token(kd_tokenizer *tokenizer, int32_t asked, int32_t *id);

#endif
