/* Text that grows: formatted pieces, JSON numbers and strings; names and patterns of names. */
#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"

#define LEAST 256 /* bytes of a text: most are made of many small pieces */

kd_status kd__text_append(kd__text *text, const void *bytes, size_t size)
{
    int64_t need = text->size + (int64_t)size + 1;
    KD_TRY(KD_RESERVE(text->context, &text->bytes, &text->room, kd__max(need, LEAST)));
    memcpy(text->bytes + text->size, bytes, size);
    text->size += (int64_t)size;
    text->bytes[text->size] = 0;
    return KD_OK;
}

kd_status kd__text_format(kd__text *text, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    KD_FAIL_IF(size < 0 || size >= (int)sizeof line, KD_ERR_INVALID,
               "a piece of text is longer than %zu bytes", sizeof line);
    return kd__text_append(text, line, (size_t)size);
}

kd_status kd__text_number(kd__text *text, double value)
{
    char digits[32];
    if (!isfinite(value)) return kd__text_append(text, "null", 4);
    kd__format_double(text->context, digits, value);
    return kd__text_append(text, digits, strlen(digits));
}

kd_status kd__text_quoted_bytes(kd__text *text, const char *string, int64_t size)
{
    KD_TRY(kd__text_append(text, "\"", 1));
    for (const char *c = string; c < string + size; c++) {
        if (*c == '"' || *c == '\\') KD_TRY(kd__text_format(text, "\\%c", *c));
        else if ((unsigned char)*c < 32) KD_TRY(kd__text_format(text, "\\u%04x", (unsigned)*c));
        else KD_TRY(kd__text_append(text, c, 1));
    }
    return kd__text_append(text, "\"", 1);
}

kd_status kd__text_quoted(kd__text *text, const char *string)
{
    return kd__text_quoted_bytes(text, string, (int64_t)strlen(string));
}

void kd__text_free(kd__text *text)
{
    if (text->context) kd__release(text->context, text->bytes);
    text->bytes = NULL;
    text->size = text->room = 0;
}

int kd__matches(const char *pattern, const char *name)
{
    const char *star = NULL, *retry = NULL;
    while (*name) {
        if (*pattern == '*') {
            star = ++pattern;
            retry = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star;
            name = ++retry;
        } else return 0;
    }
    while (*pattern == '*') pattern++;
    return !*pattern;
}

kd_status kd__name_given(const char *name, const char *what)
{
    KD_FAIL_IF(!name || !*name, KD_ERR_INVALID, "%s: expected a name, got %s", what,
               name ? "an empty one" : "NULL");
    return KD_OK;
}

kd_status kd__name_copy(char *to, const char *name, const char *what)
{
    KD_TRY(kd__name_given(name, what));
    KD_FAIL_IF(strlen(name) >= KD_NAME_BYTES, KD_ERR_INVALID,
               "%s: expected a name of at most %d bytes, got '%.80s'", what, KD_NAME_BYTES - 1,
               name);
    memset(to, 0, KD_NAME_BYTES);
    memcpy(to, name, strlen(name));
    return KD_OK;
}
