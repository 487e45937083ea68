/* The library's thread pool: one parallel loop at a time, over tiles whose cuts depend on the shape
 * alone. */
#ifndef KD_BASE_THREAD_H
#define KD_BASE_THREAD_H

#include <kdistill/context.h>

#include "base/status.h"

/* Work on tile `index` by thread `worker` (0: the caller, below context->threads). */
typedef void kd__work(void *argument, int64_t index, int32_t worker);

/* Calls work for index 0 .. count - 1, each once, on any thread; returns when all are done. Runs on
 * the caller alone when the pool is busy with another call. */
void kd__parallel(kd_context *context, int64_t count, kd__work *work, void *argument);

kd_status kd__pool_create(kd_context *context);
void kd__pool_free(kd_context *context);

/* Processors that this process may use, at most 64. root: "", or a folder that stands for / in a
 * test. */
int32_t kd__processors(const char *root);

#endif
