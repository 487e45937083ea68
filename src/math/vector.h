/* Vectors of W floats in the compiler's own notation: one source, compiled once an instruction set
 * (kernels_*.c). */
#ifndef KD_MATH_VECTOR_H
#define KD_MATH_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#ifdef KD__VECTOR_WIDTH /* of a region of functions for one instruction set (amalgamation) */
#define W KD__VECTOR_WIDTH
#elif defined(__AVX512F__)
#define W 16
#elif defined(__AVX2__)
#define W 8
#else
#define W 4
#endif

typedef float vf __attribute__((vector_size(W * 4)));
typedef int32_t vi __attribute__((vector_size(W * 4)));
typedef uint32_t vu __attribute__((vector_size(W * 4)));

static inline vf load(const float *p)
{
    vf x;
    memcpy(&x, p, sizeof x);
    return x;
}

static inline void store(float *p, vf x) { memcpy(p, &x, sizeof x); }
static inline vf splat(float x) { return (vf){ 0 } + x; }
static inline vi bits(vf x)
{
    vi y;
    memcpy(&y, &x, sizeof y);
    return y;
}
static inline vf from_bits(vi x)
{
    vf y;
    memcpy(&y, &x, sizeof y);
    return y;
}
/* Keeps a product from being fused with the sum that it goes into. */
#if defined(__x86_64__)
#define ROUNDED(x) __asm__("" : "+v"(x))
#elif defined(__aarch64__)
#define ROUNDED(x) __asm__("" : "+w"(x))
#else
#define ROUNDED(x) (void)(x)
#endif

static inline vf choose(vi mask, vf a, vf b)
{
    return from_bits((mask & bits(a)) | (~mask & bits(b)));
}
static inline vf larger(vf a, vf b) { return choose(a > b, a, b); }

/* The first `count` (1 to W) numbers, the rest `fill`: by a mask where the processor has masks, for
 * a copy of a few bytes is a call. */
#if W == 16
#define FIRST_LANES(count) ((__mmask16)((1u << (count)) - 1))
#elif W == 8
#define FIRST_LANES(count)                                                                         \
    _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
#endif
static inline vf load_some(const float *p, int64_t count, float fill)
{
#if W == 16
    return (vf)_mm512_mask_loadu_ps((__m512)splat(fill), FIRST_LANES(count), p);
#elif W == 8
    const __m256i lanes = FIRST_LANES(count);
    return choose((vi)lanes, (vf)_mm256_maskload_ps(p, lanes), splat(fill));
#else
    vf x = splat(fill);
    memcpy(&x, p, (size_t)count * 4);
    return x;
#endif
}
static inline void store_some(float *p, vf x, int64_t count)
{
#if W == 16
    _mm512_mask_storeu_ps(p, FIRST_LANES(count), (__m512)x);
#elif W == 8
    _mm256_maskstore_ps(p, FIRST_LANES(count), (__m256)x);
#else
    memcpy(p, &x, (size_t)count * 4);
#endif
}
static inline vf load_at(const float *p, int64_t left, float fill)
{
    return left >= W ? load(p) : load_some(p, left, fill);
}
static inline void store_at(float *p, vf x, int64_t left)
{
    if (left >= W) store(p, x);
    else store_some(p, x, left);
}

static inline double sum_lanes(vf x)
{
    double s[4] = { 0 }; /* four chains instead of one */
    for (int i = 0; i < W; i += 4)
        for (int k = 0; k < 4; k++) s[k] += x[i + k];
    return (s[0] + s[1]) + (s[2] + s[3]);
}
static inline float max_lanes(vf x)
{
    float m = x[0];
    for (int i = 1; i < W; i++) m = x[i] > m ? x[i] : m;
    return m;
}

/* e^r = 1 + r + r^2 p(r) for |r| <= ln 2 / 2. Coefficients: S. Moshier, Cephes expf. */
static inline vf exp_series(vf r)
{
    vf p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    return p * r + 5.0000001201e-1f;
}

/* e^x for x <= 0, and up to 88; below -87.3 it is 0. x = n ln 2 + r, a polynomial in r, n into the
 * exponent; about 1 ulp. */
static inline vf vexp(vf x)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */
    vi tiny = x < splat(-87.3f);
    vf t = x * 1.44269504088896341f + magic;
    vu n = (vu)bits(t) - (vu)bits(splat(magic)); /* far below it wraps around, and is not taken */
    vf f = t - magic;
    vf r = x - f * 0.693359375f;
    r = r + f * 2.12194440e-4f;
    vf p = exp_series(r) * (r * r) + r + 1.0f;
    return choose(tiny, splat(0), from_bits((vi)((vu)bits(p) + (n << 23))));
}

/* log(1 + m) = m - m^2/2 + m^3 p(m) for sqrt(1/2) <= 1 + m <= sqrt(2). Coefficients: S. Moshier,
 * Cephes logf. */
static inline vf log_series(vf m)
{
    vf p = splat(7.0376836292e-2f);
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    return p * m + 3.3333331174e-1f;
}

/* log x for normal x > 0; about 1 ulp. */
static inline vf vlog(vf x)
{
    vi raw = bits(x);
    vi e = ((raw - 0x3f3504f3) >> 23); /* so that the fraction lies in sqrt(1/2) .. sqrt(2) */
    vf m = from_bits(raw - (e << 23)) - 1.0f;
    vf z = m * m, n = __builtin_convertvector(e, vf);
    vf p = log_series(m) * m * z;
    p = p - n * 2.12194440e-4f;
    p = p - 0.5f * z;
    return m + p + n * 0.693359375f;
}

#endif
