/* Terms against labels and numbers; and the element-wise soft ones. */
#include <math.h>

#include "core/loss/loss.h"

static double target(const kd__row *row, int64_t i)
{
    return row->v ? row->v[i] : row->numbers ? row->numbers[i] : (double)row->integers[i];
}

static void put(kd__row *row, int64_t i, double gradient)
{
    if (row->dz) row->dz[i] = (row->add ? row->dz[i] : 0) + (float)(row->scale * gradient);
}

/* Sum of log q over real classes, and their number: smoothing spreads over classes whose logit is
 * not -infinity. */
static double real_classes(const kd__row *row, float max, double log_sum, int64_t *real)
{
    double total = 0;
    *real = 0;
    for (int64_t i = 0; i < row->n; i++) {
        if (row->z[i] == -INFINITY) continue;
        total += (double)row->z[i] - max - log_sum;
        ++*real;
    }
    return total;
}

/* -sum t log q, t = (1 - e) onehot(y) + e / V          dz = q - t */
void kd__row_cross_entropy(kd__row *row)
{
    const double e = row->term->numbers.label_smoothing;
    int32_t bad;
    int64_t real = 1;
    float max = row->kernels->scan(row->z, row->n, &bad), at_label = row->z[row->label];
    if (bad || max == -INFINITY || at_label == -INFINITY) {
        row->state = KD__ROW_NONFINITE;
        return;
    }
    double sum = row->kernels->exponentials(row->z, row->n, max, 1, row->ez), log_sum = log(sum);
    row->loss = -(1 - e) * ((double)at_label - max - log_sum);
    if (e > 0) row->loss -= e * real_classes(row, max, log_sum, &real) / (double)real;
    if (!row->dz) return;
    if (e > 0) { /* before dz is written: it may lie over z */
        float share = (float)(e / (double)real * sum);
        for (int64_t i = 0; i < row->n; i++) row->ez[i] -= row->z[i] == -INFINITY ? 0 : share;
    }
    row->kernels->combine(row->dz, row->ez, (float)(row->scale / sum), NULL, 0, row->n, row->add);
    row->dz[row->label] -= (float)(row->scale * (1 - e));
}

static double sigmoid(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }
static double log_sigmoid(double x) { return x >= 0 ? -log1p(exp(-x)) : x - log1p(exp(x)); }

/* sum -t log s(z) - (1 - t) log s(-z)          dz = s(z) - t */
void kd__row_binary_cross_entropy(kd__row *row)
{
    row->loss = 0;
    for (int64_t i = 0; i < row->n; i++) {
        double z = row->z[i], t = target(row, i);
        if (!(t >= 0 && t <= 1)) row->state = KD__ROW_RANGE;
        row->loss -= t * log_sigmoid(z) + (1 - t) * log_sigmoid(-z);
        put(row, i, sigmoid(z) - t);
    }
}

/* p = s(v/T): sum p (log s(v/T) - log s(z/T)) + (1 - p) (log s(-v/T) - log s(-z/T))
 *     dz = (s(z/T) - p) / T */
void kd__row_binary_kl(kd__row *row)
{
    const double t = row->term->o.temperature;
    row->loss = 0;
    for (int64_t i = 0; i < row->n; i++) {
        double z = row->z[i] / t, v = row->v[i] / t, p = sigmoid(v),
               gap = ((double)row->z[i] - row->v[i]) / t;
        if (fabs(gap) < 1) row->loss += kd__close_binary(p, sigmoid(-v), gap);
        else
            row->loss += p * (log_sigmoid(v) - log_sigmoid(z)) +
                         (1 - p) * (log_sigmoid(-v) - log_sigmoid(-z));
        put(row, i, (sigmoid(z) - p) / t);
    }
}

/* mean (z - t)^2          dz = 2 (z - t) / width */
void kd__row_mean_squared_error(kd__row *row)
{
    row->loss = 0;
    for (int64_t i = 0; i < row->n; i++) {
        double d = row->z[i] - target(row, i);
        row->loss += d * d / (double)row->n;
        put(row, i, 2 * d / (double)row->n);
    }
}

/* mean of d^2/2 where |d| <= delta, else delta (|d| - delta/2)          dz = clamp(d) / width
 *     [Huber 1964] */
void kd__row_huber(kd__row *row)
{
    const double delta = row->term->numbers.huber_delta;
    row->loss = 0;
    for (int64_t i = 0; i < row->n; i++) {
        double d = row->z[i] - target(row, i), size = fabs(d);
        row->loss += (size <= delta ? 0.5 * d * d : delta * (size - 0.5 * delta)) / (double)row->n;
        put(row, i, (size <= delta ? d : d > 0 ? delta : -delta) / (double)row->n);
    }
}
