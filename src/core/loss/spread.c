/* How the rows of a term's sides spread, for diagnostics: effective rank, uniformity, and the gap
 * between two sides. Legend: u, w rows of both sides at length 1; n, m how many; d numbers each.
 * Sums are in double and in the rows' order: the same bits everywhere. */
#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "core/loss/features.h"
#include "math/eigen.h"

enum { MOST_ROWS = KD__WATCHED_ROWS, LEAST_ROWS = KD__WATCHED_LEAST };

static double dot(const float *x, const float *y, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) sum += (double)x[k] * y[k];
    return sum;
}

/* x (rows, d)  ->  g (rows, rows) = x x' */
static void products(const float *x, int64_t rows, int64_t width, double *g)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j <= i; j++)
            g[i * rows + j] = g[j * rows + i] = dot(x + i * width, x + j * width, width);
}

/* exp(-sum p_k log p_k), p = sigma / sum sigma, sigma^2 the eigenvalues (rows) of x x'. */
static double rank_of(const double *eigenvalues, int64_t rows)
{
    double sum = 0, entropy = 0;
    for (int64_t k = 0; k < rows; k++) sum += sqrt(fmax(eigenvalues[k], 0));
    for (int64_t k = 0; k < rows; k++) {
        const double p = sqrt(fmax(eigenvalues[k], 0)) / sum;
        if (p > 0) entropy -= p * log(p);
    }
    return sum > 0 ? exp(entropy) : NAN;
}

kd_status kd__effective_rank(kd_loss *loss, int64_t rows, const float *x, int64_t width,
                             double *rank)
{
    const int64_t n = kd__min(rows, MOST_ROWS);
    *rank = NAN;
    if (n < LEAST_ROWS) return KD_OK;
    KD_TRY(KD_RESERVE(loss->object.context, &loss->spread, &loss->spread_room, 2 * n * n + 4 * n));
    double *g = loss->spread, *vectors = g + n * n, *values = vectors + n * n;
    products(x, n, width, g);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(g[i * (n + 1)])) return KD_OK;
    KD_TRY(kd__eigen_in(values + n, g, n, values, vectors));
    *rank = rank_of(values, n);
    return KD_OK;
}

/* ---- two sides ---- */

/* log of the mean over i < j of exp(-2 |u_i - u_j|^2) */
static double uniformity(const double *g, int64_t n)
{
    double sum = 0;
    if (n < LEAST_ROWS) return NAN;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            const double cosine = g[i * n + j] / sqrt(g[i * n + i] * g[j * n + j]);
            sum += exp(-4 * (1 - cosine));
        }
    return log(sum / (0.5 * (double)n * (double)(n - 1)));
}

/* mean (d) += sign / rows sum u */
static void add_mean(const kd__watched *w, double sign, double *mean)
{
    for (int64_t i = 0; i < w->rows; i++) {
        const float *x = w->x + i * w->width;
        const double size = sqrt(dot(x, x, w->width));
        const double each = size > 0 ? sign / (size * (double)w->rows) : 0;
        for (int64_t k = 0; k < w->width; k++) mean[k] += each * x[k];
    }
}

static double length(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) sum += x[k] * x[k];
    return sqrt(sum);
}

kd_status kd__watch_two_sides(kd_loss *loss, int32_t t, const kd__watched side[2])
{
    kd__collapse *c = &loss->terms[t].collapse;
    const int64_t width = side[0].width;
    double even[2];
    KD_TRY(kd__effective_rank(loss, side[0].rows, side[0].x, width, &c->student_rank));
    KD_TRY(kd__effective_rank(loss, side[1].rows, side[1].x, width, &c->teacher_rank));
    KD_TRY(KD_RESERVE(loss->object.context, &loss->spread, &loss->spread_room,
                      kd__max(width, MOST_ROWS * MOST_ROWS)));
    for (int i = 0; i < 2; i++) {
        const int64_t n = kd__min(side[i].rows, MOST_ROWS);
        products(side[i].x, n, width, loss->spread);
        even[i] = uniformity(loss->spread, n);
    }
    c->uniformity = (even[0] + even[1]) / 2;
    memset(loss->spread, 0, (size_t)width * sizeof *loss->spread);
    for (int i = 0; i < 2; i++) add_mean(&side[i], i ? -1 : 1, loss->spread);
    c->gap = side[0].rows && side[1].rows ? length(loss->spread, width) : NAN;
    return KD_OK;
}
