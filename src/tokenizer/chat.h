/* Chat templates: which one a folder has, and their texts. */
#ifndef KD_TOKENIZER_CHAT_H
#define KD_TOKENIZER_CHAT_H

#include "tokenizer/tokenizer.h"

/* Reads chat_template.jinja, or chat_template of tokenizer_config.json, when the folder has one, and tells its format. */
kd_status kd__chat_template_read(kd_tokenizer *tokenizer, const char *folder);

kd_status kd__chat_template_take(kd_tokenizer *tokenizer, const char *text, int64_t bytes);

#endif
