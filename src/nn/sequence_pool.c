/* Pooling over the rows of sequences, forward and backward. */
#include "nn/sequence_pool.h"

#include <string.h>

typedef struct {
    const int64_t *offsets;
    int32_t kind;
    const float *x, *dy;
    float *y, *dx;
    int64_t n;
} pooling;

/* The row of the largest number of a column. */
static int64_t largest(const float *column, int64_t rows, int64_t n)
{
    int64_t found = 0;
    for (int64_t r = 1; r < rows; r++)
        if (column[r * n] > column[found * n]) found = r;
    return found;
}

static void mean(const kd__kernels *kernels, const float *x, int64_t rows, int64_t n, float *y)
{
    memset(y, 0, (size_t)n * sizeof *y);
    for (int64_t r = 0; r < rows; r++) kernels->add_bias(y, y, x + r * n, n);
    kernels->axpby(y, 1 / (float)rows, y, 0, n);
}

static void forward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const pooling *p = argument;
    const int64_t n = p->n;
    for (int64_t s = first; s < end; s++) {
        const int64_t rows = p->offsets[s + 1] - p->offsets[s];
        const float *x = p->x + p->offsets[s] * n;
        float *y = p->y + s * n;
        if (!rows) memset(y, 0, (size_t)n * sizeof *y);
        else if (p->kind == KD__POOL_MEAN) mean(kernels, x, rows, n, y);
        else if (p->kind == KD__POOL_MAX)
            for (int64_t i = 0; i < n; i++) y[i] = x[largest(x + i, rows, n) * n + i];
        else memcpy(y, p->kind == KD__POOL_LAST ? x + (rows - 1) * n : x, (size_t)n * sizeof *y);
    }
}

void kd__pool(const kd__sequences *sequences, int32_t kind, const float *x, int64_t n, float *y)
{
    const pooling p = { .offsets = sequences->offsets, .kind = kind, .x = x, .y = y, .n = n };
    const kd__rows samples = { sequences->context, sequences->count };
    kd__for_rows(&samples, forward, &p);
}

static void backward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const pooling *p = argument;
    const int64_t n = p->n;
    for (int64_t s = first; s < end; s++) {
        const int64_t rows = p->offsets[s + 1] - p->offsets[s];
        const float *x = p->x + p->offsets[s] * n, *dy = p->dy + s * n;
        float *dx = p->dx + p->offsets[s] * n;
        if (!rows) continue;
        if (p->kind == KD__POOL_MEAN)
            for (int64_t r = 0; r < rows; r++)
                kernels->axpby(dx + r * n, 1 / (float)rows, dy, 1, n);
        else if (p->kind == KD__POOL_MAX)
            for (int64_t i = 0; i < n; i++) dx[largest(x + i, rows, n) * n + i] += dy[i];
        else kernels->axpby(p->kind == KD__POOL_LAST ? dx + (rows - 1) * n : dx, 1, dy, 1, n);
    }
}

void kd__pool_gradient(const kd__sequences *sequences, int32_t kind, const float *x,
                       const float *dy, int64_t n, float *dx)
{
    const pooling p = {
        .offsets = sequences->offsets, .kind = kind, .x = x, .dy = dy, .dx = dx, .n = n
    };
    const kd__rows samples = { sequences->context, sequences->count };
    kd__for_rows(&samples, backward, &p);
}
