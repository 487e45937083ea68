/* Accuracy, agreement, calibration and their errors over predictions. */
#include <kdistill/metrics.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/measure.h"
#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/object.h"
#include "math/kernels.h"
#include "math/random.h"
#include "core/metrics/spread.h"

#define CONFUSION_LIMIT 4096

/* What bootstrap needs of one row. */
typedef struct {
    int32_t label, prediction;
    float confidence;
} record;

struct kd_metrics {
    kd__object object;
    int64_t classes;
    kd_metrics_options o;
    uint64_t seed;
    int64_t rows, right, in_top, teacher_rows, agreed, teacher_wrong, right_where_wrong;
    kd__mean_of nll, kl;
    int64_t *hits, *labels, *predictions; /* by class */
    int64_t *confusion;                   /* (classes, classes); NULL above CONFUSION_LIMIT */
    int64_t *bin_rows, *bin_right;
    double *bin_confidence;
    record *records;
    int64_t record_room;
    float *scratch; /* (2, classes) */
};

static const kd_metrics_options defaults = KD_METRICS_OPTIONS_INIT;
void kd_metrics_options_init(kd_metrics_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

static kd_status allocate_all(kd_metrics *m)
{
    kd_context *context = m->object.context;
    KD_TRY(KD_NEW(context, &m->hits, m->classes));
    KD_TRY(KD_NEW(context, &m->labels, m->classes));
    KD_TRY(KD_NEW(context, &m->predictions, m->classes));
    KD_TRY(KD_NEW(context, &m->bin_rows, m->o.calibration_bins));
    KD_TRY(KD_NEW(context, &m->bin_right, m->o.calibration_bins));
    KD_TRY(KD_NEW(context, &m->bin_confidence, m->o.calibration_bins));
    KD_TRY(KD_NEW(context, &m->scratch, 2 * (m->classes + 16)));
    return m->classes <= CONFUSION_LIMIT ? KD_NEW(context, &m->confusion, m->classes * m->classes)
                                         : KD_OK;
}

kd_status kd_metrics_create(kd_metrics **out, kd_context *context, int64_t classes,
                            const kd_metrics_options *options)
{
    kd_metrics_options o = defaults;
    kd_metrics *m = NULL;
    KD_NEED(out);
    KD_NEED(context);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_metrics_options"));
    KD_FAIL_IF(classes < 2 || classes > 1000000, KD_ERR_RANGE,
               "classes: expected 2 to 1,000,000, got %lld", (long long)classes);
    KD_FAIL_IF(o.top_k < 1 || o.calibration_bins < 1 || o.calibration_bins > 10000 ||
                   o.bootstrap < 0 || o.bootstrap > 1000000,
               KD_ERR_RANGE,
               "metrics: expected top_k from 1, calibration_bins of 1 to 10000, bootstrap of 0 to "
               "1000000, got %d, %d and %d",
               o.top_k, o.calibration_bins, o.bootstrap);
    KD_TRY(kd__object_create((void **)&m, context, sizeof *m));
    m->classes = classes;
    m->o = o;
    m->seed = o.seed ? o.seed : context->seed;
    kd_status status = allocate_all(m);
    if (status != KD_OK) {
        kd_metrics_free(m);
        return status;
    }
    *out = m;
    return KD_OK;
}

void kd_metrics_free(kd_metrics *m)
{
    if (!kd__object_drop(m)) return;
    void *blocks[] = { m->hits,      m->labels,         m->predictions, m->confusion, m->bin_rows,
                       m->bin_right, m->bin_confidence, m->records,     m->scratch };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        kd__release(m->object.context, blocks[i]);
    kd__object_destroy(m);
}

kd_status kd_metrics_reset(kd_metrics *m)
{
    KD_NEED(m);
    const size_t classes = (size_t)m->classes, bins = (size_t)m->o.calibration_bins;
    m->rows = m->right = m->in_top = m->teacher_rows = m->agreed = m->teacher_wrong =
        m->right_where_wrong = 0;
    m->nll = m->kl = (kd__mean_of){ 0 };
    memset(m->hits, 0, classes * sizeof *m->hits);
    memset(m->labels, 0, classes * sizeof *m->labels);
    memset(m->predictions, 0, classes * sizeof *m->predictions);
    if (m->confusion) memset(m->confusion, 0, classes * classes * sizeof *m->confusion);
    memset(m->bin_rows, 0, bins * sizeof *m->bin_rows);
    memset(m->bin_right, 0, bins * sizeof *m->bin_right);
    memset(m->bin_confidence, 0, bins * sizeof *m->bin_confidence);
    return KD_OK;
}

/* ---- adding ---- */

static void add_to(kd__mean_of *mean, double x)
{
    mean->sum += x;
    mean->squares += x * x;
    mean->rows++;
}

/* Classes with a higher logit than the label's; of equal ones the lower number comes first. */
static int64_t rank_of(const float *z, int64_t n, int64_t label)
{
    int64_t above = 0;
    for (int64_t i = 0; i < n; i++) above += z[i] > z[label] || (z[i] == z[label] && i < label);
    return above;
}

static int bin_of(const kd_metrics *m, double confidence)
{
    /* bins are open below, closed above */
    int bin = (int)ceil(confidence * m->o.calibration_bins) - 1;
    return kd__clamp(bin, 0, m->o.calibration_bins - 1);
}

static void add_student_row(kd_metrics *m, const float *z, int64_t label, int64_t prediction,
                            float max)
{
    const kd__kernels *kernels = m->object.context->kernels;
    double sum = kernels->exponentials(z, m->classes, max, 1, m->scratch), confidence = 1 / sum;
    int right = prediction == label, bin = bin_of(m, confidence);
    m->right += right;
    m->in_top += rank_of(z, m->classes, label) < m->o.top_k;
    add_to(&m->nll, log(sum) + max - z[label]);
    m->labels[label]++;
    m->predictions[prediction]++;
    m->hits[label] += right;
    if (m->confusion) m->confusion[label * m->classes + prediction]++;
    m->bin_rows[bin]++;
    m->bin_right[bin] += right;
    m->bin_confidence[bin] += confidence;
    if (m->records)
        m->records[m->rows] = (record){ (int32_t)label, (int32_t)prediction, (float)confidence };
    m->rows++;
}

static void add_teacher_row(kd_metrics *m, const float *z, const float *v, float z_max, float v_max,
                            int64_t label, int64_t prediction)
{
    const kd__kernels *kernels = m->object.context->kernels;
    int64_t hits = 0, best = kernels->argmax(v, m->classes);
    kd__side a = { z, z_max, m->scratch, 0 }, b = { v, v_max, m->scratch + m->classes + 16, 0 };
    double d = kernels->relative(&a, &b, m->classes, 1, -INFINITY, &hits);
    m->teacher_rows++;
    m->agreed += best == prediction;
    m->teacher_wrong += best != label;
    m->right_where_wrong += best != label && prediction == label;
    add_to(&m->kl, d / b.sum - log(b.sum) + log(a.sum));
}

static kd_status check_logits(const kd_metrics *m, const kd_array *array, int64_t rows,
                              const char *what)
{
    KD_TRY(kd__array_check_float32(array, what));
    KD_FAIL_IF(array->rank != 2 || array->dims[1] != m->classes, KD_ERR_SHAPE,
               "%s: expected (rows, %lld)", what, (long long)m->classes);
    KD_FAIL_IF(rows >= 0 && array->dims[0] != rows, KD_ERR_SHAPE,
               "%s: expected %lld rows, got %lld", what, (long long)rows,
               (long long)array->dims[0]);
    return KD_OK;
}

static kd_status scan_row(const kd_metrics *m, const float *x, int64_t row, const char *what,
                          float *max)
{
    int32_t bad;
    *max = m->object.context->kernels->scan(x, m->classes, &bad);
    KD_FAIL_IF(bad || *max == -INFINITY, KD_ERR_NONFINITE, "%s: row %lld has NaN or infinity", what,
               (long long)row);
    return KD_OK;
}

static kd_status add_rows(kd_metrics *m, const float *z, const int64_t *labels, const float *v,
                          int64_t rows, int check_only)
{
    for (int64_t r = 0; r < rows; r++) {
        float z_max, v_max = 0;
        KD_FAIL_IF(labels[r] < 0 || labels[r] >= m->classes, KD_ERR_RANGE,
                   "labels: row %lld: %lld is not in 0 to %lld", (long long)r, (long long)labels[r],
                   (long long)m->classes - 1);
        KD_TRY(scan_row(m, z + r * m->classes, r, "logits", &z_max));
        if (v) KD_TRY(scan_row(m, v + r * m->classes, r, "teacher_logits", &v_max));
        if (check_only) continue;
        int64_t prediction = m->object.context->kernels->argmax(z + r * m->classes, m->classes);
        add_student_row(m, z + r * m->classes, labels[r], prediction, z_max);
        if (v)
            add_teacher_row(m, z + r * m->classes, v + r * m->classes, z_max, v_max, labels[r],
                            prediction);
    }
    return KD_OK;
}

kd_status kd_metrics_add(kd_metrics *m, const kd_array *logits, const kd_array *labels,
                         const kd_array *teacher_logits)
{
    int64_t *numbers = NULL;
    KD_NEED(m);
    KD_TRY(check_logits(m, logits, -1, "logits"));
    const int64_t rows = logits->dims[0];
    if (teacher_logits) KD_TRY(check_logits(m, teacher_logits, rows, "teacher_logits"));
    KD_TRY(kd__array_check(labels, "labels"));
    KD_FAIL_IF(kd_array_count(labels) != rows, KD_ERR_SHAPE, "labels: expected %lld, got %lld",
               (long long)rows, (long long)kd_array_count(labels));
    if (m->o.bootstrap)
        KD_TRY(KD_RESERVE(m->object.context, &m->records, &m->record_room, m->rows + rows));
    KD_TRY(KD_NEW(m->object.context, &numbers, rows));
    const float *v = teacher_logits ? teacher_logits->data : NULL;
    kd_status status = kd__array_to_int64(labels, numbers, "labels");
    if (status == KD_OK) status = add_rows(m, logits->data, numbers, v, rows, 1);
    if (status == KD_OK) status = add_rows(m, logits->data, numbers, v, rows, 0);
    kd__release(m->object.context, numbers);
    return status;
}

/* ---- values ---- */

void kd__metric_share(kd_metric *out, int64_t right, int64_t rows)
{
    double n = (double)rows, p = rows ? (double)right / n : NAN, z2 = KD__NORMAL_95 * KD__NORMAL_95;
    double center = (p + z2 / (2 * n)) / (1 + z2 / n),
           half = KD__NORMAL_95 / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n));
    out->value = p;
    out->standard_error = sqrt(p * (1 - p) / n);
    out->low = center - half;
    out->high = center + half;
    out->rows = rows;
}

void kd__metric_mean(kd_metric *out, const kd__mean_of *m)
{
    double n = (double)m->rows, mean = m->sum / n,
           variance = n > 1 ? fmax(0, (m->squares - n * mean * mean) / (n - 1)) : NAN;
    out->value = mean;
    out->standard_error = sqrt(variance / n);
    out->low = mean - KD__NORMAL_95 * out->standard_error;
    out->high = mean + KD__NORMAL_95 * out->standard_error;
    out->rows = m->rows;
}

static double macro_f1(const int64_t *hits, const int64_t *labels, const int64_t *predictions,
                       int64_t classes)
{
    double sum = 0;
    int64_t occur = 0;
    for (int64_t c = 0; c < classes; c++) {
        if (!labels[c] && !predictions[c]) continue;
        occur++;
        sum += 2 * (double)hits[c] / (double)(labels[c] + predictions[c]);
    }
    return occur ? sum / (double)occur : NAN;
}

static double calibration_error(const int64_t *rows, const int64_t *right, const double *confidence,
                                int32_t bins)
{
    double sum = 0, all = 0;
    for (int32_t b = 0; b < bins; b++) {
        sum += fabs((double)right[b] - confidence[b]);
        all += (double)rows[b];
    }
    return sum / all;
}

/* One resample's value, from counts made anew. */
static double resample(const kd_metrics *m, kd_metrics *fresh, uint64_t stream, int32_t kind)
{
    kd_metrics_reset(fresh);
    for (int64_t i = 0; i < m->rows; i++) {
        const record *r =
            &m->records[(int64_t)(kd__uniform(stream, (uint64_t)i) * (double)m->rows)];
        int bin = bin_of(m, r->confidence), right = r->label == r->prediction;
        fresh->labels[r->label]++;
        fresh->predictions[r->prediction]++;
        fresh->hits[r->label] += right;
        fresh->bin_rows[bin]++;
        fresh->bin_right[bin] += right;
        fresh->bin_confidence[bin] += r->confidence;
    }
    return kind == KD_METRIC_ECE
               ? calibration_error(fresh->bin_rows, fresh->bin_right, fresh->bin_confidence,
                                   m->o.calibration_bins)
               : macro_f1(fresh->hits, fresh->labels, fresh->predictions, m->classes);
}

static kd_status bootstrap(kd_metrics *m, int32_t kind, kd_metric *out)
{
    const int32_t count = m->o.bootstrap;
    kd_metrics *fresh = NULL;
    double *values = NULL;
    kd_metrics_options o = m->o;
    o.bootstrap = 0;
    KD_TRY(KD_NEW(m->object.context, &values, count));
    kd_status status = kd_metrics_create(&fresh, m->object.context, m->classes, &o);
    for (int32_t i = 0; i < count && status == KD_OK; i++) {
        status = kd__progress(m->object.context, "bootstrap", i, count);
        values[i] = resample(m, fresh, kd__stream(m->seed, 0x626f6f74, (uint64_t)i), kind);
    }
    if (status == KD_OK) {
        kd_metrics_mean(values, count, NULL, &out->standard_error);
        out->standard_error *= sqrt((double)count); /* the spread of resamples, not of their mean */
        kd__sort_doubles(values, count);
        out->low = values[(int32_t)(0.025 * (count - 1))];
        out->high = values[(int32_t)(0.975 * (count - 1) + 0.5)];
    }
    kd_metrics_free(fresh);
    kd__release(m->object.context, values);
    return status;
}

kd_status kd_metrics_get(kd_metrics *m, int32_t kind, kd_metric *metric)
{
    kd_metric now = { .value = NAN, .standard_error = NAN, .low = NAN, .high = NAN };
    KD_NEED(m);
    KD_FAIL_IF(kind < KD_METRIC_ACCURACY || kind > KD_METRIC_ROWS, KD_ERR_INVALID,
               "metric: expected %d to %d, got %d", KD_METRIC_ACCURACY, KD_METRIC_ROWS, kind);
    KD_FAIL_IF(!m->rows, KD_ERR_STATE, "nothing was added to the metrics yet");
    int of_teacher = kind == KD_METRIC_AGREEMENT || kind == KD_METRIC_TEACHER_KL ||
                     kind == KD_METRIC_ACCURACY_WHERE_TEACHER_WRONG;
    KD_FAIL_IF(of_teacher && !m->teacher_rows, KD_ERR_STATE, "metric %d needs the teacher's logits",
               kind);
    now.rows = m->rows;
    switch (kind) {
    case KD_METRIC_ACCURACY: kd__metric_share(&now, m->right, m->rows); break;
    case KD_METRIC_TOP_K: kd__metric_share(&now, m->in_top, m->rows); break;
    case KD_METRIC_AGREEMENT: kd__metric_share(&now, m->agreed, m->teacher_rows); break;
    case KD_METRIC_ACCURACY_WHERE_TEACHER_WRONG:
        kd__metric_share(&now, m->right_where_wrong, m->teacher_wrong);
        break;
    case KD_METRIC_NLL: kd__metric_mean(&now, &m->nll); break;
    case KD_METRIC_TEACHER_KL: kd__metric_mean(&now, &m->kl); break;
    case KD_METRIC_MACRO_F1:
        now.value = macro_f1(m->hits, m->labels, m->predictions, m->classes);
        break;
    case KD_METRIC_ECE:
        now.value =
            calibration_error(m->bin_rows, m->bin_right, m->bin_confidence, m->o.calibration_bins);
        break;
    default: now.value = (double)m->rows; break;
    }
    if ((kind == KD_METRIC_MACRO_F1 || kind == KD_METRIC_ECE) && m->o.bootstrap > 1)
        KD_TRY(bootstrap(m, kind, &now));
    return kd__info_write(metric, &now, sizeof now, "kd_metric");
}

kd_status kd_metrics_confusion(kd_metrics *m, kd_array *counts)
{
    KD_NEED(m);
    KD_NEED(counts);
    KD_FAIL_IF(!m->confusion, KD_ERR_UNSUPPORTED,
               "confusion matrix: expected at most %d classes, got %lld", CONFUSION_LIMIT,
               (long long)m->classes);
    const int64_t dims[2] = { m->classes, m->classes };
    kd__array_view(counts, m->confusion, KD_INT64, 2, dims);
    return KD_OK;
}

kd_status kd_metrics_mean(const double *values, int32_t count, double *mean, double *standard_error)
{
    double sum = 0, squares = 0;
    KD_NEED(values);
    KD_FAIL_IF(count < 1, KD_ERR_RANGE, "values: expected at least 1, got %d", count);
    for (int32_t i = 0; i < count; i++) sum += values[i];
    for (int32_t i = 0; i < count; i++)
        squares += (values[i] - sum / count) * (values[i] - sum / count);
    if (mean) *mean = sum / count;
    if (standard_error) *standard_error = count > 1 ? sqrt(squares / (count - 1) / count) : NAN;
    return KD_OK;
}
