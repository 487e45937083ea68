/* Drawing a token: penalty, temperature, top-k, top-p, min-p, in this order. Everything about a row
 * is computed from the row alone. What is left is drawn by the inverse of its distribution, from
 * one number a position, or with Gumbel noise, from a number a position and token. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "language/generator/generate.h"
#include "math/kernels.h"
#include "math/random.h"

/* Exponentials in (0, 1] fall into buckets of an eighth of an octave; those below 2^-40 share the
 * last: a first cut without sorting. */
#define BUCKETS 321

typedef struct {
    float weight;
    int32_t id;
} candidate;

typedef struct {
    double mass[BUCKETS];
    int64_t count[BUCKETS];
} histogram;

int64_t kd__draw_scratch(int64_t vocabulary)
{
    return (int64_t)sizeof(histogram) +
           vocabulary * (int64_t)(sizeof(candidate) + sizeof(float) + 1) + 64;
}

static int bucket_of(float e)
{
    uint32_t bits;
    memcpy(&bits, &e, 4);
    const int32_t eighth = (int32_t)(127 << 3) - (int32_t)(bits >> 20); /* 1.0: 0 */
    return kd__clamp(eighth, 0, BUCKETS - 1);
}

static int compare(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->weight != y->weight) return x->weight < y->weight ? 1 : -1;
    return x->id < y->id ? -1 : 1;
}

/* Candidates that top-k, top-p and min-p leave, in falling order; only buckets that may hold some
 * of them are looked at. */
static int64_t filter(const kd_sampling *s, const float *e, int64_t n, double sum, histogram *h,
                      candidate *to)
{
    double mass = 0, kept = 0;
    int64_t count = 0, last = 0, found = 0;
    memset(h, 0, sizeof *h);
    for (int64_t i = 0; i < n; i++) {
        const int b = bucket_of(e[i]);
        h->mass[b] += e[i];
        h->count[b]++;
    }
    for (; last < BUCKETS - 1; last++) {
        mass += h->mass[last];
        count += h->count[last];
        if ((s->top_k > 0 && count >= s->top_k) ||
            (s->top_k <= 0 && s->top_p < 1 && mass >= s->top_p * sum))
            break;
        if (s->min_p > 0 && s->top_k <= 0 && s->top_p >= 1 &&
            exp2(-(double)(last - 1) / 8) < s->min_p / 2)
            break;
    }
    for (int64_t i = 0; i < n; i++)
        if (bucket_of(e[i]) <= last && e[i] > 0) to[found++] = (candidate){ e[i], (int32_t)i };
    qsort(to, (size_t)found, sizeof *to, compare);
    if (s->top_k > 0 && found > s->top_k) found = s->top_k;
    if (s->top_p < 1) {
        double all = 0;
        for (int64_t i = 0; i < found; i++) all += to[i].weight;
        if (s->top_k <= 0) all = sum;
        int64_t i = 0;
        while (i < found && (i == 0 || kept < s->top_p * all)) kept += to[i++].weight;
        found = i;
    }
    while (found > 1 && to[found - 1].weight < s->min_p * to[0].weight) found--;
    return found;
}

static int32_t draw_from(const candidate *list, int64_t count, double u)
{
    double mass = 0, at = 0;
    for (int64_t i = 0; i < count; i++) mass += list[i].weight;
    for (int64_t i = 0; i < count; i++)
        if ((at += list[i].weight) > u * mass) return list[i].id;
    return list[count - 1].id;
}

/* Whole stretches are passed over by their sums. */
static int32_t draw_from_all(const kd__kernels *kernels, const float *e, int64_t n, double sum,
                             double u)
{
    double at = 0;
    int64_t last = 0;
    for (int64_t first = 0; first < n; first += 512) {
        const int64_t end = kd__min(first + 512, n);
        const double part = kernels->sum(e + first, end - first);
        if (at + part <= u * sum && end < n) {
            at += part;
            if (part > 0) last = first;
            continue;
        }
        for (int64_t i = first; i < end; i++) {
            if (e[i] > 0) last = i;
            if ((at += e[i]) > u * sum) return (int32_t)i;
        }
    }
    for (int64_t i = last; i < n; i++) /* rounding: the last token that has a probability */
        if (e[i] > 0) last = i;
    return (int32_t)last;
}

/* ---- Gumbel noise ---- argmax (log w_j - log E_j) over independent E_j = -log u_j is j with
 * probability w_j / sum w [Gumbel 1954; Maddison et al. 2014]. The noise of a token is the same for
 * another model's w: two alike distributions mostly draw the same token, which is what drafts need.
 * Here as argmin E_j / w_j; -log u >= 1 - u saves most logarithms. */
typedef struct {
    double best; /* least E / w so far */
    int32_t id;
} race;

/* 1 - u, in (0, 1]. */
static double noise_at(uint64_t stream, int32_t id)
{
    return (double)((kd__random(stream, (uint64_t)id) >> 11) + 1) * 0x1p-53;
}

static void enter(race *r, uint64_t stream, int32_t id, double weight)
{
    const double v = noise_at(stream, id);
    if (!(weight > 0) || !(v < r->best * weight)) return;
    const double time = (v < 1 ? -log1p(-v) : 37.0) / weight;
    if (time < r->best || (time == r->best && id < r->id)) *r = (race){ time, id };
}

static int32_t race_among(const candidate *list, int64_t count, uint64_t stream)
{
    race r = { INFINITY, list[0].id };
    for (int64_t i = 0; i < count; i++) enter(&r, stream, list[i].id, list[i].weight);
    return r.id;
}

static int32_t race_of_all(const float *e, int64_t n, uint64_t stream)
{
    race r = { INFINITY, 0 };
    for (int64_t i = 0; i < n; i++) enter(&r, stream, (int32_t)i, e[i]);
    return r.id;
}

/* Each token that was seen once, whatever its count. */
static void penalize(float *z, const int32_t *seen, int64_t count, float by, uint8_t *marks)
{
    for (int64_t i = 0; i < count; i++) {
        if (marks[seen[i]]) continue;
        marks[seen[i]] = 1;
        z[seen[i]] = z[seen[i]] > 0 ? z[seen[i]] / by : z[seen[i]] * by;
    }
    for (int64_t i = 0; i < count; i++) marks[seen[i]] = 0;
}

kd__drawn kd__draw(const kd__kernels *kernels, const kd_sampling *s, const float *z, int64_t n,
                   const int32_t *seen, int64_t seen_count, uint64_t stream, uint64_t position,
                   void *scratch)
{
    histogram *h = scratch;
    candidate *list = (candidate *)(void *)(h + 1);
    float *e = (float *)(void *)(list + n);
    uint8_t *marks = (uint8_t *)(void *)(e + n);
    int32_t bad = 0;
    kd__drawn drawn;
    float max = kernels->scan(z, n, &bad);
    if (bad || max == -INFINITY) return (kd__drawn){ -1, 0 };
    const double all = kernels->exponentials(z, n, max, 1, e);
    if (s->temperature == 0 && s->repetition_penalty == 1) {
        drawn.token = (int32_t)kernels->argmax(z, n);
        drawn.logprob = (float)-log(all);
        return drawn;
    }
    const float raw = max;
    const float *penalized = z;
    /* the model's own log-probability needs the logits as they were */
    if (s->repetition_penalty != 1) {
        penalized = e;
        memcpy(e, z, (size_t)n * sizeof *e);
        penalize(e, seen, seen_count, (float)s->repetition_penalty, marks);
        max = kernels->scan(e, n, &bad);
    }
    if (s->temperature == 0) drawn.token = (int32_t)kernels->argmax(penalized, n);
    else {
        /* e is there already */
        const int as_they_are = s->temperature == 1 && s->repetition_penalty == 1;
        const double u = kd__uniform(stream, position),
                     sum = as_they_are ? all
                                       : kernels->exponentials(penalized, n, max,
                                                               (float)(1 / s->temperature), e);
        const int filtered = (s->top_k > 0 && s->top_k < n) || s->top_p < 1 || s->min_p > 0;
        const int64_t left = filtered ? filter(s, e, n, sum, h, list) : n;
        const uint64_t noise = kd__stream(stream, position, 1);
        if (s->draw == KD_DRAW_GUMBEL)
            drawn.token = filtered ? race_among(list, left, noise) : race_of_all(e, n, noise);
        else
            drawn.token = filtered ? draw_from(list, left, u)
                                   : draw_from_all(kernels, e, n, sum, u);
    }
    drawn.logprob = (float)(z[drawn.token] - raw - log(all));
    return drawn;
}

kd_status kd__sampling_read(const kd_generator *g, const kd_sampling *given, kd_sampling *s)
{
    KD_TRY(kd__options_read(s, sizeof *s, given, "kd_sampling"));
    if (s->stop_tokens || s->stop_token_count || !g->options.tokenizer) return KD_OK;
    return kd_tokenizer_end_tokens(g->options.tokenizer, &s->stop_tokens, &s->stop_token_count);
}
