/* Terms between two distributions whose gradient comes as h = q dL/dq: dz = (h - q sum h) / T.
 * Legend as in terms_soft.c. */
#include <math.h>
#include <string.h>

#include "core/loss/loss.h"

static int read_sides(kd__row *row, kd__side *z, kd__side *v)
{
    const float inverse_t = kd__inverse_temperature(row);
    if (!kd__scan_sides(row, z, v)) return 0;
    z->sum = row->kernels->exponentials(z->x, row->n, z->max, inverse_t, z->e);
    v->sum = row->kernels->exponentials(v->x, row->n, v->max, inverse_t, v->e);
    return 1;
}

static double close_mixture(kd__row *row, int32_t kind, double share, const kd__side *z,
                            const kd__side *v)
{
    const kd__close close =
        kd__close_again(row, z, v, kind == KD__VARIATION ? KD__CLOSE : KD__TINY);
    if (kind == KD__VARIATION) return kd__close_variation(&close);
    return kd__close_mixed(&close, 1 - share, kind != KD__SKEWED_FORWARD);
}

static void mixture(kd__row *row, int32_t kind, double share)
{
    kd__side z, v;
    double total;
    if (!read_sides(row, &z, &v)) return;
    row->loss = row->kernels->mixture(kind, &z, &v, row->n, kd__inverse_temperature(row),
                                      (float)share, &total);
    if (row->loss < KD__CLOSE) row->loss = close_mixture(row, kind, share, &z, &v);
    const double c = row->scale / row->term->o.temperature;
    if (kd__is_finite(row) && row->dz)
        row->kernels->combine(row->dz, v.e, (float)c, z.e, (float)(c * total / z.sum), row->n,
                              row->add);
}

/* KL(p, a p + (1-a) q) and KL(q, a q + (1-a) p), a the skew [Ko et al. 2024, eq. 4-5]
 * At a = 0 the mixture is the other side alone: forward and reverse KL. */
void kd__row_skewed_forward(kd__row *row)
{
    if (row->term->numbers.skew == 0) kd__row_forward_kl(row);
    else mixture(row, KD__SKEWED_FORWARD, row->term->numbers.skew);
}

void kd__row_skewed_reverse(kd__row *row)
{
    const int32_t kind = row->term->numbers.detach_mixture ? KD__SKEWED_DETACHED
                                                           : KD__SKEWED_REVERSE;
    if (row->term->numbers.skew == 0) kd__row_reverse_kl(row);
    else mixture(row, kind, row->term->numbers.skew);
}

/* 1/2 sum |p - q|          h = q/2 sign(q - p) */
void kd__row_total_variation(kd__row *row) { mixture(row, KD__VARIATION, 0); }

/* sum min(p, q): what total variation leaves, summed up itself where it is small. */
static double accepted(kd__row *row, const kd__side *z, const kd__side *v)
{
    const float inverse_t = kd__inverse_temperature(row);
    double sum = 0;
    if (row->loss < 0.5) return 1 - row->loss;
    row->kernels->exponentials(v->x, row->n, v->max, inverse_t, row->copy); /* v->e has h */
    for (int64_t i = 0; i < row->n; i++) sum += fmin(row->copy[i] / v->sum, z->e[i] / z->sum);
    return sum;
}

/* Writes -q dmin(p, q)/dq over h = q/2 sign(q - p), and returns its sum. Both give the same dz, but
 * this one has nothing that cancels where a is small. */
static double accepted_gradient(float *h, const kd__side *z, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const float equal = (float)(-0.5 * z->e[i] / z->sum);
        h[i] = h[i] < 0 ? 2 * h[i] : h[i] > 0 ? 0 : equal;
        sum += h[i];
    }
    return sum;
}

/* -log a, a = sum min(p, q)          h = -q/a where q < p */
void kd__row_acceptance(kd__row *row)
{
    kd__side z, v;
    double total; /* of total variation's h, which is not used here */
    if (!read_sides(row, &z, &v)) return;
    row->loss = row->kernels->mixture(KD__VARIATION, &z, &v, row->n, kd__inverse_temperature(row),
                                      0, &total);
    if (row->loss < KD__CLOSE) row->loss = close_mixture(row, KD__VARIATION, 0, &z, &v);
    const double both = accepted(row, &z, &v), a = fmax(both, KD__LEAST_ACCEPTED);
    row->guards = both < KD__LEAST_ACCEPTED;
    row->loss = row->loss < 0.5 ? -log1p(-row->loss) : -log(a);
    if (!kd__is_finite(row) || !row->dz) return;
    const double c = row->scale / (row->term->o.temperature * a);
    const double sum = accepted_gradient(v.e, &z, row->n);
    row->kernels->combine(row->dz, v.e, (float)c, z.e, (float)(c * sum / z.sum), row->n, row->add);
}

/* ---- in double, over all classes ---- */

/* log softmax(x / T); 1 / T of it is exact, the sum only when it is taken in double. */
static void log_softmax(const kd__side *side, int64_t n, double t, int exact, double *to)
{
    double sum = exact ? 0 : side->sum;
    for (int64_t i = 0; i < n; i++) {
        to[i] = ((double)side->x[i] - side->max) / t;
        if (exact) sum += exp(to[i]);
    }
    const double log_sum = log(sum);
    for (int64_t i = 0; i < n; i++) to[i] -= log_sum;
}

/* Below this value a sum of float exponentials is not exact enough. */
#define NEXT_TO_NOTHING 1e-2

static void in_double(kd__row *row)
{
    const double t = row->term->o.temperature;
    double *lp = row->wide, *lq = lp + row->wide_room, *h = lq + row->wide_room, total = 0;
    kd__side z, v;
    if (!read_sides(row, &z, &v)) return;
    for (int exact = 0; exact < 2; exact++) {
        log_softmax(&v, row->n, t, exact, lp);
        log_softmax(&z, row->n, t, exact, lq);
        row->guards = 0;
        row->loss = kd__divergence(row->term, row->n, lp, lq, h, 1, -1, NULL, &row->guards);
        if (!(row->loss < NEXT_TO_NOTHING)) break;
    }
    for (int64_t i = 0; i < row->n; i++) total += h[i];
    if (!kd__is_finite(row) || !row->dz) return;
    for (int64_t i = 0; i < row->n; i++)
        row->dz[i] = (row->add ? row->dz[i] : 0) +
                     (float)(row->scale / t * (h[i] - exp(lq[i]) * total));
}

void kd__row_alpha_beta(kd__row *row) { in_double(row); }
void kd__row_adaptive_kl(kd__row *row) { in_double(row); }

/* ---- other targets for forward KL ---- */

/* Forward KL of `mixed`; near 0 its logits' distances are t (z - v), which mixing has rounded. */
static void forward_of_mixture(kd__row *row, const float *mixed, const kd__side *z,
                               const kd__side *v)
{
    const double t = row->term->o.temperature, progress = row->term->numbers.progress;
    int64_t hits = 0;
    int32_t bad;
    kd__side a = { .x = row->z, .max = z->max, .e = row->ez }, b = { .x = mixed, .e = row->ev };
    b.max = row->kernels->scan(mixed, row->n, &bad);
    if (bad || b.max == -INFINITY) {
        row->state = KD__ROW_NONFINITE;
        return;
    }
    const double d =
        row->kernels->relative(&a, &b, row->n, kd__inverse_temperature(row), -INFINITY, &hits);
    row->loss = d / b.sum - log(b.sum) + log(a.sum);
    if (progress == 0) row->loss = 0; /* the target is the student itself */
    else if (row->loss < KD__CLOSE) {
        kd__close close = { row,
                            a,
                            { .x = row->v, .max = v->max, .e = b.e, .sum = b.sum },
                            progress / t,
                            b.max / t + log(b.sum) - log(a.sum) };
        row->loss = kd__close_forward(&close);
    }
    const double c = row->scale / t;
    if (kd__is_finite(row) && row->dz)
        row->kernels->combine(row->dz, a.e, (float)(c / a.sum), b.e, (float)(c / b.sum), row->n,
                              row->add);
}

/* KL(softmax(((1-t) z + t v) / T), q), the target detached: dz = (q - target) / T
 *     [Shing et al. 2025, eq. 3] */
void kd__row_taid(kd__row *row)
{
    const float t = (float)row->term->numbers.progress;
    kd__side z, v;
    if (!kd__scan_sides(row, &z, &v)) return;
    float *mixed = row->v == row->spare ? row->ev
                                        : row->spare /* a spread sparse record lies there */;
    /* -infinity on one side ends there also in the mixture, unless its share is 0 */
    for (int64_t i = 0; i < row->n; i++) {
        const float a = t < 1 ? (1 - t) * (row->z[i] - z.max) : 0,
                    b = t > 0 ? t * (row->v[i] - v.max) : 0;
        mixed[i] = a + b;
    }
    if (mixed == row->ev) { /* forward KL writes its exponentials over ev */
        memcpy(row->spare, mixed, (size_t)row->n * sizeof *mixed);
        mixed = row->spare;
    }
    forward_of_mixture(row, mixed, &z, &v);
}

/* Mean and deviation (n - 1) over the real classes. */
static int standardize(const float *x, int64_t n, float *to, double *center, double *deviation,
                       int64_t *real)
{
    double sum = 0, squares = 0;
    *real = 0;
    for (int64_t i = 0; i < n; i++)
        if (x[i] > -INFINITY) sum += x[i], ++*real;
    if (*real < 2) return 0;
    const double mean = *center = sum / (double)*real;
    for (int64_t i = 0; i < n; i++)
        if (x[i] > -INFINITY) squares += (x[i] - mean) * (x[i] - mean);
    *deviation = sqrt(squares / (double)(*real - 1));
    if (!(*deviation > 0)) return 0;
    for (int64_t i = 0; i < n; i++)
        to[i] = x[i] > -INFINITY ? (float)((x[i] - mean) / *deviation) : -INFINITY;
    return 1;
}

/* Forward KL of z' = (z - mean z) / s and v' likewise; g = dL/dz', dz = [g - mean g - z' sum(g
 * z')/(n-1)] / s [Sun et al. 2024]
 * A row whose logits are all equal has no deviation and is not finite. */
void kd__row_standardized(kd__row *row)
{
    const double t = row->term->o.temperature;
    double s, sv, center, center_v, mean = 0, dot = 0;
    int64_t real, real_v, n = row->n;
    kd__side z, v;
    if (!kd__scan_sides(row, &z, &v)) return;
    float *z1 = (float *)(void *)row->wide, *v1 = row->spare, *g = row->ev;
    if (!standardize(row->z, n, z1, &center, &s, &real) ||
        !standardize(row->v, n, v1, &center_v, &sv, &real_v)) {
        row->state = KD__ROW_NONFINITE;
        return;
    }
    int32_t bad;
    z = (kd__side){ .x = z1, .max = row->kernels->scan(z1, n, &bad), .e = row->ez };
    v = (kd__side){ .x = v1, .max = row->kernels->scan(v1, n, &bad), .e = row->ev };
    int64_t hits = 0;
    const double d =
        row->kernels->relative(&z, &v, n, kd__inverse_temperature(row), -INFINITY, &hits);
    row->loss = d / v.sum - log(v.sum) + log(z.sum);
    if (row->loss < KD__CLOSE) {
        kd__close close = kd__close_of(row, &z, &v);
        for (int64_t i = 0; i < n; i++)
            row->apart[i] = (float)((row->z[i] - center) / s - (row->v[i] - center_v) / sv);
        row->differences = row->apart;
        row->loss = kd__close_forward(&close);
    }
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

/* log q_y - log p_y, whose mean over tokens drawn from q is KL(q, p); a = log p_y - log q_y is
 * detached and dz = -a (onehot(y) - q). Value and gradient are those of a policy gradient: the
 * gradient is not the value's. */
void kd__row_policy_gradient(kd__row *row)
{
    int32_t bad;
    const float max = row->kernels->scan(row->z, row->n, &bad), at = row->z[row->label];
    if (bad || max == -INFINITY || at == -INFINITY || !isfinite(row->v[0])) {
        row->state = KD__ROW_NONFINITE;
        return;
    }
    const double sum = row->kernels->exponentials(row->z, row->n, max, 1, row->ez),
                 lq = (double)at - max - log(sum);
    row->loss = lq - row->v[0];
    if (!row->dz) return;
    const double advantage = -row->loss;
    row->kernels->combine(row->dz, row->ez, (float)(row->scale * advantage / sum), NULL, 0, row->n,
                          row->add);
    row->dz[row->label] -= (float)(row->scale * advantage);
}
