/* What of an answer a template writes itself when it asks for one: the mark of a thought that the
 * model goes on with.
 *
 *   asked     .. <|im_start|>assistant\n<think>\n
 *   finished  .. <|im_start|>assistant\nX
 *       a turn whose content is one character that stands nowhere else
 *
 * The opening begins where both part; or at the last mark before that place, when `finished` has
 * more than its content there: then two marks begin alike, as <|channel|>analysis and
 * <|channel|>final do, or <think>\n and <think>\n\n</think>. The first mark that asking adds begins
 * the turn, and belongs to nobody. The opening is a thought's when it begins with a mark and
 * nothing in it closes one: what stands after a turn's thought where the template writes thoughts,
 * or a word with a slash or "end" in it. */
#include <string.h>

#include "base/os.h"
#include "language/tokenizer/chat.h"

#define CONTENT "\xee\x80\x81" /* private characters, which no template writes */
#define THOUGHT "\xee\x80\x82"
enum { CHARACTER = 3 };

typedef struct {
    const char *at, *end;
} part;

static const part nothing = { NULL, NULL };

static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static int may_begin_mark(char c) { return c == '<' || c == '[' || (unsigned char)c >= 0x80; }

/* The next word: bytes without white space; empty at the end. */
static part word_of(part s)
{
    while (s.at < s.end && is_space(*s.at)) s.at++;
    const char *end = s.at;
    while (end < s.end && !is_space(*end)) end++;
    return (part){ s.at, end };
}

static const char *find(part s, const char *what, int64_t bytes)
{
    return kd__os_find(s.at, (size_t)(s.end - s.at), what, (size_t)bytes);
}

/* The chat with one more turn, of the assistant; a template that refuses it tells nothing: *out is
 * empty. */
static kd_status render_finished(kd__chat *c, int32_t with_thought, kd__template_output *out)
{
    const kd__value role = kd__string_of("assistant"), content = kd__string_of(CONTENT),
                    thought = kd__string_of(THOUGHT);
    kd__value *turn = &c->turns[c->count];
    *out = (kd__template_output){ .text = "" };
    KD_TRY(kd__dict_new(&c->room, turn));
    KD_TRY(kd__dict_set_text(&c->room, turn, "role", &role));
    KD_TRY(kd__dict_set_text(&c->room, turn, "content", &content));
    if (with_thought) KD_TRY(kd__dict_set_text(&c->room, turn, "reasoning_content", &thought));
    if (with_thought) KD_TRY(kd__dict_set_text(&c->room, turn, "thinking", &thought));
    const kd_status status = kd__chat_render(c, c->turns, c->count + 1, 0, out);
    if (status == KD_OK || status == KD_ERR_MEMORY) return status;
    *out = (kd__template_output){ .text = "" };
    return KD_OK;
}

/* What a template that writes thoughts closes them with: the first word between a turn's thought
 * and its content. */
static kd_status closing_of(kd__chat *c, part *out)
{
    kd__template_output text;
    KD_TRY(render_finished(c, 1, &text));
    part s = { text.text, text.text + text.bytes };
    const char *thought = find(s, THOUGHT, CHARACTER);
    s.at = thought ? thought + CHARACTER : s.end;
    const char *content = find(s, CONTENT, CHARACTER);
    *out = content ? word_of((part){ s.at, content }) : nothing;
    return KD_OK;
}

static int is_closing(part word)
{
    for (const char *p = word.at; p < word.end; p++)
        if (*p == '/' || (word.end - p >= 3 && !strncasecmp(p, "end", 3))) return 1;
    return 0;
}

static int is_open(part opening, part closing)
{
    part rest = opening;
    if (opening.at == opening.end || !may_begin_mark(*opening.at)) return 0;
    if (closing.at < closing.end && find(opening, closing.at, closing.end - closing.at)) return 0;
    for (part word = word_of(rest); word.at < word.end; word = word_of(rest)) {
        if (is_closing(word)) return 0;
        rest.at = word.end;
    }
    return 1;
}

/* The last mark before a place, but for the first one of what asking adds, which begins the turn;
 * `otherwise`: there is none. */
static int64_t mark_before(const kd__template_output *asked, int64_t added, int64_t place,
                           int64_t otherwise)
{
    int64_t first = added, at = place - 1;
    while (first < place && !may_begin_mark(asked->text[first])) first++;
    while (at > first && asked->text[at] != '<' && asked->text[at] != '[') at--;
    return at > first ? at : otherwise;
}

/* Where the opening begins in `asked`; its end: there is none. */
static int64_t begin_of(const kd__template_output *asked, const kd__template_output *unasked,
                        const kd__template_output *finished)
{
    const int64_t added = kd__same_front(unasked, asked), parting = kd__same_front(asked, finished);
    const part rest = { finished->text + parting, finished->text + finished->bytes };
    const char *content = find(rest, CONTENT, CHARACTER);
    if (!content || parting < added) return asked->bytes;
    const part between = word_of((part){ rest.at, content });
    if (between.at == between.end) return parting;
    if (parting == asked->bytes && !is_closing(between)) return parting;
    return mark_before(asked, added, parting, asked->bytes);
}

static kd_status find_opening(kd__chat *c, kd__text *out)
{
    kd__template_output asked, unasked, finished;
    part closing;
    KD_TRY(kd__chat_render(c, c->turns, c->count, 1, &asked));
    KD_TRY(kd__chat_render(c, c->turns, c->count, 0, &unasked));
    KD_TRY(render_finished(c, 0, &finished));
    part opening = { asked.text + begin_of(&asked, &unasked, &finished), asked.text + asked.bytes };
    while (opening.at < opening.end && is_space(*opening.at)) opening.at++;
    if (opening.at == opening.end) return KD_OK;
    KD_TRY(closing_of(c, &closing));
    return is_open(opening, closing)
               ? kd__text_append(out, opening.at, (size_t)(opening.end - opening.at))
               : KD_OK;
}

kd_status kd__chat_opening(kd_tokenizer *t, const kd_message *messages, int32_t count,
                           const kd_chat_options *options, kd__text *out)
{
    kd__chat c;
    kd_status status = kd__chat_begin(&c, t, messages, count, options);
    if (status == KD_OK) status = find_opening(&c, out);
    kd__chat_end(&c);
    return status;
}
