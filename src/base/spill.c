/* Files that hold what memory does not. */
#include "base/spill.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/context.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/os.h"

static kd_status failed(const kd__spill *s, const char *doing)
{
    const int error = errno;
    return kd__fail(KD_ERR_IO, "%s: cannot %s: %s", s->path ? s->path : "a scratch file", doing,
                    error ? strerror(error) : "the file is shorter than it was");
}

/* A name that is free is tried until one is. */
static kd_status open_new(kd__spill *s, const char *folder)
{
    char name[64];
    for (int attempt = 0; attempt < 100 && !s->file; attempt++) {
        const unsigned long long number =
            (unsigned long long)atomic_fetch_add(&s->context->temporary, 1);
        snprintf(name, sizeof name, "kdistill-%llx-%llx.tmp", (unsigned long long)time(NULL),
                 number + 0x9e3779b9u * (unsigned)attempt);
        kd__release(s->context, s->path);
        s->path = NULL;
        KD_TRY(kd__path_join(s->context, &s->path, folder, name));
        s->file = kd__os_file(s->path, "w+bx");
        if (!s->file && errno != EEXIST) return failed(s, "open");
    }
    return s->file ? KD_OK : failed(s, "open");
}

kd_status kd__spill_open(kd__spill *s, kd_context *context, const char *folder, int64_t buffer)
{
    *s = (kd__spill){ .context = context };
    kd_status status = KD_NEW(context, &s->buffer, buffer);
    if (status == KD_OK) status = open_new(s, folder);
    if (status == KD_OK) setvbuf(s->file, s->buffer, _IOFBF, (size_t)buffer);
    else kd__spill_free(s);
    return status;
}

void kd__spill_free(kd__spill *s)
{
    if (s->file) {
        fclose(s->file);
        kd__os_remove(s->path);
    }
    if (s->context) {
        kd__release(s->context, s->path);
        kd__release(s->context, s->buffer);
    }
    *s = (kd__spill){ 0 };
}

kd_status kd__spill_write(kd__spill *s, const void *bytes, int64_t size)
{
    errno = 0;
    if (fwrite(bytes, 1, (size_t)size, s->file) != (size_t)size) return failed(s, "write");
    s->size += size;
    return KD_OK;
}

kd_status kd__spill_seek(kd__spill *s, int64_t offset)
{
    errno = 0;
    return kd__os_seek(s->file, offset) ? failed(s, "seek") : KD_OK;
}

kd_status kd__spill_read(kd__spill *s, void *to, int64_t size)
{
    errno = 0;
    return fread(to, 1, (size_t)size, s->file) != (size_t)size ? failed(s, "read") : KD_OK;
}
