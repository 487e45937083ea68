/* A batch into a store: a record a sample. Keys, and the head. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/memory.h"
#include "core/store/writer.h"

/* ---- a whole batch ---- */

static int is_sparse(const kd__store_field *f)
{
    return f->kind == KD_STORE_TOPK || f->kind == KD_STORE_COUNTS;
}

/* The logits that a sparse field is chosen from: of the field's source, else "logits"; dense, or
 * hidden states with a head. */
static kd_status find_logits(const kd_store_writer *w, const kd_targets *targets,
                             const kd__store_field *f, kd__logits *logits, const uint8_t **present)
{
    const int named = kd__logits_find(targets, f->source, logits, present);
    const char *other = strcmp(f->source, "logits") ? " and no 'logits'" : "";
    KD_FAIL_IF(!named && !kd__logits_find(targets, "logits", logits, present), KD_ERR_NOT_FOUND,
               "field '%s': the targets have no '%s'%s: expected sparse rows, dense logits, or "
               "hidden states with a head",
               f->name, f->source, other);
    KD_FAIL_IF(logits->classes != w->padded, KD_ERR_SHAPE,
               "field '%s': expected logits of %lld classes, got %lld", f->name,
               (long long)w->padded, (long long)logits->classes);
    logits->classes = w->vocabulary; /* padded columns are dropped */
    return KD_OK;
}

/* Top-k or draws of logits, for the whole batch at once: under the field's own name, because two
 * may come from one source. */
static kd_status select_field(kd_store_writer *w, const kd_targets *targets,
                              const kd__store_field *f)
{
    const uint64_t seed = w->seed + (uint64_t)w->index_count;
    kd__logits logits;
    const uint8_t *present;
    KD_TRY(find_logits(w, targets, f, &logits, &present));
    if (f->kind == KD_STORE_COUNTS)
        KD_TRY(kd__targets_sample(w->selected, f->name, &logits, f->draws, w->temperature, seed));
    else
        KD_TRY(kd__targets_select(w->selected, f->name, &logits, f->k, f->mass, w->temperature,
                                  w->temperature_count, w->temperatures));
    kd__sparse *made = (kd__sparse *)(uintptr_t)kd__sparse_find(w->selected, f->name);
    made->present = present;
    return KD_OK;
}

/* A field's rows of numbers; dense logits may be hidden states with a head. */
static int dense_of(const kd_targets *targets, const kd__store_field *f, kd__logits *rows,
                    const uint8_t **present)
{
    const kd__field *field = kd__fields_find(&targets->fields, f->source);
    if (f->kind == KD_STORE_DENSE) return kd__logits_find(targets, f->source, rows, present);
    *present = field ? field->present : NULL;
    return field != NULL;
}

/* One entry a row where rows are stored, one a sample of an embedding. */
static kd_status check_unit(const kd_targets *targets, const kd__store_field *f)
{
    const kd__field *field = kd__fields_find(&targets->fields, f->source);
    const int of_rows = kd__kind_is_of_rows(f->kind);
    const int same = !field || targets->fields.one_row ||
                     field->unit == (of_rows ? KD__OF_ROWS : KD__OF_SAMPLES);
    KD_FAIL_IF(!same, KD_ERR_SHAPE,
               "field '%s': the targets' '%s' is %s (%lld), stored is one a %s", f->name,
               field->name, kd__unit_name(field->unit), (long long)field->values.dims[0],
               of_rows ? "row" : "sample");
    KD_FAIL_IF(!of_rows && !field, KD_ERR_NOT_FOUND, "field '%s': the targets have no '%s'",
               f->name, f->source);
    return KD_OK;
}

static int is_put_apart(const kd__store_field *f)
{
    return !kd__kind_is_of_rows(f->kind) && f->kind != KD_STORE_EMBEDDING;
}

/* Every field's rows are there, or can be made: told before anything is written. */
static kd_status find_fields(kd_store_writer *w, kd_targets *targets)
{
    int rows = 0;
    kd__logits logits;
    const uint8_t *present;
    KD_TRY(kd_targets_begin(w->selected, targets->fields.rows));
    for (int32_t i = 0; i < w->field_count; i++) {
        const kd__store_field *f = &w->fields[i];
        if (is_put_apart(f)) continue;
        rows++;
        KD_TRY(check_unit(targets, f));
        if (f->kind == KD_STORE_EMBEDDING) continue;
        if (!is_sparse(f))
            KD_FAIL_IF(!dense_of(targets, f, &logits, &present), KD_ERR_NOT_FOUND,
                       "field '%s': the targets have no '%s'", f->name, f->source);
        else if (!kd__sparse_find(targets, f->source)) KD_TRY(select_field(w, targets, f));
    }
    KD_FAIL_IF(
        !rows, KD_ERR_STATE,
        "no field of the store is of rows or an embedding: its records are put piece by piece "
        "(kd_store_writer_begin)");
    return KD_OK;
}

static const kd__sparse *sparse_of(const kd_store_writer *w, const kd_targets *targets,
                                   const kd__store_field *f)
{
    const kd__sparse *s = kd__sparse_find(targets, f->source);
    return s ? s : kd__sparse_find(w->selected, f->name);
}

static int row_is_there(const kd_store_writer *w, const kd_targets *targets, int64_t row)
{
    for (int32_t i = 0; i < w->field_count; i++) {
        const kd__store_field *f = &w->fields[i];
        const kd__sparse *s = is_sparse(f) ? sparse_of(w, targets, f) : NULL;
        const uint8_t *present = s ? s->present : NULL;
        kd__logits rows;
        const int found = is_sparse(f) ? s != NULL
                                       : kd__kind_is_of_rows(f->kind) &&
                                             dense_of(targets, f, &rows, &present);
        if (found && (!present || present[row])) return 1;
    }
    return 0;
}

static kd_array entries_of(const kd__field *field, int64_t begin, int64_t end)
{
    kd_array part = field->values;
    part.data = (char *)part.data +
                (size_t)(begin * kd__array_row(&part)) * kd_dtype_bytes(part.dtype);
    part.dims[0] = end - begin;
    return part;
}

static kd_status put_sample(kd_store_writer *w, kd_targets *targets, int64_t begin, int64_t end)
{
    for (int32_t i = 0; i < w->field_count; i++) {
        const kd__store_field *f = &w->fields[i];
        if (!kd__kind_is_of_rows(f->kind)) continue;
        if (is_sparse(f)) {
            KD_TRY(kd__put_sparse(w, i, sparse_of(w, targets, f), begin));
            continue;
        }
        if (f->kind == KD_STORE_DENSE && kd__virtual_find(targets, f->source)) {
            KD_TRY(kd__put_head(w, i, targets, begin));
            continue;
        }
        const kd__field *dense = kd__fields_find(&targets->fields, f->source);
        const kd_array part = entries_of(dense, begin, end);
        KD_TRY(kd__put_any(w, i, &part, dense->present ? dense->present + begin : NULL));
    }
    return KD_OK;
}

/* The embedding of a sample; NULL: the field is none, or the sample has none. */
static const kd__field *embedding_of(const kd_targets *targets, const kd__store_field *f,
                                     int64_t number)
{
    if (f->kind != KD_STORE_EMBEDDING) return NULL;
    const kd__field *field = kd__fields_find(&targets->fields, f->source);
    return !field->present || field->present[number] ? field : NULL;
}

static int has_embedding(const kd_store_writer *w, const kd_targets *targets, int64_t number)
{
    for (int32_t i = 0; i < w->field_count; i++)
        if (embedding_of(targets, &w->fields[i], number)) return 1;
    return 0;
}

static kd_status put_embeddings(kd_store_writer *w, const kd_targets *targets, int64_t number)
{
    for (int32_t i = 0; i < w->field_count; i++) {
        const kd__field *field = embedding_of(targets, &w->fields[i], number);
        if (!field) continue;
        const kd_array part = entries_of(field, number, number + 1);
        KD_TRY(kd__put_any(w, i, &part, NULL));
    }
    return KD_OK;
}

/* One sample of a batch, and its rows. */
typedef struct {
    int64_t number, begin, end;
    const int64_t *tokens, *positions; /* of all rows; NULL: none, and 0, 1, 2 ... */
} sample;

static int has_rows(const kd_store_writer *w)
{
    for (int32_t i = 0; i < w->field_count; i++)
        if (kd__kind_is_of_rows(w->fields[i].kind)) return 1;
    return 0;
}

static int64_t position_of(const sample *s, int64_t row)
{
    return s->positions ? s->positions[row] : row - s->begin;
}

/* What a reader compares: the tokens, or only how many rows the sample has where the record does
 * not tell. A store without rows says nothing of tokens. */
static kd_status put_check(kd_store_writer *w, const sample *s, int64_t end)
{
    if (!has_rows(w)) return KD_OK;
    const int64_t first = position_of(s, s->begin), count = s->end - s->begin;
    for (int64_t r = s->begin + 1; r < s->end; r++)
        KD_FAIL_IF(position_of(s, r) - 1 != position_of(s, r - 1), KD_ERR_RANGE,
                   "row %lld: its sample's positions must rise by one, got %lld after %lld",
                   (long long)r, (long long)position_of(s, r), (long long)position_of(s, r - 1));
    if (s->tokens) return kd__put_sample(w, s->tokens + s->begin, first, count, first == 0);
    return first == 0 && end < s->end ? kd__put_sample(w, NULL, 0, count, 1) : KD_OK;
}

/* The position of a record's first row; of one without rows, where its sample ends. */
static int64_t first_position(const kd_store_writer *w, const sample *s, int64_t begin)
{
    if (begin < s->end) return position_of(s, begin);
    return has_rows(w) && s->end > s->begin ? position_of(s, s->end - 1) + 1 : 0;
}

static kd_status add_sample(kd_store_writer *w, kd_targets *targets, const uint64_t *key,
                            int64_t view, const sample *s)
{
    int64_t begin = s->begin, end = s->end;
    while (begin < end && !row_is_there(w, targets, begin)) begin++;
    while (end > begin && !row_is_there(w, targets, end - 1)) end--;
    if (begin == end && !has_embedding(w, targets, s->number)) return KD_OK;
    KD_TRY(
        kd_store_writer_begin(w, key[0], key[1], view, first_position(w, s, begin), end - begin));
    kd_status status = put_sample(w, targets, begin, end);
    if (status == KD_OK) status = put_embeddings(w, targets, s->number);
    if (status == KD_OK) status = put_check(w, s, end);
    if (status == KD_OK) status = kd_store_writer_commit(w);
    w->open = 0;
    return status;
}

static kd_status check_batch(const kd_store_writer *w, const kd_batch *batch,
                             const kd_targets *targets, const uint64_t *keys)
{
    KD_FAIL_IF(w->file < 0, KD_ERR_STATE, "the writer is closed");
    KD_FAIL_IF(targets->fields.rows != batch->fields.rows, KD_ERR_SHAPE,
               "the batch has %lld rows, the targets %lld", (long long)batch->fields.rows,
               (long long)targets->fields.rows);
    KD_FAIL_IF(targets->fields.samples >= 0 && targets->fields.samples != batch->samples,
               KD_ERR_SHAPE, "the batch has %lld samples, the targets %lld",
               (long long)batch->samples, (long long)targets->fields.samples);
    for (int64_t s = 0; s < batch->samples; s++)
        KD_FAIL_IF(!keys[2 * s] && !keys[2 * s + 1], KD_ERR_STATE,
                   "sample %lld of the batch has no key (kd_batch_set_samples, kd_store_key)",
                   (long long)s);
    return KD_OK;
}

kd_status kd_store_writer_add(kd_store_writer *w, kd_batch *batch, kd_targets *targets)
{
    const uint64_t *keys;
    sample s = { 0 };
    KD_NEED(w);
    KD_NEED(batch);
    KD_NEED(targets);
    KD_TRY(kd__batch_keys(batch, &keys));
    KD_TRY(check_batch(w, batch, targets, keys));
    if (batch->fields.one_row) kd__fields_join(&targets->fields);
    KD_TRY(kd__batch_integers(batch, "position", &s.positions));
    KD_TRY(find_fields(w, targets));
    KD_TRY(kd__writer_origin(w, batch));
    s.tokens = kd__batch_tokens(batch);
    for (int64_t i = 0; i < batch->samples; i++) {
        s.number = i;
        s.begin = batch->offsets[i];
        s.end = batch->offsets[i + 1];
        KD_TRY(add_sample(w, targets, keys + 2 * i, batch->views[i], &s));
    }
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
    KD_FAIL_IF(!kd__dtype_is_integer(content->dtype) || !kd__array_contiguous(content),
               KD_ERR_DTYPE,
               "content: expected contiguous integers (tokens) or uint8 (bytes), got %s",
               kd__dtype_name(content->dtype));
    const int64_t count = kd_array_count(content);
    if (content->dtype == KD_UINT8) kd__hash128(content->data, (size_t)count, key);
    else {
        uint8_t *bytes;
        KD_TRY(kd__allocate(context, (void **)&bytes, 4 * count, 1));
        for (int64_t i = 0; i < count; i++) {
            int64_t token;
            kd__convert_int64(
                &token, (const char *)content->data + (size_t)i * kd_dtype_bytes(content->dtype),
                content->dtype, 1);
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

static kd_status put_head(kd_store_writer *w, int32_t field, const kd_array *weight,
                          int32_t encoding)
{
    const int64_t rows = w->vocabulary, width = w->fields[field].width;
    kd__store_field as = { .kind = KD_STORE_VECTORS, .encoding = encoding, .name = "head" };
    uint8_t *to;
    KD_TRY(KD_RESERVE(w->object.context, &w->scratch, &w->scratch_room, width));
    for (int64_t r = 0; r < rows; r++) {
        kd__convert_float32(w->scratch,
                            (const char *)weight->data +
                                (size_t)(r * width) * kd_dtype_bytes(weight->dtype),
                            weight->dtype, width, 1, 0);
        KD_TRY(kd__bounds_row(&as, w->scratch, width, r));
        KD_TRY(kd__put_room(w, width * (encoding == KD_FLOAT32 ? 4 : 2), &to));
        kd__put_floats(to, w->scratch, width, encoding);
    }
    KD_TRY(kd__writer_end_part(w, field, 0, (uint32_t)encoding << 8));
    w->header.type = KD__RECORD_HEAD;
    return KD_OK;
}

kd_status kd_store_writer_set_head(kd_store_writer *w, const kd_array *weight, int32_t encoding)
{
    int32_t field = 0;
    KD_NEED(w);
    KD_NEED(weight);
    KD_TRY(kd__array_check(weight, "weight"));
    KD_FAIL_IF(w->file < 0 || w->index_count, KD_ERR_STATE,
               "the head comes before the first record");
    while (field < w->field_count && w->fields[field].kind != KD_STORE_HIDDEN) field++;
    KD_FAIL_IF(field == w->field_count, KD_ERR_STATE,
               "the store has no field of kind KD_STORE_HIDDEN");
    const int64_t width = w->fields[field].width, rows = w->vocabulary;
    KD_FAIL_IF(encoding != KD_FLOAT32 && encoding != KD_FLOAT16 && encoding != KD_BFLOAT16,
               KD_ERR_DTYPE,
               "head: encoding: expected KD_FLOAT32, KD_FLOAT16 or KD_BFLOAT16, got %d", encoding);
    KD_FAIL_IF(weight->rank != 2 || weight->dims[0] < rows || weight->dims[1] != width ||
                   rows < 1 || !kd__array_contiguous(weight),
               KD_ERR_SHAPE, "head: expected a contiguous (%lld, %lld), got (%lld, %lld)",
               (long long)rows, (long long)width, (long long)weight->dims[0],
               (long long)(weight->rank == 2 ? weight->dims[1] : 0));
    if (w->head) return KD_OK; /* a continued store has it */
    KD_TRY(kd_store_writer_begin(w, 0, 0, 0, 0, rows));
    const int64_t at = w->end;
    kd_status status = put_head(w, field, weight, encoding);
    if (status == KD_OK) status = kd_store_writer_commit(w);
    w->open = 0;
    KD_TRY(status);
    w->index_count--; /* it is found through the index's own place for it */
    w->head = at;
    return KD_OK;
}
