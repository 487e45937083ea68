/* Words and their hashes; sets of hashes. */
#include <string.h>

#include "curation/curation.h"
#include "math/random.h"

static int is_word(unsigned char c) { return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

int kd__next_word(kd__words *words, uint64_t *hash)
{
    const unsigned char *p = words->at;
    uint64_t h = 0x9e3779b97f4a7c15ULL;
    if (words->ids) {
        if (!words->left) return 0;
        words->left--;
        *hash = kd__mix(h + (uint64_t)*words->ids++);
        return 1;
    }
    while (*p && !is_word(*p)) p++;
    if (!*p) return words->at = p, 0;
    for (; is_word(*p); p++) h = (h ^ (*p >= 'A' && *p <= 'Z' ? *p + 32u : *p)) * 0x100000001b3ULL;
    words->at = p;
    *hash = kd__mix(h);
    return 1;
}

/* A polynomial over the last n hashes, so that the oldest is taken out by one product. */
int kd__each_gram(kd__words words, int32_t n, kd__gram_function *function, void *user)
{
    const uint64_t base = 0xd1342543de82ef95ULL;
    uint64_t ring[64], sum = 0, power = 1, word;
    int64_t count = 0;
    if (n > 64) n = 64;
    for (int32_t i = 0; i < n; i++) power *= base;
    while (kd__next_word(&words, &word)) {
        sum = sum * base + word;
        if (count >= n) sum -= ring[count % n] * power;
        ring[count++ % n] = word;
        if (count >= n && function(user, kd__mix(sum))) return 1;
    }
    return count > 0 && count < n ? function(user, kd__mix(sum)) : 0;
}

int64_t kd__count_words(kd__words words, int64_t most)
{
    uint64_t word;
    int64_t n = 0;
    while (n < most && kd__next_word(&words, &word)) n++;
    return n;
}

/* ---- sets: open addressing, at most two thirds full ---- */

static int64_t place_of(const kd__set *s, uint64_t value)
{
    int64_t i = (int64_t)(kd__mix(value) & (uint64_t)(s->room - 1));
    while (s->slots[i] && s->slots[i] != value) i = (i + 1) & (s->room - 1);
    return i;
}

static kd_status grow(kd__set *s)
{
    kd__set larger = { .context = s->context, .room = s->room ? 2 * s->room : 1024 };
    KD_TRY(KD_NEW(s->context, &larger.slots, larger.room));
    for (int64_t i = 0; i < s->room; i++)
        if (s->slots[i]) larger.slots[place_of(&larger, s->slots[i])] = s->slots[i];
    kd__release(s->context, s->slots);
    s->slots = larger.slots;
    s->room = larger.room;
    return KD_OK;
}

kd_status kd__set_add(kd__set *s, uint64_t value, int *was_there)
{
    if (!value) {
        *was_there = s->holds_zero;
        s->holds_zero = 1;
        return KD_OK;
    }
    if (3 * (s->count + 1) > 2 * s->room) KD_TRY(grow(s));
    const int64_t i = place_of(s, value);
    *was_there = s->slots[i] != 0;
    if (!*was_there) s->count++;
    s->slots[i] = value;
    return KD_OK;
}

int kd__set_has(const kd__set *s, uint64_t value)
{
    if (!value) return s->holds_zero;
    return s->room && s->slots[place_of(s, value)];
}

void kd__set_free(kd__set *s)
{
    kd__release(s->context, s->slots);
    *s = (kd__set){ .context = s->context };
}
