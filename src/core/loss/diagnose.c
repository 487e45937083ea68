/* What a call saw, term by term: means over the rows that were summed. */
#include <math.h>
#include <string.h>

#include "core/loss/features.h"

static double mean(double sum, double count) { return count > 0 ? sum / count : NAN; }

/* Sums over the rows that count, and counts over all of them. */
static void add_rows(const kd__sources *s, double sums[KD__SEEN_COUNT], kd_loss_diagnostics *seen)
{
    for (int64_t r = 0; r < s->rows; r++) {
        seen->masked += s->state[r] == KD__ROW_MASKED;
        if (s->state[r] != KD__ROW_VALID) continue;
        for (int i = 0; i < KD__SEEN_COUNT; i++) sums[i] += s->seen[r * KD__SEEN_COUNT + i];
        seen->guards += s->guards[r];
        seen->corrected += s->corrected[r];
        if (s->sparse) seen->borrowed += s->sparse->borrowed[r];
    }
}

/* What rows that were looked at said of the teacher's data. */
static void take_watch(const kd__watch *w, kd_loss_diagnostics *seen)
{
    seen->sampled = w->rows;
    seen->sampled_log_likelihood = mean(w->likelihood, (double)w->rows);
    seen->sampled_entropy = mean(w->entropy, (double)w->rows);
    seen->suspect = w->odd;
}

static void average(const kd_loss *loss, int32_t t, const kd_loss_result *made,
                    kd_loss_diagnostics *seen)
{
    const kd__sources *s = &loss->sources[t];
    const double n = (double)made->rows[t];
    double sums[KD__SEEN_COUNT] = { 0 };
    add_rows(s, sums, seen);
    const int feature = kd__is_feature(&loss->terms[t]);
    /* of a teacher's distribution: NaN where the term has none */
    const double taught = kd__kind_of(loss->terms[t].kind)->teacher_field && !feature ? n : 0;
    const double labeled = sums[KD__SEEN_LABELED];
    seen->teacher_log_likelihood = mean(sums[KD__SEEN_LIKELIHOOD], labeled);
    seen->teacher_accuracy = mean(sums[KD__SEEN_HIT], labeled);
    seen->agreement = mean(sums[KD__SEEN_AGREEMENT], taught);
    seen->teacher_entropy = mean(sums[KD__SEEN_TEACHER_ENTROPY], taught);
    seen->student_entropy = mean(sums[KD__SEEN_STUDENT_ENTROPY], feature ? 0 : n);
    seen->captured_mass = mean(sums[KD__SEEN_MASS], taught);
    seen->student_mass = mean(sums[KD__SEEN_STUDENT_MASS], taught);
    seen->confidence = mean(sums[KD__SEEN_CONFIDENCE], taught);
    seen->tail_loss = s->sparse ? mean(sums[KD__SEEN_TAIL], n) : 0;
    seen->head_loss = mean(made->sum[t], n) - (n > 0 ? seen->tail_loss : 0);
    take_watch(&loss->terms[t].watch, seen);
    seen->student_norm = mean(sums[KD__SEEN_STUDENT_NORM], feature ? n : 0);
    seen->teacher_norm = mean(sums[KD__SEEN_TEACHER_NORM], feature ? n : 0);
    seen->cosine = mean(sums[KD__SEEN_COSINE], feature ? n : 0);
    seen->degenerate = loss->terms[t].degenerate;
    const kd__collapse *c = &loss->terms[t].collapse;
    seen->student_pair_cosine = n > 0 ? c->student : NAN;
    seen->teacher_pair_cosine = n > 0 ? c->teacher : NAN;
    seen->explained = n > 0 ? c->explained : NAN;
    seen->student_effective_rank = n > 0 ? c->student_rank : NAN;
    seen->teacher_effective_rank = n > 0 ? c->teacher_rank : NAN;
    seen->uniformity = n > 0 ? c->uniformity : NAN;
    seen->modality_gap = n > 0 ? c->gap : NAN;
    const double ranked = sums[KD__SEEN_RANKED];
    const int sided = kd__kind_of(loss->terms[t].kind)->sided;
    seen->in_batch_accuracy = mean(sums[KD__SEEN_FIRST], sided ? ranked : 0);
    seen->positive_rank = mean(sums[KD__SEEN_RANK], sided ? ranked : 0);
    seen->alignment = mean(sums[KD__SEEN_APART], sided ? sums[KD__SEEN_POSITIVES] : 0);
    seen->scale = sided ? loss->terms[t].pairs.last_scale : NAN;
}

void kd__loss_diagnose(kd_loss *loss, const kd_loss_result *made)
{
    for (int32_t t = 0; t < loss->count && loss->diagnostics; t++) {
        if (!kd__term_runs(loss, t)) continue;
        kd_loss_diagnostics seen = { .struct_size = sizeof seen,
                                     .rows = made->rows[t],
                                     .skipped = made->skipped[t] };
        average(loss, t, made, &seen);
        loss->terms[t].seen = seen;
    }
}
