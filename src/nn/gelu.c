/* Feed-forward layers without a gate, forward and backward. */
#include "nn/gelu.h"

typedef struct {
    float *g, *a, *dg;
    const float *bias, *da, *kept;
    int64_t n;
} middle;

static void forward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const middle *w = argument;
    for (int64_t r = first; r < end; r++) {
        float *g = w->g + r * w->n;
        if (w->bias) kernels->add_bias(g, g, w->bias, w->n);
        kernels->gelu(w->a + r * w->n, g, w->n);
    }
}

void kd__gelu(const kd__rows *rows, float *g, const float *bias, int64_t n, float *a)
{
    const middle w = { .g = g, .bias = bias, .n = n, .a = a };
    kd__for_rows(rows, forward, &w);
}

static void backward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const middle *w = argument;
    for (int64_t r = first; r < end; r++)
        kernels->gelu_gradient(w->a + r * w->n, w->dg + r * w->n, w->da + r * w->n,
                               w->kept + r * w->n, w->n);
}

void kd__gelu_gradient(const kd__rows *rows, const float *g, const float *da, int64_t n, float *a,
                       float *dg)
{
    const middle w = { .kept = g, .da = da, .n = n, .a = a, .dg = dg };
    kd__for_rows(rows, backward, &w);
}
