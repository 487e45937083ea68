/* kdistill/status.h - statuses, error messages, version.   SPDX-License-Identifier: Apache-2.0
 *
 * Every function that can fail returns a kd_status: 0 is success, errors are negative, and positive
 * values are news that is no error. Numbers are never changed or reused.
 * A new handle is the first parameter (kd_x **out) and is untouched when the call fails.
 * Every free function accepts NULL; every other function refuses a NULL handle with KD_ERR_INVALID. */
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
#define KD_VERSION_MINOR 1
#define KD_VERSION_PATCH 0
#define KD_VERSION_NUMBER (KD_VERSION_MAJOR * 10000 + KD_VERSION_MINOR * 100 + KD_VERSION_PATCH)

typedef int32_t kd_status;

#define KD_OK 0               /* success                                                  */
#define KD_END 1              /* no more data (kd_loader_next)                            */
#define KD_ERR_INVALID (-1)   /* NULL handle, unknown option, argument that makes no sense */
#define KD_ERR_MEMORY (-2)    /* the allocator returned NULL                              */
#define KD_ERR_SHAPE (-3)     /* an array or file has another shape than expected         */
#define KD_ERR_DTYPE (-4)     /* an array or file has another element type than expected  */
#define KD_ERR_RANGE (-5)     /* a number or label lies outside its bounds                */
#define KD_ERR_NOT_FOUND (-6) /* no such file, field, output, sample or tensor            */
#define KD_ERR_IO (-7)        /* the system refused to read or write; errno is in the text */
#define KD_ERR_FORMAT (-8)    /* a file is damaged or is not what it claims to be         */
#define KD_ERR_VERSION (-9)   /* a file or struct of a newer version                      */
#define KD_ERR_CONFIG (-10)   /* a model config has an unknown or impossible key          */
#define KD_ERR_NONFINITE (-11) /* NaN or infinity where a finite number is needed          */
#define KD_ERR_STATE (-12)    /* calls in the wrong order                                 */
#define KD_ERR_CANCELLED (-13) /* kd_context_cancel, or a progress callback said stop      */
#define KD_ERR_CALLBACK (-14) /* a host callback failed                                   */
#define KD_ERR_UNSUPPORTED (-15) /* a feature that this build leaves out                     */
#define KD_ERR_MISMATCH (-16) /* a checkpoint or teacher was made for something else      */
#define KD_ERR_THREAD (-17)   /* the system refused a thread                              */

/* The message of the last error on this thread: what was expected and what came. Never NULL, "" when
 * nothing failed yet. It lives in a fixed buffer of the thread until the next failing call.         */
KD_API const char *kd_last_error(void);

/* The name of a status ("KD_ERR_SHAPE"); "unknown status" for any other number. Static text. */
KD_API const char *kd_status_name(kd_status status);

/* The version of the library at run time, as KD_VERSION_NUMBER (major * 10000 + minor * 100 + patch). */
KD_API int32_t kd_version(void);

/* How the library was built: one line, "kdistill 0.1.0; blas openblas; zlib yes; compiler ..." Static. */
KD_API const char *kd_build_info(void);

/* A callback that failed calls this before it returns a negative status, so that the library's caller
 * sees the reason. `message` is copied, cut at 400 bytes. Returns `status`.                            */
KD_API kd_status kd_set_error(kd_status status, const char *message);

#ifdef __cplusplus
}
#endif
#endif
