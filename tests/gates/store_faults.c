/* Writing a store with every system call failing in turn, and with a disk that is full after every
 * number of bytes: what was committed is there, and the writer goes on once the fault is over. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "storekit.h"

static long calls, fail_at = -1, room = -1; /* room: bytes that the disk still takes; -1: enough */
static int fail_with;

static int fails(void)
{
    if (calls++ != fail_at) return 0;
    errno = fail_with;
    return 1;
}

ssize_t __real_write(int, const void *, size_t);
ssize_t __wrap_write(int, const void *, size_t);
ssize_t __wrap_write(int file, const void *bytes, size_t size)
{
    if (fails()) return -1;
    if (room < 0) return __real_write(file, bytes, size);
    if (room == 0) {
        errno = ENOSPC;
        return -1;
    }
    if ((size_t)room < size) size = (size_t)room;
    room -= (long)size;
    return __real_write(file, bytes, size);
}

#define WRAPPED(type, name, parameters, arguments)                                                 \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters { return fails() ? -1 : __real_##name arguments; }

WRAPPED(int, fsync, (int file), (file))
WRAPPED(int, ftruncate, (int file, off_t size), (file, size))
WRAPPED(ssize_t, pread, (int file, void *to, size_t size, off_t at), (file, to, size, at))

static int lock_error; /* 0: locks work */
int __real_flock(int, int);
int __wrap_flock(int, int);
int __wrap_flock(int file, int operation)
{
    if (!lock_error) return __real_flock(file, operation);
    errno = lock_error;
    return -1;
}

int __real_open(const char *, int, ...);
int __wrap_open(const char *, int, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int mode = va_arg(arguments, int);
    va_end(arguments);
    return fails() ? -1 : __real_open(path, flags, mode);
}

enum { RECORDS = 4 };

/* Writes until something fails; the number of commits that returned. `status`: of the first
 * failure. */
static int64_t write_some(kd_context *ctx, kit *k, const char *path, kd_status *status)
{
    kd_store_writer *w;
    int64_t done = 0;
    *status = kit_writer(&w, ctx, path, 1, KD_SYNC_COMMIT);
    if (*status != KD_OK) return 0;
    while (done < RECORDS && (*status = kit_add(k, w, done)) == KD_OK) done++;
    if (*status == KD_OK) *status = kd_store_writer_close(w);
    else { /* the fault is over: the same writer goes on */ fail_at = room = -1;
        for (int64_t i = done; i < RECORDS; i++)
            if (kit_add(k, w, i) != KD_OK) done = -1000;
        if (kd_store_writer_close(w) != KD_OK) done = -1000;
        done = done < 0 ? done : RECORDS;
    }
    kd_store_writer_free(w);
    return done;
}

/* A file system without locks takes a store; a lock that another holds does not; any other error is
 * told as it is. */
static int try_locks(kd_context *ctx, kit *k, const char *path)
{
    static const struct {
        int error;
        kd_status status;
        const char *says;
    } tries[] = { { ENOLCK, KD_OK, "" },
                  { ENOSYS, KD_OK, "" },
                  { EOPNOTSUPP, KD_OK, "" },
                  { 524, KD_OK, "" },
                  { EWOULDBLOCK, KD_ERR_STATE, "elsewhere" },
                  { EIO, KD_ERR_IO, "cannot lock" } };
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        kd_status status;
        unlink(path);
        lock_error = tries[i].error;
        const int64_t done = write_some(ctx, k, path, &status);
        lock_error = 0;
        if (status != tries[i].status || (status == KD_OK && done != RECORDS) ||
            (status != KD_OK && !strstr(kd_last_error(), tries[i].says)))
            return printf("flock fails with %d: status %d: %s\n", tries[i].error, status,
                          kd_last_error());
    }
    return 0;
}

/* A shard of a folder, and its name in the manifest: the same errors, the same outcomes, and no
 * manifest of a shard that was refused. */
static int try_manifest_locks(kd_context *ctx, const char *folder)
{
    static const struct {
        int error;
        kd_status status;
        const char *says;
    } tries[] = { { EIO, KD_ERR_IO, "cannot lock" },
                  { EWOULDBLOCK, KD_ERR_STATE, "is open for writing elsewhere" },
                  { ENOLCK, KD_OK, "" },
                  { ENOSYS, KD_OK, "" },
                  { EOPNOTSUPP, KD_OK, "" },
                  { 524, KD_OK, "" } };
    kd_store_options o = KD_STORE_OPTIONS_INIT;
    kd_store_field f = KD_STORE_FIELD_INIT;
    char manifest[700], shard[700];
    snprintf(manifest, sizeof manifest, "%s/manifest.json", folder);
    unlink(manifest);
    o.vocabulary = 10;
    f.kind = KD_STORE_TOPK;
    f.name = "logits";
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        kd_store_writer *w = NULL;
        const int before = access(manifest, F_OK) == 0;
        o.shard = (int32_t)i;
        snprintf(shard, sizeof shard, "%s/shard-%05d.kdt", folder, (int)i);
        unlink(shard);
        lock_error = tries[i].error;
        kd_status status = kd_store_writer_create(&w, ctx, folder, &o, &f, 1);
        lock_error = 0;
        const int told = status == KD_OK || strstr(kd_last_error(), tries[i].says) != NULL;
        if (status != tries[i].status || !told ||
            (access(manifest, F_OK) == 0) != (before || status == KD_OK))
            return printf("the manifest's flock fails with %d: status %d: %s\n", tries[i].error,
                          status, kd_last_error());
        if (w && kd_store_writer_close(w) != KD_OK)
            return printf("shard %d: %s\n", (int)i, kd_last_error());
        kd_store_writer_free(w);
    }
    return 0;
}

int main(int argc, char **argv)
{
    char path[600], folder[600];
    kd_context *ctx;
    kd_status status;
    kit k;
    const int errors[] = { ENOSPC, EIO, EACCES };
    long refused = 0, cuts = 0;
    snprintf(path, sizeof path, "%s/faulty.kdt", argc > 1 ? argv[1] : "/tmp");
    if (kd_context_create(&ctx, NULL) || kit_make(&k, ctx)) return 2;
    unlink(path);
    calls = 0;
    if (write_some(ctx, &k, path, &status) != RECORDS || status != KD_OK)
        return printf("without faults: %s\n", kd_last_error());
    const long all = calls;
    snprintf(folder, sizeof folder, "%s/faulty", argc > 1 ? argv[1] : "/tmp");
    if (try_locks(ctx, &k, path) || try_manifest_locks(ctx, folder)) return 1;
    unlink(path);
    if (write_some(ctx, &k, path, &status) != RECORDS) return 1;
    int file = open(path, O_RDONLY);
    const long size = (long)lseek(file, 0, SEEK_END);
    close(file);
    for (int e = 0; e < 3; e++)
        for (long at = 0; at < all; at++) {
            unlink(path);
            calls = 0;
            fail_at = at;
            fail_with = errors[e];
            const int64_t done = write_some(ctx, &k, path, &status);
            fail_at = -1;
            refused += status != KD_OK;
            if (status != KD_OK && status != KD_ERR_IO)
                return printf("call %ld: status %d: %s\n", at, status, kd_last_error());
            if (done < 0)
                return printf("call %ld (errno %d): the writer did not go on: %s\n", at, errors[e],
                              kd_last_error());
            if (done && kit_check(ctx, path) != RECORDS)
                return printf("call %ld (errno %d): records are missing\n", at, errors[e]);
        }
    for (long bytes = 0; bytes < size; bytes++, cuts++) { /* the disk is full after so many bytes */
        unlink(path);
        room = bytes;
        const int64_t done = write_some(ctx, &k, path, &status);
        room = -1;
        if (status != KD_ERR_IO || done < 0)
            return printf("disk full after %ld bytes: status %d, %s\n", bytes, status,
                          kd_last_error());
        if (done && kit_check(ctx, path) != RECORDS)
            return printf("disk full after %ld bytes: records are missing\n", bytes);
    }
    kit_free(&k);
    kd_context_free(ctx);
    printf("store: %ld system calls failed in turn, three ways (%ld refusals), and a disk full "
           "after each of %ld bytes: nothing lost\n",
           all, refused, cuts);
    return refused < all;
}
