/* Terms between two distributions whose gradient comes as h = q dL/dq: dz = (h - q sum h) / T. Legend as in terms_soft.c. */
#include <math.h>
#include <string.h>

#include "loss/loss.h"

static float inverse_temperature(const kd__row *row) { return (float)(1 / row->term->o.temperature); }

static int read_sides(kd__row *row, kd__side *z, kd__side *v)
{
    const float inverse_t = inverse_temperature(row);
    if (!kd__scan_sides(row, z, v)) return 0;
    z->sum = row->kernels->exponentials(z->x, row->n, z->max, inverse_t, z->e);
    v->sum = row->kernels->exponentials(v->x, row->n, v->max, inverse_t, v->e);
    return 1;
}

static void mixture(kd__row *row, int32_t kind, double share)
{
    kd__side z, v;
    double total;
    if (!read_sides(row, &z, &v)) return;
    row->loss = row->kernels->mixture(kind, &z, &v, row->n, inverse_temperature(row), (float)share, &total);
    const double c = row->scale / row->term->o.temperature;
    if (kd__is_finite(row) && row->dz) row->kernels->combine(row->dz, v.e, (float)c, z.e, (float)(c * total / z.sum), row->n, row->add);
}

/* KL(p, a p + (1-a) q) and KL(q, a q + (1-a) p), a the skew                                       [Ko et al. 2024, eq. 4-5]
 * At a = 0 the mixture is the other side alone: forward and reverse KL.                                                    */
void kd__row_skewed(kd__row *row)
{
    const int forward = row->term->kind == KD_LOSS_SKEWED_FORWARD_KL;
    if (row->term->o.skew == 0) {
        if (forward) kd__row_forward_kl(row);
        else kd__row_reverse_kl(row);
        return;
    }
    mixture(row, forward ? KD__SKEWED_FORWARD : row->term->o.detach_mixture ? KD__SKEWED_DETACHED : KD__SKEWED_REVERSE, row->term->o.skew);
}

/* 1/2 sum |p - q|          h = q/2 sign(q - p) */
void kd__row_total_variation(kd__row *row) { mixture(row, KD__VARIATION, 0); }

/* ---- in double, over all classes ---- */

static void in_double(kd__row *row)
{
    const double t = row->term->o.temperature;
    double *lp = row->wide, *lq = lp + row->wide_room, *h = lq + row->wide_room, total = 0;
    kd__side z, v;
    if (!read_sides(row, &z, &v)) return;
    for (int64_t i = 0; i < row->n; i++) {
        lp[i] = ((double)v.x[i] - v.max) / t - log(v.sum);
        lq[i] = ((double)z.x[i] - z.max) / t - log(z.sum);
    }
    row->loss = kd__divergence(row->term, row->n, lp, lq, h, -1, NULL, &row->guards);
    for (int64_t i = 0; i < row->n; i++) total += h[i];
    if (!kd__is_finite(row) || !row->dz) return;
    for (int64_t i = 0; i < row->n; i++) row->dz[i] = (row->add ? row->dz[i] : 0) + (float)(row->scale / t * (h[i] - exp(lq[i]) * total));
}

void kd__row_alpha_beta(kd__row *row) { in_double(row); }
void kd__row_adaptive_kl(kd__row *row) { in_double(row); }

/* ---- other targets for forward KL ---- */

/* KL(softmax(((1-t) z + t v) / T), q), the target detached: dz = (q - target) / T                 [Shing et al. 2025, eq. 3] */
void kd__row_taid(kd__row *row)
{
    const float t = (float)row->term->o.progress;
    kd__side z, v;
    if (!kd__scan_sides(row, &z, &v)) return;
    float *mixed = row->v == row->spare ? row->ev : row->spare /* a spread sparse record lies there */;
    for (int64_t i = 0; i < row->n; i++) { /* -infinity on one side ends there also in the mixture, unless its share is 0 */
        const float a = t < 1 ? (1 - t) * (row->z[i] - z.max) : 0, b = t > 0 ? t * (row->v[i] - v.max) : 0;
        mixed[i] = a + b;
    }
    if (mixed == row->ev) { /* forward KL writes its exponentials over ev */
        memcpy(row->spare, mixed, (size_t)row->n * sizeof *mixed);
        mixed = row->spare;
    }
    row->v = mixed;
    kd__row_forward_kl(row);
}

/* Mean and deviation (n - 1) over the real classes. */
static int standardise(const float *x, int64_t n, float *to, double *deviation, int64_t *real)
{
    double sum = 0, squares = 0;
    *real = 0;
    for (int64_t i = 0; i < n; i++)
        if (x[i] > -INFINITY) sum += x[i], ++*real;
    if (*real < 2) return 0;
    const double mean = sum / (double)*real;
    for (int64_t i = 0; i < n; i++)
        if (x[i] > -INFINITY) squares += (x[i] - mean) * (x[i] - mean);
    *deviation = sqrt(squares / (double)(*real - 1));
    if (!(*deviation > 0)) return 0;
    for (int64_t i = 0; i < n; i++) to[i] = x[i] > -INFINITY ? (float)((x[i] - mean) / *deviation) : -INFINITY;
    return 1;
}

/* Forward KL of z' = (z - mean z) / s and v' likewise; g = dL/dz', dz = [g - mean g - z' sum(g z')/(n-1)] / s      [Sun et al. 2024]
 * A row whose logits are all equal has no deviation and is not finite.                                                           */
void kd__row_standardised(kd__row *row)
{
    const double t = row->term->o.temperature;
    double s, sv, mean = 0, dot = 0;
    int64_t real, real_v, n = row->n;
    kd__side z, v;
    if (!kd__scan_sides(row, &z, &v)) return;
    float *z1 = (float *)(void *)row->wide, *v1 = row->spare, *g = row->ev;
    if (!standardise(row->z, n, z1, &s, &real) || !standardise(row->v, n, v1, &sv, &real_v)) {
        row->state = KD__ROW_NONFINITE;
        return;
    }
    int32_t bad;
    z = (kd__side){ .x = z1, .max = row->kernels->scan(z1, n, &bad), .e = row->ez };
    v = (kd__side){ .x = v1, .max = row->kernels->scan(v1, n, &bad), .e = row->ev };
    int64_t hits = 0;
    const double d = row->kernels->relative(&z, &v, n, inverse_temperature(row), -INFINITY, &hits);
    row->loss = d / v.sum - log(v.sum) + log(z.sum);
    if (!kd__is_finite(row) || !row->dz) return;
    row->kernels->combine(g, z.e, (float)(1 / (t * z.sum)), v.e, (float)(1 / (t * v.sum)), n, 0);
    for (int64_t i = 0; i < n; i++) {
        if (z1[i] == -INFINITY) continue;
        mean += g[i] / (double)real;
        dot += (double)g[i] * z1[i] / (double)(real - 1);
    }
    for (int64_t i = 0; i < n; i++) {
        const double dz = z1[i] == -INFINITY ? 0 : row->scale / s * (g[i] - mean - z1[i] * dot);
        row->dz[i] = (row->add ? row->dz[i] : 0) + (float)dz;
    }
}

/* ---- one number a token ---- */

/* log q_y - log p_y, whose mean over tokens drawn from q is KL(q, p); a = log p_y - log q_y is detached and dz = -a (onehot(y) - q).
 * Value and gradient are those of a policy gradient: the gradient is not the value's.                                             */
void kd__row_policy_gradient(kd__row *row)
{
    int32_t bad;
    const float max = row->kernels->scan(row->z, row->n, &bad), at = row->z[row->label];
    if (bad || max == -INFINITY || at == -INFINITY || !isfinite(row->v[0])) {
        row->state = KD__ROW_NONFINITE;
        return;
    }
    const double sum = row->kernels->exponentials(row->z, row->n, max, 1, row->ez), lq = (double)at - max - log(sum);
    row->loss = lq - row->v[0];
    if (!row->dz) return;
    const double advantage = -row->loss;
    row->kernels->combine(row->dz, row->ez, (float)(row->scale * advantage / sum), NULL, 0, row->n, row->add);
    row->dz[row->label] -= (float)(row->scale * advantage);
}

/* ---- another tokenizer ---- */

/* Order of numbers >= 0, largest first, by their bits: three passes of eleven bits; equal numbers keep their order. */
static void order(const float *x, int64_t n, uint32_t *to, uint32_t *other)
{
    uint32_t counts[2048], *from = to, *next = other;
    for (int64_t i = 0; i < n; i++) from[i] = (uint32_t)i;
    for (int pass = 0; pass < 3; pass++) {
        memset(counts, 0, sizeof counts);
        for (int64_t i = 0; i < n; i++) {
            uint32_t bits;
            memcpy(&bits, x + i, sizeof bits);
            counts[2047 - (bits >> 11 * pass & 2047)]++;
        }
        for (uint32_t i = 0, sum = 0; i < 2048; i++) {
            const uint32_t count = counts[i];
            counts[i] = sum;
            sum += count;
        }
        for (int64_t i = 0; i < n; i++) {
            uint32_t bits;
            memcpy(&bits, x + from[i], sizeof bits);
            next[counts[2047 - (bits >> 11 * pass & 2047)]++] = from[i];
        }
        uint32_t *swap = from;
        from = next;
        next = swap;
    }
    if (from != to) memcpy(to, from, (size_t)n * sizeof *to);
}

static int probabilities(kd__row *row, const float *x, int64_t n, float *to)
{
    int32_t bad;
    const float max = row->kernels->scan(x, n, &bad);
    if (bad || max == -INFINITY) return 0;
    const double sum = row->kernels->exponentials(x, n, max, inverse_temperature(row), to);
    for (int64_t i = 0; i < n; i++) to[i] = (float)(to[i] / sum);
    return 1;
}

/* Scratch of ULD: each of the four arrays of doubles holds two of these. */
enum { OF_Q, OF_P, SPARE_ORDER, SOME_Q, SOME_P };
static void *slot(kd__row *row, int which) { return (uint32_t *)(void *)row->wide + which * row->wide_room; }

/* sum |sort q - sort p|, the shorter padded with 0; h = q sign(..) through q's order is added at to[ids[i]] (ids NULL: i).
 *                                                                                        [Boizard et al. 2024, eq. 2] */
static double sorted_difference(kd__row *row, const float *q, int64_t n, const float *p, int64_t m, const uint32_t *ids, float *to)
{
    const int64_t most = n > m ? n : m;
    uint32_t *of_q = slot(row, OF_Q), *of_p = slot(row, OF_P);
    double sum = 0;
    order(q, n, of_q, slot(row, SPARE_ORDER));
    order(p, m, of_p, slot(row, SPARE_ORDER));
    for (int64_t i = 0; i < most; i++) {
        const float a = i < n ? q[of_q[i]] : 0, b = i < m ? p[of_p[i]] : 0;
        sum += fabs((double)a - b);
        if (i < n) to[ids ? ids[of_q[i]] : of_q[i]] += a > b ? a : a < b ? -a : 0;
    }
    return sum;
}

/* The shared classes S by KL with a bucket: h = -p on S, -q t/s outside (t, s: both sides' mass there). Then the rest, sorted. */
static double with_shared(kd__row *row, const kd__shared *shared, const float *q, const float *p, float *h)
{
    float *some_q = slot(row, SOME_Q), *some_p = slot(row, SOME_P);
    const uint32_t *only_q = shared->student + shared->pairs, *only_p = shared->teacher + shared->pairs;
    double loss = 0, s = 0, t = 0;
    for (int64_t i = 0; i < shared->only_student; i++) s += some_q[i] = q[only_q[i]];
    for (int64_t i = 0; i < shared->only_teacher; i++) t += some_p[i] = p[only_p[i]];
    for (int64_t i = 0; i < shared->pairs; i++) {
        const double a = p[shared->teacher[i]], b = q[shared->student[i]];
        if (a > 0) loss += a * log(a / b);
        h[shared->student[i]] = (float)-a;
    }
    if (t > 0) loss += t * log(t / s);
    for (int64_t i = 0; i < shared->only_student; i++) h[only_q[i]] = s > 0 ? (float)(-some_q[i] * (t / s)) : 0;
    return loss + sorted_difference(row, some_q, shared->only_student, some_p, shared->only_teacher, only_q, h);
}

void kd__row_uld(kd__row *row)
{
    const kd__shared *shared = &row->term->shared;
    float *q = row->ez, *p = row->ev, *h = row->spare;
    double total = 0;
    if (!probabilities(row, row->z, row->n, q) || !probabilities(row, row->v, row->vn, p)) {
        row->state = KD__ROW_NONFINITE;
        return;
    }
    memset(h, 0, (size_t)row->n * sizeof *h);
    row->loss = shared->student ? with_shared(row, shared, q, p, h) : sorted_difference(row, q, row->n, p, row->vn, NULL, h);
    if (!kd__is_finite(row) || !row->dz) return;
    for (int64_t i = 0; i < row->n; i++) total += h[i];
    const double c = row->scale / row->term->o.temperature;
    row->kernels->combine(row->dz, h, (float)c, q, (float)(c * total), row->n, row->add);
}
