/* Matching: backtracking with a list of places to go back to. */
#include "language/text/regex_code.h"

#include "base/memory.h"

/* Where to go on after a failure: code, place, and for a greedy run its shortest end. */
struct kd__regex_point {
    int32_t pc, kind;
    const char *at, *limit;
};
typedef struct kd__regex_point point;
enum { PLAIN, SHORTER, LONGER };

static inline int inside(const kd__regex *r, const kd__unicode *u, const kd__set *s,
                         const char **at)
{
    const unsigned char b = (unsigned char)**at;
    if (b < 128)
        return *at += s->low[b / 32] >> (b % 32) & 1, (int)(s->low[b / 32] >> (b % 32) & 1);
    const char *next = *at;
    const uint32_t c = kd__utf8_next(&next);
    if (!kd__set_contains(r, s, c, kd__unicode_value(u, c))) return 0;
    *at = next;
    return 1;
}

typedef struct {
    kd__regex_state *state;
    const char *begin, *end;
    int64_t count; /* of points */
    int64_t *budget;
} run;

static kd_status keep(run *m, point p)
{
    kd__regex_state *s = m->state;
    KD_TRY(KD_RESERVE(s->unicode->context, &s->points, &s->room, m->count + 1));
    s->points[m->count++] = p;
    return KD_OK;
}

/* A run of one set's characters; *at moves to where the code after it goes on. *failed: too few. */
static kd_status run_star(run *m, int32_t pc, const char **at, int *failed)
{
    const kd__regex *r = m->state->regex;
    const kd__instruction *in = &r->code[pc];
    const kd__set *s = &r->sets[in->a];
    const char *p = *at, *shortest = p;
    int32_t n = 0;
    const int32_t most = in->kind == KD__LAZY ? in->low : in->high;
    while (p < m->end && (most < 0 || n < most) && inside(r, m->state->unicode, s, &p))
        if (++n == in->low) shortest = p;
    *m->budget -= (p - *at) / 16;
    *failed = n < in->low;
    if (*failed) return KD_OK;
    *at = p;
    if (in->kind == KD__GREEDY && p > shortest)
        return keep(m, (point){ pc + 1, SHORTER, p, shortest });
    if (in->kind == KD__LAZY && p < m->end) return keep(m, (point){ pc, LONGER, p, p });
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
        /* a lazy run takes one more; with an upper count it was made of SPLITs */
        const kd__instruction *in = &r->code[p->pc];
        if (p->at < m->end && inside(r, m->state->unicode, &r->sets[in->a], &p->at))
            return *at = p->at, *pc = p->pc + 1, 1;
        m->count--;
    }
    return 0;
}

static int is_word(const run *m, const char *at)
{
    return (kd__unicode_value(m->state->unicode, kd__utf8_next(&at)) & KD__WORD) != 0;
}

static int is_word_edge(const run *m, const char *at)
{
    const int before = at > m->begin && is_word(m, kd__utf8_back(at)),
              after = at < m->end && is_word(m, at);
    return before != after;
}

static int holds_at(const run *m, int32_t kind, const char *at)
{
    switch (kind) {
    case KD__AT_BEGIN: return at == m->begin;
    case KD__AT_END: return at == m->end;
    case KD__AT_LAST_LINE: return at == m->end || (*at == '\n' && at + 1 == m->end);
    case KD__AT_LINE_BEGIN: return at == m->begin || (at[-1] == '\n' && at < m->end);
    case KD__AT_LINE_END: return at == m->end || *at == '\n';
    case KD__AT_WORD_EDGE: return is_word_edge(m, at);
    default: return !is_word_edge(m, at);
    }
}

/* May the first branch of a SPLIT begin here? */
static inline int may_begin(const run *m, const kd__instruction *in, const char *at)
{
    const unsigned char byte = at < m->end ? (unsigned char)*at : 0;
    return in->any || (at < m->end && (in->first[byte / 64] >> (byte % 64) & 1));
}

static kd_status match_at(run *m, int32_t pc, const char *at, const char **to, int depth);

/* Matches what is looked at; an atomic group keeps the place where it ends. */
static kd_status look(run *m, int32_t pc, const char **at, int *failed, int depth)
{
    const int32_t kind = m->state->regex->code[pc].kind;
    const char *found;
    KD_TRY(match_at(m, pc + 1, *at, &found, depth + 1));
    *failed = (found != NULL) == (kind == KD__NOT_AHEAD);
    if (!*failed && kind == KD__ATOMIC) *at = found;
    return KD_OK;
}

/* `depth` is bounded by the parser: looks are groups. */
static kd_status match_at(run *m, int32_t pc, const char *at, const char **to, int depth)
{
    const kd__regex *r = m->state->regex;
    const int64_t floor = m->count;
    *to = NULL;
    for (;;) {
        const kd__instruction *in = &r->code[pc];
        int failed = 0;
        KD_FAIL_IF(--*m->budget < 0, KD_ERR_RANGE,
                   "a regular expression takes too many steps on this text");
        switch (in->type) {
        case KD__RX_SET:
            failed = at == m->end || !inside(r, m->state->unicode, &r->sets[in->a], &at);
            pc++;
            break;
        case KD__RX_STAR:
            KD_TRY(run_star(m, pc, &at, &failed));
            pc++;
            break;
        case KD__RX_SPLIT:
            if (may_begin(m, in, at)) {
                KD_TRY(keep(m, (point){ in->b, PLAIN, at, NULL }));
                pc = in->a;
            } else pc = in->b;
            break;
        case KD__RX_JUMP: pc = in->a; break;
        case KD__RX_AT:
            failed = !holds_at(m, in->kind, at);
            pc++;
            break;
        case KD__RX_LOOK:
            KD_TRY(look(m, pc, &at, &failed, depth));
            pc = in->a;
            break;
        default:
            m->count = floor;
            *to = at;
            return KD_OK;
        }
        if (failed && !resume(m, floor, &pc, &at)) return KD_OK;
    }
}

/* ---- searching ---- */

kd__regex_scan kd__regex_scan_begin(kd__regex_state *state, const char *text, int64_t bytes)
{
    const int64_t budget = (bytes + 1) * (64 + state->regex->count);
    return (kd__regex_scan){
        .state = state, .begin = text, .end = text + bytes, .at = text, .budget = budget
    };
}

static const char *next_character(const kd__regex_scan *s, const char *at)
{
    return at < s->end ? at + kd__utf8_size(*at) : at + 1;
}

kd_status kd__regex_next(kd__regex_scan *s, const char **from, const char **behind)
{
    run m = { .state = s->state, .begin = s->begin, .end = s->end, .budget = &s->budget };
    *from = NULL;
    for (; s->at <= s->end; s->at = next_character(s, s->at)) {
        KD_TRY(match_at(&m, 0, s->at, behind, 0));
        if (!*behind || (*behind == s->at && s->at == s->last)) continue;
        *from = s->at;
        s->at = s->last = *behind;
        return KD_OK;
    }
    return KD_OK;
}

void kd__regex_state_free(kd__regex_state *state)
{
    if (state->unicode) kd__release(state->unicode->context, state->points);
    state->points = NULL;
    state->room = 0;
}
