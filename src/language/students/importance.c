/* What a student keeps of its teacher: the parts with the largest activations on calibration texts;
 * without texts, the first ones. Mean absolute activations rank as their sums do. [Muralidharan et
 * al. 2024] */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "language/students/cutter.h"

typedef struct {
    double weight;
    int32_t index;
} ranked;

static int by_weight(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->weight != y->weight) return x->weight < y->weight ? 1 : -1;
    return x->index - y->index;
}
static int by_index(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

/* The `keep` heaviest of n, in rising order. */
static void heaviest(const double *weights, int64_t n, int64_t keep, ranked *list, int32_t *to)
{
    for (int64_t i = 0; i < n; i++) list[i] = (ranked){ weights[i], (int32_t)i };
    qsort(list, (size_t)n, sizeof *list, by_weight);
    for (int64_t i = 0; i < keep; i++) to[i] = list[i].index;
    qsort(to, (size_t)keep, sizeof *to, by_index);
}

/* ---- activations ---- */

/* Sums over rows: of each hidden number after the norms, of each number in the middle of a
 * feed-forward layer, of each key-value group's part of what attention gives. */
typedef struct {
    double *hidden; /* (d) */
    double *inner;  /* (layers, F) */
    double *kv;     /* (layers, K) */
} sums;

/* |y| of a norm that a pass has made, from its x (R, d) and what it kept. */
static void add_norm(const kd__cutter *c, int64_t rows, int32_t weight, const float *x,
                     const float *kept, double *to)
{
    const int64_t n = c->t->hidden;
    const float *w = kd__tensor_values(c->teacher, weight),
                *b = c->t->layer_norm ? kd__tensor_values(c->teacher, weight + 1) : NULL;
    for (int64_t r = 0; r < rows; r++, x += n)
        for (int64_t i = 0; i < n; i++)
            to[i] += b ? fabs((x[i] - kept[2 * r]) * kept[2 * r + 1] * w[i] + b[i])
                       : fabs(x[i] * kept[r] * w[i]);
}

static double silu(double x) { return x / (1 + exp(-x)); }
static double gelu(double x) { return x * (1 + erf(x * M_SQRT1_2)) / 2; }

static void add_inner(const kd__cutter *c, int64_t rows, const float *gu, double *to)
{
    const kd__trunk_config *t = c->t;
    for (int64_t r = 0; r < rows; r++, gu += kd__trunk_units(t))
        for (int64_t i = 0; i < t->inner; i++)
            to[i] += fabs(t->no_gate ? gelu(gu[i]) : silu(gu[i]) * gu[t->inner + i]);
}

static void add_attention(const kd__cutter *c, int64_t rows, const float *att, double *to)
{
    const int64_t heads = c->t->kv_heads, group = c->t->heads / heads * c->t->width;
    for (int64_t h = 0; h < heads; h++)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < group; i++) to[h] += fabs(att[(r * heads + h) * group + i]);
}

static void measure(const kd__cutter *c, const kd__trunk_pass *pass, const sums *s)
{
    const kd__trunk_config *t = c->t;
    const kd__trunk_plan *p = &pass->plan;
    const int64_t rows = pass->rows;
    if (t->embedding_norm >= 0)
        add_norm(c, rows, t->embedding_norm, pass->block + p->summed, pass->block + p->summed_r,
                 s->hidden);
    for (int64_t l = 0; l < t->layers; l++) {
        const float *at = pass->block + kd__trunk_at(p, l), *x = pass->block + p->x + l * p->x_step;
        const float *first = t->post_norm ? at + p->mid : x,
                    *second = t->post_norm ? at + p->sum : at + p->mid;
        add_norm(c, rows, t->layer[l].norm1, first, at + p->r1, s->hidden);
        add_norm(c, rows, t->layer[l].norm2, second, at + p->r2, s->hidden);
        add_inner(c, rows, at + p->gu, s->inner + l * t->inner);
        add_attention(c, rows, at + p->att, s->kv + l * t->kv_heads);
    }
}

/* The calibration texts through the teacher in a pass of its own, which keeps all layers'
 * values. */
static kd_status calibrate(const kd__cutter *c, const sums *s)
{
    const kd__trunk_kept all = { .dtype = KD_FLOAT32 };
    kd__trunk_pass pass = { 0 };
    const kd_status status = kd__trunk_forward(c->teacher, &pass, all, c->o.calibration, 1);
    if (status == KD_OK) measure(c, &pass, s);
    kd__trunk_pass_free(&pass, c->teacher->object.context);
    return status;
}

/* ---- what is kept ---- */

static void keep_heaviest(kd__cutter *c, const sums *s, ranked *list)
{
    const kd__trunk_config *t = c->t;
    heaviest(s->hidden, t->hidden, c->hidden, list, c->keep_hidden);
    for (int64_t i = 0; i < c->layers; i++) {
        heaviest(s->inner + c->map[i] * t->inner, t->inner, c->inner, list,
                 c->keep_inner + i * c->inner);
        heaviest(s->kv + c->map[i] * t->kv_heads, t->kv_heads, c->kv, list, c->keep_kv + i * c->kv);
    }
}

kd_status kd__cutter_choose(kd__cutter *c)
{
    kd_context *context = c->teacher->object.context;
    const kd__trunk_config *t = c->t;
    const int64_t most = kd__max(kd__max(t->hidden, t->inner), t->kv_heads);
    sums s = { 0 };
    ranked *list = NULL;
    kd_status status = KD_NEW(context, &s.hidden, t->hidden + t->layers * (t->inner + t->kv_heads));
    if (status == KD_OK) status = KD_NEW(context, &list, most);
    if (status == KD_OK) {
        s.inner = s.hidden + t->hidden;
        s.kv = s.inner + t->layers * t->inner;
    }
    if (status == KD_OK && c->o.calibration) status = calibrate(c, &s);
    if (status == KD_OK) keep_heaviest(c, &s, list);
    kd__release(context, s.hidden);
    kd__release(context, list);
    return status;
}
