/* Muon: a matrix moves along its momentum with all singular values near 1 [Jordan et al. 2024; the
 * scale of Liu et al. 2025, "Muon is scalable for LLM training"]. For a matrix P (n, m):
 *
 *   M = momentum M + g;   U = g + momentum M (Nesterov) or M
 *   X = U / |U|;  five times, with S = X X' (or X' X on the right, whichever is smaller):
 *       X = a X + (b S + c S S) X,   a, b, c = 3.4445, -4.7750, 2.0315
 *   P = P - lr (wd P + .2 sqrt(max(n, m)) X)
 *
 * The polynomial has no fixed point at 1: singular values end near it, from about .7 to 1.2. X then
 * has about the root mean square of AdamW's step, so that both have one learning rate. */
#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "core/optimizer/optimizer.h"
#include "math/gemm.h"
#include "math/kernels.h"

#define STEPS 5
#define LEAST_NORM 1e-7
#define PIECE 32768
#define WIDENED 1024

static const float coefficients[] = { 3.4445f, -4.7750f, 2.0315f };

/* ---- which parameters ---- */

/* Tables and heads have rows of their own meaning, not directions of one space. */
static int is_table(const char *name)
{
    static const char *const parts[] = { "embed", "head", "classifier", "score" };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(name, parts[i])) return 1;
    return 0;
}

int kd__muon_takes(const kd_optimizer *optimizer, const kd__parameter *p)
{
    const int32_t rule = p->grouped ? p->group.rule : KD_RULE_DEFAULT;
    if (optimizer->kind != KD_OPTIMIZER_MUON || p->rank != 2) return 0;
    if (rule != KD_RULE_DEFAULT) return rule == KD_RULE_MUON;
    return p->rows > 1 && p->width > 1 && !(p->grouped && p->group.lazy) && !is_table(p->name);
}

kd_status kd__muon_check(const kd_optimizer *optimizer, const kd__parameter *p,
                         const kd_group_options *group)
{
    kd__parameter after = *p;
    after.group = *group;
    after.grouped = 1;
    KD_FAIL_IF(group->rule == KD_RULE_MUON && p->rank != 2, KD_ERR_SHAPE,
               "group: '%s' is no matrix: expected rank 2 for KD_RULE_MUON, got %d", p->name,
               p->rank);
    KD_FAIL_IF(group->rule == KD_RULE_MUON && group->lazy, KD_ERR_INVALID,
               "group: lazy and KD_RULE_MUON: a step of Muon changes all rows of a matrix");
    KD_FAIL_IF(optimizer->ready && kd__muon_takes(optimizer, &after) != p->is_muon, KD_ERR_STATE,
               "group: '%s' has moments of %s: rules are chosen before the first step", p->name,
               p->is_muon ? "Muon" : "AdamW");
    return KD_OK;
}

/* Floats that the largest matrix needs: X twice, S and the polynomial. */
static int64_t scratch_of(const kd__parameter *p)
{
    const int64_t side = kd__min(p->rows, p->width);
    return 2 * p->count + 2 * side * side;
}

kd_status kd__muon_prepare(kd_optimizer *optimizer)
{
    kd_context *context = optimizer->object.context;
    int64_t most = 0, pieces = 0;
    optimizer->second_total = 0;
    for (int64_t i = 0; i < optimizer->count; i++) {
        kd__parameter *p = &optimizer->parameters[i];
        p->is_muon = kd__muon_takes(optimizer, p);
        p->second = optimizer->kind == KD_OPTIMIZER_MUON ? optimizer->second_total : p->offset;
        if (!p->is_muon) optimizer->second_total += kd__round_up(p->count, 16);
        else {
            most = kd__max(most, scratch_of(p));
            pieces = kd__max(pieces, kd__ceil_div(p->count, PIECE));
        }
    }
    KD_TRY(KD_RENEW(context, &optimizer->muon, &optimizer->muon_room, most));
    return KD_RENEW(context, &optimizer->muon_sums, &optimizer->muon_pieces, pieces);
}

/* ---- a step of one matrix ---- */

typedef struct {
    const kd_optimizer *optimizer;
    const kd__parameter *p;
    const kd__muon_step *step;
    float *x; /* (rows, width) */
} matrix;

/* M and U of n numbers from `first` on. */
static void mix(const matrix *w, int64_t first, int64_t n, float *m)
{
    const kd__muon_step *s = w->step;
    const float *g = w->p->gradients + first;
    float *u = w->x + first;
    for (int64_t i = 0; i < n; i++) {
        float scaled = g[i] * s->scale;
        scaled = scaled > s->clip ? s->clip : scaled < -s->clip ? -s->clip : scaled;
        m[i] = s->momentum * m[i] + scaled;
        u[i] = s->nesterov ? scaled + s->momentum * m[i] : m[i];
    }
}

static void gather(void *argument, int64_t index, int32_t worker)
{
    const matrix *w = argument;
    const kd_optimizer *optimizer = w->optimizer;
    const int64_t first = index * PIECE, n = kd__min(w->p->count - first, PIECE);
    const int64_t at = w->p->offset + first;
    (void)worker;
    if (!optimizer->half[0]) mix(w, first, n, optimizer->first + at);
    for (int64_t i = 0; i < n && optimizer->half[0]; i += WIDENED) {
        float m[WIDENED];
        const int64_t some = kd__min(n - i, WIDENED);
        kd__half_widen(optimizer->half[0] + at + i, some, m);
        mix(w, first + i, some, m);
        kd__half_narrow(m, some, w->step->key, at + i, 0, optimizer->half[0] + at + i);
    }
    optimizer->muon_sums[index] = optimizer->object.context->kernels->sum_squares(w->x + first, n);
}

static void normalize(const matrix *w)
{
    const kd_optimizer *optimizer = w->optimizer;
    double sum = 0;
    for (int64_t i = 0; i < kd__ceil_div(w->p->count, PIECE); i++) sum += optimizer->muon_sums[i];
    const float by = (float)(1 / fmax(sqrt(sum), LEAST_NORM));
    optimizer->object.context->kernels->axpby(w->x, by, w->x, 0, w->p->count);
}

/* X = a X + (b S + c S S) X into y; wide matrices from the left, tall ones from the right. */
static kd_status iterate(kd_context *context, const kd__parameter *p, const float *x, float *y,
                         float *s)
{
    const int64_t n = p->rows, m = p->width, side = kd__min(n, m);
    const int wide = n <= m;
    float *polynomial = s + side * side;
    kd__gemm product = { .a_t = !wide,
                         .b_t = wide,
                         .m = side,
                         .n = side,
                         .k = wide ? m : n,
                         .alpha = 1,
                         .a = x,
                         .lda = m,
                         .b = x,
                         .ldb = m,
                         .c = s,
                         .ldc = side };
    KD_TRY(kd__gemm_run(context, &product));
    memcpy(polynomial, s, (size_t)(side * side) * sizeof *s);
    product = (kd__gemm){ .m = side,
                          .n = side,
                          .k = side,
                          .alpha = coefficients[2],
                          .a = s,
                          .lda = side,
                          .b = s,
                          .ldb = side,
                          .beta = coefficients[1],
                          .c = polynomial,
                          .ldc = side };
    KD_TRY(kd__gemm_run(context, &product));
    memcpy(y, x, (size_t)p->count * sizeof *y);
    product = (kd__gemm){ .m = n,
                          .n = m,
                          .k = side,
                          .alpha = 1,
                          .a = wide ? polynomial : x,
                          .lda = side,
                          .b = wide ? x : polynomial,
                          .ldb = wide ? m : side,
                          .beta = coefficients[0],
                          .c = y,
                          .ldc = m };
    return kd__gemm_run(context, &product);
}

static void move(void *argument, int64_t index, int32_t worker)
{
    const matrix *w = argument;
    const kd_optimizer *optimizer = w->optimizer;
    const kd__kernels *kernels = optimizer->object.context->kernels;
    const double average = optimizer->o.average_decay;
    const double length = 0.2 * sqrt((double)kd__max(w->p->rows, w->p->width));
    const int64_t first = index * PIECE, n = kd__min(w->p->count - first, PIECE);
    float *values = w->p->values + first;
    (void)worker;
    kernels->axpby(values, (float)(-w->step->rate * length), w->x + first,
                   (float)(1 - w->step->rate * w->step->decay), n);
    if (optimizer->average && optimizer->o.max_norm == 0)
        kernels->axpby(optimizer->average + w->p->offset + first, (float)(1 - average), values,
                       (float)average, n);
}

kd_status kd__muon_update(kd_optimizer *optimizer, const kd__parameter *p,
                          const kd__muon_step *step)
{
    kd_context *context = optimizer->object.context;
    float *x = optimizer->muon, *y = x + p->count, *s = y + p->count;
    matrix w = { optimizer, p, step, x };
    const int64_t pieces = kd__ceil_div(p->count, PIECE);
    kd__parallel(context, pieces, gather, &w);
    normalize(&w);
    for (int i = 0; i < STEPS; i++) {
        KD_TRY(iterate(context, p, w.x, w.x == x ? y : x, s));
        w.x = w.x == x ? y : x;
    }
    kd__parallel(context, pieces, move, &w);
    return KD_OK;
}
