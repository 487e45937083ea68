/* A trunk's forward pass. Legend in trunk.h. */
#include <string.h>

#include "base/array.h"
#include "base/context.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "core/data/data.h"
#include "language/trunk/trunk.h"
#include "language/trunk/packed.h"
#include "language/trunk/smooth.h"
#include "nn/embedding.h"
#include "math/random.h"
#include "nn/dropout.h"
#include "nn/gated.h"
#include "nn/gated_gelu.h"
#include "nn/gelu.h"
#include "nn/layer_norm.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/residual.h"

/* ---- the batch ---- */

static kd_status take_tokens(const kd_model *model, kd__trunk_pass *pass, const kd_array *values)
{
    const int64_t vocabulary = kd__trunk_config_of(model)->vocabulary;
    const int64_t *ids = values->data;
    const char *field = model->net.input;
    KD_FAIL_IF(values->dtype != KD_INT64 || kd__array_row(values) != 1, KD_ERR_DTYPE,
               "field '%s': expected one integer a row", field);
    KD_TRY(KD_RESERVE(model->object.context, &pass->tokens, &pass->tokens_room, values->dims[0]));
    for (int64_t r = 0; r < values->dims[0]; r++) {
        KD_FAIL_IF(ids[r] < 0 || ids[r] >= vocabulary, KD_ERR_RANGE,
                   "field '%s': row %lld: token %lld is not in 0 to %lld", field, (long long)r,
                   (long long)ids[r], (long long)vocabulary - 1);
        pass->tokens[r] = (int32_t)ids[r];
    }
    return KD_OK;
}

static kd_status take_sequences(const kd_model *model, kd__trunk_pass *pass, kd_batch *batch)
{
    const int64_t positions = kd__trunk_config_of(model)->positions;
    kd_array offsets;
    KD_TRY(kd_batch_offsets(batch, &offsets));
    const int64_t *o = offsets.data;
    pass->sequences = offsets.dims[0] - 1;
    pass->longest = 0;
    KD_TRY(KD_RESERVE(model->object.context, &pass->offsets, &pass->offsets_room,
                      pass->sequences + 1));
    memcpy(pass->offsets, o, (size_t)(pass->sequences + 1) * sizeof *o);
    for (int64_t s = 0; s < pass->sequences; s++) {
        const int64_t length = o[s + 1] - o[s];
        KD_FAIL_IF(length > positions, KD_ERR_RANGE,
                   "sequence %lld has %lld tokens, the model has positions for %lld "
                   "(max_position_embeddings)",
                   (long long)s, (long long)length, (long long)positions);
        pass->longest = kd__max(pass->longest, length);
    }
    return KD_OK;
}

/* Of each row, 0 where the batch does not say. */
static kd_status take_types(const kd_model *model, kd__trunk_pass *pass, kd_batch *batch,
                            int64_t rows)
{
    const int64_t types = kd__trunk_config_of(model)->types;
    const int64_t *ids;
    KD_TRY(KD_RESERVE(model->object.context, &pass->types, &pass->types_room, rows));
    memset(pass->types, 0, (size_t)rows * sizeof *pass->types);
    KD_TRY(kd__batch_integers(batch, "token_types", &ids));
    for (int64_t r = 0; ids && r < rows; r++) {
        KD_FAIL_IF(ids[r] < 0 || ids[r] >= types, KD_ERR_RANGE,
                   "field 'token_types': row %lld: type %lld is not in 0 to %lld", (long long)r,
                   (long long)ids[r], (long long)types - 1);
        pass->types[r] = (int32_t)ids[r];
    }
    return KD_OK;
}

/* Rows of the table of learned positions: from first_position on, padding at its own row, as
 * transformers counts them. */
static kd_status take_positions(const kd_model *model, kd__trunk_pass *pass, int64_t rows)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    KD_TRY(KD_RESERVE(model->object.context, &pass->positions, &pass->positions_room, rows));
    for (int64_t s = 0; s < pass->sequences; s++) {
        int64_t next = d->first_position;
        for (int64_t r = pass->offsets[s]; r < pass->offsets[s + 1]; r++)
            pass->positions[r] = (int32_t)(pass->tokens[r] == d->padding ? d->padding : next++);
    }
    return KD_OK;
}

static kd_status take_batch(const kd_model *model, kd__trunk_pass *pass, kd_batch *batch,
                            int64_t *rows)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    kd_array values;
    if (d->patches.channels) return kd__trunk_take_images(model, pass, batch, rows);
    KD_TRY(kd__batch_input(batch, model->net.input, &values));
    KD_TRY(take_tokens(model, pass, &values));
    KD_TRY(take_sequences(model, pass, batch));
    *rows = values.dims[0];
    KD_FAIL_IF(!*rows, KD_ERR_SHAPE, "the batch has no tokens");
    if (d->type_table >= 0) KD_TRY(take_types(model, pass, batch, *rows));
    return d->position_table >= 0 ? take_positions(model, pass, *rows) : KD_OK;
}

/* ---- positions ---- */

typedef struct {
    const kd__trunk_config *d;
    const kd__trunk_pass *pass;
} turning;

/* turn: where the cosines and sines of these positions lie. */
static void turn_sequence(const turning *t, const kd__rope *rope, int64_t sequence, int64_t turn)
{
    const kd__trunk_plan *p = &t->pass->plan;
    const int64_t width = t->d->width, *offset = t->pass->offsets + sequence;
    float inverse[512];
    kd__rope_frequencies(rope, width, offset[1] - offset[0], inverse);
    for (int64_t r = offset[0]; r < offset[1]; r++) {
        float *cosine = t->pass->block + p->cosine + turn + r * width / 2;
        float *sine = t->pass->block + p->sine + turn + r * width / 2;
        kd__rope_angles(rope, width, inverse, r - offset[0], cosine, sine);
    }
}

static void angles(void *argument, int64_t sequence, int32_t worker)
{
    const turning *t = argument;
    (void)worker;
    turn_sequence(t, &t->d->rope, sequence, 0);
    if (t->d->two_ropes) turn_sequence(t, &t->d->local_rope, sequence, t->pass->plan.local_turn);
}

/* ---- layers ---- */

/* y (R, outputs) = x W', in few bits where the model's weights are and nothing trains. */
static kd_status linear(const kd_model *model, const kd__rows *rows, int32_t weight, const float *x,
                        int64_t inputs, int64_t outputs, float *y)
{
    const kd__packed *packed = kd__trunk_of(model)->packed;
    if (kd__trunk_trains_packed(model, weight))
        return kd__packed_linear(model, rows, weight, x, inputs, outputs, y);
    if (packed) return kd__packed_product(packed, weight, x, rows->count, y);
    return kd__linear(rows, x, inputs, kd__tensor_values(model, weight), outputs, y);
}

static kd_status project(const kd_model *model, const kd__rows *rows, int into, const float *x,
                         float *y)
{
    const kd__gemm g = kd__trunk_projection(model, into, rows->count, x, y);
    return kd__gemm_run(rows->context, &g);
}

void kd__trunk_norm(const kd_model *model, const kd__rows *rows, int32_t weight, const float *x,
                    float *y, float *kept)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const float *w = kd__tensor_values(model, weight);
    if (d->layer_norm)
        kd__layer_norm(rows, x, w, kd__tensor_values(model, kd__trunk_norm_bias(d, weight)),
                       d->hidden, d->epsilon, y, kept);
    else kd__norm(rows, x, w, d->hidden, d->epsilon, y, kept);
}

uint64_t kd__trunk_stream(const kd_model *model, const kd__trunk_pass *pass, int64_t site)
{
    return kd__stream(model->seed ^ 0x64726f70, (uint64_t)pass->draws.pass, (uint64_t)site);
}

/* y (R, d) becomes x + dropout(y + bias). */
static void add_part(const kd_model *model, const kd__trunk_pass *pass, const kd__rows *rows,
                     int64_t site, float *y, const float *x, int32_t bias)
{
    const int64_t n = kd__trunk_config_of(model)->hidden;
    const float *b = kd__tensor_values(model, bias);
    if (pass->dropout > 0) {
        kd__bias(rows, y, b, n);
        kd__dropout(rows->context, y, y, pass->dropout, kd__trunk_row_stream(model, pass, site),
                    rows->count, n);
        b = NULL;
    }
    kd__residual(rows, y, x, b, n);
}

kd__attention kd__trunk_attention(const kd__trunk_config *d, const kd__trunk_pass *pass,
                                  const kd__trunk_layer *layer)
{
    return (kd__attention){ .heads = d->heads,
                            .kv_heads = d->kv_heads,
                            .width = d->width,
                            .window = layer->window,
                            .sinks = d->sinks,
                            .both_sides = d->both_sides,
                            .scale = 1 / __builtin_sqrt((double)d->width),
                            .sequences = pass->sequences,
                            .offsets = pass->offsets };
}

kd__attention kd__trunk_layer_attention(const kd_model *model, const kd__trunk_pass *pass,
                                        int64_t layer)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    kd__attention a = kd__trunk_attention(d, pass, &d->layer[layer]);
    a.dropout = pass->attention_dropout;
    /* a number for each row and head */
    a.stream = kd__dropout_from(
        kd__trunk_stream(model, pass, kd__trunk_site(layer, KD__SITE_PROBABILITIES)),
        pass->draws.first_row * d->heads);
    return a;
}

/* The first part, up to what enters the second, which is left normed. */
static kd_status attention_part(const kd_model *model, kd__trunk_pass *pass, int64_t layer,
                                const kd__rows *rows)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const kd__trunk_plan *p = &pass->plan;
    const kd__trunk_layer *l = &d->layer[layer];
    const int64_t q = d->heads * d->width, all = q + 2 * d->kv_heads * d->width;
    float *block = pass->block, *at = block + kd__trunk_at(p, layer);
    float *x = block + p->x + layer * p->x_step, *normed = block + p->normed;
    float *qkv = at + p->qkv, *att = at + p->att, *mid = at + p->mid;
    float *raw = d->qk_norm ? at + p->raw : NULL, *rq = d->qk_norm ? at + p->rq : NULL;
    float *lse = p->x_step ? at + p->lse : NULL;
    const kd__attention attention = kd__trunk_layer_attention(model, pass, layer);
    const kd__heads heads = kd__trunk_heads(model, l, kd__trunk_turn(d, pass, l, p->cosine),
                                            kd__trunk_turn(d, pass, l, p->sine));
    const int norms_first = !d->post_norm && l->norm1 >= 0;
    if (norms_first) kd__trunk_norm(model, rows, l->norm1, x, normed, at + p->r1);
    kd__smooth_measure(d, pass, layer, KD__INTO_ATTENTION, norms_first ? normed : x);
    KD_TRY(linear(model, rows, l->q, norms_first ? normed : x, d->hidden, all, qkv));
    kd__heads_finish(rows, &heads, qkv, raw, rq);
    KD_TRY(kd__attention_forward(rows->context, &attention, qkv, att, lse));
    KD_TRY(linear(model, rows, l->o, att, q, d->hidden, mid));
    add_part(model, pass, rows, kd__trunk_site(layer, KD__SITE_ATTENTION), mid, x, l->ob);
    if (d->post_norm) kd__trunk_norm(model, rows, l->norm1, mid, normed, at + p->r1);
    else kd__trunk_norm(model, rows, l->norm2, mid, normed, at + p->r2);
    return KD_OK;
}

/* Up to the values that a backward pass needs. */
static kd_status first_part(const kd_model *model, kd__trunk_pass *pass, int64_t layer,
                            const kd__rows *rows)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const kd__trunk_plan *p = &pass->plan;
    KD_TRY(attention_part(model, pass, layer, rows));
    kd__smooth_measure(d, pass, layer, KD__INTO_FEED_FORWARD, pass->block + p->normed);
    return linear(model, rows, d->layer[layer].gate, pass->block + p->normed, d->hidden,
                  kd__trunk_units(d), pass->block + kd__trunk_at(p, layer) + p->gu);
}

static kd_status forward_layer(const kd_model *model, kd__trunk_pass *pass, int64_t layer,
                               const kd__rows *rows)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const kd__trunk_plan *p = &pass->plan;
    const kd__trunk_layer *l = &d->layer[layer];
    float *at = pass->block + kd__trunk_at(p, layer), *act = pass->block + p->act;
    float *next = pass->block + p->x + (layer + 1) * p->x_step;
    float *to = d->post_norm ? at + p->sum : next;
    const float *from = d->post_norm ? pass->block + p->normed : at + p->mid;
    const float *bias = kd__tensor_values(model, l->gateb);
    KD_TRY(first_part(model, pass, layer, rows));
    if (d->no_gate) kd__gelu(rows, at + p->gu, bias, d->inner, act);
    else if (d->gelu_gate) kd__gated_gelu(rows, at + p->gu, bias, d->inner, act);
    else kd__gated(rows, at + p->gu, bias, d->inner, act);
    KD_TRY(linear(model, rows, l->down, act, d->inner, d->hidden, to));
    add_part(model, pass, rows, kd__trunk_site(layer, KD__SITE_FEED_FORWARD), to, from, l->downb);
    if (d->post_norm) kd__trunk_norm(model, rows, l->norm2, to, next, at + p->r2);
    return KD_OK;
}

/* ---- values that are kept in 16 bits ---- */

#define PIECE 8192 /* numbers */

typedef struct {
    const kd__kernels *kernels;
    float *values, *stored;
    int64_t halved, whole;
    int32_t back;
} keeping;

static void keep_piece(void *argument, int64_t piece, int32_t worker)
{
    const keeping *k = argument;
    const int64_t first = piece * PIECE, n = kd__min(k->halved - first, PIECE);
    float *values = k->values + first, *stored = k->stored + first / 2;
    (void)worker;
    if (k->back) k->kernels->widen(KD_BFLOAT16, stored, n, values);
    else k->kernels->narrow(KD_BFLOAT16, values, n, stored);
}

static void keep_layer(const kd_model *model, kd__trunk_pass *pass, int64_t layer, int32_t back)
{
    const kd__trunk_plan *p = &pass->plan;
    keeping k = { .kernels = model->object.context->kernels,
                  .values = pass->block + kd__trunk_at(p, layer) + p->qkv,
                  .stored = pass->block + p->stored + (layer - p->kept.recompute) * p->stored_step,
                  .halved = p->halved,
                  .whole = p->whole,
                  .back = back };
    float *values = k.values + k.halved, *stored = k.stored + k.halved / 2;
    const size_t whole = (size_t)k.whole * sizeof(float);
    kd__parallel(model->object.context, kd__ceil_div(k.halved, PIECE), keep_piece, &k);
    if (back) memcpy(values, stored, whole);
    else memcpy(stored, values, whole);
}

kd_status kd__trunk_layer_again(const kd_model *model, kd__trunk_pass *pass, int64_t layer)
{
    const kd__rows rows = { model->object.context, pass->rows };
    /* a norm at the end needs what the second part gave as well */
    const int whole = kd__trunk_config_of(model)->post_norm;
    if (layer < pass->plan.kept.recompute)
        return whole ? forward_layer(model, pass, layer, &rows)
                     : first_part(model, pass, layer, &rows);
    if (pass->plan.stored) keep_layer(model, pass, layer, 1);
    return KD_OK;
}

/* ---- the pass ---- */

/* x = dropout(norm(x + P[position] + T[type])) */
static void finish_embedding(const kd_model *model, kd__trunk_pass *pass, const kd__rows *rows,
                             float *x)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    float *summed = pass->block + pass->plan.summed;
    if (d->position_table >= 0)
        kd__embedding_add(rows, kd__tensor_values(model, d->position_table), pass->positions,
                          d->hidden, x);
    if (d->type_table >= 0)
        kd__embedding_add(rows, kd__tensor_values(model, d->type_table), pass->types, d->hidden, x);
    if (d->embedding_norm >= 0) {
        memcpy(summed, x, (size_t)(rows->count * d->hidden) * sizeof *x);
        kd__trunk_norm(model, rows, d->embedding_norm, summed, x,
                       pass->block + pass->plan.summed_r);
    }
    if (pass->dropout > 0)
        kd__dropout(rows->context, x, x, pass->dropout,
                    kd__trunk_row_stream(model, pass, KD__DROP_EMBEDDING), rows->count, d->hidden);
}

static kd_status embed(const kd_model *model, kd__trunk_pass *pass, const kd__rows *rows)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    float *x = pass->block + pass->plan.x, *gathered = pass->block + pass->plan.gathered;
    const int projected = d->projection >= 0;
    if (d->patches.channels) kd__trunk_unfold(model, pass);
    else KD_TRY(kd__trunk_look_up(model, rows, pass->tokens, projected ? gathered : x));
    if (projected) KD_TRY(project(model, rows, 1, gathered, x));
    if (d->patches.channels) kd__trunk_place_tokens(model, pass, x);
    finish_embedding(model, pass, rows, x);
    return KD_OK;
}

static kd_status begin(const kd_model *model, kd__trunk_pass *pass, const kd__rows *rows)
{
    const size_t bytes = (size_t)(rows->count * kd__trunk_config_of(model)->hidden) * sizeof(float);
    if (!pass->entered) return embed(model, pass, rows);
    memcpy(pass->block + pass->plan.x + pass->first * pass->plan.x_step, pass->entered, bytes);
    return KD_OK;
}

/* What the last layer leaves, normed, and out through the projection of a factorized embedding. */
static kd_status finish(const kd_model *model, kd__trunk_pass *pass, const kd__rows *rows)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const kd__trunk_plan *p = &pass->plan;
    const int projected = d->outer < d->hidden;
    const float *x = pass->block + p->x + d->layers * p->x_step;
    float *hidden = pass->block + p->hidden;
    float *last = projected ? pass->block + p->normed : hidden;
    if (d->norm < 0) return KD_OK; /* "hidden" is what the last layer left */
    kd__trunk_norm(model, rows, d->norm, x, last, pass->block + p->last_r);
    return projected ? project(model, rows, 0, last, hidden) : KD_OK;
}

kd_status kd__trunk_forward(const kd_model *model, kd__trunk_pass *pass, kd__trunk_kept kept,
                            kd_batch *batch, int32_t train)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    kd__rows rows = { .context = model->object.context };
    KD_TRY(take_batch(model, pass, batch, &rows.count));
    KD_TRY(kd__trunk_pass_reserve(pass, model, kept, rows.count, train));
    turning t = { d, pass };
    if (!d->no_rotation) kd__parallel(rows.context, pass->sequences, angles, &t);
    KD_TRY(begin(model, pass, &rows));
    kd__trunk_keep_embedding(model, pass, &rows);
    pass->layers = kd__trunk_layers_wanted(model, kept, train);
    for (int64_t l = pass->entered ? pass->first : 0; l < pass->layers; l++) {
        KD_TRY(kd__progress(rows.context, "forward", l, d->layers));
        KD_TRY(forward_layer(model, pass, l, &rows));
        kd__trunk_keep_layer(model, pass, l, &rows);
        if (pass->plan.stored && l >= pass->plan.kept.recompute) keep_layer(model, pass, l, 0);
    }
    if (pass->layers == d->layers) KD_TRY(finish(model, pass, &rows));
    pass->rows = rows.count;
    return KD_OK;
}
