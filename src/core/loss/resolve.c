/* Before the mathematics: where each term's labels, masks, weights and teacher lie, and which rows
 * are valid. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "core/loss/features.h"

/* Arrays of all terms in one block: eight a term, and the slots of the rows that are looked at
 * behind the states. */
static kd_status lay_out(kd_loss *loss, const kd_batch *batch, const int32_t *units)
{
    int64_t rows = 0;
    for (int32_t t = 0; t < loss->count; t++)
        rows = kd__max(rows, kd__unit_entries(batch, units[t]));
    const int64_t a_term =
        rows *
            (int64_t)(sizeof(double) + 2 * sizeof(int64_t) + sizeof(float) + 3 * sizeof(int32_t)) +
        kd__round_up(2 * rows, 8) +
        (loss->diagnostics ? rows * (int64_t)(KD__SEEN_COUNT * sizeof(double)) : 0);
    int64_t need;
    KD_TRY(kd__multiply(a_term, loss->count, &need));
    KD_TRY(KD_RESERVE(loss->object.context, &loss->block, &loss->block_room, need));
    for (int32_t t = 0; t < loss->count; t++) {
        kd__sources *s = &loss->sources[t];
        memset(s, 0, sizeof *s);
        s->unit = units[t];
        s->rows = kd__term_runs(loss, t) ? kd__unit_entries(batch, units[t]) : 0;
        s->value = (double *)(void *)(loss->block + t * a_term);
        s->seen = loss->diagnostics ? s->value + rows : NULL;
        s->row_label =
            (int64_t *)(void *)(s->value + rows * (loss->diagnostics ? 1 + KD__SEEN_COUNT : 1));
        s->row_target = s->row_label + rows;
        s->row_weight = (float *)(void *)(s->row_target + rows);
        s->guards = (int32_t *)(void *)(s->row_weight + rows);
        s->corrected = s->guards + rows;
        s->state = (uint8_t *)(s->corrected + 2 * rows);
    }
    return KD_OK;
}

static int same_temperature(double a, double b) { return fabs(a - b) <= 1e-6 * b; }

/* The temperatures at which a sparse record knows its tail. */
static void name_temperatures(const kd__sparse *sparse, char *to, size_t room)
{
    int at = snprintf(to, room, "%g", sparse->temperature);
    for (int32_t i = 0; i < sparse->temperature_count && at > 0 && (size_t)at < room; i++)
        at += snprintf(to + at, room - (size_t)at, ", %g", sparse->temperatures[i]);
}

static kd_status no_tail(const kd__term *term, const kd__sparse *sparse, int64_t row)
{
    char known[160], which[64] = "the records hold";
    name_temperatures(sparse, known, sizeof known);
    if (row >= 0)
        snprintf(which, sizeof which, "row %lld is of a record that holds", (long long)row);
    return kd__fail(KD_ERR_MISMATCH,
                    "%s at temperature %g, policy %s: %s no tail there (%s: %s): store further "
                    "temperatures, or set retemper",
                    kd__kind_of(term->kind)->name, term->o.temperature,
                    kd__policy_name(term->o.tail), which,
                    row >= 0 ? "its store has places for" : "known at", known);
}

/* Which tail of a sparse record serves the term's temperature. */
static kd_status find_tail(const kd__term *term, const kd__sparse *sparse, kd__sources *s)
{
    const double temperature = term->o.temperature;
    const int32_t retemper = term->o.retemper, count = sparse->temperature_count;
    const int renorm = term->o.tail == KD_TAIL_RENORM_TEACHER ||
                       term->o.tail == KD_TAIL_RENORM_BOTH;
    int32_t exact = 0;
    s->tail_index = KD__TAIL_OWN;
    if (same_temperature(sparse->temperature, temperature)) return KD_OK;
    while (exact < count && !same_temperature(sparse->temperatures[exact], temperature)) exact++;
    const int is_kept = exact < count, may_lie_between = retemper == KD_RETEMPER_BETWEEN &&
                                                         kd__tails_reach(sparse, temperature);
    const int64_t unknown = is_kept           ? kd__tail_unknown(sparse, exact, 1)
                            : may_lie_between ? kd__tail_unknown(sparse, 0, count)
                                              : -1;
    const int serves = unknown < 0 && (is_kept || may_lie_between);
    s->tail_index = !serves ? KD__TAIL_UNIFORM : is_kept ? exact : KD__TAIL_BETWEEN;
    if (serves || renorm || retemper == KD_RETEMPER_UNIFORM) return KD_OK;
    return no_tail(term, sparse, unknown);
}

/* Whether a sparse record serves the kind with its policy, and the temperature. */
static kd_status find_sparse(const kd__term *term, const kd__sparse *sparse, kd__sources *s)
{
    const kd__kind *kind = kd__kind_of(term->kind);
    const kd_term_options *o = &term->o;
    s->sparse = sparse;
    s->teacher_present = sparse->present;
    KD_FAIL_IF(s->unit != KD__OF_ROWS, KD_ERR_SHAPE,
               "%s: sparse field '%s' is per row (%lld), output '%s' is per sample (%lld)",
               kind->name, sparse->name, (long long)sparse->rows, o->student_output,
               (long long)s->rows);
    KD_FAIL_IF(sparse->rows != s->rows, KD_ERR_SHAPE,
               "%s: the batch has %lld rows, the targets' sparse field %lld" KD__ANOTHER_BATCH,
               kind->name, (long long)s->rows, (long long)sparse->rows);
    if (sparse->kind == KD_SPARSE_COUNTS) {
        KD_FAIL_IF(!kind->counts, KD_ERR_UNSUPPORTED,
                   "%s of sampled counts: only forward KL is unbiased from draws", kind->name);
        KD_FAIL_IF(!same_temperature(sparse->temperature, o->temperature), KD_ERR_MISMATCH,
                   "sampled counts were drawn at temperature %g and cannot serve temperature %g",
                   sparse->temperature, o->temperature);
        return KD_OK;
    }
    KD_FAIL_IF(!(kind->tails >> o->tail & 1), KD_ERR_UNSUPPORTED,
               "%s with the tail policy %s of a sparse teacher: %s", kind->name,
               kd__policy_name(o->tail), kind->reason);
    if (kind->check_sparse) KD_TRY(kind->check_sparse(term));
    return find_tail(term, sparse, s);
}

kd_status kd__find_floats(const kd__term *term, const kd_batch *batch, const kd_targets *targets,
                          const kd__sources *s, const char *name, int half, const kd__field **field)
{
    const char *kind = kd__kind_of(term->kind)->name;
    *field = kd__fields_find(&targets->fields, name);
    KD_FAIL_IF(
        !*field, KD_ERR_NOT_FOUND,
        "%s: the targets have no field '%s': kd_teacher_read fills them (a live teacher with "
        "what kd_model_keep or kd_loss_keep_outputs asks for), and teacher_field names "
        "another field",
        kind, name);
    KD_TRY(kd__unit_check(term, s, batch, *field, "targets"));
    const int32_t dtype = (*field)->values.dtype;
    const int is_half = dtype == KD_FLOAT16 || dtype == KD_BFLOAT16;
    KD_FAIL_IF(dtype != KD_FLOAT32 && !(half && is_half), KD_ERR_DTYPE,
               "%s: teacher field '%s': expected floats, got %s", kind, name,
               kd__dtype_name(dtype));
    return KD_OK;
}

static kd_status find_teacher(const kd__term *term, const kd_batch *batch, kd_targets *targets,
                              kd__sources *s)
{
    const char *kind = kd__kind_of(term->kind)->name, *name = term->o.teacher_field;
    KD_FAIL_IF(!targets, KD_ERR_INVALID, "%s needs a teacher, but targets is NULL", kind);
    const kd__sparse *sparse = kd__sparse_find(targets, name);
    KD_FAIL_IF(sparse && kd__is_feature(term), KD_ERR_UNSUPPORTED,
               "%s of the sparse field '%s': it compares features", kind, name);
    if (sparse) return find_sparse(term, sparse, s);
    s->head = kd__virtual_find(targets, name);
    KD_FAIL_IF(s->head && kd__is_feature(term), KD_ERR_UNSUPPORTED,
               "%s of '%s', which a head computes in blocks: it compares hidden states", kind,
               name);
    if (s->head) name = s->head->hidden;
    const int half = !s->head && (kd__kind_of(term->kind)->teacher_field || kd__is_feature(term));
    const kd__field *field;
    KD_TRY(kd__find_floats(term, batch, targets, s, name, half, &field));
    s->teacher_dtype = field->values.dtype;
    s->teacher = field->values.data;
    s->teacher_present = field->present;
    s->teacher_width = kd__array_row(&field->values);
    kd__map_shape(&field->values, s->teacher_shape);
    s->teacher_grid = kd__grid_of(&field->values, field->unit, &batch->fields);
    if (!s->head) return KD_OK;
    KD_FAIL_IF(s->head->weight.dims[1] != s->teacher_width, KD_ERR_SHAPE,
               "%s: the teacher's head takes %lld numbers a row, '%s' has %lld", kind,
               (long long)s->head->weight.dims[1], name, (long long)s->teacher_width);
    return KD_OK;
}

/* Two numbers of columns: those of one vocabulary padded in two ways lie near each other; else it
 * is another vocabulary. */
static kd_status no_pair(const kd__term *term, const kd__sources *s, int64_t given)
{
    const int64_t least = kd__min(s->width, given), most = kd__max(s->width, given);
    const int padded = term->o.classes || most - least <= 512 ||
                       !kd__kind_of(term->kind)->teacher_field;
    if (kd__kind_of(term->kind)->compare && !term->o.classes)
        return kd__need_projection(term, s->width, given);
    return kd__fail(KD_ERR_SHAPE,
                    "%s: the student's '%s' has %lld columns, the teacher's '%s' has %lld (%s)",
                    kd__kind_of(term->kind)->name, term->o.student_output, (long long)s->width,
                    term->o.teacher_field, (long long)given,
                    padded ? "option classes joins padded vocabularies"
                           : "another tokenizer? See KD_LOSS_ULD, kd_loss_set_shared_classes and "
                             "kd_targets_align_batch");
}

/* The teacher's classes as its field or head gives them; 0: a sparse row does not tell. */
static int64_t given_classes(const kd__kind *kind, const kd__sources *s)
{
    if (s->head) return s->head->weight.dims[0];
    if (s->teacher) return s->teacher_width;
    return s->sparse && kind->teacher_width == KD__OWN_CLASSES ? s->sparse->vocabulary : 0;
}

/* The classes that the term is over: the host's, the student's, or the teacher's. */
static int64_t term_classes(const kd__term *term, const kd__sources *s, int64_t given)
{
    if (term->o.classes) return term->o.classes;
    if (s->width) return s->width;
    const int as_student = kd__kind_of(term->kind)->teacher_width == KD__AS_STUDENT;
    return given && as_student ? given : INT64_MAX;
}

static kd_status check_student_width(const kd__term *term, const kd__kind *kind,
                                     const kd__sources *s)
{
    KD_FAIL_IF(s->width < kind->least_width, KD_ERR_SHAPE,
               "%s: expected at least %d columns, got %lld", kind->name, kind->least_width,
               (long long)s->width);
    KD_FAIL_IF(s->width < s->classes, KD_ERR_SHAPE,
               "%s: expected at least %lld columns of '%s', got %lld", kind->name,
               (long long)s->classes, term->o.student_output, (long long)s->width);
    return KD_OK;
}

static kd_status check_shared(const kd__term *term, const kd__kind *kind, const kd__sources *s,
                              int64_t given)
{
    const int64_t student = term->shared.classes, teacher = term->shared.teacher_classes;
    KD_FAIL_IF(s->classes != student || given != teacher, KD_ERR_SHAPE,
               "%s: the shared classes are of %lld and %lld classes, student and teacher have %lld "
               "and %lld",
               kind->name, (long long)student, (long long)teacher, (long long)s->classes,
               (long long)given);
    return KD_OK;
}

/* A sparse row's ids are in order: the last one is the largest. */
static kd_status check_sparse_ids(const kd__kind *kind, const kd__sources *s)
{
    for (int64_t r = 0; r < s->rows; r++) {
        const int64_t last = s->sparse->offsets[r + 1];
        if (last == s->sparse->offsets[r]) continue;
        const uint32_t id = s->sparse->ids[last - 1];
        KD_FAIL_IF(id >= s->classes, KD_ERR_RANGE,
                   "%s: row %lld: the teacher's id %u is not in the student's %lld classes",
                   kind->name, (long long)r, id, (long long)s->classes);
    }
    return KD_OK;
}

static kd_status check_widths(const kd__term *term, kd__sources *s)
{
    const kd__kind *kind = kd__kind_of(term->kind);
    const int own_classes = kind->teacher_width == KD__OWN_CLASSES;
    const int64_t given = given_classes(kind, s);
    s->classes = term_classes(term, s, given);
    s->teacher_classes = own_classes ? given : s->classes;
    if (s->width) KD_TRY(check_student_width(term, kind, s));
    if (s->width && term->shared.student) KD_TRY(check_shared(term, kind, s, given));
    KD_FAIL_IF(kind->teacher_width == KD__ONE_NUMBER && given != 1, KD_ERR_SHAPE,
               "%s: '%s': expected one log-probability a row, got %lld", kind->name,
               term->o.teacher_field, (long long)given);
    const int64_t told = s->sparse && own_classes ? s->sparse->vocabulary : 0;
    KD_FAIL_IF(s->sparse && own_classes && !told, KD_ERR_INVALID,
               "%s: the sparse field '%s' does not say its vocabulary", kind->name,
               term->o.teacher_field);
    if (s->sparse && s->width && !told) KD_TRY(check_sparse_ids(kind, s));
    if (!given || kind->teacher_width != KD__AS_STUDENT) return KD_OK;
    const int agree = term->o.classes ? given >= s->classes : given == s->classes;
    return agree ? KD_OK : no_pair(term, s, given);
}

static kd_status find_labels(const kd__term *term, kd_batch *batch, kd_targets *targets,
                             kd__sources *s)
{
    const kd__kind *kind = kd__kind_of(term->kind);
    const char *name = term->o.label_field;
    const int from_teacher = !strncmp(name, "teacher:", 8);
    KD_FAIL_IF(from_teacher &&
                   (!targets || (s->unit == KD__OF_ROWS && targets->fields.rows != s->rows)),
               KD_ERR_INVALID, "%s: '%s' needs targets of %lld rows", kind->name, name,
               (long long)s->rows);
    const kd__field *field = kd__label_field(term, batch, targets);
    KD_FAIL_IF(!field, KD_ERR_NOT_FOUND,
               "%s: the %s no field '%s' with labels (option label_field names another)",
               kind->name, from_teacher ? "targets have" : "batch has",
               from_teacher ? name + 8 : name);
    KD_TRY(kd__unit_check(term, s, batch, field, from_teacher ? "targets" : "batch"));
    s->label_present = field->present;
    s->labels_optional = !kind->label && !kind->values;
    if (kind->label || s->labels_optional) {
        KD_FAIL_IF(field->values.dtype != KD_INT64, KD_ERR_DTYPE,
                   "%s: labels '%s' must be integers, got %s", kind->name, name,
                   kd__dtype_name(field->values.dtype));
        KD_FAIL_IF(kd__array_row(&field->values) != 1, KD_ERR_SHAPE,
                   "%s: expected one label a row in '%s', got %lld", kind->name, name,
                   (long long)kd__array_row(&field->values));
        s->labels = field->values.data;
        return KD_OK;
    }
    if (field->values.dtype == KD_INT64) s->integers = field->values.data;
    else s->numbers = field->values.data;
    int64_t width = kd__array_row(&field->values), wanted = s->width ? s->classes : width;
    if (kd__is_feature(term)) {
        s->teacher_width = wanted = width;
        s->teacher_grid = kd__grid_of(&field->values, field->unit, &batch->fields);
    }
    KD_FAIL_IF(width != wanted, KD_ERR_SHAPE, "%s: expected %lld numbers a row in '%s', got %lld",
               kind->name, (long long)wanted, name, (long long)width);
    return KD_OK;
}

static kd_status find_mask(const kd__term *term, kd_batch *batch, kd__sources *s)
{
    if (term->o.mask_field) {
        s->mask = kd__fields_find(&batch->fields, term->o.mask_field);
        KD_FAIL_IF(!s->mask, KD_ERR_NOT_FOUND, "the batch has no mask field '%s'",
                   term->o.mask_field);
        KD_FAIL_IF(kd__array_row(&s->mask->values) != 1, KD_ERR_SHAPE,
                   "mask '%s': expected one number a row, got %lld", term->o.mask_field,
                   (long long)kd__array_row(&s->mask->values));
        KD_TRY(kd__unit_spread(term, s, batch, s->mask, &s->mask_is_spread));
    }
    if (term->o.weight_field) {
        const kd__field *weights = kd__fields_find(&batch->fields, term->o.weight_field);
        KD_FAIL_IF(!weights, KD_ERR_NOT_FOUND, "the batch has no weight field '%s'",
                   term->o.weight_field);
        KD_FAIL_IF(weights->values.dtype != KD_FLOAT32 || kd__array_row(&weights->values) != 1,
                   KD_ERR_DTYPE, "weights '%s': expected one float32 a row, got %lld %s",
                   term->o.weight_field, (long long)kd__array_row(&weights->values),
                   kd__dtype_name(weights->values.dtype));
        KD_TRY(kd__unit_spread(term, s, batch, weights, &s->weights_are_spread));
        s->weights = weights->values.data;
    }
    return KD_OK;
}

static int mask_is_on(const kd__field *mask, int64_t row)
{
    if (mask->present && !mask->present[row]) return 0;
    return mask->values.dtype == KD_INT64 ? ((const int64_t *)mask->values.data)[row] != 0
                                          : ((const float *)mask->values.data)[row] != 0;
}

/* The row that holds row r's label, mask and weight; -1: none. */
static int64_t label_row(const kd__term *term, const kd_batch *batch, int64_t r, int64_t sample)
{
    if (term->o.align == KD_ALIGN_SAME) return r;
    return r + 1 < batch->offsets[sample + 1] ? r + 1 : -1;
}

static kd_status decide_row(const kd__term *term, kd__sources *s, int64_t r, int64_t from,
                            int64_t sample)
{
    const kd__kind *kind = kd__kind_of(term->kind);
    int is_left_out = 0;
    s->state[r] = KD__ROW_MASKED;
    s->value[r] = 0;
    s->guards[r] = s->corrected[r] = 0;
    if (from < 0) return KD_OK;
    if (s->mask && !mask_is_on(s->mask, s->mask_is_spread ? sample : from)) return KD_OK;
    if (s->teacher_present && !s->teacher_present[r]) return KD_OK;
    if (s->student_present && !s->student_present[r]) return KD_OK;
    if (s->other_present && !s->other_present[r]) return KD_OK;
    if (s->teacher_key && s->teacher_key->present && !s->teacher_key->present[r]) return KD_OK;
    if (kind->sided) KD_TRY(kd__pairs_row(term, s, r, &is_left_out));
    if (is_left_out) return KD_OK;
    s->row_label[r] = -1;
    const int absent = s->label_present && !s->label_present[from];
    if ((s->labels || s->numbers || s->integers) && absent && !s->labels_optional) return KD_OK;
    if (s->labels && !absent) {
        int64_t label = s->labels[from];
        if (label == term->o.ignore_label && !s->labels_optional) return KD_OK;
        const int outside = label != term->o.ignore_label && (label < 0 || label >= s->classes);
        KD_FAIL_IF(outside && (!s->labels_optional || term->o.correction), KD_ERR_RANGE,
                   "%s: row %lld: label %lld is not in 0 to %lld", kind->name, (long long)r,
                   (long long)label, (long long)s->classes - 1);
        if (label != term->o.ignore_label && !outside) s->row_label[r] = label;
    }
    float weight = s->weights ? s->weights[s->weights_are_spread ? sample : from] : 1;
    KD_FAIL_IF(!isfinite(weight), KD_ERR_NONFINITE,
               "%s: row %lld: weight: expected a finite number, got %g", kind->name, (long long)r,
               weight);
    s->row_target[r] = from;
    s->row_weight[r] = weight;
    s->state[r] = KD__ROW_VALID;
    s->count++;
    s->weight_sum += weight;
    return KD_OK;
}

static kd_status decide_rows(const kd__term *term, kd__sources *s, const kd_batch *batch)
{
    int64_t sample = 0;
    for (int64_t r = 0; r < s->rows; r++) {
        while (s->unit == KD__OF_ROWS && batch->offsets[sample + 1] <= r) sample++;
        KD_TRY(decide_row(term, s, r, label_row(term, batch, r, sample), sample));
    }
    return KD_OK;
}

/* Relations of tokens: the teacher's keys as well, and where the samples begin. */
static kd_status find_tokens(const kd__term *term, const kd_batch *batch, const kd_targets *targets,
                             kd__sources *s)
{
    const kd__kind *kind = kd__kind_of(term->kind);
    KD_FAIL_IF(s->unit != KD__OF_ROWS, KD_ERR_UNSUPPORTED,
               "%s: output '%s' is per sample: it relates the rows of a sample", kind->name,
               term->o.student_output);
    s->teacher_query = s->teacher_key = kd__fields_find(&targets->fields, term->o.teacher_field);
    if (kind->keys)
        KD_TRY(kd__find_floats(term, batch, targets, s, term->key_field, 1, &s->teacher_key));
    s->offsets = batch->offsets;
    s->samples = batch->samples;
    return KD_OK;
}

/* The rows that a feature compares: how many of a sample, and their widths. */
static kd_status settle_rows(kd_loss *loss, int32_t t, int64_t student_grid)
{
    kd__sources *s = &loss->sources[t];
    KD_TRY(kd__grid_settle(&loss->terms[t], student_grid, s->teacher_grid, s->teacher_width,
                           &s->grid));
    return kd__feature_widths(loss, t, s->width / s->grid, s->teacher_width / s->grid);
}

static kd_status resolve_term(kd_loss *loss, int32_t t, int64_t grid, kd_batch *batch,
                              kd_targets *targets)
{
    const kd__term *term = &loss->terms[t];
    const kd__kind *kind = kd__kind_of(term->kind);
    kd__sources *s = &loss->sources[t];
    KD_FAIL_IF(s->unit == KD__OF_SAMPLES && term->o.align != KD_ALIGN_SAME, KD_ERR_UNSUPPORTED,
               "%s: output '%s' is per sample: KD_ALIGN_NEXT is of rows", kind->name,
               term->o.student_output);
    if (term->o.teacher_field) KD_TRY(find_teacher(term, batch, targets, s));
    if (kind->tokens) KD_TRY(find_tokens(term, batch, targets, s));
    if (kind->sided) KD_TRY(kd__pairs_find(term, batch, targets, s));
    const int feature = kd__is_feature(term);
    if (!feature) KD_TRY(check_widths(term, s));
    const int wanted = kind->label || (kind->values && !term->o.teacher_field) ||
                       term->o.correction;
    if (wanted) KD_TRY(find_labels(term, batch, targets, s));
    else if (kind->teacher_field && !feature && s->seen && kind->teacher_width != KD__OWN_CLASSES &&
             kd__fields_find(&batch->fields, term->o.label_field)) {
        /* diagnostics: labels that fit tell about the teacher */
        if (find_labels(term, batch, targets, s) != KD_OK) s->labels = NULL;
    }
    if (feature && !kind->tokens && !kind->sided && s->width) KD_TRY(settle_rows(loss, t, grid));
    KD_TRY(find_mask(term, batch, s));
    KD_TRY(decide_rows(term, s, batch));
    kd__watch_begin(term, s, batch, s->state + s->rows);
    return KD_OK;
}

kd_status kd__loss_resolve(kd_loss *loss, kd_batch *batch, kd_targets *targets,
                           const kd__student_side *sides)
{
    int32_t units[KD_LOSS_MAX_TERMS];
    KD_FAIL_IF(!loss->count, KD_ERR_STATE, "the loss has no terms");
    for (int32_t t = 0; t < loss->count; t++)
        units[t] = sides ? sides[t].unit : kd__unit_of_fields(&loss->terms[t], batch, targets);
    KD_TRY(lay_out(loss, batch, units));
    for (int32_t t = 0; t < loss->count; t++) {
        if (!kd__term_runs(loss, t)) continue;
        loss->sources[t].width = sides ? sides[t].width : 0;
        loss->sources[t].student_present = sides ? sides[t].present : NULL;
        loss->sources[t].other_present = sides ? sides[t].other_present : NULL;
        KD_TRY(resolve_term(loss, t, sides ? sides[t].grid : 0, batch, targets));
    }
    return KD_OK;
}

kd_status kd_loss_count(kd_loss *loss, kd_batch *batch, kd_targets *targets, kd_loss_counts *counts)
{
    kd_loss_counts made = { .struct_size = sizeof made };
    KD_NEED(loss);
    KD_NEED(batch);
    KD_NEED(counts);
    /* nothing is asked of the fields of a batch without rows */
    const int has_rows = batch->fields.rows > 0;
    if (has_rows) KD_TRY(kd__loss_resolve(loss, batch, targets, NULL));
    made.terms = loss->count;
    for (int32_t t = 0; t < loss->count && has_rows; t++) {
        made.rows[t] = loss->sources[t].count;
        made.weights[t] = loss->sources[t].weight_sum;
    }
    return kd__info_write(counts, &made, sizeof made, "kd_loss_counts");
}
