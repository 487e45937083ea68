/* A model's matrices in few bits, made once and looked up by tensor. The products are in
 * math/int8.c and math/int4.c. */
#include "language/trunk/packed.h"

#include "base/memory.h"
#include "base/numbers.h"
#include "language/trunk/smooth.h"
#include "math/int4.h"
#include "math/int8.h"

/* A matrix is one of both. */
typedef struct {
    kd__int8 eight;
    kd__int4 four;
} matrix;

struct kd__packed {
    kd_context *context;
    int32_t weights; /* KD_INT8, or the format of 4 bits */
    int64_t count;
    matrix *matrices; /* by tensor; empty where a tensor begins none */
};

int kd__packed_has(int32_t weights) { return weights == KD_INT8 || kd__int4_has(weights); }

int kd__packed_measures(const kd__trunk_config *d, int32_t weights)
{
    return weights == KD_INT8 && kd__smooths(d);
}

static int64_t rows_of(const kd__trunk_config *d, const kd__trunk_layer *l, int32_t tensor)
{
    return tensor == l->q      ? (d->heads + 2 * d->kv_heads) * d->width
           : tensor == l->gate ? kd__trunk_units(d)
                               : d->hidden;
}

static int64_t inputs_of(const kd__trunk_config *d, const kd__trunk_layer *l, int32_t tensor)
{
    return tensor == l->o ? d->heads * d->width : tensor == l->down ? d->inner : d->hidden;
}

/* Of the matrix that this tensor begins: which product's inputs it is smoothed for; -1: for none.
 * What enters o and down is loud where the text says so. */
static int smoothed_for(const kd__trunk_config *d, const kd__trunk_layer *l, int32_t tensor)
{
    if (!kd__smooths(d)) return -1;
    return tensor == l->q ? KD__INTO_ATTENTION : tensor == l->gate ? KD__INTO_FEED_FORWARD : -1;
}

static int64_t bytes_of(const kd__trunk_config *d, const kd__trunk_layer *l, int32_t tensor,
                        int32_t weights)
{
    const int64_t outputs = rows_of(d, l, tensor), inputs = inputs_of(d, l, tensor);
    return weights == KD_INT8 ? kd__int8_bytes(outputs, inputs, smoothed_for(d, l, tensor) >= 0)
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
    const matrix *w = &m->matrices[tensor];
    return w->four.blocks ? kd__int4_product(m->context, &w->four, x, rows, y)
                          : kd__int8_product(m->context, &w->eight, x, rows, y);
}

/* What is known while matrices are made. */
typedef struct {
    kd__packed *m;
    const kd_model *model;
    const kd__trunk_config *d;
    double *squares, *columns; /* of what enters products, of a matrix; NULL: nothing is smoothed */
    float *s;                  /* (inputs) of one product */
} making;

/* squares NULL: inputs are as they are. */
static kd_status make_eight(const making *w, int32_t tensor, int64_t outputs, int64_t inputs,
                            const double *squares)
{
    const float *values = kd__tensor_values(w->model, tensor);
    if (squares) kd__smooth_numbers(squares, values, outputs, inputs, w->columns, w->s);
    return kd__int8_make(&w->m->matrices[tensor].eight, w->m->context, values, outputs, inputs,
                         squares ? w->s : NULL);
}

static kd_status make_four(const making *w, int32_t tensor, int64_t outputs, int64_t inputs)
{
    kd__int4 *q = &w->m->matrices[tensor].four;
    KD_TRY(kd__int4_begin(q, w->m->context, w->m->weights, outputs, inputs));
    return kd__int4_fill(q, w->m->context, w->model->net.tensors[tensor].name,
                         kd__tensor_values(w->model, tensor), 0, outputs);
}

/* Layers that share a matrix smooth it for all their inputs: their squares are added up in the
 * place of the last one, for which it is made. */
static void join_squares(const making *w)
{
    const kd__trunk_config *d = w->d;
    const int64_t each = KD__SMOOTHED * d->hidden;
    for (int64_t last = 0; last < d->layers && w->squares; last++)
        for (int64_t i = 0; i < last && !d->layer[last].shared_later; i++)
            for (int64_t j = 0; j < each && d->layer[i].q == d->layer[last].q; j++)
                w->squares[last * each + j] += w->squares[i * each + j];
}

static kd_status make_layer(const making *w, int64_t layer)
{
    const kd__trunk_config *d = w->d;
    const kd__trunk_layer *l = &d->layer[layer];
    const int32_t each[] = { l->q, l->o, l->gate, l->down };
    for (int k = 0; k < 4; k++) {
        const int64_t outputs = rows_of(d, l, each[k]), inputs = inputs_of(d, l, each[k]);
        if (w->m->weights != KD_INT8) {
            KD_TRY(make_four(w, each[k], outputs, inputs));
            continue;
        }
        const int product = w->squares ? smoothed_for(d, l, each[k]) : -1;
        const double *squares =
            product < 0 ? NULL : w->squares + (layer * KD__SMOOTHED + product) * d->hidden;
        KD_TRY(make_eight(w, each[k], outputs, inputs, squares));
    }
    return KD_OK;
}

static kd_status fill(making *w, kd__trunk_pass *pass)
{
    const kd__trunk_config *d = w->d;
    if (kd__packed_measures(d, w->m->weights)) {
        KD_TRY(kd__smooth_squares(w->model, pass, &w->squares));
        KD_TRY(KD_NEW(w->m->context, &w->s, kd__max(d->hidden, d->outer)));
        KD_TRY(KD_NEW(w->m->context, &w->columns, kd__max(d->hidden, d->outer)));
        join_squares(w);
    }
    for (int64_t i = 0; i < d->layers; i++)
        /* shared matrices are made for the last layer that has them */
        if (!d->layer[i].shared_later) KD_TRY(make_layer(w, i));
    if (d->head < 0) return KD_OK;
    const double *squares = w->squares && kd__smooths_head(d)
                                ? w->squares + d->layers * KD__SMOOTHED * d->hidden
                                : NULL;
    return make_eight(w, d->head, d->classes, d->outer, squares);
}

kd_status kd__packed_make(kd__packed **out, const kd_model *model, int32_t weights,
                          kd__trunk_pass *pass)
{
    kd_context *context = model->object.context;
    kd__packed *m = NULL;
    KD_TRY(KD_NEW(context, &m, 1));
    m->context = context;
    m->weights = weights;
    m->count = model->net.tensor_count;
    kd_status status = KD_NEW(context, &m->matrices, m->count);
    making w = { .m = m, .model = model, .d = kd__trunk_config_of(model) };
    kd__trunk_pass own = { 0 };
    if (status == KD_OK) status = fill(&w, pass ? pass : &own);
    kd__trunk_pass_free(&own, context);
    kd__release(context, w.squares);
    kd__release(context, w.columns);
    kd__release(context, w.s);
    if (status != KD_OK) {
        kd__packed_free(m);
        return status;
    }
    *out = m;
    return KD_OK;
}
