/* What a feature term holds during a call: arrays of a block of rows, one after the other. */
#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "core/loss/features.h"
#include "core/relation/relation.h"
#include "math/gemm.h"

#define MOST_ROWS 1024 /* of a block: more make the products no faster */

/* Widths of a term's sides, and of its maps. */
typedef struct {
    const kd__projection *projection; /* NULL: none */
    int64_t from, width, given;
    int64_t rows, grid, block; /* grid: rows that stay together */
    int64_t places;            /* of a map, 0: none */
    int32_t kind, relates, variance, threads;
    int64_t limit;
} sizes;

static int64_t even(int64_t floats) { return kd__round_up(floats, 16); }

/* x, z, dz, t, both hidden ones; factors, scale, marks. */
static int64_t floats_a_row(const sizes *s)
{
    const int64_t projected = s->projection ? s->width + 2 * kd__projection_hidden(s->projection)
                                            : 0;
    return s->from + projected + s->width + s->given + 4;
}

/* A relation takes all rows at once. */
static void choose_block(sizes *s)
{
    const int64_t most = kd__clamp(s->limit / 4 / floats_a_row(s), 1, MOST_ROWS);
    const int64_t fitting = kd__max(kd__min(s->rows, most) / s->grid, 1) * s->grid;
    s->block = kd__max(s->relates ? s->rows : fitting, 1);
}

static int64_t scratch_of(const sizes *s)
{
    if (s->relates)
        return even(2 * s->block) +
               even(kd__relation_room(s->kind, s->block, s->width, s->given, s->limit));
    return 2 * 3 * s->places * s->threads;
}

#define PARTS 12
static int64_t floats_of(const sizes *s)
{
    return s->block * floats_a_row(s) + 16 * PARTS + (s->variance ? 2 * even(s->width) : 0) +
           scratch_of(s);
}

static float *take(float **at, int64_t floats)
{
    float *taken = *at;
    *at += even(floats);
    return taken;
}

static void lay_out_rows(kd__feature *f, float **at)
{
    const kd__projection *p = f->p.projection;
    const int64_t hidden = p ? kd__projection_hidden(p) : 0;
    f->p.x = take(at, f->block * f->from);
    f->p.z = f->z.x = p ? take(at, f->block * f->width) : f->p.x;
    f->p.dz = take(at, f->block * f->width);
    f->p.hidden = take(at, f->block * hidden);
    f->p.d_hidden = take(at, f->block * hidden);
    f->t.x = take(at, f->block * f->given);
    f->z.factor = take(at, f->block);
    f->t.factor = take(at, f->block);
    f->row_scale = take(at, f->block);
    f->z.bad = (uint8_t *)take(at, (f->block + 1) / 2);
    f->t.bad = f->z.bad + f->block;
}

kd_status kd__feature_lay_out(kd__feature *f)
{
    kd_loss *loss = f->loss;
    sizes s = { .projection = f->p.projection,
                .from = f->from,
                .width = f->width,
                .given = f->given,
                .rows = f->s->rows * f->grid,
                .grid = f->grid,
                .places = f->map_room / 3,
                .kind = f->term->kind,
                .relates = f->kind->relate != NULL,
                .variance = f->kind->variance,
                .threads = f->context->threads,
                .limit = loss->memory_limit };
    choose_block(&s);
    f->block = s.block;
    KD_TRY(KD_RESERVE(f->context, &loss->features, &loss->features_room, floats_of(&s)));
    float *at = loss->features;
    if (s.variance) f->precision = (double *)(void *)take(&at, 2 * f->width);
    if (s.relates) f->shares = (double *)(void *)take(&at, 2 * f->block);
    lay_out_rows(f, &at);
    f->scratch = at;
    return KD_OK;
}

/* What the products of a projection and of a relation pack beside, for a while. */
static int64_t packed_of(const kd_context *context, const sizes *s)
{
    const int64_t hidden = s->projection ? kd__projection_hidden(s->projection) : 0;
    const int64_t widest = kd__max(kd__max(s->from, s->width), kd__max(s->given, hidden));
    const int64_t lines = kd__min(s->block, KD__THIN_LINES);
    const int64_t forward = kd__gemm_scratch(context, s->block, widest, widest);
    const int64_t backward = kd__gemm_scratch(context, widest, widest, s->block);
    const int64_t projected = s->projection ? kd__max(forward, backward) : 0;
    if (!s->relates) return projected;
    /* few lines of pairs, or all rows times pairs */
    const int64_t thin = kd__gemm_thin_scratch(lines, kd__max(widest, s->block), s->threads);
    const int64_t thick = (widest + 64) * kd__min(s->block, KD__MOST_DEPTH) +
                          (int64_t)s->threads * KD__LINES * KD__DEPTH;
    return kd__max(projected, kd__max(thin, thick));
}

int64_t kd__feature_floats(const kd_loss *loss, int32_t t, int64_t rows, int64_t student,
                           int64_t teacher)
{
    const kd__term *term = &loss->terms[t];
    const kd__kind *kind = kd__kind_of(term->kind);
    const kd__projection *p = term->projection ? &loss->projections[term->projection - 1] : NULL;
    const int64_t first = (int64_t)term->numbers.first;
    if (kind->tokens) return kd__tokens_floats(loss, t, rows, student, teacher);
    if (kind->sided)
        return kd__pairs_floats(loss, t, rows, student, teacher) +
               packed_of(loss->object.context,
                         &(sizes){ .from = student,
                                   .given = teacher,
                                   .block = rows,
                                   .relates = 1,
                                   .threads = loss->object.context->threads });
    sizes s = { .projection = p,
                .from = p && p->from ? p->from
                        : first      ? first
                                     : student,
                .given = first ? first : teacher,
                .rows = rows,
                .grid = 1,
                .places = kind->maps ? student : 0,
                .kind = term->kind,
                .relates = kind->relate != NULL,
                .variance = kind->variance,
                .threads = loss->object.context->threads,
                .limit = loss->memory_limit };
    s.width = p && p->to ? p->to : s.from;
    if (p && p->to && !kind->relate) s.given = p->to;
    choose_block(&s);
    return floats_of(&s) + packed_of(loss->object.context, &s);
}
