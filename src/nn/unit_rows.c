/* Rows of length 1, forward and backward. */
#include "nn/unit_rows.h"

#include <math.h>

#define LEAST 1e-12

typedef struct {
    const float *x, *dy, *unit, *lengths;
    float *y, *length, *dx;
    int64_t n;
} scaling;

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

static void forward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const scaling *s = argument;
    for (int64_t r = first; r < end; r++) {
        const float *x = s->x + r * s->n;
        s->length[r] = (float)fmax(sqrt(dot(x, x, s->n)), LEAST);
        kernels->axpby(s->y + r * s->n, 1 / s->length[r], x, 0, s->n);
    }
}

void kd__unit_rows(const kd__rows *rows, const float *x, int64_t n, float *y, float *length)
{
    const scaling s = { .x = x, .y = y, .length = length, .n = n };
    kd__for_rows(rows, forward, &s);
}

static void backward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const scaling *s = argument;
    (void)kernels;
    for (int64_t r = first; r < end; r++) {
        const float *y = s->unit + r * s->n, *dy = s->dy + r * s->n;
        const float along = (float)dot(y, dy, s->n), by = 1 / s->lengths[r];
        float *dx = s->dx + r * s->n;
        for (int64_t i = 0; i < s->n; i++) dx[i] = (dy[i] - y[i] * along) * by;
    }
}

void kd__unit_rows_gradient(const kd__rows *rows, const float *y, const float *length,
                            const float *dy, int64_t n, float *dx)
{
    const scaling s = { .unit = y, .lengths = length, .dy = dy, .dx = dx, .n = n };
    kd__for_rows(rows, backward, &s);
}
