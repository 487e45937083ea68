/* kdistill/tokenizer.h - text to token ids and back; chat formats. Since 0.2.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_tokenizer_load(&tokenizer, context, folder);
 *   2.  kd_tokenizer_encode(tokenizer, text, -1, KD_TOKENIZER_ADD_SPECIAL, ids, capacity, &count);
 *   3.  kd_tokenizer_decode(tokenizer, ids, count, 0, text, capacity, &bytes);
 *   4.  kd_chat_render(tokenizer, messages, 2, NULL, &rendered);
 *
 * Reads tokenizer.json of Hugging Face's tokenizers: byte pair encoding of bytes (GPT-2, Llama 3,
 * Qwen, SmolLM) or of characters with byte fallback (Llama 2, TinyStories), and WordPiece (BERT,
 * MiniLM). Ids are equal to that package's.
 * - Unsupported features, and added tokens whose id differs from the package's, are rejected by
 *   name on loading: KD_ERR_UNSUPPORTED.
 * - The file's "truncation" and "padding" are not applied: kd_tokenizer_get_info tells them.
 * - Text is UTF-8; invalid UTF-8 is KD_ERR_FORMAT, with the position.
 * - Only kd_tokenizer_add and kd_tokenizer_rename change a tokenizer; otherwise threads may share
 *   it. */
#ifndef KDISTILL_TOKENIZER_H
#define KDISTILL_TOKENIZER_H

#include <kdistill/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_tokenizer kd_tokenizer;
typedef struct kd_detokenizer kd_detokenizer;

/* Loads a folder with tokenizer.json (or .gz), such a file, or a GGUF file. A folder's chat
 * template comes from chat_template.jinja, additional_chat_templates/, tokenizer_config.json or
 * chat_template.json. */
KD_API kd_status kd_tokenizer_load(kd_tokenizer **out, kd_context *context, const char *path);
KD_API void kd_tokenizer_free(kd_tokenizer *tokenizer);

/* encode: adds what the file's post-processor puts around a text (a begin token, for most
 * Llamas) */
#define KD_TOKENIZER_ADD_SPECIAL 1
/* decode: leaves out special tokens, except, as the package does, those that the normalizer
 * changes */
#define KD_TOKENIZER_SKIP_SPECIAL 2

/* Token ids of `bytes` bytes of text (-1: up to its 0). *count is their number; they are written if
 * `capacity` suffices. ids NULL: only count. Added tokens are recognized anywhere in the text.
 * KD_ERR_RANGE: capacity is too small (*count is set). */
KD_API kd_status kd_tokenizer_encode(kd_tokenizer *tokenizer, const char *text, int64_t bytes,
                                     int32_t flags, int32_t *ids, int64_t capacity, int64_t *count);

/* kd_tokenizer_encode, plus where each token ends in bytes of the text: (capacity) ends, never
 * decreasing, from 0, for kd_align_find_chunks. ends may be NULL.
 * - A token that is part of a character ends at its own last byte.
 * - If the normalizer changes characters, a token ends where the last character that went into it
 *   ends in the original text.
 * - What the tokenizer inserts (a leading space, KD_TOKENIZER_ADD_SPECIAL), and a token that
 *   overlaps an earlier one, ends where the text before it does.
 * - White space that an added token absorbs belongs to the token.
 * - The package's offsets differ for insertions, parts of characters (they end with the character),
 *   characters that a normalizer joins or reorders, and after unknown characters without an unknown
 *   token, which they do not count. */
KD_API kd_status kd_tokenizer_encode_ends(kd_tokenizer *tokenizer, const char *text, int64_t bytes,
                                          int32_t flags, int32_t *ids, int64_t *ends,
                                          int64_t capacity, int64_t *count);

/* A pair of texts as the file's post-processor joins them, ([CLS] a [SEP] b [SEP] for BERT), with
 * the type (also called segment) of each token: (capacity) ids and types, each may be NULL.
 * `second` NULL: one text, with its types.
 * - flags: KD_TOKENIZER_ADD_SPECIAL; without it the texts and their types alone. The types are the
 *   file's: 0 and 1 for BERT, 0 alone for RoBERTa, 0 and 1 where it has no post-processor.
 * - KD_ERR_UNSUPPORTED: the file's template does not have both texts once.
 * - KD_ERR_RANGE: capacity is too small (*count is set). */
KD_API kd_status kd_tokenizer_encode_pair(kd_tokenizer *tokenizer, const char *first,
                                          int64_t first_bytes, const char *second,
                                          int64_t second_bytes, int32_t flags, int32_t *ids,
                                          int32_t *types, int64_t capacity, int64_t *count);

/* The text of ids, with a terminating 0. *bytes is its length without the 0; `capacity` counts the
 * 0.
 * - text NULL: only count.
 * - What is not UTF-8 becomes U+FFFD.
 * - Ids without a token are left out.
 * - KD_ERR_RANGE: negative ids, or capacity is too small. */
KD_API kd_status kd_tokenizer_decode(kd_tokenizer *tokenizer, const int32_t *ids, int64_t count,
                                     int32_t flags, char *text, int64_t capacity, int64_t *bytes);

/* The highest id + 1: the rows that an embedding needs. */
KD_API kd_status kd_tokenizer_vocabulary_size(kd_tokenizer *tokenizer, int64_t *vocabulary_size);

/* What the file's "truncation" and "padding" ask for, which encoding never does: packed batches
 * need no padding, and the cut is the caller's. The file's cut is often not the model's: that of
 * all-MiniLM-L6-v2 is 128 here, 256 in sentence_bert_config.json, which counts, and 512 in
 * config.json. */
typedef struct kd_tokenizer_info {
    uint32_t struct_size;
    int32_t padding_token; /* its id; -1: none */
    int32_t padding_type;  /* the type of padding tokens */
    int32_t reserved;
    int64_t max_tokens;     /* of a text, KD_TOKENIZER_ADD_SPECIAL included; 0: no cut */
    int64_t padding_tokens; /* that each text is padded to; 0: to the longest; -1: no padding */
} kd_tokenizer_info;
KD_API kd_status kd_tokenizer_get_info(kd_tokenizer *tokenizer, kd_tokenizer_info *info);

/* Flags of a token. */
#define KD_TOKEN_SPECIAL 1
#define KD_TOKEN_ADDED 2

/* A token as its file writes it ("\u0120the" for " the"); lives as long as the tokenizer. flags may
 * be NULL. KD_ERR_NOT_FOUND: no token. */
KD_API kd_status kd_tokenizer_token(kd_tokenizer *tokenizer, int32_t id, const char **token,
                                    int32_t *flags);
/* Its id. KD_ERR_NOT_FOUND. */
KD_API kd_status kd_tokenizer_token_id(kd_tokenizer *tokenizer, const char *token, int32_t *id);

/* The bytes that a token represents in a text: "\u0120the" of one file and "\u2581the" of another
 * are " the"; "<0x0A>" is a line feed if the file's decoder says so. A part of a character is not
 * UTF-8.
 * - *count is their number; they are written, without a 0, if `capacity` suffices.
 * - bytes NULL: only count. flags may be NULL.
 * - KD_ERR_NOT_FOUND: no token. KD_ERR_RANGE: capacity. */
KD_API kd_status kd_tokenizer_token_bytes(kd_tokenizer *tokenizer, int32_t id, char *bytes,
                                          int64_t capacity, int64_t *count, int32_t *flags);
/* Which tokens two tokenizers share: map[id] is the id in `other` of the token that represents the
 * same bytes, or -1; (capacity) map, one entry per id of `tokenizer`. *shared (may be NULL): how
 * many have a partner.
 * - Special tokens are paired only with special tokens of the same text.
 * - One to one: if several tokens of a file represent the same bytes, the first counts, and single
 *   bytes by number ("<0x41>") come last. */
KD_API kd_status kd_tokenizer_map(kd_tokenizer *tokenizer, kd_tokenizer *other, int32_t *map,
                                  int64_t capacity, int64_t *shared);

/* ---- what ends a text ---- */

#define KD_END_TOKEN_NONE (-1)    /* no end token */
#define KD_END_TOKEN_DEFAULT (-2) /* the tokenizer's own */

/* The ids that end a text, each once, from the files beside tokenizer.json. A text that is written
 * (by a packer, in a GGUF file) ends with the first; any of them ends a text that is generated.
 * - "eos_token" of tokenizer_config.json and special_tokens_map.json; "eos_token_id" of
 *   generation_config.json (a number or a list), or of config.json if none of these names one;
 * - of a GGUF file: the eos, eot and eom tokens;
 * - then what ends an assistant's turn in the folder's chats.
 * *ids lives as long as the tokenizer; *count is 0 if nothing is named. Names and ids that are not
 * tokens are ignored. ids may be NULL. */
KD_API kd_status kd_tokenizer_end_tokens(kd_tokenizer *tokenizer, const int32_t **ids,
                                         int32_t *count);
/* What begins a text, from "bos_token" and "bos_token_id" of the same files, else what
 * KD_TOKENIZER_ADD_SPECIAL puts first; -1: none. */
KD_API kd_status kd_tokenizer_begin_token(kd_tokenizer *tokenizer, int32_t *id);

/* ---- streaming text ---- */

/* Turns ids into text one by one, in whole characters. flags: KD_TOKENIZER_SKIP_SPECIAL. Keeps the
 * tokenizer alive. */
KD_API kd_status kd_detokenizer_create(kd_detokenizer **out, kd_tokenizer *tokenizer,
                                       int32_t flags);
KD_API void kd_detokenizer_free(kd_detokenizer *detokenizer);
/* Takes an id and returns the text that it completes ("" while a character is incomplete), valid
 * until the next call. All pieces, plus that of kd_detokenizer_finish, make the text of
 * kd_tokenizer_decode for all ids. *bytes (may be NULL): its length. */
KD_API kd_status kd_detokenizer_push(kd_detokenizer *detokenizer, int32_t id, const char **text,
                                     int64_t *bytes);
/* The rest, as kd_tokenizer_decode would end the text; then starts over. */
KD_API kd_status kd_detokenizer_finish(kd_detokenizer *detokenizer, const char **text,
                                       int64_t *bytes);

/* tokens with their ids, merges, and the processing of texts before them */
#define KD_HASH_TOKENIZER 0
#define KD_HASH_TEMPLATE 1 /* the chat template's text */
#define KD_HASH_BYTES 33   /* 32 hexadecimal digits and a 0 */

/* A hash by which a store or a host recognizes a tokenizer: equal for equal content, in any file.
 * `text`: room for KD_HASH_BYTES. KD_ERR_NOT_FOUND: it has no chat template. */
KD_API kd_status kd_tokenizer_hash(kd_tokenizer *tokenizer, int32_t what, char *text);

/* ---- changing and comparing ---- */

/* Adds a token at the next free id, or finds it: *id. Models get its row from
 * kd_model_resize_vocabulary. KD_TOKENIZER_SKIP_SPECIAL leaves out special tokens.
 * - The next free id follows the last added token or, if larger, is the number of the vocabulary's
 *   tokens: as readers of the saved file count.
 * - KD_ERR_UNSUPPORTED: another token has that id, because the vocabulary's ids have gaps. */
KD_API kd_status kd_tokenizer_add(kd_tokenizer *tokenizer, const char *token, int32_t special,
                                  int32_t *id);
/* Gives an added token another text; its id stays. KD_ERR_INVALID: the name is taken, or the token
 * is one of the model's own. */
KD_API kd_status kd_tokenizer_rename(kd_tokenizer *tokenizer, const char *token, const char *name);
/* Writes tokenizer.json, with all changes, into a folder (created if needed). */
KD_API kd_status kd_tokenizer_save(kd_tokenizer *tokenizer, const char *folder);

/* Compares two tokenizers, id by id: *differences counts the ids whose token differs or that only
 * one has.
 * - text (may be NULL): a new list of the first `limit` differences, freed by kd_context_free_text.
 * - allowed (may be NULL): patterns (* and ?); tokens of either that match do not count. */
KD_API kd_status kd_tokenizer_compare(kd_tokenizer *tokenizer, kd_tokenizer *other,
                                      const char *const *allowed, int32_t allowed_count,
                                      int32_t limit, int64_t *differences, char **text);

/* ---- chats ---- */

/* One turn of a chat. */
typedef struct kd_message {
    /* "system", "user", "assistant", "tool", or another that the template knows */
    const char *role;
    const char *content; /* UTF-8; "": none */
    /* JSON object of the turn's other members, passed to the template ("reasoning_content",
     * "tool_calls", "name", "tool_call_id"); NULL: none */
    const char *extra;
    int32_t skip; /* 1: an assistant's turn that is not learned */
    int32_t reserved;
} kd_message;
/* A turn with only two texts: (kd_message)KD_MESSAGE("user", "Hello") */
#define KD_MESSAGE(role, content)                                                                  \
    {                                                                                              \
        (role), (content), NULL, 0, 0                                                              \
    }

#define KD_CHAT_PLAIN (-1) /* begin token, prompt, completion, end token */
/* renders the folder's own template (docs/chat-templates.md); KD_ERR_UNSUPPORTED if it has none, or
 * one that needs something unsupported */
#define KD_CHAT_AUTO 0
#define KD_CHAT_CHATML 1 /* <|im_start|>role\ncontent<|im_end|>\n  (Qwen, SmolLM2) */
#define KD_CHAT_LLAMA3 2 /* <|start_header_id|>role<|end_header_id|>\n\ncontent<|eot_id|> */
#define KD_CHAT_LLAMA2 3 /* <s>[INST] <<SYS>>\nsystem\n<</SYS>>\n\nuser [/INST] assistant </s> */
/* DeepSeek-R1: <|User|>content<|Assistant|>content<|end_of_sentence|>, with the family's own bars;
 * <think> opens the answer to be generated, and earlier turns lose their reasoning up to
 * </think> */
#define KD_CHAT_DEEPSEEK 4

/* generation_prompt: how the text ends. The last two end inside the last turn, right after what it
 * says so far (transformers' continue_final_message), so that a model can continue it; trailing
 * white space is kept if the template keeps it. KD_ERR_UNSUPPORTED: the template changes that
 * text. */
#define KD_CHAT_PROMPT_NONE 0     /* as the template ends a finished chat */
#define KD_CHAT_PROMPT_ANSWER 1   /* where the assistant's next answer begins */
#define KD_CHAT_PROMPT_CONTINUE 2 /* after the content of the last turn */
/* after its reasoning_content (or reasoning, thinking) */
#define KD_CHAT_PROMPT_CONTINUE_THOUGHT 3

/* keep_reasoning: what a turn thought, in its reasoning_content (also reasoning, thinking) or
 * before a </think> in its content.
 * - -1: the template decides.
 * - 0: dropped from every turn.
 * - 1: kept in every turn of the assistant, even if the template drops it from earlier ones: such a
 *   turn is rendered as if nothing followed it. KD_ERR_UNSUPPORTED: the template has no place for
 *   it. */
typedef struct kd_chat_options {
    uint32_t struct_size;
    int32_t format;
    int32_t generation_prompt; /* KD_CHAT_PROMPT_NONE .. */
    int32_t keep_reasoning;
    const char *tools; /* JSON array of the tools that may be called; NULL: none */
    /* JSON object of further variables of the template: {"enable_thinking": false}; NULL: none */
    const char *variables;
    /* the time for a template's date, in seconds since 1970, UTC; 0: the clock, in local time */
    int64_t now;
} kd_chat_options;
#define KD_CHAT_OPTIONS_INIT                                                                       \
    {                                                                                              \
        (uint32_t)sizeof(kd_chat_options), KD_CHAT_AUTO, 0, -1, NULL, NULL, 0                      \
    }
KD_API void kd_chat_options_init(kd_chat_options *options, size_t size);

/* The format that renders like the folder's template (determined by rendering some chats with
 * both): KD_CHAT_CHATML ..., or KD_CHAT_AUTO: none of them, or the folder has no template. */
KD_API kd_status kd_tokenizer_chat_format(kd_tokenizer *tokenizer, int32_t *format);
/* The text of a chat: a new block, freed by kd_context_free_text. A template sees each turn's role,
 * content and members of `extra`, tools, variables, add_generation_prompt and the folder's special
 * tokens (bos_token ..). KD_ERR_INVALID: the template rejects the chat, with its line;
 * KD_ERR_RANGE: it does more work than a chat can need. */
KD_API kd_status kd_chat_render(kd_tokenizer *tokenizer, const kd_message *messages, int32_t count,
                                const kd_chat_options *options, char **text);
/* The ids of a chat, and (capacity) uint8 `answer` (may be NULL), the mask of a loss: 1 for what
 * the assistant says, its end mark included, in turns that are not skipped. The mask comes from the
 * template's generation blocks, else from rendering parts of the chat; KD_ERR_UNSUPPORTED names a
 * turn that cannot be located reliably. */
KD_API kd_status kd_chat_encode(kd_tokenizer *tokenizer, const kd_message *messages, int32_t count,
                                const kd_chat_options *options, int32_t *ids, uint8_t *answer,
                                int64_t capacity, int64_t *tokens);

#ifdef __cplusplus
}
#endif
#endif
