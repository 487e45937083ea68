/* Angles of relational knowledge distillation: 1/b^3 sum_ijk H_1(psi_ijk - psi^t_ijk), where psi is
 * the cosine of the angle at row i between rows j and k, 0 where a leg has no length.
 *                                                              [Park et al. 2019, eq. 7-9]
 * All from the Gram matrix G of the rows minus the mean row, in double; D_ij^2 is G_ii + G_jj -
 * 2 G_ij, and
 *   psi_ijk = N_ijk / (D_ij D_ik),   N_ijk = G_jk - G_ij - G_ik + G_ii.
 * With h = H_1' / b^3 and dN = h / (D_ij D_ik), the gradient by G is a sum of dN_ijk (e_j - e_i)
 * (e_k - e_i)^T and of -h psi / D_ij^2 (e_j - e_i) (e_j - e_i)^T. Both vanish when all rows move
 * together, so it has the form of a Laplacian, and
 *   dS_j = sum_k w_jk (s_k - s_j),   w_jk = 2 M_jk - 2 (Z_jk + Z_kj),
 *   M_jk = sum_i dN_ijk,   Z_ij = sum_k (dN_ijk - h psi_ijk / D_ij^2).
 * O(b^2 d + b^3) operations. Threads have rows j of M and columns j of Z of their own. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/numbers.h"
#include "core/relation/pairs.h"
#include "nn/ranges.h"

#define CLOSE 1e-6 /* D^2 / (G_ii + G_jj): rows are subtracted instead */
/* D^2 of legs without a length: below float32's normal range, as its gradient would be above. */
#define SHORTEST ((double)FLT_MIN * FLT_MIN)
#define LANES 4 /* sums of a row of angles */

typedef struct {
    int64_t width;
    double *gram;    /* (b, b) G */
    double *inverse; /* (b, b) 1 / D, 0 where D = 0 */
} corner;

typedef struct {
    kd__relation *r;
    int64_t b;
    const float *from;
    double *x; /* (b, width) centered rows of the side at hand: the teacher's, then the student's */
    corner *side;
    corner s, t;
    double *m, *z; /* (b, b) */
} angles;

int64_t kd__angles_room(int64_t b, int64_t ws, int64_t wt)
{
    if (b > 1 << 27) return (int64_t)1 << 58;
    return 2 * (6 * b * b + b * kd__max(ws, wt));
}

/* ---- a side's Gram matrix and distances ---- */

static void center_columns(const kd__kernels *kernels, const void *argument, int64_t first,
                           int64_t end)
{
    const angles *w = argument;
    const int64_t width = w->side->width;
    double mean[KD__COLUMNS] = { 0 };
    (void)kernels;
    for (int64_t i = 0; i < w->b; i++)
        for (int64_t k = first; k < end; k++) mean[k - first] += w->from[i * width + k];
    for (int64_t k = first; k < end; k++) mean[k - first] /= (double)w->b;
    for (int64_t i = 0; i < w->b; i++)
        for (int64_t k = first; k < end; k++)
            w->x[i * width + k] = w->from[i * width + k] - mean[k - first];
}

static double fold(const double *lanes) { return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]); }

static double product_of(const double *x, const double *y, int64_t n)
{
    double sum[LANES] = { 0 };
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES)
        for (int l = 0; l < LANES; l++) sum[l] += x[k + l] * y[k + l];
    for (; k < n; k++) sum[0] += x[k] * y[k];
    return fold(sum);
}

/* The triangle up to the diagonal, and its mirror image. */
static void gram_rows(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const angles *w = argument;
    const int64_t width = w->side->width, b = w->b;
    double *gram = w->side->gram;
    (void)kernels;
    for (int64_t i = first; i < end; i++)
        for (int64_t j = 0; j <= i; j++)
            gram[i * b + j] = gram[j * b + i] =
                product_of(w->x + i * width, w->x + j * width, width);
}

static double squared_distance(const angles *w, int64_t i, int64_t j)
{
    const int64_t width = w->side->width, b = w->b;
    const double *gram = w->side->gram;
    const double sum = gram[i * b + i] + gram[j * b + j];
    double square = sum - 2 * gram[i * b + j];
    if (square >= CLOSE * sum) return square;
    square = 0;
    for (int64_t k = 0; k < width; k++) {
        const double apart = w->x[i * width + k] - w->x[j * width + k];
        square += apart * apart;
    }
    return square;
}

static void inverse_rows(const kd__kernels *kernels, const void *argument, int64_t first,
                         int64_t end)
{
    const angles *w = argument;
    (void)kernels;
    for (int64_t i = first; i < end; i++)
        for (int64_t j = 0; j < w->b; j++) {
            const double square = squared_distance(w, i, j);
            w->side->inverse[i * w->b + j] = square > SHORTEST ? 1 / sqrt(square) : 0;
        }
}

/* 0: all rows are equal. */
static int measure_side(angles *w, const float *from, corner *side)
{
    const kd__rows rows = { w->r->context, w->b };
    w->from = from;
    w->side = side;
    kd__for_columns(rows.context, side->width, center_columns, w);
    kd__for_rows(&rows, gram_rows, w);
    kd__for_rows(&rows, inverse_rows, w);
    for (int64_t i = 0; i < w->b; i++)
        if (side->inverse[i] > 0) return 1;
    return 0;
}

/* ---- the angles ---- */

static kd__leg leg_of(const corner *c, int64_t b, int64_t i, int64_t j)
{
    const double *at_i = c->gram + i * b;
    return (kd__leg){ c->gram + j * b, at_i, c->inverse + i * b, at_i[i] - at_i[j],
                      c->inverse[i * b + j] };
}

/* All angles at i with one leg to j; returns their sum of H_1. */
static double add_angles(const kd__kernels *kernels, const angles *w, int64_t i, int64_t j)
{
    const int64_t b = w->b;
    const kd__leg s = leg_of(&w->s, b, i, j), t = leg_of(&w->t, b, i, j);
    double sums[3];
    kernels->angles(&s, &t, b, w->m + j * b, sums);
    w->z[i * b + j] = sums[1] - sums[2] * s.leg * s.leg;
    return sums[0];
}

/* Legs to rows first .. end - 1: row i of both sides is read once for all of them. */
static void leg_rows(const kd__kernels *kernels, const void *argument, int64_t first, int64_t end)
{
    const angles *w = argument;
    const int64_t b = w->b;
    memset(w->m + first * b, 0, (size_t)((end - first) * b) * sizeof *w->m);
    for (int64_t j = first; j < end; j++) w->r->shares[j] = 0;
    for (int64_t i = 0; i < b; i++)
        for (int64_t j = first; j < end; j++) w->r->shares[j] += add_angles(kernels, w, i, j);
    for (int64_t j = first; j < end; j++) w->r->shares[j] /= (double)b * (double)b;
}

/* ---- the gradient ---- */

static void weights_of(const angles *w, int64_t j, double scale, double *m)
{
    for (int64_t k = 0; k < w->b; k++)
        m[k] = 2 * scale * (m[k] - w->z[j * w->b + k] - w->z[k * w->b + j]);
}

static void gradient_rows(const kd__kernels *kernels, const void *argument, int64_t first,
                          int64_t end)
{
    const angles *w = argument;
    const int64_t b = w->b, width = w->s.width;
    const double scale = w->r->scale / ((double)b * (double)b * (double)b);
    (void)kernels;
    for (int64_t j = first; j < end; j++) {
        double *m = w->m + j * b;
        weights_of(w, j, scale, m);
        for (int64_t at = 0; at < width; at += KD__COLUMNS) {
            const int64_t count = kd__min(width - at, KD__COLUMNS);
            const double *own = w->x + j * width + at;
            double sum[KD__COLUMNS] = { 0 };
            for (int64_t k = 0; k < b; k++) {
                const double *x = w->x + k * width + at;
                for (int64_t c = 0; c < count; c++) sum[c] += m[k] * (x[c] - own[c]);
            }
            for (int64_t c = 0; c < count; c++) w->r->ds[j * width + at + c] = (float)sum[c];
        }
    }
}

static angles lay_out(kd__relation *r)
{
    const int64_t b = r->b, square = b * b;
    double *at = (double *)(void *)r->scratch;
    return (angles){ .r = r,
                     .b = b,
                     .s = { r->ws, at, at + square },
                     .t = { r->wt, at + 2 * square, at + 3 * square },
                     .m = at + 4 * square,
                     .z = at + 5 * square,
                     .x = at + 6 * square };
}

kd_status kd__relation_rkd_angle(kd__relation *r)
{
    const kd__rows rows = { r->context, r->b };
    angles w;
    r->degenerate = r->b < 3;
    if (!r->degenerate) {
        w = lay_out(r);
        r->degenerate = !measure_side(&w, r->t, &w.t) || !measure_side(&w, r->s, &w.s);
    }
    if (r->degenerate) {
        kd__relation_is_degenerate(r);
        return KD_OK;
    }
    kd__for_rows(&rows, leg_rows, &w);
    if (r->ds) kd__for_rows(&rows, gradient_rows, &w);
    return KD_OK;
}
