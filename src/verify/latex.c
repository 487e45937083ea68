/* Equality of answers in mathematics: by structure down to expressions, and of those by value. */
#include <complex.h>
#include <math.h>
#include <string.h>

#include "verify/verify.h"

enum { TRIALS = 4, MOST_PARTS = 64 };

static int64_t length(kd__stretch s) { return s.end - s.at; }
static int same_text(kd__stretch a, kd__stretch b) { return length(a) == length(b) && !memcmp(a.at, b.at, (size_t)length(a)); }
static int is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static int opens(char c) { return c == '(' || c == '[' || c == '{' || c == KD__SET_OPEN; }
static int closes(char c) { return c == ')' || c == ']' || c == '}' || c == KD__SET_CLOSE; }

/* ---- cutting at signs outside brackets ---- */

static int is_relation(char c)
{
    return c == '=' || c == '<' || c == '>' || c == KD__LESS_EQUAL || c == KD__MORE_EQUAL || c == KD__NOT_EQUAL || c == KD__IN;
}

/* Parts between signs of `set` (relations for NULL); signs[i] stands behind part i. More than MOST_PARTS: 0. */
static int cut(kd__stretch s, const char *set, kd__stretch parts[MOST_PARTS], char signs[MOST_PARTS])
{
    int n = 0, depth = 0;
    const char *from = s.at;
    for (const char *p = s.at; p < s.end; p++) {
        depth += opens(*p) - closes(*p);
        if (depth > 0 || !(set ? strchr(set, *p) != NULL : is_relation(*p))) continue;
        if (n + 2 > MOST_PARTS) return 0;
        signs[n] = *p;
        parts[n++] = (kd__stretch){ from, p };
        from = p + 1;
    }
    parts[n++] = (kd__stretch){ from, s.end };
    return n;
}

/* s is one pair of brackets with all of the rest inside. */
static int is_bracketed(kd__stretch s)
{
    int depth = 0;
    if (length(s) < 2 || !opens(*s.at) || !closes(s.end[-1])) return 0;
    for (const char *p = s.at; p < s.end; p++) {
        depth += opens(*p) - closes(*p);
        if (!depth) return p == s.end - 1;
    }
    return 0;
}

static kd__stretch inside(kd__stretch s) { return (kd__stretch){ s.at + 1, s.end - 1 }; }

/* ---- expressions ---- */

/* Two letters in a row that are no function's name: a word, which is no product of its letters. */
static int has_word(kd__stretch s)
{
    for (const char *p = s.at; p < s.end; p++) {
        if (*p == '\\') {
            while (p + 1 < s.end && is_letter(p[1])) p++;
            continue;
        }
        if (!is_letter(*p) || p + 1 >= s.end || !is_letter(p[1])) continue;
        const int64_t left = s.end - p;
        if ((left >= 4 && !memcmp(p, "sqrt", 4)) || (left >= 2 && !memcmp(p, "pi", 2))) {
            while (p + 1 < s.end && is_letter(p[1])) p++;
            continue;
        }
        int letters = 0;
        while (p + letters < s.end && is_letter(p[letters])) letters++;
        if (letters > 2) return 1; /* xy and 2ab are products still */
        p += letters - 1;
    }
    return 0;
}

static int same_words(kd__stretch a, kd__stretch b)
{
    if (length(a) != length(b)) return 0;
    for (int64_t i = 0; i < length(a); i++) {
        const char x = a.at[i], y = b.at[i];
        if ((x >= 'A' && x <= 'Z' ? x + 32 : x) != (y >= 'A' && y <= 'Z' ? y + 32 : y)) return 0;
    }
    return 1;
}

static int near(double _Complex x, double _Complex y, double tolerance)
{
    const double size = cabs(y) > cabs(x) ? cabs(y) : cabs(x);
    if (cimag(x) == 0 && cimag(y) == 0 && creal(x) == floor(creal(x)) && creal(y) == floor(creal(y)) && size < 9e15)
        return x == y; /* whole numbers */
    return cabs(x - y) <= tolerance * (size > 1e-300 ? size : 1) || x == y;
}

static int same_value(kd__stretch a, kd__stretch b, double tolerance)
{
    int compared = 0;
    if (has_word(a) || has_word(b)) return same_words(a, b);
    for (int trial = 0; trial < TRIALS; trial++) {
        double _Complex x, y;
        const int has_x = kd__evaluate(a.at, a.end, trial, &x), has_y = kd__evaluate(b.at, b.end, trial, &y);
        if (has_x != has_y) return 0;
        if (!has_x) continue; /* no expression, or a pole at this point */
        if (!near(x, y, tolerance)) return 0;
        compared++;
    }
    return compared >= 2;
}

/* ---- structures ---- */

static int same(kd__stretch a, kd__stretch b, double tolerance, int depth);

static int same_lists(const kd__stretch *a, const kd__stretch *b, int n, int ordered, double tolerance, int depth)
{
    char taken[MOST_PARTS] = { 0 };
    for (int i = 0; i < n; i++) {
        int found = 0;
        for (int j = ordered ? i : 0; j < (ordered ? i + 1 : n) && !found; j++) {
            if (taken[j] || !same(a[i], b[j], tolerance, depth)) continue;
            taken[j] = found = 1;
        }
        if (!found) return 0;
    }
    return 1;
}

static int same_parts(kd__stretch a, kd__stretch b, const char *set, int ordered, double tolerance, int depth)
{
    kd__stretch x[MOST_PARTS], y[MOST_PARTS];
    char signs[MOST_PARTS], others[MOST_PARTS];
    const int n = cut(a, set, x, signs), m = cut(b, set, y, others);
    return n && n == m && same_lists(x, y, n, ordered, tolerance, depth);
}

/* One equation is the other times a number other than 0: left less right, at the trials. */
static int same_equations(const kd__stretch *a, const kd__stretch *b, double tolerance)
{
    double _Complex ratio = 0;
    int compared = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        double _Complex l, r, m, s;
        if (!kd__evaluate(a[0].at, a[0].end, trial, &l) || !kd__evaluate(a[1].at, a[1].end, trial, &r) ||
            !kd__evaluate(b[0].at, b[0].end, trial, &m) || !kd__evaluate(b[1].at, b[1].end, trial, &s))
            continue;
        if (cabs(l - r) < 1e-12 || cabs(m - s) < 1e-12) return 0;
        if (compared && !near((l - r) / (m - s), ratio, tolerance < 1e-9 ? 1e-9 : tolerance)) return 0;
        ratio = (l - r) / (m - s);
        compared++;
    }
    return compared >= 3;
}

static char turned(char c)
{
    return c == '<' ? '>' : c == '>' ? '<' : c == KD__LESS_EQUAL ? KD__MORE_EQUAL : c == KD__MORE_EQUAL ? KD__LESS_EQUAL : c;
}

static int same_relations(kd__stretch a, kd__stretch b, double tolerance, int depth)
{
    kd__stretch x[MOST_PARTS], y[MOST_PARTS];
    char signs[MOST_PARTS], others[MOST_PARTS];
    const int n = cut(a, NULL, x, signs), m = cut(b, NULL, y, others);
    int straight = 1, back = 1;
    if (!n || n != m) return 0;
    if (n == 2 && signs[0] == '=' && others[0] == '=' && same_equations(x, y, tolerance)) return 1;
    for (int i = 0; i + 1 < n; i++) {
        straight &= signs[i] == others[i];
        back &= signs[i] == turned(others[n - 2 - i]);
    }
    for (int i = 0; i < n && straight; i++) straight = same(x[i], y[i], tolerance, depth);
    for (int i = 0; i < n && back; i++) back = same(x[i], y[n - 1 - i], tolerance, depth);
    return straight || back;
}

/* x = 5 and x \in [0,1], where the other says 5 and [0,1]: what stands behind the sign. A name is a letter, or a letter with one in brackets. */
static kd__stretch without_name(kd__stretch s, kd__stretch other)
{
    kd__stretch parts[MOST_PARTS];
    char signs[MOST_PARTS];
    if (cut(other, NULL, parts, signs) != 1 || cut(s, NULL, parts, signs) != 2 || (signs[0] != '=' && signs[0] != KD__IN)) return s;
    const int64_t n = length(parts[0]);
    const int name = n > 0 && (is_letter(*parts[0].at) || *parts[0].at == '\\') && n <= 8;
    return name ? parts[1] : s;
}

/* Rows and cells of \begin{pmatrix}..\end{pmatrix}. */
static int same_matrices(kd__stretch a, kd__stretch b, double tolerance, int depth)
{
    kd__stretch rows[MOST_PARTS], others[MOST_PARTS];
    char signs[MOST_PARTS];
    const char row[2] = { KD__ROW, 0 };
    kd__stretch *const both[2] = { &a, &b };
    for (int i = 0; i < 2; i++) {
        kd__stretch *s = both[i];
        const char *open = memchr(s->at, '}', (size_t)length(*s)), *close = s->end;
        while (close > s->at && *close != '\\') close--;
        if (!open || close <= open) return 0;
        s->at = open + 1;
        s->end = close;
        if (s->end > s->at && s->end[-1] == KD__ROW) s->end--;
    }
    const int n = cut(a, row, rows, signs), m = cut(b, row, others, signs);
    if (!n || n != m) return 0;
    for (int i = 0; i < n; i++)
        if (!same_parts(rows[i], others[i], "&", 1, tolerance, depth)) return 0;
    return 1;
}

static int begins(kd__stretch s, const char *word) { return length(s) >= (int64_t)strlen(word) && !memcmp(s.at, word, strlen(word)); }
static int holds(kd__stretch s, char c) { return memchr(s.at, c, (size_t)length(s)) != NULL; }

/* Both answers that plus-minus stands for, as a list of two. */
static kd__stretch both_signs(kd__stretch s, char out[2 * KD__FLAT + 2])
{
    const int64_t n = length(s);
    for (int64_t i = 0; i < n; i++) {
        out[i] = s.at[i] == KD__PLUS_MINUS ? '+' : s.at[i];
        out[n + 1 + i] = s.at[i] == KD__PLUS_MINUS ? '-' : s.at[i];
    }
    out[n] = ',';
    return (kd__stretch){ out, out + 2 * n + 1 };
}

static int same_plus_minus(kd__stretch a, kd__stretch b, double tolerance, int depth)
{
    char x[2 * KD__FLAT + 2], y[2 * KD__FLAT + 2];
    if (length(a) > KD__FLAT || length(b) > KD__FLAT) return 0;
    return same(holds(a, KD__PLUS_MINUS) ? both_signs(a, x) : a, holds(b, KD__PLUS_MINUS) ? both_signs(b, y) : b, tolerance, depth);
}

static int counts_parts(kd__stretch s, const char *set)
{
    kd__stretch parts[MOST_PARTS];
    char signs[MOST_PARTS];
    return cut(s, set, parts, signs);
}

static int same(kd__stretch a, kd__stretch b, double tolerance, int depth)
{
    const char joined[2] = { KD__UNION, 0 };
    if (same_text(a, b)) return length(a) > 0;
    if (depth > 8 || !length(a) || !length(b)) return 0;
    const kd__stretch x = without_name(a, b), y = without_name(b, a);
    if (x.at != a.at || y.at != b.at) return same(x, y, tolerance, depth + 1);
    if (begins(a, "\\begin{") && begins(b, "\\begin{")) return same_matrices(a, b, tolerance, depth + 1);
    if (holds(a, KD__PLUS_MINUS) || holds(b, KD__PLUS_MINUS)) return same_plus_minus(a, b, tolerance, depth + 1);
    if (counts_parts(a, joined) > 1 || counts_parts(b, joined) > 1) return same_parts(a, b, joined, 0, tolerance, depth + 1);
    if (counts_parts(a, ",") > 1 || counts_parts(b, ",") > 1) return same_parts(a, b, ",", 0, tolerance, depth + 1);
    if (counts_parts(a, NULL) > 1 || counts_parts(b, NULL) > 1) return same_relations(a, b, tolerance, depth + 1);
    const int in_a = is_bracketed(a), in_b = is_bracketed(b);
    const int list_a = in_a && counts_parts(inside(a), ",") > 1, list_b = in_b && counts_parts(inside(b), ",") > 1;
    if (list_a || list_b || (in_a && *a.at == KD__SET_OPEN) || (in_b && *b.at == KD__SET_OPEN)) {
        if (!in_a || !in_b || *a.at != *b.at || a.end[-1] != b.end[-1]) return 0;
        return same_parts(inside(a), inside(b), ",", *a.at != KD__SET_OPEN, tolerance, depth + 1);
    }
    if (in_a && *a.at == '(') return same(inside(a), b, tolerance, depth + 1);
    if (in_b && *b.at == '(') return same(a, inside(b), tolerance, depth + 1);
    return same_value(a, b, tolerance);
}

int kd__same_mathematics(kd__stretch a, kd__stretch b, double tolerance)
{
    char x[KD__FLAT], y[KD__FLAT];
    if (!kd__flatten(a, x) || !kd__flatten(b, y)) return length(a) > 0 && same_text(a, b);
    return same((kd__stretch){ x, x + strlen(x) }, (kd__stretch){ y, y + strlen(y) }, tolerance, 0);
}
