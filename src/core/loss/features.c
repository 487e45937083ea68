/* The way of a feature term: rows that are valid are gathered, projected, normalized, compared, and
 * their gradients go the same way back. Rows of a kind that compares one with one go in blocks of
 * whole entries, whose size depends on the shape and the limit alone. */
#include "core/loss/features.h"

#include <math.h>
#include <string.h>

#include "base/numbers.h"

int kd__is_feature(const kd__term *term)
{
    const kd__kind *kind = kd__kind_of(term->kind);
    if (kind->feature) return 1;
    return kind->compare && (term->projection || term->numbers.first > 0 ||
                             term->numbers.normalize > KD_NORMALIZE_NONE);
}

/* ---- widths ---- */

static kd_status cut_to_first(const kd__term *term, const char *side, const char *name,
                              int64_t *width)
{
    const int64_t first = (int64_t)term->numbers.first;
    KD_FAIL_IF(first > *width, KD_ERR_SHAPE, "%s: first is %lld, the %s's '%s' has %lld numbers",
               kd__kind_of(term->kind)->name, (long long)first, side, name, (long long)*width);
    if (first) *width = first;
    return KD_OK;
}

kd_status kd__need_projection(const kd__term *term, int64_t student, int64_t teacher)
{
    return kd__fail(KD_ERR_SHAPE,
                    "%s: the student's '%s' has %lld numbers, the teacher's '%s' has %lld: set a "
                    "projection (kd_loss_set_projection), or a relation kind (25 to 31) that needs "
                    "none",
                    kd__kind_of(term->kind)->name, term->o.student_output, (long long)student,
                    term->o.teacher_field ? term->o.teacher_field : term->o.label_field,
                    (long long)teacher);
}

kd_status kd__feature_widths(kd_loss *loss, int32_t t, int64_t student, int64_t teacher)
{
    const kd__term *term = &loss->terms[t];
    const kd__kind *kind = kd__kind_of(term->kind);
    KD_TRY(cut_to_first(term, "student", term->o.student_output, &student));
    KD_TRY(cut_to_first(term, "teacher",
                        term->o.teacher_field ? term->o.teacher_field : term->o.label_field,
                        &teacher));
    const kd__projection *p = kd__projection_of(loss, t);
    /* a relation compares rows of any two widths */
    if (p) KD_TRY(kd__projection_fix(loss, t, student, kind->relate && p->to ? p->to : teacher));
    else if (!kind->relate && !kind->maps && student != teacher)
        return kd__need_projection(term, student, teacher);
    return kind->variance ? kd__variance_fix(loss, t, teacher) : KD_OK;
}

/* ---- maps ---- */

static kd_status check_maps(const kd__feature *f)
{
    const kd__sources *s = f->s;
    const char *kind = f->kind->name;
    KD_FAIL_IF(!f->student->shape[0], KD_ERR_SHAPE,
               "%s: the student's '%s' is of no maps: expected (rows, channels, height, width)",
               kind, f->term->o.student_output);
    KD_FAIL_IF(!s->teacher_shape[0], KD_ERR_SHAPE,
               "%s: the teacher's '%s' is of no maps: expected (rows, channels, height, width)",
               kind, f->term->o.teacher_field);
    return KD_OK;
}

/* Places of the smaller map: three of them in doubles are a thread's room. */
static int64_t map_room(const kd__feature *f)
{
    const int64_t *a = f->student->shape, *b = f->s->teacher_shape;
    return 3 * kd__min(a[1], b[1]) * kd__min(a[2], b[2]);
}

/* ---- a call ---- */

/* Entries first .. last - 1. */
static kd_status run_block(kd__feature *f, int64_t first, int64_t last)
{
    KD_TRY(kd__feature_sides(f, first, last));
    if (!f->count.count && !f->kind->relate) return KD_OK;
    KD_TRY(kd__feature_compare(f));
    if (!f->student->dz) return KD_OK;
    kd__variance_back(f);
    return kd__feature_back(f);
}

static kd__feature begin(kd_loss *loss, int32_t t, const kd__student *student, double scale)
{
    const kd__term *term = &loss->terms[t];
    kd__sources *s = &loss->sources[t];
    const kd__projection *p = kd__projection_of(loss, t);
    const int64_t first = (int64_t)term->numbers.first, grid = kd__max(s->grid, 1);
    const int32_t asked = (int32_t)term->numbers.normalize;
    kd__feature f = { .loss = loss,
                      .context = loss->object.context,
                      .number = t,
                      .term = term,
                      .kind = kd__kind_of(term->kind),
                      .s = s,
                      .student = student,
                      .variance = term->variance - 1,
                      .scale = scale * kd__term_t2(term),
                      .from = first ? first : student->width / grid,
                      .given = first ? first : s->teacher_width / grid,
                      .grid = grid,
                      .entries = s->row_label, /* features have no label */
                      .entry_count = { .context = loss->object.context },
                      .count = { .context = loss->object.context } };
    f.width = p ? p->to : f.from;
    f.p.loss = loss;
    f.p.projection = p;
    f.z.width = f.width;
    f.t.width = f.given;
    f.z.normalize = f.t.normalize = asked ? asked : KD_NORMALIZE_NONE;
    return f;
}

kd_status kd__run_feature(kd_loss *loss, int32_t term, const kd__student *student, double scale)
{
    kd__feature f = begin(loss, term, student, scale);
    if (f.kind->maps) {
        KD_TRY(check_maps(&f));
        f.map_room = map_room(&f);
    }
    KD_TRY(kd__feature_lay_out(&f));
    kd__variance_read(&f);
    const int64_t step = f.block / f.grid;
    for (int64_t first = 0; first < f.s->rows; first += step)
        KD_TRY(run_block(&f, first, kd__min(first + step, f.s->rows)));
    return KD_OK;
}
