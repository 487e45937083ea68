/* A term of two sides in a call: the rows of both sides are gathered and normalized, every pair is
 * scored (core/relation/two_sided.h), and gradients go back to both outputs. Legend: n anchors, m
 * candidates; w their width, t the teacher's. */
#include <math.h>
#include <string.h>

#include <kdistill/contrast.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "core/loss/features.h"
#include "core/relation/two_sided.h"

#define MOST_SCALE 100 /* of a scale that is learned */

/* Rows of numbers somewhere, `step` apart. */
typedef struct {
    const char *data;
    int32_t dtype;
    int64_t step;
} array;

typedef struct {
    array from, taught;
    const kd__student *output; /* NULL: a constant */
    int64_t *rows, *group;     /* (n) */
    kd__rows count;            /* n */
    kd__side_rows x, t;        /* (n, w), (n, t) */
    kd__two_side to;
} pair_side;

typedef struct {
    kd_loss *loss;
    kd_context *context;
    kd__term *term;
    kd__sources *s;
    const kd__student *scale_output, *bias_output;
    pair_side side[2];
    int64_t width, taught_width, valid;
    double scale, bias;
    float *scratch;
} call;

/* ---- which rows ---- */

static int is_on_side(const call *c, int64_t r, int side)
{
    if (c->s->state[r] != KD__ROW_VALID) return 0;
    return !c->s->side || ((const int64_t *)c->s->side->values.data)[r] == side;
}

static void count_rows(call *c)
{
    c->valid = 0;
    for (int side = 0; side < 2; side++) {
        c->side[side].count = (kd__rows){ c->context, 0 };
        for (int64_t r = 0; r < c->s->rows; r++)
            c->side[side].count.count += is_on_side(c, r, side);
    }
    for (int64_t r = 0; r < c->s->rows; r++) c->valid += c->s->state[r] == KD__ROW_VALID;
}

/* Without groups a row belongs to itself; of sides of one output that is to none. */
static int64_t group_of(const call *c, int64_t r, int side)
{
    if (c->s->group) return ((const int64_t *)c->s->group->values.data)[r];
    return c->s->side && side ? -1 - r : r;
}

static void list_rows(call *c)
{
    for (int side = 0; side < 2; side++) {
        pair_side *p = &c->side[side];
        p->count.count = 0;
        for (int64_t r = 0; r < c->s->rows; r++) {
            if (!is_on_side(c, r, side)) continue;
            p->group[p->count.count] = group_of(c, r, side);
            p->rows[p->count.count++] = r;
        }
    }
}

/* ---- room: the arrays of both sides, then what scoring takes ---- */

static int64_t even(int64_t floats) { return kd__round_up(floats, 16); }

static void *take(float **at, int64_t floats)
{
    float *taken = *at;
    *at += even(floats);
    return taken;
}

#define PARTS 12
/* rows, group, ranks, values; factors, marks; x, dx, t */
static int64_t side_floats(int64_t rows, int64_t width, int64_t taught)
{
    return rows * (4 * 2 + 4 + 2 * width + taught) + 16 * PARTS;
}

static int64_t floats_of(const kd_loss *loss, int64_t n, int64_t m, int64_t width, int64_t taught)
{
    return side_floats(n, width, taught) + side_floats(m, width, taught) +
           kd__two_sided_room(n, m, loss->memory_limit);
}

int64_t kd__pairs_floats(const kd_loss *loss, int32_t t, int64_t rows, int64_t student,
                         int64_t teacher)
{
    const int64_t first = (int64_t)loss->terms[t].numbers.first;
    return floats_of(loss, rows, rows, first ? first : student, first ? first : teacher);
}

static void lay_out_side(const call *c, pair_side *p, float **at)
{
    const int64_t n = p->count.count;
    p->rows = take(at, 2 * n);
    p->group = take(at, 2 * n);
    p->to.values = take(at, 2 * n);
    p->to.ranks = take(at, 2 * n);
    p->x.x = take(at, n * c->width);
    p->x.factor = take(at, n);
    p->t.x = take(at, n * c->taught_width);
    p->t.factor = take(at, n);
    p->x.bad = take(at, n);
    p->t.bad = p->x.bad + n;
    p->to.counts = p->x.bad + 2 * n;
    p->to.dx = p->output && p->output->dz ? take(at, n * c->width) : NULL;
}

static kd_status lay_out(call *c)
{
    kd_loss *loss = c->loss;
    const int64_t need =
        floats_of(loss, c->side[0].count.count, c->side[1].count.count, c->width, c->taught_width);
    KD_TRY(KD_RESERVE(c->context, &loss->features, &loss->features_room, need));
    float *at = loss->features;
    for (int side = 0; side < 2; side++) lay_out_side(c, &c->side[side], &at);
    c->scratch = at;
    return KD_OK;
}

/* ---- a call ---- */

static array of_output(const kd__student *st) { return (array){ st->z, st->dtype, st->z_step }; }
static array of_field(const kd__field *field)
{
    return (array){ field->values.data, field->values.dtype, kd__array_row(&field->values) };
}

/* The learned one is a logarithm. */
static kd_status find_scale(call *c, int *is_clamped)
{
    *is_clamped = 0;
    c->scale = c->term->numbers.scale;
    if (!c->scale_output) return KD_OK;
    const double log_scale = *(const float *)(const void *)c->scale_output->z;
    KD_FAIL_IF(!isfinite(log_scale), KD_ERR_NONFINITE, "%s: scale_output '%s' is %g",
               kd__kind_of(c->term->kind)->name, c->scale_output->name, log_scale);
    *is_clamped = log_scale > log(MOST_SCALE);
    c->scale = exp(fmin(log_scale, log(MOST_SCALE)));
    return KD_OK;
}

static kd_status find_bias(call *c)
{
    c->bias = c->term->numbers.bias;
    if (!c->bias_output) return KD_OK;
    c->bias = *(const float *)(const void *)c->bias_output->z;
    KD_FAIL_IF(!isfinite(c->bias), KD_ERR_NONFINITE, "%s: bias_output '%s' is %g",
               kd__kind_of(c->term->kind)->name, c->bias_output->name, c->bias);
    return KD_OK;
}

static void find_arrays(call *c, const kd__student *anchors, const kd__student *candidates)
{
    const kd__sources *s = c->s;
    const array taught = { s->teacher, s->teacher_dtype, s->teacher_width };
    c->side[0].output = anchors;
    c->side[1].output = s->constant ? NULL : candidates;
    c->side[0].from = of_output(anchors);
    c->side[1].from = s->constant ? of_field(s->constant) : of_output(candidates);
    c->side[0].taught = taught;
    c->side[1].taught = s->taught ? of_field(s->taught) : taught;
}

/* Of scores, one number; of vectors, those that `first` leaves. */
static int64_t taught_width(const kd__term *term, const kd__sources *s)
{
    const int64_t first = (int64_t)term->numbers.first;
    if (!s->teacher || kd__pairs_rank(term)) return s->teacher != NULL;
    return first ? first : s->teacher_width;
}

static double teacher_scale(const kd__term *term)
{
    const kd__numbers *n = &term->numbers;
    if (n->teacher_scale > 0) return n->teacher_scale;
    return kd__pairs_rank(term) ? 1 : n->scale;
}

static call begin(kd_loss *loss, int32_t t, const kd__student *anchors,
                  const kd__student *candidates, const kd__student *const scalars[KD__PAIR_SCALARS])
{
    kd__term *term = &loss->terms[t];
    kd__sources *s = &loss->sources[t];
    const int64_t first = (int64_t)term->numbers.first;
    const int32_t asked = (int32_t)term->numbers.normalize;
    const int32_t normalize = asked ? asked : KD_NORMALIZE_ROWS;
    call c = { .loss = loss,
               .context = loss->object.context,
               .term = term,
               .s = s,
               .scale_output = scalars[KD__PAIR_SCALE],
               .bias_output = scalars[KD__PAIR_BIAS],
               .width = first ? first : anchors->width,
               .taught_width = taught_width(term, s) };
    find_arrays(&c, anchors, candidates);
    for (int side = 0; side < 2; side++) {
        c.side[side].x = (kd__side_rows){ .normalize = normalize, .width = c.width };
        c.side[side].t =
            (kd__side_rows){ .normalize = kd__pairs_rank(term) ? KD_NORMALIZE_NONE : normalize,
                             .width = c.taught_width };
    }
    return c;
}

/* ---- sides ---- */

typedef struct {
    const call *c;
    pair_side *p;
} gathering;

static void gather_some(const kd__kernels *kernels, const void *argument, int64_t first,
                        int64_t end)
{
    const call *c = ((const gathering *)argument)->c;
    pair_side *p = ((const gathering *)argument)->p;
    for (int64_t i = first; i < end; i++) {
        const int64_t r = p->rows[i];
        float *x = p->x.x + i * c->width, *t = p->t.x + i * c->taught_width;
        kd__widen_row(kernels, p->from.data, r * p->from.step, p->from.dtype, c->width, x);
        int whole = kd__row_is_finite(kernels, x, c->width);
        if (c->taught_width) {
            kd__widen_row(kernels, p->taught.data, r * p->taught.step, p->taught.dtype,
                          c->taught_width, t);
            whole &= kd__row_is_finite(kernels, t, c->taught_width);
        }
        if (whole) continue;
        c->s->state[r] = KD__ROW_NONFINITE;
        memset(x, 0, (size_t)c->width * sizeof *x);
        memset(t, 0, (size_t)c->taught_width * sizeof *t);
    }
}

/* What diagnostics see of a row: its own length, or of two outputs both and their cosine. */
static void look_some(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const call *c = ((const gathering *)argument)->c;
    const pair_side *p = ((const gathering *)argument)->p;
    for (int64_t i = first; i < end; i++) {
        double *seen = c->s->seen + p->rows[i] * KD__SEEN_COUNT, dot = 0;
        const float *x = p->x.x + i * c->width, *y = c->side[1].x.x + i * c->width;
        const double size = sqrt(kernels->sum_squares(x, c->width));
        memset(seen, 0, KD__SEEN_COUNT * sizeof *seen);
        seen[KD__SEEN_STUDENT_NORM] = size;
        seen[KD__SEEN_TEACHER_NORM] = seen[KD__SEEN_COSINE] = NAN;
        if (c->s->side) continue;
        const double other = sqrt(kernels->sum_squares(y, c->width));
        for (int64_t k = 0; k < c->width; k++) dot += (double)x[k] * y[k];
        seen[KD__SEEN_TEACHER_NORM] = other;
        seen[KD__SEEN_COSINE] = dot / (size * other);
    }
}

static void make_sides(call *c)
{
    for (int side = 0; side < 2; side++) {
        const gathering g = { c, &c->side[side] };
        kd__for_rows(&g.p->count, gather_some, &g);
    }
    for (int side = 0; side < (c->s->side ? 2 : 1) && c->s->seen; side++) {
        const gathering g = { c, &c->side[side] };
        kd__for_rows(&g.p->count, look_some, &g);
    }
    for (int side = 0; side < 2; side++) {
        pair_side *p = &c->side[side];
        kd__normalize_rows(&p->count, &p->x);
        memset(p->t.bad, 0, (size_t)p->count.count);
        if (c->taught_width) kd__normalize_rows(&p->count, &p->t);
    }
}

/* The distance of anchor i to those that belong to it: |P_i|, sum |u_i - w_j|^2 at length 1. */
static void look_at_positives(const call *c, int64_t i)
{
    const pair_side *a = &c->side[0], *b = &c->side[1];
    const int64_t width = c->width, own = c->term->pairs.is_masked && !c->s->side;
    const kd__kernels *kernels = c->context->kernels;
    double *seen = c->s->seen + a->rows[i] * KD__SEEN_COUNT;
    const float *x = a->x.x + i * width;
    for (int64_t j = 0; j < b->count.count; j++) {
        const float *y = b->x.x + j * width;
        if (a->group[i] != b->group[j] || (own && i != j)) continue;
        double product = 0;
        for (int64_t k = 0; k < width; k++) product += (double)x[k] * y[k];
        const double sizes = sqrt(kernels->sum_squares(x, width) * kernels->sum_squares(y, width));
        seen[KD__SEEN_POSITIVES] += 1;
        seen[KD__SEEN_APART] += 2 * (1 - product / sizes);
    }
}

static void look_at_some(const kd__kernels *kernels, const void *argument, int64_t first,
                         int64_t end)
{
    (void)kernels;
    for (int64_t i = first; i < end; i++) look_at_positives(argument, i);
}

/* How both sides spread, and how far apart they lie: diagnostics of rows that stay. */
static kd_status look_at_sides(const call *c, int32_t t)
{
    kd__watched side[2];
    if (!c->s->seen) return KD_OK;
    for (int i = 0; i < 2; i++)
        side[i] = (kd__watched){ c->side[i].x.x, c->side[i].count.count, c->width };
    if (!kd__pairs_rank(c->term)) kd__for_rows(&c->side[0].count, look_at_some, c);
    return kd__watch_two_sides(c->loss, t, side);
}

/* Rows that are not finite or have no length. */
static int drop_rows(const call *c)
{
    int dropped = 0;
    for (int side = 0; side < 2; side++) {
        const pair_side *p = &c->side[side];
        for (int64_t i = 0; i < p->count.count; i++) {
            uint8_t *state = &c->s->state[p->rows[i]];
            if (p->x.bad[i] || p->t.bad[i]) *state = KD__ROW_NONFINITE;
            dropped |= *state != KD__ROW_VALID;
        }
    }
    return dropped;
}

static void gather(call *c)
{
    list_rows(c);
    make_sides(c);
    if (!drop_rows(c)) return;
    count_rows(c);
    list_rows(c);
    make_sides(c);
}

/* ---- the formula, and what becomes of it ---- */

static kd__two_sided scoring_of(call *c, double factor)
{
    kd__two_sided of = { .context = c->context,
                         .kind = kd__kind_of(c->term->kind)->sided - KD__SIDED_CONTRAST,
                         .directions = c->term->pairs.directions,
                         .is_masked = c->term->pairs.is_masked,
                         .is_paired = !c->s->side,
                         .wants_scale = (c->scale_output && c->scale_output->dz) ||
                                        (c->bias_output && c->bias_output->dz),
                         .is_unit = c->side[0].x.normalize == KD_NORMALIZE_ROWS,
                         .width = c->width,
                         .teacher_width = c->taught_width,
                         .scale = c->scale,
                         .teacher_scale = teacher_scale(c->term),
                         .bias = c->bias,
                         .factor = factor * kd__term_t2(c->term) * (double)c->valid,
                         .limit = c->loss->memory_limit,
                         .scratch = c->scratch };
    for (int side = 0; side < 2; side++) {
        pair_side *p = &c->side[side];
        p->to.x = p->x.x;
        p->to.taught = p->t.x;
        p->to.group = p->group;
        p->to.n = p->count.count;
        if (!c->s->seen) p->to.ranks = NULL;
        of.side[side] = p->to;
    }
    return of;
}

/* Scores beyond float32: every row has met them. */
static int is_broken(const call *c, const kd__two_sided *of)
{
    int is_finite = isfinite(of->d_scale) && isfinite(of->d_bias);
    for (int side = 0; side < 2; side++)
        for (int64_t i = 0; i < of->side[side].n; i++)
            is_finite &= isfinite(of->side[side].values[i]) != 0;
    for (int side = 0; side < 2 && !is_finite; side++)
        for (int64_t i = 0; i < of->side[side].n; i++)
            c->s->state[c->side[side].rows[i]] = KD__ROW_NONFINITE;
    return !is_finite;
}

/* The sum over all rows is their number times the value. */
static void share_out(const call *c, const kd__two_sided *of)
{
    const double all = kd__term_t2(c->term) * (double)c->valid;
    for (int side = 0; side < 2; side++)
        for (int64_t i = 0; i < of->side[side].n; i++) {
            const int64_t r = c->side[side].rows[i];
            c->s->value[r] += all * of->side[side].weight * of->side[side].values[i];
            if (of->degenerate) c->s->state[r] = KD__ROW_MASKED;
        }
}

/* Places of the positives, in the direction that is summed: anchors' where both are. */
static void note_ranks(const call *c, const kd__two_sided *of)
{
    const int side = c->term->pairs.directions == KD_DIRECTION_FROM_OTHER;
    if (!c->s->seen || of->degenerate) return;
    for (int64_t i = 0; i < of->side[side].n; i++) {
        double *seen = c->s->seen + c->side[side].rows[i] * KD__SEEN_COUNT;
        const int64_t rank = of->side[side].ranks[i];
        seen[KD__SEEN_RANKED] = rank > 0;
        seen[KD__SEEN_FIRST] = rank == 1;
        seen[KD__SEEN_RANK] = (double)rank;
    }
}

static void scatter_some(const kd__kernels *kernels, const void *argument, int64_t first,
                         int64_t end)
{
    const call *c = ((const gathering *)argument)->c;
    const pair_side *p = ((const gathering *)argument)->p;
    for (int64_t i = first; i < end; i++)
        kernels->axpby(p->output->dz + p->rows[i] * p->output->dz_step, 1, p->to.dx + i * c->width,
                       1, c->width);
}

static void push_back(call *c, const kd__two_sided *of)
{
    for (int side = 0; side < 2; side++) {
        pair_side *p = &c->side[side];
        const gathering g = { c, p };
        if (!p->to.dx) continue;
        kd__normalize_back(&p->count, &p->x, p->to.dx);
        kd__for_rows(&p->count, scatter_some, &g);
    }
    if (c->scale_output && c->scale_output->dz) *c->scale_output->dz += (float)of->d_scale;
    if (c->bias_output && c->bias_output->dz) *c->bias_output->dz += (float)of->d_bias;
}

kd_status kd__run_pairs(kd_loss *loss, int32_t t, const kd__student *anchors,
                        const kd__student *candidates,
                        const kd__student *const scalars[KD__PAIR_SCALARS], double factor)
{
    call c = begin(loss, t, anchors, candidates, scalars);
    int is_clamped;
    KD_TRY(find_scale(&c, &is_clamped));
    KD_TRY(find_bias(&c));
    c.term->pairs.last_scale = c.scale;
    count_rows(&c);
    KD_TRY(lay_out(&c));
    gather(&c);
    KD_TRY(look_at_sides(&c, t));
    kd__two_sided of = scoring_of(&c, factor);
    KD_TRY(kd__two_sided_run(&of));
    c.term->degenerate += of.degenerate;
    if (is_clamped && c.valid) c.s->guards[c.side[0].count.count ? c.side[0].rows[0] : 0]++;
    if (is_broken(&c, &of)) return KD_OK;
    share_out(&c, &of);
    note_ranks(&c, &of);
    push_back(&c, &of);
    return KD_OK;
}
