/* W' = W + s B A [Hu et al. 2022, eq. 3]. Passes see W'; the gradient of W' gives dB = s dW' A', dA
 * = s B' dW'. W itself stays frozen. */
#include "language/trunk/lora.h"

#include <kdistill/student.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/text.h"
#include "math/gemm.h"
#include "math/random.h"

void kd__lora_free(kd__lora *l, kd_context *context)
{
    if (!l) return;
    kd__release(context, l->adapters);
    kd__release(context, l->effective);
    kd__release(context, l->low);
    kd__release(context, l);
}

static kd__lora *lora_of(const kd_model *model) { return kd__trunk_of(model)->lora; }

const kd__adapter *kd__lora_of_tensor(const kd__lora *l, int32_t tensor)
{
    for (int64_t i = 0; i < l->count; i++)
        if (l->adapters[i].matrix == tensor) return &l->adapters[i];
    return NULL;
}

int kd__lora_wants(const kd_model *model, int32_t weight, int64_t count)
{
    const kd__lora *lora = lora_of(model);
    int wanted = 0;
    for (int32_t i = weight; count > 0; count -= model->net.tensors[i++].count)
        wanted |= !model->net.tensors[i].frozen || (lora && kd__lora_of_tensor(lora, i));
    return wanted;
}

kd_status kd__lora_refresh(kd_model *model)
{
    const kd__lora *l = lora_of(model);
    if (!l || model->packed_only) return KD_OK;
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        const kd__tensor *t = &model->net.tensors[i];
        const kd__adapter *a = kd__lora_of_tensor(l, (int32_t)i);
        float *to = l->effective + t->offset;
        memcpy(to, model->parameters + t->offset, (size_t)t->count * sizeof *to);
        if (!a) continue;
        const int64_t out = t->dims[0], in = t->dims[1];
        const kd__gemm g = { .m = out,
                             .n = in,
                             .k = a->rank,
                             .alpha = (float)a->scale,
                             .a = model->parameters + model->net.tensors[a->b].offset,
                             .lda = a->rank,
                             .b = model->parameters + model->net.tensors[a->a].offset,
                             .ldb = in,
                             .beta = 1,
                             .c = to,
                             .ldc = in };
        KD_TRY(kd__gemm_float32(model->object.context, &g));
    }
    return KD_OK;
}

kd_status kd__lora_gradients(kd_model *model, int64_t first, int64_t end)
{
    const kd__lora *l = lora_of(model);
    for (int64_t i = 0; l && !model->packed_only && i < l->count; i++) {
        const kd__adapter *a = &l->adapters[i];
        if (a->matrix < first || a->matrix >= end) continue;
        const kd__tensor *t = &model->net.tensors[a->matrix], *ta = &model->net.tensors[a->a],
                         *tb = &model->net.tensors[a->b];
        const int64_t out = t->dims[0], in = t->dims[1];
        const float *dw = kd__tensor_gradient(model, a->matrix);
        const kd__gemm db = { .b_t = 1,
                              .m = out,
                              .n = a->rank,
                              .k = in,
                              .alpha = (float)a->scale,
                              .a = dw,
                              .lda = in,
                              .b = model->parameters + ta->offset,
                              .ldb = in,
                              .c = kd__tensor_gradient(model, a->b),
                              .ldc = a->rank };
        const kd__gemm da = { .a_t = 1,
                              .m = a->rank,
                              .n = in,
                              .k = out,
                              .alpha = (float)a->scale,
                              .a = model->parameters + tb->offset,
                              .lda = a->rank,
                              .b = dw,
                              .ldb = in,
                              .c = kd__tensor_gradient(model, a->a),
                              .ldc = in };
        KD_TRY(kd__gemm_run(model->object.context, &db));
        KD_TRY(kd__gemm_run(model->object.context, &da));
    }
    return KD_OK;
}

/* ---- packed matrices ---- */

/* A tensor of a packed matrix that has an adapter. */
typedef struct {
    const kd__adapter *adapter;
    const float *a, *b;
    int64_t first, outputs; /* its rows of the matrix */
} part;

/* The next one, from tensor *at and row *row of the matrix on; 0: there is none. */
static int next_part(const kd_model *model, int64_t outputs, int32_t *at, int64_t *row, part *p)
{
    const kd__lora *l = lora_of(model);
    while (l && *row < outputs) {
        const kd__adapter *a = kd__lora_of_tensor(l, *at);
        const int64_t first = *row, rows = model->net.tensors[(*at)++].dims[0];
        *row += rows;
        if (!a) continue;
        *p = (part){ .adapter = a,
                     .a = model->parameters + model->net.tensors[a->a].offset,
                     .b = model->parameters + model->net.tensors[a->b].offset,
                     .first = first,
                     .outputs = rows };
        return 1;
    }
    return 0;
}

kd_status kd__lora_add_rows(const kd_model *model, int32_t matrix, int64_t first, int64_t rows,
                            float *w)
{
    const int64_t in = model->net.tensors[matrix].dims[1];
    int64_t row = 0;
    part p;
    while (next_part(model, first + rows, &matrix, &row, &p)) {
        const int64_t begin = kd__max(first, p.first),
                      end = kd__min(first + rows, p.first + p.outputs);
        if (begin >= end) continue;
        const kd__gemm g = { .m = end - begin,
                             .n = in,
                             .k = p.adapter->rank,
                             .alpha = (float)p.adapter->scale,
                             .a = p.b + (begin - p.first) * p.adapter->rank,
                             .lda = p.adapter->rank,
                             .b = p.a,
                             .ldb = in,
                             .beta = 1,
                             .c = w + (begin - first) * in,
                             .ldc = in };
        KD_TRY(kd__gemm_float32(model->object.context, &g));
    }
    return KD_OK;
}

int64_t kd__lora_rank(const kd_model *model)
{
    const kd__lora *l = lora_of(model);
    int64_t most = 0;
    for (int64_t i = 0; l && i < l->count; i++) most = kd__max(most, l->adapters[i].rank);
    return most;
}

/* low (rows, rank) = x A' */
static kd__gemm into_rank(const part *p, int64_t rows, const float *x, int64_t inputs, float *low)
{
    return (kd__gemm){ .b_t = 1,
                       .m = rows,
                       .n = p->adapter->rank,
                       .k = inputs,
                       .alpha = 1,
                       .a = x,
                       .lda = inputs,
                       .b = p->a,
                       .ldb = inputs,
                       .c = low,
                       .ldc = p->adapter->rank };
}

kd_status kd__lora_add_product(const kd_model *model, const kd__rows *rows, int32_t matrix,
                               const float *x, int64_t inputs, int64_t outputs, float *low,
                               float *y)
{
    int64_t row = 0;
    part p;
    while (next_part(model, outputs, &matrix, &row, &p)) {
        const kd__gemm in = into_rank(&p, rows->count, x, inputs, low);
        const kd__gemm out = { .b_t = 1,
                               .m = rows->count,
                               .n = p.outputs,
                               .k = p.adapter->rank,
                               .alpha = (float)p.adapter->scale,
                               .a = low,
                               .lda = p.adapter->rank,
                               .b = p.b,
                               .ldb = p.adapter->rank,
                               .beta = 1,
                               .c = y + p.first,
                               .ldc = outputs };
        KD_TRY(kd__gemm_own(rows->context, &in));
        KD_TRY(kd__gemm_own(rows->context, &out));
    }
    return KD_OK;
}

/* dB (outputs, rank) from x A', then dA (rank, inputs) from dy B, both in the same room. */
static kd_status part_gradient(kd_model *model, const kd__rows *rows, const part *p, const float *x,
                               int64_t inputs, const float *dy, int64_t outputs, int add)
{
    kd_context *context = rows->context;
    const int64_t rank = p->adapter->rank;
    float *low = lora_of(model)->low;
    const kd__gemm in = into_rank(p, rows->count, x, inputs, low);
    const kd__gemm db = { .a_t = 1,
                          .m = p->outputs,
                          .n = rank,
                          .k = rows->count,
                          .alpha = (float)p->adapter->scale,
                          .a = dy + p->first,
                          .lda = outputs,
                          .b = low,
                          .ldb = rank,
                          .beta = add ? 1 : 0,
                          .c = kd__tensor_gradient(model, p->adapter->b),
                          .ldc = rank };
    const kd__gemm back = { .m = rows->count,
                            .n = rank,
                            .k = p->outputs,
                            .alpha = 1,
                            .a = dy + p->first,
                            .lda = outputs,
                            .b = p->b,
                            .ldb = rank,
                            .c = low,
                            .ldc = rank };
    const kd__gemm da = { .a_t = 1,
                          .m = rank,
                          .n = inputs,
                          .k = rows->count,
                          .alpha = (float)p->adapter->scale,
                          .a = low,
                          .lda = rank,
                          .b = x,
                          .ldb = inputs,
                          .beta = add ? 1 : 0,
                          .c = kd__tensor_gradient(model, p->adapter->a),
                          .ldc = inputs };
    KD_TRY(kd__gemm_run(context, &in));
    KD_TRY(kd__gemm_run(context, &db));
    KD_TRY(kd__gemm_run(context, &back));
    return kd__gemm_run(context, &da);
}

kd_status kd__lora_weight_gradient(kd_model *model, const kd__rows *rows, int32_t matrix,
                                   const float *x, int64_t inputs, const float *dy, int64_t outputs,
                                   int add)
{
    kd__lora *l = lora_of(model);
    int64_t row = 0;
    part p;
    if (!l) return KD_OK;
    KD_TRY(KD_RESERVE(rows->context, &l->low, &l->low_room, rows->count * kd__lora_rank(model)));
    while (next_part(model, outputs, &matrix, &row, &p))
        KD_TRY(part_gradient(model, rows, &p, x, inputs, dy, outputs, add));
    return KD_OK;
}

void kd__lora_clear(kd_model *model, int32_t tensor)
{
    const kd__lora *l = lora_of(model);
    const kd__adapter *a = l && tensor >= 0 ? kd__lora_of_tensor(l, tensor) : NULL;
    if (!a || !model->packed_only) return;
    kd__trunk_clear(model, a->a);
    kd__trunk_clear(model, a->b);
}
