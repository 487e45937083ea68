/* Files and folders, as the system has them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "tool/recipe_file.h"
#include "tool/say.h"

char *file_read(const char *path, size_t *size)
{
    FILE *file = strcmp(path, "-") ? fopen(path, "rb") : stdin;
    char *bytes = NULL;
    size_t room = 0;
    *size = 0;
    if (!file) {
        say(EXIT_FAILED, "%s: cannot be read: %s", path, strerror(errno));
        return NULL;
    }
    do {
        if (*size + 65536 > room) bytes = take_more(bytes, room = 2 * *size + 65537);
        const size_t n = fread(bytes + *size, 1, room - *size - 1, file);
        *size += n;
        if (!n) break;
    } while (!ferror(file));
    const int bad = ferror(file);
    if (file != stdin) fclose(file);
    bytes[*size] = 0;
    if (!bad) return bytes;
    say(EXIT_FAILED, "%s: expected a file, got an error: %s", path, strerror(errno));
    free(bytes);
    return NULL;
}

int file_exists(const char *path)
{
    struct stat s;
    return !stat(path, &s);
}

int folder_make(const char *path)
{
    struct stat s;
    char *part = take_text("%s", path);
    for (char *c = part + 1; *c; c++) {
        if (*c != '/') continue;
        *c = 0;
        mkdir(part, 0777); /* the last one tells */
        *c = '/';
    }
    const int made = !mkdir(part, 0777);
    const int error = errno;
    free(part);
    if (made || (!stat(path, &s) && (s.st_mode & S_IFMT) == S_IFDIR)) return EXIT_DONE;
    return say(EXIT_FAILED, "%s: expected a folder, or a place for one: %s", path, strerror(error));
}

int folder_lock(const char *folder)
{
    char *path = take_text("%s/lock", folder);
    const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    const int held = file >= 0 && !flock(file, LOCK_EX | LOCK_NB);
    const int error = errno;
    free(path);
    if (held) return EXIT_DONE; /* the system lets go of it when the process ends */
    if (file >= 0) close(file);
    return say(EXIT_FAILED, "%s: expected a folder that no other process trains in, got: %s",
               folder, strerror(error));
}

int file_cut(const char *path, int64_t bytes)
{
    if (!truncate(path, (off_t)bytes)) return EXIT_DONE;
    return say(EXIT_FAILED, "%s: could not be cut at %lld bytes: %s", path, (long long)bytes,
               strerror(errno));
}

int file_write(const char *path, const char *text, size_t size)
{
    char *part = take_text("%s.part", path);
    FILE *file = fopen(part, "wb");
    int good = file && fwrite(text, 1, size, file) == size;
    if (file && fclose(file) != 0) good = 0;
    good = good && !rename(part, path);
    free(part);
    return good ? EXIT_DONE
                : say(EXIT_FAILED, "%s: could not be written: %s", path, strerror(errno));
}

int file_copy(const char *from, const char *to)
{
    size_t size;
    if (!file_exists(from) || file_exists(to)) return EXIT_DONE;
    char *bytes = file_read(from, &size);
    const int code = bytes ? file_write(to, bytes, size) : EXIT_FAILED;
    free(bytes);
    return code;
}
