/* Text outside of tags follows jinja2's rules with trim_blocks and lstrip_blocks: the line end
 * after a block's tag belongs to the tag, and so does white space between the beginning of a
 * line and a block's tag; - takes all white space, + none. */
#include "language/template/lexer.h"

#include <stdio.h>
#include <string.h>

#include "base/os.h"
#include "language/template/characters.h"
#include "language/template/template.h"

static kd_status bad(const kd__lexer *l, const char *why)
{
    return kd__fail(KD_ERR_FORMAT, "%s, line %d: %s", l->title, l->line, why);
}

kd_status kd__lexer_begin(kd__lexer *l, kd__room *room, const char *text, int64_t bytes,
                          const char *title)
{
    char *copy = NULL, *to;
    *l = (kd__lexer){ .room = room, .title = title, .line = 1, .line_starting = 1 };
    KD_FAIL_IF(bytes > KD__TEMPLATE_BYTES, KD_ERR_RANGE, "%s: expected at most %d bytes, got %lld",
               title, KD__TEMPLATE_BYTES, (long long)bytes);
    KD_FAIL_IF(!kd__is_utf8(text, bytes), KD_ERR_FORMAT, "%s: it is not UTF-8", title);
    KD_TRY(kd__room_take(room, bytes + 1, (void **)&copy));
    to = copy;
    for (int64_t i = 0; i < bytes; i++) {
        if (text[i] == '\r' && i + 1 < bytes && text[i + 1] == '\n') continue;
        *to++ = text[i] == '\r' ? '\n' : text[i];
    }
    if (to > copy && to[-1] == '\n') to--; /* the last line end is not the template's */
    l->at = copy;
    l->end = to;
    return KD_OK;
}

static int is_space_at(const char *at) { return kd__is_space(kd__character_at(at)); }

static void count_lines(kd__lexer *l, const char *from, const char *to)
{
    for (; from < to; from++) l->line += *from == '\n';
}

static void skip_space(kd__lexer *l)
{
    const char *from = l->at;
    while (l->at < l->end && is_space_at(l->at)) l->at += kd__character_bytes(*l->at);
    count_lines(l, from, l->at);
}

static const char *strip_end(const char *from, const char *end)
{
    while (end > from) {
        const char *last = end - 1;
        while (((unsigned char)*last & 0xc0) == 0x80) last--;
        if (!is_space_at(last)) break;
        end = last;
    }
    return end;
}

/* The next {{, {% or {#. */
static const char *find_mark(const char *at, const char *end)
{
    for (; at + 1 < end; at++) {
        at = memchr(at, '{', (size_t)(end - at - 1));
        if (!at) return NULL;
        if (at[1] == '{' || at[1] == '%' || at[1] == '#') return at;
    }
    return NULL;
}

/* The end of the text before a tag. */
static const char *trim_text(const kd__lexer *l, const char *from, const char *mark)
{
    const char sign = mark + 2 < l->end ? mark[2] : 0, *begin = mark;
    if (sign == '-') return strip_end(from, mark);
    if (sign == '+' || mark[1] == '{') return mark;
    while (begin > from && begin[-1] != '\n') begin--;
    if (begin == from && !l->line_starting) return mark;
    for (const char *c = begin; c < mark; c += kd__character_bytes(*c))
        if (!is_space_at(c)) return mark;
    return begin;
}

/* After a tag's end mark. */
static void after_tag(kd__lexer *l, int strips, int trims)
{
    if (strips) skip_space(l);
    else if (trims && l->at < l->end && *l->at == '\n') {
        l->at++;
        l->line++;
    }
    l->line_starting = l->at[-1] == '\n';
}

/* l->at: after the mark and its sign. */
static kd_status skip_comment(kd__lexer *l)
{
    const char *end = kd__os_find(l->at, (size_t)(l->end - l->at), "#}", 2);
    if (!end) return bad(l, "a comment without its end (#})");
    const char sign = end > l->at ? end[-1] : 0;
    count_lines(l, l->at, end);
    l->at = end + 2;
    after_tag(l, sign == '-', sign != '+');
    return KD_OK;
}

static int matches_word(const char **at, const char *end, const char *word)
{
    const size_t length = strlen(word);
    while (*at < end && is_space_at(*at)) *at += kd__character_bytes(**at);
    if ((size_t)(end - *at) < length || memcmp(*at, word, length)) return 0;
    *at += length;
    return 1;
}

/* {%- word -%} at `at`: where it ends, and its signs. */
static const char *lone_tag(const char *at, const char *end, const char *word, char *before,
                            char *after)
{
    if (end - at < 4 || at[0] != '{' || at[1] != '%') return NULL;
    at += 2;
    *before = *at == '-' || *at == '+' ? *at++ : 0;
    if (!matches_word(&at, end, word)) return NULL;
    while (at < end && is_space_at(at)) at += kd__character_bytes(*at);
    *after = at < end && (*at == '-' || *at == '+') ? *at++ : 0;
    return end - at >= 2 && at[0] == '%' && at[1] == '}' ? at + 2 : NULL;
}

/* What stands between {% raw %} and {% endraw %}. */
static kd_status read_raw(kd__lexer *l, const char *begin, char sign, kd__lexeme *token)
{
    char before, after;
    count_lines(l, l->at, begin);
    l->at = begin;
    l->line_starting = 0;
    if (sign == '-') skip_space(l);
    for (const char *mark = l->at; (mark = memchr(mark, '{', (size_t)(l->end - mark))) != NULL;
         mark++) {
        const char *end = lone_tag(mark, l->end, "endraw", &before, &after);
        if (!end) continue;
        const char *stop = trim_text(l, l->at, mark);
        *token = (kd__lexeme){ KD__T_DATA, l->line, l->at, stop - l->at };
        count_lines(l, l->at, end);
        l->at = end;
        after_tag(l, after == '-', after != '+');
        return KD_OK;
    }
    return bad(l, "raw without endraw");
}

static kd_status open_tag(kd__lexer *l, kd__lexeme *token)
{
    char before, after;
    const char *raw = lone_tag(l->at, l->end, "raw", &before, &after);
    if (raw && after != '+') return read_raw(l, raw, after, token);
    l->inside = l->at[1] == '{' ? KD__T_VARIABLE_BEGIN : KD__T_BLOCK_BEGIN;
    *token = (kd__lexeme){ l->inside, l->line, l->at, 2 };
    l->at += 2;
    if (l->at < l->end && (*l->at == '-' || *l->at == '+')) l->at++;
    l->opened = 0;
    return KD_OK;
}

/* Text up to the next tag, or that tag; comments are gone over. */
static kd_status read_text(kd__lexer *l, kd__lexeme *token)
{
    for (;;) {
        if (l->at >= l->end) return *token = (kd__lexeme){ KD__T_END, l->line, "", 0 }, KD_OK;
        const char *mark = l->begun ? l->at : find_mark(l->at, l->end), *from = l->at;
        const char *stop = l->begun ? l->at : mark ? trim_text(l, from, mark) : l->end;
        const int32_t line = l->line;
        count_lines(l, from, mark ? mark : l->end);
        l->at = mark ? mark : l->end;
        l->begun = mark && stop > from;
        if (stop > from) return *token = (kd__lexeme){ KD__T_DATA, line, from, stop - from }, KD_OK;
        if (mark[1] != '#') return open_tag(l, token);
        l->at = mark + 2;
        if (l->at < l->end && (*l->at == '-' || *l->at == '+')) l->at++;
        KD_TRY(skip_comment(l));
    }
}

/* ---- inside tags ---- */

static int is_digit(char c) { return c >= '0' && c <= '9'; }
static int is_name_start(const char *at)
{
    return *at == '_' || (kd__character_class(kd__character_at(at)) & KD__ALPHA) != 0;
}
static int is_name_part(const char *at)
{
    return *at == '_' ||
           (kd__character_class(kd__character_at(at)) & (KD__ALPHA | KD__NUMERIC)) != 0;
}

static void read_name(kd__lexer *l, kd__lexeme *token)
{
    const char *from = l->at;
    while (l->at < l->end && is_name_part(l->at)) l->at += kd__character_bytes(*l->at);
    *token = (kd__lexeme){ KD__T_NAME, l->line, from, l->at - from };
}

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && (is_digit(*at) || (*at == '_' && at + 1 < end && is_digit(at[1])))) at++;
    return at;
}

/* Whole numbers of base ten, or 0x, 0o, 0b; a float has a fraction, an exponent, or both. */
static kd_status read_number(kd__lexer *l, kd__lexeme *token)
{
    const char *from = l->at, *at = skip_digits(from, l->end);
    int32_t type = KD__T_INTEGER;
    const int after_dot = from[-1] == '.'; /* an element's number: a.1.2 */
    const char base = *from == '0' && from + 1 < l->end ? from[1] | 32 : 0;
    if (base == 'x' || base == 'o' || base == 'b') {
        for (at = from + 2;
             at < l->end &&
             (is_digit(*at) || (base == 'x' && (*at | 32) >= 'a' && (*at | 32) <= 'f') ||
              *at == '_');)
            at++;
    } else {
        if (!after_dot && at + 1 < l->end && *at == '.' && is_digit(at[1])) {
            at = skip_digits(at + 1, l->end);
            type = KD__T_FLOAT;
        }
        const char *exponent = at + 1;
        if (!after_dot && at < l->end && (*at | 32) == 'e') {
            if (exponent < l->end && (*exponent == '+' || *exponent == '-')) exponent++;
            if (exponent < l->end && is_digit(*exponent)) {
                at = skip_digits(exponent, l->end);
                type = KD__T_FLOAT;
            }
        }
        if (type == KD__T_INTEGER && *from == '0' && at - from > 1 &&
            strspn(from, "0_") < (size_t)(at - from))
            return bad(l, "a whole number that begins with 0");
    }
    *token = (kd__lexeme){ type, l->line, from, at - from };
    l->at = at;
    return KD_OK;
}

static int hex_digit(char c)
{
    return is_digit(c) ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* \xhh, \uhhhh, \Uhhhhhhhh; at points after the letter. */
static kd_status read_code(kd__lexer *l, int digits, char **to)
{
    uint32_t c = 0;
    for (int i = 0; i < digits; i++) {
        const int digit = l->at < l->end ? hex_digit(*l->at) : -1;
        if (digit < 0) return bad(l, "an escape with too few hex digits");
        c = c * 16 + (uint32_t)digit;
        l->at++;
    }
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return bad(l, "an escape that is no character");
    *to += kd__character_put(*to, c);
    return KD_OK;
}

/* What is no escape stays, its backslash too; a character beyond ASCII as its number, because
 * Python reads a text that Jinja has written so. At most twice the bytes. */
static void keep_escape(kd__lexer *l, const char *at, char **to)
{
    const uint32_t c = kd__character_at(at);
    *(*to)++ = '\\';
    if (c < 0x80) *(*to)++ = (char)c;
    else *to += snprintf(*to, 12, c < 0x100 ? "x%02x" : c < 0x10000 ? "u%04x" : "U%08x", c);
    l->at = at + kd__character_bytes(*at);
}

static kd_status read_escape(kd__lexer *l, char **to)
{
    static const char from[] = "\\'\"abfnrtv", into[] = "\\'\"\a\b\f\n\r\t\v";
    const char c = *l->at++, *found = c ? strchr(from, c) : NULL;
    if (found) *(*to)++ = into[found - from];
    else if (c == '\n') return KD_OK; /* a line goes on in the next one */
    else if (c == 'x' || c == 'u' || c == 'U')
        return read_code(l, c == 'x' ? 2 : c == 'u' ? 4 : 8, to);
    else if (c == 'N') return bad(l, "characters by their names (\\N) are not supported");
    else if (c >= '0' && c <= '7') {
        uint32_t value = (uint32_t)(c - '0');
        for (int i = 0; i < 2 && l->at < l->end && *l->at >= '0' && *l->at <= '7'; i++)
            value = value * 8 + (uint32_t)(*l->at++ - '0');
        *to += kd__character_put(*to, value);
    } else keep_escape(l, --l->at, to);
    return KD_OK;
}

static kd_status read_string(kd__lexer *l, kd__lexeme *token)
{
    const char quote = *l->at++, *end = l->at;
    char *text = NULL, *to;
    while (end < l->end && *end != quote) end += *end == '\\' && end + 1 < l->end ? 2 : 1;
    if (end >= l->end) return bad(l, "a text without its end quote");
    KD_TRY(kd__room_take(l->room, 2 * (end - l->at) + 1, (void **)&text));
    to = text;
    const int32_t line = l->line;
    while (l->at < end) {
        l->line += *l->at == '\n';
        if (*l->at != '\\') *to++ = *l->at++;
        else {
            l->at++;
            KD_TRY(read_escape(l, &to));
        }
    }
    if (l->at != end) return bad(l, "an escape that runs over the end of its text");
    l->at = end + 1;
    *token = (kd__lexeme){ KD__T_STRING, line, text, to - text };
    return KD_OK;
}

static kd_status read_bracket(kd__lexer *l, char c)
{
    if (c == '(' || c == '[' || c == '{') {
        if (l->opened >= KD__TEMPLATE_NESTING)
            return kd__fail(KD_ERR_RANGE, "%s, line %d: brackets nested deeper than %d", l->title,
                            l->line, KD__TEMPLATE_NESTING);
        l->brackets[l->opened++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        if (!l->opened || l->brackets[--l->opened] != c)
            return bad(l, "a bracket closes that was not opened");
    }
    return KD_OK;
}

static kd_status read_operator(kd__lexer *l, kd__lexeme *token)
{
    static const char *const two[] = { "//", "**", "==", "!=", ">=", "<=" };
    int32_t size = 0;
    for (size_t i = 0; i < sizeof two / sizeof *two && !size; i++)
        if (l->end - l->at >= 2 && !memcmp(l->at, two[i], 2)) size = 2;
    if (!size && strchr("+-/*%~[](){}><=.:|,;", *l->at) && *l->at) size = 1;
    if (!size)
        return kd__fail(KD_ERR_FORMAT, "%s, line %d: unexpected character '%.*s'", l->title,
                        l->line, kd__character_bytes(*l->at), l->at);
    KD_TRY(read_bracket(l, *l->at));
    *token = (kd__lexeme){ KD__T_OPERATOR, l->line, l->at, size };
    l->at += size;
    return KD_OK;
}

/* The tag's end mark, when it is one. */
static int close_tag(kd__lexer *l, kd__lexeme *token)
{
    const int block = l->inside == KD__T_BLOCK_BEGIN;
    const char *at = l->at, sign = *at;
    if (sign == '-' || (block && sign == '+')) at++;
    if (l->opened || l->end - at < 2 || at[0] != (block ? '%' : '}') || at[1] != '}') return 0;
    *token = (kd__lexeme){ block ? KD__T_BLOCK_END : KD__T_VARIABLE_END, l->line, l->at, 2 };
    l->at = at + 2;
    l->inside = 0;
    after_tag(l, sign == '-', block && sign != '+');
    return 1;
}

kd_status kd__lexer_next(kd__lexer *l, kd__lexeme *token)
{
    if (!l->inside) return read_text(l, token);
    skip_space(l);
    if (l->at >= l->end) return *token = (kd__lexeme){ KD__T_END, l->line, "", 0 }, KD_OK;
    if (close_tag(l, token)) return KD_OK;
    if (is_digit(*l->at)) return read_number(l, token);
    if (*l->at == '\'' || *l->at == '"') return read_string(l, token);
    if (is_name_start(l->at)) return read_name(l, token), KD_OK;
    return read_operator(l, token);
}
