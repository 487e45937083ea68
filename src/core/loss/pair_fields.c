/* Terms of two sides, before the mathematics: their fields, which rows are on which side, and that
 * both sides fit. */
#include <math.h>
#include <string.h>

#include <kdistill/contrast.h>

#include "base/array.h"
#include "core/loss/features.h"

/* ---- fields ---- */

/* One integer a row of the batch. */
static kd_status find_integers(const kd__term *term, const kd__sources *s, const kd_batch *batch,
                               const char *name, const char *what, const kd__field **field)
{
    const char *kind = kd__kind_of(term->kind)->name;
    if (!*name) return KD_OK;
    *field = kd__fields_find(&batch->fields, name);
    KD_FAIL_IF(!*field, KD_ERR_NOT_FOUND, "%s: the batch has no field '%s' (%s)", kind, name, what);
    KD_TRY(kd__unit_check(term, s, batch, *field, "batch"));
    const kd_array *values = &(*field)->values;
    KD_FAIL_IF(values->dtype != KD_INT64 || kd__array_row(values) != 1, KD_ERR_DTYPE,
               "%s: %s '%s': expected one integer a row, got %lld %s", kind, what, name,
               (long long)kd__array_row(values), kd__dtype_name(values->dtype));
    return KD_OK;
}

static kd_status find_taught(const kd__term *term, const kd_batch *batch, const kd_targets *targets,
                             const kd__sources *s, const char *name, const kd__field **field)
{
    if (!*name) return KD_OK;
    KD_FAIL_IF(!targets, KD_ERR_INVALID,
               "%s needs the field '%s' of a teacher, but targets is NULL",
               kd__kind_of(term->kind)->name, name);
    return kd__find_floats(term, batch, targets, s, name, 1, field);
}

kd_status kd__pairs_find(const kd__term *term, const kd_batch *batch, const kd_targets *targets,
                         kd__sources *s)
{
    const kd__pair_names *names = &term->pairs.names;
    KD_FAIL_IF(!term->pairs.is_set, KD_ERR_INVALID,
               "%s: kd_loss_set_pairs says which output or field the other side of '%s' is",
               kd__kind_of(term->kind)->name, term->o.student_output);
    KD_TRY(find_taught(term, batch, targets, s, names->constant, &s->constant));
    KD_TRY(find_taught(term, batch, targets, s, names->taught, &s->taught));
    KD_TRY(find_integers(term, s, batch, names->group, "group_field", &s->group));
    return find_integers(term, s, batch, names->side, "side_field", &s->side);
}

/* ---- rows ---- */

static int is_absent(const kd__field *field, int64_t row)
{
    return field && field->present && !field->present[row];
}

static int64_t integer_at(const kd__field *field, int64_t row)
{
    return ((const int64_t *)field->values.data)[row];
}

kd_status kd__pairs_row(const kd__term *term, const kd__sources *s, int64_t row, int *is_left_out)
{
    *is_left_out = is_absent(s->constant, row) || is_absent(s->taught, row) ||
                   is_absent(s->group, row) || is_absent(s->side, row);
    if (*is_left_out || !s->side) return KD_OK;
    const int64_t side = integer_at(s->side, row);
    KD_FAIL_IF(side < -1 || side > 1, KD_ERR_RANGE,
               "%s: row %lld: side_field '%s': expected 0 (an anchor), 1 (a candidate) or -1 "
               "(neither), got %lld",
               kd__kind_of(term->kind)->name, (long long)row, s->side->name, (long long)side);
    *is_left_out = side < 0;
    return KD_OK;
}

static int32_t unit_of(const kd__field *field)
{
    return field->unit == KD__OF_SAMPLES ? KD__OF_SAMPLES : KD__OF_ROWS;
}

int32_t kd__pairs_unit(const kd__term *term, const kd_batch *batch, const kd_targets *targets)
{
    const kd__pair_names *names = &term->pairs.names;
    const char *in_batch[] = { names->group, names->side };
    const char *in_targets[] = { names->constant, names->taught, term->o.teacher_field };
    if (batch->fields.one_row) return KD__OF_ROWS;
    for (int i = 0; i < 2; i++) {
        const kd__field *field = kd__fields_find(&batch->fields, in_batch[i]);
        if (field) return unit_of(field);
    }
    for (int i = 0; i < 3 && targets; i++) {
        const kd__field *field = in_targets[i] ? kd__fields_find(&targets->fields, in_targets[i])
                                               : NULL;
        if (field) return unit_of(field);
    }
    return KD__OF_SAMPLES;
}

/* ---- both sides fit ---- */

static kd_status check_output(const kd__term *term, const kd__student *st)
{
    const char *kind = kd__kind_of(term->kind)->name;
    KD_FAIL_IF(
        st->has_head, KD_ERR_UNSUPPORTED,
        "%s: '%s' is computed by a head, in blocks: a side is of embeddings or hidden states", kind,
        st->name);
    KD_FAIL_IF(st->alias, KD_ERR_INVALID,
               "%s: the gradient of '%s' lies over its value, which is read again: give it a place "
               "of its own",
               kind, st->name);
    return KD_OK;
}

static kd_status check_scalar(const kd__term *term, const kd__student *scalar, int which)
{
    static const char *const options[] = { "scale_output", "bias_output" };
    if (!scalar) return KD_OK;
    KD_FAIL_IF(scalar->width != 1 || scalar->rows != 1 || scalar->dtype != KD_FLOAT32, KD_ERR_SHAPE,
               "%s: %s '%s': expected one float32, got %lld rows of %lld",
               kd__kind_of(term->kind)->name, options[which], scalar->name, (long long)scalar->rows,
               (long long)scalar->width);
    return check_output(term, scalar);
}

/* Widths of two sides, cut to `first`. */
static kd_status check_widths(const kd__term *term, const char *name, int64_t width,
                              const char *other, int64_t other_width)
{
    const char *kind = kd__kind_of(term->kind)->name;
    const int64_t first = (int64_t)term->numbers.first;
    KD_FAIL_IF(first > width || first > other_width, KD_ERR_SHAPE,
               "%s: first is %lld, '%s' has %lld numbers and '%s' %lld", kind, (long long)first,
               name, (long long)width, other, (long long)other_width);
    KD_FAIL_IF(
        !first && width != other_width, KD_ERR_SHAPE,
        "%s: '%s' has %lld numbers, '%s' has %lld: both sides of a pair have as many, or the "
        "number first cuts them",
        kind, name, (long long)width, other, (long long)other_width);
    return KD_OK;
}

static int64_t width_of(const kd__field *field) { return kd__array_row(&field->values); }

static kd_status check_teacher(const kd__term *term, const kd__sources *s)
{
    const int64_t first = (int64_t)term->numbers.first;
    if (kd__pairs_rank(term)) {
        KD_FAIL_IF(s->teacher && s->teacher_width != 1, KD_ERR_SHAPE,
                   "%s: '%s': expected one number a row, the score of the candidate, got %lld",
                   kd__kind_of(term->kind)->name, term->o.teacher_field,
                   (long long)s->teacher_width);
        return KD_OK;
    }
    if (s->taught)
        return check_widths(term, term->o.teacher_field, s->teacher_width, s->taught->name,
                            width_of(s->taught));
    KD_FAIL_IF(s->teacher && first > s->teacher_width, KD_ERR_SHAPE,
               "%s: first is %lld, '%s' has %lld numbers", kd__kind_of(term->kind)->name,
               (long long)first, term->o.teacher_field, (long long)s->teacher_width);
    return KD_OK;
}

kd_status kd__pairs_check(const kd_loss *loss, int32_t t, const kd__student *anchors,
                          const kd__student *candidates,
                          const kd__student *const scalars[KD__PAIR_SCALARS])
{
    const kd__term *term = &loss->terms[t];
    const kd__sources *s = &loss->sources[t];
    const char *kind = kd__kind_of(term->kind)->name;
    KD_TRY(check_output(term, anchors));
    KD_TRY(check_output(term, candidates));
    for (int i = 0; i < KD__PAIR_SCALARS; i++) KD_TRY(check_scalar(term, scalars[i], i));
    KD_FAIL_IF(anchors->unit != candidates->unit || anchors->rows != candidates->rows, KD_ERR_SHAPE,
               "%s: '%s' is %s (%lld), '%s' is %s (%lld)", kind, anchors->name,
               kd__unit_name(anchors->unit), (long long)anchors->rows, candidates->name,
               kd__unit_name(candidates->unit), (long long)candidates->rows);
    KD_TRY(check_teacher(term, s));
    if (s->constant)
        return check_widths(term, anchors->name, anchors->width, s->constant->name,
                            width_of(s->constant));
    return check_widths(term, anchors->name, anchors->width, candidates->name, candidates->width);
}
