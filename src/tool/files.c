/* Files and folders, as the system has them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "tool/recipe_file.h"
#include "tool/say.h"

char *file_read(const char *path, size_t *size)
{
    FILE *file = strcmp(path, "-") ? kd__os_file(path, "rb") : stdin;
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
    kd__os_facts facts;
    return !kd__os_look_at(path, &facts);
}

int folder_make(const char *path)
{
    kd__os_facts facts;
    char *part = take_text("%s", path);
    for (char *c = part + 1; *c; c++) {
        const char separator = *c;
        if (!kd__os_separates(separator)) continue;
        *c = 0;
        kd__os_make_folder(part); /* the last one tells */
        *c = separator;
    }
    const int made = !kd__os_make_folder(part);
    const int error = errno;
    free(part);
    if (made || (!kd__os_look_at(path, &facts) && facts.kind == KD__OS_FOLDER)) return EXIT_DONE;
    return say(EXIT_FAILED, "%s: expected a folder, or a place for one: %s", path, strerror(error));
}

int folder_lock(const char *folder)
{
    char *path = take_text("%s/lock", folder);
    const int file = kd__os_open(path, KD__OS_UPDATE);
    const int held = file >= 0 && kd__os_lock(file, 0) == KD__OS_LOCKED;
    const int error = errno;
    free(path);
    if (held) return EXIT_DONE; /* the system lets go of it when the process ends */
    if (file >= 0) kd__os_close(file);
    return say(EXIT_FAILED, "%s: expected a folder that no other process trains in, got: %s",
               folder, strerror(error));
}

int file_cut(const char *path, int64_t bytes)
{
    const int file = file_exists(path) ? kd__os_open(path, KD__OS_UPDATE) : -1;
    const int done = file >= 0 && !kd__os_cut(file, bytes);
    const int error = errno;
    if (file >= 0) kd__os_close(file);
    if (done) return EXIT_DONE;
    return say(EXIT_FAILED, "%s: could not be cut at %lld bytes: %s", path, (long long)bytes,
               strerror(error));
}

int file_write(const char *path, const char *text, size_t size)
{
    char *part = take_text("%s.part", path);
    FILE *file = kd__os_file(part, "wb");
    int good = file && fwrite(text, 1, size, file) == size;
    if (file && fclose(file) != 0) good = 0;
    good = good && !kd__os_replace(part, path);
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
