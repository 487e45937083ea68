/* A sparse record's tail at a temperature between those it was kept at.
 *
 * Legend: b = (the record's temperature) / T; z_i log-probabilities of the record, S its ids. F(b)
 * = log sum_(j outside S) exp(b z_j) is known at the record's own temperature (b = 1), at the
 * further ones, and at b = 0, where it is the log of the number of classes outside. It is the
 * generating function of the tail's cumulants: analytic and convex. So the cubic through the four
 * nearest places is taken, and held between what convexity allows: the chord of the two neighbors
 * from above, the chords beside it, extended, from below. */
#include <math.h>

#include "base/numbers.h"
#include "core/loss/loss.h"

enum { MOST = KD__MAX_TEMPERATURES + 2 };

/* What stands for a mass that is too small to be told from none beside others that are not. */
#define LOWEST (-90.0)

typedef struct {
    int n;
    double b[MOST], f[MOST]; /* b rises */
} places;

static void insert(places *p, double b, double f)
{
    int at = p->n++;
    for (; at > 0 && p->b[at - 1] > b; at--) p->b[at] = p->b[at - 1], p->f[at] = p->f[at - 1];
    p->b[at] = b;
    p->f[at] = f > LOWEST ? f : LOWEST;
}

static double inside(const float *z, int64_t k, double b)
{
    double sum = 0;
    for (int64_t i = 0; i < k; i++) sum += exp(b * z[i]);
    return log(sum);
}

/* The line through places i and j. */
static double line(const places *p, int i, int j, double b)
{
    return p->f[i] + (p->f[j] - p->f[i]) * (b - p->b[i]) / (p->b[j] - p->b[i]);
}

static double cubic(const places *p, int first, int count, double b)
{
    double sum = 0;
    for (int i = first; i < first + count; i++) {
        double weight = 1;
        for (int j = first; j < first + count; j++)
            if (i != j) weight *= (b - p->b[j]) / (p->b[i] - p->b[j]);
        sum += weight * p->f[i];
    }
    return sum;
}

static double between(const places *p, double b)
{
    int at = 0; /* b lies between places at and at + 1 */
    while (at + 2 < p->n && p->b[at + 1] < b) at++;
    int first = at - 1 + 4 > p->n ? p->n - 4 : at - 1;
    if (first < 0) first = 0;
    const double high = line(p, at, at + 1, b),
                 found = cubic(p, first, kd__min(p->n - first, 4), b);
    double low = at > 0 ? line(p, at - 1, at, b) : -INFINITY;
    if (at + 2 < p->n) low = fmax(low, line(p, at + 1, at + 2, b));
    return found > high ? high : found < low ? fmin(low, high) : found;
}

double kd__tail_between(const kd__sparse *s, int64_t r, double temperature, double others)
{
    const float *z = s->values + s->offsets[r];
    const int64_t k = s->offsets[r + 1] - s->offsets[r];
    places p = { 0 };
    if (others <= 0 || s->tail[r] == -INFINITY) return -INFINITY;
    insert(&p, 0, log(others));
    insert(&p, 1, s->tail[r]);
    for (int32_t t = 0; t < s->temperature_count; t++) {
        const double b = s->temperature / s->temperatures[t],
                     share = s->tails[r * s->temperature_count + t];
        if (fabs(b - 1) > 1e-6)
            insert(&p, b, share < 0 ? share - log1p(-exp(share)) + inside(z, k, b) : 0);
    }
    return between(&p, s->temperature / temperature);
}

int kd__tails_reach(const kd__sparse *s, double temperature)
{
    double lowest = s->temperature;
    for (int32_t t = 0; t < s->temperature_count; t++) lowest = fmin(lowest, s->temperatures[t]);
    return s->temperature_count > 0 && temperature >= lowest;
}

int64_t kd__tail_unknown(const kd__sparse *s, int32_t from, int32_t count)
{
    for (int64_t r = 0; r < s->rows; r++) {
        if ((s->present && !s->present[r]) || s->tail[r] == -INFINITY) continue;
        for (int32_t t = from; t < from + count; t++)
            if (s->temperatures[t] > s->temperature &&
                s->tails[r * s->temperature_count + t] == -INFINITY)
                return r;
    }
    return -1;
}
