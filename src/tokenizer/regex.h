/* The regular expressions of tokenizer files, in Oniguruma's syntax as far as they use it: characters, classes [...] with ranges and
 * \s \S \d \D \w \W \p{L} \P{Lu}, groups (?:...) (?i:...) (?>...), |, quantifiers ? * + {m,n} greedy, lazy (a ? behind) and possessive
 * (a + behind ? * +), look-ahead (?=...) (?!...). Anything else is KD_ERR_UNSUPPORTED, by name. Matching backtracks with a list of its own and a
 * budget: an expression that explodes ends with an error, not with the host's patience.                                       */
#ifndef KD_TOKENIZER_REGEX_H
#define KD_TOKENIZER_REGEX_H

#include "tokenizer/unicode.h"

typedef struct kd__regex kd__regex;

kd_status kd__regex_compile(kd__regex **out, kd_context *context, const char *pattern, int64_t bytes);
void kd__regex_free(kd__regex *regex);

typedef struct kd__regex_state {
    const kd__regex *regex;
    const kd__unicode *unicode;
    struct kd__regex_point *points;
    int64_t room;
} kd__regex_state;

/* The leftmost match in [at, end): *from and *to; *from is NULL when there is none. */
kd_status kd__regex_find(kd__regex_state *state, const char *at, const char *end, const char **from, const char **to);
void kd__regex_state_free(kd__regex_state *state);

#endif
