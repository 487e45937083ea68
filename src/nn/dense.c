#include "nn/dense.h"

#include "math/gemm.h"

kd_status kd__dense_forward(kd_context *context, float *y, const float *x, const float *w, int64_t rows, int64_t inputs, int64_t outputs)
{
    kd__gemm g = { 0, 1, rows, outputs, inputs, 1, x, inputs, w, inputs, 0, y, outputs };
    return kd__gemm_run(context, &g);
}

kd_status kd__dense_weight_gradient(kd_context *context, float *dw, const float *dy, const float *x, int64_t rows, int64_t inputs, int64_t outputs,
                                    int add)
{
    kd__gemm g = { 1, 0, outputs, inputs, rows, 1, dy, outputs, x, inputs, add ? 1 : 0, dw, inputs };
    return kd__gemm_run(context, &g);
}

kd_status kd__dense_input_gradient(kd_context *context, float *dx, const float *dy, const float *w, int64_t rows, int64_t inputs, int64_t outputs)
{
    kd__gemm g = { 0, 0, rows, inputs, outputs, 1, dy, outputs, w, inputs, 0, dx, inputs };
    return kd__gemm_run(context, &g);
}
