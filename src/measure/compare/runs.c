/* Are two ways of training different, judged from several runs of each on the same questions?
 *
 * Seeds and questions are crossed: every run answers all questions. With d (S, Q) the difference of
 * a cell, mean m:
 *   MS_seeds     = Q sum_s (d_s. - m)^2 / (S - 1)
 *   MS_questions = S sum_q (d_.q - m)^2 / (Q - 1)
 *   MS_rest      = sum_sq (d_sq - d_s. - d_.q + m)^2 / ((S - 1)(Q - 1))
 *   variance of m = (MS_seeds + MS_questions - MS_rest) / (S Q)
 * with at least what seeds alone and questions alone give, and Satterthwaite's degrees of freedom
 * for Student's t. */
#include <kdistill/compare.h>

#include <math.h>

#include "base/memory.h"
#include "base/numbers.h"

/* ---- Student's t ---- */

/* The continued fraction of the incomplete beta function, by Lentz's method. [Abramowitz and Stegun
 * 26.5.8] */
static double beta_fraction(double a, double b, double x)
{
    double c = 1, d = 1 / (1 - (a + b) * x / (a + 1)), value = d;
    for (int m = 1; m < 1000; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / (1 + even * d);
        c = 1 + even / c;
        value *= c * d;
        d = 1 / (1 + odd * d);
        c = 1 + odd / c;
        value *= c * d;
        if (fabs(c * d - 1) < 1e-14) break;
    }
    return value;
}

static double incomplete_beta(double a, double b, double x)
{
    if (x <= 0 || x >= 1) return x >= 1;
    const double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* The probability of a value at least as far from 0 as t. */
static double two_sided(double t, double freedom)
{
    return isinf(t) ? 0 : incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t));
}

/* The t that a share of 5 % lies beyond, on both sides together: 12.706 for 1 degree of freedom,
 * 1.96 for many. */
static double critical(double freedom)
{
    double low = 1.9, high = 13;
    for (int i = 0; i < 60; i++) {
        const double middle = (low + high) / 2;
        if (two_sided(middle, freedom) > 0.05) low = middle;
        else high = middle;
    }
    return high;
}

/* ---- the analysis of variance ---- */

typedef struct {
    int32_t seeds;
    int64_t questions;
    double *cells;       /* (seeds, questions)  */
    double *of_question; /* (questions): means over seeds */
} grid;

static double right_share(const int32_t *right, int32_t samples)
{
    int64_t sum = 0;
    for (int32_t k = 0; k < samples; k++) sum += right[k];
    return (double)sum / samples;
}

static void fill(grid *g, const int32_t *a, const int32_t *b, int32_t samples, kd_difference *d)
{
    const int64_t cells = g->seeds * g->questions;
    for (int64_t i = 0; i < cells; i++) {
        const double x = a ? right_share(a + i * samples, samples) : 0,
                     y = right_share(b + i * samples, samples);
        g->cells[i] = y - x;
        g->of_question[i % g->questions] += y - x;
        d->a += x;
        d->b += y;
        d->only_a += x > y;
        d->only_b += y > x;
    }
    for (int64_t q = 0; q < g->questions; q++) g->of_question[q] /= g->seeds;
    d->a /= (double)cells;
    d->b /= (double)cells;
    d->difference = d->b - d->a;
}

static double of_seed(const grid *g, int32_t seed)
{
    double sum = 0;
    for (int64_t q = 0; q < g->questions; q++) sum += g->cells[seed * g->questions + q];
    return sum / (double)g->questions;
}

typedef struct {
    double seeds, questions, rest;
} mean_squares;

static mean_squares analyse(const grid *g, double mean)
{
    const double s = g->seeds, n = (double)g->questions;
    mean_squares m = { 0 };
    for (int64_t q = 0; q < g->questions; q++)
        m.questions += s * (g->of_question[q] - mean) * (g->of_question[q] - mean) / (n - 1);
    for (int32_t i = 0; i < g->seeds && g->seeds > 1; i++) {
        const double of_this = of_seed(g, i);
        m.seeds += n * (of_this - mean) * (of_this - mean) / (s - 1);
        for (int64_t q = 0; q < g->questions; q++) {
            const double rest = g->cells[i * g->questions + q] - of_this - g->of_question[q] + mean;
            m.rest += rest * rest / ((s - 1) * (n - 1));
        }
    }
    return m;
}

static void judge(const grid *g, kd_difference *d)
{
    const double s = g->seeds, n = (double)g->questions;
    const mean_squares m = analyse(g, d->difference);
    const double sum = fmax(fmax(m.seeds, m.questions), m.seeds + m.questions - m.rest);
    double weights = m.questions * m.questions / (n - 1);
    if (g->seeds > 1)
        weights += m.seeds * m.seeds / (s - 1) + m.rest * m.rest / ((s - 1) * (n - 1));
    const double freedom = weights > 0 ? fmax(1, sum * sum / weights) : 1;
    d->standard_error = sqrt(sum / (s * n));
    d->low = d->difference - critical(freedom) * d->standard_error;
    d->high = d->difference + critical(freedom) * d->standard_error;
    d->p_value = d->difference == 0 ? 1 : two_sided(d->difference / d->standard_error, freedom);
    if (g->seeds == 1) d->p_value = NAN;
}

/* ---- the call ---- */

static kd_status check_counts(int32_t seeds, int64_t questions, int32_t samples)
{
    KD_FAIL_IF(seeds < 1 || questions < 2 || samples < 1, KD_ERR_RANGE,
               "expected at least 1 seed, 2 questions and 1 sample, got %d, %lld and %d", seeds,
               (long long)questions, samples);
    return KD_OK;
}

static kd_status check_verdicts(const int32_t *right, int64_t count, const char *name)
{
    for (int64_t i = 0; right && i < count; i++)
        KD_FAIL_IF(right[i] != 0 && right[i] != 1, KD_ERR_RANGE,
                   "%s[%lld]: expected 0 or 1, got %d", name, (long long)i, right[i]);
    return KD_OK;
}

kd_status kd_compare_runs(kd_context *context, const int32_t *a, const int32_t *b, int32_t seeds,
                          int64_t questions, int32_t samples, kd_difference *difference)
{
    kd_difference d = { 0 };
    grid g = { .seeds = seeds, .questions = questions };
    int64_t cells, verdicts;
    KD_NEED(context);
    KD_NEED(b);
    KD_NEED(difference);
    KD_TRY(check_counts(seeds, questions, samples));
    KD_TRY(kd__multiply(seeds, questions, &cells));
    KD_TRY(kd__multiply(cells, samples, &verdicts));
    KD_TRY(check_verdicts(a, verdicts, "a"));
    KD_TRY(check_verdicts(b, verdicts, "b"));
    kd_status status = KD_NEW(context, &g.cells, cells);
    if (status == KD_OK) status = KD_NEW(context, &g.of_question, questions);
    if (status == KD_OK) {
        fill(&g, a, b, samples, &d);
        judge(&g, &d);
    }
    kd__release(context, g.of_question);
    kd__release(context, g.cells);
    return status == KD_OK ? kd__info_write(difference, &d, sizeof d, "kd_difference") : status;
}
