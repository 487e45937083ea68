/* Log lines and progress through the host's callbacks. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/context.h"

void kd__log(kd_context *context, int32_t level, const char *format, ...)
{
    if (!context->logger.log || level > context->logger.level) return;
    char line[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    context->logger.log(context->logger.user, level, line);
}

kd_status kd__progress(kd_context *context, const char *stage, int64_t done, int64_t total)
{
    const kd_progress *host = &context->progress;
    KD_FAIL_IF(atomic_load(&context->canceled), KD_ERR_CANCELED,
               "%s: canceled by kd_context_cancel", stage);
    if (!host->progress) return KD_OK;
    const int32_t stop = host->progress(host->user, stage, done, total);
    KD_FAIL_IF(stop, KD_ERR_CANCELED, "%s: the progress callback returned %d at %lld of %lld",
               stage, stop, (long long)done, (long long)total);
    return KD_OK;
}
