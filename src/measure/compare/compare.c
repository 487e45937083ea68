/* Are two models different on the same questions? */
#include <kdistill/compare.h>

#include <math.h>

#include "base/memory.h"
#include "base/numbers.h"
#include "base/measure.h"
#include "math/random.h"

double kd_compare_recovery(double student, double baseline, double teacher)
{
    return teacher == baseline ? NAN : (student - baseline) / (teacher - baseline);
}

static kd_status check_verdicts(const int32_t *right, int64_t count, const char *name)
{
    for (int64_t i = 0; i < count; i++)
        KD_FAIL_IF(right[i] != 0 && right[i] != 1, KD_ERR_RANGE,
                   "%s[%lld]: expected 0 or 1, got %d", name, (long long)i, right[i]);
    return KD_OK;
}

/* log of the binomial distribution with p = 1/2 */
static double log_half(int64_t n, int64_t k)
{
    return lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1) -
           (double)n * log(2);
}

/* Of n questions on which they differ, k go to the one that has fewer: twice the probability of k
 * or fewer. */
static double sign_test(int64_t n, int64_t k)
{
    double sum = 0;
    for (int64_t i = 0; i <= k; i++) sum += exp(log_half(n, i));
    return fmin(1, 2 * sum);
}

kd_status kd_compare_mcnemar(const int32_t *a, const int32_t *b, int64_t questions,
                             kd_difference *difference)
{
    kd_difference d = { 0 };
    int64_t right_a = 0, right_b = 0;
    KD_NEED(a);
    KD_NEED(b);
    KD_NEED(difference);
    KD_FAIL_IF(questions < 1, KD_ERR_RANGE, "questions: expected at least 1, got %lld",
               (long long)questions);
    KD_TRY(check_verdicts(a, questions, "a"));
    KD_TRY(check_verdicts(b, questions, "b"));
    for (int64_t q = 0; q < questions; q++) {
        right_a += a[q];
        right_b += b[q];
        d.only_a += a[q] && !b[q];
        d.only_b += b[q] && !a[q];
    }
    const double n = (double)questions, x = (double)d.only_a, y = (double)d.only_b;
    d.a = (double)right_a / n;
    d.b = (double)right_b / n;
    d.difference = d.b - d.a;
    d.standard_error = sqrt(fmax(0, x + y - (y - x) * (y - x) / n)) / n;
    d.low = d.difference - 1.959964 * d.standard_error;
    d.high = d.difference + 1.959964 * d.standard_error;
    d.p_value = sign_test(d.only_a + d.only_b, kd__min(d.only_a, d.only_b));
    return kd__info_write(difference, &d, sizeof d, "kd_difference");
}

/* ---- bootstrap ---- */

/* Right answers of b less those of a, (seeds, questions). */
static void differences(double *of, const int32_t *a, const int32_t *b, int32_t seeds,
                        int64_t questions, int32_t samples, kd_difference *d)
{
    const int64_t cells = seeds * questions;
    double sum_a = 0, sum_b = 0;
    for (int64_t i = 0; i < cells; i++) {
        int64_t x = 0, y = 0;
        for (int32_t s = 0; s < samples; s++) {
            x += a[i * samples + s];
            y += b[i * samples + s];
        }
        of[i] = (double)(y - x) / samples;
        sum_a += (double)x / samples;
        sum_b += (double)y / samples;
        d->only_a += x > y;
        d->only_b += y > x;
    }
    d->a = sum_a / (double)cells;
    d->b = sum_b / (double)cells;
    d->difference = d->b - d->a;
}

static double resample(const double *of, int32_t seeds, int64_t questions, uint64_t stream)
{
    double sum = 0;
    uint64_t at = 0;
    for (int32_t s = 0; s < seeds; s++) {
        const double *row =
            of + (seeds > 1 ? (int64_t)kd__below(stream, at++, (uint64_t)seeds) : 0) * questions;
        for (int64_t q = 0; q < questions; q++)
            sum += row[kd__below(stream, at++, (uint64_t)questions)];
    }
    return sum / ((double)seeds * (double)questions);
}

static void summarize(double *means, int32_t n, kd_difference *d)
{
    double mean = 0, variance = 0;
    int64_t below = 0, above = 0;
    for (int32_t i = 0; i < n; i++) {
        mean += means[i] / n;
        below += means[i] <= 0;
        above += means[i] >= 0;
    }
    for (int32_t i = 0; i < n; i++) variance += (means[i] - mean) * (means[i] - mean) / (n - 1);
    kd__sort_doubles(means, n);
    d->standard_error = sqrt(variance);
    d->low = means[(int64_t)(0.025 * (n - 1))];
    d->high = means[(int64_t)ceil(0.975 * (n - 1))];
    const double other = 2.0 * (double)(d->difference >= 0 ? below : above) / n;
    d->p_value = fmin(1, fmax(other, 1.0 / n));
}

kd_status kd_compare_bootstrap(kd_context *context, const int32_t *a, const int32_t *b,
                               int32_t seeds, int64_t questions, int32_t samples, int32_t resamples,
                               uint64_t seed, kd_difference *difference)
{
    kd_difference d = { 0 };
    double *of = NULL, *means = NULL;
    KD_NEED(context);
    KD_NEED(a);
    KD_NEED(b);
    KD_NEED(difference);
    KD_FAIL_IF(seeds < 1 || questions < 1 || samples < 1, KD_ERR_RANGE,
               "expected at least 1 seed, question and sample, got %d, %lld and %d", seeds,
               (long long)questions, samples);
    KD_FAIL_IF(
        questions > UINT32_MAX || seeds > 1 << 20 || samples > 1 << 20, KD_ERR_RANGE,
        "expected at most 2^32 questions, 2^20 seeds and 2^20 samples, got %lld, %lld and %lld",
        (long long)questions, (long long)seeds, (long long)samples);
    KD_FAIL_IF(resamples < 2, KD_ERR_RANGE, "resamples: expected at least 2, got %d", resamples);
    int64_t cells;
    KD_TRY(kd__multiply((int64_t)seeds * samples, questions, &cells));
    KD_TRY(check_verdicts(a, cells, "a"));
    KD_TRY(check_verdicts(b, cells, "b"));
    kd_status status = KD_NEW(context, &of, seeds * questions);
    if (status == KD_OK) status = KD_NEW(context, &means, resamples);
    if (status == KD_OK) {
        differences(of, a, b, seeds, questions, samples, &d);
        for (int32_t i = 0; i < resamples; i++)
            means[i] = resample(of, seeds, questions, kd__stream(seed, (uint64_t)i, 0x626f6f74));
        summarize(means, resamples, &d);
    }
    kd__release(context, of);
    kd__release(context, means);
    return status == KD_OK ? kd__info_write(difference, &d, sizeof d, "kd_difference") : status;
}
