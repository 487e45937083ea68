/* Saving a model and a checkpoint, with every system call failing in turn (and writes that are cut
 * short): a status and a message, the old file whole, nothing half-written left. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../unit/run.h"

static long calls, fail_at = -1;
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
    if (fails()) {
        if (fail_with != ENOSPC || size < 2) return -1;
        return __real_write(file, bytes, size / 2); /* a short write first: the next call fails */
    }
    return __real_write(file, bytes, size);
}

#define WRAPPED(type, name, parameters, arguments)                                                 \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters { return fails() ? -1 : __real_##name arguments; }

WRAPPED(int, fsync, (int file), (file))
WRAPPED(int, rename, (const char *from, const char *to), (from, to))
WRAPPED(ssize_t, read, (int file, void *to, size_t size), (file, to, size))

int __real_close(int);
int __wrap_close(int);
int __wrap_close(int file)
{
    int failed = fails(), error = errno;
    int result = __real_close(file);
    errno = error;
    return failed ? -1 : result;
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

static int count_files(const char *folder)
{
    int count = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) count += e->d_name[0] != '.';
    if (d) closedir(d);
    return count;
}

static kd_status save_and_load(run_parts *r, const char *checkpoint, const char *folder)
{
    kd_model *model = NULL;
    kd_context *ctx;
    RUN_TRY(kd_checkpoint_save(r->checkpoint, checkpoint));
    RUN_TRY(kd_checkpoint_load(r->checkpoint, checkpoint));
    RUN_TRY(kd_model_save(r->model, folder, NULL));
    RUN_TRY(kd_context_create(&ctx, NULL));
    kd_status status = kd_model_load(&model, ctx, folder, NULL);
    kd_model_free(model);
    kd_context_free(ctx);
    return status;
}

int main(int argc, char **argv)
{
    static run_parts r;
    char place[600], checkpoint[700], folder[700];
    kd_context *ctx;
    const int errors[] = { ENOSPC, EIO, EACCES };
    snprintf(place, sizeof place, "%s/faults", argc > 1 ? argv[1] : "/tmp");
    snprintf(checkpoint, sizeof checkpoint, "%s/run.kdc", place);
    snprintf(folder, sizeof folder, "%s/model", place);
    char command[1400];
    snprintf(command, sizeof command, "rm -rf '%s' && mkdir -p '%s'", place, place);
    if (system(command)) return 2;
    if (kd_context_create(&ctx, NULL) || run_make(&r, ctx) || run_steps(&r, 3)) return 2;
    calls = 0;
    if (save_and_load(&r, checkpoint, folder) != KD_OK)
        return printf("without faults: %s\n", kd_last_error());
    const long all = calls;
    int files = count_files(place) + count_files(folder), refused = 0;
    for (int e = 0; e < 3; e++)
        for (long at = 0; at < all; at++) {
            calls = 0;
            fail_at = at;
            fail_with = errors[e];
            kd_status status = save_and_load(&r, checkpoint, folder);
            fail_at = -1;
            refused += status < 0;
            if (status < 0 && status != KD_ERR_IO)
                return printf("call %ld: status %d: %s\n", at, status, kd_last_error());
            if (count_files(place) + count_files(folder) != files)
                return printf("call %ld (errno %d) left a file\n", at, errors[e]);
            if (save_and_load(&r, checkpoint, folder) != KD_OK)
                return printf("after call %ld failed: %s\n", at, kd_last_error());
        }
    run_free(&r);
    kd_context_free(ctx);
    printf("%ld system calls failed in turn, three ways: %d refusals, nothing lost, nothing left\n",
           all, refused);
    return refused < all;
}
