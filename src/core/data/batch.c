/* Batches: the samples of one step, their keys and fields. Fields themselves are in fields.c. */
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/text.h"
#include "base/thread.h"
#include "core/data/data.h"

static const kd_batch_options defaults = KD_BATCH_OPTIONS_INIT;
void kd_batch_options_init(kd_batch_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

kd_status kd_batch_create(kd_batch **out, kd_context *context, const kd_batch_options *options)
{
    kd_batch_options o = defaults;
    kd_batch *batch = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_batch_options"));
    KD_TRY(kd__object_create((void **)&batch, context, sizeof *batch));
    batch->fields.context = context;
    *out = batch;
    return KD_OK;
}

void kd_batch_free(kd_batch *batch)
{
    if (!kd__object_drop(batch)) return;
    kd_context *context = batch->object.context;
    kd__fields_free(&batch->fields);
    kd__release(context, batch->numbers);
    kd__release(context, batch->views);
    kd__release(context, batch->offsets);
    kd__release(context, batch->keys);
    kd_dataset_free(batch->dataset);
    kd__object_destroy(batch);
}

static void hold_dataset(kd_batch *batch, kd_dataset *dataset)
{
    if (batch->dataset == dataset) return;
    kd_dataset_free(batch->dataset);
    batch->dataset = dataset ? kd__object_hold(dataset) : NULL;
}

kd_status kd__batch_begin(kd_batch *batch, kd_dataset *dataset, int64_t samples)
{
    kd_context *context = batch->object.context;
    KD_FAIL_IF(samples < 0, KD_ERR_RANGE, "samples: expected 0 or more, got %lld",
               (long long)samples);
    KD_TRY(KD_RESERVE(context, &batch->numbers, &batch->numbers_room, samples));
    KD_TRY(KD_RESERVE(context, &batch->views, &batch->views_room, samples));
    KD_TRY(KD_RESERVE(context, &batch->keys, &batch->keys_room, 2 * samples));
    KD_TRY(KD_RESERVE(context, &batch->offsets, &batch->offsets_room, samples + 1));
    kd__fields_begin(&batch->fields, samples);
    hold_dataset(batch, dataset);
    batch->samples = batch->fields.samples = samples;
    batch->fields.one_row = 1;
    batch->keys_known = !dataset;
    batch->numbers_known = dataset != NULL;
    memset(batch->tokenizer, 0, sizeof batch->tokenizer);
    memset(batch->rendering, 0, sizeof batch->rendering);
    for (int64_t i = 0; i <= samples; i++) batch->offsets[i] = i;
    for (int64_t i = 0; i < samples; i++) batch->numbers[i] = i;
    if (!samples) return KD_OK;
    memset(batch->views, 0, (size_t)samples * sizeof *batch->views);
    memset(batch->keys, 0, (size_t)samples * 2 * sizeof *batch->keys);
    return KD_OK;
}

kd_status kd__batch_input(const kd_batch *batch, const char *name, kd_array *values)
{
    const kd__field *field;
    KD_TRY(kd__fields_find_rows(&batch->fields, name, "the batch's field", &field));
    KD_FAIL_IF(!field, KD_ERR_NOT_FOUND, "the batch has no field '%s', which the model reads",
               name);
    *values = field->values;
    return KD_OK;
}

kd_status kd__batch_integers(const kd_batch *batch, const char *name, const int64_t **values)
{
    const kd__field *field;
    *values = NULL;
    KD_TRY(kd__fields_find_rows(&batch->fields, name, "the batch's field", &field));
    if (!field) return KD_OK;
    KD_FAIL_IF(field->values.dtype != KD_INT64 || kd__array_row(&field->values) != 1, KD_ERR_DTYPE,
               "the batch's field \"%s\": expected one integer a row, got %lld of %s", name,
               (long long)kd__array_row(&field->values), kd__dtype_name(field->values.dtype));
    *values = field->values.data;
    return KD_OK;
}

const int64_t *kd__batch_tokens(const kd_batch *batch)
{
    const kd__field *field = kd__fields_find(&batch->fields, "tokens");
    const int one = field && field->unit == KD__OF_ROWS && field->values.dtype == KD_INT64 &&
                    kd__array_row(&field->values) == 1;
    return one ? field->values.data : NULL;
}

kd_status kd_batch_set_origin(kd_batch *batch, const char *tokenizer, const char *rendering)
{
    KD_NEED(batch);
    if (tokenizer && *tokenizer) KD_TRY(kd__name_copy(batch->tokenizer, tokenizer, "tokenizer"));
    else memset(batch->tokenizer, 0, sizeof batch->tokenizer);
    if (rendering && *rendering) return kd__name_copy(batch->rendering, rendering, "rendering");
    memset(batch->rendering, 0, sizeof batch->rendering);
    return KD_OK;
}

kd_status kd_batch_origin(kd_batch *batch, const char **tokenizer, const char **rendering)
{
    KD_NEED(batch);
    if (tokenizer) *tokenizer = batch->tokenizer;
    if (rendering) *rendering = batch->rendering;
    return KD_OK;
}

kd_status kd__batch_keys(kd_batch *batch, const uint64_t **keys)
{
    if (!batch->keys_known) {
        const uint64_t *all;
        KD_TRY(kd__dataset_keys(batch->dataset, &all));
        for (int64_t i = 0; i < batch->samples; i++)
            memcpy(batch->keys + 2 * i, all + 2 * batch->numbers[i], 16);
        batch->keys_known = 1;
    }
    *keys = batch->keys;
    return KD_OK;
}

typedef struct {
    const kd_batch *batch;
    const kd__column *column;
    char *to;
    int32_t dtype;
    int64_t row;
} gather;

#define ROWS_A_TILE 16

static void gather_rows(void *argument, int64_t tile, int32_t worker)
{
    gather *g = argument;
    const kd_array *from = &g->column->values;
    size_t stored = (size_t)g->row * kd_dtype_bytes(from->dtype),
           made = (size_t)g->row * kd_dtype_bytes(g->dtype);
    int64_t last = kd__min((tile + 1) * ROWS_A_TILE, g->batch->samples);
    (void)worker;
    for (int64_t i = tile * ROWS_A_TILE; i < last; i++) {
        const char *source = (const char *)from->data + (size_t)g->batch->numbers[i] * stored;
        void *to = g->to + (size_t)i * made;
        if (g->dtype == KD_INT64) kd__convert_int64(to, source, from->dtype, g->row);
        else kd__column_read(g->column, source, g->row, to);
    }
}

kd_status kd__batch_gather(kd_batch *batch, kd_dataset *dataset)
{
    for (int64_t c = 0; c < dataset->count; c++) {
        const kd__column *column = &dataset->columns[c];
        kd__field *field;
        int64_t dims[KD_ARRAY_MAX_RANK];
        memcpy(dims, column->values.dims, sizeof dims);
        dims[0] = batch->samples;
        gather g = { batch, column, NULL, kd__column_dtype(column),
                     kd__array_row(&column->values) };
        KD_TRY(kd__fields_open(&batch->fields, column->name, g.dtype, column->values.rank, dims,
                               &field));
        g.to = field->buffer;
        kd__parallel(batch->object.context, kd__ceil_div(batch->samples, ROWS_A_TILE), gather_rows,
                     &g);
        if (!column->present) continue;
        KD_TRY(kd__fields_open_present(&batch->fields, field));
        for (int64_t i = 0; i < batch->samples; i++)
            field->present_buffer[i] = column->present[batch->numbers[i]];
    }
    return KD_OK;
}

kd_status kd__batch_range(kd_batch *batch, kd_dataset *dataset, int64_t first, int64_t count)
{
    KD_TRY(kd__batch_begin(batch, dataset, count));
    for (int64_t i = 0; i < count; i++) batch->numbers[i] = first + i;
    return kd__batch_gather(batch, dataset);
}

kd_status kd_batch_begin(kd_batch *batch, int64_t samples)
{
    KD_NEED(batch);
    return kd__batch_begin(batch, NULL, samples);
}

static int is_one_row_each(const kd_batch *batch)
{
    for (int64_t i = 0; i <= batch->samples; i++)
        if (batch->offsets[i] != i) return 0;
    return 1;
}

kd_status kd_batch_begin_packed(kd_batch *batch, const kd_array *offsets)
{
    KD_NEED(batch);
    KD_TRY(kd__array_check(offsets, "offsets"));
    KD_FAIL_IF(offsets->rank != 1 || offsets->dims[0] < 1, KD_ERR_SHAPE,
               "offsets: expected samples + 1 values of rank 1, got rank %d", offsets->rank);
    KD_TRY(kd__batch_begin(batch, NULL, offsets->dims[0] - 1));
    kd_status status = kd__array_to_int64(offsets, batch->offsets, "offsets");
    if (status == KD_OK) status = kd__offsets_check(batch->offsets, offsets->dims[0], "offsets");
    if (status != KD_OK) {
        KD_TRY(kd__batch_begin(batch, NULL, 0));
        return status;
    }
    batch->fields.rows = batch->offsets[batch->samples];
    batch->fields.one_row = is_one_row_each(batch);
    return KD_OK;
}

kd_status kd_batch_set(kd_batch *batch, const char *name, const kd_array *values,
                       const kd_array *present)
{
    KD_NEED(batch);
    return kd__fields_set(&batch->fields, KD__OF_ROWS, name, values, present, "batch field");
}

kd_status kd_batch_set_per_sample(kd_batch *batch, const char *name, const kd_array *values,
                                  const kd_array *present)
{
    KD_NEED(batch);
    return kd__fields_set(&batch->fields, KD__OF_SAMPLES, name, values, present, "batch field");
}

kd_status kd_batch_set_ragged(kd_batch *batch, const char *name, const kd_array *values,
                              const kd_array *offsets, const kd_array *present)
{
    KD_NEED(batch);
    KD_NEED(offsets);
    return kd__fields_set_ragged(&batch->fields, name, values, offsets, present, "batch field");
}

kd_status kd_batch_borrow(kd_batch *batch, const char *name, const kd_array *values,
                          const kd_array *present)
{
    KD_NEED(batch);
    return kd__fields_borrow(&batch->fields, KD__OF_ROWS, name, values, present, 0, "batch field");
}

kd_status kd_batch_field(kd_batch *batch, const char *name, kd_array *values, kd_array *present)
{
    KD_NEED(batch);
    return kd__fields_view(&batch->fields, name, values, present, "batch");
}

kd_status kd_batch_field_offsets(kd_batch *batch, const char *name, kd_array *offsets)
{
    KD_NEED(batch);
    KD_NEED(name);
    KD_NEED(offsets);
    const kd__field *field = kd__fields_find(&batch->fields, name);
    KD_FAIL_IF(!field, KD_ERR_NOT_FOUND, "batch: no field '%.60s'", name);
    KD_FAIL_IF(field->unit != KD__RAGGED, KD_ERR_INVALID,
               "batch field '%s' is %s: it has no offsets of its own", field->name,
               kd__unit_name(field->unit));
    const int64_t count = batch->samples + 1;
    kd__array_view(offsets, field->offsets, KD_INT64, 1, &count);
    return KD_OK;
}

kd_status kd_batch_get_counts(kd_batch *batch, int64_t *samples, int64_t *rows)
{
    KD_NEED(batch);
    if (samples) *samples = batch->samples;
    if (rows) *rows = batch->fields.rows;
    return KD_OK;
}

kd_status kd_batch_offsets(kd_batch *batch, kd_array *offsets)
{
    KD_NEED(batch);
    KD_NEED(offsets);
    int64_t count = batch->samples + 1;
    KD_FAIL_IF(!batch->offsets, KD_ERR_STATE,
               "the batch is empty: fill it (kd_batch_begin or a loader) first");
    kd__array_view(offsets, batch->offsets, KD_INT64, 1, &count);
    return KD_OK;
}

kd_status kd_batch_samples(kd_batch *batch, kd_array *numbers, kd_array *keys, kd_array *views)
{
    const uint64_t *words;
    KD_NEED(batch);
    const int64_t dims[2] = { batch->samples, 2 };
    if (numbers) kd__array_view(numbers, batch->numbers, KD_INT64, 1, dims);
    if (views) kd__array_view(views, batch->views, KD_INT64, 1, dims);
    if (!keys) return KD_OK;
    KD_TRY(kd__batch_keys(batch, &words));
    kd__array_view(keys, batch->keys, KD_UINT64, 2, dims);
    return KD_OK;
}

kd_status kd_batch_set_samples(kd_batch *batch, const kd_array *numbers, const kd_array *keys,
                               const kd_array *views)
{
    KD_NEED(batch);
    KD_FAIL_IF(batch->dataset, KD_ERR_STATE,
               "the batch was filled by a loader; call kd_batch_begin first");
    const kd_array *given[] = { numbers, keys, views };
    for (int i = 0; i < 3; i++) {
        if (!given[i]) continue;
        KD_TRY(kd__array_check(given[i], "samples"));
        KD_FAIL_IF(given[i]->rank != (i == 1 ? 2 : 1) || given[i]->dims[0] != batch->samples ||
                       (i == 1 && given[i]->dims[1] != 2),
                   KD_ERR_SHAPE, "numbers and views are (%lld), keys (%lld, 2)",
                   (long long)batch->samples, (long long)batch->samples);
        KD_FAIL_IF(!kd__dtype_is_integer(given[i]->dtype), KD_ERR_DTYPE,
                   "numbers, keys and views: expected integers, got %s",
                   kd__dtype_name(given[i]->dtype));
    }
    if (numbers) KD_TRY(kd__array_to_int64(numbers, batch->numbers, "numbers"));
    batch->numbers_known |= numbers != NULL;
    if (keys) KD_TRY(kd__array_to_int64(keys, (int64_t *)batch->keys, "keys"));
    return views ? kd__array_to_int64(views, batch->views, "views") : KD_OK;
}
