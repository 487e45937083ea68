/* Products of a packed model that trains: its matrices as float32 with their adapters, W + scale B
 * A, some rows at a time in one place, forward and backward. Inputs are not rounded, so that
 * gradients are exact. */
#include <string.h>

#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "language/trunk/lora.h"
#include "language/trunk/packed.h"

#define ROOM ((int64_t)1 << 22) /* numbers that are made at once, at least a panel */

static int64_t rows_at_once(int64_t outputs, int64_t inputs)
{
    return kd__min(kd__max(ROOM / inputs / KD__INT4_PANEL, 1) * KD__INT4_PANEL, outputs);
}

int64_t kd__packed_made_floats(const kd__trunk_config *d)
{
    int64_t most = d->head < 0 ? 0 : rows_at_once(d->classes, d->outer) * d->outer;
    for (int64_t i = 0; i < d->layers; i++) {
        const kd__trunk_layer *l = &d->layer[i];
        const int32_t each[] = { l->q, l->o, l->gate, l->down };
        for (int k = 0; k < 4; k++) {
            const int64_t inputs = kd__packed_inputs(d, l, each[k]);
            most = kd__max(most, rows_at_once(kd__packed_outputs(d, l, each[k]), inputs) * inputs);
        }
    }
    return most;
}

int64_t kd__packed_train_scratch(const kd_context *context, int64_t rows, int64_t inputs,
                                 int64_t outputs)
{
    const int64_t made = rows_at_once(outputs, inputs);
    return kd__max(kd__gemm_scratch(context, rows, made, inputs),
                   kd__gemm_scratch(context, rows, inputs, made));
}

int kd__trunk_trains_packed(const kd_model *model, int32_t tensor)
{
    return tensor >= 0 && !model->frozen && model->net.tensors[tensor].is_packed &&
           kd__trunk_of(model)->packed;
}

/* ---- values ---- */

typedef struct {
    const kd__packed_matrix *w;
    int64_t first, rows, inputs;
    float *to;
} making;

static void make_panel(void *argument, int64_t piece, int32_t worker)
{
    const making *m = argument;
    const int64_t begin = piece * KD__INT4_PANEL, end = kd__min(begin + KD__INT4_PANEL, m->rows);
    (void)worker;
    for (int64_t i = begin; i < end; i++) {
        float *to = m->to + i * m->inputs;
        if (m->w->four.blocks) kd__int4_row(&m->w->four, m->first + i, to);
        else kd__int8_row(&m->w->eight, m->first + i, to);
    }
}

/* Rows of the matrix that tensor `weight` begins, as passes see them. */
static kd_status make_rows(const kd_model *model, int32_t weight, int64_t first, int64_t rows,
                           int64_t inputs)
{
    const kd__packed *packed = kd__trunk_of(model)->packed;
    const making m = { &packed->matrices[weight], first, rows, inputs, packed->made };
    kd__parallel(model->object.context, kd__ceil_div(rows, KD__INT4_PANEL), make_panel,
                 (void *)(uintptr_t)&m);
    return kd__lora_add_rows(model, weight, first, rows, packed->made);
}

/* ---- products ---- */

kd_status kd__packed_linear(const kd_model *model, const kd__rows *rows, int32_t weight,
                            const float *x, int64_t inputs, int64_t outputs, float *y)
{
    const int64_t each = rows_at_once(outputs, inputs);
    for (int64_t at = 0; at < outputs; at += each) {
        const int64_t n = kd__min(each, outputs - at);
        KD_TRY(make_rows(model, weight, at, n, inputs));
        const kd__gemm g = { .b_t = 1,
                             .m = rows->count,
                             .n = n,
                             .k = inputs,
                             .alpha = 1,
                             .a = x,
                             .lda = inputs,
                             .b = kd__trunk_of(model)->packed->made,
                             .ldb = inputs,
                             .c = y + at,
                             .ldc = outputs };
        KD_TRY(kd__gemm_run(rows->context, &g));
    }
    return KD_OK;
}

kd_status kd__packed_input_gradient(const kd_model *model, const kd__rows *rows, int32_t weight,
                                    const float *dy, int64_t outputs, int64_t inputs, float *dx,
                                    int add)
{
    const int64_t each = rows_at_once(outputs, inputs);
    for (int64_t at = 0; at < outputs; at += each) {
        const int64_t n = kd__min(each, outputs - at);
        KD_TRY(make_rows(model, weight, at, n, inputs));
        const kd__gemm g = { .m = rows->count,
                             .n = inputs,
                             .k = n,
                             .alpha = 1,
                             .a = dy + at,
                             .lda = outputs,
                             .b = kd__trunk_of(model)->packed->made,
                             .ldb = inputs,
                             .beta = add || at ? 1 : 0,
                             .c = dx,
                             .ldc = inputs };
        KD_TRY(kd__gemm_run(rows->context, &g));
    }
    return KD_OK;
}
