/* Where the assistant speaks. A template with generation blocks says it. For any other one, turn i
 * is found by rendering:
 *
 *   asked     the turns before i, asking for an answer
 *   finished  the turns up to i
 *   probe
 *       the same with the turn's content replaced by one character that stands nowhere else, and
 *       its thoughts left out
 *
 * The turn begins where `asked` ends when that begins `finished`; else where both, and the probe,
 * part: what asking adds beyond that is not what a finished turn has. It ends with `finished`, but
 * for white space after the end mark. In the text of the whole chat the turn is the same bytes when
 * the whole text begins with them; where the template alters turns that others follow, it is found
 * by the whole chat with the probe in its place: the text before and after the probe's character
 * must be what it was above. A turn that is not found so is refused. docs/chat-templates.md has the
 * rules for readers. */
#include <stdio.h>
#include <string.h>

#include "base/numbers.h"
#include "base/os.h"
#include "language/tokenizer/chat.h"

typedef struct {
    int64_t begin, end;
} span;

/* A turn at the end of its own chat. */
typedef struct {
    kd__template_output asked, finished, probe;
    span at;       /* in finished */
    int64_t added; /* where what asking adds begins, in `asked` */
    /* of the probe's character, in `probe`; -1: the template does not write the content as it is */
    int64_t probe_at;
    int64_t probe_end; /* of the turn, in `probe` */
} lone_turn;

typedef struct {
    kd__chat *c;
    kd__template_output text; /* of the whole chat */
    char mark[4];             /* the probe's character */
    kd__value probe;
} finder;

enum { HEADER = 16, LEAST_HEADER = 8, MOST_BETWEEN = 32, MARK_BYTES = 3 };

/* ---- texts side by side ---- */

int64_t kd__same_front(const kd__template_output *a, const kd__template_output *b)
{
    const int64_t most = kd__min(a->bytes, b->bytes);
    int64_t at = 0;
    while (at < most && a->text[at] == b->text[at]) at++;
    /* whole characters */
    while (at > 0 && at < a->bytes && ((unsigned char)a->text[at] & 0xc0) == 0x80) at--;
    return at;
}

static int64_t same_back(const kd__template_output *a, const kd__template_output *b, int64_t most)
{
    int64_t count = 0;
    while (count < most && a->text[a->bytes - 1 - count] == b->text[b->bytes - 1 - count]) count++;
    return count;
}

static int stands_at(const kd__template_output *text, int64_t at, const char *what, int64_t bytes)
{
    return at >= 0 && at + bytes <= text->bytes && !memcmp(text->text + at, what, (size_t)bytes);
}

static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* ---- a turn at the end of its chat ---- */

static kd_status not_found(int32_t i, const char *why)
{
    return kd__fail(
        KD_ERR_UNSUPPORTED,
        "chat: where the assistant's turn %d stands in the template's text is not certain: %s", i,
        why);
}

/* A part of the chat that the template refuses: the chat is not to blame, its turn is not found. */
static kd_status of_part(int32_t i, kd_status status)
{
    char why[200];
    if (status == KD_OK || status == KD_ERR_MEMORY) return status;
    snprintf(why, sizeof why, "a part of the chat is refused: %s", kd_last_error());
    return not_found(i, why);
}

static kd_status render_probe(finder *f, int32_t i, int32_t count, int32_t ask,
                              kd__template_output *out)
{
    kd__chat *c = f->c;
    kd__value *turns = NULL;
    KD_TRY(KD_TAKE(&c->room, &turns, count));
    memcpy(turns, c->turns, (size_t)count * sizeof *turns);
    KD_TRY(kd__chat_turn_with(c, &c->turns[i], &f->probe, &turns[i]));
    return of_part(i, kd__chat_render(c, turns, count, ask, out));
}

/* Where the probe's character stands, once; -1: not so. */
static int64_t find_mark(const finder *f, const kd__template_output *text)
{
    const char *found = kd__os_find(text->text, (size_t)text->bytes, f->mark, MARK_BYTES);
    if (!found) return -1;
    const char *after = found + MARK_BYTES;
    return kd__os_find(after, (size_t)(text->text + text->bytes - after), f->mark, MARK_BYTES)
               ? -1
               : found - text->text;
}

/* asked and finished part before asked's end: what they share must reach as far as what asking
 * added. */
static kd_status begin_is_sure(finder *f, int32_t i, lone_turn *t, int32_t *sure)
{
    kd__template_output before;
    const int64_t asked = t->asked.bytes;
    const kd_status status = kd__chat_render(f->c, f->c->turns, i, 0, &before);
    if (status == KD_ERR_MEMORY) return status;
    t->added = status == KD_OK ? kd__same_front(&before, &t->asked) : asked;
    const int in_added = t->at.begin >= t->added && t->added < asked;
    *sure = t->at.begin == asked || in_added;
    return KD_OK;
}

/* What is found begins after the content of the turn before it, with something in between, and
 * does not change with that. */
static kd_status begins_after_others(finder *f, int32_t i, const lone_turn *t, int32_t *is)
{
    const int64_t bytes = t->finished.bytes - t->at.begin;
    kd__template_output other;
    kd__value *turns = NULL;
    *is = 1;
    if (!i) return KD_OK;
    KD_TRY(KD_TAKE(&f->c->room, &turns, i + 1));
    memcpy(turns, f->c->turns, (size_t)(i + 1) * sizeof *turns);
    KD_TRY(kd__chat_turn_with(f->c, &f->c->turns[i - 1], &f->probe, &turns[i - 1]));
    const kd_status status = kd__chat_render(f->c, turns, i + 1, 0, &other);
    if (status == KD_ERR_MEMORY) return status;
    *is = status == KD_OK && bytes <= other.bytes &&
          same_back(&t->finished, &other, bytes) == bytes &&
          find_mark(f, &other) + MARK_BYTES < other.bytes - bytes;
    return KD_OK;
}

/* The text before the turn changes with it, as where a system message goes with the last question
 * only: the last bytes of asked stand shortly before the probe's character, and what is before them
 * does not matter. */
static int begin_by_tail(lone_turn *t)
{
    const int64_t tail = kd__min(t->asked.bytes, LEAST_HEADER);
    const char *what = t->asked.text + t->asked.bytes - tail;
    for (int64_t at = t->probe_at; at >= tail && t->probe_at - at <= MOST_BETWEEN; at--) {
        if (memcmp(t->probe.text + at - tail, what, (size_t)tail)) continue;
        t->at.begin = at;
        return tail > 0 && kd__same_front(&t->finished, &t->probe) >= at;
    }
    return 0;
}

static kd_status begin_of(finder *f, int32_t i, lone_turn *t)
{
    int32_t sure;
    KD_TRY(of_part(i, kd__chat_render(f->c, f->c->turns, i, 1, &t->asked)));
    const int64_t a = kd__same_front(&t->asked, &t->finished),
                  b = kd__same_front(&t->asked, &t->probe);
    t->at.begin = a == t->asked.bytes || t->probe_at < 0 ? a : kd__min(a, b);
    KD_TRY(begin_is_sure(f, i, t, &sure));
    if (!sure && begin_by_tail(t)) KD_TRY(begins_after_others(f, i, t, &sure));
    return sure ? KD_OK : not_found(i, "the text before it changes with it");
}

/* The end mark is a token of its own, and white space may follow it. */
static kd_status end_at_token(const finder *f, int32_t i, lone_turn *t)
{
    const kd__trie *added = &f->c->t->added;
    const kd__template_output *text = &t->finished;
    int64_t end = text->bytes, bytes;
    while (end > t->at.begin && is_space(text->text[end - 1])) end--;
    for (int64_t from = end - 1;
         added->count && from >= t->at.begin && t->at.begin == t->asked.bytes; from--)
        if (kd__trie_match(added, text->text + from, text->text + end, &bytes) >= 0 &&
            from + bytes == end)
            return t->at.end = end, KD_OK;
    return not_found(i, "the template does not write its content as it is");
}

static kd_status end_of(int32_t i, lone_turn *t)
{
    const int64_t tail = t->probe.bytes - t->probe_at - MARK_BYTES;
    int64_t spaces = 0;
    while (spaces < tail && is_space(t->probe.text[t->probe.bytes - 1 - spaces])) spaces++;
    if (spaces == tail) spaces = 0; /* white space is the end mark itself */
    const int64_t most = t->finished.bytes - t->at.begin,
                  shared = same_back(&t->finished, &t->probe, kd__min(most, tail));
    if (shared < spaces + (tail > spaces)) return not_found(i, "its end changes with its content");
    t->at.end = t->finished.bytes - spaces;
    t->probe_end = t->probe.bytes - spaces;
    return KD_OK;
}

/* 1: asking for an answer after the turn changes nothing, and the text ends as it does where
 * one is asked for before the turn: with the question's end mark, or with a header that is
 * always there. */
static kd_status may_always_ask(finder *f, int32_t i, const lone_turn *t, int32_t *may)
{
    const kd__template_output *a = &t->asked, *b = &t->finished;
    kd__template_output asks;
    *may = 0;
    const kd_status status = kd__chat_render(f->c, f->c->turns, i + 1, 1, &asks);
    if (status == KD_ERR_MEMORY) return status;
    if (status != KD_OK || asks.bytes != b->bytes || kd__same_front(&asks, b) < b->bytes)
        return KD_OK;
    for (int64_t at = same_back(a, b, kd__min(a->bytes, b->bytes)); at > 0; at--)
        *may |= !is_space(b->text[b->bytes - at]);
    return KD_OK;
}

/* The turn, as it was or as the probe, with a question after it. */
static kd_status render_followed(finder *f, int32_t i, const lone_turn *t, kd__template_output *out)
{
    kd__chat *c = f->c;
    kd__value *turns = NULL;
    const kd__value role = kd__string_of("user");
    const kd__value content = kd__string_of("?");
    KD_TRY(KD_TAKE(&c->room, &turns, i + 2));
    memcpy(turns, c->turns, (size_t)(i + 1) * sizeof *turns);
    kd__value *last = &turns[i], *question = &turns[i + 1];
    if (t->probe_at >= 0) KD_TRY(kd__chat_turn_with(c, &c->turns[i], &f->probe, last));
    KD_TRY(kd__dict_new(&c->room, question));
    KD_TRY(kd__dict_set_text(&c->room, question, "role", &role));
    KD_TRY(kd__dict_set_text(&c->room, question, "content", &content));
    return of_part(i, kd__chat_render(c, turns, i + 2, 0, out));
}

/* A template that asks for the next answer after every chat: where a question follows, the turn
 * ends otherwise than it does at the end of its own chat. */
static kd_status refuse_always_asked(finder *f, int32_t i, const lone_turn *t)
{
    kd__template_output followed;
    int32_t may;
    KD_TRY(may_always_ask(f, i, t, &may));
    if (!may) return KD_OK;
    KD_TRY(render_followed(f, i, t, &followed));
    const int64_t after = t->probe_at + MARK_BYTES, mark = find_mark(f, &followed);
    const int same = t->probe_at < 0
                         ? kd__same_front(&followed, &t->finished) >= t->at.end
                         : mark >= 0 && stands_at(&followed, mark + MARK_BYTES,
                                                  t->probe.text + after, t->probe_end - after);
    return same ? KD_OK : not_found(i, "the template asks for an answer after every chat");
}

static kd_status find_lone(finder *f, int32_t i, lone_turn *t)
{
    KD_TRY(of_part(i, kd__chat_render(f->c, f->c->turns, i + 1, 0, &t->finished)));
    KD_TRY(render_probe(f, i, i + 1, 0, &t->probe));
    t->probe_at = find_mark(f, &t->probe);
    KD_TRY(begin_of(f, i, t));
    KD_TRY(t->probe_at < 0 ? end_at_token(f, i, t) : end_of(i, t));
    return refuse_always_asked(f, i, t);
}

/* ---- the turn in the whole chat ---- */

/* Before the probe's character stands what the turn's header ends with, and what the template puts
 * before the content, or nothing; or the first part of what asking adds, where a thought that it
 * opens is left out. */
static int64_t altered_begin(const lone_turn *t, const kd__template_output *probe, int64_t mark)
{
    const int64_t begin = kd__min(t->at.begin, t->probe_at);
    const int64_t before = t->probe_at - begin;
    const int64_t header = kd__min(begin, HEADER);
    const char *front = t->probe.text + begin - header;
    const char *added = t->asked.text + t->added;
    if (stands_at(probe, mark - before - header, front, header + before)) return mark - before;
    if (stands_at(probe, mark - header, front, header)) return mark;
    for (int64_t size = t->asked.bytes - t->added; size >= LEAST_HEADER; size--)
        if (stands_at(probe, mark - size, added, size)) return mark;
    return -1;
}

/* After it: the same end; or as much of it as its tokens that are special are the same; or where
 * the end is one special token, another one. */
static int64_t altered_end(const finder *f, const lone_turn *t, const kd__template_output *probe,
                           int64_t mark)
{
    const kd__trie *added = &f->c->t->added;
    const char *tail = t->probe.text + t->probe_at + MARK_BYTES,
               *there = probe->text + mark + MARK_BYTES;
    const char *tail_end = t->probe.text + t->probe_end, *end = probe->text + probe->bytes;
    int64_t bytes, other, same = 0, whole = -1;
    if (stands_at(probe, there - probe->text, tail, tail_end - tail))
        return there + (tail_end - tail) - probe->text;
    while (added->count && tail + same < tail_end && there + same < end &&
           tail[same] == there[same]) {
        const int is_token = kd__trie_match(added, tail + same, tail_end, &bytes) >= 0;
        if (is_token && end - there < same + bytes) break;
        if (is_token && memcmp(tail + same, there + same, (size_t)bytes)) break;
        same += is_token ? bytes : 1;
        if (is_token) whole = same;
    }
    if (whole > 0) return there + whole - probe->text;
    const int lone = added->count && kd__trie_match(added, tail, tail_end, &bytes) >= 0 &&
                     tail + bytes == tail_end;
    return lone && there < end && kd__trie_match(added, there, end, &other) >= 0
               ? there + other - probe->text
               : -1;
}

static kd_status find_altered(finder *f, int32_t i, const lone_turn *t, span *out)
{
    kd__template_output probe;
    if (t->probe_at < 0) return not_found(i, "the template does not write its content as it is");
    KD_TRY(render_probe(f, i, f->c->count, f->c->asks, &probe));
    const int64_t mark = find_mark(f, &probe);
    if (mark < 0) return not_found(i, "the template does not write its content as it is");
    const int64_t begin = altered_begin(t, &probe, mark), end = altered_end(f, t, &probe, mark);
    if (begin < 0 || begin > kd__same_front(&probe, &f->text))
        return not_found(i, "it begins differently where turns follow it");
    if (end < 0) return not_found(i, "it ends differently where turns follow it");
    const int64_t after = probe.bytes - end;
    if (after > f->text.bytes - begin || same_back(&probe, &f->text, after) < after)
        return not_found(i, "the turns after it change with it");
    *out = (span){ begin, f->text.bytes - after };
    return KD_OK;
}

static kd_status find_turn(finder *f, int32_t i, lone_turn *t, span *out)
{
    KD_TRY(find_lone(f, i, t));
    *out = t->at;
    return kd__same_front(&f->text, &t->finished) >= t->at.end ? KD_OK : find_altered(f, i, t, out);
}

/* ---- thoughts that stay ---- */

static int holds(const char *text, int64_t bytes, const kd__value *what)
{
    return kd__os_find(text, (size_t)bytes, what->text, (size_t)what->bytes) != NULL;
}

/* The turn as its own chat ends with it; or, where the template leaves a thought of the content out
 * even there, with the content as it was given in the place of the probe. */
/* The probe's turn with the content in place of the mark. */
static kd_status unmark(const lone_turn *t, const kd__value *content, kd__text *to)
{
    const int64_t begin = kd__min(t->at.begin, t->probe_at);
    const int64_t after = t->probe_at + MARK_BYTES;
    const char *probe = t->probe.text;
    KD_TRY(kd__text_append(to, probe + begin, (size_t)(t->probe_at - begin)));
    KD_TRY(kd__text_append(to, content->text, (size_t)content->bytes));
    return kd__text_append(to, probe + after, (size_t)(t->probe_end - after));
}

static kd_status turn_with_thought(finder *f, int32_t i, const lone_turn *t,
                                   const kd__value *thought, int32_t in_content, kd__value *out)
{
    const kd__value *content = kd__dict_text(f->c->turns[i].dict, "content", 7);
    kd__text made = { .context = f->c->t->object.context };
    *out = kd__string(t->finished.text + t->at.begin, t->at.end - t->at.begin);
    if (holds(out->text, out->bytes, thought)) return KD_OK;
    KD_FAIL_IF(!in_content, KD_ERR_UNSUPPORTED,
               "chat: keep_reasoning: the template has no place for the reasoning of turn %d", i);
    kd_status status = unmark(t, content, &made);
    if (status == KD_OK) status = kd__string_copy(&f->c->room, made.bytes, made.size, out);
    kd__text_free(&made);
    return status;
}

/* ---- all turns ---- */

typedef struct {
    kd__text text;  /* the whole, when turns are written anew */
    int64_t copied; /* of the template's text */
    kd__chat_answers *out;
} builder;

static kd_status add_answer(builder *b, int32_t skip, int64_t begin, int64_t end)
{
    kd__chat_answers *out = b->out;
    out->at[2 * out->count] = begin;
    out->at[2 * out->count + 1] = end;
    out->count += !skip;
    return KD_OK;
}

/* Appends the template's text up to the turn, then the turn, its own or another one. */
static kd_status write_turn(finder *f, builder *b, int32_t i, const span *at,
                            const kd__value *instead)
{
    const char *text = f->text.text;
    KD_TRY(kd__text_append(&b->text, text + b->copied, (size_t)(at->begin - b->copied)));
    const int64_t begin = b->text.size;
    const char *turn = instead ? instead->text : text + at->begin;
    const int64_t bytes = instead ? instead->bytes : at->end - at->begin;
    KD_TRY(kd__text_append(&b->text, turn, (size_t)bytes));
    b->copied = at->end;
    return add_answer(b, f->c->messages[i].skip, begin, b->text.size);
}

static int is_answer(const kd_message *m) { return !strcmp(m->role, "assistant"); }

static kd_status find_all(finder *f, builder *b)
{
    for (int32_t i = 0; i < f->c->count; i++) {
        lone_turn t;
        span at;
        kd__value instead;
        int32_t in_content;
        if (!is_answer(&f->c->messages[i])) continue;
        KD_TRY(find_turn(f, i, &t, &at));
        if (at.begin < b->copied || at.end < at.begin)
            return not_found(i, "it begins before the end of the turn before it");
        const kd__value thought = kd__chat_thought(&f->c->turns[i], &in_content);
        const int kept = f->c->o.keep_reasoning != 1 || !thought.bytes ||
                         holds(f->text.text + at.begin, at.end - at.begin, &thought);
        if (!kept) KD_TRY(turn_with_thought(f, i, &t, &thought, in_content, &instead));
        KD_TRY(write_turn(f, b, i, &at, kept ? NULL : &instead));
    }
    return kd__text_append(&b->text, f->text.text + b->copied, (size_t)(f->text.bytes - b->copied));
}

/* A private character that the chat does not have. */
static kd_status choose_mark(finder *f)
{
    for (int i = 0; i < 64; i++) {
        memcpy(f->mark, (const char[]){ '\xee', '\x80', (char)(0x80 + i), 0 }, 4);
        f->probe = kd__string(f->mark, MARK_BYTES);
        if (!holds(f->text.text, f->text.bytes, &f->probe)) return KD_OK;
    }
    return kd__fail(KD_ERR_UNSUPPORTED, "chat: it holds every character that could mark a turn");
}

static int needs_thoughts(const finder *f)
{
    for (int32_t i = 0; i < f->c->count && f->c->o.keep_reasoning == 1; i++) {
        int32_t in_content;
        const kd__value thought = kd__chat_thought(&f->c->turns[i], &in_content);
        if (is_answer(&f->c->messages[i]) && thought.bytes &&
            !holds(f->text.text, f->text.bytes, &thought))
            return 1;
    }
    return 0;
}

/* The template's own blocks; turns that are not learned need one block each. 0: they do not
 * tell. */
static int take_generated(finder *f, builder *b)
{
    const kd__template_output *text = &f->text;
    int32_t answers = 0, skips = 0, seen = 0;
    for (int32_t i = 0; i < f->c->count; i++) {
        answers += is_answer(&f->c->messages[i]);
        skips += is_answer(&f->c->messages[i]) && f->c->messages[i].skip;
    }
    if (!kd__template_generates(f->c->template) || text->generated_count < 0 ||
        (skips && answers != text->generated_count))
        return 0;
    for (int32_t i = 0; skips && i < f->c->count; i++) {
        if (!is_answer(&f->c->messages[i])) continue;
        add_answer(b, f->c->messages[i].skip, text->generated[2 * seen],
                   text->generated[2 * seen + 1]);
        seen++;
    }
    if (skips) return 1;
    if (text->generated_count)
        memcpy(b->out->at, text->generated, 2 * (size_t)text->generated_count * sizeof *b->out->at);
    b->out->count = text->generated_count;
    return 1;
}

static kd_status build(finder *f, builder *b)
{
    kd__value whole;
    KD_TRY(find_all(f, b));
    KD_TRY(kd__string_copy(&f->c->room, b->text.bytes, b->text.size, &whole));
    b->out->text.text = whole.text;
    b->out->text.bytes = whole.bytes;
    return KD_OK;
}

static kd_status find_answers(kd__chat *c, int32_t with_answers, kd__chat_answers *out)
{
    finder f = { .c = c };
    builder b = { .text = { .context = c->t->object.context }, .out = out };
    *out = (kd__chat_answers){ 0 };
    KD_TRY(kd__chat_render(c, c->turns, c->count, c->asks, &f.text));
    out->text = f.text;
    const int rewrites = needs_thoughts(&f);
    if (!with_answers && !rewrites) return KD_OK;
    const int64_t blocks = kd__max(f.text.generated_count, c->count);
    KD_TRY(KD_TAKE(&c->room, &out->at, 2 * blocks + 2));
    if (!rewrites && take_generated(&f, &b)) return KD_OK;
    KD_TRY(choose_mark(&f));
    const kd_status status = build(&f, &b);
    kd__text_free(&b.text);
    return status;
}

kd_status kd__chat_answer(kd__chat *c, int32_t with_answers, kd__chat_answers *out)
{
    KD_TRY(find_answers(c, with_answers, out));
    return c->unfinished.type == KD__V_STRING ? kd__chat_cut(c, out) : KD_OK;
}
