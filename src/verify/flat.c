/* LaTeX and plain text of an answer as a flat text: no white space, no layout, no units behind numbers. */
#include <complex.h>
#include <string.h>

#include "verify/verify.h"

typedef struct {
    const char *begin, *at, *end;
    char *out;
    int n, full;
} flat;

static int is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static int is_digit(char c) { return c >= '0' && c <= '9'; }
static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static void put(flat *f, char c)
{
    if (f->n + 1 < KD__FLAT) f->out[f->n++] = c;
    else f->full = 1;
}

static void put_text(flat *f, const char *text)
{
    while (*text) put(f, *text++);
}

/* Does what stands before look like a number or a finished expression? */
static int behind_number(const flat *f) { return f->n && (is_digit(f->out[f->n - 1]) || strchr("})]", f->out[f->n - 1])); }

/* ^2 and ^{3} of a unit that was left out. */
static void skip_power(flat *f)
{
    const char *p = f->at;
    while (p < f->end && is_space(*p)) p++;
    if (p == f->end || *p != '^') return;
    for (p++; p < f->end && (*p == '{' || *p == '}' || is_digit(*p)); p++) continue;
    f->at = p;
}

/* The inside of {...} at f->at, which moves behind it; without braces: empty. */
static kd__stretch group(flat *f)
{
    const char *p = f->at;
    int depth = 0;
    while (p < f->end && is_space(*p)) p++;
    if (p == f->end || *p != '{') return (kd__stretch){ f->at, f->at };
    const char *from = p + 1;
    for (; p < f->end; p++) {
        depth += *p == '{' ? 1 : *p == '}' ? -1 : 0;
        if (!depth) break;
    }
    f->at = p < f->end ? p + 1 : p;
    return (kd__stretch){ from, p };
}

static void flatten(flat *f);

/* \text{ cm}: a unit behind a number, else what it says. */
static void put_group_text(flat *f)
{
    const kd__stretch inside = group(f);
    if (behind_number(f)) {
        skip_power(f);
        return;
    }
    flat part = { inside.at, inside.at, inside.end, f->out, f->n, f->full };
    flatten(&part);
    f->n = part.n;
    f->full = part.full;
}

static int is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(name, *list)) return 1;
    return 0;
}

static void command(flat *f)
{
    static const char *const layout[] = { "left", "right", "displaystyle", "quad", "qquad",  "big",    "Big",
                                          "bigl", "bigr",  "limits",       "circ", "degree", "hspace", NULL };
    static const char *const texts[] = { "text", "textbf", "textit", "mathrm", "mbox", "mathbf", "rm", "operatorname", "boxed", "mathbb", NULL };
    static const struct {
        const char *name;
        char sign;
    } signs[] = { { "cdot", '*' },
                  { "times", '*' },
                  { "div", '/' },
                  { "le", KD__LESS_EQUAL },
                  { "leq", KD__LESS_EQUAL },
                  { "ge", KD__MORE_EQUAL },
                  { "geq", KD__MORE_EQUAL },
                  { "ne", KD__NOT_EQUAL },
                  { "neq", KD__NOT_EQUAL },
                  { "pm", KD__PLUS_MINUS },
                  { "cup", KD__UNION },
                  { "lt", '<' },
                  { "gt", '>' },
                  { "in", KD__IN },
                  { "lbrace", KD__SET_OPEN },
                  { "rbrace", KD__SET_CLOSE },
                  { "vert", '|' },
                  { "lvert", '|' },
                  { "rvert", '|' },
                  { "mid", '|' },
                  { "colon", ':' } };
    char name[24] = "";
    int n = 0;
    const char c = f->at < f->end ? *f->at : 0;
    if (c == '{' || c == '}') put(f, c == '{' ? KD__SET_OPEN : KD__SET_CLOSE);
    else if (c == '\\') put(f, KD__ROW);
    if (!is_letter(c)) { /* \, \! \% \$ and other small ones are layout */
        f->at += c != 0;
        return;
    }
    while (f->at < f->end && is_letter(*f->at)) {
        if (n < 22) name[n++] = *f->at;
        f->at++;
    }
    if (is_one_of(name, layout)) {
        if (strcmp(name, "circ") && strcmp(name, "degree")) return;
        if (f->n && f->out[f->n - 1] == '^') f->n--; /* 90^\circ, 90^{\circ} */
        else if (f->n > 1 && f->out[f->n - 1] == '{' && f->out[f->n - 2] == '^' && f->at < f->end && *f->at == '}') {
            f->n -= 2;
            f->at++;
        }
        return;
    }
    if (is_one_of(name, texts)) {
        put_group_text(f);
        return;
    }
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (!strcmp(name, signs[i].name)) {
            put(f, signs[i].sign);
            return;
        }
    put(f, '\\');
    put_text(f, !strcmp(name, "dfrac") || !strcmp(name, "tfrac") || !strcmp(name, "cfrac") ? "frac"
                : !strcmp(name, "dbinom") || !strcmp(name, "tbinom")                       ? "binom"
                                                                                           : name);
    const char *next = f->at;
    while (next < f->end && is_space(*next)) next++;
    if (next < f->end && is_letter(*next)) put(f, KD__NAME_END);
}

/* Letters: "and" is a comma; a word apart behind a number is its unit. */
static void word(flat *f)
{
    const char *from = f->at, *p = f->at;
    while (p < f->end && is_letter(*p)) p++;
    const int64_t n = p - from;
    const int apart = from > f->begin && n > 1 && is_space(from[-1]);
    if ((n == 3 && !strncmp(from, "and", 3)) || (n == 2 && !strncmp(from, "or", 2))) {
        f->at = p;
        put(f, ',');
    } else if (apart && behind_number(f)) {
        f->at = p;
        skip_power(f);
        while (f->at < f->end && (is_letter(*f->at) || is_space(*f->at) || *f->at == '.')) f->at++; /* square inches. */
    } else {
        for (int64_t i = 0; i < n; i++) put(f, from[i]);
        f->at = p;
    }
}

/* UTF-8 signs that stand for LaTeX ones; 1: taken. */
static int sign(flat *f)
{
    static const struct {
        const char *utf8, *as;
    } signs[] = { { "\xc2\xb0", "" },         { "\xcf\x80", "\\pi" },     { "\xe2\x88\x9e", "\\infty" },
                  { "\xe2\x88\x92", "-" },    { "\xc3\x97", "*" },        { "\xc2\xb7", "*" },
                  { "\xe2\x89\xa4", "\4" },   { "\xe2\x89\xa5", "\5" },   { "\xe2\x89\xa0", "\6" },
                  { "\xc2\xb1", "\7" },       { "\xe2\x88\xaa", "\10" },  { "\xe2\x88\x9a", "\\sqrt" },
                  { "\xc2\xbd", "\\frac12" }, { "\xc2\xbc", "\\frac14" }, { "\xc2\xbe", "\\frac34" },
                  { "\xc2\xb2", "^2" },       { "\xc2\xb3", "^3" },       { "\xe2\x82\xac", "" },
                  { "\xc2\xa3", "" } };
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        const size_t n = strlen(signs[i].utf8);
        if ((size_t)(f->end - f->at) < n || memcmp(f->at, signs[i].utf8, n)) continue;
        put_text(f, signs[i].as);
        f->at += n;
        return 1;
    }
    return 0;
}

static void flatten(flat *f)
{
    while (f->at < f->end) {
        const char c = *f->at;
        if (c == '\\') {
            f->at++;
            command(f);
        } else if (is_letter(c)) word(f);
        else if (is_space(c) || c == '$' || c == '%' || c == '~') f->at++;
        else if (c == ',' && f->end - f->at > 2 && f->at[1] == '\\' && f->at[2] == '!') f->at += 3; /* 10,\!000 */
        else if (c == '*' && f->end - f->at > 1 && f->at[1] == '*') {
            f->at += 2; /* Python's power, or bold */
            put(f, '^');
        } else if ((c == '<' || c == '>' || c == '!') && f->end - f->at > 1 && f->at[1] == '=') {
            f->at += 2;
            put(f, c == '<' ? KD__LESS_EQUAL : c == '>' ? KD__MORE_EQUAL : KD__NOT_EQUAL);
        } else if ((unsigned char)c < 0x80 || !sign(f)) {
            put(f, c);
            f->at++;
        }
    }
}

/* 1,234,567 outside brackets. */
static void join_thousands(char *t)
{
    const char *p = t + (*t == '-');
    int groups = 0, first = 0;
    while (is_digit(*p)) p++, first++;
    if (first < 1 || first > 3) return;
    while (*p == ',' && is_digit(p[1]) && is_digit(p[2]) && is_digit(p[3]) && !is_digit(p[4])) p += 4, groups++;
    if (!groups || (*p && *p != '.')) return;
    for (const char *q = p; *q; q++)
        if (*q != '.' && !is_digit(*q)) return;
    char *to = t;
    for (const char *q = t; *q; q++)
        if (*q != ',') *to++ = *q;
    *to = 0;
}

int kd__flatten(kd__stretch s, char out[KD__FLAT])
{
    flat f = { s.at, s.at, s.end, out, 0, 0 };
    flatten(&f);
    while (f.n && strchr(".,;:", out[f.n - 1])) f.n--;
    out[f.n] = 0;
    join_thousands(out);
    return !f.full && f.n > 0;
}
