/* A call: denominators, the rows of every output, sums in row order. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "core/loss/features.h"

static const kd__student *student_of(const kd__student *students, int32_t count, int32_t output)
{
    for (int32_t i = 0; i < count; i++)
        if (students[i].output == output) return &students[i];
    return NULL;
}

static kd_status denominators(const kd_loss *loss, const kd_loss_counts *counts, double *scales,
                              double *divisors)
{
    kd_loss_counts given = { .struct_size = sizeof given };
    KD_TRY(kd__options_read(&given, sizeof given, counts, "kd_loss_counts"));
    KD_FAIL_IF(counts && given.terms != loss->count, KD_ERR_SHAPE,
               "counts: expected %d terms, got %d", loss->count, given.terms);
    for (int32_t t = 0; t < loss->count; t++) {
        const kd__sources *s = &loss->sources[t];
        int by_weight = loss->terms[t].o.count == KD_COUNT_WEIGHTS;
        double rows = counts ? (double)given.rows[t] : (double)s->count,
               weights = counts ? given.weights[t] : s->weight_sum;
        divisors[t] = by_weight ? weights : rows;
        KD_FAIL_IF(!isfinite(divisors[t]) || divisors[t] < 0 ||
                       (divisors[t] == 0 && s->count && !by_weight),
                   KD_ERR_RANGE,
                   "counts: term %d has %lld rows here: expected a denominator above 0, got %g", t,
                   (long long)s->count, divisors[t]);
        scales[t] = divisors[t] > 0 ? loss->terms[t].weight / divisors[t] : 0;
    }
    return KD_OK;
}

static kd_status refuse_features(const kd__kind *kind, int32_t t, int64_t r)
{
    return kd__fail(KD_ERR_NONFINITE,
                    "%s (term %d): row %lld: a side has NaN, infinity, or nothing but zeros, which "
                    "have no direction; nonfinite = KD_NONFINITE_SKIP leaves such rows out",
                    kind->name, t, (long long)r);
}

static kd_status refuse(const kd_loss *loss, int32_t t, int64_t r)
{
    const kd__term *term = &loss->terms[t];
    const kd__kind *kind = kd__kind_of(term->kind);
    KD_FAIL_IF(loss->sources[t].state[r] == KD__ROW_RANGE, KD_ERR_RANGE,
               "%s: row %lld: a target is not in 0 to 1", kind->name, (long long)r);
    if (kd__is_feature(term)) return refuse_features(kind, t, r);
    return kd__fail(
        KD_ERR_NONFINITE,
        "%s (term %d): row %lld: NaN or +infinity in the logits, or an infinite divergence%s%s%s; "
        "nonfinite = KD_NONFINITE_SKIP leaves such rows out",
        kind->name, t, (long long)r, kind->remedy ? " (" : "", kind->remedy ? kind->remedy : "",
        kind->remedy ? ")" : "");
}

static kd_status add_up(const kd_loss *loss, const double *scales, kd_loss_result *made)
{
    made->terms = loss->count;
    for (int32_t t = 0; t < loss->count; t++) {
        const kd__sources *s = &loss->sources[t];
        for (int64_t r = 0; r < s->rows; r++) {
            if (s->state[r] == KD__ROW_MASKED) continue;
            if (s->state[r] == KD__ROW_RANGE || (s->state[r] == KD__ROW_NONFINITE &&
                                                 loss->terms[t].o.nonfinite == KD_NONFINITE_REFUSE))
                return refuse(loss, t, r);
            if (s->state[r] == KD__ROW_NONFINITE) made->skipped[t]++;
            else made->rows[t]++;
            made->sum[t] += s->value[r];
        }
        made->value += scales[t] * made->sum[t];
    }
    return KD_OK;
}

static int has_columns(const kd__pass *w, int32_t i)
{
    return kd__kind_of(w->loss->terms[w->terms[i]].kind)->columns;
}

/* DIST's part over columns belongs to the batch: it is shared out over the rows. Each term keeps
 * its sums until the rows are done. */
static kd_status prepare_dist(kd__pass *w)
{
    kd_loss *loss = w->loss;
    int64_t room = 0;
    for (int32_t i = 0; i < w->count; i++)
        if (has_columns(w, i)) room += kd__dist_room(&loss->sources[w->terms[i]]);
    if (!room) return KD_OK;
    KD_FAIL_IF(kd__needs_blocks(w), KD_ERR_UNSUPPORTED,
               "DIST sees whole columns of the batch: it cannot be used with a head, which is "
               "applied in blocks");
    KD_TRY(KD_RESERVE(loss->object.context, &loss->columns, &loss->columns_room, room));
    double *at = loss->columns;
    for (int32_t i = 0; i < w->count; i++) {
        if (!has_columns(w, i)) continue;
        kd__dist_columns(w, w->terms[i], at);
        at += kd__dist_room(&loss->sources[w->terms[i]]);
    }
    return KD_OK;
}

/* Terms that look at one row of an output at a time. */
static kd_status run_rows(kd_loss *loss, const kd__student *student, const double *scales,
                          kd_loss_result *made)
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
                   .last = student->rows };
    int64_t widest = student->width, wide = 0, most = 0;
    for (int32_t t = 0; t < loss->count; t++) {
        const kd__sources *s = &loss->sources[t];
        w.scales[t] = scales[t];
        if (loss->terms[t].output != student->output || kd__is_feature(&loss->terms[t])) continue;
        if (!kd__term_runs(loss, t)) continue;
        w.terms[w.count++] = t;
        if (s->teacher_classes > widest) widest = s->teacher_classes;
        if (s->sparse && s->sparse->most > most) most = s->sparse->most;
        if (kd__kind_of(loss->terms[t].kind)->doubles && widest > wide) wide = widest;
    }
    w.room = kd__round_up(widest, 16) + 16;
    w.wide_room = kd__max(most + 2, wide) + 6;
    w.stride = kd__scratch_of(&w);
    KD_TRY(KD_RESERVE(loss->object.context, &loss->scratch, &loss->scratch_room,
                      w.stride * loss->object.context->threads));
    w.scratch = loss->scratch;
    KD_TRY(prepare_dist(&w));
    if (kd__needs_blocks(&w)) return kd__run_blocks(&w, made);
    kd__run_rows(&w);
    return KD_OK;
}

static int has_two_outputs(const kd__term *term)
{
    return kd__kind_of(term->kind)->tokens || kd__kind_of(term->kind)->sided;
}

/* Terms of features add their gradients to what the others have written: values that lie under the
 * gradients are copied first. */
static kd_status run_features(kd_loss *loss, const kd__student *student, const double *scales)
{
    for (int32_t t = 0; t < loss->count; t++)
        if (loss->terms[t].output == student->output && kd__is_feature(&loss->terms[t]) &&
            !has_two_outputs(&loss->terms[t]) && kd__term_runs(loss, t))
            KD_TRY(kd__run_feature(loss, t, student, scales[t]));
    return KD_OK;
}

/* The outputs that are a term's scale and bias; NULL: it has none. */
static void scalars_of(const kd__term *term, const kd__student *students, int32_t count,
                       const kd__student *scalars[KD__PAIR_SCALARS])
{
    for (int i = 0; i < KD__PAIR_SCALARS; i++)
        scalars[i] = term->pairs.scalar[i] ? student_of(students, count, term->pairs.scalar[i] - 1)
                                           : NULL;
}

/* Terms of two outputs add to the gradients of both when all others have written theirs. */
static kd_status run_two_outputs(kd_loss *loss, const kd__student *students, int32_t count,
                                 const double *scales)
{
    for (int32_t t = 0; t < loss->count; t++) {
        const kd__term *term = &loss->terms[t];
        if (!kd__term_runs(loss, t)) continue;
        const kd__student *first = student_of(students, count, term->output),
                          *second = student_of(students, count, term->key_output);
        if (kd__kind_of(term->kind)->tokens)
            KD_TRY(kd__run_tokens(loss, t, first, second, scales[t]));
        const kd__student *scalars[KD__PAIR_SCALARS];
        scalars_of(term, students, count, scalars);
        if (kd__kind_of(term->kind)->sided)
            KD_TRY(kd__run_pairs(loss, t, first, second, scalars, scales[t]));
    }
    return KD_OK;
}

static kd_status check_two_outputs(const kd_loss *loss, const kd__student *students, int32_t count)
{
    for (int32_t t = 0; t < loss->count; t++) {
        const kd__term *term = &loss->terms[t];
        if (!kd__term_runs(loss, t)) continue;
        const kd__student *first = student_of(students, count, term->output),
                          *second = student_of(students, count, term->key_output);
        if (kd__kind_of(term->kind)->tokens) KD_TRY(kd__tokens_check(loss, t, first, second));
        const kd__student *scalars[KD__PAIR_SCALARS];
        scalars_of(term, students, count, scalars);
        if (kd__kind_of(term->kind)->sided)
            KD_TRY(kd__pairs_check(loss, t, first, second, scalars));
    }
    return KD_OK;
}

static int has_features(const kd_loss *loss, int32_t output)
{
    for (int32_t t = 0; t < loss->count; t++)
        if (loss->terms[t].output == output && kd__is_feature(&loss->terms[t]) &&
            kd__term_runs(loss, t))
            return 1;
    return 0;
}

/* A student whose values stay when its gradients are written; *copy is released later. */
static kd_status keep_values(const kd_loss *loss, kd__student *student, float **copy)
{
    const int64_t rows = student->rows, width = student->width;
    if (!student->alias) return KD_OK;
    KD_TRY(kd__scratch_take(loss->object.context, rows * width, copy));
    for (int64_t r = 0; r < rows; r++)
        memcpy(*copy + r * width, student->z + r * student->z_step * (int64_t)sizeof(float),
               (size_t)width * sizeof(float));
    student->z = (const char *)*copy;
    student->z_step = width;
    student->alias = 0;
    return KD_OK;
}

static kd_status run_student(kd_loss *loss, const kd__student *student, const double *scales,
                             kd_loss_result *made)
{
    kd__student kept = *student;
    float *copy = NULL;
    if (!has_features(loss, student->output)) return run_rows(loss, student, scales, made);
    KD_FAIL_IF(student->has_head, KD_ERR_UNSUPPORTED,
               "'%s' is computed by a head, in blocks: a term of features compares hidden states",
               student->name);
    KD_TRY(keep_values(loss, &kept, &copy));
    kd_status status = run_rows(loss, &kept, scales, made);
    if (status == KD_OK) status = run_features(loss, &kept, scales);
    if (copy) kd__scratch_give(loss->object.context, copy);
    return status;
}

kd_status kd__loss_run(kd_loss *loss, const kd__student *students, int32_t count,
                       const kd_loss_counts *counts, kd_loss_result *result)
{
    double scales[KD_LOSS_MAX_TERMS], divisors[KD_LOSS_MAX_TERMS];
    kd_loss_result made = { .struct_size = sizeof made };
    KD_TRY(denominators(loss, counts, scales, divisors));
    KD_TRY(check_two_outputs(loss, students, count));
    KD_TRY(kd__projections_retract(loss));
    kd__parameters_begin(loss);
    for (int32_t i = 0; i < count; i++) KD_TRY(run_student(loss, &students[i], scales, &made));
    KD_TRY(run_two_outputs(loss, students, count, scales));
    KD_TRY(add_up(loss, scales, &made));
    kd__watch_end(loss);
    kd__loss_diagnose(loss, &made);
    return result ? kd__info_write(result, &made, sizeof made, "kd_loss_result") : KD_OK;
}

/* ---- students ---- */

kd_status kd__students_resolve(kd_loss *loss, const kd__student *students, int32_t count,
                               kd_batch *batch, kd_targets *targets)
{
    kd__student_side sides[KD_LOSS_MAX_TERMS] = { { 0 } };
    for (int32_t t = 0; t < loss->count; t++) {
        if (!kd__term_runs(loss, t)) continue;
        const kd__student *student = student_of(students, count, loss->terms[t].output);
        KD_FAIL_IF(!student, KD_ERR_NOT_FOUND,
                   "term %d compares the student's '%s', which is not given", t,
                   loss->terms[t].o.student_output);
        const kd__student *other = student_of(students, count, loss->terms[t].key_output);
        KD_FAIL_IF(!other, KD_ERR_NOT_FOUND,
                   "term %d compares the student's '%s' and '%s': the second is not given", t,
                   loss->terms[t].o.student_output, loss->terms[t].key_output_name);
        const kd__pairs_of *pairs = &loss->terms[t].pairs;
        for (int i = 0; i < KD__PAIR_SCALARS; i++)
            KD_FAIL_IF(pairs->scalar[i] && !student_of(students, count, pairs->scalar[i] - 1),
                       KD_ERR_NOT_FOUND, "term %d: its %s '%s' is not given", t,
                       i == KD__PAIR_SCALE ? "scale_output" : "bias_output",
                       pairs->names.scalar[i]);
        sides[t] = (kd__student_side){ student->width, student->grid, student->unit,
                                       student->present, other->present };
    }
    return kd__loss_resolve(loss, batch, targets, sides);
}

static kd_status check_output(const kd_array *array, const kd__student *student, const char *side,
                              int64_t *width, int64_t *step)
{
    const char *name = student->name;
    KD_TRY(kd__array_check(array, name));
    KD_FAIL_IF(array->rank < 1 || array->dims[0] != student->rows, KD_ERR_SHAPE,
               "%s of '%s': expected %lld %s, got %lld", side, name, (long long)student->rows,
               student->unit == KD__OF_ROWS ? "rows" : "samples",
               array->rank < 1 ? 0 : (long long)array->dims[0]);
    int strided = array->rank == 2 && array->strides[1] == 1 && array->strides[0] >= array->dims[1];
    KD_FAIL_IF(!strided && !kd__array_contiguous(array), KD_ERR_SHAPE,
               "%s of '%s': expected contiguous rows", side, name);
    int64_t found = kd__array_row(array);
    KD_FAIL_IF(found < 1, KD_ERR_SHAPE, "%s of '%s': expected at least one column, got %lld", side,
               name, (long long)found);
    KD_FAIL_IF(*width && *width != found, KD_ERR_SHAPE,
               "%s of '%s': expected %lld columns, got %lld", side, name, (long long)*width,
               (long long)found);
    *width = found;
    *step = strided ? array->strides[0] : found;
    return KD_OK;
}

static kd_status read_dtypes(const kd_loss_output *o, kd__student *student)
{
    const int32_t dtype = student->dtype = o->value->dtype;
    const int half = (dtype == KD_FLOAT16 || dtype == KD_BFLOAT16) && !student->has_head;
    KD_FAIL_IF(dtype != KD_FLOAT32 && !half, KD_ERR_DTYPE,
               "value of '%s': expected float32%s, got %s", student->name,
               student->has_head ? "" : ", float16 or bfloat16", kd__dtype_name(dtype));
    KD_FAIL_IF(o->gradient && o->gradient->dtype != KD_FLOAT32, KD_ERR_DTYPE,
               "gradient of '%s': expected float32, got %s", student->name,
               kd__dtype_name(o->gradient->dtype));
    return KD_OK;
}

void kd__student_set_unit(kd__student *student, const kd_batch *batch, int32_t unit)
{
    student->unit = KD__OF_BATCH;
    student->rows = 1;
    if (unit == KD_UNIT_OF_BATCH) return;
    const int of_samples = unit == KD_UNIT_OF_SAMPLE && !batch->fields.one_row;
    student->unit = of_samples ? KD__OF_SAMPLES : KD__OF_ROWS;
    student->rows = kd__unit_entries(batch, student->unit);
}

/* Of an output that the host gives as so many entries. */
static int32_t unit_of_host(const kd_loss *loss, int32_t output, int64_t entries,
                            const kd_batch *batch, const kd_targets *targets)
{
    if (output >= 0 && kd__output_is_scale(loss, output)) return KD_UNIT_OF_BATCH;
    if (entries != batch->samples) return KD_UNIT_OF_ROW;
    if (entries != batch->fields.rows) return KD_UNIT_OF_SAMPLE;
    for (int32_t t = 0; t < loss->count; t++)
        if (loss->terms[t].output == output &&
            kd__unit_of_fields(&loss->terms[t], batch, targets) == KD__OF_SAMPLES)
            return KD_UNIT_OF_SAMPLE;
    return KD_UNIT_OF_ROW;
}

static kd_status read_output(const kd_loss *loss, const kd_loss_output *given,
                             const kd_batch *batch, const kd_targets *targets, kd__student *student)
{
    kd_loss_output o = { .struct_size = sizeof o };
    int64_t width = 0;
    memset(student, 0, sizeof *student);
    KD_TRY(kd__options_read(&o, sizeof o, given, "kd_loss_output"));
    student->name = o.name ? o.name : "logits";
    student->output = kd__output_named(loss, student->name);
    KD_TRY(kd__array_check(o.value, student->name));
    const int64_t entries = o.value->rank ? o.value->dims[0] : 0;
    kd__student_set_unit(student, batch,
                         unit_of_host(loss, student->output, entries, batch, targets));
    student->has_head = o.head != NULL;
    if (o.head) {
        KD_TRY(kd__head_read(&student->head, o.head, &student->width, &student->hidden_width));
        width = student->hidden_width;
    }
    KD_TRY(check_output(o.value, student, "value", &width, &student->z_step));
    if (!o.head) student->width = width;
    KD_TRY(read_dtypes(&o, student));
    student->z = o.value->data;
    kd__map_shape(o.value, student->shape);
    student->grid = kd__grid_of(o.value, student->unit, &batch->fields);
    student->is_given = 1;
    student->add = o.accumulate != 0;
    if (!o.gradient) return KD_OK;
    KD_TRY(check_output(o.gradient, student, "gradient", &width, &student->dz_step));
    student->dz = o.gradient->data;
    student->alias = (const char *)student->dz == student->z;
    KD_FAIL_IF(student->alias &&
                   (student->add || student->has_head || student->dtype != KD_FLOAT32),
               KD_ERR_INVALID,
               "gradient of '%s' lies over its value: it must be float32 logits, and cannot be "
               "accumulated",
               student->name);
    return KD_OK;
}

/* What a batch without rows gives: every term 0, of 0 rows. */
static kd_status nothing(const kd_loss *loss, kd_loss_result *result)
{
    const kd_loss_result made = { .struct_size = sizeof made, .terms = loss->count };
    return result ? kd__info_write(result, &made, sizeof made, "kd_loss_result") : KD_OK;
}

static kd_status nothing_of(const kd_loss *loss, const kd_model *model, kd_loss_result *result)
{
    KD_FAIL_IF(!model->empty, KD_ERR_SHAPE,
               "the batch has no rows, the model's last forward pass had %lld",
               (long long)model->rows);
    return nothing(loss, result);
}

kd_status kd_loss_evaluate(kd_loss *loss, const kd_loss_output *outputs, int32_t count,
                           kd_batch *batch, kd_targets *targets, const kd_loss_counts *counts,
                           kd_loss_result *result)
{
    kd__student students[KD__MOST_OUTPUTS];
    KD_NEED(loss);
    KD_NEED(outputs);
    KD_NEED(batch);
    KD_FAIL_IF(count < 1 || count > KD__MOST_OUTPUTS, KD_ERR_RANGE,
               "outputs: expected 1 to %d, got %d", KD__MOST_OUTPUTS, count);
    for (int32_t i = 0; i < count; i++) {
        const void *entry = (const char *)outputs + (size_t)i * outputs[0].struct_size;
        KD_TRY(read_output(loss, entry, batch, targets, &students[i]));
    }
    if (!batch->fields.rows && loss->count) return nothing(loss, result);
    KD_TRY(kd__students_resolve(loss, students, count, batch, targets));
    KD_TRY(kd__loss_run(loss, students, count, counts, result));
    kd__parameters_commit(loss);
    return KD_OK;
}

/* An output's name meets a model once: later calls with the same model know its slot. */
kd_status kd__output_bind(kd__bound_output *output, const kd_model *model)
{
    int32_t slot;
    if (output->model == model->serial) return KD_OK;
    KD_TRY(kd__model_slot(model, output->name, &slot));
    output->slot = slot;
    output->model = model->serial;
    return KD_OK;
}

static kd_status model_student(kd_model *model, kd_batch *batch, const kd__bound_output *output,
                               kd__student *student)
{
    kd_array values;
    kd_head head = KD_HEAD_INIT;
    const int32_t hidden = kd__model_head(model, output->slot, 0, &head);
    student->has_head = hidden >= 0;
    KD_TRY(
        kd__model_output(model, student->has_head ? hidden : output->slot, output->name, &values));
    kd__student_set_unit(student, batch, kd__model_unit(model, output->slot));
    KD_FAIL_IF(values.dims[0] != student->rows, KD_ERR_SHAPE,
               "the batch has %lld %s, the model's last forward pass had %lld",
               (long long)student->rows, student->unit == KD__OF_SAMPLES ? "samples" : "rows",
               (long long)values.dims[0]);
    KD_TRY(kd__model_present(model, batch, output->slot, &student->present));
    student->name = output->name;
    student->attention = kd__model_attention(model, output->slot);
    student->z = values.data;
    kd__map_shape(&values, student->shape);
    student->grid = kd__grid_of(&values, student->unit, &batch->fields);
    student->dtype = KD_FLOAT32;
    student->width = student->hidden_width = student->dz_step = kd__array_row(&values);
    student->z_step = values.strides[0];
    return student->has_head
               ? kd__head_read(&student->head, &head, &student->width, &student->hidden_width)
               : KD_OK;
}

kd_status kd__students_of(kd_loss *loss, kd_model *model, kd_batch *batch, kd__student *students)
{
    for (int32_t i = 0; i < loss->output_count; i++) {
        memset(&students[i], 0, sizeof students[i]);
        students[i].output = i;
        KD_TRY(kd__output_bind(&loss->outputs[i], model));
        KD_TRY(model_student(model, batch, &loss->outputs[i], &students[i]));
    }
    return KD_OK;
}

/* And of the head where there is one. */
kd_status kd__students_gradients(kd_loss *loss, kd_model *model, kd__student *students)
{
    for (int32_t i = 0; i < loss->output_count; i++) {
        kd_head head = KD_HEAD_INIT;
        int32_t slot = loss->outputs[i].slot;
        if (students[i].has_head) {
            slot = kd__model_head(model, slot, 1, &head);
            students[i].head.weight_gradient = head.weight_gradient;
            students[i].head.bias_gradient = head.bias_gradient;
        }
        students[i].head.skip_bound = loss->skip_bound;
        KD_TRY(
            kd__model_gradient(model, slot, students[i].name, &students[i].dz, &students[i].add));
    }
    return KD_OK;
}

kd_status kd_loss_forward(kd_loss *loss, kd_model *model, kd_batch *batch, kd_targets *targets,
                          const kd_loss_counts *counts, kd_loss_result *result)
{
    kd__student students[KD__MOST_OUTPUTS];
    KD_NEED(loss);
    KD_NEED(model);
    KD_NEED(batch);
    if (!kd__model_entries(model, batch)) return nothing_of(loss, model, result);
    KD_TRY(kd__students_of(loss, model, batch, students));
    KD_TRY(kd__students_resolve(loss, students, loss->output_count, batch, targets));
    return kd__loss_run(loss, students, loss->output_count, counts, result);
}

kd_status kd_loss_backward(kd_loss *loss, kd_model *model, kd_batch *batch, kd_targets *targets,
                           const kd_loss_counts *counts, kd_loss_result *result)
{
    kd__student students[KD__MOST_OUTPUTS];
    KD_NEED(loss);
    KD_NEED(model);
    KD_NEED(batch);
    if (!kd__model_entries(model, batch)) {
        KD_TRY(nothing_of(loss, model, result));
        return kd_model_backward(model);
    }
    KD_TRY(kd__students_of(loss, model, batch, students));
    KD_TRY(kd__students_resolve(loss, students, loss->output_count, batch, targets));
    kd_status status = kd__students_gradients(loss, model, students);
    if (status == KD_OK) status = kd__loss_run(loss, students, loss->output_count, counts, result);
    if (status != KD_OK) {
        kd__model_forget_gradients(model);
        return status;
    }
    KD_TRY(kd_model_backward(model));
    kd__parameters_commit(loss);
    return KD_OK;
}
