/* DIST: 1 - Pearson over rows, and over columns of the batch. [Huang et al. 2022, eq. 6-8]
 * With a = q - mean q, b = p - mean p over what is correlated, A, B their lengths and e = 1e-8: rho
 * = a.b / (A B + e),
 *   d rho / d q = b / (A B + e) - (a.b) B a / (A (A B + e)^2).
 * Rows know themselves; columns need sums over the batch first: n, sum q, sum p, sum q^2, sum p^2,
 * sum q p, each (V). The value is R times the paper's: the sum over rows of 1 - rho_r, plus R / V
 * times the sum over columns of 1 - rho_c. */
#include <math.h>
#include <string.h>

#include "base/context.h"
#include "base/numbers.h"
#include "base/thread.h"
#include "core/loss/loss.h"

#define EPSILON 1e-8
#define CHUNK 256

typedef struct {
    kd__pass *w;
    kd__sources *s;
    const kd__term *term;
    float *scratch;
    int64_t n;
} work;

/* `count` logits of a side's row from class `first`; `room` holds those that must be widened. */
static const float *side_row(const work *d, int64_t r, int teacher, int64_t first, int64_t count,
                             float *room)
{
    const char *x = teacher ? d->s->teacher : d->w->z;
    const int32_t dtype = teacher ? d->s->teacher_dtype : d->w->z_dtype;
    const int64_t step = teacher ? d->s->teacher_width : d->w->z_step;
    x += (r * step + first) * (int64_t)kd_dtype_bytes(dtype);
    if (dtype == KD_FLOAT32) return (const float *)(const void *)x;
    d->w->loss->object.context->kernels->widen(dtype, x, count, room);
    return room;
}

static void measure_row(void *argument, int64_t r, int32_t worker)
{
    work *d = argument;
    const kd__kernels *kernels = d->w->loss->object.context->kernels;
    const float inverse_t = (float)(1 / d->term->o.temperature);
    float *e = d->scratch + worker * d->w->stride;
    for (int side = 0; side < 2; side++) {
        const float *x = side_row(d, r, side, 0, d->n, e + d->w->room);
        kd__dist_side *to = &d->s->dist.rows[r].side[side];
        int32_t bad;
        const float max = kernels->scan(x, d->n, &bad);
        const int usable = !bad && max != -INFINITY;
        to->max = max;
        to->sum = usable ? kernels->exponentials(x, d->n, max, inverse_t, e) : NAN;
    }
}

static int is_measured(const kd__sources *s, int64_t r)
{
    const kd__dist_side *side = s->dist.rows[r].side;
    return s->state[r] == KD__ROW_VALID && !isnan(side[0].sum) && !isnan(side[1].sum);
}

/* What a column's rows need: d(R/V (1 - rho)) / dq = x q + y p + constant. Sums are of q - q0 and
 * p - p0. */
static void finish_column(const kd__dist *dist, int64_t v, double share, double rows, double q0,
                          double p0)
{
    const double mean_q = dist->q[v] / rows, mean_p = dist->p[v] / rows;
    const double qq = dist->qq[v] - rows * mean_q * mean_q;
    const double pp = dist->pp[v] - rows * mean_p * mean_p;
    const double qp = dist->qp[v] - rows * mean_q * mean_p;
    const double a = sqrt(qq > 0 ? qq : 0), b = sqrt(pp > 0 ? pp : 0);
    const double length = a * b + EPSILON;
    const double y = -share / length;
    const double x = a > 0 ? share * qp * b / (a * length * length) : 0;
    dist->x[v] = x;
    dist->y[v] = y;
    dist->constant[v] = -x * (mean_q + q0) - y * (mean_p + p0);
    dist->apart[v] = 1 - qp / length;
}

/* A row's probabilities of a chunk of classes. */
static void chunk_of_row(const work *d, int64_t r, int side, int64_t first, int64_t count,
                         float *room, double *to)
{
    const kd__kernels *kernels = d->w->loss->object.context->kernels;
    const kd__dist_side *of = &d->s->dist.rows[r].side[side];
    const float inverse_t = (float)(1 / d->term->o.temperature);
    const float *x = side_row(d, r, side, first, count, room);
    float e[CHUNK];
    kernels->exponentials(x, count, (float)of->max, inverse_t, e);
    for (int64_t i = 0; i < count; i++) to[i] = e[i] / of->sum;
}

/* Sums over the rows of differences from the first row, which keeps what a column near 1 has of
 * digits. */
static void add_chunk(void *argument, int64_t chunk, int32_t worker)
{
    work *d = argument;
    const kd__dist *dist = &d->s->dist;
    const int64_t first = chunk * CHUNK, count = kd__min(d->n - first, CHUNK);
    float room[CHUNK];
    double q[CHUNK], p[CHUNK], q0[CHUNK], p0[CHUNK], rows = 0;
    (void)worker;
    for (int64_t r = 0; r < d->s->rows; r++) {
        if (!is_measured(d->s, r)) continue;
        chunk_of_row(d, r, 0, first, count, room, q);
        chunk_of_row(d, r, 1, first, count, room, p);
        if (rows == 0) {
            memcpy(q0, q, (size_t)count * sizeof *q);
            memcpy(p0, p, (size_t)count * sizeof *p);
        }
        for (int64_t i = 0; i < count; i++) {
            const double a = q[i] - q0[i], b = p[i] - p0[i];
            dist->q[first + i] += a;
            dist->p[first + i] += b;
            dist->qq[first + i] += a * a;
            dist->pp[first + i] += b * b;
            dist->qp[first + i] += a * b;
        }
        rows++;
    }
    for (int64_t i = 0; i < count && rows > 0; i++)
        finish_column(dist, first + i, rows / (double)d->n, rows, q0[i], p0[i]);
}

int64_t kd__dist_room(const kd__sources *s)
{
    return 5 * s->classes + s->rows * (int64_t)(sizeof *s->dist.rows / 8);
}

/* Sums of columns, all zero, then the rows. */
static void lay_out(kd__sources *s, double *at)
{
    const int64_t n = s->classes;
    kd__dist *dist = &s->dist;
    memset(at, 0, (size_t)(5 * n) * sizeof *at);
    dist->q = dist->x = at;
    dist->p = dist->y = at + n;
    dist->qq = dist->constant = at + 2 * n;
    dist->pp = dist->apart = at + 3 * n;
    dist->qp = at + 4 * n;
    dist->rows = (struct kd__dist_row *)(void *)(at + 5 * n);
}

void kd__dist_columns(kd__pass *w, int32_t term, double *room)
{
    kd__sources *s = &w->loss->sources[term];
    kd_context *context = w->loss->object.context;
    work d = {
        .w = w, .s = s, .term = &w->loss->terms[term], .scratch = w->scratch, .n = s->classes
    };
    double total = 0;
    lay_out(s, room);
    kd__parallel(context, s->rows, measure_row, &d);
    kd__parallel(context, kd__ceil_div(d.n, CHUNK), add_chunk, &d);
    for (int64_t i = 0; i < d.n; i++) total += s->dist.apart[i];
    s->dist.share = total / (double)d.n;
}

/* h = q dL/dq, summed up. */
static double row_gradient(const kd__row *row, const kd__side *z, const kd__side *v, double x,
                           double y, double *h)
{
    const kd__dist *dist = &row->sources->dist;
    double total = 0;
    for (int64_t i = 0; i < row->n; i++) {
        const double q = z->e[i] / z->sum, p = v->e[i] / v->sum;
        h[i] = q * ((x + dist->x[i]) * q + (y + dist->y[i]) * p + dist->constant[i]);
        total += h[i];
    }
    return total;
}

void kd__row_dist(kd__row *row)
{
    const double t = row->term->o.temperature, n = (double)row->n;
    const float inverse_t = (float)(1 / t);
    kd__side z, v;
    double qq = 0, pp = 0, qp = 0, *h = row->wide;
    if (!kd__scan_sides(row, &z, &v)) return;
    z.sum = row->kernels->exponentials(z.x, row->n, z.max, inverse_t, z.e);
    v.sum = row->kernels->exponentials(v.x, row->n, v.max, inverse_t, v.e);
    for (int64_t i = 0; i < row->n; i++) {
        const double a = z.e[i] / z.sum - 1 / n, b = v.e[i] / v.sum - 1 / n;
        qq += a * a;
        pp += b * b;
        qp += a * b;
    }
    const double a = sqrt(qq), b = sqrt(pp), length = a * b + EPSILON;
    row->loss = 1 - qp / length + row->sources->dist.share;
    if (!kd__is_finite(row) || !row->dz) return;
    const double x = a > 0 ? qp * b / (a * length * length) : 0;
    const double total = row_gradient(row, &z, &v, x, -1 / length, h);
    for (int64_t i = 0; i < row->n; i++) {
        const double mean = z.e[i] / z.sum * total;
        row->dz[i] = (row->add ? row->dz[i] : 0) + (float)(row->scale / t * (h[i] - mean));
    }
}
