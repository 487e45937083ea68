/* Matrix products: BLAS, or the library's own tiles, by shape; the same bits for any number of
 * threads. */
#include "math/gemm.h"

#include <string.h>

#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "math/blas.h"
#include "math/kernels.h"

/* The library's own product. op(B) is packed whole into panels of `tile_columns`; op(A) a block of
 * lines at a time, by the thread that multiplies it. The depth is cut at KD__DEPTH, so that what is
 * packed stays in near caches, and the order of sums depends on k alone: a line of a product has
 * the same bits in every product of the same k and B. */
#define TILE_WORK 1.2e9 /* floating-point operations of two tiles for CBLAS */
#define PIECES 8        /* of work at least, where the shape allows */
#define NARROW 32       /* panels */

typedef struct {
    const float *x; /* line i, depth p at x[i * row + p * column]; one of the two steps is 1 */
    int64_t row, column, lines, depth;
} side;

typedef struct {
    kd__tiles tiles;
    side a, b;
    int64_t k;                    /* steps of depth packed now */
    int64_t lines, panels, chunk; /* lines of a block, panels in all, panels of a piece of work */
    float alpha, beta;
    float *c;
    int64_t ldc;
    /* op(B), or op(A) of few lines; a block or a panel of the other for each thread */
    float *packed, *blocks;
} own;

/* From here on depth is counted in steps of `unit` numbers, which take a float's room when they are
 * packed. */
static void pack(const kd__tiles *t, const side *s, int64_t first, int64_t count, int64_t start,
                 int64_t steps, int64_t width, float *to)
{
    const int64_t from = start * t->unit, left = s->depth - from,
                  depth = kd__min(steps * t->unit, left);
    t->pack(s->x + first * s->row + from * s->column, s->row, s->column, count, depth, width, to);
}

/* Panel by panel within each depth block: packed + (start * panels + panel * depth) * width. */
static void pack_panel(void *argument, int64_t panel, int32_t worker)
{
    own *w = argument;
    const int64_t width = w->tiles.columns, first = panel * width;
    const int64_t count = kd__min(w->b.lines - first, width);
    (void)worker;
    for (int64_t start = 0; start < w->k; start += KD__DEPTH) {
        int64_t depth = kd__min(w->k - start, KD__DEPTH);
        pack(&w->tiles, &w->b, first, count, start, depth, width,
             w->packed + (start * w->panels + panel * depth) * width);
    }
}

/* A block of packed lines times panels first .. last - 1 of one depth block. */
static void multiply_panels(const own *w, int64_t line, int64_t lines, const float *a,
                            const float *b, int64_t first, int64_t last, int64_t depth, float beta)
{
    const int64_t width = w->tiles.columns, height = w->tiles.rows;
    for (int64_t panel = first; panel < last; panel++)
        for (int64_t i = 0; i < lines; i += height) {
            int64_t rows = kd__min(lines - i, height), columns = w->b.lines - panel * width;
            w->tiles.tile(depth, w->alpha, a + i * depth, b + panel * width * depth, beta,
                          w->c + (line + i) * w->ldc + panel * width, w->ldc, (int32_t)rows,
                          (int32_t)kd__min(columns, width), NULL);
        }
}

static void multiply_piece(void *argument, int64_t piece, int32_t worker)
{
    own *w = argument;
    const int64_t chunks = kd__ceil_div(w->panels, w->chunk), height = w->tiles.rows;
    const int64_t line = piece / chunks * w->lines, first = piece % chunks * w->chunk;
    const int64_t lines = kd__min(w->a.lines - line, w->lines);
    const int64_t last = kd__min(first + w->chunk, w->panels);
    float *a = w->blocks + worker * KD__LINES * KD__DEPTH;
    for (int64_t start = 0; start < w->k; start += KD__DEPTH) {
        int64_t depth = kd__min(w->k - start, KD__DEPTH);
        for (int64_t i = 0; i < lines; i += height)
            pack(&w->tiles, &w->a, line + i, kd__min(lines - i, height), start, depth, height,
                 a + i * depth);
        multiply_panels(w, line, lines, a, w->packed + start * w->panels * w->tiles.columns, first,
                        last, depth, start ? 1 : w->beta);
    }
}

/* An even number of pieces of about equal work. A narrow result is cut along its lines only: each
 * piece packs its own lines once. */
static void cut_pieces(own *w)
{
    const int64_t height = w->tiles.rows;
    int64_t blocks = kd__ceil_div(w->a.lines, KD__LINES), chunks = 1;
    w->panels = kd__ceil_div(w->b.lines, w->tiles.columns);
    if (w->panels < NARROW && blocks < PIECES) blocks = PIECES;
    if (w->panels < NARROW) blocks += blocks % 2;
    else chunks = kd__ceil_div(PIECES, blocks);
    if (w->panels >= NARROW && blocks * chunks % 2) chunks++;
    const int64_t even = kd__ceil_div(w->a.lines, blocks);
    w->lines = kd__round_up(even, height);
    w->chunk = kd__ceil_div(w->panels, chunks);
}

/* To the next `w->k` steps of depth, whose products are added. */
static void advance(own *w)
{
    const int64_t numbers = w->k * w->tiles.unit;
    w->a.x += numbers * w->a.column;
    w->b.x += numbers * w->b.column;
    w->a.depth -= numbers;
    w->b.depth -= numbers;
    w->beta = 1;
}

static void run_thick(kd_context *context, own *w)
{
    const int64_t pieces = kd__ceil_div(w->a.lines, w->lines) * kd__ceil_div(w->panels, w->chunk),
                  k = w->k;
    w->packed = w->blocks + (int64_t)context->threads * KD__LINES * KD__DEPTH;
    for (int64_t p = 0; p < k; p += KD__MOST_DEPTH, advance(w)) {
        w->k = kd__min(k - p, KD__MOST_DEPTH);
        kd__parallel(context, w->panels, pack_panel, w);
        kd__parallel(context, pieces, multiply_piece, w);
    }
}

/* ---- few lines, many columns: nothing but op(A) is packed before; each panel of op(B) is packed
 * by the thread that uses it, into its
 * first caches, and used once for all lines.   ---- */

#define THIN_PANELS 16 /* of a piece of work */
/* packed of lines that are deeper than KD__MOST_DEPTH: it stays in a near cache */
#define SPAN (2 * KD__DEPTH)

static int64_t span_of(int64_t depth) { return depth <= KD__MOST_DEPTH ? depth : SPAN; }
static int64_t whole_tiles(const own *w) { return kd__round_up(w->a.lines, w->tiles.rows); }

/* Part `part` of `parts` of what pack reads for a panel. */
static kd__ahead panel_part(const own *w, int64_t panel, int64_t start, int64_t part, int64_t parts)
{
    const side *s = &w->b;
    const int64_t width = w->tiles.columns, first = panel * width,
                  count = kd__min(s->lines - first, width);
    const int64_t from = start * w->tiles.unit, most = KD__DEPTH * w->tiles.unit,
                  depth = kd__min(s->depth - from, most);
    const int64_t strips = s->row == 1 ? depth : count, length = s->row == 1 ? count : depth,
                  step = s->row == 1 ? s->column : s->row;
    const int64_t begin = strips * part / parts;
    return (kd__ahead){ s->x + first * s->row + from * s->column + begin * step, step,
                        strips * (part + 1) / parts - begin, kd__ceil_div(length, 16) };
}

/* All lines times one packed panel; the panel that comes next is fetched meanwhile. */
static void multiply_panel(const own *w, int64_t panel, int64_t start, const float *packed,
                           int64_t next, int64_t next_start)
{
    const int64_t height = w->tiles.rows, width = w->tiles.columns, lines = whole_tiles(w);
    const int64_t depth = kd__min(w->k - start, KD__DEPTH), left = w->b.lines - panel * width;
    for (int64_t i = 0; i < w->a.lines; i += height) {
        const kd__ahead none = { 0 },
                        ahead = next_start < w->k
                                    ? panel_part(w, next, next_start, i / height, lines / height)
                                    : none;
        w->tiles.tile(depth, w->alpha, w->packed + start * lines + i * depth, packed,
                      start ? 1 : w->beta, w->c + i * w->ldc + panel * width, w->ldc,
                      (int32_t)kd__min(w->a.lines - i, height), (int32_t)kd__min(left, width),
                      &ahead);
    }
}

static void thin_piece(void *argument, int64_t piece, int32_t worker)
{
    own *w = argument;
    const int64_t first = piece * w->chunk, last = kd__min(first + w->chunk, w->panels);
    const int64_t width = w->tiles.columns;
    float *packed = w->blocks + worker * width * KD__DEPTH;
    for (int64_t start = 0; start < w->k; start += KD__DEPTH) {
        const int64_t depth = kd__min(w->k - start, KD__DEPTH);
        for (int64_t panel = first; panel < last; panel++) {
            const int64_t columns = kd__min(w->b.lines - panel * width, width);
            const int is_last = panel + 1 == last;
            pack(&w->tiles, &w->b, panel * width, columns, start, depth, width, packed);
            multiply_panel(w, panel, start, packed, is_last ? first : panel + 1,
                           is_last ? start + depth : start);
        }
    }
}

static void pack_lines(void *argument, int64_t index, int32_t worker)
{
    own *w = argument;
    const int64_t height = w->tiles.rows, i = index * height, lines = whole_tiles(w);
    (void)worker;
    for (int64_t start = 0, depth; start < w->k; start += depth) {
        depth = kd__min(w->k - start, KD__DEPTH);
        pack(&w->tiles, &w->a, i, kd__min(w->a.lines - i, height), start, depth, height,
             w->packed + start * lines + i * depth);
    }
}

static void run_thin(kd_context *context, own *w)
{
    const int64_t k = w->k, span = span_of(k);
    w->packed = w->blocks + (int64_t)context->threads * w->tiles.columns * KD__DEPTH;
    for (int64_t p = 0; p < k; p += span, advance(w)) {
        w->k = kd__min(k - p, span);
        kd__parallel(context, whole_tiles(w) / w->tiles.rows, pack_lines, w);
        kd__parallel(context, kd__ceil_div(w->panels, w->chunk), thin_piece, w);
    }
}

/* The largest tile of all instruction sets is 16 x 32. */
int64_t kd__gemm_thin_scratch(int64_t lines, int64_t depth, int32_t threads)
{
    return (lines + 16) * span_of(depth) + threads * 32 * KD__DEPTH;
}

static own own_of(const kd__gemm *g, const kd__tiles *tiles)
{
    own w = { .tiles = *tiles,
              .alpha = g->alpha,
              .beta = g->beta,
              .c = g->c,
              .ldc = g->ldc,
              .k = kd__ceil_div(g->k, tiles->unit) };
    w.a = (side){ g->a, g->a_t ? 1 : g->lda, g->a_t ? g->lda : 1, g->m, g->k };
    w.b = (side){ g->b, g->b_t ? g->ldb : 1, g->b_t ? 1 : g->ldb, g->n, g->k };
    return w;
}

static kd__tiles float32_tiles(const kd_context *context)
{
    return (kd__tiles){ context->kernels->tile_rows, context->kernels->tile_columns, 1,
                        context->kernels->pack, context->kernels->tile };
}

static kd__tiles tiles_of(const kd_context *context)
{
    return context->bfloat16 ? *context->bfloat16 : float32_tiles(context);
}

/* ---- what a product takes beside its operands ---- */

static int is_thin(const kd__gemm *g)
{
    return g->m <= KD__THIN_LINES && g->n >= g->m && g->m >= 1;
}

static int64_t plan_thin(own *w, int32_t threads)
{
    w->panels = kd__ceil_div(w->b.lines, w->tiles.columns);
    w->chunk = w->panels >= 4 * THIN_PANELS ? THIN_PANELS : kd__ceil_div(w->panels, threads);
    return whole_tiles(w) * span_of(w->k) + (int64_t)threads * w->tiles.columns * KD__DEPTH;
}

static int64_t plan_thick(own *w, int32_t threads)
{
    cut_pieces(w);
    return w->panels * w->tiles.columns * kd__min(w->k, KD__MOST_DEPTH) +
           (int64_t)threads * KD__LINES * KD__DEPTH;
}

int64_t kd__gemm_scratch(const kd_context *context, int64_t m, int64_t n, int64_t k)
{
    const kd__gemm g = { .m = m, .n = n, .k = k };
    const kd__tiles tiles = tiles_of(context);
    own w = own_of(&g, &tiles);
    if (context->matmul.matmul || (context->gemm != KD_GEMM_OWN && !context->bfloat16)) return 0;
    return is_thin(&g) ? plan_thin(&w, context->threads) : plan_thick(&w, context->threads);
}

kd_status kd__gemm_tiles(kd_context *context, const kd__gemm *g, const kd__tiles *tiles)
{
    own w = own_of(g, tiles);
    const int thin = is_thin(g);
    float *scratch;
    KD_TRY(kd__scratch_take(
        context, thin ? plan_thin(&w, context->threads) : plan_thick(&w, context->threads),
        &scratch));
    w.blocks = scratch;
    (thin ? run_thin : run_thick)(context, &w);
    kd__scratch_give(context, scratch);
    return KD_OK;
}

static kd_status run_own(kd_context *context, const kd__gemm *g)
{
    const kd__tiles tiles = tiles_of(context);
    return kd__gemm_tiles(context, g, &tiles);
}

/* ---- over some cells of op(A) ---- */

typedef struct {
    own w, rest;
    const uint8_t *active;
    int64_t line_step, depth_step;
} cells;

/* C += lines x depth of op(A) times all panels; the depth of panels in `packed` is all of k. */
static void multiply_run(const own *w, int64_t first, int64_t lines, int64_t start, int64_t depth,
                         float *a)
{
    const int64_t height = w->tiles.rows, width = w->tiles.columns;
    for (int64_t l = 0; l < lines; l += height)
        pack(&w->tiles, &w->a, first + l, kd__min(lines - l, height), start, depth, height,
             a + l * depth);
    for (int64_t panel = 0; panel < w->panels; panel++)
        for (int64_t l = 0; l < lines; l += height) {
            const int64_t rows = kd__min(lines - l, height), columns = w->b.lines - panel * width;
            w->tiles.tile(depth, w->alpha, a + l * depth,
                          w->packed + (panel * w->k + start) * width, 1,
                          w->c + (first + l) * w->ldc + panel * width, w->ldc, (int32_t)rows,
                          (int32_t)kd__min(columns, width), NULL);
        }
}

/* Cells of one line that follow each other are one run, at most KD__DEPTH deep. */
static void cell_line(void *argument, int64_t line, int32_t worker)
{
    cells *c = argument;
    const own *w = &c->w, *rest = &c->rest;
    const int64_t first = line * KD__CELL, lines = kd__min(w->a.lines - first, KD__CELL);
    const int64_t cell = KD__CELL / w->tiles.unit, depths = kd__ceil_div(w->k, cell);
    const uint8_t *active = c->active + line * c->line_step;
    float *a = w->blocks + worker * KD__LINES * KD__DEPTH;
    for (int64_t i = 0; i < depths;) {
        int64_t end = i;
        while (end < depths && active[end * c->depth_step] && (end - i) * cell < KD__DEPTH) end++;
        if (end == i) {
            i++;
            continue;
        }
        multiply_run(w, first, lines, i * cell, kd__min(end * cell, w->k) - i * cell, a);
        i = end;
    }
    for (int64_t start = 0; start < rest->k; start += KD__DEPTH)
        multiply_run(rest, first, lines, start, kd__min(rest->k - start, KD__DEPTH), a);
}

static void pack_whole_panel(void *argument, int64_t panel, int32_t worker)
{
    own *w = argument;
    const int64_t width = w->tiles.columns, left = w->b.lines - panel * width;
    (void)worker;
    pack(&w->tiles, &w->b, panel * width, kd__min(left, width), 0, w->k, width,
         w->packed + panel * w->k * width);
}

kd_status kd__gemm_cells(kd_context *context, const kd__gemm *g, const uint8_t *active,
                         int64_t line_step, int64_t depth_step, const kd__gemm *more)
{
    const kd__tiles tiles = tiles_of(context);
    cells c = { own_of(g, &tiles), own_of(more, &tiles), active, line_step, depth_step };
    own *w = &c.w, *rest = &c.rest;
    rest->panels = w->panels = kd__ceil_div(g->n, w->tiles.columns);
    const int64_t width = w->panels * w->tiles.columns;
    KD_TRY(kd__scratch_take(
        context, width * (w->k + rest->k) + (int64_t)context->threads * KD__LINES * KD__DEPTH,
        &w->packed));
    rest->packed = w->packed + width * w->k;
    w->blocks = rest->packed + width * rest->k;
    kd__parallel(context, w->panels, pack_whole_panel, w);
    kd__parallel(context, w->panels, pack_whole_panel, rest);
    kd__parallel(context, kd__ceil_div(g->m, KD__CELL), cell_line, &c);
    kd__scratch_give(context, w->packed);
    return KD_OK;
}

/* CBLAS on tiles of the result: BLAS runs on one thread, the library's pool on many. */
typedef struct {
    const kd__gemm *g;
    int64_t rows, columns, across;
} tiles;

static void blas_tile(void *argument, int64_t index, int32_t worker)
{
    tiles *t = argument;
    kd__gemm g = *t->g;
    int64_t i = index / t->across * t->rows, j = index % t->across * t->columns;
    (void)worker;
    g.a += g.a_t ? i : i * g.lda;
    g.b += g.b_t ? j * g.ldb : j;
    g.c += i * g.ldc + j;
    g.m = kd__min(g.m - i, t->rows);
    g.n = kd__min(g.n - j, t->columns);
    kd__blas_call(&g);
}

/* An even number of tiles along the longer side, by the work in the product: few, because each
 * packs the other side again. */
static int64_t cut(const kd__gemm *g, int64_t length)
{
    double work = 2.0 * (double)g->m * (double)g->n * (double)g->k;
    int64_t pieces = 2 * (int64_t)(work / TILE_WORK), part;
    pieces = kd__clamp(pieces, 2, 32);
    part = kd__ceil_div(length, pieces);
    part = kd__round_up(part, 16);
    return kd__max(part, 64);
}

static void run_blas_tiles(kd_context *context, const kd__gemm *g)
{
    tiles t = { g, g->m, g->n, 1 };
    if (g->m >= g->n) t.rows = cut(g, g->m);
    else t.columns = cut(g, g->n);
    t.across = kd__ceil_div(g->n, t.columns);
    kd__parallel(context, kd__ceil_div(g->m, t.rows) * t.across, blas_tile, &t);
}

static kd_status run_host(kd_context *context, const kd__gemm *g)
{
    const kd_status status = context->matmul.matmul(context->matmul.user, g->a_t, g->b_t, g->m,
                                                    g->n, g->k, g->alpha, g->a, g->lda, g->b,
                                                    g->ldb, g->beta, g->c, g->ldc);
    if (status < 0) return status;
    KD_FAIL_IF(status > 0, KD_ERR_CALLBACK, "matmul: expected 0 or an error, got %d", status);
    return KD_OK;
}

kd_status kd__gemm_float32(kd_context *context, const kd__gemm *g)
{
    const kd__tiles float32 = float32_tiles(context);
    if (g->m == 0 || g->n == 0) return KD_OK;
    if (context->matmul.matmul) return run_host(context, g);
    if (context->gemm == KD_GEMM_OWN) return kd__gemm_tiles(context, g, &float32);
    if (kd__blas_threads() == 1) run_blas_tiles(context, g);
    else kd__blas_call(g);
    return KD_OK;
}

kd_status kd__gemm_run(kd_context *context, const kd__gemm *g)
{
    if (!context->bfloat16 || context->matmul.matmul) return kd__gemm_float32(context, g);
    return g->m && g->n ? run_own(context, g) : KD_OK;
}

int kd__gemm_block_is_own(const kd_context *context)
{
    if (context->matmul.matmul) return 0;
    return context->gemm == KD_GEMM_OWN || context->bfloat16 ||
           (context->gemm_asked == KD_GEMM_AUTO && context->kernels->tile_columns > 8);
}

kd_status kd__gemm_own(kd_context *context, const kd__gemm *g)
{
    return g->m && g->n ? run_own(context, g) : KD_OK;
}

kd_status kd__gemm_block(kd_context *context, const kd__gemm *g)
{
    return kd__gemm_block_is_own(context) && g->m && g->n ? run_own(context, g)
                                                          : kd__gemm_run(context, g);
}
