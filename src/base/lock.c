/* Locks of files. Some file systems have none: that is no reason to refuse a write. */
#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/os.h"

kd_status kd__file_lock(kd_context *context, int file, int wait, const char *path)
{
    const int found = kd__os_lock(file, wait), code = errno;
    if (found == KD__OS_LOCKED) return KD_OK;
    KD_FAIL_IF(found == KD__OS_ELSEWHERE, KD_ERR_STATE,
               "%s is open for writing elsewhere: close it there first", path);
    KD_FAIL_IF(found != KD__OS_NO_LOCKS, KD_ERR_IO, "%s: cannot lock: %s", path, strerror(code));
    kd__log(context, KD_LOG_WARNING,
            "%s: the file system has no locks (%s): nothing keeps a second writer away", path,
            strerror(code));
    return KD_OK;
}
