/* Fields into the record that a writer puts together. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/hash.h"
#include "store/writer.h"

/* Bits of presence, 8 positions a byte, padded to 8 bytes; nothing when every row is there. */
static kd_status put_presence(kd_store_writer *w, const uint8_t *present, int64_t rows, uint32_t *flags)
{
    *flags = 0;
    int64_t missing = 0;
    for (int64_t r = 0; present && r < rows; r++) missing += !present[r];
    if (!missing) return KD_OK;
    *flags = KD__PART_PRESENCE;
    for (int64_t r = 0; r < kd__align8((rows + 7) / 8) * 8; r += 8) {
        uint8_t bits = 0;
        for (int64_t i = r; i < r + 8 && i < rows; i++) bits |= (uint8_t)((present[i] != 0) << (i - r));
        KD_TRY(kd__text_append(&w->record, &bits, 1));
    }
    return KD_OK;
}

/* 16 more bytes are there, into which bits may be written ahead. */
static kd_status room_for(kd_store_writer *w, int64_t bytes, uint8_t **to)
{
    const int64_t at = w->record.size;
    if (at + bytes + 16 > w->record.room) KD_TRY(KD_RESERVE(w->object.context, &w->record.bytes, &w->record.room, 2 * (at + bytes + 16)));
    w->record.size += bytes;
    memset(w->record.bytes + at, 0, (size_t)bytes + 1);
    *to = (uint8_t *)w->record.bytes + at;
    return KD_OK;
}

static void put_floats(uint8_t *to, const float *x, int64_t n, int32_t encoding)
{
    for (int64_t i = 0; i < n; i++) {
        if (encoding == KD_FLOAT32) {
            uint32_t bits;
            memcpy(&bits, x + i, 4);
            kd__put32(to + 4 * i, bits);
            continue;
        }
        const uint16_t half = encoding == KD_FLOAT16 ? kd__half_of(x[i]) : kd__bfloat16_of(x[i]);
        to[2 * i] = (uint8_t)half;
        to[2 * i + 1] = (uint8_t)(half >> 8);
    }
}

static kd_status check_finite(const kd__store_field *f, const float *x, int64_t n, int64_t row)
{
    for (int64_t i = 0; i < n; i++) {
        const int padding = f->kind == KD_STORE_DENSE && x[i] == -INFINITY;
        KD_FAIL_IF(!isfinite(x[i]) && !padding, KD_ERR_NONFINITE, "field '%s': row %lld holds %g", f->name, (long long)row, x[i]);
    }
    return KD_OK;
}

/* One row of a dense, hidden or vectors field; x may be changed. */
static kd_status put_row(kd_store_writer *w, const kd__store_field *f, float *x, int64_t width, float *spare)
{
    uint8_t *to;
    if (f->kind == KD_STORE_HIDDEN) {
        kd__rotate(x, width, w->seed);
        KD_TRY(room_for(w, kd__quantised_bytes(width, f->bits), &to));
        kd__quantise(x, width, f->bits, to);
        return KD_OK;
    }
    if (f->kind == KD_STORE_VECTORS && f->projection) {
        kd__project(x, width, spare, f->projection, w->seed);
        x = spare;
        width = f->projection;
    }
    if (f->encoding == KD_INT8) {
        KD_TRY(room_for(w, kd__quantised_bytes(width, 8), &to));
        kd__quantise(x, width, 8, to);
        return KD_OK;
    }
    KD_TRY(room_for(w, width * (f->encoding == KD_FLOAT32 ? 4 : 2), &to));
    put_floats(to, x, width, f->encoding);
    return KD_OK;
}

static int64_t width_given(const kd_store_writer *w, const kd__store_field *f) { return f->kind == KD_STORE_DENSE ? w->padded : f->width; }

static kd_status put_rows(kd_store_writer *w, int32_t field, const kd_array *rows, const uint8_t *present)
{
    const kd__store_field *f = &w->fields[field];
    const int64_t count = w->header.positions, width = width_given(w, f), from = w->record.size;
    uint32_t flags;
    KD_FAIL_IF(kd_array_count(rows) != count * width, KD_ERR_SHAPE, "field '%s': expected %lld rows of %lld numbers, got %lld numbers", f->name,
               (long long)count, (long long)width, (long long)kd_array_count(rows));
    KD_TRY(KD_RESERVE(w->object.context, &w->scratch, &w->scratch_room, width + f->projection));
    KD_TRY(put_presence(w, present, count, &flags));
    const int flat = kd__array_contiguous(rows);
    KD_FAIL_IF(!flat, KD_ERR_SHAPE, "field '%s': expected a contiguous array", f->name);
    for (int64_t r = 0; r < count; r++) {
        if (present && !present[r]) memset(w->scratch, 0, (size_t)width * sizeof *w->scratch);
        else {
            kd__convert_float32(w->scratch, (const char *)rows->data + (size_t)(r * width) * kd_dtype_size(rows->dtype), rows->dtype, width, 1, 0);
            KD_TRY(check_finite(f, w->scratch, width, r));
        }
        KD_TRY(put_row(w, f, w->scratch, width, w->scratch + width));
    }
    return kd__writer_end_part(w, field, from, flags);
}

static kd_status put_integers(kd_store_writer *w, int32_t field, const kd_array *rows, const uint8_t *present)
{
    const int64_t count = w->header.positions, from = w->record.size;
    uint32_t flags;
    uint8_t *to;
    KD_FAIL_IF(!kd__dtype_is_integer(rows->dtype) || kd_array_count(rows) != count || !kd__array_contiguous(rows), KD_ERR_SHAPE,
               "field '%s': expected %lld integers", w->fields[field].name, (long long)count);
    KD_TRY(put_presence(w, present, count, &flags));
    for (int64_t r = 0; r < count; r++) {
        int64_t value;
        kd__convert_int64(&value, (const char *)rows->data + (size_t)r * kd_dtype_size(rows->dtype), rows->dtype, 1);
        KD_TRY(room_for(w, 8, &to));
        kd__put64(to, (uint64_t)value);
    }
    return kd__writer_end_part(w, field, from, flags);
}

static kd_status put_single(kd_store_writer *w, int32_t field, const kd_array *value)
{
    const int64_t from = w->record.size;
    const int score = w->fields[field].kind == KD_STORE_SCORE;
    uint8_t *to;
    KD_FAIL_IF(kd_array_count(value) != 1 || value->dtype != (score ? KD_FLOAT64 : KD_UINT64), KD_ERR_DTYPE, "field '%s': expected one %s",
               w->fields[field].name, score ? "float64" : "uint64");
    KD_TRY(room_for(w, 8, &to));
    uint64_t bits;
    memcpy(&bits, value->data, 8);
    kd__put64(to, bits);
    return kd__writer_end_part(w, field, from, 0);
}

static kd_status put_any(kd_store_writer *w, int32_t field, const kd_array *rows, const uint8_t *present)
{
    const int32_t kind = w->fields[field].kind;
    const int64_t from = w->record.size;
    kd_status status;
    if (kind == KD_STORE_LABELS) status = put_integers(w, field, rows, present);
    else if (kind == KD_STORE_SCORE || kind == KD_STORE_SEED) status = put_single(w, field, rows);
    else if (kind == KD_STORE_TEXT || kind == KD_STORE_TOPK || kind == KD_STORE_COUNTS)
        return kd__fail(KD_ERR_DTYPE, "field '%s' is put by kd_store_writer_put_%s", w->fields[field].name,
                        kind == KD_STORE_TEXT ? "text" : "sparse");
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
    return put_any(w, number, rows, NULL);
}

kd_status kd_store_writer_put_text(kd_store_writer *w, const char *field, const char *bytes, int64_t size)
{
    int32_t number;
    KD_NEED(w);
    KD_TRY(kd__writer_field(w, field, &number));
    KD_FAIL_IF(w->fields[number].kind != KD_STORE_TEXT, KD_ERR_DTYPE, "field '%s' holds no text", field);
    KD_FAIL_IF(size < 0 || (size && !bytes), KD_ERR_INVALID, "text of %lld bytes", (long long)size);
    const int64_t from = w->record.size;
    KD_TRY(kd__text_append(&w->record, size ? bytes : "", (size_t)size));
    return kd__writer_end_part(w, number, from, 0);
}

/* ---- sparse rows ---- */

typedef struct {
    const uint32_t *ids;
    const float *values;
    uint32_t *codes;
    int64_t count;
    float tails[1 + KD__MAX_TEMPERATURES];
} entries;

/* The n most likely entries; of those with the last one's code the first ones. */
static void keep_likely(const entries *r, const int64_t *below, int64_t n, uint32_t *ids, uint32_t *codes)
{
    uint32_t last = 0;
    int64_t kept = 0;
    while (below[last + 1] < n) last++;
    int64_t room = n - below[last];
    for (int64_t i = 0; i < r->count && kept < n; i++) {
        const uint32_t code = r->codes[i];
        if (code > last || (code == last && room-- < 1)) continue;
        ids[kept] = r->ids[i];
        codes[kept++] = code;
    }
}

/* What is left out goes to the tails: shares of the whole at each temperature. */
static void widen_tails(const kd_store_writer *w, entries *r, const uint32_t *ids, int64_t n)
{
    for (int32_t t = 0; t < 1 + w->temperature_count; t++) {
        const double a = t ? w->temperature / w->temperatures[t - 1] : 1, tail = exp((double)r->tails[t]);
        double left = 0, inside = 0;
        for (int64_t i = 0, kept = 0; i < r->count; i++) {
            const double e = exp(a * r->values[i]);
            inside += e;
            if (kept < n && ids[kept] == r->ids[i]) kept++;
            else left += e;
        }
        r->tails[t] = (float)log(tail + (inside > 0 ? left / inside * (1 - tail) : 0));
    }
}

/* As many of the most likely entries as fit into the field's bytes, one at least: `ids` and `codes` are room for all. Bits are nearly a straight line over
 * entries, so that the next guess comes from it.                                                                                       */
static void fit_bytes(const kd_store_writer *w, const kd__store_field *f, entries *r, uint32_t *ids, uint32_t *codes)
{
    const int64_t budget = 8 * f->bytes;
    const int32_t tails = 1 + w->temperature_count;
    int64_t below[KD__CURVE + 1] = { 0 }; /* entries with a smaller code */
    int64_t low = 1, high = r->count, low_bits = 0, high_bits = kd__topk_bits(w->vocabulary, r->count, r->ids, r->codes, tails);
    if (high_bits <= budget) return;
    for (int64_t i = 0; i < r->count; i++) below[r->codes[i] + 1]++;
    for (int c = 0; c < KD__CURVE; c++) below[c + 1] += below[c];
    for (int round = 0; high - low > 1; round++) { /* low fits, high does not */
        int64_t n = low + (high - low) / 2;
        if (round < 6) n = low + (int64_t)((double)(high - low) * (double)(budget - low_bits) / (double)(high_bits - low_bits));
        n = n <= low ? low + 1 : n >= high ? high - 1 : n;
        keep_likely(r, below, n, ids, codes);
        const int64_t bits = kd__topk_bits(w->vocabulary, n, ids, codes, tails);
        if (bits <= budget) low = n, low_bits = bits;
        else high = n, high_bits = bits;
    }
    if (r->count > low) {
        keep_likely(r, below, low, ids, codes);
        widen_tails(w, r, ids, low);
        r->ids = ids;
        r->codes = codes;
        r->count = low;
    }
}

/* The tails of a row at the store's temperatures. */
static kd_status read_tails(const kd_store_writer *w, const kd__sparse *s, int64_t r, float *tails)
{
    tails[0] = s->tail[r];
    for (int32_t t = 0; t < w->temperature_count; t++) {
        int32_t at = 0;
        while (at < s->temperature_count && fabs(s->temperatures[at] - w->temperatures[t]) > 1e-6 * w->temperatures[t]) at++;
        KD_FAIL_IF(at == s->temperature_count, KD_ERR_MISMATCH, "the store keeps tails at temperature %g, which the sparse field lacks",
                   w->temperatures[t]);
        tails[t + 1] = s->tails[r * s->temperature_count + at];
    }
    return KD_OK;
}

static kd_status check_sparse(const kd_store_writer *w, const kd__store_field *f, const kd__sparse *s, int64_t first)
{
    KD_FAIL_IF(f->kind != (s->kind == KD_SPARSE_TOPK ? KD_STORE_TOPK : KD_STORE_COUNTS), KD_ERR_MISMATCH,
               "field '%s' and the sparse field '%s' are of different kinds", f->name, s->name);
    KD_FAIL_IF(fabs(s->temperature - w->temperature) > 1e-6 * w->temperature, KD_ERR_MISMATCH,
               "field '%s': the store is at temperature %g, the sparse field at %g", f->name, w->temperature, s->temperature);
    KD_FAIL_IF(first < 0 || first + w->header.positions > s->rows, KD_ERR_RANGE, "field '%s': rows %lld to %lld of a sparse field of %lld", f->name,
               (long long)first, (long long)(first + w->header.positions), (long long)s->rows);
    return KD_OK;
}

/* room: three times the row's entries. */
static kd_status put_sparse_row(kd_store_writer *w, const kd__store_field *f, const kd__sparse *s, int64_t r, kd__bits_out *out, uint32_t *room)
{
    const int64_t at = s->offsets[r], k = s->offsets[r + 1] - at;
    entries x = { s->ids + at, s->values + at, room, k, { 0 } };
    KD_FAIL_IF(k && x.ids[k - 1] >= w->vocabulary, KD_ERR_RANGE, "field '%s': row %lld: id %u is not in 0 to %lld", f->name, (long long)r,
               x.ids[k - 1], (long long)w->vocabulary - 1);
    if (f->kind == KD_STORE_COUNTS) {
        for (int64_t i = 0; i < k; i++)
            KD_FAIL_IF(x.values[i] != floorf(x.values[i]) || x.values[i] < 1 || x.values[i] > 1e9f, KD_ERR_RANGE,
                       "field '%s': row %lld: a count is %g", f->name, (long long)r, x.values[i]);
        kd__counts_encode(out, w->vocabulary, k, x.ids, x.values);
        if (s->has_entropy) { /* 16 bits: steps of 1/2048 nat */
            const double e = s->entropy[r] * 2048.0;
            kd__bits_put(out, e > 65534 ? 65534 : e < 0 ? 0 : (uint32_t)rint(e), 16);
        } else kd__bits_put(out, 65535, 16);
        return KD_OK;
    }
    KD_TRY(read_tails(w, s, r, x.tails));
    kd__topk_codes(k, x.values, x.codes);
    if (f->bytes && k) fit_bytes(w, f, &x, room + k, room + 2 * k);
    kd__topk_encode(out, w->vocabulary, x.count, x.ids, x.codes, 1 + w->temperature_count, x.tails);
    return KD_OK;
}

/* A directory of byte offsets, one for KD__BLOCK positions; then the rows' bits, each block from a whole byte. */
static kd_status put_blocks(kd_store_writer *w, int32_t field, const kd__sparse *s, int64_t first)
{
    const kd__store_field *f = &w->fields[field];
    const int64_t rows = w->header.positions, blocks = (rows + KD__BLOCK - 1) / KD__BLOCK, from = w->record.size;
    uint8_t *to, *room;
    uint32_t flags;
    KD_TRY(put_presence(w, s->present ? s->present + first : NULL, rows, &flags));
    const int64_t directory = w->record.size;
    KD_TRY(room_for(w, 4 * blocks, &to));
    KD_TRY(KD_RESERVE(w->object.context, &w->scratch, &w->scratch_room, 3 * s->most));
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t last = (b + 1) * KD__BLOCK < rows ? (b + 1) * KD__BLOCK : rows, start = w->record.size;
        int64_t in_block = 0;
        for (int64_t r = b * KD__BLOCK; r < last; r++) in_block += s->offsets[first + r + 1] - s->offsets[first + r];
        KD_TRY(room_for(w, kd__row_room(in_block) + KD__BLOCK * 64, &room));
        kd__bits_out out = { .bytes = room };
        for (int64_t r = b * KD__BLOCK; r < last; r++) {
            if (s->present && !s->present[first + r]) continue;
            KD_TRY(put_sparse_row(w, f, s, first + r, &out, (uint32_t *)(void *)w->scratch));
        }
        kd__bits_flush(&out);
        w->record.size = start + out.size;
        KD_FAIL_IF(start - directory > UINT32_MAX, KD_ERR_RANGE, "field '%s': a record is larger than 4 GiB", f->name);
        kd__put32((uint8_t *)w->record.bytes + directory + 4 * b, (uint32_t)(start - directory));
    }
    return kd__writer_end_part(w, field, from, flags);
}

static kd_status put_sparse(kd_store_writer *w, int32_t field, const kd__sparse *s, int64_t first)
{
    const int64_t from = w->record.size;
    KD_TRY(check_sparse(w, &w->fields[field], s, first));
    kd_status status = put_blocks(w, field, s, first);
    if (status != KD_OK) w->record.size = from;
    return status;
}

kd_status kd_store_writer_put_sparse(kd_store_writer *w, const char *field, kd_targets *targets, const char *source, int64_t first_row)
{
    int32_t number;
    KD_NEED(w);
    KD_NEED(targets);
    KD_NEED(source);
    KD_TRY(kd__writer_field(w, field, &number));
    const kd__sparse *s = kd__sparse_find(targets, source);
    KD_FAIL_IF(!s, KD_ERR_NOT_FOUND, "targets: no sparse field '%.60s'", source);
    return put_sparse(w, number, s, first_row);
}

/* ---- a whole batch ---- */

/* Sparse fields that the targets do not have are made from the dense ones, for the whole batch at once. */
static kd_status select_fields(kd_store_writer *w, kd_targets *targets)
{
    KD_TRY(kd_targets_begin(w->selected, targets->fields.rows));
    for (int32_t i = 0; i < w->field_count; i++) {
        const kd__store_field *f = &w->fields[i];
        float temperatures[KD__MAX_TEMPERATURES];
        if ((f->kind != KD_STORE_TOPK && f->kind != KD_STORE_COUNTS) || kd__sparse_find(targets, f->source)) continue;
        const int named = kd__fields_find(&targets->fields, f->source) != NULL;
        const kd__field *dense = kd__fields_find(&targets->fields, named ? f->source : "logits");
        KD_FAIL_IF(!dense, KD_ERR_NOT_FOUND, "field '%s': the targets have neither '%s' nor \"logits\"", f->name, f->source);
        KD_FAIL_IF(kd__array_row(&dense->values) != w->padded, KD_ERR_SHAPE, "field '%s': expected logits of %lld classes, got %lld", f->name,
                   (long long)w->padded, (long long)kd__array_row(&dense->values));
        kd_array logits = dense->values, further = KD_ARRAY_1D(temperatures, KD_FLOAT32, w->temperature_count);
        logits.rank = 2;
        logits.dims[1] = w->vocabulary; /* padded columns are dropped */
        logits.strides[0] = w->padded;
        logits.strides[1] = 1;
        for (int32_t t = 0; t < w->temperature_count; t++) temperatures[t] = (float)w->temperatures[t];
        if (f->kind == KD_STORE_TOPK)
            KD_TRY(kd_targets_select(w->selected, f->source, &logits, f->k, f->mass, w->temperature, w->temperature_count ? &further : NULL));
        else KD_TRY(kd_targets_sample(w->selected, f->source, &logits, f->draws, w->temperature, w->seed + (uint64_t)w->index_count));
        kd__sparse *made = (kd__sparse *)(uintptr_t)kd__sparse_find(w->selected, f->source);
        made->present = dense->present;
    }
    return KD_OK;
}

static const kd__sparse *sparse_of(const kd_store_writer *w, const kd_targets *targets, const kd__store_field *f)
{
    const kd__sparse *s = kd__sparse_find(targets, f->source);
    return s ? s : kd__sparse_find(w->selected, f->source);
}

static int row_is_there(const kd_store_writer *w, const kd_targets *targets, int64_t row)
{
    for (int32_t i = 0; i < w->field_count; i++) {
        const kd__store_field *f = &w->fields[i];
        const int sparse = f->kind == KD_STORE_TOPK || f->kind == KD_STORE_COUNTS;
        const kd__sparse *s = sparse ? sparse_of(w, targets, f) : NULL;
        const kd__field *d = sparse ? NULL : kd__fields_find(&targets->fields, f->source);
        if ((s && (!s->present || s->present[row])) || (d && (!d->present || d->present[row]))) return 1;
    }
    return 0;
}

static kd_status put_sample(kd_store_writer *w, kd_targets *targets, int64_t begin, int64_t end)
{
    for (int32_t i = 0; i < w->field_count; i++) {
        const kd__store_field *f = &w->fields[i];
        if (f->kind == KD_STORE_TOPK || f->kind == KD_STORE_COUNTS) {
            KD_TRY(put_sparse(w, i, sparse_of(w, targets, f), begin));
            continue;
        }
        if (f->kind >= KD_STORE_TEXT) continue; /* one a sample: put piece by piece */
        const kd__field *dense = kd__fields_find(&targets->fields, f->source);
        KD_FAIL_IF(!dense, KD_ERR_NOT_FOUND, "field '%s': the targets have no '%s'", f->name, f->source);
        kd_array part = dense->values;
        part.data = (char *)part.data + (size_t)(begin * kd__array_row(&part)) * kd_dtype_size(part.dtype);
        part.dims[0] = end - begin;
        KD_TRY(put_any(w, i, &part, dense->present ? dense->present + begin : NULL));
    }
    return KD_OK;
}

static kd_status add_sample(kd_store_writer *w, kd_batch *batch, kd_targets *targets, const uint64_t *key, int64_t s)
{
    int64_t begin = batch->offsets[s], end = batch->offsets[s + 1];
    const kd__field *position = kd__fields_find(&batch->fields, "position");
    while (begin < end && !row_is_there(w, targets, begin)) begin++;
    while (end > begin && !row_is_there(w, targets, end - 1)) end--;
    if (begin == end) return KD_OK;
    const int64_t first = position && position->values.dtype == KD_INT64 ? ((const int64_t *)position->values.data)[begin]
                                                                         : begin - batch->offsets[s];
    KD_TRY(kd_store_writer_begin(w, key[0], key[1], batch->views[s], first, end - begin));
    kd_status status = put_sample(w, targets, begin, end);
    if (status == KD_OK) status = kd_store_writer_commit(w);
    w->open = 0;
    return status;
}

kd_status kd_store_writer_add(kd_store_writer *w, kd_batch *batch, kd_targets *targets)
{
    const uint64_t *keys;
    KD_NEED(w);
    KD_NEED(batch);
    KD_NEED(targets);
    KD_FAIL_IF(w->file < 0, KD_ERR_STATE, "the writer is closed");
    KD_FAIL_IF(targets->fields.rows != batch->fields.rows, KD_ERR_SHAPE, "the batch has %lld rows, the targets %lld", (long long)batch->fields.rows,
               (long long)targets->fields.rows);
    KD_TRY(kd__batch_keys(batch, &keys));
    for (int64_t s = 0; s < batch->samples; s++)
        KD_FAIL_IF(!keys[2 * s] && !keys[2 * s + 1], KD_ERR_STATE, "sample %lld of the batch has no key (kd_batch_set_samples, kd_store_key)",
                   (long long)s);
    KD_TRY(select_fields(w, targets));
    for (int64_t s = 0; s < batch->samples; s++) KD_TRY(add_sample(w, batch, targets, keys + 2 * s, s));
    return KD_OK;
}

kd_status kd_store_key(kd_context *context, const kd_array *content, uint64_t *key0, uint64_t *key1)
{
    uint64_t key[2];
    KD_NEED(context);
    KD_NEED(content);
    KD_NEED(key0);
    KD_NEED(key1);
    KD_TRY(kd__array_check(content, "content"));
    KD_FAIL_IF(!kd__dtype_is_integer(content->dtype) || !kd__array_contiguous(content), KD_ERR_DTYPE,
               "content: expected contiguous integers (tokens) or uint8 (bytes), got %s", kd__dtype_name(content->dtype));
    const int64_t count = kd_array_count(content);
    if (content->dtype == KD_UINT8) kd__hash128(content->data, (size_t)count, key);
    else {
        uint8_t *bytes;
        KD_TRY(kd__allocate(context, (void **)&bytes, 4 * count, 1));
        for (int64_t i = 0; i < count; i++) {
            int64_t token;
            kd__convert_int64(&token, (const char *)content->data + (size_t)i * kd_dtype_size(content->dtype), content->dtype, 1);
            kd__put32(bytes + 4 * i, (uint32_t)token);
        }
        kd__hash128(bytes, (size_t)(4 * count), key);
        kd__release(context, bytes);
    }
    *key0 = key[0];
    *key1 = key[1];
    return KD_OK;
}

/* ---- the head ---- */

kd_status kd_store_writer_head(kd_store_writer *w, const kd_array *weight, int32_t encoding)
{
    int32_t field = 0;
    uint8_t *to;
    KD_NEED(w);
    KD_NEED(weight);
    KD_TRY(kd__array_check(weight, "weight"));
    KD_FAIL_IF(w->file < 0 || w->index_count, KD_ERR_STATE, "the head comes before the first record");
    while (field < w->field_count && w->fields[field].kind != KD_STORE_HIDDEN) field++;
    KD_FAIL_IF(field == w->field_count, KD_ERR_STATE, "the store has no field of kind KD_STORE_HIDDEN");
    const int64_t width = w->fields[field].width, rows = w->vocabulary;
    KD_FAIL_IF(encoding != KD_FLOAT32 && encoding != KD_FLOAT16 && encoding != KD_BFLOAT16, KD_ERR_DTYPE, "head: encoding %d", encoding);
    KD_FAIL_IF(weight->rank != 2 || weight->dims[0] < rows || weight->dims[1] != width || rows < 1 || !kd__array_contiguous(weight), KD_ERR_SHAPE,
               "head: expected a contiguous (%lld, %lld), got (%lld, %lld)", (long long)rows, (long long)width, (long long)weight->dims[0],
               (long long)(weight->rank == 2 ? weight->dims[1] : 0));
    if (w->head) return KD_OK; /* a continued store has it */
    KD_TRY(kd_store_writer_begin(w, 0, 0, 0, 0, rows));
    KD_TRY(KD_RESERVE(w->object.context, &w->scratch, &w->scratch_room, width));
    for (int64_t r = 0; r < rows; r++) {
        kd__convert_float32(w->scratch, (const char *)weight->data + (size_t)(r * width) * kd_dtype_size(weight->dtype), weight->dtype, width, 1, 0);
        KD_TRY(room_for(w, width * (encoding == KD_FLOAT32 ? 4 : 2), &to));
        put_floats(to, w->scratch, width, encoding);
    }
    KD_TRY(kd__writer_end_part(w, field, 0, (uint32_t)encoding << 8));
    w->header.type = KD__RECORD_HEAD;
    const int64_t at = w->end;
    KD_TRY(kd_store_writer_commit(w));
    w->index_count--; /* it is found through the index's own place for it */
    w->head = at;
    return KD_OK;
}
