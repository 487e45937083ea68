/* Terms between two distributions over V classes. One row: z, v (V); q = softmax(z / T), p =
 * softmax(v / T). a_z = (z - max z) / T, e_z = exp a_z, S_z = sum e_z; the same for v. Differences
 * are taken before the division by T. A place with p = 0 or q = 0 contributes nothing, by
 * selection. */
#include <math.h>

#include "core/loss/loss.h"

/* Maxima of both sides; a row with NaN, +infinity or nothing but -infinity is not finite. */
int kd__scan_sides(kd__row *row, kd__side *z, kd__side *v)
{
    int32_t bad_z, bad_v;
    *z = (kd__side){ .x = row->z, .e = row->ez };
    *v = (kd__side){ .x = row->v, .e = row->ev };
    z->max = row->kernels->scan(z->x, row->n, &bad_z);
    v->max = row->kernels->scan(v->x, row->n, &bad_v);
    if (!bad_z && !bad_v && z->max > -INFINITY && v->max > -INFINITY) return 1;
    row->state = KD__ROW_NONFINITE;
    return 0;
}

int kd__is_finite(kd__row *row)
{
    if (!isfinite(row->loss)) row->state = KD__ROW_NONFINITE;
    return row->state == KD__ROW_VALID;
}

kd__close kd__close_of(kd__row *row, const kd__side *z, const kd__side *v)
{
    const double slope = 1 / row->term->o.temperature;
    const double moved = row->differences ? row->constant - ((double)z->max - v->max) : 0;
    return (kd__close){ row, *z, *v, slope, log(v->sum) - log(z->sum) + slope * moved };
}

/* KL(p, q) = sum e_v (a_v - a_z) / S_v - log S_v + log S_z          dz = (q - p) / T
 *     [Hinton et al. 2015, eq. 2] */
void kd__row_forward_kl(kd__row *row)
{
    kd__side z, v;
    int64_t hits = 0;
    if (!kd__scan_sides(row, &z, &v)) return;
    double d =
        row->kernels->relative(&z, &v, row->n, kd__inverse_temperature(row), -INFINITY, &hits);
    row->loss = d / v.sum - log(v.sum) + log(z.sum);
    if (row->loss < KD__CLOSE) {
        kd__close close = kd__close_of(row, &z, &v);
        row->loss = kd__close_forward(&close);
    }
    double c = row->scale / row->term->o.temperature;
    if (kd__is_finite(row) && row->dz)
        row->kernels->combine(row->dz, z.e, (float)(c / z.sum), v.e, (float)(c / v.sum), row->n,
                              row->add);
}

/* KL(q, p) = sum e_z (a_z - a_v) / S_z - log S_z + log S_v          dz = q (log(q/p) - KL) / T
 *     [Gu et al. 2023] */
void kd__row_reverse_kl(kd__row *row)
{
    kd__side z, v;
    int64_t hits = 0;
    float floor = -INFINITY, inverse_t = kd__inverse_temperature(row);
    if (!kd__scan_sides(row, &z, &v)) return;
    if (row->term->numbers.log_floor < 0)
        floor = (float)(row->term->numbers.log_floor +
                        log(row->kernels->exponentials(v.x, row->n, v.max, inverse_t, v.e)));
    double d = row->kernels->relative(&v, &z, row->n, inverse_t, floor, &hits);
    double shift = log(v.sum) - log(z.sum);
    row->loss = d / z.sum + shift;
    row->guards = (int32_t)hits;
    if (row->loss < KD__CLOSE && !hits) {
        kd__close close = kd__close_of(row, &z, &v);
        row->loss = kd__close_reverse(&close);
    }
    double c = row->scale / row->term->o.temperature;
    if (kd__is_finite(row) && row->dz)
        row->kernels->reverse_gradient(row->dz, &z, &v, row->n, inverse_t, floor, (float)shift,
                                       (float)(c / z.sum), (float)row->loss, row->add);
}

/* The teacher's exponentials once more, where a kernel has written over them; the shift made exact
 * when the value needs it. */
kd__close kd__close_again(kd__row *row, const kd__side *z, const kd__side *v, double least)
{
    kd__close close = kd__close_of(row, z, v);
    close.v.e = row->copy;
    close.v.sum =
        row->kernels->exponentials(v->x, row->n, v->max, kd__inverse_temperature(row), row->copy);
    if (row->loss < least) kd__close_forward(&close);
    return close;
}

static double close_jensen(kd__row *row, const kd__side *z, const kd__side *v, double b)
{
    const kd__close close = kd__close_again(row, z, v, KD__TINY);
    return b * kd__close_mixed(&close, 1 - b, 0) + (1 - b) * kd__close_mixed(&close, b, 1);
}

/* b KL(p, M) + (1 - b) KL(q, M), M = b p + (1 - b) q, over b (1 - b) when normalized; g = (1 - b)
 * log(q/M), dz = q (g - sum q g) / T [Agarwal et al. 2023] */
void kd__row_jsd(kd__row *row)
{
    kd__side z, v;
    double mean;
    float inverse_t = kd__inverse_temperature(row);
    const double b = row->term->numbers.teacher_share,
                 factor = row->term->numbers.normalized ? 1 / (b * (1 - b)) : 1;
    if (row->term->numbers.normalized && (b == 0 || b == 1)) {
        if (b == 0) kd__row_forward_kl(row);
        else kd__row_reverse_kl(row);
        return;
    }
    if (!kd__scan_sides(row, &z, &v)) return;
    z.sum = row->kernels->exponentials(z.x, row->n, z.max, inverse_t, z.e);
    v.sum = row->kernels->exponentials(v.x, row->n, v.max, inverse_t, v.e);
    row->loss = row->kernels->jensen(&z, &v, row->n, inverse_t, (float)b, &mean);
    if (row->loss < KD__CLOSE && b > 0 && b < 1) row->loss = close_jensen(row, &z, &v, b);
    row->loss *= factor;
    double c = factor * row->scale / row->term->o.temperature;
    if (kd__is_finite(row) && row->dz)
        row->kernels->softmax_gradient(row->dz, z.e, v.e, row->n, (float)(c / z.sum), (float)mean,
                                       row->add);
}

/* 1/(2V) sum (z_c - v_c)^2 over real classes, both centered          dz = (z_c - v_c) / V */
void kd__row_logit_mse(kd__row *row)
{
    double sum = 0, total = 0;
    int64_t real = 0;
    for (int64_t i = 0; i < row->n; i++) {
        if (row->z[i] == -INFINITY && row->v[i] == -INFINITY) continue;
        sum += (double)row->z[i] - row->v[i];
        real++;
    }
    double mean = real ? sum / (double)real : 0;
    for (int64_t i = 0; i < row->n; i++) {
        int padding = row->z[i] == -INFINITY && row->v[i] == -INFINITY;
        double d = padding ? 0 : (double)row->z[i] - row->v[i] - mean;
        total += d * d;
        if (row->dz)
            row->dz[i] = (row->add ? row->dz[i] : 0) + (float)(row->scale * d / (double)real);
    }
    row->loss = real ? total / (2 * (double)real) : 0;
}

/* ---- decoupled distillation ---- */

/* log(1 + e^x) */
static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }

/* The classes but y, as two pieces; sums and sum e_v (a_v - a_z) over both. */
static double others(kd__row *row, kd__side *z, kd__side *v)
{
    const int64_t y = row->label, counts[2] = { y, row->n - y - 1 }, starts[2] = { 0, y + 1 };
    double total = 0, sum_z = 0, sum_v = 0;
    for (int i = 0; i < 2; i++) {
        int64_t hits = 0;
        kd__side a = { z->x + starts[i], z->max, z->e + starts[i], 0 },
                 b = { v->x + starts[i], v->max, v->e + starts[i], 0 };
        if (!counts[i]) continue;
        total += row->kernels->relative(&a, &b, counts[i], kd__inverse_temperature(row), -INFINITY,
                                        &hits);
        sum_z += a.sum;
        sum_v += b.sum;
    }
    z->sum = sum_z;
    v->sum = sum_v;
    return total;
}

static float max_of_others(const kd__row *row, const float *x)
{
    int32_t bad;
    float low = row->label ? row->kernels->scan(x, row->label, &bad) : -INFINITY;
    int64_t rest = row->n - row->label - 1;
    float high = rest ? row->kernels->scan(x + row->label + 1, rest, &bad) : -INFINITY;
    return low > high ? low : high;
}

/* x times log ratio, 0 when x is 0 */
static double part(double x, double log_ratio) { return x > 0 ? x * log_ratio : 0; }

/* The same as sums that are never negative, where q is near p: NCKD over the two pieces; d is then
 * log(q'/p') of the other classes, and u - w = (z_y - v_y - apart) / T + shift. */
static void close_dkd(kd__row *row, const kd__side *z, const kd__side *v, double p, double other_p,
                      double *target, double *rest)
{
    kd__close c = kd__close_of(row, z, v);
    const double apart = row->differences ? row->differences[row->label]
                                          : (double)row->z[row->label] - row->v[row->label] -
                                                ((double)z->max - v->max);
    if (!isfinite(apart) || !(v->sum > 0)) return;
    const double near = kd__close_others(&c, row->label);
    if (*rest < KD__CLOSE) *rest = near;
    const double gap = apart / row->term->o.temperature + c.shift;
    if (fabs(gap) < 1) *target = kd__close_binary(p, other_p, gap);
}

static void dkd_gradient(kd__row *row, const kd__side *z, const kd__side *v, double gap)
{
    const kd__numbers *o = &row->term->numbers;
    const double c = row->scale / row->term->o.temperature;
    const int64_t y = row->label, rest = row->n - y - 1;
    float x = (float)(c * (o->dkd_beta - o->dkd_alpha * gap) / z->sum),
          w = (float)(v->sum > 0 ? c * o->dkd_beta / v->sum : 0);
    if (y) row->kernels->combine(row->dz, z->e, x, z->sum > 0 ? v->e : NULL, w, y, row->add);
    if (rest)
        row->kernels->combine(row->dz + y + 1, z->e + y + 1, x, v->e + y + 1, w, rest, row->add);
    row->dz[y] = (row->add ? row->dz[y] : 0) + (float)(c * o->dkd_alpha * gap);
}

/* alpha TCKD + beta NCKD [Zhao et al. 2022, eq. 7]
 * TCKD: KL of (p_y, 1 - p_y) against (q_y, 1 - q_y); NCKD: KL among the other classes, p' = p / (1
 * - p_y), q' likewise. With u = log(q_y / (1 - q_y)) = z_y/T - log sum_others e^(z/T):  dTCKD/du =
 * q_y - p_y,  du/dz_y = 1,  du/dz_i = -q'_i.
 * dz_y = alpha (q_y - p_y) / T,   dz_i = [(beta - alpha (q_y - p_y)) q'_i - beta p'_i] / T. */
void kd__row_dkd(kd__row *row)
{
    const kd__numbers *o = &row->term->numbers;
    kd__side z, v;
    if (!kd__scan_sides(row, &z, &v)) return;
    z.max = max_of_others(row, row->z);
    v.max = max_of_others(row, row->v);
    if (z.max == -INFINITY || row->z[row->label] == -INFINITY) {
        row->state = KD__ROW_NONFINITE;
        return;
    }
    if (v.max == -INFINITY) v.max = 0; /* a one-hot teacher: all its other exponentials are 0 */
    double d = others(row, &z, &v);
    double u = ((double)row->z[row->label] - z.max) / row->term->o.temperature - log(z.sum);
    double w = ((double)row->v[row->label] - v.max) / row->term->o.temperature - log(v.sum);
    double p = w == INFINITY ? 1 : 1 / (1 + exp(-w)),
           other_p = w == INFINITY ? 0 : 1 / (1 + exp(w)), q = 1 / (1 + exp(-u));
    double target = part(p, softplus(-u) - softplus(-w)) + part(other_p, softplus(u) - softplus(w));
    double rest = v.sum > 0 ? d / v.sum - log(v.sum) + log(z.sum) : 0;
    if (target < KD__CLOSE || rest < KD__CLOSE) close_dkd(row, &z, &v, p, other_p, &target, &rest);
    row->loss = o->dkd_alpha * target + o->dkd_beta * rest;
    if (kd__is_finite(row) && row->dz) dkd_gradient(row, &z, &v, q - p);
}
