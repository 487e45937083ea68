/* A call: denominators, the rows of every output, sums in row order. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "loss/loss.h"

const kd__student *kd__find_student(const kd__student *students, int32_t count, const char *name)
{
    for (int32_t i = 0; i < count; i++)
        if (!strcmp(students[i].name, name)) return &students[i];
    return NULL;
}

static kd_status denominators(const kd_loss *loss, const kd_loss_counts *counts, double *scales, double *divisors)
{
    kd_loss_counts given = { .struct_size = sizeof given };
    KD_TRY(kd__options_read(&given, sizeof given, counts, "kd_loss_counts"));
    KD_FAIL_IF(counts && given.terms != loss->count, KD_ERR_SHAPE, "counts: expected %d terms, got %d", loss->count, given.terms);
    for (int32_t t = 0; t < loss->count; t++) {
        const kd__sources *s = &loss->sources[t];
        int by_weight = loss->terms[t].o.count == KD_COUNT_WEIGHTS;
        double rows = counts ? (double)given.rows[t] : (double)s->count, weights = counts ? given.weights[t] : s->weight_sum;
        divisors[t] = by_weight ? weights : rows;
        KD_FAIL_IF(!isfinite(divisors[t]) || divisors[t] < 0 || (divisors[t] == 0 && s->count && !by_weight), KD_ERR_RANGE,
                   "counts: term %d has %lld rows here, but a denominator of %g", t, (long long)s->count, divisors[t]);
        scales[t] = divisors[t] > 0 ? loss->terms[t].weight / divisors[t] : 0;
    }
    return KD_OK;
}

static kd_status refuse(const kd_loss *loss, int32_t t, int64_t r)
{
    const kd__term *term = &loss->terms[t];
    const char *kind = kd__kind_of(term->kind)->name;
    KD_FAIL_IF(loss->sources[t].state[r] == KD__ROW_RANGE, KD_ERR_RANGE, "%s: row %lld: a target is not in 0 to 1", kind, (long long)r);
    return kd__fail(KD_ERR_NONFINITE, "%s (term %d): row %lld: NaN or +infinity in the logits, or an infinite divergence%s", kind, t, (long long)r,
                    term->kind == KD_LOSS_REVERSE_KL ? " (option log_floor bounds it)" : "");
}

static kd_status add_up(const kd_loss *loss, const double *scales, kd_loss_result *made)
{
    made->terms = loss->count;
    for (int32_t t = 0; t < loss->count; t++) {
        const kd__sources *s = &loss->sources[t];
        for (int64_t r = 0; r < s->rows; r++) {
            if (s->state[r] == KD__ROW_MASKED) continue;
            if (s->state[r] == KD__ROW_RANGE || (s->state[r] == KD__ROW_NONFINITE && loss->terms[t].o.nonfinite == KD_NONFINITE_REFUSE))
                return refuse(loss, t, r);
            if (s->state[r] == KD__ROW_NONFINITE) made->skipped[t]++;
            else made->rows[t]++;
            made->sum[t] += s->value[r];
        }
        made->value += scales[t] * made->sum[t];
    }
    return KD_OK;
}

/* DIST's part over columns belongs to the batch: it is shared out over the rows. */
static kd_status prepare_dist(kd__pass *w)
{
    for (int32_t i = 0; i < w->count; i++) {
        if (w->loss->terms[w->terms[i]].kind != KD_LOSS_DIST) continue;
        KD_FAIL_IF(kd__needs_blocks(w), KD_ERR_UNSUPPORTED,
                   "DIST sees whole columns of the batch: it cannot be used with a head that goes through in blocks");
        KD_TRY(kd__dist_columns(w, w->terms[i]));
    }
    return KD_OK;
}

static kd_status run_student(kd_loss *loss, const kd__student *student, const double *scales, kd_loss_result *made)
{
    kd__pass w = { .loss = loss,
                   .student = student,
                   .z = student->z,
                   .dz = student->dz,
                   .z_step = student->z_step,
                   .dz_step = student->dz_step,
                   .z_dtype = student->dtype,
                   .add = student->add,
                   .alias = student->alias,
                   .last = loss->sources[0].rows };
    int64_t widest = student->width, wide = 0, most = 0;
    for (int32_t t = 0; t < loss->count; t++) {
        const kd__sources *s = &loss->sources[t];
        w.scales[t] = scales[t];
        if (strcmp(loss->terms[t].o.student_output, student->name)) continue;
        w.terms[w.count++] = t;
        if (s->teacher_classes > widest) widest = s->teacher_classes;
        if (s->sparse && s->sparse->most > most) most = s->sparse->most;
        if (kd__needs_wide(loss->terms[t].kind) && widest > wide) wide = widest;
    }
    w.room = (widest + 15) / 16 * 16 + 16;
    w.wide_room = (most + 2 > wide ? most + 2 : wide) + 6;
    w.stride = kd__scratch_of(&w);
    KD_TRY(KD_RESERVE(loss->object.context, &loss->scratch, &loss->scratch_room, w.stride * loss->object.context->threads));
    w.scratch = loss->scratch;
    KD_TRY(prepare_dist(&w));
    if (kd__needs_blocks(&w)) return kd__run_blocks(&w, made);
    kd__run_rows(&w);
    return KD_OK;
}

kd_status kd__loss_run(kd_loss *loss, const kd__student *students, int32_t count, const kd_loss_counts *counts, kd_loss_result *result)
{
    double scales[KD_LOSS_MAX_TERMS], divisors[KD_LOSS_MAX_TERMS];
    kd_loss_result made = { .struct_size = sizeof made };
    KD_TRY(denominators(loss, counts, scales, divisors));
    for (int32_t i = 0; i < count; i++) KD_TRY(run_student(loss, &students[i], scales, &made));
    KD_TRY(add_up(loss, scales, &made));
    kd__loss_diagnose(loss, &made);
    return result ? kd__info_write(result, &made, sizeof made, "kd_loss_result") : KD_OK;
}

/* ---- students ---- */

static kd_status resolve_for(kd_loss *loss, const kd__student *students, int32_t count, kd_batch *batch, kd_targets *targets)
{
    int64_t widths[KD_LOSS_MAX_TERMS];
    for (int32_t t = 0; t < loss->count; t++) {
        const kd__student *student = kd__find_student(students, count, loss->terms[t].o.student_output);
        KD_FAIL_IF(!student, KD_ERR_NOT_FOUND, "term %d compares the student's '%s', which is not given", t, loss->terms[t].o.student_output);
        widths[t] = student->width;
    }
    return kd__loss_resolve(loss, batch, targets, widths);
}

static kd_status check_output(const kd_array *array, int64_t rows, const char *name, const char *side, int64_t *width, int64_t *step)
{
    KD_TRY(kd__array_check(array, name));
    KD_FAIL_IF(array->rank < 1 || array->dims[0] != rows, KD_ERR_SHAPE, "%s of '%s': expected %lld rows, got %lld", side, name, (long long)rows,
               array->rank < 1 ? 0 : (long long)array->dims[0]);
    int strided = array->rank == 2 && array->strides[1] == 1 && array->strides[0] >= array->dims[1];
    KD_FAIL_IF(!strided && !kd__array_contiguous(array), KD_ERR_SHAPE, "%s of '%s': the rows must be contiguous", side, name);
    int64_t found = kd__array_row(array);
    KD_FAIL_IF(found < 1, KD_ERR_SHAPE, "%s of '%s': rows of no columns", side, name);
    KD_FAIL_IF(*width && *width != found, KD_ERR_SHAPE, "%s of '%s': expected %lld columns, got %lld", side, name, (long long)*width,
               (long long)found);
    *width = found;
    *step = strided ? array->strides[0] : found;
    return KD_OK;
}

static kd_status read_dtypes(const kd_loss_output *o, kd__student *student)
{
    const int32_t dtype = student->dtype = o->value->dtype;
    const int half = (dtype == KD_FLOAT16 || dtype == KD_BFLOAT16) && !student->has_head;
    KD_FAIL_IF(dtype != KD_FLOAT32 && !half, KD_ERR_DTYPE, "value of '%s': expected float32%s, got %s", student->name,
               student->has_head ? "" : ", float16 or bfloat16", kd__dtype_name(dtype));
    KD_FAIL_IF(o->gradient && o->gradient->dtype != KD_FLOAT32, KD_ERR_DTYPE, "gradient of '%s': expected float32, got %s", student->name,
               kd__dtype_name(o->gradient->dtype));
    return KD_OK;
}

static kd_status read_output(const kd_loss_output *given, int64_t rows, kd__student *student)
{
    kd_loss_output o = { .struct_size = sizeof o };
    int64_t width = 0;
    memset(student, 0, sizeof *student);
    KD_TRY(kd__options_read(&o, sizeof o, given, "kd_loss_output"));
    student->name = o.name ? o.name : "logits";
    student->has_head = o.head != NULL;
    if (o.head) {
        KD_TRY(kd__head_read(&student->head, o.head, &student->width, &student->hidden_width));
        width = student->hidden_width;
    }
    KD_TRY(check_output(o.value, rows, student->name, "value", &width, &student->z_step));
    if (!o.head) student->width = width;
    KD_TRY(read_dtypes(&o, student));
    student->z = o.value->data;
    student->add = o.accumulate != 0;
    if (!o.gradient) return KD_OK;
    KD_TRY(check_output(o.gradient, rows, student->name, "gradient", &width, &student->dz_step));
    student->dz = o.gradient->data;
    student->alias = (const char *)student->dz == student->z;
    KD_FAIL_IF(student->alias && (student->add || student->has_head || student->dtype != KD_FLOAT32), KD_ERR_INVALID,
               "gradient of '%s' lies over its value: it must be float32 logits, and cannot be accumulated", student->name);
    return KD_OK;
}

kd_status kd_loss_eval(kd_loss *loss, const kd_loss_output *outputs, int32_t count, kd_batch *batch, kd_targets *targets,
                       const kd_loss_counts *counts, kd_loss_result *result)
{
    kd__student students[KD_LOSS_MAX_TERMS];
    KD_NEED(loss);
    KD_NEED(outputs);
    KD_NEED(batch);
    KD_FAIL_IF(count < 1 || count > KD_LOSS_MAX_TERMS, KD_ERR_RANGE, "outputs: expected 1 to %d, got %d", KD_LOSS_MAX_TERMS, count);
    for (int32_t i = 0; i < count; i++) {
        const void *entry = (const char *)outputs + (size_t)i * outputs[0].struct_size;
        KD_TRY(read_output(entry, batch->fields.rows, &students[i]));
    }
    KD_TRY(resolve_for(loss, students, count, batch, targets));
    return kd__loss_run(loss, students, count, counts, result);
}

/* The model's outputs that terms compare, each once. */
static kd_status model_students(kd_loss *loss, kd_model *model, kd_batch *batch, kd__student *students, int32_t *count)
{
    *count = 0;
    for (int32_t t = 0; t < loss->count; t++) {
        const char *name = loss->terms[t].o.student_output;
        kd_array values;
        kd_head head = KD_HEAD_INIT;
        const char *hidden = name;
        if (kd__find_student(students, *count, name)) continue;
        kd__student *student = &students[*count];
        memset(student, 0, sizeof *student);
        student->has_head = kd__model_head(model, name, 0, &head, &hidden);
        KD_TRY(kd_model_output(model, hidden, &values));
        KD_FAIL_IF(values.dims[0] != batch->fields.rows, KD_ERR_SHAPE, "the batch has %lld rows, the model's last forward pass had %lld",
                   (long long)batch->fields.rows, (long long)values.dims[0]);
        student->name = name;
        student->z = values.data;
        student->dtype = KD_FLOAT32;
        student->width = student->hidden_width = student->z_step = student->dz_step = kd__array_row(&values);
        if (student->has_head) KD_TRY(kd__head_read(&student->head, &head, &student->width, &student->hidden_width));
        (*count)++;
    }
    return KD_OK;
}

kd_status kd_loss_value(kd_loss *loss, kd_model *model, kd_batch *batch, kd_targets *targets, const kd_loss_counts *counts, kd_loss_result *result)
{
    kd__student students[KD_LOSS_MAX_TERMS];
    int32_t count;
    KD_NEED(loss);
    KD_NEED(model);
    KD_NEED(batch);
    KD_TRY(model_students(loss, model, batch, students, &count));
    KD_TRY(resolve_for(loss, students, count, batch, targets));
    return kd__loss_run(loss, students, count, counts, result);
}

kd_status kd_loss_backward(kd_loss *loss, kd_model *model, kd_batch *batch, kd_targets *targets, const kd_loss_counts *counts, kd_loss_result *result)
{
    kd__student students[KD_LOSS_MAX_TERMS];
    int32_t count;
    KD_NEED(loss);
    KD_NEED(model);
    KD_NEED(batch);
    KD_TRY(model_students(loss, model, batch, students, &count));
    KD_TRY(resolve_for(loss, students, count, batch, targets));
    kd_status status = KD_OK;
    for (int32_t i = 0; i < count && status == KD_OK; i++) {
        kd_head head = KD_HEAD_INIT;
        const char *name = students[i].name;
        if (students[i].has_head && kd__model_head(model, name, 1, &head, &name)) students[i].head.weight_gradient = head.weight_gradient;
        students[i].head.skip_bound = loss->skip_bound;
        status = kd__model_gradient_slot(model, name, &students[i].dz, &students[i].add);
    }
    if (status == KD_OK) status = kd__loss_run(loss, students, count, counts, result);
    if (status == KD_OK) return kd_model_backward(model);
    kd__model_forget_gradients(model);
    return status;
}
