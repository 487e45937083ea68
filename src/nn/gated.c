/* Gated feed-forward layers, forward and backward. */
#include "nn/gated.h"

typedef struct {
    float *gu, *a, *dgu;
    const float *bias, *da, *kept;
    int64_t n;
} gate;

static void forward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const gate *w = argument;
    for (int64_t r = first; r < end; r++) {
        float *g = w->gu + r * 2 * w->n;
        if (w->bias) kernels->add_bias(g, g, w->bias, 2 * w->n);
        kernels->swiglu(w->a + r * w->n, g, g + w->n, w->n);
    }
}

void kd__gated(const kd__rows *rows, float *gu, const float *bias, int64_t n, float *a)
{
    const gate w = { .gu = gu, .bias = bias, .n = n, .a = a };
    kd__for_rows(rows, forward, &w);
}

static void backward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const gate *w = argument;
    for (int64_t r = first; r < end; r++) {
        const float *g = w->kept + r * 2 * w->n;
        float *dg = w->dgu + r * 2 * w->n;
        kernels->swiglu_gradient(w->a + r * w->n, dg, dg + w->n, w->da + r * w->n, g, g + w->n,
                                 w->n);
    }
}

void kd__gated_gradient(const kd__rows *rows, const float *gu, const float *da, int64_t n, float *a,
                        float *dgu)
{
    const gate w = { .kept = gu, .da = da, .n = n, .a = a, .dgu = dgu };
    kd__for_rows(rows, backward, &w);
}
