/* Relations between tokens, a key head at a time: its keys lie transposed, so that a row's scores
 * are sums of long rows, and so do their gradients.
 *   dz_ij = (q_ij - p_ij) / A, or 2 (z_ij - z^t_ij) / (A n_i);   f = 1 / sqrt(D)
 *   dq_i += f sum_j dz_ij k_j,   dk_j += f sum_i dz_ij q_i */
#include "core/relation/token_relation.h"

#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "math/kernels.h"

#define LINE 16 /* floats of 64 bytes */

/* What a thread works on. */
typedef struct {
    float *keys, *dkeys, *teacher_keys; /* (D, L) */
    float *z, *zt, *e, *et;             /* (L) */
} desk;

typedef struct {
    const kd__token_relation *r;
    const kd__kernels *kernels;
    double *shares; /* (K, L) */
    float *desks;
    int64_t desk_floats;
} work;

/* ---- scratch ---- */

static int64_t line(int64_t rows) { return kd__round_up(rows, LINE); }

static int64_t desk_floats(const kd__token_relation *r)
{
    return line(r->rows) * (2 * r->s.width + r->t.width + 4);
}

static int64_t shares_floats(const kd__token_relation *r)
{
    return r->s.key_heads * line(2 * r->rows);
}

int64_t kd__token_relation_room(const kd__token_relation *r)
{
    return shares_floats(r) + r->context->threads * desk_floats(r);
}

static desk lay_out(const work *w, int32_t worker)
{
    const int64_t n = line(w->r->rows), ds = w->r->s.width, dt = w->r->t.width;
    float *at = w->desks + worker * w->desk_floats;
    desk d = { .keys = at, .dkeys = at + ds * n, .teacher_keys = at + 2 * ds * n };
    at += (2 * ds + dt) * n;
    d.z = at, d.zt = at + n, d.e = at + 2 * n, d.et = at + 3 * n;
    return d;
}

/* ---- scores ---- */

/* to (D, L) = the keys of a head */
static void transpose(const kd__token_side *side, int64_t key_head, int64_t rows, float *to)
{
    const float *k = side->k + key_head * side->width;
    for (int64_t j = 0; j < rows; j++)
        for (int64_t c = 0; c < side->width; c++) to[c * line(rows) + j] = k[j * side->k_step + c];
}

/* z (n) = q . k / sqrt(D) */
static void score(const work *w, const float *q, int64_t width, const float *keys, int64_t n,
                  float *z)
{
    const float f = (float)(1 / sqrt((double)width));
    for (int64_t c = 0; c < width; c++)
        w->kernels->axpby(z, f * q[c], keys + c * line(w->r->rows), c ? 1 : 0, n);
}

/* ---- a row ---- */

/* The divergence; dz (n) = weight (q - p), over z. */
static double diverge(const kd__kernels *kernels, const desk *d, int64_t n, double weight)
{
    int32_t bad;
    int64_t hits;
    kd__side s = { d->z, kernels->scan(d->z, n, &bad), d->e, 0 },
             t = { d->zt, kernels->scan(d->zt, n, &bad), d->et, 0 };
    const double apart = kernels->relative(&s, &t, n, 1, -INFINITY, &hits);
    kernels->combine(d->z, d->e, (float)(weight / s.sum), d->et, (float)(weight / t.sum), n, 0);
    const double value = apart / t.sum + log(s.sum / t.sum);
    return value < 0 ? 0 : value; /* by rounding only */
}

/* The mean square; dz (n) = weight 2 (z - z^t) / n, over z. */
static double square(const kd__kernels *kernels, const desk *d, int64_t n, double weight)
{
    kernels->axpby(d->z, -1, d->zt, 1, n);
    const double sum = kernels->sum_squares(d->z, n);
    kernels->axpby(d->z, 0, d->z, (float)(2 * weight / (double)n), n);
    return sum / (double)n;
}

/* In sixteen chains. */
static float dot(const float *x, const float *y, int64_t n)
{
    float chain[16] = { 0 }, sum = 0;
    int64_t j = 0;
    for (; j + 16 <= n; j += 16)
        for (int c = 0; c < 16; c++) chain[c] += x[j + c] * y[j + c];
    for (int c = 0; c < 16; c++) sum += chain[c];
    for (; j < n; j++) sum += x[j] * y[j];
    return sum;
}

/* From dz of row i to its queries and to all keys. */
static void push(const work *w, const desk *d, int64_t i, int64_t head, const float *q, int64_t n)
{
    const int64_t width = w->r->s.width, step = line(w->r->rows);
    float *dq = w->r->dq + (i * w->r->heads + head) * width;
    for (int64_t c = 0; c < width; c++) {
        dq[c] += dot(d->z, d->keys + c * step, n);
        w->kernels->axpby(d->dkeys + c * step, q[c], d->z, 1, n);
    }
}

static double run_row(const work *w, const desk *d, int64_t i, int64_t head)
{
    const kd__token_relation *r = w->r;
    const int64_t n = r->is_causal ? i + 1 : r->rows;
    const float *q = r->s.q + i * r->s.q_step + head * r->s.width,
                *qt = r->t.q + i * r->t.q_step + head * r->t.width;
    const double weight = r->scale / ((double)r->heads * sqrt((double)r->s.width));
    score(w, q, r->s.width, d->keys, n, d->z);
    score(w, qt, r->t.width, d->teacher_keys, n, d->zt);
    const double value = r->is_squares ? square(w->kernels, d, n, weight)
                                       : diverge(w->kernels, d, n, weight);
    if (r->dq) push(w, d, i, head, q, n);
    return value / (double)r->heads;
}

/* ---- a key head, with the heads that share it ---- */

static void add_keys(const work *w, const desk *d, int64_t key_head)
{
    const kd__token_relation *r = w->r;
    for (int64_t j = 0; j < r->rows; j++)
        for (int64_t c = 0; c < r->s.width; c++)
            r->dk[(j * r->s.key_heads + key_head) * r->s.width + c] +=
                d->dkeys[c * line(r->rows) + j];
}

static void run_key_head(void *argument, int64_t key_head, int32_t worker)
{
    const work *w = argument;
    const kd__token_relation *r = w->r;
    const int64_t group = r->heads / r->s.key_heads, teacher_group = r->heads / r->t.key_heads;
    const desk d = lay_out(w, worker);
    double *shares = w->shares + key_head * r->rows;
    memset(shares, 0, (size_t)r->rows * sizeof *shares);
    memset(d.dkeys, 0, (size_t)(r->s.width * line(r->rows)) * sizeof *d.dkeys);
    transpose(&r->s, key_head, r->rows, d.keys);
    for (int64_t a = key_head * group; a < (key_head + 1) * group; a++) {
        transpose(&r->t, a / teacher_group, r->rows, d.teacher_keys);
        for (int64_t i = 0; i < r->rows; i++) shares[i] += run_row(w, &d, i, a);
    }
    if (r->dk) add_keys(w, &d, key_head);
}

void kd__token_relation_run(const kd__token_relation *r)
{
    work w = { .r = r,
               .kernels = r->context->kernels,
               .shares = (double *)(void *)r->scratch,
               .desks = r->scratch + shares_floats(r),
               .desk_floats = desk_floats(r) };
    kd__parallel(r->context, r->s.key_heads, run_key_head, &w);
    for (int64_t i = 0; i < r->rows; i++) {
        r->shares[i] = 0;
        for (int64_t k = 0; k < r->s.key_heads; k++) r->shares[i] += w.shares[k * r->rows + i];
    }
}
