/* Insides of checkpoints: the parts of a run, one file of them, and the folder of several ranks. */
#ifndef KD_CHECKPOINT_PARTS_H
#define KD_CHECKPOINT_PARTS_H

#include <kdistill/checkpoint.h>

#include "base/file.h"
#include "base/object.h"
#include "base/state.h"
#include "core/exchange/exchange.h"
#include "formats/formats.h"

typedef struct kd__saved_part {
    int32_t kind;
    char name[KD_NAME_BYTES];
    void *object;
    int64_t size; /* of bytes */
    int32_t seen; /* in the file that is being read */
} kd__saved_part;

struct kd_checkpoint {
    kd__object object;
    kd_checkpoint_options options;
    kd__saved_part *parts;
    int64_t count, room;
    kd_exchange *exchange; /* of the part that is one; NULL: one file, one rank */
};

/* ---- one file (checkpoint.c) ---- */

kd_status kd__checkpoint_write_file(const kd_checkpoint *checkpoint, const char *path);
/* Reads a file's bytes into all parts; apply 0: only checks. */
kd_status kd__checkpoint_read_bytes(const kd_checkpoint *checkpoint, const char *path,
                                    const char *bytes, int64_t size, int apply);

/* ---- a folder of several ranks (together.c, together_load.c) ---- */

kd_status kd__checkpoint_save_together(kd_checkpoint *checkpoint, const char *path);
kd_status kd__checkpoint_load_together(kd_checkpoint *checkpoint, const char *path);

/* PATH/save-0000012 and, with a name, a file in it: a new text. */
kd_status kd__save_path(kd_context *context, char **out, const char *path, int64_t number,
                        const char *name);
/* The largest number of a save in `path` that is below `below`: `whole` 1: with a manifest; 0 when
 * there is none. */
int64_t kd__save_before(const char *path, int64_t below, int whole);
#define KD__COMMON_NAME "common.kdc"
#define KD__MANIFEST_NAME "manifest.json"
/* "state-00002-of-00004.safetensors" */
void kd__state_name(char name[64], int32_t rank, int32_t ranks);
/* Bytes and CRC-32 of a file. */
kd_status kd__file_sum(const char *path, int64_t *bytes, uint32_t *crc);

/* ---- state by ranges (state_ranges.c) ---- */

/* Writes the pieces that this rank owns: a tensor for each run, "first/3/NAME/32768" for numbers
 * from 32768 on of parameter 3's first moments. */
kd_status kd__ranges_write(const kd_exchange *exchange, const char *path);

/* Ranges of all ranks' files. */
typedef struct kd__range {
    int32_t block, parameter;
    int64_t first, count;
    const float *values;
} kd__range;
typedef struct kd__ranges {
    kd_context *context;
    kd__safetensors *files;
    int64_t file_count;
    kd__range *items; /* in order of block, parameter, first */
    int64_t count, room;
} kd__ranges;
kd_status kd__ranges_open(kd__ranges *ranges, const kd_optimizer *optimizer,
                          const char *const *paths, int32_t count);
void kd__ranges_close(kd__ranges *ranges);
/* The pieces that this rank has state of; apply 0: only checks that they are there. */
kd_status kd__ranges_read(const kd__ranges *ranges, kd_optimizer *optimizer, int apply);

#endif
