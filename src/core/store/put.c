/* Fields into the record that a writer puts together. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/memory.h"
#include "core/store/writer.h"

kd_status kd__put_presence(kd_store_writer *w, const uint8_t *present, int64_t rows,
                           uint32_t *flags)
{
    *flags = 0;
    int64_t missing = 0;
    for (int64_t r = 0; present && r < rows; r++) missing += !present[r];
    if (!missing) return KD_OK;
    *flags = KD__PART_PRESENCE;
    for (int64_t r = 0; r < kd__align8(kd__ceil_div(rows, 8)) * 8; r += 8) {
        uint8_t bits = 0;
        for (int64_t i = r; i < r + 8 && i < rows; i++)
            bits |= (uint8_t)((present[i] != 0) << (i - r));
        KD_TRY(kd__text_append(&w->record, &bits, 1));
    }
    return KD_OK;
}

kd_status kd__put_room(kd_store_writer *w, int64_t bytes, uint8_t **to)
{
    const int64_t at = w->record.size;
    KD_TRY(KD_RESERVE(w->object.context, &w->record.bytes, &w->record.room, at + bytes + 16));
    w->record.size += bytes;
    memset(w->record.bytes + at, 0, (size_t)bytes + 1);
    *to = (uint8_t *)w->record.bytes + at;
    return KD_OK;
}

void kd__put_floats(uint8_t *to, const float *x, int64_t n, int32_t encoding)
{
    for (int64_t i = 0; i < n; i++) {
        if (encoding == KD_FLOAT32) {
            kd__put_float(to + 4 * i, x[i]);
            continue;
        }
        const int is_half = encoding == KD_FLOAT16;
        kd__put16(to + 2 * i, is_half ? kd__half_of(x[i]) : kd__bfloat16_of(x[i]));
    }
}

/* One row of a dense, hidden, vectors or embedding field; x may be changed. What is checked is what
 * is encoded: after rotation and projection. */
static kd_status put_row(kd_store_writer *w, const kd__store_field *f, float *x, int64_t width,
                         float *spare, int64_t row)
{
    uint8_t *to;
    if (f->kind == KD_STORE_HIDDEN) kd__rotate(x, width, w->seed);
    if (f->kind != KD_STORE_DENSE && f->kind != KD_STORE_HIDDEN && f->projection) {
        kd__project(x, width, spare, f->projection, w->seed);
        x = spare;
        width = f->projection;
    }
    KD_TRY(kd__bounds_row(f, x, width, row));
    if (f->kind == KD_STORE_HIDDEN || f->encoding == KD_INT8) {
        const int32_t bits = f->kind == KD_STORE_HIDDEN ? f->bits : 8;
        KD_TRY(kd__put_room(w, kd__quantized_bytes(width, bits), &to));
        kd__quantize(x, width, bits, to);
        return KD_OK;
    }
    KD_TRY(kd__put_room(w, width * (f->encoding == KD_FLOAT32 ? 4 : 2), &to));
    kd__put_floats(to, x, width, f->encoding);
    return KD_OK;
}

static int64_t width_given(const kd_store_writer *w, const kd__store_field *f)
{
    return f->kind == KD_STORE_DENSE ? w->padded : f->width;
}

static kd_status put_rows(kd_store_writer *w, int32_t field, const kd_array *rows,
                          const uint8_t *present)
{
    const kd__store_field *f = &w->fields[field];
    const int64_t count = f->kind == KD_STORE_EMBEDDING ? 1 : w->header.positions;
    const int64_t width = width_given(w, f), from = w->record.size;
    uint32_t flags;
    KD_FAIL_IF(kd_array_count(rows) != count * width, KD_ERR_SHAPE,
               "field '%s': expected %lld rows of %lld numbers, got %lld numbers", f->name,
               (long long)count, (long long)width, (long long)kd_array_count(rows));
    KD_TRY(KD_RESERVE(w->object.context, &w->scratch, &w->scratch_room, width + f->projection));
    KD_TRY(kd__put_presence(w, present, count, &flags));
    const int flat = kd__array_contiguous(rows);
    KD_FAIL_IF(!flat, KD_ERR_SHAPE, "field '%s': expected a contiguous array", f->name);
    for (int64_t r = 0; r < count; r++) {
        if (present && !present[r]) memset(w->scratch, 0, (size_t)width * sizeof *w->scratch);
        else
            kd__convert_float32(w->scratch,
                                (const char *)rows->data +
                                    (size_t)(r * width) * kd_dtype_bytes(rows->dtype),
                                rows->dtype, width, 1, 0);
        KD_TRY(put_row(w, f, w->scratch, width, w->scratch + width, r));
    }
    return kd__writer_end_part(w, field, from, flags);
}

kd_status kd__put_head(kd_store_writer *w, int32_t field, const kd_targets *targets, int64_t begin)
{
    const kd__store_field *f = &w->fields[field];
    const int64_t rows = w->header.positions, width = w->padded, from = w->record.size;
    const uint8_t *present;
    kd__logits logits;
    uint32_t flags;
    KD_FAIL_IF(!kd__logits_find(targets, f->source, &logits, &present), KD_ERR_NOT_FOUND,
               "field '%s': the head of '%s' has no hidden states of its width", f->name,
               f->source);
    KD_FAIL_IF(logits.classes != width, KD_ERR_SHAPE,
               "field '%s': expected logits of %lld classes, got %lld", f->name, (long long)width,
               (long long)logits.classes);
    const int64_t most = kd__logits_block(&logits), block = kd__min(most, rows);
    if (present) present += begin;
    KD_TRY(kd__put_presence(w, present, rows, &flags));
    KD_TRY(KD_RESERVE(w->object.context, &w->scratch, &w->scratch_room, block * width));
    for (int64_t first = 0; first < rows; first += block) {
        const int64_t count = kd__min(rows - first, block);
        KD_TRY(kd__logits_compute(w->object.context, &logits, begin + first, count, w->scratch));
        for (int64_t r = 0; r < count; r++) {
            float *x = w->scratch + r * width;
            if (present && !present[first + r]) memset(x, 0, (size_t)width * sizeof *x);
            KD_TRY(put_row(w, f, x, width, NULL, first + r));
        }
    }
    return kd__writer_end_part(w, field, from, flags);
}

static kd_status put_integers(kd_store_writer *w, int32_t field, const kd_array *rows,
                              const uint8_t *present)
{
    const int64_t count = w->header.positions, from = w->record.size;
    uint32_t flags;
    uint8_t *to;
    KD_FAIL_IF(!kd__dtype_is_integer(rows->dtype) || kd_array_count(rows) != count ||
                   !kd__array_contiguous(rows),
               KD_ERR_SHAPE, "field '%s': expected %lld contiguous integers, got %lld %s",
               w->fields[field].name, (long long)count, (long long)kd_array_count(rows),
               kd__dtype_name(rows->dtype));
    KD_TRY(kd__put_presence(w, present, count, &flags));
    for (int64_t r = 0; r < count; r++) {
        int64_t value;
        kd__convert_int64(&value,
                          (const char *)rows->data + (size_t)r * kd_dtype_bytes(rows->dtype),
                          rows->dtype, 1);
        KD_FAIL_IF(rows->dtype == KD_UINT64 && value < 0, KD_ERR_RANGE,
                   "field '%s': row %lld: expected an integer below 2^63, got %llu",
                   w->fields[field].name, (long long)r, (unsigned long long)value);
        KD_TRY(kd__put_room(w, 8, &to));
        kd__put64(to, (uint64_t)value);
    }
    return kd__writer_end_part(w, field, from, flags);
}

static kd_status put_single(kd_store_writer *w, int32_t field, const kd_array *value)
{
    const int64_t from = w->record.size;
    const int score = w->fields[field].kind == KD_STORE_SCORE;
    uint8_t *to;
    KD_FAIL_IF(kd_array_count(value) != 1 || value->dtype != (score ? KD_FLOAT64 : KD_UINT64),
               KD_ERR_DTYPE, "field '%s': expected one %s, got %lld %s", w->fields[field].name,
               score ? "float64" : "uint64", (long long)kd_array_count(value),
               kd__dtype_name(value->dtype));
    KD_TRY(kd__put_room(w, 8, &to));
    uint64_t bits;
    memcpy(&bits, value->data, 8);
    kd__put64(to, bits);
    return kd__writer_end_part(w, field, from, 0);
}

kd_status kd__put_any(kd_store_writer *w, int32_t field, const kd_array *rows,
                      const uint8_t *present)
{
    const int32_t kind = w->fields[field].kind;
    const int64_t from = w->record.size;
    kd_status status;
    if (kind == KD_STORE_LABELS) status = put_integers(w, field, rows, present);
    else if (kind == KD_STORE_SCORE || kind == KD_STORE_SEED) status = put_single(w, field, rows);
    else if (kind == KD_STORE_TEXT || kind == KD_STORE_TOPK || kind == KD_STORE_COUNTS)
        return kd__fail(KD_ERR_DTYPE, "field '%s' is put by kd_store_writer_put_%s",
                        w->fields[field].name, kind == KD_STORE_TEXT ? "text" : "sparse");
    else status = put_rows(w, field, rows, present);
    if (status != KD_OK) w->record.size = from;
    return status;
}

kd_status kd_store_writer_put(kd_store_writer *w, const char *field, const kd_array *rows)
{
    int32_t number;
    KD_NEED(w);
    KD_NEED(rows);
    KD_TRY(kd__writer_field(w, field, &number));
    KD_TRY(kd__array_check(rows, field));
    return kd__put_any(w, number, rows, NULL);
}

kd_status kd_store_writer_put_text(kd_store_writer *w, const char *field, const char *bytes,
                                   int64_t size)
{
    int32_t number;
    KD_NEED(w);
    KD_TRY(kd__writer_field(w, field, &number));
    KD_FAIL_IF(w->fields[number].kind != KD_STORE_TEXT, KD_ERR_DTYPE, "field '%s' holds no text",
               field);
    KD_FAIL_IF(size < 0 || (size && !bytes), KD_ERR_INVALID,
               "text: expected 0 or more bytes, got %lld at %s", (long long)size,
               bytes ? "an address" : "NULL");
    const int64_t from = w->record.size;
    KD_TRY(kd__text_append(&w->record, size ? bytes : "", (size_t)size));
    return kd__writer_end_part(w, number, from, 0);
}
