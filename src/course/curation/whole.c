/* Filters that compare records of the whole: they see facts only, all at once. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "course/curation/curation.h"
#include "math/random.h"

int kd__compares(const kd_curation *c, int32_t number)
{
    const int32_t kind = c->filters[number].kind;
    return (kind >= KD_FILTER_PASS_RATE && kind <= KD_FILTER_SAMPLE) ||
           (kind == KD_FILTER_NEAR_DUPLICATES && c->options.folder);
}

/* The records that are alive, sorted so that a prompt's stand together, in the reader's order. */
typedef struct {
    int64_t *of; /* numbers */
    int64_t count;
} group;

typedef struct {
    uint64_t prompt[2];
    int64_t number;
} place;

static int by_prompt(const void *x, const void *y)
{
    const place *a = x, *b = y;
    if (a->prompt[0] != b->prompt[0]) return a->prompt[0] < b->prompt[0] ? -1 : 1;
    if (a->prompt[1] != b->prompt[1]) return a->prompt[1] < b->prompt[1] ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

typedef kd_status group_function(kd_curation *c, int32_t number, const group *g);

static kd_status each_prompt(kd_curation *c, int32_t number, group_function *function)
{
    place *places = NULL;
    int64_t *numbers = NULL, n = 0;
    kd_status status = KD_NEW(c->object.context, &places, c->records + 1);
    if (status == KD_OK) status = KD_NEW(c->object.context, &numbers, c->records + 1);
    for (int64_t i = 0; i < c->records && status == KD_OK; i++) {
        if (!c->facts[i].alive) continue;
        places[n++] = (place){ { c->facts[i].prompt[0], c->facts[i].prompt[1] }, i };
    }
    if (status == KD_OK) qsort(places, (size_t)n, sizeof *places, by_prompt);
    for (int64_t from = 0, to; from < n && status == KD_OK; from = to) {
        group g = { .of = numbers };
        for (to = from;
             to < n && !memcmp(places[to].prompt, places[from].prompt, sizeof places->prompt); to++)
            numbers[g.count++] = places[to].number;
        status = function(c, number, &g);
    }
    kd__release(c->object.context, places);
    kd__release(c->object.context, numbers);
    return status;
}

/* ---- of each prompt ---- */

static int64_t most_of(const kd__filter *f)
{
    return (int64_t)f->numbers[KD_CURATION_MAX_PER_PROMPT];
}

static kd_status pass_rate(kd_curation *c, int32_t number, const group *g)
{
    const kd__filter *f = &c->filters[number];
    int64_t right = 0;
    for (int64_t i = 0; i < g->count; i++) right += c->facts[g->of[i]].right == 1;
    /* a rate that is met counts as met, whatever the product's last bit */
    const double count = (double)g->count, slack = 1e-9 * count;
    const char *reason = NULL;
    if ((double)right < f->numbers[KD_CURATION_MIN_PASS_RATE] * count - slack) reason = "too hard";
    if ((double)right > f->numbers[KD_CURATION_MAX_PASS_RATE] * count + slack) reason = "too easy";
    for (int64_t i = 0; i < g->count && reason; i++) kd__drop(c, number, g->of[i], reason);
    return KD_OK;
}

/* The most varied: the first, then always the one whose highest similarity with those chosen is
 * least. */
static kd_status choose_varied(kd_curation *c, int32_t number, const group *g)
{
    const int64_t keep = most_of(&c->filters[number]);
    double *nearest = NULL;
    int64_t next = 0;
    KD_TRY(KD_NEW(c->object.context, &nearest, g->count)); /* 2: chosen */
    for (int64_t chosen = 0; chosen < keep && chosen < g->count; chosen++) {
        const int64_t now = next;
        nearest[now] = 2;
        next = -1;
        for (int64_t i = 0; i < g->count; i++) {
            if (nearest[i] >= 2) continue;
            const double s =
                kd__similarity(c->facts[g->of[i]].signature, c->facts[g->of[now]].signature);
            if (s > nearest[i]) nearest[i] = s;
            if (next < 0 || nearest[i] < nearest[next]) next = i;
        }
    }
    for (int64_t i = 0; i < g->count; i++)
        if (nearest[i] < 2) kd__drop(c, number, g->of[i], "another was more varied");
    kd__release(c->object.context, nearest);
    return KD_OK;
}

static int better(const kd_curation *c, int32_t choose, int64_t a, int64_t b)
{
    const kd__fact *x = &c->facts[a], *y = &c->facts[b];
    if (choose == KD_CHOOSE_SHORTEST) return x->length < y->length;
    return !isnan(x->score) && (isnan(y->score) || x->score > y->score);
}

static kd_status best(kd_curation *c, int32_t number, const group *g)
{
    const kd__filter *f = &c->filters[number];
    const int64_t keep = most_of(f);
    if (g->count <= keep) return KD_OK;
    if (f->o.choose == KD_CHOOSE_VARIED) return choose_varied(c, number, g);
    /* the best of the rest comes forward */
    for (int64_t chosen = 0; chosen < keep; chosen++) {
        int64_t top = chosen;
        for (int64_t i = chosen + 1; i < g->count; i++)
            if (better(c, f->o.choose, g->of[i], g->of[top])) top = i;
        const int64_t number_of = g->of[top];
        /* the reader's order stays among the others */
        for (int64_t i = top; i > chosen; i--) g->of[i] = g->of[i - 1];
        g->of[chosen] = number_of;
    }
    for (int64_t i = keep; i < g->count; i++)
        kd__drop(c, number, g->of[i],
                 f->o.choose == KD_CHOOSE_SHORTEST ? "another was shorter" : "another was better");
    return KD_OK;
}

static kd_status agreement(kd_curation *c, int32_t number, const group *g)
{
    const kd__filter *f = &c->filters[number];
    const char **answers = NULL;
    int32_t winner = 0, votes = 0, same;
    KD_TRY(KD_NEW(c->object.context, &answers, g->count));
    for (int64_t i = 0; i < g->count; i++) answers[i] = c->facts[g->of[i]].answer;
    kd_status status = kd_verify_majority(answers, (int32_t)g->count, &f->verify, &winner, &votes);
    const double least = f->numbers[KD_CURATION_MIN_AGREEMENT] * (double)g->count;
    const int enough = votes > 0 && (double)votes >= least;
    for (int64_t i = 0; i < g->count && status == KD_OK; i++) {
        status = kd_verify_answer(answers[i], answers[winner], &f->verify, &same, NULL);
        if (status != KD_OK) break;
        if (!enough) kd__drop(c, number, g->of[i], "answers disagree");
        else if (!same) kd__drop(c, number, g->of[i], "another answer than most");
        else c->facts[g->of[i]].expected = answers[winner];
    }
    kd__release(c->object.context, answers);
    return status;
}

/* ---- of all ---- */

/* A random order of the records that are alive, from the seed. */
static kd_status drawn_order(kd_curation *c, int32_t number, int64_t **out, int64_t *count)
{
    int64_t *order = NULL, n = 0;
    KD_TRY(KD_NEW(c->object.context, &order, c->records + 1));
    const uint64_t stream = kd__stream(c->options.seed, 0x6472, (uint64_t)number);
    for (int64_t i = 0; i < c->records; i++)
        if (c->facts[i].alive) order[n++] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = (int64_t)kd__below(stream, (uint64_t)i, (uint64_t)i + 1), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    *out = order;
    *count = n;
    return KD_OK;
}

static int64_t amount(const kd_curation *c, const kd__filter *f, int64_t i)
{
    return f->o.unit == KD_UNIT_RECORDS ? 1 : c->facts[i].length;
}

/* What each domain may have: its share of the largest whole that every domain can fill; without
 * shares, so many times the least. */
static void domain_parts(const kd_curation *c, const kd__filter *f, const int64_t *has,
                         double *part)
{
    double whole = INFINITY, least = INFINITY;
    for (int64_t d = 0; d < c->domain_count; d++) part[d] = -1;
    for (int32_t k = 0; k < f->o.domain_count; k++)
        for (int64_t d = 0; d < c->domain_count; d++) {
            if (strcmp(c->domains[d], f->o.domains[k])) continue;
            part[d] = f->o.shares[k];
            if (part[d] > 0 && (double)has[d] / part[d] < whole) whole = (double)has[d] / part[d];
        }
    for (int64_t d = 0; d < c->domain_count; d++)
        if (has[d] && (double)has[d] < least) least = (double)has[d];
    for (int64_t d = 0; d < c->domain_count; d++) {
        if (!f->o.domain_count) part[d] = least * f->numbers[KD_CURATION_MAX_DOMAIN_RATIO];
        else part[d] = part[d] < 0 ? 0 : part[d] * whole;
    }
}

static kd_status balance(kd_curation *c, int32_t number)
{
    const kd__filter *f = &c->filters[number];
    int64_t *order = NULL, *has = NULL, *taken = NULL, n = 0;
    double *part = NULL;
    kd_status status = drawn_order(c, number, &order, &n);
    if (status == KD_OK) status = KD_NEW(c->object.context, &has, c->domain_count + 1);
    if (status == KD_OK) status = KD_NEW(c->object.context, &taken, c->domain_count + 1);
    if (status == KD_OK) status = KD_NEW(c->object.context, &part, c->domain_count + 1);
    for (int64_t i = 0; i < n && status == KD_OK; i++)
        has[c->facts[order[i]].domain] += amount(c, f, order[i]);
    if (status == KD_OK) domain_parts(c, f, has, part);
    for (int64_t i = 0; i < n && status == KD_OK; i++) {
        const int32_t d = c->facts[order[i]].domain;
        const int64_t more = amount(c, f, order[i]);
        if ((double)(taken[d] + more) > part[d] * (1 + 1e-9))
            kd__drop(c, number, order[i],
                     part[d] > 0 ? "over its domain's part" : "a domain without a part");
        else taken[d] += more;
    }
    void *const blocks[] = { order, has, taken, part };
    for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++)
        kd__release(c->object.context, blocks[b]);
    return status;
}

static int is_short(const kd__filter *f, const kd__fact *fact)
{
    return (double)fact->length <= f->numbers[KD_CURATION_SHORT_LENGTH];
}

static kd_status length_mix(kd_curation *c, int32_t number)
{
    const kd__filter *f = &c->filters[number];
    int64_t *order = NULL, n, shorts = 0, taken[2] = { 0 };
    KD_TRY(drawn_order(c, number, &order, &n));
    for (int64_t i = 0; i < n; i++) shorts += is_short(f, &c->facts[order[i]]);
    const double share = f->numbers[KD_CURATION_SHORT_SHARE], longs = (double)(n - shorts);
    double whole = (double)n; /* the largest mixture of that share */
    if (share > 0 && (double)shorts / share < whole) whole = (double)shorts / share;
    if (share < 1 && longs / (1 - share) < whole) whole = longs / (1 - share);
    const double most[2] = { whole * (1 - share) + 1e-6, whole * share + 1e-6 };
    for (int64_t i = 0; i < n; i++) {
        const int shorter = is_short(f, &c->facts[order[i]]);
        if ((double)(taken[shorter] + 1) > most[shorter])
            kd__drop(c, number, order[i], shorter ? "too many short ones" : "too many long ones");
        else taken[shorter]++;
    }
    kd__release(c->object.context, order);
    return KD_OK;
}

static kd_status sample(kd_curation *c, int32_t number)
{
    int64_t *order = NULL, n;
    KD_TRY(drawn_order(c, number, &order, &n));
    const double most = c->filters[number].numbers[KD_CURATION_MAX_RECORDS];
    for (int64_t i = (int64_t)most; i < n; i++) kd__drop(c, number, order[i], "not drawn");
    kd__release(c->object.context, order);
    return KD_OK;
}

/* Those of a curation that has a folder; its files go at once. */
static kd_status near_duplicates(kd_curation *c, int32_t number)
{
    kd__outside *outside = c->filters[number].outside;
    if (!outside) return KD_OK; /* no record came */
    const kd_status status = kd__outside_compare(outside, c, number);
    kd__outside_free(outside);
    c->filters[number].outside = NULL;
    return status;
}

kd_status kd__compare_records(kd_curation *c, int32_t number)
{
    switch (c->filters[number].kind) {
    case KD_FILTER_NEAR_DUPLICATES: return near_duplicates(c, number);
    case KD_FILTER_PASS_RATE: return each_prompt(c, number, pass_rate);
    case KD_FILTER_BEST: return each_prompt(c, number, best);
    case KD_FILTER_AGREEMENT: return each_prompt(c, number, agreement);
    case KD_FILTER_BALANCE: return balance(c, number);
    case KD_FILTER_LENGTH_MIX: return length_mix(c, number);
    default: return sample(c, number);
    }
}
