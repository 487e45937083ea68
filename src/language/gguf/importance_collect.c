/* What enters the matrices of a language model's layers, added up over batches. */
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "language/gguf/importance_matrix.h"

/* ---- entries ---- */

static void layer_matrices(const kd__trunk_layer *l, int32_t to[KD__LAYER_MATRICES])
{
    const int32_t each[KD__LAYER_MATRICES] = { l->q, l->k, l->v, l->o, l->gate, l->up, l->down };
    memcpy(to, each, sizeof each);
}

static int64_t describe(kd_importance *importance, const kd_model *model, int64_t *widest)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    int64_t all = 0;
    *widest = 1;
    for (int64_t i = 0; i < d->layers; i++) {
        int32_t matrices[KD__LAYER_MATRICES];
        layer_matrices(&d->layer[i], matrices);
        for (int k = 0; k < KD__LAYER_MATRICES; k++) {
            kd__importance_entry *e = &importance->entries[i * KD__LAYER_MATRICES + k];
            e->tensor = matrices[k];
            e->width = matrices[k] < 0 ? 0 : model->net.tensors[matrices[k]].dims[1];
            all += e->width;
            *widest = kd__max(*widest, e->width);
        }
    }
    return all;
}

static kd_status make_entries(kd_importance *importance)
{
    kd_context *context = importance->object.context;
    int64_t widest;
    KD_TRY(KD_NEW(context, &importance->entries, importance->layers * KD__LAYER_MATRICES));
    const int64_t all = describe(importance, importance->model, &widest);
    KD_TRY(KD_NEW(context, &importance->sums, all));
    KD_TRY(KD_NEW(context, &importance->means, widest));
    double *at = importance->sums;
    for (int64_t i = 0; i < importance->layers * KD__LAYER_MATRICES; i++) {
        importance->entries[i].sums = at;
        at += importance->entries[i].width;
    }
    return KD_OK;
}

kd_status kd_importance_create(kd_importance **out, kd_model *model)
{
    kd_importance *made = NULL;
    KD_NEED(out);
    KD_NEED(model);
    KD_FAIL_IF(!kd__is_decoder(model), KD_ERR_UNSUPPORTED,
               "importance: expected a llama, mistral, qwen2 or qwen3: what enters other models' "
               "matrices is not collected");
    KD_TRY(kd__model_check_whole(model, "importance"));
    KD_TRY(kd__object_create((void **)&made, model->object.context, sizeof *made));
    made->model = kd__object_hold(model);
    made->layers = kd__trunk_config_of(model)->layers;
    const kd_status status = make_entries(made);
    if (status == KD_OK) *out = made;
    else kd_importance_free(made);
    return status;
}

void kd_importance_free(kd_importance *importance)
{
    if (!kd__object_drop(importance)) return;
    kd_context *context = importance->object.context;
    kd__release(context, importance->entries);
    kd__release(context, importance->sums);
    kd__release(context, importance->means);
    kd_model_free(importance->model);
    kd__object_destroy(importance);
}

/* Layers that share tensors have what entered any of them: the first has the sums. */
const kd__importance_entry *kd__importance_of(const kd_importance *importance,
                                              const kd__trunk_config *d, int32_t tensor)
{
    for (int64_t i = 0; i < d->layers && i < importance->layers; i++) {
        int32_t matrices[KD__LAYER_MATRICES];
        layer_matrices(&d->layer[i], matrices);
        for (int k = 0; k < KD__LAYER_MATRICES; k++)
            if (matrices[k] == tensor) return &importance->entries[i * KD__LAYER_MATRICES + k];
    }
    return NULL;
}

void kd__importance_means(const kd__importance_entry *e, float *to)
{
    for (int64_t i = 0; i < e->width; i++)
        to[i] = e->count > 0 ? (float)(e->sums[i] / e->count) : 0;
}

kd_status kd__importance_check(const kd_importance *importance, const kd_model *model)
{
    const kd__trunk_config *d = kd__trunk_config_of(model);
    KD_FAIL_IF(importance->layers != d->layers, KD_ERR_MISMATCH,
               "importance: of %lld layers, the model has %lld", (long long)importance->layers,
               (long long)d->layers);
    for (int64_t i = 0; i < d->layers; i++) {
        int32_t matrices[KD__LAYER_MATRICES];
        layer_matrices(&d->layer[i], matrices);
        for (int k = 0; k < KD__LAYER_MATRICES; k++) {
            const kd__importance_entry *e = &importance->entries[i * KD__LAYER_MATRICES + k];
            const kd__tensor *t = matrices[k] < 0 ? NULL : &model->net.tensors[matrices[k]];
            KD_FAIL_IF((t ? t->dims[1] : 0) != e->width, KD_ERR_MISMATCH,
                       "importance: of %lld inputs, %s has %lld", (long long)e->width,
                       t ? t->name : "the model", (long long)(t ? t->dims[1] : 0));
        }
    }
    return KD_OK;
}

/* ---- adding ---- */

static void add_squares(const float *x, int64_t rows, int64_t step, int64_t width, double *to)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < width; j++) to[j] += (double)x[r * step + j] * x[r * step + j];
}

/* What a root-mean-square norm gave, from its x (R, d) and what it kept. */
static void add_normed(const kd_model *model, int64_t rows, int32_t weight, const float *x,
                       const float *kept, double *to)
{
    const int64_t n = kd__trunk_config_of(model)->hidden;
    const float *w = kd__tensor_values(model, weight);
    for (int64_t r = 0; r < rows; r++, x += n)
        for (int64_t j = 0; j < n; j++) {
            const double y = (double)x[j] * kept[r] * w[j];
            to[j] += y * y;
        }
}

/* silu(gate) up, of rows of gates and ups beside each other. */
static void add_middle(int64_t rows, int64_t inner, const float *gu, double *to)
{
    for (int64_t r = 0; r < rows; r++, gu += 2 * inner)
        for (int64_t j = 0; j < inner; j++) {
            const double y = gu[j] / (1 + exp(-(double)gu[j])) * gu[inner + j];
            to[j] += y * y;
        }
}

static void add_layer(const kd_importance *importance, const kd__trunk_pass *pass, int64_t layer)
{
    enum { Q, K, V, O, GATE, UP, DOWN };
    const kd_model *model = importance->model;
    const kd__trunk_config *d = kd__trunk_config_of(model);
    const kd__trunk_plan *p = &pass->plan;
    const kd__trunk_layer *l = &d->layer[layer];
    kd__importance_entry *e = importance->entries + layer * KD__LAYER_MATRICES;
    const float *at = pass->block + kd__trunk_at(p, layer);
    const float *x = pass->block + p->x + layer * p->x_step;
    const int64_t rows = pass->rows;
    /* shared tensors: added to the first layer that has them, whose entries begin with q's */
    e = importance->entries + (kd__importance_of(importance, d, e->tensor) - importance->entries);
    add_normed(model, rows, l->norm1, x, at + p->r1, e[Q].sums);
    add_squares(at + p->att, rows, e[O].width, e[O].width, e[O].sums);
    add_normed(model, rows, l->norm2, at + p->mid, at + p->r2, e[GATE].sums);
    add_middle(rows, d->inner, at + p->gu, e[DOWN].sums);
    for (int k = 0; k < KD__LAYER_MATRICES; k++) e[k].count += (double)rows;
    memcpy(e[K].sums, e[Q].sums, (size_t)e[Q].width * sizeof(double));
    memcpy(e[V].sums, e[Q].sums, (size_t)e[Q].width * sizeof(double));
    memcpy(e[UP].sums, e[GATE].sums, (size_t)e[GATE].width * sizeof(double));
}

kd_status kd_importance_add(kd_importance *importance, kd_batch *batch)
{
    const kd__trunk_kept all = { .dtype = KD_FLOAT32 };
    kd__trunk_pass pass = { 0 };
    KD_NEED(importance);
    KD_NEED(batch);
    KD_TRY(kd__model_refresh(importance->model));
    const kd_status status = kd__trunk_forward(importance->model, &pass, all, batch, 1);
    for (int64_t i = 0; status == KD_OK && i < importance->layers; i++)
        add_layer(importance, &pass, i);
    kd__trunk_pass_free(&pass, importance->object.context);
    return status;
}

kd_status kd_importance_get(kd_importance *importance, const char *tensor, kd_array *mean_square,
                            int64_t *count)
{
    KD_NEED(importance);
    KD_NEED(tensor);
    KD_NEED(mean_square);
    KD_NEED(count);
    for (int64_t i = 0; i < importance->layers * KD__LAYER_MATRICES; i++) {
        const kd__importance_entry *e = &importance->entries[i];
        if (e->tensor < 0 || strcmp(importance->model->net.tensors[e->tensor].name, tensor))
            continue;
        kd__importance_means(e, importance->means);
        kd__array_view(mean_square, importance->means, KD_FLOAT32, 1, &e->width);
        *count = (int64_t)e->count;
        return KD_OK;
    }
    return kd__fail(KD_ERR_NOT_FOUND,
                    "importance: '%.60s' is not a matrix of a layer, as "
                    "model.layers.0.mlp.down_proj.weight",
                    tensor);
}
