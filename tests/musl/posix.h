/* What the suites use of POSIX and Windows has under other names. */
#ifndef POSIX_H
#define POSIX_H

#include <direct.h>
#include <fcntl.h>
#include <io.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define malloc_usable_size _msize
#define mkdir(path, mode) ((void)(mode), _mkdir(path))

static inline int setenv(const char *name, const char *value, int replace)
{
    return !replace && getenv(name) ? 0 : _putenv_s(name, value);
}

static inline int geteuid(void) { return 1; }

static inline void *memmem(const void *text, size_t size, const void *what, size_t bytes)
{
    const char *at = text;
    for (; size >= bytes; at++, size--)
        if (!memcmp(at, what, bytes)) return (void *)at;
    return NULL;
}

static inline char *strsep(char **rest, const char *separators)
{
    char *part = *rest;
    if (!part) return NULL;
    *rest += strcspn(part, separators);
    if (**rest) *(*rest)++ = 0;
    else *rest = NULL;
    return part;
}

static inline int unsetenv(const char *name) { return _putenv_s(name, ""); }

#endif
