/* Claims: files that are made where none is, which file systems do for one worker alone, NFS 3 and
 * later among them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/os.h"
#include "course/answers/answers.h"

static int64_t now(void) { return (int64_t)time(NULL); }

static kd_status tell(kd__claim *c, FILE *file)
{
    char text[32];
    c->told = now();
    const int size = snprintf(text, sizeof text, "%lld\n", (long long)c->told);
    if (!file) return kd__file_replace(c->context, c->path, text, size);
    const int failed = fwrite(text, 1, (size_t)size, file) != (size_t)size;
    KD_FAIL_IF(fclose(file) || failed, KD_ERR_IO, "%s: cannot write: %s", c->path, strerror(errno));
    return KD_OK;
}

/* A claim that says nothing was made by a worker that was killed in that moment, or is in it: then
 * both do the same work. */
static kd_status is_fresh(kd__claim *c, int *fresh)
{
    char *text = NULL;
    int64_t size;
    long long told = 0;
    const kd_status status = kd__file_read(c->context, c->path, 4096, &text, &size);
    *fresh = 0;
    if (status == KD_ERR_NOT_FOUND) return KD_OK; /* it went in between: its work is done */
    KD_TRY(status);
    const double age = sscanf(text, "%lld", &told) == 1 ? (double)(now() - told) : c->lease + 1;
    *fresh = age <= c->lease;
    kd__release(c->context, text);
    return KD_OK;
}

kd_status kd__claim_take(kd__claim *c, kd_context *context, const char *path, double lease,
                         int *mine)
{
    int fresh;
    *c = (kd__claim){ .context = context, .lease = lease };
    *mine = 0;
    KD_TRY(kd__copy_text(context, &c->path, path));
    FILE *file = kd__os_file(path, "wbx");
    if (!file && errno != EEXIST)
        return kd__fail(KD_ERR_IO, "%s: cannot make it: %s", path, strerror(errno));
    if (!file) {
        KD_TRY(is_fresh(c, &fresh));
        if (fresh) return KD_OK;
    }
    KD_TRY(tell(c, file));
    *mine = 1;
    return KD_OK;
}

kd_status kd__claim_renew(kd__claim *c)
{
    return (double)(now() - c->told) > c->lease / 4 ? tell(c, NULL) : KD_OK;
}

void kd__claim_drop(kd__claim *c)
{
    if (c->path) kd__os_remove(c->path);
    kd__release(c->context, c->path);
    c->path = NULL;
}
