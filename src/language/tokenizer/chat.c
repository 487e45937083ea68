/* The public calls of chats. */
#include "language/tokenizer/chat.h"

#include <string.h>

#include "base/memory.h"

static const kd_chat_options defaults = KD_CHAT_OPTIONS_INIT;
void kd_chat_options_init(kd_chat_options *options, size_t size)
{
    kd__options_init(options, size, &defaults, sizeof defaults);
}

kd_status kd_tokenizer_chat_format(kd_tokenizer *t, int32_t *format)
{
    KD_NEED(t);
    KD_NEED(format);
    *format = t->chats->format;
    return KD_OK;
}

static kd_status give_text(kd__chat *c, char **text)
{
    kd__chat_answers answers;
    char *copy = NULL;
    KD_TRY(kd__chat_answer(c, 0, &answers));
    KD_FAIL_IF(memchr(answers.text.text, 0, (size_t)answers.text.bytes), KD_ERR_INVALID,
               "chat: its text holds a zero byte: encode it instead");
    KD_TRY(kd__allocate(c->t->object.context, (void **)&copy, answers.text.bytes + 1, 1));
    memcpy(copy, answers.text.text, (size_t)answers.text.bytes);
    *text = copy;
    return KD_OK;
}

kd_status kd_chat_render(kd_tokenizer *t, const kd_message *messages, int32_t count,
                         const kd_chat_options *options, char **text)
{
    kd__chat c;
    KD_NEED(t);
    KD_NEED(text);
    kd_status status = kd__chat_begin(&c, t, messages, count, options);
    if (status == KD_OK) status = give_text(&c, text);
    kd__chat_end(&c);
    return status;
}

/* A token is learned when some of its bytes are the assistant's. */
static void mark_answers(const kd__chat_answers *answers, const kd__ids *ids, uint8_t *answer)
{
    int64_t part = 0, begin = 0;
    for (int64_t i = 0; i < ids->count; i++) {
        const int64_t end = ids->ends[i];
        while (part < answers->count && answers->at[2 * part + 1] <= begin) part++;
        answer[i] = part < answers->count && end > begin && end > answers->at[2 * part];
        begin = end;
    }
}

static kd_status encode(kd__chat *c, int32_t *ids, uint8_t *answer, int64_t room, int64_t *tokens,
                        kd__ids *found)
{
    kd__chat_answers answers;
    int64_t counted;
    const int with_answers = answer && ids;
    KD_TRY(kd__chat_answer(c, with_answers, &answers));
    found->is_traced = with_answers;
    KD_TRY(kd__encode(c->t, answers.text.text, answers.text.bytes, 0, found));
    KD_TRY(kd__give_ids(found, ids, room, tokens ? tokens : &counted));
    if (with_answers) mark_answers(&answers, found, answer);
    return KD_OK;
}

kd_status kd_chat_encode(kd_tokenizer *t, const kd_message *messages, int32_t count,
                         const kd_chat_options *options, int32_t *ids, uint8_t *answer,
                         int64_t room, int64_t *tokens)
{
    kd__chat c;
    kd__ids found = { 0 };
    KD_NEED(t);
    kd_status status = kd__chat_begin(&c, t, messages, count, options);
    if (status == KD_OK) status = encode(&c, ids, answer, room, tokens, &found);
    if (found.context) kd__ids_free(&found);
    kd__chat_end(&c);
    return status;
}
