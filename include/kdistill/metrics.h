/* kdistill/metrics.h - what a run is judged by, and its report.   SPDX-License-Identifier: Apache-2.0 */
#ifndef KDISTILL_METRICS_H
#define KDISTILL_METRICS_H

#include <kdistill/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kd_metrics kd_metrics;
typedef struct kd_report kd_report;

typedef struct kd_metrics_options {
    uint32_t struct_size;
    int32_t top_k;             /* of KD_METRIC_TOP_K                        */
    int32_t calibration_bins;  /* equal widths over 0..1; 15                */
    int32_t bootstrap;         /* resamples for errors of metrics without a formula; 0: none */
    uint64_t seed;             /* of the resamples; 0: the context's        */
} kd_metrics_options;
#define KD_METRICS_OPTIONS_INIT { (uint32_t)sizeof(kd_metrics_options), 5, 15, 0, 0 }
KD_API void kd_metrics_options_init(kd_metrics_options *options, size_t size);

/* An empty collection for predictions over `classes` classes (2 to 1,000,000). */
KD_API kd_status kd_metrics_create(kd_metrics **out, kd_context *context, int64_t classes, const kd_metrics_options *options);
KD_API void kd_metrics_free(kd_metrics *metrics);

/* Adds predictions: logits (rows, classes) float32, labels (rows) integer, the teacher's logits of the same shape or NULL. */
KD_API kd_status kd_metrics_add(kd_metrics *metrics, const kd_array *logits, const kd_array *labels, const kd_array *teacher_logits);
KD_API kd_status kd_metrics_reset(kd_metrics *metrics);

#define KD_METRIC_ACCURACY 1           /* share of rows whose argmax is the label                          */
#define KD_METRIC_TOP_K 2              /* share whose label is among the top_k highest                     */
#define KD_METRIC_MACRO_F1 3           /* mean over classes that occur of 2 P R / (P + R)                  */
#define KD_METRIC_NLL 4                /* mean -log q_y, nats                                              */
#define KD_METRIC_ECE 5                /* expected calibration error: sum over bins of share |acc - conf|  [Guo et al. 2017] */
#define KD_METRIC_AGREEMENT 6          /* share whose argmax is the teacher's                              */
#define KD_METRIC_TEACHER_KL 7         /* mean KL(teacher, student) at T = 1, nats                         */
#define KD_METRIC_ACCURACY_WHERE_TEACHER_WRONG 8
#define KD_METRIC_ROWS 9

typedef struct kd_metric {
    uint32_t struct_size;
    int32_t reserved;
    double value;
    double standard_error; /* binomial for shares, of the mean for means, by bootstrap for macro-F1 and ECE; NaN where unknown */
    double low, high;      /* 95 %: Wilson for shares, normal for means, percentiles for bootstrap                          */
    int64_t rows;          /* that it was counted over                                                                       */
} kd_metric;

/* One metric of everything added. KD_ERR_STATE when nothing was added, or no teacher for one that needs it. */
KD_API kd_status kd_metrics_get(kd_metrics *metrics, int32_t kind, kd_metric *metric);

/* Counts (classes, classes) int64: row the label, column the prediction. Valid until the next add, reset or free. */
KD_API kd_status kd_metrics_confusion(kd_metrics *metrics, kd_array *counts);

/* Mean and standard error (n - 1) over repeated runs; count >= 1, the error of one run is NaN. */
KD_API kd_status kd_mean_error(const double *values, int32_t count, double *mean, double *standard_error);

typedef struct kd_latency {
    uint32_t struct_size;
    int32_t batch_size;
    int64_t runs;
    double mean, p50, p90, p99, least; /* seconds a forward pass                       */
    double samples_per_second;         /* batch_size / p50                             */
} kd_latency;

/* Times KD_EVALUATE forward passes on zeros: some warm-up, then passes for about `seconds` (at least 5, at most 100,000). */
KD_API kd_status kd_metrics_latency(kd_model *model, int32_t batch_size, double seconds, kd_latency *latency);

/* ---- report: a JSON object filled by dotted names ---- */

KD_API kd_status kd_report_create(kd_report **out, kd_context *context);
KD_API void kd_report_free(kd_report *report);
/* "students.soft.accuracy": objects are made as needed; a name set twice keeps the last value. NaN and infinity become null. */
KD_API kd_status kd_report_set_number(kd_report *report, const char *name, double value);
KD_API kd_status kd_report_set_text(kd_report *report, const char *name, const char *text);
KD_API kd_status kd_report_set_numbers(kd_report *report, const char *name, const double *values, int64_t count);
/* The JSON text, valid until the report changes. */
KD_API kd_status kd_report_json(kd_report *report, const char **json);
/* Writes it beside its place and moves it in. */
KD_API kd_status kd_report_write(kd_report *report, const char *path);

/* A cell of a table; tables, rows and columns come in the order in which they are first named. standard_error NaN: none. In JSON:
 * "tables": {table: {row: {column: value or {"value", "standard_error"}}}}.                                                    */
KD_API kd_status kd_report_set_cell(kd_report *report, const char *table, const char *row, const char *column, double value, double standard_error);

#define KD_PICTURE_LINES 0
#define KD_PICTURE_POINTS 1 /* each with its series' name: accuracy against size */
#define KD_PICTURE_BARS 2   /* x are the bars' left edges, or 0, 1, ...          */

/* Points (x, y) of a series of a picture; a series named twice is replaced. In JSON: "pictures": {picture: {"kind", "series": {..}}}. */
KD_API kd_status kd_report_add_series(kd_report *report, const char *picture, const char *series, int32_t kind, const double *x, const double *y,
                                      int64_t count);
/* What the axes are called, and whether the first is one of logarithms. */
KD_API kd_status kd_report_set_axes(kd_report *report, const char *picture, const char *x, const char *y, int32_t logarithmic);
/* All of it as plain text: facts, then tables. Valid until the report changes. */
KD_API kd_status kd_report_text(kd_report *report, const char **text);
/* A page of its own, pictures drawn in it, no script and nothing from elsewhere. */
KD_API kd_status kd_report_write_html(kd_report *report, const char *path, const char *title);

#ifdef __cplusplus
}
#endif
#endif
