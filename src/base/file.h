/* Files: reading (plain or gzip) in pieces, and writing beside the place and moving in. */
#ifndef KD_BASE_FILE_H
#define KD_BASE_FILE_H

#include <kdistill/context.h>

#include "base/status.h"

/* ---- reading ---- */
typedef struct kd__input kd__input;

/* Opens a file; gzip is told by its first bytes (KD_ERR_UNSUPPORTED in a build without zlib): one
 * member or several, zeros after them allowed, anything else after them KD_ERR_FORMAT. */
kd_status kd__input_open(kd__input **out, kd_context *context, const char *path);
void kd__input_close(kd__input *input);
/* Reads exactly `size` bytes; KD_ERR_FORMAT when the file ends before: "what: expected .. bytes,
 * the file ends after ..". */
kd_status kd__input_read(kd__input *input, void *to, int64_t size, const char *what);
/* Reads up to `size` bytes; *got is less only at the end of the file, or where gzip data are
 * damaged or cut short: the next call tells how. */
kd_status kd__input_read_some(kd__input *input, void *to, int64_t size, int64_t *got);
/* Reads `size` bytes into a new block that grows with what really comes, so that a header that lies
 * costs nothing. */
kd_status kd__input_read_block(kd__input *input, void **out, int64_t size, const char *what);
void kd__input_release(kd__input *input, void *block);
/* Bytes left in a plain file; -1 when that is not known. */
int64_t kd__input_left(kd__input *input);

/* Reads a whole file of at most `limit` bytes; a 0 byte is put behind it. */
kd_status kd__file_read(kd_context *context, const char *path, int64_t limit, char **out,
                        int64_t *size);

/* A plain file's bytes, mapped for reading. An empty file is KD_ERR_FORMAT. */
typedef struct kd__map {
    const char *bytes;
    int64_t size;
} kd__map;
kd_status kd__file_map(kd__map *map, const char *path);
void kd__file_unmap(kd__map *map);
/* KD_OK and *there 0 when there is no such file, else copied beside its place and moved in. */
kd_status kd__file_copy(kd_context *context, const char *from, const char *to, int *there);

/* ---- writing ---- */
typedef struct kd__output {
    kd_context *context;
    const char *path;
    char *temporary;
    int file;
    int sync;
} kd__output;

/* Begins a file beside `path`. After every failure call kd__output_abandon; kd__output_commit moves
 * it into its place. */
kd_status kd__output_open(kd__output *output, kd_context *context, const char *path, int sync);
kd_status kd__output_write(kd__output *output, const void *bytes, int64_t size);
kd_status kd__output_commit(kd__output *output);
void kd__output_abandon(kd__output *output);

/* Writes a whole file that way. */
kd_status kd__file_replace(kd_context *context, const char *path, const void *bytes, int64_t size);
/* Makes a folder if it is not there. */
kd_status kd__folder_make(const char *path);
int kd__is_folder(const char *path);
int kd__same_file(const char *a, const char *b);
/* folder/name in a new block. */
kd_status kd__path_join(kd_context *context, char **out, const char *folder, const char *name);

/* Locks an open file against other writers until it is closed. wait 0: KD_ERR_STATE when another
 * has it. On file systems that have no locks it is a warning, and the file goes on without. */
kd_status kd__file_lock(kd_context *context, int file, int wait, const char *path);

#endif
