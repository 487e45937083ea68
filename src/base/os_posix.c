/* Linux, macOS, FreeBSD and other systems with POSIX.1-2008 (and flock). */
#ifndef _WIN32
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity, memmem */
#endif
#include "base/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- files ---- */

int kd__os_open(const char *path, int how)
{
    static const int flags[] = { [KD__OS_READ] = O_RDONLY,
                                 [KD__OS_NEW] = O_WRONLY | O_CREAT | O_EXCL,
                                 [KD__OS_UPDATE] = O_RDWR | O_CREAT };
    return open(path, flags[how] | O_CLOEXEC, 0666);
}

int kd__os_close(int file) { return close(file); }

int64_t kd__os_read(int file, void *to, int64_t size) { return read(file, to, (size_t)size); }

int64_t kd__os_read_at(int file, void *to, int64_t size, int64_t offset)
{
    return pread(file, to, (size_t)size, (off_t)offset);
}

int64_t kd__os_write(int file, const void *bytes, int64_t size)
{
    return write(file, bytes, (size_t)size);
}

int kd__os_rewind(int file) { return lseek(file, 0, SEEK_SET) == 0 ? 0 : -1; }

int kd__os_cut(int file, int64_t size)
{
    if (ftruncate(file, (off_t)size) != 0) return -1;
    return lseek(file, (off_t)size, SEEK_SET) == (off_t)size ? 0 : -1;
}

int kd__os_sync(int file) { return fsync(file); }

int kd__os_sync_folder_of(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    const size_t length = slash ? (size_t)(slash - path) : 0;
    if (length >= sizeof folder) return 0;
    memcpy(folder, path, length);
    folder[length] = 0;
    const int file =
        open(slash ? (length ? folder : "/") : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) return 0; /* a folder that may be written but not read */
    const int failed = fsync(file) != 0 && errno != EINVAL, code = errno;
    close(file);
    errno = code;
    return failed ? -1 : 0;
}

int kd__os_replace(const char *from, const char *to) { return rename(from, to); }

int kd__os_remove(const char *path) { return remove(path); }

int kd__os_make_folder(const char *path) { return mkdir(path, 0777); }

FILE *kd__os_file(const char *path, const char *mode) { return fopen(path, mode); }

int kd__os_seek(FILE *file, int64_t offset) { return fseeko(file, (off_t)offset, SEEK_SET); }

int kd__os_is_absolute(const char *path) { return path[0] == '/'; }

int kd__os_separates(char c) { return c == '/'; }

char *kd__os_absolute(const char *path) { return realpath(path, NULL); }

static void read_facts(kd__os_facts *facts, const struct stat *s)
{
    *facts = (kd__os_facts){ .size = (int64_t)s->st_size,
                             .kind = S_ISREG(s->st_mode)   ? KD__OS_FILE
                                     : S_ISDIR(s->st_mode) ? KD__OS_FOLDER
                                                           : KD__OS_OTHER,
                             .device = (uint64_t)s->st_dev,
                             .number = (uint64_t)s->st_ino };
}

int kd__os_look(int file, kd__os_facts *facts)
{
    struct stat s;
    if (fstat(file, &s) != 0) return -1;
    read_facts(facts, &s);
    return 0;
}

int kd__os_look_at(const char *path, kd__os_facts *facts)
{
    struct stat s;
    if (stat(path, &s) != 0) return -1;
    read_facts(facts, &s);
    return 0;
}

int kd__os_list(const char *folder, int (*visit)(void *user, const char *name), void *user)
{
    DIR *directory = opendir(folder);
    if (!directory) return -1;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (visit(user, entry->d_name)) break;
    closedir(directory);
    return 0;
}

const void *kd__os_map(int file, int64_t size)
{
#ifdef MAP_NORESERVE /* not everywhere: FreeBSD has none */
    const int flags = MAP_SHARED | MAP_NORESERVE;
#else
    const int flags = MAP_SHARED;
#endif
    const void *bytes = mmap(NULL, (size_t)size, PROT_READ, flags, file, 0);
    return bytes == MAP_FAILED ? NULL : bytes;
}

void kd__os_unmap(const void *bytes, int64_t size)
{
    munmap((void *)(uintptr_t)bytes, (size_t)size);
}

int kd__os_maps_grow(void) { return 1; }

#define ENOTSUPP 524 /* of the Linux kernel, which lets it out of some file systems */

/* Lustre without its flock option, some NFS and others have none. */
static int has_no_locks(int code)
{
    return code == ENOLCK || code == ENOSYS || code == EOPNOTSUPP || code == ENOTSUP ||
           code == ENOTSUPP;
}

int kd__os_lock(int file, int wait)
{
    int failed;
    do failed = flock(file, LOCK_EX | (wait ? 0 : LOCK_NB));
    while (failed && errno == EINTR);
    if (!failed) return KD__OS_LOCKED;
    if (errno == EWOULDBLOCK) return KD__OS_ELSEWHERE;
    return has_no_locks(errno) ? KD__OS_NO_LOCKS : KD__OS_LOCK_FAILED;
}

/* ---- processors, processes, memory ---- */

int64_t kd__os_processors(void)
{
    int64_t count = sysconf(_SC_NPROCESSORS_ONLN);
#ifdef __linux__
    cpu_set_t *set = CPU_ALLOC(8192);
    const size_t size = CPU_ALLOC_SIZE(8192);
    if (set && sched_getaffinity(0, size, set) == 0) count = CPU_COUNT_S(size, set);
    if (set) CPU_FREE(set);
#endif
    return count < 1 ? 1 : count;
}

int64_t kd__os_process(void) { return getpid(); }

void kd__os_begin_program(int *count, char ***words) { (void)count, (void)words; }

int kd__os_is_terminal(int file) { return isatty(file); }

void kd__os_yield(void) { sched_yield(); }

void kd__os_advise_huge(void *block, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    const size_t page = (size_t)2 << 20;
    char *first = (char *)(((uintptr_t)block + page - 1) / page * page);
    const size_t before = (size_t)(first - (char *)block);
    if (before < bytes) madvise(first, (bytes - before) / page * page, MADV_HUGEPAGE);
#else
    (void)block, (void)bytes;
#endif
}

/* ---- time, text, numbers ---- */

double kd__os_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int kd__os_date(time_t seconds, int utc, struct tm *parts)
{
    return (utc ? gmtime_r(&seconds, parts) : localtime_r(&seconds, parts)) ? 0 : -1;
}

/* glibc has a strerror_r of its own, which gives the text back; the others' write it. */
static const char *filled(int failed, const char *buffer) { return failed ? NULL : buffer; }

static const char *given(const char *text, const char *buffer)
{
    (void)buffer;
    return text;
}
#define ERROR_TEXT(call, buffer) _Generic((call), int : filled, default : given)((call), (buffer))

void kd__os_error_text(int code, char *text, size_t size)
{
    char buffer[100];
    const char *said = ERROR_TEXT(strerror_r(code, buffer, sizeof buffer), buffer);
    if (said) snprintf(text, size, "%s", said);
    else snprintf(text, size, "error %d", code);
}

const char *kd__os_find(const char *text, size_t size, const char *what, size_t bytes)
{
    return memmem(text, size, what, bytes);
}

int kd__os_compare_letters(const char *a, const char *b) { return strcasecmp(a, b); }

void *kd__os_locale_create(void) { return (void *)newlocale(LC_ALL_MASK, "C", (locale_t)0); }

void kd__os_locale_free(void *locale)
{
    if (locale) freelocale((locale_t)locale);
}

double kd__os_parse_double(void *locale, const char *text, char **end)
{
    const locale_t before = uselocale((locale_t)locale);
    const double value = strtod(text, end);
    uselocale(before);
    return value;
}

int kd__os_print_double(void *locale, char *text, size_t size, const char *format, int digits,
                        double value)
{
    const locale_t before = uselocale((locale_t)locale);
    const int written = snprintf(text, size, format, digits, value);
    uselocale(before);
    return written;
}

size_t kd__os_format_date(void *locale, char *text, size_t size, const char *format,
                          const struct tm *parts)
{
    const locale_t before = uselocale((locale_t)locale);
    const size_t written = strftime(text, size, format, parts);
    uselocale(before);
    return written;
}
#endif
typedef int kd__os_posix_is_here; /* no file is empty in C */
