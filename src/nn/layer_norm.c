/* Layer norms of rows, forward and backward. */
#include "nn/layer_norm.h"

#include "nn/linear.h"

typedef struct {
    const float *x, *w, *b, *dy, *stats;
    float *y, *kept, *dx, *dw;
    int64_t n, rows;
    float epsilon;
    int add_dx, add;
} norm;

static void forward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const norm *a = argument;
    for (int64_t i = first; i < end; i++) {
        float mean;
        const float r = kernels->layer_norm(a->y + i * a->n, a->x + i * a->n, a->w, a->b, a->n,
                                            a->epsilon, &mean);
        if (!a->kept) continue;
        a->kept[2 * i] = mean;
        a->kept[2 * i + 1] = r;
    }
}

void kd__layer_norm(const kd__rows *rows, const float *x, const float *w, const float *b, int64_t n,
                    double epsilon, float *y, float *kept)
{
    const norm a = {
        .x = x, .w = w, .b = b, .n = n, .epsilon = (float)epsilon, .y = y, .kept = kept
    };
    kd__for_rows(rows, forward, &a);
}

static void sum_weight(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const norm *a = argument;
    float sums[KD__COLUMNS] = { 0 };
    (void)kernels;
    for (int64_t i = 0; i < a->rows; i++) {
        const float *dy = a->dy + i * a->n, *x = a->x + i * a->n;
        const float mean = a->stats[2 * i], r = a->stats[2 * i + 1];
        for (int64_t j = first; j < end; j++) sums[j - first] += dy[j] * (x[j] - mean) * r;
    }
    for (int64_t j = first; j < end; j++)
        a->dw[j] = a->add ? a->dw[j] + sums[j - first] : sums[j - first];
}

static void backward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const norm *a = argument;
    for (int64_t i = first; i < end; i++)
        kernels->layer_norm_gradient(a->dx + i * a->n, a->dy + i * a->n, a->x + i * a->n, a->w,
                                     a->n, a->stats[2 * i], a->stats[2 * i + 1], a->add_dx);
}

void kd__layer_norm_gradient(const kd__rows *rows, const float *x, const float *w,
                             const float *kept, const float *dy, int64_t n, float *dx, int add_dx,
                             float *dw, float *db, int add)
{
    const norm a = { .x = x,
                     .w = w,
                     .stats = kept,
                     .dy = dy,
                     .n = n,
                     .rows = rows->count,
                     .dx = dx,
                     .dw = dw,
                     .add_dx = add_dx,
                     .add = add };
    if (dw) kd__for_columns(rows->context, n, sum_weight, &a);
    kd__bias_gradient(rows, dy, n, db, add);
    kd__for_rows(rows, backward, &a);
}
