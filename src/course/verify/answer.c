/* Where a text's answer is. Each rule is one pass over the text. */
#include "course/verify/verify.h"
#include "language/text/thoughts.h"

typedef kd__stretch stretch;

static stretch nothing(stretch s) { return (stretch){ s.end, s.end }; }

/* ---- thoughts and turns ---- */

/* What follows the last thought; nothing, where one begins after it and stays open. */
static stretch without_thought(stretch s)
{
    const kd__thoughts thoughts = kd__thoughts_of(s.at, s.end);
    if (thoughts.closed) s.at = thoughts.last.end;
    return thoughts.open ? nothing(s) : s;
}

static int ends_turn(stretch s)
{
    static const char *const ends[] = { "<|im_start|>", "<|im_end|>",    "<|eot_id|>",
                                        "<|end|>",      "<|endoftext|>", "</s>" };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (kd__begins(s, ends[i])) return 1;
    return 0;
}

/* What comes before the first mark that ends a turn of a chat: the rest is another's. */
static stretch one_turn(stretch s)
{
    int said = 0;
    for (const char *p = s.at; p < s.end; p++) {
        if (*p == '<' && said && ends_turn((stretch){ p, s.end })) return (stretch){ s.at, p };
        said |= !kd__is_space(*p);
    }
    return s;
}

/* ---- marks ---- */

static const struct {
    const char *word;
    int colon; /* one must follow, bold type aside */
    int line;  /* only where it begins a line */
} marks[] = {
    { "a", 1, 1 },
    { "answer", 1, 0 },
    { "answer is", 0, 0 },
    { "answers are", 0, 0 },
    { "\xe7\xad\x94\xe6\xa1\x88", 1, 0 },             /* "answer" in Chinese, with a colon */
    { "\xe7\xad\x94\xe6\xa1\x88\xe6\x98\xaf", 0, 0 }, /* "the answer is", in two forms */
    { "\xe7\xad\x94\xe6\xa1\x88\xe4\xb8\xba", 0, 0 },
};

/* After the colon that follows p, with bold type around it; NULL: there is none. */
static const char *after_colon(const char *p, const char *end)
{
    while (p < end && (*p == '*' || *p == ' ')) p++;
    if (kd__begins((stretch){ p, end }, "\xef\xbc\x9a")) return p + 3; /* the one of full width */
    return p < end && *p == ':' ? p + 1 : NULL;
}

/* After the mark at s.at; NULL: none is there. `line`: a line begins there. */
static const char *after_mark(stretch s, int line)
{
    const char *found = NULL;
    if (kd__lower(*s.at) != 'a' && *s.at != '\xe7') return NULL; /* as they all begin */
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if ((marks[i].line && !line) || !kd__begins(s, marks[i].word)) continue;
        const char *after = s.at + strlen(marks[i].word);
        if (marks[i].colon) after = after_colon(after, s.end);
        if (after) found = after;
    }
    return found;
}

/* Another question, which a text that does not end runs on to. */
static int begins_question(stretch s)
{
    return kd__begins(s, "question:") || kd__begins(s, "q:") || kd__begins(s, "problem:");
}

/* After the last "####" (`hashes`) or the last mark of a text's own answer, not of a question that
 * comes after it. at NULL: there is none. */
static stretch after_last_mark(stretch s, int hashes)
{
    stretch found = { NULL, s.end };
    int line = 1; /* nothing but white space and asterisks since the line began */
    for (const char *p = s.at; p < s.end; p++) {
        const stretch rest = { p, s.end };
        if (found.at && line && begins_question(rest)) break;
        const char *after = hashes ? (kd__begins(rest, "####") ? p + 4 : NULL)
                                   : after_mark(rest, line);
        if (after) found.at = after;
        line = *p == '\n' || (line && strchr(" \t*#", *p));
    }
    return found;
}

static stretch to_line_end(stretch s)
{
    const char *end = memchr(s.at, '\n', (size_t)kd__length(s));
    return kd__trimmed((stretch){ s.at, end ? end : s.end });
}

/* The first line after a mark; a displayed formula that begins there is taken whole. */
static stretch first_line(stretch s)
{
    while (s.at < s.end && (strchr(":*#", *s.at) || kd__is_space(*s.at))) s.at++;
    const char *sign = kd__begins(s, "\\[") ? "\\]" : kd__begins(s, "$$") ? "$$" : NULL;
    for (const char *p = s.at + 2; sign && p + 1 < s.end; p++)
        if (p[0] == sign[0] && p[1] == sign[1]) return (stretch){ s.at, p + 2 };
    return to_line_end(s);
}

/* "Final Answer: The final answer is 5. I hope it is correct." closes a solution as few-shot
 * prompts for MATH teach it [Lewkowycz et al. 2022, D.2]. What stands between both parts, or a
 * stretch of NULL. */
static stretch closing_line(stretch s)
{
    static const char begin[] = "final answer is", end[] = "i hope it is correct";
    stretch found = { NULL, NULL };
    for (const char *p = s.at; p < s.end; p++) {
        const char c = kd__lower(*p);
        if (c == 'f' && kd__begins((stretch){ p, s.end }, begin))
            found = (stretch){ p + sizeof begin - 1, NULL };
        if (*p == '\n' && !found.end) found.at = NULL;
        if (c == 'i' && found.at && !found.end && kd__begins((stretch){ p, s.end }, end))
            found.end = p;
    }
    return found.end ? kd__trimmed(found) : (stretch){ NULL, NULL };
}

static stretch boxed(const kd__boxes *b, stretch s)
{
    if (!b->closed) return nothing(s);
    const stretch closing = closing_line((stretch){ b->end, s.end });
    return closing.at ? closing : kd__without_box(b->list);
}

kd__answer kd__answer_of(const char *text)
{
    const stretch s = one_turn(without_thought((stretch){ text, text + strlen(text) }));
    const kd__boxes b = kd__boxes_of(s);
    if (b.count) return (kd__answer){ boxed(&b, s), 1 };
    stretch after = after_last_mark(s, 1);
    if (!after.at) after = after_last_mark(s, 0);
    return after.at ? (kd__answer){ first_line(after), 1 } : (kd__answer){ kd__trimmed(s), 0 };
}

/* ---- formulas ---- */

/* The sign that closes the formula that opens at s.at; NULL: none opens. *bytes: of both signs. */
static const char *formula_sign(stretch s, int *bytes)
{
    *bytes = 2;
    if (kd__begins(s, "\\(")) return "\\)";
    if (kd__begins(s, "\\[")) return "\\]";
    if (kd__begins(s, "$$")) return "$$";
    *bytes = 1;
    return s.at < s.end && *s.at == '$' ? "$" : NULL;
}

int kd__formula_of(kd__answer answer, stretch *formula)
{
    stretch s = answer.text;
    int found = 0, bytes;
    while (s.at < s.end && !(found && answer.marked)) {
        const char *sign = formula_sign(s, &bytes), *from = s.at + bytes, *p = from;
        if (!sign) {
            s.at += *s.at == '\\' && s.end - s.at > 1 ? 2 : 1;
            continue;
        }
        while (p + bytes <= s.end && memcmp(p, sign, (size_t)bytes))
            p += *p == '\\' && bytes == 1 && p + 1 < s.end ? 2 : 1;
        if (p + bytes > s.end) return found;
        *formula = kd__trimmed((stretch){ from, p });
        found |= formula->at < formula->end;
        s.at = p + bytes;
    }
    return found;
}

/* ---- format ---- */

static int has_words(const char *at, const char *end)
{
    return kd__length(kd__trimmed((stretch){ at, end })) > 0;
}

/* After the only thought, which is closed and has words in it and after it; NULL: it is not so. */
static const char *after_thought(const char *text, const char *end)
{
    const kd__thoughts t = kd__thoughts_of(text, end);
    if (t.opened != 1 || t.closed != 1 || t.closing.at < t.opening.end) return NULL;
    return has_words(t.opening.end, t.closing.at) && has_words(t.closing.end, end) ? t.closing.end
                                                                                   : NULL;
}

int kd__keeps_format(const char *text, int32_t format)
{
    const char *end = text + strlen(text);
    if (format & KD_FORMAT_THINK && !(text = after_thought(text, end))) return 0;
    if (!(format & KD_FORMAT_BOXED)) return 1;
    const kd__boxes b = kd__boxes_of((stretch){ text, end });
    return b.count == 1 && b.closed;
}
