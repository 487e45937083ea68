/* Extended regular expressions (POSIX 1003.1, 9.4) over a whole answer: does it match, yes or no.
 *
 * The pattern becomes a small program, and a text runs through it once with all alternatives side
 * by side [Thompson 1968]: no pattern can make the time explode. Jumps are relative, so that code
 * may be copied and moved. Characters are code points of UTF-8; named classes are those of ASCII.
 * Back references, which POSIX leaves out of extended expressions, are refused as an escape. */
#include "course/verify/verify.h"

enum {
    MOST_PATTERN = 1024,
    MOST_STATES = 1000,
    MOST_CLASSES = MOST_PATTERN / 3,
    MOST_DEPTH = 20,
    MOST_COUNT = 255
};
enum { CHARACTER, ANY, CLASS, SPLIT, JUMP, BEGIN, END, MATCH };

typedef struct {
    uint32_t c;   /* CHARACTER; CLASS: its number */
    int16_t a, b; /* SPLIT: both ways on, JUMP: a */
    uint8_t type;
} state;

typedef struct {
    const char *pattern, *at, *end;
    state code[MOST_STATES];
    kd__stretch classes[MOST_CLASSES]; /* what stands between their brackets */
    int count, class_count, depth;
    const char *wrong; /* what was expected where; NULL: nothing is wrong */
} program;

static int fail(program *p, const char *why)
{
    if (!p->wrong) p->wrong = why;
    p->at = p->end;
    return 0;
}

static char peek(const program *p) { return p->at < p->end ? *p->at : 0; }

static void emit(program *p, state s)
{
    if (p->count == MOST_STATES) fail(p, "expected at most 1000 states");
    else p->code[p->count++] = s;
}

/* ---- [...] ---- */

static int is_in(uint32_t c, uint32_t low, uint32_t high) { return c >= low && c <= high; }

/* Is c in the class [:name:]? -1: there is none of that name. */
static int in_named(kd__stretch name, uint32_t c)
{
    const int digit = is_in(c, '0', '9'), upper = is_in(c, 'A', 'Z'), lower = is_in(c, 'a', 'z');
    const int graph = is_in(c, '!', '~'), letter = upper || lower, blank = c == ' ' || c == '\t';
    const struct {
        const char *name;
        int inside;
    } named[] = { { "alpha", letter },
                  { "digit", digit },
                  { "alnum", letter || digit },
                  { "upper", upper },
                  { "lower", lower },
                  { "space", c == ' ' || is_in(c, '\t', '\r') },
                  { "blank", blank },
                  { "punct", graph && !letter && !digit },
                  { "xdigit", digit || is_in(c, 'A', 'F') || is_in(c, 'a', 'f') },
                  { "print", graph || c == ' ' },
                  { "graph", graph },
                  { "cntrl", c < 32 || c == 127 } };
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (kd__length(name) == (int64_t)strlen(named[i].name) && kd__begins(name, named[i].name))
            return named[i].inside;
    return -1;
}

/* [:name:] at p: the end after it; NULL: it is none. */
static const char *named_end(const char *p, const char *end)
{
    if (end - p < 4 || p[0] != '[' || p[1] != ':') return NULL;
    for (const char *q = p + 2; q + 1 < end; q++)
        if (q[0] == ':' && q[1] == ']') return q + 2;
    return NULL;
}

/* Takes a member of a class from *at: is c in it? -1: it is no member. */
static int in_member(const char **at, const char *end, uint32_t c)
{
    const char *after = named_end(*at, end);
    if (after) {
        const kd__stretch name = { *at + 2, after - 2 };
        *at = after;
        return in_named(name, c);
    }
    if (end - *at >= 2 && **at == '[' && strchr(".=", (*at)[1]))
        return -1; /* of a locale's collation */
    const uint32_t low = kd__next_point(at, end);
    uint32_t high = low;
    if (end - *at >= 2 && **at == '-' && (*at)[1] != ']') ++*at, high = kd__next_point(at, end);
    return high < low ? -1 : is_in(c, low, high);
}

static int in_class(kd__stretch s, uint32_t c)
{
    const int negated = s.at < s.end && *s.at == '^';
    int inside = 0;
    for (s.at += negated; s.at < s.end;) inside |= in_member(&s.at, s.end, c);
    return inside != negated;
}

static void parse_class(program *p)
{
    const char *from = ++p->at;
    p->at += peek(p) == '^';
    for (int first = 1; p->at < p->end && (*p->at != ']' || first); first = 0)
        if (in_member(&p->at, p->end, 0) < 0)
            fail(p, "expected a character, a rising range or a class of POSIX in []");
    if (p->at == p->end) fail(p, "expected ']'");
    if (p->wrong) return;
    p->classes[p->class_count] = (kd__stretch){ from, p->at++ };
    emit(p, (state){ .type = CLASS, .c = (uint32_t)p->class_count++ });
}

/* ---- repetitions ---- */

/* The code of [from, to) once more. */
static void copy(program *p, int from, int to)
{
    for (int i = from; i < to; i++) emit(p, p->code[i]);
}

/* Makes room for one state at `from`. */
static void insert(program *p, int from, state s)
{
    emit(p, s);
    if (p->wrong) return;
    memmove(p->code + from + 1, p->code + from, (size_t)(p->count - 1 - from) * sizeof *p->code);
    p->code[from] = s;
}

/* The code from `from` on may be left out; `again`: or repeated. */
static void optional(program *p, int from, int again)
{
    const int n = p->count - from + again;
    if (again) emit(p, (state){ .type = JUMP, .a = (int16_t)-n });
    insert(p, from, (state){ .type = SPLIT, .a = 1, .b = (int16_t)(n + 1) });
}

static int bound(program *p)
{
    int n = 0;
    if (!kd__is_digit(peek(p))) return fail(p, "expected a number in {}");
    while (kd__is_digit(peek(p)) && n <= MOST_COUNT) n = n * 10 + (*p->at++ - '0');
    return n > MOST_COUNT ? fail(p, "expected a count of at most 255 in {}") : n;
}

/* * + ? {low} {low,} {low,high}; *high -1: without end. */
static void read_counts(program *p, int *low, int *high)
{
    const char c = *p->at++;
    *low = c == '+';
    *high = c == '?' ? 1 : -1;
    if (c != '{') return;
    *low = *high = bound(p);
    if (peek(p) == ',') {
        p->at++;
        *high = peek(p) == '}' ? -1 : bound(p);
    }
    if (peek(p) != '}' || (*high >= 0 && *high < *low))
        fail(p, "expected {low}, {low,} or {low,high}");
    else p->at++;
}

/* What stands from `from` on is the model: its copies come after it and then take its place. */
static void repetition(program *p, int from)
{
    const int to = p->count;
    int low, high;
    read_counts(p, &low, &high);
    for (int i = 0; i < low && !p->wrong; i++) copy(p, from, to);
    for (int i = low; i < (high < 0 ? low + 1 : high) && !p->wrong; i++) {
        const int at = p->count;
        copy(p, from, to);
        optional(p, at, high < 0);
    }
    if (p->wrong) return;
    memmove(p->code + from, p->code + to, (size_t)(p->count - to) * sizeof *p->code);
    p->count -= to - from;
}

/* ---- the rest of the syntax ---- */

static void alternatives(program *p);

static void group(program *p)
{
    p->at++;
    if (++p->depth > MOST_DEPTH) fail(p, "expected at most 20 groups within each other");
    else alternatives(p);
    p->depth--;
    if (peek(p) != ')') fail(p, "expected ')'");
    else p->at++;
}

static void escaped(program *p)
{
    p->at++;
    if (p->at == p->end) fail(p, "expected a character after \\");
    else if (kd__is_letter(*p->at) || kd__is_digit(*p->at))
        fail(p, "expected punctuation after \\: no other escape is known");
    else emit(p, (state){ .type = CHARACTER, .c = kd__next_point(&p->at, p->end) });
}

static void atom(program *p)
{
    static const char places[] = "^$.";
    static const uint8_t types[] = { BEGIN, END, ANY };
    const char c = *p->at, *place = strchr(places, c);
    if (c == '(') group(p);
    else if (c == '[') parse_class(p);
    else if (c == '\\') escaped(p);
    else if (strchr("*+?{", c)) fail(p, "expected something before a repetition");
    else if (!place) emit(p, (state){ .type = CHARACTER, .c = kd__next_point(&p->at, p->end) });
    else p->at++, emit(p, (state){ .type = types[place - places] });
}

static void sequence(program *p)
{
    while (p->at < p->end && *p->at != '|' && *p->at != ')') {
        const int from = p->count;
        atom(p);
        while (p->at < p->end && strchr("*+?{", *p->at)) repetition(p, from);
    }
}

/* a|b: a split before what there is, and a jump from its end over the next. */
static void alternatives(program *p)
{
    const int from = p->count;
    sequence(p);
    while (peek(p) == '|') {
        p->at++;
        insert(p, from, (state){ .type = SPLIT, .a = 1, .b = (int16_t)(p->count - from + 2) });
        const int jump = p->count;
        emit(p, (state){ .type = JUMP });
        sequence(p);
        if (!p->wrong) p->code[jump].a = (int16_t)(p->count - jump);
    }
}

/* ---- matching ---- */

typedef struct {
    const program *p;
    const char *begin, *end;
    struct {
        uint16_t at[MOST_STATES];
        int count;
    } lists[2];                   /* states that wait for a character, in turns */
    uint16_t stack[MOST_STATES];  /* states that lead on without one */
    uint32_t added[MOST_STATES];  /* the round in which a state was last added */
    uint8_t inside[MOST_CLASSES]; /* is this round's character in the class? */
    uint32_t round;
    int depth, matched;
} run;

static void push(run *r, int i)
{
    if (r->added[i] == r->round) return;
    r->added[i] = r->round;
    r->stack[r->depth++] = (uint16_t)i;
}

/* Adds the state and what it leads to without a character. */
static void follow(run *r, int list, int start, const char *at)
{
    for (push(r, start); r->depth;) {
        const int i = r->stack[--r->depth];
        const state *s = &r->p->code[i];
        switch (s->type) {
        case MATCH: r->matched |= at == r->end; break;
        case SPLIT:
            push(r, i + s->b);
            push(r, i + s->a);
            break;
        case JUMP: push(r, i + s->a); break;
        case BEGIN:
            if (at == r->begin) push(r, i + 1);
            break;
        case END:
            if (at == r->end) push(r, i + 1);
            break;
        default: r->lists[list].at[r->lists[list].count++] = (uint16_t)i;
        }
    }
}

static int takes(const run *r, const state *s, uint32_t c)
{
    return s->type == ANY || (s->type == CHARACTER ? s->c == c : r->inside[s->c]);
}

static int matches(run *r)
{
    int now = 0;
    r->round = 1;
    follow(r, now, 0, r->begin);
    for (const char *at = r->begin; at < r->end && r->lists[now].count; now ^= 1) {
        const uint32_t c = kd__next_point(&at, r->end);
        for (int k = 0; k < r->p->class_count; k++)
            r->inside[k] = (uint8_t)in_class(r->p->classes[k], c);
        r->round++;
        r->matched = r->lists[now ^ 1].count = 0;
        for (int i = 0; i < r->lists[now].count; i++) {
            const int waiting = r->lists[now].at[i];
            if (takes(r, &r->p->code[waiting], c)) follow(r, now ^ 1, waiting + 1, at);
        }
    }
    return r->matched;
}

kd_status kd__pattern_match(const char *pattern, kd__stretch text, int *yes)
{
    KD_FAIL_IF(!pattern, KD_ERR_INVALID, "verify: KD_VERIFY_PATTERN: expected a pattern, got NULL");
    const size_t n = strlen(pattern);
    KD_FAIL_IF(n > MOST_PATTERN, KD_ERR_RANGE, "pattern: expected at most %d bytes, got %zu",
               MOST_PATTERN, n);
    program p = { .pattern = pattern, .at = pattern, .end = pattern + n };
    alternatives(&p);
    if (p.at < p.end) fail(&p, "expected '(' before ')'");
    emit(&p, (state){ .type = MATCH });
    KD_FAIL_IF(p.wrong, KD_ERR_INVALID, "pattern '%.100s': %s", pattern, p.wrong);
    run r = { .p = &p, .begin = text.at, .end = text.end };
    *yes = kd__length(text) <= KD__LONGEST_ANSWER && matches(&r);
    return KD_OK;
}
