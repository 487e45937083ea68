/* Passes of static embeddings. */
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "core/data/data.h"
#include "language/static/static.h"
#include "nn/linear.h"
#include "nn/unit_rows.h"

static const float *values(const kd_model *model, int32_t tensor)
{
    return model->parameters + model->net.tensors[tensor].offset;
}

/* ---- memory ---- */

/* pooled, embedding, logits and their gradients, lengths, scratch */
int64_t kd__static_floats(const kd__static *s) { return 5 * s->hidden + 2 * s->classes + 1; }

void kd__static_free(kd__network *net, kd_context *context)
{
    kd__static *s = kd__static_of(net);
    void *blocks[] = { s->mapping, s->offsets, s->id,           s->row,           s->factor,
                       s->dfactor, s->block,   s->touched_rows, s->touched_tokens };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(context, blocks[i]);
}

/* Parts of the block; without `normalize` the embedding is what is pooled. */
static void place(kd__static *s, int64_t samples)
{
    const int64_t d = samples * s->hidden, c = samples * s->classes;
    float *at = s->block;
    s->value[KD__STATIC_POOLED] = at;
    s->value[KD__STATIC_EMBEDDING] = s->normalize ? at + d : at;
    s->gradient[KD__STATIC_POOLED] = at + 2 * d;
    s->gradient[KD__STATIC_EMBEDDING] = at + 3 * d;
    s->scratch = at + 4 * d;
    s->value[KD__STATIC_LOGITS] = at + 5 * d;
    s->gradient[KD__STATIC_LOGITS] = at + 5 * d + c;
    s->length = at + 5 * d + 2 * c;
}

static kd_status reserve_bits(kd_context *context, uint64_t **bits, int64_t count)
{
    return *bits ? KD_OK : KD_NEW(context, bits, kd__ceil_div(count, 64));
}

kd_status kd__static_reserve(kd_model *model, int64_t samples, int32_t train)
{
    kd_context *context = model->object.context;
    kd__static *s = kd__static_of(&model->net);
    if (train) KD_TRY(reserve_bits(context, &s->touched_rows, s->rows));
    if (train && s->weights >= 0) KD_TRY(reserve_bits(context, &s->touched_tokens, s->vocabulary));
    if (samples <= s->sample_room) return KD_OK;
    s->sample_room = 0;
    kd__release(context, s->offsets);
    kd__release(context, s->block);
    s->offsets = NULL, s->block = NULL;
    KD_TRY(KD_NEW(context, &s->offsets, samples + 1));
    KD_TRY(KD_NEW(context, &s->block, samples * kd__static_floats(s)));
    place(s, samples);
    s->sample_room = samples;
    return KD_OK;
}

static kd_status reserve_tokens(kd_model *model, int64_t tokens, int32_t train)
{
    kd_context *context = model->object.context;
    kd__static *s = kd__static_of(&model->net);
    KD_TRY(KD_RENEW(context, &s->id, &s->id_room, tokens));
    KD_TRY(KD_RENEW(context, &s->row, &s->row_room, tokens));
    if (s->weights < 0) return KD_OK;
    KD_TRY(KD_RENEW(context, &s->factor, &s->factor_room, tokens));
    return train ? KD_RENEW(context, &s->dfactor, &s->dfactor_room, tokens) : KD_OK;
}

/* ---- forward ---- */

typedef struct {
    const char *field;
    const int64_t *ids;
    const int64_t *offsets; /* of samples among the ids; NULL: `length` each */
    int64_t samples, length, count;
} token_field;

static kd_status read_field(kd_model *model, kd_batch *batch, token_field *f)
{
    kd_array array, offsets;
    f->field = model->net.input;
    const kd_status status = kd_batch_field(batch, f->field, &array, NULL);
    KD_FAIL_IF(status != KD_OK, status, "the batch has no field '%s', which the model reads",
               f->field);
    KD_FAIL_IF(array.dtype != KD_INT64, KD_ERR_DTYPE, "field '%s': expected integers, got %s",
               f->field, kd__dtype_name(array.dtype));
    KD_FAIL_IF(array.rank > 2, KD_ERR_SHAPE,
               "field '%s': expected one token a row, or (samples, tokens), got rank %d", f->field,
               array.rank);
    KD_TRY(kd_batch_offsets(batch, &offsets));
    f->ids = array.data;
    f->count = kd_array_count(&array);
    f->samples = array.rank == 2 ? array.dims[0] : offsets.dims[0] - 1;
    f->offsets = array.rank == 2 ? NULL : offsets.data;
    f->length = array.rank == 2 ? array.dims[1] : 0;
    return KD_OK;
}

static kd_status take_sample(kd_model *model, const token_field *f, int64_t sample)
{
    kd__static *s = kd__static_of(&model->net);
    const int64_t first = f->offsets ? f->offsets[sample] : sample * f->length;
    const int64_t end = f->offsets ? f->offsets[sample + 1] : first + f->length;
    s->offsets[sample] = s->tokens;
    for (int64_t i = first; i < end; i++) {
        const int64_t id = f->ids[i];
        KD_FAIL_IF(id >= s->vocabulary, KD_ERR_RANGE,
                   "field '%s': row %lld: token: expected 0 to %lld, got %lld", f->field,
                   (long long)(f->offsets ? i : sample), (long long)s->vocabulary - 1,
                   (long long)id);
        if (id < 0 || id == s->ignored) continue;
        s->id[s->tokens] = (int32_t)id;
        s->row[s->tokens++] = s->mapping ? s->mapping[id] : (int32_t)id;
    }
    return KD_OK;
}

static kd_status take_batch(kd_model *model, kd_batch *batch, int32_t train)
{
    kd__static *s = kd__static_of(&model->net);
    token_field f;
    KD_TRY(read_field(model, batch, &f));
    KD_TRY(kd__static_reserve(model, f.samples, train));
    KD_TRY(reserve_tokens(model, f.count, train));
    s->samples = f.samples;
    s->tokens = 0;
    for (int64_t i = 0; i < f.samples; i++) KD_TRY(take_sample(model, &f, i));
    s->offsets[f.samples] = s->tokens;
    for (int64_t t = 0; s->weights >= 0 && t < s->tokens; t++)
        s->factor[t] = values(model, s->weights)[s->id[t]];
    return KD_OK;
}

static kd__bags bags_of(const kd_model *model)
{
    const kd__static *s = kd__static_of(&model->net);
    return (kd__bags){ model->object.context, s->samples, s->offsets, s->row,
                       s->weights < 0 ? NULL : s->factor };
}

static kd_status classify(kd_model *model, const kd__rows *samples)
{
    const kd__static *s = kd__static_of(&model->net);
    float *y = s->value[KD__STATIC_LOGITS];
    KD_TRY(kd__linear(samples, s->value[KD__STATIC_EMBEDDING], s->hidden, values(model, s->head),
                      s->classes, y));
    for (int64_t i = 0; i < samples->count; i++, y += s->classes)
        samples->context->kernels->add_bias(y, y, values(model, s->bias), s->classes);
    return KD_OK;
}

kd_status kd__static_forward(kd_model *model, kd_batch *batch, int32_t mode)
{
    kd__static *s = kd__static_of(&model->net);
    model->rows = 0;
    model->mode = mode;
    memset(s->has, 0, sizeof s->has);
    KD_TRY(take_batch(model, batch, mode == KD_MODE_TRAIN));
    const kd__bags bags = bags_of(model);
    const kd__rows samples = { model->object.context, s->samples };
    float *pooled = s->value[KD__STATIC_POOLED];
    kd__embedding_bag(&bags, values(model, s->table), s->hidden, pooled);
    if (s->normalize)
        kd__unit_rows(&samples, pooled, s->hidden, s->value[KD__STATIC_EMBEDDING], s->length);
    if (s->classes) KD_TRY(classify(model, &samples));
    model->rows = batch->fields.rows;
    return KD_OK;
}

/* ---- rows that gradients touch ---- */

static void mark(uint64_t *bits, int64_t index) { bits[index / 64] |= UINT64_C(1) << index % 64; }

const uint64_t *kd__static_touched(const kd_model *model, int32_t tensor)
{
    const kd__static *s = kd__static_of(&model->net);
    if (tensor == s->table) return s->touched_rows;
    return tensor == s->weights ? s->touched_tokens : NULL;
}

static void clear(const kd_model *model, int32_t tensor)
{
    if (tensor < 0) return;
    memset(kd__tensor_gradient(model, tensor), 0,
           (size_t)model->net.tensors[tensor].count * sizeof(float));
}

/* Gradients of rows become 0 again: of those that were touched, unless others wrote elsewhere. */
static void clear_rows(const kd_model *model, int32_t tensor, uint64_t *bits)
{
    if (tensor < 0) return;
    const kd__tensor *t = &model->net.tensors[tensor];
    const int64_t words = kd__ceil_div(t->dims[0], 64), width = t->count / t->dims[0];
    float *gradient = kd__tensor_gradient(model, tensor);
    if (model->gradients_foreign) clear(model, tensor);
    for (int64_t w = 0; w < words && !model->gradients_foreign; w++)
        for (uint64_t left = bits[w]; left; left &= left - 1)
            memset(gradient + (w * 64 + __builtin_ctzll(left)) * width, 0,
                   (size_t)width * sizeof *gradient);
    memset(bits, 0, (size_t)words * sizeof *bits);
}

static void clear_stale(kd_model *model)
{
    const kd__static *s = kd__static_of(&model->net);
    clear_rows(model, s->table, s->touched_rows);
    clear_rows(model, s->weights, s->touched_tokens);
    if (!s->has[KD__STATIC_LOGITS]) clear(model, s->head), clear(model, s->bias);
    if (model->gradients_foreign == KD__FOREIGN_RESTORED)
        model->gradients_foreign = KD__FOREIGN_NONE;
}

static void mark_touched(const kd__static *s)
{
    for (int64_t t = 0; t < s->tokens; t++) mark(s->touched_rows, s->row[t]);
    for (int64_t t = 0; t < s->tokens && s->weights >= 0; t++) mark(s->touched_tokens, s->id[t]);
}

/* ---- backward ---- */

/* to (S, d) = or += from, by whether `slot` has a gradient already. */
static void give(kd_model *model, int32_t slot, const float *from)
{
    kd__static *s = kd__static_of(&model->net);
    model->object.context->kernels->axpby(s->gradient[slot], 1, from, s->has[slot] ? 1 : 0,
                                          s->samples * s->hidden);
    s->has[slot] = 1;
}

/* dembedding (+)= dlogits W; the classifier's own gradients. */
static kd_status backward_logits(kd_model *model, const kd__rows *samples)
{
    kd__static *s = kd__static_of(&model->net);
    const float *dy = s->gradient[KD__STATIC_LOGITS];
    const int add = !model->gradients_fresh;
    kd__bias_gradient(samples, dy, s->classes, kd__tensor_gradient(model, s->bias), add);
    KD_TRY(kd__linear_weight_gradient(samples, s->value[KD__STATIC_EMBEDDING], s->hidden, dy,
                                      s->classes, kd__tensor_gradient(model, s->head), add));
    KD_TRY(kd__linear_input_gradient(samples, dy, s->classes, values(model, s->head), s->hidden,
                                     s->scratch));
    give(model, KD__STATIC_EMBEDDING, s->scratch);
    return KD_OK;
}

/* dpooled (+)= what comes from the embedding. */
static void backward_embedding(kd_model *model, const kd__rows *samples)
{
    kd__static *s = kd__static_of(&model->net);
    const float *dy = s->gradient[KD__STATIC_EMBEDDING];
    if (s->normalize) {
        kd__unit_rows_gradient(samples, s->value[KD__STATIC_EMBEDDING], s->length, dy, s->hidden,
                               s->scratch);
        dy = s->scratch;
    }
    give(model, KD__STATIC_POOLED, dy);
}

static void backward_tables(kd_model *model)
{
    const kd__static *s = kd__static_of(&model->net);
    const kd__bags bags = bags_of(model);
    const float *dy = s->gradient[KD__STATIC_POOLED];
    float *dtable = kd__tensor_wanted(model, s->table),
          *dweights = kd__tensor_wanted(model, s->weights);
    if (dtable) kd__embedding_bag_gradient(&bags, dy, s->hidden, dtable);
    if (!dweights) return;
    kd__embedding_bag_factor_gradient(&bags, values(model, s->table), dy, s->hidden, s->dfactor);
    for (int64_t t = 0; t < s->tokens; t++) dweights[s->id[t]] += s->dfactor[t];
}

kd_status kd__static_backward(kd_model *model)
{
    kd__static *s = kd__static_of(&model->net);
    const kd__rows samples = { model->object.context, s->samples };
    KD_FAIL_IF(!s->has[KD__STATIC_POOLED] && !s->has[KD__STATIC_EMBEDDING] &&
                   !s->has[KD__STATIC_LOGITS],
               KD_ERR_STATE, "backward: expected a gradient for at least one output, got none");
    if (model->gradients_fresh) clear_stale(model);
    mark_touched(s);
    if (s->has[KD__STATIC_LOGITS]) KD_TRY(backward_logits(model, &samples));
    if (s->has[KD__STATIC_EMBEDDING]) backward_embedding(model, &samples);
    backward_tables(model);
    return KD_OK;
}
