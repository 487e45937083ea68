/* A store's records as columns. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "core/store/store.h"
#include "course/arrow/arrow.h"
#include "language/text/unicode.h"

enum { ROW, KEY, VIEW, FIRST, POSITIONS, BYTES, FACTS };

typedef struct walk {
    kd_store *store;
    kd_targets *targets;
    int64_t record, records;
    int32_t fields[KD__MAX_FIELDS], columns[KD__MAX_FIELDS], count;
    int reads; /* some field is read into the targets */
} walk;

static const kd__store_field *field_of(const walk *w, int32_t i)
{
    return &w->store->shards[0].header.fields[w->fields[i]];
}

/* ---- columns ---- */

/* The columns of a kind of field: what follows its name, and the formats of each, lists first. */
typedef struct form {
    const char *suffix, *formats[3];
} form;

static const form sparse_forms[] = { { ".ids", { "+L", "+L", "I" } },
                                     { ".values", { "+L", "+L", "f" } },
                                     { ".tail", { "+L", "f", NULL } },
                                     { NULL, { NULL } } };
static const form row_forms[] = { { "", { "+L", "+L", "f" } }, { NULL, { NULL } } };
static const form label_forms[] = { { "", { "+L", "l", NULL } }, { NULL, { NULL } } };
static const form vector_forms[] = { { "", { "+L", "f", NULL } }, { NULL, { NULL } } };
static const form text_forms[] = { { "", { "U", NULL } }, { NULL, { NULL } } };
static const form score_forms[] = { { "", { "g", NULL } }, { NULL, { NULL } } };
static const form seed_forms[] = { { "", { "L", NULL } }, { NULL, { NULL } } };

static const form *forms_of(int32_t kind)
{
    switch (kind) {
    case KD_STORE_TOPK:
    case KD_STORE_COUNTS: return sparse_forms;
    case KD_STORE_LABELS: return label_forms;
    case KD_STORE_TEXT: return text_forms;
    case KD_STORE_SCORE: return score_forms;
    case KD_STORE_SEED: return seed_forms;
    case KD_STORE_EMBEDDING: return vector_forms;
    default: return row_forms;
    }
}

static kd_status add_column(kd__build *b, const char *name, const char *suffix, const char *format)
{
    int64_t room = b->count;
    KD_TRY(KD_RESERVE(b->context, &b->columns, &room, b->count + 1));
    kd__built *c = &b->columns[b->count++];
    memset(c, 0, sizeof *c);
    c->format = format;
    c->children = !strcmp(format, "+L");
    snprintf(c->name, sizeof c->name, "%s%s", name, suffix);
    return KD_OK;
}

static kd_status add_field(kd__build *b, const kd__store_field *field)
{
    for (const form *f = forms_of(field->kind); f->suffix; f++) {
        b->columns[ROW].children++;
        for (int i = 0; i < 3 && f->formats[i]; i++)
            KD_TRY(add_column(b, i ? "item" : field->name, i ? "" : f->suffix, f->formats[i]));
    }
    return KD_OK;
}

static kd_status add_facts(kd__build *b)
{
    static const char *const facts[FACTS][2] = { { "", "+s" },         { "kd_key", "U" },
                                                 { "view", "l" },      { "first", "l" },
                                                 { "positions", "l" }, { "bytes", "l" } };
    for (int32_t i = 0; i < FACTS; i++) KD_TRY(add_column(b, facts[i][0], "", facts[i][1]));
    b->columns[ROW].children = FACTS - 1;
    return KD_OK;
}

static int is_of_rows_of_numbers(int32_t kind)
{
    return kind == KD_STORE_DENSE || kind == KD_STORE_HIDDEN || kind == KD_STORE_VECTORS;
}

static int is_read(int32_t kind)
{
    return kind != KD_STORE_TEXT && kind != KD_STORE_SCORE && kind != KD_STORE_SEED;
}

static kd_status want(walk *w, kd__build *b, int32_t number)
{
    for (int32_t i = 0; i < w->count; i++)
        KD_FAIL_IF(w->fields[i] == number, KD_ERR_INVALID, "fields: '%.60s' is named twice",
                   field_of(w, i)->name);
    w->fields[w->count] = number;
    w->columns[w->count] = b->count;
    w->count++;
    w->reads |= is_read(field_of(w, w->count - 1)->kind);
    return add_field(b, field_of(w, w->count - 1));
}

static kd_status choose(walk *w, kd__build *b, const char *const *fields, int32_t count)
{
    const kd__store_header *header = &w->store->shards[0].header;
    for (int32_t i = 0; !fields && i < header->field_count; i++)
        if (!is_of_rows_of_numbers(header->fields[i].kind)) KD_TRY(want(w, b, i));
    for (int32_t i = 0; fields && i < count; i++) {
        KD_FAIL_IF(!fields[i], KD_ERR_INVALID, "fields[%d]: expected a name, got NULL", i);
        const int32_t number = kd__header_field(header, fields[i]);
        KD_FAIL_IF(number < 0, KD_ERR_NOT_FOUND, "fields: the store has no field '%.60s'",
                   fields[i]);
        KD_TRY(want(w, b, number));
    }
    return KD_OK;
}

/* ---- rows ---- */

static int is_there(const kd_array *present, int64_t row)
{
    return !present->data || ((const uint8_t *)present->data)[row];
}

static kd_status put_sparse(walk *w, kd__build *b, const char *name, int32_t column, int64_t rows)
{
    kd_array offsets, ids, values, tail, present;
    const int32_t at_values = column + 3, at_tail = column + 6;
    KD_TRY(kd_targets_sparse(w->targets, name, &offsets, &ids, &values, &tail, &present));
    for (int64_t i = 0; i < rows; i++) {
        if (!is_there(&present, i)) {
            KD_TRY(kd__build_null(b, column + 1));
            KD_TRY(kd__build_null(b, at_values + 1));
            KD_TRY(kd__build_null(b, at_tail + 1));
            continue;
        }
        const int64_t from = ((const int64_t *)offsets.data)[i],
                      count = ((const int64_t *)offsets.data)[i + 1] - from;
        KD_TRY(kd__build_numbers(b, column + 2, (const uint32_t *)ids.data + from, count, 4));
        KD_TRY(kd__build_entry(b, column + 1));
        KD_TRY(kd__build_numbers(b, at_values + 2, (const float *)values.data + from, count, 4));
        KD_TRY(kd__build_entry(b, at_values + 1));
        KD_TRY(kd__build_number(b, at_tail + 1, (const float *)tail.data + i, 4));
    }
    KD_TRY(kd__build_entry(b, column));
    KD_TRY(kd__build_entry(b, at_values));
    return kd__build_entry(b, at_tail);
}

/* Rows of numbers, or one number a row. */
static kd_status put_rows(walk *w, kd__build *b, const char *name, int32_t column, int64_t rows)
{
    kd_array values, present;
    KD_TRY(kd_targets_field(w->targets, name, &values, &present));
    const int lists = !strcmp(b->columns[column + 1].format, "+L");
    const size_t size = values.dtype == KD_INT64 ? 8 : 4;
    const int64_t width = values.rank > 1 ? values.dims[1] : 1;
    for (int64_t i = 0; i < rows; i++) {
        const uint8_t *row = (const uint8_t *)values.data + i * width * (int64_t)size;
        if (!is_there(&present, i)) KD_TRY(kd__build_null(b, column + 1));
        else if (lists) {
            KD_TRY(kd__build_numbers(b, column + 2, row, width, size));
            KD_TRY(kd__build_entry(b, column + 1));
        } else KD_TRY(kd__build_number(b, column + 1, row, size));
    }
    return kd__build_entry(b, column);
}

static kd_status put_vector(walk *w, kd__build *b, const char *name, int32_t column)
{
    kd_array values, present;
    KD_TRY(kd_targets_field(w->targets, name, &values, &present));
    if (!values.dims[0] || !is_there(&present, 0)) return kd__build_null(b, column);
    KD_TRY(kd__build_numbers(b, column + 1, values.data, values.dims[1], 4));
    return kd__build_entry(b, column);
}

static kd_status put_value(walk *w, kd__build *b, const kd__store_field *f, int32_t column)
{
    const char *text;
    int64_t bytes;
    double score = 0;
    uint64_t seed = 0;
    kd_status status;
    if (f->kind == KD_STORE_TEXT) {
        status = kd_store_text(w->store, w->record, f->name, &text, &bytes);
        KD_FAIL_IF(status == KD_OK && kd__utf8_valid(text, bytes, NULL) != bytes, KD_ERR_INVALID,
                   "record %lld: the text of '%.60s' is not UTF-8: name other fields",
                   (long long)w->record, f->name);
        if (status == KD_OK) return kd__build_text(b, column, text, bytes);
    } else {
        status = kd_store_number(w->store, w->record, f->name,
                                 f->kind == KD_STORE_SCORE ? &score : NULL,
                                 f->kind == KD_STORE_SEED ? &seed : NULL);
        if (status == KD_OK)
            return f->kind == KD_STORE_SCORE ? kd__build_number(b, column, &score, sizeof score)
                                             : kd__build_number(b, column, &seed, sizeof seed);
    }
    return status == KD_ERR_NOT_FOUND ? kd__build_null(b, column) : status;
}

static kd_status put_field(walk *w, kd__build *b, int32_t i, int64_t rows)
{
    const kd__store_field *f = field_of(w, i);
    const int32_t column = w->columns[i];
    switch (f->kind) {
    case KD_STORE_TOPK:
    case KD_STORE_COUNTS: return put_sparse(w, b, f->name, column, rows);
    case KD_STORE_EMBEDDING: return put_vector(w, b, f->name, column);
    case KD_STORE_TEXT:
    case KD_STORE_SCORE:
    case KD_STORE_SEED: return put_value(w, b, f, column);
    default: return put_rows(w, b, f->name, column, rows);
    }
}

static kd_status put_record(walk *w, kd__build *b)
{
    char key[33];
    kd_store_record r = { .struct_size = sizeof r };
    KD_TRY(kd_store_get_record(w->store, w->record, &r));
    if (w->reads) KD_TRY(kd_store_read(w->store, w->record, w->targets));
    kd__key_text(key, r.key);
    KD_TRY(kd__build_text(b, KEY, key, 32));
    const int64_t facts[] = { r.view, r.first, r.positions, r.bytes };
    for (int32_t i = 0; i < 4; i++) KD_TRY(kd__build_number(b, VIEW + i, &facts[i], 8));
    for (int32_t i = 0; i < w->count; i++) KD_TRY(put_field(w, b, i, r.positions));
    w->record++;
    return kd__build_entry(b, ROW);
}

static kd_status fill(void *self, kd__build *b)
{
    walk *w = self;
    while (b->columns[ROW].length < KD__BATCH_ROWS && b->bytes < KD__BATCH_BYTES) {
        if (w->record == w->records) return KD_END;
        const kd_status status = put_record(w, b);
        if (status != KD_OK) kd__build_clear(b); /* its columns are of unlike lengths */
        if (status != KD_OK) return status;
    }
    return KD_OK;
}

static void free_walk(void *self)
{
    walk *w = self;
    kd_context *context = w->store->object.context;
    kd_targets_free(w->targets);
    kd_store *store = w->store;
    kd__release(context, w);
    kd_store_free(store);
}

kd_status kd_store_to_arrow(kd_store *store, kd_arrow_stream *stream, const char *const *fields,
                            int32_t count)
{
    walk *w = NULL;
    KD_NEED(store);
    KD_NEED(stream);
    KD_FAIL_IF(count < 0 || count > KD__MAX_FIELDS, KD_ERR_RANGE, "count: expected 0 to %d, got %d",
               KD__MAX_FIELDS, count);
    kd__build build = { .context = store->object.context };
    KD_TRY(KD_NEW(build.context, &w, 1));
    w->store = kd__object_hold(store);
    w->records = store->entry_count;
    const kd__source source = { w, fill, free_walk };
    kd_status status = add_facts(&build);
    if (status == KD_OK) status = choose(w, &build, fields, count);
    if (status == KD_OK) status = kd_targets_create(&w->targets, build.context, NULL);
    if (status == KD_OK) return kd__stream_open(stream, build.context, &build, &source);
    free_walk(w);
    kd__build_free(&build);
    return status;
}
