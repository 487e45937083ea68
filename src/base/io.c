/* Whole reads and writes: the system may do a part, or be interrupted. */
#include "base/io.h"

#include <errno.h>
#include <unistd.h>

enum { FROM_POSITION = -1 };

static int read_from(int file, char *to, int64_t size, int64_t offset, int64_t *got)
{
    *got = 0;
    while (*got < size) {
        const size_t left = (size_t)(size - *got);
        const ssize_t n = offset == FROM_POSITION ? read(file, to + *got, left)
                                                  : pread(file, to + *got, left, offset + *got);
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
        const ssize_t n = write(file, (const char *)bytes + done, (size_t)(size - done));
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = EIO;
        if (n <= 0) return -1;
        done += n;
    }
    return 0;
}
