/* Kernels of decoder layers, part of kernels_body.h: one source, compiled once an instruction
 * set. */

/* r = 1 / sqrt(mean x^2 + eps);  y = w r x [Zhang and Sennrich 2019] */
static float rms_norm(float *y, const float *x, const float *w, int64_t n, float eps)
{
    vf sums[2] = { splat(0), splat(0) };
    for (int64_t i = 0, k = 0; i < n; i += W, k ^= 1) {
        const vf v = load_at(x + i, n - i, 0);
        sums[k] = sums[k] + v * v;
    }
    const float r = 1 / sqrtf((float)((sum_lanes(sums[0]) + sum_lanes(sums[1])) / (double)n) + eps);
    for (int64_t i = 0; i < n; i += W)
        store_at(y + i, load_at(x + i, n - i, 0) * r * load_at(w + i, n - i, 0), n - i);
    return r;
}

/* dx += r (w dy - x r^2 m),  m = mean w dy x */
static void rms_norm_gradient(float *dx, const float *dy, const float *x, const float *w, int64_t n,
                              float r, int32_t add)
{
    vf sum = splat(0);
    for (int64_t i = 0; i < n; i += W)
        sum = sum + load_at(dy + i, n - i, 0) * load_at(w + i, n - i, 0) * load_at(x + i, n - i, 0);
    const float m = (float)(sum_lanes(sum) / (double)n) * r * r;
    for (int64_t i = 0; i < n; i += W) {
        const vf wdy = load_at(dy + i, n - i, 0) * load_at(w + i, n - i, 0);
        vf d = (wdy - load_at(x + i, n - i, 0) * m) * r;
        if (add) d = d + load_at(dx + i, n - i, 0);
        store_at(dx + i, d, n - i);
    }
}

static inline vf logistic(vf x)
{
    const vf e = vexp(choose(x < splat(0), x, -x)), one = splat(1);
    return choose(x < splat(0), e, one) / (one + e);
}

/* a = silu(g) u, silu(g) = g s, s = 1 / (1 + e^-g) [Shazeer 2020] */
static void swiglu(float *a, const float *g, const float *u, int64_t n)
{
    for (int64_t i = 0; i < n; i += W) {
        const vf x = load_at(g + i, n - i, 0);
        store_at(a + i, x * logistic(x) * load_at(u + i, n - i, 0), n - i);
    }
}

/* a = silu(g) u;  dg = da u s (1 + g (1 - s));  du = da silu(g) */
static void swiglu_gradient(float *a, float *dg, float *du, const float *da, const float *g,
                            const float *u, int64_t n)
{
    for (int64_t i = 0; i < n; i += W) {
        const vf x = load_at(g + i, n - i, 0), y = load_at(u + i, n - i, 0);
        const vf d = load_at(da + i, n - i, 0), s = logistic(x);
        store_at(a + i, x * s * y, n - i);
        store_at(dg + i, d * y * s * (x * (splat(1) - s) + 1.0f), n - i);
        store_at(du + i, d * x * s, n - i);
    }
}

/* Pairs (x_i, x_{i + half}) turned by the angle whose cosine and sine are given; `turn` -1 turns
 * back.  [Su et al. 2021] */
static void rotate(float *x, const float *cosine, const float *sine, int64_t half, float turn)
{
    for (int64_t i = 0; i < half; i += W) {
        const int64_t left = half - i;
        const vf a = load_at(x + i, left, 0), b = load_at(x + half + i, left, 0);
        const vf c = load_at(cosine + i, left, 0), s = load_at(sine + i, left, 0) * turn;
        store_at(x + i, a * c - b * s, left);
        store_at(x + half + i, b * c + a * s, left);
    }
}
