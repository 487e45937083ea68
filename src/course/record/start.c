/* What a file of records begins with: JSON, or something else that is refused by its name. */
#include <string.h>

#include "course/record/record.h"

typedef struct {
    const char *bytes;
    int32_t size;
    const char *name;
} mark;

/* To be decompressed first. */
static const mark packed[] = {
    { "\x28\xb5\x2f\xfd", 4, "zstd" }, { "BZh", 3, "bzip2" },
    { "\xfd\x37zXZ", 5, "xz" },        { "PK\x03\x04", 4, "zip" },
    { "\x04\x22\x4d\x18", 4, "LZ4" },  { "\x5d\0\0", 3, "LZMA" },
    { "7z\xbc\xaf", 4, "7-Zip" },
};

/* To be written as JSON lines first. */
static const mark other[] = {
    { "PAR1", 4, "Parquet" },
    { "ARROW1", 6, "Arrow" },
    { "\xff\xff\xff\xff", 4, "an Arrow stream" },
    { "Obj\x01", 4, "Avro" },
    { "ORC", 3, "ORC" },
    { "\x89HDF", 4, "HDF5" },
    { "SQLite format 3", 15, "an SQLite database" },
    { "version https://git-lfs", 23, "a pointer of Git LFS, not the file itself" },
    { "\xff\xfe\0\0", 4, "text in UTF-32" },
    { "\0\0\xfe\xff", 4, "text in UTF-32" },
    { "\xff\xfe", 2, "text in UTF-16" },
    { "\xfe\xff", 2, "text in UTF-16" },
    { "{\0", 2, "text in UTF-16" },
    { "[\0", 2, "text in UTF-16" },
    { "\0{", 2, "text in UTF-16" },
    { "\0[", 2, "text in UTF-16" },
    { "<!DOCTYPE", 9, "a page of HTML" },
    { "<html", 5, "a page of HTML" },
};

static const char *find(const mark *marks, size_t count, const char *bytes, int64_t size)
{
    for (size_t i = 0; i < count; i++)
        if (size >= marks[i].size && !memcmp(bytes, marks[i].bytes, (size_t)marks[i].size))
            return marks[i].name;
    return NULL;
}

/* A frame that zstd may begin with in place of data. */
static int is_skippable(const char *bytes, int64_t size)
{
    return size >= 4 && (bytes[0] & 0xf0) == 0x50 && !memcmp(bytes + 1, "\x2a\x4d\x18", 3);
}

int64_t kd__order_mark(const char *bytes, int64_t size)
{
    return size >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3) ? 3 : 0;
}

kd_status kd__start_look(const char *bytes, int64_t size, int *array)
{
    const char *name = is_skippable(bytes, size)
                           ? "zstd"
                           : find(packed, sizeof packed / sizeof *packed, bytes, size);
    KD_FAIL_IF(name, KD_ERR_UNSUPPORTED,
               "expected JSON lines, plain or gzip; this is %s: decompress it first", name);
    name = find(other, sizeof other / sizeof *other, bytes, size);
    KD_FAIL_IF(name, KD_ERR_UNSUPPORTED, "expected JSON lines in UTF-8; this is %s", name);
    int64_t at = kd__order_mark(bytes, size);
    while (at < size && strchr(" \t\r\n", bytes[at]) && bytes[at]) at++;
    *array = at < size && bytes[at] == '[';
    return KD_OK;
}

int64_t kd__element_scan(kd__element *e, const char *from, int64_t size, int *ends)
{
    *ends = 0;
    for (int64_t i = 0; i < size; i++) {
        const char c = from[i];
        if (e->escaped) e->escaped = 0;
        else if (e->quoted) {
            e->escaped = c == '\\';
            e->quoted = c != '"';
        } else if (c == '"') e->quoted = 1;
        else if (c == '{' || c == '[') e->depth++;
        else if (!e->depth && (c == ',' || c == ']' || c == '}')) return *ends = 1, i;
        else if (c == '}' || c == ']') e->depth--;
    }
    return size;
}
