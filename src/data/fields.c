#include "data/fields.h"

#include <string.h>

#include "base/array.h"
#include "base/text.h"

void kd__fields_begin(kd__fields *fields, int64_t rows)
{
    fields->rows = rows;
    for (int64_t i = 0; i < fields->count; i++) fields->items[i].active = 0;
}

static kd__field *find_any(const kd__fields *fields, const char *name)
{
    for (int64_t i = 0; i < fields->count; i++)
        if (!strcmp(fields->items[i].name, name)) return &fields->items[i];
    return NULL;
}

static kd_status slot(kd__fields *fields, const char *name, const char *what, kd__field **out)
{
    char copy[KD_MAX_NAME];
    KD_TRY(kd__name_copy(copy, name, what));
    kd__field *field = find_any(fields, copy);
    if (!field) {
        if (fields->count == fields->room) KD_TRY(KD_RESERVE(fields->context, &fields->items, &fields->room, 8 + 2 * fields->room));
        field = &fields->items[fields->count++];
        memset(field, 0, sizeof *field);
        memcpy(field->name, copy, sizeof copy);
    }
    field->present = NULL;
    *out = field;
    return KD_OK;
}

kd_status kd__fields_open(kd__fields *fields, const char *name, int32_t dtype, int32_t rank, const int64_t *dims, kd__field **out)
{
    kd__field *field;
    KD_TRY(slot(fields, name, "field", &field));
    field->active = 0;
    kd__array_view(&field->values, NULL, dtype, rank, dims);
    int64_t bytes;
    KD_TRY(kd__multiply(kd_array_count(&field->values), (int64_t)kd_dtype_size(dtype), &bytes));
    if (bytes > field->room) {
        kd__release(fields->context, field->buffer);
        field->buffer = NULL;
        field->room = 0;
        KD_TRY(KD_RESERVE(fields->context, &field->buffer, &field->room, bytes));
    }
    field->values.data = field->buffer;
    field->active = 1;
    *out = field;
    return KD_OK;
}

kd_status kd__fields_open_present(kd__fields *fields, kd__field *field)
{
    KD_TRY(KD_RESERVE(fields->context, &field->present_buffer, &field->present_room, fields->rows + 1));
    memset(field->present_buffer, 1, (size_t)fields->rows);
    field->present = field->present_buffer;
    return KD_OK;
}

static kd_status check_rows(const kd__fields *fields, const char *name, const kd_array *values, const kd_array *present, const char *what)
{
    KD_TRY(kd__array_check(values, name ? name : what));
    KD_FAIL_IF(values->rank < 1 || values->dims[0] != fields->rows, KD_ERR_SHAPE, "%s '%.60s': expected %lld rows, got %lld", what, name ? name : "",
               (long long)fields->rows, values->rank < 1 ? 0 : (long long)values->dims[0]);
    if (!present || !present->data) return KD_OK;
    KD_TRY(kd__array_check(present, "present"));
    KD_FAIL_IF(present->dtype != KD_UINT8 || present->rank != 1 || present->dims[0] != fields->rows, KD_ERR_SHAPE,
               "%s '%.60s': present must be (%lld) uint8", what, name ? name : "", (long long)fields->rows);
    return KD_OK;
}

kd_status kd__fields_set(kd__fields *fields, const char *name, const kd_array *values, const kd_array *present, const char *what)
{
    kd__field *field;
    KD_TRY(check_rows(fields, name, values, present, what));
    int32_t dtype = kd__dtype_is_integer(values->dtype) ? KD_INT64 : KD_FLOAT32;
    KD_TRY(kd__fields_open(fields, name, dtype, values->rank, values->dims, &field));
    if (dtype == KD_INT64) KD_TRY(kd__array_to_int64(values, (int64_t *)(void *)field->buffer, name));
    else KD_TRY(kd__array_to_float32(values, (float *)(void *)field->buffer, name));
    if (!present || !present->data) return KD_OK;
    KD_TRY(kd__fields_open_present(fields, field));
    kd__array_copy(present, field->present_buffer);
    return KD_OK;
}

kd_status kd__fields_borrow(kd__fields *fields, const char *name, const kd_array *values, const kd_array *present, int halves, const char *what)
{
    kd__field *field;
    KD_TRY(check_rows(fields, name, values, present, what));
    int half = halves && (values->dtype == KD_FLOAT16 || values->dtype == KD_BFLOAT16);
    KD_FAIL_IF(values->dtype != KD_FLOAT32 && values->dtype != KD_INT64 && !half, KD_ERR_DTYPE, "%s '%.60s': borrow takes float32 or int64, got %s",
               what, name, kd__dtype_name(values->dtype));
    KD_FAIL_IF(!kd__array_contiguous(values) || (present && present->data && !kd__array_contiguous(present)), KD_ERR_SHAPE,
               "%s '%.60s': borrow takes contiguous arrays", what, name);
    KD_TRY(slot(fields, name, what, &field));
    kd__array_view(&field->values, values->data, values->dtype, values->rank, values->dims);
    field->present = present ? present->data : NULL;
    field->active = 1;
    return KD_OK;
}

const kd__field *kd__fields_find(const kd__fields *fields, const char *name)
{
    kd__field *field = find_any(fields, name);
    return field && field->active ? field : NULL;
}

kd_status kd__fields_view(const kd__fields *fields, const char *name, kd_array *values, kd_array *present, const char *what)
{
    KD_FAIL_IF(!name, KD_ERR_INVALID, "%s: the field's name is NULL", what);
    const kd__field *field = kd__fields_find(fields, name);
    KD_FAIL_IF(!field, KD_ERR_NOT_FOUND, "%s: no field '%.60s'", what, name);
    if (values) *values = field->values;
    if (present) kd__array_view(present, (void *)(uintptr_t)field->present, KD_UINT8, 1, &fields->rows);
    return KD_OK;
}

void kd__fields_free(kd__fields *fields)
{
    for (int64_t i = 0; i < fields->count; i++) {
        kd__release(fields->context, fields->items[i].buffer);
        kd__release(fields->context, fields->items[i].present_buffer);
    }
    kd__release(fields->context, fields->items);
    fields->items = NULL;
    fields->count = fields->room = 0;
}
