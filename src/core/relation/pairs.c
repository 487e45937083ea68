/* Blocks of pairs: scratch, products, passes over rows. */
#include "core/relation/pairs.h"

#include <string.h>

#include "base/context.h"
#include "base/numbers.h"
#include "math/gemm.h"
#include "math/kernels.h"
#include "nn/ranges.h"

#define LINE 16 /* floats of 64 bytes */
#define MOST_BYTES ((int64_t)4 << 20)

/* ---- scratch ---- */

/* Rows of a block: as many as the limit holds of both sides' pairs, and no more than stay in near
 * caches. */
static int64_t block_rows(int64_t b, int64_t limit)
{
    const int64_t a_row = 2 * (int64_t)sizeof(float) * kd__max(b, 1);
    return kd__clamp(kd__min(limit, MOST_BYTES) / a_row, 1, kd__max(b, 1));
}

int64_t kd__pairs_room(int64_t b, int64_t ws, int64_t wt, int64_t limit)
{
    return kd__round_up(b * ws, LINE) + kd__round_up(b * wt, LINE) +
           (1 + KD__PAIR_NUMBERS) * kd__round_up(2 * b, LINE) +
           2 * kd__round_up(block_rows(b, limit) * b, LINE);
}

static float *take(float **at, int64_t floats)
{
    float *piece = *at;
    *at += kd__round_up(floats, LINE);
    return piece;
}

static double *take_doubles(float **at, int64_t count)
{
    double *piece = (double *)(void *)take(at, 2 * count);
    memset(piece, 0, (size_t)count * sizeof *piece);
    return piece;
}

void kd__pairs_lay_out(kd__pairs *p, kd__relation *r)
{
    float *at = r->scratch;
    const int64_t b = r->b;
    *p = (kd__pairs){ .r = r, .b = b, .factor = 1, .held = -1, .block = block_rows(b, r->limit) };
    p->x = take(&at, b * r->ws);
    p->y = take(&at, b * r->wt);
    p->inverse = take_doubles(&at, b);
    for (int k = 0; k < KD__PAIR_NUMBERS; k++) p->of[k] = take_doubles(&at, b);
    p->a = take(&at, p->block * b);
    p->c = take(&at, p->block * b);
}

void kd__relation_is_degenerate(kd__relation *r)
{
    r->degenerate = 1;
    memset(r->shares, 0, (size_t)r->b * sizeof *r->shares);
    if (r->ds) memset(r->ds, 0, (size_t)(r->b * r->ws) * sizeof *r->ds);
}

/* ---- products ---- */

kd_status kd__pairs_multiply(kd_context *context, const kd__gemm *product)
{
    const kd__tiles tiles = { context->kernels->tile_rows, context->kernels->tile_columns, 1,
                              context->kernels->pack, context->kernels->tile };
    return kd__gemm_tiles(context, product, &tiles);
}

/* to (rows, b): rows of x times all of x */
static kd_status make_pairs(const kd__pairs *p, int64_t rows, const float *x, int64_t width,
                            float *to)
{
    const kd__gemm g = { .b_t = 1,
                         .m = rows,
                         .n = p->b,
                         .k = width,
                         .alpha = 1,
                         .a = x + p->first * width,
                         .lda = width,
                         .b = x,
                         .ldb = width,
                         .c = to,
                         .ldc = p->b };
    return kd__pairs_multiply(p->r->context, &g);
}

/* ds (+)= F X for the rows of the block */
static kd_status push_back(const kd__pairs *p, int64_t rows, int add)
{
    const int64_t width = p->r->ws;
    const kd__gemm g = { .m = rows,
                         .n = width,
                         .k = p->b,
                         .alpha = 1,
                         .a = p->a,
                         .lda = p->b,
                         .b = p->x,
                         .ldb = width,
                         .beta = add ? 1 : 0,
                         .c = p->r->ds + p->first * width,
                         .ldc = width };
    return kd__pairs_multiply(p->r->context, &g);
}

/* ---- passes ---- */

static void run_rows(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    kd__pairs *p = *(kd__pairs *const *)argument;
    (void)kernels;
    for (int64_t i = first; i < end; i++) {
        float *a = p->a + i * p->b, *c = p->c + i * p->b;
        if (p->is_new && p->prepare) p->prepare(p, p->first + i, a, c);
        p->row(p, p->first + i, a, c);
    }
}

static kd_status run_block(kd__pairs *p, int64_t rows)
{
    const kd__rows of = { p->r->context, rows };
    p->is_new = p->first != p->held;
    if (p->is_new) {
        KD_TRY(make_pairs(p, rows, p->x, p->r->ws, p->a));
        KD_TRY(make_pairs(p, rows, p->y, p->r->wt, p->c));
        p->held = p->first;
    }
    kd__for_rows(&of, run_rows, &p);
    return KD_OK;
}

/* Passes go down and up the blocks in turn: each begins with the block that the last one left. */
static int64_t first_of(const kd__pairs *p, int64_t n)
{
    const int64_t last = kd__ceil_div(p->b, p->block) - 1;
    return (p->is_upward ? last - n : n) * p->block;
}

kd_status kd__pairs_pass(kd__pairs *p, kd__pair_row *row)
{
    p->row = row;
    for (int64_t n = 0; n * p->block < p->b; n++) {
        p->first = first_of(p, n);
        KD_TRY(run_block(p, kd__min(p->b - p->first, p->block)));
    }
    p->is_upward = !p->is_upward;
    return KD_OK;
}

/* ds of x = factor s, and not a factor of F, which might leave float32's range. */
static void scale_gradient(const kd__kernels *kernels, const void *argument, int64_t first,
                           int64_t end)
{
    const kd__pairs *p = *(kd__pairs *const *)argument;
    (void)kernels;
    for (int64_t k = first * p->r->ws; k < end * p->r->ws; k++)
        p->r->ds[k] = (float)(p->factor * p->r->ds[k]);
}

kd_status kd__pairs_gradient(kd__pairs *p, kd__pair_row *row, int add)
{
    const kd__rows all = { p->r->context, p->b };
    p->row = row;
    for (int64_t n = 0; n * p->block < p->b; n++) {
        p->first = first_of(p, n);
        const int64_t rows = kd__min(p->b - p->first, p->block);
        KD_TRY(run_block(p, rows));
        KD_TRY(push_back(p, rows, add));
    }
    if (p->factor != 1) kd__for_rows(&all, scale_gradient, &p);
    return KD_OK;
}
