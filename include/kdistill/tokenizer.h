/* kdistill/tokenizer.h - text to token ids and back, chat formats.   SPDX-License-Identifier: Apache-2.0
 *
 * Reads tokenizer.json of Hugging Face's tokenizers: byte pair encoding of bytes (GPT-2, Llama 3, Qwen, SmolLM) or of characters with byte
 * fallback (Llama 2, TinyStories). Ids are equal to that package's; what it has and this library has not is refused by name when the file
 * is loaded. "truncation" and "padding" of the file are not applied. Text is UTF-8; damaged UTF-8 is KD_ERR_FORMAT with the place.
 * A loaded tokenizer does not change but by kd_tokenizer_add and kd_tokenizer_rename: threads may share it for everything else.      */
#ifndef KDISTILL_TOKENIZER_H
#define KDISTILL_TOKENIZER_H

#include <kdistill/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_tokenizer kd_tokenizer;
typedef struct kd_detokenizer kd_detokenizer;

/* A folder with tokenizer.json (or .gz; chat_template.jinja or tokenizer_config.json beside it tell the chat format), or such a file, or a GGUF file. */
KD_API kd_status kd_tokenizer_load(kd_tokenizer **out, kd_context *context, const char *path);
KD_API void kd_tokenizer_free(kd_tokenizer *tokenizer);

#define KD_ADD_SPECIAL 1  /* encode: what the file's post-processor puts around a text (a token that begins it, for most Llamas) */
#define KD_SKIP_SPECIAL 2 /* decode: special tokens are left out                                                              */

/* Token ids of `bytes` bytes of text (-1: up to its 0). *count is how many there are; they are written when `room` is enough. ids NULL: only
 * counted. Added tokens are found in the text wherever they stand. KD_ERR_RANGE: room is too small (*count is set).                   */
KD_API kd_status kd_tokenizer_encode(kd_tokenizer *tokenizer, const char *text, int64_t bytes, int32_t flags, int32_t *ids, int64_t room,
                                     int64_t *count);

/* The text of ids, with a 0 behind it; *bytes is its length without the 0, and `room` counts the 0. text NULL: only counted. What is no
 * UTF-8 comes out as U+FFFD. Ids that are no token are left out; negative ones are KD_ERR_RANGE, as is a room that is too small.     */
KD_API kd_status kd_tokenizer_decode(kd_tokenizer *tokenizer, const int32_t *ids, int64_t count, int32_t flags, char *text, int64_t room,
                                     int64_t *bytes);

/* The highest id + 1: what an embedding must have rows for. */
KD_API kd_status kd_tokenizer_size(kd_tokenizer *tokenizer, int64_t *size);

#define KD_TOKEN_SPECIAL 1 /* flags of a token */
#define KD_TOKEN_ADDED 2

/* A token as its file writes it ("\u0120the" for " the"); lives as long as the tokenizer. flags may be NULL. KD_ERR_NOT_FOUND: no token. */
KD_API kd_status kd_tokenizer_token(kd_tokenizer *tokenizer, int32_t id, const char **token, int32_t *flags);
/* Its id. KD_ERR_NOT_FOUND. */
KD_API kd_status kd_tokenizer_id(kd_tokenizer *tokenizer, const char *token, int32_t *id);

/* ---- text as it comes ---- */

/* Turns ids into text one by one, only whole characters. flags: KD_SKIP_SPECIAL. Keeps the tokenizer alive. */
KD_API kd_status kd_detokenizer_create(kd_detokenizer **out, kd_tokenizer *tokenizer, int32_t flags);
KD_API void kd_detokenizer_free(kd_detokenizer *detokenizer);
/* Takes an id and gives the text that it completes ("" while a character is not whole); valid until the next call. All pieces, and
 * what kd_detokenizer_finish gives, are the text that kd_tokenizer_decode makes of all ids. *bytes (may be NULL): its length.     */
KD_API kd_status kd_detokenizer_push(kd_detokenizer *detokenizer, int32_t id, const char **text, int64_t *bytes);
/* What is left, as kd_tokenizer_decode would end it; begins anew. */
KD_API kd_status kd_detokenizer_finish(kd_detokenizer *detokenizer, const char **text, int64_t *bytes);

/* ---- changing and comparing ---- */

/* Adds a token at the next free id, or finds it: *id. Special tokens are left out by KD_SKIP_SPECIAL. kd_model_resize gives models rows for it. */
KD_API kd_status kd_tokenizer_add(kd_tokenizer *tokenizer, const char *token, int32_t special, int32_t *id);
/* An added token gets another text; its id stays. KD_ERR_INVALID: the name is taken, or the token is one of the model's own. */
KD_API kd_status kd_tokenizer_rename(kd_tokenizer *tokenizer, const char *token, const char *name);
/* Writes tokenizer.json into a folder (made if it is not there), changes included. */
KD_API kd_status kd_tokenizer_save(kd_tokenizer *tokenizer, const char *folder);

/* Compares ids, token by token: *differences counts ids whose token differs or that only one has, `text` (may be NULL) is a new list of
 * the first `limit` ones, freed by kd_text_free. `allowed` (may be NULL) are patterns (* and ?) of tokens of either whose difference does not count. */
KD_API kd_status kd_tokenizer_compare(kd_tokenizer *tokenizer, kd_tokenizer *other, const char *const *allowed, int32_t allowed_count,
                                      int32_t limit, int64_t *differences, char **text);
KD_API void kd_text_free(kd_context *context, char *text);

/* ---- chats ---- */

typedef struct kd_message {
    const char *role; /* "system", "user", "assistant" */
    const char *content;
} kd_message;

#define KD_CHAT_AUTO 0     /* what the folder's template is; KD_ERR_UNSUPPORTED for one that is not known: the host renders it itself */
#define KD_CHAT_CHATML 1   /* <|im_start|>role\ncontent<|im_end|>\n  (Qwen, SmolLM2); the folder's default system message is kept */
#define KD_CHAT_LLAMA3 2   /* <|start_header_id|>role<|end_header_id|>\n\ncontent<|eot_id|> */
#define KD_CHAT_LLAMA2 3   /* <s>[INST] <<SYS>>\nsystem\n<</SYS>>\n\nuser [/INST] assistant </s> */
#define KD_CHAT_DEEPSEEK 4 /* DeepSeek-R1: <|User|>content<|Assistant|>content<|end_of_sentence|>, with the family's own bars; <think> opens an
                              answer that is asked for, and reasoning up to </think> is left out of turns that are over        */

typedef struct kd_chat_options {
    uint32_t struct_size;
    int32_t format;
    int32_t ask; /* 1: the text ends where the assistant's next answer begins */
    int32_t keep_reasoning; /* DeepSeek-R1: 1: reasoning stays in finished turns (training on it), 0: as its template */
} kd_chat_options;
#define KD_CHAT_OPTIONS_INIT { (uint32_t)sizeof(kd_chat_options), KD_CHAT_AUTO, 0, 1 }
KD_API void kd_chat_options_init(kd_chat_options *options, size_t size);

/* Which format the folder's template is: KD_CHAT_CHATML ..., or KD_CHAT_AUTO: none that is known. */
KD_API kd_status kd_tokenizer_chat_format(kd_tokenizer *tokenizer, int32_t *format);
/* The text of a chat: a new block, freed by kd_text_free. */
KD_API kd_status kd_chat_text(kd_tokenizer *tokenizer, const kd_message *messages, int32_t count, const kd_chat_options *options, char **text);
/* Its ids, and (room) uint8 `answer` (may be NULL): 1 for what the assistant says, its end mark included: the mask of a loss. */
KD_API kd_status kd_chat_encode(kd_tokenizer *tokenizer, const kd_message *messages, int32_t count, const kd_chat_options *options, int32_t *ids,
                                uint8_t *answer, int64_t room, int64_t *tokens);

#ifdef __cplusplus
}
#endif
#endif
