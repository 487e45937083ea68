/* Reads and writes of file descriptors that go on after EINTR and after a part. */
#ifndef KD_BASE_IO_H
#define KD_BASE_IO_H

#include <stdint.h>

/* Reads until `size` bytes are there or the file ends; *got tells how many. -1 with errno when a
 * read failed. */
int kd__read_all(int file, void *to, int64_t size, int64_t *got);
/* The same from an offset on; the file's position stays. */
int kd__read_all_at(int file, void *to, int64_t size, int64_t offset, int64_t *got);
/* Writes all of it. -1 with errno when that failed, whatever part was written. */
int kd__write_all(int file, const void *bytes, int64_t size);

#endif
