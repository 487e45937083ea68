#include "tokenizer/regex.h"

#include <stdlib.h>
#include <string.h>

#define MOST_CODE 20000
#define MOST_DEPTH 50

enum { SET, STAR, SPLIT, JUMP, LOOK, MATCH };

typedef struct {
    uint32_t categories;  /* bits of categories; word and space behind them */
    uint32_t low[4];      /* ASCII, everything counted in */
    int32_t first, count; /* ranges */
    int32_t negated, word, space, not_word, not_space;
} set;

/* SET a; STAR a: `low` to `high` characters of a set (high -1: any), greedy, lazy (kind 1) or possessive (kind 2);
 * SPLIT: first a, then b; LOOK: the code behind it up to MATCH, then a; kind 0: (?=), 1: (?!), 2: (?>) keeps its place. */
typedef struct {
    int32_t type, a, b, low, high, kind;
    uint64_t first[4]; /* SPLIT: bytes that a may begin with */
    int32_t any;       /* SPLIT: a may be empty: no look at the first byte */
} instruction;

struct kd__regex {
    kd_context *context;
    instruction *code;
    set *sets;
    uint32_t *ranges; /* first, last */
    int64_t count, room, set_count, set_room, range_count, range_room;
};

/* ---- parsing straight into code ---- */

typedef struct {
    kd__regex *regex;
    const char *pattern, *at, *end;
    int ignore_case, depth;
} parser;

static kd_status bad(const parser *p, const char *what)
{
    return kd__fail(KD_ERR_UNSUPPORTED, "regular expression %.80s: %s at byte %lld", p->pattern, what, (long long)(p->at - p->pattern));
}

static kd_status emit(parser *p, instruction in)
{
    kd__regex *r = p->regex;
    KD_FAIL_IF(r->count >= MOST_CODE, KD_ERR_UNSUPPORTED, "regular expression %.80s: it is too large", p->pattern);
    if (r->count == r->room) KD_TRY(KD_RESERVE(r->context, &r->code, &r->room, 2 * r->room + 32));
    r->code[r->count++] = in;
    return KD_OK;
}

static kd_status add_range(parser *p, set *s, uint32_t first, uint32_t last)
{
    kd__regex *r = p->regex;
    if (r->range_count + 2 > r->range_room) KD_TRY(KD_RESERVE(r->context, &r->ranges, &r->range_room, 2 * r->range_room + 32));
    r->ranges[r->range_count++] = first;
    r->ranges[r->range_count++] = last;
    s->count++;
    return KD_OK;
}

/* Letters beside their other case; the long s and the Kelvin sign fold to s and k. */
static kd_status add_folded(parser *p, set *s, uint32_t c)
{
    KD_TRY(add_range(p, s, c, c));
    if (!p->ignore_case) return KD_OK;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) KD_TRY(add_range(p, s, c ^ 32, c ^ 32));
    if ((c | 32) == 's') KD_TRY(add_range(p, s, 0x17f, 0x17f));
    if ((c | 32) == 'k') KD_TRY(add_range(p, s, 0x212a, 0x212a));
    return c < 0x80 ? KD_OK : bad(p, "ignoring the case of letters that are not ASCII");
}

static const char *const names[KD__CATEGORIES] = { "Cn", "Co", "Cc", "Cf", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No",
                                                   "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp" };
#define EVERY ((1u << KD__CATEGORIES) - 1)

static kd_status parse_property(parser *p, int negated, set *s)
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
        if (size && (!strcmp(name, names[i]) || (size == 1 && name[0] == names[i][0]))) bits |= 1u << i;
    if (!bits) return bad(p, "a property that is no general category");
    s->categories |= negated ? EVERY & ~bits : bits;
    return KD_OK;
}

/* What follows a backslash: a class added to s (*is_class 1), or a character. */
static kd_status parse_escape(parser *p, set *s, int *is_class, uint32_t *c)
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
        for (int i = 0; i < (braces ? 8 : e == 'u' ? 4 : 2) && p->at < p->end && *p->at != '}'; i++) digits[i] = *p->at++;
        *c = (uint32_t)strtoul(digits, &stop, 16);
        if (*stop || !digits[0] || *c > 0x10ffff || (braces && (p->at == p->end || *p->at != '}'))) return bad(p, "expected hex digits");
        p->at += braces;
    } else if ((e >= 'a' && e <= 'z') || (e >= 'A' && e <= 'Z') || (e >= '0' && e <= '9')) {
        return bad(p, "an escape that is not known");
    } else {
        p->at--;
        *c = kd__utf8_next(&p->at);
    }
    return KD_OK;
}

static kd_status parse_class(parser *p, set *s)
{
    if (p->at < p->end && *p->at == '^') s->negated = 1, p->at++;
    for (int started = 0; p->at < p->end && (*p->at != ']' || !started); started = 1) {
        uint32_t c, last;
        int is_class = 0;
        if (*p->at == '[' || (*p->at == '&' && p->at + 1 < p->end && p->at[1] == '&')) return bad(p, "a class within a class");
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
        for (uint32_t letter = c; p->ignore_case && letter <= last && letter < 0x80; letter++) KD_TRY(add_folded(p, s, letter));
    }
    if (p->at == p->end) return bad(p, "expected ']'");
    p->at++;
    return KD_OK;
}

static int in_ranges(const kd__regex *r, const set *s, uint32_t c)
{
    for (int32_t i = 0; i < s->count; i++)
        if (c >= r->ranges[s->first + 2 * i] && c <= r->ranges[s->first + 2 * i + 1]) return 1;
    return 0;
}

static int contains(const kd__regex *r, const set *s, uint32_t c, uint8_t value)
{
    const int inside = (s->categories >> (value & KD__CATEGORY) & 1) || (s->word && value & KD__WORD) || (s->not_word && !(value & KD__WORD)) ||
                       (s->space && value & KD__SPACE) || (s->not_space && !(value & KD__SPACE)) || in_ranges(r, s, c);
    return inside != s->negated;
}

static uint8_t ascii_value(uint32_t c)
{
    static const char punctuation[] = "_\0-\0([{\0)]}\0!\"#%&'*,./:;?@\\\0+<=>|~\0$\0^`";
    static const uint8_t kinds[] = { KD__PC | KD__WORD, KD__PD, KD__PS, KD__PE, KD__PO, KD__SM, KD__SC, KD__SK };
    if (c == ' ') return KD__ZS | KD__SPACE;
    if (c < 32 || c == 127) return (uint8_t)(KD__CC | ((c > 8 && c < 14) ? KD__SPACE : 0));
    if (c >= '0' && c <= '9') return KD__ND | KD__WORD;
    if ((c | 32) >= 'a' && (c | 32) <= 'z') return (uint8_t)((c & 32 ? KD__LL : KD__LU) | KD__WORD);
    const char *kind = punctuation;
    for (int i = 0; i < 8; i++, kind += strlen(kind) + 1)
        if (strchr(kind, (int)c)) return kinds[i];
    return KD__CN;
}

static kd_status keep_set(parser *p, set s, int32_t *index)
{
    kd__regex *r = p->regex;
    s.first = (int32_t)(r->range_count - 2 * s.count);
    for (uint32_t c = 0; c < 128; c++)
        if (contains(r, &s, c, ascii_value(c))) s.low[c / 32] |= 1u << (c % 32);
    if (r->set_count == r->set_room) KD_TRY(KD_RESERVE(r->context, &r->sets, &r->set_room, 2 * r->set_room + 16));
    *index = (int32_t)r->set_count;
    r->sets[r->set_count++] = s;
    return KD_OK;
}

static kd_status parse_alternatives(parser *p);

/* (?: (?i: (?= (?! (?> or a plain group, whose capture nobody reads. */
static kd_status parse_group(parser *p)
{
    const int before = p->ignore_case;
    const int64_t look = p->regex->count;
    int kind = -1;
    if (++p->depth > MOST_DEPTH) return bad(p, "groups nested too deep");
    if (p->at < p->end && *p->at == '?') {
        p->at++;
        if (p->end - p->at >= 2 && p->at[0] == 'i' && p->at[1] == ':') p->ignore_case = 1, p->at += 2;
        else if (p->at < p->end && strchr(":=!>", *p->at) && *p->at) kind = *p->at == ':' ? -1 : *p->at == '=' ? 0 : *p->at == '!' ? 1 : 2, p->at++;
        else return bad(p, "a group of a kind that is not known");
    }
    if (kind >= 0) KD_TRY(emit(p, (instruction){ .type = LOOK, .kind = kind }));
    KD_TRY(parse_alternatives(p));
    if (p->at == p->end || *p->at != ')') return bad(p, "expected ')'");
    p->at++;
    if (kind >= 0) {
        KD_TRY(emit(p, (instruction){ .type = MATCH }));
        p->regex->code[look].a = (int32_t)p->regex->count;
    }
    p->ignore_case = before;
    p->depth--;
    return KD_OK;
}

static kd_status parse_atom(parser *p)
{
    set s = { 0 };
    int is_class = 0;
    uint32_t c;
    instruction in = { .type = SET };
    if (*p->at == '(') return p->at++, parse_group(p);
    if (strchr("*+?{^$", *p->at) && *p->at) return bad(p, "a character that is not supported here");
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
    for (*value = 0; p->at < p->end && *p->at >= '0' && *p->at <= '9' && *value < 10000; p->at++) *value = *value * 10 + (*p->at - '0');
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
    if (*low >= 1000 || *high >= 1000 || (*high >= 0 && *high < *low)) return bad(p, "a count out of 0 to 999");
    p->at++;
    return KD_OK;
}

static kd_status copy_code(parser *p, int64_t from, int64_t to)
{
    const int32_t shift = (int32_t)(p->regex->count - from);
    for (int64_t i = from; i < to; i++) {
        instruction in = p->regex->code[i];
        if (in.type == SPLIT || in.type == JUMP || in.type == LOOK) in.a += shift;
        if (in.type == SPLIT) in.b += shift;
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
    r->count = to; /* the first copy stands already; everything is made again behind it, then moved over it */
    for (int32_t i = 0; i < low && status == KD_OK; i++) status = copy_code(p, from, to);
    for (int32_t i = low; i < (high < 0 ? low + 1 : high) && status == KD_OK; i++) {
        at = r->count;
        status = emit(p, (instruction){ .type = SPLIT });
        if (status == KD_OK) status = copy_code(p, from, to);
        if (status == KD_OK && high < 0) status = emit(p, (instruction){ .type = JUMP, .a = (int32_t)at });
        if (status != KD_OK) break;
        r->code[at].a = lazy ? (int32_t)r->count : (int32_t)at + 1;
        r->code[at].b = lazy ? (int32_t)at + 1 : (int32_t)r->count;
    }
    if (status == KD_OK) {
        memmove(r->code + from, r->code + to, (size_t)(r->count - to) * sizeof *r->code);
        r->count -= size;
        for (int64_t i = from; i < r->count; i++) {
            if (r->code[i].type == SPLIT || r->code[i].type == JUMP || r->code[i].type == LOOK) r->code[i].a -= (int32_t)size;
            if (r->code[i].type == SPLIT) r->code[i].b -= (int32_t)size;
        }
    }
    return status;
}

static kd_status parse_quantified(parser *p)
{
    kd__regex *r = p->regex;
    const int64_t from = r->count;
    KD_TRY(parse_atom(p));
    while (p->at < p->end && *p->at && strchr("*+?{", *p->at)) {
        int32_t low = 0, high = -1, kind = 0;
        const int counted = *p->at == '{';
        if (counted) KD_TRY(parse_counts(p, &low, &high));
        else low = *p->at == '+', high = *p->at == '?' ? 1 : -1, p->at++;
        if (p->at < p->end && *p->at == '?') kind = 1, p->at++;
        else if (!counted && p->at < p->end && *p->at == '+') kind = 2, p->at++;
        if (r->count == from + 1 && r->code[from].type == SET && !(kind == 1 && high >= 0)) {
            r->code[from] = (instruction){ .type = STAR, .a = r->code[from].a, .low = low, .high = high, .kind = kind };
            continue;
        }
        if (kind == 2) return bad(p, "a possessive group");
        KD_TRY(repeat_group(p, from, low, high, kind == 1));
    }
    return KD_OK;
}

/* Room for one instruction at `from`: what lies behind moves. */
static kd_status insert(parser *p, int64_t from)
{
    kd__regex *r = p->regex;
    KD_TRY(emit(p, (instruction){ .type = MATCH }));
    memmove(r->code + from + 1, r->code + from, (size_t)(r->count - 1 - from) * sizeof *r->code);
    for (int64_t i = from + 1; i < r->count; i++) {
        if (r->code[i].type == SPLIT || r->code[i].type == JUMP || r->code[i].type == LOOK) r->code[i].a++;
        if (r->code[i].type == SPLIT) r->code[i].b++;
    }
    return KD_OK;
}

static kd_status parse_alternatives(parser *p)
{
    kd__regex *r = p->regex;
    int64_t from = r->count, jumps[256];
    int count = 0;
    for (;;) {
        while (p->at < p->end && *p->at != '|' && *p->at != ')') KD_TRY(parse_quantified(p));
        if (p->at == p->end || *p->at != '|') break;
        p->at++;
        if (count == 256) return bad(p, "more than 256 alternatives");
        KD_TRY(insert(p, from));
        jumps[count++] = r->count;
        KD_TRY(emit(p, (instruction){ .type = JUMP }));
        r->code[from] = (instruction){ .type = SPLIT, .a = (int32_t)from + 1, .b = (int32_t)r->count };
        from = r->count;
    }
    for (int i = 0; i < count; i++) r->code[jumps[i]].a = (int32_t)r->count;
    return KD_OK;
}

/* ---- first bytes: what lets an alternative be passed over at a glance ---- */

static int first_bytes(const kd__regex *r, int32_t pc, uint64_t bytes[4], int depth)
{
    for (; depth < 40; depth++) {
        const instruction *in = &r->code[pc];
        if (in->type == SET || in->type == STAR) {
            const set *s = &r->sets[in->a];
            bytes[0] |= (uint64_t)s->low[0] | (uint64_t)s->low[1] << 32;
            bytes[1] |= (uint64_t)s->low[2] | (uint64_t)s->low[3] << 32;
            bytes[2] = bytes[3] = UINT64_MAX; /* beyond ASCII: any */
            if (in->type == SET || in->low > 0) return 1;
            pc++;
        } else if (in->type == JUMP) pc = in->a;
        else if (in->type == SPLIT) {
            if (!first_bytes(r, in->a, bytes, depth + 1)) return 0;
            pc = in->b;
        } else return 0;
    }
    return 0;
}

kd_status kd__regex_compile(kd__regex **out, kd_context *context, const char *pattern, int64_t bytes)
{
    kd__regex *r = NULL;
    kd_status status;
    KD_FAIL_IF(kd__utf8_valid(pattern, bytes, NULL) != bytes, KD_ERR_FORMAT, "regular expression: it is not UTF-8");
    KD_TRY(KD_NEW(context, &r, 1));
    r->context = context;
    parser p = { .regex = r, .pattern = pattern, .at = pattern, .end = pattern + bytes };
    KD_TRY_GOTO(status, parse_alternatives(&p), failed);
    if (p.at != p.end) {
        status = bad(&p, "a ')' too many");
        goto failed;
    }
    KD_TRY_GOTO(status, emit(&p, (instruction){ .type = MATCH }), failed);
    for (int64_t i = 0; i < r->count; i++)
        if (r->code[i].type == SPLIT) r->code[i].any = !first_bytes(r, r->code[i].a, r->code[i].first, 0);
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

/* ---- matching ---- */

struct kd__regex_point { /* where to go on after a failure: code, place, and for a greedy run its shortest end or for a lazy one what is left */
    int32_t pc, kind;
    const char *at, *limit;
};
typedef struct kd__regex_point point;
enum { PLAIN, SHORTER, LONGER };

static inline int inside(const kd__regex *r, const kd__unicode *u, const set *s, const char **at)
{
    const unsigned char b = (unsigned char)**at;
    if (b < 128) return *at += s->low[b / 32] >> (b % 32) & 1, (int)(s->low[b / 32] >> (b % 32) & 1);
    const char *next = *at;
    const uint32_t c = kd__utf8_next(&next);
    if (!contains(r, s, c, kd__unicode_value(u, c))) return 0;
    *at = next;
    return 1;
}

typedef struct {
    kd__regex_state *state;
    const char *end;
    int64_t count, budget;
} run;

static kd_status keep(run *m, point p)
{
    if (m->count == m->state->room) KD_TRY(KD_RESERVE(m->state->unicode->context, &m->state->points, &m->state->room, 2 * m->state->room + 64));
    m->state->points[m->count++] = p;
    return KD_OK;
}

/* A run of one set's characters; *at moves to where the code behind it goes on. *failed: too few. */
static kd_status run_star(run *m, int32_t pc, const char **at, int *failed)
{
    const kd__regex *r = m->state->regex;
    const instruction *in = &r->code[pc];
    const set *s = &r->sets[in->a];
    const char *p = *at, *shortest = p;
    int32_t n = 0;
    const int32_t most = in->kind == 1 ? in->low : in->high;
    while (p < m->end && (most < 0 || n < most) && inside(r, m->state->unicode, s, &p))
        if (++n == in->low) shortest = p;
    m->budget -= (p - *at) / 16;
    *failed = n < in->low;
    if (*failed) return KD_OK;
    *at = p;
    if (in->kind == 0 && p > shortest) return keep(m, (point){ pc + 1, SHORTER, p, shortest });
    if (in->kind == 1 && p < m->end) return keep(m, (point){ pc, LONGER, p, p });
    return KD_OK;
}

/* Takes the last point up again: 0 when none is left above `floor`. */
static int resume(run *m, int64_t floor, int32_t *pc, const char **at)
{
    const kd__regex *r = m->state->regex;
    while (m->count > floor) {
        point *p = &m->state->points[m->count - 1];
        *pc = p->pc;
        *at = p->at;
        if (p->kind == PLAIN) return m->count--, 1;
        if (p->kind == SHORTER) {
            *at = p->at = kd__utf8_back(p->at);
            if (p->at == p->limit) m->count--;
            return 1;
        }
        const instruction *in = &r->code[p->pc]; /* a lazy run takes one more; with an upper count it was made of SPLITs */
        if (p->at < m->end && inside(r, m->state->unicode, &r->sets[in->a], &p->at)) return *at = p->at, *pc = p->pc + 1, 1;
        m->count--;
    }
    return 0;
}

static kd_status match_at(run *m, int32_t pc, const char *at, const char **to, int depth)
{
    const kd__regex *r = m->state->regex;
    const int64_t floor = m->count;
    *to = NULL;
    for (;;) {
        const instruction *in = &r->code[pc];
        int failed = 0;
        if (--m->budget < 0) return kd__fail(KD_ERR_UNSUPPORTED, "a regular expression of the tokenizer takes too many steps on this text");
        switch (in->type) {
        case SET:
            failed = at == m->end || !inside(r, m->state->unicode, &r->sets[in->a], &at);
            pc++;
            break;
        case STAR:
            KD_TRY(run_star(m, pc, &at, &failed));
            pc++;
            break;
        case SPLIT:
            if (!in->any && (at == m->end || !(in->first[(unsigned char)*at / 64] >> ((unsigned char)*at % 64) & 1))) pc = in->b;
            else {
                KD_TRY(keep(m, (point){ in->b, PLAIN, at, NULL }));
                pc = in->a;
            }
            break;
        case JUMP: pc = in->a; break;
        case LOOK: {
            const char *found;
            if (depth > MOST_DEPTH) return kd__fail(KD_ERR_UNSUPPORTED, "a regular expression of the tokenizer is nested too deep");
            KD_TRY(match_at(m, pc + 1, at, &found, depth + 1));
            failed = (found != NULL) == (in->kind == 1);
            if (!failed && in->kind == 2) at = found;
            pc = in->a;
            break;
        }
        default:
            m->count = floor;
            *to = at;
            return KD_OK;
        }
        if (failed && !resume(m, floor, &pc, &at)) return KD_OK;
    }
}

kd_status kd__regex_find(kd__regex_state *state, const char *at, const char *end, const char **from, const char **to)
{
    run m = { .state = state, .end = end, .budget = 1000 + 64 * (end - at) };
    *from = NULL;
    for (const char *p = at; p <= end; p += p < end ? kd__utf8_size(*p) : 1) {
        KD_TRY(match_at(&m, 0, p, to, 0));
        if (*to && (*to > p || p == end)) { /* an empty match splits nothing */
            if (*to > p) *from = p;
            return KD_OK;
        }
        if (p == end) break;
    }
    return KD_OK;
}

void kd__regex_state_free(kd__regex_state *state)
{
    if (state->unicode) kd__release(state->unicode->context, state->points);
    state->points = NULL;
}
