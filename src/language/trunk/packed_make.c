/* A model's matrices made in few bits: of its float32 numbers, or (packed_only) of a source, a
 * layer or some rows at a time. */
#include "language/trunk/packed.h"

#include <string.h>

#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "language/trunk/smooth.h"

#define ROOM ((int64_t)1 << 18) /* floats: rows of a source that are read at once */

/* What is known while matrices are made. */
typedef struct {
    kd__packed *m;
    const kd_model *model;
    const kd__trunk_config *d;
    double *squares, *columns; /* of what enters products, of a matrix; NULL: nothing is smoothed */
    float *s;                  /* (inputs) of one product */
    float *room;               /* rows of a source */
    int64_t room_floats;
} making;

/* ---- rows of a matrix, in order ---- */

/* Rows of the matrix that tensor `tensor` begins: all where they lie in float32, else as many of a
 * tensor's as there is room for. */
typedef struct {
    const float *w;
    int64_t tensor, first, count; /* first: of the matrix */
    int64_t of_tensor;            /* the first one's number in its tensor */
} some_rows;

static int64_t rows_at_once(int64_t inputs)
{
    return kd__max(ROOM / inputs / KD__INT4_PANEL, 1) * KD__INT4_PANEL;
}

/* The rows after `at` (of count 0: the first ones); 0: there are no more. */
static int next(const making *w, int64_t outputs, some_rows *at)
{
    const kd__tensor *t = &w->model->net.tensors[at->tensor];
    at->first += at->count;
    at->of_tensor += at->count;
    if (at->first == outputs) return 0;
    if (at->of_tensor == t->dims[0]) {
        t = &w->model->net.tensors[++at->tensor];
        at->of_tensor = 0;
    }
    at->count = kd__min(rows_at_once(t->count / t->dims[0]), t->dims[0] - at->of_tensor);
    return 1;
}

static kd_status read_rows(making *w, some_rows *at, int64_t inputs)
{
    const kd__model_source *source = w->model->source;
    KD_TRY(KD_RESERVE(w->m->context, &w->room, &w->room_floats, at->count * inputs));
    at->w = w->room;
    return source->read(source, w->model, at->tensor, at->of_tensor, at->count, w->room);
}

/* Does a pass over the whole matrix come as one piece? */
static int is_at_hand(const making *w, int32_t tensor)
{
    return kd__tensor_values(w->model, tensor) != NULL;
}

typedef kd_status take(making *w, int32_t matrix, const some_rows *rows, int64_t inputs);

static kd_status each(making *w, int32_t tensor, int64_t outputs, int64_t inputs, take *function)
{
    some_rows at = { .tensor = tensor };
    if (is_at_hand(w, tensor)) {
        at.w = kd__tensor_values(w->model, tensor);
        at.count = outputs;
        return function(w, tensor, &at, inputs);
    }
    while (next(w, outputs, &at)) {
        KD_TRY(read_rows(w, &at, inputs));
        KD_TRY(function(w, tensor, &at, inputs));
    }
    return KD_OK;
}

/* ---- a matrix ---- */

static kd_status add_columns(making *w, int32_t matrix, const some_rows *rows, int64_t inputs)
{
    (void)matrix;
    kd__smooth_add_columns(rows->w, rows->count, inputs, w->columns);
    return KD_OK;
}

static kd_status fill_eight(making *w, int32_t matrix, const some_rows *rows, int64_t inputs)
{
    kd__int8 *q = &w->m->matrices[matrix].eight;
    (void)inputs;
    kd__int8_fill(q, w->m->context, rows->w, rows->first, rows->count, q->inverse ? w->s : NULL);
    return KD_OK;
}

static kd_status fill_four(making *w, int32_t matrix, const some_rows *rows, int64_t inputs)
{
    (void)inputs;
    return kd__int4_fill(&w->m->matrices[matrix].four, w->m->context,
                         w->model->net.tensors[rows->tensor].name, rows->w, rows->first,
                         rows->count);
}

/* squares NULL: inputs are as they are. */
static kd_status make_eight(making *w, int32_t tensor, int64_t outputs, int64_t inputs,
                            const double *squares)
{
    const float *s = squares ? w->s : NULL;
    if (squares) {
        memset(w->columns, 0, (size_t)inputs * sizeof *w->columns);
        KD_TRY(each(w, tensor, outputs, inputs, add_columns));
        kd__smooth_finish(squares, inputs, w->columns, w->s);
    }
    KD_TRY(kd__int8_begin(&w->m->matrices[tensor].eight, w->m->context, outputs, inputs, s));
    return each(w, tensor, outputs, inputs, fill_eight);
}

/* Rows that a source has in this format are taken as they are. */
static kd_status copy_blocks(const making *w, int32_t tensor, int64_t outputs, int *done)
{
    const kd__model_source *source = w->model->source;
    kd__int4 *q = &w->m->matrices[tensor].four;
    int64_t at = tensor, row = 0;
    *done = 0;
    if (!source || !source->blocks) return KD_OK;
    for (int64_t i = 0; i < outputs; i++, row++) {
        if (row == w->model->net.tensors[at].dims[0]) at++, row = 0;
        const uint8_t *blocks = source->blocks(source, w->model, at, row, q->format);
        if (!blocks) return KD_OK;
        kd__int4_fill_blocks(q, i, blocks);
    }
    *done = 1;
    return KD_OK;
}

static kd_status make_four(making *w, int32_t tensor, int64_t outputs, int64_t inputs)
{
    int done;
    KD_TRY(kd__int4_begin(&w->m->matrices[tensor].four, w->m->context, w->m->weights, outputs,
                          inputs));
    KD_TRY(copy_blocks(w, tensor, outputs, &done));
    return done ? KD_OK : each(w, tensor, outputs, inputs, fill_four);
}

/* ---- an embedding that is not the head ---- */

static kd_status fill_rows(making *w, int32_t matrix, const some_rows *rows, int64_t inputs)
{
    const kd__block_format *f = w->m->format;
    const int64_t deep = kd__round_up(inputs, f->numbers);
    float *x = NULL;
    int64_t bad = 0;
    KD_TRY(KD_NEW(w->m->context, &x, 2 * deep));
    for (int64_t i = 0; i < rows->count; i++) {
        memcpy(x, rows->w + i * inputs, (size_t)inputs * sizeof *x);
        bad += !kd__block_encode_row(f, x, deep, NULL,
                                     w->m->rows + (rows->first + i) * w->m->row_bytes, x + deep)
                    .finite;
    }
    kd__release(w->m->context, x);
    KD_FAIL_IF(bad, KD_ERR_RANGE,
               "%s: %lld rows have a number that is not finite, or too large for a float16 scale "
               "of %s: load it with packed_only 0",
               w->model->net.tensors[matrix].name, (long long)bad, f->name);
    return KD_OK;
}

static kd_status make_rows(making *w)
{
    const kd__trunk_config *d = w->d;
    kd__packed *m = w->m;
    m->embedding = d->embedding;
    if (d->embedding < 0 || d->embedding == d->head) return KD_OK;
    m->format = kd__packed_row_format(m->weights);
    m->row_bytes = kd__packed_row_bytes(d, m->weights);
    KD_TRY(KD_NEW(m->context, &m->rows, d->vocabulary * m->row_bytes));
    const kd__model_source *source = w->model->source;
    for (int64_t i = 0; source->blocks; i++) {
        if (i == d->vocabulary) return KD_OK;
        const uint8_t *blocks =
            source->blocks(source, w->model, d->embedding, i, m->format->format);
        if (!blocks) break;
        memcpy(m->rows + i * m->row_bytes, blocks, (size_t)m->row_bytes);
    }
    return each(w, d->embedding, d->vocabulary, d->embedded, fill_rows);
}

/* ---- all of them ---- */

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

static kd_status make_layer(making *w, int64_t layer)
{
    const kd__trunk_config *d = w->d;
    const kd__trunk_layer *l = &d->layer[layer];
    const int32_t all[] = { l->q, l->o, l->gate, l->down };
    for (int k = 0; k < 4; k++) {
        const int64_t outputs = kd__packed_outputs(d, l, all[k]),
                      inputs = kd__packed_inputs(d, l, all[k]);
        if (w->m->weights != KD_INT8) {
            KD_TRY(make_four(w, all[k], outputs, inputs));
            continue;
        }
        const int product = w->squares ? kd__packed_smoothed_for(d, l, all[k]) : -1;
        const double *squares =
            product < 0 ? NULL : w->squares + (layer * KD__SMOOTHED + product) * d->hidden;
        KD_TRY(make_eight(w, all[k], outputs, inputs, squares));
    }
    return KD_OK;
}

static kd_status make_head(making *w)
{
    const kd__trunk_config *d = w->d;
    if (d->head < 0) return KD_OK;
    const double *squares = w->squares && kd__smooths_head(d)
                                ? w->squares + d->layers * KD__SMOOTHED * d->hidden
                                : NULL;
    return make_eight(w, d->head, d->classes, d->outer, squares);
}

static kd_status begin_smoothing(making *w)
{
    const int64_t most = kd__max(w->d->hidden, w->d->outer);
    KD_TRY(KD_NEW(w->m->context, &w->s, most));
    return KD_NEW(w->m->context, &w->columns, most);
}

static kd_status fill(making *w, kd__trunk_pass *pass)
{
    const kd__trunk_config *d = w->d;
    if (kd__packed_measures(d, w->m->weights)) {
        KD_TRY(kd__smooth_squares(w->model, pass, &w->squares));
        KD_TRY(begin_smoothing(w));
        join_squares(w);
    }
    for (int64_t i = 0; i < d->layers; i++)
        /* shared matrices are made for the last layer that has them */
        if (!d->layer[i].shared_later) KD_TRY(make_layer(w, i));
    return make_head(w);
}

/* ---- out of a source ---- */

/* A layer's matrices in float32, one after another as the model's block would have them: at most
 * so many numbers. */
static int64_t stage(const kd_model *model, int64_t layer)
{
    const kd__trunk_layer *l = &kd__trunk_config_of(model)->layer[layer];
    int64_t floats = 0;
    for (int32_t i = l->first; i < l->end; i++) {
        kd__tensor *t = &model->net.tensors[i];
        if (!t->is_packed) continue;
        t->offset = floats;
        floats += t->count;
    }
    return floats;
}

static kd_status read_layer(const kd_model *model, int64_t layer)
{
    const kd__trunk_layer *l = &kd__trunk_config_of(model)->layer[layer];
    const kd__model_source *source = model->source;
    float *to = kd__trunk_of(model)->staged;
    for (int32_t i = l->first; i < l->end; i++) {
        const kd__tensor *t = &model->net.tensors[i];
        if (t->is_packed) KD_TRY(source->read(source, model, i, 0, t->dims[0], to + t->offset));
    }
    return KD_OK;
}

/* What enters products is measured with float32 matrices, as all rows of all layers would be. */
static kd_status measure_layers(making *w, kd__smooth_run *run, kd__trunk_pass *pass)
{
    kd__trunk *trunk = kd__trunk_of(w->model);
    const int64_t layers = w->d->layers;
    int64_t most = 0;
    for (int64_t l = 0; l < layers; l++) most = kd__max(most, stage(w->model, l));
    KD_TRY(begin_smoothing(w));
    KD_TRY(kd__smooth_begin(run, w->model, pass));
    w->squares = run->squares;
    KD_TRY(KD_NEW(w->m->context, &trunk->staged, most));
    for (int64_t l = 0; l < layers; l++) {
        KD_TRY(read_layer(w->model, l));
        KD_TRY(kd__smooth_layer(run, w->model, pass, l));
        KD_TRY(make_layer(w, l));
    }
    return KD_OK;
}

static kd_status fill_from_source(making *w)
{
    const kd__trunk_config *d = w->d;
    kd_context *context = w->m->context;
    kd__trunk *trunk = kd__trunk_of(w->model);
    kd__smooth_run run = { 0 };
    kd__trunk_pass pass = { 0 };
    kd_status status = KD_OK;
    if (kd__packed_measures(d, w->m->weights)) status = measure_layers(w, &run, &pass);
    else
        for (int64_t i = 0; i < d->layers && status == KD_OK; i++) status = make_layer(w, i);
    kd__release(context, trunk->staged);
    trunk->staged = NULL;
    kd__trunk_pass_free(&pass, context);
    if (status == KD_OK) status = make_head(w);
    if (status == KD_OK) status = make_rows(w);
    w->squares = NULL;
    kd__smooth_end(&run, context);
    return status;
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
    if (status == KD_OK && !model->frozen && model->packed_only)
        status = KD_NEW(context, &m->made, kd__packed_made_floats(kd__trunk_config_of(model)));
    making w = { .m = m, .model = model, .d = kd__trunk_config_of(model) };
    kd__trunk_pass own = { 0 };
    if (status == KD_OK)
        status = model->packed_only ? fill_from_source(&w) : fill(&w, pass ? pass : &own);
    kd__trunk_pass_free(&own, context);
    void *blocks[] = { w.squares, w.columns, w.s, w.room };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(context, blocks[i]);
    if (status != KD_OK) {
        kd__packed_free(m);
        return status;
    }
    *out = m;
    return KD_OK;
}
