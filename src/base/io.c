/* Whole reads and writes: the system may do a part, or be interrupted. */
#include "base/io.h"

#include <errno.h>

#include "base/os.h"

enum { FROM_POSITION = -1 };

static int read_from(int file, char *to, int64_t size, int64_t offset, int64_t *got)
{
    *got = 0;
    while (*got < size) {
        const int64_t left = size - *got;
        const int64_t n = offset == FROM_POSITION
                              ? kd__os_read(file, to + *got, left)
                              : kd__os_read_at(file, to + *got, left, offset + *got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (n == 0) return 0;
        *got += n;
    }
    return 0;
}

int kd__read_all(int file, void *to, int64_t size, int64_t *got)
{
    return read_from(file, to, size, FROM_POSITION, got);
}

int kd__read_all_at(int file, void *to, int64_t size, int64_t offset, int64_t *got)
{
    return read_from(file, to, size, offset, got);
}

int kd__write_all(int file, const void *bytes, int64_t size)
{
    for (int64_t done = 0; done < size;) {
        const int64_t n = kd__os_write(file, (const char *)bytes + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = EIO;
        if (n <= 0) return -1;
        done += n;
    }
    return 0;
}
