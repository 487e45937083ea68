/* A store for reading: shards opened and checked against each other, records found by key and
 * view. */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/os.h"
#include "base/text.h"
#include "core/store/store.h"

/* ---- the table ---- */

typedef struct {
    const kd_store *store;
    const uint64_t *key;
    int64_t view;
} wanted;

static int has_key(const void *key, int64_t record)
{
    const wanted *w = key;
    const kd__entry *e = &w->store->entries[record];
    return e->key[0] == w->key[0] && e->key[1] == w->key[1] && e->view == w->view;
}

static uint64_t hash_of(const uint64_t key[2], int64_t view)
{
    return key[0] ^ (uint64_t)view * 0x9e3779b97f4a7c15ULL;
}

int64_t kd__store_look_up(const kd_store *store, const uint64_t key[2], int64_t view)
{
    const wanted w = { store, key, view };
    return kd__table_find(&store->table, hash_of(key, view), has_key, &w);
}

typedef struct {
    kd_store *store;
    int32_t shard;
} visitor;

/* The last committed of a key and view takes the place of the one before. */
static kd_status add_entry(void *user, const kd__record_header *h, int64_t offset)
{
    visitor *v = user;
    kd_store *store = v->store;
    if (store->shards[v->shard].other) return KD_OK;
    int64_t at = kd__store_look_up(store, h->key, h->view);
    if (at >= 0) store->replaced++;
    else {
        KD_TRY(KD_RESERVE(store->object.context, &store->entries, &store->entry_room,
                          store->entry_count + 1));
        KD_TRY(kd__table_add(&store->table, hash_of(h->key, h->view), store->entry_count));
        at = store->entry_count++;
    }
    kd__entry *e = &store->entries[at];
    memset(e, 0, sizeof *e);
    e->key[0] = h->key[0];
    e->key[1] = h->key[1];
    e->view = h->view;
    e->first = h->first;
    e->positions = h->positions;
    e->offset = offset;
    e->size = (int64_t)h->size;
    e->shard = v->shard;
    return KD_OK;
}

static kd_status scan_shards(kd_store *store)
{
    for (int64_t i = 0; i < store->shard_count; i++) {
        visitor v = { store, (int32_t)i };
        KD_TRY(kd__shard_scan(store->object.context, &store->shards[i], add_entry, &v));
    }
    return KD_OK;
}

/* ---- opening ---- */

/* number: of the shard, or of the path among those that were given. */
static kd_status add_shard(kd_store *store, const char *path, int64_t number)
{
    kd_context *context = store->object.context;
    const kd_store_open_options *o = &store->options;
    KD_TRY(KD_RESERVE(context, &store->shards, &store->shard_room, store->shard_count + 1));
    kd__shard *shard = &store->shards[store->shard_count];
    kd_status status = kd__shard_open(context, shard, path, o->pread);
    if (status == KD_OK && store->shard_count)
        status = kd__header_agree(&store->shards[0].header, &shard->header, path);
    if (status == KD_OK) status = kd__header_tokens(context, &shard->header, o, path);
    if (status != KD_OK) {
        kd__shard_close(context, shard);
        return status;
    }
    shard->other = o->parts > 1 && number % o->parts != o->part;
    store->shard_count++;
    return KD_OK;
}

static int is_open(const kd_store *store, const char *path)
{
    for (int64_t i = 0; i < store->shard_count; i++)
        if (!strcmp(store->shards[i].path, path)) return 1;
    return 0;
}

/* The shards that the folder's manifest names, but for those that are open. */
static kd_status add_folder(kd_store *store, const char *folder)
{
    kd_context *context = store->object.context;
    char **paths = NULL;
    int64_t count = 0;
    kd_status status = kd__manifest_read(context, folder, &paths, &count);
    for (int64_t i = 0; i < count && status == KD_OK; i++)
        if (!is_open(store, paths[i]))
            status = add_shard(store, paths[i], kd__shard_number(strrchr(paths[i], '/') + 1));
    for (int64_t i = 0; paths && i < count; i++) kd__release(context, paths[i]);
    kd__release(context, paths);
    return status;
}

static kd_status add_path(kd_store *store, const char *path, int64_t number)
{
    kd_context *context = store->object.context;
    KD_TRY(kd__name_given(path, "path"));
    if (!kd__is_folder(path)) return add_shard(store, path, number);
    KD_TRY(KD_RESERVE(context, &store->folders, &store->folder_room, store->folder_count + 1));
    KD_TRY(kd__copy_text(context, &store->folders[store->folder_count], path));
    store->folder_count++;
    return add_folder(store, path);
}

static kd_status open_all(kd_store *store, const char *const *paths, int32_t count)
{
    for (int32_t i = 0; i < count; i++) KD_TRY(add_path(store, paths[i], i));
    KD_FAIL_IF(!store->shard_count, KD_ERR_FORMAT, "%s: the store has no shards", paths[0]);
    KD_TRY(scan_shards(store));
    for (int64_t i = 0; i < store->shard_count; i++) {
        const kd__shard *s = &store->shards[i];
        if (s->torn)
            kd__log(store->object.context, KD_LOG_WARNING,
                    "%s: %lld bytes after the last whole record are ignored", s->path,
                    (long long)s->torn);
        if (s->damaged)
            kd__log(store->object.context, KD_LOG_WARNING, "%s: %lld damaged stretches are ignored",
                    s->path, (long long)s->damaged);
    }
    return KD_OK;
}

kd_status kd_store_open(kd_store **out, kd_context *context, const char *const *paths,
                        int32_t count, const kd_store_open_options *options)
{
    kd_store_open_options o = KD_STORE_OPEN_OPTIONS_INIT;
    kd_store *store = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_NEED(paths);
    KD_FAIL_IF(count < 1, KD_ERR_RANGE, "paths: expected at least 1, got %d", count);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_store_open_options"));
    o.pread = o.pread || !kd__os_maps_grow();
    KD_FAIL_IF(o.parts < 1 || o.part < 0 || o.part >= o.parts, KD_ERR_RANGE,
               "part: expected 0 to parts - 1 of at least 1 parts, got part %d of %d", o.part,
               o.parts);
    KD_TRY(kd__object_create((void **)&store, context, sizeof *store));
    pthread_mutex_init(&store->lock, NULL);
    store->table.context = context;
    store->options = o;
    kd__curve_make(&store->curve);
    kd_status status = open_all(store, paths, count);
    store->options.tokens = NULL; /* the host's: looked at while opening only */
    store->options.exceptions = NULL;
    if (status != KD_OK) {
        kd_store_free(store);
        return status;
    }
    *out = store;
    return KD_OK;
}

void kd_store_free(kd_store *store)
{
    if (!kd__object_drop(store)) return;
    kd_context *context = store->object.context;
    for (int64_t i = 0; i < store->shard_count; i++) kd__shard_close(context, &store->shards[i]);
    void *blocks[] = { store->shards, store->entries, store->head_plain, store->head_rotated,
                       store->text };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(context, blocks[i]);
    for (int64_t i = 0; i < store->folder_count; i++) kd__release(context, store->folders[i]);
    kd__release(context, store->folders);
    kd__table_free(&store->table);
    pthread_mutex_destroy(&store->lock);
    kd__object_destroy(store);
}

kd_status kd_store_refresh(kd_store *store, int64_t *added)
{
    KD_NEED(store);
    const int64_t before = store->entry_count + store->replaced;
    for (int64_t i = 0; i < store->folder_count; i++) KD_TRY(add_folder(store, store->folders[i]));
    KD_TRY(scan_shards(store));
    if (added) *added = store->entry_count + store->replaced - before;
    return KD_OK;
}

/* ---- facts ---- */

kd_status kd_store_get_info(kd_store *store, kd_store_info *info)
{
    kd_store_info made = { .struct_size = sizeof made };
    KD_NEED(store);
    const kd__store_header *h = &store->shards[0].header;
    made.records = store->entry_count;
    made.replaced = store->replaced;
    for (int64_t i = 0; i < store->entry_count; i++) made.positions += store->entries[i].positions;
    for (int64_t i = 0; i < store->shard_count; i++) {
        if (store->shards[i].other) continue;
        made.shards++;
        made.bytes += store->shards[i].size;
        made.torn_bytes += store->shards[i].torn;
        made.damaged += store->shards[i].damaged;
    }
    made.vocabulary = h->vocabulary;
    made.temperature = h->temperature;
    made.align = h->align;
    made.fields = h->field_count;
    return kd__info_write(info, &made, sizeof made, "kd_store_info");
}

kd_status kd_store_header(kd_store *store, const char **json)
{
    KD_NEED(store);
    KD_NEED(json);
    *json = store->shards[0].header.json;
    return KD_OK;
}

static kd_status check_record(const kd_store *store, int64_t record)
{
    KD_TRY(kd__check_index(record, store->entry_count, "record"));
    return KD_OK;
}

kd_status kd_store_get_record(kd_store *store, int64_t record, kd_store_record *info)
{
    kd_store_record made = { .struct_size = sizeof made };
    KD_NEED(store);
    KD_TRY(check_record(store, record));
    const kd__entry *e = &store->entries[record];
    made.shard = e->shard;
    memcpy(made.key, e->key, sizeof made.key);
    made.view = e->view;
    made.first = e->first;
    made.positions = e->positions;
    made.bytes = e->size;
    made.offset = e->offset;
    return kd__info_write(info, &made, sizeof made, "kd_store_record");
}

kd_status kd_store_find(kd_store *store, uint64_t key0, uint64_t key1, int64_t view,
                        int64_t *record)
{
    const uint64_t key[2] = { key0, key1 };
    KD_NEED(store);
    KD_NEED(record);
    const int64_t found = kd__store_look_up(store, key, view);
    KD_FAIL_IF(found < 0, KD_ERR_NOT_FOUND,
               "the store has no record of key %016llx%016llx, view %lld",
               (unsigned long long)key[0], (unsigned long long)key[1], (long long)view);
    *record = found;
    return KD_OK;
}

/* ---- bytes of a record ---- */

static kd_status damaged(kd_store *store, int64_t record, const char *what)
{
    kd__entry *e = &store->entries[record];
    atomic_store(&e->state, 2);
    return kd__fail(KD_ERR_FORMAT,
                    "%s: record %lld (key %016llx%016llx, at byte %lld) is damaged: %s",
                    store->shards[e->shard].path, (long long)record, (unsigned long long)e->key[0],
                    (unsigned long long)e->key[1], (long long)e->offset, what);
}

kd_status kd__store_bytes(kd_store *store, int64_t record, uint8_t *room, const uint8_t **out)
{
    kd__entry *e = &store->entries[record];
    kd__record_header h;
    KD_TRY(kd__shard_bytes(&store->shards[e->shard], e->offset, e->size, room, out));
    if (atomic_load(&e->state) == 1 && !store->options.pread) return KD_OK;
    if (!kd__record_header_read(*out, &h)) return damaged(store, record, "its header");
    const int same = h.type == KD__RECORD_SAMPLE && (int64_t)h.size == e->size &&
                     h.key[0] == e->key[0] && h.key[1] == e->key[1] && h.view == e->view &&
                     h.first == e->first && h.positions == e->positions;
    if (!same) return damaged(store, record, "its header is another record's");
    if (h.parts > KD__MAX_PARTS || 16 * (int64_t)h.parts > e->size - KD__RECORD_HEADER)
        return damaged(store, record, "its directory");
    if (kd__crc32(0, *out + KD__RECORD_HEADER, (size_t)(e->size - KD__RECORD_HEADER)) != h.body_crc)
        return damaged(store, record, "its checksum");
    atomic_store(&e->state, 1);
    return KD_OK;
}

/* The bytes and flags of a record's part; data NULL: it is not there. */
static kd_status find_bytes_of(kd_store *store, int64_t record, const uint8_t *bytes,
                               uint32_t number, kd__part *part, uint32_t *flags)
{
    const kd__entry *e = &store->entries[record];
    const uint32_t parts = kd__get32(bytes + 44);
    int64_t at = KD__RECORD_HEADER + 16 * (int64_t)parts;
    *part = (kd__part){ 0 };
    for (uint32_t p = 0; p < parts; p++) {
        const uint8_t *d = bytes + KD__RECORD_HEADER + 16 * p;
        const uint64_t size = kd__get64(d + 8);
        if (size > (uint64_t)(e->size - at)) return damaged(store, record, "its directory");
        if (kd__get32(d) == number) {
            part->data = bytes + at;
            part->size = (int64_t)size;
            *flags = kd__get32(d + 4);
            return KD_OK;
        }
        at += kd__align8((int64_t)size);
    }
    return KD_OK;
}

kd_status kd__store_part(kd_store *store, int64_t record, const uint8_t *bytes, int32_t field,
                         kd__part *part)
{
    const kd__entry *e = &store->entries[record];
    const kd__store_header *header = &store->shards[0].header;
    uint32_t flags = 0;
    KD_TRY(find_bytes_of(store, record, bytes, (uint32_t)field, part, &flags));
    if (!part->data) return KD_OK;
    if (flags && header->fields[field].kind == KD_STORE_EMBEDDING)
        return damaged(store, record, "the flags of an embedding");
    if (flags & 1) {
        const int64_t bits = kd__align8(kd__ceil_div(e->positions, 8));
        if (bits > part->size) return damaged(store, record, "its presence bits");
        part->present = part->data;
        part->data += bits;
        part->size -= bits;
    }
    if (!kd__part_size_fits(header, &header->fields[field], e->positions, part->size))
        return damaged(store, record, "the size of a part");
    return KD_OK;
}

kd_status kd__store_sample(kd_store *store, int64_t record, const uint8_t *bytes,
                           kd__sample *sample)
{
    kd__part part;
    uint32_t flags;
    KD_TRY(find_bytes_of(store, record, bytes, (uint32_t)KD__PART_SAMPLE, &part, &flags));
    return kd__sample_read(sample, part.data, part.size)
               ? KD_OK
               : damaged(store, record, "the checksums of its tokens");
}

kd_status kd_store_verify(kd_store *store, int64_t *bad)
{
    kd_context *context;
    uint8_t *room = NULL;
    int64_t most = 0, wrong = 0;
    char first[512] = "";
    KD_NEED(store);
    context = store->object.context;
    for (int64_t i = 0; i < store->entry_count; i++) most = kd__max(store->entries[i].size, most);
    KD_TRY(kd__allocate(context, (void **)&room, most + 8, 1));
    kd_status status = KD_OK;
    for (int64_t i = 0; i < store->entry_count && status == KD_OK; i++) {
        const uint8_t *bytes;
        atomic_store(&store->entries[i].state, 0);
        kd_status now = kd__store_bytes(store, i, room, &bytes);
        for (int32_t f = 0; f < store->shards[0].header.field_count && now == KD_OK; f++) {
            kd__part part;
            now = kd__store_part(store, i, bytes, f, &part);
        }
        kd__sample sample;
        if (now == KD_OK) now = kd__store_sample(store, i, bytes, &sample);
        if (now != KD_OK && !wrong++)
            memcpy(first, kd_last_error(),
                   strlen(kd_last_error()) < sizeof first ? strlen(kd_last_error()) + 1 : 1);
        if (i % 256 == 0) status = kd__progress(context, "verify", i, store->entry_count);
    }
    kd__release(context, room);
    if (bad) *bad = wrong;
    KD_TRY(status);
    KD_FAIL_IF(wrong, KD_ERR_FORMAT, "%lld of %lld records are damaged; the first: %s",
               (long long)wrong, (long long)store->entry_count, first);
    return KD_OK;
}

/* ---- text, numbers, sizes ---- */

static kd_status find_part(kd_store *store, int64_t record, const char *field, int32_t kind,
                           uint8_t **room, kd__part *part)
{
    const uint8_t *bytes;
    KD_NEED(field);
    KD_TRY(check_record(store, record));
    const int32_t number = kd__header_field(&store->shards[0].header, field);
    KD_FAIL_IF(number < 0, KD_ERR_NOT_FOUND, "the store has no field '%.60s'", field);
    const kd__store_field *f = &store->shards[0].header.fields[number];
    KD_FAIL_IF(kind && f->kind != kind, KD_ERR_DTYPE,
               "field '%.60s' is of another kind than this function reads", field);
    if (store->options.pread)
        KD_TRY(kd__allocate(store->object.context, (void **)room, store->entries[record].size, 1));
    kd_status status = kd__store_bytes(store, record, *room, &bytes);
    if (status == KD_OK) status = kd__store_part(store, record, bytes, number, part);
    if (status == KD_OK && !part->data)
        status = kd__fail(KD_ERR_NOT_FOUND, "record %lld has no '%.60s'", (long long)record, field);
    if (status != KD_OK) {
        kd__release(store->object.context, *room);
        *room = NULL;
    }
    return status;
}

kd_status kd_store_text(kd_store *store, int64_t record, const char *field, const char **bytes,
                        int64_t *size)
{
    uint8_t *room = NULL;
    kd__part part;
    KD_NEED(store);
    KD_NEED(bytes);
    KD_NEED(size);
    KD_TRY(find_part(store, record, field, KD_STORE_TEXT, &room, &part));
    if (room) { /* kept until the next call */
        pthread_mutex_lock(&store->lock);
        kd__release(store->object.context, store->text);
        store->text = room;
        pthread_mutex_unlock(&store->lock);
    }
    *bytes = (const char *)part.data;
    *size = part.size;
    return KD_OK;
}

kd_status kd_store_number(kd_store *store, int64_t record, const char *field, double *score,
                          uint64_t *seed)
{
    uint8_t *room = NULL;
    kd__part part;
    KD_NEED(store);
    KD_TRY(find_part(store, record, field, score ? KD_STORE_SCORE : KD_STORE_SEED, &room, &part));
    const uint64_t bits = kd__get64(part.data);
    kd__release(store->object.context, room);
    if (score) memcpy(score, &bits, 8);
    else if (seed) *seed = bits;
    return KD_OK;
}

kd_status kd_store_field_bytes(kd_store *store, int64_t record, const char *field, int64_t *bytes)
{
    uint8_t *room = NULL;
    kd__part part;
    KD_NEED(store);
    KD_NEED(bytes);
    *bytes = 0;
    kd_status status = find_part(store, record, field, 0, &room, &part);
    if (status == KD_OK)
        *bytes = part.size +
                 (part.present ? kd__align8(kd__ceil_div(store->entries[record].positions, 8)) : 0);
    kd__release(store->object.context, room);
    return status;
}
