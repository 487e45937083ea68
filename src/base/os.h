/* What the library asks of the operating system. One file for each system answers: os_posix.c,
 * os_windows.c. Nothing else in the library includes a header of the system's.
 * Paths are UTF-8, files are descriptors. A function that returns an int gives 0, or -1 with
 * errno, unless it says otherwise. */
#ifndef KD_BASE_OS_H
#define KD_BASE_OS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

/* ---- files ---- */
enum {
    KD__OS_READ,   /* one that is there */
    KD__OS_NEW,    /* for writing; EEXIST where it is there already */
    KD__OS_UPDATE, /* for reading and writing; made where it is not there */
};
/* The descriptor, which child processes do not inherit. */
int kd__os_open(const char *path, int how);
int kd__os_close(int file);
/* Up to `size` bytes: how many; 0 at the end of the file. EINTR is left to the caller. */
int64_t kd__os_read(int file, void *to, int64_t size);
int64_t kd__os_read_at(int file, void *to, int64_t size, int64_t offset);
int64_t kd__os_write(int file, const void *bytes, int64_t size);
/* The position of the next read: the file's first byte. */
int kd__os_rewind(int file);
/* The file ends after `size` bytes, and the next write goes there. */
int kd__os_cut(int file, int64_t size);
/* What was written is on the disk. */
int kd__os_sync(int file);
/* The names in the folder that holds `path` are on the disk; 0 too where that cannot be asked. */
int kd__os_sync_folder_of(const char *path);
/* Moves a file into the place of another. */
int kd__os_replace(const char *from, const char *to);
int kd__os_remove(const char *path); /* a file or an empty folder */
int kd__os_make_folder(const char *path);
/* As fopen and fclose; a path is UTF-8, and no byte is changed: give 'b' in the mode. */
FILE *kd__os_file(const char *path, const char *mode);
/* The next read or write of a FILE, counted from its start. */
int kd__os_seek(FILE *file, int64_t offset);
int kd__os_is_absolute(const char *path);
int kd__os_separates(char c); /* the parts of a path */
/* The path from the root of what is there, to be freed by free(); NULL with errno. */
char *kd__os_absolute(const char *path);

enum { KD__OS_FILE, KD__OS_FOLDER, KD__OS_OTHER };
typedef struct kd__os_facts {
    int64_t size;
    int kind;
    uint64_t device, number; /* the same two: the same file */
} kd__os_facts;
int kd__os_look(int file, kd__os_facts *facts);
int kd__os_look_at(const char *path, kd__os_facts *facts);

/* Calls visit for every name in a folder, in no order, until it returns something else than 0. */
int kd__os_list(const char *folder, int (*visit)(void *user, const char *name), void *user);

/* The first `size` bytes of a file, for reading; NULL with errno. Where kd__os_maps_grow says 1 the
 * file may be shorter and grow into the map; bytes beyond its end must not be read. */
const void *kd__os_map(int file, int64_t size);
void kd__os_unmap(const void *bytes, int64_t size);
int kd__os_maps_grow(void);

/* Keeps other writers away until the file is closed. wait 0: does not wait for one who has it. */
enum { KD__OS_LOCKED, KD__OS_ELSEWHERE, KD__OS_NO_LOCKS, KD__OS_LOCK_FAILED };
int kd__os_lock(int file, int wait);

/* ---- processors, processes, memory ---- */
/* Processors that this process is bound to, at least 1. */
int64_t kd__os_processors(void);
/* A number that a child made by fork does not share. */
int64_t kd__os_process(void);
/* Before main does anything: its words become UTF-8, and its streams keep all bytes. */
void kd__os_begin_program(int *count, char ***words);
int kd__os_is_terminal(int file);
/* Lets another thread run. */
void kd__os_yield(void);
/* Advice: a large block that is walked with long strides. */
void kd__os_advise_huge(void *block, size_t bytes);

/* ---- time, text, numbers ---- */
/* Seconds of a clock that never goes back. */
double kd__os_now(void);
/* A date in UTC, or of the place that the process runs in. */
int kd__os_date(time_t seconds, int utc, struct tm *parts);
void kd__os_error_text(int code, char *text, size_t size);
/* The first place of `what` in `text`, or NULL. */
const char *kd__os_find(const char *text, size_t size, const char *what, size_t bytes);
int kd__os_compare_letters(const char *a, const char *b); /* as strcmp; A is a */

/* The "C" locale: numbers in files do not depend on the host's. NULL: no memory. */
void *kd__os_locale_create(void);
void kd__os_locale_free(void *locale);
double kd__os_parse_double(void *locale, const char *text, char **end);
/* As snprintf, with a format of one %.*g, %.*e or %.*f. */
int kd__os_print_double(void *locale, char *text, size_t size, const char *format, int digits,
                        double value);
/* As strftime. */
size_t kd__os_format_date(void *locale, char *text, size_t size, const char *format,
                          const struct tm *parts);

#endif
