/* New tokens of many sequences through the model. Products are the library's own: a row's sums do
 * not depend on the rows beside it. */
#include <string.h>

#include "base/thread.h"
#include "language/generator/generate.h"
#include "language/trunk/lora.h"
#include "language/trunk/packed.h"
#include "math/gemm.h"
#include "math/kernels.h"
#include "nn/embedding.h"
#include "nn/gated.h"
#include "nn/norm.h"
#include "nn/residual.h"

typedef struct {
    kd_generator *g;
    kd_context *context;
    const kd__trunk_config *d;
    int64_t index; /* of the layer */
    kd__rows rows;
    float *x, *normed, *qkv, *att, *gu, *act, *cosine, *sine, *low, *scratch;
    int64_t stride; /* of a thread's scratch */
    int64_t rank;   /* of adapters, the largest */
} pass;

/* ---- element-wise parts ---- */

static void angles(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const pass *w = argument;
    const int64_t width = w->d->width;
    float inverse[512];
    (void)kernels;
    kd__rope_frequencies(&w->d->rope, width, 1, inverse);
    for (int64_t r = first; r < end; r++)
        kd__rope_angles(&w->d->rope, width, inverse, w->g->rows.positions[r],
                        w->cosine + r * width / 2, w->sine + r * width / 2);
}

static void norm(const pass *w, const kd__rows *rows, int32_t weight, const float *from, float *to)
{
    kd__norm(rows, from, kd__tensor_values(w->g->model, weight), w->d->hidden, w->d->epsilon, to,
             NULL);
}

static void add_residual(const pass *w, const float *from, int32_t bias)
{
    kd__residual(&w->rows, w->x, from, kd__tensor_values(w->g->model, bias), w->d->hidden);
}

/* ---- layers ---- */

/* y (rows, outputs) = x W' */
static kd_status linear(const pass *w, int32_t weight, const float *x, int64_t inputs,
                        int64_t outputs, float *y)
{
    if (w->g->packed) {
        KD_TRY(kd__packed_product(w->g->packed, weight, x, w->rows.count, y));
        return w->g->model->packed_only ? kd__lora_add_product(w->g->model, &w->rows, weight, x,
                                                               inputs, outputs, w->low, y)
                                        : KD_OK;
    }
    const kd__gemm product = { .b_t = 1,
                               .m = w->rows.count,
                               .n = outputs,
                               .k = inputs,
                               .alpha = 1,
                               .a = x,
                               .lda = inputs,
                               .b = kd__tensor_values(w->g->model, weight),
                               .ldb = inputs,
                               .c = y,
                               .ldc = outputs };
    return kd__gemm_own(w->context, &product);
}

/* Never in 8 bits. */
static kd_status project(const pass *w, int into, const float *x, float *y)
{
    const kd__gemm product = kd__trunk_projection(w->g->model, into, w->rows.count, x, y);
    return kd__gemm_own(w->context, &product);
}

static kd_status run_layer(pass *w)
{
    const kd__trunk_config *d = w->d;
    const kd__trunk_layer *l = &d->layer[w->index];
    const kd_model *model = w->g->model;
    const int64_t q = d->heads * d->width, all = q + 2 * d->kv_heads * d->width;
    const kd__heads heads = kd__trunk_heads(model, l, w->cosine, w->sine);
    kd__attend attend = { w->g, w->index, w->qkv, w->att, w->scratch, w->stride };
    norm(w, &w->rows, l->norm1, w->x, w->normed);
    KD_TRY(linear(w, l->q, w->normed, d->hidden, all, w->qkv));
    kd__heads_finish(&w->rows, &heads, w->qkv, NULL, NULL);
    kd__attend_run(&attend);
    KD_TRY(linear(w, l->o, w->att, q, d->hidden, w->normed));
    add_residual(w, w->normed, l->ob);
    norm(w, &w->rows, l->norm2, w->x, w->normed);
    KD_TRY(linear(w, l->gate, w->normed, d->hidden, 2 * d->inner, w->gu));
    kd__gated(&w->rows, w->gu, kd__tensor_values(model, l->gateb), d->inner, w->act);
    KD_TRY(linear(w, l->down, w->act, d->inner, d->hidden, w->normed));
    add_residual(w, w->normed, l->downb);
    return KD_OK;
}

/* A block of floats that only grows; nothing of the last step is needed. */
static kd_status grow(kd_context *context, float **block, int64_t *room, int64_t need)
{
    if (need <= *room) return KD_OK;
    kd__release(context, *block);
    *block = NULL;
    *room = 0;
    KD_TRY(KD_NEW(context, block, need));
    *room = need;
    return KD_OK;
}

/* Lays the step's activations out from `at` on: how many floats. at NULL: they are only counted. */
static int64_t lay_out(pass *w, float *at)
{
    const kd__trunk_config *d = w->d;
    const int64_t r = w->rows.count, q = d->heads * d->width;
    const struct {
        float **at;
        int64_t count;
    } parts[] = {
        { &w->x, r * d->hidden },
        { &w->normed, r * d->hidden },
        { &w->qkv, r * (q + 2 * d->kv_heads * d->width) },
        { &w->att, r * q },
        { &w->gu, r * 2 * d->inner },
        { &w->act, r * d->inner },
        { &w->cosine, r * d->width / 2 },
        { &w->sine, r * d->width / 2 },
        { &w->low, r * w->rank },
        { &w->scratch, w->stride * w->context->threads },
    };
    const size_t count = sizeof parts / sizeof *parts;
    int64_t floats = 0;
    for (size_t i = 0; i < count; i++) {
        if (at) *parts[i].at = at + floats;
        floats += kd__round_up(parts[i].count, 16);
    }
    return floats;
}

static kd_status prepare(pass *w)
{
    kd_generator *g = w->g;
    w->stride = kd__attend_scratch(g);
    w->rank = kd__lora_rank(g->model);
    KD_TRY(grow(w->context, &g->block, &g->block_room, lay_out(w, NULL)));
    lay_out(w, g->block);
    return KD_OK;
}

int64_t kd__generate_bytes(const kd_generator *g, int64_t rows, int64_t outputs)
{
    const kd__trunk_config *d = kd__trunk_config_of(g->model);
    kd_context *context = g->object.context;
    pass w = { .context = context, .d = d, .rows = { context, rows } };
    w.stride = kd__attend_floats(g, g->cache.blocks * g->cache.block_tokens);
    w.rank = kd__lora_rank(g->model);
    const int64_t logits = outputs * d->vocabulary;
    return (lay_out(&w, NULL) + logits) * (int64_t)sizeof(float);
}

static kd_status embed(const pass *w)
{
    const kd__trunk_config *d = w->d;
    float *to = d->projection < 0 ? w->x : w->normed;
    KD_TRY(kd__trunk_look_up(w->g->model, &w->rows, w->g->rows.tokens, to));
    kd__for_rows(&w->rows, angles, w);
    return d->projection < 0 ? KD_OK : project(w, 1, w->normed, w->x);
}

kd_status kd__generate_pass(kd_generator *g, float **hidden)
{
    kd_context *context = g->object.context;
    const kd__trunk_config *d = kd__trunk_config_of(g->model);
    pass w = { .g = g, .context = context, .d = d, .rows = { context, g->rows.count } };
    KD_TRY(prepare(&w));
    KD_TRY(embed(&w));
    for (w.index = 0; w.index < d->layers; w.index++) KD_TRY(run_layer(&w));
    for (int64_t i = 0; i < g->rows.output_count; i++)
        memcpy(w.normed + i * d->hidden, w.x + g->rows.outputs[i].row * d->hidden,
               (size_t)d->hidden * sizeof(float));
    w.rows.count = g->rows.output_count;
    norm(&w, &w.rows, d->norm, w.normed, w.x);
    *hidden = d->outer < d->hidden ? w.normed : w.x;
    return d->outer < d->hidden ? project(&w, 0, w.x, w.normed) : KD_OK;
}

kd_status kd__generate_logits(kd_generator *g, const float *hidden)
{
    const kd__trunk_config *d = kd__trunk_config_of(g->model);
    kd_context *context = g->object.context;
    pass w = { .g = g, .context = context, .d = d, .rows = { context, g->rows.count } };
    w.stride = kd__attend_scratch(g);
    w.rank = kd__lora_rank(g->model);
    lay_out(&w, g->block); /* as the pass had it */
    w.rows.count = g->rows.output_count;
    const int64_t need = w.rows.count * d->vocabulary;
    KD_TRY(grow(context, &g->logits, &g->logits_room, need));
    return linear(&w, d->head, hidden, d->outer, d->vocabulary, g->logits);
}
