/* What the host hears: log lines and progress. */
#ifndef KD_BASE_LOG_H
#define KD_BASE_LOG_H

#include <kdistill/context.h>

#include "base/status.h"

void kd__log(kd_context *context, int32_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* KD_ERR_CANCELED when the host asked for it, here or in its progress callback. */
kd_status kd__progress(kd_context *context, const char *stage, int64_t done, int64_t total);

#endif
