/* A handle's state as bytes, for checkpoints: fixed-width numbers in the host's byte order (the
 * file's header tells which). */
#ifndef KD_BASE_STATE_H
#define KD_BASE_STATE_H

#include <string.h>

#include "base/text.h"

typedef struct kd__state_reader {
    const char *at, *end;
    const char *name; /* of the part, for messages */
} kd__state_reader;

static inline kd_status kd__state_get(kd__state_reader *reader, void *to, int64_t size)
{
    KD_FAIL_IF(size < 0 || size > reader->end - reader->at, KD_ERR_MISMATCH,
               "checkpoint part '%s': expected %lld more bytes, got %lld", reader->name,
               (long long)size, (long long)(reader->end - reader->at));
    if (to) memcpy(to, reader->at, (size_t)size);
    reader->at += size;
    return KD_OK;
}

/* A number that must be what it is in this run. */
static inline kd_status kd__state_expect(kd__state_reader *reader, int64_t expected,
                                         const char *what)
{
    int64_t found;
    KD_TRY(kd__state_get(reader, &found, sizeof found));
    KD_FAIL_IF(found != expected, KD_ERR_MISMATCH,
               "checkpoint part '%s': %s: expected %lld, the file has %lld", reader->name, what,
               (long long)expected, (long long)found);
    return KD_OK;
}

static inline kd_status kd__state_put_number(kd__text *text, int64_t number)
{
    return kd__text_append(text, &number, sizeof number);
}

#endif
