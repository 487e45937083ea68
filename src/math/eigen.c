/* Eigenvalues and eigenvectors of a symmetric matrix. Legend: a (n, n), q (n, n) with eigenvectors
 * as its rows, d (n) the diagonal, e (n) what stands beside it, e[n - 1] unused. */
#include "math/eigen.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"

#define MOST_STEPS 100 /* for one eigenvalue; two or three are usual */

typedef struct {
    int64_t n;
    double *a, *q, *d, *e, *v, *p;
    /* what is 0 beside the largest number: its square may vanish, and a matrix without its full
     * rank has nothing larger in places */
    double nothing;
} eigen;

static double nothing_of(const double *a, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n * n; i++) most = fmax(most, fabs(a[i]));
    return DBL_EPSILON * DBL_EPSILON * most;
}

static double dot(const double *x, const double *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * y[i];
    return sum;
}

/* ---- to three diagonals: a = q' t q ---- */

/* v (m) of length 1 so that (1 - 2 v v') x = (*beside, 0 .. 0); 0: x has that form already. */
static int reflector(double *v, int64_t m, double nothing, double *beside)
{
    const double length = sqrt(dot(v, v, m)), first = v[0];
    *beside = first > 0 ? -length : length;
    if (length == fabs(first) || length <= nothing) {
        *beside = first;
        return 0;
    }
    v[0] -= *beside;
    const double scale = 1 / sqrt(dot(v, v, m));
    for (int64_t i = 0; i < m; i++) v[i] *= scale;
    return 1;
}

/* a = h a h in the last m rows and columns, h = 1 - 2 v v':  a -= v w' + w v',  p = 2 a v,  w = p -
 * (v'p) v */
static void reflect_both(const eigen *g, int64_t m)
{
    double *corner = g->a + (g->n - m) * (g->n + 1);
    for (int64_t i = 0; i < m; i++) g->p[i] = 2 * dot(corner + i * g->n, g->v, m);
    const double along = dot(g->v, g->p, m);
    for (int64_t i = 0; i < m; i++) g->p[i] -= along * g->v[i];
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < m; j++)
            corner[i * g->n + j] -= g->v[i] * g->p[j] + g->p[i] * g->v[j];
}

/* The last m rows of q: q = h q. */
static void reflect_rows(const eigen *g, int64_t m)
{
    double *rows = g->q + (g->n - m) * g->n;
    memset(g->p, 0, (size_t)g->n * sizeof *g->p);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < g->n; j++) g->p[j] += g->v[i] * rows[i * g->n + j];
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < g->n; j++) rows[i * g->n + j] -= 2 * g->v[i] * g->p[j];
}

static void to_three_diagonals(const eigen *g)
{
    const int64_t n = g->n;
    for (int64_t i = 0; i < n * n; i++) g->q[i] = i % (n + 1) == 0;
    for (int64_t k = 0; k + 1 < n; k++) {
        const int64_t m = n - k - 1;
        for (int64_t i = 0; i < m; i++) g->v[i] = g->a[(k + 1 + i) * n + k];
        if (!reflector(g->v, m, g->nothing, &g->e[k])) continue;
        reflect_both(g, m);
        reflect_rows(g, m);
    }
    for (int64_t i = 0; i < n; i++) g->d[i] = g->a[i * (n + 1)];
}

/* ---- to one ---- */

/* Rows i and i + 1 of q turned by an angle. */
static void turn(const eigen *g, int64_t i, double sine, double cosine)
{
    double *x = g->q + i * g->n, *y = x + g->n;
    for (int64_t k = 0; k < g->n; k++) {
        const double was = y[k];
        y[k] = sine * x[k] + cosine * was;
        x[k] = cosine * x[k] - sine * was;
    }
}

/* The end of the block that begins at l: where what stands beside the diagonal is nothing. */
static int64_t block_end(const eigen *g, int64_t l)
{
    int64_t m = l;
    while (m + 1 < g->n && !(fabs(g->e[m]) <= DBL_EPSILON * (fabs(g->d[m]) + fabs(g->d[m + 1])) ||
                             fabs(g->e[m]) <= g->nothing))
        m++;
    return m;
}

/* A QL step on l .. m with Wilkinson's shift. */
static void step(const eigen *g, int64_t l, int64_t m)
{
    double *d = g->d, *e = g->e, sine = 1, cosine = 1, moved = 0;
    const double half = (d[l + 1] - d[l]) / (2 * e[l]);
    double x = d[m] - d[l] + e[l] / (half + copysign(hypot(half, 1), half));
    for (int64_t i = m - 1; i >= l; i--) {
        const double f = sine * e[i], b = cosine * e[i], r = hypot(f, x);
        e[i + 1] = r;
        if (r == 0) { /* the block falls apart here */
            d[i + 1] -= moved;
            e[m] = 0;
            return;
        }
        sine = f / r;
        cosine = x / r;
        x = d[i + 1] - moved;
        const double s = (d[i] - x) * sine + 2 * cosine * b;
        moved = sine * s;
        d[i + 1] = x + moved;
        x = cosine * s - b;
        turn(g, i, sine, cosine);
    }
    d[l] -= moved;
    e[l] = x;
    e[m] = 0;
}

static kd_status to_one_diagonal(const eigen *g)
{
    for (int64_t l = 0; l < g->n; l++) {
        int64_t m, steps = 0;
        while ((m = block_end(g, l)) != l) {
            KD_FAIL_IF(steps++ == MOST_STEPS, KD_ERR_NONFINITE,
                       "eigenvalues: the matrix of %lld rows is not finite", (long long)g->n);
            step(g, l, m);
        }
    }
    return KD_OK;
}

/* ---- all ---- */

/* From the largest down; equal ones in their order. */
static void sort(const eigen *g)
{
    const size_t row = (size_t)g->n * sizeof *g->q;
    for (int64_t i = 0; i + 1 < g->n; i++) {
        int64_t best = i;
        for (int64_t j = i + 1; j < g->n; j++)
            if (g->d[j] > g->d[best]) best = j;
        if (best == i) continue;
        const double value = g->d[i];
        g->d[i] = g->d[best];
        g->d[best] = value;
        memcpy(g->v, g->q + i * g->n, row);
        memcpy(g->q + i * g->n, g->q + best * g->n, row);
        memcpy(g->q + best * g->n, g->v, row);
    }
}

kd_status kd__eigen_in(double *scratch, double *a, int64_t n, double *values, double *vectors)
{
    const eigen g = {
        n, a, vectors, values, scratch, scratch + n, scratch + 2 * n, nothing_of(a, n)
    };
    KD_FAIL_IF(!isfinite(g.nothing), KD_ERR_NONFINITE, "eigenvalues: a number is not finite");
    to_three_diagonals(&g);
    KD_TRY(to_one_diagonal(&g));
    sort(&g);
    return KD_OK;
}

kd_status kd__eigen(kd_context *context, double *a, int64_t n, double *values, double *vectors)
{
    double *scratch = NULL;
    KD_TRY(KD_NEW(context, &scratch, 3 * n));
    const kd_status status = kd__eigen_in(scratch, a, n, values, vectors);
    kd__release(context, scratch);
    return status;
}
