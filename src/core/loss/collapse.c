/* A student whose features all point one way, where the teacher's do not, has found the cheapest
 * way to a small loss: a term that compares lengths of one side with directions of the other leads
 * there. A few rows of each training call are looked at, and one warning says so. Nothing of the
 * result depends on it. */
#include <math.h>

#include "base/context.h"
#include "base/log.h"
#include "base/numbers.h"
#include "core/loss/features.h"

enum { MOST_ROWS = KD__WATCHED_ROWS, LEAST_ROWS = KD__WATCHED_LEAST, CALLS = 32 };
#define COLLAPSED 0.98 /* mean cosine of two rows of the student */
#define APART 0.9      /* of the teacher, below it */

/* The mean cosine of two different rows: (|sum u|^2 - n) / (n (n - 1)) of unit rows u; NaN of too
 * few rows. */
static double mean_cosine(const float *x, int64_t rows, int64_t width, const kd__kernels *kernels)
{
    double inverse[MOST_ROWS], square = 0, n = 0;
    for (int64_t r = 0; r < rows; r++) {
        const double size = sqrt(kernels->sum_squares(x + r * width, width));
        inverse[r] = size > 0 ? 1 / size : 0;
        n += size > 0;
    }
    for (int64_t k = 0; k < width; k++) {
        double sum = 0;
        for (int64_t r = 0; r < rows; r++) sum += inverse[r] * x[r * width + k];
        square += sum * sum;
    }
    return n < LEAST_ROWS ? NAN : (square - n) / (n * (n - 1));
}

void kd__watch_collapse(kd_loss *loss, int32_t t, int is_training, int64_t rows,
                        const float *student, int64_t student_width, const float *teacher,
                        int64_t teacher_width)
{
    kd_context *context = loss->object.context;
    kd__collapse *c = &loss->terms[t].collapse;
    if (c->told && !loss->diagnostics) return;
    rows = kd__min(rows, MOST_ROWS);
    c->student = mean_cosine(student, rows, student_width, context->kernels);
    c->teacher = mean_cosine(teacher, rows, teacher_width, context->kernels);
    if (c->told || !is_training) return;
    const int collapsed = c->student > COLLAPSED && c->teacher < APART;
    c->in_a_row = collapsed ? c->in_a_row + 1 : 0;
    if (c->in_a_row < CALLS) return;
    c->told = 1;
    kd__log(context, KD_LOG_WARNING,
            "%s (term %d): the student's rows of '%s' all point one way: their mean cosine is "
            "%.3f, the teacher's %.3f, in each of %d calls. Is one side normalized and the other "
            "not (the number normalize)?",
            kd__kind_of(loss->terms[t].kind)->name, t, loss->terms[t].o.student_output, c->student,
            c->teacher, CALLS);
}

/* 1 - sum |t - s|^2 / sum |t - mean t|^2; NaN of too few rows, and where all teacher's are one. */
void kd__watch_explained(kd_loss *loss, int32_t t, int64_t rows, const float *student,
                         const float *teacher, int64_t width)
{
    double error = 0, variance = 0;
    rows = kd__min(rows, MOST_ROWS);
    for (int64_t k = 0; k < width; k++) {
        double sum = 0, squares = 0;
        for (int64_t r = k; r < rows * width; r += width) {
            const double difference = (double)teacher[r] - student[r];
            error += difference * difference;
            sum += teacher[r];
            squares += (double)teacher[r] * teacher[r];
        }
        variance += squares - (rows ? sum * sum / (double)rows : 0);
    }
    const int known = rows >= LEAST_ROWS && variance > 0;
    loss->terms[t].collapse.explained = known ? 1 - error / variance : NAN;
}
