/* Numbers of a text that travel with it into batches: labels, groups, scores. */
#include "course/packer/sample_fields.h"

#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/text.h"
#include "formats/json.h"

enum { MOST_NUMBERS = 1 << 20 };
#define MOST_EXACT 9007199254740992.0 /* 2^53: beyond it a number of JSON is no integer */

static int32_t find(const kd__sample_fields *fields, const char *name)
{
    for (int32_t i = 0; i < fields->count; i++)
        if (!strcmp(fields->items[i].name, name)) return i;
    return -1;
}

kd_status kd__sample_fields_add(kd__sample_fields *fields, const char *name, int32_t dtype,
                                int64_t width)
{
    static const char *const taken[] = { "tokens", "answer", "task" };
    kd__sample_field *made = &fields->items[fields->count];
    KD_FAIL_IF(fields->count == KD__MOST_SAMPLE_FIELDS, KD_ERR_RANGE,
               "packer: at most %d fields of samples", KD__MOST_SAMPLE_FIELDS);
    KD_TRY(kd__name_copy(made->name, name, "field of a packer"));
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        KD_FAIL_IF(!strcmp(made->name, taken[i]), KD_ERR_INVALID,
                   "packer: '%s' is a field of rows that every batch has", made->name);
    KD_FAIL_IF(find(fields, made->name) >= 0, KD_ERR_INVALID,
               "packer: the field '%s' is there already", made->name);
    KD_FAIL_IF(dtype != KD_INT64 && dtype != KD_FLOAT32, KD_ERR_DTYPE,
               "packer: field '%s': expected KD_INT64 or KD_FLOAT32, got %s", made->name,
               kd__dtype_name(dtype));
    KD_FAIL_IF(width < 1 || width > MOST_NUMBERS, KD_ERR_RANGE,
               "packer: field '%s': width: expected 1 to %d, got %lld", made->name, MOST_NUMBERS,
               (long long)width);
    made->dtype = dtype;
    made->width = width;
    made->at = fields->width;
    fields->width += width;
    fields->count++;
    return KD_OK;
}

/* ---- texts ---- */

kd_status kd__sample_rows_open(kd_context *context, const kd__sample_fields *fields,
                               kd__sample_rows *rows, int64_t text)
{
    int64_t cells, has;
    KD_TRY(kd__multiply(text + 1, fields->width, &cells));
    KD_TRY(kd__multiply(text + 1, fields->count, &has));
    KD_TRY(KD_RESERVE(context, &rows->cells, &rows->cells_room, cells));
    KD_TRY(KD_RESERVE(context, &rows->has, &rows->has_room, has));
    const size_t width = (size_t)fields->width, count = (size_t)fields->count;
    if (width) memset(rows->cells + text * fields->width, 0, width * sizeof *rows->cells);
    if (count) memset(rows->has + text * fields->count, 0, count);
    return KD_OK;
}

static kd_status put(const kd__sample_field *f, double value, kd__cell *to, int64_t line)
{
    if (f->dtype == KD_FLOAT32) {
        KD_FAIL_IF(!isfinite((float)value), KD_ERR_RANGE,
                   "record of line %lld: '%s': %g is beyond float32", (long long)line, f->name,
                   value);
        to->number = value;
        return KD_OK;
    }
    KD_FAIL_IF(!(fabs(value) <= MOST_EXACT) || value != floor(value), KD_ERR_DTYPE,
               "record of line %lld: '%s': expected an integer, got %.17g", (long long)line,
               f->name, value);
    to->whole = (int64_t)value;
    return KD_OK;
}

static kd_status put_node(const kd__sample_field *f, const kd__json *node, kd__cell *to,
                          int64_t line)
{
    KD_FAIL_IF(node->type != KD__JSON_NUMBER && node->type != KD__JSON_BOOL, KD_ERR_DTYPE,
               "record of line %lld: '%s': expected a number", (long long)line, f->name);
    return put(f, node->number, to, line);
}

/* A number, or a list of as many as the field has. */
static kd_status read_member(const kd__sample_field *f, const kd__json *node, kd__cell *to,
                             int64_t line)
{
    const int is_list = node->type == KD__JSON_ARRAY;
    const int64_t given = is_list ? node->children : 1;
    KD_FAIL_IF(given != f->width, KD_ERR_SHAPE,
               "record of line %lld: '%s': expected %lld numbers, got %lld", (long long)line,
               f->name, (long long)f->width, (long long)given);
    if (!is_list) return put_node(f, node, to, line);
    for (const kd__json *item = node->first; item; item = item->next)
        KD_TRY(put_node(f, item, to++, line));
    return KD_OK;
}

/* What a record keeps by itself. */
static double own_number(const kd_record *record, const char *name)
{
    if (!strcmp(name, "score")) return record->score;
    if (!strcmp(name, "temperature")) return record->temperature;
    return !strcmp(name, "sample") ? record->sample : NAN;
}

static kd_status read_fields(const kd__sample_fields *fields, kd__cell *cells, uint8_t *has,
                             const kd_record *record, const kd__json *extra)
{
    for (int32_t i = 0; i < fields->count; i++) {
        const kd__sample_field *f = &fields->items[i];
        const kd__json *node = extra ? kd__json_member(extra, f->name) : NULL;
        const double own = f->width == 1 ? own_number(record, f->name) : NAN;
        if (!isnan(own)) KD_TRY(put(f, own, cells + f->at, record->line));
        else if (node && node->type != KD__JSON_NULL)
            KD_TRY(read_member(f, node, cells + f->at, record->line));
        else continue;
        has[i] = 1;
    }
    return KD_OK;
}

kd_status kd__sample_rows_read(kd_context *context, const kd__sample_fields *fields,
                               kd__sample_rows *rows, int64_t text, const kd_record *record)
{
    kd__json_document document = { 0 };
    const char *extra = record->extra && *record->extra ? record->extra : NULL;
    if (!fields->count) return KD_OK;
    if (extra) KD_TRY(kd__json_parse(&document, context, extra, strlen(extra), "extra"));
    const kd_status status = read_fields(fields, rows->cells + text * fields->width,
                                         rows->has + text * fields->count, record, document.root);
    if (extra) kd__json_free(&document);
    return status;
}

kd_status kd__sample_rows_set(const kd__sample_fields *fields, kd__sample_rows *rows, int64_t text,
                              const char *name, const kd_array *values)
{
    const int32_t number = find(fields, name);
    KD_FAIL_IF(number < 0, KD_ERR_NOT_FOUND, "packer: no field '%.60s' (kd_packer_add_field)",
               name);
    const kd__sample_field *f = &fields->items[number];
    kd__cell *to = rows->cells + text * fields->width + f->at;
    KD_TRY(kd__array_check(values, name));
    KD_FAIL_IF(kd_array_count(values) != f->width || !kd__array_contiguous(values), KD_ERR_SHAPE,
               "packer: field '%s': expected %lld numbers, got %lld", f->name, (long long)f->width,
               (long long)kd_array_count(values));
    const int wants_integers = f->dtype == KD_INT64;
    KD_FAIL_IF(wants_integers && !kd__dtype_is_integer(values->dtype), KD_ERR_DTYPE,
               "packer: field '%s': expected integers, got %s", f->name,
               kd__dtype_name(values->dtype));
    if (wants_integers) KD_TRY(kd__array_to_int64(values, &to->whole, name));
    else
        for (int64_t i = 0; i < f->width; i++) {
            float x;
            kd__convert_float32(
                &x, (const char *)values->data + (size_t)i * kd_dtype_bytes(values->dtype),
                values->dtype, 1, 1, 0);
            to[i].number = x;
        }
    rows->has[text * fields->count + number] = 1;
    return KD_OK;
}

kd_status kd__sample_rows_copy(kd_context *context, const kd__sample_fields *fields,
                               kd__sample_rows *to, int64_t to_text, const kd__sample_rows *from,
                               int64_t text)
{
    if (!fields->count) return KD_OK;
    KD_TRY(kd__sample_rows_open(context, fields, to, to_text));
    memcpy(to->cells + to_text * fields->width, from->cells + text * fields->width,
           (size_t)fields->width * sizeof *to->cells);
    memcpy(to->has + to_text * fields->count, from->has + text * fields->count,
           (size_t)fields->count);
    return KD_OK;
}

/* ---- batches ---- */

kd_status kd__sample_rows_fill(const kd__sample_fields *fields, const kd__sample_rows *rows,
                               int64_t texts, kd_batch *batch)
{
    for (int32_t i = 0; i < fields->count; i++) {
        const kd__sample_field *f = &fields->items[i];
        kd_array values = { .data = rows->cells + f->at,
                            .dtype = f->dtype == KD_INT64 ? KD_INT64 : KD_FLOAT64,
                            .rank = f->width == 1 ? 1 : 2,
                            .dims = { texts, f->width },
                            .strides = { fields->width, 1 } };
        kd_array present = { .data = rows->has + i,
                             .dtype = KD_UINT8,
                             .rank = 1,
                             .dims = { texts },
                             .strides = { fields->count } };
        KD_TRY(kd_batch_set_per_sample(batch, f->name, &values, &present));
    }
    return KD_OK;
}

void kd__sample_rows_free(kd_context *context, kd__sample_rows *rows)
{
    kd__release(context, rows->cells);
    kd__release(context, rows->has);
}
