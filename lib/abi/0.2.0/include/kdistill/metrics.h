/* kdistill/metrics.h - how a run is judged: accuracy, calibration, agreement, latency.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   1.  kd_metrics_create(&metrics, context, 10, NULL);
 *   2.  kd_metrics_add(metrics, &logits, &labels, NULL);
 *   3.  kd_metrics_get(metrics, KD_METRIC_ACCURACY, &metric);    metric.value and its error */
#ifndef KDISTILL_METRICS_H
#define KDISTILL_METRICS_H

#include <kdistill/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_metrics kd_metrics;

typedef struct kd_metrics_options {
    uint32_t struct_size;
    int32_t top_k;            /* for KD_METRIC_TOP_K */
    int32_t calibration_bins; /* of equal width over 0..1; 15 */
    int32_t bootstrap;        /* resamples, for errors that have no formula; 0: none */
    uint64_t seed;            /* for the resamples; 0: the context's */
} kd_metrics_options;
#define KD_METRICS_OPTIONS_INIT                                                                    \
    {                                                                                              \
        (uint32_t)sizeof(kd_metrics_options), 5, 15, 0, 0                                          \
    }
KD_API void kd_metrics_options_init(kd_metrics_options *options, size_t size);

/* An empty collection for predictions over `classes` classes (2 to 1,000,000). */
KD_API kd_status kd_metrics_create(kd_metrics **out, kd_context *context, int64_t classes,
                                   const kd_metrics_options *options);
KD_API void kd_metrics_free(kd_metrics *metrics);

/* Adds predictions: logits (rows, classes) float32, labels (rows) integer, and the teacher's logits
 * of the same shape, or NULL. */
KD_API kd_status kd_metrics_add(kd_metrics *metrics, const kd_array *logits, const kd_array *labels,
                                const kd_array *teacher_logits);
KD_API kd_status kd_metrics_reset(kd_metrics *metrics);

#define KD_METRIC_ACCURACY 1 /* share of rows whose argmax is the label */
#define KD_METRIC_TOP_K 2    /* share of rows whose label is among the top_k highest */
#define KD_METRIC_MACRO_F1 3 /* mean of 2 P R / (P + R) over the classes that occur */
#define KD_METRIC_NLL 4      /* mean -log q_y, nats */
/* expected calibration error: sum over bins of share |acc - conf|  [Guo et al. 2017] */
#define KD_METRIC_ECE 5
#define KD_METRIC_AGREEMENT 6  /* share of rows whose argmax is the teacher's */
#define KD_METRIC_TEACHER_KL 7 /* mean KL(teacher, student) at T = 1, nats */
#define KD_METRIC_ACCURACY_WHERE_TEACHER_WRONG 8
#define KD_METRIC_ROWS 9

typedef struct kd_metric {
    uint32_t struct_size;
    int32_t reserved;
    double value;
    /* shares: binomial; means: of the mean; macro-F1 and ECE: bootstrap; NaN if unknown */
    double standard_error;
    /* 95 % interval: Wilson for shares, normal for means, percentiles for bootstrap */
    double low, high;
    int64_t rows; /* counted */
} kd_metric;

/* One metric of everything added. KD_ERR_STATE: nothing was added, or there was no teacher although
 * the metric needs one. */
KD_API kd_status kd_metrics_get(kd_metrics *metrics, int32_t kind, kd_metric *metric);

/* Counts (classes, classes) int64: one row per label, one column per prediction. Valid until the
 * next add, reset or free. */
KD_API kd_status kd_metrics_confusion(kd_metrics *metrics, kd_array *counts);

/* Mean and standard error (n - 1) over repeated runs; count >= 1. The error of a single run is
 * NaN. */
KD_API kd_status kd_metrics_mean(const double *values, int32_t count, double *mean,
                                 double *standard_error);

#define KD_CORRELATION_PEARSON 1
/* of ranks; equal values share the mean of their ranks. Sentence embeddings are judged by that of
 * cosines and scores (STS-B) */
#define KD_CORRELATION_SPEARMAN 2

/* How two arrays of `count` values go together, -1 to 1; NaN if all values of one are equal.
 * KD_ERR_RANGE: count is below 2. KD_ERR_NONFINITE names a value that is NaN or infinite. */
KD_API kd_status kd_metrics_correlation(kd_context *context, int32_t kind, const double *x,
                                        const double *y, int64_t count, double *correlation);

/* The same with its error and 95 % interval, which are approximate and NaN for 3 values or fewer:
 * - value r; rows: count; z = atanh r is about normal [Fisher 1915]
 * - standard_error of z: 1 / sqrt(n - 3); of ranks sqrt((1 + r^2 / 2) / (n - 3))
 *   [Bonett and Wright 2000]; that of r is (1 - r^2) times it
 * - low, high: tanh(z -+ 1.96 standard errors of z). Since 0.2 */
KD_API kd_status kd_metrics_measure_correlation(kd_context *context, int32_t kind, const double *x,
                                                const double *y, int64_t count, kd_metric *metric);

/* How well rows of one array find those of another that belong to them, by cosines. Since 0.2 */
/* share of queries with a candidate of their group among the first k */
#define KD_RETRIEVAL_RECALL 1
/* mean of 1 / place of the first candidate of the group; k is not read */
#define KD_RETRIEVAL_MRR 2
/* mean of the sum over candidates of the group among the first k of 1 / log2(1 + place), over the
 * largest such sum [Jarvelin and Kekalainen 2002] */
#define KD_RETRIEVAL_NDCG 3
/* share of queries whose group is that of most of the k nearest; of several, the nearest one's */
#define KD_RETRIEVAL_VOTE 4

/* One number over queries (n, width) and candidates (m, width), floats of any size. Groups (n) and
 * (m) are integers, equal ones belong together; both NULL: query i with candidate i. Queries
 * without a candidate of their group are left out, except by VOTE. Of equal cosines, candidates of
 * other groups come first, so that a collapse finds nothing. If both arrays are the same memory, a
 * row is not among its candidates. Common names of its calls:
 * - translation accuracy: RECALL, k 1, no groups; the other way with the arrays exchanged;
 * - k-nearest-neighbor accuracy: VOTE, groups are labels, candidates are the training rows;
 * - zero-shot accuracy: RECALL, k 1, candidates are the classes' texts, groups the classes.
 * metric: as kd_metrics_get's; errors of MRR and NDCG are those of a mean. KD_ERR_SHAPE: unlike
 * widths or lengths; KD_ERR_RANGE: kind, k below 1, or no query has a candidate of its group;
 * KD_ERR_NONFINITE: a row has NaN, infinity, or nothing but zeros. */
KD_API kd_status kd_metrics_measure_retrieval(kd_context *context, int32_t kind, int32_t k,
                                              const kd_array *queries, const kd_array *candidates,
                                              const kd_array *query_groups,
                                              const kd_array *candidate_groups, kd_metric *metric);

typedef struct kd_latency {
    uint32_t struct_size;
    int32_t batch_size;
    int64_t runs;
    double mean, p50, p90, p99, min; /* seconds per forward pass */
    double samples_per_second;       /* batch_size / p50 */
} kd_latency;

/* Times KD_MODE_EVALUATE forward passes on zeros: a warm-up, then passes for about `seconds` (at
 * least 5, at most 100,000). */
KD_API kd_status kd_model_measure_latency(kd_model *model, int32_t batch_size, double seconds,
                                          kd_latency *latency);

#ifdef __cplusplus
}
#endif
#endif
