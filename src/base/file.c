/* Files read in pieces, plain or gzip; files written beside their place and moved in. */
#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/context.h"
#include "base/io.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/os.h"
#include "base/text.h"

#ifdef KD_WITH_ZLIB
#include <zlib.h>
#endif

#define PIECE (1 << 16)
#define UNSEEN (1 << 24) /* bytes that a header is believed at a time */

struct kd__input {
    kd_context *context;
    char *path;
    int file;
    int gzip;
    int64_t taken; /* bytes given out */
#ifdef KD_WITH_ZLIB
    z_stream stream;
    int open, ended;
    kd_status fault; /* that the next call tells */
    char message[512];
    unsigned char buffer[PIECE];
#endif
};

static kd_status system_error(const char *doing, const char *path)
{
    int error = errno;
    kd_status status = error == ENOENT || error == ENOTDIR ? KD_ERR_NOT_FOUND
                       : error == ENOMEM                   ? KD_ERR_MEMORY
                                                           : KD_ERR_IO;
    char text[100];
    kd__os_error_text(error, text, sizeof text);
    return kd__fail(status, "%s: %s: %s", path, doing, text);
}

static kd_status read_file(kd__input *input, void *to, int64_t size, int64_t *got)
{
    return kd__read_all(input->file, to, size, got) ? system_error("cannot read", input->path)
                                                    : KD_OK;
}

#ifdef KD_WITH_ZLIB
static void *zlib_allocate(void *user, unsigned count, unsigned size)
{
    void *block = NULL;
    return kd__allocate(user, &block, count, size) == KD_OK ? block : NULL;
}

static void zlib_release(void *user, void *block) { kd__release(user, block); }

static kd_status begin_inflate(kd__input *input)
{
    input->stream.zalloc = zlib_allocate;
    input->stream.zfree = zlib_release;
    input->stream.opaque = input->context;
    KD_FAIL_IF(inflateInit2(&input->stream, 15 + 16) != Z_OK, KD_ERR_MEMORY,
               "%s: out of memory for inflate", input->path);
    input->open = 1;
    return KD_OK;
}

/* More of the file into the buffer; *left 0: the file is through. */
static kd_status refill(kd__input *input, int64_t *left)
{
    *left = input->stream.avail_in;
    if (*left) return KD_OK;
    KD_TRY(read_file(input, input->buffer, PIECE, left));
    input->stream.next_in = input->buffer;
    input->stream.avail_in = (unsigned)*left;
    return KD_OK;
}

/* After a member: the end, zeros that pad it, or another member. RFC 1952 (2.2): a file is a series
 * of members. */
static kd_status next_member(kd__input *input)
{
    int64_t left;
    for (;;) {
        KD_TRY(refill(input, &left));
        input->ended = !left;
        if (!left) return KD_OK;
        if (*input->stream.next_in) break;
        input->stream.next_in++;
        input->stream.avail_in--;
    }
    KD_FAIL_IF(*input->stream.next_in != 0x1f, KD_ERR_FORMAT,
               "%s: expected the end of the file after the gzip data, got bytes that are not gzip",
               input->path);
    KD_FAIL_IF(inflateReset(&input->stream) != Z_OK, KD_ERR_MEMORY, "%s: out of memory for inflate",
               input->path);
    return KD_OK;
}

static kd_status inflate_some(kd__input *input, char *to, int64_t size, int64_t *got)
{
    const unsigned want = size > PIECE ? PIECE : (unsigned)size;
    int64_t left;
    *got = 0;
    KD_TRY(refill(input, &left));
    KD_FAIL_IF(!left, KD_ERR_FORMAT, "%s: the gzip file is cut short: expected more data",
               input->path);
    input->stream.next_out = (unsigned char *)to;
    input->stream.avail_out = want;
    const int code = inflate(&input->stream, Z_NO_FLUSH);
    *got = want - input->stream.avail_out;
    KD_FAIL_IF(code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR,
               code == Z_MEM_ERROR ? KD_ERR_MEMORY : KD_ERR_FORMAT,
               "%s: the gzip data are damaged (%s)", input->path,
               input->stream.msg ? input->stream.msg : "inflate failed");
    return code == Z_STREAM_END ? next_member(input) : KD_OK;
}

/* What came before a fault is given out first; the fault is told by the next call, and by each one
 * after it. */
static kd_status read_gzip(kd__input *input, void *to, int64_t size, int64_t *got)
{
    int64_t done = 0, more;
    KD_FAIL_IF(input->fault != KD_OK, input->fault, "%s", input->message);
    while (done < size && !input->ended) {
        const kd_status status = inflate_some(input, (char *)to + done, size - done, &more);
        done += more;
        if (status == KD_OK) continue;
        if (!done) return status;
        input->fault = status;
        snprintf(input->message, sizeof input->message, "%s", kd_last_error());
        break;
    }
    *got = done;
    return KD_OK;
}
#else
static kd_status begin_inflate(kd__input *input)
{
    return kd__fail(KD_ERR_UNSUPPORTED, "%s: gzip files need a build with zlib", input->path);
}

static kd_status read_gzip(kd__input *input, void *to, int64_t size, int64_t *got)
{
    (void)to, (void)size;
    *got = 0;
    return begin_inflate(input);
}
#endif

static kd_status look_at_start(kd__input *input)
{
    unsigned char magic[2];
    int64_t got;
    kd__os_facts facts;
    input->file = kd__os_open(input->path, KD__OS_READ);
    if (input->file < 0) return system_error("cannot open", input->path);
    if (kd__os_look(input->file, &facts)) return system_error("cannot stat", input->path);
    KD_FAIL_IF(facts.kind != KD__OS_FILE, KD_ERR_IO, "%s: expected a regular file, got %s",
               input->path, facts.kind == KD__OS_FOLDER ? "a folder" : "a device or a pipe");
    KD_TRY(read_file(input, magic, 2, &got));
    if (kd__os_rewind(input->file)) return system_error("cannot seek", input->path);
    input->gzip = got == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
    return input->gzip ? begin_inflate(input) : KD_OK;
}

kd_status kd__input_open(kd__input **out, kd_context *context, const char *path)
{
    kd__input *input = NULL;
    KD_TRY(kd__name_given(path, "path"));
    KD_TRY(KD_NEW(context, &input, 1));
    input->context = context;
    input->file = -1;
    kd_status status = kd__copy_text(context, &input->path, path);
    if (status == KD_OK) status = look_at_start(input);
    if (status != KD_OK) {
        kd__input_close(input);
        return status;
    }
    *out = input;
    return KD_OK;
}

void kd__input_close(kd__input *input)
{
    if (!input) return;
#ifdef KD_WITH_ZLIB
    if (input->open) inflateEnd(&input->stream);
#endif
    if (input->file >= 0) kd__os_close(input->file);
    kd__release(input->context, input->path);
    kd__release(input->context, input);
}

kd_status kd__input_read_some(kd__input *input, void *to, int64_t size, int64_t *got)
{
    KD_TRY(input->gzip ? read_gzip(input, to, size, got) : read_file(input, to, size, got));
    input->taken += *got;
    return KD_OK;
}

kd_status kd__input_read(kd__input *input, void *to, int64_t size, const char *what)
{
    int64_t got;
    int64_t none;
    KD_TRY(kd__input_read_some(input, to, size, &got));
    /* a fault is told by its own name */
    if (got < size) KD_TRY(kd__input_read_some(input, (char *)to + got, size - got, &none));
    KD_FAIL_IF(got < size, KD_ERR_FORMAT, "%s: %s: expected %lld bytes, the file ends after %lld",
               input->path, what, (long long)size, (long long)got);
    return KD_OK;
}

int64_t kd__input_left(kd__input *input)
{
    kd__os_facts facts;
    if (input->gzip || kd__os_look(input->file, &facts)) return -1;
    return facts.size - input->taken;
}

kd_status kd__input_read_block(kd__input *input, void **out, int64_t size, const char *what)
{
    char *block = NULL;
    int64_t room = 0, done = 0, left = kd__input_left(input);
    kd_status status = KD_OK;
    KD_FAIL_IF(left >= 0 && size > left, KD_ERR_FORMAT,
               "%s: %s: expected %lld bytes, the file has %lld left", input->path, what,
               (long long)size, (long long)left);
    while (status == KD_OK && (done < size || !block)) {
        const int64_t want = left >= 0 ? size : kd__min(size, done + UNSEEN);
        status = KD_RESERVE(input->context, &block, &room, want + 1);
        if (status == KD_OK) status = kd__input_read(input, block + done, want - done, what);
        done = want;
    }
    if (status != KD_OK) {
        kd__release(input->context, block);
        return status;
    }
    *out = block;
    return KD_OK;
}

void kd__input_release(kd__input *input, void *block) { kd__release(input->context, block); }

static kd_status read_all(kd__input *input, int64_t limit, char **out, int64_t *size)
{
    int64_t room = 0, done = 0, got = 1;
    char *block = NULL;
    kd_status status = KD_OK;
    while (status == KD_OK && got > 0) {
        status = KD_RESERVE(input->context, &block, &room, done + PIECE + 1);
        if (status == KD_OK)
            status = kd__input_read_some(input, block + done, room - 1 - done, &got);
        if (status == KD_OK) done += got;
        if (status == KD_OK && done > limit)
            status = kd__fail(KD_ERR_FORMAT, "%s: expected at most %lld bytes, the file has more",
                              input->path, (long long)limit);
    }
    if (status != KD_OK) {
        kd__release(input->context, block);
        return status;
    }
    block[done] = 0;
    *out = block;
    *size = done;
    return KD_OK;
}

kd_status kd__file_read(kd_context *context, const char *path, int64_t limit, char **out,
                        int64_t *size)
{
    kd__input *input = NULL;
    KD_TRY(kd__input_open(&input, context, path));
    kd_status status = read_all(input, limit, out, size);
    kd__input_close(input);
    return status;
}

/* ---- writing ---- */

kd_status kd__output_open(kd__output *output, kd_context *context, const char *path, int sync)
{
    *output = (kd__output){ .context = context, .path = path, .file = -1, .sync = sync };
    KD_TRY(kd__name_given(path, "path"));
    size_t room = strlen(path) + 64;
    KD_TRY(kd__allocate(context, (void **)&output->temporary, (int64_t)room, 1));
    for (int attempt = 0; attempt < 100 && output->file < 0; attempt++) {
        unsigned long long number = (unsigned long long)atomic_fetch_add(&context->temporary, 1);
        snprintf(output->temporary, room, "%s.%lld.%llu.tmp", path, (long long)kd__os_process(),
                 number);
        output->file = kd__os_open(output->temporary, KD__OS_NEW);
        if (output->file < 0 && errno != EEXIST) return system_error("cannot write", path);
    }
    return output->file < 0 ? system_error("cannot write", path) : KD_OK;
}

kd_status kd__output_write(kd__output *output, const void *bytes, int64_t size)
{
    const int failed = kd__write_all(output->file, bytes, size);
    return failed ? system_error("cannot write", output->path) : KD_OK;
}

kd_status kd__output_commit(kd__output *output)
{
    if (output->sync && kd__os_sync(output->file)) return system_error("cannot sync", output->path);
    int closed = kd__os_close(output->file);
    output->file = -1;
    if (closed != 0) return system_error("cannot close", output->path);
    if (kd__os_replace(output->temporary, output->path))
        return system_error("cannot move the file into its place", output->path);
    kd__release(output->context, output->temporary);
    output->temporary = NULL;
    if (output->sync && kd__os_sync_folder_of(output->path))
        return system_error("cannot sync the folder", output->path);
    return KD_OK;
}

void kd__output_abandon(kd__output *output)
{
    if (output->file >= 0) kd__os_close(output->file);
    if (output->temporary) kd__os_remove(output->temporary);
    kd__release(output->context, output->temporary);
    output->temporary = NULL;
    output->file = -1;
}

kd_status kd__file_replace(kd_context *context, const char *path, const void *bytes, int64_t size)
{
    kd__output output;
    kd_status status = kd__output_open(&output, context, path, 1);
    if (status == KD_OK) status = kd__output_write(&output, bytes, size);
    if (status == KD_OK) status = kd__output_commit(&output);
    if (status != KD_OK) kd__output_abandon(&output);
    return status;
}

kd_status kd__folder_make(const char *path)
{
    KD_TRY(kd__name_given(path, "path"));
    if (kd__os_make_folder(path) == 0) return KD_OK;
    if (errno != EEXIST) return system_error("cannot make the folder", path);
    KD_FAIL_IF(!kd__is_folder(path), KD_ERR_IO, "%s: expected a folder, got a file of another kind",
               path);
    return KD_OK;
}

int kd__is_folder(const char *path)
{
    kd__os_facts facts;
    return kd__os_look_at(path, &facts) == 0 && facts.kind == KD__OS_FOLDER;
}

int kd__same_file(const char *a, const char *b)
{
    kd__os_facts x, y;
    return kd__os_look_at(a, &x) == 0 && kd__os_look_at(b, &y) == 0 && x.device == y.device &&
           x.number == y.number;
}

kd_status kd__path_join(kd_context *context, char **out, const char *folder, const char *name)
{
    char *path = NULL;
    KD_TRY(kd__name_given(folder, "folder"));
    size_t room = strlen(folder) + strlen(name) + 2;
    KD_TRY(kd__allocate(context, (void **)&path, (int64_t)room, 1));
    snprintf(path, room, "%s/%s", folder, name);
    *out = path;
    return KD_OK;
}

/* ---- maps and copies ---- */

kd_status kd__file_map(kd__map *map, const char *path)
{
    kd__os_facts facts = { 0 };
    const int file = kd__os_open(path, KD__OS_READ);
    *map = (kd__map){ 0 };
    if (file < 0)
        return kd__fail(errno == ENOENT ? KD_ERR_NOT_FOUND : KD_ERR_IO, "cannot open %s: %s", path,
                        strerror(errno));
    const void *bytes = NULL;
    if (kd__os_look(file, &facts) == 0 && facts.kind == KD__OS_FILE && facts.size > 0)
        bytes = kd__os_map(file, facts.size);
    kd__os_close(file);
    KD_FAIL_IF(!bytes, facts.size ? KD_ERR_IO : KD_ERR_FORMAT, "%s: %s", path,
               facts.size ? "cannot be mapped" : "the file is empty");
    *map = (kd__map){ bytes, facts.size };
    return KD_OK;
}

void kd__file_unmap(kd__map *map)
{
    if (map->bytes) kd__os_unmap(map->bytes, map->size);
    *map = (kd__map){ 0 };
}

kd_status kd__file_copy(kd_context *context, const char *from, const char *to, int *there)
{
    char *bytes = NULL;
    int64_t size;
    kd_status status = kd__file_read(context, from, (int64_t)1 << 30, &bytes, &size);
    *there = status == KD_OK;
    if (status == KD_ERR_NOT_FOUND) return KD_OK;
    if (status == KD_OK) status = kd__file_replace(context, to, bytes, size);
    kd__release(context, bytes);
    return status;
}
