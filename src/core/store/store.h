/* Insides of stores: the file's layout, writers and readers. docs/store-format.md describes every
 * byte. */
#ifndef KD_STORE_STORE_H
#define KD_STORE_STORE_H

#include <kdistill/store.h>
#include <pthread.h>

#include "base/object.h"
#include "base/table.h"
#include "base/text.h"
#include "core/store/codec.h"
#include "core/teacher/teacher.h"

#define KD__STORE_MAGIC "KDSTORE\n"
#define KD__STORE_VERSION 1
#define KD__FILE_HEADER 64
#define KD__RECORD_MAGIC 0x4352444bU /* "KDRC" */
#define KD__RECORD_HEADER 64
#define KD__INDEX_ENTRY 56
#define KD__FOOTER 16
#define KD__FOOTER_MAGIC 0x5849444bU /* "KDIX" */
#define KD__MAX_FIELDS 32
#define KD__MAX_PARTS (KD__MAX_FIELDS + 1)
#define KD__MOST_WIDTH (1 << 24)   /* of a field, and of its projection */
#define KD__MOST_BYTES (1LL << 40) /* of a budget a position */
#define KD__LONGEST_UNSEEN 65536   /* positions that a record may claim beyond a bit each */
#define KD__MOST_HALF 65520.0f     /* what rounds to 65504 at most */
#define KD__MOST_BFLOAT16 3.3961e38f
#define KD__BLOCK 16 /* positions that share an entry of a top-k directory */
#define KD__MAX_HEADER (64 << 20)

enum { KD__RECORD_SAMPLE, KD__RECORD_HEAD, KD__RECORD_INDEX, KD__RECORD_ORIGIN };
#define KD__PART_SAMPLE (-1) /* in place of a field's number: of what tokens the record was made */
#define KD__CHECK_REACH 3    /* tokens in front of a position that its check covers */

typedef struct kd__store_field {
    int32_t kind, encoding, bits;
    char name[KD_NAME_BYTES], source[KD_NAME_BYTES];
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
    char tokenizer[KD_NAME_BYTES], chat_template[KD_NAME_BYTES];
    int32_t checked; /* records that lack a sample's part end where their sample does */
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

/* What a record says of the tokens that it was made of. */
typedef struct kd__sample {
    int32_t known, hashed;  /* the part is there; with checksums */
    int64_t tokens;         /* of the sample; 0: not known */
    uint32_t whole, before; /* checksums of all of them, and of those in front of `from` */
    int64_t from, check_count;
    const uint8_t *checks; /* of positions from `from` on */
} kd__sample;

/* ---- header (header.c) ---- */
kd_status kd__header_write(const kd_store_options *options, const kd__store_field *fields,
                           int32_t count, kd__text *json);
/* Parses the JSON of `size` bytes; the text is taken over by the header only when this succeeds. */
kd_status kd__header_parse(kd_context *context, kd__store_header *header, char *json, int64_t size,
                           const char *path);
void kd__header_free(kd_context *context, kd__store_header *header);
/* What two headers must share; the message says what differs. */
kd_status kd__header_agree(const kd__store_header *a, const kd__store_header *b, const char *path);
kd_status kd__header_tokens(kd_context *context, const kd__store_header *header,
                            const kd_store_open_options *options, const char *path);
int32_t kd__header_field(const kd__store_header *header, const char *name);
/* Is a kind one entry a position; has a store such fields? Else nothing in it depends on tokens. */
int kd__kind_is_of_rows(int32_t kind);
int kd__header_has_rows(const kd__store_header *header);
/* The file's first bytes for a header. */
void kd__file_header(uint8_t to[KD__FILE_HEADER], const kd__text *json);
int64_t kd__dense_width(const kd__store_header *header);
/* Numbers that a row of the field has when read. */
int64_t kd__field_width(const kd__store_header *header, const kd__store_field *field);

/* ---- bounds, the writer's and the reader's (bounds.c) ---- */
kd_status kd__bounds_field(const kd__store_field *field, int64_t vocabulary, kd_status code,
                           const char *where);
kd_status kd__bounds_vocabulary(int64_t vocabulary, int64_t padded, kd_status code,
                                const char *where);
kd_status kd__bounds_temperature(double temperature, kd_status code, const char *where);
/* Are there not too many positions for a record of so many bytes? */
int kd__positions_fit(int64_t positions, int64_t record_bytes);
/* Entries of a sparse row that is there: 1 to the vocabulary, whatever the field's k or draws. */
int kd__entries_fit(int64_t entries, int64_t vocabulary);
/* Is this the size of a field's part without presence bits? */
int kd__part_size_fits(const kd__store_header *header, const kd__store_field *field,
                       int64_t positions, int64_t size);
/* Numbers of a row as they are encoded: finite (dense: or -infinity), and within what the encoding
 * gives back. */
kd_status kd__bounds_row(const kd__store_field *field, const float *x, int64_t n, int64_t row);

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
    const void *old_maps[64];
    int64_t old_sizes[64];
    int32_t old_count;
    int32_t other; /* 1: of another part of the store: its head is looked for, no records */
    int64_t head_offset, head_size; /* 0: none */
    kd__store_header header;
} kd__shard;

/* Called for every committed record in order. */
typedef kd_status kd__record_visit(void *user, const kd__record_header *header, int64_t offset);

kd_status kd__shard_open(kd_context *context, kd__shard *shard, const char *path, int use_pread);
void kd__shard_close(kd_context *context, kd__shard *shard);
/* Takes what a record of origin says into the header (origin.c). */
kd_status kd__shard_origin(kd_context *context, kd__shard *shard);
/* Visits what is new since the last call (from the index where the file ends with one). */
kd_status kd__shard_scan(kd_context *context, kd__shard *shard, kd__record_visit *visit,
                         void *user);
/* Bytes of the file: from the mapping, or read into `room` (size bytes). */
kd_status kd__shard_bytes(kd__shard *shard, int64_t offset, int64_t size, uint8_t *room,
                          const uint8_t **out);

/* ---- a folder's manifest (manifest.c) ---- */
/* "shard-00012.kdt" -> 12; -1: another file */
int64_t kd__shard_number(const char *name);
/* The path of a shard in a folder, which is made if it is not there. */
kd_status kd__manifest_path(kd_context *context, const char *folder, int64_t shard, char **path);
/* Names a shard that is there; nothing happens where it is named already. */
kd_status kd__manifest_add(kd_context *context, const char *folder, int64_t shard);
kd_status kd__manifest_has(kd_context *context, const char *folder, int64_t shard, int *has);
/* 0: no reader would find anything in that file yet. */
int kd__shard_has_records(kd_context *context, const char *folder, const char *name);
/* Paths of the shards, checked against what is in the folder. */
kd_status kd__manifest_read(kd_context *context, const char *folder, char ***paths, int64_t *count);

struct kd_store {
    kd__object object;
    kd__shard *shards;
    int64_t shard_count, shard_room;
    char **folders; /* whose manifests may name more shards by now */
    int64_t folder_count, folder_room;
    kd__entry *entries;
    int64_t entry_count, entry_room;
    kd__table table; /* of entries, by key and view */
    int64_t replaced;
    kd_store_open_options options;
    pthread_mutex_t lock; /* head, text */
    float *head_plain, *head_rotated;
    int64_t head_width;
    uint8_t *text;
    int64_t text_room;
    kd__curve curve;
    atomic_uchar warned; /* that records cannot be compared with the batch's tokens */
};

/* A record's bytes, its checksum looked at the first time. `room`: entry->size bytes, used with
 * pread. */
kd_status kd__store_bytes(kd_store *store, int64_t record, uint8_t *room, const uint8_t **out);
/* A part of a record whose bytes were checked; size 0 and data NULL when it is not there. */
kd_status kd__store_part(kd_store *store, int64_t record, const uint8_t *bytes, int32_t field,
                         kd__part *part);
int64_t kd__store_look_up(const kd_store *store, const uint64_t key[2], int64_t view);

/* What the record says of its sample; bytes as above. */
kd_status kd__store_sample(kd_store *store, int64_t record, const uint8_t *bytes,
                           kd__sample *sample);
/* 0: the part is not one. `data` NULL: it is not there. */
int kd__sample_read(kd__sample *sample, const uint8_t *data, int64_t size);
/* The position of the first token that is not the record's, or 0 where only the tokens in front of
 * its checks are known to differ; -1: none. positions: of the rows, NULL: 0, 1, 2 ... */
int64_t kd__sample_compare(const kd__sample *sample, const int64_t *tokens,
                           const int64_t *positions, int64_t rows);

/* Where a batch's samples and their rows lie in a store. */
typedef struct kd__places {
    int64_t rows, samples;
    const int64_t *offsets; /* (samples + 1): the rows of each sample */
    const int64_t *records; /* (samples): -1: none */
    const int64_t *of_rows; /* (rows, 2): the sample's record and the position there; -1: absent */
} kd__places;

/* The records' bytes into targets->records: of rows, then of samples; NULL: absent. Then all fields
 * of the targets. */
kd_status kd__store_find(kd_store *store, kd_targets *targets, const kd__places *places);
kd_status kd__store_fill(kd_store *store, kd_targets *targets, const kd__places *places);

#endif
