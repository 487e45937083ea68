/* Values of distributions that are nearly the same. KL(p, q) = sum p (log p - log q) adds terms of
 * both signs that cancel as q comes near p: of a value of 1e-6 a float sum keeps no digit. With d =
 * log(q/p) and sum p = sum q the same value is sum p (expm1 d - d), whose terms are never negative;
 * the others likewise. d comes from differences of logits, which are exact where they are small.
 * What is left of rounding in its constant part is measured (moved = sum p expm1 d, which should be
 * 0) and taken out: KL = sum p (expm1 d - d) + log1p(moved) - moved. */
#include <math.h>

#include "core/loss/loss.h"

/* Coefficients 1/k!, k = 2 .. 9: the ninth is below 1e-16 of the first for |x| < 0.02. */
double kd__above_exp(double x)
{
    if (fabs(x) > 0.02) return expm1(x) - x;
    return x * x *
           (1.0 / 2 +
            x * (1.0 / 6 + x * (1.0 / 24 +
                                x * (1.0 / 120 + x * (1.0 / 720 + x * (1.0 / 5040 + x / 40320))))));
}

double kd__above_log(double x)
{
    if (fabs(x) > 0.02) return x - log1p(x);
    double sum = 0;
    for (int k = 12; k >= 2; k--) sum = (k % 2 ? -1.0 : 1.0) / k + x * sum;
    return x * x * sum;
}

/* log(p/q) = log(1 + x), x = (1 - p) expm1(-gap), and log of the others' ratio = log(1 + y), y = p
 * expm1(gap); with p (q/p - 1) + (1 - p) ((1-q)/(1-p) - 1) = 0 both parts become t - log(1 + t). */
double kd__close_binary(double p, double other_p, double gap)
{
    const double x = other_p * expm1(-gap), y = p * expm1(gap);
    const double own = p > 0 ? p * kd__above_log(-x / (1 + x)) : 0;
    return own + (other_p > 0 ? other_p * kd__above_log(-y / (1 + y)) : 0);
}

/* The sides as the kernel wants them; `other` 1: p and q exchanged. */
static kd__gap gap_of(const kd__close *c, int other)
{
    const double sign = other ? -1 : 1;
    const kd__row *row = c->row;
    kd__gap g = {
        .p = other ? c->z.e : c->v.e, .q = other ? c->v.e : c->z.e, .px = c->v.x, .qx = c->z.x
    };
    g.ratio = (float)(other ? c->z.sum / c->v.sum : c->v.sum / c->z.sum);
    g.apart = (float)((double)c->z.max - c->v.max);
    if (row->differences) g.px = NULL, g.qx = row->differences, g.apart = 0;
    g.slope = (float)(sign * c->slope);
    g.shift = (float)(sign * c->shift);
    return g;
}

static double own_sum(const kd__close *c, int other) { return other ? c->z.sum : c->v.sum; }

/* KL from its sums: *shift becomes exact. */
static double settle(kd__close *c, double above, double moved, int other)
{
    above /= own_sum(c, other);
    moved /= own_sum(c, other);
    c->shift -= (other ? -1 : 1) * log1p(moved);
    return above - kd__above_log(moved);
}

static double relative(kd__close *c, int other)
{
    const kd__gap g = gap_of(c, other);
    double moved;
    const double above = c->row->kernels->gap(KD__GAP_KL, &g, c->row->n, 0, &moved);
    return settle(c, above, moved, other);
}

double kd__close_others(kd__close *c, int64_t label)
{
    const int64_t counts[2] = { label, c->row->n - label - 1 }, starts[2] = { 0, label + 1 };
    double above = 0, moved = 0, part;
    for (int i = 0; i < 2; i++) {
        kd__gap g = gap_of(c, 0);
        g.p += starts[i], g.q += starts[i], g.qx += starts[i];
        if (g.px) g.px += starts[i];
        above += c->row->kernels->gap(KD__GAP_KL, &g, counts[i], 0, &part);
        moved += part;
    }
    return settle(c, above, moved, 0);
}

double kd__close_forward(kd__close *c) { return relative(c, 0); }
double kd__close_reverse(kd__close *c) { return relative(c, 1); }

static double by_kernel(const kd__close *c, int32_t kind, double share, int other)
{
    const kd__gap g = gap_of(c, other);
    return c->row->kernels->gap(kind, &g, c->row->n, (float)share, NULL) / own_sum(c, other);
}

double kd__close_mixed(const kd__close *c, double share, int other)
{
    return by_kernel(c, KD__GAP_MIXED, share, other);
}
double kd__close_variation(const kd__close *c) { return by_kernel(c, KD__GAP_VARIATION, 0, 0); }
