#include "math/gemm.h"

#include <string.h>

#include "base/thread.h"
#include "math/blas.h"
#include "math/kernels.h"

/* The library's own product. The side with fewer lines ("columns") is packed whole into panels of `tile_columns`; the other side is
 * packed a block of lines at a time, by the thread that multiplies it. C' = op(B)' op(A)' has the same numbers, so either side may be
 * the columns; only the steps through C differ. The depth is cut at DEPTH, so that a panel of columns stays in the first cache, and the
 * order of sums depends on k alone.                                                                                               */
#define DEPTH 384
#define LINES 48        /* a multiple of every tile_rows */
#define MOST_DEPTH 4096 /* packed at once */

typedef struct {
    const float *x; /* line i, depth p at x[i * row + p * column] */
    int64_t row, column, lines;
} side;

typedef struct {
    const kd__kernels *kernels;
    side a, b; /* lines, columns */
    int64_t k; /* depth packed now */
    float alpha, beta;
    float *c;
    int64_t row_step, column_step;
    float *packed, *blocks; /* columns; a block of lines for each thread */
} own;

/* `count` lines from `first`, `depth` deep from `start`, as to[p * width + i]; missing lines are zero. */
static void pack(const side *s, int64_t first, int64_t count, int64_t start, int64_t depth, int64_t width, float *to)
{
    const float *from = s->x + first * s->row + start * s->column;
    if (count < width) memset(to, 0, (size_t)(width * depth) * sizeof *to);
    if (s->row == 1) {
        for (int64_t p = 0; p < depth; p++)
            for (int64_t i = 0; i < count; i++) to[p * width + i] = from[p * s->column + i];
        return;
    }
    for (int64_t p0 = 0; p0 < depth; p0 += 16) {
        int64_t last = depth - p0 < 16 ? depth : p0 + 16;
        for (int64_t i = 0; i < count; i++)
            for (int64_t p = p0; p < last; p++) to[p * width + i] = from[i * s->row + p * s->column];
    }
}

/* Panel by panel within each depth block: packed + (start * panels + panel * depth) * width. */
static void pack_panel(void *argument, int64_t panel, int32_t worker)
{
    own *w = argument;
    const int64_t width = w->kernels->tile_columns, first = panel * width, panels = (w->b.lines + width - 1) / width;
    const int64_t count = w->b.lines - first < width ? w->b.lines - first : width;
    (void)worker;
    for (int64_t start = 0; start < w->k; start += DEPTH) {
        int64_t depth = w->k - start < DEPTH ? w->k - start : DEPTH;
        pack(&w->b, first, count, start, depth, width, w->packed + (start * panels + panel * depth) * width);
    }
}

static void multiply_block(const own *w, int64_t first, int64_t lines, const float *a, const float *b, int64_t depth, float beta)
{
    const kd__kernels *kernels = w->kernels;
    const int64_t width = kernels->tile_columns, height = kernels->tile_rows;
    for (int64_t j = 0; j < w->b.lines; j += width)
        for (int64_t i = 0; i < lines; i += height) {
            int64_t rows = lines - i < height ? lines - i : height, columns = w->b.lines - j < width ? w->b.lines - j : width;
            kernels->tile(depth, w->alpha, a + i * depth, b + j * depth, beta, w->c + (first + i) * w->row_step + j * w->column_step, w->row_step,
                          w->column_step, (int32_t)rows, (int32_t)columns);
        }
}

static void multiply_lines(void *argument, int64_t block, int32_t worker)
{
    own *w = argument;
    const int64_t width = w->kernels->tile_columns, height = w->kernels->tile_rows, panels = (w->b.lines + width - 1) / width;
    const int64_t first = block * LINES, lines = w->a.lines - first < LINES ? w->a.lines - first : LINES;
    float *a = w->blocks + worker * LINES * DEPTH;
    for (int64_t start = 0; start < w->k; start += DEPTH) {
        int64_t depth = w->k - start < DEPTH ? w->k - start : DEPTH;
        for (int64_t i = 0; i < lines; i += height)
            pack(&w->a, first + i, lines - i < height ? lines - i : height, start, depth, height, a + i * depth);
        multiply_block(w, first, lines, a, w->packed + start * panels * width, depth, start ? 1 : w->beta);
    }
}

static void run_chunks(kd_context *context, own *w, int64_t k)
{
    const int64_t panels = (w->b.lines + w->kernels->tile_columns - 1) / w->kernels->tile_columns;
    for (int64_t p = 0; p < k; p += MOST_DEPTH) {
        w->k = k - p < MOST_DEPTH ? k - p : MOST_DEPTH;
        kd__parallel(context, panels, pack_panel, w);
        kd__parallel(context, (w->a.lines + LINES - 1) / LINES, multiply_lines, w);
        w->a.x += w->k * w->a.column;
        w->b.x += w->k * w->b.column;
        w->beta = 1;
    }
}

static kd_status run_own(kd_context *context, const kd__gemm *g)
{
    const int64_t width = context->kernels->tile_columns;
    const side a = { g->a, g->a_t ? 1 : g->lda, g->a_t ? g->lda : 1, g->m }, b = { g->b, g->b_t ? g->ldb : 1, g->b_t ? 1 : g->ldb, g->n };
    own w = { .kernels = context->kernels, .alpha = g->alpha, .beta = g->beta, .c = g->c };
    int a_is_columns = g->m < g->n;
    w.a = a_is_columns ? b : a, w.row_step = a_is_columns ? 1 : g->ldc;
    w.b = a_is_columns ? a : b, w.column_step = a_is_columns ? g->ldc : 1;
    int64_t depth = g->k < MOST_DEPTH ? g->k : MOST_DEPTH, packed = (w.b.lines + width - 1) / width * width * depth;
    KD_TRY(kd__scratch_take(context, packed + (int64_t)context->threads * LINES * DEPTH, &w.packed));
    w.blocks = w.packed + packed;
    run_chunks(context, &w, g->k);
    kd__scratch_give(context, w.packed);
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
    g.m = g.m - i < t->rows ? g.m - i : t->rows;
    g.n = g.n - j < t->columns ? g.n - j : t->columns;
    kd__blas_call(&g);
}

/* About four tiles of at least 128 lines along the longer side: enough for a few threads, few enough to pack little twice. */
static int64_t cut(int64_t length)
{
    int64_t part = (length + 3) / 4;
    part = (part + 31) / 32 * 32;
    return part < 128 ? 128 : part;
}

static void run_blas_tiles(kd_context *context, const kd__gemm *g)
{
    tiles t = { g, g->m, g->n, 1 };
    if (g->m >= g->n) t.rows = cut(g->m);
    else t.columns = cut(g->n);
    t.across = (g->n + t.columns - 1) / t.columns;
    kd__parallel(context, (g->m + t.rows - 1) / t.rows * t.across, blas_tile, &t);
}

kd_status kd__gemm_run(kd_context *context, const kd__gemm *g)
{
    if (g->m == 0 || g->n == 0) return KD_OK;
    if (context->matmul.matmul) {
        kd_status status = context->matmul.matmul(context->matmul.user, g->a_t, g->b_t, g->m, g->n, g->k, g->alpha, g->a, g->lda, g->b, g->ldb,
                                                  g->beta, g->c, g->ldc);
        if (status < 0) return status;
        KD_FAIL_IF(status > 0, KD_ERR_CALLBACK, "the host's matmul returned %d", status);
        return KD_OK;
    }
    if (context->gemm == KD_GEMM_OWN) return run_own(context, g);
    if (kd__blas_threads() == 1) run_blas_tiles(context, g);
    else kd__blas_call(g);
    return KD_OK;
}
