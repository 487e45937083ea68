/* Status codes and the message of the last failure, one per thread. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_BYTES 512

static _Thread_local char message[MESSAGE_BYTES];

kd_status kd__fail(kd_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return status;
}

/* Does the message begin with this path, or with that of a file in it? */
static int is_said(const char *where)
{
    size_t bytes = strlen(where);
    while (bytes > 1 && where[bytes - 1] == '/') bytes--;
    return !strncmp(message, where, bytes) && (message[bytes] == ':' || message[bytes] == '/');
}

kd_status kd__fail_in(kd_status status, const char *where)
{
    char inner[MESSAGE_BYTES];
    if (is_said(where)) return status;
    memcpy(inner, message, sizeof inner);
    return kd__fail(status, "%.200s: %.300s", where, inner);
}

const char *kd_last_error(void) { return message; }

kd_status kd_set_error(kd_status status, const char *text)
{
    return kd__fail(status, "%.400s", text ? text : "(no message)");
}

const char *kd_status_name(kd_status status)
{
    static const char *const names[] = {
        "KD_OK",           "KD_ERR_INVALID",  "KD_ERR_MEMORY",    "KD_ERR_SHAPE",
        "KD_ERR_DTYPE",    "KD_ERR_RANGE",    "KD_ERR_NOT_FOUND", "KD_ERR_IO",
        "KD_ERR_FORMAT",   "KD_ERR_VERSION",  "KD_ERR_CONFIG",    "KD_ERR_NONFINITE",
        "KD_ERR_STATE",    "KD_ERR_CANCELED", "KD_ERR_CALLBACK",  "KD_ERR_UNSUPPORTED",
        "KD_ERR_MISMATCH", "KD_ERR_THREAD",   "KD_ERR_PEER"
    };
    if (status == KD_END) return "KD_END";
    if (status > 0 || status < KD_ERR_PEER) return "unknown status";
    return names[-status];
}

int32_t kd_version(void) { return KD_VERSION_NUMBER; }

static uint32_t struct_size(const void *options)
{
    uint32_t size;
    memcpy(&size, options, sizeof size);
    return size;
}

kd_status kd__options_read(void *to, size_t size, const void *from, const char *name)
{
    if (!from) return KD_OK;
    size_t given = struct_size(from);
    KD_FAIL_IF(given < 8 || given > 65536, KD_ERR_INVALID,
               "%s: struct_size is %zu: set it to sizeof(%s), or use the initializer if it has one",
               name, given, name);
    for (size_t i = size; i < given; i++)
        KD_FAIL_IF(((const unsigned char *)from)[i], KD_ERR_VERSION,
                   "%s: byte %zu is set, but this library (%d.%d.%d) knows only %zu bytes", name, i,
                   KD_VERSION_MAJOR, KD_VERSION_MINOR, KD_VERSION_PATCH, size);
    memcpy(to, from, given < size ? given : size);
    return KD_OK;
}

kd_status kd__info_write(void *to, const void *from, size_t size, const char *name)
{
    KD_FAIL_IF(!to, KD_ERR_INVALID, "%s: expected a struct to fill, got NULL", name);
    size_t given = struct_size(to);
    KD_FAIL_IF(given < 8 || given > 65536, KD_ERR_INVALID,
               "%s: set struct_size to sizeof(%s) before the call (it is %zu)", name, name, given);
    size_t common = given < size ? given : size;
    memcpy((char *)to + 4, (const char *)from + 4, common - 4);
    memset((char *)to + common, 0, given - common);
    return KD_OK;
}

void kd__options_init(void *to, size_t to_size, const void *defaults, size_t size)
{
    if (!to || to_size < sizeof(uint32_t)) return;
    uint32_t given = (uint32_t)to_size;
    memset(to, 0, to_size);
    memcpy(to, defaults, to_size < size ? to_size : size);
    memcpy(to, &given, sizeof given);
}
