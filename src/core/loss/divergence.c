/* Divergences of n classes from log-probabilities, in double: sparse teachers (the ids and a
 * bucket), and the kinds that have no kernel of their own. Each returns its value and writes h = q
 * dL/dq; then dL/dz = (h - q sum h) / T. Constants in dL/dq that cancel there are left out. A class
 * with p = 0 or q = 0 contributes by its limit, chosen by a branch. Values are sums of terms that
 * are never negative (close.c says why), wherever both sides add up to the same. */
#include <math.h>

#include "core/loss/loss.h"

/* x (a - b) with x = e^lx; 0 where x is 0 */
static double weigh(double lx, double a, double b)
{
    return lx == -INFINITY ? 0 : exp(lx) * (a - b);
}

/* p E(log q - log p), E(d) = e^d - 1 - d: what a class adds to KL(p, q) */
static double apart(double lp, double lq)
{
    if (lp == -INFINITY) return exp(lq);
    return lq == -INFINITY ? INFINITY : exp(lp) * kd__above_exp(lq - lp);
}

/* p L(share (q/p - 1)), L(t) = t - log(1 + t): what it adds to KL(p, (1 - share) p + share q) */
static double apart_mixed(double lp, double lq, double share)
{
    const double d = lq - lp;
    if (lp == -INFINITY || d > 600) return share * exp(lq);
    return exp(lp) * kd__above_log(share * expm1(d));
}

/* What the teacher's sum is above the student's: 0 but for a teacher that is cut off. */
static double missing(const kd__problem *p)
{
    double sum = 0;
    for (int64_t i = 0; !p->whole && i < p->n; i++) sum += exp(p->lp[i]) - exp(p->lq[i]);
    return sum;
}

/* The bucket's part of the value, for diagnostics. */
static double tell(const kd__problem *p, int64_t i, double value)
{
    if (i == p->tail && p->tail_part) *p->tail_part = value;
    return value;
}

double kd__forward_divergence(const kd__problem *p)
{
    double sum = missing(p);
    for (int64_t i = 0; i < p->n; i++) {
        sum += apart(p->lp[i], p->lq[i]);
        tell(p, i, weigh(p->lp[i], p->lp[i], p->lq[i]));
        p->h[i] = p->lp[i] == -INFINITY ? 0 : -exp(p->lp[i]);
    }
    return sum;
}

double kd__reverse_divergence(const kd__problem *p)
{
    const double floor = p->numbers->log_floor < 0 ? p->numbers->log_floor : -INFINITY;
    double sum = 0, bounded = 0;
    int32_t hits = 0;
    for (int64_t i = 0; i < p->n; i++) {
        const int hit = p->lp[i] < floor && p->lq[i] > -INFINITY;
        const double lp = hit ? floor : p->lp[i];
        hits += hit;
        p->h[i] = tell(p, i, weigh(p->lq[i], p->lq[i], lp));
        bounded += p->h[i];
        sum += apart(p->lq[i], p->lp[i]);
    }
    *p->guards += hits;
    return hits ? bounded : sum;
}

double kd__jensen_divergence(const kd__problem *p)
{
    const double b = p->numbers->teacher_share, lb = log(b), lc = log1p(-b),
                 factor = p->numbers->normalized ? 1 / (b * (1 - b)) : 1;
    double sum = 0;
    if (p->numbers->normalized && b == 0) return kd__forward_divergence(p);
    if (p->numbers->normalized && b == 1) return kd__reverse_divergence(p);
    for (int64_t i = 0; i < p->n; i++) {
        const double lp = p->lp[i], lq = p->lq[i], lm = kd__log_add(lb + lp, lc + lq),
                     own = (1 - b) * weigh(lq, lq, lm);
        if (b > 0 && b < 1)
            sum += factor * (b * apart_mixed(lp, lq, 1 - b) + (1 - b) * apart_mixed(lq, lp, b));
        tell(p, i, factor * (b * weigh(lp, lp, lm) + own));
        p->h[i] = factor * own;
    }
    return sum;
}

double kd__skewed_forward_divergence(const kd__problem *p)
{
    const double a = p->numbers->skew, la = log(a), lc = log1p(-a);
    double sum = (1 - a) * missing(p);
    for (int64_t i = 0; i < p->n; i++) {
        const double lm = kd__log_add(la + p->lp[i], lc + p->lq[i]);
        sum += apart_mixed(p->lp[i], p->lq[i], 1 - a);
        tell(p, i, weigh(p->lp[i], p->lp[i], lm));
        p->h[i] = p->lp[i] == -INFINITY || p->lq[i] == -INFINITY
                      ? 0
                      : -(1 - a) * exp(p->lp[i] + p->lq[i] - lm);
    }
    return sum;
}

double kd__skewed_reverse_divergence(const kd__problem *p)
{
    const double a = p->numbers->skew, la = log(a), lc = log1p(-a);
    double sum = 0;
    for (int64_t i = 0; i < p->n; i++) {
        const double lm = kd__log_add(la + p->lq[i], lc + p->lp[i]);
        p->h[i] = tell(p, i, weigh(p->lq[i], p->lq[i], lm));
        sum += apart_mixed(p->lq[i], p->lp[i], 1 - a);
        if (!p->numbers->detach_mixture && p->lq[i] > -INFINITY)
            p->h[i] -= a * exp(2 * p->lq[i] - lm);
    }
    return sum;
}

double kd__variation_divergence(const kd__problem *p)
{
    double sum = 0;
    for (int64_t i = 0; i < p->n; i++) {
        const double a = exp(p->lp[i]), q = exp(p->lq[i]), d = p->lq[i] - p->lp[i];
        sum += tell(p, i, 0.5 * (fabs(d) < 1 ? a * fabs(expm1(d)) : fabs(a - q)));
        p->h[i] = q > a ? 0.5 * q : q < a ? -0.5 * q : 0;
    }
    return sum;
}

/* -log of what both have, which is summed up itself where it is small */
double kd__acceptance_divergence(const kd__problem *p)
{
    const double apart = kd__variation_divergence(p);
    double both = 0;
    for (int64_t i = 0; i < p->n; i++) both += exp(fmin(p->lp[i], p->lq[i]));
    *p->guards += both < KD__LEAST_ACCEPTED;
    both = fmax(both, KD__LEAST_ACCEPTED);
    for (int64_t i = 0; i < p->n; i++) p->h[i] /= both;
    const double value = apart < 0.5 ? -log1p(-apart) : -log(both);
    if (p->tail >= 0 && p->tail_part && apart > 0) *p->tail_part *= value / apart;
    return value;
}

/* e^(k l), 1 for k = 0 also where l is -infinity */
static double power(double l, double k) { return k == 0 ? 1 : exp(k * l); }

/* One class of the alpha-beta divergence, a and b its two numbers: Cichocki, Cruces, Amari 2011,
 * eq. 20 and its limits. */
static double alpha_beta_class(double a, double b, double lp, double lq)
{
    const double s = a + b, d = lq - lp;
    if (lp == -INFINITY && lq == -INFINITY) return 0;
    /* the same, as differences of what is above the straight line */
    if (fabs(d) < 1 && s != 0 && b != 0)
        return a == 0
                   ? power(lq, b) * kd__above_exp(-b * d) / (b * b)
                   : power(lp, s) * (b / s * kd__above_exp(s * d) - kd__above_exp(b * d)) / (a * b);
    if (fabs(d) < 1 && s != 0) return power(lp, a) * kd__above_exp(a * d) / (a * a);
    if (a == 0 && b == 0) return 0.5 * (lp - lq) * (lp - lq);
    if (a == 0) return (weigh(b * lq, b * lq, b * lp) - power(lq, b) + power(lp, b)) / (b * b);
    if (b == 0) return (weigh(a * lp, a * lp, a * lq) - power(lp, a) + power(lq, a)) / (a * a);
    if (a + b == 0) return kd__above_exp(-a * d) / (a * a);
    return -(exp(a * lp + b * lq) - a / (a + b) * power(lp, a + b) -
             b / (a + b) * power(lq, a + b)) /
           (a * b);
}

double kd__alpha_beta_divergence(const kd__problem *p)
{
    double a = p->numbers->ab_alpha, b = p->numbers->ab_beta, sum = 0;
    if (fabs(a) < 1e-9) a = 0; /* nearer than this the quotients lose more than the limits do */
    if (fabs(b) < 1e-9) b = 0;
    if (fabs(a + b) < 1e-9) b = -a;
    for (int64_t i = 0; i < p->n; i++) {
        const double lp = p->lp[i], lq = p->lq[i];
        sum += tell(p, i, alpha_beta_class(a, b, lp, lq));
        /* q^b (q^a - p^a) / a */
        if (lp == -INFINITY && lq == -INFINITY) p->h[i] = 0;
        else if (a == 0) p->h[i] = lq == -INFINITY && b > 0 ? 0 : power(lq, b) * (lq - lp);
        else p->h[i] = (power(lq, a + b) - exp(a * lp + b * lq)) / a;
    }
    return sum;
}

/* Share of the gap |p - q| in the teacher's head: the largest classes up to head_mass, the first
 * always; the bucket never. The least probability in the head is found by bisection; of classes
 * that share it the first are taken. h holds p meanwhile. */
static double head_share(const kd__problem *p)
{
    double all = 0, head = 0, low = 0, high = 2, mass = 0, largest = 0;
    const double wanted = p->numbers->head_mass;
    for (int64_t i = 0; i < p->n; i++) {
        const double x = exp(p->lp[i]);
        all += fabs(x - exp(p->lq[i]));
        p->h[i] = i == p->tail ? 0 : x;
        if (p->h[i] > largest) largest = p->h[i];
    }
    if (all == 0) return 0.5;
    /* mass of what is at least `low` reaches it, at least `high` does not */
    for (int step = 0; step < 60 && wanted > largest; step++) {
        const double middle = low == 0 ? high * 1e-3 : 0.5 * (low + high);
        double above = 0;
        for (int64_t i = 0; i < p->n; i++) above += p->h[i] >= middle ? p->h[i] : 0;
        if (above >= wanted) low = middle;
        else high = middle;
    }
    if (wanted <= largest) low = high = largest;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < p->n; i++) {
            const int in = pass ? p->h[i] < high && p->h[i] >= low && p->h[i] > 0 && mass < wanted
                                : p->h[i] >= high;
            if (!in || (wanted <= largest && mass > 0)) continue;
            mass += p->h[i];
            head += fabs(p->h[i] - exp(p->lq[i]));
        }
    return head / all;
}

double kd__adaptive_divergence(const kd__problem *p)
{
    const double w = head_share(p),
                 floor = p->numbers->log_floor < 0 ? p->numbers->log_floor : -INFINITY;
    double sum = 0, bounded = 0;
    int32_t hits = 0;
    for (int64_t i = 0; i < p->n; i++) {
        const double lp = p->lp[i], lq = p->lq[i], low = lp < floor ? floor : lp;
        const double back = w < 1 ? weigh(lq, lq, low) : 0;
        hits += w < 1 && low > lp && lq > -INFINITY;
        bounded += tell(p, i, w * weigh(lp, lp, lq) + (1 - w) * back);
        sum += w * apart(lp, lq) + (w < 1 ? (1 - w) * apart(lq, lp) : 0);
        p->h[i] = (1 - w) * back - (lp == -INFINITY ? 0 : w * exp(lp));
    }
    *p->guards += hits;
    return hits ? bounded : sum;
}

double kd__divergence(const kd__term *term, int64_t n, const double *lp, const double *lq,
                      double *h, int whole, int64_t tail, double *tail_part, int32_t *guards)
{
    const kd__problem p = { .numbers = &term->numbers,
                            .n = n,
                            .tail = tail,
                            .whole = whole,
                            .lp = lp,
                            .lq = lq,
                            .h = h,
                            .tail_part = tail_part,
                            .guards = guards };
    return kd__kind_of(term->kind)->divergence(&p);
}
