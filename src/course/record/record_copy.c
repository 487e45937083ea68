/* Copies of records whose texts lie in an arena. */
#include <string.h>

#include "course/record/record.h"

static kd_status copy_text(kd__arena *arena, const char **text)
{
    return kd__arena_text(arena, *text ? *text : "", *text ? (int64_t)strlen(*text) : 0, text);
}

kd_status kd__record_copy(kd__arena *arena, const kd_record *from, kd_record *to)
{
    kd_record r = *from;
    kd_message *messages = NULL;
    const char **texts[] = { &r.prompt, &r.completion, &r.expected, &r.domain,
                             &r.id,     &r.teacher,    &r.finish,   &r.passed,
                             &r.extra,  &r.tools,      &r.variables };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) KD_TRY(copy_text(arena, texts[i]));
    KD_TRY(kd__arena_take(arena, r.message_count * (int64_t)sizeof *messages, (void **)&messages));
    for (int32_t i = 0; i < r.message_count; i++) {
        messages[i] = from->messages[i];
        KD_TRY(copy_text(arena, &messages[i].role));
        KD_TRY(copy_text(arena, &messages[i].content));
        if (messages[i].extra) KD_TRY(copy_text(arena, &messages[i].extra));
    }
    r.messages = messages;
    r.ids = NULL;
    r.mask = NULL;
    r.logprobs = NULL;
    r.logprob_ends = NULL;
    r.tokens = r.logprob_count = 0;
    *to = r;
    return KD_OK;
}
