/* Sparse rows out of dense logits: the largest classes, or draws. Rows in parallel, each into its
 * own place. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "math/kernels.h"
#include "math/random.h"
#include "core/teacher/sparse.h"
#include "core/teacher/teacher.h"

typedef struct {
    kd_context *context;
    kd__sparse *s;
    const char *logits; /* of row `first` */
    int32_t dtype;
    int64_t step, n, first; /* bytes between rows; classes */
    int64_t k, draws;
    double mass, temperature;
    uint64_t seed;
    float *scratch;  /* a place for each thread */
    int64_t *counts; /* (rows): entries, -1: not finite */
} work;

enum { FEW = 128, MORE = 4, BLOCK = 128 };

/* What one thread works in: sums of blocks, then floats. */
typedef struct {
    double *before;
    float *row, *e;
    kd__largest largest;
} place;

static int64_t sums_of(int64_t n) { return n / BLOCK + 2; }
static int64_t place_size(int64_t n) { return 2 * sums_of(n) + 5 * n + 256; }

static place place_of(const work *w, int32_t worker)
{
    /* doubles want whole 8 bytes */
    float *at = w->scratch + worker * (place_size(w->n) + place_size(w->n) % 2);
    place p = { .before = (double *)(void *)at };
    at += 2 * sums_of(w->n);
    p.row = at;
    p.e = at + w->n;
    p.largest.values = at + 2 * w->n;
    p.largest.ids = (uint32_t *)(void *)(at + 3 * w->n);
    p.largest.maxima = at + 4 * w->n;
    p.largest.e = p.e;
    return p;
}

static const float *row_of(const work *w, int64_t i, float *scratch)
{
    const char *row = w->logits + i * w->step;
    if (w->dtype == KD_FLOAT32) return (const float *)(const void *)row;
    w->context->kernels->widen(w->dtype, row, w->n, scratch);
    return scratch;
}

/* What the largest hold at a temperature, their exponentials left in `e`; *outside is what the
 * others hold, added up directly. */
static double share_of(const kd__kernels *kernels, const kd__largest *l, const float *x, int64_t n,
                       float max, double temperature, double *outside)
{
    const float inverse_t = (float)(1 / temperature);
    *outside = kernels->exponentials_below(x, n, max, inverse_t, l->least) +
               (double)l->equal * exp(((double)l->least - max) * (double)inverse_t);
    return kernels->exponentials(l->values, l->count, max, inverse_t, l->e);
}

/* The k largest of a row, or as few as hold the mass; what all and what the others hold. */
static int choose(work *w, kd__largest *l, const float *x, float *max, double *sum, double *outside)
{
    const kd__kernels *kernels = w->context->kernels;
    int32_t bad;
    *sum = 0;
    *max = kernels->scan_groups(x, w->n, &bad, l->maxima);
    if (bad || *max == -INFINITY) return 0;
    /* most often a few hold the mass */
    for (int64_t few = w->mass > 0 ? kd__min(w->k, FEW) : w->k;; few = kd__min(MORE * few, w->k)) {
        const int again = *sum > 0;
        kd__largest_take(l, kernels, x, w->n, few, *max);
        if (again)
            *outside = *sum - kernels->exponentials(l->values, l->count, *max,
                                                    (float)(1 / w->temperature), l->e);
        else *sum = share_of(kernels, l, x, w->n, *max, w->temperature, outside) + *outside;
        if (!(w->mass > 0)) return 1;
        const double gone = kd__largest_of_mass(l, kernels, w->mass * *sum, *max);
        *outside += gone > 0 ? gone : 0;
        if (gone < 0 && few < w->k) continue;
        /* a difference has the sum's error */
        if (again && *outside < 0.25 * *sum)
            share_of(kernels, l, x, w->n, *max, w->temperature, outside);
        return 1;
    }
}

static void select_row(void *argument, int64_t i, int32_t worker)
{
    work *w = argument;
    const kd__kernels *kernels = w->context->kernels;
    const int64_t r = w->first + i;
    place p = place_of(w, worker);
    kd__largest *l = &p.largest;
    const float *x = row_of(w, i, p.row);
    uint32_t *ids = w->s->ids + r * w->k;
    float *values = w->s->values + r * w->k, max;
    double sum, outside;
    w->counts[r] = -1;
    if (!choose(w, l, x, &max, &sum, &outside)) return;
    const double log_sum = log(sum);
    memcpy(ids, l->ids, (size_t)l->count * sizeof *ids);
    for (int64_t e = 0; e < l->count; e++)
        values[e] = (float)(((double)l->values[e] - max) / w->temperature - log_sum);
    w->s->tail[r] = (float)log(outside / sum);
    for (int32_t t = 0; t < w->s->temperature_count; t++) {
        const double inside = share_of(kernels, l, x, w->n, max, w->s->temperatures[t], &outside);
        w->s->tails[r * w->s->temperature_count + t] = (float)log(outside / (inside + outside));
    }
    w->counts[r] = l->count;
}

/* before[b]: the sum of e in front of block b. */
static void block_sums(const kd__kernels *kernels, const float *e, int64_t n, double *before)
{
    *before = 0;
    for (int64_t b = 0; b * BLOCK < n; b++)
        before[b + 1] = before[b] + kernels->sum(e + b * BLOCK, kd__min(n - b * BLOCK, BLOCK));
}

/* Sorted uniforms from gaps of exponentials; one walk over the sums, block by block where none
 * falls into. */
static void sample_row(void *argument, int64_t i, int32_t worker)
{
    work *w = argument;
    const kd__kernels *kernels = w->context->kernels;
    const int64_t r = w->first + i;
    const place p = place_of(w, worker);
    const float *x = row_of(w, i, p.row), *e = p.e;
    double *before = p.before;
    uint32_t *ids = w->s->ids + r * w->k;
    float *values = w->s->values + r * w->k;
    const uint64_t stream = kd__stream(w->seed, 0x73616d70, (uint64_t)r);
    int32_t bad;
    float max = kernels->scan(x, w->n, &bad);
    w->counts[r] = -1;
    if (bad || max == -INFINITY) return;
    const double sum = kernels->exponentials(x, w->n, max, (float)(1 / w->temperature), p.e);
    w->s->entropy[r] =
        (float)(log(sum) - kernels->weighted_sum(x, e, w->n, max) / w->temperature / sum);
    block_sums(kernels, e, w->n, before);
    double gaps = 0, at = 0, below = 0;
    for (int64_t d = 0; d <= w->draws; d++) gaps -= log1p(-kd__uniform(stream, (uint64_t)d));
    int64_t count = 0, id = 0, last = w->n - 1;
    while (last > 0 && !(e[last] > 0)) last--;
    for (int64_t d = 0; d < w->draws; d++) {
        at -= log1p(-kd__uniform(stream, (uint64_t)d));
        const double u = at / gaps * sum;
        for (int64_t next; (next = id / BLOCK + 1) * BLOCK <= last && before[next] <= u;
             below = before[next])
            id = next * BLOCK;
        while (id < last && (e[id] == 0 || below + e[id] <= u)) below += e[id++];
        if (count && ids[count - 1] == (uint32_t)id) values[count - 1]++;
        else {
            ids[count] = (uint32_t)id;
            values[count++] = 1;
        }
    }
    w->counts[r] = count;
}

/* Rows stand at r * k: they are moved together. */
static kd_status gather(work *w)
{
    for (int64_t r = 0; r < w->s->rows; r++) {
        KD_FAIL_IF(w->counts[r] < 0, KD_ERR_NONFINITE,
                   "row %lld of the teacher's logits holds NaN or infinity", (long long)r);
        memmove(w->s->ids + w->s->offsets[r], w->s->ids + r * w->k,
                (size_t)w->counts[r] * sizeof *w->s->ids);
        memmove(w->s->values + w->s->offsets[r], w->s->values + r * w->k,
                (size_t)w->counts[r] * sizeof *w->s->values);
        kd__sparse_close_row(w->s, r, w->counts[r]);
    }
    return KD_OK;
}

static kd_status read_logits(kd_targets *targets, const kd_array *logits, kd__logits *to)
{
    KD_NEED(logits);
    KD_TRY(kd__array_check(logits, "logits"));
    KD_FAIL_IF(logits->rank != 2 || logits->dims[0] != targets->fields.rows ||
                   logits->strides[1] > 1,
               KD_ERR_SHAPE, "logits: expected (%lld, V) with contiguous rows",
               (long long)targets->fields.rows);
    const int64_t step = logits->strides[0] ? logits->strides[0] : logits->dims[1];
    to->data = logits->data;
    to->dtype = logits->dtype;
    to->classes = logits->dims[1];
    to->step = step * (int64_t)kd_dtype_bytes(logits->dtype);
    return KD_OK;
}

static kd_status check_logits(const kd__logits *logits)
{
    KD_FAIL_IF(logits->dtype != KD_FLOAT32 && logits->dtype != KD_FLOAT16 &&
                   logits->dtype != KD_BFLOAT16,
               KD_ERR_DTYPE, "logits: expected float32, float16 or bfloat16, got %s",
               kd__dtype_name(logits->dtype));
    KD_FAIL_IF(logits->classes < 1, KD_ERR_SHAPE, "logits: expected at least 1 class, got %lld",
               (long long)logits->classes);
    return KD_OK;
}

static kd_status reserve(kd_targets *targets, kd__sparse *s, const work *w)
{
    kd_context *context = targets->object.context;
    int64_t entries;
    KD_TRY(kd__multiply(w->k, s->rows, &entries));
    KD_TRY(KD_RESERVE(context, &s->ids, &s->ids_room, entries));
    KD_TRY(KD_RESERVE(context, &s->values, &s->values_room, entries));
    KD_TRY(KD_RESERVE(context, &targets->scratch, &targets->scratch_room,
                      (place_size(w->n) + 1) * context->threads));
    return KD_RESERVE(context, &targets->places, &targets->places_room, s->rows);
}

/* A head's logits are never held for more rows than a block's. */
static kd_status run_head(kd_targets *targets, const kd__logits *logits, work *w, kd__work *row)
{
    const int64_t rows = w->s->rows, most = kd__logits_block(logits), block = kd__min(most, rows);
    KD_TRY(KD_RESERVE(w->context, &targets->logits, &targets->logits_room, block * w->n));
    w->logits = (const char *)targets->logits;
    w->step = w->n * (int64_t)sizeof(float);
    for (w->first = 0; w->first < rows; w->first += block) {
        const int64_t count = kd__min(rows - w->first, block);
        KD_TRY(kd__logits_compute(w->context, logits, w->first, count, targets->logits));
        kd__parallel(w->context, count, row, w);
    }
    return KD_OK;
}

static kd_status run(kd_targets *targets, kd__sparse *s, const kd__logits *logits, work *w,
                     kd__work *row)
{
    w->context = targets->object.context;
    w->s = s;
    w->logits = logits->data;
    w->dtype = logits->dtype;
    w->n = logits->classes;
    w->step = logits->step;
    KD_TRY(reserve(targets, s, w));
    w->scratch = targets->scratch;
    w->counts = targets->places;
    if (logits->head) KD_TRY(run_head(targets, logits, w, row));
    else kd__parallel(w->context, s->rows, row, w);
    return gather(w);
}

kd_status kd__targets_select(kd_targets *targets, const char *field, const kd__logits *logits,
                             int64_t k, double mass, double temperature, int32_t count,
                             const double *further)
{
    work w = { .mass = mass, .temperature = temperature, .k = kd__min(k, logits->classes) };
    kd__sparse *s;
    KD_TRY(check_logits(logits));
    KD_FAIL_IF(k < 1, KD_ERR_RANGE, "k: expected at least 1, got %lld", (long long)k);
    KD_FAIL_IF(!(mass >= 0 && mass < 1), KD_ERR_RANGE, "mass: expected 0 (none) or below 1, got %g",
               mass);
    KD_TRY(kd__sparse_open(targets, field, KD_SPARSE_TOPK, logits->classes, temperature, &s));
    kd_status status = kd__sparse_temperatures(targets, s, count, further);
    if (status == KD_OK) status = run(targets, s, logits, &w, select_row);
    if (status != KD_OK) s->active = 0;
    return status;
}

kd_status kd_targets_select(kd_targets *targets, const char *field, const kd_array *logits,
                            int64_t k, double mass, double temperature, const kd_array *further)
{
    float narrow[KD__MAX_TEMPERATURES];
    double wide[KD__MAX_TEMPERATURES];
    kd__logits rows = { 0 };
    const int64_t count = further ? kd_array_count(further) : 0;
    KD_NEED(targets);
    KD_TRY(read_logits(targets, logits, &rows));
    KD_FAIL_IF(count < 0 || count > KD__MAX_TEMPERATURES, KD_ERR_RANGE,
               "temperatures: expected 0 to %d further ones, got %d", KD__MAX_TEMPERATURES,
               (int)kd__min(count, INT32_MAX));
    if (further) KD_TRY(kd__array_to_float32(further, narrow, "further"));
    for (int64_t i = 0; i < count; i++) wide[i] = narrow[i];
    return kd__targets_select(targets, field, &rows, k, mass, temperature, (int32_t)count, wide);
}

kd_status kd__targets_sample(kd_targets *targets, const char *field, const kd__logits *logits,
                             int64_t draws, double temperature, uint64_t seed)
{
    work w = { .draws = draws, .temperature = temperature, .seed = seed };
    kd__sparse *s;
    KD_TRY(check_logits(logits));
    KD_FAIL_IF(draws < 1 || draws > 1 << 20, KD_ERR_RANGE, "draws: expected 1 to %d, got %lld",
               1 << 20, (long long)draws);
    w.k = kd__min(draws, logits->classes);
    KD_TRY(kd__sparse_open(targets, field, KD_SPARSE_COUNTS, logits->classes, temperature, &s));
    s->has_entropy = 1;
    kd_status status = run(targets, s, logits, &w, sample_row);
    if (status != KD_OK) s->active = 0;
    return status;
}

kd_status kd_targets_sample(kd_targets *targets, const char *field, const kd_array *logits,
                            int64_t draws, double temperature, uint64_t seed)
{
    kd__logits rows = { 0 };
    KD_NEED(targets);
    KD_TRY(read_logits(targets, logits, &rows));
    return kd__targets_sample(targets, field, &rows, draws, temperature, seed);
}
