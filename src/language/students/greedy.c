/* Layers that are removed one by one, each time the one whose loss costs least. [Song et al. 2024,
 * SLEB] Legend: R rows, V classes of the head, O numbers of "hidden", p the whole teacher's
 * probabilities, q those of what is left.
 *   cost = mean over rows of sum_v p_v (log p_v - log q_v)
 * Without a head: the squared distance of "hidden" from the whole teacher's, as a share of that. */
#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "core/teacher/teacher.h"
#include "language/students/cutter.h"

#define BLOCK_FLOATS (8 << 20) /* of logits, on each side */

typedef struct {
    kd_model *teacher;
    kd_context *context;
    const kd__trunk_config *t;
    kd_batch *batch;
    kd_model part; /* the teacher with some of its layers */
    kd__trunk state;
    kd__trunk_layer *layer; /* (L) */
    int32_t *left, *less;   /* (L): layers that are left; one less */
    kd__trunk_pass pass;
    kd__trunk_pass streams; /* of all that are left: keeps what enters each */
    kd_head head;
    int32_t has_head, has_logits; /* v is of all rows, and there */
    int64_t rows, block;
    float *whole, *v, *z, *e; /* (R, O); (block, V) each; (threads, V) */
    double *costs;            /* (R) */
} search;

/* ---- passes ---- */

static void use_layers(search *s, const int32_t *layers, int64_t count)
{
    for (int64_t i = 0; i < count; i++) s->layer[i] = s->t->layer[layers[i]];
    s->state.config.layers = count;
}

/* With these of the teacher's layers; "hidden" is found by hidden_of. */
static kd_status run(search *s, const int32_t *layers, int64_t count)
{
    const kd__trunk_kept nothing = { .dtype = KD_FLOAT32 };
    use_layers(s, layers, count);
    return kd__trunk_forward(&s->part, &s->pass, nothing, s->batch, 0);
}

/* What enters each layer that is left: a removal goes on from there. */
static kd_status keep_streams(search *s, int64_t count)
{
    const kd__trunk_kept streams = { .recompute = count, .dtype = KD_FLOAT32 };
    use_layers(s, s->left, count);
    return kd__trunk_forward(&s->part, &s->streams, streams, s->batch, 1);
}

static const float *hidden_of(const search *s) { return s->pass.block + s->pass.plan.hidden; }

/* A copy that shares everything with the teacher but its list of layers. */
static kd_status make_part(search *s)
{
    KD_TRY(KD_NEW(s->context, &s->layer, s->t->layers));
    KD_TRY(KD_NEW(s->context, &s->left, s->t->layers));
    KD_TRY(KD_NEW(s->context, &s->less, s->t->layers));
    memcpy(&s->part, s->teacher, sizeof s->part);
    memcpy(&s->state, kd__trunk_of(s->teacher), sizeof s->state);
    s->state.config.layer = s->layer;
    s->part.net.state = &s->state;
    for (int64_t l = 0; l < s->t->layers; l++) s->left[l] = (int32_t)l;
    return KD_OK;
}

/* ---- what a removal costs ---- */

/* Some heads read no "hidden", but what another network makes of it. */
static kd_status find_head(search *s)
{
    const kd_head none = KD_HEAD_INIT;
    const kd__trunk_config *t = s->t;
    s->head = none;
    s->has_head = t->head >= 0 && !t->classifier &&
                  kd__model_head(s->teacher, KD__SLOT_LOGITS, 0, &s->head) == KD__SLOT_HIDDEN;
    if (!s->has_head) return KD_OK;
    s->block = kd__clamp(BLOCK_FLOATS / t->classes, 1, s->rows);
    KD_TRY(KD_NEW(s->context, &s->v, s->block * t->classes));
    KD_TRY(KD_NEW(s->context, &s->z, s->block * t->classes));
    return KD_NEW(s->context, &s->e, s->context->threads * t->classes);
}

static kd_status keep_whole(search *s)
{
    KD_TRY(run(s, s->left, s->t->layers));
    s->rows = s->pass.rows;
    KD_TRY(KD_NEW(s->context, &s->whole, s->rows * s->t->outer));
    KD_TRY(KD_NEW(s->context, &s->costs, s->rows));
    memcpy(s->whole, hidden_of(s), (size_t)(s->rows * s->t->outer) * sizeof *s->whole);
    return find_head(s);
}

/* log of the sum of exp(x - max); *max is the row's largest */
static double log_sum(const kd__kernels *kernels, const float *x, int64_t n, float *e, float *max)
{
    int32_t bad;
    *max = kernels->scan(x, n, &bad);
    return bad ? NAN : log(kernels->exponentials(x, n, *max, 1, e));
}

typedef struct {
    search *s;
    int64_t first;
} block_of;

/* KL of one row: sum p (v - z), less what the two rows' sums differ by. */
static void row_cost(void *argument, int64_t r, int32_t worker)
{
    const block_of *b = argument;
    search *s = b->s;
    const kd__kernels *kernels = s->context->kernels;
    const int64_t n = s->t->classes;
    const float *v = s->v + r * n, *z = s->z + r * n;
    float *e = s->e + worker * n, high, low;
    const double of_rest = log_sum(kernels, z, n, e, &low),
                 of_whole = log_sum(kernels, v, n, e, &high);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += e[i] * (((double)v[i] - high) - ((double)z[i] - low));
    s->costs[b->first + r] = sum / exp(of_whole) - of_whole + of_rest;
}

static kd_status logits_cost(search *s)
{
    const int64_t n = s->t->classes, d = s->t->outer;
    for (int64_t first = 0; first < s->rows; first += s->block) {
        const int64_t rows = kd__min(s->block, s->rows - first);
        block_of b = { s, first };
        KD_TRY(kd__head_logits(s->context, &s->head, hidden_of(s) + first * d, d, rows, s->z, n));
        if (!s->has_logits)
            KD_TRY(kd__head_logits(s->context, &s->head, s->whole + first * d, d, rows, s->v, n));
        s->has_logits = s->block == s->rows;
        kd__parallel(s->context, rows, row_cost, &b);
    }
    return KD_OK;
}

static void hidden_cost(search *s)
{
    const int64_t n = s->t->outer;
    for (int64_t r = 0; r < s->rows; r++) {
        const float *x = s->whole + r * n, *y = hidden_of(s) + r * n;
        double off = 0, size = 0;
        for (int64_t i = 0; i < n; i++) {
            off += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
            size += (double)x[i] * x[i];
        }
        s->costs[r] = off / (size > 0 ? size : 1);
    }
}

/* Of what is left without number `gone`; what is not finite costs most. */
static kd_status cost_without(search *s, int64_t gone, int64_t count, double *cost)
{
    double sum = 0;
    for (int64_t i = 0, to = 0; i < count; i++)
        if (i != gone) s->less[to++] = s->left[i];
    s->pass.first = gone;
    s->pass.entered = s->streams.block + s->streams.plan.x + gone * s->streams.plan.x_step;
    KD_TRY(run(s, s->less, count - 1));
    if (s->has_head) KD_TRY(logits_cost(s));
    else hidden_cost(s);
    for (int64_t r = 0; r < s->rows; r++) sum += s->costs[r];
    *cost = isfinite(sum) ? sum : INFINITY;
    return KD_OK;
}

/* ---- the search ---- */

static kd_status remove_one(search *s, int64_t count, int64_t *done, int64_t total)
{
    int64_t best = count - 1;
    double least = INFINITY;
    KD_TRY(keep_streams(s, count));
    for (int64_t i = 0; i < count; i++) {
        double cost;
        KD_TRY(kd__progress(s->context, "choose layers", (*done)++, total));
        KD_TRY(cost_without(s, i, count, &cost));
        if (cost > least) continue;
        least = cost;
        best = i;
    }
    memmove(s->left + best, s->left + best + 1, (size_t)(count - 1 - best) * sizeof *s->left);
    return KD_OK;
}

static kd_status remove_all(search *s, int64_t layers)
{
    const int64_t whole = s->t->layers;
    const int64_t total = (whole * (whole + 1) - layers * (layers + 1)) / 2;
    int64_t done = 0;
    KD_TRY(make_part(s));
    KD_TRY(keep_whole(s));
    for (int64_t count = whole; count > layers; count--) KD_TRY(remove_one(s, count, &done, total));
    return KD_OK;
}

static void end(search *s)
{
    void *blocks[] = { s->layer, s->left, s->less, s->whole, s->v, s->z, s->e, s->costs };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) kd__release(s->context, blocks[i]);
    kd__trunk_pass_free(&s->pass, s->context);
    kd__trunk_pass_free(&s->streams, s->context);
}

kd_status kd__greedy_layers(kd_model *teacher, kd_batch *calibration, int64_t layers, int32_t *map)
{
    kd_batch *own;
    search s = { .teacher = teacher,
                 .context = teacher->object.context,
                 .t = kd__trunk_config_of(teacher) };
    KD_TRY(kd__calibration_of(teacher, calibration, &s.batch, &own));
    const kd_status status = remove_all(&s, layers);
    if (status == KD_OK) memcpy(map, s.left, (size_t)layers * sizeof *map);
    end(&s);
    kd_batch_free(own);
    return status;
}
