/* Pooling over the rows of sequences, forward and backward. */
#include "nn/sequence_pool.h"

#include <string.h>

static const char *const names[KD__POOLINGS] = { "cls", "mean", "max", "last", "weightedmean" };

int32_t kd__pooling_kind(const char *name)
{
    for (int32_t i = 0; i < KD__POOLINGS; i++)
        if (!strcmp(name, names[i])) return i;
    return -1;
}

const char *kd__pooling_name(int32_t kind) { return names[kind]; }

typedef struct {
    const kd__sequences *sequences;
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

/* Rows first .. end - 1 of a sequence; r of them counts r + 1. */
typedef struct {
    int64_t at, first, end; /* at: of the sequence's row 0 */
} span;

static span span_of(const pooling *p, int64_t s)
{
    const int64_t rows = p->sequences->offsets[s + 1] - p->sequences->offsets[s];
    const int64_t end = p->kind >= KD__POOLINGS && rows > 2 ? 2 : rows;
    if (p->kind == KD__POOL_SECOND)
        return (span){ p->sequences->offsets[s], rows > 1 ? 1 : rows, end };
    const int64_t first = p->sequences->skipped ? p->sequences->skipped[s] : 0;
    return (span){ p->sequences->offsets[s], first < end ? first : end, end };
}

/* What row r is multiplied by in a mean. */
static float share(const pooling *p, const span *s, int64_t r)
{
    const double counted = (double)(s->end - s->first);
    if (p->kind != KD__POOL_WEIGHTED) return 1 / (float)(s->end - s->first);
    return (float)((double)(r + 1) / (counted * (double)(s->first + s->end + 1) / 2));
}

static int is_mean(int32_t kind)
{
    return kind == KD__POOL_MEAN || kind == KD__POOL_WEIGHTED || kind == KD__POOL_FIRST_TWO;
}

static void mean(const kd__kernels *kernels, const pooling *p, const span *s, float *y)
{
    const float *x = p->x + s->at * p->n;
    memset(y, 0, (size_t)p->n * sizeof *y);
    if (p->kind == KD__POOL_WEIGHTED) {
        for (int64_t r = s->first; r < s->end; r++)
            kernels->axpby(y, share(p, s, r), x + r * p->n, 1, p->n);
        return;
    }
    for (int64_t r = s->first; r < s->end; r++) kernels->add_bias(y, y, x + r * p->n, p->n);
    kernels->axpby(y, share(p, s, 0), y, 0, p->n);
}

static void forward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const pooling *p = argument;
    const int64_t n = p->n;
    for (int64_t i = first; i < end; i++) {
        const span s = span_of(p, i);
        const int64_t rows = s.end - s.first;
        const float *x = p->x + (s.at + s.first) * n;
        float *y = p->y + i * n;
        if (!rows) memset(y, 0, (size_t)n * sizeof *y);
        else if (is_mean(p->kind)) mean(kernels, p, &s, y);
        else if (p->kind == KD__POOL_MAX)
            for (int64_t c = 0; c < n; c++) y[c] = x[largest(x + c, rows, n) * n + c];
        else memcpy(y, p->kind == KD__POOL_LAST ? x + (rows - 1) * n : x, (size_t)n * sizeof *y);
    }
}

void kd__pool(const kd__sequences *sequences, int32_t kind, const float *x, int64_t n, float *y)
{
    const pooling p = { .sequences = sequences, .kind = kind, .x = x, .y = y, .n = n };
    const kd__rows samples = { sequences->context, sequences->count };
    kd__for_rows(&samples, forward, &p);
}

static void backward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const pooling *p = argument;
    const int64_t n = p->n;
    for (int64_t i = first; i < end; i++) {
        const span s = span_of(p, i);
        const int64_t rows = s.end - s.first;
        const float *x = p->x + (s.at + s.first) * n, *dy = p->dy + i * n;
        float *dx = p->dx + (s.at + s.first) * n;
        if (!rows) continue;
        if (is_mean(p->kind))
            for (int64_t r = 0; r < rows; r++)
                kernels->axpby(dx + r * n, share(p, &s, s.first + r), dy, 1, n);
        else if (p->kind == KD__POOL_MAX)
            for (int64_t c = 0; c < n; c++) dx[largest(x + c, rows, n) * n + c] += dy[c];
        else kernels->axpby(p->kind == KD__POOL_LAST ? dx + (rows - 1) * n : dx, 1, dy, 1, n);
    }
}

void kd__pool_gradient(const kd__sequences *sequences, int32_t kind, const float *x,
                       const float *dy, int64_t n, float *dx)
{
    const pooling p = { .sequences = sequences, .kind = kind, .x = x, .dy = dy, .dx = dx, .n = n };
    const kd__rows samples = { sequences->context, sequences->count };
    kd__for_rows(&samples, backward, &p);
}
