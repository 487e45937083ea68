/* Several teachers as one. With member probabilities p_k at temperature T and weights w_k (sum 1):
 *   mean of probabilities: v = T log sum_k w_k p_k, so that softmax(v / T) is the mean
 *   mean of logits:        v = sum_k w_k v_k */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/text.h"
#include "math/kernels.h"
#include "core/teacher/teacher.h"

static const kd_ensemble_options defaults = KD_ENSEMBLE_OPTIONS_INIT;
void kd_ensemble_options_init(kd_ensemble_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

static kd_status set_weights(kd_teacher *made, const double *weights)
{
    double sum = 0;
    KD_TRY(KD_NEW(made->object.context, &made->weights, made->member_count));
    for (int64_t i = 0; i < made->member_count; i++) {
        made->weights[i] = weights ? weights[i] : 1;
        KD_FAIL_IF(!(made->weights[i] >= 0) || !isfinite(made->weights[i]), KD_ERR_RANGE,
                   "ensemble: weight %lld: expected a finite number from 0, got %g", (long long)i,
                   made->weights[i]);
        sum += made->weights[i];
    }
    KD_FAIL_IF(!(sum > 0), KD_ERR_RANGE, "ensemble: expected a weight above 0, got only zeros");
    for (int64_t i = 0; i < made->member_count; i++) made->weights[i] /= sum;
    return KD_OK;
}

kd_status kd__members_hold(kd_teacher *made, kd_teacher *const *teachers, int32_t count,
                           const char *what)
{
    KD_FAIL_IF(count < 1 || count > 1024, KD_ERR_RANGE, "%s: expected 1 to 1024 teachers, got %d",
               what, count);
    KD_TRY(KD_NEW(made->object.context, &made->members, count));
    for (int32_t i = 0; i < count; i++) {
        KD_FAIL_IF(!teachers[i], KD_ERR_INVALID, "%s: member %d: expected a teacher, got NULL",
                   what, i);
        made->members[made->member_count++] = kd__object_hold(teachers[i]);
    }
    return KD_OK;
}

kd_status kd_teacher_from_ensemble(kd_teacher **out, kd_context *context,
                                   kd_teacher *const *teachers, int32_t count,
                                   const kd_ensemble_options *options)
{
    kd_ensemble_options o = defaults;
    kd_teacher *made = NULL;
    KD_NEED(teachers);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_ensemble_options"));
    KD_FAIL_IF(!(o.temperature > 0) || !isfinite(o.temperature), KD_ERR_RANGE,
               "temperature: expected above 0, got %g", o.temperature);
    KD_FAIL_IF(o.mean != KD_MEAN_OF_PROBABILITIES && o.mean != KD_MEAN_OF_LOGITS, KD_ERR_RANGE,
               "mean: expected KD_MEAN_OF_PROBABILITIES or KD_MEAN_OF_LOGITS, got %d", o.mean);
    KD_TRY(kd__teacher_new(out ? &made : NULL, context, NULL));
    made->ensemble = o;
    made->ensemble.field = NULL;
    made->read = kd__read_ensemble;
    kd_status status =
        kd__name_copy(made->ensemble_field, o.field ? o.field : "logits", "field of the ensemble");
    if (status == KD_OK) status = kd__members_hold(made, teachers, count, "ensemble");
    if (status == KD_OK) status = set_weights(made, o.weights);
    if (status != KD_OK) {
        kd_teacher_free(made);
        return status;
    }
    *out = made;
    return KD_OK;
}

kd_status kd__members_read(kd_teacher *teacher, kd_batch *batch, kd_targets *targets)
{
    if (!targets->members) KD_TRY(KD_NEW(targets->object.context, &targets->members, 1024));
    while (targets->member_count < teacher->member_count) {
        KD_TRY(kd_targets_create(&targets->members[targets->member_count], targets->object.context,
                                 NULL));
        targets->member_count++;
    }
    for (int64_t i = 0; i < teacher->member_count; i++)
        KD_TRY(kd_teacher_read(teacher->members[i], batch, targets->members[i]));
    return KD_OK;
}

static kd_status add_row(const kd_teacher *teacher, const kd__kernels *kernels, float *sum,
                         float *scratch, const float *logits, int64_t n, double weight, int64_t row)
{
    int32_t bad;
    if (weight == 0) return KD_OK;
    float max = kernels->scan(logits, n, &bad);
    KD_FAIL_IF(bad || max == -INFINITY, KD_ERR_NONFINITE,
               "ensemble: row %lld of a member holds NaN or infinity", (long long)row);
    if (teacher->ensemble.mean == KD_MEAN_OF_LOGITS) {
        kernels->axpby(sum, (float)weight, logits, 1, n);
        return KD_OK;
    }
    double total =
        kernels->exponentials(logits, n, max, (float)(1 / teacher->ensemble.temperature), scratch);
    kernels->axpby(sum, (float)(weight / total), scratch, 1, n);
    return KD_OK;
}

static kd_status merge_row(const kd_teacher *teacher, kd_targets *targets, kd__field *to,
                           int64_t row, int64_t n)
{
    const kd__kernels *kernels = targets->object.context->kernels;
    float *sum = (float *)(void *)to->buffer + row * n;
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int64_t m = 0; m < teacher->member_count; m++) {
        const kd__field *field =
            kd__fields_find(&targets->members[m]->fields, teacher->ensemble_field);
        if (field->present && !field->present[row]) {
            to->present_buffer[row] = 0;
            memset(sum, 0, (size_t)n * sizeof *sum);
            return KD_OK;
        }
        KD_TRY(add_row(teacher, kernels, sum, targets->scratch,
                       (const float *)field->values.data + row * n, n, teacher->weights[m], row));
    }
    for (int64_t i = 0; i < n && teacher->ensemble.mean == KD_MEAN_OF_PROBABILITIES; i++)
        sum[i] = (float)(teacher->ensemble.temperature * log((double)sum[i]));
    return KD_OK;
}

kd_status kd__read_ensemble(kd_teacher *teacher, kd_batch *batch, kd_targets *targets)
{
    kd__field *to;
    int64_t dims[2] = { 0 };
    int32_t unit = KD__OF_ROWS;
    int absent = 0;
    KD_TRY(kd__members_read(teacher, batch, targets));
    for (int64_t m = 0; m < teacher->member_count; m++)
        KD_TRY(kd__logits_open(targets->members[m], teacher->ensemble_field));
    for (int64_t m = 0; m < teacher->member_count; m++)
        if (kd__sparse_find(targets->members[m], teacher->ensemble_field))
            return kd__ensemble_merge_sparse(teacher, targets);
    for (int64_t m = 0; m < teacher->member_count; m++) {
        const kd__field *field =
            kd__fields_find(&targets->members[m]->fields, teacher->ensemble_field);
        KD_FAIL_IF(!field || field->values.dtype != KD_FLOAT32, KD_ERR_NOT_FOUND,
                   "ensemble: member %lld gave no field '%s' of float32: 'field' of "
                   "kd_ensemble_options, the only one that is merged",
                   (long long)m, teacher->ensemble_field);
        int64_t width = kd__array_row(&field->values);
        KD_FAIL_IF(m && width != dims[1], KD_ERR_SHAPE,
                   "ensemble: member %lld has %lld classes, the first has %lld", (long long)m,
                   (long long)width, (long long)dims[1]);
        KD_FAIL_IF(m && field->unit != unit, KD_ERR_SHAPE,
                   "ensemble: member %lld's '%s' is %s, the first's is %s", (long long)m,
                   field->name, kd__unit_name(field->unit), kd__unit_name(unit));
        unit = field->unit;
        dims[0] = field->values.dims[0];
        dims[1] = width;
        absent |= field->present != NULL;
    }
    KD_TRY(KD_RESERVE(targets->object.context, &targets->scratch, &targets->scratch_room, dims[1]));
    KD_TRY(kd__fields_open_unit(&targets->fields, unit, teacher->ensemble_field, KD_FLOAT32, 2,
                                dims, &to));
    if (absent) KD_TRY(kd__fields_open_present(&targets->fields, to));
    for (int64_t r = 0; r < dims[0]; r++) KD_TRY(merge_row(teacher, targets, to, r, dims[1]));
    return KD_OK;
}
