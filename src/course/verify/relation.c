/* Equations and inequalities, and inequalities as intervals. */
#include <math.h>

#include "course/verify/verify.h"

enum { TRIALS = 4, MOST_PARTS = 16 };

/* The parts of a relation, and signs[k] before part k. 0: it is none, or too long. */
static int parts_of(kd__item i, kd__item parts[MOST_PARTS], uint8_t signs[MOST_PARTS])
{
    int n = 0;
    if (kd__node_of(i)->op != KD__RELATION) return 0;
    for (kd__item c = kd__first(i); c.node; c = kd__next(c)) {
        if (n == MOST_PARTS) return 0;
        signs[n] = kd__node_of(c)->sign;
        parts[n++] = c;
    }
    return n;
}

static int has_variable(kd__item i) { return kd__holds(i, (const uint8_t[]){ KD__VARIABLE }, 1); }

/* ---- names: x, f(x), f(2), |AB|, S_1 : S_2, (x, y), "total cost" ---- */

static int are_names(kd__item i, int depth)
{
    int at = 0;
    for (kd__item c = kd__first(i); c.node; c = kd__next(c), at++) {
        const int op = kd__node_of(c)->op,
                  argument = at && op == KD__NUMBER && !kd__node_of(c)->sign;
        if (!argument && !kd__is_name(c, depth + 1)) return 0;
    }
    return at > 0;
}

int kd__is_name(kd__item i, int depth)
{
    const kd__node *n = kd__node_of(i);
    if (depth > 4) return 0;
    switch (n->op) {
    case KD__VARIABLE:
    case KD__WORDS: return 1;
    case KD__CONSTANT: return n->what == KD__EULER || n->what == KD__IMAGINARY;
    case KD__PRODUCT:
    case KD__RATIO:
    case KD__ABSOLUTE:
    case KD__TUPLE: return are_names(i, depth);
    default: return 0;
    }
}

kd__item kd__without_name(kd__item i, kd__work *work)
{
    kd__item parts[MOST_PARTS];
    uint8_t signs[MOST_PARTS];
    int n = parts_of(i, parts, signs);
    work->steps -= n;
    if (n > 2 && signs[n - 1] == KD__ABOUT && signs[n - 2] == '=') n--;
    if (n < 2) return i;
    for (int k = 1; k < n; k++)
        if (signs[k] != '=' && signs[k] != KD__ABOUT && !(n == 2 && signs[k] == KD__IN)) return i;
    if (signs[1] != KD__IN && !has_variable(parts[0]) && !has_variable(parts[n - 1]))
        return parts[n - 1];
    return kd__is_name(parts[0], 0) ? parts[n - 1] : i;
}

kd__item kd__exact_side(kd__item i, kd__work *work)
{
    kd__item parts[MOST_PARTS];
    uint8_t signs[MOST_PARTS];
    const int n = parts_of(i, parts, signs);
    work->steps -= n;
    return n == 2 && signs[1] == KD__ABOUT && !has_variable(parts[0]) ? parts[0] : i;
}

/* ---- relations ---- */

static uint8_t turned(uint8_t c)
{
    static const uint8_t pairs[] = { '<', '>', KD__LESS_EQUAL, KD__MORE_EQUAL };
    const uint8_t *at = memchr(pairs, c, sizeof pairs);
    return at ? pairs[(at - pairs) ^ 1] : c;
}

static kd__value difference(const kd__item *parts, int trial, kd__work *work)
{
    return kd__value_add(kd__evaluate(parts[0], trial, work),
                         kd__value_negative(kd__evaluate(parts[1], trial, work)));
}

/* Left less right of one is that of the other times a number other than 0, whose sign is returned;
 * 0: it is not. */
static int proportion(const kd__item *a, const kd__item *b, kd__work *work)
{
    kd__value first = kd__value_failed();
    int compared = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        const kd__value x = difference(a, trial, work), y = difference(b, trial, work);
        if (x.failed || y.failed) continue;
        if (kd__value_is_zero(x) || kd__value_is_zero(y)) return 0;
        const kd__value ratio = kd__value_multiply(x, kd__value_inverse(y));
        if (compared++ && !kd__value_same(ratio, first, work->tolerance)) return 0;
        first = ratio;
    }
    if (compared < 3) return 0;
    return fabs(cimag(first.m)) > 1e-9 ? 1 : creal(first.m) > 0 ? 1 : -1;
}

static int same_pairs(const kd__item *a, uint8_t sign, const kd__item *b, uint8_t other,
                      kd__work *work)
{
    if (!has_variable(a[0]) && !has_variable(a[1])) return 0;
    if (sign != other && sign != turned(other)) return 0;
    const int direction = proportion(a, b, work);
    if (!direction) return 0;
    return sign == turned(sign) || sign == (direction > 0 ? other : turned(other));
}

int kd__same_relations(kd__item a, kd__item b, kd__work *work, int depth)
{
    kd__item x[MOST_PARTS], y[MOST_PARTS];
    uint8_t signs[MOST_PARTS], others[MOST_PARTS];
    const int n = parts_of(a, x, signs), m = parts_of(b, y, others);
    int straight = 1, back = 1;
    if (!n || n != m)
        return n && m && (kd__same_interval(a, b, work) || kd__same_distance(a, b, work));
    if (n == 2 && signs[1] != KD__IN && same_pairs(x, signs[1], y, others[1], work)) return 1;
    for (int k = 1; k < n; k++) {
        straight &= signs[k] == others[k];
        back &= signs[k] == turned(others[n - k]);
    }
    for (int k = 0; k < n && straight; k++) straight = kd__same(x[k], y[k], work, depth + 1);
    for (int k = 0; k < n && back && !straight; k++)
        back = kd__same(x[k], y[n - 1 - k], work, depth + 1);
    return straight || back || kd__same_interval(a, b, work) || kd__same_distance(a, b, work);
}

/* ---- intervals ---- */

typedef struct {
    kd__item at; /* where finite */
    int infinite, closed;
} bound;

/* Infinity or its negative: 1 or -1. */
static int infinity_of(kd__item i)
{
    const kd__node *n = kd__node_of(i);
    if (n->op == KD__CONSTANT) return n->what == KD__INFINITY;
    const kd__item c = kd__first(i);
    if (n->op != KD__SUM || kd__node_of(c)->next) return 0;
    return kd__node_of(c)->sign == '-' ? -infinity_of(c) : infinity_of(c);
}

static bound bound_of(kd__item i, int closed)
{
    const int infinite = infinity_of(i);
    return (bound){ i, infinite, closed && !infinite };
}

static int is_variable(kd__item i) { return kd__is_name(i, 0) && kd__node_of(i)->op != KD__TUPLE; }

/* lo (<) x (<) hi, or one of them; signs as if the smaller stood on the left. */
static int interval_of_relation(kd__item i, bound ends[2], int absolute)
{
    kd__item parts[MOST_PARTS];
    uint8_t signs[MOST_PARTS];
    const int n = parts_of(i, parts, signs);
    if (n < 2 || n > 3) return 0;
    const int rising = signs[1] == '<' || signs[1] == KD__LESS_EQUAL;
    for (int k = 1; k < n; k++)
        if (signs[k] != (rising ? '<' : '>') &&
            signs[k] != (rising ? KD__LESS_EQUAL : KD__MORE_EQUAL))
            return 0;
    const int variable = n == 3 ? 1 : is_variable(parts[0]) ? 0 : 1;
    if (!is_variable(parts[variable]) ||
        (kd__node_of(parts[variable])->op == KD__ABSOLUTE) != absolute)
        return 0;
    ends[0] = (bound){ i, -1, 0 };
    ends[1] = (bound){ i, 1, 0 };
    for (int k = 0; k < n; k++) {
        if (k == variable) continue;
        const uint8_t sign = signs[k > variable ? k : k + 1];
        ends[(k > variable) == rising] =
            bound_of(parts[k], sign == KD__LESS_EQUAL || sign == KD__MORE_EQUAL);
    }
    return 1;
}

static int interval_of(kd__item i, bound ends[2], kd__work *work)
{
    i = kd__without_name(i, work);
    const kd__node *n = kd__node_of(i);
    if (n->op != KD__TUPLE || kd__children(i) != 2) return interval_of_relation(i, ends, 0);
    ends[0] = bound_of(kd__first(i), i.tree->flat[n->at] == '[');
    ends[1] = bound_of(kd__next(kd__first(i)), i.tree->flat[n->at + n->bytes - 1] == ']');
    return 1;
}

int kd__same_interval(kd__item a, kd__item b, kd__work *work)
{
    bound x[2], y[2];
    if (!interval_of(a, x, work) || !interval_of(b, y, work)) return 0;
    for (int k = 0; k < 2; k++) {
        if (x[k].infinite != y[k].infinite || x[k].closed != y[k].closed) return 0;
        if (!x[k].infinite && !kd__same_value(x[k].at, y[k].at, work)) return 0;
    }
    return 1;
}

/* ---- distances: 1 <= |x| < 3 is (-3, -1] and [1, 3) ---- */

static kd__value bound_value(bound b, int negative, kd__work *work)
{
    const kd__value v = kd__evaluate(b.at, 0, work);
    return negative ? kd__value_negative(v) : v;
}

/* Is `b` the bound `a`, or its negative? */
static int same_bound(bound a, int negative, bound b, kd__work *work)
{
    if (a.closed != b.closed || (negative ? -a.infinite : a.infinite) != b.infinite) return 0;
    return a.infinite ||
           kd__value_same(bound_value(a, negative, work), bound_value(b, 0, work), work->tolerance);
}

/* x \ne 2 is all numbers below 2 and all above. */
static int same_exception(kd__item a, kd__item b, kd__work *work)
{
    kd__item parts[MOST_PARTS];
    uint8_t signs[MOST_PARTS];
    bound x[2], y[2];
    if (parts_of(a, parts, signs) != 2 || signs[1] != KD__NOT_EQUAL || !is_variable(parts[0]))
        return 0;
    b = kd__without_name(b, work);
    if (kd__node_of(b)->op != KD__UNIONS || kd__children(b) != 2) return 0;
    const bound at = bound_of(parts[1], 0), all = { a, 1, 0 };
    if (!interval_of(kd__first(b), x, work) || !interval_of(kd__next(kd__first(b)), y, work))
        return 0;
    const bound *low = x[0].infinite ? x : y, *high = low == x ? y : x;
    return same_bound(all, 1, low[0], work) && same_bound(at, 0, low[1], work) &&
           same_bound(at, 0, high[0], work) && same_bound(all, 0, high[1], work);
}

/* |x| between bounds; a lower one of minus infinity says nothing, since no distance is negative. */
static int distance_of(kd__item i, bound ends[2])
{
    return kd__node_of(i)->op == KD__RELATION && interval_of_relation(i, ends, 1);
}

int kd__same_distance(kd__item a, kd__item b, kd__work *work)
{
    bound x[2], y[2], z[2];
    if (same_exception(a, b, work) || same_exception(b, a, work)) return 1;
    if (!distance_of(a, x)) {
        if (!distance_of(b, x)) return 0;
        b = a;
    }
    b = kd__without_name(b, work);
    if (x[0].infinite)
        return interval_of(b, y, work) && same_bound(x[1], 1, y[0], work) &&
               same_bound(x[1], 0, y[1], work);
    const kd__item first = kd__first(b), second = kd__next(first);
    if ((kd__node_of(b)->op != KD__UNIONS && kd__node_of(b)->op != KD__LIST) ||
        kd__children(b) != 2)
        return 0;
    if (!interval_of(first, y, work) || !interval_of(second, z, work)) return 0;
    if (same_bound(x[0], 0, y[0], work)) /* the positive one stands first */
        return same_bound(x[1], 0, y[1], work) && same_bound(x[1], 1, z[0], work) &&
               same_bound(x[0], 1, z[1], work);
    return same_bound(x[1], 1, y[0], work) && same_bound(x[0], 1, y[1], work) &&
           same_bound(x[0], 0, z[0], work) && same_bound(x[1], 0, z[1], work);
}
