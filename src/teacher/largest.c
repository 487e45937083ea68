/* The k largest numbers of a row. Thresholds are found by halving the range of floats and counting, which has no branch that a processor could
 * mistake; only places whose group holds a number above the threshold are looked at. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "teacher/sparse.h"

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

/* A finite t of which at least k numbers are not below it, and at most `most` if there is such a one: the largest for most = k. -FLT_MAX when there
 * is none. */
static float kth_largest(const kd__kernels *kernels, const float *x, int64_t n, int64_t k, int64_t most, float max)
{
    int64_t low = key_of(-FLT_MAX), high = key_of(max), count = n;
    while (low < high && (most == k || count > most)) {
        const int64_t middle = low + (high - low + 1) / 2, reach = kernels->count_from(x, n, of_key((int32_t)middle));
        if (reach >= k) low = middle, count = reach;
        else high = middle - 1;
    }
    return of_key((int32_t)low);
}

/* The largest t of which the numbers not below it hold `mass` of e. */
static float mass_threshold(const kd__kernels *kernels, const float *x, const float *e, int64_t n, double mass, float max)
{
    int64_t low = key_of(-FLT_MAX), high = key_of(max);
    while (low < high) {
        const int64_t middle = low + (high - low + 1) / 2;
        if (kernels->sum_from(x, e, n, of_key((int32_t)middle)) >= mass) low = middle;
        else high = middle - 1;
    }
    return of_key((int32_t)low);
}

float kd__largest_begin(kd__largest *l, const kd__kernels *kernels, const float *x, int64_t n, int64_t k, int32_t *bad)
{
    const int64_t lanes = kernels->lanes, groups = kd__groups(n, kernels->lanes), chunk = KD__GROUP * lanes;
    const float max = kernels->scan_groups(x, n, bad, l->maxima);
    l->count = 0;
    if (*bad || max == -INFINITY) return max;
    const float least = k < groups ? kth_largest(kernels, l->maxima, groups, k, k + k / 4 + 4, max) : -FLT_MAX;
    for (int64_t first = 0, m = 0; first < n; first += chunk, m += lanes)
        if (kernels->count_from(l->maxima + m, lanes, least))
            l->count += kernels->collect_from(x + first, n - first < chunk ? n - first : chunk, least, (uint32_t)first, l->ids + l->count,
                                              l->values + l->count);
    return max;
}

void kd__largest_end(kd__largest *l, const kd__kernels *kernels, int64_t k, float max)
{
    const float least = l->count > k ? kth_largest(kernels, l->values, l->count, k, k, max) : -FLT_MAX;
    int64_t kept = 0, room = k; /* for those that equal it: the first ones */
    for (int64_t i = 0; i < l->count; i++) room -= l->values[i] > least;
    l->least = INFINITY;
    l->equal = 0;
    for (int64_t i = 0; i < l->count; i++) {
        const float x = l->values[i];
        if (!(x >= least)) continue;
        if (x == least && room-- < 1) {
            l->equal++;
            continue;
        }
        l->ids[kept] = l->ids[i];
        l->values[kept++] = x;
        l->least = x < l->least ? x : l->least;
    }
    l->count = kept;
}

double kd__largest_of_mass(kd__largest *l, const kd__kernels *kernels, double mass, float max)
{
    if (kernels->sum(l->maxima, l->count) < mass) return -1;
    const float least = mass_threshold(kernels, l->values, l->maxima, l->count, mass, max);
    double reached = 0, gone = 0;
    int64_t kept = 0;
    if (least > l->least) l->equal = 0;
    l->least = least;
    for (int64_t i = 0; i < l->count; i++) reached += l->values[i] > least ? l->maxima[i] : 0;
    for (int64_t i = 0; i < l->count; i++) {
        const float x = l->values[i], e = l->maxima[i];
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
