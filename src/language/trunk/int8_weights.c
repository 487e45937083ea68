/* A model's weights in 8 bits, made once and looked up by tensor. The products are in
 * math/int8.c. */
#include "language/trunk/int8_weights.h"

#include "base/memory.h"
#include "base/numbers.h"
#include "language/trunk/smooth.h"

struct kd__int8_weights {
    kd_context *context;
    int64_t count;
    kd__int8 *matrices; /* by tensor; empty where a tensor begins none */
};

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

int64_t kd__int8_weights_bytes(const kd__trunk_config *d)
{
    int64_t bytes = d->head < 0 ? 0 : kd__int8_bytes(d->classes, d->outer, kd__smooths_head(d));
    for (int64_t i = 0; i < d->layers; i++) {
        if (d->layer[i].shared_later) continue;
        const int32_t each[] = { d->layer[i].q, d->layer[i].o, d->layer[i].gate, d->layer[i].down };
        for (int k = 0; k < 4; k++)
            bytes += kd__int8_bytes(rows_of(d, &d->layer[i], each[k]),
                                    inputs_of(d, &d->layer[i], each[k]),
                                    smoothed_for(d, &d->layer[i], each[k]) >= 0);
    }
    return bytes;
}

void kd__int8_weights_free(kd__int8_weights *m)
{
    if (!m) return;
    for (int64_t i = 0; i < m->count && m->matrices; i++)
        kd__int8_free(&m->matrices[i], m->context);
    kd__release(m->context, m->matrices);
    kd__release(m->context, m);
}

/* What is known while matrices are made. */
typedef struct {
    kd__int8_weights *m;
    const kd_model *model;
    const kd__trunk_config *d;
    double *squares, *columns; /* of what enters products, of a matrix; NULL: nothing is smoothed */
    float *s;                  /* (inputs) of one product */
} making;

/* squares NULL: inputs are as they are. */
static kd_status make(const making *w, int32_t tensor, int64_t outputs, int64_t inputs,
                      const double *squares)
{
    const float *values = kd__tensor_values(w->model, tensor);
    if (squares) kd__smooth_numbers(squares, values, outputs, inputs, w->columns, w->s);
    return kd__int8_make(&w->m->matrices[tensor], w->m->context, values, outputs, inputs,
                         squares ? w->s : NULL);
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
        const int product = w->squares ? smoothed_for(d, l, each[k]) : -1;
        const double *squares =
            product < 0 ? NULL : w->squares + (layer * KD__SMOOTHED + product) * d->hidden;
        KD_TRY(make(w, each[k], rows_of(d, l, each[k]), inputs_of(d, l, each[k]), squares));
    }
    return KD_OK;
}

static kd_status fill(making *w, kd__trunk_pass *pass)
{
    const kd__trunk_config *d = w->d;
    if (kd__smooths(d)) {
        KD_TRY(kd__smooth_squares(w->model, pass, &w->squares));
        KD_TRY(KD_NEW(w->m->context, &w->s, kd__max(d->hidden, d->outer)));
        KD_TRY(KD_NEW(w->m->context, &w->columns, kd__max(d->hidden, d->outer)));
        join_squares(w);
    }
    for (int64_t i = 0; i < d->layers; i++)
        /* shared matrices are made for the last layer that has them */
        if (!d->layer[i].shared_later) KD_TRY(make_layer(w, i));
    if (d->head < 0) return KD_OK;
    const double *squares = kd__smooths_head(d) ? w->squares + d->layers * KD__SMOOTHED * d->hidden
                                                : NULL;
    return make(w, d->head, d->classes, d->outer, squares);
}

kd_status kd__int8_weights_make(kd__int8_weights **out, const kd_model *model, kd__trunk_pass *pass)
{
    kd_context *context = model->object.context;
    kd__int8_weights *m = NULL;
    KD_TRY(KD_NEW(context, &m, 1));
    m->context = context;
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
        kd__int8_weights_free(m);
        return status;
    }
    *out = m;
    return KD_OK;
}

const kd__int8 *kd__int8_weights_find(const kd__int8_weights *m, int32_t tensor)
{
    return &m->matrices[tensor];
}
