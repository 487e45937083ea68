#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef KD_WITH_ZLIB
#include <zlib.h>
#endif

#define PIECE (1 << 16)

struct kd__input {
    kd_context *context;
    char *path;
    int file;
    int gzip;
    int64_t taken; /* bytes given out */
#ifdef KD_WITH_ZLIB
    z_stream stream;
    int open, ended;
    unsigned char buffer[PIECE];
#endif
};

static kd_status system_error(const char *doing, const char *path)
{
    int error = errno;
    kd_status status = error == ENOENT || error == ENOTDIR ? KD_ERR_NOT_FOUND : error == ENOMEM ? KD_ERR_MEMORY : KD_ERR_IO;
    char text[100];
    if (strerror_r(error, text, sizeof text) != 0) snprintf(text, sizeof text, "error %d", error);
    return kd__fail(status, "%s: %s: %s", path, doing, text);
}

static kd_status read_file(kd__input *input, void *to, int64_t size, int64_t *got)
{
    int64_t done = 0;
    while (done < size) {
        ssize_t n = read(input->file, (char *)to + done, (size_t)(size - done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return system_error("cannot read", input->path);
        if (n == 0) break;
        done += n;
    }
    *got = done;
    return KD_OK;
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
    KD_FAIL_IF(inflateInit2(&input->stream, 15 + 16) != Z_OK, KD_ERR_MEMORY, "%s: out of memory for inflate", input->path);
    input->open = 1;
    return KD_OK;
}

static kd_status refill(kd__input *input)
{
    int64_t got;
    if (input->stream.avail_in) return KD_OK;
    KD_TRY(read_file(input, input->buffer, PIECE, &got));
    KD_FAIL_IF(!got, KD_ERR_FORMAT, "%s: the gzip file is cut short", input->path);
    input->stream.next_in = input->buffer;
    input->stream.avail_in = (unsigned)got;
    return KD_OK;
}

static kd_status read_gzip(kd__input *input, void *to, int64_t size, int64_t *got)
{
    int64_t done = 0;
    while (done < size && !input->ended) {
        unsigned want = size - done > PIECE ? PIECE : (unsigned)(size - done);
        KD_TRY(refill(input));
        input->stream.next_out = (unsigned char *)to + done;
        input->stream.avail_out = want;
        int code = inflate(&input->stream, Z_NO_FLUSH);
        KD_FAIL_IF(code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR, code == Z_MEM_ERROR ? KD_ERR_MEMORY : KD_ERR_FORMAT,
                   "%s: the gzip data are damaged (%s)", input->path, input->stream.msg ? input->stream.msg : "inflate failed");
        done += want - input->stream.avail_out;
        input->ended = code == Z_STREAM_END;
    }
    *got = done;
    return KD_OK;
}
#else
static kd_status begin_inflate(kd__input *input) { return kd__fail(KD_ERR_UNSUPPORTED, "%s: gzip files need a build with zlib", input->path); }

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
    struct stat facts;
    input->file = open(input->path, O_RDONLY | O_CLOEXEC);
    if (input->file < 0) return system_error("cannot open", input->path);
    if (fstat(input->file, &facts) != 0) return system_error("cannot stat", input->path);
    KD_FAIL_IF(!S_ISREG(facts.st_mode), KD_ERR_IO, "%s: not a regular file", input->path);
    KD_TRY(read_file(input, magic, 2, &got));
    if (lseek(input->file, 0, SEEK_SET) != 0) return system_error("cannot seek", input->path);
    input->gzip = got == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
    return input->gzip ? begin_inflate(input) : KD_OK;
}

kd_status kd__input_open(kd__input **out, kd_context *context, const char *path)
{
    kd__input *input = NULL;
    KD_FAIL_IF(!path || !*path, KD_ERR_INVALID, "the path is empty");
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
    if (input->file >= 0) close(input->file);
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
    KD_TRY(kd__input_read_some(input, to, size, &got));
    KD_FAIL_IF(got < size, KD_ERR_FORMAT, "%s: %s: expected %lld bytes, the file ends after %lld", input->path, what, (long long)size,
               (long long)got);
    return KD_OK;
}

int64_t kd__input_left(kd__input *input)
{
    struct stat facts;
    if (input->gzip || fstat(input->file, &facts) != 0) return -1;
    return (int64_t)facts.st_size - input->taken;
}

kd_status kd__input_read_block(kd__input *input, void **out, int64_t size, const char *what)
{
    char *block = NULL;
    int64_t room = 0, done = 0, left = kd__input_left(input);
    kd_status status = KD_OK;
    KD_FAIL_IF(left >= 0 && size > left, KD_ERR_FORMAT, "%s: %s: expected %lld bytes, the file has %lld more", input->path, what, (long long)size,
               (long long)left);
    while (status == KD_OK && (done < size || !block)) {
        int64_t want = left >= 0 ? size : done < (1 << 24) ? (1 << 24) : 2 * done;
        if (want > size) want = size;
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
        status = KD_RESERVE(input->context, &block, &room, done + done / 2 + PIECE + 1);
        if (status == KD_OK) status = kd__input_read_some(input, block + done, room - 1 - done, &got);
        if (status == KD_OK) done += got;
        if (status == KD_OK && done > limit) status = kd__fail(KD_ERR_FORMAT, "%s: larger than %lld bytes", input->path, (long long)limit);
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

kd_status kd__file_read(kd_context *context, const char *path, int64_t limit, char **out, int64_t *size)
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
    KD_FAIL_IF(!path || !*path, KD_ERR_INVALID, "the path is empty");
    size_t room = strlen(path) + 64;
    KD_TRY(kd__allocate(context, (void **)&output->temporary, (int64_t)room, 1));
    for (int attempt = 0; attempt < 100 && output->file < 0; attempt++) {
        unsigned long long number = (unsigned long long)atomic_fetch_add(&context->temporary, 1);
        snprintf(output->temporary, room, "%s.%ld.%llu.tmp", path, (long)getpid(), number);
        output->file = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (output->file < 0 && errno != EEXIST) return system_error("cannot write", path);
    }
    return output->file < 0 ? system_error("cannot write", path) : KD_OK;
}

kd_status kd__output_write(kd__output *output, const void *bytes, int64_t size)
{
    int64_t done = 0;
    while (done < size) {
        ssize_t n = write(output->file, (const char *)bytes + done, (size_t)(size - done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            if (n == 0) errno = EIO;
            return system_error("cannot write", output->path);
        }
        done += n;
    }
    return KD_OK;
}

static kd_status sync_folder(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (length >= sizeof folder) return KD_OK;
    memcpy(folder, path, length);
    folder[length] = 0;
    int file = open(slash ? (length ? folder : "/") : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) return KD_OK; /* a folder that may be written but not read */
    int failed = fsync(file) != 0 && errno != EINVAL;
    close(file);
    return failed ? system_error("cannot sync the folder", path) : KD_OK;
}

kd_status kd__output_commit(kd__output *output)
{
    if (output->sync && fsync(output->file) != 0) return system_error("cannot sync", output->path);
    int closed = close(output->file);
    output->file = -1;
    if (closed != 0) return system_error("cannot close", output->path);
    if (rename(output->temporary, output->path) != 0) return system_error("cannot move the file into its place", output->path);
    kd__release(output->context, output->temporary);
    output->temporary = NULL;
    return output->sync ? sync_folder(output->path) : KD_OK;
}

void kd__output_abandon(kd__output *output)
{
    if (output->file >= 0) close(output->file);
    if (output->temporary) unlink(output->temporary);
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
    struct stat facts;
    KD_FAIL_IF(!path || !*path, KD_ERR_INVALID, "the path is empty");
    if (mkdir(path, 0777) == 0) return KD_OK;
    if (errno != EEXIST) return system_error("cannot make the folder", path);
    KD_FAIL_IF(stat(path, &facts) != 0 || !S_ISDIR(facts.st_mode), KD_ERR_IO, "%s: not a folder", path);
    return KD_OK;
}

int kd__is_folder(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

int kd__same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

kd_status kd__path_join(kd_context *context, char **out, const char *folder, const char *name)
{
    char *path = NULL;
    KD_FAIL_IF(!folder || !*folder, KD_ERR_INVALID, "the folder's path is empty");
    size_t room = strlen(folder) + strlen(name) + 2;
    KD_TRY(kd__allocate(context, (void **)&path, (int64_t)room, 1));
    snprintf(path, room, "%s/%s", folder, name);
    *out = path;
    return KD_OK;
}

/* ---- maps and copies ---- */

kd_status kd__file_map(kd__map *map, const char *path)
{
    struct stat facts = { 0 };
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    *map = (kd__map){ 0 };
    if (file < 0) return kd__fail(errno == ENOENT ? KD_ERR_NOT_FOUND : KD_ERR_IO, "cannot open %s: %s", path, strerror(errno));
    void *bytes = MAP_FAILED;
    if (fstat(file, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size > 0)
        bytes = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    close(file);
    KD_FAIL_IF(bytes == MAP_FAILED, facts.st_size ? KD_ERR_IO : KD_ERR_FORMAT, "%s: %s", path,
               facts.st_size ? "cannot be mapped" : "the file is empty");
    *map = (kd__map){ bytes, (int64_t)facts.st_size };
    return KD_OK;
}

void kd__file_unmap(kd__map *map)
{
    if (map->bytes) munmap((void *)(uintptr_t)map->bytes, (size_t)map->size);
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
