/* Divergences of sides that are nearly the same; part of kernels_body.h. src/core/loss/close.c has
 * the mathematics. */

static inline vf size_of(vf x) { return from_bits(bits(x) & 0x7fffffff); }

/* a - b, and in *lost what rounding took from it. [Knuth] */
static inline vf difference(vf a, vf b, vf *lost)
{
    const vf d = a - b, t = d - a, rest = (a - (d - t)) - (b + t);
    *lost = choose(size_of(d) < splat(INFINITY), rest, splat(0));
    return d;
}

/* Is any lane set? */
static inline int any_of(vi mask)
{
#if W == 16
    return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif W == 8
    return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#else
    int32_t any = 0;
    for (int k = 0; k < W; k++) any |= mask[k];
    return any != 0;
#endif
}

/* (expm1 d - d) / d^2 for |d| < 1: its Chebyshev series, right to 2e-8. So wide that most rows of
 * sides that are nearly the same take no exponential here. */
static inline vf growth_series(vf d)
{
    vf p = splat(2.8126546299e-6f);
    p = p * d + 2.5358644892e-5f;
    p = p * d + 1.9836986709e-4f;
    p = p * d + 1.3885394923e-3f;
    p = p * d + 8.3333452503e-3f;
    p = p * d + 4.1666736670e-2f;
    p = p * d + 1.6666666577e-1f;
    return p * d + 0.5f;
}

/* expm1 d, and *above = expm1 d - d; d is at most 80. */
static inline vf growth(vf d, vf *above)
{
    const vi far = ~(size_of(d) < splat(1));
    const vf series = growth_series(d) * (d * d);
    *above = series;
    if (!any_of(far)) return series + d;
    const vf m = vexp(d) - 1.0f;
    *above = choose(far, m - d, series);
    return choose(far, m, series + d);
}

/* t - log(1 + t) for t > -1 */
static inline vf above_log(vf t)
{
    const vi far = ~((t > splat(-0.29f)) & (t < splat(0.41f)));
    const vf series = t * t * (0.5f - log_series(t) * t);
    if (!any_of(far)) return series;
    return choose(far, t - vlog(choose(far, t + 1.0f, splat(1))), series);
}

static inline __attribute__((always_inline)) double gap_of(int32_t kind, const kd__gap *g,
                                                           int64_t n, float share, double *moved)
{
    double total = 0, shifted = 0;
    for (int64_t start = 0; start < n; start += BLOCK * W) {
        vf s = { 0 }, w = { 0 };
        const int64_t stop = n - start < BLOCK * W ? n : start + BLOCK * W;
        for (int64_t i = start; i < stop; i += W) {
            const vf p = load_at(g->p + i, stop - i, 0);
            const vf q = load_at(g->q + i, stop - i, 0) * g->ratio;
            vf x = load_at(g->qx + i, stop - i, 0), lost = { 0 };
            if (g->px) x = difference(x, load_at(g->px + i, stop - i, 0), &lost);
            x = (x - g->apart + lost) * g->slope + g->shift;
            const vi counts = (p > splat(0)) & ~(x > splat(80)); /* else p is nothing beside q */
            vf above, m = growth(choose(counts, x, splat(0)), &above);
            if (kind == KD__GAP_KL) {
                s = s + choose(counts, p * above, q);
                w = w + choose(counts, p * m, q);
            } else if (kind == KD__GAP_MIXED)
                s = s + choose(counts, p * above_log(m * share), q * share);
            else s = s + choose(counts, p * size_of(m), q) * 0.5f;
        }
        total += sum_lanes(s);
        shifted += sum_lanes(w);
    }
    if (moved) *moved = shifted;
    return total;
}

static double gap(int32_t kind, const kd__gap *g, int64_t n, float share, double *moved)
{
    switch (kind) {
    case KD__GAP_KL: return gap_of(KD__GAP_KL, g, n, share, moved);
    case KD__GAP_MIXED: return gap_of(KD__GAP_MIXED, g, n, share, moved);
    default: return gap_of(KD__GAP_VARIATION, g, n, share, moved);
    }
}
