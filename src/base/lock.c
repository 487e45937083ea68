/* Locks of files. Lustre without its flock option, some NFS and others have none: that is no reason
 * to refuse a write. */
#include <errno.h>
#include <string.h>
#include <sys/file.h>

#include "base/file.h"
#include "base/log.h"

#define ENOTSUPP 524 /* of the Linux kernel, which lets it out of some file systems */

static int has_no_locks(int code)
{
    return code == ENOLCK || code == ENOSYS || code == EOPNOTSUPP || code == ENOTSUP ||
           code == ENOTSUPP;
}

kd_status kd__file_lock(kd_context *context, int file, int wait, const char *path)
{
    int failed;
    do failed = flock(file, LOCK_EX | (wait ? 0 : LOCK_NB));
    while (failed && errno == EINTR);
    if (!failed) return KD_OK;
    const int code = errno;
    KD_FAIL_IF(code == EWOULDBLOCK, KD_ERR_STATE,
               "%s is open for writing elsewhere: close it there first", path);
    KD_FAIL_IF(!has_no_locks(code), KD_ERR_IO, "%s: cannot lock: %s", path, strerror(code));
    kd__log(context, KD_LOG_WARNING,
            "%s: the file system has no locks (%s): nothing keeps a second writer away", path,
            strerror(code));
    return KD_OK;
}
