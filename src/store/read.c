/* Records into targets, and the teacher that reads a store. Legend: a row of targets is a position of a record, or absent. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/hash.h"
#include "base/thread.h"
#include "math/kernels.h"
#include "store/store.h"

/* Positions beyond a bit each that a record may claim: those of texts whose fields are all absent. Nothing is allocated for more. */
#define LONGEST_UNSEEN 65536

/* Where the records of one call lie: parallel to the rows, so that each record is looked up and checked once. */
typedef struct {
    kd_store *store;
    kd_targets *targets;
    const int64_t *places;
    int64_t rows;
    const uint8_t **bytes; /* (rows): of the row's record; NULL: absent */
} reading;

static kd_status find_bytes(reading *r)
{
    kd_context *context = r->targets->object.context;
    int64_t need = 0, used = 0;
    KD_TRY(KD_RESERVE(context, &r->targets->records, &r->targets->records_room, r->rows + 1));
    r->bytes = r->targets->records;
    for (int64_t i = 0; i < r->rows && r->store->options.pread; i++)
        if (r->places[2 * i] >= 0 && (!i || r->places[2 * i] != r->places[2 * i - 2])) need += r->store->entries[r->places[2 * i]].size;
    KD_TRY(KD_RESERVE(context, &r->targets->blob, &r->targets->blob_room, need));
    for (int64_t i = 0; i < r->rows; i++) {
        const int64_t record = r->places[2 * i];
        r->bytes[i] = NULL;
        if (record < 0) continue;
        if (i && r->places[2 * i - 2] == record) {
            r->bytes[i] = r->bytes[i - 1];
            continue;
        }
        KD_TRY(kd__store_bytes(r->store, record, r->targets->blob ? r->targets->blob + used : NULL, &r->bytes[i]));
        if (r->store->options.pread) used += r->store->entries[record].size;
    }
    return KD_OK;
}

/* The part of row i; the one of the row before when the record is the same. */
static kd_status part_of(const reading *r, int64_t i, int32_t field, kd__part *part)
{
    if (i && r->bytes[i] == r->bytes[i - 1] && r->bytes[i]) return KD_OK;
    *part = (kd__part){ 0 };
    return r->bytes[i] ? kd__store_part(r->store, r->places[2 * i], r->bytes[i], field, part) : KD_OK;
}

static int is_there(const reading *r, int64_t i, const kd__part *part)
{
    const int64_t p = r->places[2 * i + 1];
    return part->data && (!part->present || part->present[p / 8] >> (p % 8) & 1);
}

/* ---- vectors ---- */

static void read_row(const kd_store *store, const kd__store_field *f, const kd__part *part, int64_t p, float *to)
{
    const int64_t width = kd__field_width(&store->shards[0].header, f);
    const kd__kernels *kernels = store->object.context->kernels;
    if (f->kind == KD_STORE_HIDDEN) {
        kd__dequantise(part->data + p * kd__quantised_bytes(width, f->bits), width, f->bits, to);
        return;
    }
    if (f->encoding == KD_INT8) {
        kd__dequantise(part->data + p * kd__quantised_bytes(width, 8), width, 8, to);
        return;
    }
    const uint8_t *from = part->data + p * width * (f->encoding == KD_FLOAT32 ? 4 : 2);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (int64_t i = 0; i < width; i++) {
        uint32_t bits = f->encoding == KD_FLOAT32 ? kd__get32(from + 4 * i) : 0;
        uint16_t half = (uint16_t)(f->encoding == KD_FLOAT32 ? 0 : from[2 * i] | from[2 * i + 1] << 8);
        if (f->encoding == KD_FLOAT32) memcpy(to + i, &bits, 4);
        else kernels->widen(f->encoding, &half, 1, to + i);
    }
#else
    if (f->encoding == KD_FLOAT32) memcpy(to, from, (size_t)width * 4);
    else kernels->widen(f->encoding, from, width, to);
#endif
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
        ((int64_t *)(void *)to->buffer)[i] = here ? (int64_t)kd__get64(part.data + 8 * r->places[2 * i + 1]) : 0;
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
    return kd__fail(KD_ERR_FORMAT, "record %lld: position %lld does not decode", (long long)r->places[2 * i], (long long)r->places[2 * i + 1]);
}

static int64_t decode(const reading *r, const kd__store_field *f, cursor *c, int64_t most, uint32_t *ids, float *values, float *tails, float *entropy)
{
    const kd__store_header *h = &r->store->shards[0].header;
    if (f->kind == KD_STORE_TOPK) return kd__topk_decode(&c->in, &r->store->curve, h->vocabulary, most, ids, values, 1 + h->temperature_count, tails);
    const int64_t k = kd__counts_decode(&c->in, h->vocabulary, most, ids, values);
    const uint32_t code = k < 0 ? 0 : kd__bits_get(&c->in, 16);
    *entropy = code == 65535 ? NAN : (float)(code / 2048.0);
    return k;
}

/* Brings the cursor to row i's position: on, when it is there; else from the begin of its block, over the rows in front. */
static kd_status seek(const reading *r, const kd__store_field *f, const kd__part *part, int64_t i, cursor *c, kd__sparse *s, float *tails)
{
    const int64_t record = r->places[2 * i], p = r->places[2 * i + 1], positions = r->store->entries[record].positions;
    const int64_t blocks = (positions + KD__BLOCK - 1) / KD__BLOCK, block = p / KD__BLOCK;
    if (c->record == r->bytes[i] && c->next == p && p % KD__BLOCK) return KD_OK;
    if (4 * blocks > part->size) return bad_row(r, i);
    const int64_t at = kd__get32(part->data + 4 * block);
    if (at < 4 * blocks || at > part->size) return bad_row(r, i);
    *c = (cursor){ { .bytes = part->data + at, .end = part->data + part->size }, block * KD__BLOCK, r->bytes[i] };
    for (; c->next < p; c->next++) {
        uint32_t *ids;
        float *values, entropy;
        if (part->present && !(part->present[c->next / 8] >> (c->next % 8) & 1)) continue;
        const int64_t most = f->kind == KD_STORE_TOPK ? f->k : r->store->shards[0].header.vocabulary;
        KD_TRY(kd__sparse_room(r->targets, s, i, most, &ids, &values));
        if (decode(r, f, c, most, ids, values, tails, &entropy) < 0) return bad_row(r, i);
    }
    return KD_OK;
}

static kd_status fill_sparse_row(const reading *r, const kd__store_field *f, const kd__part *part, int64_t i, cursor *c, kd__sparse *s)
{
    const int32_t further = r->store->shards[0].header.temperature_count;
    const int64_t vocabulary = r->store->shards[0].header.vocabulary;
    int64_t most = f->kind == KD_STORE_TOPK ? f->k : f->draws;
    float tails[1 + KD__MAX_TEMPERATURES], entropy = NAN;
    uint32_t *ids;
    float *values;
    KD_TRY(seek(r, f, part, i, c, s, tails));
    most = most < vocabulary && most > 0 ? most : vocabulary;
    KD_TRY(kd__sparse_room(r->targets, s, i, most, &ids, &values));
    const int64_t k = decode(r, f, c, most, ids, values, tails, &entropy);
    if (k < 1) return bad_row(r, i);
    c->next = r->places[2 * i + 1] + 1;
    if (f->kind == KD_STORE_TOPK) {
        s->tail[i] = tails[0];
        memcpy(s->tails ? s->tails + i * further : tails, tails + 1, (size_t)further * sizeof *tails);
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
    KD_TRY(kd__sparse_open(r->targets, f->name, counts ? KD_SPARSE_COUNTS : KD_SPARSE_TOPK, h->vocabulary, h->temperature, &s));
    s->active = 0;
    KD_TRY(kd__sparse_temperatures(r->targets, s, counts ? 0 : h->temperature_count, h->temperatures));
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

static kd_status load_head(kd_store *store)
{
    kd_context *context = store->object.context;
    const kd__store_header *h = &store->shards[0].header;
    kd__shard *shard = &store->shards[0];
    uint8_t header[KD__RECORD_HEADER], *room = NULL;
    const uint8_t *bytes;
    kd__record_header record;
    int32_t field = 0;
    for (int64_t i = 0; i < store->shard_count && !shard->head_offset; i++) shard = &store->shards[i];
    while (field < h->field_count && h->fields[field].kind != KD_STORE_HIDDEN) field++;
    KD_FAIL_IF(!shard->head_offset || field == h->field_count, KD_ERR_NOT_FOUND, "%s: the store has no head", shard->path);
    KD_TRY(kd__shard_bytes(shard, shard->head_offset, KD__RECORD_HEADER, header, &bytes));
    const int64_t width = h->fields[field].width;
    KD_FAIL_IF(!kd__record_header_read(bytes, &record) || record.type != KD__RECORD_HEAD || record.parts != 1 || record.positions != h->vocabulary,
               KD_ERR_FORMAT, "%s: the head is damaged", shard->path);
    KD_FAIL_IF((int64_t)record.size > shard->size - shard->head_offset || record.size < KD__RECORD_HEADER + 16, KD_ERR_FORMAT,
               "%s: the head is cut off", shard->path);
    if (!shard->map) KD_TRY(kd__allocate(context, (void **)&room, (int64_t)record.size, 1));
    kd_status status = kd__shard_bytes(shard, shard->head_offset, (int64_t)record.size, room, &bytes);
    const uint8_t *directory = bytes + KD__RECORD_HEADER;
    int32_t encoding = 0;
    if (status == KD_OK && kd__crc32(0, directory, record.size - KD__RECORD_HEADER) != record.body_crc)
        status = kd__fail(KD_ERR_FORMAT, "%s: the head is damaged: its checksum", shard->path);
    if (status == KD_OK) {
        encoding = (int32_t)(kd__get32(directory + 4) >> 8);
        const int64_t size = h->vocabulary * width * (encoding == KD_FLOAT32 ? 4 : 2);
        const int known = encoding == KD_FLOAT32 || encoding == KD_FLOAT16 || encoding == KD_BFLOAT16;
        if (!known || (int64_t)kd__get64(directory + 8) != size || size > (int64_t)record.size - KD__RECORD_HEADER - 16)
            status = kd__fail(KD_ERR_FORMAT, "%s: the head's size or encoding is wrong", shard->path);
    }
    if (status == KD_OK) status = KD_NEW(context, &store->head_plain, h->vocabulary * width);
    if (status == KD_OK) {
        const kd__store_field as = { .kind = KD_STORE_VECTORS, .encoding = encoding, .width = width };
        const kd__part part = { .data = directory + 16 };
        for (int64_t r = 0; r < h->vocabulary; r++) read_row(store, &as, &part, r, store->head_plain + r * width);
        store->head_width = width;
    }
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
    memcpy(store->head_rotated, store->head_plain, (size_t)(rows * store->head_width) * sizeof *store->head_plain);
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
    KD_FAIL_IF(number < 0 || store->shards[0].header.fields[number].kind != KD_STORE_HIDDEN, KD_ERR_NOT_FOUND,
               "the store has no rotated field '%.60s'", field);
    const int64_t width = store->shards[0].header.fields[number].width;
    KD_TRY(kd__array_check(rows, "rows"));
    KD_FAIL_IF(rows->dtype != KD_FLOAT32 || rows->rank != 2 || rows->dims[1] != width || !kd__array_contiguous(rows), KD_ERR_SHAPE,
               "rows: expected a contiguous (rows, %lld) float32", (long long)width);
    for (int64_t r = 0; r < rows->dims[0]; r++) kd__unrotate((float *)rows->data + r * width, width, store->shards[0].header.seed);
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
    r->targets->held = kd__object_hold(r->store); /* the head lies in the store: it outlives its other owners */
    r->targets->free_held = free_store;
    return KD_OK;
}

kd_status kd__store_fill(kd_store *store, kd_targets *targets, const int64_t *places)
{
    reading r = { store, targets, places, targets->fields.rows, NULL };
    const kd__store_header *h = &store->shards[0].header;
    KD_TRY(find_bytes(&r));
    for (int32_t f = 0; f < h->field_count; f++) {
        const int32_t kind = h->fields[f].kind;
        if (kind == KD_STORE_TOPK || kind == KD_STORE_COUNTS) KD_TRY(fill_sparse(&r, f));
        else if (kind == KD_STORE_LABELS) KD_TRY(fill_labels(&r, f));
        else if (kind <= KD_STORE_VECTORS) KD_TRY(fill_vectors(&r, f));
    }
    for (int32_t f = 0; f < h->field_count; f++)
        if (h->fields[f].kind == KD_STORE_HIDDEN) KD_TRY(join_head(&r, &h->fields[f]));
    return KD_OK;
}

kd_status kd_store_read(kd_store *store, int64_t record, kd_targets *targets)
{
    KD_NEED(store);
    KD_NEED(targets);
    KD_FAIL_IF(record < 0 || record >= store->entry_count, KD_ERR_RANGE, "record %lld: the store has %lld", (long long)record,
               (long long)store->entry_count);
    const int64_t rows = store->entries[record].positions, size = store->entries[record].size;
    KD_FAIL_IF(rows > LONGEST_UNSEEN + 8 * size, KD_ERR_FORMAT, "record %lld claims %lld positions in %lld bytes", (long long)record, (long long)rows,
               (long long)size);
    KD_TRY(kd_targets_begin(targets, rows));
    KD_TRY(KD_RESERVE(targets->object.context, &targets->places, &targets->places_room, 2 * rows + 2));
    for (int64_t r = 0; r < rows; r++) targets->places[2 * r] = record, targets->places[2 * r + 1] = r;
    kd_status status = kd__store_fill(store, targets, targets->places);
    if (status != KD_OK) kd_targets_begin(targets, 0);
    return status;
}

/* ---- the teacher ---- */

kd_status kd__read_store(kd_teacher *teacher, kd_batch *batch, kd_targets *targets)
{
    const uint64_t *keys;
    const kd__field *position = kd__fields_find(&batch->fields, "position");
    kd_store *store = teacher->store;
    KD_FAIL_IF(position && position->values.dtype != KD_INT64, KD_ERR_DTYPE, "the batch's field \"position\" must be integers");
    KD_TRY(kd__batch_keys(batch, &keys));
    KD_TRY(KD_RESERVE(targets->object.context, &targets->places, &targets->places_room, 2 * batch->fields.rows));
    for (int64_t s = 0; s < batch->samples; s++) {
        int64_t record = kd__store_look_up(store, keys + 2 * s, batch->views[s]);
        if (record < 0 && teacher->options.any_view) record = kd__store_look_up(store, keys + 2 * s, 0);
        KD_FAIL_IF(record < 0 && teacher->options.missing == KD_MISSING_ERROR, KD_ERR_NOT_FOUND,
                   "%s: the store has no record of sample %lld (key %016llx%016llx, view %lld)", teacher->name, (long long)batch->numbers[s],
                   (unsigned long long)keys[2 * s], (unsigned long long)keys[2 * s + 1], (long long)batch->views[s]);
        for (int64_t r = batch->offsets[s]; r < batch->offsets[s + 1]; r++) {
            const int64_t p = position ? ((const int64_t *)position->values.data)[r] : r - batch->offsets[s];
            const int64_t at = record >= 0 ? p - store->entries[record].first : -1;
            const int here = record >= 0 && at >= 0 && at < store->entries[record].positions;
            targets->places[2 * r] = here ? record : -1;
            targets->places[2 * r + 1] = at;
        }
    }
    return kd__store_fill(store, targets, targets->places);
}

kd_status kd_teacher_from_store(kd_teacher **out, kd_store *store, const kd_teacher_options *options)
{
    kd_teacher *teacher = NULL;
    KD_NEED(store);
    KD_TRY(kd__teacher_new(out ? &teacher : NULL, store->object.context, options));
    teacher->store = kd__object_hold(store);
    teacher->free_store = kd_store_free;
    teacher->read = kd__read_store;
    *out = teacher;
    return KD_OK;
}

kd_status kd_teacher_open(kd_teacher **out, kd_context *context, const char *path, const kd_teacher_options *options)
{
    kd_store *store = NULL;
    KD_NEED(out);
    KD_TRY(kd_store_open(&store, context, &path, 1, NULL));
    kd_status status = kd_teacher_from_store(out, store, options);
    kd_store_free(store);
    return status;
}
