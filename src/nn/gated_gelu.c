/* Feed-forward layers gated by a gelu, forward and backward. */
#include "nn/gated_gelu.h"

typedef struct {
    float *gu, *a, *dgu;
    const float *bias, *da, *kept;
    int64_t n;
} gate;

static void multiply(float *restrict y, const float *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] *= x[i];
}

static void forward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const gate *w = argument;
    for (int64_t r = first; r < end; r++) {
        float *g = w->gu + r * 2 * w->n;
        float *a = w->a + r * w->n;
        if (w->bias) kernels->add_bias(g, g, w->bias, 2 * w->n);
        kernels->gelu(a, g, w->n);
        multiply(a, g + w->n, w->n);
    }
}

void kd__gated_gelu(const kd__rows *rows, float *gu, const float *bias, int64_t n, float *a)
{
    const gate w = { .gu = gu, .bias = bias, .n = n, .a = a };
    kd__for_rows(rows, forward, &w);
}

/* dg = da u gelu'(g),  du = da gelu(g) */
static void backward(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const gate *w = argument;
    const int64_t n = w->n;
    for (int64_t r = first; r < end; r++) {
        const float *g = w->kept + r * 2 * n, *u = g + n, *da = w->da + r * n;
        float *dg = w->dgu + r * 2 * n, *du = dg + n, *a = w->a + r * n;
        for (int64_t i = 0; i < n; i++) a[i] = da[i] * u[i];
        kernels->gelu_gradient(a, dg, a, g, n);
        for (int64_t i = 0; i < n; i++) {
            const float middle = a[i];
            a[i] = middle * u[i];
            du[i] = da[i] * middle;
        }
    }
}

void kd__gated_gelu_gradient(const kd__rows *rows, const float *gu, const float *da, int64_t n,
                             float *a, float *dgu)
{
    const gate w = { .kept = gu, .da = da, .n = n, .a = a, .dgu = dgu };
    kd__for_rows(rows, backward, &w);
}
