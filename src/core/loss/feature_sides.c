/* Both sides of a block: gathered from their arrays, projected, normalized; and the way back. */
#include <math.h>
#include <string.h>

#include "base/context.h"
#include "core/loss/features.h"

void kd__widen_row(const kd__kernels *kernels, const char *from, int64_t at, int32_t dtype,
                   int64_t count, float *to)
{
    from += at * (int64_t)kd_dtype_bytes(dtype);
    if (dtype == KD_FLOAT32) memcpy(to, from, (size_t)count * sizeof *to);
    else kernels->widen(dtype, from, count, to);
}

/* The first numbers of row k of the student's entry r. */
static void copy_student(const kd__feature *f, int64_t r, int64_t k, float *to)
{
    const kd__student *st = f->student;
    const int64_t at = r * st->z_step + k * (st->width / f->grid);
    kd__widen_row(f->context->kernels, st->z, at, st->dtype, f->from, to);
}

/* The same of the teacher's, or of numbers of the batch. */
static void copy_teacher(const kd__feature *f, int64_t r, int64_t k, float *to)
{
    const kd__sources *s = f->s;
    const int64_t entry = (s->teacher ? r : s->row_target[r]) * s->teacher_width;
    const int64_t at = entry + k * (s->teacher_width / f->grid);
    if (s->teacher)
        kd__widen_row(f->context->kernels, s->teacher, at, s->teacher_dtype, f->given, to);
    else if (s->numbers) memcpy(to, s->numbers + at, (size_t)f->given * sizeof *to);
    else
        for (int64_t i = 0; i < f->given; i++) to[i] = (float)s->integers[at + i];
}

int kd__row_is_finite(const kd__kernels *kernels, const float *x, int64_t n)
{
    int32_t bad;
    kernels->scan(x, n, &bad); /* NaN, +infinity */
    return !bad && kernels->largest_size(x, n) < INFINITY;
}

/* Both sides of entry e of the block; are they finite? */
static int gather_entry(const kd__feature *f, int64_t e)
{
    const kd__kernels *kernels = f->context->kernels;
    int finite = 1;
    for (int64_t k = 0; k < f->grid; k++) {
        float *x = f->p.x + (e * f->grid + k) * f->from, *t = f->t.x + (e * f->grid + k) * f->given;
        copy_student(f, f->entries[e], k, x);
        copy_teacher(f, f->entries[e], k, t);
        finite = finite && kd__row_is_finite(kernels, x, f->from) &&
                 kd__row_is_finite(kernels, t, f->given);
    }
    return finite;
}

/* An entry that is not finite is zeros from here on: nothing of it reaches a sum. */
static void gather_some(const kd__kernels *kernels, const void *argument, int64_t first,
                        int64_t end)
{
    const kd__feature *f = argument;
    const int64_t from = f->grid * f->from, given = f->grid * f->given;
    (void)kernels;
    for (int64_t e = first; e < end; e++) {
        if (gather_entry(f, e)) continue;
        f->s->state[f->entries[e]] = KD__ROW_NONFINITE;
        memset(f->p.x + e * from, 0, (size_t)from * sizeof *f->p.x);
        memset(f->t.x + e * given, 0, (size_t)given * sizeof *f->t.x);
    }
}

/* ---- out of a block ---- */

static void scatter_some(const kd__kernels *kernels, const void *argument, int64_t first,
                         int64_t end)
{
    const kd__feature *f = argument;
    const kd__student *st = f->student;
    const float *dx = f->p.projection ? f->p.x : f->p.dz;
    for (int64_t i = first; i < end; i++) {
        const int64_t e = f->entries[i / f->grid], k = i % f->grid;
        float *to = st->dz + e * st->dz_step + k * (st->width / f->grid);
        kernels->axpby(to, 1, dx + i * f->from, 1, f->from);
    }
}

/* ---- what diagnostics see: both sides before they are normalized ---- */

/* Row i of the block: its share of its entry's means. */
static void look_at_row(const kd__feature *f, int64_t i, double *seen)
{
    const kd__kernels *kernels = f->context->kernels;
    const float *s = f->z.x + i * f->width, *t = f->t.x + i * f->given;
    const double size = sqrt(kernels->sum_squares(s, f->width)), rows = (double)f->grid;
    const double other = sqrt(kernels->sum_squares(t, f->given));
    double dot = 0;
    for (int64_t k = 0; k < f->width && f->width == f->given; k++) dot += (double)s[k] * t[k];
    seen[KD__SEEN_STUDENT_NORM] += size / rows;
    seen[KD__SEEN_TEACHER_NORM] += other / rows;
    seen[KD__SEEN_COSINE] += f->width == f->given ? dot / (size * other) / rows : NAN;
}

static void look_some(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const kd__feature *f = argument;
    (void)kernels;
    for (int64_t e = first; e < end; e++) {
        double *seen = f->s->seen + f->entries[e] * KD__SEEN_COUNT;
        memset(seen, 0, KD__SEEN_COUNT * sizeof *seen);
        for (int64_t k = 0; k < f->grid; k++) look_at_row(f, e * f->grid + k, seen);
    }
}

static kd_status look(const kd__feature *f, int64_t first)
{
    kd__collapse *c = &f->loss->terms[f->number].collapse;
    if (f->s->seen) kd__for_rows(&f->entry_count, look_some, f);
    if (first == 0 && (f->student->dz || f->s->seen))
        kd__watch_collapse(f->loss, f->number, !!f->student->dz, f->count.count, f->z.x, f->width,
                           f->t.x, f->given);
    if (first || !f->s->seen) return KD_OK;
    KD_TRY(kd__effective_rank(f->loss, f->count.count, f->z.x, f->width, &c->student_rank));
    return kd__effective_rank(f->loss, f->count.count, f->t.x, f->given, &c->teacher_rank);
}

/* ---- a block ---- */

static void list_entries(kd__feature *f, int64_t first, int64_t last)
{
    f->entry_count.count = 0;
    for (int64_t r = first; r < last; r++)
        if (f->s->state[r] == KD__ROW_VALID) f->entries[f->entry_count.count++] = r;
    f->count.count = f->entry_count.count * f->grid;
}

static kd_status make_sides(kd__feature *f, int64_t first)
{
    const kd__rows *rows = &f->count;
    kd__for_rows(&f->entry_count, gather_some, f);
    if (f->p.projection) KD_TRY(kd__projection_forward(rows, &f->p));
    KD_TRY(look(f, first));
    kd__normalize_rows(rows, &f->z);
    kd__normalize_rows(rows, &f->t);
    if (first == 0 && f->s->seen)
        kd__watch_explained(f->loss, f->number, rows->count, f->z.x, f->t.x,
                            f->width == f->given ? f->width : 0);
    return KD_OK;
}

/* Rows that no relation takes: not finite here, or after the projection, or without a length. */
static int drop_rows(const kd__feature *f)
{
    int dropped = 0;
    for (int64_t i = 0; i < f->count.count; i++) {
        uint8_t *state = &f->s->state[f->entries[i]];
        if (f->z.bad[i] || f->t.bad[i] ||
            !kd__row_is_finite(f->context->kernels, f->z.x + i * f->width, f->width))
            *state = KD__ROW_NONFINITE;
        dropped |= *state != KD__ROW_VALID;
    }
    return dropped;
}

kd_status kd__feature_sides(kd__feature *f, int64_t first, int64_t last)
{
    list_entries(f, first, last);
    KD_TRY(make_sides(f, first));
    if (!f->kind->relate || !drop_rows(f)) return KD_OK;
    list_entries(f, first, last);
    return make_sides(f, first);
}

kd_status kd__feature_back(kd__feature *f)
{
    const kd__rows *rows = &f->count;
    kd__normalize_back(rows, &f->z, f->p.dz);
    if (f->p.projection) KD_TRY(kd__projection_backward(rows, &f->p));
    kd__for_rows(rows, scatter_some, f);
    return KD_OK;
}
