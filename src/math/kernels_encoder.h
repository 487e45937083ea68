/* Kernels of encoder layers, part of kernels_body.h: one source, compiled once an instruction
 * set. */

/* m = mean x, r = 1 / sqrt(mean (x - m)^2 + eps);  y = w (x - m) r + b      [Ba et al. 2016] */
static float layer_norm(float *y, const float *x, const float *w, const float *b, int64_t n,
                        float eps, float *mean)
{
    vf sum = splat(0), squares = splat(0);
    for (int64_t i = 0; i < n; i += W) sum = sum + load_at(x + i, n - i, 0);
    const float m = (float)(sum_lanes(sum) / (double)n);
    for (int64_t i = 0; i < n; i += W) {
        const vf d = load_at(x + i, n - i, m) - m;
        squares = squares + d * d;
    }
    const float r = 1 / sqrtf((float)(sum_lanes(squares) / (double)n) + eps);
    for (int64_t i = 0; i < n; i += W) {
        const vf unit = (load_at(x + i, n - i, 0) - m) * r;
        const vf level = b ? load_at(b + i, n - i, 0) : splat(0);
        store_at(y + i, unit * load_at(w + i, n - i, 0) + level, n - i);
    }
    *mean = m;
    return r;
}

/* With u = (x - m) r:  dx (+)= r (w dy - mean(w dy) - u mean(w dy u)); dx may be dy */
static void layer_norm_gradient(float *dx, const float *dy, const float *x, const float *w,
                                int64_t n, float mean, float r, int32_t add)
{
    vf sum = splat(0), along = splat(0);
    for (int64_t i = 0; i < n; i += W) {
        const vf wdy = load_at(dy + i, n - i, 0) * load_at(w + i, n - i, 0);
        sum = sum + wdy;
        along = along + wdy * ((load_at(x + i, n - i, mean) - mean) * r);
    }
    const float level = (float)(sum_lanes(sum) / (double)n),
                slope = (float)(sum_lanes(along) / (double)n);
    for (int64_t i = 0; i < n; i += W) {
        const vf wdy = load_at(dy + i, n - i, 0) * load_at(w + i, n - i, 0);
        const vf u = (load_at(x + i, n - i, mean) - mean) * r;
        vf d = (wdy - level - u * slope) * r;
        if (add) d = d + load_at(dx + i, n - i, 0);
        store_at(dx + i, d, n - i);
    }
}

/* The normal distribution: Phi(x), and e = exp(-x^2 / 2). With z = |x| / sqrt 2 and t = 1 / (1 + p
 * z), erfc z = (a1 t + .. + a5 t^5) exp(-z^2) within 1.5e-7 [Abramowitz and Stegun 1964,
 * 7.1.26]. */
static inline vf normal_distribution(vf x, vf *e)
{
    const vi negative = x < splat(0);
    const vf z = choose(negative, -x, x) * 0.70710678f, t = 1.0f / (1.0f + z * 0.3275911f);
    vf p = splat(1.061405429f);
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    *e = vexp(-z * z);
    const vf half = p * t * *e * 0.5f;
    return choose(negative, half, 1.0f - half);
}

/* a = x Phi(x)                                               [Hendrycks and Gimpel 2016] */
static void gelu(float *a, const float *x, int64_t n)
{
    EACH_VECTOR(i, n)
    {
        vf e;
        const vf v = load_at(x + i, left, 0);
        store_at(a + i, v * normal_distribution(v, &e), left);
    }
}

/* a as gelu;  dx = da (Phi(x) + x exp(-x^2 / 2) / sqrt(2 pi)) */
static void gelu_gradient(float *a, float *dx, const float *da, const float *x, int64_t n)
{
    EACH_VECTOR(i, n)
    {
        vf e;
        const vf v = load_at(x + i, left, 0), phi = normal_distribution(v, &e);
        const vf d = load_at(da + i, left, 0);
        store_at(a + i, v * phi, left);
        store_at(dx + i, d * (phi + v * e * 0.39894228f), left);
    }
}
