/* The value of a tree. Variables have values that depend on their name and on the trial: two
 * expressions that agree at some points are taken as equal. The depth is the tree's, which the
 * parser bounds. */
#include <math.h>

#include "course/verify/verify.h"

typedef kd__value value;

/* A recursion with small frames: inlined, all of these would stand in every level of
 * kd__evaluate. */
#define OWN_FRAME __attribute__((noinline)) static
enum { LARGEST_FACTORIAL = 10000 };

static value child_value(kd__item i, int trial, kd__work *work)
{
    return kd__evaluate(kd__first(i), trial, work);
}

OWN_FRAME value sum(kd__item i, int trial, kd__work *work)
{
    value total = kd__value_whole(0);
    for (kd__item c = kd__first(i); c.node; c = kd__next(c)) {
        const int sign = kd__node_of(c)->sign;
        const int negative = sign == '-' || (sign == KD__PLUS_MINUS && c.branch < 0) ||
                             (sign == KD__MINUS_PLUS && c.branch >= 0);
        const value v = kd__evaluate(c, trial, work);
        total = kd__value_add(total, negative ? kd__value_negative(v) : v);
    }
    if (!kd__node_of(kd__first(i))->next) { /* -0.5 is as exact as 0.5 */
        const value only = child_value(i, trial, work);
        total.decimal = only.decimal;
        total.places = only.places;
    }
    return total;
}

OWN_FRAME value product(kd__item i, int trial, kd__work *work)
{
    value total = kd__value_whole(1);
    for (kd__item c = kd__first(i); c.node; c = kd__next(c)) {
        const value v = kd__evaluate(c, trial, work);
        total = kd__value_multiply(total, kd__node_of(c)->sign == '/' ? kd__value_inverse(v) : v);
    }
    return total;
}

/* 3 1/2; -3 1/2 is negated outside. */
OWN_FRAME value mixed(kd__item i, int trial, kd__work *work)
{
    const value whole = child_value(i, trial, work);
    return kd__value_add(whole, kd__evaluate(kd__next(kd__first(i)), trial, work));
}

static int is_negative(value v) { return !v.failed && cimag(v.m) == 0 && creal(v.m) < 0; }

/* The root of an odd degree of a negative number: the real one. */
static value negative_root(value of, value degree)
{
    return kd__value_negative(kd__value_power(kd__value_negative(of), kd__value_inverse(degree)));
}

/* The odd whole number below an exponent's bar, as in x^{2/3}; none: failed. */
static value odd_degree(kd__item exponent, int trial, kd__work *work)
{
    int64_t n;
    const kd__item below = kd__next(kd__first(exponent));
    if (kd__node_of(exponent)->op != KD__PRODUCT || !below.node || kd__next(below).node)
        return kd__value_failed();
    if (kd__node_of(below)->op != KD__NUMBER || kd__node_of(below)->sign != '/')
        return kd__value_failed();
    const value degree = kd__evaluate(below, trial, work);
    return kd__value_is_whole(degree, &n) && n % 2 ? degree : kd__value_failed();
}

/* x^{2/3} of a negative number is real, as its root is. */
OWN_FRAME value power(kd__item i, int trial, kd__work *work)
{
    const value base = child_value(i, trial, work);
    const kd__item exponent = kd__next(kd__first(i));
    if (is_negative(base)) {
        const value degree = odd_degree(exponent, trial, work);
        if (!degree.failed)
            return kd__value_power(negative_root(base, degree),
                                   kd__evaluate(kd__first(exponent), trial, work));
    }
    return kd__value_power(base, kd__evaluate(exponent, trial, work));
}

/* Roots of odd degree of negative numbers are real. */
OWN_FRAME value root(kd__item i, int trial, kd__work *work)
{
    const value of = child_value(i, trial, work);
    const kd__item second = kd__next(kd__first(i));
    const value degree = second.node ? kd__evaluate(second, trial, work) : kd__value_whole(2);
    int64_t n;
    if (of.failed || degree.failed || kd__value_is_zero(degree)) return kd__value_failed();
    if (is_negative(of) && kd__value_is_whole(degree, &n) && n % 2)
        return negative_root(of, degree);
    return kd__value_power(of, kd__value_inverse(degree));
}

/* n (n - step) (n - 2 step) .. */
OWN_FRAME value factorial(value of, int step, kd__work *work)
{
    int64_t n;
    double _Complex x;
    if (kd__value_is_whole(of, &n)) {
        value v = kd__value_whole(1);
        if (n < 0 || n > LARGEST_FACTORIAL) return kd__value_failed();
        work->steps -= n;
        for (int64_t k = n; k > 1 && work->steps > 0; k -= step)
            v = kd__value_multiply(v, kd__value_whole(k));
        v.exact = of.exact;
        return v;
    }
    if (step > 1 || !kd__value_number(of, &x) || cimag(x) != 0 || fabs(creal(x)) > 100)
        return kd__value_failed();
    return kd__value_plain(tgamma(creal(x) + 1));
}

/* n (n - 1) .. (n - k + 1) / k! */
OWN_FRAME value binomial(kd__item i, int trial, kd__work *work)
{
    const value n = child_value(i, trial, work),
                below = kd__evaluate(kd__next(kd__first(i)), trial, work);
    value above = kd__value_whole(1), under = above;
    int64_t k, whole;
    if (n.failed) return n;
    if (!kd__value_is_whole(below, &k)) { /* C(n, n - 1) with a letter */
        const value left = factorial(kd__value_add(n, kd__value_negative(below)), 1, work);
        return kd__value_multiply(factorial(n, 1, work), kd__value_inverse(kd__value_multiply(
                                                             factorial(below, 1, work), left)));
    }
    if (kd__value_is_whole(n, &whole) && whole >= 0 && k > whole / 2) k = whole - k;
    if (k < 0 || k > LARGEST_FACTORIAL) return kd__value_failed();
    work->steps -= 4 * k;
    for (int64_t at = 0; at < k && work->steps > 0; at++) {
        above = kd__value_multiply(above, kd__value_add(n, kd__value_whole(-at)));
        under = kd__value_multiply(under, kd__value_whole(at + 1));
    }
    return kd__value_multiply(above, kd__value_inverse(under));
}

OWN_FRAME value absolute(value of)
{
    double _Complex x = of.m;
    if (of.failed) return of;
    if (cimag(x) == 0) return creal(x) < 0 ? kd__value_negative(of) : of;
    of.m = cabs(x);
    of.exact = 0;
    return of;
}

/* Down or up to a whole number; what is next to one is that one. */
OWN_FRAME value rounded(value of, int up)
{
    double _Complex x;
    int64_t n;
    if (kd__value_is_whole(of, &n)) return kd__value_whole(n);
    if (!kd__value_number(of, &x) || cimag(x) != 0 || of.e > 53) return kd__value_failed();
    return kd__value_whole((int64_t)(up ? ceil(creal(x)) : floor(creal(x))));
}

OWN_FRAME value function(kd__item i, int trial, kd__work *work)
{
    value of = child_value(i, trial, work);
    double _Complex x;
    if (kd__node_of(kd__first(i))->op == KD__DEGREES && !work->bare_degrees) {
        const value straight =
            kd__value_multiply(kd__value_pi(), kd__value_inverse(kd__value_whole(180)));
        of = kd__value_multiply(of, straight);
    }
    if (!kd__value_number(of, &x)) return kd__value_failed();
    value v = kd__value_plain(kd__function_at(kd__node_of(i)->what)(x));
    /* sin(pi) is nothing */
    v.size = fmax(v.size, ldexp(of.size, (int)fmin(fmax((double)(of.e - v.e), -2000), 2000)));
    v.decimal = of.decimal != 0;
    return v;
}

OWN_FRAME value logarithm(kd__item i, int trial, kd__work *work)
{
    const kd__item second = kd__next(kd__first(i));
    const value of = child_value(i, trial, work);
    const value base = second.node ? kd__evaluate(second, trial, work) : kd__value_whole(10);
    return kd__value_multiply(kd__value_log(of), kd__value_inverse(kd__value_log(base)));
}

/* Digits, without the signs for what repeats: 0.1(6) is 0.1 + 6/90. */
OWN_FRAME value digits(kd__item i)
{
    const kd__node *n = kd__node_of(i);
    const char *at = i.tree->flat + n->at, *end = at + n->bytes,
               *again = memchr(at, KD__REPEAT, n->bytes);
    if (!again) return kd__value_digits(at, end);
    const value before = kd__value_digits(at, again), period = kd__value_digits(again + 1, end);
    const int64_t fixed = again - at - 1 -
                          ((const char *)memchr(at, '.', (size_t)(again - at)) - at),
                  length = end - again - 1;
    const value ten = kd__value_whole(10);
    const value nines =
        kd__value_add(kd__value_power(ten, kd__value_whole(length)), kd__value_whole(-1));
    const value scale = kd__value_multiply(nines, kd__value_power(ten, kd__value_whole(fixed)));
    value v = kd__value_add(before, kd__value_multiply(period, kd__value_inverse(scale)));
    v.decimal = 0;
    return v;
}

OWN_FRAME value constant(kd__item i)
{
    switch (kd__node_of(i)->what) {
    case KD__PI: return kd__value_pi();
    case KD__EULER: return kd__value_euler();
    case KD__IMAGINARY: return kd__value_imaginary();
    default: return kd__value_named("\\infty", 6, 0);
    }
}

OWN_FRAME value named(kd__item i, int trial)
{
    const kd__node *n = kd__node_of(i);
    return kd__value_named(i.tree->flat + n->at, n->bytes, trial);
}

OWN_FRAME value factorial_of(kd__item i, int trial, kd__work *work)
{
    const int step = kd__node_of(i)->op == KD__FACTORIAL ? 1 : 2;
    return factorial(child_value(i, trial, work), step, work);
}
OWN_FRAME value absolute_of(kd__item i, int trial, kd__work *work)
{
    return absolute(child_value(i, trial, work));
}
OWN_FRAME value rounded_of(kd__item i, int trial, kd__work *work)
{
    return rounded(child_value(i, trial, work), kd__node_of(i)->op == KD__CEILING);
}

kd__value kd__evaluate(kd__item i, int trial, kd__work *work)
{
    if (--work->steps < 0) return kd__value_failed();
    switch (kd__node_of(i)->op) {
    case KD__NUMBER: work->steps -= kd__node_of(i)->bytes / 8; return digits(i);
    case KD__VARIABLE: return named(i, trial);
    case KD__BASED:
    case KD__TIME: return named(i, 0);
    case KD__CONSTANT: return constant(i);
    case KD__SUM: return sum(i, trial, work);
    case KD__RATIO:
    case KD__PRODUCT: return product(i, trial, work);
    case KD__MIXED: return mixed(i, trial, work);
    case KD__POWER: return power(i, trial, work);
    case KD__ROOT: return root(i, trial, work);
    case KD__FUNCTION: return function(i, trial, work);
    case KD__LOGARITHM: return logarithm(i, trial, work);
    case KD__FACTORIAL:
    case KD__DOUBLE_FACTORIAL: return factorial_of(i, trial, work);
    case KD__BINOMIAL: return binomial(i, trial, work);
    case KD__ABSOLUTE: return absolute_of(i, trial, work);
    case KD__FLOOR:
    case KD__CEILING: return rounded_of(i, trial, work);
    case KD__PERCENT:
    case KD__DEGREES: return child_value(i, trial, work);
    default: return kd__value_failed();
    }
}
