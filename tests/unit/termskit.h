/* Numbers of loss terms for tests that compare with a formula: the library's defaults, what a test
 * changes of them, and a call that gives a term those that its kind has. */
#ifndef UNIT_TERMSKIT_H
#define UNIT_TERMSKIT_H

#include "unit.h"

/* in the order of KD_TERM_LABEL_SMOOTHING .. */
typedef struct term_numbers {
    double label_smoothing, teacher_share, dkd_alpha, dkd_beta, huber_delta, skew, ab_alpha,
        ab_beta;
    double head_mass, progress, confidence_power, log_floor, normalized, detach_mixture;
} term_numbers;
#define TERM_NUMBERS_INIT                                                                          \
    {                                                                                              \
        0, 0.5, 1, 8, 1, 0.1, 0.2, 0.7, 0.5, 0.4, 0, 0, 0, 0                                       \
    }

static inline void set_numbers(kd_loss *loss, int32_t term, const term_numbers *numbers)
{
    const double *values = &numbers->label_smoothing;
    int32_t kind;
    OK(kd_loss_get_term(loss, term, &kind, NULL));
    for (int32_t n = KD_TERM_LABEL_SMOOTHING; n <= KD_TERM_DETACH_MIXTURE; n++) {
        if (kd_loss_bounds(kind, n, NULL, NULL, NULL) != KD_OK) continue;
        OK(kd_loss_set(loss, term, n, values[n - KD_TERM_LABEL_SMOOTHING]));
    }
}

#endif
