/* Near duplicates. A text is the set of its word n-grams. Over a random order of all n-grams two
 * texts have the same first one with probability |A and B| / |A or B| (Broder 1997); a signature
 * holds the first ones of 128 orders. Signatures are cut into bands of rows; texts that have a band
 * in common are compared whole. Of similarity s they have one with probability 1 - (1 -
 * s^rows)^bands: bands and rows are chosen so that what is missed above the threshold and what is
 * compared in vain below it is least. */
#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/hash.h"
#include "base/memory.h"
#include "course/curation/curation.h"
#include "math/kernels.h"
#include "math/random.h"

typedef struct {
    const kd__kernels *kernels;
    uint32_t *signature, x[KD__PERMUTATIONS], m[KD__PERMUTATIONS];
    uint32_t waiting[64]; /* hashes that go through the kernel together */
    int32_t count;
} hashing;

static int add_gram(void *user, uint64_t hash)
{
    hashing *h = user;
    h->waiting[h->count++] = (uint32_t)(hash >> 32);
    if (h->count < 64) return 0;
    h->kernels->minhash(h->signature, h->x, h->m, KD__PERMUTATIONS, h->waiting, h->count);
    h->count = 0;
    return 0;
}

void kd__minhash(const kd_context *context, const char *text, int32_t n,
                 uint32_t signature[KD__PERMUTATIONS])
{
    hashing h = { .kernels = context->kernels, .signature = signature };
    memset(signature, 0xff, KD__PERMUTATIONS * sizeof *signature);
    for (uint64_t i = 0; i < KD__PERMUTATIONS; i++) {
        const uint64_t number = kd__mix(i + 1);
        h.x[i] = (uint32_t)number;
        h.m[i] = (uint32_t)(number >> 32) | 1;
    }
    kd__each_gram(kd__words_of(text), n, add_gram, &h);
    if (h.count) h.kernels->minhash(signature, h.x, h.m, KD__PERMUTATIONS, h.waiting, h.count);
}

double kd__similarity(const uint32_t *a, const uint32_t *b)
{
    int same = 0;
    for (int i = 0; i < KD__PERMUTATIONS; i++) same += a[i] == b[i];
    return (double)same / KD__PERMUTATIONS;
}

/* ---- the index: a chain of texts for each band that came ---- */

typedef struct {
    uint64_t key;
    int64_t text; /* + 1; 0: empty */
    int64_t next; /* link + 1 of the chain */
} link;

struct kd__near {
    kd_context *context;
    double threshold;
    int32_t bands, rows;
    uint32_t *signatures;
    int64_t signatures_room, count;
    link *links; /* (count, bands) */
    int64_t links_room;
    int64_t *slots; /* link + 1 */
    int64_t slots_room;
};

/* Areas of the curve's two wrong sides. */
static double cost(double threshold, int bands, int rows)
{
    double sum = 0;
    for (int i = 0; i < 100; i++) {
        const double s = (i + 0.5) / 100, found = 1 - pow(1 - pow(s, rows), bands);
        sum += s < threshold ? found : 3 * (1 - found); /* a miss is worse than a comparison */
    }
    return sum;
}

kd_status kd__near_create(kd__near **out, kd_context *context, double threshold)
{
    kd__near *n = NULL;
    double least = INFINITY;
    KD_TRY(KD_NEW(context, &n, 1));
    n->context = context;
    n->threshold = threshold;
    for (int rows = 1; rows <= KD__PERMUTATIONS; rows++) {
        const double now = cost(threshold, KD__PERMUTATIONS / rows, rows);
        if (now >= least) continue;
        least = now;
        n->rows = rows;
        n->bands = KD__PERMUTATIONS / rows;
    }
    *out = n;
    return KD_OK;
}

void kd__near_free(kd__near *n)
{
    if (!n) return;
    kd__release(n->context, n->signatures);
    kd__release(n->context, n->links);
    kd__release(n->context, n->slots);
    kd__release(n->context, n);
}

int32_t kd__near_bands(const kd__near *n) { return n->bands; }

int kd__near_enough(const kd__near *n, const uint32_t *a, const uint32_t *b)
{
    return !(kd__similarity(a, b) < n->threshold);
}

uint64_t kd__near_key(const kd__near *n, const uint32_t *signature, int32_t band)
{
    uint64_t key[2];
    kd__hash128(signature + band * n->rows, (size_t)n->rows * sizeof *signature, key);
    return key[0] ^ kd__mix((uint64_t)band + 1);
}

static kd_status grow_slots(kd__near *n)
{
    const int64_t room = n->slots_room ? 2 * n->slots_room : 4096;
    int64_t *larger = NULL;
    KD_TRY(KD_NEW(n->context, &larger, room));
    /* chains anew: the order inside does not matter */
    for (int64_t l = 0; l < n->count * n->bands; l++) {
        const int64_t slot = (int64_t)(n->links[l].key & (uint64_t)(room - 1));
        n->links[l].next = larger[slot];
        larger[slot] = l + 1;
    }
    kd__release(n->context, n->slots);
    n->slots = larger;
    n->slots_room = room;
    return KD_OK;
}

static kd_status add(kd__near *n, const uint32_t *signature)
{
    KD_TRY(KD_RESERVE(n->context, &n->signatures, &n->signatures_room,
                      (n->count + 1) * KD__PERMUTATIONS));
    KD_TRY(KD_RESERVE(n->context, &n->links, &n->links_room, (n->count + 1) * n->bands));
    if ((n->count + 1) * n->bands > n->slots_room) KD_TRY(grow_slots(n));
    memcpy(n->signatures + n->count * KD__PERMUTATIONS, signature,
           KD__PERMUTATIONS * sizeof *signature);
    for (int32_t b = 0; b < n->bands; b++) {
        const uint64_t key = kd__near_key(n, signature, b);
        int64_t *slot = &n->slots[key & (uint64_t)(n->slots_room - 1)];
        n->links[n->count * n->bands + b] = (link){ key, n->count + 1, *slot };
        *slot = n->count * n->bands + b + 1;
    }
    n->count++;
    return KD_OK;
}

kd_status kd__near_look(kd__near *n, const uint32_t signature[KD__PERMUTATIONS], int *is_near)
{
    int64_t last = -1; /* the same text comes in several bands */
    *is_near = 0;
    for (int32_t b = 0; b < n->bands && n->slots_room; b++) {
        const uint64_t key = kd__near_key(n, signature, b);
        for (int64_t l = n->slots[key & (uint64_t)(n->slots_room - 1)]; l;
             l = n->links[l - 1].next) {
            const link *at = &n->links[l - 1];
            if (at->key != key || at->text == last) continue;
            last = at->text;
            if (!kd__near_enough(n, signature, n->signatures + (at->text - 1) * KD__PERMUTATIONS))
                continue;
            *is_near = 1;
            return KD_OK;
        }
    }
    return add(n, signature);
}
