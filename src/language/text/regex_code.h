/* What an expression is compiled to: instructions over sets of characters. */
#ifndef KD_TOKENIZER_REGEX_CODE_H
#define KD_TOKENIZER_REGEX_CODE_H

#include "language/text/regex.h"

/* groups in groups, and looks in looks: the recursion of compiling and of matching */
#define KD__REGEX_MOST_DEPTH 50

enum { KD__RX_SET, KD__RX_STAR, KD__RX_SPLIT, KD__RX_JUMP, KD__RX_LOOK, KD__RX_AT, KD__RX_MATCH };
enum {
    KD__AT_BEGIN,
    KD__AT_END,
    KD__AT_LAST_LINE,
    KD__AT_LINE_BEGIN,
    KD__AT_LINE_END,
    KD__AT_WORD_EDGE,
    KD__AT_NO_WORD_EDGE
};
enum { KD__GREEDY, KD__LAZY, KD__POSSESSIVE };
enum { KD__AHEAD, KD__NOT_AHEAD, KD__ATOMIC };

typedef struct kd__set {
    uint32_t categories;  /* bits of categories */
    uint32_t low[4];      /* ASCII, everything counted in */
    int32_t first, count; /* ranges, sorted */
    int32_t negated, word, space, not_word, not_space;
} kd__set;

/* SET a; STAR a: `low` to `high` characters of a set (high -1: any), of a kind; SPLIT: first a,
 * then b; AT: a place of a kind; LOOK: the code after it up to MATCH, then a. */
typedef struct kd__instruction {
    int32_t type, a, b, low, high, kind;
    uint64_t first[4]; /* SPLIT: bytes that a may begin with */
    int32_t any;       /* SPLIT: a may be empty: no look at the first byte */
} kd__instruction;

struct kd__regex {
    kd_context *context;
    kd__instruction *code;
    kd__set *sets;
    uint32_t *ranges; /* first, last */
    int64_t count, room, set_count, set_room, range_count, range_room;
};

static inline int kd__in_ranges(const kd__regex *r, const kd__set *s, uint32_t c)
{
    int32_t low = 0, high = s->count;
    while (low < high) {
        const int32_t middle = (low + high) / 2;
        if (r->ranges[s->first + 2 * middle + 1] < c) low = middle + 1;
        else high = middle;
    }
    return low < s->count && r->ranges[s->first + 2 * low] <= c;
}

/* Is a character, of this value (unicode.h), in the set? */
static inline int kd__set_contains(const kd__regex *r, const kd__set *s, uint32_t c, uint8_t value)
{
    const int word = (value & KD__WORD) != 0, space = (value & KD__SPACE) != 0;
    const int inside = (s->categories >> (value & KD__CATEGORY) & 1) || (s->word && word) ||
                       (s->not_word && !word) || (s->space && space) || (s->not_space && !space) ||
                       kd__in_ranges(r, s, c);
    return inside != s->negated;
}

#endif
