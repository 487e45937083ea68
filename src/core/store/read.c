/* Records into targets. Legend: a row of targets is a position of a record, or absent. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/context.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "math/kernels.h"
#include "core/store/store.h"

/* Where the records of one call lie, each looked up and checked once. */
typedef struct {
    kd_store *store;
    kd_targets *targets;
    const int64_t *places; /* of rows */
    int64_t rows;
    const uint8_t **bytes; /* (rows): of the row's record; NULL: absent */
    const kd__places *all;
    const uint8_t **of_samples; /* (samples) */
} reading;

/* Room for the records that are read and not mapped. */
static kd_status reserve_blob(kd_store *store, kd_targets *targets, const kd__places *p)
{
    int64_t need = 0;
    for (int64_t s = 0; s < p->samples && store->options.pread; s++)
        if (p->records[s] >= 0) need += store->entries[p->records[s]].size;
    return KD_RESERVE(targets->object.context, &targets->blob, &targets->blob_room, need);
}

kd_status kd__store_find(kd_store *store, kd_targets *targets, const kd__places *p)
{
    int64_t used = 0;
    KD_TRY(KD_RESERVE(targets->object.context, &targets->records, &targets->records_room,
                      p->rows + p->samples + 1));
    KD_TRY(reserve_blob(store, targets, p));
    for (int64_t s = 0; s < p->samples; s++) {
        const int64_t record = p->records[s];
        const uint8_t **bytes = &targets->records[p->rows + s];
        uint8_t *room = targets->blob ? targets->blob + used : NULL;
        *bytes = NULL;
        if (record >= 0) KD_TRY(kd__store_bytes(store, record, room, bytes));
        if (record >= 0 && store->options.pread) used += store->entries[record].size;
        for (int64_t r = p->offsets[s]; r < p->offsets[s + 1]; r++)
            targets->records[r] = p->of_rows[2 * r] >= 0 ? *bytes : NULL;
    }
    return KD_OK;
}

/* The part of row i; the one of the row before when the record is the same. */
static kd_status part_of(const reading *r, int64_t i, int32_t field, kd__part *part)
{
    if (i && r->bytes[i] == r->bytes[i - 1] && r->bytes[i]) return KD_OK;
    *part = (kd__part){ 0 };
    return r->bytes[i] ? kd__store_part(r->store, r->places[2 * i], r->bytes[i], field, part)
                       : KD_OK;
}

static int is_there(const reading *r, int64_t i, const kd__part *part)
{
    const int64_t p = r->places[2 * i + 1];
    return part->data && (!part->present || part->present[p / 8] >> (p % 8) & 1);
}

/* ---- vectors ---- */

static void read_row(const kd_store *store, const kd__store_field *f, const kd__part *part,
                     int64_t p, float *to)
{
    const int64_t width = kd__field_width(&store->shards[0].header, f);
    const kd__kernels *kernels = store->object.context->kernels;
    if (f->kind == KD_STORE_HIDDEN) {
        kd__dequantize(part->data + p * kd__quantized_bytes(width, f->bits), width, f->bits, to);
        return;
    }
    if (f->encoding == KD_INT8) {
        kd__dequantize(part->data + p * kd__quantized_bytes(width, 8), width, 8, to);
        return;
    }
    const int64_t size = f->encoding == KD_FLOAT32 ? 4 : 2;
    const uint8_t *from = part->data + p * width * size;
    if (size == 4) {
        memcpy(to, from, (size_t)width * 4);
        kd__little_bytes(to, width, 4);
        return;
    }
    if (KD__LITTLE_HOST) {
        kernels->widen(f->encoding, from, width, to);
        return;
    }
    for (int64_t i = 0; i < width; i++) {
        const uint16_t half = kd__get16(from + 2 * i);
        kernels->widen(f->encoding, &half, 1, to + i);
    }
}

static kd_status fill_vectors(const reading *r, int32_t field)
{
    const kd__store_field *f = &r->store->shards[0].header.fields[field];
    const int64_t dims[2] = { r->rows, kd__field_width(&r->store->shards[0].header, f) };
    kd__field *to;
    kd__part part = { 0 };
    int64_t absent = 0;
    KD_TRY(kd__fields_open(&r->targets->fields, f->name, KD_FLOAT32, 2, dims, &to));
    KD_TRY(kd__fields_open_present(&r->targets->fields, to));
    for (int64_t i = 0; i < r->rows; i++) {
        float *row = (float *)(void *)to->buffer + i * dims[1];
        KD_TRY(part_of(r, i, field, &part));
        if (is_there(r, i, &part)) read_row(r->store, f, &part, r->places[2 * i + 1], row);
        else {
            to->present_buffer[i] = 0;
            memset(row, 0, (size_t)dims[1] * sizeof *row);
            absent++;
        }
    }
    if (!absent) to->present = NULL;
    return KD_OK;
}

/* One vector a sample. */
static kd_status fill_embeddings(const reading *r, int32_t field)
{
    const kd__store_field *f = &r->store->shards[0].header.fields[field];
    const int64_t dims[2] = { r->all->samples, kd__field_width(&r->store->shards[0].header, f) };
    kd__field *to;
    KD_TRY(kd__fields_open_unit(&r->targets->fields, KD__OF_SAMPLES, f->name, KD_FLOAT32, 2, dims,
                                &to));
    KD_TRY(kd__fields_open_present(&r->targets->fields, to));
    int64_t absent = 0;
    for (int64_t s = 0; s < dims[0]; s++) {
        float *row = (float *)(void *)to->buffer + s * dims[1];
        kd__part part = { 0 };
        if (r->of_samples[s])
            KD_TRY(kd__store_part(r->store, r->all->records[s], r->of_samples[s], field, &part));
        if (part.data) read_row(r->store, f, &part, 0, row);
        else memset(row, 0, (size_t)dims[1] * sizeof *row);
        to->present_buffer[s] = part.data != NULL;
        absent += !part.data;
    }
    if (!absent) to->present = NULL;
    return KD_OK;
}

static kd_status fill_labels(const reading *r, int32_t field)
{
    const kd__store_field *f = &r->store->shards[0].header.fields[field];
    kd__field *to;
    kd__part part = { 0 };
    KD_TRY(kd__fields_open(&r->targets->fields, f->name, KD_INT64, 1, &r->rows, &to));
    KD_TRY(kd__fields_open_present(&r->targets->fields, to));
    for (int64_t i = 0; i < r->rows; i++) {
        KD_TRY(part_of(r, i, field, &part));
        const int here = is_there(r, i, &part);
        to->present_buffer[i] = (uint8_t)here;
        ((int64_t *)(void *)to->buffer)[i] =
            here ? (int64_t)kd__get64(part.data + 8 * r->places[2 * i + 1]) : 0;
    }
    return KD_OK;
}

/* ---- sparse rows ---- */

typedef struct {
    kd__bits_in in;
    int64_t next; /* position that `in` is at; -1: none */
    const uint8_t *record;
} cursor;

static kd_status bad_row(const reading *r, int64_t i)
{
    return kd__fail(KD_ERR_FORMAT, "record %lld: position %lld does not decode",
                    (long long)r->places[2 * i], (long long)r->places[2 * i + 1]);
}

/* The next row's entries, into room for them at row i of the targets. *count: -1 when its bits
 * cannot be. */
static kd_status decode(const reading *r, const kd__store_field *f, cursor *c, kd__sparse *s,
                        int64_t i, float *tails, float *entropy, int64_t *count)
{
    const kd__store_header *h = &r->store->shards[0].header;
    const int top = f->kind == KD_STORE_TOPK;
    const int64_t k = *count = top ? kd__topk_count(&c->in, h->vocabulary)
                                   : kd__counts_count(&c->in, h->vocabulary);
    uint32_t *ids;
    float *values;
    if (k < 0) return KD_OK;
    KD_TRY(kd__sparse_room(r->targets, s, i, k, &ids, &values));
    if (top) {
        kd__topk_decode(&c->in, &r->store->curve, h->vocabulary, k, ids, values,
                        1 + h->temperature_count, tails);
        return KD_OK;
    }
    kd__counts_decode(&c->in, h->vocabulary, k, ids, values);
    const uint32_t code = kd__bits_get(&c->in, 16);
    *entropy = code == 65535 ? NAN : (float)(code / 2048.0);
    return KD_OK;
}

/* Brings the cursor to row i's position: on, when it is there; else from the begin of its block,
 * over the rows in front. */
static kd_status seek(const reading *r, const kd__store_field *f, const kd__part *part, int64_t i,
                      cursor *c, kd__sparse *s, float *tails)
{
    const int64_t record = r->places[2 * i], p = r->places[2 * i + 1];
    const int64_t positions = r->store->entries[record].positions;
    const int64_t blocks = kd__ceil_div(positions, KD__BLOCK), block = p / KD__BLOCK;
    if (c->record == r->bytes[i] && c->next == p && p % KD__BLOCK) return KD_OK;
    if (4 * blocks > part->size) return bad_row(r, i);
    const int64_t at = kd__get32(part->data + 4 * block);
    if (at < 4 * blocks || at > part->size) return bad_row(r, i);
    *c = (cursor){ { .bytes = part->data + at, .end = part->data + part->size },
                   block * KD__BLOCK,
                   r->bytes[i] };
    for (; c->next < p; c->next++) {
        int64_t k;
        float entropy;
        if (part->present && !(part->present[c->next / 8] >> (c->next % 8) & 1)) continue;
        KD_TRY(decode(r, f, c, s, i, tails, &entropy, &k));
        if (k < 0) return bad_row(r, i);
    }
    return KD_OK;
}

static kd_status fill_sparse_row(const reading *r, const kd__store_field *f, const kd__part *part,
                                 int64_t i, cursor *c, kd__sparse *s)
{
    const int32_t further = r->store->shards[0].header.temperature_count;
    float tails[1 + KD__MAX_TEMPERATURES], entropy = NAN;
    int64_t k;
    KD_TRY(seek(r, f, part, i, c, s, tails));
    KD_TRY(decode(r, f, c, s, i, tails, &entropy, &k));
    if (!kd__entries_fit(k, r->store->shards[0].header.vocabulary)) return bad_row(r, i);
    c->next = r->places[2 * i + 1] + 1;
    if (f->kind == KD_STORE_TOPK) {
        s->tail[i] = tails[0];
        memcpy(s->tails ? s->tails + i * further : tails, tails + 1,
               (size_t)further * sizeof *tails);
    } else {
        s->entropy[i] = entropy;
        if (isnan(entropy)) s->has_entropy = 0;
    }
    kd__sparse_close_row(s, i, k);
    return KD_OK;
}

static kd_status fill_sparse(const reading *r, int32_t field)
{
    const kd__store_header *h = &r->store->shards[0].header;
    const kd__store_field *f = &h->fields[field];
    const int counts = f->kind == KD_STORE_COUNTS;
    kd__sparse *s;
    kd__part part = { 0 };
    cursor c = { .next = -1 };
    KD_TRY(kd__sparse_open(r->targets, f->name, counts ? KD_SPARSE_COUNTS : KD_SPARSE_TOPK,
                           h->vocabulary, h->temperature, &s));
    s->active = 0;
    KD_TRY(
        kd__sparse_temperatures(r->targets, s, counts ? 0 : h->temperature_count, h->temperatures));
    KD_TRY(kd__sparse_open_present(r->targets, s));
    s->has_entropy = counts;
    for (int64_t i = 0; i < r->rows; i++) {
        KD_TRY(part_of(r, i, field, &part));
        s->present_buffer[i] = (uint8_t)is_there(r, i, &part);
        if (s->present_buffer[i]) KD_TRY(fill_sparse_row(r, f, &part, i, &c, s));
        else kd__sparse_close_row(s, i, 0);
    }
    s->active = 1;
    return KD_OK;
}

/* ---- the head ---- */

/* The shard that holds the head; the last one when none does. */
static kd__shard *head_shard(kd_store *store)
{
    kd__shard *shard = &store->shards[0];
    for (int64_t i = 0; i < store->shard_count && !shard->head_offset; i++)
        shard = &store->shards[i];
    return shard;
}

/* Numbers of a row of the head: those of the hidden states that it goes with; 0: there are none. */
static int64_t head_width(const kd__store_header *h)
{
    for (int32_t i = 0; i < h->field_count; i++)
        if (h->fields[i].kind == KD_STORE_HIDDEN) return h->fields[i].width;
    return 0;
}

static kd_status read_head_record(kd__shard *shard, int64_t vocabulary, kd__record_header *record)
{
    uint8_t header[KD__RECORD_HEADER];
    const uint8_t *bytes;
    KD_TRY(kd__shard_bytes(shard, shard->head_offset, KD__RECORD_HEADER, header, &bytes));
    KD_FAIL_IF(!kd__record_header_read(bytes, record) || record->type != KD__RECORD_HEAD ||
                   record->parts != 1 || record->positions != vocabulary,
               KD_ERR_FORMAT, "%s: the head is damaged", shard->path);
    KD_FAIL_IF((int64_t)record->size > shard->size - shard->head_offset ||
                   record->size < KD__RECORD_HEADER + 16,
               KD_ERR_FORMAT, "%s: the head is cut off", shard->path);
    return KD_OK;
}

/* directory: the record after its header, 16 bytes on the part and then the part. */
static kd_status check_head(const kd__shard *shard, const kd__record_header *record,
                            const uint8_t *directory, int64_t numbers, int32_t *encoding)
{
    const int64_t room = (int64_t)record->size - KD__RECORD_HEADER - 16;
    KD_FAIL_IF(kd__crc32(0, directory, record->size - KD__RECORD_HEADER) != record->body_crc,
               KD_ERR_FORMAT, "%s: the head is damaged: its checksum", shard->path);
    const int32_t dtype = (int32_t)(kd__get32(directory + 4) >> 8);
    const int known = dtype == KD_FLOAT32 || dtype == KD_FLOAT16 || dtype == KD_BFLOAT16;
    const int64_t size = numbers * (dtype == KD_FLOAT32 ? 4 : 2);
    KD_FAIL_IF(!known || (int64_t)kd__get64(directory + 8) != size || size > room, KD_ERR_FORMAT,
               "%s: the head's size or encoding is wrong", shard->path);
    *encoding = dtype;
    return KD_OK;
}

/* `room` holds the record when the shard is not mapped. */
static kd_status decode_head(kd_store *store, kd__shard *shard, const kd__record_header *record,
                             int64_t width, uint8_t *room)
{
    const int64_t vocabulary = store->shards[0].header.vocabulary;
    const int64_t size = (int64_t)record->size;
    kd__store_field as = { .kind = KD_STORE_VECTORS, .width = width };
    const uint8_t *bytes;
    KD_TRY(kd__shard_bytes(shard, shard->head_offset, size, room, &bytes));
    const uint8_t *directory = bytes + KD__RECORD_HEADER;
    KD_TRY(check_head(shard, record, directory, vocabulary * width, &as.encoding));
    KD_TRY(KD_NEW(store->object.context, &store->head_plain, vocabulary * width));
    const kd__part part = { .data = directory + 16 };
    for (int64_t r = 0; r < vocabulary; r++)
        read_row(store, &as, &part, r, store->head_plain + r * width);
    store->head_width = width;
    return KD_OK;
}

static kd_status load_head(kd_store *store)
{
    kd_context *context = store->object.context;
    const kd__store_header *h = &store->shards[0].header;
    kd__shard *shard = head_shard(store);
    const int64_t width = head_width(h);
    kd__record_header record;
    uint8_t *room = NULL;
    KD_FAIL_IF(!shard->head_offset || !width, KD_ERR_NOT_FOUND, "%s: the store has no head",
               shard->path);
    KD_TRY(read_head_record(shard, h->vocabulary, &record));
    if (!shard->map) KD_TRY(kd__allocate(context, (void **)&room, (int64_t)record.size, 1));
    const kd_status status = decode_head(store, shard, &record, width, room);
    kd__release(context, room);
    return status;
}

typedef struct {
    float *x;
    int64_t width;
    uint64_t seed;
} rotation;

static void rotate_row(void *argument, int64_t row, int32_t worker)
{
    rotation *r = argument;
    (void)worker;
    kd__rotate(r->x + row * r->width, r->width, r->seed);
}

static kd_status prepare_head(kd_store *store, int32_t rotated)
{
    const int64_t rows = store->shards[0].header.vocabulary;
    if (!store->head_plain) KD_TRY(load_head(store));
    if (!rotated || store->head_rotated) return KD_OK;
    KD_TRY(KD_NEW(store->object.context, &store->head_rotated, rows * store->head_width));
    memcpy(store->head_rotated, store->head_plain,
           (size_t)(rows * store->head_width) * sizeof *store->head_plain);
    rotation r = { store->head_rotated, store->head_width, store->shards[0].header.seed };
    kd__parallel(store->object.context, rows, rotate_row, &r);
    return KD_OK;
}

kd_status kd_store_head(kd_store *store, int32_t rotated, kd_array *weight)
{
    KD_NEED(store);
    KD_NEED(weight);
    pthread_mutex_lock(&store->lock);
    kd_status status = prepare_head(store, rotated);
    pthread_mutex_unlock(&store->lock);
    KD_TRY(status);
    const int64_t dims[2] = { store->shards[0].header.vocabulary, store->head_width };
    kd__array_view(weight, rotated ? store->head_rotated : store->head_plain, KD_FLOAT32, 2, dims);
    return KD_OK;
}

kd_status kd_store_unrotate(kd_store *store, const char *field, const kd_array *rows)
{
    KD_NEED(store);
    KD_NEED(field);
    KD_NEED(rows);
    const int32_t number = kd__header_field(&store->shards[0].header, field);
    KD_FAIL_IF(number < 0 || store->shards[0].header.fields[number].kind != KD_STORE_HIDDEN,
               KD_ERR_NOT_FOUND, "the store has no rotated field '%.60s'", field);
    const int64_t width = store->shards[0].header.fields[number].width;
    KD_TRY(kd__array_check(rows, "rows"));
    KD_FAIL_IF(rows->dtype != KD_FLOAT32 || rows->rank != 2 || rows->dims[1] != width ||
                   !kd__array_contiguous(rows),
               KD_ERR_SHAPE, "rows: expected a contiguous (rows, %lld) float32", (long long)width);
    for (int64_t r = 0; r < rows->dims[0]; r++)
        kd__unrotate((float *)rows->data + r * width, width, store->shards[0].header.seed);
    return KD_OK;
}

static void free_store(void *store) { kd_store_free(store); }

/* Hidden states give logits where the head is there and nothing dense of that name is. */
static kd_status join_head(const reading *r, const kd__store_field *f)
{
    kd_array weight;
    kd_head head = KD_HEAD_INIT;
    int has = 0;
    for (int64_t i = 0; i < r->store->shard_count; i++) has |= r->store->shards[i].head_offset != 0;
    if (!has || kd__fields_find(&r->targets->fields, "logits")) return KD_OK;
    KD_TRY(kd_store_head(r->store, 1, &weight));
    head.weight = &weight;
    KD_TRY(kd_targets_borrow_head(r->targets, "logits", f->name, &head));
    if (r->targets->held) return KD_OK;
    /* the head lies in the store: it outlives its other owners */
    r->targets->held = kd__object_hold(r->store);
    r->targets->free_held = free_store;
    return KD_OK;
}

kd_status kd__store_fill(kd_store *store, kd_targets *targets, const kd__places *places)
{
    const reading r = { .store = store,
                        .targets = targets,
                        .places = places->of_rows,
                        .rows = places->rows,
                        .bytes = targets->records,
                        .all = places,
                        .of_samples = targets->records + places->rows };
    const kd__store_header *h = &store->shards[0].header;
    for (int32_t f = 0; f < h->field_count; f++) {
        const int32_t kind = h->fields[f].kind;
        if (kind == KD_STORE_TOPK || kind == KD_STORE_COUNTS) KD_TRY(fill_sparse(&r, f));
        else if (kind == KD_STORE_LABELS) KD_TRY(fill_labels(&r, f));
        else if (kind == KD_STORE_EMBEDDING) KD_TRY(fill_embeddings(&r, f));
        else if (kind <= KD_STORE_VECTORS) KD_TRY(fill_vectors(&r, f));
    }
    for (int32_t f = 0; f < h->field_count; f++) /* the head is the first one's */
        if (h->fields[f].kind == KD_STORE_HIDDEN) return join_head(&r, &h->fields[f]);
    return KD_OK;
}

kd_status kd_store_read(kd_store *store, int64_t record, kd_targets *targets)
{
    KD_NEED(store);
    KD_NEED(targets);
    KD_TRY(kd__check_index(record, store->entry_count, "record"));
    const int64_t rows = store->entries[record].positions, size = store->entries[record].size;
    KD_FAIL_IF(!kd__positions_fit(rows, size), KD_ERR_FORMAT,
               "record %lld claims %lld positions in %lld bytes", (long long)record,
               (long long)rows, (long long)size);
    KD_TRY(kd_targets_begin(targets, rows));
    targets->fields.samples = 1;
    targets->fields.one_row = rows == 1;
    KD_TRY(
        KD_RESERVE(targets->object.context, &targets->places, &targets->places_room, 2 * rows + 2));
    for (int64_t r = 0; r < rows; r++)
        targets->places[2 * r] = record, targets->places[2 * r + 1] = r;
    const int64_t offsets[2] = { 0, rows };
    const kd__places places = { rows, 1, offsets, &record, targets->places };
    kd_status status = kd__store_find(store, targets, &places);
    if (status == KD_OK) status = kd__store_fill(store, targets, &places);
    if (status != KD_OK) kd_targets_begin(targets, 0);
    return status;
}
