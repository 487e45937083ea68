/* Work on the rows of a batch, and on columns of sums over rows: cut by shape alone, so that
 * results do not depend on the number of threads. */
#ifndef KD_NN_RANGES_H
#define KD_NN_RANGES_H

#include <kdistill/context.h>
#include "math/kernels.h"

typedef struct kd__rows {
    kd_context *context;
    int64_t count; /* R */
} kd__rows;

/* Work on rows (or columns) first .. end - 1. */
typedef void kd__range_work(const kd__kernels *kernels, const void *argument, int64_t first,
                            int64_t end);

void kd__for_rows(const kd__rows *rows, kd__range_work *work, const void *argument);
/* Columns of a sum over rows: each is one thread's, in the order of the rows. At most
 * KD__COLUMNS at once.                                                                */
#define KD__COLUMNS 64
void kd__for_columns(kd_context *context, int64_t width, kd__range_work *work,
                     const void *argument);

#endif
