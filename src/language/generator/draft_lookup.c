/* Proposals without a model: text that repeats its prompt or itself goes on as it did before
 * [Saxena 2023, prompt lookup decoding]. */
#include "language/generator/generate.h"

#define MOST_COMPARED 32 /* tokens before a place */

/* How many tokens before `a` and `b` are equal, b the later one. */
static int64_t equal_before(const int32_t *tokens, int64_t a, int64_t b)
{
    int64_t count = 0;
    while (count < kd__min(a, MOST_COMPARED) && tokens[a - 1 - count] == tokens[b - 1 - count])
        count++;
    return count;
}

int64_t kd__draft_lookup(const int32_t *tokens, int64_t count, int64_t n, int32_t *to, int64_t most)
{
    int64_t place = 0, best = n - 1;
    for (int64_t at = count - 1; at >= n && best < MOST_COMPARED && most > 0; at--) {
        if (tokens[at - 1] != tokens[count - 1]) continue;
        const int64_t equal = equal_before(tokens, at, count);
        if (equal <= best) continue;
        best = equal;
        place = at;
    }
    if (!place) return 0;
    /* what follows may be what is being written: a text of one word goes on */
    for (int64_t i = 0; i < most; i++) to[i] = tokens[place + i];
    return most;
}
