/* Time, and numbers in order. */
#ifndef KD_BASE_MEASURE_H
#define KD_BASE_MEASURE_H

#include <stdint.h>
#include <stdlib.h>

#include "base/os.h"

static inline int kd__compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static inline void kd__sort_doubles(double *values, int64_t count)
{
    qsort(values, (size_t)count, sizeof *values, kd__compare_doubles);
}

/* Of sorted values (count >= 1) the one that has the share below it, nearest rank. */
static inline double kd__percentile(const double *sorted, int64_t count, double share)
{
    return sorted[(int64_t)((double)(count - 1) * share + 0.5)];
}

#endif
