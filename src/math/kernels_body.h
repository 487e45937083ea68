/* The kernels' source; included by each kernels_*.c with its instruction set. */
#include <kdistill/context.h>

#include "base/array.h"
#include "math/kernels.h"
#include "math/vector.h"

/* each is of the type that its list says */
#define KERNEL(result, name, arguments) static result name arguments;
#include "math/kernels.inc"

#define BLOCK 16 /* vectors summed in float before they go to double */

/* Loops over a row: `i` is the place, `left` how many numbers are left there. */
#define EACH_VECTOR(i, n) for (int64_t i = 0, left = (n); left > 0; i += W, left -= W)

static float scan(const float *x, int64_t n, int32_t *bad)
{
    vf m = splat(-INFINITY);
    vi wrong = { 0 };
    EACH_VECTOR(i, n)
    {
        vf a = load_at(x + i, left, -INFINITY);
        wrong |= ~(a < splat(INFINITY)); /* NaN and +infinity */
        m = larger(a, m);
    }
    int32_t any = 0;
    for (int k = 0; k < W; k++) any |= wrong[k];
    *bad = any != 0;
    return max_lanes(m);
}

/* As scan; maxima: for every KD__GROUP vectors the largest of each lane, so that number l of group
 * g is that of x[(g KD__GROUP + v) W + l]. */
static float scan_groups(const float *x, int64_t n, int32_t *bad, float *maxima)
{
    vf m = splat(-INFINITY);
    vi wrong = { 0 };
    for (int64_t start = 0; start < n; start += KD__GROUP * W, maxima += W) {
        const int64_t stop = n - start < KD__GROUP * W ? n : start + KD__GROUP * W;
        vf here = splat(-INFINITY);
        for (int64_t i = start; i < stop; i += W) {
            vf a = load_at(x + i, stop - i, -INFINITY);
            wrong |= ~(a < splat(INFINITY));
            here = larger(a, here);
        }
        store_at(maxima, here, W);
        m = larger(here, m);
    }
    int32_t any = 0;
    for (int k = 0; k < W; k++) any |= wrong[k];
    *bad = any != 0;
    return max_lanes(m);
}

static int64_t count_from(const float *x, int64_t n, float least)
{
    vi count = { 0 };
    int64_t total = 0;
    EACH_VECTOR(i, n) count += load_at(x + i, left, -INFINITY) >= splat(least);
    for (int k = 0; k < W; k++) total -= count[k];
    return n && least == -INFINITY ? n : total;
}

static int64_t collect_from(const float *x, int64_t n, float least, uint32_t first, uint32_t *ids,
                            float *values)
{
    int64_t count = 0, i = 0;
#if W == 16
    const __m512i steps = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    /* whole vectors are written: what is too much is written again, or lies behind the last one */
    for (; i + W <= n; i += W) {
        const __m512 v = _mm512_loadu_ps(x + i);
        const __mmask16 mask = _mm512_cmp_ps_mask(v, _mm512_set1_ps(least), _CMP_GE_OQ);
        const __m512i here = _mm512_add_epi32(steps, _mm512_set1_epi32((int)(first + (uint32_t)i)));
        _mm512_storeu_ps(values + count, _mm512_maskz_compress_ps(mask, v));
        _mm512_storeu_si512(ids + count, _mm512_maskz_compress_epi32(mask, here));
        count += __builtin_popcount(mask);
    }
#elif W == 8
    for (; i + W <= n; i += W) {
        const __m256 v = _mm256_loadu_ps(x + i);
        const __m256 wanted = _mm256_cmp_ps(v, _mm256_set1_ps(least), _CMP_GE_OQ);
        for (uint32_t mask = (uint32_t)_mm256_movemask_ps(wanted); mask; mask &= mask - 1) {
            const int64_t at = i + __builtin_ctz(mask);
            ids[count] = first + (uint32_t)at;
            values[count++] = x[at];
        }
    }
#endif
    for (; i < n; i++) {
        ids[count] = first + (uint32_t)i;
        values[count] = x[i];
        count += x[i] >= least;
    }
    return count;
}

static int64_t argmax(const float *x, int64_t n)
{
    int32_t bad;
    float m = scan(x, n, &bad);
    for (int64_t i = 0; i < n; i++)
        if (x[i] == m) return i;
    return 0;
}

#define SUM_BODY(expression)                                                                       \
    double total = 0;                                                                              \
    for (int64_t start = 0; start < n; start += BLOCK * W) {                                       \
        vf s = { 0 };                                                                              \
        int64_t stop = n - start < BLOCK * W ? n : start + BLOCK * W;                              \
        for (int64_t i = start; i < stop; i += W) {                                                \
            vf a = load_at(x + i, stop - i, 0);                                                    \
            s = s + (expression);                                                                  \
        }                                                                                          \
        total += sum_lanes(s);                                                                     \
    }                                                                                              \
    return total

static double sum(const float *x, int64_t n) { SUM_BODY(a); }
static double sum_squares(const float *x, int64_t n) { SUM_BODY(a * a); }

static double sum_from(const float *x, const float *e, int64_t n, float least)
{
    double total = 0;
    for (int64_t start = 0; start < n; start += BLOCK * W) {
        vf s = { 0 };
        int64_t stop = n - start < BLOCK * W ? n : start + BLOCK * W;
        for (int64_t i = start; i < stop; i += W)
            s = s + choose(load_at(x + i, stop - i, -INFINITY) >= splat(least),
                           load_at(e + i, stop - i, 0), splat(0));
        total += sum_lanes(s);
    }
    return total;
}

static double weighted_sum(const float *x, const float *e, int64_t n, float max)
{
    double total = 0;
    for (int64_t start = 0; start < n; start += BLOCK * W) {
        vf s = { 0 };
        int64_t stop = n - start < BLOCK * W ? n : start + BLOCK * W;
        for (int64_t i = start; i < stop; i += W) {
            const vf y = load_at(e + i, stop - i, 0);
            s = s + choose(y > splat(0), y * (load_at(x + i, stop - i, 0) - max), splat(0));
        }
        total += sum_lanes(s);
    }
    return total;
}

static double exponentials(const float *x, int64_t n, float max, float inverse_t, float *e)
{
    double total = 0;
    for (int64_t start = 0; start < n; start += BLOCK * W) {
        vf s = { 0 };
        int64_t stop = n - start < BLOCK * W ? n : start + BLOCK * W;
        for (int64_t i = start; i < stop; i += W) {
            vf y = vexp((load_at(x + i, stop - i, -INFINITY) - max) * inverse_t);
            store_at(e + i, y, stop - i);
            s = s + y;
        }
        total += sum_lanes(s);
    }
    return total;
}

static double exponentials_below(const float *x, int64_t n, float max, float inverse_t, float least)
{
    double total = 0;
    for (int64_t start = 0; start < n; start += BLOCK * W) {
        vf s = { 0 };
        const int64_t stop = n - start < BLOCK * W ? n : start + BLOCK * W;
        for (int64_t i = start; i < stop; i += W) {
            const vf y = load_at(x + i, stop - i, INFINITY); /* not below anything */
            s = s + choose(y < splat(least), vexp((y - max) * inverse_t), splat(0));
        }
        total += sum_lanes(s);
    }
    return total;
}

static double relative(kd__side *a, kd__side *b, int64_t n, float inverse_t, float floor,
                       int64_t *hits)
{
    double total = 0, sum_a = 0, sum_b = 0;
    vi low = { 0 };
    for (int64_t start = 0; start < n; start += BLOCK * W) {
        vf s = { 0 }, sa = { 0 }, sb = { 0 };
        int64_t stop = n - start < BLOCK * W ? n : start + BLOCK * W;
        for (int64_t i = start; i < stop; i += W) {
            /* most often the next row: it comes while this one is computed */
            __builtin_prefetch(a->x + n + i, 0, 2);
            __builtin_prefetch(b->x + n + i, 0, 2);
            vf xa = (load_at(a->x + i, stop - i, -INFINITY) - a->max) * inverse_t;
            vf xb = (load_at(b->x + i, stop - i, -INFINITY) - b->max) * inverse_t;
            vf ea = vexp(xa), eb = vexp(xb);
            vi counts = eb > splat(0), below = counts & (xa < splat(floor));
            low += below;
            xa = choose(below, splat(floor), xa);
            s = s + choose(counts, eb * (xb - xa), splat(0));
            sa = sa + ea;
            sb = sb + eb;
            store_at(a->e + i, ea, stop - i);
            store_at(b->e + i, eb, stop - i);
        }
        total += sum_lanes(s);
        sum_a += sum_lanes(sa);
        sum_b += sum_lanes(sb);
    }
    a->sum = sum_a;
    b->sum = sum_b;
    for (int k = 0; k < W; k++) *hits -= low[k];
    return total;
}

/* Long rows are written past the caches: nobody reads them before they would be gone from there,
 * and a third of the traffic is saved. */
#define STREAM_FROM 16384
#if W == 16
#define STREAM(p, x) _mm512_stream_ps(p, (__m512)(x))
#elif W == 8
#define STREAM(p, x) _mm256_stream_ps(p, (__m256)(x))
#endif

#ifdef STREAM
static void combine_long(float *out, const float *ea, float x, const float *eb, float y, int64_t n)
{
    int64_t i = 0;
    for (; i + W <= n; i += W) STREAM(out + i, load(ea + i) * x - load(eb + i) * y);
    for (; i < n; i++) out[i] = ea[i] * x - eb[i] * y;
    _mm_sfence();
}
#endif

static void combine(float *out, const float *ea, float x, const float *eb, float y, int64_t n,
                    int32_t add)
{
#ifdef STREAM
    if (n >= STREAM_FROM && eb && !add && (uintptr_t)out % sizeof(vf) == 0) {
        combine_long(out, ea, x, eb, y, n);
        return;
    }
#endif
    EACH_VECTOR(i, n)
    {
        vf r = load_at(ea + i, left, 0) * x;
        if (eb) r = r - load_at(eb + i, left, 0) * y;
        if (add) r = r + load_at(out + i, left, 0);
        store_at(out + i, r, left);
    }
}

static void reverse_gradient(float *out, const kd__side *z, const kd__side *v, int64_t n,
                             float inverse_t, float floor, float shift, float c, float mean,
                             int32_t add)
{
    EACH_VECTOR(i, n)
    {
        vf az = (load_at(z->x + i, left, -INFINITY) - z->max) * inverse_t;
        vf av = larger((load_at(v->x + i, left, -INFINITY) - v->max) * inverse_t, splat(floor));
        vf e = load_at(z->e + i, left, 0);
        vf r = choose(e > splat(0), e * c * (az - av + (shift - mean)), splat(0));
        if (add) r = r + load_at(out + i, left, 0);
        store_at(out + i, r, left);
    }
}

/* Where p and q are both below 1e-37 nothing is counted: they cannot change a float. */
static double jensen(const kd__side *z, const kd__side *v, int64_t n, float inverse_t, float b,
                     double *mean)
{
    const float lz = (float)log(z->sum), lv = (float)log(v->sum);
    const float iz = (float)(1 / z->sum), iv = (float)(1 / v->sum);
    double total = 0, weighted = 0;
    for (int64_t start = 0; start < n; start += BLOCK * W) {
        vf s = { 0 }, w = { 0 };
        int64_t stop = n - start < BLOCK * W ? n : start + BLOCK * W;
        for (int64_t i = start; i < stop; i += W) {
            vf q = load_at(z->e + i, stop - i, 0) * iz, p = load_at(v->e + i, stop - i, 0) * iv;
            vf lq = (load_at(z->x + i, stop - i, -INFINITY) - z->max) * inverse_t - lz;
            vf lp = (load_at(v->x + i, stop - i, -INFINITY) - v->max) * inverse_t - lv;
            vf m = p * b + q * (1 - b);
            vi counts = m > splat(1e-37f);
            vi has_p = counts & (p > splat(0)), has_q = counts & (q > splat(0));
            vf lm = vlog(choose(counts, m, splat(1)));
            vf g = choose(has_q, (lq - lm) * (1 - b), splat(0));
            s = s + choose(has_p, p * b * (lp - lm), splat(0)) + q * g;
            w = w + q * g;
            store_at(v->e + i, g, stop - i);
        }
        total += sum_lanes(s);
        weighted += sum_lanes(w);
    }
    *mean = weighted;
    return total;
}

static inline __attribute__((always_inline)) double mixture_of(int32_t kind, const kd__side *z,
                                                               const kd__side *v, int64_t n,
                                                               float inverse_t, float a,
                                                               double *mean)
{
    const int forward = kind == KD__SKEWED_FORWARD;
    const kd__side *of = forward ? v : z; /* whose own distribution is compared with the mixture */
    const float log_sum = (float)log(of->sum);
    const float iz = (float)(1 / z->sum), iv = (float)(1 / v->sum);
    double total = 0, weighted = 0;
    for (int64_t start = 0; start < n; start += BLOCK * W) {
        vf s = { 0 }, w = { 0 };
        int64_t stop = n - start < BLOCK * W ? n : start + BLOCK * W;
        for (int64_t i = start; i < stop; i += W) {
            vf q = load_at(z->e + i, stop - i, 0) * iz, p = load_at(v->e + i, stop - i, 0) * iv;
            vf h;
            if (kind == KD__VARIATION) {
                vf d = q - p;
                vi less = d<splat(0), more = d> splat(0);
                s = s + choose(less, -d, d) * 0.5f;
                h = choose(less, q * -0.5f, choose(more, q * 0.5f, splat(0)));
            } else {
                vf own = forward ? p : q, other = forward ? q : p;
                vf m = own * a + other * (1 - a);
                vi counts = (m > splat(1e-37f)) & (own > splat(0));
                vf x = load_at(of->x + i, stop - i, -INFINITY);
                vf log_own = (x - of->max) * inverse_t - log_sum;
                m = choose(counts, m, splat(1));
                vf ratio = choose(counts, log_own - vlog(m), splat(0));
                s = s + own * ratio;
                if (forward) h = p * q * (a - 1) / m;
                else if (kind == KD__SKEWED_REVERSE) h = q * (ratio - q * a / m);
                else h = q * ratio;
                h = choose(counts, h, splat(0));
            }
            w = w + h;
            store_at(v->e + i, h, stop - i);
        }
        total += sum_lanes(s);
        weighted += sum_lanes(w);
    }
    *mean = weighted;
    return total;
}

static double mixture(int32_t kind, const kd__side *z, const kd__side *v, int64_t n,
                      float inverse_t, float a, double *mean)
{
    switch (kind) {
    case KD__SKEWED_FORWARD: return mixture_of(KD__SKEWED_FORWARD, z, v, n, inverse_t, a, mean);
    case KD__SKEWED_REVERSE: return mixture_of(KD__SKEWED_REVERSE, z, v, n, inverse_t, a, mean);
    case KD__SKEWED_DETACHED: return mixture_of(KD__SKEWED_DETACHED, z, v, n, inverse_t, a, mean);
    default: return mixture_of(KD__VARIATION, z, v, n, inverse_t, a, mean);
    }
}

#include "math/kernels_gap.h"

/* One float16 to float32: exponent and fraction are moved, subnormals and specials by a
 * multiplication. */
static float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = (uint32_t)(h & 0x7fff) << 13, bits32;
    float x;
    memcpy(&x, &rest, sizeof x);
    x *= 0x1p112f;
    memcpy(&bits32, &x, sizeof bits32);
    if ((h & 0x7c00) == 0x7c00) bits32 = 0x7f800000u | rest;
    bits32 |= sign;
    memcpy(&x, &bits32, sizeof x);
    return x;
}

static void widen(int32_t dtype, const void *from, int64_t n, float *to)
{
    const uint16_t *x = from;
    int64_t i = 0;
    if (dtype == KD_BFLOAT16) {
        for (; i < n; i++) {
            uint32_t bits32 = (uint32_t)x[i] << 16;
            memcpy(to + i, &bits32, sizeof bits32);
        }
        return;
    }
#if W == 16
    for (; i + W <= n; i += W)
        _mm512_storeu_ps(to + i, _mm512_cvtph_ps(_mm256_loadu_si256((const void *)(x + i))));
#elif W == 8
    for (; i + W <= n; i += W)
        _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128((const void *)(x + i))));
#endif
    for (; i < n; i++) to[i] = half_to_float(x[i]);
}

/* Rounds to nearest, ties to even. */
static void narrow(int32_t dtype, const float *from, int64_t n, void *to)
{
    uint16_t *y = to;
    int64_t i = 0;
#if W == 16
    for (; dtype == KD_FLOAT16 && i + W <= n; i += W)
        _mm256_storeu_si256((__m256i *)(void *)(y + i),
                            _mm512_cvtps_ph(_mm512_loadu_ps(from + i), 0));
#elif W == 8
    for (; dtype == KD_FLOAT16 && i + W <= n; i += W)
        _mm_storeu_si128((__m128i *)(void *)(y + i), _mm256_cvtps_ph(_mm256_loadu_ps(from + i), 0));
#endif
    kd__convert_from_float32(y + i, dtype, from + i, n - i);
}

static void softmax_gradient(float *out, const float *ez, const float *g, int64_t n, float c,
                             float mean, int32_t add)
{
    EACH_VECTOR(i, n)
    {
        vf r = load_at(ez + i, left, 0) * c * (load_at(g + i, left, 0) - mean);
        if (add) r = r + load_at(out + i, left, 0);
        store_at(out + i, r, left);
    }
}

static void soft_cap(float *x, int64_t n, float cap)
{
    EACH_VECTOR(i, n)
    {
        vf a = load_at(x + i, left, 0) * (1 / cap);
        vi negative = a < splat(0);
        vf size = choose(negative, -a, a), e = vexp(size * -2.0f);
        vf t = (1.0f - e) / (1.0f + e) * cap;
        /* near 0 the quotient loses digits that the series has */
        t = choose(size < splat(0.02f), size * (1.0f - size * size * (1.0f / 3.0f)) * cap, t);
        store_at(x + i, choose(negative, -t, t), left);
    }
}

static void soft_cap_gradient(float *dy, const float *y, int64_t n, float cap)
{
    EACH_VECTOR(i, n)
    {
        vf t = load_at(y + i, left, 0) * (1 / cap);
        store_at(dy + i, load_at(dy + i, left, 0) * (1.0f - t * t), left);
    }
}

static float largest_size(const float *x, int64_t n)
{
    vf most = { 0 };
    EACH_VECTOR(i, n)
    {
        vf a = load_at(x + i, left, 0);
        most = larger(most, from_bits(bits(a) & 0x7fffffff));
    }
    return max_lanes(most);
}

static void axpby(float *y, float a, const float *x, float b, int64_t n)
{
    EACH_VECTOR(i, n)
    {
        vf r = load_at(x + i, left, 0) * a;
        if (b != 0) r = r + load_at(y + i, left, 0) * b;
        store_at(y + i, r, left);
    }
}

static void sum_across(float *to, const float *const *rows, int64_t count, int64_t n)
{
    enum { TILE = 512 };
    double sum[TILE];
    for (int64_t first = 0; first < n; first += TILE) {
        const int64_t here = n - first < TILE ? n - first : TILE;
        for (int64_t i = 0; i < here; i++) sum[i] = rows[0][first + i];
        for (int64_t r = 1; r < count; r++)
            for (int64_t i = 0; i < here; i++) sum[i] += rows[r][first + i];
        for (int64_t i = 0; i < here; i++) to[first + i] = (float)sum[i];
    }
}

static void relu(float *y, const float *x, const float *bias, int64_t n)
{
    EACH_VECTOR(i, n)
    {
        vf r = load_at(x + i, left, 0);
        if (bias) r = r + load_at(bias + i, left, 0);
        store_at(y + i, choose(r < splat(0), splat(0), r), left); /* NaN stays NaN */
    }
}

static void add_bias(float *y, const float *x, const float *bias, int64_t n)
{
    EACH_VECTOR(i, n) store_at(y + i, load_at(x + i, left, 0) + load_at(bias + i, left, 0), left);
}

static void relu_gradient(float *dx, const float *y, const float *dy, int64_t n)
{
    EACH_VECTOR(i, n)
    store_at(dx + i, choose(load_at(y + i, left, 0) > splat(0), load_at(dy + i, left, 0), splat(0)),
             left);
}

/* ---- optimizers: g = clip(gradient * scale) ---- */

static inline vf scaled(const float *g, int64_t left, float scale, float clip)
{
    vf x = load_at(g, left, 0) * scale;
    return choose(x > splat(clip), splat(clip), choose(x < splat(-clip), splat(-clip), x));
}

static void sgd(float *p, const float *g, int64_t n, float scale, float learning_rate, float decay,
                float clip)
{
    EACH_VECTOR(i, n)
    {
        vf x = load_at(p + i, left, 0);
        store_at(p + i, x - (scaled(g + i, left, scale, clip) + x * decay) * learning_rate, left);
    }
}

static void momentum(float *p, const float *g, float *m, int64_t n, float scale,
                     float learning_rate, float decay, float clip, float momentum, int32_t nesterov)
{
    EACH_VECTOR(i, n)
    {
        vf x = load_at(p + i, left, 0), d = scaled(g + i, left, scale, clip) + x * decay;
        vf b = load_at(m + i, left, 0) * momentum + d;
        store_at(m + i, b, left);
        store_at(p + i, x - (nesterov ? d + b * momentum : b) * learning_rate, left);
    }
}

static inline vf square_root(vf x)
{
    vf y;
    for (int k = 0; k < W; k++) y[k] = __builtin_sqrtf(x[k]);
    return y;
}

static void adam(float *p, const float *g, float *m, float *v, int64_t n, float scale, float clip,
                 const kd__adam_step *step)
{
    const kd__adam_step s = *step;
    EACH_VECTOR(i, n)
    {
        vf x = load_at(p + i, left, 0), d = scaled(g + i, left, scale, clip);
        if (s.decoupled) x = x - x * (s.learning_rate * s.decay);
        else d = d + x * s.decay;
        vf first = load_at(m + i, left, 0) * s.beta1 + d * (1 - s.beta1);
        vf second = load_at(v + i, left, 0) * s.beta2 + d * d * (1 - s.beta2);
        store_at(m + i, first, left);
        store_at(v + i, second, left);
        store_at(p + i,
                 x - (first * (s.correction1 * s.learning_rate)) /
                         (square_root(second * s.correction2) + s.epsilon),
                 left);
    }
}

#include "math/kernels_product.h"

/* Sixteen orders at a time: their smallest hashes stay in registers. */
static void minhash(uint32_t *signature, const uint32_t *x, const uint32_t *m, int64_t n,
                    const uint32_t *hashes, int64_t count)
{
    for (int64_t i = 0; i + 16 <= n; i += 16) {
        uint32_t least[16];
        for (int j = 0; j < 16; j++) least[j] = signature[i + j];
        for (int64_t h = 0; h < count; h++)
            for (int j = 0; j < 16; j++) {
                const uint32_t value = (hashes[h] ^ x[i + j]) * m[i + j];
                least[j] = value < least[j] ? value : least[j];
            }
        for (int j = 0; j < 16; j++) signature[i + j] = least[j];
    }
}

#include "math/kernels_decoder.h"
#include "math/kernels_encoder.h"
#include "math/kernels_images.h"
#include "math/kernels_relations.h"
#include "math/kernels_fourier.h"
#include "math/kernels_eight.h"
