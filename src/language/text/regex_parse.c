/* Regular expressions into instructions. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "language/text/regex_code.h"

#define MOST_CODE 20000

typedef struct {
    kd__regex *regex;
    const char *pattern, *at, *end;
    int ignore_case, depth;
    int may_be_empty; /* what was parsed last may match nothing */
} parser;

static kd_status bad(const parser *p, const char *what)
{
    return kd__fail(KD_ERR_UNSUPPORTED, "regular expression %.80s: %s at byte %lld", p->pattern,
                    what, (long long)(p->at - p->pattern));
}

static kd_status emit(parser *p, kd__instruction in)
{
    kd__regex *r = p->regex;
    KD_FAIL_IF(r->count >= MOST_CODE, KD_ERR_UNSUPPORTED,
               "regular expression %.80s: it is too large", p->pattern);
    KD_TRY(KD_RESERVE(r->context, &r->code, &r->room, r->count + 1));
    r->code[r->count++] = in;
    return KD_OK;
}

static kd_status add_range(parser *p, kd__set *s, uint32_t first, uint32_t last)
{
    kd__regex *r = p->regex;
    KD_TRY(KD_RESERVE(r->context, &r->ranges, &r->range_room, r->range_count + 2));
    r->ranges[r->range_count++] = first;
    r->ranges[r->range_count++] = last;
    s->count++;
    return KD_OK;
}

/* Letters beside their other case; the long s and the Kelvin sign fold to s and k. */
static kd_status add_folded(parser *p, kd__set *s, uint32_t c)
{
    KD_TRY(add_range(p, s, c, c));
    if (!p->ignore_case) return KD_OK;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) KD_TRY(add_range(p, s, c ^ 32, c ^ 32));
    if ((c | 32) == 's') KD_TRY(add_range(p, s, 0x17f, 0x17f));
    if ((c | 32) == 'k') KD_TRY(add_range(p, s, 0x212a, 0x212a));
    return c < 0x80 ? KD_OK : bad(p, "ignoring the case of letters that are not ASCII");
}

static const char *const names[KD__CATEGORIES] = { "Cn", "Co", "Cc", "Cf", "Lu", "Ll", "Lt", "Lm",
                                                   "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc",
                                                   "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc",
                                                   "Sk", "So", "Zs", "Zl", "Zp" };
#define EVERY ((1u << KD__CATEGORIES) - 1)

static kd_status parse_property(parser *p, int negated, kd__set *s)
{
    char name[24];
    uint32_t bits = 0;
    int64_t size = 0;
    if (p->at < p->end && *p->at == '{') {
        p->at++;
        if (p->at < p->end && *p->at == '^') negated = !negated, p->at++;
        while (p->at < p->end && *p->at != '}' && size < 20) name[size++] = *p->at++;
        if (p->at == p->end || *p->at != '}') return bad(p, "expected '}'");
        p->at++;
    }
    name[size] = 0;
    for (int32_t i = 0; i < KD__CATEGORIES; i++)
        if (size && (!strcmp(name, names[i]) || (size == 1 && name[0] == names[i][0])))
            bits |= 1u << i;
    if (!bits) return bad(p, "a property that is no general category");
    s->categories |= negated ? EVERY & ~bits : bits;
    return KD_OK;
}

/* What follows a backslash: a class added to s (*is_class 1), or a character. */
static kd_status parse_escape(parser *p, kd__set *s, int *is_class, uint32_t *c)
{
    static const char from[] = "tnrfvae", to[] = "\t\n\r\f\v\a\033";
    if (p->at == p->end) return bad(p, "a backslash at the end");
    const char e = *p->at++;
    *is_class = 1;
    switch (e) {
    case 's': s->space = 1; return KD_OK;
    case 'S': s->not_space = 1; return KD_OK;
    case 'w': s->word = 1; return KD_OK;
    case 'W': s->not_word = 1; return KD_OK;
    case 'd': s->categories |= 1u << KD__ND; return KD_OK;
    case 'D': s->categories |= EVERY & ~(1u << KD__ND); return KD_OK;
    case 'p': return parse_property(p, 0, s);
    case 'P': return parse_property(p, 1, s);
    default: break;
    }
    *is_class = 0;
    const char *found = e ? strchr(from, e) : NULL;
    if (found) *c = (uint32_t)(unsigned char)to[found - from];
    else if (e == 'x' || e == 'u') {
        char digits[9] = { 0 }, *stop;
        const int braces = e == 'x' && p->at < p->end && *p->at == '{';
        p->at += braces;
        for (int i = 0; i < (braces ? 8 : e == 'u' ? 4 : 2) && p->at < p->end && *p->at != '}'; i++)
            digits[i] = *p->at++;
        *c = (uint32_t)strtoul(digits, &stop, 16);
        if (*stop || !digits[0] || *c > 0x10ffff || (braces && (p->at == p->end || *p->at != '}')))
            return bad(p, "expected hex digits");
        p->at += braces;
    } else if ((e >= 'a' && e <= 'z') || (e >= 'A' && e <= 'Z') || (e >= '0' && e <= '9')) {
        return bad(p, "an escape that is not known");
    } else {
        p->at--;
        *c = kd__utf8_next(&p->at);
    }
    return KD_OK;
}

static kd_status parse_class(parser *p, kd__set *s)
{
    if (p->at < p->end && *p->at == '^') s->negated = 1, p->at++;
    for (int started = 0; p->at < p->end && (*p->at != ']' || !started); started = 1) {
        uint32_t c, last;
        int is_class = 0;
        if (*p->at == '[' || (*p->at == '&' && p->at + 1 < p->end && p->at[1] == '&'))
            return bad(p, "a class within a class");
        if (*p->at == '\\') {
            p->at++;
            KD_TRY(parse_escape(p, s, &is_class, &c));
            if (is_class) continue;
        } else c = kd__utf8_next(&p->at);
        if (p->end - p->at < 2 || *p->at != '-' || p->at[1] == ']') {
            KD_TRY(add_folded(p, s, c));
            continue;
        }
        p->at++;
        if (*p->at == '\\') {
            p->at++;
            KD_TRY(parse_escape(p, s, &is_class, &last));
        } else last = kd__utf8_next(&p->at);
        if (is_class || last < c) return bad(p, "a range that is none");
        KD_TRY(add_range(p, s, c, last));
        for (uint32_t letter = c; p->ignore_case && letter <= last && letter < 0x80; letter++)
            KD_TRY(add_folded(p, s, letter));
    }
    if (p->at == p->end) return bad(p, "expected ']'");
    p->at++;
    return KD_OK;
}

static uint8_t ascii_value(uint32_t c)
{
    static const char punctuation[] = "_\0-\0([{\0)]}\0!\"#%&'*,./:;?@\\\0+<=>|~\0$\0^`";
    static const uint8_t kinds[] = {
        KD__PC | KD__WORD, KD__PD, KD__PS, KD__PE, KD__PO, KD__SM, KD__SC, KD__SK
    };
    if (c == ' ') return KD__ZS | KD__SPACE;
    if (c < 32 || c == 127) return (uint8_t)(KD__CC | ((c > 8 && c < 14) ? KD__SPACE : 0));
    if (c >= '0' && c <= '9') return KD__ND | KD__WORD;
    if ((c | 32) >= 'a' && (c | 32) <= 'z') return (uint8_t)((c & 32 ? KD__LL : KD__LU) | KD__WORD);
    const char *kind = punctuation;
    for (int i = 0; i < 8; i++, kind += strlen(kind) + 1)
        if (strchr(kind, (int)c)) return kinds[i];
    return KD__CN;
}

static int compare_ranges(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Ranges in order, those that meet as one: found by halving. */
static void sort_ranges(kd__regex *r, kd__set *s)
{
    uint32_t *range = r->ranges + s->first;
    int32_t kept = 0;
    if (!s->count) return;
    qsort(range, (size_t)s->count, 2 * sizeof *range, compare_ranges);
    for (int32_t i = 1; i < s->count; i++) {
        const uint32_t first = range[2 * i], last = range[2 * i + 1];
        if (first > range[2 * kept + 1]) {
            kept++;
            range[2 * kept] = first;
            range[2 * kept + 1] = last;
        } else if (last > range[2 * kept + 1]) range[2 * kept + 1] = last;
    }
    s->count = kept + 1;
    r->range_count = s->first + 2 * s->count;
}

static kd_status keep_set(parser *p, kd__set s, int32_t *index)
{
    kd__regex *r = p->regex;
    s.first = (int32_t)(r->range_count - 2 * s.count);
    sort_ranges(r, &s);
    for (uint32_t c = 0; c < 128; c++)
        if (kd__set_contains(r, &s, c, ascii_value(c))) s.low[c / 32] |= 1u << (c % 32);
    KD_TRY(KD_RESERVE(r->context, &r->sets, &r->set_room, r->set_count + 1));
    *index = (int32_t)r->set_count;
    r->sets[r->set_count++] = s;
    return KD_OK;
}

static kd_status parse_alternatives(parser *p);

/* What follows "(?": the kind of a look, -1 for a plain group. */
static kd_status parse_group_kind(parser *p, int *kind)
{
    static const char marks[] = "=!>"; /* in the order of KD__AHEAD ... */
    if (p->end - p->at >= 2 && p->at[0] == 'i' && p->at[1] == ':')
        return p->ignore_case = 1, p->at += 2, KD_OK;
    if (p->end - p->at >= 1 && p->at[0] == ':') return p->at++, KD_OK;
    const char *found = p->at < p->end && *p->at ? strchr(marks, *p->at) : NULL;
    if (!found)
        return bad(p, p->at < p->end && *p->at == '<' ? "a look behind or a group with a name"
                                                      : "a group of a kind that is not known");
    *kind = (int)(found - marks);
    p->at++;
    return KD_OK;
}

/* (?: (?i: (?= (?! (?> or a plain group, whose capture nobody reads. */
static kd_status parse_group(parser *p)
{
    const int before = p->ignore_case;
    const int64_t start = p->regex->count;
    int kind = -1;
    if (++p->depth > KD__REGEX_MOST_DEPTH) return bad(p, "groups nested too deep");
    if (p->at < p->end && *p->at == '?') {
        p->at++;
        KD_TRY(parse_group_kind(p, &kind));
    }
    if (kind >= 0) KD_TRY(emit(p, (kd__instruction){ .type = KD__RX_LOOK, .kind = kind }));
    KD_TRY(parse_alternatives(p));
    if (p->at == p->end || *p->at != ')') return bad(p, "expected ')'");
    p->at++;
    if (kind >= 0) {
        KD_TRY(emit(p, (kd__instruction){ .type = KD__RX_MATCH }));
        p->regex->code[start].a = (int32_t)p->regex->count;
    }
    p->may_be_empty |= kind == KD__AHEAD || kind == KD__NOT_AHEAD;
    p->ignore_case = before;
    p->depth--;
    return KD_OK;
}

/* ^ $ \A \z \Z \b \B: 1 when one stood here. */
static int parse_place(parser *p, int32_t *kind)
{
    static const char marks[] = "AzZ^$bB"; /* in the order of KD__AT_BEGIN ... */
    const int escaped = *p->at == '\\';
    const char mark = escaped && p->end - p->at >= 2 ? p->at[1] : *p->at;
    const char *found = mark ? strchr(marks, mark) : NULL;
    if (!found || escaped != (mark != '^' && mark != '$')) return 0;
    *kind = (int32_t)(found - marks);
    p->at += 1 + escaped;
    return 1;
}

static kd_status parse_atom(parser *p)
{
    kd__set s = { 0 };
    int is_class = 0;
    uint32_t c;
    kd__instruction in = { .type = KD__RX_SET };
    if (*p->at == '(') return p->at++, parse_group(p);
    p->may_be_empty = parse_place(p, &in.kind);
    if (p->may_be_empty) return in.type = KD__RX_AT, emit(p, in);
    if (*p->at && strchr("*+?{", *p->at)) return bad(p, "a quantifier of nothing");
    if (*p->at == '[') {
        p->at++;
        KD_TRY(parse_class(p, &s));
    } else if (*p->at == '.') {
        p->at++;
        s.negated = 1;
        KD_TRY(add_range(p, &s, '\n', '\n'));
    } else if (*p->at == '\\') {
        p->at++;
        KD_TRY(parse_escape(p, &s, &is_class, &c));
        if (!is_class) KD_TRY(add_folded(p, &s, c));
    } else KD_TRY(add_folded(p, &s, kd__utf8_next(&p->at)));
    KD_TRY(keep_set(p, s, &in.a));
    return emit(p, in);
}

static int number(parser *p, int32_t *value)
{
    if (p->at == p->end || *p->at < '0' || *p->at > '9') return 0;
    for (*value = 0; p->at < p->end && *p->at >= '0' && *p->at <= '9' && *value < 10000; p->at++)
        *value = *value * 10 + (*p->at - '0');
    return 1;
}

/* {m}, {m,}, {,n}, {m,n} */
static kd_status parse_counts(parser *p, int32_t *low, int32_t *high)
{
    p->at++;
    const int has_low = number(p, low);
    *high = *low;
    if (p->at < p->end && *p->at == ',') {
        p->at++;
        if (!number(p, high)) *high = -1;
        if (!has_low) *low = 0;
    } else if (!has_low) return bad(p, "expected a number");
    if (p->at == p->end || *p->at != '}') return bad(p, "expected '}'");
    if (*low >= 1000 || *high >= 1000 || (*high >= 0 && *high < *low))
        return bad(p, "a count out of 0 to 999");
    p->at++;
    return KD_OK;
}

static kd_status copy_code(parser *p, int64_t from, int64_t to)
{
    const int32_t shift = (int32_t)(p->regex->count - from);
    for (int64_t i = from; i < to; i++) {
        kd__instruction in = p->regex->code[i];
        if (in.type == KD__RX_SPLIT || in.type == KD__RX_JUMP || in.type == KD__RX_LOOK)
            in.a += shift;
        if (in.type == KD__RX_SPLIT) in.b += shift;
        KD_TRY(emit(p, in));
    }
    return KD_OK;
}

/* A group repeated: copies for the count that must be, then optional copies, or a loop. */
static kd_status repeat_group(parser *p, int64_t from, int32_t low, int32_t high, int lazy)
{
    kd__regex *r = p->regex;
    const int64_t to = r->count, size = to - from;
    kd_status status = KD_OK;
    int64_t at = from;
    /* the first copy stands already; everything is made again behind it, then moved over it */
    r->count = to;
    for (int32_t i = 0; i < low && status == KD_OK; i++) status = copy_code(p, from, to);
    for (int32_t i = low; i < (high < 0 ? low + 1 : high) && status == KD_OK; i++) {
        at = r->count;
        status = emit(p, (kd__instruction){ .type = KD__RX_SPLIT });
        if (status == KD_OK) status = copy_code(p, from, to);
        if (status == KD_OK && high < 0)
            status = emit(p, (kd__instruction){ .type = KD__RX_JUMP, .a = (int32_t)at });
        if (status != KD_OK) break;
        r->code[at].a = lazy ? (int32_t)r->count : (int32_t)at + 1;
        r->code[at].b = lazy ? (int32_t)at + 1 : (int32_t)r->count;
    }
    if (status == KD_OK) {
        memmove(r->code + from, r->code + to, (size_t)(r->count - to) * sizeof *r->code);
        r->count -= size;
        for (int64_t i = from; i < r->count; i++) {
            if (r->code[i].type == KD__RX_SPLIT || r->code[i].type == KD__RX_JUMP ||
                r->code[i].type == KD__RX_LOOK)
                r->code[i].a -= (int32_t)size;
            if (r->code[i].type == KD__RX_SPLIT) r->code[i].b -= (int32_t)size;
        }
    }
    return status;
}

/* Room for one instruction at `from`: what lies after it moves. */
static kd_status insert(parser *p, int64_t from)
{
    kd__regex *r = p->regex;
    KD_TRY(emit(p, (kd__instruction){ .type = KD__RX_MATCH }));
    memmove(r->code + from + 1, r->code + from, (size_t)(r->count - 1 - from) * sizeof *r->code);
    for (int64_t i = from + 1; i < r->count; i++) {
        if (r->code[i].type == KD__RX_SPLIT || r->code[i].type == KD__RX_JUMP ||
            r->code[i].type == KD__RX_LOOK)
            r->code[i].a++;
        if (r->code[i].type == KD__RX_SPLIT) r->code[i].b++;
    }
    return KD_OK;
}

/* ? * + {m,n}, and the ? or + after it that makes it lazy or possessive: 0 when none stands
 * here. */
static kd_status parse_quantifier(parser *p, int32_t *low, int32_t *high, int32_t *kind, int *found)
{
    *found = p->at < p->end && *p->at && strchr("*+?{", *p->at);
    if (!*found) return KD_OK;
    const int counted = *p->at == '{';
    *kind = KD__GREEDY;
    if (counted) KD_TRY(parse_counts(p, low, high));
    else *low = *p->at == '+', *high = *p->at == '?' ? 1 : -1, p->at++;
    if (p->at < p->end && *p->at == '?') *kind = KD__LAZY, p->at++;
    else if (!counted && p->at < p->end && *p->at == '+') *kind = KD__POSSESSIVE, p->at++;
    return KD_OK;
}

/* A possessive group is an atomic group around a greedy one. */
static kd_status make_atomic(parser *p, int64_t from)
{
    KD_TRY(insert(p, from));
    KD_TRY(emit(p, (kd__instruction){ .type = KD__RX_MATCH }));
    p->regex->code[from] =
        (kd__instruction){ .type = KD__RX_LOOK, .kind = KD__ATOMIC, .a = (int32_t)p->regex->count };
    return KD_OK;
}

static kd_status repeat(parser *p, int64_t from, int32_t low, int32_t high, int32_t kind)
{
    kd__regex *r = p->regex;
    const int is_set = r->count == from + 1 && r->code[from].type == KD__RX_SET;
    if (is_set && !(kind == KD__LAZY && high >= 0)) {
        r->code[from] = (kd__instruction){
            .type = KD__RX_STAR, .a = r->code[from].a, .low = low, .high = high, .kind = kind
        };
    } else {
        if (high < 0 && p->may_be_empty) return bad(p, "a repeated group that may match nothing");
        KD_TRY(repeat_group(p, from, low, high, kind == KD__LAZY));
        if (kind == KD__POSSESSIVE) KD_TRY(make_atomic(p, from));
    }
    p->may_be_empty |= !low;
    return KD_OK;
}

static kd_status parse_quantified(parser *p)
{
    const int64_t from = p->regex->count;
    int32_t low, high, kind;
    int found;
    KD_TRY(parse_atom(p));
    for (int32_t times = 0;; times++) {
        KD_TRY(parse_quantifier(p, &low, &high, &kind, &found));
        if (!found) return KD_OK;
        if (times == KD__REGEX_MOST_DEPTH) return bad(p, "too many quantifiers after each other");
        KD_TRY(repeat(p, from, low, high, kind));
    }
}

/* Characters one after the other, up to | or ) or the end. */
static kd_status parse_sequence(parser *p)
{
    int may_be_empty = 1;
    while (p->at < p->end && *p->at != '|' && *p->at != ')') {
        KD_TRY(parse_quantified(p));
        may_be_empty &= p->may_be_empty;
    }
    p->may_be_empty = may_be_empty;
    return KD_OK;
}

/* The JUMPs from the ends of the alternatives to the end of all form a list, from the last to the
 * first, until that end is known. */
static kd_status parse_alternatives(parser *p)
{
    kd__regex *r = p->regex;
    int64_t from = r->count, last = -1;
    int may_be_empty = 0;
    for (;;) {
        KD_TRY(parse_sequence(p));
        may_be_empty |= p->may_be_empty;
        if (p->at == p->end || *p->at != '|') break;
        p->at++;
        KD_TRY(insert(p, from));
        KD_TRY(emit(p, (kd__instruction){ .type = KD__RX_JUMP, .a = (int32_t)last }));
        last = r->count - 1;
        r->code[from] = (kd__instruction){ .type = KD__RX_SPLIT,
                                           .a = (int32_t)from + 1,
                                           .b = (int32_t)r->count };
        from = r->count;
    }
    for (int64_t before; last >= 0; last = before) {
        before = r->code[last].a;
        r->code[last].a = (int32_t)r->count;
    }
    p->may_be_empty = may_be_empty;
    return KD_OK;
}

/* ---- first bytes: what lets an alternative be passed over at a glance ---- */

/* Adds the bytes that the code from pc on may begin with; 0: it may be empty, or it is not told
 * within `budget` instructions. */
static int first_bytes(const kd__regex *r, int32_t pc, uint64_t bytes[4], int *budget, int depth)
{
    while (--*budget >= 0 && depth < 20) {
        const kd__instruction *in = &r->code[pc];
        if (in->type == KD__RX_SET || in->type == KD__RX_STAR) {
            const kd__set *s = &r->sets[in->a];
            bytes[0] |= (uint64_t)s->low[0] | (uint64_t)s->low[1] << 32;
            bytes[1] |= (uint64_t)s->low[2] | (uint64_t)s->low[3] << 32;
            bytes[2] = bytes[3] = UINT64_MAX; /* beyond ASCII: any */
            if (in->type == KD__RX_SET || in->low > 0) return 1;
            pc++;
        } else if (in->type == KD__RX_JUMP) pc = in->a;
        else if (in->type == KD__RX_SPLIT) {
            if (!first_bytes(r, in->a, bytes, budget, depth + 1)) return 0;
            pc = in->b;
        } else return 0;
    }
    return 0;
}

static void find_first_bytes(kd__regex *r)
{
    for (int64_t i = 0; i < r->count; i++) {
        int budget = 200;
        if (r->code[i].type == KD__RX_SPLIT)
            r->code[i].any = !first_bytes(r, r->code[i].a, r->code[i].first, &budget, 0);
    }
}

kd_status kd__regex_compile(kd__regex **out, kd_context *context, const char *pattern,
                            int64_t bytes)
{
    kd__regex *r = NULL;
    kd_status status;
    KD_FAIL_IF(kd__utf8_valid(pattern, bytes, NULL) != bytes, KD_ERR_FORMAT,
               "regular expression: it is not UTF-8");
    KD_TRY(KD_NEW(context, &r, 1));
    r->context = context;
    parser p = { .regex = r, .pattern = pattern, .at = pattern, .end = pattern + bytes };
    KD_TRY_GOTO(status, parse_alternatives(&p), failed);
    if (p.at != p.end) {
        status = bad(&p, "a ')' too many");
        goto failed;
    }
    KD_TRY_GOTO(status, emit(&p, (kd__instruction){ .type = KD__RX_MATCH }), failed);
    find_first_bytes(r);
    *out = r;
    return KD_OK;
failed:
    kd__regex_free(r);
    return status;
}

void kd__regex_free(kd__regex *r)
{
    if (!r) return;
    kd__release(r->context, r->code);
    kd__release(r->context, r->sets);
    kd__release(r->context, r->ranges);
    kd__release(r->context, r);
}
