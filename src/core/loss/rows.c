/* The rows of all terms of one output, in tiles whose cuts depend on the shape alone. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "core/loss/loss.h"

/* A thread's scratch: rows of `room` floats, then four arrays of doubles. */
enum { EZ, EV, DZ, Z, V, SPARE, COPY, APART };

int64_t kd__scratch_of(kd__pass *w) { return KD__ROWS_OF_SCRATCH * w->room + 8 * w->wide_room; }

/* A row, and its place in the block at hand. */
typedef struct {
    int64_t row, place;
} spot;

/* The teacher's row as float32, or NULL (sparse and label terms). */
static const float *teacher_row(const kd__pass *w, const kd__sources *s, spot at, float *scratch)
{
    const int64_t r = at.row;
    if (s->virtual_logits) return s->virtual_logits + at.place * kd__row_step(s->teacher_classes);
    if (!s->teacher) return NULL;
    const char *row = s->teacher + r * s->teacher_width * (int64_t)kd_dtype_bytes(s->teacher_dtype);
    if (s->teacher_dtype == KD_FLOAT32) return (const float *)(const void *)row;
    w->loss->object.context->kernels->widen(s->teacher_dtype, row, s->teacher_classes, scratch);
    return scratch;
}

/* Entropy of softmax(x / T): log S - sum e a / S. */
static double entropy(const kd__kernels *kernels, const float *x, int64_t n, double temperature,
                      float *e)
{
    int32_t bad;
    float max = kernels->scan(x, n, &bad);
    if (bad || max == -INFINITY) return 0;
    double sum = kernels->exponentials(x, n, max, (float)(1 / temperature), e), weighted = 0;
    for (int64_t i = 0; i < n; i++)
        if (e[i] > 0) weighted += e[i] * (((double)x[i] - max) / temperature);
    return log(sum) - weighted / sum;
}

/* Diagnostics of a row of a dense teacher; sparse rows tell their own. */
static void look(kd__row *row)
{
    const double t = row->term->o.temperature;
    row->seen[KD__SEEN_STUDENT_ENTROPY] = entropy(row->kernels, row->z, row->n, t, row->ez);
    const kd__kind *kind = kd__kind_of(row->term->kind);
    if (!row->v || row->vn != row->n || !kind->teacher_field ||
        kind->teacher_width == KD__ONE_NUMBER)
        return;
    int64_t best = row->kernels->argmax(row->v, row->n);
    row->seen[KD__SEEN_MASS] = row->seen[KD__SEEN_STUDENT_MASS] = 1;
    row->seen[KD__SEEN_TEACHER_ENTROPY] = entropy(row->kernels, row->v, row->n, t, row->ez);
    row->seen[KD__SEEN_AGREEMENT] = row->kernels->argmax(row->z, row->n) == best;
    if (row->label < 0 || !row->sources->labels) return;
    double sum = row->kernels->exponentials(row->v, row->n, row->v[best], 1, row->ez);
    row->seen[KD__SEEN_LABELED] = 1;
    row->seen[KD__SEEN_LIKELIHOOD] = (double)row->v[row->label] - row->v[best] - log(sum);
    row->seen[KD__SEEN_HIT] = best == row->label;
}

static void evaluate(kd__row *row, float *dz, float *copy)
{
    const kd__term *term = row->term;
    const int soft = term->o.correction != KD_CORRECT_NONE || term->numbers.confidence_power > 0;
    if (row->seen) {
        memset(row->seen, 0, KD__SEEN_COUNT * sizeof *row->seen);
        look(row);
    }
    if (row->sources->slots && row->sources->slots[row->r]) kd__watch_row(row);
    if (row->sources->sparse) {
        row->dz = dz;
        kd__row_sparse(row);
        return;
    }
    if (soft && !kd__correct_dense(row, copy)) return;
    const int twice = kd__kind_of(term->kind)->twice;
    row->dz = twice ? NULL : dz;
    kd__kind_of(term->kind)->row(row);
    if (row->state == KD__ROW_VALID && !isfinite(row->loss)) row->state = KD__ROW_NONFINITE;
    if (row->state != KD__ROW_VALID || !dz || !twice) return;
    row->dz = dz;
    kd__kind_of(term->kind)->row(row);
}

static void run_term(const kd__pass *w, int32_t t, spot at, const float *z, float *dz, int32_t add,
                     float *scratch)
{
    kd_loss *loss = w->loss;
    const int64_t r = at.row;
    const kd__term *term = &loss->terms[t];
    kd__sources *s = &loss->sources[t];
    const double factor = kd__term_t2(term) * s->row_weight[r];
    kd__row row = { .kernels = loss->object.context->kernels,
                    .term = term,
                    .sources = s,
                    .z = z,
                    .n = s->classes,
                    .vn = s->teacher_classes,
                    .label = s->row_label[r],
                    .r = r,
                    .add = add,
                    .state = KD__ROW_VALID,
                    .gate = 1 };
    row.v = teacher_row(w, s, at, scratch + V * w->room);
    row.numbers = s->numbers ? s->numbers + s->row_target[r] * s->classes : NULL;
    row.integers = s->integers ? s->integers + s->row_target[r] * s->classes : NULL;
    row.ez = scratch + EZ * w->room;
    row.ev = scratch + EV * w->room;
    row.spare = scratch + SPARE * w->room;
    row.copy = scratch + COPY * w->room;
    row.apart = scratch + APART * w->room;
    row.wide = (double *)(void *)(scratch + KD__ROWS_OF_SCRATCH * w->room);
    row.wide_room = w->wide_room;
    row.scale = factor * w->scales[t];
    row.seen = s->seen ? s->seen + r * KD__SEEN_COUNT : NULL;
    evaluate(&row, dz, scratch + V * w->room);
    if (row.state == KD__ROW_VALID && !isfinite(row.loss)) row.state = KD__ROW_NONFINITE;
    s->state[r] = (uint8_t)row.state;
    s->value[r] = row.state == KD__ROW_VALID ? row.loss * row.gate * factor : 0;
    s->guards[r] = row.guards;
    s->corrected[r] = row.corrected;
    if (!row.seen) return;
    row.seen[KD__SEEN_TAIL] *= factor * row.gate;
    row.seen[KD__SEEN_CONFIDENCE] = row.gate;
}

/* Terms write one after the other into dz; a term whose row is not finite leaves dz as it was. */
static void run_row(const kd__pass *w, spot at, float *scratch)
{
    const int64_t r = at.row, i = w->by_row ? r : at.place, width = w->student->width;
    float *target = w->dz ? w->dz + i * w->dz_step : NULL,
          *dz = w->alias ? scratch + DZ * w->room : target;
    const float *z =
        (const float *)(const void *)(w->z + i * w->z_step * (int64_t)kd_dtype_bytes(w->z_dtype));
    int32_t add = w->add, used = 0;
    for (int32_t k = 0; k < w->count; k++) {
        const kd__sources *s = &w->loss->sources[w->terms[k]];
        if (s->state[r] != KD__ROW_VALID) continue;
        if (!used++ && w->z_dtype != KD_FLOAT32) {
            w->loss->object.context->kernels->widen(w->z_dtype, z, width, scratch + Z * w->room);
            z = scratch + Z * w->room;
        }
        if (dz && !add && s->classes < width)
            memset(dz + s->classes, 0, (size_t)(width - s->classes) * sizeof *dz);
        run_term(w, w->terms[k], at, z, dz, add, scratch);
        if (s->state[r] == KD__ROW_VALID && !(s->corrected[r] == KD_CORRECT_DROP)) add = 1;
    }
    if (!dz) return;
    if (!add) memset(target, 0, (size_t)width * sizeof *target);
    else if (w->alias) memcpy(target, dz, (size_t)width * sizeof *target);
}

static void run_tile(void *argument, int64_t tile, int32_t worker)
{
    kd__pass *w = argument;
    int64_t from = w->first + tile * w->tile, last = kd__min(from + w->tile, w->last);
    for (int64_t i = from; i < last; i++) {
        const spot at = { w->chosen ? w->chosen[i] : i, i - w->first };
        run_row(w, at, w->scratch + worker * w->stride);
    }
}

void kd__run_rows(kd__pass *w)
{
    w->tile = 16384 / w->student->width;
    /* a few rows at least: each prefetches the next */
    w->tile = kd__clamp(w->tile, 4, 64);
    kd__parallel(w->loss->object.context, kd__ceil_div(w->last - w->first, w->tile), run_tile, w);
}
