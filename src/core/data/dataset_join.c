/* New datasets out of old ones. */
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "core/data/data.h"

static kd_status select_column(kd_dataset *made, const kd__column *column, const int64_t *indices,
                               int64_t count)
{
    kd_context *context = made->object.context;
    size_t row = (size_t)kd__array_row(&column->values) * kd_dtype_bytes(column->values.dtype);
    kd_array values = column->values;
    uint8_t *present = NULL;
    values.data = NULL;
    values.dims[0] = count;
    KD_TRY(kd__allocate(context, &values.data, count, row ? row : 1));
    for (int64_t i = 0; i < count; i++)
        memcpy((char *)values.data + (size_t)i * row,
               (const char *)column->values.data + (size_t)indices[i] * row, row);
    if (column->present) {
        kd_status status = KD_NEW(context, &present, count);
        if (status != KD_OK) {
            kd__release(context, values.data);
            return status;
        }
        for (int64_t i = 0; i < count; i++) present[i] = column->present[indices[i]];
    }
    kd_status status = kd__dataset_take(made, column->name, &values, column, present);
    kd__release(context, present);
    return status;
}

static kd_status select_all(kd_dataset *made, kd_dataset *dataset, const int64_t *indices,
                            int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        KD_FAIL_IF(indices[i] < 0 || indices[i] >= dataset->samples, KD_ERR_RANGE,
                   "indices[%lld]: expected 0 to %lld, got %lld", (long long)i,
                   (long long)dataset->samples - 1, (long long)indices[i]);
    for (int64_t i = 0; i < dataset->count; i++)
        KD_TRY(select_column(made, &dataset->columns[i], indices, count));
    return KD_OK;
}

kd_status kd_dataset_select(kd_dataset **out, kd_dataset *dataset, const kd_array *indices)
{
    kd_dataset *made = NULL;
    int64_t *numbers = NULL;
    KD_NEED(out);
    KD_NEED(dataset);
    KD_TRY(kd__array_check(indices, "indices"));
    KD_FAIL_IF(indices->rank != 1, KD_ERR_SHAPE, "indices: expected rank 1, got %d", indices->rank);
    KD_FAIL_IF(!dataset->count, KD_ERR_STATE, "the dataset has no fields: add one first");
    kd_context *context = dataset->object.context;
    KD_TRY(KD_NEW(context, &numbers, indices->dims[0]));
    kd_status status = kd__array_to_int64(indices, numbers, "indices");
    if (status == KD_OK) status = kd_dataset_create(&made, context, NULL);
    if (status == KD_OK) status = select_all(made, dataset, numbers, indices->dims[0]);
    kd__release(context, numbers);
    if (status != KD_OK) {
        kd_dataset_free(made);
        return status;
    }
    *out = made;
    return KD_OK;
}

static kd_status check_same(const kd__column *a, const kd__column *b)
{
    int same = a->values.dtype == b->values.dtype && a->values.rank == b->values.rank;
    for (int32_t i = 1; same && i < a->values.rank; i++)
        same = a->values.dims[i] == b->values.dims[i];
    KD_FAIL_IF(!same, KD_ERR_SHAPE,
               "field '%s': expected the same dtype and shape of a sample in all parts", a->name);
    KD_FAIL_IF(a->scale != b->scale || a->shift != b->shift, KD_ERR_SHAPE,
               "field '%s': expected scale %g and shift %g in all parts, got %g and %g", a->name,
               a->scale, a->shift, b->scale, b->shift);
    KD_FAIL_IF(!kd__channels_equal(a, b), KD_ERR_SHAPE,
               "field '%s': expected the same channel_scale and channel_shift in all parts",
               a->name);
    return KD_OK;
}

static kd_status concat_column(kd_dataset *made, const kd__column *model, kd_dataset *const *parts,
                               int32_t count, int64_t samples)
{
    kd_context *context = made->object.context;
    size_t row = (size_t)kd__array_row(&model->values) * kd_dtype_bytes(model->values.dtype);
    kd_array values = model->values;
    uint8_t *present = NULL;
    int64_t at = 0, absent = 0;
    values.dims[0] = samples;
    values.data = NULL;
    for (int32_t p = 0; p < count; p++) {
        const kd__column *column = kd__dataset_column(parts[p], model->name);
        if (column) KD_TRY(check_same(model, column));
    }
    KD_TRY(kd__allocate(context, &values.data, samples, row ? row : 1));
    kd_status status = KD_NEW(context, &present, samples);
    for (int32_t p = 0; p < count && status == KD_OK; at += parts[p++]->samples) {
        const kd__column *column = kd__dataset_column(parts[p], model->name);
        if (column)
            memcpy((char *)values.data + (size_t)at * row, column->values.data,
                   (size_t)parts[p]->samples * row);
        for (int64_t i = 0; i < parts[p]->samples; i++) {
            present[at + i] = column && (!column->present || column->present[i]);
            absent += !present[at + i];
        }
    }
    if (status == KD_OK)
        status = kd__dataset_take(made, model->name, &values, model, absent ? present : NULL);
    else kd__release(context, values.data);
    kd__release(context, present);
    return status;
}

static kd_status concat_all(kd_dataset *made, kd_dataset *const *parts, int32_t count)
{
    int64_t samples = 0;
    for (int32_t p = 0; p < count; p++) {
        KD_FAIL_IF(!parts[p] || !parts[p]->count, KD_ERR_INVALID,
                   "part %d: expected a dataset with fields, got %s", p,
                   parts[p] ? "one without" : "NULL");
        KD_FAIL_IF(__builtin_add_overflow(samples, parts[p]->samples, &samples), KD_ERR_RANGE,
                   "the parts: expected a number of samples that fits in 64 bits, got more");
    }
    for (int32_t p = 0; p < count; p++)
        for (int64_t i = 0; i < parts[p]->count; i++)
            if (!kd__dataset_column(made, parts[p]->columns[i].name))
                KD_TRY(concat_column(made, &parts[p]->columns[i], parts, count, samples));
    return KD_OK;
}

kd_status kd_dataset_concat(kd_dataset **out, kd_dataset *const *parts, int32_t count)
{
    kd_dataset *made = NULL;
    KD_NEED(out);
    KD_NEED(parts);
    KD_FAIL_IF(count < 1 || !parts[0], KD_ERR_INVALID, "concat needs at least one part");
    KD_TRY(kd_dataset_create(&made, parts[0]->object.context, NULL));
    kd_status status = concat_all(made, parts, count);
    if (status != KD_OK) {
        kd_dataset_free(made);
        return status;
    }
    *out = made;
    return KD_OK;
}
