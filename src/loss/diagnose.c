/* What a call saw, term by term: means over valid rows. Runs before the gradients, which may overwrite the logits. */
#include <math.h>
#include <string.h>

#include "loss/loss.h"

/* Entropy of softmax(x / T): log S - sum e a / S. */
static double entropy(const kd__kernels *kernels, const float *x, int64_t n, double temperature, float *e, int *finite)
{
    int32_t bad;
    float max = kernels->scan(x, n, &bad);
    *finite = !bad && max > -INFINITY;
    if (!*finite) return 0;
    double sum = kernels->exponentials(x, n, max, (float)(1 / temperature), e), weighted = 0;
    for (int64_t i = 0; i < n; i++)
        if (e[i] > 0) weighted += e[i] * (((double)x[i] - max) / temperature);
    return log(sum) - weighted / sum;
}

typedef struct {
    double rows, labelled, agreement, log_likelihood, hits, teacher_entropy, student_entropy;
} tally;

static void look_at_row(const kd_loss *loss, const kd__term *term, const kd__sources *s, const kd__student *student, int64_t r, tally *t)
{
    const kd__kernels *kernels = loss->object.context->kernels;
    const float *z = student->z + r * student->z_step, *v = s->teacher ? s->teacher + r * s->teacher_width : NULL;
    float *e = loss->scratch;
    int finite;
    double student_entropy = entropy(kernels, z, s->classes, term->o.temperature, e, &finite);
    if (!finite) return;
    double teacher_entropy = v ? entropy(kernels, v, s->classes, term->o.temperature, e, &finite) : 0;
    if (!finite) return;
    t->rows++;
    t->student_entropy += student_entropy;
    if (!v) return;
    int64_t best = kernels->argmax(v, s->classes);
    t->teacher_entropy += teacher_entropy;
    t->agreement += kernels->argmax(z, s->classes) == best;
    if (!s->labels) return;
    double sum = kernels->exponentials(v, s->classes, v[best], 1, e);
    t->labelled++;
    t->log_likelihood += (double)v[s->row_label[r]] - v[best] - log(sum);
    t->hits += best == s->row_label[r];
}

static double mean(double sum, double count) { return count > 0 ? sum / count : NAN; }

/* Labels, where the batch has them, tell about the teacher also in terms that do not need them. */
static void borrow_labels(kd_loss *loss, int32_t t)
{
    kd__sources *s = &loss->sources[t];
    for (int32_t other = 0; other < loss->count && !s->labels; other++) {
        const kd__sources *from = &loss->sources[other];
        if (!from->labels || from->classes != s->classes || loss->terms[other].o.align != loss->terms[t].o.align) continue;
        int usable = 1;
        for (int64_t r = 0; r < s->rows && usable; r++) usable = s->state[r] != KD__ROW_VALID || from->state[r] == KD__ROW_VALID;
        if (!usable) continue;
        s->labels = from->labels;
        memcpy(s->row_label, from->row_label, (size_t)s->rows * sizeof *s->row_label);
    }
}

kd_status kd__loss_diagnose(kd_loss *loss, const kd__student *students, int32_t count)
{
    for (int32_t i = 0; i < loss->count; i++) {
        const kd__term *term = &loss->terms[i];
        kd__sources *s = &loss->sources[i];
        const int64_t *own = s->labels;
        tally t = { 0 };
        kd_loss_diagnostics seen = { .struct_size = sizeof seen, .captured_mass = s->teacher ? 1 : NAN, .student_mass = s->teacher ? 1 : NAN };
        if (s->teacher) borrow_labels(loss, i);
        for (int64_t r = 0; r < s->rows; r++) {
            if (s->state[r] == KD__ROW_MASKED) seen.masked++;
            else look_at_row(loss, term, s, kd__find_student(students, count, term->o.student_output), r, &t);
        }
        s->labels = own;
        seen.teacher_log_likelihood = mean(t.log_likelihood, t.labelled);
        seen.teacher_accuracy = mean(t.hits, t.labelled);
        seen.agreement = s->teacher ? mean(t.agreement, t.rows) : NAN;
        seen.teacher_entropy = s->teacher ? mean(t.teacher_entropy, t.rows) : NAN;
        seen.student_entropy = mean(t.student_entropy, t.rows);
        loss->terms[i].seen = seen;
    }
    return KD_OK;
}
