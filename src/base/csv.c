/* RFC 4180 as far as numbers need it: fields may be quoted, lines end with LF or CRLF, the last line may lack its end. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/formats.h"

#define LIMIT ((int64_t)1 << 36)

typedef struct {
    kd_context *context;
    const char *path, *at, *end;
    char separator;
    int64_t line, column;
    double *values;
    int64_t used, room;
} table;

static kd_status cell_number(table *t, const char *text, size_t length, double *value)
{
    char digits[64], *end;
    while (length && (text[0] == ' ' || text[0] == '\t')) text++, length--;
    while (length && (text[length - 1] == ' ' || text[length - 1] == '\t')) length--;
    if (!length) {
        *value = NAN;
        return KD_OK;
    }
    if (length < sizeof digits) {
        memcpy(digits, text, length);
        digits[length] = 0;
        *value = kd__parse_double(t->context, digits, &end);
        if (end == digits + length) return KD_OK;
    }
    return kd__fail(KD_ERR_FORMAT, "%s: line %lld, column %lld: '%.*s' is not a number", t->path, (long long)t->line, (long long)t->column,
                    length > 40 ? 40 : (int)length, text);
}

/* One cell; *last tells that the line ends behind it. */
static kd_status read_cell(table *t, double *value, int *last, int skip)
{
    const char *start = t->at, *stop;
    if (t->at < t->end && *t->at == '"') {
        start = ++t->at;
        while (t->at < t->end && *t->at != '"') t->at++;
        KD_FAIL_IF(t->at == t->end, KD_ERR_FORMAT, "%s: line %lld: a quoted field does not end", t->path, (long long)t->line);
        stop = t->at++;
    } else {
        while (t->at < t->end && *t->at != t->separator && *t->at != '\n' && *t->at != '\r') t->at++;
        stop = t->at;
    }
    if (!skip) KD_TRY(cell_number(t, start, (size_t)(stop - start), value));
    if (t->at < t->end && *t->at == '\r') t->at++;
    *last = t->at == t->end || *t->at == '\n';
    KD_FAIL_IF(!*last && *t->at != t->separator, KD_ERR_FORMAT, "%s: line %lld, column %lld: expected '%c' behind the field", t->path,
               (long long)t->line, (long long)t->column, t->separator);
    if (t->at < t->end) t->at++;
    return KD_OK;
}

static kd_status read_line(table *t, int64_t *columns, int skip)
{
    int last = 0;
    double value = 0;
    for (t->column = 1; !last; t->column++) {
        KD_TRY(read_cell(t, &value, &last, skip));
        if (skip) continue;
        if (t->used == t->room) KD_TRY(KD_RESERVE(t->context, &t->values, &t->room, 1024 + 2 * t->room));
        t->values[t->used++] = value;
    }
    int64_t count = t->column - 1;
    KD_FAIL_IF(*columns && count != *columns, KD_ERR_FORMAT, "%s: line %lld: expected %lld columns, got %lld", t->path, (long long)t->line,
               (long long)*columns, (long long)count);
    *columns = count;
    t->line++;
    return KD_OK;
}

static kd_status read_table(table *t, int has_header, int64_t *rows, int64_t *columns)
{
    *rows = *columns = 0;
    if (has_header && t->at < t->end) KD_TRY(read_line(t, columns, 1));
    for (; t->at < t->end; ++*rows) KD_TRY(read_line(t, columns, 0));
    KD_FAIL_IF(!*rows, KD_ERR_FORMAT, "%s: no rows", t->path);
    return KD_OK;
}

kd_status kd__csv_read(kd_context *context, const char *path, char separator, int has_header, double **values, int64_t *rows, int64_t *columns)
{
    char *bytes = NULL;
    int64_t size;
    KD_TRY(kd__file_read(context, path, LIMIT, &bytes, &size));
    table t = { .context = context, .path = path, .at = bytes, .end = bytes + size, .separator = separator, .line = 1 };
    kd_status status = read_table(&t, has_header, rows, columns);
    kd__release(context, bytes);
    if (status != KD_OK) {
        kd__release(context, t.values);
        return status;
    }
    *values = t.values;
    return KD_OK;
}
