/* Datasets: samples of named fields, from arrays, files and tables. */
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "formats/formats.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "core/data/data.h"

static const kd_dataset_options dataset_defaults = KD_DATASET_OPTIONS_INIT;
static const kd_field_options field_defaults = KD_FIELD_OPTIONS_INIT;
static const kd_csv_options csv_defaults = KD_CSV_OPTIONS_INIT;

void kd_dataset_options_init(kd_dataset_options *o, size_t size)
{
    kd__options_init(o, size, &dataset_defaults, sizeof dataset_defaults);
}
void kd_field_options_init(kd_field_options *o, size_t size)
{
    kd__options_init(o, size, &field_defaults, sizeof field_defaults);
}
void kd_csv_options_init(kd_csv_options *o, size_t size)
{
    kd__options_init(o, size, &csv_defaults, sizeof csv_defaults);
}

kd_status kd_dataset_create(kd_dataset **out, kd_context *context,
                            const kd_dataset_options *options)
{
    kd_dataset_options o = dataset_defaults;
    kd_dataset *dataset = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_dataset_options"));
    KD_TRY(kd__object_create((void **)&dataset, context, sizeof *dataset));
    dataset->samples = -1;
    *out = dataset;
    return KD_OK;
}

void kd_dataset_free(kd_dataset *dataset)
{
    if (!kd__object_drop(dataset)) return;
    kd_context *context = dataset->object.context;
    for (int64_t i = 0; i < dataset->count; i++) {
        if (dataset->columns[i].owned) kd__release(context, dataset->columns[i].values.data);
        kd__release(context, dataset->columns[i].present);
        kd__release(context, dataset->columns[i].channels);
    }
    kd__release(context, dataset->columns);
    kd__release(context, dataset->keys);
    kd__object_destroy(dataset);
}

const kd__column *kd__dataset_column(const kd_dataset *dataset, const char *name)
{
    for (int64_t i = 0; i < dataset->count; i++)
        if (!strcmp(dataset->columns[i].name, name)) return &dataset->columns[i];
    return NULL;
}

int32_t kd__column_dtype(const kd__column *column)
{
    int whole = kd__dtype_is_integer(column->values.dtype) && column->scale == 1 &&
                column->shift == 0 && !column->channel_count;
    return whole && strcmp(column->name, "inputs") ? KD_INT64 : KD_FLOAT32;
}

static kd_status check_column(kd_dataset *dataset, const char *name, const kd_array *values)
{
    char copy[KD_NAME_BYTES];
    KD_TRY(kd__name_copy(copy, name, "field"));
    KD_TRY(kd__array_check(values, name));
    KD_FAIL_IF(kd__dataset_column(dataset, name), KD_ERR_INVALID,
               "field '%s': expected a new name, the dataset has this field already", name);
    KD_FAIL_IF(values->dtype == KD_FLOAT16 || values->dtype == KD_BFLOAT16, KD_ERR_DTYPE,
               "field '%s': %s is not stored in datasets: convert it to float32", name,
               kd__dtype_name(values->dtype));
    KD_FAIL_IF(values->rank < 1, KD_ERR_SHAPE,
               "field '%s': expected a rank of at least 1, got a single number", name);
    KD_FAIL_IF(dataset->samples >= 0 && values->dims[0] != dataset->samples, KD_ERR_SHAPE,
               "field '%s': expected %lld samples, got %lld", name, (long long)dataset->samples,
               (long long)values->dims[0]);
    return KD_OK;
}

/* Takes the column's blocks when it succeeds. */
static kd_status append_column(kd_dataset *dataset, const char *name, const kd__column *made)
{
    KD_TRY(
        KD_RESERVE(dataset->object.context, &dataset->columns, &dataset->room, dataset->count + 1));
    kd__column *column = &dataset->columns[dataset->count];
    *column = *made;
    KD_TRY(kd__name_copy(column->name, name, "field"));
    dataset->samples = made->values.dims[0];
    dataset->count++;
    return KD_OK;
}

static kd_status copy_present(kd_dataset *dataset, const kd_array *present, int64_t samples,
                              uint8_t **out)
{
    *out = NULL;
    if (!present || !present->data) return KD_OK;
    KD_TRY(kd__array_check(present, "present"));
    KD_FAIL_IF(present->dtype != KD_UINT8 || present->rank != 1 || present->dims[0] != samples,
               KD_ERR_SHAPE, "present: expected (%lld) uint8, got %s of rank %d",
               (long long)samples, kd__dtype_name(present->dtype), present->rank);
    KD_TRY(KD_NEW(dataset->object.context, out, samples));
    kd__array_copy(present, *out);
    return KD_OK;
}

/* What belongs to the column alone is released when it was not taken. */
static kd_status append_or_release(kd_dataset *dataset, const char *name, kd__column *made,
                                   kd_status status)
{
    if (status == KD_OK) status = append_column(dataset, name, made);
    if (status == KD_OK) return KD_OK;
    kd__release(dataset->object.context, made->present);
    kd__release(dataset->object.context, made->channels);
    return status;
}

static kd_status add(kd_dataset *dataset, const char *name, const kd_array *values, int32_t owned,
                     const kd_field_options *options)
{
    kd_field_options o = field_defaults;
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_field_options"));
    KD_TRY(check_column(dataset, name, values));
    kd__column made = { .values = *values, .owned = owned, .scale = o.scale, .shift = o.shift };
    kd_status status = copy_present(dataset, o.present, values->dims[0], &made.present);
    if (status == KD_OK)
        status = kd__channels_read(dataset->object.context, values, &o, &made.channels,
                                   &made.channel_count);
    return append_or_release(dataset, name, &made, status);
}

static kd_status take(kd_dataset *dataset, const char *name, const kd_array *values,
                      const kd__column *like, const uint8_t *present)
{
    kd_array mask = { 0 };
    kd__column made = { .values = *values, .owned = 1, .scale = 1 };
    if (present) kd__array_view(&mask, (void *)(uintptr_t)present, KD_UINT8, 1, values->dims);
    KD_TRY(check_column(dataset, name, values));
    kd_status status = copy_present(dataset, &mask, values->dims[0], &made.present);
    if (like) {
        made.scale = like->scale;
        made.shift = like->shift;
        made.channel_count = like->channel_count;
        if (status == KD_OK)
            status = kd__channels_copy(dataset->object.context, like, &made.channels);
    }
    return append_or_release(dataset, name, &made, status);
}

kd_status kd__dataset_take(kd_dataset *dataset, const char *name, const kd_array *values,
                           const kd__column *like, const uint8_t *present)
{
    kd_status status = take(dataset, name, values, like, present);
    if (status != KD_OK) kd__release(dataset->object.context, values->data);
    return status;
}

kd_status kd_dataset_add(kd_dataset *dataset, const char *name, const kd_array *values,
                         const kd_field_options *options)
{
    kd_array copy;
    void *block = NULL;
    KD_NEED(dataset);
    KD_TRY(check_column(dataset, name, values));
    KD_TRY(kd__allocate(dataset->object.context, &block, kd_array_count(values),
                        kd_dtype_bytes(values->dtype)));
    kd__array_copy(values, block);
    kd__array_view(&copy, block, values->dtype, values->rank, values->dims);
    kd_status status = add(dataset, name, &copy, 1, options);
    if (status != KD_OK) kd__release(dataset->object.context, block);
    return status;
}

kd_status kd_dataset_borrow(kd_dataset *dataset, const char *name, const kd_array *values,
                            const kd_field_options *options)
{
    kd_array view;
    KD_NEED(dataset);
    KD_TRY(check_column(dataset, name, values));
    KD_FAIL_IF(!kd__array_contiguous(values), KD_ERR_SHAPE,
               "field '%s': borrow: expected a contiguous array", name);
    kd__array_view(&view, values->data, values->dtype, values->rank, values->dims);
    return add(dataset, name, &view, 0, options);
}

kd_status kd_dataset_add_file(kd_dataset *dataset, const char *name, const char *path,
                              const kd_field_options *options)
{
    kd_array values;
    KD_NEED(dataset);
    KD_NEED(path);
    KD_TRY(kd__progress(dataset->object.context, path, 0, 1));
    KD_TRY(kd__array_file_read(dataset->object.context, path, &values));
    kd_status status = kd__progress(dataset->object.context, path, 1, 1);
    if (status == KD_OK) status = add(dataset, name, &values, 1, options);
    if (status != KD_OK) kd__release(dataset->object.context, values.data);
    return status;
}

/* The plain file where it is there, else its gzip. */
static kd_status add_idx(kd_dataset *dataset, const char *folder, const char *part,
                         const char *kind, const char *name, double scale)
{
    char file[160];
    char *path = NULL;
    kd_field_options o = field_defaults;
    kd_status status = KD_ERR_NOT_FOUND;
    o.scale = scale;
    for (int gzip = 0; gzip < 2 && status == KD_ERR_NOT_FOUND; gzip++) {
        snprintf(file, sizeof file, "%.60s-%s-ubyte%s", part, kind, gzip ? ".gz" : "");
        KD_TRY(kd__path_join(dataset->object.context, &path, folder, file));
        status = kd_dataset_add_file(dataset, name, path, &o);
        kd__release(dataset->object.context, path);
    }
    return status;
}

kd_status kd_dataset_load_idx(kd_dataset **out, kd_context *context, const char *folder,
                              const char *part, const kd_dataset_options *options)
{
    kd_dataset *dataset = NULL;
    KD_NEED(out);
    KD_NEED(folder);
    KD_NEED(part);
    KD_TRY(kd_dataset_create(&dataset, context, options));
    kd_status status = add_idx(dataset, folder, part, "images-idx3", "inputs", 1.0 / 255);
    if (status == KD_OK) status = add_idx(dataset, folder, part, "labels-idx1", "label", 1.0);
    if (status != KD_OK) {
        kd_dataset_free(dataset);
        return status;
    }
    *out = dataset;
    return KD_OK;
}

static kd_status csv_inputs(kd_dataset *dataset, const double *table, int64_t rows, int64_t columns,
                            int64_t label, const char *path)
{
    const int64_t dims[2] = { rows, columns - (label >= 0) };
    float *values = NULL;
    kd_array array;
    KD_FAIL_IF(!dims[1], KD_ERR_FORMAT, "%s: expected a column besides the label, got none", path);
    KD_TRY(KD_NEW(dataset->object.context, &values, rows * dims[1]));
    for (int64_t i = 0, k = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            if (j != label) values[k++] = (float)table[i * columns + j];
    kd__array_view(&array, values, KD_FLOAT32, 2, dims);
    return kd__dataset_take(dataset, "inputs", &array, NULL, NULL);
}

static kd_status csv_labels(kd_dataset *dataset, const double *table, int64_t rows, int64_t columns,
                            int64_t label, const char *path)
{
    int64_t *values = NULL;
    uint8_t *present = NULL;
    kd_array array;
    kd_context *context = dataset->object.context;
    KD_TRY(KD_NEW(context, &values, rows));
    kd_status status = KD_NEW(context, &present, rows);
    for (int64_t i = 0; i < rows && status == KD_OK; i++) {
        double x = table[i * columns + label];
        present[i] = x == x;
        if (present[i] && (x < -9e15 || x > 9e15 || x != (double)(int64_t)x))
            status = kd__fail(KD_ERR_FORMAT, "%s: row %lld: label: expected a whole number, got %g",
                              path, (long long)i + 1, x);
        else values[i] = present[i] ? (int64_t)x : 0;
    }
    kd__array_view(&array, values, KD_INT64, 1, &rows);
    if (status == KD_OK) status = kd__dataset_take(dataset, "label", &array, NULL, present);
    else kd__release(context, values);
    kd__release(context, present);
    return status;
}

static kd_status csv_fields(kd_dataset *dataset, const double *table, int64_t rows, int64_t columns,
                            const kd_csv_options *o, const char *path)
{
    int64_t label = o->label_column == -1   ? columns - 1
                    : o->label_column == -2 ? -1
                                            : o->label_column;
    KD_FAIL_IF(label < -1 || label >= columns, KD_ERR_RANGE,
               "%s: label column: expected -1 to %lld, got %lld", path, (long long)columns - 1,
               (long long)label);
    KD_TRY(csv_inputs(dataset, table, rows, columns, label, path));
    return label >= 0 ? csv_labels(dataset, table, rows, columns, label, path) : KD_OK;
}

kd_status kd_dataset_load_csv(kd_dataset **out, kd_context *context, const char *path,
                              const kd_csv_options *options)
{
    kd_csv_options o = csv_defaults;
    kd_dataset *dataset = NULL;
    double *table = NULL;
    int64_t rows, columns;
    KD_NEED(out);
    KD_NEED(context);
    KD_NEED(path);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_csv_options"));
    KD_FAIL_IF(
        o.separator < 1 || o.separator > 126 || strchr("\"\r\n.-+0123456789", o.separator),
        KD_ERR_INVALID,
        "separator: expected an ASCII character that no number, quote or line end has, got %d",
        o.separator);
    KD_TRY(kd__csv_read(context, path, (char)o.separator, o.header, &table, &rows, &columns));
    kd_status status = kd_dataset_create(&dataset, context, NULL);
    if (status == KD_OK) status = csv_fields(dataset, table, rows, columns, &o, path);
    kd__release(context, table);
    if (status != KD_OK) {
        kd_dataset_free(dataset);
        return status;
    }
    *out = dataset;
    return KD_OK;
}

/* ---- facts ---- */

kd_status kd_dataset_sample_count(kd_dataset *dataset, int64_t *samples)
{
    KD_NEED(dataset);
    KD_NEED(samples);
    *samples = kd__max(dataset->samples, 0);
    return KD_OK;
}

kd_status kd_dataset_field_count(kd_dataset *dataset, int32_t *count)
{
    KD_NEED(dataset);
    KD_NEED(count);
    *count = (int32_t)dataset->count;
    return KD_OK;
}

kd_status kd_dataset_field_name(kd_dataset *dataset, int32_t index, const char **name)
{
    KD_NEED(dataset);
    KD_NEED(name);
    KD_TRY(kd__check_index(index, dataset->count, "field"));
    *name = dataset->columns[index].name;
    return KD_OK;
}

kd_status kd_dataset_field(kd_dataset *dataset, const char *name, kd_array *values,
                           kd_array *present)
{
    KD_NEED(dataset);
    KD_NEED(name);
    const kd__column *column = kd__dataset_column(dataset, name);
    KD_FAIL_IF(!column, KD_ERR_NOT_FOUND, "the dataset has no field '%.60s'", name);
    if (values) *values = column->values;
    if (present) kd__array_view(present, column->present, KD_UINT8, 1, &dataset->samples);
    return KD_OK;
}

kd_status kd__dataset_keys(kd_dataset *dataset, const uint64_t **keys)
{
    if (!dataset->keys) {
        KD_FAIL_IF(!dataset->count, KD_ERR_STATE, "the dataset has no fields: add one first");
        uint64_t *made = NULL;
        const kd_array *first = &dataset->columns[0].values;
        size_t bytes = (size_t)kd__array_row(first) * kd_dtype_bytes(first->dtype);
        KD_TRY(KD_NEW(dataset->object.context, &made, 2 * dataset->samples));
        for (int64_t i = 0; i < dataset->samples; i++)
            kd__hash128((const char *)first->data + (size_t)i * bytes, bytes, made + 2 * i);
        dataset->keys = made;
    }
    *keys = dataset->keys;
    return KD_OK;
}

kd_status kd_dataset_key(kd_dataset *dataset, int64_t sample, uint64_t key[2])
{
    const uint64_t *keys;
    KD_NEED(dataset);
    KD_NEED(key);
    KD_TRY(kd__check_index(sample, dataset->samples, "sample"));
    KD_TRY(kd__dataset_keys(dataset, &keys));
    memcpy(key, keys + 2 * sample, 16);
    return KD_OK;
}
