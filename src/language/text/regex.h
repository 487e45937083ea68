/* The regular expressions of tokenizer files, in Oniguruma's syntax as far as they use it:
 * characters, classes [...] with ranges and \s \S \d \D \w \W \p{L} \P{Lu}, groups (?:...) (?i:...)
 * (?>...), |, quantifiers ? * + {m,n} greedy, lazy (a ? after) and possessive (a + after ? * +),
 * look-ahead (?=...) (?!...), places ^ $ \A \z \Z \b \B. Anything else is KD_ERR_UNSUPPORTED, by
 * name.
 *
 * Compiling recurses KD__REGEX_MOST_DEPTH groups deep at most and makes at most 20,000
 * instructions. Matching backtracks with a list of its own, and all searches of one text together
 * may take (bytes + 1) * (64 + instructions) steps: an expression that explodes ends with
 * KD_ERR_RANGE, not with the host's patience. */
#ifndef KD_TOKENIZER_REGEX_H
#define KD_TOKENIZER_REGEX_H

#include "language/text/unicode.h"

typedef struct kd__regex kd__regex;

kd_status kd__regex_compile(kd__regex **out, kd_context *context, const char *pattern,
                            int64_t bytes);
void kd__regex_free(kd__regex *regex);

/* What a thread needs for matching: kept between texts, released by kd__regex_state_free. */
typedef struct kd__regex_state {
    const kd__regex *regex;
    const kd__unicode *unicode;
    struct kd__regex_point *points;
    int64_t room;
} kd__regex_state;
void kd__regex_state_free(kd__regex_state *state);

/* The matches of one text, from left to right, and what is left of its budget. The text is checked
 * UTF-8. */
typedef struct kd__regex_scan {
    kd__regex_state *state;
    const char *begin, *end, *at;
    const char *last; /* where the last match ended, NULL: none yet */
    int64_t budget;
} kd__regex_scan;
kd__regex_scan kd__regex_scan_begin(kd__regex_state *state, const char *text, int64_t bytes);

/* The next match [*from, *behind); *from is NULL when there is none. A match may be empty, but not
 * where the last one ended: as Oniguruma's own iterator has it. */
kd_status kd__regex_next(kd__regex_scan *scan, const char **from, const char **behind);

#endif
