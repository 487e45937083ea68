/* A model's matrices in few bits, looked up by tensor: what they take, their products, rows of an
 * embedding. The products are in math/int8.c and math/int4.c. */
#include "language/trunk/packed.h"

#include <string.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "language/trunk/smooth.h"
#include "nn/embedding.h"

int kd__packed_has(int32_t weights) { return weights == KD_INT8 || kd__int4_has(weights); }

int kd__packed_measures(const kd__trunk_config *d, int32_t weights)
{
    return weights == KD_INT8 && kd__smooths(d);
}

int64_t kd__packed_outputs(const kd__trunk_config *d, const kd__trunk_layer *l, int32_t tensor)
{
    return tensor == l->q      ? (d->heads + 2 * d->kv_heads) * d->width
           : tensor == l->gate ? kd__trunk_units(d)
                               : d->hidden;
}

int64_t kd__packed_inputs(const kd__trunk_config *d, const kd__trunk_layer *l, int32_t tensor)
{
    return tensor == l->o ? d->heads * d->width : tensor == l->down ? d->inner : d->hidden;
}

int kd__packed_smoothed_for(const kd__trunk_config *d, const kd__trunk_layer *l, int32_t tensor)
{
    if (!kd__smooths(d)) return -1;
    return tensor == l->q ? KD__INTO_ATTENTION : tensor == l->gate ? KD__INTO_FEED_FORWARD : -1;
}

static int64_t bytes_of(const kd__trunk_config *d, const kd__trunk_layer *l, int32_t tensor,
                        int32_t weights)
{
    const int64_t outputs = kd__packed_outputs(d, l, tensor),
                  inputs = kd__packed_inputs(d, l, tensor);
    const int smooth = kd__packed_smoothed_for(d, l, tensor) >= 0;
    return weights == KD_INT8 ? kd__int8_bytes(outputs, inputs, smooth)
                              : kd__int4_bytes(outputs, inputs);
}

int64_t kd__packed_bytes(const kd__trunk_config *d, int32_t weights)
{
    const int smooth = weights == KD_INT8 && kd__smooths_head(d);
    int64_t bytes = d->head < 0 ? 0 : kd__int8_bytes(d->classes, d->outer, smooth);
    for (int64_t i = 0; i < d->layers; i++) {
        const kd__trunk_layer *l = &d->layer[i];
        const int32_t each[] = { l->q, l->o, l->gate, l->down };
        for (int k = 0; k < 4 && !l->shared_later; k++) bytes += bytes_of(d, l, each[k], weights);
    }
    return bytes;
}

void kd__packed_free(kd__packed *m)
{
    if (!m) return;
    for (int64_t i = 0; i < m->count && m->matrices; i++) {
        kd__int8_free(&m->matrices[i].eight, m->context);
        kd__int4_free(&m->matrices[i].four, m->context);
    }
    kd__release(m->context, m->matrices);
    kd__release(m->context, m->made);
    kd__release(m->context, m->rows);
    kd__release(m->context, m);
}

int32_t kd__packed_weights(const kd__packed *m) { return m->weights; }

int64_t kd__packed_scratch(const kd_context *context, int32_t weights, int64_t rows, int64_t inputs)
{
    return weights == KD_INT8 ? kd__int8_scratch(rows, inputs)
                              : kd__int4_scratch(context, rows, inputs);
}

kd_status kd__packed_product(const kd__packed *m, int32_t tensor, const float *x, int64_t rows,
                             float *y)
{
    const kd__packed_matrix *w = &m->matrices[tensor];
    return w->four.blocks ? kd__int4_product(m->context, &w->four, x, rows, y)
                          : kd__int8_product(m->context, &w->eight, x, rows, y);
}

/* ---- models that keep nothing else ---- */

const kd__block_format *kd__packed_row_format(int32_t weights)
{
    return kd__block_find(weights == KD_INT8 ? KD_BLOCK_Q8_0 : weights);
}

int64_t kd__packed_row_bytes(const kd__trunk_config *d, int32_t weights)
{
    const kd__block_format *f = kd__packed_row_format(weights);
    return kd__block_row_bytes(f, kd__round_up(d->embedded, f->numbers));
}

static void mark(kd__network *net, int32_t first, int64_t numbers)
{
    for (int32_t i = first; numbers > 0; numbers -= net->tensors[i++].count)
        net->tensors[i].is_packed = 1;
}

kd_status kd__trunk_pack(kd__network *net, int32_t weights, int64_t *bytes)
{
    const kd__trunk_config *d = &((kd__trunk *)net->state)->config;
    KD_FAIL_IF(d->repeats > 1, KD_ERR_UNSUPPORTED,
               "packed_only: expected layers of their own, got layers that are shared "
               "(kd_layer_repeats %lld): leave it 0",
               (long long)d->repeats);
    for (int64_t i = 0; i < d->layers; i++) {
        const kd__trunk_layer *l = &d->layer[i];
        const int32_t each[] = { l->q, l->o, l->gate, l->down };
        for (int k = 0; k < 4; k++)
            mark(net, each[k],
                 kd__packed_outputs(d, l, each[k]) * kd__packed_inputs(d, l, each[k]));
    }
    *bytes = kd__packed_bytes(d, weights);
    if (d->head >= 0) net->tensors[d->head].is_packed = 1;
    if (d->embedding < 0 || net->tensors[d->embedding].is_packed) return KD_OK;
    net->tensors[d->embedding].is_packed = 1;
    *bytes += d->vocabulary * kd__packed_row_bytes(d, weights);
    return KD_OK;
}

/* ---- rows of an embedding ---- */

/* The head's, where the two are tied; else blocks, of which the last may be longer than the row. */
static void read_row(const kd__packed *m, int64_t row, int64_t n, float *y)
{
    if (!m->rows) {
        kd__int8_row(&m->matrices[m->embedding].eight, row, y);
        return;
    }
    float last[KD__BLOCK_MOST];
    const int64_t whole = n / m->format->numbers * m->format->numbers;
    const uint8_t *blocks = m->rows + row * m->row_bytes;
    kd__block_decode_row(m->format, blocks, whole, y);
    if (whole == n) return;
    m->format->decode(blocks + kd__block_row_bytes(m->format, whole), last);
    memcpy(y + whole, last, (size_t)(n - whole) * sizeof *y);
}

typedef struct {
    const kd__packed *packed;
    const int32_t *tokens;
    float *y;
    int64_t n;
} looking;

static void look_up(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const looking *w = argument;
    (void)kernels;
    for (int64_t r = first; r < end; r++) read_row(w->packed, w->tokens[r], w->n, w->y + r * w->n);
}

kd_status kd__trunk_look_up(const kd_model *model, const kd__rows *rows, const int32_t *tokens,
                            float *y)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const kd__model_source *source = model->source;
    if (!model->net.tensors[d->embedding].is_packed) {
        kd__embedding(rows, kd__tensor_values(model, d->embedding), tokens, d->embedded, y);
        return KD_OK;
    }
    if (!source) {
        const looking w = { kd__trunk_of(model)->packed, tokens, y, d->embedded };
        kd__for_rows(rows, look_up, &w);
        return KD_OK;
    }
    for (int64_t r = 0; r < rows->count; r++)
        KD_TRY(source->read(source, model, d->embedding, tokens[r], 1, y + r * d->embedded));
    return KD_OK;
}
