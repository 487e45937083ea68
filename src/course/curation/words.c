/* Words and their hashes; sets of hashes. */
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "course/curation/curation.h"
#include "math/random.h"

/* FNV-1a over a character's bytes in UTF-8, which is what a run of bytes gives. */
static uint64_t add_letter(uint64_t h, uint32_t code)
{
    char bytes[4];
    const int32_t size = kd__utf8_put(bytes, code);
    for (int32_t i = 0; i < size; i++) h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3ULL;
    return h;
}

static int next_of_text(kd__words *words, uint64_t h, uint64_t *hash)
{
    kd__letter letter = { .kind = KD__LETTER_SPACE };
    while (*words->at && letter.kind < KD__LETTER_OF_WORD) letter = kd__next_letter(&words->at);
    if (letter.kind < KD__LETTER_OF_WORD) return 0;
    h = add_letter(h, letter.code);
    words->worth = words->by_worth ? letter.worth : KD__WORD_WORTH;
    while (letter.kind == KD__LETTER_OF_WORD && *words->at) {
        const unsigned char *next = words->at;
        const kd__letter more = kd__next_letter(&next);
        if (more.kind != KD__LETTER_OF_WORD) break;
        h = add_letter(h, more.code);
        words->at = next;
    }
    *hash = kd__mix(h);
    return 1;
}

int kd__next_word(kd__words *words, uint64_t *hash)
{
    const uint64_t h = 0x9e3779b97f4a7c15ULL;
    if (!words->ids) return next_of_text(words, h, hash);
    if (!words->left) return 0;
    words->left--;
    words->worth = KD__WORD_WORTH;
    *hash = kd__mix(h + (uint64_t)*words->ids++);
    return 1;
}

/* A polynomial over the hashes of a window, so that the oldest is taken out by one product. The
 * window is the shortest run up to the newest word that is worth n words: where it ends alone
 * decides where it begins. */
enum { MOST_WORDS = 64, MOST_IN_WINDOW = MOST_WORDS * KD__WORD_WORTH / KD__LEAST_WORTH + 1 };

typedef struct {
    uint64_t sum, hashes[MOST_IN_WINDOW];
    int32_t worths[MOST_IN_WINDOW], worth;
    int64_t first, count; /* of the ring */
} window;

static void take_oldest(window *w, const uint64_t *powers)
{
    const int64_t at = w->first++ % MOST_IN_WINDOW;
    w->sum -= w->hashes[at] * powers[--w->count];
    w->worth -= w->worths[at];
}

static void take_word(window *w, uint64_t hash, int32_t worth, int32_t need, const uint64_t *powers)
{
    const int64_t at = (w->first + w->count++) % MOST_IN_WINDOW;
    w->sum = w->sum * powers[1] + hash;
    w->hashes[at] = hash;
    w->worths[at] = worth;
    w->worth += worth;
    while (w->worth - w->worths[w->first % MOST_IN_WINDOW] >= need) take_oldest(w, powers);
}

int kd__each_gram(kd__words words, int32_t n, kd__gram_function *function, void *user)
{
    window w = { .sum = 0 };
    uint64_t powers[MOST_IN_WINDOW] = { 1 }, hash;
    const int32_t need = kd__min(n, MOST_WORDS) * KD__WORD_WORTH;
    for (int32_t i = 1; i < MOST_IN_WINDOW; i++) powers[i] = powers[i - 1] * 0xd1342543de82ef95ULL;
    while (kd__next_word(&words, &hash)) {
        take_word(&w, hash, words.worth, need, powers);
        if (w.worth >= need && function(user, kd__mix(w.sum))) return 1;
    }
    return w.count && w.worth < need ? function(user, kd__mix(w.sum)) : 0;
}

int kd__has_gram(kd__words words, int32_t n)
{
    int64_t worth = 0;
    uint64_t hash;
    while (worth < (int64_t)n * KD__WORD_WORTH && kd__next_word(&words, &hash))
        worth += words.worth;
    return worth >= (int64_t)n * KD__WORD_WORTH;
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
