/* What a term is over: the rows of a batch, or its samples. Its output tells, and labels and the
 * teacher are of the same; only a mask or a weight of samples is spread over their rows. */
#include <string.h>

#include "core/loss/features.h"

int64_t kd__unit_entries(const kd_batch *batch, int32_t unit)
{
    return unit == KD__OF_ROWS ? batch->fields.rows : batch->samples;
}

/* A label's field lies in the batch, or in the targets. */
const kd__field *kd__label_field(const kd__term *term, const kd_batch *batch,
                                 const kd_targets *targets)
{
    const char *name = term->o.label_field;
    if (strncmp(name, "teacher:", 8) != 0) return kd__fields_find(&batch->fields, name);
    return targets ? kd__fields_find(&targets->fields, name + 8) : NULL;
}

static const kd__field *teacher_of(const kd__term *term, const kd_targets *targets)
{
    const char *name = term->o.teacher_field;
    if (!targets || kd__sparse_find(targets, name)) return NULL;
    const kd__virtual *head = kd__virtual_find(targets, name);
    return kd__fields_find(&targets->fields, head ? head->hidden : name);
}

int32_t kd__unit_of_fields(const kd__term *term, const kd_batch *batch, const kd_targets *targets)
{
    if (kd__kind_of(term->kind)->sided) return kd__pairs_unit(term, batch, targets);
    const kd__field *field = term->o.teacher_field ? teacher_of(term, targets)
                                                   : kd__label_field(term, batch, targets);
    const int of_samples = field && field->unit == KD__OF_SAMPLES && !batch->fields.one_row;
    return of_samples ? KD__OF_SAMPLES : KD__OF_ROWS;
}

kd_status kd__unit_check(const kd__term *term, const kd__sources *s, const kd_batch *batch,
                         const kd__field *field, const char *side)
{
    const char *kind = kd__kind_of(term->kind)->name, *unit = kd__unit_name(s->unit);
    const int64_t entries = field->values.dims[0];
    const int same = field->unit == s->unit ||
                     (field->unit == KD__OF_SAMPLES && batch->fields.one_row);
    KD_FAIL_IF(!same, KD_ERR_SHAPE,
               "%s: field '%s' of the %s is %s (%lld), output '%s' is %s (%lld)", kind, field->name,
               side, kd__unit_name(field->unit), (long long)entries, term->o.student_output, unit,
               (long long)s->rows);
    KD_FAIL_IF(entries != s->rows, KD_ERR_SHAPE,
               "%s: the batch has %lld %s, the %s %lld" KD__ANOTHER_BATCH, kind, (long long)s->rows,
               s->unit == KD__OF_ROWS ? "rows" : "samples", side, (long long)entries);
    return KD_OK;
}

kd_status kd__unit_spread(const kd__term *term, const kd__sources *s, const kd_batch *batch,
                          const kd__field *field, int32_t *spread)
{
    *spread = s->unit == KD__OF_ROWS && field->unit == KD__OF_SAMPLES;
    return *spread ? KD_OK : kd__unit_check(term, s, batch, field, "batch");
}

/* ---- rows inside samples: (samples, T, width) ---- */

kd_status kd__grid_check(const kd__term *term, int64_t grid)
{
    KD_FAIL_IF(grid, KD_ERR_UNSUPPORTED,
               "%s: each sample's '%s' has %lld rows of its own: relations of tokens (35 to 37) do "
               "not take them, and relations of samples (25 to 31) take them whole, without a "
               "projection",
               kd__kind_of(term->kind)->name, term->o.student_output, (long long)grid);
    return KD_OK;
}

static kd_status no_grid(const kd__term *term, int64_t student, int64_t teacher, int64_t width)
{
    const char *kind = kd__kind_of(term->kind)->name, *output = term->o.student_output,
               *field = term->o.teacher_field ? term->o.teacher_field : term->o.label_field;
    KD_FAIL_IF(!student, KD_ERR_SHAPE,
               "%s: each sample's '%s' has %lld rows at the teacher, output '%s' is one row: "
               "expected (samples, %lld, width)",
               kind, field, (long long)teacher, output, (long long)teacher);
    KD_FAIL_IF(!teacher, KD_ERR_SHAPE,
               "%s: each sample's output '%s' has %lld rows, the teacher's '%s' has %lld numbers, "
               "which are not as many rows",
               kind, output, (long long)student, field, (long long)width);
    return kd__fail(
        KD_ERR_SHAPE,
        "%s: each sample's output '%s' has %lld rows, the teacher's '%s' has %lld: both sides need "
        "the same patches and tokens, without kd_patch_dropout (relations of samples, 25 to 31, do "
        "not)",
        kind, output, (long long)student, field, (long long)teacher);
}

kd_status kd__grid_settle(const kd__term *term, int64_t student, int64_t teacher,
                          int64_t teacher_width, int64_t *grid)
{
    const kd__kind *kind = kd__kind_of(term->kind);
    *grid = 1;
    if (kind->relate && term->projection) KD_TRY(kd__grid_check(term, student));
    if (!kind->compare || kind->maps || !kd__is_feature(term) || (!student && !teacher))
        return KD_OK;
    const int cuts = student && !teacher && teacher_width % student == 0;
    if (!cuts && student != teacher) return no_grid(term, student, teacher, teacher_width);
    *grid = student;
    return KD_OK;
}
