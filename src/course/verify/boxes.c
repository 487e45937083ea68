/* \boxed{..} and its kin: which one holds the answer. One pass over the text. */
#include "course/verify/verify.h"

typedef kd__stretch stretch;

enum { NESTED_BOXES = 16, FARTHEST_BOX = 48 /* bytes between two boxes that are one list */ };

int64_t kd__box_command(stretch s)
{
    static const char *const names[] = { "\\boxed", "\\fbox", "\\framebox" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const int64_t n = (int64_t)strlen(names[i]);
        if (!kd__begins(s, names[i]) || (kd__length(s) > n && kd__is_letter(s.at[n]))) continue;
        const char *p = s.at + n;
        while (p < s.end && kd__is_space(*p)) p++;
        return p - s.at;
    }
    return 0;
}

/* ---- boxes that are one list ---- */

/* Without what is layout at the end: white space, brackets and ends of formulas, \quad. */
static stretch without_layout(stretch s)
{
    for (;;) {
        while (s.end > s.at && (kd__is_space(s.end[-1]) || strchr("${}()[]\\", s.end[-1]))) s.end--;
        if (kd__length(s) < 5 || !kd__begins((stretch){ s.end - 5, s.end }, "\\quad")) return s;
        s.end -= 5;
    }
}

/* Without the name of a box: "y_2 =" before it. */
static stretch without_name(stretch s)
{
    if (s.end == s.at || s.end[-1] != '=') return s;
    for (s.end--; s.end > s.at && kd__is_space(s.end[-1]);) s.end--;
    while (s.end > s.at &&
           (kd__is_letter(s.end[-1]) || kd__is_digit(s.end[-1]) || s.end[-1] == '_'))
        s.end--;
    return without_layout(s);
}

/* Does s end with the word, and not as a part of another? */
static int ends_with(stretch s, const char *word)
{
    const int64_t n = (int64_t)strlen(word);
    if (kd__length(s) < n || !kd__begins((stretch){ s.end - n, s.end }, word)) return 0;
    return kd__length(s) == n || !kd__is_letter(s.end[-n - 1]);
}

/* Does what stands between two boxes make them one list: nothing at all, or at its end a separator,
 * "and" or "or"? */
static int joins(stretch s)
{
    if (s.at == s.end) return 1;
    if (kd__length(s) > FARTHEST_BOX || memchr(s.at, '\n', (size_t)kd__length(s))) return 0;
    s = without_name(without_layout(s));
    if (s.end > s.at && strchr(",;+&/|", s.end[-1])) return 1;
    return ends_with(s, "and") || ends_with(s, "or");
}

/* ---- the pass ---- */

/* Boxes that are open, each with the depth of braces around it. Of more than NESTED_BOXES the outer
 * ones are forgotten. */
typedef struct {
    struct {
        const char *at;
        int64_t depth;
    } open[NESTED_BOXES];
    uint32_t first, count; /* of the open ones, counted round */
    int64_t depth;
    const char *last; /* where the last box began, inside */
    /* of boxes that stand in no other one; end NULL: none of them is closed yet */
    stretch list;
    int listed; /* how many */
    kd__boxes boxes;
} scan;

/* A box begins that stands in no other one: does it go on with the list? */
static void begin_outer(scan *b, const char *command)
{
    if (b->list.end && joins((stretch){ b->list.end, command })) return;
    b->list = (stretch){ command, NULL };
    b->listed = 0;
}

static void end_outer(scan *b, const char *end)
{
    b->list.end = end;
    b->listed++;
}

static void open_box(scan *b, const char *command, const char *inside)
{
    if (!b->count) begin_outer(b, command);
    if (b->count == NESTED_BOXES) b->first++, b->count--;
    const uint32_t place = (b->first + b->count++) % NESTED_BOXES;
    b->open[place].at = b->last = inside;
    b->open[place].depth = b->depth++;
    b->boxes.closed = 0;
    b->boxes.count++;
}

static void close_brace(scan *b, const char *at)
{
    const uint32_t place = (b->first + b->count - 1) % NESTED_BOXES;
    b->depth -= b->depth > 0;
    if (!b->count || b->open[place].depth != b->depth) return;
    b->boxes.inside = (stretch){ b->open[place].at, at };
    b->boxes.end = at + 1;
    b->boxes.closed |= b->open[place].at == b->last;
    if (!--b->count) end_outer(b, at + 1);
}

/* \boxed 5, without braces: to the end of the formula or line. s: after the command. */
static const char *bare_box(scan *b, const char *command, stretch s)
{
    const char *p = s.at;
    while (p < s.end && *p != '$' && *p != '\n' && !kd__begins((stretch){ p, s.end }, "\\boxed"))
        p++;
    if (!b->count) begin_outer(b, command);
    b->last = s.at;
    b->boxes.inside = (stretch){ s.at, p };
    b->boxes.end = p;
    b->boxes.closed = p > s.at;
    b->boxes.count++;
    if (!b->count) end_outer(b, p);
    return p;
}

/* After the command or the escaped sign at s.at. */
static const char *command(scan *b, stretch s)
{
    const int64_t n = kd__box_command(s);
    const char *after = s.at + n;
    if (n && after < s.end && *after == '{') {
        open_box(b, s.at, after + 1);
        return after + 1;
    }
    if (n) return bare_box(b, s.at, (stretch){ after, s.end });
    const int doubled = s.end - s.at > 1 && s.at[1] == '\\' &&
                        kd__box_command((stretch){ s.at + 1, s.end });
    return s.end - s.at > 1 && !doubled ? s.at + 2 : s.at + 1;
}

kd__boxes kd__boxes_of(stretch s)
{
    scan b = { 0 };
    for (const char *p = s.at; p < s.end;) {
        if (*p == '\\') {
            p = command(&b, (stretch){ p, s.end });
            continue;
        }
        if (*p == '{') b.depth++;
        else if (*p == '}') close_brace(&b, p);
        p++;
    }
    b.boxes.list = b.listed > 1 && !b.count ? b.list : b.boxes.inside;
    return b.boxes;
}

stretch kd__without_box(stretch s)
{
    for (int i = 0; i < NESTED_BOXES; i++) {
        s = kd__trimmed(s);
        const int64_t n = kd__box_command(s);
        if (!n || s.at + n == s.end || s.at[n] != '{') return s;
        const kd__boxes b = kd__boxes_of(s);
        if (b.inside.at != s.at + n + 1 || b.inside.end + 1 != s.end) return s;
        s = b.inside;
    }
    return s;
}
