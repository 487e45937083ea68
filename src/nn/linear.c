/* Linear layers, forward and backward. */
#include "nn/linear.h"

#include <string.h>

#include "math/gemm.h"

kd_status kd__linear(const kd__rows *rows, const float *x, int64_t inputs, const float *w,
                     int64_t outputs, float *y)
{
    const kd__gemm g = { .b_t = 1,
                         .m = rows->count,
                         .n = outputs,
                         .k = inputs,
                         .alpha = 1,
                         .a = x,
                         .lda = inputs,
                         .b = w,
                         .ldb = inputs,
                         .c = y,
                         .ldc = outputs };
    return kd__gemm_run(rows->context, &g);
}

kd_status kd__linear_input_gradient(const kd__rows *rows, const float *dy, int64_t outputs,
                                    const float *w, int64_t inputs, float *dx)
{
    const kd__gemm g = { .m = rows->count,
                         .n = inputs,
                         .k = outputs,
                         .alpha = 1,
                         .a = dy,
                         .lda = outputs,
                         .b = w,
                         .ldb = inputs,
                         .c = dx,
                         .ldc = inputs };
    return kd__gemm_run(rows->context, &g);
}

kd_status kd__linear_weight_gradient(const kd__rows *rows, const float *x, int64_t inputs,
                                     const float *dy, int64_t outputs, float *dw, int add)
{
    const kd__gemm g = { .a_t = 1,
                         .m = outputs,
                         .n = inputs,
                         .k = rows->count,
                         .alpha = 1,
                         .a = dy,
                         .lda = outputs,
                         .b = x,
                         .ldb = inputs,
                         .beta = add ? 1 : 0,
                         .c = dw,
                         .ldc = inputs };
    return kd__gemm_run(rows->context, &g);
}

typedef struct {
    const float *dy;
    float *db;
    int64_t rows, outputs;
    int add;
} bias_sums;

static void sum_bias(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const bias_sums *s = argument;
    float *to = s->db + first;
    if (!s->add) memset(to, 0, (size_t)(end - first) * sizeof *to);
    for (int64_t r = 0; r < s->rows; r++)
        kernels->add_bias(to, to, s->dy + r * s->outputs + first, end - first);
}

void kd__bias_gradient(const kd__rows *rows, const float *dy, int64_t outputs, float *db, int add)
{
    const bias_sums s = { dy, db, rows->count, outputs, add };
    if (db) kd__for_columns(rows->context, outputs, sum_bias, &s);
}
