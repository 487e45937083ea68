/* Heads on the teacher's side, and rows of teachers with another tokenizer. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"
#include "teacher/sparse.h"
#include "teacher/teacher.h"

static const kd_head head_defaults = KD_HEAD_INIT;
void kd_head_init(kd_head *o, size_t size) { kd__options_init(o, size, &head_defaults, sizeof head_defaults); }

static kd_status check_part(const kd_array *array, const char *what, int32_t rank, int64_t rows, int64_t columns)
{
    KD_TRY(kd__array_check(array, what));
    KD_FAIL_IF(array->dtype != KD_FLOAT32 || array->rank != rank || !kd__array_contiguous(array), KD_ERR_SHAPE,
               "head: %s: expected a contiguous float32 array of rank %d", what, rank);
    KD_FAIL_IF(rows && (array->dims[0] != rows || (rank == 2 && array->dims[1] != columns)), KD_ERR_SHAPE, "head: %s: expected %lld rows, got %lld",
               what, (long long)rows, (long long)array->dims[0]);
    return KD_OK;
}

kd_status kd__head_read(kd_head *to, const kd_head *from, int64_t *classes, int64_t *width)
{
    *to = head_defaults;
    KD_TRY(kd__options_read(to, sizeof *to, from, "kd_head"));
    KD_FAIL_IF(!to->weight, KD_ERR_INVALID, "head: weight is NULL");
    KD_TRY(check_part(to->weight, "weight", 2, 0, 0));
    *classes = to->weight->dims[0];
    *width = to->weight->dims[1];
    KD_FAIL_IF(*classes < 1 || *width < 1, KD_ERR_SHAPE, "head: weight is empty");
    if (to->bias) KD_TRY(check_part(to->bias, "bias", 1, *classes, 0));
    if (to->weight_gradient) KD_TRY(check_part(to->weight_gradient, "weight_gradient", 2, *classes, *width));
    if (to->bias_gradient) KD_TRY(check_part(to->bias_gradient, "bias_gradient", 1, *classes, 0));
    KD_FAIL_IF(to->scale == 0 || !isfinite(to->scale), KD_ERR_RANGE, "head: scale: %g", to->scale);
    KD_FAIL_IF(!(to->soft_cap >= 0) || !isfinite(to->soft_cap), KD_ERR_RANGE, "head: soft_cap: expected 0 (none) or above, got %g", to->soft_cap);
    KD_FAIL_IF(!(to->skip_bound >= 0), KD_ERR_RANGE, "head: skip_bound: expected 0 (exact) or above, got %g", to->skip_bound);
    return KD_OK;
}

const kd__virtual *kd__virtual_find(const kd_targets *targets, const char *name)
{
    for (int i = 0; i < KD__MAX_HEADS; i++)
        if (targets->heads[i].active && !strcmp(targets->heads[i].name, name)) return &targets->heads[i];
    return NULL;
}

kd_status kd_targets_borrow_head(kd_targets *targets, const char *name, const char *hidden, const kd_head *head)
{
    kd__virtual made = { .active = 1 };
    int64_t classes, width;
    KD_NEED(targets);
    KD_NEED(head);
    KD_TRY(kd__name_copy(made.name, name, "field"));
    KD_TRY(kd__name_copy(made.hidden, hidden, "hidden"));
    KD_TRY(kd__head_read(&made.head, head, &classes, &width));
    KD_FAIL_IF(made.head.weight_gradient || made.head.bias_gradient, KD_ERR_INVALID, "a teacher's head has no gradients");
    made.weight = *made.head.weight;
    if (made.head.bias) made.bias = *made.head.bias;
    int place = 0;
    while (place < KD__MAX_HEADS && targets->heads[place].active && strcmp(targets->heads[place].name, made.name)) place++;
    KD_FAIL_IF(place == KD__MAX_HEADS, KD_ERR_RANGE, "targets have at most %d heads", KD__MAX_HEADS);
    kd__virtual *to = &targets->heads[place];
    *to = made;
    to->head.weight = &to->weight;
    if (to->head.bias) to->head.bias = &to->bias;
    return KD_OK;
}

/* ---- another tokenizer ---- */

static kd_status read_ends(const kd_array *ends, const char *what, int64_t *count)
{
    KD_NEED(ends);
    KD_TRY(kd__array_check(ends, what));
    KD_FAIL_IF(ends->dtype != KD_INT64 || !kd__array_contiguous(ends), KD_ERR_DTYPE, "%s: expected contiguous int64, got %s", what,
               kd__dtype_name(ends->dtype));
    *count = kd_array_count(ends);
    const int64_t *e = ends->data;
    for (int64_t i = 0; i < *count; i++)
        KD_FAIL_IF(e[i] < (i ? e[i - 1] : 0), KD_ERR_RANGE, "%s: token %lld ends at byte %lld, before the one in front of it", what, (long long)i,
                   (long long)e[i]);
    return KD_OK;
}

kd_status kd_align_bytes(const kd_array *student_ends, const kd_array *teacher_ends, const kd_array *chunks, int64_t *count)
{
    int64_t n, m, room = 0, made = 0, i = 0, j = 0, begin_i = 0, begin_j = 0;
    KD_NEED(count);
    KD_TRY(read_ends(student_ends, "student_ends", &n));
    KD_TRY(read_ends(teacher_ends, "teacher_ends", &m));
    if (chunks) {
        KD_TRY(kd__array_check(chunks, "chunks"));
        KD_FAIL_IF(chunks->dtype != KD_INT64 || chunks->rank != 2 || chunks->dims[1] != 4 || !kd__array_contiguous(chunks), KD_ERR_SHAPE,
                   "chunks: expected (room, 4) int64");
        room = chunks->dims[0];
    }
    const int64_t *a = student_ends->data, *b = teacher_ends->data;
    while (i < n && j < m) {
        if (a[i] < b[j]) i++;
        else if (b[j] < a[i]) j++;
        else {
            while (i + 1 < n && a[i + 1] == a[i]) i++; /* tokens of no bytes belong to what is before them */
            while (j + 1 < m && b[j + 1] == b[j]) j++;
            KD_FAIL_IF(chunks && made == room, KD_ERR_RANGE, "chunks: room for %lld is too small", (long long)room);
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
    KD_FAIL_IF(chunks->dtype != KD_INT64 || chunks->rank != 2 || chunks->dims[1] != 4 || !kd__array_contiguous(chunks) || count < 0 ||
                   count > chunks->dims[0],
               KD_ERR_SHAPE, "chunks: expected (%lld or more, 4) int64", (long long)count);
    return KD_OK;
}

/* The teacher's row for each of the student's, -1: none. */
static kd_status map_rows(kd_targets *to, int64_t from_rows, const int64_t *c, int64_t count, int64_t student_begin, int64_t teacher_begin)
{
    const int64_t rows = to->fields.rows;
    KD_TRY(KD_RESERVE(to->object.context, &to->places, &to->places_room, rows));
    for (int64_t r = 0; r < rows; r++) to->places[r] = -1;
    for (int64_t i = 0; i < count; i++, c += 4) {
        int64_t row = student_begin + c[0], source = teacher_begin + c[2];
        KD_FAIL_IF(c[0] < 0 || c[1] <= c[0] || c[2] < 0 || c[3] <= c[2] || row < 0 || row >= rows || source < 0 || source >= from_rows, KD_ERR_RANGE,
                   "chunk %lld lies outside the rows (%lld and %lld)", (long long)i, (long long)rows, (long long)from_rows);
        if (c[1] == c[0] + 1 && c[3] == c[2] + 1) to->places[row] = source;
    }
    return KD_OK;
}

static kd_status align_dense(kd_targets *to, const kd__field *from)
{
    int64_t dims[KD_MAX_RANK];
    const kd__field *old = kd__fields_find(&to->fields, from->name);
    int again = old && old->present && old->values.data == old->buffer && kd__array_row(&old->values) == kd__array_row(&from->values);
    kd__field *made;
    const size_t row = (size_t)kd__array_row(&from->values) * kd_dtype_size(from->values.dtype);
    memcpy(dims, from->values.dims, sizeof dims);
    dims[0] = to->fields.rows;
    if (again) made = (kd__field *)(uintptr_t)old;
    else {
        KD_TRY(kd__fields_open(&to->fields, from->name, from->values.dtype, from->values.rank, dims, &made));
        KD_TRY(kd__fields_open_present(&to->fields, made));
        memset(made->present_buffer, 0, (size_t)dims[0]);
    }
    for (int64_t r = 0; r < dims[0]; r++) {
        const int64_t source = to->places[r];
        if (source < 0 || (from->present && !from->present[source])) continue;
        made->present_buffer[r] = 1;
        memcpy(made->buffer + (size_t)r * row, (const char *)from->values.data + (size_t)source * row, row);
    }
    return KD_OK;
}

static kd_status align_sparse(kd_targets *to, const kd__sparse *from)
{
    kd__sparse *made;
    KD_FAIL_IF(kd__sparse_find(to, from->name), KD_ERR_STATE, "the sparse field '%s' is there already: align all samples in one call", from->name);
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
            if (t) memcpy(made->tails + r * t, from->tails + source * t, (size_t)t * sizeof *made->tails);
        }
        kd__sparse_close_row(made, r, count);
    }
    return KD_OK;
}

kd_status kd_targets_align(kd_targets *to, kd_targets *from, const char *field, const kd_array *chunks, int64_t count, int64_t student_begin,
                           int64_t teacher_begin, int64_t *absent)
{
    KD_NEED(to);
    KD_NEED(from);
    KD_NEED(field);
    KD_FAIL_IF(to == from, KD_ERR_INVALID, "kd_targets_align: the two targets must differ");
    KD_TRY(check_chunks(chunks, count));
    KD_TRY(map_rows(to, from->fields.rows, chunks->data, count, student_begin, teacher_begin));
    const kd__field *dense = kd__fields_find(&from->fields, field);
    const kd__sparse *sparse = kd__sparse_find(from, field);
    KD_FAIL_IF(!dense && !sparse, KD_ERR_NOT_FOUND, "targets: no field '%.60s'", field);
    if (dense) KD_TRY(align_dense(to, dense));
    else KD_TRY(align_sparse(to, sparse));
    if (!absent) return KD_OK;
    *absent = 0;
    for (int64_t r = 0; r < to->fields.rows; r++) *absent += to->places[r] < 0;
    return KD_OK;
}

kd_status kd_chunk_sums(const kd_array *log_probabilities, const kd_array *chunks, int64_t count, int32_t side, const kd_array *sums)
{
    KD_NEED(log_probabilities);
    KD_NEED(sums);
    KD_TRY(check_chunks(chunks, count));
    KD_TRY(kd__array_check(log_probabilities, "log_probabilities"));
    KD_TRY(kd__array_check(sums, "sums"));
    KD_FAIL_IF(side != 0 && side != 2, KD_ERR_RANGE, "side: expected 0 (student) or 2 (teacher), got %d", side);
    KD_FAIL_IF(log_probabilities->dtype != KD_FLOAT32 || sums->dtype != KD_FLOAT64 || !kd__array_contiguous(log_probabilities) ||
                   !kd__array_contiguous(sums) || kd_array_count(sums) < count,
               KD_ERR_SHAPE, "kd_chunk_sums: expected float32 log-probabilities and (%lld) float64 sums", (long long)count);
    const int64_t *c = chunks->data, n = kd_array_count(log_probabilities);
    for (int64_t i = 0; i < count; i++, c += 4) {
        double sum = 0;
        KD_FAIL_IF(c[side] < 0 || c[side + 1] > n, KD_ERR_RANGE, "chunk %lld lies outside the %lld log-probabilities", (long long)i, (long long)n);
        for (int64_t t = c[side]; t < c[side + 1]; t++) sum += ((const float *)log_probabilities->data)[t];
        ((double *)sums->data)[i] = sum;
    }
    return KD_OK;
}
