/* Universal logit distillation: a student and a teacher with another tokenizer, by sorted
 * probabilities. Legend: q (n) student's, p (m)
 * teacher's; h = q dL/dq, dz = (h - q sum h) / T. [Boizard et al. 2024] */
#include <math.h>
#include <string.h>

#include "base/numbers.h"
#include "core/loss/loss.h"

/* Bits that rise with the number, the negative ones below. */
static uint32_t rising(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* Order of numbers, largest first: three passes of eleven bits; equal numbers keep their order. */
static void order(const float *x, int64_t n, uint32_t *to, uint32_t *other)
{
    uint32_t counts[2048], *from = to, *next = other;
    for (int64_t i = 0; i < n; i++) from[i] = (uint32_t)i;
    for (int pass = 0; pass < 3; pass++) {
        memset(counts, 0, sizeof counts);
        for (int64_t i = 0; i < n; i++) counts[2047 - (rising(x[i]) >> 11 * pass & 2047)]++;
        for (uint32_t i = 0, sum = 0; i < 2048; i++) {
            const uint32_t count = counts[i];
            counts[i] = sum;
            sum += count;
        }
        for (int64_t i = 0; i < n; i++)
            next[counts[2047 - (rising(x[from[i]]) >> 11 * pass & 2047)]++] = from[i];
        uint32_t *swap = from;
        from = next;
        next = swap;
    }
    if (from != to) memcpy(to, from, (size_t)n * sizeof *to);
}

static int probabilities(kd__row *row, const float *x, int64_t n, float *to)
{
    int32_t bad;
    const float max = row->kernels->scan(x, n, &bad);
    if (bad || max == -INFINITY) return 0;
    const double sum =
        row->kernels->exponentials(x, n, max, (float)(1 / row->term->o.temperature), to);
    for (int64_t i = 0; i < n; i++) to[i] = (float)(to[i] / sum);
    return 1;
}

/* Scratch of ULD: each of the four arrays of doubles holds two of these. */
enum { OF_Q, OF_P, SPARE_ORDER, SOME_Q, SOME_P };
static void *slot(kd__row *row, int which)
{
    return (uint32_t *)(void *)row->wide + which * row->wide_room;
}

/* sum |sort q - sort p|, the shorter padded with 0; h = q sign(..) through q's order is added
 * at to[ids[i]] (ids NULL: i).
 *                                                                                        [Boizard
 *                                                                                          et
 *                                                                                          al.
 *                                                                                          2024,
 *                                                                                          eq.
 *                                                                                          2] */
static double sorted_difference(kd__row *row, const float *q, int64_t n, const float *p, int64_t m,
                                const uint32_t *ids, float *to)
{
    const int64_t most = kd__max(n, m);
    uint32_t *of_q = slot(row, OF_Q), *of_p = slot(row, OF_P);
    double sum = 0;
    order(q, n, of_q, slot(row, SPARE_ORDER));
    order(p, m, of_p, slot(row, SPARE_ORDER));
    for (int64_t i = 0; i < most; i++) {
        const float a = i < n ? q[of_q[i]] : 0, b = i < m ? p[of_p[i]] : 0;
        sum += fabs((double)a - b);
        if (i < n) to[ids ? ids[of_q[i]] : of_q[i]] += a > b ? a : a < b ? -a : 0;
    }
    return sum;
}

static double exact_log_sum(const float *x, int64_t n, double t)
{
    int64_t best = 0;
    double sum = 0;
    for (int64_t i = 1; i < n; i++) best = x[i] > x[best] ? i : best;
    for (int64_t i = 0; i < n; i++) sum += exp(((double)x[i] - x[best]) / t);
    return x[best] / t + log(sum);
}

/* The same in double, where it is nearly nothing: |a - b| = b |expm1(log a - log b)|. */
static double close_sorted(kd__row *row)
{
    const double t = row->term->o.temperature, log_q = exact_log_sum(row->z, row->n, t),
                 log_p = exact_log_sum(row->v, row->vn, t);
    const int64_t most = kd__max(row->n, row->vn);
    uint32_t *of_q = slot(row, OF_Q), *of_p = slot(row, OF_P);
    double sum = 0;
    /* of probabilities that a float cannot tell apart, too */
    order(row->z, row->n, of_q, slot(row, SPARE_ORDER));
    order(row->v, row->vn, of_p, slot(row, SPARE_ORDER));
    for (int64_t i = 0; i < most; i++) {
        const double lq = i < row->n ? row->z[of_q[i]] / t - log_q : -INFINITY;
        const double lp = i < row->vn ? row->v[of_p[i]] / t - log_p : -INFINITY;
        const double low = lq < lp ? lq : lp, high = lq < lp ? lp : lq;
        if (high > -INFINITY) sum += low == -INFINITY ? exp(high) : exp(low) * expm1(high - low);
    }
    return sum;
}

/* a log(a / b) of two masses. */
static double weigh(double a, double b) { return a > 0 ? a * log(a / b) : 0; }

/* The shared classes S by KL with a bucket: h = -p on S, -q t/s outside (t, s: both sides' mass
 * there). Then the rest, sorted. A student without classes of its own has no bucket: p on S is
 * divided by its sum. */
static double with_shared(kd__row *row, const kd__shared *shared, const float *q, const float *p,
                          float *h)
{
    float *some_q = slot(row, SOME_Q), *some_p = slot(row, SOME_P);
    const uint32_t *only_q = shared->student + shared->pairs,
                   *only_p = shared->teacher + shared->pairs;
    double loss = 0, s = 0, t = 0;
    for (int64_t i = 0; i < shared->only_student; i++) s += some_q[i] = q[only_q[i]];
    for (int64_t i = 0; i < shared->only_teacher; i++) t += some_p[i] = p[only_p[i]];
    const double all = shared->only_student ? 1 : 1 - t;
    for (int64_t i = 0; i < shared->pairs && all > 0; i++) {
        const double a = p[shared->teacher[i]] / all;
        loss += weigh(a, q[shared->student[i]]);
        h[shared->student[i]] = (float)-a;
    }
    if (shared->only_student) loss += weigh(t, s);
    for (int64_t i = 0; i < shared->only_student; i++)
        h[only_q[i]] = s > 0 ? (float)(-some_q[i] * (t / s)) : 0;
    return loss + sorted_difference(row, some_q, shared->only_student, some_p, shared->only_teacher,
                                    only_q, h);
}

/* dz out of h in row->spare and q in row->ez. */
static void write_gradient(kd__row *row)
{
    const float *h = row->spare;
    const double c = row->scale / row->term->o.temperature;
    double total = 0;
    if (!kd__is_finite(row) || !row->dz) return;
    for (int64_t i = 0; i < row->n; i++) total += h[i];
    row->kernels->combine(row->dz, h, (float)c, row->ez, (float)(c * total), row->n, row->add);
}

static double whole(kd__row *row)
{
    const kd__shared *shared = &row->term->shared;
    float *q = row->ez, *p = row->ev, *h = row->spare;
    if (shared->student) return with_shared(row, shared, q, p, h);
    const double sum = sorted_difference(row, q, row->n, p, row->vn, NULL, h);
    return row->v && sum < KD__CLOSE ? close_sorted(row) : sum;
}

static int begin(kd__row *row)
{
    memset(row->spare, 0, (size_t)row->n * sizeof *row->spare);
    if (probabilities(row, row->z, row->n, row->ez)) return 1;
    row->state = KD__ROW_NONFINITE;
    return 0;
}

void kd__row_uld(kd__row *row)
{
    if (!begin(row)) return;
    if (!probabilities(row, row->v, row->vn, row->ev)) {
        row->state = KD__ROW_NONFINITE;
        return;
    }
    row->loss = whole(row);
    write_gradient(row);
}

/* ---- a teacher of which only the k largest are known, and the mass t outside ---- KD_TAIL_BUCKET:
 * the least value that any teacher with this record has. Rank by rank down to k; below, |sum of
 * differences| is at most their sum, so that the student's mass there is compared with the
 * teacher's, which is t, or lies between 0 and t where classes are shared. Too small by at most
 * twice the smaller of both masses; exact when t = 0. */

/* Ranks down to m, then the rest of q against a mass in low .. high. */
static double top_difference(kd__row *row, const float *q, int64_t n, const float *p, int64_t m,
                             double low, double high, const uint32_t *ids, float *to)
{
    uint32_t *of_q = slot(row, OF_Q), *of_p = slot(row, OF_P);
    double sum = 0, rest = 0;
    order(q, n, of_q, slot(row, SPARE_ORDER));
    order(p, m, of_p, slot(row, SPARE_ORDER));
    for (int64_t i = 0; i < m; i++) {
        const float a = i < n ? q[of_q[i]] : 0, b = p[of_p[i]];
        sum += fabs((double)a - b);
        if (i < n) to[ids ? ids[of_q[i]] : of_q[i]] += a > b ? a : a < b ? -a : 0;
    }
    for (int64_t i = m; i < n; i++) rest += q[of_q[i]];
    const float sign = rest > high ? 1.0f : rest < low ? -1.0f : 0.0f;
    for (int64_t i = m; i < n; i++) to[ids ? ids[of_q[i]] : of_q[i]] += sign * q[of_q[i]];
    return sum + (rest > high ? rest - high : rest < low ? low - rest : 0);
}

/* Shared classes of the record by KL. What is outside is the classes that only one side has (the
 * record says u of it) and shared ones that it lacks: t is shared out between them so that the loss
 * is least, in proportion to the student's masses there as far as it goes. */
static double top_with_shared(kd__row *row, const float *q, const float *p, double t, float *h)
{
    const kd__shared *shared = &row->term->shared;
    float *some_q = slot(row, SOME_Q), *some_p = slot(row, SOME_P);
    const uint32_t *only_q = shared->student + shared->pairs,
                   *only_p = shared->teacher + shared->pairs;
    double loss = 0, only = 0, lacking = 0, known = 0, u = 0;
    int64_t m = 0;
    for (int64_t i = 0; i < shared->only_student; i++) only += some_q[i] = q[only_q[i]];
    for (int64_t i = 0; i < shared->only_teacher; i++)
        if (p[only_p[i]] >= 0) u += some_p[m++] = p[only_p[i]];
    for (int64_t i = 0; i < shared->pairs; i++) {
        const double a = p[shared->teacher[i]];
        if (a < 0) lacking += q[shared->student[i]];
        else known += a;
    }
    const double all = shared->only_student ? 1 : known + (lacking > 0 ? t : 0); /* as above */
    for (int64_t i = 0; i < shared->pairs && all > 0; i++) {
        const double a = p[shared->teacher[i]] / all;
        if (a < 0) continue;
        loss += weigh(a, q[shared->student[i]]);
        h[shared->student[i]] = (float)-a;
    }
    const double tail = all > 0 ? t / all : 0;
    const double even = only + lacking > 0 ? (u + t) * (only / (only + lacking)) - u : t,
                 part = even > t   ? t
                        : even > 0 ? even
                                   : 0;
    if (shared->only_student) loss += weigh(u + part, only) + weigh(t - part, lacking);
    else if (lacking > 0) loss += weigh(tail, lacking);
    for (int64_t i = 0; i < shared->only_student; i++)
        h[only_q[i]] = only > 0 ? (float)(-some_q[i] * ((u + part) / only)) : 0;
    for (int64_t i = 0; i < shared->pairs; i++)
        if (p[shared->teacher[i]] < 0 && lacking > 0)
            h[shared->student[i]] = (float)(-q[shared->student[i]] * ((tail - part) / lacking));
    return loss + top_difference(row, some_q, shared->only_student, some_p, m, 0, t, only_q, h);
}

/* p with `others` in place of what the record lacks. */
static void fill(kd__row *row, int64_t k, const uint32_t *ids, const double *log_p, float others)
{
    for (int64_t i = 0; i < row->vn; i++) row->ev[i] = others;
    for (int64_t i = 0; i < k; i++) row->ev[ids[i]] = (float)exp(log_p[i]);
}

void kd__row_uld_sparse(kd__row *row, int64_t k, const uint32_t *ids, const double *log_p,
                        double log_tail)
{
    const int32_t tail = row->term->o.tail;
    const double t = exp(log_tail),
                 spread = tail == KD_TAIL_UNIFORM && row->vn > k ? t / (double)(row->vn - k) : 0;
    fill(row, k, ids, log_p, tail == KD_TAIL_BUCKET ? -1 : (float)spread);
    if (!begin(row)) return;
    if (tail == KD_TAIL_RENORM_TEACHER)
        for (int64_t i = 0; i < k; i++) row->ev[ids[i]] = (float)(row->ev[ids[i]] / (1 - t));
    if (tail != KD_TAIL_BUCKET) row->loss = whole(row);
    else if (row->term->shared.student)
        row->loss = top_with_shared(row, row->ez, row->ev, t, row->spare);
    else {
        float *p = slot(row, SOME_P);
        for (int64_t i = 0; i < k; i++) p[i] = row->ev[ids[i]];
        row->loss = top_difference(row, row->ez, row->n, p, k, t, t, NULL, row->spare);
    }
    write_gradient(row);
}
