/* Errors: one message a thread, and the macros that every file uses to check first and fail
 * flat. */
#ifndef KD_BASE_STATUS_H
#define KD_BASE_STATUS_H

#include <kdistill/status.h>

/* Writes the thread's message and returns `status`. */
kd_status kd__fail(kd_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts `where` (a file) before the thread's message, unless it begins so; returns `status`. */
kd_status kd__fail_in(kd_status status, const char *where);

#define KD_TRY(call)                                                                               \
    do {                                                                                           \
        kd_status kd__s = (call);                                                                  \
        if (kd__s != KD_OK) return kd__s;                                                          \
    } while (0)

#define KD_FAIL_IF(condition, ...)                                                                 \
    do {                                                                                           \
        if (condition) return kd__fail(__VA_ARGS__);                                               \
    } while (0)

/* goto `label` with the status in `variable` when the call fails. */
#define KD_TRY_GOTO(variable, call, label)                                                         \
    do {                                                                                           \
        if (((variable) = (call)) != KD_OK) goto label;                                            \
    } while (0)

#define KD_NEED(handle) KD_FAIL_IF(!(handle), KD_ERR_INVALID, "%s: " #handle " is NULL", __func__)

/* Options of a caller with another struct_size: copies what both know over the defaults in `to`.
 * Bytes that this version does not know must be zero. `from` NULL keeps the defaults. */
kd_status kd__options_read(void *to, size_t size, const void *from, const char *name);

/* Writes a struct that the library fills, up to the caller's struct_size. */
kd_status kd__info_write(void *to, const void *from, size_t size, const char *name);

/* The body of every kd_x_options_init. */
void kd__options_init(void *to, size_t to_size, const void *defaults, size_t size);

#endif
