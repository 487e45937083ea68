/* Two sides: the formulas of a row. Legend in two_sided.h; s the scale. */
#include <math.h>

#include "core/relation/two_sided.h"

/* Up to this scale e^z of rows of length 1 stays in double's range, and one exponential serves both
 * directions. */
#define MILD 300

static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static int is_positive(const kd__sweep *w, int64_t i, int64_t j)
{
    return w->of->group[i] == w->other->group[j];
}

/* Of the positives, those that the masked form looks at. */
static int is_own(const kd__sweep *w, int64_t i, int64_t j)
{
    return w->c->is_paired ? i == j : is_positive(w, i, j);
}

/* How many rows of other groups have a higher score than the best positive, and 1. */
static void rank_positive(const kd__sweep *w, int64_t i, const float *z)
{
    const int64_t m = w->other->n;
    float best = -INFINITY;
    int64_t rank = 1, positives = 0;
    if (!w->of->ranks) return;
    for (int64_t j = 0; j < m; j++)
        if (is_positive(w, i, j)) {
            positives++;
            if (z[j] > best) best = z[j];
        }
    for (int64_t j = 0; j < m; j++) rank += z[j] > best && !is_positive(w, i, j);
    w->of->ranks[i] = positives ? rank : 0;
}

/* ---- contrast ---- */

static void measure_mean(const kd__sweep *w, int64_t i, const float *z)
{
    const double s = w->c->scale;
    const int64_t m = w->other->n;
    int64_t top = 0, positives = 0;
    double rest = 0, below = 0;
    for (int64_t j = 1; j < m; j++)
        if (z[j] > z[top]) top = j;
    for (int64_t j = 0; j < m; j++) {
        const double gap = s * ((double)z[j] - z[top]);
        if (j != top) rest += exp(gap);
        if (!is_positive(w, i, j)) continue;
        positives++;
        below -= gap;
    }
    w->own.log_sum[i] = s * z[top] + log1p(rest);
    w->own.second[i] = exp(-w->own.log_sum[i]);
    if (!positives) return;
    w->own.share[i] = 1 / (double)positives;
    w->of->values[i] = below / (double)positives + log1p(rest);
    w->of->counts[i] = 1;
}

/* log of the sum over rows of other groups; -infinity: there are none. */
static double log_sum_of_negatives(const kd__sweep *w, int64_t i, const float *z)
{
    const double s = w->c->scale;
    const int64_t m = w->other->n;
    float most = -INFINITY;
    double sum = 0;
    for (int64_t j = 0; j < m; j++)
        if (z[j] > most && !is_positive(w, i, j)) most = z[j];
    if (most == -INFINITY) return -INFINITY;
    for (int64_t j = 0; j < m; j++)
        if (!is_positive(w, i, j)) sum += exp(s * ((double)z[j] - most));
    return s * most + log(sum);
}

static void measure_masked(const kd__sweep *w, int64_t i, const float *z)
{
    const double s = w->c->scale, negatives = log_sum_of_negatives(w, i, z);
    double value = 0, share = 0;
    int64_t positives = 0;
    for (int64_t j = 0; j < w->other->n; j++) {
        if (!is_own(w, i, j)) continue;
        positives++;
        value += softplus(negatives - s * z[j]);
        share += sigmoid(negatives - s * z[j]);
    }
    w->own.log_sum[i] = negatives;
    if (!positives) return;
    w->own.share[i] = share / (double)positives;
    w->own.second[i] = 1 / (double)positives;
    w->of->values[i] = value / (double)positives;
    w->of->counts[i] = 1;
}

void kd__measure_contrast(const kd__sweep *w, int64_t i, float *z, float *t)
{
    (void)t;
    rank_positive(w, i, z);
    if (w->c->is_masked) measure_masked(w, i, z);
    else measure_mean(w, i, z);
}

static double weight_of(const kd__two_side *side, int64_t i)
{
    return side->counts[i] ? side->weight : 0;
}

/* d value / d z_ij of the direction that sums over row `at` of a side. */
static double masked_slope(const kd__two_stats *of, int64_t at, double weight, double z,
                           int positive, int own)
{
    if (weight == 0 || (positive && !own)) return 0;
    if (own) return -weight * of->second[at] * sigmoid(of->log_sum[at] - z);
    return weight * of->share[at] * exp(z - of->log_sum[at]);
}

static void gradient_masked(const kd__sweep *w, int64_t i, float *z)
{
    const double s = w->c->scale, weight = weight_of(w->of, i);
    double along = 0;
    for (int64_t j = 0; j < w->other->n; j++) {
        const int positive = is_positive(w, i, j), own = is_own(w, i, j);
        const double x = s * z[j];
        const double d = masked_slope(&w->own, i, weight, x, positive, own) +
                         masked_slope(&w->others, j, weight_of(w->other, j), x, positive, own);
        along += d * x;
        z[j] = (float)(w->c->factor * s * d);
    }
    w->own.along[i] = along;
}

/* The shares of pair i, j in both directions' softmax, times their weights. */
static double weighted_shares(const kd__sweep *w, int64_t i, int64_t j, double z)
{
    const double here = weight_of(w->of, i), there = weight_of(w->other, j);
    if (w->c->is_unit && w->c->scale < MILD)
        return exp(z) * (here * w->own.second[i] + there * w->others.second[j]);
    return (here > 0 ? here * exp(z - w->own.log_sum[i]) : 0) +
           (there > 0 ? there * exp(z - w->others.log_sum[j]) : 0);
}

static void gradient_mean(const kd__sweep *w, int64_t i, float *z)
{
    const double s = w->c->scale, here = weight_of(w->of, i) * w->own.share[i];
    double along = 0;
    for (int64_t j = 0; j < w->other->n; j++) {
        const double x = s * z[j];
        double d = weighted_shares(w, i, j, x);
        if (is_positive(w, i, j)) d -= here + weight_of(w->other, j) * w->others.share[j];
        along += d * x;
        z[j] = (float)(w->c->factor * s * d);
    }
    w->own.along[i] = along;
}

void kd__gradient_contrast(const kd__sweep *w, int64_t i, float *z, float *t)
{
    (void)t;
    if (w->c->is_masked) gradient_masked(w, i, z);
    else gradient_mean(w, i, z);
}

/* ---- sigmoid ---- */

/* +1, -1; 0: left out */
static int sign_of(const kd__sweep *w, int64_t i, int64_t j)
{
    if (!is_positive(w, i, j)) return -1;
    return !w->c->is_masked || is_own(w, i, j);
}

void kd__measure_sigmoid(const kd__sweep *w, int64_t i, float *z, float *t)
{
    double value = 0;
    (void)t;
    rank_positive(w, i, z);
    for (int64_t j = 0; j < w->other->n; j++) {
        const int sign = sign_of(w, i, j);
        if (sign) value += softplus(-sign * (w->c->scale * z[j] + w->c->bias));
    }
    w->of->values[i] = value;
    w->of->counts[i] = 1;
}

/* The value is a sum over the rows of side 0, whichever side is swept. */
void kd__gradient_sigmoid(const kd__sweep *w, int64_t i, float *z, float *t)
{
    const double s = w->c->scale, weight = w->c->side[0].weight;
    double along = 0, sum = 0;
    (void)t;
    for (int64_t j = 0; j < w->other->n; j++) {
        const int sign = sign_of(w, i, j);
        const double x = s * z[j], d = -weight * sign * sigmoid(-sign * (x + w->c->bias));
        along += d * x;
        sum += d;
        z[j] = (float)(w->c->factor * s * d);
    }
    w->own.along[i] = along;
    w->own.second[i] = sum;
}

/* ---- affinity ---- */

/* log sum_j e^(scale x_j); *apart: the mean under these weights of scale x_j - other y_j. */
static double log_sum(const float *x, int64_t n, double scale, const float *y, double other,
                      double *apart)
{
    float most = x[0];
    double sum = 0, weighted = 0;
    for (int64_t j = 1; j < n; j++)
        if (x[j] > most) most = x[j];
    for (int64_t j = 0; j < n; j++) {
        const double e = exp(scale * ((double)x[j] - most));
        sum += e;
        weighted += e * (scale * x[j] - other * y[j]);
    }
    *apart = weighted / sum;
    return scale * most + log(sum);
}

void kd__measure_affinity(const kd__sweep *w, int64_t i, float *z, float *t)
{
    const kd__two_sided *c = w->c;
    const int64_t m = w->other->n;
    double apart;
    w->own.log_sum[i] = log_sum(z, m, c->scale, t, c->teacher_scale, &apart);
    w->own.second[i] = log_sum(t, m, c->teacher_scale, z, c->scale, &apart);
    /* below 0 by rounding only */
    w->of->values[i] = fmax(0, apart - w->own.second[i] + w->own.log_sum[i]);
    w->of->counts[i] = 1;
    rank_positive(w, i, z);
}

static double affinity_slope(const kd__two_stats *of, int64_t at, double weight, double z, double t)
{
    if (weight == 0) return 0;
    return weight * (exp(z - of->log_sum[at]) - exp(t - of->second[at]));
}

void kd__gradient_affinity(const kd__sweep *w, int64_t i, float *z, float *t)
{
    const double s = w->c->scale, here = weight_of(w->of, i);
    double along = 0;
    for (int64_t j = 0; j < w->other->n; j++) {
        const double x = s * z[j], taught = w->c->teacher_scale * t[j];
        const double d = affinity_slope(&w->own, i, here, x, taught) +
                         affinity_slope(&w->others, j, weight_of(w->other, j), x, taught);
        along += d * x;
        z[j] = (float)(w->c->factor * s * d);
    }
    w->own.along[i] = along;
}
