/* The library's thread pool: one parallel loop at a time, over tiles whose cuts depend on the shape alone. */
#ifndef KD_BASE_THREAD_H
#define KD_BASE_THREAD_H

#include "base/context.h"

/* Work on tile `index` by thread `worker` (0: the caller, below context->threads). */
typedef void kd__work(void *argument, int64_t index, int32_t worker);

/* Calls work for index 0 .. count - 1, each once, on any thread; returns when all are done. Runs on the caller alone when
 * the pool is busy with another call.                                                                                    */
void kd__parallel(kd_context *context, int64_t count, kd__work *work, void *argument);

kd_status kd__pool_create(kd_context *context);
void kd__pool_free(kd_context *context);

#endif
