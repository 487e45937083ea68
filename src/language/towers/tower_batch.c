/* What a tower reads of a batch: the samples that have its modality, as a batch of their own. A
 * sample lacks it where the field is absent, is marked absent, or has no rows for it. A field of
 * integers (samples, L) holds tokens: those below 0 are none. */
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "language/towers/towers.h"

/* Where a sample's entries lie in a field. */
typedef struct {
    const kd_batch *batch;
    const kd__field *field;
    int64_t length;  /* of a sample's row of tokens; 0: it is none */
    int32_t by_rows; /* entries and presence are of the batch's rows */
} reading;

static reading reading_of(const kd__tower *tower, const kd_batch *batch)
{
    const kd__field *field = kd__fields_find(&batch->fields, tower->model.net.input);
    reading r = { batch, field, 0, 0 };
    if (!field) return r;
    const int of_samples = field->unit == KD__OF_SAMPLES || batch->fields.one_row;
    r.by_rows = field->unit == KD__OF_ROWS && !batch->fields.one_row;
    if (of_samples && field->unit != KD__RAGGED && field->values.dtype == KD_INT64 &&
        field->values.rank == 2)
        r.length = field->values.dims[1];
    return r;
}

static void range_of(const reading *r, int64_t sample, int64_t *first, int64_t *end)
{
    const int64_t *offsets = r->by_rows                     ? r->batch->offsets
                             : r->field->unit == KD__RAGGED ? r->field->offsets
                                                            : NULL;
    *first = offsets ? offsets[sample] : sample * (r->length ? r->length : 1);
    *end = offsets ? offsets[sample + 1] : *first + (r->length ? r->length : 1);
}

static int has_entry(const reading *r, int64_t sample, int64_t entry)
{
    const uint8_t *present = r->field->present;
    if (present && !present[r->by_rows ? entry : sample]) return 0;
    return !r->length || ((const int64_t *)r->field->values.data)[entry] >= 0;
}

static int has_any(const reading *r, int64_t sample)
{
    int64_t first, end;
    if (!r->field) return 0;
    range_of(r, sample, &first, &end);
    for (int64_t i = first; i < end; i++)
        if (has_entry(r, sample, i)) return 1;
    return 0;
}

kd_status kd__tower_presence(const kd__tower *tower, const kd_batch *batch, uint8_t *present,
                             int *all)
{
    const reading r = reading_of(tower, batch);
    *all = 1;
    for (int64_t s = 0; s < batch->samples; s++) {
        present[s] = (uint8_t)has_any(&r, s);
        *all &= present[s];
    }
    return KD_OK;
}

/* ---- rows ---- */

static int64_t entries_of(const reading *r)
{
    if (!r->field) return 0;
    return r->length ? kd_array_count(&r->field->values) : r->field->values.dims[0];
}

static void list_rows(const reading *r, kd__tower_batch *seen)
{
    seen->samples = seen->rows = seen->offsets[0] = 0;
    for (int64_t s = 0; s < seen->all; s++) {
        int64_t first = 0, end = 0;
        const int64_t before = seen->rows;
        if (r->field) range_of(r, s, &first, &end);
        for (int64_t i = first; i < end; i++)
            if (has_entry(r, s, i)) seen->row[seen->rows++] = i;
        seen->present[s] = seen->rows > before;
        if (!seen->present[s]) continue;
        seen->sample[seen->samples++] = s;
        seen->offsets[seen->samples] = seen->rows;
    }
}

kd_status kd__tower_take(kd__tower *tower, kd_context *context, const kd_batch *batch)
{
    kd__tower_batch *seen = &tower->seen;
    const reading r = reading_of(tower, batch);
    seen->all = batch->samples;
    seen->all_rows = entries_of(&r);
    seen->is_of_rows =
        r.by_rows || (batch->fields.one_row && !r.length && r.field && r.field->unit != KD__RAGGED);
    KD_TRY(KD_RESERVE(context, &seen->present, &seen->present_room, seen->all));
    KD_TRY(KD_RESERVE(context, &seen->sample, &seen->sample_room, seen->all));
    KD_TRY(KD_RESERVE(context, &seen->offsets, &seen->offsets_room, seen->all + 1));
    KD_TRY(KD_RESERVE(context, &seen->row, &seen->row_room, seen->all_rows + 1));
    list_rows(&r, seen);
    return KD_OK;
}

/* ---- the batch ---- */

/* Some of a field's entries, in order; all of them are borrowed. */
static kd_status pick(kd_batch *to, const char *name, const kd_array *values, const int64_t *which,
                      int64_t count)
{
    kd__field *made;
    int64_t dims[KD_ARRAY_MAX_RANK];
    const size_t bytes = (size_t)kd__array_row(values) * kd_dtype_bytes(values->dtype);
    if (count == values->dims[0])
        return kd__fields_borrow(&to->fields, KD__OF_ROWS, name, values, NULL, 0, "tower's field");
    memcpy(dims, values->dims, sizeof dims);
    dims[0] = count;
    KD_TRY(kd__fields_open(&to->fields, name, values->dtype, values->rank, dims, &made));
    for (int64_t i = 0; i < count; i++)
        memcpy(made->buffer + (size_t)i * bytes,
               (const char *)values->data + (size_t)which[i] * bytes, bytes);
    return KD_OK;
}

/* What tokens have beside themselves. */
static kd_status add_types(const kd__tower_batch *seen, const kd_batch *batch)
{
    const kd__field *field = kd__fields_find(&batch->fields, "token_types");
    if (!field || !seen->is_of_rows || field->unit != KD__OF_ROWS) return KD_OK;
    return pick(seen->batch, field->name, &field->values, seen->row, seen->rows);
}

static kd_status add_prompts(const kd__tower_batch *seen, const kd_batch *batch)
{
    const kd__field *field = kd__fields_find(&batch->fields, "prompt_length");
    kd__field *made;
    const int fits = field && field->unit != KD__RAGGED && field->values.rank == 1 &&
                     field->values.dtype == KD_INT64 && field->values.dims[0] == seen->all;
    if (!fits) return KD_OK;
    KD_TRY(kd__fields_open_unit(&seen->batch->fields, KD__OF_SAMPLES, field->name, KD_INT64, 1,
                                &seen->samples, &made));
    for (int64_t i = 0; i < seen->samples; i++)
        ((int64_t *)made->values.data)[i] = ((const int64_t *)field->values.data)[seen->sample[i]];
    return KD_OK;
}

kd_status kd__tower_fill(kd__tower *tower, kd_context *context, const kd_batch *batch)
{
    kd__tower_batch *seen = &tower->seen;
    const reading r = reading_of(tower, batch);
    kd_array values = r.field->values;
    if (!seen->batch) KD_TRY(kd_batch_create(&seen->batch, context, NULL));
    KD_TRY(kd__batch_begin(seen->batch, NULL, seen->samples));
    memcpy(seen->batch->offsets, seen->offsets,
           (size_t)(seen->samples + 1) * sizeof *seen->offsets);
    seen->batch->fields.rows = seen->rows;
    seen->batch->fields.one_row = seen->rows == seen->samples;
    if (r.length) kd__array_view(&values, values.data, KD_INT64, 1, &seen->all_rows);
    KD_TRY(pick(seen->batch, r.field->name, &values, seen->row, seen->rows));
    KD_TRY(add_types(seen, batch));
    return add_prompts(seen, batch);
}

/* ---- between the samples that are there and all of them ---- */

void kd__tower_spread(const kd__tower_batch *seen, const float *from, int64_t width, float *to)
{
    memset(to, 0, (size_t)(seen->all * width) * sizeof *to);
    for (int64_t i = 0; i < seen->samples; i++)
        memcpy(to + seen->sample[i] * width, from + i * width, (size_t)width * sizeof *to);
}

void kd__tower_gather(const kd__tower_batch *seen, const float *from, int64_t width, float *to)
{
    for (int64_t i = 0; i < seen->samples; i++)
        memcpy(to + i * width, from + seen->sample[i] * width, (size_t)width * sizeof *to);
}
