/* The k largest numbers of a row. Thresholds are found by halving the range of floats and counting,
 * which has no branch that a processor could mistake; only places whose group holds a number above
 * the threshold are looked at. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/numbers.h"
#include "core/teacher/sparse.h"

/* Floats in their order as integers, and back. */
static int32_t key_of(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits ^ ((bits >> 31) & INT32_MAX);
}

static float of_key(int32_t key)
{
    const int32_t bits = key ^ ((key >> 31) & INT32_MAX);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* A finite t of which at least k numbers are not below it, and at most `most` if there is such a
 * one: the largest for most = k. -FLT_MAX when there is none. */
static float kth_largest(const kd__kernels *kernels, const float *x, int64_t n, int64_t k,
                         int64_t most, float max)
{
    int64_t low = key_of(-FLT_MAX), high = key_of(max), count = n;
    while (low < high && (most == k || count > most)) {
        const int64_t middle = low + (high - low + 1) / 2,
                      reach = kernels->count_from(x, n, of_key((int32_t)middle));
        if (reach >= k) low = middle, count = reach;
        else high = middle - 1;
    }
    return of_key((int32_t)low);
}

/* The largest t of which the numbers not below it hold `mass` of e. */
static float mass_threshold(const kd__kernels *kernels, const float *x, const float *e, int64_t n,
                            double mass, float max)
{
    int64_t low = key_of(-FLT_MAX), high = key_of(max);
    while (low < high) {
        const int64_t middle = low + (high - low + 1) / 2;
        if (kernels->sum_from(x, e, n, of_key((int32_t)middle)) >= mass) low = middle;
        else high = middle - 1;
    }
    return of_key((int32_t)low);
}

static void collect(kd__largest *l, const kd__kernels *kernels, const float *x, int64_t n,
                    int64_t k, float max)
{
    const int64_t lanes = kernels->lanes, groups = kd__groups(n, kernels->lanes),
                  chunk = KD__GROUP * lanes;
    l->count = 0;
    const float least = k < groups ? kth_largest(kernels, l->maxima, groups, k, k + k / 4 + 4, max)
                                   : -FLT_MAX;
    for (int64_t first = 0, m = 0; first < n; first += chunk, m += lanes)
        if (kernels->count_from(l->maxima + m, lanes, least))
            l->count += kernels->collect_from(x + first, kd__min(n - first, chunk), least,
                                              (uint32_t)first, l->ids + l->count,
                                              l->values + l->count);
}

/* Of those that equal `least` only the first, so that k stay. */
static void drop_equal(kd__largest *l, const kd__kernels *kernels, float least, int64_t k)
{
    int64_t kept = 0,
            room = k - kernels->count_from(l->values, l->count, nextafterf(least, INFINITY));
    for (int64_t i = 0; i < l->count; i++) {
        const float x = l->values[i];
        if (x == least && room-- < 1) continue;
        l->ids[kept] = l->ids[i];
        l->values[kept++] = x;
    }
    l->equal = l->count - kept;
    l->count = kept;
}

void kd__largest_take(kd__largest *l, const kd__kernels *kernels, const float *x, int64_t n,
                      int64_t k, float max)
{
    collect(l, kernels, x, n, k, max);
    l->equal = 0;
    l->least = INFINITY;
    if (l->count > k) {
        uint32_t *places = (uint32_t *)(void *)l->e;
        l->least = kth_largest(kernels, l->values, l->count, k, k, max);
        l->count = kernels->collect_from(l->values, l->count, l->least, 0, places, l->values);
        for (int64_t i = 0; i < l->count; i++) l->ids[i] = l->ids[places[i]];
        if (l->count > k) drop_equal(l, kernels, l->least, k);
        return;
    }
    for (int64_t i = 0; i < l->count; i++)
        l->least = l->values[i] < l->least ? l->values[i] : l->least;
}

double kd__largest_of_mass(kd__largest *l, const kd__kernels *kernels, double mass, float max)
{
    if (kernels->sum(l->e, l->count) < mass) return -1;
    const float least = mass_threshold(kernels, l->values, l->e, l->count, mass, max);
    double reached = 0, gone = 0;
    int64_t kept = 0;
    if (least > l->least) l->equal = 0;
    l->least = least;
    for (int64_t i = 0; i < l->count; i++) reached += l->values[i] > least ? l->e[i] : 0;
    for (int64_t i = 0; i < l->count; i++) {
        const float x = l->values[i], e = l->e[i];
        if (x < least || (x == least && reached >= mass)) {
            gone += e;
            l->equal += x == least;
            continue;
        }
        if (x == least) reached += e;
        l->ids[kept] = l->ids[i];
        l->values[kept++] = x;
    }
    l->count = kept;
    return gone;
}
