/* Rows of teachers with another tokenizer: tokens of the same text are cut at the same bytes. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/text.h"
#include "core/teacher/sparse.h"
#include "core/teacher/teacher.h"
#include <kdistill/align.h>

static kd_status read_ends(const kd_array *ends, const char *what, int64_t *count)
{
    KD_NEED(ends);
    KD_TRY(kd__array_check(ends, what));
    KD_FAIL_IF(ends->dtype != KD_INT64 || !kd__array_contiguous(ends), KD_ERR_DTYPE,
               "%s: expected contiguous int64, got %s", what, kd__dtype_name(ends->dtype));
    *count = kd_array_count(ends);
    const int64_t *e = ends->data;
    for (int64_t i = 0; i < *count; i++)
        KD_FAIL_IF(e[i] < (i ? e[i - 1] : 0), KD_ERR_RANGE,
                   "%s: token %lld ends at byte %lld, before the one in front of it", what,
                   (long long)i, (long long)e[i]);
    return KD_OK;
}

static int are_chunks(const kd_array *array)
{
    const int quadruples = array->rank == 2 && array->dims[1] == 4;
    return quadruples && array->dtype == KD_INT64 && kd__array_contiguous(array);
}

kd_status kd_align_find_chunks(const kd_array *student_ends, const kd_array *teacher_ends,
                               const kd_array *chunks, int64_t *count)
{
    int64_t n, m, room = 0, made = 0, i = 0, j = 0, begin_i = 0, begin_j = 0;
    KD_NEED(count);
    KD_TRY(read_ends(student_ends, "student_ends", &n));
    KD_TRY(read_ends(teacher_ends, "teacher_ends", &m));
    if (chunks) {
        KD_TRY(kd__array_check(chunks, "chunks"));
        KD_FAIL_IF(!are_chunks(chunks), KD_ERR_SHAPE, "chunks: expected (room, 4) int64");
        room = chunks->dims[0];
    }
    const int64_t *a = student_ends->data, *b = teacher_ends->data;
    while (i < n && j < m) {
        if (a[i] < b[j]) i++;
        else if (b[j] < a[i]) j++;
        else {
            /* tokens of no bytes belong to what is before them */
            while (i + 1 < n && a[i + 1] == a[i]) i++;
            while (j + 1 < m && b[j + 1] == b[j]) j++;
            KD_FAIL_IF(chunks && made == room, KD_ERR_RANGE,
                       "chunks: room for %lld is too small: expected more", (long long)room);
            int64_t *to = chunks ? (int64_t *)chunks->data + 4 * made : NULL;
            if (to) to[0] = begin_i, to[1] = i + 1, to[2] = begin_j, to[3] = j + 1;
            begin_i = ++i;
            begin_j = ++j;
            made++;
        }
    }
    *count = made;
    return KD_OK;
}

static kd_status check_chunks(const kd_array *chunks, int64_t count)
{
    KD_NEED(chunks);
    KD_TRY(kd__array_check(chunks, "chunks"));
    KD_FAIL_IF(!are_chunks(chunks) || count < 0 || count > chunks->dims[0], KD_ERR_SHAPE,
               "chunks: expected (%lld or more, 4) int64", (long long)count);
    return KD_OK;
}

/* The teacher's row for each of the student's, -1: none. */
static kd_status map_rows(kd_targets *to, int64_t from_rows, const int64_t *c, int64_t count,
                          int64_t student_begin, int64_t teacher_begin)
{
    const int64_t rows = to->fields.rows;
    KD_TRY(KD_RESERVE(to->object.context, &to->places, &to->places_room, rows));
    for (int64_t r = 0; r < rows; r++) to->places[r] = -1;
    for (int64_t i = 0; i < count; i++, c += 4) {
        int64_t row = student_begin + c[0], source = teacher_begin + c[2];
        KD_FAIL_IF(c[0] < 0 || c[1] <= c[0] || c[2] < 0 || c[3] <= c[2] || row < 0 || row >= rows ||
                       source < 0 || source >= from_rows,
                   KD_ERR_RANGE, "chunk %lld lies outside the rows (%lld and %lld)", (long long)i,
                   (long long)rows, (long long)from_rows);
        if (c[1] == c[0] + 1 && c[3] == c[2] + 1) to->places[row] = source;
    }
    return KD_OK;
}

static kd_status align_dense(kd_targets *to, const kd__field *from)
{
    int64_t dims[KD_ARRAY_MAX_RANK];
    const kd__field *old = kd__fields_find(&to->fields, from->name);
    int again = old && old->present && old->values.data == old->buffer &&
                kd__array_row(&old->values) == kd__array_row(&from->values);
    kd__field *made;
    const size_t row = (size_t)kd__array_row(&from->values) * kd_dtype_bytes(from->values.dtype);
    memcpy(dims, from->values.dims, sizeof dims);
    dims[0] = to->fields.rows;
    if (again) made = (kd__field *)(uintptr_t)old;
    else {
        KD_TRY(kd__fields_open(&to->fields, from->name, from->values.dtype, from->values.rank, dims,
                               &made));
        KD_TRY(kd__fields_open_present(&to->fields, made));
        memset(made->present_buffer, 0, (size_t)dims[0]);
    }
    for (int64_t r = 0; r < dims[0]; r++) {
        const int64_t source = to->places[r];
        if (source < 0 || (from->present && !from->present[source])) continue;
        made->present_buffer[r] = 1;
        memcpy(made->buffer + (size_t)r * row,
               (const char *)from->values.data + (size_t)source * row, row);
    }
    return KD_OK;
}

/* Sample s of both is the same text: what is said of samples stays. */
static kd_status carry_samples(kd_targets *to, const kd__field *from)
{
    kd__field *made;
    const int64_t bytes = kd_array_count(&from->values) *
                          (int64_t)kd_dtype_bytes(from->values.dtype);
    KD_TRY(kd__fields_open_unit(&to->fields, from->unit, from->name, from->values.dtype,
                                from->values.rank, from->values.dims, &made));
    if (bytes) memcpy(made->buffer, from->values.data, (size_t)bytes);
    if (!from->present) return KD_OK;
    KD_TRY(kd__fields_open_present(&to->fields, made));
    memcpy(made->present_buffer, from->present, (size_t)to->fields.samples);
    return KD_OK;
}

static kd_status align_sparse(kd_targets *to, const kd__sparse *from)
{
    kd__sparse *made;
    KD_FAIL_IF(kd__sparse_find(to, from->name), KD_ERR_STATE,
               "the sparse field '%s' is there already: align all samples in one call", from->name);
    KD_TRY(kd__sparse_open(to, from->name, from->kind, from->vocabulary, from->temperature, &made));
    KD_TRY(kd__sparse_temperatures(to, made, from->temperature_count, from->temperatures));
    KD_TRY(kd__sparse_open_present(to, made));
    made->has_entropy = from->has_entropy;
    const int32_t t = from->temperature_count;
    for (int64_t r = 0; r < made->rows; r++) {
        int64_t source = to->places[r], count = 0;
        if (source < 0 || (from->present && !from->present[source])) made->present_buffer[r] = 0;
        else {
            uint32_t *ids;
            float *values;
            count = from->offsets[source + 1] - from->offsets[source];
            KD_TRY(kd__sparse_room(to, made, r, count, &ids, &values));
            memcpy(ids, from->ids + from->offsets[source], (size_t)count * sizeof *ids);
            memcpy(values, from->values + from->offsets[source], (size_t)count * sizeof *values);
            made->tail[r] = from->tail[source];
            made->entropy[r] = from->entropy[source];
            if (t)
                memcpy(made->tails + r * t, from->tails + source * t,
                       (size_t)t * sizeof *made->tails);
        }
        kd__sparse_close_row(made, r, count);
    }
    return KD_OK;
}

kd_status kd_targets_align(kd_targets *to, kd_targets *from, const char *field,
                           const kd_array *chunks, int64_t count, int64_t student_begin,
                           int64_t teacher_begin, int64_t *absent)
{
    KD_NEED(to);
    KD_NEED(from);
    KD_NEED(field);
    KD_FAIL_IF(to == from, KD_ERR_INVALID, "kd_targets_align: the two targets must differ");
    KD_TRY(check_chunks(chunks, count));
    KD_TRY(map_rows(to, from->fields.rows, chunks->data, count, student_begin, teacher_begin));
    const kd__field *dense;
    KD_TRY(kd__fields_find_rows(&from->fields, field, "targets field", &dense));
    const kd__sparse *sparse = kd__sparse_find(from, field);
    KD_FAIL_IF(!dense && !sparse, KD_ERR_NOT_FOUND, "targets: no field '%.60s'", field);
    if (dense) KD_TRY(align_dense(to, dense));
    else KD_TRY(align_sparse(to, sparse));
    if (!absent) return KD_OK;
    *absent = 0;
    for (int64_t r = 0; r < to->fields.rows; r++) *absent += to->places[r] < 0;
    return KD_OK;
}

kd_status kd_align_sum_chunks(const kd_array *log_probabilities, const kd_array *chunks,
                              int64_t count, int32_t side, const kd_array *sums)
{
    KD_NEED(log_probabilities);
    KD_NEED(sums);
    KD_TRY(check_chunks(chunks, count));
    KD_TRY(kd__array_check(log_probabilities, "log_probabilities"));
    KD_TRY(kd__array_check(sums, "sums"));
    KD_FAIL_IF(side != 0 && side != 2, KD_ERR_RANGE,
               "side: expected 0 (student) or 2 (teacher), got %d", side);
    KD_FAIL_IF(log_probabilities->dtype != KD_FLOAT32 || sums->dtype != KD_FLOAT64 ||
                   !kd__array_contiguous(log_probabilities) || !kd__array_contiguous(sums) ||
                   kd_array_count(sums) < count,
               KD_ERR_SHAPE,
               "kd_align_sum_chunks: expected float32 log-probabilities and (%lld) float64 sums",
               (long long)count);
    const int64_t *c = chunks->data, n = kd_array_count(log_probabilities);
    for (int64_t i = 0; i < count; i++, c += 4) {
        double sum = 0;
        KD_FAIL_IF(c[side] < 0 || c[side + 1] > n, KD_ERR_RANGE,
                   "chunk %lld lies outside the %lld log-probabilities", (long long)i,
                   (long long)n);
        for (int64_t t = c[side]; t < c[side + 1]; t++)
            sum += ((const float *)log_probabilities->data)[t];
        ((double *)sums->data)[i] = sum;
    }
    return KD_OK;
}

/* ---- whole batches ---- */

/* One sample's tokens: where each ends. */
typedef struct {
    const int64_t *ends;
    int64_t first, count; /* rows of the batch */
} side;

static kd_status read_side(kd_batch *batch, const char *what, const int64_t **ends)
{
    const kd__field *field;
    KD_TRY(kd__fields_find_rows(&batch->fields, "end", "the batch's field", &field));
    KD_FAIL_IF(!field || field->values.dtype != KD_INT64 || kd__array_row(&field->values) != 1,
               KD_ERR_NOT_FOUND,
               "%s's batch: expected a field 'end' of one int64 a row: where each token ends "
               "(kd_batch_begin_texts)",
               what);
    *ends = field->values.data;
    return KD_OK;
}

static kd_status check_ends(const side *s, int64_t sample)
{
    for (int64_t i = 1; i < s->count; i++)
        KD_FAIL_IF(s->ends[i] < s->ends[i - 1], KD_ERR_RANGE,
                   "sample %lld: token %lld ends at byte %lld, before the one in front of it",
                   (long long)sample, (long long)i, (long long)s->ends[i]);
    return KD_OK;
}

/* Rows i and j have seen the same bytes, and the tokens after them end at the same byte. What has
 * no bytes (a token that begins a text) is seen too; what ends it is paired where nothing but that
 * comes. */
static void pair_rows(const side *a, const side *b, int64_t *places)
{
    int64_t i = 0, j = 0;
    while (i + 1 < a->count && j + 1 < b->count) {
        const int64_t at = a->ends[i], other = b->ends[j];
        if (at < other || (at == other && a->ends[i + 1] == at && i + 2 < a->count)) i++;
        else if (other < at || (b->ends[j + 1] == other && j + 2 < b->count)) j++;
        else {
            if (a->ends[i + 1] == b->ends[j + 1]) places[a->first + i] = b->first + j;
            i++, j++;
        }
    }
}

static kd_status map_batches(kd_targets *to, kd_batch *batch, kd_batch *other, int64_t *aligned)
{
    side a, b;
    const int64_t rows = batch->fields.rows, *ends, *other_ends;
    KD_TRY(read_side(batch, "the student", &ends));
    KD_TRY(read_side(other, "the teacher", &other_ends));
    KD_TRY(KD_RESERVE(to->object.context, &to->places, &to->places_room, rows));
    for (int64_t r = 0; r < rows; r++) to->places[r] = -1;
    for (int64_t s = 0; s < batch->samples; s++) {
        a = (side){ ends + batch->offsets[s], batch->offsets[s],
                    batch->offsets[s + 1] - batch->offsets[s] };
        b = (side){ other_ends + other->offsets[s], other->offsets[s],
                    other->offsets[s + 1] - other->offsets[s] };
        KD_TRY(check_ends(&a, s));
        KD_TRY(check_ends(&b, s));
        pair_rows(&a, &b, to->places);
    }
    *aligned = 0;
    for (int64_t r = 0; r < rows; r++) *aligned += to->places[r] >= 0;
    return KD_OK;
}

static kd_status align_fields(kd_targets *to, kd_targets *from)
{
    for (int64_t i = 0; i < from->fields.count; i++) {
        const kd__field *field = &from->fields.items[i];
        if (!field->active) continue;
        KD_TRY(field->unit == KD__OF_SAMPLES ? carry_samples(to, field) : align_dense(to, field));
    }
    for (int64_t i = 0; i < from->sparse_count; i++)
        if (from->sparse[i]->active) KD_TRY(align_sparse(to, from->sparse[i]));
    for (int i = 0; i < KD__MAX_HEADS; i++)
        if (from->heads[i].active)
            KD_TRY(kd_targets_borrow_head(to, from->heads[i].name, from->heads[i].hidden,
                                          &from->heads[i].head));
    return KD_OK;
}

kd_status kd_targets_align_batch(kd_targets *to, kd_batch *batch, kd_targets *from,
                                 kd_batch *teacher_batch, int64_t *aligned)
{
    int64_t found;
    KD_NEED(to);
    KD_NEED(batch);
    KD_NEED(from);
    KD_NEED(teacher_batch);
    KD_FAIL_IF(to == from, KD_ERR_INVALID, "kd_targets_align_batch: the two targets must differ");
    KD_FAIL_IF(batch->samples != teacher_batch->samples, KD_ERR_SHAPE,
               "the student's batch has %lld texts, the teacher's %lld", (long long)batch->samples,
               (long long)teacher_batch->samples);
    KD_FAIL_IF(from->fields.rows != teacher_batch->fields.rows, KD_ERR_SHAPE,
               "the teacher's batch has %lld rows, its targets %lld",
               (long long)teacher_batch->fields.rows, (long long)from->fields.rows);
    KD_FAIL_IF(from->fields.samples >= 0 && from->fields.samples != batch->samples, KD_ERR_SHAPE,
               "the batches have %lld texts, the targets %lld", (long long)batch->samples,
               (long long)from->fields.samples);
    KD_TRY(kd__targets_begin_for(to, batch));
    KD_TRY(map_batches(to, batch, teacher_batch, aligned ? aligned : &found));
    const kd_status status = align_fields(to, from);
    if (status != KD_OK) kd_targets_begin(to, 0);
    return status;
}
