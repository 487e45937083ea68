/* RFC 4180: fields may be quoted, and a quote in them is doubled; lines end with LF or CRLF, the
 * last one may lack its end; line ends may stand in a quoted field. Beyond it: a byte order mark is
 * passed over, and so is an empty line of a table with more than one column. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "formats/formats.h"

#define LIMIT ((int64_t)1 << 36)
enum { LONGEST_NUMBER = 1024 }; /* every double has fewer digits */

typedef struct {
    kd_context *context;
    const char *path, *at, *end;
    char separator;
    int64_t line, column;
    double *values;
    int64_t used, room;
} table;

/* Decimal numbers, "inf", "infinity" and "nan": C reads hexadecimal ones and nan(...) as well,
 * which no table means. */
static int is_decimal(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] == 'x' || text[i] == 'X' || text[i] == '(') return 0;
    return 1;
}

static kd_status cell_number(table *t, const char *text, size_t length, double *value)
{
    char digits[LONGEST_NUMBER], *end;
    while (length && (text[0] == ' ' || text[0] == '\t')) text++, length--;
    while (length && (text[length - 1] == ' ' || text[length - 1] == '\t')) length--;
    if (!length) {
        *value = NAN;
        return KD_OK;
    }
    if (length < sizeof digits && is_decimal(text, length)) {
        memcpy(digits, text, length);
        digits[length] = 0;
        *value = kd__parse_double(t->context, digits, &end);
        const int fits = isnan(*value) || fabs(*value) <= FLT_MAX || strpbrk(digits, "nN");
        KD_FAIL_IF(end == digits + length && !fits, KD_ERR_FORMAT,
                   "%s: line %lld, column %lld: %.40s is too large for float32", t->path,
                   (long long)t->line, (long long)t->column, digits);
        if (end == digits + length) return KD_OK;
    }
    return kd__fail(KD_ERR_FORMAT, "%s: line %lld, column %lld: expected a number, got '%.*s'",
                    t->path, (long long)t->line, (long long)t->column,
                    length > 40 ? 40 : (int)length, text);
}

/* A quoted field: what stands between its quotes, doubled ones included, which no number has. */
static kd_status quoted(table *t, const char **start, const char **stop)
{
    const int64_t begun = t->line;
    *start = ++t->at;
    for (;; t->at++) {
        while (t->at < t->end && *t->at != '"') t->line += *t->at++ == '\n';
        KD_FAIL_IF(t->at == t->end, KD_ERR_FORMAT, "%s: line %lld: a quoted field does not end",
                   t->path, (long long)begun);
        *stop = t->at++;
        if (t->at == t->end || *t->at != '"') return KD_OK;
    }
}

/* One cell; *last tells that the line ends after it. */
static kd_status read_cell(table *t, double *value, int *last, int skip)
{
    const char *start = t->at, *stop;
    if (t->at < t->end && *t->at == '"') KD_TRY(quoted(t, &start, &stop));
    else {
        while (t->at < t->end && *t->at != t->separator && *t->at != '\n' && *t->at != '\r')
            t->at++;
        stop = t->at;
    }
    if (!skip) KD_TRY(cell_number(t, start, (size_t)(stop - start), value));
    if (t->at < t->end && *t->at == '\r') t->at++;
    *last = t->at == t->end || *t->at == '\n';
    KD_FAIL_IF(!*last && *t->at != t->separator, KD_ERR_FORMAT,
               "%s: line %lld, column %lld: expected '%c' or the line's end after the field",
               t->path, (long long)t->line, (long long)t->column, t->separator);
    t->at += t->at < t->end;
    return KD_OK;
}

static kd_status read_line(table *t, int64_t *columns, int skip)
{
    int last = 0;
    double value = 0;
    for (t->column = 1; !last; t->column++) {
        KD_TRY(read_cell(t, &value, &last, skip));
        if (skip) continue;
        KD_TRY(KD_RESERVE(t->context, &t->values, &t->room, t->used + 1));
        t->values[t->used++] = value;
    }
    int64_t count = t->column - 1;
    KD_FAIL_IF(*columns && count != *columns, KD_ERR_FORMAT,
               "%s: line %lld: expected %lld columns, got %lld", t->path, (long long)t->line,
               (long long)*columns, (long long)count);
    *columns = count;
    t->line++;
    return KD_OK;
}

/* Passes over a line without anything in it. */
static int is_empty_line(table *t)
{
    const char *at = t->at;
    if (at < t->end && *at == '\r') at++;
    if (at == t->end || *at != '\n') return 0;
    t->at = at + 1;
    t->line++;
    return 1;
}

/* A first line of numbers is a sample, more often than names. */
static void warn_of_numbers(table t)
{
    double value;
    int last = 0;
    while (!last) {
        if (read_cell(&t, &value, &last, 0) != KD_OK || isnan(value)) return;
    }
    kd__log(t.context, KD_LOG_WARNING,
            "%s: line 1 has numbers alone, and is taken as names: header = 0 makes it a sample",
            t.path);
}

static kd_status read_table(table *t, int has_header, int64_t *rows, int64_t *columns)
{
    *rows = *columns = 0;
    if (has_header && t->at < t->end) {
        warn_of_numbers(*t);
        KD_TRY(read_line(t, columns, 1));
    }
    while (t->at < t->end) {
        if (*columns > 1 && is_empty_line(t)) continue;
        KD_TRY(read_line(t, columns, 0));
        ++*rows;
    }
    KD_FAIL_IF(!*rows, KD_ERR_FORMAT, "%s: expected a row", t->path);
    return KD_OK;
}

kd_status kd__csv_read(kd_context *context, const char *path, char separator, int has_header,
                       double **values, int64_t *rows, int64_t *columns)
{
    char *bytes = NULL;
    int64_t size;
    KD_TRY(kd__file_read(context, path, LIMIT, &bytes, &size));
    if (size >= 2 && (!memcmp(bytes, "\xff\xfe", 2) || !memcmp(bytes, "\xfe\xff", 2))) {
        kd__release(context, bytes);
        return kd__fail(KD_ERR_UNSUPPORTED, "%s: expected UTF-8; this is text in UTF-16", path);
    }
    const int marked = size >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3);
    table t = { .context = context,
                .path = path,
                .at = bytes + (marked ? 3 : 0),
                .end = bytes + size,
                .separator = separator,
                .line = 1 };
    kd_status status = read_table(&t, has_header, rows, columns);
    kd__release(context, bytes);
    if (status != KD_OK) {
        kd__release(context, t.values);
        return status;
    }
    *values = t.values;
    return KD_OK;
}
