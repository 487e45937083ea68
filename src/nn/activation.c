/* relu:    y = max(x, 0)            dx = dy where y > 0
 * gelu:    y = x Phi(x)             dx = dy (Phi(x) + x phi(x))
 *     [Hendrycks and Gimpel 2016], Phi by erf
 * tanh:    y = tanh x               dx = dy (1 - y^2)
 * sigmoid: y = 1 / (1 + e^-x)       dx = dy y (1 - y)
 * relu6:   y = min(max(x, 0), 6)    dx = dy where 0 < y < 6
 * hardswish: y = x relu6(x + 3) / 6 dx = dy (x / 3 + 1 / 2) for -3 < x < 3, 0 below, dy above
 *     [Howard et al. 2019]
 * silu:    y = x / (1 + e^-x)       dx = dy s (1 + x (1 - s)), s = 1 / (1 + e^-x) */
#include "nn/activation.h"

#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "math/kernels.h"

#define ROWS_A_TILE 16

static const char *const names[] = { "none",    "relu",  "gelu",      "tanh",
                                     "sigmoid", "relu6", "hardswish", "silu" };

int32_t kd__activation_kind(const char *name)
{
    for (int32_t i = 0; i < (int32_t)(sizeof names / sizeof *names); i++)
        if (!strcmp(name, names[i])) return i;
    return -1;
}

const char *kd__activation_name(int32_t kind) { return names[kind]; }

int kd__activation_keeps_input(int32_t kind)
{
    return kind == KD__GELU || kind == KD__HARDSWISH || kind == KD__SILU;
}

int kd__activation_clamps(int32_t kind, float *low, float *high)
{
    *low = kind == KD__NONE ? -INFINITY : 0;
    *high = kind == KD__RELU6 ? 6 : INFINITY;
    return kind == KD__NONE || kind == KD__RELU || kind == KD__RELU6;
}

static float gelu(float x) { return 0.5f * x * (1 + erff(x * 0.70710678f)); }

static float gelu_slope(float x)
{
    return 0.5f * (1 + erff(x * 0.70710678f)) + x * 0.39894228f * expf(-0.5f * x * x);
}

static float sigmoid(float x)
{
    float e = expf(-fabsf(x));
    return (x >= 0 ? 1 : e) / (1 + e);
}

void kd__activate_row(kd_context *context, int32_t kind, float *y, const float *x,
                      const float *bias, float *pre, int64_t n)
{
    if (kind == KD__RELU && !pre) {
        context->kernels->relu(y, x, bias, n);
        return;
    }
    if (bias) context->kernels->add_bias(y, x, bias, n);
    else if (y != x) memcpy(y, x, (size_t)n * sizeof *y);
    if (pre) memcpy(pre, y, (size_t)n * sizeof *y);
    switch (kind) {
    case KD__RELU: context->kernels->relu(y, y, NULL, n); break;
    case KD__GELU:
        for (int64_t i = 0; i < n; i++) y[i] = gelu(y[i]);
        break;
    case KD__TANH:
        for (int64_t i = 0; i < n; i++) y[i] = tanhf(y[i]);
        break;
    case KD__SIGMOID:
        for (int64_t i = 0; i < n; i++) y[i] = sigmoid(y[i]);
        break;
    case KD__RELU6: context->kernels->scale_shift(y, y, n, 1, 0, 0, 6); break;
    case KD__HARDSWISH: context->kernels->hardswish(y, n); break;
    case KD__SILU: context->kernels->silu(y, n); break;
    default: break;
    }
}

void kd__activation_slope(kd_context *context, int32_t kind, float *dy, const float *y,
                          const float *pre, int64_t n)
{
    switch (kind) {
    case KD__RELU: context->kernels->relu_gradient(dy, y, dy, n); break;
    case KD__GELU:
        for (int64_t i = 0; i < n; i++) dy[i] *= gelu_slope(pre[i]);
        break;
    case KD__TANH:
        for (int64_t i = 0; i < n; i++) dy[i] *= 1 - y[i] * y[i];
        break;
    case KD__SIGMOID:
        for (int64_t i = 0; i < n; i++) dy[i] *= y[i] * (1 - y[i]);
        break;
    case KD__RELU6: context->kernels->clamp_gradient(dy, y, n, 0, 6); break;
    case KD__HARDSWISH: context->kernels->hardswish_gradient(dy, pre, n); break;
    case KD__SILU: context->kernels->silu_gradient(dy, pre, n); break;
    default: break;
    }
}

typedef struct {
    kd_context *context;
    int32_t kind;
    float *y;
    const float *x; /* bias forward, y backward */
    float *pre;
    int64_t rows, width;
} rows_work;

static void forward_rows(void *argument, int64_t tile, int32_t worker)
{
    rows_work *w = argument;
    int64_t last = kd__min((tile + 1) * ROWS_A_TILE, w->rows);
    (void)worker;
    for (int64_t r = tile * ROWS_A_TILE; r < last; r++) {
        float *y = w->y + r * w->width;
        kd__activate_row(w->context, w->kind, y, y, w->x, w->pre ? w->pre + r * w->width : NULL,
                         w->width);
    }
}

static void backward_rows(void *argument, int64_t tile, int32_t worker)
{
    rows_work *w = argument;
    int64_t last = kd__min((tile + 1) * ROWS_A_TILE, w->rows);
    (void)worker;
    for (int64_t r = tile * ROWS_A_TILE; r < last; r++)
        kd__activation_slope(w->context, w->kind, w->y + r * w->width, w->x + r * w->width,
                             w->pre ? w->pre + r * w->width : NULL, w->width);
}

void kd__activation_forward(kd_context *context, int32_t kind, float *y, const float *bias,
                            float *pre, int64_t rows, int64_t width)
{
    rows_work w = { context, kind, y, bias, pre, rows, width };
    kd__parallel(context, kd__ceil_div(rows, ROWS_A_TILE), forward_rows, &w);
}

void kd__activation_backward(kd_context *context, int32_t kind, float *dy, const float *y,
                             const float *pre, int64_t rows, int64_t width)
{
    rows_work w = { context, kind, dy, y, (float *)(uintptr_t)pre, rows, width };
    if (kind == KD__NONE) return;
    kd__parallel(context, kd__ceil_div(rows, ROWS_A_TILE), backward_rows, &w);
}
