#include "math/gemm.h"

#include "base/thread.h"
#include "math/blas.h"
#include "math/kernels.h"

/* The library's own product. One side is packed into panels of `tile_columns`: the one with fewer lines, the other side is read
 * where it lies. C' = op(B)' op(A)' has the same numbers, so either side may be the packed one; only the steps through C differ.
 * k is cut at K_BLOCK, so that the order of sums depends on k alone.                                                         */
#define K_BLOCK 1024
#define LINE_BLOCK 48 /* lines of the unpacked side a tile of work */

typedef struct {
    const kd__kernels *kernels;
    int64_t lines, columns, k, k_left; /* unpacked side, packed side, depth of this block */
    float alpha, beta;
    const float *a; /* unpacked: line i, depth p at a[i * a_row + p * a_column] */
    int64_t a_row, a_column;
    const float *b; /* packed side: column j, depth p at b[j * b_row + p * b_column] */
    int64_t b_row, b_column;
    float *c;
    int64_t row_step, column_step;
    float *packed;
} own;

static void pack_panel(void *argument, int64_t panel, int32_t worker)
{
    own *w = argument;
    const int64_t width = w->kernels->tile_columns, first = panel * width;
    const int64_t count = w->columns - first < width ? w->columns - first : width;
    float *to = w->packed + panel * width * w->k_left;
    (void)worker;
    if (w->b_row == 1) {
        for (int64_t p = 0; p < w->k_left; p++, to += width)
            for (int64_t j = 0; j < count; j++) to[j] = w->b[(first + j) + p * w->b_column];
        return;
    }
    for (int64_t p0 = 0; p0 < w->k_left; p0 += 16) {
        int64_t depth = w->k_left - p0 < 16 ? w->k_left - p0 : 16;
        for (int64_t j = 0; j < count; j++) {
            const float *from = w->b + (first + j) * w->b_row + p0 * w->b_column;
            for (int64_t p = 0; p < depth; p++) to[(p0 + p) * width + j] = from[p * w->b_column];
        }
    }
}

static void multiply_lines(void *argument, int64_t block, int32_t worker)
{
    own *w = argument;
    const kd__kernels *kernels = w->kernels;
    const int64_t width = kernels->tile_columns, first = block * LINE_BLOCK;
    const int64_t last = first + LINE_BLOCK < w->lines ? first + LINE_BLOCK : w->lines;
    (void)worker;
    for (int64_t j = 0; j < w->columns; j += width)
        for (int64_t i = first; i < last; i += kernels->tile_rows) {
            int64_t rows = last - i < kernels->tile_rows ? last - i : kernels->tile_rows;
            int64_t columns = w->columns - j < width ? w->columns - j : width;
            kernels->tile(w->k_left, w->alpha, w->a + i * w->a_row, w->a_row, w->a_column, w->packed + j * w->k_left, w->beta,
                          w->c + i * w->row_step + j * w->column_step, w->row_step, w->column_step, (int32_t)rows, (int32_t)columns);
        }
}

static void run_blocks(kd_context *context, own *w)
{
    const int64_t panels = (w->columns + w->kernels->tile_columns - 1) / w->kernels->tile_columns;
    for (int64_t p = 0; p < w->k; p += K_BLOCK) {
        w->k_left = w->k - p < K_BLOCK ? w->k - p : K_BLOCK;
        kd__parallel(context, panels, pack_panel, w);
        kd__parallel(context, (w->lines + LINE_BLOCK - 1) / LINE_BLOCK, multiply_lines, w);
        w->a += w->k_left * w->a_column;
        w->b += w->k_left * w->b_column;
        w->beta = 1;
    }
}

static kd_status run_own(kd_context *context, const kd__gemm *g)
{
    const int64_t width = context->kernels->tile_columns;
    own w = { .kernels = context->kernels, .lines = g->m, .columns = g->n, .k = g->k, .alpha = g->alpha, .beta = g->beta, .c = g->c };
    w.a = g->a, w.a_row = g->a_t ? 1 : g->lda, w.a_column = g->a_t ? g->lda : 1;
    w.b = g->b, w.b_row = g->b_t ? g->ldb : 1, w.b_column = g->b_t ? 1 : g->ldb;
    w.row_step = g->ldc, w.column_step = 1;
    if (g->m < g->n) { /* pack A instead */
        own swapped = w;
        swapped.lines = w.columns, swapped.columns = w.lines;
        swapped.a = w.b, swapped.a_row = w.b_row, swapped.a_column = w.b_column;
        swapped.b = w.a, swapped.b_row = w.a_row, swapped.b_column = w.a_column;
        swapped.row_step = w.column_step, swapped.column_step = w.row_step;
        w = swapped;
    }
    int64_t depth = w.k < K_BLOCK ? w.k : K_BLOCK, need = (w.columns + width - 1) / width * width * depth;
    KD_TRY(kd__scratch_take(context, need, &w.packed));
    run_blocks(context, &w);
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
