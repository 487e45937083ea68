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

static const kd_lora_options defaults = KD_LORA_OPTIONS_INIT;
void kd_lora_options_init(kd_lora_options *o, size_t size)
{
    kd__options_init(o, size, &defaults, sizeof defaults);
}

void kd__lora_free(kd__lora *l, kd_context *context)
{
    if (!l) return;
    kd__release(context, l->adapters);
    kd__release(context, l->effective);
    kd__release(context, l->low);
    kd__release(context, l);
}

static kd__lora *lora_of(const kd_model *model) { return kd__trunk_of(model)->lora; }

static const kd__adapter *adapter_of(const kd__lora *l, int32_t tensor)
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
        wanted |= !model->net.tensors[i].frozen || (lora && adapter_of(lora, i));
    return wanted;
}

kd_status kd__lora_refresh(kd_model *model)
{
    const kd__lora *l = lora_of(model);
    if (!l || model->packed_only) return KD_OK;
    for (int64_t i = 0; i < model->net.tensor_count; i++) {
        const kd__tensor *t = &model->net.tensors[i];
        const kd__adapter *a = adapter_of(l, (int32_t)i);
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
        const kd__adapter *a = adapter_of(l, *at);
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
    const kd__adapter *a = l && tensor >= 0 ? adapter_of(l, tensor) : NULL;
    if (!a || !model->packed_only) return;
    kd__trunk_clear(model, a->a);
    kd__trunk_clear(model, a->b);
}

/* ---- adding ---- */

static kd_status add_adapter(kd_model *model, int32_t matrix, const kd_lora_options *o)
{
    kd_context *context = model->object.context;
    kd__lora *l = lora_of(model);
    char name[KD_NAME_BYTES + 8];
    const int64_t out = model->net.tensors[matrix].dims[0], in = model->net.tensors[matrix].dims[1],
                  a[2] = { o->rank, in }, b[2] = { out, o->rank };
    kd__adapter made = { .matrix = matrix, .rank = o->rank, .scale = o->alpha / o->rank };
    KD_TRY(KD_RESERVE(context, &l->adapters, &l->room, l->count + 1));
    snprintf(name, sizeof name, "%.*s.lora_A", (int)strcspn(model->net.tensors[matrix].name, "\n"),
             model->net.tensors[matrix].name);
    KD_FAIL_IF(strlen(name) >= KD_NAME_BYTES, KD_ERR_RANGE, "lora: the name %s is too long", name);
    KD_TRY(kd__network_tensor(&model->net, context, name, 2, a, &made.a));
    name[strlen(name) - 1] = 'B';
    KD_TRY(kd__network_tensor(&model->net, context, name, 2, b, &made.b));
    l->adapters[l->count++] = made;
    return KD_OK;
}

/* A: U(-1, 1) / sqrt(in), PEFT's rule; B: 0. */
static void begin(kd_model *model, int64_t first, uint64_t seed)
{
    for (int64_t i = first; i < lora_of(model)->count; i++) {
        const kd__tensor *t = &model->net.tensors[lora_of(model)->adapters[i].a];
        const uint64_t stream = kd__stream(seed ? seed : model->seed, 0x6c6f7261, (uint64_t)i);
        const double bound = 1 / sqrt((double)t->dims[1]);
        for (int64_t j = 0; j < t->count; j++)
            model->parameters[t->offset + j] =
                (float)((2 * kd__uniform(stream, (uint64_t)j) - 1) * bound);
    }
}

/* A head's tensors are trained as they are. */
static int is_head(const kd__tensor *t) { return !strncmp(t->name, "heads.", 6); }

static kd_status try_matching(kd_model *model, const char *pattern, const kd_lora_options *o)
{
    const int64_t count = model->net.tensor_count, before = model->net.parameters,
                  first = lora_of(model)->count;
    const kd__trunk_config *d = kd__trunk_config_of(model);
    for (int64_t i = 0; i < count; i++) {
        const kd__tensor *t = &model->net.tensors[i];
        if (t->rank != 2 || i == d->embedding || strstr(t->name, ".lora_") || is_head(t) ||
            !kd__matches(pattern, t->name) || adapter_of(lora_of(model), (int32_t)i) ||
            t->is_packed != model->packed_only)
            continue;
        KD_TRY(add_adapter(model, (int32_t)i, o));
    }
    KD_FAIL_IF(lora_of(model)->count == first, KD_ERR_NOT_FOUND,
               "lora: no matrix matches '%.60s' that has no adapter", pattern);
    if (model->packed_only) /* for the rows that the model has room for */
        KD_TRY(KD_RESERVE(model->object.context, &lora_of(model)->low, &lora_of(model)->low_room,
                          kd__trunk_of(model)->pass.plan.rows * kd__lora_rank(model)));
    KD_TRY(kd__trunk_grow(model, count, before));
    begin(model, first, o->seed);
    return kd__lora_refresh(model);
}

/* After a failure the model has the tensors that it had. */
static kd_status add_matching(kd_model *model, const char *pattern, const kd_lora_options *o)
{
    const int64_t count = model->net.tensor_count, parameters = model->net.parameters,
                  adapters = lora_of(model)->count;
    const kd_status status = try_matching(model, pattern, o);
    if (status == KD_OK) return KD_OK;
    kd__trunk_shrink(model, count, parameters);
    lora_of(model)->count = adapters;
    if (!adapters) {
        kd__lora_free(lora_of(model), model->object.context);
        kd__trunk_of(model)->lora = NULL;
        model->has_adapters = 0;
        for (int64_t i = 0; i < count; i++)
            if (!is_head(&model->net.tensors[i]))
                model->net.tensors[i].frozen = model->net.tensors[i].is_packed;
    }
    return status;
}

kd_status kd_model_add_lora(kd_model *model, const char *pattern, const kd_lora_options *options)
{
    kd_lora_options o = defaults;
    KD_NEED(model);
    KD_TRY(kd__options_read(&o, sizeof o, options, "kd_lora_options"));
    KD_FAIL_IF(!kd__has_trunk(model), KD_ERR_UNSUPPORTED,
               "lora: the model is not a language model");
    KD_FAIL_IF(model->frozen, KD_ERR_STATE,
               "lora: a frozen model does not train: load it with frozen 0%s",
               model->packed_only ? ", which packed_only allows" : "");
    KD_FAIL_IF(kd__trunk_of(model)->lattice, KD_ERR_STATE,
               "lora: the model is on a lattice: take it off with kd_model_set_lattice, format 0");
    KD_FAIL_IF(model->on_gradients, KD_ERR_STATE,
               "lora: a step is open: call kd_optimizer_step first");
    KD_FAIL_IF(o.rank < 1 || o.rank > 65536, KD_ERR_RANGE, "rank: expected 1 to 65536, got %d",
               o.rank);
    KD_FAIL_IF(!(fabs(o.alpha) <= 1e6), KD_ERR_RANGE, "alpha: expected -1e6 to 1e6, got %g",
               o.alpha);
    if (!lora_of(model)) {
        KD_TRY(KD_NEW(model->object.context, &kd__trunk_of(model)->lora, 1));
        model->has_adapters = 1;
        for (int64_t i = 0; i < model->net.tensor_count; i++)
            if (!is_head(&model->net.tensors[i])) model->net.tensors[i].frozen = 1;
    }
    return add_matching(model, pattern ? pattern : "*_proj.weight", &o);
}
