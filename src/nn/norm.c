/* Root-mean-square norms of rows, forward and backward. Norms of heads are in heads.c. */
#include "nn/norm.h"

typedef struct {
    const float *x, *w, *dy, *r;
    float *y, *kept, *dx, *dw;
    int64_t n, rows;
    float epsilon;
    int add;
} norm;

static void forward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const norm *a = argument;
    for (int64_t i = first; i < end; i++) {
        const float r = kernels->rms_norm(a->y + i * a->n, a->x + i * a->n, a->w, a->n, a->epsilon);
        if (a->kept) a->kept[i] = r;
    }
}

void kd__norm(const kd__rows *rows, const float *x, const float *w, int64_t n, double epsilon,
              float *y, float *r)
{
    const norm a = { .x = x, .w = w, .n = n, .epsilon = (float)epsilon, .y = y, .kept = r };
    kd__for_rows(rows, forward, &a);
}

static void sum_weight(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const norm *a = argument;
    float sums[KD__COLUMNS] = { 0 };
    (void)kernels;
    for (int64_t i = 0; i < a->rows; i++) {
        const float *dy = a->dy + i * a->n, *x = a->x + i * a->n, r = a->r[i];
        for (int64_t j = first; j < end; j++) sums[j - first] += dy[j] * x[j] * r;
    }
    for (int64_t j = first; j < end; j++)
        a->dw[j] = a->add ? a->dw[j] + sums[j - first] : sums[j - first];
}

static void backward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const norm *a = argument;
    for (int64_t i = first; i < end; i++)
        kernels->rms_norm_gradient(a->dx + i * a->n, a->dy + i * a->n, a->x + i * a->n, a->w, a->n,
                                   a->r[i], 1);
}

void kd__norm_gradient(const kd__rows *rows, const float *x, const float *w, const float *r,
                       const float *dy, int64_t n, float *dx, float *dw, int add)
{
    const norm a = { .x = x,
                     .w = w,
                     .r = r,
                     .dy = dy,
                     .n = n,
                     .rows = rows->count,
                     .dx = dx,
                     .dw = dw,
                     .add = add };
    if (dw) kd__for_columns(rows->context, n, sum_weight, &a);
    kd__for_rows(rows, backward, &a);
}
