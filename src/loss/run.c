/* The rows of all terms, in tiles whose cuts depend on the shape alone; sums are made in row order afterwards. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/thread.h"
#include "loss/loss.h"

const kd__student *kd__find_student(const kd__student *students, int32_t count, const char *name)
{
    for (int32_t i = 0; i < count; i++)
        if (!strcmp(students[i].name, name)) return &students[i];
    return NULL;
}

typedef struct {
    kd_loss *loss;
    const kd__student *student;
    int32_t terms[KD_LOSS_MAX_TERMS], count; /* the terms on this output */
    double scales[KD_LOSS_MAX_TERMS];        /* weight / denominator, by term */
    int64_t rows, tile;
    float *scratch; /* (threads, 3, room) */
    int64_t room;
} work;

static void run_term(const work *w, int32_t t, int64_t r, float *dz, int32_t add, float *scratch)
{
    kd_loss *loss = w->loss;
    const kd__term *term = &loss->terms[t];
    kd__sources *s = &loss->sources[t];
    const double factor = kd__term_t2(term) * s->row_weight[r];
    kd__row row = { .kernels = loss->object.context->kernels, .term = term, .n = s->classes, .label = s->row_label[r], .add = add };
    row.z = w->student->z + r * w->student->z_step;
    row.v = s->teacher ? s->teacher + r * s->teacher_width : NULL;
    row.numbers = s->numbers ? s->numbers + s->row_target[r] * s->classes : NULL;
    row.integers = s->integers ? s->integers + s->row_target[r] * s->classes : NULL;
    row.ez = scratch;
    row.ev = scratch + w->room;
    row.scale = factor * w->scales[t];
    row.state = KD__ROW_VALID;
    row.dz = kd__kind_of(term->kind)->twice ? NULL : dz;
    kd__kind_row(term->kind)(&row);
    if (row.state == KD__ROW_VALID && !isfinite(row.loss)) row.state = KD__ROW_NONFINITE;
    if (row.state == KD__ROW_VALID && dz && !row.dz) {
        row.dz = dz;
        kd__kind_row(term->kind)(&row);
    }
    s->state[r] = (uint8_t)row.state;
    s->value[r] = row.state == KD__ROW_VALID ? row.loss * factor : 0;
    s->guards[r] = row.guards;
}

/* Terms write one after the other into dz; a term whose row is not finite leaves dz as it was. */
static void run_row(const work *w, int64_t r, float *scratch)
{
    const kd__student *st = w->student;
    float *target = st->dz ? st->dz + r * st->dz_step : NULL, *dz = st->alias ? scratch + 2 * w->room : target;
    int32_t add = st->add;
    for (int32_t i = 0; i < w->count; i++) {
        const kd__sources *s = &w->loss->sources[w->terms[i]];
        if (s->state[r] != KD__ROW_VALID) continue;
        run_term(w, w->terms[i], r, dz, add, scratch);
        if (s->state[r] != KD__ROW_VALID) continue;
        if (dz && !add) memset(dz + s->classes, 0, (size_t)(st->width - s->classes) * sizeof *dz);
        add = 1;
    }
    if (!dz) return;
    if (!add) memset(target, 0, (size_t)st->width * sizeof *target);
    else if (st->alias) memcpy(target, dz, (size_t)st->width * sizeof *target);
}

static void run_tile(void *argument, int64_t tile, int32_t worker)
{
    work *w = argument;
    int64_t last = (tile + 1) * w->tile < w->rows ? (tile + 1) * w->tile : w->rows;
    for (int64_t r = tile * w->tile; r < last; r++) run_row(w, r, w->scratch + worker * 3 * w->room);
}

static void run_student(kd_loss *loss, const kd__student *student, const double *scales, int64_t room)
{
    work w = { .loss = loss, .student = student, .rows = loss->sources[0].rows, .scratch = loss->scratch, .room = room };
    for (int32_t t = 0; t < loss->count; t++) {
        w.scales[t] = scales[t];
        if (!strcmp(loss->terms[t].o.student_output, student->name)) w.terms[w.count++] = t;
    }
    w.tile = 16384 / student->width;
    w.tile = w.tile < 4 ? 4 : w.tile > 64 ? 64 : w.tile; /* a few rows at least: each prefetches the next */
    kd__parallel(loss->object.context, (w.rows + w.tile - 1) / w.tile, run_tile, &w);
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

kd_status kd__loss_run(kd_loss *loss, const kd__student *students, int32_t count, const kd_loss_counts *counts, kd_loss_result *result)
{
    double scales[KD_LOSS_MAX_TERMS], divisors[KD_LOSS_MAX_TERMS];
    kd_loss_result made = { .struct_size = sizeof made };
    int64_t widest = 0;
    KD_TRY(denominators(loss, counts, scales, divisors));
    for (int32_t i = 0; i < count; i++)
        if (students[i].width > widest) widest = students[i].width;
    int64_t room = (widest + 15) / 16 * 16 + 16;
    KD_TRY(KD_RESERVE(loss->object.context, &loss->scratch, &loss->scratch_room, 3 * room * loss->object.context->threads));
    if (loss->diagnostics) KD_TRY(kd__loss_diagnose(loss, students, count));
    for (int32_t i = 0; i < count; i++) run_student(loss, &students[i], scales, room);
    KD_TRY(add_up(loss, scales, &made));
    for (int32_t t = 0; t < loss->count && loss->diagnostics; t++) {
        kd_loss_diagnostics *seen = &loss->terms[t].seen;
        seen->skipped = made.skipped[t];
        seen->rows = made.rows[t];
        for (int64_t r = 0; r < loss->sources[t].rows; r++) seen->guards += loss->sources[t].guards[r];
        seen->head_loss = made.rows[t] ? made.sum[t] / (double)made.rows[t] : NAN;
    }
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

static kd_status check_output(const kd_array *array, int64_t rows, const char *name, const char *side, kd__student *student, int64_t *step)
{
    KD_TRY(kd__array_check(array, name));
    KD_FAIL_IF(array->dtype != KD_FLOAT32, KD_ERR_DTYPE, "%s of '%s': expected float32, got %s", side, name, kd__dtype_name(array->dtype));
    KD_FAIL_IF(array->rank < 1 || array->dims[0] != rows, KD_ERR_SHAPE, "%s of '%s': expected %lld rows, got %lld", side, name, (long long)rows,
               array->rank < 1 ? 0 : (long long)array->dims[0]);
    int strided = array->rank == 2 && array->strides[1] == 1 && array->strides[0] >= array->dims[1];
    KD_FAIL_IF(!strided && !kd__array_contiguous(array), KD_ERR_SHAPE, "%s of '%s': the rows must be contiguous", side, name);
    int64_t width = kd__array_row(array);
    KD_FAIL_IF(width < 1, KD_ERR_SHAPE, "%s of '%s': rows of no columns", side, name);
    KD_FAIL_IF(student->width && student->width != width, KD_ERR_SHAPE, "gradient of '%s': expected %lld columns, got %lld", name,
               (long long)student->width, (long long)width);
    student->width = width;
    *step = strided ? array->strides[0] : width;
    return KD_OK;
}

static kd_status read_output(const kd_loss_output *given, int64_t rows, kd__student *student)
{
    kd_loss_output o = { .struct_size = sizeof o };
    memset(student, 0, sizeof *student);
    KD_TRY(kd__options_read(&o, sizeof o, given, "kd_loss_output"));
    student->name = o.name ? o.name : "logits";
    KD_TRY(check_output(o.value, rows, student->name, "value", student, &student->z_step));
    student->z = o.value->data;
    if (!o.gradient) return KD_OK;
    KD_TRY(check_output(o.gradient, rows, student->name, "gradient", student, &student->dz_step));
    student->dz = o.gradient->data;
    student->add = o.accumulate != 0;
    student->alias = student->dz == student->z;
    KD_FAIL_IF(student->alias && student->add, KD_ERR_INVALID, "gradient of '%s' lies over its value: it cannot be accumulated", student->name);
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
        if (kd__find_student(students, *count, name)) continue;
        KD_TRY(kd_model_output(model, name, &values));
        KD_FAIL_IF(values.dims[0] != batch->fields.rows, KD_ERR_SHAPE, "the batch has %lld rows, the model's last forward pass had %lld",
                   (long long)batch->fields.rows, (long long)values.dims[0]);
        kd__student *student = &students[(*count)++];
        memset(student, 0, sizeof *student);
        student->name = name;
        student->z = values.data;
        student->width = student->z_step = student->dz_step = kd__array_row(&values);
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
    for (int32_t i = 0; i < count && status == KD_OK; i++)
        status = kd__model_gradient_slot(model, students[i].name, &students[i].dz, &students[i].add);
    if (status == KD_OK) status = kd__loss_run(loss, students, count, counts, result);
    if (status == KD_OK) return kd_model_backward(model);
    for (int32_t i = 0; i < count; i++) kd__model_layer(model, students[i].name)->has_external = 0;
    return status;
}
