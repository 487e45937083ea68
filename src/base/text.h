/* A growing text and small helpers on names. */
#ifndef KD_BASE_TEXT_H
#define KD_BASE_TEXT_H

#include <kdistill/context.h>

#include "base/status.h"

typedef struct kd__text {
    kd_context *context;
    char *bytes; /* ends with 0 when not NULL */
    int64_t size, room;
} kd__text;

kd_status kd__text_append(kd__text *text, const void *bytes, size_t size);
kd_status kd__text_format(kd__text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
kd_status kd__text_number(kd__text *text, double value); /* NaN and infinity become null */
/* A JSON string with quotes and escapes. */
kd_status kd__text_quoted(kd__text *text, const char *string);
kd_status kd__text_quoted_bytes(kd__text *text, const char *string, int64_t size);
void kd__text_free(kd__text *text);

/* * any run, ? any one character. */
int kd__matches(const char *pattern, const char *name);
/* Not NULL, not empty. `what` begins the message. */
kd_status kd__name_given(const char *name, const char *what);
/* A name that fits KD_NAME_BYTES and is not empty. */
kd_status kd__name_copy(char *to, const char *name, const char *what);

#endif
