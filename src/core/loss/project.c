/* Rows through a projection, and back: x (B, f), z (B, w).
 *     z = x W' + b          dW = dz' x, db = sum dz, dx = dz W */
#include "core/loss/features.h"
#include "nn/linear.h"

static float *values_of(const kd__projected *p, int32_t place)
{
    const kd__parameters *of = &p->loss->parameters;
    const int32_t tensor = p->projection->tensor[place];
    return tensor < 0 ? NULL : of->values + of->tensors[tensor].offset;
}

static float *gradients_of(const kd__projected *p, int32_t place)
{
    const kd__parameters *of = &p->loss->parameters;
    const int32_t tensor = p->projection->tensor[place];
    return tensor < 0 ? NULL : of->fresh + of->tensors[tensor].offset;
}

/* y + b, and its positive part where there is ReLU. */
typedef struct {
    float *y;
    const float *bias, *from;
    int64_t width;
    int relu;
} activated;

static void add_some(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const activated *a = argument;
    for (int64_t r = first; r < end; r++) {
        float *y = a->y + r * a->width;
        if (a->relu) kernels->relu(y, y, a->bias, a->width);
        else kernels->add_bias(y, y, a->bias, a->width);
    }
}

static void cut_some(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const activated *a = argument;
    for (int64_t r = first; r < end; r++) {
        float *dy = a->y + r * a->width;
        kernels->relu_gradient(dy, a->from + r * a->width, dy, a->width);
    }
}

static kd_status layer(const kd__rows *rows, const kd__projected *p, int32_t place, const float *x,
                       int64_t inputs, float *y, int64_t outputs, int relu)
{
    const activated a = { y, values_of(p, place + 1), NULL, outputs, relu };
    KD_TRY(kd__linear(rows, x, inputs, values_of(p, place), outputs, y));
    if (a.bias) kd__for_rows(rows, add_some, &a);
    return KD_OK;
}

/* dx may lie over x. */
static kd_status layer_back(const kd__rows *rows, const kd__projected *p, int32_t place,
                            const float *x, int64_t inputs, const float *dy, int64_t outputs,
                            float *dx)
{
    KD_TRY(kd__linear_weight_gradient(rows, x, inputs, dy, outputs, gradients_of(p, place), 1));
    kd__bias_gradient(rows, dy, outputs, gradients_of(p, place + 1), 1);
    return kd__linear_input_gradient(rows, dy, outputs, values_of(p, place), inputs, dx);
}

kd_status kd__projection_forward(const kd__rows *rows, const kd__projected *p)
{
    const int64_t from = p->projection->from, to = p->projection->to;
    const int64_t hidden = kd__projection_hidden(p->projection);
    if (!hidden) return layer(rows, p, KD__WEIGHT, p->x, from, p->z, to, 0);
    KD_TRY(layer(rows, p, KD__WEIGHT, p->x, from, p->hidden, hidden, 1));
    return layer(rows, p, KD__SECOND_WEIGHT, p->hidden, hidden, p->z, to, 0);
}

kd_status kd__projection_backward(const kd__rows *rows, const kd__projected *p)
{
    const int64_t from = p->projection->from, to = p->projection->to;
    const int64_t hidden = kd__projection_hidden(p->projection);
    if (!hidden) return layer_back(rows, p, KD__WEIGHT, p->x, from, p->dz, to, p->x);
    const activated a = { p->d_hidden, NULL, p->hidden, hidden, 0 };
    KD_TRY(layer_back(rows, p, KD__SECOND_WEIGHT, p->hidden, hidden, p->dz, to, p->d_hidden));
    kd__for_rows(rows, cut_some, &a);
    return layer_back(rows, p, KD__WEIGHT, p->x, from, p->d_hidden, hidden, p->x);
}
