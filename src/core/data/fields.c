/* Named arrays with rows or samples that may be absent: what batches and targets are made of. */
#include "core/data/fields.h"

#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/text.h"

void kd__fields_begin(kd__fields *fields, int64_t rows)
{
    fields->rows = rows;
    fields->samples = -1;
    fields->one_row = 0;
    for (int64_t i = 0; i < fields->count; i++) fields->items[i].active = 0;
}

void kd__fields_join(kd__fields *fields)
{
    fields->samples = fields->rows;
    fields->one_row = 1;
    for (int64_t i = 0; i < fields->count; i++)
        if (fields->items[i].unit == KD__OF_SAMPLES) fields->items[i].unit = KD__OF_ROWS;
}

static kd__field *find_any(const kd__fields *fields, const char *name)
{
    for (int64_t i = 0; i < fields->count; i++)
        if (!strcmp(fields->items[i].name, name)) return &fields->items[i];
    return NULL;
}

static kd_status slot(kd__fields *fields, const char *name, const char *what, kd__field **out)
{
    char copy[KD_NAME_BYTES];
    KD_TRY(kd__name_copy(copy, name, what));
    kd__field *field = find_any(fields, copy);
    if (!field) {
        KD_TRY(KD_RESERVE(fields->context, &fields->items, &fields->room, fields->count + 1));
        field = &fields->items[fields->count++];
        memset(field, 0, sizeof *field);
        memcpy(field->name, copy, sizeof copy);
    }
    field->present = NULL;
    field->attention = (kd__attention_facts){ 0 };
    *out = field;
    return KD_OK;
}

const char *kd__unit_name(int32_t unit)
{
    static const char *const names[] = { "per row", "per sample", "ragged", "per batch" };
    return names[unit];
}

/* Entries that may be absent. */
static int64_t entries_of(const kd__fields *fields, int32_t unit)
{
    return unit == KD__OF_ROWS ? fields->rows : fields->samples;
}

kd_status kd__fields_open_unit(kd__fields *fields, int32_t unit, const char *name, int32_t dtype,
                               int32_t rank, const int64_t *dims, kd__field **out)
{
    kd__field *field;
    KD_TRY(slot(fields, name, "field", &field));
    field->active = 0;
    field->unit = unit == KD__OF_SAMPLES && fields->one_row ? KD__OF_ROWS : unit;
    kd__array_view(&field->values, NULL, dtype, rank, dims);
    int64_t bytes;
    KD_TRY(kd__multiply(kd_array_count(&field->values), (int64_t)kd_dtype_bytes(dtype), &bytes));
    KD_TRY(KD_RENEW(fields->context, &field->buffer, &field->room, bytes));
    field->values.data = field->buffer;
    field->active = 1;
    *out = field;
    return KD_OK;
}

kd_status kd__fields_open(kd__fields *fields, const char *name, int32_t dtype, int32_t rank,
                          const int64_t *dims, kd__field **out)
{
    return kd__fields_open_unit(fields, KD__OF_ROWS, name, dtype, rank, dims, out);
}

kd_status kd__fields_open_present(kd__fields *fields, kd__field *field)
{
    const int64_t entries = entries_of(fields, field->unit);
    KD_TRY(KD_RESERVE(fields->context, &field->present_buffer, &field->present_room, entries + 1));
    memset(field->present_buffer, 1, (size_t)entries);
    field->present = field->present_buffer;
    return KD_OK;
}

static kd_status check_present(const kd__fields *fields, int32_t unit, const char *name,
                               const kd_array *present, const char *what)
{
    const int64_t entries = entries_of(fields, unit);
    if (!present || !present->data) return KD_OK;
    KD_TRY(kd__array_check(present, "present"));
    KD_FAIL_IF(present->dtype != KD_UINT8 || present->rank != 1 || present->dims[0] != entries,
               KD_ERR_SHAPE, "%s '%.60s': present: expected (%lld) uint8, got %s of rank %d", what,
               name ? name : "", (long long)entries, kd__dtype_name(present->dtype), present->rank);
    return KD_OK;
}

static kd_status check_entries(const kd__fields *fields, int32_t unit, const char *name,
                               const kd_array *values, const kd_array *present, const char *what)
{
    const int64_t entries = entries_of(fields, unit);
    KD_TRY(kd__array_check(values, name ? name : what));
    KD_FAIL_IF(values->rank < 1 || values->dims[0] != entries, KD_ERR_SHAPE,
               "%s '%.60s': expected %lld %s, got %lld", what, name ? name : "", (long long)entries,
               unit == KD__OF_ROWS ? "rows" : "samples",
               values->rank < 1 ? 0 : (long long)values->dims[0]);
    return check_present(fields, unit, name, present, what);
}

/* A copy of values and presence, which were checked. */
static kd_status copy_in(kd__fields *fields, int32_t unit, const char *name, const kd_array *values,
                         const kd_array *present, kd__field **field)
{
    const int32_t dtype = kd__dtype_is_integer(values->dtype) ? KD_INT64 : KD_FLOAT32;
    KD_TRY(kd__fields_open_unit(fields, unit, name, dtype, values->rank, values->dims, field));
    void *to = (*field)->buffer;
    if (dtype == KD_INT64) KD_TRY(kd__array_to_int64(values, to, name));
    else KD_TRY(kd__array_to_float32(values, to, name));
    if (!present || !present->data) return KD_OK;
    KD_TRY(kd__fields_open_present(fields, *field));
    kd__array_copy(present, (*field)->present_buffer);
    return KD_OK;
}

kd_status kd__fields_set(kd__fields *fields, int32_t unit, const char *name, const kd_array *values,
                         const kd_array *present, const char *what)
{
    kd__field *field;
    KD_TRY(check_entries(fields, unit, name, values, present, what));
    return copy_in(fields, unit, name, values, present, &field);
}

kd_status kd__offsets_check(const int64_t *offsets, int64_t count, const char *what)
{
    KD_FAIL_IF(offsets[0], KD_ERR_RANGE, "%s[0]: expected 0, got %lld", what,
               (long long)offsets[0]);
    for (int64_t i = 1; i < count; i++)
        KD_FAIL_IF(offsets[i] < offsets[i - 1], KD_ERR_RANGE,
                   "%s[%lld] is %lld, below the one before", what, (long long)i,
                   (long long)offsets[i]);
    return KD_OK;
}

static kd_status read_offsets(kd__fields *fields, kd__field *field, const kd_array *offsets)
{
    const int64_t count = fields->samples + 1, rows = field->values.dims[0];
    KD_TRY(KD_RESERVE(fields->context, &field->offsets, &field->offsets_room, count));
    KD_TRY(kd__array_to_int64(offsets, field->offsets, "offsets"));
    KD_TRY(kd__offsets_check(field->offsets, count, "offsets"));
    KD_FAIL_IF(field->offsets[count - 1] != rows, KD_ERR_SHAPE,
               "offsets of '%s' end at %lld, its values have %lld rows", field->name,
               (long long)field->offsets[count - 1], (long long)rows);
    return KD_OK;
}

kd_status kd__fields_set_ragged(kd__fields *fields, const char *name, const kd_array *values,
                                const kd_array *offsets, const kd_array *present, const char *what)
{
    kd__field *field;
    KD_TRY(kd__array_check(values, name ? name : what));
    KD_TRY(kd__array_check(offsets, "offsets"));
    KD_FAIL_IF(values->rank < 1, KD_ERR_SHAPE, "%s '%.60s': expected (its rows, ...)", what,
               name ? name : "");
    KD_FAIL_IF(offsets->rank != 1 || offsets->dims[0] != fields->samples + 1, KD_ERR_SHAPE,
               "%s '%.60s': offsets: expected (samples + 1), %lld of them, got %lld", what,
               name ? name : "", (long long)fields->samples + 1,
               offsets->rank < 1 ? 0 : (long long)offsets->dims[0]);
    KD_TRY(check_present(fields, KD__RAGGED, name, present, what));
    KD_TRY(copy_in(fields, KD__RAGGED, name, values, present, &field));
    field->active = 0;
    KD_TRY(read_offsets(fields, field, offsets));
    field->active = 1;
    return KD_OK;
}

kd_status kd__fields_borrow(kd__fields *fields, int32_t unit, const char *name,
                            const kd_array *values, const kd_array *present, int halves,
                            const char *what)
{
    kd__field *field;
    KD_TRY(check_entries(fields, unit, name, values, present, what));
    int half = halves && (values->dtype == KD_FLOAT16 || values->dtype == KD_BFLOAT16);
    KD_FAIL_IF(values->dtype != KD_FLOAT32 && values->dtype != KD_INT64 && !half, KD_ERR_DTYPE,
               "%s '%.60s': borrow takes float32 or int64, got %s", what, name,
               kd__dtype_name(values->dtype));
    KD_FAIL_IF(!kd__array_contiguous(values) ||
                   (present && present->data && !kd__array_contiguous(present)),
               KD_ERR_SHAPE, "%s '%.60s': borrow: expected contiguous arrays", what, name);
    KD_TRY(slot(fields, name, what, &field));
    kd__array_view(&field->values, values->data, values->dtype, values->rank, values->dims);
    field->unit = unit == KD__OF_SAMPLES && fields->one_row ? KD__OF_ROWS : unit;
    field->present = present ? present->data : NULL;
    field->active = 1;
    return KD_OK;
}

void kd__fields_set_attention(kd__fields *fields, const char *name, kd__attention_facts facts)
{
    kd__field *field = find_any(fields, name);
    if (field) field->attention = facts;
}

const kd__field *kd__fields_find(const kd__fields *fields, const char *name)
{
    kd__field *field = find_any(fields, name);
    return field && field->active ? field : NULL;
}

kd_status kd__fields_find_rows(const kd__fields *fields, const char *name, const char *what,
                               const kd__field **out)
{
    *out = kd__fields_find(fields, name);
    KD_FAIL_IF(*out && (*out)->unit != KD__OF_ROWS, KD_ERR_SHAPE,
               "%s '%.60s' is %s (%lld): expected one entry a row (%lld)", what, name,
               kd__unit_name((*out)->unit), (long long)(*out)->values.dims[0],
               (long long)fields->rows);
    return KD_OK;
}

kd_status kd__fields_view(const kd__fields *fields, const char *name, kd_array *values,
                          kd_array *present, const char *what)
{
    KD_FAIL_IF(!name, KD_ERR_INVALID, "%s: expected a field's name, got NULL", what);
    const kd__field *field = kd__fields_find(fields, name);
    KD_FAIL_IF(!field, KD_ERR_NOT_FOUND, "%s: no field '%.60s'", what, name);
    if (values) *values = field->values;
    const int64_t entries = entries_of(fields, field->unit);
    if (present) kd__array_view(present, (void *)(uintptr_t)field->present, KD_UINT8, 1, &entries);
    return KD_OK;
}

void kd__fields_free(kd__fields *fields)
{
    for (int64_t i = 0; i < fields->count; i++) {
        kd__release(fields->context, fields->items[i].buffer);
        kd__release(fields->context, fields->items[i].present_buffer);
        kd__release(fields->context, fields->items[i].offsets);
    }
    kd__release(fields->context, fields->items);
    fields->items = NULL;
    fields->count = fields->room = 0;
}
