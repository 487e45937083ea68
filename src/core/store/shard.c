/* One file of a store: its header, and its records found through the index at its end or one after
 * the other. */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/memory.h"
#include "base/os.h"
#include "core/store/store.h"

/* mapped beyond the end, so that a growing file needs no new mapping at once */
#define ROOM_TO_GROW (64LL << 20)

int kd__record_header_read(const uint8_t from[KD__RECORD_HEADER], kd__record_header *h)
{
    if (kd__get32(from) != KD__RECORD_MAGIC || kd__get32(from + 60) != kd__crc32(0, from, 60))
        return 0;
    h->type = kd__get32(from + 4);
    h->size = kd__get64(from + 8);
    h->key[0] = kd__get64(from + 16);
    h->key[1] = kd__get64(from + 24);
    h->view = kd__get32(from + 32);
    h->first = kd__get32(from + 36);
    h->positions = kd__get32(from + 40);
    h->parts = kd__get32(from + 44);
    h->body_crc = kd__get32(from + 48);
    return h->size >= KD__RECORD_HEADER && h->size % 8 == 0 && h->size < 1ULL << 48;
}

void kd__record_header_write(uint8_t to[KD__RECORD_HEADER], const kd__record_header *h)
{
    memset(to, 0, KD__RECORD_HEADER);
    kd__put32(to, KD__RECORD_MAGIC);
    kd__put32(to + 4, h->type);
    kd__put64(to + 8, h->size);
    kd__put64(to + 16, h->key[0]);
    kd__put64(to + 24, h->key[1]);
    kd__put32(to + 32, h->view);
    kd__put32(to + 36, h->first);
    kd__put32(to + 40, h->positions);
    kd__put32(to + 44, h->parts);
    kd__put32(to + 48, h->body_crc);
    kd__put32(to + 60, kd__crc32(0, to, 60));
}

static kd_status read_at(kd__shard *shard, int64_t offset, int64_t size, uint8_t *to)
{
    int64_t got;
    KD_FAIL_IF(kd__read_all_at(shard->file, to, size, offset, &got), KD_ERR_IO,
               "%s: cannot read: %s", shard->path, strerror(errno));
    KD_FAIL_IF(got < size, KD_ERR_FORMAT,
               "%s: expected %lld bytes at %lld, the file ends after %lld", shard->path,
               (long long)size, (long long)offset, (long long)got);
    return KD_OK;
}

kd_status kd__shard_bytes(kd__shard *shard, int64_t offset, int64_t size, uint8_t *room,
                          const uint8_t **out)
{
    KD_FAIL_IF(offset < 0 || size < 0 || offset > shard->size - size, KD_ERR_FORMAT,
               "%s: %lld bytes at %lld lie outside the file", shard->path, (long long)size,
               (long long)offset);
    if (shard->map) {
        *out = shard->map + offset;
        return KD_OK;
    }
    KD_TRY(read_at(shard, offset, size, room));
    *out = room;
    return KD_OK;
}

/* Follows the file's growth; an old mapping stays, because somebody may still read from it. */
static kd_status look_at_size(kd__shard *shard)
{
    kd__os_facts facts;
    KD_FAIL_IF(kd__os_look(shard->file, &facts), KD_ERR_IO, "%s: %s", shard->path, strerror(errno));
    shard->size = facts.size;
    if (shard->use_pread || (shard->map && shard->size <= shard->map_size)) return KD_OK;
    KD_FAIL_IF(shard->old_count == 64, KD_ERR_RANGE,
               "%s: grew more than 64 times while it was open: open it again", shard->path);
    const int64_t size = 2 * shard->size + ROOM_TO_GROW;
    const void *map = kd__os_map(shard->file, size);
    KD_FAIL_IF(!map, KD_ERR_IO, "%s: cannot map: %s (option pread reads instead)", shard->path,
               strerror(errno));
    if (shard->map) {
        shard->old_maps[shard->old_count] = shard->map;
        shard->old_sizes[shard->old_count++] = shard->map_size;
    }
    shard->map = map;
    shard->map_size = size;
    return KD_OK;
}

/* The fixed bytes that every store begins with; *size: of the JSON header after them. */
static kd_status check_front(const kd__shard *shard, const uint8_t *front, int64_t *size)
{
    const char *path = shard->path;
    const uint32_t version = kd__get32(front + 8);
    const uint64_t claimed = kd__get64(front + 16);
    const int64_t room = kd__min(shard->size - KD__FILE_HEADER, KD__MAX_HEADER);
    KD_FAIL_IF(memcmp(front, KD__STORE_MAGIC, 8), KD_ERR_FORMAT, "%s: not a store of libkdistill",
               path);
    KD_FAIL_IF(kd__get32(front + 60) != kd__crc32(0, front, 60), KD_ERR_FORMAT,
               "%s: the header's first bytes are damaged", path);
    KD_FAIL_IF(version > KD__STORE_VERSION, KD_ERR_VERSION,
               "%s: expected a store of version 1 to %d, got %u", path, KD__STORE_VERSION, version);
    KD_FAIL_IF(kd__get32(front + 12) != 0x01020304 || claimed % 8 || claimed > (uint64_t)room,
               KD_ERR_FORMAT, "%s: a header of %llu bytes in a file of %lld", path,
               (unsigned long long)claimed, (long long)shard->size);
    *size = (int64_t)claimed;
    return KD_OK;
}

static kd_status read_header(kd_context *context, kd__shard *shard)
{
    uint8_t front[KD__FILE_HEADER];
    char *json = NULL;
    int64_t size;
    KD_FAIL_IF(shard->size < KD__FILE_HEADER, KD_ERR_FORMAT,
               "%s: not a store: expected at least %d bytes, got %lld", shard->path,
               KD__FILE_HEADER, (long long)shard->size);
    KD_TRY(read_at(shard, 0, sizeof front, front));
    KD_TRY(check_front(shard, front, &size));
    KD_TRY(kd__allocate(context, (void **)&json, size + 1, 1));
    kd_status status = read_at(shard, KD__FILE_HEADER, size, (uint8_t *)json);
    if (status == KD_OK && kd__crc32(0, json, (size_t)size) != kd__get32(front + 24))
        status = kd__fail(KD_ERR_FORMAT, "%s: the header is damaged", shard->path);
    if (status == KD_OK)
        status = kd__header_parse(context, &shard->header, json, size, shard->path);
    if (status != KD_OK) {
        kd__release(context, json);
        return status;
    }
    shard->begin = shard->end = KD__FILE_HEADER + size;
    return KD_OK;
}

kd_status kd__shard_open(kd_context *context, kd__shard *shard, const char *path, int use_pread)
{
    memset(shard, 0, sizeof *shard);
    shard->file = -1;
    shard->use_pread = use_pread;
    KD_TRY(kd__copy_text(context, &shard->path, path));
    shard->file = kd__os_open(path, KD__OS_READ);
    KD_FAIL_IF(shard->file < 0, errno == ENOENT ? KD_ERR_NOT_FOUND : KD_ERR_IO, "%s: %s", path,
               strerror(errno));
    KD_TRY(look_at_size(shard));
    KD_TRY(read_header(context, shard));
    return kd__shard_origin(context, shard);
}

void kd__shard_close(kd_context *context, kd__shard *shard)
{
    if (shard->map) kd__os_unmap(shard->map, shard->map_size);
    for (int32_t i = 0; i < shard->old_count; i++)
        kd__os_unmap(shard->old_maps[i], shard->old_sizes[i]);
    if (shard->file >= 0) kd__os_close(shard->file);
    kd__header_free(context, &shard->header);
    kd__release(context, shard->path);
    shard->path = NULL;
    shard->map = NULL;
    shard->file = -1;
}

/* ---- the index at the end ---- */

#define INDEX_HEAD 24 /* bytes of a body before its entries: record before, entries, head */

typedef struct {
    kd_context *context;
    kd__shard *shard;
    kd__record_visit *visit;
    void *user;
} scan;

static int body_is_good(scan *s, int64_t offset, const kd__record_header *h)
{
    uint8_t *room = NULL;
    const uint8_t *bytes = NULL;
    if (!s->shard->map && kd__allocate(s->context, (void **)&room, (int64_t)h->size, 1) != KD_OK)
        return 0;
    int good = kd__shard_bytes(s->shard, offset, (int64_t)h->size, room, &bytes) == KD_OK &&
               kd__crc32(0, bytes + KD__RECORD_HEADER, h->size - KD__RECORD_HEADER) == h->body_crc;
    kd__release(s->context, room);
    return good;
}

static void note_head(kd__shard *shard, const kd__record_header *h, int64_t offset)
{
    shard->head_offset = offset;
    shard->head_size = (int64_t)h->size;
}

static int read_index_header(scan *s, int64_t offset, kd__record_header *h)
{
    const kd__shard *shard = s->shard;
    uint8_t room[KD__RECORD_HEADER];
    const uint8_t *bytes;
    if (offset < shard->begin || offset % 8) return 0;
    if (offset > shard->size - KD__RECORD_HEADER) return 0;
    if (kd__shard_bytes(s->shard, offset, KD__RECORD_HEADER, room, &bytes) != KD_OK) return 0;
    if (!kd__record_header_read(bytes, h) || h->type != KD__RECORD_INDEX) return 0;
    if ((int64_t)h->size > shard->size - offset) return 0;
    return h->size >= KD__RECORD_HEADER + INDEX_HEAD + KD__FOOTER && body_is_good(s, offset, h);
}

/* One entry of the index record at `offset`: records lie before it. */
static int visit_entry(scan *s, const uint8_t *e, uint64_t offset, kd_status *status)
{
    const kd__record_header r = { .type = KD__RECORD_SAMPLE,
                                  .key = { kd__get64(e), kd__get64(e + 8) },
                                  .view = kd__get32(e + 16),
                                  .first = kd__get32(e + 20),
                                  .positions = kd__get32(e + 24),
                                  .size = kd__get64(e + 40) };
    const uint64_t at = kd__get64(e + 32);
    if (at % 8 || at >= offset) return 0;
    if (r.size < KD__RECORD_HEADER || r.size > offset - at) return 0;
    if (s->visit) *status = s->visit(s->user, &r, (int64_t)at);
    return 1;
}

/* Entries of one index record, after those of the one before it. 0: something is not right, the
 * records are walked instead. */
static int visit_index(scan *s, int64_t offset, int depth, kd_status *status);

static int visit_entries(scan *s, const uint8_t *body, uint64_t room, int64_t offset, int depth,
                         kd_status *status)
{
    const int64_t before = (int64_t)kd__get64(body), head = (int64_t)kd__get64(body + 16);
    const uint64_t count = kd__get64(body + 8);
    if (count > room / KD__INDEX_ENTRY) return 0;
    if (before >= offset) return 0;
    if (before && !visit_index(s, before, depth + 1, status)) return 0;
    if (head) {
        s->shard->head_offset = head;
        s->shard->head_size = 0; /* its header tells */
    }
    int good = 1;
    for (uint64_t i = 0; i < count && good && *status == KD_OK; i++) {
        const uint8_t *entry = body + INDEX_HEAD + i * KD__INDEX_ENTRY;
        good = visit_entry(s, entry, (uint64_t)offset, status);
    }
    return good;
}

static int visit_index(scan *s, int64_t offset, int depth, kd_status *status)
{
    uint8_t *block = NULL;
    const uint8_t *bytes;
    kd__record_header h;
    if (depth > 4096 || !read_index_header(s, offset, &h)) return 0;
    const int64_t size = (int64_t)h.size;
    if (!s->shard->map && kd__allocate(s->context, (void **)&block, size, 1) != KD_OK) return 0;
    int good = kd__shard_bytes(s->shard, offset, size, block, &bytes) == KD_OK;
    if (good) {
        const uint64_t room = h.size - KD__RECORD_HEADER - INDEX_HEAD - KD__FOOTER;
        good = visit_entries(s, bytes + KD__RECORD_HEADER, room, offset, depth, status);
    }
    kd__release(s->context, block);
    return good;
}

/* 1: the file ends with an index and everything was visited. */
static int through_index(scan *s, kd_status *status)
{
    uint8_t room[KD__FOOTER];
    const uint8_t *f;
    kd__shard *shard = s->shard;
    if (shard->end != shard->begin || shard->size - shard->begin < KD__RECORD_HEADER + KD__FOOTER ||
        shard->size % 8)
        return 0;
    if (kd__shard_bytes(shard, shard->size - KD__FOOTER, KD__FOOTER, room, &f) != KD_OK) return 0;
    if (kd__get32(f + 8) != KD__FOOTER_MAGIC || kd__get32(f + 12) != kd__crc32(0, f, 12)) return 0;
    scan checked = *s;
    checked.visit = NULL; /* all of it is looked at before anything is visited */
    if (!visit_index(&checked, (int64_t)kd__get64(f), 0, status)) return 0;
    visit_index(s, (int64_t)kd__get64(f), 0, status);
    shard->end = shard->size;
    return 1;
}

/* ---- one after the other ---- */

/* The next place at or behind `offset` where a whole record begins; -1: none. */
static int64_t find_record(scan *s, int64_t offset, kd__record_header *h)
{
    uint8_t room[KD__RECORD_HEADER];
    const uint8_t *bytes;
    for (; offset <= s->shard->size - KD__RECORD_HEADER; offset += 8) {
        if (kd__shard_bytes(s->shard, offset, KD__RECORD_HEADER, room, &bytes) != KD_OK) return -1;
        if (kd__record_header_read(bytes, h) && (int64_t)h->size <= s->shard->size - offset)
            return offset;
    }
    return -1;
}

static kd_status walk(scan *s)
{
    kd__shard *shard = s->shard;
    kd__record_header h;
    for (int64_t at; (at = find_record(s, shard->end, &h)) >= 0;) {
        const int last = at + (int64_t)h.size > shard->size - KD__RECORD_HEADER;
        /* torn, or damaged and not told apart from it */
        if (last && !body_is_good(s, at, &h)) break;
        if (at != shard->end) shard->damaged++;
        shard->end = at + (int64_t)h.size;
        if (h.type == KD__RECORD_HEAD) note_head(shard, &h, at);
        else if (h.type == KD__RECORD_SAMPLE) KD_TRY(s->visit(s->user, &h, at));
    }
    shard->torn = shard->size - shard->end;
    return KD_OK;
}

kd_status kd__shard_scan(kd_context *context, kd__shard *shard, kd__record_visit *visit, void *user)
{
    scan s = { context, shard, visit, user };
    kd_status status = KD_OK;
    KD_TRY(look_at_size(shard));
    shard->torn = 0;
    if (through_index(&s, &status)) return status;
    KD_TRY(status);
    return walk(&s);
}
