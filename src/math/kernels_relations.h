/* Kernels of relations: vectors of doubles. */
#ifndef KD_MATH_KERNELS_RELATIONS_H
#define KD_MATH_KERNELS_RELATIONS_H

#define WIDE (W / 2) /* doubles of a vector */
typedef double vd __attribute__((vector_size(W * 4)));
typedef int64_t vl __attribute__((vector_size(W * 4)));

static inline vd load_wide(const double *p, int64_t left)
{
    vd x = { 0 };
    if (left >= WIDE) memcpy(&x, p, sizeof x);
    else memcpy(&x, p, (size_t)left * sizeof *p);
    return x;
}

static inline void store_wide(double *p, vd x, int64_t left)
{
    if (left >= WIDE) memcpy(p, &x, sizeof x);
    else memcpy(p, &x, (size_t)left * sizeof *p);
}

static inline vl bits_wide(vd x)
{
    vl y;
    memcpy(&y, &x, sizeof y);
    return y;
}

static inline vd choose_wide(vl mask, vd a, vd b)
{
    const vl y = (mask & bits_wide(a)) | (~mask & bits_wide(b));
    vd x;
    memcpy(&x, &y, sizeof x);
    return x;
}

static inline double sum_wide(vd x)
{
    double total = 0;
    for (int k = 0; k < WIDE; k++) total += x[k];
    return total;
}

/* x within -1 .. 1 */
static inline vd clip_wide(vd x)
{
    const vd one = (vd){ 0 } + 1;
    return choose_wide((vl)(x > one), one, choose_wide((vl)(x < -one), -one, x));
}

static inline vd leg_cosine(const kd__leg *l, vd inverse, int64_t k, int64_t left)
{
    const vd apart = load_wide(l->at_j + k, left) - load_wide(l->at_i + k, left);
    return (apart + l->base) * inverse;
}

static inline vd leg_inverse(const kd__leg *l, int64_t k, int64_t left)
{
    return load_wide(l->inverse + k, left) * l->leg;
}

static void angles(const kd__leg *s, const kd__leg *t, int64_t n, double *m, double sums[3])
{
    vd value = { 0 }, added = { 0 }, along = { 0 };
    for (int64_t k = 0; k < n; k += WIDE) {
        const int64_t left = n - k;
        const vd inverse = leg_inverse(s, k, left), psi = leg_cosine(s, inverse, k, left);
        const vd apart = psi - leg_cosine(t, leg_inverse(t, k, left), k, left);
        const vd h = clip_wide(apart), dn = h * inverse;
        store_wide(m + k, load_wide(m + k, left) + dn, left);
        value += h * (apart - 0.5 * h);
        added += dn;
        along += h * psi;
    }
    sums[0] = sum_wide(value);
    sums[1] = sum_wide(added);
    sums[2] = sum_wide(along);
}

#endif
