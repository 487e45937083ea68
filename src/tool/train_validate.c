/* What a model does on the texts or samples that are held out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tool/say.h"
#include "tool/train.h"

int32_t train_metric_is_better(const train_run *run)
{
    const int32_t metric = run->recipe.validation.metric;
    return metric == METRIC_ACCURACY || metric == METRIC_AGREEMENT ? KD_BETTER_HIGHER
                                                                   : KD_BETTER_LOWER;
}

double train_metric(const train_run *run, const train_found *found)
{
    switch (run->recipe.validation.metric) {
    case METRIC_CROSS_ENTROPY: return found->cross_entropy;
    case METRIC_ACCURACY: return found->accuracy;
    case METRIC_AGREEMENT: return found->agreement;
    default: return found->loss;
    }
}

/* Sums over batches. */
typedef struct {
    double sum[KD_LOSS_MAX_TERMS], rows[KD_LOSS_MAX_TERMS];
    double label_sum, label_rows, agreed, compared;
} sums;

/* The teacher of the texts held out; NULL: nobody answers for them. */
static kd_teacher *teacher_of_held(const train_run *run)
{
    if (run->held_teacher) return run->held_teacher;
    if (run->recipe.teacher.arrays && run->recipe.validation.share <= 0) return NULL;
    return run->teacher;
}

static int needs_teacher(const train_run *run) { return run->recipe.has_teacher; }

static kd_status add_terms(train_run *run, kd_batch *batch, kd_targets *targets, sums *s)
{
    kd_loss_result result = { .struct_size = sizeof result };
    kd_status status = kd_loss_forward(run->loss, run->student, batch, targets, NULL, &result);
    for (int32_t i = 0; i < result.terms && status == KD_OK; i++) {
        kd_loss_diagnostics d = { .struct_size = sizeof d };
        s->sum[i] += result.sum[i];
        s->rows[i] += (double)result.rows[i];
        if (kd_loss_get_diagnostics(run->loss, i, &d) < 0 || !isfinite(d.agreement) ||
            s->compared < 0)
            continue;
        s->agreed += d.agreement * (double)d.rows;
        s->compared += (double)d.rows;
    }
    return status;
}

static kd_status add_labels(train_run *run, kd_model *model, kd_batch *batch, sums *s)
{
    kd_loss_result result = { .struct_size = sizeof result };
    if (!run->labels) return KD_OK;
    const kd_status status = kd_loss_forward(run->labels, model, batch, NULL, NULL, &result);
    s->label_sum += result.sum[0];
    s->label_rows += (double)result.rows[0];
    return status;
}

/* Is there another batch of this pass? */
static kd_status next_held(train_run *run, kd_batch *batch, int64_t *seen, int *more)
{
    kd_status status = KD_OK;
    int64_t samples = 0;
    *more = *seen < run->held.texts;
    if (!*more) return KD_OK;
    status = source_next(&run->held, batch);
    if (status == KD_OK) status = kd_batch_get_counts(batch, &samples, NULL);
    *seen += samples;
    return status;
}

static kd_status go_through(train_run *run, kd_model *model, kd_batch *batch, kd_targets *targets,
                            sums *s)
{
    kd_teacher *teacher = model == run->student ? teacher_of_held(run) : NULL;
    const int with_terms = model == run->student && (teacher || !needs_teacher(run));
    int64_t seen = 0;
    int more = 1;
    kd_status status = source_rewind(&run->held);
    while (status == KD_OK) {
        status = next_held(run, batch, &seen, &more);
        if (status != KD_OK || !more) break;
        if (teacher) status = kd_teacher_read(teacher, batch, targets);
        if (status == KD_OK) status = kd_model_forward(model, batch, KD_MODE_EVALUATE);
        if (status == KD_OK && with_terms)
            status = add_terms(run, batch, teacher ? targets : NULL, s);
        if (status == KD_OK) status = add_labels(run, model, batch, s);
    }
    return status;
}

/* The share of samples whose largest logit is the label's; NaN where there are no labels. */
static kd_status measure_accuracy(train_run *run, kd_model *model, double *accuracy)
{
    kd_output_info info = { .struct_size = sizeof info };
    kd_metric metric = { .struct_size = sizeof metric };
    kd_metrics *metrics = NULL;
    kd_array labels;
    *accuracy = NAN;
    if (!run->held.dataset || !run->labels) return KD_OK;
    if (kd_model_get_output_info(model, "logits", &info) < 0 || info.width < 2) return KD_OK;
    float *values = take((size_t)(run->held.texts * info.width) * sizeof *values);
    const kd_array logits = KD_ARRAY_2D(values, KD_FLOAT32, run->held.texts, info.width);
    kd_status status = kd_dataset_field(run->held.dataset, "label", &labels, NULL);
    if (status == KD_OK)
        status = kd_model_predict(model, run->held.dataset, "logits",
                                  (int32_t)run->recipe.batch.samples, &logits);
    if (status == KD_OK) status = kd_metrics_create(&metrics, run->context, info.width, NULL);
    if (status == KD_OK) status = kd_metrics_add(metrics, &logits, &labels, NULL);
    if (status == KD_OK) status = kd_metrics_get(metrics, KD_METRIC_ACCURACY, &metric);
    if (status == KD_OK) *accuracy = metric.value;
    kd_metrics_free(metrics);
    free(values);
    return status;
}

/* The recipe's loss with its last numbers, so that all reports compare the same. */
static double weigh(const train_run *run, const sums *s)
{
    double loss = 0, rows = 0;
    for (int32_t i = 0; i < run->recipe.term_count; i++)
        for (int32_t k = 0; k < run->terms_of[i]; k++) {
            const int32_t term = run->first_term[i] + k;
            double weight = 0;
            if (kd_loss_get(run->loss, term, KD_TERM_WEIGHT, &weight) < 0 || s->rows[term] <= 0)
                continue;
            loss += weight * s->sum[term] / s->rows[term];
            rows += s->rows[term];
        }
    return rows > 0 ? loss : NAN;
}

static int measure(train_run *run, kd_model *model, train_found *found)
{
    static sums s;
    kd_batch *batch = NULL;
    kd_targets *targets = NULL;
    memset(&s, 0, sizeof s);
    kd_status status = kd_batch_create(&batch, run->context, NULL);
    if (status == KD_OK) status = kd_targets_create(&targets, run->context, NULL);
    if (status == KD_OK) status = train_set_numbers(run, run->steps - 1);
    if (status == KD_OK) status = kd_loss_set_diagnostics(run->loss, 1);
    if (status == KD_OK) status = go_through(run, model, batch, targets, &s);
    if (status == KD_OK) status = kd_loss_set_diagnostics(run->loss, 0);
    found->loss = weigh(run, &s);
    found->cross_entropy = s.label_rows > 0 ? s.label_sum / s.label_rows : NAN;
    found->agreement = s.compared > 0 ? s.agreed / s.compared : NAN;
    if (status == KD_OK) status = measure_accuracy(run, model, &found->accuracy);
    kd_targets_free(targets);
    kd_batch_free(batch);
    return status < 0 ? say_library() : EXIT_DONE;
}

int train_validate(train_run *run, train_found *found)
{
    PART(measure(run, run->student, found));
    const double metric = train_metric(run, found);
    if (isfinite(metric)) return EXIT_DONE;
    return say(EXIT_FAILED,
               "validation.metric: expected one that the held-out data tells, got %g; "
               "take \"loss\" or \"cross_entropy\"",
               metric);
}

int train_judge_teacher(train_run *run, train_found *found)
{
    kd_output_info info = { .struct_size = sizeof info };
    *found = (train_found){ NAN, NAN, NAN, NAN };
    if (run->teacher_count != 1 || !run->labels ||
        kd_model_get_output_info(run->teachers[0], "logits", &info) < 0)
        return EXIT_DONE;
    if (kd_model_keep(run->teachers[0], "logits", 1) < 0) return EXIT_DONE;
    return measure(run, run->teachers[0], found);
}
