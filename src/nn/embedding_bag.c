/* Means of rows of a table, forward and backward. */
#include "nn/embedding_bag.h"

#include <string.h>

typedef struct {
    const kd__bags *bags;
    const float *table, *dy;
    float *y, *dtable, *dfactor;
    int64_t n;
} bag_work;

/* The share of token t in its sample's mean. */
static float share(const kd__bags *bags, int64_t s, int64_t t)
{
    const float tokens = (float)(bags->offsets[s + 1] - bags->offsets[s]);
    return (bags->factor ? bags->factor[t] : 1) / tokens;
}

static void forward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const bag_work *w = argument;
    const kd__bags *bags = w->bags;
    for (int64_t s = first; s < end; s++) {
        float *y = w->y + s * w->n;
        memset(y, 0, (size_t)w->n * sizeof *y);
        for (int64_t t = bags->offsets[s]; t < bags->offsets[s + 1]; t++)
            kernels->axpby(y, share(bags, s, t), w->table + bags->row[t] * w->n, 1, w->n);
    }
}

void kd__embedding_bag(const kd__bags *bags, const float *table, int64_t n, float *y)
{
    const bag_work w = { .bags = bags, .table = table, .y = y, .n = n };
    const kd__rows samples = { bags->context, bags->count };
    kd__for_rows(&samples, forward, &w);
}

/* Columns first .. end - 1 of all rows: two tokens may be one row. */
static void backward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const bag_work *w = argument;
    const kd__bags *bags = w->bags;
    for (int64_t s = 0; s < bags->count; s++) {
        const float *dy = w->dy + s * w->n + first;
        for (int64_t t = bags->offsets[s]; t < bags->offsets[s + 1]; t++)
            kernels->axpby(w->dtable + bags->row[t] * w->n + first, share(bags, s, t), dy, 1,
                           end - first);
    }
}

void kd__embedding_bag_gradient(const kd__bags *bags, const float *dy, int64_t n, float *dtable)
{
    const bag_work w = { .bags = bags, .dy = dy, .dtable = dtable, .n = n };
    kd__for_columns(bags->context, n, backward, &w);
}

static void factors(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const bag_work *w = argument;
    const kd__bags *bags = w->bags;
    (void)kernels;
    for (int64_t s = first; s < end; s++) {
        const float *dy = w->dy + s * w->n;
        const int64_t from = bags->offsets[s], to = bags->offsets[s + 1];
        for (int64_t t = from; t < to; t++) {
            const float *row = w->table + bags->row[t] * w->n;
            double sum = 0;
            for (int64_t i = 0; i < w->n; i++) sum += (double)row[i] * dy[i];
            w->dfactor[t] = (float)(sum / (double)(to - from));
        }
    }
}

void kd__embedding_bag_factor_gradient(const kd__bags *bags, const float *table, const float *dy,
                                       int64_t n, float *dfactor)
{
    const bag_work w = { .bags = bags, .table = table, .dy = dy, .dfactor = dfactor, .n = n };
    const kd__rows samples = { bags->context, bags->count };
    kd__for_rows(&samples, factors, &w);
}
