/* A metric's value with its error. */
#ifndef KD_CORE_METRICS_SPREAD_H
#define KD_CORE_METRICS_SPREAD_H

#include <kdistill/metrics.h>

#define KD__NORMAL_95 1.959963984540054 /* of the normal distribution, 97.5 % */

/* Sums of numbers, and of their squares. */
typedef struct kd__mean_of {
    double sum, squares;
    int64_t rows;
} kd__mean_of;

/* A share of rows, Wilson's interval; a mean, the normal one. */
void kd__metric_share(kd_metric *out, int64_t right, int64_t rows);
void kd__metric_mean(kd_metric *out, const kd__mean_of *mean);

#endif
