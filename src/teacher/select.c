/* Sparse rows out of dense logits: the largest classes, or draws. Rows in parallel, each into its own place. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/thread.h"
#include "math/kernels.h"
#include "math/random.h"
#include "teacher/sparse.h"
#include "teacher/teacher.h"

typedef struct {
    kd_context *context;
    kd__sparse *s;
    const char *logits;
    int32_t dtype;
    int64_t step, n; /* bytes between rows; classes */
    int64_t k, draws;
    double mass, temperature;
    uint64_t seed;
    float *scratch;  /* (threads, 2, n) */
    int64_t *counts; /* (rows): entries, -1: not finite */
} work;

/* A min-heap of the k largest so far by (value, lower id first); root is the least of them. */
static int less(const float *x, uint32_t a, uint32_t b) { return x[a] < x[b] || (x[a] == x[b] && a > b); }

static void sift(const float *x, uint32_t *heap, int64_t k, int64_t i)
{
    for (;;) {
        int64_t least = i, left = 2 * i + 1;
        if (left < k && less(x, heap[left], heap[least])) least = left;
        if (left + 1 < k && less(x, heap[left + 1], heap[least])) least = left + 1;
        if (least == i) return;
        uint32_t swap = heap[i];
        heap[i] = heap[least];
        heap[least] = swap;
        i = least;
    }
}

static void largest(const float *x, int64_t n, int64_t k, uint32_t *heap)
{
    for (int64_t i = 0; i < k; i++) heap[i] = (uint32_t)i;
    for (int64_t i = k / 2 - 1; i >= 0; i--) sift(x, heap, k, i);
    float least = x[heap[0]];
    for (int64_t i = k; i < n; i++) {
        if (!(x[i] > least)) continue;
        heap[0] = (uint32_t)i;
        sift(x, heap, k, 0);
        least = x[heap[0]];
    }
    for (int64_t last = k - 1; last > 0; last--) { /* largest first */
        uint32_t swap = heap[0];
        heap[0] = heap[last];
        heap[last] = swap;
        sift(x, heap, last, 0);
    }
}

static const float *row_of(const work *w, int64_t r, float *scratch)
{
    const char *row = w->logits + r * w->step;
    if (w->dtype == KD_FLOAT32) return (const float *)(const void *)row;
    w->context->kernels->widen(w->dtype, row, w->n, scratch);
    return scratch;
}

/* log of the share of `e` outside the ids, added up directly; e is changed. */
static double outside(const kd__kernels *kernels, float *e, int64_t n, const uint32_t *ids, int64_t count)
{
    double inside = 0;
    for (int64_t i = 0; i < count; i++) {
        inside += e[ids[i]];
        e[ids[i]] = 0;
    }
    double rest = kernels->sum(e, n);
    return log(rest / (inside + rest));
}

static void select_row(void *argument, int64_t r, int32_t worker)
{
    work *w = argument;
    const kd__kernels *kernels = w->context->kernels;
    float *scratch = w->scratch + worker * 2 * w->n, *e = scratch + w->n;
    const float *x = row_of(w, r, scratch);
    uint32_t *ids = w->s->ids + r * w->k;
    float *values = w->s->values + r * w->k;
    int32_t bad;
    int64_t count = w->k;
    float max = kernels->scan(x, w->n, &bad);
    w->counts[r] = -1;
    if (bad || max == -INFINITY) return;
    largest(x, w->n, w->k, ids);
    double sum = kernels->exponentials(x, w->n, max, (float)(1 / w->temperature), e), reached = 0;
    while (count > 1 && x[ids[count - 1]] == -INFINITY) count--;
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float)(((double)x[ids[i]] - max) / w->temperature - log(sum));
        reached += exp((double)values[i]);
        if (w->mass > 0 && reached >= w->mass) count = i + 1;
    }
    w->s->tail[r] = (float)outside(kernels, e, w->n, ids, count);
    for (int32_t t = 0; t < w->s->temperature_count; t++) {
        kernels->exponentials(x, w->n, max, (float)(1 / w->s->temperatures[t]), e);
        w->s->tails[r * w->s->temperature_count + t] = (float)outside(kernels, e, w->n, ids, count);
    }
    kd__sparse_sort(ids, values, &count, 0);
    w->counts[r] = count;
}

/* Sorted uniforms from gaps of exponentials; one walk over the sums. */
static void sample_row(void *argument, int64_t r, int32_t worker)
{
    work *w = argument;
    const kd__kernels *kernels = w->context->kernels;
    float *scratch = w->scratch + worker * 2 * w->n, *e = scratch + w->n;
    const float *x = row_of(w, r, scratch);
    uint32_t *ids = w->s->ids + r * w->k;
    float *values = w->s->values + r * w->k;
    const uint64_t stream = kd__stream(w->seed, 0x73616d70, (uint64_t)r);
    int32_t bad;
    float max = kernels->scan(x, w->n, &bad);
    w->counts[r] = -1;
    if (bad || max == -INFINITY) return;
    double sum = kernels->exponentials(x, w->n, max, (float)(1 / w->temperature), e), weighted = 0, gaps = 0, at = 0, below = 0;
    for (int64_t i = 0; i < w->n; i++)
        if (e[i] > 0) weighted += e[i] * (((double)x[i] - max) / w->temperature);
    w->s->entropy[r] = (float)(log(sum) - weighted / sum);
    for (int64_t d = 0; d <= w->draws; d++) gaps -= log1p(-kd__uniform(stream, (uint64_t)d));
    int64_t count = 0, id = 0, last = 0;
    for (int64_t i = 0; i < w->n; i++)
        if (e[i] > 0) last = i;
    for (int64_t d = 0; d < w->draws; d++) {
        at -= log1p(-kd__uniform(stream, (uint64_t)d));
        while (id < last && (e[id] == 0 || below + e[id] <= at / gaps * sum)) below += e[id++];
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
        KD_FAIL_IF(w->counts[r] < 0, KD_ERR_NONFINITE, "row %lld of the teacher's logits holds NaN or infinity", (long long)r);
        memmove(w->s->ids + w->s->offsets[r], w->s->ids + r * w->k, (size_t)w->counts[r] * sizeof *w->s->ids);
        memmove(w->s->values + w->s->offsets[r], w->s->values + r * w->k, (size_t)w->counts[r] * sizeof *w->s->values);
        kd__sparse_close_row(w->s, r, w->counts[r]);
    }
    return KD_OK;
}

static kd_status check_logits(kd_targets *targets, const kd_array *logits)
{
    KD_NEED(logits);
    KD_TRY(kd__array_check(logits, "logits"));
    KD_FAIL_IF(logits->dtype != KD_FLOAT32 && logits->dtype != KD_FLOAT16 && logits->dtype != KD_BFLOAT16, KD_ERR_DTYPE,
               "logits: expected float32, float16 or bfloat16, got %s", kd__dtype_name(logits->dtype));
    KD_FAIL_IF(logits->rank != 2 || logits->dims[0] != targets->fields.rows || logits->dims[1] < 1 || logits->strides[1] > 1, KD_ERR_SHAPE,
               "logits: expected (%lld, V) with contiguous rows", (long long)targets->fields.rows);
    return KD_OK;
}

static kd_status run(kd_targets *targets, kd__sparse *s, const kd_array *logits, work *w, kd__work *row)
{
    kd_context *context = targets->object.context;
    w->context = context;
    w->s = s;
    w->logits = logits->data;
    w->dtype = logits->dtype;
    w->n = logits->dims[1];
    w->step = (logits->strides[0] ? logits->strides[0] : w->n) * (int64_t)kd_dtype_size(w->dtype);
    int64_t entries;
    KD_TRY(kd__multiply(w->k, s->rows, &entries));
    KD_TRY(KD_RESERVE(context, &s->ids, &s->ids_room, entries));
    KD_TRY(KD_RESERVE(context, &s->values, &s->values_room, entries));
    KD_TRY(KD_RESERVE(context, &targets->scratch, &targets->scratch_room, 2 * w->n * context->threads));
    KD_TRY(KD_RESERVE(context, &targets->places, &targets->places_room, s->rows));
    w->scratch = targets->scratch;
    w->counts = targets->places;
    kd__parallel(context, s->rows, row, w);
    return gather(w);
}

kd_status kd_targets_select(kd_targets *targets, const char *field, const kd_array *logits, int64_t k, double mass, double temperature,
                            const kd_array *further)
{
    work w = { .mass = mass, .temperature = temperature };
    float narrow[KD__MAX_TEMPERATURES];
    double wide[KD__MAX_TEMPERATURES];
    kd__sparse *s;
    int64_t count = further ? kd_array_count(further) : 0;
    KD_NEED(targets);
    KD_TRY(check_logits(targets, logits));
    KD_FAIL_IF(k < 1, KD_ERR_RANGE, "k: %lld", (long long)k);
    KD_FAIL_IF(!(mass >= 0 && mass < 1), KD_ERR_RANGE, "mass: expected 0 (none) or below 1, got %g", mass);
    KD_FAIL_IF(count < 0 || count > KD__MAX_TEMPERATURES, KD_ERR_RANGE, "at most %d further temperatures", KD__MAX_TEMPERATURES);
    if (further) KD_TRY(kd__array_to_float32(further, narrow, "further"));
    for (int64_t i = 0; i < count; i++) wide[i] = narrow[i];
    w.k = k < logits->dims[1] ? k : logits->dims[1];
    KD_TRY(kd__sparse_open(targets, field, KD_SPARSE_TOPK, logits->dims[1], temperature, &s));
    kd_status status = kd__sparse_temperatures(targets, s, (int32_t)count, wide);
    if (status == KD_OK) status = run(targets, s, logits, &w, select_row);
    if (status != KD_OK) s->active = 0;
    return status;
}

kd_status kd_targets_sample(kd_targets *targets, const char *field, const kd_array *logits, int64_t draws, double temperature, uint64_t seed)
{
    work w = { .draws = draws, .temperature = temperature, .seed = seed };
    kd__sparse *s;
    KD_NEED(targets);
    KD_TRY(check_logits(targets, logits));
    KD_FAIL_IF(draws < 1 || draws > 1 << 20, KD_ERR_RANGE, "draws: expected 1 to %d, got %lld", 1 << 20, (long long)draws);
    w.k = draws < logits->dims[1] ? draws : logits->dims[1];
    KD_TRY(kd__sparse_open(targets, field, KD_SPARSE_COUNTS, logits->dims[1], temperature, &s));
    s->has_entropy = 1;
    kd_status status = run(targets, s, logits, &w, sample_row);
    if (status != KD_OK) s->active = 0;
    return status;
}
