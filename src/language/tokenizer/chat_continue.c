/* A chat whose last turn goes on (KD_CHAT_PROMPT_CONTINUE): a mark is put after what the turn
 * says so far, the template writes the turn with it, and the text is cut where the mark stands.
 * The space at its end tells whether the template keeps white space at the end of a text. So
 * does transformers' continue_final_message, and with this mark: there are templates that look
 * for it. */
#include <string.h>

#include "base/os.h"
#include "language/template/characters.h"
#include "language/tokenizer/chat.h"

static const char mark[] = "CONTINUE_FINAL_MESSAGE_TAG ";
enum { MARK_BYTES = sizeof mark - 2 }; /* without the space */

/* ---- the mark ---- */

static kd_status open_text(kd__chat *c, const kd__value *text, kd__value *out)
{
    const int64_t bytes = text->bytes + (int64_t)sizeof mark - 1;
    char *made = NULL;
    KD_FAIL_IF(text->type != KD__V_STRING, KD_ERR_INVALID,
               "message %d: expected a text to continue, got %s", c->count - 1,
               kd__type_name(text));
    KD_TRY(kd__room_take(&c->room, bytes + 1, (void **)&made));
    memcpy(made, text->text, (size_t)text->bytes);
    memcpy(made + text->bytes, mark, sizeof mark);
    c->unfinished = *text;
    *out = kd__string(made, bytes);
    return KD_OK;
}

/* ---- where it goes ---- */

static const kd__value *text_of_part(const kd__value *part)
{
    return part->type == KD__V_DICT ? kd__dict_text(part->dict, "text", 4) : NULL;
}

static kd_status open_part(kd__chat *c, const kd__value *part, kd__value *out)
{
    kd__value text;
    KD_TRY(kd__dict_new(&c->room, out));
    for (int64_t i = 0; i < part->dict->count; i++)
        KD_TRY(kd__dict_set(&c->room, out, &part->dict->entries[i].key,
                            &part->dict->entries[i].value));
    KD_TRY(open_text(c, text_of_part(part), &text));
    return kd__dict_set_text(&c->room, out, "text", &text);
}

/* Content in parts: the last one with a text. */
static kd_status open_parts(kd__chat *c, const kd__value *parts, kd__value *out)
{
    const kd__list *from = parts->list;
    int64_t last = from->count - 1;
    while (last >= 0 && !text_of_part(&from->items[last])) last--;
    KD_FAIL_IF(last < 0, KD_ERR_INVALID, "message %d: none of its parts has a text to continue",
               c->count - 1);
    KD_TRY(kd__list_new(&c->room, KD__V_LIST, 0, out));
    for (int64_t i = 0; i < from->count; i++) {
        kd__value part = from->items[i];
        if (i == last) KD_TRY(open_part(c, &from->items[i], &part));
        KD_TRY(kd__list_add(&c->room, out, &part));
    }
    return KD_OK;
}

static kd_status open_member(kd__chat *c, const char *name)
{
    kd__value *turn = &c->turns[c->count - 1], opened;
    const kd__value *found = kd__dict_text(turn->dict, name, (int64_t)strlen(name));
    KD_FAIL_IF(!found, KD_ERR_INVALID, "message %d has no %s to continue", c->count - 1, name);
    const kd__value member = *found;
    if (member.type == KD__V_LIST) KD_TRY(open_parts(c, &member, &opened));
    else KD_TRY(open_text(c, &member, &opened));
    return kd__dict_set_text(&c->room, turn, name, &opened);
}

/* The thought stands under several names: all that are the same go on. */
static kd_status open_thought(kd__chat *c)
{
    static const char *const names[] = { "thinking", "reasoning" };
    const kd__dict *turn = c->turns[c->count - 1].dict;
    const kd__value *found = kd__dict_text(turn, "reasoning_content", 17);
    const kd__value thought = found ? *found : kd__none();
    KD_TRY(open_member(c, "reasoning_content"));
    for (int i = 0; i < 2; i++) {
        int32_t same = 0;
        const kd__value *other = kd__dict_text(turn, names[i], (int64_t)strlen(names[i]));
        if (other) KD_TRY(kd__equal(&c->room, &thought, other, &same));
        if (same) KD_TRY(open_member(c, names[i]));
    }
    return KD_OK;
}

kd_status kd__chat_open(kd__chat *c)
{
    KD_FAIL_IF(!c->count, KD_ERR_INVALID, "ask: there is no message to continue");
    return c->o.generation_prompt == KD_CHAT_PROMPT_CONTINUE ? open_member(c, "content")
                                                             : open_thought(c);
}

/* ---- the cut ---- */

static int64_t without_spaces(const char *text, int64_t bytes)
{
    while (bytes > 0) {
        int64_t last = bytes - 1;
        while (last > 0 && ((unsigned char)text[last] & 0xc0) == 0x80) last--;
        if (!kd__is_space(kd__character_at(text + last))) break;
        bytes = last;
    }
    return bytes;
}

/* The text that is to go on, but for white space around it, stands in the template's text. */
static int is_written(const kd__chat *c, const kd__template_output *text)
{
    const char *from = c->unfinished.text;
    int64_t bytes = without_spaces(from, c->unfinished.bytes);
    while (bytes > 0 && kd__is_space(kd__character_at(from))) {
        bytes -= kd__character_bytes(*from);
        from += kd__character_bytes(*from);
    }
    return kd__os_find(text->text, (size_t)text->bytes, from, (size_t)bytes) != NULL;
}

/* The byte of the mark; -1: there is none, or there are several. */
static int64_t find_mark(const kd__template_output *text)
{
    const char *end = text->text + text->bytes;
    const char *found = kd__os_find(text->text, (size_t)text->bytes, mark, MARK_BYTES);
    if (!found || kd__os_find(found + 1, (size_t)(end - found - 1), mark, MARK_BYTES)) return -1;
    return found - text->text;
}

kd_status kd__chat_cut(kd__chat *c, kd__chat_answers *out)
{
    const kd__template_output *text = &out->text;
    int64_t end = find_mark(text), kept = 0;
    kd__value cut;
    KD_FAIL_IF(end < 0 || !is_written(c, text), KD_ERR_UNSUPPORTED,
               "chat: the template does not write message %d as it is: it cannot be continued",
               c->count - 1);
    if (text->text[end + MARK_BYTES] != ' ') end = without_spaces(text->text, end);
    KD_TRY(kd__string_copy(&c->room, text->text, end, &cut));
    out->text.text = cut.text;
    out->text.bytes = end;
    for (int64_t i = 0; i < out->count && out->at[2 * i] < end; i++, kept++)
        if (out->at[2 * i + 1] > end) out->at[2 * i + 1] = end;
    out->count = kept;
    return KD_OK;
}
