/* A writer's insides. */
#ifndef KD_STORE_WRITER_H
#define KD_STORE_WRITER_H

#include "store/store.h"

typedef struct kd__index_entry {
    uint64_t key[2];
    uint32_t view, first, positions;
    int64_t offset, size;
} kd__index_entry;

struct kd_store_writer {
    kd__object object;
    char *path;
    int file, sync;
    int dirty;    /* bytes may lie behind `end` */
    int64_t end;  /* of the last committed record */
    int64_t head; /* offset of the head's record; 0: none */
    int64_t vocabulary, padded;
    double temperature, temperatures[KD__MAX_TEMPERATURES];
    int32_t temperature_count, align;
    uint64_t seed;
    kd__store_field fields[KD__MAX_FIELDS];
    int32_t field_count;
    /* the record that is put together */
    int open;
    kd__record_header header;
    kd__text record; /* the parts behind each other, each padded to 8 bytes */
    int32_t parts[KD__MAX_FIELDS], part_count;
    int64_t part_sizes[KD__MAX_FIELDS];
    uint32_t part_flags[KD__MAX_FIELDS];
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

/* A record's parts as they lie in another store of the same header, committed. */
kd_status kd__writer_copy(kd_store_writer *writer, const uint8_t *record, int64_t size);
/* A writer of a new file with this header. */
kd_status kd__writer_like(kd_store_writer **out, kd_context *context, const char *path, const kd__store_header *header);

#define KD__PART_PRESENCE 1U /* the part begins with a bit a position: 1 is there */

#endif
