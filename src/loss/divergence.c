/* Divergences of n classes from log-probabilities, in double: sparse teachers (the ids and a bucket), and the kinds that have no kernel
 * of their own. Each returns its value and writes h = q dL/dq; then dL/dz = (h - q sum h) / T. Constants in dL/dq that cancel there
 * are left out. A class with p = 0 or q = 0 contributes by its limit, chosen by a branch.                                        */
#include <math.h>

#include "loss/loss.h"

typedef struct {
    const kd_term_options *o;
    int64_t n, tail;
    const double *lp, *lq;
    double *h, *tail_part;
    int32_t *guards;
} problem;

static double log_add(double a, double b)
{
    const double high = a > b ? a : b, low = a > b ? b : a;
    return low == -INFINITY ? high : high + log1p(exp(low - high));
}

/* x (a - b) with x = e^lx; 0 where x is 0 */
static double weigh(double lx, double a, double b) { return lx == -INFINITY ? 0 : exp(lx) * (a - b); }

static double add(const problem *p, double *sum, int64_t i, double value)
{
    *sum += value;
    if (i == p->tail && p->tail_part) *p->tail_part = value;
    return value;
}

static double forward(const problem *p)
{
    double sum = 0;
    for (int64_t i = 0; i < p->n; i++) {
        add(p, &sum, i, weigh(p->lp[i], p->lp[i], p->lq[i]));
        p->h[i] = p->lp[i] == -INFINITY ? 0 : -exp(p->lp[i]);
    }
    return sum;
}

static double reverse(const problem *p)
{
    const double floor = p->o->log_floor < 0 ? p->o->log_floor : -INFINITY;
    double sum = 0;
    for (int64_t i = 0; i < p->n; i++) {
        double lp = p->lp[i];
        if (lp < floor && p->lq[i] > -INFINITY) {
            lp = floor;
            ++*p->guards;
        }
        p->h[i] = add(p, &sum, i, weigh(p->lq[i], p->lq[i], lp));
    }
    return sum;
}

static double jensen(const problem *p)
{
    const double b = p->o->teacher_share, lb = log(b), lc = log1p(-b), factor = p->o->normalised ? 1 / (b * (1 - b)) : 1;
    double sum = 0;
    if (p->o->normalised && b == 0) return forward(p);
    if (p->o->normalised && b == 1) return reverse(p);
    for (int64_t i = 0; i < p->n; i++) {
        const double lm = log_add(lb + p->lp[i], lc + p->lq[i]), own = (1 - b) * weigh(p->lq[i], p->lq[i], lm);
        add(p, &sum, i, factor * (b * weigh(p->lp[i], p->lp[i], lm) + own));
        p->h[i] = factor * own;
    }
    return sum;
}

static double skewed_forward(const problem *p)
{
    const double a = p->o->skew, la = log(a), lc = log1p(-a);
    double sum = 0;
    for (int64_t i = 0; i < p->n; i++) {
        const double lm = log_add(la + p->lp[i], lc + p->lq[i]);
        add(p, &sum, i, weigh(p->lp[i], p->lp[i], lm));
        p->h[i] = p->lp[i] == -INFINITY || p->lq[i] == -INFINITY ? 0 : -(1 - a) * exp(p->lp[i] + p->lq[i] - lm);
    }
    return sum;
}

static double skewed_reverse(const problem *p)
{
    const double a = p->o->skew, la = log(a), lc = log1p(-a);
    double sum = 0;
    for (int64_t i = 0; i < p->n; i++) {
        const double lm = log_add(la + p->lq[i], lc + p->lp[i]);
        p->h[i] = add(p, &sum, i, weigh(p->lq[i], p->lq[i], lm));
        if (!p->o->detach_mixture && p->lq[i] > -INFINITY) p->h[i] -= a * exp(2 * p->lq[i] - lm);
    }
    return sum;
}

static double variation(const problem *p)
{
    double sum = 0;
    for (int64_t i = 0; i < p->n; i++) {
        const double a = exp(p->lp[i]), q = exp(p->lq[i]);
        add(p, &sum, i, 0.5 * fabs(a - q));
        p->h[i] = q > a ? 0.5 * q : q < a ? -0.5 * q : 0;
    }
    return sum;
}

/* e^(k l), 1 for k = 0 also where l is -infinity */
static double power(double l, double k) { return k == 0 ? 1 : exp(k * l); }

/* One class of the alpha-beta divergence, a and b its two numbers: Cichocki, Cruces, Amari 2011, eq. 20 and its limits. */
static double alpha_beta_class(double a, double b, double lp, double lq)
{
    if (lp == -INFINITY && lq == -INFINITY) return 0;
    if (a == 0 && b == 0) return 0.5 * (lp - lq) * (lp - lq);
    if (a == 0) return (weigh(b * lq, b * lq, b * lp) - power(lq, b) + power(lp, b)) / (b * b);
    if (b == 0) return (weigh(a * lp, a * lp, a * lq) - power(lp, a) + power(lq, a)) / (a * a);
    if (a + b == 0) return (a * (lq - lp) + exp(a * (lp - lq)) - 1) / (a * a);
    return -(exp(a * lp + b * lq) - a / (a + b) * power(lp, a + b) - b / (a + b) * power(lq, a + b)) / (a * b);
}

static double alpha_beta(const problem *p)
{
    double a = p->o->ab_alpha, b = p->o->ab_beta, sum = 0;
    if (fabs(a) < 1e-9) a = 0; /* nearer than this the quotients lose more than the limits do */
    if (fabs(b) < 1e-9) b = 0;
    if (fabs(a + b) < 1e-9) b = -a;
    for (int64_t i = 0; i < p->n; i++) {
        const double lp = p->lp[i], lq = p->lq[i];
        add(p, &sum, i, alpha_beta_class(a, b, lp, lq));
        /* q^b (q^a - p^a) / a */
        if (lp == -INFINITY && lq == -INFINITY) p->h[i] = 0;
        else if (a == 0) p->h[i] = lq == -INFINITY && b > 0 ? 0 : power(lq, b) * (lq - lp);
        else p->h[i] = (power(lq, a + b) - exp(a * lp + b * lq)) / a;
    }
    return sum;
}

/* Share of the gap |p - q| in the teacher's head: the largest classes up to head_mass, the first always; the bucket never. The least
 * probability in the head is found by bisection; of classes that share it the first are taken. h holds p meanwhile.             */
static double head_share(const problem *p)
{
    double all = 0, head = 0, low = 0, high = 2, mass = 0, largest = 0;
    const double wanted = p->o->head_mass;
    for (int64_t i = 0; i < p->n; i++) {
        const double x = exp(p->lp[i]);
        all += fabs(x - exp(p->lq[i]));
        p->h[i] = i == p->tail ? 0 : x;
        if (p->h[i] > largest) largest = p->h[i];
    }
    if (all == 0) return 0.5;
    for (int step = 0; step < 60 && wanted > largest; step++) { /* mass of what is at least `low` reaches it, at least `high` does not */
        const double middle = low == 0 ? high * 1e-3 : 0.5 * (low + high);
        double above = 0;
        for (int64_t i = 0; i < p->n; i++) above += p->h[i] >= middle ? p->h[i] : 0;
        if (above >= wanted) low = middle;
        else high = middle;
    }
    if (wanted <= largest) low = high = largest;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < p->n; i++) {
            const int in = pass ? p->h[i] < high && p->h[i] >= low && p->h[i] > 0 && mass < wanted : p->h[i] >= high;
            if (!in || (wanted <= largest && mass > 0)) continue;
            mass += p->h[i];
            head += fabs(p->h[i] - exp(p->lq[i]));
        }
    return head / all;
}

static double adaptive(const problem *p)
{
    const double w = head_share(p), floor = p->o->log_floor < 0 ? p->o->log_floor : -INFINITY;
    double sum = 0;
    for (int64_t i = 0; i < p->n; i++) {
        const double lq = p->lq[i], low = p->lp[i] < floor ? floor : p->lp[i];
        const double back = w < 1 ? weigh(lq, lq, low) : 0;
        *p->guards += w < 1 && low > p->lp[i] && lq > -INFINITY;
        add(p, &sum, i, w * weigh(p->lp[i], p->lp[i], lq) + (1 - w) * back);
        p->h[i] = (1 - w) * back - (p->lp[i] == -INFINITY ? 0 : w * exp(p->lp[i]));
    }
    return sum;
}

double kd__divergence(const kd__term *term, int64_t n, const double *lp, const double *lq, double *h, int64_t tail, double *tail_part,
                      int32_t *guards)
{
    const problem p = { &term->o, n, tail, lp, lq, h, tail_part, guards };
    switch (term->kind) {
    case KD_LOSS_REVERSE_KL: return reverse(&p);
    case KD_LOSS_JSD: return jensen(&p);
    case KD_LOSS_SKEWED_FORWARD_KL: return skewed_forward(&p);
    case KD_LOSS_SKEWED_REVERSE_KL: return skewed_reverse(&p);
    case KD_LOSS_TOTAL_VARIATION: return variation(&p);
    case KD_LOSS_ALPHA_BETA: return alpha_beta(&p);
    case KD_LOSS_ADAPTIVE_KL: return adaptive(&p);
    default: return forward(&p);
    }
}
