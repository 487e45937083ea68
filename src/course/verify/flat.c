/* LaTeX and plain text of an answer as a flat text: one spelling, no white space, no layout.
 *
 * One pass, no recursion: what \text{..} holds is read by the same loop, which remembers for each
 * open brace whether it is such a text. */
#include <stddef.h>

#include "base/numbers.h"
#include "course/verify/verify.h"

enum { MOST_BRACES = 64 };

typedef struct {
    const char *begin, *at, *end;
    char *out;
    int32_t n;
    int full, prose;
    int braces, brackets; /* open { of TeX; open ( [ \{ */
    int matrices;
    /* the text begins with a box: what stands between this one and others does not count */
    int boxes;
    uint64_t text; /* a bit an open brace: words stand in it */
    int text_next; /* the next brace opens a text */
} flat;

static void put(flat *f, char c)
{
    if (f->n + 1 < KD__FLAT) f->out[f->n++] = c;
    else f->full = 1;
}

static void put_text(flat *f, const char *text)
{
    while (*text) put(f, *text++);
}

static char last(const flat *f) { return f->n ? f->out[f->n - 1] : 0; }
static char peek(const flat *f) { return f->at < f->end ? *f->at : 0; }
static int in_text(const flat *f) { return f->braces && (f->text >> (f->braces - 1) & 1); }

static void skip_space(flat *f)
{
    while (f->at < f->end && kd__is_space(*f->at)) f->at++;
}

static int is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(name, *list)) return 1;
    return 0;
}

/* Does what stands before look like a finished number or expression? */
static int after_number(const flat *f)
{
    const char c = last(f);
    return kd__is_digit(c) || (c && strchr("})]%!", c)) || c == KD__DEGREE;
}

/* \name, or a name of its own in plain text. */
static void put_name(flat *f, const char *name)
{
    put(f, '\\');
    put_text(f, name);
    put(f, KD__NAME_END);
}

/* A comma for "and" and "or", but one only. */
static void put_comma(flat *f)
{
    if (last(f) != ',' && last(f) != ';') put(f, ',');
}

/* 90^\circ, 90^{\circ}, 90 degrees */
static void put_degree(flat *f)
{
    skip_space(f);
    if (last(f) == '^') f->n--;
    else if (f->n > 1 && last(f) == '{' && f->out[f->n - 2] == '^' && peek(f) == '}') {
        f->n -= 2;
        f->braces -= f->braces > 0;
        f->at++;
    }
    put(f, KD__DEGREE);
}

/* ---- braces ---- */

/* A list of boxes: what stands between two of them is a comma. */
static void next_box(flat *f)
{
    for (const char *p = f->at; p < f->end; p++) {
        if (*p != '\\' || !kd__box_command((kd__stretch){ p, f->end })) continue;
        put_comma(f);
        f->at = p;
        return;
    }
    f->boxes = 0;
}

static void open_brace(flat *f)
{
    if (f->braces >= MOST_BRACES) f->full = 1;
    else {
        const int text = f->text_next || in_text(f);
        f->text &= ~((uint64_t)1 << f->braces);
        f->text |= (uint64_t)text << f->braces++;
        if (!text) put(f, '{');
    }
    f->text_next = 0;
}

static void close_brace(flat *f)
{
    if (!in_text(f)) put(f, '}');
    f->braces -= f->braces > 0;
    if (f->boxes && !f->braces) next_box(f);
}

/* The inside of a {..} that is only skipped. */
static kd__stretch take_braces(flat *f)
{
    skip_space(f);
    if (peek(f) != '{') return (kd__stretch){ f->at, f->at };
    const char *from = ++f->at;
    while (f->at < f->end && *f->at != '}') f->at++;
    const kd__stretch inside = { from, f->at };
    f->at += f->at < f->end;
    return inside;
}

/* ---- numbers ---- */

static int three_digits(const char *p, const char *end)
{
    return end - p >= 3 && kd__is_digit(p[0]) && kd__is_digit(p[1]) && kd__is_digit(p[2]) &&
           (end - p == 3 || !kd__is_digit(p[3]));
}

/* Where the run of digits at the end of `out` begins; -1: there is none, or a point or a name is in
 * it. */
static int32_t digits_from(const flat *f)
{
    int32_t from = f->n;
    while (from > 0 && kd__is_digit(f->out[from - 1])) from--;
    if (from == f->n || (from && (f->out[from - 1] == '.' || f->out[from - 1] == '_' ||
                                  kd__is_letter(f->out[from - 1]))))
        return -1;
    return from;
}

/* White space of TeX that may follow or stand in for a comma between groups of three: \! \, "\
 * " ~ */
static const char *after_thin_space(const char *p, const char *end)
{
    for (;;) {
        if (end - p >= 2 && *p == '\\' && strchr("!,;: ", p[1])) p += 2;
        else if (p < end && (kd__is_space(*p) || *p == '~')) p++;
        else return p;
    }
}

/* A separator of thousands at f->at, after digits: its length, or 0. `first` bytes of digits stand
 * before it. */
static int64_t separator(const flat *f, int32_t first)
{
    const char *p = f->at, *end = f->end;
    const char *brace = after_thin_space(p, end);
    if (brace < end && *brace == '{') { /* 1{,}234 and 14 {, }916 */
        for (p = brace + 1; p < end && (*p == ',' || kd__is_space(*p)); p++) continue;
        return p < end && *p == '}' && memchr(brace, ',', (size_t)(p - brace)) ? p + 1 - f->at : 0;
    }
    if (*p == ',' && end - p > 2 && p[1] == '\\' && p[2] == '!')
        return after_thin_space(p + 1, end) - p;
    if (*p == ',') return !f->brackets ? 1 : 0;
    const char *after = after_thin_space(p, end);
    return after > p && first <= 3 ? after - p : 0;
}

/* Digits with their groups of three: 1,234,567 or 1 234 567. Its fraction and exponent come after
 * as they stand. */
static void number(flat *f)
{
    int32_t first = 0;
    while (kd__is_digit(peek(f))) put(f, *f->at++), first++;
    const int32_t from = digits_from(f);
    if (from < 0 || first > 3 || f->n - from != first || f->out[from] == '0') return;
    while (f->at < f->end) {
        const int64_t skip = separator(f, first);
        if (!skip || !three_digits(f->at + skip, f->end)) return;
        for (f->at += skip; kd__is_digit(peek(f));) put(f, *f->at++);
    }
}

/* ---- commands ---- */

static const struct {
    const char *name;
    char sign;
} signs[] = {
    { "cdot", '*' },
    { "times", '*' },
    { "ast", '*' },
    { "div", '/' },
    { "le", KD__LESS_EQUAL },
    { "leq", KD__LESS_EQUAL },
    { "leqslant", KD__LESS_EQUAL },
    { "leqq", KD__LESS_EQUAL },
    { "ge", KD__MORE_EQUAL },
    { "geq", KD__MORE_EQUAL },
    { "geqslant", KD__MORE_EQUAL },
    { "geqq", KD__MORE_EQUAL },
    { "ne", KD__NOT_EQUAL },
    { "neq", KD__NOT_EQUAL },
    { "pm", KD__PLUS_MINUS },
    { "mp", KD__MINUS_PLUS },
    { "cup", KD__UNION },
    { "lt", '<' },
    { "gt", '>' },
    { "in", KD__IN },
    { "approx", KD__ABOUT },
    { "simeq", KD__ABOUT },
    { "lbrace", KD__SET_OPEN },
    { "rbrace", KD__SET_CLOSE },
    { "lbrack", '[' },
    { "rbrack", ']' },
    { "langle", '(' },
    { "rangle", ')' },
    { "lparen", '(' },
    { "rparen", ')' },
    { "vert", '|' },
    { "mid", '|' },
    { "lvert", KD__ABS_OPEN },
    { "rvert", KD__ABS_CLOSE },
    { "lfloor", KD__FLOOR_OPEN },
    { "rfloor", KD__FLOOR_CLOSE },
    { "lceil", KD__CEILING_OPEN },
    { "rceil", KD__CEILING_CLOSE },
    { "colon", ':' },
    { "lor", ',' },
    { "land", ',' },
    { "vee", ',' },
    { "wedge", ',' },
    { "newline", ' ' },
};

static const struct {
    const char *name, *as;
} synonyms[] = {
    { "dfrac", "frac" },
    { "tfrac", "frac" },
    { "cfrac", "frac" },
    { "dbinom", "binom" },
    { "tbinom", "binom" },
    { "choose", "choose" },
    { "infin", "infty" },
    { "varnothing", "emptyset" },
    { "lg", "log" },
    { "arcsinh", "arsinh" },
    { "asin", "arcsin" },
    { "acos", "arccos" },
    { "atan", "arctan" },
    { "cosec", "csc" },
    { "infinity", "infty" },
    { "inf", "infty" },
    { "varepsilon", "epsilon" },
    { "varphi", "phi" },
    { "ctg", "cot" },
    { "tg", "tan" },
    { "ldots", "dots" },
    { "cdots", "dots" },
    { "dotsc", "dots" },
};

static const char *const layout[] = {
    "displaystyle", "textstyle",      "scriptstyle", "qquad",      "big",    "Big",       "bigl",
    "bigr",         "Bigl",           "Bigr",        "bigg",       "biggl",  "biggr",     "Bigg",
    "Biggl",        "Biggr",          "limits",      "nolimits",   "hline",  "thinspace", "boxed",
    "fbox",         "framebox",       "mathbf",      "boldsymbol", "bm",     "vec",       "hat",
    "tilde",        "overrightarrow", "widehat",     "mathcal",    "mathit", "underline", "mathsf",
    "pmb",          "ensuremath",     "therefore",   "nonumber",   "notag",  "middle",    "strut",
    "displaylines", "ldotp",          NULL
};
static const char *const texts[] = { "text",   "textbf",     "textit", "textrm", "textnormal",
                                     "textsf", "texttt",     "emph",   "mathrm", "mbox",
                                     "hbox",   "rm",         "bf",     "it",     "operatorname",
                                     "textup", "underbrace", NULL };

static const char *spelled(const char *name)
{
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
        if (!strcmp(name, synonyms[i].name)) return synonyms[i].as;
    return name;
}

/* The bracket that \left or \right stands before; `open`: \left. */
static void delimiter(flat *f, int open)
{
    skip_space(f);
    if (peek(f) == '.') f->at++;
    else if (peek(f) == '|') {
        f->at++;
        put(f, open ? KD__ABS_OPEN : KD__ABS_CLOSE);
    }
}

/* \begin{pmatrix}, \begin{array}{cc} and their ends. */
static void environment(flat *f, int begin)
{
    static const char *const kinds[] = { "pmatrix",     "bmatrix", "matrix",  "Bmatrix",
                                         "smallmatrix", "array",   "vmatrix", NULL };
    char name[16] = "";
    const kd__stretch inside = take_braces(f);
    if (kd__length(inside) < 16) memcpy(name, inside.at, (size_t)kd__length(inside));
    if (!is_one_of(name, kinds)) {
        put_name(f, begin ? "begin" : "end");
        return;
    }
    if (begin && !strcmp(name, "array")) take_braces(f);
    if (!begin) put(f, KD__MATRIX_CLOSE);
    else put(f, !strcmp(name, "vmatrix") ? KD__DETERMINANT_OPEN : KD__MATRIX_OPEN);
    f->brackets += begin ? 1 : -(f->brackets > 0);
    f->matrices += begin ? 1 : -(f->matrices > 0);
}

/* \overline over digits of a decimal fraction: they repeat. Over anything else it is layout. */
static void overline(flat *f)
{
    const char *p = f->at;
    while (p < f->end && (*p == '{' || kd__is_space(*p))) p++;
    int32_t from = f->n;
    while (from > 0 && kd__is_digit(f->out[from - 1])) from--;
    if (p == f->end || !kd__is_digit(*p) || from == 0 || f->out[from - 1] != '.') return;
    const int braces = peek(f) == '{' || p > f->at;
    put(f, KD__REPEAT);
    for (f->at = p; kd__is_digit(peek(f));) put(f, *f->at++);
    if (braces && peek(f) == '}') f->at++;
}

static void bracket(flat *f, char c)
{
    const int opens = c == '(' || c == '[' || c == KD__SET_OPEN,
              closes = c == ')' || c == ']' || c == KD__SET_CLOSE;
    put(f, c);
    f->brackets += opens ? 1 : closes ? -(f->brackets > 0) : 0;
}

/* White space, which counts between digits only. */
static void space(flat *f)
{
    while (f->at < f->end && (kd__is_space(*f->at) || *f->at == '$' || *f->at == '~')) f->at++;
    if (kd__is_digit(last(f)) && kd__is_digit(peek(f))) put(f, KD__GAP);
}

/* \{ \} \\ are signs; \[ \] \( \) stand around formulas; \, \; \! \% \$ and other small ones are
 * layout but for %. */
static void small_command(flat *f)
{
    const char c = peek(f);
    f->at += c != 0;
    if (c == '{' || c == '}') bracket(f, c == '{' ? KD__SET_OPEN : KD__SET_CLOSE);
    else if (c == '\\') put(f, KD__ROW);
    else if (c == '%' || c == '|') put(f, c);
    else space(f);
}

/* \mathbb{R} is an interval; other sets of numbers are names. */
static void numbers(flat *f)
{
    const kd__stretch set = take_braces(f);
    const char c = kd__length(set) ? *set.at : peek(f);
    if (!kd__length(set) && c) f->at++;
    if (c == 'R') put_text(f, "(-\\infty\1,\\infty\1)");
    else put_text(f, "\\mathbb"), put(f, c);
}

static void named_command(flat *f, const char *name)
{
    if (!strcmp(name, "left") || !strcmp(name, "right")) delimiter(f, name[0] == 'l');
    else if (!strcmp(name, "begin") || !strcmp(name, "end")) environment(f, name[0] == 'b');
    else if (!strcmp(name, "circ") || !strcmp(name, "degree") || !strcmp(name, "textdegree"))
        put_degree(f);
    else if (!strcmp(name, "overline") || !strcmp(name, "bar") || !strcmp(name, "dot")) overline(f);
    else if (!strcmp(name, "hspace") || !strcmp(name, "vspace") || !strcmp(name, "label") ||
             !strcmp(name, "color") || !strcmp(name, "textcolor") || !strcmp(name, "phantom") ||
             !strcmp(name, "tag"))
        take_braces(f);
    else if (!strcmp(name, "mathbb") || !strcmp(name, "Bbb")) numbers(f);
    else if (is_one_of(name, texts)) f->text_next = 1;
    else if (is_one_of(name, layout)) space(f);
    else put_name(f, spelled(name));
}

/* \quadx, which is \quad x, and \\frac of a text that was escaped twice, where no row can end. */
static int odd_command(flat *f)
{
    if (kd__begins((kd__stretch){ f->at, f->end }, "quad")) return f->at += 4, space(f), 1;
    if (peek(f) != '\\' || f->matrices || f->end - f->at < 2 || !kd__is_letter(f->at[1])) return 0;
    return 1; /* the next step reads the second backslash */
}

static void command(flat *f)
{
    char name[24] = "";
    int n = 0;
    if (odd_command(f)) return;
    if (!kd__is_letter(peek(f))) {
        small_command(f);
        return;
    }
    for (; kd__is_letter(peek(f)); f->at++)
        if (n < 22) name[n++] = *f->at;
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (!strcmp(name, signs[i].name)) {
            bracket(f, signs[i].sign);
            return;
        }
    named_command(f, name);
    if (f->text_next) {
        skip_space(f);
        f->text_next = peek(f) == '{';
    }
}

/* ---- letters ---- */

static const char *const units[] = {
    "cm", "mm", "km", "dm", "nm", "kg", "mg",  "ml",  "mL",  "ft",
    "in", "yd", "mi", "lb", "oz", "hr", "mph", "min", "sec", NULL
};
static const char *const short_words[] = { "no", "on", "is", "it", "to", "of", "at", "by",
                                           "he", "we", "us", "me", "my", "so", "up", "do",
                                           "go", "an", "as", "if", "be", NULL };
static const char *const names[] = { "sqrt",   "pi",    "alpha", "beta",     "gamma", "theta",
                                     "lambda", "omega", "phi",   "infinity", "infty", "inf",
                                     "delta",  "sigma", "mu",    "rho",      "cbrt",  "binom",
                                     "floor",  "ceil",  "abs",   NULL };

/* abc, xyz and mgh are products: up to four letters in a row of the alphabet, or without a vowel,
 * or joined to a number. A longer run of letters is a word. */
static int is_product(const flat *f, const char *run, int64_t n)
{
    int row = 1, vowel = 0;
    for (int64_t i = 0; i < n; i++) {
        row &= !i || run[i] == run[i - 1] + 1;
        vowel |= strchr("aeiou", kd__lower(run[i])) != NULL;
    }
    return n <= 2 || (n <= 4 && (row || !vowel || (run > f->begin && kd__is_digit(run[-1]))));
}

static void put_word(flat *f, const char *run, int64_t n)
{
    if (!after_number(f) && last(f) != KD__WORD) f->prose = 1;
    put(f, KD__WORD);
    for (int64_t i = 0; i < n; i++) put(f, kd__lower(run[i]));
    put(f, KD__WORD);
}

/* 5 million */
static int large_run(flat *f, const char *low)
{
    static const char *const words[][2] = { { "thousand", "*10^{3}" },
                                            { "million", "*10^{6}" },
                                            { "billion", "*10^{9}" },
                                            { "trillion", "*10^{12}" } };
    for (int i = 0; i < 4; i++)
        if (after_number(f) && !strcmp(low, words[i][0])) return put_text(f, words[i][1]), 1;
    return 0;
}

/* A run that has a meaning of its own: 1 when it was taken. */
static int known_run(flat *f, const char *low, const char *run)
{
    static const char *const percents[] = { "percent", "pct", "percentage", NULL };
    static const char *const degrees[] = { "degree", "degrees", "deg", NULL };
    if (!strcmp(low, "and") || !strcmp(low, "or")) put_comma(f);
    else if (is_one_of(low, percents) && after_number(f)) put(f, '%');
    else if (is_one_of(low, degrees) && after_number(f)) put_degree(f);
    else if (!strcmp(low, "am") || !strcmp(low, "pm")) put_text(f, low);
    else if (kd__function_place(spelled(low), (int64_t)strlen(spelled(low))) >= 0 ||
             is_one_of(low, names))
        put_name(f, spelled(low));
    else if (!strcmp(low, "ln") || !strcmp(low, "log") || !strcmp(low, "exp")) put_name(f, low);
    else if (!strcmp(run, "oo")) put_name(f, "infty");
    else return 0;
    return 1;
}

/* sinx, lnx: a function and its letter. */
static int joined_run(flat *f, const char *low, int64_t n)
{
    static const char *const functions[] = { "sin", "cos", "tan", "cot", "sec",
                                             "csc", "log", "ln",  NULL };
    for (const char *const *name = functions; *name; name++) {
        const int64_t k = (int64_t)strlen(*name);
        if (n != k + 1 || memcmp(low, *name, (size_t)k)) continue;
        put_name(f, *name);
        put(f, low[k]);
        return 1;
    }
    return 0;
}

static void letters(flat *f)
{
    const char *run = f->at;
    char low[16] = "", as_is[16] = "";
    while (kd__is_letter(peek(f)) || ((unsigned char)peek(f) >= 0x80)) f->at++;
    const int64_t n = f->at - run;
    for (int64_t i = 0; i < n && i < 15; i++) low[i] = kd__lower(as_is[i] = run[i]);
    if (n < 15 && (known_run(f, low, as_is) || large_run(f, low) || joined_run(f, low, n))) return;
    const int unit = after_number(f) && is_one_of(as_is, units);
    const int plain = (unsigned char)*run < 0x80;
    if (n == 1 && plain && !(in_text(f) && after_number(f))) put(f, *run);
    else if (in_text(f) || unit || !plain || is_one_of(low, short_words) || !is_product(f, run, n))
        put_word(f, run, n);
    else
        for (int64_t i = 0; i < n; i++) put(f, run[i]);
}

/* ---- everything else ---- */

static int double_sign(flat *f, char first, char second, char as)
{
    if (f->end - f->at < 2 || f->at[0] != first || f->at[1] != second) return 0;
    f->at += 2;
    put(f, as);
    return 1;
}

static void other(flat *f, char c)
{
    if (double_sign(f, '<', '=', KD__LESS_EQUAL) || double_sign(f, '>', '=', KD__MORE_EQUAL) ||
        double_sign(f, '!', '=', KD__NOT_EQUAL))
        return;
    if (double_sign(f, '=', '<', KD__LESS_EQUAL) || double_sign(f, '=', '>', KD__MORE_EQUAL) ||
        double_sign(f, '=', '=', '='))
        return;
    if (c == '*' && f->end - f->at > 1 && f->at[1] == '*') {
        f->at += 2; /* Python's power where something stands before it, else bold type */
        if (after_number(f) || kd__is_letter(last(f))) put(f, '^');
        return;
    }
    if (kd__begins((kd__stretch){ f->at, f->end }, "...,")) {
        f->at += 3;
        put_name(f, "dots");
        return;
    }
    f->at++;
    if (c == '"' || c == '`' || (unsigned char)c < ' ') return;
    bracket(f, c);
}

static void step(flat *f)
{
    const char c = *f->at;
    if (f->text_next && c != '{') f->text_next = 0;
    if (c == '\\') {
        f->at++;
        command(f);
    } else if (c == '{') f->at++, open_brace(f);
    else if (c == '}') f->at++, close_brace(f);
    else if (kd__is_letter(c) || (unsigned char)c >= 0x80) letters(f);
    else if (kd__is_digit(c)) number(f);
    else if (kd__is_space(c) || c == '$' || c == '~') space(f);
    else other(f, c);
}

int32_t kd__flatten(kd__stretch s, char *out, int *prose)
{
    char text[KD__LONGEST_ANSWER];
    const int32_t n =
        kd__length(s) > KD__LONGEST_ANSWER ? -1 : kd__plain_signs(s, text, KD__LONGEST_ANSWER);
    flat f = { .begin = text,
               .at = text,
               .end = text + (kd__max(n, 0)),
               .out = out,
               .boxes = kd__box_command(s) > 0 };
    while (f.at < f.end && !f.full) step(&f);
    while (f.n && (strchr(".,;:", out[f.n - 1]) || out[f.n - 1] == KD__ROW)) f.n--;
    out[f.n] = 0;
    *prose = f.prose;
    return n < 0 || f.full ? 0 : f.n;
}
