/* Stretches of text: equal as bytes, as plain words, as the letter of a choice. */
#include "course/verify/verify.h"

typedef kd__stretch stretch;

stretch kd__trimmed(stretch s)
{
    while (s.at < s.end && kd__is_space(*s.at)) s.at++;
    while (s.end > s.at && kd__is_space(s.end[-1])) s.end--;
    return s;
}

int kd__begins(stretch s, const char *word)
{
    const char *at = s.at;
    for (; *word; word++, at++)
        if (at >= s.end || kd__lower(*at) != *word) return 0;
    return 1;
}

int kd__same_bytes(stretch a, stretch b)
{
    return kd__length(a) == kd__length(b) && !memcmp(a.at, b.at, (size_t)kd__length(a));
}

/* ---- words ---- */

static stretch plain(stretch s)
{
    static const char *const articles[] = { "the ", "a ", "an " };
    s = kd__trimmed(s);
    while (s.end > s.at && strchr(".,;:!?\"'", s.end[-1])) s.end--;
    while (s.at < s.end && strchr("\"'", *s.at)) s.at++;
    for (int i = 0; i < 3; i++)
        if (kd__begins(s, articles[i]))
            return kd__trimmed((stretch){ s.at + strlen(articles[i]), s.end });
    return kd__trimmed(s);
}

/* Goes over white space; 1: there was some. */
static int skip_space(stretch *s)
{
    const char *from = s->at;
    while (s->at < s->end && kd__is_space(*s->at)) s->at++;
    return s->at > from;
}

int kd__same_plain(stretch a, stretch b)
{
    a = plain(a), b = plain(b);
    for (;;) {
        if (skip_space(&a) != skip_space(&b)) return 0;
        if (a.at == a.end || b.at == b.end) return a.at == a.end && b.at == b.end;
        if (kd__lower(*a.at++) != kd__lower(*b.at++)) return 0;
    }
}

/* ---- choices ---- */

static int joins_word(char c)
{
    return kd__is_letter(c) || kd__is_digit(c) || c == '\'' || (unsigned char)c >= 0x80;
}

/* A letter that is no part of a word or a command. */
static int stands_alone(stretch s, const char *p)
{
    if (!kd__is_letter(*p)) return 0;
    if (p > s.at && (joins_word(p[-1]) || p[-1] == '\\')) return 0;
    return p + 1 == s.end || !joins_word(p[1]);
}

static char upper(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 32) : c; }

/* The letter that an answer begins with and that a bracket, point or colon ends: "B) 5 cm", "(c): x
 * = 2". */
static char first_choice(stretch s)
{
    while (s.at < s.end && strchr("*$( \t", *s.at)) s.at++;
    if (s.end - s.at < 2 || !stands_alone(s, s.at)) return 0;
    return strchr(").:", s.at[1]) ? upper(*s.at) : 0;
}

/* The first choice; else the only letter that stands alone; 0: none does, or several do. */
static char choice_of(stretch s)
{
    char found = first_choice(s);
    if (found) return found;
    for (const char *p = s.at; p < s.end; p++) {
        if (!stands_alone(s, p)) continue;
        /* "a" as a word */
        if (*p == 'a' && kd__length(s) > 3 && p + 1 < s.end && p[1] == ' ') continue;
        if (found && found != upper(*p)) return 0;
        found = upper(*p);
    }
    return found;
}

int kd__same_choice(stretch a, stretch b)
{
    const char x = choice_of(a), y = choice_of(b);
    return x && x == y;
}
