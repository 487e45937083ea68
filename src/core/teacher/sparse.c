/* Sparse fields of targets: checked when they come in, so that losses need not check again. */
#include "core/teacher/sparse.h"

#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/teacher/teacher.h"

static const kd_sparse sparse_defaults = KD_SPARSE_INIT;
void kd_sparse_init(kd_sparse *o, size_t size)
{
    kd__options_init(o, size, &sparse_defaults, sizeof sparse_defaults);
}

const kd__sparse *kd__sparse_find(const kd_targets *targets, const char *name)
{
    for (int64_t i = 0; i < targets->sparse_count; i++)
        if (targets->sparse[i]->active && !strcmp(targets->sparse[i]->name, name))
            return targets->sparse[i];
    return NULL;
}

static kd_status slot(kd_targets *targets, const char *name, kd__sparse **out)
{
    char copy[KD_NAME_BYTES];
    KD_TRY(kd__name_copy(copy, name, "sparse field"));
    for (int64_t i = 0; i < targets->sparse_count; i++)
        if (!strcmp(targets->sparse[i]->name, copy)) {
            *out = targets->sparse[i];
            return KD_OK;
        }
    KD_TRY(KD_RESERVE(targets->object.context, &targets->sparse, &targets->sparse_room,
                      targets->sparse_count + 1));
    KD_TRY(KD_NEW(targets->object.context, out, 1));
    memcpy((*out)->name, copy, sizeof copy);
    targets->sparse[targets->sparse_count++] = *out;
    return KD_OK;
}

/* A field that was a view has no arrays of its own. */
static void forget_view(kd__sparse *s)
{
    char name[KD_NAME_BYTES];
    memcpy(name, s->name, sizeof name);
    memset(s, 0, sizeof *s);
    memcpy(s->name, name, sizeof name);
}

static void release_arrays(kd_context *context, const kd__sparse *s)
{
    void *blocks[] = { s->offsets, s->ids,     s->values,         s->tail,
                       s->tails,   s->entropy, s->present_buffer, s->borrowed };
    for (size_t b = 0; b < sizeof blocks / sizeof *blocks && !s->is_view; b++)
        kd__release(context, blocks[b]);
}

kd_status kd__sparse_open(kd_targets *targets, const char *name, int32_t kind, int64_t vocabulary,
                          double temperature, kd__sparse **out)
{
    kd_context *context = targets->object.context;
    const int64_t rows = targets->fields.rows;
    kd__sparse *s;
    KD_FAIL_IF(!(temperature >= 0.01 && temperature <= 1000), KD_ERR_RANGE,
               "sparse field: temperature: expected 0.01 to 1000, got %g", temperature);
    KD_TRY(slot(targets, name, &s));
    s->active = 0;
    if (s->is_view) forget_view(s);
    KD_TRY(KD_RESERVE(context, &s->offsets, &s->offsets_room, rows + 1));
    KD_TRY(KD_RESERVE(context, &s->tail, &s->tail_room, rows + 1));
    KD_TRY(KD_RESERVE(context, &s->entropy, &s->entropy_room, rows + 1));
    KD_TRY(KD_RESERVE(context, &s->borrowed, &s->borrowed_room, rows + 1));
    s->kind = kind;
    s->vocabulary = vocabulary;
    s->temperature = temperature;
    s->rows = rows;
    s->entries = s->most = 0;
    s->temperature_count = s->has_entropy = 0;
    s->present = NULL;
    memset(s->offsets, 0, (size_t)(rows + 1) * sizeof *s->offsets);
    memset(s->borrowed, 0, (size_t)rows * sizeof *s->borrowed);
    s->active = 1;
    *out = s;
    return KD_OK;
}

kd_status kd__sparse_borrow(kd_targets *targets, const char *name, const kd__sparse *from)
{
    kd__sparse *s;
    KD_TRY(slot(targets, name, &s));
    release_arrays(targets->object.context, s);
    *s = *from;
    KD_TRY(kd__name_copy(s->name, name, "sparse field"));
    s->is_view = 1;
    return KD_OK;
}

kd_status kd__sparse_temperatures(kd_targets *targets, kd__sparse *s, int32_t count,
                                  const double *temperatures)
{
    KD_FAIL_IF(count > KD__MAX_TEMPERATURES, KD_ERR_RANGE,
               "sparse field: at most %d further temperatures, got %d", KD__MAX_TEMPERATURES,
               count);
    for (int32_t i = 0; i < count; i++) {
        KD_FAIL_IF(!(temperatures[i] >= 0.01 && temperatures[i] <= 1000), KD_ERR_RANGE,
                   "sparse field: temperature %d: expected 0.01 to 1000, got %g", i,
                   temperatures[i]);
        s->temperatures[i] = temperatures[i];
    }
    KD_TRY(KD_RESERVE(targets->object.context, &s->tails, &s->tails_room, s->rows * count));
    s->temperature_count = count;
    return KD_OK;
}

kd_status kd__sparse_room(kd_targets *targets, kd__sparse *s, int64_t row, int64_t count,
                          uint32_t **ids, float **values)
{
    const int64_t at = s->offsets[row], need = at + count;
    KD_TRY(KD_RESERVE(targets->object.context, &s->ids, &s->ids_room, need));
    KD_TRY(KD_RESERVE(targets->object.context, &s->values, &s->values_room, need));
    *ids = s->ids + at;
    *values = s->values + at;
    return KD_OK;
}

void kd__sparse_close_row(kd__sparse *s, int64_t row, int64_t count)
{
    s->offsets[row + 1] = s->entries = s->offsets[row] + count;
    if (count > s->most) s->most = count;
}

kd_status kd__sparse_open_present(kd_targets *targets, kd__sparse *s)
{
    KD_TRY(KD_RESERVE(targets->object.context, &s->present_buffer, &s->present_room, s->rows + 1));
    memset(s->present_buffer, 1, (size_t)s->rows);
    s->present = s->present_buffer;
    return KD_OK;
}

/* Heap sort of pairs in place. */
static void sink(uint32_t *ids, float *values, int64_t i, int64_t n)
{
    const uint32_t id = ids[i];
    const float value = values[i];
    for (int64_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && ids[child + 1] > ids[child]) child++;
        if (ids[child] <= id) break;
        ids[i] = ids[child];
        values[i] = values[child];
    }
    ids[i] = id;
    values[i] = value;
}

static void sort_pairs(uint32_t *ids, float *values, int64_t n)
{
    for (int64_t i = n / 2; i-- > 0;) sink(ids, values, i, n);
    for (int64_t last = n - 1; last > 0; last--) {
        const uint32_t id = ids[0];
        const float value = values[0];
        ids[0] = ids[last], values[0] = values[last];
        ids[last] = id, values[last] = value;
        sink(ids, values, 0, last);
    }
}

int kd__sparse_sort(uint32_t *ids, float *values, int64_t *count, int add)
{
    int64_t kept = 0;
    int sorted = 1;
    for (int64_t i = 1; i < *count && sorted; i++) sorted = ids[i] > ids[i - 1];
    if (sorted) return 1;
    sort_pairs(ids, values, *count);
    for (int64_t i = 0; i < *count; i++) {
        if (kept && ids[kept - 1] == ids[i]) {
            if (!add) return 0;
            values[kept - 1] += values[i];
            continue;
        }
        ids[kept] = ids[i];
        values[kept++] = values[i];
    }
    *count = kept;
    return 1;
}

/* ---- from the host's arrays ---- */

static kd_status check_log(double x, int64_t row, const char *what)
{
    KD_FAIL_IF(!(x <= 1e-4), isnan(x) ? KD_ERR_NONFINITE : KD_ERR_RANGE,
               "sparse field: row %lld: %s: expected a log-probability, 0 at most, got %g",
               (long long)row, what, x);
    return KD_OK;
}

static kd_status check_counts(const float *values, int64_t count, int64_t row)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        KD_FAIL_IF(!(values[i] >= 0) || !isfinite(values[i]), KD_ERR_RANGE,
                   "sparse field: row %lld: expected finite counts from 0, got %g", (long long)row,
                   values[i]);
        sum += values[i];
    }
    KD_FAIL_IF(!(sum > 0), KD_ERR_RANGE,
               "sparse field: row %lld: expected a count above 0, got none", (long long)row);
    return KD_OK;
}

static kd_status check_top(kd__sparse *s, const float *values, int64_t count, int64_t row,
                           const float *tail)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        KD_TRY(check_log(values[i], row, "a value"));
        sum += exp((double)values[i]);
    }
    KD_FAIL_IF(sum > 1 + 1e-3, KD_ERR_RANGE,
               "sparse field: row %lld: the probabilities sum to %.6f, more than 1", (long long)row,
               sum);
    if (!tail) {
        s->tail[row] = sum < 1 ? (float)log1p(-sum) : -INFINITY;
        return KD_OK;
    }
    KD_TRY(check_log(tail[row], row, "tail"));
    KD_FAIL_IF(sum + exp((double)tail[row]) > 1.01, KD_ERR_RANGE,
               "sparse field: row %lld: probabilities and tail sum to %.6f, more than 1",
               (long long)row, sum + exp((double)tail[row]));
    KD_FAIL_IF(!(sum > 0), KD_ERR_RANGE,
               "sparse field: row %lld: expected a probability above 0 on its ids, got none",
               (long long)row);
    s->tail[row] = tail[row];
    return KD_OK;
}

static kd_status check_size(const kd_array *array, const char *what, int64_t expected, int integers)
{
    KD_FAIL_IF(!array, KD_ERR_INVALID, "sparse field: %s: expected an array, got NULL", what);
    KD_TRY(kd__array_check(array, what));
    KD_FAIL_IF(expected >= 0 && kd_array_count(array) != expected, KD_ERR_SHAPE,
               "sparse field: %s: expected %lld numbers, got %lld", what, (long long)expected,
               (long long)kd_array_count(array));
    KD_FAIL_IF(integers && !kd__dtype_is_integer(array->dtype), KD_ERR_DTYPE,
               "sparse field: %s: expected integers, got %s", what, kd__dtype_name(array->dtype));
    return KD_OK;
}

static kd_status read_offsets(kd__sparse *s, const kd_sparse *o, int64_t *entries)
{
    KD_TRY(check_size(o->ids, "ids", -1, 1));
    *entries = kd_array_count(o->ids);
    KD_TRY(check_size(o->values, "values", *entries, 0));
    KD_FAIL_IF(o->kind == KD_SPARSE_TOPK && kd__dtype_is_integer(o->values->dtype), KD_ERR_DTYPE,
               "sparse field: log-probabilities must be floats, got %s",
               kd__dtype_name(o->values->dtype));
    if (!o->offsets) {
        KD_FAIL_IF(o->ids->rank != 2 || o->ids->dims[0] != s->rows, KD_ERR_SHAPE,
                   "sparse field: without offsets ids must be (%lld, k)", (long long)s->rows);
        for (int64_t r = 0; r <= s->rows; r++) s->offsets[r] = r * o->ids->dims[1];
        return KD_OK;
    }
    KD_TRY(check_size(o->offsets, "offsets", s->rows + 1, 1));
    KD_TRY(kd__array_to_int64(o->offsets, s->offsets, "offsets"));
    for (int64_t r = 0; r < s->rows; r++)
        KD_FAIL_IF(s->offsets[r] < 0 || s->offsets[r + 1] < s->offsets[r], KD_ERR_RANGE,
                   "sparse field: row %lld: expected offsets that do not fall, got %lld after %lld",
                   (long long)r, (long long)s->offsets[r + 1], (long long)s->offsets[r]);
    KD_FAIL_IF(s->offsets[0] != 0 || s->offsets[s->rows] != *entries, KD_ERR_SHAPE,
               "sparse field: offsets: expected 0 to %lld, got %lld to %lld", (long long)*entries,
               (long long)s->offsets[0], (long long)s->offsets[s->rows]);
    return KD_OK;
}

/* Rows are moved together where doubled ids were added. */
static kd_status take_rows(kd__sparse *s, const kd_sparse *o, const float *tail)
{
    int64_t from = 0;
    for (int64_t r = 0; r < s->rows; r++) {
        int64_t count = s->offsets[r + 1] - from, at = s->offsets[r];
        uint32_t *ids = s->ids + at;
        float *values = s->values + at;
        memmove(ids, s->ids + from, (size_t)count * sizeof *ids);
        memmove(values, s->values + from, (size_t)count * sizeof *values);
        from += count;
        if (!s->present || s->present[r]) {
            KD_FAIL_IF(!count, KD_ERR_RANGE,
                       "sparse field: row %lld: expected at least one entry, got none",
                       (long long)r);
            KD_FAIL_IF(!kd__sparse_sort(ids, values, &count, o->kind == KD_SPARSE_COUNTS),
                       KD_ERR_RANGE, "sparse field: row %lld: expected each id once, got one twice",
                       (long long)r);
            KD_FAIL_IF(s->vocabulary && ids[count - 1] >= s->vocabulary, KD_ERR_RANGE,
                       "sparse field: row %lld: id %u is not in 0 to %lld", (long long)r,
                       ids[count - 1], (long long)s->vocabulary - 1);
            if (o->kind == KD_SPARSE_COUNTS) KD_TRY(check_counts(values, count, r));
            else KD_TRY(check_top(s, values, count, r, tail));
        }
        kd__sparse_close_row(s, r, count);
    }
    return KD_OK;
}

static kd_status take_tails(kd_targets *targets, kd__sparse *s, const kd_sparse *o)
{
    float temperatures[KD__MAX_TEMPERATURES];
    double wide[KD__MAX_TEMPERATURES];
    if (!o->temperatures) return KD_OK;
    KD_TRY(check_size(o->temperatures, "temperatures", -1, 0));
    int64_t count = kd_array_count(o->temperatures);
    KD_FAIL_IF(count > KD__MAX_TEMPERATURES, KD_ERR_RANGE,
               "sparse field: at most %d further temperatures, got %lld", KD__MAX_TEMPERATURES,
               (long long)count);
    KD_TRY(kd__array_to_float32(o->temperatures, temperatures, "temperatures"));
    for (int64_t i = 0; i < count; i++) wide[i] = temperatures[i];
    KD_TRY(kd__sparse_temperatures(targets, s, (int32_t)count, wide));
    KD_TRY(check_size(o->tails, "tails", s->rows * count, 0));
    KD_TRY(kd__array_to_float32(o->tails, s->tails, "tails"));
    for (int64_t i = 0; i < s->rows * count; i++)
        if (!s->present || s->present[i / count])
            KD_TRY(check_log(s->tails[i], i / count, "tails"));
    return KD_OK;
}

static kd_status set_sparse(kd_targets *targets, kd__sparse *s, const kd_sparse *o,
                            const kd_array *present)
{
    int64_t entries;
    if (present && present->data) {
        KD_TRY(kd__array_check(present, "present"));
        KD_FAIL_IF(present->dtype != KD_UINT8 || kd_array_count(present) != s->rows, KD_ERR_SHAPE,
                   "sparse field: present: expected (%lld) uint8, got %lld %s", (long long)s->rows,
                   (long long)kd_array_count(present), kd__dtype_name(present->dtype));
        KD_TRY(kd__sparse_open_present(targets, s));
        kd__array_copy(present, s->present_buffer);
    }
    KD_TRY(read_offsets(s, o, &entries));
    KD_TRY(KD_RESERVE(targets->object.context, &s->ids, &s->ids_room, entries));
    KD_TRY(KD_RESERVE(targets->object.context, &s->values, &s->values_room, entries));
    /* ids through int64, a piece at a time, so that nothing is cut off unseen */
    int64_t *wide;
    KD_TRY(KD_NEW(targets->object.context, &wide, entries));
    kd_status status = kd__array_to_int64(o->ids, wide, "ids");
    for (int64_t i = 0; i < entries && status == KD_OK; i++) {
        if (wide[i] < 0 || wide[i] > UINT32_MAX)
            status = kd__fail(KD_ERR_RANGE,
                              "sparse field: entry %lld: expected an id of 0 to 2^32 - 1, got %lld",
                              (long long)i, (long long)wide[i]);
        s->ids[i] = (uint32_t)wide[i];
    }
    kd__release(targets->object.context, wide);
    KD_TRY(status);
    KD_TRY(kd__array_to_float32(o->values, s->values, "values"));
    if (o->tail) {
        KD_TRY(check_size(o->tail, "tail", s->rows, 0));
        KD_TRY(kd__array_to_float32(o->tail, s->tail, "tail"));
    }
    if (o->entropy) {
        KD_TRY(check_size(o->entropy, "entropy", s->rows, 0));
        KD_TRY(kd__array_to_float32(o->entropy, s->entropy, "entropy"));
        s->has_entropy = 1;
    }
    KD_TRY(take_tails(targets, s, o));
    return take_rows(s, o, o->tail ? s->tail : NULL);
}

kd_status kd_targets_set_sparse(kd_targets *targets, const char *field, const kd_sparse *sparse,
                                const kd_array *present)
{
    kd_sparse o = sparse_defaults;
    kd__sparse *s;
    KD_NEED(targets);
    KD_NEED(sparse);
    KD_TRY(kd__options_read(&o, sizeof o, sparse, "kd_sparse"));
    KD_FAIL_IF(o.kind != KD_SPARSE_TOPK && o.kind != KD_SPARSE_COUNTS, KD_ERR_RANGE,
               "sparse field: kind: expected KD_SPARSE_TOPK or KD_SPARSE_COUNTS, got %d", o.kind);
    KD_FAIL_IF(o.vocabulary < 0, KD_ERR_RANGE,
               "sparse field: vocabulary: expected 0 or more, got %lld", (long long)o.vocabulary);
    KD_TRY(kd__sparse_open(targets, field, o.kind, o.vocabulary, o.temperature, &s));
    kd_status status = set_sparse(targets, s, &o, present);
    if (status != KD_OK) s->active = 0;
    return status;
}

kd_status kd_targets_sparse(kd_targets *targets, const char *field, kd_array *offsets,
                            kd_array *ids, kd_array *values, kd_array *tail, kd_array *present)
{
    KD_NEED(targets);
    KD_NEED(field);
    const kd__sparse *s = kd__sparse_find(targets, field);
    KD_FAIL_IF(!s, KD_ERR_NOT_FOUND, "targets: no sparse field '%.60s'", field);
    const int64_t more = s->rows + 1;
    if (offsets) kd__array_view(offsets, s->offsets, KD_INT64, 1, &more);
    if (ids) kd__array_view(ids, s->ids, KD_UINT32, 1, &s->entries);
    if (values) kd__array_view(values, s->values, KD_FLOAT32, 1, &s->entries);
    if (tail) kd__array_view(tail, s->tail, KD_FLOAT32, 1, &s->rows);
    if (present) kd__array_view(present, (void *)(uintptr_t)s->present, KD_UINT8, 1, &s->rows);
    return KD_OK;
}

void kd__sparse_free(kd_targets *targets)
{
    kd_context *context = targets->object.context;
    for (int64_t i = 0; i < targets->sparse_count; i++) {
        release_arrays(context, targets->sparse[i]);
        kd__release(context, targets->sparse[i]);
    }
    kd__release(context, targets->sparse);
}
