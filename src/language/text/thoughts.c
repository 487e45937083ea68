/* Thoughts in a text: where they begin and end, by the marks that templates of models write. */
#include "language/text/thoughts.h"

#include <string.h>

/* gpt-oss thinks in a channel, and its answer is another. */
static const struct {
    const char *open, *close;
} marks[] = {
    { "<think>", "</think>" },
    { "[THINK]", "[/THINK]" },
    { "<thinking>", "</thinking>" },
    { "<thought>", "</thought>" },
    { "<reasoning>", "</reasoning>" },
    { "<seed:think>", "</seed:think>" },
    { "<longcat_think>", "</longcat_think>" },
    { "<|START_THINKING|>", "<|END_THINKING|>" },
    { "<|begin_of_thought|>", "<|end_of_thought|>" },
    { "<|inner_prefix|>", "<|inner_suffix|>" },
    { "<|channel|>analysis<|message|>", "<|channel|>final<|message|>" },
    { "<|channel>thought", "<channel|>" },
    { "\xe2\x97\x81think\xe2\x96\xb7", "\xe2\x97\x81/think\xe2\x96\xb7" },
};
enum { KINDS = sizeof marks / sizeof *marks, NONE = -1 };

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

/* The bytes of the mark if the text begins with it; 0: it does not. */
static int64_t begins(const char *at, const char *end, const char *mark)
{
    const char *from = at;
    for (; *mark; mark++, at++)
        if (at >= end || lower(*at) != lower(*mark)) return 0;
    return at - from;
}

/* The second letters are looked at first: texts of formulas have many of these signs. */
static int may_begin(const char *p, const char *end)
{
    if (*p == '<') return p + 1 < end && strchr("/|tTrRsSlLcC", p[1]);
    return *p == '[' || *p == '\xe2';
}

/* A mark at p: its bytes, *kind, and whether it closes. 0: there is none. */
static int64_t mark_at(const char *p, const char *end, int *kind, int *closes)
{
    const int may = may_begin(p, end);
    for (int i = 0; may && i < KINDS; i++) {
        const int64_t opening = begins(p, end, marks[i].open),
                      closing = opening ? 0 : begins(p, end, marks[i].close);
        *kind = i;
        *closes = closing > 0;
        if (opening + closing) return opening + closing;
    }
    return 0;
}

static void count_mark(kd__thoughts *t, kd__mark mark, int closes)
{
    if (closes) t->last = mark;
    if (closes && !t->closed++) t->closing = mark;
    if (!closes && !t->opened++) t->opening = mark;
}

kd__thoughts kd__thoughts_of(const char *text, const char *end)
{
    kd__thoughts t = { 0 };
    int thinking = NONE, kind, closes;
    for (const char *p = text; p < end;) {
        const int64_t bytes = mark_at(p, end, &kind, &closes);
        if (bytes && (thinking == NONE || thinking == kind)) {
            count_mark(&t, (kd__mark){ p, p + bytes }, closes);
            thinking = closes ? NONE : kind;
        }
        p += bytes ? bytes : 1;
    }
    t.open = thinking != NONE;
    return t;
}
