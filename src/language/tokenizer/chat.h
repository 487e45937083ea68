/* Chats: the templates that a tokenizer has, what they are given, and where in their text the
 * assistant speaks. */
#ifndef KD_TOKENIZER_CHAT_H
#define KD_TOKENIZER_CHAT_H

#include "formats/gguf.h"
#include "language/template/template.h"
#include "language/tokenizer/tokenizer.h"

/* ---- templates ---- */

/* One that cannot be parsed is refused when it is used, not when the tokenizer is loaded. */
typedef struct kd__chat_template {
    kd__template *parsed; /* NULL: there is none, or it was refused */
    kd_status status;     /* KD_OK: there is none */
    char *refusal;
} kd__chat_template;

enum { KD__CHAT_FORMATS = 4 }; /* KD_CHAT_CHATML to KD_CHAT_DEEPSEEK */

typedef struct kd__chats {
    kd__chat_template own, with_tools; /* the folder's: "default" and "tool_use" */
    kd__template *formats[KD__CHAT_FORMATS];
    int32_t format; /* which of them the folder's does the same as; KD_CHAT_AUTO: none */
    kd__room room;
    kd__value special; /* dict: bos_token, eos_token .. */
} kd__chats;

kd_status kd__chats_new(kd_tokenizer *t);
void kd__chats_free(kd_tokenizer *t);
/* The files of a folder; the metadata of a GGUF file. */
kd_status kd__chats_read(kd_tokenizer *t, const char *folder);
kd_status kd__chats_read_gguf(kd_tokenizer *t, const kd__gguf *file);
/* What the library writes where a format is named; format is KD_CHAT_CHATML .. */
const char *kd__chat_format_text(int32_t format);
/* Finds t->chats->format: renders probes by both. */
kd_status kd__chat_recognize(kd_tokenizer *t);

/* ---- one chat ---- */

typedef struct kd__chat {
    kd_tokenizer *t;
    const kd_message *messages;
    int32_t count;
    kd_chat_options o;
    const kd__template *template;
    kd__room room;        /* of the whole call */
    kd__room work;        /* of one rendering */
    kd__value *turns;     /* (count) dicts, as the template sees them */
    kd__value variables;  /* dict: all but messages and add_generation_prompt */
    int32_t asks;         /* an answer is asked for */
    kd__value unfinished; /* the text that goes on, of type KD__V_STRING then */
} kd__chat;

kd_status kd__chat_begin(kd__chat *c, kd_tokenizer *t, const kd_message *messages, int32_t count,
                         const kd_chat_options *options);
void kd__chat_end(kd__chat *c);
/* The text of some turns; it lives as long as the chat. */
kd_status kd__chat_render(kd__chat *c, const kd__value *turns, int32_t count, int32_t ask,
                          kd__template_output *out);
/* The thought of a turn: a view of its reasoning, or of what stands between marks of thoughts in
 * its content; bytes 0: none. */
kd__value kd__chat_thought(const kd__value *turn, int32_t *in_content);
/* The turn with the content given, and without thoughts. */
kd_status kd__chat_turn_with(kd__chat *c, const kd__value *turn, const kd__value *content,
                             kd__value *out);

/* How many bytes both texts begin with, whole characters. */
int64_t kd__same_front(const kd__template_output *a, const kd__template_output *b);

/* ---- what the assistant says ---- */

typedef struct kd__chat_answers {
    kd__template_output text;
    int64_t *at; /* begin and end of each part that is learned */
    int64_t count;
} kd__chat_answers;

/* The whole chat; with_answers: and the assistant's parts, or a refusal when one of them is not
 * surely found. */
kd_status kd__chat_answer(kd__chat *c, int32_t with_answers, kd__chat_answers *out);
/* Appends what of an answer the template writes when it asks: the mark of an open thought; nothing
 * where it opens none. */
kd_status kd__chat_opening(kd_tokenizer *t, const kd_message *messages, int32_t count,
                           const kd_chat_options *options, kd__text *out);

/* ---- a turn that goes on ---- */

/* Puts the mark into the last turn. */
kd_status kd__chat_open(kd__chat *c);
/* Ends the text at the mark, and the assistant's parts with it. */
kd_status kd__chat_cut(kd__chat *c, kd__chat_answers *out);

#endif
