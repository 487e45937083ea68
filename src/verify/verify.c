/* Verifiers of texts. */
#include <complex.h>
#include <ctype.h>
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "verify/verify.h"

static const kd_verify_options defaults = KD_VERIFY_OPTIONS_INIT;
void kd_verify_options_init(kd_verify_options *o, size_t size) { kd__options_init(o, size, &defaults, sizeof defaults); }

typedef kd__stretch stretch;

static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static int is_digit(char c) { return c >= '0' && c <= '9'; }
static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static stretch trimmed(stretch s)
{
    while (s.at < s.end && is_space(*s.at)) s.at++;
    while (s.end > s.at && is_space(s.end[-1])) s.end--;
    return s;
}

/* ---- where the answer is ---- */

static int begins(stretch s, const char *word)
{
    const char *at = s.at;
    for (; *word; word++, at++)
        if (at == s.end || lower(*at) != *word) return 0;
    return 1;
}

/* What stands behind the last of `word` (small letters); line: only where it begins a line. at NULL: nowhere. */
static stretch behind_last(stretch s, const char *word, int line)
{
    stretch found = { NULL, NULL };
    for (const char *p = s.at; p < s.end; p++) {
        if (!begins((stretch){ p, s.end }, word)) continue;
        const char *before = p;
        while (before > s.at && (before[-1] == ' ' || before[-1] == '*' || before[-1] == '\t')) before--;
        if (!line || before == s.at || before[-1] == '\n') found = (stretch){ p + strlen(word), s.end };
    }
    return found;
}

/* The inside of the last \boxed{...}, braces counted. */
static stretch last_boxed(stretch s, int *count)
{
    stretch found = { NULL, NULL };
    *count = 0;
    for (const char *p = s.at; p < s.end; p++) {
        if (!begins((stretch){ p, s.end }, "\\boxed{")) continue;
        int depth = 1;
        const char *from = p + 7, *at = from;
        for (; at < s.end && depth; at++) depth += *at == '{' ? 1 : *at == '}' ? -1 : 0;
        if (depth) continue;
        found = (stretch){ from, at - 1 };
        ++*count;
    }
    return found;
}

static stretch first_line(stretch s)
{
    s = trimmed(s);
    for (const char *p = s.at; p < s.end; p++)
        if (*p == '\n') s.end = p;
    return trimmed(s);
}

static stretch answer_of(const char *text)
{
    static const struct {
        const char *word;
        int line;
    } marks[] = { { "####", 0 }, { "a:", 1 }, { "answer:", 1 }, { "final answer:", 1 }, { "answer is", 0 } };
    stretch s = { text, text + strlen(text) };
    int count;
    const stretch thought = behind_last(s, "</think>", 0);
    if (thought.at) s = thought;
    const stretch boxed = last_boxed(s, &count);
    if (boxed.at) return trimmed(boxed);
    stretch best = { NULL, NULL };
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const stretch found = behind_last(s, marks[i].word, marks[i].line);
        if (found.at && (!best.at || (i > 0 && found.at > best.at))) best = found;
        if (i == 0 && best.at) break;
    }
    if (!best.at) return trimmed(s);
    while (best.at < best.end && (*best.at == ':' || *best.at == '*' || is_space(*best.at))) best.at++;
    return first_line(best);
}

kd_status kd_answer_find(const char *text, const char **answer, int64_t *bytes)
{
    KD_NEED(text);
    KD_NEED(answer);
    KD_NEED(bytes);
    const stretch s = answer_of(text);
    *answer = s.at;
    *bytes = s.end - s.at;
    return KD_OK;
}

/* ---- numbers ---- */

/* Digits with thousands separators: "1,234,567" but not "1,2". */
static int take_digits(const char **at, const char *end, double *value)
{
    const char *p = *at;
    if (p == end || !is_digit(*p)) return 0;
    *value = 0;
    while (p < end) {
        if (is_digit(*p)) *value = *value * 10 + (*p++ - '0');
        else if (*p == ',' && end - p > 3 && is_digit(p[1]) && is_digit(p[2]) && is_digit(p[3]) && !(end - p > 4 && is_digit(p[4]))) p++;
        else break;
    }
    *at = p;
    return 1;
}

/* 12, 1,234.5, .5, 1e3 */
static int take_decimal(const char **at, const char *end, double *value)
{
    const char *p = *at;
    double whole = 0, scale = 1;
    const int digits = take_digits(&p, end, &whole);
    if (p < end && *p == '.' && end - p > 1 && is_digit(p[1]))
        for (p++; p < end && is_digit(*p); p++) whole += (*p - '0') * (scale /= 10);
    else if (!digits) return 0;
    if (end - p > 1 && lower(*p) == 'e' && (is_digit(p[1]) || (end - p > 2 && (p[1] == '-' || p[1] == '+') && is_digit(p[2])))) {
        const int negative = p[1] == '-';
        int exponent = 0;
        for (p += is_digit(p[1]) ? 1 : 2; p < end && is_digit(*p); p++) exponent = exponent < 1000 ? exponent * 10 + (*p - '0') : exponent;
        whole *= pow(10, negative ? -exponent : exponent);
    }
    *value = whole;
    *at = p;
    return 1;
}

/* \frac{3}{4}, \dfrac34 */
static int take_fraction(const char **at, const char *end, double *value)
{
    stretch s = { *at, end };
    double part[2];
    const size_t name = begins(s, "\\frac") ? 5 : begins(s, "\\dfrac") || begins(s, "\\tfrac") ? 6 : 0;
    if (!name) return 0;
    const char *p = *at + name;
    for (int i = 0; i < 2; i++) {
        const int braces = p < end && *p == '{';
        p += braces;
        const int negative = p < end && *p == '-';
        p += negative;
        if (braces ? !take_decimal(&p, end, &part[i]) : !(p < end && is_digit(*p) && (part[i] = *p++ - '0', 1))) return 0;
        if (negative) part[i] = -part[i];
        if (braces && (p == end || *p++ != '}')) return 0;
    }
    if (part[1] == 0) return 0;
    *value = part[0] / part[1];
    *at = p;
    return 1;
}

/* A number with what may follow it: a fraction's other half, "1 1/2", a percent sign. */
static int take_number(const char **at, const char *end, double *value, int32_t *percent)
{
    const char *p = *at;
    double other, third;
    *percent = 0;
    if (!take_fraction(&p, end, value)) {
        if (!take_decimal(&p, end, value)) return 0;
        const char *q = p;
        if (q < end && *q == '/' && (q++, take_decimal(&q, end, &other)) && other != 0) *value /= other, p = q;
        else if (end - p > 3 && *p == ' ' && is_digit(p[1])) { /* a whole number and a fraction */ q = p + 1;
            if (take_digits(&q, end, &other) && q < end && *q == '/' && (q++, take_digits(&q, end, &third)) && third != 0 && other < third)
                *value += other / third, p = q;
        } else if (take_fraction(&q, end, &other)) *value += other, p = q;
    }
    while (p < end && (*p == ' ' || *p == '\\')) p++;
    if (p < end && *p == '%') *percent = 1, p++;
    *at = p;
    return 1;
}

/* The last number of a stretch; a minus counts where no digit, letter or bracket stands before it. */
static int last_number(stretch s, double *value, int32_t *percent)
{
    int found = 0;
    for (const char *p = s.at; p < s.end;) {
        double v;
        int32_t sign;
        const char *from = p;
        if (!take_number(&p, s.end, &v, &sign)) {
            p = from + 1;
            continue;
        }
        const char *before = from;
        while (before > s.at && (before[-1] == '$' || before[-1] == ' ' || before[-1] == '{')) before--; /* "-$5" */
        const int joined = before < s.end && before > s.at + 1 && (isalnum((unsigned char)before[-2]) || before[-2] == ')');
        if (before > s.at && before[-1] == '-' && !joined) v = -v;
        *value = v;
        *percent = sign;
        found = 1;
    }
    return found;
}

kd_status kd_answer_number(const char *text, double *value, int32_t *percent)
{
    double found;
    int32_t sign;
    KD_NEED(text);
    KD_NEED(value);
    KD_FAIL_IF(!last_number(answer_of(text), &found, &sign), KD_ERR_NOT_FOUND, "the answer has no number");
    *value = found;
    if (percent) *percent = sign;
    return KD_OK;
}

static int same_number(stretch a, stretch b, double tolerance)
{
    double x, y;
    int32_t p, q;
    if (!last_number(a, &x, &p) || !last_number(b, &y, &q)) return 0;
    const double limit = tolerance * fmax(1, fabs(y));
    return fabs(x - y) <= limit || (p && !q && fabs(x / 100 - y) <= limit) || (q && !p && fabs(x - y / 100) <= limit);
}

/* ---- texts ---- */

static int same_bytes(stretch a, stretch b) { return a.end - a.at == b.end - b.at && !memcmp(a.at, b.at, (size_t)(a.end - a.at)); }

static stretch plain(stretch s)
{
    static const char *const articles[] = { "the ", "a ", "an " };
    s = trimmed(s);
    while (s.end > s.at && strchr(".,;:!?\"'", s.end[-1])) s.end--;
    while (s.at < s.end && strchr("\"'", *s.at)) s.at++;
    for (int i = 0; i < 3; i++)
        if (begins(s, articles[i])) return trimmed((stretch){ s.at + strlen(articles[i]), s.end });
    return trimmed(s);
}

static int same_plain(stretch a, stretch b)
{
    a = plain(a), b = plain(b);
    for (;;) {
        const int gap = a.at < a.end && is_space(*a.at), other = b.at < b.end && is_space(*b.at);
        while (a.at < a.end && is_space(*a.at)) a.at++;
        while (b.at < b.end && is_space(*b.at)) b.at++;
        if (gap != other) return 0;
        if (a.at == a.end || b.at == b.end) return a.at == a.end && b.at == b.end;
        if (lower(*a.at++) != lower(*b.at++)) return 0;
    }
}

/* The only letter that stands alone, 0: none, or several. */
static char choice_of(stretch s)
{
    char found = 0;
    for (const char *p = s.at; p < s.end; p++) {
        const int alone = isalpha((unsigned char)*p) && (p == s.at || (!isalnum((unsigned char)p[-1]) && p[-1] != '\'')) &&
                          (p + 1 == s.end || (!isalnum((unsigned char)p[1]) && p[1] != '\''));
        const char c = alone ? (char)toupper((unsigned char)*p) : 0;
        if (!c || (*p == 'a' && s.end - s.at > 3 && p + 1 < s.end && p[1] == ' ')) continue; /* "a" as a word */
        if (found && found != c) return 0;
        found = c;
    }
    return found;
}

static int same_choice(stretch a, stretch b)
{
    const char x = choice_of(a), y = choice_of(b);
    return x && x == y;
}

/* ---- format ---- */

static int count_of(const char *text, const char *word)
{
    int count = 0;
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) count++;
    return count;
}

static int has_words(const char *at, const char *end)
{
    const stretch s = trimmed((stretch){ at, end });
    return s.at < s.end;
}

static int keeps_format(const char *text, int32_t format)
{
    const char *open = strstr(text, "<think>"), *close = strstr(text, "</think>"), *end = text + strlen(text);
    int boxes;
    if (format & KD_FORMAT_THINK && (count_of(text, "<think>") != 1 || count_of(text, "</think>") != 1 || close < open ||
                                     !has_words(open + 7, close) || !has_words(close + 8, end)))
        return 0;
    if (format & KD_FORMAT_BOXED) {
        last_boxed((stretch){ format & KD_FORMAT_THINK ? close + 8 : text, end }, &boxes);
        if (boxes != 1) return 0;
    }
    return 1;
}

/* ---- the host's own ---- */

/* The whole answer matches. */
static kd_status matches(stretch answer, const char *pattern, int *yes)
{
    char whole[1100];
    regex_t compiled;
    regmatch_t at = { 0, (regoff_t)(answer.end - answer.at) };
    KD_FAIL_IF(!pattern, KD_ERR_INVALID, "verify: KD_VERIFY_PATTERN needs a pattern");
    KD_FAIL_IF(strlen(pattern) > 1024, KD_ERR_RANGE, "pattern: expected at most 1024 bytes, got %zu", strlen(pattern));
    snprintf(whole, sizeof whole, "^(%s)$", pattern);
    const int wrong = regcomp(&compiled, whole, REG_EXTENDED);
    if (wrong) {
        char why[128];
        regerror(wrong, &compiled, why, sizeof why);
        return kd__fail(KD_ERR_INVALID, "pattern '%.100s': %s", pattern, why);
    }
    *yes = !regexec(&compiled, answer.at, 1, &at, REG_STARTEND);
    regfree(&compiled);
    return KD_OK;
}

static kd_status ask_host(const kd_verify_options *o, const char *text, const char *expected, int *yes)
{
    KD_FAIL_IF(!o->function, KD_ERR_INVALID, "verify: KD_VERIFY_HOST needs a function");
    const int32_t said = o->function(o->user, text, expected);
    if (said < 0) return said;
    KD_FAIL_IF(said > 1, KD_ERR_CALLBACK, "the verifier function returned %d: expected 0, 1 or a negative status", said);
    *yes = said;
    return KD_OK;
}

kd_status kd_verify(const char *text, const char *expected, const kd_verify_options *options, int32_t *right, int32_t *passed)
{
    kd_verify_options o = defaults;
    KD_NEED(text);
    KD_NEED(expected);
    KD_NEED(right);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_verify_options"));
    KD_FAIL_IF(!o.verifiers || o.verifiers & ~127, KD_ERR_INVALID, "verifiers: expected bits of 1 to 127, got %d", o.verifiers);
    KD_FAIL_IF(o.format & ~3, KD_ERR_INVALID, "format: expected bits of 0 to 3, got %d", o.format);
    KD_FAIL_IF(!(o.tolerance >= 0), KD_ERR_RANGE, "tolerance: expected 0 or more, got %g", o.tolerance);
    const stretch a = answer_of(text), b = answer_of(expected);
    int32_t said = 0;
    int yes = 0;
    if (o.verifiers & KD_VERIFY_EXACT && same_bytes(a, b)) said |= KD_VERIFY_EXACT;
    if (o.verifiers & KD_VERIFY_NORMALISED && same_plain(a, b)) said |= KD_VERIFY_NORMALISED;
    if (o.verifiers & KD_VERIFY_NUMBER && same_number(a, b, o.tolerance)) said |= KD_VERIFY_NUMBER;
    if (o.verifiers & KD_VERIFY_CHOICE && same_choice(a, b)) said |= KD_VERIFY_CHOICE;
    if (o.verifiers & KD_VERIFY_LATEX && kd__same_mathematics(a, b, o.tolerance)) said |= KD_VERIFY_LATEX;
    if (o.verifiers & KD_VERIFY_PATTERN) KD_TRY(matches(a, o.pattern, &yes));
    if (o.verifiers & KD_VERIFY_PATTERN && yes) said |= KD_VERIFY_PATTERN;
    if (o.verifiers & KD_VERIFY_HOST) KD_TRY(ask_host(&o, text, expected, &yes));
    if (o.verifiers & KD_VERIFY_HOST && yes) said |= KD_VERIFY_HOST;
    *right = (o.all ? said == o.verifiers : said != 0) && keeps_format(text, o.format);
    if (passed) *passed = said;
    return KD_OK;
}
