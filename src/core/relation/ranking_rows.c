/* Two sides: a row of the terms that rank a query's candidates. Legend in two_sided.h; x_j = s z_j,
 * y_j = teacher_scale t_j of the candidates j of anchor i, c their number. */
#include <math.h>

#include "core/relation/two_sided.h"

static int is_candidate(const kd__sweep *w, int64_t i, int64_t j)
{
    return w->of->group[i] == w->other->group[j];
}

static double student_score(const kd__sweep *w, const float *z, int64_t j)
{
    return w->c->scale * z[j];
}

/* Of candidate j of side 1. */
static double teacher_score(const kd__sweep *w, int64_t j)
{
    return w->c->teacher_scale * w->c->side[1].taught[j];
}

static int64_t count_candidates(const kd__sweep *w, int64_t i)
{
    int64_t count = 0;
    for (int64_t j = 0; j < w->other->n; j++) count += is_candidate(w, i, j);
    return count;
}

/* The student's place, from 1, for the candidate that the teacher puts first. */
static void rank_favorite(const kd__sweep *w, int64_t i, const float *z)
{
    int64_t best = -1, rank = 1;
    if (!w->of->ranks) return;
    for (int64_t j = 0; j < w->other->n; j++)
        if (is_candidate(w, i, j) && (best < 0 || teacher_score(w, j) > teacher_score(w, best)))
            best = j;
    for (int64_t j = 0; j < w->other->n; j++) rank += is_candidate(w, i, j) && z[j] > z[best];
    w->of->ranks[i] = rank;
}

/* ---- margins: with e = x - y, sum_(j<k) (e_j - e_k)^2 = c sum_j (e_j - mean e)^2 ---- */

static double gap(const kd__sweep *w, const float *z, int64_t j)
{
    return student_score(w, z, j) - teacher_score(w, j);
}

void kd__measure_margin(const kd__sweep *w, int64_t i, float *z, float *t)
{
    const int64_t count = count_candidates(w, i);
    double sum = 0, squares = 0;
    (void)t;
    if (count < 2) return;
    for (int64_t j = 0; j < w->other->n; j++)
        if (is_candidate(w, i, j)) sum += gap(w, z, j);
    const double mean = sum / (double)count;
    for (int64_t j = 0; j < w->other->n; j++) {
        if (!is_candidate(w, i, j)) continue;
        const double apart = gap(w, z, j) - mean;
        squares += apart * apart;
    }
    w->own.log_sum[i] = mean;
    w->own.second[i] = 4 / (double)(count - 1);
    w->of->values[i] = 2 * squares / (double)(count - 1);
    w->of->counts[i] = 1;
    rank_favorite(w, i, z);
}

/* ---- lists ---- */

/* log sum_j e^x_j over the candidates: of the student's scores z, or the teacher's */
static double log_sum_of(const kd__sweep *w, int64_t i, const float *z)
{
    double most = -INFINITY, sum = 0;
    for (int64_t j = 0; j < w->other->n; j++) {
        if (!is_candidate(w, i, j)) continue;
        most = fmax(most, z ? student_score(w, z, j) : teacher_score(w, j));
    }
    for (int64_t j = 0; j < w->other->n; j++) {
        if (!is_candidate(w, i, j)) continue;
        sum += exp((z ? student_score(w, z, j) : teacher_score(w, j)) - most);
    }
    return most + log(sum);
}

void kd__measure_list(const kd__sweep *w, int64_t i, float *z, float *t)
{
    double value = 0;
    (void)t;
    if (count_candidates(w, i) < 2) return;
    const double student = log_sum_of(w, i, z), teacher = log_sum_of(w, i, NULL);
    for (int64_t j = 0; j < w->other->n; j++) {
        if (!is_candidate(w, i, j)) continue;
        const double log_p = teacher_score(w, j) - teacher;
        const double log_q = student_score(w, z, j) - student;
        value += exp(log_p) * (log_p - log_q);
    }
    w->own.log_sum[i] = student;
    w->own.second[i] = teacher;
    w->of->values[i] = isfinite(value) ? fmax(0, value) : value; /* below 0 by rounding only */
    w->of->counts[i] = 1;
    rank_favorite(w, i, z);
}

/* ---- gradients: the value is a sum over the anchors, whichever side is swept ---- */

typedef double slope(const kd__two_stats *of, int64_t anchor, double x, double y);

static double margin_slope(const kd__two_stats *of, int64_t anchor, double x, double y)
{
    return of->second[anchor] * (x - y - of->log_sum[anchor]);
}

static double list_slope(const kd__two_stats *of, int64_t anchor, double x, double y)
{
    return exp(x - of->log_sum[anchor]) - exp(y - of->second[anchor]);
}

static void push_scores(const kd__sweep *w, int64_t i, float *z, slope *slope_of)
{
    const int of_anchors = w->of == &w->c->side[0];
    const kd__two_side *anchors = &w->c->side[0];
    const kd__two_stats *stats = of_anchors ? &w->own : &w->others;
    double along = 0;
    for (int64_t j = 0; j < w->other->n; j++) {
        const int64_t anchor = of_anchors ? i : j, candidate = of_anchors ? j : i;
        const double x = student_score(w, z, j);
        double d = 0;
        if (is_candidate(w, i, j) && anchors->counts[anchor])
            d = anchors->weight * slope_of(stats, anchor, x, teacher_score(w, candidate));
        along += d * x;
        z[j] = (float)(w->c->factor * w->c->scale * d);
    }
    w->own.along[i] = along;
}

void kd__gradient_margin(const kd__sweep *w, int64_t i, float *z, float *t)
{
    (void)t;
    push_scores(w, i, z, margin_slope);
}

void kd__gradient_list(const kd__sweep *w, int64_t i, float *z, float *t)
{
    (void)t;
    push_scores(w, i, z, list_slope);
}
