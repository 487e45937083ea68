/* Residual sums. */
#include "nn/residual.h"

typedef struct {
    float *y;
    const float *x, *bias;
    int64_t n;
} sums;

static void add(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const sums *s = argument;
    for (int64_t r = first; r < end; r++) {
        float *y = s->y + r * s->n;
        kernels->add_bias(y, y, s->x + r * s->n, s->n);
        if (s->bias) kernels->add_bias(y, y, s->bias, s->n);
    }
}

void kd__residual(const kd__rows *rows, float *y, const float *x, const float *bias, int64_t n)
{
    const sums s = { y, x, bias, n };
    kd__for_rows(rows, add, &s);
}

static void add_bias(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const sums *s = argument;
    for (int64_t r = first; r < end; r++)
        kernels->add_bias(s->y + r * s->n, s->y + r * s->n, s->bias, s->n);
}

void kd__bias(const kd__rows *rows, float *y, const float *bias, int64_t n)
{
    const sums s = { .y = y, .bias = bias, .n = n };
    if (bias) kd__for_rows(rows, add_bias, &s);
}
