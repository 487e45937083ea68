/* Embeddings, forward and backward. */
#include "nn/embedding.h"

#include <string.h>

typedef struct {
    const float *table, *dy;
    const int32_t *ids;
    float *y, *dtable;
    int64_t n, rows;
} embedding;

static void forward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const embedding *e = argument;
    (void)kernels;
    for (int64_t r = first; r < end; r++)
        memcpy(e->y + r * e->n, e->table + (int64_t)e->ids[r] * e->n, (size_t)e->n * sizeof(float));
}

void kd__embedding(const kd__rows *rows, const float *table, const int32_t *ids, int64_t n,
                   float *y)
{
    const embedding e = { .table = table, .ids = ids, .n = n, .y = y };
    kd__for_rows(rows, forward, &e);
}

static void add(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const embedding *e = argument;
    for (int64_t r = first; r < end; r++) {
        float *y = e->y + r * e->n;
        kernels->add_bias(y, y, e->table + (int64_t)e->ids[r] * e->n, e->n);
    }
}

void kd__embedding_add(const kd__rows *rows, const float *table, const int32_t *ids, int64_t n,
                       float *y)
{
    const embedding e = { .table = table, .ids = ids, .n = n, .y = y };
    kd__for_rows(rows, add, &e);
}

static void backward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const embedding *e = argument;
    for (int64_t r = 0; r < e->rows; r++) {
        float *to = e->dtable + (int64_t)e->ids[r] * e->n + first;
        kernels->add_bias(to, to, e->dy + r * e->n + first, end - first);
    }
}

void kd__embedding_gradient(const kd__rows *rows, const float *dy, const int32_t *ids, int64_t n,
                            float *dtable)
{
    const embedding e = { .dy = dy, .ids = ids, .n = n, .rows = rows->count, .dtable = dtable };
    kd__for_columns(rows->context, n, backward, &e);
}
