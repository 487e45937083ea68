/* Gradients of a head with cells of little weight left out: what stands in for them, and its
 * bound. */
#include "core/loss/cells.h"

#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "math/kernels.h"

#define ROUNDING 1e-6 /* share of what was left out that sums in float32 may hide */

static int64_t cells_of(int64_t n) { return kd__ceil_div(n, KD__CELL); }
static int64_t even(int64_t floats) { return kd__round_up(floats, 16); }

int64_t kd__cells_room(int64_t rows, int64_t classes, int64_t width)
{
    const int64_t down = cells_of(rows), across = cells_of(classes);
    return even(4 * rows) + even(rows * across) + even(across * width) + even(rows) +
           even(down * classes) + even(down * width) + even((down * across + 3) / 4);
}

static float *take(float **room, int64_t floats)
{
    float *at = *room;
    *room += even(floats);
    return at;
}

void kd__cells_lay_out(kd__cells *c, float *room, int64_t rows)
{
    const int64_t down = cells_of(rows);
    c->across = cells_of(c->classes);
    c->left = (double *)(void *)take(&room, 4 * rows);
    c->sums = take(&room, rows * c->across);
    c->means = take(&room, c->across * c->width);
    c->weights = take(&room, rows);
    c->columns = take(&room, down * c->classes);
    c->states = take(&room, down * c->width);
    c->active = (uint8_t *)take(&room, (down * c->across + 3) / 4);
}

/* ---- the head ---- */

typedef struct {
    kd__cells *cells;
    const float *weight;
} heads;

static void mean_rows(void *argument, int64_t cell, int32_t worker)
{
    const heads *h = argument;
    const kd__cells *c = h->cells;
    const int64_t first = cell * KD__CELL, n = kd__min(c->classes - first, KD__CELL);
    float *mean = c->means + cell * c->width;
    (void)worker;
    memset(mean, 0, (size_t)c->width * sizeof *mean);
    for (int64_t i = 0; i < n; i++)
        c->context->kernels->axpby(mean, 1 / (float)n, h->weight + (first + i) * c->width, 1,
                                   c->width);
}

void kd__cells_head(kd__cells *c, const float *weight)
{
    heads h = { c, weight };
    kd__parallel(c->context, c->across, mean_rows, &h);
}

/* ---- a block ---- */

/* A cell's rows: their sums, and what is left of them without their mean. */
static void sum_cell(kd__cells *c, int64_t first, int64_t last, int64_t cell, int64_t n)
{
    const kd__kernels *kernels = c->context->kernels;
    for (int64_t r = first; r < last; r++) {
        const float *x = c->z + r * c->z_step + cell * KD__CELL;
        const double sum = kernels->sum(x, n), squares = kernels->sum_squares(x, n),
                     apart = squares - sum * sum / (double)n;
        c->sums[r * c->across + cell] = (float)sum;
        c->left[2 * r] += squares;
        /* at least the sum of sizes */
        c->left[2 * r + 1] += sqrt((double)n * ((apart > 0 ? apart : 0) + ROUNDING * squares));
    }
}

static void mark_row_cells(kd__cells *c, int64_t first, int64_t last, uint8_t *active)
{
    const kd__kernels *kernels = c->context->kernels;
    memset(c->left + 2 * first, 0, (size_t)(2 * (last - first)) * sizeof *c->left);
    for (int64_t cell = 0; cell < c->across; cell++) {
        const int64_t start = cell * KD__CELL, n = kd__min(c->classes - start, KD__CELL);
        active[cell] = 0;
        for (int64_t r = first; r < last && !active[cell]; r++)
            active[cell] = kernels->largest_size(c->z + r * c->z_step + start, n) > c->threshold;
        if (!active[cell]) sum_cell(c, first, last, cell, n);
        for (int64_t r = first; r < last && active[cell]; r++) c->sums[r * c->across + cell] = 0;
    }
}

/* The direction: the rows' sums over all that is off, so that numbers of one sign lose least. */
static void weigh_rows(kd__cells *c, int64_t first, int64_t last)
{
    double length = 0;
    for (int64_t r = first; r < last; r++) {
        const double sum = c->context->kernels->sum(c->sums + r * c->across, c->across);
        c->weights[r] = (float)sum;
        length += (double)c->weights[r] * c->weights[r];
    }
    for (int64_t r = first; r < last; r++)
        c->weights[r] =
            (float)(length > 0 ? c->weights[r] / sqrt(length) : 1 / sqrt((double)(last - first)));
}

/* What the direction holds of the cells that are off: it leaves so much less. */
static void project(kd__cells *c, int64_t row_cell, int64_t first, int64_t last,
                    const uint8_t *active)
{
    const kd__kernels *kernels = c->context->kernels;
    float *columns = c->columns + row_cell * c->classes, *states = c->states + row_cell * c->width;
    memset(columns, 0, (size_t)c->classes * sizeof *columns);
    memset(states, 0, (size_t)c->width * sizeof *states);
    for (int64_t cell = 0; cell < c->across; cell++) {
        const int64_t start = cell * KD__CELL, n = kd__min(c->classes - start, KD__CELL);
        for (int64_t r = first; r < last && !active[cell]; r++)
            kernels->axpby(columns + start, c->weights[r], c->z + r * c->z_step + start, 1, n);
    }
    for (int64_t r = first; r < last; r++)
        kernels->axpby(states, c->weights[r], c->hidden + r * c->hidden_step, 1, c->width);
    double squares = 0;
    for (int64_t r = first; r < last; r++) squares += c->left[2 * r], c->left[2 * r] = 0;
    const double apart = squares - kernels->sum_squares(columns, c->classes);
    c->left[2 * first] = (apart > 0 ? apart : 0) + ROUNDING * squares;
}

static void mark_rows(void *argument, int64_t row_cell, int32_t worker)
{
    kd__cells *c = argument;
    const int64_t first = row_cell * KD__CELL, last = kd__min(first + KD__CELL, c->rows);
    uint8_t *active = c->active + row_cell * c->across;
    (void)worker;
    mark_row_cells(c, first, last, active);
    weigh_rows(c, first, last);
    project(c, row_cell, first, last, active);
}

void kd__cells_mark(kd__cells *c, const float *z, int64_t z_step, int64_t rows, const float *hidden,
                    int64_t hidden_step)
{
    const int64_t down = cells_of(rows), count = down * c->across;
    c->z = z;
    c->z_step = z_step;
    c->rows = rows;
    c->hidden = hidden;
    c->hidden_step = hidden_step;
    kd__parallel(c->context, down, mark_rows, c);
    for (int64_t i = 0; i < count; i++) c->skipped += !c->active[i];
    c->cells += (double)count;
    for (int64_t r = 0; r < rows; r++) {
        c->squares += c->left[2 * r];
        c->row_sizes += c->left[2 * r + 1] * c->left[2 * r + 1];
    }
}

/* ---- products ---- */

kd_status kd__cells_times_head(const kd__cells *c, const kd__gemm *product, int64_t first)
{
    kd__gemm rest = *product;
    rest.k = cells_of(product->k);
    rest.a = c->sums + first / KD__CELL;
    rest.lda = c->across;
    rest.b = c->means + first / KD__CELL * c->width;
    rest.ldb = c->width;
    return kd__gemm_cells(c->context, product, c->active + first / KD__CELL, c->across, 1, &rest);
}

kd_status kd__cells_times_hidden(const kd__cells *c, const kd__gemm *product)
{
    kd__gemm rest = *product;
    rest.k = cells_of(product->k);
    rest.a = c->columns;
    rest.lda = c->classes;
    rest.b = c->states;
    rest.ldb = c->width;
    return kd__gemm_cells(c->context, product, c->active, 1, c->across, &rest);
}
