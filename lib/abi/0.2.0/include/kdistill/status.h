/* kdistill/status.h - statuses, error messages, version.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  if (kd_context_create(&context, NULL) < 0) {
 *   2.      fprintf(stderr, "%s\n", kd_last_error());
 *   3.  }
 *
 * Every function that can fail returns a kd_status. These rules hold throughout the library:
 * - 0 is success, errors are negative, positive values report something that is not an error.
 * - Numbers are never changed or reused.
 * - A new handle is the first parameter (kd_x **out) and is left untouched when the call fails.
 * - Every free function accepts NULL; every other function rejects a NULL handle:
 * KD_ERR_INVALID. */
#ifndef KDISTILL_STATUS_H
#define KDISTILL_STATUS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define KD_API __attribute__((visibility("default")))
#else
#define KD_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define KD_VERSION_MAJOR 0
#define KD_VERSION_MINOR 2
#define KD_VERSION_PATCH 0
#define KD_VERSION_NUMBER (KD_VERSION_MAJOR * 10000 + KD_VERSION_MINOR * 100 + KD_VERSION_PATCH)

typedef int32_t kd_status;

#define KD_OK 0                /* success */
#define KD_END 1               /* no more data (kd_loader_next) */
#define KD_ERR_INVALID (-1)    /* NULL handle, unknown option, meaningless argument */
#define KD_ERR_MEMORY (-2)     /* the allocator returned NULL */
#define KD_ERR_SHAPE (-3)      /* an array or file has an unexpected shape */
#define KD_ERR_DTYPE (-4)      /* an array or file has an unexpected element type */
#define KD_ERR_RANGE (-5)      /* a number or label is out of bounds */
#define KD_ERR_NOT_FOUND (-6)  /* no such file, field, output, sample or tensor */
#define KD_ERR_IO (-7)         /* the system failed to read or write; the message has errno */
#define KD_ERR_FORMAT (-8)     /* a file is damaged or is not what it claims to be */
#define KD_ERR_VERSION (-9)    /* a file or struct from a newer version */
#define KD_ERR_CONFIG (-10)    /* a model config has an unknown or impossible key */
#define KD_ERR_NONFINITE (-11) /* NaN or infinity where a finite number is needed */
#define KD_ERR_STATE (-12)     /* calls in the wrong order */
/* kd_context_cancel was called, or a progress callback asked to stop */
#define KD_ERR_CANCELED (-13)
#define KD_ERR_CALLBACK (-14)    /* a callback of the host failed */
#define KD_ERR_UNSUPPORTED (-15) /* a feature that is not supported or not in this build */
#define KD_ERR_MISMATCH (-16)    /* a checkpoint or teacher was made for something else */
#define KD_ERR_THREAD (-17)      /* the system could not start a thread */
#define KD_ERR_PEER (-18) /* another rank of an exchange cannot go on; the message says why */

/* The message of the last error on this thread: what was expected and what was found. Never NULL;
 * "" if nothing has failed yet. It lives in a fixed per-thread buffer until the next failing
 * call. */
KD_API const char *kd_last_error(void);

/* The name of a status ("KD_ERR_SHAPE"), or "unknown status" for any other number. Static text. */
KD_API const char *kd_status_name(kd_status status);

/* The version of the library at run time, encoded like KD_VERSION_NUMBER (major * 10000 + minor *
 * 100 + patch). */
KD_API int32_t kd_version(void);

/* How the library was built, in one line: "kdistill 0.2.0; blas openblas; zlib yes; compiler ...".
 * Static text. */
KD_API const char *kd_build_info(void);

/* A callback that fails calls this before it returns a negative status, so that the caller of the
 * library sees the reason. `message` is copied and truncated to 400 bytes. Returns `status`. */
KD_API kd_status kd_set_error(kd_status status, const char *message);

#ifdef __cplusplus
}
#endif
#endif
