/* Insides of stores: the file's layout, writers and readers. docs/store-format.md describes every byte. */
#ifndef KD_STORE_STORE_H
#define KD_STORE_STORE_H

#include <kdistill/store.h>
#include <pthread.h>

#include "base/text.h"
#include "store/codec.h"
#include "teacher/teacher.h"

#define KD__STORE_MAGIC "KDSTORE\n"
#define KD__STORE_VERSION 1
#define KD__FILE_HEADER 64
#define KD__RECORD_MAGIC 0x4352444bU /* "KDRC" */
#define KD__RECORD_HEADER 64
#define KD__INDEX_ENTRY 56
#define KD__FOOTER 16
#define KD__FOOTER_MAGIC 0x5849444bU /* "KDIX" */
#define KD__MAX_FIELDS 32
#define KD__MOST_WIDTH (1 << 24)   /* of a field, and of its projection: a writer refuses what a reader would */
#define KD__MOST_BYTES (1LL << 40) /* of a budget a position */
#define KD__BLOCK 16               /* positions that share an entry of a top-k directory */
#define KD__MAX_HEADER (64 << 20)

enum { KD__RECORD_SAMPLE, KD__RECORD_HEAD, KD__RECORD_INDEX };

typedef struct kd__store_field {
    int32_t kind, encoding, bits;
    char name[KD_MAX_NAME], source[KD_MAX_NAME];
    int64_t width, projection, k, bytes, draws;
    double mass;
} kd__store_field;

/* What the header says. */
typedef struct kd__store_header {
    char *json; /* the text, ends with 0 */
    int64_t json_size;
    int64_t vocabulary, padded;
    double temperature, temperatures[KD__MAX_TEMPERATURES];
    int32_t temperature_count, align;
    uint64_t seed;
    char tokenizer[KD_MAX_NAME], chat_template[KD_MAX_NAME];
    kd__store_field fields[KD__MAX_FIELDS];
    int32_t field_count;
    int64_t token_count;
} kd__store_header;

typedef struct kd__record_header {
    uint32_t type, view, first, positions, parts, body_crc;
    uint64_t size, key[2];
} kd__record_header;

typedef struct kd__entry {
    uint64_t key[2];
    int64_t offset, size;
    int64_t view, first, positions;
    int32_t shard;
    atomic_uchar state; /* 0 unseen, 1 good, 2 bad */
} kd__entry;

/* A part of a record, for reading. */
typedef struct kd__part {
    const uint8_t *data;    /* behind the presence bits */
    const uint8_t *present; /* bits, or NULL */
    int64_t size;
} kd__part;

/* ---- numbers in little-endian order ---- */
static inline void kd__put32(uint8_t *to, uint32_t x)
{
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(x >> 8 * i);
}
static inline void kd__put64(uint8_t *to, uint64_t x)
{
    for (int i = 0; i < 8; i++) to[i] = (uint8_t)(x >> 8 * i);
}
static inline uint32_t kd__get32(const uint8_t *from) { return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24; }
static inline uint64_t kd__get64(const uint8_t *from) { return kd__get32(from) | (uint64_t)kd__get32(from + 4) << 32; }

/* ---- header (header.c) ---- */
kd_status kd__header_write(kd_context *context, const kd_store_options *options, const kd__store_field *fields, int32_t count, kd__text *json);
/* Parses the JSON of `size` bytes; the text is taken over by the header only when this succeeds. */
kd_status kd__header_parse(kd_context *context, kd__store_header *header, char *json, int64_t size, const char *path);
void kd__header_free(kd_context *context, kd__store_header *header);
/* What two headers must share; the message says what differs. */
kd_status kd__header_agree(const kd__store_header *a, const kd__store_header *b, const char *path);
kd_status kd__header_tokens(kd_context *context, const kd__store_header *header, const kd_store_open_options *options, const char *path);
int32_t kd__header_field(const kd__store_header *header, const char *name);
/* The file's first bytes for a header. */
void kd__file_header(uint8_t to[KD__FILE_HEADER], const kd__text *json);
int64_t kd__dense_width(const kd__store_header *header);
/* Numbers that a row of the field has when read. */
int64_t kd__field_width(const kd__store_header *header, const kd__store_field *field);

/* ---- records ---- */
int kd__record_header_read(const uint8_t from[KD__RECORD_HEADER], kd__record_header *header);
void kd__record_header_write(uint8_t to[KD__RECORD_HEADER], const kd__record_header *header);
static inline int64_t kd__align8(int64_t n) { return (n + 7) & ~(int64_t)7; }

/* ---- one file, for reading (shard.c) ---- */
typedef struct kd__shard {
    char *path;
    int file;
    int use_pread;
    int64_t size;       /* of the file when last looked */
    int64_t begin, end; /* of the records: the end of the last whole one */
    int64_t torn, damaged;
    const uint8_t *map;
    int64_t map_size;
    void *old_maps[64];
    int64_t old_sizes[64];
    int32_t old_count;
    int64_t head_offset, head_size; /* 0: none */
    kd__store_header header;
} kd__shard;

/* Called for every committed record in order. */
typedef kd_status kd__record_visit(void *user, const kd__record_header *header, int64_t offset);

kd_status kd__shard_open(kd_context *context, kd__shard *shard, const char *path, int use_pread);
void kd__shard_close(kd_context *context, kd__shard *shard);
/* Visits what is new since the last call (from the index where the file ends with one). */
kd_status kd__shard_scan(kd_context *context, kd__shard *shard, kd__record_visit *visit, void *user);
/* Bytes of the file: from the mapping, or read into `room` (size bytes). */
kd_status kd__shard_bytes(kd__shard *shard, int64_t offset, int64_t size, uint8_t *room, const uint8_t **out);

/* ---- a folder's manifest (manifest.c) ---- */
kd_status kd__manifest_add(kd_context *context, const char *folder, int32_t shard, char **path);
/* Paths of the shards, checked against what is in the folder. */
kd_status kd__manifest_read(kd_context *context, const char *folder, char ***paths, int64_t *count);

struct kd_store {
    kd__object object;
    kd__shard *shards;
    int64_t shard_count, shard_room;
    kd__entry *entries;
    int64_t entry_count, entry_room;
    int64_t *table; /* open addressing: entry + 1 */
    int64_t table_size;
    int64_t replaced;
    kd_store_open_options options;
    pthread_mutex_t lock; /* head, text */
    float *head_plain, *head_rotated;
    int64_t head_width;
    uint8_t *text;
    int64_t text_room;
    kd__curve curve;
};

/* A record's bytes, its checksum looked at the first time. `room`: entry->size bytes, used with pread. */
kd_status kd__store_bytes(kd_store *store, int64_t record, uint8_t *room, const uint8_t **out);
/* A part of a record whose bytes were checked; size 0 and data NULL when it is not there. */
kd_status kd__store_part(kd_store *store, int64_t record, const uint8_t *bytes, int32_t field, kd__part *part);
int64_t kd__store_look_up(const kd_store *store, const uint64_t key[2], int64_t view);

/* Fills all fields of targets: row r is position places[2 r + 1] of record places[2 r] (-1: absent). */
kd_status kd__store_fill(kd_store *store, kd_targets *targets, const int64_t *places);
kd_status kd__read_store(kd_teacher *teacher, kd_batch *batch, kd_targets *targets);

#endif
