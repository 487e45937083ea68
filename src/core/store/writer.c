/* Writing a shard: a record is put together in memory, written in one go behind the last one, and
 * then counts. What could not be written whole is cut off again. */
#include "core/store/writer.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/text.h"

static kd_status io_error(const kd_store_writer *w, const char *what)
{
    return kd__fail(KD_ERR_IO, "%s: %s: %s", w->path, what, strerror(errno));
}

/* ---- bytes to the file ---- */

/* Puts the file's end behind the last committed record. */
static kd_status cut_to_end(kd_store_writer *w)
{
    if (kd__os_cut(w->file, w->end))
        return io_error(w, "cannot cut off what was not written whole");
    w->dirty = 0;
    return KD_OK;
}

kd_status kd__writer_append(kd_store_writer *w, const void *bytes, int64_t size)
{
    if (w->dirty) KD_TRY(cut_to_end(w));
    w->dirty = 1;
    kd_status status = kd__write_all(w->file, bytes, size) ? io_error(w, "cannot write") : KD_OK;
    if (status == KD_OK && w->sync == KD_SYNC_COMMIT && kd__os_sync(w->file))
        status = io_error(w, "cannot sync");
    if (status != KD_OK) {
        char message[256];
        snprintf(message, sizeof message, "%s", kd_last_error());
        cut_to_end(w); /* tried again before the next record */
        return kd__fail(status, "%s", message);
    }
    w->end += size;
    w->dirty = 0;
    return KD_OK;
}

/* ---- making and continuing ---- */

static int32_t find_name(const kd__store_field *fields, int32_t count, const char *name)
{
    for (int32_t i = 0; i < count; i++)
        if (!strcmp(fields[i].name, name)) return i;
    return -1;
}

/* Field i as the host gives it: its options may be longer or shorter than the library's. */
static kd_status read_field(const kd_store_field *given, int32_t i, int64_t vocabulary,
                            kd__store_field *to)
{
    kd_store_field f = KD_STORE_FIELD_INIT;
    KD_TRY(kd__options_read(&f, sizeof f, given, "kd_store_field"));
    KD_FAIL_IF(f.kind < KD_STORE_DENSE || f.kind > KD_STORE_EMBEDDING, KD_ERR_RANGE,
               "field %d: kind: expected %d to %d, got %d", i, KD_STORE_DENSE, KD_STORE_EMBEDDING,
               f.kind);
    *to = (kd__store_field){ .kind = f.kind,
                             .encoding = f.encoding,
                             .bits = f.bits,
                             .width = f.width,
                             .projection = f.projection,
                             .k = f.k,
                             .bytes = f.bytes,
                             .draws = f.draws,
                             .mass = f.mass };
    KD_TRY(kd__name_copy(to->name, f.name, "field"));
    KD_TRY(kd__name_copy(to->source, f.source ? f.source : f.name, "source"));
    return kd__bounds_field(to, vocabulary, KD_ERR_RANGE, "a store's fields");
}

static kd_status read_fields(kd_store_writer *w, const kd_store_options *o,
                             const kd_store_field *fields, int32_t count)
{
    KD_FAIL_IF(count < 1 || count > KD__MAX_FIELDS || !fields, KD_ERR_RANGE,
               "a store has 1 to %d fields, got %d", KD__MAX_FIELDS, count);
    for (int32_t i = 0; i < count; i++) {
        const char *given = (const char *)fields + (size_t)i * fields[0].struct_size;
        kd__store_field *to = &w->fields[i];
        KD_TRY(read_field((const kd_store_field *)(const void *)given, i, o->vocabulary, to));
        KD_FAIL_IF(find_name(w->fields, i, to->name) >= 0, KD_ERR_INVALID,
                   "fields: expected different names, got '%s' twice", to->name);
    }
    w->field_count = count;
    return KD_OK;
}

static kd_status check_options(const kd_store_options *o)
{
    KD_FAIL_IF(o->sync < KD_SYNC_NEVER || o->sync > KD_SYNC_COMMIT, KD_ERR_RANGE,
               "sync: expected %d to %d, got %d", KD_SYNC_NEVER, KD_SYNC_COMMIT, o->sync);
    KD_TRY(kd__bounds_vocabulary(o->vocabulary, o->padded_vocabulary, KD_ERR_RANGE, "a store"));
    KD_TRY(kd__bounds_temperature(o->temperature, KD_ERR_RANGE, "a store"));
    KD_FAIL_IF(o->temperature_count < 0 || o->temperature_count > KD__MAX_TEMPERATURES ||
                   (o->temperature_count && !o->temperatures),
               KD_ERR_RANGE, "temperatures: expected 0 to %d further ones, got %d at %s",
               KD__MAX_TEMPERATURES, o->temperature_count, o->temperatures ? "an address" : "NULL");
    for (int32_t i = 0; i < o->temperature_count; i++)
        KD_TRY(kd__bounds_temperature(o->temperatures[i], KD_ERR_RANGE, "a store's further ones"));
    KD_FAIL_IF(o->align != KD_ALIGN_SAME && o->align != KD_ALIGN_NEXT, KD_ERR_RANGE,
               "align: expected KD_ALIGN_SAME or KD_ALIGN_NEXT, got %d", o->align);
    KD_FAIL_IF((o->tokenizer && strlen(o->tokenizer) >= KD_NAME_BYTES) ||
                   (o->chat_template && strlen(o->chat_template) >= KD_NAME_BYTES),
               KD_ERR_RANGE,
               "tokenizer, chat_template: expected hashes of fewer than %d characters",
               KD_NAME_BYTES);
    return KD_OK;
}

/* Entries of a store that is continued: its index is made of all of them. */
static kd_status remember(void *user, const kd__record_header *h, int64_t offset)
{
    kd_store_writer *w = user;
    KD_TRY(KD_RESERVE(w->object.context, &w->index, &w->index_room, w->index_count + 1));
    w->index[w->index_count++] =
        (kd__index_entry){ { h->key[0], h->key[1] }, h->view, h->first, h->positions, offset,
                           (int64_t)h->size };
    return KD_OK;
}

/* Where the host gave none a store goes on with its own. */
static void take_temperatures(kd_store_writer *w, const kd__store_header *from,
                              kd__store_header *to)
{
    w->temperature_count = to->temperature_count = from->temperature_count;
    memcpy(w->temperatures, from->temperatures, sizeof w->temperatures);
    memcpy(to->temperatures, from->temperatures, sizeof to->temperatures);
}

static kd_status continue_store(kd_store_writer *w, const kd__store_header *mine)
{
    kd__store_header expected = *mine;
    kd_context *context = w->object.context;
    kd__shard shard;
    kd_status status = kd__shard_open(context, &shard, w->path, 1);
    if (status == KD_OK && w->temperatures_default) take_temperatures(w, &shard.header, &expected);
    if (status == KD_OK) status = kd__header_agree(&expected, &shard.header, w->path);
    if (status == KD_OK) status = kd__shard_scan(context, &shard, remember, w);
    if (status == KD_OK) {
        w->end = shard.end;
        w->head = shard.head_offset;
        if (*shard.header.tokenizer)
            memcpy(w->tokenizer, shard.header.tokenizer, sizeof w->tokenizer);
        if (*shard.header.chat_template)
            memcpy(w->chat_template, shard.header.chat_template, sizeof w->chat_template);
        if (shard.torn)
            kd__log(context, KD_LOG_WARNING, "%s: a torn tail of %lld bytes is cut off", w->path,
                    (long long)shard.torn);
        w->dirty = 1;
    }
    kd__shard_close(context, &shard);
    return status;
}

static kd_status begin_file(kd_store_writer *w, const kd__text *json)
{
    uint8_t header[KD__FILE_HEADER];
    kd__file_header(header, json);
    const int failed = kd__write_all(w->file, header, sizeof header) ||
                       kd__write_all(w->file, json->bytes, json->size);
    kd_status status = failed ? io_error(w, "cannot write") : KD_OK;
    if (status == KD_OK && w->sync != KD_SYNC_NEVER && kd__os_sync(w->file))
        status = io_error(w, "cannot sync");
    if (status != KD_OK) kd__os_remove(w->path);
    w->is_new = status == KD_OK;
    w->end = KD__FILE_HEADER + json->size;
    return status;
}

/* A writer that was killed before its header was whole left only a beginning of it, and nothing
 * that was committed. */
static int is_beginning(kd_store_writer *w, int64_t size, const kd__text *json)
{
    uint8_t header[KD__FILE_HEADER];
    char piece[512];
    if (size >= KD__FILE_HEADER + json->size) return 0;
    kd__file_header(header, json);
    for (int64_t at = 0; at < size;) {
        const int64_t head = at < KD__FILE_HEADER;
        const char *expected = head ? (const char *)header + at
                                    : json->bytes + at - KD__FILE_HEADER;
        int64_t n = head ? KD__FILE_HEADER - at : size - at;
        n = n > (int64_t)sizeof piece ? (int64_t)sizeof piece : n;
        n = kd__min(n, size - at);
        if (kd__os_read_at(w->file, piece, n, at) != n || memcmp(piece, expected, (size_t)n))
            return 0;
        at += n;
    }
    return 1;
}

static kd_status open_file(kd_store_writer *w, const kd_store_options *o,
                           const kd__store_header *header)
{
    kd__os_facts facts;
    const kd__text text = { .bytes = header->json, .size = header->json_size }, *json = &text;
    w->file = kd__os_open(w->path, KD__OS_UPDATE);
    if (w->file < 0) return io_error(w, "cannot write");
    KD_TRY(kd__file_lock(w->object.context, w->file, 0, w->path));
    if (kd__os_look(w->file, &facts)) return io_error(w, "cannot stat");
    KD_FAIL_IF(facts.size && !o->append, KD_ERR_STATE, "%s exists already; append = 1 continues it",
               w->path);
    if (facts.size && !is_beginning(w, facts.size, json)) return continue_store(w, header);
    if (facts.size && kd__os_cut(w->file, 0)) return io_error(w, "cannot empty it");
    return begin_file(w, json);
}

/* Two more tails a row for stores with a top-k, so that a temperature may change while a student
 * trains. */
static void default_temperatures(kd_store_writer *w, kd_store_options *o, double temperatures[2])
{
    int32_t topk = 0;
    for (int32_t i = 0; i < w->field_count; i++) topk += w->fields[i].kind == KD_STORE_TOPK;
    if (o->temperatures) return;
    w->temperatures_default = 1;
    if (!topk || 4 * o->temperature > 1000) return;
    temperatures[0] = 2 * o->temperature;
    temperatures[1] = 4 * o->temperature;
    o->temperatures = temperatures;
    o->temperature_count = 2;
}

/* The header's text, read again as a reader will: what it refuses is refused before a file is
 * there. */
static kd_status make_header(kd_store_writer *w, const kd_store_options *o,
                             kd__store_header *header)
{
    kd_context *context = w->object.context;
    kd__text json = { .context = context };
    kd_status status = kd__header_write(o, w->fields, w->field_count, &json);
    if (status == KD_OK && json.size > KD__MAX_HEADER)
        status = kd__fail(
            KD_ERR_RANGE,
            "%s: a header of %lld bytes: expected at most %d (are the tokens' strings that long?)",
            w->path, (long long)json.size, KD__MAX_HEADER);
    if (status == KD_OK) status = kd__header_parse(context, header, json.bytes, json.size, w->path);
    if (status != KD_OK) kd__text_free(&json);
    return status;
}

/* Names the shard when its header is whole, so that every shard that is named can be opened. */
static kd_status name_shard(kd_store_writer *w)
{
    const kd_status status = kd__manifest_add(w->object.context, w->folder, w->shard);
    if (status != KD_OK && w->is_new) kd__os_remove(w->path); /* nobody knows of it yet */
    return status;
}

/* Where files have no locks, a writer that began at the same moment may have written its manifest
 * over ours. */
static kd_status name_again(kd_store_writer *w)
{
    int has = 1;
    if (w->folder) KD_TRY(kd__manifest_has(w->object.context, w->folder, w->shard, &has));
    return has ? KD_OK : kd__manifest_add(w->object.context, w->folder, w->shard);
}

static kd_status create(kd_store_writer *w, const char *path, const kd_store_options *o)
{
    kd_context *context = w->object.context;
    kd__store_header header;
    w->shard = o->shard;
    if (o->shard >= 0) KD_TRY(kd__copy_text(context, &w->folder, path));
    if (w->folder) KD_TRY(kd__manifest_path(context, path, o->shard, &w->path));
    else KD_TRY(kd__copy_text(context, &w->path, path));
    w->sync = o->sync;
    w->vocabulary = o->vocabulary;
    w->padded = o->padded_vocabulary ? o->padded_vocabulary : o->vocabulary;
    w->temperature = o->temperature;
    w->temperature_count = o->temperature_count;
    for (int32_t i = 0; i < o->temperature_count; i++) w->temperatures[i] = o->temperatures[i];
    w->seed = o->seed;
    w->align = o->align;
    KD_TRY(make_header(w, o, &header));
    memcpy(w->tokenizer, header.tokenizer, sizeof w->tokenizer);
    memcpy(w->chat_template, header.chat_template, sizeof w->chat_template);
    kd_status status = open_file(w, o, &header);
    kd__header_free(context, &header);
    if (status == KD_OK && w->folder) status = name_shard(w);
    KD_TRY(status);
    return kd_targets_create(&w->selected, context, NULL);
}

kd_status kd__writer_like(kd_store_writer **out, kd_context *context, const char *path,
                          const kd__store_header *header)
{
    kd_store_writer *w = NULL;
    const kd_store_options o = KD_STORE_OPTIONS_INIT;
    KD_TRY(kd__name_given(path, "path"));
    KD_TRY(kd__object_create((void **)&w, context, sizeof *w));
    w->file = -1;
    w->record.context = context;
    w->sync = KD_SYNC_CLOSE;
    w->vocabulary = header->vocabulary;
    w->padded = kd__dense_width(header);
    memcpy(w->fields, header->fields, sizeof w->fields);
    w->field_count = header->field_count;
    kd_status status = kd__copy_text(context, &w->path, path);
    if (status == KD_OK) status = open_file(w, &o, header);
    if (status != KD_OK) {
        kd_store_writer_free(w);
        return status;
    }
    *out = w;
    return KD_OK;
}

kd_status kd_store_writer_create(kd_store_writer **out, kd_context *context, const char *path,
                                 const kd_store_options *options, const kd_store_field *fields,
                                 int32_t count)
{
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_writer *w = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__name_given(path, "path"));
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_store_options"));
    KD_TRY(check_options(&o));
    KD_TRY(kd__object_create((void **)&w, context, sizeof *w));
    w->file = -1;
    w->record.context = context;
    double temperatures[2];
    kd_status status = read_fields(w, &o, fields, count);
    default_temperatures(w, &o, temperatures);
    if (status == KD_OK) status = create(w, path, &o);
    if (status != KD_OK) {
        kd_store_writer_free(w);
        return status;
    }
    *out = w;
    return KD_OK;
}

void kd_store_writer_free(kd_store_writer *w)
{
    if (!kd__object_drop(w)) return;
    kd_context *context = w->object.context;
    if (w->file >= 0) {
        if (w->dirty && w->end) cut_to_end(w);
        kd__os_close(w->file);
    }
    kd__release(context, w->path);
    kd__release(context, w->folder);
    kd__release(context, w->index);
    kd__release(context, w->scratch);
    kd__release(context, w->bytes);
    kd__text_free(&w->record);
    kd_targets_free(w->selected);
    kd__object_destroy(w);
}

/* ---- closing ---- */

static kd_status write_index(kd_store_writer *w)
{
    kd_context *context = w->object.context;
    const int64_t body = kd__align8(24 + w->index_count * KD__INDEX_ENTRY + KD__FOOTER),
                  size = KD__RECORD_HEADER + body;
    uint8_t *bytes = NULL;
    KD_TRY(kd__allocate(context, (void **)&bytes, size, 1));
    uint8_t *at = bytes + KD__RECORD_HEADER;
    kd__put64(at + 8, (uint64_t)w->index_count);
    kd__put64(at + 16, (uint64_t)w->head);
    for (int64_t i = 0; i < w->index_count; i++) {
        const kd__index_entry *e = &w->index[i];
        uint8_t *to = at + 24 + i * KD__INDEX_ENTRY;
        kd__put64(to, e->key[0]);
        kd__put64(to + 8, e->key[1]);
        kd__put32(to + 16, e->view);
        kd__put32(to + 20, e->first);
        kd__put32(to + 24, e->positions);
        kd__put64(to + 32, (uint64_t)e->offset);
        kd__put64(to + 40, (uint64_t)e->size);
    }
    uint8_t *footer = bytes + size - KD__FOOTER;
    kd__put64(footer, (uint64_t)w->end);
    kd__put32(footer + 8, KD__FOOTER_MAGIC);
    kd__put32(footer + 12, kd__crc32(0, footer, 12));
    kd__record_header h = { .type = KD__RECORD_INDEX,
                            .size = (uint64_t)size,
                            .body_crc = kd__crc32(0, at, (size_t)body) };
    kd__record_header_write(bytes, &h);
    kd_status status = kd__writer_append(w, bytes, size);
    kd__release(context, bytes);
    return status;
}

kd_status kd_store_writer_close(kd_store_writer *w)
{
    KD_NEED(w);
    KD_FAIL_IF(w->file < 0, KD_ERR_STATE, "the writer is closed");
    KD_TRY(name_again(w));
    KD_TRY(write_index(w));
    if (w->sync != KD_SYNC_NEVER && kd__os_sync(w->file)) return io_error(w, "cannot sync");
    int failed = kd__os_close(w->file) != 0;
    w->file = -1;
    return failed ? io_error(w, "cannot close") : KD_OK;
}

/* ---- records ---- */

kd_status kd_store_writer_begin(kd_store_writer *w, uint64_t key0, uint64_t key1, int64_t view,
                                int64_t first, int64_t positions)
{
    KD_NEED(w);
    KD_FAIL_IF(w->file < 0, KD_ERR_STATE, "the writer is closed");
    KD_FAIL_IF(view < 0 || view > UINT32_MAX || first < 0 || first > INT32_MAX || positions < 0 ||
                   positions > INT32_MAX,
               KD_ERR_RANGE,
               "record: expected a view below 2^32, first and positions below 2^31, got %lld, %lld "
               "and %lld",
               (long long)view, (long long)first, (long long)positions);
    w->header = (kd__record_header){ .type = KD__RECORD_SAMPLE,
                                     .key = { key0, key1 },
                                     .view = (uint32_t)view,
                                     .first = (uint32_t)first,
                                     .positions = (uint32_t)positions };
    w->record.size = 0;
    memset(w->part_sizes, 0, sizeof w->part_sizes);
    memset(w->part_flags, 0, sizeof w->part_flags);
    w->part_count = 0;
    w->open = 1;
    return KD_OK;
}

/* Takes what was appended to the record since `from` as the part of a field. */
kd_status kd__writer_end_part(kd_store_writer *w, int32_t field, int64_t from, uint32_t flags)
{
    const int64_t size = w->record.size - from;
    while (w->record.size % 8) KD_TRY(kd__text_append(&w->record, "", 1));
    w->parts[w->part_count] = field;
    w->part_sizes[w->part_count] = size;
    w->part_flags[w->part_count++] = flags;
    return KD_OK;
}

kd_status kd__writer_field(kd_store_writer *w, const char *name, int32_t *field)
{
    KD_FAIL_IF(!w->open, KD_ERR_STATE, "no record was begun: call kd_store_writer_begin first");
    KD_FAIL_IF(!name, KD_ERR_INVALID, "field: expected a name, got NULL");
    for (int32_t i = 0; i < w->field_count; i++) {
        if (strcmp(w->fields[i].name, name)) continue;
        for (int32_t p = 0; p < w->part_count; p++)
            KD_FAIL_IF(w->parts[p] == i, KD_ERR_STATE,
                       "field '%s' was put into this record already", name);
        *field = i;
        return KD_OK;
    }
    return kd__fail(KD_ERR_NOT_FOUND, "the store has no field '%.60s'", name);
}

/* Seals the record in w->bytes and appends it. */
static kd_status seal(kd_store_writer *w, int64_t size)
{
    w->header.size = (uint64_t)size;
    w->header.body_crc =
        kd__crc32(0, w->bytes + KD__RECORD_HEADER, (size_t)(size - KD__RECORD_HEADER));
    kd__record_header_write(w->bytes, &w->header);
    KD_TRY(remember(w, &w->header, w->end)); /* room first: nothing may fail behind the write */
    kd_status status = kd__writer_append(w, w->bytes, size);
    if (status != KD_OK) {
        w->index_count--;
        return status;
    }
    w->open = 0;
    return KD_OK;
}

kd_status kd__writer_copy(kd_store_writer *w, const uint8_t *record, int64_t size)
{
    KD_TRY(KD_RESERVE(w->object.context, &w->bytes, &w->bytes_room, size));
    memcpy(w->bytes, record, (size_t)size);
    w->header.parts = kd__get32(record + 44);
    return seal(w, size);
}

kd_status kd_store_writer_commit(kd_store_writer *w)
{
    KD_NEED(w);
    KD_FAIL_IF(!w->open, KD_ERR_STATE, "no record was begun: call kd_store_writer_begin first");
    KD_FAIL_IF(!w->part_count || (w->part_count == 1 && w->parts[0] == KD__PART_SAMPLE),
               KD_ERR_STATE, "the record has no field");
    const int64_t directory = 16 * (int64_t)w->part_count,
                  size = KD__RECORD_HEADER + directory + w->record.size;
    KD_FAIL_IF(
        w->header.type == KD__RECORD_SAMPLE && !kd__positions_fit(w->header.positions, size),
        KD_ERR_RANGE,
        "record: %lld positions in %lld bytes: one whose fields have no rows holds at most %d",
        (long long)w->header.positions, (long long)size, KD__LONGEST_UNSEEN);
    KD_TRY(KD_RESERVE(w->object.context, &w->bytes, &w->bytes_room, size));
    uint8_t *at = w->bytes + KD__RECORD_HEADER;
    for (int32_t p = 0; p < w->part_count; p++, at += 16) {
        kd__put32(at, (uint32_t)w->parts[p]);
        kd__put32(at + 4, w->part_flags[p]);
        kd__put64(at + 8, (uint64_t)w->part_sizes[p]);
    }
    if (w->record.size) memcpy(at, w->record.bytes, (size_t)w->record.size);
    w->header.parts = (uint32_t)w->part_count;
    return seal(w, size);
}
