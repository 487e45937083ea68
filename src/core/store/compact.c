/* Copies the living records of a store into one new file. */
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "core/store/writer.h"

static kd_status copy_record(kd_store *store, int64_t record, kd_store_writer *w, uint8_t *room)
{
    const kd__entry *e = &store->entries[record];
    const uint8_t *bytes;
    KD_TRY(kd__store_bytes(store, record, room, &bytes));
    KD_TRY(kd_store_writer_begin(w, e->key[0], e->key[1], e->view, e->first, e->positions));
    KD_TRY(kd__writer_copy(w, bytes, e->size));
    return KD_OK;
}

static kd_status copy_head(kd_store *store, kd_store_writer *w)
{
    for (int64_t i = 0; i < store->shard_count; i++) {
        kd__shard *s = &store->shards[i];
        uint8_t header[KD__RECORD_HEADER], *room = NULL;
        const uint8_t *bytes;
        kd__record_header h;
        if (!s->head_offset) continue;
        KD_TRY(kd__shard_bytes(s, s->head_offset, KD__RECORD_HEADER, header, &bytes));
        KD_FAIL_IF(!kd__record_header_read(bytes, &h) || (int64_t)h.size > s->size - s->head_offset,
                   KD_ERR_FORMAT, "%s: the head is damaged", s->path);
        KD_TRY(kd__allocate(store->object.context, (void **)&room, (int64_t)h.size, 1));
        kd_status status = kd__shard_bytes(s, s->head_offset, (int64_t)h.size, room, &bytes);
        const int64_t at = w->end;
        if (status == KD_OK) status = kd__writer_append(w, bytes, (int64_t)h.size);
        if (status == KD_OK) w->head = at;
        kd__release(store->object.context, room);
        return status;
    }
    return KD_OK;
}

static kd_status copy_all(kd_store *store, kd_store_writer *w)
{
    int64_t most = 0;
    uint8_t *room = NULL;
    kd_context *context = store->object.context;
    for (int64_t i = 0; i < store->entry_count; i++) most = kd__max(store->entries[i].size, most);
    KD_TRY(copy_head(store, w));
    KD_TRY(kd__allocate(context, (void **)&room, most + 8, 1));
    kd_status status = KD_OK;
    for (int64_t i = 0; i < store->entry_count && status == KD_OK; i++) {
        status = copy_record(store, i, w, room);
        if (status == KD_OK && i % 256 == 0)
            status = kd__progress(context, "copy", i, store->entry_count);
    }
    kd__release(context, room);
    return status == KD_OK ? kd_store_writer_close(w) : status;
}

kd_status kd_store_compact(kd_store *store, const char *path)
{
    kd_store_writer *w = NULL;
    KD_NEED(store);
    int64_t like = 0; /* a shard that promises least about what its records lack */
    for (int64_t i = 0; i < store->shard_count && store->shards[like].header.checked; i++)
        if (!store->shards[i].header.checked) like = i;
    KD_TRY(kd__writer_like(&w, store->object.context, path, &store->shards[like].header));
    kd_status status = copy_all(store, w);
    kd_store_writer_free(w);
    return status;
}
