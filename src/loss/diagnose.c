/* What a call saw, term by term: means over the rows that were summed. */
#include <math.h>
#include <string.h>

#include "loss/loss.h"

static double mean(double sum, double count) { return count > 0 ? sum / count : NAN; }

static void average(const kd_loss *loss, int32_t t, const kd_loss_result *made, kd_loss_diagnostics *seen)
{
    const kd__sources *s = &loss->sources[t];
    const int teacher = kd__kind_of(loss->terms[t].kind)->teacher;
    double sums[KD__SEEN_COUNT] = { 0 }, n = (double)made->rows[t];
    for (int64_t r = 0; r < s->rows; r++) {
        seen->masked += s->state[r] == KD__ROW_MASKED;
        if (s->state[r] != KD__ROW_VALID) continue;
        for (int i = 0; i < KD__SEEN_COUNT; i++) sums[i] += s->seen[r * KD__SEEN_COUNT + i];
        seen->guards += s->guards[r];
        seen->corrected += s->corrected[r];
        if (s->sparse) seen->borrowed += s->sparse->borrowed[r];
    }
    seen->teacher_log_likelihood = mean(sums[KD__SEEN_LIKELIHOOD], sums[KD__SEEN_LABELLED]);
    seen->teacher_accuracy = mean(sums[KD__SEEN_HIT], sums[KD__SEEN_LABELLED]);
    seen->agreement = teacher ? mean(sums[KD__SEEN_AGREEMENT], n) : NAN;
    seen->teacher_entropy = teacher ? mean(sums[KD__SEEN_TEACHER_ENTROPY], n) : NAN;
    seen->student_entropy = mean(sums[KD__SEEN_STUDENT_ENTROPY], n);
    seen->captured_mass = teacher ? mean(sums[KD__SEEN_MASS], n) : NAN;
    seen->student_mass = teacher ? mean(sums[KD__SEEN_STUDENT_MASS], n) : NAN;
    seen->tail_loss = s->sparse ? mean(sums[KD__SEEN_TAIL], n) : 0;
    seen->head_loss = mean(made->sum[t], n) - (n > 0 ? seen->tail_loss : 0);
    seen->confidence = teacher ? mean(sums[KD__SEEN_CONFIDENCE], n) : NAN;
}

void kd__loss_diagnose(kd_loss *loss, const kd_loss_result *made)
{
    for (int32_t t = 0; t < loss->count && loss->diagnostics; t++) {
        kd_loss_diagnostics seen = { .struct_size = sizeof seen, .rows = made->rows[t], .skipped = made->skipped[t] };
        average(loss, t, made, &seen);
        loss->terms[t].seen = seen;
    }
}
