/* pass@k, majority votes and their kin over many answers. */
#include <kdistill/verify.h>
#include <math.h>

#include "base/status.h"

/* 1 - C(n - c, k) / C(n, k) as a product, which neither overflows nor cancels. */
static double unbiased(int32_t n, int64_t c, int32_t k)
{
    double missed = 1;
    if (n - c < k) return 1;
    for (int64_t i = n - c + 1; i <= n; i++) missed *= 1 - (double)k / (double)i;
    return 1 - missed;
}

kd_status kd_verify_pass_at_k(const int32_t *right, int64_t questions, int32_t samples, int32_t k,
                              kd_pass_at_k *pass)
{
    kd_pass_at_k now = { .samples = samples, .questions = questions };
    double squares = 0, within = 0;
    KD_NEED(right);
    KD_NEED(pass);
    KD_FAIL_IF(questions < 1 || samples < 1, KD_ERR_RANGE,
               "pass rates: expected at least 1 question and 1 sample, got %lld and %d",
               (long long)questions, samples);
    KD_FAIL_IF(k < 1 || k > samples, KD_ERR_RANGE, "k: expected 1 to %d (samples), got %d", samples,
               k);
    /* the mean first: squares of differences do not cancel */
    for (int pass_over = 0; pass_over < 2; pass_over++)
        for (int64_t q = 0; q < questions; q++) {
            int64_t count = 0;
            for (int32_t s = 0; s < samples; s++) {
                const int32_t verdict = right[q * samples + s];
                KD_FAIL_IF(verdict != 0 && verdict != 1, KD_ERR_RANGE,
                           "question %lld, sample %d: expected 0 or 1, got %d", (long long)q, s,
                           verdict);
                count += verdict;
            }
            const double p = (double)count / samples;
            if (!pass_over) {
                now.pass_1 += p / (double)questions;
                now.pass_k += unbiased(samples, count, k) / (double)questions;
                within += p * (1 - p);
            } else squares += (p - now.pass_1) * (p - now.pass_1);
        }
    if (questions > 1)
        now.standard_error = sqrt(squares / (double)(questions - 1) / (double)questions);
    if (samples > 1) now.within_error = sqrt(within / (samples - 1)) / (double)questions;
    return kd__info_write(pass, &now, sizeof now, "kd_pass_at_k");
}

kd_status kd_verify_majority(const char *const *texts, int32_t count,
                             const kd_verify_options *options, int32_t *winner, int32_t *votes)
{
    int32_t best = 0, most = 0;
    KD_NEED(texts);
    KD_NEED(winner);
    KD_NEED(votes);
    KD_FAIL_IF(count < 1, KD_ERR_RANGE, "majority: expected at least 1 text, got %d", count);
    for (int32_t i = 0; i < count; i++) {
        int32_t same = 0, right;
        KD_NEED(texts[i]);
        for (int32_t j = 0; j < count; j++) {
            KD_TRY(kd_verify_answer(texts[j], texts[i], options, &right, NULL));
            same += right;
        }
        if (same > most) {
            most = same;
            best = i;
        }
    }
    *winner = best;
    *votes = most;
    return KD_OK;
}
