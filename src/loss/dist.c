/* DIST: 1 - Pearson over rows, and over columns of the batch.                                              [Huang et al. 2022, eq. 6-8]
 * With a = q - mean q, b = p - mean p over what is correlated, A, B their lengths and e = 1e-8: rho = a.b / (A B + e),
 *   d rho / d q = b / (A B + e) - (a.b) B a / (A (A B + e)^2).
 * Rows know themselves; columns need sums over the batch first: n, sum q, sum p, sum q^2, sum p^2, sum q p, each (V).
 * The value is R times the paper's: the sum over rows of 1 - rho_r, plus R / V times the sum over columns of 1 - rho_c.             */
#include <math.h>
#include <string.h>

#include "base/thread.h"
#include "loss/loss.h"

#define EPSILON 1e-8
#define CHUNK 256

typedef struct {
    kd__pass *w;
    kd__sources *s;
    const kd__term *term;
    double *rows;    /* (R, 4): max and sum of both sides */
    double *columns; /* (5, V): sums; then x, y, constant, 1 - rho */
    float *scratch;
    int64_t n, bad;
} work;

/* `count` logits of a side's row from class `first`; `room` holds those that must be widened. */
static const float *side_row(const work *d, int64_t r, int teacher, int64_t first, int64_t count, float *room)
{
    const char *x = teacher ? d->s->teacher : d->w->z;
    const int32_t dtype = teacher ? d->s->teacher_dtype : d->w->z_dtype;
    const int64_t step = teacher ? d->s->teacher_width : d->w->z_step;
    x += (r * step + first) * (int64_t)kd_dtype_size(dtype);
    if (dtype == KD_FLOAT32) return (const float *)(const void *)x;
    d->w->loss->object.context->kernels->widen(dtype, x, count, room);
    return room;
}

static void measure_row(void *argument, int64_t r, int32_t worker)
{
    work *d = argument;
    const kd__kernels *kernels = d->w->loss->object.context->kernels;
    for (int side = 0; side < 2; side++) {
        float *e = d->scratch + worker * d->w->stride;
        const float *x = side_row(d, r, side, 0, d->n, e + d->w->room);
        double *to = d->rows + 4 * r + 2 * side;
        int32_t bad;
        const float max = kernels->scan(x, d->n, &bad);
        to[0] = max;
        to[1] = bad || max == -INFINITY ? NAN : kernels->exponentials(x, d->n, max, (float)(1 / d->term->o.temperature), e);
    }
}

/* What a column's rows need: d(R/V (1 - rho)) / dq = x q + y p + constant; c[3 n] is 1 - rho. Sums are of q - q0 and p - p0. */
static void finish_column(double *c, int64_t n, double rows, double q0, double p0)
{
    const double mean_q = c[0] / rows, mean_p = c[n] / rows;
    const double qq = c[2 * n] - rows * mean_q * mean_q, pp = c[3 * n] - rows * mean_p * mean_p, qp = c[4 * n] - rows * mean_q * mean_p;
    const double a = sqrt(qq > 0 ? qq : 0), b = sqrt(pp > 0 ? pp : 0), length = a * b + EPSILON, share = rows / (double)n;
    const double y = -share / length, x = a > 0 ? share * qp * b / (a * length * length) : 0;
    c[0] = x;
    c[n] = y;
    c[2 * n] = -x * (mean_q + q0) - y * (mean_p + p0);
    c[3 * n] = 1 - qp / length;
}

/* Sums over the rows of differences from the first row, which keeps what a column near 1 has of digits. */
static void add_chunk(void *argument, int64_t chunk, int32_t worker)
{
    work *d = argument;
    const kd__kernels *kernels = d->w->loss->object.context->kernels;
    const int64_t first = chunk * CHUNK, count = d->n - first < CHUNK ? d->n - first : CHUNK;
    const float inverse_t = (float)(1 / d->term->o.temperature);
    float q[CHUNK], p[CHUNK], room[CHUNK];
    double q0[CHUNK], p0[CHUNK], rows = 0;
    (void)worker;
    for (int64_t r = 0; r < d->s->rows; r++) {
        const double *row = d->rows + 4 * r;
        if (d->s->state[r] != KD__ROW_VALID || isnan(row[1]) || isnan(row[3])) continue;
        kernels->exponentials(side_row(d, r, 0, first, count, room), count, (float)row[0], inverse_t, q);
        kernels->exponentials(side_row(d, r, 1, first, count, room), count, (float)row[2], inverse_t, p);
        for (int64_t i = 0; i < count && rows == 0; i++) q0[i] = q[i] / row[1], p0[i] = p[i] / row[3];
        for (int64_t i = 0; i < count; i++) {
            const double a = q[i] / row[1] - q0[i], b = p[i] / row[3] - p0[i];
            double *c = d->columns + first + i;
            c[0] += a, c[d->n] += b, c[2 * d->n] += a * a, c[3 * d->n] += b * b, c[4 * d->n] += a * b;
        }
        rows++;
    }
    for (int64_t i = 0; i < count && rows > 0; i++) finish_column(d->columns + first + i, d->n, rows, q0[i], p0[i]);
}

kd_status kd__dist_columns(kd__pass *w, int32_t term)
{
    kd__sources *s = &w->loss->sources[term];
    kd_context *context = w->loss->object.context;
    work d = { .w = w, .s = s, .term = &w->loss->terms[term], .scratch = w->scratch, .n = s->classes };
    double total = 0;
    KD_TRY(KD_RESERVE(context, &w->loss->columns, &w->loss->columns_room, 5 * d.n + 5 * s->rows));
    d.columns = w->loss->columns;
    d.rows = d.columns + 5 * d.n;
    memset(d.columns, 0, (size_t)(5 * d.n) * sizeof *d.columns);
    kd__parallel(context, s->rows, measure_row, &d);
    kd__parallel(context, (d.n + CHUNK - 1) / CHUNK, add_chunk, &d);
    for (int64_t i = 0; i < d.n; i++) total += d.columns[3 * d.n + i];
    s->columns = d.columns;
    d.rows[4 * s->rows] = total / (double)d.n; /* each row's share of R / V sum (1 - rho) */
    return KD_OK;
}

void kd__row_dist(kd__row *row)
{
    const double t = row->term->o.temperature, n = (double)row->n, *c = row->sources->columns;
    kd__side z, v;
    double qq = 0, pp = 0, qp = 0, total = 0, *h = row->wide;
    if (!kd__scan_sides(row, &z, &v)) return;
    z.sum = row->kernels->exponentials(z.x, row->n, z.max, (float)(1 / t), z.e);
    v.sum = row->kernels->exponentials(v.x, row->n, v.max, (float)(1 / t), v.e);
    for (int64_t i = 0; i < row->n; i++) {
        const double a = z.e[i] / z.sum - 1 / n, b = v.e[i] / v.sum - 1 / n;
        qq += a * a, pp += b * b, qp += a * b;
    }
    const double a = sqrt(qq), b = sqrt(pp), length = a * b + EPSILON;
    row->loss = 1 - qp / length + c[5 * row->n + 4 * row->sources->rows];
    if (!kd__is_finite(row) || !row->dz) return;
    const double y = -1 / length, x = a > 0 ? qp * b / (a * length * length) : 0;
    for (int64_t i = 0; i < row->n; i++) {
        const double q = z.e[i] / z.sum, p = v.e[i] / v.sum;
        h[i] = q * ((x + c[i]) * q + (y + c[row->n + i]) * p + c[2 * row->n + i]);
        total += h[i];
    }
    for (int64_t i = 0; i < row->n; i++) row->dz[i] = (row->add ? row->dz[i] : 0) + (float)(row->scale / t * (h[i] - z.e[i] / z.sum * total));
}
