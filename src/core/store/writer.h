/* A writer's insides. */
#ifndef KD_STORE_WRITER_H
#define KD_STORE_WRITER_H

#include "core/store/store.h"

#include "base/object.h"

typedef struct kd__index_entry {
    uint64_t key[2];
    uint32_t view, first, positions;
    int64_t offset, size;
} kd__index_entry;

struct kd_store_writer {
    kd__object object;
    char *path;
    char *folder; /* NULL: one file; else of its shards */
    int32_t shard;
    int file, sync;
    int is_new; /* the file was made by this writer */
    int dirty;    /* bytes may lie behind `end` */
    int64_t end;  /* of the last committed record */
    int64_t head; /* offset of the head's record; 0: none */
    int64_t vocabulary, padded;
    double temperature, temperatures[KD__MAX_TEMPERATURES];
    int32_t temperature_count, align;
    int temperatures_default; /* nobody asked for them: rows may lack them */
    uint64_t seed;
    char tokenizer[KD_NAME_BYTES], chat_template[KD_NAME_BYTES]; /* "": not known */
    kd__store_field fields[KD__MAX_FIELDS];
    int32_t field_count;
    /* the record that is put together */
    int open;
    kd__record_header header;
    kd__text record; /* the parts behind each other, each padded to 8 bytes */
    int32_t parts[KD__MAX_PARTS], part_count;
    int64_t part_sizes[KD__MAX_PARTS];
    uint32_t part_flags[KD__MAX_PARTS];
    uint8_t *bytes;
    int64_t bytes_room;
    /* all records, for the index */
    kd__index_entry *index;
    int64_t index_count, index_room;
    float *scratch;
    int64_t scratch_room;
    kd_targets *selected; /* sparse rows made from dense ones */
};

kd_status kd__writer_append(kd_store_writer *writer, const void *bytes, int64_t size);
kd_status kd__writer_field(kd_store_writer *writer, const char *name, int32_t *field);
kd_status kd__writer_end_part(kd_store_writer *writer, int32_t field, int64_t from, uint32_t flags);

/* Bits of presence, 8 positions a byte, padded to 8 bytes; nothing when every row is there. */
kd_status kd__put_presence(kd_store_writer *writer, const uint8_t *present, int64_t rows,
                           uint32_t *flags);
/* `bytes` more bytes of the record, 0; 16 more are there, into which bits may be written ahead. */
kd_status kd__put_room(kd_store_writer *writer, int64_t bytes, uint8_t **to);
void kd__put_floats(uint8_t *to, const float *x, int64_t n, int32_t encoding);
/* A field of the record at hand; when it fails the record is as it was. */
kd_status kd__put_any(kd_store_writer *writer, int32_t field, const kd_array *rows,
                      const uint8_t *present);
/* Dense logits of a head for the record's rows, which begin at row `begin` of the targets: a block
 * of them at a time. */
kd_status kd__put_head(kd_store_writer *writer, int32_t field, const kd_targets *targets,
                       int64_t begin);
kd_status kd__put_sparse(kd_store_writer *writer, int32_t field, const kd__sparse *sparse,
                         int64_t first);

/* Of what sample the record is: `count` tokens from position `first` on (whole: all of the
 * sample's), or NULL and only how many there are. */
kd_status kd__put_sample(kd_store_writer *writer, const int64_t *tokens, int64_t first,
                         int64_t count, int whole);
/* Before a batch's samples: who made it, where the store does not say (origin.c). */
kd_status kd__writer_origin(kd_store_writer *writer, const kd_batch *batch);

/* A record's parts as they lie in another store of the same header, committed. */
kd_status kd__writer_copy(kd_store_writer *writer, const uint8_t *record, int64_t size);
/* A writer of a new file with this header. */
kd_status kd__writer_like(kd_store_writer **out, kd_context *context, const char *path,
                          const kd__store_header *header);

#define KD__PART_PRESENCE 1U /* the part begins with a bit a position: 1 is there */

#endif
