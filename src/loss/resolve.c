/* Before the mathematics: where each term's labels, masks, weights and teacher lie, and which rows are valid. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "loss/loss.h"

/* Arrays of all terms in one block: eight a term. */
static kd_status lay_out(kd_loss *loss, int64_t rows)
{
    const int64_t a_term = rows * (int64_t)(sizeof(double) + 2 * sizeof(int64_t) + sizeof(float) + 3 * sizeof(int32_t)) + (rows + 7) / 8 * 8 +
                           (loss->diagnostics ? rows * (int64_t)(KD__SEEN_COUNT * sizeof(double)) : 0);
    int64_t need;
    KD_TRY(kd__multiply(a_term, loss->count, &need));
    KD_TRY(KD_RESERVE(loss->object.context, &loss->block, &loss->block_room, need));
    for (int32_t t = 0; t < loss->count; t++) {
        kd__sources *s = &loss->sources[t];
        memset(s, 0, sizeof *s);
        s->rows = rows;
        s->value = (double *)(void *)(loss->block + t * a_term);
        s->seen = loss->diagnostics ? s->value + rows : NULL;
        s->row_label = (int64_t *)(void *)(s->value + rows * (loss->diagnostics ? 1 + KD__SEEN_COUNT : 1));
        s->row_target = s->row_label + rows;
        s->row_weight = (float *)(void *)(s->row_target + rows);
        s->guards = (int32_t *)(void *)(s->row_weight + rows);
        s->corrected = s->guards + rows;
        s->state = (uint8_t *)(s->corrected + 2 * rows);
    }
    return KD_OK;
}

/* Which tail of a sparse record serves the term's temperature, and whether its policy makes sense for the kind. */
static kd_status find_sparse(const kd__term *term, const kd__sparse *sparse, kd__sources *s)
{
    static const char *const names[] = { "BUCKET", "UNIFORM", "RENORM_TEACHER", "RENORM_BOTH", "TRUNCATE" };
    const kd__kind *kind = kd__kind_of(term->kind);
    const kd_term_options *o = &term->o;
    const int renorm = o->tail == KD_TAIL_RENORM_TEACHER || o->tail == KD_TAIL_RENORM_BOTH;
    s->sparse = sparse;
    s->teacher_present = sparse->present;
    KD_FAIL_IF(sparse->rows != s->rows, KD_ERR_SHAPE, "%s: the batch has %lld rows, the sparse field %lld", kind->name, (long long)s->rows,
               (long long)sparse->rows);
    const int same = fabs(sparse->temperature - o->temperature) <= 1e-6 * o->temperature;
    if (sparse->kind == KD_SPARSE_COUNTS) {
        KD_FAIL_IF(term->kind != KD_LOSS_FORWARD_KL, KD_ERR_UNSUPPORTED, "%s of sampled counts: only forward KL is unbiased from draws", kind->name);
        KD_FAIL_IF(!same, KD_ERR_MISMATCH, "sampled counts were drawn at temperature %g and serve no other (asked: %g)", sparse->temperature,
                   o->temperature);
        return KD_OK;
    }
    KD_FAIL_IF(!(kind->tails >> o->tail & 1), KD_ERR_UNSUPPORTED, "%s with the tail policy %s of a sparse teacher: %s", kind->name, names[o->tail],
               kind->reason);
    KD_FAIL_IF(term->kind == KD_LOSS_ALPHA_BETA && o->tail <= KD_TAIL_RENORM_TEACHER && o->tail != KD_TAIL_UNIFORM &&
                   fabs(o->ab_alpha + o->ab_beta - 1) > 1e-9,
               KD_ERR_UNSUPPORTED, "alpha-beta divergence with the tail policy %s: classes may be put together only where alpha + beta = 1 (%g here)",
               names[o->tail], o->ab_alpha + o->ab_beta);
    s->tail_index = same ? -1 : -2;
    for (int32_t i = 0; i < sparse->temperature_count && s->tail_index == -2; i++)
        if (fabs(sparse->temperatures[i] - o->temperature) <= 1e-6 * o->temperature) s->tail_index = i;
    KD_FAIL_IF(s->tail_index == -2 && !renorm && o->retemper != KD_RETEMPER_UNIFORM, KD_ERR_MISMATCH,
               "%s at temperature %g, policy %s: the records hold their tail at temperature %g and %d others, not at this one (option retemper "
               "takes the tail as uniform)",
               kind->name, o->temperature, names[o->tail], sparse->temperature, sparse->temperature_count);
    return KD_OK;
}

static kd_status find_teacher(const kd__term *term, kd_targets *targets, kd__sources *s)
{
    const char *kind = kd__kind_of(term->kind)->name, *name = term->o.teacher_field;
    KD_FAIL_IF(!targets, KD_ERR_INVALID, "%s needs a teacher, but targets is NULL", kind);
    const kd__sparse *sparse = kd__sparse_find(targets, name);
    if (sparse) return find_sparse(term, sparse, s);
    s->head = kd__virtual_find(targets, name);
    if (s->head) name = s->head->hidden;
    const kd__field *field = kd__fields_find(&targets->fields, name);
    KD_FAIL_IF(!field, KD_ERR_NOT_FOUND, "%s: the targets have no field '%s'", kind, name);
    KD_FAIL_IF(targets->fields.rows != s->rows, KD_ERR_SHAPE, "%s: the batch has %lld rows, the targets %lld", kind, (long long)s->rows,
               (long long)targets->fields.rows);
    s->teacher_dtype = field->values.dtype;
    const int half = (s->teacher_dtype == KD_FLOAT16 || s->teacher_dtype == KD_BFLOAT16) && !s->head && kd__kind_of(term->kind)->teacher;
    KD_FAIL_IF(s->teacher_dtype != KD_FLOAT32 && !half, KD_ERR_DTYPE, "%s: teacher field '%s': expected floats, got %s", kind, name,
               kd__dtype_name(s->teacher_dtype));
    s->teacher = field->values.data;
    s->teacher_present = field->present;
    s->teacher_width = kd__array_row(&field->values);
    if (!s->head) return KD_OK;
    KD_FAIL_IF(s->head->weight.dims[1] != s->teacher_width, KD_ERR_SHAPE, "%s: the teacher's head takes %lld numbers a row, '%s' has %lld", kind,
               (long long)s->head->weight.dims[1], name, (long long)s->teacher_width);
    return KD_OK;
}

static kd_status check_widths(const kd__term *term, kd__sources *s)
{
    const char *kind = kd__kind_of(term->kind)->name;
    const int64_t given = s->head ? s->head->weight.dims[0] : s->teacher ? s->teacher_width : 0;
    const int own_width = term->kind == KD_LOSS_ULD || term->kind == KD_LOSS_POLICY_GRADIENT;
    s->classes = term->o.classes ? term->o.classes : s->width ? s->width : given && !own_width ? given : INT64_MAX;
    s->teacher_classes = term->kind == KD_LOSS_ULD ? given : s->classes;
    KD_FAIL_IF(s->width && s->width < kd__kind_of(term->kind)->least_width, KD_ERR_SHAPE, "%s: expected at least %d columns, got %lld", kind,
               kd__kind_of(term->kind)->least_width, (long long)s->width);
    KD_FAIL_IF(s->width && s->width < s->classes, KD_ERR_SHAPE, "%s: expected at least %lld columns of '%s', got %lld", kind, (long long)s->classes,
               term->o.student_output, (long long)s->width);
    KD_FAIL_IF(term->shared.student && s->width && (s->classes != term->shared.classes || given != term->shared.teacher_classes), KD_ERR_SHAPE,
               "%s: the shared classes are of %lld and %lld classes, student and teacher have %lld and %lld", kind, (long long)term->shared.classes,
               (long long)term->shared.teacher_classes, (long long)s->classes, (long long)given);
    KD_FAIL_IF(term->kind == KD_LOSS_POLICY_GRADIENT && given != 1, KD_ERR_SHAPE, "%s: '%s': expected one log-probability a row, got %lld", kind,
               term->o.teacher_field, (long long)given);
    if (s->sparse && s->width)
        for (int64_t r = 0; r < s->rows; r++) {
            const int64_t last = s->sparse->offsets[r + 1];
            KD_FAIL_IF(last > s->sparse->offsets[r] && s->sparse->ids[last - 1] >= s->classes, KD_ERR_RANGE,
                       "%s: row %lld: the teacher's id %u is not in the student's %lld classes", kind, (long long)r, s->sparse->ids[last - 1],
                       (long long)s->classes);
        }
    if (!given || own_width) return KD_OK;
    KD_FAIL_IF(term->o.classes ? given < s->classes : given != s->classes, KD_ERR_SHAPE,
               "%s: the student's '%s' has %lld columns, the teacher's '%s' has %lld (option classes joins padded vocabularies)", kind,
               term->o.student_output, (long long)s->width, term->o.teacher_field, (long long)given);
    return KD_OK;
}

static kd_status find_labels(const kd__term *term, kd_batch *batch, kd_targets *targets, kd__sources *s)
{
    const kd__kind *kind = kd__kind_of(term->kind);
    const char *name = term->o.label_field;
    int from_teacher = !strncmp(name, "teacher:", 8);
    KD_FAIL_IF(from_teacher && (!targets || targets->fields.rows != s->rows), KD_ERR_INVALID, "%s: '%s' needs targets of %lld rows", kind->name, name,
               (long long)s->rows);
    const kd__field *field = kd__fields_find(from_teacher ? &targets->fields : &batch->fields, from_teacher ? name + 8 : name);
    KD_FAIL_IF(!field, KD_ERR_NOT_FOUND, "%s: no field '%s' with labels", kind->name, name);
    s->label_present = field->present;
    s->labels_optional = !kind->label && !kind->values;
    if (kind->label || s->labels_optional) {
        KD_FAIL_IF(field->values.dtype != KD_INT64, KD_ERR_DTYPE, "%s: labels '%s' must be integers, got %s", kind->name, name,
                   kd__dtype_name(field->values.dtype));
        KD_FAIL_IF(kd__array_row(&field->values) != 1, KD_ERR_SHAPE, "%s: expected one label a row in '%s', got %lld", kind->name, name,
                   (long long)kd__array_row(&field->values));
        s->labels = field->values.data;
        return KD_OK;
    }
    if (field->values.dtype == KD_INT64) s->integers = field->values.data;
    else s->numbers = field->values.data;
    int64_t width = kd__array_row(&field->values), wanted = s->width ? s->classes : width;
    KD_FAIL_IF(width != wanted, KD_ERR_SHAPE, "%s: expected %lld numbers a row in '%s', got %lld", kind->name, (long long)wanted, name,
               (long long)width);
    return KD_OK;
}

static kd_status find_mask(const kd__term *term, kd_batch *batch, kd__sources *s)
{
    if (term->o.mask_field) {
        s->mask = kd__fields_find(&batch->fields, term->o.mask_field);
        KD_FAIL_IF(!s->mask, KD_ERR_NOT_FOUND, "the batch has no mask field '%s'", term->o.mask_field);
        KD_FAIL_IF(kd__array_row(&s->mask->values) != 1, KD_ERR_SHAPE, "mask '%s': expected one number a row", term->o.mask_field);
    }
    if (term->o.weight_field) {
        const kd__field *weights = kd__fields_find(&batch->fields, term->o.weight_field);
        KD_FAIL_IF(!weights, KD_ERR_NOT_FOUND, "the batch has no weight field '%s'", term->o.weight_field);
        KD_FAIL_IF(weights->values.dtype != KD_FLOAT32 || kd__array_row(&weights->values) != 1, KD_ERR_DTYPE,
                   "weights '%s': expected one float a row", term->o.weight_field);
        s->weights = weights->values.data;
    }
    return KD_OK;
}

static int mask_is_on(const kd__field *mask, int64_t row)
{
    if (mask->present && !mask->present[row]) return 0;
    return mask->values.dtype == KD_INT64 ? ((const int64_t *)mask->values.data)[row] != 0 : ((const float *)mask->values.data)[row] != 0;
}

/* The row that holds row r's label, mask and weight; -1: none. `sample` is advanced to the sample of r. */
static int64_t label_row(const kd__term *term, const kd_batch *batch, int64_t r, int64_t *sample)
{
    if (term->o.align == KD_ALIGN_SAME) return r;
    while (batch->offsets[*sample + 1] <= r) ++*sample;
    return r + 1 < batch->offsets[*sample + 1] ? r + 1 : -1;
}

static kd_status decide_row(const kd__term *term, kd__sources *s, int64_t r, int64_t from)
{
    const kd__kind *kind = kd__kind_of(term->kind);
    s->state[r] = KD__ROW_MASKED;
    s->value[r] = 0;
    s->guards[r] = s->corrected[r] = 0;
    if (from < 0 || (s->mask && !mask_is_on(s->mask, from))) return KD_OK;
    if (s->teacher_present && !s->teacher_present[r]) return KD_OK;
    s->row_label[r] = -1;
    const int absent = s->label_present && !s->label_present[from];
    if ((s->labels || s->numbers || s->integers) && absent && !s->labels_optional) return KD_OK;
    if (s->labels && !absent) {
        int64_t label = s->labels[from];
        if (label == term->o.ignore_label && !s->labels_optional) return KD_OK;
        const int outside = label != term->o.ignore_label && (label < 0 || label >= s->classes);
        KD_FAIL_IF(outside && (!s->labels_optional || term->o.correction), KD_ERR_RANGE, "%s: row %lld: label %lld is not in 0 to %lld", kind->name,
                   (long long)r, (long long)label, (long long)s->classes - 1);
        if (label != term->o.ignore_label && !outside) s->row_label[r] = label;
    }
    float weight = s->weights ? s->weights[from] : 1;
    KD_FAIL_IF(!isfinite(weight), KD_ERR_NONFINITE, "%s: row %lld: its weight is not finite", kind->name, (long long)r);
    s->row_target[r] = from;
    s->row_weight[r] = weight;
    s->state[r] = KD__ROW_VALID;
    s->count++;
    s->weight_sum += weight;
    return KD_OK;
}

static kd_status resolve_term(kd_loss *loss, int32_t t, kd_batch *batch, kd_targets *targets)
{
    const kd__term *term = &loss->terms[t];
    const kd__kind *kind = kd__kind_of(term->kind);
    kd__sources *s = &loss->sources[t];
    int64_t sample = 0;
    if (term->o.teacher_field) KD_TRY(find_teacher(term, targets, s));
    KD_TRY(check_widths(term, s));
    const int wanted = kind->label || (kind->values && !term->o.teacher_field) || term->o.correction;
    if (wanted) KD_TRY(find_labels(term, batch, targets, s));
    else if (kind->teacher && s->seen && term->kind != KD_LOSS_ULD && kd__fields_find(&batch->fields, term->o.label_field)) {
        /* diagnostics: labels that fit tell about the teacher */
        if (find_labels(term, batch, targets, s) != KD_OK) s->labels = NULL;
    }
    KD_TRY(find_mask(term, batch, s));
    for (int64_t r = 0; r < s->rows; r++) KD_TRY(decide_row(term, s, r, label_row(term, batch, r, &sample)));
    return KD_OK;
}

kd_status kd__loss_resolve(kd_loss *loss, kd_batch *batch, kd_targets *targets, const int64_t *widths)
{
    KD_FAIL_IF(!loss->count, KD_ERR_STATE, "the loss has no terms");
    KD_TRY(lay_out(loss, batch->fields.rows));
    for (int32_t t = 0; t < loss->count; t++) {
        loss->sources[t].width = widths ? widths[t] : 0;
        KD_TRY(resolve_term(loss, t, batch, targets));
    }
    return KD_OK;
}

kd_status kd_loss_count(kd_loss *loss, kd_batch *batch, kd_targets *targets, kd_loss_counts *counts)
{
    kd_loss_counts made = { .struct_size = sizeof made };
    KD_NEED(loss);
    KD_NEED(batch);
    KD_NEED(counts);
    KD_TRY(kd__loss_resolve(loss, batch, targets, NULL));
    made.terms = loss->count;
    for (int32_t t = 0; t < loss->count; t++) {
        made.rows[t] = loss->sources[t].count;
        made.weights[t] = loss->sources[t].weight_sum;
    }
    return kd__info_write(counts, &made, sizeof made, "kd_loss_counts");
}
