/* Two sides: scratch, products, sweeps of one side over the other. */
#include "core/relation/two_sided.h"

#include <string.h>

#include "base/context.h"
#include "base/numbers.h"
#include "core/relation/pairs.h"
#include "nn/ranges.h"

#define LINE 16 /* floats of 64 bytes */
#define STATS 4
#define MOST_BYTES ((int64_t)4 << 20)

/* ---- scratch ---- */

/* Rows of a block of both products with `columns` of the other side. */
static int64_t block_rows(int64_t rows, int64_t columns, int64_t limit)
{
    const int64_t a_row = 2 * (int64_t)sizeof(float) * kd__max(columns, 1);
    return kd__clamp(kd__min(limit, MOST_BYTES) / a_row, 1, kd__max(rows, 1));
}

static int64_t block_floats(int64_t rows, int64_t columns, int64_t limit)
{
    return kd__round_up(block_rows(rows, columns, limit) * columns, LINE);
}

int64_t kd__two_sided_room(int64_t n, int64_t m, int64_t limit)
{
    const int64_t block = kd__max(block_floats(n, m, limit), block_floats(m, n, limit));
    return STATS * (kd__round_up(2 * n, LINE) + kd__round_up(2 * m, LINE)) + 2 * block;
}

static kd__two_stats take_stats(float **at, int64_t n)
{
    double *pieces[STATS];
    for (int i = 0; i < STATS; i++) {
        pieces[i] = (double *)(void *)*at;
        memset(pieces[i], 0, (size_t)n * sizeof(double));
        *at += kd__round_up(2 * n, LINE);
    }
    return (kd__two_stats){ pieces[0], pieces[1], pieces[2], pieces[3] };
}

/* Both sweeps, of side 0 over side 1 and the other way. */
static void lay_out(const kd__two_sided *c, kd__sweep sweeps[2])
{
    float *at = c->scratch;
    kd__two_stats stats[2];
    for (int s = 0; s < 2; s++) stats[s] = take_stats(&at, c->side[s].n);
    for (int s = 0; s < 2; s++) {
        const int64_t n = c->side[s].n, m = c->side[1 - s].n;
        sweeps[s] = (kd__sweep){ .c = c,
                                 .of = &c->side[s],
                                 .other = &c->side[1 - s],
                                 .own = stats[s],
                                 .others = stats[1 - s],
                                 .block = block_rows(n, m, c->limit),
                                 .z = at };
    }
    const int64_t block = kd__max(block_floats(c->side[0].n, c->side[1].n, c->limit),
                                  block_floats(c->side[1].n, c->side[0].n, c->limit));
    sweeps[0].t = sweeps[1].t = at + block;
}

/* ---- a sweep ---- */

/* to (rows, m): rows of x from the block's first on, times all of y */
static kd_status make_products(const kd__sweep *w, int64_t rows, const float *x, const float *y,
                               int64_t width, float *to)
{
    const kd__gemm g = { .b_t = 1,
                         .m = rows,
                         .n = w->other->n,
                         .k = width,
                         .alpha = 1,
                         .a = x + w->first * width,
                         .lda = width,
                         .b = y,
                         .ldb = width,
                         .c = to,
                         .ldc = w->other->n };
    return kd__pairs_multiply(w->c->context, &g);
}

/* dx = F y for the rows of the block */
static kd_status push_back(const kd__sweep *w, int64_t rows)
{
    const int64_t width = w->c->width;
    const kd__gemm g = { .m = rows,
                         .n = width,
                         .k = w->other->n,
                         .alpha = 1,
                         .a = w->z,
                         .lda = w->other->n,
                         .b = w->other->x,
                         .ldb = width,
                         .c = w->of->dx + w->first * width,
                         .ldc = width };
    return kd__pairs_multiply(w->c->context, &g);
}

typedef struct {
    const kd__sweep *w;
    kd__sweep_row *row;
} sweeping;

static void run_rows(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const sweeping *s = argument;
    const int64_t m = s->w->other->n;
    (void)kernels;
    for (int64_t i = first; i < end; i++)
        s->row(s->w, s->w->first + i, s->w->z + i * m, s->w->t + i * m);
}

static kd_status sweep(kd__sweep *w, kd__sweep_row *row, int is_gradient)
{
    const kd__two_sided *c = w->c;
    const sweeping s = { w, row };
    for (w->first = 0; w->first < w->of->n; w->first += w->block) {
        const int64_t rows = kd__min(w->block, w->of->n - w->first);
        const kd__rows all = { c->context, rows };
        KD_TRY(make_products(w, rows, w->of->x, w->other->x, c->width, w->z));
        if (c->kind == KD__AFFINITY)
            KD_TRY(make_products(w, rows, w->of->taught, w->other->taught, c->teacher_width, w->t));
        kd__for_rows(&all, run_rows, &s);
        if (is_gradient) KD_TRY(push_back(w, rows));
    }
    return KD_OK;
}

/* ---- the value ---- */

static int64_t count_values(const kd__two_side *side)
{
    int64_t count = 0;
    for (int64_t i = 0; i < side->n; i++) count += side->counts[i];
    return count;
}

/* Does no pair belong together, or every one? */
static int is_one_group(const kd__two_sided *c)
{
    const int64_t group = c->side[0].group[0];
    for (int s = 0; s < 2; s++)
        for (int64_t i = 0; i < c->side[s].n; i++)
            if (c->side[s].group[i] != group) return 0;
    return 1;
}

static void clear(kd__two_side *side, int64_t width)
{
    memset(side->values, 0, (size_t)side->n * sizeof *side->values);
    memset(side->counts, 0, (size_t)side->n);
    if (side->ranks) memset(side->ranks, 0, (size_t)side->n * sizeof *side->ranks);
    if (side->dx) memset(side->dx, 0, (size_t)(side->n * width) * sizeof *side->dx);
    side->weight = 0;
}

/* The value is one sum over the anchors. */
static int is_one_way(const kd__two_sided *c)
{
    return c->kind != KD__CONTRAST && c->kind != KD__AFFINITY;
}

static int has_too_few(const kd__two_sided *c)
{
    const int64_t n = c->side[0].n, m = c->side[1].n;
    if (!n || !m) return 1;
    if (n == 1 && m == 1 && c->kind != KD__SIGMOID_CONTRAST) return 1;
    return (c->kind == KD__CONTRAST || c->kind == KD__SIGMOID_CONTRAST) && is_one_group(c);
}

static kd_status measure(kd__two_sided *c, kd__sweep sweeps[2])
{
    static kd__sweep_row *const rows[] = { kd__measure_contrast, kd__measure_sigmoid,
                                           kd__measure_affinity, kd__measure_margin,
                                           kd__measure_list };
    const int one_way = is_one_way(c);
    const double each = c->directions == KD__BOTH_WAYS && !one_way ? 0.5 : 1;
    int64_t all = 0;
    for (int s = 0; s < 2; s++) {
        kd__two_side *side = &c->side[s];
        if (c->directions == (s ? KD__TO_OTHER : KD__FROM_OTHER) || (one_way && s)) continue;
        KD_TRY(sweep(&sweeps[s], rows[c->kind], 0));
        const int64_t count = count_values(side);
        side->weight = count ? each / (double)count : 0;
        all += count;
    }
    c->degenerate = !all;
    return KD_OK;
}

static kd_status push(kd__two_sided *c, kd__sweep sweeps[2])
{
    static kd__sweep_row *const rows[] = { kd__gradient_contrast, kd__gradient_sigmoid,
                                           kd__gradient_affinity, kd__gradient_margin,
                                           kd__gradient_list };
    for (int s = 0; s < 2; s++)
        if (c->side[s].dx) KD_TRY(sweep(&sweeps[s], rows[c->kind], 1));
    if (!c->wants_scale) return KD_OK;
    const int of = !c->side[0].dx && c->side[1].dx; /* the sum over all pairs is either's */
    if (!c->side[of].dx) KD_TRY(sweep(&sweeps[of], rows[c->kind], 0));
    c->d_scale = c->factor * kd__total(sweeps[of].own.along, c->side[of].n);
    if (c->kind == KD__SIGMOID_CONTRAST)
        c->d_bias = c->factor * kd__total(sweeps[of].own.second, c->side[of].n);
    return KD_OK;
}

kd_status kd__two_sided_run(kd__two_sided *c)
{
    kd__sweep sweeps[2];
    c->d_scale = c->d_bias = 0;
    for (int s = 0; s < 2; s++) clear(&c->side[s], c->width);
    c->degenerate = has_too_few(c);
    if (c->degenerate) return KD_OK;
    lay_out(c, sweeps);
    KD_TRY(measure(c, sweeps));
    return c->degenerate ? KD_OK : push(c, sweeps);
}
